//! Searches objects of stores: below the lake's address, and in its inbox.

use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::content::search_file;
use super::{Found, holds_number, is_ours};
use crate::error::{Context as _, Result};
use crate::lake::Lake;
use crate::lake::erase::number::MatchMode;
use crate::lake::erase::search::{BYTES_AT_ONCE, groups};
use crate::lake::erase::target::Target;
use crate::place::{Address, Entry, Environment, Key, OWN, Place, StoreOptions};

/// A search of objects.
pub(super) struct Objects<'s> {
    lake: &'s Lake,
    target: &'s Target,
    known: &'s HashSet<Key>,
    /// A folder of this machine for files that are read.
    spool: &'s Path,
    /// The URLs that were searched.
    searched: HashSet<String>,
    found: &'s mut Found,
}

impl<'s> Objects<'s> {
    pub(super) fn new(
        lake: &'s Lake,
        target: &'s Target,
        known: &'s HashSet<Key>,
        spool: &'s Path,
        found: &'s mut Found,
    ) -> Self {
        Self { lake, target, known, spool, searched: HashSet::new(), found }
    }

    pub(super) fn add(&mut self, file: PathBuf, reason: Option<String>) {
        self.found.entry(file).or_insert(reason);
    }

    /// Searches all that is below the lake's address, but for its tables and marts.
    pub(super) fn lake(&mut self) -> Result<()> {
        let place = self.lake.place();
        let mut files = place.list(&Key::root(), None)?;
        files.retain(|file| !is_ours(&file.key, self.known));
        let leases = Key::root().join(OWN).join("leases");
        files.retain(|file| file.key.below(&leases).is_none());
        let is_own = |file: &Entry| file.key.below(&Key::root().join(OWN)).is_some();
        let (own, others): (Vec<_>, Vec<_>) = files.into_iter().partition(is_own);
        for files in groups(&own, |file| file.bytes) {
            let keys: Vec<Key> = files.iter().map(|file| file.key.clone()).collect();
            for (key, read) in keys.iter().zip(place.read_all(&keys)) {
                let bytes = read?.unwrap_or_default();
                if holds_number(&mut &*bytes, self.target, || format!("reading `{key}`"))? {
                    self.add(key.as_str().into(), None);
                }
            }
        }
        self.files(place, &others, &|key| key.as_str().into());
        Ok(())
    }

    /// Searches a part of the inbox. What is below the lake's address is searched with it.
    pub(super) fn inbox(&mut self, place: &Place) {
        let url = place.url(&Key::root());
        let files = match place.list(&Key::root(), None) {
            Ok(files) => files,
            Err(error) => return self.add(url.into(), Some(error.to_string())),
        };
        let lake = self.lake.place().url(&Key::root());
        let is_of_lake = |file: &Entry| is_below(&place.url(&file.key), &lake);
        let mut files: Vec<Entry> = files.into_iter().filter(|file| !is_of_lake(file)).collect();
        let lakes = other_lakes(&files);
        files.retain(|file| !lakes.iter().any(|lake| file.key.below(lake).is_some()));
        for lake in lakes {
            self.add(place.url(&lake).into(), Some("another lake".to_owned()));
        }
        self.files(place, &files, &|key| place.url(key).into());
    }

    fn files(&mut self, place: &Place, files: &[Entry], shown: &dyn Fn(&Key) -> PathBuf) {
        let is_new = |file: &&Entry| self.searched.insert(place.url(&file.key));
        let files: Vec<&Entry> = files.iter().filter(is_new).collect();
        for files in groups(&files, |file| file.bytes) {
            // A large one is alone, and not held in memory.
            let is_small = |file: &&Entry| file.bytes <= BYTES_AT_ONCE;
            let keys = files.iter().copied().filter(is_small).map(|file| file.key.clone());
            let mut read = place.read_all(&keys.collect::<Vec<_>>()).into_iter();
            for file in files {
                let name = file.key.name();
                if self.target.number.is_in(file.key.as_str(), MatchMode::National) {
                    read.next();
                    self.add(shown(&file.key), None);
                    continue;
                }
                let local = self.spool.join("object").join(name);
                let spooled = match is_small(&file) {
                    true => read.next().unwrap_or(Ok(None)).and_then(|bytes| {
                        let Some(bytes) = bytes else { return Ok(()) };
                        fs::create_dir_all(local.parent().unwrap_or(self.spool))?;
                        Ok(fs::write(&local, bytes)?)
                    }),
                    false => place.save(&file.key, &local),
                };
                let found = match spooled {
                    // One that was deleted meanwhile is not there.
                    Ok(()) if file.bytes == 0 || !local.exists() => None,
                    Ok(()) => search_file(&local, self.target, self.spool),
                    Err(error) => Some(Some(error.to_string())),
                };
                let _ = fs::remove_file(&local);
                if let Some(found) = found {
                    self.add(shown(&file.key), found);
                }
            }
        }
    }
}

/// The place of a part of the inbox on a store; `None` if it is a folder of this machine.
///
/// # Errors
///
/// A URL or path that names no place; no credentials.
pub(super) fn inbox_on_store(lake: &Lake, folder: &Path) -> Result<Option<Place>> {
    let text = folder.to_str().unwrap_or_default();
    if text.contains("://") {
        let address = Address::parse(text)?;
        let environment = Environment::of_process();
        let options = StoreOptions::parse(environment.get("WABALAKE_STORE_OPTIONS"), [])?;
        let place = Place::open(&address, &options, &environment);
        return place.map(Some).context(|| "the inbox");
    }
    match lake.place().as_folder() {
        None if !folder.is_absolute() => lake.place().beside(text).map(Some),
        _ => Ok(None),
    }
}

/// Returns `true` for the URL of a file below another URL.
fn is_below(file: &str, folder: &str) -> bool {
    file.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
}

/// The roots of lakes among files.
fn other_lakes(files: &[Entry]) -> BTreeSet<Key> {
    let of = |file: &Entry| {
        let mut above = file.key.parent();
        while above != Key::root() {
            if above.name() == OWN || above.name() == "_delta_log" {
                let above_log = if above.name() == OWN { above } else { above.parent().parent() };
                return Some(above_log.parent()).filter(|lake| *lake != Key::root());
            }
            above = above.parent();
        }
        None
    };
    files.iter().filter_map(of).collect()
}
