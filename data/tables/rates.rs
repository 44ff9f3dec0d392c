//! Prices of messages and conversations: one row for each effective date, country or market, category
//! and tier.
//!
//! Loaded from a rate card: a file of the business's own with a row for each price, or Meta's card as it is
//! published, saved as CSV. Meta's has a price per category in each row, or volume tiers in a block of columns
//! per category. A price is of one country, of one market (a group
//! of countries, see [`markets`](super::markets)), or of any country. A unit is priced by its country's
//! rates before its market's, and by these before those of any country. Tiers of a market count the units
//! of all of its countries. A later revision of a price wins.

use polars::prelude::*;

use crate::cells::Enumeration;
use crate::reference::markets::canonical;
use crate::table::{BLANK, CURRENCY, Cell, CellKind, Column, Fate, Row, Table, columns, positions};

/// The table's name.
pub const NAME: &str = "rates";

columns! {
    /// The first day on which the price is effective.
    EFFECTIVE_FROM = "effective_from",
    /// The person's country, ISO 3166-1 alpha-2; null for any, or if there is a market.
    COUNTRY = "country",
    /// A session type or one of Meta's categories, in lower case.
    CATEGORY = "category",
    /// The price applies from this unit of a calendar month on. Units count from 1; 0 is all.
    TIER_FROM = "tier_from",
    /// The price of one unit.
    PRICE = "price",
    /// The version of the price.
    REVISION = "revision",
    /// The market of the person's country, in Meta's spelling; another one in lower case, without spaces
    /// and punctuation. Null for any.
    MARKET = "market",
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
        Column::new(MARKET, CellKind::Word).term(),
    ],
    key: &[EFFECTIVE_FROM, COUNTRY, MARKET, CATEGORY, TIER_FROM],
    day_of: EFFECTIVE_FROM,
    precedence: || vec![col(REVISION)],
    sort: &[CATEGORY, COUNTRY, MARKET, TIER_FROM],
    derive,
    ..BLANK
};

fn derive(row: &mut Row<'_, '_>) {
    positions! {
        COUNTRY_CELL = COUNTRY,
        CATEGORY_CELL = CATEGORY,
        TIER_CELL = TIER_FROM,
        REVISION_CELL = REVISION,
        MARKET_CELL = MARKET,
    }
    if row.cells[COUNTRY_CELL].text() == Some("*") {
        row.cells[COUNTRY_CELL] = Cell::Null;
    }
    match row.cells[MARKET_CELL].text() {
        Some("*") => row.cells[MARKET_CELL] = Cell::Null,
        Some(_) if !row.cells[COUNTRY_CELL].is_null() => {
            row.fate = Fate::Rejected { column: MARKET, reason: "the row has a country too" };
        }
        Some(market) => row.cells[MARKET_CELL] = Cell::Owned(canonical(market)),
        None => {}
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
