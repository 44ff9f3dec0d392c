//! A load that fails leaves no files, and a full disk is reported.

use std::fs::{self, File};
use std::process::{Command, Stdio};

use wabalake::lake::Lake;
use wabalake_data::tables::{messages, sessions};

use crate::support::{Desk, Said, entries_below, files_below, gz, sessions_export};

#[test]
fn failed_load_leaves_no_files() {
    let desk = Desk::new();
    desk.write("notes.txt", "Exported on Monday.\n");
    desk.write("empty.csv", "");
    fs::write(desk.path("cut.csv.gz"), &gz(sessions_export(0..9).as_bytes())[..40]).unwrap();
    fs::create_dir(desk.path("folder")).unwrap();
    let lakes = ["new", "deep/er/new", "there", "settings", "settings/new"];
    fs::create_dir(desk.path("there")).unwrap();
    fs::create_dir(desk.path("settings")).unwrap();
    desk.write("settings/wabalake.toml", "timezone = 'America/Bogota'\n");
    let before = entries_below(desk.folder.path());
    for lake in lakes {
        for line in [
            "gone.csv",
            "notes.txt",
            "empty.csv",
            "cut.csv.gz",
            "cut.csv.gz --per-file",
            "folder",
            "'*.tsv'",
            "sessions.csv --strict",
            "sessions.csv --max-rejects 0",
            "sessions.csv --strict --per-file",
            "sessions.csv --source-timezone America/Bogata",
            "sessions.csv --kind deployments",
            "sessions.csv --sheet June --rename a=b",
        ] {
            for tried in ["", "--dry-run"] {
                let said = desk.run(&format!("load {line} --lake {lake} {tried}"));
                assert_ne!(said.code, 0, "{line} {tried}");
                assert_eq!(
                    entries_below(desk.folder.path()),
                    before,
                    "{line} {tried} --lake {lake}"
                );
            }
        }
    }
    // An existing lake keeps its files.
    assert_eq!(desk.run("load sessions.csv --lake there -q").code, 0);
    let before = entries_below(desk.folder.path());
    assert_ne!(desk.run("load notes.txt --lake there").code, 0);
    assert_eq!(entries_below(desk.folder.path()), before);
}

#[test]
fn failed_load_keeps_the_lake_of_a_concurrent_load() {
    let desk = Desk::new();
    desk.write("notes.txt", "Exported on Monday.\n");
    let good = 4;
    for number in 0..good {
        desk.write(&format!("{number}.csv"), &sessions_export([number]));
    }
    for round in 0..4 {
        let lake = format!("lake-{round}/a");
        let start = |file: &str| {
            let mut command = desk.command(&format!("load {file} --lake {lake} -q"));
            command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
        };
        let mut running = Vec::new();
        for number in 0..good {
            running.push((start("notes.txt"), 1));
            running.push((start(&format!("{number}.csv")), 0));
            running.push((start("notes.txt"), 1));
        }
        for (running, code) in running {
            let said = Said::of(running.wait_with_output().unwrap());
            assert_eq!(said.code, code, "{}", said.err);
        }
        let lake = Lake::open(desk.path(&lake)).unwrap();
        assert_eq!(lake.snapshot(&sessions::TABLE).unwrap().rows(), good as u64);
    }
}

/// Runs a load with a limit on the size of files, which acts like a full disk.
#[cfg(target_os = "linux")]
fn load_within(desk: &Desk, kib: u32, line: &str) -> Said {
    let mut shell = Command::new("bash");
    shell.current_dir(desk.folder.path());
    shell.args(["-c", &format!("ulimit -f {kib}; trap '' XFSZ; exec \"$0\" \"$@\"")]);
    let command = desk.command(line);
    shell.arg(command.get_program()).args(command.get_args());
    shell.env_remove("WABALAKE_LAKE").stdin(File::open(desk.path("large.csv")).unwrap());
    Said::of(shell.output().unwrap())
}

#[cfg(target_os = "linux")]
#[test]
fn full_disk_reports_what_was_stored_and_how_to_continue() {
    let desk = Desk::new();
    let id = |number: u64| number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let rows = (0..20_000).map(|number| {
        let texts = [id(number), id(number + 7), id(number + 9)].map(|id| format!("{id:016x}"));
        format!("{},2025-06-01T10:00:00Z,false,{}\n", texts[0], texts[1..].concat())
    });
    let titles = "whatsapp_id,created_at,message_direction,message\n";
    desk.write("large.csv", &(titles.to_owned() + &rows.collect::<String>()));
    desk.write("small.csv", &sessions_export(0..3));
    let before = entries_below(desk.folder.path());

    // While standard input is copied.
    let said = load_within(&desk, 100, "load - --lake lake");
    assert_eq!(said.code, 1);
    let root = desk.folder.path().canonicalize().unwrap().join("lake");
    let scratch = root.join(".wabalake/scratch").display().to_string();
    let begins = format!("error: a file would exceed the maximum file size: writing to `{scratch}");
    assert!(said.err.starts_with(&begins), "{}", said.err);
    let nothing = format!("  found: nothing of this load is in the lake `{}`\n", root.display());
    assert!(said.err.contains(&nothing), "{}", said.err);
    assert!(said.err.contains("load the same files again"), "{}", said.err);
    assert_eq!(entries_below(desk.folder.path()), before);
    let said = load_within(&desk, 100, "load - --lake lake --dry-run");
    assert!(
        said.err.contains("found: this was a dry run: nothing is written to the lake\n"),
        "{}",
        said.err
    );
    assert_eq!(entries_below(desk.folder.path()), before);

    // While data files are written.
    let said = load_within(&desk, 100, "load large.csv --lake lake");
    assert_eq!(said.code, 1);
    assert!(said.err.contains("writing `") && said.err.contains(".parquet`"), "{}", said.err);
    assert!(said.err.contains(&nothing), "{}", said.err);
    assert_eq!(entries_below(desk.folder.path()), before);

    // One of two tables is committed, and taken back.
    let said = load_within(&desk, 100, "load small.csv large.csv --lake lake");
    assert_eq!(said.code, 1);
    assert!(said.err.contains("nothing of this load is in the lake"), "{}", said.err);
    let rows = || {
        let lake = Lake::open(&root).unwrap();
        [&sessions::TABLE, &messages::TABLE].map(|table| lake.snapshot(table).unwrap().rows())
    };
    assert_eq!(rows(), [0, 0]);
    assert!(!desk.stdout("load small.csv large.csv --lake lake").contains("already loaded"));
    assert_eq!(rows(), [3, 20_000]);
    let files = files_below(&root.join("tables/messages")).into_iter();
    let files = files.filter(|path| path.extension().is_some_and(|end| end == "parquet"));
    assert_eq!(files.count(), 1, "partial files are deleted");
}
