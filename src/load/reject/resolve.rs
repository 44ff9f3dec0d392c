//! Decides which rejects are resolved, and by which file.

use std::collections::{BTreeSet, HashMap, HashSet};

use chrono::{DateTime, Utc};
use polars::prelude::*;
use wabalake_data::Table;
use wabalake_data::tables::instant;

use super::store::WriteReason;
use super::{KeyPlace, Reject, frame};
use crate::error::Result;
use crate::lake::{DataFile, Lake, Snapshot, rejects};
use crate::load::buckets::stack;
use crate::load::day::date;
use crate::load::key_hash::row_key_hashes;
use crate::load::staged::{StagedLoad, StagedTable};
use crate::load::staged_columns::ORIGIN;

/// What resolves rejects: rows of the load, rows in the lake, names in corrected files.
#[derive(Default)]
pub(super) struct Resolutions {
    /// Loaded files with their tables: resolutions by other files do not count.
    loaded: HashSet<(&'static str, String)>,
    /// The table and file of corrected rows, by the name of their reject.
    named: HashMap<String, (&'static str, String)>,
    /// Those names whose reject does not exist.
    missing: HashSet<String>,
    /// The files of the load that have a row, by table and key.
    keyed: HashMap<(&'static str, i64), Vec<String>>,
    /// Tables and keys of rows that were in the lake before.
    there: HashSet<(&'static str, i64)>,
    /// Earlier resolutions of rejects that are written again, by name.
    before: HashMap<String, String>,
}

impl Resolutions {
    pub(super) fn of(
        lake: &Lake,
        rejects: &Snapshot,
        staged: &StagedLoad,
        why: &WriteReason<'_>,
        replaced: &HashSet<&str>,
    ) -> Result<Self> {
        let mut resolutions = Self::default();
        let tables = wabalake_data::TABLES;
        let known = lake.snapshots(tables.iter().copied())?;
        let open = rejects::open_keys(rejects, &known)?;
        for (table, snapshot) in tables.iter().zip(&known) {
            resolutions.loaded.extend(snapshot.loaded().map(|file| (table.name, file.to_owned())));
        }
        let brings_rows = *why != WriteReason::Refused;
        for table in &staged.tables {
            let name = table.table.name;
            for file in table.files.iter().filter(|_| brings_rows) {
                for corrected in &file.corrected {
                    let by = (name, file.report.file_id.clone());
                    resolutions.named.insert(corrected.clone(), by);
                }
            }
            let mut wanted: HashSet<i64> = open.get(name).cloned().unwrap_or_default();
            let mut places = HashMap::new();
            for (origin, file) in (1..).zip(&table.files) {
                if replaced.contains(file.report.file_id.as_str()) {
                    table.rejects.read(origin, Some(&KeyPlace::COLUMNS), |rows| {
                        places.extend(KeyPlace::read(&rows)?);
                        Ok(())
                    })?;
                }
            }
            wanted.extend(places.keys());
            if brings_rows && !wanted.is_empty() {
                resolutions.find_staged(table, &wanted)?;
            }
            if !places.is_empty() {
                let found = in_lake(lake, table.table, &places)?;
                resolutions.there.extend(found.into_iter().map(|key| (name, key)));
            }
        }
        resolutions.missing =
            resolutions.named.keys().filter(|name| is_name(name)).cloned().collect();
        if !replaced.is_empty() {
            resolutions.remember(rejects, replaced)?;
        }
        Ok(resolutions)
    }

    /// Finds the files of the load that have rows with the wanted keys.
    fn find_staged(&mut self, staged: &StagedTable, wanted: &HashSet<i64>) -> Result<()> {
        let table: &'static Table = staged.table;
        let mut columns: Vec<&str> = table.stored_key().collect();
        columns.push(ORIGIN);
        for day in staged.rows.days() {
            staged.rows.read(day, Some(&columns), |rows| {
                let origins = rows.column(ORIGIN)?.i32()?;
                for (key, origin) in row_key_hashes(table, &rows)?.into_iter().zip(origins.iter()) {
                    if !wanted.contains(&key) {
                        continue;
                    }
                    let place = usize::try_from(origin.unwrap_or(1) - 1).unwrap_or(0);
                    let Some(file) = staged.files.get(place) else { continue };
                    let files = self.keyed.entry((table.name, key)).or_default();
                    if !files.contains(&file.report.file_id) {
                        files.push(file.report.file_id.clone());
                    }
                }
                Ok(())
            })?;
        }
        // So the order of files does not matter.
        self.keyed.values_mut().for_each(|files| files.sort_unstable());
        Ok(())
    }

    /// Remembers the resolutions of rejects that are written again.
    fn remember(&mut self, rejects: &Snapshot, replaced: &HashSet<&str>) -> Result<()> {
        let columns = [rejects::FILE_ID, rejects::RECORD, rejects::RESOLVED_BY].map(col);
        let rows = rejects.scan()?.select(columns).collect()?;
        let owners = rows.column(rejects::FILE_ID)?.str()?;
        let records = rows.column(rejects::RECORD)?.i64()?;
        let by = rows.column(rejects::RESOLVED_BY)?.str()?;
        for ((owner, record), by) in owners.iter().zip(records.iter()).zip(by.iter()) {
            let (Some(owner), Some(record), Some(by)) = (owner, record, by) else { continue };
            // Whether the lake has the row is checked again.
            if replaced.contains(owner) && by != owner {
                self.before.insert(name(owner, record), by.to_owned());
            }
        }
        Ok(())
    }

    /// Notes which named rejects exist.
    pub(super) fn note(&mut self, rejects: &DataFrame) -> Result<()> {
        if self.missing.is_empty() {
            return Ok(());
        }
        let owners = rejects.column(rejects::FILE_ID)?.str()?;
        let records = rejects.column(rejects::RECORD)?.i64()?;
        for (owner, record) in owners.iter().zip(records.iter()) {
            if let (Some(owner), Some(record)) = (owner, record) {
                self.missing.remove(&name(owner, record));
            }
        }
        Ok(())
    }

    /// Returns the file that resolves a reject. A file resolves none of its own rejects.
    fn resolver(&self, owner: &str, record: i64, kind: &str, key: Option<i64>) -> Option<&str> {
        let name = name(owner, record);
        if let Some((_, file)) = self.named.get(&name) {
            return Some(file);
        }
        let table = wabalake_data::table(kind)?;
        let row = key.map(|key| (table.name, key));
        let mut staged = row.and_then(|row| self.keyed.get(&row)).into_iter().flatten();
        if let Some(file) = staged.find(|file| *file != owner) {
            return Some(file);
        }
        let before = self.before.get(&name).filter(|by| self.counts(kind, by));
        before.map(String::as_str)
    }

    /// Returns `true` if a row with the key of a reject was in the lake before its file.
    fn was_there(&self, kind: &str, key: Option<i64>) -> bool {
        let row = wabalake_data::table(kind).zip(key).map(|(table, key)| (table.name, key));
        row.is_some_and(|row| self.there.contains(&row))
    }

    fn counts(&self, kind: &str, by: &str) -> bool {
        wabalake_data::table(kind)
            .is_some_and(|table| self.loaded.contains(&(table.name, by.to_owned())))
    }

    /// Resolves open rejects; new ones also by rows that were in the lake before. Returns `true` if
    /// any changed.
    pub(super) fn put(
        &self,
        rejects: DataFrame,
        are_new: bool,
        now: i64,
    ) -> Result<(DataFrame, bool)> {
        let owners = rejects.column(rejects::FILE_ID)?.str()?;
        let records = rejects.column(rejects::RECORD)?.i64()?;
        let kinds = rejects.column(rejects::KIND)?.str()?;
        let keys = rejects.column(rejects::ROW_KEY)?.i64()?;
        let mut resolved =
            rejects.column(rejects::RESOLVED)?.cast(&DataType::Int64)?.i64()?.to_vec();
        let mut by: Vec<Option<String>> = rejects
            .column(rejects::RESOLVED_BY)?
            .str()?
            .iter()
            .map(|file| file.map(str::to_owned))
            .collect();
        let mut changed = false;
        let each = owners.iter().zip(records.iter()).zip(kinds.iter()).zip(keys.iter());
        for (row, (((owner, record), kind), key)) in each.enumerate() {
            let (Some(owner), Some(record), Some(kind)) = (owner, record, kind) else { continue };
            // A resolution by a load that was never committed, or was undone, is replaced. Others
            // stay: the load found now may be undone, and the first still has the row.
            let stays = |by: &String| by == owner || self.counts(kind, by);
            if by[row].as_ref().is_some_and(stays) {
                continue;
            }
            let here = || (are_new && self.was_there(kind, key)).then_some(owner);
            if let Some(file) = self.resolver(owner, record, kind, key).or_else(here) {
                (resolved[row], by[row]) = (Some(now), Some(file.to_owned()));
                changed = true;
            }
        }
        if !changed {
            return Ok((rejects, false));
        }
        let mut rejects = rejects.clone();
        let resolved = Column::new(rejects::RESOLVED.into(), resolved).cast(&instant())?;
        rejects.with_column(resolved)?;
        rejects.with_column(Column::new(rejects::RESOLVED_BY.into(), by))?;
        Ok((rejects, true))
    }

    /// Placeholders for rejects that are corrected before their file is loaded: only a name and its
    /// resolution. They count once that file is loaded, which replaces them.
    pub(super) fn awaited(&self, now: DateTime<Utc>) -> Result<Option<DataFrame>> {
        let mut names: Vec<&String> = self.missing.iter().collect();
        names.sort_unstable();
        let mut rows = Vec::new();
        for name in names {
            let (Some((owner, record)), Some((kind, by))) =
                (name.split_once(':'), self.named.get(name))
            else {
                continue;
            };
            let reject = Reject {
                record: record.parse().unwrap_or_default(),
                line: 0,
                column: None,
                reason: "corrected before it was loaded".to_owned(),
                raw: String::new(),
                key: None,
                session: None,
                place: None,
            };
            let origin = rejects::RejectOrigin {
                file_id: owner,
                file: "",
                kind,
                header: "",
                delimiter: b',',
                at: now,
            };
            let row = rejects::complete(frame(vec![reject])?, &origin)?;
            rows.push((row, by));
        }
        if rows.is_empty() {
            return Ok(None);
        }
        let by: Vec<&str> = rows.iter().map(|(_, by)| by.as_str()).collect();
        let by = Column::new(rejects::RESOLVED_BY.into(), by);
        let mut rows = stack(rows.into_iter().map(|(row, _)| row).collect())?;
        let resolved = vec![now.timestamp_micros(); rows.height()];
        rows.with_column(Column::new(rejects::RESOLVED.into(), resolved).cast(&instant())?)?;
        rows.with_column(by)?;
        Ok(Some(rows))
    }
}

/// Returns the name of a reject, by which a corrected row refers to it.
pub(super) fn name(file_id: &str, record: i64) -> String {
    format!("{file_id}:{record}")
}

/// Returns `true` if a text has the form of a reject's name.
fn is_name(text: &str) -> bool {
    text.split_once(':').is_some_and(|(file_id, record)| {
        let is_hash = file_id.len() == 32 && file_id.bytes().all(|b| b.is_ascii_hexdigit());
        is_hash && record.parse::<u32>().is_ok()
    })
}

/// Returns the keys whose rows are in the lake.
fn in_lake(
    lake: &Lake,
    table: &'static Table,
    places: &HashMap<i64, KeyPlace>,
) -> Result<HashSet<i64>> {
    let snapshot = lake.snapshot(table)?;
    if let Some(hash) = table.key_hash() {
        let keys: HashMap<i64, i64> =
            places.iter().filter_map(|(key, place)| Some((place.hash?, *key))).collect();
        let files: Vec<_> = snapshot.files.iter().collect();
        let known = |_: &DataFile, hashes: Vec<i64>| -> Result<Vec<i64>> {
            Ok(hashes.iter().filter_map(|hash| keys.get(hash).copied()).collect())
        };
        let found = snapshot.integers(&files, hash, known)?;
        return Ok(found.into_iter().flatten().collect());
    }
    // The key contains the time, so only its day can have the row.
    let days: BTreeSet<i32> = places.values().map(|place| place.day).collect();
    let columns: Vec<Expr> = table.stored_key().map(col).collect();
    let mut found = HashSet::new();
    for day in days {
        for file in snapshot.files_of(date(day)) {
            let rows = snapshot.scan_files(&[file])?.select(&columns).collect()?;
            let keys = row_key_hashes(table, &rows)?.into_iter();
            found.extend(keys.filter(|key| places.contains_key(key)));
        }
    }
    Ok(found)
}
