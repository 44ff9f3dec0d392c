//! Rates of sends: from which date on they are not final, and how they changed since the period
//! before.
//!
//! ```text
//! the period before             the period
//! ├───────────────────────┬───┤ ├───────────────────────┬───┤
//!   compared with           │     these dates           └─ not final
//!                           └─ left out: the same weekdays are compared
//! ```
//!
//! Of the last dates fewer outcomes are known than of earlier ones. A rate that counted them would
//! fall every day.

use chrono::{DateTime, NaiveDate};
use wabalake_data::reference::countries;
use wabalake_queries::maturity::{self, Maturity};
use wabalake_queries::query::time::day_start;
use wabalake_queries::what_changed::{self, WhatChanged};

use super::answer::QueryAnswer;
use super::figures::short;
use super::{PageContext, Period};
use crate::error::Result;

/// A date is final if this share of the outcomes to expect is known, in per cent.
const FINAL_PCT: f64 = 99.0;

/// A smaller change of a rate is not worth a word, in points.
const NOTABLE_POINTS: f64 = 0.5;

/// At most so many groups of a dimension explain a change.
const GROUPS: usize = 5;

/// What a rate is the share of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Delivered sends, of all.
    Delivered,
    /// Answered sends, of those that were delivered.
    Answered,
}

impl Outcome {
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Delivered => "Sends delivered",
            Self::Answered => "Sends answered",
        }
    }

    /// The title of the number that the rate is a share of.
    pub(super) fn whole(self) -> &'static str {
        match self {
            Self::Delivered => "Sends",
            Self::Answered => "Delivered",
        }
    }

    /// The title of that number in the period before.
    pub(super) fn whole_before(self) -> &'static str {
        match self {
            Self::Delivered => "Sends before",
            Self::Answered => "Delivered before",
        }
    }

    /// The name of the outcomes.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Delivered => "deliveries",
            Self::Answered => "replies",
        }
    }

    fn of_maturity(self) -> &'static str {
        match self {
            Self::Delivered => "--of=deliveries",
            Self::Answered => "--of=replies",
        }
    }

    fn of_change(self) -> &'static str {
        match self {
            Self::Delivered => "--of=delivery",
            Self::Answered => "--of=reply",
        }
    }
}

/// A rate of the period.
pub(super) struct Rate {
    pub(super) outcome: Outcome,
    /// The first date of the period that is not final.
    pub(super) open_from: Option<NaiveDate>,
    /// The dates that are compared: the final ones of the period, and those of the period before.
    /// All dates, if none is final.
    pub(super) compared: [Period; 2],
    /// The answer of `maturity`.
    pub(super) maturity: QueryAnswer,
    /// The answer of `what-changed`.
    pub(super) changes: QueryAnswer,
    /// `false` if no date of the period is final.
    has_final: bool,
}

impl Rate {
    pub(super) fn of(page: &PageContext<'_>, outcome: Outcome) -> Result<Self> {
        let period = page.period;
        let maturity = page.ask::<Maturity>(&[outcome.of_maturity()])?;
        let open_from = first_open(&maturity)?.filter(|date| *date <= period.to);
        let compared = period.until(open_from);
        let [now, before] = compared;
        // The query takes its dates from no defaults.
        let options = [
            format!("--from={}", now.from),
            format!("--to={}", now.to),
            format!("--before-from={}", before.from),
            format!("--before-to={}", before.to),
            outcome.of_change().to_owned(),
        ];
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        let changes = page.ask_about::<WhatChanged>(now, &options)?;
        let has_final = open_from.is_none_or(|open| open > period.from);
        Ok(Self { outcome, open_from, compared, maturity, changes, has_final })
    }

    /// The rate of all sends in both periods.
    pub(super) fn change(&self) -> Result<Change> {
        let first = |name| -> Result<Option<f64>> {
            Ok(self.changes.numbers(name)?.first().copied().flatten())
        };
        Ok(Change {
            now: first(what_changed::RATE1_PCT)?,
            // That of dates which are all final says nothing of dates which are not.
            before: first(what_changed::RATE0_PCT)?.filter(|_| self.has_final),
            points: first(what_changed::TOTAL_POINTS)?.filter(|_| self.has_final),
            ends: first(what_changed::DIFF_LOW)?.zip(first(what_changed::DIFF_HIGH)?),
        })
    }

    /// A remark on the dates that the rate leaves out, or that it should leave out and cannot.
    pub(super) fn remark(&self) -> Option<String> {
        self.open_from?;
        Some(match self.has_final {
            true => format!("to {}: later days are not final", short(self.compared[0].to)),
            false => "no day is final yet".to_owned(),
        })
    }

    /// The groups that explain the change best.
    pub(super) fn groups(&self) -> Result<Groups> {
        let dimensions = self.changes.texts(what_changed::DIMENSION)?;
        let values = self.changes.texts(what_changed::VALUE)?;
        let points = self.changes.numbers(what_changed::TOTAL_POINTS)?;
        let keep = chosen(&dimensions, &points);
        let names = dimensions.iter().zip(&values).map(|(dimension, value)| {
            group_name(dimension.as_deref().unwrap_or_default(), value.as_deref())
        });
        let names: Vec<String> = names.collect();
        let total = points.first().copied().flatten().unwrap_or(0.0);
        let of = |row: &usize| points[*row].unwrap_or(0.0);
        let causes = (0..keep.len()).filter(|row| keep[*row] && of(row) * total > 0.0);
        let main =
            causes.reduce(|most, row| if of(&row).abs() > of(&most).abs() { row } else { most });
        Ok(Groups { names, keep, main })
    }
}

/// A change of a rate.
#[derive(Clone, Copy, Debug)]
pub(super) struct Change {
    /// In per cent.
    pub(super) before: Option<f64>,
    /// In per cent.
    pub(super) now: Option<f64>,
    /// The difference; `None` if one of the periods has no sends or is not final.
    pub(super) points: Option<f64>,
    /// The 95 % confidence interval of the difference.
    ends: Option<(f64, f64)>,
}

impl Change {
    /// Returns `true` if the difference is unlikely to be chance.
    pub(super) fn is_beyond_chance(&self) -> bool {
        self.ends.is_some_and(|(low, high)| low > 0.0 || high < 0.0)
    }

    /// The difference, if it is large enough and unlikely to be chance.
    pub(super) fn notable(&self) -> Option<f64> {
        self.points.filter(|points| points.abs() >= NOTABLE_POINTS && self.is_beyond_chance())
    }
}

/// The rows of an answer of `what-changed`, named.
pub(super) struct Groups {
    /// The name of each row.
    pub(super) names: Vec<String>,
    /// `true` for the rows that explain the change.
    pub(super) keep: Vec<bool>,
    /// Of these the row that did most to it, in its direction.
    pub(super) main: Option<usize>,
}

/// The first date that is not final. `None` if earlier dates do not tell how long outcomes take.
///
/// A date that has not ended has no row: it is that of the latest row's end and its age, or a later
/// one.
fn first_open(maturity: &QueryAnswer) -> Result<Option<NaiveDate>> {
    let ages = maturity.numbers(maturity::AGE_DAYS)?;
    let complete = maturity.numbers(maturity::COMPLETENESS_PCT)?;
    let days = maturity.dates(maturity::DAY)?.into_iter().zip(ages).zip(complete);
    let days: Vec<(NaiveDate, f64, f64)> =
        days.filter_map(|((day, age), complete)| Some((day?, age?, complete?))).collect();
    let young = days.iter().find(|(_, _, complete)| *complete < FINAL_PCT).map(|(day, ..)| *day);
    let not_ended = || {
        let (day, age, _) = days.last()?;
        let end = day_start(maturity.zone, day.succ_opt()?);
        #[expect(clippy::cast_possible_truncation, reason = "a count of days")]
        let at = end + *age as i64 * 86_400_000_000;
        Some(DateTime::from_timestamp_micros(at)?.with_timezone(&maturity.zone).date_naive())
    };
    Ok(young.or_else(not_ended))
}

/// Marks the groups that did most to a rate, a few of each dimension. The first row is the whole; a
/// dimension with one group tells nothing.
fn chosen(dimensions: &[Option<String>], points: &[Option<f64>]) -> Vec<bool> {
    let mut keep = Vec::with_capacity(points.len());
    for groups in dimensions.chunk_by(|one, other| one == other) {
        let is_split = groups.len() > 1;
        for place in 0..groups.len() {
            let points = points.get(keep.len()).copied().flatten().unwrap_or(0.0);
            // Less is shown as 0.
            keep.push(is_split && place < GROUPS && points.abs() >= 0.05);
        }
    }
    keep
}

/// The name of a group: a country, or a conversation and its version.
fn group_name(dimension: &str, value: Option<&str>) -> String {
    match (dimension, value) {
        ("country", Some(code)) => countries::name(code).unwrap_or(code).to_owned(),
        ("country", None) => "Unknown country".to_owned(),
        (_, None) => "Without a conversation".to_owned(),
        (_, Some(value)) => {
            let (id, version) = value.rsplit_once('/').unwrap_or((value, ""));
            let name = match id {
                "" => "Without a conversation".to_owned(),
                id => format!("Conversation {id}"),
            };
            if version.is_empty() { name } else { format!("{name}, version {version}") }
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono_tz::Tz;
    use polars::prelude::{DataType, IntoLazy, col, df};
    use wabalake_queries::query::OutputColumn;

    use super::*;

    /// An answer of `maturity`: day, age and completeness.
    fn maturity(zone: Tz, rows: &[(&str, i64, Option<f64>)]) -> QueryAnswer {
        let day = |(day, ..): &(&str, i64, Option<f64>)| {
            day.parse::<NaiveDate>().unwrap().to_epoch_days()
        };
        let frame = df![
            maturity::DAY => rows.iter().map(day).collect::<Vec<i32>>(),
            maturity::AGE_DAYS => rows.iter().map(|row| row.1).collect::<Vec<_>>(),
            maturity::COMPLETENESS_PCT => rows.iter().map(|row| row.2).collect::<Vec<_>>(),
        ];
        let frame = frame.unwrap().lazy().with_column(col(maturity::DAY).cast(DataType::Date));
        QueryAnswer {
            query: "maturity",
            columns: vec![
                OutputColumn::date(maturity::DAY),
                OutputColumn::count(maturity::AGE_DAYS),
                OutputColumn::pct(maturity::COMPLETENESS_PCT),
            ],
            rows: frame.collect().unwrap(),
            zone,
            about: "",
            command: String::new(),
        }
    }

    fn first_open_of(zone: Tz, rows: &[(&str, i64, Option<f64>)]) -> Option<String> {
        first_open(&maturity(zone, rows)).unwrap().map(|date| date.to_string())
    }

    #[test]
    fn date_is_open_until_almost_all_outcomes_are_known() {
        let open = |rows: &[_]| first_open_of(Tz::UTC, rows);
        let rows = [
            ("2025-06-10", 3, Some(100.0)),
            ("2025-06-11", 2, Some(98.9)),
            ("2025-06-12", 1, Some(99.5)),
        ];
        assert_eq!(open(&rows).as_deref(), Some("2025-06-11"));
        // Three days after the end of the 10th is the 14th.
        assert_eq!(open(&rows[..1]).as_deref(), Some("2025-06-14"));
        // Nothing is known of how long outcomes take.
        assert_eq!(open(&[("2025-06-10", 3, None)]), None);
        assert_eq!(open(&[]), None);
        // 26 October has 25 hours: 24 hours after the end of the 25th it goes on.
        let late = [("2025-10-25", 1, Some(100.0))];
        assert_eq!(first_open_of(Tz::Europe__Madrid, &late).as_deref(), Some("2025-10-26"));
    }

    #[test]
    fn largest_groups_of_each_dimension_explain() {
        let dimensions = ["all", "country", "conversation", "conversation", "conversation"];
        let dimensions = dimensions.map(|name| Some(name.to_owned()));
        let points = [Some(-3.0), Some(-3.0), Some(-2.0), Some(-1.0), Some(-0.04)];
        assert_eq!(chosen(&dimensions, &points), [false, false, true, true, false]);
    }

    #[test]
    fn groups_are_named() {
        for (dimension, value, name) in [
            ("country", Some("MX"), "Mexico"),
            ("country", Some("QX"), "QX"),
            ("country", None, "Unknown country"),
            ("conversation", Some("34820/5"), "Conversation 34820, version 5"),
            ("conversation", Some("a/b/5"), "Conversation a/b, version 5"),
            ("conversation", Some("34820/"), "Conversation 34820"),
            ("conversation", Some("/5"), "Without a conversation, version 5"),
            ("conversation", None, "Without a conversation"),
        ] {
            assert_eq!(group_name(dimension, value), name);
        }
    }
}
