//! Searches files of others in the lake's folder and its inbox for a person.
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

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::{self, File};
use std::io::Read as _;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use wabalake_data::cells::phone::Phones;

use super::number::MatchMode;
use super::records::ParsedRecord;
use super::rows::{Role, Roles};
use super::target::Target;
use crate::config::Config;
use crate::error::{Context as _, Result};
use crate::lake::files::{is_data_file, is_of_log};
use crate::lake::layout::TABLES;
use crate::lake::{Lake, stored_tables};
use crate::load::person::{Content, PersonReader, ReadResult, read_through};

/// A file that could not be searched, or not completely.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsearched {
    /// Its path: below the lake's folder, or absolute.
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

/// Searches the lake's folder and its inbox; `known` are the data files of the tables.
pub(super) fn search(
    lake: &Lake,
    config: &Config,
    target: &Target,
    known: &HashSet<PathBuf>,
) -> Result<FilesOfOthers> {
    let scratch = lake.internal_folder("scratch");
    fs::create_dir_all(&scratch).context(|| format!("creating `{}`", scratch.display()))?;
    let spool = tempfile::tempdir_in(&scratch)
        .context(|| format!("creating a folder in `{}`", scratch.display()))?;
    let mut search = Search {
        root: lake.root(),
        target,
        known,
        spool: spool.path(),
        walked: HashSet::new(),
        found: BTreeMap::new(),
    };
    search.folder(lake.root())?;
    let inbox = &config.inbox;
    for folder in inbox.folders.iter().chain(&inbox.loaded).chain(&inbox.failed) {
        // The settings name it, so it may be a link itself.
        if let Ok(folder) = lake.root().join(folder).canonicalize() {
            search.folder(&folder)?;
        }
    }
    let mut found = FilesOfOthers::default();
    for (file, why) in search.found {
        match why {
            None => found.holding.push(file),
            Some(reason) => found.unsearched.push(Unsearched { file, reason }),
        }
    }
    Ok(found)
}

struct Search<'s> {
    root: &'s Path,
    target: &'s Target,
    known: &'s HashSet<PathBuf>,
    spool: &'s Path,
    walked: HashSet<PathBuf>,
    /// Files that hold the number, and those that were not searched, with the reason.
    found: BTreeMap<PathBuf, Option<String>>,
}

impl Search<'_> {
    fn folder(&mut self, top: &Path) -> Result<()> {
        let mut folders = vec![top.to_owned()];
        while let Some(folder) = folders.pop() {
            if !self.walked.insert(folder.clone()) {
                continue;
            }
            let entries = match fs::read_dir(&folder) {
                Ok(entries) => entries,
                Err(error) => {
                    self.add(&folder, Some(error.to_string()));
                    continue;
                }
            };
            for entry in entries {
                let entry = entry.context(|| format!("listing `{}`", folder.display()))?;
                let path = entry.path();
                let kind = entry.file_type().context(|| reading(&path))?;
                if kind.is_symlink() {
                    self.add(&path, Some("a link".to_owned()));
                } else if kind.is_dir() {
                    if path == self.root.join(".wabalake").join("scratch") {
                        continue;
                    }
                    if !path.starts_with(self.root) && path.join(".wabalake").is_dir() {
                        self.add(&path, Some("another lake".to_owned()));
                        continue;
                    }
                    folders.push(path);
                } else if !kind.is_file() {
                    self.add(&path, Some("not a regular file".to_owned()));
                } else if !self.is_ours(&path) {
                    self.file(&path)?;
                }
            }
        }
        Ok(())
    }

    fn add(&mut self, path: &Path, reason: Option<String>) {
        let path = path.strip_prefix(self.root).unwrap_or(path).to_owned();
        self.found.entry(path).or_insert(reason);
    }

    /// Returns `true` for a file of a table or mart of the lake.
    fn is_ours(&self, file: &Path) -> bool {
        if self.known.contains(file) {
            return true;
        }
        let Ok(below) = file.strip_prefix(self.root) else { return false };
        let parts: Vec<_> = below.iter().map(|part| part.to_string_lossy()).collect();
        let [within, table, part, name] = &parts[..] else { return false };
        let is_table = || *within == TABLES && stored_tables().any(|of| of.name == *table);
        if *within != "marts" && !is_table() {
            return false;
        }
        if *part == "_delta_log" {
            is_of_log(name)
        } else {
            part.contains('=') && is_data_file(name)
        }
    }

    fn file(&mut self, file: &Path) -> Result<()> {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        if self.target.number.is_in(&name, MatchMode::National) {
            self.add(file, None);
            return Ok(());
        }
        if file.strip_prefix(self.root).is_ok_and(|below| below.starts_with(".wabalake")) {
            if holds_number(file, self.target)? {
                self.add(file, None);
            }
            return Ok(());
        }
        if fs::metadata(file).is_ok_and(|file| file.len() == 0) {
            return Ok(());
        }
        let mut reader = FileSearch::new(self.target);
        let home = self.target.home.as_deref();
        match read_through(file, self.spool, home, &mut |passage| reader.take(passage)) {
            ReadResult::Whole => {}
            ReadResult::Stopped => self.add(file, None),
            ReadResult::Not(reason) => self.add(file, Some(reason)),
        }
        Ok(())
    }
}

/// Searches the content of one file.
struct FileSearch<'s> {
    target: &'s Target,
    /// The last digits of the number; a text without them cannot hold it.
    tail: Option<String>,
    roles: HashMap<&'static str, Roles>,
    phones: Phones,
}

impl<'s> FileSearch<'s> {
    fn new(target: &'s Target) -> Self {
        const TAIL: usize = 7;
        let phone = &target.phone;
        let is_digits = phone.bytes().all(|b| b.is_ascii_digit());
        let tail = is_digits.then(|| phone[phone.len().saturating_sub(TAIL)..].to_owned());
        Self { target, tail, roles: HashMap::new(), phones: Phones::default() }
    }

    fn take(&mut self, passage: Content<'_>) -> ControlFlow<()> {
        let number = &self.target.number;
        let holds = match passage {
            Content::Text(text) => number.is_in(text, MatchMode::National),
            Content::Row(cells) => cells.iter().any(|cell| number.is_in(cell, MatchMode::National)),
            Content::Record(witness, raw, is_quoted) => {
                self.may_hold(raw) && self.record(witness, raw, is_quoted)
            }
        };
        if holds { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn record(&mut self, witness: &mut PersonReader, raw: &str, is_quoted: bool) -> bool {
        let table = witness.table();
        let roles = self.roles.entry(table).or_insert_with(|| Roles::of_table(table));
        let reading = ParsedRecord::of(witness, roles, raw, is_quoted, &self.phones);
        // An id of another row may contain it by chance.
        let is_text = |column: Option<&str>| column.is_none_or(|of| roles.role(of) == Role::Text);
        reading.is_theirs(self.target)
            || !reading.is_known(self.target) && reading.holds_in_full(raw, self.target)
            || reading.testimony.fields.iter().any(|(column, field)| {
                is_text(*column) && self.target.number.is_in(field, MatchMode::National)
            })
    }

    /// Returns `true` if a record may hold the number, whatever separates its digits.
    fn may_hold(&self, raw: &str) -> bool {
        let Some(tail) = self.tail.as_deref().filter(|_| raw.is_ascii()) else { return true };
        let digits: Vec<u8> = raw.bytes().filter(u8::is_ascii_digit).collect();
        memchr::memmem::find(&digits, tail.as_bytes()).is_some()
            || self.target.number.is_in(raw, MatchMode::Contiguous)
    }
}

/// Returns `true` if the bytes of a file hold the number without separators.
pub(super) fn holds_number(file: &Path, target: &Target) -> Result<bool> {
    const OVERLAP: usize = 4 << 10;
    let mut opened = File::open(file).context(|| reading(file))?;
    let mut bytes = vec![0; 256 << 10];
    let mut kept = 0;
    loop {
        let read = opened.read(&mut bytes[kept..]).context(|| reading(file))?;
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
