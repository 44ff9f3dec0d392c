//! Limits on files. A file that exceeds one is not an export, and is refused with a message that
//! names the limit.
//!
//! | what | at most | because |
//! |---|---|---|
//! | uncompressed size of a file | 200 times its compressed size, beyond 64 MiB | exports compress to a tenth, a zip bomb to a thousandth |
//! | uncompressed size of a file | 64 GiB | a year of a large business takes 5 GB |
//! | files in an archive | 10,000 | |
//! | columns of a header | 16,384 | as many as a sheet has |
//! | bytes of a record | 16 MiB | no message is longer than 64 KiB |
//! | scans of each byte to match quotes | 16, and 64 MiB at first | an unclosed quote costs a look-ahead, many of them quadratic time |
//! | uncompressed size of a spreadsheet's shared strings, and of each part that is not a sheet | 256 MiB | held in memory |
//! | bytes of an XML tag or text in a spreadsheet | 16 MiB | held in memory |

use std::fmt;
use std::io::{self, Read, Seek};
use std::path::Path;

use wabalake_data::words::bytes;

use super::folder::cannot_read;
use crate::error::{Error, Result};

/// The highest compression ratio.
pub(crate) const RATIO: u64 = 200;

/// A file may always decompress to so many bytes.
pub(crate) const SMALL: u64 = 64 << 20;

/// The largest uncompressed size of a file.
pub(crate) const UNPACKED: u64 = 64 << 30;

/// The most files in an archive.
pub(crate) const ENTRIES: usize = 10_000;

/// The most columns of a header.
pub(crate) const COLUMNS: usize = 16_384;

/// The largest record, in bytes.
pub(crate) const RECORD: usize = 16 << 20;

/// How often each byte of a file may be scanned to find the ends of records, beyond
/// [`QUOTES_FREE`].
pub(crate) const QUOTES_RATIO: u64 = 16;

/// Bytes that may be scanned in any file.
pub(crate) const QUOTES_FREE: u64 = 64 << 20;

/// The largest uncompressed part of a spreadsheet that is held in memory.
pub(crate) const HELD_PART: u64 = 256 << 20;

/// The longest tag or text in a spreadsheet's XML, in bytes.
pub(crate) const TAG: usize = 16 << 20;

/// Returns how many bytes a file may decompress to, by its compressed size.
pub(crate) fn unpacked(packed: u64) -> u64 {
    packed.saturating_mul(RATIO).clamp(SMALL, UNPACKED)
}

/// A reader that fails after a number of bytes.
pub(crate) struct LimitedReader<R> {
    inner: R,
    left: u64,
    most: u64,
}

impl<R> LimitedReader<R> {
    pub(crate) fn new(inner: R, most: u64) -> Self {
        Self { inner, left: most, most }
    }
}

impl<R: Read> Read for LimitedReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        match self.left.checked_sub(read as u64) {
            Some(left) => self.left = left,
            None => return Err(LimitExceeded::Unpacked(self.most).into()),
        }
        Ok(read)
    }
}

/// The error of a reader that exceeds a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LimitExceeded {
    /// The file decompresses to more than so many bytes.
    Unpacked(u64),
    /// The record that begins on this line is longer than [`RECORD`].
    Record { line: u64 },
    /// Matching the quotes up to this line takes too long.
    Quotes { line: u64 },
}

impl fmt::Display for LimitExceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unpacked(most) => write!(f, "decompresses to more than {}", bytes(*most)),
            Self::Record { line } => write!(f, "the record on line {line} is too long"),
            Self::Quotes { line } => write!(f, "quotes near line {line} do not match"),
        }
    }
}

impl std::error::Error for LimitExceeded {}

impl From<LimitExceeded> for io::Error {
    fn from(exceeded: LimitExceeded) -> Self {
        Self::other(exceeded)
    }
}

/// Returns the error of a source whose reader exceeded a limit; `None` for other IO errors.
pub(crate) fn exceeded(name: &str, e: &io::Error) -> Option<Error> {
    Some(match *e.get_ref()?.downcast_ref()? {
        LimitExceeded::Unpacked(most) => unpacks_to_more(name, most),
        LimitExceeded::Record { line } => Error::data(format!(
            "`{name}` has a record of more than {} MiB, which begins on line {line}",
            RECORD >> 20
        ))
        .hint("no export has such a record: a closing quote or a line end is missing there"),
        LimitExceeded::Quotes { line } => Error::data(format!(
            "`{name}` has so many unmatched quotes, near line {line}, that its records cannot be \
             separated: each byte was scanned more than {QUOTES_RATIO} times"
        ))
        .hint("export it again with quotes around texts, and each quote within a text doubled"),
    })
}

/// The error of a file that decompresses to more than it may.
pub(crate) fn unpacks_to_more(name: &str, most: u64) -> Error {
    let limit = match most {
        UNPACKED => format!("{}, the most for one file", bytes(most)),
        _ => format!("{}, over {RATIO} times its compressed size", bytes(most)),
    };
    Error::data(format!("`{name}` decompresses to more than {limit}"))
        .hint("no export does; if it is one, decompress it and load the result")
}

/// Returns the length of a file on disk.
pub(crate) fn length_of(name: &str, path: &Path) -> Result<u64> {
    path.metadata().map(|file| file.len()).map_err(|e| cannot_read(name, &e))
}

/// Checks the number and sizes of an archive's files, by its directory, before any is read.
pub(crate) fn check_archive<R: Read + Seek>(
    name: &str,
    archive: &mut zip::ZipArchive<R>,
    path: &Path,
) -> Result<()> {
    if archive.len() > ENTRIES {
        return Err(Error::data(format!("`{name}` holds more than {ENTRIES} files"))
            .hint("no archive of exports does; extract it and load the exports"));
    }
    let most = unpacked(length_of(name, path)?);
    let sizes = (0..archive.len()).filter_map(|at| Some(archive.by_index_raw(at).ok()?.size()));
    if sizes.fold(0, u64::saturating_add) > most {
        return Err(unpacks_to_more(name, most));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_fails_at_the_limit_and_names_it() {
        let mut bounded = LimitedReader::new(io::repeat(7).take(10), 10);
        assert_eq!(io::copy(&mut bounded, &mut io::sink()).unwrap(), 10);
        let error =
            io::copy(&mut LimitedReader::new(io::repeat(7), 10), &mut io::sink()).unwrap_err();
        let error = exceeded("a.gz", &error).unwrap();
        assert!(error.lines().contains("more than 10 B, over 200 times"), "{}", error.lines());
        assert!(exceeded("a.gz", &io::Error::other("else")).is_none());
    }

    #[test]
    fn small_files_may_have_a_higher_compression_ratio() {
        assert_eq!(unpacked(10), SMALL);
        assert_eq!(unpacked(1 << 20), 200 << 20);
        assert_eq!(unpacked(u64::MAX), UNPACKED);
    }
}
