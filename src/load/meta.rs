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

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};

use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde_json::{Map, Value};
use wabalake_data::cells::list;
use wabalake_data::tables::meta_points as table;

use super::json::{CHUNK, Text, text_of, without_place};
use super::limits::{self, Exceeded};
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
    /// The account of each response.
    accounts: Vec<Option<String>>,
    /// What Meta says went wrong.
    fault: Option<Value>,
    unknown: Vec<String>,
}

/// What is done with each point: its group, what it says.
type Visit<'v> = dyn FnMut(usize, &Map<String, Value>) -> io::Result<()> + 'v;

/// Reads all responses of a text, and visits their points: the group, the point.
fn walk(text: Counted<impl io::Read>, visit: &mut Visit<'_>) -> serde_json::Result<Told> {
    let told = RefCell::new(Told::default());
    let count = Arc::clone(&text.count);
    let walk = Walk { told: &told, count: &count, visit: &RefCell::new(visit) };
    let mut text = serde_json::Deserializer::from_reader(text);
    loop {
        walk.top().deserialize(&mut text)?;
        // Anything but space after it is another response.
        match text.end() {
            Ok(()) => break,
            Err(e) if e.is_io() => return Err(e),
            Err(_) => {}
        }
    }
    Ok(told.into_inner())
}

/// What the readers of a response's parts share.
#[derive(Clone, Copy)]
struct Walk<'w, 'v> {
    told: &'w RefCell<Told>,
    count: &'w Count,
    visit: &'w RefCell<&'v mut Visit<'v>>,
}

impl<'w, 'v> Walk<'w, 'v> {
    fn top(self) -> Part<'w, 'v> {
        Part { walk: self, of: Of::Top }
    }

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
    /// A response, or an array of them.
    Top,
    /// What a field answers, or one entry of its `data`: the response, the group around it.
    Field(usize, Option<&'static str>, Option<usize>),
    /// The points of a group.
    Points(usize),
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
            Of::Top => "a response of Meta's API",
            Of::Field(..) => "an object with `data` or `data_points`",
            Of::Points(_) => "a list of points",
        })
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        match self.of {
            Of::Points(group) => {
                while let Some(point) = seq.next_element::<Map<String, Value>>()? {
                    self.walk.point(group, &point)?;
                }
            }
            _ => while seq.next_element_seed(self)?.is_some() {},
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        match self.of {
            Of::Top => self.response(map),
            Of::Field(response, field, around) => self.field(map, response, field, around),
            Of::Points(_) => Err(A::Error::custom("expected a list of points")),
        }
    }
}

impl Part<'_, '_> {
    fn response<'de, A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        self.walk.count.end_part();
        let response = {
            let mut told = self.walk.told.borrow_mut();
            told.accounts.push(None);
            told.accounts.len() - 1
        };
        while let Some(key) = map.next_key::<String>()? {
            let field = table::FIELDS.iter().find(|field| **field == key).copied();
            match key.as_str() {
                "id" => {
                    let id: Value = map.next_value()?;
                    self.walk.told.borrow_mut().accounts[response] = text_of(&id);
                }
                "error" => {
                    let fault: Value = map.next_value()?;
                    self.walk.told.borrow_mut().fault.get_or_insert(fault);
                }
                "data" => map.next_value_seed(self.walk.part(Of::Field(response, None, None)))?,
                "paging" => {
                    map.next_value::<IgnoredAny>()?;
                }
                _ if field.is_some() => {
                    map.next_value_seed(self.walk.part(Of::Field(response, field, None)))?;
                }
                "data_points" => {
                    let group = self.group(response, None, None)?;
                    map.next_value_seed(self.walk.part(Of::Points(group)))?;
                }
                key => {
                    self.walk.unknown(key);
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }

    fn group<E: serde::de::Error>(
        self,
        response: usize,
        field: Option<&'static str>,
        around: Option<usize>,
    ) -> Result<usize, E> {
        let mut told = self.walk.told.borrow_mut();
        if told.groups.len() >= MOST_GROUPS {
            return Err(E::custom(format!("more than {MOST_GROUPS} responses in one file")));
        }
        let outer = around.and_then(|around| told.groups.get(around)).cloned().unwrap_or_default();
        told.groups.push(Group { response, field, columns: BTreeSet::new(), ..outer });
        Ok(told.groups.len() - 1)
    }

    fn field<'de, A: MapAccess<'de>>(
        self,
        mut map: A,
        response: usize,
        field: Option<&'static str>,
        around: Option<usize>,
    ) -> Result<(), A::Error> {
        let group = self.group(response, field, around)?;
        let set = |text: Option<String>, to: fn(&mut Group) -> &mut Option<String>| {
            if let Some(group) = self.walk.told.borrow_mut().groups.get_mut(group) {
                *to(group) = text;
            }
        };
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "granularity" => {
                    let word: Value = map.next_value()?;
                    set(text_of(&word), |group| &mut group.granularity);
                }
                "phone_numbers" => {
                    let words: Value = map.next_value()?;
                    set(listed(&words), |group| &mut group.phone_numbers);
                }
                "country_codes" => {
                    let words: Value = map.next_value()?;
                    set(listed(&words), |group| &mut group.country_codes);
                }
                "data_points" => map.next_value_seed(self.walk.part(Of::Points(group)))?,
                "data" => {
                    map.next_value_seed(self.walk.part(Of::Field(response, field, Some(group))))?;
                }
                "paging" => {
                    map.next_value::<IgnoredAny>()?;
                }
                key => {
                    self.walk.unknown(key);
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

fn listed(words: &Value) -> Option<String> {
    list::read(&text_of(words)?)
}

/// Counts the bytes and lines of a text as it is read, and refuses a part that is too long to be
/// held.
struct Counted<R> {
    text: R,
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

impl<R> Counted<R> {
    fn new(text: R) -> Self {
        Self { text, count: Arc::default() }
    }
}

impl<R: io::Read> io::Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.text.read(buffer)?;
        let lines = memchr::memchr_iter(b'\n', &buffer[..read]).count() as u64;
        let lines = self.count.lines.fetch_add(lines, Ordering::Relaxed) + lines;
        self.count.bytes.fetch_add(read as u64, Ordering::Relaxed);
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
}

impl Points {
    /// Reads the source once to learn whose its points are, and begins to read them.
    pub(super) fn open(source: &Source, survey: &Survey, text: Text) -> Result<Self> {
        let skipped = text.skipped;
        let told = walk(Counted::new(text), &mut |_, _| Ok(()));
        let told = told.map_err(|e| fault(source, e, skipped))?;
        if let Some(said) = &told.fault {
            return Err(of_meta(source, said));
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
        std::thread::spawn(move || {
            if let Err(e) = give(text, &told, &sender) {
                // Nobody listens where the load has ended.
                let read = "changed while it was read";
                let _ = sender.send(Err(Error::data(format!("`{name}` {read}: {e}"))));
            }
        });
        Ok(Self { parts, unknown })
    }
}

impl Reader for Points {
    fn next_chunk(&mut self) -> Result<Option<Chunk>> {
        self.parts.recv().ok().transpose()
    }

    fn unknown(&self) -> Vec<String> {
        self.unknown.clone()
    }
}

/// Reads the points once more and hands them on as records.
fn give(
    text: Text,
    told: &Told,
    sender: &mpsc::SyncSender<Result<Chunk>>,
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
        let cell = |column: &str| match group.get(column) {
            Some(text) => text.clone(),
            None => point.get(column).map(|value| measure(column, value)).unwrap_or_default(),
        };
        let cells: Vec<String> = table::TABLE.exported().map(|c| cell(c.name)).collect();
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
    let account = told.accounts.get(group.response).cloned().flatten();
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

/// A value of a point as a cell. A template's clicks come by button, its costs by what they are
/// for: the clicks are added up, and the cost is what was spent.
fn measure(column: &str, value: &Value) -> String {
    let Value::Array(entries) = value else { return text_of(value).unwrap_or_default() };
    let number = |entry: &Value, key: &str| entry.get(key).cloned().unwrap_or_default();
    match column {
        table::CLICKED => {
            let clicks = entries.iter().filter_map(|entry| number(entry, "count").as_i64());
            clicks.reduce(i64::saturating_add).map(|sum| sum.to_string()).unwrap_or_default()
        }
        table::COST => {
            let spent = |entry: &&Value| number(entry, "type").as_str() == Some("amount_spent");
            let entry = entries.iter().find(spent);
            entry.and_then(|entry| text_of(&number(entry, "value"))).unwrap_or_default()
        }
        _ => text_of(value).unwrap_or_default(),
    }
}

/// The error of a response that is not valid JSON, or not one of Meta's.
fn fault(source: &Source, e: serde_json::Error, skipped: u64) -> Error {
    if e.is_io() {
        return source.cut_short(&e.into());
    }
    let (line, column) = (e.line() as u64 + skipped, e.column());
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
        assert_eq!(told.accounts, [Some("7".to_owned()), Some("8".to_owned())]);
        assert_eq!(told.groups.iter().map(|g| g.response).collect::<Vec<_>>(), [0, 1]);
    }

    #[test]
    fn clicks_are_added_up_and_the_cost_is_what_was_spent() {
        let value = |text| serde_json::from_str::<Value>(text).unwrap();
        let clicks = value("[{\"type\":\"url_button\",\"count\":2},{\"type\":\"x\",\"count\":3}]");
        assert_eq!(measure(table::CLICKED, &clicks), "5");
        let cost = value(
            "[{\"type\":\"cost_per_delivered\",\"value\":0.1},{\"type\":\"amount_spent\",\"value\":1.5}]",
        );
        assert_eq!(measure(table::COST, &cost), "1.5");
        assert_eq!(measure(table::COST, &value("0.0232")), "0.0232");
        assert_eq!(measure(table::CLICKED, &value("[]")), "");
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
