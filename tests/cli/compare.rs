//! `compare`: the cells of an answer that changed since, and why.

use std::thread::sleep;
use std::time::Duration;

use chrono::{SecondsFormat, Utc};
use wabalake_queries::CATALOG;

use crate::support::Bench;

pub(super) const DEPLOYMENTS: &str =
    "conversation_id,conversation_version,deployment_timestamp,delivery_status,user_cellphone\n";
const SESSIONS: &str = "session_id,session_started_timestamp,session_finished_timestamp,\
                        user_country_code,user_cellphone\n";
pub(super) const HEADER: &str = "key,column,before,after,difference,change\n";
pub(super) const WHY: &str = "table,day,rows_added,rows_changed,rows_removed,files\n";

/// A hundred deployments of one day, of which the first are delivered.
fn hundred(delivered: usize) -> String {
    let row = |number: usize| {
        let status = if number < delivered { "Delivered" } else { "In Process" };
        format!("7,1,2026-11-27T10:00:00Z,{status},57300555{number:04}\n")
    };
    DEPLOYMENTS.to_owned() + &(0..100).map(row).collect::<String>()
}

/// A lake whose vendor restated a day.
fn restated() -> Bench {
    let bench = Bench::new();
    bench.load("then.csv", hundred(90));
    bench.load("now.csv", hundred(95));
    bench
}

/// The present instant, with no commit in the same millisecond.
fn now() -> String {
    sleep(Duration::from_millis(3));
    let now = Utc::now().to_rfc3339_opts(SecondsFormat::Micros, true);
    sleep(Duration::from_millis(3));
    now
}

fn compared(bench: &Bench, line: &str) -> String {
    bench.stdout(&format!("compare {line} --lake lake -f csv"))
}

#[test]
fn cells_that_the_vendor_restated_are_shown() {
    let bench = restated();
    let cells = compared(&bench, "delivery-rate --by day --as-of deployments=0");
    assert_eq!(
        cells,
        format!(
            "{HEADER}\
             day=2026-11-27,delivered,90,95,5.0,changed\n\
             day=2026-11-27,in_process,10,5,-5.0,changed\n\
             day=2026-11-27,delivered_pct,90.0,95.0,5.0,changed\n"
        )
    );
    let why = compared(&bench, "delivery-rate --by day --as-of deployments=0 --why");
    assert_eq!(why, format!("{WHY}deployments,2026-11-27,0,5,0,now.csv\n"));
    // The other way round, and the same version twice.
    let back = "delivery-rate --by day --as-of deployments=1 --with deployments=0 --limit 1";
    let first = "day=2026-11-27,delivered,95,90,-5.0,changed\n";
    assert_eq!(compared(&bench, back), format!("{HEADER}{first}"));
    assert_eq!(compared(&bench, "delivery-rate --by day --as-of deployments=1"), HEADER);
    // Other rows of the same tables, none of which changed.
    assert_eq!(compared(&bench, "failure-reasons --as-of deployments=0"), HEADER);
}

#[test]
fn comparison_is_written_in_every_format() {
    let bench = restated();
    let of = |format: &str| {
        let line = "compare delivery-rate --as-of deployments=0 --limit 1 --lake lake";
        bench.stdout(&format!("{line} -f {format}"))
    };
    let day = "day=2026-11-27";
    assert_eq!(
        of("ndjson"),
        format!(
            "{{\"key\":\"{day}\",\"column\":\"delivered\",\"before\":\"90\",\"after\":\"95\",\
             \"difference\":5.0,\"change\":\"changed\"}}\n"
        )
    );
    assert!(of("table").contains("│ Changed"), "{}", of("table"));
    let to_file = "compare delivery-rate --as-of deployments=0 --lake lake -o changes.csv";
    assert_eq!(bench.stdout(to_file), "");
    assert_eq!(bench.read("changes.csv").lines().count(), 4);
    let (said, code) =
        bench.failure("compare delivery-rate --as-of deployments=0 --lake lake -f meta-json");
    assert!(said.starts_with("error: this answer cannot be written as `meta-json`\n"), "{said}");
    assert_eq!(code, 2);
}

#[test]
fn rows_come_and_go_by_their_key_which_may_have_nulls() {
    let bench = Bench::new();
    let row = |person: u8| format!("7,1,2026-11-27T10:00:00Z,Delivered,57300555010{person}\n");
    bench.load("sent.csv", format!("{DEPLOYMENTS}{}{}", row(1), row(2)));
    let untagged = now();
    bench.load("tags.csv", "phone,tag,since\n573005550101,vip,2026-11-01\n");

    let line = "delivery-rate --by tag,day";
    let added = compared(&bench, &format!("{line} --as-of {untagged}"));
    let cells = |change: &str, cell: fn(&str) -> String| -> String {
        let row = [
            ("deployments", "1"),
            ("users", "1"),
            ("delivered", "1"),
            ("sent", "0"),
            ("failed", "0"),
            ("in_process", "0"),
            ("delivered_pct", "100.0"),
            ("delivered_of_settled_pct", "100.0"),
        ];
        let line = |(column, value): (&str, &str)| {
            format!("tag=vip; day=2026-11-27,{column},{},,{change}\n", cell(value))
        };
        row.map(line).concat()
    };
    let fewer = "\
        tag=; day=2026-11-27,deployments,2,1,-1.0,changed\n\
        tag=; day=2026-11-27,users,2,1,-1.0,changed\n\
        tag=; day=2026-11-27,delivered,2,1,-1.0,changed\n";
    let came = cells("added", |value| format!(",{value}"));
    assert_eq!(added, format!("{HEADER}{fewer}{came}"));

    let removed = compared(&bench, &format!("{line} --as-of 2100-01-01 --with {untagged}"));
    let more = fewer.replace(",2,1,-1.0,", ",1,2,1.0,");
    let went = cells("removed", |value| format!("{value},"));
    assert_eq!(removed, format!("{HEADER}{more}{went}"));

    // Before the first load there was nothing.
    let all = compared(&bench, &format!("{line} --as-of 2020-01-01"));
    assert!(all.lines().skip(1).all(|line| line.ends_with(",added")), "{all}");
    let why = compared(&bench, &format!("{line} --as-of {untagged} --why"));
    assert_eq!(why, format!("{WHY}audience_tags,2026-11-01,1,0,0,tags.csv\n"));
    // Tags do not matter to an answer that is not by tag.
    let other = "delivery-rate --by day";
    assert_eq!(compared(&bench, &format!("{other} --as-of {untagged} --why")), WHY);
    assert_eq!(compared(&bench, &format!("{other} --as-of {untagged}")), HEADER);
}

#[test]
fn reason_is_the_loads_that_still_count() {
    let bench = Bench::new();
    bench.load(
        "a.csv",
        format!(
            "{SESSIONS}s1,2025-06-01T02:00:00Z,,57,3005550101\n\
             s2,2025-06-02T12:00:00Z,,57,3005550102\n"
        ),
    );
    bench.load(
        "b.csv",
        format!(
            "{SESSIONS}s1,2025-06-01T02:00:00Z,2025-06-01T02:10:00Z,57,3005550101\n\
             s3,2025-06-01T13:00:00Z,,57,3005550103\n"
        ),
    );
    bench.load("c.csv", format!("{SESSIONS}s4,2025-06-03T12:00:00Z,,57,3005550104\n"));
    let why =
        |line: &str| compared(&bench, &format!("session-duration --why {line}")).replace(WHY, "");
    assert_eq!(
        why("--as-of sessions=0"),
        "sessions,2025-06-01,1,1,0,b.csv+c.csv\nsessions,2025-06-03,1,0,0,b.csv+c.csv\n"
    );
    assert_eq!(
        why("--as-of sessions=0 --timezone America/Bogota"),
        "sessions,2025-05-31,0,1,0,b.csv+c.csv\n\
         sessions,2025-06-01,1,0,0,b.csv+c.csv\n\
         sessions,2025-06-03,1,0,0,b.csv+c.csv\n"
    );
    // Only the rows that the query counts.
    assert_eq!(
        why("--as-of sessions=0 --from 2025-06-03"),
        "sessions,2025-06-03,1,0,0,b.csv+c.csv\n"
    );
    assert_eq!(
        why("--as-of sessions=1 --with sessions=2 --limit 5"),
        "sessions,2025-06-03,1,0,0,c.csv\n"
    );

    // The undone load no longer counts, and what it did is undone.
    bench.lake().undo().unwrap();
    assert_eq!(why("--as-of sessions=0"), "sessions,2025-06-01,1,1,0,b.csv\n");
    assert_eq!(why("--as-of sessions=1"), "");
    // An undo of an older load names no file.
    bench.lake().undo().unwrap();
    assert_eq!(why("--as-of sessions=1"), "sessions,2025-06-01,0,1,1,\n");
    assert_eq!(why("--as-of sessions=0"), "");
}

#[test]
fn loads_are_those_of_their_time() {
    let bench = Bench::new();
    bench.load("a.csv", format!("{SESSIONS}s1,2025-06-01T12:00:00Z,,57,3005550101\n"));
    sleep(Duration::from_millis(3));
    bench.load("b.csv", format!("{SESSIONS}s2,2025-06-01T13:00:00Z,,57,3005550102\n"));
    let now = "--since 2025-06-01 --today 2025-06-03 --now 2025-06-03T00:00:00Z";
    let cells = compared(&bench, &format!("coverage {now} --as-of sessions=0"));
    assert!(cells.contains("\ntable=sessions,rows,1,2,1.0,changed\n"), "{cells}");
    assert!(cells.contains("\ntable=sessions,last_loaded_at,20"), "{cells}");
    let why = compared(&bench, &format!("coverage {now} --as-of sessions=0 --why"));
    assert!(why.contains("\nsessions,2025-06-01,1,0,0,b.csv\n"), "{why}");
    let of_loads: Vec<&str> = why.lines().filter(|line| line.starts_with("loads,")).collect();
    assert!(of_loads.len() == 1 && of_loads[0].ends_with(",1,0,0,"), "{why}");
}

#[test]
fn variables_are_compared_one_by_one() {
    let bench = Bench::new();
    let sent = "7,1,2025-06-02T09:00:00Z,Delivered,573005550101\n";
    bench.load("sent.csv", format!("{DEPLOYMENTS}{sent}"));
    let header = "phone,conversation_id,name,value,at\n";
    let answer = |name: &str, value: &str, minute: u8| {
        format!("573005550101,7,{name},{value},2025-06-02T09:0{minute}:00Z\n")
    };
    let first = format!("{header}{}{}", answer("city", "Cali", 5), answer("size", "4", 5));
    bench.load("first.csv", first);
    let second = format!("{header}{}{}", answer("city", "Lima", 6), answer("plan", "gold", 6));
    bench.load("second.csv", second);
    let line = "conversation-users --variables wide --as-of variables=0";
    let cells = compared(&bench, line);
    let key = "user_phone=573005550101; conversation_id=7; conversation_version=1; \
               deployment_timestamp=2025-06-02T09:00:00Z";
    let found: Vec<&str> = cells.lines().filter(|line| line.contains(",var_")).collect();
    assert_eq!(
        found,
        [format!("{key},var_city,Cali,Lima,,changed"), format!("{key},var_plan,,gold,,changed")]
    );
    bench.stdout(&format!("compare {line} --lake lake -o people.csv"));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = bench.path("people.csv").metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "a key names people");
    }
}

#[test]
fn events_of_a_person_have_no_columns_outside_their_key() {
    let bench = Bench::new();
    bench.load("a.csv", format!("{SESSIONS}s1,2025-06-01T12:00:00Z,,57,3005550101\n"));
    bench.load("b.csv", format!("{SESSIONS}s2,2025-06-03T12:00:00Z,,57,3005550101\n"));
    let cells = compared(&bench, "user-history --phone 573005550101 --as-of sessions=0");
    assert!(cells.lines().count() > 1, "{cells}");
    for line in cells.lines().skip(1) {
        let is_whole = line.starts_with("at=2025-06-03T12:00:00Z; event=");
        assert!(is_whole && line.ends_with(",,,,,added"), "{line}");
    }
}

#[test]
fn version_whose_files_are_gone_names_the_oldest_that_is_kept() {
    let bench = Bench::new();
    let two_days =
        "s1,2025-06-01T12:00:00Z,,57,3005550101\ns2,2025-06-02T12:00:00Z,,57,3005550102\n";
    bench.load("a.csv", format!("{SESSIONS}{two_days}"));
    let between = now();
    bench.load("b.csv", format!("{SESSIONS}s3,2025-06-01T13:00:00Z,,57,3005550103\n"));
    now();
    bench.load("c.csv", format!("{SESSIONS}s4,2025-06-04T13:00:00Z,,57,3005550104\n"));
    now();
    assert_eq!(bench.run("vacuum --lake lake --retain-days 0").code, 0);

    let failure =
        |line: &str| bench.failure(&format!("compare session-duration {line} --lake lake"));
    let (said, code) = failure("--as-of sessions=0");
    assert_eq!(code, 1);
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[0], "error: files of version 0 of `sessions` were deleted");
    let oldest = "  found: the oldest that is kept is version 1 of `sessions`, committed at 20";
    assert!(lines[1].starts_with(oldest), "{said}");
    assert!(lines[2].starts_with("  hint: write `--as-of sessions=1` or later; "), "{said}");
    let (said, _) = failure("--as-of sessions=2 --with sessions=0");
    assert!(said.contains("write `--with sessions=1` or later"), "{said}");

    let (said, _) = failure(&format!("--as-of {between}"));
    let (_, rest) = said.split_once("hint: write `--as-of ").unwrap();
    let (again, _) = rest.split_once('`').unwrap();
    let kept = compared(&bench, &format!("session-duration --as-of {again}"));
    assert_eq!(kept, compared(&bench, "session-duration --as-of sessions=1"));
    assert!(kept.contains("day=2025-06-04,sessions,,1,,added"), "{kept}");
    // The files of other days are kept.
    let day = "session-duration --from 2025-06-02 --to 2025-06-02 --as-of sessions=0";
    assert_eq!(compared(&bench, day), HEADER);
}

#[test]
fn exit_code_is_1_only_if_asked_for() {
    let bench = restated();
    let said = |line: &str| {
        let said = bench.run(&format!("compare delivery-rate --lake lake -f csv {line}"));
        (said.out.lines().count() - 1, said.err, said.code)
    };
    assert_eq!(said("--as-of deployments=0"), (3, String::new(), 0));
    assert_eq!(said("--as-of deployments=1 --fail-on-change"), (0, String::new(), 0));
    assert_eq!(said("--as-of deployments=1 --fail-on-change --why"), (0, String::new(), 0));
    for (line, cells) in [("", 3), ("--limit 1", 1), ("--limit 0", 0)] {
        let (rows, message, code) = said(&format!("--as-of deployments=0 --fail-on-change {line}"));
        assert_eq!((rows, code), (cells, 1));
        assert!(message.starts_with("error: the answer changed\n  hint: `--why`"), "{message}");
    }
    let (rows, message, code) = said("--as-of deployments=0 --fail-on-change --why");
    assert_eq!((rows, code), (1, 1));
    assert!(message.starts_with("error: rows that the query reads changed\n"), "{message}");
}

#[test]
fn wrong_usage_exits_with_2() {
    let bench = restated();
    for (line, expected) in [
        ("delivery-rate", "error: `--as-of WHEN` is missing\n"),
        ("delivery-rat --as-of 2025-06-01", "error: no query `delivery-rat`\n"),
        (
            "delivery-rate --as-of yesterday",
            "error: `--as-of` takes a time or versions of tables\n",
        ),
        (
            "delivery-rate --as-of 2025-06-01 --with sesions=1",
            "error: `--with` names an unknown table\n  hint: did you mean `sessions`?\n",
        ),
        (
            "delivery-rate --as-of sessions=0",
            "error: `--as-of` names no table that `delivery-rate` reads\n  \
             hint: it reads `deployments` and `identities`\n",
        ),
        (
            "data-quality --fail-on parent-cycle --as-of deployments=0",
            "error: `--fail-on` judges one answer, and a comparison has two\n",
        ),
        (
            "delivery-rate --as-of deployments=0 --engine spark",
            "error: `wabalake compare delivery-rate` has no option `--engine`\n",
        ),
    ] {
        let (said, code) = bench.failure(&format!("compare {line} --lake lake"));
        assert!(said.starts_with(expected), "{line}: {said}");
        assert_eq!(code, 2, "{line}");
    }
    let (said, code) = bench.failure("compare delivery-rate --as-of deployments=9 --lake lake");
    assert!(said.contains("has no version 9"), "{said}");
    assert_eq!(code, 1);
}

#[test]
fn help_shows_the_options_of_the_query_and_of_the_comparison() {
    let bench = Bench::new();
    for entry in CATALOG {
        let help = bench.stdout(&format!("compare {} --help", entry.spec.name));
        for part in ["Comparison:\n", "--as-of <WHEN>", "--fail-on-change", "  rows_changed  int64"]
        {
            assert!(help.contains(part), "{}: {help}", entry.spec.name);
        }
        let (_, example) = help.split_once("Example:\n  wabalake compare ").unwrap();
        let words: Vec<&str> = example.split_whitespace().collect();
        assert!(words.ends_with(&["--as-of", "2025-06-01", "--lake", "lake"]), "{example}");
    }
}
