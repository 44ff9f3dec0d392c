//! Turns a chunk of records into typed rows, and sets aside those that cannot be taken.
//!
//! ```text
//! record  a1,2025-06-01 10:00:00,Inbound,+57,300 555 0101,4.0
//! cells   Text(a1) Stamp(…) Text(Inbound) Text(57) Owned(3005550101) Integer(4)
//! derive  user_phone Owned(573005550101)  country Text(CO)
//! row     appended to one builder a column, or diverted whole with its reason
//! ```

use std::collections::BTreeMap;

use chrono_tz::Tz;
use polars::prelude::*;
use wabalake_data::cells::phone::Phones;
use wabalake_data::cells::stamp::{self, Stamp};
use wabalake_data::cells::{number, phone, text, word};
use wabalake_data::tables::{Cell, Kind, Row, USER_PHONE_VALID, instant, text_key};
use wabalake_data::{Column as TableColumn, Table};

use super::header::Header;
use super::records::{Chunk, Fields, Record};
use super::rejects::Reject;

/// Which file of a load a row came from, for its report; 0 is the lake.
pub(crate) const ORIGIN: &str = "__origin";

/// What a chunk came to.
pub(crate) struct Typed {
    /// Its good rows by UTC day: [`Table::stored`] and [`ORIGIN`].
    pub(crate) days: BTreeMap<i32, DataFrame>,
    pub(crate) rejects: Vec<Reject>,
    /// Names of rejects that its rows mend.
    pub(crate) mended: Vec<String>,
    pub(crate) records: u64,
    /// Records with at least one sentinel stamp.
    pub(crate) sentinels: u64,
}

/// Types chunks of one file; each thread has its own.
pub(crate) struct Typist<'h> {
    header: &'h Header,
    zone: Tz,
    origin: i32,
    fields: Fields,
    phones: &'h Phones,
}

/// Why a record cannot be taken.
struct Refusal {
    column: Option<&'static str>,
    reason: String,
}

impl Refusal {
    fn of(column: &TableColumn, reason: &str) -> Self {
        Self { column: Some(column.name), reason: reason.to_owned() }
    }

    fn whole(reason: impl Into<String>) -> Self {
        Self { column: None, reason: reason.into() }
    }
}

impl<'h> Typist<'h> {
    /// Stamps without an offset are read in `zone`, unless the table's are known to be UTC.
    pub(crate) fn new(header: &'h Header, zone: Tz, origin: i32, phones: &'h Phones) -> Self {
        let zone = if header.table.stamps_are_utc { Tz::UTC } else { zone };
        let fields = Fields::new(header.delimiter);
        Self { header, zone, origin, fields, phones }
    }

    pub(crate) fn type_chunk(&mut self, chunk: &Chunk) -> PolarsResult<Typed> {
        let table = self.header.table;
        let mut rows = Rows::new(table, chunk.records.len(), self.origin);
        let mut rejects = Vec::new();
        let mut mended = Vec::new();
        let mut sentinels = 0;
        // Nearly every chunk is valid as a whole; of another each record is looked at by itself.
        let text = std::str::from_utf8(&chunk.bytes).ok();
        for record in &chunk.records {
            let bytes = &chunk.bytes[record.start..record.end];
            let raw = match text {
                Some(text) => text.get(record.start..record.end),
                None => std::str::from_utf8(bytes).ok(),
            };
            let mut sentinel = false;
            match self.type_record(record, raw, &mut rows, &mut mended, &mut sentinel) {
                Ok(()) => {}
                Err(refusal) => rejects.push(self.reject(record, bytes, refusal)),
            }
            sentinels += u64::from(sentinel);
        }
        let records = chunk.records.len() as u64;
        Ok(Typed { days: rows.by_day()?, rejects, mended, records, sentinels })
    }

    fn type_record(
        &mut self,
        record: &Record,
        raw: Option<&str>,
        rows: &mut Rows,
        mended: &mut Vec<String>,
        sentinel: &mut bool,
    ) -> Result<(), Refusal> {
        let header = self.header;
        let Some(raw) = raw else {
            return Err(Refusal::whole("bytes that are not valid in the file's encoding"));
        };
        if record.unclosed {
            return Err(Refusal::whole("a quote that is never closed"));
        }
        let mut fields = Vec::with_capacity(header.fields);
        self.fields.read(raw, record.quoted, header.delimiter, &mut fields);
        if fields.len() != header.fields {
            let amount = if fields.len() < header.fields { "few" } else { "many" };
            let (found, expected) = (fields.len(), header.fields);
            return Err(Refusal::whole(format!(
                "too {amount} fields: {found} instead of {expected}"
            )));
        }
        let columns = header.table.columns.iter();
        let mut cells = Vec::with_capacity(header.table.columns.len());
        for (column, place) in columns.zip(&header.places) {
            let field = place.map_or("", |place| fields[place]);
            let cell = read_cell(column, field, self.zone, sentinel)?;
            if column.required && cell == Cell::Null {
                return Err(Refusal::of(column, "a required value is missing"));
            }
            cells.push(cell);
        }
        let mut row = Row { cells: &mut cells, user_phone_valid: None, phones: self.phones };
        (header.table.derive)(&mut row);
        let valid = row.user_phone_valid;
        rows.push(&cells, valid);
        if let Some(name) = header.mended.and_then(|at| word(fields[at])) {
            mended.push(name.to_owned());
        }
        Ok(())
    }

    /// What is kept of a record that cannot be taken. Its key is read as far as it goes, so that
    /// the reject is known as resolved once a row with that key is loaded.
    fn reject(&mut self, record: &Record, bytes: &[u8], refusal: Refusal) -> Reject {
        let raw = String::from_utf8_lossy(bytes);
        let mut fields = Vec::new();
        let quoted = record.quoted && !record.unclosed;
        self.fields.read(&raw, quoted, self.header.delimiter, &mut fields);
        let mut cells = Vec::new();
        for (column, place) in self.header.table.columns.iter().zip(&self.header.places) {
            let field = place.and_then(|place| fields.get(place)).copied().unwrap_or_default();
            cells.push(read_cell(column, field, self.zone, &mut false).unwrap_or_default());
        }
        let mut row = Row { cells: &mut cells, user_phone_valid: None, phones: self.phones };
        (self.header.table.derive)(&mut row);
        let key = key_of(self.header.table, &cells);
        Reject {
            record: record.number,
            line: record.line,
            column: refusal.column,
            reason: refusal.reason,
            raw: raw.into_owned(),
            key,
        }
    }
}

/// A fixed hash of a row's natural key, when each of its parts that a row must have is there.
fn key_of(table: &Table, cells: &[Cell<'_>]) -> Option<i64> {
    let mut text = String::new();
    for name in table.key {
        let at = table.position(name)?;
        let cell = &cells[at];
        let needed = table.columns[at].required || *name == "user_phone";
        if needed && *cell == Cell::Null {
            return None;
        }
        text.push_str(&key_part(cell));
        text.push('\u{1f}');
    }
    Some(text_key(&text))
}

/// How one cell of a key is written before hashing; the same as [`key_hash`] writes columns.
fn key_part(cell: &Cell<'_>) -> String {
    match cell {
        Cell::Null => String::new(),
        Cell::Text(text) => (*text).to_owned(),
        Cell::Owned(text) => text.clone(),
        Cell::Stamp(micros) => micros.to_string(),
        Cell::Integer(number) => number.to_string(),
        Cell::Boolean(yes) => yes.to_string(),
    }
}

/// The same hash as `key_of`'s for each row of a frame.
pub(crate) fn key_hash(table: &Table, rows: &DataFrame) -> PolarsResult<Vec<i64>> {
    let parts: Vec<StringChunked> = table
        .key
        .iter()
        .map(|name| {
            let column = rows.column(name)?;
            let plain = match column.dtype() {
                DataType::Datetime(..) => column.cast(&DataType::Int64)?,
                _ => column.clone(),
            };
            Ok(plain.cast(&DataType::String)?.str()?.clone())
        })
        .collect::<PolarsResult<_>>()?;
    let hash = |row: usize| {
        let mut text = String::new();
        for part in &parts {
            text.push_str(part.get(row).unwrap_or_default());
            text.push('\u{1f}');
        }
        text_key(&text)
    };
    Ok((0..rows.height()).map(hash).collect())
}

fn read_cell<'a>(
    column: &TableColumn,
    field: &'a str,
    zone: Tz,
    sentinel: &mut bool,
) -> Result<Cell<'a>, Refusal> {
    if matches!(column.kind, Kind::Text) {
        return Ok(text(field).into());
    }
    let Some(word) = word(field) else { return Ok(Cell::Null) };
    let cell = match column.kind {
        Kind::Text | Kind::Word => Cell::Text(word),
        Kind::Phone => match phone::digits(word) {
            None => Cell::Null,
            Some(std::borrow::Cow::Borrowed(digits)) => Cell::Text(digits),
            Some(std::borrow::Cow::Owned(digits)) => Cell::Owned(digits),
        },
        Kind::Enumeration(list) => Cell::Text(list.canonical(word).unwrap_or(word)),
        Kind::Closed(list) => match list.canonical(word) {
            Some(value) => Cell::Text(value),
            None => return Err(Refusal::of(column, "not a word that this column knows")),
        },
        Kind::Stamp => match stamp::read(word, zone) {
            Stamp::At(micros) => Cell::Stamp(micros),
            Stamp::Sentinel => {
                *sentinel = true;
                Cell::Null
            }
            Stamp::Bad => return Err(Refusal::of(column, "not a date and time")),
        },
        Kind::Integer => match number::integer(word) {
            Some(number) => Cell::Integer(number),
            None => return Err(Refusal::of(column, "not a whole number")),
        },
    };
    Ok(cell)
}

/// Good rows on their way into columns.
struct Rows {
    table: &'static Table,
    columns: Vec<Builder>,
    valid: Option<BooleanChunkedBuilder>,
    hashes: Vec<(usize, PrimitiveChunkedBuilder<Int64Type>)>,
    day_of: usize,
    /// Row numbers by UTC day.
    days: BTreeMap<i32, Vec<IdxSize>>,
    height: IdxSize,
    origin: i32,
}

enum Builder {
    Text(StringChunkedBuilder),
    Stamp(PrimitiveChunkedBuilder<Int64Type>),
    Integer(PrimitiveChunkedBuilder<Int32Type>),
}

impl Rows {
    fn new(table: &'static Table, rows: usize, origin: i32) -> Self {
        let builder = |column: &TableColumn| {
            let name = PlSmallStr::from_static(column.name);
            match column.kind {
                Kind::Stamp => Builder::Stamp(PrimitiveChunkedBuilder::new(name, rows)),
                Kind::Integer => Builder::Integer(PrimitiveChunkedBuilder::new(name, rows)),
                _ => Builder::Text(StringChunkedBuilder::new(name, rows)),
            }
        };
        let hash = |(name, of): &(&'static str, &'static str)| {
            let column = table.position(of).unwrap_or_default();
            (column, PrimitiveChunkedBuilder::new(PlSmallStr::from_static(name), rows))
        };
        let person = table.position("user_phone").is_some();
        let valid = PlSmallStr::from_static(USER_PHONE_VALID);
        Self {
            table,
            columns: table.columns.iter().map(builder).collect(),
            valid: person.then(|| BooleanChunkedBuilder::new(valid, rows)),
            hashes: table.hashes.iter().map(hash).collect(),
            day_of: table.position(table.day_of).unwrap_or_default(),
            days: BTreeMap::new(),
            height: 0,
            origin,
        }
    }

    fn push(&mut self, cells: &[Cell<'_>], valid: Option<bool>) {
        for (builder, cell) in self.columns.iter_mut().zip(cells) {
            match builder {
                Builder::Text(column) => column.append_option(cell.text()),
                Builder::Stamp(column) => column.append_option(match cell {
                    Cell::Stamp(micros) => Some(*micros),
                    _ => None,
                }),
                Builder::Integer(column) => column.append_option(match cell {
                    Cell::Integer(number) => Some(*number),
                    _ => None,
                }),
            }
        }
        if let Some(column) = &mut self.valid {
            column.append_option(valid);
        }
        for (of, column) in &mut self.hashes {
            column.append_option(cells[*of].text().map(text_key));
        }
        let day = match cells[self.day_of] {
            Cell::Stamp(micros) => utc_day(micros),
            _ => NO_DAY,
        };
        self.days.entry(day).or_default().push(self.height);
        self.height += 1;
    }

    /// The rows as frames, one for each UTC day.
    fn by_day(self) -> PolarsResult<BTreeMap<i32, DataFrame>> {
        if self.height == 0 {
            return Ok(BTreeMap::new());
        }
        let height = self.height as usize;
        let mut columns: Vec<Column> = Vec::with_capacity(self.columns.len() + 4);
        for builder in self.columns {
            columns.push(match builder {
                Builder::Text(column) => column.finish().into_column(),
                Builder::Stamp(column) => column.finish().into_column().cast(&instant())?,
                Builder::Integer(column) => column.finish().into_column(),
            });
        }
        columns.extend(self.valid.map(|column| column.finish().into_column()));
        columns.extend(self.hashes.into_iter().map(|(_, column)| column.finish().into_column()));
        columns.push(Column::new_scalar(ORIGIN.into(), Scalar::from(self.origin), height));
        let rows = DataFrame::new(height, columns)?;
        debug_assert!(self.table.stored().iter_names().all(|name| rows.column(name).is_ok()));
        if self.days.len() == 1 {
            return Ok(self.days.into_keys().map(|day| (day, rows.clone())).collect());
        }
        let part = |(day, numbers): (i32, Vec<IdxSize>)| {
            Ok((day, rows.take(&IdxCa::from_vec("".into(), numbers))?))
        };
        self.days.into_iter().map(part).collect()
    }
}

/// Stands for the day of rows whose time is null, before every other.
pub(crate) const NO_DAY: i32 = i32::MIN;

/// Days since 1970 of an instant, in UTC.
pub(crate) fn utc_day(micros: i64) -> i32 {
    i32::try_from(micros.div_euclid(86_400_000_000)).unwrap_or(NO_DAY)
}
