//! Locks between processes: of files on one machine, and leases on a store.
//!
//! | lock | held by | keeps out |
//! |---|---|---|
//! | writing, shared | whoever writes files or restores old ones | vacuum, erase |
//! | writing, exclusive | vacuum, erase | all writers |
//! | table | whoever changes a table | others that would compute changes in vain |
//!
//! Whoever waits for several waits for the write lock first, then for tables by name. The locks of tables
//! also tell whether a process that changes several of them runs or was killed (see `joint`).
//!
//! No data is lost or doubled without locks: commit conflicts decide who comes first. Locks save work,
//! and keep `vacuum` from files that are about to be committed. A killed process releases its locks.
//! If the file system has none, `vacuum` relies on the age of files alone.
//!
//! On a store, the write lock is a lease (see `place::lease`). The locks of tables are files of this
//! machine all the same: they say nothing of other machines, and save work.

#[cfg(unix)]
use std::fs::Metadata;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::error::{Context as _, Result};
use crate::place::lease::Lease;

/// How long a lock that another process seems to hold is tried for: a child process holds those of its
/// parent until it has started its program.
const PATIENCE: Duration = Duration::from_millis(400);

/// A held lock; dropping it releases it.
#[derive(Debug)]
#[must_use]
pub struct Lock {
    /// `None` if the file system has no locks.
    file: Option<File>,
    lease: Option<Arc<Lease>>,
}

impl Lock {
    /// Returns `true` if it keeps others out: not every file system has locks.
    pub(super) fn holds(&self) -> bool {
        self.file.is_some() || self.lease.is_some()
    }

    /// The lock of a file; of none if the file system has no locks.
    fn of(file: Option<File>) -> Self {
        Self { file, lease: None }
    }

    /// The lock that a lease is.
    pub(super) fn of_lease(lease: Arc<Lease>) -> Self {
        Self { file: None, lease: Some(lease) }
    }
}

/// Like [`wait`]; without a lock if the file cannot be opened.
pub(super) fn wait_if_possible(file: &Path) -> Lock {
    wait(file).unwrap_or_else(|_| Lock::of(None))
}

/// Waits for a shared lock.
pub(super) fn share(file: &Path) -> Result<Lock> {
    loop {
        let opened = open(file)?;
        let held = opened.lock_shared().is_ok();
        if !held || is_at(&opened, file) {
            return Ok(Lock::of(held.then_some(opened)));
        }
    }
}

/// Waits for an exclusive lock.
pub(super) fn wait(file: &Path) -> Result<Lock> {
    loop {
        let opened = open(file)?;
        let held = opened.lock().is_ok();
        if !held || is_at(&opened, file) {
            return Ok(Lock::of(held.then_some(opened)));
        }
    }
}

/// Tries to take an exclusive lock; `None` if another process holds it.
pub(super) fn take(file: &Path) -> Result<Option<Lock>> {
    let started = Instant::now();
    loop {
        let opened = open(file)?;
        match opened.try_lock() {
            Ok(()) if !is_at(&opened, file) => {}
            Ok(()) => return Ok(Some(Lock::of(Some(opened)))),
            Err(TryLockError::WouldBlock) if started.elapsed() > PATIENCE => return Ok(None),
            Err(TryLockError::WouldBlock) => sleep(PATIENCE / 20),
            Err(TryLockError::Error(_)) => return Ok(Some(Lock::of(None))),
        }
    }
}

/// Returns `true` if the path still leads to the open file. A lake that is removed takes its lock
/// files along, and a lock on a deleted file keeps nobody out.
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
        // Windows deletes no open file.
        let _ = (opened, file);
        true
    }
}

/// Like [`take`], without creating the file: if it does not exist, nobody holds the lock.
pub(super) fn look(file: &Path) -> Option<Lock> {
    let started = Instant::now();
    let Ok(opened) = File::open(file) else { return Some(Lock::of(None)) };
    loop {
        match opened.try_lock() {
            Err(TryLockError::WouldBlock) if started.elapsed() > PATIENCE => return None,
            Err(TryLockError::WouldBlock) => sleep(PATIENCE / 20),
            locked => return Some(Lock::of(locked.is_ok().then_some(opened))),
        }
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
            // The folder was removed meanwhile.
            Err(error) if error.kind() == ErrorKind::NotFound && tries < TRIES => {}
            opened => return opened.context(doing),
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn lock_on_a_deleted_file_is_taken_again() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("locks/writing");
        for waits in [share, wait] {
            let alone = take(&file).unwrap();
            let lock = std::thread::scope(|scope| {
                let waiting = scope.spawn(|| waits(&file));
                // Long enough to open the file and to start waiting.
                sleep(Duration::from_millis(300));
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
