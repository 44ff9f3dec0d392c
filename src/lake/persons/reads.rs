//! The tables that a query reads: all files, or those that may hold the people it asks about.
//!
//! ```text
//! user-history --phone CO.2    CO.2 is 573005550101, and so is CO.1
//!   │ keys       of CO.1, CO.2 and 573005550101
//!   │ sessions   2 of 365 files may hold them      rows of the person: the keys of 3 sessions
//!   │ messages   4 of 365 files may hold them
//!   ▼ closures   5 of 365 files may hold them, or one of the sessions
//! Tables
//! ```

use std::sync::{Arc, OnceLock};

use chrono::NaiveDate;
use polars::prelude::*;
use wabalake_data::Table;
use wabalake_data::tables::{SESSION_KEY, USER_KEY, loads, persons, sessions, text_key};
use wabalake_queries::query::{Question, Tables};

use super::{Persons, computed_once};
use crate::error::Result;
use crate::lake::key_filters::WantedKeys;
use crate::lake::{DataFile, Lake, Snapshot};

/// The tables that a query reads, at their newest versions.
#[derive(Debug)]
pub struct Reads<'l> {
    lake: &'l Lake,
    tables: Vec<&'static Table>,
    /// Those that are stored, each with the files to scan.
    stored: Vec<(&'static Table, Snapshot)>,
    /// The last UTC day with rows of anybody.
    last_day: Option<NaiveDate>,
    persons: OnceLock<Arc<Persons>>,
}

impl Lake {
    /// The tables that a question reads. If it is about people, only the files that may hold rows of them:
    /// see [`Query::people`](wabalake_queries::query::Query::people).
    ///
    /// # Errors
    ///
    /// As [`Lake::snapshot`]; the persons or their sessions cannot be read.
    pub fn reads_of(&self, question: &Question) -> Result<Reads<'_>> {
        let mut reads = self.reads(&question.reads())?;
        let people = question.people();
        if !people.is_empty() {
            reads.narrow(&people)?;
        }
        Ok(reads)
    }

    fn reads(&self, tables: &[&'static Table]) -> Result<Reads<'_>> {
        let is_stored = |table: &&Table| ![loads::NAME, persons::NAME].contains(&table.name);
        let stored: Vec<&'static Table> = tables.iter().copied().filter(is_stored).collect();
        let snapshots = self.snapshots(stored.iter().copied())?;
        let days =
            snapshots.iter().flat_map(|snapshot| &snapshot.files).filter_map(|file| file.day);
        Ok(Reads {
            lake: self,
            tables: tables.to_vec(),
            last_day: days.max(),
            stored: stored.into_iter().zip(snapshots).collect(),
            persons: OnceLock::new(),
        })
    }

    /// Scans of the newest versions of tables as queries see them.
    ///
    /// # Errors
    ///
    /// As [`Lake::snapshot`].
    pub fn tables(&self, tables: &[&'static Table]) -> Result<Tables> {
        self.reads(tables)?.tables()
    }
}

impl Reads<'_> {
    /// The files to scan of a table; none of one that is not read.
    pub fn files(&self, table: &Table) -> &[DataFile] {
        let stored = self.stored.iter().find(|(stored, _)| *stored == table);
        stored.map_or(&[], |(_, snapshot)| &snapshot.files)
    }

    /// The version of each stored table that exists.
    pub fn versions(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.stored.iter().filter_map(|(table, snapshot)| Some((table.name, snapshot.version?)))
    }

    /// The last UTC day with rows in any stored table.
    pub fn last_day(&self) -> Option<NaiveDate> {
        self.last_day
    }

    /// Scans of the tables as queries see them.
    ///
    /// # Errors
    ///
    /// As [`Snapshot::scan_people`].
    pub fn tables(&self) -> Result<Tables> {
        let mut scans = Tables::new();
        for table in &self.tables {
            match table.name {
                loads::NAME => scans = scans.with(table, self.lake.loads()?.lazy()),
                persons::NAME => scans = scans.with(table, self.persons()?.rows().lazy()),
                _ => {}
            }
        }
        for (table, snapshot) in &self.stored {
            scans = scans.with(table, snapshot.scan_people(table, None, &|| self.persons())?);
        }
        Ok(scans)
    }

    fn persons(&self) -> Result<Arc<Persons>> {
        computed_once(&self.persons, || self.lake.persons())
    }

    /// Drops the files that hold no row of the people.
    fn narrow(&mut self, people: &[String]) -> Result<()> {
        let persons = self.persons()?;
        let people = persons.persons_of(people);
        let mut wanted = WantedKeys { users: persons.keys_of(&people), ..WantedKeys::default() };
        let names_sessions = |table: &Table| table.person_keys().contains(&SESSION_KEY);
        for (_, snapshot) in self.stored.iter_mut().filter(|(table, _)| !names_sessions(table)) {
            *snapshot = snapshot.narrowed(&wanted);
        }
        if self.stored.iter().any(|(table, _)| names_sessions(table)) {
            wanted.sessions = self.sessions_of(&people, &wanted)?;
        }
        for (_, snapshot) in self.stored.iter_mut().filter(|(table, _)| names_sessions(table)) {
            *snapshot = snapshot.narrowed(&wanted);
        }
        Ok(())
    }

    /// The keys of the sessions of people.
    fn sessions_of(&self, people: &[String], wanted: &WantedKeys) -> Result<Vec<i64>> {
        let table = &sessions::TABLE;
        let read = self.stored.iter().find(|(stored, _)| *stored == table);
        let narrowed = match read {
            Some((_, narrowed)) => narrowed,
            None => &self.lake.snapshot(table)?.narrowed(wanted),
        };
        let keys: Int64Chunked = people.iter().map(|person| Some(text_key(person))).collect();
        let is_theirs = col(USER_KEY).is_in(lit(keys.into_series()).implode(true), false);
        let rows = narrowed.scan_people(table, None, &|| self.persons())?.filter(is_theirs);
        let rows = rows.select([col(SESSION_KEY)]).collect()?;
        Ok(rows.column(SESSION_KEY)?.i64()?.iter().flatten().collect())
    }
}

impl Snapshot {
    /// The snapshot without files that hold no wanted row.
    fn narrowed(&self, wanted: &WantedKeys) -> Self {
        let all: Vec<&DataFile> = self.files.iter().collect();
        let files = self.files_with(&all, wanted).into_iter().cloned().collect();
        Self {
            version: self.version,
            files,
            layout: self.layout.clone(),
            place: Arc::clone(&self.place),
            table: self.table.clone(),
            state: self.state.clone(),
        }
    }
}
