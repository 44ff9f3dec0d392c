//! Searches folders of this machine.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::content::search_file;
use super::{Found, holds_number, is_empty, is_ours, open, reading};
use crate::error::{Context as _, Result};
use crate::lake::erase::number::MatchMode;
use crate::lake::erase::target::Target;
use crate::load::person::ReadResult;
use crate::place::Key;

/// A search of folders of this machine.
pub(super) struct Folders<'s> {
    /// The lake's folder; `None` if it is on a store.
    root: Option<&'s Path>,
    target: &'s Target,
    known: &'s HashSet<Key>,
    spool: &'s Path,
    walked: HashSet<PathBuf>,
    found: &'s mut Found,
}

impl<'s> Folders<'s> {
    pub(super) fn new(
        root: Option<&'s Path>,
        target: &'s Target,
        known: &'s HashSet<Key>,
        spool: &'s Path,
        found: &'s mut Found,
    ) -> Self {
        Self { root, target, known, spool, walked: HashSet::new(), found }
    }

    /// Searches a folder and its subfolders. Links are not followed.
    pub(super) fn folder(&mut self, top: &Path) -> Result<()> {
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
                    let below = self.below(&path);
                    if below.is_some_and(|below| below == Path::new(".wabalake/scratch")) {
                        continue;
                    }
                    if below.is_none() && path.join(".wabalake").is_dir() {
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

    /// The path below the lake's folder.
    fn below<'p>(&self, path: &'p Path) -> Option<&'p Path> {
        path.strip_prefix(self.root?).ok()
    }

    fn is_ours(&self, file: &Path) -> bool {
        let key = self.below(file).and_then(|below| Key::parse(below.to_str()?).ok());
        key.is_some_and(|key| is_ours(&key, self.known))
    }

    fn add(&mut self, path: &Path, reason: Option<String>) {
        let path = self.below(path).unwrap_or(path).to_owned();
        self.found.entry(path).or_insert(reason);
    }

    fn file(&mut self, file: &Path) -> Result<()> {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        if self.target.number.is_in(&name, MatchMode::National) {
            self.add(file, None);
            return Ok(());
        }
        if self.below(file).is_some_and(|below| below.starts_with(".wabalake")) {
            if holds_number(&mut open(file)?, self.target, || reading(file))? {
                self.add(file, None);
            }
            return Ok(());
        }
        if is_empty(file) {
            return Ok(());
        }
        match search_file(file, self.target, self.spool) {
            ReadResult::Whole => {}
            ReadResult::Stopped => self.add(file, None),
            ReadResult::Not(reason) => self.add(file, Some(reason)),
        }
        Ok(())
    }
}
