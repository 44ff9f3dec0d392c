//! Commits and checkpoints that hold the number.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use serde_json::Value;

use super::number::{MatchMode, Number};
use super::search::StoredTable;
use crate::error::{Error, Result};
use crate::lake::joint::JOINT;
use crate::lake::transact::COMMIT_ID;
use crate::lake::{Lake, damage};
use crate::place::Key;

/// A part of a log that holds the number.
pub(super) enum LogEntry {
    /// A commit, and its redacted content.
    Commit { file: Key, redacted: Bytes },
    /// A checkpoint: the files beside it, then its parts. The commits hold the same.
    Checkpoint { files: Vec<Key> },
}

impl LogEntry {
    /// The files that are rewritten or deleted.
    pub(super) fn files(&self) -> &[Key] {
        match self {
            Self::Commit { file, .. } => std::slice::from_ref(file),
            Self::Checkpoint { files } => files,
        }
    }
}

impl Lake {
    /// Rewrites or deletes a part of a log.
    pub(super) fn redact_log(&self, entry: LogEntry) -> Result<()> {
        match entry {
            LogEntry::Commit { file, redacted } => {
                self.check_lease()?;
                self.place().replace(&file, redacted)
            }
            // One after another, as a checkpoint without its hashes is one of 0.1.0.
            LogEntry::Checkpoint { files } => {
                files.chunks(1).try_for_each(|file| self.delete_files(file))
            }
        }
    }
}

/// The commits and checkpoints that hold the number.
pub(super) fn log_entries(
    tables: &[StoredTable],
    number: &Number,
    kept_bounds: &HashMap<&str, HashSet<String>>,
) -> Result<Vec<LogEntry>> {
    let mut found = Vec::new();
    let none = HashSet::new();
    for StoredTable { table, log, .. } in tables {
        let kept = kept_bounds.get(table.name).unwrap_or(&none);
        let versions = log.versions()?;
        for version in &versions {
            let file = log.commit_key(*version);
            let text = log.read(&file)?.and_then(|text| String::from_utf8(text.into()).ok());
            let text = text.ok_or_else(|| Error::lake(format!("`{file}` cannot be read")))?;
            if let Some(redacted) = without_number(&text, number, kept) {
                let redacted = damage::with_hash(redacted.into_bytes(), *version).into();
                found.push(LogEntry::Commit { file, redacted });
            }
        }
        for (version, parts) in log.checkpoints()? {
            let mut holds = false;
            // If statistics with the number are kept, the checkpoint holds no more than they do.
            for part in parts.iter().filter(|_| kept.is_empty()) {
                holds |= number.is_in(&log.checkpoint_text(part, version)?, MatchMode::Contiguous);
            }
            // Commits hold what a checkpoint holds, if none of them is missing.
            let whole = (0..=version).all(|version| versions.binary_search(&version).is_ok());
            if holds && whole {
                let beside = [log.last_checkpoint(), log.checkpoint_hashes(version)];
                found.push(LogEntry::Checkpoint {
                    files: beside.into_iter().chain(parts).collect(),
                });
            }
        }
    }
    Ok(found)
}

/// A commit with the number redacted in `commitInfo` and in file statistics, except those of `kept`
/// files; `None` if it does not hold the number. Paths and ids are generated, and are nobody's.
pub(super) fn without_number(
    commit: &str,
    number: &Number,
    kept: &HashSet<String>,
) -> Option<String> {
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
