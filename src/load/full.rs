//! What to say where there is no room to write: what is safe, and how to go on.

use super::Options;
use super::stage::StagedTable;
use crate::error::{Error, Full};
use crate::lake::Lake;

/// The same error; one of a full disk with which of the tables have their rows, and what to do.
pub(crate) fn explained(
    error: Error,
    lake: &Lake,
    tables: &[StagedTable],
    options: &Options,
) -> Error {
    let Some(full) = error.full() else { return error };
    let folder = lake.root().display();
    let found = if options.dry_run {
        "nothing was to be written to the lake".to_owned()
    } else {
        let is_committed = |table: &&StagedTable| {
            let mut ids = table.files.iter().map(|file| &file.report.file_id);
            ids.any(|id| lake.is_loaded(table.table, id).unwrap_or_default())
        };
        let (committed, not): (Vec<_>, Vec<_>) = tables.iter().partition(is_committed);
        match committed[..] {
            [] => {
                format!("nothing of this load is in the lake `{folder}`, which is as it was before")
            }
            _ => format!("{} have their rows, {} do not", names(&committed), names(&not)),
        }
    };
    let room = match (full, options.dry_run) {
        (Full::File, _) => "let files grow larger (`ulimit -f`)",
        (_, true) => "make room there, or set TMPDIR to a folder on another disk",
        (_, false) => "make room on that disk",
    };
    let hint = match options.dry_run {
        true => format!("{room}, and try again"),
        false => format!(
            "{room}, and load the same files again: what is in the lake is not loaded twice; \
             `wabalake vacuum` deletes what is left of a load that was killed"
        ),
    };
    error.context(full).found(found).hint(hint)
}

fn names(tables: &[&StagedTable]) -> String {
    tables.iter().map(|table| format!("`{}`", table.table.name)).collect::<Vec<_>>().join(", ")
}
