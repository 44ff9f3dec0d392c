//! Commands on a store that are killed at each of their writes, and machines that write at once.

use std::cell::Cell;

use super::machine::{Cloud, Machine};
use super::writing::lake_on;
use super::*;
use crate::lake::vacuum::SkipReason;

const BOTH: [&Table; 2] = [SESSIONS, &deployments::TABLE];

/// The lake as a new process on a machine that lives finds it.
pub(super) fn lake_in(cloud: &Arc<Cloud>) -> Lake {
    lake_on(&Machine::alive(cloud))
}

/// Runs a command on copies of a store and kills it at each write in turn, before and after the write is
/// done. Calls `check` with what it left, once its lease has run out. Returns the number of writes.
pub(super) fn killed_at_each_write(
    before: &Cloud,
    command: impl Fn(&Lake) -> Result<()>,
    check: impl Fn(&Arc<Cloud>, &str),
) -> i64 {
    for left in 1.. {
        let mut was_killed = false;
        for is_done in [false, true] {
            let cloud = before.fork();
            let lake = lake_on(&Machine::killed_at(&cloud, left, is_done));
            was_killed = command(&lake).is_err();
            drop(lake);
            cloud.pass(TimeDelta::hours(1));
            check(&cloud, &format!("killed at write {left}, which was done: {is_done}"));
        }
        if !was_killed {
            return left - 1;
        }
    }
    0
}

/// Loads a row into two tables, once.
fn load_both(lake: &Lake, id: &str) -> Result<()> {
    let change = |snapshot: &Snapshot, staging: &Staging, day, rows| -> Result<Option<Change>> {
        let loaded = snapshot.transaction(id);
        if loaded.is_loaded() {
            return Ok(None);
        }
        Ok(Some(Change {
            transactions: vec![(id.to_owned(), loaded.next())],
            add: vec![staging.write(day, rows)?],
            info: load_info(id),
            ..Change::new(Operation::Load)
        }))
    };
    let columns = deployments::TABLE.stored();
    let nulls = columns.iter().map(|(name, kind)| Column::full_null(name.clone(), 1, kind));
    let sent = DataFrame::new(1, nulls.collect()).unwrap();
    let joint = lake.lock_tables(&BOTH)?.begin(Operation::Load, id, None, &BOTH)?;
    let first = |of: &Snapshot, in_: &Staging| change(of, in_, day(1), rows(noon(day(1)), &[id]));
    let second = |of: &Snapshot, in_: &Staging| change(of, in_, None, sent.clone());
    let both =
        joint.transact(SESSIONS, first).and_then(|_| joint.transact(&deployments::TABLE, second));
    joint.end(both).map(drop)
}

/// A store with loads in two tables.
fn loaded(ids: &[&str]) -> Arc<Cloud> {
    let cloud = Arc::new(Cloud::default());
    for id in ids {
        load_both(&lake_in(&cloud), id).unwrap();
    }
    cloud
}

/// The loads that a new reader finds, which must be the same in both tables.
fn seen(cloud: &Arc<Cloud>) -> Vec<String> {
    let snapshots = lake_in(cloud).snapshots(BOTH).unwrap();
    let found = ids(snapshots[0].scan().unwrap());
    assert_eq!(found.len() as u64, snapshots[1].rows(), "{found:?}: one table lacks a load");
    found
}

/// Whatever is begun and over: neither records, nor leases of others.
fn assert_settled(lake: &Lake, when: &str) {
    let begun = lake.begun(&lake.joint_names().unwrap()).unwrap();
    assert!(begun.is_empty(), "{when}: {begun:?}");
}

/// All data files of a store, and those of the newest versions of its tables.
fn data_files(cloud: &Arc<Cloud>) -> [BTreeSet<String>; 2] {
    let lake = lake_in(cloud);
    let all = lake.place().list(&Key::root().join("tables"), None).unwrap().into_iter();
    let all = all.map(|file| file.key.as_str().to_owned());
    let is_data = |key: &String| key.ends_with(".parquet") && !key.contains("/_delta_log/");
    let snapshots = lake.snapshots(stored_tables()).unwrap();
    let live = snapshots.iter().flat_map(|snapshot| {
        let key = |file: &DataFile| snapshot.table.join(&file.path).as_str().to_owned();
        snapshot.files.iter().map(key)
    });
    [all.filter(is_data).collect(), live.collect()]
}

fn vacuum(lake: &Lake, retain: TimeDelta) -> Vec<PathBuf> {
    lake.vacuum(Options { retain, dry_run: false }).unwrap().files
}

#[test]
fn load_is_whole_or_absent_and_can_be_repeated() {
    let writes = killed_at_each_write(
        &loaded(&["a"]),
        |lake| load_both(lake, "b"),
        |cloud, when| {
            let found = seen(cloud);
            assert!(found == ["a"] || found == ["a", "b"], "{found:?}, {when}");
            let next = lake_in(cloud);
            load_both(&next, "b").unwrap();
            assert_eq!(seen(cloud), ["a", "b"], "{when}");
            assert_settled(&next, when);
        },
    );
    assert!(writes >= 6, "a record, two files, two commits and a decision: {writes}");
}

#[test]
fn undo_is_whole_or_absent_and_is_completed() {
    let writes = killed_at_each_write(
        &loaded(&["a", "b"]),
        |lake| lake.undo().map(drop),
        |cloud, when| {
            assert!(seen(cloud) == ["a"] || seen(cloud) == ["a", "b"], "{when}");
            let other = cloud.fork();
            let writer = lake_in(&other);
            load_both(&writer, "c").unwrap();
            assert!(seen(&other) == ["a", "c"] || seen(&other) == ["a", "b", "c"], "{when}");
            assert_settled(&writer, when);

            let next = lake_in(cloud);
            let is_begun = !next.begun(&next.joint_names().unwrap()).unwrap().is_empty();
            let is_over = seen(cloud) == ["a"] && !is_begun;
            let undone = next.undo().unwrap();
            // One that is not over is completed, and the load before is not undone.
            let expected: &[&str] = if is_over { &[] } else { &["a"] };
            assert_eq!(seen(cloud), expected, "{when}: {:?}", undone.load);
            assert_settled(&next, when);
        },
    );
    assert!(writes >= 4, "a record, two commits and a decision: {writes}");
}

#[test]
fn compaction_keeps_all_rows() {
    let cloud = loaded(&["a", "b", "c"]);
    let writes = killed_at_each_write(
        &cloud,
        |lake| lake.compact().map(drop),
        |cloud, when| {
            assert_eq!(seen(cloud), ["a", "b", "c"], "{when}");
            lake_in(cloud).compact().unwrap();
            assert_eq!(seen(cloud), ["a", "b", "c"], "{when}");
            for snapshot in lake_in(cloud).snapshots(BOTH).unwrap() {
                assert_eq!(snapshot.files.len(), 1, "{when}");
            }
            cloud.pass(TimeDelta::days(2));
            vacuum(&lake_in(cloud), TimeDelta::zero());
            let [all, live] = data_files(cloud);
            assert_eq!(all, live, "{when}");
        },
    );
    assert!(writes >= 4, "two files and two commits: {writes}");
}

#[test]
fn vacuum_deletes_replaced_files_and_no_others() {
    let cloud = loaded(&["a", "b", "c"]);
    lake_in(&cloud).compact().unwrap();
    let [before, live] = data_files(&cloud);
    assert_eq!((before.len(), live.len()), (8, 2));
    assert!(vacuum(&lake_in(&cloud), TimeDelta::days(7)).is_empty());
    cloud.pass(TimeDelta::days(8));
    let writes = killed_at_each_write(
        &cloud,
        |lake| lake.vacuum(Options::default()).map(drop),
        |cloud, when| {
            assert_eq!(seen(cloud), ["a", "b", "c"], "{when}");
            vacuum(&lake_in(cloud), TimeDelta::days(7));
            let [left, still] = data_files(cloud);
            assert!(left == live && still == live, "{when}: {left:?}");
            load_both(&lake_in(cloud), "d").unwrap();
            assert_eq!(seen(cloud), ["a", "b", "c", "d"], "{when}");
        },
    );
    assert!(writes >= 6, "six files: {writes}");
}

#[test]
fn orphans_of_killed_loads_stay_for_a_day_and_go_then() {
    let most = Cell::new(0);
    killed_at_each_write(
        &loaded(&["a"]),
        |lake| load_both(lake, "b"),
        |cloud, when| {
            // It settles what was begun.
            vacuum(&lake_in(cloud), TimeDelta::zero());
            assert_settled(&lake_in(cloud), when);
            let found = seen(cloud);
            let [all, live] = data_files(cloud);
            most.set(most.get().max(all.len() - live.len()));
            cloud.pass(TimeDelta::hours(22));
            assert!(vacuum(&lake_in(cloud), TimeDelta::zero()).is_empty(), "{when}");
            cloud.pass(TimeDelta::hours(2));
            assert!(vacuum(&lake_in(cloud), TimeDelta::days(7)).is_empty(), "{when}");
            vacuum(&lake_in(cloud), TimeDelta::zero());
            let [left, still] = data_files(cloud);
            assert!(left == live && still == live, "{when}: {left:?}");
            let leases = Key::root().join(OWN).join("leases");
            assert_eq!(lake_in(cloud).place().list(&leases, None).unwrap(), [], "{when}");
            assert_eq!(seen(cloud), found, "{when}");
            load_both(&lake_in(cloud), "b").unwrap();
            assert_eq!(seen(cloud), ["a", "b"], "{when}");
        },
    );
    assert!(most.get() >= 1, "no killed load left a file: the test proves nothing");
}

#[test]
fn files_of_a_table_without_a_log_are_reported_and_kept() {
    let cloud = loaded(&["a"]);
    let lake = lake_in(&cloud);
    let file = Key::parse(
        "tables/closures/utc_day=2025-06-01/0b1e0e2c-1111-4222-8333-444455556666.parquet",
    );
    lake.place().put(&file.unwrap(), bytes::Bytes::from_static(b"rows")).unwrap();
    cloud.pass(TimeDelta::days(30));
    let done = lake.vacuum(Options::default()).unwrap();
    assert!(done.files.is_empty());
    assert_eq!(done.skipped, [(PathBuf::from("tables/closures"), SkipReason::NoLog)]);
    assert_eq!(data_files(&cloud)[0].len(), 3);
}

/// Files that a load of exports is made of: good rows, and one that is rejected.
fn exports(folder: &Path) -> Vec<PathBuf> {
    let plan = wabalake_sample::Plan { days: 2, sessions_per_day: 3, ..Default::default() };
    let mut files = Vec::new();
    for table in BOTH {
        let names: Vec<_> = wabalake_sample::columns(table).map(|column| column.name).collect();
        let mut csv = format!("{}\r\n", names.join(",")).into_bytes();
        for day in plan.days() {
            plan.day_csv(table, day, &mut csv);
        }
        csv.extend(b"not a row\r\n");
        let file = folder.join(format!("{}.csv", table.name));
        fs::write(&file, csv).unwrap();
        files.push(file);
    }
    files
}

#[test]
fn load_of_exports_is_whole_or_absent_with_its_rejects() {
    let folder = tempfile::tempdir().unwrap();
    let exports = exports(folder.path());
    let options = crate::load::Options { quiet: true, ..Default::default() };
    let load = |lake: &Lake| crate::load::load(lake, &exports, &options);
    let whole = loaded(&["a"]);
    load(&lake_in(&whole)).unwrap();
    let rows = |cloud: &Arc<Cloud>| {
        let snapshots = lake_in(cloud).snapshots(BOTH).unwrap();
        snapshots.iter().map(Snapshot::rows).collect::<Vec<_>>()
    };
    let rejects = |cloud: &Arc<Cloud>| {
        let lake = lake_in(cloud);
        crate::lake::rejects::read(&lake, crate::lake::rejects::Which::All)
            .unwrap()
            .collect()
            .unwrap()
            .height()
    };
    let expected = (rows(&whole), rejects(&whole));
    assert!(expected.0.iter().all(|rows| *rows > 3) && expected.1 == 2, "{expected:?}");
    let writes = killed_at_each_write(
        &loaded(&["a"]),
        |lake| load(lake).map(drop),
        |cloud, when| {
            let found = rows(cloud);
            assert!(found == [1, 1] || found == expected.0, "{found:?}, {when}");
            load(&lake_in(cloud)).unwrap();
            assert_eq!((rows(cloud), rejects(cloud)), expected, "{when}");
            // If all files were loaded already, the second load had nothing to write.
            lake_in(cloud).settle_killed().unwrap();
            assert_settled(&lake_in(cloud), when);
        },
    );
    assert!(writes >= 9, "{writes}");
}

#[test]
fn made_up_rows_are_in_all_tables_or_in_none() {
    let plan = wabalake_sample::Plan { days: 2, sessions_per_day: 5, ..Default::default() };
    let days: Vec<NaiveDate> = plan.days().collect();
    let write_day = |table: &Table, day: NaiveDate, csv: &mut Vec<u8>| {
        plan.day_csv(table, day, csv);
    };
    let columns =
        |table: &Table| wabalake_sample::columns(table).map(|column| column.name).collect();
    let fill =
        |lake: &Lake| crate::load::direct::fill(lake, &BOTH, &days, columns, &write_day).map(drop);
    let rows = |cloud: &Arc<Cloud>| {
        let snapshots = lake_in(cloud).snapshots(BOTH).unwrap();
        snapshots.iter().map(Snapshot::rows).collect::<Vec<_>>()
    };
    let cloud = Arc::new(Cloud::default());
    lake_in(&cloud).place().require_conditions().unwrap();
    let whole = cloud.fork();
    fill(&lake_in(&whole)).unwrap();
    let expected = rows(&whole);
    assert!(expected.iter().all(|rows| *rows > 1));
    let error = fill(&lake_in(&whole)).unwrap_err().to_string();
    assert!(error.contains("already"), "{error}");
    let writes = killed_at_each_write(&cloud, fill, |cloud, when| {
        let found = rows(cloud);
        assert!(found == [0, 0] || found == expected, "{found:?}, {when}");
        lake_in(cloud).settle_killed().unwrap();
        assert_settled(&lake_in(cloud), when);
        match rows(cloud) == expected {
            true => assert!(fill(&lake_in(cloud)).is_err(), "{when}"),
            false => fill(&lake_in(cloud)).unwrap(),
        }
        assert_eq!(rows(cloud), expected, "{when}");
    });
    assert!(writes >= 8, "a record, four files, two commits and a decision: {writes}");
}

#[test]
fn machines_that_load_at_once_lose_nothing_and_show_no_half() {
    let cloud = Arc::new(Cloud::default());
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..4)
            .map(|machine| {
                let lake = lake_in(&cloud);
                scope.spawn(move || {
                    for number in 0..3 {
                        load_both(&lake, &format!("{machine}-{number}")).unwrap();
                    }
                })
            })
            .collect();
        while !writers.iter().all(std::thread::ScopedJoinHandle::is_finished) {
            seen(&cloud);
        }
    });
    assert_eq!(seen(&cloud).len(), 12);
}
