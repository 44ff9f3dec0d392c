//! Stores marts: Delta tables in `<lake>/marts/<name>`, which any Delta reader opens.
//!
//! ```text
//! marts/deliveries-by-day/mart_day=2025-06-01/8c41….parquet    the rows of 2025-06-01
//!                         _delta_log/00000000000000000007.json   their provenance
//! ```
//!
//! The columns are those of the answer. If it has a date, that partitions the table as `mart_day`;
//! otherwise all rows are in the partition of null. The log holds no statistics. A mart holds no data
//! of its own: it can be rebuilt at any time.

use std::fs::{self, FileType};
use std::path::{Path, PathBuf};

use polars::prelude::{Expr, LazyFrame, SchemaRef, col};
use serde_json::Value;
use wabalake_queries::query::OutputColumn;

use super::files::{is_data_file, is_day, is_of_log, listed, name};
use super::layout::Layout;
use super::log::commit_info;
use super::{Lake, Snapshot};
use crate::error::{Context as _, Error, Result};

/// The Date column that partitions a mart: the first date that a row is about.
pub const MART_DAY: &str = "mart_day";

/// The lake's folder of marts.
const MARTS: &str = "marts";

/// The entry of `commitInfo` with a mart's provenance.
pub const PROVENANCE: &str = "mart";

impl Layout {
    /// The layout of a mart with an answer's columns.
    pub fn of_mart(name: &str, columns: &[OutputColumn]) -> Self {
        let columns = columns.iter().map(|column| (column.name.into(), column.of.data_type()));
        Self {
            name: name.into(),
            stored: SchemaRef::new(columns.collect()),
            sort: &[],
            statistics: &[],
            null_counts: &[],
            parent_folder: MARTS,
            partition: MART_DAY,
            is_mart: true,
        }
    }
}

impl Lake {
    /// The provenance of a mart's newest version; `None` if there is no mart or its log has none.
    ///
    /// # Errors
    ///
    /// A log that cannot be read.
    pub fn provenance(&self, mart: &Layout) -> Result<Option<Value>> {
        let log = self.log(mart)?;
        for version in log.versions()?.into_iter().rev() {
            let actions = log.actions(version)?;
            if let Some(provenance) =
                commit_info(&actions).and_then(|info| info.info.get(PROVENANCE))
            {
                return Ok(Some(provenance.clone()));
            }
        }
        Ok(None)
    }

    /// Deletes a mart with its log.
    ///
    /// # Errors
    ///
    /// Files that cannot be moved or deleted; a link, which may lead out of the lake.
    pub fn drop_mart(&self, mart: &Layout) -> Result<()> {
        let folder = self.folder(mart);
        if let Ok(mut known) = self.known.lock() {
            known.remove(&mart.key());
        }
        if self.log_of(mart).is_there() {
            let scratch = self.scratch()?;
            self.drop_table(&folder, MART_DAY, &scratch.join(mart.name.as_str()))?;
        }
        Ok(())
    }
}

/// A lazy plan over the rows of a mart that pass all filters, in no order.
///
/// # Errors
///
/// A file in the wrong partition folder.
pub fn rows(mart: &Snapshot, keep: Vec<Expr>) -> Result<LazyFrame> {
    let names: Vec<_> = mart.layout.stored.iter_names().map(|name| col(name.clone())).collect();
    let rows = keep.into_iter().fold(mart.scan()?, LazyFrame::filter);
    Ok(rows.select(names))
}

impl Lake {
    /// Deletes a table, except files of others in its folder. Its log is moved away first, so that
    /// no reader finds half a table.
    ///
    /// # Errors
    ///
    /// A link, which may lead out of the lake; a file of others in the log's folder.
    pub(super) fn drop_table(&self, table: &Path, partition: &str, place: &Path) -> Result<()> {
        let log = table.join("_delta_log");
        let mut way = log.ancestors().take_while(|part| *part != self.root());
        if let Some(link) = way.find(|part| part.is_symlink()) {
            let error = Error::lake(format!("`{}` is a link", link.display()));
            return Err(error.hint(
                "nothing is deleted behind a link: delete its target, then the link itself",
            ));
        }
        let others =
            |(path, kind): &(PathBuf, FileType)| !kind.is_file() || !is_of_log(&name(path));
        if let Some((path, _)) = listed(&log)?.into_iter().find(others) {
            let error = Error::lake(format!("`{}` is not a file of wabalake", path.display()));
            return Err(error.hint("move it elsewhere, and run the same command again"));
        }
        if log.is_dir() {
            fs::rename(&log, place).context(|| deleting(table))?;
        }
        for (day, kind) in listed(table)? {
            if !kind.is_dir() || !is_day(&name(&day), partition) {
                continue;
            }
            for (file, kind) in listed(&day)? {
                if kind.is_file() && is_data_file(&name(&file)) {
                    fs::remove_file(&file).context(|| deleting(&file))?;
                }
            }
            // These two fail, as intended, if the folders are not empty.
            let _ = fs::remove_dir(&day);
        }
        let _ = fs::remove_dir(table);
        Ok(())
    }
}

fn deleting(file: &Path) -> String {
    format!("deleting `{}`", file.display())
}
