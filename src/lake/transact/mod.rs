//! Transactions: the only loop of snapshot, computation, commit and retry.
//!
//! ```text
//! snapshot of version 19 ──► compute ──► staged files and a change ──► commit
//!   ▲                                                                    │ done: version 20
//!   └── conflict: another commit is version 20; staged files are deleted ┘
//! ```
//!
//! | outcome of a commit | what happens |
//! |---|---|
//! | the log entry is written | done |
//! | writing failed, and the entry holds these bytes | done: only the answer was lost |
//! | the entry holds another commit | conflict: the change is computed again |
//! | it cannot be told | an error; staged files are kept, since the commit may stand |
//!
//! Every commit has an id of its own, so that equal changes differ in their bytes.

mod change;
mod checkpoint;
mod commit;
mod newest;

use std::sync::Arc;

pub use self::change::{Change, Loaded, Operation};
pub(super) use self::change::{configuration, operation_named};
pub(super) use self::commit::COMMIT_ID;
pub use self::commit::Commit;
pub(super) use self::newest::read_newest;
use super::{Lake, Layout, Snapshot, Staging};
use crate::error::{Error, Result};

/// How often a change is computed again after conflicts.
const TRIES: usize = 100;

/// The result of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transacted {
    /// The version of the table now; `None` if it does not exist.
    pub version: Option<u64>,
    /// `true` if this transaction created it; `false` if there was nothing to change.
    pub is_committed: bool,
}

/// The version from which a change is first computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Base {
    /// On a store, one that was read before, if there is any.
    Known,
    /// The newest.
    Newest,
}

/// Returns `true` if loads change a table together with others.
fn stored_together(layout: &Layout) -> bool {
    !layout.is_mart && wabalake_data::table(&layout.name).is_some()
}

impl Lake {
    /// Changes a table: computes a change from its newest version and commits it, again after each
    /// conflict. `compute` returns `None` if there is nothing to change.
    ///
    /// Waits for the shared write lock, then for the lock of the table: the caller must hold neither
    /// the exclusive write lock nor the lock of a table.
    ///
    /// # Errors
    ///
    /// Those of `compute`; a table that others changed during each of many attempts, or that has
    /// columns that this version of wabalake does not know; a log that cannot be written.
    pub fn transact(
        &self,
        table: impl Into<Layout>,
        compute: impl FnMut(&Snapshot, &Staging) -> Result<Option<Change>>,
    ) -> Result<Transacted> {
        let layout = table.into();
        let _writing = self.writing()?;
        // They spare others on this machine work that would conflict; the commit decides.
        let layouts = std::slice::from_ref(&layout);
        let _locks = match self.place().as_folder() {
            Some(_) => self.lock_settled(layouts)?,
            // What others began is looked for after the table is read.
            None => self.wait_for(layouts)?,
        };
        self.transact_locked(&layout, Base::Known, false, compute)
    }

    /// Like [`Lake::transact`], for a caller that holds the locks. `is_joint` is `true` for a part of a
    /// change of several tables, whose record is written.
    pub(super) fn transact_locked(
        &self,
        layout: &Layout,
        base: Base,
        is_joint: bool,
        mut compute: impl FnMut(&Snapshot, &Staging) -> Result<Option<Change>>,
    ) -> Result<Transacted> {
        for attempt in 0..TRIES {
            let known = match base {
                Base::Known if attempt == 0 => self.read_before(layout)?,
                _ => None,
            };
            let is_known = known.is_some();
            let snapshot = match known {
                Some(known) => known,
                None => self.newest(layout)?,
            };
            // Locks keep no other machine out. Those of a joint commit waited before it began, and wait now
            // that its record is there.
            if self.place().as_folder().is_none()
                && !is_joint
                && stored_together(layout)
                && self.wait_for_others(std::slice::from_ref(layout))?
            {
                // The snapshot may have rows that were taken back.
                continue;
            }
            let staging = Staging::new(layout.clone(), Arc::clone(self.place()), None);
            let Some(change) = compute(&snapshot, &staging)? else {
                // Others may have changed it meanwhile, except for a mart: nightly runs keep each other out.
                if is_known && !layout.is_mart {
                    continue;
                }
                return Ok(Transacted { version: snapshot.version, is_committed: false });
            };
            if let Commit::Done(version) = self.commit(&snapshot, change)? {
                return Ok(Transacted { version: Some(version), is_committed: true });
            }
        }
        Err(Error::lake(format!("`{}` was changed by others during {TRIES} attempts", layout.name))
            .hint("nothing of this was committed to it: run the same command again"))
    }
}
