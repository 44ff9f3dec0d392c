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

use std::fs::{File, OpenOptions, TryLockError};
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
    let opened = open(file)?;
    let held = opened.lock_shared().is_ok();
    Ok(Lock { file: held.then_some(opened) })
}

/// Waits for a lock that nobody else holds.
pub(super) fn wait(file: &Path) -> Result<Lock> {
    let opened = open(file)?;
    let held = opened.lock().is_ok();
    Ok(Lock { file: held.then_some(opened) })
}

/// Takes a lock that nobody else holds; none if somebody does.
pub(super) fn take(file: &Path) -> Result<Option<Lock>> {
    let opened = open(file)?;
    Ok(match opened.try_lock() {
        Ok(()) => Some(Lock { file: Some(opened) }),
        Err(TryLockError::WouldBlock) => None,
        Err(TryLockError::Error(_)) => Some(Lock { file: None }),
    })
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
    let doing = || format!("locking `{}`", file.display());
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder).context(doing)?;
    }
    OpenOptions::new().create(true).truncate(false).write(true).open(file).context(doing)
}
