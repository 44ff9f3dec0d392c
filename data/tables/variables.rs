//! What people answered in a flow: one row for each captured variable.
//!
//! From a file of the business's own. An answer names its session, or the person and the flow.

use super::{BLANK, Column, Kind, Row, SESSION_KEY, Table, USER_KEY};

pub use super::USER_PHONE;

/// Its name in the catalog.
pub const NAME: &str = "variables";

columns! {
    /// The session in which it was answered.
    SESSION_ID = "session_id",
    /// The flow.
    CONVERSATION_ID = "conversation_id",
    /// The variable.
    VARIABLE = "name",
    /// The answer.
    VALUE = "value",
    /// When it was given.
    AT = "at",
}

/// The table.
pub static TABLE: Table = Table {
    name: NAME,
    source: "variables captured in flows",
    columns: &[
        Column::new(SESSION_ID, Kind::Word),
        Column::new(USER_PHONE, Kind::FullPhone).or(&["phone"]),
        Column::new(CONVERSATION_ID, Kind::Word).or(&["conversation"]),
        Column::new(VARIABLE, Kind::Text).required(),
        Column::new(VALUE, Kind::Text).expected(),
        Column::new(AT, Kind::Stamp),
    ],
    key: &[SESSION_ID, USER_PHONE, CONVERSATION_ID, VARIABLE, AT],
    day_of: AT,
    sort: &[CONVERSATION_ID, VARIABLE, AT, SESSION_ID],
    hashes: &[(SESSION_KEY, SESSION_ID), (USER_KEY, USER_PHONE)],
    statistics: &[AT],
    derive,
    ..BLANK
};

fn derive(row: &mut Row<'_, '_>) {
    places!(PERSON_PLACE = USER_PHONE);
    row.normalise_phone(PERSON_PLACE);
}
