//! Checkpoints: the state of a version in one file, which keeps a long log quick to read.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::PathBuf;

use deltalake::checkpoints::create_checkpoint_from_table_url_and_cleanup;

use super::commit::{runtime, table_url};
use crate::error::{Context as _, Result};
use crate::files::{Access, write_synced};
use crate::lake::Lake;
use crate::lake::damage::{self, Hash};
use crate::lake::log::{Log, ReplayError, State};
use crate::lake::stage::sync;
use crate::place::Key;

/// The number of commits between checkpoints.
pub(super) const CHECKPOINT_INTERVAL: u64 = 20;

impl Lake {
    /// Writes the checkpoint of a version, and the hashes of its files.
    pub(super) fn write_checkpoint(
        &self,
        log: &Log,
        base: Option<&State>,
        version: u64,
    ) -> Result<()> {
        drop_damaged_checkpoints(log, version)?;
        let url = table_url(&log.table())?;
        let written = create_checkpoint_from_table_url_and_cleanup(url, version, Some(false), None);
        runtime()?.block_on(written)?;
        let made = log.checkpoints()?.into_iter().find(|(of, _)| *of == version);
        let Some((_, parts)) = made else { return Ok(()) };
        let mut state = base.cloned().unwrap_or_default();
        log.apply_commit(&mut state, version).map_err(|error| log.error_of(error))?;
        match log.read_checkpoint(version, &parts) {
            Ok(found) if found.is_same_as(&state) => {}
            _ => return delete_checkpoint(log, version, &parts),
        }
        let last = log.last_checkpoint();
        let files: Vec<_> = parts.iter().chain([&last]).map(|file| log.path(file)).collect();
        sync(&files.iter().map(PathBuf::as_path).collect::<Vec<_>>(), self.root())?;
        let mut hashes = BTreeMap::new();
        for file in &files {
            let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let hash = Hash::of_file(file).context(|| format!("reading `{}`", file.display()))?;
            hashes.insert(name, hash.1);
        }
        write_synced(
            &log.path(&log.checkpoint_hashes(version)),
            Access::Usual,
            damage::hash_list(&hashes).as_bytes(),
        )
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
    for file in beside.iter().chain(parts).map(|file| log.path(file)) {
        match std::fs::remove_file(&file) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(error).context(|| format!("deleting `{}`", file.display()));
            }
            _ => {}
        }
    }
    Ok(())
}
