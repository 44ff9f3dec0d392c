//! Answers that people gave in a flow: one row for each captured variable.
//!
//! Loaded from a file of the business's own, with a row for each answer or with a column for each variable
//! (`load variables-wide`), or from the bodies of Treble's requests on delivery and timeout. An answer names
//! its session, or the person and the flow.

use crate::table::{
    BLANK, CellKind, Column, OWN_PERSON, Row, SESSION_KEY, Table, USER_KEY, columns, positions,
};

pub use crate::table::{USER_ID, USER_PHONE};

/// The table's name.
pub const NAME: &str = "variables";

columns! {
    /// The session in which it was answered.
    SESSION_ID = "session_id",
    /// The id of the flow.
    CONVERSATION_ID = "conversation_id",
    /// The name of the variable.
    VARIABLE = "name",
    /// The answer.
    VALUE = "value",
    /// When the answer was given.
    AT = "at",
    /// The version of the flow.
    CONVERSATION_VERSION = "conversation_version",
}

/// The table's description.
pub static TABLE: Table = Table {
    name: NAME,
    source: "variables captured in flows",
    columns: &[
        Column::new(SESSION_ID, CellKind::Word),
        Column::new(USER_PHONE, CellKind::FullPhone).or(&["phone"]),
        Column::new(CONVERSATION_ID, CellKind::Word).or(&["conversation"]),
        Column::new(VARIABLE, CellKind::Text).required(),
        Column::new(VALUE, CellKind::Text).expected(),
        Column::new(AT, CellKind::Stamp),
        Column::user_id(),
        Column::new(CONVERSATION_VERSION, CellKind::Integer),
    ],
    key: &[SESSION_ID, OWN_PERSON, CONVERSATION_ID, VARIABLE, AT],
    day_of: AT,
    sort: &[CONVERSATION_ID, VARIABLE, AT, SESSION_ID],
    hashes: &[(SESSION_KEY, SESSION_ID), (USER_KEY, OWN_PERSON)],
    statistics: &[AT],
    derive,
    ..BLANK
};

fn derive(row: &mut Row<'_, '_>) {
    positions!(PERSON_CELL = USER_PHONE, ID_CELL = USER_ID);
    row.normalise_phone(PERSON_CELL, ID_CELL);
}
