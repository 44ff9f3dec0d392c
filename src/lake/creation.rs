//! Creates the folder of a lake, and removes it again if nothing was loaded into it.
//!
//! ```text
//! before              lake/.wabalake/locks, scratch      created for a load
//! the load fails      nothing                            removed, with the lake if it was created too
//! ```
//!
//! Another process that uses the lake holds the lock `writing`: then nothing is removed. A process that
//! comes just then creates again what is gone. Only empty folders are deleted.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Lake, lock, refuse_url};
use crate::error::{Context as _, Result};
use crate::place::OWN;

/// What did not exist before a lake was created.
#[derive(Debug)]
#[must_use]
pub struct Creation {
    root: PathBuf,
    /// The lake's folder and its missing parents, innermost first.
    folders: Vec<PathBuf>,
    /// The folder `.wabalake`, if it was missing.
    own: Option<PathBuf>,
}

impl Creation {
    /// Records what exists, before [`Lake::create`].
    pub fn of(path: impl AsRef<Path>) -> Self {
        let path = path.as_ref();
        let root = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
        let folders = root.ancestors().take_while(|folder| !folder.exists());
        let own = root.join(OWN);
        Self {
            folders: folders.map(Path::to_path_buf).collect(),
            own: (!own.exists()).then_some(own),
            root,
        }
    }

    /// Removes what was created since, as far as it is empty and unused. What cannot be deleted
    /// stays.
    pub fn roll_back(self) {
        let Some(own) = self.own else { return };
        let _alone = match own.is_dir() {
            true => match lock::take(&own.join("locks").join("writing")) {
                Ok(Some(alone)) => Some(alone),
                _ => return,
            },
            false => None,
        };
        for tables in ["tables", "marts"].map(|within| self.root.join(within)) {
            delete_empty(&tables);
            if tables.exists() {
                return;
            }
        }
        let locks = own.join("locks");
        // Fails, as intended, if a load over several tables is begun.
        let _ = fs::remove_dir(own.join("loads"));
        // A killed load may have left something there.
        if fs::remove_dir(own.join("scratch")).is_err() && own.join("scratch").exists() {
            return;
        }
        for file in fs::read_dir(&locks).into_iter().flatten().flatten() {
            let _ = fs::remove_file(file.path());
        }
        for folder in [locks, own].into_iter().chain(self.folders) {
            let _ = fs::remove_dir(folder);
        }
    }
}

/// Deletes a folder that holds no files, with its subfolders.
fn delete_empty(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            delete_empty(&entry.path());
        }
    }
    let _ = fs::remove_dir(folder);
}

impl Lake {
    /// Opens a lake, creating its folder if needed.
    ///
    /// # Errors
    ///
    /// A folder that cannot be created.
    pub fn create(path: impl AsRef<Path>) -> Result<Self> {
        const TRIES: usize = 10;
        let path = path.as_ref();
        refuse_url(path)?;
        for _ in 1..TRIES {
            // A load that fails meanwhile may remove the folder.
            let made = fs::create_dir_all(path);
            match Self::open(path) {
                Err(_) if made.is_ok() && !path.exists() => {}
                Ok(lake) => return Ok(lake),
                Err(_) => break,
            }
        }
        fs::create_dir_all(path).context(|| format!("creating `{}`", path.display()))?;
        Self::open(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rollback_removes_all_that_was_created() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("a/b/lake");
        let creation = Creation::of(&root);
        let lake = Lake::create(&root).unwrap();
        drop(lake.scratch().unwrap());
        fs::create_dir_all(root.join("tables/sessions/_delta_log")).unwrap();
        creation.roll_back();
        assert!(!folder.path().join("a").exists());
    }

    #[test]
    fn rollback_keeps_what_existed_or_is_used() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("lake");
        fs::create_dir(&root).unwrap();
        let creation = Creation::of(&root);
        let lake = Lake::create(&root).unwrap();
        drop(lake.scratch().unwrap());
        creation.roll_back();
        assert_eq!(fs::read_dir(&root).unwrap().count(), 0, "an empty folder stays one");

        for used in [true, false] {
            let creation = Creation::of(&root);
            let scratch = lake.scratch().unwrap();
            let scratch = used.then_some(scratch);
            if !used {
                fs::create_dir(root.join("tables")).unwrap();
                fs::write(root.join("tables/theirs"), "").unwrap();
            }
            creation.roll_back();
            assert!(root.join(".wabalake/locks/writing").exists(), "used: {used}");
            drop(scratch);
            if used {
                Creation { own: Some(root.join(OWN)), ..Creation::of(&root) }.roll_back();
            }
        }
        Creation::of(&root).roll_back();
        assert!(root.join(".wabalake").exists(), "it was there before");
    }

    #[test]
    fn rollback_does_not_disturb_concurrent_use() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("deep/lake");
        let rounds = 25;
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for _ in 0..rounds {
                        let creation = Creation::of(&root);
                        drop(Lake::create(&root).unwrap().scratch().unwrap());
                        creation.roll_back();
                    }
                });
                scope.spawn(|| {
                    for _ in 0..rounds {
                        let scratch = Lake::create(&root).unwrap().scratch().unwrap();
                        fs::write(scratch.join("rows"), "").unwrap();
                        assert!(lock::look(&root.join(OWN).join("locks/writing")).is_none());
                    }
                });
            }
        });
    }
}
