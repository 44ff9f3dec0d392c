//! A data file of a lake on a store before it is uploaded: in memory while it is small, then in a file of
//! this machine.

use std::fs::File;
use std::io::{self, BufWriter, Cursor, Write};

use bytes::Bytes;
use tempfile::TempDir;

use super::damage::footer_hash_in;
use crate::error::{Context as _, Result};
use crate::place::{Key, Payload, Place};

/// A file that is being written.
pub(super) struct Spill<'p> {
    place: &'p Place,
    /// The most bytes in memory.
    at_most: usize,
    held: Held,
}

enum Held {
    Memory(Vec<u8>),
    /// The folder is deleted when dropped.
    File(TempDir, BufWriter<File>),
}

/// The name of the file in its folder.
const NAME: &str = "rows.parquet";

impl<'p> Spill<'p> {
    pub(super) fn new(place: &'p Place, at_most: usize) -> Self {
        Self { place, at_most, held: Held::Memory(Vec::new()) }
    }

    /// Uploads the file, and returns the hash of its Parquet footer.
    ///
    /// # Errors
    ///
    /// A file that is not Parquet, or that cannot be uploaded.
    pub(super) fn put(self, key: &Key) -> Result<u64> {
        let writing = || format!("writing `{key}`");
        match self.held {
            Held::Memory(bytes) => {
                let footer = footer_hash_in(Cursor::new(&bytes)).context(writing)?;
                self.place.put(key, Bytes::from(bytes))?;
                Ok(footer)
            }
            Held::File(folder, mut file) => {
                file.flush().context(writing)?;
                let file = folder.path().join(NAME);
                let footer = File::open(&file).and_then(footer_hash_in).context(writing)?;
                self.place.put(key, Payload::File(file))?;
                Ok(footer)
            }
        }
    }
}

impl Write for Spill<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Held::Memory(held) = &mut self.held {
            if held.len() + bytes.len() <= self.at_most {
                return held.write(bytes);
            }
            let folder = self.place.scratch().map_err(io::Error::other)?;
            let mut file = BufWriter::new(File::create_new(folder.path().join(NAME))?);
            file.write_all(held)?;
            self.held = Held::File(folder, file);
        }
        match &mut self.held {
            Held::File(_, file) => file.write(bytes),
            Held::Memory(held) => held.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.held {
            Held::Memory(_) => Ok(()),
            Held::File(_, file) => file.flush(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use object_store::memory::InMemory;
    use polars::prelude::*;

    use super::*;
    use crate::lake::stage::put_object;

    #[test]
    fn spilled_file_is_the_same_object() {
        let numbers: Vec<i64> = (0..100_000).map(|number| number * 7_919 % 65_537).collect();
        let mut rows =
            DataFrame::new(numbers.len(), vec![Column::new("n".into(), numbers)]).unwrap();
        let place = Place::over(Arc::new(InMemory::new()), "lake").unwrap();
        let [memory, file] = ["memory", "file"].map(|name| Key::root().join(name));
        let whole = put_object(&place, &memory, &mut rows, &[], usize::MAX).unwrap();
        for at_most in [0, 4, 10_000] {
            assert!(whole.size > 20_000);
            let spilled = put_object(&place, &file, &mut rows, &[], at_most).unwrap();
            assert_eq!((spilled.size, &spilled.tags), (whole.size, &whole.tags));
            assert_eq!(place.read(&file).unwrap(), place.read(&memory).unwrap());
        }
    }

    #[test]
    fn large_file_leaves_memory() {
        let place = Place::over(Arc::new(InMemory::new()), "lake").unwrap();
        let mut spill = Spill::new(&place, 10);
        spill.write_all(&[1; 10]).unwrap();
        assert!(matches!(spill.held, Held::Memory(_)));
        spill.write_all(&[1; 1]).unwrap();
        let Held::File(folder, _) = &spill.held else { panic!("still in memory") };
        let folder = folder.path().to_owned();
        spill.flush().unwrap();
        assert_eq!(std::fs::read(folder.join(NAME)).unwrap(), [1; 11]);
        drop(spill);
        assert!(!folder.exists());
    }
}
