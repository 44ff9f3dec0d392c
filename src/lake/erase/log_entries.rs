//! Commits and checkpoints that hold the number.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use super::number::{MatchMode, Number};
use super::{delete, reading};
use crate::error::{Context as _, Result};
use crate::files::{Access, write_synced};
use crate::lake::joint::JOINT;
use crate::lake::layout::stored_tables;
use crate::lake::transact::COMMIT_ID;
use crate::lake::{Lake, damage};

/// A part of a log that holds the number.
pub(super) enum LogEntry {
    /// A commit, and its redacted content.
    Commit { file: PathBuf, redacted: Vec<u8> },
    /// A checkpoint and the files beside it; the commits hold the same.
    Checkpoint { parts: Vec<PathBuf>, beside: [PathBuf; 2] },
}

impl LogEntry {
    pub(super) fn apply(&self) -> Result<()> {
        match self {
            Self::Commit { file, redacted } => write_synced(file, Access::Usual, redacted),
            Self::Checkpoint { parts, beside } => {
                beside.iter().chain(parts).try_for_each(|file| delete(file))
            }
        }
    }
}

impl Lake {
    /// The commits and checkpoints that hold the number.
    pub(super) fn log_entries(
        &self,
        number: &Number,
        kept_bounds: &HashMap<&str, HashSet<String>>,
    ) -> Result<Vec<LogEntry>> {
        let mut found = Vec::new();
        for table in stored_tables() {
            let log = self.log(table)?;
            let none = HashSet::new();
            let kept = kept_bounds.get(table.name).unwrap_or(&none);
            let versions = log.versions()?;
            for version in &versions {
                let file = log.commit_file(*version);
                let text = fs::read_to_string(&file).context(|| reading(&file))?;
                if let Some(redacted) = without_number(&text, number, kept) {
                    let redacted = damage::with_hash(redacted.into_bytes(), *version);
                    found.push(LogEntry::Commit { file, redacted });
                }
            }
            for (version, parts) in log.checkpoints()? {
                let mut holds = false;
                // If statistics with the number are kept, the checkpoint holds no more than they
                // do.
                for part in parts.iter().filter(|_| kept.is_empty()) {
                    holds |=
                        number.is_in(&log.checkpoint_text(part, version)?, MatchMode::Contiguous);
                }
                // Commits hold what a checkpoint holds, if none of them is missing.
                let whole = (0..=version).all(|version| versions.binary_search(&version).is_ok());
                if holds && whole {
                    let beside = [log.last_checkpoint(), log.checkpoint_hashes(version)];
                    let beside = beside.map(|file| log.path(&file));
                    let parts = parts.iter().map(|part| log.path(part)).collect();
                    found.push(LogEntry::Checkpoint { parts, beside });
                }
            }
        }
        Ok(found)
    }
}

/// A commit with the number redacted in `commitInfo` and in file statistics, except those of `kept`
/// files; `None` if it does not hold the number. Paths and ids are generated, and are nobody's.
fn without_number(commit: &str, number: &Number, kept: &HashSet<String>) -> Option<String> {
    const IDS: [&str; 8] = [
        "load_id",
        "file_id",
        "undoes",
        "txnId",
        "wabalake",
        JOINT,
        COMMIT_ID,
        damage::COMMIT_HASH,
    ];
    fn redact(value: &mut Value, number: &Number, mode: MatchMode) -> bool {
        match value {
            Value::String(text) => match number.redact(text, mode) {
                Some(redacted) => {
                    *text = redacted;
                    true
                }
                None => false,
            },
            Value::Array(values) => {
                values.iter_mut().fold(false, |any, value| redact(value, number, mode) | any)
            }
            Value::Object(members) => {
                let members = members.iter_mut().filter(|(name, _)| !IDS.contains(&name.as_str()));
                members.fold(false, |any, (_, value)| redact(value, number, mode) | any)
            }
            _ => false,
        }
    }
    if !commit.lines().any(|line| number.is_in(line, MatchMode::National)) {
        return None;
    }
    let mut any = false;
    let mut lines = String::with_capacity(commit.len());
    for line in commit.lines() {
        let mut revised = None;
        if let Ok(mut action) = serde_json::from_str::<Value>(line) {
            let mut redacted = false;
            if let Some(info) = action.get_mut("commitInfo") {
                redacted |= redact(info, number, MatchMode::National);
            }
            let is_kept = |add: &Value| {
                add.get("path").and_then(Value::as_str).is_some_and(|path| kept.contains(path))
            };
            let add = action.get_mut("add").filter(|add| !is_kept(add));
            if let Some(bounds) = add.and_then(|add| add.get_mut("stats")) {
                redacted |= redact(bounds, number, MatchMode::Contiguous);
            }
            revised = redacted.then(|| action.to_string());
        }
        any |= revised.is_some();
        lines.push_str(revised.as_deref().unwrap_or(line));
        lines.push('\n');
    }
    any.then_some(lines)
}
