//! The tables that marts are made from, at one version each, and what changed in them.
//!
//! ```text
//! sessions, as a mart was made    06-01: 9f3a…   06-02: 51c0…
//! sessions, now                   06-01: 9f3a…   06-02: 77e4…   06-03: 02bd…
//! changed                                        06-02          06-03
//! ```
//!
//! A day's fingerprint is a hash of the names of its files. A file never changes, and no two have
//! one name, so the same files are the same rows. Two sets are compared, whatever happened between
//! them: no old log is needed, and a load that was undone since has changed nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use wabalake_data::Table;
use wabalake_queries::query::{Question, Tables};
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use crate::error::Result;
use crate::lake::rejects::REJECTS;
use crate::lake::{AsOf, Lake, Snapshot};

/// One version of each table that is asked for, the same for all who ask.
#[derive(Debug)]
pub struct Sources<'l> {
    lake: &'l Lake,
    as_of: AsOf,
    known: Mutex<BTreeMap<&'static str, Arc<Source>>>,
}

/// One version of a table.
#[derive(Debug)]
pub struct Source {
    /// Its files.
    pub snapshot: Snapshot,
    /// What tells it from other versions.
    pub print: Print,
}

/// What tells a version of a table from others.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Print {
    /// Of all its files.
    all: String,
    /// Of the files of each UTC day; those of rows without a time are under an empty name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    days: BTreeMap<String, String>,
}

impl<'l> Sources<'l> {
    /// The tables of a lake.
    pub fn of(lake: &'l Lake, as_of: AsOf) -> Self {
        Self { lake, as_of, known: Mutex::default() }
    }

    /// What tells a table from its other versions. What is no table that exports are loaded into is
    /// told of all that there is: any commit makes it another.
    ///
    /// # Errors
    /// A table that cannot be read.
    pub fn print(&self, table: &'static Table) -> Result<Print> {
        if is_loaded_into(table) {
            return Ok(self.table(table)?.print.clone());
        }
        let versions =
            format!("{:?} {:?}", self.versions()?, self.lake.snapshot(&REJECTS)?.version);
        Ok(Print { all: format!("{:016x}", xxh3_64(versions.as_bytes())), days: BTreeMap::new() })
    }

    /// One of them that exports are loaded into.
    ///
    /// # Errors
    /// As [`Lake::snapshot_as_of`].
    pub fn table(&self, table: &'static Table) -> Result<Arc<Source>> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(source) = known.get(table.name) {
            return Ok(Arc::clone(source));
        }
        let snapshot = self.lake.snapshot_as_of(table, &self.as_of)?;
        let print = Print::of(&snapshot);
        let source = Arc::new(Source { snapshot, print });
        known.insert(table.name, Arc::clone(&source));
        Ok(source)
    }

    /// The versions of all tables of exports that there are.
    ///
    /// # Errors
    /// As [`Sources::table`].
    pub fn versions(&self) -> Result<BTreeMap<&'static str, u64>> {
        let mut versions = BTreeMap::new();
        for table in wabalake_data::TABLES {
            if let Some(version) = self.table(table)?.snapshot.version {
                versions.insert(table.name, version);
            }
        }
        Ok(versions)
    }

    /// The tables that a question reads; of the first, the files in which rows of its range lie.
    ///
    /// # Errors
    /// A table that cannot be read.
    pub fn tables(&self, question: &Question) -> Result<Tables> {
        let mut tables = Tables::new();
        for table in question.spec().reads {
            if !is_loaded_into(table) {
                tables = tables.with(table, self.lake.tables(&[*table])?.scan(table));
                continue;
            }
            let source = self.table(table)?;
            let scan = match question.instants(table) {
                (None, None) => source.snapshot.scan()?,
                within => {
                    let files = source.snapshot.files_within(table.day_of, within);
                    source.snapshot.scan_files(&files)?
                }
            };
            tables = tables.with(table, scan);
        }
        Ok(tables)
    }
}

fn is_loaded_into(table: &Table) -> bool {
    wabalake_data::TABLES.contains(&table)
}

impl Print {
    fn of(snapshot: &Snapshot) -> Self {
        let mut all = Xxh3::new();
        let mut days = BTreeMap::new();
        for files in snapshot.files.chunk_by(|a, b| a.day == b.day) {
            let paths: Vec<&str> = files.iter().map(|file| file.path.as_str()).collect();
            let print = xxh3_64(paths.join("\n").as_bytes());
            all.update(&print.to_le_bytes());
            let day = files.first().and_then(|file| file.day);
            let day = day.map(|day| day.to_string()).unwrap_or_default();
            days.insert(day, format!("{print:016x}"));
        }
        Self { all: format!("{:016x}", all.digest()), days }
    }

    /// The same without its days, for who needs none of them.
    #[must_use]
    pub fn whole(&self) -> Self {
        Self { all: self.all.clone(), days: BTreeMap::new() }
    }

    /// Whether both are of the same files.
    pub fn is(&self, other: &Self) -> bool {
        self.all == other.all
    }

    /// The UTC days whose files are others than before; `None` is that of rows without a time.
    pub fn changed_since(&self, before: &Self) -> BTreeSet<Option<NaiveDate>> {
        let names = self.days.keys().chain(before.days.keys());
        let changed = names.filter(|day| self.days.get(*day) != before.days.get(*day));
        changed.map(|day| day.parse().ok()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn print(days: &[(&str, &str)]) -> Print {
        let days = days.iter().map(|(day, print)| ((*day).to_owned(), (*print).to_owned()));
        Print { all: String::new(), days: days.collect() }
    }

    #[test]
    fn what_came_what_went_and_what_is_another() {
        let before = print(&[("", "n"), ("2025-06-01", "a"), ("2025-06-02", "b")]);
        let now = print(&[("", "m"), ("2025-06-02", "c"), ("2025-06-03", "d")]);
        let day = |day| NaiveDate::from_ymd_opt(2025, 6, day);
        let changed: Vec<_> = now.changed_since(&before).into_iter().collect();
        assert_eq!(changed, [None, day(1), day(2), day(3)]);
        assert!(now.changed_since(&now).is_empty());
    }
}
