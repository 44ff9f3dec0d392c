//! Damages small lakes in every way.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};
use wabalake_queries::query::OutputColumn;

use super::*;
use crate::lake::check::Options;
use crate::lake::damage::{hash_placeholder, matches_hash, with_hash};
use crate::lake::runs::{Run, RunOutcome};

pub(super) const DEEP: Options<'_> = Options { deep: true, progress: None };

/// All files of a lake that are not empty.
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

/// A lake with old versions, a checkpoint, runs and a mart.
fn old_lake() -> (TempDir, Lake) {
    let (folder, lake) = lake();
    for n in 0..23 {
        load(&lake, &format!("l{n}"), day(1 + n % 3), &[&format!("s{n}")]);
    }
    lake.undo().unwrap();
    lake.log_run(&Run::new("nightly", RunOutcome::Done, Utc::now())).unwrap();
    let mart = Layout::of_mart("days", &[OutputColumn::text("a")]);
    let snapshot = lake.snapshot(&mart).unwrap();
    let staging = lake.staging(&mart).unwrap();
    let rows = DataFrame::new(2, vec![Column::new("a".into(), ["x", "y"])]).unwrap();
    let change =
        Change { add: vec![staging.write(day(1), rows).unwrap()], ..Change::new(Operation::Mart) };
    assert_eq!(lake.commit(&snapshot, change).unwrap(), Commit::Done(0));
    (folder, lake)
}

pub(super) fn flip(file: &Path, place: usize, bit: u8) {
    let mut bytes = fs::read(file).unwrap();
    let place = place % bytes.len();
    bytes[place] ^= 1 << bit;
    fs::write(file, bytes).unwrap();
}

#[test]
fn every_flipped_bit_is_found_in_its_file() {
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

/// The sessions of a lake, or the error that a user sees.
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

/// Changes the actions of a commit as another program might, and updates its hash.
fn rewrite(file: &Path, version: u64, change: impl Fn(&mut Vec<Value>)) {
    let text = fs::read_to_string(file).unwrap();
    let mut lines: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    change(&mut lines);
    if let Some(info) = lines[0]["commitInfo"].as_object_mut() {
        info.insert("commit_hash".to_owned(), json!(hash_placeholder()));
    }
    let text: Vec<String> = lines.iter().map(Value::to_string).collect();
    fs::write(file, with_hash(text.join("\n").into_bytes(), version)).unwrap();
}

/// A damage to a table's folder: the error text, the file, and the function that does it.
type Harm<'a> = (&'static str, String, Box<dyn Fn(&Path) + 'a>);

/// The path of a commit below the table's folder.
fn log(version: u64) -> String {
    format!("_delta_log/{version:020}.json")
}

fn harms_of_the_log() -> Vec<Harm<'static>> {
    vec![
        ("is empty", log(2), Box::new(|table| fs::write(table.join(log(2)), "").unwrap())),
        (
            "is truncated",
            log(2),
            Box::new(|table| {
                let bytes = fs::read(table.join(log(2))).unwrap();
                fs::write(table.join(log(2)), &bytes[..bytes.len() - 9]).unwrap();
            }),
        ),
        (
            "was altered after it was written",
            log(2),
            Box::new(|table| {
                let text = fs::read_to_string(table.join(log(2))).unwrap();
                let half: Vec<&str> = text.lines().take(2).collect();
                fs::write(table.join(log(2)), half.join("\n")).unwrap();
            }),
        ),
        (
            "was altered after it was written",
            log(2),
            Box::new(|table| {
                fs::copy(table.join(log(1)), table.join(log(2))).unwrap();
            }),
        ),
        ("is missing", log(1), Box::new(|table| fs::remove_file(table.join(log(1))).unwrap())),
        (
            "removes `utc_day=2025-06-01/gone.parquet`, which does not exist",
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
            "which already exists",
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
            "is missing",
            "_delta_log".to_owned(),
            Box::new(|table| {
                fs::remove_dir_all(table.join("_delta_log")).unwrap();
            }),
        ),
        (
            "is missing",
            "_delta_log".to_owned(),
            Box::new(|table| {
                fs::remove_dir_all(table).unwrap();
            }),
        ),
        (
            "is missing",
            "_delta_log".to_owned(),
            Box::new(|table| {
                // A lake of 0.1.0 has no such files.
                fs::remove_dir_all(table.join("_delta_log")).unwrap();
                fs::remove_dir_all(table.join("../../.wabalake/newest")).unwrap();
            }),
        ),
    ]
}

/// Damages to a data file; `second` is another one.
fn harms_of_rows<'a>(first: &'a str, second: &'a str) -> Vec<Harm<'a>> {
    vec![
        (
            "is missing",
            first.to_owned(),
            Box::new(move |table| fs::remove_file(table.join(first)).unwrap()),
        ),
        (
            "differs in size from the log",
            first.to_owned(),
            Box::new(move |table| {
                let bytes = fs::read(table.join(first)).unwrap();
                fs::write(table.join(first), [&bytes[..], b"x"].concat()).unwrap();
            }),
        ),
        (
            "differs in size from the log",
            first.to_owned(),
            Box::new(move |table| {
                fs::copy(table.join(second), table.join(first)).unwrap();
            }),
        ),
        (
            "was replaced by another file",
            first.to_owned(),
            Box::new(move |table| {
                // The same size, another footer.
                let mut bytes = fs::read(table.join(first)).unwrap();
                let end = bytes.len() - 100;
                bytes[end] ^= 1;
                fs::write(table.join(first), bytes).unwrap();
                make_older(&table.join(first), 1);
            }),
        ),
        (
            "was altered after it was written",
            first.to_owned(),
            Box::new(move |table| {
                // A page that cannot be decoded, in a file with an unchanged modification time.
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
fn damage_errors_name_the_file_and_a_repair() {
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
fn hint_names_the_number_of_undos() {
    let (_folder, lake) = lake();
    for (n, date) in [1, 2, 3, 2].into_iter().enumerate() {
        load(&lake, &format!("load-{n}"), day(date), &[&format!("s{n}")]);
    }
    let snapshot = lake.snapshot(SESSIONS).unwrap();
    let place = |date| snapshot.place(snapshot.files_of(day(date)).next().unwrap());
    for (date, times) in [(2, "`wabalake undo` removes"), (3, "`wabalake undo`, 2 times, removes")]
    {
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
    // Without the replaced files, an undo is not suggested.
    fs::remove_file(place(1)).unwrap();
    let found = lake.check(Options::default()).unwrap().findings;
    assert!(found[0].hint.contains("`wabalake undo`, 2 times"), "{found:?}");
    load(&lake, "load-4", day(3), &["s4"]);
    append(&lake, day(1), &["other"]);
    let found = lake.check(Options::default()).unwrap().findings;
    assert!(found[0].hint.contains("wabalake undo"), "{found:?}");
}

#[test]
fn lake_without_hashes_is_read_and_checked() {
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
    // New commits have hashes.
    load(&lake, "new", day(2), &["new"]);
    let hashes = |lake: &Lake| {
        lake.snapshot(SESSIONS).unwrap().files.iter().filter(|f| f.hash.is_some()).count()
    };
    assert_eq!(hashes(&lake), 1);
}

#[test]
fn commits_are_atomic() {
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
    fn altered_commit_does_not_match_its_hash(
        version in 0..1_000_u64,
        words in prop::collection::vec("[a-z\"\\\\é]{0,12}", 0..6),
        place in any::<prop::sample::Index>(),
        bit in 0..8_u8,
    ) {
        let info = json!({"commitInfo": {"words": words, "commit_hash": hash_placeholder(), "wabalake": "0.2.0"}});
        let commit = with_hash(format!("{info}\n{{\"txn\":{{}}}}").into_bytes(), version);
        prop_assert_eq!(matches_hash(&commit, version), Some(true));
        prop_assert_eq!(matches_hash(&commit, version + 1), Some(false));
        prop_assert_eq!(with_hash(commit.clone(), version), commit.clone());
        let mut changed = commit.clone();
        changed[place.index(commit.len())] ^= 1 << bit;
        prop_assert_eq!(matches_hash(&changed, version), Some(false));
        prop_assert_ne!(matches_hash(&commit[..place.index(commit.len())], version), Some(true));
    }
}
