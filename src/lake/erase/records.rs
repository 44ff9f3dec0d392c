//! Decides what happens to a rejected record.
//!
//! | the record | what happens |
//! |---|---|
//! | names the person, or nobody but a session of theirs | it is deleted |
//! | names somebody else | it stays, the number redacted in its texts |
//! | names nobody that is known, and holds the number with country code | it is deleted |
//! | names nobody that is known, and does not | it stays |

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use wabalake_data::cells::phone::Phones;
use wabalake_data::cells::word;

use super::number::MatchMode;
use super::rows::{Role, Roles};
use super::target::Target;
use crate::load::person::{PersonReader, RecordIdentity, has_pair};

/// What happens to a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Goes,
    Stays,
    /// It stays with this text.
    Redacted(String),
}

/// Parses the rejected records of a lake.
#[derive(Default)]
pub(super) struct RejectParser {
    /// By table, header and delimiter; `None` if the header belongs to no table.
    witnesses: HashMap<[String; 3], Option<(PersonReader, Roles)>>,
    phones: Phones,
    /// The dialling code of national numbers.
    home: Option<String>,
}

impl RejectParser {
    /// A parser for national numbers of a dialling code.
    pub(super) fn at_home(home: Option<&str>) -> Self {
        Self { home: home.map(str::to_owned), ..Self::default() }
    }

    /// Parses a rejected record by the header and delimiter that the lake keeps with it.
    pub(super) fn read(
        &mut self,
        [kind, header, delimiter]: [&str; 3],
        raw: &str,
    ) -> ParsedRecord<'_> {
        let known = [kind, header, delimiter].map(str::to_owned);
        let witness = match self.witnesses.entry(known) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(
                PersonReader::of_rejects(kind, header, delimiter, self.home.as_deref())
                    .map(|witness| (witness, Roles::of_table(kind))),
            ),
        };
        // An unbalanced quote is part of a text.
        let quotes = raw.bytes().filter(|b| *b == b'"').count();
        let is_quoted = quotes > 0 && quotes % 2 == 0;
        let separator = delimiter.bytes().next().unwrap_or(b',');
        match witness {
            Some((witness, roles)) => {
                ParsedRecord::of(witness, roles, raw, is_quoted, &self.phones)
            }
            None => ParsedRecord {
                roles: None,
                separator,
                testimony: RecordIdentity::default(),
                phones: &self.phones,
            },
        }
    }
}

/// A parsed record.
pub(super) struct ParsedRecord<'p> {
    /// The roles of its columns, if they are known.
    roles: Option<&'p Roles>,
    separator: u8,
    pub(super) testimony: RecordIdentity,
    phones: &'p Phones,
}

impl<'p> ParsedRecord<'p> {
    pub(super) fn of(
        witness: &mut PersonReader,
        roles: &'p Roles,
        raw: &str,
        is_quoted: bool,
        phones: &'p Phones,
    ) -> Self {
        let mut testimony = witness.read(raw, is_quoted);
        // A damaged JSON object is no record of its header.
        testimony.is_whole &= !raw.starts_with('{');
        Self { roles: Some(roles), separator: witness.delimiter(), testimony, phones }
    }

    /// The session that decides whose the record is, if it names no person.
    pub(super) fn session(&self) -> Option<&str> {
        let RecordIdentity { is_whole, persons, session, .. } = &self.testimony;
        session.as_deref().filter(|_| *is_whole && persons.is_empty())
    }

    /// Returns `true` if it names the person.
    pub(super) fn is_theirs(&self, target: &Target) -> bool {
        self.testimony.persons.iter().any(|person| target.number.is_person(person))
    }

    /// Returns `true` if it is known whose it is.
    pub(super) fn is_known(&self, target: &Target) -> bool {
        let of_another = |session: &str| target.sessions_of_others.contains(session);
        let is_somebodys = !self.testimony.persons.is_empty();
        self.testimony.is_whole && (is_somebodys || self.session().is_some_and(of_another))
    }

    /// What happens to the record.
    pub(super) fn judge(&self, raw: &str, target: &Target) -> Verdict {
        let of_theirs = |session: &str| target.replacement(session).is_some();
        if self.is_theirs(target)
            || self.session().is_some_and(of_theirs)
            || !self.is_known(target) && self.holds_in_full(raw, target)
        {
            return Verdict::Goes;
        }
        self.without(raw, target).map_or(Verdict::Stays, Verdict::Redacted)
    }

    /// Returns `true` if the record holds the person's number with the country code.
    pub(super) fn holds_in_full(&self, raw: &str, target: &Target) -> bool {
        let fields = self.testimony.fields.iter().map(|(_, field)| field.as_str());
        target.number.is_in(raw, MatchMode::International)
            || !target.is_exact
                && target.people.iter().any(|person| has_pair(fields.clone(), person, self.phones))
    }

    /// The record without the number and the person's sessions; `None` if it has neither.
    fn without(&self, raw: &str, target: &Target) -> Option<String> {
        let separator = char::from(self.separator);
        let Some(roles) = self.roles.filter(|_| self.testimony.is_whole) else {
            // A number does not span two fields.
            let mut any = false;
            let parts: Vec<String> = raw
                .split(separator)
                .map(|part| {
                    let redacted = target.number.redact(part, MatchMode::National);
                    any |= redacted.is_some();
                    redacted.unwrap_or_else(|| part.to_owned())
                })
                .collect();
            return any.then(|| parts.join(&separator.to_string()));
        };
        let mut any = false;
        let mut fields: Vec<String> = Vec::with_capacity(self.testimony.fields.len());
        for (column, field) in &self.testimony.fields {
            let role = column.map_or(Role::Text, |column| roles.role(column));
            let redacted = match role {
                Role::Session => {
                    word(field).and_then(|id| target.replacement(id)).map(str::to_owned)
                }
                Role::Text => target.number.redact(field, MatchMode::National),
                _ => None,
            };
            any |= redacted.is_some();
            let field = redacted.unwrap_or_else(|| field.clone());
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
