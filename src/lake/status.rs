//! Summarises a lake.

use chrono::{DateTime, NaiveDate, Utc};

use super::log::{commit_info, commit_time};
use super::rejects::{self, Which};
use super::undo::Load;
use super::{Lake, Layout, stored_tables};
use crate::error::Result;

/// The summary of a lake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The tables that exist.
    pub tables: Vec<TableStatus>,
    /// The last load that is not undone.
    pub last_load: Option<Load>,
    /// Unresolved rejects.
    pub open_rejects: u64,
}

/// The summary of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableStatus {
    /// Its name.
    pub table: &'static str,
    /// Its version.
    pub version: u64,
    /// The time of its last commit.
    pub changed: DateTime<Utc>,
    /// Its number of rows.
    pub rows: u64,
    /// Rows without a time.
    pub undated_rows: u64,
    /// The number of UTC days with rows.
    pub days: u64,
    /// The first of them.
    pub first_day: Option<NaiveDate>,
    /// The last of them.
    pub last_day: Option<NaiveDate>,
    /// Its number of files.
    pub files: u64,
    /// Their size in bytes.
    pub bytes: u64,
}

impl Lake {
    /// Summarises the lake.
    ///
    /// # Errors
    ///
    /// A log that cannot be read.
    pub fn status(&self) -> Result<Status> {
        let mut tables = Vec::new();
        if self.place().as_folder().is_none() {
            // The last load is looked up in all of them.
            let layouts: Vec<Layout> = stored_tables().map(Into::into).collect();
            self.snapshots(layouts.iter())?;
            self.each(&layouts, |layout| self.log(layout)?.versions())?;
        }
        for (table, snapshot) in stored_tables().zip(self.snapshots(stored_tables())?) {
            let Some(version) = snapshot.version else { continue };
            let mut days: Vec<NaiveDate> =
                snapshot.files.iter().filter_map(|file| file.day).collect();
            days.dedup();
            let undated = snapshot.files_of(None);
            // If another program cleaned up the log, only a checkpoint may be left.
            let log = self.log_of(table);
            let is_there = log.exists(&log.commit_key(version));
            let actions = if is_there { log.actions(version)? } else { Vec::new() };
            tables.push(TableStatus {
                table: table.name,
                version,
                changed: commit_time(commit_info(&actions)),
                rows: snapshot.rows(),
                undated_rows: undated.map(|file| file.rows).sum(),
                days: days.len() as u64,
                first_day: days.first().copied(),
                last_day: days.last().copied(),
                files: snapshot.files.len() as u64,
                bytes: snapshot.files.iter().map(|file| file.bytes).sum(),
            });
        }
        let open = rejects::read(self, Which::Open)?.collect()?;
        let last_load = match self.last_load()? {
            Some(load) => Some(load),
            None => self.last_load_held()?,
        };
        Ok(Status { tables, last_load, open_rejects: open.height() as u64 })
    }
}
