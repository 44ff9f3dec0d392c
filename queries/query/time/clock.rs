//! Buckets of local time: where days, weeks, months, hours and half-hours begin in a time zone.
//!
//! The buckets of 2025-03-30T22:10:00Z in Europe/Madrid, where it is 00:10 on the 31st:
//!
//! ```text
//! clock       bucket
//! Day         2025-03-31
//! Week        2025-03-31             a Monday
//! Month       2025-03-01
//! Hour        2025-03-30T22:00:00Z   the start of the local hour
//! HalfHour    2025-03-30T22:00:00Z
//! ```
//!
//! A local time is the instant plus its offset from UTC. Offsets are cached by UTC day: if a day
//! begins and ends with the same offset, the whole day has it. Only instants on a day of a transition
//! are looked up one by one.

use std::fmt::Write as _;

use chrono::{
    DateTime, Datelike, Days, LocalResult, Months, NaiveDate, NaiveDateTime, NaiveTime, Offset,
    TimeDelta, TimeZone,
};
use chrono_tz::Tz;
use polars::prelude::arity::unary_elementwise_values;
use polars::prelude::{
    ChunkAgg, ChunkApply, Column, DataFrame, DataType, Expr, Field, Int32Type, Int64Chunked,
    IntoColumn, IntoLazy, IntoSeries, PolarsResult, StringChunked, col, lit,
};
use wabalake_data::tables::instant;

use super::{DAY, HOUR, SECOND};

/// Days from Monday to the weekday of 1970-01-01.
const THURSDAY: i64 = 3;

/// The first instant of a local date, in microseconds.
///
/// That is midnight, the earlier one where daylight saving time repeats it, and the instant of the
/// transition where it skips midnight.
///
/// ```
/// # use chrono::NaiveDate;
/// # use wabalake_queries::query::time::day_start;
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

/// Writes an instant in RFC 3339, with the offset of a time zone.
///
/// ```
/// # use chrono::DateTime;
/// # use wabalake_queries::query::time::write_instant;
/// let at = DateTime::from_timestamp_micros(1_748_779_200_250_000).unwrap().naive_utc();
/// let written = |zone| {
///     let mut out = String::new();
///     write_instant(at, zone, &mut out);
///     out
/// };
/// assert_eq!(written(chrono_tz::UTC), "2025-06-01T12:00:00.250000Z");
/// assert_eq!(written(chrono_tz::America::Sao_Paulo), "2025-06-01T09:00:00.250000-03:00");
/// ```
pub fn write_instant(utc: NaiveDateTime, zone: Tz, out: &mut String) {
    let offset = zone.offset_from_utc_datetime(&utc).fix().local_minus_utc();
    // Local mean times had offsets with seconds, which RFC 3339 has no syntax for.
    let offset = if offset % 60 == 0 { offset } else { 0 };
    let local = utc + TimeDelta::seconds(offset.into());
    // Writing to a String does not fail.
    let _ = write!(out, "{}", local.format("%Y-%m-%dT%H:%M:%S"));
    let micros = utc.and_utc().timestamp_subsec_micros();
    if micros != 0 {
        let _ = write!(out, ".{micros:06}");
    }
    if is_utc(zone) {
        out.push('Z');
    } else {
        let minutes = offset.abs() / 60;
        let sign = if offset < 0 { '-' } else { '+' };
        let _ = write!(out, "{sign}{:02}:{:02}", minutes / 60, minutes % 60);
    }
}

/// Returns `true` for UTC under any of its names.
fn is_utc(zone: Tz) -> bool {
    let name = zone.name();
    matches!(name.strip_prefix("Etc/").unwrap_or(name), "UTC" | "UCT" | "Universal" | "Zulu")
}

/// A column of instants as texts in RFC 3339; see [`write_instant`].
pub fn rfc3339(at: Expr, zone: Tz) -> Expr {
    let written = move |column: Column| -> PolarsResult<Column> {
        let instants = column.as_materialized_series().datetime()?.physical().clone();
        let texts = instants.iter().map(|at| {
            let at = DateTime::from_timestamp_micros(at?)?;
            let mut text = String::new();
            write_instant(at.naive_utc(), zone, &mut text);
            Some(text)
        });
        Ok(texts.collect::<StringChunked>().with_name(column.name().clone()).into_column())
    };
    at.map(written, |_, field| Ok(Field::new(field.name().clone(), DataType::String)))
}

/// The UTC date of an instant in microseconds.
pub(crate) fn utc_date(at: i64) -> NaiveDate {
    NaiveDate::default() + TimeDelta::days(at.div_euclid(DAY))
}

/// The local date of an instant in microseconds.
pub(crate) fn local_date(at: i64, zone: Tz) -> NaiveDate {
    utc_date(at.saturating_add(offset(zone, at)))
}

/// The next day; `None` at the end of the calendar.
pub(crate) fn day_after(date: NaiveDate) -> Option<NaiveDate> {
    date.checked_add_days(Days::new(1))
}

/// The offset from UTC at an instant, both in microseconds.
pub(super) fn offset(zone: Tz, at: i64) -> i64 {
    let at = DateTime::from_timestamp_micros(at).unwrap_or_default();
    i64::from(zone.offset_from_utc_datetime(&at.naive_utc()).fix().local_minus_utc()) * SECOND
}

/// A unit of local time: the length of a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// 30 minutes of local time.
    HalfHour,
    /// 60 minutes of local time.
    Hour,
    /// A local date.
    Day,
    /// Seven local dates, from Monday on.
    Week,
    /// A calendar month.
    Month,
}

impl Clock {
    /// The start of each instant's bucket: an instant for [`Clock::HalfHour`] and [`Clock::Hour`],
    /// otherwise a date.
    pub fn start(self, at: Expr, zone: Tz) -> Expr {
        let date = |at| on_clock(at, zone, DataType::Date, |_, local, _| days(local));
        match self {
            Self::HalfHour => {
                on_clock(at, zone, instant(), |at, local, _| at_clock_time(at, local, HOUR / 2))
            }
            Self::Hour => on_clock(at, zone, instant(), |at, local, offsets| {
                hour_start(at, local, |at| offsets.at(at))
            }),
            Self::Day => date(at),
            Self::Week => on_clock(at, zone, DataType::Date, |_, local, _| {
                days(local) - (days(local) + THURSDAY).rem_euclid(7)
            }),
            Self::Month => {
                on_clock(at, zone, DataType::Date, |_, local, _| month_start(days(local)))
            }
        }
    }

    /// Evaluates [`Clock::start`] on a column of instants.
    ///
    /// # Errors
    /// A column of another type.
    pub fn of(self, instants: &Column, zone: Tz) -> PolarsResult<Column> {
        let frame = DataFrame::new(instants.len(), vec![instants.clone().with_name("at".into())])?;
        let starts = frame.lazy().select([self.start(col("at"), zone)]).collect()?;
        Ok(starts.column("at")?.clone().with_name(instants.name().clone()))
    }

    /// The first instant of an instant's bucket, both in microseconds.
    pub fn floor(self, zone: Tz, at: i64) -> i64 {
        let local = at.saturating_add(offset(zone, at));
        let date = utc_date(local);
        match self {
            Self::HalfHour => at_clock_time(at, local, HOUR / 2),
            Self::Hour => hour_start(at, local, |at| offset(zone, at)),
            Self::Day => day_start(zone, date),
            Self::Week => {
                let past = u64::from(date.weekday().num_days_from_monday());
                day_start(zone, date.checked_sub_days(Days::new(past)).unwrap_or(date))
            }
            Self::Month => day_start(zone, date.with_day0(0).unwrap_or(date)),
        }
    }

    /// The next bucket. Buckets are as [`Clock::start`] gives them, as numbers: microseconds of an instant,
    /// or days of a date, since 1970.
    ///
    /// ```
    /// # use wabalake_queries::query::time::Clock;
    /// assert_eq!(Clock::Week.next(chrono_tz::UTC, 4), Some(11));
    /// assert_eq!(Clock::HalfHour.next(chrono_tz::UTC, 0), Some(1_800_000_000));
    /// ```
    pub fn next(self, zone: Tz, bucket: i64) -> Option<i64> {
        if matches!(self, Self::HalfHour | Self::Hour) {
            // No transition makes a bucket longer than some hours.
            let later = (1..=8).map(|steps| bucket.saturating_add(steps * HOUR / 2));
            return later.map(|at| self.floor(zone, at)).find(|start| *start > bucket);
        }
        let after = |date: &NaiveDate| match self {
            Self::Week => date.checked_add_days(Days::new(7)),
            Self::Month => date.checked_add_months(Months::new(1)),
            _ => day_after(*date),
        };
        let exists = |date: &NaiveDate| {
            let next = day_after(*date);
            // A zone that crossed the date line skipped a date.
            self != Self::Day
                || next.is_none_or(|next| day_start(zone, *date) < day_start(zone, next))
        };
        let date = i32::try_from(bucket).ok().and_then(NaiveDate::from_epoch_days)?;
        let mut later = std::iter::successors(after(&date), after);
        later.find(exists).map(|date| date.to_epoch_days().into())
    }

    /// The start of a bucket that [`Clock::start`] gave, and the start of the next one, in seconds
    /// since 1970.
    pub fn bounds(self, bucket: &Expr, zone: Tz) -> [Expr; 2] {
        let width = match self {
            Self::HalfHour => HOUR / 2,
            Self::Hour => HOUR,
            Self::Day | Self::Week | Self::Month => {
                let next = move |date: NaiveDate| match self {
                    Self::Month => date.checked_add_months(Months::new(1)),
                    Self::Week => date.checked_add_days(Days::new(7)),
                    _ => day_after(date),
                };
                return [
                    day_starts(bucket.clone(), zone, Some),
                    day_starts(bucket.clone(), zone, next),
                ];
            }
        };
        let start = bucket.clone().cast(DataType::Int64).floor_div(lit(SECOND));
        [start.clone(), start + lit(width / SECOND)]
    }

    /// [`Clock::bounds`] in the SQL of the twins, of a column and the parameter `:timezone`.
    pub fn bounds_sql(self, bucket: &str) -> [String; 2] {
        let seconds = |at: &str| format!("CAST(unix_micros({at}) / {SECOND} AS BIGINT)");
        let midnight = |date: &str| {
            seconds(&format!("to_utc_timestamp(CAST({date} AS TIMESTAMP), :timezone)"))
        };
        let later = |width: i64| format!("{} + {}", seconds(bucket), width / SECOND);
        match self {
            Self::HalfHour => [seconds(bucket), later(HOUR / 2)],
            Self::Hour => [seconds(bucket), later(HOUR)],
            Self::Day => [midnight(bucket), midnight(&format!("date_add({bucket}, 1)"))],
            Self::Week => [midnight(bucket), midnight(&format!("date_add({bucket}, 7)"))],
            Self::Month => [midnight(bucket), midnight(&format!("add_months({bucket}, 1)"))],
        }
    }

    /// [`Clock::start`] in the SQL of the twins, of a column and the parameter `:timezone`.
    pub fn start_sql(self, at: &str) -> String {
        let local = format!("from_utc_timestamp({at}, :timezone)");
        let date = |unit: &str| format!("CAST(date_trunc('{unit}', {local}) AS DATE)");
        let instant = |width: i64| {
            format!("timestamp_micros(unix_micros({at}) - pmod(unix_micros({local}), {width}))")
        };
        match self {
            Self::HalfHour => instant(HOUR / 2),
            Self::Hour => {
                let start = instant(HOUR);
                let local = format!("unix_micros(from_utc_timestamp({start}, :timezone))");
                format!("timestamp_micros(unix_micros({start}) + pmod(-{local}, {HOUR}))")
            }
            Self::Day => date("DAY"),
            Self::Week => date("WEEK"),
            Self::Month => date("MONTH"),
        }
    }
}

/// The last instant at or before another at which the clock shows a multiple of a width, if nothing
/// changes it in between. Times are in microseconds.
fn at_clock_time(at: i64, local: i64, width: i64) -> i64 {
    at.saturating_sub(local.rem_euclid(width))
}

/// The start of the hour of an instant. A transition of half an hour, as on Lord Howe Island, cuts an
/// hour: the instants after it have an hour of their own, which starts at the transition.
fn hour_start(at: i64, local: i64, offset: impl Fn(i64) -> i64) -> i64 {
    let start = at_clock_time(at, local, HOUR);
    // Across such a transition the clock did not show a full hour there: the next one is the start.
    let shown = start.saturating_add(offset(start));
    start.saturating_add(shown.saturating_neg().rem_euclid(HOUR))
}

/// The hour of the local week, Int32: 0 from Monday 00:00 to 167 on Sunday.
pub fn hour_of_week(at: Expr, zone: Tz) -> Expr {
    on_clock(at, zone, DataType::Int32, |_, local, _| {
        (local.div_euclid(HOUR) + THURSDAY * 24).rem_euclid(7 * 24)
    })
}

/// The start, in seconds since 1970, of the date that a function makes of each date.
fn day_starts(
    date: Expr,
    zone: Tz,
    compute: impl Fn(NaiveDate) -> Option<NaiveDate> + Send + Sync + 'static,
) -> Expr {
    let starts = move |column: Column| -> PolarsResult<Column> {
        let days = column.as_materialized_series().date()?.physical();
        let start = |day: i32| {
            let date = compute(NaiveDate::from_epoch_days(day)?)?;
            Some(day_start(zone, date).div_euclid(SECOND))
        };
        let starts: Int64Chunked = days.iter().map(|day| start(day?)).collect();
        Ok(starts.with_name(column.name().clone()).into_column())
    };
    date.map_with_fmt_str(
        starts,
        |_, field| Ok(Field::new(field.name().clone(), DataType::Int64)),
        format!("midnight in {zone}"),
    )
}

/// The days from 1970 to the date of a local time in microseconds.
pub(crate) fn days(local: i64) -> i64 {
    local.div_euclid(DAY)
}

/// The days from 1970 to the first date of the month of a date, by the algorithm `civil_from_days` of Howard
/// Hinnant: years begin in March, so that the day of a leap year is the last one.
pub(crate) const fn month_start(days: i64) -> i64 {
    /// From 0000-03-01 to 1970-01-01.
    const BEFORE: i64 = 719_468;
    /// The days of 400 years.
    const ERA: i64 = 146_097;
    let day = days.saturating_add(BEFORE).rem_euclid(ERA);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    days - (day - (153 * month + 2) / 5)
}

/// Applies a function of an instant, its local time, both in microseconds, and the offsets of the
/// zone to a column. The result is an Int32, a date from a number of days, or an instant from microseconds.
fn on_clock(
    at: Expr,
    zone: Tz,
    of: DataType,
    compute: impl Fn(i64, i64, &Offsets) -> i64 + Copy + Send + Sync + 'static,
) -> Expr {
    let given = of.clone();
    at.map_with_fmt_str(
        move |column| each(&column, zone, &given, compute),
        move |_, field| Ok(Field::new(field.name().clone(), of.clone())),
        format!("on the clock of {zone}"),
    )
}

fn each(
    column: &Column,
    zone: Tz,
    of: &DataType,
    compute: impl Fn(i64, i64, &Offsets) -> i64 + Copy,
) -> PolarsResult<Column> {
    let instants = column.as_materialized_series().datetime()?.physical();
    let offsets = Offsets::over(zone, instants);
    // The value under a null is arbitrary, so a plain addition may overflow.
    let compute = |at: i64| compute(at, at.saturating_add(offsets.at(at)), &offsets);
    let small = |at| i32::try_from(compute(at)).unwrap_or(i32::MAX);
    let made = match of {
        DataType::Datetime(..) => instants.apply_values(compute).into_series(),
        _ => unary_elementwise_values::<_, Int32Type, _>(instants, small).into_series(),
    };
    Ok(made.cast(of)?.into_column())
}

/// A cache of offsets, one for each UTC day between the first and the last instant of a column.
struct Offsets {
    zone: Tz,
    first: i64,
    /// `None` on the day of a transition.
    days: Vec<Option<i64>>,
}

impl Offsets {
    /// The most days that are cached: one wrong stamp in the year 9999 must not cost a million
    /// look-ups.
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
        let cached = day.and_then(|day| *self.days.get(day)?);
        cached.unwrap_or_else(|| offset(self.zone, at))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn months_start_on_their_first_date(day in -800_000..3_000_000_i32) {
            let date = NaiveDate::from_epoch_days(day).unwrap();
            let first = date.with_day(1).unwrap().to_epoch_days();
            prop_assert_eq!(month_start(i64::from(day)), i64::from(first));
        }
    }
}
