//! Drops rows of erased persons who are on the keep-out list (`crate::lake::keep_out`).
//!
//! | the row names | it is dropped |
//! |---|---|
//! | a person | if the person is on the list |
//! | a user id and a number, or two user ids, in `identities` | if one of them is on the list: then the other is added |
//! | only a session | if it is a session of such a person |
//!
//! A session belongs to the person if it was erased with the person, if a row of `sessions` says
//! so, or if another row of the person names it and no other person has a session of that id. The
//! sessions of a load are known once all files are read
//! ([`erased_sessions`](super::erased_sessions)), so the order of files does not matter. Rows of
//! earlier loads that name only a session stay.
//!
//! What links lead to from a person on the list is known once all files are read
//! ([`erased_links`](super::erased_links)); it is added to the list.
//!
//! Rejects are dropped by the same rules. A reject whose person cannot be read is dropped if it
//! contains a number or a session of such a person anywhere.

use std::collections::HashSet;

use polars::prelude::*;
use wabalake_data::Table;
use wabalake_data::cells::phone::{Phones, digits, is_user_id};
use wabalake_data::tables::{Cell, USER_ID, USER_PHONE, identities, sessions};

use crate::lake::keep_out::KeepOut;

/// The column of the session, in every table that has one.
pub(super) const SESSION_ID: &str = sessions::SESSION_ID;

/// What rows that were dropped name: sessions, and numbers and user ids that are not on the list.
#[derive(Debug, Default)]
pub(crate) struct ErasedNames {
    /// Numbers and user ids that are linked to a person on the list.
    pub(super) linked: HashSet<String>,
    /// Sessions of the person, by rows of `sessions`.
    pub(super) own: HashSet<String>,
    /// Sessions named by other rows of the person.
    pub(super) named: HashSet<String>,
}

impl ErasedNames {
    /// Adds the names of another chunk.
    pub(crate) fn extend(&mut self, other: Self) {
        self.linked.extend(other.linked);
        self.own.extend(other.own);
        self.named.extend(other.named);
    }
}

/// The columns that name the persons of a row; `None` if the table has no persons.
pub(super) fn names_of_persons(table: &Table) -> Option<[&'static str; 2]> {
    if table.name == identities::NAME {
        return Some([USER_ID, identities::LINKED]);
    }
    table.has_people().then_some([USER_PHONE, USER_ID])
}

/// Decides whether rows are dropped. Each thread has its own.
#[derive(Debug)]
pub(crate) struct ErasedFilter<'k> {
    keep_out: &'k KeepOut,
    /// The positions of what names the person.
    named_by: [usize; 2],
    session: Option<usize>,
    is_sessions: bool,
    /// `true` if a row links two names of one person.
    links: bool,
    persons: LookupCache,
    sessions: LookupCache,
}

/// A cache of lookups: the same person or session often comes again in the next row.
#[derive(Debug, Default)]
struct LookupCache(PlHashMap<String, bool>);

impl LookupCache {
    /// The cache is cleared when it holds so many texts.
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

impl<'k> ErasedFilter<'k> {
    /// Returns a filter for a table; `None` if the table has no persons.
    pub(crate) fn new(keep_out: &'k KeepOut, table: &Table) -> Option<Self> {
        let [one, other] = names_of_persons(table)?.map(|name| table.position(name));
        Some(Self {
            keep_out,
            named_by: [one?, other?],
            session: table.position(SESSION_ID),
            is_sessions: table.name == sessions::NAME,
            links: table.name == identities::NAME,
            persons: LookupCache::default(),
            sessions: LookupCache::default(),
        })
    }

    /// Returns `true` if a row is to be dropped, and adds what it names to `found`.
    pub(crate) fn takes(&mut self, cells: &[Cell<'_>], found: &mut ErasedNames) -> bool {
        if self.is_nameless(cells) {
            return self.session_of(cells).is_some_and(|session| self.is_theirs(session));
        }
        let names = self.named_by.map(|at| cells[at].text());
        let kept_out = names.map(|name| name.is_some_and(|name| self.is_kept_out(name)));
        if kept_out == [false; 2] {
            return false;
        }
        if self.links {
            let others = names.into_iter().zip(kept_out).filter(|(_, is_kept_out)| !is_kept_out);
            found.linked.extend(others.filter_map(|(name, _)| name).map(str::to_owned));
        }
        if let Some(session) = self.session_of(cells)
            && !self.is_theirs(session)
        {
            let sessions = if self.is_sessions { &mut found.own } else { &mut found.named };
            sessions.insert(session.to_owned());
        }
        true
    }

    /// Returns the session of a row that has no person.
    pub(crate) fn session_alone<'c>(&self, cells: &'c [Cell<'_>]) -> Option<&'c str> {
        self.session_of(cells).filter(|_| self.is_nameless(cells))
    }

    /// Returns `true` if a row names no person.
    pub(crate) fn is_nameless(&self, cells: &[Cell<'_>]) -> bool {
        self.named_by.iter().all(|at| cells[*at].is_null())
    }

    /// Returns `true` if a row names all persons that a row of its table names: one, or of a link both.
    pub(crate) fn tells(&self, cells: &[Cell<'_>]) -> bool {
        match self.links {
            true => self.named_by.iter().all(|at| !cells[*at].is_null()),
            false => !self.is_nameless(cells),
        }
    }

    /// Returns `true` if a record whose person is unknown contains a phone number or a session of a
    /// person on the list. Numbers may be written with blanks and signs, with the dialling code
    /// before them or in the field before.
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

    /// Digits of the shortest number.
    const SHORTEST: usize = 5;

    /// Digits of the longest number, with zeros and a repeated dialling code.
    const LONGEST: usize = 24;

    /// Bytes of the longest id.
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
