//! What a lake promises, each promise broken in its own folder.

mod damage;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Barrier;
use std::time::{Duration, SystemTime};

use chrono::{NaiveDate, TimeDelta};
use polars::prelude::*;
use serde_json::json;
use tempfile::TempDir;
use wabalake_data::tables::{USER_KEY, UTC_DAY, deployments, instant, sessions};

use super::rejects::{self, REJECTS, Which};
use super::vacuum::Options;
use super::*;

const SESSIONS: &Table = &sessions::TABLE;
/// Of the range set aside for fiction.
const PHONE: &str = "12025550143";

fn lake() -> (TempDir, Lake) {
    let folder = tempfile::tempdir().unwrap();
    let lake = Lake::create(folder.path().join("lake")).unwrap();
    (folder, lake)
}

fn day(date: u32) -> Option<NaiveDate> {
    NaiveDate::from_ymd_opt(2025, 6, date)
}

/// Noon of a day, or no time.
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

/// Loads sessions of one day as the loader does: the day's rows are read, written anew with the
/// others, and swapped in, again and again until nobody came first. Says how often that was.
fn load(lake: &Lake, load_id: &str, date: Option<NaiveDate>, new: &[&str]) -> usize {
    for tries in 1.. {
        let snapshot = lake.snapshot(SESSIONS).unwrap();
        let before = snapshot.scan_days(&[date]).unwrap().drop(by_name([UTC_DAY], true, false));
        let merged = concat([before, rows(noon(date), new).lazy()], UnionArgs::default()).unwrap();
        let staging = lake.staging(SESSIONS).unwrap();
        let file = staging.write(date, merged.collect().unwrap()).unwrap();
        let version = snapshot.transaction(load_id).unwrap_or(0) + 1;
        let change = Change {
            operation: Operation::Load,
            transactions: vec![(load_id.to_owned(), version)],
            remove: snapshot.files_of(date).map(|file| file.path.clone()).collect(),
            add: vec![file],
            info: load_info(load_id),
            data_change: true,
        };
        if let Commit::Done(_) = lake.commit(SESSIONS, &snapshot, change).unwrap() {
            return tries;
        }
    }
    0
}

/// Adds a file without a look at what is there, as another program might.
fn append(lake: &Lake, date: Option<NaiveDate>, new: &[&str]) {
    let snapshot = lake.snapshot(SESSIONS).unwrap();
    let staging = lake.staging(SESSIONS).unwrap();
    let change = Change {
        operation: Operation::Load,
        transactions: Vec::new(),
        remove: Vec::new(),
        add: vec![staging.write(date, rows(noon(date), new)).unwrap()],
        info: serde_json::Map::new(),
        data_change: true,
    };
    assert!(matches!(lake.commit(SESSIONS, &snapshot, change).unwrap(), Commit::Done(_)));
}

/// Parquet files below a folder, of versions old and new.
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

fn make_older(file: &Path, days: u64) {
    let then = SystemTime::now() - Duration::from_secs(days * 86_400);
    fs::File::options().write(true).open(file).unwrap().set_modified(then).unwrap();
}

#[test]
fn a_folder_without_tables_is_an_empty_lake() {
    let (_folder, lake) = lake();
    let snapshot = lake.snapshot(SESSIONS).unwrap();
    assert_eq!(snapshot.version, None);
    let rows = snapshot.scan().unwrap().collect().unwrap();
    assert_eq!((rows.height(), rows.schema().as_ref()), (0, &SESSIONS.schema()));
    assert!(lake.history(SESSIONS).unwrap().is_empty());
    let status = lake.status().unwrap();
    assert_eq!((status.tables.len(), status.last_load, status.open_rejects), (0, None, 0));
    assert_eq!(fs::read_dir(lake.root()).unwrap().count(), 0, "reading made files");
}

#[test]
fn a_path_that_does_not_exist_says_how_to_make_a_lake() {
    let error = Lake::open("/nowhere/at/all").unwrap_err();
    assert_eq!(error.exit_code(), 1);
    assert!(error.lines().contains("hint: make one: `wabalake load FILE… --lake /nowhere/at/all`"));
    assert_eq!(Lake::open("s3://bucket/lake").unwrap_err().exit_code(), 2);
}

#[test]
fn rows_come_back_with_their_day_and_all_columns() {
    let (_folder, lake) = lake();
    load(&lake, "a", day(1), &["a1", "a2"]);
    load(&lake, "b", None, &["b1"]);
    let found = lake.snapshot(SESSIONS).unwrap().scan().unwrap();
    let found = found.sort([sessions::SESSION_ID], SortMultipleOptions::default());
    let found = found.collect().unwrap();
    assert_eq!(found.schema().as_ref(), &SESSIONS.schema());
    let days: Vec<_> = found.column(UTC_DAY).unwrap().date().unwrap().as_date_iter().collect();
    assert_eq!(days, [day(1), day(1), None]);
    assert_eq!(found.column(sessions::USER_PHONE).unwrap().str().unwrap().get(0), Some(PHONE));
}

#[test]
fn a_filter_on_time_or_day_opens_no_other_file() {
    let (_folder, lake) = lake();
    for date in 1..=3 {
        load(&lake, "a", day(date), &[&format!("s{date}")]);
    }
    let snapshot = lake.snapshot(SESSIONS).unwrap();
    for file in snapshot.files.iter().filter(|file| file.day != day(2)) {
        fs::remove_file(table_folder(&lake).join(&file.path)).unwrap();
    }
    let second = |at: Expr, kind: DataType, ends: [Expr; 2]| {
        let [from, until] = ends.map(|end| end.cast(kind.clone()));
        let scan = snapshot.scan().unwrap();
        ids(scan.filter(at.clone().gt_eq(from).and(at.lt(until))))
    };
    let midnight = |date| lit(noon(day(date)).unwrap() - 12 * 3_600_000_000);
    let at = col(sessions::SESSION_STARTED_TIMESTAMP);
    assert_eq!(second(at, instant(), [midnight(2), midnight(3)]), ["s2"]);
    let number = |date| lit(day(date).unwrap().to_epoch_days());
    assert_eq!(second(col(UTC_DAY), DataType::Date, [number(2), number(3)]), ["s2"]);
    assert!(snapshot.scan().unwrap().collect().is_err(), "the other files are gone");
}

#[test]
fn a_day_is_compared_with_nothing_where_there_is_none() {
    let (_folder, lake) = lake();
    load(&lake, "a", None, &["undated"]);
    load(&lake, "a", day(1), &["first"]);
    let scan = || lake.snapshot(SESSIONS).unwrap().scan().unwrap();
    let first = lit(day(1).unwrap().to_epoch_days()).cast(DataType::Date);
    assert_eq!(ids(scan().filter(col(UTC_DAY).lt_eq(first.clone()))), ["first"]);
    assert_eq!(ids(scan().filter(col(UTC_DAY).gt_eq(first))), ["first"]);
    assert_eq!(ids(scan().filter(col(UTC_DAY).is_null())), ["undated"]);
}

#[test]
fn loads_at_once_lose_and_double_nothing() {
    let (_folder, lake) = lake();
    let root = lake.root().to_owned();
    let start = Barrier::new(6);
    let tries: usize = std::thread::scope(|scope| {
        let loads: Vec<_> = (0..6_u32)
            .map(|worker| {
                let (root, start) = (root.clone(), &start);
                scope.spawn(move || {
                    let lake = Lake::open(root).unwrap();
                    start.wait();
                    // The first makes the table; three share a day, three have their own.
                    let date = if worker < 3 { day(1) } else { day(worker) };
                    (0..3)
                        .map(|n| {
                            let id = format!("w{worker}-{n}");
                            load(&lake, &id, date, &[&id])
                        })
                        .sum::<usize>()
                })
            })
            .collect();
        loads.into_iter().map(|load| load.join().unwrap()).sum()
    });
    let expected: Vec<String> =
        (0..6).flat_map(|worker| (0..3).map(move |n| format!("w{worker}-{n}"))).collect();
    assert_eq!(all(&lake), expected);
    let snapshot = lake.snapshot(SESSIONS).unwrap();
    assert_eq!(snapshot.version, Some(17));
    assert!(expected.iter().all(|load| snapshot.transaction(load) == Some(1)));
    assert!(tries > 18, "no two met: the test proves nothing");
    // Of commits that came second nothing is left.
    let history = lake.history(SESSIONS).unwrap();
    let added: u64 = history.iter().map(|entry| entry.files_added).sum();
    assert_eq!(parquet_files(&table_folder(&lake)).len() as u64, added);
}

#[test]
fn a_commit_from_an_older_version_is_refused() {
    let (_folder, lake) = lake();
    let before = lake.snapshot(SESSIONS).unwrap();
    load(&lake, "a", day(1), &["a1"]);
    let staging = lake.staging(SESSIONS).unwrap();
    let change = Change {
        operation: Operation::Load,
        transactions: Vec::new(),
        remove: Vec::new(),
        add: vec![staging.write(day(2), rows(noon(day(2)), &["b1"])).unwrap()],
        info: serde_json::Map::new(),
        data_change: true,
    };
    assert_eq!(lake.commit(SESSIONS, &before, change).unwrap(), Commit::Conflict);
    drop(staging);
    assert_eq!(all(&lake), ["a1"]);
    assert_eq!(parquet_files(&table_folder(&lake)).len(), 1);
}

#[test]
fn a_snapshot_stays_as_it_was() {
    let (_folder, lake) = lake();
    load(&lake, "a", day(1), &["a1"]);
    let before = lake.snapshot(SESSIONS).unwrap();
    load(&lake, "b", day(1), &["b1"]);
    assert_eq!(ids(before.scan().unwrap()), ["a1"]);
    assert_eq!(all(&lake), ["a1", "b1"]);
}

#[test]
fn files_are_known_by_their_transactions() {
    let (_folder, lake) = lake();
    assert!(!lake.is_loaded(SESSIONS, "a").unwrap());
    load(&lake, "a", day(1), &["a1"]);
    assert!(lake.is_loaded(SESSIONS, "a").unwrap());
    lake.undo().unwrap();
    assert!(!lake.is_loaded(SESSIONS, "a").unwrap());
    assert_eq!(lake.snapshot(SESSIONS).unwrap().transaction("a"), Some(2));
    load(&lake, "a", day(1), &["a1"]);
    assert!(lake.is_loaded(SESSIONS, "a").unwrap());
    // Another process knows as much as the one that wrote.
    let other = Lake::open(lake.root()).unwrap();
    assert_eq!(other.snapshot(SESSIONS).unwrap().transaction("a"), Some(3));
}

#[test]
fn checkpoints_stand_for_what_was_before() {
    let (_folder, lake) = lake();
    for n in 0..45_u32 {
        let id = format!("f{n:02}");
        load(&lake, &id, day(1 + n % 5), &[&id]);
    }
    let log = table_folder(&lake).join("_delta_log");
    let file = |name: String| log.join(name);
    assert!(file(format!("{:020}.checkpoint.parquet", 39)).is_file());
    let whole = lake.snapshot(SESSIONS).unwrap();
    for version in 0..39 {
        fs::remove_file(file(format!("{version:020}.json"))).unwrap();
    }
    let read_anew = Lake::open(lake.root()).unwrap();
    let from_checkpoint = read_anew.snapshot(SESSIONS).unwrap();
    assert_eq!(from_checkpoint.version, Some(44));
    assert_eq!(from_checkpoint.files, whole.files);
    assert!(from_checkpoint.is_as_made_here(), "else each commit would load the whole state");
    assert_eq!(all(&read_anew), all(&lake));
    assert!((0..45).all(|n| from_checkpoint.transaction(&format!("f{n:02}")) == Some(1)));

    fs::remove_file(file(format!("{:020}.json", 41))).unwrap();
    let error = Lake::open(lake.root()).unwrap().snapshot(SESSIONS).unwrap_err();
    assert!(error.to_string().contains(&format!("{:020}.json` is not there", 41)), "{error}");
}

#[test]
fn deltalake_reads_the_same_files() {
    let (_folder, lake) = lake();
    for n in 0..23_u32 {
        load(&lake, "a", if n % 4 == 0 { None } else { day(n % 4) }, &[&format!("s{n:02}")]);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let url = url::Url::from_directory_path(table_folder(&lake)).unwrap();
    let table = runtime.block_on(deltalake::open_table(url)).unwrap();
    let state = table.snapshot().unwrap();
    let theirs: BTreeSet<(String, Option<usize>)> = state
        .log_data()
        .iter()
        .map(|file| (file.path().into_owned(), file.num_records()))
        .collect();
    let snapshot = lake.snapshot(SESSIONS).unwrap();
    let ours = snapshot.files.iter().map(|f| (f.path.clone(), usize::try_from(f.rows).ok()));
    assert_eq!(theirs, ours.collect());
    assert_eq!(theirs.len(), 4);
}

#[test]
fn the_log_holds_no_phone_key_or_message() {
    let (_folder, lake) = lake();
    load(&lake, "a", day(1), &["a1"]);
    load(&lake, "b", day(1), &["b1"]);
    for version in 0..2 {
        let commit = log::Log::new(&table_folder(&lake)).commit_file(version);
        let text = fs::read_to_string(commit).unwrap();
        assert!(text.contains("minValues"));
        for secret in [PHONE, "7318008555512345678", "a private word"] {
            assert!(!text.contains(secret));
        }
    }
    let snapshot = lake.snapshot(SESSIONS).unwrap();
    let known: BTreeSet<_> = snapshot.files[0].statistics.bounds().null_count.keys().collect();
    assert_eq!(known.len(), SESSIONS.statistics.len());
}

#[test]
fn an_undo_is_a_version_of_its_own() {
    let (_folder, lake) = lake();
    load(&lake, "a", day(1), &["a1"]);
    load(&lake, "b", day(2), &["b1"]);
    load(&lake, "c", day(1), &["c1"]);
    assert_eq!(lake.status().unwrap().last_load.unwrap().load_id, "c");

    let undone = lake.undo().unwrap();
    assert_eq!(undone.load.load_id, "c");
    let table = &undone.tables[0];
    assert_eq!((table.version, table.rows_before, table.rows_after), (3, 3, 2));
    assert_eq!(table.days, [day(1).unwrap()].into());
    assert_eq!(table.files, ["c"]);
    assert_eq!(all(&lake), ["a1", "b1"]);

    assert_eq!(lake.undo().unwrap().load.load_id, "b");
    assert_eq!(all(&lake), ["a1"]);
    load(&lake, "b", day(2), &["b1"]);
    assert_eq!(lake.undo().unwrap().load.load_id, "b");
    assert_eq!(lake.undo().unwrap().load.load_id, "a");
    assert!(all(&lake).is_empty());
    let error = lake.undo().unwrap_err();
    assert_eq!(error.to_string(), "there is no load to take back");

    let history = lake.history(SESSIONS).unwrap();
    let told: Vec<_> = history.iter().rev().map(|e| (e.version, e.operation.as_str())).collect();
    assert_eq!(told[2..4], [(2, "load"), (3, "undo")]);
    let entry = &history[history.len() - 3];
    assert_eq!((entry.files_added, entry.files_removed), (1, 1));
    assert_eq!((entry.rows_added, entry.rows_removed), (2, Some(1)));
    assert_eq!(entry.load_id.as_deref(), Some("c"));
}

#[test]
fn an_undo_is_refused_when_its_days_were_rewritten() {
    let (_folder, lake) = lake();
    load(&lake, "a", day(1), &["a1"]);
    append(&lake, day(1), &["x1"]);
    lake.compact().unwrap();
    let error = lake.undo().unwrap_err();
    assert_eq!(
        error.lines(),
        "error: the last load cannot be taken back: version 2 (compact) rewrote the UTC day \
         2025-06-01 of `sessions`\n  hint: `wabalake history sessions` shows what came after it"
    );
    assert_eq!(all(&lake), ["a1", "x1"]);
    assert!(lake.is_loaded(SESSIONS, "a").unwrap());
}

#[test]
fn an_undo_is_refused_when_the_files_from_before_are_deleted() {
    let (_folder, lake) = lake();
    load(&lake, "a", day(1), &["a1"]);
    load(&lake, "b", day(1), &["b1"]);
    lake.vacuum(Options { retain: TimeDelta::zero(), dry_run: false }).unwrap();
    let error = lake.undo().unwrap_err().to_string();
    assert!(error.contains("from before it is deleted"), "{error}");
    assert_eq!(all(&lake), ["a1", "b1"]);
}

/// Commits a deployment, as part of a load that may have sessions too, or of none.
fn add_deployment(lake: &Lake, load_id: Option<&str>) {
    let table = &deployments::TABLE;
    let snapshot = lake.snapshot(table).unwrap();
    let staging = lake.staging(table).unwrap();
    let columns = table.stored();
    let nulls = columns.iter().map(|(name, kind)| Column::full_null(name.clone(), 1, kind));
    let change = Change {
        operation: Operation::Load,
        transactions: load_id.map(|id| (format!("{id} deployments"), 1)).into_iter().collect(),
        remove: Vec::new(),
        add: vec![staging.write(None, DataFrame::new(1, nulls.collect()).unwrap()).unwrap()],
        info: load_id.map(load_info).unwrap_or_default(),
        data_change: true,
    };
    assert!(matches!(lake.commit(table, &snapshot, change).unwrap(), Commit::Done(_)));
}

#[test]
fn an_undo_that_was_killed_between_tables_is_finished() {
    let (_folder, lake) = lake();
    load(&lake, "before", day(1), &["a1"]);
    load(&lake, "both", day(1), &["b1"]);
    add_deployment(&lake, Some("both"));
    assert_eq!(lake.last_load().unwrap().unwrap().tables, ["sessions", "deployments"]);
    lake.undo().unwrap();
    // As if killed before the second table: its undo is not there.
    let log = format!("tables/deployments/_delta_log/{:020}.json", 1);
    for file in [log.as_str(), ".wabalake/newest/deployments"] {
        fs::remove_file(lake.root().join(file)).unwrap();
    }

    let lake = Lake::open(lake.root()).unwrap();
    assert_eq!(all(&lake), ["a1"]);
    let undone = lake.undo().unwrap();
    assert_eq!(undone.load.load_id, "both");
    assert_eq!(undone.tables.len(), 1);
    assert_eq!(lake.snapshot(&deployments::TABLE).unwrap().rows(), 0);
    assert_eq!(all(&lake), ["a1"]);
    assert_eq!(lake.undo().unwrap().load.load_id, "before");
}

#[test]
fn an_undo_is_checked_in_every_table_before_it_changes_one() {
    let (_folder, lake) = lake();
    load(&lake, "both", day(1), &["a1"]);
    add_deployment(&lake, Some("both"));
    add_deployment(&lake, None);
    lake.compact().unwrap();
    assert_eq!(lake.last_load().unwrap().unwrap().load_id, "both");
    let error = lake.undo().unwrap_err().to_string();
    assert!(
        error.ends_with("version 2 (compact) rewrote its rows without a time of `deployments`")
    );
    assert_eq!(all(&lake), ["a1"]);
}

#[test]
fn compaction_keeps_the_rows_and_merges_their_files() {
    let (_folder, lake) = lake();
    for n in 0..3 {
        append(&lake, day(1), &[&format!("z{n}"), &format!("a{n}")]);
    }
    append(&lake, day(2), &["b1"]);
    append(&lake, None, &["u1"]);
    append(&lake, None, &["u2"]);
    let before = all(&lake);
    let untouched = lake.snapshot(SESSIONS).unwrap().files_of(day(2)).next().cloned();

    let done = lake.compact().unwrap();
    assert_eq!(
        (done.len(), done[0].table, done[0].days, done[0].files),
        (1, "sessions", 2, (5, 2))
    );
    let snapshot = lake.snapshot(SESSIONS).unwrap();
    assert_eq!(snapshot.files.len(), 3);
    assert_eq!(all(&lake), before);
    assert_eq!(snapshot.files_of(day(2)).next().cloned(), untouched);
    let sorted = snapshot.scan_days(&[day(1)]).unwrap().collect().unwrap();
    let sorted = sorted.column(sessions::SESSION_ID).unwrap().str().unwrap().clone();
    assert_eq!(sorted.iter().flatten().collect::<Vec<_>>(), ["a0", "a1", "a2", "z0", "z1", "z2"]);
    let log = log::Log::new(&table_folder(&lake));
    let changes_rows = |action: &log::Action| match action {
        log::Action::Add(add) => add.data_change,
        log::Action::Remove(remove) => remove.data_change,
        _ => false,
    };
    assert!(!log.actions(snapshot.version.unwrap()).unwrap().iter().any(changes_rows));
    assert!(lake.compact().unwrap().is_empty(), "there was nothing left to merge");
}

#[test]
fn compaction_and_loads_at_once_lose_nothing() {
    let (_folder, lake) = lake();
    for n in 0..8 {
        append(&lake, day(1 + n % 2), &[&format!("a{n}")]);
    }
    let root = lake.root().to_owned();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let lake = Lake::open(&root).unwrap();
            for n in 0..6 {
                load(&lake, "l", day(1 + n % 3), &[&format!("l{n}")]);
            }
        });
        for _ in 0..6 {
            lake.compact().unwrap();
        }
    });
    let expected: Vec<_> =
        (0..8).map(|n| format!("a{n}")).chain((0..6).map(|n| format!("l{n}"))).collect();
    assert_eq!(all(&lake), expected);
}

#[test]
fn vacuum_keeps_what_a_version_within_the_retention_needs() {
    let (_folder, lake) = lake();
    load(&lake, "a", day(1), &["a1"]);
    load(&lake, "b", day(1), &["b1"]);
    load(&lake, "c", day(2), &["c1"]);
    let folder = table_folder(&lake);
    for file in parquet_files(&folder) {
        // However old a file is: what counts is when it was replaced.
        make_older(&file, 30);
    }
    let killed_lately =
        folder.join("utc_day=2025-06-01/5e0c7f0e-3c0b-4a56-9a51-0d6b3f5a7c11.parquet");
    let killed_long_ago =
        folder.join("utc_day=2025-06-03/91d2a7c4-6f3e-4b1d-8f6a-2b7d9e0c4a22.parquet");
    fs::create_dir(killed_long_ago.parent().unwrap()).unwrap();
    for file in [&killed_lately, &killed_long_ago] {
        fs::write(file, "half a file").unwrap();
    }
    make_older(&killed_long_ago, 30);

    let week = Options::default();
    let told = lake.vacuum(Options { dry_run: true, ..week }).unwrap();
    assert_eq!(parquet_files(&folder).len(), 5, "a dry run deleted something");
    assert_eq!(told, lake.vacuum(week).unwrap());
    assert_eq!((told.files.len(), told.bytes), (1, 11));
    assert!(!killed_long_ago.parent().unwrap().exists());
    let before = lake.undo().unwrap();
    assert_eq!(before.load.load_id, "c");
    assert_eq!(lake.undo().unwrap().load.load_id, "b");
    assert_eq!(all(&lake), ["a1"]);

    let now = Options { retain: TimeDelta::zero(), dry_run: false };
    let deleted = lake.vacuum(now).unwrap();
    assert_eq!(deleted.files.len(), 3);
    assert_eq!(parquet_files(&folder).len(), 1);
    assert_eq!(all(&lake), ["a1"]);
}

#[test]
fn vacuum_waits_for_those_who_write() {
    let (_folder, lake) = lake();
    load(&lake, "a", day(1), &["a1"]);
    let now = Options { retain: TimeDelta::zero(), dry_run: false };
    let staging = lake.staging(SESSIONS).unwrap();
    let staged = staging.write(day(1), rows(noon(day(1)), &["b1"])).unwrap();
    assert!(lake.vacuum(now).unwrap_err().to_string().contains("being written to"));
    assert!(staged.place.is_file());
    let scratch = lake.scratch().unwrap();
    fs::write(scratch.join("spilled"), "rows").unwrap();
    drop(staging);
    assert!(!staged.place.exists(), "a file that was not committed outlived its staging");
    assert!(lake.vacuum(now).is_err(), "scratch is in use");
    drop(scratch);
    // What a killed process leaves.
    let left = lake.own_folder("scratch").join(".tmpAb12Cd");
    fs::create_dir_all(&left).unwrap();
    fs::write(left.join("spilled"), "rows").unwrap();
    assert_eq!(lake.vacuum(Options::default()).unwrap().files.len(), 0);
    assert_eq!(lake.vacuum(now).unwrap().files.len(), 1);
    assert!(!left.exists());
}

#[test]
fn tables_that_would_be_read_wrongly_are_refused() {
    let refusal = |action: serde_json::Value| {
        let (_folder, lake) = lake();
        load(&lake, "a", day(1), &["a1"]);
        let commit = table_folder(&lake).join(format!("_delta_log/{:020}.json", 1));
        fs::write(commit, action.to_string()).unwrap();
        lake.snapshot(SESSIONS).unwrap_err().to_string()
    };
    let protocol = |feature: &str| {
        json!({"protocol": {
            "minReaderVersion": 3, "minWriterVersion": 7,
            "readerFeatures": [feature], "writerFeatures": [feature],
        }})
    };
    for (feature, said) in [
        ("deletionVectors", "deletion vectors"),
        ("columnMapping", "column mapping"),
        ("v2Checkpoint", "the feature v2Checkpoint"),
    ] {
        let found = refusal(protocol(feature));
        assert_eq!(found, format!("table `sessions` uses {said}, which wabalake does not read"));
    }
    let mapped = json!({"metaData": {
        "partitionColumns": [UTC_DAY], "schemaString": "{}",
        "configuration": {"delta.columnMapping.mode": "name"},
    }});
    assert!(refusal(mapped).contains("column mapping"));
    let field = json!({"name": sessions::CONVERSATION_ID, "type": "long", "nullable": true});
    let schema = json!({"type": "struct", "fields": [field]}).to_string();
    let retyped = json!({"metaData": {"partitionColumns": [UTC_DAY], "schemaString": schema}});
    assert_eq!(refusal(retyped), "column `conversation_id` of table `sessions` should be a string");
}

/// Sessions as a version of wabalake with fewer columns knew them.
struct OldSessions;

impl Layout for OldSessions {
    fn name(&self) -> &'static str {
        SESSIONS.name
    }

    fn stored(&self) -> Schema {
        let mut columns = SESSIONS.stored();
        columns.retain(|name, _| name != sessions::COUNTRY);
        columns
    }

    fn sort(&self) -> &'static [&'static str] {
        SESSIONS.sort
    }

    fn statistics(&self) -> &'static [&'static str] {
        SESSIONS.statistics
    }
}

#[test]
fn a_table_gains_the_columns_that_it_lacks() {
    static OLD: OldSessions = OldSessions;
    let (_folder, lake) = lake();
    let snapshot = lake.snapshot(&OLD).unwrap();
    let staging = lake.staging(&OLD).unwrap();
    let old = rows(noon(day(1)), &["old"]).drop(sessions::COUNTRY).unwrap();
    let change = |file| Change {
        operation: Operation::Load,
        transactions: Vec::new(),
        remove: Vec::new(),
        add: vec![file],
        info: serde_json::Map::new(),
        data_change: true,
    };
    let old = change(staging.write(day(1), old).unwrap());
    assert_eq!(lake.commit(&OLD, &snapshot, old).unwrap(), Commit::Done(0));

    load(&lake, "a", day(2), &["new"]);
    let found = lake.snapshot(SESSIONS).unwrap().scan().unwrap().collect().unwrap();
    assert_eq!(found.schema().as_ref(), &SESSIONS.schema());
    assert_eq!(all(&lake), ["new", "old"]);

    let snapshot = lake.snapshot(&OLD).unwrap();
    let lossy = rows(noon(day(3)), &["lossy"]).drop(sessions::COUNTRY).unwrap();
    let lossy = change(staging.write(day(3), lossy).unwrap());
    let error = lake.commit(&OLD, &snapshot, lossy).unwrap_err().to_string();
    assert_eq!(error, "table `sessions` has a column `country`");
    drop(staging);
    assert_eq!(parquet_files(&table_folder(&lake)).len(), 2, "the refused file was kept");
}

#[test]
fn rejects_count_when_their_file_is_loaded() {
    let (_folder, lake) = lake();
    let reject = |file_id: &str, resolved_by: Option<&str>| {
        let rejects = df!(
            rejects::RECORD => [2_i64, 1], rejects::LINE => [9_i64, 4],
            rejects::COLUMN => [None::<&str>, Some("x")], rejects::REASON => ["short", "no date"],
            rejects::RAW => ["a", "b"], rejects::ROW_KEY => [Some(5_i64), None],
        );
        let at = DateTime::from_timestamp(1_750_000_000, 0).unwrap();
        let origin = rejects::Origin {
            file_id,
            file: "a.csv",
            kind: SESSIONS.name,
            header: "session id",
            delimiter: b';',
            at,
        };
        let mut rows = rejects::complete(rejects.unwrap(), &origin).unwrap();
        if let Some(by) = resolved_by {
            let by = Column::new(rejects::RESOLVED_BY.into(), [by, by]);
            rows.with_column(by).unwrap();
            let when = Column::new(rejects::RESOLVED.into(), [1_i64, 1]).cast(&instant()).unwrap();
            rows.with_column(when).unwrap();
        }
        rows
    };
    let snapshot = lake.snapshot(&REJECTS).unwrap();
    let staging = lake.staging(&REJECTS).unwrap();
    let files = ["open", "mended", "killed"].map(|file| {
        staging.write(day(15), reject(file, (file == "mended").then_some("mender"))).unwrap()
    });
    let change = Change {
        operation: Operation::Load,
        transactions: Vec::new(),
        remove: Vec::new(),
        add: files.into(),
        info: load_info("some"),
        data_change: true,
    };
    assert_eq!(lake.commit(&REJECTS, &snapshot, change).unwrap(), Commit::Done(0));
    let counting = |which| {
        let rows = rejects::read(&lake, which).unwrap().collect().unwrap();
        assert_eq!(rows.schema().as_ref(), &REJECTS.stored());
        let column = |name| rows.column(name).unwrap().str().unwrap().clone();
        let files = column(rejects::FILE_ID);
        let by = column(rejects::RESOLVED_BY);
        let pairs = files.iter().zip(by.iter());
        pairs
            .map(|(file, by)| format!("{}:{}", file.unwrap(), by.unwrap_or("-")))
            .collect::<Vec<_>>()
    };
    assert!(counting(Which::All).is_empty(), "no file is loaded yet");
    load(&lake, "open", day(1), &["s1"]);
    load(&lake, "mended", day(1), &["s2"]);
    assert_eq!(counting(Which::Open), ["mended:-", "mended:-", "open:-", "open:-"]);
    load(&lake, "mender", day(1), &["s3"]);
    assert_eq!(counting(Which::Open), ["open:-", "open:-"]);
    assert_eq!(counting(Which::All), ["mended:mender", "mended:mender", "open:-", "open:-"]);
    let open = rejects::open_keys(&lake, &lake.snapshot(&REJECTS).unwrap()).unwrap();
    assert_eq!(open, [(SESSIONS.name.to_owned(), [5].into())].into());
    assert_eq!(lake.status().unwrap().open_rejects, 2);
    lake.undo().unwrap();
    assert_eq!(counting(Which::All), ["mended:-", "mended:-", "open:-", "open:-"]);
}

/// A table that another program has changed is committed to as `deltalake` allows.
#[test]
fn a_table_that_only_grows_loses_no_file() {
    let (_folder, lake) = lake();
    append(&lake, day(1), &["a"]);
    let snapshot = lake.snapshot(SESSIONS).unwrap();
    assert!(snapshot.is_as_made_here());
    let mut metadata = snapshot.state.as_ref().unwrap().metadata.clone();
    metadata["configuration"]["delta.appendOnly"] = json!("true");
    let change = table_folder(&lake).join("_delta_log/00000000000000000001.json");
    fs::write(change, json!({"metaData": metadata}).to_string()).unwrap();

    append(&lake, day(2), &["b"]);
    let snapshot = lake.snapshot(SESSIONS).unwrap();
    assert!(!snapshot.is_as_made_here());
    let change = Change {
        operation: Operation::Load,
        transactions: Vec::new(),
        remove: snapshot.files_of(day(1)).map(|file| file.path.clone()).collect(),
        add: Vec::new(),
        info: serde_json::Map::new(),
        data_change: true,
    };
    let said = lake.commit(SESSIONS, &snapshot, change).unwrap_err().lines();
    assert!(said.contains("append-only"), "{said}");
    assert_eq!(all(&lake), ["a", "b"]);
}

/// Writes the next commit of the sessions as another program might.
fn commit_as_another(lake: &Lake, lines: &[serde_json::Value]) {
    let log = table_folder(lake).join("_delta_log");
    let next = lake.snapshot(SESSIONS).unwrap().version.unwrap() + 1;
    let lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
    fs::write(log.join(format!("{next:020}.json")), lines.join("\n")).unwrap();
}

/// What may not be done to a table in which rows may only be added, by `load`, is not done by others.
#[test]
fn what_replaces_rows_heeds_that_a_table_is_append_only() {
    let (_folder, lake) = lake();
    add_deployment(&lake, Some("b"));
    load(&lake, "b", day(1), &["s1", "s2"]);
    append(&lake, day(1), &["s3"]);
    let metadata = |set: &str| {
        let mut metadata =
            lake.snapshot(SESSIONS).unwrap().state.as_ref().unwrap().metadata.clone();
        metadata["configuration"]["delta.appendOnly"] = json!(set);
        json!({"metaData": metadata})
    };
    commit_as_another(&lake, &[metadata("true")]);
    let found = || (all(&lake), lake.snapshot(&deployments::TABLE).unwrap().rows());
    let before = found();
    let versions = || {
        [SESSIONS, &deployments::TABLE].map(|table| lake.snapshot(table).unwrap().version.unwrap())
    };
    let at = versions();
    let undone = lake.undo().unwrap_err().lines();
    let erased = lake.erase(PHONE, erase::Options::default()).unwrap_err().lines();
    for said in [&undone, &erased] {
        assert!(said.starts_with("error: table `sessions` is append-only"), "{said}");
        assert!(said.contains("\n  hint: set `delta.appendOnly` to false"), "{said}");
    }
    assert_eq!(versions(), at, "nothing was changed");
    assert_eq!(found(), before);
    // The rows stay when their files are merged.
    assert_eq!(lake.compact().unwrap().len(), 1);
    assert_eq!(all(&lake), before.0);
    commit_as_another(&lake, &[metadata("false")]);
    assert!(lake.erase(PHONE, erase::Options::default()).unwrap().rows() > 0);
}

#[test]
fn what_another_program_did_is_said_with_a_way_forward() {
    let way_forward = |said: &str| said.contains("\n  hint: ") && said.contains("another program");
    // It asks of writers what is not done here.
    let (_folder, asked) = lake();
    load(&asked, "a", day(1), &["a1"]);
    let protocol = json!({"protocol": {
        "minReaderVersion": 1, "minWriterVersion": 7, "writerFeatures": ["checkConstraints"],
    }});
    commit_as_another(&asked, &[protocol]);
    let snapshot = asked.snapshot(SESSIONS).unwrap();
    let staging = asked.staging(SESSIONS).unwrap();
    let change = Change {
        operation: Operation::Load,
        transactions: Vec::new(),
        remove: Vec::new(),
        add: vec![staging.write(day(2), rows(noon(day(2)), &["b1"])).unwrap()],
        info: load_info("b"),
        data_change: true,
    };
    let said = asked.commit(SESSIONS, &snapshot, change).unwrap_err().lines();
    let begins = "error: table `sessions` asks of who writes to it what wabalake does not do: ";
    assert!(said.starts_with(begins) && said.contains("checkConstraints"), "{said}");
    assert!(way_forward(&said), "{said}");
    assert_eq!(all(&asked), ["a1"]);

    // It wrote what is not known here.
    let (_folder, strange) = lake();
    load(&strange, "a", day(1), &["a1"]);
    commit_as_another(
        &strange,
        &[json!({"commitInfo": {"operation": "SPARKLE"}}), json!({"sparkle": {}})],
    );
    let said = strange.snapshot(SESSIONS).unwrap_err().lines();
    assert!(said.contains("uses the action `sparkle`, which wabalake does not read"), "{said}");
    assert!(way_forward(&said), "{said}");

    // It merged the files of a load that is to be taken back.
    let (_folder, merged) = lake();
    load(&merged, "a", day(1), &["a1"]);
    let snapshot = merged.snapshot(SESSIONS).unwrap();
    let file = &snapshot.files[0];
    let other = file.path.replace(".parquet", "-other.parquet");
    fs::copy(snapshot.place(file), table_folder(&merged).join(&other)).unwrap();
    commit_as_another(
        &merged,
        &[
            json!({"commitInfo": {"operation": "OPTIMIZE", "timestamp": 0}}),
            json!({"remove": {"path": file.path, "dataChange": false, "deletionTimestamp": 0}}),
            json!({"add": {
                "path": other, "partitionValues": {UTC_DAY: "2025-06-01"}, "size": file.bytes,
                "modificationTime": file.modified, "dataChange": false,
            }}),
        ],
    );
    let said = merged.undo().unwrap_err().lines();
    assert!(said.contains("another program (version 1, OPTIMIZE) rewrote"), "{said}");
    assert!(way_forward(&said), "{said}");
    assert_eq!(all(&merged), ["a1"]);
}

#[test]
fn a_column_is_read_alone() {
    let (_folder, lake) = lake();
    append(&lake, day(1), &["a", "b"]);
    let snapshot = lake.snapshot(SESSIONS).unwrap();
    let integers = |name| snapshot.integers(&snapshot.files[0], name).unwrap();
    assert_eq!(integers(USER_KEY), [7_318_008_555_512_345_678_i64; 2]);
    for (name, why) in [
        (sessions::SESSION_ID, "texts are no numbers"),
        (sessions::CONVERSATION_VERSION, "nulls are no numbers"),
        ("of_a_later_version", "there is none"),
    ] {
        assert!(integers(name).is_empty(), "{name}: {why}");
    }
}
