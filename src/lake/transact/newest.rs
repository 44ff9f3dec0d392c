//! The newest version of each table, recorded so that a log that lost its end is noticed.

use std::path::PathBuf;

use crate::files::{Access, write_synced};
use crate::lake::damage::Hash;
use crate::lake::{Lake, Layout};

impl Lake {
    /// Records the newest version of a table, so that a log that ends earlier is noticed. Not for
    /// marts, which can be rebuilt, nor on stores, which lose no objects.
    pub(super) fn note_newest(&self, table: &Layout, version: u64) {
        let is_store = self.place().as_folder().is_none();
        if is_store
            || table.is_mart
            || self.newest_of(table).is_some_and(|newest| newest >= version)
        {
            return;
        }
        let place = self.newest_file(table);
        // Failing to write it only loses that check.
        let _ = write_synced(&place, Access::Usual, newest_text(version).as_bytes());
    }

    /// The newest recorded version of a table.
    pub(in crate::lake) fn newest_of(&self, table: &Layout) -> Option<u64> {
        if table.is_mart || self.place().as_folder().is_none() {
            return None;
        }
        read_newest(&std::fs::read_to_string(self.newest_file(table)).ok()?)
    }

    /// The file that records it.
    pub(in crate::lake) fn newest_file(&self, table: &Layout) -> PathBuf {
        self.internal_folder("newest").join(table.name.as_str())
    }
}

/// A version and a hash of it, as recorded.
fn newest_text(version: u64) -> String {
    format!("{version}  {}\n", Hash::of(version.to_string().as_bytes()))
}

/// Parses a recorded version; `None` if its hash does not match.
pub(in crate::lake) fn read_newest(text: &str) -> Option<u64> {
    let version = text.split("  ").next()?.parse().ok()?;
    (newest_text(version) == text).then_some(version)
}
