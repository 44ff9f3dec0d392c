//! Tests of the lake, each in its own folder.

mod checkpoints;
mod commits;
mod damage;
mod erased;
mod foreign;
mod integers;
mod joint;
mod killed;
mod known;
mod machine;
mod marts;
mod older;
mod people;
mod reads;
mod rejects;
mod stores;
mod undo;
mod upkeep;
mod writing;
mod written_by_0_1_0;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use chrono::{NaiveDate, TimeDelta};
use polars::prelude::*;
use serde_json::json;
use tempfile::TempDir;
use wabalake_data::tables::{USER_KEY, UTC_DAY, deployments, instant, sessions};

use super::vacuum::Options;
use super::*;

const SESSIONS: &Table = &sessions::TABLE;

/// Of the range reserved for fiction.
const PHONE: &str = "12025550143";

fn lake() -> (TempDir, Lake) {
    let folder = tempfile::tempdir().unwrap();
    let lake = Lake::create(folder.path().join("lake")).unwrap();
    (folder, lake)
}

fn day(date: u32) -> Option<NaiveDate> {
    NaiveDate::from_ymd_opt(2025, 6, date)
}

/// Noon of a day; `None` without a day.
fn noon(day: Option<NaiveDate>) -> Option<i64> {
    Some(day?.and_hms_opt(12, 0, 0)?.and_utc().timestamp_micros())
}

/// Sessions that begin at one time.
fn rows(at: Option<i64>, ids: &[&str]) -> DataFrame {
    let height = ids.len();
    let column = |(name, kind): (&PlSmallStr, &DataType)| match name.as_str() {
        sessions::SESSION_ID => Column::new(name.clone(), ids),
        sessions::SESSION_STARTED_TIMESTAMP => {
            Column::new(name.clone(), vec![at; height]).cast(kind).unwrap()
        }
        sessions::USER_PHONE => Column::new(name.clone(), vec![PHONE; height]),
        USER_KEY => Column::new(name.clone(), vec![7_318_008_555_512_345_678_i64; height]),
        sessions::FIRST_MESSAGE => Column::new(name.clone(), vec!["a private word"; height]),
        _ => Column::full_null(name.clone(), height, kind),
    };
    DataFrame::new(height, SESSIONS.stored().iter().map(column).collect()).unwrap()
}

fn ids(scan: LazyFrame) -> Vec<String> {
    let rows = scan.select([col(sessions::SESSION_ID)]).collect().unwrap();
    let ids = rows.column(sessions::SESSION_ID).unwrap().str().unwrap();
    let mut ids: Vec<String> = ids.iter().map(|id| id.unwrap().to_owned()).collect();
    ids.sort();
    ids
}

fn all(lake: &Lake) -> Vec<String> {
    ids(lake.snapshot(SESSIONS).unwrap().scan().unwrap())
}

fn load_info(load_id: &str) -> serde_json::Map<String, serde_json::Value> {
    [("load_id".to_owned(), json!(load_id))].into_iter().collect()
}

/// The change that merges sessions into one day, as the loader does.
fn merge(
    snapshot: &Snapshot,
    staging: &Staging,
    load_id: &str,
    date: Option<NaiveDate>,
    new: &[&str],
) -> Change {
    let before = snapshot.scan_days(&[date]).unwrap().drop(by_name([UTC_DAY], true, false));
    let merged = concat([before, rows(noon(date), new).lazy()], UnionArgs::default()).unwrap();
    Change {
        transactions: vec![(load_id.to_owned(), snapshot.transaction(load_id).next())],
        remove: snapshot.files_of(date).map(|file| file.path.clone()).collect(),
        add: vec![staging.write(date, merged.collect().unwrap()).unwrap()],
        info: load_info(load_id),
        ..Change::new(Operation::Load)
    }
}

/// Merges sessions into one day without locks: repeats the merge after each conflict. Returns the
/// number of attempts.
fn load(lake: &Lake, load_id: &str, date: Option<NaiveDate>, new: &[&str]) -> usize {
    for tries in 1.. {
        let snapshot = lake.snapshot(SESSIONS).unwrap();
        let staging = lake.staging(SESSIONS).unwrap();
        let change = merge(&snapshot, &staging, load_id, date, new);
        if let Commit::Done(_) = lake.commit(&snapshot, change).unwrap() {
            return tries;
        }
    }
    0
}

/// Adds a file without reading the day, as another program might.
fn append(lake: &Lake, date: Option<NaiveDate>, new: &[&str]) {
    let snapshot = lake.snapshot(SESSIONS).unwrap();
    let staging = lake.staging(SESSIONS).unwrap();
    let change = Change {
        add: vec![staging.write(date, rows(noon(date), new)).unwrap()],
        ..Change::new(Operation::Load)
    };
    assert!(matches!(lake.commit(&snapshot, change).unwrap(), Commit::Done(_)));
}

/// Parquet files below a folder, of all versions.
fn parquet_files(folder: &Path) -> BTreeSet<PathBuf> {
    let mut files = BTreeSet::new();
    let Ok(entries) = fs::read_dir(folder) else { return files };
    for path in entries.map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            if !path.ends_with("_delta_log") {
                files.extend(parquet_files(&path));
            }
        } else if path.extension().is_some_and(|extension| extension == "parquet") {
            files.insert(path);
        }
    }
    files
}

fn table_folder(lake: &Lake) -> PathBuf {
    lake.root().join("tables/sessions")
}

/// The file of a commit of `sessions`.
fn commit_file(lake: &Lake, version: u64) -> PathBuf {
    table_folder(lake).join(format!("_delta_log/{version:020}.json"))
}

fn make_older(file: &Path, days: u64) {
    let then = SystemTime::now() - Duration::from_secs(days * 86_400);
    fs::File::options().write(true).open(file).unwrap().set_modified(then).unwrap();
}

/// The change that adds a deployment, as part of a load or of none.
fn deployment(snapshot: &Snapshot, staging: &Staging, load_id: Option<&str>) -> Change {
    let columns = deployments::TABLE.stored();
    let nulls = columns.iter().map(|(name, kind)| Column::full_null(name.clone(), 1, kind));
    let id = load_id.map(|id| format!("{id} deployments"));
    Change {
        transactions: id
            .into_iter()
            .map(|id| (id.clone(), snapshot.transaction(&id).next()))
            .collect(),
        add: vec![staging.write(None, DataFrame::new(1, nulls.collect()).unwrap()).unwrap()],
        info: load_id.map(load_info).unwrap_or_default(),
        ..Change::new(Operation::Load)
    }
}

/// Commits a deployment, as part of a load or of none.
fn add_deployment(lake: &Lake, load_id: Option<&str>) {
    let add =
        |snapshot: &Snapshot, staging: &Staging| Ok(Some(deployment(snapshot, staging, load_id)));
    assert!(lake.transact(&deployments::TABLE, add).unwrap().is_committed);
}

/// Writes the next commit of `sessions` as another program might.
fn commit_as_another(lake: &Lake, lines: &[serde_json::Value]) {
    let log = table_folder(lake).join("_delta_log");
    let next = lake.snapshot(SESSIONS).unwrap().version.unwrap() + 1;
    let lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
    fs::write(log.join(format!("{next:020}.json")), lines.join("\n")).unwrap();
}
