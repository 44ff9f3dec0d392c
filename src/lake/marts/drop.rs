//! Drops marts: the next nightly run rebuilds them.
//!
//! | place | log of the mart | what happens |
//! |---|---|---|
//! | folder | any | it is moved away, so that no reader finds half a table; data files are deleted |
//! | store | readable | a commit removes all data files, which are deleted then; the log stays |
//! | store | unreadable | it is deleted, the newest version last; then data files are |
//!
//! On a store a folder cannot be moved at once. The log of a mart holds no values, and a mart that is
//! rebuilt goes on from it: no cache takes an older state for a newer one.

use std::fs::{self, FileType};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use super::{MART_DAY, MARTS, PROVENANCE};
use crate::error::{Context as _, Error, Result};
use crate::lake::files::{entries, is_data_file, is_day, is_of_log, listed, name};
use crate::lake::log::Listing;
use crate::lake::snapshot::stored_schema;
use crate::lake::transact::Base;
use crate::lake::{Change, Lake, Layout, Operation, Snapshot};
use crate::place::Key;

/// How many files of a log are read at once.
const AT_ONCE: usize = 64;

impl Lake {
    /// Drops a mart.
    ///
    /// # Errors
    ///
    /// Files that cannot be moved or deleted; in a folder a link, which may lead out of the lake; a file
    /// of others in a log that has to be deleted.
    pub fn drop_mart(&self, mart: &Layout) -> Result<()> {
        if self.place().as_folder().is_none() {
            return self.drop_on_store(&mart.key());
        }
        self.forget(&mart.key());
        if self.log_of(mart).is_there() {
            let scratch = self.scratch()?;
            self.drop_table(&self.folder(mart), &scratch.join(mart.name.as_str()))?;
        }
        Ok(())
    }

    /// Drops every mart. Files of others stay. The caller keeps other writers out.
    ///
    /// # Errors
    ///
    /// As [`Lake::drop_mart`].
    pub fn drop_marts(&self) -> Result<()> {
        let Some(root) = self.place().as_folder() else {
            let marts = self.place().folders(&Key::root().join(MARTS))?;
            return marts.iter().try_for_each(|mart| self.drop_on_store(mart));
        };
        let folder = root.join(MARTS);
        let marts = entries(&folder)?;
        if marts.is_empty() {
            return Ok(());
        }
        let gone = self.internal_folder("scratch").join(format!("marts-{}", uuid::Uuid::new_v4()));
        fs::create_dir_all(&gone).context(|| format!("creating `{}`", gone.display()))?;
        let is_folder = |mart: &Path| mart.is_dir() && !mart.is_symlink();
        for (number, mart) in marts.iter().enumerate().filter(|(_, mart)| is_folder(mart)) {
            self.drop_table(mart, &gone.join(number.to_string()))?;
        }
        // Fails, as intended, if there are files of others.
        let _ = fs::remove_dir(folder);
        fs::remove_dir_all(&gone).context(|| format!("deleting `{}`", gone.display()))
    }

    /// Returns `true` if there may be marts.
    ///
    /// # Errors
    ///
    /// A place that cannot be read.
    pub(in crate::lake) fn has_marts(&self) -> Result<bool> {
        match self.place().as_folder() {
            Some(root) => Ok(root.join(MARTS).is_dir()),
            None => Ok(!self.place().folders(&Key::root().join(MARTS))?.is_empty()),
        }
    }

    /// Forgets what was read of a table's log.
    fn forget(&self, table: &Key) {
        if let Ok(mut known) = self.known.lock() {
            known.remove(table);
        }
        if let Ok(mut logs) = self.logs.lock() {
            logs.remove(table);
        }
    }

    /// Deletes the table of a mart in a folder, except files of others. `place` is where its log is
    /// moved to.
    fn drop_table(&self, table: &Path, place: &Path) -> Result<()> {
        let log = table.join("_delta_log");
        let mut way = log.ancestors().take_while(|part| Some(*part) != self.place().as_folder());
        if let Some(link) = way.find(|part| part.is_symlink()) {
            let error = Error::lake(format!("`{}` is a link", link.display()));
            return Err(error.hint(
                "nothing is deleted behind a link: delete its target, then the link itself",
            ));
        }
        let others =
            |(path, kind): &(PathBuf, FileType)| !kind.is_file() || !is_of_log(&name(path));
        if let Some((path, _)) = listed(&log)?.into_iter().find(others) {
            return Err(not_ours(path.display()));
        }
        if log.is_dir() {
            fs::rename(&log, place).context(|| deleting(table))?;
        }
        for (day, kind) in listed(table)? {
            if !kind.is_dir() || !is_day(&name(&day), MART_DAY) {
                continue;
            }
            for (file, kind) in listed(&day)? {
                if kind.is_file() && is_data_file(&name(&file)) {
                    fs::remove_file(&file).context(|| deleting(&file))?;
                }
            }
            // These two fail, as intended, if the folders are not empty.
            let _ = fs::remove_dir(&day);
        }
        let _ = fs::remove_dir(table);
        Ok(())
    }

    /// Drops the mart at a key of a store.
    fn drop_on_store(&self, table: &Key) -> Result<()> {
        let _writing = self.writing()?;
        self.forget(table);
        let mut unused = match self.stored_mart(table) {
            Ok(None) => Vec::new(),
            Ok(Some(layout)) => self.remove_all_files(&layout)?,
            Err(_) => {
                self.delete_log(table)?;
                self.data_files(table)?
            }
        };
        if self.lease().is_some_and(|lease| lease.is_exclusive()) {
            // Nobody is about to commit a file: all can go, those of old versions, too.
            unused = self.data_files(table)?;
        }
        self.delete_files(&unused)
    }

    /// The layout of the mart at a key of a store, by its own schema: no settings may define it any more.
    /// `None` if it has no log.
    fn stored_mart(&self, table: &Key) -> Result<Option<Layout>> {
        let bare = Layout::of_mart(table.name(), &[]);
        let log = self.log_of(&bare);
        let Some(state) = log.state(None)? else { return Ok(None) };
        log.check_replaceable(&state)?;
        let stored = stored_schema(&state, MART_DAY);
        let stored =
            stored.ok_or_else(|| Error::lake("the mart has a column of another program"))?;
        let layout = Layout { stored, ..bare };
        Snapshot::new(layout.clone(), Arc::clone(self.place()), table.clone(), Some(state))?;
        Ok(Some(layout))
    }

    /// Commits that a mart has no files. Returns those that it had.
    fn remove_all_files(&self, layout: &Layout) -> Result<Vec<Key>> {
        let mut removed = Vec::new();
        self.transact_locked(layout, Base::Newest, false, |snapshot, _| {
            removed = snapshot.files.iter().map(|file| file.path.clone()).collect();
            let mut change = Change::new(Operation::Mart);
            change.remove.clone_from(&removed);
            change.info.insert(PROVENANCE.to_owned(), Value::Null);
            Ok(Some(change).filter(|change| !change.remove.is_empty()))
        })?;
        let log = self.log_of(layout);
        removed.iter().map(|path| log.file_key(path)).collect()
    }

    /// Deletes a log that cannot be read from a store. A reader that comes in between finds a gap, never
    /// an older version.
    fn delete_log(&self, table: &Key) -> Result<()> {
        let folder = table.join("_delta_log");
        let files = self.place().list(&folder, None)?;
        let mut keys: Vec<Key> = files.into_iter().map(|file| file.key).collect();
        if let Some(other) =
            keys.iter().find(|key| key.parent() != folder || !is_of_log(key.name()))
        {
            return Err(not_ours(self.shown(other.as_str())));
        }
        for keys in keys.chunks(AT_ONCE) {
            // A log is not unreadable because the store does not answer.
            self.place().read_all(keys).into_iter().collect::<Result<Vec<_>>>()?;
        }
        self.check_lease()?;
        let newest = Listing::of(&keys).newest();
        let prefix = newest.map(|newest| format!("{newest:020}."));
        let is_newest = |key: &Key| prefix.as_ref().is_some_and(|is| key.name().starts_with(is));
        let last: Vec<Key> = keys.extract_if(.., |key| is_newest(key)).collect();
        self.place().delete(&keys)?;
        self.place().delete(&last)?;
        self.forget(table);
        Ok(())
    }

    /// The data files of a mart on a store, of all versions and of none.
    fn data_files(&self, table: &Key) -> Result<Vec<Key>> {
        let files = self.place().list(table, None)?.into_iter().map(|file| file.key);
        let is_ours = |file: &Key| {
            let day = file.parent();
            day.parent() == *table && is_day(day.name(), MART_DAY) && is_data_file(file.name())
        };
        Ok(files.filter(is_ours).collect())
    }
}

fn not_ours(file: impl std::fmt::Display) -> Error {
    Error::lake(format!("`{file}` is not a file of wabalake"))
        .hint("move it elsewhere, and run the same command again")
}

fn deleting(file: &Path) -> String {
    format!("deleting `{}`", file.display())
}
