//! JSON files: objects in sequence, one per line or in an array, and responses of Meta's API.
//!
//! ```text
//! {"event_id":"e1","session":{"external_id":"s1"}}      record 1: event_id e1, session.external_id s1
//! {"event_id":"e2","sess                                record 2: broken, up to the end of its line
//! {"event_id":"e3","session":{"external_id":"s3"}}      record 3
//! ```
//!
//! Each object is a record. The path of each value is matched with columns as a title is. Only the
//! broken object itself is rejected. One object at a time is held in memory.
//!
//! Programs that receive or fetch records wrap them under keys such as `data`
//! ([`WRAPPERS`](super::json_value::WRAPPERS)), up to [`WRAPPED`] levels deep, alone, in a list, or
//! as a string:
//!
//! ```text
//! [{"headers":{…},"body":{"event_id":"e1",…}}]                                 record 1
//! {"received_at":"…","data":[{"event_id":"e2",…},{"event_id":"e3",…}]}         records 2 and 3
//! {"result":"{\"event_id\":\"e4\",…}"}                                         record 4
//! ```
//!
//! Values outside the wrapper fill columns that the record itself lacks.

mod records;
mod scanner;
mod surrogates;
mod tree;
pub(in crate::load) mod webhooks;

use std::collections::VecDeque;

use wabalake_data::Table;
use wabalake_data::tables::meta_points;

use self::records::{ColumnPaths, Depth, MOST_NAMES, RecordCells, renamed};
use self::scanner::{RawObject, Scanner};
use self::tree::{Member, Tree};
use super::chunk::Chunk;
use super::header::{self, Header};
use super::json_value::{WRAPPED, flatten, is_json, joined, unwrapped, without_place};
use super::meta;
use super::options::Options;
use super::reader::{CHUNK, CsvBuffer, Reader};
use super::source::{Source, Survey};
use super::text::{DecodedText, HEAD};
use crate::error::{Error, Result};

/// What a JSON file consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Objects, each one record.
    Objects,
    /// Responses of Meta's API, each with many data points.
    Responses,
    /// Webhooks of Meta and Treble, which feed several tables.
    Webhooks,
}

/// Detects what a JSON file consists of; `None` if it is not JSON.
pub(crate) fn shape(source: &Source, survey: &Survey, options: &Options) -> Result<Option<Shape>> {
    let mut text = DecodedText::open(source, survey)?;
    let head = text.head().map_err(|e| source.read_error(&e))?;
    let Some((b'{' | b'[', _)) = head.trim_ascii_start().split_first() else { return Ok(None) };
    let has_points = || memchr::memmem::find(head, b"\"data_points\"").is_some();
    let of_meta = options.kind == Some(&meta_points::TABLE)
        || (options.kind.is_none() && (meta::is_response(head) || has_points()));
    // Renames are of the columns of one table.
    let may_be_webhooks = options.kind.is_none() && options.renames.is_empty();
    Ok(Some(if options.is_webhooks {
        Shape::Webhooks
    } else if of_meta {
        Shape::Responses
    } else if may_be_webhooks && webhooks::are_in(source, survey)? {
        Shape::Webhooks
    } else {
        Shape::Objects
    }))
}

/// Detects the table of the objects, and returns a header with all columns of the table.
pub(crate) fn header(source: &Source, survey: &Survey, options: &Options) -> Result<Header> {
    let table = match options.kind {
        Some(table) => table,
        None => {
            let mut scanner = Scanner::new(DecodedText::open(source, survey)?);
            let (mut paths, mut read) = (Vec::<String>::new(), 0);
            while read < HEAD {
                let Some(found) = scanner.next().map_err(|e| source.read_error(&e))? else { break };
                read += found.bytes.len();
                let Ok(tree) = Tree::read(&found.bytes, 0) else { continue };
                tell_paths(&tree, "", 0, &mut |path| {
                    for path in unwrapped(path) {
                        let path = renamed(path, &options.renames);
                        if paths.len() < MOST_NAMES && !paths.iter().any(|known| known == path) {
                            paths.push(path.to_owned());
                        }
                    }
                });
            }
            if paths.is_empty() {
                return Err(Error::data(format!("`{}` has no valid JSON object", source.name))
                    .hint("it should contain JSON objects, one per line or in an array"));
            }
            header::sniff(&source.name, &paths)?
        }
    };
    header_of(source, table)
}

/// Calls `tell` with the path of each value, also inside lists and strings of wrappers.
fn tell_paths(tree: &Tree, path: &str, texts: usize, tell: &mut dyn FnMut(&str)) {
    match tree {
        Tree::Object(object) => {
            for (name, part) in &object.values {
                let path = joined(path, name);
                match part {
                    Member::Wrapped(tree) => tell_paths(tree, &path, texts, tell),
                    Member::Value(value) => flatten(value, &path, &mut |path, _| tell(path)),
                }
            }
        }
        Tree::List(parts) => parts.iter().for_each(|part| tell_paths(part, path, texts, tell)),
        Tree::Value(value) => {
            let inner = value.as_str().filter(|text| texts < WRAPPED && is_json(text));
            // The path tells how deep it is wrapped.
            match inner.and_then(|text| Tree::read(text.as_bytes(), 0).ok()) {
                Some(inner) => tell_paths(&inner, path, texts + 1, tell),
                None => flatten(value, path, &mut |path, _| tell(path)),
            }
        }
    }
}

/// Creates the header of records that a reader writes as CSV.
pub(crate) fn header_of(source: &Source, table: &'static Table) -> Result<Header> {
    let names: Vec<&str> = table.exported().map(|column| column.name).collect();
    Header::read(&source.name, &names.join(","), CsvBuffer::DELIMITER, Some(table), &[])
}

/// Opens a reader of the records.
pub(crate) fn reader<'s>(
    source: &'s Source,
    survey: &Survey,
    shape: Shape,
    header: &Header,
    renames: &[(String, String)],
) -> Result<Box<dyn Reader + 's>> {
    let text = DecodedText::open(source, survey)?;
    match shape {
        Shape::Responses => Ok(Box::new(meta::PointReader::open(source, survey, text)?)),
        Shape::Webhooks => Ok(Box::new(webhooks::WebhookReader::new(source, text))),
        Shape::Objects => Ok(Box::new(Objects {
            source,
            scanner: Scanner::new(text),
            names: ColumnPaths::new(header.table, renames),
            number: 0,
            waiting: VecDeque::new(),
        })),
    }
}

/// The fields of a record: one for each of [`Table::exported`].
fn fields_of<'c>(table: &Table, cells: &'c RecordCells) -> Vec<&'c str> {
    let mut fields = vec![""; table.exported().count()];
    for (place, text) in cells {
        // Several keys may name one column: the first non-empty value counts.
        if let Some(field) = fields.get_mut(*place).filter(|field| field.is_empty()) {
            *field = text;
        }
    }
    fields
}

/// The reason of a reject that is another value than an object.
const NO_OBJECT: &str = "not an object";

/// The beginning of the reason of a reject that is not valid JSON.
const INVALID: &str = "not valid JSON";

/// The reason of a reject that is no object or not valid JSON, with the place in its text.
fn broken(bytes: &[u8], fault: &serde_json::Error) -> String {
    if !bytes.starts_with(b"{") && are_values(bytes) {
        return NO_OBJECT.to_owned();
    }
    let reason = format!("{INVALID}: {}", without_place(fault));
    let column = fault.column();
    match fault.line() {
        0 | 1 => format!("{reason}, character {column}"),
        line => format!("{reason}, character {column} of its line {line}"),
    }
}

/// Returns `true` for values of JSON with separators of objects behind them.
fn are_values(bytes: &[u8]) -> bool {
    /// So many separators are passed over.
    const MOST: usize = 8;
    let mut values = bytes;
    for _ in 0..MOST {
        values = values.trim_ascii_end();
        let list = [b"[", values, b"]"].concat();
        if serde_json::from_slice::<serde::de::IgnoredAny>(&list).is_ok() {
            return true;
        }
        let Some((b']' | b',', before)) = values.split_last() else { return false };
        values = before;
    }
    false
}

struct Objects<'s> {
    source: &'s Source,
    scanner: Scanner,
    names: ColumnPaths,
    number: u64,
    /// Records of the current object, with their lines.
    waiting: VecDeque<(u64, RecordCells)>,
}

impl Objects<'_> {
    fn push_broken(&mut self, written: &mut CsvBuffer, found: &RawObject, reason: String) {
        self.number += 1;
        written.push_broken(self.number, found.line, &found.bytes, reason);
    }
}

impl Reader for Objects<'_> {
    fn next_chunk(&mut self) -> Result<Option<Chunk>> {
        let mut written = CsvBuffer::default();
        let mut read = 0;
        while written.len() < CHUNK {
            if let Some((line, cells)) = self.waiting.pop_front() {
                self.number += 1;
                written.push(self.number, line, fields_of(self.names.table, &cells));
                continue;
            }
            let Some(found) = self.scanner.next().map_err(|e| self.source.read_error(&e))? else {
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
                Ok(_) => self.push_broken(&mut written, &found, NO_OBJECT.to_owned()),
                Err(fault) => {
                    let reason = broken(&found.bytes, &fault);
                    self.push_broken(&mut written, &found, reason);
                }
            }
        }
        Ok(written.take(read))
    }

    fn recognised_nothing(&self) -> bool {
        !self.names.knows_some()
    }

    fn unknown_columns(&self) -> Vec<String> {
        // If no name is known, they may be data.
        let is_known = self.names.known.values().any(Option::is_some);
        if is_known { self.names.unknown.clone() } else { Vec::new() }
    }
}
