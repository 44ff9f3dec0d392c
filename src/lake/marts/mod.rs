//! Stores marts: Delta tables in `<lake>/marts/<name>`, which any Delta reader opens.
//!
//! ```text
//! marts/deliveries-by-day/mart_day=2025-06-01/8c41….parquet    the rows of 2025-06-01
//!                         _delta_log/00000000000000000007.json   their provenance
//! ```
//!
//! The columns are those of the answer. If a query of the catalog has a date, that partitions the table as
//! `mart_day`; otherwise all rows are in the partition of null. The log holds no statistics. A mart holds no data
//! of its own: it can be rebuilt at any time.

mod drop;

use std::collections::BTreeMap;

use polars::prelude::{Expr, LazyFrame, SchemaRef, col};
use serde_json::Value;
use wabalake_queries::query::OutputColumn;

use super::layout::Layout;
use super::log::{commit_info, file_key};
use super::{DataFile, Lake, Snapshot};
use crate::error::Result;
use crate::place::Key;

/// The Date column that partitions a mart: the first date that a row is about.
pub const MART_DAY: &str = "mart_day";

/// The lake's folder of marts.
pub(super) const MARTS: &str = "marts";

/// The entry of `commitInfo` with a mart's provenance; null in the commit that drops it.
pub const PROVENANCE: &str = "mart";

impl Layout {
    /// The layout of a mart with an answer's columns.
    pub fn of_mart(name: &str, columns: &[OutputColumn]) -> Self {
        let columns = columns.iter().map(|column| (column.name.into(), column.of.data_type()));
        Self::of_mart_with(name, SchemaRef::new(columns.collect()))
    }

    /// The layout of a mart with these names and types of columns.
    pub(crate) fn of_mart_with(name: &str, stored: SchemaRef) -> Self {
        Self {
            name: name.into(),
            stored,
            sort: &[],
            statistics: &[],
            null_counts: &[],
            filtered: &[],
            parent_folder: MARTS,
            partition: MART_DAY,
            is_mart: true,
        }
    }
}

impl Lake {
    /// The provenance of a version of a mart; `None` if there is no mart or its log has none.
    ///
    /// # Errors
    ///
    /// A log that cannot be read.
    pub fn provenance(&self, mart: &Snapshot) -> Result<Option<Value>> {
        let Some(newest) = mart.version else { return Ok(None) };
        // The snapshot was read from this log: it need not be listed again.
        let log = self.log_of(&mart.layout);
        for version in (0..=newest).rev() {
            let actions = log.actions(version)?;
            if let Some(provenance) =
                commit_info(&actions).and_then(|info| info.info.get(PROVENANCE))
            {
                // A commit that drops the mart has null.
                return Ok(Some(provenance.clone()).filter(|provenance| !provenance.is_null()));
            }
        }
        Ok(None)
    }
}

/// Returns `true` if a mart's files exist and have the sizes in the log, by one listing.
///
/// # Errors
///
/// A place that cannot be listed.
pub(crate) fn has_all_files(mart: &Snapshot) -> Result<bool> {
    if mart.files.is_empty() {
        return Ok(true);
    }
    let listed = mart.place.list(&mart.table, None)?;
    let sizes: BTreeMap<&Key, u64> = listed.iter().map(|entry| (&entry.key, entry.bytes)).collect();
    let is_there = |file: &DataFile| {
        let key = file_key(&mart.table, &file.path);
        key.is_ok_and(|key| sizes.get(&key) == Some(&file.bytes))
    };
    Ok(mart.files.iter().all(is_there))
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
