//! Numbers: versions, counts, and amounts of money.

use super::DecimalMark;

pub use super::float::{float, float_text};

/// Parses a whole number of 32 bits. Zero decimals of a float are dropped.
///
/// ```
/// use wabalake_data::cells::number::integer;
/// assert_eq!(integer("4.0"), Some(4));
/// assert_eq!(integer("4.5"), None);
/// assert_eq!(integer("version two"), None);
/// ```
pub fn integer(word: &str) -> Option<i32> {
    without_float_tail(word).parse().ok()
}

/// Parses a whole number of 64 bits, with or without thousands separators. Zero decimals of a float
/// are dropped. Without a decimal mark, only a number that is the same with either is parsed.
///
/// ```
/// use wabalake_data::cells::{DecimalMark, number::count};
/// let [point, comma] = [DecimalMark::Point, DecimalMark::Comma].map(Some);
/// assert_eq!(count("196093.0", point), Some(196_093));
/// assert_eq!(count("1,234,567", point), Some(1_234_567));
/// assert_eq!(count("1.234", comma), Some(1_234));
/// assert_eq!(count("1,23", point), None);
/// assert_eq!(count("1.000", None), None);
/// ```
pub fn count(word: &str, mark: Option<DecimalMark>) -> Option<i64> {
    let (thousands, whole) = match mark {
        None => {
            return if word.contains(MARKS) { None } else { count(word, Some(DecimalMark::Point)) };
        }
        Some(DecimalMark::Point) => (',', without_float_tail(word)),
        Some(DecimalMark::Comma) => ('.', without_comma_tail(word)),
    };
    let digits = whole.strip_prefix('-').unwrap_or(whole);
    let Some(group) = digits.chars().find(|c| *c == thousands || is_separator(*c)) else {
        return whole.parse().ok();
    };
    in_thousands(digits, group).then(|| whole.replace(group, "").parse().ok()).flatten()
}

/// Drops zero decimals of a float, in a file with decimal commas. Zeros after a point may be
/// thousands there, and so may three zeros after a comma if the file mixes conventions.
fn without_comma_tail(word: &str) -> &str {
    if in_thousands(word.strip_prefix('-').unwrap_or(word), '.') {
        return word;
    }
    match word.split_once(',') {
        Some((whole, "0" | "00")) => whole,
        Some(_) => word,
        None => without_float_tail(word),
    }
}

/// The two decimal marks.
pub(super) const MARKS: [char; 2] = ['.', ','];

/// Returns `true` for a thousands separator that goes with either decimal mark.
fn is_separator(c: char) -> bool {
    matches!(c, '\'' | '\u{2019}') || c.is_whitespace()
}

/// Parses an amount in the format of [`money_text`], to millionths.
///
/// ```
/// use wabalake_data::cells::number::{exact, money_text};
/// assert_eq!(exact(&money_text(-1_234_000)), Some(-1_234_000));
/// assert_eq!(exact("1.234"), None);
/// ```
pub fn exact(word: &str) -> Option<i64> {
    let (_, decimals) = word.split_once('.')?;
    let is_written = decimals.len() == MONEY_SCALE && !word.contains(',');
    is_written.then(|| money(word, Some(DecimalMark::Point))).flatten()
}

/// The scale of an amount of money in a lake: its decimals.
pub const MONEY_SCALE: usize = 6;

/// The precision of an amount of money in a lake: its digits, decimals included.
pub const MONEY_PRECISION: usize = 18;

/// Parses an amount of money to millionths, exactly. `None` if it exceeds [`MONEY_SCALE`] or
/// [`MONEY_PRECISION`]. Without a decimal mark, only an amount that is the same with either is
/// parsed.
///
/// ```text
/// decimal point   1234.5   1,234.50   $1,234.50    1'234.50   1,234 is 1234     1.234 is 1.234
/// decimal comma   1234,5   1.234,50   1 234,50 €   0,25       1,234 is 1.234    1.234 is 1234
/// ```
///
/// ```
/// use wabalake_data::cells::{DecimalMark, number::money};
/// let [point, comma] = [DecimalMark::Point, DecimalMark::Comma].map(Some);
/// assert_eq!(money("1 234,56", comma), Some(1_234_560_000));
/// assert_eq!(money("1 234,56", point), None);
/// assert_eq!(money("1,234", point), Some(1_234_000_000));
/// assert_eq!(money("1,234", comma), Some(1_234_000));
/// assert_eq!(money("1,234", None), None);
/// assert_eq!(money("0.1234567", point), None);
/// ```
pub fn money(word: &str, mark: Option<DecimalMark>) -> Option<i64> {
    let mark = match mark {
        None if word.contains(MARKS) => return None,
        mark => mark.unwrap_or(DecimalMark::Point),
    };
    let word = without_currency_sign(word);
    let (negative, word) = match word.strip_prefix(['-', '\u{2212}']) {
        Some(rest) => (true, without_currency_sign(rest)),
        None => (false, word),
    };
    let (whole, decimals) = split(word, mark)?;
    if whole.is_empty() && decimals.is_empty() || decimals.len() > MONEY_SCALE {
        return None;
    }
    let digits = format!("{whole}{decimals:0<MONEY_SCALE$}");
    let digits = digits.trim_start_matches('0');
    if digits.len() > MONEY_PRECISION || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let millionths: i64 = if digits.is_empty() { 0 } else { digits.parse().ok()? };
    Some(if negative { -millionths } else { millionths })
}

/// Parses an amount of money in the number format of programs, to millionths, rounded half to even.
/// `None` if it is no such number or exceeds [`MONEY_PRECISION`].
///
/// ```
/// use wabalake_data::cells::number::rounded_money;
/// assert_eq!(rounded_money("0.020000000000000004"), Some(20_000));
/// assert_eq!(rounded_money("1e-05"), Some(10));
/// assert_eq!(rounded_money("0.0000025"), Some(2));
/// assert_eq!(rounded_money("1e400"), None);
/// assert_eq!(rounded_money("Infinity"), None);
/// ```
pub fn rounded_money(word: &str) -> Option<i64> {
    let (negative, word) = match word.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, word),
    };
    let (mantissa, exponent) = match word.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, read_exponent(exponent)?),
        None => (word, 0),
    };
    let (whole, decimals) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{decimals}");
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let digits = digits.trim_start_matches('0');
    if digits.is_empty() {
        return Some(0);
    }
    // The number of zeros to append to the digits, or if negative, of digits to cut.
    let scale = i64::try_from(MONEY_SCALE).ok()?;
    let shift = exponent.saturating_add(scale).saturating_sub(i64::try_from(decimals.len()).ok()?);
    let length = i64::try_from(digits.len()).ok()?.saturating_add(shift);
    if length > i64::try_from(MONEY_PRECISION).ok()? {
        return None;
    }
    let millionths: i64 = match usize::try_from(shift) {
        Ok(zeros) => format!("{digits}{}", "0".repeat(zeros)).parse().ok()?,
        // Less than a tenth of a millionth.
        Err(_) if length < 0 => 0,
        Err(_) => {
            let (kept, cut) = digits.split_at(usize::try_from(length).ok()?);
            let kept: i64 = if kept.is_empty() { 0 } else { kept.parse().ok()? };
            let is_half = cut.starts_with('5') && cut[1..].bytes().all(|b| b == b'0');
            let up = if is_half { kept % 2 == 1 } else { cut.as_bytes()[0] >= b'5' };
            kept + i64::from(up)
        }
    };
    let most = 10_i64.pow(u32::try_from(MONEY_PRECISION).ok()?);
    (millionths < most).then_some(if negative { -millionths } else { millionths })
}

/// Parses the exponent after an `e`. One that does not fit 64 bits is clamped: no amount has it.
fn read_exponent(word: &str) -> Option<i64> {
    let (negative, digits) = match word.as_bytes().first()? {
        b'-' => (true, &word[1..]),
        b'+' => (false, &word[1..]),
        _ => (false, word),
    };
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let size = digits.parse().unwrap_or(i64::MAX);
    Some(if negative { -size } else { size })
}

/// Formats millionths as an amount that [`money`] parses.
///
/// ```
/// use wabalake_data::cells::number::money_text;
/// assert_eq!(money_text(-20_000), "-0.020000");
/// ```
pub fn money_text(millionths: i64) -> String {
    let (sign, size) = (if millionths < 0 { "-" } else { "" }, millionths.unsigned_abs());
    format!("{sign}{}.{:06}", size / 1_000_000, size % 1_000_000)
}

/// Splits an amount at its decimal mark, and removes thousands separators.
pub(super) fn split(word: &str, mark: DecimalMark) -> Option<(String, &str)> {
    let (mark, thousands) = match mark {
        DecimalMark::Point => ('.', ','),
        DecimalMark::Comma => (',', '.'),
    };
    let (whole, decimals) = word.rsplit_once(mark).unwrap_or((word, ""));
    let Some(group) = whole.chars().find(|c| *c == thousands || is_separator(*c)) else {
        return Some((whole.to_owned(), decimals));
    };
    in_thousands(whole, group).then(|| (whole.split(group).collect(), decimals))
}

/// Returns `true` if digits are in groups of three, the first of which may be shorter. It does not
/// start with a zero: `0.037` is not 37.
fn in_thousands(digits: &str, group: char) -> bool {
    let mut groups = digits.split(group);
    let is_first = |first: &str| (1..=3).contains(&first.len()) && !first.starts_with('0');
    let first = groups.next().is_some_and(is_first);
    let all_digits = digits.chars().all(|c| c == group || c.is_ascii_digit());
    let mut others = groups.peekable();
    first && all_digits && others.peek().is_some() && others.all(|group| group.len() == 3)
}

/// Removes a currency sign, such as `$`, `US$`, `R$` or `€`, at either end.
fn without_currency_sign(word: &str) -> &str {
    const SIGNS: [&str; 8] = ["US$", "R$", "S/", "$", "€", "£", "¥", "₹"];
    let word = SIGNS.iter().find_map(|sign| word.strip_prefix(sign)).unwrap_or(word);
    let word = SIGNS.iter().find_map(|sign| word.strip_suffix(sign)).unwrap_or(word);
    word.trim()
}

/// Appends a zero to a number with three decimals, so that its decimal point cannot be mistaken for
/// a thousands separator. For numbers that a program formatted.
///
/// ```
/// use wabalake_data::cells::number::never_thousands;
/// assert_eq!(never_thousands("1.234".to_owned()), "1.2340");
/// assert_eq!(never_thousands("12.5".to_owned()), "12.5");
/// ```
pub fn never_thousands(mut number: String) -> String {
    if number.split_once('.').is_some_and(|(_, decimals)| decimals.len() == 3) {
        number.push('0');
    }
    number
}

/// Drops zero decimals: `57.0` becomes `57`.
pub(crate) fn without_float_tail(word: &str) -> &str {
    match word.split_once('.') {
        Some((whole, tail)) if !tail.is_empty() && tail.bytes().all(|b| b == b'0') => whole,
        _ => word,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const POINT: Option<DecimalMark> = Some(DecimalMark::Point);
    const COMMA: Option<DecimalMark> = Some(DecimalMark::Comma);

    #[test]
    fn amounts_are_parsed_by_decimal_mark() {
        let either = [
            ("0", 0),
            ("12", 12_000_000),
            ("1 234", 1_234_000_000),
            ("1'234'567", 1_234_567_000_000),
            ("-$3", -3_000_000),
        ];
        for (word, millionths) in either {
            for mark in [None, POINT, COMMA] {
                assert_eq!(money(word, mark), Some(millionths), "{word} {mark:?}");
            }
        }
        let with_point = [
            ("0.0000", 0),
            ("12.5", 12_500_000),
            (".5", 500_000),
            ("0.037", 37_000),
            ("012.345", 12_345_000),
            ("1,234.56", 1_234_560_000),
            ("1'234.56", 1_234_560_000),
            ("1,234,567", 1_234_567_000_000),
            ("$1,234.50", 1_234_500_000),
            ("-3.25", -3_250_000),
            ("-$3.25", -3_250_000),
            ("1234.567", 1_234_567_000),
            ("88.1010", 88_101_000),
            ("999999999999.999999", 999_999_999_999_999_999),
        ];
        for (word, millionths) in with_point {
            assert_eq!(money(word, POINT), Some(millionths), "{word}");
            assert_eq!((money(word, COMMA), money(word, None)), (None, None), "{word}");
            let with_comma = word.replace('.', "\0").replace(',', ".").replace('\0', ",");
            assert_eq!(money(&with_comma, COMMA), Some(millionths), "{with_comma}");
            assert_eq!(money(&with_comma, POINT), None, "{with_comma}");
        }
        assert_eq!(money("1\u{202f}234,56\u{a0}€", COMMA), Some(1_234_560_000));
        assert_eq!(money("R$ 10,00", COMMA), Some(10_000_000));
        for (word, plain, with_comma) in
            [("1,234", 1_234_000_000, 1_234_000), ("1.234", 1_234_000, 1_234_000_000)]
        {
            assert_eq!(money(word, POINT), Some(plain));
            assert_eq!(money(word, COMMA), Some(with_comma));
            assert_eq!(money(word, None), None);
        }
    }

    #[test]
    fn counts_are_parsed_by_decimal_mark() {
        let cases = [
            ("1234", Some(1234), Some(1234)),
            ("1234.0", Some(1234), Some(1234)),
            ("1 234", Some(1234), Some(1234)),
            ("-1,234", Some(-1234), None),
            ("-1.234", None, Some(-1234)),
            ("1,000", Some(1000), None),
            ("1.000", Some(1), Some(1000)),
            ("1.234.567", None, Some(1_234_567)),
            ("5,0", None, Some(5)),
            ("0,123", None, None),
            ("1,23", None, None),
            ("1.5", None, None),
            ("ten", None, None),
            ("", None, None),
        ];
        for (word, with_point, with_comma) in cases {
            assert_eq!(count(word, POINT), with_point, "{word}");
            assert_eq!(count(word, COMMA), with_comma, "{word}");
            let plain = with_point.filter(|_| !word.contains(MARKS));
            assert_eq!(count(word, None), plain, "{word}");
        }
    }

    #[test]
    fn invalid_amounts() {
        let words = [
            "",
            "-",
            "$",
            "1.2345678",
            "0.0000001",
            "12,34,56",
            "1,23.4",
            "1 2",
            "1e3",
            "ten",
            "1000000000000",
            "1.2.3",
            "--1",
            "NaN1",
            "0 123",
        ];
        for word in words {
            for mark in [None, POINT, COMMA] {
                assert_eq!(money(word, mark), None, "{word}");
            }
        }
    }

    #[test]
    fn program_amounts_are_rounded_half_to_even() {
        for (word, millionths) in [
            ("0", 0),
            ("-0.0", 0),
            ("15.58", 15_580_000),
            ("15.580000000000002", 15_580_000),
            ("0.020000000000000004", 20_000),
            ("0.33333333333", 333_333),
            ("1234.5678912345", 1_234_567_891),
            ("0.007692307692307692", 7_692),
            ("1e-05", 10),
            ("1E+3", 1_000_000_000),
            ("1.5e-7", 0),
            ("5e-7", 0),
            ("15e-7", 2),
            ("25e-7", 2),
            ("35e-7", 4),
            ("2.50000000000000000000001e-6", 3),
            ("-0.0000015", -2),
            ("1e-999999999999999999999", 0),
            ("0e999999999999999999999", 0),
            ("123456789012.3456785", 123_456_789_012_345_678),
            ("999999999999.9999994", 999_999_999_999_999_999),
        ] {
            assert_eq!(rounded_money(word), Some(millionths), "{word}");
        }
        for word in [
            "",
            "-",
            ".",
            "e5",
            "1e",
            "1e+",
            "1e400",
            "1e999999999999999999999",
            "999999999999.9999995",
            "1000000000000",
            "NaN",
            "Infinity",
            "-Infinity",
            "1,5",
            "0x10",
            "--1",
            "1.2.3",
        ] {
            assert_eq!(rounded_money(word), None, "{word}");
        }
    }

    proptest! {
        #[test]
        fn program_amounts_become_the_nearest_millionth_or_the_even_one_of_two(
            digits in 0..10_u64.pow(17),
            decimals in 0..12_usize,
            exponent in -6..6_i32,
            negative in any::<bool>(),
        ) {
            let sign = if negative { "-" } else { "" };
            let text = format!("{digits:0>width$}", width = decimals + 1);
            let (whole, part) = text.split_at(text.len() - decimals);
            let word = format!("{sign}{whole}.{part}e{exponent}");
            let power = exponent - i32::try_from(decimals).unwrap() + 6;
            let size = i128::from(digits);
            let expected = if power >= 0 {
                size * 10_i128.pow(power.unsigned_abs())
            } else {
                let unit = 10_i128.pow(power.unsigned_abs());
                let (least, rest) = (size / unit, size % unit);
                match (2 * rest).cmp(&unit) {
                    std::cmp::Ordering::Less => least,
                    std::cmp::Ordering::Greater => least + 1,
                    std::cmp::Ordering::Equal => least + least % 2,
                }
            };
            let expected = i64::try_from(expected).ok().filter(|m| *m < 10_i64.pow(18));
            let expected = expected.map(|m| if negative { -m } else { m });
            prop_assert_eq!(rounded_money(&word), expected, "{}", word);
        }

        #[test]
        fn formatted_amounts_are_parsed_back(millionths in -999_999_999_999_999_999i64..=999_999_999_999_999_999) {
            let text = money_text(millionths);
            prop_assert_eq!(money(&text, POINT), Some(millionths));
            prop_assert_eq!(money(&text.replace('.', ","), COMMA), Some(millionths));
        }

        #[test]
        fn a_number_parsed_without_a_mark_is_the_same_with_either(text in "[0-9.,' \u{a0}$€-]{0,12}") {
            for mark in [POINT, COMMA] {
                if let Some(amount) = money(&text, None) {
                    prop_assert_eq!(money(&text, mark), Some(amount));
                }
                if let Some(number) = count(&text, None) {
                    prop_assert_eq!(count(&text, mark), Some(number));
                }
            }
            let _ = (integer(&text), rounded_money(&text));
        }

        #[test]
        fn a_decimal_point_of_a_program_is_never_a_thousands_separator(number in 0.0f64..2000.0, decimals in 0usize..6) {
            let text = format!("{number:.decimals$}");
            let exact = money(&text, POINT);
            let written = never_thousands(text);
            prop_assert_eq!(money(&written, POINT), exact);
            prop_assert!([None, exact].contains(&money(&written, COMMA)));
        }
    }
}
