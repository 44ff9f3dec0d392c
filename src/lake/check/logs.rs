//! Checks the log of one table: its commits, its checkpoints, and the files beside them.

use std::collections::HashMap;

use serde::de::IgnoredAny;
use serde_json::Value;

use super::{Checked, Finding};
use crate::error::Result;
use crate::lake::DataFile;
use crate::lake::damage::{self, Damage};
use crate::lake::log::{Action, Listing, Log, ReplayError, State};
use crate::place::Key;

/// The hint for a damaged checkpoint whose commits exist.
const HINT: &str = "delete it, and `_last_checkpoint` beside it: the commits hold the same state";

impl Checked {
    /// Checks one log. Calls `wanted` with each data file and whether the newest version has it.
    pub(super) fn log(
        &mut self,
        log: &Log,
        newest: Option<u64>,
        mut wanted: impl FnMut(DataFile, bool),
    ) -> Result<()> {
        let listing = log.list_folder()?;
        let parts = listing.checkpoints.values().flat_map(|(_, parts)| parts.iter().cloned());
        log.fetch(&parts.collect::<Vec<_>>());
        log.fetch_commits(&listing.commits);
        if let Err(lost) = log.clone().known_to_reach(newest).check_end(&listing) {
            let report = lost.details();
            let what = match listing.newest() {
                Some(found) => format!("ends at version {found}"),
                None => Damage::Missing.what(),
            };
            self.findings.push(Finding {
                table: log.table_name(),
                file: log.table_key().join("_delta_log").as_str().into(),
                what,
                found: report.found.clone(),
                hint: report.hint.clone().unwrap_or_default(),
                loads: Vec::new(),
                needed: !log.is_mart(),
            });
        }
        let Some(end) = listing.newest() else { return Ok(()) };
        self.tables += 1;
        let first_commit = listing.commits.first().copied();
        let first_checkpoint = listing.checkpoints.keys().next().copied();
        let first = match (first_commit, first_checkpoint) {
            (Some(commit), Some(checkpoint)) if checkpoint < commit => checkpoint,
            // Commits that another program cleaned up are covered by a checkpoint; otherwise they
            // are missing.
            (Some(commit), Some(_)) => commit,
            (Some(_), None) => 0,
            (None, checkpoint) => checkpoint.unwrap_or(end),
        };
        let mut state = (first == 0).then(State::default);
        let mut known = HashMap::new();
        for version in first..=end {
            let was_cleaned_away = first_commit.is_none_or(|first| version < first) && first > 0;
            if !was_cleaned_away {
                self.commit(log, version, &mut state, &mut known)?;
            }
            if let Some((of, parts)) = listing.checkpoints.get(&version) {
                self.checkpoint(log, version, (*of, parts), &mut state)?;
            }
        }
        self.beside(log, &listing);
        let current = state.map(|state| state.files).unwrap_or_default();
        for (path, file) in known {
            if !current.contains_key(&path) {
                wanted(file, false);
            }
        }
        for file in current.into_values() {
            wanted(file, true);
        }
        Ok(())
    }

    fn commit(
        &mut self,
        log: &Log,
        version: u64,
        state: &mut Option<State>,
        known: &mut HashMap<String, DataFile>,
    ) -> Result<()> {
        self.commits += 1;
        let actions = match log.read_commit::<IgnoredAny>(version) {
            Ok(actions) => actions,
            Err(error) => {
                *state = None;
                return self.add_error(log, error);
            }
        };
        let added = actions.iter().filter_map(|action| match action {
            Action::Add(add) => Some(add.path.clone()),
            _ => None,
        });
        let added: Vec<String> = added.collect();
        // Without a state to continue from, only the `add` actions of the commit count.
        let mut alone = State::default();
        let onto = state.as_mut().unwrap_or(&mut alone);
        let done = match onto.metadata.is_empty() && version > 0 {
            true => log.apply_adds(onto, version, actions),
            false => log.apply(onto, version, actions),
        };
        let files = added.iter().filter_map(|path| onto.files.get(path));
        known.extend(files.map(|file| (file.path.clone(), file.clone())));
        if let Err(error) = done {
            *state = None;
            return self.add_error(log, error);
        }
        Ok(())
    }

    fn checkpoint(
        &mut self,
        log: &Log,
        version: u64,
        (of, parts): (usize, &[Key]),
        state: &mut Option<State>,
    ) -> Result<()> {
        self.checkpoints += 1;
        let first = parts.first().cloned().unwrap_or_default();
        if parts.len() != of {
            self.add(log, &first, &Damage::of_parts(of, parts), false, HINT);
            return Ok(());
        }
        match (log.read_checkpoint(version, parts), state) {
            (Ok(found), Some(state)) if !found.is_same_as(state) => {
                let what = "differs from the commits before it".to_owned();
                self.add(log, &first, &Damage::Impossible(what), false, HINT);
            }
            (Ok(_), Some(_)) => {}
            (Ok(found), state) => *state = Some(found),
            (Err(ReplayError::DamagedFile(damaged)), Some(_)) => {
                self.add(log, &damaged.file, &damaged.fault, false, HINT);
            }
            (Err(error), _) => self.add_error(log, error)?,
        }
        Ok(())
    }

    /// Checks the files beside checkpoints.
    fn beside(&mut self, log: &Log, listing: &Listing) {
        for version in listing.checkpoints.keys() {
            let hashes = log.checkpoint_hashes(*version);
            let Ok(Some(text)) = log.read(&hashes) else { continue };
            if damage::parse_hash_list(&String::from_utf8_lossy(&text)).is_none() {
                self.add(log, &hashes, &Damage::Altered, false, "delete it: no data is lost");
            }
        }
        let place = log.last_checkpoint();
        let Ok(Some(text)) = log.read(&place) else { return };
        let last: Option<Value> = serde_json::from_slice(&text).ok();
        let version = last.and_then(|last| last.get("version")?.as_u64());
        let fault = match version.filter(|version| listing.checkpoints.contains_key(version)) {
            None => Some(Damage::Impossible("names a checkpoint that does not exist".to_owned())),
            Some(version) => {
                let hashes = log.read(&log.checkpoint_hashes(version)).ok().flatten();
                let hashes =
                    hashes.and_then(|text| damage::parse_hash_list(str::from_utf8(&text).ok()?));
                let noted = hashes.and_then(|hashes| hashes.get("_last_checkpoint").copied());
                noted
                    .is_some_and(|noted| noted != damage::Hash::of(&text))
                    .then_some(Damage::Altered)
            }
        };
        if let Some(fault) = fault {
            let hint = "delete it: wabalake does not read it, and the next checkpoint recreates it";
            self.add(log, &place, &fault, false, hint);
        }
    }

    fn add_error(&mut self, log: &Log, error: ReplayError) -> Result<()> {
        match error {
            ReplayError::DamagedFile(damaged) => {
                let hint = log.hint_for_log_file(&damaged);
                self.add(log, &damaged.file, &damaged.fault, !log.is_mart(), &hint);
                if let Some(finding) = self.findings.last_mut() {
                    finding.loads = log.affected_loads(|version, _| version >= damaged.version);
                }
                Ok(())
            }
            ReplayError::Other(error) => Err(error),
        }
    }

    pub(super) fn add(&mut self, log: &Log, file: &Key, fault: &Damage, needed: bool, hint: &str) {
        self.findings.push(Finding {
            table: log.table_name(),
            file: file.as_str().into(),
            what: fault.what(),
            found: fault.found(),
            hint: hint.to_owned(),
            loads: Vec::new(),
            needed,
        });
    }
}
