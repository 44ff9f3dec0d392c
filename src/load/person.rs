//! Whose a record is, read as the loader reads it, without loading it.
//!
//! ```text
//! x1,yesterday,57,3005550104,call me    the person 573005550104, by code and number together
//! c2,p1,2025-06-01T10:30:00Z,,          no person; the session p1
//! x1,yesterday,57,3005550104            too few fields: what stands where a field should is no proof
//! ```

use std::io::Read as _;
use std::ops::ControlFlow;
use std::path::Path;

use chrono_tz::Tz;
use wabalake_data::cells::Spelling;
use wabalake_data::cells::phone::{Phones, digits};
use wabalake_data::tables::{Cell, CellKind, sessions};

use super::Options;
use super::header::Header;
use super::json::Text;
use super::reader::Form;
use super::records::Fields;
use super::report::PassedOver;
use super::sheet;
use super::source::{Found, Source, Survey};
use super::typing::{derive, read_cell};
use crate::error::{Error, Result};

/// Reads whose the records of one header are.
pub(crate) struct Witness {
    header: Header,
    fields: Fields,
    phones: Phones,
}

/// What a record says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Testimony {
    /// Its fields, each with the column that it belongs to.
    pub(crate) fields: Vec<(Option<&'static str>, String)>,
    /// Whether it can be taken apart, so that each field is where it belongs.
    pub(crate) is_whole: bool,
    /// The person that a row of it would have.
    pub(crate) person: Option<String>,
    /// The session that a row of it would name.
    pub(crate) session: Option<String>,
}

impl Witness {
    /// For records of a header that was read, with the dialling code of national numbers.
    pub(crate) fn new(header: Header, home: Option<&str>) -> Self {
        let fields = Fields::new(header.delimiter);
        Self { header, fields, phones: Phones::with_default_code(home) }
    }

    /// For rejected records, as the lake keeps them: the table's name, the header as a record with
    /// commas, what separates the record's fields. None where the header is of no such table.
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

    /// The table that its records are for.
    pub(crate) fn table(&self) -> &'static str {
        self.header.table.name
    }

    /// What separates the fields of its records.
    pub(crate) fn delimiter(&self) -> u8 {
        self.header.delimiter
    }

    /// Reads a record, as far as it goes.
    pub(crate) fn read(&mut self, raw: &str, is_quoted: bool) -> Testimony {
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
        // What a closed list does not know may be what tells the person from the line.
        let is_clear = header.cells.iter().zip(&cells).all(|(column, cell)| {
            !column.required || !matches!(column.kind, CellKind::Closed(_)) || !cell.is_null()
        });
        derive(header, phones, &mut cells);
        let text = |name: &str| {
            let cell: &Cell<'_> = cells.get(header.table.position(name)?)?;
            cell.text().filter(|text| !text.is_empty()).map(str::to_owned)
        };
        Testimony {
            is_whole: is_clear && fields.len() == header.fields,
            person: text(sessions::USER_PHONE),
            session: text(sessions::SESSION_ID),
            fields: columns.into_iter().zip(fields.iter().map(|f| (*f).to_owned())).collect(),
        }
    }
}

/// Whether two fields that stand side by side are a person's code and number.
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

/// Digits of the longest dialling code, with zeros before it.
const LONGEST_CODE: usize = 5;

fn is_number(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit())
}

/// One record of a file, whatever the file is written in.
pub(crate) enum Passage<'p> {
    /// A record of an export.
    Record(&'p mut Witness, &'p str, bool),
    /// A row of a sheet that is no export.
    Row(&'p [String]),
    /// Some text of a file that is no export; the same text may come twice.
    Text(&'p str),
}

/// Gets what a file holds, until it has had enough.
type Take<'t> = dyn FnMut(Passage<'_>) -> ControlFlow<()> + Send + 't;

/// How a file was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ReadThrough {
    /// To its end.
    Whole,
    /// As far as was asked for.
    Stopped,
    /// Not, or not all of it: why.
    Not(String),
}

/// Reads all that a file holds, unpacked, as the loader would; what is no export is read as text.
/// National numbers are of a dialling code. Temporary files go to a folder. Memory holds a few megabytes.
pub(crate) fn read_through(
    file: &Path,
    spool_in: &Path,
    home: Option<&str>,
    take: &mut Take<'_>,
) -> ReadThrough {
    let found = match Found::of(&[file.to_owned()], spool_in) {
        Ok(found) => found,
        Err(error) => return ReadThrough::Not(why(&file_name(file), &error)),
    };
    let mut not_read = None;
    for passed_over in &found.passed_over {
        if take(Passage::Text(&passed_over.file)).is_break() {
            return ReadThrough::Stopped;
        }
        // There is nothing in it.
        if passed_over.reason != "an archive without files" {
            not_read.get_or_insert_with(|| passed_over.reason.clone());
        }
    }
    for source in &found.sources {
        if take(Passage::Text(&source.name)).is_break() {
            return ReadThrough::Stopped;
        }
        match read_source(source, home, take) {
            Ok(ReadThrough::Whole) => {}
            Ok(ReadThrough::Stopped) => return ReadThrough::Stopped,
            Ok(ReadThrough::Not(reason)) => drop(not_read.get_or_insert(reason)),
            Err(error) => drop(not_read.get_or_insert_with(|| why(&source.name, &error))),
        }
    }
    not_read.map_or(ReadThrough::Whole, ReadThrough::Not)
}

fn file_name(file: &Path) -> String {
    file.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn why(file: &str, error: &Error) -> String {
    PassedOver::told(file, error).reason
}

fn read_source(source: &Source, home: Option<&str>, take: &mut Take<'_>) -> Result<ReadThrough> {
    if source.is_empty()? {
        return Ok(ReadThrough::Whole);
    }
    let survey = source.survey()?;
    let read_as = Form::read(source, &survey, &Options::default());
    if let Ok((form, header)) = &read_as
        && read_records(source, &survey, form, Witness::new(header.clone(), home), take)?.is_break()
    {
        return Ok(ReadThrough::Stopped);
    }
    if source.is_workbook {
        let read = read_as.as_ref().ok().and_then(|(form, _)| form.sheet());
        let stopped = sheet::each_other_row(source, read, &mut |row| take(Passage::Row(row)))?;
        return Ok(if stopped { ReadThrough::Stopped } else { ReadThrough::Whole });
    }
    match read_as {
        Ok(_) => Ok(ReadThrough::Whole),
        Err(_) => read_text(source, &survey, take),
    }
}

fn read_records(
    source: &Source,
    survey: &Survey,
    form: &Form,
    mut witness: Witness,
    take: &mut Take<'_>,
) -> Result<ControlFlow<()>> {
    let header = witness.header.clone();
    if take(Passage::Text(&header.written)).is_break() {
        return Ok(ControlFlow::Break(()));
    }
    let mut reader = form.reader(source, survey, &header)?;
    while let Some(chunk) = reader.next_chunk()? {
        for record in &chunk.records {
            let raw = String::from_utf8_lossy(&chunk.bytes[record.start..record.end]);
            let passage = if chunk.broken.contains_key(&record.number) {
                Passage::Text(&raw)
            } else {
                Passage::Record(&mut witness, &raw, record.quoted && !record.unclosed)
            };
            if take(passage).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
    }
    Ok(ControlFlow::Continue(()))
}

/// Reads a file that is no export as text.
fn read_text(source: &Source, survey: &Survey, take: &mut Take<'_>) -> Result<ReadThrough> {
    /// So much of a text is given again before what follows: longer than any number.
    const OVERLAP: usize = 4 << 10;
    let mut text = Text::open(source, survey)?;
    let mut is_text = true;
    let mut bytes = vec![0; 256 << 10];
    let mut kept = 0;
    loop {
        let read = text.read(&mut bytes[kept..]);
        let read = read.map_err(|e| source.cut_short(&e))?;
        is_text &= !bytes[kept..kept + read].iter().any(|byte| is_binary(*byte));
        let all = &bytes[..kept + read];
        if take(Passage::Text(&String::from_utf8_lossy(all))).is_break() {
            return Ok(ReadThrough::Stopped);
        }
        if read == 0 {
            break;
        }
        let end = all.len();
        kept = end.min(OVERLAP);
        bytes.copy_within(end - kept..end, 0);
    }
    let no_text = || ReadThrough::Not("neither text nor an export".to_owned());
    Ok(if is_text { ReadThrough::Whole } else { no_text() })
}

/// Whether a text has no such character.
fn is_binary(byte: u8) -> bool {
    byte < b' ' && !matches!(byte, b'\t' | b'\n' | b'\r' | 0x0B | 0x0C | 0x1B)
}
