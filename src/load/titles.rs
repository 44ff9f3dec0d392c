//! What is printed of the titles of a file that no table knows: in messages, reports, logs and
//! notifications alike.
//!
//! A file without a header has cells where titles should be, and JSON may be keyed by phones. So
//! nothing is named of a line that is no header, and beside known titles the others are shown so:
//!
//! | title | is shown as |
//! |---|---|
//! | `Impressions` | `Impressions` |
//! | what a terminal would obey | spelt out, as `\u{1b}` |
//! | seven digits or more, whatever is between them: it may be a phone | `(hidden)` |
//! | twenty characters or more with a blank among them: it may be what a person wrote | `(hidden)` |
//! | more than forty characters | the first 39 and `…` |
//! | nothing | `(no title)` |

use crate::render::visible;

/// Stands for a title that may be a phone or a person's text.
pub(crate) const HIDDEN: &str = "(hidden)";

/// Stands for a title that is empty.
const NO_TITLE: &str = "(no title)";

/// No more characters of a title are shown.
const LONGEST: usize = 40;

/// So many digits may be a phone.
const PHONE: usize = 7;

/// So many characters with a blank may be a sentence.
const SENTENCE: usize = 20;

/// What stands at the start of a file in Unicode, and within one that was put together of several.
pub(crate) const MARK: char = '\u{feff}';

/// A cell without the byte order marks that it begins with.
pub(crate) fn without_marks(cell: &str) -> &str {
    match cell.as_bytes() {
        [0xEF, ..] => cell.trim_start_matches(MARK),
        _ => cell,
    }
}

/// A title that no table knows, as it may be printed.
pub(crate) fn shown(title: &str) -> String {
    let title = title.trim();
    let digits = title.chars().filter(|c| c.is_numeric()).count();
    let is_sentence =
        title.chars().any(char::is_whitespace) && title.chars().nth(SENTENCE - 1).is_some();
    if title.is_empty() {
        NO_TITLE.to_owned()
    } else if digits >= PHONE || is_sentence {
        HIDDEN.to_owned()
    } else {
        clipped(title)
    }
}

/// A title that is known, or one that the command line names: nothing in it is a secret.
pub(crate) fn clipped(title: &str) -> String {
    let all = visible(title.trim());
    if all.chars().count() <= LONGEST {
        return all.into_owned();
    }
    // What is spelt out is not cut in two.
    let mut short = String::new();
    let mut length = 0;
    for c in title.trim().chars() {
        let mut buffer = [0; 4];
        let part = visible(c.encode_utf8(&mut buffer));
        length += part.chars().count();
        if length >= LONGEST {
            break;
        }
        short.push_str(&part);
    }
    short + "…"
}

/// Titles that no table knows, each once.
pub(crate) fn list<'t>(titles: impl IntoIterator<Item = &'t str>) -> Vec<String> {
    let mut list: Vec<String> = Vec::new();
    for title in titles.into_iter().map(shown) {
        if !list.contains(&title) {
            list.push(title);
        }
    }
    list
}

/// Whether a line whose cells are these, of which so many are known titles, is a header at all.
/// Data may hold a word that is a title too, but not many, and not without a number beside it.
pub(crate) fn are_titles<'t>(cells: impl IntoIterator<Item = &'t str>, known: usize) -> bool {
    let mut all = 0;
    for cell in cells {
        if is_value(cell) {
            return false;
        }
        all += usize::from(!cell.trim().is_empty());
    }
    known >= 3 || (known == 2 && all <= 4)
}

/// Whether a cell is a number, a date or a stamp rather than a title: more digits than letters.
fn is_value(cell: &str) -> bool {
    let digits = cell.chars().filter(|c| c.is_numeric()).count();
    digits > cell.chars().filter(|c| c.is_alphabetic()).count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_table_above() {
        for (title, expected) in [
            ("Impressions", "Impressions"),
            (" Link clicks ", "Link clicks"),
            ("a\u{1b}[2Jb\u{202e}", "a\\u{1b}[2Jb\\u{202e}"),
            ("573005550101", HIDDEN),
            ("+57 (300) 555-01-01", HIDDEN),
            ("\u{202a}3\u{200b}0\u{2011}0 55.5 0.1", HIDDEN),
            ("contacts.573005550101.name", HIDDEN),
            ("My order has not arrived", HIDDEN),
            ("Mi\u{a0}pedido\u{a0}no\u{a0}ha\u{a0}llegado", HIDDEN),
            ("7-day ROAS 2025", "7-day ROAS 2025"),
            ("", NO_TITLE),
            (" ", NO_TITLE),
        ] {
            assert_eq!(shown(title), expected, "{title:?}");
        }
        assert_eq!(shown(&"x".repeat(40)), "x".repeat(40));
        assert_eq!(shown(&"x".repeat(41)), format!("{}…", "x".repeat(39)));
        assert_eq!(list(["a", "573005550101", "", "a", "573005550102"]), ["a", HIDDEN, NO_TITLE]);
    }

    #[test]
    fn data_with_words_that_are_titles_too_is_no_header() {
        assert!(are_titles(["Day", "Campaign name", "Amount spent (USD)", "Invalidation"], 3));
        assert!(are_titles(["phone", "tag", "Note"], 2));
        assert!(!are_titles(["sent", "read", "a", "b", "c"], 2));
        assert!(!are_titles(["sent", "read", "delivered", "573005550101"], 3));
        assert!(!are_titles(["sent", "read", "2025-06-01T10:00:00Z"], 2));
        assert!(!are_titles(["tag", "Ana"], 1));
    }

    proptest! {
        #[test]
        fn no_more_is_shown_than_may_be(title in "[a-f0-9 \u{1b}\n\u{202e}\u{e9}]{0,60}") {
            let shown = shown(&title);
            prop_assert!(shown.chars().count() <= LONGEST, "{}", shown);
            let obeyed = shown.chars().any(|c| c.is_control() || c == '\u{202e}');
            prop_assert!(!obeyed, "{:?}", shown);
            let is_whole = shown == title.trim();
            let digits = title.chars().filter(char::is_ascii_digit).count();
            prop_assert!(digits < PHONE || shown == HIDDEN);
            let plain = title.trim();
            let blank = plain.contains([' ', '\n']);
            let is_sentence = blank && plain.chars().count() >= SENTENCE;
            prop_assert!(!is_sentence || !is_whole);
        }
    }
}
