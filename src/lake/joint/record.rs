//! The files of `.wabalake/loads`: the record of each load that is begun, and what was decided.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::lake::Lake;
use crate::place::{Key, Made, OWN};

/// What was begun.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::lake) struct Record {
    /// `load` or `undo`.
    pub(super) operation: String,
    /// The load, or the load that is undone.
    pub(super) load_id: String,
    /// When that load was committed.
    pub(super) loaded_at: DateTime<Utc>,
    /// The time of all of its commits.
    pub(super) at: DateTime<Utc>,
    /// The lease of the process that began it, on a store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) lease: Option<String>,
    /// The tables that it changes, each with its version before; null if it did not exist.
    pub(super) tables: BTreeMap<String, Option<u64>>,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// All commits are visible.
    Committed,
    /// All commits are undone, or will be by the next writer.
    TakenBack,
}

impl Decision {
    fn text(self) -> &'static str {
        match self {
            Self::Committed => "committed\n",
            Self::TakenBack => "taken back\n",
        }
    }
}

/// The extension of records.
const RECORD: &str = ".json";

/// The extension of decisions.
const DECIDED: &str = ".decided";

impl Lake {
    /// The names of records and decisions.
    pub(in crate::lake) fn joint_names(&self) -> Result<BTreeSet<String>> {
        let folder = loads_folder();
        let mut names = BTreeSet::new();
        for entry in self.place().list(&folder, None)? {
            let name = entry.key.below(&folder).unwrap_or_default();
            if !name.starts_with('.') && (name.ends_with(RECORD) || name.ends_with(DECIDED)) {
                names.insert(name.to_owned());
            }
        }
        self.note_joint_names(names.clone());
        Ok(names)
    }

    /// The names of records and decisions as they were last listed.
    pub(super) fn last_joint_names(&self) -> Option<BTreeSet<String>> {
        self.joint.lock().ok()?.clone()
    }

    fn note_joint_names(&self, names: BTreeSet<String>) {
        if let Ok(mut last) = self.joint.lock() {
            *last = Some(names);
        }
    }

    /// The records among names, by id.
    pub(in crate::lake) fn begun(&self, names: &BTreeSet<String>) -> Result<Vec<(String, Record)>> {
        let mut begun = Vec::new();
        for name in names {
            let Some(id) = name.strip_suffix(RECORD) else { continue };
            if let Some(record) = self.record(id)? {
                begun.push((id.to_owned(), record));
            }
        }
        Ok(begun)
    }

    /// A record; `None` if it was deleted meanwhile.
    pub(super) fn record(&self, id: &str) -> Result<Option<Record>> {
        let file = loads_file(id, RECORD);
        let Some(text) = self.place().read(&file)? else { return Ok(None) };
        serde_json::from_slice(&text).map(Some).map_err(|_| self.damaged(&file))
    }

    pub(super) fn write_record(&self, id: &str, record: &Record) -> Result<()> {
        let file = loads_file(id, RECORD);
        let text = serde_json::to_vec(record)
            .map_err(|error| Error::bug(format!("the record of a load: {error}")))?;
        self.place().put(&file, Bytes::from(text))?;
        self.place().sync(&[file])
    }

    /// What was decided; `None` if nothing is yet.
    pub(super) fn decision(&self, id: &str) -> Result<Option<Decision>> {
        let file = loads_file(id, DECIDED);
        let Some(text) = self.place().read(&file)? else { return Ok(None) };
        let decisions = [Decision::Committed, Decision::TakenBack];
        let found = decisions.into_iter().find(|decision| text == decision.text());
        found.map(Some).ok_or_else(|| self.damaged(&file))
    }

    /// Decides what becomes of a load, durably. Returns the decision of another process if that was
    /// first.
    pub(super) fn decide(&self, id: &str, decision: Decision) -> Result<Decision> {
        let file = loads_file(id, DECIDED);
        // The same bytes are the same decision, whoever made them.
        match self.place().make(&file, Bytes::from_static(decision.text().as_bytes()))? {
            Made::Done => Ok(decision),
            Made::Taken => self.decision(id)?.ok_or_else(|| self.damaged(&file)),
        }
    }

    /// Deletes a record, and then the decisions of others that are over: a decision without a record says
    /// nothing.
    pub(super) fn delete_record(&self, id: &str) -> Result<()> {
        let mut names = match self.last_joint_names() {
            Some(names) => names,
            None => self.joint_names()?,
        };
        let is_over = |name: &&String| {
            name.strip_suffix(DECIDED)
                .is_some_and(|other| other != id && !names.contains(&format!("{other}{RECORD}")))
        };
        let over: Vec<String> = names.iter().filter(is_over).cloned().collect();
        let keys = over.iter().map(|name| loads_folder().join(name));
        let record = loads_file(id, RECORD);
        if self.place().as_folder().is_none() {
            self.place().delete(&[record].into_iter().chain(keys).collect::<Vec<_>>())?;
        } else {
            self.place().delete(&[record])?;
            let _ = self.place().delete(&keys.collect::<Vec<_>>());
        }
        names.retain(|name| !over.contains(name));
        names.remove(&format!("{id}{RECORD}"));
        // If nothing was decided, the next reader lists the names once more.
        names.insert(format!("{id}{DECIDED}"));
        self.note_joint_names(names);
        Ok(())
    }

    fn damaged(&self, file: &Key) -> Error {
        Error::lake(format!("`{}` is damaged", self.shown(file.as_str()))).hint(
            "restore it from a backup; else delete it, undo the last load and load its files again: \
             some of its tables may lack its rows",
        )
    }
}

fn loads_folder() -> Key {
    Key::root().join(OWN).join("loads")
}

fn loads_file(id: &str, extension: &str) -> Key {
    loads_folder().join(format_args!("{id}{extension}"))
}
