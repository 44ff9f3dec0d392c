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
//! | `integers` | one integer column of many files, such as the hashes of keys |
//! | `creation` | creates the lake's folder, and removes it again if nothing was loaded |
//! | [`stage`] | writes data files |
//! | [`transact`] | commits changes, and computes them again after conflicts |
//! | [`history`], [`status`] | list commits; summarise the tables |
//! | [`undo`] | reverts the last load |
//! | `known` | versions of tables that were read before |
//! | `joint` | loads and undos over several tables: all or nothing |
//! | [`compact`], [`vacuum`] | merge the files of a day; delete files of old versions |
//! | `kept` | which old versions can still be read |
//! | [`erase`] | erases a person, also from old versions and the log |
//! | [`check`] | finds damaged files and suggests repairs |
//! | `keep_out` | the persons who were erased and must not come back |
//! | [`persons`] | the persons of user ids, and scans as queries see them |
//! | [`rejects`] | the table of rejected records |
//! | [`marts`] | answers that are stored as tables |
//! | [`runs`] | the table of nightly runs and erasures |
//! | `loads` | the table of loaded files, for queries |
//!
//! Tables are Delta tables in `<lake>/tables/<name>`, partitioned by `utc_day`; any Delta reader opens
//! them. A commit succeeds only if the table is still at the version it was computed from. Otherwise
//! it is a conflict, and [`Lake::transact`] computes the change again.

pub mod check;
pub mod compact;
mod creation;
mod damage;
pub mod erase;
mod files;
pub mod history;
mod integers;
mod joint;
pub(crate) mod keep_out;
mod kept;
mod key_filters;
mod known;
mod layout;
mod loads;
mod lock;
mod log;
pub mod marts;
pub mod persons;
pub mod rejects;
pub mod runs;
mod scans;
pub mod snapshot;
mod spill;
pub mod stage;
pub mod status;
#[cfg(test)]
mod tests;
pub mod transact;
pub mod undo;
pub mod vacuum;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, Once, OnceLock, PoisonError, Weak};

use chrono::{DateTime, Utc};
use tempfile::TempDir;
use wabalake_data::Table;
use xxhash_rust::xxh3::xxh3_64;

pub use self::creation::Creation;
pub(crate) use self::history::LOAD_ID;
pub(crate) use self::joint::Joint;
use self::known::Known;
pub use self::layout::{Layout, stored_table, stored_tables};
pub use self::lock::Lock;
pub use self::log::DataFile;
pub use self::snapshot::Snapshot;
pub use self::stage::{StagedFile, Staging};
pub use self::transact::{Change, Commit, Loaded, Operation, Transacted};
use crate::config::FILE;
use crate::error::{Error, Result, in_words};
use crate::place::lease::{Lease, Times};
use crate::place::{Key, OWN, Place};

/// Delta tables in a place.
#[derive(Debug)]
pub struct Lake {
    place: Arc<Place>,
    /// The text of the settings, once it was read from a store.
    settings: OnceLock<Option<String>>,
    /// The newest state read of each table, to continue from.
    known: Mutex<HashMap<Key, Known>>,
    /// The records of loads over several tables, as they were last listed.
    joint: Mutex<Option<BTreeSet<String>>>,
    /// What was read of logs on a store.
    logs: Mutex<HashMap<Key, Arc<log::Fetched>>>,
    /// The snapshots of tables that were read, if each is read once.
    pinned: Option<Mutex<HashMap<Key, Snapshot>>>,
    /// The lease on a store that this process holds.
    lease: Mutex<Weak<Lease>>,
    /// The times of leases.
    times: Times,
    /// Takes warnings for the user.
    warn: fn(&str),
    /// Done once the user was warned that there are no tables.
    warned_of_nothing: Once,
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
            joint: Mutex::default(),
            logs: Mutex::default(),
            pinned: None,
            lease: Mutex::default(),
            times: Times::default(),
            warn: |_| {},
            warned_of_nothing: Once::new(),
        }
    }

    /// Sets the function that takes warnings, such as those of damage that reads can skip.
    #[must_use]
    pub fn with_warnings(self, warn: fn(&str)) -> Self {
        Self { warn, ..self }
    }

    /// Keeps snapshots of tables on a store, for a command that changes nothing: what others commit
    /// meanwhile need not be seen. A folder is read anew each time, as that costs nothing.
    #[must_use]
    pub fn pinned(self) -> Self {
        let pinned = self.place.as_folder().is_none().then(Mutex::default);
        Self { pinned, ..self }
    }

    /// The times of leases and of the lock of the nightly run.
    pub(crate) fn lease_times(&self) -> Times {
        self.times
    }

    /// Sets the times of leases, for tests that do not wait for minutes.
    #[cfg(test)]
    pub(crate) fn with_lease_times(self, times: Times) -> Self {
        Self { times, ..self }
    }

    /// Where the lake is.
    pub fn place(&self) -> &Arc<Place> {
        &self.place
    }

    /// The lake's folder. That of a lake on a store is a path that cannot exist.
    pub fn root(&self) -> &Path {
        self.place.as_folder().unwrap_or(Path::new("\0"))
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

    /// The newest version of a table that readers see. A table without commits has no version and no
    /// rows.
    ///
    /// # Errors
    ///
    /// A log that cannot be read or that uses unsupported features: deletion vectors, column
    /// mapping, other types or partitions.
    pub fn snapshot(&self, table: impl Into<Layout>) -> Result<Snapshot> {
        self.snapshots([table])?.pop().ok_or_else(|| Error::bug("a table without a snapshot"))
    }

    /// The newest version of a table, also if it is part of a load that is not committed yet.
    fn newest(&self, layout: &Layout) -> Result<Snapshot> {
        self.read_snapshot(layout, &self.whole_log(layout))
    }

    /// The last version in a log.
    fn read_snapshot(&self, layout: &Layout, log: &log::Log) -> Result<Snapshot> {
        let key = layout.key();
        // Commits that are hidden now may be visible, or undone, by the time of a change.
        let under = if log.is_cut() { None } else { self.lease_name() };
        let state = log.state(self.known(&key))?;
        self.note_known(&key, state.clone(), under);
        Snapshot::new(layout.clone(), Arc::clone(&self.place), key, state)
    }

    /// Returns `true` if a file is loaded into a table, by its application transaction.
    pub fn is_loaded(&self, table: &Table, file_id: &str) -> Result<bool> {
        Ok(self.snapshot(table)?.transaction(file_id).is_loaded())
    }

    /// A staging area for files that a commit will add to a table.
    pub(crate) fn staging(&self, table: impl Into<Layout>) -> Result<Staging> {
        let layout = table.into();
        Ok(Staging::new(layout, Arc::clone(&self.place), Some(self.writing()?)))
    }

    /// A folder for temporary files, deleted when dropped: on the lake's disk, or in the cache folder of
    /// this machine if the lake is on a store.
    pub fn scratch(&self) -> Result<Scratch> {
        let writing = self.writing()?;
        Ok(Scratch { folder: self.place.scratch()?, _writing: Some(writing) })
    }

    /// Warns of damage that a read can skip.
    pub(crate) fn warn(&self, what: &str) {
        (self.warn)(what);
    }

    /// Waits for the lock on merging into a table. It covers this machine only and just saves work:
    /// commit conflicts decide who comes first.
    fn lock_table(&self, table: impl Into<Layout>) -> Result<Lock> {
        let file = self.table_lock(&table.into());
        match self.place.as_folder() {
            Some(_) => lock::wait(&file),
            None => Ok(lock::wait_if_possible(&file)),
        }
    }

    fn table_lock(&self, layout: &Layout) -> PathBuf {
        let name = match layout.parent_folder {
            layout::TABLES => layout.name.to_string(),
            within => format!("{within}.{}", layout.name),
        };
        self.turns().join(name)
    }

    /// The folder of the locks of tables, on this machine.
    fn turns(&self) -> PathBuf {
        match self.place.store() {
            None => self.internal_folder("locks"),
            Some(store) => {
                let store = format!("{:016x}", xxh3_64(store.identity().as_bytes()));
                let cache = self.place.cache().map(|cache| cache.root().to_owned());
                let within = cache.unwrap_or_else(|| std::env::temp_dir().join("wabalake"));
                within.join("locks").join(store)
            }
        }
    }

    /// The shared lock that keeps `vacuum` and `erase` out. On a store, a process holds one lease.
    pub(crate) fn writing(&self) -> Result<Lock> {
        if self.place.as_folder().is_some() {
            return lock::share(&self.writing_lock());
        }
        let mut held = self.lease.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lease) = held.upgrade() {
            return Ok(Lock::of_lease(lease));
        }
        self.place.require_conditions()?;
        let lease = Arc::new(Lease::share(&self.place, self.times)?);
        *held = Arc::downgrade(&lease);
        Ok(Lock::of_lease(lease))
    }

    /// The exclusive lease on a store; `None` if another process writes.
    fn alone(&self) -> Result<Option<Arc<Lease>>> {
        let mut held = self.lease.lock().unwrap_or_else(PoisonError::into_inner);
        self.place.require_conditions()?;
        let Some(lease) = Lease::alone(&self.place, self.times)? else { return Ok(None) };
        let lease = Arc::new(lease);
        *held = Arc::downgrade(&lease);
        Ok(Some(lease))
    }

    /// Waits until no other process writes, and keeps all out.
    fn wait_alone(&self) -> Result<Lock> {
        if self.place.as_folder().is_some() {
            return lock::wait(&self.writing_lock());
        }
        let mut has_warned = false;
        loop {
            if let Some(lease) = self.alone()? {
                return Ok(Lock::of_lease(lease));
            }
            if !has_warned {
                self.warn(
                    "another command is writing to the lake: waiting for it; one that was killed counts \
                     for two minutes",
                );
                has_warned = true;
            }
            self.wait_a_moment();
        }
    }

    /// The lease on a store that this process holds.
    fn lease(&self) -> Option<Arc<Lease>> {
        self.lease.lock().unwrap_or_else(PoisonError::into_inner).upgrade()
    }

    /// Checks, before a commit on a store, that other machines still know of this process.
    fn check_lease(&self) -> Result<()> {
        self.lease().map_or(Ok(()), |lease| lease.check())
    }

    /// Deletes files. On a store, others must still know of this process.
    fn delete_files(&self, files: &[Key]) -> Result<()> {
        /// How many files are deleted before the lease is checked again.
        const AT_ONCE: usize = 1000;
        for files in files.chunks(AT_ONCE) {
            self.check_lease()?;
            self.place.delete(files)?;
        }
        Ok(())
    }

    fn writing_lock(&self) -> PathBuf {
        self.internal_folder("locks").join("writing")
    }

    /// The path of an entry of `.wabalake`.
    pub(crate) fn internal_folder(&self, name: &str) -> PathBuf {
        self.root().join(OWN).join(name)
    }

    fn folder(&self, table: impl Into<Layout>) -> PathBuf {
        self.root().join(table.into().key().as_str())
    }

    /// The log of a table with all commits, which must not end before its newest known version.
    fn whole_log(&self, table: impl Into<Layout>) -> log::Log {
        let layout = table.into();
        // Read before the files are listed: a commit may come in between.
        self.log_of(&layout).known_to_reach(self.newest_of(&layout))
    }

    /// The log of a table, however much of it exists.
    fn log_of(&self, table: impl Into<Layout>) -> log::Log {
        let key = table.into().key();
        let log = log::Log::new(Arc::clone(&self.place), key.clone()).with_warnings(self.warn);
        match self.logs.lock() {
            Ok(mut logs) if self.place.as_folder().is_none() => {
                log.sharing(Arc::clone(logs.entry(key).or_default()))
            }
            _ => log,
        }
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
