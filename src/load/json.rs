//! Sources in JSON: objects one after the other, in an array or not, and Meta's responses.
//!
//! ```text
//! {"event_id":"e1","session":{"external_id":"s1"}}      record 1: event_id e1, session.external_id s1
//! {"event_id":"e2","sess                                record 2: broken, as far as its line goes
//! {"event_id":"e3","session":{"external_id":"s3"}}      record 3
//! ```
//!
//! A record is an object. What it holds is named by the way to it, and matched with a table's
//! columns as header cells are. An object that is broken costs itself alone; memory holds one at a
//! time.
//!
//! What received or fetched a record may have put it into something of its own, [`WRAPPERS`], up to
//! [`WRAPPED`] of them one in another, alone, in a list, or as a text:
//!
//! ```text
//! [{"headers":{…},"body":{"event_id":"e1",…}}]                                 record 1
//! {"received_at":"…","data":[{"event_id":"e2",…},{"event_id":"e3",…}]}         records 2 and 3
//! {"result":"{\"event_id\":\"e4\",…}"}                                         record 4
//! ```
//!
//! What stands beside it says what the record itself does not.

use std::cell::Cell;
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::io::{self, Read};

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use wabalake_data::Table;
use wabalake_data::cells::normalise_header;
use wabalake_data::cells::number::{self, float_text};
use wabalake_data::tables::{CellKind, meta_points};

use super::encoding::Transcoder;
use super::header::{self, Header};
use super::limits::{self, Exceeded};
use super::reader::{Reader, Written};
use super::records::Chunk;
use super::source::{Source, Survey};
use super::{Options, meta, titles};
use crate::error::{Error, Result};

/// What a source in JSON is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Objects, each a record.
    Objects,
    /// Responses of Meta's API, each with many points.
    Responses,
}

/// How much of a source is looked at to tell what it is.
const HEAD: usize = 64 << 10;

/// Of an object that may be broken, how much is looked at beyond where the next may begin.
const AHEAD: usize = 1 << 20;

/// Objects within objects, at most.
const DEEPEST: usize = 100;

/// Records are given in runs of about so many bytes.
pub(super) const CHUNK: usize = 1 << 20;

/// What collectors, dashboards and programs that fetch put a record or a response into.
pub(super) const WRAPPERS: [&str; 6] = ["data", "json", "body", "payload", "result", "results"];

/// How many of them are looked into, one in another.
pub(super) const WRAPPED: usize = 3;

/// What stands around several records is said of each, if it is no longer than so many bytes.
const AROUND: usize = 1 << 10;

/// Whether the value of a key may hold what a record or a response is made of.
pub(super) fn is_wrapper(key: &str) -> bool {
    WRAPPERS.iter().any(|wrapper| wrapper.eq_ignore_ascii_case(key))
}

/// What to do about JSON in which nothing is known.
pub(super) fn where_records_are() -> String {
    let wrappers = WRAPPERS.join(", ");
    format!(
        "the file should hold the objects as they came, or in at most {WRAPPED} of {wrappers}, one \
         in another"
    )
}

/// Whether a text may be JSON itself, as some programs keep what they were sent.
pub(super) fn is_json(text: &str) -> bool {
    text.trim_start().starts_with(['{', '['])
}

/// More names than this are not told apart.
const MOST_NAMES: usize = 1_000;

/// What a source is made of, if it is in JSON at all.
pub(crate) fn shape(source: &Source, survey: &Survey, options: &Options) -> Result<Option<Shape>> {
    let mut text = Text::open(source, survey)?;
    let head = text.head().map_err(|e| source.cut_short(&e))?;
    let Some((b'{' | b'[', _)) = head.trim_ascii_start().split_first() else { return Ok(None) };
    let has_points = || memchr::memmem::find(head, b"\"data_points\"").is_some();
    let of_meta = options.kind == Some(&meta_points::TABLE)
        || (options.kind.is_none() && (meta::is_response(head) || has_points()));
    Ok(Some(if of_meta { Shape::Responses } else { Shape::Objects }))
}

/// A source's characters as UTF-8, from behind the headers of HTTP if it was saved with them.
pub(super) struct Text {
    reader: Box<dyn Read + Send>,
    transcoder: Transcoder,
    input: Vec<u8>,
    out: Vec<u8>,
    at: usize,
    ended: bool,
    /// Lines that were passed before the text that is given.
    pub(super) skipped: u64,
}

impl Text {
    pub(super) fn open(source: &Source, survey: &Survey) -> Result<Self> {
        let mut text = Self {
            reader: source.reader()?,
            transcoder: Transcoder::new(survey.encoding),
            input: vec![0; 64 << 10],
            out: Vec::new(),
            at: 0,
            ended: false,
            skipped: 0,
        };
        text.skip_http().map_err(|e| source.cut_short(&e))?;
        Ok(text)
    }

    /// The next bytes, without passing them.
    fn head(&mut self) -> io::Result<&[u8]> {
        while self.out.len() - self.at < HEAD && !self.ended {
            self.more()?;
        }
        Ok(&self.out[self.at..])
    }

    /// Passes the headers that `curl -i` prints before a body, those of redirections too.
    fn skip_http(&mut self) -> io::Result<()> {
        while self.head()?.starts_with(b"HTTP/") {
            let head = &self.out[self.at..];
            let blank = memchr::memmem::find(head, b"\r\n\r\n").map(|end| end + 4);
            let Some(end) = blank.or_else(|| Some(memchr::memmem::find(head, b"\n\n")? + 2)) else {
                return Ok(());
            };
            self.skipped += memchr::memchr_iter(b'\n', &head[..end]).count() as u64;
            self.at += end;
        }
        Ok(())
    }

    fn more(&mut self) -> io::Result<()> {
        self.out.drain(..self.at);
        self.at = 0;
        let read = match self.reader.read(&mut self.input) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => return Ok(()),
            read => read?,
        };
        self.ended = read == 0;
        self.transcoder.push(&self.input[..read], &mut self.out, self.ended);
        Ok(())
    }
}

impl Read for Text {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.out.len() && !self.ended {
            self.more()?;
        }
        let read = buffer.len().min(self.out.len() - self.at);
        buffer[..read].copy_from_slice(&self.out[self.at..self.at + read]);
        self.at += read;
        Ok(read)
    }
}

/// One object of a source, or what stands where one should.
struct Found {
    bytes: Vec<u8>,
    line: u64,
    /// How much of the source was passed for it.
    read: u64,
}

/// Finds objects, one after the other, whatever stands between them.
struct Scanner {
    text: Text,
    /// Bytes that belong to no object yet.
    rest: Vec<u8>,
    at: usize,
    line: u64,
    /// How many blanks the line begins with that was passed last.
    indent: usize,
    /// Whether nothing but blanks was passed of it.
    blank: bool,
    ended: bool,
}

/// Where an object ends, as far as can be seen.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// Past its last brace.
    At(usize),
    /// It cannot be an object; the text that can be said to belong to it ends here.
    Broken(usize),
    /// More bytes are needed to tell.
    Cut,
}

impl Scanner {
    fn new(text: Text) -> Self {
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

    /// The next object, or what stands in its place up to the end of its line.
    fn next(&mut self) -> io::Result<Option<Found>> {
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
        // Where its line begins tells where the next object may begin, if this one never ends.
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
                    return Err(Exceeded::Record { line: self.line }.into());
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
        Ok(Some(Found { bytes, line, read: read + length as u64 }))
    }
}

/// Where the object ends that some bytes begin with. One that does not end before a line that
/// begins as an object of its own, no deeper than `indent`, is broken and ends there.
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
                // No string goes on in the next line.
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

/// Past the quote that ends a string, or where the line ends before it.
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

/// What a value holds, each value by the way to it, as texts; a null has none.
fn flatten(value: &Value, way: &str, take: &mut dyn FnMut(&str, Option<&Value>)) {
    match value {
        Value::Null => take(way, None),
        Value::Object(inner) => {
            inner.iter().for_each(|(name, value)| flatten(value, &joined(way, name), take));
        }
        value => take(way, Some(value)),
    }
}

fn joined(way: &str, name: &str) -> String {
    if way.is_empty() { name.to_owned() } else { format!("{way}.{name}") }
}

/// A value as it would stand in a cell; none for a list of objects.
pub(super) fn text_of(value: &Value) -> Option<String> {
    Some(match value {
        Value::Null => String::new(),
        Value::Bool(yes) => yes.to_string(),
        Value::String(text) => text.clone(),
        Value::Number(number) => match number.as_f64().filter(|_| number.is_f64()) {
            Some(float) => float_text(float),
            None => number.to_string(),
        },
        Value::Array(values) => {
            let texts: Option<Vec<String>> = values.iter().map(text_of).collect();
            texts?.join(",")
        }
        Value::Object(_) => return None,
    })
}

/// Which cell of a table is meant by the way to a value.
#[derive(Debug)]
struct Names {
    table: &'static Table,
    renames: Vec<(String, String)>,
    /// Of each of [`Table::exported`], whether it is an amount.
    amounts: Vec<bool>,
    /// What a record must have: places among [`Table::exported`], each with what stands in for it.
    needed: Vec<(usize, Option<usize>)>,
    /// By the way, the place among [`Table::exported`].
    known: HashMap<String, Option<usize>>,
    unknown: Vec<String>,
}

/// The cells of a record that say something, by their place among [`Table::exported`]. Of two for
/// one place, the first counts.
type Cells = Vec<(usize, String)>;

impl Names {
    fn new(table: &'static Table, renames: &[(String, String)]) -> Self {
        let at = |name: &str| table.exported().position(|column| column.name == name);
        let needed = table.exported().enumerate().filter(|(_, column)| column.expected);
        Self {
            table,
            renames: renames.to_vec(),
            amounts: table
                .exported()
                .map(|column| matches!(column.kind, CellKind::Money))
                .collect(),
            needed: needed.map(|(place, column)| (place, column.fallback.and_then(at))).collect(),
            known: HashMap::new(),
            unknown: Vec::new(),
        }
    }

    fn place(&mut self, way: &str) -> Option<usize> {
        if let Some(place) = self.known.get(way) {
            return *place;
        }
        let is_named = |name: &str| self.table.exported().position(|c| header::names(c, name));
        let place = unwrapped(way).find_map(|way| is_named(renamed(way, &self.renames)));
        if self.known.len() < MOST_NAMES {
            if place.is_none() {
                let shown = titles::shown(way);
                if !self.unknown.contains(&shown) {
                    self.unknown.push(shown);
                }
            }
            self.known.insert(way.to_owned(), place);
        }
        place
    }

    /// Whether anything that was met is named as a column is.
    fn knows_some(&self) -> bool {
        self.known.values().any(Option::is_some)
    }

    /// Whether a record has all that a row needs.
    fn is_whole(&self, cells: &Cells) -> bool {
        let is_there = |place: usize| cells.iter().any(|(of, _)| *of == place);
        let mut needed = self.needed.iter();
        needed.all(|(place, stand_in)| is_there(*place) || stand_in.is_some_and(is_there))
    }

    /// The records that an object is, or that stand in it.
    fn records(&mut self, object: &Object, way: &str, at: Depth) -> Vec<(u64, Cells)> {
        let (mut own, mut inner, mut parts) = (Cells::new(), Cells::new(), Vec::new());
        for (name, value) in &object.values {
            let way = joined(way, name);
            let part = match value {
                Part::Value(value) => {
                    self.take(value, &way, &mut own);
                    continue;
                }
                Part::Wrapped(part) => part,
            };
            match self.wrapped(part, &way, at.within(), object.line) {
                None => self.take(&part.value(), &way, &mut own),
                Some(Wrapped { mut records, is_list: false }) if records.len() == 1 => {
                    match records.pop() {
                        // It may be a part of what the object says.
                        Some((_, cells)) if !self.is_whole(&cells) => inner.extend(cells),
                        record => parts.extend(record),
                    }
                }
                Some(wrapped) => parts.extend(wrapped.records),
            }
        }
        // What stands further within was there before what was put around it.
        inner.append(&mut own);
        if self.is_whole(&inner) {
            parts.retain(|(_, cells)| self.is_whole(cells));
            parts.insert(0, (object.line, inner));
            return parts;
        }
        let around = inner.iter().map(|(_, text)| text.len()).sum::<usize>();
        match parts.as_mut_slice() {
            [] => parts.push((object.line, inner)),
            [(_, only)] => only.append(&mut inner),
            several if around <= AROUND => {
                for (_, cells) in several {
                    cells.extend_from_slice(&inner);
                }
            }
            _ => {}
        }
        parts
    }

    /// The records that the value of a wrapper holds; none where it holds nothing that is known.
    fn wrapped(&mut self, part: &Tree, way: &str, at: Depth, line: u64) -> Option<Wrapped> {
        let mut records = Vec::new();
        let is_list = match part {
            Tree::Object(object) => {
                records = self.records(object, way, at);
                false
            }
            Tree::List(parts) => {
                for part in parts {
                    match self.wrapped(part, way, at, line) {
                        Some(wrapped) => records.extend(wrapped.records),
                        None if part.is_empty() => {}
                        None => records.push((line, Cells::new())),
                    }
                }
                true
            }
            // A text that is a column is one.
            Tree::Value(Value::String(text))
                if at.texts < WRAPPED && is_json(text) && self.place(way).is_none() =>
            {
                let inner = Tree::read(text.as_bytes(), at.wrapped).ok()?;
                let at = Depth { texts: at.texts + 1, ..at };
                let mut wrapped = self.wrapped(&inner, way, at, line)?;
                wrapped.records.iter_mut().for_each(|(of, _)| *of = line);
                return Some(wrapped);
            }
            Tree::Value(_) => return None,
        };
        let says_some = records.iter().any(|(_, cells)| !cells.is_empty());
        says_some.then_some(Wrapped { records, is_list })
    }

    fn take(&mut self, value: &Value, way: &str, cells: &mut Cells) {
        flatten(value, way, &mut |way, value| {
            // What is null says nothing, whatever it would have been.
            let Some(value) = value else { return };
            let Some(place) = self.place(way) else { return };
            let text = match value {
                Value::Number(number) if self.amounts.get(place) == Some(&true) => amount(number),
                value => text_of(value).unwrap_or_default(),
            };
            if !text.is_empty() {
                cells.push((place, text));
            }
        });
    }
}

/// An amount that is a number, which has as many digits as the program that wrote it gave it.
fn amount(number: &serde_json::Number) -> String {
    let text = number.to_string();
    number::rounded_money(&text).map_or(text, number::money_text)
}

/// What a wrapper holds.
struct Wrapped {
    records: Vec<(u64, Cells)>,
    is_list: bool,
}

/// How far within something is.
#[derive(Clone, Copy, Default)]
struct Depth {
    /// In how many wrappers.
    wrapped: usize,
    /// In how many texts.
    texts: usize,
}

impl Depth {
    fn within(self) -> Self {
        Self { wrapped: self.wrapped + 1, ..self }
    }
}

/// Whether the value of a key may hold a record.
fn is_envelope(key: &str) -> bool {
    is_wrapper(key) || key.eq_ignore_ascii_case("event")
}

/// The way to a value from outside, and from within each wrapper that it leads through first.
fn unwrapped<'w>(way: &'w str) -> impl Iterator<Item = &'w str> {
    let inner = |way: &&'w str| {
        let (first, rest) = way.split_once('.')?;
        is_envelope(first).then_some(rest)
    };
    std::iter::successors(Some(way), inner).take(1 + WRAPPED)
}

/// An object of which what may hold records is told apart.
struct Object {
    /// The line that it begins on, from 0 where its text begins.
    line: u64,
    values: Vec<(String, Part)>,
}

enum Part {
    Value(Value),
    /// What the key of a wrapper holds.
    Wrapped(Tree),
}

/// A value in which objects may be records.
enum Tree {
    Object(Object),
    List(Vec<Tree>),
    Value(Value),
}

impl Tree {
    /// Reads JSON that so many wrappers are around.
    fn read(bytes: &[u8], wrapped: usize) -> serde_json::Result<Self> {
        let line = Cell::new(0);
        let seed = Grow { wrapped, line: &line };
        if memchr::memchr(b'\n', bytes).is_none() {
            let mut text = serde_json::Deserializer::from_slice(bytes);
            let tree = seed.deserialize(&mut text)?;
            return text.end().map(|()| tree);
        }
        let mut text = serde_json::Deserializer::from_reader(Lines { bytes, line: &line });
        let tree = seed.deserialize(&mut text)?;
        text.end().map(|()| tree)
    }

    /// Whether it is nothing, or a list of that.
    fn is_empty(&self) -> bool {
        match self {
            Self::Value(value) => value.is_null(),
            Self::List(parts) => parts.iter().all(Self::is_empty),
            Self::Object(_) => false,
        }
    }

    fn value(&self) -> Value {
        match self {
            Self::Value(value) => value.clone(),
            Self::List(parts) => parts.iter().map(Self::value).collect(),
            Self::Object(object) => {
                let value = |part: &Part| match part {
                    Part::Value(value) => value.clone(),
                    Part::Wrapped(tree) => tree.value(),
                };
                let values = object.values.iter();
                Value::Object(values.map(|(name, part)| (name.clone(), value(part))).collect())
            }
        }
    }
}

/// Counts the lines of a text as it is read.
struct Lines<'t> {
    bytes: &'t [u8],
    line: &'t Cell<u64>,
}

impl Read for Lines<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.bytes.read(buffer)?;
        let lines = memchr::memchr_iter(b'\n', &buffer[..read]).count() as u64;
        self.line.set(self.line.get() + lines);
        Ok(read)
    }
}

/// Reads a [`Tree`].
#[derive(Clone, Copy)]
struct Grow<'t> {
    wrapped: usize,
    /// The line that is read.
    line: &'t Cell<u64>,
}

impl<'de> DeserializeSeed<'de> for Grow<'_> {
    type Value = Tree;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Tree, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Grow<'_> {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value of JSON")
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Value(Value::Null))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Tree, E> {
        Ok(Tree::Value(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Tree, E> {
        Ok(Tree::Value(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Tree, E> {
        Ok(Tree::Value(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Tree, E> {
        Ok(Tree::Value(value.into()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Tree, E> {
        Ok(Tree::Value(value.into()))
    }

    fn visit_string<E>(self, value: String) -> Result<Tree, E> {
        Ok(Tree::Value(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Tree, A::Error> {
        let mut parts = Vec::new();
        while let Some(part) = list.next_element_seed(self)? {
            parts.push(part);
        }
        Ok(Tree::List(parts))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tree, A::Error> {
        let line = self.line.get();
        let mut values = Vec::new();
        while let Some(key) = map.next_key::<String>()? {
            let part = if self.wrapped < WRAPPED && is_envelope(&key) {
                let inner = Self { wrapped: self.wrapped + 1, ..self };
                Part::Wrapped(map.next_value_seed(inner)?)
            } else {
                Part::Value(map.next_value()?)
            };
            values.push((key, part));
        }
        Ok(Tree::Object(Object { line, values }))
    }
}

fn renamed<'n>(way: &'n str, renames: &'n [(String, String)]) -> &'n str {
    let new = renames.iter().find(|(from, _)| normalise_header(from) == normalise_header(way));
    new.map_or(way, |(_, to)| to)
}

/// Which table the objects of a source are for, as a header with all that the table knows.
pub(crate) fn header(source: &Source, survey: &Survey, options: &Options) -> Result<Header> {
    let table = match options.kind {
        Some(table) => table,
        None => {
            let mut scanner = Scanner::new(Text::open(source, survey)?);
            let (mut ways, mut read) = (Vec::<String>::new(), 0);
            while read < HEAD {
                let Some(found) = scanner.next().map_err(|e| source.cut_short(&e))? else { break };
                read += found.bytes.len();
                let Ok(tree) = Tree::read(&found.bytes, 0) else { continue };
                tell_ways(&tree, "", 0, &mut |way| {
                    for way in unwrapped(way) {
                        let way = renamed(way, &options.renames);
                        if ways.len() < MOST_NAMES && !ways.iter().any(|known| known == way) {
                            ways.push(way.to_owned());
                        }
                    }
                });
            }
            if ways.is_empty() {
                return Err(Error::data(format!(
                    "`{}` has no object that can be read",
                    source.name
                ))
                .hint("it should hold JSON objects, one a line or in an array"));
            }
            header::sniff(&source.name, &ways)?
        }
    };
    header_of(source, table)
}

/// Tells the way to each value, those in lists and texts that wrappers hold too.
fn tell_ways(tree: &Tree, way: &str, texts: usize, tell: &mut dyn FnMut(&str)) {
    match tree {
        Tree::Object(object) => {
            for (name, part) in &object.values {
                let way = joined(way, name);
                match part {
                    Part::Wrapped(tree) => tell_ways(tree, &way, texts, tell),
                    Part::Value(value) => flatten(value, &way, &mut |way, _| tell(way)),
                }
            }
        }
        Tree::List(parts) => parts.iter().for_each(|part| tell_ways(part, way, texts, tell)),
        Tree::Value(value) => {
            let inner = value.as_str().filter(|text| texts < WRAPPED && is_json(text));
            // How deep it is, the way to it tells.
            match inner.and_then(|text| Tree::read(text.as_bytes(), 0).ok()) {
                Some(inner) => tell_ways(&inner, way, texts + 1, tell),
                None => flatten(value, way, &mut |way, _| tell(way)),
            }
        }
    }
}

/// The header of records that were no CSV.
pub(crate) fn header_of(source: &Source, table: &'static Table) -> Result<Header> {
    let names: Vec<&str> = table.exported().map(|column| column.name).collect();
    Header::read(&source.name, &names.join(","), Written::DELIMITER, Some(table), &[])
}

/// Reads a source's objects.
pub(crate) fn reader<'s>(
    source: &'s Source,
    survey: &Survey,
    shape: Shape,
    header: &Header,
    renames: &[(String, String)],
) -> Result<Box<dyn Reader + 's>> {
    let text = Text::open(source, survey)?;
    match shape {
        Shape::Responses => Ok(Box::new(meta::Points::open(source, survey, text)?)),
        Shape::Objects => Ok(Box::new(Objects {
            source,
            scanner: Scanner::new(text),
            names: Names::new(header.table, renames),
            number: 0,
            waiting: VecDeque::new(),
        })),
    }
}

struct Objects<'s> {
    source: &'s Source,
    scanner: Scanner,
    names: Names,
    number: u64,
    /// Records of the object that was read last, with their lines.
    waiting: VecDeque<(u64, Cells)>,
}

impl Objects<'_> {
    fn push_broken(&mut self, written: &mut Written, found: &Found, reason: String) {
        self.number += 1;
        written.push_broken(self.number, found.line, &found.bytes, reason);
    }
}

impl Reader for Objects<'_> {
    fn next_chunk(&mut self) -> Result<Option<Chunk>> {
        let mut written = Written::default();
        let width = self.names.table.exported().count();
        let mut read = 0;
        while written.len() < CHUNK {
            if let Some((line, cells)) = self.waiting.pop_front() {
                self.number += 1;
                let mut fields = vec![""; width];
                for (place, text) in &cells {
                    // Of two names of one column, the first that says something counts.
                    if let Some(field) = fields.get_mut(*place).filter(|field| field.is_empty()) {
                        *field = text;
                    }
                }
                written.push(self.number, line, fields);
                continue;
            }
            let Some(found) = self.scanner.next().map_err(|e| self.source.cut_short(&e))? else {
                break;
            };
            read += found.read;
            match Tree::read(&found.bytes, 0) {
                Ok(Tree::Object(object)) => {
                    let records = self.names.records(&object, "", Depth::default());
                    let placed =
                        records.into_iter().map(|(line, cells)| (found.line + line, cells));
                    self.waiting.extend(placed);
                }
                Ok(_) => self.push_broken(&mut written, &found, "not an object".to_owned()),
                Err(fault) => {
                    let reason = format!("not valid JSON: {}", without_place(&fault));
                    let column = fault.column();
                    let reason = match fault.line() {
                        0 | 1 => format!("{reason}, character {column}"),
                        line => format!("{reason}, character {column} of its line {line}"),
                    };
                    self.push_broken(&mut written, &found, reason);
                }
            }
        }
        Ok(written.take(read))
    }

    fn knows_nothing(&self) -> bool {
        !self.names.knows_some()
    }

    fn unknown(&self) -> Vec<String> {
        // Where no name is known, they are not names of columns.
        let is_known = self.names.known.values().any(Option::is_some);
        if is_known { self.names.unknown.clone() } else { Vec::new() }
    }
}

/// What is wrong, without the line and the column, which count from where the object begins.
pub(super) fn without_place(fault: &serde_json::Error) -> String {
    let said = fault.to_string();
    let place = format!(" at line {} column {}", fault.line(), fault.column());
    let said = said.strip_suffix(&place).unwrap_or(&said);
    // What is there instead of what was expected may be anything.
    match (said.rfind(", expected "), said.strip_prefix("EOF while parsing ")) {
        (Some(at), _) if fault.is_data() => said[at + 2..].to_owned(),
        (_, Some(unfinished)) => format!("it ends within {unfinished}"),
        _ => said.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Map;

    use super::*;

    fn text_of_bytes(bytes: Vec<u8>, at_once: usize) -> Text {
        Text {
            reader: Box::new(io::Cursor::new(bytes)),
            transcoder: Transcoder::new(encoding_rs::UTF_8),
            input: vec![0; at_once],
            out: Vec::new(),
            at: 0,
            ended: false,
            skipped: 0,
        }
    }

    fn scan(text: &str) -> Vec<(u64, String)> {
        let mut scanner = Scanner::new(text_of_bytes(text.as_bytes().to_vec(), 7));
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
    fn the_drawing_above() {
        let text = "{\"event_id\":\"e1\",\"session\":{\"external_id\":\"s1\"}}\n\
                    {\"event_id\":\"e2\",\"sess\n\
                    {\"event_id\":\"e3\",\"session\":{\"external_id\":\"s3\"}}\n";
        assert_eq!(lines_of(text), [(1, true), (2, false), (3, true)]);
    }

    #[test]
    fn arrays_lines_and_pretty_print_are_one() {
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
    fn a_broken_object_costs_itself_alone() {
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
    fn values_are_named_by_the_way_to_them() {
        let object: Value = serde_json::from_str(
            r#"{"a":{"b":120226305854810726,"c":[1,"x"]},"d":null,"e":[{"f":1}],"g":15.580000000000002}"#,
        )
        .unwrap();
        let mut found = Vec::new();
        flatten(&object, "", &mut |way, value| {
            let text = value.map(|value| text_of(value).unwrap_or_default());
            found.push(format!("{way}={text:?}"));
        });
        let expected = [
            "a.b=Some(\"120226305854810726\")",
            "a.c=Some(\"1,x\")",
            "d=None",
            "e=Some(\"\")",
            "g=Some(\"15.58\")",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn an_object_without_end_is_refused() {
        for text in
            ["x".repeat(limits::RECORD + 9), format!("{{\"a\":\"{}", "x".repeat(limits::RECORD))]
        {
            let mut scanner = Scanner::new(text_of_bytes(text.into_bytes(), 1 << 16));
            assert!(scanner.next().is_err());
        }
    }

    proptest! {
        /// Any bytes at all: no panic, no hang, and what is no separator is in some record.
        #[test]
        fn no_byte_is_lost(text in "[{}\\[\\],:\"\\\\a \n1]{0,80}") {
            let separator = |c: &char| c.is_ascii_whitespace() || matches!(c, '[' | ']' | ',');
            let found: String = scan(&text).into_iter().map(|(_, text)| text).collect();
            let kept = found.chars().filter(|c| !separator(c));
            prop_assert!(kept.eq(text.chars().filter(|c| !separator(c))));
        }
    }
}
