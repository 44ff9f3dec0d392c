//! Reads: opening, scans, schemas.

use super::*;

#[test]
fn folder_without_tables_is_an_empty_lake() {
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
fn missing_path_says_how_to_create_a_lake() {
    let error = Lake::open("/nowhere/at/all").unwrap_err();
    assert_eq!(error.exit_code(), 1);
    assert!(
        error.lines().contains("hint: create one: `wabalake load FILE… --lake /nowhere/at/all`")
    );
    assert_eq!(Lake::open("s3://bucket/lake").unwrap_err().exit_code(), 2);
}

#[test]
fn scan_returns_all_columns_and_the_day() {
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
fn filters_on_time_and_day_skip_files() {
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
fn day_of_undated_rows_is_null_in_filters() {
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
fn snapshot_ignores_later_commits() {
    let (_folder, lake) = lake();
    load(&lake, "a", day(1), &["a1"]);
    let before = lake.snapshot(SESSIONS).unwrap();
    load(&lake, "b", day(1), &["b1"]);
    assert_eq!(ids(before.scan().unwrap()), ["a1"]);
    assert_eq!(all(&lake), ["a1", "b1"]);
}

#[test]
fn single_column_is_read() {
    let (_folder, lake) = lake();
    append(&lake, day(1), &["a", "b"]);
    let snapshot = lake.snapshot(SESSIONS).unwrap();
    let integers = |name| -> Vec<i64> {
        let files: Vec<_> = snapshot.files.iter().collect();
        snapshot.integers(&files, name, |_, values| Ok(values)).unwrap().concat()
    };
    assert_eq!(integers(USER_KEY), [7_318_008_555_512_345_678_i64; 2]);
    for (name, why) in [
        (sessions::SESSION_ID, "texts are no numbers"),
        (sessions::CONVERSATION_VERSION, "nulls are no numbers"),
        ("of_a_later_version", "there is none"),
    ] {
        assert!(integers(name).is_empty(), "{name}: {why}");
    }
}

/// `sessions` as an older version of wabalake defines it, without a column.
fn old_sessions() -> Layout {
    let mut columns = SESSIONS.stored();
    columns.retain(|name, _| name != sessions::COUNTRY);
    Layout { stored: columns.into(), ..Layout::from(SESSIONS) }
}

#[test]
fn missing_columns_are_added_to_the_schema() {
    let old_sessions = old_sessions();
    let (_folder, lake) = lake();
    let snapshot = lake.snapshot(&old_sessions).unwrap();
    let staging = lake.staging(&old_sessions).unwrap();
    let old = rows(noon(day(1)), &["old"]).drop(sessions::COUNTRY).unwrap();
    let change = |file| Change { add: vec![file], ..Change::new(Operation::Load) };
    let old = change(staging.write(day(1), old).unwrap());
    assert_eq!(lake.commit(&snapshot, old).unwrap(), Commit::Done(0));

    load(&lake, "a", day(2), &["new"]);
    let found = lake.snapshot(SESSIONS).unwrap().scan().unwrap().collect().unwrap();
    assert_eq!(found.schema().as_ref(), &SESSIONS.schema());
    assert_eq!(all(&lake), ["new", "old"]);

    let snapshot = lake.snapshot(&old_sessions).unwrap();
    let lossy = rows(noon(day(3)), &["lossy"]).drop(sessions::COUNTRY).unwrap();
    let lossy = change(staging.write(day(3), lossy).unwrap());
    let error = lake.commit(&snapshot, lossy).unwrap_err().to_string();
    assert_eq!(error, "table `sessions` has a column `country`");
    drop(staging);
    assert_eq!(parquet_files(&table_folder(&lake)).len(), 2, "the refused file was kept");
}
