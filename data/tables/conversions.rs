//! Conversions, such as purchases: one row for each event.
//!
//! Loaded from a file of the business's own. An event names the session that led to it, or the
//! person.

use crate::table::{
    BLANK, CONVERSION_KEY, CURRENCY, CellKind, Column, OWN_PERSON, Row, SESSION_KEY, Table,
    USER_KEY, columns, positions,
};

pub use crate::table::{USER_ID, USER_PHONE};

/// The table's name.
pub const NAME: &str = "conversions";

columns! {
    /// The id of the event.
    CONVERSION_ID = "conversion_id",
    /// The type of event.
    EVENT = "event",
    /// When it happened.
    CONVERTED_AT = "converted_at",
    /// The session that led to it.
    SESSION_ID = "session_id",
    /// The value of the event, an amount of money.
    VALUE = "value",
}

/// The table's description.
pub static TABLE: Table = Table {
    name: NAME,
    source: "a business's own events",
    columns: &[
        Column::new(CONVERSION_ID, CellKind::Word).required(),
        Column::new(EVENT, CellKind::Text),
        Column::new(CONVERTED_AT, CellKind::Stamp).required(),
        Column::new(SESSION_ID, CellKind::Word),
        Column::new(USER_PHONE, CellKind::FullPhone).or(&["phone"]),
        Column::new(VALUE, CellKind::Money),
        Column::new(CURRENCY, CellKind::Word).term(),
        Column::user_id(),
    ],
    key: &[CONVERSION_ID],
    day_of: CONVERTED_AT,
    sort: &[CONVERTED_AT, CONVERSION_ID],
    hashes: &[(CONVERSION_KEY, CONVERSION_ID), (SESSION_KEY, SESSION_ID), (USER_KEY, OWN_PERSON)],
    statistics: &[CONVERTED_AT],
    derive,
    ..BLANK
};

fn derive(row: &mut Row<'_, '_>) {
    positions!(PERSON_CELL = USER_PHONE, ID_CELL = USER_ID);
    row.normalise_phone(PERSON_CELL, ID_CELL);
}
