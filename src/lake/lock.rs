//! Who may do what at the same time on one machine.
//!
//! | lock | held by | kept out |
//! |---|---|---|
//! | writing, shared | what writes files or brings old ones back | vacuum, erase |
//! | writing, alone | vacuum, erase | what writes |
//! | turn of a table | what merges into it | others that would merge in vain |
//!
//! Nothing is lost or doubled without locks: commits settle who comes first. They spare work, and
//! keep `vacuum` from files that are about to be committed. A killed process holds none. Where the
//! file system has no locks, `vacuum` goes by the age of files alone.

#[cfg(unix)]
use std::fs::Metadata;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::path::Path;

use crate::error::{Context as _, Result};

/// A lock that is held; dropped, it is free.
#[derive(Debug)]
#[must_use]
pub struct Lock {
    /// None where the file system has no locks.
    file: Option<File>,
}

impl Lock {
    /// Whether it keeps anybody out: not every file system has locks.
    pub(super) fn holds(&self) -> bool {
        self.file.is_some()
    }
}

/// Waits for a lock that others may hold as well.
pub(super) fn share(file: &Path) -> Result<Lock> {
    loop {
        let opened = open(file)?;
        let held = opened.lock_shared().is_ok();
        if !held || is_at(&opened, file) {
            return Ok(Lock { file: held.then_some(opened) });
        }
    }
}

/// Waits for a lock that nobody else holds.
pub(super) fn wait(file: &Path) -> Result<Lock> {
    loop {
        let opened = open(file)?;
        let held = opened.lock().is_ok();
        if !held || is_at(&opened, file) {
            return Ok(Lock { file: held.then_some(opened) });
        }
    }
}

/// Takes a lock that nobody else holds; none if somebody does.
pub(super) fn take(file: &Path) -> Result<Option<Lock>> {
    loop {
        let opened = open(file)?;
        match opened.try_lock() {
            Ok(()) if !is_at(&opened, file) => {}
            Ok(()) => return Ok(Some(Lock { file: Some(opened) })),
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(_)) => return Ok(Some(Lock { file: None })),
        }
    }
}

/// Whether an open file is still the one of that path: with a lake that is taken back its locks go, and
/// a lock that nobody else can find keeps nobody out.
fn is_at(opened: &File, file: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        let number = |file: Metadata| (file.dev(), file.ino());
        let numbers = (opened.metadata().map(number), file.metadata().map(number));
        matches!(numbers, (Ok(opened), Ok(there)) if opened == there)
    }
    #[cfg(not(unix))]
    {
        // No file is deleted there while it is open.
        let _ = (opened, file);
        true
    }
}

/// The same without making the file, for what only looks: where there is none, nobody holds it.
pub(super) fn look(file: &Path) -> Option<Lock> {
    let Ok(opened) = File::open(file) else { return Some(Lock { file: None }) };
    match opened.try_lock() {
        Err(TryLockError::WouldBlock) => None,
        locked => Some(Lock { file: locked.is_ok().then_some(opened) }),
    }
}

fn open(file: &Path) -> Result<File> {
    const TRIES: usize = 100;
    let doing = || format!("locking `{}`", file.display());
    let mut tries = 0;
    loop {
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder).context(doing)?;
        }
        tries += 1;
        match OpenOptions::new().create(true).truncate(false).write(true).open(file) {
            // The folder was taken back meanwhile.
            Err(error) if error.kind() == ErrorKind::NotFound && tries < TRIES => {}
            opened => return opened.context(doing),
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_lock_whose_file_is_gone_is_taken_anew() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("locks/writing");
        for waits in [share, wait] {
            let alone = take(&file).unwrap();
            let lock = std::thread::scope(|scope| {
                let waiting = scope.spawn(|| waits(&file));
                // Long enough for it to have opened the file and to wait.
                std::thread::sleep(Duration::from_millis(300));
                std::fs::remove_dir_all(folder.path().join("locks")).unwrap();
                drop(alone);
                waiting.join().unwrap().unwrap()
            });
            assert!(lock.holds() && look(&file).is_none(), "nobody else can see it");
            drop(lock);
            assert!(look(&file).is_some_and(|lock| lock.holds()));
        }
    }
}
