//! Older versions of objects that hold the person.
//!
//! | object | its older versions go |
//! |---|---|
//! | deleted or rewritten by this erasure | all |
//! | a data file, a part of a log, of wabalake's own | those that hold the person |
//! | below `marts` | all: marts are rebuilt |
//! | the journal | all |
//! | of others | none: see [`files`](super::files) |
//!
//! What `vacuum` or an undo deleted long ago may still be a version of its object, so they are searched
//! by their content, whatever deleted them.

use std::collections::HashSet;
use std::io::Cursor;

use bytes::Bytes;

use super::files::{Unsearched, holds_number, is_ours};
use super::journal;
use super::log_entries::without_number;
use super::number::MatchMode;
use super::rows::{FileAge, Roles};
use super::search::{groups, scan_bytes, texts};
use super::target::Target;
use crate::error::Result;
use crate::lake::Lake;
use crate::lake::files::is_data_file;
use crate::lake::layout::{TABLES, stored_table};
use crate::lake::log::json_lines;
use crate::lake::marts::MARTS;
use crate::place::{Kept, Key, OWN, Version};

/// Older versions, by what an erasure does with them.
#[derive(Default)]
pub(super) struct OldVersions {
    /// Those that hold the person: the keys and ids.
    pub(super) holding: HashSet<(Key, String)>,
}

impl Lake {
    /// Searches older versions of the lake's own files.
    ///
    /// # Errors
    ///
    /// A store that does not list or read versions that it keeps.
    pub(super) fn old_versions(&self, target: &Target) -> Result<OldVersions> {
        let mut found = OldVersions::default();
        if !matches!(self.place().kept()?, Kept::Versions { .. }) {
            return Ok(found);
        }
        let mut versions = self.place().versions(&Key::root())?;
        versions.retain(|version| {
            !version.is_latest && !version.is_marker && is_searched(&version.key)
        });
        for versions in groups(&versions, |version| version.bytes) {
            let asked: Vec<&Version> = versions.iter().collect();
            for (version, read) in versions.iter().zip(self.place().read_versions(&asked)) {
                if let Some(bytes) = read?
                    && holds(&version.key, bytes, target)?
                {
                    found.holding.insert((version.key.clone(), version.id.clone()));
                }
            }
        }
        Ok(found)
    }

    /// Deletes older versions that hold the person, and all of files that were deleted or rewritten.
    pub(super) fn delete_old_versions(
        &self,
        found: &OldVersions,
        changed: &HashSet<Key>,
    ) -> Result<()> {
        if !matches!(self.place().kept()?, Kept::Versions { .. }) {
            return Ok(());
        }
        let marts = Key::root().join(MARTS);
        let versions = self.place().versions(&Key::root())?;
        let (mut older, mut markers) = (Vec::new(), Vec::new());
        for versions in versions.chunk_by(|a, b| a.key == b.key) {
            let Some(Version { key, .. }) = versions.first() else { continue };
            let is_changed = changed.contains(key) || key.below(&marts).is_some();
            let goes = |version: &&Version| {
                let holds = || found.holding.contains(&(key.clone(), version.id.clone()));
                !version.is_latest && !version.is_marker && (is_changed || holds())
            };
            let count = older.len();
            older.extend(versions.iter().filter(goes).cloned());
            let is_any_left =
                versions.iter().filter(|version| !version.is_marker).count() > older.len() - count;
            // Without the newest marker, a version that stays would be found again.
            let is_of_none = |marker: &&Version| {
                marker.is_marker && (!is_any_left || is_changed && !marker.is_latest)
            };
            markers.extend(
                versions
                    .iter()
                    .filter(is_of_none)
                    .filter(|_| older.len() > count || is_changed)
                    .cloned(),
            );
        }
        self.delete_versions(&older)?;
        self.delete_versions(&markers)
    }

    /// Deletes all versions of the journal, which is deleted.
    pub(super) fn delete_journal_versions(&self) -> Result<()> {
        match self.place().kept()? {
            Kept::Versions { .. } => {
                self.delete_versions(&self.place().versions(&journal::file())?)
            }
            _ => Ok(()),
        }
    }

    fn delete_versions(&self, versions: &[Version]) -> Result<()> {
        /// How many are deleted before the lease is checked again.
        const AT_ONCE: usize = 1000;
        versions.chunks(AT_ONCE).try_for_each(|versions| {
            self.check_lease()?;
            self.place().delete_versions(versions)
        })
    }
}

/// What is reported if a store does not tell whether it keeps older versions.
pub(super) fn unsearched(lake: &Lake, status: Option<u16>) -> Unsearched {
    let answer = status.map(|status| format!(" ({status})")).unwrap_or_default();
    Unsearched {
        file: lake.place().shown().into(),
        reason: format!(
            "the store does not tell whether it keeps older versions{answer}: allow \
             `s3:GetBucketVersioning`, and run it again"
        ),
    }
}

/// Returns `true` for a file of wabalake's that may hold a person.
fn is_searched(file: &Key) -> bool {
    let own = Key::root().join(OWN);
    let leases = own.join("leases");
    file.below(&own).is_some() && file.below(&leases).is_none() || is_ours(file, &HashSet::new())
}

/// Returns `true` if the bytes of an older version of a file hold the person.
fn holds(file: &Key, bytes: Bytes, target: &Target) -> Result<bool> {
    if *file == journal::file() {
        // It names sessions of some person.
        return Ok(true);
    }
    let number = &target.number;
    if file.below(&Key::root().join(OWN)).is_some() {
        return holds_number(&mut Cursor::new(bytes), target, || format!("reading `{file}`"));
    }
    let (folder, name) = (file.parent(), file.name());
    if folder.name() == "_delta_log" {
        let text = || String::from_utf8_lossy(&bytes);
        return Ok(match name.rsplit_once('.') {
            Some((_, "json")) => without_number(&text(), number, &HashSet::new()).is_some(),
            Some((_, "parquet")) => {
                let rows = json_lines(&bytes).unwrap_or_default();
                number.is_in(&rows, MatchMode::Contiguous)
            }
            _ => number.is_in(&text(), MatchMode::Contiguous),
        });
    }
    if !is_data_file(name) {
        return Ok(false);
    }
    let table = folder.parent();
    let roles = match stored_table(table.name()).filter(|_| table.parent().name() == TABLES) {
        Some(table) => Roles::of(table),
        None => Roles::of_table(""),
    };
    match scan_bytes(bytes).and_then(texts) {
        Ok(rows) => Ok(!roles.redact(rows, target, FileAge::Old)?.is_as_before()),
        // Another program wrote it, or it was cut off.
        Err(_) => Ok(true),
    }
}
