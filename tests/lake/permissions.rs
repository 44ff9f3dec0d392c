//! Permissions of files that commands write; read-only commands write nothing.
#![cfg(unix)]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::support::{Desk, entries_below};

const SETTINGS: &str = "\
[inbox]
settle_seconds = 0
folders = ['../inbox']
[[marts]]
name = 'days'
query = 'session-duration'
[page]
file = 'page.html'
[nightly]
metrics = 'night.prom'
";

/// A lake with settings, and an inbox.
fn desk(settings: &str) -> Desk {
    let desk = Desk::new();
    let folder = desk.folder.path();
    for made in ["lake", "inbox"] {
        fs::create_dir(folder.join(made)).unwrap();
        fs::set_permissions(folder.join(made), PermissionsExt::from_mode(0o700)).unwrap();
    }
    let settings = desk.write("lake/wabalake.toml", settings);
    fs::set_permissions(settings, PermissionsExt::from_mode(0o600)).unwrap();
    desk
}

/// Runs a command with a umask.
fn run(desk: &Desk, umask: &str, line: &str) {
    let command = desk.command(line);
    let mut shell = Command::new("sh");
    shell.current_dir(desk.folder.path());
    shell.args(["-c", &format!("umask {umask}; exec \"$0\" \"$@\"")]);
    shell.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    let output = shell.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{line}: {said}");
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn lake_files_follow_the_umask_of_the_settings() {
    for (umask, own, files, folders) in [
        ("000", "", 0o640, 0o750),
        ("022", "", 0o640, 0o750),
        ("077", "", 0o600, 0o700),
        ("022", "[lake]\numask = '007'\n", 0o660, 0o770),
        ("000", "[lake]\numask = '077'\n", 0o600, 0o700),
    ] {
        let desk = desk(&format!("{own}{SETTINGS}"));
        let lake = desk.path("lake");
        fs::copy(desk.path("sessions.csv"), desk.path("inbox/a.csv")).unwrap();
        run(&desk, umask, "nightly --lake lake");
        run(&desk, umask, "compact --lake lake");
        run(&desk, umask, "vacuum --retain-days 0 --lake lake");
        let mut seen = 0;
        for path in entries_below(&lake) {
            let expected = match path.strip_prefix(&lake).unwrap().to_str().unwrap() {
                "wabalake.toml" => 0o600,
                "night.prom" => 0o644,
                _ if path.is_dir() => folders,
                _ => files,
            };
            assert_eq!(mode(&path), expected, "{} under {umask}, {own}", path.display());
            seen += 1;
        }
        assert!(seen > 15, "{seen}");
    }
}

#[test]
fn files_with_people_are_readable_by_their_owner_only() {
    let desk = Desk::loaded();
    desk.write("there.csv", "");
    desk.write("there-too.csv", "");
    for (name, before) in [("there.csv", 0o644), ("there-too.csv", 0o644)] {
        let path = desk.path(name);
        fs::set_permissions(path, PermissionsExt::from_mode(before)).unwrap();
    }
    for (line, file, expected) in [
        ("query drop-off -o", "answer.csv", 0o640),
        ("query drop-off -o", "there-too.csv", 0o644),
        ("query session-chains -o", "chains.csv", 0o600),
        ("query session-chains -o", "there.csv", 0o600),
        ("query user-history --phone +573000000001 -o", "history.parquet", 0o600),
        ("status -o", "status.json", 0o640),
        ("rejects -o", "rejects.csv", 0o640),
        ("rejects --raw -o", "raw.csv", 0o600),
        ("rejects --export", "mend.csv", 0o600),
        ("report -o", "page.html", 0o640),
        ("report --conversation-id 417 --with-people -o", "people.html", 0o600),
    ] {
        run(&desk, "022", &format!("{line} {file} --lake lake"));
        assert_eq!(mode(&desk.path(file)), expected, "{line} {file}");
    }
    desk.write("own.sql", "SELECT user_phone AS p FROM sessions");
    run(&desk, "022", "query ./own.sql --lake lake -o own.csv");
    assert_eq!(mode(&desk.path("own.csv")), 0o600);
    run(&desk, "022", "man --out man");
    assert_eq!(mode(&desk.path("man/wabalake.1")), 0o644);
}

#[test]
fn read_only_commands_write_nothing() {
    let desk = desk(SETTINGS);
    let lake = desk.path("lake");
    fs::copy(desk.path("sessions.csv"), desk.path("inbox/a.csv")).unwrap();
    run(&desk, "022", "nightly --lake lake");
    desk.write("more.csv", "session_id,session_started_timestamp\ns9,2025-06-01 10:00:00\ns8,x\n");
    fs::copy(desk.path("more.csv"), desk.path("inbox/b.csv")).unwrap();
    // Writing commands would recreate it.
    fs::remove_dir_all(lake.join(".wabalake")).unwrap();
    let elsewhere = TempDir::new().unwrap();
    let seen = || -> BTreeMap<PathBuf, (u64, i64, i64)> {
        let all = entries_below(&lake).into_iter().chain([lake.clone()]);
        let stamp = |path: &Path| {
            let there = fs::symlink_metadata(path).unwrap();
            (there.ino(), there.ctime(), there.ctime_nsec())
        };
        all.map(|path| (path.clone(), stamp(&path))).collect()
    };
    let before = seen();
    for line in [
        "load more.csv --dry-run",
        "load more.csv --dry-run --per-file",
        "nightly --dry-run",
        "nightly --dry-run --full",
        "vacuum --dry-run --retain-days 0",
        "query drop-off",
        "query session-duration --by day",
        "query session-duration --by day --no-marts",
        "explain drop-off",
        "status",
        "coverage",
        "alerts",
        "rejects",
        "rejects --all",
        "history sessions",
        "config",
        "report",
        "views",
    ] {
        let mut command = desk.command(line);
        command.args(["--lake", "lake"]).env("TMPDIR", elsewhere.path());
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{line}: {said}");
        assert_eq!(seen(), before, "{line}");
    }
    assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 0, "scratch is left");
}
