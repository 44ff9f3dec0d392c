//! Sources that are spreadsheets, XLSX or XLSB: a sheet's rows as records.
//!
//! ```text
//! row 1   Sessions of June                               a title: passed over
//! row 2   (empty)
//! row 3          session_id   session_started_timestamp  the header, wherever it begins
//! row 4          a1           45809.4166 as a date       record 1: a1,2025-06-01 09:59:54.240
//! row 5          573005550101 2025-06-01 10:00:00        record 2: the id in digits, the text as it stands
//! ```
//!
//! The sheet is the one that has an export's header, or the one that is named. Cells become text
//! as they would stand in a CSV: dates and times in the ISO order without an offset, whole numbers
//! in digits, fractions as Excel shows them, to 15 digits; yes and no as `true` and `false`. A number
//! of 16 digits or more cannot be told from its neighbours, and a cell that shows an error has no
//! value: in a column of the table either one sets its row aside.
//!
//! Cells are read one by one. In memory are the shared texts of the workbook, which is why they
//! have a limit, and a few thousand rows.

use std::fmt::Display;
use std::fs::File;
use std::io::{BufReader, Read};
use std::ops::ControlFlow;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use calamine::{DataRef, ExcelDateTime, Reader as _, SheetType, SheetVisible, Xlsb, Xlsx};
use polars::prelude::DataType;
use wabalake_data::cells::{DecimalMark, number};

use super::Options;
use super::folder::unreadable;
use super::header::{Header, Search};
use super::limits::{self, Bounded};
use super::reader::{Reader, Written};
use super::records::Chunk;
use super::rejects::quoted;
use super::source::{Source, Survey, has};
use crate::error::{Error, Result, in_words};

/// Where in a workbook the records are.
#[derive(Clone, Debug)]
pub(crate) struct Sheet {
    pub(crate) name: String,
    /// The header's row; the first is 1.
    header_row: u32,
    /// The header's first column; the first is 0.
    first_column: u32,
    /// How many rows above the header are not empty.
    pub(crate) above: usize,
}

/// Rows of a sheet.
const ROWS: u32 = 1_048_576;

/// Finds the sheet and its header.
pub(crate) fn header(source: &Source, options: &Options) -> Result<(Sheet, Header)> {
    let found = guarded(source, {
        let (source, options) = (source.clone(), options.clone());
        move || find(&source, &options)
    });
    found.join().unwrap_or_else(|_| Err(damaged(source, "it does not follow the format")))
}

/// Reads the records below the header.
pub(crate) fn reader<'s>(
    source: &'s Source,
    survey: &Survey,
    sheet: &Sheet,
    header: &Header,
) -> Box<dyn Reader + 's> {
    let (sender, chunks) = sync_channel(2);
    let writing = Writing { sheet: sheet.clone(), header: header.clone(), bytes: survey.bytes };
    let thread = guarded(source, {
        let source = source.clone();
        move || writing.run(&source, &sender)
    });
    Box::new(Records { source, chunks, thread: Some(thread) })
}

/// Hands the cells of each row to `take`, as text, until it has had enough: of all sheets but the
/// one that is named. Says whether it has.
pub(crate) fn each_other_row(
    source: &Source,
    but: Option<&str>,
    take: &mut (dyn FnMut(&[String]) -> ControlFlow<()> + Send),
) -> Result<bool> {
    std::thread::scope(|scope| {
        let reading = move || {
            let mut book = Book::open(source)?;
            let sheets = book.sheets().iter().filter(|sheet| sheet.typ == SheetType::WorkSheet);
            let names: Vec<String> = sheets.map(|sheet| sheet.name.clone()).collect();
            let mut had_enough = false;
            for name in names.iter().filter(|name| Some(name.as_str()) != but) {
                book.rows(source, name, &mut |row| {
                    let cells: Vec<String> =
                        row.cells.into_iter().map(|(_, value)| value.text(None)).collect();
                    let next = take(&cells);
                    had_enough |= next.is_break();
                    Ok(next)
                })?;
                if had_enough {
                    break;
                }
            }
            Ok(had_enough)
        };
        let thread = std::thread::Builder::new().name(THREAD.to_owned());
        match thread.spawn_scoped(scope, reading) {
            Ok(thread) => thread
                .join()
                .unwrap_or_else(|_| Err(damaged(source, "it does not follow the format"))),
            Err(e) => Err(Error::lake(format!(
                "no thread to read `{}` on: {}",
                source.name,
                in_words(&e)
            ))),
        }
    })
}

/// The name of threads that read spreadsheets: the library panics over some that are damaged.
pub(crate) const THREAD: &str = "spreadsheet";

type Guarded<T> = std::thread::JoinHandle<Result<T>>;

fn guarded<T: Send + 'static>(
    source: &Source,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Guarded<T> {
    let name = source.name.clone();
    let thread = std::thread::Builder::new().name(THREAD.to_owned());
    match thread.spawn(work) {
        Ok(thread) => thread,
        Err(e) => {
            let error = Error::lake(format!("no thread to read `{name}` on: {}", in_words(&e)));
            std::thread::spawn(move || Err(error))
        }
    }
}

/// A sheet's records, written by a thread of their own, since the workbook's reader borrows the
/// workbook.
struct Records<'s> {
    source: &'s Source,
    chunks: Receiver<Chunk>,
    thread: Option<Guarded<()>>,
}

impl Reader for Records<'_> {
    fn next_chunk(&mut self) -> Result<Option<Chunk>> {
        if let Ok(chunk) = self.chunks.recv() {
            return Ok(Some(chunk));
        }
        let Some(thread) = self.thread.take() else { return Ok(None) };
        match thread.join() {
            Ok(done) => done.map(|()| None),
            Err(_) => Err(damaged(self.source, "it does not follow the format")),
        }
    }
}

fn damaged(source: &Source, why: impl Display) -> Error {
    Error::data(format!("`{}` is no spreadsheet that can be read: {why}", source.name))
        .hint("open it and save it anew, or save its sheet as csv")
}

/// A workbook of either format.
enum Book {
    Xlsx(Box<Xlsx<BufReader<File>>>),
    Xlsb(Box<Xlsb<BufReader<File>>>),
}

impl Book {
    fn open(source: &Source) -> Result<Self> {
        let path = source.workbook().ok_or_else(|| Error::bug("no spreadsheet"))?;
        let open = || match File::open(path) {
            Ok(file) => Ok(BufReader::new(file)),
            Err(e) => Err(unreadable(&source.name, &e)),
        };
        let damaged = |e: &dyn Display| damaged(source, e);
        let archive = zip::ZipArchive::new(open()?).map_err(|e| damaged(&e))?;
        let is_binary = has(&archive, "xl/workbook.bin");
        check_parts(source, archive, is_binary)?;
        Ok(if is_binary {
            Self::Xlsb(Xlsb::new(open()?).map_err(|e| damaged(&e))?.into())
        } else {
            Self::Xlsx(Xlsx::new(open()?).map_err(|e| damaged(&e))?.into())
        })
    }

    fn sheets(&self) -> &[calamine::Sheet] {
        match self {
            Self::Xlsx(book) => book.sheets_metadata(),
            Self::Xlsb(book) => book.sheets_metadata(),
        }
    }

    /// Hands the rows of a sheet that are not empty to `take` until it has had enough.
    fn rows(
        &mut self,
        source: &Source,
        sheet: &str,
        take: &mut dyn FnMut(Row) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        match self {
            Self::Xlsx(book) => {
                let cells = book.worksheet_cells_reader(sheet);
                let mut cells = cells.map_err(|e| damaged(source, e))?;
                let last = cells.dimensions().end.0;
                let next = || Ok(cells.next_cell()?.map(|cell| at(&cell)));
                each_row::<calamine::XlsxError>(source, last, next, take)
            }
            Self::Xlsb(book) => {
                let cells = book.worksheet_cells_reader(sheet);
                let mut cells = cells.map_err(|e| damaged(source, e))?;
                let last = cells.dimensions().end.0;
                let next = || Ok(cells.next_cell()?.map(|cell| at(&cell)));
                each_row::<calamine::XlsbError>(source, last, next, take)
            }
        }
    }
}

fn at(cell: &calamine::Cell<DataRef<'_>>) -> ((u32, u32), Value) {
    (cell.get_position(), Value::of(cell.get_value()))
}

/// One row that is not empty.
struct Row {
    /// The first is 1.
    number: u32,
    /// How far through the sheet it is, as far as the sheet says.
    progress: f64,
    /// Its cells that are not empty, by their columns; the first is 0.
    cells: Vec<(u32, Value)>,
}

fn each_row<E: Display>(
    source: &Source,
    last: u32,
    mut next: impl FnMut() -> Result<Option<((u32, u32), Value)>, E>,
    take: &mut dyn FnMut(Row) -> Result<ControlFlow<()>>,
) -> Result<()> {
    let row = |row: u32| {
        let progress = f64::from(row + 1) / f64::from(last.max(row) + 1);
        Row { number: row + 1, progress, cells: Vec::new() }
    };
    let mut here: Option<Row> = None;
    let mut before = None;
    let mut bytes = 0;
    while let Some((place, value)) = next().map_err(|e| damaged(source, e))? {
        if before.is_some_and(|before| before >= place) {
            return Err(damaged(source, "its cells are not in order"));
        }
        before = Some(place);
        let columns = u32::try_from(limits::COLUMNS).unwrap_or(u32::MAX);
        if place.0 >= ROWS || place.1 >= columns {
            let limit = format!("more than {ROWS} rows or {columns} columns");
            return Err(damaged(source, limit));
        }
        if value.is_empty() {
            continue;
        }
        match &here {
            Some(row) if row.number == place.0 + 1 => {}
            _ => {
                bytes = 0;
                if let Some(row) = here.replace(row(place.0))
                    && take(row)?.is_break()
                {
                    return Ok(());
                }
            }
        }
        bytes += value.len();
        if bytes > limits::RECORD {
            return Err(too_long(source, place.0 + 1));
        }
        if let Some(row) = &mut here {
            row.cells.push((place.1, value));
        }
    }
    if let Some(row) = here {
        let _ = take(row)?;
    }
    Ok(())
}

fn too_long(source: &Source, row: u32) -> Error {
    Error::data(format!(
        "`{}` has a row of more than {} MiB: row {row}",
        source.name,
        limits::RECORD >> 20
    ))
    .hint("no export has; remove the row, or what is in it")
}

/// What a cell says, as text.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Value {
    Text(String),
    /// A number in digits, with a point before decimals.
    Number(String),
    /// The date, and the time of day unless it is midnight.
    Moment(String, Option<String>),
    /// What it shows, and why that is not its value.
    Unreliable(String, &'static str),
}

impl Value {
    fn of(cell: &DataRef<'_>) -> Self {
        match cell {
            DataRef::Empty => Self::Text(String::new()),
            DataRef::String(text) | DataRef::DurationIso(text) => Self::Text(text.clone()),
            DataRef::SharedString(text) => Self::Text((*text).to_owned()),
            DataRef::Bool(yes) => Self::Text(yes.to_string()),
            DataRef::Int(number) => Self::number(*number as f64),
            DataRef::Float(number) => Self::number(*number),
            DataRef::DateTime(at) if at.is_datetime() => Self::moment(at),
            DataRef::DateTime(length) => Self::number(length.as_f64()),
            DataRef::DateTimeIso(text) => match text.split_once('T') {
                Some((date, time)) => Self::Moment(date.to_owned(), Some(time.to_owned())),
                None => Self::Moment(text.clone(), None),
            },
            DataRef::Error(error) => Self::Unreliable(error.to_string(), "shows an error"),
        }
    }

    /// A number as Excel shows it, which keeps 15 digits.
    fn number(number: f64) -> Self {
        const EXACT: f64 = 1e15;
        if number.abs() >= EXACT || !number.is_finite() {
            let why = "is a number of more than 15 digits, which a spreadsheet does not keep";
            return Self::Unreliable(number.to_string(), why);
        }
        let shown = format!("{number:.14e}").parse::<f64>().unwrap_or(number);
        // No minus zero.
        Self::Number((shown + 0.0).to_string())
    }

    fn moment(at: &ExcelDateTime) -> Self {
        let (year, month, day, hour, minute, second, milli) = at.to_ymd_hms_milli();
        let date = format!("{year:04}-{month:02}-{day:02}");
        let time = match (hour, minute, second, milli) {
            (0, 0, 0, 0) => None,
            (_, _, _, 0) => Some(format!("{hour:02}:{minute:02}:{second:02}")),
            _ => Some(format!("{hour:02}:{minute:02}:{second:02}.{milli:03}")),
        };
        Self::Moment(date, time)
    }

    fn is_empty(&self) -> bool {
        *self == Self::Text(String::new())
    }

    fn len(&self) -> usize {
        match self {
            Self::Text(text) | Self::Number(text) | Self::Unreliable(text, _) => text.len() + 1,
            Self::Moment(..) => 24,
        }
    }

    /// As it would stand in a CSV, for a column of that type. One of dates shows no time at midnight,
    /// and what is a number in one of amounts has no thousands.
    fn text(self, of: Option<&DataType>) -> String {
        match self {
            Self::Number(text) if matches!(of, Some(DataType::Decimal(..))) => {
                let amount = number::money(&text, Some(DecimalMark::Point));
                amount.map_or(text, number::money_text)
            }
            Self::Number(text) if of == Some(&DataType::Int64) => number::never_thousands(text),
            Self::Text(text) | Self::Number(text) | Self::Unreliable(text, _) => text,
            Self::Moment(date, None) if of == Some(&DataType::Date) => date,
            Self::Moment(date, time) => {
                format!("{date} {}", time.as_deref().unwrap_or("00:00:00"))
            }
        }
    }
}

/// Finds the sheet that is an export.
fn find(source: &Source, options: &Options) -> Result<(Sheet, Header)> {
    let mut book = Book::open(source)?;
    let asked = options.sheet.as_deref();
    let sheets = book.sheets().iter().filter(|sheet| sheet.typ == SheetType::WorkSheet);
    let is_shown = |sheet: &calamine::Sheet| sheet.visible == SheetVisible::Visible;
    let all: Vec<String> = sheets.clone().map(|sheet| sheet.name.clone()).collect();
    let wanted: Vec<String> = match asked {
        Some(asked) => all.iter().filter(|name| name.trim() == asked.trim()).cloned().collect(),
        None => sheets.filter(|sheet| is_shown(sheet)).map(|sheet| sheet.name.clone()).collect(),
    };
    if let (Some(asked), true) = (asked, wanted.is_empty()) {
        return Err(Error::usage(format!("`{}` has no sheet `{asked}`", source.name))
            .hint(format!("it has {}", ticked(&all))));
    }
    let mut found = Vec::new();
    let mut faulty = None;
    let mut strange = None;
    for name in &wanted {
        let called = match wanted.len() {
            1 => source.name.clone(),
            _ => format!("{}, sheet {name}", source.name),
        };
        match find_header(&mut book, source, &called, name, options) {
            Ok(sheet) => found.push(sheet),
            Err(error) if error.is_no_export() => strange = strange.or(Some(error)),
            Err(error) => faulty = faulty.or(Some(error)),
        }
    }
    if found.len() > 1 {
        let names: Vec<String> = found.iter().map(|(sheet, _)| sheet.name.clone()).collect();
        return Err(Error::data(format!("`{}` has several sheets with exports", source.name))
            .found(ticked(&names))
            .hint(format!("load them one by one: `--sheet '{}'`", names[0])));
    }
    match (found.pop(), faulty, strange) {
        (Some(found), ..) => Ok(found),
        (None, Some(error), _) => Err(error),
        (None, None, Some(error)) if wanted.len() == 1 => Err(error),
        _ => Err(Error::data(format!("`{}` has no sheet that is a known export", source.name))
            .found(ticked(&wanted))
            .hint("a sheet should have a row that names the columns of an export")
            .no_export()),
    }
}

fn ticked(names: &[String]) -> String {
    let names: Vec<String> = names.iter().take(30).map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

/// Finds the header of a sheet: the first row that is one, below titles.
fn find_header(
    book: &mut Book,
    source: &Source,
    called: &str,
    sheet: &str,
    options: &Options,
) -> Result<(Sheet, Header)> {
    let mut search = Search::new(called, options.kind, &options.renames);
    let mut found = None;
    book.rows(source, sheet, &mut |row| {
        let first_column = row.cells.first().map_or(0, |(column, _)| *column);
        let mut fields = Vec::new();
        for (column, value) in row.cells {
            fields.resize((column - first_column) as usize, String::new());
            fields.push(quoted(&value.text(None)));
        }
        if let Some(header) = search.look(&fields.join(","), Written::DELIMITER) {
            let (name, header_row) = (sheet.to_owned(), row.number);
            found = Some((Sheet { name, header_row, first_column, above: search.above() }, header));
            return Ok(ControlFlow::Break(()));
        }
        Ok(if search.goes_on() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
    })?;
    found.ok_or_else(|| match search.nearest() {
        Some((_, error)) => error,
        None => Error::data(format!("`{called}` is empty"))
            .hint("an export without rows still has its header")
            .no_export(),
    })
}

/// Writes a sheet's rows as records.
struct Writing {
    sheet: Sheet,
    header: Header,
    /// Of the whole file.
    bytes: u64,
}

impl Writing {
    /// Chunks are about this long.
    const CHUNK: usize = 1 << 20;

    fn run(self, source: &Source, sender: &SyncSender<Chunk>) -> Result<()> {
        let mut book = Book::open(source)?;
        let columns = Columns::of(&self.header);
        let mut written = Written::default();
        let (mut number, mut read) = (0, 0);
        let mut flush = |written: &mut Written, progress: f64| {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "an estimate between 0 and the file's length"
            )]
            let now = ((self.bytes as f64 * progress) as u64).clamp(read, self.bytes);
            let chunk = written.take(now - read);
            read = now;
            // Nobody listens where the load has ended already.
            chunk.is_none_or(|chunk| sender.send(chunk).is_ok())
        };
        book.rows(source, &self.sheet.name, &mut |row| {
            if row.number <= self.sheet.header_row {
                return Ok(ControlFlow::Continue(()));
            }
            number += 1;
            let progress = row.progress;
            columns.write(row, self.sheet.first_column, number, &mut written);
            let goes_on = written.len() < Self::CHUNK || flush(&mut written, progress);
            Ok(if goes_on { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
        })?;
        flush(&mut written, 1.0);
        Ok(())
    }
}

/// What there is to know of each field of a record.
struct Columns {
    /// The name and the type of the table's column that it goes to.
    known: Vec<Option<(&'static str, DataType)>>,
}

impl Columns {
    fn of(header: &Header) -> Self {
        let mut known = vec![None; header.fields];
        for (column, place) in header.cells.iter().zip(&header.places) {
            if let Some(place) = place {
                known[*place] = Some((column.name, column.data_type()));
            }
        }
        Self { known }
    }

    fn write(&self, row: Row, first_column: u32, number: u64, written: &mut Written) {
        let mut fields = Vec::with_capacity(self.known.len());
        let mut fault = None;
        for (column, value) in row.cells {
            let Some(at) = column.checked_sub(first_column) else {
                fault.get_or_insert_with(|| "a cell left of the header's first column".to_owned());
                continue;
            };
            let at = at as usize;
            let known = self.known.get(at).and_then(Option::as_ref);
            if let (Value::Unreliable(_, why), Some((name, _))) = (&value, known) {
                fault.get_or_insert_with(|| format!("`{name}` {why}"));
            }
            fields.resize(at, String::new());
            fields.push(value.text(known.map(|(_, of)| of)));
        }
        if fields.len() < self.known.len() {
            fields.resize(self.known.len(), String::new());
        }
        written.push(number, row.number.into(), fields.iter().map(String::as_str));
        if let Some(fault) = fault {
            written.spoil(number, fault);
        }
    }
}

/// Unpacks every part, to see that none takes more memory than it may.
fn check_parts(
    source: &Source,
    mut archive: zip::ZipArchive<BufReader<File>>,
    is_binary: bool,
) -> Result<()> {
    let path = source.workbook().ok_or_else(|| Error::bug("no spreadsheet"))?;
    limits::check_archive(&source.name, &mut archive, path)?;
    let all = limits::unpacked(limits::length_of(&source.name, path)?);
    for entry in 0..archive.len() {
        let part = archive.by_index(entry).map_err(|e| damaged(source, e))?;
        let name = String::from_utf8_lossy(part.name_raw()).to_ascii_lowercase();
        let name = name.replace('\\', "/");
        let is_sheet = name.starts_with("xl/worksheets/");
        // Whatever it is called, a sheet of an XLSX is read as XML.
        let is_xml = !is_binary && (is_sheet || matches!(ending(&name), "xml" | "rels"));
        let most = if is_sheet { all } else { all.min(limits::HELD_PART) };
        if most == limits::HELD_PART && part.size() > most {
            return Err(too_large(source, &name));
        }
        let mut part = Bounded::new(part, most);
        let mut tags = Tags::default();
        let mut buffer = vec![0; 256 << 10];
        loop {
            let read = match part.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => read,
                Err(e) => {
                    let error = limits::exceeded(&source.name, &e);
                    return Err(match error {
                        Some(_) if most == limits::HELD_PART => too_large(source, &name),
                        Some(error) => error,
                        None => damaged(source, e),
                    });
                }
            };
            if is_xml {
                tags.look(&buffer[..read]).map_err(|found| {
                    Error::data(format!("`{}` has {found}", source.name))
                        .hint("no spreadsheet has: save it anew, or its sheet as csv")
                })?;
            }
        }
    }
    Ok(())
}

/// What a name ends in, behind its last dot.
fn ending(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or_default()
}

fn too_large(source: &Source, part: &str) -> Error {
    Error::data(format!(
        "`{}` is too large a spreadsheet: its {part} unpacks to more than {} MiB",
        source.name,
        limits::HELD_PART >> 20
    ))
    .hint("save its sheet as csv: of a csv any size is read")
}

/// Follows the tags and texts of an XML as its bytes pass: each is held in memory when it is read.
#[derive(Debug, Default)]
struct Tags {
    within: Within,
    /// Bytes since it began.
    length: usize,
    /// The last two bytes, to know what ends a section.
    tail: [u8; 2],
    begun: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Within {
    #[default]
    Text,
    /// After `<`.
    Opening,
    /// After `<!`.
    Mark,
    Tag,
    /// Within a tag's quotes.
    Quotes(u8),
    /// `<!-- -->` or `<![CDATA[ ]]>`, with the byte that comes twice before its end.
    Section(u8),
}

impl Tags {
    /// Takes the next bytes into account.
    ///
    /// # Errors
    ///
    /// What no spreadsheet has: a tag or a text that is too long, a document type.
    fn look(&mut self, bytes: &[u8]) -> Result<(), String> {
        let mut rest = bytes;
        if !self.begun && bytes.iter().take(4).any(|byte| matches!(byte, 0 | 0xFE | 0xFF)) {
            return Err("a part in UTF-16".to_owned());
        }
        self.begun = true;
        while !rest.is_empty() {
            let stop = match self.within {
                Within::Text => memchr::memchr(b'<', rest),
                Within::Opening | Within::Mark => Some(0),
                Within::Tag => memchr::memchr3(b'>', b'"', b'\'', rest),
                Within::Quotes(quote) => memchr::memchr(quote, rest),
                Within::Section(_) => memchr::memchr(b'>', rest),
            };
            let passed = stop.unwrap_or(rest.len());
            self.length += passed;
            if self.length > limits::TAG {
                return Err(format!("a text of more than {} MiB", limits::TAG >> 20));
            }
            self.remember(&rest[..passed]);
            rest = &rest[passed..];
            if let [byte, after @ ..] = rest {
                self.turn(*byte)?;
                self.remember(&[*byte]);
                rest = after;
            }
        }
        Ok(())
    }

    fn remember(&mut self, passed: &[u8]) {
        for byte in &passed[passed.len().saturating_sub(2)..] {
            self.tail = [self.tail[1], *byte];
        }
    }

    fn turn(&mut self, byte: u8) -> Result<(), String> {
        self.length += 1;
        let ends = |mark: u8| byte == b'>' && self.tail == [mark; 2] && self.length > 5;
        self.within = match self.within {
            Within::Text => {
                self.length = 0;
                Within::Opening
            }
            Within::Opening if byte == b'!' => Within::Mark,
            Within::Opening if matches!(byte, b'"' | b'\'') => Within::Quotes(byte),
            Within::Mark if byte == b'-' => Within::Section(b'-'),
            Within::Mark if byte == b'[' => Within::Section(b']'),
            Within::Mark => return Err("a document type".to_owned()),
            Within::Section(mark) if !ends(mark) => Within::Section(mark),
            Within::Opening | Within::Tag | Within::Section(_) if byte == b'>' => {
                self.length = 0;
                Within::Text
            }
            Within::Tag => Within::Quotes(byte),
            Within::Opening | Within::Quotes(_) | Within::Section(_) => Within::Tag,
        };
        Ok(())
    }
}
