//! Dates without a time.
//!
//! ```text
//! "2025-06-01"            ISO 8601; also 2025/6/1
//! "2025-06-01 00:00:00"   a date cell of a spreadsheet
//! "Nov 25, 2022"          Kaleyra's reports
//! "25/11/2022"            day first or month first, in the order of the whole column
//! "25/11/22"              invalid: a year has four digits
//! ```

use chrono::{NaiveDate, NaiveTime};

use super::DateOrder;
use super::clock::clock;

/// Parses a trimmed date that is no null word, to days since 1970. Without an order, only a date that
/// is the same in every order is parsed.
///
/// ```
/// use wabalake_data::cells::{DateOrder, date::read};
/// assert_eq!(read("1970-01-02", None), Some(1));
/// assert_eq!(read("Jan 2, 1970", None), Some(1));
/// assert_eq!(read("02/01/1970", None), None);
/// assert_eq!(read("02/01/1970", Some(DateOrder::DayFirst)), Some(1));
/// assert_eq!(read("02/01/1970", Some(DateOrder::MonthFirst)), Some(31));
/// ```
pub fn read(word: &str, order: Option<DateOrder>) -> Option<i32> {
    let (date, time) = split(word);
    let is_midnight = |time| clock(time).is_some_and(|(time, _)| time == NaiveTime::MIN);
    let date = calendar(date, order).filter(|_| time.is_empty() || is_midnight(time))?;
    Some(date.to_epoch_days())
}

/// Splits a date from the time that follows it; the time is empty if there is none.
pub(super) fn split(word: &str) -> (&str, &str) {
    let Some(colon) = word.find(':') else { return (word, "") };
    let before = &word[..colon];
    let (before, time) = word.split_at(before.trim_end_matches(|c: char| c.is_ascii_digit()).len());
    let date = match before.strip_suffix(['T', 't']) {
        Some(date) if date.ends_with(|c: char| c.is_ascii_digit()) => date,
        _ => before.trim_end(),
    };
    (date.strip_suffix(',').unwrap_or(date), time)
}

/// Parses a date that is year first, has the name of its month, or is in the given order.
pub(super) fn calendar(word: &str, order: Option<DateOrder>) -> Option<NaiveDate> {
    in_numbers(word, order).or_else(|| named(word))
}

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

/// Parses `Nov 25, 2022` or `25 November 2022`.
fn named(word: &str) -> Option<NaiveDate> {
    let mut parts = word.split([' ', ',', '.', '-']).filter(|part| !part.is_empty());
    let (first, second, year) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || year.len() != 4 {
        return None;
    }
    let (month, day) = match month(first) {
        Some(month) => (month, second),
        None => (month(second)?, first),
    };
    of(number(year)?, month, number(day)?)
}

/// Parses the English name of a month, or its first three letters or more.
fn month(name: &str) -> Option<u32> {
    let name = name.to_ascii_lowercase();
    let found = MONTHS.iter().zip(1..).find(|(month, _)| month.starts_with(&name))?;
    (name.len() >= 3).then_some(found.1)
}

/// Parses `2022-11-25`, `25/11/2022` or `25.11.2022`.
fn in_numbers(word: &str, order: Option<DateOrder>) -> Option<NaiveDate> {
    let mut parts = word.split(['/', '.', '-']);
    let (first, second, third) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    let (year, month, day) = match order {
        _ if first.len() == 4 => (first, second, third),
        Some(DateOrder::DayFirst) => (third, second, first),
        Some(DateOrder::MonthFirst) => (third, first, second),
        Some(DateOrder::YearFirst) | None => return None,
    };
    let short = |part: &str| part.len() <= 2;
    let shaped = year.len() == 4 && short(month) && short(day);
    shaped.then(|| of(number(year)?, number(month)?, number(day)?)).flatten()
}

fn number(digits: &str) -> Option<u32> {
    let shaped = (1..=4).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    shaped.then(|| digits.parse().ok()).flatten()
}

fn of(year: u32, month: u32, day: u32) -> Option<NaiveDate> {
    NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month, day).filter(|_| year >= 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(word: &str, order: Option<DateOrder>) -> Option<String> {
        let days = read(word, order)?;
        Some(NaiveDate::from_epoch_days(days).unwrap().to_string())
    }

    const ORDERS: [Option<DateOrder>; 4] =
        [None, Some(DateOrder::DayFirst), Some(DateOrder::MonthFirst), Some(DateOrder::YearFirst)];

    #[test]
    fn unambiguous_dates_are_parsed_with_any_order() {
        let spellings = [
            "2022-11-25",
            "2022/11/25",
            "2022.11.25",
            "2022-11-25 00:00:00",
            "2022-11-25T00:00:00.000Z",
            "Nov 25, 2022",
            "November 25 2022",
            "25 nov. 2022",
            "25-NOV-2022",
            "Nov 25, 2022 12:00:00 AM",
        ];
        for spelling in spellings {
            for order in ORDERS {
                assert_eq!(date(spelling, order).as_deref(), Some("2022-11-25"), "{spelling}");
            }
        }
        assert_eq!(date("2022/1/5", None).as_deref(), Some("2022-01-05"));
    }

    #[test]
    fn numeric_dates_are_parsed_in_the_given_order() {
        let [unknown, day_first, month_first, year_first] = ORDERS;
        let cases = [
            ("25/11/2022", day_first, "2022-11-25"),
            ("25.11.2022", day_first, "2022-11-25"),
            ("25-11-2022 0:00", day_first, "2022-11-25"),
            ("11/25/2022", month_first, "2022-11-25"),
            ("01/08/2026", day_first, "2026-08-01"),
            ("1/8/2026", day_first, "2026-08-01"),
            ("1/8/2026 12:00 AM", month_first, "2026-01-08"),
            ("08/08/2026", day_first, "2026-08-08"),
        ];
        for (word, order, expected) in cases {
            assert_eq!(date(word, order).as_deref(), Some(expected), "{word}");
            assert_eq!((date(word, unknown), date(word, year_first)), (None, None), "{word}");
        }
        assert_eq!(date("11/25/2022", day_first), None);
        assert_eq!(date("25/11/2022", month_first), None);
    }

    #[test]
    fn invalid_dates() {
        let words = [
            "",
            "2022-11-31",
            "2022-11-25 10:00:00",
            "22-11-25",
            "25/11/22",
            "Ju 1, 2022",
            "Nov 2022",
            "2022-1-1-1",
            "13/25/2022",
            "2022-é1-01",
            "44890",
            "2022-011-25",
            "2022-11-25 00:00:00 noon",
        ];
        for word in words {
            for order in ORDERS {
                assert_eq!(date(word, order), None, "{word} {order:?}");
            }
        }
    }
}
