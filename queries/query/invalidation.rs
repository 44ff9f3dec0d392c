//! How far changed rows reach into an answer, for what keeps answers up to date.
//!
//! Of `delivery-rate --by day` in America/Bogota, when deployments of one UTC day have changed:
//!
//! ```text
//! changed        utc_day 2025-06-02
//! local dates    2025-06-01 and 2025-06-02      on which rows of that day may lie
//! worked out     --from 2025-06-01 --to 2025-06-02, which are whole buckets
//! ```
//!
//! Of `--by week` it is the week of these dates, of `drop-off`, which has no date, the whole answer.

use chrono::{Datelike, Days, Months, NaiveDate, NaiveDateTime, TimeDelta, TimeZone};
use chrono_tz::Tz;
use polars::prelude::{Expr, col};

use super::zone::Clock;
use super::{OutputColumn, Type};

/// How far changed rows of a table reach into an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invalidation {
    /// Any row of the answer may be another.
    Answer,
    /// Of the first table: only rows of the buckets in which the changed rows lie by their own
    /// stamp. Asked of whole buckets alone, with `--from` and `--to`, the query gives the rows that
    /// these have in the whole answer. An answer without buckets is reached as a whole.
    Bucket,
}

/// The stretches of local time by which an answer falls into parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Buckets {
    column: &'static str,
    clock: Clock,
}

impl Buckets {
    /// The finest among the columns that name a row.
    pub(super) fn among(columns: &[OutputColumn]) -> Option<Self> {
        let buckets = columns.iter().filter_map(|column| {
            let clock = match (column.name, column.of) {
                ("half_hour", Type::Instant) => Clock::HalfHour,
                ("hour", Type::Instant) => Clock::Hour,
                ("day" | "date", Type::Date) => Clock::Day,
                ("week", Type::Date) => Clock::Week,
                ("month", Type::Date) => Clock::Month,
                _ => return None,
            };
            Some(Self { column: column.name, clock })
        });
        let days = |buckets: &Self| match buckets.clock {
            Clock::Week => 7,
            Clock::Month => 30,
            _ => 1,
        };
        buckets.min_by_key(days)
    }

    /// Whether each lies within one local date.
    pub fn are_within_days(self) -> bool {
        !matches!(self.clock, Clock::Week | Clock::Month)
    }

    /// The local date on which the bucket of an answer's row begins.
    pub fn date(self, zone: Tz) -> Expr {
        match self.clock {
            Clock::HalfHour | Clock::Hour => Clock::Day.start(col(self.column), zone),
            Clock::Day | Clock::Week | Clock::Month => col(self.column),
        }
    }

    /// The first and the last date of the bucket that a local date lies in, or of the buckets.
    pub fn around(self, date: NaiveDate) -> (NaiveDate, NaiveDate) {
        match self.clock {
            Clock::HalfHour | Clock::Hour | Clock::Day => (date, date),
            Clock::Week => {
                let monday = date - Days::new(u64::from(date.weekday().num_days_from_monday()));
                (monday, monday + Days::new(6))
            }
            Clock::Month => {
                let first = date - Days::new(u64::from(date.day0()));
                (first, first + Months::new(1) - Days::new(1))
            }
        }
    }
}

/// The local dates, first and last, on which instants of a UTC day may lie.
///
/// ```
/// # use chrono::NaiveDate;
/// # use wabalake_queries::query::invalidation::local_dates;
/// let day = |day| NaiveDate::from_ymd_opt(2025, 6, day).unwrap();
/// assert_eq!(local_dates(chrono_tz::America::Bogota, day(2)), (day(1), day(2)));
/// assert_eq!(local_dates(chrono_tz::UTC, day(2)), (day(2), day(2)));
/// ```
pub fn local_dates(zone: Tz, day: NaiveDate) -> (NaiveDate, NaiveDate) {
    const STEP: TimeDelta = TimeDelta::minutes(15);
    let start = day.and_time(chrono::NaiveTime::MIN);
    let local = |at: NaiveDateTime| zone.from_utc_datetime(&at).date_naive();
    // A clock that is put back may leave a date and come to it again: both ends are not enough.
    let within = (0..4 * 24).map(|step| local(start + STEP * step));
    let last = local(start + TimeDelta::days(1) - TimeDelta::microseconds(1));
    within.fold((last, last), |(first, last), date| (first.min(date), last.max(date)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn buckets_are_whole() {
        let of = |column| Buckets::among(&[OutputColumn::text("country"), column]).unwrap();
        let week = of(OutputColumn::date("week"));
        assert_eq!(week.around(date("2025-06-01")), (date("2025-05-26"), date("2025-06-01")));
        let month = of(OutputColumn::date("month"));
        assert_eq!(month.around(date("2024-02-29")), (date("2024-02-01"), date("2024-02-29")));
        assert!(!month.are_within_days());
        let hour = of(OutputColumn::instant("hour"));
        assert_eq!(hour.around(date("2024-02-29")), (date("2024-02-29"), date("2024-02-29")));
        assert_eq!(Buckets::among(&[OutputColumn::count("hour")]), None);
        let both = [OutputColumn::date("month"), OutputColumn::date("day")];
        assert!(Buckets::among(&both).unwrap().are_within_days());
    }

    #[test]
    fn a_utc_day_lies_on_two_local_dates_or_three() {
        let dates = |zone, day| local_dates(zone, date(day));
        let kiritimati = dates(Tz::Pacific__Kiritimati, "2025-06-01");
        assert_eq!(kiritimati, (date("2025-06-01"), date("2025-06-02")));
        // Samoa went over the date line: the 30th was left out.
        let apia = dates(Tz::Pacific__Apia, "2011-12-30");
        assert_eq!(apia, (date("2011-12-29"), date("2011-12-31")));
    }
}
