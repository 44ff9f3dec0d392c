//! Chunks of records, which [`Reader`](super::reader::Reader)s yield.

use std::collections::BTreeMap;

/// A buffer of whole records.
pub(crate) struct Chunk {
    /// The index of its table among those that its file feeds.
    pub(crate) table: usize,
    /// The bytes of the records: UTF-8, except in records with invalid bytes.
    pub(crate) bytes: Vec<u8>,
    /// The records, in the order of the file.
    pub(crate) records: Vec<Record>,
    /// Reasons for records that cannot be split into fields, by record number.
    pub(crate) broken: BTreeMap<u64, String>,
    /// How many bytes of the file the chunk comes from, for the progress bar.
    pub(crate) read: u64,
}

/// The position of a record in its chunk and in its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    /// Offset of its first byte in the chunk.
    pub(crate) start: usize,
    /// Offset past its last byte, without the line end.
    pub(crate) end: usize,
    /// Record number in the file; the first after the header is 1.
    pub(crate) number: u64,
    /// Line on which it begins; the first is 1.
    pub(crate) line: u64,
    /// `true` if any field is quoted.
    pub(crate) quoted: bool,
    /// `true` if a quote is never closed.
    pub(crate) unclosed: bool,
}
