//! The market of a country, by which prices are set: one row for each country and date of a change.
//!
//! Meta's markets are built in, with their changes up to October 2026. Rows of this table, loaded from a
//! file of the business's own, come in addition: a row replaces the built-in one of the same country and
//! date. A country belongs to the market of its latest row up to a date, without one to `Other`. A later
//! revision of a row wins.

use polars::prelude::*;

use crate::reference::markets::canonical;
use crate::table::{BLANK, Cell, CellKind, Column, Row, Table, columns, positions};

/// The table's name.
pub const NAME: &str = "markets";

columns! {
    /// The country, ISO 3166-1 alpha-2.
    COUNTRY = "country",
    /// The market, in Meta's spelling; another one in lower case, without spaces and punctuation.
    MARKET = "market",
    /// The first day on which the country belongs to the market.
    VALID_FROM = "valid_from",
    /// The version of the row, 0 if the file has none: the greatest counts.
    REVISION = "revision",
}

/// The table's description.
pub static TABLE: Table = Table {
    name: NAME,
    source: "a list of markets",
    columns: &[
        Column::new(COUNTRY, CellKind::Country).required(),
        Column::new(MARKET, CellKind::Word).term().required(),
        Column::new(VALID_FROM, CellKind::Date).required(),
        Column::new(REVISION, CellKind::Count),
    ],
    key: &[COUNTRY, VALID_FROM],
    day_of: VALID_FROM,
    precedence: || vec![col(REVISION)],
    sort: &[COUNTRY],
    derive,
    ..BLANK
};

fn derive(row: &mut Row<'_, '_>) {
    positions! {
        MARKET_CELL = MARKET,
        REVISION_CELL = REVISION,
    }
    if let Some(market) = row.cells[MARKET_CELL].text().map(canonical) {
        row.cells[MARKET_CELL] = Cell::Owned(market);
    }
    if row.cells[REVISION_CELL].is_null() {
        row.cells[REVISION_CELL] = Cell::Count(0);
    }
}
