//! Lakes on object stores that are written: the same as in a folder.

use object_store::ObjectStore;
use object_store::memory::InMemory;
use wabalake_data::TABLES;

use super::stores::{PREFIX, answers_of_each, assert_same, load_demo};
use super::*;
use crate::lake::rejects::{Which, read as read_rejects};
use crate::place::counting::Counting;
use crate::place::lease::Times;

/// Short times: a test does not wait for minutes.
pub(super) const TIMES: Times = Times {
    beat: Duration::from_millis(20),
    dead: Duration::from_millis(2400),
    stale: Duration::from_millis(1600),
    look: Duration::from_millis(10),
};

/// A lake on a store, as of a new process.
pub(super) fn lake_on(objects: &Arc<dyn ObjectStore>) -> Lake {
    let place = Place::over(Arc::clone(objects), PREFIX).unwrap();
    Lake { times: TIMES, ..Lake::at(place) }
}

fn store() -> Arc<dyn ObjectStore> {
    Arc::new(InMemory::new())
}

/// The data files of all versions and the commits, by table. Names of data files differ.
fn files(lake: &Lake) -> Vec<String> {
    let entries = lake.place().list(&Key::root(), None).unwrap();
    let shown = |entry: &crate::place::Entry| {
        let key = entry.key.as_str();
        let is_random = key.ends_with(".parquet") && !key.contains("_delta_log");
        (!key.starts_with(OWN)).then(|| match is_random {
            true => entry.key.parent().as_str().to_owned(),
            false => key.to_owned(),
        })
    };
    let mut files: Vec<String> = entries.iter().filter_map(shown).collect();
    files.sort_unstable();
    files
}

/// The history of each table, without ids and times.
fn history(lake: &Lake) -> Vec<String> {
    let entries = stored_tables().flat_map(|table| lake.history(table).unwrap());
    entries.map(|entry| format!("{} {}", entry.version, entry.operation)).collect()
}

/// Answers without the times of loads.
fn timeless(answers: Vec<(&'static str, DataFrame)>) -> Vec<(&'static str, DataFrame)> {
    let without = |(name, rows): (&'static str, DataFrame)| {
        let names = rows.get_column_names_owned();
        (name, rows.drop_many(names.into_iter().filter(|name| name.contains("loaded"))))
    };
    answers.into_iter().map(without).collect()
}

#[test]
fn store_is_written_as_a_folder_is() {
    let (_folder, lake) = lake();
    let objects = store();
    let stored = lake_on(&objects);
    let same = |what: &str| {
        // As of another process, too.
        for stored in [&stored, &lake_on(&objects)] {
            assert_eq!(files(stored), files(&lake), "{what}");
            assert_eq!(history(stored), history(&lake), "{what}");
            let all = |lake| read_rejects(lake, Which::All).unwrap().collect().unwrap();
            let [ours, theirs] = [all(stored), all(&lake)]
                .map(|rejects| rejects.drop_many(["rejected_at", "resolved"]));
            assert!(ours.equals_missing(&theirs), "{what}: {ours} {theirs}");
        }
        let leases = stored.place().list(&Key::root().join(OWN).join("leases"), None).unwrap();
        assert_eq!(leases, [], "{what}");
    };
    for both in [&lake, &stored] {
        load_demo(both);
    }
    same("loaded");
    let [ours, theirs] = [&lake, &stored].map(|both| {
        append(both, day(1), &["s1"]);
        append(both, day(1), &["s2"]);
        let compacted = both.compact().unwrap();
        compacted.iter().map(|of| (of.table, of.days, of.files)).collect::<Vec<_>>()
    });
    assert_eq!(ours, theirs);
    assert!(ours.iter().any(|(table, ..)| *table == SESSIONS.name));
    same("compacted");
    let now = Options { retain: TimeDelta::zero(), dry_run: false };
    for dry_run in [true, false] {
        let [ours, theirs] = [&lake, &stored]
            .map(|lake| lake.vacuum(Options { dry_run, ..now }).unwrap().files.len());
        assert!(ours == theirs && ours > 2, "{ours} {theirs}");
    }
    same("vacuumed");
    let [theirs, ours] = [&lake_on(&objects), &lake].map(|lake| timeless(answers_of_each(lake, 4)));
    assert_same(&theirs, &ours);
}

#[test]
fn undo_on_a_store_restores_what_was() {
    let (_folder, lake) = lake();
    let objects = store();
    let stored = lake_on(&objects);
    for both in [&lake, &stored] {
        load(both, "a", day(1), &["s1"]);
        load(both, "b", day(1), &["s2"]);
        add_deployment(both, Some("b"));
        let undone = both.undo().unwrap();
        assert_eq!(undone.load.load_id, "b");
        assert_eq!(all(both), ["s1"]);
        assert_eq!(both.snapshot(&deployments::TABLE).unwrap().rows(), 0);
    }
    assert_eq!(history(&stored), history(&lake));
    assert_eq!(all(&lake_on(&objects)), ["s1"]);
    assert_eq!(stored.undo().unwrap().load.load_id, "a");
    assert!(stored.undo().is_err() && all(&stored).is_empty());
}

/// A command and its name.
type Command = (&'static str, fn(&Lake));

#[test]
fn loads_in_progress_are_looked_for_a_few_times_however_many_tables_there_are() {
    let counting = Arc::new(Counting::default());
    let objects = Arc::clone(&counting) as Arc<dyn ObjectStore>;
    load_demo(&lake_on(&objects));
    let commands: [Command; 3] = [
        ("load", load_demo),
        ("undo", |lake| drop(lake.undo().unwrap())),
        ("compact", |lake| drop(lake.compact().unwrap())),
    ];
    for (name, command) in commands {
        counting.take();
        command(&lake_on(&objects));
        let asked = counting.take();
        let is_of_loads = |asked: &&String| asked.starts_with("LIST ") && asked.ends_with("/loads");
        let listings = asked.iter().filter(is_of_loads).count();
        assert!((2..12).contains(&listings), "{name}: {listings} for {} tables", TABLES.len());
    }
}

#[test]
fn checkpoints_are_written_to_stores() {
    let objects = store();
    let stored = lake_on(&objects);
    for number in 0..45 {
        load(&stored, &format!("load {number}"), day(number % 3 + 1), &[&format!("s{number}")]);
    }
    let log = stored.log_of(SESSIONS);
    let versions: Vec<_> = log.checkpoints().unwrap().into_iter().map(|(of, _)| of).collect();
    assert_eq!(versions, [19, 39]);
    for (version, parts) in log.checkpoints().unwrap() {
        assert!(log.exists(&log.checkpoint_hashes(version)) && parts.len() == 1);
    }
    assert_eq!(all(&lake_on(&objects)).len(), 45);
}

#[test]
fn writers_race_and_lose_nothing() {
    let objects = store();
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let stored = lake_on(&objects);
            scope.spawn(move || {
                for number in 0..5 {
                    let id = format!("{writer}-{number}");
                    load(&stored, &id, day(1), &[&id]);
                }
            });
        }
    });
    assert_eq!(all(&lake_on(&objects)).len(), 20);
}
