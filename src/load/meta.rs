//! Responses of Meta's analytics API: a record for each point.
//!
//! ```text
//! {"conversation_analytics":{"data":[{"data_points":[
//!   {"start":1685602800,"end":1688194800,"conversation":1558,"country":"US","cost":15.58},  record 1
//!   {"start":1685602800,"end":1688194800,"conversation":2636,"country":"US","cost":26.36}   record 2
//! ]}]},"id":"102290129340398"}
//! ```
//!
//! Whose points they are, and what they are broken down by, is known only once all were seen: a
//! response is read twice, point by point, so that memory holds none but the last.
//!
//! What fetched a response may have put it into something of its own ([`WRAPPERS`](super::json::WRAPPERS)), one in another or
//! as a text. An object is a response by what stands in it: one of [`table::FIELDS`], or `data` whose
//! entries have `data_points`.
//!
//! A measure that cannot be read costs itself: it is left empty, and counted.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};

use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Unexpected,
    Visitor,
};
use serde_json::{Map, Value};
use wabalake_data::cells::number::{self, float_text};
use wabalake_data::cells::{DecimalMark, list, word};
use wabalake_data::tables::{CellKind, meta_points as table};

use super::json::{
    CHUNK, Text, WRAPPED, is_json, is_wrapper, text_of, where_records_are, without_place,
};
use super::limits::{self, Exceeded};
use super::literal::Literals;
use super::reader::{Reader, Written};
use super::records::Chunk;
use super::source::{Source, Survey};
use super::titles;
use crate::error::{Error, Result};

/// More responses than this are not read from one file.
const MOST_GROUPS: usize = 1 << 20;

/// More unknown keys than this are not told.
const MOST_NAMES: usize = 1_000;

/// Points that stand together in a response, and what is said of them all.
#[derive(Clone, Debug, Default)]
struct Group {
    /// The response that they are in.
    response: usize,
    /// The one whose `data` has an entry with them.
    entry_of: Option<usize>,
    field: Option<&'static str>,
    granularity: Option<String>,
    phone_numbers: Option<String>,
    country_codes: Option<String>,
    /// Columns that any of its points has.
    columns: BTreeSet<&'static str>,
}

impl Group {
    /// Meta's words for what the points are broken down by.
    fn dimensions(&self) -> Option<String> {
        let words = table::DIMENSION_COLUMNS.iter();
        let carried = words.filter(|(_, column)| self.columns.contains(column));
        list::sorted(carried.map(|(word, _)| *word))
    }

    /// Which of the four it is, told by its keys where the response does not say it.
    fn field(&self) -> Option<&'static str> {
        let has = |columns: &[&str]| columns.iter().any(|column| self.columns.contains(column));
        let [messages, conversations, pricing, templates] = table::FIELDS;
        self.field.or_else(|| match () {
            () if has(&[
                table::CONVERSATION,
                table::CONVERSATION_CATEGORY,
                table::CONVERSATION_TYPE,
                table::CONVERSATION_DIRECTION,
            ]) =>
            {
                Some(conversations)
            }
            () if has(&[
                table::VOLUME,
                table::PRICING_CATEGORY,
                table::PRICING_TYPE,
                table::TIER,
            ]) =>
            {
                Some(pricing)
            }
            () if has(&[table::TEMPLATE_ID, table::READ, table::CLICKED]) => Some(templates),
            () if has(&[table::SENT, table::DELIVERED]) => Some(messages),
            () => None,
        })
    }
}

/// What one reading of a source tells.
#[derive(Default)]
struct Told {
    groups: Vec<Group>,
    /// Objects that may be responses.
    responses: Vec<Response>,
    /// Whether there was a list of points, or what one of the four says.
    is_answer: bool,
    /// Whether `data` was an empty list.
    is_empty: bool,
    /// Whether a response begins with what Meta says went wrong.
    is_refusal: bool,
    /// What Meta says went wrong.
    fault: Option<Value>,
    unknown: Vec<String>,
}

/// An object that may be a response.
#[derive(Clone, Debug, Default)]
struct Response {
    /// What it says that it is of.
    account: Option<String>,
}

impl Told {
    /// The account that a group's points are of. An entry of `data` is part of what that stands in.
    fn account(&self, group: &Group) -> Option<&String> {
        let of = |response: usize| self.responses.get(response)?.account.as_ref();
        group.entry_of.and_then(of).or_else(|| of(group.response))
    }
}

/// What is done with each point: its group, what it says.
type Visit<'v> = dyn FnMut(usize, &Map<String, Value>) -> io::Result<()> + 'v;

/// Reads all responses of a text, and visits their points: the group, the point.
fn walk(text: Counted<impl io::Read>, visit: &mut Visit<'_>) -> serde_json::Result<Told> {
    let told = RefCell::new(Told::default());
    walk_into(&told, text, visit)?;
    Ok(told.into_inner())
}

/// The same, which tells what it met before what it cannot read, too.
fn walk_into(
    told: &RefCell<Told>,
    text: Counted<impl io::Read>,
    visit: &mut Visit<'_>,
) -> serde_json::Result<()> {
    let count = Arc::clone(&text.count);
    let walk = Walk { told, count: &count, visit: &RefCell::new(visit) };
    let mut text = serde_json::Deserializer::from_reader(text);
    loop {
        walk.part(Of::Object(Place::default())).deserialize(&mut text)?;
        // Anything but space after it is another response.
        match text.end() {
            Ok(()) => return Ok(()),
            Err(e) if e.is_io() => return Err(e),
            Err(_) => {}
        }
    }
}

/// Whether JSON that begins so is a response, be it an error or one without points.
pub(super) fn is_response(head: &[u8]) -> bool {
    let told = RefCell::new(Told::default());
    // It may be cut anywhere: what was met before counts.
    let _ = walk_into(&told, Counted::new(head), &mut |_, _| Ok(()));
    let told = told.into_inner();
    told.is_answer || told.is_refusal || (told.is_empty && told.unknown.is_empty())
}

/// What the readers of a response's parts share.
#[derive(Clone, Copy)]
struct Walk<'w, 'v> {
    told: &'w RefCell<Told>,
    count: &'w Count,
    visit: &'w RefCell<&'v mut Visit<'v>>,
}

impl<'w, 'v> Walk<'w, 'v> {
    fn part(self, of: Of) -> Part<'w, 'v> {
        Part { walk: self, of }
    }

    fn unknown(self, key: &str) {
        let mut told = self.told.borrow_mut();
        let shown = titles::shown(key);
        if told.unknown.len() < MOST_NAMES && !told.unknown.contains(&shown) {
            told.unknown.push(shown);
        }
    }

    fn point<E: serde::de::Error>(self, group: usize, point: &Map<String, Value>) -> Result<(), E> {
        for key in point.keys() {
            let column = column(key);
            match column {
                Some(column) => {
                    let mut told = self.told.borrow_mut();
                    if let Some(group) = told.groups.get_mut(group) {
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

/// The column that a point's key names.
fn column(key: &str) -> Option<&'static str> {
    const OF_THE_RESPONSE: [&str; 6] = [
        table::WABA_ID,
        table::FIELD,
        table::GRANULARITY,
        table::DIMENSIONS,
        table::PHONE_NUMBERS,
        table::COUNTRY_CODES,
    ];
    let mut columns = table::TABLE.columns.iter().map(|column| column.name);
    columns.find(|name| *name == key && !OF_THE_RESPONSE.contains(name))
}

/// A part of a response.
#[derive(Clone, Copy)]
struct Part<'w, 'v> {
    walk: Walk<'w, 'v>,
    of: Of,
}

#[derive(Clone, Copy)]
enum Of {
    /// A response, what one stands in, or a part of one; or a list of these.
    Object(Place),
    /// The points of a group.
    Points(usize),
}

/// Where an object stands.
#[derive(Clone, Copy, Default)]
struct Place {
    /// The object in whose `data` it is.
    holder: Option<usize>,
    /// Which of the four it is in.
    field: Option<&'static str>,
    /// The group that its own goes on from.
    around: Option<usize>,
    /// How many objects of others it stands in.
    depth: usize,
    /// How many texts.
    texts: usize,
    /// Whether it is in a list.
    is_listed: bool,
}

impl Place {
    /// Whether what stands here may be anything.
    fn is_wrapped(self) -> bool {
        self.depth > 0 && self.field.is_none()
    }

    /// Where the value of a key stands that may hold a response.
    fn within(self, key: &str, own: usize, group: Option<usize>) -> Option<Self> {
        let is_data = key == "data";
        // Behind the last wrapper there may still be Meta's own `data`.
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

impl<'de> DeserializeSeed<'de> for Part<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Part<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.of {
            Of::Object(Place { field: None, .. }) => "a response of Meta's API",
            Of::Object(_) => "an object with `data` or `data_points`",
            Of::Points(_) => "a list of points",
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
            Of::Object(place) if place.is_wrapped() && place.texts < WRAPPED && is_json(text) => {
                let place = Place { texts: place.texts + 1, ..place };
                let literals = || Literals::new(text.as_bytes());
                // A text that only looks like JSON is one among others.
                if serde_json::from_reader::<_, IgnoredAny>(literals()).is_err() {
                    return Ok(());
                }
                let mut inner = serde_json::Deserializer::from_reader(literals());
                let part = self.walk.part(Of::Object(place));
                part.deserialize(&mut inner).map_err(|e| E::custom(without_place(&e)))
            }
            _ => self.no_object(Unexpected::Str(text)),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        match self.of {
            Of::Points(group) => {
                while let Some(point) = seq.next_element::<Map<String, Value>>()? {
                    self.walk.point(group, &point)?;
                }
            }
            Of::Object(place) => {
                let mut is_empty = true;
                let part = self.walk.part(Of::Object(Place { is_listed: true, ..place }));
                while seq.next_element_seed(part)?.is_some() {
                    is_empty = false;
                }
                if is_empty && place.holder.is_some() && !place.is_listed {
                    self.walk.told.borrow_mut().is_empty = true;
                }
            }
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        match self.of {
            Of::Object(place) => self.object(map, place),
            Of::Points(_) => Err(A::Error::custom("expected a list of points")),
        }
    }
}

impl Part<'_, '_> {
    /// What stands here is no object: nothing to look into, or no response.
    fn no_object<E: serde::de::Error>(self, found: Unexpected<'_>) -> Result<(), E> {
        match self.of {
            Of::Object(place) if place.is_wrapped() => Ok(()),
            _ => Err(E::invalid_type(found, &self)),
        }
    }

    fn object<'de, A: MapAccess<'de>>(self, mut map: A, place: Place) -> Result<(), A::Error> {
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
                    self.walk.told.borrow_mut().is_answer = true;
                    map.next_value_seed(self.walk.part(Of::Points(group)))?;
                }
                "granularity" => {
                    let word: Value = map.next_value()?;
                    let group = self.group_of(&mut group, own, place)?;
                    self.set(group, text_of(&word), |group| &mut group.granularity);
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
                    self.walk.told.borrow_mut().is_answer = true;
                    let part = Place { holder: Some(own), around: group, ..place };
                    map.next_value_seed(self.walk.part(Of::Object(part)))?;
                }
                "paging" => {
                    map.next_value::<IgnoredAny>()?;
                }
                "id" if !is_in_field => {
                    let id: Value = map.next_value()?;
                    if let Some(response) = self.walk.told.borrow_mut().responses.get_mut(own) {
                        response.account = text_of(&id);
                    }
                }
                "error" if !is_in_field => {
                    let fault: Value = map.next_value()?;
                    let mut told = self.walk.told.borrow_mut();
                    told.is_refusal |= is_first && fault.get("message").is_some();
                    if says_something(&fault) {
                        told.fault.get_or_insert(fault);
                    }
                }
                _ if field.is_some() => {
                    self.walk.told.borrow_mut().is_answer |= is_first;
                    let part = Place { holder: Some(own), field, around: None, ..place };
                    map.next_value_seed(self.walk.part(Of::Object(part)))?;
                }
                key => match within {
                    Some(within) => map.next_value_seed(self.walk.part(Of::Object(within)))?,
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
        let mut told = self.walk.told.borrow_mut();
        if told.responses.len() >= MOST_GROUPS {
            return Err(E::custom(format!("more than {MOST_GROUPS} responses in one file")));
        }
        told.responses.push(Response::default());
        Ok(told.responses.len() - 1)
    }

    /// The group of an object, made when it is needed.
    fn group_of<E: serde::de::Error>(
        self,
        group: &mut Option<usize>,
        own: usize,
        place: Place,
    ) -> Result<usize, E> {
        let known = match *group {
            Some(known) => known,
            None => self.group(own, place)?,
        };
        *group = Some(known);
        Ok(known)
    }

    fn group<E: serde::de::Error>(self, response: usize, place: Place) -> Result<usize, E> {
        let Place { field, around, holder, .. } = place;
        let entry_of = holder.filter(|_| field.is_none());
        let mut told = self.walk.told.borrow_mut();
        if told.groups.len() >= MOST_GROUPS {
            return Err(E::custom(format!("more than {MOST_GROUPS} responses in one file")));
        }
        let outer = around.and_then(|around| told.groups.get(around)).cloned().unwrap_or_default();
        told.groups.push(Group { response, entry_of, field, columns: BTreeSet::new(), ..outer });
        Ok(told.groups.len() - 1)
    }

    fn set(self, group: usize, text: Option<String>, to: fn(&mut Group) -> &mut Option<String>) {
        if let Some(group) = self.walk.told.borrow_mut().groups.get_mut(group) {
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
    list::read(&text_of(words)?)
}

/// Counts the bytes and lines of a text as it is read, and refuses a part that is too long to be
/// held.
struct Counted<R> {
    text: Literals<R>,
    count: Arc<Count>,
}

#[derive(Debug, Default)]
struct Count {
    bytes: AtomicU64,
    /// Of the part that is being read.
    part: AtomicU64,
    lines: AtomicU64,
}

impl Count {
    /// A point, or what stands before the first, is read.
    fn end_part(&self) {
        self.part.store(0, Ordering::Relaxed);
    }
}

impl<R: io::Read> Counted<R> {
    fn new(text: R) -> Self {
        Self { text: Literals::new(text), count: Arc::default() }
    }
}

impl<R: io::Read> io::Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let before = self.text.added_in_all();
        let read = self.text.read(buffer)?;
        let added = self.text.added_in_all() - before;
        let lines = memchr::memchr_iter(b'\n', &buffer[..read]).count() as u64;
        let lines = self.count.lines.fetch_add(lines, Ordering::Relaxed) + lines;
        self.count.bytes.fetch_add(read as u64 - added, Ordering::Relaxed);
        let part = self.count.part.fetch_add(read as u64, Ordering::Relaxed);
        if part > limits::RECORD as u64 {
            return Err(Exceeded::Record { line: lines + 1 }.into());
        }
        Ok(read)
    }
}

/// Reads the points of all responses in a source.
pub(crate) struct Points {
    parts: mpsc::Receiver<Result<Chunk>>,
    unknown: Vec<String>,
    faults: Arc<Mutex<Faults>>,
}

/// How many values of a measure cannot be read.
type Faults = BTreeMap<&'static str, u64>;

impl Points {
    /// Reads the source once to learn whose its points are, and begins to read them.
    pub(super) fn open(source: &Source, survey: &Survey, text: Text) -> Result<Self> {
        let skipped = text.skipped;
        let text = Counted::new(text);
        let added = text.text.added_in_line();
        let told = walk(text, &mut |_, _| Ok(()));
        let told = told.map_err(|e| fault(source, e, skipped, added.load(Ordering::Relaxed)))?;
        if let Some(said) = &told.fault {
            return Err(of_meta(source, said));
        }
        if !told.is_answer && !told.is_empty {
            return Err(Error::data(format!(
                "no answer of Meta's API was found in `{}`",
                source.name
            ))
            .hint(format!(
                "{}: one of {}, or `data` with `data_points`",
                where_records_are(),
                table::FIELDS.join(", ")
            ))
            .no_export());
        }
        for group in &told.groups {
            if group.field().is_none() && !group.columns.is_empty() {
                return Err(Error::data(format!(
                    "`{}` does not say which of {} its points are",
                    source.name,
                    table::FIELDS.join(", ")
                ))
                .hint("keep the response whole, with the field's name around its data"));
            }
        }
        // Where no key is known, they are not keys of points.
        let is_known = told.groups.iter().any(|group| !group.columns.is_empty());
        let unknown = if is_known { told.unknown.clone() } else { Vec::new() };
        let text = Text::open(source, survey)?;
        let name = source.name.clone();
        let (sender, parts) = mpsc::sync_channel(2);
        let faults = Arc::new(Mutex::new(Faults::new()));
        let counted = Arc::clone(&faults);
        std::thread::spawn(move || {
            if let Err(e) = give(text, &told, &sender, &counted) {
                // Nobody listens where the load has ended.
                let read = "changed while it was read";
                let _ = sender.send(Err(Error::data(format!("`{name}` {read}: {e}"))));
            }
        });
        Ok(Self { parts, unknown, faults })
    }
}

impl Reader for Points {
    fn next_chunk(&mut self) -> Result<Option<Chunk>> {
        self.parts.recv().ok().transpose()
    }

    fn unknown(&self) -> Vec<String> {
        self.unknown.clone()
    }

    fn measures_at_fault(&self) -> BTreeMap<&'static str, u64> {
        self.faults.lock().map(|faults| faults.clone()).unwrap_or_default()
    }
}

/// Reads the points once more and hands them on as records.
fn give(
    text: Text,
    told: &Told,
    sender: &mpsc::SyncSender<Result<Chunk>>,
    faults: &Mutex<Faults>,
) -> serde_json::Result<()> {
    let first_line = 1 + text.skipped;
    let text = Counted::new(text);
    let count = Arc::clone(&text.count);
    let groups: Vec<BTreeMap<&str, String>> = told.groups.iter().map(|g| said(g, told)).collect();
    let mut written = Written::default();
    let mut number = 0;
    let gone = || io::Error::other("the load has ended");
    walk(text, &mut |group, point| {
        number += 1;
        let group = &groups[group];
        let mut cells = Vec::new();
        for column in table::TABLE.exported() {
            let cell = match (group.get(column.name), point.get(column.name)) {
                (Some(text), _) => Ok(text.clone()),
                (None, None) => Ok(String::new()),
                (None, Some(value)) if table::MEASURES.contains(&column.name) => {
                    measure(column.name, value)
                }
                (None, Some(value)) => Ok(dimension(column.kind, value)),
            };
            let cell = cell.unwrap_or_else(|AtFault| {
                if let Ok(mut faults) = faults.lock() {
                    *faults.entry(column.name).or_default() += 1;
                }
                String::new()
            });
            cells.push(cell);
        }
        let line = first_line + count.lines.load(Ordering::Relaxed);
        written.push(number, line, cells.iter().map(String::as_str));
        if written.len() >= CHUNK
            && let Some(chunk) = written.take(count.bytes.swap(0, Ordering::Relaxed))
        {
            sender.send(Ok(chunk)).map_err(|_| gone())?;
        }
        Ok(())
    })?;
    if let Some(chunk) = written.take(count.bytes.load(Ordering::Relaxed)) {
        // Nobody listens where the load has ended.
        let _ = sender.send(Ok(chunk));
    }
    Ok(())
}

/// What a response says of all points of a group.
fn said(group: &Group, told: &Told) -> BTreeMap<&'static str, String> {
    let account = told.account(group).cloned();
    [
        (table::WABA_ID, account),
        (table::FIELD, group.field().map(str::to_owned)),
        (table::GRANULARITY, group.granularity.clone()),
        (table::DIMENSIONS, group.dimensions()),
        (table::PHONE_NUMBERS, group.phone_numbers.clone()),
        (table::COUNTRY_CODES, group.country_codes.clone()),
    ]
    .map(|(name, text)| (name, text.unwrap_or_default()))
    .into()
}

/// What tells a point from others, as a cell. Of an instant that is written as a float, the seconds.
fn dimension(kind: CellKind, value: &Value) -> String {
    let text = text_of(value).unwrap_or_default();
    match kind {
        CellKind::Seconds => whole(&text).map_or(text, |seconds| seconds.to_string()),
        _ => text,
    }
}

/// Says that a measure cannot be read.
#[derive(Debug, PartialEq, Eq)]
struct AtFault;

/// A measure of a point as a cell, empty where nothing was measured. A template's clicks come by
/// button, its costs by what they are for: the clicks are added up, and the cost is what was spent.
fn measure(column: &str, value: &Value) -> Result<String, AtFault> {
    let entries = match value {
        Value::Array(entries) if matches!(column, table::CLICKED | table::COST) => entries,
        value if column == table::COST => return amount(value),
        value => return Ok(counted(value)?.map(|count| count.to_string()).unwrap_or_default()),
    };
    if column == table::COST {
        let spent = |entry: &&Value| entry["type"].as_str() == Some("amount_spent");
        return entries
            .iter()
            .find(spent)
            .map_or(Ok(String::new()), |entry| amount(&entry["value"]));
    }
    let mut clicks: Option<i64> = None;
    for entry in entries {
        if let Some(count) = counted(&entry["count"])? {
            clicks = Some(clicks.unwrap_or(0).checked_add(count).ok_or(AtFault)?);
        }
    }
    Ok(clicks.map(|clicks| clicks.to_string()).unwrap_or_default())
}

fn counted(value: &Value) -> Result<Option<i64>, AtFault> {
    let text = match value {
        Value::Array(_) | Value::Object(_) | Value::Bool(_) => return Err(AtFault),
        value => text_of(value).unwrap_or_default(),
    };
    word(&text).map(|word| whole(word).ok_or(AtFault)).transpose()
}

fn amount(value: &Value) -> Result<String, AtFault> {
    let text = match value {
        Value::Array(_) | Value::Object(_) | Value::Bool(_) => return Err(AtFault),
        value => text_of(value).unwrap_or_default(),
    };
    let Some(word) = word(&text) else { return Ok(text) };
    let millionths = number::rounded_money(word);
    // As a text, an amount may be written as a person does.
    let millionths = millionths.or_else(|| number::money(word, Some(DecimalMark::Point)));
    millionths.map(number::money_text).ok_or(AtFault)
}

/// A whole number, which may be written as a float.
fn whole(word: &str) -> Option<i64> {
    let of_float = || number::count(&float_text(word.parse().ok()?), Some(DecimalMark::Point));
    number::count(word, Some(DecimalMark::Point)).or_else(of_float)
}

/// The error of a response that is not valid JSON, or not one of Meta's. So many quotes were added
/// to its line before it.
fn fault(source: &Source, e: serde_json::Error, skipped: u64, added: u64) -> Error {
    if e.is_io() {
        return source.cut_short(&e.into());
    }
    let (line, column) = (e.line() as u64 + skipped, (e.column() as u64).saturating_sub(added));
    let said = without_place(&e);
    let name = &source.name;
    let what = if e.is_data() { "is not a response of Meta's API" } else { "is not valid JSON" };
    let error = Error::data(format!("`{name}` {what}: {said} at line {line}, column {column}"));
    error.hint("mend it there, or save the response anew: comments, `…` and curly quotes are none")
}

/// The error of a response that is itself an error, in Meta's own words. What looks like a token
/// is not repeated.
fn of_meta(source: &Source, said: &Value) -> Error {
    let text = |key: &str| said.get(key).and_then(text_of).filter(|text| !text.is_empty());
    let message = text("message").or_else(|| text_of(said)).unwrap_or_default();
    let without_tokens = |text: &str| {
        let words = text.split(' ').map(|word| if word.len() > 40 { "…" } else { word });
        words.collect::<Vec<_>>().join(" ")
    };
    let message = without_tokens(&message);
    let error = Error::data(format!("`{}` is an error of Meta's API: {message}", source.name));
    let details = [("type", text("type")), ("code", text("code"))];
    let details = details.into_iter().filter_map(|(name, said)| Some(format!("{name} {}", said?)));
    let details = details.collect::<Vec<_>>().join(", ");
    let error = if details.is_empty() { error } else { error.found(details) };
    error.hint(match text("error_user_msg") {
        Some(advice) => without_tokens(&advice),
        None => "mend the request, and save its response again".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each group's field, dimensions and points.
    fn groups(text: &str) -> Vec<(Option<&'static str>, Option<String>, usize)> {
        let mut points = BTreeMap::<usize, usize>::new();
        let told = walk(Counted::new(text.as_bytes()), &mut |group, _| {
            *points.entry(group).or_default() += 1;
            Ok(())
        });
        let told = told.unwrap();
        let with_points = points.into_iter().map(|(at, points)| (&told.groups[at], points));
        with_points.map(|(group, points)| (group.field(), group.dimensions(), points)).collect()
    }

    #[test]
    fn fields_are_told_by_their_name_or_by_their_keys() {
        let point = |keys: &str| format!("{{\"start\":1,\"end\":2{keys}}}");
        for (keys, field, dimensions) in [
            (",\"sent\":1,\"delivered\":1", "analytics", None),
            (",\"conversation\":1,\"country\":\"US\"", "conversation_analytics", Some("COUNTRY")),
            (",\"cost\":1,\"pricing_type\":\"REGULAR\"", "pricing_analytics", Some("PRICING_TYPE")),
            (",\"sent\":1,\"template_id\":\"7\"", "template_analytics", None),
        ] {
            let point = point(keys);
            for text in [
                format!(
                    "{{\"{field}\":{{\"data\":[{{\"data_points\":[{point}]}}]}},\"id\":\"1\"}}"
                ),
                format!("{{\"{field}\":{{\"data_points\":[{point}]}}}}"),
                format!("{{\"data\":[{{\"data_points\":[{point}]}}],\"paging\":{{}}}}"),
                format!("[{{\"data\":[{{\"data_points\":[{point}]}}]}}]"),
            ] {
                let expected = [(Some(field), dimensions.map(str::to_owned), 1)];
                assert_eq!(groups(&text), expected, "{text}");
            }
        }
        assert_eq!(groups("{\"data\":[],\"paging\":{}}"), []);
        assert_eq!(groups("{\"data\":[{\"data_points\":[{\"start\":1}]}]}")[0].0, None);
    }

    #[test]
    fn responses_one_after_the_other_keep_their_accounts() {
        let one = |id| format!("{{\"analytics\":{{\"data_points\":[]}},\"id\":\"{id}\"}}\n");
        let told = format!("{}{}", one(7), one(8));
        let told = walk(Counted::new(told.as_bytes()), &mut |_, _| Ok(())).unwrap();
        let accounts: Vec<_> = told.groups.iter().map(|g| told.account(g).cloned()).collect();
        assert_eq!(accounts, [Some("7".to_owned()), Some("8".to_owned())]);
        assert_eq!(told.groups.iter().map(|g| g.response).collect::<Vec<_>>(), [0, 1]);
    }

    #[test]
    fn clicks_are_added_up_and_the_cost_is_what_was_spent() {
        let value = |text| serde_json::from_str::<Value>(text).unwrap();
        let clicks = value("[{\"type\":\"url_button\",\"count\":2},{\"type\":\"x\",\"count\":3}]");
        assert_eq!(measure(table::CLICKED, &clicks).unwrap(), "5");
        let cost = value(
            "[{\"type\":\"cost_per_delivered\",\"value\":0.1},{\"type\":\"amount_spent\",\"value\":1.5}]",
        );
        assert_eq!(measure(table::COST, &cost).unwrap(), "1.500000");
        assert_eq!(measure(table::COST, &value("\"0.0232\"")).unwrap(), "0.023200");
        assert_eq!(measure(table::CLICKED, &value("[]")).unwrap(), "");
        assert_eq!(measure(table::COST, &value("[{\"type\":\"amount_spent\"}]")).unwrap(), "");
        for (column, text) in [
            (table::COST, "\"1e400\""),
            (table::COST, "\"Infinity\""),
            (table::COST, "{\"value\":1}"),
            (table::COST, "[{\"type\":\"amount_spent\",\"value\":\"much\"}]"),
            (table::CLICKED, "[{\"count\":2},{\"count\":\"some\"}]"),
            (table::SENT, "[1]"),
            (table::SENT, "\"1.5\""),
            (table::READ, "true"),
        ] {
            assert_eq!(measure(column, &value(text)), Err(AtFault), "{column} {text}");
        }
    }

    #[test]
    fn what_is_too_long_to_be_held_is_refused() {
        let long = "x".repeat(limits::RECORD + 100);
        let text = format!("{{\"analytics\":{{\"data_points\":[{{\"start\":\"{long}\"}}]}}}}");
        let fault = walk(Counted::new(text.as_bytes()), &mut |_, _| Ok(())).err().unwrap();
        assert!(fault.is_io(), "{fault}");
        let points = "{\"start\":1},".repeat(limits::RECORD / 8);
        let text = format!("{{\"analytics\":{{\"data_points\":[{points}{{}}]}}}}");
        assert!(walk(Counted::new(text.as_bytes()), &mut |_, _| Ok(())).is_ok());
    }
}
