//! Erases a person from the rows of a table.
//!
//! A row belongs to the person in its `user_phone`, which the loader makes of country code and number, or
//! in its `user_id`. A row of `identities` belongs to the person that it links.
//! A row that names no person belongs to the person of its session.
//!
//! | the row | what happens |
//! |---|---|
//! | names the person | it is deleted |
//! | names nobody, but a session of the person | it is deleted |
//! | is a rejected record | parsed as the loader would: see [`records`](super::records) |
//! | is another's, with the number in a text | the number is redacted, the row stays |
//! | is another's, and names a session of the person | the session id is replaced, the row stays |
//! | is another's, and its own id contains the number by chance | it stays unchanged |

use std::collections::{HashMap, HashSet};

use polars::prelude::*;
use wabalake_data::tables::identities::LINKED;
use wabalake_data::tables::{CellKind, USER_ID, USER_PHONE, closures, sessions, text_key};
use wabalake_data::{Meaning, TABLES, Table};

use super::candidates::Candidates;
use super::number::{MatchMode, Number};
use super::records::{RejectParser, Verdict};
use super::target::Target;
use crate::error::Result;
use crate::lake::rejects::{self, REJECTS};

/// The columns of the business's lines, with their tables.
pub(super) fn lines() -> impl Iterator<Item = (&'static Table, &'static str)> {
    let named = |column: &&wabalake_data::Column| column.meaning() == Some(Meaning::Line);
    TABLES.iter().flat_map(move |table| {
        table.columns.iter().filter(named).map(|column| (*table, column.name))
    })
}

/// The column of the session, in every table that has one.
pub(super) const SESSION_ID: &str = sessions::SESSION_ID;

/// The version that a file belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileAge {
    /// The newest one.
    Current,
    /// An old one: a file that holds the person is deleted as a whole.
    Old,
}

/// What the texts of a column are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// The person of the row.
    Person,
    /// Another phone number, or a part of one.
    Phone,
    /// A line of the business.
    Line,
    /// A session id.
    Session,
    /// The key of a closure: an event id, or a session id and an instant.
    Closing,
    /// An id of the row or of something else.
    Name,
    /// A rejected record.
    Record,
    /// Any text.
    Text,
}

/// Rows without the person.
#[derive(Debug)]
pub(super) struct Redacted {
    pub(super) rows: DataFrame,
    /// Deleted rows.
    pub(super) gone: u64,
    /// Hashes of the people whose rows were deleted.
    pub(super) people: HashSet<i64>,
    /// Redacted rows, or rows with a replaced session id.
    pub(super) changed: u64,
    /// Rows that keep an id with the number in it.
    pub(super) named: u64,
}

impl Redacted {
    pub(super) fn is_as_before(&self) -> bool {
        self.gone == 0 && self.changed == 0
    }
}

/// The roles of a table's columns.
#[derive(Debug)]
pub(super) struct Roles {
    of: HashMap<&'static str, Role>,
    /// The hash columns, and the text columns that they hash.
    hashes: &'static [(&'static str, &'static str)],
}

impl Roles {
    pub(super) fn of(table: &Table) -> Self {
        if *table == REJECTS {
            return Self { of: HashMap::from([(rejects::RAW, Role::Record)]), hashes: &[] };
        }
        Self::of_table(table.name)
    }

    /// The roles of a table of exports; in any other table every column is text.
    pub(super) fn of_table(name: &str) -> Self {
        let Some(table) = wabalake_data::table(name) else {
            return Self { of: HashMap::new(), hashes: &[] };
        };
        let hashed = table.hashes.iter().map(|(_, of)| *of);
        let own: HashSet<&str> = table.key.iter().copied().chain(hashed).collect();
        let role = |column: &wabalake_data::Column| match column.kind {
            _ if [USER_PHONE, USER_ID].contains(&column.name) => Role::Person,
            _ if column.meaning() == Some(Meaning::Line) => Role::Line,
            CellKind::Phone | CellKind::FullPhone => Role::Phone,
            _ if [SESSION_ID, sessions::PARENT_SESSION_ID].contains(&column.name) => Role::Session,
            _ if column.name == closures::CLOSURE_ID => Role::Closing,
            _ if own.contains(column.name) || is_name_elsewhere(column) => Role::Name,
            _ => Role::Text,
        };
        let of = table.cells().map(|column| (column.name, role(column))).collect();
        Self { of, hashes: table.hashes }
    }

    pub(super) fn role(&self, column: &str) -> Role {
        self.of.get(column).copied().unwrap_or(Role::Text)
    }

    fn is_of_records(&self) -> bool {
        self.of.values().any(|role| *role == Role::Record)
    }

    /// Erases the person from rows, which may lack columns.
    pub(super) fn redact(
        &self,
        rows: DataFrame,
        target: &Target,
        age: FileAge,
    ) -> Result<Redacted> {
        let whose = is_of_person(&rows, &target.number)?;
        let mut goes: Vec<bool> = whose.iter().map(|theirs| *theirs == Some(true)).collect();
        self.add_nobodys(&rows, target, age, &whose, &mut goes)?;
        let mut revised: HashMap<PlSmallStr, Vec<(usize, String)>> = HashMap::new();
        let mut named = vec![false; rows.height()];
        let candidates = Candidates::of(&target.number);
        for column in rows.columns() {
            let Ok(texts) = column.str() else { continue };
            let role = self.role(column.name());
            let mut instead = match role {
                Role::Person | Role::Phone | Role::Record => continue,
                Role::Line => {
                    for (row, line) in texts.iter().enumerate().filter(|_| target.lines_too) {
                        goes[row] |= line.is_some_and(|line| target.is_line(line));
                    }
                    continue;
                }
                Role::Session | Role::Closing => without_sessions(role, texts, target, age),
                Role::Name | Role::Text => Vec::new(),
            };
            let replaced = instead.len();
            for row in candidates.rows(texts) {
                let Some(text) = texts.get(row) else { continue };
                if role == Role::Text {
                    let redacted = target.number.redact(text, MatchMode::National);
                    instead.extend(redacted.map(|redacted| (row, redacted)));
                } else if instead[..replaced].binary_search_by_key(&row, |(row, _)| *row).is_err() {
                    named[row] |= target.number.is_in(text, MatchMode::Contiguous);
                }
            }
            if !instead.is_empty() {
                revised.insert(column.name().clone(), instead);
            }
        }
        if self.is_of_records() {
            let instead = judge_all(&rows, target, &mut goes)?;
            if !instead.is_empty() {
                revised.insert(PlSmallStr::from_static(rejects::RAW), instead);
            }
        }
        self.take_out(rows, target, &goes, &named, revised)
    }

    /// Marks the rows that name no person, but a session of the target.
    fn add_nobodys(
        &self,
        rows: &DataFrame,
        target: &Target,
        age: FileAge,
        whose: &[Option<bool>],
        goes: &mut [bool],
    ) -> Result<()> {
        let Ok(sessions) = rows.column(SESSION_ID) else { return Ok(()) };
        if self.role(SESSION_ID) == Role::Session {
            for (row, session) in sessions.str()?.iter().enumerate() {
                let Some(session) = session.filter(|_| whose[row].is_none()) else { continue };
                goes[row] |= replacement(target, session, age).is_some();
            }
        }
        Ok(())
    }

    fn take_out(
        &self,
        mut rows: DataFrame,
        target: &Target,
        goes: &[bool],
        named: &[bool],
        revised: HashMap<PlSmallStr, Vec<(usize, String)>>,
    ) -> Result<Redacted> {
        let mut people = HashSet::new();
        let persons = [USER_PHONE, USER_ID, LINKED]
            .map(|column| rows.column(column).and_then(Column::str).ok());
        let is_of_people = persons.iter().any(Option::is_some) || self.is_of_records();
        for (row, _) in goes.iter().enumerate().filter(|(_, goes)| **goes && is_of_people) {
            let [phone, ids @ ..] = persons.map(|texts| texts.and_then(|texts| texts.get(row)));
            let of_row = match phone {
                Some(phone) => vec![phone],
                None => ids.into_iter().flatten().collect(),
            };
            // Earlier normalisations gave one person several numbers.
            let is_asked = of_row.iter().any(|text| target.number.is_person(text));
            let other = of_row.first().filter(|text| !text.is_empty() && !is_asked);
            people.insert(text_key(other.copied().unwrap_or(&target.phone)));
        }
        let mut touched = vec![false; rows.height()];
        for (name, instead) in revised {
            let mut texts: Vec<Option<String>> =
                rows.column(&name)?.str()?.iter().map(|text| text.map(str::to_owned)).collect();
            for (row, text) in instead {
                texts[row] = Some(text);
                touched[row] = true;
            }
            for (hash, _) in self.hashes.iter().filter(|(_, of)| *of == name.as_str()) {
                if rows.column(hash).is_ok() {
                    let hashes: Vec<Option<i64>> =
                        texts.iter().map(|text| text.as_deref().map(text_key)).collect();
                    rows.with_column(Column::new(PlSmallStr::from_static(hash), hashes))?;
                }
            }
            rows.with_column(Column::new(name, texts))?;
        }
        let count = |rows: &mut dyn Iterator<Item = bool>| rows.filter(|row| *row).count() as u64;
        let left = |these: &[bool]| {
            count(&mut goes.iter().zip(these).map(|(goes, these)| !goes && *these))
        };
        let (gone, changed, named) =
            (count(&mut goes.iter().copied()), left(&touched), left(named));
        if gone > 0 {
            rows = rows.filter(&goes.iter().map(|goes| Some(!goes)).collect::<BooleanChunked>())?;
        }
        Ok(Redacted { rows, gone, people, changed, named })
    }
}

/// The texts of a column that name a session of the target, by row, with the id that replaces it.
fn without_sessions(
    role: Role,
    texts: &StringChunked,
    target: &Target,
    age: FileAge,
) -> Vec<(usize, String)> {
    if target.sessions.is_empty() && target.old_sessions.is_empty() {
        return Vec::new();
    }
    let instead = |text: &str| match role {
        Role::Closing => {
            let (session, at) = text.rsplit_once(' ')?;
            Some(format!("{} {at}", replacement(target, session, age)?))
        }
        _ => replacement(target, text, age),
    };
    let texts = texts.iter().enumerate();
    texts.filter_map(|(row, text)| Some((row, instead(text.filter(|t| !t.is_empty())?)?))).collect()
}

/// Returns `true` for ids that are keys of other tables, such as those of flows and events.
fn is_name_elsewhere(column: &wabalake_data::Column) -> bool {
    column.name == closures::EVENT_ID
        || matches!(column.kind, CellKind::Word)
            && TABLES.iter().any(|table| table.key.contains(&column.name))
}

fn replacement(target: &Target, session: &str, age: FileAge) -> Option<String> {
    let now = target.replacement(session).map(str::to_owned);
    now.or_else(|| (age == FileAge::Old && target.old_sessions.contains(session)).then(String::new))
}

/// Marks the rejected records to delete, and returns the redacted ones.
fn judge_all(rows: &DataFrame, target: &Target, goes: &mut [bool]) -> Result<Vec<(usize, String)>> {
    let mut parser = RejectParser::at_home(target.home.as_deref());
    let mut instead = Vec::new();
    let text = |name: &str| Ok::<_, PolarsError>(rows.column(name)?.str()?.clone());
    let (kinds, headers) = (text(rejects::KIND)?, text(rejects::HEADER)?);
    let (delimiters, records) = (text(rejects::DELIMITER)?, text(rejects::RAW)?);
    for (row, raw) in records.iter().enumerate() {
        let Some(raw) = raw else { continue };
        let of = [&kinds, &headers, &delimiters].map(|texts| texts.get(row).unwrap_or_default());
        match parser.read(of, raw).judge(raw, target) {
            Verdict::Goes => goes[row] = true,
            Verdict::Stays => {}
            Verdict::Redacted(redacted) => instead.push((row, redacted)),
        }
    }
    Ok(instead)
}

/// For each row, whether it belongs to the person; `None` if it names nobody.
pub(super) fn is_of_person(rows: &DataFrame, number: &Number) -> PolarsResult<Vec<Option<bool>>> {
    let mut whose = vec![None; rows.height()];
    for column in [USER_PHONE, USER_ID, LINKED].iter().filter_map(|name| rows.column(name).ok()) {
        for (row, person) in column.str()?.iter().enumerate() {
            let Some(person) = person.filter(|person| !person.is_empty()) else { continue };
            whose[row] = Some(whose[row] == Some(true) || number.is_person(person));
        }
    }
    Ok(whose)
}
