//! The lake: tables of Parquet files that change by whole commits.
//!
//! ```text
//! rows of 2025-06-01, merged and sorted
//!   │ stage      tables/sessions/utc_day=2025-06-01/5e0c….parquet     written, seen by nobody
//!   │ commit     tables/sessions/_delta_log/00000000000000000020.json  and now by everybody:
//!   │              remove 91d2….parquet, add 5e0c….parquet, file 9f3a… is loaded
//!   ▼
//! Snapshot       the files of version 20, whatever is committed after
//!   │ scan       a plan that skips files by day and by bounds
//!   ▼
//! LazyFrame
//! ```
//!
//! | module | what it does |
//! |---|---|
//! | `log` | reads what was committed |
//! | [`snapshot`] | one version of a table, and plans over it |
//! | `creation` | makes a lake's folder, and takes it back if nothing comes into it |
//! | [`stage`], [`commit`] | write files; make them part of a table |
//! | [`history`], [`status`] | tell what happened, and what there is |
//! | [`undo`] | takes the last load back |
//! | [`compact`], [`vacuum`] | merge a day's files; delete those of old versions |
//! | [`erase`] | takes a person out of all of it, old versions and log included |
//! | [`check`] | finds what is damaged, and says what to do about it |
//! | `keep_out` | who was taken out and must not come back |
//! | [`rejects`] | the rows that could not be taken |
//! | [`marts`] | answers that are kept as tables of their own |
//! | [`runs`] | what the nightly did, and when |
//! | `loads` | the files that are loaded, as queries see them |
//!
//! Tables are Delta tables under `<lake>/tables/<name>`, partitioned by `utc_day`; any Delta reader
//! opens them. A commit succeeds only if the table is at the version it was computed from. One
//! that comes second is told so, and computes again.

pub mod check;
pub mod commit;
pub mod compact;
mod creation;
mod damage;
pub mod erase;
pub mod history;
pub(crate) mod keep_out;
mod layout;
mod loads;
mod lock;
mod log;
pub mod marts;
pub mod rejects;
pub mod runs;
pub mod snapshot;
pub mod stage;
pub mod status;
#[cfg(test)]
mod tests;
pub mod undo;
pub mod vacuum;

use std::collections::{BTreeMap, HashMap};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use chrono::{DateTime, Utc};
use polars::prelude::IntoLazy as _;
use tempfile::TempDir;
use wabalake_data::Table;
use wabalake_data::tables::loads::TABLE as LOADS;
use wabalake_queries::query::Tables;

pub use self::commit::{Change, Commit, Operation};
pub use self::creation::Creation;
pub use self::layout::{Layout, layout, layouts};
pub use self::lock::Lock;
pub use self::log::DataFile;
pub use self::snapshot::Snapshot;
pub use self::stage::{StagedFile, Staging};
use crate::error::{Context as _, Error, Result, in_words};

/// A folder of tables.
#[derive(Debug)]
pub struct Lake {
    root: PathBuf,
    /// The newest state read of each table, to go on from.
    known: Mutex<HashMap<PathBuf, Arc<log::State>>>,
    /// Takes what a person should know and what is no error.
    warn: fn(&str),
}

impl Lake {
    /// A lake that is there; a folder without tables is an empty one.
    ///
    /// # Errors
    ///
    /// A path that does not exist, is no folder, or is no path at all.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        refuse_url(path)?;
        let root = path.canonicalize().map_err(|e| {
            Error::lake(format!("no lake at `{}`: {}", path.display(), in_words(&e)))
                .hint(format!("make one: `wabalake load FILE… --lake {}`", path.display()))
        })?;
        if !root.is_dir() {
            return Err(Error::lake(format!(
                "`{}` is a file, and a lake is a folder",
                path.display()
            ))
            .hint("name the folder that exports were loaded into"));
        }
        Ok(Self { root, known: Mutex::default(), warn: |_| {} })
    }

    /// The same, which tells somebody of what is damaged and can be done without.
    #[must_use]
    pub fn warning(self, warn: fn(&str)) -> Self {
        Self { warn, ..self }
    }

    /// Its folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The newest version of a table. A table that was never committed to has no version and no
    /// rows.
    ///
    /// # Errors
    ///
    /// A log that cannot be read, or that uses what wabalake does not: deletion vectors, column
    /// mapping, other types or partitions.
    pub fn snapshot(&self, table: &'static dyn Layout) -> Result<Snapshot> {
        let folder = self.folder(table);
        let known = self.known.lock().ok().and_then(|known| known.get(&folder).cloned());
        let state = self.log(table).state(known)?;
        if let (Some(state), Ok(mut known)) = (&state, self.known.lock()) {
            known.insert(folder.clone(), Arc::clone(state));
        }
        Snapshot::new(table, folder, state)
    }

    /// A table as it was. Files that `vacuum` has deleted since are missed when they are read.
    ///
    /// # Errors
    ///
    /// As [`Lake::snapshot`]; a version that there is not, or whose log is gone.
    pub fn snapshot_as_of(&self, table: &'static dyn Layout, as_of: &AsOf) -> Result<Snapshot> {
        let log = self.log(table);
        let version = match as_of {
            AsOf::Now => return self.snapshot(table),
            AsOf::Versions(versions) => match versions.get(table.name()) {
                Some(version) => Some(*version),
                None => return self.snapshot(table),
            },
            AsOf::Instant(at) => log.version_at(*at)?,
        };
        let state = version.map(|version| log.state_at(version)).transpose()?;
        Snapshot::new(table, self.folder(table), state)
    }

    /// The newest versions of tables, for a query to read.
    ///
    /// # Errors
    ///
    /// As [`Lake::snapshot`].
    pub fn tables(&self, tables: &[&'static Table]) -> Result<Tables> {
        let mut scans = Tables::new();
        for table in tables {
            let scan = if **table == LOADS {
                self.loads()?.lazy()
            } else {
                self.snapshot(*table)?.scan()?
            };
            scans = scans.with(table, scan);
        }
        Ok(scans)
    }

    /// Whether a file is loaded into a table, by its application transaction.
    pub fn is_loaded(&self, table: &'static dyn Layout, file_id: &str) -> Result<bool> {
        let version = self.snapshot(table)?.transaction(file_id);
        Ok(version.is_some_and(|version| version % 2 == 1))
    }

    /// A place for files of a table that a commit is to add.
    pub fn staging(&self, table: &'static dyn Layout) -> Result<Staging> {
        Ok(Staging::new(table, self.folder(table), Some(self.writing()?)))
    }

    /// A folder for temporary files on the lake's own disk, gone once dropped.
    pub fn scratch(&self) -> Result<Scratch> {
        let writing = self.writing()?;
        let within = self.own_folder("scratch");
        std::fs::create_dir_all(&within).context(|| format!("making `{}`", within.display()))?;
        let making = || format!("making a folder in `{}`", within.display());
        Ok(Scratch { folder: TempDir::new_in(&within).context(making)?, _writing: Some(writing) })
    }

    /// Tells of what is damaged and can be done without.
    pub(crate) fn warn(&self, what: &str) {
        (self.warn)(what);
    }

    /// Waits until nobody else on this machine merges into the table. Whose commit comes first is
    /// settled by the commit alone; turns spare the loser's work.
    pub fn take_turn(&self, table: &'static dyn Layout) -> Result<Lock> {
        let name = match table.within() {
            "tables" => table.name().to_owned(),
            within => format!("{within}.{}", table.name()),
        };
        lock::wait(&self.own_folder("locks").join(name))
    }

    /// Keeps `vacuum` out.
    fn writing(&self) -> Result<Lock> {
        lock::share(&self.writing_lock())
    }

    fn writing_lock(&self) -> PathBuf {
        self.own_folder("locks").join("writing")
    }

    /// What wabalake keeps beside the tables.
    pub(crate) fn own_folder(&self, name: &str) -> PathBuf {
        self.root.join(creation::OWN).join(name)
    }

    fn folder(&self, table: &dyn Layout) -> PathBuf {
        self.root.join(table.within()).join(table.name())
    }

    /// The log of a table, to be read: one that ends too early is refused.
    fn log(&self, table: &dyn Layout) -> log::Log {
        // Before its files are listed: another commit may come in between.
        self.log_of(table).reaching(self.newest_of(table))
    }

    /// The log of a table, whatever there is of it.
    fn log_of(&self, table: &dyn Layout) -> log::Log {
        log::Log::new(&self.folder(table)).warning(self.warn)
    }
}

/// Which version of each table is meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AsOf {
    /// The newest.
    #[default]
    Now,
    /// The one that was the newest at an instant; a table that was not there yet is empty.
    Instant(DateTime<Utc>),
    /// These of some tables, by name, and the newest of the others.
    Versions(BTreeMap<&'static str, u64>),
}

/// A folder for temporary files; one on the lake's disk keeps `vacuum` out as long as it lives.
#[derive(Debug)]
pub struct Scratch {
    folder: TempDir,
    _writing: Option<Lock>,
}

impl Scratch {
    /// One in the system's temporary folder, for what only reads a lake.
    ///
    /// # Errors
    ///
    /// A folder that cannot be made.
    pub fn outside() -> Result<Self> {
        let within = std::env::temp_dir();
        match TempDir::new_in(&within) {
            Ok(folder) => Ok(Self { folder, _writing: None }),
            Err(error) => Err(Error::lake(format!(
                "no temporary folder can be made in `{}`: {}",
                within.display(),
                in_words(&error)
            ))
            .hint("set TMPDIR to a folder that is there and may be written to")
            .caused_by(error)),
        }
    }
}

impl Deref for Scratch {
    type Target = Path;

    fn deref(&self) -> &Path {
        self.folder.path()
    }
}

fn refuse_url(path: &Path) -> Result<()> {
    match path.to_str().and_then(|path| path.split_once("://")) {
        Some((scheme, _)) => Err(Error::usage(format!("a lake on `{scheme}://` is not supported"))
            .hint("name a folder, such as a mounted bucket")),
        None => Ok(()),
    }
}
