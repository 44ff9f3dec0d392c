//! The options `--from`, `--to` and `--timezone`, and the interval of instants that they select.
//!
//! With `--from 2025-03-30 --to 2025-03-30 --timezone Europe/Madrid`, a day of 23 hours:
//!
//! ```text
//! local dates          2025-03-30 … 2025-03-30     both inclusive
//! instants             2025-03-29T23:00:00Z up to 2025-03-30T22:00:00Z
//! partitions to open   utc_day 2025-03-29 … 2025-03-30
//! ```

use chrono::{Datelike, NaiveDate};
use chrono_tz::Tz;
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, Command, Error, FromArgMatches};
use polars::prelude::{Expr, LazyFrame, Scalar, TimeUnit, TimeZone, col, lit};
use wabalake_data::tables::UTC_DAY;
use wabalake_data::words::did_you_mean;
use wabalake_data::{Invalid, Table};

use super::clock::{day_after, day_start, utc_date};
use super::zone::read_zone;
use super::{Defaults, Timeframe};
use crate::query::sql::Bindings;
use crate::query::tables::Tables;
use crate::query::usage::misfit;

/// `--from`, `--to` and `--timezone`: a range of local dates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DayRange {
    from: Option<NaiveDate>,
    to: Option<NaiveDate>,
    timezone: Timezone,
}

/// The heading of these options in help.
const HEADING: &str = "Time";

#[derive(Args)]
struct DayOptions {
    /// First local date that counts, as YYYY-MM-DD [default: the first there is]
    #[arg(long, value_name = "DATE", value_parser = read_date, help_heading = HEADING)]
    from: Option<NaiveDate>,

    /// Last local date that counts, as YYYY-MM-DD [default: the last there is]
    #[arg(long, value_name = "DATE", value_parser = read_date, help_heading = HEADING)]
    to: Option<NaiveDate>,

    #[command(flatten)]
    timezone: Timezone,
}

/// `--timezone`: the reporting time zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timezone {
    /// `None` if it was not typed and no default has been filled in.
    zone: Option<Tz>,
}

#[derive(Args)]
#[group(skip)]
struct ZoneOption {
    /// IANA time zone in which days, weeks, months and hours begin
    #[arg(
        long,
        value_name = "ZONE",
        env = "WABALAKE_TIMEZONE",
        default_value = "UTC",
        value_parser = read_zone,
        help_heading = HEADING
    )]
    timezone: Tz,
}

impl Timezone {
    /// The time zone; UTC if neither an option nor a default names another.
    pub fn zone(self) -> Tz {
        self.zone.unwrap_or(Tz::UTC)
    }

    /// Fills in the default zone, and returns all time in the resulting one.
    pub fn resolve(&mut self, defaults: &Defaults) -> Timeframe {
        let timezone = *self.zone.get_or_insert(defaults.timezone);
        Timeframe::Span(Span { from: None, until: None, timezone })
    }
}

impl DayRange {
    /// Fills in the default zone and dates.
    ///
    /// # Errors
    /// A first date after the last one.
    pub fn resolve(&mut self, defaults: &Defaults) -> Result<Timeframe, Error> {
        self.timezone.resolve(defaults);
        self.from = self.from.or(defaults.from);
        self.to = self.to.or(defaults.to);
        match (self.from, self.to) {
            (Some(from), Some(to)) if from > to => {
                let what = format!("`--from {from}` is after `--to {to}`");
                Err(misfit(Invalid::new(what).hint(format!(
                    "the range goes from the earlier date to the later: `--from {to} --to {from}`"
                ))))
            }
            _ => Ok(Timeframe::Days(*self)),
        }
    }

    /// The time zone in which the dates begin.
    pub fn timezone(&self) -> Tz {
        self.timezone.zone()
    }

    /// The same dates in another time zone.
    #[must_use]
    pub fn within(self, zone: Tz) -> Self {
        Self { timezone: Timezone { zone: Some(zone) }, ..self }
    }

    /// The first and the last date, both inclusive; `None` where the range is open.
    pub fn dates(&self) -> (Option<NaiveDate>, Option<NaiveDate>) {
        (self.from, self.to)
    }

    /// The first instant of the range and the first one after, in microseconds; `None` where the
    /// range is open.
    ///
    /// ```
    /// # use clap::{Args, Command, FromArgMatches};
    /// # use wabalake_queries::query::DayRange;
    /// let command = DayRange::augment_args(Command::new("query"));
    /// let asked = ["query", "--from", "2025-06-01", "--timezone", "America/Bogota"];
    /// let days = DayRange::from_arg_matches(&command.get_matches_from(asked)).unwrap();
    /// assert_eq!(days.instants(), (Some(1_748_754_000_000_000), None)); // 05:00 UTC
    /// ```
    pub fn instants(&self) -> (Option<i64>, Option<i64>) {
        let start = |date| day_start(self.timezone(), date);
        // The last year of SQL timestamps is 9999.
        let after = self.to.and_then(day_after).filter(|date| date.year() < 10_000);
        (self.from.map(start), after.map(start))
    }

    /// The interval of those instants.
    pub fn span(&self) -> Span {
        let (from, until) = self.instants();
        Span { from, until, timezone: self.timezone() }
    }

    /// Scans the rows of a table whose own stamp lies in the range.
    pub fn scan(&self, tables: &Tables, table: &'static Table) -> LazyFrame {
        self.span().scan(tables, table)
    }

    /// Scans the rows whose own stamp lies in the range or at most `micros` before it.
    pub fn scan_back(&self, tables: &Tables, table: &'static Table, micros: i64) -> LazyFrame {
        let span = self.span();
        let from = span.from.map(|from| from.saturating_sub(micros));
        Span { from, ..span }.scan(tables, table)
    }

    /// Scans the rows of a table of dates that lie in the range, without conversion of time zones.
    pub fn scan_dates(&self, tables: &Tables, table: &'static Table) -> LazyFrame {
        let rows = tables.scan(table);
        // The partition of a date is the date itself.
        match self.holds(&col(table.day_of)).zip(self.holds(&col(UTC_DAY))) {
            Some((in_range, in_partition)) => rows.filter(in_range.and(in_partition)),
            None => rows,
        }
    }

    /// Predicate: a local date lies in the range. `None` if every date does.
    pub fn holds(&self, local: &Expr) -> Option<Expr> {
        self.meets(local, local)
    }

    /// Predicate: an interval of local dates, `first` to `last`, overlaps the range. `None` if every
    /// interval does.
    pub fn meets(&self, first: &Expr, last: &Expr) -> Option<Expr> {
        let from = self.from.map(|from| last.clone().gt_eq(date_literal(from)));
        let to = self.to.map(|to| first.clone().lt_eq(date_literal(to)));
        from.into_iter().chain(to).reduce(Expr::and)
    }

    /// Predicate: an instant lies in the range. `None` if every instant does.
    pub fn holds_instant(&self, at: &Expr) -> Option<Expr> {
        self.span().holds(at)
    }

    /// Binds the parameters `:from_at`, `:until_at` (instants or null) and `:timezone`.
    pub fn bind(&self, bindings: Bindings) -> Bindings {
        self.span().bind(bindings)
    }

    /// Binds the parameters `:from_date`, `:to_date` (both inclusive, or null) and `:timezone`.
    pub fn bind_dates(&self, bindings: Bindings) -> Bindings {
        bindings
            .date("from_date", self.from)
            .date("to_date", self.to)
            .text("timezone", self.timezone().name())
    }
}

/// An interval of instants, and the time zone of its days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first instant, in microseconds; `None` if the interval has no start.
    pub from: Option<i64>,
    /// The first instant after it, in microseconds; `None` if the interval has no end.
    pub until: Option<i64>,
    /// The time zone in which days begin.
    pub timezone: Tz,
}

impl Span {
    /// Scans the rows of a table whose own stamp, an instant, lies in the interval.
    pub fn scan(&self, tables: &Tables, table: &'static Table) -> LazyFrame {
        let rows = tables.scan(table);
        match self.keep(table) {
            Some(within) => rows.filter(within),
            None => rows,
        }
    }

    /// Predicate: a row of a table lies in the interval. `None` if every row does.
    fn keep(&self, table: &'static Table) -> Option<Expr> {
        // The stamp decides; the day prunes partitions.
        Some(self.holds(&col(table.day_of))?.and(self.days()?))
    }

    /// Predicate: a UTC day overlaps the interval. `None` if every day does.
    pub(crate) fn days(&self) -> Option<Expr> {
        let day = col(UTC_DAY);
        let from = self.from.map(|from| day.clone().gt_eq(date_literal(utc_date(from))));
        let until =
            self.until.map(|until| day.lt_eq(date_literal(utc_date(until.saturating_sub(1)))));
        from.into_iter().chain(until).reduce(Expr::and)
    }

    /// Predicate: an instant lies in the interval. `None` if every instant does.
    pub fn holds(&self, at: &Expr) -> Option<Expr> {
        let from = self.from.map(|from| at.clone().gt_eq(instant_literal(from)));
        let until = self.until.map(|until| at.clone().lt(instant_literal(until)));
        from.into_iter().chain(until).reduce(Expr::and)
    }

    /// Binds the parameters `:from_at`, `:until_at` (instants or null) and `:timezone`.
    pub fn bind(&self, bindings: Bindings) -> Bindings {
        bindings
            .instant("from_at", self.from)
            .instant("until_at", self.until)
            .text("timezone", self.timezone.name())
    }
}

/// An instant in microseconds since 1970 as a literal.
pub(crate) fn instant_literal(at: i64) -> Expr {
    lit(Scalar::new_datetime(at, TimeUnit::Microseconds, Some(TimeZone::UTC)))
}

/// A date as a literal.
pub(crate) fn date_literal(date: NaiveDate) -> Expr {
    let days = date.signed_duration_since(NaiveDate::default()).num_days();
    lit(Scalar::new_date(i32::try_from(days).unwrap_or(i32::MAX)))
}

impl Args for DayRange {
    fn augment_args(command: Command) -> Command {
        DayOptions::augment_args(command)
    }

    fn augment_args_for_update(command: Command) -> Command {
        DayOptions::augment_args_for_update(command)
    }
}

impl FromArgMatches for DayRange {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let DayOptions { from, to, timezone } = DayOptions::from_arg_matches(matches)?;
        Ok(Self { from, to, timezone })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for Timezone {
    fn augment_args(command: Command) -> Command {
        ZoneOption::augment_args(command)
    }

    fn augment_args_for_update(command: Command) -> Command {
        ZoneOption::augment_args_for_update(command)
    }
}

impl FromArgMatches for Timezone {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let is_default = matches.value_source("timezone") == Some(ValueSource::DefaultValue);
        let ZoneOption { timezone } = ZoneOption::from_arg_matches(matches)?;
        Ok(Self { zone: (!is_default).then_some(timezone) })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// Parses a date in the format `YYYY-MM-DD`.
///
/// # Errors
/// Any other format. The hint has the date that was probably meant.
pub fn read_date(text: &str) -> Result<NaiveDate, Invalid> {
    let read = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok();
    let as_written = read.filter(|date| date.to_string() == text);
    as_written.ok_or_else(|| {
        let hint = read.or_else(|| date_meant(text)).map_or_else(
            || "write it as YYYY-MM-DD, such as 2025-06-01".to_owned(),
            |date| did_you_mean(format_args!("`{date}`")),
        );
        Invalid::new("not a date").hint(hint)
    })
}

/// The date that a text of another format probably means. Parts may come in the order year, month,
/// day or day, month, year. A month or day that does not exist becomes the last one that does.
fn date_meant(text: &str) -> Option<NaiveDate> {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let parts: Vec<&str> =
        text.split(|c: char| !c.is_ascii_digit()).filter(|part| !part.is_empty()).collect();
    let (year, month, day) = match parts[..] {
        [year, month, day, ..] if year.len() == 4 => (year, month, day),
        [day, month, year] if year.len() == 4 => (year, month, day),
        [year, month] if year.len() == 4 => (year, month, "1"),
        [whole] if whole.len() == 8 => (&digits[..4], &digits[4..6], &digits[6..]),
        _ => return None,
    };
    let (year, month, day) = (year.parse().ok()?, month.parse::<u32>().ok()?, day.parse().ok()?);
    (1..=u32::clamp(day, 1, 31))
        .rev()
        .find_map(|day| NaiveDate::from_ymd_opt(year, month.clamp(1, 12), day))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_iso_dates_are_parsed_and_others_get_a_hint() {
        assert_eq!(read_date("2025-06-01"), Ok(NaiveDate::from_ymd_opt(2025, 6, 1).unwrap()));
        let meant = [
            ("2025-6-1", "2025-06-01"),
            ("2025/06/01", "2025-06-01"),
            ("20250601", "2025-06-01"),
            ("31.05.2025", "2025-05-31"),
            ("2025-02-30", "2025-02-28"),
            ("2025-06-01T10:00:00Z", "2025-06-01"),
            ("2025-13-01", "2025-12-01"),
            ("2025-06", "2025-06-01"),
        ];
        for (text, date) in meant {
            let hint = read_date(text).unwrap_err().hint.unwrap();
            assert_eq!(hint, format!("did you mean `{date}`?"), "{text}");
        }
        assert!(read_date("yesterday").unwrap_err().hint.unwrap().contains("YYYY-MM-DD"));
    }
}
