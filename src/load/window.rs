//! Windows: the period that a file was asked for, which its rows may not fill; and dates of export.
//!
//! ```text
//! --window 2025-06-01..2025-06-30                          the period that is given
//! --window rows                                            from the day of the first row to that of the last
//! pattern = '(?<from>.{10})_(?<to>.{10})\.csv$'           june_2025-06-01_2025-06-30.csv: from its name
//! pattern = 'ads_(?<exported>.{10})\.csv$'                ads_2025-07-02.csv: the date of its export
//! ```
//!
//! Dates are local ones in the source time zone, both inclusive.

use std::fmt;

use chrono::{DateTime, NaiveDate};
use chrono_tz::Tz;
use polars::prelude::*;
use regex::Regex;
use wabalake_data::{Invalid, Table};

use crate::error::{Error, Result};

/// A period of local dates, both inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    /// Its first date.
    pub from: NaiveDate,
    /// Its last date.
    pub to: NaiveDate,
}

impl Period {
    /// Creates a period; `None` if it ends before it begins.
    pub fn new(from: NaiveDate, to: NaiveDate) -> Option<Self> {
        (from <= to).then_some(Self { from, to })
    }
}

/// The window of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Window {
    /// It is unknown.
    #[default]
    Unknown,
    /// The days from the first to the last of its rows.
    Rows,
    /// This period.
    Period(Period),
}

impl Window {
    /// The word for [`Window::Rows`] on the command line and in settings.
    pub const ROWS: &str = "rows";
}

/// The dates in a file's name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct NameDates {
    /// The groups `from` and `to`.
    period: Option<Period>,
    /// The group `exported`.
    exported: Option<NaiveDate>,
}

/// A regular expression on the names of files, with the groups `from` and `to`, or `exported`, or all
/// three.
#[derive(Clone, Debug)]
pub struct NamePattern(Regex);

impl PartialEq for NamePattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl Eq for NamePattern {}

impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

impl NamePattern {
    /// Parses a pattern.
    ///
    /// ```
    /// use wabalake::load::NamePattern;
    /// assert!(NamePattern::new(r"(?<from>[\d-]{10})_(?<to>[\d-]{10})").is_ok());
    /// assert!(NamePattern::new(r"ads_(?<exported>[\d-]{10})").is_ok());
    /// assert_eq!(NamePattern::new("(?<from>.)").unwrap_err().what, "a pattern without a group `to`");
    /// ```
    ///
    /// # Errors
    ///
    /// A text that is no regular expression, that has no group of a date, or only one of `from` and `to`.
    pub fn new(text: &str) -> Result<Self, Invalid> {
        let regex = Regex::new(text).map_err(|error| {
            // The lines above show the pattern again.
            let error = error.to_string();
            let last = error.lines().last().unwrap_or_default();
            let last = last.strip_prefix("error: ").unwrap_or(last);
            Invalid::new(format!("not a regular expression: {last}"))
        })?;
        let pattern = Self(regex);
        let lacks = match ["from", "to", "exported"].map(|group| pattern.has(group)) {
            [true, true, _] | [false, false, true] => return Ok(pattern),
            [true, false, _] => "a group `to`",
            [false, true, _] => "a group `from`",
            [false, false, false] => "the groups `from` and `to`, or `exported`",
        };
        Err(Invalid::new(format!("a pattern without {lacks}")))
    }

    /// Returns `true` if the pattern has a group of that name.
    fn has(&self, group: &str) -> bool {
        self.0.capture_names().flatten().any(|name| name == group)
    }

    /// The dates in a file's name; `None` if the pattern does not match.
    ///
    /// # Errors
    ///
    /// What is wrong with the dates of a name that matches.
    fn dates(&self, name: &str) -> Result<Option<NameDates>, Invalid> {
        let Some(groups) = self.0.captures(name) else { return Ok(None) };
        let date = |group: &str| {
            let text = groups.name(group).map(|found| found.as_str().replace('_', "-"));
            let date = text.filter(|text| text.len() == 10);
            let date = date.and_then(|text| NaiveDate::parse_from_str(&text, "%Y-%m-%d").ok());
            date.ok_or_else(|| Invalid::new(format!("no date where the pattern has `{group}`")))
        };
        let period = || {
            let period = Period::new(date("from")?, date("to")?);
            period.ok_or_else(|| Invalid::new("a period that ends before it begins"))
        };
        Ok(Some(NameDates {
            period: self.has("from").then(period).transpose()?,
            exported: self.has("exported").then(|| date("exported")).transpose()?,
        }))
    }
}

/// The windows of files, and dates of export: the first pattern that matches the name counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Windows {
    /// Patterns of names.
    pub patterns: Vec<NamePattern>,
    /// The window of files whose name has no period.
    pub otherwise: Window,
}

impl Windows {
    /// Returns the window of a file, and the date of its export if its name has one. Of a file in a folder or
    /// archive only the last part of the name counts.
    ///
    /// # Errors
    ///
    /// A name that matches a pattern, without a date where the pattern has one.
    pub(super) fn of(&self, file: &str) -> Result<(Window, Option<NaiveDate>)> {
        let name = file.rsplit(['/', '\\']).next().unwrap_or(file);
        for pattern in &self.patterns {
            match pattern.dates(name) {
                Ok(None) => {}
                Ok(Some(NameDates { period, exported })) => {
                    return Ok((period.map_or(self.otherwise, Window::Period), exported));
                }
                Err(Invalid { what, .. }) => {
                    let what = format!("the name of `{file}` has {what}");
                    return Err(Error::data(what).hint(format!(
                        "the pattern is `{pattern}`: its groups from, to and exported match dates such as \
                         2025-06-01 or 2025_06_01; correct it in [[inbox.windows]], or the name"
                    )));
                }
            }
        }
        Ok((self.otherwise, None))
    }
}

/// The range of a file's rows in the column that decides their day.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RowRange(Option<(i64, i64)>);

impl RowRange {
    /// Extends it by rows. Those of a table without days have no range.
    pub(super) fn add(&mut self, table: &Table, rows: &DataFrame) -> PolarsResult<()> {
        if !table.has_days() {
            return Ok(());
        }
        let stamps = rows.column(table.day_of)?.cast(&DataType::Int64)?;
        let stamps = stamps.i64()?;
        if let (Some(first), Some(last)) = (stamps.min(), stamps.max()) {
            let (least, greatest) = self.0.unwrap_or((first, last));
            self.0 = Some((least.min(first), greatest.max(last)));
        }
        Ok(())
    }

    /// The local dates of the first and the last row; `None` without a dated row.
    pub(super) fn days(self, table: &Table, zone: Tz) -> Option<Period> {
        let (first, last) = self.0?;
        let of = table.columns.iter().find(|column| column.name == table.day_of)?.data_type();
        let day = |stamp: i64| match of {
            DataType::Date => NaiveDate::from_epoch_days(i32::try_from(stamp).ok()?),
            DataType::Int64 => {
                Some(DateTime::from_timestamp(stamp, 0)?.with_timezone(&zone).date_naive())
            }
            _ => Some(DateTime::from_timestamp_micros(stamp)?.with_timezone(&zone).date_naive()),
        };
        let (first, last) = (day(first)?, day(last)?);
        // At the end of DST, the clock may show an earlier date again.
        Some(Period { from: first.min(last), to: first.max(last) })
    }
}

#[cfg(test)]
mod tests {
    use wabalake_data::tables::{ad_spend, meta_points, sessions};

    use super::*;

    fn date(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn windows(patterns: &[&str]) -> Windows {
        let patterns = patterns.iter().map(|text| NamePattern::new(text).unwrap()).collect();
        Windows { patterns, otherwise: Window::Rows }
    }

    #[test]
    fn first_pattern_that_matches_counts() {
        let windows = windows(&[
            r"sessions_(?<from>\d{4}_\d{2}_\d{2})_(?P<to>.{10})",
            r"(?<from>[\d-]{10})\.\.(?<to>[\d-]{10})",
            r"(?<to>[\d_]{10})(?<from>x)",
        ]);
        let period = |from, to| Some(Window::Period(Period { from: date(from), to: date(to) }));
        for (name, expected) in [
            ("sessions_2025_06_01_2025-06-30.csv", period("2025-06-01", "2025-06-30")),
            ("in/x.zip/2025-06-01..2025-06-01.csv", period("2025-06-01", "2025-06-01")),
            ("2025-06-01..2025-06-01/x.csv", Some(Window::Rows)),
            ("sessions_2025_06_31_2025-06-30.csv", None),
            ("2025-06-02..2025-06-01.csv", None),
            ("2025_06_01x", None),
            ("x.csv", Some(Window::Rows)),
        ] {
            assert_eq!(windows.of(name).ok(), expected.map(|window| (window, None)), "{name}");
        }
    }

    #[test]
    fn names_have_a_date_of_export_a_period_or_both() {
        let windows = windows(&[
            r"^(?<from>.{10})_(?<to>.{10})_of_(?<exported>.{10})",
            r"^ads_(?<exported>[\d_-]{10})",
            r"^(?<from>[\d-]{10})_(?<to>[\d-]{10})",
        ]);
        let june = Window::Period(Period { from: date("2025-06-01"), to: date("2025-06-30") });
        let exported = Some(date("2025-07-02"));
        for (name, expected) in [
            ("2025-06-01_2025-06-30_of_2025_07_02.csv", Some((june, exported))),
            ("ads_2025-07-02.csv", Some((Window::Rows, exported))),
            ("2025-06-01_2025-06-30.csv", Some((june, None))),
            ("2025-06-01_2025-06-30_of_2025_07_32.csv", None),
            ("ads_2025-06-31.csv", None),
            ("ads.csv", Some((Window::Rows, None))),
        ] {
            assert_eq!(windows.of(name).ok(), expected, "{name}");
        }
    }

    #[test]
    fn invalid_patterns_are_refused() {
        for (pattern, what) in [
            ("(?<from>.", "not a regular expression: unclosed group"),
            ("(?<to>.)", "a pattern without a group `from`"),
            ("(?<exported>.)(?<to>.)", "a pattern without a group `from`"),
            ("(?<exported>.)(?<from>.)", "a pattern without a group `to`"),
            (".", "a pattern without the groups `from` and `to`, or `exported`"),
        ] {
            assert_eq!(NamePattern::new(pattern).unwrap_err().what, what);
        }
    }

    #[test]
    fn rows_have_local_dates() {
        let bogota = chrono_tz::America::Bogota;
        let micros = |text: &str| text.parse::<DateTime<chrono::Utc>>().unwrap().timestamp_micros();
        let (first, last) = (micros("2025-06-01T04:59:59Z"), micros("2025-06-02T05:00:00Z"));
        let period = |from, to| Some(Period { from: date(from), to: date(to) });
        let days =
            |table: &Table, first, last, zone| RowRange(Some((first, last))).days(table, zone);
        let sessions = &sessions::TABLE;
        assert_eq!(days(sessions, first, last, bogota), period("2025-05-31", "2025-06-02"));
        assert_eq!(days(sessions, first, last, Tz::UTC), period("2025-06-01", "2025-06-02"));
        let (first, last) = (first / 1_000_000, last / 1_000_000);
        let points = &meta_points::TABLE;
        assert_eq!(days(points, first, last, bogota), period("2025-05-31", "2025-06-02"));
        assert_eq!(days(&ad_spend::TABLE, 0, 1, bogota), period("1970-01-01", "1970-01-02"));
        assert_eq!(RowRange::default().days(sessions, bogota), None);
    }
}
