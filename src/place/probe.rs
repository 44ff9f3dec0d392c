//! Probes whether a place heeds conditions: only then are commits safe.
//!
//! ```text
//! make  a        Done
//! make  b        must be Taken     else two writers make the same commit
//! swap  c, tag   Done
//! swap  d, tag   must be Taken     the tag is not that of c
//! ```
//!
//! A store that ignores conditions answers each put with success, and loses commits without a word.

use bytes::Bytes;
use uuid::Uuid;
use xxhash_rust::xxh3::xxh3_64;

use super::{Key, Made, OWN, Place};
use crate::error::{Error, Result};

/// The conditions that a place heeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conditions {
    /// `true` if what exists cannot be made again.
    pub makes_once: bool,
    /// `true` if a file is replaced if its tag is given.
    pub swaps: bool,
    /// `true` if a file is not replaced if an older tag is given.
    pub swaps_once: bool,
}

impl Conditions {
    /// Returns `true` if commits are safe.
    pub fn are_heeded(self) -> bool {
        self.makes_once && self.swaps && self.swaps_once
    }
}

impl Place {
    /// Probes conditions with one small file, which it writes four times and deletes.
    ///
    /// # Errors
    ///
    /// A place that cannot be written.
    pub fn probe(&self) -> Result<Conditions> {
        let key = Key::root().join(OWN).join("probe").join(Uuid::new_v4());
        let done = self.probe_at(&key);
        let deleted = self.delete(&[key]);
        let conditions = done?;
        // That conditions are ignored is worse than a file that is left over.
        if conditions.are_heeded() {
            deleted?;
        }
        Ok(conditions)
    }

    fn probe_at(&self, key: &Key) -> Result<Conditions> {
        let unique = || Bytes::from(format!("{{\"probe\":\"{}\"}}\n", Uuid::new_v4()));
        let first = self.make(key, unique())?;
        let makes_once = first == Made::Done && self.make(key, unique())? == Made::Taken;
        let Some(tag) = self.entry(key)?.and_then(|entry| entry.tag) else {
            return Ok(Conditions { makes_once, swaps: false, swaps_once: false });
        };
        let swaps = self.swap(key, unique(), &tag)? == Made::Done;
        let swaps_once = self.swap(key, unique(), &tag)? == Made::Taken;
        Ok(Conditions { makes_once, swaps, swaps_once })
    }

    /// Probes a store before the first write to it, and notes there that this was done.
    ///
    /// # Errors
    ///
    /// A store that does not heed conditions, or that cannot be read or written.
    pub fn require_conditions(&self) -> Result<()> {
        let Some(store) = self.store() else { return Ok(()) };
        if store.heeds.get().is_some() {
            return Ok(());
        }
        let name = format!("probed-{:016x}", xxh3_64(store.identity().as_bytes()));
        let noted = Key::root().join(OWN).join(name);
        if self.read(&noted)?.is_none() {
            if !self.probe()?.are_heeded() {
                return Err(self.without_conditions());
            }
            self.put(&noted, Bytes::from_static(b"{\"conditions\":true}\n"))?;
        }
        let _ = store.heeds.set(());
        Ok(())
    }

    /// The error of a store that ignores conditions.
    pub(super) fn without_conditions(&self) -> Error {
        Error::lake(format!(
            "the store at `{}` ignores conditions of writes: two writers would lose each other's \
             commits",
            self.shown()
        ))
        .hint(
            "use a store that heeds `If-None-Match` and `If-Match`: Amazon S3, Google Cloud Storage, \
             Azure Blob Storage, Cloudflare R2, MinIO, Ceph, SeaweedFS",
        )
    }
}
