//! Rows that cannot be taken: where they were, why not, what they said, and how they come back.
//!
//! ```text
//! load a.csv      record 7: `session_started_timestamp`: not a date and time   → table rejects
//! rejects --export mended.csv      the record under its header, with a column that names it
//! load mended.csv                  once its rows are committed, the reject is resolved
//! ```
//!
//! Rejects are written before the rows of their load. They count only once that load is committed
//! (`crate::lake::rejects`), so a load that dies in between leaves nothing to see, and its retry
//! writes them anew.

use std::collections::{HashMap, HashSet};
use std::io::Write;

use polars::prelude::*;
use serde_json::json;
use wabalake_data::Table;
use wabalake_data::tables::instant;

use super::buckets::stack;
use super::header::MENDED;
use super::records::Fields;
use super::stage::{Staged, StagedTable};
use super::typing::{ORIGIN, key_hash};
use crate::error::{Error, Result};
use crate::lake::rejects as layout;
use crate::lake::{Change, Commit, Lake, Operation, Snapshot};
use crate::render::{GUARD, guarded, unguarded};

/// One record that was set aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reject {
    /// Its number in the file; the first after the header is 1.
    pub(crate) record: u64,
    /// The line it begins on; the first is 1.
    pub(crate) line: u64,
    /// The column that cannot be read, if it is one column's fault.
    pub(crate) column: Option<&'static str>,
    /// What is wrong, without what it says.
    pub(crate) reason: String,
    /// The record as it stands in the file.
    pub(crate) raw: String,
    /// The hash of its natural key, as far as it could be read.
    pub(crate) key: Option<i64>,
    /// Its session, where somebody is kept out of the lake and it does not tell whose it is.
    pub(crate) session: Option<String>,
}

/// The session of a reject until it is committed.
pub(crate) const SESSION: &str = "__session";

/// Rejects of one chunk as columns.
pub(crate) fn frame(rejects: Vec<Reject>) -> PolarsResult<DataFrame> {
    let number = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    let height = rejects.len();
    let records: Vec<i64> = rejects.iter().map(|reject| number(reject.record)).collect();
    let lines: Vec<i64> = rejects.iter().map(|reject| number(reject.line)).collect();
    let columns: Vec<Option<&str>> = rejects.iter().map(|reject| reject.column).collect();
    let reasons: Vec<&str> = rejects.iter().map(|reject| reject.reason.as_str()).collect();
    let raws: Vec<&str> = rejects.iter().map(|reject| reject.raw.as_str()).collect();
    let sessions: Vec<Option<&str>> =
        rejects.iter().map(|reject| reject.session.as_deref()).collect();
    let keys: Vec<Option<i64>> = rejects.iter().map(|reject| reject.key).collect();
    DataFrame::new(
        height,
        vec![
            Column::new(layout::RECORD.into(), records),
            Column::new(layout::LINE.into(), lines),
            Column::new(layout::COLUMN.into(), columns),
            Column::new(layout::REASON.into(), reasons),
            Column::new(layout::RAW.into(), raws),
            Column::new(layout::ROW_KEY.into(), keys),
            Column::new(SESSION.into(), sessions),
        ],
    )
}

/// Writes the rejects of a load's files, and marks those of earlier loads whose rows it brings.
pub(crate) fn commit(lake: &Lake, staged: &Staged, load_id: &str) -> Result<()> {
    const TRIES: usize = 100;
    let table = &layout::REJECTS;
    let _turn = lake.take_turn(table)?;
    for _ in 0..TRIES {
        let snapshot = lake.snapshot(table)?;
        let staging = lake.staging(table)?;
        let now = chrono::Utc::now();
        let mut change = Change {
            operation: Operation::Load,
            transactions: Vec::new(),
            remove: Vec::new(),
            add: Vec::new(),
            info: [("load_id".to_owned(), json!(load_id))].into_iter().collect(),
            data_change: true,
        };
        let found = brought(lake, &snapshot, staged)?;
        let file_ids: HashSet<&str> = staged.file_ids().collect();
        for file in &snapshot.files {
            let rows = snapshot.scan_files(&[file])?.collect()?;
            let (kept, changed) = revise(rows, &file_ids, &found, now.timestamp_micros())?;
            if changed {
                change.remove.push(file.path.clone());
                if kept.height() > 0 {
                    let kept = kept.drop(wabalake_data::tables::UTC_DAY)?;
                    change.add.push(staging.write(file.day, kept)?);
                }
            }
        }
        for table in &staged.tables {
            for (origin, file) in (1..).zip(&table.files) {
                let mut write = |rows: DataFrame| -> Result<()> {
                    let rows = layout::complete(
                        rows,
                        &layout::Origin {
                            file_id: &file.report.file_id,
                            file: &file.report.file,
                            kind: table.table.name,
                            header: &file.header.written,
                            delimiter: file.header.delimiter,
                            at: now,
                        },
                    )?;
                    let (rows, _) = revise(rows, &HashSet::new(), &found, now.timestamp_micros())?;
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
        if change.add.is_empty() && change.remove.is_empty() {
            return Ok(());
        }
        match lake.commit(table, &snapshot, change)? {
            Commit::Done(_) => return Ok(()),
            Commit::Conflict => {}
        }
    }
    Err(Error::data("the rejects were changed by others too often while loading")
        .hint("nothing was loaded: load the same files again"))
}

/// What a load brings that earlier rejects wait for.
#[derive(Default)]
struct Brought {
    /// By the reject's name, the file that mends it.
    named: HashMap<String, String>,
    /// By table and key, the files that have a row with it.
    keyed: HashMap<(&'static str, i64), Vec<String>>,
}

impl Brought {
    /// The file that resolves a reject; a file does not resolve its own.
    fn resolver(&self, file_id: &str, record: i64, kind: &str, key: Option<i64>) -> Option<&str> {
        if let Some(file) = self.named.get(&name(file_id, record)) {
            return Some(file);
        }
        let table = wabalake_data::table(kind)?;
        let files = self.keyed.get(&(table.name, key?))?;
        files.iter().map(String::as_str).find(|file| *file != file_id)
    }
}

/// How a mended row names its reject.
fn name(file_id: &str, record: i64) -> String {
    format!("{file_id}:{record}")
}

fn brought(lake: &Lake, snapshot: &Snapshot, staged: &Staged) -> Result<Brought> {
    let mut brought = Brought::default();
    let open = layout::open_keys(lake, snapshot)?;
    for table in &staged.tables {
        for file in &table.files {
            for name in &file.mended {
                brought.named.insert(name.clone(), file.report.file_id.clone());
            }
        }
        let mut wanted: HashSet<i64> = open.get(table.table.name).cloned().unwrap_or_default();
        for (origin, _) in (1..).zip(&table.files) {
            table.rejects.read(origin, Some(&[layout::ROW_KEY]), |rows| {
                wanted.extend(rows.column(layout::ROW_KEY)?.i64()?.iter().flatten());
                Ok(())
            })?;
        }
        if !wanted.is_empty() {
            find_keys(table, &wanted, &mut brought)?;
        }
    }
    Ok(brought)
}

fn find_keys(staged: &StagedTable, wanted: &HashSet<i64>, brought: &mut Brought) -> Result<()> {
    let table: &'static Table = staged.table;
    let mut columns = table.key.to_vec();
    columns.push(ORIGIN);
    for day in staged.rows.days() {
        staged.rows.read(day, Some(&columns), |rows| {
            let origins = rows.column(ORIGIN)?.i32()?;
            for (key, origin) in key_hash(table, &rows)?.into_iter().zip(origins.iter()) {
                if !wanted.contains(&key) {
                    continue;
                }
                let place = usize::try_from(origin.unwrap_or(1) - 1).unwrap_or(0);
                let Some(file) = staged.files.get(place) else { continue };
                let files = brought.keyed.entry((table.name, key)).or_default();
                if !files.contains(&file.report.file_id) {
                    files.push(file.report.file_id.clone());
                }
            }
            Ok(())
        })?;
    }
    Ok(())
}

/// Leaves out the rows of files that are being loaded again, and marks those that are resolved.
/// Says whether anything changed.
fn revise(
    rows: DataFrame,
    file_ids: &HashSet<&str>,
    found: &Brought,
    now: i64,
) -> Result<(DataFrame, bool)> {
    let owners = rows.column(layout::FILE_ID)?.str()?;
    let stays: BooleanChunked =
        owners.iter().map(|owner| owner.is_none_or(|owner| !file_ids.contains(owner))).collect();
    let mut changed = !stays.all();
    let rows = if changed { rows.filter(&stays)? } else { rows };

    let owners = rows.column(layout::FILE_ID)?.str()?;
    let records = rows.column(layout::RECORD)?.i64()?;
    let kinds = rows.column(layout::KIND)?.str()?;
    let keys = rows.column(layout::ROW_KEY)?.i64()?;
    let mut resolved = rows.column(layout::RESOLVED)?.cast(&DataType::Int64)?.i64()?.to_vec();
    let mut by: Vec<Option<String>> = rows
        .column(layout::RESOLVED_BY)?
        .str()?
        .iter()
        .map(|file| file.map(str::to_owned))
        .collect();
    let each = owners.iter().zip(records.iter()).zip(kinds.iter()).zip(keys.iter());
    for (row, (((owner, record), kind), key)) in each.enumerate() {
        let (Some(owner), Some(record), Some(kind)) = (owner, record, kind) else { continue };
        if let Some(file) = found.resolver(owner, record, kind, key) {
            // A mark by a load that was never committed, or was undone, gives way too.
            (resolved[row], by[row]) = (Some(now), Some(file.to_owned()));
            changed = true;
        }
    }
    let mut rows = rows.clone();
    let resolved = Column::new(layout::RESOLVED.into(), resolved).cast(&instant())?;
    rows.with_column(resolved)?;
    rows.with_column(Column::new(layout::RESOLVED_BY.into(), by))?;
    Ok((rows, changed))
}

/// Writes rejects as a CSV under their exports' own headers, with the column `wabalake_reject`
/// that names each. All must be of one kind of export with one header. Returns how many.
///
/// Unless cells are to be exact, those that a spreadsheet would calculate are guarded, and so is the
/// name of each reject, which tells a load to take the guards away. What takes them all away before,
/// as some spreadsheets do, takes that one too.
pub fn export(rejects: &DataFrame, is_exact: bool, out: &mut impl Write) -> Result<usize> {
    let headers = rejects.column(layout::HEADER)?.str()?;
    let raws = rejects.column(layout::RAW)?.str()?;
    let delimiters = rejects.column(layout::DELIMITER)?.str()?;
    let owners = rejects.column(layout::FILE_ID)?.str()?;
    let records = rejects.column(layout::RECORD)?.i64()?;
    let Some(header) = headers.get(0) else { return Ok(0) };
    let mut names = Vec::new();
    let mut fields = Fields::new(b',');
    fields.read(header, header.contains('"'), b',', &mut names);
    let names: Vec<String> =
        names.into_iter().filter(|name| *name != MENDED).map(str::to_owned).collect();
    let written = |cell: &String| {
        let cell = if is_exact { cell.into() } else { guarded(cell) };
        quoted(&cell)
    };
    let mut line: Vec<String> = names.iter().map(written).collect();
    line.push(MENDED.to_owned());
    writeln!(out, "{}", line.join(","))?;
    let guard = if is_exact { String::new() } else { GUARD.to_string() };
    for row in 0..rejects.height() {
        let theirs = headers.get(row).unwrap_or_default();
        let delimiter = delimiters.get(row).and_then(|d| d.bytes().next()).unwrap_or(b',');
        let raw = raws.get(row).unwrap_or_default();
        let cells = under(&names, theirs, raw, delimiter);
        let mut line: Vec<String> = cells.iter().map(written).collect();
        let name = name(owners.get(row).unwrap_or_default(), records.get(row).unwrap_or(0));
        line.push(format!("{guard}{name}"));
        writeln!(out, "{}", line.join(","))?;
    }
    Ok(rejects.height())
}

/// A record's cells in the order of other names. Where it has too many fields, the rest goes to
/// the last cell, so that nothing is lost to the person who mends it.
fn under(names: &[String], header: &str, raw: &str, delimiter: u8) -> Vec<String> {
    let mut theirs = Vec::new();
    let mut fields = Fields::new(b',');
    fields.read(header, header.contains('"'), b',', &mut theirs);
    let mut cells = Vec::new();
    let mut fields = Fields::new(delimiter);
    let unclosed = raw.matches('"').count() % 2 == 1;
    fields.read(raw, raw.contains('"') && !unclosed, delimiter, &mut cells);
    take_name(&mut theirs, &mut cells);
    let fold = wabalake_data::tables::fold_header;
    let place = |name: &String| theirs.iter().position(|theirs| fold(theirs) == fold(name));
    let mut found: Vec<String> = names
        .iter()
        .map(|name| {
            place(name).and_then(|at| cells.get(at)).copied().unwrap_or_default().to_owned()
        })
        .collect();
    if raw.starts_with('{') && cells.len() != theirs.len() {
        // An object of JSON that could not be read has no cells to speak of.
        found.fill(String::new());
        if let Some(last) = found.last_mut() {
            raw.clone_into(last);
        }
        return found;
    }
    if let (Some(last), Some(rest)) = (found.last_mut(), cells.get(theirs.len()..)) {
        for cell in rest {
            last.push(char::from(delimiter));
            last.push_str(cell);
        }
    }
    found
}

/// Takes the name of its reject, and the guards if that has one, from a record that was exported
/// before.
fn take_name(header: &mut Vec<&str>, cells: &mut Vec<&str>) {
    let Some(at) = header.iter().position(|name| *name == MENDED) else { return };
    // A record with too many fields still ends in it.
    let is_last = at + 1 == header.len();
    let place = if is_last { cells.len().saturating_sub(1).max(at) } else { at };
    header.remove(at);
    if place < cells.len() && cells.remove(place).starts_with(GUARD) {
        for cell in cells {
            *cell = unguarded(cell);
        }
    }
}

/// A cell as CSV writes it.
pub(crate) fn quoted(cell: &str) -> String {
    if cell.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell.to_owned()
    }
}
