//! Commits the staged rows of a load: one commit per table replaces the files of changed days. A
//! conflict merges again.

use std::collections::BTreeSet;

use serde_json::json;

use super::merge::ByFile;
use super::merge_days::{MergeAttempt, MergedDays};
use super::options::Options;
use super::report::TableReport;
use super::staged::{StagedExport, StagedTable};
use crate::error::Result;
use crate::lake::{Change, Joint, LOAD_ID, Lake, Operation, Snapshot, Staging};

/// Merges and commits the staged rows of all tables together: readers see all of them or none.
pub(crate) fn commit(
    lake: &Lake,
    staged: &mut [StagedTable],
    load_id: &str,
    options: &Options,
) -> Result<Vec<TableReport>> {
    let tables: Vec<_> = staged.iter().map(|staged| staged.table).collect();
    let locked = lake.lock_tables(&tables)?;
    let mut changed = Vec::new();
    for (staged, known) in staged.iter().zip(lake.snapshots(tables.iter().copied())?) {
        let is_loaded = |file: &StagedExport| known.transaction(&file.report.file_id).is_loaded();
        if !staged.files.iter().all(is_loaded) {
            changed.push(staged.table);
        }
    }
    let joint = locked.begin(Operation::Load, load_id, None, &changed)?;
    let commit = |staged| commit_table(&joint, staged, load_id, options);
    let reports = staged.iter_mut().map(commit).collect();
    joint.end(reports)
}

/// Reports what [`commit`] would do.
pub(crate) fn dry_run(
    lake: &Lake,
    staged: &mut [StagedTable],
    options: &Options,
) -> Result<Vec<TableReport>> {
    let report = |staged: &mut StagedTable| {
        let table = staged.table;
        let days = merge_onto(&lake.snapshot(table)?, staged, None, options)?.days;
        Ok(TableReport { table: table.name, days, ..TableReport::default() })
    };
    staged.iter_mut().map(report).collect()
}

fn commit_table(
    joint: &Joint<'_>,
    staged: &mut StagedTable,
    load_id: &str,
    options: &Options,
) -> Result<TableReport> {
    let mut report = TableReport { table: staged.table.name, ..TableReport::default() };
    let transacted = joint.transact(staged.table, |snapshot, staging| {
        let merged = merge_onto(snapshot, staged, Some(staging), options)?;
        if merged.transactions.is_empty() {
            return Ok(None);
        }
        report.days = merged.days;
        let files = staged.files.iter().filter(|file| !file.report.already_loaded);
        let files: Vec<_> = files.map(|file| json!(file.report)).collect();
        Ok(Some(Change {
            transactions: merged.transactions,
            remove: merged.remove,
            add: merged.add,
            info: [(LOAD_ID.to_owned(), json!(load_id)), ("files".to_owned(), files.into())]
                .into_iter()
                .collect(),
            ..Change::new(Operation::Load)
        }))
    })?;
    report.version = transacted.version.filter(|_| transacted.is_committed);
    Ok(report)
}

/// Merges the staged rows of files that are not loaded yet with those of a snapshot, and notes the
/// counts in the reports of the files. Writes no files in a dry run, which has no staging.
fn merge_onto(
    snapshot: &Snapshot,
    staged: &mut StagedTable,
    staging: Option<&Staging>,
    options: &Options,
) -> Result<MergedDays> {
    let mut transactions = Vec::new();
    let mut live = BTreeSet::new();
    for (origin, file) in (1..).zip(&mut staged.files) {
        let known = snapshot.transaction(&file.report.file_id);
        file.report.already_loaded = known.is_loaded();
        if !known.is_loaded() {
            live.insert(origin);
            transactions.push((file.report.file_id.clone(), known.next()));
        }
    }
    if live.is_empty() {
        return Ok(MergedDays::default());
    }
    let merged = MergeAttempt { staged, snapshot, live: &live, staging, options }.run()?;
    for (origin, file) in (1..).zip(&mut staged.files) {
        let figure = |counts: &ByFile| counts.get(&origin).copied().unwrap_or(0);
        let report = &mut file.report;
        let counts = &merged.counts;
        report.rows_new = figure(&counts.new);
        report.rows_updated = figure(&counts.updated);
        report.rows_superseded = figure(&counts.superseded);
        report.rows_added_up = figure(&counts.added_up);
        report.rows_folded = figure(&counts.folded);
        let taken = report.rows_read + report.rows_spread;
        let left_out = report.rows_left_out + report.rows_kept_out + report.rows_repeated_header;
        let good = taken - report.rows_rejected - left_out;
        let stay = report.rows_new + report.rows_updated;
        let joined = report.rows_superseded + report.rows_added_up + report.rows_folded;
        report.rows_unchanged = good - stay - joined;
    }
    Ok(MergedDays { transactions, ..merged })
}
