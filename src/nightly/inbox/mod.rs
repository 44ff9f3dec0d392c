//! The inbox: loads each new file once, recognised by its contents.
//!
//! | file | what happens |
//! |---|---|
//! | new | loaded, all new files by one load |
//! | contents that the lake has | not loaded; then treated as a loaded one |
//! | loaded | left, moved or deleted, as the settings say |
//! | not an export, or damaged | moved to `failed` with `FILE.error.txt`; the others are loaded |
//! | all records rejected | likewise; its rejects are kept |
//! | all records skipped by their type | treated as a loaded one, but never deleted |
//! | changed in the last `settle_seconds`, or while it was read | counted, and left for the next run |
//! | hidden, or incomplete by its name (`.part`, `.tmp`, …) | skipped |
//! | a link to a folder, a lake | skipped, as by `load` |
//! | a link to another file of the inbox | skipped |
//!
//! Files that are left in place are remembered by path, size and modification time, so that a run
//! reads only new ones. Without this memory they are read again and recognised by their contents. A
//! file whose load was undone is not loaded again.
//!
//! Files that are still arriving are remembered too. A file whose modification time is in the future,
//! by another machine's clock, counts as arrived once it is unchanged for `settle_seconds`.

mod memory;
mod moves;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chrono_tz::Tz;
use serde::Serialize;

pub(super) use self::moves::sweep;

use self::memory::{Arriving, Memory};
use self::moves::{move_failed, move_into};
use super::run_lock::RunLock;
use crate::config::{After, Config, FILE};
use crate::error::{Context as _, Error, Fault, Result, in_words};
use crate::lake::Lake;
use crate::load::folder::{FileState, is_partial, walk};
use crate::load::{self, Failure, LoadReport};

/// The result of loading the inbox.
#[derive(Clone, Debug, Default, Serialize)]
pub struct InboxReport {
    /// New files, whose contents the lake did not have.
    pub files: u64,
    /// Files whose contents the lake had.
    pub known: u64,
    /// Names of the new files.
    pub names: Vec<String>,
    /// Names of files that are still arriving and are left for the next run.
    pub arriving: Vec<String>,
    /// Records read.
    pub rows_read: u64,
    /// Rows with a new key.
    pub rows_new: u64,
    /// Rows that replaced stored ones.
    pub rows_updated: u64,
    /// Rows that another row of the same file replaced.
    pub rows_superseded: u64,
    /// Rows whose amounts were added to those of another row of the same file.
    pub rows_added_up: u64,
    /// Rejected records.
    pub rows_rejected: u64,
    /// Records of erased persons who are kept out of the lake.
    pub rows_kept_out: u64,
    /// Files that could not be loaded.
    pub failed: Vec<Failure>,
}

/// A file of the inbox.
#[derive(Clone, Debug)]
struct Arrival {
    path: PathBuf,
    /// Its path below the inbox folder.
    below: PathBuf,
    seen: FileState,
}

impl Arrival {
    fn of(path: PathBuf, inbox: &Path) -> Result<Self> {
        let below = path.strip_prefix(inbox).unwrap_or(&path).to_owned();
        let seen = FileState::of(&path).context(|| format!("reading `{}`", path.display()))?;
        Ok(Self { path, below, seen })
    }

    fn has_changed(&self) -> bool {
        !FileState::of(&self.path).is_ok_and(|seen| seen == self.seen)
    }

    /// Its key in the memory. JSON strings are UTF-8: a hash tells other names apart.
    fn key(&self) -> String {
        let path = self.path.as_os_str();
        let Some(name) = path.to_str() else {
            let hash = xxhash_rust::xxh3::xxh3_128(path.as_encoded_bytes());
            return format!("{} {hash:032x}", path.to_string_lossy());
        };
        name.to_owned()
    }
}

/// The contents of the inbox.
struct Waiting {
    /// Complete files that are not remembered.
    new: Vec<Arrival>,
    /// Files that are still arriving.
    arriving: Vec<Arrival>,
    /// The memory of files that still exist.
    memory: Memory,
}

/// Loads the new files.
///
/// # Errors
/// A lake that cannot be written, a folder that cannot be read. Files that fail are listed in the
/// result.
pub(super) fn load(lake: &Lake, config: &Config, lock: &RunLock) -> Result<InboxReport> {
    let before = Memory::of(lake);
    let Waiting { mut new, mut arriving, mut memory } = scan(lake, config, &before)?;
    let mut arrived = InboxReport::default();
    new.retain(|arrival| match File::open(&arrival.path) {
        Ok(_) => true,
        Err(error) => {
            let error = Error::data(format!("it cannot be read: {}", in_words(&error)))
                .hint("it was left where it is: check its permissions");
            arrived.failed.push(Failure::of(shown(&arrival.below), &error));
            false
        }
    });
    let options = load::Options {
        source_timezone: config.source_timezone.unwrap_or(Tz::UTC),
        source_timezones: config.source_timezones.clone(),
        default_country: config.default_country,
        ..load::Options::default()
    };
    let mut done = Vec::new();
    let mut skipped = BTreeSet::new();
    while !new.is_empty() {
        lock.check()?;
        match load_all(lake, &new, &options) {
            Ok(report) => {
                arrived.count(&report);
                skipped.extend(all_skipped(&report));
                done.append(&mut new);
            }
            Err(error) if error.is_of_change() && new.iter().any(Arrival::has_changed) => {
                arriving.extend(new.extract_if(.., |arrival| arrival.has_changed()));
            }
            // One of them failed: load each by itself, so that the others are not held up.
            Err(error) if error.fault() == Fault::Data => {
                for arrival in std::mem::take(&mut new) {
                    lock.check()?;
                    match load_all(lake, std::slice::from_ref(&arrival), &options) {
                        Ok(report) => {
                            arrived.count(&report);
                            skipped.extend(all_skipped(&report));
                            done.push(arrival);
                        }
                        Err(error) if error.is_of_change() => arriving.push(arrival),
                        Err(error) if error.fault() != Fault::Data => return Err(error),
                        Err(_) if arrival.has_changed() => arriving.push(arrival),
                        Err(error) => {
                            move_failed(lake, config, &arrival, &error)?;
                            arrived.failed.push(Failure::of(shown(&arrival.below), &error));
                        }
                    }
                }
            }
            Err(error) => return Err(error),
        }
    }
    for arrival in done {
        if arrival.has_changed() {
            arriving.push(arrival);
            continue;
        }
        let is_skipped = arrival.path.file_name().is_some_and(|name| skipped.contains(name));
        match config.inbox.after {
            After::Delete if is_skipped => {
                memory.left.insert(arrival.key(), arrival.seen.clone());
            }
            After::Leave => {
                memory.left.insert(arrival.key(), arrival.seen.clone());
            }
            After::Move => {
                let folder = config.inbox.loaded.as_deref().map(|folder| within(lake, folder));
                let folder = folder.ok_or_else(|| Error::bug("no folder to move files to"))?;
                move_into(&folder, &arrival)?;
            }
            After::Delete => {
                let path = &arrival.path;
                fs::remove_file(path).context(|| format!("deleting `{}`", path.display()))?;
            }
        }
    }
    if memory != before {
        memory.store(lake)?;
    }
    arrived.arriving = names(&arriving);
    Ok(arrived)
}

fn load_all(lake: &Lake, arrivals: &[Arrival], options: &load::Options) -> Result<LoadReport> {
    let paths: Vec<PathBuf> = arrivals.iter().map(|arrival| arrival.path.clone()).collect();
    let seen = arrivals.iter().map(|arrival| (arrival.path.clone(), arrival.seen.clone()));
    load::load_as_seen(lake, &paths, &seen.collect(), options)
}

/// What a run would load or leave for the next, without reading the files.
pub(super) fn waiting(lake: &Lake, config: &Config) -> Result<InboxReport> {
    let Waiting { new, arriving, .. } = scan(lake, config, &Memory::of(lake))?;
    let (names, arriving) = (names(&new), names(&arriving));
    Ok(InboxReport { files: names.len() as u64, names, arriving, ..InboxReport::default() })
}

fn names(arrivals: &[Arrival]) -> Vec<String> {
    let mut names: Vec<String> = arrivals.iter().map(|arrival| shown(&arrival.below)).collect();
    names.sort();
    names
}

/// The names of files, or of archives with files, all of whose records were skipped.
fn all_skipped(report: &LoadReport) -> Vec<OsString> {
    let whole =
        |file: &&load::FileReport| file.rows_left_out > 0 && file.rows_left_out == file.rows_read;
    let outer = |name: &str| name.split('/').next().map(OsString::from);
    report.files.iter().filter(whole).filter_map(|file| outer(&file.file)).collect()
}

impl InboxReport {
    fn count(&mut self, report: &LoadReport) {
        for file in &report.files {
            if file.already_loaded {
                self.known += 1;
            } else {
                self.files += 1;
                self.names.push(file.file.clone());
            }
        }
        self.rows_read += report.total(|file| file.rows_read);
        self.rows_new += report.total(|file| file.rows_new);
        self.rows_updated += report.total(|file| file.rows_updated);
        self.rows_superseded += report.total(|file| file.rows_superseded);
        self.rows_added_up += report.total(|file| file.rows_added_up);
        self.rows_rejected += report.total(|file| file.rows_rejected);
        self.rows_kept_out += report.total(|file| file.rows_kept_out);
    }
}

/// Lists the inbox.
fn scan(lake: &Lake, config: &Config, before: &Memory) -> Result<Waiting> {
    let inbox = &config.inbox;
    let mut excluded: Vec<PathBuf> =
        [&inbox.loaded, &inbox.failed].into_iter().flatten().map(|f| within(lake, f)).collect();
    // The lake may be inside its inbox: its own files are not exports.
    excluded.extend(["tables", "marts", FILE].map(|own| lake.root().join(own)));
    let mut arrivals = Vec::new();
    for folder in &inbox.folders {
        let folder = within(lake, folder);
        if !folder.is_dir() {
            return Err(Error::lake(format!("there is no inbox `{}`", folder.display()))
                .hint("make the folder, or name another one in wabalake.toml, under [inbox]"));
        }
        walk(&folder, "", &excluded, &mut |entry| {
            if entry.skip_reason.is_none() && is_arrival(&entry.path) {
                arrivals.push(Arrival::of(entry.path, &folder)?);
            }
            Ok(())
        })?;
    }
    arrivals.sort_by(|a, b| a.path.cmp(&b.path));
    arrivals.dedup_by(|a, b| a.path == b.path);
    let real: BTreeSet<PathBuf> = arrivals.iter().map(|arrival| arrival.path.clone()).collect();
    let mut linked = BTreeSet::new();
    arrivals.retain(|Arrival { path, .. }| {
        let target = path.is_symlink().then(|| path.canonicalize().ok()).flatten();
        target.is_none_or(|target| !real.contains(&target) && linked.insert(target))
    });
    let (settle, now) = (inbox.settle(), since_1970(SystemTime::now()));
    let has_passed = |since: Duration| since.checked_add(settle).is_some_and(|at| at <= now);
    let mut waiting = Waiting { new: Vec::new(), arriving: Vec::new(), memory: Memory::default() };
    for arrival in arrivals {
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

/// Resolves a path of the settings, relative to the lake.
fn within(lake: &Lake, path: &Path) -> PathBuf {
    let path = lake.root().join(path);
    path.canonicalize().unwrap_or(path)
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}
