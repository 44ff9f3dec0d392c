//! Invalidation: which rows of an answer must be recomputed when rows of a table change.
//!
//! For `delivery-rate --by day` in America/Bogota, after deployments of one UTC day changed:
//!
//! ```text
//! changed        utc_day 2025-06-02
//! local dates    2025-06-01 and 2025-06-02      on which rows of that day may lie
//! recomputed     --from 2025-06-01 --to 2025-06-02, which are whole buckets
//! ```
//!
//! With `--by week`, the weeks of these dates are recomputed. `drop-off` has no date column, so its
//! whole answer is.

use chrono::{Datelike, Days, Months, NaiveDate, NaiveDateTime, TimeDelta, TimeZone};
use chrono_tz::Tz;
use polars::prelude::{Expr, col};

use super::Clock;
use crate::query::{OutputColumn, Type};

/// Which rows of an answer a changed row of a table affects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invalidation {
    /// Any row.
    Answer,
    /// Only rows of the bucket in which the changed row's own stamp lies, if the answer has buckets.
    ///
    /// A query may declare this for the table of [`Range::Rows`](crate::query::Range::Rows) if
    /// `--from` and `--to` of a bucket give the same rows as the whole answer has for that bucket.
    Bucket,
}

/// The time buckets of an answer: the finest date or time column of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnswerBuckets {
    column: &'static str,
    clock: Clock,
}

impl AnswerBuckets {
    /// The finest bucket column among the columns of a key.
    pub(crate) fn among(columns: &[OutputColumn]) -> Option<Self> {
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

    /// Returns `true` if no bucket is longer than a local day.
    pub fn are_within_days(self) -> bool {
        !matches!(self.clock, Clock::Week | Clock::Month)
    }

    /// The local date on which the bucket of a row begins.
    pub fn date(self, zone: Tz) -> Expr {
        match self.clock {
            Clock::HalfHour | Clock::Hour => Clock::Day.start(col(self.column), zone),
            Clock::Day | Clock::Week | Clock::Month => col(self.column),
        }
    }

    /// The first and the last date of the bucket, or buckets, of a local date.
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

/// The first and the last local date on which instants of a UTC day may lie.
///
/// ```
/// # use chrono::NaiveDate;
/// # use wabalake_queries::query::time::local_dates;
/// let day = |day| NaiveDate::from_ymd_opt(2025, 6, day).unwrap();
/// assert_eq!(local_dates(chrono_tz::America::Bogota, day(2)), (day(1), day(2)));
/// assert_eq!(local_dates(chrono_tz::UTC, day(2)), (day(2), day(2)));
/// ```
pub fn local_dates(zone: Tz, day: NaiveDate) -> (NaiveDate, NaiveDate) {
    const STEP: TimeDelta = TimeDelta::minutes(15);
    let start = day.and_time(chrono::NaiveTime::MIN);
    let local = |at: NaiveDateTime| zone.from_utc_datetime(&at).date_naive();
    // A transition back over midnight leaves a date and returns to it, so both ends are not enough.
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
    fn buckets_cover_whole_weeks_and_months() {
        let of = |column| AnswerBuckets::among(&[OutputColumn::text("country"), column]).unwrap();
        let week = of(OutputColumn::date("week"));
        assert_eq!(week.around(date("2025-06-01")), (date("2025-05-26"), date("2025-06-01")));
        let month = of(OutputColumn::date("month"));
        assert_eq!(month.around(date("2024-02-29")), (date("2024-02-01"), date("2024-02-29")));
        assert!(!month.are_within_days());
        let hour = of(OutputColumn::instant("hour"));
        assert_eq!(hour.around(date("2024-02-29")), (date("2024-02-29"), date("2024-02-29")));
        assert_eq!(AnswerBuckets::among(&[OutputColumn::count("hour")]), None);
        let both = [OutputColumn::date("month"), OutputColumn::date("day")];
        assert!(AnswerBuckets::among(&both).unwrap().are_within_days());
    }

    #[test]
    fn a_utc_day_has_two_or_three_local_dates() {
        let dates = |zone, day| local_dates(zone, date(day));
        let kiritimati = dates(Tz::Pacific__Kiritimati, "2025-06-01");
        assert_eq!(kiritimati, (date("2025-06-01"), date("2025-06-02")));
        // Samoa crossed the date line and skipped the 30th.
        let apia = dates(Tz::Pacific__Apia, "2011-12-30");
        assert_eq!(apia, (date("2011-12-29"), date("2011-12-31")));
    }
}
