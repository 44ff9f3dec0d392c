//! Commits staged files to a table, all or none.
//!
//! ```text
//! computed from version 19   the table is at 19   → it is at 20 now
//! computed from version 19   the table is at 20   → conflict: compute again from 20
//! ```
//!
//! A commit is durable before it is visible: it is written to a temporary file, synced, and renamed to
//! its final name, which fails if that exists; then the folder is synced. It contains its own hash.
//! `deltalake` only serialises the actions and checks writer features. Its retries are not used: they
//! do not see that two commits add the same rows to an empty day, and would keep both.

use std::collections::{BTreeMap, HashSet};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::Ordering;

use chrono::Utc;
use deltalake::checkpoints::create_checkpoint_from_table_url_and_cleanup;
use deltalake::kernel::transaction::{CommitBuilder, CommitData, TableReference};
use deltalake::kernel::{Action, Add, Remove, Transaction};
use deltalake::logstore::CommitOrBytes;
use deltalake::protocol::{DeltaOperation, SaveMode};
use deltalake::{DeltaTableBuilder, DeltaTableError};
use serde_json::{Map, Value, json};
use tokio::runtime::Runtime;
use url::Url;
use uuid::Uuid;

use super::damage::{self, COMMIT_HASH, Hash, hash_placeholder};
use super::layout::Layout;
use super::loads::add_count_transactions;
use super::log::{Log, PROTOCOL, ReplayError, State};
use super::snapshot::{fields, fields_of};
use super::stage::sync;
use super::{DataFile, Lake, Snapshot, StagedFile};
use crate::error::{Context as _, Error, Result};
use crate::files::{Access, synced_beside, write_synced};
use crate::place::Key;

/// The number of commits between checkpoints, which keep a long log quick to read.
const CHECKPOINT_INTERVAL: u64 = 20;

/// The purpose of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Rows of exports were loaded.
    Load,
    /// A load was undone.
    Undo,
    /// Files of a day were merged, without changing rows.
    Compact,
    /// A person was erased.
    Erase,
    /// A mart was refreshed.
    Mart,
    /// A run was recorded.
    Run,
}

impl Operation {
    /// Its name, usually that of the subcommand.
    pub fn name(self) -> &'static str {
        match self {
            Self::Load => "load",
            Self::Undo => "undo",
            Self::Compact => "compact",
            Self::Erase => "erase",
            Self::Mart => "mart",
            Self::Run => "run",
        }
    }

    fn in_delta(self, replaces: bool, partition: &str) -> DeltaOperation {
        match self {
            Self::Load | Self::Mart | Self::Run => DeltaOperation::Write {
                mode: if replaces { SaveMode::Overwrite } else { SaveMode::Append },
                partition_by: Some(vec![partition.to_owned()]),
                predicate: None,
            },
            Self::Undo => DeltaOperation::Restore { version: None, datetime: None },
            Self::Compact => DeltaOperation::Optimize { predicate: None, target_size: 0 },
            // The predicate would name the person.
            Self::Erase => DeltaOperation::Delete { predicate: None },
        }
    }
}

/// A change to a table.
#[derive(Debug)]
pub struct Change {
    /// Its purpose.
    pub operation: Operation,
    /// Application transactions and their new versions. For a loaded file: odd is loaded, even is
    /// not.
    pub transactions: Vec<(String, i64)>,
    /// Paths of files to remove.
    pub remove: Vec<String>,
    /// Files to add.
    pub add: Vec<StagedFile>,
    /// Further entries of the commit's `commitInfo`, such as `load_id`.
    pub info: Map<String, Value>,
    /// `true` if rows change; `false` if only their files do.
    pub data_change: bool,
}

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
    pub fn commit(
        &self,
        table: &'static dyn Layout,
        base: &Snapshot,
        change: Change,
    ) -> Result<Commit> {
        let staged = change.add.clone();
        let places: Vec<_> = staged.iter().map(|file| file.place.as_path()).collect();
        sync(&places, self.root())?;
        let add = change.add.into_iter().map(|file| file.add).collect();
        let change = PreparedChange {
            operation: change.operation,
            transactions: change.transactions,
            remove: change.remove,
            add,
            info: change.info,
            data_change: change.data_change,
        };
        self.commit_adds(table, base, change, &staged)
    }

    /// Like [`Lake::commit`], from `add` actions. `staged` are kept if the commit succeeds.
    pub(super) fn commit_adds(
        &self,
        table: &'static dyn Layout,
        base: &Snapshot,
        change: PreparedChange,
        staged: &[StagedFile],
    ) -> Result<Commit> {
        let keep = |keep| staged.iter().for_each(|f| f.committed.store(keep, Ordering::SeqCst));
        let operation = change.operation.in_delta(!change.remove.is_empty(), table.partition());
        let transaction = |(id, version): &(String, i64)| Transaction::new(id, *version);
        let transactions = change.transactions.iter().map(transaction).collect();
        let mut info = change.info.clone();
        info.insert("command".to_owned(), json!(change.operation.name()));
        info.insert("wabalake".to_owned(), json!(env!("CARGO_PKG_VERSION")));
        info.insert(COMMIT_HASH.to_owned(), json!(hash_placeholder()));
        if !change.remove.is_empty() && change.data_change {
            base.check_replaceable()?;
        }
        let actions = change.into_actions(base)?;
        let mut data =
            CommitData::new(actions, operation, info.into_iter().collect(), transactions);
        add_count_transactions(&mut data);
        let folder = self.folder(table);
        std::fs::create_dir_all(&folder).context(|| format!("creating `{}`", folder.display()))?;

        let committing = || format!("committing to table `{}`", table.name());
        let version = base.version.map_or(0, |version| version + 1);
        let log = self.log_of(table);
        if !base.is_as_made_here() {
            drop_damaged_checkpoints(&log, version)?;
        }
        let commit = runtime()?.block_on(prepared(&folder, base, data));
        let commit = commit.map_err(|error| log.refused(error))?;
        let commit = damage::with_hash(commit, version);
        let place = log.commit_file(version);
        let temporary = synced_beside(&place, Access::Usual, &commit).context(committing)?;
        keep(true);
        match temporary.persist_noclobber(&place) {
            Ok(_) => {}
            Err(error) if error.error.kind() == ErrorKind::AlreadyExists => {
                keep(false);
                return Ok(Commit::Conflict);
            }
            Err(error) => return Err(error.error).context(committing),
        }
        sync(&[&place], self.root())
            .context(|| format!("table `{}` is at version {version}", table.name()))?;
        self.note_newest(table, version);
        if (version + 1).is_multiple_of(CHECKPOINT_INTERVAL) {
            // The commit is valid even if its checkpoint cannot be written.
            let _ = self.write_checkpoint(&log, base.state.as_deref(), version);
        }
        Ok(Commit::Done(version))
    }

    /// Writes the checkpoint of a version, and the hashes of its files.
    fn write_checkpoint(&self, log: &Log, base: Option<&State>, version: u64) -> Result<()> {
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

    /// Records the newest version of a table, so that a log that ends earlier is noticed. Not for
    /// marts, which can be rebuilt.
    fn note_newest(&self, table: &dyn Layout, version: u64) {
        if table.is_mart() || self.newest_of(table).is_some_and(|newest| newest >= version) {
            return;
        }
        let place = self.newest_file(table);
        // Failing to write it only loses that check.
        let _ = write_synced(&place, Access::Usual, newest_text(version).as_bytes());
    }

    /// The newest recorded version of a table.
    pub(super) fn newest_of(&self, table: &dyn Layout) -> Option<u64> {
        if table.is_mart() {
            return None;
        }
        read_newest(&std::fs::read_to_string(self.newest_file(table)).ok()?)
    }

    /// The file that records it.
    pub(super) fn newest_file(&self, table: &dyn Layout) -> PathBuf {
        self.internal_folder("newest").join(table.name())
    }
}

/// A version and a hash of it, as recorded.
fn newest_text(version: u64) -> String {
    format!("{version}  {}\n", Hash::of(version.to_string().as_bytes()))
}

/// Parses a recorded version; `None` if its hash does not match.
pub(super) fn read_newest(text: &str) -> Option<u64> {
    let version = text.split("  ").next()?.parse().ok()?;
    (newest_text(version) == text).then_some(version)
}

/// The lines of a commit.
async fn prepared(
    folder: &Path,
    base: &Snapshot,
    data: CommitData,
) -> Result<Vec<u8>, DeltaTableError> {
    let Some(version) = base.version.filter(|_| !base.is_as_made_here()) else {
        // The table needs no writer feature beyond those implemented here, so `deltalake` need not
        // load its whole state to check them.
        return Ok(data.get_bytes()?.to_vec());
    };
    let known =
        DeltaTableBuilder::from_url(table_url(folder)?)?.with_version(version).load().await?;
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

fn table_url(folder: &Path) -> Result<Url, DeltaTableError> {
    Url::from_directory_path(folder)
        .map_err(|()| DeltaTableError::InvalidTableLocation(folder.display().to_string()))
}

/// Deletes damaged checkpoints: `deltalake` would trust them.
fn drop_damaged_checkpoints(log: &Log, version: u64) -> Result<()> {
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

/// A change whose files are `add` actions.
#[derive(Debug)]
pub(super) struct PreparedChange {
    pub(super) operation: Operation,
    pub(super) transactions: Vec<(String, i64)>,
    pub(super) remove: Vec<String>,
    pub(super) add: Vec<Add>,
    pub(super) info: Map<String, Value>,
    pub(super) data_change: bool,
}

impl PreparedChange {
    fn into_actions(self, base: &Snapshot) -> Result<Vec<Action>> {
        let name = base.layout.name();
        if let [column, ..] = &base.unknown_columns()[..] {
            return Err(Error::lake(format!("table `{name}` has a column `{column}`"))
                .found(format!("wabalake {} does not know it", env!("CARGO_PKG_VERSION")))
                .hint("a newer version wrote it: use that version to change the lake"));
        }
        let mut actions = schema_actions(base)?;
        let mut removed = HashSet::new();
        for path in &self.remove {
            let file = base.state.as_ref().and_then(|state| state.files.get(path));
            let Some(file) = file.filter(|_| removed.insert(path.as_str())) else {
                return Err(Error::bug(format!(
                    "`{path}` does not exist, so it cannot be removed"
                )));
            };
            actions.push(Action::Remove(tombstone(base.layout, file, self.data_change)));
        }
        for add in self.add {
            // Readers take a path that one commit both removes and adds as removed.
            if removed.contains(add.path.as_str()) {
                return Err(Error::bug(format!(
                    "`{}` is removed and added by one commit",
                    add.path
                )));
            }
            actions.push(Action::Add(Add { data_change: self.data_change, ..add }));
        }
        Ok(actions)
    }
}

fn tombstone(layout: &dyn Layout, file: &DataFile, data_change: bool) -> Remove {
    let day = file.day.map(|day| day.to_string());
    Remove {
        path: file.path.clone(),
        data_change,
        deletion_timestamp: Some(Utc::now().timestamp_millis()),
        extended_file_metadata: Some(true),
        partition_values: Some([(layout.partition().to_owned(), day)].into()),
        size: i64::try_from(file.bytes).ok(),
        ..Remove::default()
    }
}

/// The properties of tables that wabalake creates.
pub(super) fn configuration() -> Value {
    json!({
        // Undo and exactly-once loading need the whole log.
        "delta.enableExpiredLogCleanup": "false",
        "delta.checkpointInterval": CHECKPOINT_INTERVAL.to_string(),
    })
}

/// The `protocol` and `metaData` actions that create a table or add the columns that it lacks.
fn schema_actions(base: &Snapshot) -> Result<Vec<Action>> {
    let schema = |fields: Vec<Value>| json!({"type": "struct", "fields": fields}).to_string();
    let missing = base.missing_fields()?;
    let others = base.layout.is_mart() && {
        let own = fields_of(base.layout)?;
        base.state.as_deref().is_some_and(|state| fields(state) != own)
    };
    if missing.is_empty() && !others {
        return Ok(Vec::new());
    }
    let Some(state) = &base.state else {
        let protocol = json!({"protocol": PROTOCOL});
        let metadata = json!({"metaData": {
            "id": Uuid::new_v4().to_string(),
            "name": base.layout.name(),
            "format": {"provider": "parquet", "options": {}},
            "schemaString": schema(fields_of(base.layout)?),
            "partitionColumns": [base.layout.partition()],
            "configuration": configuration(),
            "createdTime": Utc::now().timestamp_millis(),
        }});
        return Ok(vec![action(protocol)?, action(metadata)?]);
    };
    let all = if others {
        fields_of(base.layout)?
    } else {
        fields(state).into_iter().chain(missing).collect()
    };
    let mut metadata = state.metadata.clone();
    metadata.insert("schemaString".to_owned(), json!(schema(all)));
    Ok(vec![action(json!({"metaData": metadata}))?])
}

fn action(value: Value) -> Result<Action> {
    serde_json::from_value(value).map_err(|e| Error::bug(format!("an action of the log: {e}")))
}

/// The runtime for `deltalake`, created on first use; queries do not need it.
fn runtime() -> Result<&'static Runtime> {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    if let Some(runtime) = RUNTIME.get() {
        return Ok(runtime);
    }
    // Writing a checkpoint blocks a worker, so one would not do.
    let made = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let made = made.context(|| "starting threads to write checkpoints on")?;
    Ok(RUNTIME.get_or_init(|| made))
}
