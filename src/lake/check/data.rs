//! Checks data files: in a folder one by one on every core, on a store by a listing of each table.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use rayon::prelude::*;

use super::Options;
use crate::error::{Error, Result};
use crate::lake::damage::{Damage, Hash, check_all_bytes, check_footer, unpacks};
use crate::lake::log::Log;
use crate::lake::{DataFile, Lake};
use crate::place::{Key, Store};

/// A data file to check.
pub(super) struct Wanted {
    /// The index of its log.
    pub(super) log: usize,
    pub(super) file: DataFile,
    /// `true` if the newest version has it.
    pub(super) current: bool,
}

impl Lake {
    /// Checks data files. Returns the damage of each, and the bytes of those that exist.
    pub(super) fn check_data(
        &self,
        logs: &[Log],
        wanted: &[Wanted],
        options: Options<'_>,
    ) -> Result<(Vec<Option<Damage>>, u64)> {
        match self.place().store() {
            Some(store) => check_objects(store, logs, wanted, options),
            None => Ok(check_files(logs, wanted, options)),
        }
    }
}

fn check_files(
    logs: &[Log],
    wanted: &[Wanted],
    options: Options<'_>,
) -> (Vec<Option<Damage>>, u64) {
    let all = wanted.iter().map(|wanted| wanted.file.bytes).sum();
    let bytes = AtomicU64::new(0);
    let check = |wanted: &Wanted| {
        let place = logs[wanted.log].table().join(&wanted.file.path);
        // `vacuum` may have deleted those of old versions.
        if !wanted.current && !place.is_file() {
            return None;
        }
        let fault = if options.deep { check_all_bytes } else { check_footer }(&place, &wanted.file);
        bytes.fetch_add(wanted.file.bytes, Ordering::Relaxed);
        options.advance(wanted.file.bytes, all);
        fault
    };
    let faults = wanted.par_iter().map(check).collect();
    (faults, bytes.into_inner())
}

fn check_objects(
    store: &Store,
    logs: &[Log],
    wanted: &[Wanted],
    options: Options<'_>,
) -> Result<(Vec<Option<Damage>>, u64)> {
    // After the logs were read: files that a load adds meanwhile do not matter.
    let has_files = |log: &usize| wanted.iter().any(|wanted| wanted.log == *log);
    let listed: Result<Vec<_>> = (0..logs.len())
        .into_par_iter()
        .filter(has_files)
        .map(|log| store.list(logs[log].table_key(), None))
        .collect();
    let sizes: HashMap<Key, u64> =
        listed?.into_iter().flatten().map(|entry| (entry.key, entry.bytes)).collect();
    let mut faults = vec![None; wanted.len()];
    let (mut whole, mut bytes) = (Vec::new(), 0);
    for (at, Wanted { log, file, current }) in wanted.iter().enumerate() {
        let key = logs[*log].file_key(&file.path)?;
        match sizes.get(&key) {
            // `vacuum` may have deleted those of old versions.
            None if !current => {}
            None => faults[at] = Some(Damage::Missing),
            Some(&found) if found != file.bytes => {
                faults[at] = Some(Damage::Size { expected: file.bytes, found });
            }
            Some(_) => {
                bytes += file.bytes;
                whole.push((at, key));
            }
        }
    }
    if options.deep {
        hash_objects(store, wanted, &whole, options, &mut faults)?;
    }
    Ok((faults, bytes))
}

/// Hashes objects, given with their indices. Those without a hash in the log are decoded, one at a time.
fn hash_objects(
    store: &Store,
    wanted: &[Wanted],
    objects: &[(usize, Key)],
    options: Options<'_>,
    faults: &mut [Option<Damage>],
) -> Result<()> {
    let all = objects.iter().map(|(at, _)| wanted[*at].file.bytes).sum();
    let (hashed, decoded): (Vec<_>, Vec<_>) =
        objects.iter().partition(|(at, _)| wanted[*at].file.hash.is_some());
    let keys: Vec<Key> = hashed.iter().map(|(_, key)| key.clone()).collect();
    let mut failed = None;
    store.hash_each(&keys, &mut |nth, found| {
        let at = hashed[nth].0;
        let file = &wanted[at].file;
        match found {
            Ok(Some(found)) if file.hash == Some(Hash::from(found)) => {}
            Ok(Some(_)) => faults[at] = Some(Damage::Altered),
            Ok(None) => faults[at] = Some(Damage::Missing),
            Err(error) => failed = failed.take().or(Some(error)),
        }
        options.advance(file.bytes, all);
    })?;
    for (at, key) in decoded {
        let file = &wanted[*at].file;
        match store.read(key)? {
            Some(bytes) if unpacks(bytes.clone(), file.rows) => {}
            Some(_) => faults[*at] = Some(Damage::Unreadable),
            None => faults[*at] = Some(Damage::Missing),
        }
        options.advance(file.bytes, all);
    }
    failed.map_or(Ok(()), |error: Error| Err(error))
}

impl Options<'_> {
    fn advance(&self, bytes: u64, all: u64) {
        if let Some(progress) = self.progress.filter(|_| self.deep) {
            progress(bytes, all);
        }
    }
}
