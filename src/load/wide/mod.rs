//! Wide files of variables: a row per person, a column per variable.
//!
//! ```text
//! Celular,country_code,Fecha,¿Tu ciudad?,NPS     the header, with `--at-column Fecha`
//! 3005550101,57,2025-06-01 10:00:00,Bogotá,9     two records of `variables`: ¿Tu ciudad?, NPS
//! 3005550102,57,2025-06-01 10:05:00,,7           one: NPS
//! ```
//!
//! Each non-empty cell of a variable becomes a record of the table `variables`, with the line of its
//! row. So do those of a faulty row: its rejects are records of `variables`, and load as such.

mod columns;

use chrono::{DateTime, SecondsFormat};
use wabalake_data::cells::phone::{self, Phones, is_user_id};
use wabalake_data::cells::{LostDigits, text, word};
use wabalake_data::tables::variables::{
    self, AT, CONVERSATION_ID, CONVERSATION_VERSION, SESSION_ID, USER_ID, USER_PHONE, VALUE,
    VARIABLE,
};

pub(super) use self::columns::Columns;
use super::chunk::{Chunk, Record};
use super::chunk_parser::{check_width, trim};
use super::fields::Fields;
use super::header::Header;
use super::reader::{CHUNK, CsvBuffer, Reader};
use super::redact::without_marks;
use super::source::Source;
use crate::error::{Error, Result};

/// The name of this kind of files.
pub(crate) const KIND: &str = "variables-wide";

/// Options of wide files of variables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WideOptions {
    /// The flow of rows that name none.
    pub conversation_id: Option<String>,
    /// The version of the flow.
    pub conversation_version: Option<i32>,
    /// When the answers of rows without a time were given, in microseconds since 1970.
    pub at: Option<i64>,
    /// The title of the column that has the time of the answers.
    pub at_column: Option<String>,
}

/// The header of a wide file, and the options that fill its records.
#[derive(Clone, Debug)]
pub(crate) struct Wide {
    pub(crate) header: Header,
    columns: Columns,
    options: WideOptions,
}

impl Wide {
    pub(crate) fn new(header: Header, options: &WideOptions) -> Self {
        let columns = Columns::of_header(&header);
        Self { header, columns, options: options.clone() }
    }

    /// Describes the options that decide what is read, for the file's id.
    pub(crate) fn read_as(&self) -> String {
        let WideOptions { conversation_id, conversation_version, at, at_column } = &self.options;
        format!(" wide {conversation_id:?} {conversation_version:?} {at:?} {at_column:?}")
    }

    /// Wraps a reader of the rows into one of the records of `variables`.
    pub(crate) fn reader<'s>(&self, rows: Box<dyn Reader + 's>) -> Box<dyn Reader + 's> {
        let at = self.options.at.and_then(DateTime::from_timestamp_micros);
        Box::new(Answers {
            rows,
            fields: Fields::new(self.header.delimiter),
            wide: self.clone(),
            phones: Phones::default(),
            at: at.map(|at| at.to_rfc3339_opts(SecondsFormat::Micros, true)).unwrap_or_default(),
            version: self.options.conversation_version.map(|v| v.to_string()).unwrap_or_default(),
            current: None,
            number: 0,
        })
    }
}

/// The error for a JSON file that is named as a wide file.
pub(crate) fn not_a_grid(source: &Source) -> Error {
    Error::data(format!("`{}` is JSON, and {KIND} are CSV files and spreadsheets", source.name))
        .hint("load objects with the keys name and value as `variables`")
        .no_export()
}

/// Yields a record of `variables` for each answer.
struct Answers<'s> {
    rows: Box<dyn Reader + 's>,
    fields: Fields,
    wide: Wide,
    phones: Phones,
    /// The time of rows without one.
    at: String,
    version: String,
    /// Rows that were read, and the index of the next.
    current: Option<(Chunk, usize)>,
    /// The number of records so far.
    number: u64,
}

impl Reader for Answers<'_> {
    fn next_chunk(&mut self) -> Result<Option<Chunk>> {
        let mut written = CsvBuffer::default();
        let mut read = 0;
        loop {
            let (chunk, mut next) = match self.current.take() {
                Some(current) => current,
                None => match self.rows.next_chunk()? {
                    Some(chunk) => {
                        read += chunk.read;
                        (chunk, 0)
                    }
                    None => return Ok(written.take(read)),
                },
            };
            // A row has few bytes, but many times as many once each answer names its person.
            while written.len() < CHUNK && next < chunk.records.len() {
                self.write(&chunk, &chunk.records[next], &mut written);
                next += 1;
            }
            if next < chunk.records.len() {
                self.current = Some((chunk, next));
            }
            if written.len() >= CHUNK {
                return Ok(written.take(read));
            }
        }
    }
}

/// The cells that all answers of a row share.
struct Shared<'c> {
    session: &'c str,
    phone: String,
    user_id: &'c str,
    conversation: &'c str,
    version: &'c str,
    at: &'c str,
}

impl Answers<'_> {
    /// Writes the answers of a row.
    fn write(&mut self, chunk: &Chunk, row: &Record, written: &mut CsvBuffer) {
        let Self { fields, wide, phones, number, .. } = self;
        let bytes = &chunk.bytes[row.start..row.end];
        let Ok(raw) = std::str::from_utf8(bytes) else {
            *number += 1;
            let reason = "bytes that are not valid in the file's encoding".to_owned();
            written.push_broken(*number, row.line, bytes, reason);
            return;
        };
        let header = &wide.header;
        let mut cells = Vec::with_capacity(header.fields);
        fields.read(raw, row.quoted && !row.unclosed, header.delimiter, &mut cells);
        trim(header, &mut cells);
        if header.is_again(&cells) {
            *number += 1;
            // The parser of records counts it as a header.
            let titles = variables::TABLE.exported().map(|column| column.name);
            written.push(*number, row.line, titles);
            return;
        }
        let width = check_width(header, &cells);
        let whole = match (row.unclosed, width) {
            (true, _) => Some("a quote that is never closed".to_owned()),
            (false, Err(fault)) => Some(fault.reason),
            (false, Ok(())) => None,
        };
        if let Some(reason) = whole {
            *number += 1;
            // The cells may be shifted, so the row is kept as it stands.
            written.push(*number, row.line, record(&Shared::none(), "", raw));
            written.spoil(*number, reason);
            return;
        }
        let columns = &wide.columns;
        let cell = |at: Option<usize>| at.and_then(|at| cells.get(at)).copied().unwrap_or_default();
        let or = |at: Option<usize>, given: &'_ str| {
            word(cell(at)).map_or(given.to_owned(), str::to_owned)
        };
        let mut fault = chunk.broken.get(&row.number).cloned();
        let phone = match full_phone(phones, cell(columns.country_code), cell(columns.phone)) {
            Ok(phone) => phone,
            Err(reason) => {
                fault.get_or_insert(reason);
                cell(columns.phone).to_owned()
            }
        };
        let conversation = or(
            columns.conversation_id,
            wide.options.conversation_id.as_deref().unwrap_or_default(),
        );
        let at = or(columns.at, &self.at);
        let shared = Shared {
            session: cell(columns.session_id),
            phone,
            user_id: cell(columns.user_id),
            conversation: &conversation,
            version: &self.version,
            at: &at,
        };
        let is_named = word(shared.session).is_some()
            || names_person(&shared.phone)
            || word(shared.user_id).is_some_and(is_user_id);
        if !is_named {
            fault.get_or_insert_with(|| {
                "the row names nobody: it has no phone, user_id or session_id".to_owned()
            });
        }
        for (title, at) in &columns.variables {
            let Some(value) = text(cell(Some(*at))) else { continue };
            *number += 1;
            written.push(*number, row.line, record(&shared, title, value));
            if let Some(fault) = &fault {
                written.spoil(*number, fault.clone());
            }
        }
    }
}

impl Shared<'_> {
    /// No cells.
    fn none() -> Self {
        let phone = String::new();
        Self { session: "", phone, user_id: "", conversation: "", version: "", at: "" }
    }
}

/// The fields of a record of `variables`.
fn record<'f>(
    shared: &'f Shared<'_>,
    name: &'f str,
    value: &'f str,
) -> impl Iterator<Item = &'f str> {
    variables::TABLE.exported().map(move |column| match column.name {
        SESSION_ID => shared.session,
        USER_PHONE => &shared.phone,
        USER_ID => shared.user_id,
        CONVERSATION_ID => shared.conversation,
        CONVERSATION_VERSION => shared.version,
        AT => shared.at,
        VARIABLE => name,
        VALUE => value,
        _ => "",
    })
}

/// Returns `true` if a cell of a phone yields a number or a user id, or lost its digits and is rejected.
fn names_person(cell: &str) -> bool {
    !matches!(phone::read(without_marks(cell)), Ok(None))
}

/// Joins a country code and a number to an international number; a number without a code stays as
/// it is.
///
/// # Errors
///
/// The reason of a code whose digits are lost.
fn full_phone(phones: &Phones, code: &str, number: &str) -> Result<String, String> {
    let as_is = || Ok(number.to_owned());
    let code = match phone::read(code) {
        Ok(Some(code)) => code,
        Ok(None) => return as_is(),
        Err(LostDigits) => return Err(format!("`country_code`: {}", LostDigits::REASON)),
    };
    // The parser of records rejects a number that cannot be read.
    let Ok(Some(digits)) = phone::read(without_marks(number)) else { return as_is() };
    if is_user_id(&digits) {
        return as_is();
    }
    let person = phones.person(Some(&code), Some(&digits));
    Ok(person.map_or_else(String::new, |person| format!("+{}", person.phone())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_complete_national_numbers_only() {
        let full = |code, number| full_phone(&Phones::default(), code, number);
        for (code, number, expected) in [
            ("57", "300 555 0101", "+573005550101"),
            ("+57", "+573005550101", "+573005550101"),
            ("57.0", "3005550101.0", "+573005550101"),
            ("", "3005550101", "3005550101"),
            ("-", "+57 3005550101", "+57 3005550101"),
            ("57", "CO.1349", "CO.1349"),
            ("57", "-", "-"),
            ("57", "5.73E+11", "5.73E+11"),
        ] {
            assert_eq!(full(code, number).as_deref(), Ok(expected), "{code} {number}");
        }
        assert!(full("5.7E+1", "3005550101").unwrap_err().starts_with("`country_code`"));
    }
}
