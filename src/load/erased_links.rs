//! Follows links to erased persons: a new user id or number of theirs is kept out like those that the
//! keep-out list has, once all links of a load are known.
//!
//! ```text
//! the list       CO.1
//! identities     CO.2 – CO.1         dropped when it is read: CO.2 is theirs
//!                CO.2 – 573005550101 was read before that was known: dropped now, with the number
//! messages       user_id CO.2        dropped now
//! ```
//!
//! Rows of earlier loads stay, and their links are not followed.

use std::collections::HashSet;

use polars::prelude::*;
use wabalake_data::cells::phone::Phones;
use wabalake_data::tables::{USER_ID, identities, sessions};

use super::erased::{ErasedFilter, SESSION_ID, names_of_persons};
use super::erased_sessions::keep_only;
use super::staged::{StagedLoad, StagedTable};
use crate::error::Result;
use crate::lake::keep_out::KeepOut;
use crate::lake::rejects;

/// Drops staged rows that were read before their person was known to be an erased one. Returns the list
/// with all names of these persons, if links lead to any that it lacks.
pub(crate) fn follow_links(
    staged: &mut StagedLoad,
    keep_out: &KeepOut,
    phones: &Phones,
) -> Result<Option<KeepOut>> {
    let mut theirs = HashSet::new();
    for table in &mut staged.tables {
        theirs.extend(std::mem::take(&mut table.left_names.linked));
    }
    if theirs.is_empty() {
        return Ok(None);
    }
    for table in staged.tables.iter().filter(|table| table.table.name == identities::NAME) {
        while follow_once(table, &mut theirs)? {}
    }
    let known = keep_out.with_persons(&theirs);
    for table in &mut staged.tables {
        leave_out(table, &theirs, &known, phones)?;
    }
    staged.kept_out_persons = theirs;
    Ok(Some(known))
}

/// Adds what staged links connect to the names. Returns `true` if there is anything new.
fn follow_once(table: &StagedTable, theirs: &mut HashSet<String>) -> Result<bool> {
    let before = theirs.len();
    for day in table.rows.days() {
        table.rows.read(day, Some(&[USER_ID, identities::LINKED]), |rows| {
            let linked = rows.column(identities::LINKED)?.str()?.iter();
            for pair in rows.column(USER_ID)?.str()?.iter().zip(linked) {
                let (Some(one), Some(other)) = pair else { continue };
                if theirs.contains(one) {
                    theirs.insert(other.to_owned());
                } else if theirs.contains(other) {
                    theirs.insert(one.to_owned());
                }
            }
            Ok(())
        })?;
    }
    Ok(theirs.len() > before)
}

/// Drops rows of a table that one of the names has, and rejects that contain one. The sessions that they
/// name are noted.
fn leave_out(
    table: &mut StagedTable,
    theirs: &HashSet<String>,
    known: &KeepOut,
    phones: &Phones,
) -> Result<()> {
    let of = table.table;
    let (Some(names), Some(mut filter)) = (names_of_persons(of), ErasedFilter::new(known, of))
    else {
        return Ok(());
    };
    let is_sessions = of.name == sessions::NAME;
    let mut left = std::mem::take(&mut table.left_names);
    let rows_stay = |rows: &DataFrame| {
        let [ones, others] = names.map(|name| rows.column(name).and_then(Column::str));
        let pairs = ones?.iter().zip(others?.iter());
        let is_theirs = |name: Option<&str>| name.is_some_and(|name| theirs.contains(name));
        let stay: Vec<bool> =
            pairs.map(|(one, other)| !is_theirs(one) && !is_theirs(other)).collect();
        if of.position(SESSION_ID).is_some() {
            let sessions = rows.column(SESSION_ID)?.str()?.iter().zip(&stay);
            let gone = sessions.filter(|(_, stays)| !**stays).filter_map(|(session, _)| session);
            let into = if is_sessions { &mut left.own } else { &mut left.named };
            into.extend(gone.filter(|session| !known.has_session(session)).map(str::to_owned));
        }
        Ok(stay)
    };
    let rejects_stay = |rejects: &DataFrame| {
        let records = rejects.column(rejects::RAW)?.str()?.iter();
        let stays = |raw: Option<&str>| !raw.is_some_and(|raw| filter.stands_in(raw, phones));
        Ok(records.map(stays).collect())
    };
    keep_only(table, rows_stay, rejects_stay)?;
    table.left_names = left;
    Ok(())
}
