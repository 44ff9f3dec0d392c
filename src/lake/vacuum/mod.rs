//! Deletes files that no retained version needs.
//!
//! | file | deleted |
//! |---|---|
//! | of the newest version | never |
//! | replaced | once that is longer ago than the retention |
//! | of no version, from a killed load | once it is older than the retention |
//! | temporary, from a killed commit or load | once it is older than the retention |
//! | an empty folder of a day | once it is older than the retention, or was emptied here |
//! | not written by wabalake | never, it is skipped |
//! | behind a link | never, it is skipped |
//!
//! So every version within the retention stays readable, for running queries and for `undo`. No load
//! may run meanwhile: its files belong to no version yet.
//!
//! A file is recognised as wabalake's by its path, `utc_day=2025-06-01/<uuid>.parquet`, or because the
//! table's log removed it.

mod store;

use std::collections::HashMap;
use std::fs::{self, FileType};
use std::path::{Path, PathBuf};

use chrono::{DateTime, TimeDelta, Utc};

use crate::error::{Context as _, Error, Result};
use crate::files::is_temporary;
use crate::lake::files::{
    entries, files_below, is_data_file, is_day, is_log_leftover, is_scratch, is_unnamed, listed,
    modified, name,
};
use crate::lake::layout::stored_tables;
use crate::lake::log::{Action, Log, State, commit_info, commit_time};
use crate::lake::marts::MART_DAY;
use crate::lake::{Lake, lock};

/// The options of `vacuum`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// How long a file is kept after it was replaced.
    pub retain: TimeDelta,
    /// Reports what would be deleted, and deletes nothing.
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
    /// Files, by their paths below the lake's folder.
    pub files: Vec<PathBuf>,
    /// Their bytes.
    pub bytes: u64,
    /// What was skipped, by its path below the lake's folder.
    pub skipped: Vec<(PathBuf, SkipReason)>,
}

/// Why something is skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SkipReason {
    /// It is a link, and may lead out of the lake.
    Link,
    /// Its name is none that wabalake writes.
    Foreign,
    /// A table without a log: its first load was killed, or its log was deleted and can be restored.
    NoLog,
}

impl SkipReason {
    /// The reason in words.
    pub fn text(self) -> &'static str {
        match self {
            Self::Link => "a link",
            Self::Foreign => "not wabalake's",
            Self::NoLog => "files of a table without a log",
        }
    }
}

impl Lake {
    /// Deletes the files that no version within the retention needs.
    ///
    /// # Errors
    ///
    /// A load, undo or compaction in progress; files that cannot be deleted.
    pub fn vacuum(&self, options: Options) -> Result<Vacuumed> {
        if self.place().as_folder().is_none() {
            return self.vacuum_store(options);
        }
        let lock = self.writing_lock();
        let alone = if options.dry_run { lock::look(&lock) } else { lock::take(&lock)? };
        let Some(_alone) = alone else {
            return Err(Error::lake("another command is writing to the lake")
                .hint("run `wabalake vacuum` again when it is done"));
        };
        if !options.dry_run {
            self.settle_all()?;
        }
        let mut sweep = Sweep::new(self.root(), options);
        for table in stored_tables() {
            // An unreadable log fails the whole run: it may need any file.
            let snapshot = self.snapshot(table)?;
            if let Some(state) = &snapshot.state {
                sweep.table(&snapshot.folder(), snapshot.layout.partition, state)?;
            }
        }
        for (mart, kind) in sweep.below(&self.root().join("marts"))? {
            if kind.is_symlink() {
                sweep.skip(&mart, SkipReason::Link);
                continue;
            }
            // The next nightly run rebuilds a mart that cannot be read.
            if let Ok(Some(state)) = Log::in_folder(&mart).state(None) {
                sweep.table(&mart, MART_DAY, &state)?;
            }
        }
        sweep.scratch(&self.internal_folder("scratch"))?;
        let own = self.root().join(".wabalake");
        let unnamed = |name: &str| is_temporary(name) || is_unnamed(name);
        sweep.temporary(&own, unnamed)?;
        for folder in entries(&own)? {
            if folder.is_dir() && folder != self.internal_folder("scratch") {
                sweep.temporary(&folder, unnamed)?;
            }
        }
        sweep.temporary(self.root(), is_temporary)?;
        Ok(sweep.done)
    }
}

/// One pass over a lake. It follows no link.
struct Sweep<'a> {
    root: &'a Path,
    until: DateTime<Utc>,
    dry_run: bool,
    done: Vacuumed,
}

impl<'a> Sweep<'a> {
    fn new(root: &'a Path, options: Options) -> Self {
        let until = Utc::now() - options.retain;
        Self { root, until, dry_run: options.dry_run, done: Vacuumed::default() }
    }

    /// The entries of a folder; none if the path has a link.
    fn below(&mut self, folder: &Path) -> Result<Vec<(PathBuf, FileType)>> {
        let way = folder.ancestors().take_while(|part| *part != self.root);
        match way.filter(|part| part.is_symlink()).last() {
            Some(link) => {
                let link = link.to_owned();
                self.skip(&link, SkipReason::Link);
                Ok(Vec::new())
            }
            None => listed(folder),
        }
    }

    fn table(&mut self, table: &Path, partition: &str, state: &State) -> Result<()> {
        let replaced = replaced(&Log::in_folder(table))?;
        for (path, kind) in self.below(table)? {
            let name = name(&path);
            if name == "_delta_log" {
                self.temporary(&path, is_log_leftover)?;
            } else if kind.is_symlink() {
                self.skip(&path, SkipReason::Link);
            } else if kind.is_dir() && is_day(&name, partition) {
                self.day(&path, state, &replaced)?;
            } else {
                self.skip(&path, SkipReason::Foreign);
            }
        }
        Ok(())
    }

    /// Deletes files of one day.
    fn day(
        &mut self,
        folder: &Path,
        state: &State,
        replaced: &HashMap<String, DateTime<Utc>>,
    ) -> Result<()> {
        let day = name(folder);
        let (is_old, before) = (modified(folder)? < self.until, self.done.files.len());
        for (file, kind) in self.below(folder)? {
            let own = name(&file);
            let path = format!("{day}/{own}");
            if state.files.contains_key(&path) {
                continue;
            }
            let replaced = replaced.get(&path);
            if kind.is_symlink() {
                self.skip(&file, SkipReason::Link);
            } else if !kind.is_file() || replaced.is_none() && !is_data_file(&own) {
                self.skip(&file, SkipReason::Foreign);
            } else {
                let since = replaced.copied().map_or_else(|| modified(&file), Ok)?;
                if since < self.until {
                    self.delete(&file)?;
                }
            }
        }
        if !self.dry_run && (is_old || self.done.files.len() > before) {
            // Fails, as intended, if the folder is not empty.
            let _ = fs::remove_dir(folder);
        }
        Ok(())
    }

    /// Deletes the scratch folders of killed processes.
    fn scratch(&mut self, scratch: &Path) -> Result<()> {
        for (path, kind) in self.below(scratch)? {
            if kind.is_symlink() {
                self.skip(&path, SkipReason::Link);
            } else if !kind.is_dir() || !is_scratch(&name(&path)) {
                self.skip(&path, SkipReason::Foreign);
            } else if modified(&path)? < self.until {
                for file in files_below(&path)? {
                    self.count(&file)?;
                }
                if !self.dry_run {
                    // This deletes links, not their targets.
                    fs::remove_dir_all(&path).context(|| deleting(&path))?;
                }
            }
        }
        Ok(())
    }

    /// Deletes temporary files in a folder.
    fn temporary(&mut self, folder: &Path, is: fn(&str) -> bool) -> Result<()> {
        for (file, kind) in self.below(folder)? {
            if kind.is_file() && is(&name(&file)) && modified(&file)? < self.until {
                self.delete(&file)?;
            }
        }
        Ok(())
    }

    fn delete(&mut self, file: &Path) -> Result<()> {
        self.count(file)?;
        if !self.dry_run {
            fs::remove_file(file).context(|| deleting(file))?;
        }
        Ok(())
    }

    fn count(&mut self, file: &Path) -> Result<()> {
        self.done.bytes += fs::symlink_metadata(file).context(|| deleting(file))?.len();
        self.done.files.push(file.strip_prefix(self.root).unwrap_or(file).to_owned());
        Ok(())
    }

    fn skip(&mut self, path: &Path, why: SkipReason) {
        let path = path.strip_prefix(self.root).unwrap_or(path);
        if self.done.skipped.iter().all(|(known, _)| known != path) {
            self.done.skipped.push((path.to_owned(), why));
        }
    }
}

/// When each removed file was replaced.
fn replaced(log: &Log) -> Result<HashMap<String, DateTime<Utc>>> {
    let mut replaced = HashMap::new();
    let versions = log.versions()?;
    log.fetch_commits(&versions);
    for version in versions {
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
