//! Local time: time zones, date ranges and the buckets that answers are split into.
//!
//! | module | what it holds |
//! |---|---|
//! | [`zone`] | parser of time zone names, with hints for offsets and abbreviations |
//! | [`clock`] | where local days, weeks, months, hours and half-hours begin |
//! | [`instants`] | options that are an instant |
//! | [`days`] | `--from`, `--to` and `--timezone` |
//! | [`hours`] | opening hours of a week, and the time that is open between two instants |
//! | [`answer_buckets`] | the buckets of an answer |
//! | [`invalidation`] | which of them changed rows affect |

use chrono::NaiveDate;
use chrono_tz::Tz;

use super::billing::rules::PricingDefaults;

pub mod answer_buckets;
pub mod clock;
pub mod days;
pub mod hours;
pub mod instants;
pub mod invalidation;
pub mod zone;

pub use answer_buckets::AnswerBuckets;
pub(crate) use clock::local_date;
pub use clock::{Clock, day_start, hour_of_week, rfc3339, write_instant};
pub use days::{DayRange, Span, Timezone, read_date};
pub(crate) use days::{date_literal, instant_literal};
pub use hours::{Holidays, HoursDefaults, WeeklyHours};
pub use instants::read_instant;
pub use invalidation::{Invalidation, Near, local_dates};
pub use zone::read_zone;

/// Microseconds in a second.
pub(crate) const SECOND: i64 = 1_000_000;
/// Microseconds in an hour.
pub(crate) const HOUR: i64 = 3_600 * SECOND;
/// Microseconds in 24 hours.
pub(crate) const DAY: i64 = 24 * HOUR;

/// Values of options that were not typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Defaults {
    /// The reporting time zone.
    pub timezone: Tz,
    /// The first local date.
    pub from: Option<NaiveDate>,
    /// The last local date.
    pub to: Option<NaiveDate>,
    /// How messages are priced.
    pub pricing: PricingDefaults,
    /// When agents work.
    pub hours: HoursDefaults,
    /// `true` lets `--people` name people.
    pub people_in_answers: bool,
}

impl Default for Defaults {
    /// UTC, all dates, usual prices, agents at all hours, and no names of people.
    fn default() -> Self {
        Self {
            timezone: Tz::UTC,
            from: None,
            to: None,
            pricing: PricingDefaults::default(),
            hours: HoursDefaults::default(),
            people_in_answers: false,
        }
    }
}

/// The time that a question is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timeframe {
    /// Local dates.
    Days(DayRange),
    /// Dates of another time zone than that in which instants are shown.
    DaysElsewhere {
        /// The dates, with the zone in which they begin.
        days: DayRange,
        /// The zone in which instants are shown.
        shown_in: Tz,
    },
    /// An interval of instants.
    Span(Span),
}

impl Timeframe {
    /// The time zone in which days begin.
    pub fn timezone(&self) -> Tz {
        self.span().timezone
    }

    /// The first instant and the first one after, in microseconds; `None` where the timeframe is open.
    pub fn instants(&self) -> (Option<i64>, Option<i64>) {
        let Span { from, until, .. } = self.span();
        (from, until)
    }

    /// The first and the last local date, both inclusive; `None` where the timeframe is open or not
    /// given by dates.
    pub fn dates(&self) -> (Option<NaiveDate>, Option<NaiveDate>) {
        match self {
            Self::Days(days) | Self::DaysElsewhere { days, .. } => days.dates(),
            Self::Span(_) => (None, None),
        }
    }

    fn span(&self) -> Span {
        match self {
            Self::Days(days) => days.span(),
            Self::DaysElsewhere { days, shown_in } => Span { timezone: *shown_in, ..days.span() },
            Self::Span(span) => *span,
        }
    }
}
