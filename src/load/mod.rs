//! Loads exports into the tables of a lake.
//!
//! ```text
//! general_sessions_report.csv.gz
//!   │ source        decompress; hash the content (already loaded?); detect the encoding
//!   │ file_format   CSV, JSON or spreadsheet; header: delimiter, table, position of each column
//!   │ reader        chunks of whole records, in any file format; a file of webhooks feeds several tables
//!   │ spelling      date order and decimal mark of each column, from all of its cells
//!   │ chunk_parser  records to typed rows, on every core ──► rejects: file, record, line, column, reason, raw
//!   │ erased        rows of erased persons on the keep-out list are dropped and counted
//!   │ buckets       rows by UTC day, spilled to disk when they are many; key_days: their keys
//!   │ sums          parts of one amount in one file are added up
//!   │ renormalise   persons of rows in the lake, by the current phone rules
//!   │ merge         staged rows with the lake's, day by day: one row per key, the newer state
//!   │ fold          one row per key of what several rows know of it, in tables that fold
//!   ▼ transaction   one commit replaces the files of the days that changed; a conflict merges again
//! lake/tables/sessions/utc_day=2025-06-01/….parquet
//! ```
//!
//! Memory is bounded by the buckets' budget and the rows of a few days, not by the size of files.
//!
//! A load that reads nothing fails. A file named on the command line is an error if it has records
//! and none is valid; a load of folders and archives is an error if no record in any file is valid.
//! Then the rejects are committed, and no rows. Files that the lake already has count as valid, and
//! so do rows of erased persons, files whose records are all left out (totals, other events) and
//! files with only a header.

mod buckets;
mod cell;
mod chunk;
mod chunk_parser;
mod csv;
pub(crate) mod day;
pub mod direct;
mod disk_full;
mod encoding;
mod erased;
mod erased_links;
mod erased_sessions;
mod fields;
mod file_format;
mod fold;
pub(crate) mod folder;
mod foreign;
mod header;
mod ingest;
mod json;
mod json_value;
mod key_days;
mod key_hash;
mod limits;
mod merge;
mod merge_days;
mod meta;
mod options;
mod pending;
pub(crate) mod person;
pub(crate) mod progress;
mod rate_card;
mod read_file;
mod reader;
mod recognise;
mod records;
mod redact;
mod reject;
mod renormalise;
pub mod report;
mod rows;
mod sheet;
mod source;
mod spelling;
mod staged;
mod staged_columns;
mod sums;
#[cfg(test)]
mod tests;
mod text;
mod transaction;
mod upgrade;
mod wide;
mod window;

use std::collections::{BTreeMap, HashSet};
use std::iter;
use std::path::{Path, PathBuf};
use std::time::Instant;

use wabalake_data::words::{counted, counted_as, grouped, plural};

use self::folder::FileState;
pub use self::options::Options;
pub use self::reject::{ExportedRejects, export as export_rejects};
pub use self::report::{Failure, FileReport, LoadReport, RejectReport, SkippedFile, TableReport};
pub(crate) use self::sheet::THREAD as SHEET_THREAD;
pub use self::source::matches;
use self::source::{Downloads, FoundSources, SourceSearch};
use self::staged::{StagedExport, StagedLoad};
#[cfg(test)]
pub(crate) use self::upgrade::upgrade_table;
pub use self::upgrade::{UpgradedTable, upgrade};
pub use self::wide::WideOptions;
pub use self::window::{NamePattern, Period, Window, Windows};
use crate::error::{Error, Result};
use crate::lake::{Lake, Scratch};

/// Loads exports into a lake: all of them, or none. With [`Options::per_file`] each file is a load
/// of its own, and the report lists those that failed.
///
/// # Errors
///
/// A file that cannot be read, is not a recognised export, or has no valid record; more rejects
/// than the options allow; a lake that cannot be written. Nothing is committed then, except the
/// rejects of files without a valid record, and except other files with [`Options::per_file`].
pub fn load(lake: &Lake, files: &[PathBuf], options: &Options) -> Result<LoadReport> {
    load_as_seen(lake, files, &BTreeMap::new(), options)
}

/// Like [`load`]; a file that differs from its state in `seen` is an error.
pub(crate) fn load_as_seen(
    lake: &Lake,
    files: &[PathBuf],
    seen: &BTreeMap<PathBuf, FileState>,
    options: &Options,
) -> Result<LoadReport> {
    let started = Instant::now();
    let full = |error| disk_full::explain(error, lake, &[], options);
    let scratch = if options.dry_run { Scratch::outside() } else { lake.scratch() };
    let scratch = scratch.map_err(full)?;
    let how = SourceSearch { spool_in: &scratch, seen, per_file: options.per_file };
    let FoundSources { sources, objects, skipped, failed } =
        FoundSources::by(files, how).map_err(full)?;
    let mut report = LoadReport { failed, passed_over: skipped, ..LoadReport::default() };
    let downloads = Downloads::new(objects, how, options.quiet);
    if options.per_file {
        let mut load_each = |found: FoundSources| {
            report.passed_over.extend(found.skipped);
            report.failed.extend(found.failed);
            for source in found.sources {
                let name = source.name.clone();
                let one = iter::once(Ok(FoundSources::of_sources(vec![source])));
                match load_sources(lake, one, &scratch, options) {
                    Ok(one) => report.absorb(one),
                    Err(error) => report.failed.push(Failure::of(name, &lake.explain(error))),
                }
            }
        };
        load_each(FoundSources::of_sources(sources));
        let mut lost = Vec::new();
        for (name, found) in downloads {
            match found.map_err(full) {
                Ok(found) => load_each(found),
                Err(error) => lost.push(Failure::of(name, &error)),
            }
        }
        report.failed.extend(lost);
    } else {
        let here = iter::once(Ok(FoundSources::of_sources(sources)));
        let batches = here.chain(downloads.map(|(_, found)| found));
        let one = load_sources(lake, batches, &scratch, options)?;
        report.load_id.clone_from(&one.load_id);
        report.absorb(one);
    }
    check_passed_over(&report, files)?;
    report.dry_run = options.dry_run;
    report.bytes = report.total(|file| file.bytes);
    report.seconds = started.elapsed().as_secs_f64();
    Ok(report)
}

/// Loads sources with one commit per table.
fn load_sources(
    lake: &Lake,
    batches: impl Iterator<Item = Result<FoundSources>>,
    scratch: &Path,
    options: &Options,
) -> Result<LoadReport> {
    let staged = ingest::stage(batches, lake, scratch, options);
    let mut staged = staged.map_err(|error| disk_full::explain(error, lake, &[], options))?;
    check_rejects(&staged, options)?;
    refuse_without_rows(lake, &staged, options)?;
    let mut report = LoadReport::default();
    commit_all(lake, &mut staged, &mut report, options)
        .map_err(|error| disk_full::explain(error, lake, &staged.tables, options))?;
    report.passed_over.append(&mut staged.skipped);
    report.files = staged.into_reports();
    for file in report.files.iter_mut().filter(|file| !file.already_loaded) {
        file.load_id.clone_from(&report.load_id);
    }
    Ok(report)
}

/// Commits staged rows of all tables together, and their rejects.
fn commit_all(
    lake: &Lake,
    staged: &mut StagedLoad,
    report: &mut LoadReport,
    options: &Options,
) -> Result<()> {
    let load_id = uuid::Uuid::new_v4().to_string();
    if staged.tables.iter().any(|table| !table.files.is_empty()) {
        report.load_id = (!options.dry_run).then(|| load_id.clone());
        let rejected = match options.dry_run {
            true => None,
            false => {
                lake.add_to_keep_out(&staged.kept_out_persons, &staged.kept_out_sessions)?;
                Some(reject::commit(lake, staged, &load_id)?)
            }
        };
        report.tables = match options.dry_run {
            true => transaction::dry_run(lake, &mut staged.tables, options)?,
            false => transaction::commit(lake, &mut staged.tables, &load_id, options)?,
        };
        if let Some(version) = rejected {
            reject::settle(lake, staged, &load_id, version)?;
        }
    }
    Ok(())
}

/// Fails if no file was loaded.
fn check_passed_over(report: &LoadReport, files: &[PathBuf]) -> Result<()> {
    if !report.files.is_empty() || !report.failed.is_empty() {
        return Ok(());
    }
    let names = files.iter().map(|file| format!("`{}`", file.display())).collect::<Vec<_>>();
    let error = Error::data(format!("there is no export in {}", names.join(", ")))
        .hint("name the folder or the archive that the exports are in");
    let Some(first) = report.passed_over.first() else { return Err(error) };
    let more = match report.passed_over.len() - 1 {
        0 => String::new(),
        more => format!(", and {} more skipped", grouped(more as u64)),
    };
    Err(error.found(format!("`{}`: {}{more}", first.file, first.reason)))
}

/// Fails if a file has no valid record. Commits the rejects of such files, and nothing else.
fn refuse_without_rows(lake: &Lake, staged: &StagedLoad, options: &Options) -> Result<()> {
    let files = staged.without_rows();
    let Some(first) = files.first() else { return Ok(()) };
    let report = &first.report;
    let name = &report.file;
    let is_first = |file: &&&StagedExport| file.place == first.place;
    let records = files.iter().filter(is_first).map(|file| file.report.rows_read).sum();
    let places: HashSet<usize> = files.iter().map(|file| file.place).collect();
    let others = match places.len() - 1 {
        0 => String::new(),
        1 => ", and 1 more file has no valid record".to_owned(),
        more => format!(", and {} more files have no valid record", grouped(more as u64)),
    };
    let what = match records {
        _ if first.is_unrecognised && !report.left_out_by_kind.is_empty() => {
            format!("`{name}` has no webhook of Meta or Treble")
        }
        _ if first.is_unrecognised => {
            format!("`{name}` has no object with fields of {}", report.table)
        }
        1 => format!("the only record of `{name}` is invalid"),
        _ => {
            format!("none of the {} of `{name}` is valid", counted(records, "record"))
        }
    };
    let mut error = Error::data(format!("{what}{others}: nothing was loaded"));
    let rejects = files.iter().flat_map(|file| file.first_rejects());
    let rejects = rejects.take(5).collect::<Vec<_>>().join("; ");
    if !rejects.is_empty() {
        error = error.found(rejects);
    } else if first.needs_rows {
        let [one, many] = first.header.table.skipped;
        error = error.found(counted_as(report.rows_left_out, one, many));
    }
    let fix = if first.is_unrecognised {
        json_value::where_records_are()
    } else {
        "fix it or export it again, and load it again".to_owned()
    };
    if options.dry_run || staged.rejected() == 0 {
        return Err(error.hint(fix));
    }
    let ids = files.iter().map(|file| file.report.file_id.as_str()).collect();
    reject::keep(lake, staged, &ids)?;
    let lake = lake.place().shown();
    Err(error.hint(format!("{fix}; `wabalake rejects --lake {lake}` shows its rejects")))
}

/// Fails if there are more rejects than the options allow.
fn check_rejects(staged: &StagedLoad, options: &Options) -> Result<()> {
    let rejected = staged.rejected();
    let most = if options.strict { Some(0) } else { options.max_rejects };
    if most.is_none_or(|most| rejected <= most) {
        return Ok(());
    }
    let rows = counted(rejected, "row");
    let were = plural(rejected, "was", "were");
    let error = Error::data(format!("{rows} {were} rejected: nothing was loaded"))
        .found(staged.first_rejects(5).join("; "));
    Err(match options.strict {
        true => error.hint("fix them, or load without `--strict` to keep them as rejects"),
        false => error.hint("fix them, or raise `--max-rejects`"),
    })
}
