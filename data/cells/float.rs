//! Floats: numbers with decimals that are not amounts of money.

use super::DecimalMark;
use super::number::{MARKS, split};

/// Parses a number with or without decimals, to the nearest float. Without a decimal mark, only a
/// number that is the same with either is parsed.
///
/// ```
/// use wabalake_data::cells::{DecimalMark, number::float};
/// let [point, comma] = [DecimalMark::Point, DecimalMark::Comma].map(Some);
/// assert_eq!(float("1,234.5", point), Some(1_234.5));
/// assert_eq!(float("-12,25", comma), Some(-12.25));
/// assert_eq!(float("12.5", None), None);
/// assert_eq!(float("NaN", point), None);
/// ```
pub fn float(word: &str, mark: Option<DecimalMark>) -> Option<f64> {
    let mark = match mark {
        None if word.contains(MARKS) => return None,
        mark => mark.unwrap_or(DecimalMark::Point),
    };
    let (sign, digits) = match word.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", word),
    };
    let (whole, decimals) = split(digits, mark)?;
    let is_number = whole.bytes().chain(decimals.bytes()).all(|b| b.is_ascii_digit());
    let number = format!("{sign}{whole}.{decimals}").parse::<f64>().ok();
    number.filter(|number| is_number && number.is_finite())
}

/// Formats a float as a person would have typed it: of its 17 digits, the last two are noise
/// (`15.580000000000002`).
///
/// ```
/// use wabalake_data::cells::number::float_text;
/// assert_eq!(float_text(15.580000000000002), "15.58");
/// assert_eq!(float_text(1558.0), "1558");
/// assert_eq!(float_text(0.0), "0");
/// ```
pub fn float_text(number: f64) -> String {
    let rounded: f64 = format!("{number:.14e}").parse().unwrap_or(number);
    format!("{rounded}")
}
