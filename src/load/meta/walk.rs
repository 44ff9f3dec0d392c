//! Visits the data points of responses while they are deserialized.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::{fmt, io};

use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Unexpected,
    Visitor,
};
use serde_json::{Map, Value};
use wabalake_data::cells::list;
use wabalake_data::tables::meta_points as table;

use super::counted::{CountedText, ReadCount};
use super::literals::QuotedNumbers;
use super::response::{MOST_GROUPS, PointGroup, Response, Summary};
use crate::error::Result;
use crate::load::json_value::{WRAPPED, is_json, is_wrapper, text_of, without_place};
use crate::load::redact;

/// The most unknown keys that are reported.
const MOST_NAMES: usize = 1_000;

/// Receives each point: the index of its group, and its keys.
type Visit<'v> = dyn FnMut(usize, &Map<String, Value>) -> io::Result<()> + 'v;

/// Reads all responses of a text and visits their points.
pub(super) fn walk(
    text: CountedText<impl io::Read>,
    visit: &mut Visit<'_>,
) -> serde_json::Result<Summary> {
    let summary = RefCell::new(Summary::default());
    walk_into(&summary, text, visit)?;
    Ok(summary.into_inner())
}

/// Like [`walk`], but keeps what was met before an error.
fn walk_into(
    summary: &RefCell<Summary>,
    text: CountedText<impl io::Read>,
    visit: &mut Visit<'_>,
) -> serde_json::Result<()> {
    let count = Arc::clone(&text.count);
    let walk = Walker { summary, count: &count, visit: &RefCell::new(visit) };
    let mut text = serde_json::Deserializer::from_reader(text);
    loop {
        walk.part(Target::Object(Position::default())).deserialize(&mut text)?;
        // Anything but whitespace is another response.
        match text.end() {
            Ok(()) => return Ok(()),
            Err(e) if e.is_io() => return Err(e),
            Err(_) => {}
        }
    }
}

/// Returns `true` if the beginning of a text is a response, even an error or one without points.
pub(crate) fn is_response(head: &[u8]) -> bool {
    let summary = RefCell::new(Summary::default());
    // The text may be cut anywhere: what was met before counts.
    let _ = walk_into(&summary, CountedText::new(head), &mut |_, _| Ok(()));
    let summary = summary.into_inner();
    summary.is_answer || summary.is_refusal || (summary.is_empty && summary.unknown.is_empty())
}

/// State shared by the visitors of a response's parts.
#[derive(Clone, Copy)]
struct Walker<'w, 'v> {
    summary: &'w RefCell<Summary>,
    count: &'w ReadCount,
    visit: &'w RefCell<&'v mut Visit<'v>>,
}

impl<'w, 'v> Walker<'w, 'v> {
    fn part(self, of: Target) -> PartVisitor<'w, 'v> {
        PartVisitor { walk: self, of }
    }

    fn unknown(self, key: &str) {
        let mut summary = self.summary.borrow_mut();
        let shown = redact::shown(key);
        if summary.unknown.len() < MOST_NAMES && !summary.unknown.contains(&shown) {
            summary.unknown.push(shown);
        }
    }

    fn point<E: serde::de::Error>(self, group: usize, point: &Map<String, Value>) -> Result<(), E> {
        for key in point.keys() {
            let column = column(key);
            match column {
                Some(column) => {
                    let mut summary = self.summary.borrow_mut();
                    if let Some(group) = summary.groups.get_mut(group) {
                        group.columns.insert(column);
                    }
                }
                None => self.unknown(key),
            }
        }
        self.count.end_part();
        (*self.visit.borrow_mut())(group, point).map_err(E::custom)
    }
}

/// Returns the column of a point's key.
fn column(key: &str) -> Option<&'static str> {
    /// Columns of the response, and columns that are computed.
    const NOT_OF_POINTS: [&str; 8] = [
        table::WABA_ID,
        table::FIELD,
        table::GRANULARITY,
        table::DIMENSIONS,
        table::PHONE_NUMBERS,
        table::COUNTRY_CODES,
        table::UNIQUE_CLICKED,
        table::BUTTONS,
    ];
    let mut columns = table::TABLE.columns.iter().map(|column| column.name);
    columns.find(|name| *name == key && !NOT_OF_POINTS.contains(name))
}

/// Visits a part of a response.
#[derive(Clone, Copy)]
struct PartVisitor<'w, 'v> {
    walk: Walker<'w, 'v>,
    of: Target,
}

#[derive(Clone, Copy)]
enum Target {
    /// A response, a wrapper, a part of a response, or a list of these.
    Object(Position),
    /// The points of a group.
    Points(usize),
}

/// The position of an object.
#[derive(Clone, Copy, Default)]
pub(super) struct Position {
    /// The object in whose `data` it is.
    holder: Option<usize>,
    /// The field that it is in.
    pub(super) field: Option<&'static str>,
    /// The group that its own group extends.
    around: Option<usize>,
    /// In how many wrappers it is.
    depth: usize,
    /// In how many strings of JSON.
    texts: usize,
    /// `true` if it is in a list.
    is_listed: bool,
}

impl Position {
    /// Returns `true` if any value may stand here.
    fn is_wrapped(self) -> bool {
        self.depth > 0 && self.field.is_none()
    }

    /// Returns the position of a key's value, if it may contain a response.
    fn within(self, key: &str, own: usize, group: Option<usize>) -> Option<Self> {
        let is_data = key == "data";
        // Inside the last wrapper there may be Meta's own `data`.
        let is_near = self.depth < WRAPPED || is_data && self.depth == WRAPPED;
        let holder = is_data.then_some(own);
        let around = group.filter(|_| is_data);
        (is_near && is_wrapper(key)).then_some(Self {
            holder,
            around,
            depth: self.depth + 1,
            is_listed: false,
            ..self
        })
    }
}

impl<'de> DeserializeSeed<'de> for PartVisitor<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for PartVisitor<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.of {
            Target::Object(Position { field: None, .. }) => "a response of Meta's API",
            Target::Object(_) => "an object with `data` or `data_points`",
            Target::Points(_) => "a list of points",
        })
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<(), E> {
        self.no_object(Unexpected::Bool(value))
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<(), E> {
        self.no_object(Unexpected::Signed(value))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<(), E> {
        self.no_object(Unexpected::Unsigned(value))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<(), E> {
        self.no_object(Unexpected::Float(value))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        match self.of {
            Target::Object(place)
                if place.is_wrapped() && place.texts < WRAPPED && is_json(text) =>
            {
                let place = Position { texts: place.texts + 1, ..place };
                let literals = || QuotedNumbers::new(text.as_bytes());
                // A string that only looks like JSON is ignored.
                if serde_json::from_reader::<_, IgnoredAny>(literals()).is_err() {
                    return Ok(());
                }
                let mut inner = serde_json::Deserializer::from_reader(literals());
                let part = self.walk.part(Target::Object(place));
                part.deserialize(&mut inner).map_err(|e| E::custom(without_place(&e)))
            }
            _ => self.no_object(Unexpected::Str(text)),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        match self.of {
            Target::Points(group) => {
                while let Some(point) = seq.next_element::<Map<String, Value>>()? {
                    self.walk.point(group, &point)?;
                }
            }
            Target::Object(place) => {
                let mut is_empty = true;
                let part = self.walk.part(Target::Object(Position { is_listed: true, ..place }));
                while seq.next_element_seed(part)?.is_some() {
                    is_empty = false;
                }
                if is_empty && place.holder.is_some() && !place.is_listed {
                    self.walk.summary.borrow_mut().is_empty = true;
                }
            }
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        match self.of {
            Target::Object(place) => self.object(map, place),
            Target::Points(_) => Err(A::Error::custom("expected a list of points")),
        }
    }
}

impl PartVisitor<'_, '_> {
    /// Handles a value that is not an object: it is ignored in a wrapper, and an error in a
    /// response.
    fn no_object<E: serde::de::Error>(self, found: Unexpected<'_>) -> Result<(), E> {
        match self.of {
            Target::Object(place) if place.is_wrapped() => Ok(()),
            _ => Err(E::invalid_type(found, &self)),
        }
    }

    fn object<'de, A: MapAccess<'de>>(self, mut map: A, place: Position) -> Result<(), A::Error> {
        self.walk.count.end_part();
        let own = match (place.field, place.holder) {
            (Some(_), Some(holder)) => holder,
            _ => self.response()?,
        };
        let mut group = place.field.map(|_| self.group(own, place)).transpose()?;
        let mut is_first = true;
        while let Some(key) = map.next_key::<String>()? {
            let is_in_field = place.field.is_some();
            let field = table::FIELDS.iter().find(|field| **field == key).copied();
            let field = field.filter(|_| !is_in_field && place.depth <= WRAPPED);
            let within = place.within(&key, own, group).filter(|_| !is_in_field);
            match key.as_str() {
                "data_points" => {
                    let group = self.group_of(&mut group, own, place)?;
                    self.walk.summary.borrow_mut().is_answer = true;
                    map.next_value_seed(self.walk.part(Target::Points(group)))?;
                }
                "granularity" => {
                    let word: Value = map.next_value()?;
                    let group = self.group_of(&mut group, own, place)?;
                    self.set(group, text_of(&word), |group| &mut group.granularity);
                }
                "product_type" => {
                    let word: Value = map.next_value()?;
                    let group = self.group_of(&mut group, own, place)?;
                    self.set(group, text_of(&word), |group| &mut group.product_type);
                }
                "phone_numbers" => {
                    let words: Value = map.next_value()?;
                    let group = self.group_of(&mut group, own, place)?;
                    self.set(group, listed(&words), |group| &mut group.phone_numbers);
                }
                "country_codes" => {
                    let words: Value = map.next_value()?;
                    let group = self.group_of(&mut group, own, place)?;
                    self.set(group, listed(&words), |group| &mut group.country_codes);
                }
                "data" if is_in_field => {
                    self.walk.summary.borrow_mut().is_answer = true;
                    let part = Position { holder: Some(own), around: group, ..place };
                    map.next_value_seed(self.walk.part(Target::Object(part)))?;
                }
                "paging" => {
                    map.next_value::<IgnoredAny>()?;
                }
                "id" if !is_in_field => {
                    let id: Value = map.next_value()?;
                    if let Some(response) = self.walk.summary.borrow_mut().responses.get_mut(own) {
                        response.account = text_of(&id);
                    }
                }
                "error" if !is_in_field => {
                    let fault: Value = map.next_value()?;
                    let mut summary = self.walk.summary.borrow_mut();
                    summary.is_refusal |= is_first && fault.get("message").is_some();
                    if says_something(&fault) {
                        summary.fault.get_or_insert(fault);
                    }
                }
                _ if field.is_some() => {
                    self.walk.summary.borrow_mut().is_answer |= is_first;
                    let part = Position { holder: Some(own), field, around: None, ..place };
                    map.next_value_seed(self.walk.part(Target::Object(part)))?;
                }
                key => match within {
                    Some(within) => map.next_value_seed(self.walk.part(Target::Object(within)))?,
                    None => {
                        self.walk.unknown(key);
                        map.next_value::<IgnoredAny>()?;
                    }
                },
            }
            is_first = false;
        }
        Ok(())
    }

    fn response<E: serde::de::Error>(self) -> Result<usize, E> {
        let mut summary = self.walk.summary.borrow_mut();
        if summary.responses.len() >= MOST_GROUPS {
            return Err(E::custom(format!("more than {MOST_GROUPS} responses in one file")));
        }
        summary.responses.push(Response::default());
        Ok(summary.responses.len() - 1)
    }

    /// The group of an object, made when it is needed.
    fn group_of<E: serde::de::Error>(
        self,
        group: &mut Option<usize>,
        own: usize,
        place: Position,
    ) -> Result<usize, E> {
        let known = match *group {
            Some(known) => known,
            None => self.group(own, place)?,
        };
        *group = Some(known);
        Ok(known)
    }

    fn group<E: serde::de::Error>(self, response: usize, place: Position) -> Result<usize, E> {
        let Position { field, around, holder, .. } = place;
        let entry_of = holder.filter(|_| field.is_none());
        let mut summary = self.walk.summary.borrow_mut();
        if summary.groups.len() >= MOST_GROUPS {
            return Err(E::custom(format!("more than {MOST_GROUPS} responses in one file")));
        }
        let outer =
            around.and_then(|around| summary.groups.get(around)).cloned().unwrap_or_default();
        summary.groups.push(PointGroup {
            response,
            entry_of,
            field,
            columns: BTreeSet::new(),
            ..outer
        });
        Ok(summary.groups.len() - 1)
    }

    fn set(
        self,
        group: usize,
        text: Option<String>,
        to: fn(&mut PointGroup) -> &mut Option<String>,
    ) {
        if let Some(group) = self.walk.summary.borrow_mut().groups.get_mut(group) {
            *to(group) = text;
        }
    }
}

/// Whether something went wrong: some programs say each time that nothing did.
fn says_something(fault: &Value) -> bool {
    match fault {
        Value::Null | Value::Bool(false) => false,
        Value::Bool(true) => true,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(list) => !list.is_empty(),
        Value::Object(map) => !map.is_empty(),
    }
}

fn listed(words: &Value) -> Option<String> {
    list::read(&text_of(words)?, &list::SEPARATORS)
}
