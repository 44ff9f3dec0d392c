//! Writes files atomically, and decides who may read them.
//!
//! | file | mode |
//! |---|---|
//! | of a lake, an answer | 0640, folders 0750: the umask is 027, or the user's own if it is stricter |
//! | the same, with `[lake] umask` set | by that umask |
//! | an answer with columns of people, an audience | 0600 |
//! | metrics for Prometheus | 0644: another user reads them, and they are about no person |
//!
//! An existing file keeps its mode, unless people come into it.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use tempfile::NamedTempFile;

use crate::error::{Context as _, Result};

/// Part of the names of temporary files, before six random letters and digits.
const MARK: &str = ".wabalake-";

/// The extension of temporary files.
const ENDING: &str = ".tmp";

/// Who may read a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Access {
    /// By the umask; an existing file keeps its mode.
    #[default]
    Usual,
    /// Only its owner.
    Owner,
    /// Everybody.
    Everybody,
}

impl Access {
    #[cfg(unix)]
    fn mode(self) -> u32 {
        match self {
            Self::Usual => 0o666,
            Self::Owner => 0o600,
            Self::Everybody => 0o644,
        }
    }
}

/// Creates a temporary file beside the file that it will replace.
///
/// # Errors
/// A folder that does not exist or cannot be written.
pub fn beside(place: &Path, access: Access) -> io::Result<NamedTempFile> {
    let folder = place.parent().filter(|folder| !folder.as_os_str().is_empty());
    let mut prefix = OsStr::new(".").to_owned();
    prefix.push(place.file_name().unwrap_or_default());
    prefix.push(MARK);
    let mut builder = tempfile::Builder::new();
    builder.prefix(&prefix).suffix(ENDING);
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(access.mode()));
    builder.tempfile_in(folder.unwrap_or(Path::new(".")))
}

/// Writes a file atomically: a reader finds all of it or the file that was there before.
///
/// # Errors
/// Those of writing.
pub fn write_whole(
    place: &Path,
    access: Access,
    write: impl FnOnce(&mut dyn Write) -> Result<()>,
) -> Result<()> {
    let mut out = BufWriter::with_capacity(64 << 10, beside(place, access)?);
    write(&mut out)?;
    let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
    match access {
        Access::Usual => {
            if let Ok(there) = place.metadata() {
                file.as_file().set_permissions(there.permissions())?;
            }
        }
        Access::Owner => {}
        // Whatever the umask is.
        Access::Everybody => {
            #[cfg(unix)]
            file.as_file()
                .set_permissions(std::os::unix::fs::PermissionsExt::from_mode(access.mode()))?;
        }
    }
    file.persist(place).map_err(|error| error.error)?;
    Ok(())
}

/// Writes and syncs a temporary file beside its destination; only the rename is left to do. Creates
/// the folder if needed.
///
/// # Errors
/// Those of writing.
pub(crate) fn synced_beside(
    place: &Path,
    access: Access,
    bytes: &[u8],
) -> io::Result<NamedTempFile> {
    if let Some(folder) = place.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut file = beside(place, access)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    Ok(file)
}

/// Writes a small file atomically, and syncs it before it gets its name.
///
/// # Errors
/// Those of writing.
pub(crate) fn write_synced(place: &Path, access: Access, bytes: &[u8]) -> Result<()> {
    let written = synced_beside(place, access, bytes)
        .and_then(|file| file.persist(place).map_err(|error| error.error));
    written.map(drop).context(|| format!("writing `{}`", place.display()))
}

/// Returns `true` for the name of a temporary file of [`beside`].
pub(crate) fn is_temporary(name: &str) -> bool {
    let Some(name) = name.strip_suffix(ENDING) else { return false };
    let Some((before, random)) = name.rsplit_once(MARK) else { return false };
    before.starts_with('.') && is_random(random)
}

/// Returns `true` for six letters and digits, as `tempfile` generates them.
pub(crate) fn is_random(text: &str) -> bool {
    text.len() == 6 && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Removes all access of others from the umask; a stricter umask stays.
pub fn keep_from_others() {
    #[cfg(unix)]
    {
        use rustix::fs::Mode;
        use rustix::process::umask;
        let others = Mode::from_raw_mode(0o027);
        let own = umask(Mode::RWXU | Mode::RWXG | Mode::RWXO);
        umask(own | others);
    }
}

/// Sets the umask of this process.
pub fn set_umask(umask: u32) {
    #[cfg(unix)]
    rustix::process::umask(rustix::fs::Mode::from_bits_truncate(umask));
    #[cfg(not(unix))]
    let _ = umask;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn temporary_files_are_recognised_by_name() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["page.html", ".hidden", "a.wabalake-b"] {
            let file = beside(&folder.path().join(name), Access::Usual).unwrap();
            let name = file.path().file_name().unwrap().to_str().unwrap();
            assert!(is_temporary(name), "{name}");
        }
        for name in [
            "page.html.wabalake-Ab12Cd.tmp",
            ".page.html.wabalake-Ab12C.tmp",
            ".page.html.wabalake-Ab12C_.tmp",
            ".page.html.wabalake-Ab12Cd",
            ".page.html.Ab12Cd.tmp",
            ".tmpAb12Cd",
            "",
        ] {
            assert!(!is_temporary(name), "{name}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn files_keep_their_mode_unless_access_is_explicit() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("answer.csv");
        let mode = || place.metadata().unwrap().permissions().mode() & 0o777;
        for (access, before, after) in [
            (Access::Usual, 0o604, 0o604),
            (Access::Usual, 0o660, 0o660),
            (Access::Owner, 0o644, 0o600),
            (Access::Everybody, 0o600, 0o644),
        ] {
            fs::write(&place, "before").unwrap();
            fs::set_permissions(&place, PermissionsExt::from_mode(before)).unwrap();
            write_whole(&place, access, |out| Ok(out.write_all(b"after")?)).unwrap();
            assert_eq!(mode(), after, "{access:?} over {before:o}");
        }
    }
}
