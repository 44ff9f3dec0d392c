//! The table `runs`: one row for each nightly run, erasure, upgrade, and audience that was written.
//!
//! It has no personal data: neither file names, which could contain a number, nor parameter values.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use polars::prelude::*;
use serde_json::{Value, json};
use wabalake_data::tables::instant;

use super::{Change, Lake, Operation};
use crate::error::Result;

pub use wabalake_data::tables::runs::TABLE as RUNS;
use wabalake_data::tables::runs::{
    COMMAND, COUNTS, DAYS, FILES, FINISHED_AT, MARTS, OUTCOME, ROWS_NEW, ROWS_READ, ROWS_REJECTED,
    ROWS_UPDATED, RULE, STARTED_AT, VERSIONS,
};

/// The outcome of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunOutcome {
    /// All was done.
    Done,
    /// Some of it failed, the rest was done.
    Incomplete,
    /// It failed.
    Failed,
    /// It crashed or was killed.
    Killed,
}

impl RunOutcome {
    /// Its name in the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Incomplete => "incomplete",
            Self::Failed => "failed",
            Self::Killed => "killed",
        }
    }
}

/// One row of the table.
#[derive(Clone, Debug)]
pub struct Run {
    /// When it began.
    pub started: DateTime<Utc>,
    /// When it ended.
    pub finished: Option<DateTime<Utc>>,
    /// The subcommand.
    pub command: &'static str,
    /// Its outcome.
    pub outcome: RunOutcome,
    /// Files loaded.
    pub files: u64,
    /// Records in them.
    pub rows_read: u64,
    /// Rows with a new key.
    pub rows_new: u64,
    /// Rows that replaced stored ones.
    pub rows_updated: u64,
    /// Rejected records.
    pub rows_rejected: u64,
    /// Marts that were refreshed.
    pub marts: u64,
    /// Days of marts that were computed.
    pub days: u64,
    /// The versions of the tables.
    pub versions: BTreeMap<&'static str, u64>,
    /// The name of an audience in the settings.
    pub rule: Option<String>,
    /// The counts of an audience.
    pub counts: Option<Value>,
}

impl Run {
    /// A run without counts.
    pub fn new(command: &'static str, outcome: RunOutcome, started: DateTime<Utc>) -> Self {
        Self {
            started,
            finished: Some(Utc::now()),
            command,
            outcome,
            files: 0,
            rows_read: 0,
            rows_new: 0,
            rows_updated: 0,
            rows_rejected: 0,
            marts: 0,
            days: 0,
            versions: BTreeMap::new(),
            rule: None,
            counts: None,
        }
    }

    fn row(&self) -> Result<DataFrame> {
        let at = |name: &str, at: Option<DateTime<Utc>>| {
            Column::new(name.into(), [at.map(|at| at.timestamp_micros())]).cast(&instant())
        };
        let count = |name: &str, count: u64| {
            Column::new(name.into(), [i64::try_from(count).unwrap_or(i64::MAX)])
        };
        let columns = vec![
            at(STARTED_AT, Some(self.started))?,
            at(FINISHED_AT, self.finished)?,
            Column::new(COMMAND.into(), [self.command]),
            Column::new(OUTCOME.into(), [self.outcome.name()]),
            count(FILES, self.files),
            count(ROWS_READ, self.rows_read),
            count(ROWS_NEW, self.rows_new),
            count(ROWS_UPDATED, self.rows_updated),
            count(ROWS_REJECTED, self.rows_rejected),
            count(MARTS, self.marts),
            count(DAYS, self.days),
            Column::new(VERSIONS.into(), [json!(self.versions).to_string()]),
            Column::new(RULE.into(), [self.rule.as_deref()]),
            Column::new(COUNTS.into(), [self.counts.as_ref().map(ToString::to_string)]),
        ];
        Ok(DataFrame::new(1, columns)?)
    }
}

impl Lake {
    /// Adds a row to the table `runs`. Release the exclusive write lock before calling: a transaction
    /// waits for the shared one.
    ///
    /// # Errors
    ///
    /// A lake that cannot be written.
    pub fn log_run(&self, run: &Run) -> Result<()> {
        let day = Some(run.started.date_naive());
        self.transact(&RUNS, |snapshot, staging| {
            // A day has one file, whatever the number of its runs.
            let stored: Vec<_> = RUNS.stored().iter_names().map(|name| col(name.clone())).collect();
            let before = snapshot.scan_days(&[day])?.select(stored);
            let order = SortMultipleOptions::default().with_maintain_order(true);
            let both = concat([before, run.row()?.lazy()], UnionArgs::default())?;
            let rows = both.sort([STARTED_AT], order).collect()?;
            Ok(Some(Change {
                remove: snapshot.files_of(day).map(|file| file.path.clone()).collect(),
                add: vec![staging.write(day, rows)?],
                ..Change::new(Operation::Run)
            }))
        })?;
        Ok(())
    }
}
