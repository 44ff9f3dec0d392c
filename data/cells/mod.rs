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
//! "Nov 25, 2022"               date                       2022-11-25
//! "1 234,56"                   money                      1234.560000, exactly
//! "Yes"                        boolean                    true
//! "United States of America"   country                    "US"
//! "US, BR"                     list                       "BR,US"
//! ```

pub mod date;
pub mod enumeration;
pub mod list;
pub mod number;
pub mod phone;
pub mod stamp;

pub use enumeration::Enumeration;

/// How a file spells what can be spelled in several ways.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spelling {
    /// Whether `1,234` is a little more than one.
    pub decimal_comma: bool,
    /// Whether `01/08/2025` is in August.
    pub day_first: bool,
}

/// A trimmed word that says yes or no, in one of the languages that exports come in.
///
/// ```
/// use wabalake_data::cells::yes_or_no;
/// assert_eq!(yes_or_no("Yes"), Some(true));
/// assert_eq!(yes_or_no("0"), Some(false));
/// assert_eq!(yes_or_no("perhaps"), None);
/// ```
pub fn yes_or_no(word: &str) -> Option<bool> {
    match word.to_lowercase().as_str() {
        "yes" | "y" | "true" | "1" | "sí" | "si" | "sim" | "oui" => Some(true),
        "no" | "n" | "false" | "0" | "não" | "nao" | "non" => Some(false),
        _ => None,
    }
}

/// The alpha-2 code of a trimmed country, by its code or any of its names; another word as it is.
///
/// ```
/// use wabalake_data::cells::country;
/// assert_eq!(country("United States of America"), "US");
/// assert_eq!(country("co"), "CO");
/// assert_eq!(country("Atlantis"), "Atlantis");
/// ```
pub fn country(word: &str) -> &str {
    crate::reference::countries::by_name(word).unwrap_or(word)
}

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
