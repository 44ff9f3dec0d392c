//! Phone numbers: who the person is.
//!
//! ```text
//! code  number            user_phone      country   why
//! 57.0  300 555-0101.0    573005550101    CO        float text, separators
//! 52    19991234567       529991234567    MX        Mexico's mobile 1 is gone
//! 55    1181234567        5511981234567   BR        WhatsApp's ids leave the ninth digit out
//! 55    5511981234567     5511981234567   BR        the code was there already
//! null  12025550123       12025550123     US        a full number, as in messages
//! 57    12                5712            CO        not valid: code and digits, counted
//! ```
//!
//! Numbering plans are libphonenumber's, through its Rust port.

use std::sync::{Mutex, PoisonError};

use polars::prelude::PlHashMap;
use rlibphonenumber::{NumberLengthType, PHONE_NUMBER_UTIL, PhoneNumber, Region};

use super::number::without_float_tail;
use super::word;
use crate::reference::countries;

/// The digits of a phone or line cell: null words are nothing; a float's tail, spaces, `+`, `-`,
/// `(` and `)` are dropped. Anything else stays, for it is not ours to guess.
///
/// ```
/// use wabalake_data::cells::phone::digits;
/// assert_eq!(digits("+57 300 555-0101").as_deref(), Some("573005550101"));
/// assert_eq!(digits("57.0").as_deref(), Some("57"));
/// assert_eq!(digits("null"), None);
/// ```
pub fn digits(cell: &str) -> Option<std::borrow::Cow<'_, str>> {
    let word = word(cell)?;
    if word.bytes().all(|b| b.is_ascii_digit()) {
        return Some(word.into());
    }
    let word = without_float_tail(word);
    let dropped = |c: char| matches!(c, '+' | '-' | '(' | ')') || c.is_whitespace();
    if !word.contains(dropped) {
        return Some(word.into());
    }
    let digits: String = word.chars().filter(|c| !dropped(*c)).collect();
    (!digits.is_empty()).then(|| digits.into())
}

/// Who a number belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Person {
    digits: [u8; Person::LONGEST],
    length: u8,
    /// ISO 3166-1 alpha-2, of the number or else of its dialling code.
    pub country: Option<&'static str>,
    /// Whether the number is valid by its country's numbering plan.
    pub valid: bool,
}

impl Person {
    const LONGEST: usize = 30;

    /// E.164 digits without `+`; where the number is not valid, the digits of code and number.
    pub fn phone(&self) -> String {
        String::from_utf8_lossy(&self.digits[..self.length.into()]).into_owned()
    }
}

/// Normalises phone numbers and remembers those it has seen, since a person comes back often and
/// a number costs some microseconds. Threads share it.
#[derive(Debug)]
pub struct Phones {
    /// Each part holds numbers whose value ends in its place.
    seen: [Mutex<PlHashMap<Asked, Known>>; Phones::PARTS],
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
        Self { seen: std::array::from_fn(|_| Mutex::default()) }
    }
}

impl Phones {
    /// So many that threads seldom meet.
    const PARTS: usize = 64;

    /// How many numbers a part remembers before starting afresh: as many as fit into 32 Ki places
    /// of a hash table, 1.8 million numbers and 70 MB over all parts.
    const REMEMBERED: usize = 28 << 10;

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
        let phone = value(&person.digits[..person.length.into()], 19)?;
        let country = match person.country {
            Some(code) => Some(u8::try_from(countries::place(code)?).ok()?),
            None => None,
        };
        Some(Self { phone, length: person.length, valid: person.valid, country })
    }

    fn person(self) -> Person {
        let mut digits = [0; Person::LONGEST];
        let mut rest = self.phone;
        for digit in digits[..self.length.into()].iter_mut().rev() {
            *digit = b'0' + u8::try_from(rest % 10).unwrap_or_default();
            rest /= 10;
        }
        let country = self.country.and_then(|place| countries::at(place.into()));
        Person { digits, length: self.length, country, valid: self.valid }
    }
}

/// The value of at most so many digits.
fn value(digits: &[u8], most: usize) -> Option<u64> {
    let digit = |b: &u8| b.is_ascii_digit().then(|| u64::from(b - b'0'));
    (digits.len() <= most)
        .then(|| digits.iter().try_fold(0, |value, b| Some(value * 10 + digit(b)?)))
        .flatten()
}

/// The normal form of a full international number as a person types it.
///
/// ```
/// use wabalake_data::cells::phone::full_number;
/// assert_eq!(full_number("+57 300 555 0101").as_deref(), Some("573005550101"));
/// ```
pub fn full_number(text: &str) -> Option<String> {
    let digits = digits(text)?;
    Some(normalise("", &digits).phone())
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
    /// Without the country's code, where the number is valid.
    pub national: Option<String>,
}

/// The digits by which exports and people write a number that is in its normal form.
///
/// ```
/// use wabalake_data::cells::phone::spellings;
/// assert_eq!(spellings("529991234567").full, ["529991234567", "5219991234567"]);
/// assert_eq!(spellings("573005550101").national.as_deref(), Some("3005550101"));
/// assert_eq!(spellings("5712").national, None);
/// ```
pub fn spellings(user_phone: &str) -> Spellings {
    let mut full = vec![user_phone.to_owned()];
    let known = parse(user_phone).filter(PhoneNumber::is_valid);
    let national = known.map(|number| {
        let national = number.get_national_significant_number();
        let before = match (number.country_code, national.len()) {
            (52, 10) => Some(format!("521{national}")),
            (55, 11) if national.as_bytes()[2] == b'9' => {
                Some(format!("55{}{}", &national[..2], &national[3..]))
            }
            _ => None,
        };
        full.extend(before.filter(|before| normalise("", before).phone() == user_phone));
        national
    });
    Spellings { full, national }
}

fn normalise(code: &str, number: &str) -> Person {
    let code = code.trim_start_matches('0');
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
    let length = phone.len().min(Person::LONGEST);
    let mut digits = [0; Person::LONGEST];
    digits[..length].copy_from_slice(&phone.as_bytes()[..length]);
    Person { digits, length: u8::try_from(length).unwrap_or(0), country, valid }
}

/// A full number after the rules of the field, and its country, if that makes it valid.
fn valid(full: &str) -> Option<(String, Option<&'static str>)> {
    let parsed = parse(full)?;
    let mended = mend(&parsed);
    let number = mended.as_deref().map_or(Some(parsed), parse)?;
    number.is_valid().then(|| {
        let national = number.get_national_significant_number();
        let country = number.get_region_code().and_then(alpha_2);
        (format!("{}{national}", number.country_code), country)
    })
}

/// What libphonenumber no longer does: Mexico's 1 before a mobile number, and Brazil's ninth digit.
fn mend(number: &PhoneNumber) -> Option<String> {
    let national = number.get_national_significant_number();
    match (number.country_code, national.len()) {
        (52, 11) => national.strip_prefix('1').map(|rest| format!("52{rest}")),
        (55, 10) => {
            let (area, subscriber) = national.split_at(2);
            matches!(subscriber.as_bytes()[0], b'6'..=b'9')
                .then(|| format!("55{area}9{subscriber}"))
        }
        _ => None,
    }
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
        (person.phone(), person.country, person.valid)
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

    proptest! {
        /// Whoever's valid number it is, it is a possible one.
        #[test]
        fn a_valid_number_is_possible(
            code in prop::sample::select(vec!["1", "52", "54", "55", "57", "34", "44", "91"]),
            number in "[0-9]{4,12}",
        ) {
            let person = normalise(code, &number);
            prop_assert!(!person.valid || is_possible(&person.phone()), "{code} {number}");
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
                prop_assert_eq!(phones.person(Some(&code), Some(&number)), Some(first));
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
