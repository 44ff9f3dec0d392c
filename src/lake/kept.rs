//! Finds out which old versions of a table can still be read.
//!
//! ```text
//! version 3   a.parquet
//! version 4   b.parquet replaces it     a.parquet was deleted after its retention: version 3 is gone
//! version 5   c.parquet is added        version 4 is the oldest that is kept
//! ```

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use wabalake_data::Table;

use super::log::{Action, commit_info, commit_time};
use super::{DataFile, Lake, Snapshot};
use crate::error::Result;

/// The oldest version of a table that is kept: it and all after it can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OldestKept {
    /// The version.
    pub(crate) version: u64,
    /// When it was committed.
    pub(crate) time: DateTime<Utc>,
}

impl Lake {
    /// Returns `true` if files of a snapshot exist. Those of the newest version are not looked up: nothing
    /// deletes them.
    ///
    /// # Errors
    ///
    /// A log or a place that cannot be read.
    pub(crate) fn are_kept(&self, snapshot: &Snapshot, files: &[&DataFile]) -> Result<bool> {
        let newest = self.snapshot(&snapshot.layout)?;
        let active = paths(&newest);
        let replaced = files.iter().filter(|file| !active.contains(file.path.as_str()));
        let keys = replaced.map(|file| snapshot.key(file)).collect::<Result<Vec<_>>>()?;
        for found in self.place().entries(&keys) {
            if found?.is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Returns `true` if the log of a table goes back to its first version. wabalake deletes no commits, but
    /// other programs may.
    ///
    /// # Errors
    ///
    /// A log that cannot be read.
    pub(crate) fn has_whole_log(&self, table: &'static Table) -> Result<bool> {
        Ok(self.log(table)?.versions()?.first().is_none_or(|first| *first == 0))
    }

    /// The oldest version of a table that is kept; `None` if there is no table.
    ///
    /// # Errors
    ///
    /// A log or a place that cannot be read.
    pub(crate) fn oldest_kept(&self, table: &'static Table) -> Result<Option<OldestKept>> {
        let log = self.log(table)?;
        let versions = log.versions()?;
        let (Some(first), Some(newest)) = (versions.first(), versions.last()) else {
            return Ok(None);
        };
        log.fetch_commits(&versions);
        let mut replaced = HashMap::new();
        for version in &versions {
            for action in log.actions(*version)? {
                if let Action::Remove(remove) = action {
                    replaced.insert(remove.path, *version);
                }
            }
        }
        // An undo may have brought a file back.
        let snapshot = self.snapshot(table)?;
        let active = paths(&snapshot);
        replaced.retain(|path, _| !active.contains(path.as_str()));
        let (files, replaced_by): (Vec<String>, Vec<u64>) = replaced.into_iter().unzip();
        let keys = files.iter().map(|path| log.file_key(path)).collect::<Result<Vec<_>>>()?;
        let mut oldest = 0;
        if *first > 0 {
            // Without the commits before it, a state is known from a checkpoint on.
            let mut states = log.checkpoints()?.into_iter().map(|(version, _)| version);
            oldest = states.find(|version| version >= first).unwrap_or(*newest);
        }
        for (found, replaced_by) in self.place().entries(&keys).into_iter().zip(replaced_by) {
            if found?.is_none() {
                oldest = oldest.max(replaced_by);
            }
        }
        let time = commit_time(commit_info(&log.actions(oldest)?));
        Ok(Some(OldestKept { version: oldest, time }))
    }
}

/// The paths of a snapshot's files.
fn paths(snapshot: &Snapshot) -> HashSet<&str> {
    snapshot.files.iter().map(|file| file.path.as_str()).collect()
}
