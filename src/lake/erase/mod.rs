//! Erases a person from a lake: deletes their rows, and redacts their number elsewhere.
//!
//! ```text
//! search     every data file, current and old: the person's sessions, then their rows
//! confirm    the caller agrees to what was found; nothing is changed before that
//!   │ journal    .wabalake/erasing: the sessions, so that a killed erasure can be resumed
//!   │ marts      dropped: the next nightly run rebuilds them without the person
//!   │ commit     each table without the person's rows, a version like any other
//!   │ delete     old data files that held them, files of killed loads, scratch
//!   │ log        file names and statistics in commits are redacted
//!   │ versions   of all of these, and others that hold them: a bucket of S3 may keep older versions
//!   ▼ journal    deleted, with its versions
//! left       files of others below the lake's address and in its inbox that hold the number
//! ```
//!
//! A person is the number or user id that was asked for, with all that `identities` links to it: see
//! [`mod@linked`]. A row belongs to the person that it names: see [`rows`]. No other process writes
//! meanwhile: on this machine if the lake is in a folder, on all machines if it is on a store. An
//! erasure that is killed is completed by the next erasure of that person, which finds nothing to do
//! if all was done. Old versions that did not hold the person stay readable, and undo can go back to
//! them.
//!
//! If another person's row names a session of the erased person, such as the one it was redirected
//! from, a random id replaces it, the same everywhere, so that the redirection remains.
//!
//! Aggregated counts of a vendor name nobody and stay. A file that is loaded is not loaded again, so
//! the person does not come back with it; another export that has them brings them back, unless they
//! are kept out ([`keep_out`](super::keep_out)).

mod candidates;
mod files;
mod journal;
mod linked;
mod log_entries;
mod number;
mod old_files;
mod records;
mod revision;
mod rows;
mod search;
mod target;
mod versions;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs;
use std::path::PathBuf;

use chrono::{TimeDelta, Utc};
use polars::prelude::*;
use wabalake_data::cells::phone::is_possible;
use wabalake_data::tables::{USER_ID, USER_PHONE};

pub use self::files::Unsearched;
use self::linked::linked;
use self::log_entries::log_entries;
use self::number::{MatchMode, Number};
use self::revision::Revision;
use self::rows::{is_of_person, lines};
use self::search::StoredTable;
use self::target::person_of;
use super::files::{entries, is_scratch, listed, modified, name};
use super::layout::stored_tables;
use super::log::file_key;
use super::{Lake, Layout, Lock};
use crate::config::Config;
use crate::error::{Context as _, Error, Result};
use crate::place::{Environment, Kept, Key, cache, cache_folder};

/// The options of an erasure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub struct Options {
    /// Reports what would be erased, and changes nothing.
    pub dry_run: bool,
    /// Erases a number of the business itself, with the rows of all people who name it.
    pub lines_too: bool,
    /// Keeps the person out of later loads as well: see [`keep_out`](super::keep_out).
    pub keep_out: bool,
    /// Matches `user_phone` exactly, even if it is no possible number; texts are not searched.
    pub exactly: bool,
}

/// What was erased, or would be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Erased {
    /// The number or user id that was asked for, and those that `identities` links to it.
    pub persons: BTreeSet<String>,
    /// The tables that held the person.
    pub tables: Vec<ErasedTable>,
    /// The number of people whose rows were erased.
    pub people: u64,
    /// Old data files and files of killed loads that held the person.
    pub old_files: u64,
    /// Commits that were redacted, and checkpoints that were deleted.
    pub log_entries: u64,
    /// Older versions of files that held the person, which the store kept.
    pub versions: u64,
    /// What the cloud may keep of deleted files for a while, in words.
    pub kept: Option<&'static str>,
    /// `true` if there were marts to drop.
    pub marts: bool,
    /// Rows of others that stay although an id of theirs contains the number.
    pub named: u64,
    /// Files of others in the lake's folder and inbox that hold the number. They are not deleted.
    pub left: Vec<PathBuf>,
    /// Files there that could not be searched.
    pub unsearched: Vec<Unsearched>,
}

impl Erased {
    /// Returns `true` if the person was found nowhere.
    pub fn is_nothing(&self) -> bool {
        let other = self.old_files + self.log_entries + self.versions;
        self.tables.is_empty() && other == 0
    }

    /// Erased rows, over all tables.
    pub fn rows(&self) -> u64 {
        self.tables.iter().map(|table| table.rows).sum()
    }

    /// Redacted rows of others, over all tables.
    pub fn redacted(&self) -> u64 {
        self.tables.iter().map(|table| table.redacted).sum()
    }
}

/// What was erased from one table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ErasedTable {
    /// Its name.
    pub table: &'static str,
    /// Erased rows.
    pub rows: u64,
    /// Rows of others that were redacted: their texts held the number, or they named a session of
    /// the person.
    pub redacted: u64,
    /// Its version now; `None` after a dry run.
    pub version: Option<u64>,
}

impl Lake {
    /// Erases the person with a number or user id, and what links of user ids lead to: see the
    /// [module](self).
    ///
    /// # Errors
    ///
    /// No number, or one that no numbering plan has; a number of the business itself; links in place of
    /// the lake's own files; files that cannot be read, written or deleted. Run a failed erasure again.
    pub fn erase(&self, phone: &str, options: Options) -> Result<Erased> {
        self.erase_once_agreed(phone, options, &mut |_| Ok(()))
    }

    /// Like [`Lake::erase`], after `agree` accepted what was found; its error stops the erasure. It is
    /// not called if there is nothing to erase, or in a dry run.
    ///
    /// # Errors
    ///
    /// As [`Lake::erase`].
    pub fn erase_once_agreed(
        &self,
        phone: &str,
        options: Options,
        agree: &mut dyn FnMut(&Erased) -> Result<()>,
    ) -> Result<Erased> {
        let phone = person_of(phone, options)?;
        let config = Config::of(self)?;
        self.refuse_links()?;
        // On a store, a dry run only reads.
        let alone = match self.place().as_folder() {
            None if options.dry_run => None,
            _ => Some(self.wait_alone()?),
        };
        let is_alone = alone.as_ref().is_some_and(Lock::holds);
        if !options.dry_run {
            self.settle_all()?;
        }
        let tables = self.searched_tables()?;
        let journal = self.journal()?;
        let (people, number) = match options.exactly {
            true => ([phone.clone()].into(), Number::exactly(&phone)),
            false => {
                let people = linked(&tables, &phone, journal.as_ref())?;
                let number = Number::of_all(&people);
                (people, number)
            }
        };
        if !options.lines_too {
            refuse_line(&tables, &number)?;
        }
        let interrupted = journal.is_some();
        let person = (phone, people);
        let target =
            self.find_person(&tables, person, number, options, journal.unwrap_or_default())?;

        // Before new files are staged: like old ones, they belong to no current version.
        let (mut old_files, mut known) = self.old_files(&tables, &target, is_alone)?;
        let mut erased = Erased { persons: target.people.clone(), ..Erased::default() };
        let mut revisions = Vec::new();
        let mut people = HashSet::new();
        let mut kept_bounds = HashMap::new();
        for stored in &tables {
            let (revision, found) = self.revise(stored, &target, options)?;
            erased.named += found.named;
            people.extend(found.people);
            kept_bounds.insert(stored.table.name, found.kept_bounds);
            if let Some(revision) = revision {
                erased.tables.push(revision.report.clone());
                revisions.push(revision);
            }
        }
        erased.people = people.len() as u64;
        // The files that the commits remove become old ones.
        for Revision { table, change, .. } in &revisions {
            let folder = Layout::from(*table).key();
            let removed = change.remove.iter().map(|path| file_key(&folder, path));
            old_files.extend(removed.collect::<Result<Vec<_>>>()?);
        }
        erased.old_files = old_files.len() as u64;
        let entries = log_entries(&tables, &target.number, &kept_bounds)?;
        erased.log_entries = entries.len() as u64;
        let versions = self.old_versions(&target)?;
        erased.versions = versions.holding.len() as u64;
        erased.marts = !erased.is_nothing() && self.has_marts()?;
        if target.is_exact && !is_possible(&target.phone) && !interrupted && erased.is_nothing() {
            return Err(Error::usage("no row has exactly that number")
                .hint("write it as `user_phone` has it"));
        }
        let proceed = !options.dry_run && (interrupted || !erased.is_nothing());
        if proceed {
            agree(&erased)?;
        }
        if options.keep_out && !options.dry_run {
            // Before anything is deleted, so that no load can bring the person back meanwhile.
            self.add_to_keep_out(&target.people, target.sessions.keys())?;
        }
        if proceed {
            self.write_journal(&target)?;
            self.drop_marts()?;
            for (revision, report) in revisions.into_iter().zip(&mut erased.tables) {
                known.extend(revision.change.add.iter().map(|file| file.key.clone()));
                report.version = self.commit_revision(revision, &target, options)?;
            }
            self.delete_files(&old_files)?;
            let mut changed: HashSet<Key> = old_files.into_iter().collect();
            for entry in entries {
                changed.extend(entry.files().iter().cloned());
                self.redact_log(entry)?;
            }
            self.delete_old_versions(&versions, &changed)?;
            self.forget_all();
            if is_alone {
                self.empty_scratch()?;
            }
            self.empty_cache()?;
            self.delete_journal()?;
        }
        let found = files::search(self, &config, &target, &known)?;
        (erased.left, erased.unsearched) = (found.holding, found.unsearched);
        match self.place().kept()? {
            Kept::Maybe(what) => erased.kept = Some(what),
            Kept::Unknown(status) => erased.unsearched.push(versions::unsearched(self, status)),
            Kept::Nothing | Kept::Versions { .. } => {}
        }
        Ok(erased)
    }

    /// Refuses links in place of the lake's own folders: nothing is deleted behind a link.
    fn refuse_links(&self) -> Result<()> {
        let Some(root) = self.place().as_folder() else { return Ok(()) };
        let of_tables = stored_tables().flat_map(|table| {
            let folder = self.folder(table);
            [folder.join("_delta_log"), folder]
        });
        let own = ["tables", "marts", ".wabalake"].map(|own| root.join(own));
        match own.into_iter().chain(of_tables).find(|path| path.is_symlink()) {
            None => Ok(()),
            Some(link) => {
                let link = link.strip_prefix(root).unwrap_or(&link).display().to_string();
                Err(Error::lake(format!(
                    "`{link}` is a link, and `erase` deletes nothing behind links"
                ))
                .hint("replace it with its target, or mount the target there, and run it again"))
            }
        }
    }

    /// Forgets what was read of all tables.
    fn forget_all(&self) {
        if let Ok(mut known) = self.known.lock() {
            known.clear();
        }
        if let Ok(mut logs) = self.logs.lock() {
            logs.clear();
        }
    }

    /// Deletes temporary files of killed commands: those in the lake's folder; for a lake on a store, old
    /// ones of this machine.
    fn empty_scratch(&self) -> Result<()> {
        if self.place().as_folder().is_none() {
            return delete_old_scratch();
        }
        for entry in entries(&self.internal_folder("scratch"))? {
            if entry.is_symlink() {
                continue;
            }
            // This deletes links, not their targets.
            let gone =
                if entry.is_dir() { fs::remove_dir_all(&entry) } else { fs::remove_file(&entry) };
            gone.context(|| format!("deleting `{}`", entry.display()))?;
        }
        Ok(())
    }

    /// Empties the cache of this machine: it has copies of files that held the person.
    fn empty_cache(&self) -> Result<()> {
        match self.place().cache() {
            Some(cache) => cache::clear(cache.root()),
            None => Ok(()),
        }
    }
}

/// Deletes temporary folders of this machine that were left behind more than a day ago. Commands on other
/// lakes may use newer ones.
fn delete_old_scratch() -> Result<()> {
    let Some(cache) = cache_folder(&Environment::of_process()) else { return Ok(()) };
    let until = Utc::now() - TimeDelta::days(1);
    for (folder, kind) in listed(&cache.join("scratch"))? {
        if kind.is_dir() && is_scratch(&name(&folder)) && modified(&folder)? < until {
            fs::remove_dir_all(&folder).context(|| format!("deleting `{}`", folder.display()))?;
        }
    }
    Ok(())
}

/// Refuses a number that rows of other people name as a line of the business.
fn refuse_line(tables: &[StoredTable], number: &Number) -> Result<()> {
    for (table, line) in lines() {
        let known = table.stored();
        for stored in tables.iter().filter(|stored| stored.table.name == table.name) {
            stored.each_file(|_, scan| {
                let is_line =
                    |line: &str| number.is(line) || number.is_in(line, MatchMode::Contiguous);
                // A file has few lines, so their people are seldom read.
                let lines = scan.clone().select([col(line).unique()]).collect()?;
                if !lines.column(line)?.str()?.iter().flatten().any(is_line) {
                    return Ok(());
                }
                let wanted =
                    [line, USER_PHONE, USER_ID].into_iter().filter(|name| known.contains(name));
                let wanted: Vec<Expr> = wanted.map(col).collect();
                let rows = scan.select(wanted).collect()?;
                let lines = rows.column(line)?.str()?.iter().zip(is_of_person(&rows, number)?);
                let mut of_others = lines.filter(|(_, theirs)| *theirs != Some(true));
                if of_others.any(|(line, _)| line.is_some_and(is_line)) {
                    return Err(Error::lake(format!(
                        "that number is a line of the business: it is in `{line}` of `{}`",
                        table.name
                    ))
                    .hint(
                        "a line is not a person; to erase all rows that name it, whoever wrote \
                         them, add `--lines-too`",
                    ));
                }
                Ok(())
            })?;
        }
    }
    Ok(())
}
