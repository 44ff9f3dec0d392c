//! Links, files of other programs and leftovers of killed commands in a lake's folder.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use chrono::TimeDelta;
use polars::prelude::*;
use proptest::prelude::*;
use tempfile::TempDir;
use wabalake::config::Config;
use wabalake::lake::Lake;
use wabalake::lake::vacuum::{Options, SkipReason, Vacuumed};
use wabalake::load::{Options as LoadOptions, load};
use wabalake::marts::Mart;
use wabalake::nightly;
use wabalake_data::tables::sessions;

use crate::support::{Bench, copy, set_age};

const SETTINGS: &str = "
[inbox]
settle_seconds = 0
folders = ['../inbox']
after = 'move'
loaded = '../loaded'
failed = '../failed'
[[marts]]
name = 'days'
query = 'session-duration'
params = { by = ['day'] }
";

/// File names like those of wabalake's data files.
const OURS: [&str; 2] = [
    "5e0c7f0e-3c0b-4a56-9a51-0d6b3f5a7c11.parquet",
    "91d2a7c4-6f3e-4b1d-8f6a-2b7d9e0c4a22.parquet",
];

/// A lake beside a folder of other programs.
fn bench() -> Bench {
    let bench = Bench::with_settings(SETTINGS);
    bench.file("others/keep.csv", "theirs");
    bench.file(&format!("others/{}", OURS[0]), "theirs");
    bench.file(&format!("others/utc_day=2025-06-01/{}", OURS[1]), "theirs");
    bench
}

/// One with a mart, rejects, and versions that vacuum deletes.
fn full() -> Bench {
    static FULL: LazyLock<Bench> = LazyLock::new(|| {
        let bench = bench();
        arrive(&bench, "a.csv", &["s1,2025-06-01 10:00:00", "s2,2025-06-02 10:00:00"]);
        bench.run_nightly();
        arrive(&bench, "b.csv", &["s3,2025-06-01 11:00:00", "s4,"]);
        bench.run_nightly();
        bench
    });
    let bench = Bench { config: FULL.config.clone(), ..Bench::new() };
    copy(FULL.folder.path(), bench.folder.path());
    bench
}

fn arrive(bench: &Bench, name: &str, rows: &[&str]) {
    let header = "session_id,session_started_timestamp\n";
    bench.file(&format!("inbox/{name}"), format!("{header}{}\n", rows.join("\n")));
}

fn vacuum(bench: &Bench, dry_run: bool) -> Vacuumed {
    let options = Options { retain: TimeDelta::zero(), dry_run };
    nightly::sweep(&bench.lake(), &bench.config, options).unwrap()
}

/// The rows of the mart as stored and as its query answers, and the rows of the table.
fn rows_of(bench: &Bench) -> Vec<DataFrame> {
    let (_, stored, answer) = bench.marts().remove(0);
    let key = [sessions::SESSION_ID];
    let rows = bench.frame(&sessions::TABLE).sort(key, SortMultipleOptions::default());
    vec![stored, answer, rows.unwrap()]
}

/// Every file and link below a folder with its bytes or its target; links are not followed.
fn all_below(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        let kind = entry.file_type().unwrap();
        if kind.is_symlink() {
            let target = fs::read_link(&path).unwrap();
            all.insert(path, target.to_str().unwrap().into());
        } else if kind.is_dir() {
            all.extend(all_below(&path));
        } else {
            let bytes = fs::read(&path).unwrap();
            all.insert(path, bytes);
        }
    }
    all
}

/// Leftovers of killed commands, relative to the lake.
const LEFT: [&str; 11] = [
    "tables/sessions/utc_day=2025-06-01/7c1d2e3f-4a5b-4c6d-8e7f-9a0b1c2d3e4f.parquet",
    "tables/sessions/utc_day=2025-07-09/8c1d2e3f-4a5b-4c6d-8e7f-9a0b1c2d3e4f.parquet",
    "tables/sessions/utc_day=__HIVE_DEFAULT_PARTITION__/9c1d2e3f-4a5b-4c6d-8e7f-9a0b1c2d3e4f.parquet",
    "tables/sessions/_delta_log/00000000000000000002.json#1",
    "tables/sessions/_delta_log/.00000000000000000002.json.wabalake-Ab12Cd.tmp",
    "marts/days/mart_day=2025-06-01/7c1d2e3f-4a5b-4c6d-8e7f-9a0b1c2d3e4f.parquet",
    "marts/days/_delta_log/00000000000000000019.checkpoint.parquet#2",
    ".wabalake/.tmpAb12Cd",
    ".wabalake/scratch/.tmpAb12Cd/load-x/1.ipc",
    ".wabalake/scratch/marts-7c1d2e3f-4a5b-4c6d-8e7f-9a0b1c2d3e4f/days/x.parquet",
    ".page.html.wabalake-Ab12Cd.tmp",
];

/// Folders of a lake in which other programs may put files.
const PLACES: [&str; 13] = [
    "",
    "tables",
    "tables/sessions",
    "tables/sessions/_delta_log",
    "tables/sessions/utc_day=2025-06-01",
    "tables/sessions/utc_day=2099-01-01",
    "marts",
    "marts/days",
    "marts/days/mart_day=2025-06-01",
    ".wabalake",
    ".wabalake/nights",
    ".wabalake/scratch",
    ".wabalake/locks",
];

/// Names of other programs' files, some much like wabalake's own.
const NAMES: [&str; 12] = [
    "notes.txt",
    "_SUCCESS",
    ".DS_Store",
    "part-00000-5e0c7f0e-3c0b-4a56-9a51-0d6b3f5a7c11-c000.snappy.parquet",
    "5e0c7f0e3c0b4a569a510d6b3f5a7c11.parquet",
    "5e0c7f0e-3c0b-4a56-9a51-0d6b3f5a7c11.parquet.bak",
    "half.parquet",
    "export.tmp",
    ".tmpAb12C",
    "00000000000000000099.crc",
    "2.json#1",
    "mine/5e0c7f0e-3c0b-4a56-9a51-0d6b3f5a7c11.parquet",
];

/// Links named like files that vacuum deletes, and their targets.
const LINKS: [(&str, &str); 9] = [
    (OURS[0], "others/keep.csv"),
    (OURS[1], "nowhere"),
    (".tmpZz99Zz", "others"),
    ("marts-5e0c7f0e-3c0b-4a56-9a51-0d6b3f5a7c11", "others"),
    ("utc_day=2025-06-01", "others"),
    ("mart_day=2025-06-09", "others/utc_day=2025-06-01"),
    ("00000000000000000077.json#1", "others/keep.csv"),
    ("here", "."),
    ("up", ".."),
];

#[derive(Clone, Debug)]
enum Plant {
    File(usize, usize),
    Link(usize, usize),
}

fn plants() -> impl Strategy<Value = Vec<Plant>> {
    let file = (0..PLACES.len(), 0..NAMES.len()).prop_map(|(at, name)| Plant::File(at, name));
    let link = (0..PLACES.len(), 0..LINKS.len()).prop_map(|(at, name)| Plant::Link(at, name));
    proptest::collection::vec(prop_oneof![file, link], 1..30)
}

#[cfg(unix)]
proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    /// Vacuum deletes all leftovers of wabalake, and no file or link of other programs, inside the
    /// lake or outside.
    #[test]
    fn vacuum_deletes_old_files_of_the_lake_and_no_others(plants in plants()) {
        let bench = full();
        let root = bench.path("lake");
        let answers = rows_of(&bench);
        let replaced = vacuum(&bench, true).files.len();
        prop_assert!(replaced > 0);
        for left in LEFT {
            bench.file(&format!("lake/{left}"), "half");
        }
        let mut theirs = all_below(&bench.path("others"));
        for plant in &plants {
            let (place, file) = match plant {
                Plant::File(at, name) => (PLACES[*at], NAMES[*name]),
                Plant::Link(at, name) => (PLACES[*at], LINKS[*name].0),
            };
            let path = root.join(place).join(file);
            if path.symlink_metadata().is_ok() {
                continue;
            }
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            match plant {
                Plant::File(..) => fs::write(&path, "theirs").unwrap(),
                Plant::Link(_, name) => {
                    let target = match LINKS[*name].1 {
                        here @ ("." | "..") => PathBuf::from(here),
                        outside => bench.path(outside),
                    };
                    std::os::unix::fs::symlink(target, &path).unwrap();
                }
            }
            let planted = match path.is_symlink() {
                true => fs::read_link(&path).unwrap().to_str().unwrap().into(),
                false => b"theirs".to_vec(),
            };
            theirs.insert(path, planted);
        }
        let output = vacuum(&bench, true);
        prop_assert!(LEFT.iter().all(|left| root.join(left).exists()), "a dry run deleted something");
        let done = vacuum(&bench, false);
        prop_assert_eq!(&output, &done);
        for (path, was) in theirs {
            let is = match fs::read_link(&path) {
                Ok(target) => target.to_str().unwrap().into(),
                Err(_) => fs::read(&path).unwrap_or_else(|error| error.to_string().into()),
            };
            prop_assert_eq!(is, was, "{}", path.display());
        }
        for left in LEFT {
            prop_assert!(root.join(left).symlink_metadata().is_err(), "{left} is left");
        }
        prop_assert_eq!(done.files.len(), LEFT.len() + replaced, "{:?}", done);
        prop_assert_eq!(rows_of(&bench), answers);
        prop_assert_eq!(vacuum(&bench, false).files.len(), 0);
    }
}

#[cfg(unix)]
#[test]
fn linked_table_is_read_and_not_vacuumed() {
    for linked in ["tables/sessions", "marts/days", "tables", "marts", ".wabalake/scratch"] {
        let bench = full();
        let answers = rows_of(&bench);
        for left in LEFT {
            bench.file(&format!("lake/{left}"), "half");
        }
        let (place, disk) = (bench.path("lake").join(linked), bench.path("disk"));
        fs::rename(&place, &disk).unwrap();
        std::os::unix::fs::symlink(&disk, &place).unwrap();
        let there = all_below(&disk);
        let done = vacuum(&bench, false);
        assert!(done.skipped.contains(&(linked.into(), SkipReason::Link)), "{:?}", done.skipped);
        assert_eq!(all_below(&disk), there, "{linked}");
        assert_eq!(rows_of(&bench), answers, "{linked}");
    }
}

#[test]
fn vacuum_keeps_files_younger_than_the_retention() {
    let bench = full();
    for left in LEFT {
        bench.file(&format!("lake/{left}"), "half");
    }
    let lately = Options { retain: TimeDelta::days(1), dry_run: false };
    assert_eq!(bench.lake().vacuum(lately).unwrap().files, Vec::<PathBuf>::new());
    let old = bench.path("lake").join(LEFT[3]);
    set_age(&old, 25 * 3_600);
    let empty = bench.path("lake/tables/sessions/utc_day=2025-08-01");
    fs::create_dir(&empty).unwrap();
    assert_eq!(bench.lake().vacuum(lately).unwrap().files, [PathBuf::from(LEFT[3])]);
    assert!(empty.is_dir(), "another program may be about to write into it");
    vacuum(&bench, false);
    assert!(!empty.exists() && !bench.path("lake/tables/sessions/utc_day=2025-07-09").exists());
}

#[cfg(unix)]
#[test]
fn inbox_is_walked_as_load_walks_a_folder() {
    let bench = bench();
    arrive(&bench, "a.csv", &["s1,2025-06-01 10:00:00"]);
    arrive(&bench, "deep/er/b.csv", &["s2,2025-06-01 10:00:00"]);
    arrive(&bench, "other-lake/_delta_log/c.csv", &["s3,2025-06-01 10:00:00"]);
    arrive(&bench, ".hidden/d.csv", &["s4,2025-06-01 10:00:00"]);
    let outside = "session_id,session_started_timestamp\ns5,2025-06-01 10:00:00\n";
    bench.file("outside/e.csv", outside);
    for (link, target) in [
        ("inbox/here", "."),
        ("inbox/here-too", "."),
        ("inbox/deep/up", ".."),
        ("inbox/outside", "../outside"),
        ("inbox/nowhere.csv", "../nowhere.csv"),
        ("inbox/again.csv", "a.csv"),
        ("inbox/e.csv", "../outside/e.csv"),
        ("inbox/e-again.csv", "../outside/e.csv"),
    ] {
        std::os::unix::fs::symlink(target, bench.path(link)).unwrap();
    }
    let (tried, lake) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let settings = SETTINGS.replace("../", &format!("{}/", bench.folder.path().display()));
    let tried = nightly::run(
        &Lake::open(tried.path()).unwrap(),
        &Config::read(&settings).unwrap(),
        &nightly::Options { dry_run: true, ..nightly::Options::default() },
        None,
    );
    assert_eq!(tried.unwrap().inbox.names, ["a.csv", "deep/er/b.csv", "e-again.csv"]);
    let arrived = bench.run_nightly().inbox;
    assert_eq!((arrived.files, arrived.known, arrived.rows_new), (3, 0, 3), "{arrived:?}");
    assert!(arrived.failed.is_empty(), "{:?}", arrived.failed);
    // A load of the folder takes the same files.
    let lake = Lake::open(lake.path()).unwrap();
    let loaded: Vec<PathBuf> = ["loaded", "inbox"].map(|folder| bench.path(folder)).into();
    load(&lake, &loaded, &LoadOptions::default()).unwrap();
    assert_eq!(lake.snapshot(&sessions::TABLE).unwrap().rows(), 3);
    // A link is moved as a copy of its target, which stays.
    let moved = bench.path("loaded/e-again.csv");
    assert_eq!(fs::read_to_string(&moved).unwrap(), outside);
    assert!(!moved.is_symlink() && !bench.path("inbox/e-again.csv").is_symlink());
    assert!(bench.path("outside/e.csv").is_file() && bench.path("loaded/a.csv").is_file());
}

#[cfg(unix)]
#[test]
fn pattern_follows_only_links_that_it_names() {
    let bench = bench();
    arrive(&bench, "a.csv", &["s1,2025-06-01 10:00:00"]);
    arrive(&bench, "deep/b.csv", &["s2,2025-06-01 10:00:00"]);
    bench.file("others/c.csv", "session_id,session_started_timestamp\ns3,2025-06-01 10:00:00\n");
    for (link, target) in [("here", "."), ("here-too", "."), ("others", "../others")] {
        std::os::unix::fs::symlink(target, bench.path("inbox").join(link)).unwrap();
    }
    for (pattern, files) in [
        ("inbox/**/*.csv", vec!["a.csv", "deep/b.csv"]),
        ("inbox/**/deep/*", vec!["deep/b.csv"]),
        ("inbox/others/**/c.*", vec!["others/c.csv"]),
        ("inbox/**", vec![""]),
        ("inbox/here/*.csv", vec!["here/a.csv"]),
    ] {
        let matched = wabalake::load::matches(&bench.path(pattern)).unwrap().unwrap();
        let expected: Vec<_> = files.iter().map(|file| bench.path("inbox").join(file)).collect();
        assert_eq!(matched, expected, "{pattern}");
    }
}

#[test]
fn moved_file_never_replaces_another() {
    let bench = bench();
    bench.file("loaded/a.csv", "there before");
    arrive(&bench, "a.csv", &["s1,2025-06-01 10:00:00"]);
    bench.run_nightly();
    let names: Vec<_> = all_below(&bench.path("loaded")).into_keys().collect();
    assert_eq!(names, [bench.path("loaded/a-2.csv"), bench.path("loaded/a.csv")]);
    assert_eq!(fs::read_to_string(bench.path("loaded/a.csv")).unwrap(), "there before");

    // Leftovers of 0.1.0: one whose file was moved by the next run, and one whose file is still
    // there.
    let left = ["loaded/b.csv", "loaded/deep/c.csv", "loaded/.d.csv.wabalake-Ab12Cd.tmp"];
    let stay = ["loaded/mine.csv", "failed/e.csv", "failed/e-2.csv", "failed/e.csv.error.txt"];
    for name in left.iter().chain(&stay) {
        set_age(&bench.file(name, ""), 2 * 3_600);
    }
    bench.file("loaded/b-2.csv", "loaded");
    bench.file("failed/e-2.csv", "no export");
    bench.file("inbox/deep/c.csv", "on its way");
    let lately = bench.file("loaded/new.csv", "");
    bench.file("inbox/new.csv", "on its way");
    let mut done = vacuum(&bench, false);
    done.files.retain(|file| file.is_absolute());
    let files = [left[2], left[0], left[1]].map(|name| bench.path(name));
    assert_eq!(done.files, files);
    assert!(stay.iter().all(|name| bench.path(name).exists()) && lately.exists());
}

#[cfg(unix)]
#[test]
fn dropping_a_mart_keeps_files_of_other_programs() {
    use std::os::unix::fs::symlink;
    let bench = full();
    let mart = Mart::all(&bench.lake(), &bench.config).unwrap().remove(0);
    let theirs = bench.file("lake/marts/days/mart_day=2025-06-01/notes.txt", "theirs");
    symlink(bench.path("others"), bench.path("lake/marts/days/mart_day=2025-06-03")).unwrap();
    let others = all_below(&bench.path("others"));
    bench.lake().drop_mart(&mart.layout).unwrap();
    assert!(theirs.is_file() && !bench.path("lake/marts/days/_delta_log").exists());
    assert_eq!(all_below(&bench.path("lake/marts")).len(), 2);
    assert_eq!(all_below(&bench.path("others")), others);
    assert_eq!(bench.run_nightly().marts[0].scope, nightly::Scope::All);

    // If there is a link, or another program's file in the log, nothing is dropped.
    let note = bench.file("lake/marts/days/_delta_log/notes.txt", "theirs");
    let said = bench.lake().drop_mart(&mart.layout).unwrap_err().lines();
    assert!(said.contains("notes.txt` is not a file of wabalake"), "{said}");
    fs::remove_file(note).unwrap();
    fs::rename(bench.path("lake/marts"), bench.path("disk")).unwrap();
    symlink(bench.path("disk"), bench.path("lake/marts")).unwrap();
    let there = all_below(&bench.path("disk"));
    let said = bench.lake().drop_mart(&mart.layout).unwrap_err().lines();
    assert!(said.contains("marts` is a link"), "{said}");
    assert_eq!(all_below(&bench.path("disk")), there);
}
