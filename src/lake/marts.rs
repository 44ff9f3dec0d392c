//! Answers that are kept: Delta tables under `<lake>/marts/<name>`, which any Delta reader opens.
//!
//! ```text
//! marts/deliveries-by-day/mart_day=2025-06-01/8c41….parquet    the rows of 2025-06-01
//!                         _delta_log/00000000000000000007.json   what they were made from
//! ```
//!
//! The columns are those of the answer. Where it has a date the table is partitioned by it, as
//! `mart_day`; else all rows are in the partition without one. The log holds no bounds of any
//! column. Nothing is lost with a mart: it is made anew.

use polars::prelude::{DataType, Expr, LazyFrame, Schema, col};
use serde_json::Value;
use wabalake_queries::query::OutputColumn;

use super::layout::Layout;
use super::log::{Log, commit_info};
use super::{Lake, Snapshot};
use crate::error::Result;

/// The Date column that partitions a mart: the first date that a row is about.
pub const MART_DAY: &str = "mart_day";

/// What a commit of a mart calls what it was made from.
pub const MADE_FROM: &str = "mart";

/// The layout of one mart.
#[derive(Debug)]
pub struct MartLayout {
    name: &'static str,
    columns: Vec<(&'static str, DataType)>,
}

impl MartLayout {
    /// The layout of an answer's columns. It lives as long as the program: a lake has few marts.
    pub fn of(name: &str, columns: &[OutputColumn]) -> &'static Self {
        let columns = columns.iter().map(|column| (column.name, column.of.data_type()));
        Box::leak(Box::new(Self { name: name.to_owned().leak(), columns: columns.collect() }))
    }
}

impl Layout for MartLayout {
    fn name(&self) -> &'static str {
        self.name
    }

    fn stored(&self) -> Schema {
        self.columns.iter().map(|(name, of)| ((*name).into(), of.clone())).collect()
    }

    fn sort(&self) -> &'static [&'static str] {
        &[]
    }

    fn statistics(&self) -> &'static [&'static str] {
        &[]
    }

    fn within(&self) -> &'static str {
        "marts"
    }

    fn partition(&self) -> &'static str {
        MART_DAY
    }

    fn is_answer(&self) -> bool {
        true
    }
}

impl Lake {
    /// What the newest version of a mart was made from, as its commit says; none if there is no
    /// mart, or nothing says it.
    ///
    /// # Errors
    ///
    /// A log that cannot be read.
    pub fn made_from(&self, mart: &'static MartLayout) -> Result<Option<Value>> {
        let log = self.log(mart);
        for version in log.versions()?.into_iter().rev() {
            let actions = log.actions(version)?;
            if let Some(made_from) = commit_info(&actions).and_then(|info| info.info.get(MADE_FROM))
            {
                return Ok(Some(made_from.clone()));
            }
        }
        Ok(None)
    }

    /// Takes a mart away, with its log: it cannot be read, and is made anew.
    ///
    /// # Errors
    ///
    /// Files that cannot be moved or deleted; a link, which may lead out of the lake.
    pub fn drop_mart(&self, mart: &'static MartLayout) -> Result<()> {
        let folder = self.folder(mart);
        if let Ok(mut known) = self.known.lock() {
            known.remove(&folder);
        }
        if Log::new(&folder).is_there() {
            let scratch = self.scratch()?;
            self.drop_table(&folder, MART_DAY, &scratch.join(mart.name))?;
        }
        Ok(())
    }
}

/// A plan over those rows of a mart that are to be kept, with the columns of its answer, in any
/// order.
///
/// # Errors
///
/// A file that is not where it should be.
pub fn rows(mart: &Snapshot, keep: Vec<Expr>) -> Result<LazyFrame> {
    let names: Vec<_> = mart.layout.stored().iter_names().map(|name| col(name.clone())).collect();
    let rows = keep.into_iter().fold(mart.scan()?, LazyFrame::filter);
    Ok(rows.select(names))
}
