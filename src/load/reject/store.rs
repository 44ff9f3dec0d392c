//! Commits rejects to the table `rejects`.

use std::collections::HashSet;

use chrono::Utc;
use polars::prelude::*;
use serde_json::json;

use super::resolve::Resolutions;
use crate::error::Result;
use crate::lake::rejects::{self, REJECTS};
use crate::lake::{Change, LOAD_ID, Lake, Loaded, Operation, Snapshot, Staging};
use crate::load::buckets::stack;
use crate::load::staged::StagedLoad;

/// Commits the rejects of a load, and resolves rejects whose rows are in the load or in the lake.
/// Returns the version of the table.
pub(crate) fn commit(lake: &Lake, staged: &StagedLoad, load_id: &str) -> Result<Option<u64>> {
    if let Some(known) = lake.read_before(&(&REJECTS).into())?
        && known.files.is_empty()
        && !concerns_rejects(staged)
    {
        return Ok(known.version);
    }
    let why = WriteReason::Loaded(load_id);
    let files = staged.file_ids().collect();
    let write = |now: &Snapshot, staging: &Staging| write(lake, staged, &why, &files, now, staging);
    Ok(lake.transact(&REJECTS, write)?.version)
}

/// Commits the rejects of files that are not loaded, in place of their earlier rejects. Resolves
/// none.
pub(crate) fn keep(lake: &Lake, staged: &StagedLoad, files: &HashSet<&str>) -> Result<()> {
    let why = WriteReason::Refused;
    lake.transact(&REJECTS, |now, staging| write(lake, staged, &why, files, now, staging))?;
    Ok(())
}

/// Resolves rejects that other loads committed meanwhile, and whose rows are in this load: neither
/// load saw the rows of the other.
pub(crate) fn settle(
    lake: &Lake,
    staged: &StagedLoad,
    load_id: &str,
    known: Option<u64>,
) -> Result<()> {
    let why = WriteReason::Loaded(load_id);
    // Another load may have looked for these rows before they were committed.
    lake.transact(&REJECTS, |now, staging| match now.version == known {
        true => Ok(None),
        false => write(lake, staged, &why, &HashSet::new(), now, staging),
    })?;
    Ok(())
}

/// Why rejects are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WriteReason<'a> {
    /// A load with this id.
    Loaded(&'a str),
    /// Files that are not loaded.
    Refused,
}

/// The change that updates the resolutions of all rejects and writes the rejects of the given files;
/// `None` without rejects, since nothing would count.
fn write(
    lake: &Lake,
    staged: &StagedLoad,
    why: &WriteReason<'_>,
    replaced: &HashSet<&str>,
    snapshot: &Snapshot,
    staging: &Staging,
) -> Result<Option<Change>> {
    if snapshot.files.is_empty() && !concerns_rejects(staged) {
        return Ok(None);
    }
    let now = Utc::now();
    let mut change = Change::new(Operation::Load);
    if let WriteReason::Loaded(load_id) = why {
        change.info.insert(LOAD_ID.to_owned(), json!(load_id));
    }
    let mut resolutions = Resolutions::of(lake, snapshot, staged, why, replaced)?;
    for file in &snapshot.files {
        let rows = snapshot.scan_files(&[file])?.collect()?;
        let (kept, changed) = without(rows, replaced)?;
        resolutions.note(&kept)?;
        let (kept, marked) = resolutions.put(kept, false, now.timestamp_micros())?;
        if changed || marked {
            change.remove.push(file.path.clone());
            if kept.height() > 0 {
                let kept = kept.drop(wabalake_data::tables::UTC_DAY)?;
                change.add.push(staging.write(file.day, kept)?);
            }
        }
    }
    for table in &staged.tables {
        for (origin, file) in (1..).zip(&table.files) {
            let origin_of_file = rejects::RejectOrigin {
                file_id: &file.report.file_id,
                file: &file.report.file,
                kind: table.table.name,
                header: &file.header.written,
                delimiter: file.header.delimiter,
                at: now,
            };
            if !replaced.contains(origin_of_file.file_id) {
                continue;
            }
            if *why == WriteReason::Refused {
                let kept = rejects::kept(table.table.name, origin_of_file.file_id);
                change.transactions.push((kept, Loaded(1)));
            }
            let mut write = |rows: DataFrame| -> Result<()> {
                let rows = rejects::complete(rows, &origin_of_file)?;
                resolutions.note(&rows)?;
                let (rows, _) = resolutions.put(rows, true, now.timestamp_micros())?;
                change.add.push(staging.write(Some(now.date_naive()), rows)?);
                Ok(())
            };
            let mut waiting = Vec::new();
            let mut height = 0;
            table.rejects.read(origin, None, |rows| {
                height += rows.height();
                waiting.push(rows);
                if height < 100_000 {
                    return Ok(());
                }
                height = 0;
                write(stack(std::mem::take(&mut waiting))?)
            })?;
            if !waiting.is_empty() {
                write(stack(waiting)?)?;
            }
        }
    }
    if let Some(awaited) = resolutions.awaited(now)? {
        change.add.push(staging.write(Some(now.date_naive()), awaited)?);
    }
    Ok((!change.add.is_empty() || !change.remove.is_empty()).then_some(change))
}

/// Returns `true` if files of a load have rejects, or rows that are corrected ones.
fn concerns_rejects(staged: &StagedLoad) -> bool {
    let mut files = staged.tables.iter().flat_map(|table| &table.files);
    files.any(|file| file.report.rows_rejected > 0 || !file.corrected.is_empty())
}

/// Drops the rejects of files that are loaded again. Returns `true` if there were any.
fn without(rejects: DataFrame, replaced: &HashSet<&str>) -> Result<(DataFrame, bool)> {
    let owners = rejects.column(rejects::FILE_ID)?.str()?;
    let stays: BooleanChunked =
        owners.iter().map(|owner| owner.is_none_or(|owner| !replaced.contains(owner))).collect();
    if stays.all() {
        return Ok((rejects, false));
    }
    Ok((rejects.filter(&stays)?, true))
}
