//! What to do about a damaged file.

use std::collections::HashMap;

use serde_json::Value;

use super::{Action, DamagedFile, DataFile, Listing, Log, ReplayError, State, commit_info};
use crate::error::Error;
use crate::lake::Operation;
use crate::lake::damage::{self, AffectedLoad, Damage};
use crate::lake::history::load_of;

impl Log {
    /// Converts the error of a replay.
    pub(in crate::lake) fn error_of(&self, error: ReplayError) -> Error {
        match error {
            ReplayError::DamagedFile(damaged) => {
                damaged.fault.error(damaged.file.as_str()).hint(self.hint_for_log_file(&damaged))
            }
            ReplayError::Other(error) => error,
        }
    }

    /// The error of a log whose newest commits are missing.
    pub(super) fn lost(&self, newest: u64, found: Option<u64>) -> Error {
        let name = self.table_name();
        let damaged = match found {
            Some(found) => Error::lake(format!(
                "the lake is damaged: `{}` ends at version {found}",
                self.folder
            ))
            .found(format!("version {newest} was committed")),
            None => Damage::Missing
                .error(self.folder.as_str())
                .found("there are data files, but without the log their versions are unknown"),
        };
        damaged.hint(self.hint_if_replaceable().unwrap_or_else(|| match found {
            Some(found) => format!(
                "restore the folder from a backup; else delete `.wabalake/newest/{name}` to go on from \
                 version {found}, and load again what was loaded last"
            ),
            None => format!(
                "restore the folder from a backup; else move `tables/{name}` and \
                 `.wabalake/newest/{name}` out of the lake, and load its exports again"
            ),
        }))
    }

    /// The hint for a damaged file of the log.
    pub(in crate::lake) fn hint_for_log_file(&self, damaged: &DamagedFile) -> String {
        if let Some(hint) = self.hint_if_replaceable() {
            return hint;
        }
        let name = self.table_name();
        let listing = self.list_folder().unwrap_or_default();
        if damaged.file.name().ends_with(".parquet") {
            return format!(
                "restore it from a backup, or the commits before version {}",
                damaged.version + 1
            );
        }
        let after = |version: u64, _: &[Action]| version >= damaged.version;
        let lost = damage::load_list(&self.affected_loads(after));
        let again = match lost.as_str() {
            "" => "what was loaded last".to_owned(),
            lost => format!("{lost} and whatever else was loaded since"),
        };
        let covered = listing.checkpoints.iter().any(|(version, (_, parts))| {
            *version >= damaged.version && self.read_checkpoint(*version, parts).is_ok()
        });
        if covered {
            return format!(
                "restore it from a backup: queries do not need it, the history of `{name}` does"
            );
        }
        if self.can_go_back_to(&listing, damaged.version) {
            let later = if damaged.version < listing.newest().unwrap_or_default() {
                ", the later files of that folder"
            } else {
                ""
            };
            return format!(
                "restore it from a backup; else move it{later} and `.wabalake/newest/{name}` out of \
                 the lake, and load again {again}"
            );
        }
        let all = damage::load_list(&self.affected_loads(|_, _| true));
        let all = if all.is_empty() { "its exports".to_owned() } else { all };
        format!("restore it from a backup; else load all exports into a new lake: {all}")
    }

    /// The readable actions of each commit, however damaged it is.
    fn remains(&self) -> impl Iterator<Item = (u64, Vec<Action>)> {
        let commits = self.list_folder().map(|listing| listing.commits).unwrap_or_default();
        self.fetch_commits(&commits);
        commits.into_iter().map(|version| {
            let bytes = self.read(&self.commit_key(version)).ok().flatten().unwrap_or_default();
            let lines = bytes.split(|byte| *byte == b'\n');
            (version, lines.filter_map(|line| serde_json::from_slice(line).ok()).collect())
        })
    }

    /// The loads that are not undone, of the wanted commits.
    pub(in crate::lake) fn affected_loads(
        &self,
        wanted: impl Fn(u64, &[Action]) -> bool,
    ) -> Vec<AffectedLoad> {
        let mut loads: Vec<AffectedLoad> = Vec::new();
        for (version, actions) in self.remains() {
            let Some(info) = commit_info(&actions) else { continue };
            match load_of(&actions) {
                Some((Operation::Undo, undone)) => loads.retain(|load| load.load_id != undone),
                Some((_, load_id)) if wanted(version, &actions) => {
                    let files = info.info.get("files").and_then(Value::as_array);
                    let files = files.into_iter().flatten();
                    let files = files.filter_map(|file| Some(file["file"].as_str()?.to_owned()));
                    loads
                        .push(AffectedLoad { load_id: load_id.to_owned(), files: files.collect() });
                }
                _ => {}
            }
        }
        loads
    }

    /// The loads that wrote the partition of a file.
    pub(in crate::lake) fn loads_of_day(&self, path: &str) -> Vec<AffectedLoad> {
        let folder = path.split('/').next();
        let adds = |action: &Action| match action {
            Action::Add(add) => add.path.split('/').next() == folder,
            _ => false,
        };
        self.affected_loads(|_, actions| actions.iter().any(adds))
    }

    /// The hint for a damaged data file.
    pub(in crate::lake) fn hint_for_data_file(&self, path: &str) -> String {
        if let Some(hint) = self.hint_if_replaceable() {
            return hint;
        }
        let folder = path.split('/').next().unwrap_or_default();
        let loads = damage::load_list(&self.loads_of_day(path));
        let loads = if loads.is_empty() { "an unnamed load".to_owned() } else { loads };
        format!(
            "restore it from a backup; else load all exports into a new lake. The rows of \
             {folder} are from {loads}"
        )
    }

    /// The hint for a damaged table that can be rebuilt or given up; `None` for tables of exports.
    pub(in crate::lake) fn hint_if_replaceable(&self) -> Option<String> {
        let name = self.table_name();
        if self.is_mart() {
            return Some(
                "`wabalake nightly` rebuilds the mart; queries read the tables until then".into(),
            );
        }
        let what = match name.as_str() {
            "runs" => "the list of nightly runs and erasures",
            "rejects" => "the list of rejected rows",
            _ => return None,
        };
        Some(format!(
            "restore it from a backup; else move `tables/{name}` and `.wabalake/newest/{name}` out of \
             the lake: only {what} is lost"
        ))
    }

    /// Returns `true` if the version before this one is readable and its files exist.
    fn can_go_back_to(&self, listing: &Listing, version: u64) -> bool {
        let Some(before) = version.checked_sub(1) else { return true };
        match self.replay(listing, before, None) {
            Ok((state, _)) => self.holds_files(&state),
            Err(_) => false,
        }
    }

    /// Returns `true` if all data files of a version exist in their logged sizes.
    fn holds_files(&self, state: &State) -> bool {
        if self.place.as_folder().is_some() {
            let is_whole = |file: &DataFile| {
                damage::check_quickly(&self.table().join(&file.path), file).is_none()
            };
            return state.files.values().all(is_whole);
        }
        let Ok(listed) = self.place.list(&self.table, None) else { return false };
        let sizes: HashMap<&str, u64> = listed
            .iter()
            .filter_map(|entry| Some((entry.key.below(&self.table)?, entry.bytes)))
            .collect();
        state.files.values().all(|file| sizes.get(file.path.as_str()) == Some(&file.bytes))
    }
}
