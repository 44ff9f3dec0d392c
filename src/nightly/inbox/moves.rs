//! Moves files of the inbox to the folders `loaded` and `failed`.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use chrono::{TimeDelta, Utc};

use super::{Arrival, within};
use crate::config::Config;
use crate::error::{Context as _, Error, Result};
use crate::files::{Access, beside, is_temporary};
use crate::lake::Lake;
use crate::lake::vacuum::{self, Vacuumed};
use crate::load::folder::{Entry, walk};

/// Moves a file that cannot be loaded, and writes the error beside it.
pub(super) fn move_failed(
    lake: &Lake,
    config: &Config,
    arrival: &Arrival,
    error: &Error,
) -> Result<()> {
    let Some(folder) = &config.inbox.failed else { return Ok(()) };
    let place = move_into(&within(lake, folder), arrival)?;
    let place = error_of(&place);
    fs::write(&place, format!("{}\n", error.lines()))
        .context(|| format!("writing `{}`", place.display()))
}

/// The path of the error file beside a failed one.
fn error_of(file: &Path) -> PathBuf {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(".error.txt");
    file.with_file_name(name)
}

/// Moves a file into a folder, keeping its path below the inbox. If the name is taken, a number is
/// appended. A move that is killed leaves the whole file in one of the places, or in both.
pub(super) fn move_into(folder: &Path, arrival: &Arrival) -> Result<PathBuf> {
    let moving = || format!("moving `{}` into `{}`", arrival.path.display(), folder.display());
    let wanted = folder.join(&arrival.below);
    if let Some(parent) = wanted.parent() {
        fs::create_dir_all(parent).context(moving)?;
    }
    for number in 1_u32.. {
        let place = if number == 1 { wanted.clone() } else { numbered(&wanted, number) };
        match move_to(&arrival.path, &place) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            moved => return moved.map(|()| place).context(moving),
        }
    }
    Err(Error::bug("every numbered name is taken"))
}

/// Moves a file, without replacing an existing one.
fn move_to(file: &Path, place: &Path) -> io::Result<()> {
    // A moved link would lead elsewhere: its target is copied.
    #[cfg(target_os = "linux")]
    if !file.is_symlink() {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        match renameat_with(CWD, file, CWD, place, RenameFlags::NOREPLACE) {
            Err(error) if error != rustix::io::Errno::EXIST => {}
            done => return Ok(done?),
        }
    }
    // Another file system, or one that cannot rename without replacing: copy.
    let mut whole = beside(place, Access::Usual)?;
    io::copy(&mut File::open(file)?, &mut whole)?;
    whole.as_file().set_permissions(fs::metadata(file)?.permissions())?;
    whole.as_file().sync_all()?;
    whole.persist_noclobber(place).map_err(|error| error.error)?;
    fs::remove_file(file)
}

/// Deletes what killed moves left in the folders `loaded` and `failed`: temporary files, and empty
/// placeholders of 0.1.0 whose file is still in the inbox or was moved under a number.
///
/// # Errors
/// A folder that cannot be read, a file that cannot be deleted.
pub(in crate::nightly) fn sweep(
    lake: &Lake,
    config: &Config,
    options: vacuum::Options,
    done: &mut Vacuumed,
) -> Result<()> {
    let inbox = &config.inbox;
    // A younger file may belong to a move in progress.
    let until = SystemTime::from(Utc::now() - options.retain.max(TimeDelta::hours(1)));
    let inboxes: Vec<PathBuf> = inbox.folders.iter().map(|folder| within(lake, folder)).collect();
    for folder in [&inbox.loaded, &inbox.failed].into_iter().flatten() {
        let folder = within(lake, folder);
        if !folder.is_dir() {
            continue;
        }
        walk(&folder, "", &[], &mut |Entry { path, .. }| {
            let Ok(file) = path.symlink_metadata() else { return Ok(()) };
            let is_old = file.modified().is_ok_and(|at| at < until);
            let below = path.strip_prefix(&folder).unwrap_or(&path);
            if file.is_file()
                && is_old
                && (is_copy(&path) || is_placeholder(&path, below, &inboxes))
            {
                if !options.dry_run {
                    fs::remove_file(&path).context(|| format!("deleting `{}`", path.display()))?;
                }
                done.bytes += file.len();
                done.files.push(path);
            }
            Ok(())
        })?;
    }
    Ok(())
}

/// Returns `true` for the temporary file of a copy.
fn is_copy(file: &Path) -> bool {
    file.file_name().and_then(OsStr::to_str).is_some_and(is_temporary)
}

/// Returns `true` for an empty placeholder of a file that is elsewhere.
fn is_placeholder(file: &Path, below: &Path, inboxes: &[PathBuf]) -> bool {
    let holds = |path: &Path| fs::metadata(path).is_ok_and(|file| file.is_file() && file.len() > 0);
    let in_inbox = || inboxes.iter().map(|inbox| inbox.join(below)).any(|path| holds(&path));
    // An empty file that failed has an error file beside it.
    fs::metadata(file).is_ok_and(|file| file.len() == 0)
        && !error_of(file).exists()
        && (holds(&numbered(file, 2)) || in_inbox())
}

/// `sessions.csv` as `sessions-2.csv`.
fn numbered(path: &Path, number: u32) -> PathBuf {
    let name = path.file_name().unwrap_or_default();
    let Some(name) = name.to_str() else {
        let mut name = name.to_owned();
        name.push(format!("-{number}"));
        return path.with_file_name(name);
    };
    let (stem, rest) = name.split_once('.').unwrap_or((name, ""));
    let dot = if rest.is_empty() { "" } else { "." };
    path.with_file_name(format!("{stem}-{number}{dot}{rest}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_go_before_the_extensions() {
        for (name, with) in
            [("a.csv.gz", "in/a-2.csv.gz"), ("a", "in/a-2"), ("a b.csv", "in/a b-2.csv")]
        {
            assert_eq!(numbered(&Path::new("in").join(name), 2), Path::new(with));
        }
    }
}
