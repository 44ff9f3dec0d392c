//! What a business counts as success, such as a purchase: one row for each event.
//!
//! From a file of the business's own. An event names the session that led to it, or the person.

use super::{BLANK, CONVERSION_KEY, CURRENCY, Column, Kind, Row, SESSION_KEY, Table, USER_KEY};

pub use super::USER_PHONE;

/// Its name in the catalog.
pub const NAME: &str = "conversions";

columns! {
    /// The event's id.
    CONVERSION_ID = "conversion_id",
    /// What happened.
    EVENT = "event",
    /// When it happened.
    CONVERTED_AT = "converted_at",
    /// The session that led to it.
    SESSION_ID = "session_id",
    /// What it was worth.
    VALUE = "value",
}

/// The table.
pub static TABLE: Table = Table {
    name: NAME,
    source: "a business's own events",
    columns: &[
        Column::new(CONVERSION_ID, Kind::Word).required(),
        Column::new(EVENT, Kind::Text),
        Column::new(CONVERTED_AT, Kind::Stamp).required(),
        Column::new(SESSION_ID, Kind::Word),
        Column::new(USER_PHONE, Kind::FullPhone).or(&["phone"]),
        Column::new(VALUE, Kind::Money),
        Column::new(CURRENCY, Kind::Word).term(),
    ],
    key: &[CONVERSION_ID],
    day_of: CONVERTED_AT,
    sort: &[CONVERTED_AT, CONVERSION_ID],
    hashes: &[(CONVERSION_KEY, CONVERSION_ID), (SESSION_KEY, SESSION_ID), (USER_KEY, USER_PHONE)],
    statistics: &[CONVERTED_AT],
    derive,
    ..BLANK
};

fn derive(row: &mut Row<'_, '_>) {
    places!(PERSON_PLACE = USER_PHONE);
    row.normalise_phone(PERSON_PLACE);
}
