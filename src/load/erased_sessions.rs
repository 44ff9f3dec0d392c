//! Drops rows and rejects that name only a session of an erased person, once all sessions of a load
//! are known.

use std::collections::{BTreeMap, HashSet};

use polars::prelude::*;
use wabalake_data::tables::{
    OWN_PERSON, SESSION_KEY, USER_ID, USER_PHONE, key_part, sessions, text_key,
};

use super::erased::{ErasedNames, SESSION_ID};
use super::reject::SESSION;
use super::staged::{StagedLoad, StagedTable};
use super::staged_columns::ORIGIN;
use crate::error::Result;
use crate::lake::keep_out::KeepOut;
use crate::lake::{DataFile, Lake, rejects};

/// Drops staged rows that were read before their session was known to be an erased person's.
pub(crate) fn follow_sessions(
    lake: &Lake,
    staged: &mut StagedLoad,
    keep_out: &KeepOut,
) -> Result<()> {
    let mut found = ErasedNames::default();
    for table in &mut staged.tables {
        found.extend(std::mem::take(&mut table.left_names));
    }
    let ErasedNames { mut own, mut named, .. } = found;
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

/// Removes from `named` the sessions that belong to another person, in the load or in the lake.
fn drop_others(
    lake: &Lake,
    staged: &StagedLoad,
    keep_out: &KeepOut,
    named: &mut HashSet<String>,
) -> Result<()> {
    const COLUMNS: [&str; 3] = [SESSION_ID, USER_PHONE, USER_ID];
    if named.is_empty() {
        return Ok(());
    }
    let hashes: HashSet<i64> = named.iter().map(|session| text_key(session)).collect();
    let mut drop = |rows: DataFrame| -> Result<()> {
        let phones = rows.column(USER_PHONE)?.str()?.iter();
        let persons = phones.zip(rows.column(USER_ID)?.str()?.iter());
        for (session, (phone, user_id)) in rows.column(SESSION_ID)?.str()?.iter().zip(persons) {
            let mut persons = phone.into_iter().chain(user_id).peekable();
            if let Some(session) = session
                && named.contains(session)
                && persons.peek().is_some()
                && !persons.any(|person| keep_out.has_person(person))
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
    let files: Vec<_> = snapshot.files.iter().collect();
    let has_any = |_: &DataFile, keys: Vec<i64>| Ok(keys.iter().any(|key| hashes.contains(key)));
    let has_any = snapshot.integers(&files, SESSION_KEY, has_any)?;
    for (file, _) in files.into_iter().zip(has_any).filter(|(_, has_any)| *has_any) {
        let rows = snapshot.scan_files(&[file])?.select(COLUMNS.map(col));
        drop(rows.collect()?)?;
    }
    Ok(())
}

/// Drops rows and rejects of a table that name one of the sessions and no person.
fn leave_out(table: &mut StagedTable, sessions: &HashSet<String>) -> Result<()> {
    let is_theirs = |session: Option<&str>| session.is_some_and(|id| sessions.contains(id));
    if table.table.position(SESSION_ID).is_none() || !table.table.has_people() {
        return Ok(());
    }
    let rows_stay = |rows: &DataFrame| {
        let named = rows.column(SESSION_ID)?.str()?.iter();
        let persons = rows.clone().lazy().select([key_part(OWN_PERSON)]).collect()?;
        let persons = persons.column(OWN_PERSON)?.str()?.iter();
        let goes = |(session, person): (_, Option<&str>)| person.is_none() && is_theirs(session);
        Ok(named.zip(persons).map(|row| !goes(row)).collect())
    };
    let rejects_stay = |rejects: &DataFrame| {
        let named = rejects.column(SESSION)?.str()?.iter();
        Ok(named.map(|session| !is_theirs(session)).collect())
    };
    keep_only(table, rows_stay, rejects_stay)
}

/// Keeps some staged rows and rejects of a table, and counts the others in the reports of their files.
pub(super) fn keep_only(
    table: &mut StagedTable,
    mut rows_stay: impl FnMut(&DataFrame) -> Result<Vec<bool>>,
    mut rejects_stay: impl FnMut(&DataFrame) -> Result<Vec<bool>>,
) -> Result<()> {
    let mut left: BTreeMap<i32, u64> = BTreeMap::new();
    table.rows.retain(|_, rows| {
        let stay = rows_stay(rows)?;
        for (stays, origin) in stay.iter().zip(rows.column(ORIGIN)?.i32()?.iter()) {
            *left.entry(origin.unwrap_or_default()).or_default() += u64::from(!stays);
        }
        Ok(stay.into_iter().collect())
    })?;
    let mut rejects: BTreeMap<i32, Vec<i64>> = BTreeMap::new();
    table.rejects.retain(|origin, rows| {
        let stay = rejects_stay(rows)?;
        let records = rows.column(rejects::RECORD)?.i64()?.iter();
        let gone = records.zip(&stay).filter(|(_, stays)| !**stays);
        rejects.entry(origin).or_default().extend(gone.filter_map(|(record, _)| record));
        Ok(stay.into_iter().collect())
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
