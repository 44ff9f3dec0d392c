//! Detects damaged files, and words the error of each.
//!
//! | file | checked by |
//! |---|---|
//! | a commit | `commit_hash` in its `commitInfo`, over all other bytes of the commit |
//! | a data file | its size in the log, and the hashes of the file and of its footer in the tags of its `add` |
//! | a checkpoint | the hashes in the file `.N.checkpoint.xxh3` beside it |
//! | a log that lost its end | `.wabalake/newest/TABLE`, the newest version that was committed |
//!
//! Hashes are XXH3 of 128 bits. That of a commit is seeded with its version, so that a commit in the
//! place of another does not match either. Files that were written without hashes are checked without.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::fs::{self, File};
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::path::Path;

use memchr::memmem::find;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::reader::ChunkReader;
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use super::log::DataFile;
use crate::error::Error;
use crate::place::Key;

/// The tag of an `add` with the hash of its file.
pub(super) const FILE_HASH: &str = "wabalake.xxh3";

/// The tag of an `add` with the hash of its file's Parquet footer.
pub(super) const FOOTER_HASH: &str = "wabalake.xxh3.footer";

/// The entry of `commitInfo` with the hash of the commit.
pub(super) const COMMIT_HASH: &str = "commit_hash";

/// The prefix of the value of [`COMMIT_HASH`].
const ALGORITHM: &str = "xxh3-128:";

/// The placeholder of a hash.
const NO_DIGITS: &str = "00000000000000000000000000000000";

/// A 128-bit hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hash(u128);

impl Hash {
    pub(super) fn of(bytes: &[u8]) -> Self {
        Self(xxhash_rust::xxh3::xxh3_128(bytes))
    }

    /// Parses 32 hexadecimal digits.
    pub(super) fn read(digits: &str) -> Option<Self> {
        let is_one = digits.len() == NO_DIGITS.len()
            && digits.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
        u128::from_str_radix(digits, 16).ok().filter(|_| is_one).map(Self)
    }

    /// The size and the hash of a file.
    pub(super) fn of_file(place: &Path) -> std::io::Result<(u64, Self)> {
        let mut file = File::open(place)?;
        let (mut hasher, mut bytes) = (Xxh3::new(), 0);
        let mut chunk = vec![0; 1 << 18];
        loop {
            match file.read(&mut chunk)? {
                0 => return Ok((bytes, Self(hasher.digest128()))),
                read => {
                    hasher.update(&chunk[..read]);
                    bytes += read as u64;
                }
            }
        }
    }
}

impl From<u128> for Hash {
    fn from(hash: u128) -> Self {
        Self(hash)
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// A writer that hashes what is written through it.
pub(super) struct HashingWriter<W> {
    inner: W,
    hasher: Xxh3,
}

impl<W: std::io::Write> HashingWriter<W> {
    pub(super) fn new(inner: W) -> Self {
        Self { inner, hasher: Xxh3::new() }
    }

    /// The hash of all that was written, and the inner writer.
    pub(super) fn end(self) -> (Hash, W) {
        (Hash(self.hasher.digest128()), self.inner)
    }
}

impl<W: std::io::Write> std::io::Write for HashingWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.inner.flush()
    }
}

/// The value of [`COMMIT_HASH`] before the hash is known.
pub(super) fn hash_placeholder() -> String {
    format!("{ALGORITHM}{NO_DIGITS}")
}

/// Fills in the hash of a commit, if it has a placeholder or an older hash.
pub(super) fn with_hash(mut commit: Vec<u8>, version: u64) -> Vec<u8> {
    if let Some(at) = digits(&commit) {
        let hash = commit_hash(&commit, at, version);
        commit[at..at + NO_DIGITS.len()].copy_from_slice(hash.to_string().as_bytes());
    }
    commit
}

/// Returns whether the hash of a commit matches; `None` if it has none.
pub(super) fn matches_hash(commit: &[u8], version: u64) -> Option<bool> {
    match digits(commit) {
        Some(at) => {
            let said = &commit[at..at + NO_DIGITS.len()];
            Some(commit_hash(commit, at, version).to_string().as_bytes() == said)
        }
        // Damage to the key or to the algorithm leaves the other one, so the commit did have a
        // hash.
        None => {
            let marks = [format!("\"{COMMIT_HASH}\""), format!("\"{ALGORITHM}")];
            let any = marks.iter().any(|mark| find(commit, mark.as_bytes()).is_some());
            any.then_some(false)
        }
    }
}

/// The position of the digits of a commit's hash.
fn digits(commit: &[u8]) -> Option<usize> {
    let before = format!("\"{COMMIT_HASH}\":\"{ALGORITHM}");
    let at = find(commit, before.as_bytes())? + before.len();
    let digits = commit.get(at..at + NO_DIGITS.len())?;
    let ends = commit.get(at + NO_DIGITS.len()) == Some(&b'"');
    (ends && digits.iter().all(u8::is_ascii_hexdigit)).then_some(at)
}

fn commit_hash(commit: &[u8], at: usize, version: u64) -> Hash {
    let mut hasher = Xxh3::with_seed(version);
    hasher.update(&commit[..at]);
    hasher.update(&commit[at + NO_DIGITS.len()..]);
    Hash(hasher.digest128())
}

/// The hash of a Parquet file's footer, which differs between any two files.
pub(super) fn footer_hash(place: &Path) -> std::io::Result<u64> {
    footer_hash_in(File::open(place)?)
}

/// The same, of a file that is open.
pub(super) fn footer_hash_in(mut file: impl Read + Seek) -> std::io::Result<u64> {
    const LONGEST: u32 = 64 << 20;
    let invalid = || std::io::Error::from(ErrorKind::InvalidData);
    let mut end = [0; 8];
    file.seek(SeekFrom::End(-8))?;
    file.read_exact(&mut end)?;
    let [a, b, c, d, ..] = end;
    let length = u32::from_le_bytes([a, b, c, d]);
    if &end[4..] != b"PAR1" || length > LONGEST {
        return Err(invalid());
    }
    file.seek(SeekFrom::End(-8 - i64::from(length)))?;
    let mut footer = Vec::new();
    file.take(u64::from(length)).read_to_end(&mut footer)?;
    footer.extend(end);
    Ok(xxh3_64(&footer))
}

/// What is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Damage {
    /// It does not exist.
    Missing,
    /// It has a size other than that in the log.
    Size {
        /// The size in the log.
        expected: u64,
        /// The actual size.
        found: u64,
    },
    /// It has the right size, but is another file.
    Another,
    /// Its hash does not match.
    Altered,
    /// It has no content.
    Empty,
    /// It is truncated.
    Cut,
    /// It cannot be parsed.
    Unreadable,
    /// It contradicts the state before it.
    Impossible(String),
}

impl Damage {
    /// A clause that follows the file's name.
    pub(super) fn what(&self) -> String {
        match self {
            Self::Missing => "is missing".to_owned(),
            Self::Size { .. } => "differs in size from the log".to_owned(),
            Self::Another => "was replaced by another file".to_owned(),
            Self::Altered => "was altered after it was written".to_owned(),
            Self::Empty => "is empty".to_owned(),
            Self::Cut => "is truncated".to_owned(),
            Self::Unreadable => "cannot be read".to_owned(),
            Self::Impossible(what) => what.clone(),
        }
    }

    /// What was found instead, if that says more.
    pub(super) fn found(&self) -> Option<String> {
        match self {
            Self::Size { expected, found } => {
                Some(format!("{found} bytes, where {expected} were written"))
            }
            Self::Another => Some("its footer is not the one that was written".to_owned()),
            Self::Altered => Some("its hash does not match the recorded one".to_owned()),
            _ => None,
        }
    }

    /// The error for a damaged file.
    pub(super) fn error(&self, file: &str) -> Error {
        let error = Error::lake(format!("the lake is damaged: `{file}` {}", self.what()));
        match self.found() {
            Some(found) => error.found(found),
            None => error,
        }
    }

    /// A checkpoint that lacks parts.
    pub(super) fn of_parts(of: usize, parts: &[Key]) -> Self {
        Self::Impossible(format!("is one of {of} parts, of which {} exist", parts.len()))
    }

    /// An error of reading a file.
    pub(super) fn of_reading(error: &std::io::Error) -> Self {
        match error.kind() {
            ErrorKind::NotFound => Self::Missing,
            _ => Self::Unreadable,
        }
    }
}

/// Checks the size of a data file, and its footer if its modification time is not that in the log.
pub(super) fn check_quickly(place: &Path, file: &DataFile) -> Option<Damage> {
    let there = match fs::metadata(place) {
        Ok(there) => there,
        Err(error) if error.kind() == ErrorKind::NotFound => return Some(Damage::Missing),
        // Reading it will report that.
        Err(_) => return None,
    };
    if there.len() != file.bytes {
        return Some(Damage::Size { expected: file.bytes, found: there.len() });
    }
    if modified(&there) == Some(file.modified) { None } else { other_end(place, file) }
}

/// Checks the size and the footer of a data file.
pub(super) fn check_footer(place: &Path, file: &DataFile) -> Option<Damage> {
    check_quickly(place, file).or_else(|| other_end(place, file))
}

fn other_end(place: &Path, file: &DataFile) -> Option<Damage> {
    let footer = file.footer?;
    (footer_hash(place).ok() != Some(footer)).then_some(Damage::Another)
}

/// Hashes a data file; one without a hash is decoded.
pub(super) fn check_all_bytes(place: &Path, file: &DataFile) -> Option<Damage> {
    if let Some(fault) = check_quickly(place, file) {
        return Some(fault);
    }
    match (Hash::of_file(place), file.hash) {
        (Err(error), _) => Some(Damage::of_reading(&error)),
        (Ok((_, found)), Some(hash)) => (found != hash).then_some(Damage::Altered),
        (Ok(_), None) => {
            let is_whole = File::open(place).is_ok_and(|open| unpacks(open, file.rows));
            (!is_whole).then_some(Damage::Unreadable)
        }
    }
}

/// Returns `true` if a Parquet file can be decoded and has so many rows.
pub(super) fn unpacks(file: impl ChunkReader + 'static, rows: u64) -> bool {
    let read = || -> Option<u64> {
        let reader = ParquetRecordBatchReaderBuilder::try_new(file).ok()?;
        let mut found = 0;
        for batch in reader.build().ok()? {
            found += batch.ok()?.num_rows() as u64;
        }
        Some(found)
    };
    read() == Some(rows)
}

/// The modification time of a file, in milliseconds since 1970.
pub(super) fn modified(there: &fs::Metadata) -> Option<i64> {
    let since = there.modified().ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
    i64::try_from(since.as_millis()).ok()
}

/// A list of hashes as text: a line for each file, then one for the lines before it.
pub(super) fn hash_list(hashes: &BTreeMap<String, Hash>) -> String {
    use fmt::Write as _;
    let mut text = String::new();
    for (name, hash) in hashes {
        // Writing to a String does not fail.
        let _ = writeln!(text, "{hash}  {name}");
    }
    let own = Hash::of(text.as_bytes());
    let _ = writeln!(text, "{own}  .");
    text
}

/// Parses a list of hashes; `None` if it was altered.
pub(super) fn parse_hash_list(text: &str) -> Option<BTreeMap<String, Hash>> {
    let (lines, own) = text.strip_suffix("  .\n")?.rsplit_once('\n')?;
    let lines = format!("{lines}\n");
    if Hash::read(own)? != Hash::of(lines.as_bytes()) {
        return None;
    }
    let read = |line: &str| {
        let (hash, name) = line.split_once("  ")?;
        Some((name.to_owned(), Hash::read(hash)?))
    };
    lines.lines().map(read).collect()
}

/// A load with rows in a damaged file, as far as its commits are readable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AffectedLoad {
    /// Its id.
    pub load_id: String,
    /// The names of its files.
    pub files: Vec<String>,
}

/// Lists loads in a hint: the files of each, and its id.
pub(super) fn load_list(loads: &[AffectedLoad]) -> String {
    const MOST: usize = 6;
    let mut met = HashSet::new();
    let mut files: Vec<String> = Vec::new();
    for load in loads {
        let id = load.load_id.get(..8).unwrap_or(&load.load_id);
        if load.files.is_empty() {
            files.push(format!("load {id}"));
        }
        let new = load.files.iter().filter(|file| met.insert(file.as_str()));
        files.extend(new.map(|file| format!("`{file}` (load {id})")));
    }
    let more = files.len().saturating_sub(MOST);
    files.truncate(MOST);
    match more {
        0 => files.join(", "),
        more => {
            format!("{} and {more} more, which `wabalake check -f json` lists", files.join(", "))
        }
    }
}
