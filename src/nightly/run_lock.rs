//! The lock of the nightly run: one run at a time, across machines.
//!
//! ```text
//! .wabalake/nights/00000041        a run: host, process, start; rewritten every 10 s as a heartbeat
//!                  00000041.over   that run has ended
//!                  00000042        the next run: `create_new` picks one winner
//! ```
//!
//! The file with the greatest number is the current run. A run whose heartbeat stopped is considered
//! crashed after two minutes. On Linux, a run detects at once that another one of the same machine has
//! crashed: its file is no longer locked. Elsewhere there is no `/proc` to tell machines apart, so
//! every run counts as one of another machine.
//!
//! A wrong guess loses no data: a commit is computed from the version that it replaces, so two runs
//! only repeat work. A run that finds a greater number than its own stops.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::error::{Context as _, Error, Result};
use crate::lake::Lake;

/// The interval of heartbeats.
const BEAT: Duration = Duration::from_secs(10);

/// A run without a heartbeat for so long is considered crashed: some may be late.
const CRASHED_AFTER: Duration = Duration::from_mins(2);

/// The lock of a nightly run. Dropping it ends the run.
#[derive(Debug)]
#[must_use]
pub struct RunLock {
    folder: PathBuf,
    number: u64,
    /// When the run before began, if it crashed.
    pub crashed: Option<DateTime<Utc>>,
    stop: Option<Sender<()>>,
    beats: Option<JoinHandle<()>>,
}

/// The process that holds the lock.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Holder {
    host: String,
    /// Identifies one boot of the machine; `None` where there is no `/proc`.
    boot: Option<String>,
    process: u32,
    started_at: DateTime<Utc>,
}

impl Holder {
    fn this() -> Self {
        let read = |path: &str| fs::read_to_string(path).ok().map(|text| text.trim().to_owned());
        Self {
            host: read("/proc/sys/kernel/hostname")
                .unwrap_or_else(|| "this or another machine".to_owned()),
            boot: read("/proc/sys/kernel/random/boot_id"),
            process: std::process::id(),
            started_at: Utc::now(),
        }
    }
}

impl RunLock {
    /// Acquires the lock, unless another run holds it.
    ///
    /// # Errors
    /// A run in progress; a lake that cannot be written.
    pub fn acquire(lake: &Lake) -> Result<Self> {
        let folder = lake.internal_folder("nights");
        fs::create_dir_all(&folder).context(|| format!("creating `{}`", folder.display()))?;
        loop {
            let last = last(&folder)?;
            let mut crashed = None;
            if let Some(last) = last.filter(|last| !over(&folder, *last).exists()) {
                let holder = holder(&folder, last);
                if is_alive(&folder, last, holder.as_ref())? {
                    let who = holder.map_or_else(String::new, |holder| {
                        let since = holder.started_at.format("%Y-%m-%d %H:%M:%S UTC");
                        format!(": process {} on {}, since {since}", holder.process, holder.host)
                    });
                    return Err(Error::lake(format!("another nightly run is in progress{who}")).hint(
                        "wait for it; if it crashes, a later `wabalake nightly` detects that and takes over",
                    ));
                }
                crashed = Some(holder.map_or_else(Utc::now, |holder| holder.started_at));
            }
            let number = last.map_or(0, |last| last + 1);
            let path = folder.join(format!("{number:08}"));
            let made = OpenOptions::new().read(true).write(true).create_new(true).open(&path);
            let file = match made {
                // Another run created it first.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => continue,
                made => made.context(|| format!("writing `{}`", path.display()))?,
            };
            // Locked before its holder is written: a reader that finds no lock takes the run for crashed.
            let _ = file.try_lock();
            let mut lock = Self { folder, number, crashed, stop: None, beats: None };
            lock.start_heartbeat(file).context(|| format!("writing `{}`", path.display()))?;
            lock.delete_earlier();
            return Ok(lock);
        }
    }

    /// Checks that no other run took over.
    ///
    /// # Errors
    /// Another run considered this one crashed.
    pub fn check(&self) -> Result<()> {
        if last(&self.folder)?.is_none_or(|last| last <= self.number) {
            return Ok(());
        }
        Err(Error::lake("another nightly run considered this one crashed and took over")
            .hint("this machine was asleep, or its disk did not answer for minutes"))
    }

    fn start_heartbeat(&mut self, mut file: File) -> Result<()> {
        let text = serde_json::to_string(&Holder::this())
            .map_err(|error| Error::bug(format!("the lock: {error}")))?;
        let mut beat = move || -> std::io::Result<()> {
            file.rewind()?;
            file.write_all(text.as_bytes())?;
            file.flush()
        };
        beat().context(|| "writing the lock of the nightly run")?;
        let (stop, stopped) = mpsc::channel();
        self.stop = Some(stop);
        self.beats = Some(std::thread::spawn(move || {
            while stopped.recv_timeout(BEAT) == Err(RecvTimeoutError::Timeout) {
                // The next heartbeat makes up for one that fails.
                let _ = beat();
            }
        }));
        Ok(())
    }

    /// Deletes the files of earlier runs.
    fn delete_earlier(&self) {
        for number in numbers(&self.folder).unwrap_or_default() {
            if number < self.number {
                let _ = fs::remove_file(self.folder.join(format!("{number:08}")));
                let _ = fs::remove_file(over(&self.folder, number));
            }
        }
    }
}

impl Drop for RunLock {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(beats) = self.beats.take() {
            let _ = beats.join();
        }
        // If this fails, the next run finds the file unlocked or its heartbeat old.
        let _ = File::create(over(&self.folder, self.number));
    }
}

fn over(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:08}.over"))
}

fn numbers(folder: &Path) -> Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(folder).context(|| format!("listing `{}`", folder.display()))? {
        let name = entry?.file_name();
        numbers.extend(name.to_str().and_then(|name| name.parse::<u64>().ok()));
    }
    Ok(numbers)
}

fn last(folder: &Path) -> Result<Option<u64>> {
    Ok(numbers(folder)?.into_iter().max())
}

fn holder(folder: &Path, number: u64) -> Option<Holder> {
    let text = fs::read_to_string(folder.join(format!("{number:08}"))).ok()?;
    serde_json::from_str(&text).ok()
}

fn is_alive(folder: &Path, number: u64, holder: Option<&Holder>) -> Result<bool> {
    let path = folder.join(format!("{number:08}"));
    let this = Holder::this();
    let is_here = holder.is_some_and(|holder| holder.boot.is_some() && holder.boot == this.boot);
    if is_here && let Ok(file) = File::open(&path) {
        match file.try_lock_shared() {
            Ok(()) => return Ok(false),
            Err(TryLockError::WouldBlock) => return Ok(true),
            // This file system has no locks.
            Err(TryLockError::Error(_)) => {}
        }
    }
    // Both times come from the file system's clock: those of the machines may differ.
    let probe = || format!("writing a file in `{}`", folder.display());
    let now = tempfile::NamedTempFile::new_in(folder)
        .and_then(|file| file.as_file().metadata()?.modified())
        .context(probe)?;
    match fs::metadata(&path).and_then(|file| file.modified()) {
        Ok(beaten) => {
            Ok(now.duration_since(beaten).is_ok_and(|age| age < CRASHED_AFTER) || beaten > now)
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error).context(|| format!("reading `{}`", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use tempfile::TempDir;

    use super::*;

    fn lake() -> (TempDir, Lake) {
        let folder = TempDir::new().unwrap();
        let lake = Lake::open(folder.path()).unwrap();
        (folder, lake)
    }

    /// A run of another machine whose last heartbeat was so long ago.
    fn run_elsewhere(lake: &Lake, number: u64, age: Duration) {
        let folder = lake.internal_folder("nights");
        fs::create_dir_all(&folder).unwrap();
        let holder = Holder { boot: Some("another".to_owned()), ..Holder::this() };
        let path = folder.join(format!("{number:08}"));
        fs::write(&path, serde_json::to_string(&holder).unwrap()).unwrap();
        let file = OpenOptions::new().write(true).open(&path).unwrap();
        file.set_modified(SystemTime::now() - age).unwrap();
    }

    #[test]
    fn one_run_holds_the_lock() {
        let (_folder, lake) = lake();
        let lock = RunLock::acquire(&lake).unwrap();
        assert_eq!(lock.crashed, None);
        let said = RunLock::acquire(&lake).unwrap_err().lines();
        assert!(said.starts_with("error: another nightly run is in progress: process "), "{said}");
        lock.check().unwrap();
        drop(lock);
        assert_eq!(RunLock::acquire(&lake).unwrap().crashed, None);
        let left = numbers(&lake.internal_folder("nights")).unwrap();
        assert_eq!(left, [1], "files of earlier runs are deleted");
    }

    #[test]
    fn crashed_run_is_detected_after_two_minutes() {
        let (_folder, lake) = lake();
        run_elsewhere(&lake, 7, Duration::from_secs(30));
        assert!(RunLock::acquire(&lake).is_err(), "its heartbeat is half a minute old");
        run_elsewhere(&lake, 7, Duration::from_mins(10));
        let lock = RunLock::acquire(&lake).unwrap();
        assert!(lock.crashed.is_some());
        // The machine wakes up, and another run has taken over.
        run_elsewhere(&lake, 9, Duration::ZERO);
        assert!(lock.check().is_err());
    }

    #[test]
    fn crashed_run_of_the_same_machine_is_detected_at_once() {
        let (_folder, lake) = lake();
        let folder = lake.internal_folder("nights");
        fs::create_dir_all(&folder).unwrap();
        // As a killed process leaves it: a recent heartbeat and no lock.
        let text = serde_json::to_string(&Holder::this()).unwrap();
        fs::write(folder.join("00000003"), text).unwrap();
        if Holder::this().boot.is_some() {
            assert!(RunLock::acquire(&lake).unwrap().crashed.is_some());
        }
    }
}
