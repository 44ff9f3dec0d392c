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

use std::fmt::Write as _;

use chrono::{
    DateTime, Datelike, Days, LocalResult, Months, NaiveDate, NaiveDateTime, NaiveTime, Offset,
    TimeDelta, TimeZone, Utc,
};
use chrono_tz::{TZ_VARIANTS, Tz};
use polars::prelude::arity::unary_elementwise_values;
use polars::prelude::{
    ChunkAgg, ChunkApply, Column, DataFrame, DataType, Expr, Field, Int32Type, Int64Chunked,
    IntoColumn, IntoLazy, IntoSeries, PolarsResult, StringChunked, col, lit,
};
use wabalake_data::cells::enumeration::normalise;
use wabalake_data::tables::instant;
use wabalake_data::words::{did_you_mean, nearest};

const SECOND: i64 = 1_000_000;
const HOUR: i64 = 3_600 * SECOND;
const DAY: i64 = 24 * HOUR;

/// Days from Monday to the weekday of 1970-01-01.
const THURSDAY: i64 = 3;

/// Reads a zone's IANA name.
///
/// # Errors
/// An unknown name, with the zones that it may mean: those of an abbreviation, those that have an
/// offset now, or the one whose name is nearest.
pub fn read_zone(name: &str) -> Result<Tz, String> {
    name.trim().parse().map_err(|_| {
        let hint = zones_meant(name.trim(), &Utc::now().naive_utc())
            .unwrap_or_else(|| "a zone is an IANA name, such as America/Bogota".to_owned());
        format!("no such time zone\n  hint: {hint}")
    })
}

/// Zones in the order in which they are likely meant.
const LIKELY: [Tz; 28] = [
    Tz::America__Bogota,
    Tz::America__Mexico_City,
    Tz::America__Sao_Paulo,
    Tz::America__Argentina__Buenos_Aires,
    Tz::America__Lima,
    Tz::America__Santiago,
    Tz::America__Guayaquil,
    Tz::America__Caracas,
    Tz::America__La_Paz,
    Tz::America__Panama,
    Tz::America__Costa_Rica,
    Tz::America__Guatemala,
    Tz::America__Santo_Domingo,
    Tz::America__Asuncion,
    Tz::America__Montevideo,
    Tz::America__Tijuana,
    Tz::America__New_York,
    Tz::America__Chicago,
    Tz::America__Denver,
    Tz::America__Los_Angeles,
    Tz::Europe__London,
    Tz::Europe__Madrid,
    Tz::Africa__Lagos,
    Tz::Africa__Johannesburg,
    Tz::Asia__Dubai,
    Tz::Asia__Kolkata,
    Tz::Asia__Jakarta,
    Tz::Australia__Sydney,
];

/// What people call a zone's clock, and the zones whose it is.
const ABBREVIATIONS: [(&[&str], &[Tz]); 24] = [
    (&["COT", "COST"], &[Tz::America__Bogota]),
    (&["PET"], &[Tz::America__Lima]),
    (&["ECT"], &[Tz::America__Guayaquil]),
    (&["BRT", "BRST", "BRASILIA"], &[Tz::America__Sao_Paulo]),
    (&["AMT"], &[Tz::America__Manaus]),
    (&["ART"], &[Tz::America__Argentina__Buenos_Aires]),
    (&["CLT", "CLST"], &[Tz::America__Santiago]),
    (&["VET"], &[Tz::America__Caracas]),
    (&["BOT"], &[Tz::America__La_Paz]),
    (&["PYT", "PYST"], &[Tz::America__Asuncion]),
    (&["UYT"], &[Tz::America__Montevideo]),
    (&["CST"], &[Tz::America__Mexico_City, Tz::America__Chicago]),
    (&["CDT", "CT"], &[Tz::America__Chicago, Tz::America__Mexico_City]),
    (&["EDT", "ET"], &[Tz::America__New_York]),
    (&["MDT", "MT"], &[Tz::America__Denver]),
    (&["PST", "PDT", "PT"], &[Tz::America__Los_Angeles, Tz::America__Tijuana]),
    (&["AST", "ADT"], &[Tz::America__Santo_Domingo, Tz::America__Halifax]),
    (&["BST"], &[Tz::Europe__London]),
    (&["CEST"], &[Tz::Europe__Madrid, Tz::Europe__Berlin]),
    (&["EEST"], &[Tz::Europe__Athens]),
    (&["WEST"], &[Tz::Europe__Lisbon]),
    (&["IST"], &[Tz::Asia__Kolkata]),
    (&["WIB"], &[Tz::Asia__Jakarta]),
    (&["GST"], &[Tz::Asia__Dubai]),
];

/// The zones that a word may mean which is none, in words.
fn zones_meant(word: &str, now: &NaiveDateTime) -> Option<String> {
    if let Some(east) = read_offset(word) {
        let has = |zone: &Tz| zone.offset_from_utc_datetime(now).fix().local_minus_utc() == east;
        // Names of places: `Etc/GMT+5` is five hours behind.
        let is_place = |zone: &Tz| {
            let area = zone.name().split_once('/').map(|(area, _)| area);
            area.is_some_and(|area| area != "Etc" && area != "SystemV" && area != "US")
        };
        let others = TZ_VARIANTS.iter().copied().filter(|zone| !LIKELY.contains(zone));
        let all = LIKELY.into_iter().chain(others).filter(|zone| is_place(zone) && has(zone));
        let named: Vec<String> = all.take(4).map(|zone| format!("`{zone}`")).collect();
        let minutes = east.abs() / 60;
        let sign = if east < 0 { '-' } else { '+' };
        let offset = format!("UTC{sign}{:02}:{:02}", minutes / 60, minutes % 60);
        return Some(match named.as_slice() {
            [] => {
                format!("no place has {offset} now: a zone is an IANA name, such as America/Bogota")
            }
            named => format!("zones that have {offset} now: {}", named.join(", ")),
        });
    }
    let upper = word.to_uppercase();
    let known = ABBREVIATIONS.iter().find(|(names, _)| names.contains(&upper.as_str()));
    if let Some((_, zones)) = known {
        let zones: Vec<String> = zones.iter().map(|zone| format!("`{zone}`")).collect();
        return Some(did_you_mean(zones.join(" or ")));
    }
    let names = || TZ_VARIANTS.iter().map(|zone| zone.name());
    let place = |name: &str| normalise(name.rsplit('/').next().unwrap_or(name));
    let city = normalise(&word.replace(char::is_whitespace, "_"));
    let same = names().find(|name| name.contains('/') && place(name) == city);
    // Letters tell nothing of an abbreviation: those most alike are hours apart.
    let is_short = word.chars().count() <= 5 && !word.contains('/');
    let near = same.or_else(|| nearest(word, names()).filter(|_| !is_short))?;
    Some(did_you_mean(format_args!("`{near}`")))
}

/// Seconds east of UTC, of `UTC-5`, `GMT+05:30`, `-0300` and the like.
fn read_offset(word: &str) -> Option<i32> {
    let upper = word.to_uppercase().replace(' ', "").replace('\u{2212}', "-");
    let bare = ["UTC", "GMT", "Z"].iter().find_map(|name| upper.strip_prefix(name));
    let bare = bare.unwrap_or(&upper);
    let (sign, digits) = match (bare.strip_prefix('+'), bare.strip_prefix('-')) {
        (Some(digits), _) => (1, digits),
        (_, Some(digits)) => (-1, digits),
        _ => return None,
    };
    let (hours, minutes) = match (digits.split_once(':'), digits.len()) {
        (Some(parts), _) => parts,
        (None, 1 | 2) => (digits, "0"),
        (None, 3 | 4) => digits.split_at_checked(digits.len() - 2)?,
        _ => return None,
    };
    let (hours, minutes): (i32, i32) = (hours.parse().ok()?, minutes.parse().ok()?);
    let is_offset = (0..=14).contains(&hours) && (0..60).contains(&minutes);
    is_offset.then_some(sign * (hours * 3600 + minutes * 60))
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

/// Writes an instant as RFC 3339 on the clock of a zone.
///
/// ```
/// # use chrono::DateTime;
/// # use wabalake_queries::query::zone::write_instant;
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
    // Before zones were laws an offset had seconds, which RFC 3339 cannot say.
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

/// Whether a zone is UTC by any of its names.
fn is_utc(zone: Tz) -> bool {
    let name = zone.name();
    matches!(name.strip_prefix("Etc/").unwrap_or(name), "UTC" | "UCT" | "Universal" | "Zulu")
}

/// Instants as text, written as [`write_instant`] does.
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

    /// [`Clock::start`] of a column of instants, at once.
    ///
    /// # Errors
    /// A column of something else.
    pub fn of(self, instants: &Column, zone: Tz) -> PolarsResult<Column> {
        let frame = DataFrame::new(instants.len(), vec![instants.clone().with_name("at".into())])?;
        let starts = frame.lazy().select([self.start(col("at"), zone)]).collect()?;
        Ok(starts.column("at")?.clone().with_name(instants.name().clone()))
    }

    /// The first instant of the bucket that an instant lies in, both in microseconds.
    pub fn floor(self, zone: Tz, at: i64) -> i64 {
        let local = at.saturating_add(offset(zone, at));
        let date = utc_date(local);
        match self {
            Self::HalfHour => at.saturating_sub(local.rem_euclid(HOUR / 2)),
            Self::Hour => at.saturating_sub(local.rem_euclid(HOUR)),
            Self::Day => day_start(zone, date),
            Self::Week => {
                let past = u64::from(date.weekday().num_days_from_monday());
                day_start(zone, date.checked_sub_days(Days::new(past)).unwrap_or(date))
            }
            Self::Month => day_start(zone, date.with_day0(0).unwrap_or(date)),
        }
    }

    /// The seconds since 1970 at which a bucket begins, and those at which the next one does, of
    /// the buckets that [`Clock::start`] gives.
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

    /// The same in the dialect of the twins, of a column and the parameter `:timezone`.
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

    /// [`Clock::start`] in the dialect of the twins, of the column `at` and the parameter
    /// `:timezone`.
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

/// The seconds since 1970 at which a date begins that is worked out from another.
fn day_starts(
    date: Expr,
    zone: Tz,
    worked_out: impl Fn(NaiveDate) -> Option<NaiveDate> + Send + Sync + 'static,
) -> Expr {
    let starts = move |column: Column| -> PolarsResult<Column> {
        let days = column.as_materialized_series().date()?.physical();
        let start = |day: i32| {
            let date = worked_out(NaiveDate::from_epoch_days(day)?)?;
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

#[cfg(test)]
mod tests {
    use super::*;

    fn meant(word: &str, month: u32) -> Option<String> {
        let now = NaiveDate::from_ymd_opt(2026, month, 15)?.and_hms_opt(12, 0, 0)?;
        zones_meant(word, &now)
    }

    #[test]
    fn an_offset_means_the_zones_that_have_it_now() {
        for word in
            ["UTC-5", "GMT-5", "gmt-05", "UTC -5", "-05:00", "-0500", "UTC\u{2212}5", "utc-5:00"]
        {
            let said = meant(word, 1).unwrap();
            assert_eq!(
                said,
                "zones that have UTC-05:00 now: `America/Bogota`, `America/Lima`, \
                 `America/Guayaquil`, `America/Panama`",
                "{word}"
            );
        }
        assert!(meant("+5:30", 1).unwrap().contains("UTC+05:30 now: `Asia/Kolkata`"));
        assert!(meant("UTC-7:13", 1).unwrap().starts_with("no place has UTC-07:13 now"));
        // Madrid puts its clocks forward.
        assert!(meant("UTC+2", 7).unwrap().contains("`Europe/Madrid`"));
        assert!(!meant("UTC+2", 1).unwrap().contains("`Europe/Madrid`"));
    }

    #[test]
    fn every_zone_that_an_offset_is_answered_with_has_it() {
        let now = Utc::now().naive_utc();
        for quarters in -56..=56 {
            let (sign, size) = (if quarters < 0 { '-' } else { '+' }, i32::abs(quarters) * 15);
            let said =
                zones_meant(&format!("UTC{sign}{}:{:02}", size / 60, size % 60), &now).unwrap();
            for name in said.split('`').skip(1).step_by(2) {
                let zone: Tz = name.parse().unwrap();
                let east = zone.offset_from_utc_datetime(&now).fix().local_minus_utc();
                assert_eq!(east, quarters * 15 * 60, "{name}");
            }
        }
    }

    #[test]
    fn abbreviations_mean_their_zones_and_never_what_is_alike() {
        for (word, hint) in [
            ("COT", "did you mean `America/Bogota`?"),
            ("brt", "did you mean `America/Sao_Paulo`?"),
            ("CST", "did you mean `America/Mexico_City` or `America/Chicago`?"),
            ("Bogota", "did you mean `America/Bogota`?"),
            ("Sao Paulo", "did you mean `America/Sao_Paulo`?"),
            ("America/Bogata", "did you mean `America/Bogota`?"),
            ("Lima", "did you mean `America/Lima`?"),
        ] {
            assert_eq!(meant(word, 1).as_deref(), Some(hint), "{word}");
        }
        for word in ["XYT", "CXT", "UTD", "573005550101", ""] {
            assert_eq!(meant(word, 1), None, "{word}");
        }
        for (names, zones) in ABBREVIATIONS {
            for name in names {
                let said = read_zone(name).unwrap_err();
                assert!(said.contains(zones[0].name()), "{name}: {said}");
            }
        }
    }
}
