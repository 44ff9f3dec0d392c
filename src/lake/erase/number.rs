//! Finds a phone number in texts.
//!
//! ```text
//! 573005550101                     the normal form
//! +57 (300) 555-0101               as people write it
//! 00573005550101, 300 555 0101     with another prefix, without the country code
//! wamid.HBgMNTczMDA1NTUwMTAx…      Meta's message ids hold it in Base64
//! 91573005550101                   no match: part of a longer number
//! ```

use std::ops::Range;

use wabalake_data::cells::phone::{self, Spellings, digits, is_user_id, spellings};
use wabalake_data::tables::text_key;

use crate::lake::DataFile;

/// Replaces a number in a text.
pub(crate) const ERASED: &str = "[erased]";

/// A number with fewer digits is matched only in phone columns: in a text it could be anything.
pub(super) const SHORTEST: usize = 7;

/// The Base64 of a shorter number would be found by chance.
const SHORTEST_ENCODED: usize = 10;

/// The maximum number of separators between two digits.
pub(super) const LONGEST_GAP: usize = 3;

/// Which spellings match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MatchMode {
    /// Digits with the country code and no separators, for ids.
    Contiguous,
    /// With the country code and any separators, for texts.
    International,
    /// Also without the country code, for texts.
    National,
}

/// The spellings of a person's numbers, and their user ids.
#[derive(Debug, Default)]
pub(crate) struct Number {
    /// The `user_phone` of their rows, by the current normalisation and by earlier ones.
    persons: Vec<String>,
    pub(super) full: Vec<String>,
    pub(super) national: Vec<String>,
    pub(super) user_ids: Vec<String>,
    pub(super) encoded: Vec<String>,
}

impl Number {
    /// All spellings of a number in its normal form.
    pub(crate) fn of(user_phone: &str) -> Self {
        let spellings = spellings(user_phone);
        let persons = spellings.full.clone();
        let long = persons.iter().filter(|full| full.len() >= SHORTEST_ENCODED);
        let encoded = long.flat_map(|full| base64(full.as_bytes())).collect();
        if is_user_id(user_phone) {
            let user_ids = vec![user_phone.to_owned()];
            return Self { persons, user_ids, encoded, ..Self::default() };
        }
        let Spellings { full, national, .. } = spellings;
        Self { persons, full, national, user_ids: Vec::new(), encoded }
    }

    /// All spellings of the numbers and user ids of one person.
    pub(crate) fn of_all<'p>(people: impl IntoIterator<Item = &'p String>) -> Self {
        people.into_iter().fold(Self::default(), |mut all, person| {
            let Self { persons, full, national, user_ids, encoded } = Self::of(person);
            all.persons.extend(persons);
            all.full.extend(full);
            all.national.extend(national);
            all.user_ids.extend(user_ids);
            all.encoded.extend(encoded);
            all
        })
    }

    /// Matches only a row's `user_phone`, and no text.
    pub(crate) fn exactly(user_phone: &str) -> Self {
        Self { persons: vec![user_phone.to_owned()], ..Self::default() }
    }

    /// Returns `true` if `user_phone` is that of the person.
    pub(crate) fn is_person(&self, user_phone: &str) -> bool {
        self.persons.iter().any(|person| person == user_phone)
    }

    /// The hashes of the persons.
    pub(super) fn keys(&self) -> Vec<i64> {
        self.persons.iter().map(|person| text_key(person)).collect()
    }

    /// Returns `true` if a phone cell holds this number.
    pub(crate) fn is(&self, cell: &str) -> bool {
        let digits = digits(cell);
        let digits = digits.as_deref().unwrap_or_default().trim_start_matches('0');
        self.full.iter().chain(&self.user_ids).any(|own| own == digits)
    }

    /// Returns `true` if a text contains the number.
    pub(crate) fn is_in(&self, text: &str, look: MatchMode) -> bool {
        !self.places(text, look).is_empty()
    }

    /// Returns `true` if the log's statistics of a file contain the number.
    pub(crate) fn is_bound_of(&self, file: &DataFile) -> bool {
        let bounds = file.statistics.bounds();
        let mut values = bounds.min_values.values().chain(bounds.max_values.values());
        values
            .any(|value| value.as_str().is_some_and(|text| self.is_in(text, MatchMode::Contiguous)))
    }

    /// Replaces the number in a text; `None` if it does not contain it.
    pub(crate) fn redact(&self, text: &str, look: MatchMode) -> Option<String> {
        let places = self.places(text, look);
        if places.is_empty() {
            return None;
        }
        let mut redacted = String::with_capacity(text.len());
        let mut end = 0;
        for place in places {
            redacted.push_str(&text[end..place.start]);
            redacted.push_str(ERASED);
            end = place.end;
        }
        redacted.push_str(&text[end..]);
        Some(redacted)
    }

    /// The matches in a text, in order and disjoint.
    fn places(&self, text: &str, look: MatchMode) -> Vec<Range<usize>> {
        let mut places = Vec::new();
        let long = |digits: &&str| digits.len() >= SHORTEST;
        let full: Vec<&str> = self.full.iter().map(String::as_str).filter(long).collect();
        let national = self.national.iter().filter(|_| look == MatchMode::National);
        let national: Vec<&str> = national.map(String::as_str).filter(long).collect();
        let mut start = 0;
        let is_number = !full.is_empty() || !national.is_empty();
        while let Some(found) = next_digit(text, start).filter(|_| is_number) {
            let national = if follows_a_code(text, found) { &[][..] } else { &national };
            let spellings = full.iter().chain(national).copied();
            let longest = spellings.filter_map(|digits| spelt(text, found, digits, look)).max();
            match longest.filter(|_| begins(text, found)) {
                Some(end) => {
                    let plus = text[..found].ends_with('+') && look != MatchMode::Contiguous;
                    places.push(found - usize::from(plus)..end);
                    start = end;
                }
                None => start = found + text[found..].chars().next().map_or(1, char::len_utf8),
            }
        }
        for id in &self.user_ids {
            let is_of_id = |c: char| c.is_ascii_alphanumeric();
            let whole = text.match_indices(id.as_str()).filter(|(at, _)| {
                !text[..*at].ends_with(is_of_id) && !text[at + id.len()..].starts_with(is_of_id)
            });
            places.extend(whole.map(|(at, _)| at..at + id.len()));
        }
        for encoded in &self.encoded {
            places
                .extend(text.match_indices(encoded.as_str()).map(|(at, _)| at..at + encoded.len()));
        }
        places.sort_by_key(|place| place.start);
        places.dedup_by(|next, before| {
            let overlaps = next.start < before.end;
            if overlaps {
                before.end = before.end.max(next.end);
            }
            overlaps
        });
        places
    }
}

/// The end of a match that begins at `start`, with leading zeros allowed. No digit may follow.
fn spelt(text: &str, start: usize, digits: &str, look: MatchMode) -> Option<usize> {
    const ZEROS: usize = 3;
    let mut wanted = digits.bytes().map(|digit| digit - b'0').peekable();
    let (mut zeros, mut gap, mut any) = (0, 0, false);
    let mut end = start;
    let mut rest = text[start..].char_indices();
    while let Some((at, c)) = rest.next() {
        match digit(c) {
            Some(0) if !any && zeros < ZEROS && wanted.peek() != Some(&0) => zeros += 1,
            Some(digit) if wanted.next() == Some(digit) => {
                any = true;
                end = start + at + c.len_utf8();
            }
            None if look != MatchMode::Contiguous && gap < LONGEST_GAP && is_gap(c) => {
                gap += 1;
                continue;
            }
            _ => return None,
        }
        gap = 0;
        if wanted.peek().is_none() {
            let follows = rest.next().and_then(|(_, c)| digit(c));
            return follows.is_none().then_some(end);
        }
    }
    None
}

/// Returns `true` if a number may begin here: no digit precedes it, except the last digit of an
/// escape such as `%20` or `\u0020`.
fn begins(text: &str, at: usize) -> bool {
    let before = &text[..at];
    if before.chars().next_back().and_then(digit).is_none() {
        return true;
    }
    let escape = |mark: &str, length: usize| {
        let bytes = before.as_bytes();
        bytes.len() >= mark.len() + length
            && bytes[bytes.len() - length..].iter().all(u8::is_ascii_hexdigit)
            && bytes[..bytes.len() - length].ends_with(mark.as_bytes())
    };
    escape("%", 2) || escape("\\u", 4)
}

/// Returns `true` after a country code with `+`: the number then belongs to that country.
fn follows_a_code(text: &str, at: usize) -> bool {
    let before = text[..at].trim_end_matches(is_gap);
    let code = before.trim_end_matches(|c| digit(c).is_some());
    code.len() < before.len() && code.ends_with('+')
}

fn next_digit(text: &str, start: usize) -> Option<usize> {
    let rest = &text.as_bytes()[start..];
    if rest.is_ascii() {
        return rest.iter().position(u8::is_ascii_digit).map(|at| start + at);
    }
    text[start..].char_indices().find(|(_, c)| digit(*c).is_some()).map(|(at, _)| start + at)
}

/// The value of a digit in any script.
pub(super) fn digit(c: char) -> Option<u8> {
    u8::try_from(phone::digit(c)?.to_digit(10)?).ok()
}

pub(super) fn is_gap(c: char) -> bool {
    let is_unseen = matches!(
        c,
        '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
    );
    c.is_whitespace()
        || is_unseen
        || matches!(c, '-' | '.' | '/' | '(' | ')' | '+' | '\u{2010}'..='\u{2015}')
}

/// The part that all Base64 texts containing these bytes share, for each of the three alignments.
fn base64(bytes: &[u8]) -> Vec<String> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let encoded = |before: usize| {
        let bits = |at: usize| {
            let byte = (at / 8).checked_sub(before).and_then(|at| bytes.get(at)).unwrap_or(&0);
            usize::from(byte >> (7 - at % 8) & 1)
        };
        // Only characters that encode these bytes alone.
        let within = (8 * before).div_ceil(6)..8 * (before + bytes.len()) / 6;
        let value = |place: usize| (0..6).fold(0, |value, bit| 2 * value + bits(6 * place + bit));
        within.map(|place| char::from(ALPHABET[value(place)])).collect()
    };
    (0..3).map(encoded).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PHONE: &str = "573005550101";

    #[test]
    fn spellings_match_by_mode() {
        let number = Number::of(PHONE);
        for (text, tight, loose) in [
            ("573005550101", true, true),
            ("+57 (300) 555-0101", false, true),
            ("call 00573005550101 now", true, true),
            ("300 555 0101!", false, true),
            ("03005550101", false, true),
            ("3005550101", false, true),
            ("https://wa.me/573005550101?text=hi", true, true),
            ("phone=%2B573005550101&x=%20573005550101", true, true),
            (r#"{"a":"\u0020573005550101"}"#, true, true),
            ("s-573005550101-7", true, true),
            ("５７３００５５５０１０１", true, true),
            ("wamid.HBgMNTczMDA1NTUwMTAxFQIAERgSRTM=", true, true),
            ("91573005550101", false, false),
            ("5730055501012", false, false),
            ("+52 300 555 0101", false, false),
            ("57300555010", false, false),
            ("57300555 and 0101", false, false),
            ("2025-06-01 10:00:00", false, false),
            ("", false, false),
        ] {
            assert_eq!(number.is_in(text, MatchMode::Contiguous), tight, "{text}");
            assert_eq!(number.is_in(text, MatchMode::National), loose, "{text}");
            let whole = loose && !["300 555 0101!", "03005550101", "3005550101"].contains(&text);
            assert_eq!(number.is_in(text, MatchMode::International), whole, "{text}");
        }
        let redacted = number.redact("me: +57 300 555 0101, or 573005550101.", MatchMode::National);
        assert_eq!(redacted.unwrap(), "me: [erased], or [erased].");
    }

    #[test]
    fn phone_cells_match_in_any_spelling() {
        let mexican = Number::of("529991234567");
        for cell in ["529991234567", "5219991234567", "+52 999 123-4567", "00529991234567"] {
            assert!(mexican.is(cell), "{cell}");
        }
        assert!(!mexican.is("9991234567"));
        assert!(Number::of("5511981234567").is("551181234567"));
        // No numbering plan has it, so only a phone cell matches.
        let short = Number::of("5712");
        assert!(short.is("57 12") && !short.is_in("room 5712", MatchMode::National));
    }

    proptest! {
        /// A redacted text holds no match.
        #[test]
        fn redacted_texts_hold_no_match(
            texts in proptest::collection::vec(
                "(573005550101|300 555 0101|\\+57 300-555-0101|[0-9 ]{1,3}|[a-z .é]{0,5}|NTczMDA1NTUwMTAx)",
                0..6,
            ),
        ) {
            let text = texts.concat();
            let number = Number::of(PHONE);
            for look in [MatchMode::Contiguous, MatchMode::International, MatchMode::National] {
                let redacted = number.redact(&text, look).unwrap_or(text.clone());
                prop_assert!(!number.is_in(&redacted, look), "{redacted}");
            }
        }
    }
}
