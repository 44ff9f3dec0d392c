//! Files whose records are all rejected: the load fails, and the rejects are stored.

use proptest::prelude::*;
use wabalake::lake::erase::Options as How;
use wabalake::load::{LoadReport, Options, load};
use wabalake_data::tables::{audience_tags, sessions, table};

use crate::support::{Bench, Desk, set_age, total};

const HEADER: &str = "session_id,session_started_timestamp,user_country_code,user_cellphone\n";
const BAD: &str = "a1,soon,57,3005550101\na2,later,57,3005550102\n";
const GOOD: &str = "b1,2025-06-01 10:00:00,57,3005550103\n";

fn bad() -> String {
    format!("{HEADER}{BAD}")
}

fn good() -> String {
    format!("{HEADER}{GOOD}")
}

const BAD_REJECTS: [&str; 2] = [
    "1@2 session_started_timestamp: not a date and time such as 2025-12-31 10:00:00 or unix seconds",
    "2@3 session_started_timestamp: not a date and time such as 2025-12-31 10:00:00 or unix seconds",
];

#[test]
fn failed_load_stores_its_rejects_once_and_no_row() {
    let bench = Bench::new();
    for _ in 0..3 {
        let error = bench.try_load("bad.csv", bad()).unwrap_err();
        assert_eq!(error.exit_code(), 1);
        let said = error.lines();
        let said = said.replace(&bench.lake().root().display().to_string(), "lake");
        assert_eq!(
            said,
            "error: none of the 2 records of `bad.csv` is valid: nothing was loaded\n  \
             found: bad.csv: record 1, line 2, `session_started_timestamp`: not a date and time such as 2025-12-31 10:00:00 or unix seconds; \
             bad.csv: record 2, line 3, `session_started_timestamp`: not a date and time such as 2025-12-31 10:00:00 or unix seconds\n  \
             hint: fix it or export it again, and load it again; `wabalake rejects --lake lake` \
             shows its rejects"
        );
        assert_eq!(bench.rejects(), BAD_REJECTS);
        assert_eq!(bench.lake().snapshot(&sessions::TABLE).unwrap().version, None);
        assert_eq!(bench.lake().status().unwrap().open_rejects, 2);
        assert!(bench.lake().last_load().unwrap().is_none());
    }
    // Corrected records resolve the rejects; undo opens them again.
    let corrected =
        bad().replace("soon", "2025-06-02 10:00:00").replace("later", "2025-06-02 10:00");
    assert_eq!(total(&bench.load("corrected.csv", corrected)), [2, 2, 0, 0, 0, 0, 0]);
    assert_eq!(bench.rejects(), [""; 0]);
    bench.lake().undo().unwrap();
    assert_eq!(bench.rejects(), BAD_REJECTS);
}

#[test]
fn exported_and_corrected_rejects_are_resolved() {
    let bench = Bench::new();
    bench.try_load("bad.csv", format!("{HEADER},soon,57,3005550101\n")).unwrap_err();
    let corrected = bench.exported_rejects().replace(",soon", "a1,2025-06-01 10:00:00");
    assert_eq!(total(&bench.load("corrected.csv", corrected)), [1, 1, 0, 0, 0, 0, 0]);
    assert_eq!(bench.rejects(), [""; 0]);
}

#[test]
fn rows_of_the_lake_resolve_rejects_at_once() {
    let bench = Bench::new();
    bench.load("good.csv", format!("{HEADER}a1,2025-06-01 10:00:00,57,3005550101\n"));
    bench.try_load("bad.csv", bad()).unwrap_err();
    assert_eq!(bench.rejects(), BAD_REJECTS[1..]);
}

#[test]
fn rejected_file_fails_the_load_unless_per_file() {
    let bench = Bench::new();
    let files = [bench.file("bad.csv", bad()), bench.file("good.csv", good())];
    let error = load(&bench.lake(), &files, &Options::default()).unwrap_err();
    assert!(error.to_string().starts_with("none of the 2 records of `bad.csv`"), "{error}");
    assert_eq!(bench.rejects(), BAD_REJECTS);
    assert_eq!(bench.lake().snapshot(&sessions::TABLE).unwrap().version, None);

    let each = Options { per_file: true, ..Options::default() };
    let report = load(&bench.lake(), &files, &each).unwrap();
    assert_eq!(total(&report), [1, 1, 0, 0, 0, 0, 0]);
    let failed: Vec<&str> = report.failed.iter().map(|failed| failed.file.as_str()).collect();
    assert_eq!(failed, ["bad.csv"]);
    assert_eq!(bench.rejects(), BAD_REJECTS);
}

/// Loads a folder with files.
fn folder(bench: &Bench, files: &[(&str, String)]) -> Result<LoadReport, wabalake::error::Error> {
    for (name, text) in files {
        bench.file(&format!("exports/{name}"), text);
    }
    bench.load_path("exports")
}

#[test]
fn rejected_file_in_a_folder_fails_only_if_alone() {
    let bench = Bench::new();
    let error = folder(&bench, &[("bad.csv", bad())]).unwrap_err();
    assert!(error.to_string().starts_with("none of the 2 records"), "{error}");
    let report = folder(&bench, &[("bad.csv", bad()), ("good.csv", good())]).unwrap();
    assert_eq!(total(&report), [3, 1, 0, 0, 2, 0, 0]);
    let output = report.text();
    assert!(output.contains("2 rejected\n  no record is valid\n"), "{output}");
    assert_eq!(bench.rejects(), BAD_REJECTS);
}

#[test]
fn dry_run_and_strict_store_no_rejects() {
    for options in [
        Options { dry_run: true, ..Options::default() },
        Options { strict: true, ..Options::default() },
        Options { max_rejects: Some(1), ..Options::default() },
    ] {
        let bench = Bench::new();
        let file = bench.file("bad.csv", bad());
        let error = load(&bench.lake(), &[file], &options).unwrap_err();
        assert_eq!(error.exit_code(), 1);
        assert_eq!(bench.rejects(), [""; 0], "{options:?}");
    }
}

#[test]
fn file_without_new_rows_is_no_error() {
    let bench = Bench::new();
    // Only a header.
    let report = bench.load("none.csv", HEADER);
    assert_eq!(total(&report), [0; 7]);
    assert!(report.text().contains("→  sessions\n  no rows\n"), "{}", report.text());
    // A row that the lake has already, twice: one of the two is superseded by the other.
    bench.load("good.csv", good());
    let again = format!("{HEADER}{GOOD}{GOOD}");
    let report = bench.load("again.csv", again);
    assert_eq!(total(&report), [2, 0, 0, 1, 0, 0, 0]);
    assert_eq!(report.files[0].rows_superseded, 1);
    assert!(bench.load("good.csv", good()).files[0].already_loaded);
    // Events of another type.
    let other =
        "{\"event_id\":\"e4\",\"event_type\":\"deployment.failure\",\"session_id\":\"s\"}\n";
    let closures = Options { kind: table("closures"), ..Options::default() };
    let file = bench.file("failures.jsonl", other);
    let report = load(&bench.lake(), &[file], &closures).unwrap();
    assert_eq!(total(&report), [1, 0, 0, 0, 0, 1, 0]);
    // With a rejected record among them they do not count as taken.
    let with =
        format!("{other}{{\"event_id\":\"e5\",\"session_id\":\"s\",\"closed_at\":\"soon\"}}\n");
    let file = bench.file("broken.jsonl", with);
    let error = load(&bench.lake(), &[file], &closures).unwrap_err();
    assert!(error.to_string().starts_with("none of the 2 records of `broken.jsonl`"), "{error}");
    // Rows of a kept-out person.
    let how = How { keep_out: true, ..How::default() };
    bench.lake().erase("573005550103", how).unwrap();
    let report = bench.load("again.csv", format!("{HEADER}{GOOD},,,\n").replace("b1", "b2"));
    assert_eq!(total(&report), [2, 0, 0, 0, 1, 0, 0]);
    assert_eq!(report.files[0].rows_kept_out, 1);
}

#[test]
fn json_without_known_fields_is_an_error() {
    let bench = Bench::new();
    let kind = |name: &str| Options { kind: table(name), ..Options::default() };
    for (name, open) in [("ad_spend", 0), ("closures", 1), ("conversions", 2)] {
        let file = bench.file("a.json", "[{\"573005550101\":{\"hello\":\"there\"}}]");
        let error = load(&bench.lake(), &[file], &kind(name)).unwrap_err();
        let said = format!("`a.json` has no object with fields of {name}: nothing was loaded");
        assert_eq!(error.to_string(), said);
        assert!(!error.lines().contains("5730"), "{}", error.lines());
        assert_eq!(bench.rejects().len(), open, "{name}");
        assert_eq!(bench.lake().snapshot(table(name).unwrap()).unwrap().version, None);
    }
}

#[test]
fn rejected_file_on_the_command_line() {
    let desk = Desk::new();
    desk.write("bad.csv", &bad());
    let said = desk.run("load bad.csv --lake lake");
    assert_eq!((said.code, said.out.as_str()), (1, ""), "{}", said.err);
    assert!(said.err.contains("/lake` shows its rejects"), "{}", said.err);
    assert!(desk.path("bad.csv").exists());
    let rejects = desk.run("rejects --lake lake --format csv");
    assert_eq!(rejects.out.matches("not a date and time").count(), 2, "{}", rejects.out);
    let tried = desk.run("load bad.csv --lake other --dry-run");
    assert_eq!(tried.code, 1);
    assert!(tried.err.contains("none of the 2 records of `bad.csv` is valid"), "{}", tried.err);
    assert!(!desk.path("other").exists());
    let point = "{\"analytics\":{\"data_points\":[{\"start\":1748736000,\"end\":1748822400,\
                 \"sent\":\"many\",\"delivered\":2}]},\"id\":\"1\"}";
    desk.write("meta.json", point);
    let said = desk.run("load meta.json --lake lake --quiet");
    assert_eq!(said.code, 0);
    assert!(said.err.contains("warning: 1 value of measures could not be read"), "{}", said.err);
}

#[test]
fn nightly_run_moves_a_rejected_file_and_deletes_nothing() {
    for after in ["leave", "move", "delete"] {
        let bench = Bench::with_settings(&format!(
            "[inbox]\nfolders = ['../inbox']\nafter = '{after}'\nloaded = '../loaded'\n\
             failed = '../failed'\n"
        ));
        let other = "{\"event_id\":\"e4\",\"event_type\":\"deployment.failure\",\
                     \"session_id\":\"s\",\"closed_at\":\"2025-06-01T00:00:00Z\"}\n";
        let files = [("bad.csv", bad()), ("good.csv", good()), ("other.jsonl", other.to_owned())];
        for (name, text) in &files {
            set_age(&bench.file(&format!("inbox/{name}"), text), 3_600);
        }
        let report = bench.run_nightly();
        assert_eq!((report.inbox.files, report.inbox.rows_new), (2, 1), "{after}");
        assert!(!report.is_whole());
        let aside = bench.path("failed");
        assert_eq!(std::fs::read_to_string(aside.join("bad.csv")).unwrap(), bad(), "{after}");
        let said = std::fs::read_to_string(aside.join("bad.csv.error.txt")).unwrap();
        assert!(said.contains("none of the 2 records of `bad.csv` is valid"), "{said}");
        assert!(said.contains("`wabalake rejects --lake "), "{said}");
        assert!(!said.contains("3005550101"), "{said}");
        assert_eq!(bench.rejects(), BAD_REJECTS);
        let place = |name: &str| match after {
            "move" => bench.path("loaded").join(name),
            _ => bench.path("inbox").join(name),
        };
        assert_eq!(place("good.csv").exists(), after != "delete");
        assert!(place("other.jsonl").exists(), "{after}");
        let again = bench.run_nightly();
        assert!(again.is_whole(), "{after}: {:?}", again.inbox);
        assert_eq!(again.inbox.files + again.inbox.known, 0);
    }
}

/// Rows of a generated file: 0 is new, 1 is rejected, 2 is in the lake already.
fn lines() -> impl Strategy<Value = Vec<u16>> {
    prop::collection::vec(0..3_u16, 0..5)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 30, ..ProptestConfig::default() })]

    /// A load fails exactly if the records of one of its files are all rejected; then it stores no
    /// row, and the rejects of those files.
    #[test]
    fn load_fails_exactly_if_a_file_has_rejects_only(files in prop::collection::vec(lines(), 1..4)) {
        let bench = Bench::new();
        bench.load("before.csv", "phone,tag\n12025550123,there\n");
        let mut paths = Vec::new();
        for (name, rows) in files.iter().enumerate() {
            let row = |(at, row): (usize, &u16)| match row {
                0 => format!("12025550123,t{name}-{at}\n"),
                1 => ",without\n".to_owned(),
                _ => "12025550123,there\n".to_owned(),
            };
            let rows: String = rows.iter().enumerate().map(row).collect();
            paths.push(bench.file(&format!("{name}.csv"), format!("phone,tag\n{rows}")));
        }
        let count = |rows: &[u16], kind| rows.iter().filter(|row| **row == kind).count();
        let is_nothing = |rows: &&Vec<u16>| !rows.is_empty() && count(rows, 1) == rows.len();
        let fails = files.iter().any(|rows| is_nothing(&rows));
        let loaded = load(&bench.lake(), &paths, &Options::default());
        prop_assert_eq!(loaded.is_err(), fails, "{:?}", files);
        let mut rejects = std::collections::BTreeMap::new();
        for rows in files.iter().filter(|rows| !fails || is_nothing(rows)) {
            // Files with equal bytes are loaded once.
            let key = if count(rows, 0) == 0 { format!("{rows:?}") } else { String::new() };
            if key.is_empty() {
                *rejects.entry(String::from("new")).or_insert(0) += count(rows, 1);
            } else {
                rejects.insert(key, count(rows, 1));
            }
        }
        prop_assert_eq!(bench.rejects().len(), rejects.values().sum::<usize>(), "{:?}", files);
        let taken: usize = files.iter().map(|rows| count(rows, 0)).sum();
        let rows = bench.rows(&audience_tags::TABLE).len();
        prop_assert_eq!(rows, 1 + if fails { 0 } else { taken }, "{:?}", files);
    }
}
