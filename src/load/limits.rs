//! How much a source may ask for. What asks for more is no export, and is refused with the limit
//! that it exceeds.
//!
//! | what | at most | because |
//! |---|---|---|
//! | unpacked bytes of a file | 200 times its packed ones, once they exceed 64 MiB | exports pack to a tenth, a bomb to a thousandth |
//! | unpacked bytes of a file | 64 GiB | a year of a large business takes 5 GB |
//! | files in an archive | 10,000 | |
//! | columns of a header | 16,384 | as many as a sheet has |
//! | bytes of a record | 16 MiB | no message is longer than 64 KiB |
//! | looks at each byte to find which quotes belong together | 16, and 64 MiB at first | an unclosed quote costs a look ahead, a file of them without end |
//! | unpacked bytes of a spreadsheet's shared texts, and of each other part that is no sheet | 256 MiB | these are held in memory |
//! | bytes of a tag or a text in a spreadsheet | 16 MiB | likewise |

use std::fmt;
use std::io::{self, Read, Seek};
use std::path::Path;

use wabalake_data::words::bytes;

use super::folder::unreadable;
use crate::error::{Error, Result};

/// How many times its packed bytes a file may unpack to.
pub(crate) const RATIO: u64 = 200;

/// Up to here a file may unpack to anything.
pub(crate) const SMALL: u64 = 64 << 20;

/// Unpacked bytes of a file.
pub(crate) const UNPACKED: u64 = 64 << 30;

/// Files in an archive.
pub(crate) const ENTRIES: usize = 10_000;

/// Columns of a header.
pub(crate) const COLUMNS: usize = 16_384;

/// Bytes of a record.
pub(crate) const RECORD: usize = 16 << 20;

/// How many times its bytes a file may be looked at to tell its records apart, once
/// [`QUOTES_FREE`] is used up.
pub(crate) const QUOTES_RATIO: u64 = 16;

/// So many bytes may be looked at whatever the length of the file.
pub(crate) const QUOTES_FREE: u64 = 64 << 20;

/// Unpacked bytes of a part of a spreadsheet that is held in memory.
pub(crate) const HELD_PART: u64 = 256 << 20;

/// Bytes of a tag or a text in a spreadsheet.
pub(crate) const TAG: usize = 16 << 20;

/// How many bytes a file of some packed length may unpack to.
pub(crate) fn unpacked(packed: u64) -> u64 {
    packed.saturating_mul(RATIO).clamp(SMALL, UNPACKED)
}

/// Reads no more than a number of bytes: more is an error.
pub(crate) struct Bounded<R> {
    inner: R,
    left: u64,
    most: u64,
}

impl<R> Bounded<R> {
    pub(crate) fn new(inner: R, most: u64) -> Self {
        Self { inner, left: most, most }
    }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        match self.left.checked_sub(read as u64) {
            Some(left) => self.left = left,
            None => return Err(Exceeded::Unpacked(self.most).into()),
        }
        Ok(read)
    }
}

/// A limit that reading meets on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exceeded {
    /// A file unpacks to more than so many bytes.
    Unpacked(u64),
    /// The record that begins on that line is longer than [`RECORD`].
    Record { line: u64 },
    /// Finding out which quotes belong together, up to that line, takes too long.
    Quotes { line: u64 },
}

impl fmt::Display for Exceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unpacked(most) => write!(f, "it unpacks to more than {}", bytes(*most)),
            Self::Record { line } => write!(f, "the record on line {line} is too long"),
            Self::Quotes { line } => write!(f, "the quotes about line {line} do not match"),
        }
    }
}

impl std::error::Error for Exceeded {}

impl From<Exceeded> for io::Error {
    fn from(exceeded: Exceeded) -> Self {
        Self::other(exceeded)
    }
}

/// What to say of a source that cannot be read on because it exceeds a limit.
pub(crate) fn exceeded(name: &str, e: &io::Error) -> Option<Error> {
    Some(match *e.get_ref()?.downcast_ref()? {
        Exceeded::Unpacked(most) => unpacks_to_more(name, most),
        Exceeded::Record { line } => Error::data(format!(
            "`{name}` has a record of more than {} MiB, which begins on line {line}",
            RECORD >> 20
        ))
        .hint("no export has: a quote or the end of a line is missing there"),
        Exceeded::Quotes { line } => Error::data(format!(
            "`{name}` has so many quotes that match none, about line {line}, that its records \
             cannot be told apart: more than {QUOTES_RATIO} bytes were looked at for each byte"
        ))
        .hint("write it anew with quotes about its texts, and a quote within a text twice"),
    })
}

/// A file unpacks to more than it may.
pub(crate) fn unpacks_to_more(name: &str, most: u64) -> Error {
    let limit = match most {
        UNPACKED => format!("{}, the most that is read of one file", bytes(most)),
        _ => format!("{}, over {RATIO} times what it takes packed", bytes(most)),
    };
    Error::data(format!("`{name}` unpacks to more than {limit}"))
        .hint("no export does; if this is one, unpack it and load what comes out")
}

/// How long a file is.
pub(crate) fn length_of(name: &str, path: &Path) -> Result<u64> {
    path.metadata().map(|file| file.len()).map_err(|e| unreadable(name, &e))
}

/// Checks what an archive says of itself before anything in it is read.
pub(crate) fn check_archive<R: Read + Seek>(
    name: &str,
    archive: &mut zip::ZipArchive<R>,
    path: &Path,
) -> Result<()> {
    if archive.len() > ENTRIES {
        return Err(Error::data(format!("`{name}` holds more than {ENTRIES} files"))
            .hint("no archive of exports does; unpack it and load the exports"));
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
    fn reading_stops_at_the_limit_and_says_it() {
        let mut bounded = Bounded::new(io::repeat(7).take(10), 10);
        assert_eq!(io::copy(&mut bounded, &mut io::sink()).unwrap(), 10);
        let error = io::copy(&mut Bounded::new(io::repeat(7), 10), &mut io::sink()).unwrap_err();
        let error = exceeded("a.gz", &error).unwrap();
        assert!(error.lines().contains("more than 10 B, over 200 times"), "{}", error.lines());
        assert!(exceeded("a.gz", &io::Error::other("else")).is_none());
    }

    #[test]
    fn small_files_may_unpack_to_more_than_large_ones_for_their_size() {
        assert_eq!(unpacked(10), SMALL);
        assert_eq!(unpacked(1 << 20), 200 << 20);
        assert_eq!(unpacked(u64::MAX), UNPACKED);
    }
}
