//! Text from files in messages: no control character, bidirectional mark or line break is printed.
#![cfg(unix)]

use std::path::Path;
use std::process::Command;

use proptest::prelude::*;

use crate::support::{Desk, Said};

/// Control characters, bidirectional marks and invisible characters.
const PLANTED: &str =
    "[a-z\u{1b}\n\r\t\u{7}\u{7f}\u{85}\u{9b}\u{202e}\u{2066}\u{2028}\u{200b}\u{feff}\\[]{1,6}";

fn check_escaped(said: &str, planted: &str) {
    let obeyed = |c: char| {
        c != '\n' && c.is_control() || "\u{202e}\u{2066}\u{2028}\u{200b}\u{feff}".contains(c)
    };
    assert!(!said.contains(obeyed), "{said:?}");
    assert!(!planted.contains('\n') || !said.contains(planted), "{said:?}");
}

fn run(command: &mut Command, planted: &str) -> Said {
    let said = Said::of(command.output().unwrap());
    check_escaped(&said.out, planted);
    check_escaped(&said.err, planted);
    said
}

/// Runs commands that print names, headers and arguments, with a planted text in each.
fn run_commands_with(planted: &str) {
    let desk = Desk::new();
    let name = |ending: &str| format!("x{planted}y{ending}");
    let inbox = |folder: &str| {
        desk.path(folder).is_dir() || std::fs::create_dir_all(desk.path(folder)).is_ok()
    };
    assert!(inbox("in") && inbox("sheet"));
    let title = planted.replace(['\n', '\r', '\t'], "\u{1b}");
    let export = format!(
        "session_id,session_started_timestamp,\"x{title}\"\n{title},2025-06-01,1\ns2,soon{title},2\n\
         s3,2025-06-01 10:00:00,3\n"
    );
    desk.write(&name(".csv"), &export);
    let load = run(desk.command("load --lake lake").arg(name(".csv")), planted);
    assert_eq!(load.code, 0, "{}", load.err);
    assert!(load.out.contains("columns left out: x"), "{}", load.out);
    run(desk.command("rejects --lake lake").arg("--export").arg(name(".mend.csv")), planted);
    run(&mut desk.command("rejects --lake lake"), planted);

    desk.write(&name(".txt"), &format!("{title},b\n1,2\n"));
    desk.write(&format!("in/{}", name(".csv")), &format!("session_id,\"x{title}\"\ns1,1\n"));
    for line in ["load --lake lake", "load --lake lake --rename a=b", "load --lake lake --per-file"]
    {
        assert_eq!(run(desk.command(line).arg(name(".txt")), planted).code, 1);
        run(desk.command(line).arg("in").arg(name(".txt")).arg(name(".csv")), planted);
        run(desk.command(line).arg(name(".gone")), planted);
    }
    desk.write(
        "lake/wabalake.toml",
        "[inbox]\nsettle_seconds = 0\nfolders = ['../in']\nfailed = '../aside'\n",
    );
    run(&mut desk.command("nightly --lake lake --dry-run"), planted);
    let night = run(&mut desk.command("nightly --lake lake"), planted);
    assert_eq!(night.code, 1, "{}", night.out);
    let beside = desk.path("aside").join(name(".csv.error.txt"));
    check_escaped(&std::fs::read_to_string(&beside).unwrap(), planted);

    for statement in [
        format!("SELECT {title}"),
        format!("SELECT * FROM \"{planted}\""),
        format!("SELECT \"{planted}\" FROM sessions"),
        format!("SELECT nosuch('{planted}') FROM sessions"),
        format!("SELECT ARRAY[1] AS \"{planted}\""),
    ] {
        assert_eq!(run(desk.command("sql --lake lake").arg(statement), planted).code, 2);
    }
    let found = format!("SELECT session_id FROM sessions WHERE last_node_id = '{planted}'");
    run(desk.command("explain sql --lake lake").arg(&found), planted);
    run(desk.command("query --lake lake").arg(name(".sql")), planted);
    run(desk.command("status --lake").arg(name("")), planted);
    run(desk.command("query drop-off --lake lake --from").arg(planted), planted);
    run(desk.command("query").arg(planted), planted);
    desk.write(
        "lake/wabalake.toml",
        &format!("timezone = \"{}\"\n", title.replace('\u{1b}', "\\u001b")),
    );
    run(&mut desk.command("status --lake lake"), planted);
    assert!(Path::new(&beside).exists());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3, max_shrink_iters: 0, ..ProptestConfig::default() })]

    #[test]
    fn control_characters_of_files_are_never_printed(planted in PLANTED) {
        run_commands_with(&planted);
    }
}

#[test]
fn escape_sequence_in_a_file_name_is_printed_escaped() {
    let desk = Desk::new();
    let said = Said::of(desk.command("load --lake lake").arg("a\n\u{1b}7b").output().unwrap());
    assert!(said.err.starts_with("error: `a\\n\\u{1b}7b` cannot be read: "), "{}", said.err);
    assert_eq!(said.err.lines().count(), 2, "{}", said.err);
}
