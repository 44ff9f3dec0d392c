//! A cache of normalised phone numbers.

use std::sync::{Mutex, PoisonError};

use polars::prelude::PlHashMap;

use crate::reference::countries;

use super::plan::{Person, normalise};

/// Normalises phone numbers with a cache, shared by threads. Most people occur in many rows, and
/// normalising a number takes some microseconds.
#[derive(Debug)]
pub struct Phones {
    /// The shards of the cache, selected by the number's value.
    shards: [Mutex<PlHashMap<PhoneKey, CachedPerson>>; Phones::SHARDS],
    /// The dialling code of national numbers.
    default_code: Option<String>,
}

/// The key of the cache: a dialling code of up to 4 digits and a number of up to 19. The lengths
/// distinguish leading zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct PhoneKey {
    number: u64,
    code: u16,
    lengths: [u8; 2],
}

/// A [`Person`] packed into 16 bytes.
#[derive(Clone, Copy, Debug)]
struct CachedPerson {
    phone: u64,
    length: u8,
    valid: bool,
    country: Option<u8>,
}

impl Default for Phones {
    fn default() -> Self {
        Self { shards: std::array::from_fn(|_| Mutex::default()), default_code: None }
    }
}

impl Phones {
    /// Enough that threads rarely wait for one another.
    const SHARDS: usize = 64;

    /// The capacity of a shard, which is cleared when full: the load limit of a hash table with 32 Ki
    /// buckets. All shards together hold 1.8 million numbers in 70 MB.
    const CAPACITY: usize = 28 << 10;

    /// An empty cache; national numbers have that dialling code.
    #[must_use]
    pub fn with_default_code(code: Option<&str>) -> Self {
        Self { default_code: code.map(str::to_owned), ..Self::default() }
    }

    /// Normalises a number without a dialling code. With a leading `+` or `00` it is international;
    /// otherwise it is national if that makes it valid, else international.
    pub fn full_or_national(&self, number: &str) -> Option<Person> {
        if let Some(full) = number.strip_prefix('+') {
            return self.person(None, Some(full));
        }
        let Some(code) = &self.default_code else { return self.person(None, Some(number)) };
        let after_zeros = number.strip_prefix("00").and_then(|full| self.person(None, Some(full)));
        let valid = |person: &Person| person.valid;
        after_zeros
            .filter(valid)
            .or_else(|| self.person(Some(code), Some(number)).filter(valid))
            .or_else(|| self.person(None, Some(number)))
    }

    /// Normalises a number and its dialling code, both digits; without a code, an international
    /// number. `None` without a number.
    pub fn person(&self, code: Option<&str>, number: Option<&str>) -> Option<Person> {
        let number = number?;
        let code = code.unwrap_or_default();
        let Some(key) = PhoneKey::of(code, number) else { return Some(normalise(code, number)) };
        let shard = usize::try_from(key.number % Self::SHARDS as u64).unwrap_or_default();
        // A panicked thread cannot leave a partial entry, so a poisoned lock is usable.
        let lock = || self.shards[shard].lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(cached) = lock().get(&key).copied() {
            return Some(cached.person());
        }
        let person = normalise(code, number);
        if let Some(cached) = CachedPerson::of(&person) {
            let mut shard = lock();
            if shard.len() >= Self::CAPACITY {
                shard.clear();
            }
            shard.insert(key, cached);
        }
        Some(person)
    }
}

impl PhoneKey {
    fn of(code: &str, number: &str) -> Option<Self> {
        let lengths = [u8::try_from(code.len()).ok()?, u8::try_from(number.len()).ok()?];
        let code = u16::try_from(value(code.as_bytes(), 4)?).ok()?;
        Some(Self { number: value(number.as_bytes(), 19)?, code, lengths })
    }
}

impl CachedPerson {
    fn of(person: &Person) -> Option<Self> {
        let phone = value(person.phone().as_bytes(), 19)?;
        let length = u8::try_from(person.phone().len()).ok()?;
        let country = match person.country {
            Some(code) => Some(u8::try_from(countries::index(code)?).ok()?),
            None => None,
        };
        Some(Self { phone, length, valid: person.valid, country })
    }

    fn person(self) -> Person {
        let mut digits = vec![b'0'; self.length.into()];
        let mut rest = self.phone;
        for digit in digits.iter_mut().rev() {
            *digit += u8::try_from(rest % 10).unwrap_or_default();
            rest /= 10;
        }
        let phone = String::from_utf8(digits).unwrap_or_default();
        let country = self.country.and_then(|index| countries::at(index.into()));
        Person::new(phone, country, self.valid)
    }
}

/// Parses digits to their value; `None` if there are more than `longest`.
fn value(digits: &[u8], longest: usize) -> Option<u64> {
    let digit = |b: &u8| b.is_ascii_digit().then(|| u64::from(b - b'0'));
    (digits.len() <= longest)
        .then(|| digits.iter().try_fold(0, |value, b| Some(value * 10 + digit(b)?)))
        .flatten()
}
