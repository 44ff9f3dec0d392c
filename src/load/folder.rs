//! What a folder holds, for loads and for the inbox.
//!
//! | there | is |
//! |---|---|
//! | a file, or a link to one | found |
//! | a folder | looked into |
//! | a link to a folder, which may lead back here or anywhere | passed over |
//! | what is hidden, a lake, a device, a link to nothing | passed over |
//!
//! A file that is still on its way, by its name, is passed over by both, each in its own words.

use std::fs::{self, DirEntry};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, in_words};

/// Something in a folder or one of its subfolders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) path: PathBuf,
    /// The folder's name and the way from it, with `/` between.
    pub(crate) name: String,
    /// Why it is passed over; none for a file.
    pub(crate) passed_over: Option<&'static str>,
}

/// Why a folder that is a lake or a table is passed over.
pub(crate) const A_LAKE: &str = "a lake";

/// Endings of names of files that are still on their way.
const ON_ITS_WAY: [&str; 6] = ["part", "partial", "tmp", "crdownload", "filepart", "download"];

/// Whether a file is still on its way, by its name: it gets another one once it is whole.
pub(crate) fn is_on_its_way(file: &Path) -> bool {
    let ending = file.extension().unwrap_or_default();
    ON_ITS_WAY.iter().any(|known| ending.eq_ignore_ascii_case(known))
}

/// Why what is no file is passed over: a device, a pipe, a link to nothing.
pub(crate) const NO_FILE: &str = "no file";

/// What tells that a file has not changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Seen {
    /// Its length.
    pub(crate) bytes: u64,
    /// When it was written to last, in nanoseconds since 1970; 0 where the system does not say.
    pub(crate) modified: u128,
}

impl Seen {
    /// A file as it is now; of a link, what it leads to.
    pub(crate) fn of(file: &Path) -> io::Result<Self> {
        Ok(Self::told(&fs::metadata(file)?))
    }

    /// When it was written to last.
    pub(crate) fn modified_since_1970(&self) -> Duration {
        Duration::from_nanos_u128(self.modified)
    }

    pub(crate) fn told(file: &fs::Metadata) -> Self {
        let modified = file.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        Self { bytes: file.len(), modified: modified.unwrap_or_default().as_nanos() }
    }
}

/// Whether a folder is a lake or a table of one.
pub(crate) fn is_lake(folder: &Path) -> bool {
    folder.join("_delta_log").is_dir() || folder.join(".wabalake").is_dir()
}

/// Tells of each file in a folder and its subfolders, by name, and of what is passed over. Folders
/// that are left out are not told of.
pub(crate) fn walk(
    folder: &Path,
    name: &str,
    leave_out: &[PathBuf],
    each: &mut dyn FnMut(Entry) -> Result<()>,
) -> Result<()> {
    let unreadable = |e| match name {
        "" => unreadable(&folder.to_string_lossy(), &e),
        name => unreadable(name, &e),
    };
    let entries = folder.read_dir().map_err(unreadable)?;
    let mut entries: Vec<DirEntry> = entries.collect::<Result<_, _>>().map_err(unreadable)?;
    entries.sort_unstable_by_key(DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        if leave_out.contains(&path) {
            continue;
        }
        let own = entry.file_name().to_string_lossy().into_owned();
        let full = if name.is_empty() { own.clone() } else { format!("{name}/{own}") };
        let is_link = entry.file_type().is_ok_and(|kind| kind.is_symlink());
        let passed_over = if own.starts_with('.') {
            Some("hidden")
        } else if path.is_dir() && is_link {
            Some("a link to a folder")
        } else if path.is_dir() && is_lake(&path) {
            Some(A_LAKE)
        } else if path.is_dir() {
            walk(&path, &full, leave_out, each)?;
            continue;
        } else if path.is_file() {
            None
        } else {
            Some(NO_FILE)
        };
        each(Entry { path, name: full, passed_over })?;
    }
    Ok(())
}

pub(super) fn unreadable(name: &str, e: &io::Error) -> Error {
    Error::data(format!("`{name}` cannot be read: {}", in_words(e)))
        .hint("see that it is there, and that this user may read it")
}
