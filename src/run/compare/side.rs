//! One side of a comparison: the tables as of a version or an instant.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, SecondsFormat, Utc};
use polars::prelude::DataFrame;
use wabalake_data::{TABLES, Table};
use wabalake_queries::query::{Question, Tables};

use super::AsOfOption;
use crate::error::{Error, Result};
use crate::lake::{AsOf, Lake};
use crate::marts::{Fingerprint, PinnedTable, PinnedTables};

/// The tables as of a version or an instant.
#[derive(Debug)]
pub(super) struct Side<'l> {
    lake: &'l Lake,
    asked: AsOfOption,
    tables: PinnedTables<'l>,
}

/// A table whose version can no longer be read; `None` if the version is not known either.
type Gone = (&'static Table, Option<u64>);

impl<'l> Side<'l> {
    pub(super) fn of(lake: &'l Lake, asked: AsOfOption) -> Self {
        let tables = PinnedTables::of(lake, asked.as_of.clone());
        Self { lake, asked, tables }
    }

    pub(super) fn lake(&self) -> &'l Lake {
        self.lake
    }

    /// One table at its version.
    pub(super) fn table(&self, table: &'static Table) -> Result<Arc<PinnedTable>> {
        self.tables.table(table)
    }

    pub(super) fn fingerprint(&self, table: &'static Table) -> Result<Fingerprint> {
        self.tables.fingerprint(table)
    }

    /// The rows of the table of loaded files.
    pub(super) fn loads(&self) -> Result<DataFrame> {
        self.tables.loads()
    }

    /// Scans of the tables that a question reads.
    pub(super) fn scans(&self, question: &Question) -> Result<Tables> {
        self.tables.tables(question)
    }

    /// Checks that the files of some tables, as far as a question reads them, are kept.
    ///
    /// # Errors
    /// Files that were deleted; a table that cannot be read.
    pub(super) fn check(&self, question: &Question, tables: &[&'static Table]) -> Result<()> {
        if self.asked.as_of == AsOf::Now {
            return Ok(());
        }
        let mut gone = Vec::new();
        for table in tables.iter().copied().filter(|table| TABLES.contains(table)) {
            gone.extend(self.gone(question, table)?);
        }
        if gone.is_empty() { Ok(()) } else { Err(self.error_of(&gone)?) }
    }

    fn gone(&self, question: &Question, table: &'static Table) -> Result<Option<Gone>> {
        let pinned = match self.table(table) {
            Ok(pinned) => pinned,
            Err(error) => {
                let version = match &self.asked.as_of {
                    AsOf::Versions(versions) => versions.get(table.name).copied(),
                    AsOf::Now | AsOf::Instant(_) => None,
                };
                let is_before = |oldest: u64| version.is_none_or(|version| version < oldest);
                let has_whole_log = self.lake.has_whole_log(table).unwrap_or(true);
                let is_gone = !has_whole_log
                    && self.lake.oldest_kept(table)?.is_some_and(|kept| is_before(kept.version));
                return if is_gone { Ok(Some((table, version))) } else { Err(error) };
            }
        };
        let snapshot = &pinned.snapshot;
        let is_kept = match snapshot.version {
            Some(_) => {
                let files = snapshot.files_in_range(table.day_of, question.instants(table));
                self.lake.are_kept(snapshot, &files)?
            }
            // It did not exist, unless its first commits are gone.
            None => self.lake.has_whole_log(table)?,
        };
        Ok((!is_kept).then_some((table, snapshot.version)))
    }

    /// The error for versions that are gone. It names the oldest ones that are kept.
    fn error_of(&self, gone: &[Gone]) -> Result<Error> {
        let (mut lost, mut shown) = (Vec::new(), Vec::new());
        let mut kept = BTreeMap::new();
        for &(table, version) in gone {
            let name = table.name;
            lost.push(match version {
                Some(version) => format!("version {version} of `{name}`"),
                None => format!("an old version of `{name}`"),
            });
            if let Some(oldest) = self.lake.oldest_kept(table)? {
                let at = written(oldest.time);
                shown.push(format!("version {} of `{name}`, committed at {at}", oldest.version));
                kept.insert(name, oldest);
            }
        }
        let option = self.asked.option;
        let again = match &self.asked.as_of {
            AsOf::Versions(versions) => {
                let versions = versions.iter().map(|(name, version)| {
                    let version = kept.get(name).map_or(*version, |oldest| oldest.version);
                    format!("{name}={version}")
                });
                versions.collect::<Vec<_>>().join(",")
            }
            AsOf::Now | AsOf::Instant(_) => {
                let latest = kept.values().map(|oldest| oldest.time).max();
                latest.map(written).unwrap_or_default()
            }
        };
        Ok(Error::lake(format!("files of {} were deleted", lost.join(" and ")))
            .found(format!("the oldest that is kept is {}", shown.join(", and ")))
            .hint(format!(
                "write `{option} {again}` or later; `--retain-days` of `wabalake vacuum`, or `days` under \
                 [retention] in wabalake.toml, says how long replaced files are kept"
            )))
    }
}

/// An instant as the options take it, exactly as the log has it.
fn written(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}
