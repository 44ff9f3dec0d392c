//! Lakes on object stores, in memory, and below folders whose names Polars could misread.

use std::sync::Arc;

use object_store::path::Path as ObjectPath;
use object_store::{ObjectStore, ObjectStoreExt as _};
use wabalake_queries::CATALOG;
use wabalake_queries::query::Defaults;

use super::*;
use crate::lake::rejects::{Which, read as read_rejects};
use crate::place::cache;
use crate::place::counting::Counting;
use crate::run::polars::{collect, plan};

/// A prefix with all that needs care: a partition's look, a space, a percent sign.
pub(super) const PREFIX: &str = "env=prod/a lake/50%";

/// A copy of a lake on a store, without what is of use on one machine only.
pub(super) struct Copied {
    pub(super) store: Arc<Counting>,
    folder: TempDir,
}

impl Copied {
    pub(super) fn of(lake: &Lake) -> Self {
        let copied = Self { store: Arc::default(), folder: tempfile::tempdir().unwrap() };
        copied.update(lake);
        copied
    }

    /// Copies what is new or changed, as `aws s3 sync` does.
    pub(super) fn update(&self, lake: &Lake) {
        for file in files_below(lake.root()) {
            let key = file.strip_prefix(lake.root()).unwrap().to_str().unwrap();
            if !key.starts_with(".wabalake") || key.starts_with(".wabalake/loads/") {
                self.put(key, fs::read(&file).unwrap());
            }
        }
    }

    pub(super) fn put(&self, key: &str, bytes: Vec<u8>) {
        let path = ObjectPath::parse(format!("{PREFIX}/{key}")).unwrap();
        run(async {
            let there = self.store.objects.get(&path).await;
            let there = match there {
                Ok(there) => Some(there.bytes().await.unwrap()),
                Err(_) => None,
            };
            if there.as_deref() != Some(bytes.as_slice()) {
                self.store.put(&path, bytes.into()).await.unwrap();
            }
        });
    }

    pub(super) fn delete(&self, key: &str) {
        let path = ObjectPath::parse(format!("{PREFIX}/{key}")).unwrap();
        run(self.store.delete(&path)).unwrap();
    }

    /// The lake as of a new process.
    pub(super) fn lake(&self) -> Lake {
        Lake::at(Place::over(Arc::clone(&self.store) as Arc<dyn ObjectStore>, PREFIX).unwrap())
    }

    /// The same, with a cache.
    pub(super) fn cached(&self) -> Lake {
        let options = cache::Options { folder: self.folder.path().to_owned(), limit: 1 << 30 };
        let place = Place::over(Arc::clone(&self.store) as Arc<dyn ObjectStore>, PREFIX).unwrap();
        Lake::at(place.with_cache(Some(options)))
    }

    pub(super) fn asked(&self) -> Vec<String> {
        // Requests of read-ahead that a query did not wait for.
        while crate::place::http::runtime().unwrap().metrics().num_alive_tasks() > 0 {
            std::thread::yield_now();
        }
        self.store.take()
    }
}

pub(super) fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() { files.extend(files_below(&path)) } else { files.push(path) }
    }
    files
}

/// The exports of the demo, loaded.
pub(super) fn load_demo(lake: &Lake) {
    let exports = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/exports");
    let options = crate::load::Options { quiet: true, ..Default::default() };
    crate::load::load(lake, &[exports], &options).unwrap();
}

/// The answers of all queries.
fn answers(lake: &Lake) -> Vec<(&'static str, DataFrame)> {
    answers_of_each(lake, 1)
}

/// The answers of each so-many-th query.
pub(super) fn answers_of_each(lake: &Lake, step: usize) -> Vec<(&'static str, DataFrame)> {
    let answer = |entry: &'static wabalake_queries::query::CatalogEntry| {
        let question = entry.ask_for(entry.needs(), &Defaults::default()).unwrap();
        let answer = collect(plan(lake, &question, None).unwrap(), &question);
        (entry.spec.name, answer.unwrap_or_else(|error| panic!("{}", error.lines())))
    };
    CATALOG.iter().step_by(step).map(answer).collect()
}

pub(super) fn assert_same(found: &[(&str, DataFrame)], expected: &[(&str, DataFrame)]) {
    for (name, found) in found {
        let (_, expected) = expected.iter().find(|(of, _)| of == name).unwrap();
        assert!(found.equals_missing(expected), "{name}: {found} instead of {expected}");
    }
}

#[test]
fn answers_on_a_store_and_below_any_folder_are_those_of_a_folder() {
    let (folder, lake) = lake();
    load_demo(&lake);
    let expected = answers(&lake);
    assert!(expected.iter().any(|(_, answer)| answer.height() > 0));
    let copied = Copied::of(&lake);
    let lists = |lake: &Lake| {
        let history: Vec<_> = stored_tables().map(|table| lake.history(table).unwrap()).collect();
        (history, lake.status().unwrap())
    };
    for is_cached in [false, true] {
        let stored = copied.cached().pinned();
        assert_same(&answers_of_each(&stored, if is_cached { 7 } else { 2 }), &expected);
        assert_eq!(lists(&stored), lists(&lake));
        let all = |lake| read_rejects(lake, Which::All).unwrap().collect().unwrap();
        assert!(all(&stored).equals_missing(&all(&lake)));
        let asked = copied.asked();
        let fetched: Vec<_> = asked.iter().filter(|asked| !asked.starts_with("LIST ")).collect();
        assert_eq!(fetched.is_empty(), is_cached, "{fetched:?}");
        // Asked again, no log is listed. Loads in progress are looked for each time.
        assert_same(&answers_of_each(&stored, 7), &expected);
        let is_log = |asked: &&String| asked.starts_with("LIST ") && asked.ends_with("_delta_log");
        let again = copied.asked();
        assert_eq!(again.iter().find(is_log), None);
    }

    // Names that look like partitions: any, the tables' own, and a column.
    let root = folder.path().join("env=prod/utc_day=2020-01-01/country=CO/lake");
    fs::create_dir_all(root.parent().unwrap()).unwrap();
    fs::rename(lake.root(), &root).unwrap();
    assert_same(&answers_of_each(&Lake::open(&root).unwrap(), 5), &expected);
}

#[test]
fn explained_plan_names_files_by_their_addresses() {
    let (_folder, lake) = lake();
    load(&lake, "a", day(1), &["s1"]);
    let stored = Copied::of(&lake).lake();
    let plan = stored.snapshot(SESSIONS).unwrap().scan().unwrap().explain(true).unwrap();
    let shown = crate::place::with_addresses(&plan);
    let file = format!("[memory://{PREFIX}/tables/sessions/utc_day=2025-06-01/");
    assert!(shown.contains(&file) && !shown.contains("wabalake://"), "{shown}");
}

#[test]
fn damaged_file_below_such_a_folder_fails_only_queries_that_need_it() {
    let folder = tempfile::tempdir().unwrap();
    let lake = Lake::create(folder.path().join("env=prod/lake")).unwrap();
    load(&lake, "a", day(1), &["s1"]);
    load(&lake, "b", day(2), &["s2"]);
    let snapshot = lake.snapshot(SESSIONS).unwrap();
    let file = snapshot.place(&snapshot.files[0]);
    fs::write(&file, "damage").unwrap();
    let scan = || lake.snapshot(SESSIONS).unwrap().scan().unwrap();
    let second = lit("2025-06-02").cast(DataType::Date);
    assert_eq!(ids(scan().filter(col(UTC_DAY).eq(second))), ["s2"]);
    let error = Error::from(scan().collect().unwrap_err());
    let lines = lake.explain(error).lines();
    assert!(lines.contains("differs in size from the log"), "{lines}");
}

#[test]
fn log_is_listed_from_the_newest_checkpoint_on_and_each_file_is_read_once() {
    let (_folder, lake) = lake();
    let copied = Copied::of(&lake);
    for number in 0..47 {
        load(&lake, &format!("load {number}"), day(number % 3 + 1), &[&format!("s{number}")]);
    }
    copied.update(&lake);
    let expected = all(&lake);
    let version = |lake: &Lake| lake.snapshot(SESSIONS).unwrap().version;

    assert_eq!(version(&copied.lake()), Some(46));
    let cold = copied.asked();
    // Loads in progress, listed before and after; the log, its checkpoint of 39 with its hashes, the
    // commits after it.
    assert_eq!(cold.len(), 2 + 1 + 2 + 7, "{cold:?}");

    assert_eq!(version(&copied.cached()), Some(46));
    copied.asked();
    assert_eq!(version(&copied.cached()), Some(46));
    assert_eq!(copied.asked().len(), 3, "listings");
    assert_eq!(all(&copied.cached()), expected);

    // What others commit meanwhile is seen, with and without a checkpoint, and by an open lake.
    let open = copied.cached();
    assert_eq!(version(&open), Some(46));
    for number in 47..61_u64 {
        load(&lake, &format!("load {number}"), day(1), &[&format!("s{number}")]);
        if number % 5 == 0 {
            copied.update(&lake);
            for stored in [&open, &copied.cached(), &copied.lake()] {
                assert_eq!(version(stored), Some(number));
                assert_eq!(all(stored), all(&lake));
            }
        }
    }
    let entries = copied.cached().history(SESSIONS).unwrap();
    assert_eq!(entries, lake.history(SESSIONS).unwrap());
    copied.asked();
    assert_eq!(copied.cached().history(SESSIONS).unwrap(), entries);
    assert_eq!(copied.asked().len(), 3, "listings");
}

#[test]
fn rewritten_log_is_never_read_from_the_cache() {
    let (_folder, lake) = lake();
    load(&lake, "a", day(1), &["s1"]);
    load(&lake, "b", day(1), &["s2"]);
    let copied = Copied::of(&lake);
    assert_eq!(all(&copied.cached()), ["s1", "s2"]);

    // Another table of the same name, with as many commits.
    let other = tempfile::tempdir().unwrap();
    let other = Lake::create(other.path()).unwrap();
    load(&other, "a", day(1), &["t1"]);
    load(&other, "b", day(1), &["t2"]);
    copied.update(&other);
    assert_eq!(all(&copied.cached()), ["t1", "t2"]);
}

#[test]
fn replaced_files_leave_the_cache() {
    let (_folder, lake) = lake();
    let copied = Copied::of(&lake);
    let cached = || {
        let files = files_below(copied.folder.path());
        let name = |file: &PathBuf| file.file_name().unwrap().to_str().unwrap().to_owned();
        files.iter().map(name).filter(|name| name.starts_with('d')).count()
    };
    for number in 0..5 {
        load(&lake, &format!("load {number}"), day(number % 2 + 1), &[&format!("s{number}")]);
        copied.update(&lake);
        assert_eq!(all(&copied.cached()), all(&lake));
        assert_eq!(cached(), lake.snapshot(SESSIONS).unwrap().files.len());
    }
    cache::clear(copied.folder.path()).unwrap();
    assert_eq!(cached(), 0);
}

#[test]
fn missing_commit_and_damaged_checkpoint_are_found_on_a_store() {
    let (_folder, lake) = lake();
    for number in 0..25 {
        load(&lake, &format!("load {number}"), day(1), &[&format!("s{number}")]);
    }
    let copied = Copied::of(&lake);
    let expected = all(&lake);
    assert_eq!(all(&copied.cached()), expected);
    let log = "tables/sessions/_delta_log";
    let checkpoint = format!("{log}/00000000000000000019.checkpoint.parquet");
    copied.put(&checkpoint, vec![0; 100]);
    assert_eq!(all(&copied.cached()), expected, "the commits hold the same");
    copied.put(&checkpoint, fs::read(lake.root().join(&checkpoint)).unwrap());

    copied.delete(&format!("{log}/00000000000000000022.json"));
    for stored in [copied.lake(), copied.cached()] {
        let error = stored.snapshot(SESSIONS).unwrap_err().lines();
        assert!(
            error.contains(&format!("`{log}/00000000000000000022.json` is missing")),
            "{error}"
        );
    }
}

#[test]
fn empty_store_is_an_empty_lake() {
    let (_folder, lake) = lake();
    let stored = Copied::of(&lake).lake();
    assert!(all(&stored).is_empty());
    assert!(stored.status().unwrap().tables.is_empty());
    assert!(stored.history(SESSIONS).unwrap().is_empty());
}

/// What is found by a check of a lake on a store: each file with its damage.
fn damages(lake: &Lake, deep: bool) -> Vec<String> {
    let checked = lake.check(check::Options { deep, progress: None }).unwrap();
    assert!(checked.findings.iter().all(|finding| !finding.hint.is_empty()));
    let damage = |finding: &check::Finding| format!("{} {}", finding.file.display(), finding.what);
    checked.findings.iter().map(damage).collect()
}

#[test]
fn damaged_objects_are_found_and_explained() {
    let (_folder, lake) = lake();
    for number in 0..23 {
        load(&lake, &format!("load {number}"), day(number % 3 + 1), &[&format!("s{number}")]);
    }
    let copied = Copied::of(&lake);
    for deep in [false, true] {
        assert_eq!(damages(&copied.lake(), deep), Vec::<String>::new());
    }
    copied.asked();
    let checked = copied.lake().check(check::Options::default()).unwrap();
    let tables = stored_tables().count();
    let asked = copied.asked();
    // The marts, the log of each table, that log's files with one that names the newest checkpoint, and
    // the data files of the one table that has some.
    let files = usize::try_from(checked.commits + checked.checkpoints).unwrap() + 2;
    assert_eq!(asked.len(), 1 + tables + files + 1, "{asked:?}");

    let snapshot = lake.snapshot(SESSIONS).unwrap();
    let file = |at: usize| format!("tables/sessions/{}", snapshot.files[at].path);
    let whole = |key: &str| fs::read(lake.root().join(key)).unwrap();
    let flipped = |key: &str| {
        let mut bytes = whole(key);
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        bytes
    };
    let commit = "tables/sessions/_delta_log/00000000000000000021.json".to_owned();
    let checkpoint =
        "tables/sessions/_delta_log/00000000000000000019.checkpoint.parquet".to_owned();
    for (key, damage, what, is_quick) in [
        (file(0), flipped(&file(0)), "was altered after it was written", false),
        (file(1), b"cut".to_vec(), "differs in size from the log", true),
        (commit.clone(), flipped(&commit), "was altered after it was written", true),
        (checkpoint.clone(), flipped(&checkpoint), "was altered after it was written", true),
    ] {
        copied.put(&key, damage);
        let expected = format!("{key} {what}");
        let lake = copied.lake();
        assert_eq!(damages(&lake, true).join(", "), expected);
        let quick = if is_quick { vec![expected] } else { vec![] };
        assert_eq!(damages(&lake, false), quick);
        copied.put(&key, whole(&key));
    }

    copied.delete(&file(2));
    let read = copied.lake();
    assert_eq!(damages(&read, false), [format!("{} is missing", file(2))]);
    let error =
        Error::from(read.snapshot(SESSIONS).unwrap().scan().unwrap().collect().unwrap_err());
    let lines = read.explain(error).lines();
    assert!(lines.contains(&format!("`{}` is missing", file(2))), "{lines}");
    assert!(lines.contains("restore it from a backup"), "{lines}");
}
