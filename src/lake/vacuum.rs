//! Deletes files that no version needs any more.
//!
//! | file | deleted |
//! |---|---|
//! | of the newest version | never |
//! | replaced | once that is longer ago than the retention |
//! | of no version: a killed load's | once it is older than the retention |
//!
//! So every version of the last days can still be read, by a query that is running and by `undo`.
//! No load runs meanwhile: its files are of no version yet.

use std::collections::HashMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use chrono::{DateTime, TimeDelta, Utc};

use super::layout::layouts;
use super::log::{Action, Log, State, commit_info, commit_time};
use super::{Lake, lock};
use crate::error::{Context as _, Error, Result};

/// What to delete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// How long a file is kept after it was replaced.
    pub retain: TimeDelta,
    /// Only tell.
    pub dry_run: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { retain: TimeDelta::days(7), dry_run: false }
    }
}

/// What was deleted, or would be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Vacuumed {
    /// Files, below the lake's folder.
    pub files: Vec<PathBuf>,
    /// Their bytes.
    pub bytes: u64,
}

impl Lake {
    /// Deletes what no version within the retention needs.
    ///
    /// # Errors
    ///
    /// A load, undo or compaction that is running; files that cannot be deleted.
    pub fn vacuum(&self, options: Options) -> Result<Vacuumed> {
        let Some(_alone) = lock::take(&self.writing_lock())? else {
            return Err(Error::lake("the lake is being written to")
                .hint("run `wabalake vacuum` again once the load is done"));
        };
        let until = Utc::now() - options.retain;
        let mut done = Vacuumed::default();
        for table in layouts() {
            // A log that cannot be read tells nothing of what is needed.
            let snapshot = self.snapshot(table)?;
            if let Some(state) = &snapshot.state {
                self.vacuum_table(&snapshot.folder, state, until, options.dry_run, &mut done)?;
            }
        }
        for mart in self.mart_folders()? {
            // One that cannot be read is made anew by the next night.
            if let Ok(Some(state)) = Log::new(&mart).state(None) {
                self.vacuum_table(&mart, &state, until, options.dry_run, &mut done)?;
            }
        }
        self.vacuum_scratch(until, options.dry_run, &mut done)?;
        Ok(done)
    }

    fn vacuum_table(
        &self,
        table: &Path,
        state: &State,
        until: DateTime<Utc>,
        dry_run: bool,
        done: &mut Vacuumed,
    ) -> Result<()> {
        let replaced = replaced(&Log::new(table))?;
        for folder in entries(table)? {
            let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if !folder.is_dir() || name.starts_with(['_', '.']) {
                continue;
            }
            for file in entries(&folder)? {
                let own = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
                let path = format!("{name}/{own}");
                if state.files.contains_key(&path) || !file.is_file() {
                    continue;
                }
                let since = match replaced.get(&path) {
                    Some(since) => *since,
                    None => modified(&file)?,
                };
                if since < until {
                    self.delete(&file, dry_run, done)?;
                }
            }
            if !dry_run {
                // Fails, as it should, while there are files.
                let _ = fs::remove_dir(&folder);
            }
        }
        Ok(())
    }

    /// Temporary files that a killed load left.
    fn vacuum_scratch(
        &self,
        until: DateTime<Utc>,
        dry_run: bool,
        done: &mut Vacuumed,
    ) -> Result<()> {
        for folder in entries(&self.own_folder("scratch"))? {
            if modified(&folder)? >= until {
                continue;
            }
            for file in files_below(&folder)? {
                self.delete(&file, dry_run, done)?;
            }
            if !dry_run {
                fs::remove_dir_all(&folder).context(|| deleting(&folder))?;
            }
        }
        Ok(())
    }

    fn delete(&self, file: &Path, dry_run: bool, done: &mut Vacuumed) -> Result<()> {
        let bytes = fs::metadata(file).context(|| deleting(file))?.len();
        if !dry_run {
            fs::remove_file(file).context(|| deleting(file))?;
        }
        done.files.push(file.strip_prefix(&self.root).unwrap_or(file).to_owned());
        done.bytes += bytes;
        Ok(())
    }
}

/// When each file that is no longer part of a table was replaced.
fn replaced(log: &Log) -> Result<HashMap<String, DateTime<Utc>>> {
    let mut replaced = HashMap::new();
    for version in log.versions()? {
        let actions = log.actions(version)?;
        let committed = commit_time(commit_info(&actions));
        for action in actions {
            if let Action::Remove(remove) = action {
                let at = remove.deletion_timestamp.and_then(DateTime::from_timestamp_millis);
                replaced.insert(remove.path, at.unwrap_or(committed));
            }
        }
    }
    Ok(replaced)
}

fn deleting(file: &Path) -> String {
    format!("deleting `{}`", file.display())
}

fn modified(file: &Path) -> Result<DateTime<Utc>> {
    let modified = fs::metadata(file).and_then(|file| file.modified());
    Ok(modified.context(|| format!("reading the age of `{}`", file.display()))?.into())
}

/// What is in a folder, by name; nothing if there is none.
pub(super) fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let listing = || format!("listing `{}`", folder.display());
    let entries = match fs::read_dir(folder) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.context(listing)?,
    };
    let mut paths = Vec::new();
    for entry in entries {
        paths.push(entry.context(listing)?.path());
    }
    paths.sort();
    Ok(paths)
}

pub(super) fn files_below(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in entries(folder)? {
        if path.is_dir() {
            files.extend(files_below(&path)?);
        } else {
            files.push(path);
        }
    }
    Ok(files)
}
