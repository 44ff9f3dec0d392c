//! Turns a chunk of records into typed rows, and sets aside those that cannot be taken.
//!
//! ```text
//! record  a1,2025-06-01 10:00:00,Inbound,+57,300 555 0101,4.0
//! cells   Text(a1) Stamp(…) Text(Inbound) Text(57) Owned(3005550101) Integer(4)
//! derive  user_phone Owned(573005550101)  country Text(CO)
//! row     appended to one builder a column, or diverted whole with its reason
//! ```

use std::borrow::Cow;
use std::collections::BTreeMap;

use chrono::NaiveDate;
use chrono_tz::Tz;
use polars::prelude::*;
use wabalake_data::cells::number::{MONEY_PRECISION, MONEY_SCALE};
use wabalake_data::cells::phone::Phones;
use wabalake_data::cells::stamp::{self, Stamp};
use wabalake_data::cells::{
    DateOrder, DecimalMark, LostDigits, Spelling, country, date, id, list, number, phone, text,
    word, yes_or_no,
};
use wabalake_data::tables::ad_spend::EXPORTED_ON;
use wabalake_data::tables::{
    Cell, CellKind, Fate, Row, Spread, USER_PHONE, USER_PHONE_VALID, instant, text_key,
};
use wabalake_data::words::plural;
use wabalake_data::{Column as TableColumn, Table};
use xxhash_rust::xxh3::Xxh3;

use super::header::Header;
use super::keep_out::{Sessions, Watch};
use super::records::{Chunk, Fields, Record};
use super::rejects::{Place, Reject};
use super::spelling::Ballots;
use super::sums::RECORD;
use super::titles::without_marks;
use crate::lake::keep_out::KeepOut;
use crate::render::GUARD;

/// Which file of a load a row came from, for its report; 0 is the lake.
pub(crate) const ORIGIN: &str = "__origin";

/// What a chunk came to.
pub(crate) struct Typed {
    /// Its good rows by UTC day: [`Table::stored`], [`RECORD`] where rows are added up, and
    /// [`ORIGIN`].
    pub(crate) days: BTreeMap<i32, DataFrame>,
    pub(crate) rejects: Vec<Reject>,
    /// Names of rejects that its rows mend.
    pub(crate) mended: Vec<String>,
    pub(crate) records: u64,
    /// Records with at least one sentinel stamp.
    pub(crate) sentinels: u64,
    /// Records that are neither rows nor at fault.
    pub(crate) left_out: u64,
    /// Records of persons who are kept out.
    pub(crate) kept_out: u64,
    /// The sessions that these name.
    pub(crate) left_sessions: Sessions,
    /// Records that are the header again.
    pub(crate) headers: u64,
    /// Rows beyond one for each record, of records that stand for several days.
    pub(crate) spread: u64,
    /// What its records take in their file, about.
    pub(crate) bytes: usize,
    /// What its cells say of how their columns are written.
    pub(crate) ballots: Ballots,
    /// Records that are to be typed once that is known.
    pub(crate) waiting: Option<Chunk>,
}

/// Types chunks of one file; each thread has its own.
pub(crate) struct Typist<'h> {
    header: &'h Header,
    zone: Tz,
    origin: i32,
    fields: Fields,
    phones: &'h Phones,
    has_stand_ins: bool,
    /// Whether it is known how the file's columns are written: else what cannot be read waits.
    is_spelled: bool,
    watch: Option<Watch<'h>>,
    /// The place of the date of the export, and what it is where a record does not say it.
    exported_on: Option<(usize, i32)>,
}

/// Why a record cannot be taken.
pub(super) struct Refusal {
    column: Option<&'static str>,
    reason: String,
}

impl Refusal {
    fn of(column: &TableColumn, reason: impl Into<String>) -> Self {
        Self { column: Some(column.name), reason: reason.into() }
    }

    fn missing(column: &TableColumn) -> Self {
        Self::of(column, "a required value is missing")
    }

    fn whole(reason: impl Into<String>) -> Self {
        Self { column: None, reason: reason.into() }
    }
}

impl<'h> Typist<'h> {
    /// Stamps without an offset are read in `zone`, unless the table's are known to be UTC.
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
            watch: None,
            exported_on: None,
        }
    }

    /// The same, for a file that was exported on that date, where its table holds the date.
    #[must_use]
    pub(crate) fn exported_on(self, date: Option<NaiveDate>) -> Self {
        let at = self.header.table.position(EXPORTED_ON);
        Self { exported_on: at.zip(date.map(|date| date.to_epoch_days())), ..self }
    }

    /// The same, which leaves out persons who are kept out of the lake.
    #[must_use]
    pub(crate) fn keeping_out(self, keep_out: Option<&'h KeepOut>) -> Self {
        let watch = keep_out.and_then(|keep_out| Watch::new(keep_out, self.header.table));
        Self { watch, ..self }
    }

    /// Types a chunk and hands on what it comes to: at once, or in parts where its records stand
    /// for very many rows.
    pub(crate) fn type_chunk(&mut self, chunk: &Chunk, take: &mut dyn FnMut(PolarsResult<Typed>)) {
        let table = self.header.table;
        let mut tally = Tally::default();
        let mut rows = Rows::new(table, chunk.records.len(), self.origin);
        // Nearly every chunk is valid as a whole; of another each record is looked at by itself.
        let text = std::str::from_utf8(&chunk.bytes).ok();
        for record in &chunk.records {
            let bytes = &chunk.bytes[record.start..record.end];
            let raw = match text {
                Some(text) => text.get(record.start..record.end),
                None => std::str::from_utf8(bytes).ok(),
            };
            let mut sentinel = false;
            let typed = match chunk.broken.get(&record.number) {
                Some(reason) => Err(Refusal::whole(reason)),
                None => self.type_record(record, raw, &mut rows, &mut tally, &mut sentinel),
            };
            match typed {
                Ok(()) => {}
                Err(_) if !self.is_spelled => {
                    tally.wait(chunk, record);
                    continue;
                }
                Err(refusal) => self.reject(record, bytes, refusal, &mut tally),
            }
            tally.records += 1;
            tally.bytes += bytes.len();
            tally.sentinels += u64::from(sentinel);
            if rows.height >= MOST_ROWS {
                let full = std::mem::replace(&mut rows, Rows::new(table, 0, self.origin));
                take(std::mem::take(&mut tally).with(full));
            }
        }
        take(tally.with(rows));
    }

    fn type_record(
        &mut self,
        record: &Record,
        raw: Option<&str>,
        rows: &mut Rows,
        tally: &mut Tally,
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
        trim(header, &mut fields);
        if header.is_again(&fields) {
            tally.headers += 1;
            return Ok(());
        }
        if fields.len() < header.titled {
            let (missing, all) = (header.titled - fields.len(), header.titled);
            let are = plural(missing as u64, "is", "are");
            return Err(Refusal::whole(format!(
                "{missing} of {all} cells {are} missing at the end"
            )));
        }
        if fields.len() > header.fields {
            let (found, expected) = (fields.len(), header.fields);
            return Err(Refusal::whole(format!("too many fields: {found} instead of {expected}")));
        }
        header.unguard(&mut fields);
        let table = header.table;
        let cells = read_cells(header, &fields, self.zone, sentinel);
        if cells.is_err() && !self.is_spelled {
            tally.ballots.count(header, &fields);
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
                tally.left_out += 1;
                return Ok(());
            }
            Fate::Rejected { column, reason } => {
                return Err(Refusal { column: Some(column), reason: reason.to_owned() });
            }
        }
        if self.has_stand_ins {
            let missing = |(column, cell): &(&TableColumn, &Cell<'_>)| {
                column.required && column.fallback.is_some() && cell.is_null()
            };
            if let Some((column, _)) = table.columns.iter().zip(&cells).find(missing) {
                return Err(Refusal::missing(column));
            }
        }
        if let Some(name) = header.mended.and_then(|at| word(fields[at])) {
            tally.mended.push(name.trim_start_matches(GUARD).to_owned());
        }
        if let Some(watch) = &mut self.watch
            && watch.takes(&cells, &mut tally.left_sessions)
        {
            tally.kept_out += 1;
            return Ok(());
        }
        let told = (!table.summed.is_empty()).then(|| hash_of(&fields, header.mended));
        match fate {
            Fate::Spread(Spread { day, amounts, shares }) => {
                tally.spread += (shares.len() as u64).saturating_sub(1);
                for (date, share) in shares {
                    cells[day] = Cell::Date(date);
                    for amount in amounts {
                        cells[*amount] = Cell::Money(share);
                    }
                    rows.push(&cells, valid, told);
                }
            }
            _ => rows.push(&cells, valid, told),
        }
        Ok(())
    }

    /// Keeps what there is of a record that cannot be taken; nothing of one that is not a row at
    /// all, or of a person who is kept out. Its key is read as far as it goes, so that the reject is
    /// known as resolved once a row with that key is loaded.
    fn reject(&mut self, record: &Record, bytes: &[u8], refusal: Refusal, tally: &mut Tally) {
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
        // A total has no id: an id that lost its digits is one all the same.
        let lost = refusal.column.filter(|_| refusal.reason == LostDigits::REASON);
        let lost = lost.and_then(|column| header.table.position(column));
        let mut told = lost.map(|_| cells.clone());
        let (valid, mut fate) = derive(header, self.phones, &mut cells);
        if let (Some(told), Some(lost)) = (&mut told, lost) {
            told[lost] = Cell::Text(LostDigits::REASON);
            fate = derive(header, self.phones, told).1;
        }
        // Otherwise a field may have been read in another's place.
        let is_read = refusal.column.is_some();
        if fate == Fate::Skipped && is_read {
            tally.left_out += 1;
            return;
        }
        let mut session = None;
        if let Some(watch) = &mut self.watch {
            let mut unsure = Sessions::default();
            let named = if is_read { &mut tally.left_sessions } else { &mut unsure };
            let tells = valid.is_some_and(|valid| valid || is_read);
            if watch.takes(&cells, named) || (!tells && watch.stands_in(&raw, self.phones)) {
                tally.kept_out += 1;
                return;
            }
            session = watch.session_alone(&cells).map(str::to_owned);
        }
        let table = header.table;
        let key = key_of(table, &cells);
        let place = key.map(|key| Place::of(table, &cells, key));
        tally.rejects.push(Reject {
            record: record.number,
            line: record.line,
            column: refusal.column,
            reason: refusal.reason,
            raw: raw.into_owned(),
            key,
            session,
            place,
        });
    }
}

/// The cells of a record, if each of them can be read.
fn read_cells<'a>(
    header: &Header,
    fields: &[&'a str],
    zone: Tz,
    sentinel: &mut bool,
) -> Result<Vec<Cell<'a>>, Refusal> {
    let mut cells = Vec::with_capacity(header.places.len());
    let columns = header.cells.iter().zip(&header.places).zip(&header.spellings);
    for ((column, place), spelling) in columns {
        let field = place.map_or("", |place| fields[place]);
        let cell = read_cell(column, field, zone, *spelling, sentinel)?;
        if cell == Cell::Null && column.required && column.fallback.is_none() {
            return Err(Refusal::missing(column));
        }
        cells.push(cell);
    }
    Ok(cells)
}

/// Takes away what a record has of no meaning: byte order marks before its cells, empty cells behind
/// its last.
fn trim(header: &Header, fields: &mut Vec<&str>) {
    for field in &mut *fields {
        *field = without_marks(field);
    }
    let surplus = fields.len().saturating_sub(header.fields);
    let empty = fields.iter().rev().take(surplus).take_while(|field| field.trim().is_empty());
    fields.truncate(fields.len() - empty.count());
}

/// Fills the derived cells. Says whether the person's number is valid, and what becomes of it all.
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

/// More rows than this are not held together: a record may stand for a thousand.
const MOST_ROWS: IdxSize = 1 << 18;

/// What is counted of a chunk's records.
#[derive(Default)]
struct Tally {
    rejects: Vec<Reject>,
    mended: Vec<String>,
    records: u64,
    sentinels: u64,
    left_out: u64,
    kept_out: u64,
    left_sessions: Sessions,
    headers: u64,
    spread: u64,
    bytes: usize,
    ballots: Ballots,
    waiting: Option<Chunk>,
}

impl Tally {
    /// Keeps a record as it stands.
    fn wait(&mut self, chunk: &Chunk, record: &Record) {
        let waiting = self.waiting.get_or_insert_with(|| Chunk {
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

    fn with(self, rows: Rows) -> PolarsResult<Typed> {
        Ok(Typed {
            days: rows.by_day()?,
            rejects: self.rejects,
            mended: self.mended,
            records: self.records,
            sentinels: self.sentinels,
            left_out: self.left_out,
            kept_out: self.kept_out,
            left_sessions: self.left_sessions,
            headers: self.headers,
            spread: self.spread,
            bytes: self.bytes,
            ballots: self.ballots,
            waiting: self.waiting,
        })
    }
}

impl Place {
    /// Where a row with a key would lie, by the hash of the key.
    fn of(table: &Table, cells: &[Cell<'_>], key: i64) -> Self {
        let only = match table.key {
            [only] => table.position(only).and_then(|at| cells[at].text()),
            _ => None,
        };
        let hash = table.key_hash().map(|_| only.map_or(key, text_key));
        let at = table.position(table.day_of).unwrap_or_default();
        Self { hash, day: day_of(&cells[at]) }
    }
}

/// The UTC day that a row lies on by the cell that places it.
fn day_of(cell: &Cell<'_>) -> i32 {
    match cell {
        Cell::Stamp(micros) => utc_day(*micros),
        Cell::Date(days) => *days,
        Cell::Count(seconds) => utc_day(seconds.saturating_mul(1_000_000)),
        _ => NO_DAY,
    }
}

/// A fixed hash of a row's natural key, when each of its parts that a row must have is there.
fn key_of(table: &Table, cells: &[Cell<'_>]) -> Option<i64> {
    let mut text = String::new();
    for name in table.key {
        let at = table.position(name)?;
        let cell = &cells[at];
        let needed =
            table.cells().nth(at).is_some_and(|column| column.required || column.is_derived);
        if needed && *cell == Cell::Null {
            return None;
        }
        text.push_str(&key_part(cell));
        text.push('\u{1f}');
    }
    Some(text_key(&text))
}

/// A hash of what a record's fields say, but for which reject it mends. Fields are told apart by
/// their lengths, whatever they hold.
fn hash_of(fields: &[&str], mended: Option<usize>) -> i64 {
    let mut hash = Xxh3::new();
    for (_, field) in fields.iter().enumerate().filter(|(at, _)| mended != Some(*at)) {
        hash.update(&field.len().to_le_bytes());
        hash.update(field.as_bytes());
    }
    hash.digest().cast_signed()
}

/// How one cell of a key is written before hashing; the same as [`key_hash`] writes columns.
fn key_part(cell: &Cell<'_>) -> String {
    match cell {
        Cell::Null => String::new(),
        Cell::Text(text) => (*text).to_owned(),
        Cell::Owned(text) => text.clone(),
        Cell::Stamp(micros) => micros.to_string(),
        Cell::Integer(number) | Cell::Date(number) => number.to_string(),
        Cell::Count(number) | Cell::Money(number) => number.to_string(),
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
                DataType::Date => column.cast(&DataType::Int32)?,
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

pub(super) fn read_cell<'a>(
    column: &TableColumn,
    field: &'a str,
    zone: Tz,
    spelling: Spelling,
    sentinel: &mut bool,
) -> Result<Cell<'a>, Refusal> {
    match column.kind {
        CellKind::Text => return Ok(text(field).into()),
        CellKind::Dashed => return Ok(text(field).filter(|text| text.trim() != "-").into()),
        _ => {}
    }
    let Some(word) = word(field) else { return Ok(Cell::Null) };
    let bad = |reason: String| Err(Refusal::of(column, reason));
    let Spelling { order, mark, has_numbers } = spelling;
    let is_number = has_numbers && matches!(column.kind, CellKind::Money);
    let exact = is_number.then(|| number::exact(word)).flatten();
    let no_digits = |_| Refusal::of(column, LostDigits::REASON);
    let cell = match column.kind {
        CellKind::Word if column.is_id() => id(word).map_err(no_digits)?.into(),
        CellKind::Text | CellKind::Dashed | CellKind::Word => Cell::Text(word),
        CellKind::Phone => phone_cell(phone::read(word).map_err(no_digits)?),
        CellKind::FullPhone => phone_cell(phone::read_with_plus(word).map_err(no_digits)?),
        CellKind::Enumeration(list) => Cell::Text(list.canonical(word).unwrap_or(word)),
        CellKind::Closed(list) => match list.canonical(word) {
            Some(value) => Cell::Text(value),
            None => {
                let known = list.values().collect::<Vec<_>>().join(", ");
                return bad(format!("not a word that this column knows: it knows {known}"));
            }
        },
        CellKind::Moment if date::read(word, order).is_some() => {
            match date::read(word, order).and_then(|day| midnight(day, zone)) {
                Some(micros) => Cell::Stamp(micros),
                None => return bad(format!("there is no such day in {zone}")),
            }
        }
        CellKind::Stamp | CellKind::Moment => match stamp::read_as(word, zone, order) {
            Stamp::At(micros) => Cell::Stamp(micros),
            Stamp::Sentinel => {
                *sentinel = true;
                Cell::Null
            }
            Stamp::Skipped => return bad(no_such_time(word, zone, order)),
            Stamp::Bad => return bad(no_stamp(column.kind, order)),
        },
        CellKind::Integer => match number::integer(word) {
            Some(number) => Cell::Integer(number),
            None => return bad("not a whole number such as 12".to_owned()),
        },
        CellKind::Count => match number::count(word, mark) {
            Some(number) => Cell::Count(number),
            None => return bad(format!("not a whole number such as 1234 or {}", thousand(mark))),
        },
        CellKind::Seconds => {
            let seconds = number::count(word, Some(DecimalMark::Point));
            match seconds.filter(|s| (0..=LAST_SECOND).contains(s)) {
                Some(seconds) => Cell::Count(seconds),
                None => return bad("not a number of seconds since 1970 such as 1748772000".into()),
            }
        }
        CellKind::Money => match exact.or_else(|| number::money(word, mark)) {
            Some(millionths) => Cell::Money(millionths),
            None => {
                let cents = if mark == Some(DecimalMark::Comma) { ",50" } else { ".50" };
                return bad(format!(
                    "not an amount of money with at most 6 decimals such as {}{cents}",
                    thousand(mark)
                ));
            }
        },
        CellKind::Date => match date::read(word, order) {
            Some(days) => Cell::Date(days),
            None => return bad(format!("not a date such as 2025-12-31{}", in_order(order))),
        },
        CellKind::Boolean => match yes_or_no(word) {
            Some(yes) => Cell::Boolean(yes),
            None => return bad("neither yes nor no: write true or false".to_owned()),
        },
        CellKind::Country => Cell::Text(country(word)),
        CellKind::List => list::read(word).map_or(Cell::Null, Cell::Owned),
    };
    Ok(cell)
}

/// What is understood in a column of stamps.
fn no_stamp(kind: CellKind, order: Option<DateOrder>) -> String {
    let what = match kind {
        CellKind::Moment => "not a date such as 2025-12-31, or a date and time",
        _ => "not a date and time",
    };
    let in_order = match order {
        Some(DateOrder::DayFirst) => ", 31/12/2025 10:00 PM",
        Some(DateOrder::MonthFirst) => ", 12/31/2025 10:00 PM",
        Some(DateOrder::YearFirst) | None => "",
    };
    format!("{what} such as 2025-12-31 10:00:00{in_order} or unix seconds")
}

/// Another example of a date, where a column's are written in an order of their own.
fn in_order(order: Option<DateOrder>) -> &'static str {
    match order {
        Some(DateOrder::DayFirst) => " or 31/12/2025",
        Some(DateOrder::MonthFirst) => " or 12/31/2025",
        Some(DateOrder::YearFirst) | None => "",
    }
}

/// A thousand and more in numbers of that mark.
fn thousand(mark: Option<DecimalMark>) -> &'static str {
    if mark == Some(DecimalMark::Comma) { "1.234" } else { "1,234" }
}

/// Why a time that a zone's clocks jump over is none.
fn no_such_time(word: &str, zone: Tz, order: Option<DateOrder>) -> String {
    let Some([from, to]) = stamp::gap(word, zone, order) else {
        return format!("there is no such time in {zone}");
    };
    // The midnight that never comes ends the day before.
    let from = if from == chrono::NaiveTime::MIN {
        "24:00".to_owned()
    } else {
        from.format("%H:%M").to_string()
    };
    format!(
        "there is no such time in {zone}: clocks jump from {from} to {}; if the file's clock is \
         another, name its zone with --source-timezone",
        to.format("%H:%M")
    )
}

fn phone_cell(read: Option<Cow<'_, str>>) -> Cell<'_> {
    match read {
        None => Cell::Null,
        Some(Cow::Borrowed(digits)) => Cell::Text(digits),
        Some(Cow::Owned(digits)) => Cell::Owned(digits),
    }
}

/// The last second of the year 9999: what is later is most likely in milliseconds.
const LAST_SECOND: i64 = 253_402_300_799;

/// When a day begins in a zone: later than midnight where clocks jump over it.
fn midnight(day: i32, zone: Tz) -> Option<i64> {
    let date = NaiveDate::from_epoch_days(day)?.and_time(chrono::NaiveTime::MIN);
    let begins = |hours| {
        let local = date + chrono::TimeDelta::hours(hours);
        chrono::TimeZone::from_local_datetime(&zone, &local).earliest()
    };
    let at = begins(0).or_else(|| begins(1))?;
    Some(at.timestamp_micros())
}

/// Good rows on their way into columns.
struct Rows {
    table: &'static Table,
    columns: Vec<Builder>,
    valid: Option<BooleanChunkedBuilder>,
    hashes: Vec<(usize, PrimitiveChunkedBuilder<Int64Type>)>,
    whole_key: Option<PrimitiveChunkedBuilder<Int64Type>>,
    records: Option<PrimitiveChunkedBuilder<Int64Type>>,
    day_of: usize,
    /// Row numbers by UTC day.
    days: BTreeMap<i32, Vec<IdxSize>>,
    height: IdxSize,
    origin: i32,
}

enum Builder {
    Text(StringChunkedBuilder),
    Stamp(PrimitiveChunkedBuilder<Int64Type>),
    Date(PrimitiveChunkedBuilder<Int32Type>),
    Integer(PrimitiveChunkedBuilder<Int32Type>),
    Count(PrimitiveChunkedBuilder<Int64Type>),
    Money(PrimitiveChunkedBuilder<Int128Type>),
    Boolean(BooleanChunkedBuilder),
}

impl Rows {
    fn new(table: &'static Table, rows: usize, origin: i32) -> Self {
        let builder = |column: &TableColumn| {
            let name = PlSmallStr::from_static(column.name);
            match column.kind {
                CellKind::Stamp | CellKind::Moment => {
                    Builder::Stamp(PrimitiveChunkedBuilder::new(name, rows))
                }
                CellKind::Date => Builder::Date(PrimitiveChunkedBuilder::new(name, rows)),
                CellKind::Integer => Builder::Integer(PrimitiveChunkedBuilder::new(name, rows)),
                CellKind::Count | CellKind::Seconds => {
                    Builder::Count(PrimitiveChunkedBuilder::new(name, rows))
                }
                CellKind::Money => Builder::Money(PrimitiveChunkedBuilder::new(name, rows)),
                CellKind::Boolean => Builder::Boolean(BooleanChunkedBuilder::new(name, rows)),
                CellKind::Text
                | CellKind::Dashed
                | CellKind::Word
                | CellKind::Phone
                | CellKind::FullPhone
                | CellKind::Enumeration(_)
                | CellKind::Closed(_)
                | CellKind::Country
                | CellKind::List => Builder::Text(StringChunkedBuilder::new(name, rows)),
            }
        };
        let hash = |(name, of): &(&'static str, &'static str)| {
            let column = table.position(of).unwrap_or_default();
            (column, PrimitiveChunkedBuilder::new(PlSmallStr::from_static(name), rows))
        };
        let person = table.position(USER_PHONE).is_some();
        let valid = PlSmallStr::from_static(USER_PHONE_VALID);
        Self {
            table,
            columns: table.columns.iter().chain(table.internal).map(builder).collect(),
            valid: person.then(|| BooleanChunkedBuilder::new(valid, rows)),
            hashes: table.hashes.iter().map(hash).collect(),
            whole_key: table
                .whole_key
                .map(|name| PrimitiveChunkedBuilder::new(PlSmallStr::from_static(name), rows)),
            records: (!table.summed.is_empty())
                .then(|| PrimitiveChunkedBuilder::new(PlSmallStr::from_static(RECORD), rows)),
            day_of: table.position(table.day_of).unwrap_or_default(),
            days: BTreeMap::new(),
            height: 0,
            origin,
        }
    }

    fn push(&mut self, cells: &[Cell<'_>], valid: Option<bool>, record: Option<i64>) {
        for (builder, cell) in self.columns.iter_mut().zip(cells) {
            match builder {
                Builder::Text(column) => column.append_option(cell.text()),
                Builder::Stamp(column) => column.append_option(match cell {
                    Cell::Stamp(micros) => Some(*micros),
                    _ => None,
                }),
                Builder::Date(column) => column.append_option(match cell {
                    Cell::Date(days) => Some(*days),
                    _ => None,
                }),
                Builder::Integer(column) => column.append_option(match cell {
                    Cell::Integer(number) => Some(*number),
                    _ => None,
                }),
                Builder::Count(column) => column.append_option(match cell {
                    Cell::Count(number) => Some(*number),
                    _ => None,
                }),
                Builder::Money(column) => column.append_option(match cell {
                    Cell::Money(millionths) => Some((*millionths).into()),
                    _ => None,
                }),
                Builder::Boolean(column) => column.append_option(match cell {
                    Cell::Boolean(yes) => Some(*yes),
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
        if let Some(column) = &mut self.whole_key {
            column.append_option(key_of(self.table, cells));
        }
        if let Some(column) = &mut self.records {
            column.append_option(record);
        }
        let day = day_of(&cells[self.day_of]);
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
                Builder::Date(column) => column.finish().into_column().cast(&DataType::Date)?,
                Builder::Integer(column) => column.finish().into_column(),
                Builder::Count(column) => column.finish().into_column(),
                Builder::Money(column) => {
                    column.finish().into_decimal(MONEY_PRECISION, MONEY_SCALE)?.into_column()
                }
                Builder::Boolean(column) => column.finish().into_column(),
            });
        }
        columns.extend(self.valid.map(|column| column.finish().into_column()));
        let hashes = self.hashes.into_iter().map(|(_, column)| column);
        let hashes = hashes.chain(self.whole_key).chain(self.records);
        columns.extend(hashes.map(|column| column.finish().into_column()));
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
