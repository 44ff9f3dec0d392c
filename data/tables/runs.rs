//! Nightly runs, erasures, upgrades and audiences that were written: one row for each.
//!
//! It has no export: the commands write it. It holds no personal data, neither file names, which could
//! contain a number, nor parameter values.

use crate::table::{BLANK, CellKind, Column, Table, columns};

/// The table's name.
pub const NAME: &str = "runs";

columns! {
    /// When it began.
    STARTED_AT = "started_at",
    /// When it ended; null if it crashed.
    FINISHED_AT = "finished_at",
    /// `nightly`, `erase`, `upgrade` or `audience`.
    COMMAND = "command",
    /// `done`, `incomplete`, `failed` or `killed`.
    OUTCOME = "outcome",
    /// Files loaded.
    FILES = "files",
    /// Records in them.
    ROWS_READ = "rows_read",
    /// Rows with a new key.
    ROWS_NEW = "rows_new",
    /// Rows that replaced stored ones.
    ROWS_UPDATED = "rows_updated",
    /// Rejected records.
    ROWS_REJECTED = "rows_rejected",
    /// Marts that were refreshed.
    MARTS = "marts",
    /// Days of marts that were computed.
    DAYS = "days",
    /// The versions of the tables, as a JSON object.
    VERSIONS = "versions",
    /// The name of the audience that was written; null for one whose rule was typed.
    RULE = "rule",
    /// How many people the rule of an audience matched, and how many were left out, as a JSON object.
    COUNTS = "counts",
}

/// The table's description.
pub static TABLE: Table = Table {
    name: NAME,
    source: "wabalake's own runs",
    columns: &[
        Column::new(STARTED_AT, CellKind::Stamp),
        Column::new(FINISHED_AT, CellKind::Stamp),
        Column::new(COMMAND, CellKind::Word).term(),
        Column::new(OUTCOME, CellKind::Word).term(),
        Column::new(FILES, CellKind::Count),
        Column::new(ROWS_READ, CellKind::Count),
        Column::new(ROWS_NEW, CellKind::Count),
        Column::new(ROWS_UPDATED, CellKind::Count),
        Column::new(ROWS_REJECTED, CellKind::Count),
        Column::new(MARTS, CellKind::Count),
        Column::new(DAYS, CellKind::Count),
        Column::new(VERSIONS, CellKind::Text),
        Column::new(RULE, CellKind::Word).term(),
        Column::new(COUNTS, CellKind::Text),
    ],
    day_of: STARTED_AT,
    sort: &[STARTED_AT],
    statistics: &[STARTED_AT],
    ..BLANK
};
