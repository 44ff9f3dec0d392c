//! Takes a person out of a lake, so that no row of theirs is in it any more, nor their number in
//! what others wrote.
//!
//! ```text
//! look       every file, of this version and of old ones: the person's sessions, then their rows
//! agree      what would go is told; nothing is deleted before that
//!   │ journal    .wabalake/erasing: the sessions, so that a killed erasure can be gone on with
//!   │ marts      dropped: the next night makes them anew, from rows without the person
//!   │ commit     each table without the person's rows, a version like any other
//!   │ delete     files of old versions that held them, files of killed loads, scratch
//!   ▼ log        what commits say of files: names and bounds
//! left       files that others keep in the lake's folder and in its inbox and that hold the number
//! ```
//!
//! Only the person that a row names decides whose it is: see [`rows`]. Nobody else on this machine
//! writes meanwhile. Whatever is killed in between is done by the next erasure of that person, which
//! finds nothing to do where all is done. Old versions that did not hold the person stay, and can be
//! read and gone back to.
//!
//! Where another's row names a session of the person, as what it was redirected from, a random name
//! stands in, the same one everywhere: a redirection stays one.
//!
//! What no longer names anybody stays: counts that a vendor added up. A file that is loaded is not
//! loaded again, so the person does not come back with it; with another export that still has them
//! they do, unless they are kept out ([`keep_out`](super::keep_out)).

mod files;
mod number;
mod records;
mod rows;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use polars::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use wabalake_data::Table;
use wabalake_data::cells::phone::{dialling_code, full_number, is_possible, is_user_id};
use wabalake_data::tables::{UTC_DAY, sessions};

pub use self::files::Unsearched;
use self::files::holds_number;
use self::number::{Look, Number};
use self::records::Judge;
use self::rows::{Roles, SESSION_ID, Sought, USER_PHONE, When, lines, theirs};
use super::layout::{Layout, layouts};
use super::log::Action;
use super::marts::MART_DAY;
use super::rejects::{self, REJECTS};
use super::vacuum::{entries, is_data_file, is_log_leftover};
use super::{Change, Commit, Lake, Lock, Operation, Snapshot, Staging, damage, lock};
use crate::config::Config;
use crate::error::{Context as _, Error, Result};
use crate::files::{Access, write_synced};

/// How to erase.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub struct Options {
    /// Only tell.
    pub dry_run: bool,
    /// Also a number that the business itself writes from: rows of other people go with it.
    pub lines_too: bool,
    /// Keep the person out of later loads as well: see [`keep_out`](super::keep_out).
    pub keep_out: bool,
    /// Rows with exactly this `user_phone`, be it no possible number; no text is searched for it.
    pub exactly: bool,
}

/// What was erased, or would be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Erased {
    /// The tables that the person was in.
    pub tables: Vec<ErasedTable>,
    /// How many people's rows these are.
    pub people: u64,
    /// Files of old versions and of killed loads that held the person.
    pub old_files: u64,
    /// Commits of which a file's name or bounds were struck out, and checkpoints that were deleted.
    pub log_entries: u64,
    /// Whether there were marts to drop.
    pub marts: bool,
    /// Rows of others that keep a name of their own, such as an id, that holds the number.
    pub named: u64,
    /// Files of others in the lake's folder and its inbox that hold the number: they are left.
    pub left: Vec<PathBuf>,
    /// Files there that could not be searched.
    pub unsearched: Vec<Unsearched>,
}

impl Erased {
    /// Whether the person was nowhere.
    pub fn is_nothing(&self) -> bool {
        self.tables.is_empty() && self.old_files == 0 && self.log_entries == 0
    }

    /// Rows that are gone, over all tables.
    pub fn rows(&self) -> u64 {
        self.tables.iter().map(|table| table.rows).sum()
    }

    /// Rows of others in which something was struck out, over all tables.
    pub fn struck(&self) -> u64 {
        self.tables.iter().map(|table| table.struck).sum()
    }
}

/// What was erased from one table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ErasedTable {
    /// Its name.
    pub table: &'static str,
    /// Rows that are gone.
    pub rows: u64,
    /// Rows of others in whose texts the number was struck out, or that named a session of the
    /// person.
    pub struck: u64,
    /// Its version now; none if it was only looked at.
    pub version: Option<u64>,
}

/// How often a table is looked at again because another machine changed it.
const TRIES: usize = 100;

impl Lake {
    /// Erases the person with a number: see the module.
    ///
    /// # Errors
    ///
    /// No number, or one that is nobody's by any numbering plan; a number of the business's own;
    /// links where the lake's own files should be; files that cannot be read, written or deleted. An
    /// erasure that fails is to be run again.
    pub fn erase(&self, phone: &str, options: Options) -> Result<Erased> {
        self.erase_once_agreed(phone, options, &mut |_| Ok(()))
    }

    /// The same once somebody agreed to what would be erased, whose error stops it. Nobody is asked
    /// where there is nothing to erase, or where it is only told.
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
        let (phone, number) = number_of(phone, options)?;
        let config = Config::of(self.root())?;
        self.refuse_links()?;
        let alone = lock::wait(&self.writing_lock())?;
        if !options.lines_too {
            self.refuse_line(&number)?;
        }
        let journal = self.journal()?;
        let interrupted = journal.is_some();
        let sought = self.sought(phone, number, options, journal.unwrap_or_default())?;

        // Before anything is staged: what is new is of no version yet, as what is old.
        let (mut old_files, mut known) = self.old_files(&sought, &alone)?;
        let mut erased = Erased::default();
        let mut revisions = Vec::new();
        let mut people = HashSet::new();
        let mut kept_bounds = HashMap::new();
        for layout in layouts() {
            let look = self.revise(layout, &sought, options)?;
            erased.named += look.named;
            people.extend(look.people);
            kept_bounds.insert(layout.name(), look.kept_bounds);
            if let Some(revision) = look.revision {
                erased.tables.push(revision.told.clone());
                revisions.push(revision);
            }
        }
        erased.people = people.len() as u64;
        // Those of this version become old ones.
        for Revision { snapshot, change, .. } in &revisions {
            old_files.extend(change.remove.iter().map(|path| snapshot.folder.join(path)));
        }
        erased.old_files = old_files.len() as u64;
        let entries = self.log_entries(&sought.number, &kept_bounds)?;
        erased.log_entries = entries.len() as u64;
        erased.marts = self.marts().is_dir() && !erased.is_nothing();
        if sought.is_exact && !is_possible(&sought.phone) && !interrupted && erased.is_nothing() {
            return Err(Error::usage("no row has exactly that number")
                .hint("write it as `user_phone` has it"));
        }
        let is_to_be_done = !options.dry_run && (interrupted || !erased.is_nothing());
        if is_to_be_done {
            agree(&erased)?;
        }
        if options.keep_out && !options.dry_run {
            // Before anything is deleted: who is gone must not be able to come back.
            self.add_to_keep_out(Some(&sought.phone), sought.sessions.keys())?;
        }
        if is_to_be_done {
            self.write_journal(&sought)?;
            self.drop_marts()?;
            for (revision, told) in revisions.into_iter().zip(&mut erased.tables) {
                known.extend(revision.change.add.iter().map(|file| file.place.clone()));
                told.version = self.commit_revision(revision, &sought, options)?;
            }
            for file in &old_files {
                delete(file)?;
            }
            for entry in entries {
                entry.mend()?;
            }
            self.forget();
            if alone.holds() {
                self.empty_scratch()?;
            }
            delete(&self.journal_file())?;
        }
        let found = files::search(self, &config, &sought, &known)?;
        (erased.left, erased.unsearched) = (found.holding, found.unsearched);
        Ok(erased)
    }

    /// Removes every mart: they are made of rows, and made anew by the next night. Files that are
    /// no mart's stay.
    ///
    /// # Errors
    ///
    /// A folder that cannot be moved or deleted; a link on the way to a mart, or a file of others in
    /// its log, which are named.
    pub fn drop_marts(&self) -> Result<()> {
        let marts = entries(&self.marts())?;
        if marts.is_empty() {
            return Ok(());
        }
        let gone = self.own_folder("scratch").join(format!("marts-{}", uuid::Uuid::new_v4()));
        fs::create_dir_all(&gone).context(|| format!("making `{}`", gone.display()))?;
        for (number, mart) in marts.iter().enumerate().filter(|(_, mart)| is_folder(mart)) {
            self.drop_table(mart, MART_DAY, &gone.join(number.to_string()))?;
        }
        // This fails, as it should, while there are files of others.
        let _ = fs::remove_dir(self.marts());
        fs::remove_dir_all(&gone).context(|| format!("deleting `{}`", gone.display()))
    }

    fn marts(&self) -> PathBuf {
        self.root().join("marts")
    }

    /// What is deleted must be the lake's own: nothing is deleted behind a link.
    fn refuse_links(&self) -> Result<()> {
        let of_tables = layouts().flat_map(|layout| {
            let folder = self.folder(layout);
            [folder.join("_delta_log"), folder]
        });
        let own = [self.root().join("tables"), self.marts(), self.root().join(".wabalake")];
        match own.into_iter().chain(of_tables).find(|path| path.is_symlink()) {
            None => Ok(()),
            Some(link) => {
                let link = link.strip_prefix(self.root()).unwrap_or(&link).display().to_string();
                Err(Error::lake(format!(
                    "`{link}` is a link, and erasing deletes nothing behind links"
                ))
                .hint("move what it leads to into its place, or mount it there, and run it again"))
            }
        }
    }

    /// A number that stands as a line in rows of others is the business's own.
    fn refuse_line(&self, number: &Number) -> Result<()> {
        for (table, line) in lines() {
            let snapshot = self.snapshot(table)?;
            let known = table.stored();
            for file in &snapshot.files {
                let wanted = [line, USER_PHONE].into_iter().filter(|name| known.contains(name));
                let wanted: Vec<Expr> = wanted.map(col).collect();
                let rows = snapshot.scan_files(&[file])?.select(wanted).collect()?;
                let lines = rows.column(line)?.str()?.iter().zip(theirs(&rows, number)?);
                let is_line = |line: &str| number.is(line) || number.is_in(line, Look::Tight);
                let mut of_others = lines.filter(|(_, theirs)| *theirs != Some(true));
                if of_others.any(|(line, _)| line.is_some_and(is_line)) {
                    return Err(Error::lake(format!(
                        "that number is a line of the business: it stands in `{line}` of `{}`",
                        table.name
                    ))
                    .hint(
                        "a line is not a person; to erase all rows that name it, whoever wrote \
                         them, add `--lines-too`",
                    ));
                }
            }
        }
        Ok(())
    }

    /// Who is sought, with their sessions.
    fn sought(
        &self,
        phone: String,
        number: Number,
        options: Options,
        journal: Journal,
    ) -> Result<Sought> {
        let home = Config::of(self.root())?.default_country.and_then(dialling_code);
        let asked = self.sessions_of_rejects(home.as_deref())?;
        let is_theirs = |person: Option<&str>| person.is_some_and(|phone| number.is_person(phone));
        // Sessions that rows of theirs say are their own, and those that other rows of theirs name.
        let (mut own, mut named, mut once) = (HashSet::new(), HashSet::new(), HashSet::new());
        for table in tables_of_sessions() {
            let is_sessions = *table == sessions::TABLE;
            let snapshot = self.snapshot(table)?;
            for file in &snapshot.files {
                let into = if is_sessions { &mut own } else { &mut named };
                each_session(snapshot.scan_files(&[file])?, |session, person| {
                    if is_theirs(person) {
                        into.insert(session.to_owned());
                    }
                })?;
            }
            let into = if is_sessions { &mut own } else { &mut once };
            for file in self.replaced_files(table)? {
                if let Ok(scan) = scan(&file) {
                    // What cannot be read is of no version.
                    let _ = each_session(scan, |session, person| {
                        if is_theirs(person) {
                            into.insert(session.to_owned());
                        }
                    });
                }
            }
        }
        own.extend(journal.sessions.keys().cloned());
        once.extend(journal.once);

        let (mut of_others, mut claimed) = (HashSet::new(), HashSet::new());
        for table in tables_of_sessions() {
            let is_sessions = *table == sessions::TABLE;
            let wanted = |session: &str| {
                named.contains(session)
                    || is_sessions && [&own, &once, &asked].iter().any(|of| of.contains(session))
            };
            let into = if is_sessions { &mut of_others } else { &mut claimed };
            let is_another = |person: Option<&str>| person.is_some() && !is_theirs(person);
            let snapshot = self.snapshot(table)?;
            for file in &snapshot.files {
                each_session(snapshot.scan_files(&[file])?, |session, person| {
                    if is_another(person) && wanted(session) {
                        into.insert(session.to_owned());
                    }
                })?;
            }
            for file in self.replaced_files(table)?.iter().filter(|_| is_sessions) {
                if let Ok(scan) = scan(file) {
                    let _ = each_session(scan, |session, person| {
                        if is_another(person) && named.contains(session) {
                            claimed.insert(session.to_owned());
                        }
                    });
                }
            }
        }
        // A session is the person's whose it is now; of two who only name one, it is nobody's.
        own.retain(|session| !of_others.contains(session));
        named.retain(|session| !of_others.contains(session) && !claimed.contains(session));
        once.retain(|session| !of_others.contains(session));
        let mut sessions = journal.sessions;
        sessions.retain(|session, _| own.contains(session));
        for session in own.into_iter().chain(named) {
            sessions.entry(session).or_insert_with(|| uuid::Uuid::new_v4().to_string());
        }
        Ok(Sought {
            phone,
            number,
            home,
            is_exact: options.exactly,
            lines_too: options.lines_too,
            sessions: sessions.into_iter().collect(),
            once,
            sessions_of_others: of_others,
        })
    }

    /// The sessions that rejected records name that name nobody.
    fn sessions_of_rejects(&self, home: Option<&str>) -> Result<HashSet<String>> {
        let mut named = HashSet::new();
        let snapshot = self.snapshot(&REJECTS)?;
        let mut judge = Judge::at_home(home);
        for file in &snapshot.files {
            let wanted = [rejects::KIND, rejects::HEADER, rejects::DELIMITER, rejects::RAW];
            let rows = snapshot.scan_files(&[file])?.select(wanted.map(col)).collect()?;
            let [kinds, headers, delimiters, records] = wanted.map(|name| rows.column(name));
            let (kinds, headers) = (kinds?.str()?, headers?.str()?);
            let (delimiters, records) = (delimiters?.str()?, records?.str()?);
            for (row, raw) in records.iter().enumerate() {
                let Some(raw) = raw else { continue };
                let of = [kinds, headers, delimiters].map(|of| of.get(row).unwrap_or_default());
                named.extend(judge.read(of, raw).session().map(str::to_owned));
            }
        }
        Ok(named)
    }

    /// What makes a table one without the person; no revision if it is.
    fn revise(
        &self,
        layout: &'static dyn Layout,
        sought: &Sought,
        options: Options,
    ) -> Result<Looked> {
        let snapshot = self.snapshot(layout)?;
        // Everybody else is kept out, so nobody needs to be.
        let staging = Staging::new(layout, self.folder(layout), None);
        let roles = Roles::of(layout);
        let mut told = ErasedTable { table: layout.name(), ..ErasedTable::default() };
        let (mut remove, mut add) = (Vec::new(), Vec::new());
        let (mut people, mut named, mut kept_bounds) = (HashSet::new(), 0, HashSet::new());
        for file in &snapshot.files {
            let looked_at =
                roles.strike(texts(snapshot.scan_files(&[file])?)?, sought, When::Now)?;
            named += looked_at.named;
            if looked_at.is_as_before() {
                if sought.number.is_bound_of(file) {
                    kept_bounds.insert(file.path.clone());
                }
                continue;
            }
            let rows = snapshot.scan_files(&[file])?.collect()?.drop(UTC_DAY)?;
            let struck = roles.strike(rows, sought, When::Now)?;
            told.rows += struck.gone;
            told.struck += struck.changed;
            people.extend(struck.people);
            remove.push(file.path.clone());
            if struck.rows.height() > 0 && !options.dry_run {
                add.push(staging.write(file.day, struck.rows)?);
            }
        }
        if !remove.is_empty() {
            snapshot.check_replaceable()?;
        }
        let change = Change {
            operation: Operation::Erase,
            transactions: Vec::new(),
            remove,
            add,
            info: Map::new(),
            data_change: true,
        };
        let found = told.rows + told.struck > 0;
        let revision =
            found.then_some(Revision { layout, snapshot, change, told, _staging: staging });
        Ok(Looked { revision, people, named, kept_bounds })
    }

    fn commit_revision(
        &self,
        revision: Revision,
        sought: &Sought,
        options: Options,
    ) -> Result<Option<u64>> {
        let mut next = revision;
        for _ in 0..TRIES {
            let Revision { layout, snapshot, change, _staging, .. } = next;
            if let Commit::Done(version) = self.commit(layout, &snapshot, change)? {
                return Ok(Some(version));
            }
            match self.revise(layout, sought, options)?.revision {
                Some(revision) => next = revision,
                None => return Ok(snapshot.version),
            }
        }
        Err(Error::lake("the lake was changed by others too often while erasing")
            .hint("run the same command again: it goes on where this one stopped"))
    }

    /// Data files that are not of the newest version: those that the log knows, and those that are
    /// called as ours.
    fn replaced_files(&self, layout: &'static dyn Layout) -> Result<Vec<PathBuf>> {
        let snapshot = self.snapshot(layout)?;
        let current: HashSet<PathBuf> =
            snapshot.files.iter().map(|file| snapshot.place(file)).collect();
        let log = self.log(layout);
        let mut logged = HashSet::new();
        for version in log.versions()? {
            logged.extend(log.actions(version)?.into_iter().filter_map(|action| match action {
                Action::Add(add) => Some(snapshot.folder.join(add.path)),
                Action::Remove(remove) => Some(snapshot.folder.join(remove.path)),
                _ => None,
            }));
        }
        let mut files = Vec::new();
        for folder in entries(&snapshot.folder)? {
            if is_folder(&folder) && !name_of(&folder).starts_with(['_', '.']) {
                files.extend(entries(&folder)?.into_iter().filter(|file| is_file(file)));
            }
        }
        files.retain(|file| {
            !current.contains(file) && (is_data_file(&name_of(file)) || logged.contains(file))
        });
        Ok(files)
    }

    /// Those of them that hold the person, and those that no load finished; then all data files.
    fn old_files(&self, sought: &Sought, alone: &Lock) -> Result<(Vec<PathBuf>, HashSet<PathBuf>)> {
        let (mut holding, mut known) = (Vec::new(), HashSet::new());
        for layout in layouts() {
            let roles = Roles::of(layout);
            let snapshot = self.snapshot(layout)?;
            known.extend(snapshot.files.iter().map(|file| snapshot.place(file)));
            for file in self.replaced_files(layout)? {
                let holds = match read(&file) {
                    Ok(rows) => !roles.strike(rows, sought, When::Once)?.is_as_before(),
                    // Without locks it may be one that is being written.
                    Err(_) => alone.holds() || is_older_than_a_day(&file),
                };
                known.insert(file.clone());
                if holds {
                    holding.push(file);
                }
            }
            for file in entries(&self.folder(layout).join("_delta_log"))? {
                let begun = is_file(&file) && is_log_leftover(&name_of(&file));
                if begun && alone.holds() && holds_number(&file, sought)? {
                    holding.push(file);
                }
            }
        }
        Ok((holding, known))
    }

    /// What the logs say that holds the number.
    fn log_entries(
        &self,
        number: &Number,
        kept_bounds: &HashMap<&str, HashSet<String>>,
    ) -> Result<Vec<LogEntry>> {
        let mut found = Vec::new();
        for layout in layouts() {
            let log = self.log(layout);
            let none = HashSet::new();
            let kept = kept_bounds.get(layout.name()).unwrap_or(&none);
            let versions = log.versions()?;
            for version in &versions {
                let file = log.commit_file(*version);
                let text = fs::read_to_string(&file).context(|| reading(&file))?;
                if let Some(struck) = without_number(&text, number, kept) {
                    let struck = damage::sealed(struck.into_bytes(), *version);
                    found.push(LogEntry::Commit { file, struck });
                }
            }
            for (version, parts) in log.checkpoints()? {
                let mut holds = false;
                // Where bounds are kept, a checkpoint says no more than them.
                for part in parts.iter().filter(|_| kept.is_empty()) {
                    holds |= number.is_in(&log.checkpoint_text(part, version)?, Look::Tight);
                }
                // Commits say the same, if all of them are there.
                let whole = (0..=version).all(|version| versions.binary_search(&version).is_ok());
                if holds && whole {
                    let beside = [log.last_checkpoint(), log.checkpoint_hashes(version)];
                    found.push(LogEntry::Checkpoint { parts, beside });
                }
            }
        }
        Ok(found)
    }

    /// Makes the next snapshot go by what the logs say now.
    fn forget(&self) {
        if let Ok(mut known) = self.known.lock() {
            known.clear();
        }
    }

    fn empty_scratch(&self) -> Result<()> {
        for entry in entries(&self.own_folder("scratch"))? {
            if entry.is_symlink() {
                continue;
            }
            // Links in it are deleted, not what they lead to.
            let gone =
                if entry.is_dir() { fs::remove_dir_all(&entry) } else { fs::remove_file(&entry) };
            gone.context(|| format!("deleting `{}`", entry.display()))?;
        }
        Ok(())
    }

    fn journal_file(&self) -> PathBuf {
        self.own_folder("erasing")
    }

    /// The sessions that an erasure was killed over.
    fn journal(&self) -> Result<Option<Journal>> {
        let file = self.journal_file();
        match fs::read(&file) {
            Ok(bytes) => Journal::read(&bytes).map(Some).map_err(|error| {
                Error::lake(format!("{}: {error}", reading(&file)))
                    .hint("delete it and run the same command again")
            }),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).context(|| reading(&file)),
        }
    }

    fn write_journal(&self, sought: &Sought) -> Result<()> {
        let sessions = sought.sessions.iter().map(|(id, other)| (id.clone(), other.clone()));
        let journal =
            Journal { sessions: sessions.collect(), once: sought.once.iter().cloned().collect() };
        let text = serde_json::to_vec(&journal)
            .map_err(|error| Error::bug(format!("the journal: {error}")))?;
        write_synced(&self.journal_file(), Access::Usual, &text)
    }
}

/// The sessions that are being erased, for the one who goes on after a kill: by then no row may say
/// whose they were.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Journal {
    /// Each with the name that stands in for it.
    sessions: BTreeMap<String, String>,
    /// Those of old versions only.
    once: BTreeSet<String>,
}

impl Journal {
    /// Version 0.1.0 wrote the sessions alone.
    fn read(bytes: &[u8]) -> serde_json::Result<Self> {
        if let Ok(sessions) = serde_json::from_slice::<Vec<String>>(bytes) {
            let stand_in = |session| (session, uuid::Uuid::new_v4().to_string());
            return Ok(Self {
                sessions: sessions.into_iter().map(stand_in).collect(),
                ..Self::default()
            });
        }
        serde_json::from_slice(bytes)
    }
}

/// What is searched for: a person's number in its normal form and its spellings; of an exact one
/// nothing but itself.
fn number_of(phone: &str, options: Options) -> Result<(String, Number)> {
    const IN_FULL: &str = "write it in full, with the country's code: --phone +12025550143";
    if options.exactly {
        // A lake of before may hold what is no number at all.
        let is_mark = |c: char| "+-() ".contains(c);
        let is_number = phone.chars().all(|c| c.is_ascii_digit() || is_mark(c));
        let phone = phone.trim().replace(|c| is_number && is_mark(c), "");
        if phone.is_empty() {
            return Err(Error::usage("that is no number").hint(IN_FULL));
        }
        let number = Number::exactly(&phone);
        return Ok((phone, number));
    }
    let phone = full_number(phone);
    let phone = phone.ok_or_else(|| Error::usage("that is no phone number").hint(IN_FULL))?;
    if !is_user_id(&phone) && !is_possible(&phone) {
        return Err(Error::usage("that is no possible phone number of any country").hint(format!(
            "{IN_FULL}; to erase the rows whose `user_phone` is exactly that, add `--exactly`"
        )));
    }
    let number = Number::of(&phone);
    Ok((phone, number))
}

/// The tables whose rows may name a person and a session.
fn tables_of_sessions() -> impl Iterator<Item = &'static Table> {
    let both = |table: &&'static Table| {
        [SESSION_ID, USER_PHONE].iter().all(|name| table.position(name).is_some())
    };
    wabalake_data::TABLES.iter().copied().filter(both)
}

/// Hands on each session that rows name, with the person that they name.
fn each_session(scan: LazyFrame, mut take: impl FnMut(&str, Option<&str>)) -> Result<()> {
    let rows = scan.select([col(SESSION_ID), col(USER_PHONE)]).collect()?;
    let people = rows.column(USER_PHONE)?.str()?.iter();
    for (session, person) in rows.column(SESSION_ID)?.str()?.iter().zip(people) {
        if let Some(session) = session {
            take(session, person.filter(|person| !person.is_empty()));
        }
    }
    Ok(())
}

/// What was found in a table.
struct Looked {
    /// None where nothing is to change.
    revision: Option<Revision>,
    /// Hashes of the people whose rows go.
    people: HashSet<i64>,
    /// Rows of others that keep a name that holds the number.
    named: u64,
    /// Files that stay and have the number in their bounds: it is a name of another's row.
    kept_bounds: HashSet<String>,
}

/// A table's rows without the person, ready to be committed.
struct Revision {
    layout: &'static dyn Layout,
    snapshot: Snapshot,
    change: Change,
    told: ErasedTable,
    /// Its files are deleted with it, unless they were committed.
    _staging: Staging,
}

/// Something in a log that holds the number.
enum LogEntry {
    /// A commit, and what it is without.
    Commit { file: PathBuf, struck: Vec<u8> },
    /// A checkpoint and what belongs to it: commits hold what it holds.
    Checkpoint { parts: Vec<PathBuf>, beside: [PathBuf; 2] },
}

impl LogEntry {
    fn mend(&self) -> Result<()> {
        match self {
            Self::Commit { file, struck } => write_synced(file, Access::Usual, struck),
            Self::Checkpoint { parts, beside } => {
                beside.iter().chain(parts).try_for_each(|file| delete(file))
            }
        }
    }
}

/// A commit's lines without the number, if they have it: in what it says of itself, and in bounds
/// of files, but of those that keep them. Paths and ids are made by wabalake, and are nobody's.
fn without_number(commit: &str, number: &Number, kept: &HashSet<String>) -> Option<String> {
    const IDS: [&str; 6] =
        ["load_id", "file_id", "undoes", "txnId", "wabalake", damage::COMMIT_HASH];
    fn strike(value: &mut Value, number: &Number, look: Look) -> bool {
        match value {
            Value::String(text) => match number.strike(text, look) {
                Some(struck) => {
                    *text = struck;
                    true
                }
                None => false,
            },
            Value::Array(values) => {
                values.iter_mut().fold(false, |any, value| strike(value, number, look) | any)
            }
            Value::Object(members) => {
                let members = members.iter_mut().filter(|(name, _)| !IDS.contains(&name.as_str()));
                members.fold(false, |any, (_, value)| strike(value, number, look) | any)
            }
            _ => false,
        }
    }
    if !commit.lines().any(|line| number.is_in(line, Look::Loose)) {
        return None;
    }
    let mut any = false;
    let mut lines = String::with_capacity(commit.len());
    for line in commit.lines() {
        let mut revised = None;
        if let Ok(mut action) = serde_json::from_str::<Value>(line) {
            let mut struck = false;
            if let Some(info) = action.get_mut("commitInfo") {
                struck |= strike(info, number, Look::Loose);
            }
            let is_kept = |add: &Value| {
                add.get("path").and_then(Value::as_str).is_some_and(|path| kept.contains(path))
            };
            let add = action.get_mut("add").filter(|add| !is_kept(add));
            if let Some(bounds) = add.and_then(|add| add.get_mut("stats")) {
                struck |= strike(bounds, number, Look::Tight);
            }
            revised = struck.then(|| action.to_string());
        }
        any |= revised.is_some();
        lines.push_str(revised.as_deref().unwrap_or(line));
        lines.push('\n');
    }
    any.then_some(lines)
}

/// The columns of a plan that say something of a person.
fn texts(scan: LazyFrame) -> Result<DataFrame> {
    let mut scan = scan;
    let schema = scan.collect_schema()?;
    let wanted = schema.iter().filter(|(_, of)| **of == DataType::String);
    let wanted: Vec<Expr> = wanted.map(|(name, _)| col(name.clone())).collect();
    Ok(scan.select(wanted).collect()?)
}

/// The same of a file that the newest version does not have.
fn read(file: &Path) -> Result<DataFrame> {
    texts(scan(file)?)
}

fn scan(file: &Path) -> Result<LazyFrame> {
    let path = PlRefPath::try_from_path(file)?;
    let options = ScanArgsParquet {
        glob: false,
        hive_options: HiveOptions::new_disabled(),
        ..Default::default()
    };
    Ok(LazyFrame::scan_parquet(path, options)?)
}

/// Whether it is a folder, and no link to one.
fn is_folder(path: &Path) -> bool {
    path.is_dir() && !path.is_symlink()
}

/// Whether it is a file, and no link to one.
fn is_file(path: &Path) -> bool {
    path.is_file() && !path.is_symlink()
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn is_older_than_a_day(file: &Path) -> bool {
    let modified = fs::metadata(file).and_then(|file| file.modified());
    let age = modified.map(|at| SystemTime::now().duration_since(at).unwrap_or_default());
    age.is_ok_and(|age| age > Duration::from_hours(24))
}

fn delete(file: &Path) -> Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        deleted => deleted.context(|| format!("deleting `{}`", file.display())),
    }
}

fn reading(file: &Path) -> String {
    format!("reading `{}`", file.display())
}
