//! Heartbeats: a thread that shows others, again and again, that a process is alive.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use crate::error::{Context as _, Result};

/// A running heartbeat. Dropping it stops it; a beat that is under way ends first.
#[derive(Debug)]
pub(crate) struct Heartbeat {
    state: Arc<State>,
    /// Stops the thread when dropped.
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What the thread shares with the holder.
#[derive(Debug)]
struct State {
    last: Mutex<Beginning>,
    is_lost: AtomicBool,
}

/// The beginning of a beat, by two clocks: the first may stop while a machine sleeps, the second may
/// be set.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Beginning(Instant, SystemTime);

impl Beginning {
    pub(crate) fn now() -> Self {
        Self(Instant::now(), SystemTime::now())
    }
}

impl Heartbeat {
    /// Starts a heartbeat, whose first beat was done at `first`. `beat` returns `false` if another
    /// process took over, which ends it; its errors are ignored, since the next beat may work.
    ///
    /// # Errors
    ///
    /// A thread that cannot be started.
    pub(crate) fn start(
        every: Duration,
        first: Beginning,
        mut beat: impl FnMut() -> Result<bool> + Send + 'static,
    ) -> Result<Self> {
        let state = Arc::new(State { last: Mutex::new(first), is_lost: AtomicBool::new(false) });
        let (stop, stopped) = channel();
        let of_thread = Arc::clone(&state);
        let thread = std::thread::Builder::new().name("heartbeat".to_owned());
        let thread = thread.spawn(move || {
            while stopped.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
                let begun = Beginning::now();
                match beat() {
                    Ok(true) => {
                        *of_thread.last.lock().unwrap_or_else(PoisonError::into_inner) = begun;
                    }
                    Ok(false) => return of_thread.is_lost.store(true, Ordering::SeqCst),
                    Err(_) => {}
                }
            }
        });
        let thread =
            thread.context(|| "starting a thread that shows that this process is alive")?;
        Ok(Self { state, stop: Some(stop), thread: Some(thread) })
    }

    /// The time since the beginning of the last beat that was answered.
    pub(crate) fn age(&self) -> Duration {
        let last = self.state.last.lock().unwrap_or_else(PoisonError::into_inner);
        let Beginning(by_instant, by_clock) = *last;
        by_instant.elapsed().max(by_clock.elapsed().unwrap_or_default())
    }

    /// Returns `true` if another process took over.
    pub(crate) fn is_lost(&self) -> bool {
        self.state.is_lost.load(Ordering::SeqCst)
    }

    /// Stops it, and waits for a beat that is under way: it would write its object anew.
    pub(crate) fn stop(&mut self) {
        drop(self.stop.take());
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

impl Drop for Heartbeat {
    fn drop(&mut self) {
        self.stop();
    }
}
