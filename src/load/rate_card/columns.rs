//! The columns of a rate card, by its titles.

use std::iter;

use wabalake_data::cells::normalise_header;

/// The titles of categories, normalised, each with the category in the lake.
const CATEGORIES: [(&str, &str); 5] = [
    ("marketing", "marketing"),
    ("utility", "utility"),
    ("authentication", "authentication"),
    ("authenticationinternational", "authentication_international"),
    ("service", "service"),
];

/// The columns of a rate card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Columns {
    pub(super) market: usize,
    pub(super) currency: usize,
    pub(super) prices: Vec<PriceColumn>,
}

/// A column of prices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PriceColumn {
    pub(super) category: &'static str,
    pub(super) price: usize,
    /// The column with the first unit of the tier; `None` for a price of all units.
    pub(super) from: Option<usize>,
}

impl Columns {
    /// Reads a header, of which `above` is the record above; `None` if it is no header of a card.
    pub(super) fn of(cells: &[String], above: &[String]) -> Option<Self> {
        let titles: Vec<String> = cells.iter().map(|cell| normalise_header(cell)).collect();
        let place = |title: &str| titles.iter().position(|known| known == title);
        let (market, currency) = (place("market")?, place("currency")?);
        let of_all = CATEGORIES.into_iter().filter_map(|(title, category)| {
            Some(PriceColumn { category, price: place(title)?, from: None })
        });
        let mut prices: Vec<PriceColumn> = of_all.collect();
        if prices.is_empty() {
            prices = tiers(&titles, above)?;
        }
        Some(Self { market, currency, prices })
    }

    /// Returns `true` for a card of volume tiers.
    pub(super) fn has_tiers(&self) -> bool {
        self.prices.iter().any(|price| price.from.is_some())
    }
}

/// The blocks of tiers: each has a label above and begins with the title From.
fn tiers(titles: &[String], above: &[String]) -> Option<Vec<PriceColumn>> {
    let labels = above.iter().map(|cell| normalise_header(cell));
    let labels = labels.filter_map(|label| {
        let known = CATEGORIES.iter().find(|(title, _)| *title == label);
        known.map(|(_, category)| *category)
    });
    let labels: Vec<&str> = labels.collect();
    let starts = titles.iter().enumerate().filter(|(_, title)| *title == "from");
    let starts: Vec<usize> = starts.map(|(at, _)| at).collect();
    if starts.is_empty() || starts.len() != labels.len() {
        return None;
    }
    let ends = starts.iter().copied().skip(1).chain(iter::once(titles.len()));
    let blocks = labels.into_iter().zip(starts.iter().copied().zip(ends));
    blocks
        .map(|(category, (from, end))| {
            let rate = titles[from..end].iter().position(|title| title == "rate")?;
            Some(PriceColumn { category, price: from + rate, from: Some(from) })
        })
        .collect()
}

/// The first unit of a tier as the lake stores it: without thousands separators, and 0 for 1.
pub(super) fn tier_from(cell: &str) -> String {
    let digits: String =
        cell.chars().filter(|c| !matches!(c, ',' | '.' | '\'') && !c.is_whitespace()).collect();
    if digits == "1" { "0".to_owned() } else { digits }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(header: &str, above: &str) -> Option<Vec<(&'static str, usize, Option<usize>)>> {
        let cells = |line: &str| line.split(',').map(str::to_owned).collect::<Vec<_>>();
        let columns = Columns::of(&cells(header), &cells(above))?;
        Some(columns.prices.iter().map(|of| (of.category, of.price, of.from)).collect())
    }

    #[test]
    fn prices_are_found_by_title_or_by_block() {
        let rates = read("Market,Currency,Marketing,Authentication-\nInternational,Service", "");
        let expected = [
            ("marketing", 2, None),
            ("authentication_international", 3, None),
            ("service", 4, None),
        ];
        assert_eq!(rates, Some(expected.to_vec()));
        let blocks = "Market,Currency,From,To,Rate type,Rate,vs. List rate,From,To,Rate type,Rate";
        let tiers = read(blocks, ",,Utility,,,,,Authentication,,,");
        let expected = [("utility", 5, Some(2)), ("authentication", 10, Some(7))];
        assert_eq!(tiers, Some(expected.to_vec()));
        assert_eq!(read(blocks, ",,Utility"), None);
        assert_eq!(read("Market,Currency,Price", ""), None);
        assert_eq!(read("Market,Marketing", ""), None);
    }

    #[test]
    fn first_units_lose_their_separators() {
        let cases = [("1", "0"), ("25,001", "25001"), ("1 000 001", "1000001"), ("10", "10")];
        for (cell, tier) in cases {
            assert_eq!(tier_from(cell), tier);
        }
    }
}
