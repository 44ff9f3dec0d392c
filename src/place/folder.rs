//! A lake's place in a folder of this machine.
//!
//! Files appear by a rename, so that a reader finds all of a file or none of it. What must not exist
//! yet is renamed without replacing.

use std::collections::BTreeSet;
use std::fs::{self, DirEntry, File, Metadata};
use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use rayon::prelude::*;
use tempfile::TempDir;
use wabalake_data::at_once;

use super::{Entry, Key, Made, OWN, Part, Payload};
use crate::error::{Context as _, Error, Result};
use crate::files::{Access, beside, synced_beside, write_synced};

/// Files and folders are synced by so many threads: 365 files in as many folders then take 0.3 s, not
/// 2.3 s.
const THREADS: usize = 16;

/// A folder.
#[derive(Debug)]
pub(super) struct Folder {
    root: PathBuf,
}

impl Folder {
    pub(super) fn new(root: PathBuf) -> Self {
        Self { root }
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// The path of a key.
    pub(super) fn path(&self, key: &Key) -> PathBuf {
        match key.as_str() {
            "" => self.root.clone(),
            key => self.root.join(key),
        }
    }

    pub(super) fn list(&self, below: &Key, after: Option<&str>) -> Result<Vec<Entry>> {
        let mut found = Vec::new();
        self.walk(
            below,
            &mut |key| match (after, key.below(below)) {
                (Some(after), Some(name)) => name > after,
                _ => true,
            },
            &mut found,
        )?;
        found.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        Ok(found)
    }

    fn walk(
        &self,
        folder: &Key,
        wanted: &mut dyn FnMut(&Key) -> bool,
        found: &mut Vec<Entry>,
    ) -> Result<()> {
        for (key, entry) in self.entries_of(folder)? {
            let listing = || self.doing("listing", &key);
            let kind = entry.file_type().context(listing)?;
            if kind.is_dir() {
                self.walk(&key, wanted, found)?;
            } else if kind.is_file() && wanted(&key) {
                // Another process may have deleted it meanwhile.
                match entry.metadata() {
                    Ok(file) => found.push(entry_of(key, &file)),
                    Err(error) if error.kind() == ErrorKind::NotFound => {}
                    Err(error) => return Err(error).context(listing),
                }
            }
        }
        Ok(())
    }

    pub(super) fn folders(&self, below: &Key) -> Result<Vec<Key>> {
        let mut found = Vec::new();
        for (key, entry) in self.entries_of(below)? {
            if entry.file_type().context(|| self.doing("listing", &key))?.is_dir() {
                found.push(key);
            }
        }
        found.sort_unstable();
        Ok(found)
    }

    /// The entries of a folder whose names can be keys; none if it does not exist or is a link.
    fn entries_of(&self, folder: &Key) -> Result<Vec<(Key, DirEntry)>> {
        let listing = || self.doing("listing", folder);
        let path = self.path(folder);
        if *folder != Key::root() && path.is_symlink() {
            return Ok(Vec::new());
        }
        let entries = match fs::read_dir(&path) {
            Err(error) if is_missing(&error) => return Ok(Vec::new()),
            entries => entries.context(listing)?,
        };
        let mut found = Vec::new();
        for entry in entries {
            let entry = entry.context(listing)?;
            if let Some(name) = entry.file_name().to_str().filter(|name| super::key::is_part(name))
            {
                found.push((folder.join(name), entry));
            }
        }
        Ok(found)
    }

    pub(super) fn entries(&self, keys: &[Key]) -> Vec<Result<Option<Entry>>> {
        let entry = |key: &Key| match self.path(key).metadata() {
            Ok(file) => Ok(file.is_file().then(|| entry_of(key.clone(), &file))),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(error).context(|| self.doing("reading", key)),
        };
        keys.iter().map(entry).collect()
    }

    pub(super) fn read(&self, key: &Key) -> Result<Option<Bytes>> {
        match fs::read(self.path(key)) {
            Ok(bytes) => Ok(Some(bytes.into())),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(error).context(|| self.doing("reading", key)),
        }
    }

    pub(super) fn read_all(&self, keys: &[Key]) -> Vec<Result<Option<Bytes>>> {
        keys.par_iter().map(|key| self.read(key)).collect()
    }

    pub(super) fn parts(&self, parts: &[Part]) -> Vec<Result<Bytes>> {
        let read = |part: &Part| {
            let mut file = File::open(self.path(&part.key))?;
            file.seek(SeekFrom::Start(part.range.start))?;
            let length = part.range.end - part.range.start;
            let mut bytes = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
            file.read_exact(&mut bytes)?;
            Ok::<_, std::io::Error>(bytes.into())
        };
        parts
            .par_iter()
            .map(|part| read(part).context(|| self.doing("reading", &part.key)))
            .collect()
    }

    pub(super) fn make(&self, key: &Key, bytes: &[u8]) -> Result<Made> {
        let writing = || self.doing("writing", key);
        let path = self.path(key);
        let temporary = synced_beside(&path, Access::Usual, bytes).context(writing)?;
        if let Err(error) = temporary.persist_noclobber(&path) {
            // A network file system may have done it and lost its answer.
            let there = self.read(key).map_err(Error::in_doubt)?;
            return match there {
                Some(there) if there == bytes => Ok(Made::Done),
                Some(_) => Ok(Made::Taken),
                // Such a file system may do it yet.
                None => Err(error.error).context(writing).map_err(Error::in_doubt),
            };
        }
        sync_folders(&[&path], &self.root);
        Ok(Made::Done)
    }

    pub(super) fn swap(&self, key: &Key, bytes: &[u8], tag: &str) -> Result<Made> {
        let writing = || self.doing("writing", key);
        let path = self.path(key);
        let temporary = synced_beside(&path, Access::Usual, bytes).context(writing)?;
        // Without it, two processes could both see the tag before either renames.
        let locks = self.root.join(OWN).join("locks");
        fs::create_dir_all(&locks).context(writing)?;
        let lock = File::options().create(true).append(true).open(locks.join("swap"));
        let lock = lock.context(writing)?;
        // Not every file system has locks.
        let _ = lock.lock();
        match path.metadata() {
            Ok(there) if tag_of(&there).as_deref() == Some(tag) => {}
            Ok(_) => return Ok(Made::Taken),
            Err(error) if is_missing(&error) => return Ok(Made::Taken),
            Err(error) => return Err(error).context(writing),
        }
        temporary.persist(&path).map_err(|error| error.error).context(writing)?;
        sync_folders(&[&path], &self.root);
        Ok(Made::Done)
    }

    pub(super) fn put(&self, key: &Key, from: Payload) -> Result<()> {
        let writing = || self.doing("writing", key);
        let path = self.path(key);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).context(writing)?;
        }
        match from {
            Payload::Bytes(bytes) => {
                let mut file = beside(&path, Access::Usual).context(writing)?;
                file.write_all(&bytes).context(writing)?;
                file.persist(&path).map(drop).map_err(|error| error.error).context(writing)
            }
            Payload::File(file) => match fs::rename(&file, &path) {
                Err(error) if error.kind() == ErrorKind::CrossesDevices => {
                    self.copy_file(&file, &path).context(writing)
                }
                renamed => renamed.context(writing),
            },
        }
    }

    pub(super) fn replace(&self, key: &Key, bytes: &[u8]) -> Result<()> {
        let path = self.path(key);
        write_synced(&path, Access::Usual, bytes)?;
        sync_folders(&[&path], &self.root);
        Ok(())
    }

    pub(super) fn copy(&self, from: &Key, to: &Key) -> Result<()> {
        let copied = self.copy_file(&self.path(from), &self.path(to));
        copied.context(|| self.doing(&format!("copying `{from}` to"), to))
    }

    fn copy_file(&self, from: &Path, to: &Path) -> Result<()> {
        let mut from = File::open(from)?;
        fs::create_dir_all(to.parent().unwrap_or(&self.root))?;
        let mut file = beside(to, Access::Usual)?;
        std::io::copy(&mut from, &mut file)?;
        file.persist(to).map_err(|error| error.error)?;
        Ok(())
    }

    pub(super) fn delete(&self, keys: &[Key]) -> Result<()> {
        let delete = |key: &Key| match fs::remove_file(self.path(key)) {
            Err(error) if !is_missing(&error) => Err(error).context(|| self.doing("deleting", key)),
            _ => Ok(()),
        };
        // What can be deleted is, whatever cannot.
        let all: Vec<_> = keys.iter().map(delete).collect();
        all.into_iter().collect()
    }

    pub(super) fn sync(&self, keys: &[Key]) -> Result<()> {
        let paths: Vec<_> = keys.iter().map(|key| self.path(key)).collect();
        let paths: Vec<_> = paths.iter().map(PathBuf::as_path).collect();
        let synced = at_once(&paths, THREADS, |file| {
            let synced = File::open(file).and_then(|file| file.sync_all());
            synced.context(|| format!("writing `{}`", file.display()))
        });
        synced.into_iter().collect::<Result<()>>()?;
        sync_folders(&paths, &self.root);
        Ok(())
    }

    pub(super) fn scratch(&self) -> Result<TempDir> {
        let within = self.root.join(OWN).join("scratch");
        let made = fs::create_dir_all(&within).and_then(|()| TempDir::new_in(&within));
        made.context(|| format!("creating a folder in `{}`", within.display()))
    }

    fn doing(&self, what: &str, key: &Key) -> String {
        format!("{what} `{}`", self.path(key).display())
    }
}

/// Returns `true` if a file or a folder on its path does not exist.
fn is_missing(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

fn entry_of(key: Key, file: &Metadata) -> Entry {
    let modified = file.modified().unwrap_or(std::time::UNIX_EPOCH).into();
    Entry { key, bytes: file.len(), modified, tag: tag_of(file) }
}

/// The tag of a file: another one has another number, and a changed one another time or size.
fn tag_of(file: &Metadata) -> Option<String> {
    let since = file.modified().ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
    #[cfg(unix)]
    let number = std::os::unix::fs::MetadataExt::ino(file);
    #[cfg(not(unix))]
    let number = 0;
    Some(format!("{number:x}-{:x}-{:x}", since.as_nanos(), file.len()))
}

/// Syncs all folders below the root that lead to files.
fn sync_folders(files: &[&Path], root: &Path) {
    let folders = files.iter().flat_map(|file| file.ancestors().skip(1));
    let folders: BTreeSet<&Path> = folders.filter(|folder| folder.starts_with(root)).collect();
    at_once(&Vec::from_iter(folders), THREADS, |folder| {
        // Not every system can open or sync a folder; such systems do not lose entries if only the
        // process dies.
        let _ = File::open(folder).and_then(|folder| folder.sync_all());
    });
}
