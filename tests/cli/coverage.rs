//! What `coverage` says, worked out by hand over a few rows.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;
use wabalake::lake::Lake;
use wabalake::load::{Options, load};
use wabalake_data::TABLES;

const SESSIONS: &str = "session_id,session_started_timestamp\n";

/// A lake with three sessions and a message; none of anything else.
fn loaded() -> TempDir {
    let folder = TempDir::new().unwrap();
    add(
        folder.path(),
        "sessions.csv",
        &format!(
            "{SESSIONS}s1,2025-06-01 02:00:00\ns2,2025-06-01 12:00:00\ns3,2025-06-04 12:00:00\n"
        ),
    );
    let message = "whatsapp_id,created_at,message_direction,to\nm1,2025-06-30T23:30:00Z,false,57";
    add(folder.path(), "messages.csv", message);
    folder
}

fn add(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    load(&lake(folder), &[path], &Options::default()).unwrap();
}

fn lake(folder: &Path) -> Lake {
    Lake::create(folder.join("lake")).unwrap()
}

/// The lines of the answer as CSV, without the header.
fn coverage(folder: &Path, zone: &str, since: &str, today: &str) -> Vec<String> {
    let asked = format!("--timezone {zone} --since {since} --today {today}");
    let (csv, code) = run(folder, &format!("coverage --lake lake -f csv {asked}"));
    assert_eq!(code, 0, "{csv}");
    csv.lines().skip(1).map(str::to_owned).collect()
}

/// One table's row without the time of its load.
fn told(rows: &[String], table: &str) -> String {
    let mut rows = rows.iter().map(|row| row.split(',').collect::<Vec<_>>());
    let row = rows.find(|row| row[0] == table).unwrap();
    let cells = row.iter().enumerate().filter(|(place, _)| ![0, 6].contains(place));
    let cells = cells.map(|(_, cell)| if cell.is_empty() { "-" } else { cell });
    cells.collect::<Vec<_>>().join(" ")
}

#[test]
fn days_gaps_and_the_next_window() {
    let folder = loaded();
    let rows = coverage(folder.path(), "UTC", "2025-05-30", "2025-06-06");
    // Without rows: 30 and 31 May, 2, 3 and 5 June.
    assert_eq!(told(&rows, "sessions"), "2025-06-01 2025-06-04 2 2 3 2025-05-30 2025-06-05 1");
    assert_eq!(told(&rows, "messages"), "2025-06-30 2025-06-30 1 0 1 - - -");
    // Empty: every day from 30 May to 5 June.
    assert_eq!(told(&rows, "deployments"), "- - 0 0 0 2025-05-30 2025-06-05 1");

    let rows = coverage(folder.path(), "UTC", "2025-06-04", "2025-06-05");
    assert_eq!(told(&rows, "sessions"), "2025-06-01 2025-06-04 2 2 3 - - 0");
    // 4 June to 2 August is 60 days: from + 29 is 3 July, and one window more.
    let rows = coverage(folder.path(), "UTC", "2025-06-04", "2025-08-03");
    assert_eq!(told(&rows, "deployments"), "- - 0 0 0 2025-06-04 2025-07-03 2");
    // 5 June is the first without a session; from + 29 is 4 July, then 5 July to 2 August.
    assert_eq!(told(&rows, "sessions"), "2025-06-01 2025-06-04 2 2 3 2025-06-05 2025-07-04 2");
}

#[test]
fn days_are_those_of_the_reporting_zone() {
    let folder = loaded();
    // 02:00 UTC on 1 June is 21:00 on 31 May in Bogota; 23:30 on 30 June is 05:15 on 1 July in
    // Kathmandu.
    let rows = coverage(folder.path(), "America/Bogota", "2025-05-31", "2025-06-05");
    assert_eq!(told(&rows, "sessions"), "2025-05-31 2025-06-04 3 2 3 2025-06-02 2025-06-03 1");
    assert_eq!(told(&rows, "messages"), "2025-06-30 2025-06-30 1 0 1 - - -");
    let rows = coverage(folder.path(), "Asia/Kathmandu", "2025-06-01", "2025-06-02");
    assert_eq!(told(&rows, "messages"), "2025-07-01 2025-07-01 1 0 1 - - -");
    // In a zone with UTC's clock the days come from the rows, in UTC from the files' places.
    let of = |zone| {
        let rows = coverage(folder.path(), zone, "2025-04-15", "2025-09-01");
        rows.iter()
            .map(|row| row.split(',').next().map(|table| told(&rows, table)))
            .collect::<Vec<_>>()
    };
    for same in ["Africa/Abidjan", "Atlantic/Reykjavik"] {
        assert_eq!(of("UTC"), of(same));
    }
}

#[test]
fn every_table_has_a_row_in_an_empty_lake_too() {
    let folder = TempDir::new().unwrap();
    lake(folder.path());
    let rows = coverage(folder.path(), "UTC", "2025-04-15", "2025-04-16");
    let mut names: Vec<&str> = TABLES.iter().map(|table| table.name).collect();
    names.sort_unstable();
    let tables = rows.iter().map(|row| row.split(',').next().unwrap());
    assert_eq!(tables.collect::<Vec<_>>(), names);
    for table in names {
        let missing = if ["rates", "audience_tags"].contains(&table) { "-" } else { "0" };
        let window = match table {
            "sessions" | "deployments" => "2025-04-15 2025-04-15 1",
            _ => "- - -",
        };
        assert_eq!(told(&rows, table), format!("- - 0 {missing} 0 {window}"));
        let loaded = rows.iter().find(|row| row.starts_with(&format!("{table},"))).unwrap();
        assert_eq!(loaded.split(',').nth(6), Some(""));
    }
}

#[test]
fn the_last_load_is_the_last_that_was_not_taken_back() {
    let folder = loaded();
    let last_loaded = || {
        let rows = coverage(folder.path(), "UTC", "2025-04-15", "2025-04-16");
        let row = rows.iter().find(|row| row.starts_with("sessions,")).unwrap();
        row.split(',').nth(6).unwrap().to_owned()
    };
    let first = last_loaded();
    add(folder.path(), "more.csv", &format!("{SESSIONS}s4,2025-06-02 12:00:00\n"));
    let second = last_loaded();
    assert!(first < second, "{first} {second}");
    lake(folder.path()).undo().unwrap();
    assert_eq!(last_loaded(), first);
}

fn run(folder: &Path, line: &str) -> (String, i32) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wabalake"));
    command.current_dir(folder).args(line.split_whitespace());
    command.env_remove("WABALAKE_LAKE").env_remove("WABALAKE_TIMEZONE");
    let output = command.output().unwrap();
    let said = if output.status.success() { output.stdout } else { output.stderr };
    (String::from_utf8(said).unwrap(), output.status.code().unwrap())
}

#[test]
fn it_is_a_command_and_a_query_and_comes_in_every_format() {
    let folder = loaded();
    let how = "--lake lake --since 2025-05-30 --today 2025-06-06";
    let (csv, code) = run(folder.path(), &format!("coverage {how}"));
    assert_eq!(code, 0);
    assert_eq!(
        csv.lines().next(),
        Some(
            "table,first_day,last_day,days,missing_days,rows,last_loaded_at,next_from,next_to,\
             windows_left"
        )
    );
    assert_eq!(csv.lines().count(), TABLES.len() + 1);
    let deployments = "deployments,,,0,0,0,,2025-05-30,2025-06-05,1";
    assert!(csv.lines().any(|line| line == deployments), "{csv}");
    assert_eq!(run(folder.path(), &format!("query coverage {how}")), (csv, 0));

    let (json, _) = run(folder.path(), &format!("coverage {how} -f json"));
    let rows: serde_json::Value = serde_json::from_str(&json).unwrap();
    let sessions = rows.as_array().unwrap().iter().find(|row| row["table"] == "sessions").unwrap();
    assert_eq!(sessions["missing_days"], 2);
    assert_eq!(sessions["next_to"], "2025-06-05");
    assert!(sessions["last_loaded_at"].as_str().unwrap().ends_with('Z'), "{sessions}");
    let (table, _) = run(folder.path(), &format!("coverage {how} -f table"));
    assert!(table.contains("windows_left"), "{table}");

    // Without --today it is today; the lake has nothing of the last days.
    let (csv, _) = run(folder.path(), "coverage --lake lake");
    let sessions = csv.lines().find(|line| line.starts_with("sessions,")).unwrap();
    assert!(sessions.contains(",2025-04-15,2025-05-14,"), "{sessions}");

    let (said, code) = run(folder.path(), "coverage --lake lake --since 2025-6-1");
    assert_eq!(code, 2);
    assert!(said.contains("did you mean `2025-06-01`?"), "{said}");
}
