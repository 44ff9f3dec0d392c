//! What arrived: every new file is loaded once, told by its contents.
//!
//! | a file | becomes |
//! |---|---|
//! | new | loaded, all new ones by one load |
//! | the lake has its contents | nothing; then as a loaded one |
//! | loaded | left, moved or deleted, as the settings say |
//! | no export, or a broken one | moved aside with `FILE.error.txt`; the others are loaded |
//! | one of which nothing can be taken | the same; its rejects are kept |
//! | of nothing but what is left out by its kind | as a loaded one, but never deleted |
//! | changed in the last `settle_seconds`, or while it was read | counted, and left for the next night |
//! | hidden, or still on its way (`.part`, `.tmp`, …) | passed over |
//! | a link to a folder, a lake | passed over, as a load passes it over |
//! | a link to a file that arrived as well | passed over |
//!
//! Files that are left are remembered by path, size and time, so that a night reads only what is
//! new. That is all it is remembered for: without the memory they are read and known by their
//! contents. A file whose load was undone is not loaded again by itself.
//!
//! Files that are still arriving are remembered too. A file whose time is in the future, by another
//! machine's clock, has arrived once it is as a night saw it `settle_seconds` ago.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chrono::{TimeDelta, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use super::lock::Night;
use crate::config::{After, Config, FILE};
use crate::error::{Context as _, Error, Fault, Result, in_words};
use crate::files::{Access, beside, is_temporary, write_whole};
use crate::lake::Lake;
use crate::lake::vacuum::{self, Vacuumed};
use crate::load::folder::{Entry, FileState, is_partial, walk};
use crate::load::{self, Failure, LoadReport};

/// What became of the inbox.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Arrived {
    /// New files, whose contents the lake did not have.
    pub files: u64,
    /// Files whose contents it had.
    pub known: u64,
    /// Names of the new files.
    pub names: Vec<String>,
    /// Names of files that are still arriving, and were left for the next night.
    pub arriving: Vec<String>,
    /// Records read.
    pub rows_read: u64,
    /// Rows whose key was new.
    pub rows_new: u64,
    /// Rows that replaced others.
    pub rows_updated: u64,
    /// Rows that gave way to another row of their own file.
    pub rows_superseded: u64,
    /// Rows whose amounts were added to those of another row of their own file.
    pub rows_added_up: u64,
    /// Records that could not be taken.
    pub rows_rejected: u64,
    /// Records of erased persons who are kept out of the lake.
    pub rows_kept_out: u64,
    /// Files that could not be loaded.
    pub failed: Vec<Failure>,
}

/// A file of the inbox.
#[derive(Clone, Debug)]
struct Arrival {
    path: PathBuf,
    /// Its path below the folder of the inbox that it is in.
    below: PathBuf,
    seen: FileState,
}

impl Arrival {
    fn of(path: PathBuf, inbox: &Path) -> Result<Self> {
        let below = path.strip_prefix(inbox).unwrap_or(&path).to_owned();
        let seen = FileState::of(&path).context(|| format!("reading `{}`", path.display()))?;
        Ok(Self { path, below, seen })
    }

    fn has_changed(&self) -> bool {
        !FileState::of(&self.path).is_ok_and(|seen| seen == self.seen)
    }

    /// What it is remembered by. JSON has no names that are no UTF-8: a hash tells those apart.
    fn key(&self) -> String {
        let path = self.path.as_os_str();
        let Some(name) = path.to_str() else {
            let hash = xxhash_rust::xxh3::xxh3_128(path.as_encoded_bytes());
            return format!("{} {hash:032x}", path.to_string_lossy());
        };
        name.to_owned()
    }
}

/// What is remembered of files from one night to the next, by their paths.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Memory {
    /// Those that were loaded and left where they are.
    left: BTreeMap<String, FileState>,
    /// Those that were not old enough to be whole.
    arriving: BTreeMap<String, Arriving>,
}

/// A file that may still be written to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Arriving {
    seen: FileState,
    /// When it was first seen as it is, in milliseconds since 1970.
    since: u64,
}

impl Arriving {
    fn since(&self) -> Duration {
        Duration::from_millis(self.since)
    }
}

impl Memory {
    /// That of the last night, if it can be read.
    fn of(lake: &Lake) -> Self {
        let text = fs::read(memory_file(lake)).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_else(|_| {
            // What 0.1.0 remembered.
            let left = serde_json::from_slice(&text).unwrap_or_default();
            Self { left, arriving: BTreeMap::new() }
        })
    }
}

fn memory_file(lake: &Lake) -> PathBuf {
    lake.own_folder("inbox.json")
}

/// What is in the inbox.
struct Waiting {
    /// Files that are whole, as far as can be told, and not remembered.
    new: Vec<Arrival>,
    /// Those that are still arriving.
    arriving: Vec<Arrival>,
    /// Of those that are still there.
    memory: Memory,
}

/// Loads what is new.
///
/// # Errors
/// A lake that cannot be written, a folder that cannot be read. Files that are at fault are told
/// in what is returned.
pub(super) fn load(lake: &Lake, config: &Config, night: &Night) -> Result<Arrived> {
    let before = Memory::of(lake);
    let Waiting { mut new, mut arriving, mut memory } = look(lake, config, &before)?;
    let mut arrived = Arrived::default();
    new.retain(|arrival| match File::open(&arrival.path) {
        Ok(_) => true,
        Err(error) => {
            let error = Error::data(format!("it cannot be read: {}", in_words(&error)))
                .hint("it was left where it is: see to its permissions");
            arrived.failed.push(Failure::of(shown(&arrival.below), &error));
            false
        }
    });
    let options = load::Options {
        source_timezone: config.source_timezone.unwrap_or(Tz::UTC),
        source_timezones: config.source_timezones.clone(),
        default_country: config.default_country,
        ..load::Options::default()
    };
    let mut done = Vec::new();
    let mut left_out = BTreeSet::new();
    while !new.is_empty() {
        night.check()?;
        match load_all(lake, &new, &options) {
            Ok(report) => {
                arrived.count(&report);
                left_out.extend(left_out_whole(&report));
                done.append(&mut new);
            }
            Err(error) if error.is_of_change() && new.iter().any(Arrival::has_changed) => {
                arriving.extend(new.extract_if(.., |arrival| arrival.has_changed()));
            }
            // One of them is at fault: the others are not to suffer for it.
            Err(error) if error.fault() == Fault::Data => {
                for arrival in std::mem::take(&mut new) {
                    night.check()?;
                    match load_all(lake, std::slice::from_ref(&arrival), &options) {
                        Ok(report) => {
                            arrived.count(&report);
                            left_out.extend(left_out_whole(&report));
                            done.push(arrival);
                        }
                        Err(error) if error.is_of_change() => arriving.push(arrival),
                        Err(error) if error.fault() != Fault::Data => return Err(error),
                        Err(_) if arrival.has_changed() => arriving.push(arrival),
                        Err(error) => {
                            set_aside(lake, config, &arrival, &error)?;
                            arrived.failed.push(Failure::of(shown(&arrival.below), &error));
                        }
                    }
                }
            }
            Err(error) => return Err(error),
        }
    }
    for arrival in done {
        if arrival.has_changed() {
            arriving.push(arrival);
            continue;
        }
        let is_left_out = arrival.path.file_name().is_some_and(|name| left_out.contains(name));
        match config.inbox.after {
            After::Delete if is_left_out => {
                memory.left.insert(arrival.key(), arrival.seen.clone());
            }
            After::Leave => {
                memory.left.insert(arrival.key(), arrival.seen.clone());
            }
            After::Move => {
                let folder = config.inbox.loaded.as_deref().map(|folder| within(lake, folder));
                let folder = folder.ok_or_else(|| Error::bug("nowhere to move files to"))?;
                move_into(&folder, &arrival)?;
            }
            After::Delete => {
                let path = &arrival.path;
                fs::remove_file(path).context(|| format!("deleting `{}`", path.display()))?;
            }
        }
    }
    if memory != before {
        remember(&memory_file(lake), &memory)?;
    }
    arrived.arriving = names(&arriving);
    Ok(arrived)
}

fn load_all(lake: &Lake, arrivals: &[Arrival], options: &load::Options) -> Result<LoadReport> {
    let paths: Vec<PathBuf> = arrivals.iter().map(|arrival| arrival.path.clone()).collect();
    let seen = arrivals.iter().map(|arrival| (arrival.path.clone(), arrival.seen.clone()));
    load::load_as_seen(lake, &paths, &seen.collect(), options)
}

/// What a night would load, if the lake does not have it, and what it would leave for the next.
pub(super) fn waiting(lake: &Lake, config: &Config) -> Result<Arrived> {
    let Waiting { new, arriving, .. } = look(lake, config, &Memory::of(lake))?;
    let (names, arriving) = (names(&new), names(&arriving));
    Ok(Arrived { files: names.len() as u64, names, arriving, ..Arrived::default() })
}

fn names(arrivals: &[Arrival]) -> Vec<String> {
    let mut names: Vec<String> = arrivals.iter().map(|arrival| shown(&arrival.below)).collect();
    names.sort();
    names
}

/// The names of files, or of archives with files, all of whose records were left out.
fn left_out_whole(report: &LoadReport) -> Vec<OsString> {
    let whole =
        |file: &&load::FileReport| file.rows_left_out > 0 && file.rows_left_out == file.rows_read;
    let outer = |name: &str| name.split('/').next().map(OsString::from);
    report.files.iter().filter(whole).filter_map(|file| outer(&file.file)).collect()
}

impl Arrived {
    fn count(&mut self, report: &LoadReport) {
        for file in &report.files {
            if file.already_loaded {
                self.known += 1;
            } else {
                self.files += 1;
                self.names.push(file.file.clone());
            }
        }
        self.rows_read += report.total(|file| file.rows_read);
        self.rows_new += report.total(|file| file.rows_new);
        self.rows_updated += report.total(|file| file.rows_updated);
        self.rows_superseded += report.total(|file| file.rows_superseded);
        self.rows_added_up += report.total(|file| file.rows_added_up);
        self.rows_rejected += report.total(|file| file.rows_rejected);
        self.rows_kept_out += report.total(|file| file.rows_kept_out);
    }
}

/// Looks through the inbox.
fn look(lake: &Lake, config: &Config, before: &Memory) -> Result<Waiting> {
    let inbox = &config.inbox;
    let mut aside: Vec<PathBuf> =
        [&inbox.loaded, &inbox.failed].into_iter().flatten().map(|f| within(lake, f)).collect();
    // Should the lake itself be in its inbox, its own files are no arrivals.
    aside.extend(["tables", "marts", FILE].map(|own| lake.root().join(own)));
    let mut arrivals = Vec::new();
    for folder in &inbox.folders {
        let folder = within(lake, folder);
        if !folder.is_dir() {
            return Err(Error::lake(format!("there is no inbox `{}`", folder.display()))
                .hint("make the folder, or name another one in wabalake.toml, under [inbox]"));
        }
        walk(&folder, "", &aside, &mut |entry| {
            if entry.skip_reason.is_none() && is_arrival(&entry.path) {
                arrivals.push(Arrival::of(entry.path, &folder)?);
            }
            Ok(())
        })?;
    }
    arrivals.sort_by(|a, b| a.path.cmp(&b.path));
    arrivals.dedup_by(|a, b| a.path == b.path);
    let real: BTreeSet<PathBuf> = arrivals.iter().map(|arrival| arrival.path.clone()).collect();
    let mut linked = BTreeSet::new();
    arrivals.retain(|Arrival { path, .. }| {
        let target = path.is_symlink().then(|| path.canonicalize().ok()).flatten();
        target.is_none_or(|target| !real.contains(&target) && linked.insert(target))
    });
    let (settle, now) = (inbox.settle(), since_1970(SystemTime::now()));
    let has_passed = |since: Duration| since.checked_add(settle).is_some_and(|at| at <= now);
    let mut waiting = Waiting { new: Vec::new(), arriving: Vec::new(), memory: Memory::default() };
    for arrival in arrivals {
        let key = arrival.key();
        if before.left.get(&key) == Some(&arrival.seen) {
            waiting.memory.left.insert(key, arrival.seen);
        } else if settle.is_zero() || has_passed(arrival.seen.modified_since_1970()) {
            waiting.new.push(arrival);
        } else {
            let as_before = before.arriving.get(&key).filter(|file| file.seen == arrival.seen);
            // A clock that was put back must not make it wait.
            let since = as_before.map_or(now, Arriving::since).min(now);
            let seen = arrival.seen.clone();
            waiting.memory.arriving.insert(key, Arriving { seen, since: millis(since) });
            let of = if has_passed(since) { &mut waiting.new } else { &mut waiting.arriving };
            of.push(arrival);
        }
    }
    Ok(waiting)
}

fn millis(since: Duration) -> u64 {
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn since_1970(at: SystemTime) -> Duration {
    at.duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Whether a file is there as a whole, and none of the nightly's own.
fn is_arrival(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    !name.ends_with(".error.txt") && !is_partial(path)
}

/// Moves a file that cannot be loaded, and says beside it why not.
fn set_aside(lake: &Lake, config: &Config, arrival: &Arrival, error: &Error) -> Result<()> {
    let Some(folder) = &config.inbox.failed else { return Ok(()) };
    let place = move_into(&within(lake, folder), arrival)?;
    let place = error_of(&place);
    fs::write(&place, format!("{}\n", error.lines()))
        .context(|| format!("writing `{}`", place.display()))
}

/// The file that says what is wrong with another.
fn error_of(file: &Path) -> PathBuf {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(".error.txt");
    file.with_file_name(name)
}

/// Moves a file into a folder, under the path that it has in the inbox; where there is one, a
/// number is added to its name. A move that is killed leaves the file whole in one of the places,
/// or in both.
fn move_into(folder: &Path, arrival: &Arrival) -> Result<PathBuf> {
    let moving = || format!("moving `{}` into `{}`", arrival.path.display(), folder.display());
    let wanted = folder.join(&arrival.below);
    if let Some(parent) = wanted.parent() {
        fs::create_dir_all(parent).context(moving)?;
    }
    for number in 1_u32.. {
        let place = if number == 1 { wanted.clone() } else { numbered(&wanted, number) };
        match move_to(&arrival.path, &place) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            moved => return moved.map(|()| place).context(moving),
        }
    }
    Err(Error::bug("there is a file of every number"))
}

/// Moves a file to a place, unless something is there.
fn move_to(file: &Path, place: &Path) -> io::Result<()> {
    // A link would lead elsewhere from there: what it leads to is copied.
    #[cfg(target_os = "linux")]
    if !file.is_symlink() {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        match renameat_with(CWD, file, CWD, place, RenameFlags::NOREPLACE) {
            Err(error) if error != rustix::io::Errno::EXIST => {}
            done => return Ok(done?),
        }
    }
    // To another file system, or on one that cannot do that at once.
    let mut whole = beside(place, Access::Usual)?;
    io::copy(&mut File::open(file)?, &mut whole)?;
    whole.as_file().set_permissions(fs::metadata(file)?.permissions())?;
    whole.as_file().sync_all()?;
    whole.persist_noclobber(place).map_err(|error| error.error)?;
    fs::remove_file(file)
}

/// Deletes what killed moves left where files are moved to: temporary files, and the empty files
/// that 0.1.0 made first, if the file that they stood for is still in the inbox or was moved under
/// a number.
///
/// # Errors
/// A folder that cannot be read, a file that cannot be deleted.
pub(super) fn sweep(
    lake: &Lake,
    config: &Config,
    options: vacuum::Options,
    done: &mut Vacuumed,
) -> Result<()> {
    let inbox = &config.inbox;
    // A move that is under way is younger.
    let until = SystemTime::from(Utc::now() - options.retain.max(TimeDelta::hours(1)));
    let inboxes: Vec<PathBuf> = inbox.folders.iter().map(|folder| within(lake, folder)).collect();
    for folder in [&inbox.loaded, &inbox.failed].into_iter().flatten() {
        let folder = within(lake, folder);
        if !folder.is_dir() {
            continue;
        }
        walk(&folder, "", &[], &mut |Entry { path, .. }| {
            let Ok(file) = path.symlink_metadata() else { return Ok(()) };
            let is_old = file.modified().is_ok_and(|at| at < until);
            let below = path.strip_prefix(&folder).unwrap_or(&path);
            if file.is_file() && is_old && (is_copy(&path) || is_stand_in(&path, below, &inboxes)) {
                if !options.dry_run {
                    fs::remove_file(&path).context(|| format!("deleting `{}`", path.display()))?;
                }
                done.bytes += file.len();
                done.files.push(path);
            }
            Ok(())
        })?;
    }
    Ok(())
}

/// Whether a file is one that was being copied here.
fn is_copy(file: &Path) -> bool {
    file.file_name().and_then(OsStr::to_str).is_some_and(is_temporary)
}

/// Whether a file is empty and stands for one that is elsewhere.
fn is_stand_in(file: &Path, below: &Path, inboxes: &[PathBuf]) -> bool {
    let holds = |path: &Path| fs::metadata(path).is_ok_and(|file| file.is_file() && file.len() > 0);
    let in_inbox = || inboxes.iter().map(|inbox| inbox.join(below)).any(|path| holds(&path));
    // An empty file that could not be loaded is told of.
    fs::metadata(file).is_ok_and(|file| file.len() == 0)
        && !error_of(file).exists()
        && (holds(&numbered(file, 2)) || in_inbox())
}

/// `sessions.csv` as `sessions-2.csv`.
fn numbered(path: &Path, number: u32) -> PathBuf {
    let name = path.file_name().unwrap_or_default();
    let Some(name) = name.to_str() else {
        let mut name = name.to_owned();
        name.push(format!("-{number}"));
        return path.with_file_name(name);
    };
    let (stem, rest) = name.split_once('.').unwrap_or((name, ""));
    let dot = if rest.is_empty() { "" } else { "." };
    path.with_file_name(format!("{stem}-{number}{dot}{rest}"))
}

fn remember(file: &Path, memory: &Memory) -> Result<()> {
    let text =
        serde_json::to_vec(memory).map_err(|error| Error::bug(format!("the inbox: {error}")))?;
    write_whole(file, Access::Usual, |out| Ok(out.write_all(&text)?))
        .context(|| format!("writing `{}`", file.display()))
}

/// A path of the settings starts from the lake.
pub(super) fn within(lake: &Lake, path: &Path) -> PathBuf {
    let path = lake.root().join(path);
    path.canonicalize().unwrap_or(path)
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_goes_before_the_endings() {
        for (name, with) in
            [("a.csv.gz", "in/a-2.csv.gz"), ("a", "in/a-2"), ("a b.csv", "in/a b-2.csv")]
        {
            assert_eq!(numbered(&Path::new("in").join(name), 2), Path::new(with));
        }
    }
}
