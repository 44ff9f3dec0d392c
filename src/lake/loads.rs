//! The table of loaded files, for queries.
//!
//! The `commitInfo` of a load lists its files, but another program may clean up old commits. So the
//! commit of a load has a second application transaction for each file, which checkpoints keep:
//!
//! ```text
//! 9f3a…                        1               the file is loaded
//! loads/9f3a…/1200/3/17/e0b2…  1764412345678   1,200 records, 3 rejected, 17 with a sentinel; the id
//!                                              and the time of the load
//! ```
//!
//! The window of a file follows its load's id, if it is known: `…/2025-06-01/2025-06-30`.
//!
//! For older loads, the counts come from their commits, and without these from the rejects.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;

use chrono::{DateTime, NaiveDate};
use polars::prelude::*;
use serde_json::Value;
use wabalake_data::tables::loads::{
    FILE_ID, KIND, LOADED_AT, RECORDS, REJECTED, TABLE, WINDOW_FROM, WINDOW_TO, WITH_SENTINEL,
};
use wabalake_data::tables::{UTC_DAY, instant};
use wabalake_data::{TABLES, Table};

use super::history::{LOAD_ID, operation};
use super::log::{CommitInfo, Transaction, commit_info};
use super::rejects::{self, REJECTS};
use super::undo::Load;
use super::{Lake, Loaded, Operation, Snapshot};
use crate::error::Result;

/// Counts of a loaded file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct FileCounts {
    /// When it was loaded, in milliseconds since 1970; `None` if unknown.
    at: Option<i64>,
    /// Its records.
    records: i64,
    /// Rejected records.
    rejected: i64,
    /// Records with a sentinel.
    with_sentinel: i64,
    /// The id of its load; empty if unknown.
    load_id: String,
    /// The first and the last local date of the period that it was asked for.
    window: Option<[NaiveDate; 2]>,
}

/// The prefix of transactions that hold counts.
const LOADS: &str = "loads/";

impl FileCounts {
    /// The counts of a file that the `commitInfo` of a load lists.
    fn reported<'f>(file: &'f Value, info: &CommitInfo) -> Option<(&'f str, Self)> {
        let figure = |name: &str| file[name].as_i64().unwrap_or(0);
        let date = |name: &str| file[name].as_str()?.parse().ok();
        let window = |[from, to]: [&str; 2]| Some([date(from)?, date(to)?]);
        let counts = Self {
            window: window([WINDOW_FROM, WINDOW_TO]),
            at: info.timestamp,
            records: figure("rows_read"),
            rejected: figure("rows_rejected"),
            with_sentinel: figure("rows_with_sentinel"),
            load_id: info.info.get(LOAD_ID).and_then(Value::as_str).unwrap_or_default().to_owned(),
        };
        Some((file["file_id"].as_str()?, counts))
    }

    /// The transaction that holds the counts of a file.
    fn transaction(&self, file_id: &str) -> Transaction {
        let Self { at, records, rejected, with_sentinel, load_id, window } = self;
        let mut name = format!("{LOADS}{file_id}/{records}/{rejected}/{with_sentinel}/{load_id}");
        for date in window.iter().flatten() {
            // Writing to a String does not fail.
            let _ = write!(name, "/{date}");
        }
        Transaction::new(name, at.unwrap_or_default())
    }

    /// Parses a transaction; `None` if it holds no counts.
    pub(super) fn of(transaction: &Transaction) -> Option<(&str, Self)> {
        let mut parts = transaction.app_id.strip_prefix(LOADS)?.split('/');
        let file_id = parts.next()?;
        let mut figure = || parts.next()?.parse().ok();
        let [records, rejected, with_sentinel] = [figure()?, figure()?, figure()?];
        let load_id = parts.next()?.to_owned();
        let at = Some(transaction.version);
        let mut date = || parts.next()?.parse().ok();
        let window = date().zip(date()).map(|(from, to)| [from, to]);
        Some((file_id, Self { at, records, rejected, with_sentinel, load_id, window }))
    }

    /// Returns `true` if they are of a later load.
    pub(super) fn is_later_than(&self, other: &Self) -> bool {
        self.at > other.at
    }
}

/// The transactions that hold the counts of a load's files.
pub(super) fn count_transactions(info: &CommitInfo) -> Vec<Transaction> {
    let files = info.info.get("files").and_then(Value::as_array).into_iter().flatten();
    let counts = files.filter_map(|file| FileCounts::reported(file, info));
    counts.map(|(file_id, counts)| counts.transaction(file_id)).collect()
}

impl Lake {
    /// The rows of the table [`loads`](wabalake_data::tables::loads).
    ///
    /// # Errors
    ///
    /// A log that cannot be read.
    pub fn loads(&self) -> Result<DataFrame> {
        self.loads_at(&self.snapshots(TABLES.iter().copied())?)
    }

    /// The rows of the table, by snapshots of all tables in their order.
    ///
    /// # Errors
    ///
    /// A log that cannot be read.
    pub(crate) fn loads_at<'s>(
        &self,
        snapshots: impl IntoIterator<Item = &'s Snapshot>,
    ) -> Result<DataFrame> {
        let mut loaded: Vec<(String, &'static str, FileCounts)> = Vec::new();
        for (table, snapshot) in TABLES.iter().zip(snapshots) {
            self.add_loads_of(table, snapshot, &mut loaded)?;
        }
        loaded.sort_unstable_by(|a, b| (a.2.at, &a.0, a.1).cmp(&(b.2.at, &b.0, b.1)));
        let counts = |of: fn(&FileCounts) -> i64| -> Vec<i64> {
            loaded.iter().map(|(_, _, counts)| of(counts)).collect()
        };
        let at: Vec<Option<i64>> =
            loaded.iter().map(|(_, _, counts)| counts.at.map(|at| at * 1_000)).collect();
        let at = Column::new(LOADED_AT.into(), at).cast(&instant())?;
        let files: Vec<&str> = loaded.iter().map(|(file, ..)| file.as_str()).collect();
        let kinds: Vec<&str> = loaded.iter().map(|(_, kind, _)| *kind).collect();
        let dates = |of: fn([NaiveDate; 2]) -> NaiveDate| -> Vec<Option<i32>> {
            let windows = loaded.iter().map(|(_, _, counts)| counts.window);
            windows.map(|window| window.map(|window| of(window).to_epoch_days())).collect()
        };
        let date = |name: &str, days: Vec<Option<i32>>| {
            Column::new(name.into(), days).cast(&DataType::Date)
        };
        let columns = vec![
            Column::new(FILE_ID.into(), files),
            Column::new(KIND.into(), kinds),
            at.clone(),
            Column::new(RECORDS.into(), counts(|counts| counts.records)),
            Column::new(REJECTED.into(), counts(|counts| counts.rejected)),
            Column::new(WITH_SENTINEL.into(), counts(|counts| counts.with_sentinel)),
            date(WINDOW_FROM, dates(|[from, _]| from))?,
            date(WINDOW_TO, dates(|[_, to]| to))?,
            at.cast(&DataType::Date)?.with_name(UTC_DAY.into()),
        ];
        let rows = DataFrame::new(loaded.len(), columns)?;
        debug_assert_eq!(rows.schema().as_ref(), &TABLE.schema());
        Ok(rows)
    }

    fn add_loads_of(
        &self,
        table: &'static Table,
        snapshot: &Snapshot,
        loaded: &mut Vec<(String, &'static str, FileCounts)>,
    ) -> Result<()> {
        let Some(state) = &snapshot.state else { return Ok(()) };
        let (held, others): (Vec<&str>, Vec<&str>) =
            snapshot.loaded().partition(|file| state.counts.contains_key(*file));
        let held =
            held.into_iter().filter_map(|file| Some((file, state.counts.get(file)?.clone())));
        loaded.extend(held.map(|(file, counts)| (file.to_owned(), table.name, counts)));
        if others.is_empty() {
            return Ok(());
        }
        let mut found = self.counts_in_commits(table, &others)?;
        let rejected =
            if found.len() < others.len() { self.rejects_of(table)? } else { HashMap::new() };
        for file in others {
            let counts = found.remove(file).unwrap_or_else(|| {
                let rejected = rejected.get(file).copied().unwrap_or(0);
                FileCounts { rejected, records: rejected, ..FileCounts::default() }
            });
            loaded.push((file.to_owned(), table.name, counts));
        }
        Ok(())
    }

    /// The transactions that hold the counts of loaded files which only commits have: those of a version
    /// that wrote no such transactions.
    pub(crate) fn uncounted_loads(
        &self,
        table: &'static Table,
        snapshot: &Snapshot,
    ) -> Result<Vec<(String, Loaded)>> {
        let Some(state) = &snapshot.state else { return Ok(Vec::new()) };
        let is_held = |file: &&str| !state.counts.contains_key(*file);
        let files: Vec<&str> = snapshot.loaded().filter(is_held).collect();
        if files.is_empty() || !TABLES.contains(&table) {
            return Ok(Vec::new());
        }
        let mut counted: Vec<(String, Loaded)> = self
            .counts_in_commits(table, &files)?
            .into_iter()
            .map(|(file, counts)| counts.transaction(&file))
            .map(|transaction| (transaction.app_id, Loaded(transaction.version)))
            .collect();
        counted.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        Ok(counted)
    }

    /// The last load with a file that is still loaded, by its transactions. `undo` instead needs
    /// the commits, which may be gone.
    pub(super) fn last_load_held(&self) -> Result<Option<Load>> {
        let mut last: Option<Load> = None;
        for table in TABLES {
            let snapshot = self.snapshot(*table)?;
            let Some(state) = &snapshot.state else { continue };
            let held = snapshot.loaded().filter_map(|file| state.counts.get(file));
            let Some(counts) = held.max_by_key(|counts| counts.at) else { continue };
            let at = counts.at.and_then(DateTime::from_timestamp_millis).unwrap_or_default();
            match &mut last {
                Some(last) if last.load_id == counts.load_id => {
                    last.time = last.time.max(at);
                    last.tables.push(table.name);
                }
                Some(last) if last.time > at => {}
                last => {
                    let load_id = counts.load_id.clone();
                    *last = Some(Load { time: at, load_id, tables: vec![table.name] });
                }
            }
        }
        Ok(last)
    }

    /// The counts of files by the last commit that lists them.
    fn counts_in_commits(
        &self,
        table: &'static Table,
        files: &[&str],
    ) -> Result<HashMap<String, FileCounts>> {
        let wanted: HashSet<&str> = files.iter().copied().collect();
        let mut found = HashMap::new();
        let log = self.log(table)?;
        let versions = log.versions()?;
        log.fetch_commits(&versions);
        for version in versions.into_iter().rev() {
            let actions = log.actions(version)?;
            let info = commit_info(&actions);
            let is_load = operation(&actions) == Some(Operation::Load);
            let Some(info) = info.filter(|_| is_load) else { continue };
            let files = info.info.get("files").and_then(Value::as_array).into_iter().flatten();
            for (file, counts) in files.filter_map(|file| FileCounts::reported(file, info)) {
                if wanted.contains(file) {
                    found.entry(file.to_owned()).or_insert(counts);
                }
            }
            if found.len() == wanted.len() {
                break;
            }
        }
        Ok(found)
    }

    /// The number of rejects of each file of a table.
    fn rejects_of(&self, table: &'static Table) -> Result<HashMap<String, i64>> {
        let rejects = self.snapshot(&REJECTS)?.scan()?;
        let owners = rejects
            .filter(col(rejects::KIND).eq(lit(table.name)).and(col(rejects::LINE).gt(lit(0))))
            .select([col(rejects::FILE_ID)])
            .collect()?;
        let mut counts = HashMap::new();
        for owner in owners.column(rejects::FILE_ID)?.str()?.iter().flatten() {
            *counts.entry(owner.to_owned()).or_insert(0) += 1;
        }
        Ok(counts)
    }
}
