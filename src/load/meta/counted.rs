//! Counts bytes and lines of a response as it is read, and limits the size of its parts.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::literals::QuotedNumbers;
use crate::load::limits::{self, LimitExceeded};

/// A reader that counts bytes and lines, and fails at a part that is too long to hold in memory.
pub(super) struct CountedText<R> {
    pub(super) text: QuotedNumbers<R>,
    pub(super) count: Arc<ReadCount>,
}

#[derive(Debug, Default)]
pub(super) struct ReadCount {
    pub(super) bytes: AtomicU64,
    /// Bytes of the current part.
    pub(super) part: AtomicU64,
    pub(super) lines: AtomicU64,
}

impl ReadCount {
    /// Ends a part: a point, or the text before the first.
    pub(super) fn end_part(&self) {
        self.part.store(0, Ordering::Relaxed);
    }
}

impl<R: io::Read> CountedText<R> {
    pub(super) fn new(text: R) -> Self {
        Self { text: QuotedNumbers::new(text), count: Arc::default() }
    }
}

impl<R: io::Read> io::Read for CountedText<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let before = self.text.added_in_all();
        let read = self.text.read(buffer)?;
        let added = self.text.added_in_all() - before;
        let lines = memchr::memchr_iter(b'\n', &buffer[..read]).count() as u64;
        let lines = self.count.lines.fetch_add(lines, Ordering::Relaxed) + lines;
        self.count.bytes.fetch_add(read as u64 - added, Ordering::Relaxed);
        let part = self.count.part.fetch_add(read as u64, Ordering::Relaxed);
        if part > limits::RECORD as u64 {
            return Err(LimitExceeded::Record { line: lines + 1 }.into());
        }
        Ok(read)
    }
}
