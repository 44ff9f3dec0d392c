//! Rejected records: one row for each record and fault.
//!
//! It has no export: loads write it. `wabalake rejects` shows the rows that count.

use crate::table::{BLANK, CellKind, Column, Table, columns};

/// The table's name.
pub const NAME: &str = "rejects";

columns! {
    /// The application transaction of the file: a hash of its content.
    FILE_ID = "file_id",
    /// The name of the file.
    FILE = "file",
    /// The table that the record was for.
    KIND = "kind",
    /// The record's number in the file; the first after the header is 1.
    RECORD = "record",
    /// The line on which it begins; the first is 1.
    LINE = "line",
    /// The column at fault, if it is a single one.
    COLUMN = "column",
    /// The reason of the rejection.
    REASON = "reason",
    /// The raw record.
    RAW = "raw",
    /// When it was rejected.
    REJECTED_AT = "rejected_at",
    /// When a row with its key was found to be loaded; null while open.
    RESOLVED = "resolved",
    /// The file of that row; its own if the lake had the row before.
    RESOLVED_BY = "resolved_by",
    /// A hash of its natural key, as far as that is valid.
    ROW_KEY = "row_key",
    /// The header of the export, as a CSV record with commas.
    HEADER = "header",
    /// The delimiter of the record.
    DELIMITER = "delimiter",
}

/// The table's description.
pub static TABLE: Table = Table {
    name: NAME,
    source: "records that could not be loaded",
    columns: &[
        Column::new(FILE_ID, CellKind::Word),
        Column::new(FILE, CellKind::Text),
        Column::new(KIND, CellKind::Word).term(),
        Column::new(RECORD, CellKind::Count),
        Column::new(LINE, CellKind::Count),
        Column::new(COLUMN, CellKind::Word).term(),
        Column::new(REASON, CellKind::Text),
        Column::new(RAW, CellKind::Text),
        Column::new(REJECTED_AT, CellKind::Stamp),
        Column::new(RESOLVED, CellKind::Stamp),
        Column::new(RESOLVED_BY, CellKind::Word),
        Column::new(ROW_KEY, CellKind::Count),
        Column::new(HEADER, CellKind::Text),
        Column::new(DELIMITER, CellKind::Text),
    ],
    day_of: REJECTED_AT,
    sort: &[FILE_ID, RECORD],
    statistics: &[REJECTED_AT],
    ..BLANK
};
