//! Checkpoints: the state of a version in one file, which keeps a long log quick to read.

use std::collections::BTreeMap;

use bytes::Bytes;
use deltalake::checkpoints::create_checkpoint;

use super::commit::{runtime, table_at};
use crate::error::Result;
use crate::lake::damage::{self, Hash};
use crate::lake::log::{Log, ReplayError, State};
use crate::lake::{Lake, Layout};
use crate::place::Key;

/// The number of commits between checkpoints.
pub(super) const CHECKPOINT_INTERVAL: u64 = 20;

impl Lake {
    /// Writes the checkpoint of a version, and the hashes of its files.
    pub(super) fn write_checkpoint(
        &self,
        layout: &Layout,
        log: &Log,
        base: Option<&State>,
        version: u64,
    ) -> Result<()> {
        drop_damaged_checkpoints(log, version)?;
        runtime()?.block_on(async {
            let known = table_at(self, layout)?.with_version(version).load().await?;
            create_checkpoint(&known, None).await
        })?;
        let made = log.checkpoints()?.into_iter().find(|(of, _)| *of == version);
        let Some((_, parts)) = made else { return Ok(()) };
        let mut state = base.cloned().unwrap_or_default();
        log.apply_commit(&mut state, version).map_err(|error| log.error_of(error))?;
        match log.read_checkpoint(version, &parts) {
            Ok(found) if found.is_same_as(&state) => {}
            _ => return delete_checkpoint(log, version, &parts),
        }
        let last = log.last_checkpoint();
        let files: Vec<_> = parts.into_iter().chain([last]).collect();
        let place = self.place();
        place.sync(&files)?;
        let mut hashes = BTreeMap::new();
        for file in &files {
            let bytes = place.read(file)?.unwrap_or_default();
            hashes.insert(file.name().to_owned(), Hash::of(&bytes));
        }
        let beside = log.checkpoint_hashes(version);
        place.put(&beside, Bytes::from(damage::hash_list(&hashes)))?;
        place.sync(&[beside])
    }
}

/// Deletes damaged checkpoints: `deltalake` would trust them.
pub(super) fn drop_damaged_checkpoints(log: &Log, version: u64) -> Result<()> {
    for (damaged, parts) in log.checkpoints()? {
        if damaged <= version
            && matches!(log.read_checkpoint(damaged, &parts), Err(ReplayError::DamagedFile(_)))
        {
            delete_checkpoint(log, damaged, &parts)?;
        }
    }
    Ok(())
}

/// Deletes a checkpoint. The commits hold the same state.
fn delete_checkpoint(log: &Log, version: u64, parts: &[Key]) -> Result<()> {
    let beside = [log.last_checkpoint(), log.checkpoint_hashes(version)];
    let files: Vec<_> = beside.into_iter().chain(parts.iter().cloned()).collect();
    log.place().delete(&files)
}
