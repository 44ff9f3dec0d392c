//! What was loaded: one row for each file that is in a table of the lake.
//!
//! No export and no files: a lake reads it from what its commits tell, and a load that was taken
//! back is in it no more. A file counts once, as it was when it was last loaded.

use super::{BLANK, Column, Kind, Table};

/// Its name to queries.
pub const NAME: &str = "loads";

columns! {
    /// What names the file's contents as they were read.
    FILE_ID = "file_id",
    /// The table that it was loaded into.
    KIND = "kind",
    /// When that was committed.
    LOADED_AT = "loaded_at",
    /// Its records, after the header.
    RECORDS = "records",
    /// Of them, those that could not be taken.
    REJECTED = "rejected",
    /// Of them, those with at least one stamp that stands for "never".
    WITH_SENTINEL = "with_sentinel",
}

/// The table.
pub static TABLE: Table = Table {
    name: NAME,
    source: "the lake's own commits",
    columns: &[
        Column::new(FILE_ID, Kind::Word),
        Column::new(KIND, Kind::Word).term(),
        Column::new(LOADED_AT, Kind::Stamp),
        Column::new(RECORDS, Kind::Count),
        Column::new(REJECTED, Kind::Count),
        Column::new(WITH_SENTINEL, Kind::Count),
    ],
    key: &[FILE_ID, KIND],
    day_of: LOADED_AT,
    sort: &[LOADED_AT, FILE_ID],
    ..BLANK
};
