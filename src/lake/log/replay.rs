//! Reads commits and checkpoints, and replays them to the state of a version.

use std::fs::File;
use std::sync::{Arc, OnceLock};

use arrow::json::LineDelimitedWriter;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use deltalake::kernel::Add;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::errors::ParquetError;
use polars::io::mmap::MmapBytesReader;
use polars::prelude::{ParquetReader, SerReader as _};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::{Map, Value};
use wabalake_data::tables::UTC_DAY;

use super::state::{DataFile, State, Statistics};
use super::{Action, Listing, Log, commit_info, commit_time};
use crate::error::{Error, Result};
use crate::lake::damage::{self, Damage, FILE_HASH, FOOTER_HASH, Hash};
use crate::lake::key_filters::FilterPlaces;
use crate::lake::loads::FileCounts;
use crate::lake::marts::MART_DAY;
use crate::place::Key;

/// A damaged file of a log.
#[derive(Clone, Debug)]
pub(in crate::lake) struct DamagedFile {
    /// Its version.
    pub(in crate::lake) version: u64,
    pub(in crate::lake) file: Key,
    pub(in crate::lake) fault: Damage,
}

/// Why a log could not be replayed.
#[derive(Debug)]
pub(in crate::lake) enum ReplayError {
    DamagedFile(DamagedFile),
    Other(Error),
}

impl From<Error> for ReplayError {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

impl DamagedFile {
    pub(super) fn new(version: u64, file: Key, fault: Damage) -> Self {
        Self { version, file, fault }
    }
}

impl Log {
    /// The newest state, continuing from a known one; `None` if there is no table.
    pub(in crate::lake) fn state(&self, known: Option<Arc<State>>) -> Result<Option<Arc<State>>> {
        let tag = known.as_ref().and_then(|known| self.tag_of(known.version));
        if let Some(state) = self.state_from_the_end(known.as_ref())? {
            return Ok(Some(state));
        }
        // Another mart of the same name may have a version with the same number.
        let known = known.filter(|known| self.tag_of(known.version) == tag);
        let listing = self.list()?;
        match listing.newest() {
            Some(newest) => {
                let state = self.replayed(&listing, newest, known)?;
                self.note_checkpoint(&listing);
                self.drop_replaced(&state);
                Ok(Some(state))
            }
            None => Ok(None),
        }
    }

    /// The newest state of a log on a store, from a listing that begins with a known state or a cached
    /// checkpoint; `None` if there is neither or they do not suffice.
    fn state_from_the_end(&self, known: Option<&Arc<State>>) -> Result<Option<Arc<State>>> {
        let start = match (self.place.as_folder(), known) {
            (Some(_), _) => None,
            (None, Some(known)) => Some(known.version),
            (None, None) => self.cached_checkpoint(),
        };
        let Some(start) = start else { return Ok(None) };
        let tag = self.tag_of(start);
        let mut listing = self.list_after(Some(start))?;
        listing.cut(self.end);
        let Some(newest) = listing.newest() else { return Ok(None) };
        let is_linked = match known {
            Some(_) => listing.holds(start) && self.tag_of(start) == tag,
            None => listing.checkpoints.contains_key(&start),
        };
        if !is_linked {
            return Ok(None);
        }
        match self.replay(&listing, newest, known.cloned()) {
            Ok((state, skipped)) if skipped.is_empty() => {
                self.note_checkpoint(&listing);
                self.drop_replaced(&state);
                Ok(Some(state))
            }
            // The whole log tells more.
            _ => Ok(None),
        }
    }

    /// The state of an existing version, continuing from a known one.
    pub(in crate::lake) fn state_at(
        &self,
        version: u64,
        known: Option<Arc<State>>,
    ) -> Result<Arc<State>> {
        let listing = self.list()?;
        match listing.newest() {
            Some(newest) if version <= newest => self.replayed(&listing, version, known),
            newest => {
                let newest = newest.map(|newest| format!("its newest is {newest}"));
                Err(Error::lake(format!("{} has no version {version}", self.name()))
                    .found(newest.unwrap_or_else(|| "it is empty".to_owned()))
                    .hint("`wabalake history TABLE` lists its versions"))
            }
        }
    }

    /// The newest version that was committed at an instant or before.
    pub(in crate::lake) fn version_at(&self, at: DateTime<Utc>) -> Result<Option<u64>> {
        for version in self.versions()?.into_iter().rev() {
            if commit_time(commit_info(&self.actions(version)?)) <= at {
                return Ok(Some(version));
            }
        }
        Ok(None)
    }

    fn replayed(
        &self,
        listing: &Listing,
        newest: u64,
        known: Option<Arc<State>>,
    ) -> Result<Arc<State>> {
        let (state, skipped) =
            self.replay(listing, newest, known).map_err(|error| self.error_of(error))?;
        for damaged in skipped {
            (self.warn)(&format!(
                "`{}` {}, and is skipped: the commits hold the same state. Delete it and \
                 `_last_checkpoint` beside it",
                damaged.file,
                damaged.fault.what(),
            ));
        }
        Ok(state)
    }

    /// The state of a version, and the damaged checkpoints that were skipped.
    pub(in crate::lake) fn replay(
        &self,
        listing: &Listing,
        newest: u64,
        known: Option<Arc<State>>,
    ) -> Result<(Arc<State>, Vec<DamagedFile>), ReplayError> {
        let known = known.filter(|state| state.version <= newest);
        if let Some(state) = known.as_ref().filter(|state| state.version == newest) {
            return Ok((Arc::clone(state), Vec::new()));
        }
        let known = known.filter(|state| listing.holds(state.version + 1));
        self.fetch_for(listing, newest, known.as_ref().map(|state| state.version));
        let (mut state, mut skipped) = match known {
            Some(state) => (Arc::unwrap_or_clone(state), Vec::new()),
            None => self.newest_checkpoint(listing, newest)?,
        };
        let start = if state.metadata.is_empty() { 0 } else { state.version + 1 };
        for version in start..=newest {
            if !self.holds(listing, version) {
                // If a commit and the checkpoint that replaces it are both gone, report the
                // checkpoint.
                let missing =
                    || DamagedFile::new(version, self.commit_key(version), Damage::Missing);
                return Err(ReplayError::DamagedFile(skipped.pop().unwrap_or_else(missing)));
            }
            self.apply_commit(&mut state, version)?;
        }
        if state.metadata.is_empty() {
            let what = "has no schema".to_owned();
            let file = self.commit_key(newest);
            return Err(ReplayError::DamagedFile(DamagedFile::new(
                newest,
                file,
                Damage::Impossible(what),
            )));
        }
        Ok((Arc::new(state), skipped))
    }

    /// Reads the commit of the next version and applies it.
    pub(in crate::lake) fn apply_commit(
        &self,
        state: &mut State,
        version: u64,
    ) -> Result<(), ReplayError> {
        let actions = self.read_commit(version)?;
        self.apply(state, version, actions)
    }

    /// Applies the actions of the next version.
    pub(in crate::lake) fn apply(
        &self,
        state: &mut State,
        version: u64,
        actions: Vec<Action<IgnoredAny>>,
    ) -> Result<(), ReplayError> {
        for action in actions {
            self.apply_action(state, action, &|what| {
                DamagedFile::new(version, self.commit_key(version), Damage::Impossible(what))
            })?;
        }
        state.version = version;
        Ok(())
    }

    /// Applies only the `add` actions of a version.
    pub(in crate::lake) fn apply_adds(
        &self,
        state: &mut State,
        version: u64,
        mut actions: Vec<Action<IgnoredAny>>,
    ) -> Result<(), ReplayError> {
        actions.retain(|action| matches!(action, Action::Add(_)));
        self.apply(state, version, actions)
    }

    /// The actions of a version.
    pub(in crate::lake) fn actions(&self, version: u64) -> Result<Vec<Action>> {
        self.read_commit(version).map_err(|error| self.error_of(error))
    }

    /// Like [`Log::actions`], with damage as a value.
    pub(in crate::lake) fn read_commit<Info: DeserializeOwned>(
        &self,
        version: u64,
    ) -> Result<Vec<Action<Info>>, ReplayError> {
        let key = self.commit_key(version);
        let damaged =
            |fault| ReplayError::DamagedFile(DamagedFile::new(version, key.clone(), fault));
        let bytes = match self.read(&key) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Err(damaged(Damage::Missing)),
            Err(error) => return Err(ReplayError::Other(error.context(self.reading(version)))),
        };
        let read = serde_json::Deserializer::from_slice(&bytes).into_iter().collect();
        let actions: Result<Vec<_>, serde_json::Error> = read;
        match actions {
            Ok(actions) if actions.is_empty() => Err(damaged(Damage::Empty)),
            Err(error) if error.is_eof() => Err(damaged(Damage::Cut)),
            _ if damage::matches_hash(&bytes, version) == Some(false) => {
                Err(damaged(Damage::Altered))
            }
            Err(_) => Err(match strange_action(&bytes) {
                Some(strange) => {
                    ReplayError::Other(self.unreadable(&format!("the action `{strange}`")))
                }
                None => damaged(Damage::Unreadable),
            }),
            Ok(actions) => Ok(actions),
        }
    }

    /// The state of the newest complete checkpoint up to a version, else an empty state; and the
    /// damaged checkpoints after it, the newest last.
    fn newest_checkpoint(
        &self,
        listing: &Listing,
        newest: u64,
    ) -> Result<(State, Vec<DamagedFile>), ReplayError> {
        let mut skipped = Vec::new();
        for (version, (of, parts)) in listing.checkpoints.range(..=newest).rev() {
            if parts.len() != *of {
                let file = parts.first().cloned().unwrap_or_default();
                skipped.insert(0, DamagedFile::new(*version, file, Damage::of_parts(*of, parts)));
                continue;
            }
            match self.read_checkpoint(*version, parts) {
                Ok(state) => return Ok((state, skipped)),
                Err(ReplayError::DamagedFile(damaged)) => skipped.insert(0, damaged),
                Err(other) => return Err(other),
            }
        }
        Ok((State::default(), skipped))
    }

    /// Reads a part of a checkpoint.
    pub(super) fn part(&self, part: &Key, version: u64) -> Result<Bytes, ReplayError> {
        let fault = match self.read(part) {
            Ok(Some(bytes)) => return Ok(bytes),
            Ok(None) => Damage::Missing,
            Err(_) if self.place.as_folder().is_some() => Damage::Unreadable,
            Err(error) => return Err(ReplayError::Other(error.context(self.reading(version)))),
        };
        Err(ReplayError::DamagedFile(DamagedFile::new(version, part.clone(), fault)))
    }

    /// Reads the state that a checkpoint holds.
    pub(in crate::lake) fn read_checkpoint(
        &self,
        version: u64,
        parts: &[Key],
    ) -> Result<State, ReplayError> {
        let mut state = State { version, ..State::default() };
        let hashes = self.read(&self.checkpoint_hashes(version)).ok().flatten();
        let hashes = hashes.and_then(|text| damage::parse_hash_list(str::from_utf8(&text).ok()?));
        let hashes = hashes.unwrap_or_default();
        for part in parts {
            let bytes = self.part(part, version)?;
            if hashes.get(part.name()).is_some_and(|hash| *hash != Hash::of(&bytes)) {
                return Err(ReplayError::DamagedFile(DamagedFile::new(
                    version,
                    part.clone(),
                    Damage::Altered,
                )));
            }
            self.read_part((part, bytes), version, &mut state)?;
        }
        if state.metadata.is_empty() {
            let file = parts.first().cloned().unwrap_or_default();
            let what = "has no schema".to_owned();
            return Err(ReplayError::DamagedFile(DamagedFile::new(
                version,
                file,
                Damage::Impossible(what),
            )));
        }
        Ok(state)
    }

    /// Reads the rows of a checkpoint part as actions.
    fn read_part(
        &self,
        (part, bytes): (&Key, Bytes),
        version: u64,
        state: &mut State,
    ) -> Result<(), ReplayError> {
        const NEEDED: [&str; 10] = [
            "metaData",
            "protocol",
            "txn",
            "add.path",
            "add.partitionValues",
            "add.size",
            "add.modificationTime",
            "add.dataChange",
            "add.stats",
            "add.tags",
        ];
        let damaged = |fault| DamagedFile::new(version, part.clone(), fault);
        let read = || -> Result<Vec<Vec<u8>>, ParquetError> {
            let reader = ParquetRecordBatchReaderBuilder::try_new(bytes.clone())?;
            let needed = ProjectionMask::columns(reader.parquet_schema(), NEEDED);
            let batches = reader.with_projection(needed).build()?;
            let text = |rows| {
                let mut lines = LineDelimitedWriter::new(Vec::new());
                lines.write(&rows)?;
                Ok(lines.into_inner())
            };
            batches.map(|rows| text(rows?)).collect()
        };
        let batches = read().map_err(|_| ReplayError::DamagedFile(damaged(Damage::Unreadable)))?;
        for line in batches.iter().flat_map(|lines| lines.split(|byte| *byte == b'\n')) {
            // Rows of actions that are not needed here are `{}`.
            if line.len() > 2 {
                let action = serde_json::from_slice(line);
                let action =
                    action.map_err(|_| ReplayError::DamagedFile(damaged(Damage::Unreadable)))?;
                self.apply_action(state, action, &|what| damaged(Damage::Impossible(what)))?;
            }
        }
        Ok(())
    }

    fn apply_action(
        &self,
        state: &mut State,
        action: Action<IgnoredAny>,
        impossible: &dyn Fn(String) -> DamagedFile,
    ) -> Result<(), ReplayError> {
        let wrong = |what: String| Err(ReplayError::DamagedFile(impossible(what)));
        match action {
            Action::Add(add) => {
                let restated = !add.data_change;
                let file = self.data_file(add, impossible)?;
                let same = |before: &DataFile| before.bytes == file.bytes && before.day == file.day;
                if state.files.get(&file.path).is_some_and(|before| !(restated && same(before))) {
                    return wrong(format!("adds `{}`, which already exists", file.path));
                }
                state.files.insert(file.path.clone(), file);
            }
            Action::Remove(remove) => {
                if state.files.remove(&remove.path).is_none() {
                    return wrong(format!("removes `{}`, which does not exist", remove.path));
                }
            }
            Action::Txn(transaction) => match FileCounts::of(&transaction) {
                Some((file, counts)) => {
                    let known = state.counts.entry(file.to_owned()).or_default();
                    if counts.is_later_than(known) {
                        *known = counts;
                    }
                }
                None => {
                    state.transactions.insert(transaction.app_id, transaction.version);
                }
            },
            Action::Protocol(protocol) => state.protocol = protocol,
            Action::MetaData(metadata) => state.metadata = metadata,
            Action::CommitInfo(_) | Action::Cdc(_) | Action::DomainMetadata(_) => {}
        }
        Ok(())
    }

    /// Converts an `add` action.
    pub(in crate::lake) fn data_file(
        &self,
        add: Add,
        impossible: &dyn Fn(String) -> DamagedFile,
    ) -> Result<DataFile, ReplayError> {
        if add.deletion_vector.is_some() {
            return Err(ReplayError::Other(self.unreadable("deletion vectors")));
        }
        let wrong = |what| ReplayError::DamagedFile(impossible(what));
        let partition = |column| add.partition_values.get(column);
        let day = match partition(UTC_DAY).or_else(|| partition(MART_DAY)) {
            Some(Some(day)) => Some(day.parse().map_err(|_| {
                wrong(format!("has `{}` with an invalid day: expected 2025-06-01", add.path))
            })?),
            _ => None,
        };
        let bytes = u64::try_from(add.size)
            .map_err(|_| wrong(format!("has a negative size for `{}`", add.path)))?;
        let tag = |name| add.tags.as_ref()?.get(name)?.as_deref();
        let hash = tag(FILE_HASH).and_then(Hash::read);
        let footer = tag(FOOTER_HASH).and_then(|digits| u64::from_str_radix(digits, 16).ok());
        let statistics = Statistics(Arc::new((add.stats, OnceLock::new())));
        let rows = match statistics.rows() {
            Some(rows) => rows,
            None => self.count_rows(&add.path)?,
        };
        let filters = FilterPlaces::read(add.tags.as_ref());
        Ok(DataFile {
            day,
            bytes,
            rows,
            statistics,
            hash,
            footer,
            modified: add.modification_time,
            filters,
            path: add.path,
        })
    }

    /// Counts the rows of a file that another program wrote without statistics.
    fn count_rows(&self, path: &str) -> Result<u64> {
        let key = self.file_key(path)?;
        let rows = match self.place.as_folder() {
            Some(root) => File::open(root.join(key.as_str()))
                .map_err(|error| Damage::of_reading(&error))
                .and_then(|file| rows_of(ParquetReader::new(file))),
            None => match self.place.read(&key)? {
                Some(bytes) => rows_of(ParquetReader::new(std::io::Cursor::new(bytes))),
                None => Err(Damage::Missing),
            },
        };
        rows.map_err(|fault| {
            let hint = "restore it from a backup: its rows cannot be counted otherwise";
            fault.error(key.as_str()).hint(hint)
        })
    }
}

fn rows_of(mut file: ParquetReader<impl MmapBytesReader>) -> Result<u64, Damage> {
    file.num_rows().map(|rows| rows as u64).map_err(|_| Damage::Unreadable)
}

/// The name of an unknown action that another program wrote, if the commit is valid JSON.
fn strange_action(commit: &[u8]) -> Option<String> {
    const KNOWN: [&str; 8] =
        ["add", "remove", "txn", "commitInfo", "protocol", "metaData", "cdc", "domainMetadata"];
    let lines = serde_json::Deserializer::from_slice(commit).into_iter::<Map<String, Value>>();
    let lines: Vec<_> = lines.collect::<Result<_, _>>().ok()?;
    let info = |line: &Map<String, Value>| line.get("commitInfo")?.get("wabalake").cloned();
    if lines.iter().any(|line| info(line).is_some()) {
        return None;
    }
    let mut names = lines.iter().flat_map(Map::keys);
    names.find(|name| !KNOWN.contains(&name.as_str())).cloned()
}
