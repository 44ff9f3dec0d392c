//! Links between the ids of people that a webhook shows together.

use std::borrow::Cow;

use chrono_tz::Tz;
use wabalake_data::cells::phone::{digits, is_user_id};
use wabalake_data::cells::stamp::{self, Stamp};

use super::rows::{FedRows, IdentityRow};
use super::value::{Json, Object};

/// The keys under which objects have a person's user id, each with those of the person's number.
const PERSONS: [(&str, &[&str]); 4] = [
    ("user_id", &["wa_id"]),
    ("from_user_id", &["from"]),
    ("recipient_user_id", &["recipient_id"]),
    ("to_user_id", &["to"]),
];

/// An instant of a webhook, in milliseconds since 1970.
pub(super) type Millis = i64;

/// Parses a timestamp of Meta's: unix seconds, as a number or a text. One that no column of stamps takes
/// is unknown.
pub(super) fn millis(value: Option<&Json<'_>>) -> Option<Millis> {
    /// Larger numbers are milliseconds.
    const SECONDS: i64 = 100_000_000_000;
    let text = value?.text();
    let number: i64 = text.trim().parse().ok()?;
    let is_stamp = matches!(stamp::read_as(text.trim(), Tz::UTC, None), Stamp::At(_));
    is_stamp.then_some(if number.abs() < SECONDS { number * 1000 } else { number })
}

fn written(at: Option<Millis>) -> String {
    match at {
        None => String::new(),
        Some(at) if at % 1000 == 0 => (at / 1000).to_string(),
        Some(at) => at.to_string(),
    }
}

/// A pair of ids, with the first and the last time at which it was seen.
struct Link<'v> {
    user_id: Cow<'v, str>,
    linked: Cow<'v, str>,
    seen: Option<(Millis, Millis)>,
}

/// The links of one value of a webhook.
#[derive(Default)]
pub(super) struct Links<'v> {
    links: Vec<Link<'v>>,
    /// The first and the last time that the value shows.
    seen: Option<(Millis, Millis)>,
}

fn joined(
    one: Option<(Millis, Millis)>,
    other: Option<(Millis, Millis)>,
) -> Option<(Millis, Millis)> {
    match (one, other) {
        (Some((first, last)), Some((from, to))) => Some((first.min(from), last.max(to))),
        (one, other) => one.or(other),
    }
}

impl<'v> Links<'v> {
    /// Notes a time that the value shows.
    pub(super) fn saw(&mut self, at: Option<Millis>) {
        self.seen = joined(self.seen, at.map(|at| (at, at)));
    }

    /// Adds a pair. Pairs that are incomplete, equal or malformed are left out.
    pub(super) fn add(
        &mut self,
        user_id: Cow<'v, str>,
        linked: Cow<'v, str>,
        seen: Option<(Millis, Millis)>,
    ) {
        let is_number = || !linked.contains('@') && digits(&linked).is_some();
        if !is_user_id(&user_id) || user_id == linked || !(is_user_id(&linked) || is_number()) {
            return;
        }
        let known =
            self.links.iter_mut().find(|link| link.user_id == user_id && link.linked == linked);
        match known {
            // One that was seen at an unknown time was seen before all.
            Some(link) => link.seen = joined(link.seen, seen),
            None => self.links.push(Link { user_id, linked, seen }),
        }
    }

    /// Adds the pairs of an object that shows a person: the number and the user id, the user id and its
    /// parent's.
    pub(super) fn add_person(&mut self, object: &'v Object<'_>, seen: Option<(Millis, Millis)>) {
        for (id, numbers) in PERSONS {
            let user_id = object.text(id);
            if !user_id.is_empty() {
                self.add(user_id, object.first_text(numbers), seen);
            }
        }
        self.add_parents(object, seen);
    }

    /// Adds the pair of the parent's user id, whatever its key is called, and the object's user id.
    /// Previous ids are left out: they may be those of another number.
    fn add_parents(&mut self, object: &'v Object<'_>, seen: Option<(Millis, Millis)>) {
        let parents = object.0.iter().filter(|(key, _)| is_parent(key) && !is_previous(key));
        for (key, parent) in parents {
            let parent = parent.text();
            if !is_user_id(&parent) {
                continue;
            }
            let same = PERSONS
                .iter()
                .find(|(id, _)| object.has(id) && key.replacen("parent_", "", 1) == *id);
            let any = || PERSONS.iter().find(|(id, _)| object.has(id));
            if let Some((id, _)) = same.or_else(any) {
                self.add(parent, object.text(id), seen);
            }
        }
    }

    /// Adds the pair of the previous user id and its parent's.
    fn add_previous_parents(
        &mut self,
        system: &'v Object<'_>,
        previous: Cow<'v, str>,
        seen: Option<(Millis, Millis)>,
    ) {
        let parents = system.0.iter().filter(|(key, _)| is_parent(key) && is_previous(key));
        for (_, parent) in parents {
            let parent = parent.text();
            if is_user_id(&parent) {
                self.add(parent, previous.clone(), seen);
            }
        }
    }

    /// Adds the pairs of a value's contacts: seen at the times of the value, else at `time`.
    pub(super) fn add_contacts(&mut self, value: &'v Object<'_>, time: Option<Millis>) {
        let seen = self.seen.or(time.map(|at| (at, at)));
        for contact in value.objects("contacts") {
            self.add_person(contact, seen);
        }
    }

    /// Adds the pairs of a change of a user id.
    pub(super) fn add_update(&mut self, update: &'v Object<'_>, seen: Option<(Millis, Millis)>) {
        let id = |key: &str, when: &str| match update.get(key) {
            Some(Json::Object(ids)) => ids.text(when),
            Some(Json::Text(id)) if when == "current" => Cow::Borrowed(id.as_ref()),
            _ => Cow::Borrowed(""),
        };
        let [current, previous] = ["current", "previous"].map(|when| id("user_id", when));
        let parents = update.0.iter().filter(|(key, _)| key.contains("parent"));
        for (key, _) in parents {
            self.add(id(key, "current"), current.clone(), seen);
            self.add(id(key, "previous"), previous.clone(), seen);
        }
        self.add(current.clone(), previous, seen);
        self.add(current, update.text("wa_id"), seen);
    }

    /// Adds the pairs of a system message, which reports that an id or a number of a person changed.
    /// Nothing is linked across a change of the number: both numbers would be one person.
    pub(super) fn add_system(&mut self, message: &'v Object<'_>, seen: Option<(Millis, Millis)>) {
        let Some(system) = message.inner("system") else { return };
        let current = system.text("user_id");
        match system.text("type").as_ref() {
            "user_changed_number" => {
                self.add(current.clone(), system.text("wa_id"), seen);
                let previous = system.text("previous_user_id");
                self.add_previous_parents(system, previous.clone(), seen);
                // The same parent on both sides would link them.
                let of_system = |is_old: bool| {
                    let parents = system.0.iter().filter(|(key, _)| is_parent(key));
                    parents.filter(move |(key, _)| is_previous(key) == is_old)
                };
                let old = message.0.iter().filter(|(key, _)| is_parent(key));
                let old: Vec<_> = old.chain(of_system(true)).map(|(_, id)| id.text()).collect();
                for (_, parent) in of_system(false) {
                    let parent = parent.text();
                    if is_user_id(&parent) && !old.contains(&parent) {
                        self.add(parent, current.clone(), seen);
                    }
                }
            }
            "user_changed_user_id" => {
                self.add_person(system, seen);
                let previous = previous_user_id(message, system, &current);
                self.add_previous_parents(system, previous.clone(), seen);
                self.add(current, previous, seen);
            }
            _ => self.add_person(system, seen),
        }
    }

    /// Writes the links as rows.
    pub(super) fn write(self, rows: &mut FedRows) {
        for Link { user_id, linked, seen } in self.links {
            rows.push(&IdentityRow {
                user_id,
                linked,
                first_seen: written(seen.map(|(first, _)| first)).into(),
                last_seen: written(seen.map(|(_, last)| last)).into(),
            });
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.links.is_empty()
    }
}

/// Returns `true` for a key of a parent's user id.
fn is_parent(key: &str) -> bool {
    key.contains("parent")
}

/// Returns `true` for a key of what a person had before a change.
fn is_previous(key: &str) -> bool {
    key.contains("previous")
}

/// The user id that a system message replaces by the current one; empty if it shows none.
fn previous_user_id<'v>(
    message: &'v Object<'_>,
    system: &'v Object<'_>,
    current: &str,
) -> Cow<'v, str> {
    let is_other = |id: &str| is_user_id(id) && id != current;
    // The sender's id may be the new one already.
    let of_keys = [system.text("previous_user_id"), message.text("from_user_id")];
    let mut of_keys = of_keys.into_iter().filter(|id| is_other(id));
    of_keys.next().unwrap_or_else(|| {
        let Some(Json::Text(body)) = system.get("body") else { return Cow::Borrowed("") };
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '.';
        let words = body.split(|c: char| !is_part(c)).map(|word| word.trim_matches('.'));
        let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
        // The profile's name stands before the ids, and may look like one.
        let before = words.windows(3).rev().find(|three| three[1..] == ["to", current]);
        let before = before.map(|three| three[0]).filter(|id| is_other(id));
        let first = || words.iter().copied().find(|id| is_other(id));
        before.or_else(first).unwrap_or_default().into()
    })
}
