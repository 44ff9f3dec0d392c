//! The time buckets of an answer, which a mart stores and recomputes one by one.

use chrono::{Datelike, Days, Months, NaiveDate};
use chrono_tz::Tz;
use polars::prelude::{Expr, col, lit};
use wabalake_data::tables::instant;

use super::{Clock, SECOND};
use crate::query::{OutputColumn, Type};

/// The time buckets of an answer: the finest date or time column of its key, or a column that decides
/// the bucket of a row in another way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnswerBuckets {
    column: &'static str,
    written: Written,
    clock: Clock,
    zone: Tz,
}

/// How a column states the time of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Written {
    Date,
    Instant,
    /// In seconds since 1970.
    Seconds,
}

impl AnswerBuckets {
    /// Buckets that a column of instants lies in.
    pub(crate) fn of_instants(column: &'static str, clock: Clock, zone: Tz) -> Self {
        Self { column, written: Written::Instant, clock, zone }
    }

    /// Buckets that a column of seconds since 1970 lies in.
    pub(crate) fn of_seconds(column: &'static str, clock: Clock, zone: Tz) -> Self {
        Self { column, written: Written::Seconds, clock, zone }
    }

    /// The finest bucket column among the columns of a key.
    pub(crate) fn among(columns: &[OutputColumn], zone: Tz) -> Option<Self> {
        let buckets = columns.iter().filter_map(|column| {
            let clock = match (column.name, column.of) {
                ("half_hour", Type::Instant) => Clock::HalfHour,
                ("hour", Type::Instant) => Clock::Hour,
                ("day" | "date", Type::Date) => Clock::Day,
                ("week", Type::Date) => Clock::Week,
                ("month", Type::Date) => Clock::Month,
                _ => return None,
            };
            let written = if column.of == Type::Date { Written::Date } else { Written::Instant };
            Some(Self { column: column.name, written, clock, zone })
        });
        let days = |buckets: &Self| match buckets.clock {
            Clock::Week => 7,
            Clock::Month => 30,
            _ => 1,
        };
        buckets.min_by_key(days)
    }

    /// The time zone in which the buckets begin.
    pub fn zone(self) -> Tz {
        self.zone
    }

    /// Returns `true` if no bucket is longer than a local day.
    pub fn are_within_days(self) -> bool {
        !matches!(self.clock, Clock::Week | Clock::Month)
    }

    /// The local date on which the bucket of a row begins.
    pub fn date(self) -> Expr {
        let local = |at: Expr| Clock::Day.start(at, self.zone);
        match self.written {
            Written::Date => col(self.column),
            Written::Instant => local(col(self.column)),
            Written::Seconds => local((col(self.column) * lit(SECOND)).cast(instant())),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn date(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn buckets_cover_whole_weeks_and_months() {
        let among = |columns: &[OutputColumn]| AnswerBuckets::among(columns, Tz::UTC);
        let of = |column| among(&[OutputColumn::text("country"), column]).unwrap();
        let week = of(OutputColumn::date("week"));
        assert_eq!(week.around(date("2025-06-01")), (date("2025-05-26"), date("2025-06-01")));
        let month = of(OutputColumn::date("month"));
        assert_eq!(month.around(date("2024-02-29")), (date("2024-02-01"), date("2024-02-29")));
        assert!(!month.are_within_days());
        let hour = of(OutputColumn::instant("hour"));
        assert_eq!(hour.around(date("2024-02-29")), (date("2024-02-29"), date("2024-02-29")));
        assert_eq!(among(&[OutputColumn::count("hour")]), None);
        let both = [OutputColumn::date("month"), OutputColumn::date("day")];
        assert!(among(&both).unwrap().are_within_days());
    }
}
