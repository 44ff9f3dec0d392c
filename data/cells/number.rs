//! Numbers: versions, counts, and amounts of money.

use super::DecimalMark;

/// A whole number that fits 32 bits; a float's tail of zeros is dropped.
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

/// How many there are of something: a whole number that fits 64 bits, with signs between its
/// thousands or without. A float's tail of zeros is dropped. Without a mark, only what is the same
/// with either is read.
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
        Some(DecimalMark::Comma) => ('.', without_tail(word)),
    };
    let digits = whole.strip_prefix('-').unwrap_or(whole);
    let Some(group) = digits.chars().find(|c| *c == thousands || is_group(*c)) else {
        return whole.parse().ok();
    };
    in_thousands(digits, group).then(|| whole.replace(group, "").parse().ok()).flatten()
}

/// A whole number of a file with decimal commas without the tail that a float leaves. Zeros after a
/// point may be thousands, and three after a comma are somebody else's.
fn without_tail(word: &str) -> &str {
    if in_thousands(word.strip_prefix('-').unwrap_or(word), '.') {
        return word;
    }
    match word.split_once(',') {
        Some((whole, tail)) if matches!(tail, "0" | "00") => whole,
        Some(_) => word,
        None => without_float_tail(word),
    }
}

/// The signs that are decimal marks.
const MARKS: [char; 2] = ['.', ','];

/// What stands between thousands whichever the decimal mark is.
fn is_group(c: char) -> bool {
    matches!(c, '\'' | '\u{2019}') || c.is_whitespace()
}

/// Digits after the point that an amount of money has in a lake.
pub const MONEY_SCALE: usize = 6;

/// Digits that an amount of money has in a lake, those after the point included.
pub const MONEY_PRECISION: usize = 18;

/// An amount of money in millionths, exactly; none where it has more decimals than that, or more
/// digits than a lake holds. Without a mark, only what is the same with either is read.
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
    let word = without_sign_of_money(word);
    let (negative, word) = match word.strip_prefix(['-', '\u{2212}']) {
        Some(rest) => (true, without_sign_of_money(rest)),
        None => (false, word),
    };
    let (whole, decimals) = take_apart(word, mark)?;
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

/// The digits before and after the decimal mark, thousands joined.
fn take_apart(word: &str, mark: DecimalMark) -> Option<(String, &str)> {
    let (mark, thousands) = match mark {
        DecimalMark::Point => ('.', ','),
        DecimalMark::Comma => (',', '.'),
    };
    let (whole, decimals) = word.rsplit_once(mark).unwrap_or((word, ""));
    let Some(group) = whole.chars().find(|c| *c == thousands || is_group(*c)) else {
        return Some((whole.to_owned(), decimals));
    };
    in_thousands(whole, group).then(|| (whole.split(group).collect(), decimals))
}

/// Whether digits stand in groups of three, the first of which may be shorter. It begins with no
/// zero: `0.037` is no 37.
fn in_thousands(digits: &str, group: char) -> bool {
    let mut groups = digits.split(group);
    let is_first = |first: &str| (1..=3).contains(&first.len()) && !first.starts_with('0');
    let first = groups.next().is_some_and(is_first);
    let all_digits = digits.chars().all(|c| c == group || c.is_ascii_digit());
    let mut others = groups.peekable();
    first && all_digits && others.peek().is_some() && others.all(|group| group.len() == 3)
}

/// Without `$`, `US$`, `R$`, `€` and the like, before or after.
fn without_sign_of_money(word: &str) -> &str {
    const SIGNS: [&str; 8] = ["US$", "R$", "S/", "$", "€", "£", "¥", "₹"];
    let word = SIGNS.iter().find_map(|sign| word.strip_prefix(sign)).unwrap_or(word);
    let word = SIGNS.iter().find_map(|sign| word.strip_suffix(sign)).unwrap_or(word);
    word.trim()
}

/// A number that was a float, as a person would have typed it: of 17 digits, the last two are
/// noise (`15.580000000000002`).
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

/// A number in digits and a decimal point, so that it cannot be taken for one with a point between
/// thousands: what comes from a program's number is exact.
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

/// `57.0` as `57`; anything else as it is.
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
    fn amounts_however_they_are_spelled() {
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
    fn counts_however_they_are_spelled() {
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
    fn no_amounts() {
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

    proptest! {
        /// What is printed comes back, in either way of writing.
        #[test]
        fn printed_amounts_come_back(millionths in -999_999_999_999_999_999i64..=999_999_999_999_999_999) {
            let (sign, size) = (if millionths < 0 { "-" } else { "" }, millionths.unsigned_abs());
            let text = format!("{sign}{}.{:06}", size / 1_000_000, size % 1_000_000);
            prop_assert_eq!(money(&text, POINT), Some(millionths));
            prop_assert_eq!(money(&text.replace('.', ","), COMMA), Some(millionths));
        }

        /// Whatever is read without a mark is the same with either.
        #[test]
        fn what_needs_no_mark_is_the_same_with_either(text in "[0-9.,' \u{a0}$€-]{0,12}") {
            for mark in [POINT, COMMA] {
                if let Some(amount) = money(&text, None) {
                    prop_assert_eq!(money(&text, mark), Some(amount));
                }
                if let Some(number) = count(&text, None) {
                    prop_assert_eq!(count(&text, mark), Some(number));
                }
            }
            let _ = integer(&text);
        }

        /// A program's number is read as such, or not at all.
        #[test]
        fn a_programs_number_is_never_thousands(number in 0.0f64..2000.0, decimals in 0usize..6) {
            let text = format!("{number:.decimals$}");
            let exact = money(&text, POINT);
            let written = never_thousands(text);
            prop_assert_eq!(money(&written, POINT), exact);
            prop_assert!([None, exact].contains(&money(&written, COMMA)));
        }
    }
}
