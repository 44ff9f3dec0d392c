//! Finds the texts of a column that may hold a number, before each of them is searched.
//!
//! ```text
//! ask +57 (300) 555-0101       ends with the last digits of the number: searched
//! wamid.HBgMNTczMDA1NTUw…      has the number in Base64: searched
//! 550e8400-e29b-41d4-a716-…    has digits, but not those
//! ¿Cuánto cuesta?              has too few digits
//! ```

use memchr::memmem::Finder;
use polars::prelude::*;

use super::number::{LONGEST_GAP, Number, SHORTEST, digit, is_gap};

/// Which texts may hold a number.
pub(super) struct Candidates {
    /// The last [`SHORTEST`] digits of each spelling.
    tails: Vec<Tail>,
    /// User ids, and numbers in Base64.
    needles: Vec<Finder<'static>>,
}

/// The last digits that were read, four bits each.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Tail(u32);

impl Tail {
    /// No digits.
    const NONE: Self = Self(Self::MASK);

    const MASK: u32 = (1 << (4 * SHORTEST)) - 1;

    fn then(self, digit: u8) -> Self {
        Self((self.0 << 4 | u32::from(digit)) & Self::MASK)
    }
}

impl Candidates {
    pub(super) fn of(number: &Number) -> Self {
        let spellings = number.full.iter().chain(&number.national);
        let spellings = spellings.filter(|digits| digits.len() >= SHORTEST);
        let tail = |digits: &String| {
            digits.bytes().fold(Tail::NONE, |tail, digit| tail.then(digit.wrapping_sub(b'0')))
        };
        let mut tails: Vec<Tail> = spellings.map(tail).collect();
        tails.dedup();
        let needles = number.user_ids.iter().chain(&number.encoded);
        let needles = needles.map(|needle| Finder::new(needle.as_bytes()).into_owned());
        Self { tails, needles: needles.collect() }
    }

    /// The rows whose text may hold the number in any spelling, in order. No other row holds it.
    pub(super) fn rows(&self, texts: &StringChunked) -> Vec<usize> {
        // No byte of a text.
        const SEPARATOR: u8 = 0xff;
        let mut rows = Vec::new();
        let (mut all, mut starts) = (Vec::new(), Vec::new());
        for (row, text) in texts.iter().enumerate() {
            let Some(text) = text else { continue };
            if self.may_hold_digits(text) {
                rows.push(row);
            } else if self.needles.iter().any(|needle| needle.needle().len() <= text.len()) {
                starts.push((all.len(), row));
                all.extend_from_slice(text.as_bytes());
                all.push(SEPARATOR);
            }
        }
        for needle in &self.needles {
            let found = needle.find_iter(&all);
            rows.extend(found.map(|at| starts[starts.partition_point(|(s, _)| *s <= at) - 1].1));
        }
        rows.sort_unstable();
        rows.dedup();
        rows
    }

    /// Returns `true` if a text has the last digits of a spelling, whatever separates them.
    fn may_hold_digits(&self, text: &str) -> bool {
        if self.tails.is_empty() || !has_digits(text.as_bytes()) {
            return false;
        }
        let (mut tail, mut gap) = (Tail::NONE, 0);
        for c in text.chars() {
            let digit = match c {
                '0'..='9' => Some(c as u8 - b'0'),
                _ if c.is_ascii() => None,
                _ => digit(c),
            };
            match digit {
                Some(digit) => {
                    (tail, gap) = (tail.then(digit), 0);
                    if self.tails.contains(&tail) {
                        return true;
                    }
                }
                None if tail == Tail::NONE => {}
                None if gap < LONGEST_GAP && is_gap(c) => gap += 1,
                None => (tail, gap) = (Tail::NONE, 0),
            }
        }
        false
    }
}

/// Returns `true` if bytes may be a text with [`SHORTEST`] digits. Those of other scripts take several bytes
/// each.
fn has_digits(bytes: &[u8]) -> bool {
    let digits = |bytes: &[u8]| -> u32 {
        let each = bytes.iter().map(|b| 2 * u8::from(b.is_ascii_digit()) + u8::from(!b.is_ascii()));
        each.map(u32::from).sum()
    };
    bytes.len() >= SHORTEST && digits(bytes) as usize >= 2 * SHORTEST
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::number::MatchMode;
    use super::*;

    proptest! {
        /// Every text that holds the number in any way is a candidate.
        #[test]
        fn texts_that_hold_the_number_are_candidates(
            texts in prop::collection::vec(prop::option::of(
                "((\\+|00|%20)?(573005550101|5730|0?300 ?555-?0101|57 \\(300\\)  555.0101|５７３００５５５０１０１|3005550101)\
                 |wamid\\.|HBgM|NTczMDA1NTUwMTAx|c3MDA1NTUwMTAx|1NzMwMDU1NTAxMDF|CO\\.573|CO\\.57|[0-9]{1,3}|[a-zé ¿-]{0,4}|٣){0,5}",
            ), 0..20),
            person in prop::sample::select(&["573005550101", "CO.573", "529991234567", "5712"][..]),
            also in prop::option::of(Just("CO.57")),
        ) {
            let people = [Some(person), also].into_iter().flatten().map(str::to_owned);
            let number = Number::of_all(&people.collect::<Vec<_>>());
            let texts: Vec<Option<&str>> = texts.iter().map(Option::as_deref).collect();
            let candidates = Candidates::of(&number).rows(&texts.iter().copied().collect());
            prop_assert!(candidates.is_sorted());
            for (row, text) in texts.iter().enumerate() {
                for look in [MatchMode::Contiguous, MatchMode::International, MatchMode::National] {
                    let holds = text.is_some_and(|text| number.is_in(text, look));
                    prop_assert!(!holds || candidates.contains(&row), "{text:?}");
                }
            }
        }
    }

    #[test]
    fn texts_without_the_last_digits_are_no_candidates() {
        let number = Number::of("573005550101");
        let texts = [
            Some("573005550102"),
            Some("550e8400-e29b-41d4-a716-446655440000"),
            Some("300 555 0 1 0 1"),
            Some("30055    50101"),
            None,
            Some("¿Cuánto cuesta?"),
            Some(""),
        ];
        let texts: StringChunked = texts.into_iter().collect();
        assert_eq!(Candidates::of(&number).rows(&texts), [2]);
        assert!(Candidates::of(&Number::exactly("573005550101")).rows(&texts).is_empty());
    }
}
