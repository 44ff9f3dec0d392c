//! Lists the commits and checkpoints of a log folder.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;

use super::Log;
use super::replay::{DamagedFile, ReplayError};
use crate::error::{Context as _, Result};
use crate::lake::damage::Damage;
use crate::lake::files::{entries, is_data_file};
use crate::place::Key;

/// The files of a log folder.
#[derive(Clone, Debug, Default)]
pub(in crate::lake) struct Listing {
    pub(in crate::lake) commits: Vec<u64>,
    /// The parts of each checkpoint, by version: the number there should be, and those that exist.
    pub(in crate::lake) checkpoints: BTreeMap<u64, (usize, Vec<Key>)>,
}

impl Listing {
    /// The commits and checkpoints among files.
    pub(in crate::lake) fn of(files: &[Key]) -> Self {
        let mut listing = Self::default();
        for file in files {
            listing.add(file.name(), || file.clone());
        }
        listing.commits.sort_unstable();
        listing
    }

    pub(in crate::lake) fn newest(&self) -> Option<u64> {
        self.commits.last().copied().max(self.checkpoints.keys().last().copied())
    }

    /// Drops versions from one on, which readers do not see.
    pub(super) fn cut(&mut self, end: Option<u64>) {
        if let Some(end) = end {
            self.commits.retain(|version| *version < end);
            self.checkpoints.retain(|version, _| *version < end);
        }
    }

    pub(super) fn holds(&self, version: u64) -> bool {
        self.commits.binary_search(&version).is_ok()
    }
}

impl Log {
    /// The versions whose commits exist, oldest first. The history back to the first of them is
    /// complete.
    pub(in crate::lake) fn versions(&self) -> Result<Vec<u64>> {
        let listing = self.list()?;
        let (Some(first), Some(newest)) = (listing.commits.first(), listing.newest()) else {
            return Ok(Vec::new());
        };
        let versions: Vec<u64> = (*first..=newest).collect();
        match versions.iter().find(|version| !self.holds(&listing, **version)) {
            Some(version) => {
                let file = self.commit_key(*version);
                Err(self.error_of(ReplayError::DamagedFile(DamagedFile::new(
                    *version,
                    file,
                    Damage::Missing,
                ))))
            }
            None => Ok(versions),
        }
    }

    /// Returns `true` if a commit exists. One that was written during the listing may be missing
    /// from it.
    pub(super) fn holds(&self, listing: &Listing, version: u64) -> bool {
        listing.holds(version) || self.exists(&self.commit_key(version))
    }

    /// The parts of each checkpoint, by version.
    pub(in crate::lake) fn checkpoints(&self) -> Result<Vec<(u64, Vec<Key>)>> {
        let checkpoints = self.list()?.checkpoints.into_iter();
        Ok(checkpoints.map(|(version, (_, parts))| (version, parts)).collect())
    }

    /// Lists the log folder. Commits that are known to be lost are an error.
    pub(in crate::lake) fn list(&self) -> Result<Listing> {
        let mut listing = self.list_folder()?;
        self.check_end(&listing)?;
        listing.cut(self.end);
        Ok(listing)
    }

    /// Checks that a listing does not end before a commit that is known.
    ///
    /// # Errors
    ///
    /// Commits that are lost.
    pub(in crate::lake) fn check_end(&self, listing: &Listing) -> Result<()> {
        let found = listing.newest();
        let lost = match self.newest {
            Some(newest) if found.is_none_or(|found| found < newest) => Some(newest),
            // The log folder is created before the first data file.
            None if found.is_none() && self.place.as_folder().is_some() => {
                (!self.is_there() && self.has_rows()).then_some(0)
            }
            _ => None,
        };
        lost.map_or(Ok(()), |version| Err(self.lost(version, found)))
    }

    /// Returns `true` if there are data files that wabalake wrote, not following links.
    fn has_rows(&self) -> bool {
        let named = |path: &Path, is: fn(&str) -> bool| {
            path.file_name().and_then(|name| name.to_str()).is_some_and(is)
        };
        let Ok(days) = std::fs::read_dir(self.table()) else { return false };
        let mut days = days.flatten().map(|day| day.path());
        days.any(|day| {
            named(&day, |name| name.contains('='))
                && entries(&day).unwrap_or_default().iter().any(|file| named(file, is_data_file))
        })
    }

    /// Lists the log folder as it is.
    pub(in crate::lake) fn list_folder(&self) -> Result<Listing> {
        self.list_after(None)
    }

    /// Lists the log folder from a version on.
    pub(super) fn list_after(&self, version: Option<u64>) -> Result<Listing> {
        let mut listing = Listing::default();
        if self.place.as_folder().is_none() {
            // What readers see up to a version does not change with later commits.
            if let Some((listing, end)) = self.fetched.listing().zip(self.end)
                && version.is_none()
                && listing.newest().map_or(0, |newest| newest + 1) >= end
            {
                return Ok(listing);
            }
            // The version's own files are greater than its number.
            let after = version.map(|version| format!("{version:020}"));
            for entry in self.place.list(&self.folder, after.as_deref()).context(|| self.name())? {
                if entry.key.parent() == self.folder {
                    listing.add(entry.key.name(), || entry.key.clone());
                    self.fetched.note(entry);
                }
            }
            listing.commits.sort_unstable();
            if version.is_none() {
                self.fetched.note_listing(&listing);
            } else {
                self.fetched.note_newest(listing.newest());
            }
            return Ok(listing);
        }
        let entries = match std::fs::read_dir(self.path(&self.folder)) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(listing),
            entries => entries.context(|| self.name())?,
        };
        for entry in entries {
            let entry = entry.context(|| self.name())?;
            let name = entry.file_name();
            let name = name.to_str().unwrap_or_default();
            listing.add(name, || self.folder.join(name));
        }
        listing.commits.sort_unstable();
        Ok(listing)
    }
}

impl Listing {
    /// Adds a file by its name, if it is a commit or a part of a checkpoint.
    fn add(&mut self, name: &str, key: impl FnOnce() -> Key) {
        let parts: Vec<&str> = name.split('.').collect();
        let Some(Ok(version)) = parts.first().map(|version| version.parse()) else { return };
        let of = match parts[1..] {
            ["json"] => return self.commits.push(version),
            ["checkpoint", "parquet"] => 1,
            ["checkpoint", _, of, "parquet"] => of.parse().unwrap_or(usize::MAX),
            _ => return,
        };
        self.checkpoints.entry(version).or_insert((of, Vec::new())).1.push(key());
    }
}
