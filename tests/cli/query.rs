//! Commands as they are typed, and all that they print.

use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;

use wabalake_queries::CATALOG;

use crate::support::{Desk, LOADED, SESSIONS, Said};

const DROP_OFF: &str = "\
conversation_id,conversation_version,last_node_id,sessions,share_pct,users,agent_sessions,\
avg_duration_seconds
417,2,size,2,66.66666666666667,2,1,55.0
417,2,\"colour, then\",1,33.333333333333336,1,0,
";

/// A load's report without the last line, which tells the time it took.
fn without_speed(report: &str) -> String {
    let lines: Vec<&str> = report.lines().filter(|line| !line.ends_with("MB/s)")).collect();
    assert_eq!(lines.len() + 1, report.lines().count(), "{report}");
    lines.join("\n")
}

#[test]
fn a_load_tells_what_it_did_and_what_it_could_not() {
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
fn the_same_file_again_is_nothing_to_do() {
    let desk = Desk::loaded();
    let said = desk.run("load sessions sessions.csv --lake lake");
    assert_eq!(
        without_speed(&said.out),
        "sessions.csv  →  sessions\n  already loaded: nothing to do"
    );
    assert_eq!((said.err.as_str(), said.code), ("", 0));
}

#[test]
fn a_quiet_load_says_only_what_is_wrong() {
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
fn a_strict_load_takes_all_or_nothing() {
    let desk = Desk::new();
    for how in ["--strict", "--max-rejects 0"] {
        let (said, code) = desk.refused(&format!("load sessions.csv --lake lake {how}"));
        assert_eq!(code, 1);
        assert!(said.starts_with("error: 1 row cannot be taken: nothing was loaded\n"), "{said}");
        assert!(!desk.exists("lake"));
    }
    assert_eq!(desk.run("load sessions.csv --lake lake --max-rejects 1 -q").code, 0);
    assert_eq!(desk.told("query drop-off --lake lake"), DROP_OFF);
}

#[test]
fn a_tried_load_leaves_nothing_behind() {
    let desk = Desk::new();
    let said = desk.run("load sessions.csv --lake lake --dry-run");
    assert!(said.out.contains("3 new") && said.out.contains("only tried"), "{}", said.out);
    assert_eq!(said.code, 0);
    assert!(!desk.exists("lake"));
}

#[test]
fn standard_input_is_a_file_too() {
    let desk = Desk::new();
    let mut load = desk.command("load - --lake lake --quiet");
    let mut load = load.stdin(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    load.stdin.take().unwrap().write_all(SESSIONS.as_bytes()).unwrap();
    assert!(load.wait().unwrap().success());
    assert_eq!(desk.told("query drop-off --lake lake"), DROP_OFF);
}

#[test]
fn what_is_not_there_is_not_loaded() {
    let desk = Desk::new();
    let (said, code) = desk.refused("load none.csv --lake lake");
    assert!(said.starts_with("error: `none.csv` cannot be read: "), "{said}");
    assert_eq!(code, 1);
    let (said, _) = desk.refused("load sesions sessions.csv --lake lake");
    assert!(said.ends_with("hint: if it is to say what the files are: `sessions`\n"), "{said}");
    assert!(!desk.exists("lake"), "a lake was made for nothing");
}

#[test]
fn an_answer_comes_in_every_format() {
    let desk = &*LOADED;
    for (format, expected) in [
        ("csv", DROP_OFF.to_owned()),
        ("tsv", DROP_OFF.replace(',', "\t").replace("\"colour\t then\"", "colour, then")),
        (
            "table",
            "\
 conversation_id │ conversation_version │ last_node_id │ sessions │ share_pct │ users │ agent_sessions │ avg_duration_seconds
─────────────────┼──────────────────────┼──────────────┼──────────┼───────────┼───────┼────────────────┼──────────────────────
 417             │                    2 │ size         │        2 │     66.67 │     2 │              1 │               55.00s
 417             │                    2 │ colour, then │        1 │     33.33 │     1 │              0 │                    –
".replacen("conv", " conv", 1).replacen("  conv", " conv", 1),
        ),
        (
            "json",
            r#"[
{"conversation_id":"417","conversation_version":2,"last_node_id":"size","sessions":2,"share_pct":66.66666666666667,"users":2,"agent_sessions":1,"avg_duration_seconds":55.0},
{"conversation_id":"417","conversation_version":2,"last_node_id":"colour, then","sessions":1,"share_pct":33.333333333333336,"users":1,"agent_sessions":0,"avg_duration_seconds":null}
]
"#
            .to_owned(),
        ),
        (
            "ndjson",
            r#"{"conversation_id":"417","conversation_version":2,"last_node_id":"size","sessions":2,"share_pct":66.66666666666667,"users":2,"agent_sessions":1,"avg_duration_seconds":55.0}
{"conversation_id":"417","conversation_version":2,"last_node_id":"colour, then","sessions":1,"share_pct":33.333333333333336,"users":1,"agent_sessions":0,"avg_duration_seconds":null}
"#
            .to_owned(),
        ),
        (
            "markdown",
            "\
| conversation_id | conversation_version | last_node_id | sessions | share_pct | users | agent_sessions | avg_duration_seconds |
| --- | ---: | --- | ---: | ---: | ---: | ---: | ---: |
| 417 | 2 | size | 2 | 66.67 | 2 | 1 | 55.00s |
| 417 | 2 | colour, then | 1 | 33.33 | 1 | 0 | – |
"
            .to_owned(),
        ),
    ] {
        assert_eq!(desk.told(&format!("query drop-off --lake lake -f {format}")), expected);
    }
    for (format, magic) in [("parquet", "PAR1"), ("arrow", "ARROW1")] {
        let done = desk.command(&format!("query drop-off --lake lake -f {format}")).output();
        assert!(done.unwrap().stdout.starts_with(magic.as_bytes()), "{format}");
    }
}

#[test]
fn a_file_name_says_the_format() {
    let desk = Desk::loaded();
    assert_eq!(desk.told("query drop-off --lake lake -o answer.csv"), "");
    assert_eq!(desk.read("answer.csv"), DROP_OFF);
    assert_eq!(desk.told("query drop-off --lake lake --limit 1 --output answer.md"), "");
    assert_eq!(desk.read("answer.md").lines().count(), 3);
    assert_eq!(desk.told("query drop-off --lake lake -f csv -o answer.md"), "");
    assert_eq!(desk.read("answer.md"), DROP_OFF);
    let (said, code) = desk.refused("query drop-off --lake lake -o none/answer.csv");
    assert_eq!(
        said,
        "error: writing `none/answer.csv`: there is no folder `none`\n  \
         hint: make it: `mkdir -p none`\n"
    );
    assert_eq!(code, 2);
}

#[test]
fn the_command_line_then_the_environment_then_the_lake_say_the_zone() {
    let desk = Desk::loaded();
    let days = |line: &str, environment: Option<&str>| {
        let mut command = desk.command(&format!("query session-duration --lake lake {line}"));
        command.envs(environment.map(|zone| ("WABALAKE_TIMEZONE", zone)));
        let said = Said::of(command.output().unwrap());
        assert_eq!(said.err, "");
        let days: Vec<String> =
            said.out.lines().skip(1).map(|line| line.split(',').next().unwrap().into()).collect();
        days.join(" ")
    };
    assert_eq!(days("", None), "2025-06-01 2025-06-02");
    desk.write("lake/wabalake.toml", "timezone = \"America/Bogota\"\n");
    assert_eq!(days("", None), "2025-05-31 2025-06-01 2025-06-02");
    assert_eq!(days("", Some("UTC")), "2025-06-01 2025-06-02");
    assert_eq!(days("--timezone UTC", Some("America/Bogota")), "2025-06-01 2025-06-02");
    assert_eq!(days("--timezone UTC", None), "2025-06-01 2025-06-02");
    assert_eq!(
        desk.told(
            "query session-duration --lake lake --by hour --limit 1 --timezone Asia/Kathmandu"
        )
        .lines()
        .nth(1)
        .unwrap()
        .split(',')
        .next(),
        Some("2025-06-01T07:00:00+05:45")
    );
    desk.write("lake/wabalake.toml", "timezon = \"UTC\"\n");
    let (said, code) = desk.refused("query drop-off --lake lake");
    assert!(said.starts_with("error: `"), "{said}");
    assert!(
        said.ends_with(
            "wabalake.toml`: line 1: no key `timezon`\n  hint: did you mean `timezone`?\n"
        ),
        "{said}"
    );
    assert_eq!(code, 1);
}

#[test]
fn an_empty_lake_answers_with_its_columns() {
    let desk = Desk::new();
    std::fs::create_dir(desk.folder.path().join("empty")).unwrap();
    for entry in CATALOG {
        let needs = entry.needs().join(" ");
        let answer = desk.told(&format!("query {} {needs} --lake empty", entry.spec.name));
        let last = entry.spec.columns.last().unwrap().name;
        assert!(answer.lines().next().unwrap().ends_with(last), "{answer}");
    }
}

#[test]
fn a_lake_that_is_not_there_is_an_error_that_says_how_to_make_one() {
    let desk = Desk::new();
    let (said, code) = desk.refused("query drop-off --lake none");
    assert_eq!(code, 1);
    assert!(said.starts_with("error: no lake at `none`: "), "{said}");
    assert!(said.contains("`wabalake load FILE"), "{said}");
    assert!(said.contains("--lake none`"), "{said}");
}

#[test]
fn wrong_commands_end_with_2_and_the_nearest_right_one() {
    let desk = &*LOADED;
    for (line, expected) in [
        (
            "query drop-of --lake lake",
            "error: no query `drop-of`\n  \
             hint: did you mean `drop-off`? `wabalake queries` lists them\n",
        ),
        (
            "query session-duration --lake lake --by dya",
            "error: `--by` cannot be `dya`\n  hint: did you mean `day`? it takes `day`, `half-hour`, \
             `hour`, `week`, `month`, `conversation`, `country`, `line`, `session-type`, \
             `session-status` and `channel`\n",
        ),
        (
            "query drop-off --lake lake --from 2025-06-02 --to 2025-06-01",
            "error: `--from 2025-06-02` is after `--to 2025-06-01`\n  hint: the range goes from \
             the earlier date to the later: `--from 2025-06-01 --to 2025-06-02`\n",
        ),
        (
            "query drop-off --lake lake --timezone Europe/Madird",
            "error: `--timezone` `Europe/Madird`: no such time zone\n  \
             hint: did you mean `Europe/Madrid`?\n",
        ),
        (
            "query drop-off --lake lake --country-code CO",
            "error: `wabalake query drop-off` has no option `--country-code`\n  \
             hint: did you mean `--country`?\n",
        ),
        (
            "explain drop-off",
            "error: no lake is named\n  \
             hint: name its folder with `--lake DIR`, or set WABALAKE_LAKE\n",
        ),
        (
            "lod x.csv",
            "error: no command `lod`\n  hint: did you mean `load`? `wabalake --help` lists them\n",
        ),
    ] {
        assert_eq!(desk.refused(line), (expected.to_owned(), 2), "wabalake {line}");
    }
    let bare = desk.run("");
    assert_eq!((bare.out.as_str(), bare.code), ("", 2));
    assert!(bare.err.contains("Usage: wabalake <COMMAND>"), "{}", bare.err);
}

#[test]
fn the_catalog_tells_itself() {
    let desk = &*LOADED;
    let listed = desk.told("queries");
    let names = desk.told("queries --names");
    assert_eq!(listed.lines().count(), CATALOG.len());
    for (entry, (line, name)) in CATALOG.iter().zip(listed.lines().zip(names.lines())) {
        assert_eq!(name, entry.spec.name);
        assert!(line.starts_with(name) && line.ends_with(entry.spec.title), "{line}");
    }
    let told: serde_json::Value = serde_json::from_str(&desk.told("queries -f json")).unwrap();
    let drop_off = told.as_array().unwrap().iter().find(|query| query["name"] == "drop-off");
    let drop_off = drop_off.unwrap();
    assert_eq!(drop_off["reads"], serde_json::json!(["sessions"]));
    assert_eq!(
        drop_off["columns"][4],
        serde_json::json!({ "name": "share_pct", "type": "float64", "unit": "%" })
    );
    let one = desk.told("queries drop-off -f json");
    assert_eq!(&serde_json::from_str::<serde_json::Value>(&one).unwrap(), drop_off);
}

#[test]
fn a_query_says_all_about_itself() {
    let desk = &*LOADED;
    for entry in CATALOG {
        let help = desk.told(&format!("queries {}", entry.spec.name));
        let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words(&help).contains(&words(entry.spec.question)), "{help}");
        assert!(help.contains("Columns:\n"), "{help}");
        for column in entry.spec.columns {
            assert!(help.contains(&format!("  {} ", column.name)), "{}: {help}", column.name);
        }
        assert!(help.contains("Example:\n  wabalake query "), "{help}");
        assert_eq!(desk.told(&format!("query {} --help", entry.spec.name)), help);
    }
}

#[test]
fn examples_run() {
    let desk = &*LOADED;
    let told: serde_json::Value = serde_json::from_str(&desk.told("queries -f json")).unwrap();
    for query in told.as_array().unwrap() {
        let example = query["example"].as_str().unwrap();
        let answer = desk.told(example.strip_prefix("wabalake ").unwrap());
        assert!(!answer.is_empty(), "{example}");
    }
}

#[test]
fn the_twin_comes_with_its_options_filled_in() {
    let desk = &*LOADED;
    for entry in CATALOG {
        let takes_days =
            entry.command().get_arguments().any(|argument| argument.get_id() == "from");
        let days = if takes_days { "--from 2025-06-01" } else { "" };
        let needs = entry.needs().join(" ");
        let sql = desk.told(&format!("queries {} --sql {days} {needs}", entry.spec.name));
        assert!(sql.contains("SELECT"), "{sql}");
        assert!(!sql.contains(":from_at") && !sql.contains("{by"), "{sql}");
        assert!(!takes_days || sql.contains("2025-06-01"), "{sql}");
    }
}

#[test]
fn a_plan_opens_only_the_days_asked_for() {
    let desk = &*LOADED;
    let plan = desk.told("explain drop-off --lake lake --from 2025-06-02 --to 2025-06-02");
    assert!(plan.contains("Parquet SCAN"), "{plan}");
    assert!(plan.contains("utc_day=2025-06-02"), "{plan}");
    assert!(plan.contains("SELECTION"), "{plan}");
    assert!(!plan.contains("last_message"), "{plan}");
}

#[test]
fn rejects_are_listed_exported_mended_and_loaded() {
    let desk = Desk::loaded();
    let listed = desk.told("rejects --lake lake -f csv");
    let lines: Vec<&str> = listed.lines().collect();
    assert_eq!(lines[0], "file,kind,record,line,column,reason,rejected_at,resolved");
    assert!(
        lines[1].starts_with(
            "sessions.csv,sessions,4,5,session_started_timestamp,not a date and time such as 2025-12-31 10:00:00 or unix seconds,20"
        ),
        "{listed}"
    );
    assert!(lines[1].ends_with("Z,") && lines.len() == 2, "{listed}");
    assert!(!listed.contains("3000000003"), "a phone number is shown unasked");
    assert!(desk.told("rejects --lake lake --raw").contains("3000000003"));
    assert_eq!(desk.told("rejects --lake lake --kind messages -f csv").lines().count(), 1);

    let said = desk.run("rejects --lake lake --export mend.csv");
    assert_eq!((said.out.as_str(), said.err.as_str()), ("", "1 record written to `mend.csv`\n"));
    let mended = desk.read("mend.csv").replace("2025-06-02 25:00:00", "2025-06-02 23:00:00");
    desk.write("mend.csv", &mended);
    let said = desk.run("load mend.csv --lake lake");
    assert!(said.out.contains("1 row read: 1 new"), "{}", said.out);
    assert_eq!(desk.told("rejects --lake lake -f csv").lines().count(), 1);
    let all = desk.told("rejects --lake lake --all -f csv");
    assert!(all.lines().nth(1).unwrap().ends_with('Z'), "{all}");
}

#[test]
fn a_spreadsheet_is_given_no_formula() {
    let desk = Desk::new();
    let formulas = desk.read("sessions.csv").replace("size", "=1+1").replace("25:00:00", "25:00");
    desk.write("sessions.csv", &formulas);
    desk.run("load sessions.csv --lake lake");
    let words = "query drop-off --lake lake --safe";
    assert!(desk.told(&format!("{words} -f csv")).contains("417,2,'=1+1,2,66"));
    assert!(desk.told(&format!("{words} -f tsv")).contains("417\t2\t'=1+1\t2\t66"));
    desk.told(&format!("{words} -o a.csv"));
    assert!(desk.read("a.csv").contains(",'=1+1,"));
    assert!(desk.told("query drop-off --lake lake -f csv").contains(",=1+1,"));
    for place in ["-f json", "-f table", "-o a.parquet"] {
        let (said, code) = desk.refused(&format!("{words} {place}"));
        assert!(said.starts_with("error: `--safe` is for csv and tsv\n  hint: "), "{said}");
        assert_eq!(code, 2);
    }
    let exported = |words: &str| desk.told(&format!("rejects --lake lake --export - {words}"));
    assert!(exported("").lines().nth(1).unwrap().contains(",'=1+1,'"), "{}", exported(""));
    assert!(exported("--exact").lines().nth(1).unwrap().contains(",=1+1,"));
    assert_eq!(desk.refused("rejects --lake lake --exact").1, 2);
}

#[test]
fn a_load_can_be_taken_back() {
    let desk = Desk::loaded();
    let said = desk.told("undo --lake lake");
    let lines: Vec<&str> = said.lines().collect();
    assert!(lines[0].starts_with("the load of 20") && lines[0].ends_with("Z is taken back"));
    assert_eq!(lines[1..], ["sessions: 2 days as before, 0 rows (they were 3), version 1"]);
    assert_eq!(desk.told("query drop-off --lake lake").lines().count(), 1);
    let history = desk.told("history sessions --lake lake -f csv");
    let operations: Vec<_> =
        history.lines().skip(1).map(|l| l.split(',').nth(2).unwrap()).collect();
    assert_eq!(operations, ["undo", "load"]);
    let (said, code) = desk.refused("undo --lake lake");
    assert!(said.starts_with("error: there is no load to take back\n"), "{said}");
    assert_eq!(code, 1);
    assert_eq!(desk.run("load sessions.csv --lake lake -q").code, 0);
    assert_eq!(desk.told("query drop-off --lake lake"), DROP_OFF);
}

#[test]
fn a_lake_is_looked_after() {
    let desk = Desk::loaded();
    let said = desk.run("status --lake lake -f csv --timezone America/Bogota");
    let sessions = said.out.lines().find(|line| line.starts_with("sessions,")).unwrap();
    assert!(sessions.starts_with("sessions,3,2,2025-06-01,2025-06-02,0,2,"), "{sessions}");
    assert!(sessions.ends_with("-05:00"), "{sessions}");
    assert!(said.err.starts_with("last load: 20") && said.err.contains("open rejects: 1\n"));
    assert_eq!(desk.told("compact --lake lake"), "nothing to merge\n");
    assert_eq!(desk.told("vacuum --lake lake --dry-run"), "0 files would be deleted, 0 B\n");
    assert_eq!(desk.told("query drop-off --lake lake"), DROP_OFF);
}

#[test]
fn samples_are_the_same_every_time() {
    let desk = Desk::new();
    let arguments = "sample --days 2 --sessions-per-day 5 --seed 3";
    let told = desk.told(&format!("{arguments} --out one"));
    assert_eq!(desk.told(&format!("{arguments} --out two")).replace("two/", "one/"), told);
    let files: Vec<_> = std::fs::read_dir(desk.folder.path().join("one")).unwrap().collect();
    assert_eq!(files.len(), told.lines().count());
    for file in files {
        let name = file.unwrap().file_name();
        let read =
            |folder: &str| std::fs::read(desk.folder.path().join(folder).join(&name)).unwrap();
        assert_eq!(read("one"), read("two"));
    }
    let said = desk.run(&format!("{arguments} --lake lake"));
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(desk.told("query drop-off --lake lake").lines().count() > 1);
}

#[test]
fn completions_and_manual_pages_know_the_queries() {
    let desk = Desk::new();
    for shell in ["bash", "zsh", "fish"] {
        assert!(desk.told(&format!("completions {shell}")).contains("drop-off"), "{shell}");
    }
    assert!(desk.told("man").contains(".TH wabalake 1"));
    assert_eq!(desk.run("man --out pages").code, 0);
    assert!(desk.read("pages/wabalake-query-drop-off.1").contains("conversation\\-id"));
}

#[test]
fn a_reader_that_has_had_enough_is_no_error() {
    let desk = &*LOADED;
    for line in ["query drop-off --lake lake", "queries", "--help", "completions bash", "man"] {
        let mut command = desk.command(line);
        let mut running = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(running.stdout.take());
        let done = running.wait_with_output().unwrap();
        assert_eq!(String::from_utf8(done.stderr).unwrap(), "", "wabalake {line}");
        assert_eq!(done.status.code(), Some(0), "wabalake {line}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error() {
    let desk = &*LOADED;
    let full = || std::fs::File::options().write(true).open(Path::new("/dev/full")).unwrap();
    let done = desk.command("query drop-off --lake lake").stdout(full()).output().unwrap();
    let said = Said::of(done);
    assert!(said.err.starts_with("error: writing to standard output: "), "{}", said.err);
    assert_eq!(said.code, 1);
}

#[test]
fn what_is_about_a_cluster_goes_with_a_cluster() {
    for option in ["--remote sc://localhost", "--map-path /mnt/lake=s3://bucket/lake"] {
        let (said, code) = LOADED.refused(&format!("query drop-off --lake lake {option}"));
        let name = option.split(' ').next().unwrap();
        let expected =
            format!("error: `{name}` is about a cluster\n  hint: ask it with `--engine spark`\n");
        assert_eq!((said, code), (expected, 2));
    }
    // From the environment it is only an offer.
    let mut here = LOADED.command("query drop-off --lake lake");
    here.env("WABALAKE_REMOTE", "sc://localhost:1");
    assert_eq!(Said::of(here.output().unwrap()).out, DROP_OFF);
}

#[cfg(not(feature = "cluster"))]
#[test]
fn a_program_that_cannot_ask_a_cluster_says_how_to_get_one() {
    let asked = "query drop-off --lake lake --engine spark --remote sc://localhost";
    let (said, code) = LOADED.refused(asked);
    assert_eq!(code, 2);
    assert!(said.contains("--features cluster"), "{said}");
}

#[cfg(feature = "cluster")]
#[test]
fn a_cluster_has_an_address() {
    let asked = "query drop-off --lake lake --engine spark";
    let (said, code) = LOADED.refused(asked);
    assert_eq!(code, 2);
    assert!(said.contains("--remote sc://"), "{said}");
    let mut with_token = LOADED.command(&format!("{asked} --remote sc://192.0.2.1"));
    let said = Said::of(with_token.env("WABALAKE_TOKEN", "s3cret").output().unwrap());
    assert_eq!(
        (said.err.as_str(), said.code),
        (
            "error: the token would go to 192.0.2.1 in clear\n  \
             hint: ask for TLS: sc://192.0.2.1:15002/;use_ssl=true\n",
            2
        )
    );
}

#[test]
fn settings_are_written_once_and_tell_where_they_come_from() {
    let desk = Desk::new();
    let said = desk.told("init --lake lake --timezone America/Bogota");
    assert!(said.ends_with("then `wabalake nightly --lake lake --dry-run`\n"), "{said}");
    assert!(desk.exists("inbox"));
    assert!(desk.read("lake/wabalake.toml").contains("\ntimezone = \"America/Bogota\"\n"));
    let (said, code) = desk.refused("init --lake lake");
    assert!(said.ends_with("already\n  hint: edit it, or move it away first\n"), "{said}");
    assert_eq!(code, 1);

    desk.write(
        "lake/wabalake.toml",
        "timezone = 'America/Bogota'\nsource_timezone = 'America/Lima'\n\
         [source_timezones]\nad_spend = 'America/New_York'\n\
         [[marts]]\nname = 'd'\nquery = 'delivery-rate'\nparams = { by = ['day', 'tag'] }\n",
    );
    let shown = |line: &str| -> Vec<String> {
        let mut command = desk.command(&format!("config --lake lake -f csv {line}"));
        let said = Said::of(command.env("WABALAKE_TIMEZONE", "Asia/Tokyo").output().unwrap());
        assert_eq!((said.err.as_str(), said.code), ("", 0));
        said.out.lines().map(str::to_owned).collect()
    };
    let lines = shown("");
    for line in [
        "timezone,Asia/Tokyo,WABALAKE_TIMEZONE",
        "source_timezone,America/Lima,wabalake.toml",
        "source_timezones.ad_spend,America/New_York,wabalake.toml",
        "inbox.after,leave,default",
        "inbox.settle_seconds,30,default",
        "marts.d,\"delivery-rate --by=day,tag\",wabalake.toml",
        "nightly.metrics,,default",
    ] {
        assert!(lines.iter().any(|shown| shown == line), "{line}: {lines:?}");
    }
    let lines = shown("--timezone UTC --source-timezone UTC");
    assert!(lines.contains(&"timezone,UTC,--timezone".to_owned()), "{lines:?}");
    assert!(lines.contains(&"source_timezone,UTC,--source-timezone".to_owned()), "{lines:?}");
    assert!(!lines.iter().any(|line| line.starts_with("source_timezones")), "{lines:?}");
}

#[test]
fn each_kind_of_export_has_its_own_clock() {
    let desk = Desk::new();
    std::fs::create_dir(desk.folder.path().join("lake")).unwrap();
    desk.write("lake/wabalake.toml", "[source_timezones]\nsessions = 'America/Bogota'\n");
    assert_eq!(desk.run("load sessions.csv --lake lake --quiet").code, 0);
    let first = |line: &str| {
        let said = desk.told(&format!("query session-duration --by hour --lake lake {line}"));
        said.lines().nth(1).unwrap().split(',').next().unwrap().to_owned()
    };
    assert_eq!(first(""), "2025-06-01T07:00:00Z");
    assert_eq!(desk.run("undo --lake lake").code, 0);
    assert_eq!(desk.run("load sessions.csv --lake lake -q --source-timezone UTC").code, 0);
    assert_eq!(first(""), "2025-06-01T02:00:00Z");
}

const NIGHTS: &str = "\
[inbox]
settle_seconds = 0
folders = ['../inbox']
failed = '../failed'
[[marts]]
name = 'days'
query = 'session-duration'
[nightly]
metrics = 'night.prom'
";

/// A desk with a lake that has settings and an inbox with an export.
fn desk_at_night() -> Desk {
    let desk = Desk::new();
    for folder in ["lake", "inbox"] {
        std::fs::create_dir(desk.folder.path().join(folder)).unwrap();
    }
    desk.write("lake/wabalake.toml", NIGHTS);
    desk.write("inbox/sessions.csv", SESSIONS);
    desk
}

/// The same without the times that things took.
fn timeless(text: &str) -> String {
    let is_number = |word: &str| word.parse::<f64>().is_ok();
    let words = text.split_inclusive([' ', '\n']).collect::<Vec<_>>();
    let mut told = String::new();
    for (at, word) in words.iter().enumerate() {
        let seconds = words.get(at + 1).is_some_and(|next| next.trim_end() == "s");
        told.push_str(if seconds && is_number(word.trim_end()) { "# " } else { word });
    }
    told
}

#[test]
fn a_night_says_what_it_did_and_why() {
    let desk = desk_at_night();
    let tried = timeless(&desk.told("nightly --lake lake --dry-run"));
    assert_eq!(
        tried,
        "inbox: sessions.csv would be loaded, unless the lake has it\n\
         days: all: there is none yet\n\
         only tried: nothing was done in # s\n"
    );
    assert!(!desk.exists("lake/marts") && !desk.exists("lake/night.prom"));
    let first = timeless(&desk.told("nightly --lake lake"));
    assert_eq!(
        first,
        "inbox: 1 file loaded, 0 files known already; 3 rows new, 0 updated, 1 rejected\n\
         days: all: there is none yet; 2 rows, # s\n\
         done in # s\n"
    );
    let metrics = desk.read("lake/night.prom");
    for line in [
        "wabalake_night_whole 1",
        "wabalake_night_rows_new 3",
        "wabalake_mart_days{mart=\"days\"} 2",
    ] {
        assert!(metrics.lines().any(|told| told == line), "{metrics}");
    }
    let second = timeless(&desk.told("nightly --lake lake"));
    assert_eq!(second, "days: nothing: nothing that it is made from changed\ndone in # s\n");
    let full = timeless(&desk.told("nightly --lake lake --full --only days"));
    assert_eq!(full, "days: all: asked for; 2 rows, # s\ndone in # s\n");

    let (said, code) = desk.refused("nightly --lake lake --only dais");
    assert_eq!(said, "error: there is no mart `dais`\n  hint: did you mean `days`?\n");
    assert_eq!(code, 2);
    let (said, code) = desk.refused("nightly --lake lake --as-of yesterday");
    assert!(
        said.starts_with("error: `--as-of` takes an instant or versions of tables\n"),
        "{said}"
    );
    assert_eq!(code, 2);
}

#[test]
fn a_file_at_fault_does_not_stop_a_night() {
    let desk = desk_at_night();
    desk.write("inbox/notes.csv", "nothing,to,see\n1,2,3\n");
    let said = desk.run("nightly --lake lake --json");
    assert_eq!(said.code, 1);
    assert_eq!(
        said.err,
        "error: 1 file is at fault; the rest of the night is done\n  \
         hint: what is wrong with each is said above, and beside files that were moved\n"
    );
    let report: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(report["outcome"], "incomplete");
    assert_eq!(report["inbox"]["failed"][0]["file"], "notes.csv");
    assert_eq!(report["marts"][0]["rows"], 2);
    assert!(desk.exists("failed/notes.csv") && desk.exists("failed/notes.csv.error.txt"));
    assert!(desk.read("lake/night.prom").contains("\nwabalake_night_whole 0\n"));
}

#[test]
fn a_page_that_cannot_be_written_is_told_of() {
    let desk = desk_at_night();
    desk.write(
        "lake/wabalake.toml",
        &format!("{NIGHTS}\n[page]\nfile = \"wabalake.toml/page.html\"\n"),
    );
    let said = desk.run("nightly --lake lake");
    assert_eq!(said.code, 1);
    assert!(said.err.starts_with("error: 1 page is at fault; the rest"), "{}", said.err);
    assert!(said.out.contains("page.html: error: "), "{}", said.out);
    assert!(said.out.contains("\nincomplete in "), "{}", said.out);
}

#[cfg(unix)]
#[test]
fn a_command_is_told_of_a_night() {
    let desk = desk_at_night();
    let night = |notify: &str| {
        let mut command = desk.command("nightly --lake lake --json");
        Said::of(command.env("WABALAKE_NOTIFY_COMMAND", notify).output().unwrap())
    };
    let said = night("cat > told.json; echo $WABALAKE_OUTCOME > outcome");
    assert_eq!((said.code, said.err.as_str()), (0, ""));
    assert_eq!(desk.read("told.json"), said.out.trim_end());
    assert_eq!(desk.read("outcome"), "done\n");
    desk.write("lake/wabalake.toml", &NIGHTS.replace("session-duration", "sesion-duration"));
    let said = night("cat > told.json");
    assert_eq!(said.code, 1);
    let told: serde_json::Value = serde_json::from_str(&desk.read("told.json")).unwrap();
    assert_eq!(told["error"], "mart `days`: no query `sesion-duration`");
    desk.write("lake/wabalake.toml", NIGHTS);
    desk.write("lake/wabalake.toml", &NIGHTS.replace("[nightly]", "[nightly]\nnotify_seconds = 1"));
    // It reads nothing, and what it began would outlive it.
    let said = night("sleep 60 & echo $! > began; wait");
    assert_eq!(said.code, 1);
    assert_eq!(
        said.err,
        "error: the command that is to be told of the night: it was stopped after 1 second\n  \
         hint: `notify_seconds` in wabalake.toml, under [nightly], says how long it may take\n"
    );
    let began = Path::new("/proc").join(desk.read("began").trim()).join("cmdline");
    assert!(
        !std::fs::read(began).is_ok_and(|line| line.starts_with(b"sleep")),
        "it is still there"
    );
    desk.write("lake/wabalake.toml", NIGHTS);
    let said = night("exit 3");
    assert_eq!(said.code, 1);
    let wrong = "error: the command that is to be told of the night";
    assert!(said.err.starts_with(wrong), "{}", said.err);
}

#[test]
fn a_fresh_mart_answers_with_the_same_bytes() {
    let desk = desk_at_night();
    assert_eq!(desk.run("nightly --lake lake").code, 0);
    let explained = |line: &str| desk.told(&format!("explain session-duration --lake lake {line}"));
    let from_mart = "answered from the mart `days`, which is fresh (--no-marts: from tables)\n";
    for options in ["", "--from 2025-06-02", "--from 2025-06-01 --to 2025-06-01"] {
        assert!(explained(options).starts_with(from_mart), "{}", explained(options));
        let asked = format!("query session-duration --lake lake {options}");
        let rows = desk.told(&asked);
        assert!(rows.lines().count() > 1, "{rows}");
        assert_eq!(rows, desk.told(&format!("{asked} --no-marts")));
        assert_eq!(rows.lines().next(), desk.told(&format!("{asked} --limit 0")).lines().next());
    }
    assert!(!explained("--no-marts").contains("mart `days`"));
    assert!(!explained("--timezone America/Bogota").contains("mart `days`"));
    desk.write("more.csv", &SESSIONS.replace("s1,", "s9,"));
    assert_eq!(desk.run("load more.csv --lake lake --quiet").code, 0);
    assert!(!explained("").contains("mart `days`"), "it is not fresh any more");
}
