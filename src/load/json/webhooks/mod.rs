//! Webhooks of Meta and Treble: one file feeds `messages`, `identities`, `events`, `closures` and
//! `variables` in one pass.
//!
//! ```text
//! {"object":"whatsapp_business_account","entry":[{"id":"1","time":1,"changes":[
//!   {"field":"messages","value":{"metadata":{…},"contacts":[…],"messages":[…]}},   a row of messages, a link
//!   {"field":"account_update","value":{…}}]}]}                                     a row of events
//! {"event_type":"session.close","session":{…}}                                     a row of closures
//! {"session_id":"s1","user_session_keys":[{"key":"city","value":"…"}],…}           a row of variables
//! ```
//!
//! Each object is a whole envelope, or one of its entries, changes or values, in the same wrappers as
//! other objects. What belongs to no table is counted by its kind. Each row is typed and rejected by
//! itself, as a row of an export of its table is.

mod detect;
mod events;
mod messages;
mod people;
mod rows;
mod treble;
mod value;

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};

use wabalake_data::tables::closures;

use self::detect::{PARTS, is_change, is_value};
pub(in crate::load) use self::detect::{are_in, begin, not_webhooks};
use self::messages::{Around, is_of_group, or, type_of};
use self::people::{Links, Millis, millis};
use self::rows::{ELEMENT, FedRows, VARIABLES};
pub(crate) use self::rows::{headers, is_broken_part};
use self::treble::{Kind, WITHOUT_VARIABLES};
use self::value::{Json, Object};
use super::records::{ColumnPaths, Depth};
use super::scanner::{RawObject, Scanner};
use super::surrogates::without_lone_surrogates;
use super::tree::Tree;
use super::{NO_OBJECT, broken, fields_of};
use crate::error::Result;
use crate::load::chunk::Chunk;
use crate::load::json_value::{WRAPPED, is_envelope, is_json};
use crate::load::reader::{CHUNK, Reader};
use crate::load::source::Source;
use crate::load::text::DecodedText;

/// Reads the rows of all webhooks in a source.
pub(super) struct WebhookReader<'s> {
    source: &'s Source,
    scanner: Scanner,
    closures: ColumnPaths,
    walk: Walk,
    ready: VecDeque<Chunk>,
}

impl<'s> WebhookReader<'s> {
    pub(super) fn new(source: &'s Source, text: DecodedText) -> Self {
        Self {
            source,
            scanner: Scanner::new(text),
            closures: ColumnPaths::new(&closures::TABLE, &[]),
            walk: Walk::default(),
            ready: VecDeque::new(),
        }
    }

    fn read(&mut self, found: &RawObject) {
        let walk = &mut self.walk;
        walk.begin(found.line);
        let bytes = without_lone_surrogates(&found.bytes);
        match Json::read(&bytes) {
            Ok(value @ Json::Object(_)) => {
                // Objects of one line need no look for theirs.
                let has_lines = memchr::memchr(b'\n', &bytes).is_some();
                let text = if has_lines { &*bytes } else { &[] };
                walk.value(&value, text, Nesting::default());
                if walk.closures > 0 {
                    self.read_closures(found);
                }
            }
            Ok(_) => walk.rows.push_broken(&found.bytes, NO_OBJECT.to_owned()),
            Err(fault) => {
                walk.rows.push_broken(&found.bytes, broken(&found.bytes, &fault));
            }
        }
    }

    /// Writes the closed sessions in an object, as for a file of closures.
    fn read_closures(&mut self, found: &RawObject) {
        let Ok(Tree::Object(object)) = Tree::read(&found.bytes, 0) else { return };
        let at = |name: &str| closures::TABLE.exported().position(|column| column.name == name);
        let [kind, session, closed] =
            [closures::EVENT_TYPE, closures::SESSION_ID, closures::CLOSED_AT].map(at);
        for (line, cells) in self.closures.records(&object, "", Depth::default()) {
            let text = |of: Option<usize>| {
                let cell = cells.iter().find(|(place, _)| Some(*place) == of);
                cell.map_or("", |(_, text)| text.as_str())
            };
            let is_closed = match text(kind) {
                "" => !text(session).is_empty() && !text(closed).is_empty(),
                kind => closures::closes(kind),
            };
            if is_closed {
                let fields = fields_of(&closures::TABLE, &cells);
                self.walk.rows.push_closure(found.line + line, fields);
            }
        }
    }
}

impl Reader for WebhookReader<'_> {
    fn next_chunk(&mut self) -> Result<Option<Chunk>> {
        if let Some(chunk) = self.ready.pop_front() {
            return Ok(Some(chunk));
        }
        let mut read = 0;
        while self.walk.rows.len() < CHUNK {
            let Some(found) = self.scanner.next().map_err(|e| self.source.read_error(&e))? else {
                break;
            };
            read += found.read;
            self.read(&found);
        }
        self.ready.extend(self.walk.rows.take(read));
        Ok(self.ready.pop_front())
    }

    fn recognised_nothing(&self) -> bool {
        let Walk { rows, all_closures, .. } = &self.walk;
        !rows.is_known && *all_closures == 0 && !rows.left_out.is_empty()
    }

    fn left_out(&self) -> BTreeMap<String, u64> {
        self.walk.rows.left_out.clone()
    }

    /// Bodies in which nothing was answered are a file of `variables` without records.
    fn table_without_records(&self) -> usize {
        let mut kinds = self.walk.rows.left_out.keys().peekable();
        let are_empty = kinds.peek().is_some() && kinds.all(|kind| kind == WITHOUT_VARIABLES);
        if are_empty { VARIABLES } else { 0 }
    }
}

/// Where a value is in wrappers.
#[derive(Clone, Copy, Default)]
struct Nesting {
    wrapped: usize,
    texts: usize,
}

/// The parts of an entry that its changes share.
#[derive(Default)]
struct Entry<'v> {
    waba_id: Cow<'v, str>,
    time: Cow<'v, str>,
    at: Option<Millis>,
}

/// Walks through the webhooks of a file.
#[derive(Default)]
struct Walk {
    rows: FedRows,
    /// Closed sessions in the current object.
    closures: usize,
    all_closures: usize,
    /// An offset in the current object, and its line.
    mark: (usize, u64),
}

impl Walk {
    /// Begins an object of the file.
    fn begin(&mut self, line: u64) {
        self.rows.line = line;
        self.mark = (0, line);
        self.closures = 0;
    }

    /// Reads a value that may hold webhooks: an object, a list, or a text of JSON.
    fn value(&mut self, value: &Json<'_>, text: &[u8], nesting: Nesting) {
        match value {
            Json::Object(object) => self.object(object, text, nesting),
            Json::List(parts) => parts.iter().for_each(|part| self.value(part, text, nesting)),
            Json::Text(inner) if nesting.texts < WRAPPED && is_json(inner) => {
                let nesting = Nesting { texts: nesting.texts + 1, ..nesting };
                let bytes = inner.as_bytes();
                match Json::read(&without_lone_surrogates(bytes)) {
                    // Its lines are not those of the file.
                    Ok(value) => self.value(&value, &[], nesting),
                    Err(fault) => self.rows.push_broken(bytes, broken(bytes, &fault)),
                }
            }
            Json::Null => {}
            _ => self.rows.leave_out("values that are no objects", ""),
        }
    }

    fn object(&mut self, object: &Object<'_>, text: &[u8], nesting: Nesting) {
        self.find_line(object, text);
        match object.text("object") {
            kind if kind.is_empty() || kind == "whatsapp_business_account" => {}
            kind if object.has("entry") => {
                self.rows.leave_out("webhooks of", &kind);
                return;
            }
            _ => {}
        }
        if object.text("object") == "whatsapp_business_account"
            || object.objects("entry").any(|entry| entry.has("changes"))
        {
            self.rows.is_known = true;
            for entry in object.elements("entry") {
                self.part(entry, "entry", text, |walk, entry| walk.entry(entry, text));
            }
        } else if object.objects("changes").any(is_change) {
            self.rows.is_known = true;
            self.entry(object, text);
        } else if is_change(object) {
            self.rows.is_known |= events::is_field(&object.text("field"))
                || object.inner("value").is_some_and(is_value);
            self.change(object, &Entry::default(), text);
        } else if is_value(object) {
            self.rows.is_known = true;
            self.change_value("", object, &Entry::default(), text);
        } else if let Some(kind) = treble::kind_of(object) {
            match kind {
                Kind::Closure => {
                    self.closures += 1;
                    self.all_closures += 1;
                }
                Kind::Other => self.rows.is_known |= treble::is_event(object),
                _ => self.rows.is_known = true,
            }
            treble::read(object, &kind, &mut self.rows);
        } else {
            let wrapped = object.0.iter().filter(|(key, inner)| {
                let may_hold = match inner {
                    Json::Text(text) => is_json(text),
                    inner => matches!(inner, Json::Object(_) | Json::List(_)),
                };
                nesting.wrapped < WRAPPED && is_envelope(key) && may_hold
            });
            let mut is_wrapper = false;
            for (_, inner) in wrapped {
                is_wrapper = true;
                let nesting = Nesting { wrapped: nesting.wrapped + 1, ..nesting };
                self.value(inner, text, nesting);
            }
            if !is_wrapper && !object.0.is_empty() {
                self.rows.leave_out("objects of an unknown kind", "");
            }
        }
    }

    /// Sets the line to that on which an object begins, if it is part of a text of several lines.
    fn find_line(&mut self, object: &Object<'_>, text: &[u8]) {
        let Some(offset) = object.offset(text) else { return };
        let (from, line) = self.mark;
        let lines =
            |from: usize, to: usize| memchr::memchr_iter(b'\n', &text[from..to]).count() as u64;
        let line = match from <= offset {
            true => line + lines(from, offset),
            false => line - lines(offset, from),
        };
        self.mark = (offset, line);
        self.rows.line = line;
    }

    /// Reads a part of a webhook with `read`; a part that is no object is rejected.
    fn part<'v>(
        &mut self,
        part: &'v Json<'v>,
        what: &str,
        text: &[u8],
        read: impl FnOnce(&mut Self, &'v Object<'v>),
    ) {
        match part.object() {
            Some(part) => {
                self.find_line(part, text);
                read(self, part);
            }
            None => {
                let reason = format!("{ELEMENT}`{what}` is not an object");
                self.rows.push_broken(part.written().as_bytes(), reason);
            }
        }
    }

    fn entry<'v>(&mut self, entry: &'v Object<'v>, text: &[u8]) {
        let shared = Entry {
            waba_id: entry.text("id"),
            time: entry.text("time"),
            at: millis(entry.get("time")),
        };
        if !entry.has("changes") {
            self.rows.leave_out("entries without changes", "");
        }
        for change in entry.elements("changes") {
            self.part(change, "changes", text, |walk, change| walk.change(change, &shared, text));
        }
    }

    fn change<'v>(&mut self, change: &'v Object<'v>, entry: &Entry<'_>, text: &[u8]) {
        let field = change.text("field");
        match change.get("value") {
            Some(value) => self.part(value, "value", text, |walk, value| {
                walk.change_value(&field, value, entry, text);
            }),
            None => self.rows.leave_out("changes without a value of", &field),
        }
    }

    /// Reads the value of a change. `field` is empty if the value stands alone.
    fn change_value<'v>(
        &mut self,
        field: &str,
        value: &'v Object<'v>,
        entry: &Entry<'_>,
        text: &[u8],
    ) {
        let first_line = self.rows.line;
        let line = or(value.text_at(&["metadata", "display_phone_number"]), || {
            value.text("display_phone_number")
        });
        let around = Around { waba_id: &entry.waba_id, line: &line, value };
        let time = entry.time.as_ref();
        let mut links = Links::default();
        let mut parts = 0;
        let mut each = |key: &'static str, read: &mut dyn FnMut(&mut Self, &'v Object<'v>)| {
            for part in value.elements(key) {
                parts += 1;
                self.part(part, key, text, |walk, part| read(walk, part));
            }
        };
        let mut shown = |object: &'v Object<'v>| {
            let at = millis(object.get("timestamp"));
            links.saw(at);
            at.or(entry.at).map(|at| (at, at))
        };
        let mut seen = Vec::new();
        each("messages", &mut |walk, message| {
            seen.push((Shown::Message, message, shown(message)));
            messages::received(message, around, &mut walk.rows);
            if !is_of_group(message) && type_of(message) == "system" {
                events::of_system(message, time, around, &mut walk.rows);
            }
        });
        each("statuses", &mut |walk, status| {
            seen.push((Shown::Status, status, shown(status)));
            messages::status(status, around, &mut walk.rows);
        });
        each("message_echoes", &mut |walk, message| {
            seen.push((Shown::Person, message, shown(message)));
            messages::sent_from_app(message, around, &mut walk.rows);
        });
        each("user_preferences", &mut |walk, preference| {
            seen.push((Shown::Person, preference, shown(preference)));
            events::preference(preference, time, around, &mut walk.rows);
        });
        each("user_id_update", &mut |_, update| {
            seen.push((Shown::Update, update, shown(update)));
        });
        for (what, object, at) in seen {
            match what {
                Shown::Update => links.add_update(object, at),
                // The recipient is the group.
                Shown::Status if is_of_group(object) => {}
                Shown::Message => {
                    links.add_person(object, at);
                    links.add_system(object, at);
                }
                Shown::Status | Shown::Person => links.add_person(object, at),
            }
        }
        links.add_contacts(value, entry.at);
        let is_linked = !links.is_empty();
        self.rows.line = first_line;
        links.write(&mut self.rows);
        if parts > 0 {
            return;
        }
        let field = if field.is_empty() { events::field_of(value) } else { field };
        if events::is_event(field) {
            events::of_field(field, value, time, around, &mut self.rows);
            return;
        }
        // Other parts of the value are of no table.
        let is_read = |(key, _): &(Cow<'_, str>, Json<'_>)| {
            PARTS.contains(&key.as_ref())
                || ["messaging_product", "metadata", "contacts"].contains(&key.as_ref())
        };
        if !(is_linked && value.0.iter().all(is_read)) {
            let what = if field.is_empty() { "values of an unknown kind" } else { "changes of" };
            self.rows.leave_out(what, field);
        }
    }
}

/// What shows ids of a person.
#[derive(Clone, Copy)]
enum Shown {
    Message,
    Status,
    Person,
    Update,
}
