//! `nightly` as it is typed.

use std::path::Path;

use crate::support::{Desk, SESSIONS, Said};

const SETTINGS: &str = "\
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

/// A lake with settings, and an inbox with an export.
fn desk_with_inbox() -> Desk {
    let desk = Desk::new();
    desk.write("lake/wabalake.toml", SETTINGS);
    desk.write("inbox/sessions.csv", SESSIONS);
    desk
}

/// Replaces durations by `#`.
fn without_durations(text: &str) -> String {
    let is_number = |word: &str| word.parse::<f64>().is_ok();
    let words = text.split_inclusive([' ', '\n']).collect::<Vec<_>>();
    let mut reported = String::new();
    for (at, word) in words.iter().enumerate() {
        let seconds = words.get(at + 1).is_some_and(|next| next.trim_end() == "s");
        reported.push_str(if seconds && is_number(word.trim_end()) { "# " } else { word });
    }
    reported
}

#[test]
fn nightly_prints_what_it_did_and_why() {
    let desk = desk_with_inbox();
    let tried = without_durations(&desk.stdout("nightly --lake lake --dry-run"));
    assert_eq!(
        tried,
        "inbox: sessions.csv would be loaded, unless it was loaded before\n\
         days: all: not yet computed\n\
         dry run: nothing was done in # s\n"
    );
    assert!(!desk.exists("lake/marts") && !desk.exists("lake/night.prom"));
    let first = without_durations(&desk.stdout("nightly --lake lake"));
    assert_eq!(
        first,
        "inbox: 1 file loaded, 0 files loaded before; 3 rows new, 0 updated, 1 rejected\n\
         days: all: not yet computed; 2 rows, # s\n\
         done in # s\n"
    );
    let metrics = desk.read("lake/night.prom");
    for line in [
        "wabalake_night_whole 1",
        "wabalake_night_rows_new 3",
        "wabalake_mart_days{mart=\"days\"} 2",
    ] {
        assert!(metrics.lines().any(|reported| reported == line), "{metrics}");
    }
    let second = without_durations(&desk.stdout("nightly --lake lake"));
    assert_eq!(second, "days: nothing: no input changed\ndone in # s\n");
    let full = without_durations(&desk.stdout("nightly --lake lake --full --only days"));
    assert_eq!(full, "days: all: `--full`; 2 rows, # s\ndone in # s\n");

    let (said, code) = desk.failure("nightly --lake lake --only dais");
    assert_eq!(said, "error: there is no mart `dais`\n  hint: did you mean `days`?\n");
    assert_eq!(code, 2);
    let (said, code) = desk.failure("nightly --lake lake --as-of yesterday");
    assert!(said.starts_with("error: `--as-of` takes a time or versions of tables\n"), "{said}");
    assert_eq!(code, 2);
}

#[test]
fn mart_of_sql_is_computed_unless_it_names_people() {
    let desk = desk_with_inbox();
    let own = "[[marts]]\nname = 'own'\nsql = 'own.sql'\nparams = { since = '2025-06-01' }\n";
    desk.write("lake/wabalake.toml", &SETTINGS.replace("[nightly]", &format!("{own}[nightly]")));
    let statement = |columns: &str| {
        format!("SELECT {columns} FROM sessions WHERE session_started_timestamp >= :since")
    };
    desk.write("lake/own.sql", &statement("COUNT(DISTINCT user_phone) AS users"));
    let settings = desk.stdout("config --lake lake -f csv");
    let shown = "marts.own,own.sql --param=since=2025-06-01,wabalake.toml";
    assert!(settings.lines().any(|line| line == shown), "{settings}");
    let night = without_durations(&desk.stdout("nightly --lake lake"));
    assert!(night.contains("\nown: all: not yet computed; 1 row, # s\n"), "{night}");
    desk.write("lake/own.sql", &statement("user_phone"));
    let (said, code) = desk.failure("nightly --lake lake");
    assert_eq!(
        said,
        "error: mart `own`: `own.sql`: line 1, column 8: `user_phone` names people\n  \
         hint: count them, as in COUNT(DISTINCT user_phone), or set people_in_marts = true in [privacy]\n"
    );
    assert_eq!(code, 1);
}

#[test]
fn faulty_file_does_not_stop_the_run() {
    let desk = desk_with_inbox();
    desk.write("inbox/notes.csv", "nothing,to,see\n1,2,3\n");
    let said = desk.run("nightly --lake lake --json");
    assert_eq!(said.code, 1);
    assert_eq!(
        said.err,
        "error: 1 file failed; the rest of the run is done\n  \
         hint: the report lists the error of each; files that were moved have it beside them\n"
    );
    let report: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(report["outcome"], "incomplete");
    assert_eq!(report["inbox"]["failed"][0]["file"], "notes.csv");
    assert_eq!(report["marts"][0]["rows"], 2);
    assert!(desk.exists("failed/notes.csv") && desk.exists("failed/notes.csv.error.txt"));
    assert!(desk.read("lake/night.prom").contains("\nwabalake_night_whole 0\n"));
}

#[test]
fn page_that_cannot_be_written_is_reported() {
    let desk = desk_with_inbox();
    desk.write(
        "lake/wabalake.toml",
        &format!("{SETTINGS}\n[page]\nfile = \"wabalake.toml/page.html\"\n"),
    );
    let said = desk.run("nightly --lake lake");
    assert_eq!(said.code, 1);
    assert!(said.err.starts_with("error: 1 page failed; the rest"), "{}", said.err);
    assert!(said.out.contains("page.html: error: "), "{}", said.out);
    assert!(said.out.contains("\nincomplete in "), "{}", said.out);
}

#[cfg(unix)]
#[test]
fn notify_command_gets_the_report() {
    let desk = desk_with_inbox();
    let night = |notify: &str| {
        let mut command = desk.command("nightly --lake lake --json");
        Said::of(command.env("WABALAKE_NOTIFY_COMMAND", notify).output().unwrap())
    };
    let said = night("cat > reported.json; echo $WABALAKE_OUTCOME > outcome");
    assert_eq!((said.code, said.err.as_str()), (0, ""));
    assert_eq!(desk.read("reported.json"), said.out.trim_end());
    assert_eq!(desk.read("outcome"), "done\n");
    desk.write("lake/wabalake.toml", &SETTINGS.replace("session-duration", "sesion-duration"));
    let said = night("cat > reported.json");
    assert_eq!(said.code, 1);
    let reported: serde_json::Value = serde_json::from_str(&desk.read("reported.json")).unwrap();
    assert_eq!(reported["error"], "mart `days`: no query `sesion-duration`");
    desk.write("lake/wabalake.toml", SETTINGS);
    desk.write(
        "lake/wabalake.toml",
        &SETTINGS.replace("[nightly]", "[nightly]\nnotify_seconds = 1"),
    );
    // The command does not read its input, and its child would outlive it.
    let said = night("sleep 60 & echo $! > began; wait");
    assert_eq!(said.code, 1);
    assert_eq!(
        said.err,
        "error: `notify_command` failed: it was stopped after 1 second\n  \
         hint: `notify_seconds` in wabalake.toml, under [nightly], says how long it may take\n"
    );
    let began = Path::new("/proc").join(desk.read("began").trim()).join("cmdline");
    assert!(
        !std::fs::read(began).is_ok_and(|line| line.starts_with(b"sleep")),
        "the child still runs"
    );
    desk.write("lake/wabalake.toml", SETTINGS);
    let said = night("exit 3");
    assert_eq!(said.code, 1);
    let wrong = "error: `notify_command` failed";
    assert!(said.err.starts_with(wrong), "{}", said.err);
}

#[test]
fn fresh_mart_answers_with_the_same_bytes() {
    let desk = desk_with_inbox();
    assert_eq!(desk.run("nightly --lake lake").code, 0);
    let explained =
        |line: &str| desk.stdout(&format!("explain session-duration --lake lake {line}"));
    let from_mart =
        "answered from the mart `days`, which is up to date (--no-marts: from tables)\n";
    for options in ["", "--from 2025-06-02", "--from 2025-06-01 --to 2025-06-01"] {
        assert!(explained(options).starts_with(from_mart), "{}", explained(options));
        let asked = format!("query session-duration --lake lake {options}");
        let rows = desk.stdout(&asked);
        assert!(rows.lines().count() > 1, "{rows}");
        assert_eq!(rows, desk.stdout(&format!("{asked} --no-marts")));
        assert_eq!(rows.lines().next(), desk.stdout(&format!("{asked} --limit 0")).lines().next());
    }
    assert!(!explained("--no-marts").contains("mart `days`"));
    assert!(!explained("--timezone America/Bogota").contains("mart `days`"));
    desk.write("more.csv", &SESSIONS.replace("s1,", "s9,"));
    assert_eq!(desk.run("load more.csv --lake lake --quiet").code, 0);
    assert!(!explained("").contains("mart `days`"), "the mart is stale");
}
