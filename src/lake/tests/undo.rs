//! Undo.

use super::*;

#[test]
fn undo_is_a_version_of_its_own() {
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
    assert_eq!(error.to_string(), "there is no load to undo");

    let history = lake.history(SESSIONS).unwrap();
    let operations: Vec<_> =
        history.iter().rev().map(|e| (e.version, e.operation.as_str())).collect();
    assert_eq!(operations[2..4], [(2, "load"), (3, "undo")]);
    let entry = &history[history.len() - 3];
    assert_eq!((entry.files_added, entry.files_removed), (1, 1));
    assert_eq!((entry.rows_added, entry.rows_removed), (2, Some(1)));
    assert_eq!(entry.load_id.as_deref(), Some("c"));
}

#[test]
fn undo_is_refused_if_its_days_were_rewritten() {
    let (_folder, lake) = lake();
    load(&lake, "a", day(1), &["a1"]);
    append(&lake, day(1), &["x1"]);
    lake.compact().unwrap();
    let error = lake.undo().unwrap_err();
    assert_eq!(
        error.lines(),
        "error: the last load cannot be undone: version 2 (compact) rewrote the UTC day \
         2025-06-01 of `sessions`\n  hint: `wabalake history sessions` lists the commits after it"
    );
    assert_eq!(all(&lake), ["a1", "x1"]);
    assert!(lake.is_loaded(SESSIONS, "a").unwrap());
}

#[test]
fn undo_is_refused_if_replaced_files_are_deleted() {
    let (_folder, lake) = lake();
    load(&lake, "a", day(1), &["a1"]);
    load(&lake, "b", day(1), &["b1"]);
    lake.vacuum(Options { retain: TimeDelta::zero(), dry_run: false }).unwrap();
    let error = lake.undo().unwrap_err().to_string();
    assert!(error.contains("that it replaced is deleted"), "{error}");
    assert_eq!(all(&lake), ["a1", "b1"]);
}

#[test]
fn killed_undo_is_completed_by_the_next() {
    let (_folder, lake) = lake();
    load(&lake, "before", day(1), &["a1"]);
    load(&lake, "both", day(1), &["b1"]);
    add_deployment(&lake, Some("both"));
    assert_eq!(lake.last_load().unwrap().unwrap().tables, ["sessions", "deployments"]);
    lake.undo().unwrap();
    // As if killed before the second table was changed.
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
fn undo_checks_all_tables_before_it_changes_one() {
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
