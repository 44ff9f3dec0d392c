//! The versions of tables that were read before.
//!
//! On a store, reading the newest version takes a round trip. A process that holds a lease can compute a
//! change from a version that it has read: if others have committed since, its own commit is a conflict,
//! and the change is computed again from the newest version.

use std::sync::Arc;

use super::{Lake, Layout, Snapshot, log};
use crate::error::Result;
use crate::place::Key;

/// A state of a table that was read; `None` if the table did not exist.
#[derive(Clone, Debug)]
pub(super) struct Known {
    state: Option<Arc<log::State>>,
    /// The lease that this process held then; `None` if the table has changed since. Under a lease,
    /// nobody deletes files that the state needs.
    under: Option<String>,
}

impl Lake {
    /// The newest state read of a table.
    pub(super) fn known(&self, table: &Key) -> Option<Arc<log::State>> {
        self.known.lock().ok()?.get(table)?.state.clone()
    }

    /// Notes the newest state of a table, and the lease that this process held before it was read.
    pub(super) fn note_known(
        &self,
        table: &Key,
        state: Option<Arc<log::State>>,
        under: Option<String>,
    ) {
        if let Ok(mut known) = self.known.lock() {
            known.insert(table.clone(), Known { state, under });
        }
    }

    /// The version of a table on a store that was read since this process took its lease, and to which it
    /// has committed nothing since. Others may have: a commit finds out.
    pub(crate) fn read_before(&self, layout: &Layout) -> Result<Option<Snapshot>> {
        let key = layout.key();
        let Some(lease) = self.lease_name() else { return Ok(None) };
        let known = self.known.lock().ok().and_then(|known| known.get(&key).cloned());
        let Some(known) = known.filter(|known| known.under.as_ref() == Some(&lease)) else {
            return Ok(None);
        };
        let place = Arc::clone(&self.place);
        Snapshot::new(layout.clone(), place, key, known.state).map(Some)
    }

    /// The newest version of a mart, for a nightly run: no other process writes it.
    ///
    /// # Errors
    ///
    /// As [`Lake::snapshot`].
    pub(crate) fn snapshot_of_mart(&self, mart: &Layout) -> Result<Snapshot> {
        self.read_before(mart)?.map_or_else(|| self.snapshot(mart), Ok)
    }

    /// Notes that a table has a newer version than the known one.
    pub(super) fn note_change(&self, table: &Key) {
        if let Some(known) = self.known.lock().ok().as_mut().and_then(|known| known.get_mut(table))
        {
            known.under = None;
        }
    }

    /// The name of the lease on a store that this process holds.
    pub(super) fn lease_name(&self) -> Option<String> {
        self.lease().map(|lease| lease.name().to_owned())
    }
}
