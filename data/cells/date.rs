//! Dates without a time.
//!
//! ```text
//! "2025-06-01"            as ISO has it
//! "2025-06-01 00:00:00"   as spreadsheets write a date cell
//! "Nov 25, 2022"          as Kaleyra prints it
//! "25/11/2022"            day first, where the language says so or it cannot be otherwise
//! "01/08/2025"            in English either the first of August or the eighth of January: bad
//! ```

use chrono::NaiveDate;

use super::Spelling;

/// Reads a trimmed date that is no null word, as days since 1970.
///
/// ```
/// use wabalake_data::cells::{Spelling, date::read};
/// let plain = Spelling::default();
/// assert_eq!(read("1970-01-02", plain), Some(1));
/// assert_eq!(read("Jan 2, 1970", plain), Some(1));
/// assert_eq!(read("02/01/1970", plain), None);
/// assert_eq!(read("02/01/1970", Spelling { day_first: true, ..plain }), Some(1));
/// ```
pub fn read(word: &str, spelling: Spelling) -> Option<i32> {
    let date = iso(word).or_else(|| named(word)).or_else(|| in_numbers(word, spelling.day_first));
    date.map(|date| date.to_epoch_days())
}

/// `2025-06-01` or `2025/06/01`, with midnight after it or nothing.
fn iso(word: &str) -> Option<NaiveDate> {
    let (date, time) = word.split_at_checked(10)?;
    let mut parts = date.split(['-', '/']);
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    let shaped = [year.len(), month.len(), day.len()] == [4, 2, 2];
    let midnight = time.is_empty()
        || time
            .strip_prefix([' ', 'T'])
            .map(|time| time.strip_suffix('Z').unwrap_or(time))
            .is_some_and(|time| {
                time.starts_with("00:00") && time.bytes().all(|b| matches!(b, b'0' | b':' | b'.'))
            });
    (shaped && midnight).then(|| of(number(year)?, number(month)?, number(day)?)).flatten()
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

/// `Nov 25, 2022` or `25 November 2022`.
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

/// A month by its English name or the first letters of it, three at least.
fn month(name: &str) -> Option<u32> {
    let name = name.to_ascii_lowercase();
    let found = MONTHS.iter().zip(1..).find(|(month, _)| month.starts_with(&name))?;
    (name.len() >= 3).then_some(found.1)
}

/// `25/11/2022`, `25.11.2022`, or with the month first where that is the only way to read it.
fn in_numbers(word: &str, day_first: bool) -> Option<NaiveDate> {
    let mut parts = word.split(['/', '.', '-']);
    let (first, second, year) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || year.len() != 4 {
        return None;
    }
    let (first, second, year) = (number(first)?, number(second)?, number(year)?);
    let both = (of(year, second, first), of(year, first, second));
    match both {
        (date, _) if day_first => date,
        (Some(one), Some(other)) => (one == other).then_some(one),
        (one, other) => one.or(other),
    }
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

    fn date(word: &str, day_first: bool) -> Option<String> {
        let days = read(word, Spelling { day_first, ..Spelling::default() })?;
        Some(NaiveDate::from_epoch_days(days).unwrap().to_string())
    }

    #[test]
    fn spellings_of_one_date() {
        let spellings = [
            "2022-11-25",
            "2022/11/25",
            "2022-11-25 00:00:00",
            "2022-11-25T00:00:00.000Z",
            "Nov 25, 2022",
            "November 25 2022",
            "25 nov. 2022",
            "25-NOV-2022",
            "25/11/2022",
            "11/25/2022",
            "25.11.2022",
        ];
        for spelling in spellings {
            assert_eq!(date(spelling, false).as_deref(), Some("2022-11-25"), "{spelling}");
        }
        assert_eq!(date("01/08/2026", true).as_deref(), Some("2026-08-01"));
        assert_eq!(date("1/8/2026", true).as_deref(), Some("2026-08-01"));
        assert_eq!(date("08/08/2026", false).as_deref(), Some("2026-08-08"));
        assert_eq!(date("Jun 01, 2023", false).as_deref(), Some("2023-06-01"));
    }

    #[test]
    fn no_dates() {
        let words = [
            "",
            "2022-11-31",
            "2022-11-25 10:00:00",
            "22-11-25",
            "25/11/22",
            "01/08/2026",
            "Ju 1, 2022",
            "Nov 2022",
            "2022-1-1-1",
            "13/25/2022",
            "2022-é1-01",
            "44890",
        ];
        for word in words {
            assert_eq!(date(word, false), None, "{word}");
        }
        assert_eq!(date("11/25/2022", true), None);
    }
}
