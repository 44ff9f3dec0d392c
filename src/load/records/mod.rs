//! Splits CSV text into records, and resynchronises after a broken one.
//!
//! ```text
//! line 1  a1,Hola,x                     record 1
//! line 2  a2,"two
//! line 3  lines",x                      record 2, with a line end inside quotes
//! line 4                                empty: skipped
//! line 5  a3,"never closed,x            record 3: broken, up to the next line that starts a whole record
//! line 6  and on
//! line 7  a4,Hola,x                     record 4
//! ```
//!
//! A quote opens a quoted field only at the field's start; elsewhere it is text. Every byte belongs
//! to a record or an empty line, or is a byte order mark before a record, as in concatenated files.
//!
//! Lines end in LF or CRLF, and a lone CR is text. If the first line ends in a lone CR, as Excel
//! for Mac writes, all three end a line: concatenated files of both kinds lose nothing.

mod line_ends;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io;

use self::line_ends::LineEnds;
use super::chunk::{Chunk, Record};
use super::encoding::Transcoder;
use super::fields::{closing_quote, count_fields};
use super::limits::{self, LimitExceeded};

/// The byte order mark of UTF-8.
const MARK: &[u8] = b"\xEF\xBB\xBF";

/// Splits text into chunks of whole records.
pub(crate) struct Splitter<R> {
    reader: R,
    transcoder: Transcoder,
    /// Bytes that belong to no chunk yet. They start with a record.
    rest: Vec<u8>,
    ended: bool,
    delimiter: u8,
    /// Detected from the first bytes.
    ends: Option<LineEnds>,
    fields: Option<usize>,
    number: u64,
    line: u64,
    input: Vec<u8>,
    /// Bytes of records that were returned.
    given: u64,
    /// Bytes that were scanned, some of them repeatedly.
    looked_at: u64,
}

/// The result of scanning for a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scanned {
    /// A record: its end, the start of the next, whether it is quoted, whether it spans lines.
    Record { end: usize, next: usize, quoted: bool, several_lines: bool },
    /// A record that spans lines and has the wrong number of fields: an unclosed quote may have met
    /// the opening quote of a later record.
    Doubtful { end: usize, next: usize },
    /// A quote is never closed.
    Unclosed,
    /// Not in the bytes so far.
    Cut,
}

impl<R: io::Read> Splitter<R> {
    /// The approximate size of a chunk.
    const CHUNK: usize = 2 << 20;
    /// The longest record; a longer one is an error.
    const LONGEST: usize = limits::RECORD;

    pub(crate) fn new(reader: R, transcoder: Transcoder, delimiter: u8) -> Self {
        Self {
            reader,
            transcoder,
            rest: Vec::new(),
            ended: false,
            delimiter,
            ends: None,
            fields: None,
            number: 0,
            line: 1,
            input: vec![0; 256 << 10],
            given: 0,
            looked_at: 0,
        }
    }

    /// Sets the number of fields of a whole record, by which broken records are detected.
    pub(crate) fn expect_fields(&mut self, fields: usize) {
        self.fields = Some(fields);
    }

    /// Returns the next record alone, for the header.
    pub(crate) fn header(&mut self) -> io::Result<Option<Chunk>> {
        let chunk = self.chunk(1)?;
        self.number = 0;
        Ok(chunk)
    }

    /// Returns the next records, or `None` after the last.
    pub(crate) fn next_chunk(&mut self) -> io::Result<Option<Chunk>> {
        self.chunk(usize::MAX)
    }

    fn chunk(&mut self, most: usize) -> io::Result<Option<Chunk>> {
        self.fill(Self::CHUNK)?;
        let ends = *self.ends.get_or_insert_with(|| LineEnds::of(&self.rest));
        let mut records = Vec::new();
        let mut at = 0;
        while at < self.rest.len() && records.len() < most {
            if self.rest[at..].starts_with(MARK) {
                at += MARK.len();
                continue;
            }
            if let Some(length) = ends.length(&self.rest[at..], self.ended) {
                at += length;
                self.line += 1;
                continue;
            }
            let (record, next) = match self.look(at, ends)? {
                Scanned::Cut if !records.is_empty() => break,
                Scanned::Cut => {
                    let wanted = (self.rest.len() * 2).max(Self::CHUNK);
                    self.fill(wanted)?;
                    continue;
                }
                Scanned::Record { end, next, quoted, .. } => {
                    (self.record(at, end, quoted, false), next)
                }
                broken @ (Scanned::Unclosed | Scanned::Doubtful { .. }) => {
                    // The following records decide where the broken one ends, so they must be in
                    // the buffer.
                    if !self.ended && self.rest.len() - at < Self::LONGEST {
                        if !records.is_empty() {
                            break;
                        }
                        self.fill(Self::LONGEST + Self::CHUNK)?;
                    }
                    match broken {
                        Scanned::Doubtful { end, next } => match self.whole_from(at, next, ends)? {
                            Some(next) => {
                                let end = without_line_end(&self.rest, at, next);
                                (self.record(at, end, true, true), next)
                            }
                            None => (self.record(at, end, true, false), next),
                        },
                        _ => {
                            let (end, next) = self.broken_record(at, ends)?;
                            (self.record(at, end, true, true), next)
                        }
                    }
                }
            };
            if record.end - record.start > Self::LONGEST {
                return Err(LimitExceeded::Record { line: record.line }.into());
            }
            records.push(record);
            self.line += ends.count(&self.rest[at..next]);
            self.given += (next - at) as u64;
            at = next;
        }
        if records.is_empty() && at == self.rest.len() && self.ended {
            self.rest.clear();
            return Ok(None);
        }
        // With room for the next chunk, so that it does not move as it grows.
        let mut after = Vec::with_capacity(Self::CHUNK + self.input.len());
        after.extend_from_slice(&self.rest[at..]);
        self.rest.truncate(at);
        let bytes = std::mem::replace(&mut self.rest, after);
        let read = bytes.len() as u64;
        Ok(Some(Chunk { table: 0, bytes, records, broken: BTreeMap::new(), read }))
    }

    fn record(&mut self, start: usize, end: usize, quoted: bool, unclosed: bool) -> Record {
        self.number += 1;
        Record { start, end, number: self.number, line: self.line, quoted, unclosed }
    }

    /// Reads until the buffer has `wanted` bytes or the file ends.
    fn fill(&mut self, wanted: usize) -> io::Result<()> {
        while self.rest.len() < wanted && !self.ended {
            let read = match self.reader.read(&mut self.input) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                read => read?,
            };
            self.ended = read == 0;
            self.transcoder.push(&self.input[..read], &mut self.rest, self.ended);
        }
        Ok(())
    }

    /// Scans the record at `at`.
    fn look(&mut self, at: usize, ends: LineEnds) -> io::Result<Scanned> {
        let (found, looked_at) = scan(&self.rest[at..], self.delimiter, ends, self.ended);
        self.spend(looked_at)?;
        Ok(match found {
            Scanned::Record { end, next, quoted, several_lines } => {
                if several_lines && !self.is_whole(&self.rest[at..at + end]) {
                    return Ok(Scanned::Doubtful { end: at + end, next: at + next });
                }
                Scanned::Record { end: at + end, next: at + next, quoted, several_lines }
            }
            Scanned::Cut if self.rest.len() - at > Self::LONGEST => Scanned::Unclosed,
            other => other,
        })
    }

    /// Counts scanned bytes, and fails beyond the limit: many unmatched quotes would take quadratic
    /// time.
    fn spend(&mut self, looked_at: usize) -> io::Result<()> {
        self.looked_at += looked_at as u64;
        if self.looked_at > limits::QUOTES_FREE + limits::QUOTES_RATIO * self.given {
            return Err(LimitExceeded::Quotes { line: self.line }.into());
        }
        Ok(())
    }

    fn is_whole(&self, record: &[u8]) -> bool {
        self.fields.is_none_or(|wanted| {
            let fields = count_fields(record, self.delimiter);
            let empty = record.iter().rev().take_while(|byte| **byte == self.delimiter).count();
            fields == wanted || (fields > wanted && fields - wanted <= empty)
        })
    }

    /// Finds the end of the broken record at `at`, and the next record: the first later line that
    /// starts a whole record.
    fn broken_record(&mut self, at: usize, ends: LineEnds) -> io::Result<(usize, usize)> {
        let limit = self.rest.len().min(at + Self::LONGEST);
        let next = match self.whole_from(at, limit, ends)? {
            Some(next) => next,
            None if limit < self.rest.len() || !self.ended => {
                return Err(LimitExceeded::Record { line: self.line }.into());
            }
            None => limit,
        };
        Ok((without_line_end(&self.rest, at, next), next))
    }

    /// Finds the first line between two offsets that starts a whole record.
    fn whole_from(&mut self, at: usize, limit: usize, ends: LineEnds) -> io::Result<Option<usize>> {
        let mut from = at;
        while let Some(end) = ends.find(&self.rest[from..limit]) {
            from += end;
            from += ends.length(&self.rest[from..limit], true).unwrap_or(1);
            if from == limit {
                break;
            }
            let here = &self.rest[from..];
            let near = &here[..here.len().min(1 << 20)];
            let ended = self.ended && near.len() == here.len();
            let (found, looked_at) = scan(near, self.delimiter, ends, ended);
            let whole = match found {
                Scanned::Record { end, .. } => self.is_whole(&near[..end]),
                _ => false,
            };
            self.spend(looked_at)?;
            if whole {
                return Ok(Some(from));
            }
        }
        Ok(None)
    }
}

fn without_line_end(bytes: &[u8], start: usize, end: usize) -> usize {
    let line = &bytes[start..end];
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    start + line.strip_suffix(b"\r").unwrap_or(line).len()
}

/// Scans the record at the start of `bytes`. Returns how many bytes were scanned. `ended` means
/// that the file ends with them.
fn scan(bytes: &[u8], delimiter: u8, ends: LineEnds, ended: bool) -> (Scanned, usize) {
    let mut at = 0;
    let mut quoted = false;
    let mut several_lines = false;
    let (end, next) = loop {
        let Some(stop) = ends.find_or_quote(&bytes[at..]).map(|stop| at + stop) else {
            if !ended {
                return (Scanned::Cut, bytes.len());
            }
            break (without_line_end(bytes, 0, bytes.len()), bytes.len());
        };
        if bytes[stop] != b'"' {
            let Some(length) = ends.length(&bytes[stop..], ended) else {
                return (Scanned::Cut, bytes.len());
            };
            let next = stop + length;
            break (without_line_end(bytes, 0, next), next);
        }
        at = stop + 1;
        if stop != 0 && bytes[stop - 1] != delimiter {
            continue;
        }
        quoted = true;
        at = match closing_quote(bytes, at) {
            None if ended => return (Scanned::Unclosed, bytes.len()),
            None => return (Scanned::Cut, bytes.len()),
            Some(close) => {
                let spans = ends.find(&bytes[at..close]).is_some();
                match bytes.get(close + 1) {
                    None if !ended => return (Scanned::Cut, bytes.len()),
                    Some(after) if spans && *after != delimiter && !b"\r\n".contains(after) => {
                        return (Scanned::Unclosed, close + 1);
                    }
                    _ => {}
                }
                several_lines |= spans;
                close + 1
            }
        };
    };
    (Scanned::Record { end, next, quoted, several_lines }, next)
}
