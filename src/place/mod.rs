//! Where a lake is: a folder of this machine, or an object store.
//!
//! ```text
//! lake            which files make up a version, and in which order they are written
//!   │ Key         tables/sessions/_delta_log/00000000000000000020.json
//!   ▼
//! Place           list, read, make, swap, put, copy, delete
//!   ├─ folder     files of this machine: fsync, rename
//!   └─ store      objects: conditional puts, 64 requests at once
//! ```
//!
//! Everything blocks. Files are read, and what is written is whole or not there.
//!
//! | call | on a folder | on a store |
//! |---|---|---|
//! | [`Place::make`] | rename that replaces nothing | put with `If-None-Match: *` |
//! | [`Place::swap`] | rename under a lock, if the tag is as it was | put with `If-Match` |
//! | [`Place::sync`] | fsync of files and folders | nothing: what is answered is durable |
//!
//! If a call of [`Place::make`] is in doubt, because an answer was lost, the file is read back: the
//! same bytes mean that this call made it. So bytes that are made must be nobody else's: they carry a
//! UUID.

mod access;
mod address;
mod ahead;
pub mod cache;
mod checkup;
mod conditional;
#[cfg(test)]
pub(crate) mod counting;
mod download;
mod fault;
mod folder;
mod hashing;
pub(crate) mod heartbeat;
pub(crate) mod http;
mod key;
pub(crate) mod lease;
mod options;
mod part;
mod probe;
mod remote;
mod resolve;
mod save;
mod scan;
mod store;
#[cfg(test)]
mod tests;
mod versions;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use tempfile::TempDir;

pub use self::access::Environment;
pub use self::address::{Address, Bucket};
pub(crate) use self::ahead::{unwrapped, with_addresses};
pub use self::checkup::{Finding, Verdict};
pub(crate) use self::download::Download;
use self::folder::Folder;
pub use self::http::Counts;
pub use self::key::Key;
pub use self::options::StoreOptions;
pub(crate) use self::options::VARIABLE;
pub(crate) use self::part::{Part, tail};
pub use self::probe::Conditions;
pub(crate) use self::remote::Remote;
pub(crate) use self::resolve::Resolver;
use self::scan::Scans;
pub(crate) use self::store::{IN_ONE_PUT, Store};
pub(crate) use self::versions::{Kept, Version};
use crate::error::{Context as _, Result};

/// The folder below a lake's root for what is no table.
pub(crate) const OWN: &str = ".wabalake";

/// Where a lake is.
#[derive(Debug)]
pub struct Place {
    kind: Kind,
    /// For messages; it holds no secret.
    shown: String,
    scans: Scans,
}

#[derive(Debug)]
enum Kind {
    Folder(Folder),
    Store(Arc<Store>),
}

/// A file, as it is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its key.
    pub key: Key,
    /// Its size in bytes.
    pub bytes: u64,
    /// When it was written, by the clock of its place.
    pub modified: DateTime<Utc>,
    /// Changes with the file's content; `None` if the place has no such thing.
    pub tag: Option<String>,
}

/// The outcome of a write that has a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Made {
    /// It was written, by this call.
    Done,
    /// It was not: the condition does not hold. Another's bytes were seen there.
    Taken,
}

/// Bytes to write.
#[derive(Debug)]
pub enum Payload {
    /// Bytes in memory.
    Bytes(Bytes),
    /// A file of this machine, in a folder of [`Place::scratch`]. It may be moved away.
    File(PathBuf),
}

impl From<Bytes> for Payload {
    fn from(bytes: Bytes) -> Self {
        Self::Bytes(bytes)
    }
}

impl Place {
    /// A place in an existing folder.
    pub fn folder(root: impl Into<PathBuf>) -> Self {
        let root = root.into();
        let shown = root.display().to_string();
        Self { kind: Kind::Folder(Folder::new(root)), shown, scans: Scans::default() }
    }

    /// A place in an existing folder, or in an object store, to which no request is made.
    ///
    /// # Errors
    ///
    /// A store without credentials, or with settings that cannot be used.
    pub fn open(
        address: &Address,
        options: &StoreOptions,
        environment: &Environment,
    ) -> Result<Self> {
        match address {
            Address::Folder(root) => Ok(Self::folder(root)),
            Address::Store(bucket) => {
                let connected = access::connect(bucket, options, environment)?;
                let place = Self::connected(connected, &bucket.prefix, bucket.to_string())?;
                Ok(place.with_cache(cache::Options::of(environment)?))
            }
        }
    }

    /// A place in an object store that is at hand, such as one in memory.
    ///
    /// # Errors
    ///
    /// A prefix that no object has.
    pub fn over(objects: Arc<dyn object_store::ObjectStore>, prefix: &str) -> Result<Self> {
        let connected = access::Connected::unnamed(objects);
        Self::connected(connected, prefix, format!("memory://{prefix}"))
    }

    fn connected(connected: access::Connected, prefix: &str, url: String) -> Result<Self> {
        let store = Arc::new(Store::new(connected, prefix, url.clone())?);
        Ok(Self { kind: Kind::Store(store), shown: url, scans: Scans::default() })
    }

    /// The object store, if the place is one.
    pub(crate) fn store(&self) -> Option<&Arc<Store>> {
        match &self.kind {
            Kind::Folder(_) => None,
            Kind::Store(store) => Some(store),
        }
    }

    /// Requests to the store so far; none for a folder.
    pub fn counts(&self) -> Counts {
        self.store().map(|store| store.connected().meter.counts()).unwrap_or_default()
    }

    /// The address for messages, without secrets.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// The folder, if the place is one.
    pub fn as_folder(&self) -> Option<&Path> {
        match &self.kind {
            Kind::Folder(folder) => Some(folder.root()),
            Kind::Store(_) => None,
        }
    }

    /// Lists files below a key, also in subfolders, by key. Links are not listed, and not followed.
    ///
    /// `after` is relative to `below`: only files whose path from there is greater are listed. Nothing
    /// is listed below a key that does not exist.
    ///
    /// # Errors
    ///
    /// A place that cannot be read.
    pub fn list(&self, below: &Key, after: Option<&str>) -> Result<Vec<Entry>> {
        match &self.kind {
            Kind::Folder(folder) => folder.list(below, after),
            Kind::Store(store) => store.list(below, after),
        }
    }

    /// Lists the folders right below a key, by key. On a store, these are the common prefixes.
    ///
    /// # Errors
    ///
    /// A place that cannot be read.
    pub fn folders(&self, below: &Key) -> Result<Vec<Key>> {
        match &self.kind {
            Kind::Folder(folder) => folder.folders(below),
            Kind::Store(store) => store.folders(below),
        }
    }

    /// Looks up files, many at once; `None` for those that do not exist. In the order of `keys`.
    pub fn entries(&self, keys: &[Key]) -> Vec<Result<Option<Entry>>> {
        match &self.kind {
            Kind::Folder(folder) => folder.entries(keys),
            Kind::Store(store) => store.entries(keys),
        }
    }

    /// Looks up a file; `None` if it does not exist.
    ///
    /// # Errors
    ///
    /// A place that cannot be read.
    pub fn entry(&self, key: &Key) -> Result<Option<Entry>> {
        self.entries(std::slice::from_ref(key)).pop().unwrap_or(Ok(None))
    }

    /// Reads a file; `None` if it does not exist.
    ///
    /// # Errors
    ///
    /// A file that cannot be read.
    pub fn read(&self, key: &Key) -> Result<Option<Bytes>> {
        match &self.kind {
            Kind::Folder(folder) => folder.read(key),
            Kind::Store(store) => store.read(key),
        }
    }

    /// Reads files, many at once; `None` for those that do not exist. In the order of `keys`.
    pub fn read_all(&self, keys: &[Key]) -> Vec<Result<Option<Bytes>>> {
        match &self.kind {
            Kind::Folder(folder) => folder.read_all(keys),
            Kind::Store(store) => store.read_all(keys),
        }
    }

    /// Writes a file that must not exist yet, durably. If the answer is in doubt, the file is read
    /// back, so `bytes` must be nobody else's: they carry a UUID.
    ///
    /// # Errors
    ///
    /// A file that cannot be written. If it may have been written nevertheless, the error
    /// [is in doubt](crate::error::Error::is_in_doubt).
    pub fn make(&self, key: &Key, bytes: Bytes) -> Result<Made> {
        match &self.kind {
            Kind::Folder(folder) => folder.make(key, &bytes),
            Kind::Store(store) => store.make(key, bytes),
        }
    }

    /// Replaces a file whose tag is still `tag`, durably. `bytes` must be nobody else's, nor those
    /// that are there: they carry a UUID.
    ///
    /// # Errors
    ///
    /// As [`Place::make`].
    pub fn swap(&self, key: &Key, bytes: Bytes, tag: &str) -> Result<Made> {
        match &self.kind {
            Kind::Folder(folder) => folder.swap(key, &bytes, tag),
            Kind::Store(store) => store.swap(key, bytes, tag),
        }
    }

    /// Writes a file, or replaces it: readers find all of it or what was there before. In a folder it
    /// is durable after [`Place::sync`] only.
    ///
    /// # Errors
    ///
    /// A file that cannot be read or written.
    pub fn put(&self, key: &Key, from: impl Into<Payload>) -> Result<()> {
        match &self.kind {
            Kind::Folder(folder) => folder.put(key, from.into()),
            Kind::Store(store) => store.put(key, from.into()),
        }
    }

    /// Writes a small file durably, or replaces it: whatever happens, all of it is there or what was
    /// there before.
    ///
    /// # Errors
    ///
    /// A file that cannot be written.
    pub fn replace(&self, key: &Key, bytes: Bytes) -> Result<()> {
        match &self.kind {
            Kind::Folder(folder) => folder.replace(key, &bytes),
            Kind::Store(store) => store.put(key, bytes.into()),
        }
    }

    /// Writes a file as [`Place::put`]. A store tells browsers its type, such as `text/html`.
    ///
    /// # Errors
    ///
    /// A file that cannot be written.
    pub(crate) fn put_typed(
        &self,
        key: &Key,
        bytes: Bytes,
        content_type: &'static str,
    ) -> Result<()> {
        match &self.kind {
            Kind::Folder(folder) => folder.put(key, bytes.into()),
            Kind::Store(store) => store.put_typed(key, bytes, content_type),
        }
    }

    /// The time by the clock of the place, as far as its answers tell it.
    pub(crate) fn now(&self) -> DateTime<Utc> {
        let store = self.store().map(|store| &store.connected().meter);
        let ahead = store.and_then(|meter| meter.clock_ahead()).unwrap_or_default();
        Utc::now() + TimeDelta::seconds(ahead)
    }

    /// Copies a file, within the place.
    ///
    /// # Errors
    ///
    /// A file that does not exist or cannot be copied.
    pub fn copy(&self, from: &Key, to: &Key) -> Result<()> {
        match &self.kind {
            Kind::Folder(folder) => folder.copy(from, to),
            Kind::Store(store) => store.copy(from, to),
        }
    }

    /// Deletes files. One that does not exist is no error.
    ///
    /// # Errors
    ///
    /// The first file that cannot be deleted; the others are.
    pub fn delete(&self, keys: &[Key]) -> Result<()> {
        match &self.kind {
            Kind::Folder(folder) => folder.delete(keys),
            Kind::Store(store) => store.delete(keys),
        }
    }

    /// Makes files and the folders that lead to them durable. On a store they are already.
    ///
    /// # Errors
    ///
    /// A file that cannot be synced.
    pub fn sync(&self, keys: &[Key]) -> Result<()> {
        match &self.kind {
            Kind::Folder(folder) => folder.sync(keys),
            Kind::Store(_) => Ok(()),
        }
    }

    /// The URL of a file or folder, for other programs: `file:///…`, `s3://…`, `gs://…`, `abfss://…`.
    pub fn url(&self, key: &Key) -> String {
        match &self.kind {
            Kind::Folder(folder) => {
                let path = folder.path(key);
                let url = url::Url::from_file_path(&path).map(String::from);
                url.unwrap_or_else(|()| path.display().to_string())
            }
            Kind::Store(store) => store.public_url(key),
        }
    }

    /// A new folder of this machine for temporary files, deleted when dropped.
    ///
    /// # Errors
    ///
    /// A folder that cannot be created.
    pub fn scratch(&self) -> Result<TempDir> {
        match &self.kind {
            Kind::Folder(folder) => folder.scratch(),
            Kind::Store(_) => scratch(),
        }
    }
}

/// A folder for temporary files of a lake on a store. The system's temporary folder may be memory, so
/// it comes second.
fn scratch() -> Result<TempDir> {
    if let Some(cache) = cache_folder(&Environment::of_process()) {
        let within = cache.join("scratch");
        let made = std::fs::create_dir_all(&within).and_then(|()| TempDir::new_in(&within));
        if let Ok(scratch) = made {
            return Ok(scratch);
        }
    }
    TempDir::new().context(|| "creating a temporary folder")
}

/// The folder of this machine for copies of what stores hold: `$XDG_CACHE_HOME/wabalake`, else
/// `~/.cache/wabalake`.
pub(crate) fn cache_folder(environment: &Environment) -> Option<PathBuf> {
    let cache = environment.get("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.filter(|cache| cache.is_absolute());
    Some(cache.or_else(|| Some(environment.home()?.join(".cache")))?.join("wabalake"))
}
