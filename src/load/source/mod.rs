//! Sources: exports in files, folders, glob patterns, archives and standard input.
//!
//! ```text
//! exports/                         its files and those of subfolders; hidden files are skipped
//! 'exports/*.csv.gz'               the matching files, as if each were named
//! exports.zip ─┬ sessions.csv      each a source of its own
//!              └ deployments.xlsx  spooled to a temporary file: it is an archive itself
//! kaleyra.csv.gz                   decompressed as it is read; detected by its first bytes
//! -, a pipe                        spooled to a temporary file: a source is read twice
//! s3://events/exports/*.csv        downloaded a few at a time, each deleted when it was read
//! ```
//!
//! A path on the command line must be an export. Folders and archives may hold other files: these
//! are skipped, and the report lists them. A file that cannot be read is skipped too, unless
//! [`recognise`] takes it for an export. Incomplete files (by extension) and pipes are read only if
//! they are named.
//!
//! A source is read twice: once for its hash and encoding, once for its records. A file that was
//! loaded before is only hashed. A file whose content, size or modification time differs the second
//! time is an error: it is still being written, or was replaced.

mod archive;
mod downloads;
mod find;
mod objects;
mod pattern;
#[cfg(test)]
mod tests;

use std::fs::{File, Metadata};
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use encoding_rs::Encoding;
use tempfile::TempPath;
use xxhash_rust::xxh3::Xxh3;

pub(crate) use self::archive::has;
use self::archive::{ZipEntry, zip};
pub(crate) use self::downloads::Downloads;
pub(crate) use self::find::{FoundSources, SourceSearch};
pub use self::pattern::matches;
use super::encoding::EncodingDetector;
use super::folder::{FileState, cannot_read};
use super::limits::{self, LimitedReader};
use super::recognise;
use crate::error::{Error, Fault, Result, in_words};

/// An export to load.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    /// Its name in messages and in the lake: the file's name, with the archive's or folder's before
    /// it.
    pub(crate) name: String,
    /// `true` for a spreadsheet, which is a zip archive and one export.
    pub(crate) is_workbook: bool,
    /// `true` if the file itself was named, and not a folder or an archive that holds it.
    pub(crate) is_named: bool,
    location: Location,
    /// The temporary file that holds it. Deleted with the last source that needs it.
    spool: Option<Arc<TempPath>>,
    /// The file on disk; `None` for a pipe.
    origin: Option<Arc<OriginFile>>,
    /// The hash of its decompressed bytes, once it was surveyed.
    surveyed: OnceLock<u128>,
}

/// A file on disk, and its state when it was found.
#[derive(Debug)]
pub(super) struct OriginFile {
    path: PathBuf,
    seen: FileState,
    number: (u64, u64),
}

impl OriginFile {
    fn has_changed(&self) -> bool {
        let now = self.path.metadata().map(|file| (FileState::of_metadata(&file), number(&file)));
        !now.is_ok_and(|now| now == (self.seen.clone(), self.number))
    }
}

/// Returns device and inode, which identify a file under any name; zeros on other systems.
pub(super) fn number(file: &Metadata) -> (u64, u64) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        (file.dev(), file.ino())
    }
    #[cfg(not(unix))]
    {
        let _ = file;
        (0, 0)
    }
}

/// Where the bytes of a source are.
#[derive(Clone, Debug)]
pub(super) enum Location {
    File(PathBuf),
    /// An entry of a zip archive, by its index.
    Entry(PathBuf, usize),
}

/// What the first reading of a source finds out.
#[derive(Debug)]
pub(crate) struct Survey {
    /// xxh3-128 of the decompressed bytes.
    pub(crate) hash: u128,
    /// Decompressed length.
    pub(crate) bytes: u64,
    pub(crate) encoding: &'static Encoding,
}

impl Source {
    fn new(name: String, location: Location, is_named: bool) -> Self {
        // Names are shown on terminals, and those in archives may contain anything.
        let name = name.replace(char::is_control, "\u{fffd}");
        let (spool, origin, surveyed) = (None, None, OnceLock::new());
        Self { name, is_workbook: false, is_named, location, spool, origin, surveyed }
    }

    /// A pipe that is not spooled yet.
    fn pipe(name: String) -> Self {
        Self::new(name, Location::File(PathBuf::new()), true)
    }

    /// A source whose bytes are in a temporary file.
    fn spooled(source: Self, spool: TempPath) -> Self {
        let location = Location::File(spool.to_path_buf());
        Self { location, spool: Some(Arc::new(spool)), ..source }
    }

    /// Returns `true` if it is a file of this machine or within one, not the copy of a pipe or an object.
    pub(crate) fn is_on_this_machine(&self) -> bool {
        self.origin.is_some()
    }

    /// Returns `true` if an error means that the file is not an export and can be skipped.
    pub(crate) fn is_skipped(&self, error: &Error) -> bool {
        if self.is_named || error.is_of_change() || error.fault() != Fault::Data {
            return false;
        }
        error.is_no_export()
            || !recognise::is_named_as_export(&self.name)
                && !recognise::begins_as_export(&self.head())
    }

    /// Reads the first decompressed bytes, as far as possible.
    fn head(&self) -> Vec<u8> {
        let mut head = Vec::new();
        if let Ok(reader) = self.reader() {
            // Bytes read before an error count.
            let _ = reader.take(recognise::HEAD as u64).read_to_end(&mut head);
        }
        head
    }

    /// Replaces an error by "changed while it was read" if the file has changed: that may have
    /// caused it.
    pub(crate) fn explain(&self, error: Error) -> Error {
        let changed = self.origin.as_ref().is_some_and(|origin| origin.has_changed());
        if changed && error.fault() == Fault::Data { self.changed() } else { error }
    }

    fn changed(&self) -> Error {
        Error::data(format!("`{}` changed while it was read", self.name))
            .hint("it is still being written: load it again when it is complete")
            .has_changed()
    }

    /// Checks that the file has not changed since it was surveyed.
    ///
    /// # Errors
    ///
    /// A file that changed.
    pub(crate) fn check_unchanged(&self) -> Result<()> {
        if self.origin.as_ref().is_some_and(|origin| origin.has_changed()) {
            return Err(self.changed());
        }
        if self.is_workbook {
            // Its parts were read in another order, so its hash is not checked yet.
            io::copy(&mut self.reader()?, &mut io::sink()).map_err(|e| self.read_error(&e))?;
        }
        Ok(())
    }

    /// Reads the source once, for its hash and encoding.
    pub(crate) fn survey(&self) -> Result<Survey> {
        let mut reader = self.reader()?;
        let mut hash = Xxh3::new();
        let mut detector = EncodingDetector::default();
        let mut bytes = 0;
        let mut buffer = vec![0; 256 << 10];
        loop {
            let read = self.read(&mut reader, &mut buffer)?;
            if read == 0 {
                break;
            }
            hash.update(&buffer[..read]);
            if !self.is_workbook {
                detector.feed(&buffer[..read]);
            }
            bytes += read as u64;
        }
        if bytes == 0 {
            return Err(Error::data(format!("`{}` is empty", self.name))
                .hint("download it again; an export without rows has a header")
                .no_export());
        }
        let hash = hash.digest128();
        let _ = self.surveyed.set(hash);
        Ok(Survey { hash, bytes, encoding: detector.encoding() })
    }

    fn read(&self, reader: &mut dyn Read, buffer: &mut [u8]) -> Result<usize> {
        loop {
            match reader.read(buffer) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                read => return read.map_err(|e| self.read_error(&e)),
            }
        }
    }

    /// Returns the error of a source that cannot be read to its end.
    pub(crate) fn read_error(&self, e: &io::Error) -> Error {
        if let Some(error) = limits::exceeded(&self.name, e) {
            return error;
        }
        if e.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<ContentChanged>) {
            return self.changed();
        }
        Error::data(format!("`{}` cannot be read to its end: {}", self.name, in_words(e)))
            .hint("it is damaged or truncated: download it again; nothing of it was loaded")
    }

    /// Returns `true` if it has no bytes.
    pub(crate) fn is_empty(&self) -> Result<bool> {
        Ok(self.read(&mut *self.reader()?, &mut [0])? == 0)
    }

    /// Returns the path of a spreadsheet.
    pub(crate) fn workbook(&self) -> Option<&Path> {
        match &self.location {
            Location::File(path) if self.is_workbook => Some(path),
            _ => None,
        }
    }

    /// Reads the decompressed bytes. After the survey, a different content is an error at the end.
    pub(crate) fn reader(&self) -> Result<Box<dyn Read + Send>> {
        let bytes = self.bytes()?;
        Ok(match self.surveyed.get() {
            Some(expected) => {
                Box::new(HashCheckedReader { bytes, hash: Xxh3::new(), expected: *expected })
            }
            None => bytes,
        })
    }

    /// Reads the decompressed bytes, within the limits.
    fn bytes(&self) -> Result<Box<dyn Read + Send>> {
        let (mut packed, length) = self.packed()?;
        if self.is_workbook {
            return Ok(Box::new(packed));
        }
        let most = limits::unpacked(length);
        Ok(match self.compression(&mut packed)? {
            Compression::Gzip => {
                Box::new(LimitedReader::new(flate2::bufread::MultiGzDecoder::new(packed), most))
            }
            Compression::Zstandard => {
                let decoder = zstd::stream::read::Decoder::with_buffer(packed)?;
                Box::new(LimitedReader::new(decoder, most))
            }
            Compression::None => match &self.location {
                Location::File(_) => Box::new(packed),
                Location::Entry(..) => Box::new(LimitedReader::new(packed, most)),
            },
        })
    }

    /// Opens the stored bytes, and returns the length of their file on disk.
    fn packed(&self) -> Result<(BufReader<Box<dyn Read + Send>>, u64)> {
        let (Location::File(path) | Location::Entry(path, _)) = &self.location;
        let file = open(&self.name, path)?;
        let length = file.metadata()?.len();
        let reader: Box<dyn Read + Send> = match &self.location {
            Location::File(_) => Box::new(file),
            Location::Entry(_, entry) => Box::new(ZipEntry::new(zip(&self.name, file)?, *entry)),
        };
        Ok((BufReader::with_capacity(1 << 20, reader), length))
    }

    fn compression(&self, packed: &mut impl BufRead) -> Result<Compression> {
        let head = packed.fill_buf().map_err(|e| self.read_error(&e))?;
        Ok(match head {
            [0x1F, 0x8B, ..] => Compression::Gzip,
            [0x28, 0xB5, 0x2F, 0xFD, ..] => Compression::Zstandard,
            _ => Compression::None,
        })
    }

    fn is_packed(&self) -> Result<bool> {
        let (mut packed, _) = self.packed()?;
        Ok(self.compression(&mut packed)? != Compression::None)
    }

    /// Reads the first four decompressed bytes, padded with zeros.
    pub(crate) fn magic(&self) -> Result<[u8; 4]> {
        let mut reader = self.reader()?;
        let mut magic = [0; 4];
        let mut at = 0;
        while at < magic.len() {
            match self.read(&mut reader, &mut magic[at..])? {
                0 => break,
                read => at += read,
            }
        }
        Ok(magic)
    }
}

/// A reader that compares the hash of its bytes with that of the survey, at the end.
struct HashCheckedReader {
    bytes: Box<dyn Read + Send>,
    hash: Xxh3,
    expected: u128,
}

impl Read for HashCheckedReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.bytes.read(buffer)?;
        self.hash.update(&buffer[..read]);
        let has_ended = read == 0 && !buffer.is_empty();
        if has_ended && self.hash.digest128() != self.expected {
            return Err(io::Error::other(ContentChanged));
        }
        Ok(read)
    }
}

/// The error of a source whose content differs from the survey.
#[derive(Debug, thiserror::Error)]
#[error("the content changed")]
struct ContentChanged;

/// How a file is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Compression {
    None,
    Gzip,
    Zstandard,
}

pub(super) fn open(name: &str, path: &Path) -> Result<File> {
    File::open(path).map_err(|e| cannot_read(name, &e))
}
