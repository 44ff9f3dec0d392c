//! The tables that a query reads.

use std::collections::BTreeMap;

use polars::prelude::{DataFrame, IntoLazy, LazyFrame};
use wabalake_data::Table;

/// A scan of each table of one snapshot of a lake.
///
/// A table that was not given is an empty one with all its columns, so every query runs on every
/// lake, and on none.
#[derive(Clone, Default)]
pub struct Tables {
    scans: BTreeMap<&'static str, LazyFrame>,
}

impl Tables {
    /// No tables: an empty lake.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with a table, whose scan offers the columns of [`Table::schema`].
    #[must_use]
    pub fn with(mut self, table: &'static Table, scan: LazyFrame) -> Self {
        self.scans.insert(table.name, scan);
        self
    }

    /// The rows of a table.
    pub fn scan(&self, table: &'static Table) -> LazyFrame {
        let given = self.scans.get(table.name).cloned();
        given.unwrap_or_else(|| DataFrame::empty_with_schema(&table.schema()).lazy())
    }
}
