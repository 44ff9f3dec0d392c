//! Finds the person of a record, as the loader reads it, without loading it.
//!
//! ```text
//! x1,yesterday,57,3005550104,call me    the person 573005550104, from code and number
//! c2,p1,2025-06-01T10:30:00Z,,          no person; the session p1
//! x1,yesterday,57,3005550104            too few fields: their columns are uncertain
//! ```

use std::io::Read as _;
use std::ops::ControlFlow;
use std::path::Path;

use chrono_tz::Tz;
use wabalake_data::cells::Spelling;
use wabalake_data::cells::phone::{Phones, digits};
use wabalake_data::tables::{Cell, CellKind, USER_ID, USER_PHONE, sessions};

use super::cell::read_cell;
use super::chunk_parser::derive;
use super::fields::Fields;
use super::file_format::FileFormat;
use super::header::Header;
use super::options::Options;
use super::report::SkippedFile;
use super::sheet;
use super::source::{FoundSources, Source, Survey};
use super::text::DecodedText;
use crate::error::{Error, Result};

/// Reads the persons of records under one header.
pub(crate) struct PersonReader {
    header: Header,
    fields: Fields,
    phones: Phones,
}

/// The person and session of a record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RecordIdentity {
    /// The fields, each with its column.
    pub(crate) fields: Vec<(Option<&'static str>, String)>,
    /// `true` if the record has all its fields, so that each belongs to its column.
    pub(crate) is_whole: bool,
    /// The person of the record: the number, the user id.
    pub(crate) persons: Vec<String>,
    /// The session of the record.
    pub(crate) session: Option<String>,
}

impl PersonReader {
    /// Creates a reader for records under a header. `home` is the dialling code of national
    /// numbers.
    pub(crate) fn new(header: Header, home: Option<&str>) -> Self {
        let fields = Fields::new(header.delimiter);
        Self { header, fields, phones: Phones::with_default_code(home) }
    }

    /// Creates a reader for rejects as the lake stores them: `kind` names the table, `header` is
    /// separated by commas. `None` if the table does not exist or the header does not fit it.
    pub(crate) fn of_rejects(
        kind: &str,
        header: &str,
        delimiter: &str,
        home: Option<&str>,
    ) -> Option<Self> {
        let table = wabalake_data::table(kind)?;
        let header = Header::read("", header, b',', Some(table), &[]).ok()?;
        let delimiter = delimiter.bytes().next().unwrap_or(b',');
        Some(Self::new(Header { delimiter, ..header }, home))
    }

    /// Returns the name of the table.
    pub(crate) fn table(&self) -> &'static str {
        self.header.table.name
    }

    /// Returns the delimiter of the records.
    pub(crate) fn delimiter(&self) -> u8 {
        self.header.delimiter
    }

    /// Parses a record as far as possible.
    pub(crate) fn read(&mut self, raw: &str, is_quoted: bool) -> RecordIdentity {
        let Self { header, fields: reader, phones } = self;
        let mut fields = Vec::new();
        reader.read(raw, is_quoted, header.delimiter, &mut fields);
        let mut cells = Vec::with_capacity(header.places.len());
        let mut columns = vec![None; fields.len()];
        for (column, place) in header.cells.iter().zip(&header.places) {
            let field = place.and_then(|place| fields.get(place)).copied().unwrap_or_default();
            let cell = read_cell(column, field, Tz::UTC, Spelling::default(), &mut false);
            cells.push(cell.unwrap_or_default());
            if let Some(of) = place.and_then(|place| columns.get_mut(place)) {
                *of = Some(column.name);
            }
        }
        // An unknown value in a closed list may be what tells the person from the business phone
        // line.
        let is_clear = header.cells.iter().zip(&cells).all(|(column, cell)| {
            !column.required || !matches!(column.kind, CellKind::Closed(_)) || !cell.is_null()
        });
        derive(header, phones, &mut cells);
        let text = |name: &str| {
            let cell: &Cell<'_> = cells.get(header.table.position(name)?)?;
            cell.text().filter(|text| !text.is_empty()).map(str::to_owned)
        };
        RecordIdentity {
            is_whole: is_clear && fields.len() == header.fields,
            persons: [USER_PHONE, USER_ID].into_iter().filter_map(text).collect(),
            session: text(sessions::SESSION_ID),
            fields: columns.into_iter().zip(fields.iter().map(|f| (*f).to_owned())).collect(),
        }
    }
}

/// Returns `true` if two neighbouring fields are the dialling code and number of a person.
pub(crate) fn has_pair<'f>(
    fields: impl Iterator<Item = &'f str>,
    person: &str,
    phones: &Phones,
) -> bool {
    let mut code: Option<String> = None;
    for field in fields {
        let number = digits(field).filter(|digits| is_number(digits));
        let both = code.as_deref().zip(number.as_deref());
        let found = both.and_then(|(code, number)| phones.person(Some(code), Some(number)));
        if found.is_some_and(|found| found.phone() == person) {
            return true;
        }
        code = number.map(std::borrow::Cow::into_owned).filter(|code| code.len() <= LONGEST_CODE);
    }
    false
}

/// Digits of the longest dialling code, with leading zeros.
const LONGEST_CODE: usize = 5;

fn is_number(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit())
}

/// A part of a file, in any file format.
pub(crate) enum Content<'p> {
    /// A record of an export; the flag says whether it has quoted fields.
    Record(&'p mut PersonReader, &'p str, bool),
    /// A row of a sheet that is not an export.
    Row(&'p [String]),
    /// A piece of text of a file that is not an export; pieces overlap.
    Text(&'p str),
}

/// Receives the parts of a file, until it breaks.
type Visit<'t> = dyn FnMut(Content<'_>) -> ControlFlow<()> + Send + 't;

/// How far a file was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ReadResult {
    /// To the end.
    Whole,
    /// Until the visitor broke.
    Stopped,
    /// Not, or not completely: the reason.
    Not(String),
}

/// Reads all of a file, decompressed, as the loader does; a file that is not an export is read as
/// text. `home` is the dialling code of national numbers, `spool_in` the folder for temporary
/// files. Memory use is a few megabytes.
pub(crate) fn read_through(
    file: &Path,
    spool_in: &Path,
    home: Option<&str>,
    take: &mut Visit<'_>,
) -> ReadResult {
    let found = match FoundSources::of(&[file.to_owned()], spool_in) {
        Ok(found) => found,
        Err(error) => return ReadResult::Not(why(&file_name(file), &error)),
    };
    let mut not_read = None;
    for skipped in &found.skipped {
        if take(Content::Text(&skipped.file)).is_break() {
            return ReadResult::Stopped;
        }
        // An empty archive is read completely.
        if skipped.reason != "an archive without files" {
            not_read.get_or_insert_with(|| skipped.reason.clone());
        }
    }
    for source in &found.sources {
        if take(Content::Text(&source.name)).is_break() {
            return ReadResult::Stopped;
        }
        match read_source(source, home, take) {
            Ok(ReadResult::Whole) => {}
            Ok(ReadResult::Stopped) => return ReadResult::Stopped,
            Ok(ReadResult::Not(reason)) => drop(not_read.get_or_insert(reason)),
            Err(error) => drop(not_read.get_or_insert_with(|| why(&source.name, &error))),
        }
    }
    not_read.map_or(ReadResult::Whole, ReadResult::Not)
}

fn file_name(file: &Path) -> String {
    file.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn why(file: &str, error: &Error) -> String {
    SkippedFile::of_error(file, error).reason
}

fn read_source(source: &Source, home: Option<&str>, take: &mut Visit<'_>) -> Result<ReadResult> {
    if source.is_empty()? {
        return Ok(ReadResult::Whole);
    }
    let survey = source.survey()?;
    let read_as = FileFormat::read(source, &survey, &Options::default());
    if let Ok((format, headers)) = &read_as {
        let readers = headers.iter().map(|header| PersonReader::new(header.clone(), home));
        if read_records(source, &survey, format, readers.collect(), take)?.is_break() {
            return Ok(ReadResult::Stopped);
        }
        // What webhooks leave out may name people too.
        if format.is_webhooks() {
            return read_text(source, &survey, take);
        }
    }
    if source.is_workbook {
        let read = read_as.as_ref().ok().and_then(|(format, _)| format.sheet());
        let stopped = sheet::each_other_row(source, read, &mut |row| take(Content::Row(row)))?;
        return Ok(if stopped { ReadResult::Stopped } else { ReadResult::Whole });
    }
    match read_as {
        Ok(_) => Ok(ReadResult::Whole),
        Err(_) => read_text(source, &survey, take),
    }
}

fn read_records(
    source: &Source,
    survey: &Survey,
    format: &FileFormat,
    mut readers: Vec<PersonReader>,
    take: &mut Visit<'_>,
) -> Result<ControlFlow<()>> {
    let headers: Vec<Header> = readers.iter().map(|reader| reader.header.clone()).collect();
    for header in &headers {
        if take(Content::Text(&header.written)).is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    let mut reader = format.reader(source, survey, &headers[0])?;
    while let Some(chunk) = reader.next_chunk()? {
        for record in &chunk.records {
            let raw = String::from_utf8_lossy(&chunk.bytes[record.start..record.end]);
            let passage = if chunk.broken.contains_key(&record.number) {
                Content::Text(&raw)
            } else {
                Content::Record(&mut readers[chunk.table], &raw, record.quoted && !record.unclosed)
            };
            if take(passage).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
    }
    Ok(ControlFlow::Continue(()))
}

/// Reads a file that is not an export as text.
fn read_text(source: &Source, survey: &Survey, take: &mut Visit<'_>) -> Result<ReadResult> {
    /// Pieces overlap by so many bytes: longer than any number.
    const OVERLAP: usize = 4 << 10;
    let mut text = DecodedText::open(source, survey)?;
    let mut is_text = true;
    let mut bytes = vec![0; 256 << 10];
    let mut kept = 0;
    loop {
        let read = text.read(&mut bytes[kept..]);
        let read = read.map_err(|e| source.read_error(&e))?;
        is_text &= !bytes[kept..kept + read].iter().any(|byte| is_binary(*byte));
        let all = &bytes[..kept + read];
        if take(Content::Text(&String::from_utf8_lossy(all))).is_break() {
            return Ok(ReadResult::Stopped);
        }
        if read == 0 {
            break;
        }
        let end = all.len();
        kept = end.min(OVERLAP);
        bytes.copy_within(end - kept..end, 0);
    }
    let no_text = || ReadResult::Not("neither text nor an export".to_owned());
    Ok(if is_text { ReadResult::Whole } else { no_text() })
}

/// Returns `true` for control characters that text does not have.
fn is_binary(byte: u8) -> bool {
    byte < b' ' && !matches!(byte, b'\t' | b'\n' | b'\r' | 0x0B | 0x0C | 0x1B)
}
