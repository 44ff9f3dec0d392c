//! Leases: locks between machines that share an object store.
//!
//! | object | held by | keeps out |
//! |---|---|---|
//! | `.wabalake/leases/writing/<uuid>` | whoever writes files or restores old ones | vacuum, erase |
//! | `.wabalake/leases/alone` | vacuum, erase | all writers |
//!
//! The holder writes its object anew every 10 s: a beat. Without one for two minutes it is dead. Ages are
//! by the clock of the store: the time of an object that was just written is now. Each side first writes
//! its own object, then lists those of others, so at least one of two sees the other.
//!
//! A holder that slept must not go on as if nothing had happened: [`Lease::check`] fails if its last beat
//! is too long ago.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{JoinHandle, sleep};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::{Entry, Key, Made, OWN, Place};
use crate::error::{Context as _, Error, Result};

/// The times of leases.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    /// Between two beats.
    pub(crate) beat: Duration,
    /// Without a beat for this long, others take a holder for dead.
    pub(crate) dead: Duration,
    /// Without a beat for this long, a holder takes itself for dead: earlier than others do.
    pub(crate) stale: Duration,
    /// Between two looks at what others do.
    pub(crate) look: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            beat: Duration::from_secs(10),
            dead: Duration::from_mins(2),
            stale: Duration::from_secs(100),
            look: Duration::from_secs(1),
        }
    }
}

/// A held lease. Dropping it releases it.
#[derive(Debug)]
pub(crate) struct Lease {
    heart: Arc<Heart>,
    /// The time of the store when it was taken.
    since: DateTime<Utc>,
    /// Stops the beats when dropped.
    stop: Option<Sender<()>>,
    beats: Option<JoinHandle<()>>,
}

/// What the thread of the beats shares with the holder.
#[derive(Debug)]
struct Heart {
    place: Arc<Place>,
    key: Key,
    times: Times,
    /// The tag of the object, if others may replace it.
    tag: Mutex<Option<String>>,
    /// The beginning of the last beat that was answered. The first clock may stop while a machine
    /// sleeps, the second may be set.
    last: Mutex<(Instant, SystemTime)>,
    is_lost: AtomicBool,
}

impl Lease {
    /// Takes a shared lease. Waits for a holder of the exclusive one.
    ///
    /// # Errors
    ///
    /// A store that cannot be read or written.
    pub(crate) fn share(place: &Arc<Place>, times: Times) -> Result<Self> {
        loop {
            let key = writers().join(Uuid::new_v4());
            let begun = now();
            place.put(&key, beat())?;
            let (others, now) = listed(place, &key).inspect_err(|_| release(place, &key))?;
            let is_alone = |other: &Entry| other.key == alone() && is_alive(other, now, times);
            if !others.iter().any(is_alone) {
                return Self::held(place, key, None, begun, now, times);
            }
            release(place, &key);
            sleep(times.look);
        }
    }

    /// Takes the exclusive lease; `None` if somebody writes, or holds it.
    ///
    /// # Errors
    ///
    /// As [`Lease::share`].
    pub(crate) fn alone(place: &Arc<Place>, times: Times) -> Result<Option<Self>> {
        let key = alone();
        let begun = now();
        let is_made = match place.make(&key, beat())? {
            Made::Done => true,
            Made::Taken => take_over(place, times)?,
        };
        if !is_made {
            return Ok(None);
        }
        let (others, now) = listed(place, &key)?;
        let is_writer = |other: &Entry| is_alive(other, now, times);
        if others.iter().filter(|other| other.key.parent() == writers()).any(is_writer) {
            release(place, &key);
            return Ok(None);
        }
        let tag = place.entry(&key)?.and_then(|there| there.tag);
        Self::held(place, key, tag, begun, now, times).map(Some)
    }

    fn held(
        place: &Arc<Place>,
        key: Key,
        tag: Option<String>,
        begun: (Instant, SystemTime),
        since: DateTime<Utc>,
        times: Times,
    ) -> Result<Self> {
        let heart = Arc::new(Heart {
            place: Arc::clone(place),
            key,
            times,
            tag: Mutex::new(tag),
            last: Mutex::new(begun),
            is_lost: AtomicBool::new(false),
        });
        let (stop, stopped) = channel();
        let of_thread = Arc::clone(&heart);
        let thread = std::thread::Builder::new().name("lease".to_owned());
        let beats = thread.spawn(move || of_thread.beat_until(&stopped));
        let beats = beats.context(|| "starting a thread that keeps a lease")?;
        Ok(Self { heart, since, stop: Some(stop), beats: Some(beats) })
    }

    /// Its name: the last part of its key.
    pub(crate) fn name(&self) -> &str {
        self.heart.key.name()
    }

    /// Returns `true` if it keeps all writers out.
    pub(crate) fn is_exclusive(&self) -> bool {
        self.heart.key == alone()
    }

    /// The time of the store when it was taken.
    pub(crate) fn since(&self) -> DateTime<Utc> {
        self.since
    }

    /// Checks that others still take the holder for alive.
    ///
    /// # Errors
    ///
    /// A last beat that is too long ago.
    pub(crate) fn check(&self) -> Result<()> {
        let heart = &self.heart;
        let (by_instant, by_clock) = *heart.last.lock().unwrap_or_else(PoisonError::into_inner);
        let age = by_instant.elapsed().max(by_clock.elapsed().unwrap_or_default());
        if age <= heart.times.stale && !heart.is_lost.load(Ordering::SeqCst) {
            return Ok(());
        }
        Err(Error::lake(format!(
            "this command lost its lease on the lake at `{}`",
            heart.place.shown()
        ))
        .found("the machine slept, or the store did not answer for more than a minute")
        .hint("run the same command again"))
    }

    /// Returns `true` if a writer still beats, by the clock of the store.
    ///
    /// # Errors
    ///
    /// As [`Lease::share`].
    pub(crate) fn is_alive(&self, writer: &str) -> Result<bool> {
        let heart = &self.heart;
        // Its time is now.
        let clock = own().join("clock").join(Uuid::new_v4());
        heart.place.put(&clock, beat())?;
        let listed = listed(&heart.place, &clock);
        release(&heart.place, &clock);
        let (others, now) = listed?;
        let key = writers().join(writer);
        Ok(others.iter().any(|other| other.key == key && is_alive(other, now, heart.times)))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        drop(self.stop.take());
        // A beat that is under way would make the object anew.
        let _ = self.beats.take().map(JoinHandle::join);
        if self.check().is_ok() {
            release(&self.heart.place, &self.heart.key);
        }
    }
}

impl Heart {
    fn beat_until(&self, stopped: &Receiver<()>) {
        while stopped.recv_timeout(self.times.beat) == Err(RecvTimeoutError::Timeout) {
            let begun = now();
            match self.beat() {
                Ok(true) => *self.last.lock().unwrap_or_else(PoisonError::into_inner) = begun,
                Ok(false) => return self.is_lost.store(true, Ordering::SeqCst),
                // The next one may be answered.
                Err(_) => {}
            }
        }
    }

    /// Writes the object anew; `false` if another process took the lease.
    fn beat(&self) -> Result<bool> {
        let mut tag = self.tag.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(before) = &*tag else {
            return self.place.put(&self.key, beat()).map(|()| true);
        };
        let made = self.place.swap(&self.key, beat(), before)? == Made::Done;
        *tag = self.place.entry(&self.key)?.and_then(|there| there.tag);
        Ok(made && tag.is_some())
    }
}

/// Returns `true` if somebody writes, by the clock of this machine. Nothing is written.
pub(crate) fn is_written(place: &Place, times: Times) -> Result<bool> {
    let is_alive = |entry: &Entry| is_alive(entry, Utc::now(), times);
    Ok(place.list(&own(), None)?.iter().any(is_alive))
}

/// The leases that nobody holds any more, by a time of the store.
pub(crate) fn left_over(place: &Place, until: DateTime<Utc>) -> Result<Vec<Entry>> {
    let mut entries = place.list(&own(), None)?;
    entries.retain(|entry| entry.modified < until && entry.key != alone());
    Ok(entries)
}

/// Takes an exclusive lease whose holder is dead.
fn take_over(place: &Place, times: Times) -> Result<bool> {
    let clock = own().join("clock").join(Uuid::new_v4());
    place.put(&clock, beat())?;
    let listed = listed(place, &clock);
    release(place, &clock);
    let (others, now) = listed?;
    match others.into_iter().find(|other| other.key == alone()) {
        Some(other) if is_alive(&other, now, times) => Ok(false),
        Some(Entry { tag: Some(tag), .. }) => Ok(place.swap(&alone(), beat(), &tag)? == Made::Done),
        Some(_) => Ok(false),
        None => Ok(place.make(&alone(), beat())? == Made::Done),
    }
}

/// The leases of others, and the time of one's own, which was just written.
fn listed(place: &Place, mine: &Key) -> Result<(Vec<Entry>, DateTime<Utc>)> {
    let mut entries = place.list(&own(), None)?;
    let Some(at) = entries.iter().position(|entry| entry.key == *mine) else {
        return Err(Error::lake(format!("`{mine}` is not listed after it was written"))
            .hint("a lake needs a store that lists what was written before"));
    };
    let now = entries.swap_remove(at).modified;
    Ok((entries, now))
}

fn is_alive(entry: &Entry, now: DateTime<Utc>, times: Times) -> bool {
    let dead = TimeDelta::from_std(times.dead).unwrap_or(TimeDelta::MAX);
    now - entry.modified <= dead
}

fn release(place: &Place, key: &Key) {
    // If this fails, it is dead after a while.
    let _ = place.delete(std::slice::from_ref(key));
}

/// The content of a beat: each is another one's, and another.
fn beat() -> Bytes {
    Bytes::from(format!("{{\"beat\":\"{}\"}}\n", Uuid::new_v4()))
}

fn own() -> Key {
    Key::root().join(OWN).join("leases")
}

fn writers() -> Key {
    own().join("writing")
}

fn alone() -> Key {
    own().join("alone")
}

fn now() -> (Instant, SystemTime) {
    (Instant::now(), SystemTime::now())
}

#[cfg(test)]
mod tests {
    use object_store::memory::InMemory;

    use super::*;

    const TIMES: Times = Times {
        beat: Duration::from_millis(20),
        dead: Duration::from_millis(1500),
        stale: Duration::from_secs(1),
        look: Duration::from_millis(10),
    };

    fn place() -> Arc<Place> {
        Arc::new(Place::over(Arc::new(InMemory::new()), "lake").unwrap())
    }

    #[test]
    fn writers_keep_the_exclusive_lease_away_and_wait_for_it() {
        let place = place();
        let [first, second] = [(); 2].map(|()| Lease::share(&place, TIMES).unwrap());
        assert!(Lease::alone(&place, TIMES).unwrap().is_none());
        drop(first);
        assert!(Lease::alone(&place, TIMES).unwrap().is_none());
        drop(second);
        let alone = Lease::alone(&place, TIMES).unwrap().unwrap();
        assert!(Lease::alone(&place, TIMES).unwrap().is_none());
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| Lease::share(&place, TIMES).unwrap());
            sleep(3 * TIMES.dead);
            assert!(!writer.is_finished(), "its beats keep it alive");
            alone.check().unwrap();
            drop(alone);
            writer.join().unwrap().check().unwrap();
        });
        assert_eq!(place.list(&own(), None).unwrap(), []);
    }

    #[test]
    fn dead_holders_keep_nobody_away() {
        let place = place();
        let slow = Times { beat: Duration::from_hours(1), ..TIMES };
        let writer = Lease::share(&place, slow).unwrap();
        let other = Lease::share(&place, TIMES).unwrap();
        assert!(other.is_alive(writer.name()).unwrap());
        sleep(2 * TIMES.dead);
        assert!(!other.is_alive(writer.name()).unwrap());
        assert!(writer.check().is_err(), "it must not commit");
        assert!(other.check().is_ok() && other.is_alive(other.name()).unwrap());
        drop(other);
        let first = Lease::alone(&place, slow).unwrap().unwrap();
        sleep(2 * TIMES.dead);
        let second = Lease::alone(&place, TIMES).unwrap().unwrap();
        assert!(first.check().is_err());
        drop(first);
        second.check().unwrap();
        assert!(place.entry(&alone()).unwrap().is_some(), "it is the second one's");
    }

    #[test]
    fn exclusive_lease_that_another_took_is_lost() {
        let place = place();
        let lease = Lease::alone(&place, TIMES).unwrap().unwrap();
        place.put(&alone(), beat()).unwrap();
        sleep(10 * TIMES.beat);
        assert!(lease.check().is_err());
    }
}
