//! Which files are loaded, as a table for queries.
//!
//! What a commit tells of its files goes when another program cleans old commits away. So the commit
//! of a load has a transaction beside that of each file, which checkpoints keep:
//!
//! ```text
//! 9f3a…                        1               the file is loaded
//! loads/9f3a…/1200/3/17/e0b2…  1764412345678   1,200 records, 3 rejected, 17 with a sentinel; the
//!                                              load that it is of, and when that was
//! ```
//!
//! Of loads of before that was written the commits tell, while they are there, and then the rejects.

use std::collections::{HashMap, HashSet};

use chrono::DateTime;
use deltalake::kernel::transaction::CommitData;
use deltalake::kernel::{Action, CommitInfo, Transaction};
use polars::prelude::*;
use serde_json::Value;
use wabalake_data::tables::loads::{
    FILE_ID, KIND, LOADED_AT, RECORDS, REJECTED, TABLE, WITH_SENTINEL,
};
use wabalake_data::tables::{UTC_DAY, instant};
use wabalake_data::{TABLES, Table};

use super::Lake;
use super::history::{LOAD_ID, purpose};
use super::log::commit_info;
use super::rejects::{self, REJECTS};
use super::undo::Load;
use crate::error::Result;

/// What is known of a file that is loaded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Figures {
    /// When it was loaded, in milliseconds; none if that is not known any more.
    at: Option<i64>,
    /// Its records.
    records: i64,
    /// Of them, those that were rejected.
    rejected: i64,
    /// Of them, those with a sentinel.
    with_sentinel: i64,
    /// The load that it was part of; empty if that is not known.
    load_id: String,
}

/// Begins the names of transactions that hold figures.
const LOADS: &str = "loads/";

impl Figures {
    /// What a commit of a load tells of a file, as it reports it.
    fn reported<'f>(file: &'f Value, info: &CommitInfo) -> Option<(&'f str, Self)> {
        let figure = |name: &str| file[name].as_i64().unwrap_or(0);
        let figures = Self {
            at: info.timestamp,
            records: figure("rows_read"),
            rejected: figure("rows_rejected"),
            with_sentinel: figure("rows_with_sentinel"),
            load_id: info.info.get(LOAD_ID).and_then(Value::as_str).unwrap_or_default().to_owned(),
        };
        Some((file["file_id"].as_str()?, figures))
    }

    /// The transaction that holds the figures of a file.
    fn transaction(&self, file_id: &str) -> Transaction {
        let Self { at, records, rejected, with_sentinel, load_id } = self;
        let name = format!("{LOADS}{file_id}/{records}/{rejected}/{with_sentinel}/{load_id}");
        Transaction::new(name, at.unwrap_or_default())
    }

    /// The file and the figures that a transaction holds; none if it is another.
    pub(super) fn of(transaction: &Transaction) -> Option<(&str, Self)> {
        let mut parts = transaction.app_id.strip_prefix(LOADS)?.split('/');
        let file_id = parts.next()?;
        let mut figure = || parts.next()?.parse().ok();
        let [records, rejected, with_sentinel] = [figure()?, figure()?, figure()?];
        let load_id = parts.next()?.to_owned();
        let at = Some(transaction.version);
        Some((file_id, Self { at, records, rejected, with_sentinel, load_id }))
    }

    /// Whether they are of a later load than others of the same file.
    pub(super) fn is_later_than(&self, other: &Self) -> bool {
        self.at > other.at
    }
}

/// Adds the transactions that hold what a commit tells of its files.
pub(super) fn hold_figures(data: &mut CommitData) {
    let told = data.actions.iter().find_map(|action| match action {
        Action::CommitInfo(told) => Some(told),
        _ => None,
    });
    let Some(told) = told else { return };
    let files = told.info.get("files").and_then(Value::as_array).into_iter().flatten();
    let figures = files.filter_map(|file| Figures::reported(file, told));
    let held: Vec<Action> =
        figures.map(|(file_id, figures)| Action::Txn(figures.transaction(file_id))).collect();
    data.actions.extend(held);
}

impl Lake {
    /// The rows of the table [`loads`](wabalake_data::tables::loads), in the columns of its schema.
    ///
    /// # Errors
    ///
    /// A log that cannot be read.
    pub fn loads(&self) -> Result<DataFrame> {
        let mut loaded: Vec<(String, &'static str, Figures)> = Vec::new();
        for table in TABLES {
            self.add_loads_of(table, &mut loaded)?;
        }
        loaded.sort_unstable_by(|a, b| (a.2.at, &a.0, a.1).cmp(&(b.2.at, &b.0, b.1)));
        let figures = |of: fn(&Figures) -> i64| -> Vec<i64> {
            loaded.iter().map(|(_, _, figures)| of(figures)).collect()
        };
        let at: Vec<Option<i64>> =
            loaded.iter().map(|(_, _, figures)| figures.at.map(|at| at * 1_000)).collect();
        let at = Column::new(LOADED_AT.into(), at).cast(&instant())?;
        let files: Vec<&str> = loaded.iter().map(|(file, ..)| file.as_str()).collect();
        let kinds: Vec<&str> = loaded.iter().map(|(_, kind, _)| *kind).collect();
        let columns = vec![
            Column::new(FILE_ID.into(), files),
            Column::new(KIND.into(), kinds),
            at.clone(),
            Column::new(RECORDS.into(), figures(|figures| figures.records)),
            Column::new(REJECTED.into(), figures(|figures| figures.rejected)),
            Column::new(WITH_SENTINEL.into(), figures(|figures| figures.with_sentinel)),
            at.cast(&DataType::Date)?.with_name(UTC_DAY.into()),
        ];
        let rows = DataFrame::new(loaded.len(), columns)?;
        debug_assert_eq!(rows.schema().as_ref(), &TABLE.schema());
        Ok(rows)
    }

    fn add_loads_of(
        &self,
        table: &'static Table,
        loaded: &mut Vec<(String, &'static str, Figures)>,
    ) -> Result<()> {
        let snapshot = self.snapshot(table)?;
        let Some(state) = &snapshot.state else { return Ok(()) };
        let (held, others): (Vec<&str>, Vec<&str>) =
            snapshot.loaded().partition(|file| state.figures.contains_key(*file));
        let held =
            held.into_iter().filter_map(|file| Some((file, state.figures.get(file)?.clone())));
        loaded.extend(held.map(|(file, figures)| (file.to_owned(), table.name, figures)));
        if others.is_empty() {
            return Ok(());
        }
        let mut told = self.told_by_commits(table, &others)?;
        let rejected =
            if told.len() < others.len() { self.rejects_of(table)? } else { HashMap::new() };
        for file in others {
            let figures = told.remove(file).unwrap_or_else(|| {
                let rejected = rejected.get(file).copied().unwrap_or(0);
                Figures { rejected, records: rejected, ..Figures::default() }
            });
            loaded.push((file.to_owned(), table.name, figures));
        }
        Ok(())
    }

    /// The last load of which a file is still loaded, by what transactions hold: undo needs its
    /// commits, which may be gone.
    pub(super) fn last_load_held(&self) -> Result<Option<Load>> {
        let mut last: Option<Load> = None;
        for table in TABLES {
            let snapshot = self.snapshot(*table)?;
            let Some(state) = &snapshot.state else { continue };
            let held = snapshot.loaded().filter_map(|file| state.figures.get(file));
            let Some(figures) = held.max_by_key(|figures| figures.at) else { continue };
            let at = figures.at.and_then(DateTime::from_timestamp_millis).unwrap_or_default();
            match &mut last {
                Some(last) if last.load_id == figures.load_id => {
                    last.time = last.time.max(at);
                    last.tables.push(table.name);
                }
                Some(last) if last.time > at => {}
                last => {
                    let load_id = figures.load_id.clone();
                    *last = Some(Load { time: at, load_id, tables: vec![table.name] });
                }
            }
        }
        Ok(last)
    }

    /// What commits tell of some files, by the last that tells it.
    fn told_by_commits(
        &self,
        table: &'static Table,
        files: &[&str],
    ) -> Result<HashMap<String, Figures>> {
        let wanted: HashSet<&str> = files.iter().copied().collect();
        let mut told = HashMap::new();
        let log = self.log(table);
        for version in log.versions()?.into_iter().rev() {
            let actions = log.actions(version)?;
            let Some(info) = commit_info(&actions).filter(|_| purpose(&actions) == "load") else {
                continue;
            };
            let files = info.info.get("files").and_then(Value::as_array).into_iter().flatten();
            for (file, figures) in files.filter_map(|file| Figures::reported(file, info)) {
                if wanted.contains(file) {
                    told.entry(file.to_owned()).or_insert(figures);
                }
            }
            if told.len() == wanted.len() {
                break;
            }
        }
        Ok(told)
    }

    /// How many rejects there are of each file of a table.
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
