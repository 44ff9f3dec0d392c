//! Redacts column titles before they are printed, in messages, reports, logs and notifications.
//!
//! A file without a header has data where titles should be, and keys of JSON may be phone numbers.
//! So nothing is printed of a line that is not a header, and titles that no table knows are printed
//! like this:
//!
//! | title | printed as |
//! |---|---|
//! | `Impressions` | `Impressions` |
//! | control characters | escaped, as `\u{1b}` |
//! | seven digits or more, whatever is between them: perhaps a phone number | `(hidden)` |
//! | twenty characters or more with whitespace: perhaps a person's text | `(hidden)` |
//! | an id of a message (`wamid.…`) or of a person | `(hidden)` |
//! | more than forty characters | the first 39 and `…` |
//! | empty | `(no title)` |

use wabalake_data::cells::phone::is_user_id;

use crate::render::visible;

/// Replaces a title that may be a phone number or a person's text.
pub(crate) const HIDDEN: &str = "(hidden)";

/// Replaces an empty title.
const NO_TITLE: &str = "(no title)";

/// The most characters that are printed of a title.
const LONGEST: usize = 40;

/// A title with so many digits may be a phone number.
const PHONE: usize = 7;

/// A title with so many characters and whitespace may be a sentence.
const SENTENCE: usize = 20;

/// Ids of Meta's messages, which spell numbers, begin so.
const MESSAGE_ID: &str = "wamid.";

/// The byte order mark: at the start of a file, and inside a file that was concatenated.
pub(crate) const MARK: char = '\u{feff}';

/// Strips leading byte order marks.
pub(crate) fn without_marks(cell: &str) -> &str {
    match cell.as_bytes() {
        [0xEF, ..] => cell.trim_start_matches(MARK),
        _ => cell,
    }
}

/// Redacts a title that no table knows.
pub(crate) fn shown(title: &str) -> String {
    let title = title.trim();
    let digits = title.chars().filter(|c| c.is_numeric()).count();
    let is_sentence =
        title.chars().any(char::is_whitespace) && title.chars().nth(SENTENCE - 1).is_some();
    let is_id = title.starts_with(MESSAGE_ID) || is_user_id(title);
    if title.is_empty() {
        NO_TITLE.to_owned()
    } else if digits >= PHONE || is_sentence || is_id {
        HIDDEN.to_owned()
    } else {
        clipped(title)
    }
}

/// Escapes and shortens a title that is known or was given on the command line, so needs no
/// redaction.
pub(crate) fn clipped(title: &str) -> String {
    let all = visible(title.trim());
    if all.chars().count() <= LONGEST {
        return all.into_owned();
    }
    // An escape is not cut in two.
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

/// Redacts titles that no table knows, without duplicates.
pub(crate) fn list<'t>(titles: impl IntoIterator<Item = &'t str>) -> Vec<String> {
    let mut list: Vec<String> = Vec::new();
    for title in titles.into_iter().map(shown) {
        if !list.contains(&title) {
            list.push(title);
        }
    }
    list
}

/// Returns `true` if a line is a header, by its cells and the number of known titles among them. A
/// record may contain a word that is also a title, but rarely two, and rarely without a number.
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

/// Returns `true` if a cell has more digits than letters: a number, a date, a timestamp.
fn is_value(cell: &str) -> bool {
    let digits = cell.chars().filter(|c| c.is_numeric()).count();
    digits > cell.chars().filter(|c| c.is_alphabetic()).count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn examples_of_the_module_docs() {
        for (title, expected) in [
            ("Impressions", "Impressions"),
            (" Link clicks ", "Link clicks"),
            ("a\u{1b}[2Jb\u{202e}", "a\\u{1b}[2Jb\\u{202e}"),
            ("573005550101", HIDDEN),
            ("+57 (300) 555-01-01", HIDDEN),
            ("\u{202a}3\u{200b}0\u{2011}0 55.5 0.1", HIDDEN),
            ("contacts.573005550101.name", HIDDEN),
            ("wamid.HBgM", HIDDEN),
            ("CO.Ab1", HIDDEN),
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
    fn records_that_contain_titles_are_not_headers() {
        assert!(are_titles(["Day", "Campaign name", "Amount spent (USD)", "Invalidation"], 3));
        assert!(are_titles(["phone", "tag", "Note"], 2));
        assert!(!are_titles(["sent", "read", "a", "b", "c"], 2));
        assert!(!are_titles(["sent", "read", "delivered", "573005550101"], 3));
        assert!(!are_titles(["sent", "read", "2025-06-01T10:00:00Z"], 2));
        assert!(!are_titles(["tag", "Ana"], 1));
    }

    proptest! {
        #[test]
        fn redacted_titles_are_short_and_contain_no_phone_or_sentence(title in "[a-f0-9 \u{1b}\n\u{202e}\u{e9}]{0,60}") {
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
