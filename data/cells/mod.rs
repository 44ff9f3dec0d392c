//! Parsers of the cells of an export.
//!
//! ```text
//! cell                         parser                     value
//! "  - "                       null word                  null
//! "2025-06-01 10:00:00"        stamp in the source zone   an instant
//! "1/6/2025 10:00:00 PM"       stamp, day first           an instant
//! "2000-01-01T00:00:00Z"       sentinel                   null
//! "57.0"                       phone                      "57"
//! "5.73E+11"                   phone, id                  an error: it has lost digits
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
mod clock;
pub mod date;
pub mod enumeration;
mod float;
pub(crate) mod header;
pub mod list;
pub mod number;
pub mod phone;
pub mod stamp;

pub use enumeration::Enumeration;
pub use header::normalise_header;

/// The order of day, month and year in a numeric date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DateOrder {
    /// `31/12/2025`
    DayFirst,
    /// `12/31/2025`
    MonthFirst,
    /// `2025/12/31`, which is unambiguous: it is parsed whatever the order is.
    YearFirst,
}

impl DateOrder {
    /// The values of `--date-order`.
    pub const NAMES: [(&'static str, Self); 3] =
        [("dmy", Self::DayFirst), ("mdy", Self::MonthFirst), ("ymd", Self::YearFirst)];
}

/// The sign between the whole part and the decimals of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecimalMark {
    /// `1,234.56`
    Point,
    /// `1.234,56`
    Comma,
}

impl DecimalMark {
    /// The values of `--decimal`.
    pub const NAMES: [(&'static str, Self); 2] = [("comma", Self::Comma), ("point", Self::Point)];
}

/// The format of a column's cells. With an unknown (`None`) order or mark, only a cell that has the
/// same value in every format is parsed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spelling {
    /// The order of dates and stamps.
    pub order: Option<DateOrder>,
    /// The decimal mark of amounts and counts.
    pub mark: Option<DecimalMark>,
    /// `true` if a column of stamps or texts has stamps, `false` if it has texts; `None` before all of its
    /// cells are counted.
    pub has_stamps: Option<bool>,
    /// `true` if the source has typed numbers, as JSON and spreadsheets do. Those amounts arrive in
    /// the format of [`number::money_text`], which is exact whatever the decimal mark is.
    pub has_numbers: bool,
}

/// Parses a trimmed boolean in English, Spanish, Portuguese or French.
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

/// Parses a trimmed country, a code or a name, to its alpha-2 code. An unknown word is returned
/// unchanged.
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

/// Trims a cell, and parses null words as null, ignoring case: `-`, `null`, `None`, `NaN`, `NaT`,
/// `\\N`, `N/A`, `#N/A`, `<NA>`, `undefined`.
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
        // The common case: nothing to trim.
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

/// The error of a long number that a spreadsheet rounded, such as `1.23E+11`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LostDigits;

impl LostDigits {
    /// The reason of the reject, with what to do.
    pub const REASON: &str = "its digits are lost: a spreadsheet such as Excel rounded it to the \
                              form 1.23E+11; format the column as text there and export again";
}

/// Parses an id from a trimmed cell that is no null word. A formula such as `="12"`, which keeps
/// spreadsheets from rounding the id, is unwrapped.
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
/// A number in scientific notation with a `+`.
pub fn id(word: &str) -> Result<Option<&str>, LostDigits> {
    let word = match unwrap_formula(word) {
        Some(inner) => self::word(inner),
        None => Some(word),
    };
    match word {
        Some(word) if has_exponent(word, true) => Err(LostDigits),
        word => Ok(word),
    }
}

/// The text in a formula that is just a text: `="12"`.
fn unwrap_formula(word: &str) -> Option<&str> {
    word.strip_prefix("=\"")?.strip_suffix('"')
}

/// Returns `true` for a number in scientific notation, such as `5.73E+11`. `needs_plus` does not
/// accept an exponent without `+`.
fn has_exponent(word: &str, needs_plus: bool) -> bool {
    fn after_digits(text: &str) -> Option<&str> {
        let rest = text.trim_start_matches(|c: char| c.is_ascii_digit());
        (rest.len() < text.len()).then_some(rest)
    }
    let exponent = || {
        let rest = after_digits(word.strip_prefix('+').unwrap_or(word))?;
        let rest =
            rest.strip_prefix(['.', ',']).map_or(rest, |tail| after_digits(tail).unwrap_or(tail));
        let rest = rest.strip_prefix(['e', 'E'])?;
        let exponent = rest.strip_prefix('+').or((!needs_plus).then_some(rest))?;
        after_digits(exponent)
    };
    let begins_as_number = word.starts_with(|first: char| first == '+' || first.is_ascii_digit());
    begins_as_number
        && word.bytes().any(|b| b | 0x20 == b'e')
        && exponent().is_some_and(str::is_empty)
}

/// Parses free text: only an empty cell is null.
pub fn text(cell: &str) -> Option<&str> {
    (!cell.is_empty()).then_some(cell)
}
