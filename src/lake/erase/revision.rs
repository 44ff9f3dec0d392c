//! Computes and commits tables without the person.

use std::collections::HashSet;
use std::sync::Arc;

use wabalake_data::Table;
use wabalake_data::tables::UTC_DAY;

use super::rows::{FileAge, Roles};
use super::search::{StoredTable, each_file, texts};
use super::target::Target;
use super::{ErasedTable, Options};
use crate::error::Result;
use crate::lake::transact::Base;
use crate::lake::{Change, Lake, Operation, Snapshot, Staging};

/// The result of searching a table.
#[derive(Default)]
pub(super) struct TableSearch {
    /// `None` if nothing changes.
    change: Option<Change>,
    report: ErasedTable,
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
    _staging: Staging,
}

impl Lake {
    /// Computes a table without the person; `None` if nothing changes.
    pub(super) fn revise(
        &self,
        StoredTable { table, snapshot, .. }: &StoredTable,
        target: &Target,
        options: Options,
    ) -> Result<(Option<Revision>, TableSearch)> {
        // Without a lock: this process has locked out all others.
        let staging = Staging::new((*table).into(), Arc::clone(self.place()), None);
        let mut found = search(table, snapshot, &staging, target, options)?;
        let revision = found.change.take().map(|change| Revision {
            table,
            snapshot: snapshot.clone(),
            change,
            report: found.report.clone(),
            _staging: staging,
        });
        Ok((revision, found))
    }

    /// Commits a revision. If others changed the table since, it is computed again.
    pub(super) fn commit_revision(
        &self,
        revision: Revision,
        target: &Target,
        options: Options,
    ) -> Result<Option<u64>> {
        let Revision { table, snapshot, change, _staging, .. } = revision;
        let mut known = Some(change);
        let transacted =
            self.transact_locked(&table.into(), Base::Newest, false, |now, staging| {
                match known.take().filter(|_| now.version == snapshot.version) {
                    Some(change) => Ok(Some(change)),
                    None => Ok(search(table, now, staging, target, options)?.change),
                }
            })?;
        Ok(transacted.version)
    }
}

/// Searches one version of a table for the person.
fn search(
    table: &'static Table,
    snapshot: &Snapshot,
    staging: &Staging,
    target: &Target,
    options: Options,
) -> Result<TableSearch> {
    let roles = Roles::of(table);
    let mut found = TableSearch::default();
    let mut change = Change::new(Operation::Erase);
    let report = &mut found.report;
    report.table = table.name;
    each_file(snapshot, &snapshot.files.iter().collect::<Vec<_>>(), |file, scan| {
        let searched = roles.redact(texts(scan.clone())?, target, FileAge::Current)?;
        found.named += searched.named;
        if searched.is_as_before() {
            if target.number.is_bound_of(file) {
                found.kept_bounds.insert(file.path.clone());
            }
            return Ok(());
        }
        let rows = scan.collect()?.drop(UTC_DAY)?;
        let redacted = roles.redact(rows, target, FileAge::Current)?;
        report.rows += redacted.gone;
        report.redacted += redacted.changed;
        found.people.extend(redacted.people);
        change.remove.push(file.path.clone());
        if redacted.rows.height() > 0 && !options.dry_run {
            change.add.push(staging.write(file.day, redacted.rows)?);
        }
        Ok(())
    })?;
    if !change.remove.is_empty() {
        snapshot.check_replaceable()?;
    }
    found.change = (report.rows + report.redacted > 0).then_some(change);
    Ok(found)
}
