//! The made-up rate card: prices of conversations and messages.

use chrono::{Datelike, NaiveDate};

/// One price.
#[derive(Debug)]
pub(super) struct Rate {
    /// The year and month from whose first day it is effective.
    pub(super) from: [u32; 2],
    /// The alpha-2 code; empty for any country.
    pub(super) country: &'static str,
    pub(super) category: &'static str,
    pub(super) tier_from: i64,
    /// In millionths.
    pub(super) price: i64,
    pub(super) currency: &'static str,
}

const fn rate(
    from: [u32; 2],
    country: &'static str,
    category: &'static str,
    tier_from: i64,
    price: i64,
) -> Rate {
    let in_reais = matches!(country.as_bytes(), b"BR") && matches!(category.as_bytes(), [b'm', ..]);
    Rate {
        from,
        country,
        category,
        tier_from,
        price,
        currency: if in_reais { "BRL" } else { "USD" },
    }
}

const JANUARY: [u32; 2] = [2025, 1];
const JUNE: [u32; 2] = [2025, 6];

/// The rates. Utility and authentication have volume tiers; marketing rises in June.
pub(super) static RATES: [Rate; 21] = [
    rate(JANUARY, "", "business_initiated", 0, 40_000),
    rate(JANUARY, "", "user_initiated", 0, 15_000),
    rate(JANUARY, "", "marketing", 0, 60_400),
    rate(JANUARY, "", "utility", 0, 7_700),
    rate(JANUARY, "", "utility", 26, 7_300),
    rate(JANUARY, "", "authentication", 0, 30_400),
    rate(JANUARY, "", "authentication", 11, 28_900),
    rate(JANUARY, "", "service", 0, 0),
    rate(JANUARY, "CO", "business_initiated", 0, 20_000),
    rate(JANUARY, "CO", "user_initiated", 0, 6_000),
    rate(JANUARY, "CO", "marketing", 0, 12_500),
    rate(JANUARY, "MX", "marketing", 0, 43_600),
    rate(JANUARY, "MX", "utility", 0, 10_000),
    rate(JANUARY, "MX", "utility", 51, 9_500),
    rate(JANUARY, "MX", "utility", 101, 9_000),
    rate(JANUARY, "BR", "business_initiated", 0, 62_500),
    rate(JANUARY, "BR", "marketing", 0, 362_500),
    rate(JUNE, "", "marketing", 0, 63_000),
    rate(JUNE, "CO", "marketing", 0, 13_000),
    rate(JUNE, "MX", "marketing", 0, 45_250),
    rate(JUNE, "BR", "marketing", 0, 375_000),
];

impl Rate {
    pub(super) fn first_day(&self) -> NaiveDate {
        NaiveDate::default()
            .with_year(self.from[0].cast_signed())
            .and_then(|date| date.with_month(self.from[1]))
            .unwrap_or_default()
    }

    /// `LOWER:UPPER`, as Meta names a tier.
    pub(super) fn tier(&self) -> String {
        let same = |other: &&Rate| {
            (other.from, other.country, other.category) == (self.from, self.country, self.category)
        };
        let above = RATES.iter().filter(same).map(|other| other.tier_from);
        match above.filter(|from| *from > self.tier_from).min() {
            Some(next) => format!("{}:{}", self.tier_from, next - 1),
            None => format!("{}:MAX", self.tier_from),
        }
    }
}

/// The rate of the n-th unit of a month: a rate for its country before one for any country, then the
/// latest, then the highest tier.
pub(super) fn price(
    date: NaiveDate,
    country: &str,
    category: &str,
    n: i64,
) -> Option<&'static Rate> {
    let holds = |rate: &&Rate| {
        rate.first_day() <= date
            && rate.tier_from <= n
            && rate.category == category
            && (rate.country == country || rate.country.is_empty())
    };
    let rates = RATES.iter().filter(holds);
    rates.max_by_key(|rate| (!rate.country.is_empty(), rate.from, rate.tier_from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rate_is_the_countrys_then_the_latest_then_the_highest_tier() {
        let date = |month| NaiveDate::from_ymd_opt(2025, month, 1).unwrap();
        let price = |month, country, category, n| price(date(month), country, category, n);
        assert_eq!(price(5, "CO", "marketing", 1).map(|r| r.price), Some(12_500));
        assert_eq!(price(6, "CO", "marketing", 1).map(|r| r.price), Some(13_000));
        assert_eq!(price(6, "ES", "marketing", 1).map(|r| r.price), Some(63_000));
        assert_eq!(price(6, "MX", "utility", 50).map(Rate::tier).as_deref(), Some("0:50"));
        assert_eq!(price(6, "MX", "utility", 51).map(Rate::tier).as_deref(), Some("51:100"));
        assert_eq!(price(6, "MX", "utility", 900).map(Rate::tier).as_deref(), Some("101:MAX"));
        assert!(price(6, "MX", "referral", 1).is_none());
        let all: std::collections::BTreeSet<_> =
            RATES.iter().map(|r| (r.from, r.country, r.category, r.tier_from)).collect();
        assert_eq!(all.len(), RATES.len());
    }
}
