//! The object store that Polars scans a lake through: it knows the sizes of files, and reads ahead.
//!
//! ```text
//! scan of 400 files   sizes are those of the log                          no request
//! first file          its footer is asked for                             it is fetched whole
//!                     the next 2 files are fetched at once, then 4, … 64
//! later files         their footers and columns are asked for             from memory
//! ```
//!
//! Polars opens few files at once, and asks for the size, the footer and the columns of each in turn:
//! 6.5 s for 400 files at 30 ms a request. So files of at most 1 MiB are fetched whole, and the ends
//! of larger ones, before Polars comes to them. No more files are fetched ahead in vain than Polars has
//! opened: a filter that skips files costs at most as many requests again as it needs.
//!
//! A scan names files `wabalake://3/tables/sessions/utc_day=2025-06-01/5e0c….parquet`, where 3 is the
//! number of the store in this process. Names begin at the lake's root, so a part such as `env=prod`
//! of its own address is not taken for a partition.

mod polars;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak};

use ::polars::prelude::PlRefPath;
use bytes::Bytes;
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectMeta, ObjectStore};
use tokio::runtime::Handle;
use tokio::sync::{Mutex as Turn, Semaphore};

use self::polars::{register, wrapped};
pub(crate) use self::polars::{unwrapped, with_addresses};
use super::cache::{Cache, Piece};
use crate::error::{Error, Result};

/// The scheme of files in scans.
const SCHEME: &str = "wabalake";

/// Files of at most this size are fetched whole.
const SMALL: u64 = 1 << 20;

/// The end of a larger file, with its footer.
const TAIL: u64 = 64 << 10;

/// The most files that are fetched before they are asked for, and the most requests at once.
const AHEAD: usize = 64;

/// The most bytes that are kept in memory.
const HELD: usize = 256 << 20;

/// Converts the error of a request for a key.
pub(super) type Explain = Box<dyn Fn(&object_store::Error, &str) -> Error + Send + Sync>;

/// A store of immutable files for scans.
pub(crate) struct Ahead {
    number: usize,
    /// The address of its root, for messages.
    address: String,
    inner: Arc<dyn ObjectStore>,
    explain: Explain,
    cache: Option<Arc<Cache>>,
    /// Fetches files ahead; `None` if a request takes no time.
    workers: Option<Handle>,
    files: RwLock<HashMap<Path, Arc<File>>>,
    /// Files whose bytes are in memory, the oldest first, and their size.
    held: Mutex<(VecDeque<Arc<File>>, usize)>,
    /// The most bytes in memory.
    at_most: usize,
    requests: Semaphore,
}

/// A file of a scan.
struct File {
    key: Path,
    bytes: u64,
    /// The newest scan that it is part of, and its place there.
    scan: Mutex<Option<(Arc<Scan>, usize)>>,
    /// Its bytes, or those of its tail: whoever holds the lock fetches them for all.
    fetched: Turn<Option<Bytes>>,
}

/// The files of a scan, in order.
struct Scan {
    files: Vec<Weak<File>>,
    progress: Mutex<Progress>,
}

/// How far a scan is.
#[derive(Debug)]
struct Progress {
    files: Vec<Seen>,
    /// The files before this one are opened, fetched ahead, or passed over.
    next: usize,
    opened: usize,
    /// The number of files that were fetched ahead and not opened so far.
    in_vain: usize,
}

/// What a scan did with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    Nothing,
    Ahead,
    Opened,
}

impl Progress {
    fn of(files: usize) -> Self {
        Self { files: vec![Seen::Nothing; files], next: 0, opened: 0, in_vain: 0 }
    }

    /// The files to fetch ahead now that one is opened.
    fn open(&mut self, at: usize) -> Range<usize> {
        match std::mem::replace(&mut self.files[at], Seen::Opened) {
            Seen::Opened => return 0..0,
            Seen::Ahead => self.in_vain -= 1,
            Seen::Nothing => {}
        }
        self.opened += 1;
        let more = self.opened.max(2).saturating_sub(self.in_vain);
        let start = self.next.max(at + 1).min(self.files.len());
        let end = (start + more).min(at + 1 + AHEAD).min(self.files.len()).max(start);
        self.files[start..end].fill(Seen::Ahead);
        self.in_vain += end - start;
        self.next = end;
        start..end
    }
}

impl Ahead {
    /// A store for scans of files below the root of `inner`. Without workers nothing is fetched ahead
    /// nor cached.
    ///
    /// # Errors
    ///
    /// A Polars that does not take the store.
    pub(super) fn new(
        address: &str,
        inner: Arc<dyn ObjectStore>,
        explain: Explain,
        cache: Option<Arc<Cache>>,
        workers: Option<Handle>,
    ) -> Result<Arc<Self>> {
        register(|number| Self {
            number,
            address: address.to_owned(),
            inner,
            explain,
            cache: cache.filter(|_| workers.is_some()),
            workers,
            files: RwLock::default(),
            held: Mutex::default(),
            at_most: HELD,
            requests: Semaphore::new(AHEAD),
        })
    }

    /// The paths that a scan of files takes, from their keys and sizes.
    ///
    /// # Errors
    ///
    /// A key that no store has.
    pub(crate) fn scan<'a>(
        &self,
        files: impl IntoIterator<Item = (&'a str, u64)>,
    ) -> Result<Vec<PlRefPath>> {
        let mut known = self.files.write().unwrap_or_else(PoisonError::into_inner);
        let mut scanned = Vec::new();
        let mut paths = Vec::new();
        for (key, bytes) in files {
            let path = Path::parse(key).map_err(|_| {
                Error::lake(format!("`{key}` is not a path on an object store"))
                    .hint("another program wrote it: let only wabalake write to the lake")
            })?;
            paths.push(PlRefPath::new(self.path(key)));
            let file = known.entry(path.clone()).or_insert_with(|| File::of(path.clone(), bytes));
            // A mart that was made anew may have a file of the same name.
            if file.bytes != bytes {
                *file = File::of(path, bytes);
            }
            scanned.push(Arc::clone(file));
        }
        let progress = Mutex::new(Progress::of(scanned.len()));
        let scan = Arc::new(Scan { files: scanned.iter().map(Arc::downgrade).collect(), progress });
        for (at, file) in scanned.iter().enumerate() {
            *lock(&file.scan) = Some((Arc::clone(&scan), at));
        }
        Ok(paths)
    }

    /// The path by which a scan names a key.
    fn path(&self, key: &str) -> String {
        format!("{SCHEME}://{}/{key}", self.number)
    }

    fn file(&self, key: &Path) -> object_store::Result<Arc<File>> {
        let files = self.files.read().unwrap_or_else(PoisonError::into_inner);
        files.get(key).cloned().ok_or_else(|| damaged(key, "is missing", None))
    }

    /// Fetches the files after one that is opened, in the background.
    fn read_ahead(self: &Arc<Self>, opened: &File) {
        let Some(workers) = &self.workers else { return };
        let Some((scan, at)) = lock(&opened.scan).clone() else { return };
        let next = lock(&scan.progress).open(at);
        for file in scan.files[next].iter().filter_map(Weak::upgrade) {
            let store = Arc::clone(self);
            // Whoever asks for the file meets the error again.
            workers.spawn(async move { store.fetch_start(&file).await.map(drop) });
        }
    }

    /// The bytes that are fetched before others: the whole of a small file, the tail of a larger one.
    async fn fetch_start(&self, file: &Arc<File>) -> object_store::Result<Bytes> {
        let mut fetched = file.fetched.lock().await;
        if let Some(bytes) = &*fetched {
            return Ok(bytes.clone());
        }
        let bytes = self.fetch(file, file.start()..file.bytes).await?;
        *fetched = Some(bytes.clone());
        drop(fetched);
        self.hold(file, bytes.len());
        Ok(bytes)
    }

    /// Counts bytes in memory, and drops the oldest beyond the limit.
    fn hold(&self, file: &Arc<File>, bytes: usize) {
        let mut held = lock(&self.held);
        let (files, size) = &mut *held;
        files.push_back(Arc::clone(file));
        *size += bytes;
        for _ in 1..files.len() {
            if *size <= self.at_most {
                break;
            }
            let Some(oldest) = files.pop_front() else { break };
            let dropped = oldest.fetched.try_lock().map(|mut fetched| fetched.take());
            match dropped {
                Ok(bytes) => *size -= bytes.map_or(0, |bytes| bytes.len()),
                Err(_) => files.push_back(oldest),
            }
        }
    }

    /// Fetches a range of a file from the cache, else from the store.
    async fn fetch(&self, file: &File, range: Range<u64>) -> object_store::Result<Bytes> {
        let version = file.bytes.to_string();
        let piece = Piece { key: file.key.as_ref(), version: &version, range };
        if let Some(bytes) = self.cache.as_ref().and_then(|cache| cache.get(&piece)) {
            return Ok(bytes);
        }
        let is_whole = piece.range == (0..file.bytes);
        let options = GetOptions {
            range: (!is_whole).then(|| GetRange::Bounded(piece.range.clone())),
            ..GetOptions::default()
        };
        // The semaphore is never closed.
        let _request = self.requests.acquire().await;
        let got = self.inner.get_opts(&file.key, options).await;
        let got = got.map_err(|error| self.error(&error, file))?;
        if got.meta.size != file.bytes {
            let found = format!("{} bytes, where {} were written", got.meta.size, file.bytes);
            return Err(file.damaged("differs in size from the log", Some(found)));
        }
        let bytes = got.bytes().await.map_err(|error| self.error(&error, file))?;
        if bytes.len() as u64 != piece.range.end - piece.range.start {
            return Err(file.damaged("is truncated", None));
        }
        if let Some(cache) = &self.cache {
            cache.put(&piece, &bytes);
        }
        Ok(bytes)
    }

    fn error(&self, error: &object_store::Error, file: &File) -> object_store::Error {
        match error {
            object_store::Error::NotFound { .. } => file.damaged("is missing", None),
            error => wrapped((self.explain)(error, file.key.as_ref())),
        }
    }

    async fn read(&self, file: &Arc<File>, range: Range<u64>) -> object_store::Result<Bytes> {
        let start = file.start();
        if range.start < start {
            return self.fetch(file, range).await;
        }
        let bytes = self.fetch_start(file).await?;
        let [from, to] = [range.start, range.end]
            .map(|at| usize::try_from(at - start).map_or(bytes.len(), |at| at.min(bytes.len())));
        Ok(bytes.slice(from..to))
    }
}

impl File {
    fn of(key: Path, bytes: u64) -> Arc<Self> {
        Arc::new(Self { key, bytes, scan: Mutex::default(), fetched: Turn::default() })
    }

    /// Where the bytes start that are fetched before others.
    fn start(&self) -> u64 {
        if self.bytes <= SMALL { 0 } else { self.bytes - TAIL }
    }

    fn meta(&self) -> ObjectMeta {
        ObjectMeta {
            location: self.key.clone(),
            last_modified: chrono::DateTime::UNIX_EPOCH,
            size: self.bytes,
            e_tag: None,
            version: None,
        }
    }

    fn damaged(&self, what: &str, found: Option<String>) -> object_store::Error {
        damaged(&self.key, what, found)
    }
}

impl fmt::Debug for Ahead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}://{}", self.number)
    }
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} bytes", self.key, self.bytes)
    }
}

impl fmt::Debug for Scan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} files", self.files.len())
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

fn damaged(key: &Path, what: &str, found: Option<String>) -> object_store::Error {
    let error = Error::lake(format!("the lake is damaged: `{key}` {what}"));
    let error = error.hint(
        "run the command again, since another may have replaced it; else restore it from a backup",
    );
    wrapped(match found {
        Some(found) => error.found(found),
        None => error,
    })
}
