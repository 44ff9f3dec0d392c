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
//! windows. A day is covered when the table has a row on it, or when a file that was asked for a period
//! around it (`load --window`) was loaded after the day had ended. Without such a file a day without any event
//! stays in a window however often it is exported.
//!
//! `--windows` lists what to export instead, a row for each window: `new` ones, and those to export `again`
//! because rows of their days may still change (sessions that are open, deployments on their way). For Meta's
//! figures it lists the calls of its API that fetch the days since the last point stored, and again those of
//! templates, which Meta still counts for a week; Meta keeps points for a limited time (`expires_on`).
//!
//! Rates and tags have the date from which they hold, and identities the first time that they were seen,
//! so days between them are not missing. Nodes have no days.

pub mod windows;

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::{NaiveDate, Utc};
use chrono_tz::Tz;
use polars::prelude::{
    Column, DataFrame, OptFlags, Schema, SchemaRef, UnionArgs, concat, concat_lf_diagonal,
};
use wabalake_data::tables::{
    UTC_DAY, audience_tags, deployments, identities, instant, loads, markets, nodes, rates,
    sessions,
};
use wabalake_data::{Invalid, TABLES, Table};

use crate::query::numbers::whole;
use crate::query::prelude::*;
use crate::query::time::{Clock, HOUR, local_date, read_date, read_instant};
use crate::query::usage::misfit;

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

    /// The instant that is now, such as 2025-06-01T10:00:00Z; without an offset it is in the time zone
    /// [default: the present one]
    #[arg(long, value_name = "INSTANT")]
    now: Option<String>,

    #[command(flatten)]
    timezone: Timezone,

    /// List the windows to export, and the calls of Meta's API
    #[arg(long)]
    windows: bool,

    /// Days before today whose rows may still change [default: 30]
    #[arg(long, value_name = "DAYS", requires = "windows", value_parser = whole::<i64>(1..=36_500))]
    again_days: Option<i64>,

    #[command(flatten)]
    waba: Only<filters::Waba>,

    /// Days for which Meta keeps points [default: 365]
    #[arg(long, value_name = "DAYS", requires = "windows", value_parser = whole::<i64>(1..=36_500))]
    meta_keeps_days: Option<i64>,

    /// Days for which Meta keeps points of templates [default: 90]
    #[arg(long, value_name = "DAYS", requires = "windows", value_parser = whole::<i64>(1..=36_500))]
    meta_keeps_template_days: Option<i64>,

    /// `--now` in microseconds, once the time zone is known.
    #[arg(skip)]
    now_micros: i64,
}

impl Params {
    fn since(&self) -> NaiveDate {
        self.since.or_else(|| NaiveDate::from_ymd_opt(2025, 4, 15)).unwrap_or_default()
    }

    fn today(&self) -> NaiveDate {
        let today = || local_date(self.now_micros, self.timezone.zone());
        self.today.unwrap_or_else(today)
    }

    fn again_days(&self) -> i64 {
        self.again_days.unwrap_or(30)
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

/// Hours from the table's latest timestamp until now; null for tables of dates and empty ones.
pub const LAG_HOURS: &str = "lag_hours";

const DAYS: &str = "days";
const LAST_LOADED_AT: &str = "last_loaded_at";
const WINDOWS_LEFT: &str = "windows_left";
const DAY: &str = "day";
/// The latest timestamp of a day's rows, in microseconds.
const LATEST: &str = "latest";
/// The local date on which a load was committed.
const LOADED_ON: &str = "loaded_on";

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
            OutputColumn::number(LAG_HOURS),
        ],
        key: &[TABLE],
        order: &[],
        example: &[
            "--since",
            "2025-06-01",
            "--today",
            "2025-07-01",
            "--now",
            "2025-07-01T10:00:00Z",
            "--timezone",
            "America/Bogota",
        ],
        sql: include_str!("twin.sql"),
    };

    fn resolve(params: &mut Params, defaults: &Defaults) -> Result<Timeframe, UsageError> {
        let timeframe = params.timezone.resolve(defaults);
        let given = params.now.as_ref();
        let given = given.map(|now| read_instant("--now", now.trim(), params.timezone.zone()));
        params.now_micros = given.transpose()?.unwrap_or_else(|| Utc::now().timestamp_micros());
        if params.waba.is_given() && !params.windows {
            let fault = Invalid::new("`--waba` has no effect without `--windows`");
            return Err(misfit(fault.hint("add `--windows` to list the calls of an account")));
        }
        Ok(timeframe)
    }

    fn reads(params: &Params) -> Vec<&'static Table> {
        let mut reads = READS.to_vec();
        if params.windows {
            // Windows to export depend on no tag of a person and no rate.
            reads.retain(|table| ![&audience_tags::TABLE, &rates::TABLE].contains(table));
        }
        reads
    }

    fn shape(params: &Params) -> Shape {
        if params.windows { windows::shape() } else { Shape::of(&Self::SPEC) }
    }

    fn plan(tables: &Tables, params: &Params) -> PolarsResult<LazyFrame> {
        if params.windows {
            return windows::plan(tables, params);
        }
        let mut covered = Vec::new();
        for table in READS.into_iter().filter(|table| *table != &loads::TABLE) {
            covered.push(covered_by(tables, table, params)?);
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
        let bindings = Bindings::new()
            .date("since", Some(params.since()))
            .date("today", Some(params.today()))
            .instant("now", Some(params.now_micros))
            .text("timezone", params.timezone.zone().name());
        if params.windows { windows::bind(params, bindings) } else { bindings }
    }
}

/// The answer's row of a table.
fn covered_by(tables: &Tables, table: &'static Table, params: &Params) -> PolarsResult<LazyFrame> {
    let (since, today, now) = (params.since(), params.today(), params.now_micros);
    let schema: SchemaRef = Arc::new(covered_schema());
    let days = tables
        .scan(table)
        .select([
            local_day(table, params.timezone.zone()).alias(DAY),
            stamp(table).unwrap_or(lit(Null {}).cast(DataType::Int64)).alias(LATEST),
        ])
        .group_by([col(DAY)])
        .agg([rows().cast(DataType::Int64).alias(ROWS), col(LATEST).max()]);
    let days_and_loads =
        concat_lf_diagonal([days, loaded_windows(tables, table, params)], UnionArgs::default())?;
    Ok(days_and_loads.map(
        move |found| {
            let mut row = Covered {
                rows: found.column(ROWS)?.i64()?.iter().flatten().sum(),
                days: dates(&found, DAY)?.into_iter().flatten().collect(),
                loaded: loaded_days(&found, since, today)?,
                lag: found.column(LATEST)?.i64()?.iter().flatten().max().map(|at| now - at),
            };
            row.loaded.extend(row.days.iter().copied());
            row.answer(table, since, today)
        },
        OptFlags::empty(),
        Some(Arc::new(move |_: &Schema| -> PolarsResult<SchemaRef> { Ok(schema.clone()) })),
        Some("days covered"),
    ))
}

/// The periods that files of a table were asked for, each with the local date of its load. None but of the
/// tables that are exported in windows.
fn loaded_windows(tables: &Tables, table: &Table, params: &Params) -> LazyFrame {
    let is_whole = [loads::WINDOW_FROM, loads::WINDOW_TO].map(|end| col(end).is_not_null());
    let [from, to] = is_whole;
    let of_table = col(loads::KIND).eq(lit(table.name)).and(lit(BY_WINDOWS.contains(&table)));
    let loaded_on = Clock::Day.start(col(loads::LOADED_AT), params.timezone.zone());
    tables.scan(&loads::TABLE).filter(of_table.and(from).and(to)).select([
        col(loads::WINDOW_FROM),
        col(loads::WINDOW_TO),
        loaded_on.alias(LOADED_ON),
    ])
}

/// The dates in a column; `None` for null.
fn dates(rows: &DataFrame, column: &str) -> PolarsResult<Vec<Option<NaiveDate>>> {
    let days = rows.column(column)?.cast(&DataType::Int32)?;
    Ok(days.i32()?.iter().map(|day| day.and_then(NaiveDate::from_epoch_days)).collect())
}

/// The days from `since` until before `today` of which a load after the day's end was asked.
fn loaded_days(
    found: &DataFrame,
    since: NaiveDate,
    today: NaiveDate,
) -> PolarsResult<BTreeSet<NaiveDate>> {
    let [from, to, on] =
        [loads::WINDOW_FROM, loads::WINDOW_TO, LOADED_ON].map(|column| dates(found, column));
    let mut loaded = BTreeSet::new();
    for ((from, to), on) in from?.into_iter().zip(to?).zip(on?) {
        let (Some(from), Some(to), Some(on)) = (from, to, on) else { continue };
        let days = from.max(since).iter_days();
        loaded.extend(days.take_while(|day| *day <= to && *day < on && *day < today));
    }
    Ok(loaded)
}

/// The timestamp of a row in microseconds; `None` for a table of dates, or without timestamps.
fn stamp(table: &Table) -> Option<Expr> {
    let micros = || col(table.day_of).cast(DataType::Int64);
    match table.columns[table.position(table.day_of)?].data_type() {
        DataType::Date => None,
        DataType::Int32 | DataType::Int64 => Some(micros() * lit(1_000_000_i64)),
        _ => Some(micros()),
    }
}

/// The local date of a row; null without a timestamp.
pub fn local_day(table: &Table, zone: Tz) -> Expr {
    let of = table.position(table.day_of).map(|at| table.columns[at].data_type());
    match of {
        // A table without days has none in the partition; a date is not converted between time zones, and
        // is the partition itself.
        None | Some(DataType::Date) => col(UTC_DAY),
        _ if zone == Tz::UTC => col(UTC_DAY),
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
        (LAG_HOURS.into(), DataType::Float64),
    ])
}

/// What is known of a table's days.
struct Covered {
    rows: i64,
    /// The days with rows.
    days: BTreeSet<NaiveDate>,
    /// The days that need no export.
    loaded: BTreeSet<NaiveDate>,
    /// Microseconds since the latest timestamp.
    lag: Option<i64>,
}

impl Covered {
    /// The answer's row of the table.
    #[expect(clippy::cast_precision_loss, reason = "a lag needs no microseconds")]
    fn answer(&self, table: &Table, since: NaiveDate, today: NaiveDate) -> PolarsResult<DataFrame> {
        let Self { rows, days, loaded, lag } = self;
        let date = |name: &str, date: Option<NaiveDate>| {
            Column::new(name.into(), [date.map(|date| date.to_epoch_days())]).cast(&DataType::Date)
        };
        let count = |name: &str, count: Option<i64>| Column::new(name.into(), [count]);
        let number = |of: usize| i64::try_from(of).unwrap_or(i64::MAX);
        let (first, last) = (days.first().copied(), days.last().copied());
        let span = first.zip(last).map_or(0, |(first, last)| days_between(first, last) + 1);
        let has_gaps = !WITHOUT_GAPS.contains(&table);
        let windows = BY_WINDOWS.contains(&table).then(|| windows(loaded, since, today));
        let next = windows.as_ref().and_then(|windows| windows.first());
        let lag = lag.map(|micros| micros as f64 / HOUR as f64);
        let columns = vec![
            Column::new(TABLE.into(), [table.name]),
            date(FIRST_DAY, first)?,
            date(LAST_DAY, last)?,
            count(DAYS, Some(number(days.len()))),
            count(MISSING_DAYS, has_gaps.then(|| span - number(days.len()))),
            count(ROWS, Some(*rows)),
            date(NEXT_FROM, next.map(|window| window.from))?,
            date(NEXT_TO, next.map(|window| window.to))?,
            count(WINDOWS_LEFT, windows.as_ref().map(|windows| number(windows.len()))),
            Column::new(LAG_HOURS.into(), [lag]),
        ];
        DataFrame::new(1, columns)
    }
}

/// A window to export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Window {
    from: NaiveDate,
    /// The last day, inclusive.
    to: NaiveDate,
    /// The days in it that need the export.
    days: i64,
}

/// The windows of at most 30 days that cover some days, in ascending order. Each begins and ends on one.
fn in_windows(days: impl Iterator<Item = NaiveDate>) -> Vec<Window> {
    let mut windows: Vec<Window> = Vec::new();
    for day in days {
        match windows.last_mut() {
            Some(window) if days_between(window.from, day) < WINDOW_DAYS => {
                window.to = day;
                window.days += 1;
            }
            _ => windows.push(Window { from: day, to: day, days: 1 }),
        }
    }
    windows
}

/// The windows to export: from `since` until before `today`, they cover all days but the `loaded` ones.
fn windows(loaded: &BTreeSet<NaiveDate>, since: NaiveDate, today: NaiveDate) -> Vec<Window> {
    let days = since.iter_days().take_while(|day| *day < today);
    in_windows(days.filter(|day| !loaded.contains(day)))
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
        windows.iter().map(|window| format!("{}..{}", window.from, window.to)).collect()
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
