//! Compaction and vacuum.

use super::*;

#[test]
fn compaction_merges_files_and_keeps_rows() {
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
    let log = log::Log::in_folder(&table_folder(&lake));
    let changes_rows = |action: &log::Action| match action {
        log::Action::Add(add) => add.data_change,
        log::Action::Remove(remove) => remove.data_change,
        _ => false,
    };
    assert!(!log.actions(snapshot.version.unwrap()).unwrap().iter().any(changes_rows));
    assert!(lake.compact().unwrap().is_empty(), "there was nothing left to merge");
}

#[test]
fn concurrent_compaction_and_loads_lose_nothing() {
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
fn vacuum_keeps_files_within_the_retention() {
    let (_folder, lake) = lake();
    load(&lake, "a", day(1), &["a1"]);
    load(&lake, "b", day(1), &["b1"]);
    load(&lake, "c", day(2), &["c1"]);
    let folder = table_folder(&lake);
    for file in parquet_files(&folder) {
        // Not the age of a file counts, but the time since it was replaced.
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
    let planned = lake.vacuum(Options { dry_run: true, ..week }).unwrap();
    assert_eq!(parquet_files(&folder).len(), 5, "a dry run deleted something");
    assert_eq!(planned, lake.vacuum(week).unwrap());
    assert_eq!((planned.files.len(), planned.bytes), (1, 11));
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
fn vacuum_is_refused_during_writes() {
    let (_folder, lake) = lake();
    load(&lake, "a", day(1), &["a1"]);
    let now = Options { retain: TimeDelta::zero(), dry_run: false };
    let staging = lake.staging(SESSIONS).unwrap();
    let staged = staging.write(day(1), rows(noon(day(1)), &["b1"])).unwrap();
    assert!(lake.vacuum(now).unwrap_err().to_string().contains("writing to the lake"));
    assert!(staged.path().is_file());
    let scratch = lake.scratch().unwrap();
    fs::write(scratch.join("spilled"), "rows").unwrap();
    drop(staging);
    assert!(!staged.path().exists(), "a file that was not committed outlived its staging");
    assert!(lake.vacuum(now).is_err(), "scratch is in use");
    drop(scratch);
    // What a killed process leaves behind.
    let left = lake.internal_folder("scratch").join(".tmpAb12Cd");
    fs::create_dir_all(&left).unwrap();
    fs::write(left.join("spilled"), "rows").unwrap();
    assert_eq!(lake.vacuum(Options::default()).unwrap().files.len(), 0);
    assert_eq!(lake.vacuum(now).unwrap().files.len(), 1);
    assert!(!left.exists());
}
