//! Phone numbers: who the person is.
//!
//! ```text
//! code  number                   user_phone        country   why
//! 57.0  300 555-0101.0           573005550101      CO        float text, separators
//! null  ="+57 300 555‑0101"      573005550101      CO        a formula, a hyphen that is none
//! null  573005550101@c.us        573005550101      CO        an address of WhatsApp's own
//! null  1349@lid                 null              null      one that holds no number
//! null  CO.13491208655302741918  the same          CO        a person without a number: Meta's user id
//! 57    3.00556E+09              –                           its digits are lost: a bad value
//! 52    19991234567              529991234567      MX        renumbered: Mexico's mobile 1 is gone
//! 55    1181234567               5511981234567     BR        WhatsApp's ids leave the ninth digit out
//! 55    5511981234567            5511981234567     BR        the code was there already
//! null  12025550123              12025550123       US        a full number, as in messages
//! 57    12                       5712              CO        not valid: code and digits, counted
//! ```
//!
//! Numbering plans are libphonenumber's, through its Rust port; what it does not do is in
//! [`renumbered`].

use std::borrow::Cow;
use std::sync::{Mutex, PoisonError};

use polars::prelude::PlHashMap;
use rlibphonenumber::{NumberLengthType, PHONE_NUMBER_UTIL, PhoneNumber, Region};

use super::{LostDigits, has_exponent, out_of_formula, word};
use crate::reference::{countries, renumbered};

/// The digits of a phone or line cell, or a [user id](is_user_id) as it is; null words are nothing,
/// and so is a cell without digits, or with an id of WhatsApp's own (`…@lid`).
///
/// A leading `'`, a formula around it, `whatsapp:` and `tel:` before it, all from an `@` on, a float's
/// tail and then every sign that is no digit are dropped, seen or not. Digits of other scripts are
/// digits.
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
/// A number that lost its digits.
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
        // `:12` behind the number is one of its devices.
        Some((user, _)) => user.split(':').next().unwrap_or_default().trim(),
        None => word,
    };
    let word = without_float_tail(word);
    if word.bytes().all(|b| b.is_ascii_digit()) {
        return Ok((!word.is_empty()).then(|| word.into()));
    }
    if may_have_exponent(word) {
        let seen = |c: char| digit(c).or_else(|| c.is_ascii_graphic().then_some(c));
        let seen: String = word.chars().filter_map(seen).collect();
        if has_exponent(&seen, false) {
            return Err(LostDigits);
        }
    }
    let digits: String = word.chars().filter_map(digit).collect();
    Ok((!digits.is_empty()).then(|| digits.into()))
}

/// The same with the `+` that says that a number is a full international one.
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

/// [`read`], where a number that lost its digits is none.
///
/// ```
/// use wabalake_data::cells::phone::digits;
/// assert_eq!(digits("+57 300 555-0101").as_deref(), Some("573005550101"));
/// assert_eq!(digits("5.73E+11"), None);
/// ```
pub fn digits(cell: &str) -> Option<Cow<'_, str>> {
    read(cell).ok().flatten()
}

/// Whether a text has the form of Meta's business-scoped user ids, by which people are known whose
/// number is not shown: two capitals, `.`, maybe `ENT.`, then 1 to 128 letters or digits.
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

/// The ASCII digit that a digit of any script stands for.
///
/// ```
/// use wabalake_data::cells::phone::digit;
/// assert_eq!(digit('٣'), Some('3'));
/// assert_eq!(digit('x'), None);
/// ```
pub fn digit(c: char) -> Option<char> {
    /// Where the ten digits of a script begin.
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

/// A word without what programs put around phones; none where nothing is left.
fn unwrapped(mut word: &str) -> Option<&str> {
    const BEFORE: [&str; 2] = ["whatsapp:", "tel:"];
    loop {
        let before = word;
        word = word.trim_matches(|c: char| !c.is_ascii_graphic() && !c.is_alphanumeric());
        word = word.strip_prefix('\'').unwrap_or(word);
        word = out_of_formula(word).unwrap_or(word);
        for prefix in BEFORE {
            let (first, rest) = word.split_at_checked(prefix.len()).unwrap_or_default();
            if first.eq_ignore_ascii_case(prefix) {
                word = rest;
            }
        }
        if word == before {
            return self::word(word);
        }
    }
}

/// Whether the domain of an address says that it is an id of WhatsApp's own, which holds no number.
fn is_lid(domain: &str) -> bool {
    let last = domain.trim_matches(|c: char| !c.is_alphanumeric()).rsplit('.').next();
    last.is_some_and(|last| last.eq_ignore_ascii_case("lid"))
}

/// `57.0` as `57`, `57,0` too. What has separators before it may end in a group of zeros.
fn without_float_tail(word: &str) -> &str {
    let Some((whole, tail)) = word.split_once(['.', ',']) else { return word };
    let is_zeros = !tail.is_empty() && tail.bytes().all(|b| b == b'0');
    let is_plain = || whole.trim_start_matches('+').bytes().all(|b| b.is_ascii_digit());
    if is_zeros && (tail.len() <= 2 || is_plain()) { whole.trim_end() } else { word }
}

fn may_have_exponent(word: &str) -> bool {
    word.bytes().any(|b| matches!(b, b'e' | b'E'))
}

/// Who a number belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    phone: String,
    /// ISO 3166-1 alpha-2, of the number or else of its dialling code.
    pub country: Option<&'static str>,
    /// Whether the number is valid by its country's numbering plan; a user id is.
    pub valid: bool,
}

impl Person {
    /// Who is known by a [user id](is_user_id), which tells the country.
    pub fn of_user_id(text: &str) -> Option<Self> {
        is_user_id(text).then(|| person(text, countries::code(&text[..2]), true))
    }

    /// E.164 digits without `+`; where the number is not valid, the digits of code and number. Of
    /// who is known by a [user id](is_user_id), that id.
    pub fn phone(&self) -> &str {
        &self.phone
    }

    /// The same, for keeps.
    pub fn into_phone(self) -> String {
        self.phone
    }
}

/// Normalises phone numbers and remembers those it has seen, since a person comes back often and
/// a number costs some microseconds. Threads share it.
#[derive(Debug)]
pub struct Phones {
    /// Each part holds numbers whose value ends in its place.
    seen: [Mutex<PlHashMap<Asked, Known>>; Phones::PARTS],
    /// The dialling code of national numbers.
    home: Option<String>,
}

/// A dialling code and a number, exactly: values and lengths of at most 4 and 19 digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Asked {
    number: u64,
    code: u16,
    lengths: [u8; 2],
}

/// A [`Person`] in a quarter of its place.
#[derive(Clone, Copy, Debug)]
struct Known {
    phone: u64,
    length: u8,
    valid: bool,
    country: Option<u8>,
}

impl Default for Phones {
    fn default() -> Self {
        Self { seen: std::array::from_fn(|_| Mutex::default()), home: None }
    }
}

impl Phones {
    /// So many that threads seldom meet.
    const PARTS: usize = 64;

    /// How many numbers a part remembers before starting afresh: as many as fit into 32 Ki places
    /// of a hash table, 1.8 million numbers and 70 MB over all parts.
    const REMEMBERED: usize = 28 << 10;

    /// The same, where national numbers are of the country with that dialling code.
    #[must_use]
    pub fn at_home(code: Option<&str>) -> Self {
        Self { home: code.map(str::to_owned), ..Self::default() }
    }

    /// The person of a number that says itself whether it is a full one, by a `+` or two zeros before
    /// it. Another is a national one if its country's numbering plan has it, else a full one too.
    pub fn full_or_national(&self, number: &str) -> Option<Person> {
        if let Some(full) = number.strip_prefix('+') {
            return self.person(None, Some(full));
        }
        let Some(home) = &self.home else { return self.person(None, Some(number)) };
        let after_zeros = number.strip_prefix("00").and_then(|full| self.person(None, Some(full)));
        let valid = |person: &Person| person.valid;
        after_zeros
            .filter(valid)
            .or_else(|| self.person(Some(home), Some(number)).filter(valid))
            .or_else(|| self.person(None, Some(number)))
    }

    /// The person of a dialling code and a number, both digits; of a full international number
    /// when there is no code. `None` without a number.
    pub fn person(&self, code: Option<&str>, number: Option<&str>) -> Option<Person> {
        let number = number?;
        let code = code.unwrap_or_default();
        let Some(asked) = Asked::of(code, number) else { return Some(normalise(code, number)) };
        let place = usize::try_from(asked.number % Self::PARTS as u64).unwrap_or_default();
        // A thread that panicked cannot have left half a person.
        let lock = || self.seen[place].lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = lock().get(&asked).copied() {
            return Some(known.person());
        }
        let person = normalise(code, number);
        if let Some(known) = Known::of(&person) {
            let mut seen = lock();
            if seen.len() >= Self::REMEMBERED {
                seen.clear();
            }
            seen.insert(asked, known);
        }
        Some(person)
    }
}

impl Asked {
    fn of(code: &str, number: &str) -> Option<Self> {
        let lengths = [u8::try_from(code.len()).ok()?, u8::try_from(number.len()).ok()?];
        let code = u16::try_from(value(code.as_bytes(), 4)?).ok()?;
        Some(Self { number: value(number.as_bytes(), 19)?, code, lengths })
    }
}

impl Known {
    fn of(person: &Person) -> Option<Self> {
        let phone = value(person.phone.as_bytes(), 19)?;
        let length = u8::try_from(person.phone.len()).ok()?;
        let country = match person.country {
            Some(code) => Some(u8::try_from(countries::place(code)?).ok()?),
            None => None,
        };
        Some(Self { phone, length, valid: person.valid, country })
    }

    fn person(self) -> Person {
        let phone = match self.length {
            0 => String::new(),
            length => format!("{:0width$}", self.phone, width = length.into()),
        };
        let country = self.country.and_then(|place| countries::at(place.into()));
        Person { phone, country, valid: self.valid }
    }
}

/// The value of at most so many digits.
fn value(digits: &[u8], most: usize) -> Option<u64> {
    let digit = |b: &u8| b.is_ascii_digit().then(|| u64::from(b - b'0'));
    (digits.len() <= most)
        .then(|| digits.iter().try_fold(0, |value, b| Some(value * 10 + digit(b)?)))
        .flatten()
}

/// The normal form of a full international number as a person types it; a [user id](is_user_id) as
/// it is.
///
/// ```
/// use wabalake_data::cells::phone::full_number;
/// assert_eq!(full_number("+57 300 555 0101").as_deref(), Some("573005550101"));
/// assert_eq!(full_number("CO.1349").as_deref(), Some("CO.1349"));
/// assert_eq!(full_number("5.73E+11"), None);
/// ```
pub fn full_number(text: &str) -> Option<String> {
    let digits = digits(text)?;
    Some(normalise("", &digits).into_phone())
}

/// The dialling code of a country, if it has one of its own or shares one.
///
/// ```
/// use wabalake_data::cells::phone::dialling_code;
/// assert_eq!(dialling_code("CO").as_deref(), Some("57"));
/// assert_eq!(dialling_code("CA").as_deref(), Some("1"));
/// assert_eq!(dialling_code("AQ"), None);
/// ```
pub fn dialling_code(country: &str) -> Option<String> {
    let mut regions = PHONE_NUMBER_UTIL.get_supported_regions();
    let region = regions.find(|region| alpha_2(*region) == Some(country))?;
    Some(PHONE_NUMBER_UTIL.get_country_code_for_region(region)?.to_string())
}

/// Whether a number in its normal form may be a phone by its country's numbering plan: the country's
/// code is known, and as many digits follow as its numbers have. In North America neither area nor
/// exchange begins with 0 or 1.
///
/// ```
/// use wabalake_data::cells::phone::is_possible;
/// assert!(is_possible("573005550101") && is_possible("12125550101"));
/// assert!(!is_possible("57") && !is_possible("5712") && !is_possible("10125550101"));
/// ```
pub fn is_possible(user_phone: &str) -> bool {
    let Some(number) = parse(user_phone) else { return false };
    let national = number.get_national_significant_number();
    let begins_well = |at: usize| national.as_bytes().get(at).is_some_and(|digit| *digit > b'1');
    let by_plan = number.country_code != 1 || (begins_well(0) && begins_well(3));
    let by_length = matches!(number.is_possible_with_reason(), Ok(NumberLengthType::IsPossible));
    by_plan && by_length && format!("{}{national}", number.country_code) == user_phone
}

/// How one number is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spellings {
    /// With the country's code: the normal form, then what the rules of the field turn into it.
    pub full: Vec<String>,
    /// The same without the country's code, where the number is valid.
    pub national: Vec<String>,
}

/// The digits by which exports and people write a number that is in its normal form. A
/// [user id](is_user_id) is written in one way.
///
/// ```
/// use wabalake_data::cells::phone::spellings;
/// let mexican = spellings("529991234567");
/// assert_eq!(mexican.full, ["529991234567", "5219991234567"]);
/// assert_eq!(mexican.national, ["9991234567", "19991234567"]);
/// assert_eq!(spellings("573005550101").national, ["3005550101"]);
/// assert!(spellings("5712").national.is_empty());
/// ```
pub fn spellings(user_phone: &str) -> Spellings {
    let mut spellings = Spellings { full: vec![user_phone.to_owned()], national: Vec::new() };
    let Some(number) = parse(user_phone).filter(PhoneNumber::is_valid) else { return spellings };
    let (code, national) = (number.country_code, number.get_national_significant_number());
    if let Some(rules) = renumbered::of_code(code) {
        for other in (rules.otherwise)(&national) {
            let full = format!("{code}{other}");
            if normalise("", &full).phone == user_phone {
                spellings.full.push(full);
                spellings.national.push(other);
            }
        }
    }
    spellings.national.insert(0, national);
    spellings
}

/// The other forms that a `user_phone` in its normal form had by older rules.
pub fn earlier_forms(user_phone: &str) -> Vec<String> {
    match renumbered::of_number(user_phone) {
        Some(_) => spellings(user_phone).full.split_off(1),
        None => Vec::new(),
    }
}

/// Whether a `user_phone` that was made by older rules is certainly what today's make of it: said
/// without a look at a numbering plan.
pub fn is_as_read_today(user_phone: &str) -> bool {
    if !user_phone.bytes().all(|b| b.is_ascii_digit()) {
        return is_user_id(user_phone);
    }
    match renumbered::of_number(user_phone) {
        Some((rules, national)) => (rules.as_stored)(national).is_empty(),
        None => true,
    }
}

/// Whose a `user_phone` is that was made by older rules; none where today's say the same, or where it
/// tells nothing.
///
/// ```
/// use wabalake_data::cells::phone::read_anew;
/// assert_eq!(read_anew("541123456789").unwrap().phone(), "5491123456789");
/// assert_eq!(read_anew("5491123456789"), None);
/// ```
pub fn read_anew(user_phone: &str) -> Option<Person> {
    if is_as_read_today(user_phone) {
        return None;
    }
    let person = normalise("", &digits(user_phone)?);
    (person.phone != user_phone).then_some(person)
}

fn normalise(code: &str, number: &str) -> Person {
    if let Some(person) = Person::of_user_id(number) {
        return person;
    }
    let is_code = code.bytes().all(|b| b.is_ascii_digit());
    let code = if is_code { code.trim_start_matches('0') } else { "" };
    let joined = format!("{code}{number}");
    let candidates = [Some(joined.as_str()), number.starts_with(code).then_some(number)];
    let valid = candidates.into_iter().flatten().filter(|_| !number.is_empty()).find_map(valid);
    if let Some((phone, region)) = valid {
        return person(&phone, region, true);
    }
    let region = dialling_region(code).or_else(|| {
        let number = parse(&joined)?;
        PHONE_NUMBER_UTIL.get_region_for_country_code(number.country_code)
    });
    // Of a number that is not valid either way, the longer reading would hold the code twice.
    let twice = !code.is_empty() && number.starts_with(code) && number.len() > 10;
    person(if twice { number } else { &joined }, region.and_then(alpha_2), false)
}

fn person(phone: &str, country: Option<&'static str>, valid: bool) -> Person {
    Person { phone: phone.to_owned(), country, valid }
}

/// A full number after the rules of the field, and its country, if that makes it valid.
fn valid(full: &str) -> Option<(String, Option<&'static str>)> {
    let parsed = parse(full)?;
    let number = as_stored(&parsed).or_else(|| parsed.is_valid().then_some(parsed))?;
    let national = number.get_national_significant_number();
    let country = number.get_region_code().and_then(alpha_2);
    Some((format!("{}{national}", number.country_code), country))
}

/// What libphonenumber does not do: a number of a renumbered country as it is now, if it is valid so.
fn as_stored(number: &PhoneNumber) -> Option<PhoneNumber> {
    let rules = renumbered::of_code(number.country_code)?;
    let numbers = (rules.as_stored)(&number.get_national_significant_number());
    let full = numbers.iter().map(|national| format!("{}{national}", rules.code));
    full.filter_map(|full| parse(&full)).find(PhoneNumber::is_valid)
}

fn parse(full: &str) -> Option<PhoneNumber> {
    PHONE_NUMBER_UTIL.parse(format!("+{full}"), None).ok()
}

fn dialling_region(code: &str) -> Option<Region> {
    PHONE_NUMBER_UTIL.get_region_for_country_code(code.parse().ok()?)
}

/// A region's code; what is no country (`001`, satellites) has none.
fn alpha_2(region: Region) -> Option<&'static str> {
    countries::code(region.as_region_str().as_str())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn person_of(code: &str, number: &str) -> (String, Option<&'static str>, bool) {
        let code = (!code.is_empty()).then_some(code);
        let person = Phones::default().person(code, Some(number)).unwrap();
        (person.phone().to_owned(), person.country, person.valid)
    }

    #[test]
    fn people() {
        let cases = [
            ("57", "3005550101", "573005550101", Some("CO"), true),
            ("52", "19991234567", "529991234567", Some("MX"), true),
            ("52", "9991234567", "529991234567", Some("MX"), true),
            ("", "5219991234567", "529991234567", Some("MX"), true),
            ("55", "1181234567", "5511981234567", Some("BR"), true),
            ("55", "11981234567", "5511981234567", Some("BR"), true),
            ("55", "5511981234567", "5511981234567", Some("BR"), true),
            ("55", "551181234567", "5511981234567", Some("BR"), true),
            // Area code 55 of Brazil is not the country code.
            ("55", "55981234567", "5555981234567", Some("BR"), true),
            ("1", "2025550123", "12025550123", Some("US"), true),
            ("1", "4165550123", "14165550123", Some("CA"), true),
            ("", "12025550123", "12025550123", Some("US"), true),
            ("1", "12025550123", "12025550123", Some("US"), true),
            ("57", "12", "5712", Some("CO"), false),
            ("", "57300555", "57300555", Some("CO"), false),
            ("999", "12345", "99912345", None, false),
            ("54", "91123456789", "5491123456789", Some("AR"), true),
            ("54", "1123456789", "5491123456789", Some("AR"), true),
            ("54", "01123456789", "5491123456789", Some("AR"), true),
            ("54", "111523456789", "5491123456789", Some("AR"), true),
            ("54", "0111523456789", "5491123456789", Some("AR"), true),
            ("", "549111523456789", "5491123456789", Some("AR"), true),
            ("54", "3514123456", "5493514123456", Some("AR"), true),
            ("", "54351154123456", "5493514123456", Some("AR"), true),
            // No mobile number: it is free to call.
            ("54", "8001234567", "548001234567", Some("AR"), true),
            ("229", "97123456", "2290197123456", Some("BJ"), true),
            ("229", "0197123456", "2290197123456", Some("BJ"), true),
            ("", "22997123456", "2290197123456", Some("BJ"), true),
            ("57", "CO.1349aB", "CO.1349aB", Some("CO"), true),
            ("", "ZZ.ENT.1", "ZZ.ENT.1", None, true),
        ];
        for (code, number, phone, country, valid) in cases {
            let found = person_of(code, number);
            assert_eq!(found, (phone.to_owned(), country, valid), "{code} {number}");
        }
    }

    #[test]
    fn possible_numbers() {
        for phone in ["529991234567", "5511981234567", "5491123456789", "85291234567", "3531234567"]
        {
            assert!(is_possible(phone), "{phone}");
        }
        for phone in
            ["", "5", "1", "52", "1212555010", "121255501011", "12120550101", "99912345678"]
        {
            assert!(!is_possible(phone), "{phone}");
        }
    }

    #[test]
    fn cells() {
        let kept = [
            ("573005550101", "573005550101"),
            (" +57 (300) 555-0101 ", "573005550101"),
            ("573005550101.0", "573005550101"),
            ("573005550101.00", "573005550101"),
            ("573005550101,0", "573005550101"),
            ("573005550101.000000", "573005550101"),
            ("57.300.555.0000", "573005550000"),
            ("+57 300 555.0000", "573005550000"),
            ("'573005550101", "573005550101"),
            ("=\"573005550101\"", "573005550101"),
            ("'=\"+57 300 5550101.0\"", "573005550101"),
            ("WhatsApp:+573005550101", "573005550101"),
            ("tel:+57-300-555-0101", "573005550101"),
            ("573005550101@s.whatsapp.net", "573005550101"),
            ("573005550101:12@s.whatsapp.net", "573005550101"),
            ("whatsapp:573005550101.0@c.us", "573005550101"),
            ("\u{202a}+57 300 555\u{2011}0101\u{202c}", "573005550101"),
            ("\u{200e}573005550101", "573005550101"),
            ("\u{2068}573005550101\u{2069}", "573005550101"),
            ("57300\u{200b}5550101", "573005550101"),
            ("\u{feff}573005550101\0", "573005550101"),
            ("57/300/5550101", "573005550101"),
            ("＋５７３００５５５０１０１", "573005550101"),
            ("٥٧٣٠٠٥٥٥٠١٠١", "573005550101"),
            ("Ana 573005550101", "573005550101"),
            ("CO.1349", "CO.1349"),
            ("'CO.1349\u{200e}", "CO.1349"),
            ("whatsapp:MX.ENT.ab12CD", "MX.ENT.ab12CD"),
        ];
        for (cell, digits) in kept {
            assert_eq!(read(cell).unwrap().as_deref(), Some(digits), "{cell}");
        }
        let nothing =
            ["", " ", "-", "null", "\\N", "'", "'-", "=\"\"", "=\"NULL\"", "tel:", "+", "()"];
        let no_number =
            ["9135@lid", "9135:1@LID ", "9135@hosted.lid", "@maria88", "status@broadcast", "phone"];
        for cell in nothing.into_iter().chain(no_number) {
            assert_eq!(read(cell), Ok(None), "{cell}");
        }
        let lost = [
            "5.73E+11",
            "5,73E+11",
            "5.73e+11",
            "5.73006E11",
            "573.00556E09",
            "6E+11",
            "=\"5.73E+11\"",
            "'5.73E+11",
            "+5.73E+11",
            "5.73E+11@c.us",
            "\u{202a}5.73E+11",
            "５.７３E+11",
        ];
        for cell in lost {
            assert_eq!(read(cell), Err(LostDigits), "{cell}");
        }
        for (cell, number) in [
            ("+57 300", "+57300"),
            ("57 300", "57300"),
            ("\u{202a}(+57) 300", "+57300"),
            ("300+57", "30057"),
            ("whatsapp:+57300", "+57300"),
            ("CO.1349", "CO.1349"),
        ] {
            assert_eq!(read_with_plus(cell).unwrap().as_deref(), Some(number), "{cell}");
        }
    }

    #[test]
    fn numbers_of_a_country_of_ones_own() {
        let at_home = |country: &str, number: &str| {
            let phones = Phones::at_home(dialling_code(country).as_deref());
            let person = phones.full_or_national(number).unwrap();
            (person.phone().to_owned(), person.valid)
        };
        for (country, number, phone, valid) in [
            ("US", "4155551212", "14155551212", true),
            // What says that it is a full one is.
            ("US", "+41555551212", "41555551212", true),
            ("US", "0041555551212", "41555551212", true),
            ("US", "14155551212", "14155551212", true),
            ("US", "573005550101", "573005550101", true),
            ("CO", "3005550101", "573005550101", true),
            ("CO", "573005550101", "573005550101", true),
            ("CO", "4155551212", "4155551212", false),
            ("CO", "12", "12", false),
            ("CO", "CO.1349", "CO.1349", true),
            ("AR", "1123456789", "5491123456789", true),
            ("AR", "011 15 2345 6789".replace(' ', "").as_str(), "5491123456789", true),
            ("BJ", "97123456", "2290197123456", true),
            ("GB", "02079460018", "442079460018", true),
        ] {
            assert_eq!(at_home(country, number), (phone.to_owned(), valid), "{country} {number}");
        }
        let anywhere = Phones::default().full_or_national("4155551212").unwrap();
        assert_eq!((anywhere.phone(), anywhere.country), ("4155551212", Some("CH")));
    }

    #[test]
    fn what_older_rules_made_is_read_anew() {
        for (before, now) in [
            ("541123456789", Some("5491123456789")),
            ("22997123456", Some("2290197123456")),
            ("\u{202a}573005550101", Some("573005550101")),
            ("573005550101@c.us", Some("573005550101")),
            ("5491123456789", None),
            ("2290197123456", None),
            ("573005550101", None),
            ("529991234567", None),
            ("548001234567", None),
            ("5.73006E11", None),
            ("CO.1349", None),
            ("1349@lid", None),
            ("54", None),
            ("", None),
        ] {
            let person = read_anew(before);
            assert_eq!(person.as_ref().map(Person::phone), now, "{before}");
            assert!(person.is_none_or(|person| person.valid), "{before}");
        }
    }

    /// National numbers of countries that were renumbered, as they may be written.
    fn renumbered_number() -> impl Strategy<Value = (&'static str, String)> {
        prop_oneof![
            ("(11|351|2901|341)", "[2-6][0-9]{7}").prop_map(|(area, rest)| {
                ("54", format!("9{area}{}", &rest[..10 - area.len()]))
            }),
            "(9[5-7]|6[1-9])[0-9]{6}".prop_map(|number| ("229", format!("01{number}"))),
            "(11|21|85)9[6-9][0-9]{7}".prop_map(|number| ("55", number)),
            "(55|33|81|999)[1-9][0-9]{7}".prop_map(|number| ("52", number[..10].to_owned())),
        ]
    }

    proptest! {
        /// Each way to write a number is one person, and is known as a way to write it.
        #[test]
        fn spellings_of_a_number_are_one_person((code, national) in renumbered_number()) {
            let person = normalise(code, &national);
            prop_assume!(person.valid);
            let rules = renumbered::of_code(code.parse().unwrap()).unwrap();
            let listed = spellings(&person.phone);
            prop_assert_eq!(listed.full.first(), Some(&person.phone));
            prop_assert!(listed.full.len() > 1, "{:?}", listed);
            prop_assert_eq!(listed.full.len(), listed.national.len());
            for (full, national) in listed.full.iter().zip(&listed.national) {
                let joined = format!("{code}{national}");
                prop_assert_eq!(full, &joined);
                prop_assert_eq!(&normalise("", full), &person, "{}", full);
                prop_assert_eq!(&normalise(code, national), &person, "{}", national);
                prop_assert_eq!(&normalise(code, full), &person, "{}", full);
                let written = format!("+{code} {national}.0");
                prop_assert_eq!(full_number(&written).unwrap(), person.phone.clone());
            }
            prop_assert_eq!(earlier_forms(&person.phone), &listed.full[1..]);
            for other in (rules.otherwise)(&person.phone[code.len()..]) {
                let full = format!("{code}{other}");
                let found = normalise("", &full).phone;
                prop_assert_eq!(listed.full.contains(&full), found == person.phone, "{}", full);
            }
        }

        /// What is dropped around and between the digits of a number changes nothing.
        #[test]
        fn signs_are_no_digits(
            digits in "[1-9][0-9]{5,14}",
            gaps in prop::collection::vec(
                (any::<prop::sample::Index>(), "[^0-9A-Za-z@.,:=\"'+\\p{N}]{1,3}"), 0..5,
            ),
            (before, after) in prop::sample::select(vec![
                ("", ""), ("'", ""), ("=\"", "\""), ("tel:", ""), ("whatsapp:+", ""), ("+", ".0"),
                ("", "@c.us"), ("", "@s.whatsapp.net"), ("\u{2068}", "\u{2069}"), (" ", ".0 "),
            ]),
        ) {
            let mut cell = digits.clone();
            for (at, sign) in &gaps {
                let places: Vec<usize> = cell.char_indices().map(|(at, _)| at).skip(1).collect();
                cell.insert_str(*at.get(&places), sign);
            }
            let cell = format!("{before}{cell}{after}");
            let found = read(&cell).unwrap().map(String::from);
            prop_assert_eq!(found.as_ref(), Some(&digits), "{}", cell);
        }

        /// A number with an exponent is nobody, however it is put.
        #[test]
        fn a_number_with_an_exponent_is_nobody(
            (whole, tail, exponent) in ("[1-9][0-9]{0,4}", "[.,][0-9]{0,9}", "[0-9]{1,3}"),
            e in "[eE]\\+?",
            (before, after) in prop::sample::select(vec![
                ("", ""), ("'", ""), ("=\"", "\""), ("whatsapp:", "@c.us"), ("\u{200e}", ""),
            ]),
        ) {
            let cell = format!("{before}{whole}{tail}{e}{exponent}{after}");
            prop_assert_eq!(read(&cell), Err(LostDigits), "{}", cell);
            prop_assert_eq!(full_number(&cell), None);
        }

        /// A user id stays whole, and is told from every other.
        #[test]
        fn a_user_id_is_a_person_of_its_own(
            id in "[A-Z]{2}\\.(ENT\\.)?[A-Za-z0-9]{1,128}",
            code in "(|57|1)",
        ) {
            let phones = Phones::default();
            let found = read(&id).unwrap().map(String::from);
            prop_assert_eq!(found.as_ref(), Some(&id));
            let person = phones.person(Some(&code), Some(&id)).unwrap();
            prop_assert_eq!(person.phone(), &id);
            prop_assert_eq!(person.country, countries::code(&id[..2]));
            prop_assert_eq!(full_number(&id), Some(id.clone()));
            prop_assert_eq!(spellings(&id).full, [id.clone()]);
            let longer = format!("{id}!");
            prop_assert!(!is_user_id(&longer) && !is_user_id(&id[1..]));
        }

        /// A normal form is its own normal form, so what is read anew is read so once.
        #[test]
        fn a_normal_form_stays(
            code in prop::sample::select(vec!["", "1", "52", "54", "55", "57", "229", "34"]),
            number in "[0-9]{4,13}",
        ) {
            let person = normalise(code, &number);
            if person.valid {
                prop_assert_eq!(&normalise("", &person.phone), &person);
            }
            if let Some(anew) = read_anew(&person.phone) {
                prop_assert_eq!(read_anew(&anew.phone), None);
            }
        }

        /// Whoever's valid number it is, it is a possible one.
        #[test]
        fn a_valid_number_is_possible(
            code in prop::sample::select(vec!["1", "52", "54", "55", "57", "34", "44", "91"]),
            number in "[0-9]{4,12}",
        ) {
            let person = normalise(code, &number);
            prop_assert!(!person.valid || is_possible(person.phone()), "{code} {number}");
        }

        /// Whatever the cells hold, what is remembered is what was worked out.
        #[test]
        fn a_person_seen_before_is_as_at_first_sight(
            code in "(|0?[1-9][0-9]{0,4}|x)",
            number in "(0{0,3}[0-9]{0,21}|[0-9a]{1,4})",
        ) {
            let phones = Phones::default();
            let first = normalise(&code, &number);
            for _ in 0..2 {
                prop_assert_eq!(phones.person(Some(&code), Some(&number)), Some(first.clone()));
            }
        }
    }

    #[test]
    fn a_person_seen_before_is_the_same_person() {
        let phones = Phones::default();
        let first = phones.person(Some("57"), Some("3005550101"));
        assert_eq!(first, phones.person(Some("57"), Some("3005550101")));
        assert_ne!(first, phones.person(None, Some("3005550101")));
        assert_eq!(phones.person(Some("57"), None), None);
    }
}
