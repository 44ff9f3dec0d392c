//! Marts on stores that are dropped and made anew.

use object_store::memory::InMemory;
use object_store::path::Path as ObjectPath;
use object_store::{ObjectStore, ObjectStoreExt as _};
use wabalake_queries::query::OutputColumn;

use super::machine::{Cloud, Machine};
use super::stores::{PREFIX, run};
use super::writing::lake_on;
use super::*;
use crate::lake::marts::{MART_DAY, PROVENANCE};
use crate::place::cache;

fn mart() -> Layout {
    Layout::of_mart("days", &[OutputColumn::text("a")])
}

/// Refreshes the mart: its rows are these.
fn refresh(lake: &Lake, texts: &[&str]) {
    let rows = DataFrame::new(texts.len(), vec![Column::new("a".into(), texts)]).unwrap();
    let refreshed = lake.transact(mart(), |snapshot, staging| {
        let mut change = Change::new(Operation::Mart);
        change.remove = snapshot.files.iter().map(|file| file.path.clone()).collect();
        change.add = vec![staging.write(day(1), rows.clone())?];
        change.info.insert(PROVENANCE.to_owned(), json!({"definition": texts}));
        Ok(Some(change))
    });
    assert!(refreshed.unwrap().is_committed);
}

fn texts(lake: &Lake) -> Vec<String> {
    let rows = lake.snapshot(mart()).unwrap().scan().unwrap().select([col("a")]).collect().unwrap();
    let texts = rows.column("a").unwrap().str().unwrap();
    texts.iter().map(|text| text.unwrap().to_owned()).collect()
}

fn keys(lake: &Lake) -> Vec<String> {
    let below = Key::root().join("marts/days");
    let entries = lake.place().list(&below, None).unwrap();
    entries.iter().map(|entry| entry.key.below(&below).unwrap().to_owned()).collect()
}

/// Readers: one that is open for long, and one of a new process with a cache.
struct Readers {
    objects: Arc<dyn ObjectStore>,
    folder: TempDir,
    open: Lake,
}

impl Readers {
    fn of(objects: &Arc<dyn ObjectStore>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { objects: Arc::clone(objects), folder, open: lake_on(objects) }
    }

    fn texts(&self) -> Vec<String> {
        let options = cache::Options { folder: self.folder.path().to_owned(), limit: 1 << 30 };
        let place = Place::over(Arc::clone(&self.objects), PREFIX).unwrap();
        let found = texts(&Lake::at(place.with_cache(Some(options))));
        assert_eq!(texts(&self.open), found);
        found
    }
}

#[test]
fn dropped_mart_on_a_store_is_empty_and_its_log_goes_on() {
    let objects: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let lake = lake_on(&objects);
    lake.drop_mart(&mart()).unwrap();
    assert!(keys(&lake).is_empty(), "there was none");
    let readers = Readers::of(&objects);
    for number in 0..22 {
        refresh(&lake, &[&format!("x{number}"), "y"]);
    }
    assert_eq!(readers.texts(), ["x21", "y"]);
    let newest = lake.snapshot(mart()).unwrap().files[0].path.clone();
    // Another mart's definition, with other columns, or none at all.
    lake.drop_mart(&Layout::of_mart("days", &[])).unwrap();
    assert!(readers.texts().is_empty());
    assert_eq!(lake.provenance(&lake.snapshot(mart()).unwrap()).unwrap(), None, "no older one");
    assert!(!keys(&lake).contains(&newest));
    refresh(&lake, &["z"]);
    assert_eq!(readers.texts(), ["z"]);
    assert_eq!(lake.snapshot(mart()).unwrap().version, Some(23));

    // Without other writers, files of old versions go, too.
    let other = Key::root().join("marts/days/notes.txt");
    lake.place().put(&other, bytes::Bytes::from_static(b"theirs")).unwrap();
    let alone = lake.alone().unwrap().unwrap();
    lake.drop_marts().unwrap();
    drop(alone);
    assert!(readers.texts().is_empty());
    let is_data = |key: &String| key.starts_with(MART_DAY);
    assert!(!keys(&lake).iter().any(is_data) && keys(&lake).contains(&"notes.txt".to_owned()));
}

#[test]
fn mart_that_is_made_anew_is_never_read_from_what_was_read_before() {
    let objects: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let lake = lake_on(&objects);
    let readers = Readers::of(&objects);
    refresh(&lake, &["old", "old"]);
    refresh(&lake, &["older"]);
    assert_eq!(readers.texts(), ["older"]);
    let first = format!("{PREFIX}/marts/days/_delta_log/{:020}.json", 0);
    let first = ObjectPath::parse(first).unwrap();
    run(objects.put(&first, "{\"add\":{".into())).unwrap();
    // One that is read from its beginning.
    let lake = lake_on(&objects);
    assert!(lake.snapshot(mart()).is_err());

    // Another program's file stays, and with it the log.
    let other = Key::root().join("marts/days/_delta_log/notes.txt");
    lake.place().put(&other, bytes::Bytes::from_static(b"theirs")).unwrap();
    let error = lake.drop_mart(&mart()).unwrap_err().lines();
    assert!(error.contains("notes.txt` is not a file of wabalake"), "{error}");
    lake.place().delete(&[other]).unwrap();

    lake.drop_mart(&mart()).unwrap();
    assert!(keys(&lake).is_empty());
    refresh(&lake, &["newer"]);
    refresh(&lake, &["new"]);
    assert_eq!(lake.snapshot(mart()).unwrap().version, Some(1));
    assert_eq!(readers.texts(), ["new"]);
}

#[test]
fn log_is_not_deleted_if_the_store_does_not_answer() {
    let cloud = Arc::new(Cloud::default());
    let alive = |writes| Machine::killed_at(&cloud, writes, false);
    refresh(&lake_on(&alive(i64::MAX)), &["x"]);
    let all = keys(&lake_on(&alive(i64::MAX)));
    for writes in 1..40 {
        let lake = lake_on(&alive(writes));
        if lake.drop_mart(&mart()).is_ok() {
            assert!(writes > 2, "it has a commit and deletions");
            return;
        }
        let left = keys(&lake_on(&alive(i64::MAX)));
        assert!(all.iter().all(|key| left.contains(key) || !key.contains("_delta_log")));
    }
    panic!("it is never dropped");
}
