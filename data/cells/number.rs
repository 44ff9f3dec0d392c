//! Numbers: versions, counts, and amounts of money.

use super::Spelling;

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

/// How many there are of something: a whole number that fits 64 bits, with commas between its
/// thousands or without.
///
/// ```
/// use wabalake_data::cells::number::count;
/// assert_eq!(count("196093.0"), Some(196_093));
/// assert_eq!(count("1,234,567"), Some(1_234_567));
/// assert_eq!(count("1,23"), None);
/// ```
pub fn count(word: &str) -> Option<i64> {
    let word = without_float_tail(word);
    if !word.contains(',') {
        return word.parse().ok();
    }
    let digits = word.strip_prefix('-').unwrap_or(word);
    in_thousands(digits, ',').then(|| word.replace(',', "").parse().ok()).flatten()
}

/// Digits after the point that an amount of money has in a lake.
pub const MONEY_SCALE: usize = 6;

/// Digits that an amount of money has in a lake, those after the point included.
pub const MONEY_PRECISION: usize = 18;

/// An amount of money in millionths, exactly; none where it has more decimals than that, or more
/// digits than a lake holds.
///
/// ```text
/// 1234.5  1,234.50  $1,234.50  1 234,50 €  1.234,50     1234.50, however the file is spelled
/// 0,25  12,5                                            a single comma not before three digits
/// 1,234                                                 1234; 1.234 in a file of decimal commas
/// ```
///
/// ```
/// use wabalake_data::cells::{Spelling, number::money};
/// let comma = Spelling { decimal_comma: true, ..Spelling::default() };
/// assert_eq!(money("1 234,56", comma), Some(1_234_560_000));
/// assert_eq!(money("1,234", Spelling::default()), Some(1_234_000_000));
/// assert_eq!(money("1,234", comma), Some(1_234_000));
/// assert_eq!(money("0.1234567", Spelling::default()), None);
/// ```
pub fn money(word: &str, spelling: Spelling) -> Option<i64> {
    let word = without_sign_of_money(word);
    let (negative, word) = match word.strip_prefix(['-', '\u{2212}']) {
        Some(rest) => (true, without_sign_of_money(rest)),
        None => (false, word),
    };
    let (whole, decimals) = take_apart(word, spelling.decimal_comma)?;
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

/// The digits before and after the decimal sign, thousands joined.
fn take_apart(word: &str, decimal_comma: bool) -> Option<(String, &str)> {
    let point = |at: usize| (&word[..at], &word[at + 1..]);
    let (whole, decimals) = match (word.rfind('.'), word.rfind(',')) {
        (None, None) => (word, ""),
        (Some(dot), Some(comma)) => point(dot.max(comma)),
        (Some(at), None) | (None, Some(at)) => {
            let (whole, decimals) = point(at);
            let is_comma = word.as_bytes()[at] == b',';
            let several = whole.contains(['.', ',']);
            // A group of thousands, or three decimals: the file's way of writing decides.
            let thousands = decimals.len() == 3 && is_comma != decimal_comma && !whole.is_empty();
            if several || (thousands && in_thousands(word, if is_comma { ',' } else { '.' })) {
                (word, "")
            } else {
                (whole, decimals)
            }
        }
    };
    let is_group = |c: char| matches!(c, '.' | ',' | '\'' | '\u{2019}') || c.is_whitespace();
    let Some(group) = whole.chars().find(|c| is_group(*c)) else {
        return Some((whole.to_owned(), decimals));
    };
    in_thousands(whole, group).then(|| (whole.split(group).collect(), decimals))
}

/// Whether digits stand in groups of three, the first of which may be shorter.
fn in_thousands(digits: &str, group: char) -> bool {
    let mut groups = digits.split(group);
    let first = groups.next().is_some_and(|first| (1..=3).contains(&first.len()));
    let all_digits = digits.chars().all(|c| c == group || c.is_ascii_digit());
    first && all_digits && groups.all(|group| group.len() == 3)
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

    #[test]
    fn amounts_however_they_are_spelled() {
        let either = [
            ("0", 0),
            ("0.0000", 0),
            ("12.5", 12_500_000),
            ("12,5", 12_500_000),
            (".5", 500_000),
            ("1,234.56", 1_234_560_000),
            ("1.234,56", 1_234_560_000),
            ("1 234,56", 1_234_560_000),
            ("1\u{202f}234,56\u{a0}€", 1_234_560_000),
            ("1'234.56", 1_234_560_000),
            ("1,234,567", 1_234_567_000_000),
            ("$1,234.50", 1_234_500_000),
            ("R$ 10,00", 10_000_000),
            ("-3.25", -3_250_000),
            ("-$3.25", -3_250_000),
            ("1234,567", 1_234_567_000),
            ("88.1010", 88_101_000),
            ("999999999999.999999", 999_999_999_999_999_999),
        ];
        for (word, millionths) in either {
            for decimal_comma in [false, true] {
                let spelling = Spelling { decimal_comma, ..Spelling::default() };
                assert_eq!(money(word, spelling), Some(millionths), "{word} {decimal_comma}");
            }
        }
        let comma = Spelling { decimal_comma: true, ..Spelling::default() };
        for (word, plain, with_comma) in
            [("1,234", 1_234_000_000, 1_234_000), ("1.234", 1_234_000, 1_234_000_000)]
        {
            assert_eq!(money(word, Spelling::default()), Some(plain));
            assert_eq!(money(word, comma), Some(with_comma));
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
        ];
        for word in words {
            assert_eq!(money(word, Spelling::default()), None, "{word}");
        }
    }

    proptest! {
        /// What is printed comes back, in either way of writing.
        #[test]
        fn printed_amounts_come_back(millionths in -999_999_999_999_999_999i64..=999_999_999_999_999_999) {
            let (sign, size) = (if millionths < 0 { "-" } else { "" }, millionths.unsigned_abs());
            let text = format!("{sign}{}.{:06}", size / 1_000_000, size % 1_000_000);
            prop_assert_eq!(money(&text, Spelling::default()), Some(millionths));
            let comma = Spelling { decimal_comma: true, ..Spelling::default() };
            prop_assert_eq!(money(&text.replace('.', ","), comma), Some(millionths));
        }

        #[test]
        fn any_text_is_read_without_a_panic(text in "[0-9.,' \u{a0}$€-]{0,12}") {
            let _ = (money(&text, Spelling::default()), count(&text), integer(&text));
        }
    }
}
