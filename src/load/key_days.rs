//! The days on which each key was staged, spilled to disk in parts by the key's high bits.
//!
//! ```text
//! key   day    origin
//! 0x0…  20240  1             <spill>/0.keys   all entries of a key are in one part,
//! 0xf…  20241  1             <spill>/63.keys  so parts are checked one by one
//! ```

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use polars::prelude::*;
use tempfile::TempDir;

use super::staged_columns::ORIGIN;
use crate::error::{Context as _, Error, Result};

/// The key of a staged row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct StagedKey {
    /// The key's hash.
    pub(crate) hash: i64,
    /// The UTC day of the row.
    pub(crate) day: i32,
    /// The file that the row came from.
    pub(crate) origin: i32,
}

/// Keys of staged rows: 16 bytes a row, on disk except for small buffers.
pub(crate) struct KeyDays {
    spill: TempDir,
    parts: Vec<KeyPart>,
}

#[derive(Default)]
struct KeyPart {
    waiting: Vec<u8>,
    entries: u64,
}

impl KeyDays {
    const PARTS: usize = 64;
    const ENTRY: usize = 16;
    /// Bytes of a part that are buffered before they are written.
    const WAITING: usize = 64 << 10;

    /// Creates a temporary folder in `beside` for the keys. It is deleted on drop.
    pub(crate) fn new(beside: &Path) -> Result<Self> {
        let spill = tempfile::Builder::new().prefix("keys-").tempdir_in(beside);
        let spill = spill.context(|| format!("making a folder in `{}`", beside.display()))?;
        Ok(Self { spill, parts: (0..Self::PARTS).map(|_| KeyPart::default()).collect() })
    }

    /// Adds the keys of one day's rows from the hash column.
    pub(crate) fn add(&mut self, day: i32, rows: &DataFrame, hash: &str) -> Result<()> {
        let origins = rows.column(ORIGIN)?.i32()?.iter();
        for (hash, origin) in rows.column(hash)?.i64()?.iter().zip(origins) {
            let (Some(hash), Some(origin)) = (hash, origin) else { continue };
            let at = usize::try_from(hash.cast_unsigned() >> 58).unwrap_or_default();
            let path = self.path(at);
            let part = &mut self.parts[at];
            part.waiting.extend_from_slice(&hash.to_le_bytes());
            part.waiting.extend_from_slice(&day.to_le_bytes());
            part.waiting.extend_from_slice(&origin.to_le_bytes());
            part.entries += 1;
            if part.waiting.len() >= Self::WAITING {
                let file = OpenOptions::new().create(true).append(true).open(&path);
                file.and_then(|mut file| file.write_all(&part.waiting))
                    .context(|| format!("writing `{}`", path.display()))?;
                part.waiting.clear();
            }
        }
        Ok(())
    }

    /// Groups parts so that each group has at most `most` keys, or is a single part.
    pub(crate) fn groups(&self, most: u64) -> Vec<Vec<usize>> {
        let mut groups: Vec<Vec<usize>> = Vec::new();
        let mut entries = u64::MAX;
        for (at, part) in self.parts.iter().enumerate().filter(|(_, part)| part.entries > 0) {
            entries = entries.saturating_add(part.entries);
            match groups.last_mut() {
                Some(group) if entries <= most => group.push(at),
                _ => {
                    groups.push(vec![at]);
                    entries = part.entries;
                }
            }
        }
        groups
    }

    /// Reads the keys of one part, sorted by key and day.
    pub(crate) fn read(&self, part: usize) -> Result<Vec<StagedKey>> {
        let KeyPart { waiting, entries } = &self.parts[part];
        let mut bytes = Vec::new();
        if usize::try_from(*entries).unwrap_or(usize::MAX) * Self::ENTRY > waiting.len() {
            std::io::Read::read_to_end(&mut File::open(self.path(part))?, &mut bytes)?;
        }
        bytes.extend_from_slice(waiting);
        let mut keys = Vec::with_capacity(bytes.len() / Self::ENTRY);
        for entry in bytes.chunks_exact(Self::ENTRY) {
            let part = |from: usize, to: usize| &entry[from..to];
            let cut = |_| Error::bug("a staged key is truncated");
            keys.push(StagedKey {
                hash: i64::from_le_bytes(part(0, 8).try_into().map_err(cut)?),
                day: i32::from_le_bytes(part(8, 12).try_into().map_err(cut)?),
                origin: i32::from_le_bytes(part(12, 16).try_into().map_err(cut)?),
            });
        }
        keys.sort_unstable();
        Ok(keys)
    }

    fn path(&self, part: usize) -> PathBuf {
        self.spill.path().join(format!("{part}.keys"))
    }
}

/// A set of keys, by some of their bits: it may seem to have other keys, about one in sixteen.
pub(crate) struct KeyFilter {
    /// A power of two of words.
    words: Vec<u64>,
}

impl KeyFilter {
    /// Bits for each key.
    const BITS: usize = 16;

    /// Creates the set of some keys.
    pub(crate) fn of(keys: impl ExactSizeIterator<Item = i64>) -> Self {
        let words = (keys.len() * Self::BITS / 64).next_power_of_two();
        let mut filter = Self { words: vec![0; words] };
        for key in keys {
            let (word, bit) = filter.place(key);
            filter.words[word] |= bit;
        }
        filter
    }

    /// Returns `true` for each key of the set, and for few others.
    pub(crate) fn may_have(&self, key: i64) -> bool {
        let (word, bit) = self.place(key);
        self.words[word] & bit != 0
    }

    /// The word and the bit of a key. The keys of a part agree in their high bits.
    fn place(&self, key: i64) -> (usize, u64) {
        let bits = usize::try_from(key.cast_unsigned() & u64::from(u32::MAX)).unwrap_or_default();
        ((bits / 64) & (self.words.len() - 1), 1 << (bits % 64))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn filter_has_all_keys_and_few_others(
            keys in prop::collection::hash_set(any::<i64>(), 0..300),
        ) {
            let filter = KeyFilter::of(keys.iter().copied().collect::<Vec<_>>().into_iter());
            prop_assert!(keys.iter().all(|key| filter.may_have(*key)));
            let others = keys.iter().map(|key| key.wrapping_mul(0x1E37_79B9_7F4A_7C15));
            let seeming = others.filter(|key| !keys.contains(key) && filter.may_have(*key)).count();
            prop_assert!(seeming <= 10 + keys.len() / 5, "{seeming} of {}", keys.len());
        }
    }

    #[test]
    fn keys_come_back_in_order_from_buffer_and_disk() {
        let folder = TempDir::new().unwrap();
        let mut keys = KeyDays::new(folder.path()).unwrap();
        let mut expected = Vec::new();
        for (day, origin) in [(7, 1), (9, 2)] {
            // More keys of the second part than its buffer holds.
            let hashes: Vec<i64> = (0..5_000).map(|n| (1 << 58) + n).chain([-1]).collect();
            let rows = df!("hash" => &hashes, ORIGIN => vec![origin; hashes.len()]).unwrap();
            keys.add(day, &rows, "hash").unwrap();
            expected.extend(hashes.into_iter().map(|hash| StagedKey { hash, day, origin }));
        }
        expected.sort_unstable();
        assert_eq!(keys.groups(u64::MAX), [vec![1, 63]]);
        assert_eq!(keys.groups(1), [vec![1], vec![63]]);
        let mut found = keys.read(63).unwrap();
        found.extend(keys.read(1).unwrap());
        assert_eq!(found, expected);
    }
}
