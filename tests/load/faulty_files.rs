//! Files that are not whole, not exports, or not files: what a load and a night do with them, and what
//! a load that fails leaves behind.

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

const TITLES: &str = "session_id,session_started_timestamp,user_country_code,user_cellphone\n";

fn row(number: usize) -> String {
    format!("s{number},2025-06-01 10:{:02}:00,57,30055501{:02}\n", number % 60, number % 100)
}

fn export(numbers: impl IntoIterator<Item = usize>) -> String {
    TITLES.to_owned() + &numbers.into_iter().map(row).collect::<String>()
}

/// With files as they are, so that their bytes can be found in it.
fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    let stored = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    support::archive(files, stored)
}

/// A spreadsheet with sessions.
fn workbook() -> Vec<u8> {
    let mut book = rust_xlsxwriter::Workbook::new();
    let sheet = book.add_worksheet();
    for (row, line) in (0..).zip(export(90..92).lines()) {
        for (column, cell) in (0..).zip(line.split(',')) {
            sheet.write_string(row, column, cell).unwrap();
        }
    }
    book.save_to_buffer().unwrap()
}

fn load_each(bench: &Bench, name: &str) -> Report {
    let options = Options { per_file: true, ..Options::default() };
    bench.load_with(&[bench.path(name)], &options).unwrap()
}

fn run_night(bench: &Bench, settings: &str) -> nightly::Report {
    let config = Config::read(&format!("[inbox]\nfolders = ['../inbox']\n{settings}"));
    night(&bench.lake(), &config.unwrap(), &nightly::Options::default(), None).unwrap()
}

fn names(report: &Report) -> Vec<&str> {
    report.files.iter().map(|file| file.file.as_str()).collect()
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
fn a_file_that_grows_while_it_is_read_is_not_loaded() {
    let bench = Bench::new();
    let growing = bench.file("exports/growing.csv", export(0..20_000));
    bench.file("exports/whole.csv", export(30_000..30_002));
    for per_file in [false, true] {
        let done = std::sync::atomic::AtomicBool::new(false);
        let order = std::sync::atomic::Ordering::SeqCst;
        let loaded = std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut file = File::options().append(true).open(&growing).unwrap();
                for number in 20_000.. {
                    if done.load(order) {
                        break;
                    }
                    file.write_all(row(number).as_bytes()).unwrap();
                    std::thread::sleep(Duration::from_millis(1));
                }
            });
            std::thread::sleep(Duration::from_millis(5));
            let options = Options { per_file, ..Options::default() };
            let loaded = bench.load_with(&[bench.path("exports")], &options);
            done.store(true, order);
            loaded
        });
        let what = "`exports/growing.csv` changed while it was read";
        let hint = "somebody still writes to it: load it again once it is whole";
        if per_file {
            let report = loaded.unwrap();
            assert_eq!(names(&report), ["exports/whole.csv"]);
            assert_eq!(report.failed[0].error, what);
            assert_eq!(bench.count(&sessions::TABLE), 2);
        } else {
            assert_eq!(loaded.unwrap_err().lines(), format!("error: {what}\n  hint: {hint}"));
            assert_eq!(bench.count(&sessions::TABLE), 0);
        }
    }
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
fn files_of_others_in_a_folder_are_passed_over_and_named() {
    let bench = Bench::new();
    let photos = archive(&[("beach.jpg", &[7; 900]), ("sea.jpg", &[8; 900])]);
    for (name, bytes) in [
        ("desktop.ini", &b"[.ShellClassInfo]\r\nIconResource=C:\\Windows\\x.dll,3\r\n"[..]),
        ("README.md", b"[Exports](https://example.org) of June\n"),
        ("package.json", b"{\"name\": \"site\", \"scripts\": {\"test\": \"x"),
        ("log.json", b"{{{{{{\n"),
        ("holiday.zip", &photos[..photos.len() / 2]),
        ("backup.gz", &gz(&[b'x'; 5_000])[..30]),
        ("backup.zst", &zstd::encode_all(&[b'x'; 5_000][..], 1).unwrap()[..12]),
        ("~$report.xlsx", b"\x05Maria\0\0\0\0 \0 \0"),
        ("a.csv.crdownload", export(50..51).as_bytes()),
        ("a.csv.part", export(51..52).as_bytes()),
        ("a.csv.tmp", export(52..53).as_bytes()),
        ("a.csv.FILEPART", export(53..54).as_bytes()),
        ("empty.xlsx", b""),
        ("sessions.csv", export(0..3).as_bytes()),
    ] {
        bench.file(&format!("exports/{name}"), bytes);
    }
    let report = bench.load_path("exports").unwrap();
    assert_eq!(names(&report), ["exports/sessions.csv"]);
    let mut passed = passed_over(&report);
    passed.sort();
    let on_its_way = |name: &str| format!("exports/{name}: still on its way, by its name");
    for (said, begins) in passed.iter().zip([
        "exports/README.md: ",
        &on_its_way("a.csv.FILEPART"),
        &on_its_way("a.csv.crdownload"),
        &on_its_way("a.csv.part"),
        &on_its_way("a.csv.tmp"),
        "exports/backup.gz: cannot be read to its end: ",
        "exports/backup.zst: cannot be read to its end: ",
        "exports/desktop.ini: ",
        "exports/empty.xlsx: empty",
        "exports/holiday.zip: a zip archive that is damaged or cut short",
        "exports/log.json: ",
        "exports/package.json: ",
        "exports/~$report.xlsx: ",
    ]) {
        assert!(said.starts_with(begins), "{said}, not {begins}");
    }
    assert_eq!(passed.len(), 13);
    // Named by hand, a file is taken for what it is; a pattern takes what it says.
    for (name, loaded) in [
        ("exports/a.csv.part", vec!["a.csv.part"]),
        ("exports/*.crdownload", vec!["a.csv.crdownload"]),
        ("exports/*sessions*", vec!["sessions.csv"]),
    ] {
        assert_eq!(names(&bench.load_path(name).unwrap()), loaded);
    }
    let report = bench.load_path("exports/[as]*").unwrap();
    assert_eq!((names(&report), report.passed_over.len()), (vec!["sessions.csv"], 4));
    assert!(bench.load_path("exports/desktop.ini").is_err());
}

#[test]
fn a_faulty_export_stops_the_others_and_with_per_file_itself_alone() {
    let exports = archive(&[("june/sessions.csv", export(0..2).as_bytes())]);
    let book = workbook();
    for (name, bytes) in [
        ("cut.xlsx", &book[..book.len() / 2]),
        ("cut.zip", &exports[..exports.len() / 2]),
        ("cut.csv.gz", &gz(export(0..2).as_bytes())[..40]),
        ("cut.gz", &gz(export(0..2000).as_bytes())[..2_000]),
        ("events.json", b"[{\"event_id\": \"e1\", \"session\": {\"external_id\": \"s1\", \"x"),
        ("first.jsonl", b"{\"x"),
        ("outer.zip", &archive(&[("inner.xlsx", &book[..book.len() / 2])])),
    ] {
        let bench = Bench::new();
        bench.file(&format!("exports/{name}"), bytes);
        bench.file("exports/a.csv", export(10..12));
        bench.file("exports/z.zip", archive(&[("s.csv", export(12..15).as_bytes())]));
        let error = bench.load_path("exports").unwrap_err();
        assert_eq!(error.exit_code(), 1);
        assert!(error.lines().contains(&format!("`exports/{name}")), "{}", error.lines());
        assert_eq!(bench.count(&sessions::TABLE), 0);
        let report = load_each(&bench, "exports");
        assert_eq!(names(&report), ["exports/a.csv", "exports/z.zip/s.csv"], "{name}");
        let [failed] = &report.failed[..] else { panic!("{name}: {:?}", report.failed) };
        assert!(failed.file.starts_with(&format!("exports/{name}")), "{}", failed.file);
        assert!(report.passed_over.is_empty(), "{:?}", report.passed_over);
        assert_eq!(bench.count(&sessions::TABLE), 5);
        // Named by itself, as among others that are.
        let other = [bench.path("exports").join(name), bench.path("exports/a.csv")];
        let each = Options { per_file: true, ..Options::default() };
        let report = load(&bench.lake(), &other, &each).unwrap();
        assert_eq!((report.files.len(), report.failed.len()), (1, 1), "{name}");
    }
}

#[test]
fn with_per_file_what_is_not_there_stops_nothing_that_is() {
    let desk = Desk::new();
    desk.write("a.csv", &export(0..3));
    for (number, missing) in ["gone.csv", "*.tsv"].into_iter().enumerate() {
        let lake = format!("lake-{number}");
        let said = desk.run(&format!("load {missing} a.csv --lake {lake} --per-file"));
        assert_eq!(said.code, 1);
        assert!(said.err.starts_with("error: 1 of 2 files was not loaded\n"), "{}", said.err);
        assert!(said.out.contains(&format!("{missing}  →  not loaded\n")), "{}", said.out);
        assert!(said.out.contains("3 new"), "{}", said.out);
        for line in [format!("{missing} a.csv"), format!("{missing} --per-file")] {
            assert_eq!(desk.refused(&format!("load {line} --lake none")).1, 1);
        }
        let (said, _) = desk.refused("load sesions a.csv --lake none --per-file");
        assert!(said.contains("if it is to say what the files are: `sessions`"), "{said}");
        assert!(!desk.exists("none"));
    }
}

#[test]
fn an_entry_at_fault_stops_itself_alone() {
    let bench = Bench::new();
    let mut bytes = archive(&[
        ("a.csv", export(0..2).as_bytes()),
        ("b.csv", export(2..4).as_bytes()),
        ("logo.png", b"\x89PNG\r\n\x1a\n some pixels"),
        ("c.csv", export(4..6).as_bytes()),
    ]);
    // Both are other bytes than their check sums say.
    for (text, other) in [(&b"s3,2025"[..], b's' + 1), (b"some pixels", b'S')] {
        let at = bytes.windows(text.len()).position(|window| window == text).unwrap();
        bytes[at] = other;
    }
    bench.file("exports.zip", &bytes);
    let error = bench.load_path("exports.zip").unwrap_err();
    assert!(error.lines().contains("`exports.zip/b.csv` cannot be read to its end"), "{error}");
    let report = load_each(&bench, "exports.zip");
    assert_eq!(names(&report), ["exports.zip/a.csv", "exports.zip/c.csv"]);
    assert_eq!(report.failed.len(), 1);
    assert!(passed_over(&report)[0].starts_with("exports.zip/logo.png: "), "{report:?}");
    assert_eq!(bench.count(&sessions::TABLE), 4);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    /// Wherever a file is cut: with a load for each, the others are loaded, and it is told of.
    #[test]
    fn a_cut_file_is_told_of_and_stops_no_other(kind in 0..4_usize, cut in 0..100_usize) {
        let csv = export(0..40);
        let (name, bytes) = match kind {
            0 => ("cut.xlsx", workbook()),
            1 => ("cut.zip", archive(&[("x.csv", csv.as_bytes()), ("y.txt", b"Notes\n")])),
            2 => ("cut.csv.gz", gz(csv.as_bytes())),
            _ => ("cut.zip.gz", gz(&archive(&[("x.csv", csv.as_bytes())]))),
        };
        let bench = Bench::new();
        bench.file(&format!("exports/{name}"), &bytes[..bytes.len() * cut / 100]);
        bench.file("exports/whole.csv", export(70..73));
        let report = load_each(&bench, "exports");
        prop_assert_eq!(names(&report), ["exports/whole.csv"]);
        let told = report.failed.iter().map(|failure| &failure.file);
        let told: Vec<_> = told.chain(report.passed_over.iter().map(|file| &file.file)).collect();
        prop_assert!(told[0].starts_with(&format!("exports/{name}")), "{:?}", told);
        prop_assert_eq!(told.len(), 1);
        prop_assert_eq!(bench.count(&sessions::TABLE), 3);
    }
}

#[cfg(unix)]
#[test]
fn a_pipe_is_copied_first() {
    let desk = Desk::new();
    desk.write("s.csv", &export(0..3));
    fs::write(desk.path("s.csv.gz"), gz(export(3..6).as_bytes())).unwrap();
    fs::write(desk.path("s.zip"), archive(&[("s.csv", export(6..9).as_bytes())])).unwrap();
    fs::write(desk.path("s.xlsx"), workbook()).unwrap();
    let fifo = desk.path("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let loaded = desk.command("load").get_program().to_owned();
    let shell = |script: &str| {
        let mut shell = Command::new("timeout");
        shell.current_dir(desk.folder.path()).env_remove("WABALAKE_LAKE");
        shell.args(["60", "bash", "-c", script]).arg(&loaded);
        Said::of(shell.output().unwrap())
    };
    for (script, name, rows) in [
        ("$0 load <(cat s.csv) --lake l1", "/dev/fd/", 3),
        ("$0 load <(zcat s.csv.gz) --lake l2", "/dev/fd/", 3),
        ("cat s.csv.gz | $0 load /dev/stdin --lake l3", "/dev/stdin", 3),
        ("$0 load /dev/stdin --lake l4 < s.csv", "stdin", 3),
        ("cat s.zip | $0 load /dev/stdin --lake l5", "/dev/stdin/s.csv", 3),
        ("cat s.xlsx | $0 load /dev/stdin --lake l6", "/dev/stdin", 2),
        ("cat s.csv > fifo & $0 load fifo --lake l7", "fifo", 3),
        ("cat s.csv.gz > fifo & $0 load ./fifo s.csv --lake l8", "./fifo", 6),
        ("$0 load <(cat s.csv) <(zcat s.csv.gz) --per-file --lake l9", "/dev/fd/", 6),
        ("cat s.csv > fifo & $0 load fifo --dry-run --lake l10", "fifo", 3),
    ] {
        let said = shell(script);
        assert_eq!((said.err.as_str(), said.code), ("", 0), "{script}");
        assert!(said.out.starts_with(name), "{script}: {}", said.out);
        let new = format!("{rows} new");
        let each = said.out.matches("3 new").count() * 3;
        assert!(said.out.contains(&new) || each == rows, "{script}: {}", said.out);
    }
    // What comes is no export, or nothing.
    let said = shell("cat /dev/null | $0 load /dev/stdin --lake none");
    assert!(said.err.starts_with("error: `/dev/stdin` is empty\n"), "{}", said.err);
    let said = shell("echo hello | $0 load /dev/stdin --lake none");
    assert!(said.err.starts_with("error: `/dev/stdin` is no export"), "{}", said.err);
    assert!(!desk.exists("none"));
    // Where it is not named itself, nobody waits for it.
    fs::create_dir(desk.path("exports")).unwrap();
    fs::rename(&fifo, desk.path("exports/fifo")).unwrap();
    fs::rename(desk.path("s.csv"), desk.path("exports/s.csv")).unwrap();
    for what in ["exports", "'exports/*'", "'exports/**'"] {
        let said = shell(&format!("$0 load {what} --lake lake"));
        assert_eq!((said.err.as_str(), said.code), ("", 0));
        assert!(said.out.contains("fifo  →  passed over: no file\n"), "{}", said.out);
    }
}

#[test]
fn brackets_in_the_names_of_folders_are_brackets() {
    let bench = Bench::new();
    bench.file("exports [may]/a.csv", export(0..1));
    bench.file("exports [may]/b.csv", export(1..2));
    bench.file("exports [may]/in [2]/c.csv", export(2..3));
    bench.file("exports m/a.csv", export(3..4));
    bench.file("what?/a*/d.csv", export(4..5));
    for (pattern, loaded) in [
        ("exports [may]/*.csv", vec!["a.csv", "b.csv"]),
        ("exports [may]/[b].csv", vec!["b.csv"]),
        ("exports [may]/**/*.csv", vec!["a.csv", "b.csv", "c.csv"]),
        ("exports [may]/in [2]/*", vec!["c.csv"]),
        ("exports [may]/**/in [[]2]/*", vec!["c.csv"]),
        ("exports [[]may]/a.*", vec!["a.csv"]),
        ("exports [m]/*.csv", vec!["a.csv"]),
        ("what?/a*/?.csv", vec!["d.csv"]),
    ] {
        let other = Bench::new();
        let report = load(&other.lake(), &[bench.path(pattern)], &Options::default()).unwrap();
        assert_eq!(names(&report), loaded, "{pattern}");
    }
    let said = |pattern: &str| bench.load_path(pattern).unwrap_err().lines();
    let missing = said("exports [june]/*.csv");
    assert!(missing.contains("no file matches `"), "{missing}");
    assert!(
        missing.ends_with("hint: `[…]` stands for one of the letters in it: write `[[]` for a bracket that is part of a name"),
        "{missing}"
    );
    assert!(said("exports [may]/*.tsv").ends_with("`*` matches no hidden file"));
    assert!(said("exports [may]/x.csv").contains("cannot be read"));
}

/// Every file and folder below one, by its path from there.
fn all_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path.clone());
            }
            found.push(path.strip_prefix(folder).unwrap().to_owned());
        }
    }
    found.sort();
    found
}

#[test]
fn a_load_that_fails_leaves_nothing_of_its_own() {
    let desk = Desk::new();
    desk.write("notes.txt", "Exported on Monday.\n");
    desk.write("empty.csv", "");
    fs::write(desk.path("cut.csv.gz"), &gz(export(0..9).as_bytes())[..40]).unwrap();
    fs::create_dir(desk.path("folder")).unwrap();
    let lakes = ["new", "deep/er/new", "there", "settings", "settings/new"];
    fs::create_dir(desk.path("there")).unwrap();
    fs::create_dir(desk.path("settings")).unwrap();
    desk.write("settings/wabalake.toml", "timezone = 'America/Bogota'\n");
    let before = all_below(desk.folder.path());
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
                assert_eq!(all_below(desk.folder.path()), before, "{line} {tried} --lake {lake}");
            }
        }
    }
    // What is in the lake stays in it, with what it needs.
    assert_eq!(desk.run("load sessions.csv --lake there -q").code, 0);
    let before = all_below(desk.folder.path());
    assert_ne!(desk.run("load notes.txt --lake there").code, 0);
    assert_eq!(all_below(desk.folder.path()), before);
}

#[test]
fn a_load_that_fails_takes_no_lake_from_another() {
    let desk = Desk::new();
    desk.write("notes.txt", "Exported on Monday.\n");
    let good = 4;
    for number in 0..good {
        desk.write(&format!("{number}.csv"), &export([number]));
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

/// Runs a load whose files may not grow beyond some KiB, as on a disk that is full then.
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
fn a_full_disk_says_what_is_safe_and_how_to_go_on() {
    let desk = Desk::new();
    let id = |number: u64| number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let rows = (0..20_000).map(|number| {
        let texts = [id(number), id(number + 7), id(number + 9)].map(|id| format!("{id:016x}"));
        format!("{},2025-06-01T10:00:00Z,false,{}\n", texts[0], texts[1..].concat())
    });
    let titles = "whatsapp_id,created_at,message_direction,message\n";
    desk.write("large.csv", &(titles.to_owned() + &rows.collect::<String>()));
    desk.write("small.csv", &export(0..3));
    let before = all_below(desk.folder.path());

    // In the copy of what comes through a pipe.
    let said = load_within(&desk, 100, "load - --lake lake");
    assert_eq!(said.code, 1);
    let root = desk.folder.path().canonicalize().unwrap().join("lake");
    let scratch = root.join(".wabalake/scratch").display().to_string();
    let begins = format!("error: a file would be larger than it may be: writing to `{scratch}");
    assert!(said.err.starts_with(&begins), "{}", said.err);
    let nothing = format!(
        "  found: nothing of this load is in the lake `{}`, which is as it was before\n",
        root.display()
    );
    assert!(said.err.contains(&nothing), "{}", said.err);
    assert!(said.err.contains("load the same files again"), "{}", said.err);
    assert_eq!(all_below(desk.folder.path()), before);
    let said = load_within(&desk, 100, "load - --lake lake --dry-run");
    assert!(said.err.contains("found: nothing was to be written to the lake\n"), "{}", said.err);
    assert_eq!(all_below(desk.folder.path()), before);

    // In the lake's own files: as it was before, if that was nothing.
    let said = load_within(&desk, 100, "load large.csv --lake lake");
    assert_eq!(said.code, 1);
    assert!(said.err.contains("writing `") && said.err.contains(".parquet`"), "{}", said.err);
    assert!(said.err.contains(&nothing), "{}", said.err);
    assert_eq!(all_below(desk.folder.path()), before);

    // Of two tables one has its rows, and is told so; the same again brings in the other.
    let said = load_within(&desk, 100, "load small.csv large.csv --lake lake");
    assert_eq!(said.code, 1);
    let found = "  found: `sessions` have their rows, `messages` do not\n";
    assert!(said.err.contains(found), "{}", said.err);
    let rows = || {
        let lake = Lake::open(&root).unwrap();
        [&sessions::TABLE, &messages::TABLE].map(|table| lake.snapshot(table).unwrap().rows())
    };
    assert_eq!(rows(), [3, 0]);
    assert!(desk.told("load small.csv large.csv --lake lake").contains("already loaded"));
    assert_eq!(rows(), [3, 20_000]);
    let parquet = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "parquet");
    let files = all_below(&root.join("tables/messages")).into_iter().filter(parquet);
    assert_eq!(files.count(), 1, "what was half written is gone");
}
