//! The journal of an erasure, `.wabalake/erasing`: what is needed to resume it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::target::Target;
use crate::error::{Error, Result};
use crate::lake::Lake;
use crate::place::{Key, OWN};

/// The sessions of an erasure in progress, and whom it erases. Needed to resume it: by then no row may say
/// whose sessions they were, and who is linked to whom.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Journal {
    /// Each with the id that replaces it.
    pub(super) sessions: BTreeMap<String, String>,
    /// Those of old versions only.
    #[serde(rename = "once")]
    pub(super) old_sessions: BTreeSet<String>,
    /// The numbers and user ids of the person.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub(super) people: BTreeSet<String>,
}

impl Journal {
    /// 0.1.0 wrote a list of sessions only.
    fn read(bytes: &[u8]) -> serde_json::Result<Self> {
        if let Ok(sessions) = serde_json::from_slice::<Vec<String>>(bytes) {
            let replacement = |session| (session, uuid::Uuid::new_v4().to_string());
            return Ok(Self {
                sessions: sessions.into_iter().map(replacement).collect(),
                ..Self::default()
            });
        }
        serde_json::from_slice(bytes)
    }
}

impl Lake {
    /// Reads the journal of an erasure that was killed.
    pub(super) fn journal(&self) -> Result<Option<Journal>> {
        let Some(bytes) = self.place().read(&file())? else { return Ok(None) };
        Journal::read(&bytes).map(Some).map_err(|_| {
            Error::lake(format!("`{}` cannot be read", self.shown(file().as_str())))
                .hint("delete it and run the same command again")
        })
    }

    pub(super) fn write_journal(&self, target: &Target) -> Result<()> {
        let sessions = target.sessions.iter().map(|(id, other)| (id.clone(), other.clone()));
        let journal = Journal {
            sessions: sessions.collect(),
            old_sessions: target.old_sessions.iter().cloned().collect(),
            people: target.people.clone(),
        };
        let text = serde_json::to_vec(&journal)
            .map_err(|error| Error::bug(format!("the journal: {error}")))?;
        self.place().replace(&file(), text.into())
    }

    /// Deletes the journal, and older versions of it.
    pub(super) fn delete_journal(&self) -> Result<()> {
        self.place().delete(&[file()])?;
        self.delete_journal_versions()
    }
}

/// The key of the journal.
pub(super) fn file() -> Key {
    Key::root().join(OWN).join("erasing")
}
