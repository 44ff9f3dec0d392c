//! Computes and commits tables without the person.

use std::collections::HashSet;

use polars::prelude::*;
use serde_json::Map;
use wabalake_data::Table;
use wabalake_data::tables::UTC_DAY;

use super::rows::{FileAge, Roles};
use super::target::Target;
use super::{ErasedTable, Options};
use crate::error::{Error, Result};
use crate::lake::{Change, Commit, Lake, Operation, Snapshot, Staging};

/// How often a table is searched again after a commit conflict.
const TRIES: usize = 100;

/// The result of searching a table.
pub(super) struct TableSearch {
    /// `None` if nothing changes.
    pub(super) revision: Option<Revision>,
    /// Hashes of the people whose rows are erased.
    pub(super) people: HashSet<i64>,
    /// Rows of others that keep an id with the number in it.
    pub(super) named: u64,
    /// Files that stay and have the number in their statistics: it is part of another row's id.
    pub(super) kept_bounds: HashSet<String>,
}

/// A table without the person, ready to commit.
pub(super) struct Revision {
    pub(super) table: &'static Table,
    pub(super) snapshot: Snapshot,
    pub(super) change: Change,
    pub(super) report: ErasedTable,
    /// Deletes the staged files when dropped, unless they were committed.
    pub(super) _staging: Staging,
}

impl Lake {
    /// Computes a table without the person.
    pub(super) fn revise(
        &self,
        table: &'static Table,
        target: &Target,
        options: Options,
    ) -> Result<TableSearch> {
        let snapshot = self.snapshot(table)?;
        // Without a lock: this process has locked out all others.
        let staging = Staging::new(table.into(), self.folder(table), None);
        let roles = Roles::of(table);
        let mut report = ErasedTable { table: table.name, ..ErasedTable::default() };
        let (mut remove, mut add) = (Vec::new(), Vec::new());
        let (mut people, mut named, mut kept_bounds) = (HashSet::new(), 0, HashSet::new());
        for file in &snapshot.files {
            let searched =
                roles.redact(texts(snapshot.scan_files(&[file])?)?, target, FileAge::Current)?;
            named += searched.named;
            if searched.is_as_before() {
                if target.number.is_bound_of(file) {
                    kept_bounds.insert(file.path.clone());
                }
                continue;
            }
            let rows = snapshot.scan_files(&[file])?.collect()?.drop(UTC_DAY)?;
            let redacted = roles.redact(rows, target, FileAge::Current)?;
            report.rows += redacted.gone;
            report.redacted += redacted.changed;
            people.extend(redacted.people);
            remove.push(file.path.clone());
            if redacted.rows.height() > 0 && !options.dry_run {
                add.push(staging.write(file.day, redacted.rows)?);
            }
        }
        if !remove.is_empty() {
            snapshot.check_replaceable()?;
        }
        let change = Change {
            operation: Operation::Erase,
            transactions: Vec::new(),
            remove,
            add,
            info: Map::new(),
            data_change: true,
        };
        let found = report.rows + report.redacted > 0;
        let revision =
            found.then_some(Revision { table, snapshot, change, report, _staging: staging });
        Ok(TableSearch { revision, people, named, kept_bounds })
    }

    pub(super) fn commit_revision(
        &self,
        revision: Revision,
        target: &Target,
        options: Options,
    ) -> Result<Option<u64>> {
        let mut next = revision;
        for _ in 0..TRIES {
            let Revision { table, snapshot, change, _staging, .. } = next;
            if let Commit::Done(version) = self.commit(&snapshot, change)? {
                return Ok(Some(version));
            }
            match self.revise(table, target, options)?.revision {
                Some(revision) => next = revision,
                None => return Ok(snapshot.version),
            }
        }
        Err(Error::lake("the lake was changed by others too often while erasing")
            .hint("run the same command again: it goes on where this one stopped"))
    }
}

/// The text columns of a scan.
pub(super) fn texts(scan: LazyFrame) -> Result<DataFrame> {
    let mut scan = scan;
    let schema = scan.collect_schema()?;
    let wanted = schema.iter().filter(|(_, of)| **of == DataType::String);
    let wanted: Vec<Expr> = wanted.map(|(name, _)| col(name.clone())).collect();
    Ok(scan.select(wanted).collect()?)
}
