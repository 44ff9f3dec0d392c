//! Whom to erase: a number with its spellings, and the sessions of the person.

use std::collections::{BTreeSet, HashMap, HashSet};

use polars::prelude::*;
use wabalake_data::cells::phone::{dialling_code, full_number, is_possible, is_user_id};
use wabalake_data::tables::{SESSION_KEY, USER_ID, USER_PHONE, sessions, text_key};

use super::Options;
use super::journal::Journal;
use super::number::{MatchMode, Number};
use super::records::RejectParser;
use super::rows::{SESSION_ID, is_of_person};
use super::search::StoredTable;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::lake::Lake;
use crate::lake::rejects::{self, REJECTS};

/// The person to erase.
#[derive(Debug)]
pub(super) struct Target {
    /// The number or user id that was asked for.
    pub(super) phone: String,
    /// All numbers and user ids of theirs, as `identities` links them.
    pub(super) people: BTreeSet<String>,
    /// The spellings to search for in texts and ids.
    pub(super) number: Number,
    /// The dialling code of the lake's country, for national numbers in side tables.
    pub(super) home: Option<String>,
    /// `true` matches only `user_phone`.
    pub(super) is_exact: bool,
    /// `true` also deletes rows that name the number as a line.
    pub(super) lines_too: bool,
    /// The person's sessions, each with the id that replaces it in rows of others.
    pub(super) sessions: HashMap<String, String>,
    /// Sessions that belonged to the person in old versions only.
    pub(super) old_sessions: HashSet<String>,
    /// Sessions in rejected records that belong to others.
    pub(super) sessions_of_others: HashSet<String>,
}

impl Target {
    /// The id that replaces a session of the person; `None` for other sessions.
    pub(super) fn replacement(&self, session: &str) -> Option<&str> {
        self.sessions.get(session).map(String::as_str)
    }

    pub(super) fn is_line(&self, line: &str) -> bool {
        self.number.is(line) || self.number.is_in(line, MatchMode::Contiguous)
    }
}

impl Lake {
    /// Builds the target: the person, with all of their sessions.
    pub(super) fn find_person(
        &self,
        tables: &[StoredTable],
        (phone, people): (String, BTreeSet<String>),
        number: Number,
        options: Options,
        journal: Journal,
    ) -> Result<Target> {
        let home = Config::of(self)?.default_country.and_then(dialling_code);
        let asked = sessions_of_rejects(tables, home.as_deref())?;
        let is_theirs = |whose: Option<bool>| whose == Some(true);
        // Sessions of the person by the table `sessions`, and those that other rows of theirs name.
        let (mut own, mut named, mut old_sessions) =
            (HashSet::new(), HashSet::new(), HashSet::new());
        for stored in tables_of_sessions(tables) {
            let is_sessions = *stored.table == sessions::TABLE;
            let into = if is_sessions { &mut own } else { &mut named };
            stored.each_file_of(&number, |_, scan| {
                each_session(scan, &number, |session, whose| {
                    if is_theirs(whose) {
                        into.insert(session.to_owned());
                    }
                })
            })?;
            let into = if is_sessions { &mut own } else { &mut old_sessions };
            stored.each_replaced(|_, scan| {
                // A file that cannot be read belongs to no version.
                let _ = scan.and_then(|scan| {
                    each_session(scan, &number, |session, whose| {
                        if is_theirs(whose) {
                            into.insert(session.to_owned());
                        }
                    })
                });
                Ok(())
            })?;
        }
        own.extend(journal.sessions.keys().cloned());
        old_sessions.extend(journal.old_sessions);

        let (mut of_others, mut claimed) = (HashSet::new(), HashSet::new());
        for stored in tables_of_sessions(tables) {
            let is_sessions = *stored.table == sessions::TABLE;
            let among = [Some(&named), is_sessions.then_some(&own)];
            let also = [&old_sessions, &asked].into_iter().filter(|_| is_sessions);
            let among: Vec<_> = among.into_iter().flatten().chain(also).collect();
            let wanted = |session: &str| among.iter().any(|of| of.contains(session));
            let into = if is_sessions { &mut of_others } else { &mut claimed };
            let is_another = |whose: Option<bool>| whose == Some(false);
            let keys: Vec<i64> =
                among.iter().flat_map(|of| of.iter()).map(|of| text_key(of)).collect();
            if keys.is_empty() {
                continue;
            }
            let keys = Series::new(SESSION_KEY.into(), keys);
            let may_be_wanted = col(SESSION_KEY).is_in(lit(keys).implode(true), false);
            let may_be_wanted = may_be_wanted.or(col(SESSION_KEY).is_null());
            stored.each_file(|_, scan| {
                let scan = scan.filter(may_be_wanted.clone());
                each_session(scan, &number, |session, whose| {
                    if is_another(whose) && wanted(session) {
                        into.insert(session.to_owned());
                    }
                })
            })?;
            if !is_sessions {
                continue;
            }
            stored.each_replaced(|_, scan| {
                let _ = scan.and_then(|scan| {
                    each_session(scan, &number, |session, whose| {
                        if is_another(whose) && named.contains(session) {
                            claimed.insert(session.to_owned());
                        }
                    })
                });
                Ok(())
            })?;
        }
        // A session belongs to the person of its row in `sessions`. One that only other rows name,
        // of two people, belongs to nobody.
        own.retain(|session| !of_others.contains(session));
        named.retain(|session| !of_others.contains(session) && !claimed.contains(session));
        old_sessions.retain(|session| !of_others.contains(session));
        let mut sessions = journal.sessions;
        sessions.retain(|session, _| own.contains(session));
        for session in own.into_iter().chain(named) {
            sessions.entry(session).or_insert_with(|| uuid::Uuid::new_v4().to_string());
        }
        Ok(Target {
            phone,
            people,
            number,
            home,
            is_exact: options.exactly,
            lines_too: options.lines_too,
            sessions: sessions.into_iter().collect(),
            old_sessions,
            sessions_of_others: of_others,
        })
    }
}

/// The sessions of rejected records that name no person.
fn sessions_of_rejects(tables: &[StoredTable], home: Option<&str>) -> Result<HashSet<String>> {
    let mut named = HashSet::new();
    let mut parser = RejectParser::at_home(home);
    for stored in tables.iter().filter(|stored| *stored.table == REJECTS) {
        stored.each_file(|_, scan| {
            let wanted = [rejects::KIND, rejects::HEADER, rejects::DELIMITER, rejects::RAW];
            let rows = scan.select(wanted.map(col)).collect()?;
            let [kinds, headers, delimiters, records] = wanted.map(|name| rows.column(name));
            let (kinds, headers) = (kinds?.str()?, headers?.str()?);
            let (delimiters, records) = (delimiters?.str()?, records?.str()?);
            for (row, raw) in records.iter().enumerate() {
                let Some(raw) = raw else { continue };
                let of = [kinds, headers, delimiters].map(|of| of.get(row).unwrap_or_default());
                named.extend(parser.read(of, raw).session().map(str::to_owned));
            }
            Ok(())
        })?;
    }
    Ok(named)
}

/// The normal form of a number or user id.
pub(super) fn person_of(phone: &str, options: Options) -> Result<String> {
    const IN_FULL: &str = "write it in full, with the country's code: --phone +12025550143";
    if options.exactly {
        // Older lakes may hold texts that are no number at all.
        let is_mark = |c: char| "+-() ".contains(c);
        let is_number = phone.chars().all(|c| c.is_ascii_digit() || is_mark(c));
        let phone = phone.trim().replace(|c| is_number && is_mark(c), "");
        if phone.is_empty() {
            return Err(Error::usage("that is no number").hint(IN_FULL));
        }
        return Ok(phone);
    }
    let phone = full_number(phone);
    let phone = phone.ok_or_else(|| Error::usage("that is no phone number").hint(IN_FULL))?;
    if !is_user_id(&phone) && !is_possible(&phone) {
        return Err(Error::usage("that is no possible phone number of any country").hint(format!(
            "{IN_FULL}; to erase the rows whose `user_phone` is exactly that, add `--exactly`"
        )));
    }
    Ok(phone)
}

/// The tables whose rows name a person and a session.
fn tables_of_sessions(tables: &[StoredTable]) -> impl Iterator<Item = &StoredTable> {
    let both = |stored: &&StoredTable| {
        stored.table.has_people() && stored.table.position(SESSION_ID).is_some()
    };
    tables.iter().filter(both)
}

/// Calls `take` with each session, and whether its row is the person's; `None` if it names nobody.
fn each_session(
    mut scan: LazyFrame,
    number: &Number,
    mut take: impl FnMut(&str, Option<bool>),
) -> Result<()> {
    // Old files may lack a column.
    let known = scan.collect_schema()?;
    let wanted = [SESSION_ID, USER_PHONE, USER_ID].into_iter().filter(|name| known.contains(name));
    let rows = scan.select(wanted.map(col).collect::<Vec<_>>()).collect()?;
    let whose = is_of_person(&rows, number)?;
    for (session, whose) in rows.column(SESSION_ID)?.str()?.iter().zip(whose) {
        if let Some(session) = session {
            take(session, whose);
        }
    }
    Ok(())
}
