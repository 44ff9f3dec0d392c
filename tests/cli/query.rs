//! `query` and `explain`: formats, time zone, wrong usage, clusters.

use std::path::Path;
use std::process::Stdio;

use wabalake_queries::CATALOG;

use crate::support::{Desk, LOADED, Said};

pub(super) const DROP_OFF: &str = "\
conversation_id,conversation_version,last_node_id,sessions,share_pct,users,agent_sessions,\
avg_duration_seconds,label,position,is_final
417,2,size,2,66.66666666666667,2,1,55.0,,,
417,2,\"colour, then\",1,33.333333333333336,1,0,,,,
";

#[test]
fn answer_in_every_format() {
    let desk = &*LOADED;
    for (format, expected) in [
        ("csv", DROP_OFF.to_owned()),
        ("tsv", DROP_OFF.replace(',', "\t").replace("\"colour\t then\"", "colour, then")),
        (
            "table",
            "\
 conversation_id │ conversation_version │ last_node_id │ sessions │ share_pct │ users │ agent_sessions │ avg_duration_seconds │ label │ position │ is_final
─────────────────┼──────────────────────┼──────────────┼──────────┼───────────┼───────┼────────────────┼──────────────────────┼───────┼──────────┼──────────
 417             │                    2 │ size         │        2 │     66.67 │     2 │              1 │               55.00s │ –     │        – │ –
 417             │                    2 │ colour, then │        1 │     33.33 │     1 │              0 │                    – │ –     │        – │ –
".replacen("conv", " conv", 1).replacen("  conv", " conv", 1),
        ),
        (
            "json",
            r#"[
{"conversation_id":"417","conversation_version":2,"last_node_id":"size","sessions":2,"share_pct":66.66666666666667,"users":2,"agent_sessions":1,"avg_duration_seconds":55.0,"label":null,"position":null,"is_final":null},
{"conversation_id":"417","conversation_version":2,"last_node_id":"colour, then","sessions":1,"share_pct":33.333333333333336,"users":1,"agent_sessions":0,"avg_duration_seconds":null,"label":null,"position":null,"is_final":null}
]
"#
            .to_owned(),
        ),
        (
            "ndjson",
            r#"{"conversation_id":"417","conversation_version":2,"last_node_id":"size","sessions":2,"share_pct":66.66666666666667,"users":2,"agent_sessions":1,"avg_duration_seconds":55.0,"label":null,"position":null,"is_final":null}
{"conversation_id":"417","conversation_version":2,"last_node_id":"colour, then","sessions":1,"share_pct":33.333333333333336,"users":1,"agent_sessions":0,"avg_duration_seconds":null,"label":null,"position":null,"is_final":null}
"#
            .to_owned(),
        ),
        (
            "markdown",
            "\
| conversation_id | conversation_version | last_node_id | sessions | share_pct | users | agent_sessions | avg_duration_seconds | label | position | is_final |
| --- | ---: | --- | ---: | ---: | ---: | ---: | ---: | --- | ---: | --- |
| 417 | 2 | size | 2 | 66.67 | 2 | 1 | 55.00s | – | – | – |
| 417 | 2 | colour, then | 1 | 33.33 | 1 | 0 | – | – | – | – |
"
            .to_owned(),
        ),
    ] {
        assert_eq!(desk.stdout(&format!("query drop-off --lake lake -f {format}")), expected);
    }
    for (format, magic) in [("parquet", "PAR1"), ("arrow", "ARROW1")] {
        let done = desk.command(&format!("query drop-off --lake lake -f {format}")).output();
        assert!(done.unwrap().stdout.starts_with(magic.as_bytes()), "{format}");
    }
}

#[test]
fn file_name_decides_the_format() {
    let desk = Desk::loaded();
    assert_eq!(desk.stdout("query drop-off --lake lake -o answer.csv"), "");
    assert_eq!(desk.read("answer.csv"), DROP_OFF);
    assert_eq!(desk.stdout("query drop-off --lake lake --limit 1 --output answer.md"), "");
    assert_eq!(desk.read("answer.md").lines().count(), 3);
    assert_eq!(desk.stdout("query drop-off --lake lake -f csv -o answer.md"), "");
    assert_eq!(desk.read("answer.md"), DROP_OFF);
    let (said, code) = desk.failure("query drop-off --lake lake -o none/answer.csv");
    assert_eq!(
        said,
        "error: writing `none/answer.csv`: there is no folder `none`\n  \
         hint: create it: `mkdir -p none`\n"
    );
    assert_eq!(code, 2);
}

#[test]
fn time_zone_comes_from_option_environment_or_settings() {
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
        desk.stdout(
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
    let (said, code) = desk.failure("query drop-off --lake lake");
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
fn empty_lake_answers_with_a_header() {
    let desk = Desk::new();
    std::fs::create_dir(desk.folder.path().join("empty")).unwrap();
    for entry in CATALOG {
        let needs = entry.needs().join(" ");
        let answer = desk.stdout(&format!("query {} {needs} --lake empty", entry.spec.name));
        let last = entry.spec.columns.last().unwrap().name;
        assert!(answer.lines().next().unwrap().ends_with(last), "{answer}");
    }
}

#[test]
fn missing_lake_is_an_error_with_a_hint() {
    let desk = Desk::new();
    let (said, code) = desk.failure("query drop-off --lake none");
    assert_eq!(code, 1);
    assert!(said.starts_with("error: no lake at `none`: "), "{said}");
    assert!(said.contains("`wabalake load FILE"), "{said}");
    assert!(said.contains("--lake none`"), "{said}");
}

#[test]
fn wrong_usage_exits_with_2_and_suggests_the_nearest() {
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
             `session-status`, `channel` and `tag`\n",
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
            "error: no lake is given\n  \
             hint: name its folder with `--lake DIR`, or set WABALAKE_LAKE\n",
        ),
        (
            "lod x.csv",
            "error: no command `lod`\n  hint: did you mean `load`? `wabalake --help` lists them\n",
        ),
    ] {
        assert_eq!(desk.failure(line), (expected.to_owned(), 2), "wabalake {line}");
    }
    let bare = desk.run("");
    assert_eq!((bare.out.as_str(), bare.code), ("", 2));
    assert!(bare.err.contains("Usage: wabalake <COMMAND>"), "{}", bare.err);
}

#[test]
fn date_range_opens_only_files_of_its_days() {
    let desk = &*LOADED;
    let plan = desk.stdout("explain drop-off --lake lake --from 2025-06-02 --to 2025-06-02");
    assert!(plan.contains("Parquet SCAN"), "{plan}");
    assert!(plan.contains("utc_day=2025-06-02"), "{plan}");
    assert!(plan.contains("SELECTION"), "{plan}");
    assert!(!plan.contains("last_message"), "{plan}");
}

#[test]
fn safe_output_guards_formulas() {
    let desk = Desk::new();
    let formulas = desk.read("sessions.csv").replace("size", "=1+1").replace("25:00:00", "25:00");
    desk.write("sessions.csv", &formulas);
    desk.run("load sessions.csv --lake lake");
    let words = "query drop-off --lake lake --safe";
    assert!(desk.stdout(&format!("{words} -f csv")).contains("417,2,'=1+1,2,66"));
    assert!(desk.stdout(&format!("{words} -f tsv")).contains("417\t2\t'=1+1\t2\t66"));
    desk.stdout(&format!("{words} -o a.csv"));
    assert!(desk.read("a.csv").contains(",'=1+1,"));
    assert!(desk.stdout("query drop-off --lake lake -f csv").contains(",=1+1,"));
    for place in ["-f json", "-f table", "-o a.parquet"] {
        let (said, code) = desk.failure(&format!("{words} {place}"));
        assert!(
            said.starts_with("error: `--safe` applies to csv and tsv only\n  hint: "),
            "{said}"
        );
        assert_eq!(code, 2);
    }
    let exported = |words: &str| desk.stdout(&format!("rejects --lake lake --export - {words}"));
    assert!(exported("").lines().nth(1).unwrap().contains(",'=1+1,'"), "{}", exported(""));
    assert!(exported("--exact").lines().nth(1).unwrap().contains(",=1+1,"));
    assert_eq!(desk.failure("rejects --lake lake --exact").1, 2);
}

#[test]
fn closed_pipe_is_no_error() {
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
fn full_disk_is_an_error() {
    let desk = &*LOADED;
    let full = || std::fs::File::options().write(true).open(Path::new("/dev/full")).unwrap();
    let done = desk.command("query drop-off --lake lake").stdout(full()).output().unwrap();
    let said = Said::of(done);
    assert!(said.err.starts_with("error: writing to standard output: "), "{}", said.err);
    assert_eq!(said.code, 1);
}

#[test]
fn cluster_options_need_engine_spark() {
    for option in ["--remote sc://localhost", "--map-path /mnt/lake=s3://bucket/lake"] {
        let (said, code) = LOADED.failure(&format!("query drop-off --lake lake {option}"));
        let name = option.split(' ').next().unwrap();
        let expected = format!("error: `{name}` needs a cluster\n  hint: add `--engine spark`\n");
        assert_eq!((said, code), (expected, 2));
    }
    // The environment variable alone is no error.
    let mut here = LOADED.command("query drop-off --lake lake");
    here.env("WABALAKE_REMOTE", "sc://localhost:1");
    assert_eq!(Said::of(here.output().unwrap()).out, DROP_OFF);
}

#[cfg(not(feature = "cluster"))]
#[test]
fn program_without_the_cluster_feature_says_how_to_build_it() {
    let asked = "query drop-off --lake lake --engine spark --remote sc://localhost";
    let (said, code) = LOADED.failure(asked);
    assert_eq!(code, 2);
    assert!(said.contains("--features cluster"), "{said}");
}

#[cfg(feature = "cluster")]
#[test]
fn cluster_needs_an_address_and_tls_for_a_token() {
    let asked = "query drop-off --lake lake --engine spark";
    let (said, code) = LOADED.failure(asked);
    assert_eq!(code, 2);
    assert!(said.contains("--remote sc://"), "{said}");
    let mut with_token = LOADED.command(&format!("{asked} --remote sc://192.0.2.1"));
    let said = Said::of(with_token.env("WABALAKE_TOKEN", "s3cret").output().unwrap());
    assert_eq!(
        (said.err.as_str(), said.code),
        (
            "error: the token would be sent to 192.0.2.1 unencrypted\n  \
             hint: use TLS: sc://192.0.2.1:15002/;use_ssl=true\n",
            2
        )
    );
}
