//! Damaged files: which commands fail, and what they print.

use std::path::{Path, PathBuf};

use wabalake::lake::Lake;
use wabalake::load::{Options, load};

use crate::support::{Desk, files_below};

/// The first file below a folder whose name has this ending.
fn first(folder: &Path, end: &str) -> PathBuf {
    let mut files = files_below(folder).into_iter();
    files.find(|path| path.to_string_lossy().ends_with(end)).unwrap()
}

const READING: [&str; 3] = [
    "query drop-off --lake lake",
    "sql SELECT(session_id)FROM(sessions) --lake lake",
    "report --lake lake -o page.html",
];

const OF_LOGS: [&str; 6] = [
    "status --lake lake",
    "history sessions --lake lake",
    "coverage --lake lake",
    "explain drop-off --lake lake",
    "undo --lake lake",
    "load more.csv --lake lake --quiet",
];

fn desk() -> (Desk, PathBuf) {
    let desk = Desk::loaded();
    let more = "session_id,session_started_timestamp,session_finished_timestamp,session_type,session_status,\
                conversation_id,conversation_version,user_country_code,user_cellphone,last_node_id\n\
                s9,2025-06-01 02:00:00,,Inbound,BOT,417,2,57,3000000001,size\n";
    let lake = desk.write("more.csv", more).with_file_name("lake");
    (desk, lake)
}

/// Checks that each command reports the damaged file and nothing else.
fn check_damaged(desk: &Desk, lines: &[&str], file: &str) {
    for line in lines {
        let (said, code) = desk.failure(line);
        assert_eq!(code, 1, "{line}: {said}");
        let begins = format!("error: the lake is damaged: `{file}");
        assert!(said.starts_with(&begins), "{line}: {said}");
        assert!(said.contains("\n  hint: restore "), "{line}: {said}");
    }
}

#[test]
fn truncated_commit_is_reported_by_every_command() {
    let (desk, lake) = desk();
    assert_eq!(desk.stdout("check --lake lake --deep --format csv").lines().count(), 1);
    let commit = lake.join("tables/sessions/_delta_log/00000000000000000000.json");
    let text = std::fs::read(&commit).unwrap();
    std::fs::write(&commit, &text[..text.len() / 2]).unwrap();
    check_damaged(&desk, &READING, "tables/sessions/_delta_log/0");
    check_damaged(&desk, &OF_LOGS, "tables/sessions/_delta_log/0");
    check_damaged(&desk, &["check --lake lake"], "tables/sessions/_delta_log/0");
    // The hint works.
    std::fs::remove_file(&commit).unwrap();
    std::fs::remove_file(lake.join(".wabalake/newest/sessions")).unwrap();
    desk.run("load sessions.csv --lake lake --quiet");
    assert_eq!(desk.run("check --lake lake --deep").code, 0);
    assert_eq!(desk.stdout("sql SELECT(session_id)FROM(sessions) --lake lake").lines().count(), 4);
}

/// A checkpoint can be computed from the commits, so no command needs it.
#[test]
fn unreadable_checkpoint_stops_no_command() {
    let desk = Desk::new();
    let lake = Lake::create(desk.path("lake")).unwrap();
    for n in 0..20 {
        let row = format!("session_id,session_started_timestamp\ns{n},2025-06-01 10:00:00\n");
        let file = desk.write(&format!("{n}.csv"), &row);
        load(&lake, &[file], &Options::default()).unwrap();
    }
    desk.write("more.csv", "session_id,session_started_timestamp\nmore,2025-06-01 10:00:00\n");
    let checkpoint = first(&lake.root().join("tables/sessions"), ".checkpoint.parquet");
    let bytes = std::fs::read(&checkpoint).unwrap();
    for harmed in [&bytes[..bytes.len() / 2], &[][..]] {
        std::fs::write(&checkpoint, harmed).unwrap();
        for line in READING.into_iter().chain(OF_LOGS).chain([
            "vacuum --lake lake",
            "rejects --lake lake",
            "compact --lake lake",
            "nightly --lake lake",
            "load more.csv --lake lake --quiet --dry-run",
        ]) {
            let said = desk.run(line);
            assert_eq!(said.code, 0, "{line}: {}", said.err);
            // `history` reads commits only.
            let needed = !line.starts_with("history");
            let warned = said.err.matches("19.checkpoint.parquet` ").count();
            assert_eq!(warned, usize::from(needed), "{line}: {}", said.err);
            let begins = "warning: `tables/sessions/_delta_log/0";
            assert!(!needed || said.err.contains(begins), "{line}: {}", said.err);
        }
        assert!(checkpoint.exists());
        // The last load was undone, then its file was loaded.
        let rows = desk.run("sql SELECT(session_id)FROM(sessions) --lake lake").out;
        assert_eq!(rows.lines().count(), 21, "{rows}");
        assert_eq!(desk.run("undo --lake lake").code, 0);
        let last = desk.path("19.csv");
        load(&Lake::open(lake.root()).unwrap(), &[last], &Options::default()).unwrap();
    }
    // `check` reports it as a finding.
    let found = desk.run("check --lake lake -f csv").out;
    assert!(found.contains("19.checkpoint.parquet"), "{found}");
}

#[test]
fn damaged_data_file_is_reported_by_commands_that_read_it() {
    let (desk, lake) = desk();
    let file = first(&lake.join("tables/sessions/utc_day=2025-06-01"), ".parquet");
    let bytes = std::fs::read(&file).unwrap();
    let reading = [READING[0], READING[1], READING[2], OF_LOGS[5]];
    let flipped = |places: std::ops::Range<usize>| {
        let mut bytes = bytes.clone();
        bytes[places].iter_mut().for_each(|byte| *byte ^= 0x55);
        bytes
    };
    let (written, end) = (std::fs::metadata(&file).unwrap().modified().unwrap(), bytes.len());
    for harmed in [
        bytes[..60].to_vec(),
        flipped(4..end / 2),
        flipped(end / 2..end - 8),
        flipped(end - 8..end),
    ] {
        std::fs::write(&file, harmed).unwrap();
        // With the old modification time, as after silent corruption.
        std::fs::File::options().write(true).open(&file).unwrap().set_modified(written).unwrap();
        check_damaged(&desk, &reading, "tables/sessions/utc_day=2025-06-01/");
        check_damaged(
            &desk,
            &["check --lake lake --deep --quiet"],
            "tables/sessions/utc_day=2025-06-01/",
        );
        let listed = desk.run("check --lake lake --deep --quiet -f json");
        assert!(listed.code == 1 && listed.out.contains("sessions.csv"), "{}", listed.out);
        // The files of the other day are intact.
        desk.stdout("query drop-off --from 2025-06-02 --lake lake");
    }
    assert_eq!(desk.run("undo --lake lake").code, 0);
    desk.run("load sessions.csv --lake lake --quiet");
    assert_eq!(desk.stdout(READING[1]).lines().count(), 4);
}
