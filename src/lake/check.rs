//! Finds damaged files in a lake and says what to do about each. Reads only.
//!
//! ```text
//! tables/sessions/_delta_log     every commit exists and matches its hash
//!   │ replay                     no commit contradicts the state before it; checkpoints match the commits
//!   ▼ data files                 those of the newest version exist in the logged sizes;
//!                                with `deep`, all bytes are hashed, those of old versions too
//! ```

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rayon::prelude::*;
use serde::de::IgnoredAny;
use serde_json::Value;
use wabalake_data::Table;

use super::damage::{self, Damage, check_all_bytes, check_footer};
use super::layout::{stored_table, stored_tables};
use super::log::{Action, Listing, Log, ReplayError, State};
use super::transact::read_newest;
use super::{DataFile, Lake};
use crate::error::{Error, Result};
use crate::place::{Key, OWN};

pub use super::damage::AffectedLoad;

/// The options of a check.
#[derive(Clone, Copy, Default)]
pub struct Options<'a> {
    /// Reads and hashes all bytes, of old versions too; otherwise only sizes and footers are
    /// checked.
    pub deep: bool,
    /// Called with the bytes just read and the total.
    pub progress: Option<&'a (dyn Fn(u64, u64) + Sync)>,
}

/// The result of a check.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// The damaged files.
    pub findings: Vec<Finding>,
    /// Tables and marts checked.
    pub tables: u64,
    /// Commits read.
    pub commits: u64,
    /// Checkpoints compared with the commits.
    pub checkpoints: u64,
    /// Data files checked.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// A damaged file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Its table or mart.
    pub table: String,
    /// Its path below the lake's folder.
    pub file: PathBuf,
    /// What is wrong with it.
    pub what: String,
    /// What was found instead.
    pub found: Option<String>,
    /// What to do about it.
    pub hint: String,
    /// The loads whose rows it holds.
    pub loads: Vec<AffectedLoad>,
    /// `true` if the newest version of a table needs it.
    pub needed: bool,
}

impl Finding {
    /// Converts it to an error.
    pub fn error(&self) -> Error {
        let file = self.file.display();
        let error = Error::lake(format!("the lake is damaged: `{file}` {}", self.what));
        let error = match &self.found {
            Some(found) => error.found(found),
            None => error,
        };
        error.hint(&self.hint)
    }
}

/// The hint for a damaged checkpoint whose commits exist.
const HINT: &str = "delete it, and `_last_checkpoint` beside it: the commits hold the same state";

/// A data file to check.
struct Wanted {
    log: usize,
    file: DataFile,
    /// `true` if the newest version has it.
    current: bool,
}

impl Lake {
    /// Checks the logs and data files of all tables and marts.
    ///
    /// # Errors
    ///
    /// Folders that cannot be listed; a log that uses unsupported features.
    pub fn check(&self, options: Options<'_>) -> Result<Checked> {
        self.in_folder()?;
        let mut checked = Checked::default();
        let mut logs: Vec<Log> = stored_tables().map(|table| self.log_of(table)).collect();
        let marts = self.place().folders(&Key::root().join("marts"))?;
        logs.extend(marts.into_iter().map(|mart| Log::new(Arc::clone(self.place()), mart)));
        let mut wanted = Vec::new();
        for (at, log) in logs.iter().enumerate() {
            let table = (!log.is_mart()).then(|| stored_table(&log.table_name())).flatten();
            if let Some(table) = table {
                self.check_newest(table, log, &mut checked);
            }
            let newest = table.and_then(|table| self.newest_of(&table.into()));
            checked
                .log(log, newest, |file, current| wanted.push(Wanted { log: at, file, current }))?;
        }
        let all: u64 = wanted.iter().map(|wanted| wanted.file.bytes).sum();
        checked.files = wanted.len() as u64;
        let bytes = AtomicU64::new(0);
        let check = |wanted: &Wanted| {
            let place = logs[wanted.log].table().join(&wanted.file.path);
            // `vacuum` may have deleted those of old versions.
            if !wanted.current && !place.is_file() {
                return None;
            }
            let fault =
                if options.deep { check_all_bytes } else { check_footer }(&place, &wanted.file);
            bytes.fetch_add(wanted.file.bytes, Ordering::Relaxed);
            if let Some(progress) = options.progress.filter(|_| options.deep) {
                progress(wanted.file.bytes, all);
            }
            fault
        };
        let faults: Vec<Option<Damage>> = wanted.par_iter().map(check).collect();
        checked.bytes = bytes.into_inner();
        for (wanted, fault) in wanted.iter().zip(faults) {
            if let Some(fault) = fault {
                let log = &logs[wanted.log];
                checked.findings.push(self.finding_of(log, wanted, &fault));
            }
        }
        checked.findings.sort_by(|a, b| a.file.cmp(&b.file));
        Ok(checked)
    }

    /// Replaces an error of reading the lake by the damage that caused it, if there is any.
    #[must_use]
    pub fn explain(&self, error: Error) -> Error {
        let is_here = self.place().as_folder().is_some();
        let damage =
            if is_here && error.may_be_damage() { self.damage_behind(&error) } else { None };
        damage.unwrap_or(error)
    }

    /// The first damaged file that the newest version of a table needs. Hashes all bytes if sizes
    /// and footers show no damage, except for errors of the command line.
    pub(crate) fn damage_behind(&self, error: &Error) -> Option<Error> {
        let all_bytes = error.fault() != crate::error::Fault::Usage;
        [false, true].into_iter().filter(|deep| all_bytes || !deep).find_map(|deep| {
            let checked = self.check(Options { deep, progress: None }).ok()?;
            Some(checked.findings.iter().find(|finding| finding.needed)?.error())
        })
    }

    fn check_newest(&self, table: &Table, log: &Log, checked: &mut Checked) {
        let Ok(noted) = fs::read(self.newest_file(&table.into())) else { return };
        if read_newest(&String::from_utf8_lossy(&noted)).is_none() {
            let noted = Key::root().join(OWN).join("newest").join(table.name);
            checked.add(
                log,
                &noted,
                &Damage::Altered,
                false,
                "delete it: the next load recreates it",
            );
        }
    }

    fn finding_of(&self, log: &Log, wanted: &Wanted, fault: &Damage) -> Finding {
        let path = &wanted.file.path;
        let (hint, loads) = if wanted.current {
            let undone = self.undone_with(log, path).ok().flatten();
            undone.unwrap_or_else(|| (log.hint_for_data_file(path), log.loads_of_day(path)))
        } else {
            let hint = "only an old version has it: an undo cannot restore it, and `wabalake \
                        vacuum` deletes it later";
            (hint.to_owned(), log.loads_of_day(path))
        };
        Finding {
            table: log.table_name(),
            file: log.table_key().join(path).as_str().into(),
            what: fault.what(),
            found: fault.found(),
            hint,
            loads,
            needed: wanted.current && !log.is_mart(),
        }
    }

    /// A hint to undo the last loads, if that removes a damaged file; and these loads.
    fn undone_with(&self, log: &Log, path: &str) -> Result<Option<(String, Vec<AffectedLoad>)>> {
        let table = if log.is_mart() { None } else { wabalake_data::table(&log.table_name()) };
        let Some(table) = table else { return Ok(None) };
        let Some(loads) = self.undoes_to_without(table, path)? else { return Ok(None) };
        let ids: Vec<&str> = loads.iter().map(|load| load.load_id.as_str()).collect();
        let mut brought: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for table in wabalake_data::TABLES {
            for load in self.log_of(*table).affected_loads(|_, _| true) {
                if ids.contains(&load.load_id.as_str()) {
                    brought.entry(load.load_id).or_default().extend(load.files);
                }
            }
        }
        let loads = brought.into_iter().map(|(load_id, files)| AffectedLoad { load_id, files });
        let loads: Vec<AffectedLoad> = loads.collect();
        let again = damage::load_list(&loads);
        let undo = match ids.len() {
            1 => "`wabalake undo` removes it".to_owned(),
            times => format!("`wabalake undo`, {times} times, removes it"),
        };
        let hint = format!("restore it from a backup; else {undo}; then load again {again}");
        Ok(Some((hint, loads)))
    }
}

impl Checked {
    /// Checks one log. Calls `wanted` with each data file and whether the newest version has it.
    fn log(
        &mut self,
        log: &Log,
        newest: Option<u64>,
        mut wanted: impl FnMut(DataFile, bool),
    ) -> Result<()> {
        let listing = log.list_folder()?;
        if let Err(lost) = log.clone().known_to_reach(newest).list() {
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
            let Ok(text) = fs::read(log.path(&hashes)) else { continue };
            if damage::parse_hash_list(&String::from_utf8_lossy(&text)).is_none() {
                self.add(log, &hashes, &Damage::Altered, false, "delete it: no data is lost");
            }
        }
        let place = log.last_checkpoint();
        let Ok(text) = fs::read(log.path(&place)) else { return };
        let last: Option<Value> = serde_json::from_slice(&text).ok();
        let version = last.and_then(|last| last.get("version")?.as_u64());
        let fault = match version.filter(|version| listing.checkpoints.contains_key(version)) {
            None => Some(Damage::Impossible("names a checkpoint that does not exist".to_owned())),
            Some(version) => {
                let hashes = fs::read_to_string(log.path(&log.checkpoint_hashes(version))).ok();
                let hashes = hashes.and_then(|text| damage::parse_hash_list(&text));
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

    fn add(&mut self, log: &Log, file: &Key, fault: &Damage, needed: bool, hint: &str) {
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
