//! The lock of runs, in a folder and on a store.

use std::time::{Duration, SystemTime};

use object_store::memory::InMemory;
use tempfile::TempDir;

use super::*;

const TIMES: Times = Times {
    beat: Duration::from_millis(20),
    dead: Duration::from_millis(400),
    stale: Duration::from_millis(300),
    look: Duration::from_millis(10),
};

fn in_folder() -> (TempDir, Lake) {
    let folder = TempDir::new().unwrap();
    let lake = Lake::open(folder.path()).unwrap();
    (folder, lake)
}

fn on_store(store: &Arc<InMemory>) -> Lake {
    let place = Place::over(Arc::clone(store) as Arc<_>, "env=prod/lake").unwrap();
    Lake::at(place).with_lease_times(TIMES)
}

/// Runs a test on a lake of each kind; it is opened anew by each call, as another process would.
fn on_each(test: impl Fn(&dyn Fn() -> Lake)) {
    let folder = TempDir::new().unwrap();
    test(&|| Lake::open(folder.path()).unwrap().with_lease_times(TIMES));
    let store = Arc::default();
    test(&|| on_store(&store));
}

fn elsewhere() -> Holder {
    Holder { boot: Some("another".to_owned()), ..Holder::this() }
}

/// A run of another machine whose last heartbeat is now.
fn run_elsewhere(lake: &Lake, number: u64) {
    lake.place().put(&entry(number), elsewhere().beat()).unwrap();
}

/// A run of another machine in a folder, whose last heartbeat was so long ago.
fn aged_run_elsewhere(lake: &Lake, number: u64, age: Duration) {
    run_elsewhere(lake, number);
    let file = OpenOptions::new().write(true).open(lake.root().join(entry(number).as_str()));
    file.unwrap().set_modified(SystemTime::now() - age).unwrap();
}

fn files(lake: &Lake) -> Vec<String> {
    let listed = lake.place().list(&nights(), None).unwrap();
    listed.iter().map(|entry| entry.key.name().to_owned()).collect()
}

#[test]
fn one_run_holds_the_lock() {
    on_each(|lake| {
        let lock = RunLock::acquire(&lake()).unwrap();
        assert_eq!(lock.crashed, None);
        let said = RunLock::acquire(&lake()).unwrap_err().lines();
        assert!(said.starts_with("error: another nightly run is in progress: process "), "{said}");
        thread::sleep(2 * TIMES.dead);
        assert!(RunLock::acquire(&lake()).is_err(), "its heartbeat keeps it");
        lock.check().unwrap();
        drop(lock);
        let mut lock = RunLock::acquire(&lake()).unwrap();
        assert_eq!(lock.crashed, None);
        lock.tidying.take().unwrap().join().unwrap();
        assert_eq!(files(&lake()), ["00000001"], "files of earlier runs are deleted");
    });
}

#[test]
fn of_many_runs_at_once_one_wins() {
    on_each(|lake| {
        for _ in 0..4 {
            let locks = thread::scope(|scope| {
                let runs: Vec<_> = (0..8)
                    .map(|_| {
                        let lake = lake();
                        scope.spawn(move || RunLock::acquire(&lake))
                    })
                    .collect();
                runs.into_iter().filter_map(|run| run.join().unwrap().ok()).collect::<Vec<_>>()
            });
            assert_eq!(locks.len(), 1);
            assert_eq!(locks[0].crashed, None);
            locks[0].check().unwrap();
        }
    });
}

#[test]
fn crashed_run_is_detected_after_two_minutes() {
    let (_folder, lake) = in_folder();
    aged_run_elsewhere(&lake, 7, Duration::from_secs(30));
    assert!(RunLock::acquire(&lake).is_err(), "its heartbeat is half a minute old");
    aged_run_elsewhere(&lake, 7, Duration::from_mins(10));
    let lock = RunLock::acquire(&lake).unwrap();
    assert!(lock.crashed.is_some());
    // The machine wakes up, and another run has taken over.
    run_elsewhere(&lake, 9);
    assert!(lock.check().is_err());
}

#[test]
fn crashed_run_on_a_store_is_detected_by_the_clock_of_the_store() {
    let lake = on_store(&Arc::default());
    run_elsewhere(&lake, 7);
    assert!(RunLock::acquire(&lake).is_err(), "its heartbeat is new");
    thread::sleep(2 * TIMES.dead);
    let mut lock = RunLock::acquire(&lake).unwrap();
    assert_eq!((lock.number, lock.crashed.is_some()), (8, true));
    lock.tidying.take().unwrap().join().unwrap();
    assert_eq!(files(&lake), ["00000008"]);
    // The next heartbeat finds that another run has taken over.
    run_elsewhere(&lake, 9);
    thread::sleep(10 * TIMES.beat);
    let said = lock.check().unwrap_err().lines();
    assert!(said.contains("considered this one crashed and took over"), "{said}");
    drop(lock);
    assert!(RunLock::acquire(&lake).is_err(), "the other one goes on");
}

#[test]
fn run_that_slept_looks_before_it_goes_on() {
    let slow = Times { beat: Duration::from_hours(1), ..TIMES };
    let store = Arc::default();
    let lock = RunLock::acquire(&on_store(&store).with_lease_times(slow)).unwrap();
    thread::sleep(TIMES.stale);
    lock.check().unwrap();
    run_elsewhere(&on_store(&store), 1);
    assert!(lock.check().is_err());
}

#[cfg(target_os = "linux")]
#[test]
fn crashed_run_of_the_same_machine_is_detected_at_once() {
    on_each(|lake| {
        // As a killed process leaves it: a recent heartbeat, and neither a lock nor a process.
        let killed = Holder { ticks: Some(1), ..Holder::this() };
        lake().place().put(&entry(3), killed.beat()).unwrap();
        let lock = RunLock::acquire(&lake()).unwrap();
        assert_eq!((lock.number, lock.crashed), (4, Some(killed.started_at)));
    });
}
