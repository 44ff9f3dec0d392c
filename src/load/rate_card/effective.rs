//! The date from which a rate card holds, in a note above its header.

use chrono::NaiveDate;

/// English names of months.
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

/// The date behind the word "effective" in a note: `July 1, 2026` or `1 July 2026`.
pub(super) fn date(note: &str) -> Option<NaiveDate> {
    let note = note.to_lowercase();
    let (_, behind) = note.split_once("effective")?;
    let words: Vec<&str> =
        behind.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    words.windows(3).find_map(|words| match words {
        [month, day, year] if is_month(month) => of(year, month, day),
        [day, month, year] if is_month(month) => of(year, month, day),
        _ => None,
    })
}

/// The position of a month's name, or of its first three letters, from 0.
fn month_of(word: &str) -> Option<usize> {
    let is_same = |month: &&str| *month == word || month.get(..3) == Some(word);
    MONTHS.iter().position(is_same)
}

fn is_month(word: &str) -> bool {
    month_of(word).is_some()
}

fn of(year: &str, month: &str, day: &str) -> Option<NaiveDate> {
    let month = u32::try_from(month_of(month)? + 1).ok()?;
    let day = day.trim_end_matches(|c: char| c.is_ascii_alphabetic()).parse().ok()?;
    let year = year.parse().ok().filter(|_| year.len() == 4)?;
    NaiveDate::from_ymd_opt(year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_behind_the_word_effective() {
        for note in [
            "Rates effective July 1, 2026",
            "These rates are EFFECTIVE from 1st July 2026 on",
            "Published May 2, 2026. Effective: Jul 1 2026.",
        ] {
            assert_eq!(date(note), NaiveDate::from_ymd_opt(2026, 7, 1), "{note}");
        }
        for note in [
            "July 1, 2026",
            "effective soon",
            "July 1, 2026 is not effective",
            "effective May 32, 2026",
        ] {
            assert_eq!(date(note), None, "{note}");
        }
    }
}
