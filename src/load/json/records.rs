//! Extracts records from JSON objects, also from inside wrappers.

use std::collections::HashMap;

use serde_json::Value;
use wabalake_data::Table;
use wabalake_data::cells::normalise_header;
use wabalake_data::cells::number;
use wabalake_data::tables::CellKind;

use super::tree::{Member, Object, Tree};
use crate::load::header;
use crate::load::json_value::{WRAPPED, flatten, is_json, joined, text_of, unwrapped};
use crate::load::redact;

/// Values around several records are added to each if they have at most so many bytes.
const AROUND: usize = 1 << 10;

/// The most names that are remembered.
pub(super) const MOST_NAMES: usize = 1_000;

/// Maps the paths of values to the columns of a table.
#[derive(Debug)]
pub(super) struct ColumnPaths {
    pub(super) table: &'static Table,
    pub(super) renames: Vec<(String, String)>,
    /// Whether each of [`Table::exported`] is an amount.
    amounts: Vec<bool>,
    /// Required columns, as indices in [`Table::exported`], each with the column that may stand in
    /// for it.
    needed: Vec<(usize, Option<usize>)>,
    /// Index in [`Table::exported`] by path.
    pub(super) known: HashMap<String, Option<usize>>,
    pub(super) unknown: Vec<String>,
}

/// The non-empty cells of a record, by index in [`Table::exported`]. The first of an index counts.
pub(super) type RecordCells = Vec<(usize, String)>;

impl ColumnPaths {
    pub(super) fn new(table: &'static Table, renames: &[(String, String)]) -> Self {
        let at = |name: &str| table.exported().position(|column| column.name == name);
        let needed = table.exported().enumerate().filter(|(_, column)| column.expected);
        Self {
            table,
            renames: renames.to_vec(),
            amounts: table
                .exported()
                .map(|column| matches!(column.kind, CellKind::Money | CellKind::Decimal))
                .collect(),
            needed: needed.map(|(place, column)| (place, column.fallback.and_then(at))).collect(),
            known: HashMap::new(),
            unknown: Vec::new(),
        }
    }

    fn place(&mut self, path: &str) -> Option<usize> {
        if let Some(place) = self.known.get(path) {
            return *place;
        }
        let is_named = |name: &str| self.table.exported().position(|c| header::names(c, name));
        let place = unwrapped(path).find_map(|path| is_named(renamed(path, &self.renames)));
        if self.known.len() < MOST_NAMES {
            if place.is_none() {
                let shown = redact::shown(path);
                if !self.unknown.contains(&shown) {
                    self.unknown.push(shown);
                }
            }
            self.known.insert(path.to_owned(), place);
        }
        place
    }

    /// Returns `true` if some path is that of a column.
    pub(super) fn knows_some(&self) -> bool {
        self.known.values().any(Option::is_some)
    }

    /// Returns `true` if a record has all required columns.
    fn is_whole(&self, cells: &RecordCells) -> bool {
        let is_there = |place: usize| cells.iter().any(|(of, _)| *of == place);
        let mut needed = self.needed.iter();
        needed.all(|(place, stand_in)| is_there(*place) || stand_in.is_some_and(is_there))
    }

    /// Returns the records of an object: itself, or those in its wrappers.
    pub(super) fn records(
        &mut self,
        object: &Object,
        path: &str,
        at: Depth,
    ) -> Vec<(u64, RecordCells)> {
        let (mut own, mut inner, mut parts) = (RecordCells::new(), RecordCells::new(), Vec::new());
        for (name, value) in &object.values {
            let path = joined(path, name);
            let part = match value {
                Member::Value(value) => {
                    self.take(value, &path, &mut own);
                    continue;
                }
                Member::Wrapped(part) => part,
            };
            match self.wrapped(part, &path, at.within(), object.line) {
                None => self.take(&part.value(), &path, &mut own),
                Some(WrappedRecords { mut records, is_list: false }) if records.len() == 1 => {
                    match records.pop() {
                        // An incomplete record is a part of this one.
                        Some((_, cells)) if !self.is_whole(&cells) => inner.extend(cells),
                        record => parts.extend(record),
                    }
                }
                Some(wrapped) => parts.extend(wrapped.records),
            }
        }
        // Inner values were there before the wrapper, so they come first.
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

    /// Returns the records in a wrapper; `None` if it contains no known column.
    pub(super) fn wrapped(
        &mut self,
        part: &Tree,
        path: &str,
        at: Depth,
        line: u64,
    ) -> Option<WrappedRecords> {
        let mut records = Vec::new();
        let is_list = match part {
            Tree::Object(object) => {
                records = self.records(object, path, at);
                false
            }
            Tree::List(parts) => {
                for part in parts {
                    match self.wrapped(part, path, at, line) {
                        Some(wrapped) => records.extend(wrapped.records),
                        None if part.is_empty() => {}
                        None => records.push((line, RecordCells::new())),
                    }
                }
                true
            }
            // A string that is a column of its own is not a wrapper.
            Tree::Value(Value::String(text))
                if at.texts < WRAPPED && is_json(text) && self.place(path).is_none() =>
            {
                let inner = Tree::read(text.as_bytes(), at.wrapped).ok()?;
                let at = Depth { texts: at.texts + 1, ..at };
                let mut wrapped = self.wrapped(&inner, path, at, line)?;
                wrapped.records.iter_mut().for_each(|(of, _)| *of = line);
                return Some(wrapped);
            }
            Tree::Value(_) => return None,
        };
        let says_some = records.iter().any(|(_, cells)| !cells.is_empty());
        says_some.then_some(WrappedRecords { records, is_list })
    }

    pub(super) fn take(&mut self, value: &Value, path: &str, cells: &mut RecordCells) {
        flatten(value, path, &mut |path, value| {
            // Nulls are ignored, whatever the column.
            let Some(value) = value else { return };
            let Some(place) = self.place(path) else { return };
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

/// Writes an amount that is a JSON number, rounded if the program wrote more digits.
fn amount(number: &serde_json::Number) -> String {
    let text = number.to_string();
    number::rounded_money(&text).map_or(text, number::money_text)
}

/// The records in a wrapper.
pub(super) struct WrappedRecords {
    pub(super) records: Vec<(u64, RecordCells)>,
    is_list: bool,
}

/// The nesting of a value.
#[derive(Clone, Copy, Default)]
pub(super) struct Depth {
    /// In how many wrappers.
    pub(super) wrapped: usize,
    /// In how many strings of JSON.
    pub(super) texts: usize,
}

impl Depth {
    fn within(self) -> Self {
        Self { wrapped: self.wrapped + 1, ..self }
    }
}

pub(super) fn renamed<'n>(path: &'n str, renames: &'n [(String, String)]) -> &'n str {
    let new = renames.iter().find(|(from, _)| normalise_header(from) == normalise_header(path));
    new.map_or(path, |(_, to)| to)
}
