//! Takes a person out of rows, whatever table they are of.
//!
//! Only the person that a row names decides whose it is: `user_phone`, which the loader made of
//! code and number together. A row that names nobody is its session's person's.
//!
//! | the row | what happens |
//! |---|---|
//! | is the person's | it goes |
//! | is nobody's and names a session of the person | it goes |
//! | is a rejected record | as the loader would read it: see [`records`](super::records) |
//! | is another's, and somebody wrote the number into a text | it is struck out, the row stays |
//! | is another's, and names a session of the person | another name stands in, the row stays |
//! | is another's, and its own name holds the number by chance | it stays as it is |

use std::collections::{HashMap, HashSet};

use polars::prelude::*;
use wabalake_data::tables::{CellKind, closures, sessions, text_key};
use wabalake_data::{Meaning, TABLES, Table};

use super::number::{Look, Number};
use super::records::{Judge, Verdict};
use crate::error::Result;
use crate::lake::Layout;
use crate::lake::rejects::{self, REJECTS};

/// The columns that name the business's lines, each with its table.
pub(super) fn lines() -> impl Iterator<Item = (&'static Table, &'static str)> {
    let named = |column: &&wabalake_data::Column| column.meaning() == Some(Meaning::Line);
    TABLES.iter().flat_map(move |table| {
        table.columns.iter().filter(named).map(|column| (*table, column.name))
    })
}

/// The person in every table that has one.
pub(super) const USER_PHONE: &str = sessions::USER_PHONE;

/// The session in every table that has one.
pub(super) const SESSION_ID: &str = sessions::SESSION_ID;

/// Who is to be erased.
#[derive(Debug)]
pub(super) struct Sought {
    /// The `user_phone` of their rows.
    pub(super) phone: String,
    /// What is looked for in texts and names.
    pub(super) number: Number,
    /// The dialling code of the lake's own country, whose national numbers side tables hold.
    pub(super) home: Option<String>,
    /// Whether nothing is looked for but the `user_phone`.
    pub(super) is_exact: bool,
    /// Whether rows go that name the number as a line.
    pub(super) lines_too: bool,
    /// The person's sessions, each with the name that stands in where another's row names it.
    pub(super) sessions: HashMap<String, String>,
    /// Sessions that were the person's in old versions only.
    pub(super) once: HashSet<String>,
    /// Of the sessions that rejected records name, those of others.
    pub(super) sessions_of_others: HashSet<String>,
}

impl Sought {
    /// What stands in for a session of the person; none for another.
    pub(super) fn stand_in(&self, session: &str) -> Option<&str> {
        self.sessions.get(session).map(String::as_str)
    }

    fn is_line(&self, line: &str) -> bool {
        self.number.is(line) || self.number.is_in(line, Look::Tight)
    }
}

/// Which rows are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    /// Those of the newest version.
    Now,
    /// Those of old ones, whose files go as a whole.
    Once,
}

/// What a column's texts say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Whose the row is.
    Person,
    /// A phone that somebody is known by, or a part of one.
    Phone,
    /// A line of the business.
    Line,
    /// A session.
    Session,
    /// What names a closing: its event or its session and an instant.
    Closing,
    /// What names the row or something else.
    Name,
    /// A record that could not be taken.
    Record,
    /// Anything.
    Text,
}

/// Rows without a person.
#[derive(Debug)]
pub(super) struct Struck {
    pub(super) rows: DataFrame,
    /// Rows that are gone.
    pub(super) gone: u64,
    /// Hashes of the people whose rows these were.
    pub(super) people: HashSet<i64>,
    /// Rows in which a text was struck out, or a session's name replaced.
    pub(super) changed: u64,
    /// Rows that keep a name that holds the number.
    pub(super) named: u64,
}

impl Struck {
    pub(super) fn is_as_before(&self) -> bool {
        self.gone == 0 && self.changed == 0
    }
}

/// What the columns of a table say.
#[derive(Debug)]
pub(super) struct Roles {
    of: HashMap<&'static str, Role>,
    /// The hash columns and the texts that they are made of.
    hashes: &'static [(&'static str, &'static str)],
}

impl Roles {
    pub(super) fn of(layout: &dyn Layout) -> Self {
        if layout.name() == REJECTS.name() {
            return Self { of: HashMap::from([(rejects::RAW, Role::Record)]), hashes: &[] };
        }
        Self::of_table(layout.name())
    }

    /// Those of a table that exports are loaded into; in another all is text.
    pub(super) fn of_table(name: &str) -> Self {
        let Some(table) = wabalake_data::table(name) else {
            return Self { of: HashMap::new(), hashes: &[] };
        };
        let hashed = table.hashes.iter().map(|(_, of)| *of);
        let own: HashSet<&str> = table.key.iter().copied().chain(hashed).collect();
        let role = |column: &wabalake_data::Column| match column.kind {
            _ if column.name == USER_PHONE => Role::Person,
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

    /// The rows without the person. Columns that are missing say nothing.
    pub(super) fn strike(&self, rows: DataFrame, sought: &Sought, when: When) -> Result<Struck> {
        let whose = theirs(&rows, &sought.number)?;
        let mut goes: Vec<bool> = whose.iter().map(|theirs| *theirs == Some(true)).collect();
        self.add_nobodys(&rows, sought, when, &whose, &mut goes)?;
        let mut revised: HashMap<PlSmallStr, Vec<(usize, String)>> = HashMap::new();
        let mut named = vec![false; rows.height()];
        for column in rows.columns() {
            let Ok(texts) = column.str() else { continue };
            let role = self.role(column.name());
            if matches!(role, Role::Person | Role::Phone | Role::Record) {
                continue;
            }
            let mut instead = Vec::new();
            for (row, text) in texts.iter().enumerate() {
                let Some(text) = text.filter(|text| !text.is_empty()) else { continue };
                let is_name = match role {
                    Role::Line => {
                        goes[row] |= sought.lines_too && sought.is_line(text);
                        false
                    }
                    Role::Text => {
                        let struck = sought.number.strike(text, Look::Loose);
                        instead.extend(struck.map(|struck| (row, struck)));
                        false
                    }
                    Role::Session => {
                        let other = stand_in(sought, text, when);
                        let is_kept = other.is_none();
                        instead.extend(other.map(|other| (row, other)));
                        is_kept
                    }
                    Role::Closing => {
                        let parts = text.rsplit_once(' ');
                        let other = parts.and_then(|(session, at)| {
                            Some(format!("{} {at}", stand_in(sought, session, when)?))
                        });
                        let is_kept = other.is_none();
                        instead.extend(other.map(|other| (row, other)));
                        is_kept
                    }
                    _ => true,
                };
                named[row] |= is_name && sought.number.is_in(text, Look::Tight);
            }
            if !instead.is_empty() {
                revised.insert(column.name().clone(), instead);
            }
        }
        if self.is_of_records() {
            let instead = judge_all(&rows, sought, &mut goes)?;
            if !instead.is_empty() {
                revised.insert(PlSmallStr::from_static(rejects::RAW), instead);
            }
        }
        self.take_out(rows, sought, &goes, &named, revised)
    }

    /// Adds the rows that name nobody but a session of the person.
    fn add_nobodys(
        &self,
        rows: &DataFrame,
        sought: &Sought,
        when: When,
        whose: &[Option<bool>],
        goes: &mut [bool],
    ) -> Result<()> {
        let Ok(sessions) = rows.column(SESSION_ID) else { return Ok(()) };
        if self.role(SESSION_ID) == Role::Session {
            for (row, session) in sessions.str()?.iter().enumerate() {
                let Some(session) = session.filter(|_| whose[row].is_none()) else { continue };
                goes[row] |= stand_in(sought, session, when).is_some();
            }
        }
        Ok(())
    }

    fn take_out(
        &self,
        mut rows: DataFrame,
        sought: &Sought,
        goes: &[bool],
        named: &[bool],
        revised: HashMap<PlSmallStr, Vec<(usize, String)>>,
    ) -> Result<Struck> {
        let mut people = HashSet::new();
        let phones = rows.column(USER_PHONE).and_then(Column::str).ok();
        let is_of_people = phones.is_some() || self.is_of_records();
        for (row, _) in goes.iter().enumerate().filter(|(_, goes)| **goes && is_of_people) {
            let person = phones.and_then(|phones| phones.get(row));
            // By older rules one person had several numbers.
            let person = person.filter(|text| !text.is_empty() && !sought.number.is_person(text));
            people.insert(text_key(person.unwrap_or(&sought.phone)));
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
        Ok(Struck { rows, gone, people, changed, named })
    }
}

/// Ids of one table are names in every other: of a flow, of an event.
fn is_name_elsewhere(column: &wabalake_data::Column) -> bool {
    column.name == closures::EVENT_ID
        || matches!(column.kind, CellKind::Word)
            && TABLES.iter().any(|table| table.key.contains(&column.name))
}

fn stand_in(sought: &Sought, session: &str, when: When) -> Option<String> {
    let now = sought.stand_in(session).map(str::to_owned);
    now.or_else(|| (when == When::Once && sought.once.contains(session)).then(String::new))
}

/// Judges rejected records: says which go, and what others are without the person.
fn judge_all(rows: &DataFrame, sought: &Sought, goes: &mut [bool]) -> Result<Vec<(usize, String)>> {
    let mut judge = Judge::at_home(sought.home.as_deref());
    let mut instead = Vec::new();
    let text = |name: &str| Ok::<_, PolarsError>(rows.column(name)?.str()?.clone());
    let (kinds, headers) = (text(rejects::KIND)?, text(rejects::HEADER)?);
    let (delimiters, records) = (text(rejects::DELIMITER)?, text(rejects::RAW)?);
    for (row, raw) in records.iter().enumerate() {
        let Some(raw) = raw else { continue };
        let of = [&kinds, &headers, &delimiters].map(|texts| texts.get(row).unwrap_or_default());
        match judge.read(of, raw).judge(raw, sought) {
            Verdict::Goes => goes[row] = true,
            Verdict::Stays => {}
            Verdict::Struck(struck) => instead.push((row, struck)),
        }
    }
    Ok(instead)
}

/// For each row whether it is the person's; none where it does not say whose it is.
pub(super) fn theirs(rows: &DataFrame, number: &Number) -> PolarsResult<Vec<Option<bool>>> {
    let Ok(phones) = rows.column(USER_PHONE) else { return Ok(vec![None; rows.height()]) };
    let people = phones.str()?.iter().map(|person| person.filter(|person| !person.is_empty()));
    Ok(people.map(|person| Some(number.is_person(person?))).collect())
}
