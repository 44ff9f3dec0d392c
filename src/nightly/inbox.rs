//! What arrived: every new file is loaded once, told by its contents.
//!
//! | a file | becomes |
//! |---|---|
//! | new | loaded, all new ones by one load |
//! | the lake has its contents | nothing; then as a loaded one |
//! | loaded | left, moved or deleted, as the settings say |
//! | no export, or a broken one | moved aside with `FILE.error.txt`; the others are loaded |
//! | changed while it was read | looked at again by the next night |
//! | hidden, or still on its way (`.part`, `.tmp`, …) | passed over |
//! | a link to a folder, a lake | passed over, as a load passes it over |
//! | a link to a file that arrived as well | passed over |
//!
//! Files that are left are remembered by path, size and time, so that a night reads only what is
//! new. That is all it is remembered for: without the memory they are read and known by their
//! contents. A file whose load was undone is not loaded again by itself.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use chrono::{TimeDelta, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use super::lock::Night;
use crate::config::{After, Config, FILE};
use crate::error::{Context as _, Error, Result};
use crate::files::{Access, beside, is_temporary, write_whole};
use crate::lake::Lake;
use crate::lake::vacuum::{self, Vacuumed};
use crate::load::folder::{Entry, walk};
use crate::load::{self, Failure, Report};

/// Endings of names of files that are still on their way.
const ON_ITS_WAY: [&str; 6] = ["part", "partial", "tmp", "crdownload", "filepart", "download"];

/// What became of the inbox.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Arrived {
    /// New files, whose contents the lake did not have.
    pub files: u64,
    /// Files whose contents it had.
    pub known: u64,
    /// Names of the new files.
    pub names: Vec<String>,
    /// Records read.
    pub rows_read: u64,
    /// Rows whose key was new.
    pub rows_new: u64,
    /// Rows that replaced others.
    pub rows_updated: u64,
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
    seen: Seen,
}

/// What tells that a file has not changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Seen {
    bytes: u64,
    modified: u128,
}

impl Arrival {
    fn of(path: PathBuf, inbox: &Path) -> Result<Self> {
        let below = path.strip_prefix(inbox).unwrap_or(&path).to_owned();
        let seen = Seen::of(&path)?;
        Ok(Self { path, below, seen })
    }
}

impl Seen {
    fn of(path: &Path) -> Result<Self> {
        let file = fs::metadata(path).context(|| format!("reading `{}`", path.display()))?;
        let modified = file.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        Ok(Self { bytes: file.len(), modified: modified.unwrap_or_default().as_nanos() })
    }
}

/// Files that were left where they are, by path.
type Memory = BTreeMap<PathBuf, Seen>;

/// Loads what is new.
///
/// # Errors
/// A lake that cannot be written, a folder that cannot be read. Files that are at fault are told
/// in what is returned.
pub(super) fn load(lake: &Lake, config: &Config, night: &Night) -> Result<Arrived> {
    let memory_file = lake.own_folder("inbox.json");
    let before: Memory = fs::read(&memory_file)
        .ok()
        .and_then(|text| serde_json::from_slice(&text).ok())
        .unwrap_or_default();
    let (mut new, mut memory) = new_files(lake, config, &before)?;
    let mut arrived = Arrived::default();
    new.retain(|arrival| match File::open(&arrival.path) {
        Ok(_) => true,
        Err(error) => {
            let error = Error::data(format!("it cannot be read: {error}"))
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
    let paths: Vec<PathBuf> = new.iter().map(|arrival| arrival.path.clone()).collect();
    let mut done = Vec::new();
    if !new.is_empty() {
        night.check()?;
        match load::load(lake, &paths, &options) {
            Ok(report) => {
                arrived.count(&report);
                done.extend(&new);
            }
            // One of them is at fault: the others are not to suffer for it.
            Err(Error::Data(_)) => {
                for arrival in &new {
                    night.check()?;
                    match load::load(lake, std::slice::from_ref(&arrival.path), &options) {
                        Ok(report) => {
                            arrived.count(&report);
                            done.push(arrival);
                        }
                        Err(error @ Error::Data(_)) => {
                            set_aside(lake, config, arrival, &error)?;
                            arrived.failed.push(Failure::of(shown(&arrival.below), &error));
                        }
                        Err(error) => return Err(error),
                    }
                }
            }
            Err(error) => return Err(error),
        }
    }
    for arrival in done {
        if Seen::of(&arrival.path).ok().as_ref() != Some(&arrival.seen) {
            continue;
        }
        match config.inbox.after {
            After::Leave => {
                memory.insert(arrival.path.clone(), arrival.seen.clone());
            }
            After::Move => {
                let folder = config.inbox.loaded.as_deref().map(|folder| within(lake, folder));
                let folder = folder.ok_or_else(|| Error::bug("nowhere to move files to"))?;
                move_into(&folder, arrival)?;
            }
            After::Delete => {
                let path = &arrival.path;
                fs::remove_file(path).context(|| format!("deleting `{}`", path.display()))?;
            }
        }
    }
    if memory != before {
        remember(&memory_file, &memory)?;
    }
    Ok(arrived)
}

/// The names of what would be loaded, if the lake does not have it.
pub(super) fn waiting(lake: &Lake, config: &Config) -> Result<Vec<String>> {
    let memory = fs::read(lake.own_folder("inbox.json")).ok();
    let memory = memory.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default();
    let (new, _) = new_files(lake, config, &memory)?;
    Ok(new.iter().map(|arrival| shown(&arrival.below)).collect())
}

impl Arrived {
    fn count(&mut self, report: &Report) {
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
        self.rows_rejected += report.total(|file| file.rows_rejected);
        self.rows_kept_out += report.total(|file| file.rows_kept_out);
    }
}

/// Files that are not remembered, and the memory of those that are still there.
fn new_files(lake: &Lake, config: &Config, before: &Memory) -> Result<(Vec<Arrival>, Memory)> {
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
            if entry.passed_over.is_none() && is_arrival(&entry.path) {
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
    let mut memory = Memory::new();
    arrivals.retain(|arrival| {
        let known = before.get(&arrival.path) == Some(&arrival.seen);
        if known {
            memory.insert(arrival.path.clone(), arrival.seen.clone());
        }
        !known
    });
    Ok((arrivals, memory))
}

/// Whether a file is there as a whole, and none of the nightly's own.
fn is_arrival(path: &Path) -> bool {
    let lower = |part: Option<&OsStr>| part.and_then(OsStr::to_str).unwrap_or("").to_lowercase();
    let (name, ending) = (lower(path.file_name()), lower(path.extension()));
    !name.ends_with(".error.txt") && !ON_ITS_WAY.contains(&ending.as_str())
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
    let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
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
