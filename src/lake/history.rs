//! The history of a table, commit by commit.

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use super::log::{Action, Add, commit_info, commit_time};
use super::transact::operation_named;
use super::{Lake, Layout, Operation};
use crate::error::Result;

/// One commit.
#[derive(Clone, Debug, PartialEq)]
pub struct CommitEntry {
    /// The version that it created.
    pub version: u64,
    /// Its time; 1970 if the log has none.
    pub time: DateTime<Utc>,
    /// Its operation: `load`, `undo`, `compact`, …, or that of another program.
    pub operation: String,
    /// The load that it is part of, or undoes.
    pub load_id: Option<String>,
    /// Files added.
    pub files_added: u64,
    /// Files removed.
    pub files_removed: u64,
    /// Rows in the added files, including rows that were there before.
    pub rows_added: u64,
    /// Rows in the removed files; `None` if the log does not have the number.
    pub rows_removed: Option<u64>,
    /// Other entries of `commitInfo`.
    pub info: Map<String, Value>,
}

impl Lake {
    /// The commits of a table, newest first; empty if there is no table.
    ///
    /// # Errors
    ///
    /// A log that cannot be read.
    pub fn history(&self, table: impl Into<Layout>) -> Result<Vec<CommitEntry>> {
        let log = self.log(table)?;
        let mut rows_of: HashMap<String, Option<u64>> = HashMap::new();
        let mut entries = Vec::new();
        let versions = log.versions()?;
        log.fetch_commits(&versions);
        for version in versions {
            let actions = log.actions(version)?;
            let info = commit_info(&actions);
            let word = |name: &str| info?.info.get(name)?.as_str().map(str::to_owned);
            let mut entry = CommitEntry {
                version,
                time: commit_time(info),
                operation: purpose(&actions).to_owned(),
                load_id: word(LOAD_ID).or_else(|| word(UNDOES)),
                files_added: 0,
                files_removed: 0,
                rows_added: 0,
                rows_removed: Some(0),
                info: info.map(|info| info.info.clone().into_iter().collect()).unwrap_or_default(),
            };
            entry.info.sort_keys();
            for action in actions {
                match action {
                    Action::Add(add) => {
                        let rows = rows_in(&add);
                        entry.files_added += 1;
                        entry.rows_added += rows.unwrap_or(0);
                        rows_of.insert(add.path, rows);
                    }
                    Action::Remove(remove) => {
                        let rows = rows_of.get(&remove.path).copied().flatten();
                        entry.files_removed += 1;
                        entry.rows_removed = entry.rows_removed.zip(rows).map(|(a, b)| a + b);
                    }
                    _ => {}
                }
            }
            entries.push(entry);
        }
        entries.reverse();
        Ok(entries)
    }

    /// The names of the files that were loaded into a table after a version, up to another one. A load that
    /// was undone meanwhile does not count.
    ///
    /// # Errors
    ///
    /// A log that cannot be read.
    pub(crate) fn files_loaded(
        &self,
        table: impl Into<Layout>,
        after: Option<u64>,
        until: Option<u64>,
    ) -> Result<BTreeSet<String>> {
        let log = self.log(table)?;
        let mut versions = log.versions()?;
        let is_after = |version: u64| after.is_none_or(|after| version > after);
        let is_meant = |version: &u64| is_after(*version) && until.is_some_and(|to| *version <= to);
        versions.retain(is_meant);
        log.fetch_commits(&versions);
        let mut loads: HashMap<String, Vec<String>> = HashMap::new();
        for version in versions {
            let actions = log.actions(version)?;
            match load_of(&actions) {
                Some((Operation::Undo, load_id)) => {
                    loads.remove(load_id);
                }
                Some((_, load_id)) => {
                    loads.entry(load_id.to_owned()).or_default().extend(files_in(&actions));
                }
                None => {}
            }
        }
        Ok(loads.into_values().flatten().collect())
    }
}

/// The entry of `commitInfo` with the id of a load.
pub(crate) const LOAD_ID: &str = "load_id";

/// The entry of `commitInfo` with the id of the load that a commit undoes.
pub(super) const UNDOES: &str = "undoes";

/// The load that a commit is part of or undoes, and which of the two.
pub(super) fn load_of(actions: &[Action]) -> Option<(Operation, &str)> {
    let info = &commit_info(actions)?.info;
    let word = |name: &str| info.get(name)?.as_str();
    match operation(actions)? {
        Operation::Load => Some((Operation::Load, word(LOAD_ID)?)),
        Operation::Undo => Some((Operation::Undo, word(UNDOES)?)),
        _ => None,
    }
}

/// The names of the files that the commit of a load lists.
fn files_in(actions: &[Action]) -> Vec<String> {
    let files = commit_info(actions).and_then(|info| info.info.get("files")?.as_array());
    let name = |file: &Value| Some(file["file"].as_str()?.to_owned());
    files.into_iter().flatten().filter_map(name).collect()
}

/// The operation of a commit; `None` for those of other programs.
pub(super) fn operation(actions: &[Action]) -> Option<Operation> {
    operation_named(commit_info(actions)?.info.get("command")?.as_str()?)
}

/// Returns `true` if wabalake made the commit.
pub(super) fn is_ours(actions: &[Action]) -> bool {
    commit_info(actions).is_some_and(|info| info.info.contains_key("command"))
}

/// The name of a commit's operation, wabalake's or another program's.
pub(super) fn purpose(actions: &[Action]) -> &str {
    let info = commit_info(actions);
    let ours = info.and_then(|info| info.info.get("command")?.as_str());
    ours.or_else(|| info?.operation.as_deref()).unwrap_or("unknown")
}

/// The rows of an added file, if the log has their number.
pub(super) fn rows_in(add: &Add) -> Option<u64> {
    serde_json::from_str::<Value>(add.stats.as_deref()?).ok()?["numRecords"].as_u64()
}
