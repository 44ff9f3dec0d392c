//! What `data-quality` says of loads, and how it fails.

use std::path::{Path, PathBuf};
use std::process::Command;

use deltalake::checkpoints::create_checkpoint_from_table_url_and_cleanup;
use tempfile::TempDir;
use url::Url;
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
    said(folder, &format!("query data-quality {options}"))
}

fn said(folder: &Path, line: &str) -> (String, String, i32) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wabalake"));
    command.current_dir(folder).args(line.split_whitespace());
    command.args(["--lake", "lake", "-f", "csv"]);
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

/// The log folders of a lake's tables.
fn logs(lake: &Path) -> Vec<PathBuf> {
    let tables = std::fs::read_dir(lake.join("tables")).unwrap();
    tables.map(|table| table.unwrap().path().join("_delta_log")).collect()
}

/// The commits of a log, oldest first.
fn commits(log: &Path) -> Vec<PathBuf> {
    let files = std::fs::read_dir(log).unwrap().map(|file| file.unwrap().path());
    let mut commits: Vec<_> = files.filter(|file| file.extension().unwrap() == "json").collect();
    commits.sort();
    commits
}

/// Does what other programs do with old commits: what they say is put together, and they go.
fn clean_up(lake: &Path) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    for log in logs(lake) {
        let commits = commits(&log);
        let table = Url::from_directory_path(log.parent().unwrap()).unwrap();
        let version = commits.len() as u64 - 1;
        let checkpoint =
            create_checkpoint_from_table_url_and_cleanup(table, version, Some(false), None);
        runtime.block_on(checkpoint).unwrap();
        for commit in commits {
            std::fs::remove_file(commit).unwrap();
        }
    }
}

/// Lines of a commit as versions wrote them that did not hash it.
fn without_hash(lines: &[&str]) -> String {
    lines.join("\n").replace("\"commit_hash\":\"xxh3-128:", "\"none\":\"")
}

#[test]
fn figures_of_rejects_outlive_the_commits_of_their_loads() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    add(folder, "one.csv", &["s1,2025-06-01 10:00:00,1970-01-01 00:00:00,Inbound", "s2,,,Inbound"]);
    add(
        folder,
        "two.csv",
        &["s3,soon,,Inbound", "s2,later,,Inbound", "s7,2025-06-02 10:00:00,,Inbound"],
    );
    add(folder, "three.csv", &["s4,2025-06-02 10:00:00,,Inbound", "s5,then,,Inbound"]);
    let lake = folder.join("lake");
    let told = || {
        let opened = Lake::open(&lake).unwrap();
        let status = opened.status().unwrap();
        let figures = (opened.loads().unwrap(), status.last_load, status.open_rejects);
        (
            figures,
            asked(folder, ""),
            said(folder, "query coverage --today 2025-07-01"),
            said(folder, "rejects"),
        )
    };
    let before = told();
    assert_eq!(row(folder, "rejected-row"), "rejected-row,sessions,7,4,57.142857142857146,");

    // A lake of before figures were held beside the files tells the same.
    let table = lake.join("tables/sessions/_delta_log");
    let texts: Vec<(PathBuf, String)> = commits(&table)
        .into_iter()
        .map(|commit| (commit.clone(), std::fs::read_to_string(commit).unwrap()))
        .collect();
    for (commit, text) in &texts {
        let lines: Vec<&str> = text.lines().filter(|line| !line.contains("\"loads/")).collect();
        assert_eq!(lines.len() + 1, text.lines().count());
        std::fs::write(commit, without_hash(&lines)).unwrap();
    }
    assert_eq!(told(), before);
    for (commit, text) in &texts {
        std::fs::write(commit, text).unwrap();
    }

    clean_up(&lake);
    assert_eq!(told(), before);
    // Loads go on, and can be taken back.
    add(folder, "four.csv", &["s6,never,,Inbound", "s8,2025-06-03 10:00:00,,Inbound"]);
    assert_eq!(row(folder, "rejected-row"), "rejected-row,sessions,9,5,55.55555555555556,");
    Lake::open(&lake).unwrap().undo().unwrap();
    assert_eq!(told().1, before.1);
}

#[test]
fn a_lake_that_held_no_figures_still_tells_what_was_rejected() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    add(folder, "one.csv", &["s1,2025-06-01 10:00:00,,Inbound", "s2,,,Inbound"]);
    let lake = folder.join("lake");
    let commit = &commits(&lake.join("tables/sessions/_delta_log"))[0];
    let text = std::fs::read_to_string(commit).unwrap();
    let lines: Vec<&str> = text.lines().filter(|line| !line.contains("\"loads/")).collect();
    std::fs::write(commit, without_hash(&lines)).unwrap();
    clean_up(&lake);
    assert_eq!(row(folder, "rejected-row"), "rejected-row,sessions,1,1,100.0,");
}
