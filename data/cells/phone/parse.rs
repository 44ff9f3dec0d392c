//! Parser of phone cells: digits, or a user id.

use std::borrow::Cow;

use crate::cells::{LostDigits, has_exponent, unwrap_formula, word};

/// Parses a phone cell to its digits, or to a [user id](is_user_id) unchanged. `None` for a null
/// word, a cell without digits, and WhatsApp's internal ids (`…@lid`).
///
/// Removed are a leading `'`, a surrounding formula, a prefix `whatsapp:` or `tel:`, everything from
/// an `@` on, zero decimals of a float, and then every character that is not a digit, visible or not.
/// Digits of other scripts are digits too.
///
/// ```
/// use wabalake_data::cells::LostDigits;
/// use wabalake_data::cells::phone::read;
/// let digits = |cell| read(cell).unwrap().map(String::from);
/// assert_eq!(digits("+57 300 555-0101").as_deref(), Some("573005550101"));
/// assert_eq!(digits("57.0").as_deref(), Some("57"));
/// assert_eq!(digits("\u{202a}'+57 300 555\u{2011}0101").as_deref(), Some("573005550101"));
/// assert_eq!(digits("whatsapp:573005550101@s.whatsapp.net").as_deref(), Some("573005550101"));
/// assert_eq!(digits("٥٧٣٠٠٥٥٥٠١٠١").as_deref(), Some("573005550101"));
/// assert_eq!(digits("CO.1349aB").as_deref(), Some("CO.1349aB"));
/// assert_eq!(digits("null"), None);
/// assert_eq!(digits("9135@lid"), None);
/// assert_eq!(read("5.73E+11"), Err(LostDigits));
/// ```
///
/// # Errors
///
/// A number in scientific notation.
pub fn read(cell: &str) -> Result<Option<Cow<'_, str>>, LostDigits> {
    let Some(word) = word(cell) else { return Ok(None) };
    if word.bytes().all(|b| b.is_ascii_digit()) {
        return Ok(Some(word.into()));
    }
    let Some(word) = unwrapped(word) else { return Ok(None) };
    if is_user_id(word) {
        return Ok(Some(word.into()));
    }
    let word = match word.split_once('@') {
        Some((_, domain)) if is_lid(domain) => return Ok(None),
        // A suffix such as `:12` names a device of the person.
        Some((user, _)) => user.split(':').next().unwrap_or_default().trim(),
        None => word,
    };
    let word = without_float_tail(word);
    if word.bytes().all(|b| b.is_ascii_digit()) {
        return Ok((!word.is_empty()).then(|| word.into()));
    }
    if may_have_exponent(word) {
        let visible = |c: char| digit(c).or_else(|| c.is_ascii_graphic().then_some(c));
        let visible: String = word.chars().filter_map(visible).collect();
        if has_exponent(&visible, false) {
            return Err(LostDigits);
        }
    }
    let digits: String = word.chars().filter_map(digit).collect();
    Ok((!digits.is_empty()).then(|| digits.into()))
}

/// Parses a phone cell like [`read`], but keeps the `+` of an international number.
///
/// # Errors
///
/// As [`read`].
pub fn read_with_plus(cell: &str) -> Result<Option<Cow<'_, str>>, LostDigits> {
    let read = read(cell)?;
    let begins = |c: char| is_plus(c) || digit(c).is_some();
    let first = || word(cell).and_then(unwrapped)?.chars().find(|c| begins(*c));
    Ok(match read {
        Some(number) if !is_user_id(&number) && first().is_some_and(is_plus) => {
            Some(format!("+{number}").into())
        }
        read => read,
    })
}

fn is_plus(c: char) -> bool {
    matches!(c, '+' | '\u{ff0b}')
}

/// Parses a phone cell like [`read`], but returns `None` for a number in scientific notation.
///
/// ```
/// use wabalake_data::cells::phone::digits;
/// assert_eq!(digits("+57 300 555-0101").as_deref(), Some("573005550101"));
/// assert_eq!(digits("5.73E+11"), None);
/// ```
pub fn digits(cell: &str) -> Option<Cow<'_, str>> {
    read(cell).ok().flatten()
}

/// Returns `true` for Meta's business-scoped user ids, which identify people whose number is hidden:
/// two capitals, `.`, optionally `ENT.`, then 1 to 128 letters or digits.
///
/// ```
/// use wabalake_data::cells::phone::is_user_id;
/// assert!(is_user_id("CO.13491208655302741918") && is_user_id("MX.ENT.ab12"));
/// assert!(!is_user_id("co.1349") && !is_user_id("CO.") && !is_user_id("573005550101"));
/// ```
pub fn is_user_id(text: &str) -> bool {
    let Some((country, id)) = text.split_once('.') else { return false };
    let id = id.strip_prefix("ENT.").unwrap_or(id);
    country.len() == 2
        && country.bytes().all(|b| b.is_ascii_uppercase())
        && (1..=128).contains(&id.len())
        && id.bytes().all(|b| b.is_ascii_alphanumeric())
}

/// Converts a decimal digit of any script to ASCII.
///
/// ```
/// use wabalake_data::cells::phone::digit;
/// assert_eq!(digit('٣'), Some('3'));
/// assert_eq!(digit('x'), None);
/// ```
pub fn digit(c: char) -> Option<char> {
    /// The code point of zero in each script.
    const ZEROS: [u32; 20] = [
        0x660, 0x6f0, 0x7c0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xd66, 0xe50,
        0xed0, 0xf20, 0x1040, 0x17e0, 0x1810, 0x19d0, 0xff10,
    ];
    if c.is_ascii() {
        return c.is_ascii_digit().then_some(c);
    }
    let value = ZEROS.iter().filter_map(|zero| u32::from(c).checked_sub(*zero)).min()?;
    char::from_digit(value, 10)
}

/// Removes prefixes and wrappers that programs add to phone numbers; `None` if nothing is left.
fn unwrapped(mut word: &str) -> Option<&str> {
    const BEFORE: [&str; 2] = ["whatsapp:", "tel:"];
    loop {
        let before = word;
        word = word.trim_matches(|c: char| !c.is_ascii_graphic() && !c.is_alphanumeric());
        word = word.strip_prefix('\'').unwrap_or(word);
        word = unwrap_formula(word).unwrap_or(word);
        for prefix in BEFORE {
            let (first, rest) = word.split_at_checked(prefix.len()).unwrap_or_default();
            if first.eq_ignore_ascii_case(prefix) {
                word = rest;
            }
        }
        if word == before {
            return crate::cells::word(word);
        }
    }
}

/// Returns `true` if an address with that domain is an internal id of WhatsApp, not a number.
fn is_lid(domain: &str) -> bool {
    let last = domain.trim_matches(|c: char| !c.is_alphanumeric()).rsplit('.').next();
    last.is_some_and(|last| last.eq_ignore_ascii_case("lid"))
}

/// Drops zero decimals, as in `57.0` and `57,0`. In a number with separators, three zeros or more
/// are a group of digits.
fn without_float_tail(word: &str) -> &str {
    let Some((whole, tail)) = word.split_once(['.', ',']) else { return word };
    let is_zeros = !tail.is_empty() && tail.bytes().all(|b| b == b'0');
    let is_plain = || whole.trim_start_matches('+').bytes().all(|b| b.is_ascii_digit());
    if is_zeros && (tail.len() <= 2 || is_plain()) { whole.trim_end() } else { word }
}

fn may_have_exponent(word: &str) -> bool {
    word.bytes().any(|b| matches!(b, b'e' | b'E'))
}
