//! Lists the inbox: which files are new, and which are still arriving.
//!
//! A file of this machine is complete once it has not changed for `settle_seconds`. An object is whole
//! when it is listed, so it waits only if the settings say how long.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::arrival::{Arrival, At};
use super::folders::Folders;
use super::memory::{Arriving, Memory};
use crate::config::{Config, FILE};
use crate::error::{Error, Result};
use crate::lake::Lake;
use crate::load::folder::{is_partial, walk};
use crate::place::{Entry, Key, OWN, Place};

/// The contents of the inbox.
pub(super) struct Waiting {
    /// Complete files that are not remembered.
    pub(super) new: Vec<Arrival>,
    /// Files that are still arriving.
    pub(super) arriving: Vec<Arrival>,
    /// The memory of files that still exist.
    pub(super) memory: Memory,
}

/// Names in a lake's folder that are no exports, for a lake inside its inbox.
const OF_A_LAKE: [&str; 3] = ["tables", "marts", FILE];

/// Lists the inbox.
pub(super) fn scan(
    lake: &Lake,
    config: &Config,
    folders: &Folders,
    before: &Memory,
) -> Result<Waiting> {
    let mut arrivals = Vec::new();
    for inbox in &folders.inbox {
        match inbox.as_folder() {
            Some(folder) => arrivals.extend(files(folder, &excluded_files(lake, folders))?),
            None => arrivals.extend(objects(inbox, &excluded_objects(lake, folders))?),
        }
    }
    let mut seen = BTreeSet::new();
    arrivals.sort_by_cached_key(Arrival::key);
    arrivals.retain(|arrival| seen.insert(arrival.key()));
    let arrivals = without_links(arrivals);
    let mut waiting = Waiting { new: Vec::new(), arriving: Vec::new(), memory: Memory::default() };
    for arrival in arrivals {
        let (settle, now) = match &arrival.at {
            At::File(_) => (config.inbox.settle(), SystemTime::now()),
            At::Object(object) => (config.inbox.settle_objects(), object.place.now().into()),
        };
        let now = since_1970(now);
        let has_passed = |since: Duration| since.checked_add(settle).is_some_and(|at| at <= now);
        let key = arrival.key();
        if before.left.get(&key) == Some(&arrival.seen) {
            waiting.memory.left.insert(key, arrival.seen);
        } else if settle.is_zero() || has_passed(arrival.seen.modified_since_1970()) {
            waiting.new.push(arrival);
        } else {
            let as_before = before.arriving.get(&key).filter(|file| file.seen == arrival.seen);
            // A clock that was set back must not prolong the wait.
            let since = as_before.map_or(now, Arriving::since).min(now);
            let seen = arrival.seen.clone();
            waiting.memory.arriving.insert(key, Arriving { seen, since: millis(since) });
            let of = if has_passed(since) { &mut waiting.new } else { &mut waiting.arriving };
            of.push(arrival);
        }
    }
    Ok(waiting)
}

/// The files in a folder of this machine.
fn files(folder: &Path, excluded: &[PathBuf]) -> Result<Vec<Arrival>> {
    if !folder.is_dir() {
        return Err(Error::lake(format!("there is no inbox `{}`", folder.display()))
            .hint("make the folder, or name another one in wabalake.toml, under [inbox]"));
    }
    let mut arrivals = Vec::new();
    walk(folder, "", excluded, &mut |entry| {
        if entry.skip_reason.is_none() && is_arrival(&entry.path) {
            arrivals.push(Arrival::of_file(entry.path, folder)?);
        }
        Ok(())
    })?;
    Ok(arrivals)
}

fn excluded_files(lake: &Lake, folders: &Folders) -> Vec<PathBuf> {
    let own = OF_A_LAKE.iter().filter_map(|own| Some(lake.place().as_folder()?.join(own)));
    let others = folders.targets().filter_map(|target| target.as_folder());
    own.chain(others.map(Path::to_owned)).collect()
}

/// The objects of a store's inbox.
fn objects(inbox: &Arc<Place>, excluded: &[String]) -> Result<Vec<Arrival>> {
    let all = inbox.list(&Key::root(), None)?;
    let root = inbox.url(&Key::root());
    let excluded: Vec<&String> = excluded.iter().filter(|url| is_below(url, &root)).collect();
    let lakes = lakes_among(&all);
    let is_skipped = |entry: &Entry| {
        let url = inbox.url(&entry.key);
        let is_in = |folder: &&&String| url == ***folder || is_below(&url, folder);
        let is_hidden = entry.key.as_str().split('/').any(|part| part.starts_with('.'));
        is_hidden
            || !is_arrival(Path::new(entry.key.as_str()))
            || lakes.iter().any(|lake| entry.key.below(lake).is_some())
            || excluded.iter().any(|folder| is_in(&folder))
    };
    let found = all.into_iter().filter(|entry| !is_skipped(entry));
    Ok(found.map(|entry| Arrival::of_object(inbox, entry)).collect())
}

fn excluded_objects(lake: &Lake, folders: &Folders) -> Vec<String> {
    let own = OF_A_LAKE.iter().map(|own| lake.place().url(&Key::root().join(own)));
    own.chain(folders.targets().map(|target| target.url(&Key::root()))).collect()
}

fn is_below(url: &str, folder: &str) -> bool {
    url.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
}

/// The lakes, and tables of lakes, below an inbox.
fn lakes_among(entries: &[Entry]) -> Vec<Key> {
    let lake = |entry: &Entry| {
        let mut folder = entry.key.clone();
        while folder != Key::root() {
            if folder.name() == OWN || folder.name() == "_delta_log" {
                return Some(folder.parent()).filter(|lake| *lake != Key::root());
            }
            folder = folder.parent();
        }
        None
    };
    let mut lakes: Vec<Key> = entries.iter().filter_map(lake).collect();
    lakes.dedup();
    lakes
}

/// Leaves out links to other files of the inbox.
fn without_links(mut arrivals: Vec<Arrival>) -> Vec<Arrival> {
    let path = |arrival: &Arrival| match &arrival.at {
        At::File(path) => Some(path.clone()),
        At::Object(_) => None,
    };
    let real: BTreeSet<PathBuf> = arrivals.iter().filter_map(path).collect();
    let mut linked = BTreeSet::new();
    arrivals.retain(|arrival| {
        let target = path(arrival).filter(|path| path.is_symlink());
        let target = target.and_then(|path| path.canonicalize().ok());
        target.is_none_or(|target| !real.contains(&target) && linked.insert(target))
    });
    arrivals
}

fn millis(since: Duration) -> u64 {
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn since_1970(at: SystemTime) -> Duration {
    at.duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Returns `true` for a complete file that the nightly did not write itself.
fn is_arrival(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    !name.ends_with(".error.txt") && !is_partial(path)
}
