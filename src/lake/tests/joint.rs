//! Loads and undos over several tables, killed at each step. A dropped `Joint` is a killed process: its
//! locks are free, and nothing else happens.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};

use proptest::prelude::*;

use super::stores::Copied;
use super::*;
use crate::marts::PinnedTables;

const DEPLOYMENTS: &Table = &deployments::TABLE;
const BOTH: [&Table; 2] = [SESSIONS, DEPLOYMENTS];

fn begin<'l>(lake: &'l Lake, load_id: &str) -> Joint<'l> {
    let locked = lake.lock_tables(&BOTH).unwrap();
    locked.begin(Operation::Load, load_id, None, &BOTH).unwrap()
}

/// Commits a load in the first tables.
fn commit(joint: &Joint<'_>, load_id: &str, tables: usize) {
    if tables > 0 {
        let sessions = |snapshot: &Snapshot, staging: &Staging| {
            Ok(Some(merge(snapshot, staging, load_id, day(1), &[load_id])))
        };
        assert!(joint.transact(SESSIONS, sessions).unwrap().is_committed);
    }
    if tables > 1 {
        let sends = |snapshot: &Snapshot, staging: &Staging| {
            Ok(Some(deployment(snapshot, staging, Some(load_id))))
        };
        assert!(joint.transact(DEPLOYMENTS, sends).unwrap().is_committed);
    }
}

fn load_both(lake: &Lake, load_id: &str) {
    let joint = begin(lake, load_id);
    commit(&joint, load_id, 2);
    joint.finish().unwrap();
}

/// Begins a load and is killed after commits in some tables, or after the decision.
fn killed_load(lake: &Lake, load_id: &str, step: usize) {
    let joint = begin(lake, load_id);
    commit(&joint, load_id, step);
    drop(joint);
    if step > 2 {
        let record = records(lake).pop().unwrap();
        fs::write(record.with_extension("decided"), "committed\n").unwrap();
    }
}

/// Begins to undo the last load and is killed after some tables.
fn killed_undo(lake: &Lake, step: usize) {
    let locked = lake.lock_tables(wabalake_data::TABLES).unwrap();
    let load = lake.last_load().unwrap().unwrap();
    let joint = locked.begin(Operation::Undo, &load.load_id, Some(load.time), &BOTH).unwrap();
    for table in &BOTH[..step] {
        assert!(lake.undo_in(&joint, table, &load.load_id).unwrap().is_some());
    }
}

/// The records of loads that are begun.
fn records(lake: &Lake) -> Vec<PathBuf> {
    let files = fs::read_dir(lake.internal_folder("loads")).into_iter().flatten().flatten();
    files.map(|file| file.path()).filter(|file| file.extension().unwrap() == "json").collect()
}

/// The loads that a new reader finds in both tables, which must agree however they are read.
fn seen(lake: &Lake) -> Vec<String> {
    let lake = &Lake::open(lake.root()).unwrap();
    let sessions = all(lake);
    let sends = lake.snapshot(DEPLOYMENTS).unwrap();
    assert_eq!(sessions.len() as u64, sends.rows(), "one table has a load that the other lacks");
    let pinned = PinnedTables::of(lake, AsOf::Now);
    for (table, snapshot) in BOTH.iter().zip(lake.snapshots(BOTH).unwrap()) {
        assert_eq!(snapshot.rows(), sends.rows());
        assert_eq!(pinned.table(table).unwrap().snapshot.rows(), sends.rows());
        let history = lake.history(*table).unwrap();
        assert_eq!(history.first().map(|entry| entry.version), snapshot.version);
    }
    let status = lake.status().unwrap();
    assert!(status.tables.iter().all(|table| table.rows == sends.rows()));
    for id in &sessions {
        assert!(lake.is_loaded(SESSIONS, id).unwrap());
        assert!(lake.is_loaded(DEPLOYMENTS, &format!("{id} deployments")).unwrap());
    }
    // At no instant of the past is a load in one table only.
    let logs = BOTH.map(|table| lake.history(table).unwrap());
    for at in logs.iter().flatten().map(|entry| entry.time) {
        let rows = |table| lake.snapshot_as_of(table, &AsOf::Instant(at)).unwrap().rows();
        assert_eq!(rows(SESSIONS), rows(DEPLOYMENTS), "as of {at}");
    }
    sessions
}

/// The writers that settle what a killed process began.
type Writer = fn(&Lake);
const WRITERS: [Writer; 6] = [
    |lake| lake.settle_killed().unwrap(),
    |lake| assert!(!lake.transact(SESSIONS, |_, _| Ok(None)).unwrap().is_committed),
    |lake| assert!(!lake.transact(DEPLOYMENTS, |_, _| Ok(None)).unwrap().is_committed),
    |lake| drop(lake.compact().unwrap()),
    |lake| drop(lake.vacuum(Options { retain: TimeDelta::zero(), dry_run: false }).unwrap()),
    |lake| drop(lake.erase("12025550199", erase::Options::default()).unwrap()),
];

#[test]
fn load_killed_at_each_step_is_hidden_and_then_whole_or_absent() {
    for step in 0..=3 {
        for (number, writer) in WRITERS.into_iter().enumerate() {
            let (_folder, lake) = lake();
            load_both(&lake, "a");
            killed_load(&lake, "b", step);
            let (before, after): (&[&str], &[&str]) = (&["a"], &["a", "b"]);
            assert_eq!(seen(&lake), if step < 3 { before } else { after }, "killed at {step}");
            writer(&lake);
            let is_whole = step >= 2;
            assert_eq!(seen(&lake), if is_whole { after } else { before }, "killed at {step}");
            assert!(records(&lake).is_empty());
            if !is_whole {
                load_both(&lake, "b");
                assert_eq!(seen(&lake), after);
            }
            // A compaction rewrites the days, and the vacuum deletes what was replaced.
            if ![3, 4].contains(&number) {
                assert_eq!(lake.undo().unwrap().load.load_id, "b");
                assert_eq!(seen(&lake), before);
            }
        }
    }
}

#[test]
fn load_that_is_not_committed_is_hidden_on_a_store() {
    for step in 0..=3 {
        let (_folder, lake) = lake();
        load_both(&lake, "a");
        let copied = Copied::of(&lake);
        let [open, pinned] = [copied.cached(), copied.cached().pinned()];
        assert_eq!(all(&open), ["a"]);
        assert_eq!(all(&pinned), ["a"]);
        killed_load(&lake, "b", step);
        copied.update(&lake);
        let expected: &[&str] = if step < 3 { &["a"] } else { &["a", "b"] };
        for stored in [open, pinned, copied.lake(), copied.cached(), copied.cached().pinned()] {
            for (table, snapshot) in BOTH.iter().zip(stored.snapshots(BOTH).unwrap()) {
                assert_eq!(snapshot.rows(), expected.len() as u64, "killed at {step}");
                let history = stored.history(*table).unwrap();
                assert_eq!(history.first().map(|entry| entry.version), snapshot.version);
            }
            assert_eq!(all(&stored), expected, "killed at {step}");
        }
    }
}

#[test]
fn first_load_of_a_lake_killed_between_its_tables_leaves_no_rows() {
    let (_folder, lake) = lake();
    killed_load(&lake, "a", 1);
    assert!(seen(&lake).is_empty());
    assert_eq!(lake.snapshot(SESSIONS).unwrap().version, None);
    assert_eq!(lake.last_load().unwrap(), None);
    lake.settle_killed().unwrap();
    assert!(seen(&lake).is_empty());
    assert_eq!(lake.snapshot(DEPLOYMENTS).unwrap().version, None);
}

#[test]
fn undo_killed_at_each_step_is_hidden_and_completed() {
    for step in 0..=2 {
        let (_folder, lake) = lake();
        load_both(&lake, "a");
        load_both(&lake, "b");
        killed_undo(&lake, step);
        assert_eq!(seen(&lake), ["a", "b"], "killed at {step}");
        let undone = lake.undo().unwrap();
        assert_eq!(
            undone.load.load_id, "b",
            "the next undo completes it, and undoes no other load"
        );
        assert_eq!(seen(&lake), ["a"]);
    }
    for writer in WRITERS {
        let (_folder, lake) = lake();
        load_both(&lake, "a");
        load_both(&lake, "b");
        killed_undo(&lake, 1);
        writer(&lake);
        assert_eq!(seen(&lake), ["a"]);
        assert_eq!(lake.undo().unwrap().load.load_id, "a");
        assert!(seen(&lake).is_empty());
    }
}

#[test]
fn recovery_that_is_killed_is_completed() {
    let (_folder, lake) = lake();
    load_both(&lake, "a");
    killed_load(&lake, "b", 1);
    let record = records(&lake).pop().unwrap();
    fs::write(record.with_extension("decided"), "taken back\n").unwrap();
    assert_eq!(seen(&lake), ["a"]);
    let other = Lake::open(lake.root()).unwrap();
    other.settle_killed().unwrap();
    assert_eq!(seen(&lake), ["a"]);
    // As if it had been killed before it deleted the record.
    let decided = record.with_extension("decided");
    assert_eq!(fs::read_to_string(&decided).unwrap(), "taken back\n", "the last decision stays");
    load_both(&lake, "c");
    assert!(!decided.exists(), "earlier decisions are deleted");
    assert_eq!(seen(&lake), ["a", "c"]);
}

#[test]
fn running_load_is_not_taken_back() {
    let (_folder, lake) = lake();
    load_both(&lake, "a");
    let joint = begin(&lake, "b");
    commit(&joint, "b", 1);
    lake.settle_killed().unwrap();
    assert_eq!(seen(&lake), ["a"]);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| load_both(&Lake::open(lake.root()).unwrap(), "c"));
        let sends = |snapshot: &Snapshot, staging: &Staging| {
            Ok(Some(deployment(snapshot, staging, Some("b"))))
        };
        joint.transact(DEPLOYMENTS, sends).unwrap();
        joint.finish().unwrap();
        waiting.join().unwrap();
    });
    assert_eq!(seen(&lake), ["a", "b", "c"]);
}

/// Where a file system has no locks, a load may be taken for killed while it runs.
#[test]
fn load_that_another_process_took_back_fails() {
    let (_folder, lake) = lake();
    load_both(&lake, "a");
    let joint = begin(&lake, "b");
    commit(&joint, "b", 1);
    let decided = records(&lake).pop().unwrap().with_extension("decided");
    fs::write(decided, "taken back\n").unwrap();
    let sends =
        |snapshot: &Snapshot, staging: &Staging| Ok(Some(deployment(snapshot, staging, Some("b"))));
    let error = joint.transact(DEPLOYMENTS, sends).unwrap_err().lines();
    assert!(error.contains("took it back") && error.contains("load the same files again"));
    assert!(joint.finish().is_err());
    lake.settle_killed().unwrap();
    assert_eq!(seen(&lake), ["a"]);
}

#[test]
fn failed_load_is_taken_back_at_once() {
    let (_folder, lake) = lake();
    load_both(&lake, "a");
    let joint = begin(&lake, "b");
    commit(&joint, "b", 1);
    let full = |_: &Snapshot, _: &Staging| Err(Error::lake("the disk is full"));
    joint.transact(DEPLOYMENTS, full).unwrap_err();
    joint.take_back();
    assert!(records(&lake).is_empty());
    assert_eq!(seen(&lake), ["a"]);
}

#[test]
fn hidden_version_cannot_be_named() {
    let (_folder, lake) = lake();
    load_both(&lake, "a");
    killed_load(&lake, "b", 1);
    let as_of = |version| AsOf::Versions([(SESSIONS.name, version)].into());
    assert_eq!(lake.snapshot_as_of(SESSIONS, &as_of(0)).unwrap().rows(), 1);
    let error = lake.snapshot_as_of(SESSIONS, &as_of(1)).unwrap_err().to_string();
    assert_eq!(error, "table `sessions` has no version 1");
}

#[test]
fn table_with_a_damaged_log_does_not_keep_others_from_being_pinned() {
    let (_folder, lake) = lake();
    load_both(&lake, "a");
    fs::remove_file(lake.root().join(format!("tables/deployments/_delta_log/{:020}.json", 0)))
        .unwrap();
    let lake = Lake::open(lake.root()).unwrap();
    let pinned = PinnedTables::of(&lake, AsOf::Now);
    assert_eq!(pinned.table(SESSIONS).unwrap().snapshot.rows(), 1);
    assert!(pinned.table(DEPLOYMENTS).unwrap_err().to_string().contains("damaged"));
}

#[test]
fn load_of_one_table_has_no_record() {
    let (_folder, lake) = lake();
    let locked = lake.lock_tables(&[SESSIONS]).unwrap();
    let joint = locked.begin(Operation::Load, "a", None, &[SESSIONS]).unwrap();
    commit(&joint, "a", 1);
    assert!(!lake.internal_folder("loads").exists());
    assert_eq!(all(&lake), ["a"]);
    joint.finish().unwrap();
}

#[test]
fn readers_between_the_commits_see_all_or_nothing() {
    let (_folder, lake) = lake();
    load_both(&lake, "first");
    let is_over = AtomicBool::new(false);
    let start = Barrier::new(4);
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let lake = Lake::open(lake.root()).unwrap();
                    start.wait();
                    let mut found = BTreeSet::new();
                    while !is_over.load(Ordering::SeqCst) {
                        let [sessions, sends] = &lake.snapshots(BOTH).unwrap()[..] else {
                            unreachable!()
                        };
                        assert_eq!(sessions.rows(), sends.rows());
                        found.insert(sends.rows());
                    }
                    found
                })
            })
            .collect();
        let writers: Vec<_> = (0..2)
            .map(|writer| {
                let (start, lake) = (&start, &lake);
                scope.spawn(move || {
                    let lake = Lake::open(lake.root()).unwrap();
                    start.wait();
                    for n in 0..8 {
                        load_both(&lake, &format!("w{writer}-{n}"));
                    }
                    lake.undo().unwrap();
                })
            })
            .collect();
        let written: Vec<_> =
            writers.into_iter().map(std::thread::ScopedJoinHandle::join).collect();
        is_over.store(true, Ordering::SeqCst);
        assert!(written.iter().all(Result::is_ok));
        for reader in readers {
            assert!(
                reader.join().unwrap().len() > 1,
                "no load met a reader: the test proves nothing"
            );
        }
    });
    assert_eq!(seen(&lake).len(), 1 + 16 - 2);
}

/// A step of a history.
#[derive(Clone, Copy, Debug)]
enum Step {
    Load,
    /// Killed after so many commits.
    KilledLoad(usize),
    Undo,
    KilledUndo(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => Just(Step::Load),
        3 => (0..=3_usize).prop_map(Step::KilledLoad),
        2 => Just(Step::Undo),
        2 => (0..=2_usize).prop_map(Step::KilledUndo),
    ]
}

/// What a killed step leaves to the next writer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Left {
    Nothing,
    Load(usize),
    Undo,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// Whatever is killed wherever: readers see the loads that are done and not undone.
    #[test]
    fn any_history_shows_whole_loads(steps in prop::collection::vec(step(), 1..9)) {
        let (_folder, lake) = lake();
        let mut loads: Vec<usize> = Vec::new();
        let mut left = Left::Nothing;
        for (number, step) in steps.into_iter().enumerate() {
            let id = format!("l{number}");
            let undid_before = left == Left::Undo;
            match std::mem::replace(&mut left, Left::Nothing) {
                Left::Load(number) => loads.push(number),
                Left::Undo => drop(loads.pop()),
                Left::Nothing => {}
            }
            match step {
                Step::Load => {
                    load_both(&lake, &id);
                    loads.push(number);
                }
                Step::KilledLoad(step) => {
                    killed_load(&lake, &id, step);
                    match step {
                        0 | 1 => {}
                        2 => left = Left::Load(number),
                        _ => loads.push(number),
                    }
                }
                Step::Undo if undid_before => drop(lake.undo().unwrap()),
                Step::Undo if loads.is_empty() => drop(lake.undo().unwrap_err()),
                Step::Undo => {
                    lake.undo().unwrap();
                    loads.pop();
                }
                Step::KilledUndo(step) => {
                    lake.settle_killed().unwrap();
                    if !loads.is_empty() {
                        killed_undo(&lake, step);
                        left = if step == 0 { Left::Nothing } else { Left::Undo };
                    }
                }
            }
            let mut expected: Vec<String> = loads.iter().map(|number| format!("l{number}")).collect();
            expected.sort();
            prop_assert_eq!(seen(&lake), expected);
        }
    }
}
