//! The person of each user id: one row for each id that [`identities`](super::identities) names.
//!
//! It has no export and no files: it is computed from `identities` when a table is read. A person is a
//! linked number, else one of the user ids that are linked to each other.

use crate::table::{BLANK, CellKind, Column, Table, columns};

pub use crate::table::USER_ID;

/// The table's name.
pub const NAME: &str = "persons";

columns! {
    /// What every answer shows as `user_phone` of rows with the user id and without a number.
    PERSON = "person",
}

/// The table's description.
pub static TABLE: Table = Table {
    name: NAME,
    source: "the links in identities",
    columns: &[Column::user_id(), Column::new(PERSON, CellKind::Word).person()],
    key: &[USER_ID],
    sort: &[USER_ID],
    ..BLANK
};
