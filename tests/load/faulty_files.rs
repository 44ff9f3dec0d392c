//! Truncated files, files that are no exports, and pipes.

use std::fs::{self, File};
use std::io::Write as _;
use std::process::Command;
use std::time::Duration;

use proptest::prelude::*;
use wabalake::load::{LoadReport, Options, load};
use wabalake_data::tables::sessions;
use zip::write::SimpleFileOptions;

use crate::support::{
    self, Bench, Desk, Said, gz, passed_over, session_row, sessions_export, workbook,
};

/// Stored without compression, so that tests can find and change bytes.
fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    let stored = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    support::archive(files, stored)
}

/// A spreadsheet with sessions.
fn book() -> Vec<u8> {
    workbook(&sessions_export(90..92))
}

fn load_each(bench: &Bench, name: &str) -> LoadReport {
    let options = Options { per_file: true, ..Options::default() };
    bench.load_with(&[bench.path(name)], &options).unwrap()
}

fn names(report: &LoadReport) -> Vec<&str> {
    report.files.iter().map(|file| file.file.as_str()).collect()
}

#[test]
fn file_that_grows_while_it_is_read_is_not_loaded() {
    let bench = Bench::new();
    let growing = bench.file("exports/growing.csv", sessions_export(0..20_000));
    bench.file("exports/whole.csv", sessions_export(30_000..30_002));
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
                    file.write_all(session_row(number).as_bytes()).unwrap();
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
        let hint = "it is still being written: load it again when it is complete";
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
fn files_that_are_no_exports_are_skipped_and_listed() {
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
        ("a.csv.crdownload", sessions_export(50..51).as_bytes()),
        ("a.csv.part", sessions_export(51..52).as_bytes()),
        ("a.csv.tmp", sessions_export(52..53).as_bytes()),
        ("a.csv.FILEPART", sessions_export(53..54).as_bytes()),
        ("empty.xlsx", b""),
        ("sessions.csv", sessions_export(0..3).as_bytes()),
    ] {
        bench.file(&format!("exports/{name}"), bytes);
    }
    let report = bench.load_path("exports").unwrap();
    assert_eq!(names(&report), ["exports/sessions.csv"]);
    let mut passed = passed_over(&report);
    passed.sort();
    let on_its_way = |name: &str| format!("exports/{name}: incomplete, by its extension");
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
        "exports/holiday.zip: a damaged or truncated zip archive",
        "exports/log.json: ",
        "exports/package.json: ",
        "exports/~$report.xlsx: ",
    ]) {
        assert!(said.starts_with(begins), "{said}, not {begins}");
    }
    assert_eq!(passed.len(), 13);
    // A file named on the command line is loaded whatever its name.
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
fn truncated_export_fails_the_load_or_with_per_file_itself() {
    let exports = archive(&[("june/sessions.csv", sessions_export(0..2).as_bytes())]);
    let book = book();
    for (name, bytes) in [
        ("cut.xlsx", &book[..book.len() / 2]),
        ("cut.zip", &exports[..exports.len() / 2]),
        ("cut.csv.gz", &gz(sessions_export(0..2).as_bytes())[..40]),
        ("cut.gz", &gz(sessions_export(0..2000).as_bytes())[..2_000]),
        ("events.json", b"[{\"event_id\": \"e1\", \"session\": {\"external_id\": \"s1\", \"x"),
        ("first.jsonl", b"{\"x"),
        ("outer.zip", &archive(&[("inner.xlsx", &book[..book.len() / 2])])),
    ] {
        let bench = Bench::new();
        bench.file(&format!("exports/{name}"), bytes);
        bench.file("exports/a.csv", sessions_export(10..12));
        bench.file("exports/z.zip", archive(&[("s.csv", sessions_export(12..15).as_bytes())]));
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
        // Named one by one, the files give the same result.
        let other = [bench.path("exports").join(name), bench.path("exports/a.csv")];
        let each = Options { per_file: true, ..Options::default() };
        let report = load(&bench.lake(), &other, &each).unwrap();
        assert_eq!((report.files.len(), report.failed.len()), (1, 1), "{name}");
    }
}

#[test]
fn with_per_file_missing_files_stop_no_other() {
    let desk = Desk::new();
    desk.write("a.csv", &sessions_export(0..3));
    for (number, missing) in ["gone.csv", "*.tsv"].into_iter().enumerate() {
        let lake = format!("lake-{number}");
        let said = desk.run(&format!("load {missing} a.csv --lake {lake} --per-file"));
        assert_eq!(said.code, 1);
        assert!(said.err.starts_with("error: 1 of 2 files was not loaded\n"), "{}", said.err);
        assert!(said.out.contains(&format!("{missing}  →  not loaded\n")), "{}", said.out);
        assert!(said.out.contains("3 new"), "{}", said.out);
        for line in [format!("{missing} a.csv"), format!("{missing} --per-file")] {
            assert_eq!(desk.failure(&format!("load {line} --lake none")).1, 1);
        }
        let (said, _) = desk.failure("load sesions a.csv --lake none --per-file");
        assert!(said.contains("if it names the table of the files: `sessions`"), "{said}");
        assert!(!desk.exists("none"));
    }
}

#[test]
fn with_per_file_a_damaged_archive_entry_stops_no_other() {
    let bench = Bench::new();
    let mut bytes = archive(&[
        ("a.csv", sessions_export(0..2).as_bytes()),
        ("b.csv", sessions_export(2..4).as_bytes()),
        ("logo.png", b"\x89PNG\r\n\x1a\n some pixels"),
        ("c.csv", sessions_export(4..6).as_bytes()),
    ]);
    // Change a byte of two entries, so that their checksums are wrong.
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
    /// With `--per-file`, a file truncated anywhere is reported, and the others are loaded.
    #[test]
    fn with_per_file_a_truncated_file_is_reported_and_stops_no_other(kind in 0..4_usize, cut in 0..100_usize) {
        let csv = sessions_export(0..40);
        let (name, bytes) = match kind {
            0 => ("cut.xlsx", book()),
            1 => ("cut.zip", archive(&[("x.csv", csv.as_bytes()), ("y.txt", b"Notes\n")])),
            2 => ("cut.csv.gz", gz(csv.as_bytes())),
            _ => ("cut.zip.gz", gz(&archive(&[("x.csv", csv.as_bytes())]))),
        };
        let bench = Bench::new();
        bench.file(&format!("exports/{name}"), &bytes[..bytes.len() * cut / 100]);
        bench.file("exports/whole.csv", sessions_export(70..73));
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
fn pipes_are_loaded() {
    let desk = Desk::new();
    desk.write("s.csv", &sessions_export(0..3));
    fs::write(desk.path("s.csv.gz"), gz(sessions_export(3..6).as_bytes())).unwrap();
    fs::write(desk.path("s.zip"), archive(&[("s.csv", sessions_export(6..9).as_bytes())])).unwrap();
    fs::write(desk.path("s.xlsx"), book()).unwrap();
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
    // No export, or no bytes.
    let said = shell("cat /dev/null | $0 load /dev/stdin --lake none");
    assert!(said.err.starts_with("error: `/dev/stdin` is empty\n"), "{}", said.err);
    let said = shell("echo hello | $0 load /dev/stdin --lake none");
    assert!(said.err.starts_with("error: `/dev/stdin` is not a recognised export"), "{}", said.err);
    assert!(!desk.exists("none"));
    // A pipe in a folder is skipped, not waited for.
    fs::create_dir(desk.path("exports")).unwrap();
    fs::rename(&fifo, desk.path("exports/fifo")).unwrap();
    fs::rename(desk.path("s.csv"), desk.path("exports/s.csv")).unwrap();
    for what in ["exports", "'exports/*'", "'exports/**'"] {
        let said = shell(&format!("$0 load {what} --lake lake"));
        assert_eq!((said.err.as_str(), said.code), ("", 0));
        assert!(said.out.contains("fifo  →  skipped: not a file\n"), "{}", said.out);
    }
}

#[test]
fn brackets_in_folder_names_are_literal() {
    let bench = Bench::new();
    bench.file("exports [may]/a.csv", sessions_export(0..1));
    bench.file("exports [may]/b.csv", sessions_export(1..2));
    bench.file("exports [may]/in [2]/c.csv", sessions_export(2..3));
    bench.file("exports m/a.csv", sessions_export(3..4));
    bench.file("what?/a*/d.csv", sessions_export(4..5));
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
        missing.ends_with(
            "hint: `[…]` matches one of the characters in it: write `[[]` for a bracket in a name"
        ),
        "{missing}"
    );
    assert!(said("exports [may]/*.tsv").ends_with("`*` does not match hidden files"));
    assert!(said("exports [may]/x.csv").contains("cannot be read"));
}
