//! The date from which a rate card holds, in a note above its header.

use chrono::NaiveDate;
use wabalake_data::cells::date::read;

/// The date behind the word "effective" in a note: `July 1, 2026` or `1 July 2026`.
pub(super) fn date(note: &str) -> Option<NaiveDate> {
    let note = note.to_lowercase();
    let (_, behind) = note.split_once("effective")?;
    let words = behind.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    let words: Vec<&str> = words.map(without_ordinal).collect();
    let days = words.windows(3).find_map(|words| read(&words.join(" "), None))?;
    NaiveDate::from_epoch_days(days)
}

/// The digits of `1st`; another word as it is.
fn without_ordinal(word: &str) -> &str {
    match word.starts_with(|c: char| c.is_ascii_digit()) {
        true => word.trim_end_matches(|c: char| c.is_ascii_alphabetic()),
        false => word,
    }
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
