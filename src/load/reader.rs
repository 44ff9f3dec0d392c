//! What gives the records of a source, whatever it is written in.
//!
//! ```text
//! csv          its own records, as they stand          ┐
//! json         a record for each object                ├ Chunk ──► typing, on every core
//! spreadsheet  a record for each row of the sheet      ┘
//! ```
//!
//! What is no CSV is written as one under the header that its [`Form`] made up, so that its records
//! are typed, set aside, shown and mended as those of a CSV are.

use std::collections::BTreeMap;

use wabalake_data::cells::DecimalMark;
use wabalake_data::tables::meta_points;

use super::header::Header;
use super::json::Shape;
use super::records::{Chunk, Record};
use super::sheet::{self, Sheet};
use super::source::{Source, Survey};
use super::{Options, csv, foreign, json};
use crate::error::Result;

/// What a source is written in.
#[derive(Clone, Debug)]
pub(crate) enum Form {
    /// Text with a delimiter, with lines above its header.
    Csv(csv::Above),
    /// One sheet of a spreadsheet.
    Sheet(Sheet),
    /// JSON, with header cells to read as others.
    Json(Shape, Vec<(String, String)>),
}

impl Form {
    /// What a source is written in, and what its header says.
    pub(crate) fn read(
        source: &Source,
        survey: &Survey,
        options: &Options,
    ) -> Result<(Self, Header)> {
        let (form, mut header) = Self::find(source, survey, options)?;
        header.spell(options.date_order, options.decimal);
        match form {
            Self::Csv(_) => {}
            Self::Sheet(_) => header.with_numbers(),
            Self::Json(..) => {
                header.with_numbers();
                header.language = Some(DecimalMark::Point);
            }
        }
        Ok((form, header))
    }

    fn find(source: &Source, survey: &Survey, options: &Options) -> Result<(Self, Header)> {
        if source.is_workbook {
            let (sheet, header) = sheet::header(source, options)?;
            return Ok((Self::Sheet(sheet), header));
        }
        foreign::refuse(source, survey)?;
        if let Some(shape) = json::shape(source, survey, options)? {
            let header = match shape {
                Shape::Objects => json::header(source, survey, options)?,
                Shape::Responses => json::header_of(source, &meta_points::TABLE)?,
            };
            return Ok((Self::Json(shape, options.renames.clone()), header));
        }
        let (above, header) = csv::header(source, survey, options)?;
        Ok((Self::Csv(above), header))
    }

    /// How many lines or rows stand above the header, with something in them.
    pub(crate) fn above(&self) -> u64 {
        match self {
            Self::Csv(above) => above.passed as u64,
            Self::Sheet(sheet) => sheet.above as u64,
            Self::Json(..) => 0,
        }
    }

    /// The sheet that is read, of a spreadsheet.
    pub(crate) fn sheet(&self) -> Option<&str> {
        match self {
            Self::Sheet(sheet) => Some(&sheet.name),
            _ => None,
        }
    }

    /// A reader of the source from its first record on.
    pub(crate) fn reader<'s>(
        &self,
        source: &'s Source,
        survey: &Survey,
        header: &Header,
    ) -> Result<Box<dyn Reader + 's>> {
        match self {
            Self::Csv(above) => csv::reader(source, survey, *above, header),
            Self::Sheet(sheet) => Ok(sheet::reader(source, survey, sheet, header)),
            Self::Json(shape, renames) => json::reader(source, survey, *shape, header, renames),
        }
    }
}

/// Gives the records of one source in runs.
pub(crate) trait Reader {
    /// The next records, or `None` after the last. A run is a few megabytes at most.
    ///
    /// # Errors
    ///
    /// A source that cannot be read on; a record that cannot be taken is no error.
    fn next_chunk(&mut self) -> Result<Option<Chunk>>;

    /// What it met, up to now, that belongs to no column and that the header did not tell.
    fn unknown(&self) -> Vec<String> {
        Vec::new()
    }

    /// Whether nothing that it met, up to now, belongs to a column.
    fn knows_nothing(&self) -> bool {
        false
    }

    /// How many values of each column it could not read and left empty. It is known once all chunks
    /// were given.
    fn measures_at_fault(&self) -> BTreeMap<&'static str, u64> {
        BTreeMap::new()
    }
}

/// Writes records of what is no CSV as records of one, comma and quotes.
#[derive(Debug, Default)]
pub(crate) struct Written {
    bytes: Vec<u8>,
    records: Vec<Record>,
    broken: BTreeMap<u64, String>,
}

impl Written {
    /// What separates its fields.
    pub(crate) const DELIMITER: u8 = b',';

    /// Appends a record of that number, which begins on that line. It has as many fields as the
    /// header.
    pub(crate) fn push<'f>(
        &mut self,
        number: u64,
        line: u64,
        fields: impl IntoIterator<Item = &'f str>,
    ) {
        let start = self.bytes.len();
        let mut quoted = false;
        for (at, field) in fields.into_iter().enumerate() {
            if at > 0 {
                self.bytes.push(Self::DELIMITER);
            }
            if field.contains([',', '"', '\n', '\r']) {
                quoted = true;
                self.bytes.push(b'"');
                self.bytes.extend_from_slice(field.replace('"', "\"\"").as_bytes());
                self.bytes.push(b'"');
            } else {
                self.bytes.extend_from_slice(field.as_bytes());
            }
        }
        self.end(start, number, line, quoted);
    }

    /// Appends a record that cannot be taken apart, as it stands.
    pub(crate) fn push_broken(&mut self, number: u64, line: u64, raw: &[u8], reason: String) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(raw);
        self.end(start, number, line, false);
        self.broken.insert(number, reason);
    }

    /// Says why a record that was appended cannot be taken.
    pub(crate) fn spoil(&mut self, number: u64, reason: String) {
        self.broken.insert(number, reason);
    }

    fn end(&mut self, start: usize, number: u64, line: u64, quoted: bool) {
        let end = self.bytes.len();
        self.records.push(Record { start, end, number, line, quoted, unclosed: false });
    }

    /// How many bytes wait to be taken.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// What was appended since the last time, if anything was. `read` is how many bytes of the
    /// source it comes from.
    pub(crate) fn take(&mut self, read: u64) -> Option<Chunk> {
        if self.records.is_empty() {
            return None;
        }
        let Self { bytes, records, broken } = std::mem::take(self);
        Some(Chunk { bytes, records, broken, read })
    }
}
