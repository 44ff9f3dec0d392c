//! Which days does each table cover, and what should be exported next?
//!
//! One row per table, empty ones included. Days begin in the reporting time zone. Rows without a
//! timestamp are counted and belong to no day.
//!
//! ```text
//! deployments   05-01 ▮▮▮▮▯▯▮▮▮▮▮▯▯▯… today      9 days with rows, 2 missing days between them
//!                         └ next window: from the first day without a row,
//!                           to the last such day within 30 days of it
//! ```
//!
//! Treble exports sessions and deployments in windows of at most 30 days, so only these two tables have
//! windows. A day without any event has no row, and stays in a window however often it is exported.
//! Rates and tags have the date from which they hold, and identities the first time that they were seen,
//! so days between them are not missing. Nodes have no days.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::{NaiveDate, Utc};
use polars::prelude::{Column, DataFrame, OptFlags, Schema, SchemaRef, UnionArgs, concat};
use wabalake_data::tables::{
    UTC_DAY, audience_tags, deployments, identities, instant, loads, markets, nodes, rates,
    sessions,
};
use wabalake_data::{TABLES, Table};

use crate::query::prelude::*;
use crate::query::time::Clock;
use crate::query::time::read_date;

/// See the [module](self) for the question it answers.
pub struct Coverage;

/// The query's options.
#[derive(Args, Debug)]
pub struct Params {
    /// First day that should have rows [default: 2025-04-15, where Treble's exports begin]
    #[arg(long, value_name = "DATE", value_parser = read_date)]
    since: Option<NaiveDate>,

    /// Day after the last one that should have rows [default: today]
    #[arg(long, value_name = "DATE", value_parser = read_date)]
    today: Option<NaiveDate>,

    #[command(flatten)]
    timezone: Timezone,
}

impl Params {
    fn since(&self) -> NaiveDate {
        self.since.or_else(|| NaiveDate::from_ymd_opt(2025, 4, 15)).unwrap_or_default()
    }

    fn today(&self) -> NaiveDate {
        let today = || Utc::now().with_timezone(&self.timezone.zone()).date_naive();
        self.today.unwrap_or_else(today)
    }
}

/// Name of the table.
pub const TABLE: &str = "table";
/// First day with rows.
pub const FIRST_DAY: &str = "first_day";
/// Last day with rows.
pub const LAST_DAY: &str = "last_day";
/// Days without rows between them; null for tables without gaps.
pub const MISSING_DAYS: &str = "missing_days";
/// Number of rows, those without a timestamp included.
pub const ROWS: &str = "rows";
/// First day of the next export.
pub const NEXT_FROM: &str = "next_from";
/// Last day of the next export.
pub const NEXT_TO: &str = "next_to";

/// The most days in one of Treble's exports.
const WINDOW_DAYS: i64 = 30;

/// Tables that are exported in windows.
const BY_WINDOWS: [&Table; 2] = [&sessions::TABLE, &deployments::TABLE];

/// Tables in which a day without rows is no gap.
const WITHOUT_GAPS: [&Table; 4] =
    [&audience_tags::TABLE, &identities::TABLE, &nodes::TABLE, &rates::TABLE];

const DAYS: &str = "days";
const LAST_LOADED_AT: &str = "last_loaded_at";
const WINDOWS_LEFT: &str = "windows_left";
const DAY: &str = "day";

/// The loads, and every table of exports but the markets: those have no days to be covered.
const READS: [&Table; TABLES.len()] = {
    let mut reads: [&Table; TABLES.len()] = [&loads::TABLE; TABLES.len()];
    let (mut at, mut read) = (0, 1);
    while at < TABLES.len() {
        if !TABLES[at].is_named(markets::NAME) {
            reads[read] = TABLES[at];
            read += 1;
        }
        at += 1;
    }
    reads
};

impl Query for Coverage {
    type Params = Params;

    const SPEC: Spec = Spec {
        name: "coverage",
        title: "What each table covers, and what to export next",
        question: "Which days does each table cover, and what should be exported next? missing_days \
                   counts the days without rows between the first and the last. next_from and \
                   next_to are the next window to export from Treble, which exports at most 30 \
                   days at once; windows_left is the number of such windows.",
        reads: &READS,
        range: Range::History,
        columns: &[
            OutputColumn::term(TABLE),
            OutputColumn::date(FIRST_DAY),
            OutputColumn::date(LAST_DAY),
            OutputColumn::count(DAYS),
            OutputColumn::count(MISSING_DAYS),
            OutputColumn::count(ROWS),
            OutputColumn::instant(LAST_LOADED_AT),
            OutputColumn::date(NEXT_FROM),
            OutputColumn::date(NEXT_TO),
            OutputColumn::count(WINDOWS_LEFT),
        ],
        key: &[TABLE],
        order: &[],
        example: &[
            "--since",
            "2025-06-01",
            "--today",
            "2025-07-01",
            "--timezone",
            "America/Bogota",
        ],
        sql: include_str!("twin.sql"),
    };

    fn resolve(params: &mut Params, defaults: &Defaults) -> Result<Timeframe, UsageError> {
        Ok(params.timezone.resolve(defaults))
    }

    fn plan(tables: &Tables, params: &Params) -> PolarsResult<LazyFrame> {
        let mut covered = Vec::new();
        for table in READS.into_iter().filter(|table| *table != &loads::TABLE) {
            covered.push(covered_by(tables, table, params));
        }
        let loaded =
            tables
                .scan(&loads::TABLE)
                .group_by([col(loads::KIND)])
                .agg([col(loads::LOADED_AT).max().alias(LAST_LOADED_AT)]);
        let known = JoinArgs::new(JoinType::Left);
        Ok(concat(covered, UnionArgs::default())?.join(
            loaded,
            [col(TABLE)],
            [col(loads::KIND)],
            known,
        ))
    }

    fn bind(params: &Params) -> Bindings {
        Bindings::new()
            .date("since", Some(params.since()))
            .date("today", Some(params.today()))
            .text("timezone", params.timezone.zone().name())
    }
}

/// The answer's row of a table.
fn covered_by(tables: &Tables, table: &'static Table, params: &Params) -> LazyFrame {
    let (since, today) = (params.since(), params.today());
    let schema: SchemaRef = Arc::new(covered_schema());
    tables
        .scan(table)
        .select([local_day(table, params.timezone).alias(DAY)])
        .group_by([col(DAY)])
        .agg([rows().cast(DataType::Int64).alias(ROWS)])
        .map(
            move |days| {
                let counts = days.column(ROWS)?.i64()?;
                let days = days.column(DAY)?.cast(&DataType::Int32)?;
                let days = days.i32()?.iter().flatten().filter_map(NaiveDate::from_epoch_days);
                covered(table, &days.collect(), counts.iter().flatten().sum(), since, today)
            },
            OptFlags::empty(),
            Some(Arc::new(move |_: &Schema| -> PolarsResult<SchemaRef> { Ok(schema.clone()) })),
            Some("days covered"),
        )
}

/// The local date of a row; null without a timestamp.
fn local_day(table: &Table, timezone: Timezone) -> Expr {
    let zone = timezone.zone();
    let of = table.position(table.day_of).map(|at| table.columns[at].data_type());
    match of {
        // A table without days has none in the partition; a date is not converted between time zones, and
        // is the partition itself.
        None | Some(DataType::Date) => col(UTC_DAY),
        _ if zone == chrono_tz::UTC => col(UTC_DAY),
        Some(DataType::Int32 | DataType::Int64) => {
            let micros = col(table.day_of).cast(DataType::Int64) * lit(1_000_000_i64);
            Clock::Day.start(micros.cast(instant()), zone)
        }
        _ => Clock::Day.start(col(table.day_of), zone),
    }
}

fn covered_schema() -> Schema {
    Schema::from_iter([
        (TABLE.into(), DataType::String),
        (FIRST_DAY.into(), DataType::Date),
        (LAST_DAY.into(), DataType::Date),
        (DAYS.into(), DataType::Int64),
        (MISSING_DAYS.into(), DataType::Int64),
        (ROWS.into(), DataType::Int64),
        (NEXT_FROM.into(), DataType::Date),
        (NEXT_TO.into(), DataType::Date),
        (WINDOWS_LEFT.into(), DataType::Int64),
    ])
}

/// The answer's row of a table, from the days with rows and the number of rows.
fn covered(
    table: &Table,
    days: &BTreeSet<NaiveDate>,
    rows: i64,
    since: NaiveDate,
    today: NaiveDate,
) -> PolarsResult<DataFrame> {
    let date = |name: &str, date: Option<NaiveDate>| {
        Column::new(name.into(), [date.map(|date| date.to_epoch_days())]).cast(&DataType::Date)
    };
    let count = |name: &str, count: Option<i64>| Column::new(name.into(), [count]);
    let number = |of: usize| i64::try_from(of).unwrap_or(i64::MAX);
    let (first, last) = (days.first().copied(), days.last().copied());
    let span = first.zip(last).map_or(0, |(first, last)| days_between(first, last) + 1);
    let has_gaps = !WITHOUT_GAPS.contains(&table);
    let windows = BY_WINDOWS.contains(&table).then(|| windows(days, since, today));
    let next = windows.as_ref().and_then(|windows| windows.first().copied());
    let columns = vec![
        Column::new(TABLE.into(), [table.name]),
        date(FIRST_DAY, first)?,
        date(LAST_DAY, last)?,
        count(DAYS, Some(number(days.len()))),
        count(MISSING_DAYS, has_gaps.then(|| span - number(days.len()))),
        count(ROWS, Some(rows)),
        date(NEXT_FROM, next.map(|(from, _)| from))?,
        date(NEXT_TO, next.map(|(_, to)| to))?,
        count(WINDOWS_LEFT, windows.map(|windows| number(windows.len()))),
    ];
    DataFrame::new(1, columns)
}

/// The windows to export: from `since` until before `today`, they cover all days without rows. Each
/// window begins and ends on such a day.
fn windows(
    days: &BTreeSet<NaiveDate>,
    since: NaiveDate,
    today: NaiveDate,
) -> Vec<(NaiveDate, NaiveDate)> {
    let mut windows: Vec<(NaiveDate, NaiveDate)> = Vec::new();
    let lacking = since.iter_days().take_while(|day| *day < today);
    for day in lacking.filter(|day| !days.contains(day)) {
        match windows.last_mut() {
            Some((from, to)) if days_between(*from, day) < WINDOW_DAYS => *to = day,
            _ => windows.push((day, day)),
        }
    }
    windows
}

/// The number of days from one date to another.
fn days_between(from: NaiveDate, to: NaiveDate) -> i64 {
    to.signed_duration_since(from).num_days()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn listed(days: &[&str], since: &str, today: &str) -> Vec<String> {
        let days = days.iter().map(|day| date(day)).collect();
        let windows = windows(&days, date(since), date(today));
        windows.iter().map(|(from, to)| format!("{from}..{to}")).collect()
    }

    #[test]
    fn windows_have_at_most_thirty_days_and_end_on_a_day_without_rows() {
        assert_eq!(listed(&[], "2025-04-15", "2025-04-15"), [""; 0]);
        assert_eq!(listed(&[], "2025-04-15", "2025-04-14"), [""; 0]);
        assert_eq!(listed(&[], "2025-04-15", "2025-04-16"), ["2025-04-15..2025-04-15"]);
        // 15 April and 29 days are 14 May; 31 days without rows need a second window.
        assert_eq!(listed(&[], "2025-04-15", "2025-05-15"), ["2025-04-15..2025-05-14"]);
        assert_eq!(
            listed(&[], "2025-04-15", "2025-05-16"),
            ["2025-04-15..2025-05-14", "2025-05-15..2025-05-15"]
        );
        // Days with rows at the end of a window are cut off, those within it are not.
        assert_eq!(
            listed(&["2025-05-14", "2025-05-13", "2025-04-20"], "2025-04-15", "2025-05-16"),
            ["2025-04-15..2025-05-12", "2025-05-15..2025-05-15"]
        );
        // Rows outside the dates have no effect.
        assert_eq!(
            listed(&["2025-04-01", "2025-04-15", "2025-04-17"], "2025-04-15", "2025-04-17"),
            ["2025-04-16..2025-04-16"]
        );
        assert_eq!(listed(&["2025-04-15", "2025-04-16"], "2025-04-15", "2025-04-17"), [""; 0]);
    }
}
