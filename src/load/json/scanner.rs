//! Finds the JSON objects of a text. After a broken object, it resynchronises at the next line that
//! starts one.

use std::io::{self, Read as _};

use crate::error::Result;
use crate::load::limits::{self, LimitExceeded};
use crate::load::reader::CHUNK;
use crate::load::text::DecodedText;

/// Bytes that are scanned beyond a possible start of the next object before the current one is
/// broken.
const AHEAD: usize = 1 << 20;

/// The deepest nesting of an object.
const DEEPEST: usize = 100;

/// The bytes of an object, or of text where an object should be.
pub(super) struct RawObject {
    pub(super) bytes: Vec<u8>,
    pub(super) line: u64,
    /// Bytes of the source up to its end.
    pub(super) read: u64,
}

/// Finds objects in sequence, whatever separates them.
pub(super) struct Scanner {
    pub(super) text: DecodedText,
    /// Bytes that belong to no object yet.
    rest: Vec<u8>,
    pub(super) at: usize,
    pub(super) line: u64,
    /// Indentation of the current line.
    indent: usize,
    /// `true` while only blanks were read on the current line.
    blank: bool,
    ended: bool,
}

/// Where an object ends.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// After its last brace.
    At(usize),
    /// The object is broken; its text ends here.
    Broken(usize),
    /// Not in the bytes so far.
    Cut,
}

impl Scanner {
    pub(super) fn new(text: DecodedText) -> Self {
        let line = 1 + text.skipped;
        Self { text, rest: Vec::new(), at: 0, line, indent: 0, blank: true, ended: false }
    }

    fn fill(&mut self, wanted: usize) -> io::Result<()> {
        self.rest.drain(..self.at);
        self.at = 0;
        let mut buffer = vec![0; 64 << 10];
        while self.rest.len() < wanted && !self.ended {
            let read = self.text.read(&mut buffer)?;
            self.ended = read == 0;
            self.rest.extend_from_slice(&buffer[..read]);
        }
        Ok(())
    }

    /// Returns the next object, or the text in its place up to the end of the line.
    pub(super) fn next(&mut self) -> io::Result<Option<RawObject>> {
        let mut read = 0;
        loop {
            let here = &self.rest[self.at..];
            let between = |b: &&u8| b.is_ascii_whitespace() || matches!(b, b'[' | b']' | b',');
            let gap = here.iter().take_while(between).count();
            for byte in &here[..gap] {
                match byte {
                    b'\n' => (self.line, self.indent, self.blank) = (self.line + 1, 0, true),
                    blank if blank.is_ascii_whitespace() => self.indent += usize::from(self.blank),
                    _ => self.blank = false,
                }
            }
            self.at += gap;
            read += gap as u64;
            if self.at < self.rest.len() {
                break;
            }
            if self.ended {
                return Ok(None);
            }
            self.fill(CHUNK)?;
        }
        // If the object never ends, the next one starts at a line with at most this indentation.
        let indent = self.indent;
        let length = loop {
            let here = &self.rest[self.at..];
            let longest = here.len() >= limits::RECORD;
            match end_of_object(
                &here[..here.len().min(limits::RECORD)],
                indent,
                self.ended || longest,
            ) {
                End::Broken(limits::RECORD) => {
                    return Err(LimitExceeded::Record { line: self.line }.into());
                }
                End::At(end) | End::Broken(end) => break end,
                End::Cut => self.fill(here.len() * 2)?,
            }
        };
        let bytes = self.rest[self.at..self.at + length].to_vec();
        let line = self.line;
        self.line += memchr::memchr_iter(b'\n', &bytes).count() as u64;
        if let Some(end) = memchr::memrchr(b'\n', &bytes) {
            self.indent = bytes[end + 1..].iter().take_while(|b| b.is_ascii_whitespace()).count();
        }
        self.blank = false;
        self.at += length;
        Ok(Some(RawObject { bytes, line, read: read + length as u64 }))
    }
}

/// Finds the end of the object at the start of some bytes. An object that is not closed before a
/// line which starts another object, indented by at most `indent`, is broken and ends there.
fn end_of_object(bytes: &[u8], indent: usize, ended: bool) -> End {
    let line_end = |from: usize| memchr::memchr(b'\n', &bytes[from..]).map(|end| from + end);
    if bytes[0] != b'{' {
        return match line_end(0) {
            Some(end) => End::Broken(end),
            None if ended => End::Broken(bytes.len()),
            None => End::Cut,
        };
    }
    let mut open: Vec<u8> = Vec::new();
    let mut first_restart = None;
    let mut before = b' ';
    let mut at = 0;
    let broken = |at: usize, restart: Option<usize>| match restart {
        Some(restart) => End::Broken(restart),
        None => line_end(at).map_or(End::Broken(bytes.len()), End::Broken),
    };
    while at < bytes.len() {
        if let Some(restart) = first_restart.filter(|restart| at - restart > AHEAD) {
            return End::Broken(restart);
        }
        let byte = bytes[at];
        match byte {
            b'"' => match end_of_string(&bytes[at + 1..]) {
                Some(Ok(length)) => at += length,
                // Strings do not span lines.
                Some(Err(length)) => return broken(at + length, first_restart),
                None if ended => return End::Broken(first_restart.unwrap_or(bytes.len())),
                None => return End::Cut,
            },
            b'{' | b'[' => {
                open.push(byte);
                if open.len() > DEEPEST {
                    return broken(at, first_restart);
                }
            }
            b'}' | b']' => {
                let opened = open.pop();
                if opened != Some(if byte == b'}' { b'{' } else { b'[' }) {
                    return broken(at, first_restart);
                }
                if open.is_empty() {
                    return End::At(at + 1);
                }
            }
            b'\n' => {
                let next = &bytes[at + 1..];
                let blank = next.iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
                if next.len() == blank && !ended {
                    return End::Cut;
                }
                if next.get(blank) == Some(&b'{') && blank <= indent {
                    first_restart.get_or_insert(at);
                    let may_follow = match open.last() {
                        Some(b'[') => matches!(before, b'[' | b','),
                        _ => before == b':',
                    };
                    if !may_follow {
                        return broken(at, first_restart);
                    }
                }
            }
            _ => {}
        }
        if !byte.is_ascii_whitespace() {
            before = byte;
        }
        at += 1;
    }
    if ended { End::Broken(first_restart.unwrap_or(bytes.len())) } else { End::Cut }
}

/// Returns the offset after the closing quote, or an error with the offset of the line end before
/// it.
fn end_of_string(bytes: &[u8]) -> Option<Result<usize, usize>> {
    let mut at = 0;
    loop {
        let stop = at + memchr::memchr3(b'"', b'\\', b'\n', &bytes[at..])?;
        match bytes[stop] {
            b'"' => return Some(Ok(stop + 1)),
            b'\n' => return Some(Err(stop)),
            _ => at = (stop + 2).min(bytes.len()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, Value};

    use super::*;
    use crate::load::tests::SlowReader;

    fn decoded(bytes: Vec<u8>, at_once: usize) -> DecodedText {
        let slow = SlowReader(io::Cursor::new(bytes), at_once);
        DecodedText::new(Box::new(slow), encoding_rs::UTF_8)
    }

    fn scan(text: &str) -> Vec<(u64, String)> {
        let mut scanner = Scanner::new(decoded(text.as_bytes().to_vec(), 7));
        let mut found = Vec::new();
        while let Some(next) = scanner.next().unwrap() {
            found.push((next.line, String::from_utf8_lossy(&next.bytes).into_owned()));
        }
        found
    }

    fn lines_of(text: &str) -> Vec<(u64, bool)> {
        let is_object = |text: &str| serde_json::from_str::<Map<String, Value>>(text).is_ok();
        scan(text).into_iter().map(|(line, text)| (line, is_object(&text))).collect()
    }

    #[test]
    fn example_of_the_module_docs() {
        let text = "{\"event_id\":\"e1\",\"session\":{\"external_id\":\"s1\"}}\n\
                    {\"event_id\":\"e2\",\"sess\n\
                    {\"event_id\":\"e3\",\"session\":{\"external_id\":\"s3\"}}\n";
        assert_eq!(lines_of(text), [(1, true), (2, false), (3, true)]);
    }

    #[test]
    fn arrays_lines_and_pretty_printed_objects_are_read_alike() {
        let pretty = "[\n  {\n    \"a\": {\n      \"b\": [1, {\"c\": \"}\"}]\n    }\n  },\n  {\n    \
                      \"a\": \"x\\\"{\"\n  }\n]\n";
        assert_eq!(lines_of(pretty), [(2, true), (7, true)]);
        assert_eq!(
            lines_of("[{\"a\":1},{\"a\":2},\r\n{\"a\":3}]"),
            [(1, true), (1, true), (2, true)]
        );
        assert_eq!(lines_of("{\"a\":1}{\"a\":2}"), [(1, true), (1, true)]);
        assert_eq!(lines_of(" \n[]\n"), []);
    }

    #[test]
    fn a_broken_object_does_not_affect_others() {
        for broken in [
            "{\"a\": ",
            "{\"a\": 1,",
            "{\"a\": [",
            "{\"a\": [{\"b\": 1}",
            "{\"a\" 1}",
            "{\"a\": tru}",
            "oops",
            "\"text\"",
            "{\"a\": \"never closed}",
            "{\"a\": 1]",
            "# {\"a\": 1}",
        ] {
            let text = format!("{{\"a\":1}}\n{broken}\n{{\"a\":2}}\n{{\"a\":3}}\n");
            assert_eq!(lines_of(&text), [(1, true), (2, false), (3, true), (4, true)], "{broken}");
            let array =
                format!("[\n  {{\"a\":1}},\n  {broken},\n  {{\"a\":2}},\n  {{\"a\":3}}\n]\n");
            let found = lines_of(&array);
            assert_eq!(found.iter().filter(|(_, good)| *good).count(), 3, "{broken} {found:?}");
        }
    }

    #[test]
    fn an_object_without_an_end_is_refused() {
        for text in
            ["x".repeat(limits::RECORD + 9), format!("{{\"a\":\"{}", "x".repeat(limits::RECORD))]
        {
            let mut scanner = Scanner::new(decoded(text.into_bytes(), 1 << 16));
            assert!(scanner.next().is_err());
        }
    }

    proptest! {
        /// For any text, scanning ends, and all but separators is in some record.
        #[test]
        fn no_byte_is_lost(text in "[{}\\[\\],:\"\\\\a \n1]{0,80}") {
            let separator = |c: &char| c.is_ascii_whitespace() || matches!(c, '[' | ']' | ',');
            let found: String = scan(&text).into_iter().map(|(_, text)| text).collect();
            let kept = found.chars().filter(|c| !separator(c));
            prop_assert!(kept.eq(text.chars().filter(|c| !separator(c))));
        }
    }
}
