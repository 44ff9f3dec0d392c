//! How one cell of an export becomes a value.
//!
//! ```text
//! cell as it stands            rule                       value
//! "  - "                       null word                  null
//! "2025-06-01 10:00:00"        stamp in the source zone   an instant
//! "1/6/2025 10:00:00 PM"       the same, as its column is written
//! "2000-01-01T00:00:00Z"       sentinel                   null
//! "57.0"                       phone                      "57"
//! "5.73E+11"                   phone, id                  none: its digits are lost
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

/// A cell whose column follows the null words: trimmed, and nothing when it says so, in whatever
/// case: `-`, `null`, `None`, `NaN`, `NaT`, `\\N`, `N/A`, `#N/A`, `<NA>`, `undefined`.
///
/// ```
/// use wabalake_data::cells::word;
/// assert_eq!(word(" 12 "), Some("12"));
/// assert_eq!(word("NaN"), None);
/// assert_eq!(word("<na>"), None);
/// assert_eq!(word("NA"), Some("NA"));
/// ```
pub fn word(cell: &str) -> Option<&str> {
    let word = match cell.as_bytes() {
        [] => return None,
        // Nothing to trim, as nearly always.
        [first, .., last] if first.is_ascii_graphic() && last.is_ascii_graphic() => cell,
        _ => cell.trim(),
    };
    let is_one_of = |words: &[&str]| words.iter().any(|null| word.eq_ignore_ascii_case(null));
    match word.len() {
        0 => None,
        1 if word == "-" => None,
        2 if is_one_of(&["\\n"]) => None,
        3 if is_one_of(&["nan", "nat", "n/a"]) => None,
        4 if is_one_of(&["null", "none", "#n/a", "<na>"]) => None,
        9 if is_one_of(&["undefined"]) => None,
        _ => Some(word),
    }
}

/// A cell lost digits: a spreadsheet wrote a long number as `1.23E+11`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LostDigits;

impl LostDigits {
    /// What is wrong with such a cell, and the way forward.
    pub const REASON: &str = "its digits are lost: a spreadsheet such as Excel rounded it to the \
                              form 1.23E+11; format the column as text there and export again";
}

/// An id, whose trimmed cell is no null word: out of a formula such as `="12"`, which keeps a
/// spreadsheet from rounding it.
///
/// ```
/// use wabalake_data::cells::{LostDigits, id};
/// assert_eq!(id("=\"120210000000000001\""), Ok(Some("120210000000000001")));
/// assert_eq!(id("1.2021E+17"), Err(LostDigits));
/// assert_eq!(id("12E17"), Ok(Some("12E17")));
/// ```
///
/// # Errors
///
/// A number that lost its digits.
pub fn id(word: &str) -> Result<Option<&str>, LostDigits> {
    let word = match out_of_formula(word) {
        Some(inner) => self::word(inner),
        None => Some(word),
    };
    match word {
        Some(word) if has_exponent(word, true) => Err(LostDigits),
        word => Ok(word),
    }
}

/// What a formula says that is nothing but a text: `="12"`.
fn out_of_formula(word: &str) -> Option<&str> {
    word.strip_prefix("=\"")?.strip_suffix('"')
}

/// Whether a word is a number with an exponent, such as `5.73E+11`; its plus may be asked for.
fn has_exponent(word: &str, with_plus: bool) -> bool {
    fn after_digits(text: &str) -> Option<&str> {
        let rest = text.trim_start_matches(|c: char| c.is_ascii_digit());
        (rest.len() < text.len()).then_some(rest)
    }
    let exponent = || {
        let rest = after_digits(word.strip_prefix('+').unwrap_or(word))?;
        let rest =
            rest.strip_prefix(['.', ',']).map_or(rest, |tail| after_digits(tail).unwrap_or(tail));
        let rest = rest.strip_prefix(['e', 'E'])?;
        let exponent = rest.strip_prefix('+').or((!with_plus).then_some(rest))?;
        after_digits(exponent)
    };
    word.bytes().any(|b| b | 0x20 == b'e') && exponent().is_some_and(str::is_empty)
}

/// A cell of free text: only empty is nothing.
pub fn text(cell: &str) -> Option<&str> {
    (!cell.is_empty()).then_some(cell)
}
