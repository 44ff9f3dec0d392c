//! The lake: Delta tables of Parquet files, changed by atomic commits.
//!
//! ```text
//! rows of 2025-06-01, merged and sorted
//!   │ stage      tables/sessions/utc_day=2025-06-01/5e0c….parquet      written, visible to nobody
//!   │ commit     tables/sessions/_delta_log/00000000000000000020.json  visible to all readers:
//!   │              remove 91d2….parquet, add 5e0c….parquet, file 9f3a… is loaded
//!   ▼
//! Snapshot       the files of version 20, unaffected by later commits
//!   │ scan       a lazy plan that skips files by day and by statistics
//!   ▼
//! LazyFrame
//! ```
//!
//! | module | what it does |
//! |---|---|
//! | `log` | reads the transaction log |
//! | [`snapshot`] | one version of a table, and lazy plans over it |
//! | `creation` | creates the lake's folder, and removes it again if nothing was loaded |
//! | [`stage`], [`commit`] | write data files; add them to a table |
//! | [`history`], [`status`] | list commits; summarise the tables |
//! | [`undo`] | reverts the last load |
//! | [`compact`], [`vacuum`] | merge the files of a day; delete files of old versions |
//! | [`erase`] | erases a person, also from old versions and the log |
//! | [`check`] | finds damaged files and suggests repairs |
//! | `keep_out` | the persons who were erased and must not come back |
//! | [`rejects`] | the table of rejected records |
//! | [`marts`] | answers that are stored as tables |
//! | [`runs`] | the table of nightly runs and erasures |
//! | `loads` | the table of loaded files, for queries |
//!
//! Tables are Delta tables in `<lake>/tables/<name>`, partitioned by `utc_day`; any Delta reader opens
//! them. A commit succeeds only if the table is still at the version it was computed from. Otherwise
//! it is a conflict, and the caller computes the change again.

pub mod check;
pub mod commit;
pub mod compact;
mod creation;
mod damage;
pub mod erase;
mod files;
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
use crate::place::OWN;

/// A folder of Delta tables.
#[derive(Debug)]
pub struct Lake {
    root: PathBuf,
    /// The newest state read of each table, to continue from.
    known: Mutex<HashMap<PathBuf, Arc<log::State>>>,
    /// Takes warnings for the user.
    warn: fn(&str),
}

impl Lake {
    /// Opens an existing lake. A folder without tables is an empty lake.
    ///
    /// # Errors
    ///
    /// A path that does not exist, is no folder, or is a URL.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        refuse_url(path)?;
        let root = path.canonicalize().map_err(|e| {
            Error::lake(format!("no lake at `{}`: {}", path.display(), in_words(&e)))
                .hint(format!("create one: `wabalake load FILE… --lake {}`", path.display()))
        })?;
        if !root.is_dir() {
            return Err(Error::lake(format!(
                "`{}` is a file, not the folder of a lake",
                path.display()
            ))
            .hint("name the folder of a lake"));
        }
        Ok(Self { root, known: Mutex::default(), warn: |_| {} })
    }

    /// Sets the function that takes warnings, such as those of damage that reads can skip.
    #[must_use]
    pub fn with_warnings(self, warn: fn(&str)) -> Self {
        Self { warn, ..self }
    }

    /// The lake's folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The newest version of a table. A table without commits has no version and no rows.
    ///
    /// # Errors
    ///
    /// A log that cannot be read or that uses unsupported features: deletion vectors, column
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

    /// A table as of a version or an instant. Reading it fails if `vacuum` has deleted files of it.
    ///
    /// # Errors
    ///
    /// As [`Lake::snapshot`]; a version that does not exist, or whose log is gone.
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

    /// Scans of the newest versions of tables, for a query.
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

    /// Returns `true` if a file is loaded into a table, by its application transaction.
    pub fn is_loaded(&self, table: &'static dyn Layout, file_id: &str) -> Result<bool> {
        let version = self.snapshot(table)?.transaction(file_id);
        Ok(version.is_some_and(|version| version % 2 == 1))
    }

    /// A staging area for files that a commit will add to a table.
    pub fn staging(&self, table: &'static dyn Layout) -> Result<Staging> {
        Ok(Staging::new(table, self.folder(table), Some(self.writing()?)))
    }

    /// A folder for temporary files on the lake's disk, deleted when dropped.
    pub fn scratch(&self) -> Result<Scratch> {
        let writing = self.writing()?;
        let within = self.internal_folder("scratch");
        std::fs::create_dir_all(&within).context(|| format!("creating `{}`", within.display()))?;
        let creating = || format!("creating a folder in `{}`", within.display());
        Ok(Scratch { folder: TempDir::new_in(&within).context(creating)?, _writing: Some(writing) })
    }

    /// Warns of damage that a read can skip.
    pub(crate) fn warn(&self, what: &str) {
        (self.warn)(what);
    }

    /// Waits for the lock on merging into a table. It covers this machine only and just saves work:
    /// commit conflicts decide who comes first.
    pub fn lock_table(&self, table: &'static dyn Layout) -> Result<Lock> {
        let name = match table.parent_folder() {
            "tables" => table.name().to_owned(),
            within => format!("{within}.{}", table.name()),
        };
        lock::wait(&self.internal_folder("locks").join(name))
    }

    /// The shared lock that keeps `vacuum` and `erase` out.
    fn writing(&self) -> Result<Lock> {
        lock::share(&self.writing_lock())
    }

    fn writing_lock(&self) -> PathBuf {
        self.internal_folder("locks").join("writing")
    }

    /// The path of an entry of `.wabalake`.
    pub(crate) fn internal_folder(&self, name: &str) -> PathBuf {
        self.root.join(OWN).join(name)
    }

    fn folder(&self, table: &dyn Layout) -> PathBuf {
        self.root.join(table.parent_folder()).join(table.name())
    }

    /// The log of a table, which must not end before its newest known version.
    fn log(&self, table: &dyn Layout) -> log::Log {
        // Read before the files are listed: a commit may come in between.
        self.log_of(table).known_to_reach(self.newest_of(table))
    }

    /// The log of a table, however much of it exists.
    fn log_of(&self, table: &dyn Layout) -> log::Log {
        log::Log::new(&self.folder(table)).with_warnings(self.warn)
    }
}

/// The version of each table to read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AsOf {
    /// The newest version.
    #[default]
    Now,
    /// The version that was the newest at an instant; a table that did not exist then is empty.
    Instant(DateTime<Utc>),
    /// These versions of tables, by name, and the newest of the others.
    Versions(BTreeMap<&'static str, u64>),
}

/// A folder for temporary files, deleted when dropped. On the lake's disk it keeps `vacuum` out.
#[derive(Debug)]
pub struct Scratch {
    folder: TempDir,
    _writing: Option<Lock>,
}

impl Scratch {
    /// A folder in the system's temporary directory, for commands that only read a lake.
    ///
    /// # Errors
    ///
    /// A folder that cannot be created.
    pub fn outside() -> Result<Self> {
        let within = std::env::temp_dir();
        match TempDir::new_in(&within) {
            Ok(folder) => Ok(Self { folder, _writing: None }),
            Err(error) => Err(Error::lake(format!(
                "cannot create a temporary folder in `{}`: {}",
                within.display(),
                in_words(&error)
            ))
            .hint("set TMPDIR to an existing folder that can be written")
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
