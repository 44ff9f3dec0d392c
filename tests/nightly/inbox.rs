//! Files in the inbox of a nightly run: which are taken, which wait, what becomes of them.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use proptest::prelude::*;
use wabalake::config::Config;
use wabalake::lake::Lake;
use wabalake::load::{Options, Report, load};
use wabalake::nightly::{self, night};
use wabalake_data::tables::{messages, sessions};
use zip::write::SimpleFileOptions;

use crate::support::{self, Bench, Desk, Said, gz, passed_over};

fn run_night(bench: &Bench, settings: &str) -> nightly::Report {
    let config = Config::read(&format!("[inbox]\nfolders = ['../inbox']\n{settings}"));
    night(&bench.lake(), &config.unwrap(), &nightly::Options::default(), None).unwrap()
}

fn set_age(path: &Path, seconds: i64) {
    let now = SystemTime::now();
    let distance = Duration::from_secs(seconds.unsigned_abs());
    let at = if seconds < 0 { now + distance } else { now - distance };
    File::options().write(true).open(path).unwrap().set_modified(at).unwrap();
}

/// What came of the inbox: files loaded, rows new, names of those that are still arriving.
fn came(report: &nightly::Report) -> (u64, u64, Vec<&str>) {
    let inbox = &report.inbox;
    assert!(inbox.failed.is_empty(), "{:?}", inbox.failed);
    (inbox.files, inbox.rows_new, inbox.arriving.iter().map(String::as_str).collect())
}

#[test]
fn a_file_that_changed_lately_is_left_for_the_next_night() {
    let bench = Bench::new();
    for after in ["leave", "move", "delete"] {
        let settings = format!("after = '{after}'\nloaded = '../loaded'\nfailed = '../failed'\n");
        let file = bench.file(&format!("inbox/{after}.csv"), export(0..3));
        // Whatever is in it: a file that is not whole may be no export yet.
        let begun = bench.file(&format!("inbox/{after}.csv.gz"), &gz(b"session_id")[..9]);
        let waiting = [format!("{after}.csv"), format!("{after}.csv.gz")];
        assert_eq!(
            came(&run_night(&bench, &settings)),
            (0, 0, waiting.iter().map(|w| &**w).collect())
        );
        fs::remove_file(begun).unwrap();
        set_age(&file, 29);
        assert_eq!(run_night(&bench, &settings).inbox.arriving.len(), 1, "29 s are too few");
        set_age(&file, 31);
        let inbox = run_night(&bench, &settings).inbox;
        assert_eq!((inbox.files + inbox.known, inbox.arriving.len()), (1, 0));
        assert_eq!(file.exists(), after == "leave");
        assert_eq!(bench.path("loaded/move.csv").exists(), after != "leave");
    }
    assert!(!bench.path("failed").exists());
    // One that is left and written to again is another one.
    let file = bench.file("inbox/leave.csv", export(0..5));
    assert_eq!(came(&run_night(&bench, "")), (0, 0, vec!["leave.csv"]));
    set_age(&file, 60);
    assert_eq!(came(&run_night(&bench, "")), (1, 2, vec![]));
    assert_eq!(came(&run_night(&bench, "")), (0, 0, vec![]));
}

#[test]
fn a_clock_that_is_ahead_makes_no_file_wait_for_ever() {
    let bench = Bench::new();
    let settings = "settle_seconds = 1\n";
    let file = bench.file("inbox/a.csv", export(0..3));
    set_age(&file, -86_400);
    let pause = || std::thread::sleep(Duration::from_millis(1_200));
    assert_eq!(came(&run_night(&bench, settings)), (0, 0, vec!["a.csv"]));
    assert_eq!(came(&run_night(&bench, settings)), (0, 0, vec!["a.csv"]), "not yet so long ago");
    pause();
    // It grew meanwhile.
    fs::write(&file, export(0..4)).unwrap();
    set_age(&file, -86_400);
    assert_eq!(came(&run_night(&bench, settings)), (0, 0, vec!["a.csv"]));
    pause();
    assert_eq!(came(&run_night(&bench, settings)), (1, 4, vec![]));
    assert_eq!(came(&run_night(&bench, settings)), (0, 0, vec![]));
}

#[test]
fn the_memory_of_earlier_versions_is_heeded() {
    let bench = Bench::new();
    let file = bench.file("inbox/a.csv", export(0..3));
    set_age(&file, 100);
    let inbox = bench.path("inbox").canonicalize().unwrap();
    let seen = file.metadata().unwrap();
    let modified = seen.modified().unwrap().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let memory = serde_json::json!({
        inbox.join("a.csv").to_str().unwrap():
            {"bytes": seen.len(), "modified": u64::try_from(modified.as_nanos()).unwrap()}
    });
    bench.file("lake/.wabalake/inbox.json", memory.to_string());
    assert_eq!(came(&run_night(&bench, "")), (0, 0, vec![]));
    set_age(&file, 99);
    assert_eq!(came(&run_night(&bench, "")), (1, 3, vec![]));
}

#[cfg(target_os = "linux")]
#[test]
fn names_that_are_no_unicode_are_names() {
    use std::os::unix::ffi::OsStrExt as _;
    let bench = Bench::new();
    let name = |bytes: &[u8]| PathBuf::from(std::ffi::OsStr::from_bytes(bytes));
    for (at, bytes) in [&b"caf\xe9.csv"[..], b"caf\xe8.csv"].iter().enumerate() {
        let file = bench.file("inbox/x", export([at]));
        let named = bench.path("inbox").join(name(bytes));
        fs::rename(&file, &named).unwrap();
        set_age(&named, 60);
    }
    assert_eq!(run_night(&bench, "").inbox.rows_new, 2);
    let inbox = run_night(&bench, "").inbox;
    assert_eq!((inbox.files, inbox.known, inbox.failed.len()), (0, 0, 0), "both are remembered");
    bench.file("loaded/x", "there before");
    let there = bench.path("loaded").join(name(b"caf\xe9.csv"));
    fs::rename(bench.path("loaded/x"), &there).unwrap();
    fs::remove_dir_all(bench.path("lake/.wabalake")).unwrap();
    run_night(&bench, "after = 'move'\nloaded = '../loaded'\n");
    assert_eq!(fs::read(there).unwrap(), b"there before");
    assert_eq!(fs::read_dir(bench.path("loaded")).unwrap().count(), 3);
    assert_eq!(fs::read_dir(bench.path("inbox")).unwrap().count(), 0);
    // In a folder of such a name too, by itself and under a pattern.
    let odd = bench.path("").join(name(b"june\xff"));
    fs::rename(bench.path("loaded"), &odd).unwrap();
    fs::remove_file(odd.join(name(b"caf\xe9.csv"))).unwrap();
    for path in [odd.clone(), odd.join(name(b"caf\xe8.csv"))] {
        assert!(!load(&bench.lake(), &[path], &Options::default()).unwrap().files.is_empty());
    }
}

/// Nights go on while a file is written, slowly and with an end that is cut in the middle of a row.
fn all_rows_arrive(after: &str) {
    let bench = Bench::new();
    let settings = format!(
        "settle_seconds = 1\nafter = '{after}'\nloaded = '../loaded'\nfailed = '../failed'\n"
    );
    let rows = 20;
    let begun = bench.file("inbox/slow.csv", TITLES);
    let started = Instant::now();
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut file = File::options().append(true).open(&begun).unwrap();
            for number in 0..rows {
                let row = row(number);
                let (first, last) = row.split_at(row.len() - 4);
                for part in [first, last] {
                    file.write_all(part.as_bytes()).unwrap();
                    std::thread::sleep(Duration::from_millis(60));
                }
            }
        });
        while !writer.is_finished() {
            assert!(
                came(&run_night(&bench, &settings)).1 == 0,
                "taken while it was written ({after})"
            );
        }
    });
    assert!(started.elapsed() > Duration::from_secs(2));
    std::thread::sleep(Duration::from_millis(1_200));
    assert_eq!(came(&run_night(&bench, &settings)), (1, rows as u64, vec![]), "{after}");
    assert_eq!(bench.count(&sessions::TABLE), rows as u64);
    let kept = bench.path(if after == "move" { "loaded/slow.csv" } else { "inbox/slow.csv" });
    assert_eq!(kept.exists(), after != "delete");
    assert!(!bench.path("failed").exists());
}

#[test]
fn all_rows_of_a_slow_upload_arrive_whatever_becomes_of_it() {
    std::thread::scope(|scope| {
        for after in ["leave", "move", "delete"] {
            scope.spawn(move || all_rows_arrive(after));
        }
    });
}

#[test]
fn a_night_says_how_many_files_wait() {
    let desk = Desk::new();
    for folder in ["lake", "inbox"] {
        fs::create_dir(desk.path(folder)).unwrap();
    }
    desk.write("lake/wabalake.toml", "[inbox]\nfolders = ['../inbox']\n");
    set_age(&desk.write("inbox/old.csv", &export(0..2)), 60);
    desk.write("inbox/new.csv", &export(2..3));
    let one = "inbox: 1 file is still arriving: left for the next run\n";
    let tried = desk.told("nightly --lake lake --dry-run");
    assert!(tried.starts_with("inbox: old.csv would be loaded, unless the lake has it\n"));
    assert!(tried.contains(one) && !tried.contains("new.csv"), "{tried}");
    let told = desk.told("nightly --lake lake");
    assert!(told.contains(one) && told.contains("1 file loaded"), "{told}");
    desk.write("inbox/newer.csv", &export(3..4));
    let told = desk.told("nightly --lake lake");
    assert!(told.contains("inbox: 2 files are still arriving: left for the next run\n"), "{told}");
    let report: serde_json::Value =
        serde_json::from_str(&desk.told("nightly --lake lake --json")).unwrap();
    assert_eq!(report["inbox"]["arriving"], serde_json::json!(["new.csv", "newer.csv"]));
    assert_eq!(report["outcome"], "done");
}

#[test]
fn each_new_file_of_the_inbox_is_loaded_once() {
    let settings = "[inbox]\nsettle_seconds = 0\nfolders = ['../inbox']\nfailed = '../failed'\n";
    let mut nights = Nights::new(settings);
    let arrived = |report: &Report| (report.inbox.files, report.inbox.known, report.inbox.rows_new);
    nights.file("inbox/a.csv", &session("a", "2025-06-01 12:00:00"));
    nights.file("inbox/sub/b.csv", &session("b", "2025-06-02 12:00:00"));
    nights.file("inbox/copy.csv", &session("a", "2025-06-01 12:00:00"));
    nights.file("inbox/c.csv.part", &session("c", "2025-06-03 12:00:00"));
    assert_eq!(arrived(&nights.night()), (2, 1, 2));
    assert_eq!(arrived(&nights.night()), (0, 0, 0));

    // What is undone is not loaded again by itself.
    nights.lake().undo().unwrap();
    assert_eq!(arrived(&nights.night()), (0, 0, 0));

    // One that is no export goes aside, and the night goes on.
    nights.file("inbox/sub/notes.csv", "nothing,to,see\n1,2,3\n");
    nights.file("inbox/d.csv", &session("d", "2025-06-04 12:00:00"));
    let report = nights.night();
    assert_eq!((report.outcome, arrived(&report)), ("incomplete", (1, 0, 1)));
    assert!(!nights.path("inbox/sub/notes.csv").exists());
    let said = std::fs::read_to_string(nights.path("failed/sub/notes.csv.error.txt")).unwrap();
    assert!(said.starts_with("error: "), "{said}");
    assert_eq!(nights.night().outcome, "done");

    // Moved, once loaded; what is there already is not lost.
    nights.config =
        Config::read(&format!("{settings}after = 'move'\nloaded = '../loaded'\n")).unwrap();
    nights.file("loaded/e.csv", "another one");
    nights.file("inbox/e.csv", &session("e", "2025-06-05 12:00:00"));
    assert_eq!(arrived(&nights.night()), (1, 0, 1));
    assert_eq!(std::fs::read_to_string(nights.path("loaded/e.csv")).unwrap(), "another one");
    assert!(nights.path("loaded/e-2.csv").exists() && !nights.path("inbox/e.csv").exists());
    nights.config = Config::read(&format!("{settings}after = 'delete'\n")).unwrap();
    nights.file("inbox/f.csv", &session("f", "2025-06-06 12:00:00"));
    let tried = nights.night_with(&Options { dry_run: true, ..Options::default() });
    assert_eq!(tried.inbox.names, ["f.csv"]);
    assert!(nights.path("inbox/f.csv").exists());
    assert_eq!(arrived(&nights.night()), (1, 0, 1));
    assert!(!nights.path("inbox/f.csv").exists());
}

#[test]
fn a_lake_in_its_own_inbox_is_no_arrival() {
    let nights =
        Nights::new("[inbox]\nsettle_seconds = 0\nfolders = ['..']\nfailed = '../failed'\n");
    nights.file("a.csv", &session("a", "2025-06-01 12:00:00"));
    nights.file("lake/wabalake.toml", "");
    for new in [1, 0] {
        let report = nights.night();
        assert_eq!((report.inbox.files, report.inbox.failed.len()), (new, 0), "{report:?}");
    }
    assert!(!nights.path("failed").exists());
}
