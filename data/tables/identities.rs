//! Links between the ids of people: one row for each user id and number, or user id and user id, that
//! were seen to belong to one person.
//!
//! Meta's user ids identify people whose number is hidden. Loaded from webhooks of Meta, or from a file
//! of the business's own with the columns `user_id` and `linked`. A pair that is incomplete, of two equal ids,
//! or with a value that is neither a number nor a user id, is left out; a number that lost its digits
//! (`5.73E+11`) is rejected. Of several rows of a pair, the earliest `first_seen` and the
//! latest `last_seen` stay, each for itself.
//!
//! ```text
//! user_id   linked          kind   first_seen   last_seen
//! CO.1      573005550101    phone  1 June       4 June       the person has this number
//! CO.2      CO.1            user   2 June       2 June       a new id of the same person
//! ```
//!
//! Ids that rows of kind `user` connect, in any direction and order, are one person. In every answer
//! that person stands for the `user_phone` of rows without a number: the linked number that was seen
//! last, else the id of theirs that was seen first. So it does not matter what is loaded first.

use polars::prelude::*;

use crate::cells::Enumeration;
use crate::cells::phone::{Person, is_user_id};
use crate::table::{
    BLANK, Cell, CellKind, Column, Fate, IDENTITY_KEY, Row, Table, columns, positions,
};

pub use crate::table::USER_ID;

/// The table's name.
pub const NAME: &str = "identities";

columns! {
    /// The number or the other user id of the same person.
    LINKED = "linked",
    /// `phone` or `user`: which of the two it is.
    KIND = "kind",
    /// When the pair was first seen; null for before all.
    FIRST_SEEN = "first_seen",
    /// When it was last seen; null for before all.
    LAST_SEEN = "last_seen",
}

/// What a user id is linked to.
pub static KINDS: Enumeration = Enumeration::new(&[(PHONE, &[]), (USER, &[])]);

/// The kind of a link to a number.
pub const PHONE: &str = "phone";

/// The kind of a link to another user id.
pub const USER: &str = "user";

/// The table's description.
pub static TABLE: Table = Table {
    name: NAME,
    source: "links of user ids",
    columns: &[
        Column::user_id().expected(),
        Column::new(LINKED, CellKind::FullPhone).expected(),
        Column::derived_as(KIND, CellKind::Enumeration(&KINDS)).word(),
        Column::new(FIRST_SEEN, CellKind::Moment),
        Column::new(LAST_SEEN, CellKind::Moment),
    ],
    key: &[USER_ID, LINKED],
    day_of: FIRST_SEEN,
    aggregates: &[(FIRST_SEEN, || col(FIRST_SEEN).min()), (LAST_SEEN, || col(LAST_SEEN).max())],
    sort: &[USER_ID, LINKED],
    whole_key: Some(IDENTITY_KEY),
    derive,
    skipped: ["pair that links nothing", "pairs that link nothing"],
    ..BLANK
};

/// How many digits a number has. Those of a misspelt user id are more or fewer.
const DIGITS: std::ops::RangeInclusive<usize> = 5..=15;

fn derive(row: &mut Row<'_, '_>) {
    positions! {
        ID_CELL = USER_ID,
        LINKED_CELL = LINKED,
        KIND_CELL = KIND,
    }
    let linked = row.cells[LINKED_CELL].text().unwrap_or_default();
    let linked = if is_user_id(linked) {
        Some((linked.to_owned(), USER))
    } else {
        let phone = row.phones.full_or_national(linked).map(Person::into_phone);
        phone.filter(|phone| DIGITS.contains(&phone.len())).map(|phone| (phone, PHONE))
    };
    match (row.cells[ID_CELL].text(), linked) {
        (Some(user_id), Some((linked, kind))) if user_id != linked => {
            row.cells[LINKED_CELL] = Cell::Owned(linked);
            row.cells[KIND_CELL] = Cell::Text(kind);
        }
        _ => row.fate = Fate::Skipped,
    }
}
