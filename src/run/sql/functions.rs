//! Functions that are added to Polars SQL: timestamps and dates in the reporting time zone, where Polars
//! would use UTC.
//!
//! ```text
//! as written                 as Polars gets it
//! CAST(at AS DATE)           local_date(at)       the date in the reporting zone, not in UTC
//! TIMESTAMP '2025-06-01'     instant(…)           the first moment of that day there
//! DATE_TRUNC('week', at)     trunc_week(at)
//! ```

use std::collections::HashMap;

use chrono::{DateTime, NaiveDate, NaiveDateTime, TimeDelta};
use chrono_tz::Tz;
use polars::prelude::{
    BaseColumnUdf, Column, DataType, Expr, Field, Int32Chunked, Int64Chunked, IntoColumn as _,
    IntoSeries as _, NewChunkedArray as _, PolarsResult, Schema, TimeUnit, TimeZone,
    UserDefinedFunction, polars_bail,
};
use polars::sql::{FunctionOptions, FunctionRegistry};
use wabalake_data::cells::stamp::{self, Stamp};
use wabalake_data::tables::instant;
use wabalake_queries::query::time::read_date;
use wabalake_queries::query::time::{Clock, day_start};

/// Converts a timestamp, a date, a text or microseconds since 1970 to a timestamp.
pub(super) const INSTANT: &str = "instant";

/// Converts a timestamp, a date or a text to a local date.
pub(super) const LOCAL_DATE: &str = "local_date";

/// Converts what [`INSTANT`] takes to microseconds since 1970.
pub(super) const MICROS: &str = "micros";

/// The units of `DATE_TRUNC`, each with its function.
pub(super) const UNITS: [(&str, &str, Clock); 5] = [
    ("half-hour", "trunc_half_hour", Clock::HalfHour),
    ("hour", "trunc_hour", Clock::Hour),
    ("day", "trunc_day", Clock::Day),
    ("week", "trunc_week", Clock::Week),
    ("month", "trunc_month", Clock::Month),
];

/// Returns `true` for the functions of this module.
pub(super) fn is_added(name: &str) -> bool {
    matches!(name, INSTANT | LOCAL_DATE | MICROS) || UNITS.iter().any(|(_, unit, _)| *unit == name)
}

/// Returns the type of timestamps in a time zone.
pub(super) fn on_clock(zone: Tz) -> DataType {
    DataType::Datetime(
        TimeUnit::Microseconds,
        TimeZone::opt_try_new(Some(zone.name())).ok().flatten(),
    )
}

/// The added functions. Each exists once: Polars compares functions by identity when it looks for
/// common subexpressions.
pub(super) struct Functions(HashMap<&'static str, UserDefinedFunction>);

impl Functions {
    pub(super) fn on_clock(zone: Tz) -> Self {
        let mut made = HashMap::new();
        let mut add =
            |name: &'static str, function: UserDefinedFunction| made.insert(name, function);
        add(INSTANT, function(INSTANT, on_clock(zone), move |given| instants(given, zone)));
        let micros =
            move |given: &Column| instants(given, zone)?.cast(&instant())?.cast(&DataType::Int64);
        add(MICROS, function(MICROS, DataType::Int64, micros));
        let date = move |given: &Column| dates(given, zone);
        add(LOCAL_DATE, function(LOCAL_DATE, DataType::Date, date));
        for (_, name, clock) in UNITS {
            let of = match clock {
                Clock::HalfHour | Clock::Hour => on_clock(zone),
                Clock::Day | Clock::Week | Clock::Month => DataType::Date,
            };
            let made_type = of.clone();
            let start = move |given: &Column| {
                let instants = instants(given, zone)?.cast(&instant())?;
                clock.of(&instants, zone)?.cast(&made_type)
            };
            add(name, function(name, of, start));
        }
        Self(made)
    }

    /// Returns a function for use outside SQL.
    pub(super) fn expr(&self, name: &str) -> impl Fn(Expr) -> Expr + use<> {
        let function = self.0.get(name).cloned();
        move |given| match &function {
            Some(function) => function.clone().call(vec![given]),
            None => given,
        }
    }
}

impl FunctionRegistry for Functions {
    fn register(&mut self, name: &str, _: UserDefinedFunction) -> PolarsResult<()> {
        polars_bail!(InvalidOperation: "function `{name}` cannot be added")
    }

    fn get_udf(&self, name: &str) -> PolarsResult<Option<UserDefinedFunction>> {
        Ok(self.0.get(name).cloned())
    }

    fn contains(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }
}

fn function(
    name: &'static str,
    of: DataType,
    apply: impl Fn(&Column) -> PolarsResult<Column> + Send + Sync + 'static,
) -> UserDefinedFunction {
    let one = move |given: &[Column]| match given {
        [given] => Ok(given.clone()),
        other => polars_bail!(SQLSyntax: "{name} takes one value (found {})", other.len()),
    };
    let typed = move |_: &Schema, fields: &[Field]| match fields {
        [field] => Ok(Field::new(field.name().clone(), of.clone())),
        other => polars_bail!(SQLSyntax: "{name} takes one value (found {})", other.len()),
    };
    let apply = move |given: &mut [Column]| apply(&one(given)?);
    let mut made = UserDefinedFunction::new(name.into(), BaseColumnUdf::new(apply, typed));
    made.options = FunctionOptions::elementwise();
    made
}

/// Converts a column to local dates. Whole numbers are days since 1970.
fn dates(given: &Column, zone: Tz) -> PolarsResult<Column> {
    match given.dtype() {
        DataType::Datetime(..) => Clock::Day.of(&instants(given, zone)?.cast(&instant())?, zone),
        DataType::String => {
            let texts = given.as_materialized_series().str()?.clone();
            let read = |text: &str| match read_date(text.trim()) {
                Ok(date) => Ok(date.to_epoch_days()),
                Err(_) => polars_bail!(InvalidOperation: "a text is not a date"),
            };
            let days: PolarsResult<Vec<_>> =
                texts.iter().map(|text| text.map(read).transpose()).collect();
            let days = Int32Chunked::from_slice_options(given.name().clone(), &days?);
            days.into_series().into_column().cast(&DataType::Date)
        }
        number if number.is_integer() => given.strict_cast(&DataType::Int32)?.cast(&DataType::Date),
        _ => given.strict_cast(&DataType::Date),
    }
}

/// Converts a column to timestamps in a time zone.
fn instants(given: &Column, zone: Tz) -> PolarsResult<Column> {
    let of = on_clock(zone);
    let from = |micros: Int64Chunked| micros.into_series().into_column().cast(&of);
    match given.dtype() {
        // A timestamp without a zone is local time.
        DataType::Datetime(_, None) => {
            let local = given.cast(&DataType::Datetime(TimeUnit::Microseconds, None))?;
            let local = local.as_materialized_series().datetime()?.physical().clone();
            let utc = |local: i64| {
                DateTime::from_timestamp_micros(local).map(|at| from_local(at.naive_utc(), zone))
            };
            let name = given.name().clone();
            from(Int64Chunked::from_iter_options(name, local.iter().map(|local| utc(local?))))
        }
        DataType::Date => {
            let days = given.as_materialized_series().date()?.physical().clone();
            let start =
                |day: i32| NaiveDate::from_epoch_days(day).map(|date| day_start(zone, date));
            let name = given.name().clone();
            from(Int64Chunked::from_iter_options(name, days.iter().map(|day| start(day?))))
        }
        DataType::String => {
            let texts = given.as_materialized_series().str()?.clone();
            let read = |text: Option<&str>| match text.map(|text| (text, read(text, zone))) {
                Some((_, Some(at))) => Ok(Some(at)),
                Some((_, None)) => polars_bail!(InvalidOperation: "a text is not a timestamp"),
                None => Ok(None),
            };
            let micros: PolarsResult<Vec<_>> = texts.iter().map(read).collect();
            from(Int64Chunked::from_slice_options(given.name().clone(), &micros?))
        }
        DataType::Datetime(_, Some(_)) | DataType::Null => given.cast(&of),
        number if number.is_integer() || matches!(number, DataType::Unknown(_)) => {
            given.strict_cast(&DataType::Int64)?.cast(&of)
        }
        other => polars_bail!(InvalidOperation: "a {other} is not a timestamp"),
    }
}

/// Parses a timestamp, or a date as its first moment, to microseconds since 1970. Without an offset it is
/// local time.
pub(super) fn read(text: &str, zone: Tz) -> Option<i64> {
    let text = text.trim();
    if let Ok(date) = read_date(text) {
        return Some(day_start(zone, date));
    }
    match stamp::read(text, zone) {
        Stamp::At(at) => Some(at),
        // Exports write sentinels for "no time", and a DST gap skips local times: here both are times.
        Stamp::Sentinel | Stamp::Skipped | Stamp::Bad => match stamp::read(text, Tz::UTC) {
            Stamp::At(local) => {
                DateTime::from_timestamp_micros(local).map(|at| from_local(at.naive_utc(), zone))
            }
            Stamp::Sentinel => read_date(text.get(..10)?).ok().map(|date| day_start(zone, date)),
            Stamp::Skipped | Stamp::Bad => None,
        },
    }
}

/// Converts a local time to microseconds since 1970: the earlier of two at the end of DST, the end of the
/// gap at its start.
fn from_local(local: NaiveDateTime, zone: Tz) -> i64 {
    use chrono::{LocalResult, TimeZone as _};
    match zone.from_local_datetime(&local) {
        LocalResult::Single(at) => at.timestamp_micros(),
        LocalResult::Ambiguous(one, other) => one.timestamp_micros().min(other.timestamp_micros()),
        LocalResult::None => {
            // The first minute that exists ends the gap.
            let next = (1..=180).find_map(|minutes| {
                let later = local.checked_add_signed(TimeDelta::minutes(minutes))?;
                zone.from_local_datetime(&later).earliest()
            });
            next.map_or(local.and_utc().timestamp_micros(), |at| at.timestamp_micros())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_without_offset_are_local_time() {
        let bogota = Tz::America__Bogota;
        let at = |text: &str| stamp::read(text, Tz::UTC);
        assert_eq!(read("2025-06-01", bogota).map(Stamp::At), Some(at("2025-06-01T05:00:00Z")));
        assert_eq!(
            read("2025-06-01 10:00", bogota).map(Stamp::At),
            Some(at("2025-06-01T15:00:00Z"))
        );
        assert_eq!(
            read("2025-06-01T10:00:00Z", bogota).map(Stamp::At),
            Some(at("2025-06-01T10:00:00Z"))
        );
        assert_eq!(read("2000-01-01 00:00:00", bogota), Some(946_702_800_000_000));
        assert_eq!(read("yesterday", bogota), None);
    }

    #[test]
    fn times_in_a_dst_gap_are_the_end_of_the_gap() {
        // In Santiago, 7 September 2025 began at 01:00.
        let santiago = Tz::America__Santiago;
        let start = Some(1_757_217_600_000_000); // 04:00 UTC
        assert_eq!(read("2025-09-07", santiago), start);
        assert_eq!(read("2025-09-07 00:00:00", santiago), start);
    }
}
