//! Which days are asked for, and on whose clock.
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
use clap::error::ErrorKind;
use clap::{ArgMatches, Args, Command, Error, FromArgMatches};
use polars::prelude::{Expr, LazyFrame, Scalar, TimeUnit, TimeZone, col, lit};
use wabalake_data::Table;
use wabalake_data::tables::UTC_DAY;
use wabalake_data::words::did_you_mean;

use super::sql::{Bindings, Value};
use super::tables::Tables;
use super::zone::{day_after, day_start, read_zone, utc_date};

const FROM_AT: &str = "from_at";
const UNTIL_AT: &str = "until_at";

/// `--from`, `--to` and `--timezone`: the rows of a query's first table that count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DayRange {
    from: Option<NaiveDate>,
    to: Option<NaiveDate>,
    timezone: Tz,
}

#[derive(Args)]
struct Options {
    /// First local date that counts, as YYYY-MM-DD [default: the first there is]
    #[arg(long, value_name = "DATE", value_parser = read_date)]
    from: Option<NaiveDate>,

    /// Last local date that counts, as YYYY-MM-DD [default: the last there is]
    #[arg(long, value_name = "DATE", value_parser = read_date)]
    to: Option<NaiveDate>,

    #[command(flatten)]
    zone: Timezone,
}

/// `--timezone` alone, for a query that is not asked about a range of days.
#[derive(Args, Clone, Copy, Debug, PartialEq, Eq)]
#[group(skip)]
pub struct Timezone {
    /// IANA zone whose clock says when days, weeks, months and hours begin
    #[arg(
        long,
        value_name = "ZONE",
        env = "WABALAKE_TIMEZONE",
        default_value = "UTC",
        value_parser = read_zone
    )]
    timezone: Tz,
}

impl Timezone {
    /// The zone whose clock places instants.
    pub fn zone(self) -> Tz {
        self.timezone
    }
}

impl DayRange {
    /// The zone whose clock places instants.
    pub fn timezone(&self) -> Tz {
        self.timezone
    }

    /// The first instant that counts and the first after, in microseconds; `None` without end.
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
        let start = |date| day_start(self.timezone, date);
        // SQL has no year 10000.
        let after = self.to.and_then(day_after).filter(|date| date.year() < 10_000);
        (self.from.map(start), after.map(start))
    }

    /// The stretch of time between those instants.
    pub fn span(&self) -> Span {
        let (from, until) = self.instants();
        Span { from, until, timezone: self.timezone }
    }

    /// The rows of a query's first table that lie in the range by the table's own stamp.
    pub fn scan(&self, tables: &Tables, table: &'static Table) -> LazyFrame {
        self.span().scan(tables, table)
    }

    /// The rows that lie in the range by the table's own stamp, or at most so many microseconds
    /// before it.
    pub fn scan_back(&self, tables: &Tables, table: &'static Table, micros: i64) -> LazyFrame {
        let span = self.span();
        let from = span.from.map(|from| from.saturating_sub(micros));
        Span { from, ..span }.scan(tables, table)
    }

    /// The rows of a table of dates that lie in the range, its dates taken as they stand.
    pub fn scan_dates(&self, tables: &Tables, table: &'static Table) -> LazyFrame {
        let rows = tables.scan(table);
        // Of a date, the day that partitions is that date.
        match self.holds(&col(table.day_of)).zip(self.holds(&col(UTC_DAY))) {
            Some((in_range, in_partition)) => rows.filter(in_range.and(in_partition)),
            None => rows,
        }
    }

    /// Whether a local date lies in the range; `None` when every date does.
    pub fn holds(&self, local: &Expr) -> Option<Expr> {
        self.meets(local, local)
    }

    /// Whether a stretch of local dates, given by its first and its last, shares one with the
    /// range; `None` when every stretch does.
    pub fn meets(&self, first: &Expr, last: &Expr) -> Option<Expr> {
        let from = self.from.map(|from| last.clone().gt_eq(date(from)));
        let to = self.to.map(|to| first.clone().lt_eq(date(to)));
        from.into_iter().chain(to).reduce(Expr::and)
    }

    /// Whether an instant lies in the range; `None` when every instant does.
    pub fn holds_instant(&self, at: &Expr) -> Option<Expr> {
        self.span().holds(at)
    }

    /// Binds `:from_at` and `:until_at`, the two instants or null, and `:timezone`.
    pub fn bind(&self, bindings: Bindings) -> Bindings {
        self.span().bind(bindings)
    }

    /// The two instants that [`DayRange::bind`] bound.
    pub(super) fn bound(bindings: &Bindings) -> (Option<i64>, Option<i64>) {
        let micros = |name| match bindings.get(name) {
            Some(Value::Instant(at)) => Some(at.timestamp_micros()),
            _ => None,
        };
        (micros(FROM_AT), micros(UNTIL_AT))
    }

    /// Binds `:from_date` and `:to_date`, both inclusive or null, and `:timezone`.
    pub fn bind_dates(&self, bindings: Bindings) -> Bindings {
        bindings
            .date("from_date", self.from)
            .date("to_date", self.to)
            .text("timezone", self.timezone.name())
    }
}

/// A stretch of time, and the zone whose clock tells its days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first instant that counts, in microseconds; `None` without a beginning.
    pub from: Option<i64>,
    /// The first instant after, in microseconds; `None` without an end.
    pub until: Option<i64>,
    /// The zone whose clock places instants.
    pub timezone: Tz,
}

impl Span {
    /// The rows of a table that lie in it by the table's own stamp, an instant.
    pub fn scan(&self, tables: &Tables, table: &'static Table) -> LazyFrame {
        let rows = tables.scan(table);
        match self.keep(table) {
            Some(within) => rows.filter(within),
            None => rows,
        }
    }

    /// Whether a row of a table lies in it; `None` when every row does.
    fn keep(&self, table: &'static Table) -> Option<Expr> {
        let day = col(UTC_DAY);
        // The stamp decides. The day only says which partitions need not be opened.
        let from = self.from.map(|from| day.clone().gt_eq(date(utc_date(from))));
        let until = self.until.map(|until| day.lt_eq(date(utc_date(until.saturating_sub(1)))));
        let days = from.into_iter().chain(until).reduce(Expr::and)?;
        Some(self.holds(&col(table.day_of))?.and(days))
    }

    /// Whether an instant lies in it; `None` when every instant does.
    pub fn holds(&self, at: &Expr) -> Option<Expr> {
        let from = self.from.map(|from| at.clone().gt_eq(instant(from)));
        let until = self.until.map(|until| at.clone().lt(instant(until)));
        from.into_iter().chain(until).reduce(Expr::and)
    }

    /// Binds `:from_at` and `:until_at`, the two instants or null, and `:timezone`.
    pub fn bind(&self, bindings: Bindings) -> Bindings {
        bindings
            .instant(FROM_AT, self.from)
            .instant(UNTIL_AT, self.until)
            .text("timezone", self.timezone.name())
    }
}

fn instant(at: i64) -> Expr {
    lit(Scalar::new_datetime(at, TimeUnit::Microseconds, Some(TimeZone::UTC)))
}

fn date(date: NaiveDate) -> Expr {
    let days = date.signed_duration_since(NaiveDate::default()).num_days();
    lit(Scalar::new_date(i32::try_from(days).unwrap_or(i32::MAX)))
}

impl Args for DayRange {
    fn augment_args(command: Command) -> Command {
        Options::augment_args(command)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Options::augment_args_for_update(command)
    }
}

impl FromArgMatches for DayRange {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let Options { from, to, zone } = Options::from_arg_matches(matches)?;
        if let (Some(from), Some(to)) = (from, to)
            && from > to
        {
            let message = format!(
                "`--from {from}` is after `--to {to}`\n  hint: the range goes from the earlier \
                 date to the later: `--from {to} --to {from}`"
            );
            return Err(Error::raw(ErrorKind::ValueValidation, message));
        }
        Ok(Self { from, to, timezone: zone.zone() })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// Reads a date as `YYYY-MM-DD` and nothing else.
///
/// # Errors
/// Anything else, with the date that was probably meant.
pub fn read_date(text: &str) -> Result<NaiveDate, String> {
    let read = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok();
    let as_written = read.filter(|date| date.to_string() == text);
    as_written.ok_or_else(|| {
        let hint = read.or_else(|| date_meant(text)).map_or_else(
            || "write it as YYYY-MM-DD, such as 2025-06-01".to_owned(),
            |date| did_you_mean(format_args!("`{date}`")),
        );
        format!("not a date\n  hint: {hint}")
    })
}

/// The date that another spelling probably means: year, month, day or the other way round, with
/// a month or a day that there is not brought back to the last one.
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
    fn dates_are_read_in_one_spelling() {
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
            let fault = read_date(text).unwrap_err();
            assert!(fault.contains(&format!("did you mean `{date}`?")), "{text}: {fault}");
        }
        assert!(read_date("yesterday").unwrap_err().contains("YYYY-MM-DD"));
    }
}
