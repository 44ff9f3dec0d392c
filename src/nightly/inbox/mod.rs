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
//! | an object of a store, which is whole when it is listed | loaded, unless `settle_seconds` is set |
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
//!
//! Each folder is one of this machine or a part of an object store, wherever the lake is. Objects are
//! copied to this machine to be loaded, a bounded number of bytes at a time.

mod arrival;
mod folders;
mod memory;
mod moves;
mod scan;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::PathBuf;

use chrono_tz::Tz;
use serde::Serialize;

use self::arrival::{Arrival, At, Fetched, fetch, split_by_change};
use self::folders::Folders;
use self::memory::Memory;
use self::moves::{delete_all, move_all, move_failed};
use self::scan::{Waiting, scan};
use super::run_lock::RunLock;
use crate::config::{After, Config};
use crate::error::{Error, Fault, Result};
use crate::lake::Lake;
use crate::lake::vacuum::{self, Vacuumed};
use crate::load::{self, Failure, LoadReport};

/// Bytes of objects that are copied to this machine for one load, as soon as one object has fewer.
const BATCH: u64 = 4 << 30;

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
    /// Rows that became one with another row of the same file.
    pub rows_folded: u64,
    /// Rejected records.
    pub rows_rejected: u64,
    /// Records of erased persons who are kept out of the lake.
    pub rows_kept_out: u64,
    /// Files that could not be loaded.
    pub failed: Vec<Failure>,
}

/// Loads the new files.
///
/// # Errors
/// A lake that cannot be written, a folder that cannot be read. Files that fail are listed in the
/// result.
pub(super) fn load(lake: &Lake, config: &Config, lock: &RunLock) -> Result<InboxReport> {
    let before = Memory::of(lake)?;
    let folders = Folders::of(lake, config)?;
    let Waiting { new, arriving, memory } = scan(lake, config, &folders, &before)?;
    let options = load::Options {
        source_timezone: config.source_timezone.unwrap_or(Tz::UTC),
        source_timezones: config.source_timezones.clone(),
        default_country: config.default_country,
        windows: config.inbox.windows(),
        ..load::Options::default()
    };
    let mut loading = Loading {
        lake,
        config,
        lock,
        folders,
        options,
        report: InboxReport::default(),
        arriving,
        memory,
    };
    for batch in batches(new) {
        loading.load_batch(batch)?;
    }
    let Loading { mut report, arriving, memory, .. } = loading;
    if memory != before {
        memory.store(lake)?;
    }
    report.arriving = names(&arriving);
    Ok(report)
}

/// Splits files so that the objects of each part have [`BATCH`] bytes at most, or are one.
fn batches(arrivals: Vec<Arrival>) -> Vec<Vec<Arrival>> {
    let mut batches: Vec<Vec<Arrival>> = Vec::new();
    let mut bytes = 0;
    for arrival in arrivals {
        let own = if matches!(arrival.at, At::Object(_)) { arrival.seen.bytes } else { 0 };
        match batches.last_mut() {
            Some(batch) if bytes + own <= BATCH => batch.push(arrival),
            _ => {
                bytes = 0;
                batches.push(vec![arrival]);
            }
        }
        bytes += own;
    }
    batches
}

/// The loading of the inbox.
struct Loading<'l> {
    lake: &'l Lake,
    config: &'l Config,
    lock: &'l RunLock,
    folders: Folders,
    options: load::Options,
    report: InboxReport,
    arriving: Vec<Arrival>,
    memory: Memory,
}

impl Loading<'_> {
    /// Loads files together, then leaves, moves or deletes them.
    fn load_batch(&mut self, batch: Vec<Arrival>) -> Result<()> {
        // The folder of the copies, until they are moved or deleted.
        let copies = match batch.iter().any(|arrival| matches!(arrival.at, At::Object(_))) {
            true => Some(self.lake.scratch()?),
            false => None,
        };
        let folder = copies.as_deref().unwrap_or(std::path::Path::new(""));
        let mut new = Vec::new();
        for fetched in fetch(batch, folder) {
            match fetched {
                Fetched::Ready(arrival) => new.push(arrival),
                Fetched::Changed(arrival) => self.arriving.push(arrival),
                Fetched::Unreadable(arrival, error) => {
                    self.report.failed.push(Failure::of(arrival.shown(), &error));
                }
            }
        }
        let mut done = Vec::new();
        let mut skipped = BTreeSet::new();
        while !new.is_empty() {
            self.lock.check()?;
            match self.load_all(&new) {
                Ok(report) => {
                    self.report.count(&report);
                    skipped.extend(all_skipped(&report));
                    done.append(&mut new);
                }
                Err(error) if error.is_of_change() && new.iter().any(Arrival::has_changed) => {
                    self.arriving.extend(new.extract_if(.., |arrival| arrival.has_changed()));
                }
                // One of them failed: load each by itself, so that the others are not held up.
                Err(error) if error.fault() == Fault::Data => {
                    for arrival in std::mem::take(&mut new) {
                        self.lock.check()?;
                        match self.load_all(std::slice::from_ref(&arrival)) {
                            Ok(report) => {
                                self.report.count(&report);
                                skipped.extend(all_skipped(&report));
                                done.push(arrival);
                            }
                            Err(error) if error.is_of_change() => self.arriving.push(arrival),
                            Err(error) if error.fault() != Fault::Data => return Err(error),
                            Err(_) if arrival.has_changed() => self.arriving.push(arrival),
                            Err(error) => {
                                if let Some(failed) = &self.folders.failed {
                                    move_failed(failed, &arrival, &error)?;
                                }
                                self.report.failed.push(Failure::of(arrival.shown(), &error));
                            }
                        }
                    }
                }
                Err(error) => return Err(error),
            }
        }
        self.put_away(done, &skipped)
    }

    fn load_all(&self, arrivals: &[Arrival]) -> Result<LoadReport> {
        let paths: Vec<PathBuf> =
            arrivals.iter().map(|arrival| arrival.path().to_owned()).collect();
        let files = arrivals.iter().filter(|arrival| matches!(arrival.at, At::File(_)));
        let seen = files.map(|arrival| (arrival.path().to_owned(), arrival.seen.clone()));
        load::load_as_seen(self.lake, &paths, &seen.collect(), &self.options)
    }

    /// Leaves, moves or deletes loaded files, as the settings say. `skipped` has the names of those
    /// whose records were all skipped: they are never deleted.
    fn put_away(&mut self, done: Vec<Arrival>, skipped: &BTreeSet<OsString>) -> Result<()> {
        let after = self.config.inbox.after;
        let stays = |arrival: &Arrival| match after {
            After::Leave => true,
            After::Move => false,
            After::Delete => arrival.path().file_name().is_some_and(|name| skipped.contains(name)),
        };
        // An object that was loaded and then replaced is found by the next listing.
        let is_left = |arrival: &Arrival| stays(arrival) && matches!(arrival.at, At::Object(_));
        let (mut left, others): (Vec<_>, Vec<_>) = done.into_iter().partition(is_left);
        let (same, changed) = split_by_change(others)?;
        self.arriving.extend(changed);
        let (stay, go): (Vec<_>, Vec<_>) = same.into_iter().partition(stays);
        left.extend(stay);
        for arrival in left {
            self.memory.left.insert(arrival.key(), arrival.seen);
        }
        match after {
            After::Move => {
                let folder = self.folders.loaded.as_ref();
                let folder = folder.ok_or_else(|| Error::bug("no folder to move files to"))?;
                move_all(folder, &go)
            }
            After::Leave | After::Delete => delete_all(&go),
        }
    }
}

/// What a run would load or leave for the next, without reading the files.
pub(super) fn waiting(lake: &Lake, config: &Config) -> Result<InboxReport> {
    let folders = Folders::of(lake, config)?;
    let Waiting { new, arriving, .. } = scan(lake, config, &folders, &Memory::of(lake)?)?;
    let (names, arriving) = (names(&new), names(&arriving));
    Ok(InboxReport { files: names.len() as u64, names, arriving, ..InboxReport::default() })
}

/// Deletes what killed moves left in the folders `loaded` and `failed`.
///
/// # Errors
/// As [`moves::sweep`].
pub(super) fn sweep(
    lake: &Lake,
    config: &Config,
    options: vacuum::Options,
    done: &mut Vacuumed,
) -> Result<()> {
    moves::sweep(&Folders::of(lake, config)?, options, done)
}

fn names(arrivals: &[Arrival]) -> Vec<String> {
    let mut names: Vec<String> = arrivals.iter().map(Arrival::shown).collect();
    names.sort();
    names
}

/// The names of files, or of archives with files, all of whose records were skipped.
fn all_skipped(report: &LoadReport) -> Vec<OsString> {
    let is_skipped =
        |file: &load::FileReport| file.rows_left_out > 0 && file.rows_left_out == file.rows_read;
    let outer = |name: &str| name.split('/').next().map(OsString::from);
    let files = report.files.chunk_by(|_, next| next.is_continued);
    let whole = files.filter(|parts| parts.iter().all(is_skipped));
    whole.filter_map(|parts| outer(&parts[0].file)).collect()
}

impl InboxReport {
    fn count(&mut self, report: &LoadReport) {
        for file in report.each_file() {
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
        self.rows_folded += report.total(|file| file.rows_folded);
        self.rows_rejected += report.total(|file| file.rows_rejected);
        self.rows_kept_out += report.total(|file| file.rows_kept_out);
    }
}
