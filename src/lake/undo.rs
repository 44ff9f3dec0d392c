//! Undoes the last load.
//!
//! ```text
//! version 19            91d2….parquet
//! version 20   load     5e0c….parquet replaces it; the file named 9f3a… is loaded: 1
//! version 21   undo     91d2….parquet again; 9f3a… is not loaded: 2
//! ```
//!
//! An undo is a version of its own: nothing is rewritten, and the history keeps both. It changes only
//! tables of exports. The rejects of an undone load and its resolutions stop counting by themselves
//! (see [`rejects`](super::rejects)).
//!
//! Tables are changed together, after all are checked (see `joint`). An undo that is killed midway is
//! completed by the next writer.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use chrono::{DateTime, NaiveDate, Utc};
use serde_json::json;
use wabalake_data::Table;

use super::history::{UNDOES, is_ours, load_of, purpose};
use super::log::{Action, Add, Log, commit_info, commit_time};
use super::{Change, Joint, Lake, Layout, Loaded, Operation, Snapshot, StagedFile};
use crate::error::{Error, Result};

/// A load that is not undone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Load {
    /// The time of its last commit.
    pub time: DateTime<Utc>,
    /// Its id.
    pub load_id: String,
    /// The tables of exports that it changed.
    pub tables: Vec<&'static str>,
}

/// The result of an undo.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undone {
    /// The load that was undone.
    pub load: Load,
    /// The tables that it had changed.
    pub tables: Vec<UndoneTable>,
}

/// The result for one table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UndoneTable {
    /// Its name.
    pub table: &'static str,
    /// Its version now.
    pub version: u64,
    /// Rows before.
    pub rows_before: u64,
    /// Rows now.
    pub rows_after: u64,
    /// UTC days that were restored.
    pub days: BTreeSet<NaiveDate>,
    /// The transactions of files that can be loaded again.
    pub files: Vec<String>,
}

impl Lake {
    /// The last load that is not undone in all of its tables.
    ///
    /// # Errors
    ///
    /// A log that cannot be read.
    pub fn last_load(&self) -> Result<Option<Load>> {
        self.last_load_before(&HashSet::new())
    }

    /// The last load, ignoring others.
    fn last_load_before(&self, others: &HashSet<String>) -> Result<Option<Load>> {
        let mut last: Option<Load> = None;
        let layouts: Vec<Layout> =
            wabalake_data::TABLES.iter().map(|table| (*table).into()).collect();
        let logs = self.logs(&layouts)?;
        let loads = self.each(&logs, |log| last_load_in(log, others))?;
        for (table, load) in wabalake_data::TABLES.iter().zip(loads) {
            let Some((time, load_id)) = load else { continue };
            match &mut last {
                Some(last) if last.load_id == load_id => {
                    last.time = last.time.max(time);
                    last.tables.push(table.name);
                }
                Some(last) if (last.time, &last.load_id) > (time, &load_id) => {}
                last => *last = Some(Load { time, load_id, tables: vec![table.name] }),
            }
        }
        Ok(last)
    }

    /// The loads to undo, the last first, until a table no longer has a file; `None` if that is
    /// impossible or takes too many.
    pub(super) fn undoes_to_without(
        &self,
        table: &'static Table,
        path: &str,
    ) -> Result<Option<Vec<Load>>> {
        const MOST: usize = 8;
        let (mut undone, mut loads) = (HashSet::new(), Vec::new());
        let mut active: HashMap<&str, HashSet<String>> = HashMap::new();
        while loads.len() < MOST {
            let Some(load) = self.last_load_before(&undone)? else { return Ok(None) };
            for of in wabalake_data::TABLES {
                let Some(trace) = self.trace(of, &load.load_id)? else { continue };
                if !active.contains_key(of.name) {
                    let files = self.snapshot(*of)?.files.into_iter().map(|file| file.path);
                    active.insert(of.name, files.collect());
                }
                let Some(active) = active.get_mut(of.name) else { continue };
                if !trace.added.iter().all(|path| active.remove(path)) {
                    return Ok(None);
                }
                for (path, before) in trace.removed {
                    if !active.contains(&path) && self.replaced_file(of, before).is_none() {
                        return Ok(None);
                    }
                    active.insert(path);
                }
            }
            undone.insert(load.load_id.clone());
            loads.push(load);
            if active.get(table.name).is_some_and(|active| !active.contains(path)) {
                return Ok(Some(loads));
            }
        }
        Ok(None)
    }

    /// A replaced file, to be added again; `None` if it does not exist in its logged size.
    fn replaced_file(&self, table: &Table, before: Option<Add>) -> Option<StagedFile> {
        let file = StagedFile::restored(self.place(), &table.into(), before?).ok()?;
        file.exists().then_some(file)
    }

    /// Undoes the last load; called again, the one before it.
    ///
    /// # Errors
    ///
    /// No load to undo; days that a later commit rewrote; replaced files that were deleted. Then
    /// nothing is changed.
    pub fn undo(&self) -> Result<Undone> {
        // Keeps `vacuum` from the files that come back.
        let _writing = self.writing()?;
        if let Some(undone) = self.complete_undo()? {
            return Ok(undone);
        }
        let locked = self.lock_tables(wabalake_data::TABLES)?;
        let load = self.last_load()?.ok_or_else(|| {
            Error::lake("there is no load to undo").hint("`wabalake status` lists the tables")
        })?;
        let mut changed = Vec::new();
        let tables = wabalake_data::TABLES;
        for (table, snapshot) in tables.iter().zip(self.snapshots(tables.iter().copied())?) {
            if self.plan_undo(table, &snapshot, &load.load_id)?.is_some() {
                changed.push(*table);
            }
        }
        let joint = locked.begin(Operation::Undo, &load.load_id, Some(load.time), &changed)?;
        let mut tables = Vec::new();
        for table in changed {
            tables.extend(self.undo_in(&joint, table, &load.load_id)?);
        }
        joint.finish()?;
        Ok(Undone { load, tables })
    }

    /// Undoes a load in one table; `None` if it changed nothing there, or is undone.
    pub(super) fn undo_in(
        &self,
        joint: &Joint<'_>,
        table: &'static Table,
        load_id: &str,
    ) -> Result<Option<UndoneTable>> {
        let mut undone = None;
        let transacted = joint.transact_newest(table, |snapshot, _| {
            let Some(plan) = self.plan_undo(table, snapshot, load_id)? else { return Ok(None) };
            let day = |path: &String| snapshot.files.iter().find(|file| file.path == *path)?.day;
            let gone = plan.remove.iter().filter_map(day);
            undone = Some(UndoneTable {
                table: table.name,
                version: 0,
                rows_before: snapshot.rows(),
                rows_after: 0,
                days: gone.chain(plan.add.iter().filter_map(StagedFile::day)).collect(),
                files: plan.transactions.iter().map(|(file, _)| file.clone()).collect(),
            });
            Ok(Some(plan))
        })?;
        let Some(version) = transacted.version.filter(|_| transacted.is_committed) else {
            return Ok(None);
        };
        let rows_after = self.newest(&table.into())?.rows();
        Ok(undone.map(|undone| UndoneTable { version, rows_after, ..undone }))
    }

    /// The change that undoes a load in one table; `None` if it changed nothing there, or is
    /// undone.
    fn plan_undo(
        &self,
        table: &'static Table,
        snapshot: &Snapshot,
        load_id: &str,
    ) -> Result<Option<Change>> {
        let Some(trace) = self.trace(table, load_id)? else { return Ok(None) };
        let active = snapshot.state.as_ref().map(|state| &state.files);
        let is_active = |path: &String| active.is_some_and(|files| files.contains_key(path));
        if !trace.added.is_empty() {
            snapshot.check_replaceable()?;
        }
        if let Some(path) = trace.added.iter().find(|path| !is_active(path)) {
            return Err(rewritten(table, path, trace.removals.get(path)));
        }
        let mut add = Vec::new();
        for (path, before) in trace.removed {
            if is_active(&path) {
                continue;
            }
            let Some(before) = self.replaced_file(table, before) else {
                return Err(Error::lake(format!(
                    "the last load cannot be undone in `{}`: the file `{path}` that \
                     it replaced is deleted or damaged",
                    table.name
                ))
                .hint("`wabalake vacuum` deletes replaced files after their retention"));
            };
            add.push(before);
        }
        let transactions = trace.transactions.into_iter().filter_map(|(file, version)| {
            // If the transaction has moved on, the load is undone already.
            (snapshot.transaction(&file) == version).then_some((file, version.next()))
        });
        Ok(Some(Change {
            transactions: transactions.collect(),
            remove: trace.added.into_iter().collect(),
            add,
            info: [(UNDOES.to_owned(), json!(load_id))].into_iter().collect(),
            ..Change::new(Operation::Undo)
        }))
    }

    /// What a load did to one table, over all of its commits; `None` if nothing, or if it is
    /// undone.
    fn trace(&self, table: &'static Table, load_id: &str) -> Result<Option<Trace>> {
        let log = self.whole_log(table);
        let versions = log.versions()?;
        log.fetch_commits(&versions);
        let mut trace = Trace::default();
        let mut found = false;
        for version in versions.into_iter().rev() {
            let actions = log.actions(version)?;
            let ours = load_of(&actions).filter(|(_, id)| *id == load_id);
            if matches!(ours, Some((Operation::Undo, _))) && !found {
                return Ok(None);
            }
            let ours = ours.is_some();
            found |= ours;
            let what = match is_ours(&actions) {
                true => format!("version {version} ({})", purpose(&actions)),
                false => format!("another program (version {version}, {})", purpose(&actions)),
            };
            for action in actions {
                match action {
                    Action::Add(add) => {
                        if let Some(before @ None) = trace.removed.get_mut(&add.path) {
                            if ours {
                                // A later commit of the same load replaced it.
                                trace.removed.remove(&add.path);
                            } else {
                                *before = Some(add);
                            }
                        } else if ours {
                            trace.added.insert(add.path);
                        }
                    }
                    Action::Remove(remove) if ours => {
                        trace.removed.insert(remove.path, None);
                    }
                    Action::Remove(remove) if !found => {
                        trace.removals.entry(remove.path).or_insert_with(|| what.clone());
                    }
                    Action::Txn(transaction) if ours => {
                        let version = Loaded(transaction.version);
                        trace.transactions.entry(transaction.app_id).or_insert(version);
                    }
                    _ => {}
                }
            }
        }
        Ok(found.then_some(trace))
    }
}

/// The time and the id of the last load in a log that is not undone, ignoring others.
fn last_load_in(log: &Log, others: &HashSet<String>) -> Result<Option<(DateTime<Utc>, String)>> {
    let mut undone = others.clone();
    for version in log.versions()?.into_iter().rev() {
        let actions = log.actions(version)?;
        match load_of(&actions) {
            Some((Operation::Undo, load_id)) => {
                undone.insert(load_id.to_owned());
            }
            Some((_, load_id)) if !undone.contains(load_id) => {
                return Ok(Some((commit_time(commit_info(&actions)), load_id.to_owned())));
            }
            _ => {}
        }
    }
    Ok(None)
}

/// What a load did to one table.
#[derive(Default)]
struct Trace {
    /// Files that it added and did not replace itself.
    added: BTreeSet<String>,
    /// Files that it removed, with their `add` actions.
    removed: BTreeMap<String, Option<Add>>,
    /// Application transactions and their versions.
    transactions: BTreeMap<String, Loaded>,
    /// Files that later commits removed, with a description of the commit.
    removals: HashMap<String, String>,
}

fn rewritten(table: &Table, path: &str, by: Option<&String>) -> Error {
    let day = path.split('/').next().and_then(|folder| folder.strip_prefix("utc_day="));
    let day = match day {
        Some(day) if !day.starts_with('_') => format!("the UTC day {day}"),
        _ => "its rows without a time".to_owned(),
    };
    let what = match by {
        Some(what) => format!("{what} rewrote"),
        None => "a later commit rewrote".to_owned(),
    };
    let hint = format!("`wabalake history {}` lists the commits after it", table.name);
    let hint = match by {
        Some(by) if !by.starts_with("version") => format!(
            "{hint}; let only wabalake write to the lake (`wabalake compact` merges files), or undo \
             with that program what it did"
        ),
        _ => hint,
    };
    Error::lake(format!("the last load cannot be undone: {what} {day} of `{}`", table.name))
        .hint(hint)
}
