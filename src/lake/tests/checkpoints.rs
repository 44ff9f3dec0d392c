//! Damaged and missing checkpoints.

use std::sync::Mutex;

use super::damage::{DEEP, flip};
use super::*;

static WARNINGS: Mutex<Vec<String>> = Mutex::new(Vec::new());

#[test]
fn damaged_checkpoint_is_skipped_if_commits_exist() {
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
            .with_warnings(|what| WARNINGS.lock().unwrap().push(what.to_owned()))
    };
    let warnings = || std::mem::take(&mut *WARNINGS.lock().unwrap());
    assert_eq!(all(&again()), expected);
    assert_eq!(warnings(), [""; 0]);
    let bytes = fs::read(&checkpoint).unwrap();
    flip(&checkpoint, bytes.len() / 2, 3);
    assert_eq!(all(&again()), expected);
    let said = warnings();
    assert!(
        said.len() == 1
            && said[0].contains("19.checkpoint.parquet` was altered after it was written"),
        "{said:?}"
    );

    // The next checkpoint is written from the commits.
    for n in 22..40 {
        load(&lake, &format!("l{n}"), day(1 + n % 3), &[&format!("s{n}")]);
    }
    assert!(!checkpoint.exists() && log.join("00000000000000000039.checkpoint.parquet").exists());
    let expected = all(&lake);
    assert_eq!(lake.check(DEEP).unwrap().findings, []);
    assert_eq!((all(&again()), warnings()), (expected.clone(), Vec::new()));

    // Without the commits, only the checkpoint has the state.
    for version in 0..39 {
        fs::remove_file(log.join(format!("{version:020}.json"))).unwrap();
    }
    assert_eq!((all(&again()), warnings()), (expected, Vec::new()));
    let checkpoint = log.join("00000000000000000039.checkpoint.parquet");
    flip(&checkpoint, bytes.len() / 2, 3);
    let error = again().snapshot(SESSIONS).unwrap_err().lines();
    assert!(error.contains("39.checkpoint.parquet` was altered after it was written"), "{error}");
}

/// With properties of another program, `deltalake` reads the log too during a commit.
#[test]
fn damaged_checkpoint_does_not_block_commits_to_a_foreign_table() {
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
fn incomplete_checkpoint_is_a_warning() {
    let (_folder, lake) = lake();
    load(&lake, "a", day(1), &["a1"]);
    load(&lake, "b", day(2), &["b1"]);
    let log = table_folder(&lake).join("_delta_log");
    let part = format!("{:020}.checkpoint.{:010}.{:010}.parquet", 1, 1, 2);
    fs::write(log.join(part), "PAR1").unwrap();
    let again = Lake::open(lake.root())
        .unwrap()
        .with_warnings(|what| PARTS.lock().unwrap().push(what.to_owned()));
    assert_eq!(all(&again), ["a1", "b1"]);
    let said = PARTS.lock().unwrap().join("\n");
    assert!(said.contains("is one of 2 parts, of which 1 exist, and is skipped"), "{said}");
}

#[test]
fn checkpoint_keeps_the_hashes_of_files() {
    let (_folder, lake) = lake();
    for n in 0..20 {
        load(&lake, "l", day(1 + n % 3), &[&format!("s{n}")]);
    }
    let replayed = lake.snapshot(SESSIONS).unwrap();
    let commit = |version| commit_file(&lake, version);
    // Queries do not need an old commit, `history` does.
    fs::remove_file(commit(5)).unwrap();
    assert_eq!(all(&Lake::open(lake.root()).unwrap()).len(), 20);
    let error = lake.history(SESSIONS).unwrap_err().lines();
    assert!(
        error.contains("05.json` is missing\n  hint: restore it from a backup: queries"),
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
