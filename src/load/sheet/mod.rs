//! Spreadsheets, XLSX or XLSB: the rows of a sheet are records.
//!
//! ```text
//! row 1   Sessions of June                               a title: skipped
//! row 2   (empty)
//! row 3          session_id   session_started_timestamp  the header, in any column
//! row 4          a1           45809.4166 as a date       record 1: a1,2025-06-01 09:59:54.240
//! row 5          573005550101 2025-06-01 10:00:00        record 2: the id in digits, the text unchanged
//! ```
//!
//! The sheet is the one with an export's header, or the one given. Cells become text as in a CSV
//! file: dates and times in ISO order without an offset, whole numbers in digits, fractions with 15
//! digits as Excel shows them, booleans as `true` and `false`. A number of 16 digits or more is
//! rounded, and an error has no value: in a column of the table, either rejects the row.
//!
//! Cells are streamed. Memory holds the workbook's shared strings, which have a limit, and a few
//! thousand rows.

mod book;
mod bounds;
mod value;

use std::ops::ControlFlow;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use calamine::{SheetType, SheetVisible};
use polars::prelude::DataType;

use self::book::{Row, Workbook};
use self::bounds::damaged;
use self::value::CellValue;
use super::chunk::Chunk;
use super::fields::quoted;
use super::header::{Header, HeaderSearch};
use super::options::Options;
use super::reader::{CsvBuffer, Reader};
use super::source::{Source, Survey};
use crate::error::{Error, Result, in_words};

/// A sheet and the position of its header.
#[derive(Clone, Debug)]
pub(crate) struct Sheet {
    pub(crate) name: String,
    /// Row of the header; the first is 1.
    header_row: u32,
    /// First column of the header; the first is 0.
    first_column: u32,
    /// Number of non-empty rows above the header.
    pub(crate) above: usize,
}

/// Finds the sheet and its header.
pub(crate) fn header(source: &Source, options: &Options) -> Result<(Sheet, Header)> {
    let found = guarded(source, {
        let (source, options) = (source.clone(), options.clone());
        move || find(&source, &options)
    });
    found.join().unwrap_or_else(|_| Err(damaged(source, "it is malformed")))
}

/// Opens a reader of the rows below the header.
pub(crate) fn reader<'s>(
    source: &'s Source,
    survey: &Survey,
    sheet: &Sheet,
    header: &Header,
) -> Box<dyn Reader + 's> {
    let (sender, chunks) = sync_channel(2);
    let writing = RowWriter { sheet: sheet.clone(), header: header.clone(), bytes: survey.bytes };
    let thread = guarded(source, {
        let source = source.clone();
        move || writing.run(&source, &sender)
    });
    Box::new(Records { source, chunks, thread: Some(thread) })
}

/// Passes the rows of all sheets but one to `take`, as text, until it breaks. Returns whether it
/// broke.
pub(crate) fn each_other_row(
    source: &Source,
    but: Option<&str>,
    take: &mut (dyn FnMut(&[String]) -> ControlFlow<()> + Send),
) -> Result<bool> {
    std::thread::scope(|scope| {
        let reading = move || {
            let mut book = Workbook::open(source)?;
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
            Ok(thread) => thread.join().unwrap_or_else(|_| Err(damaged(source, "it is malformed"))),
            Err(e) => {
                Err(Error::lake(format!("no thread to read `{}`: {}", source.name, in_words(&e))))
            }
        }
    })
}

/// The name of threads that read spreadsheets: calamine panics on some malformed files.
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
            let error = Error::lake(format!("no thread to read `{name}`: {}", in_words(&e)));
            std::thread::spawn(move || Err(error))
        }
    }
}

/// The records of a sheet. A thread writes them, because the calamine reader borrows the workbook.
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
            Err(_) => Err(damaged(self.source, "it is malformed")),
        }
    }
}

/// Finds the sheet with an export.
fn find(source: &Source, options: &Options) -> Result<(Sheet, Header)> {
    let mut book = Workbook::open(source)?;
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
        _ => Err(Error::data(format!("`{}` has no sheet with a recognised export", source.name))
            .found(ticked(&wanted))
            .hint("a sheet should have a row that names the columns of an export")
            .no_export()),
    }
}

fn ticked(names: &[String]) -> String {
    let names: Vec<String> = names.iter().take(30).map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

/// Finds the header of a sheet: the first row that is one.
fn find_header(
    book: &mut Workbook,
    source: &Source,
    called: &str,
    sheet: &str,
    options: &Options,
) -> Result<(Sheet, Header)> {
    let mut search = HeaderSearch::new(called, options);
    let mut found = None;
    book.rows(source, sheet, &mut |row| {
        let first_column = row.cells.first().map_or(0, |(column, _)| *column);
        let mut fields = Vec::new();
        for (column, value) in row.cells {
            fields.resize((column - first_column) as usize, String::new());
            fields.push(quoted(&value.text(None)));
        }
        if let Some(header) = search.look(&fields.join(","), CsvBuffer::DELIMITER) {
            let (name, header_row) = (sheet.to_owned(), row.number);
            found = Some((Sheet { name, header_row, first_column, above: search.above() }, header));
            return Ok(ControlFlow::Break(()));
        }
        Ok(if search.goes_on() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
    })?;
    found.ok_or_else(|| match search.nearest() {
        Some((_, error)) => error,
        None => Error::data(format!("`{called}` is empty"))
            .hint("an export without rows has a header")
            .no_export(),
    })
}

/// Writes the rows of a sheet as records.
struct RowWriter {
    sheet: Sheet,
    header: Header,
    /// Size of the file, for the progress.
    bytes: u64,
}

impl RowWriter {
    /// The approximate size of a chunk.
    const CHUNK: usize = 1 << 20;

    fn run(self, source: &Source, sender: &SyncSender<Chunk>) -> Result<()> {
        let mut book = Workbook::open(source)?;
        let columns = SheetColumns::of(&self.header);
        let mut written = CsvBuffer::default();
        let (mut number, mut read) = (0, 0);
        let mut flush = |written: &mut CsvBuffer, progress: f64| {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "an estimate between 0 and the file's length"
            )]
            let now = ((self.bytes as f64 * progress) as u64).clamp(read, self.bytes);
            let chunk = written.take(now - read);
            read = now;
            // The receiver is gone if the load has ended.
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

/// The columns of a record's fields.
struct SheetColumns {
    /// The name and type of the table's column, for each field.
    known: Vec<Option<(&'static str, DataType)>>,
}

impl SheetColumns {
    fn of(header: &Header) -> Self {
        let mut known = vec![None; header.fields];
        for (column, place) in header.cells.iter().zip(&header.places) {
            if let Some(place) = place {
                known[*place] = Some((column.name, column.data_type()));
            }
        }
        Self { known }
    }

    fn write(&self, row: Row, first_column: u32, number: u64, written: &mut CsvBuffer) {
        let mut fields = Vec::with_capacity(self.known.len());
        let mut fault = None;
        for (column, value) in row.cells {
            let Some(at) = column.checked_sub(first_column) else {
                fault.get_or_insert_with(|| "a cell left of the header's first column".to_owned());
                continue;
            };
            let at = at as usize;
            let known = self.known.get(at).and_then(Option::as_ref);
            if let (CellValue::Unreliable(_, why), Some((name, _))) = (&value, known) {
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
