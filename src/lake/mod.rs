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
use std::fmt;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};

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
use crate::config::FILE;
use crate::error::{Context as _, Error, Result, in_words};
use crate::place::OWN;
use crate::place::{Key, Place};

/// Delta tables in a place.
#[derive(Debug)]
pub struct Lake {
    place: Arc<Place>,
    /// The text of the settings, once it was read from a store.
    settings: OnceLock<Option<String>>,
    /// The newest state read of each table, to continue from.
    known: Mutex<HashMap<Key, Arc<log::State>>>,
    /// What was read of logs on a store.
    logs: Mutex<HashMap<Key, Arc<log::Fetched>>>,
    /// The states of tables on a store that are read once; `None` if they are read anew each time.
    pinned: Option<Mutex<HashMap<Key, Option<Arc<log::State>>>>>,
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
        Ok(Self::at(Place::folder(root)))
    }

    /// The lake in a place. A place without tables is an empty lake.
    pub fn at(place: Place) -> Self {
        Self {
            place: Arc::new(place),
            settings: OnceLock::new(),
            known: Mutex::default(),
            logs: Mutex::default(),
            pinned: None,
            warn: |_| {},
        }
    }

    /// Sets the function that takes warnings, such as those of damage that reads can skip.
    #[must_use]
    pub fn with_warnings(self, warn: fn(&str)) -> Self {
        Self { warn, ..self }
    }

    /// Reads each log on a store once, for a command that changes nothing: what others commit meanwhile
    /// is not seen.
    #[must_use]
    pub fn pinned(self) -> Self {
        let pinned = self.place.as_folder().is_none().then(Mutex::default);
        Self { pinned, ..self }
    }

    /// Where the lake is.
    pub fn place(&self) -> &Arc<Place> {
        &self.place
    }

    /// The lake's folder. That of a lake on a store is a path that cannot exist: whoever writes asks
    /// [`Lake::in_folder`] before.
    pub fn root(&self) -> &Path {
        self.place.as_folder().unwrap_or(Path::new("\0"))
    }

    /// The lake's folder.
    ///
    /// # Errors
    ///
    /// A lake on an object store, which can only be read so far.
    pub fn in_folder(&self) -> Result<&Path> {
        self.place.as_folder().ok_or_else(|| only_read(self.place.shown()))
    }

    /// The text of the lake's settings; `None` if it has none. On a store they are read once.
    ///
    /// # Errors
    ///
    /// A file that cannot be read.
    pub fn settings(&self) -> Result<Option<String>> {
        if let Some(text) = self.settings.get() {
            return Ok(text.clone());
        }
        let bytes = self.place.read(&Key::root().join(FILE))?;
        let text =
            bytes.map(|bytes| String::from_utf8(bytes.into())).transpose().map_err(|_| {
                Error::lake(format!("`{}` is not UTF-8", self.shown(FILE)))
                    .hint("save it as UTF-8 text")
            })?;
        if self.place.as_folder().is_none() {
            let _ = self.settings.set(text.clone());
        }
        Ok(text)
    }

    /// The address of a file for messages.
    pub(crate) fn shown(&self, file: &str) -> String {
        match self.place.as_folder() {
            Some(root) => root.join(file).display().to_string(),
            None => self.place.url(&Key::root().join(file)),
        }
    }

    /// The newest version of a table. A table without commits has no version and no rows.
    ///
    /// # Errors
    ///
    /// A log that cannot be read or that uses unsupported features: deletion vectors, column
    /// mapping, other types or partitions.
    pub fn snapshot(&self, table: &'static dyn Layout) -> Result<Snapshot> {
        let key = table_key(table);
        let state = self.state(table, &key)?;
        Snapshot::new(table, Arc::clone(&self.place), key, state)
    }

    fn state(&self, table: &'static dyn Layout, key: &Key) -> Result<Option<Arc<log::State>>> {
        let pinned = self.pinned.as_ref().and_then(|pinned| pinned.lock().ok());
        if let Some(state) = pinned.as_ref().and_then(|pinned| pinned.get(key)) {
            return Ok(state.clone());
        }
        // Others may read other tables meanwhile.
        drop(pinned);
        let known = self.known.lock().ok().and_then(|known| known.get(key).cloned());
        let state = self.log(table).state(known)?;
        if let (Some(state), Ok(mut known)) = (&state, self.known.lock()) {
            known.insert(key.clone(), Arc::clone(state));
        }
        if let Some(Ok(mut pinned)) = self.pinned.as_ref().map(Mutex::lock) {
            return Ok(pinned.entry(key.clone()).or_insert(state).clone());
        }
        Ok(state)
    }

    /// The newest versions of tables, as [`Lake::snapshot`].
    pub fn snapshots(&self, tables: &[&'static dyn Layout]) -> Vec<Result<Snapshot>> {
        let read = self.each(tables, |table| self.snapshot(table));
        let is_missing =
            |read: &Result<Snapshot>| matches!(read, Ok(snapshot) if snapshot.version.is_none());
        if self.place.as_folder().is_none() && read.iter().all(is_missing) {
            self.warn_if_empty();
        }
        read
    }

    /// Calls a function for each table; for all at once, if a store has to answer each.
    pub(crate) fn each<T: Send>(
        &self,
        tables: &[&'static dyn Layout],
        of: impl Fn(&'static dyn Layout) -> Result<T> + Sync,
    ) -> Vec<Result<T>> {
        if self.place.as_folder().is_some() {
            return tables.iter().map(|table| of(*table)).collect();
        }
        let of = &of;
        std::thread::scope(|scope| {
            let threads: Vec<_> =
                tables.iter().map(|table| scope.spawn(move || of(*table))).collect();
            let joined = threads.into_iter().map(std::thread::ScopedJoinHandle::join);
            let failed = |_| Err(Error::bug("a thread failed to read a log"));
            joined.map(|read| read.unwrap_or_else(failed)).collect()
        })
    }

    /// Warns if a store has no tables at all: its address may be mistyped, and there is no folder
    /// whose absence would tell.
    fn warn_if_empty(&self) {
        let tables = self.place.folders(&Key::root().join("tables"));
        if tables.is_ok_and(|tables| tables.is_empty()) {
            self.warn(&format!("the lake at `{}` has no tables yet", self.place.shown()));
        }
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
        Snapshot::new(table, Arc::clone(&self.place), table_key(table), state)
    }

    /// Scans of the newest versions of tables, for a query.
    ///
    /// # Errors
    ///
    /// As [`Lake::snapshot`].
    pub fn tables(&self, tables: &[&'static Table]) -> Result<Tables> {
        let (loads, stored): (Vec<_>, Vec<_>) = tables.iter().partition(|table| ***table == LOADS);
        let mut scans = Tables::new();
        for table in loads {
            scans = scans.with(table, self.loads()?.lazy());
        }
        let layouts: Vec<_> = stored.iter().map(|table| *table as &'static dyn Layout).collect();
        for (table, snapshot) in stored.iter().zip(self.snapshots(&layouts)) {
            scans = scans.with(table, snapshot?.scan()?);
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
        self.in_folder()?;
        lock::wait(&self.internal_folder("locks").join(name))
    }

    /// The shared lock that keeps `vacuum` and `erase` out.
    fn writing(&self) -> Result<Lock> {
        self.in_folder()?;
        lock::share(&self.writing_lock())
    }

    fn writing_lock(&self) -> PathBuf {
        self.internal_folder("locks").join("writing")
    }

    /// The path of an entry of `.wabalake`.
    pub(crate) fn internal_folder(&self, name: &str) -> PathBuf {
        self.root().join(OWN).join(name)
    }

    fn folder(&self, table: &dyn Layout) -> PathBuf {
        self.root().join(table.parent_folder()).join(table.name())
    }

    /// The log of a table, which must not end before its newest known version.
    fn log(&self, table: &dyn Layout) -> log::Log {
        // Read before the files are listed: a commit may come in between.
        self.log_of(table).known_to_reach(self.newest_of(table))
    }

    /// The log of a table, however much of it exists.
    fn log_of(&self, table: &dyn Layout) -> log::Log {
        let key = table_key(table);
        let log = log::Log::new(Arc::clone(&self.place), key.clone()).with_warnings(self.warn);
        match self.logs.lock() {
            Ok(mut logs) if self.place.as_folder().is_none() => {
                let fetched = || Arc::new(log::Fetched::of(self.pinned.is_some()));
                log.sharing(Arc::clone(logs.entry(key).or_insert_with(fetched)))
            }
            _ => log,
        }
    }
}

/// The key of a table's folder.
fn table_key(table: &dyn Layout) -> Key {
    Key::root().join(table.parent_folder()).join(table.name())
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

/// The error of changing a lake on a store.
pub(crate) fn only_read(lake: impl fmt::Display) -> Error {
    Error::usage(format!("the lake at `{lake}` can only be read"))
        .found("this version changes lakes in folders only")
        .hint("change the lake in a folder, then copy the folder to the store")
}

fn refuse_url(path: &Path) -> Result<()> {
    match path.to_str().and_then(|path| path.split_once("://")) {
        Some((scheme, _)) => Err(Error::usage(format!("a lake on `{scheme}://` is not supported"))
            .hint("name a folder, such as a mounted bucket")),
        None => Ok(()),
    }
}
