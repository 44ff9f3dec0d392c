//! Prices of messages and conversations: one row for each effective date, country, category and
//! tier.
//!
//! Loaded from a rate card, a file of the business's own. A later revision of a price wins.

use polars::prelude::*;

use crate::cells::Enumeration;
use crate::table::{BLANK, CURRENCY, Cell, CellKind, Column, Row, Table, columns, positions};

/// The table's name.
pub const NAME: &str = "rates";

columns! {
    /// The first day on which the price is effective.
    EFFECTIVE_FROM = "effective_from",
    /// The person's country, ISO 3166-1 alpha-2; null for any.
    COUNTRY = "country",
    /// A session type or one of Meta's categories, in lower case.
    CATEGORY = "category",
    /// The price applies from this unit of a calendar month on. Units count from 1; 0 is all.
    TIER_FROM = "tier_from",
    /// The price of one unit.
    PRICE = "price",
    /// The version of the price.
    REVISION = "revision",
}

/// What is priced: session types, then Meta's categories of messages.
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

/// The table's description.
pub static TABLE: Table = Table {
    name: NAME,
    source: "a rate card",
    columns: &[
        Column::new(EFFECTIVE_FROM, CellKind::Date).required(),
        Column::new(COUNTRY, CellKind::Country),
        Column::new(CATEGORY, CellKind::Enumeration(&CATEGORIES)).required(),
        Column::new(TIER_FROM, CellKind::Count),
        Column::new(PRICE, CellKind::Money).required(),
        Column::new(CURRENCY, CellKind::Word).term(),
        Column::new(REVISION, CellKind::Count),
    ],
    key: &[EFFECTIVE_FROM, COUNTRY, CATEGORY, TIER_FROM],
    day_of: EFFECTIVE_FROM,
    precedence: || vec![col(REVISION)],
    sort: &[CATEGORY, COUNTRY, TIER_FROM],
    derive,
    ..BLANK
};

fn derive(row: &mut Row<'_, '_>) {
    positions! {
        COUNTRY_CELL = COUNTRY,
        CATEGORY_CELL = CATEGORY,
        TIER_CELL = TIER_FROM,
        REVISION_CELL = REVISION,
    }
    if row.cells[COUNTRY_CELL].text() == Some("*") {
        row.cells[COUNTRY_CELL] = Cell::Null;
    }
    if let Some(category) = row.cells[CATEGORY_CELL].text().map(str::to_lowercase) {
        row.cells[CATEGORY_CELL] = Cell::Owned(category);
    }
    for at in [TIER_CELL, REVISION_CELL] {
        if row.cells[at].is_null() {
            row.cells[at] = Cell::Count(0);
        }
    }
}
