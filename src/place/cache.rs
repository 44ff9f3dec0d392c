//! A cache of a store's immutable objects on this machine's disk.
//!
//! ```text
//! ~/.cache/wabalake/1/ 9c41e0…/ tables.sessions/ 07be51…-5e0c77…
//!                      store    table            key, and its version and range
//! ```
//!
//! | what | version of a cached piece |
//! |---|---|
//! | data files, whole or a range | the size in the log: their names are random and never used again |
//! | commits and checkpoints | the entity tag of the listing: `erase` and a new mart rewrite names |
//!
//! A piece is written beside its place and renamed, and holds a hash of itself, so several processes
//! share the cache and a crash leaves nothing that is taken for a piece. An error of the disk is never
//! an error of the query: the bytes are in hand. The oldest pieces are deleted beyond the size limit.
//!
//! Pieces hold what the lake holds, persons included: only their owner can read them, `erase` empties
//! the cache, and files that are in no current version of a table leave it when the table is next read.

use std::collections::HashSet;
use std::fs::{self, File, FileTimes};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use super::Environment;
use crate::error::{Error, Result};
use crate::files::{Access, beside, is_temporary};

/// The folder of the cache, or `off`.
pub const PLACE: &str = "WABALAKE_CACHE";

/// The size limit of the cache in MiB.
pub const SIZE: &str = "WABALAKE_CACHE_MIB";

/// The size limit without [`SIZE`].
const USUAL_SIZE: u64 = 4 << 30;

/// The format of cached pieces, and their folder below the cache's.
const FORMAT: &str = "1";

/// A piece that was used is marked so at most this often.
const MARKED_EVERY: Duration = Duration::from_hours(6);

/// The size of the cache is checked this often, and when a process has written a good part of it.
const SWEPT_EVERY: Duration = Duration::from_mins(10);

/// Temporary files of this age belong to a process that was killed.
const LEFT_AFTER: Duration = Duration::from_hours(24);

/// Where a cache is, and how large it may become.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Its folder.
    pub folder: PathBuf,
    /// Its size in bytes.
    pub limit: u64,
}

impl Options {
    /// The user's cache; `None` if it is off, or if this user has no folder for caches.
    ///
    /// # Errors
    ///
    /// A size that is no number.
    pub fn of(environment: &Environment) -> Result<Option<Self>> {
        let limit = match environment.get(SIZE) {
            None => USUAL_SIZE,
            Some(mib) => {
                mib.trim().parse::<u64>().map(|mib| mib.saturating_mul(1 << 20)).map_err(|_| {
                    Error::usage(format!("`{SIZE}` is not a number"))
                        .hint("it is the size of the cache in MiB, such as 4096; 0 turns it off")
                })?
            }
        };
        let folder = match environment.get(PLACE) {
            Some(off) if off.eq_ignore_ascii_case("off") => None,
            Some(folder) => Some(PathBuf::from(folder)),
            None => usual_folder(environment),
        };
        Ok(folder.filter(|_| limit > 0).map(|folder| Self { folder, limit }))
    }
}

/// The folder for caches of this user.
fn usual_folder(environment: &Environment) -> Option<PathBuf> {
    let usual = environment.get("XDG_CACHE_HOME").map(PathBuf::from);
    let within = if cfg!(target_os = "macos") { "Library/Caches" } else { ".cache" };
    let of_home = || Some(environment.home()?.join(within));
    let folder = usual.filter(|folder| folder.is_absolute()).or_else(of_home)?;
    Some(folder.join("wabalake"))
}

/// The pieces of one store.
#[derive(Debug)]
pub(crate) struct Cache {
    /// The folder of all stores.
    all: PathBuf,
    /// That of this one.
    folder: PathBuf,
    limit: u64,
    written: AtomicU64,
    is_broken: AtomicBool,
}

/// A range of bytes of one version of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Piece<'a> {
    /// The key below the lake's root.
    pub(crate) key: &'a str,
    /// What tells versions of the object apart.
    pub(crate) version: &'a str,
    /// The bytes of it.
    pub(crate) range: Range<u64>,
}

impl<'a> Piece<'a> {
    /// A whole object whose size is not known.
    pub(crate) fn whole(key: &'a str, version: &'a str) -> Self {
        Self { key, version, range: 0..u64::MAX }
    }
}

impl Piece<'_> {
    /// The name of its file.
    pub(crate) fn name(&self) -> String {
        let Range { start, end } = self.range;
        let rest = xxh3_64(format!("{start}-{end} {}", self.version).as_bytes());
        let kind = if self.key.contains("/_delta_log/") { LOG } else { DATA };
        format!("{kind}{:016x}-{rest:016x}", name_of(self.key))
    }

    /// The first line of its file.
    fn title(&self, bytes: &[u8]) -> String {
        let Range { start, end } = self.range;
        let hash = xxh3_128(bytes);
        format!("wabalake {start}-{end} {:?} {:?} {hash:032x}\n", self.key, self.version)
    }
}

/// The first letter of the name of pieces of a log.
const LOG: char = 'l';

/// The first letter of the name of other pieces.
const DATA: char = 'd';

/// The part of the name that all pieces of an object share.
pub(crate) fn name_of(key: &str) -> u64 {
    xxh3_64(key.as_bytes())
}

impl Cache {
    /// The cache of a store.
    pub(super) fn new(options: &Options, store: &str) -> Self {
        let all = options.folder.join(FORMAT);
        let folder = all.join(format!("{:032x}", xxh3_128(store.as_bytes())));
        let (limit, written) = (options.limit, AtomicU64::new(0));
        Self { all, folder, limit, written, is_broken: AtomicBool::new(false) }
    }

    /// The folder that it was told.
    pub(crate) fn root(&self) -> &Path {
        self.all.parent().unwrap_or(&self.all)
    }

    /// A cached piece.
    pub(crate) fn get(&self, piece: &Piece<'_>) -> Option<Bytes> {
        let mut file = File::open(self.file(piece)).ok()?;
        let there = file.metadata().ok()?;
        let mut all = Vec::with_capacity(usize::try_from(there.len()).ok()?);
        file.read_to_end(&mut all).ok()?;
        let end = memchr::memchr(b'\n', &all)? + 1;
        let (title, bytes) = all.split_at(end);
        let length = piece.range.end.saturating_sub(piece.range.start);
        let is_short = length != u64::MAX && length != bytes.len() as u64;
        if is_short || title != piece.title(bytes).as_bytes() {
            return None;
        }
        let now = SystemTime::now();
        let age = there.modified().ok().and_then(|used| now.duration_since(used).ok());
        if age.is_some_and(|age| age > MARKED_EVERY) {
            // It only keeps its place in the queue.
            let _ = file.set_times(FileTimes::new().set_modified(now));
        }
        Some(Bytes::from(all).slice(end..))
    }

    /// Keeps a piece. An error of the disk ends caching for this process.
    pub(crate) fn put(&self, piece: &Piece<'_>, bytes: &Bytes) {
        if self.is_broken.load(Relaxed) || bytes.len() as u64 > self.limit / 4 {
            return;
        }
        let is_first = self.written.load(Relaxed) == 0;
        let Ok(()) = self.write(piece, bytes) else {
            self.is_broken.store(true, Relaxed);
            return;
        };
        let written = self.written.fetch_add(bytes.len() as u64, Relaxed) + bytes.len() as u64;
        if is_first || written > self.limit / 16 {
            self.written.store(1, Relaxed);
            self.sweep(if is_first { SWEPT_EVERY } else { Duration::ZERO });
        }
    }

    fn write(&self, piece: &Piece<'_>, bytes: &Bytes) -> io::Result<()> {
        let place = self.file(piece);
        let mut file = match beside(&place, Access::Owner) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                create(place.parent().unwrap_or(&self.folder))?;
                beside(&place, Access::Owner)?
            }
            file => file?,
        };
        file.write_all(piece.title(bytes).as_bytes())?;
        file.write_all(bytes)?;
        file.persist(&place).map(drop).map_err(|error| error.error)
    }

    /// Deletes the oldest pieces beyond the limit, unless another process just did.
    fn sweep(&self, at_least_every: Duration) {
        let mark = self.all.join("swept");
        let last = mark.metadata().and_then(|mark| mark.modified());
        if last.is_ok_and(|last| last.elapsed().is_ok_and(|age| age < at_least_every)) {
            return;
        }
        let Ok(lock) = File::create(&mark) else { return };
        if lock.try_lock().is_err() {
            return;
        }
        let mut pieces = pieces(&self.all);
        let mut total: u64 = pieces.iter().map(|piece| piece.bytes).sum();
        pieces.sort_unstable_by_key(|piece| piece.used);
        // Some room, or every new piece would need a sweep.
        let bound = self.limit - self.limit / 10;
        let is_over = total > self.limit;
        for piece in pieces {
            let is_left_over = piece.is_temporary && piece.used < SystemTime::now() - LEFT_AFTER;
            if is_left_over || is_over && total > bound {
                let _ = fs::remove_file(&piece.place);
                total -= piece.bytes;
            }
        }
    }

    /// Deletes pieces of a table's data files, except of those with these names.
    pub(crate) fn keep_only(&self, table: &str, files: &HashSet<u64>) {
        let Ok(pieces) = fs::read_dir(self.folder.join(group(table))) else { return };
        for piece in pieces.flatten() {
            let name = piece.file_name();
            let key = name.to_str().and_then(|name| name.strip_prefix(DATA)?.split('-').next());
            let key = key.and_then(|key| u64::from_str_radix(key, 16).ok());
            if key.is_some_and(|key| !files.contains(&key)) {
                let _ = fs::remove_file(piece.path());
            }
        }
    }

    fn file(&self, piece: &Piece<'_>) -> PathBuf {
        self.folder.join(group(piece.key)).join(piece.name())
    }
}

/// The folder of pieces of a table: `tables.sessions` for `tables/sessions/…`.
fn group(key: &str) -> String {
    let mut parts = key.split('/');
    let plain = |part: &str| {
        let is_plain = |c: &char| c.is_ascii_alphanumeric() || "_-".contains(*c);
        part.chars().filter(is_plain).take(60).collect::<String>()
    };
    let [first, second] = [(); 2].map(|()| parts.next().map(plain).unwrap_or_default());
    format!("{first}.{second}")
}

/// The size of a cache in bytes, and its number of pieces.
pub(crate) fn size(folder: &Path) -> (u64, u64) {
    let pieces = pieces(&folder.join(FORMAT));
    (pieces.iter().map(|piece| piece.bytes).sum(), pieces.len() as u64)
}

/// Deletes all pieces of all stores.
///
/// # Errors
///
/// A folder that cannot be deleted.
pub(crate) fn clear(folder: &Path) -> Result<()> {
    let folder = folder.join(FORMAT);
    match fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(Error::from(error)
            .context(format!("emptying the cache `{}`", folder.display()))
            .hint("delete the folder yourself: it holds copies of the lake's files")),
        _ => Ok(()),
    }
}

/// Creates a folder that only its owner can enter.
fn create(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// A file of the cache.
struct CachedFile {
    place: PathBuf,
    bytes: u64,
    used: SystemTime,
    is_temporary: bool,
}

/// The files of all stores.
fn pieces(all: &Path) -> Vec<CachedFile> {
    let entries = |folder: &Path| fs::read_dir(folder).into_iter().flatten().flatten();
    let stores = entries(all).map(|store| store.path());
    let groups = stores.flat_map(|store| entries(&store)).map(|group| group.path());
    let files = groups.flat_map(|group| entries(&group));
    let file = |file: fs::DirEntry| {
        let there = file.metadata().ok().filter(fs::Metadata::is_file)?;
        Some(CachedFile {
            is_temporary: file.file_name().to_str().is_some_and(is_temporary),
            place: file.path(),
            bytes: there.len(),
            used: there.modified().ok()?,
        })
    };
    files.filter_map(file).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tempfile::TempDir;

    use super::*;

    const STORE: &str = "s3://bucket/lake";

    fn cache_in(folder: &Path, store: &str, limit: u64) -> Cache {
        Cache::new(&Options { folder: folder.to_owned(), limit }, store)
    }

    fn piece<'a>(key: &'a str, version: &'a str, bytes: &Bytes) -> Piece<'a> {
        Piece { key, version, range: 0..bytes.len() as u64 }
    }

    #[test]
    fn piece_is_found_by_store_key_version_and_range() {
        let folder = TempDir::new().unwrap();
        let cache = cache_in(folder.path(), STORE, 1 << 20);
        let bytes = Bytes::from_static(b"rows\nof a file");
        let kept = piece("tables/sessions/a.parquet", "14", &bytes);
        assert_eq!(cache.get(&kept), None);
        cache.put(&kept, &bytes);
        assert_eq!(cache.get(&kept), Some(bytes.clone()));
        let others = [
            Piece { key: "tables/sessions/b.parquet", ..kept.clone() },
            Piece { version: "15", ..kept.clone() },
            Piece { range: 1..15, ..kept.clone() },
            Piece { range: 0..13, ..kept.clone() },
        ];
        assert!(others.iter().all(|other| cache.get(other).is_none()));
        assert_eq!(cache_in(folder.path(), "s3://bucket/other", 1 << 20).get(&kept), None);
        clear(folder.path()).unwrap();
        assert_eq!(cache.get(&kept), None);
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_can_read_pieces() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = TempDir::new().unwrap();
        let cache = cache_in(&folder.path().join("new"), STORE, 1 << 20);
        let bytes = Bytes::from_static(b"573005550101");
        let kept = piece("tables/sessions/a.parquet", "12", &bytes);
        cache.put(&kept, &bytes);
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o077;
        let file = cache.file(&kept);
        assert!(file.ancestors().take(4).all(|path| mode(path) == 0), "{}", file.display());
    }

    proptest! {
        #[test]
        fn altered_piece_is_not_taken(at in 0_usize..200, bit in 0_u32..8, cut: bool) {
            let folder = TempDir::new().unwrap();
            let cache = cache_in(folder.path(), STORE, 1 << 20);
            let bytes = Bytes::from(vec![7; 100]);
            let kept = piece("tables/sessions/a.parquet", "100", &bytes);
            cache.put(&kept, &bytes);
            let file = cache.file(&kept);
            let mut all = fs::read(&file).unwrap();
            let at = at % all.len();
            if cut { all.truncate(at) } else { all[at] ^= 1 << bit }
            fs::write(&file, all).unwrap();
            prop_assert_eq!(cache.get(&kept), None);
        }
    }

    #[test]
    fn cache_stays_below_its_limit_and_keeps_what_was_used_last() {
        let folder = TempDir::new().unwrap();
        let limit = 200_000;
        let bytes = Bytes::from(vec![1; 5_000]);
        for round in 0..10 {
            // As of another process each time.
            let cache = cache_in(folder.path(), STORE, limit);
            for file in 0..20 {
                let key = format!("tables/sessions/{round}-{file}");
                cache.put(&piece(&key, "", &bytes), &bytes);
                let old = SystemTime::now() - Duration::from_hours(100 - round);
                let place = cache.file(&piece(&key, "", &bytes));
                if let Ok(file) = File::options().write(true).open(place) {
                    file.set_modified(old).unwrap();
                }
            }
            assert!(size(folder.path()).0 <= limit + limit / 8, "{:?}", size(folder.path()));
        }
        let cache = cache_in(folder.path(), STORE, limit);
        assert!(cache.get(&piece("tables/sessions/0-1", "", &bytes)).is_none());
        assert!(cache.get(&piece("tables/sessions/9-19", "", &bytes)).is_some());
    }

    #[test]
    fn only_current_files_of_a_table_are_kept() {
        let folder = TempDir::new().unwrap();
        let cache = cache_in(folder.path(), STORE, 1 << 20);
        let bytes = Bytes::from_static(b"rows");
        let [old, new] = ["tables/sessions/old", "tables/sessions/new"];
        let commit = "tables/sessions/_delta_log/00000000000000000000.json";
        let other = "tables/messages/old";
        for key in [old, new, commit, other] {
            cache.put(&piece(key, "1", &bytes), &bytes);
        }
        cache.keep_only("tables/sessions", &HashSet::from([name_of(new)]));
        let is_there = |key| cache.get(&piece(key, "1", &bytes)).is_some();
        assert!(is_there(new) && is_there(other) && is_there(commit));
        assert!(!is_there(old));
    }

    #[test]
    fn unusable_folder_is_no_error() {
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        let cache = cache_in(&file, STORE, 1 << 20);
        let bytes = Bytes::from_static(b"rows");
        cache.put(&piece("a", "", &bytes), &bytes);
        assert_eq!(cache.get(&piece("a", "", &bytes)), None);
        assert!(cache.is_broken.load(Relaxed), "it is not tried again");
    }

    #[test]
    fn processes_share_a_cache() {
        let folder = TempDir::new().unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let cache = cache_in(folder.path(), STORE, 100_000);
                    for file in 0..200 {
                        let key = format!("tables/sessions/{}", file % 50);
                        let bytes = Bytes::from(vec![u8::try_from(file % 50).unwrap(); 1_000]);
                        if let Some(found) = cache.get(&piece(&key, "", &bytes)) {
                            assert_eq!(found, bytes);
                        }
                        cache.put(&piece(&key, "", &bytes), &bytes);
                    }
                });
            }
        });
    }
}
