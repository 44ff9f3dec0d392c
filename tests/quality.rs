//! What `data-quality` says of loads, and how it fails.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;
use wabalake::lake::Lake;
use wabalake::load::{Options, load};

const HEADER: &str = "session_id,session_started_timestamp,session_finished_timestamp,session_type";

fn add(folder: &Path, name: &str, rows: &[&str]) {
    let path = folder.join(name);
    std::fs::write(&path, format!("{HEADER}\n{}\n", rows.join("\n"))).unwrap();
    let lake = Lake::create(folder.join("lake")).unwrap();
    load(&lake, &[path], &Options::default()).unwrap();
}

/// What is printed and said, and the exit code.
fn asked(folder: &Path, options: &str) -> (String, String, i32) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wabalake"));
    command.current_dir(folder).args(["query", "data-quality", "--lake", "lake", "-f", "csv"]);
    command.args(options.split_whitespace());
    command.env_remove("WABALAKE_LAKE").env_remove("WABALAKE_TIMEZONE");
    let output = command.output().unwrap();
    let [printed, said] =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    (printed, said, output.status.code().unwrap())
}

fn row(folder: &Path, check: &str) -> String {
    let (csv, said, code) = asked(folder, "");
    assert_eq!(code, 0, "{said}");
    csv.lines().find(|line| line.starts_with(&format!("{check},sessions,"))).unwrap().to_owned()
}

#[test]
fn loads_count_while_they_are_in_the_lake_and_each_file_once() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    let rows = ["s1,2025-06-01 10:00:00,1970-01-01 00:00:00,Inbound", "s2,,,Inbound"];
    add(folder, "one.csv", &rows);
    add(folder, "again.csv", &rows);
    assert_eq!(row(folder, "rejected-row"), "rejected-row,sessions,2,1,50.0,");
    assert_eq!(row(folder, "sentinel-stamp"), "sentinel-stamp,sessions,2,1,50.0,");
    add(folder, "two.csv", &["s3,2025-06-01 10:00:00,,Aired", "s4,2025-06-01 10:00:00,,Aired"]);
    assert_eq!(row(folder, "rejected-row"), "rejected-row,sessions,4,1,25.0,");
    let lake = Lake::open(folder.join("lake")).unwrap();
    lake.undo().unwrap();
    assert_eq!(row(folder, "rejected-row"), "rejected-row,sessions,2,1,50.0,");
    add(folder, "two.csv", &["s3,2025-06-01 10:00:00,,Aired", "s4,2025-06-01 10:00:00,,Aired"]);
    assert_eq!(row(folder, "rejected-row"), "rejected-row,sessions,4,1,25.0,");
}

#[test]
fn it_fails_on_what_it_was_told_to_and_answers_all_the_same() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    add(folder, "one.csv", &["s1,2025-06-01 10:00:00,,Aired", "s2,2025-06-01 10:00:00,,Aired"]);
    let (whole, _, _) = asked(folder, "");
    assert_eq!(
        asked(folder, "--fail-on parent-cycle,rejected-row"),
        (whole.clone(), String::new(), 0)
    );
    let (csv, said, code) = asked(folder, "--fail-on parent-cycle,unknown-session-type");
    assert_eq!((csv, code), (whole.clone(), 1));
    assert!(said.starts_with("error: "), "{said}");
    assert!(said.contains("unknown-session-type (2 of sessions)"), "{said}");
    assert!(!said.contains("parent-cycle"), "{said}");
    // What fails need not be among the rows that are shown.
    let (csv, _, code) = asked(folder, "--limit 1 --fail-on unknown-session-type");
    assert_eq!((csv.lines().count(), code), (2, 1));
    // Nothing of that day fails.
    let (_, _, code) = asked(folder, "--from 2025-06-02 --fail-on unknown-session-type");
    assert_eq!(code, 0);
    let (csv, said, code) = asked(folder, "--fail-on unknown-session-typ");
    assert_eq!((csv.as_str(), code), ("", 2));
    assert!(said.contains("unknown-session-type"), "{said}");
}
