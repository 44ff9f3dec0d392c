//! Searches objects of stores: below the lake's address, and in its inbox.

use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::content::search_file;
use super::{Found, holds_number, is_ours};
use crate::error::Result;
use crate::lake::Lake;
use crate::lake::erase::number::MatchMode;
use crate::lake::erase::search::{BYTES_AT_ONCE, groups};
use crate::lake::erase::target::Target;
use crate::load::person::ReadResult;
use crate::place::{Entry, Kept, Key, OWN, Place, Version};

/// A search of objects.
pub(super) struct Objects<'s> {
    lake: &'s Lake,
    target: &'s Target,
    known: &'s HashSet<Key>,
    /// A folder of this machine for files that are read.
    spool: &'s Path,
    /// The URLs and versions that were searched.
    searched: HashSet<(String, String)>,
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
        let shown = |key: &Key| key.to_string();
        self.objects(place, others.into_iter().map(Object::from).collect(), &shown);
        let own = Key::root().join(OWN);
        let is_of_others = |key: &Key| key.below(&own).is_none() && !is_ours(key, self.known);
        self.older_versions(place, &is_of_others, &shown);
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
        let others = other_lakes(&files);
        files.retain(|file| !others.iter().any(|lake| file.key.below(lake).is_some()));
        for lake in &others {
            self.add(place.url(lake).into(), Some("another lake".to_owned()));
        }
        let shown = |key: &Key| place.url(key);
        self.objects(place, files.into_iter().map(Object::from).collect(), &shown);
        let is_of_others = |key: &Key| {
            !is_below(&place.url(key), &lake)
                && !others.iter().any(|lake| key.below(lake).is_some())
        };
        self.older_versions(place, &is_of_others, &shown);
    }

    /// Searches older versions of objects of others, which the store keeps after they were deleted or
    /// replaced.
    fn older_versions(
        &mut self,
        place: &Place,
        is_of_others: &dyn Fn(&Key) -> bool,
        shown: &dyn Fn(&Key) -> String,
    ) {
        let versions = match place.kept() {
            Ok(Kept::Versions { .. }) => place.versions(&Key::root()),
            _ => return,
        };
        match versions {
            Ok(mut versions) => {
                versions.retain(|of| !of.is_latest && !of.is_marker && is_of_others(&of.key));
                self.objects(place, versions.into_iter().map(Object::from).collect(), shown);
            }
            Err(error) => self.add(place.shown().into(), Some(error.to_string())),
        }
    }

    fn objects(&mut self, place: &Place, objects: Vec<Object>, shown: &dyn Fn(&Key) -> String) {
        let is_new = |object: &Object| {
            let version = object.version.as_ref().map(|version| version.id.clone());
            self.searched.insert((place.url(&object.key), version.unwrap_or_default()))
        };
        let objects: Vec<Object> = objects.into_iter().filter(is_new).collect();
        for objects in groups(&objects, |object| object.bytes) {
            for (object, spooled) in objects.iter().zip(self.spool(place, objects)) {
                let shown = match object.version {
                    None => shown(&object.key),
                    Some(_) => format!("{} (an older version)", shown(&object.key)),
                };
                let result = match spooled {
                    _ if self.target.number.is_in(object.key.as_str(), MatchMode::National) => {
                        ReadResult::Stopped
                    }
                    // One that was deleted meanwhile is not there.
                    Ok(None) => ReadResult::Whole,
                    Ok(Some(file)) => search_file(&file, self.target, self.spool),
                    Err(error) => ReadResult::Not(error.to_string()),
                };
                match result {
                    ReadResult::Whole => {}
                    ReadResult::Stopped => self.add(shown.into(), None),
                    ReadResult::Not(reason) => self.add(shown.into(), Some(reason)),
                }
            }
            let _ = fs::remove_dir_all(self.spool.join(SPOOLED));
        }
    }

    /// Copies objects to this machine; `None` for one that is empty or gone. Not more than a group of
    /// them is in memory, and a large one is not.
    fn spool(&self, place: &Place, objects: &[Object]) -> Vec<Result<Option<PathBuf>>> {
        let keys = objects.iter().map(|object| object.key.clone());
        let versions: Vec<&Version> = objects.iter().filter_map(|of| of.version.as_ref()).collect();
        let file = |at: usize, object: &Object| {
            self.spool.join(SPOOLED).join(at.to_string()).join(object.key.name())
        };
        if let [object] = objects
            && object.bytes > BYTES_AT_ONCE
            && object.version.is_none()
        {
            let file = file(0, object);
            return vec![place.save(&object.key, &file).map(|()| Some(file))];
        }
        let read = match versions.is_empty() {
            true => place.read_all(&keys.collect::<Vec<_>>()),
            false => place.read_versions(&versions),
        };
        let write = |(at, (object, read)): (usize, (&Object, Result<Option<Bytes>>))| {
            let Some(bytes) = read?.filter(|bytes| !bytes.is_empty()) else { return Ok(None) };
            let file = file(at, object);
            let folder = file.parent().unwrap_or(self.spool);
            fs::create_dir_all(folder).and_then(|()| fs::write(&file, bytes))?;
            Ok(Some(file))
        };
        objects.iter().zip(read).enumerate().map(write).collect()
    }
}

/// The folder of objects that are searched, below that for temporary files.
const SPOOLED: &str = "objects";

/// An object of others, or an older version of one. Those of one search are all one or the other.
struct Object {
    key: Key,
    bytes: u64,
    version: Option<Version>,
}

impl From<Entry> for Object {
    fn from(entry: Entry) -> Self {
        Self { key: entry.key, bytes: entry.bytes, version: None }
    }
}

impl From<Version> for Object {
    fn from(version: Version) -> Self {
        Self { key: version.key.clone(), bytes: version.bytes, version: Some(version) }
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
