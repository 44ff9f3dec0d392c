//! The files of `.wabalake/loads`: the record of each load that is begun, and what was decided.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::path::PathBuf;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::error::{Context as _, Error, Result};
use crate::files::{Access, synced_beside, write_synced};
use crate::lake::Lake;
use crate::lake::stage::sync;

/// What was begun.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    /// `load` or `undo`.
    pub(super) operation: String,
    /// The load, or the load that is undone.
    pub(super) load_id: String,
    /// When that load was committed.
    pub(super) loaded_at: DateTime<Utc>,
    /// The time of all of its commits.
    pub(super) at: DateTime<Utc>,
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
    fn loads_folder(&self) -> PathBuf {
        self.internal_folder("loads")
    }

    fn loads_file(&self, id: &str, extension: &str) -> PathBuf {
        self.loads_folder().join(format!("{id}{extension}"))
    }

    /// The names of records and decisions.
    pub(super) fn joint_names(&self) -> Result<BTreeSet<String>> {
        let folder = self.loads_folder();
        let listing = || format!("listing `{}`", folder.display());
        let entries = match std::fs::read_dir(&folder) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(BTreeSet::new()),
            entries => entries.context(listing)?,
        };
        let mut names = BTreeSet::new();
        for entry in entries {
            let name = entry.context(listing)?.file_name().to_string_lossy().into_owned();
            if !name.starts_with('.') && (name.ends_with(RECORD) || name.ends_with(DECIDED)) {
                names.insert(name);
            }
        }
        Ok(names)
    }

    /// The records among names, by id.
    pub(super) fn begun(&self, names: &BTreeSet<String>) -> Result<Vec<(String, Record)>> {
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
        let file = self.loads_file(id, RECORD);
        let Some(text) = read(&file)? else { return Ok(None) };
        serde_json::from_str(&text).map(Some).map_err(|_| damaged(&file))
    }

    pub(super) fn write_record(&self, id: &str, record: &Record) -> Result<()> {
        let file = self.loads_file(id, RECORD);
        let text = serde_json::to_vec(record)
            .map_err(|error| Error::bug(format!("the record of a load: {error}")))?;
        write_synced(&file, Access::Usual, &text)?;
        sync(&[&file], self.root())
    }

    /// What was decided; `None` if nothing is yet.
    pub(super) fn decision(&self, id: &str) -> Result<Option<Decision>> {
        let file = self.loads_file(id, DECIDED);
        let Some(text) = read(&file)? else { return Ok(None) };
        let decisions = [Decision::Committed, Decision::TakenBack];
        let found = decisions.into_iter().find(|decision| decision.text() == text);
        found.map(Some).ok_or_else(|| damaged(&file))
    }

    /// Decides what becomes of a load, durably. Returns the decision of another process if that was
    /// first.
    pub(super) fn decide(&self, id: &str, decision: Decision) -> Result<Decision> {
        let file = self.loads_file(id, DECIDED);
        let deciding = || format!("writing `{}`", file.display());
        let text = decision.text().as_bytes();
        let temporary = synced_beside(&file, Access::Usual, text).context(deciding)?;
        if let Err(error) = temporary.persist_noclobber(&file) {
            // Also if a file server created it, and its answer was lost.
            return self.decision(id)?.ok_or(error.error).context(deciding);
        }
        sync(&[&file], self.root())?;
        Ok(decision)
    }

    /// Deletes a record, and the decisions of others that are over.
    pub(super) fn delete_record(&self, id: &str) -> Result<()> {
        let file = self.loads_file(id, RECORD);
        match std::fs::remove_file(&file) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(error).context(|| format!("deleting `{}`", file.display()));
            }
            _ => {}
        }
        let names = self.joint_names()?;
        for other in names.iter().filter_map(|name| name.strip_suffix(DECIDED)) {
            if other != id && !names.contains(&format!("{other}{RECORD}")) {
                // A decision without a record says nothing.
                let _ = std::fs::remove_file(self.loads_file(other, DECIDED));
            }
        }
        Ok(())
    }
}

fn read(file: &std::path::Path) -> Result<Option<String>> {
    match std::fs::read_to_string(file) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        text => text.map(Some).context(|| format!("reading `{}`", file.display())),
    }
}

fn damaged(file: &std::path::Path) -> Error {
    Error::lake(format!("`{}` is damaged", file.display())).hint(
        "restore it from a backup; else delete it, undo the last load and load its files again: some \
         of its tables may lack its rows",
    )
}
