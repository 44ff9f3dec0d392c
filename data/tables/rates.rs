//! What messages and conversations cost: one row for each day on which a price begins to hold,
//! country, category and tier.
//!
//! From a rate card of the business's own. A later revision of a price wins.

use polars::prelude::*;

use super::{BLANK, CURRENCY, Cell, Column, Kind, Row, Table};
use crate::cells::Enumeration;

/// Its name in the catalog.
pub const NAME: &str = "rates";

columns! {
    /// The first day on which it holds.
    EFFECTIVE_FROM = "effective_from",
    /// The person's country, ISO 3166-1 alpha-2; null for any.
    COUNTRY = "country",
    /// A session type or one of Meta's categories, in lower case.
    CATEGORY = "category",
    /// How many of a month come before the first that it is for, and that one.
    TIER_FROM = "tier_from",
    /// What one costs.
    PRICE = "price",
    /// Which version of this price it is.
    REVISION = "revision",
}

/// What is priced: session types, then Meta's categories.
pub static CATEGORIES: Enumeration = Enumeration::new(&[
    ("business_initiated", &[]),
    ("user_initiated", &[]),
    ("referral", &[]),
    ("marketing", &[]),
    ("utility", &[]),
    ("authentication", &[]),
    ("authentication_international", &[]),
    ("service", &[]),
    ("marketing_lite", &[]),
]);

/// The table.
pub static TABLE: Table = Table {
    name: NAME,
    source: "a rate card",
    columns: &[
        Column::new(EFFECTIVE_FROM, Kind::Date).required(),
        Column::new(COUNTRY, Kind::Country),
        Column::new(CATEGORY, Kind::Enumeration(&CATEGORIES)).required(),
        Column::new(TIER_FROM, Kind::Count),
        Column::new(PRICE, Kind::Money).required(),
        Column::new(CURRENCY, Kind::Word).term(),
        Column::new(REVISION, Kind::Count),
    ],
    key: &[EFFECTIVE_FROM, COUNTRY, CATEGORY, TIER_FROM],
    day_of: EFFECTIVE_FROM,
    precedence: || vec![col(REVISION)],
    sort: &[CATEGORY, COUNTRY, TIER_FROM],
    derive,
    ..BLANK
};

fn derive(row: &mut Row<'_, '_>) {
    places! {
        COUNTRY_PLACE = COUNTRY,
        CATEGORY_PLACE = CATEGORY,
        TIER_PLACE = TIER_FROM,
        REVISION_PLACE = REVISION,
    }
    if row.cells[COUNTRY_PLACE].text() == Some("*") {
        row.cells[COUNTRY_PLACE] = Cell::Null;
    }
    if let Some(category) = row.cells[CATEGORY_PLACE].text().map(str::to_lowercase) {
        row.cells[CATEGORY_PLACE] = Cell::Owned(category);
    }
    for place in [TIER_PLACE, REVISION_PLACE] {
        if row.cells[place].is_null() {
            row.cells[place] = Cell::Count(0);
        }
    }
}
