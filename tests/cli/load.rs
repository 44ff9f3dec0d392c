//! `load`, `rejects` and `undo` as they are typed.

use std::io::Write as _;
use std::process::Stdio;

use super::query::DROP_OFF;
use crate::support::{Desk, SESSIONS};

/// A load report without its last line, which has the duration.
fn without_speed(report: &str) -> String {
    let lines: Vec<&str> = report.lines().filter(|line| !line.ends_with("MB/s)")).collect();
    assert_eq!(lines.len() + 1, report.lines().count(), "{report}");
    lines.join("\n")
}

#[test]
fn load_reports_new_and_rejected_rows() {
    let desk = Desk::new();
    let said = desk.run("load sessions.csv --lake lake");
    assert_eq!(
        without_speed(&said.out),
        "\
sessions.csv  →  sessions
  4 rows read: 3 new, 0 updated, 0 unchanged, 1 rejected
  rejected: record 4, line 5, `session_started_timestamp`: not a date and time such as 2025-12-31 10:00:00 or unix seconds
sessions: 2 days changed (2025-06-01 to 2025-06-02), version 0"
    );
    assert_eq!(
        said.err,
        "warning: 1 row was rejected\n  hint: `wabalake rejects --lake lake` shows it\n"
    );
    assert_eq!(said.code, 0);
}

#[test]
fn same_file_is_not_loaded_again() {
    let desk = Desk::loaded();
    let said = desk.run("load sessions sessions.csv --lake lake");
    assert_eq!(
        without_speed(&said.out),
        "sessions.csv  →  sessions\n  already loaded: nothing to do"
    );
    assert_eq!((said.err.as_str(), said.code), ("", 0));
}

#[test]
fn quiet_load_prints_warnings_only() {
    let desk = Desk::new();
    let said = desk.run("load sessions.csv --lake lake --quiet --report-json -");
    let report: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(report["files"][0]["rows_new"], 3);
    assert_eq!(report["files"][0]["rows_rejected"], 1);
    assert_eq!(report["tables"][0]["table"], "sessions");
    assert!(said.err.starts_with("warning: 1 row was rejected\n"), "{}", said.err);
    let said = desk.run("load sessions.csv --lake other --report-json report.json");
    assert!(said.out.contains("3 new"), "{}", said.out);
    let report: serde_json::Value = serde_json::from_str(&desk.read("report.json")).unwrap();
    assert_eq!(report["files"][0]["rows_read"], 4);
    let said = desk.run("load sessions.csv --lake third --report-json -");
    assert!(serde_json::from_str::<serde_json::Value>(&said.out).is_ok(), "{}", said.out);
    assert!(said.err.contains("3 new"), "{}", said.err);
}

#[test]
fn strict_load_with_a_reject_stores_nothing() {
    let desk = Desk::new();
    for how in ["--strict", "--max-rejects 0"] {
        let (said, code) = desk.failure(&format!("load sessions.csv --lake lake {how}"));
        assert_eq!(code, 1);
        assert!(said.starts_with("error: 1 row was rejected: nothing was loaded\n"), "{said}");
        assert!(!desk.exists("lake"));
    }
    assert_eq!(desk.run("load sessions.csv --lake lake --max-rejects 1 -q").code, 0);
    assert_eq!(desk.stdout("query drop-off --lake lake"), DROP_OFF);
}

#[test]
fn dry_run_makes_no_lake() {
    let desk = Desk::new();
    let said = desk.run("load sessions.csv --lake lake --dry-run");
    assert!(said.out.contains("3 new") && said.out.contains("dry run"), "{}", said.out);
    assert_eq!(said.code, 0);
    assert!(!desk.exists("lake"));
}

#[test]
fn load_reads_standard_input() {
    let desk = Desk::new();
    let mut load = desk.command("load - --lake lake --quiet");
    let mut load = load.stdin(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    load.stdin.take().unwrap().write_all(SESSIONS.as_bytes()).unwrap();
    assert!(load.wait().unwrap().success());
    assert_eq!(desk.stdout("query drop-off --lake lake"), DROP_OFF);
}

#[test]
fn missing_file_is_an_error_and_makes_no_lake() {
    let desk = Desk::new();
    let (said, code) = desk.failure("load none.csv --lake lake");
    assert!(said.starts_with("error: `none.csv` cannot be read: "), "{said}");
    assert_eq!(code, 1);
    let (said, _) = desk.failure("load sesions sessions.csv --lake lake");
    assert!(said.ends_with("hint: if it names the table of the files: `sessions`\n"), "{said}");
    assert!(!desk.exists("lake"), "a lake was created without a load");
}

#[test]
fn rejects_are_listed_exported_corrected_and_loaded() {
    let desk = Desk::loaded();
    let listed = desk.stdout("rejects --lake lake -f csv");
    let lines: Vec<&str> = listed.lines().collect();
    assert_eq!(lines[0], "file,kind,record,line,column,reason,rejected_at,resolved");
    assert!(
        lines[1].starts_with(
            "sessions.csv,sessions,4,5,session_started_timestamp,not a date and time such as 2025-12-31 10:00:00 or unix seconds,20"
        ),
        "{listed}"
    );
    assert!(lines[1].ends_with("Z,") && lines.len() == 2, "{listed}");
    assert!(!listed.contains("3000000003"), "a phone number is shown without --raw");
    assert!(desk.stdout("rejects --lake lake --raw").contains("3000000003"));
    assert_eq!(desk.stdout("rejects --lake lake --kind messages -f csv").lines().count(), 1);

    let said = desk.run("rejects --lake lake --export mend.csv");
    assert_eq!((said.out.as_str(), said.err.as_str()), ("", "1 record written to `mend.csv`\n"));
    let corrected = desk.read("mend.csv").replace("2025-06-02 25:00:00", "2025-06-02 23:00:00");
    desk.write("mend.csv", &corrected);
    let said = desk.run("load mend.csv --lake lake");
    assert!(said.out.contains("1 row read: 1 new"), "{}", said.out);
    assert_eq!(desk.stdout("rejects --lake lake -f csv").lines().count(), 1);
    let all = desk.stdout("rejects --lake lake --all -f csv");
    assert!(all.lines().nth(1).unwrap().ends_with('Z'), "{all}");
}

#[test]
fn undo_takes_back_the_last_load() {
    let desk = Desk::loaded();
    let said = desk.stdout("undo --lake lake");
    let lines: Vec<&str> = said.lines().collect();
    assert!(lines[0].starts_with("the load of 20") && lines[0].ends_with("Z is undone"));
    assert_eq!(lines[1..], ["sessions: 2 days restored, 0 rows (before: 3), version 1"]);
    assert_eq!(desk.stdout("query drop-off --lake lake").lines().count(), 1);
    let history = desk.stdout("history sessions --lake lake -f csv");
    let operations: Vec<_> =
        history.lines().skip(1).map(|l| l.split(',').nth(2).unwrap()).collect();
    assert_eq!(operations, ["undo", "load"]);
    let (said, code) = desk.failure("undo --lake lake");
    assert!(said.starts_with("error: there is no load to undo\n"), "{said}");
    assert_eq!(code, 1);
    assert_eq!(desk.run("load sessions.csv --lake lake -q").code, 0);
    assert_eq!(desk.stdout("query drop-off --lake lake"), DROP_OFF);
}

#[test]
fn each_table_can_have_its_own_source_time_zone() {
    let desk = Desk::new();
    desk.write("lake/wabalake.toml", "[source_timezones]\nsessions = 'America/Bogota'\n");
    assert_eq!(desk.run("load sessions.csv --lake lake --quiet").code, 0);
    let first = |line: &str| {
        let said = desk.stdout(&format!("query session-duration --by hour --lake lake {line}"));
        said.lines().nth(1).unwrap().split(',').next().unwrap().to_owned()
    };
    assert_eq!(first(""), "2025-06-01T07:00:00Z");
    assert_eq!(desk.run("undo --lake lake").code, 0);
    assert_eq!(desk.run("load sessions.csv --lake lake -q --source-timezone UTC").code, 0);
    assert_eq!(first(""), "2025-06-01T02:00:00Z");
}
