//! Rows that cannot be taken: where they were, why not, what they said, and how they come back.
//!
//! ```text
//! load a.csv      record 7: `session_started_timestamp`: not a date and time   → table rejects
//! rejects --export mended.csv      the record under its header, with a column that names it
//! load mended.csv                  once its rows are committed, the reject is resolved
//! ```
//!
//! In whatever order files are loaded, and in however many loads, the same rejects are open: a file's
//! rejects are held against what the lake has, its rows against the rejects that are open.
//!
//! Rejects are written before the rows of their load. They count only once that load is committed
//! (`crate::lake::rejects`), so a load that dies in between leaves nothing to see, and its retry
//! writes them anew. Those of a file of which nothing can be taken count by themselves: no load of
//! it will be committed.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::io::Write;

use chrono::{DateTime, Utc};
use polars::prelude::*;
use rayon::prelude::*;
use serde_json::json;
use wabalake_data::Table;
use wabalake_data::tables::instant;

use super::buckets::stack;
use super::commit::date;
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
    /// Where a row with that key would lie in the lake.
    pub(crate) place: Option<Place>,
}

/// Where the lake has a row of some key, if it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Its value in the column of the table that stands for the key, where there is one.
    pub(crate) hash: Option<i64>,
    /// Its UTC day, as far as it is known.
    pub(crate) day: i32,
}

impl Place {
    const HASH: &'static str = "__hash";
    const DAY: &'static str = "__day";
    const COLUMNS: [&'static str; 3] = [layout::ROW_KEY, Self::HASH, Self::DAY];

    /// The places of the keys of rejects.
    fn read(rejects: &DataFrame) -> PolarsResult<HashMap<i64, Self>> {
        let [keys, hashes] = [layout::ROW_KEY, Self::HASH].map(|name| rejects.column(name));
        let days = rejects.column(Self::DAY)?.i32()?;
        let each = keys?.i64()?.iter().zip(hashes?.i64()?.iter()).zip(days.iter());
        let places = each.filter_map(|((key, hash), day)| Some((key?, Self { hash, day: day? })));
        Ok(places.collect())
    }
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
    let places = || rejects.iter().map(|reject| reject.place);
    let hashes: Vec<Option<i64>> = places().map(|place| place?.hash).collect();
    let days: Vec<Option<i32>> = places().map(|place| place.map(|place| place.day)).collect();
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
            Column::new(Place::HASH.into(), hashes),
            Column::new(Place::DAY.into(), days),
        ],
    )
}

/// Writes the rejects of a load's files, and marks those whose rows it brings or the lake has.
/// Gives the version of the table since.
pub(crate) fn commit(lake: &Lake, staged: &Staged, load_id: &str) -> Result<Option<u64>> {
    let _turn = lake.lock_table(&layout::REJECTS)?;
    write(lake, staged, &Why::Loaded(load_id), &staged.file_ids().collect())
}

/// Writes the rejects of files of which nothing is loaded, in the place of those that they left
/// before. None of a load's rows is there to resolve any.
pub(crate) fn keep(lake: &Lake, staged: &Staged, files: &HashSet<&str>) -> Result<()> {
    let _turn = lake.lock_table(&layout::REJECTS)?;
    write(lake, staged, &Why::Refused, files).map(drop)
}

/// Marks rejects that others wrote while a load was under way, and whose rows it brought: neither
/// saw the other's rows.
pub(crate) fn settle(
    lake: &Lake,
    staged: &Staged,
    load_id: &str,
    known: Option<u64>,
) -> Result<()> {
    // Whoever writes now may have looked for these rows before they were there.
    let _turn = lake.lock_table(&layout::REJECTS)?;
    if lake.snapshot(&layout::REJECTS)?.version != known {
        write(lake, staged, &Why::Loaded(load_id), &HashSet::new())?;
    }
    Ok(())
}

/// What rejects are written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why<'a> {
    /// A load, by its name.
    Loaded(&'a str),
    /// Files that are not loaded.
    Refused,
}

/// Marks all rejects anew; those of the files named are written too.
fn write(lake: &Lake, staged: &Staged, why: &Why<'_>, anew: &HashSet<&str>) -> Result<Option<u64>> {
    const TRIES: usize = 100;
    let table = &layout::REJECTS;
    for _ in 0..TRIES {
        let snapshot = lake.snapshot(table)?;
        let staging = lake.staging(table)?;
        let now = Utc::now();
        let mut change = Change {
            operation: Operation::Load,
            transactions: Vec::new(),
            remove: Vec::new(),
            add: Vec::new(),
            info: serde_json::Map::new(),
            data_change: true,
        };
        if let Why::Loaded(load_id) = why {
            change.info.insert("load_id".to_owned(), json!(load_id));
        }
        let mut marks = Marks::of(lake, &snapshot, staged, why, anew)?;
        for file in &snapshot.files {
            let rows = snapshot.scan_files(&[file])?.collect()?;
            let (kept, changed) = without(rows, anew)?;
            marks.note(&kept)?;
            let (kept, marked) = marks.put(kept, false, now.timestamp_micros())?;
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
                let origin_of_file = layout::RejectOrigin {
                    file_id: &file.report.file_id,
                    file: &file.report.file,
                    kind: table.table.name,
                    header: &file.header.written,
                    delimiter: file.header.delimiter,
                    at: now,
                };
                if !anew.contains(origin_of_file.file_id) {
                    continue;
                }
                if *why == Why::Refused {
                    let kept = layout::kept(table.table.name, origin_of_file.file_id);
                    change.transactions.push((kept, 1));
                }
                let mut write = |rows: DataFrame| -> Result<()> {
                    let rows = layout::complete(rows, &origin_of_file)?;
                    marks.note(&rows)?;
                    let (rows, _) = marks.put(rows, true, now.timestamp_micros())?;
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
        if let Some(awaited) = marks.awaited(now)? {
            change.add.push(staging.write(Some(now.date_naive()), awaited)?);
        }
        if change.add.is_empty() && change.remove.is_empty() {
            // Without rejects there is nothing that would count.
            return Ok(snapshot.version);
        }
        match lake.commit(table, &snapshot, change)? {
            Commit::Done(version) => return Ok(Some(version)),
            Commit::Conflict => {}
        }
    }
    Err(Error::lake("the rejects were changed by others too often while loading")
        .hint("load the same files again: what is loaded already stays as it is"))
}

/// Which file resolves which reject.
#[derive(Default)]
struct Marks {
    /// Files that are loaded, with their tables: marks by others do not count.
    loaded: HashSet<(&'static str, String)>,
    /// By the reject's name, the table and the file that mends it.
    named: HashMap<String, (&'static str, String)>,
    /// Of them, those that are not there.
    missing: HashSet<String>,
    /// By table and key, the files of the load that have a row with it.
    keyed: HashMap<(&'static str, i64), Vec<String>>,
    /// Tables and keys of rows that the lake had before.
    there: HashSet<(&'static str, i64)>,
    /// Marks of rejects that are written anew, by name.
    before: HashMap<String, String>,
}

impl Marks {
    fn of(
        lake: &Lake,
        rejects: &Snapshot,
        staged: &Staged,
        why: &Why<'_>,
        anew: &HashSet<&str>,
    ) -> Result<Self> {
        let mut marks = Self::default();
        let open = layout::open_keys(lake, rejects)?;
        for table in wabalake_data::TABLES {
            let snapshot = lake.snapshot(*table)?;
            marks.loaded.extend(snapshot.loaded().map(|file| (table.name, file.to_owned())));
        }
        let brings_rows = *why != Why::Refused;
        for table in &staged.tables {
            let name = table.table.name;
            for file in table.files.iter().filter(|_| brings_rows) {
                for mended in &file.mended {
                    let by = (name, file.report.file_id.clone());
                    marks.named.insert(mended.clone(), by);
                }
            }
            let mut wanted: HashSet<i64> = open.get(name).cloned().unwrap_or_default();
            let mut places = HashMap::new();
            for (origin, file) in (1..).zip(&table.files) {
                if anew.contains(file.report.file_id.as_str()) {
                    table.rejects.read(origin, Some(&Place::COLUMNS), |rows| {
                        places.extend(Place::read(&rows)?);
                        Ok(())
                    })?;
                }
            }
            wanted.extend(places.keys());
            if brings_rows && !wanted.is_empty() {
                marks.find_staged(table, &wanted)?;
            }
            if !places.is_empty() {
                let found = in_lake(lake, table.table, &places)?;
                marks.there.extend(found.into_iter().map(|key| (name, key)));
            }
        }
        marks.missing = marks.named.keys().filter(|name| is_name(name)).cloned().collect();
        if !anew.is_empty() {
            marks.remember(rejects, anew)?;
        }
        Ok(marks)
    }

    /// Finds the files of a load that have rows with some keys.
    fn find_staged(&mut self, staged: &StagedTable, wanted: &HashSet<i64>) -> Result<()> {
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
                    let files = self.keyed.entry((table.name, key)).or_default();
                    if !files.contains(&file.report.file_id) {
                        files.push(file.report.file_id.clone());
                    }
                }
                Ok(())
            })?;
        }
        // Whichever order they were named in.
        self.keyed.values_mut().for_each(|files| files.sort_unstable());
        Ok(())
    }

    /// Keeps the marks of rejects that are written anew.
    fn remember(&mut self, rejects: &Snapshot, anew: &HashSet<&str>) -> Result<()> {
        let columns = [layout::FILE_ID, layout::RECORD, layout::RESOLVED_BY].map(col);
        let rows = rejects.scan()?.select(columns).collect()?;
        let owners = rows.column(layout::FILE_ID)?.str()?;
        let records = rows.column(layout::RECORD)?.i64()?;
        let by = rows.column(layout::RESOLVED_BY)?.str()?;
        for ((owner, record), by) in owners.iter().zip(records.iter()).zip(by.iter()) {
            let (Some(owner), Some(record), Some(by)) = (owner, record, by) else { continue };
            // Whether the lake has the row is seen anew.
            if anew.contains(owner) && by != owner {
                self.before.insert(name(owner, record), by.to_owned());
            }
        }
        Ok(())
    }

    /// Takes note of rejects that are there.
    fn note(&mut self, rejects: &DataFrame) -> Result<()> {
        if self.missing.is_empty() {
            return Ok(());
        }
        let owners = rejects.column(layout::FILE_ID)?.str()?;
        let records = rejects.column(layout::RECORD)?.i64()?;
        for (owner, record) in owners.iter().zip(records.iter()) {
            if let (Some(owner), Some(record)) = (owner, record) {
                self.missing.remove(&name(owner, record));
            }
        }
        Ok(())
    }

    /// The file that resolves a reject; a row of a file resolves none of its own rejects.
    fn resolver(&self, owner: &str, record: i64, kind: &str, key: Option<i64>) -> Option<&str> {
        let name = name(owner, record);
        if let Some((_, file)) = self.named.get(&name) {
            return Some(file);
        }
        let table = wabalake_data::table(kind)?;
        let row = key.map(|key| (table.name, key));
        let mut staged = row.and_then(|row| self.keyed.get(&row)).into_iter().flatten();
        if let Some(file) = staged.find(|file| *file != owner) {
            return Some(file);
        }
        let before = self.before.get(&name).filter(|by| self.counts(kind, by));
        before.map(String::as_str)
    }

    /// Whether a row with the key of a reject was in the lake before its file.
    fn was_there(&self, kind: &str, key: Option<i64>) -> bool {
        let row = wabalake_data::table(kind).zip(key).map(|(table, key)| (table.name, key));
        row.is_some_and(|row| self.there.contains(&row))
    }

    fn counts(&self, kind: &str, by: &str) -> bool {
        wabalake_data::table(kind)
            .is_some_and(|table| self.loaded.contains(&(table.name, by.to_owned())))
    }

    /// Marks rejects that are resolved, and are not yet; those that are new by what the lake had
    /// before their file too. Says whether anything changed.
    fn put(&self, rejects: DataFrame, are_new: bool, now: i64) -> Result<(DataFrame, bool)> {
        let owners = rejects.column(layout::FILE_ID)?.str()?;
        let records = rejects.column(layout::RECORD)?.i64()?;
        let kinds = rejects.column(layout::KIND)?.str()?;
        let keys = rejects.column(layout::ROW_KEY)?.i64()?;
        let mut resolved =
            rejects.column(layout::RESOLVED)?.cast(&DataType::Int64)?.i64()?.to_vec();
        let mut by: Vec<Option<String>> = rejects
            .column(layout::RESOLVED_BY)?
            .str()?
            .iter()
            .map(|file| file.map(str::to_owned))
            .collect();
        let mut changed = false;
        let each = owners.iter().zip(records.iter()).zip(kinds.iter()).zip(keys.iter());
        for (row, (((owner, record), kind), key)) in each.enumerate() {
            let (Some(owner), Some(record), Some(kind)) = (owner, record, kind) else { continue };
            // A mark by a load that was never committed, or was undone, gives way. Another stays:
            // the load that is found now may be taken back, and the first still has the row.
            let stays = |by: &String| by == owner || self.counts(kind, by);
            if by[row].as_ref().is_some_and(stays) {
                continue;
            }
            let here = || (are_new && self.was_there(kind, key)).then_some(owner);
            if let Some(file) = self.resolver(owner, record, kind, key).or_else(here) {
                (resolved[row], by[row]) = (Some(now), Some(file.to_owned()));
                changed = true;
            }
        }
        if !changed {
            return Ok((rejects, false));
        }
        let mut rejects = rejects.clone();
        let resolved = Column::new(layout::RESOLVED.into(), resolved).cast(&instant())?;
        rejects.with_column(resolved)?;
        rejects.with_column(Column::new(layout::RESOLVED_BY.into(), by))?;
        Ok((rejects, true))
    }

    /// Rows that stand for rejects which are mended before their file is loaded: no file, no
    /// record, only a name and its mark. They count once that file is loaded, which writes them
    /// anew.
    fn awaited(&self, now: DateTime<Utc>) -> Result<Option<DataFrame>> {
        let mut names: Vec<&String> = self.missing.iter().collect();
        names.sort_unstable();
        let mut rows = Vec::new();
        for name in names {
            let (Some((owner, record)), Some((kind, by))) =
                (name.split_once(':'), self.named.get(name))
            else {
                continue;
            };
            let reject = Reject {
                record: record.parse().unwrap_or_default(),
                line: 0,
                column: None,
                reason: "mended before it was loaded".to_owned(),
                raw: String::new(),
                key: None,
                session: None,
                place: None,
            };
            let origin = layout::RejectOrigin {
                file_id: owner,
                file: "",
                kind,
                header: "",
                delimiter: b',',
                at: now,
            };
            let row = layout::complete(frame(vec![reject])?, &origin)?;
            rows.push((row, by));
        }
        if rows.is_empty() {
            return Ok(None);
        }
        let by: Vec<&str> = rows.iter().map(|(_, by)| by.as_str()).collect();
        let by = Column::new(layout::RESOLVED_BY.into(), by);
        let mut rows = stack(rows.into_iter().map(|(row, _)| row).collect())?;
        let resolved = vec![now.timestamp_micros(); rows.height()];
        rows.with_column(Column::new(layout::RESOLVED.into(), resolved).cast(&instant())?)?;
        rows.with_column(by)?;
        Ok(Some(rows))
    }
}

/// How a mended row names its reject.
fn name(file_id: &str, record: i64) -> String {
    format!("{file_id}:{record}")
}

/// Whether a text is the name of a reject, there or not.
fn is_name(text: &str) -> bool {
    text.split_once(':').is_some_and(|(file_id, record)| {
        let is_hash = file_id.len() == 32 && file_id.bytes().all(|b| b.is_ascii_hexdigit());
        is_hash && record.parse::<u32>().is_ok()
    })
}

/// Of keys with their places, those of rows that the lake has.
fn in_lake(
    lake: &Lake,
    table: &'static Table,
    places: &HashMap<i64, Place>,
) -> Result<HashSet<i64>> {
    let snapshot = lake.snapshot(table)?;
    if let Some(hash) = table.key_hash() {
        let keys: HashMap<i64, i64> =
            places.iter().filter_map(|(key, place)| Some((place.hash?, *key))).collect();
        let found: Vec<Vec<i64>> = snapshot
            .files
            .par_iter()
            .map(|file| {
                let hashes = snapshot.integers(file, hash)?;
                Ok(hashes.iter().filter_map(|hash| keys.get(hash).copied()).collect())
            })
            .collect::<Result<_>>()?;
        return Ok(found.into_iter().flatten().collect());
    }
    // The key carries the time, so its day alone can have the row.
    let days: BTreeSet<i32> = places.values().map(|place| place.day).collect();
    let columns: Vec<Expr> = table.key.iter().map(|name| col(*name)).collect();
    let mut found = HashSet::new();
    for day in days {
        for file in snapshot.files_of(date(day)) {
            let rows = snapshot.scan_files(&[file])?.select(&columns).collect()?;
            let keys = key_hash(table, &rows)?.into_iter();
            found.extend(keys.filter(|key| places.contains_key(key)));
        }
    }
    Ok(found)
}

/// Leaves out the rejects of files that are being loaded again. Says whether there were any.
fn without(rejects: DataFrame, anew: &HashSet<&str>) -> Result<(DataFrame, bool)> {
    let owners = rejects.column(layout::FILE_ID)?.str()?;
    let stays: BooleanChunked =
        owners.iter().map(|owner| owner.is_none_or(|owner| !anew.contains(owner))).collect();
    if stays.all() {
        return Ok((rejects, false));
    }
    Ok((rejects.filter(&stays)?, true))
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
    let fold = wabalake_data::cells::normalise_header;
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
