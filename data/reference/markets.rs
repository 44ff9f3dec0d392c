//! The markets by which Meta sets prices, and the countries that belong to each.
//!
//! `markets.tsv` has a line for each market and the date from which it has some countries. A later line
//! for a country replaces an earlier one; a country without a line belongs to [`OTHER`].

use std::collections::HashMap;
use std::sync::LazyLock;

use chrono::NaiveDate;

static LINES: &str = include_str!("markets.tsv");

/// The market of countries without a line.
pub const OTHER: &str = "Other";

/// A market and the countries that belong to it from a date on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Market {
    /// The name, as Meta spells it.
    pub name: &'static str,
    /// The first day.
    pub valid_from: NaiveDate,
    /// The countries, ISO 3166-1 alpha-2, separated by spaces.
    pub countries: &'static str,
}

/// The lines of the file.
pub fn all() -> impl Iterator<Item = Market> {
    LINES.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
        let mut fields = line.split('\t');
        let valid_from = fields.next()?.parse().ok()?;
        Some(Market { valid_from, name: fields.next()?, countries: fields.next()? })
    })
}

/// The spelling of a market's name in the lake: the built-in one, or the [normalised](normalise) name of
/// an unknown market.
///
/// ```
/// use wabalake_data::reference::markets::canonical;
/// assert_eq!(canonical("rest_of latin-america"), "Rest of Latin America");
/// assert_eq!(
///     canonical("Rest of Central and Eastern Europe"),
///     "Rest of Central & Eastern Europe",
/// );
/// assert_eq!(canonical("Rest of the Moon"), "restofthemoon");
/// ```
pub fn canonical(name: &str) -> String {
    static NAMES: LazyLock<HashMap<String, &'static str>> = LazyLock::new(|| {
        let names = all().map(|market| market.name).chain([OTHER]);
        names.map(|name| (normalise(name), name)).collect()
    });
    let normal = normalise(name);
    NAMES.get(&normal).map_or(normal, |name| (*name).to_owned())
}

/// Normalises a name: without case, spaces, `_`, `-` and `.`, and with `and` for `&`.
fn normalise(name: &str) -> String {
    let kept = name.chars().filter(|c| !matches!(c, '_' | '-' | '.') && !c.is_whitespace());
    kept.flat_map(char::to_lowercase).collect::<String>().replace('&', "and")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::reference::countries;

    #[test]
    fn a_country_has_one_market_on_a_date() {
        let mut markets = BTreeMap::new();
        for market in all() {
            for country in market.countries.split(' ') {
                assert!(countries::name(country).is_some(), "{country}");
                let before = markets.insert((country, market.valid_from), market.name);
                assert_eq!(before, None, "{country}");
            }
        }
        let lines = LINES.lines().filter(|line| !line.starts_with('#')).count();
        assert_eq!(all().count(), lines);
        let of = |country, date: &str| {
            let until = (country, date.parse().unwrap());
            markets.range((country, NaiveDate::MIN)..=until).next_back().map(|(_, name)| *name)
        };
        assert_eq!(of("BD", "2026-09-30"), Some("Rest of Asia Pacific"));
        assert_eq!(of("BD", "2026-10-01"), Some("Bangladesh"));
        assert_eq!(of("KZ", "2026-09-30"), None);
        assert_eq!(of("CZ", "2026-10-01"), Some("Rest of Central & Eastern Europe"));
        assert_eq!(of("CU", "2026-10-01"), None);
    }

    /// A market of one country has its name, except where Meta writes another.
    #[test]
    fn markets_of_one_country_are_named_after_it() {
        for Market { name, countries, .. } in all().filter(|market| market.countries.len() == 2) {
            let is_region = name.starts_with("Rest of");
            assert!(is_region || countries::by_name(name) == Some(countries), "{name}");
        }
    }
}
