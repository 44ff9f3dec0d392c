//! Makes the folder of a lake, and takes it back where nothing came into it.
//!
//! ```text
//! before              lake/.wabalake/locks, scratch      made for a load
//! the load fails      nothing                            taken back, lake too if it was made for it
//! ```
//!
//! Who else uses the lake at that time holds the lock `writing`, and keeps it: nothing is taken back.
//! Who comes just then makes anew what is gone. Folders are deleted only where they are empty.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Lake, lock, refuse_url};
use crate::error::{Context as _, Result};

/// What was not there before a lake was made.
#[derive(Debug)]
#[must_use]
pub struct Creation {
    root: PathBuf,
    /// The lake's folder and those above it, from the inside out.
    folders: Vec<PathBuf>,
    /// What wabalake keeps beside the tables, if that was not there.
    own: Option<PathBuf>,
}

impl Creation {
    /// Looks at what is there, before [`Lake::create`].
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

    /// Takes back what was made since, as far as it is empty and nobody uses it. What cannot be deleted
    /// stays.
    pub fn take_back(self) {
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
        // A load that was killed left something there.
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

/// What wabalake keeps beside the tables.
pub(super) const OWN: &str = ".wabalake";

/// Deletes a folder, if there is nothing in it but folders without files.
fn delete_empty(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            delete_empty(&entry.path());
        }
    }
    let _ = fs::remove_dir(folder);
}

impl Lake {
    /// A lake that may have to be made first.
    ///
    /// # Errors
    ///
    /// A folder that cannot be made.
    pub fn create(path: impl AsRef<Path>) -> Result<Self> {
        const TRIES: usize = 10;
        let path = path.as_ref();
        refuse_url(path)?;
        for _ in 1..TRIES {
            // Another load may fail meanwhile, and take it back.
            let made = fs::create_dir_all(path);
            match Self::open(path) {
                Err(_) if made.is_ok() && !path.exists() => {}
                Ok(lake) => return Ok(lake),
                Err(_) => break,
            }
        }
        fs::create_dir_all(path).context(|| format!("making `{}`", path.display()))?;
        Self::open(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left_of_a_lake_that_was_made_for_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("a/b/lake");
        let creation = Creation::of(&root);
        let lake = Lake::create(&root).unwrap();
        drop(lake.scratch().unwrap());
        fs::create_dir_all(root.join("tables/sessions/_delta_log")).unwrap();
        creation.take_back();
        assert!(!folder.path().join("a").exists());
    }

    #[test]
    fn what_was_there_or_is_used_stays() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("lake");
        fs::create_dir(&root).unwrap();
        let creation = Creation::of(&root);
        let lake = Lake::create(&root).unwrap();
        drop(lake.scratch().unwrap());
        creation.take_back();
        assert_eq!(fs::read_dir(&root).unwrap().count(), 0, "an empty folder stays one");

        for used in [true, false] {
            let creation = Creation::of(&root);
            let scratch = lake.scratch().unwrap();
            let scratch = used.then_some(scratch);
            if !used {
                fs::create_dir(root.join("tables")).unwrap();
                fs::write(root.join("tables/theirs"), "").unwrap();
            }
            creation.take_back();
            assert!(root.join(".wabalake/locks/writing").exists(), "used: {used}");
            drop(scratch);
            if used {
                Creation { own: Some(root.join(OWN)), ..Creation::of(&root) }.take_back();
            }
        }
        Creation::of(&root).take_back();
        assert!(root.join(".wabalake").exists(), "it was there before");
    }

    #[test]
    fn who_comes_meanwhile_is_not_in_the_way() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("deep/lake");
        let rounds = 300;
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for _ in 0..rounds {
                        let creation = Creation::of(&root);
                        drop(Lake::create(&root).unwrap().scratch().unwrap());
                        creation.take_back();
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
