//! The trait of readers, which yield the records of a source in any file format.
//!
//! ```text
//! csv          its own records, as they stand          ┐
//! json         a record for each object                ├ Chunk ──► chunk_parser, on every core
//! spreadsheet  a record for each row of the sheet      ┘
//! ```
//!
//! Records of JSON and spreadsheets are written as CSV under a header with the table's columns, so
//! that parsing, rejects and their correction work the same for all formats.

use std::collections::BTreeMap;

use super::chunk::{Chunk, Record};
use crate::error::Result;

/// The approximate size of a chunk, in bytes.
pub(super) const CHUNK: usize = 1 << 20;

/// Yields the records of one source in chunks.
pub(crate) trait Reader {
    /// Returns the next records, or `None` at the end. A chunk is a few megabytes at most.
    ///
    /// # Errors
    ///
    /// A source that cannot be read further. A faulty record is not an error: it becomes a reject.
    fn next_chunk(&mut self) -> Result<Option<Chunk>>;

    /// Returns names met so far that belong to no column and are not in the header.
    fn unknown_columns(&self) -> Vec<String> {
        Vec::new()
    }

    /// Returns `true` if no name met so far belongs to a column.
    fn recognised_nothing(&self) -> bool {
        false
    }

    /// Returns, at the end, how many parts of the source belong to no table, by their kind.
    fn left_out(&self) -> BTreeMap<String, u64> {
        BTreeMap::new()
    }

    /// Returns, at the end, the index of the table that the source belongs to if none got a record.
    fn table_without_records(&self) -> usize {
        0
    }

    /// Returns, at the end, how many values of each column could not be read and were left empty.
    fn unreadable_measures(&self) -> BTreeMap<&'static str, u64> {
        BTreeMap::new()
    }
}

/// Writes records as CSV into a buffer.
#[derive(Debug, Default)]
pub(crate) struct CsvBuffer {
    bytes: Vec<u8>,
    records: Vec<Record>,
    broken: BTreeMap<u64, String>,
}

impl CsvBuffer {
    /// The delimiter of fields.
    pub(crate) const DELIMITER: u8 = b',';

    /// Appends a record with its number and the line on which it begins. It has as many fields as
    /// the header.
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

    /// Appends a record that cannot be split into fields, as it stands.
    pub(crate) fn push_broken(&mut self, number: u64, line: u64, raw: &[u8], reason: String) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(raw);
        self.end(start, number, line, false);
        self.broken.insert(number, reason);
    }

    /// Marks an appended record as faulty.
    pub(crate) fn spoil(&mut self, number: u64, reason: String) {
        self.broken.insert(number, reason);
    }

    fn end(&mut self, start: usize, number: u64, line: u64, quoted: bool) {
        let end = self.bytes.len();
        self.records.push(Record { start, end, number, line, quoted, unclosed: false });
    }

    /// Returns the number of bytes in the buffer.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Takes the appended records as a chunk, if there are any. `read` is how many bytes of the
    /// source they come from.
    pub(crate) fn take(&mut self, read: u64) -> Option<Chunk> {
        if self.records.is_empty() {
            return None;
        }
        let Self { bytes, records, broken } = std::mem::take(self);
        Some(Chunk { table: 0, bytes, records, broken, read })
    }
}
