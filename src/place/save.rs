//! Copies objects to files of this machine.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;

use super::{Download, Key, Place};
use crate::error::{Context as _, Result};

impl Place {
    /// Copies a file to one of this machine, whose folder is created; `to` is not held in memory.
    ///
    /// # Errors
    ///
    /// A file that does not exist, or cannot be read or written.
    pub(crate) fn save(&self, key: &Key, to: &Path) -> Result<()> {
        let writing = || format!("writing `{}`", to.display());
        if let Some(folder) = to.parent() {
            fs::create_dir_all(folder).context(writing)?;
        }
        if let Some(root) = self.as_folder() {
            return fs::copy(root.join(key.as_str()), to).map(drop).context(writing);
        }
        Download::of(self, key)?.save(to)
    }
}

impl Download {
    /// Writes what is left of the object to a file of this machine, whose folder exists.
    ///
    /// # Errors
    ///
    /// A connection that breaks; a file that cannot be written.
    pub(crate) fn save(mut self, to: &Path) -> Result<()> {
        let writing = || format!("writing `{}`", to.display());
        let mut file = File::create(to).context(writing)?;
        while let Some(bytes) = self.next()? {
            file.write_all(&bytes).context(writing)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use object_store::memory::InMemory;

    use super::*;

    #[test]
    fn saved_file_is_the_object() {
        let place = Place::over(Arc::new(InMemory::new()), "lake").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let (key, to) = (Key::root().join("a.csv"), folder.path().join("new/a.csv"));
        assert!(place.save(&key, &to).is_err());
        let bytes = vec![7; 300_000];
        place.put(&key, bytes::Bytes::from(bytes.clone())).unwrap();
        place.save(&key, &to).unwrap();
        assert_eq!(fs::read(to).unwrap(), bytes);
    }
}
