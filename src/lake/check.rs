//! Finds what is damaged in a lake, and says what to do about it. Reads only.
//!
//! ```text
//! tables/sessions/_delta_log     every commit is there, whole, and says what can be
//!   │ replayed                   every checkpoint says the same as the commits before it
//!   ▼ files                      those of the newest version are there, in the sizes of the log;
//!                                with `deep` every byte of them, and of older ones, is read
//! ```

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rayon::prelude::*;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::commit::read_newest;
use super::damage::{self, Fault, look, study};
use super::layout::{Layout, layout, layouts};
use super::log::{Action, Listing, Log, State, Stop};
use super::vacuum::entries;
use super::{DataFile, Lake};
use crate::error::{Error, Result};

pub use super::damage::Brought;

/// How to check.
#[derive(Clone, Copy, Default)]
pub struct Options<'a> {
    /// Whether every byte is read, of old versions too, and not sizes alone.
    pub deep: bool,
    /// Is told of bytes that were just read, and of how many there are.
    pub progress: Option<&'a (dyn Fn(u64, u64) + Sync)>,
}

/// What was checked, and what is damaged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// What is damaged, by file.
    pub findings: Vec<Finding>,
    /// Tables and marts that there are.
    pub tables: u64,
    /// Commits that were read.
    pub commits: u64,
    /// Checkpoints that were held against them.
    pub checkpoints: u64,
    /// Data files that were looked at.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// A damaged file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The table or mart that it is of.
    pub table: String,
    /// Where it is below the lake's folder.
    pub file: PathBuf,
    /// What is wrong with it.
    pub what: String,
    /// What was found instead.
    pub found: Option<String>,
    /// What to do about it.
    pub hint: String,
    /// The loads whose rows are in it.
    pub loads: Vec<Brought>,
    /// Whether the newest version of a table cannot do without it.
    pub needed: bool,
}

impl Finding {
    /// The same as an error.
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

/// What to do about a damaged checkpoint whose commits are there.
const HINT: &str = "delete it, and `_last_checkpoint` beside it: the commits say the same";

/// A data file that is to be looked at.
struct Wanted {
    log: usize,
    file: DataFile,
    /// Whether the newest version has it.
    current: bool,
}

impl Lake {
    /// Checks all logs and data files of tables and marts.
    ///
    /// # Errors
    ///
    /// Folders that cannot be listed; a log that uses what wabalake does not read.
    pub fn check(&self, options: Options<'_>) -> Result<Checked> {
        let mut checked = Checked::default();
        let mut logs: Vec<Log> = layouts().map(|layout| self.log_of(layout)).collect();
        let marts = entries(&self.root().join("marts"))?;
        logs.extend(marts.iter().filter(|mart| mart.is_dir()).map(|mart| Log::new(mart)));
        let mut wanted = Vec::new();
        for (at, log) in logs.iter().enumerate() {
            let layout = (!log.is_mart()).then(|| layout(&log.table_name())).flatten();
            if let Some(layout) = layout {
                self.check_newest(layout, log, &mut checked);
            }
            let newest = layout.and_then(|layout| self.newest_of(layout));
            checked
                .log(log, newest, |file, current| wanted.push(Wanted { log: at, file, current }))?;
        }
        let all: u64 = wanted.iter().map(|wanted| wanted.file.bytes).sum();
        checked.files = wanted.len() as u64;
        let bytes = AtomicU64::new(0);
        let looked_at = |wanted: &Wanted| {
            let place = logs[wanted.log].table().join(&wanted.file.path);
            // Those of old versions may be deleted by now.
            if !wanted.current && !place.is_file() {
                return None;
            }
            let fault = if options.deep { study } else { look }(&place, &wanted.file);
            bytes.fetch_add(wanted.file.bytes, Ordering::Relaxed);
            if let Some(progress) = options.progress.filter(|_| options.deep) {
                progress(wanted.file.bytes, all);
            }
            fault
        };
        let faults: Vec<Option<Fault>> = wanted.par_iter().map(looked_at).collect();
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

    /// The damage behind an error of a library that read the lake, if there is some; else the error.
    #[must_use]
    pub fn explain(&self, error: Error) -> Error {
        let damage = if error.may_be_damage() { self.damage_behind(&error) } else { None };
        damage.unwrap_or(error)
    }

    /// The first damaged file that the newest version of a table cannot do without. Reads all bytes
    /// where sizes and ends do not tell, unless the error is most likely of the command line.
    pub(crate) fn damage_behind(&self, error: &Error) -> Option<Error> {
        let all_bytes = error.fault() != crate::error::Fault::Usage;
        [false, true].into_iter().filter(|deep| all_bytes || !deep).find_map(|deep| {
            let checked = self.check(Options { deep, progress: None }).ok()?;
            Some(checked.findings.iter().find(|finding| finding.needed)?.error())
        })
    }

    fn check_newest(&self, layout: &'static dyn Layout, log: &Log, checked: &mut Checked) {
        let place = self.newest_file(layout);
        let Ok(noted) = fs::read(&place) else { return };
        if read_newest(&String::from_utf8_lossy(&noted)).is_none() {
            checked.add(
                log,
                &place,
                &Fault::Altered,
                false,
                "delete it: the next load makes it anew",
            );
        }
    }

    fn finding_of(&self, log: &Log, wanted: &Wanted, fault: &Fault) -> Finding {
        let path = &wanted.file.path;
        let (hint, loads) = if wanted.current {
            let undone = self.undone_with(log, path).ok().flatten();
            undone.unwrap_or_else(|| (log.way_around(path), log.brought_to_day_of(path)))
        } else {
            let hint = "it is of an old version alone: an undo cannot bring it back, and `wabalake \
                        vacuum` deletes it in its time";
            (hint.to_owned(), log.brought_to_day_of(path))
        };
        Finding {
            table: log.table_name(),
            file: PathBuf::from(log.shown(&log.table().join(path))),
            what: fault.what(),
            found: fault.found(),
            hint,
            loads,
            needed: wanted.current && !log.is_mart(),
        }
    }

    /// How a file is taken out by undoing the last loads, if it can be, and what they were of.
    fn undone_with(&self, log: &Log, path: &str) -> Result<Option<(String, Vec<Brought>)>> {
        let table = if log.is_mart() { None } else { wabalake_data::table(&log.table_name()) };
        let Some(table) = table else { return Ok(None) };
        let Some(loads) = self.undoes_to_without(table, path)? else { return Ok(None) };
        let ids: Vec<&str> = loads.iter().map(|load| load.load_id.as_str()).collect();
        let mut brought: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for table in wabalake_data::TABLES {
            for load in self.log_of(*table).brought(|_, _| true) {
                if ids.contains(&load.load_id.as_str()) {
                    brought.entry(load.load_id).or_default().extend(load.files);
                }
            }
        }
        let loads = brought.into_iter().map(|(load_id, files)| Brought { load_id, files });
        let loads: Vec<Brought> = loads.collect();
        let again = damage::named(&loads);
        let undo = match ids.len() {
            1 => "`wabalake undo` takes it out".to_owned(),
            times => format!("`wabalake undo`, {times} times, takes it out"),
        };
        let hint = format!("restore it from a backup; else {undo}; then load again {again}");
        Ok(Some((hint, loads)))
    }
}

impl Checked {
    /// Checks one log, and gives each data file that it names and whether the newest version has it.
    fn log(
        &mut self,
        log: &Log,
        newest: Option<u64>,
        mut wanted: impl FnMut(DataFile, bool),
    ) -> Result<()> {
        let listing = log.list_folder()?;
        if let Err(lost) = log.clone().reaching(newest).list() {
            let report = lost.details();
            let what = match listing.newest() {
                Some(found) => format!("ends at version {found}"),
                None => Fault::Missing.what(),
            };
            self.findings.push(Finding {
                table: log.table_name(),
                file: PathBuf::from(log.shown(&log.table().join("_delta_log"))),
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
            // What another program cleaned away is in a checkpoint; else it is missed.
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
            Err(stop) => {
                *state = None;
                return self.stop(log, stop);
            }
        };
        let added = actions.iter().filter_map(|action| match action {
            Action::Add(add) => Some(add.path.clone()),
            _ => None,
        });
        let added: Vec<String> = added.collect();
        // Without a state to go on from, its files are known by its own words alone.
        let mut alone = State::default();
        let onto = state.as_mut().unwrap_or(&mut alone);
        let done = match onto.metadata.is_empty() && version > 0 {
            true => log.add_all(onto, version, actions),
            false => log.apply_all(onto, version, actions),
        };
        let files = added.iter().filter_map(|path| onto.files.get(path));
        known.extend(files.map(|file| (file.path.clone(), file.clone())));
        if let Err(stop) = done {
            *state = None;
            return self.stop(log, stop);
        }
        Ok(())
    }

    fn checkpoint(
        &mut self,
        log: &Log,
        version: u64,
        (of, parts): (usize, &[PathBuf]),
        state: &mut Option<State>,
    ) -> Result<()> {
        self.checkpoints += 1;
        let place = parts.first().cloned().unwrap_or_default();
        if parts.len() != of {
            self.add(log, &place, &Fault::of_parts(of, parts), false, HINT);
            return Ok(());
        }
        match (log.read_checkpoint(version, parts), state) {
            (Ok(found), Some(state)) if !found.is_as(state) => {
                let what = "does not say what the commits before it say".to_owned();
                self.add(log, &place, &Fault::Impossible(what), false, HINT);
            }
            (Ok(_), Some(_)) => {}
            (Ok(found), state) => *state = Some(found),
            (Err(Stop::Broken(broken)), Some(_)) => {
                self.add(log, &broken.file, &broken.fault, false, HINT);
            }
            (Err(stop), _) => self.stop(log, stop)?,
        }
        Ok(())
    }

    /// Checks what stands beside checkpoints.
    fn beside(&mut self, log: &Log, listing: &Listing) {
        for version in listing.checkpoints.keys() {
            let place = log.checkpoint_hashes(*version);
            let Ok(text) = fs::read(&place) else { continue };
            if damage::read_listed(&String::from_utf8_lossy(&text)).is_none() {
                self.add(log, &place, &Fault::Altered, false, "delete it: nothing is lost with it");
            }
        }
        let place = log.last_checkpoint();
        let Ok(text) = fs::read(&place) else { return };
        let last: Option<Value> = serde_json::from_slice(&text).ok();
        let version = last.and_then(|last| last.get("version")?.as_u64());
        let fault = match version.filter(|version| listing.checkpoints.contains_key(version)) {
            None => Some(Fault::Impossible("names a checkpoint that is not there".to_owned())),
            Some(version) => {
                let hashes = fs::read_to_string(log.checkpoint_hashes(version)).ok();
                let hashes = hashes.and_then(|text| damage::read_listed(&text));
                let noted = hashes.and_then(|hashes| hashes.get("_last_checkpoint").copied());
                noted
                    .is_some_and(|noted| noted != damage::Hash::of(&text))
                    .then_some(Fault::Altered)
            }
        };
        if let Some(fault) = fault {
            let hint =
                "delete it: wabalake does not read it, and the next checkpoint writes it anew";
            self.add(log, &place, &fault, false, hint);
        }
    }

    fn stop(&mut self, log: &Log, stop: Stop) -> Result<()> {
        match stop {
            Stop::Broken(broken) => {
                let hint = log.way_forward(&broken);
                self.add(log, &broken.file, &broken.fault, !log.is_mart(), &hint);
                if let Some(finding) = self.findings.last_mut() {
                    finding.loads = log.brought(|version, _| version >= broken.version);
                }
                Ok(())
            }
            Stop::Other(error) => Err(error),
        }
    }

    fn add(&mut self, log: &Log, file: &Path, fault: &Fault, needed: bool, hint: &str) {
        self.findings.push(Finding {
            table: log.table_name(),
            file: PathBuf::from(log.shown(file)),
            what: fault.what(),
            found: fault.found(),
            hint: hint.to_owned(),
            loads: Vec::new(),
            needed,
        });
    }
}
