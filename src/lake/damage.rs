//! Damage to a lake's files: how it is known, what an error says of it, and the way forward.
//!
//! | what | is known by |
//! |---|---|
//! | a commit | `commit_hash` in its commitInfo, over all its bytes but the hash's own digits |
//! | a data file | its size in the log, its hash and its footer's in the tags of its `add` |
//! | a checkpoint | the hashes in the file `.N.checkpoint.xxh3` beside it |
//! | a log that lost its end | `.wabalake/newest/TABLE`, the newest version that was committed |
//!
//! Hashes are XXH3 of 128 bits. A commit's is seeded with its version: one commit in another's place
//! is damage too. What was written without hashes is checked without.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::fs::{self, File};
use std::io::{ErrorKind, Read, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use memchr::memmem::find;
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use super::log::DataFile;
use crate::error::Error;

/// The tag of an `add` that holds its file's hash.
pub(super) const FILE_HASH: &str = "wabalake.xxh3";

/// The tag of an `add` that holds the hash of its file's footer.
pub(super) const FOOTER_HASH: &str = "wabalake.xxh3.footer";

/// What a commit calls its own hash.
pub(super) const COMMIT_HASH: &str = "commit_hash";

/// What the value of [`COMMIT_HASH`] begins with.
const ALGORITHM: &str = "xxh3-128:";

/// The digits of a hash that is not known yet.
const NO_DIGITS: &str = "00000000000000000000000000000000";

/// A hash of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hash(u128);

impl Hash {
    pub(super) fn of(bytes: &[u8]) -> Self {
        Self(xxhash_rust::xxh3::xxh3_128(bytes))
    }

    /// The hash that 32 digits stand for.
    pub(super) fn read(digits: &str) -> Option<Self> {
        let is_one = digits.len() == NO_DIGITS.len()
            && digits.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
        u128::from_str_radix(digits, 16).ok().filter(|_| is_one).map(Self)
    }

    /// A file's size and its hash.
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

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// Hashes what is written through it.
pub(super) struct Hashing<W> {
    inner: W,
    hasher: Xxh3,
}

impl<W: std::io::Write> Hashing<W> {
    pub(super) fn new(inner: W) -> Self {
        Self { inner, hasher: Xxh3::new() }
    }

    /// The hash of all that was written, and the writer.
    pub(super) fn end(self) -> (Hash, W) {
        (Hash(self.hasher.digest128()), self.inner)
    }
}

impl<W: std::io::Write> std::io::Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.inner.flush()
    }
}

/// What a commit's `commitInfo` holds until its hash is known.
pub(super) fn unsealed() -> String {
    format!("{ALGORITHM}{NO_DIGITS}")
}

/// The commit of a version with its hash, where it has a place for one.
pub(super) fn sealed(mut commit: Vec<u8>, version: u64) -> Vec<u8> {
    if let Some(at) = digits(&commit) {
        let hash = commit_hash(&commit, at, version);
        commit[at..at + NO_DIGITS.len()].copy_from_slice(hash.to_string().as_bytes());
    }
    commit
}

/// Whether a commit is that of a version, byte for byte; none if it has no hash.
pub(super) fn is_whole(commit: &[u8], version: u64) -> Option<bool> {
    match digits(commit) {
        Some(at) => {
            let said = &commit[at..at + NO_DIGITS.len()];
            Some(commit_hash(commit, at, version).to_string().as_bytes() == said)
        }
        // One of the two stands where a single place is damaged.
        None => {
            let marks = [format!("\"{COMMIT_HASH}\""), format!("\"{ALGORITHM}")];
            let any = marks.iter().any(|mark| find(commit, mark.as_bytes()).is_some());
            any.then_some(false)
        }
    }
}

/// Where the digits of a commit's hash begin.
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

/// The hash of a Parquet file's footer, with which no other file ends.
pub(super) fn footer_hash(place: &Path) -> std::io::Result<u64> {
    const LONGEST: u32 = 64 << 20;
    let invalid = || std::io::Error::from(ErrorKind::InvalidData);
    let mut file = File::open(place)?;
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
pub(super) enum Fault {
    /// It is not there.
    Missing,
    /// It has another size than the log says.
    Size {
        /// The size that it should have.
        expected: u64,
        /// The size that it has.
        found: u64,
    },
    /// It has the right size, and is another file.
    Another,
    /// Its bytes are not those that were written.
    Altered,
    /// It has nothing in it.
    Empty,
    /// It ends in the middle.
    Cut,
    /// It cannot be read as what it should be.
    Unreadable,
    /// It says something that cannot be true.
    Impossible(String),
}

impl Fault {
    /// What is wrong, after the file's name.
    pub(super) fn what(&self) -> String {
        match self {
            Self::Missing => "is not there".to_owned(),
            Self::Size { .. } => "has another size than the log says".to_owned(),
            Self::Another => "is another file, put in its place".to_owned(),
            Self::Altered => "is not as it was written".to_owned(),
            Self::Empty => "is empty".to_owned(),
            Self::Cut => "is cut short".to_owned(),
            Self::Unreadable => "cannot be read".to_owned(),
            Self::Impossible(what) => what.clone(),
        }
    }

    /// What was there instead, where that says more.
    pub(super) fn found(&self) -> Option<String> {
        match self {
            Self::Size { expected, found } => {
                Some(format!("{found} bytes, where {expected} were written"))
            }
            Self::Another => Some("its end is not the one that was written".to_owned()),
            Self::Altered => Some("its hash is not the one that was noted".to_owned()),
            _ => None,
        }
    }

    /// The error of a damaged file.
    pub(super) fn error(&self, file: &str) -> Error {
        let error = Error::lake(format!("the lake is damaged: `{file}` {}", self.what()));
        match self.found() {
            Some(found) => error.found(found),
            None => error,
        }
    }

    /// What is wrong with a checkpoint that has not all of its parts.
    pub(super) fn of_parts(of: usize, parts: &[PathBuf]) -> Self {
        Self::Impossible(format!("is one of {of} parts, of which {} are there", parts.len()))
    }

    /// What an error of reading says.
    pub(super) fn of_reading(error: &std::io::Error) -> Self {
        match error.kind() {
            ErrorKind::NotFound => Self::Missing,
            _ => Self::Unreadable,
        }
    }
}

/// What is wrong with a data file, as far as that is known without reading it: its size, and where
/// it is not of the very instant at which it was written, its end.
pub(super) fn glance(place: &Path, file: &DataFile) -> Option<Fault> {
    let there = match fs::metadata(place) {
        Ok(there) => there,
        Err(error) if error.kind() == ErrorKind::NotFound => return Some(Fault::Missing),
        // Who reads it is told.
        Err(_) => return None,
    };
    if there.len() != file.bytes {
        return Some(Fault::Size { expected: file.bytes, found: there.len() });
    }
    if modified(&there) == Some(file.modified) { None } else { other_end(place, file) }
}

/// What is wrong with a data file, as far as its size and its end tell.
pub(super) fn look(place: &Path, file: &DataFile) -> Option<Fault> {
    glance(place, file).or_else(|| other_end(place, file))
}

fn other_end(place: &Path, file: &DataFile) -> Option<Fault> {
    let footer = file.footer?;
    (footer_hash(place).ok() != Some(footer)).then_some(Fault::Another)
}

/// The same, by reading all of it. A file without a hash is unpacked.
pub(super) fn study(place: &Path, file: &DataFile) -> Option<Fault> {
    if let Some(fault) = glance(place, file) {
        return Some(fault);
    }
    match (Hash::of_file(place), file.hash) {
        (Err(error), _) => Some(Fault::of_reading(&error)),
        (Ok((_, found)), Some(hash)) => (found != hash).then_some(Fault::Altered),
        (Ok(_), None) => (!unpacks(place, file.rows)).then_some(Fault::Unreadable),
    }
}

/// Whether a Parquet file can be read from its beginning to its end, and has so many rows.
fn unpacks(place: &Path, rows: u64) -> bool {
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
    let read = || -> Option<u64> {
        let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(place).ok()?).ok()?;
        let mut found = 0;
        for batch in reader.build().ok()? {
            found += batch.ok()?.num_rows() as u64;
        }
        Some(found)
    };
    read() == Some(rows)
}

/// When a file was written, in milliseconds as the log has it.
pub(super) fn modified(there: &fs::Metadata) -> Option<i64> {
    let since = there.modified().ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
    i64::try_from(since.as_millis()).ok()
}

/// The text of a list of hashes: one file on each line, and a last line for the lines before it.
pub(super) fn listed(hashes: &BTreeMap<String, Hash>) -> String {
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

/// The files and hashes of such a text; none if it is not as it was written.
pub(super) fn read_listed(text: &str) -> Option<BTreeMap<String, Hash>> {
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

/// A load, as far as what its commits say can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Brought {
    /// Its id.
    pub load_id: String,
    /// The files that it was of.
    pub files: Vec<String>,
}

/// Loads in a hint: the files of each, and its id.
pub(super) fn named(loads: &[Brought]) -> String {
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
