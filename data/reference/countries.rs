//! Countries: ISO 3166-1 alpha-2 codes and their names.
//!
//! `countries.tsv` has a line for each: code, CLDR's English name, then further names by which
//! exports may call it (ISO's short and official ones, common ones).

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::tables::fold_header;

static LINES: &str = include_str!("countries.tsv");

/// Codes and CLDR's English names, by code.
///
/// ```
/// use wabalake_data::reference::countries;
/// assert!(countries::all().any(|country| country == ("US", "United States")));
/// ```
pub fn all() -> impl Iterator<Item = (&'static str, &'static str)> {
    LINES.lines().filter_map(|line| {
        let mut fields = line.split('\t');
        Some((fields.next()?, fields.next()?))
    })
}

/// [`all`], looked up once: a load asks for each person's country.
static SORTED: LazyLock<Vec<(&'static str, &'static str)>> = LazyLock::new(|| {
    let mut sorted: Vec<_> = all().collect();
    sorted.sort_unstable();
    sorted
});

/// A code's place among all, which are fewer than 256.
pub(crate) fn place(code: &str) -> Option<usize> {
    SORTED.binary_search_by(|(known, _)| (*known).cmp(code)).ok()
}

/// The code in a place.
pub(crate) fn at(place: usize) -> Option<&'static str> {
    SORTED.get(place).map(|(code, _)| *code)
}

fn entry(code: &str) -> Option<(&'static str, &'static str)> {
    SORTED.get(place(code)?).copied()
}

/// CLDR's English name of a country.
pub fn name(code: &str) -> Option<&'static str> {
    entry(code).map(|(_, name)| name)
}

/// The code as a static text, matched without case.
///
/// ```
/// use wabalake_data::reference::countries::code;
/// assert_eq!(code("co"), Some("CO"));
/// assert_eq!(code("ZZ"), None);
/// ```
pub fn code(code: &str) -> Option<&'static str> {
    let found = entry(code).or_else(|| entry(&code.to_ascii_uppercase()));
    found.map(|(known, _)| known)
}

/// The code of a country by any of its names, or by the code itself; without case, accents on
/// their own, spaces and punctuation.
///
/// ```
/// use wabalake_data::reference::countries::by_name;
/// assert_eq!(by_name("United States of America"), Some("US"));
/// assert_eq!(by_name("Atlantis"), None);
/// ```
pub fn by_name(name: &str) -> Option<&'static str> {
    static NAMES: LazyLock<HashMap<String, &'static str>> = LazyLock::new(|| {
        let names = LINES.lines().flat_map(|line| {
            let code = line.split('\t').next().unwrap_or_default();
            line.split('\t').map(move |name| (fold_header(name), code))
        });
        names.collect()
    });
    NAMES.get(&fold_header(name)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_means_two_countries() {
        let mut seen = HashMap::new();
        for line in LINES.lines() {
            let code = line.split('\t').next().unwrap();
            for name in line.split('\t') {
                let before = seen.insert(fold_header(name), code);
                assert!(before.is_none_or(|before| before == code), "{name}: {before:?}, {code}");
            }
        }
        assert_eq!(all().count(), 250);
    }
}
