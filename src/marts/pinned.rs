//! The tables that marts are computed from, pinned to versions of one instant, and what changed in them.
//!
//! ```text
//! sessions, when a mart was computed   06-01: 9f3a…   06-02: 51c0…
//! sessions, now                        06-01: 9f3a…   06-02: 77e4…   06-03: 02bd…
//! changed                                             06-02          06-03
//! ```
//!
//! The fingerprint of a day is a hash of the names of its files. Files are immutable and their names
//! unique, so equal names mean equal rows. Only the two sets of files are compared: no old log is
//! needed, and a load that was undone meanwhile changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use chrono::NaiveDate;
use chrono_tz::Tz;
use polars::prelude::{DataFrame, IntoLazy as _, LazyFrame};
use serde::{Deserialize, Serialize};
use wabalake_data::Table;
use wabalake_data::tables::{identities, loads, persons};
use wabalake_queries::query::{Question, Tables};
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use crate::error::Result;
use crate::lake::persons::{Persons, computed_once};
use crate::lake::rejects::REJECTS;
use crate::lake::{AsOf, Lake, Snapshot};

/// The tables of a lake: the first read of any table pins the versions of all.
#[derive(Debug)]
pub struct PinnedTables<'l> {
    lake: &'l Lake,
    as_of: AsOf,
    /// The version of each table, all as of one instant.
    versions: OnceLock<BTreeMap<&'static str, Option<u64>>>,
    known: Mutex<BTreeMap<&'static str, Arc<PinnedTable>>>,
    /// The persons by the pinned version of `identities`.
    persons: OnceLock<Arc<Persons>>,
}

/// One version of a table.
#[derive(Debug)]
pub struct PinnedTable {
    /// Its files.
    pub snapshot: Snapshot,
    /// The hash of its files' names.
    pub fingerprint: Fingerprint,
}

/// A hash of the files of one version of a table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// Of all files.
    all: String,
    /// The version of the table; `None` if it did not exist, or an older program did not record it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    version: Option<u64>,
    /// Of the files of each UTC day; rows without a time have the empty name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    days: BTreeMap<String, String>,
}

impl<'l> PinnedTables<'l> {
    /// The tables of a lake, as of a version or an instant.
    pub fn of(lake: &'l Lake, as_of: AsOf) -> Self {
        let (versions, persons) = (OnceLock::new(), OnceLock::new());
        Self { lake, as_of, versions, known: Mutex::default(), persons }
    }

    /// The fingerprint of a table. That of a table that exports are not loaded into, such as `loads`,
    /// is a hash of all tables' versions: any commit changes it.
    ///
    /// # Errors
    /// A table that cannot be read.
    pub fn fingerprint(&self, table: &'static Table) -> Result<Fingerprint> {
        if *table == persons::TABLE {
            return Ok(self.table(&identities::TABLE)?.fingerprint.without_days());
        }
        if is_loaded_into(table) {
            return Ok(self.table(table)?.fingerprint.clone());
        }
        let versions =
            format!("{:?} {:?}", self.versions()?, self.lake.snapshot(&REJECTS)?.version);
        Ok(Fingerprint {
            all: format!("{:016x}", xxh3_64(versions.as_bytes())),
            ..Fingerprint::default()
        })
    }

    /// A table that exports are loaded into, at its pinned version.
    ///
    /// # Errors
    /// As [`Lake::snapshot_as_of`].
    pub fn table(&self, table: &'static Table) -> Result<Arc<PinnedTable>> {
        if let Some(source) = self.known().get(table.name) {
            return Ok(Arc::clone(source));
        }
        let snapshot = match self.pins()?.get(table.name) {
            // All were read to pin them.
            Some(_) if self.known().contains_key(table.name) => return self.table(table),
            Some(version) => self.lake.snapshot_at(table, *version)?,
            // It cannot be read: the error says why.
            None => self.lake.snapshot_as_of(table, &self.as_of)?,
        };
        Ok(self.remember(table.name, snapshot))
    }

    /// A table as it was at a fingerprint; `None` if its log or files no longer tell.
    pub(crate) fn before(&self, table: &'static Table, known: &Fingerprint) -> Option<Snapshot> {
        let now = self.table(table).ok()?;
        if now.fingerprint.matches(known) {
            return Some(now.snapshot.clone());
        }
        let snapshot = self.lake.snapshot_at(table, known.version).ok()?;
        let is_that = known.is_of_nothing() && snapshot.files.is_empty();
        (is_that || Fingerprint::of(&snapshot).matches(known)).then_some(snapshot)
    }

    /// The persons by the pinned version of `identities`.
    ///
    /// # Errors
    /// A table that cannot be read.
    pub(crate) fn persons(&self) -> Result<Arc<Persons>> {
        let compute = || Persons::of(&self.table(&identities::TABLE)?.snapshot);
        computed_once(&self.persons, compute)
    }

    /// The rows of the table of loaded files, by the pinned versions.
    ///
    /// # Errors
    /// A table whose log cannot be read.
    pub(crate) fn loads(&self) -> Result<DataFrame> {
        let tables = wabalake_data::TABLES.iter().map(|table| self.table(table));
        let tables = tables.collect::<Result<Vec<_>>>()?;
        self.lake.loads_at(tables.iter().map(|table| &table.snapshot))
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<&'static str, Arc<PinnedTable>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remember(&self, name: &'static str, snapshot: Snapshot) -> Arc<PinnedTable> {
        let fingerprint = Fingerprint::of(&snapshot);
        let source = Arc::new(PinnedTable { snapshot, fingerprint });
        self.known().insert(name, Arc::clone(&source));
        source
    }

    /// The versions of all tables, pinned on first use.
    fn pins(&self) -> Result<&BTreeMap<&'static str, Option<u64>>> {
        if let Some(pins) = self.versions.get() {
            return Ok(pins);
        }
        let tables = wabalake_data::TABLES;
        if self.lake.place().as_folder().is_none() && self.as_of == AsOf::Now {
            // At once: a store takes its time for each. One table that cannot be read fails them all.
            if let Ok(snapshots) = self.lake.snapshots(tables.iter().copied()) {
                let named = tables.iter().map(|table| table.name).zip(snapshots);
                let pins = named
                    .map(|(name, snapshot)| (name, self.remember(name, snapshot).snapshot.version));
                let pins = pins.collect();
                return Ok(self.versions.get_or_init(|| pins));
            }
        }
        let tables = tables.iter().map(|table| (table.name, *table));
        let pins = self.lake.versions_as_of(tables, &self.as_of)?;
        Ok(self.versions.get_or_init(|| pins))
    }

    /// The pinned version of each table of exports that exists.
    ///
    /// # Errors
    /// As [`PinnedTables::table`].
    pub fn versions(&self) -> Result<BTreeMap<&'static str, u64>> {
        let mut versions = BTreeMap::new();
        for table in wabalake_data::TABLES {
            if let Some(version) = self.table(table)?.snapshot.version {
                versions.insert(table.name, version);
            }
        }
        Ok(versions)
    }

    /// The lazy scan of a table that exports are loaded into, or of `persons`, with instants in a time zone.
    ///
    /// # Errors
    /// A table that cannot be read.
    pub(crate) fn scan_in(&self, table: &'static Table, zone: Tz) -> Result<LazyFrame> {
        if *table == persons::TABLE {
            return Ok(self.persons()?.rows().lazy());
        }
        self.table(table)?.snapshot.scan_people(table, Some(zone), &|| self.persons())
    }

    /// Lazy scans of the tables that a question reads. Of the first, only the files whose days and
    /// statistics overlap the question's date range.
    ///
    /// # Errors
    /// A table that cannot be read.
    pub fn tables(&self, question: &Question) -> Result<Tables> {
        let persons = || self.persons();
        let mut tables = Tables::new();
        for table in question.reads() {
            if *table == persons::TABLE {
                tables = tables.with(table, persons()?.rows().lazy());
                continue;
            }
            if *table == loads::TABLE {
                tables = tables.with(table, self.loads()?.lazy());
                continue;
            }
            if !is_loaded_into(table) {
                tables = tables.with(table, self.lake.tables(&[table])?.scan(table));
                continue;
            }
            let source = self.table(table)?;
            let snapshot = &source.snapshot;
            let files = snapshot.files_in_range(table.day_of, question.instants(table));
            let scan = snapshot.scan_people_of(table, &files, None, &persons)?;
            tables = tables.with(table, scan);
        }
        Ok(tables)
    }
}

fn is_loaded_into(table: &Table) -> bool {
    wabalake_data::TABLES.contains(&table)
}

impl Fingerprint {
    fn of(snapshot: &Snapshot) -> Self {
        let mut all = Xxh3::new();
        let mut days = BTreeMap::new();
        for files in snapshot.files.chunk_by(|a, b| a.day == b.day) {
            let paths: Vec<&str> = files.iter().map(|file| file.path.as_str()).collect();
            let fingerprint = xxh3_64(paths.join("\n").as_bytes());
            all.update(&fingerprint.to_le_bytes());
            let day = files.first().and_then(|file| file.day);
            let day = day.map(|day| day.to_string()).unwrap_or_default();
            days.insert(day, format!("{fingerprint:016x}"));
        }
        Self { all: format!("{:016x}", all.digest()), version: snapshot.version, days }
    }

    /// Drops the fingerprints of single days.
    #[must_use]
    pub fn without_days(&self) -> Self {
        Self { days: BTreeMap::new(), ..self.clone() }
    }

    /// Returns `true` if both are of the same files.
    pub fn matches(&self, other: &Self) -> bool {
        self.all == other.all
    }

    /// The hash of all files.
    pub fn hash(&self) -> &str {
        &self.all
    }

    /// The UTC days with rows, if they were recorded.
    pub fn days(&self) -> impl Iterator<Item = NaiveDate> {
        self.days.keys().filter_map(|day| day.parse().ok())
    }

    /// Returns `true` if there are no files.
    fn is_of_nothing(&self) -> bool {
        self.all.is_empty() || self.all == format!("{:016x}", Xxh3::new().digest())
    }

    /// The UTC days whose files changed, where `None` stands for the rows without a time. `None` if single
    /// days were not recorded.
    pub fn changed_since(&self, before: &Self) -> Option<BTreeSet<Option<NaiveDate>>> {
        let has_days = |of: &Self| !of.days.is_empty() || of.is_of_nothing();
        if !has_days(self) || !has_days(before) {
            return None;
        }
        let names = self.days.keys().chain(before.days.keys());
        let changed = names.filter(|day| self.days.get(*day) != before.days.get(*day));
        Some(changed.map(|day| day.parse().ok()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fingerprint(days: &[(&str, &str)]) -> Fingerprint {
        let days =
            days.iter().map(|(day, fingerprint)| ((*day).to_owned(), (*fingerprint).to_owned()));
        Fingerprint { all: "of some".to_owned(), days: days.collect(), version: None }
    }

    #[test]
    fn added_removed_and_replaced_days_have_changed() {
        let before = fingerprint(&[("", "n"), ("2025-06-01", "a"), ("2025-06-02", "b")]);
        let now = fingerprint(&[("", "m"), ("2025-06-02", "c"), ("2025-06-03", "d")]);
        let day = |day| NaiveDate::from_ymd_opt(2025, 6, day);
        let changed: Vec<_> = now.changed_since(&before).into_iter().flatten().collect();
        assert_eq!(changed, [None, day(1), day(2), day(3)]);
        assert_eq!(now.changed_since(&now), Some(BTreeSet::new()));
        assert_eq!(now.changed_since(&before.without_days()), None);
        assert_eq!(now.changed_since(&Fingerprint::default()).map(|days| days.len()), Some(3));
    }
}
