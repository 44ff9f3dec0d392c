//! Whose a record of an export is, and what is left of it without a person.
//!
//! | the record | what happens to it |
//! |---|---|
//! | is the person's, or names a session of theirs and nobody | goes |
//! | is somebody else's | stays, the number struck out of its texts |
//! | is nobody's that can be known, and holds the number in full | goes |
//! | is nobody's that can be known, and does not | stays |

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use wabalake_data::cells::phone::Phones;
use wabalake_data::cells::word;

use super::number::Look;
use super::rows::{Role, Roles, Sought};
use crate::load::person::{PersonReader, RecordIdentity, has_pair};

/// What happens to a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Goes,
    Stays,
    /// It stays as this.
    Struck(String),
}

/// Judges the rejected records of a lake.
#[derive(Default)]
pub(super) struct Judge {
    /// By table, header and delimiter; none of a header that belongs to no table.
    witnesses: HashMap<[String; 3], Option<(PersonReader, Roles)>>,
    phones: Phones,
    /// The dialling code of national numbers.
    home: Option<String>,
}

impl Judge {
    /// One for whom national numbers are of a dialling code.
    pub(super) fn at_home(home: Option<&str>) -> Self {
        Self { home: home.map(str::to_owned), ..Self::default() }
    }

    /// Reads a rejected record by what the lake keeps with it; none where that says nothing.
    pub(super) fn read(&mut self, [kind, header, delimiter]: [&str; 3], raw: &str) -> Reading<'_> {
        let known = [kind, header, delimiter].map(str::to_owned);
        let witness = match self.witnesses.entry(known) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(
                PersonReader::of_rejects(kind, header, delimiter, self.home.as_deref())
                    .map(|witness| (witness, Roles::of_table(kind))),
            ),
        };
        // A quote that is never closed is a text.
        let quotes = raw.bytes().filter(|b| *b == b'"').count();
        let is_quoted = quotes > 0 && quotes % 2 == 0;
        let separator = delimiter.bytes().next().unwrap_or(b',');
        match witness {
            Some((witness, roles)) => Reading::of(witness, roles, raw, is_quoted, &self.phones),
            None => Reading {
                roles: None,
                separator,
                testimony: RecordIdentity::default(),
                phones: &self.phones,
            },
        }
    }
}

/// A record that was read.
pub(super) struct Reading<'p> {
    /// What its columns say; none where they are not known.
    roles: Option<&'p Roles>,
    separator: u8,
    pub(super) testimony: RecordIdentity,
    phones: &'p Phones,
}

impl<'p> Reading<'p> {
    pub(super) fn of(
        witness: &mut PersonReader,
        roles: &'p Roles,
        raw: &str,
        is_quoted: bool,
        phones: &'p Phones,
    ) -> Self {
        let mut testimony = witness.read(raw, is_quoted);
        // An object of JSON that is broken is no record of its header.
        testimony.is_whole &= !raw.starts_with('{');
        Self { roles: Some(roles), separator: witness.delimiter(), testimony, phones }
    }

    /// The session that decides whose the record is, where it names no person.
    pub(super) fn session(&self) -> Option<&str> {
        let RecordIdentity { is_whole, person, session, .. } = &self.testimony;
        session.as_deref().filter(|_| *is_whole && person.is_none())
    }

    /// Whether it is the person's by what it says itself.
    pub(super) fn is_theirs(&self, sought: &Sought) -> bool {
        self.testimony.person.as_deref().is_some_and(|person| sought.number.is_person(person))
    }

    /// Whether it is known to be somebody's.
    pub(super) fn is_known(&self, sought: &Sought) -> bool {
        let of_another = |session: &str| sought.sessions_of_others.contains(session);
        let is_somebodys = self.testimony.person.is_some();
        self.testimony.is_whole && (is_somebodys || self.session().is_some_and(of_another))
    }

    /// What happens to the record.
    pub(super) fn judge(&self, raw: &str, sought: &Sought) -> Verdict {
        let of_theirs = |session: &str| sought.stand_in(session).is_some();
        if self.is_theirs(sought)
            || self.session().is_some_and(of_theirs)
            || !self.is_known(sought) && self.holds_in_full(raw, sought)
        {
            return Verdict::Goes;
        }
        self.without(raw, sought).map_or(Verdict::Stays, Verdict::Struck)
    }

    /// Whether the person's number stands in the record, with the country's code.
    pub(super) fn holds_in_full(&self, raw: &str, sought: &Sought) -> bool {
        let fields = self.testimony.fields.iter().map(|(_, field)| field.as_str());
        sought.number.is_in(raw, Look::Whole)
            || !sought.is_exact && has_pair(fields, &sought.phone, self.phones)
    }

    /// The record without the number, and without sessions of the person; none if it has neither.
    fn without(&self, raw: &str, sought: &Sought) -> Option<String> {
        let separator = char::from(self.separator);
        let Some(roles) = self.roles.filter(|_| self.testimony.is_whole) else {
            // Digits of two fields are no number.
            let mut any = false;
            let parts: Vec<String> = raw
                .split(separator)
                .map(|part| {
                    let struck = sought.number.strike(part, Look::Loose);
                    any |= struck.is_some();
                    struck.unwrap_or_else(|| part.to_owned())
                })
                .collect();
            return any.then(|| parts.join(&separator.to_string()));
        };
        let mut any = false;
        let mut fields: Vec<String> = Vec::with_capacity(self.testimony.fields.len());
        for (column, field) in &self.testimony.fields {
            let role = column.map_or(Role::Text, |column| roles.role(column));
            let struck = match role {
                Role::Session => word(field).and_then(|id| sought.stand_in(id)).map(str::to_owned),
                Role::Text => sought.number.strike(field, Look::Loose),
                _ => None,
            };
            any |= struck.is_some();
            let field = struck.unwrap_or_else(|| field.clone());
            let is_plain = !field.contains([separator, '"', '\n', '\r']);
            fields.push(if is_plain {
                field
            } else {
                format!("\"{}\"", field.replace('"', "\"\""))
            });
        }
        any.then(|| fields.join(&separator.to_string()))
    }
}
