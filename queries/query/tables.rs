//! The tables that a plan scans.

use std::collections::BTreeMap;

use polars::prelude::{DataFrame, IntoLazy, LazyFrame};
use wabalake_data::Table;

/// The scans of a lake's tables, all of one snapshot.
///
/// A table without a scan is empty and has its full schema, so every query runs on every lake.
#[derive(Clone, Default)]
pub struct Tables {
    scans: BTreeMap<&'static str, LazyFrame>,
}

impl Tables {
    /// An empty lake.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the scan of a table, with the columns of [`Table::schema`].
    #[must_use]
    pub fn with(mut self, table: &'static Table, scan: LazyFrame) -> Self {
        self.scans.insert(table.name, scan);
        self
    }

    /// The scan of a table.
    pub fn scan(&self, table: &'static Table) -> LazyFrame {
        let given = self.scans.get(table.name).cloned();
        given.unwrap_or_else(|| DataFrame::empty_with_schema(&table.schema()).lazy())
    }
}
