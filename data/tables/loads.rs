//! Loaded files: one row for each file and table of the lake.
//!
//! It has no export and no Parquet files: it is computed from the commits in the transaction log. A
//! load that was undone is absent. A file that was loaded several times has one row, the last.

use crate::table::{BLANK, CellKind, Column, Table, columns};

/// The table's name.
pub const NAME: &str = "loads";

columns! {
    /// A fingerprint of the file's contents as they were read.
    FILE_ID = "file_id",
    /// The table that the file was loaded into.
    KIND = "kind",
    /// When the load was committed.
    LOADED_AT = "loaded_at",
    /// Records in the file, without the header.
    RECORDS = "records",
    /// Of these, rejected records.
    REJECTED = "rejected",
    /// Of these, records with at least one sentinel, a stamp that means "never".
    WITH_SENTINEL = "with_sentinel",
    /// First date of the period that the file was asked for, a local date of its source time zone; null
    /// if unknown.
    WINDOW_FROM = "window_from",
    /// Last date of that period.
    WINDOW_TO = "window_to",
}

/// The table's description.
pub static TABLE: Table = Table {
    name: NAME,
    source: "the lake's own commits",
    columns: &[
        Column::new(FILE_ID, CellKind::Word),
        Column::new(KIND, CellKind::Word).term(),
        Column::new(LOADED_AT, CellKind::Stamp),
        Column::new(RECORDS, CellKind::Count),
        Column::new(REJECTED, CellKind::Count),
        Column::new(WITH_SENTINEL, CellKind::Count),
        Column::new(WINDOW_FROM, CellKind::Date),
        Column::new(WINDOW_TO, CellKind::Date),
    ],
    key: &[FILE_ID, KIND],
    day_of: LOADED_AT,
    sort: &[LOADED_AT, FILE_ID],
    ..BLANK
};
