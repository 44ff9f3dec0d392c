//! Writes synthetic rows into a lake, parsed and stored as a load does, without export files. The
//! caller generates the rows.
//!
//! ```text
//! 2025-05-01   CSV of one day in memory → parsed → sorted → staged; one joint commit of all days
//! ```

use std::sync::Mutex;

use chrono::NaiveDate;
use polars::prelude::*;
use serde_json::json;
use wabalake_data::Table;
use wabalake_data::cells::phone::Phones;

use super::buckets::stack;
use super::chunk_parser::ChunkParser;
use super::day::date;
use super::encoding::Transcoder;
use super::header::Header;
use super::merge::sorted;
use super::progress::Progress;
use super::records::Splitter;
use super::report::TableReport;
use super::staged_columns::ORIGIN;
use crate::error::{Error, Result};
use crate::lake::{Change, Joint, LOAD_ID, Lake, Operation, Snapshot, StagedFile, Staging};

/// Names the columns of the rows of a table, in their order.
pub type NameColumns = fn(&Table) -> Vec<&'static str>;

/// Appends the rows of a table on one UTC day as CSV: the columns of [`NameColumns`], delimiter
/// `,`, UTF-8, no header. Each row must be valid.
pub type WriteDay<'w> = dyn Fn(&Table, NaiveDate, &mut Vec<u8>) + Sync + 'w;

/// Fills empty tables of a lake with rows of some days: all of the tables, or none.
///
/// # Errors
///
/// A table that already has rows.
pub fn fill(
    lake: &Lake,
    tables: &[&'static Table],
    days: &[NaiveDate],
    columns: NameColumns,
    write_day: &WriteDay<'_>,
) -> Result<Vec<TableReport>> {
    let locked = lake.lock_tables(tables)?;
    for (table, snapshot) in tables.iter().zip(lake.snapshots(tables.iter().copied())?) {
        refuse_rows(table, &snapshot)?;
    }
    let load_id = uuid::Uuid::new_v4().to_string();
    let joint = locked.begin(Operation::Load, &load_id, None, tables)?;
    let fill = |table: &&'static Table| {
        fill_table(lake, (&joint, &load_id), table, days, columns, write_day)
    };
    let filled = tables.iter().map(fill).collect();
    joint.end(filled)
}

/// Refuses a table that has rows.
fn refuse_rows(table: &Table, snapshot: &Snapshot) -> Result<()> {
    match snapshot.rows() {
        0 => Ok(()),
        _ => Err(Error::usage(format!("the lake has {} already", table.name))
            .hint("name a folder that does not exist yet")),
    }
}

fn fill_table(
    lake: &Lake,
    (joint, load_id): (&Joint<'_>, &str),
    table: &'static Table,
    days: &[NaiveDate],
    columns: NameColumns,
    write_day: &WriteDay<'_>,
) -> Result<TableReport> {
    let mut report = TableReport { table: table.name, ..TableReport::default() };
    let transacted = joint.transact(table, |snapshot, staging| {
        refuse_rows(table, snapshot)?;
        let add = stage_days(lake, staging, (table, &columns(table)), days, write_day)?;
        report.days = add.iter().filter_map(StagedFile::day).collect();
        let info = [("made_up".to_owned(), json!(true)), (LOAD_ID.to_owned(), json!(load_id))];
        let info = info.into_iter().collect();
        Ok(Some(Change { add, info, ..Change::new(Operation::Load) }))
    })?;
    report.version = transacted.version;
    Ok(report)
}

/// Writes the rows of all days to staged files.
fn stage_days(
    lake: &Lake,
    staging: &Staging,
    (table, columns): (&'static Table, &[&str]),
    days: &[NaiveDate],
    write_day: &WriteDay<'_>,
) -> Result<Vec<StagedFile>> {
    let header = Header::read(table.name, &columns.join(","), b',', Some(table), &[])?;
    let progress = Progress::days(table.name, days.len() as u64, false);
    let days = Mutex::new(days.iter());
    let phones = Phones::default();
    let keep_out = lake.keep_out()?;
    let written = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                let parser = ChunkParser::new(&header, chrono_tz::Tz::UTC, 1, &phones);
                let mut parser = parser.keeping_out(keep_out.as_ref());
                let mut csv = Vec::new();
                loop {
                    let Some(&day) = days.lock().ok().and_then(|mut days| days.next()) else {
                        return;
                    };
                    csv.clear();
                    write_day(table, day, &mut csv);
                    let file = stage_day(&mut parser, &csv, table, staging);
                    progress.advance(1);
                    let Ok(mut written) = written.lock() else { return };
                    written.push(file);
                }
            });
        }
    });
    let written = written.into_inner().map_err(|_| Error::bug("a thread failed"))?;
    let mut files = Vec::new();
    for file in written {
        files.extend(file?);
    }
    files.sort_by_key(StagedFile::day);
    Ok(files)
}

/// Parses the CSV of one day and writes its rows to a staged file; no file if there are no rows.
fn stage_day(
    parser: &mut ChunkParser<'_>,
    csv: &[u8],
    table: &Table,
    staging: &Staging,
) -> Result<Vec<StagedFile>> {
    let mut splitter = Splitter::new(csv, Transcoder::new(encoding_rs::UTF_8), b',');
    let mut rows: Vec<DataFrame> = Vec::new();
    let mut day = None;
    while let Some(chunk) = splitter.next_chunk()? {
        let mut parts = Vec::new();
        parser.parse_chunk(&chunk, &mut |parsed| parts.push(parsed));
        for parsed in parts {
            let parsed = parsed?;
            if let Some(reject) = parsed.rejects.first() {
                let reason = format!("a synthetic row of {}: {}", table.name, reject.reason);
                return Err(Error::bug(reason));
            }
            for (of, part) in parsed.days {
                day = Some(of);
                rows.push(part);
            }
        }
    }
    let Some(day) = day else { return Ok(Vec::new()) };
    let rows = sorted(table, stack(rows)?)?.drop(ORIGIN)?;
    Ok(vec![staging.write(date(day), rows)?])
}
