//! How much of the time each table covers, and what to export next.
//!
//! ```text
//! deployments   05-01 ▮▮▮▮▯▯▮▮▮▮▮▯▯▯… today      rows on 9 days, 2 missing between them
//!                         └ next window: from the first day without a row,
//!                           to the last such day within 30 days of it
//! ```
//!
//! A row for each table, empty ones too. Days begin in the reporting zone. Rows without a time are
//! counted and lie on no day.
//!
//! Treble hands its sessions and deployments out by windows of at most 30 days, so windows are
//! worked out for these alone. A day on which nothing happened has no row either: it stays in a
//! window however often it is exported.

use std::collections::{BTreeSet, HashSet};

use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;
use polars::prelude::*;
use wabalake_data::tables::{deployments, sessions};
use wabalake_data::{TABLES, Table};
use wabalake_queries::query::zone::Clock;

use super::history::{LOAD_ID, UNDOES, purpose};
use super::log::{commit_info, commit_time};
use super::{Lake, Snapshot};
use crate::error::Result;

/// The most days that one export of Treble's covers.
pub const WINDOW_DAYS: u64 = 30;

/// Tables whose rows say when something came into force, not when it happened: a day without one
/// is no gap.
const WITHOUT_GAPS: [&str; 2] = ["audience_tags", "rates"];

/// What one table covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coverage {
    /// Its name.
    pub table: &'static str,
    /// The first local date that has a row.
    pub first_day: Option<NaiveDate>,
    /// The last.
    pub last_day: Option<NaiveDate>,
    /// Local dates that have rows.
    pub days: u64,
    /// Local dates between the first and the last that have none; null where that is no gap.
    pub missing_days: Option<u64>,
    /// Its rows, those without a time included.
    pub rows: u64,
    /// When the last load was committed that was not taken back.
    pub last_loaded: Option<DateTime<Utc>>,
    /// What to export next: the first and the last date of a window.
    pub next: Option<(NaiveDate, NaiveDate)>,
    /// How many windows are left; null for a table that is not exported by windows.
    pub windows_left: Option<u64>,
}

impl Lake {
    /// What each table covers, by name. Windows are of the days since `since` and before `today`.
    ///
    /// # Errors
    ///
    /// A log or rows that cannot be read.
    pub fn coverage(&self, zone: Tz, since: NaiveDate, today: NaiveDate) -> Result<Vec<Coverage>> {
        let mut tables: Vec<&'static Table> = TABLES.to_vec();
        tables.sort_unstable_by_key(|table| table.name);
        tables.into_iter().map(|table| self.coverage_of(table, zone, since, today)).collect()
    }

    fn coverage_of(
        &self,
        table: &'static Table,
        zone: Tz,
        since: NaiveDate,
        today: NaiveDate,
    ) -> Result<Coverage> {
        let snapshot = self.snapshot(table)?;
        let days = local_days(table, &snapshot, zone)?;
        let (first_day, last_day) = (days.first().copied(), days.last().copied());
        let span = first_day.zip(last_day).map_or(0, |(first, last)| count(first, last) + 1);
        let windows = windows(&days, since, today);
        let by_windows = [sessions::NAME, deployments::NAME].contains(&table.name);
        Ok(Coverage {
            table: table.name,
            first_day,
            last_day,
            days: days.len() as u64,
            missing_days: (!WITHOUT_GAPS.contains(&table.name)).then(|| span - days.len() as u64),
            rows: snapshot.rows(),
            last_loaded: self.last_loaded(table)?,
            next: windows.first().copied().filter(|_| by_windows),
            windows_left: by_windows.then_some(windows.len() as u64),
        })
    }

    /// When the last load was committed into a table that was not taken back from it.
    fn last_loaded(&self, table: &'static Table) -> Result<Option<DateTime<Utc>>> {
        let log = self.log(table);
        let mut undone = HashSet::new();
        for version in log.versions()?.into_iter().rev() {
            let actions = log.actions(version)?;
            let info = commit_info(&actions);
            let word = |name: &str| info?.info.get(name)?.as_str().map(str::to_owned);
            match purpose(&actions) {
                "undo" => undone.extend(word(UNDOES)),
                "load" if !word(LOAD_ID).is_some_and(|id| undone.contains(&id)) => {
                    return Ok(Some(commit_time(info)));
                }
                _ => {}
            }
        }
        Ok(None)
    }
}

/// The local dates on which a table has rows.
fn local_days(table: &Table, snapshot: &Snapshot, zone: Tz) -> Result<BTreeSet<NaiveDate>> {
    let of = table.position(table.day_of).map(|at| table.columns[at].data_type());
    // A date is the same in every zone, and the files say the UTC dates of instants.
    if zone == Tz::UTC || of == Some(DataType::Date) {
        let full = snapshot.files.iter().filter(|file| file.rows > 0);
        return Ok(full.filter_map(|file| file.day).collect());
    }
    let at = match of {
        Some(DataType::Int32 | DataType::Int64) => (col(table.day_of).cast(DataType::Int64)
            * lit(1_000_000i64))
        .cast(wabalake_data::tables::instant()),
        _ => col(table.day_of),
    };
    let day = Clock::Day.start(at, zone).alias(table.day_of);
    let days = snapshot.scan()?.select([day]).unique(None, UniqueKeepStrategy::Any).collect()?;
    let days = days.column(table.day_of)?.cast(&DataType::Int32)?;
    Ok(days.i32()?.iter().flatten().filter_map(NaiveDate::from_epoch_days).collect())
}

/// Windows over the days since one date and before another that have no rows. A window starts at
/// the first such day, ends at the last one that it reaches, and the next goes on from there.
fn windows(
    days: &BTreeSet<NaiveDate>,
    since: NaiveDate,
    today: NaiveDate,
) -> Vec<(NaiveDate, NaiveDate)> {
    let mut windows: Vec<(NaiveDate, NaiveDate)> = Vec::new();
    let lacking = since.iter_days().take_while(|day| *day < today);
    for day in lacking.filter(|day| !days.contains(day)) {
        match windows.last_mut() {
            Some((from, to)) if count(*from, day) < WINDOW_DAYS => *to = day,
            _ => windows.push((day, day)),
        }
    }
    windows
}

/// Days from one date to a later one.
fn count(from: NaiveDate, to: NaiveDate) -> u64 {
    u64::try_from(to.signed_duration_since(from).num_days()).unwrap_or(0)
}

/// The date from which Treble's exports reach back to nothing.
pub fn exports_begin() -> NaiveDate {
    NaiveDate::from_ymd_opt(2025, 4, 15).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn told(days: &[&str], since: &str, today: &str) -> Vec<String> {
        let days = days.iter().map(|day| date(day)).collect();
        let windows = windows(&days, date(since), date(today));
        windows.iter().map(|(from, to)| format!("{from}..{to}")).collect()
    }

    #[test]
    fn windows_reach_thirty_days_and_end_on_a_day_without_rows() {
        assert_eq!(told(&[], "2025-04-15", "2025-04-15"), [""; 0]);
        assert_eq!(told(&[], "2025-04-15", "2025-04-14"), [""; 0]);
        assert_eq!(told(&[], "2025-04-15", "2025-04-16"), ["2025-04-15..2025-04-15"]);
        // 15 April and 29 days are 14 May; 31 days without rows need a second window.
        assert_eq!(told(&[], "2025-04-15", "2025-05-15"), ["2025-04-15..2025-05-14"]);
        assert_eq!(
            told(&[], "2025-04-15", "2025-05-16"),
            ["2025-04-15..2025-05-14", "2025-05-15..2025-05-15"]
        );
        // Days with rows at a window's end are not asked for again, those within it are.
        assert_eq!(
            told(&["2025-05-14", "2025-05-13", "2025-04-20"], "2025-04-15", "2025-05-16"),
            ["2025-04-15..2025-05-12", "2025-05-15..2025-05-15"]
        );
        // Rows before and after the days asked about change nothing.
        assert_eq!(
            told(&["2025-04-01", "2025-04-15", "2025-04-17"], "2025-04-15", "2025-04-17"),
            ["2025-04-16..2025-04-16"]
        );
        assert_eq!(told(&["2025-04-15", "2025-04-16"], "2025-04-15", "2025-04-17"), [""; 0]);
    }
}
