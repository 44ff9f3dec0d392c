//! Searches files of others below the lake's address and in its inbox for a person.
//!
//! ```text
//! lake/sessions.csv.gz         57,3005550101      parsed as an export: holds the number
//! lake/notes.txt               ask +57 300 …      not an export: searched as text
//! inbox-loaded/people.xlsx     every sheet
//! inbox/june -> /mnt/june      a link: not followed, listed as not searched
//! lake/answers.parquet         neither text nor an export: not searched
//! ```
//!
//! Nothing here is deleted. The lake's own tables and marts are skipped.

mod content;
mod folders;
mod objects;

use std::collections::{BTreeMap, HashSet};
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use self::folders::Folders;
use self::objects::Objects;
use super::number::MatchMode;
use super::target::Target;
use crate::config::Config;
use crate::error::{Context as _, Result};
use crate::lake::Lake;
use crate::lake::files::{is_data_file, is_of_log};
use crate::lake::layout::{TABLES, stored_tables};
use crate::place::{Key, Resolver};

/// A file that could not be searched, or not completely.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsearched {
    /// Its path below the lake's folder or address, else its whole path or URL.
    pub file: PathBuf,
    /// The reason.
    pub reason: String,
}

/// Files of others, by the result of the search.
#[derive(Debug, Default)]
pub(super) struct FilesOfOthers {
    pub(super) holding: Vec<PathBuf>,
    pub(super) unsearched: Vec<Unsearched>,
}

/// Files that hold the number, and those that were not searched, with the reason.
type Found = BTreeMap<PathBuf, Option<String>>;

/// Searches the lake's folder or address, and its inbox; `known` are the data files of the tables.
pub(super) fn search(
    lake: &Lake,
    config: &Config,
    target: &Target,
    known: &HashSet<Key>,
) -> Result<FilesOfOthers> {
    let spool = spool(lake)?;
    let mut found = Found::new();
    let inbox = &config.inbox;
    let inbox = inbox.folders.iter().chain(&inbox.loaded).chain(&inbox.failed);
    let mut objects = Objects::new(lake, target, known, spool.path(), &mut found);
    let mut folders = Vec::new();
    if lake.place().as_folder().is_none() {
        objects.lake()?;
    }
    let mut resolver = Resolver::new(lake.place(), &config.store);
    for folder in inbox {
        match resolver.folder(folder) {
            Ok(place) => match place.as_folder() {
                Some(folder) => folders.push(folder.to_owned()),
                None => objects.inbox(&place),
            },
            Err(error) => objects.add(folder.clone(), Some(error.to_string())),
        }
    }
    let root = lake.place().as_folder();
    let mut search = Folders::new(root, target, known, spool.path(), &mut found);
    if let Some(root) = root {
        search.folder(root)?;
    }
    // The settings name them, so they may be links themselves; these are resolved.
    for folder in folders.iter().filter(|folder| folder.exists()) {
        search.folder(folder)?;
    }
    let mut others = FilesOfOthers::default();
    for (file, why) in found {
        match why {
            None => others.holding.push(file),
            Some(reason) => others.unsearched.push(Unsearched { file, reason }),
        }
    }
    Ok(others)
}

/// A folder for unpacked files. It needs no lock: the caller may hold the exclusive one.
fn spool(lake: &Lake) -> Result<TempDir> {
    lake.place().scratch()
}

/// Returns `true` for a file of a table or mart of the lake, by its key; `known` are data files.
pub(super) fn is_ours(file: &Key, known: &HashSet<Key>) -> bool {
    if known.contains(file) {
        return true;
    }
    let parts: Vec<&str> = file.as_str().split('/').collect();
    let [within, table, part, name] = &parts[..] else { return false };
    let is_table = || *within == TABLES && stored_tables().any(|of| of.name == *table);
    if *within != "marts" && !is_table() {
        return false;
    }
    if *part == "_delta_log" { is_of_log(name) } else { part.contains('=') && is_data_file(name) }
}

impl Lake {
    /// Returns `true` if the bytes of a small file hold the number without separators.
    pub(super) fn holds_number(&self, file: &Key, target: &Target) -> Result<bool> {
        let doing = || format!("reading `{}`", self.shown(file.as_str()));
        match self.place().as_folder() {
            Some(root) => holds_number(&mut open(&root.join(file.as_str()))?, target, doing),
            None => {
                let bytes = self.place().read(file)?.unwrap_or_default();
                holds_number(&mut &*bytes, target, doing)
            }
        }
    }
}

fn open(file: &Path) -> Result<File> {
    File::open(file).context(|| reading(file))
}

/// Returns `true` if bytes hold the number without separators.
pub(super) fn holds_number(
    from: &mut dyn Read,
    target: &Target,
    doing: impl Fn() -> String,
) -> Result<bool> {
    const OVERLAP: usize = 4 << 10;
    let mut bytes = vec![0; 256 << 10];
    let mut kept = 0;
    loop {
        let read = from.read(&mut bytes[kept..]).context(&doing)?;
        let end = kept + read;
        if target.number.is_in(&String::from_utf8_lossy(&bytes[..end]), MatchMode::Contiguous) {
            return Ok(true);
        }
        if read == 0 {
            return Ok(false);
        }
        kept = end.min(OVERLAP);
        bytes.copy_within(end - kept..end, 0);
    }
}

fn reading(file: &Path) -> String {
    format!("reading `{}`", file.display())
}

/// Returns `true` for a file without bytes.
fn is_empty(file: &Path) -> bool {
    fs::metadata(file).is_ok_and(|file| file.len() == 0)
}
