//! Damage of every kind, done to small lakes.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};
use wabalake_queries::query::OutputColumn;

use super::super::check::Options;
use super::super::damage::{is_whole, sealed, unsealed};
use super::super::marts::MartLayout;
use super::super::runs::{Outcome, Run};
use super::*;

const DEEP: Options<'_> = Options { deep: true, progress: None };

/// All files of a lake that have bytes.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            files.extend(self::files(&path));
        } else if path.metadata().unwrap().len() > 0 {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// One with old versions, a checkpoint, runs and a mart.
fn old_lake() -> (TempDir, Lake) {
    let (folder, lake) = lake();
    for n in 0..23 {
        load(&lake, &format!("l{n}"), day(1 + n % 3), &[&format!("s{n}")]);
    }
    lake.undo().unwrap();
    lake.log_run(&Run::new("nightly", Outcome::Done, Utc::now())).unwrap();
    let mart = MartLayout::of("days", &[OutputColumn::text("a")]);
    let snapshot = lake.snapshot(mart).unwrap();
    let staging = lake.staging(mart).unwrap();
    let rows = DataFrame::new(2, vec![Column::new("a".into(), ["x", "y"])]).unwrap();
    let change = Change {
        operation: Operation::Mart,
        transactions: Vec::new(),
        remove: Vec::new(),
        add: vec![staging.write(day(1), rows).unwrap()],
        info: serde_json::Map::new(),
        data_change: true,
    };
    assert_eq!(lake.commit(mart, &snapshot, change).unwrap(), Commit::Done(0));
    (folder, lake)
}

fn flip(file: &Path, place: usize, bit: u8) {
    let mut bytes = fs::read(file).unwrap();
    let place = place % bytes.len();
    bytes[place] ^= 1 << bit;
    fs::write(file, bytes).unwrap();
}

#[test]
fn every_flipped_bit_is_found_and_its_file_is_named() {
    let (_folder, lake) = old_lake();
    let whole = lake.check(DEEP).unwrap();
    assert_eq!((whole.findings.len(), whole.tables, whole.checkpoints), (0, 3, 1), "{whole:?}");
    let files = files(lake.root());
    let kinds =
        ["checkpoint.parquet", "checkpoint.xxh3", "_last_checkpoint", "newest/sessions", "days"];
    for kind in kinds {
        let named = |file: &PathBuf| file.to_string_lossy().contains(kind);
        assert!(files.iter().any(named), "{kind}");
    }
    let mut runner = TestRunner::new(Config { cases: 120, ..Config::default() });
    let flips = (any::<prop::sample::Index>(), any::<usize>(), 0..8_u8);
    runner
        .run(&flips, |(file, place, bit)| {
            let file = &files[file.index(files.len())];
            let before = fs::read(file).unwrap();
            flip(file, place, bit);
            let found = lake.check(DEEP).unwrap().findings;
            fs::write(file, before).unwrap();
            let named: BTreeSet<_> =
                found.iter().map(|finding| lake.root().join(&finding.file)).collect();
            prop_assert_eq!(named, BTreeSet::from([file.clone()]), "{:?}", found);
            prop_assert!(found.iter().all(|finding| !finding.hint.is_empty()));
            Ok(())
        })
        .unwrap();
    assert_eq!(lake.check(DEEP).unwrap().findings, []);
}

/// What a person is told who reads the sessions of a lake.
fn read(root: &Path) -> Result<Vec<String>> {
    let lake = Lake::open(root)?;
    let read = || -> Result<Vec<String>> {
        let rows =
            lake.snapshot(SESSIONS)?.scan()?.select([col(sessions::SESSION_ID)]).collect()?;
        let ids = rows.column(sessions::SESSION_ID)?.str()?;
        let mut ids: Vec<String> = ids.iter().flatten().map(str::to_owned).collect();
        ids.sort();
        Ok(ids)
    };
    read().map_err(|error| lake.explain(error))
}

/// Changes the lines of a commit as another program might, and gives it its hash.
fn rewrite(file: &Path, version: u64, change: impl Fn(&mut Vec<Value>)) {
    let text = fs::read_to_string(file).unwrap();
    let mut lines: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    change(&mut lines);
    if let Some(info) = lines[0]["commitInfo"].as_object_mut() {
        info.insert("commit_hash".to_owned(), json!(unsealed()));
    }
    let text: Vec<String> = lines.iter().map(Value::to_string).collect();
    fs::write(file, sealed(text.join("\n").into_bytes(), version)).unwrap();
}

/// What is done to a table's folder, what is said of it, and of which file.
type Harm<'a> = (&'static str, String, Box<dyn Fn(&Path) + 'a>);

/// The commit of a version below its table's folder.
fn log(version: u64) -> String {
    format!("_delta_log/{version:020}.json")
}

fn harms_of_the_log() -> Vec<Harm<'static>> {
    vec![
        ("is empty", log(2), Box::new(|table| fs::write(table.join(log(2)), "").unwrap())),
        (
            "is cut short",
            log(2),
            Box::new(|table| {
                let bytes = fs::read(table.join(log(2))).unwrap();
                fs::write(table.join(log(2)), &bytes[..bytes.len() - 9]).unwrap();
            }),
        ),
        (
            "is not as it was written",
            log(2),
            Box::new(|table| {
                let text = fs::read_to_string(table.join(log(2))).unwrap();
                let half: Vec<&str> = text.lines().take(2).collect();
                fs::write(table.join(log(2)), half.join("\n")).unwrap();
            }),
        ),
        (
            "is not as it was written",
            log(2),
            Box::new(|table| {
                fs::copy(table.join(log(1)), table.join(log(2))).unwrap();
            }),
        ),
        ("is not there", log(1), Box::new(|table| fs::remove_file(table.join(log(1))).unwrap())),
        (
            "removes `utc_day=2025-06-01/gone.parquet`, which is not there",
            log(2),
            Box::new(|table| {
                rewrite(&table.join(log(2)), 2, |lines| {
                    for line in lines.iter_mut().filter(|line| line.get("remove").is_some()) {
                        line["remove"]["path"] = json!("utc_day=2025-06-01/gone.parquet");
                    }
                });
            }),
        ),
        (
            "which is there already",
            log(2),
            Box::new(|table| {
                rewrite(&table.join(log(2)), 2, |lines| {
                    let add = lines.iter().find(|line| line.get("add").is_some()).unwrap().clone();
                    lines.push(add);
                });
            }),
        ),
        (
            "ends at version 1",
            "_delta_log".to_owned(),
            Box::new(|table| {
                fs::remove_file(table.join(log(2))).unwrap();
            }),
        ),
        (
            "is not there",
            "_delta_log".to_owned(),
            Box::new(|table| {
                fs::remove_dir_all(table.join("_delta_log")).unwrap();
            }),
        ),
        (
            "is not there",
            "_delta_log".to_owned(),
            Box::new(|table| {
                fs::remove_dir_all(table).unwrap();
            }),
        ),
        (
            "is not there",
            "_delta_log".to_owned(),
            Box::new(|table| {
                // As in a lake that was written by 0.1.0.
                fs::remove_dir_all(table.join("_delta_log")).unwrap();
                fs::remove_dir_all(table.join("../../.wabalake/newest")).unwrap();
            }),
        ),
    ]
}

/// What is done to one data file; another is at hand.
fn harms_of_rows<'a>(first: &'a str, second: &'a str) -> Vec<Harm<'a>> {
    vec![
        (
            "is not there",
            first.to_owned(),
            Box::new(move |table| fs::remove_file(table.join(first)).unwrap()),
        ),
        (
            "has another size than the log says",
            first.to_owned(),
            Box::new(move |table| {
                let bytes = fs::read(table.join(first)).unwrap();
                fs::write(table.join(first), [&bytes[..], b"x"].concat()).unwrap();
            }),
        ),
        (
            "has another size than the log says",
            first.to_owned(),
            Box::new(move |table| {
                fs::copy(table.join(second), table.join(first)).unwrap();
            }),
        ),
        (
            "is another file, put in its place",
            first.to_owned(),
            Box::new(move |table| {
                // Of the same size, with another end.
                let mut bytes = fs::read(table.join(first)).unwrap();
                let end = bytes.len() - 100;
                bytes[end] ^= 1;
                fs::write(table.join(first), bytes).unwrap();
                make_older(&table.join(first), 1);
            }),
        ),
        (
            "is not as it was written",
            first.to_owned(),
            Box::new(move |table| {
                // A page that cannot be unpacked, in a file that looks untouched.
                let place = table.join(first);
                let written = fs::metadata(&place).unwrap().modified().unwrap();
                let mut bytes = fs::read(&place).unwrap();
                bytes[4..120].fill(0xff);
                fs::write(&place, bytes).unwrap();
                fs::File::options()
                    .write(true)
                    .open(&place)
                    .unwrap()
                    .set_modified(written)
                    .unwrap();
            }),
        ),
    ]
}

#[test]
fn damage_is_an_error_that_names_its_file_and_a_way_forward() {
    let (folder, lake) = lake();
    for (n, date) in [1, 2, 1].into_iter().enumerate() {
        load(&lake, &format!("load-{n}"), day(date), &[&format!("s{n}")]);
    }
    let expected = all(&lake);
    let path = |date: u32| {
        lake.snapshot(SESSIONS).unwrap().files_of(day(date)).next().unwrap().path.clone()
    };
    let (first, second) = (path(1), path(2));
    let harms = harms_of_the_log().into_iter().chain(harms_of_rows(&first, &second));
    for (n, (what, file, harm)) in harms.enumerate() {
        let root = folder.path().join(format!("harmed-{n}"));
        copy(lake.root(), &root);
        assert_eq!(read(&root).unwrap(), expected, "a copy is as good");
        harm(&root.join("tables/sessions"));
        let error = read(&root).unwrap_err();
        let said = error.lines();
        assert_eq!(error.exit_code(), 1, "{said}");
        let begins = format!("error: the lake is damaged: `tables/sessions/{file}` ");
        assert!(said.starts_with(&begins) && said.contains(what), "{n}: {what}: {said}");
        assert!(said.contains("\n  hint: restore "), "{said}");
        let found = Lake::open(&root).unwrap().check(DEEP).unwrap().findings;
        let file = Path::new("tables/sessions").join(file);
        assert!(found.iter().any(|finding| finding.file == file && finding.needed), "{found:?}");
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for path in fs::read_dir(from).unwrap().map(|entry| entry.unwrap().path()) {
        let there = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &there);
        } else {
            fs::copy(&path, there).unwrap();
        }
    }
}

#[test]
fn a_file_is_taken_out_by_as_many_undoes_as_are_said() {
    let (_folder, lake) = lake();
    for (n, date) in [1, 2, 3, 2].into_iter().enumerate() {
        load(&lake, &format!("load-{n}"), day(date), &[&format!("s{n}")]);
    }
    let snapshot = lake.snapshot(SESSIONS).unwrap();
    let place = |date| snapshot.place(snapshot.files_of(day(date)).next().unwrap());
    for (date, times) in [(2, "`wabalake undo` takes"), (3, "`wabalake undo`, 2 times, takes")] {
        let bytes = fs::read(place(date)).unwrap();
        fs::write(place(date), "").unwrap();
        let found = lake.check(Options::default()).unwrap().findings;
        assert!(found[0].hint.contains(times), "{}", found[0].hint);
        fs::write(place(date), bytes).unwrap();
    }
    fs::write(place(3), "").unwrap();
    lake.undo().unwrap();
    lake.undo().unwrap();
    assert_eq!(all(&lake), ["s0", "s1"]);
    assert_eq!(lake.check(DEEP).unwrap().findings.iter().filter(|f| f.needed).count(), 0);
    // With the files from before gone, an undo is not what is said.
    fs::remove_file(place(1)).unwrap();
    let found = lake.check(Options::default()).unwrap().findings;
    assert!(found[0].hint.contains("`wabalake undo`, 2 times"), "{found:?}");
    load(&lake, "load-4", day(3), &["s4"]);
    append(&lake, day(1), &["other"]);
    let found = lake.check(Options::default()).unwrap().findings;
    assert!(found[0].hint.contains("wabalake undo"), "{found:?}");
}

static WARNINGS: Mutex<Vec<String>> = Mutex::new(Vec::new());

#[test]
fn a_damaged_checkpoint_is_passed_over_where_the_commits_are_there() {
    let (_folder, lake) = lake();
    for n in 0..22 {
        load(&lake, &format!("l{n}"), day(1 + n % 3), &[&format!("s{n}")]);
    }
    let expected = all(&lake);
    let log = table_folder(&lake).join("_delta_log");
    let checkpoint = log.join("00000000000000000019.checkpoint.parquet");
    let again = || {
        Lake::open(lake.root())
            .unwrap()
            .warning(|what| WARNINGS.lock().unwrap().push(what.to_owned()))
    };
    let told = || std::mem::take(&mut *WARNINGS.lock().unwrap());
    assert_eq!(all(&again()), expected);
    assert_eq!(told(), [""; 0]);
    let bytes = fs::read(&checkpoint).unwrap();
    flip(&checkpoint, bytes.len() / 2, 3);
    assert_eq!(all(&again()), expected);
    let said = told();
    assert!(
        said.len() == 1 && said[0].contains("19.checkpoint.parquet` is not as it was written"),
        "{said:?}"
    );

    // The next one is made from the commits.
    for n in 22..40 {
        load(&lake, &format!("l{n}"), day(1 + n % 3), &[&format!("s{n}")]);
    }
    assert!(!checkpoint.exists() && log.join("00000000000000000039.checkpoint.parquet").exists());
    let expected = all(&lake);
    assert_eq!(lake.check(DEEP).unwrap().findings, []);
    assert_eq!((all(&again()), told()), (expected.clone(), Vec::new()));

    // Where commits are gone, it is all that there is.
    for version in 0..39 {
        fs::remove_file(log.join(format!("{version:020}.json"))).unwrap();
    }
    assert_eq!((all(&again()), told()), (expected, Vec::new()));
    let checkpoint = log.join("00000000000000000039.checkpoint.parquet");
    flip(&checkpoint, bytes.len() / 2, 3);
    let error = again().snapshot(SESSIONS).unwrap_err().lines();
    assert!(error.contains("39.checkpoint.parquet` is not as it was written"), "{error}");
}

/// Another program set something, so that `deltalake` reads the log too when a commit is made.
#[test]
fn a_damaged_checkpoint_does_not_keep_a_load_out_of_a_table_that_another_program_changed() {
    let (_folder, lake) = lake();
    for n in 0..20 {
        load(&lake, &format!("l{n}"), day(1 + n % 3), &[&format!("s{n}")]);
    }
    let mut metadata = lake.snapshot(SESSIONS).unwrap().state.as_ref().unwrap().metadata.clone();
    metadata["description"] = json!("ours");
    metadata["configuration"]["delta.logRetentionDuration"] = json!("interval 60 days");
    commit_as_another(&lake, &[json!({"metaData": metadata})]);
    let checkpoint = table_folder(&lake).join("_delta_log/00000000000000000019.checkpoint.parquet");
    let bytes = fs::read(&checkpoint).unwrap();
    fs::write(&checkpoint, &bytes[..bytes.len() / 2]).unwrap();
    let lake = Lake::open(lake.root()).unwrap();
    load(&lake, "more", day(1), &["more"]);
    assert_eq!(all(&lake).len(), 21);
    assert_eq!(lake.check(DEEP).unwrap().findings, []);
}

static PARTS: Mutex<Vec<String>> = Mutex::new(Vec::new());

#[test]
fn a_checkpoint_of_which_a_part_is_missing_is_told_of() {
    let (_folder, lake) = lake();
    load(&lake, "a", day(1), &["a1"]);
    load(&lake, "b", day(2), &["b1"]);
    let log = table_folder(&lake).join("_delta_log");
    let part = format!("{:020}.checkpoint.{:010}.{:010}.parquet", 1, 1, 2);
    fs::write(log.join(part), "PAR1").unwrap();
    let again = Lake::open(lake.root())
        .unwrap()
        .warning(|what| PARTS.lock().unwrap().push(what.to_owned()));
    assert_eq!(all(&again), ["a1", "b1"]);
    let said = PARTS.lock().unwrap().join("\n");
    assert!(said.contains("is one of 2 parts, of which 1 are there, and is passed over"), "{said}");
}

#[test]
fn a_lake_without_hashes_is_read_and_checked_as_far_as_it_goes() {
    let (_folder, lake) = old_lake();
    let expected = all(&lake);
    for file in files(lake.root()) {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        if file.extension().is_some_and(|end| end == "json") {
            let text = fs::read_to_string(&file).unwrap();
            let strip = |line: &str| {
                let mut line: Value = serde_json::from_str(line).unwrap();
                for action in line.as_object_mut().unwrap().values_mut() {
                    let action = action.as_object_mut().unwrap();
                    action.remove("commit_hash");
                    action.remove("tags");
                }
                line.to_string()
            };
            fs::write(&file, text.lines().map(strip).collect::<Vec<_>>().join("\n")).unwrap();
        } else if name.contains("checkpoint") {
            fs::remove_file(&file).unwrap();
        }
    }
    fs::remove_dir_all(lake.root().join(".wabalake/newest")).unwrap();
    let lake = Lake::open(lake.root()).unwrap();
    assert_eq!(all(&lake), expected);
    let checked = lake.check(DEEP).unwrap();
    assert_eq!(checked.findings, []);
    assert!(checked.bytes > 0);
    let snapshot = lake.snapshot(SESSIONS).unwrap();
    assert!(snapshot.files.iter().all(|file| file.hash.is_none()));
    let place = snapshot.place(&snapshot.files[0]);
    let mut bytes = fs::read(&place).unwrap();
    bytes[4..120].fill(0xff);
    fs::write(&place, bytes).unwrap();
    assert_eq!(lake.check(DEEP).unwrap().findings.len(), 1);
    // It goes on with them.
    load(&lake, "new", day(2), &["new"]);
    let hashes = |lake: &Lake| {
        lake.snapshot(SESSIONS).unwrap().files.iter().filter(|f| f.hash.is_some()).count()
    };
    assert_eq!(hashes(&lake), 1);
}

#[test]
fn a_checkpoint_keeps_the_hashes_of_files() {
    let (_folder, lake) = lake();
    for n in 0..20 {
        load(&lake, "l", day(1 + n % 3), &[&format!("s{n}")]);
    }
    let replayed = lake.snapshot(SESSIONS).unwrap();
    let commit = |version| lake.log(SESSIONS).commit_file(version);
    // What a query does not need is missed by what does.
    fs::remove_file(commit(5)).unwrap();
    assert_eq!(all(&Lake::open(lake.root()).unwrap()).len(), 20);
    let error = lake.history(SESSIONS).unwrap_err().lines();
    assert!(
        error.contains("05.json` is not there\n  hint: restore it from a backup: queries"),
        "{error}"
    );
    assert_eq!(lake.undo().unwrap_err().lines(), error);
    assert_eq!(lake.check(DEEP).unwrap().findings.len(), 1);
    for version in (0..20).filter(|version| *version != 5) {
        fs::remove_file(commit(version)).unwrap();
    }
    let read = Lake::open(lake.root()).unwrap().snapshot(SESSIONS).unwrap();
    assert_eq!(read.files, replayed.files);
    assert!(read.files.iter().all(|file| file.hash.is_some() && file.footer.is_some()));
}

#[test]
fn a_commit_is_put_in_place_whole_or_not_at_all() {
    let (_folder, lake) = lake();
    load(&lake, "a", day(1), &["a1"]);
    let log = table_folder(&lake).join("_delta_log");
    let before = fs::read(log.join("00000000000000000000.json")).unwrap();
    let conflicts = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for n in 0..4 {
            let (root, conflicts) = (lake.root(), &conflicts);
            scope.spawn(move || {
                let tries =
                    load(&Lake::open(root).unwrap(), &format!("w{n}"), day(1), &[&format!("w{n}")]);
                conflicts.fetch_add(tries - 1, Ordering::Relaxed);
            });
        }
    });
    assert_eq!(fs::read(log.join("00000000000000000000.json")).unwrap(), before);
    let names = fs::read_dir(&log).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(names.count(), 5, "something is left beside the commits");
    assert_eq!(all(&lake), ["a1", "w0", "w1", "w2", "w3"]);
}

proptest! {
    #[test]
    fn a_commit_that_was_changed_is_known_by_its_hash(
        version in 0..1_000_u64,
        words in prop::collection::vec("[a-z\"\\\\é]{0,12}", 0..6),
        place in any::<prop::sample::Index>(),
        bit in 0..8_u8,
    ) {
        let info = json!({"commitInfo": {"words": words, "commit_hash": unsealed(), "wabalake": "0.2.0"}});
        let commit = sealed(format!("{info}\n{{\"txn\":{{}}}}").into_bytes(), version);
        prop_assert_eq!(is_whole(&commit, version), Some(true));
        prop_assert_eq!(is_whole(&commit, version + 1), Some(false));
        prop_assert_eq!(sealed(commit.clone(), version), commit.clone());
        let mut changed = commit.clone();
        changed[place.index(commit.len())] ^= 1 << bit;
        prop_assert_eq!(is_whole(&changed, version), Some(false));
        prop_assert_ne!(is_whole(&commit[..place.index(commit.len())], version), Some(true));
    }
}
