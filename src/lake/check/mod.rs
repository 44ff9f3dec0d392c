//! Finds damaged files in a lake and says what to do about each. Reads only.
//!
//! ```text
//! tables/sessions/_delta_log     every commit exists and matches its hash
//!   │ replay                     no commit contradicts the state before it; checkpoints match the commits
//!   ▼ data files                 those of the newest version exist in the logged sizes;
//!                                with `deep`, all bytes are hashed, those of old versions too
//! ```
//!
//! On a store, sizes are those of one listing for each table, and bytes are hashed as they arrive.

mod data;
mod logs;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use rayon::prelude::*;
use wabalake_data::Table;

use self::data::Wanted;
use super::damage::{self, Damage};
use super::layout::{stored_table, stored_tables};
use super::log::Log;
use super::transact::read_newest;
use super::{DataFile, Lake};
use crate::error::{Error, Fault, Result};
use crate::place::{Key, OWN};

pub use super::damage::AffectedLoad;

/// The options of a check.
#[derive(Clone, Copy, Default)]
pub struct Options<'a> {
    /// Reads and hashes all bytes, of old versions too; otherwise only sizes are checked, and
    /// footers in a folder.
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

/// How many damaged files of a lake on a store have their loads traced, which takes requests for each.
const TRACED: usize = 4;

impl Lake {
    /// Checks the logs and data files of all tables and marts.
    ///
    /// # Errors
    ///
    /// A place that cannot be listed or read; a log that uses unsupported features.
    pub fn check(&self, options: Options<'_>) -> Result<Checked> {
        let mut checked = Checked::default();
        let mut logs: Vec<Log> = stored_tables().map(|table| self.log_of(table)).collect();
        let marts = self.place().folders(&Key::root().join("marts"))?;
        logs.extend(marts.into_iter().map(|mart| Log::new(Arc::clone(self.place()), mart)));
        let of_each: Result<Vec<_>> = logs.par_iter().map(|log| self.check_log(log)).collect();
        let mut wanted = Vec::new();
        for (at, (of_log, files)) in of_each?.into_iter().enumerate() {
            checked.absorb(of_log);
            wanted.extend(files.into_iter().map(|(file, current)| Wanted {
                log: at,
                file,
                current,
            }));
        }
        checked.files = wanted.len() as u64;
        let (faults, bytes) = self.check_data(&logs, &wanted, options)?;
        checked.bytes = bytes;
        let damaged =
            wanted.iter().zip(faults).filter_map(|(wanted, fault)| Some((wanted, fault?)));
        for (at, (wanted, fault)) in damaged.enumerate() {
            let is_traced = self.place().as_folder().is_some() || at < TRACED;
            checked.findings.push(self.finding_of(&logs[wanted.log], wanted, &fault, is_traced));
        }
        checked.findings.sort_by(|a, b| a.file.cmp(&b.file));
        Ok(checked)
    }

    /// Checks one log. Returns its data files, and whether the newest version has each.
    fn check_log(&self, log: &Log) -> Result<(Checked, Vec<(DataFile, bool)>)> {
        let (mut checked, mut files) = (Checked::default(), Vec::new());
        let table = (!log.is_mart()).then(|| stored_table(&log.table_name())).flatten();
        if let Some(table) = table {
            self.check_newest(table, log, &mut checked);
        }
        let newest = table.and_then(|table| self.newest_of(&table.into()));
        checked.log(log, newest, |file, current| files.push((file, current)))?;
        Ok((checked, files))
    }

    /// Replaces an error of reading the lake by the damage that caused it, if there is any.
    #[must_use]
    pub fn explain(&self, error: Error) -> Error {
        let damage = if error.may_be_damage() { self.damage_behind(&error) } else { None };
        damage.unwrap_or(error)
    }

    /// The first damaged file that the newest version of a table needs. Hashes all bytes if sizes
    /// and footers show no damage, except for errors of the command line; on a store, that is left to
    /// `wabalake check --deep`, which an error without a hint then names.
    pub(crate) fn damage_behind(&self, error: &Error) -> Option<Error> {
        let damage = |deep| {
            let checked = self.check(Options { deep, progress: None }).ok()?;
            Some(checked.findings.iter().find(|finding| finding.needed).map(Finding::error))
        };
        let quickly = damage(false)?;
        let is_here = self.place().as_folder().is_some();
        if quickly.is_some() || error.fault() == Fault::Usage {
            return quickly;
        }
        if is_here {
            return damage(true)?;
        }
        let is_unexplained = error.fault() == Fault::Lake && error.details().hint.is_none();
        is_unexplained.then(|| {
            let shown = self.place().shown();
            Error::lake(error.to_string()).hint(format!(
                "all files have the right size; `wabalake check --deep --lake {shown}` reads every \
                 byte"
            ))
        })
    }

    fn check_newest(&self, table: &Table, log: &Log, checked: &mut Checked) {
        // Not on stores: see `note_newest`.
        let Some(root) = self.place().as_folder() else { return };
        let noted = Key::root().join(OWN).join("newest").join(table.name);
        let Ok(text) = fs::read(root.join(noted.as_str())) else { return };
        if read_newest(&String::from_utf8_lossy(&text)).is_none() {
            checked.add(
                log,
                &noted,
                &Damage::Altered,
                false,
                "delete it: the next load recreates it",
            );
        }
    }

    /// `is_traced` looks for loads whose undo removes the file.
    fn finding_of(&self, log: &Log, wanted: &Wanted, fault: &Damage, is_traced: bool) -> Finding {
        let path = &wanted.file.path;
        let (hint, loads) = if wanted.current {
            let undone = match is_traced {
                true => self.undone_with(log, path).ok().flatten(),
                false => None,
            };
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
    /// Adds what was found in another log.
    fn absorb(&mut self, other: Self) {
        self.findings.extend(other.findings);
        self.tables += other.tables;
        self.commits += other.commits;
        self.checkpoints += other.checkpoints;
    }
}
