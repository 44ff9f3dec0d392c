//! The memory of the inbox, `.wabalake/inbox.json`: files that need not be read again.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::lake::Lake;
use crate::load::folder::FileState;
use crate::place::{Key, OWN};

/// The memory of files between runs, by path or URL.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Memory {
    /// Files that were loaded and left in place.
    pub(super) left: BTreeMap<String, FileState>,
    /// Files that may still be written to.
    pub(super) arriving: BTreeMap<String, Arriving>,
}

/// A file that may still be written to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Arriving {
    pub(super) seen: FileState,
    /// When it was first seen unchanged, in milliseconds since 1970.
    pub(super) since: u64,
}

impl Arriving {
    pub(super) fn since(&self) -> Duration {
        Duration::from_millis(self.since)
    }
}

impl Memory {
    /// Reads the memory; empty if it is not there or not JSON.
    ///
    /// # Errors
    /// A lake that cannot be read.
    pub(super) fn of(lake: &Lake) -> Result<Self> {
        let text = lake.place().read(&memory_file())?.unwrap_or_default();
        Ok(serde_json::from_slice(&text).unwrap_or_else(|_| {
            // The format of 0.1.0.
            let left = serde_json::from_slice(&text).unwrap_or_default();
            Self { left, arriving: BTreeMap::new() }
        }))
    }

    /// Writes the memory.
    ///
    /// # Errors
    /// A lake that cannot be written.
    pub(super) fn store(&self, lake: &Lake) -> Result<()> {
        let text =
            serde_json::to_vec(self).map_err(|error| Error::bug(format!("the inbox: {error}")))?;
        lake.place().put(&memory_file(), bytes::Bytes::from(text))
    }
}

fn memory_file() -> Key {
    Key::root().join(OWN).join("inbox.json")
}
