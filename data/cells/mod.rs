//! How one cell of an export becomes a value.
//!
//! ```text
//! cell as it stands            rule                       value
//! "  - "                       null word                  null
//! "2025-06-01 10:00:00"        stamp in the source zone   an instant
//! "2000-01-01T00:00:00Z"       sentinel                   null
//! "57.0"                       phone                      "57"
//! "in-process"                 enumeration                "In Process"
//! "4.0"                        integer                    4
//! "  espacios  "               text                       "  espacios  "
//! ```

pub mod enumeration;
pub mod number;
pub mod phone;
pub mod stamp;

pub use enumeration::Enumeration;

/// A cell whose column follows the null words: trimmed, and nothing when it says so.
///
/// ```
/// use wabalake_data::cells::word;
/// assert_eq!(word(" 12 "), Some("12"));
/// assert_eq!(word("NaN"), None);
/// ```
pub fn word(cell: &str) -> Option<&str> {
    let word = match cell.as_bytes() {
        [] => return None,
        // Nothing to trim, as nearly always.
        [first, .., last] if first.is_ascii_graphic() && last.is_ascii_graphic() => cell,
        _ => cell.trim(),
    };
    match word.len() {
        0 => None,
        1 if word == "-" => None,
        3 | 4 if ["null", "none", "nan"].iter().any(|n| word.eq_ignore_ascii_case(n)) => None,
        _ => Some(word),
    }
}

/// A cell of free text: only empty is nothing.
pub fn text(cell: &str) -> Option<&str> {
    (!cell.is_empty()).then_some(cell)
}
