//! Parses chunks of records into typed rows and rejects.
//!
//! ```text
//! record  a1,2025-06-01 10:00:00,Inbound,+57,300 555 0101,4.0
//! cells   Text(a1) Stamp(…) Text(Inbound) Text(57) Owned(3005550101) Integer(4)
//! derive  user_phone Owned(573005550101)  country Text(CO)
//! row     appended to the column builders, or rejected with a reason
//! ```

use std::collections::BTreeMap;

use chrono::NaiveDate;
use chrono_tz::Tz;
use polars::prelude::*;
use wabalake_data::Column as TableColumn;
use wabalake_data::cells::phone::Phones;
use wabalake_data::cells::{LostDigits, word};
use wabalake_data::tables::ad_spend::EXPORTED_ON;
use wabalake_data::tables::{Cell, CellKind, Fate, Row, Spread};
use wabalake_data::words::plural;
use xxhash_rust::xxh3::Xxh3;

use super::cell::{RecordFault, read_cell};
use super::chunk::{Chunk, Record};
use super::erased::{ErasedFilter, ErasedNames};
use super::fields::Fields;
use super::header::Header;
use super::key_hash::cell_key_hash;
use super::redact::without_marks;
use super::reject::{KeyPlace, Reject};
use super::rows::RowBuilder;
use super::spelling::Ballots;
use crate::lake::keep_out::KeepOut;
use crate::render::GUARD;

/// The result of a chunk.
pub(crate) struct ParsedChunk {
    /// Valid rows by UTC day: the columns of [`Table::stored`](wabalake_data::Table::stored) and
    /// the [staged columns](super::staged_columns).
    pub(crate) days: BTreeMap<i32, DataFrame>,
    pub(crate) rejects: Vec<Reject>,
    /// Names of rejects that its rows correct.
    pub(crate) corrected: Vec<String>,
    pub(crate) records: u64,
    /// Records with a timestamp that stands for "never".
    pub(crate) sentinels: u64,
    /// Records that are neither rows nor faulty.
    pub(crate) left_out: u64,
    /// Records of erased persons.
    pub(crate) kept_out: u64,
    /// What these name.
    pub(crate) left_names: ErasedNames,
    /// Records that repeat the header.
    pub(crate) headers: u64,
    /// Additional rows of records that span several days.
    pub(crate) spread: u64,
    /// The approximate size of its records in the file.
    pub(crate) bytes: usize,
    /// Evidence for the spelling of columns.
    pub(crate) ballots: Ballots,
    /// Records that wait for the spelling of columns.
    pub(crate) waiting: Option<Chunk>,
}

/// Parses the chunks of one file. Each thread has its own.
pub(crate) struct ChunkParser<'h> {
    header: &'h Header,
    zone: Tz,
    origin: i32,
    fields: Fields,
    phones: &'h Phones,
    has_stand_ins: bool,
    /// `true` if the spelling of all columns is known; otherwise unreadable records wait.
    is_spelled: bool,
    /// The indices of columns that have stamps or texts, which all of their cells decide.
    undecided: Vec<usize>,
    erased: Option<ErasedFilter<'h>>,
    /// The index and default of the cell with the date of the export.
    exported_on: Option<(usize, i32)>,
}

impl<'h> ChunkParser<'h> {
    /// Creates a parser that reads timestamps without an offset in `zone`, unless the table's are
    /// in UTC.
    pub(crate) fn new(header: &'h Header, zone: Tz, origin: i32, phones: &'h Phones) -> Self {
        let zone = if header.table.stamps_are_utc { Tz::UTC } else { zone };
        Self {
            header,
            zone,
            origin,
            fields: Fields::new(header.delimiter),
            phones,
            has_stand_ins: header.table.columns.iter().any(|column| column.fallback.is_some()),
            is_spelled: header.is_spelled(),
            undecided: header.undecided(),
            erased: None,
            exported_on: None,
        }
    }

    /// Sets the date of the export, for tables that store it.
    #[must_use]
    pub(crate) fn exported_on(self, date: Option<NaiveDate>) -> Self {
        let at = self.header.table.position(EXPORTED_ON);
        Self { exported_on: at.zip(date.map(|date| date.to_epoch_days())), ..self }
    }

    /// Drops rows of erased persons.
    #[must_use]
    pub(crate) fn keeping_out(self, keep_out: Option<&'h KeepOut>) -> Self {
        let erased = keep_out.and_then(|keep_out| ErasedFilter::new(keep_out, self.header.table));
        Self { erased, ..self }
    }

    /// Parses a chunk and passes the result to `take`, in several parts if its records span very
    /// many days.
    pub(crate) fn parse_chunk(
        &mut self,
        chunk: &Chunk,
        take: &mut dyn FnMut(PolarsResult<ParsedChunk>),
    ) {
        let table = self.header.table;
        let mut counts = ChunkCounts::default();
        let mut rows = RowBuilder::new(table, chunk.records.len(), self.origin);
        // Nearly every chunk is valid UTF-8; otherwise each record is checked.
        let text = std::str::from_utf8(&chunk.bytes).ok();
        for record in &chunk.records {
            let bytes = &chunk.bytes[record.start..record.end];
            let raw = match text {
                Some(text) => text.get(record.start..record.end),
                None => std::str::from_utf8(bytes).ok(),
            };
            let mut sentinel = false;
            let parsed = match chunk.broken.get(&record.number) {
                Some(reason) => Err(RecordFault::whole(reason)),
                None => self.parse_record(record, raw, &mut rows, &mut counts, &mut sentinel),
            };
            match parsed {
                Ok(()) => {}
                Err(_) if !self.is_spelled => {
                    counts.wait(chunk, record);
                    continue;
                }
                Err(fault) => self.reject(record, bytes, fault, &mut counts),
            }
            counts.records += 1;
            counts.bytes += bytes.len();
            counts.sentinels += u64::from(sentinel);
            if rows.height() >= MOST_ROWS {
                let full = std::mem::replace(&mut rows, RowBuilder::new(table, 0, self.origin));
                take(std::mem::take(&mut counts).with(full));
            }
        }
        take(counts.with(rows));
    }

    fn parse_record(
        &mut self,
        record: &Record,
        raw: Option<&str>,
        rows: &mut RowBuilder,
        counts: &mut ChunkCounts,
        sentinel: &mut bool,
    ) -> Result<(), RecordFault> {
        let header = self.header;
        let Some(raw) = raw else {
            return Err(RecordFault::whole("bytes that are not valid in the file's encoding"));
        };
        if record.unclosed {
            return Err(RecordFault::whole("a quote that is never closed"));
        }
        let mut fields = Vec::with_capacity(header.fields);
        self.fields.read(raw, record.quoted, header.delimiter, &mut fields);
        trim(header, &mut fields);
        if header.is_again(&fields) {
            counts.headers += 1;
            return Ok(());
        }
        check_width(header, &fields)?;
        header.unguard(&mut fields);
        let table = header.table;
        counts.ballots.count_forms(header, &fields, &self.undecided);
        let cells = read_cells(header, &fields, self.zone, sentinel);
        if cells.is_err() && !self.is_spelled {
            counts.ballots.count(header, &fields);
        }
        let mut cells = cells?;
        if let Some((at, date)) = self.exported_on
            && cells[at].is_null()
        {
            cells[at] = Cell::Date(date);
        }
        let (valid, fate) = derive(header, self.phones, &mut cells);
        match fate {
            Fate::Row | Fate::Spread(_) => {}
            Fate::Skipped => {
                counts.left_out += 1;
                return Ok(());
            }
            Fate::Rejected { column, reason } => {
                return Err(RecordFault { column: Some(column), reason: reason.to_owned() });
            }
        }
        if self.has_stand_ins {
            let is_null = |name| table.position(name).is_none_or(|at| cells[at].is_null());
            let missing = |(column, cell): &(&TableColumn, &Cell<'_>)| {
                column.required && cell.is_null() && column.fallback.is_some_and(is_null)
            };
            if let Some((column, _)) = table.columns.iter().zip(&cells).find(missing) {
                return Err(RecordFault::missing(column));
            }
        }
        if let Some(name) = header.reject_name.and_then(|at| word(fields[at])) {
            counts.corrected.push(name.trim_start_matches(GUARD).to_owned());
        }
        if let Some(erased) = &mut self.erased
            && erased.takes(&cells, &mut counts.left_names)
        {
            counts.kept_out += 1;
            return Ok(());
        }
        let record_hash = (!table.summed.is_empty()).then(|| hash_of(&fields, header.reject_name));
        match fate {
            Fate::Spread(Spread { days }) => {
                counts.spread += (days.len() as u64).saturating_sub(1);
                for differing in days {
                    for (at, cell) in differing {
                        cells[at] = cell;
                    }
                    rows.push(&cells, valid, record_hash);
                }
            }
            _ => rows.push(&cells, valid, record_hash),
        }
        Ok(())
    }

    /// Records a reject, unless the record is left out or belongs to an erased person. The key is
    /// read as far as possible: the reject is resolved when a row with that key is loaded.
    fn reject(
        &mut self,
        record: &Record,
        bytes: &[u8],
        fault: RecordFault,
        counts: &mut ChunkCounts,
    ) {
        let raw = String::from_utf8_lossy(bytes);
        let header = self.header;
        let mut fields = Vec::new();
        let quoted = record.quoted && !record.unclosed;
        self.fields.read(&raw, quoted, header.delimiter, &mut fields);
        trim(header, &mut fields);
        header.unguard(&mut fields);
        let mut cells = Vec::new();
        let columns = header.cells.iter().zip(&header.places).zip(&header.spellings);
        for ((column, place), spelling) in columns {
            let field = place.and_then(|place| fields.get(place)).copied().unwrap_or_default();
            let cell = read_cell(column, field, self.zone, *spelling, &mut false);
            cells.push(cell.unwrap_or_default());
        }
        // Totals have no id, but an id that lost its digits is an id.
        let lost = fault.column.filter(|_| fault.reason == LostDigits::REASON);
        let lost = lost.and_then(|column| header.table.position(column));
        let mut with_id = lost.map(|_| cells.clone());
        let (valid, mut fate) = derive(header, self.phones, &mut cells);
        if let (Some(with_id), Some(lost)) = (&mut with_id, lost) {
            with_id[lost] = match header.cells[lost].kind {
                // A number that is taken for one.
                CellKind::Phone | CellKind::FullPhone => Cell::Text("12025550140"),
                _ => Cell::Text(LostDigits::REASON),
            };
            fate = derive(header, self.phones, with_id).1;
        }
        // Otherwise fields may be shifted to other columns.
        let is_read = fault.column.is_some();
        if fate == Fate::Skipped && is_read {
            counts.left_out += 1;
            return;
        }
        let mut session = None;
        if let Some(erased) = &mut self.erased {
            let mut unsure = ErasedNames::default();
            let named = if is_read { &mut counts.left_names } else { &mut unsure };
            let tells = valid == Some(true) || (is_read && erased.tells(&cells));
            if erased.takes(&cells, named) || (!tells && erased.stands_in(&raw, self.phones)) {
                counts.kept_out += 1;
                return;
            }
            session = erased.session_alone(&cells).map(str::to_owned);
        }
        let table = header.table;
        let key = cell_key_hash(table, &cells);
        let place = key.map(|key| KeyPlace::of(table, &cells, key));
        counts.rejects.push(Reject {
            record: record.number,
            line: record.line,
            column: fault.column,
            reason: fault.reason,
            raw: raw.into_owned(),
            key,
            session,
            place,
        });
    }
}

/// Parses the cells of a record.
fn read_cells<'a>(
    header: &Header,
    fields: &[&'a str],
    zone: Tz,
    sentinel: &mut bool,
) -> Result<Vec<Cell<'a>>, RecordFault> {
    let mut cells = Vec::with_capacity(header.places.len());
    let columns = header.cells.iter().zip(&header.places).zip(&header.spellings);
    for ((column, place), spelling) in columns {
        let cell = match place.map_or("", |place| fields[place]) {
            "" => Cell::Null,
            field => read_cell(column, field, zone, *spelling, sentinel)?,
        };
        if cell.is_null() && column.required && column.fallback.is_none() {
            return Err(RecordFault::missing(column));
        }
        cells.push(cell);
    }
    Ok(cells)
}

/// Removes byte order marks before fields, and empty fields after the last column.
pub(super) fn trim(header: &Header, fields: &mut Vec<&str>) {
    for field in &mut *fields {
        *field = without_marks(field);
    }
    let surplus = fields.len().saturating_sub(header.fields);
    let empty = fields.iter().rev().take(surplus).take_while(|field| field.trim().is_empty());
    fields.truncate(fields.len() - empty.count());
}

/// Checks the number of fields of a record.
pub(super) fn check_width(header: &Header, fields: &[&str]) -> Result<(), RecordFault> {
    if fields.len() < header.titled {
        let (missing, all) = (header.titled - fields.len(), header.titled);
        let are = plural(missing as u64, "is", "are");
        return Err(RecordFault::whole(format!(
            "{missing} of {all} cells {are} missing at the end"
        )));
    }
    if fields.len() > header.fields {
        let (found, expected) = (fields.len(), header.fields);
        return Err(RecordFault::whole(format!("too many fields: {found} instead of {expected}")));
    }
    Ok(())
}

/// Fills the derived cells. Returns whether the person's number is valid, and the fate of the row.
pub(super) fn derive<'a, 'h: 'a>(
    header: &'h Header,
    phones: &Phones,
    cells: &mut [Cell<'a>],
) -> (Option<bool>, Fate) {
    if let Some((at, currency)) = &header.currency
        && cells[*at].is_null()
    {
        cells[*at] = Cell::Text(currency);
    }
    let mut row = Row { cells, fate: Fate::Row, user_phone_valid: None, phones };
    (header.table.derive)(&mut row);
    (row.user_phone_valid, row.fate)
}

/// Rows are passed on in parts of so many: one record may span a thousand days.
const MOST_ROWS: usize = 1 << 18;

/// Counts and rejects of a chunk.
#[derive(Default)]
struct ChunkCounts {
    rejects: Vec<Reject>,
    corrected: Vec<String>,
    records: u64,
    sentinels: u64,
    left_out: u64,
    kept_out: u64,
    left_names: ErasedNames,
    headers: u64,
    spread: u64,
    bytes: usize,
    ballots: Ballots,
    waiting: Option<Chunk>,
}

impl ChunkCounts {
    /// Copies a record to the waiting ones.
    fn wait(&mut self, chunk: &Chunk, record: &Record) {
        let waiting = self.waiting.get_or_insert_with(|| Chunk {
            table: chunk.table,
            bytes: Vec::new(),
            records: Vec::new(),
            broken: BTreeMap::new(),
            read: 0,
        });
        let start = waiting.bytes.len();
        waiting.bytes.extend_from_slice(&chunk.bytes[record.start..record.end]);
        let end = waiting.bytes.len();
        waiting.records.push(Record { start, end, ..*record });
        if let Some(reason) = chunk.broken.get(&record.number) {
            waiting.broken.insert(record.number, reason.clone());
        }
    }

    fn with(self, rows: RowBuilder) -> PolarsResult<ParsedChunk> {
        Ok(ParsedChunk {
            days: rows.into_days()?,
            rejects: self.rejects,
            corrected: self.corrected,
            records: self.records,
            sentinels: self.sentinels,
            left_out: self.left_out,
            kept_out: self.kept_out,
            left_names: self.left_names,
            headers: self.headers,
            spread: self.spread,
            bytes: self.bytes,
            ballots: self.ballots,
            waiting: self.waiting,
        })
    }
}

/// Hashes the fields of a record, except for the name of its reject. Lengths separate the fields.
fn hash_of(fields: &[&str], reject_name: Option<usize>) -> i64 {
    let mut hash = Xxh3::new();
    for (_, field) in fields.iter().enumerate().filter(|(at, _)| reject_name != Some(*at)) {
        hash.update(&field.len().to_le_bytes());
        hash.update(field.as_bytes());
    }
    hash.digest().cast_signed()
}
