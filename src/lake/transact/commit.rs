//! Writes the commit of a change, all or nothing.
//!
//! ```text
//! computed from version 19   the table is at 19   → it is at 20 now
//! computed from version 19   the table is at 20   → conflict: compute again from 20
//! ```
//!
//! A commit is durable before it is visible: [`Place::make`](crate::place::Place::make) writes it whole,
//! and fails if another one has its name. It contains its own hash.
//! `deltalake` only serialises the actions and checks writer features. Its retries are not used: they
//! do not see that two commits add the same rows to an empty day, and would keep both.

use std::io::ErrorKind;
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};

use chrono::{DateTime, Utc};
use deltalake::kernel::transaction::{CommitBuilder, CommitData, TableReference};
use deltalake::kernel::{Action, Transaction};
use deltalake::logstore::CommitOrBytes;
use deltalake::{DeltaTableBuilder, DeltaTableError};
use object_store::prefix::PrefixStore;
use serde_json::json;
use tokio::runtime::Runtime;
use url::Url;
use uuid::Uuid;

use super::Change;
use super::checkpoint::{CHECKPOINT_INTERVAL, drop_damaged_checkpoints};
use crate::error::{Context as _, Error, Result};
use crate::lake::damage::{self, COMMIT_HASH, hash_placeholder};
use crate::lake::loads::count_transactions;
use crate::lake::{Lake, Layout, Snapshot};
use crate::place::Made;

/// The entry of `commitInfo` with the commit's own id.
pub(in crate::lake) const COMMIT_ID: &str = "commit_id";

/// The outcome of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Commit {
    /// The table is now at this version.
    Done(u64),
    /// Another commit came first, and nothing was changed: compute the change again.
    Conflict,
}

impl Lake {
    /// Commits a change that was computed from a snapshot. Creates the table if the snapshot has no
    /// version.
    ///
    /// # Errors
    ///
    /// A table with columns that this version of wabalake does not know; a log that cannot be
    /// written. If the disk or network fails midway, the commit may have happened: its files are
    /// kept, and its transactions show whether it did.
    pub(in crate::lake) fn commit(&self, base: &Snapshot, change: Change) -> Result<Commit> {
        let table = &base.layout;
        let staged = || change.add.iter().filter(|file| !file.is_restored);
        let keys: Vec<_> = staged().map(|file| file.key.clone()).collect();
        self.place().sync(&keys)?;
        let operation = change.operation.in_delta(!change.remove.is_empty(), table.partition);
        let transaction = |(id, loaded): &(String, super::Loaded)| Transaction::new(id, loaded.0);
        let transactions = change.transactions.iter().map(transaction).collect();
        let actions = change.actions(base)?;
        let mut info = change.info.clone();
        info.insert("command".to_owned(), json!(change.operation.name()));
        info.insert("wabalake".to_owned(), json!(env!("CARGO_PKG_VERSION")));
        info.insert(COMMIT_ID.to_owned(), json!(Uuid::new_v4().to_string()));
        info.insert(COMMIT_HASH.to_owned(), json!(hash_placeholder()));
        let data = CommitData::new(actions, operation, info.into_iter().collect(), transactions);
        let data = completed(data, change.time);
        let committing = || format!("committing to table `{}`", table.name);
        let version = base.version.map_or(0, |version| version + 1);
        let log = self.log_of(table);
        if !base.is_as_made_here() {
            drop_damaged_checkpoints(&log, version)?;
        }
        let commit = runtime()?.block_on(prepared(self, base, data));
        let commit = commit.map_err(|error| log.refused(error))?;
        let commit = damage::with_hash(commit, version);
        let keep = |keep| staged().for_each(|file| file.committed.store(keep, Ordering::SeqCst));
        self.check_lease()?;
        keep(true);
        match self.place().make(&log.commit_key(version), commit.into()) {
            Ok(Made::Done) => {}
            Ok(Made::Taken) => {
                keep(false);
                return Ok(Commit::Conflict);
            }
            Err(error) if error.is_in_doubt() => {
                return Err(error.context(committing()).hint(
                    "the commit may have happened: run the same command again, which finds out",
                ));
            }
            Err(error) => {
                keep(false);
                return Err(error.context(committing()));
            }
        }
        self.note_change(&table.key());
        self.note_newest(table, version);
        if (version + 1).is_multiple_of(CHECKPOINT_INTERVAL) {
            // The commit is valid even if its checkpoint cannot be written.
            let _ = self.write_checkpoint(table, &log, base.state.as_deref(), version);
        }
        Ok(Commit::Done(version))
    }
}

/// Sets the time of a commit, and adds the transactions with the counts of a load's files.
fn completed(mut data: CommitData, time: Option<DateTime<Utc>>) -> CommitData {
    let info = data.actions.iter_mut().find_map(|action| match action {
        Action::CommitInfo(info) => Some(info),
        _ => None,
    });
    let Some(info) = info else { return data };
    if let Some(time) = time {
        info.timestamp = Some(time.timestamp_millis());
    }
    let counts = count_transactions(info);
    data.actions.extend(counts.into_iter().map(Action::Txn));
    data
}

/// The lines of a commit.
async fn prepared(
    lake: &Lake,
    base: &Snapshot,
    data: CommitData,
) -> Result<Vec<u8>, DeltaTableError> {
    let Some(version) = base.version.filter(|_| !base.is_as_made_here()) else {
        // The table needs no writer feature beyond those implemented here, so `deltalake` need not
        // load its whole state to check them.
        return Ok(data.get_bytes()?.to_vec());
    };
    let known = table_at(lake, &base.layout)?.with_version(version).load().await?;
    let state: &dyn TableReference = known.snapshot()?;
    let commit = CommitBuilder::default().with_actions(data.actions);
    let commit = commit.build(Some(state), known.log_store(), data.operation);
    match commit.into_prepared_commit_future().await?.commit_or_bytes() {
        CommitOrBytes::LogBytes(bytes) => Ok(bytes.to_vec()),
        CommitOrBytes::TmpCommit(path) => {
            Err(DeltaTableError::Generic(format!("a commit at `{path}` cannot be put in place")))
        }
    }
}

/// The table as `deltalake` opens it.
pub(super) fn table_at(lake: &Lake, table: &Layout) -> Result<DeltaTableBuilder, DeltaTableError> {
    let invalid = |what: &str| DeltaTableError::InvalidTableLocation(what.to_owned());
    let key = table.key();
    if let Some(root) = lake.place().as_folder() {
        let folder = root.join(key.as_str());
        let url = Url::from_directory_path(&folder);
        return DeltaTableBuilder::from_url(
            url.map_err(|()| invalid(&folder.display().to_string()))?,
        );
    }
    let store = lake.place().store().ok_or_else(|| invalid(key.as_str()))?;
    // `deltalake` has its own idea of each cloud's URLs: this one it takes as it is.
    let url = Url::parse("memory:///").map_err(|_| invalid(key.as_str()))?;
    let objects = PrefixStore::new(Arc::clone(store.objects()), store.path(&key));
    Ok(DeltaTableBuilder::from_url(url.clone())?.with_storage_backend(Arc::new(objects), url))
}

/// The runtime for `deltalake`, created on first use; queries do not need it.
pub(super) fn runtime() -> Result<&'static Runtime> {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    if let Some(runtime) = RUNTIME.get() {
        return Ok(runtime);
    }
    // Writing a checkpoint blocks a worker, so one would not do.
    let made = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let made = made.context(|| "starting threads to write checkpoints on")?;
    Ok(RUNTIME.get_or_init(|| made))
}

impl From<DeltaTableError> for Error {
    fn from(error: DeltaTableError) -> Self {
        let what = error.to_string();
        // A damaged file may be the cause.
        Self::lake(what).caused_by(std::io::Error::new(ErrorKind::InvalidData, error))
    }
}
