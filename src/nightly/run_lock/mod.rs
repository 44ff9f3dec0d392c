//! The lock of the nightly run: one run at a time, across machines.
//!
//! ```text
//! .wabalake/nights/00000041        a run: host, process, start; rewritten every 10 s as a heartbeat
//!                  00000041.over   that run has ended
//!                  00000042        the next run: it must not exist, so one of several wins
//! ```
//!
//! The greatest number is that of the current run. A run whose heartbeat stopped is considered crashed
//! after two minutes, by the clock of the lake's place. A crashed run of the same machine is detected at
//! once: in a folder its file is no longer locked, and on a store its process is gone. That takes Linux;
//! elsewhere there is no `/proc` to tell machines apart, so every run counts as one of another machine.
//!
//! A wrong guess loses no data: a commit is computed from the version that it replaces, so two runs
//! only repeat work. A run that finds a greater number than its own stops.

mod holder;

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Seek as _, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use bytes::Bytes;
use chrono::{DateTime, Utc};

use self::holder::Holder;
use crate::error::{Context as _, Error, Result};
use crate::lake::Lake;
use crate::place::heartbeat::{Beginning, Heartbeat};
use crate::place::lease::{Times, is_alive, listed_now};
use crate::place::{Key, Made, OWN, Place};

/// The lock of a nightly run. Dropping it ends the run.
#[derive(Debug)]
#[must_use]
pub struct RunLock {
    place: Arc<Place>,
    times: Times,
    number: u64,
    heartbeat: Heartbeat,
    /// When the run before began, if it crashed.
    pub crashed: Option<DateTime<Utc>>,
    /// Deletes the files of earlier runs.
    tidying: Option<JoinHandle<()>>,
}

impl RunLock {
    /// Acquires the lock, unless another run holds it.
    ///
    /// # Errors
    /// A run in progress; a lake that cannot be written.
    pub fn acquire(lake: &Lake) -> Result<Self> {
        let (place, times) = (lake.place(), lake.lease_times());
        let holder = Holder::this();
        let mut found = Some(thread::scope(|scope| {
            let required = scope.spawn(|| place.require_conditions());
            let found = listed(place);
            required
                .join()
                .unwrap_or_else(|_| Err(Error::bug("a thread failed to probe a store")))?;
            found
        })?);
        loop {
            let found = found.take().map_or_else(|| listed(place), Ok);
            let Listed { last, is_over } = found?;
            let mut crashed = None;
            if let Some(last) = last.filter(|_| !is_over) {
                let other = place.read(&entry(last))?.and_then(|text| Holder::parse(&text));
                if is_active(place, last, other.as_ref(), times)? {
                    return Err(in_progress(other));
                }
                crashed = Some(other.map_or_else(Utc::now, |holder| holder.started_at));
            }
            let number = last.map_or(0, |last| last + 1);
            let begun = Beginning::now();
            // Another run may have been faster.
            let Some(beat) = claim(place, number, holder.clone())? else { continue };
            let heartbeat = Heartbeat::start(times.beat, begun, beat)?;
            let mut lock =
                Self { place: Arc::clone(place), times, number, heartbeat, crashed, tidying: None };
            let numbers = numbers(place)?;
            // Between the listing and the claim, others ran and deleted the number that it takes.
            if numbers.iter().any(|(other, _)| *other > number) {
                continue;
            }
            let earlier = numbers.into_iter().filter(|(other, _)| *other < number);
            let earlier: Vec<Key> = earlier.map(|(_, key)| key).collect();
            let tidied = Arc::clone(place);
            // What is left is deleted by the next run.
            lock.tidying = Some(thread::spawn(move || drop(tidied.delete(&earlier))));
            return Ok(lock);
        }
    }

    /// Checks that no other run took over. On a store, a recent heartbeat is enough: nobody takes over
    /// from a run that has one.
    ///
    /// # Errors
    /// Another run considered this one crashed.
    pub fn check(&self) -> Result<()> {
        let is_recent = self.heartbeat.age() <= self.times.stale && !self.heartbeat.is_lost();
        let is_mine = is_recent && self.place.as_folder().is_none()
            || listed(&self.place)?.last.is_none_or(|last| last <= self.number);
        if is_mine {
            return Ok(());
        }
        Err(Error::lake("another nightly run considered this one crashed and took over").hint(
            "this machine was asleep, or the lake's disk or store did not answer for minutes",
        ))
    }
}

impl Drop for RunLock {
    fn drop(&mut self) {
        self.heartbeat.stop();
        if let Some(tidying) = self.tidying.take() {
            let _ = tidying.join();
        }
        // If this fails, the next run finds the process gone or its heartbeat old.
        let _ = self.place.put(&over(self.number), Bytes::from_static(b"{}\n"));
    }
}

fn nights() -> Key {
    Key::root().join(OWN).join("nights")
}

fn entry(number: u64) -> Key {
    nights().join(format_args!("{number:08}"))
}

fn over(number: u64) -> Key {
    nights().join(format_args!("{number:08}{OVER}"))
}

/// The extension of the file that says that a run has ended.
const OVER: &str = ".over";

/// The current run.
struct Listed {
    last: Option<u64>,
    is_over: bool,
}

fn listed(place: &Place) -> Result<Listed> {
    let numbers = numbers(place)?;
    let runs = numbers.iter().filter(|(number, key)| *key == entry(*number));
    let last = runs.map(|(number, _)| *number).max();
    let is_over = last.is_some_and(|last| numbers.iter().any(|(_, key)| *key == over(last)));
    Ok(Listed { last, is_over })
}

/// The files of runs, with their numbers.
fn numbers(place: &Place) -> Result<Vec<(u64, Key)>> {
    let keys = place.list(&nights(), None)?.into_iter().map(|entry| entry.key);
    let number = |key: Key| {
        let name = key.name();
        Some((name.strip_suffix(OVER).unwrap_or(name).parse().ok()?, key))
    };
    Ok(keys.filter_map(number).collect())
}

/// Writes the entry of a run anew; `false` if another run took over.
type Beat = Box<dyn FnMut() -> Result<bool> + Send>;

/// Writes the entry of a run, and returns the function that writes it anew. `None` if it exists.
fn claim(place: &Arc<Place>, number: u64, holder: Holder) -> Result<Option<Beat>> {
    let key = entry(number);
    if let Some(root) = place.as_folder() {
        return claim_file(&root.join(key.as_str()), holder);
    }
    if place.make(&key, holder.beat())? == Made::Taken {
        return Ok(None);
    }
    let place = Arc::clone(place);
    Ok(Some(Box::new(move || {
        place.put(&key, holder.beat())?;
        Ok(listed(&place)?.last.is_none_or(|last| last <= number))
    })))
}

/// [`claim`] in a folder: the file stays open and locked as long as the process lives.
fn claim_file(path: &Path, holder: Holder) -> Result<Option<Beat>> {
    let writing = || format!("writing `{}`", path.display());
    fs::create_dir_all(path.parent().unwrap_or(path)).context(writing)?;
    let made = OpenOptions::new().read(true).write(true).create_new(true).open(path);
    let mut file = match made {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(None),
        made => made.context(writing)?,
    };
    // Locked before its holder is written: a reader that finds no lock takes the run for crashed.
    let _ = file.try_lock();
    let mut beat = move || {
        file.rewind()?;
        file.write_all(&holder.beat())?;
        file.flush()?;
        Ok(true)
    };
    beat().map_err(|error: Error| error.context(writing()))?;
    Ok(Some(Box::new(beat)))
}

fn in_progress(holder: Option<Holder>) -> Error {
    let who = holder.map_or_else(String::new, |holder| {
        let since = holder.started_at.format("%Y-%m-%d %H:%M:%S UTC");
        format!(": process {} on {}, since {since}", holder.process, holder.host)
    });
    Error::lake(format!("another nightly run is in progress{who}"))
        .hint("wait for it; if it crashes, a later `wabalake nightly` detects that and takes over")
}

/// Returns `true` if a run is still active.
fn is_active(place: &Place, number: u64, holder: Option<&Holder>, times: Times) -> Result<bool> {
    if let Some(holder) = holder {
        let by_file = place.as_folder().filter(|_| holder.is_of_this_machine());
        let by_file = by_file.and_then(|root| is_locked(&root.join(entry(number).as_str())));
        if let Some(is_active) = by_file.or_else(|| holder.is_running()) {
            return Ok(is_active);
        }
    }
    let (entries, now) = listed_now(place, &nights())?;
    Ok(entries.iter().any(|run| run.key == entry(number) && is_alive(run, now, times)))
}

/// Returns `true` if a process holds the lock of a file; `None` if the file system has no locks.
fn is_locked(file: &Path) -> Option<bool> {
    match File::open(file).ok()?.try_lock_shared() {
        Ok(()) => Some(false),
        Err(TryLockError::WouldBlock) => Some(true),
        Err(TryLockError::Error(_)) => None,
    }
}

#[cfg(test)]
mod tests;
