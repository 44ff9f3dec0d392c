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
//! whole answer is. Each query states the rules of its tables once, in
//! [`Query::invalidation`](crate::query::Query::invalidation):
//!
//! | a changed row | affects | because |
//! |---|---|---|
//! | message of `message-latency` | the bucket of its own time | it counts there alone |
//! | message of `pricing-analytics` | its month | tiers and free messages are numbered by month |
//! | session of `deployment-sessions` | the buckets of the deployments that name it | their own time decides the bucket |
//! | tag of `delivery-rate --by tag` | the buckets of its person's deployments | |
//! | session of `message-summary` | nothing, unless a display name changed | it only names lines |
//!
//! The rules hold for a row that is added, removed, replaced or gets another person. Where several tables
//! changed, each is judged with the others as they are now: a row that another table no longer has is judged
//! by that table's own rule, which therefore includes all that its rows are looked up for.

use chrono::{Datelike, Days, Months, NaiveDate, NaiveDateTime, TimeDelta, TimeZone};
use chrono_tz::Tz;
use polars::prelude::{LazyFrame, PolarsResult};
use wabalake_data::Table;

use crate::query::Tables;

/// Rows of an answer that a changed row of a table may affect. Several of a table add up; with none, the
/// table does not matter.
#[derive(Clone, Copy, Debug)]
pub enum Invalidation {
    /// Any row.
    Answer,
    /// Rows of the buckets of dates near the changed row's own time.
    ///
    /// This needs that `--from` and `--to` of a bucket give the same rows as the whole answer has for that
    /// bucket.
    Near(Near),
    /// Rows of the buckets of dates near rows of a table that have the changed row's value in a column.
    SameKey {
        /// A column of both tables. A null equals nothing.
        key: &'static str,
        /// The table whose rows decide the bucket.
        of: &'static Table,
        /// The dates near them.
        near: Near,
    },
    /// Any row, but only if the change alters the rows of a small plan, such as the names of lines.
    LookUp(fn(&Tables) -> PolarsResult<LazyFrame>),
}

impl Invalidation {
    /// The bucket of a row's own time.
    pub const OWN_BUCKET: Self = Self::Near(Near::ITSELF);

    /// Returns `true` if it names dates of the answer.
    pub fn is_of_dates(&self) -> bool {
        matches!(self, Self::Near(_) | Self::SameKey { .. })
    }
}

/// Local dates near a date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Near {
    days_after: u32,
    months: bool,
}

impl Near {
    /// The date alone.
    pub const ITSELF: Self = Self { days_after: 0, months: false };

    /// The date and some days after it.
    #[must_use]
    pub const fn and_after(days_after: u32) -> Self {
        Self { days_after, months: false }
    }

    /// The whole months of these dates.
    #[must_use]
    pub const fn in_months(self) -> Self {
        Self { months: true, ..self }
    }

    /// The first and the last of the dates near an interval of dates.
    pub fn around(self, (first, last): (NaiveDate, NaiveDate)) -> (NaiveDate, NaiveDate) {
        let last = last + Days::new(self.days_after.into());
        if !self.months {
            return (first, last);
        }
        let start = |date: NaiveDate| date - Days::new(date.day0().into());
        (start(first), start(last) + Months::new(1) - Days::new(1))
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
    fn dates_near_a_date_may_be_whole_months() {
        let around = |near: Near, day| {
            let (first, last) = near.around((date(day), date(day)));
            format!("{first} {last}")
        };
        assert_eq!(around(Near::ITSELF, "2024-02-28"), "2024-02-28 2024-02-28");
        assert_eq!(around(Near::and_after(2), "2024-02-28"), "2024-02-28 2024-03-01");
        assert_eq!(around(Near::and_after(1).in_months(), "2024-02-28"), "2024-02-01 2024-02-29");
        assert_eq!(around(Near::and_after(2).in_months(), "2024-02-28"), "2024-02-01 2024-03-31");
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
