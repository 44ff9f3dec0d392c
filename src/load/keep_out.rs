//! Leaves out rows of persons who are kept out of the lake (`crate::lake::keep_out`).
//!
//! | a row says | it is left out |
//! |---|---|
//! | whose it is | if that person is kept out |
//! | only its session | if that is a session of such a person |
//!
//! A session is theirs if it was erased with them, or if a row of theirs names it: a row of the sessions,
//! or another row, unless a session of that id is somebody else's. Which sessions a load's rows name
//! is known once all of them are read, so that the order of files makes no difference; what an
//! earlier load brought that names only a session stays.
//!
//! A record that cannot be taken is somebody's as a row is. Where it does not tell whose it is, it is left
//! out if a number or a session of such a person stands anywhere in it.

use std::collections::{BTreeMap, HashSet};

use polars::prelude::*;
use wabalake_data::Table;
use wabalake_data::cells::phone::{Phones, digits, is_user_id};
use wabalake_data::tables::{Cell, SESSION_KEY, sessions, text_key};

use super::rejects;
use super::stage::{Staged, StagedTable};
use super::typing::ORIGIN;
use crate::error::Result;
use crate::lake::Lake;
use crate::lake::keep_out::KeepOut;
use crate::lake::rejects as layout;

/// The person in every table that has one.
const USER_PHONE: &str = sessions::USER_PHONE;

/// The session in every table that has one.
const SESSION_ID: &str = sessions::SESSION_ID;

/// Sessions that rows name which are left out.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    /// Those that are the person's.
    own: HashSet<String>,
    /// Those that a send or an event of the person names.
    named: HashSet<String>,
}

impl Sessions {
    /// Adds those of another chunk.
    pub(crate) fn extend(&mut self, other: Self) {
        self.own.extend(other.own);
        self.named.extend(other.named);
    }
}

/// Tells rows of persons who are kept out; each thread has its own.
#[derive(Debug)]
pub(crate) struct Watch<'k> {
    keep_out: &'k KeepOut,
    person: usize,
    session: Option<usize>,
    is_sessions: bool,
    persons: Known,
    sessions: Known,
}

/// What was found out of texts: people and sessions come back in the next row.
#[derive(Debug, Default)]
struct Known(PlHashMap<String, bool>);

impl Known {
    /// Of more texts, all are found out anew.
    const REMEMBERED: usize = 1 << 16;

    fn find(&mut self, text: &str, find: impl FnOnce(&str) -> bool) -> bool {
        if let Some(known) = self.0.get(text) {
            return *known;
        }
        if self.0.len() >= Self::REMEMBERED {
            self.0.clear();
        }
        let found = find(text);
        self.0.insert(text.to_owned(), found);
        found
    }
}

impl<'k> Watch<'k> {
    /// None for a table that has nobody in it.
    pub(crate) fn new(keep_out: &'k KeepOut, table: &Table) -> Option<Self> {
        Some(Self {
            keep_out,
            person: table.position(USER_PHONE)?,
            session: table.position(SESSION_ID),
            is_sessions: table.name == sessions::NAME,
            persons: Known::default(),
            sessions: Known::default(),
        })
    }

    /// Whether a row is to be left out. Adds the session that it names.
    pub(crate) fn takes(&mut self, cells: &[Cell<'_>], named: &mut Sessions) -> bool {
        let Some(phone) = cells[self.person].text() else {
            return self.session_of(cells).is_some_and(|session| self.is_theirs(session));
        };
        if !self.is_kept_out(phone) {
            return false;
        }
        if let Some(session) = self.session_of(cells)
            && !self.is_theirs(session)
        {
            let named = if self.is_sessions { &mut named.own } else { &mut named.named };
            named.insert(session.to_owned());
        }
        true
    }

    /// The session of a row that does not say whose it is.
    pub(crate) fn session_alone<'c>(&self, cells: &'c [Cell<'_>]) -> Option<&'c str> {
        self.session_of(cells).filter(|_| cells[self.person].is_null())
    }

    /// Whether a number or a session of a person who is kept out stands in a record that does not
    /// tell whose it is: a number as people write it, with the country's code before it or in the
    /// field before.
    pub(crate) fn stands_in(&mut self, record: &str, phones: &Phones) -> bool {
        let is_of_id = |c: char| c.is_ascii_alphanumeric() || c == '.';
        let ids = record.split(|c: char| !is_of_id(c)).filter(|id| is_user_id(id));
        for id in ids {
            if self.is_kept_out(id) {
                return true;
            }
        }
        let mut before = String::new();
        for run in record.split(|c: char| !(c.is_ascii_digit() || " +-().".contains(c))) {
            let pieces = run.split_whitespace();
            let whole = std::iter::once(run).filter(|run| run.trim().contains(' '));
            for piece in whole.chain(pieces) {
                let piece = piece.trim_matches(|c: char| !c.is_ascii_digit());
                let Some(number) = digits(piece) else { continue };
                let with = Some(before.as_str()).filter(|code| (1..=4).contains(&code.len()));
                for code in [None, with] {
                    let long = code.map_or(0, str::len) + number.len();
                    if (Self::SHORTEST..=Self::LONGEST).contains(&long)
                        && let Some(person) = phones.person(code, Some(&number))
                        && self.is_kept_out(person.phone())
                    {
                        return true;
                    }
                }
                before = number.into_owned();
            }
        }
        let between = |c: char| ",;|\t\"{}[]\n\r".contains(c);
        self.session.is_some()
            && self.keep_out.has_sessions()
            && record.split(between).map(str::trim).any(|field| {
                !field.is_empty() && field.len() <= Self::LONGEST_ID && self.is_theirs(field)
            })
    }

    /// A number with fewer digits is none.
    const SHORTEST: usize = 5;

    /// A number with more digits is none, with zeros and a code that stands in it twice.
    const LONGEST: usize = 24;

    /// A longer field is no id.
    const LONGEST_ID: usize = 256;

    fn session_of<'c>(&self, cells: &'c [Cell<'_>]) -> Option<&'c str> {
        self.session.and_then(|at| cells[at].text())
    }

    fn is_kept_out(&mut self, phone: &str) -> bool {
        self.persons.find(phone, |phone| self.keep_out.has_person(phone))
    }

    fn is_theirs(&mut self, session: &str) -> bool {
        self.keep_out.has_sessions()
            && self.sessions.find(session, |session| self.keep_out.has_session(session))
    }
}

/// Leaves out what was read before it was known to name a session of a person who is kept out.
pub(crate) fn follow_sessions(lake: &Lake, staged: &mut Staged, keep_out: &KeepOut) -> Result<()> {
    let mut found = Sessions::default();
    for table in &mut staged.tables {
        found.extend(std::mem::take(&mut table.left_sessions));
    }
    let Sessions { mut own, mut named } = found;
    named.retain(|session| !own.contains(session));
    drop_others(lake, staged, keep_out, &mut named)?;
    own.extend(named);
    if !own.is_empty() {
        for table in &mut staged.tables {
            leave_out(table, &own)?;
        }
    }
    staged.kept_out_sessions = own;
    Ok(())
}

/// Without the sessions that are somebody else's, here or in the lake.
fn drop_others(
    lake: &Lake,
    staged: &Staged,
    keep_out: &KeepOut,
    named: &mut HashSet<String>,
) -> Result<()> {
    const COLUMNS: [&str; 2] = [SESSION_ID, USER_PHONE];
    if named.is_empty() {
        return Ok(());
    }
    let hashes: HashSet<i64> = named.iter().map(|session| text_key(session)).collect();
    let mut drop = |rows: DataFrame| -> Result<()> {
        let phones = rows.column(USER_PHONE)?.str()?.iter();
        for (session, phone) in rows.column(SESSION_ID)?.str()?.iter().zip(phones) {
            if let (Some(session), Some(phone)) = (session, phone)
                && named.contains(session)
                && !keep_out.has_person(phone)
            {
                named.remove(session);
            }
        }
        Ok(())
    };
    for table in staged.tables.iter().filter(|table| table.table.name == sessions::NAME) {
        for day in table.rows.days() {
            table.rows.read(day, Some(&COLUMNS), &mut drop)?;
        }
    }
    let snapshot = lake.snapshot(&sessions::TABLE)?;
    for file in &snapshot.files {
        if snapshot.integers(file, SESSION_KEY)?.iter().any(|key| hashes.contains(key)) {
            let rows = snapshot.scan_files(&[file])?.select(COLUMNS.map(col));
            drop(rows.collect()?)?;
        }
    }
    Ok(())
}

/// Leaves out of a table the rows and rejects that name only one of these sessions.
fn leave_out(table: &mut StagedTable, sessions: &HashSet<String>) -> Result<()> {
    let is_theirs = |session: Option<&str>| session.is_some_and(|id| sessions.contains(id));
    if [SESSION_ID, USER_PHONE].iter().any(|name| table.table.position(name).is_none()) {
        return Ok(());
    }
    let mut left: BTreeMap<i32, u64> = BTreeMap::new();
    table.rows.retain(|_, rows| {
        let named = rows.column(SESSION_ID)?.str()?.iter();
        let phones = rows.column(USER_PHONE)?.str()?.iter();
        let origins = rows.column(ORIGIN)?.i32()?.iter();
        let stays = named.zip(phones).zip(origins).map(|((session, phone), origin)| {
            let goes = phone.is_none() && is_theirs(session);
            *left.entry(origin.unwrap_or_default()).or_default() += u64::from(goes);
            !goes
        });
        Ok(stays.collect())
    })?;
    let mut rejects: BTreeMap<i32, Vec<i64>> = BTreeMap::new();
    table.rejects.retain(|origin, rows| {
        let records = rows.column(layout::RECORD)?.i64()?.iter();
        let named = rows.column(rejects::SESSION)?.str()?.iter();
        let stays = records.zip(named).map(|(record, session)| {
            let goes = is_theirs(session);
            if goes {
                rejects.entry(origin).or_default().extend(record);
            }
            !goes
        });
        Ok(stays.collect())
    })?;
    for (origin, file) in (1..).zip(&mut table.files) {
        let records = rejects.remove(&origin).unwrap_or_default();
        let report = &mut file.report;
        report.rows_kept_out += left.get(&origin).copied().unwrap_or(0) + records.len() as u64;
        report.rows_rejected -= records.len() as u64;
        let went = |record| i64::try_from(record).is_ok_and(|record| records.contains(&record));
        report.first_rejects.retain(|reject| !went(reject.record));
    }
    Ok(())
}
