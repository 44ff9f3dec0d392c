//! Walks folders, for loads and the inbox.
//!
//! | entry | is |
//! |---|---|
//! | a file, or a link to one | found |
//! | a folder | entered |
//! | a link to a folder, which may be a cycle | skipped |
//! | hidden, a lake, a device, a broken link | skipped |
//!
//! Callers skip incomplete files ([`is_partial`]) themselves.

use std::fs::{self, DirEntry};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, in_words};
use crate::place;

/// An entry of a folder or of one of its subfolders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) path: PathBuf,
    /// The path from the folder, with the folder's name and `/`.
    pub(crate) name: String,
    /// Why the entry is skipped; `None` for a file.
    pub(crate) skip_reason: Option<&'static str>,
}

/// Why a folder that is a lake or a table of one is skipped.
pub(crate) const LAKE: &str = "a lake";

/// Extensions of files that are still being written or downloaded.
const PARTIAL: [&str; 6] = ["part", "partial", "tmp", "crdownload", "filepart", "download"];

/// Returns `true` if the extension marks an incomplete file, which is renamed when it is complete.
pub(crate) fn is_partial(file: &Path) -> bool {
    let ending = file.extension().unwrap_or_default();
    PARTIAL.iter().any(|known| ending.eq_ignore_ascii_case(known))
}

/// Why a device, a pipe or a broken link is skipped.
pub(crate) const NOT_A_FILE: &str = "not a file";

/// Size and modification time, to detect that a file changed; of an object, its entity tag too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileState {
    /// Length in bytes.
    pub(crate) bytes: u64,
    /// Modification time in nanoseconds since 1970; 0 if the system does not tell.
    pub(crate) modified: u128,
    /// The entity tag of an object: times of some stores are in whole seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tag: Option<String>,
}

impl FileState {
    /// Reads the state of a file; of a link, that of its target.
    pub(crate) fn of(file: &Path) -> io::Result<Self> {
        Ok(Self::of_metadata(&fs::metadata(file)?))
    }

    /// Modification time since 1970.
    pub(crate) fn modified_since_1970(&self) -> Duration {
        Duration::from_nanos_u128(self.modified)
    }

    /// The state of an object, as it is listed.
    pub(crate) fn of_entry(entry: &place::Entry) -> Self {
        let modified = entry.modified.timestamp_nanos_opt().unwrap_or_default();
        Self {
            bytes: entry.bytes,
            modified: u128::try_from(modified).unwrap_or_default(),
            tag: entry.tag.clone(),
        }
    }

    pub(crate) fn of_metadata(file: &fs::Metadata) -> Self {
        let modified = file.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        Self { bytes: file.len(), modified: modified.unwrap_or_default().as_nanos(), tag: None }
    }
}

/// Returns `true` if a folder is a lake or a table of one.
pub(crate) fn is_lake(folder: &Path) -> bool {
    folder.join("_delta_log").is_dir() || folder.join(".wabalake").is_dir()
}

/// Calls `each` for every file in a folder and its subfolders, by name, and for every entry that is
/// skipped; not for folders in `leave_out`.
pub(crate) fn walk(
    folder: &Path,
    name: &str,
    leave_out: &[PathBuf],
    each: &mut dyn FnMut(Entry) -> Result<()>,
) -> Result<()> {
    let unreadable = |e| match name {
        "" => cannot_read(&folder.to_string_lossy(), &e),
        name => cannot_read(name, &e),
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
        let skip_reason = if own.starts_with('.') {
            Some("hidden")
        } else if path.is_dir() && is_link {
            Some("a link to a folder")
        } else if path.is_dir() && is_lake(&path) {
            Some(LAKE)
        } else if path.is_dir() {
            walk(&path, &full, leave_out, each)?;
            continue;
        } else if path.is_file() {
            None
        } else {
            Some(NOT_A_FILE)
        };
        each(Entry { path, name: full, skip_reason })?;
    }
    Ok(())
}

pub(super) fn cannot_read(name: &str, e: &io::Error) -> Error {
    Error::data(format!("`{name}` cannot be read: {}", in_words(e)))
        .hint("check that it exists and that this user may read it")
}
