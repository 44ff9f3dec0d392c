//! Holds records until the spelling of their columns is known, in memory or on disk.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek as _, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::chunk::{Chunk, Record};
use crate::error::{Context as _, Result};

/// Chunks that wait.
pub(crate) struct PendingChunks {
    beside: PathBuf,
    held: Vec<Chunk>,
    bytes: usize,
    spill: Option<BufWriter<File>>,
}

impl PendingChunks {
    /// Bytes that wait in memory.
    const HELD: usize = 8 << 20;

    /// Creates an empty list. Records beyond [`Self::HELD`] bytes go to a temporary file in
    /// `beside`.
    pub(crate) fn new(beside: &Path) -> Self {
        Self { beside: beside.to_owned(), held: Vec::new(), bytes: 0, spill: None }
    }

    /// Adds a chunk.
    pub(crate) fn add(&mut self, chunk: Chunk) -> Result<()> {
        self.bytes += chunk.bytes.len() + size_of_val(chunk.records.as_slice());
        self.held.push(chunk);
        if self.bytes > Self::HELD {
            self.bytes = 0;
            let spill = match &mut self.spill {
                Some(spill) => spill,
                None => {
                    let file = tempfile::tempfile_in(&self.beside)
                        .context(|| format!("making a file in `{}`", self.beside.display()))?;
                    self.spill.insert(BufWriter::with_capacity(1 << 20, file))
                }
            };
            for chunk in self.held.drain(..) {
                write(spill, &chunk).context(writing)?;
            }
        }
        Ok(())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.held.is_empty() && self.spill.is_none()
    }

    /// Reads all chunks back.
    pub(crate) fn read(self) -> Result<PendingReader> {
        let spill = match self.spill {
            None => None,
            Some(spill) => {
                let file = spill.into_inner().map_err(std::io::IntoInnerError::into_error);
                let mut file = file.context(writing)?;
                file.seek(SeekFrom::Start(0)).context(writing)?;
                Some(BufReader::with_capacity(1 << 20, file))
            }
        };
        Ok(PendingReader { held: self.held, spill })
    }
}

fn writing() -> &'static str {
    "writing records to a temporary file"
}

/// Reads chunks back, in any order.
pub(crate) struct PendingReader {
    held: Vec<Chunk>,
    spill: Option<BufReader<File>>,
}

impl PendingReader {
    /// Returns the next chunk, or `None` after the last.
    pub(crate) fn next_chunk(&mut self) -> Result<Option<Chunk>> {
        if let Some(chunk) = self.held.pop() {
            return Ok(Some(chunk));
        }
        let Some(spill) = &mut self.spill else { return Ok(None) };
        read(spill).context(|| "reading records from a temporary file")
    }
}

/// Writes a 64-bit number, little-endian.
fn put(out: &mut impl Write, number: u64) -> std::io::Result<()> {
    out.write_all(&number.to_le_bytes())
}

fn get(from: &mut impl Read) -> std::io::Result<u64> {
    let mut bytes = [0; 8];
    from.read_exact(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

fn get_size(from: &mut impl Read) -> std::io::Result<usize> {
    usize::try_from(get(from)?).map_err(std::io::Error::other)
}

fn write(out: &mut impl Write, chunk: &Chunk) -> std::io::Result<()> {
    for size in [chunk.records.len(), chunk.broken.len(), chunk.bytes.len()] {
        put(out, size as u64)?;
    }
    for record in &chunk.records {
        for number in [record.start as u64, record.end as u64, record.number, record.line] {
            put(out, number)?;
        }
        out.write_all(&[record.quoted.into(), record.unclosed.into()])?;
    }
    for (number, reason) in &chunk.broken {
        put(out, *number)?;
        put(out, reason.len() as u64)?;
        out.write_all(reason.as_bytes())?;
    }
    out.write_all(&chunk.bytes)
}

pub(super) fn read(from: &mut BufReader<File>) -> std::io::Result<Option<Chunk>> {
    if std::io::BufRead::fill_buf(from)?.is_empty() {
        return Ok(None);
    }
    let (records, broken, bytes) = (get_size(from)?, get_size(from)?, get_size(from)?);
    let mut chunk = Chunk {
        table: 0,
        bytes: vec![0; bytes],
        records: Vec::with_capacity(records),
        broken: std::collections::BTreeMap::new(),
        read: 0,
    };
    for _ in 0..records {
        let (start, end) = (get_size(from)?, get_size(from)?);
        let (number, line) = (get(from)?, get(from)?);
        let mut flags = [0; 2];
        from.read_exact(&mut flags)?;
        let [quoted, unclosed] = flags.map(|flag| flag == 1);
        chunk.records.push(Record { start, end, number, line, quoted, unclosed });
    }
    for _ in 0..broken {
        let number = get(from)?;
        let mut reason = vec![0; get_size(from)?];
        from.read_exact(&mut reason)?;
        chunk.broken.insert(number, String::from_utf8_lossy(&reason).into_owned());
    }
    from.read_exact(&mut chunk.bytes)?;
    Ok(Some(chunk))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn chunk(of: &[(String, u64, bool, Option<String>)]) -> Chunk {
        let mut chunk = Chunk {
            table: 0,
            bytes: Vec::new(),
            records: Vec::new(),
            broken: std::collections::BTreeMap::new(),
            read: 0,
        };
        for (text, number, quoted, reason) in of {
            let start = chunk.bytes.len();
            chunk.bytes.extend_from_slice(text.as_bytes());
            let (end, line) = (chunk.bytes.len(), number + 1);
            let record =
                Record { start, end, number: *number, line, quoted: *quoted, unclosed: !quoted };
            chunk.records.push(record);
            if let Some(reason) = reason {
                chunk.broken.insert(*number, reason.clone());
            }
        }
        chunk
    }

    proptest! {
        /// Chunks read from disk are equal to those written.
        #[test]
        fn chunks_come_back_from_disk(
            records in prop::collection::vec(
                (".{0,9}", any::<u64>().prop_map(|n| n / 2), any::<bool>(), prop::option::of(".{0,9}")), 1..9,
            ),
            cut in 0usize..9,
        ) {
            let (one, two) = records.split_at(cut.min(records.len()));
            let mut file = tempfile::tempfile().unwrap();
            for part in [one, two] {
                write(&mut file, &chunk(part)).unwrap();
            }
            file.seek(SeekFrom::Start(0)).unwrap();
            let mut file = BufReader::new(file);
            for part in [one, two] {
                let (expected, found) = (chunk(part), read(&mut file).unwrap().unwrap());
                prop_assert_eq!(found.bytes, expected.bytes);
                prop_assert_eq!(found.records, expected.records);
                prop_assert_eq!(found.broken, expected.broken);
            }
            prop_assert!(read(&mut file).unwrap().is_none());
        }
    }

    #[test]
    fn chunks_beyond_the_memory_limit_go_to_disk() {
        let folder = tempfile::tempdir().unwrap();
        let mut waiting = PendingChunks::new(folder.path());
        let text = "x".repeat(PendingChunks::HELD / 3);
        for number in 0..7 {
            waiting.add(chunk(&[(text.clone(), number, false, None)])).unwrap();
            let held: usize = waiting.held.iter().map(|chunk| chunk.bytes.len()).sum();
            assert!(held <= PendingChunks::HELD);
        }
        assert!(waiting.spill.is_some());
        let mut waited = waiting.read().unwrap();
        let mut numbers = Vec::new();
        while let Some(chunk) = waited.next_chunk().unwrap() {
            numbers.extend(chunk.records.iter().map(|record| record.number));
        }
        numbers.sort_unstable();
        assert_eq!(numbers, (0..7).collect::<Vec<_>>());
    }
}
