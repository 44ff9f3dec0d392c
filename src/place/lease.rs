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

use std::sync::Arc;
use std::thread::sleep;
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::heartbeat::{Beginning, Heartbeat};
use super::{Entry, Key, Made, OWN, Place};
use crate::error::{Error, Result};

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
    place: Arc<Place>,
    key: Key,
    times: Times,
    /// The time of the store when it was taken.
    since: DateTime<Utc>,
    heartbeat: Heartbeat,
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
            let begun = Beginning::now();
            place.put(&key, beat())?;
            let (others, now) =
                listed(place, &own(), &key).inspect_err(|_| release(place, &key))?;
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
        let begun = Beginning::now();
        let is_made = match place.make(&key, beat())? {
            Made::Done => true,
            Made::Taken => take_over(place, times)?,
        };
        if !is_made {
            return Ok(None);
        }
        let (others, now) = listed(place, &own(), &key)?;
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
        begun: Beginning,
        since: DateTime<Utc>,
        times: Times,
    ) -> Result<Self> {
        let mut object = Object { place: Arc::clone(place), key: key.clone(), tag };
        let heartbeat = Heartbeat::start(times.beat, begun, move || object.beat())?;
        Ok(Self { place: Arc::clone(place), key, times, since, heartbeat })
    }

    /// Its name: the last part of its key.
    pub(crate) fn name(&self) -> &str {
        self.key.name()
    }

    /// Returns `true` if it keeps all writers out.
    pub(crate) fn is_exclusive(&self) -> bool {
        self.key == alone()
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
        if self.heartbeat.age() <= self.times.stale && !self.heartbeat.is_lost() {
            return Ok(());
        }
        Err(Error::lake(format!(
            "this command lost its lease on the lake at `{}`",
            self.place.shown()
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
        let (others, now) = listed_now(&self.place, &own())?;
        let key = writers().join(writer);
        Ok(others.iter().any(|other| other.key == key && is_alive(other, now, self.times)))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.heartbeat.stop();
        if self.check().is_ok() {
            release(&self.place, &self.key);
        }
    }
}

/// The object of a lease.
struct Object {
    place: Arc<Place>,
    key: Key,
    /// Its tag, if others may replace it.
    tag: Option<String>,
}

impl Object {
    /// Writes the object anew; `false` if another process took the lease.
    fn beat(&mut self) -> Result<bool> {
        let Some(before) = &self.tag else {
            return self.place.put(&self.key, beat()).map(|()| true);
        };
        let made = self.place.swap(&self.key, beat(), before)? == Made::Done;
        self.tag = self.place.entry(&self.key)?.and_then(|there| there.tag);
        Ok(made && self.tag.is_some())
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
    let (others, now) = listed_now(place, &own())?;
    match others.into_iter().find(|other| other.key == alone()) {
        Some(other) if is_alive(&other, now, times) => Ok(false),
        Some(Entry { tag: Some(tag), .. }) => Ok(place.swap(&alone(), beat(), &tag)? == Made::Done),
        Some(_) => Ok(false),
        None => Ok(place.make(&alone(), beat())? == Made::Done),
    }
}

/// The files below a key, and the time by the clock of the place.
///
/// # Errors
///
/// A place that cannot be read or written.
pub(crate) fn listed_now(place: &Place, below: &Key) -> Result<(Vec<Entry>, DateTime<Utc>)> {
    let clock = below.join("clock").join(Uuid::new_v4());
    place.put(&clock, beat())?;
    let found = listed(place, below, &clock);
    release(place, &clock);
    found
}

/// The files of others below a key, and the time of one's own, which was just written: it is now.
fn listed(place: &Place, below: &Key, mine: &Key) -> Result<(Vec<Entry>, DateTime<Utc>)> {
    let mut entries = place.list(below, None)?;
    let Some(at) = entries.iter().position(|entry| entry.key == *mine) else {
        return Err(Error::lake(format!("`{mine}` is not listed after it was written"))
            .hint("a lake needs a store that lists what was written before"));
    };
    let now = entries.swap_remove(at).modified;
    Ok((entries, now))
}

/// Returns `true` if a holder has beaten not too long ago, by a time of its place.
pub(crate) fn is_alive(entry: &Entry, now: DateTime<Utc>, times: Times) -> bool {
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
