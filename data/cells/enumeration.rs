//! Enumerations: closed lists of words, matched without case, spaces, `_` and `-`.

use polars::prelude::*;

/// A closed list: canonical values, each with its synonyms in exports.
#[derive(Debug)]
pub struct Enumeration {
    values: &'static [(&'static str, &'static [&'static str])],
}

impl Enumeration {
    /// A list of canonical values, in ascending order, with their synonyms.
    pub const fn new(values: &'static [(&'static str, &'static [&'static str])]) -> Self {
        Self { values }
    }

    /// The canonical values, in ascending order.
    pub fn values(&self) -> impl Iterator<Item = &'static str> {
        self.values.iter().map(|(value, _)| *value)
    }

    /// The canonical value of a word.
    ///
    /// ```
    /// use wabalake_data::cells::Enumeration;
    /// static STATUSES: Enumeration =
    ///     Enumeration::new(&[("In Process", &[]), ("Sent", &["SUCCESS"])]);
    /// assert_eq!(STATUSES.canonical("in-process"), Some("In Process"));
    /// assert_eq!(STATUSES.canonical("SUCCESS"), Some("Sent"));
    /// assert_eq!(STATUSES.canonical("Enviado"), None);
    /// ```
    pub fn canonical(&self, word: &str) -> Option<&'static str> {
        // The common case, an exact match, needs no normalisation.
        let find = |is: &dyn Fn(&str) -> bool| {
            self.values.iter().find(|(value, words)| is(value) || words.iter().any(|w| is(w)))
        };
        let found = find(&|known| known == word).or_else(|| find(&|known| normal_eq(known, word)));
        found.map(|(value, _)| *value)
    }

    /// Returns `true` if a text is one of the canonical values.
    pub fn has(&self, value: &str) -> bool {
        self.values().any(|known| known == value)
    }

    /// The position of a column's value in the list, from 0; -1 for unknown words and null.
    pub fn rank(&self, column: &str) -> Expr {
        let unknown = lit(-1);
        (0..).zip(self.values()).fold(unknown, |ranks, (index, value)| {
            when(col(column).eq(lit(value))).then(lit(index)).otherwise(ranks)
        })
    }
}

/// Normalises a word: without case, spaces, `_` and `-`.
pub fn normalise(word: &str) -> String {
    letters(word).collect()
}

fn letters(word: &str) -> impl Iterator<Item = char> {
    let kept = word.chars().filter(|c| !matches!(c, '_' | '-') && !c.is_whitespace());
    kept.flat_map(char::to_lowercase)
}

fn normal_eq(known: &str, word: &str) -> bool {
    if known.is_ascii() && word.is_ascii() {
        return ascii_letters(known).eq(ascii_letters(word));
    }
    letters(known).eq(letters(word))
}

/// [`letters`] of an ASCII text, several times as fast: in some exports every row has a word that
/// is not spelled as in the list.
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
        fn ascii_is_normalised_like_any_text(word in "[ -~\t\n\x0b\x0c\r]{0,12}") {
            let bytes: Vec<u8> = ascii_letters(&word).collect();
            prop_assert_eq!(normalise(&word).into_bytes(), bytes);
        }
    }
}
