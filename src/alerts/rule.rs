//! Judges the values of a group by the rule of an alert.
//!
//! ```text
//! rule = "anomaly", value = 4
//!
//! eight Thursdays    95.1  94.8  95.0  95.3  94.9  95.2  95.0  94.7
//!   │ median 95, median absolute deviation 0.15: the spread is 1.4826 × 0.15
//!   ▼ expected       95, from 94.11 to 95.89
//! this Thursday      62.5 fires
//! ```

use std::collections::BTreeMap;

use chrono::{DateTime, Datelike as _, Days, Months, NaiveDate, TimeDelta, Utc};
use chrono_tz::Tz;
use wabalake_queries::query::statistics::median_and_deviation;

use crate::config::{AlertDirection, AlertRule, AlertSettings, AlertState};

/// Numbers that are this near to each other are equal: that much is lost when floats are added up.
const NEAR: f64 = 1e-9;

/// The length of the buckets of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Day,
    Week,
    Month,
}

impl Step {
    pub(super) const ALL: [Self; 3] = [Self::Day, Self::Week, Self::Month];

    /// The name of the column with the start of the bucket.
    pub(super) fn column(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }

    /// The first date of the bucket of a date.
    pub(super) fn start(self, date: NaiveDate) -> NaiveDate {
        let back = match self {
            Self::Day => 0,
            Self::Week => date.weekday().num_days_from_monday(),
            Self::Month => date.day0(),
        };
        date.checked_sub_days(Days::new(back.into())).unwrap_or(date)
    }

    /// The last date of the bucket that starts on a date.
    pub(super) fn last(self, start: NaiveDate) -> NaiveDate {
        let next = match self {
            Self::Day => return start,
            Self::Week => start.checked_add_days(Days::new(7)),
            Self::Month => start.checked_add_months(Months::new(1)),
        };
        next.and_then(|next| next.pred_opt()).unwrap_or(start)
    }

    /// The start of the bucket before the one that starts on a date.
    fn before(self, start: NaiveDate) -> NaiveDate {
        self.start(start.pred_opt().unwrap_or(start))
    }
}

/// The values of a group by the start of their bucket, `None` for null.
type Points = BTreeMap<NaiveDate, Option<f64>>;

/// A group of an answer: the columns of its key without the bucket. Ordered by its text.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Group {
    /// Its columns as `name=value`; `None` for the whole.
    pub(super) text: Option<String>,
    /// Their values, which tell null from an empty text.
    pub(super) values: Vec<Option<String>>,
}

/// A row of an answer.
#[derive(Clone, Debug)]
pub(super) struct Row {
    /// The start of its bucket.
    pub(super) bucket: NaiveDate,
    pub(super) group: Group,
    /// The value that is judged.
    pub(super) value: Option<f64>,
    /// The size of the bucket, if the rule asks for one.
    pub(super) count: Option<f64>,
}

/// What the value of a group was judged to be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Verdict {
    pub(super) value: Option<f64>,
    /// The limit, the value of the bucket before, or the median.
    pub(super) expected: Option<f64>,
    /// The ends of what is usual; only of an anomaly.
    pub(super) low: Option<f64>,
    pub(super) high: Option<f64>,
    pub(super) state: AlertState,
}

/// The rule of an alert.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    kind: AlertRule,
    limit: f64,
    direction: AlertDirection,
    min_change: f64,
    /// The least size of a bucket whose value counts.
    min_count: Option<f64>,
    mature_days: u16,
    weeks: u16,
    min_points: u16,
    missing: AlertState,
    step: Step,
    /// `true` if the answer has no groups: it is judged even without rows.
    is_whole: bool,
}

impl Rule {
    pub(super) const WEEKS: u16 = 8;
    pub(super) const MIN_POINTS: u16 = 5;

    /// The rule of an alert about an answer with such buckets, and without groups if it `is_whole`.
    pub(super) fn of(settings: &AlertSettings, step: Step, is_whole: bool) -> Self {
        Self {
            kind: settings.rule,
            limit: settings.value,
            direction: settings.direction.unwrap_or_default(),
            min_change: settings.min_change.unwrap_or_default(),
            min_count: settings.min_count.as_ref().map(|least| least.value),
            mature_days: settings.mature_days.unwrap_or(2),
            weeks: settings.weeks.unwrap_or(Self::WEEKS),
            min_points: settings.min_points.unwrap_or(Self::MIN_POINTS),
            missing: settings.missing,
            step,
            is_whole,
        }
    }

    /// The start of the bucket that is judged: the latest that ended long enough before `now`, on the clock of
    /// a time zone.
    pub(super) fn bucket(&self, now: DateTime<Utc>, zone: Tz) -> NaiveDate {
        let days = TimeDelta::days(self.mature_days.into());
        let mature = now.checked_sub_signed(days).unwrap_or(now);
        self.step.before(self.step.start(mature.with_timezone(&zone).date_naive()))
    }

    /// The first and the last date of the buckets that decide about one.
    pub(super) fn dates(&self, bucket: NaiveDate) -> (NaiveDate, NaiveDate) {
        let first = match self.kind {
            AlertRule::Below | AlertRule::Above if self.is_whole => bucket,
            _ => self.first_of_groups(bucket).min(self.step.before(bucket)),
        };
        (self.step.start(first), self.step.last(bucket))
    }

    /// The first start of a bucket whose groups are judged.
    fn first_of_groups(&self, bucket: NaiveDate) -> NaiveDate {
        let days = Days::new(7 * u64::from(self.weeks));
        bucket.checked_sub_days(days).unwrap_or(NaiveDate::MIN)
    }

    /// Judges one bucket of each group of an answer, by the order of groups.
    pub(super) fn judge(
        &self,
        rows: impl IntoIterator<Item = Row>,
        bucket: NaiveDate,
    ) -> Vec<(Group, Verdict)> {
        let mut groups: BTreeMap<Group, Points> = BTreeMap::new();
        if self.is_whole {
            groups.insert(Group::default(), Points::new());
        }
        for row in rows {
            let is_large = |least| row.count.is_some_and(|count| count >= least);
            let value = row.value.filter(|_| self.min_count.is_none_or(is_large));
            groups.entry(row.group).or_default().insert(row.bucket, value);
        }
        let first = self.first_of_groups(bucket);
        groups.retain(|_, points| self.is_whole || points.range(first..=bucket).next().is_some());
        let judged = groups.into_iter().map(|(group, points)| {
            let verdict = self.judge_group(&points, bucket);
            (group, verdict)
        });
        judged.collect()
    }

    /// Judges one bucket of a group.
    fn judge_group(&self, points: &Points, bucket: NaiveDate) -> Verdict {
        let at = |date: NaiveDate| points.get(&date).copied().flatten();
        let value = at(bucket);
        let (expected, margin) = match self.kind {
            AlertRule::Below | AlertRule::Above => (Some(self.limit), None),
            AlertRule::ChangePct => (at(self.step.before(bucket)), None),
            AlertRule::Anomaly => {
                let weeks = (1..=u64::from(self.weeks)).map(|week| Days::new(7 * week));
                let before = weeks.filter_map(|days| at(bucket.checked_sub_days(days)?));
                let before: Vec<f64> = before.collect();
                let usual = median_and_deviation(&before);
                let usual = usual.filter(|_| before.len() >= usize::from(self.min_points));
                (usual.map(|usual| usual.0), usual.map(|usual| self.limit * usual.1))
            }
        };
        let compared = value.zip(expected);
        let fires = compared.and_then(|(value, expected)| self.fires(value, expected, margin));
        let state = match fires {
            _ if !points.contains_key(&bucket) => self.missing,
            None => AlertState::Unknown,
            Some(false) => AlertState::Ok,
            Some(true) => AlertState::Fires,
        };
        let ends = expected.zip(margin);
        Verdict {
            value,
            expected,
            low: ends.map(|(expected, margin)| expected - margin),
            high: ends.map(|(expected, margin)| expected + margin),
            state,
        }
    }

    /// Returns `true` if a value fires; `None` if that cannot be told.
    fn fires(&self, value: f64, expected: f64, margin: Option<f64>) -> Option<bool> {
        let change = (value - expected).abs();
        let is_meant = match self.direction {
            AlertDirection::Any => true,
            AlertDirection::Up => value > expected,
            AlertDirection::Down => value < expected,
        };
        let counts = is_meant && change > NEAR && change > self.min_change - NEAR;
        match self.kind {
            AlertRule::Below => Some(value < self.limit),
            AlertRule::Above => Some(value > self.limit),
            AlertRule::ChangePct if expected == 0.0 => None,
            // Multiplied before it is divided: 10 per cent are exactly 10.
            AlertRule::ChangePct => Some(counts && 100.0 * change / expected.abs() > self.limit),
            AlertRule::Anomaly => margin.map(|margin| counts && change > margin),
        }
    }
}
