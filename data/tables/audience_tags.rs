//! What a business calls its people: one row for each person and tag.
//!
//! From a file of the business's own. A tag holds from `since` on; always, without one.

use super::{BLANK, Column, Kind, Row, TAG_KEY, Table, USER_KEY};

pub use super::USER_PHONE;

/// Its name in the catalog.
pub const NAME: &str = "audience_tags";

columns! {
    /// The tag.
    TAG = "tag",
    /// From when on it holds; null for always.
    SINCE = "since",
}

/// The table.
pub static TABLE: Table = Table {
    name: NAME,
    source: "a business's own tags of people",
    columns: &[
        Column::new(USER_PHONE, Kind::FullPhone).required().or(&["phone"]),
        Column::new(TAG, Kind::Text).required(),
        Column::new(SINCE, Kind::Moment),
    ],
    key: &[USER_PHONE, TAG],
    day_of: SINCE,
    sort: &[TAG, USER_PHONE],
    hashes: &[(USER_KEY, USER_PHONE)],
    whole_key: Some(TAG_KEY),
    derive,
    ..BLANK
};

fn derive(row: &mut Row<'_, '_>) {
    places!(PERSON_PLACE = USER_PHONE);
    row.normalise_phone(PERSON_PLACE);
}
