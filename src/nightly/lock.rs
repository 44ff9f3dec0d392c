//! One night at a time, on however many machines.
//!
//! ```text
//! .wabalake/nights/00000041        a night: who, where, since when; written to while it lives
//!                  00000041.over   it is over
//!                  00000042        the next one: two that want to be it cannot both make the file
//! ```
//!
//! The greatest number counts. A night whose file is not written to any more is dead, and on the
//! machine it ran on, one whose file is not locked any more: that is known at once. It is no
//! harm to be wrong, for what a night commits is computed from what it replaces; it is only work
//! done twice. A night that finds a greater number than its own stops.

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

/// How often a night writes to its file.
const BEAT: Duration = Duration::from_secs(10);

/// A night whose file is older than this is dead: some beats may come late.
const DEAD: Duration = Duration::from_mins(2);

/// A night that is under way; dropped, it is over.
#[derive(Debug)]
#[must_use]
pub struct Night {
    folder: PathBuf,
    number: u64,
    /// When the night before began, if it did not live to its end.
    pub died: Option<DateTime<Utc>>,
    stop: Option<Sender<()>>,
    beats: Option<JoinHandle<()>>,
}

/// Who has a night.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Holder {
    host: String,
    /// Names the machine since it was started; none where that is not known.
    boot: Option<String>,
    process: u32,
    started_at: DateTime<Utc>,
}

impl Holder {
    fn this() -> Self {
        let read = |path: &str| fs::read_to_string(path).ok().map(|text| text.trim().to_owned());
        Self {
            host: read("/proc/sys/kernel/hostname").unwrap_or_else(|| "another machine".to_owned()),
            boot: read("/proc/sys/kernel/random/boot_id"),
            process: std::process::id(),
            started_at: Utc::now(),
        }
    }
}

impl Night {
    /// Begins a night, unless another one is under way.
    ///
    /// # Errors
    /// Another night; a lake that cannot be written.
    pub fn begin(lake: &Lake) -> Result<Self> {
        let folder = lake.own_folder("nights");
        fs::create_dir_all(&folder).context(|| format!("making `{}`", folder.display()))?;
        loop {
            let last = last(&folder)?;
            let mut died = None;
            if let Some(last) = last.filter(|last| !over(&folder, *last).exists()) {
                let holder = holder(&folder, last);
                if is_alive(&folder, last, holder.as_ref())? {
                    let who = holder.map_or_else(String::new, |holder| {
                        let since = holder.started_at.format("%Y-%m-%d %H:%M:%S UTC");
                        format!(": process {} on {}, since {since}", holder.process, holder.host)
                    });
                    return Err(Error::lake(format!("another night is under way{who}")).hint(
                        "wait for it; if it dies, the next `wabalake nightly` sees that by itself",
                    ));
                }
                died = Some(holder.map_or_else(Utc::now, |holder| holder.started_at));
            }
            let number = last.map_or(0, |last| last + 1);
            let path = folder.join(format!("{number:08}"));
            let made = OpenOptions::new().read(true).write(true).create_new(true).open(&path);
            let file = match made {
                // Another one was quicker.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => continue,
                made => made.context(|| format!("writing `{}`", path.display()))?,
            };
            // Locked before it says whose it is: who reads that may ask for the lock.
            let _ = file.try_lock();
            let mut night = Self { folder, number, died, stop: None, beats: None };
            night.start_beating(file).context(|| format!("writing `{}`", path.display()))?;
            night.forget_before();
            return Ok(night);
        }
    }

    /// Whether no other one has taken this night for dead.
    ///
    /// # Errors
    /// Another night, which has.
    pub fn check(&self) -> Result<()> {
        if last(&self.folder)?.is_none_or(|last| last <= self.number) {
            return Ok(());
        }
        Err(Error::lake("another night took this one for dead, and has taken over")
            .hint("this machine was asleep, or its disk did not answer for minutes"))
    }

    fn start_beating(&mut self, mut file: File) -> Result<()> {
        let text = serde_json::to_string(&Holder::this())
            .map_err(|error| Error::bug(format!("the lock: {error}")))?;
        let mut beat = move || -> std::io::Result<()> {
            file.rewind()?;
            file.write_all(text.as_bytes())?;
            file.flush()
        };
        beat().context(|| "writing the lock of the night")?;
        let (stop, stopped) = mpsc::channel();
        self.stop = Some(stop);
        self.beats = Some(std::thread::spawn(move || {
            while stopped.recv_timeout(BEAT) == Err(RecvTimeoutError::Timeout) {
                // One that fails is made up for by the next.
                let _ = beat();
            }
        }));
        Ok(())
    }

    /// Deletes what earlier nights left.
    fn forget_before(&self) {
        for number in numbers(&self.folder).unwrap_or_default() {
            if number < self.number {
                let _ = fs::remove_file(self.folder.join(format!("{number:08}")));
                let _ = fs::remove_file(over(&self.folder, number));
            }
        }
    }
}

impl Drop for Night {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(beats) = self.beats.take() {
            let _ = beats.join();
        }
        // Where this fails, the next night finds the lock gone, or the file old.
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
            // No locks on this file system.
            Err(TryLockError::Error(_)) => {}
        }
    }
    // Both times are of the file system's own clock, whatever those of the machines say.
    let probe = || format!("writing a file in `{}`", folder.display());
    let now = tempfile::NamedTempFile::new_in(folder)
        .and_then(|file| file.as_file().metadata()?.modified())
        .context(probe)?;
    match fs::metadata(&path).and_then(|file| file.modified()) {
        Ok(beaten) => Ok(now.duration_since(beaten).is_ok_and(|age| age < DEAD) || beaten > now),
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

    /// A night of another machine, whose file was last written to some time ago.
    fn elsewhere(lake: &Lake, number: u64, age: Duration) {
        let folder = lake.own_folder("nights");
        fs::create_dir_all(&folder).unwrap();
        let holder = Holder { boot: Some("another".to_owned()), ..Holder::this() };
        let path = folder.join(format!("{number:08}"));
        fs::write(&path, serde_json::to_string(&holder).unwrap()).unwrap();
        let file = OpenOptions::new().write(true).open(&path).unwrap();
        file.set_modified(SystemTime::now() - age).unwrap();
    }

    #[test]
    fn there_is_one_night_at_a_time() {
        let (_folder, lake) = lake();
        let night = Night::begin(&lake).unwrap();
        assert_eq!(night.died, None);
        let said = Night::begin(&lake).unwrap_err().lines();
        assert!(said.starts_with("error: another night is under way: process "), "{said}");
        night.check().unwrap();
        drop(night);
        assert_eq!(Night::begin(&lake).unwrap().died, None);
        let left = numbers(&lake.own_folder("nights")).unwrap();
        assert_eq!(left, [1], "what earlier nights left is deleted");
    }

    #[test]
    fn a_dead_night_is_told_from_a_live_one() {
        let (_folder, lake) = lake();
        elsewhere(&lake, 7, Duration::from_secs(30));
        assert!(Night::begin(&lake).is_err(), "it was written to half a minute ago");
        elsewhere(&lake, 7, Duration::from_mins(10));
        let night = Night::begin(&lake).unwrap();
        assert!(night.died.is_some());
        // It comes to life again, and another one is at work by now.
        elsewhere(&lake, 9, Duration::ZERO);
        assert!(night.check().is_err());
    }

    #[test]
    fn on_its_own_machine_a_dead_night_is_known_at_once() {
        let (_folder, lake) = lake();
        let folder = lake.own_folder("nights");
        fs::create_dir_all(&folder).unwrap();
        // As a killed process leaves it: written to a moment ago, and not locked.
        let text = serde_json::to_string(&Holder::this()).unwrap();
        fs::write(folder.join("00000003"), text).unwrap();
        if Holder::this().boot.is_some() {
            assert!(Night::begin(&lake).unwrap().died.is_some());
        }
    }
}
