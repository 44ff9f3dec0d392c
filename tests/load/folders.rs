//! Folders, patterns and archives: which files are loaded, which are skipped and why.

use std::path::Path;

use tempfile::TempDir;
use wabalake::lake::Lake;
use wabalake::load::{LoadReport, Options, load};
use wabalake_data::tables::{deployments, messages, sessions};
use zip::write::SimpleFileOptions;

use crate::support::{self, Bench, Said, gz, passed_over};

const SESSION: &str = "session_id,session_started_timestamp\n";
const MESSAGE: &str = "whatsapp_id,created_at,message_direction\nm1,2025-06-01T10:00:00Z,false\n";
const DEPLOYMENT: &str = "deployment_timestamp,user_cellphone,delivery_status\n\
                          2025-06-01 10:00:00,573005550101,Delivered\n";

fn session(id: &str) -> String {
    format!("{SESSION}{id},2025-06-01 10:00:00\n")
}

fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    support::archive(files, SimpleFileOptions::default())
}

fn files(report: &LoadReport) -> Vec<String> {
    report.files.iter().map(|file| format!("{} {}", file.file, file.table)).collect()
}

#[test]
fn folder_is_loaded_recursively_and_skipped_files_are_listed() {
    let bench = Bench::new();
    bench.file("exports/b.csv", session("s1"));
    bench.file("exports/2025/06/m.csv.gz", gz(MESSAGE.as_bytes()));
    bench.file("exports/a.zip", archive(&[("d.csv", DEPLOYMENT.as_bytes())]));
    bench.file("exports/.hidden.csv", session("s2"));
    bench.file("exports/.git/c.csv", session("s3"));
    bench.file("exports/notes.txt", "Exported on Monday.\n");
    bench.file("exports/logo.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\xff\xfe");
    bench.file("exports/empty.csv", "");
    bench.file("exports/letter.docx", archive(&[("[Content_Types].xml", b"<Types/>")]));
    bench.file("exports/lake/tables/sessions/_delta_log/0.json", "{}");
    let report = bench.load_path("exports").unwrap();
    assert_eq!(
        files(&report),
        [
            "exports/2025/06/m.csv.gz messages",
            "exports/a.zip/d.csv deployments",
            "exports/b.csv sessions",
        ]
    );
    let mut passed = passed_over(&report);
    passed.sort();
    assert_eq!(
        passed,
        [
            "exports/.git: hidden",
            "exports/.hidden.csv: hidden",
            "exports/empty.csv: empty",
            "exports/lake/tables/sessions: a lake",
            "exports/letter.docx: an Office document without a sheet",
            "exports/logo.png: does not begin with a header",
            "exports/notes.txt: not a recognised export",
        ]
    );
    let counts = [&sessions::TABLE, &deployments::TABLE, &messages::TABLE];
    assert_eq!(counts.map(|table| bench.count(table)), [1, 1, 1]);
    let versions = counts.map(|table| bench.lake().snapshot(table).unwrap().version);
    assert_eq!(versions, [Some(0); 3], "more than one commit for a table");
    let text = report.text();
    assert!(text.contains("exports/notes.txt  →  skipped: not a recognised export"), "{text}");
    // The lake that is loaded into is skipped.
    let report = load(&bench.lake(), &[bench.folder.path().to_path_buf()], &Options::default());
    assert!(report.unwrap().files.iter().all(|file| file.already_loaded));
}

#[test]
fn named_file_that_is_no_export_is_an_error() {
    let bench = Bench::new();
    bench.file("exports/notes.txt", "Exported on Monday.\n");
    bench.file("notes.zip", archive(&[("notes.txt", b"Exported on Monday.\n")]));
    bench.file("empty.csv", "");
    let error = bench.load_path("exports/notes.txt").unwrap_err();
    assert!(error.to_string().contains("is not a recognised export"), "{error}");
    let error = bench.load_path("exports").unwrap_err();
    assert!(error.lines().starts_with("error: there is no export in `"), "{}", error.lines());
    assert!(error.lines().contains("`exports/notes.txt`: not a recognised export"));
    let error = bench.load_path("notes.zip").unwrap_err();
    assert!(
        error.lines().contains("`notes.zip/notes.txt`: not a recognised export"),
        "{}",
        error.lines()
    );
    assert!(bench.load_path("empty.csv").unwrap_err().to_string().contains("is empty"));
    bench.file("nothing.zip", archive(&[]));
    bench.file("odd.zip", archive(&[("\u{1b}[2J.csv", b"x"), ("b.csv", session("s1").as_bytes())]));
    let error = bench.load_path("nothing.zip").unwrap_err();
    assert!(error.lines().contains("`nothing.zip`: an archive without files"), "{}", error.lines());
    let report = bench.load_path("odd.zip").unwrap();
    assert_eq!(passed_over(&report), ["odd.zip/\u{fffd}[2J.csv: not a recognised export"]);
    std::fs::create_dir(bench.path("nothing")).unwrap();
    let error = bench.load_path("nothing").unwrap_err();
    assert!(error.lines().contains("there is no export in"), "{}", error.lines());
}

#[test]
fn faulty_export_fails_the_load_unless_per_file() {
    let bench = Bench::new();
    bench.file("exports/1.csv", session("s1"));
    bench.file("exports/2.csv", "session_id,session_type\ns2,Inbound\n");
    bench.file("exports/3.csv", session("s3"));
    let cut = gz(session("s4").as_bytes());
    bench.file("exports/4.csv.gz", &cut[..cut.len() - 9]);
    bench.file("exports/5.csv", MESSAGE);
    let error = bench.load_path("exports").unwrap_err();
    assert_eq!(error.exit_code(), 1);
    assert_eq!(bench.count(&sessions::TABLE), 0);

    let Said { out, err, code } =
        bench.run("load exports --lake lake --per-file --report-json r.json");
    assert_eq!(code, 1);
    assert!(err.starts_with("error: 2 of 5 files were not loaded\n  hint: "), "{err}");
    assert!(out.contains("exports/2.csv  →  not loaded\n  error: `exports/2.csv` has no column"));
    assert!(out.contains("sessions: 1 day changed (2025-06-01), version 1\n"), "{out}");
    assert_eq!([&sessions::TABLE, &messages::TABLE].map(|table| bench.count(table)), [2, 1]);
    let report = std::fs::read_to_string(bench.path("r.json")).unwrap();
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["failed"][0]["file"], "exports/2.csv");
    assert_eq!(report["failed"][1]["file"], "exports/4.csv.gz");
    assert_eq!(report["load_id"], serde_json::Value::Null);
    let ids: Vec<_> = report["files"].as_array().unwrap().iter().map(|f| &f["load_id"]).collect();
    assert!(ids.iter().all(|id| id.is_string()) && ids[0] != ids[1], "{ids:?}");

    // Each file is a load of its own, also for undo.
    bench.lake().undo().unwrap();
    assert_eq!([&sessions::TABLE, &messages::TABLE].map(|table| bench.count(table)), [2, 0]);
    let Said { out, code, .. } = bench.run("load exports --lake lake --per-file --quiet");
    assert_eq!((out.as_str(), code), ("", 1));
    assert_eq!(bench.count(&messages::TABLE), 1);
}

#[test]
fn with_per_file_reject_limits_apply_to_each_file() {
    let bench = Bench::new();
    bench.file("exports/1.csv", format!("{SESSION}s1,soon\ns2,2025-06-01 10:00:00\n"));
    bench.file("exports/2.csv", session("s3"));
    let options = Options { per_file: true, strict: true, ..Options::default() };
    let report = load(&bench.lake(), &[bench.path("exports")], &options).unwrap();
    assert_eq!(files(&report), ["exports/2.csv sessions"]);
    assert_eq!(report.failed.len(), 1);
    assert!(report.failed[0].error.contains("1 row was rejected"), "{:?}", report.failed);
    assert!(!report.failed[0].error.contains("soon"));
    assert_eq!(bench.count(&sessions::TABLE), 1);
}

#[test]
fn glob_pattern_loads_matching_files() {
    let bench = Bench::new();
    bench.file("exports/a1.csv", session("s1"));
    bench.file("exports/a2.csv.gz", gz(session("s2").as_bytes()));
    bench.file("exports/deep/a3.csv.gz", gz(session("s3").as_bytes()));
    bench.file("exports/.a4.csv.gz", gz(session("s4").as_bytes()));
    for (pattern, expected) in [
        ("exports/*.csv.gz", vec!["a2.csv.gz"]),
        ("exports/**/*.csv.gz", vec!["a2.csv.gz", "a3.csv.gz"]),
        ("exports/a?.csv", vec!["a1.csv"]),
        ("exports/a[12].*", vec!["a1.csv", "a2.csv.gz"]),
    ] {
        let bench_lake = TempDir::new().unwrap();
        let lake = Lake::create(bench_lake.path()).unwrap();
        let report = load(&lake, &[bench.path(pattern)], &Options::default()).unwrap();
        let names: Vec<&str> = report.files.iter().map(|file| file.file.as_str()).collect();
        assert_eq!(names, expected, "{pattern}");
    }
    let Said { err, code, .. } = bench.run("load exports/*.tsv --lake other");
    assert!(err.starts_with("error: no file matches `exports/*.tsv`\n"), "{err}");
    assert_eq!(code, 1);
    assert!(!bench.path("other").exists(), "a lake was created without a load");
    let Said { err, code, .. } = bench.run("load exports/[a.csv --lake other");
    assert_eq!(code, 2, "{err}");
    // A file name may look like a pattern.
    bench.file("odd[1].csv", session("s9"));
    assert_eq!(files(&bench.load_path("odd[1].csv").unwrap()), ["odd[1].csv sessions"]);
}

#[test]
fn archive_holds_exports_of_several_types_compressed_or_not() {
    let bench = Bench::new();
    let zip = archive(&[
        ("june/sessions.csv", session("s1").as_bytes()),
        ("june/messages.csv.gz", &gz(MESSAGE.as_bytes())),
        ("june/deployments.csv.zst", &zstd::encode_all(DEPLOYMENT.as_bytes(), 1).unwrap()),
        ("june/inner.zip", &archive(&[("s.csv", session("s2").as_bytes())])),
        ("__MACOSX/june/._sessions.csv", b"\0\x05\x16\x07"),
        (".DS_Store", b"\0\0\0\x01Bud1"),
        ("read me.txt", b"Exports of June\n"),
    ]);
    bench.file("exports.zip", &zip);
    bench.file("exports.zip.gz", gz(&zip));
    let report = bench.load_path("exports.zip").unwrap();
    assert_eq!(
        files(&report),
        [
            "exports.zip/june/sessions.csv sessions",
            "exports.zip/june/messages.csv.gz messages",
            "exports.zip/june/deployments.csv.zst deployments",
        ]
    );
    assert_eq!(
        passed_over(&report),
        [
            "exports.zip/june/inner.zip: an archive within an archive",
            "exports.zip/.DS_Store: hidden",
            "exports.zip/read me.txt: not a recognised export",
        ]
    );
    let again = bench.load_path("exports.zip.gz").unwrap();
    assert!(again.files.iter().all(|file| file.already_loaded));
    assert_eq!(again.files.len(), 3);
}

#[cfg(unix)]
#[test]
fn links_to_files_are_followed_and_links_to_folders_skipped() {
    let bench = Bench::new();
    let real = bench.file("elsewhere/a.csv", session("s1"));
    std::fs::create_dir(bench.path("exports")).unwrap();
    std::os::unix::fs::symlink(real, bench.path("exports/a.csv")).unwrap();
    std::os::unix::fs::symlink(bench.path("exports"), bench.path("exports/again")).unwrap();
    std::os::unix::fs::symlink(Path::new("/nowhere"), bench.path("exports/gone")).unwrap();
    let report = bench.load_path("exports").unwrap();
    assert_eq!(files(&report), ["exports/a.csv sessions"]);
    assert_eq!(
        passed_over(&report),
        ["exports/again: a link to a folder", "exports/gone: not a file"]
    );
}

#[test]
fn duplicate_export_in_a_folder_is_loaded_once() {
    let bench = Bench::new();
    bench.file("exports/a.csv", session("s1"));
    bench.file("exports/a (1).csv", session("s1"));
    let report = bench.load_path("exports").unwrap();
    let loaded: Vec<bool> = report.files.iter().map(|file| file.already_loaded).collect();
    assert_eq!(loaded, [false, true]);
    assert_eq!(bench.count(&sessions::TABLE), 1);
}
