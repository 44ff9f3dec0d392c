//! Normal forms of phone numbers by the numbering plans of countries.
//!
//! The numbering plans are libphonenumber's, through its Rust port `rlibphonenumber`. The rules that
//! it lacks are in [`renumbered`].

use rlibphonenumber::{NumberLengthType, PHONE_NUMBER_UTIL, PhoneNumber, Region};

use crate::reference::{countries, renumbered};

use super::parse::{digits, is_user_id};

/// The person that a number identifies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    phone: String,
    /// The country of the number, else of its dialling code: ISO 3166-1 alpha-2.
    pub country: Option<&'static str>,
    /// `true` if the number is valid by its country's numbering plan, and for a user id.
    pub valid: bool,
}

impl Person {
    pub(super) fn new(phone: String, country: Option<&'static str>, valid: bool) -> Self {
        Self { phone, country, valid }
    }

    /// The person with a [user id](is_user_id), which contains the country.
    pub fn of_user_id(text: &str) -> Option<Self> {
        is_user_id(text).then(|| Self::new(text.to_owned(), countries::code(&text[..2]), true))
    }

    /// The E.164 digits without `+`, or the [user id](is_user_id). For an invalid number, the digits
    /// of code and number.
    pub fn phone(&self) -> &str {
        &self.phone
    }

    /// [`Person::phone`], owned.
    pub fn into_phone(self) -> String {
        self.phone
    }
}

/// Normalises an international number that a person typed. A [user id](is_user_id) is returned
/// unchanged.
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

/// The dialling code of a country, which may share it with others.
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

/// Returns `true` if a normalised number is possible by its country's numbering plan: the dialling
/// code exists, and the number has a valid length. In North America neither the area code nor the
/// exchange starts with 0 or 1.
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

/// The spellings of one number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spellings {
    /// With the dialling code: the normal form, then the older forms that normalise to it.
    pub full: Vec<String>,
    /// Without the dialling code, in the same order; empty if the number is not valid.
    pub national: Vec<String>,
}

/// The spellings, in digits, that exports and people use for a normalised number. A
/// [user id](is_user_id) has just one.
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
        for other in (rules.older_forms)(&national) {
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

/// The forms that a normalised `user_phone` had under older rules.
pub fn earlier_forms(user_phone: &str) -> Vec<String> {
    match renumbered::of_number(user_phone) {
        Some(_) => spellings(user_phone).full.split_off(1),
        None => Vec::new(),
    }
}

/// Returns `true` if a stored `user_phone` is certainly normal by the current rules. It is a cheap
/// test, without the numbering plans.
pub fn is_current(user_phone: &str) -> bool {
    if !user_phone.bytes().all(|b| b.is_ascii_digit()) {
        return is_user_id(user_phone);
    }
    match renumbered::of_number(user_phone) {
        Some((rules, national)) => (rules.current_forms)(national).is_empty(),
        None => true,
    }
}

/// Normalises a stored `user_phone` by the current rules. `None` if it does not change, or is not a
/// number.
///
/// ```
/// use wabalake_data::cells::phone::renormalise;
/// assert_eq!(renormalise("541123456789").unwrap().phone(), "5491123456789");
/// assert_eq!(renormalise("5491123456789"), None);
/// ```
pub fn renormalise(user_phone: &str) -> Option<Person> {
    if is_current(user_phone) {
        return None;
    }
    let person = normalise("", &digits(user_phone)?);
    (person.phone != user_phone).then_some(person)
}

/// Normalises a number and its dialling code; without a code, an international number.
pub(super) fn normalise(code: &str, number: &str) -> Person {
    if let Some(person) = Person::of_user_id(number) {
        return person;
    }
    let is_code = code.bytes().all(|b| b.is_ascii_digit());
    let code = if is_code { code.trim_start_matches('0') } else { "" };
    let joined = format!("{code}{number}");
    let candidates = [Some(joined.as_str()), number.starts_with(code).then_some(number)];
    let valid = candidates.into_iter().flatten().filter(|_| !number.is_empty()).find_map(valid);
    if let Some((phone, region)) = valid {
        return Person::new(phone, region, true);
    }
    let region = dialling_region(code).or_else(|| {
        let number = parse(&joined)?;
        PHONE_NUMBER_UTIL.get_region_for_country_code(number.country_code)
    });
    // An invalid number that starts with the code and is long enough already contains it.
    let twice = !code.is_empty() && number.starts_with(code) && number.len() > 10;
    let phone = if twice { number.to_owned() } else { joined };
    Person::new(phone, region.and_then(alpha_2), false)
}

/// Normalises an international number; `None` if it is not valid. Returns its country too.
fn valid(full: &str) -> Option<(String, Option<&'static str>)> {
    let parsed = parse(full)?;
    let number = current_form(&parsed).or_else(|| parsed.is_valid().then_some(parsed))?;
    let national = number.get_national_significant_number();
    let country = number.get_region_code().and_then(alpha_2);
    Some((format!("{}{national}", number.country_code), country))
}

/// Applies the rules that libphonenumber lacks: the current form of a number of a renumbered
/// country, if it is valid.
fn current_form(number: &PhoneNumber) -> Option<PhoneNumber> {
    let rules = renumbered::of_code(number.country_code)?;
    let numbers = (rules.current_forms)(&number.get_national_significant_number());
    let full = numbers.iter().map(|national| format!("{}{national}", rules.code));
    full.filter_map(|full| parse(&full)).find(PhoneNumber::is_valid)
}

fn parse(full: &str) -> Option<PhoneNumber> {
    PHONE_NUMBER_UTIL.parse(format!("+{full}"), None).ok()
}

fn dialling_region(code: &str) -> Option<Region> {
    PHONE_NUMBER_UTIL.get_region_for_country_code(code.parse().ok()?)
}

/// The country code of a region; `None` for a region that is no country (`001`, satellites).
fn alpha_2(region: Region) -> Option<&'static str> {
    countries::code(region.as_region_str().as_str())
}
