//! `coverage`: days, gaps and download windows, computed by hand over a few rows.

use wabalake_data::tables::markets;
use wabalake_data::{TABLES, Table};

use crate::support::Bench;

const SESSIONS: &str = "session_id,session_started_timestamp\n";

/// The tables that have a row: markets have no days to be covered.
fn covered() -> impl Iterator<Item = &'static Table> {
    TABLES.iter().copied().filter(|table| **table != markets::TABLE)
}

/// A lake with three sessions and a message; the other tables are empty.
fn loaded() -> Bench {
    let bench = Bench::new();
    bench.load(
        "sessions.csv",
        format!(
            "{SESSIONS}s1,2025-06-01 02:00:00\ns2,2025-06-01 12:00:00\ns3,2025-06-04 12:00:00\n"
        ),
    );
    let message = "whatsapp_id,created_at,message_direction,to\nm1,2025-06-30T23:30:00Z,false,57";
    bench.load("messages.csv", message);
    bench
}

/// The lines of the answer as CSV, without the header.
fn coverage(bench: &Bench, zone: &str, since: &str, today: &str) -> Vec<String> {
    let now = "--now 2025-07-01T00:00:00Z";
    let options = format!("--timezone {zone} --since {since} --today {today} {now}");
    let csv = bench.stdout(&format!("coverage --lake lake -f csv {options}"));
    csv.lines().skip(1).map(str::to_owned).collect()
}

/// A table's row without the time of its last load.
fn row_of(rows: &[String], table: &str) -> String {
    let mut rows = rows.iter().map(|row| row.split(',').collect::<Vec<_>>());
    let row = rows.find(|row| row[0] == table).unwrap();
    let cells = row.iter().enumerate().filter(|(place, _)| ![0, 6].contains(place));
    let cells = cells.map(|(_, cell)| if cell.is_empty() { "-" } else { cell });
    cells.collect::<Vec<_>>().join(" ")
}

#[test]
fn coverage_counts_days_gaps_and_download_windows() {
    let bench = loaded();
    let rows = coverage(&bench, "UTC", "2025-05-30", "2025-06-06");
    // No rows on 30 and 31 May, 2, 3 and 5 June.
    assert_eq!(
        row_of(&rows, "sessions"),
        "2025-06-01 2025-06-04 2 2 3 2025-05-30 2025-06-05 1 636.0"
    );
    assert_eq!(row_of(&rows, "messages"), "2025-06-30 2025-06-30 1 0 1 - - - 0.5");
    // Empty: every day from 30 May to 5 June.
    assert_eq!(row_of(&rows, "deployments"), "- - 0 0 0 2025-05-30 2025-06-05 1 -");

    let rows = coverage(&bench, "UTC", "2025-06-04", "2025-06-05");
    assert_eq!(row_of(&rows, "sessions"), "2025-06-01 2025-06-04 2 2 3 - - 0 636.0");
    // 4 June to 2 August is 60 days: a window of 30 days until 3 July, then one more.
    let rows = coverage(&bench, "UTC", "2025-06-04", "2025-08-03");
    assert_eq!(row_of(&rows, "deployments"), "- - 0 0 0 2025-06-04 2025-07-03 2 -");
    // From 5 June, the first day without a session: until 4 July, then 5 July to 2 August.
    assert_eq!(
        row_of(&rows, "sessions"),
        "2025-06-01 2025-06-04 2 2 3 2025-06-05 2025-07-04 2 636.0"
    );
}

#[test]
fn days_are_in_the_reporting_time_zone() {
    let bench = loaded();
    // 02:00 UTC on 1 June is 21:00 on 31 May in Bogota; 23:30 on 30 June is 05:15 on 1 July in
    // Kathmandu.
    let rows = coverage(&bench, "America/Bogota", "2025-05-31", "2025-06-05");
    assert_eq!(
        row_of(&rows, "sessions"),
        "2025-05-31 2025-06-04 3 2 3 2025-06-02 2025-06-03 1 636.0"
    );
    assert_eq!(row_of(&rows, "messages"), "2025-06-30 2025-06-30 1 0 1 - - - 0.5");
    let rows = coverage(&bench, "Asia/Kathmandu", "2025-06-01", "2025-06-02");
    assert_eq!(row_of(&rows, "messages"), "2025-07-01 2025-07-01 1 0 1 - - - 0.5");
    // In UTC the days come from partition values, in other zones from the rows.
    let of = |zone| {
        let rows = coverage(&bench, zone, "2025-04-15", "2025-09-01");
        rows.iter()
            .map(|row| row.split(',').next().map(|table| row_of(&rows, table)))
            .collect::<Vec<_>>()
    };
    for same in ["Africa/Abidjan", "Atlantic/Reykjavik"] {
        assert_eq!(of("UTC"), of(same));
    }
}

#[test]
fn empty_lake_has_a_row_for_every_table() {
    let bench = Bench::new();
    bench.lake();
    let rows = coverage(&bench, "UTC", "2025-04-15", "2025-04-16");
    let mut names: Vec<&str> = covered().map(|table| table.name).collect();
    names.sort_unstable();
    let tables = rows.iter().map(|row| row.split(',').next().unwrap());
    assert_eq!(tables.collect::<Vec<_>>(), names);
    for table in names {
        let has_gaps = !["rates", "audience_tags", "identities", "nodes"].contains(&table);
        let missing = if has_gaps { "0" } else { "-" };
        let window = match table {
            "sessions" | "deployments" => "2025-04-15 2025-04-15 1 -",
            _ => "- - - -",
        };
        assert_eq!(row_of(&rows, table), format!("- - 0 {missing} 0 {window}"));
        let loaded = rows.iter().find(|row| row.starts_with(&format!("{table},"))).unwrap();
        assert_eq!(loaded.split(',').nth(6), Some(""));
    }
}

#[test]
fn undo_restores_the_last_load_time() {
    let bench = loaded();
    let last_loaded = || {
        let rows = coverage(&bench, "UTC", "2025-04-15", "2025-04-16");
        let row = rows.iter().find(|row| row.starts_with("sessions,")).unwrap();
        row.split(',').nth(6).unwrap().to_owned()
    };
    let first = last_loaded();
    bench.load("more.csv", format!("{SESSIONS}s4,2025-06-02 12:00:00\n"));
    let second = last_loaded();
    assert!(first < second, "{first} {second}");
    bench.lake().undo().unwrap();
    assert_eq!(last_loaded(), first);
}

#[test]
fn coverage_is_a_command_and_a_query() {
    let bench = loaded();
    let how = "--lake lake --since 2025-05-30 --today 2025-06-06 --now 2025-07-01T00:00:00Z";
    let csv = bench.stdout(&format!("coverage {how}"));
    assert_eq!(
        csv.lines().next(),
        Some(
            "table,first_day,last_day,days,missing_days,rows,last_loaded_at,next_from,next_to,\
             windows_left,lag_hours"
        )
    );
    assert_eq!(csv.lines().count(), covered().count() + 1);
    let deployments = "deployments,,,0,0,0,,2025-05-30,2025-06-05,1,";
    assert!(csv.lines().any(|line| line == deployments), "{csv}");
    assert_eq!(bench.stdout(&format!("query coverage {how}")), csv);

    let json = bench.stdout(&format!("coverage {how} -f json"));
    let rows: serde_json::Value = serde_json::from_str(&json).unwrap();
    let sessions = rows.as_array().unwrap().iter().find(|row| row["table"] == "sessions").unwrap();
    assert_eq!(sessions["missing_days"], 2);
    assert_eq!(sessions["next_to"], "2025-06-05");
    assert!(sessions["last_loaded_at"].as_str().unwrap().ends_with('Z'), "{sessions}");
    let table = bench.stdout(&format!("coverage {how} -f table"));
    assert!(table.contains("windows_left"), "{table}");

    // Without --today the range ends today; the lake has no recent days.
    let csv = bench.stdout("coverage --lake lake");
    let sessions = csv.lines().find(|line| line.starts_with("sessions,")).unwrap();
    assert!(sessions.contains(",2025-04-15,2025-05-14,"), "{sessions}");

    let (said, code) = bench.failure("coverage --lake lake --since 2025-6-1");
    assert_eq!(code, 2);
    assert!(said.contains("did you mean `2025-06-01`?"), "{said}");
}
