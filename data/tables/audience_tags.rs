//! Tags that a business gives to people: one row for each person and tag.
//!
//! Loaded from a file of the business's own. A tag is valid from `since` on, or always if that is
//! null.

use crate::table::{
    BLANK, CellKind, Column, OWN_PERSON, Row, TAG_KEY, Table, USER_KEY, columns, positions,
};

pub use crate::table::{USER_ID, USER_PHONE};

/// The table's name.
pub const NAME: &str = "audience_tags";

columns! {
    /// The tag.
    TAG = "tag",
    /// When the tag becomes valid; null for always.
    SINCE = "since",
}

/// The table's description.
pub static TABLE: Table = Table {
    name: NAME,
    source: "a business's own tags of people",
    columns: &[
        Column::new(USER_PHONE, CellKind::FullPhone).required().or_from(USER_ID).or(&["phone"]),
        Column::new(TAG, CellKind::Text).required(),
        Column::new(SINCE, CellKind::Moment),
        Column::user_id(),
    ],
    key: &[OWN_PERSON, TAG],
    day_of: SINCE,
    sort: &[TAG, USER_PHONE],
    hashes: &[(USER_KEY, OWN_PERSON)],
    whole_key: Some(TAG_KEY),
    derive,
    ..BLANK
};

fn derive(row: &mut Row<'_, '_>) {
    positions!(PERSON_CELL = USER_PHONE, ID_CELL = USER_ID);
    row.normalise_phone(PERSON_CELL, ID_CELL);
}
