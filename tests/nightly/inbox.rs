//! The inbox of a nightly run: which files are loaded, which wait, which are moved.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use wabalake::config::Config;
use wabalake::load::{Options, load};
use wabalake::nightly;
use wabalake_data::tables::sessions;

use super::session;
use crate::support::{Bench, Desk, SESSIONS_HEADER, gz, session_row, sessions_export, set_age};

fn run_with(bench: &Bench, settings: &str) -> nightly::RunReport {
    let config = Config::read(&format!("[inbox]\nfolders = ['../inbox']\n{settings}"));
    nightly::run(&bench.lake(), &config.unwrap(), &nightly::Options::default(), None).unwrap()
}

/// The inbox part of a report: files loaded, new rows, names of files still arriving.
fn arrivals(report: &nightly::RunReport) -> (u64, u64, Vec<&str>) {
    let inbox = &report.inbox;
    assert!(inbox.failed.is_empty(), "{:?}", inbox.failed);
    (inbox.files, inbox.rows_new, inbox.arriving.iter().map(String::as_str).collect())
}

#[test]
fn recently_changed_file_waits_for_the_next_run() {
    let bench = Bench::new();
    for after in ["leave", "move", "delete"] {
        let settings = format!("after = '{after}'\nloaded = '../loaded'\nfailed = '../failed'\n");
        let file = bench.file(&format!("inbox/{after}.csv"), sessions_export(0..3));
        // A partial file may not look like an export yet: it waits as well.
        let begun = bench.file(&format!("inbox/{after}.csv.gz"), &gz(b"session_id")[..9]);
        let waiting = [format!("{after}.csv"), format!("{after}.csv.gz")];
        assert_eq!(
            arrivals(&run_with(&bench, &settings)),
            (0, 0, waiting.iter().map(|w| &**w).collect())
        );
        fs::remove_file(begun).unwrap();
        set_age(&file, 29);
        assert_eq!(run_with(&bench, &settings).inbox.arriving.len(), 1, "it settles after 30 s");
        set_age(&file, 31);
        let inbox = run_with(&bench, &settings).inbox;
        assert_eq!((inbox.files + inbox.known, inbox.arriving.len()), (1, 0));
        assert_eq!(file.exists(), after == "leave");
        assert_eq!(bench.path("loaded/move.csv").exists(), after != "leave");
    }
    assert!(!bench.path("failed").exists());
    // A file that changes after its load is loaded again.
    let file = bench.file("inbox/leave.csv", sessions_export(0..5));
    assert_eq!(arrivals(&run_with(&bench, "")), (0, 0, vec!["leave.csv"]));
    set_age(&file, 60);
    assert_eq!(arrivals(&run_with(&bench, "")), (1, 2, vec![]));
    assert_eq!(arrivals(&run_with(&bench, "")), (0, 0, vec![]));
}

#[test]
fn file_from_the_future_is_loaded_once_unchanged() {
    let bench = Bench::new();
    let settings = "settle_seconds = 1\n";
    let file = bench.file("inbox/a.csv", sessions_export(0..3));
    set_age(&file, -86_400);
    let pause = || std::thread::sleep(Duration::from_millis(1_200));
    assert_eq!(arrivals(&run_with(&bench, settings)), (0, 0, vec!["a.csv"]));
    assert_eq!(
        arrivals(&run_with(&bench, settings)),
        (0, 0, vec!["a.csv"]),
        "it has not settled yet"
    );
    pause();
    // The file grew meanwhile.
    fs::write(&file, sessions_export(0..4)).unwrap();
    set_age(&file, -86_400);
    assert_eq!(arrivals(&run_with(&bench, settings)), (0, 0, vec!["a.csv"]));
    pause();
    assert_eq!(arrivals(&run_with(&bench, settings)), (1, 4, vec![]));
    assert_eq!(arrivals(&run_with(&bench, settings)), (0, 0, vec![]));
}

#[test]
fn inbox_memory_of_older_versions_is_read() {
    let bench = Bench::new();
    let file = bench.file("inbox/a.csv", sessions_export(0..3));
    set_age(&file, 100);
    let inbox = bench.path("inbox").canonicalize().unwrap();
    let seen = file.metadata().unwrap();
    let modified = seen.modified().unwrap().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let memory = serde_json::json!({
        inbox.join("a.csv").to_str().unwrap():
            {"bytes": seen.len(), "modified": u64::try_from(modified.as_nanos()).unwrap()}
    });
    bench.file("lake/.wabalake/inbox.json", memory.to_string());
    assert_eq!(arrivals(&run_with(&bench, "")), (0, 0, vec![]));
    set_age(&file, 99);
    assert_eq!(arrivals(&run_with(&bench, "")), (1, 3, vec![]));
}

#[cfg(target_os = "linux")]
#[test]
fn file_names_need_not_be_unicode() {
    use std::os::unix::ffi::OsStrExt as _;
    let bench = Bench::new();
    let name = |bytes: &[u8]| PathBuf::from(std::ffi::OsStr::from_bytes(bytes));
    for (at, bytes) in [&b"caf\xe9.csv"[..], b"caf\xe8.csv"].iter().enumerate() {
        let file = bench.file("inbox/x", sessions_export([at]));
        let named = bench.path("inbox").join(name(bytes));
        fs::rename(&file, &named).unwrap();
        set_age(&named, 60);
    }
    assert_eq!(run_with(&bench, "").inbox.rows_new, 2);
    let inbox = run_with(&bench, "").inbox;
    assert_eq!((inbox.files, inbox.known, inbox.failed.len()), (0, 0, 0), "both are known");
    bench.file("loaded/x", "there before");
    let there = bench.path("loaded").join(name(b"caf\xe9.csv"));
    fs::rename(bench.path("loaded/x"), &there).unwrap();
    fs::remove_dir_all(bench.path("lake/.wabalake")).unwrap();
    run_with(&bench, "after = 'move'\nloaded = '../loaded'\n");
    assert_eq!(fs::read(there).unwrap(), b"there before");
    assert_eq!(fs::read_dir(bench.path("loaded")).unwrap().count(), 3);
    assert_eq!(fs::read_dir(bench.path("inbox")).unwrap().count(), 0);
    // As the name of a folder, given as a path.
    let odd = bench.path("").join(name(b"june\xff"));
    fs::rename(bench.path("loaded"), &odd).unwrap();
    fs::remove_file(odd.join(name(b"caf\xe9.csv"))).unwrap();
    for path in [odd.clone(), odd.join(name(b"caf\xe8.csv"))] {
        assert!(!load(&bench.lake(), &[path], &Options::default()).unwrap().files.is_empty());
    }
}

/// Runs repeatedly while a file is written slowly, half a row at a time.
fn load_slow_upload(after: &str) {
    let bench = Bench::new();
    let settings = format!(
        "settle_seconds = 1\nafter = '{after}'\nloaded = '../loaded'\nfailed = '../failed'\n"
    );
    let rows = 20;
    let begun = bench.file("inbox/slow.csv", SESSIONS_HEADER);
    let started = Instant::now();
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut file = File::options().append(true).open(&begun).unwrap();
            for number in 0..rows {
                let row = session_row(number);
                let (first, last) = row.split_at(row.len() - 4);
                for part in [first, last] {
                    file.write_all(part.as_bytes()).unwrap();
                    std::thread::sleep(Duration::from_millis(60));
                }
            }
        });
        while !writer.is_finished() {
            assert!(
                arrivals(&run_with(&bench, &settings)).1 == 0,
                "loaded while it was written ({after})"
            );
        }
    });
    assert!(started.elapsed() > Duration::from_secs(2));
    std::thread::sleep(Duration::from_millis(1_200));
    assert_eq!(arrivals(&run_with(&bench, &settings)), (1, rows as u64, vec![]), "{after}");
    assert_eq!(bench.count(&sessions::TABLE), rows as u64);
    let kept = bench.path(if after == "move" { "loaded/slow.csv" } else { "inbox/slow.csv" });
    assert_eq!(kept.exists(), after != "delete");
    assert!(!bench.path("failed").exists());
}

#[test]
fn slow_upload_is_loaded_whole() {
    std::thread::scope(|scope| {
        for after in ["leave", "move", "delete"] {
            scope.spawn(move || load_slow_upload(after));
        }
    });
}

#[test]
fn report_counts_files_still_arriving() {
    let desk = Desk::new();
    desk.write("lake/wabalake.toml", "[inbox]\nfolders = ['../inbox']\n");
    set_age(&desk.write("inbox/old.csv", &sessions_export(0..2)), 60);
    desk.write("inbox/new.csv", &sessions_export(2..3));
    let one = "inbox: 1 file is still being written: left for the next run\n";
    let tried = desk.stdout("nightly --lake lake --dry-run");
    assert!(tried.starts_with("inbox: old.csv would be loaded, unless it was loaded before\n"));
    assert!(tried.contains(one) && !tried.contains("new.csv"), "{tried}");
    let output = desk.stdout("nightly --lake lake");
    assert!(output.contains(one) && output.contains("1 file loaded"), "{output}");
    desk.write("inbox/newer.csv", &sessions_export(3..4));
    let output = desk.stdout("nightly --lake lake");
    assert!(
        output.contains("inbox: 2 files are still being written: left for the next run\n"),
        "{output}"
    );
    let report: serde_json::Value =
        serde_json::from_str(&desk.stdout("nightly --lake lake --json")).unwrap();
    assert_eq!(report["inbox"]["arriving"], serde_json::json!(["new.csv", "newer.csv"]));
    assert_eq!(report["outcome"], "done");
}

#[test]
fn each_new_file_is_loaded_once() {
    let settings = "[inbox]\nsettle_seconds = 0\nfolders = ['../inbox']\nfailed = '../failed'\n";
    let mut bench = Bench::with_settings(settings);
    let arrived = |report: &nightly::RunReport| {
        (report.inbox.files, report.inbox.known, report.inbox.rows_new)
    };
    bench.file("inbox/a.csv", session("a", "2025-06-01 12:00:00"));
    bench.file("inbox/sub/b.csv", session("b", "2025-06-02 12:00:00"));
    bench.file("inbox/copy.csv", session("a", "2025-06-01 12:00:00"));
    bench.file("inbox/c.csv.part", session("c", "2025-06-03 12:00:00"));
    assert_eq!(arrived(&bench.run_nightly()), (2, 1, 2));
    assert_eq!(arrived(&bench.run_nightly()), (0, 0, 0));

    // A load that was undone is not repeated.
    bench.lake().undo().unwrap();
    assert_eq!(arrived(&bench.run_nightly()), (0, 0, 0));

    // A file that is no export is moved away, and the run continues.
    bench.file("inbox/sub/notes.csv", "nothing,to,see\n1,2,3\n");
    bench.file("inbox/d.csv", session("d", "2025-06-04 12:00:00"));
    let report = bench.run_nightly();
    assert_eq!((report.outcome, arrived(&report)), ("incomplete", (1, 0, 1)));
    assert!(!bench.path("inbox/sub/notes.csv").exists());
    let said = fs::read_to_string(bench.path("failed/sub/notes.csv.error.txt")).unwrap();
    assert!(said.starts_with("error: "), "{said}");
    assert_eq!(bench.run_nightly().outcome, "done");

    // Loaded files are moved without replacing others.
    bench.config =
        Config::read(&format!("{settings}after = 'move'\nloaded = '../loaded'\n")).unwrap();
    bench.file("loaded/e.csv", "another one");
    bench.file("inbox/e.csv", session("e", "2025-06-05 12:00:00"));
    assert_eq!(arrived(&bench.run_nightly()), (1, 0, 1));
    assert_eq!(fs::read_to_string(bench.path("loaded/e.csv")).unwrap(), "another one");
    assert!(bench.path("loaded/e-2.csv").exists() && !bench.path("inbox/e.csv").exists());
    bench.config = Config::read(&format!("{settings}after = 'delete'\n")).unwrap();
    bench.file("inbox/f.csv", session("f", "2025-06-06 12:00:00"));
    let tried =
        bench.run_nightly_with(&nightly::Options { dry_run: true, ..nightly::Options::default() });
    assert_eq!(tried.inbox.names, ["f.csv"]);
    assert!(bench.path("inbox/f.csv").exists());
    assert_eq!(arrived(&bench.run_nightly()), (1, 0, 1));
    assert!(!bench.path("inbox/f.csv").exists());
}

#[test]
fn lake_inside_its_inbox_is_skipped() {
    let bench = Bench::with_settings(
        "[inbox]\nsettle_seconds = 0\nfolders = ['..']\nfailed = '../failed'\n",
    );
    bench.file("a.csv", session("a", "2025-06-01 12:00:00"));
    bench.file("lake/wabalake.toml", "");
    for new in [1, 0] {
        let report = bench.run_nightly();
        assert_eq!((report.inbox.files, report.inbox.failed.len()), (new, 0), "{report:?}");
    }
    assert!(!bench.path("failed").exists());
}
