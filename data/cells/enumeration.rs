//! Closed lists of words, matched without case, spaces, `_` and `-`.

use polars::prelude::*;

/// A closed list: each canonical value with the other words that exports use for it.
#[derive(Debug)]
pub struct Enumeration {
    values: &'static [(&'static str, &'static [&'static str])],
}

impl Enumeration {
    /// A list from canonical values, lowest first, and their other words.
    pub const fn new(values: &'static [(&'static str, &'static [&'static str])]) -> Self {
        Self { values }
    }

    /// The canonical values in their order.
    pub fn values(&self) -> impl Iterator<Item = &'static str> {
        self.values.iter().map(|(value, _)| *value)
    }

    /// The canonical value that a word stands for.
    ///
    /// ```
    /// use wabalake_data::tables::deployments::DELIVERY_STATUSES;
    /// assert_eq!(DELIVERY_STATUSES.canonical("in-process"), Some("In Process"));
    /// assert_eq!(DELIVERY_STATUSES.canonical("SUCCESS"), Some("Sent"));
    /// assert_eq!(DELIVERY_STATUSES.canonical("Enviado"), None);
    /// ```
    pub fn canonical(&self, word: &str) -> Option<&'static str> {
        // As the list has it, which is nearly always, nothing has to be folded.
        let find = |is: &dyn Fn(&str) -> bool| {
            self.values.iter().find(|(value, words)| is(value) || words.iter().any(|w| is(w)))
        };
        let found = find(&|known| known == word).or_else(|| find(&|known| folded_eq(known, word)));
        found.map(|(value, _)| *value)
    }

    /// Whether a text is one of the canonical values.
    pub fn has(&self, value: &str) -> bool {
        self.values().any(|known| known == value)
    }

    /// A column's place in the list, from 0; unknown words and null lie below.
    pub fn rank(&self, column: &str) -> Expr {
        let unknown = lit(-1);
        (0..).zip(self.values()).fold(unknown, |ranks, (place, value)| {
            when(col(column).eq(lit(value))).then(lit(place)).otherwise(ranks)
        })
    }
}

/// A word without case, spaces, `_` and `-`.
pub fn fold(word: &str) -> String {
    letters(word).collect()
}

fn letters(word: &str) -> impl Iterator<Item = char> {
    let kept = word.chars().filter(|c| !matches!(c, '_' | '-') && !c.is_whitespace());
    kept.flat_map(char::to_lowercase)
}

fn folded_eq(known: &str, word: &str) -> bool {
    if known.is_ascii() && word.is_ascii() {
        return ascii_letters(known).eq(ascii_letters(word));
    }
    letters(known).eq(letters(word))
}

/// [`letters`] of a text that is ASCII: every row of some exports has its words in another
/// spelling, and decoding characters takes several times as long.
fn ascii_letters(word: &str) -> impl Iterator<Item = u8> {
    let kept =
        word.bytes().filter(|b| !matches!(b, b'_' | b'-') && !char::from(*b).is_whitespace());
    kept.map(|b| b.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn ascii_is_folded_like_any_text(word in "[ -~\t\n\x0b\x0c\r]{0,12}") {
            let bytes: Vec<u8> = ascii_letters(&word).collect();
            prop_assert_eq!(fold(&word).into_bytes(), bytes);
        }
    }
}
