//! Clocks: where local days, weeks, months, hours and half-hours begin.
//!
//! Of the instant 2025-03-30T22:10:00Z in Europe/Madrid, which is 00:10 of the 31st there:
//!
//! ```text
//! clock       bucket
//! Day         2025-03-31
//! Week        2025-03-31             a Monday
//! Month       2025-03-01
//! Hour        2025-03-30T22:00:00Z   the instant at which the local hour began
//! HalfHour    2025-03-30T22:00:00Z
//! ```
//!
//! A local time is the instant plus its offset from UTC. A column is converted UTC day by UTC day:
//! where a day begins and ends with one offset it holds throughout, and only on the few days of a
//! transition each instant is looked up by itself.

use chrono::{DateTime, Days, LocalResult, NaiveDate, NaiveTime, Offset, TimeDelta, TimeZone};
use chrono_tz::{TZ_VARIANTS, Tz};
use polars::prelude::arity::unary_elementwise_values;
use polars::prelude::{
    ChunkAgg, ChunkApply, Column, DataFrame, DataType, Expr, Field, Int32Type, Int64Chunked,
    IntoColumn, IntoLazy, IntoSeries, PolarsResult, col, lit,
};
use wabalake_data::tables::instant;

use super::nearest;

const SECOND: i64 = 1_000_000;
const HOUR: i64 = 3_600 * SECOND;
const DAY: i64 = 24 * HOUR;

/// Days from Monday to the weekday of 1970-01-01.
const THURSDAY: i64 = 3;

/// Reads a zone's IANA name.
///
/// # Errors
/// An unknown name, with the nearest known one.
pub fn read_zone(name: &str) -> Result<Tz, String> {
    name.parse().map_err(|_| {
        let names = TZ_VARIANTS.iter().map(|zone| zone.name());
        let hint = nearest(name, names).map_or_else(
            || "a zone is an IANA name, such as America/Bogota".to_owned(),
            |known| format!("did you mean `{known}`?"),
        );
        format!("no such time zone\n  hint: {hint}")
    })
}

/// The first instant of a local date, in microseconds: its midnight, the earlier one of two, and
/// where a clock was put forward over midnight the moment after.
///
/// ```
/// # use chrono::NaiveDate;
/// # use wabalake_queries::query::zone::day_start;
/// let date = NaiveDate::from_ymd_opt(2018, 11, 4).unwrap();
/// let start = day_start(chrono_tz::America::Sao_Paulo, date);
/// assert_eq!(start, 1_541_300_400_000_000); // 03:00 UTC, 01:00 local
/// ```
pub fn day_start(zone: Tz, date: NaiveDate) -> i64 {
    let midnight = date.and_time(NaiveTime::MIN);
    match zone.from_local_datetime(&midnight) {
        LocalResult::Single(at) => at.timestamp_micros(),
        LocalResult::Ambiguous(one, other) => one.timestamp_micros().min(other.timestamp_micros()),
        LocalResult::None => {
            let midnight = midnight.and_utc().timestamp_micros();
            let (mut before, mut after) = (midnight - DAY - 2 * HOUR, midnight + DAY + 2 * HOUR);
            while after - before > 1 {
                let middle = i64::midpoint(before, after);
                if middle + offset(zone, middle) < midnight {
                    before = middle;
                } else {
                    after = middle;
                }
            }
            after
        }
    }
}

/// The UTC date of an instant in microseconds.
pub(crate) fn utc_date(at: i64) -> NaiveDate {
    NaiveDate::default() + TimeDelta::days(at.div_euclid(DAY))
}

/// The day after, if the calendar goes that far.
pub(crate) fn day_after(date: NaiveDate) -> Option<NaiveDate> {
    date.checked_add_days(Days::new(1))
}

/// The local offset from UTC at an instant, both in microseconds.
fn offset(zone: Tz, at: i64) -> i64 {
    let at = DateTime::from_timestamp_micros(at).unwrap_or_default();
    i64::from(zone.offset_from_utc_datetime(&at.naive_utc()).fix().local_minus_utc()) * SECOND
}

/// A unit of local time that instants are placed by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// 30 minutes of the local clock.
    HalfHour,
    /// 60 minutes of the local clock.
    Hour,
    /// A local date.
    Day,
    /// Seven local dates from a Monday.
    Week,
    /// A month of local dates.
    Month,
}

impl Clock {
    /// Where the bucket of an instant begins: an instant for [`Clock::HalfHour`] and
    /// [`Clock::Hour`], else a Date.
    pub fn start(self, at: Expr, zone: Tz) -> Expr {
        let start_of = |at: i64, local: i64, width| at.saturating_sub(local.rem_euclid(width));
        let date = |at| on_clock(at, zone, DataType::Date, |_, local| days(local));
        match self {
            Self::HalfHour => {
                on_clock(at, zone, instant(), move |at, local| start_of(at, local, HOUR / 2))
            }
            Self::Hour => on_clock(at, zone, instant(), move |at, local| start_of(at, local, HOUR)),
            Self::Day => date(at),
            Self::Week => on_clock(at, zone, DataType::Date, |_, local| {
                days(local) - (days(local) + THURSDAY).rem_euclid(7)
            }),
            Self::Month => date(at).dt().truncate(lit("1mo")),
        }
    }

    /// The same of a column of instants, at once.
    ///
    /// # Errors
    /// A column of something else.
    pub fn of(self, instants: &Column, zone: Tz) -> PolarsResult<Column> {
        let frame = DataFrame::new(instants.len(), vec![instants.clone().with_name("at".into())])?;
        let starts = frame.lazy().select([self.start(col("at"), zone)]).collect()?;
        Ok(starts.column("at")?.clone().with_name(instants.name().clone()))
    }

    /// The same in the dialect of the twins, of the column `at` and the parameter `:timezone`.
    pub fn start_sql(self, at: &str) -> String {
        let local = format!("from_utc_timestamp({at}, :timezone)");
        let date = |unit: &str| format!("CAST(date_trunc('{unit}', {local}) AS DATE)");
        let instant = |width: i64| {
            format!("timestamp_micros(unix_micros({at}) - pmod(unix_micros({local}), {width}))")
        };
        match self {
            Self::HalfHour => instant(HOUR / 2),
            Self::Hour => instant(HOUR),
            Self::Day => date("DAY"),
            Self::Week => date("WEEK"),
            Self::Month => date("MONTH"),
        }
    }
}

/// The hour of the local week that an instant lies in: 0 from Monday 00:00 to 167 on Sunday, Int32.
pub fn hour_of_week(at: Expr, zone: Tz) -> Expr {
    on_clock(at, zone, DataType::Int32, |_, local| {
        (local.div_euclid(HOUR) + THURSDAY * 24).rem_euclid(7 * 24)
    })
}

fn days(local: i64) -> i64 {
    local.div_euclid(DAY)
}

/// Works out something of each instant and its local time, both in microseconds: an Int32, a Date
/// from a number of days, or an instant from microseconds.
fn on_clock(
    at: Expr,
    zone: Tz,
    of: DataType,
    worked_out: impl Fn(i64, i64) -> i64 + Copy + Send + Sync + 'static,
) -> Expr {
    let given = of.clone();
    at.map_with_fmt_str(
        move |column| each(&column, zone, &given, worked_out),
        move |_, field| Ok(Field::new(field.name().clone(), of.clone())),
        format!("on the clock of {zone}"),
    )
}

fn each(
    column: &Column,
    zone: Tz,
    of: &DataType,
    worked_out: impl Fn(i64, i64) -> i64 + Copy,
) -> PolarsResult<Column> {
    let instants = column.as_materialized_series().datetime()?.physical();
    let offsets = Offsets::over(zone, instants);
    // Under a null lies any number, hence no plain addition.
    let worked_out = |at: i64| worked_out(at, at.saturating_add(offsets.at(at)));
    let small = |at| i32::try_from(worked_out(at)).unwrap_or(i32::MAX);
    let made = match of {
        DataType::Datetime(..) => instants.apply_values(worked_out).into_series(),
        _ => unary_elementwise_values::<_, Int32Type, _>(instants, small).into_series(),
    };
    Ok(made.cast(of)?.into_column())
}

/// The offsets of the UTC days that a column spans.
struct Offsets {
    zone: Tz,
    first: i64,
    /// One for each day; `None` on the day of a transition.
    days: Vec<Option<i64>>,
}

impl Offsets {
    /// Further apart than this, days are not tabled: one stray stamp of the year 9999 is no
    /// reason to look up a million of them.
    const LONGEST: i64 = 200 * 366;

    fn over(zone: Tz, instants: &Int64Chunked) -> Self {
        let span = instants.min().zip(instants.max()).filter(|_| zone != Tz::UTC);
        let (first, last) = span.map_or((0, -1), |(min, max)| (days(min), days(max)));
        let last = if last - first < Self::LONGEST { last } else { first - 1 };
        let days = (first..=last).map(|day| {
            let of = offset(zone, day * DAY);
            (of == offset(zone, day * DAY + DAY - 1)).then_some(of)
        });
        Self { zone, first, days: days.collect() }
    }

    fn at(&self, at: i64) -> i64 {
        if self.zone == Tz::UTC {
            return 0;
        }
        let day = usize::try_from(days(at) - self.first).ok();
        let tabled = day.and_then(|day| *self.days.get(day)?);
        tabled.unwrap_or_else(|| offset(self.zone, at))
    }
}
