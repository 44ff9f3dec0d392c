//! Moves files of the inbox to the folders `loaded` and `failed`.
//!
//! | from | to | how |
//! |---|---|---|
//! | this machine | this machine | rename, else copy and delete |
//! | a bucket | the same bucket | the store copies; delete |
//! | another place | a store | put; delete |
//! | a store | this machine | the copy that was loaded is renamed; delete |
//!
//! A path below the inbox is kept. If the name is taken, a number is appended. A move that is killed
//! leaves the whole file in one of the places, or in both.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use chrono::{TimeDelta, Utc};
use wabalake_data::at_once;

use super::arrival::{AT_ONCE, Arrival, At};
use super::folders::Folders;
use crate::error::{Context as _, Error, Result};
use crate::files::{Access, beside, is_temporary};
use crate::lake::vacuum::{self, Vacuumed};
use crate::load::folder::{Entry, walk};
use crate::place::{Key, Payload, Place};

/// Moves a file that cannot be loaded, and writes the error beside it.
pub(super) fn move_failed(failed: &Arc<Place>, arrival: &Arrival, error: &Error) -> Result<()> {
    let text = format!("{}\n", error.lines());
    if let Some(folder) = failed.as_folder() {
        let place = error_of(&move_to_folder(folder, arrival)?);
        return fs::write(&place, text).context(|| format!("writing `{}`", place.display()));
    }
    let [key] = free_keys(failed, &[arrival])?.try_into().unwrap_or_default();
    move_to_key(failed, &key, arrival)?;
    failed.put(&key.parent().join(format_args!("{}.error.txt", key.name())), Bytes::from(text))
}

/// Moves loaded files into a folder of this machine or of a store.
pub(super) fn move_all(target: &Arc<Place>, arrivals: &[Arrival]) -> Result<()> {
    if let Some(folder) = target.as_folder() {
        return arrivals.iter().try_for_each(|arrival| move_to_folder(folder, arrival).map(drop));
    }
    let arrivals: Vec<&Arrival> = arrivals.iter().collect();
    let pairs: Vec<_> = free_keys(target, &arrivals)?.into_iter().zip(arrivals).collect();
    let moved = at_once(&pairs, AT_ONCE, |(key, arrival)| move_to_key(target, key, arrival));
    moved.into_iter().collect()
}

/// Deletes loaded files.
pub(super) fn delete_all(arrivals: &[Arrival]) -> Result<()> {
    let deleted = at_once(arrivals, AT_ONCE, delete);
    deleted.into_iter().collect()
}

fn delete(arrival: &Arrival) -> Result<()> {
    match &arrival.at {
        At::File(path) => {
            fs::remove_file(path).context(|| format!("deleting `{}`", path.display()))
        }
        At::Object(object) => object.place.delete(std::slice::from_ref(&object.key)),
    }
}

/// Names that no object of a store has, one for each file.
fn free_keys(target: &Place, arrivals: &[&Arrival]) -> Result<Vec<Key>> {
    let mut taken = BTreeSet::new();
    let mut free: Vec<Option<Key>> = vec![None; arrivals.len()];
    for number in 1_u32.. {
        let open = || free.iter().enumerate().filter(|(_, key)| key.is_none()).map(|(at, _)| at);
        let wanted: Vec<(usize, Key)> = open()
            .filter_map(|at| Some((at, key_of(&arrivals.get(at)?.below, number))))
            .filter(|(_, key)| !taken.contains(key))
            .collect();
        if open().next().is_none() {
            break;
        }
        let keys: Vec<Key> = wanted.iter().map(|(_, key)| key.clone()).collect();
        for ((at, key), there) in wanted.into_iter().zip(target.entries(&keys)) {
            if there?.is_none()
                && taken.insert(key.clone())
                && let Some(free) = free.get_mut(at)
            {
                *free = Some(key);
            }
        }
    }
    Ok(free.into_iter().flatten().collect())
}

/// The key of a path below the inbox; the number is appended from 2 on.
fn key_of(below: &Path, number: u32) -> Key {
    let below = if number == 1 { below.to_owned() } else { numbered(below, number) };
    Key::root().join(below.display())
}

/// Moves a file to an object that does not exist.
fn move_to_key(target: &Place, key: &Key, arrival: &Arrival) -> Result<()> {
    let is_copied = match &arrival.at {
        At::Object(object) => object.place.copy_within_bucket(&object.key, target, key)?,
        At::File(_) => false,
    };
    if !is_copied {
        target.put(key, Payload::File(arrival.path().to_owned()))?;
    }
    delete(arrival)
}

/// The path of the error file beside a failed one.
fn error_of(file: &Path) -> PathBuf {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(".error.txt");
    file.with_file_name(name)
}

/// Moves a file into a folder of this machine.
fn move_to_folder(folder: &Path, arrival: &Arrival) -> Result<PathBuf> {
    let moving = || format!("moving `{}` into `{}`", arrival.key(), folder.display());
    let wanted = folder.join(&arrival.below);
    if let Some(parent) = wanted.parent() {
        fs::create_dir_all(parent).context(moving)?;
    }
    for number in 1_u32.. {
        let place = if number == 1 { wanted.clone() } else { numbered(&wanted, number) };
        match move_to(arrival.path(), &place) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => continue,
            moved => moved.context(moving)?,
        }
        if let At::Object(_) = &arrival.at {
            delete(arrival)?;
        }
        return Ok(place);
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
pub(super) fn sweep(
    folders: &Folders,
    options: vacuum::Options,
    done: &mut Vacuumed,
) -> Result<()> {
    // A younger file may belong to a move in progress.
    let until = SystemTime::from(Utc::now() - options.retain.max(TimeDelta::hours(1)));
    let inboxes = folders.inbox.iter().filter_map(|inbox| inbox.as_folder());
    let inboxes: Vec<PathBuf> = inboxes.map(Path::to_owned).collect();
    // A store has no half-written objects.
    for folder in folders.targets().filter_map(|target| target.as_folder()) {
        if !folder.is_dir() {
            continue;
        }
        walk(folder, "", &[], &mut |Entry { path, .. }| {
            let Ok(file) = path.symlink_metadata() else { return Ok(()) };
            let is_old = file.modified().is_ok_and(|at| at < until);
            let below = path.strip_prefix(folder).unwrap_or(&path);
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
    use object_store::memory::InMemory;

    use super::*;
    use crate::load::folder::FileState;

    #[test]
    fn numbers_go_before_the_extensions() {
        for (name, with) in
            [("a.csv.gz", "in/a-2.csv.gz"), ("a", "in/a-2"), ("a b.csv", "in/a b-2.csv")]
        {
            assert_eq!(numbered(&Path::new("in").join(name), 2), Path::new(with));
        }
    }

    #[test]
    fn no_object_is_replaced() {
        let target = Arc::new(Place::over(Arc::new(InMemory::new()), "loaded").unwrap());
        let folder = tempfile::tempdir().unwrap();
        let put = |key: &str| target.put(&Key::parse(key).unwrap(), Bytes::from_static(b"there"));
        put("sub/a.csv").unwrap();
        put("sub/a-3.csv").unwrap();
        let arrivals = ["1", "2", "3"].map(|inbox| {
            let path = folder.path().join(inbox);
            fs::write(&path, inbox).unwrap();
            let seen = FileState::of(&path).unwrap();
            Arrival { at: At::File(path), below: "sub/a.csv".into(), seen }
        });
        move_all(&target, &arrivals).unwrap();
        let read = |key: &str| target.read(&Key::parse(key).unwrap()).unwrap().unwrap();
        let found = ["sub/a.csv", "sub/a-2.csv", "sub/a-3.csv", "sub/a-4.csv", "sub/a-5.csv"];
        assert_eq!(found.map(read), ["there", "1", "there", "2", "3"]);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
