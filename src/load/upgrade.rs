//! Upgrades tables that an older version wrote: new columns, persons by the current rules, counts of
//! loads that the log keeps.
//!
//! ```text
//! deployments, as an older version wrote it            after one commit
//! schema      without user_id                          user_id, null in the old rows
//! 06-01       541123456789 c1 10:00  Sent              5491123456789 c1 10:00  Delivered
//!             5491123456789 c1 10:00 Delivered
//! 06-02       573005550101                             –
//! ```
//!
//! Only days with such rows are read as a whole and written again, each as a load would.

use std::collections::BTreeSet;
use std::path::Path;

use chrono::NaiveDate;
use polars::prelude::*;
use wabalake_data::Table;
use wabalake_data::cells::phone::{self, is_user_id};
use wabalake_data::tables::USER_PHONE;

use super::buckets::DayBuckets;
use super::day::NO_DAY;
use super::erased::ErasedNames;
use super::merge_days::{MergeAttempt, MergedDays, MovedKeys};
use super::options::Options;
use super::renormalise::{columns_of_persons, has_person_in_key};
use super::staged::StagedTable;
use crate::error::Result;
use crate::lake::{Change, DataFile, Lake, Operation, Scratch, Snapshot, Staging, stored_tables};

/// What an upgrade does, or would do, to a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UpgradedTable {
    /// Its name.
    pub table: &'static str,
    /// Its version now; `None` in a dry run.
    pub version: Option<u64>,
    /// Columns that its schema gains.
    pub columns: Vec<String>,
    /// Rows whose person is another by the current rules.
    pub rows: u64,
    /// Rows that become one with another row.
    pub merged: u64,
    /// UTC days that are written again, without the rows that have none.
    pub days: BTreeSet<NaiveDate>,
    /// Files whose counts the log has only in commits that another program may delete.
    pub loads: u64,
}

impl UpgradedTable {
    /// Returns `true` if there is nothing to do.
    fn is_done(&self) -> bool {
        self.columns.is_empty() && self.rows == 0 && self.loads == 0
    }
}

/// Upgrades every table, each in one commit, or in a dry run tells what that would do. Returns the
/// tables that have something to do.
///
/// # Errors
///
/// A lake that cannot be read or written; a table with columns that this version does not know.
/// Tables that were upgraded before stay so: run it again.
pub fn upgrade(lake: &Lake, dry_run: bool) -> Result<Vec<UpgradedTable>> {
    let upgraded = stored_tables().map(|table| upgrade_table(lake, table, dry_run));
    let upgraded = upgraded.collect::<Result<Vec<_>>>()?;
    Ok(upgraded.into_iter().filter(|table| !table.is_done()).collect())
}

/// Upgrades one table.
pub(crate) fn upgrade_table(
    lake: &Lake,
    table: &'static Table,
    dry_run: bool,
) -> Result<UpgradedTable> {
    if dry_run {
        let scratch = Scratch::outside()?;
        return Ok(plan(lake, table, &lake.snapshot(table)?, None, &scratch)?.0);
    }
    let scratch = lake.scratch()?;
    let mut upgraded = UpgradedTable::default();
    let transacted = lake.transact(table, |snapshot, staging| {
        let change;
        (upgraded, change) = plan(lake, table, snapshot, Some(staging), &scratch)?;
        Ok((!upgraded.is_done()).then_some(change))
    })?;
    upgraded.version = transacted.version.filter(|_| transacted.is_committed);
    Ok(upgraded)
}

/// The upgrade of a table, and the change that makes it. Without staging nothing is written.
fn plan(
    lake: &Lake,
    table: &'static Table,
    snapshot: &Snapshot,
    staging: Option<&Staging>,
    scratch: &Path,
) -> Result<(UpgradedTable, Change)> {
    let mut upgraded = UpgradedTable { table: table.name, ..UpgradedTable::default() };
    let mut change = Change::new(Operation::Upgrade);
    if snapshot.version.is_none() {
        return Ok((upgraded, change));
    }
    upgraded.columns = snapshot.missing_columns()?;
    change.transactions = lake.uncounted_loads(table, snapshot)?;
    upgraded.loads = change.transactions.len() as u64;
    let days = days_to_renormalise(table, snapshot)?;
    if days.is_empty() {
        return Ok((upgraded, change));
    }
    let staged = StagedTable {
        table,
        rows: DayBuckets::new(scratch, 0)?,
        keys: None,
        rejects: DayBuckets::new(scratch, 0)?,
        left_names: ErasedNames::default(),
        files: Vec::new(),
    };
    let options = Options::default();
    let attempt = MergeAttempt {
        staged: &staged,
        snapshot,
        live: &BTreeSet::new(),
        staging,
        options: &options,
    };
    let moved = attempt.settle_renormalised()?;
    let MergedDays { remove, add, days, renormalised, rows, .. } =
        attempt.merge_days(days, &moved)?;
    (change.remove, change.add) = (remove, add);
    upgraded.days = days;
    upgraded.rows = renormalised;
    upgraded.merged = rows.0.saturating_sub(rows.1);
    Ok((upgraded, change))
}

/// The days with a row whose person is another by the current rules.
fn days_to_renormalise(table: &Table, snapshot: &Snapshot) -> Result<BTreeSet<i32>> {
    let mut days = BTreeSet::new();
    let columns: Vec<&str> = columns_of_persons(table).collect();
    if columns.is_empty() {
        return Ok(days);
    }
    for file in &snapshot.files {
        let rows = snapshot.scan_files(&[file])?;
        let rows = rows.select(columns.iter().copied().map(col).collect::<Vec<_>>()).collect()?;
        let is_old = |phone: &str| {
            is_user_id(phone) || (!phone::is_current(phone) && phone::renormalise(phone).is_some())
        };
        let mut is_any_old = rows.column(USER_PHONE)?.str()?.iter().flatten().any(is_old);
        for written in &columns {
            is_any_old |= rows.column(written)?.str()?.iter().flatten().any(is_user_id);
        }
        if is_any_old {
            days.insert(day_of(file));
        }
    }
    Ok(days)
}

fn day_of(file: &DataFile) -> i32 {
    file.day.map_or(NO_DAY, |day| day.to_epoch_days())
}

impl MergeAttempt<'_> {
    /// Decides which rows stay, of those that have one key by the current rules and are on several
    /// days.
    fn settle_renormalised(&self) -> Result<MovedKeys> {
        let table = self.staged.table;
        let Some(hash) = table.key_hash().filter(|_| has_person_in_key(table)) else {
            return Ok(MovedKeys::default());
        };
        let renormalised = self.renormalised_keys(hash)?;
        let mut days: PlHashMap<i64, i32> = PlHashMap::default();
        let (mut moved, mut lake_days) = (PlHashSet::default(), BTreeSet::new());
        for (key, day) in &renormalised.changed {
            if *days.entry(*key).or_insert(*day) != *day {
                moved.insert(*key);
            }
        }
        let elsewhere = |file: &DataFile, mut keys: Vec<i64>| {
            let own = day_of(file);
            keys.retain(|key| days.get(key).is_some_and(|day| *day != own));
            Ok((!keys.is_empty()).then_some((own, keys)))
        };
        let (others, as_written): (Vec<_>, Vec<_>) =
            self.snapshot.files.iter().partition(|file| renormalised.files.contains(&file.path));
        let mut found = self.snapshot.integers(&as_written, hash, elsewhere)?;
        for file in &others {
            let (rows, _) = self.read_lake(&[file])?;
            found.push(elsewhere(file, rows.column(hash)?.i64()?.iter().flatten().collect())?);
        }
        for (day, keys) in found.into_iter().flatten() {
            moved.extend(keys);
            lake_days.insert(day);
        }
        let changed = renormalised.changed.iter().filter(|(key, _)| moved.contains(key));
        lake_days.extend(changed.map(|(_, day)| *day));
        self.settle(moved, lake_days)
    }
}
