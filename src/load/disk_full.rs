//! Explains a full disk: whether the load is committed, and how to go on.

use super::options::Options;
use super::staged::StagedTable;
use crate::error::{Error, Full};
use crate::lake::Lake;

/// Adds to a disk-full error whether the rows are in the lake, and a hint; other errors stay as
/// they are.
pub(crate) fn explain(
    error: Error,
    lake: &Lake,
    tables: &[StagedTable],
    options: &Options,
) -> Error {
    let Some(full) = error.full() else { return error };
    let folder = lake.place().shown();
    let found = if options.dry_run {
        "this was a dry run: nothing is written to the lake".to_owned()
    } else {
        let is_loaded = |table: &StagedTable| {
            let mut ids = table.files.iter().map(|file| &file.report.file_id);
            ids.any(|id| lake.is_loaded(table.table, id).unwrap_or_default())
        };
        // After an error in between, other writers take back what is committed.
        match tables.iter().any(is_loaded) {
            true => format!("the rows of this load are in the lake `{folder}`"),
            false => format!("nothing of this load is in the lake `{folder}`"),
        }
    };
    let free_space = match (full, options.dry_run) {
        (Full::File, _) => "allow larger files (`ulimit -f`)",
        (_, true) => "free space there, or set TMPDIR to a folder on another disk",
        (_, false) => "free space on that disk",
    };
    let hint = match options.dry_run {
        true => format!("{free_space}, and try again"),
        false => format!(
            "{free_space}, and load the same files again: what is in the lake is not loaded twice; \
             `wabalake vacuum` deletes what a killed load left behind"
        ),
    };
    error.context(full).found(found).hint(hint)
}
