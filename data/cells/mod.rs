//! How one cell of an export becomes a value.
//!
//! ```text
//! cell as it stands            rule                       value
//! "  - "                       null word                  null
//! "2025-06-01 10:00:00"        stamp in the source zone   an instant
//! "1/6/2025 10:00:00 PM"       the same, as its column is written
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

pub mod ballot;
pub mod date;
pub mod enumeration;
pub mod list;
pub mod number;
pub mod phone;
pub mod stamp;

pub use enumeration::Enumeration;

/// The order in which day, month and year stand in a date that is written in digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DateOrder {
    /// `31/12/2025`
    DayFirst,
    /// `12/31/2025`
    MonthFirst,
    /// `2025/12/31`, which can be read in whatever order the others are.
    YearFirst,
}

impl DateOrder {
    /// The orders by the names that `--date-order` takes.
    pub const NAMES: [(&'static str, Self); 3] =
        [("dmy", Self::DayFirst), ("mdy", Self::MonthFirst), ("ymd", Self::YearFirst)];
}

/// The sign between a number's whole part and its decimals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecimalMark {
    /// `1,234.56`
    Point,
    /// `1.234,56`
    Comma,
}

impl DecimalMark {
    /// The marks by the names that `--decimal` takes.
    pub const NAMES: [(&'static str, Self); 2] = [("comma", Self::Comma), ("point", Self::Point)];
}

/// How the cells of a column are written; `None` where that is not known. Then a cell is read only
/// if it says the same in every way of writing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spelling {
    /// Of dates and stamps.
    pub order: Option<DateOrder>,
    /// Of amounts and counts.
    pub mark: Option<DecimalMark>,
    /// Whether there are numbers beside texts, as JSON and spreadsheets have them: amounts that are
    /// numbers are written as [`number::money_text`] does, and exact whatever the mark of the others.
    pub has_numbers: bool,
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
