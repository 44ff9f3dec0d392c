//! Takes a person out of a lake, so that no byte of it holds their number any more.
//!
//! ```text
//! look       every file, of this version and of old ones: the person's sessions, then their rows
//!   │ journal    .wabalake/erasing: the sessions, so that a killed erasure can be gone on with
//!   │ marts      dropped: the next night makes them anew, from rows without the person
//!   │ commit     each table without the person's rows, a version like any other
//!   │ delete     files of old versions that held them, files of killed loads, scratch
//!   ▼ log        what commits say of files: names and bounds
//! left       files in the lake's folder that others wrote and that hold the number
//! ```
//!
//! Nobody else on this machine writes meanwhile. Whatever is killed in between is done by the next
//! erasure of that person, which finds nothing to do where all is done. Old versions that did not
//! hold the person stay, and can be read and gone back to.
//!
//! What no longer names anybody stays: counts that a vendor added up. A file that is loaded is not
//! loaded again, so the person does not come back with it; with another export that still has them
//! they do.

mod number;
mod rows;

use std::collections::HashSet;
use std::fs;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use polars::prelude::*;
use serde_json::{Map, Value, json};
use wabalake_data::cells::phone::full_number;
use wabalake_data::tables::{USER_PHONE_VALID, UTC_DAY, sessions};

use self::number::{Look, Number};
use self::rows::{LINES, Roles, SESSION_ID, Sought, USER_PHONE, theirs};
use super::layout::{Layout, layouts};
use super::vacuum::{entries, files_below};
use super::{Change, Commit, Lake, Lock, Operation, Snapshot, Staging, damage, lock};
use crate::error::{Context as _, Error, Result};

/// How to erase.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Only tell.
    pub dry_run: bool,
    /// Also a number that the business itself writes from: rows of other people go with it.
    pub lines_too: bool,
}

/// What was erased, or would be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Erased {
    /// The tables that the person was in.
    pub tables: Vec<ErasedTable>,
    /// Files of old versions and of killed loads that held the person.
    pub old_files: u64,
    /// Commits of which a file's name or bounds were struck out, and checkpoints that were deleted.
    pub log_entries: u64,
    /// Whether there were marts to drop.
    pub marts: bool,
    /// Files below the lake's folder that others wrote and that hold the number: they are left.
    pub left: Vec<PathBuf>,
}

impl Erased {
    /// Whether the person was nowhere.
    pub fn is_nothing(&self) -> bool {
        self.tables.is_empty() && self.old_files == 0 && self.log_entries == 0
    }
}

/// What was erased from one table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ErasedTable {
    /// Its name.
    pub table: &'static str,
    /// Rows that are gone.
    pub rows: u64,
    /// Rows of others in whose texts the number was struck out.
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
    /// No number; a number of the business's own; files that cannot be read, written or deleted. An
    /// erasure that fails is to be run again.
    pub fn erase(&self, phone: &str, options: Options) -> Result<Erased> {
        let phone = full_number(phone).filter(|phone| phone.bytes().all(|b| b.is_ascii_digit()));
        let phone = phone.ok_or_else(|| {
            Error::usage("that is no phone number")
                .hint("write it in full, with the country's code: --phone +12025550143")
        })?;
        let number = Number::of(&phone);
        let alone = lock::wait(&self.writing_lock())?;
        if !options.lines_too {
            self.refuse_line(&number)?;
        }
        let journal = self.journal()?;
        let interrupted = journal.is_some();
        let mut sessions = journal.unwrap_or_default();
        sessions.extend(self.sessions_of(&number)?);
        let sought = Sought { number, sessions };

        let mut erased = Erased::default();
        let mut revisions = Vec::new();
        for layout in layouts() {
            if let Some(revision) = self.revise(layout, &sought, options)? {
                erased.tables.push(revision.told.clone());
                revisions.push(revision);
            }
        }
        let mut old_files = self.old_files(&sought, &alone)?;
        // Those of this version become old ones.
        for Revision { snapshot, change, .. } in &revisions {
            old_files.extend(change.remove.iter().map(|path| snapshot.folder.join(path)));
        }
        erased.old_files = old_files.len() as u64;
        let entries = self.log_entries(&sought.number)?;
        erased.log_entries = entries.len() as u64;
        erased.marts = self.marts().is_dir() && !erased.is_nothing();
        if !options.dry_run && (interrupted || !erased.is_nothing()) {
            self.write_journal(&sought.sessions)?;
            self.drop_marts()?;
            for (revision, told) in revisions.into_iter().zip(&mut erased.tables) {
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
        erased.left = self.left(&sought)?;
        Ok(erased)
    }

    /// Removes every mart: they are made of rows, and made anew by the next night.
    ///
    /// # Errors
    ///
    /// A folder that cannot be moved or deleted.
    pub fn drop_marts(&self) -> Result<()> {
        let marts = self.marts();
        if !marts.is_dir() {
            return Ok(());
        }
        // At once, so that nobody meets half a mart.
        let scratch = self.own_folder("scratch");
        let gone = scratch.join(format!("marts-{}", uuid::Uuid::new_v4()));
        fs::create_dir_all(&scratch).context(|| format!("making `{}`", scratch.display()))?;
        fs::rename(&marts, &gone).context(|| format!("moving `{}`", marts.display()))?;
        fs::remove_dir_all(&gone).context(|| format!("deleting `{}`", gone.display()))
    }

    fn marts(&self) -> PathBuf {
        self.root().join("marts")
    }

    /// A number that stands as a line in rows of others is the business's own.
    fn refuse_line(&self, number: &Number) -> Result<()> {
        for (name, line) in LINES {
            let Some(table) = wabalake_data::table(name) else { continue };
            let snapshot = self.snapshot(table)?;
            for file in &snapshot.files {
                let wanted = [line, USER_PHONE, USER_PHONE_VALID];
                let known = table.stored();
                let wanted = wanted.into_iter().filter(|name| known.contains(name)).map(col);
                let rows = snapshot.scan_files(&[file])?.select(wanted.collect::<Vec<_>>());
                let rows = rows.collect()?;
                let whose = theirs(&rows, number)?;
                let lines = rows.column(line)?.str()?.iter().zip(whose);
                let is_line = |line: &str| number.is(line) || number.is_in(line, Look::Tight);
                let mut of_others = lines.filter(|(_, theirs)| *theirs != Some(true));
                if of_others.any(|(line, _)| line.is_some_and(is_line)) {
                    return Err(Error::lake(format!(
                        "that number is a line of the business: it stands in `{line}` of `{name}`"
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

    /// The sessions of a person in any version: those that are theirs, and those that a row of
    /// theirs names and that nobody else's are.
    fn sessions_of(&self, number: &Number) -> Result<HashSet<String>> {
        let (mut own, mut named, mut of_others) = (HashSet::new(), HashSet::new(), HashSet::new());
        for table in wabalake_data::TABLES {
            let stored = table.stored();
            if !stored.contains(SESSION_ID) || !stored.contains(USER_PHONE) {
                continue;
            }
            let is_sessions = table.name == sessions::NAME;
            let mut take = |rows: &DataFrame| -> Result<()> {
                let (Ok(ids), Ok(_)) = (rows.column(SESSION_ID), rows.column(USER_PHONE)) else {
                    return Ok(());
                };
                for (id, theirs) in ids.str()?.iter().zip(theirs(rows, number)?) {
                    let (Some(id), Some(true)) = (id, theirs) else { continue };
                    let sessions = if is_sessions { &mut own } else { &mut named };
                    sessions.insert(id.to_owned());
                }
                Ok(())
            };
            let snapshot = self.snapshot(*table)?;
            for file in &snapshot.files {
                take(&texts(snapshot.scan_files(&[file])?)?)?;
            }
            for file in self.replaced_files(*table)? {
                if let Ok(rows) = read(&file) {
                    take(&rows)?;
                }
            }
        }
        named.retain(|id| !own.contains(id));
        if !named.is_empty() {
            let snapshot = self.snapshot(&sessions::TABLE)?;
            for file in &snapshot.files {
                let rows = texts(snapshot.scan_files(&[file])?)?;
                let whose = theirs(&rows, number)?;
                for (id, theirs) in rows.column(SESSION_ID)?.str()?.iter().zip(whose) {
                    let other = id.filter(|id| theirs == Some(false) && named.contains(*id));
                    of_others.extend(other.map(str::to_owned));
                }
            }
        }
        own.extend(named.into_iter().filter(|id| !of_others.contains(id)));
        Ok(own)
    }

    /// What makes a table one without the person; none if it is.
    fn revise(
        &self,
        layout: &'static dyn Layout,
        sought: &Sought,
        options: Options,
    ) -> Result<Option<Revision>> {
        let snapshot = self.snapshot(layout)?;
        // Everybody else is kept out, so nobody needs to be.
        let staging = Staging::new(layout, self.folder(layout), None);
        let roles = Roles::of(layout);
        let mut told = ErasedTable { table: layout.name(), ..ErasedTable::default() };
        let (mut remove, mut add) = (Vec::new(), Vec::new());
        for file in &snapshot.files {
            if roles.strike(texts(snapshot.scan_files(&[file])?)?, sought)?.is_as_before() {
                continue;
            }
            let rows = snapshot.scan_files(&[file])?.collect()?.drop(UTC_DAY)?;
            let struck = roles.strike(rows, sought)?;
            told.rows += struck.gone;
            told.struck += struck.changed;
            remove.push(file.path.clone());
            if struck.rows.height() > 0 && !options.dry_run {
                add.push(staging.write(file.day, struck.rows)?);
            }
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
        Ok(found.then_some(Revision { layout, snapshot, change, told, _staging: staging }))
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
            match self.revise(layout, sought, options)? {
                Some(revision) => next = revision,
                None => return Ok(snapshot.version),
            }
        }
        Err(Error::lake("the lake was changed by others too often while erasing")
            .hint("run the same command again: it goes on where this one stopped"))
    }

    /// Data files that are not of the newest version.
    fn replaced_files(&self, layout: &'static dyn Layout) -> Result<Vec<PathBuf>> {
        let snapshot = self.snapshot(layout)?;
        let current: HashSet<PathBuf> =
            snapshot.files.iter().map(|file| snapshot.place(file)).collect();
        let mut files = Vec::new();
        for folder in entries(&snapshot.folder)? {
            let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if folder.is_dir() && !name.starts_with(['_', '.']) {
                files.extend(files_below(&folder)?);
            }
        }
        files.retain(|file| !current.contains(file));
        Ok(files)
    }

    /// Those of them that hold the person, and those that no load finished.
    fn old_files(&self, sought: &Sought, alone: &Lock) -> Result<Vec<PathBuf>> {
        let mut holding = Vec::new();
        for layout in layouts() {
            let roles = Roles::of(layout);
            for file in self.replaced_files(layout)? {
                let holds = match read(&file) {
                    Ok(rows) => !roles.strike(rows, sought)?.is_as_before(),
                    // Without locks it may be one that is being written.
                    Err(_) => alone.holds() || is_older_than_a_day(&file),
                };
                if holds {
                    holding.push(file);
                }
            }
            // What a killed commit had begun to write.
            for file in entries(&self.folder(layout).join("_delta_log"))? {
                let whole = file.extension().is_some_and(|end| end == "json" || end == "parquet");
                if !whole && file.is_file() && alone.holds() && holds_number(&file, sought)? {
                    holding.push(file);
                }
            }
        }
        Ok(holding)
    }

    /// What the logs say that holds the number.
    fn log_entries(&self, number: &Number) -> Result<Vec<LogEntry>> {
        let mut found = Vec::new();
        for layout in layouts() {
            let log = self.log(layout);
            let versions = log.versions()?;
            for version in &versions {
                let file = log.commit_file(*version);
                let text = fs::read_to_string(&file).context(|| reading(&file))?;
                if let Some(struck) = without_number(&text, number) {
                    let struck = damage::sealed(struck.into_bytes(), *version);
                    found.push(LogEntry::Commit { file, struck });
                }
            }
            for (version, parts) in log.checkpoints()? {
                let mut holds = false;
                for part in &parts {
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
            let gone =
                if entry.is_dir() { fs::remove_dir_all(&entry) } else { fs::remove_file(&entry) };
            gone.context(|| format!("deleting `{}`", entry.display()))?;
        }
        Ok(())
    }

    fn journal_file(&self) -> PathBuf {
        self.own_folder("erasing")
    }

    /// The sessions whose rows an erasure was killed over. They are erased whoever's they were.
    fn journal(&self) -> Result<Option<HashSet<String>>> {
        let file = self.journal_file();
        match fs::read(&file) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|error| {
                Error::lake(format!("{}: {error}", reading(&file)))
                    .hint("delete it and run the same command again")
            }),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).context(|| reading(&file)),
        }
    }

    fn write_journal(&self, sessions: &HashSet<String>) -> Result<()> {
        write_whole(&self.journal_file(), json!(sessions).to_string().as_bytes())
    }

    /// Files of others below the lake's folder that hold the number, byte by byte.
    fn left(&self, sought: &Sought) -> Result<Vec<PathBuf>> {
        let tables: HashSet<_> = layouts().map(|layout| self.folder(layout)).collect();
        let (marts, scratch) = (self.marts(), self.own_folder("scratch"));
        let mut left = Vec::new();
        let mut folders = vec![self.root().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in entries(&folder)? {
                if entry == marts || entry == scratch || tables.contains(&entry) {
                    continue;
                }
                if entry.is_dir() {
                    folders.push(entry);
                } else if holds_number(&entry, sought)? {
                    left.push(entry.strip_prefix(self.root()).unwrap_or(&entry).to_owned());
                }
            }
        }
        left.sort();
        Ok(left)
    }
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
            Self::Commit { file, struck } => write_whole(file, struck),
            Self::Checkpoint { parts, beside } => {
                beside.iter().chain(parts).try_for_each(|file| delete(file))
            }
        }
    }
}

/// A commit's lines without the number, if they have it: in what it says of itself, and in bounds
/// of files. Paths and ids are made by wabalake, and are nobody's.
fn without_number(commit: &str, number: &Number) -> Option<String> {
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
            if let Some(bounds) = action.get_mut("add").and_then(|add| add.get_mut("stats")) {
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
    let wanted = schema
        .iter()
        .filter(|(name, of)| **of == DataType::String || name.as_str() == USER_PHONE_VALID);
    let wanted: Vec<Expr> = wanted.map(|(name, _)| col(name.clone())).collect();
    Ok(scan.select(wanted).collect()?)
}

/// The same of a file that the newest version does not have.
fn read(file: &Path) -> Result<DataFrame> {
    let path = PlRefPath::try_from_path(file)?;
    let options = ScanArgsParquet {
        glob: false,
        hive_options: HiveOptions::new_disabled(),
        ..Default::default()
    };
    texts(LazyFrame::scan_parquet(path, options)?)
}

/// Whether a file or its name holds the number as it stands, not packed.
fn holds_number(file: &Path, sought: &Sought) -> Result<bool> {
    let bytes = fs::read(file).context(|| reading(file))?;
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let in_text = |text: &str| sought.number.is_in(text, Look::Tight);
    Ok(in_text(&name) || in_text(&String::from_utf8_lossy(&bytes)))
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

/// Writes a file that is there as a whole or not at all.
fn write_whole(file: &Path, bytes: &[u8]) -> Result<()> {
    let doing = || format!("writing `{}`", file.display());
    let folder = file.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).context(doing)?;
    let mut whole = tempfile::Builder::new().prefix(".").tempfile_in(folder).context(doing)?;
    whole.write_all(bytes).context(doing)?;
    whole.as_file().sync_all().context(doing)?;
    whole.persist(file).map_err(|error| error.error).context(doing)?;
    Ok(())
}

fn reading(file: &Path) -> String {
    format!("reading `{}`", file.display())
}
