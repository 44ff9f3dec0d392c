//! Files that are written whole, and who may read what is written.
//!
//! | file | mode |
//! |---|---|
//! | of a lake, an answer | 0640, folders 0750: the umask is 027, or the person's own if it is stricter |
//! | the same, where `[lake] umask` is set | as that says |
//! | an answer that names people | 0600 |
//! | what Prometheus collects | 0644: the collector is somebody else, and there is nobody in it |
//!
//! A file that is there already keeps its mode, unless people come into it.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use tempfile::NamedTempFile;

use crate::error::{Context as _, Result};

/// What stands in the name of a temporary file of wabalake's, before six letters and digits.
const MARK: &str = ".wabalake-";

/// How such a name ends.
const ENDING: &str = ".tmp";

/// Who may read a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Access {
    /// Whom the umask lets; a file that is there keeps its mode.
    #[default]
    Usual,
    /// Its owner alone.
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

/// A temporary file in the folder of one that it is to replace.
///
/// # Errors
/// A folder that is not there or cannot be written to.
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

/// Writes a file that is there as a whole or not at all.
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

/// A temporary file beside one that it is to become: its bytes are on disk, it lacks but the name. Makes
/// the folder if there is none.
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

/// Writes a small file that is there as a whole or not at all, and on disk before it has its name.
///
/// # Errors
/// Those of writing.
pub(crate) fn write_synced(place: &Path, access: Access, bytes: &[u8]) -> Result<()> {
    let written = synced_beside(place, access, bytes)
        .and_then(|file| file.persist(place).map_err(|error| error.error));
    written.map(drop).context(|| format!("writing `{}`", place.display()))
}

/// Whether a name is that of a temporary file of [`beside`].
pub(crate) fn is_temporary(name: &str) -> bool {
    let Some(name) = name.strip_suffix(ENDING) else { return false };
    let Some((before, random)) = name.rsplit_once(MARK) else { return false };
    before.starts_with('.') && is_random(random)
}

/// Six letters and digits, as `tempfile` makes them up.
pub(crate) fn is_random(text: &str) -> bool {
    text.len() == 6 && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Keeps what this process makes from now on to its owner and group; a stricter umask stays.
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
    fn a_temporary_file_is_known_by_its_name() {
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
    fn a_file_keeps_its_mode_unless_it_is_for_its_owner_or_everybody() {
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
