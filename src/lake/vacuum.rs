//! Deletes files that no version needs any more.
//!
//! | file | deleted |
//! |---|---|
//! | of the newest version | never |
//! | replaced | once that is longer ago than the retention |
//! | of no version: a killed load's | once it is older than the retention |
//! | temporary: a killed commit's, a killed load's scratch | once it is older than the retention |
//! | a folder of a day that is empty | once it is older than the retention, or was emptied here |
//! | that wabalake did not write | never: it is passed over |
//! | behind a link | never: it is passed over |
//!
//! So every version of the last days can still be read, by a query that is running and by `undo`.
//! No load runs meanwhile: its files are of no version yet.
//!
//! A file is wabalake's by its place and its name, `utc_day=2025-06-01/<uuid>.parquet`, or because
//! the table's log says that it was replaced.

use std::collections::HashMap;
use std::fs::{self, FileType};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use uuid::Uuid;

use super::layout::layouts;
use super::log::{Action, Log, State, commit_info, commit_time};
use super::marts::MART_DAY;
use super::snapshot::NO_DAY;
use super::{Lake, lock};
use crate::error::{Context as _, Error, Result};
use crate::files::{is_random, is_temporary};

/// What to delete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// How long a file is kept after it was replaced.
    pub retain: TimeDelta,
    /// Only tell.
    pub dry_run: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { retain: TimeDelta::days(7), dry_run: false }
    }
}

/// What was deleted, or would be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Vacuumed {
    /// Files, below the lake's folder.
    pub files: Vec<PathBuf>,
    /// Their bytes.
    pub bytes: u64,
    /// What was left where it is, below the lake's folder, and why.
    pub passed_over: Vec<(PathBuf, Why)>,
}

/// Why something is passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// It is a link, and may lead out of the lake.
    Link,
    /// It is not of a kind that wabalake writes.
    Foreign,
}

impl Why {
    /// In words.
    pub fn text(self) -> &'static str {
        match self {
            Self::Link => "a link",
            Self::Foreign => "not wabalake's",
        }
    }
}

impl Lake {
    /// Deletes what no version within the retention needs.
    ///
    /// # Errors
    ///
    /// A load, undo or compaction that is running; files that cannot be deleted.
    pub fn vacuum(&self, options: Options) -> Result<Vacuumed> {
        let lock = self.writing_lock();
        let alone = if options.dry_run { lock::look(&lock) } else { lock::take(&lock)? };
        let Some(_alone) = alone else {
            return Err(Error::lake("the lake is being written to")
                .hint("run `wabalake vacuum` again once the load is done"));
        };
        let mut sweep = Sweep::new(self.root(), options);
        for table in layouts() {
            // A log that cannot be read tells nothing of what is needed.
            let snapshot = self.snapshot(table)?;
            if let Some(state) = &snapshot.state {
                sweep.table(&snapshot.folder, table.partition(), state)?;
            }
        }
        for (mart, kind) in sweep.below(&self.root().join("marts"))? {
            if kind.is_symlink() {
                sweep.pass_over(&mart, Why::Link);
                continue;
            }
            // One that cannot be read is made anew by the next night.
            if let Ok(Some(state)) = Log::new(&mart).state(None) {
                sweep.table(&mart, MART_DAY, &state)?;
            }
        }
        sweep.scratch(&self.own_folder("scratch"))?;
        let own = self.root().join(".wabalake");
        let unnamed = |name: &str| is_temporary(name) || is_unnamed(name);
        sweep.temporary(&own, unnamed)?;
        for folder in entries(&own)? {
            if folder.is_dir() && folder != self.own_folder("scratch") {
                sweep.temporary(&folder, unnamed)?;
            }
        }
        sweep.temporary(self.root(), is_temporary)?;
        Ok(sweep.done)
    }
}

impl Lake {
    /// Deletes a table, but for what others put into its folder. The log is moved to another place
    /// first, so that nobody meets half a table.
    ///
    /// # Errors
    ///
    /// A link, which may lead out of the lake; a file of others in the log's own folder.
    pub(super) fn drop_table(&self, table: &Path, partition: &str, place: &Path) -> Result<()> {
        let log = table.join("_delta_log");
        let mut way = log.ancestors().take_while(|part| *part != self.root());
        if let Some(link) = way.find(|part| part.is_symlink()) {
            let error = Error::lake(format!("`{}` is a link", link.display()));
            return Err(error.hint(
                "nothing is deleted behind a link: delete what it leads to, then the link itself",
            ));
        }
        let others =
            |(path, kind): &(PathBuf, FileType)| !kind.is_file() || !is_of_log(&name(path));
        if let Some((path, _)) = listed(&log)?.into_iter().find(others) {
            let error = Error::lake(format!("`{}` is not wabalake's", path.display()));
            return Err(error.hint("move it elsewhere, and run the same command again"));
        }
        if log.is_dir() {
            fs::rename(&log, place).context(|| deleting(table))?;
        }
        for (day, kind) in listed(table)? {
            if !kind.is_dir() || !is_day(&name(&day), partition) {
                continue;
            }
            for (file, kind) in listed(&day)? {
                if kind.is_file() && is_data_file(&name(&file)) {
                    fs::remove_file(&file).context(|| deleting(&file))?;
                }
            }
            // These two fail, as they should, while there is something in them.
            let _ = fs::remove_dir(&day);
        }
        let _ = fs::remove_dir(table);
        Ok(())
    }
}

/// One sweep over a lake. It enters no link.
struct Sweep<'a> {
    root: &'a Path,
    until: DateTime<Utc>,
    dry_run: bool,
    done: Vacuumed,
}

impl<'a> Sweep<'a> {
    fn new(root: &'a Path, options: Options) -> Self {
        let until = Utc::now() - options.retain;
        Self { root, until, dry_run: options.dry_run, done: Vacuumed::default() }
    }

    /// What is in a folder of the lake; nothing if a link leads there.
    fn below(&mut self, folder: &Path) -> Result<Vec<(PathBuf, FileType)>> {
        let way = folder.ancestors().take_while(|part| *part != self.root);
        match way.filter(|part| part.is_symlink()).last() {
            Some(link) => {
                let link = link.to_owned();
                self.pass_over(&link, Why::Link);
                Ok(Vec::new())
            }
            None => listed(folder),
        }
    }

    fn table(&mut self, table: &Path, partition: &str, state: &State) -> Result<()> {
        let replaced = replaced(&Log::new(table))?;
        for (path, kind) in self.below(table)? {
            let name = name(&path);
            if name == "_delta_log" {
                self.temporary(&path, is_log_leftover)?;
            } else if kind.is_symlink() {
                self.pass_over(&path, Why::Link);
            } else if kind.is_dir() && is_day(&name, partition) {
                self.day(&path, state, &replaced)?;
            } else {
                self.pass_over(&path, Why::Foreign);
            }
        }
        Ok(())
    }

    /// Files of one day.
    fn day(
        &mut self,
        folder: &Path,
        state: &State,
        replaced: &HashMap<String, DateTime<Utc>>,
    ) -> Result<()> {
        let day = name(folder);
        let (is_old, before) = (modified(folder)? < self.until, self.done.files.len());
        for (file, kind) in self.below(folder)? {
            let own = name(&file);
            let path = format!("{day}/{own}");
            if state.files.contains_key(&path) {
                continue;
            }
            let replaced = replaced.get(&path);
            if kind.is_symlink() {
                self.pass_over(&file, Why::Link);
            } else if !kind.is_file() || replaced.is_none() && !is_data_file(&own) {
                self.pass_over(&file, Why::Foreign);
            } else {
                let since = replaced.copied().map_or_else(|| modified(&file), Ok)?;
                if since < self.until {
                    self.delete(&file)?;
                }
            }
        }
        if !self.dry_run && (is_old || self.done.files.len() > before) {
            // Fails, as it should, while there are files.
            let _ = fs::remove_dir(folder);
        }
        Ok(())
    }

    /// Folders for temporary files that a killed load left.
    fn scratch(&mut self, scratch: &Path) -> Result<()> {
        for (path, kind) in self.below(scratch)? {
            if kind.is_symlink() {
                self.pass_over(&path, Why::Link);
            } else if !kind.is_dir() || !is_scratch(&name(&path)) {
                self.pass_over(&path, Why::Foreign);
            } else if modified(&path)? < self.until {
                for file in files_below(&path)? {
                    self.count(&file)?;
                }
                if !self.dry_run {
                    // Links in it are deleted, not what they lead to.
                    fs::remove_dir_all(&path).context(|| deleting(&path))?;
                }
            }
        }
        Ok(())
    }

    /// Files of a folder that were to become others.
    fn temporary(&mut self, folder: &Path, is: fn(&str) -> bool) -> Result<()> {
        for (file, kind) in self.below(folder)? {
            if kind.is_file() && is(&name(&file)) && modified(&file)? < self.until {
                self.delete(&file)?;
            }
        }
        Ok(())
    }

    fn delete(&mut self, file: &Path) -> Result<()> {
        self.count(file)?;
        if !self.dry_run {
            fs::remove_file(file).context(|| deleting(file))?;
        }
        Ok(())
    }

    fn count(&mut self, file: &Path) -> Result<()> {
        self.done.bytes += fs::symlink_metadata(file).context(|| deleting(file))?.len();
        self.done.files.push(file.strip_prefix(self.root).unwrap_or(file).to_owned());
        Ok(())
    }

    fn pass_over(&mut self, path: &Path, why: Why) {
        let path = path.strip_prefix(self.root).unwrap_or(path);
        if self.done.passed_over.iter().all(|(known, _)| known != path) {
            self.done.passed_over.push((path.to_owned(), why));
        }
    }
}

/// Whether a folder of a table holds the files of one day, or those without one.
fn is_day(name: &str, partition: &str) -> bool {
    let day = name.strip_prefix(partition).and_then(|rest| rest.strip_prefix('='));
    day.is_some_and(|day| day == NO_DAY || day.parse::<NaiveDate>().is_ok())
}

/// Whether a file is called as [`Staging`](super::Staging) calls them.
pub(super) fn is_data_file(name: &str) -> bool {
    let stem = name.strip_suffix(".parquet");
    stem.is_some_and(|stem| stem.len() == 36 && Uuid::try_parse(stem).is_ok())
}

/// Whether a folder is called as `tempfile` calls those of a load, or as an erasure calls marts.
fn is_scratch(name: &str) -> bool {
    let is_moved = |rest: &str| Uuid::try_parse(rest).is_ok();
    name.strip_prefix("marts-").is_some_and(is_moved)
        || name.strip_prefix(".tmp").is_some_and(is_random)
}

/// Whether a temporary file is called as `tempfile` does when it is not told whose it is.
fn is_unnamed(name: &str) -> bool {
    let Some(rest) = name.strip_prefix('.') else { return false };
    is_random(rest) || rest.strip_prefix("tmp").is_some_and(is_random)
}

/// Whether a file of a log was to become one that says something.
///
/// ```text
/// 00000000000000000020.json#1          what `object_store` writes before it is linked
/// .00000000000000000020.json.Ab12Cd.tmp
/// _commit_5e0c….json.tmp               what `deltalake` does where there are no links
/// ```
pub(super) fn is_log_leftover(name: &str) -> bool {
    if is_temporary(name) || is_unnamed(name) {
        return true;
    }
    if let Some((of, number)) = name.rsplit_once('#') {
        return is_log_file(of) && number.bytes().all(|byte| byte.is_ascii_digit());
    }
    let Some(name) = name.strip_suffix(".tmp") else { return false };
    if let Some(id) = name.strip_prefix("_commit_").and_then(|rest| rest.strip_suffix(".json")) {
        return Uuid::try_parse(id).is_ok();
    }
    let of = name.strip_prefix('.').and_then(|rest| rest.rsplit_once('.'));
    of.is_some_and(|(of, random)| is_log_file(of) && is_random(random))
}

/// Whether a file belongs into a log's folder.
pub(super) fn is_of_log(name: &str) -> bool {
    // Sums over one of the others.
    let is_sum = |rest: &str| rest.ends_with("crc") || rest == "checkpoint.xxh3";
    of_version(name.strip_prefix('.').unwrap_or(name)).is_some_and(is_sum)
        || is_log_file(name)
        || is_log_leftover(name)
}

/// Whether a file is a commit, a part of a checkpoint or what names the last one.
fn is_log_file(name: &str) -> bool {
    let is = |rest: &str| {
        rest == "json" || rest.starts_with("checkpoint.") && rest.ends_with(".parquet")
    };
    name == "_last_checkpoint" || of_version(name).is_some_and(is)
}

/// What stands after the version in the name of a log's file.
fn of_version(name: &str) -> Option<&str> {
    let (version, rest) = name.split_once('.')?;
    let is_version = version.len() == 20 && version.bytes().all(|byte| byte.is_ascii_digit());
    is_version.then_some(rest)
}

/// When each file that is no longer part of a table was replaced.
fn replaced(log: &Log) -> Result<HashMap<String, DateTime<Utc>>> {
    let mut replaced = HashMap::new();
    for version in log.versions()? {
        let actions = log.actions(version)?;
        let committed = commit_time(commit_info(&actions));
        for action in actions {
            if let Action::Remove(remove) = action {
                let at = remove.deletion_timestamp.and_then(DateTime::from_timestamp_millis);
                replaced.insert(remove.path, at.unwrap_or(committed));
            }
        }
    }
    Ok(replaced)
}

fn deleting(file: &Path) -> String {
    format!("deleting `{}`", file.display())
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// When a file was last written to, or the link itself where it is one.
fn modified(file: &Path) -> Result<DateTime<Utc>> {
    let modified = fs::symlink_metadata(file).and_then(|file| file.modified());
    Ok(modified.context(|| format!("reading the age of `{}`", file.display()))?.into())
}

/// What is in a folder, by name, and what kind each is; nothing if there is none.
fn listed(folder: &Path) -> Result<Vec<(PathBuf, FileType)>> {
    let listing = || format!("listing `{}`", folder.display());
    let entries = match fs::read_dir(folder) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.context(listing)?,
    };
    let mut paths = Vec::new();
    for entry in entries {
        let entry = entry.context(listing)?;
        paths.push((entry.path(), entry.file_type().context(listing)?));
    }
    paths.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    Ok(paths)
}

/// The files and folders in a folder, by name: no links, and nothing behind one.
pub(super) fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    if folder.is_symlink() {
        return Ok(Vec::new());
    }
    let listed = listed(folder)?.into_iter().filter(|(_, kind)| !kind.is_symlink());
    Ok(listed.map(|(path, _)| path).collect())
}

/// The files in a folder and its subfolders: no links, and nothing behind one.
pub(super) fn files_below(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in entries(folder)? {
        if path.is_dir() {
            files.extend(files_below(&path)?);
        } else {
            files.push(path);
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "5e0c7f0e-3c0b-4a56-9a51-0d6b3f5a7c11";

    #[test]
    fn what_is_wabalakes_is_known_by_its_name() {
        let commit = "00000000000000000020.json";
        for (is, wabalakes, others) in [
            (
                is_data_file as fn(&str) -> bool,
                vec![format!("{ID}.parquet")],
                vec![format!("part-00000-{ID}-c000.parquet"), format!("{ID}.csv"), String::new()],
            ),
            (
                is_scratch,
                vec![".tmpAb12Cd".to_owned(), format!("marts-{ID}")],
                vec!["load-1".to_owned(), ".tmp".to_owned(), "marts-mine".to_owned()],
            ),
            (
                is_log_leftover,
                vec![
                    format!("{commit}#1"),
                    format!(".{commit}.Ab12Cd.tmp"),
                    format!(".{commit}.wabalake-Ab12Cd.tmp"),
                    format!("_commit_{ID}.json.tmp"),
                    "00000000000000000019.checkpoint.parquet#12".to_owned(),
                    "00000000000000000019.checkpoint.0000000001.0000000002.parquet#1".to_owned(),
                    "_last_checkpoint#1".to_owned(),
                    ".Ab12Cd".to_owned(),
                ],
                vec![
                    commit.to_owned(),
                    "_last_checkpoint".to_owned(),
                    "00000000000000000019.checkpoint.parquet".to_owned(),
                    ".00000000000000000019.checkpoint.xxh3".to_owned(),
                    "00000000000000000020.crc".to_owned(),
                    "notes.txt#1".to_owned(),
                    format!(".{commit}.mine.tmp"),
                    "_commit_mine.json.tmp".to_owned(),
                ],
            ),
        ] {
            assert!(wabalakes.iter().all(|name| is(name)), "{wabalakes:?}");
            assert!(!others.iter().any(|name| is(name)), "{others:?}");
        }
        for name in [commit, "_last_checkpoint", ".00000000000000000020.crc"] {
            assert!(is_of_log(name), "{name}");
        }
        assert!(is_of_log(".00000000000000000019.checkpoint.xxh3") && !is_of_log("notes.crc"));
        assert!(is_day("utc_day=2025-06-01", "utc_day") && !is_day("utc_day=mine", "utc_day"));
    }
}
