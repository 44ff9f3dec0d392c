//! Countries: ISO 3166-1 alpha-2 codes and their names.
//!
//! `countries.tsv` has a line for each country: code, CLDR's English name, then further names that
//! exports may use (ISO's short and official names, common names).

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::cells::header::normalise_header;

static LINES: &str = include_str!("countries.tsv");

/// All countries in the order of the file: code and CLDR's English name.
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

/// [`all`], sorted by code.
static SORTED: LazyLock<Vec<(&'static str, &'static str)>> = LazyLock::new(|| {
    let mut sorted: Vec<_> = all().collect();
    sorted.sort_unstable();
    sorted
});

/// The index of a code, less than 256.
pub(crate) fn index(code: &str) -> Option<usize> {
    SORTED.binary_search_by(|(known, _)| (*known).cmp(code)).ok()
}

/// The code at an [`index`].
pub(crate) fn at(index: usize) -> Option<&'static str> {
    SORTED.get(index).map(|(code, _)| *code)
}

fn entry(code: &str) -> Option<(&'static str, &'static str)> {
    SORTED.get(index(code)?).copied()
}

/// CLDR's English name of a country, by its code.
pub fn name(code: &str) -> Option<&'static str> {
    entry(code).map(|(_, name)| name)
}

/// The code as a static string; matched without case.
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

/// The code of a country by one of its names or its code, compared by [`normalise_header`].
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
            line.split('\t').map(move |name| (normalise_header(name), code))
        });
        names.collect()
    });
    NAMES.get(&normalise_header(name)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_belongs_to_one_country() {
        let mut seen = HashMap::new();
        for line in LINES.lines() {
            let code = line.split('\t').next().unwrap();
            for name in line.split('\t') {
                let before = seen.insert(normalise_header(name), code);
                assert!(before.is_none_or(|before| before == code), "{name}: {before:?}, {code}");
            }
        }
        assert_eq!(all().count(), 250);
    }
}
