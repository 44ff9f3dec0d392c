//! `data-quality`: counts of rejected rows, and `--fail-on`.

use std::path::{Path, PathBuf};

use deltalake::checkpoints::create_checkpoint_from_table_url_and_cleanup;
use url::Url;

use crate::support::Bench;

const HEADER: &str = "session_id,session_started_timestamp,session_finished_timestamp,session_type";

fn add(bench: &Bench, name: &str, rows: &[&str]) {
    bench.load(name, format!("{HEADER}\n{}\n", rows.join("\n")));
}

/// Standard output, standard error and exit code of `data-quality`.
fn data_quality(bench: &Bench, options: &str) -> (String, String, i32) {
    said(bench, &format!("query data-quality {options}"))
}

fn said(bench: &Bench, line: &str) -> (String, String, i32) {
    let said = bench.run(&format!("{line} --lake lake -f csv"));
    (said.out, said.err, said.code)
}

fn row(bench: &Bench, check: &str) -> String {
    let (csv, said, code) = data_quality(bench, "");
    assert_eq!(code, 0, "{said}");
    csv.lines().find(|line| line.starts_with(&format!("{check},sessions,"))).unwrap().to_owned()
}

#[test]
fn rejected_rows_count_once_per_file_until_undone() {
    let bench = Bench::new();
    let rows = ["s1,2025-06-01 10:00:00,1970-01-01 00:00:00,Inbound", "s2,,,Inbound"];
    add(&bench, "one.csv", &rows);
    add(&bench, "again.csv", &rows);
    assert_eq!(row(&bench, "rejected-row"), "rejected-row,sessions,2,1,50.0,");
    assert_eq!(row(&bench, "sentinel-stamp"), "sentinel-stamp,sessions,2,1,50.0,");
    add(&bench, "two.csv", &["s3,2025-06-01 10:00:00,,Aired", "s4,2025-06-01 10:00:00,,Aired"]);
    assert_eq!(row(&bench, "rejected-row"), "rejected-row,sessions,4,1,25.0,");
    bench.lake().undo().unwrap();
    assert_eq!(row(&bench, "rejected-row"), "rejected-row,sessions,2,1,50.0,");
    add(&bench, "two.csv", &["s3,2025-06-01 10:00:00,,Aired", "s4,2025-06-01 10:00:00,,Aired"]);
    assert_eq!(row(&bench, "rejected-row"), "rejected-row,sessions,4,1,25.0,");
}

#[test]
fn fail_on_exits_with_1_and_still_answers() {
    let bench = Bench::new();
    add(&bench, "one.csv", &["s1,2025-06-01 10:00:00,,Aired", "s2,2025-06-01 10:00:00,,Aired"]);
    let (whole, _, _) = data_quality(&bench, "");
    assert_eq!(
        data_quality(&bench, "--fail-on parent-cycle,rejected-row"),
        (whole.clone(), String::new(), 0)
    );
    let (csv, said, code) = data_quality(&bench, "--fail-on parent-cycle,unknown-session-type");
    assert_eq!((csv, code), (whole.clone(), 1));
    assert!(said.starts_with("error: "), "{said}");
    assert!(said.contains("unknown-session-type (2 of sessions)"), "{said}");
    assert!(!said.contains("parent-cycle"), "{said}");
    // A failed check need not be among the rows shown.
    let (csv, _, code) = data_quality(&bench, "--limit 1 --fail-on unknown-session-type");
    assert_eq!((csv.lines().count(), code), (2, 1));
    // That day has no failing row.
    let (_, _, code) = data_quality(&bench, "--from 2025-06-02 --fail-on unknown-session-type");
    assert_eq!(code, 0);
    let (csv, said, code) = data_quality(&bench, "--fail-on unknown-session-typ");
    assert_eq!((csv.as_str(), code), ("", 2));
    assert!(said.contains("unknown-session-type"), "{said}");
}

/// The log folder of each table of a lake.
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

/// Replaces old commits by a checkpoint, as other Delta writers do.
fn clean_up_logs(lake: &Path) {
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

/// Lines of a commit without its hash, as older versions wrote it.
fn without_hash(lines: &[&str]) -> String {
    lines.join("\n").replace("\"commit_hash\":\"xxh3-128:", "\"none\":\"")
}

#[test]
fn reject_counts_survive_log_cleanup() {
    let bench = Bench::new();
    add(&bench, "one.csv", &["s1,2025-06-01 10:00:00,1970-01-01 00:00:00,Inbound", "s2,,,Inbound"]);
    add(
        &bench,
        "two.csv",
        &["s3,soon,,Inbound", "s2,later,,Inbound", "s7,2025-06-02 10:00:00,,Inbound"],
    );
    add(&bench, "three.csv", &["s4,2025-06-02 10:00:00,,Inbound", "s5,then,,Inbound"]);
    let lake = bench.path("lake");
    let reported = || {
        let opened = bench.lake();
        let status = opened.status().unwrap();
        let figures = (opened.loads().unwrap(), status.last_load, status.open_rejects);
        (
            figures,
            data_quality(&bench, ""),
            said(&bench, "query coverage --today 2025-07-01 --now 2025-07-01T00:00:00Z"),
            said(&bench, "rejects"),
        )
    };
    let before = reported();
    assert_eq!(row(&bench, "rejected-row"), "rejected-row,sessions,7,4,57.142857142857146,");

    // A lake without stored counts, as older versions wrote it, answers the same.
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
    assert_eq!(reported(), before);
    for (commit, text) in &texts {
        std::fs::write(commit, text).unwrap();
    }

    clean_up_logs(&lake);
    assert_eq!(reported(), before);
    // Further loads and undo still work.
    add(&bench, "four.csv", &["s6,never,,Inbound", "s8,2025-06-03 10:00:00,,Inbound"]);
    assert_eq!(row(&bench, "rejected-row"), "rejected-row,sessions,9,5,55.55555555555556,");
    bench.lake().undo().unwrap();
    assert_eq!(reported().1, before.1);
}

#[test]
fn lake_without_stored_counts_still_reports_rejects() {
    let bench = Bench::new();
    add(&bench, "one.csv", &["s1,2025-06-01 10:00:00,,Inbound", "s2,,,Inbound"]);
    let lake = bench.path("lake");
    let commit = &commits(&lake.join("tables/sessions/_delta_log"))[0];
    let text = std::fs::read_to_string(commit).unwrap();
    let lines: Vec<&str> = text.lines().filter(|line| !line.contains("\"loads/")).collect();
    std::fs::write(commit, without_hash(&lines)).unwrap();
    clean_up_logs(&lake);
    assert_eq!(row(&bench, "rejected-row"), "rejected-row,sessions,1,1,100.0,");
}
