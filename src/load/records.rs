//! Splits a CSV's bytes into records, and finds its way again after a broken one.
//!
//! ```text
//! line 1  a1,Hola,x                     record 1
//! line 2  a2,"two
//! line 3  lines",x                      record 2, with a newline inside its quotes
//! line 4                                nothing
//! line 5  a3,"never closed,x            record 3: broken, up to where a whole record begins
//! line 6  and on
//! line 7  a4,Hola,x                     record 4
//! ```
//!
//! A quote opens a quoted field only at the field's start; within a field it is a character like
//! any other. Every byte of the file belongs to a record or to an empty line, or is a byte order mark
//! before one, which a file has in its middle that was put together of several.
//!
//! Lines end in LF or CRLF, and a CR alone is text. In a file whose first line ends in CR alone, as
//! Excel for Mac writes them, each of the three ends a line: what was put together of both kinds of
//! files loses nothing.

use std::collections::BTreeMap;
use std::io;

use super::encoding::Transcoder;
use super::limits::{self, Exceeded};

/// A run of whole records.
pub(crate) struct Chunk {
    /// The bytes of its records, UTF-8 except where a record is not.
    pub(crate) bytes: Vec<u8>,
    /// Its records in order.
    pub(crate) records: Vec<Record>,
    /// What is wrong with those that cannot be taken apart, by their numbers.
    pub(crate) broken: BTreeMap<u64, String>,
    /// How many bytes of its file it comes from.
    pub(crate) read: u64,
}

/// The byte order mark of UTF-8.
const MARK: &[u8] = b"\xEF\xBB\xBF";

/// Where a record lies in its chunk and in its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    /// Its first byte in the chunk.
    pub(crate) start: usize,
    /// Past its last byte, without the line's end.
    pub(crate) end: usize,
    /// Its number in the file; the first after the header is 1.
    pub(crate) number: u64,
    /// The line it begins on; the first is 1.
    pub(crate) line: u64,
    /// Whether any of its fields is quoted.
    pub(crate) quoted: bool,
    /// Whether its quotes do not match.
    pub(crate) unclosed: bool,
}

/// Reads chunks of whole records.
pub(crate) struct Splitter<R> {
    reader: R,
    transcoder: Transcoder,
    /// Bytes that are read and belong to no chunk yet; they begin with a record.
    rest: Vec<u8>,
    ended: bool,
    delimiter: u8,
    /// Told by the first bytes.
    ends: Option<LineEnds>,
    fields: Option<usize>,
    number: u64,
    line: u64,
    input: Vec<u8>,
    /// Bytes that were given as records.
    given: u64,
    /// Bytes that were looked at to tell records apart, some of them many times.
    looked_at: u64,
}

/// What ends a line of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LineEnds {
    /// LF, or CR and LF.
    Lf,
    /// These, or CR alone.
    Cr,
}

impl LineEnds {
    /// So many bytes are looked at to tell.
    const NEAR: usize = 64 << 10;

    /// What ends the lines of a file that begins so.
    fn of(start: &[u8]) -> Self {
        let near = &start[..start.len().min(Self::NEAR)];
        let mut at = 0;
        while let Some(stop) = memchr::memchr3(b'"', b'\n', b'\r', &near[at..]) {
            let stop = at + stop;
            at = stop + 1;
            match near[stop] {
                b'\n' => return Self::Lf,
                b'\r' if start.get(at) == Some(&b'\n') => return Self::Lf,
                b'\r' => return Self::Cr,
                // Whatever the delimiter is: what is quoted ends no line.
                _ if stop == 0 || b",;\t|\r\xBF".contains(&near[stop - 1]) => {
                    at = closing_quote(near, at).map_or(near.len(), |close| close + 1);
                }
                _ => {}
            }
        }
        Self::Lf
    }

    /// The next sign that ends a line, or may.
    fn find(self, bytes: &[u8]) -> Option<usize> {
        match self {
            Self::Lf => memchr::memchr(b'\n', bytes),
            Self::Cr => memchr::memchr2(b'\n', b'\r', bytes),
        }
    }

    /// The same, or the next quote.
    fn find_or_quote(self, bytes: &[u8]) -> Option<usize> {
        match self {
            Self::Lf => memchr::memchr2(b'"', b'\n', bytes),
            Self::Cr => memchr::memchr3(b'"', b'\n', b'\r', bytes),
        }
    }

    /// The length of the line end that some bytes begin with. Of a CR that may be half of one it is
    /// not known.
    fn length(self, bytes: &[u8], ended: bool) -> Option<usize> {
        match bytes {
            [b'\n', ..] => Some(1),
            [b'\r', b'\n', ..] => Some(2),
            [b'\r', _, ..] if self == Self::Cr => Some(1),
            [b'\r'] if self == Self::Cr && ended => Some(1),
            _ => None,
        }
    }

    /// How many lines end in some bytes.
    fn count(self, bytes: &[u8]) -> u64 {
        let ends = memchr::memchr_iter(b'\n', bytes).count();
        let alone = match self {
            Self::Lf => 0,
            Self::Cr => memchr::memchr_iter(b'\r', bytes)
                .filter(|at| bytes.get(at + 1) != Some(&b'\n'))
                .count(),
        };
        (ends + alone) as u64
    }
}

/// What lies at the start of some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    /// A record: past its last byte, past its line's end, whether quoted, whether on several lines.
    Record { end: usize, next: usize, quoted: bool, several_lines: bool },
    /// A record on several lines with the wrong number of fields: a quote that was never closed
    /// may have met the opening quote of a later record.
    Doubtful { end: usize, next: usize },
    /// Quotes that do not match.
    Unclosed,
    /// More bytes are needed to tell.
    Cut,
}

impl<R: io::Read> Splitter<R> {
    /// Chunks are about this long.
    const CHUNK: usize = 2 << 20;
    /// A longer record is an error: no export's comes near it.
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

    /// Says how many fields a whole record has, which is what finding the way again goes by.
    pub(crate) fn expect_fields(&mut self, fields: usize) {
        self.fields = Some(fields);
    }

    /// The next record alone, for the header.
    pub(crate) fn header(&mut self) -> io::Result<Option<Chunk>> {
        let chunk = self.chunk(1)?;
        self.number = 0;
        Ok(chunk)
    }

    /// The next records, or `None` after the last.
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
                Found::Cut if !records.is_empty() => break,
                Found::Cut => {
                    let wanted = (self.rest.len() * 2).max(Self::CHUNK);
                    self.fill(wanted)?;
                    continue;
                }
                Found::Record { end, next, quoted, .. } => {
                    (self.record(at, end, quoted, false), next)
                }
                broken @ (Found::Unclosed | Found::Doubtful { .. }) => {
                    // What follows decides where the stretch ends, so it must be here to look at.
                    if !self.ended && self.rest.len() - at < Self::LONGEST {
                        if !records.is_empty() {
                            break;
                        }
                        self.fill(Self::LONGEST + Self::CHUNK)?;
                    }
                    match broken {
                        Found::Doubtful { end, next } => match self.whole_from(at, next, ends)? {
                            Some(next) => {
                                let end = without_line_end(&self.rest, at, next);
                                (self.record(at, end, true, true), next)
                            }
                            None => (self.record(at, end, true, false), next),
                        },
                        _ => {
                            let (end, next) = self.stretch(at, ends)?;
                            (self.record(at, end, true, true), next)
                        }
                    }
                }
            };
            if record.end - record.start > Self::LONGEST {
                return Err(Exceeded::Record { line: record.line }.into());
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
        let after = self.rest.split_off(at);
        let bytes = std::mem::replace(&mut self.rest, after);
        let read = bytes.len() as u64;
        Ok(Some(Chunk { bytes, records, broken: BTreeMap::new(), read }))
    }

    fn record(&mut self, start: usize, end: usize, quoted: bool, unclosed: bool) -> Record {
        self.number += 1;
        Record { start, end, number: self.number, line: self.line, quoted, unclosed }
    }

    /// Reads until `wanted` bytes are there or the file has ended.
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

    /// The record at `at`.
    fn look(&mut self, at: usize, ends: LineEnds) -> io::Result<Found> {
        let (found, looked_at) = scan(&self.rest[at..], self.delimiter, ends, self.ended);
        self.spend(looked_at)?;
        Ok(match found {
            Found::Record { end, next, quoted, several_lines } => {
                if several_lines && !self.is_whole(&self.rest[at..at + end]) {
                    return Ok(Found::Doubtful { end: at + end, next: at + next });
                }
                Found::Record { end: at + end, next: at + next, quoted, several_lines }
            }
            Found::Cut if self.rest.len() - at > Self::LONGEST => Found::Unclosed,
            other => other,
        })
    }

    /// Counts bytes that were looked at. Quotes can be set so that each line is looked at up to
    /// the end of the file, which would take a lifetime.
    fn spend(&mut self, looked_at: usize) -> io::Result<()> {
        self.looked_at += looked_at as u64;
        if self.looked_at > limits::QUOTES_FREE + limits::QUOTES_RATIO * self.given {
            return Err(Exceeded::Quotes { line: self.line }.into());
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

    /// Where the broken stretch at `at` ends and where the next record begins: the first later
    /// line from which a whole record can be read.
    fn stretch(&mut self, at: usize, ends: LineEnds) -> io::Result<(usize, usize)> {
        let limit = self.rest.len().min(at + Self::LONGEST);
        let next = match self.whole_from(at, limit, ends)? {
            Some(next) => next,
            None if limit < self.rest.len() || !self.ended => {
                return Err(Exceeded::Record { line: self.line }.into());
            }
            None => limit,
        };
        Ok((without_line_end(&self.rest, at, next), next))
    }

    /// The first line between two places from which a whole record can be read.
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
                Found::Record { end, .. } => self.is_whole(&near[..end]),
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

/// What lies at the start of `bytes`, and how many of them it takes to tell. `ended` says that the
/// file ends where they do.
fn scan(bytes: &[u8], delimiter: u8, ends: LineEnds, ended: bool) -> (Found, usize) {
    let mut at = 0;
    let mut quoted = false;
    let mut several_lines = false;
    let (end, next) = loop {
        let Some(stop) = ends.find_or_quote(&bytes[at..]).map(|stop| at + stop) else {
            if !ended {
                return (Found::Cut, bytes.len());
            }
            break (without_line_end(bytes, 0, bytes.len()), bytes.len());
        };
        if bytes[stop] != b'"' {
            let Some(length) = ends.length(&bytes[stop..], ended) else {
                return (Found::Cut, bytes.len());
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
            None if ended => return (Found::Unclosed, bytes.len()),
            None => return (Found::Cut, bytes.len()),
            Some(close) => {
                let spans = ends.find(&bytes[at..close]).is_some();
                match bytes.get(close + 1) {
                    None if !ended => return (Found::Cut, bytes.len()),
                    Some(after) if spans && *after != delimiter && !b"\r\n".contains(after) => {
                        return (Found::Unclosed, close + 1);
                    }
                    _ => {}
                }
                several_lines |= spans;
                close + 1
            }
        };
    };
    (Found::Record { end, next, quoted, several_lines }, next)
}

/// The quote that closes a field whose text begins at `at`; doubled quotes are text.
fn closing_quote(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let quote = at + memchr::memchr(b'"', &bytes[at..])?;
        if bytes.get(quote + 1) != Some(&b'"') {
            return Some(quote);
        }
        at = quote + 2;
    }
}

/// How many fields a whole record has.
pub(crate) fn count_fields(record: &[u8], delimiter: u8) -> usize {
    let mut fields = 1;
    let mut at = 0;
    while let Some(stop) = memchr::memchr2(b'"', delimiter, &record[at..]).map(|stop| at + stop) {
        at = stop + 1;
        if record[stop] == delimiter {
            fields += 1;
        } else if stop == 0 || record[stop - 1] == delimiter {
            at = closing_quote(record, at).map_or(record.len(), |close| close + 1);
        }
    }
    fields
}

/// The fields of a record, unquoted, in `text` where they had quotes.
pub(crate) struct Fields {
    reader: csv_core::Reader,
    text: Vec<u8>,
    ends: Vec<usize>,
}

impl Fields {
    pub(crate) fn new(delimiter: u8) -> Self {
        // A record is given whole: nothing that UTF-8 has ends it. Under another delimiter than its
        // own, which is tried on headers, a line's end may well lie outside of quotes.
        let reader = csv_core::ReaderBuilder::new()
            .delimiter(delimiter)
            .terminator(csv_core::Terminator::Any(0xFF))
            .build();
        Self { reader, text: Vec::new(), ends: Vec::new() }
    }

    /// Reads the fields of one record that is valid UTF-8 into `fields`.
    pub(crate) fn read<'a>(
        &'a mut self,
        record: &'a str,
        quoted: bool,
        delimiter: u8,
        fields: &mut Vec<&'a str>,
    ) {
        fields.clear();
        if !quoted {
            let mut start = 0;
            for end in memchr::memchr_iter(delimiter, record.as_bytes()) {
                fields.push(&record[start..end]);
                start = end + 1;
            }
            fields.push(&record[start..]);
            return;
        }
        self.unquote(record.as_bytes(), delimiter);
        let text = std::str::from_utf8(&self.text).unwrap_or_default();
        let mut start = 0;
        for end in &self.ends {
            fields.push(&text[start..*end]);
            start = *end;
        }
    }

    fn unquote(&mut self, record: &[u8], delimiter: u8) {
        self.reader.reset();
        self.text.resize(record.len() + 1, 0);
        // No more fields than delimiters and one.
        self.ends.resize(memchr::memchr_iter(delimiter, record).count() + 2, 0);
        let (mut read, mut written, mut fields) = (0, 0, 0);
        // The second call, with nothing to read, says that the record has ended.
        for _ in 0..2 {
            let (_, i, o, e) = self.reader.read_record(
                &record[read..],
                &mut self.text[written..],
                &mut self.ends[fields..],
            );
            (read, written, fields) = (read + i, written + o, fields + e);
        }
        self.text.truncate(written);
        self.ends.truncate(fields);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Reads one byte at a time, so that every cut is met.
    struct Drip<'a>(&'a [u8]);

    impl io::Read for Drip<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let n = self.0.len().min(buffer.len()).min(1);
            buffer[..n].copy_from_slice(&self.0[..n]);
            self.0 = &self.0[n..];
            Ok(n)
        }
    }

    fn split(file: &[u8], fields: usize) -> Vec<(u64, u64, String, bool)> {
        let transcoder = Transcoder::new(encoding_rs::UTF_8);
        let mut splitter = Splitter::new(Drip(file), transcoder, b',');
        splitter.expect_fields(fields);
        let mut found = Vec::new();
        while let Some(chunk) = splitter.next_chunk().unwrap() {
            for record in &chunk.records {
                let raw = String::from_utf8_lossy(&chunk.bytes[record.start..record.end]);
                found.push((record.number, record.line, raw.into_owned(), record.unclosed));
            }
        }
        found
    }

    #[test]
    fn the_drawing_above() {
        let file = b"a1,Hola,x\na2,\"two\nlines\",x\r\n\na3,\"never closed,x\nand on\na4,Hola,x\n";
        let expected = [
            (1, 1, "a1,Hola,x", false),
            (2, 2, "a2,\"two\nlines\",x", false),
            (3, 5, "a3,\"never closed,x\nand on", true),
            (4, 7, "a4,Hola,x", false),
        ];
        let expected = expected.map(|(n, line, raw, unclosed)| (n, line, raw.to_owned(), unclosed));
        assert_eq!(split(file, 3), expected);
    }

    #[test]
    fn lines_that_end_in_cr_are_lines() {
        let file = b"a1,Hola,x\ra2,\"two\rlines\",x\r\ra3,\"never closed,x\rand on\ra4,Hola,x\r";
        let expected = [
            (1, 1, "a1,Hola,x", false),
            (2, 2, "a2,\"two\rlines\",x", false),
            (3, 5, "a3,\"never closed,x\rand on", true),
            (4, 7, "a4,Hola,x", false),
        ];
        let expected = expected.map(|(n, line, raw, unclosed)| (n, line, raw.to_owned(), unclosed));
        assert_eq!(split(file, 3), expected);
    }

    #[test]
    fn what_ends_lines_is_told_by_the_first_that_is_not_quoted() {
        let long = [b"a,".repeat(40_000), b"b\nc\r".to_vec()].concat();
        for (start, expected) in [
            (b"a,b\rc,d".as_slice(), LineEnds::Cr),
            (b"a,b\r", LineEnds::Cr),
            (b"a,\"b\nc\"\rd,e\r", LineEnds::Cr),
            (b"\"a\nb\",c\r\"d\ne\",f\r", LineEnds::Cr),
            (b"a,b\r\nc\rd\r", LineEnds::Lf),
            (b"a,\"b\rc\"\nd,e", LineEnds::Lf),
            (b"a,b\r1,2\n3,4\n", LineEnds::Cr),
            (b"\"never closed,b\rc", LineEnds::Lf),
            (b"a,b", LineEnds::Lf),
            (&long, LineEnds::Lf),
        ] {
            assert_eq!(LineEnds::of(start), expected, "{:?}", String::from_utf8_lossy(start));
        }
    }

    #[test]
    fn files_of_both_line_ends_put_together_lose_nothing() {
        let raws = |file: &[u8]| -> Vec<String> {
            split(file, 2).into_iter().map(|(_, _, raw, _)| raw).collect()
        };
        assert_eq!(raws(b"a,b\r1,2\r3,4\n5,6\r\n7,8"), ["a,b", "1,2", "3,4", "5,6", "7,8"]);
        // Where LF came first a CR is text: the rest is one record, which is set aside whole.
        assert_eq!(raws(b"a,b\n1,2\n3,4\r5,6\r"), ["a,b", "1,2", "3,4\r5,6"]);
    }

    #[test]
    fn a_mark_before_a_record_is_no_part_of_it() {
        let file = "\u{feff}\u{feff}\"a\",b\n\u{feff}\"c,d\",e\n\u{feff}\nf,g";
        let raws: Vec<_> = split(file.as_bytes(), 2).into_iter().map(|found| found.2).collect();
        assert_eq!(raws, ["\"a\",b", "\"c,d\",e", "f,g"]);
    }

    #[test]
    fn an_unclosed_quote_that_meets_a_later_quote_costs_its_own_stretch_only() {
        let file = b"a1,\"open,x\na2,\"I'd like \"\"two\"\"\",x\na3,\",,\",x\n";
        let raws: Vec<_> = split(file, 3).into_iter().map(|(_, _, raw, bad)| (raw, bad)).collect();
        assert_eq!(raws.len(), 3);
        assert_eq!(raws[0], ("a1,\"open,x".to_owned(), true));
        assert!(!raws[1].1 && !raws[2].1);
    }

    #[test]
    fn a_record_is_read_whole_under_a_delimiter_that_is_not_its_own() {
        let record = "id,\"first\nmessage\",\"phone\"";
        for delimiter in [b',', b';', b'\t'] {
            let mut fields = Fields::new(delimiter);
            let mut found = Vec::new();
            fields.read(record, true, delimiter, &mut found);
            let expected = if delimiter == b',' {
                ["id", "first\nmessage", "phone"].as_slice()
            } else {
                &[record]
            };
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn quotes_within_a_field_are_text() {
        let found = split(b"a1,5\" pipe,x\na2,\"q\"junk,x", 3);
        assert_eq!(found.iter().filter(|(.., unclosed)| *unclosed).count(), 0);
        assert_eq!(found.len(), 2);
    }

    proptest! {
        /// What a CSV writer writes comes back, cell by cell, whatever is in the cells.
        #[test]
        fn written_cells_come_back(rows in prop::collection::vec(
            prop::collection::vec("[a,;\"\n\r \u{e9}\u{1f44d}]{0,6}", 3), 1..12,
        ), line_end in prop::sample::select(vec!["\n", "\r\n", "\r"])) {
            let mut file = String::new();
            for row in &rows {
                let cells: Vec<_> =
                    row.iter().map(|cell| format!("\"{}\"", cell.replace('"', "\"\""))).collect();
                file.push_str(&cells.join(","));
                file.push_str(line_end);
            }
            let transcoder = Transcoder::new(encoding_rs::UTF_8);
            let mut splitter = Splitter::new(Drip(file.as_bytes()), transcoder, b',');
            splitter.expect_fields(3);
            let mut unquote = Fields::new(b',');
            let mut read = Vec::new();
            while let Some(chunk) = splitter.next_chunk().unwrap() {
                for record in &chunk.records {
                    prop_assert!(!record.unclosed);
                    let raw = std::str::from_utf8(&chunk.bytes[record.start..record.end]).unwrap();
                    let mut fields = Vec::new();
                    unquote.read(raw, record.quoted, b',', &mut fields);
                    read.push(fields.iter().map(|f| (*f).to_owned()).collect::<Vec<_>>());
                }
            }
            prop_assert_eq!(read, rows);
        }

        /// Any bytes at all: no panic, no hang, and every byte that is no line end is in a record.
        #[test]
        fn no_byte_is_lost(file in prop::collection::vec(
            prop::sample::select(b"a,\"\n\r\xff".to_vec()), 0..200,
        )) {
            let found = split(&file, 3);
            let lines = LineEnds::of(&file).count(&file);
            prop_assert!(found.iter().all(|(_, line, ..)| *line <= lines + 1));
            let kept: usize = found.iter().map(|(_, _, raw, _)| {
                raw.chars().filter(|c| !matches!(c, '\n' | '\r')).count()
            }).sum();
            let there = file.iter().filter(|b| !b"\n\r".contains(b)).count();
            prop_assert_eq!(kept, there);
        }
    }
}
