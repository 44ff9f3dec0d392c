//! Finds the data files that may hold rows with some keys.

use bytes::Bytes;
use rayon::prelude::*;
use wabalake_data::tables::SESSION_KEY;

use super::FilterPlace;
use crate::lake::log::DataFile;
use crate::lake::snapshot::Snapshot;
use crate::place::Part;

/// The most bytes of filters in memory, unless the filters of one file are larger.
const AT_ONCE: u64 = 32 << 20;

/// The keys of people and of sessions. A row is wanted that has one of them.
#[derive(Clone, Debug, Default)]
pub(in crate::lake) struct WantedKeys {
    /// Hashes of numbers and user ids.
    pub(in crate::lake) users: Vec<i64>,
    /// Hashes of session ids. They count only in tables whose rows may name a session in place of a
    /// person: see [`Table::person_keys`](wabalake_data::Table::person_keys).
    pub(in crate::lake) sessions: Vec<i64>,
}

/// The filters of a file that decide whether it may hold a wanted row; `None` if it may in any case.
type Deciding<'a> = Option<Vec<(&'a FilterPlace, &'a [i64])>>;

impl WantedKeys {
    /// Returns the filters to ask for a file.
    fn filters<'a>(&'a self, file: &'a DataFile, names_sessions: bool) -> Deciding<'a> {
        let users = (&file.filters.users, &self.users);
        let sessions = (&file.filters.sessions, &self.sessions);
        let asked = [users, sessions].into_iter().take(1 + usize::from(names_sessions));
        let asked = asked.filter(|(_, keys)| !keys.is_empty());
        asked.map(|(place, keys)| Some((place.as_ref()?, keys.as_slice()))).collect()
    }
}

impl Snapshot {
    /// The files that may hold wanted rows, by their Bloom filters. A file without a filter, or with one
    /// that cannot be read, is among them.
    ///
    /// Reads the filters, and nothing else.
    pub(in crate::lake) fn files_with<'f>(
        &self,
        files: &[&'f DataFile],
        wanted: &WantedKeys,
    ) -> Vec<&'f DataFile> {
        if self.layout.filtered.is_empty() {
            return files.to_vec();
        }
        let names_sessions = self.layout.filtered.contains(&SESSION_KEY);
        let asked: Vec<_> = files.iter().map(|file| wanted.filters(file, names_sessions)).collect();
        let asked: Vec<_> = files.iter().copied().zip(asked).collect();
        let mut found = Vec::new();
        for group in groups(&asked) {
            let (parts, of_file) = self.parts_of(group);
            let bytes = self.place.parts(&parts);
            let may_hold = group.par_iter().zip(of_file).map(|((_, asked), parts)| match asked {
                None => true,
                Some(asked) => match parts.and_then(|parts| bytes.get(parts)) {
                    None => true,
                    Some(bytes) => asked.iter().zip(bytes).any(may_hold),
                },
            });
            let may_hold: Vec<bool> = may_hold.collect();
            let kept = group.iter().zip(may_hold).filter(|(_, may_hold)| *may_hold);
            found.extend(kept.map(|((file, _), _)| *file));
        }
        found
    }

    /// The parts to read of a group of files, and which of them are of each file; `None` if there is no
    /// such part.
    fn parts_of(
        &self,
        group: &[(&DataFile, Deciding<'_>)],
    ) -> (Vec<Part>, Vec<Option<std::ops::Range<usize>>>) {
        let mut parts = Vec::new();
        let of_file = group.iter().map(|(file, asked)| {
            let key = self.key(file).ok()?;
            let start = parts.len();
            parts.extend(asked.iter().flatten().map(|(place, _)| Part {
                key: key.clone(),
                size: file.bytes,
                range: place.range.clone(),
            }));
            Some(start..parts.len())
        });
        let of_file = of_file.collect();
        (parts, of_file)
    }
}

/// Returns `true` if a filter may hold one of the keys.
fn may_hold(
    ((place, keys), bytes): (&(&FilterPlace, &[i64]), &crate::error::Result<Bytes>),
) -> bool {
    let filter = bytes.as_ref().ok().and_then(|bytes| place.open(bytes));
    filter.is_none_or(|filter| keys.iter().any(|key| filter.check(key)))
}

/// Splits files into groups whose filters fit into memory.
fn groups<'g, 'f, 'a>(
    files: &'g [(&'f DataFile, Deciding<'a>)],
) -> impl Iterator<Item = &'g [(&'f DataFile, Deciding<'a>)]> {
    let mut rest = files;
    std::iter::from_fn(move || {
        let mut sum = 0_u64;
        let bytes = |asked: &Deciding<'_>| -> u64 {
            asked.iter().flatten().map(|(place, _)| place.range.end - place.range.start).sum()
        };
        let fits = |(_, asked): &&(&DataFile, Deciding<'_>)| {
            sum = sum.saturating_add(bytes(asked));
            sum <= AT_ONCE
        };
        let count = rest.iter().take_while(fits).count();
        let (group, others) = rest.split_at(count.max(1).min(rest.len()));
        rest = others;
        (!group.is_empty()).then_some(group)
    })
}
