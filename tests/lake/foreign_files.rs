//! What lies in a lake's folder without being the lake's: links, files of others, what killed
//! commands left.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use chrono::TimeDelta;
use polars::prelude::*;
use proptest::prelude::*;
use tempfile::TempDir;
use wabalake::config::Config;
use wabalake::lake::vacuum::{Options, Vacuumed, Why};
use wabalake::lake::{AsOf, Lake, marts};
use wabalake::load::{Options as LoadOptions, load};
use wabalake::nightly::{self, Mart, Sources, night};
use wabalake_data::tables::sessions;

use crate::support::copy;

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

/// Names of wabalake's data files.
const OURS: [&str; 2] = [
    "5e0c7f0e-3c0b-4a56-9a51-0d6b3f5a7c11.parquet",
    "91d2a7c4-6f3e-4b1d-8f6a-2b7d9e0c4a22.parquet",
];

/// A lake beside which others have a folder; gone with the test.
struct World {
    folder: TempDir,
}

impl World {
    fn new() -> Self {
        let world = Self { folder: TempDir::new().unwrap() };
        fs::create_dir(world.path("lake")).unwrap();
        fs::create_dir(world.path("inbox")).unwrap();
        world.file("others/keep.csv", "theirs");
        world.file(&format!("others/{}", OURS[0]), "theirs");
        world.file(&format!("others/utc_day=2025-06-01/{}", OURS[1]), "theirs");
        world
    }

    /// One with versions to be deleted, a mart, and all that killed commands leave.
    fn full() -> Self {
        static FULL: LazyLock<World> = LazyLock::new(|| {
            let world = World::new();
            world.arrive("a.csv", &["s1,2025-06-01 10:00:00", "s2,2025-06-02 10:00:00"]);
            world.night();
            world.arrive("b.csv", &["s3,2025-06-01 11:00:00", "s4,"]);
            world.night();
            world
        });
        let world = Self { folder: TempDir::new().unwrap() };
        copy(FULL.folder.path(), world.folder.path());
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    fn arrive(&self, name: &str, rows: &[&str]) {
        let head = "session_id,session_started_timestamp\n";
        self.file(&format!("inbox/{name}"), &format!("{head}{}\n", rows.join("\n")));
    }

    fn config() -> Config {
        Config::read(SETTINGS).unwrap()
    }

    fn lake(&self) -> Lake {
        Lake::open(self.path("lake")).unwrap()
    }

    fn night(&self) -> nightly::Report {
        night(&self.lake(), &Self::config(), &nightly::Options::default(), None).unwrap()
    }

    fn vacuum(&self, dry_run: bool) -> Vacuumed {
        let options = Options { retain: TimeDelta::zero(), dry_run };
        nightly::sweep(&self.lake(), &Self::config(), options).unwrap()
    }

    /// The rows of a table, and of a mart as it is and as the tables give it.
    fn answers(&self) -> Vec<DataFrame> {
        let lake = self.lake();
        let mart = Mart::all(&Self::config()).unwrap().remove(0);
        let snapshot = lake.snapshot(mart.layout).unwrap();
        let kept = mart.question.in_order(marts::rows(&snapshot, Vec::new()).unwrap());
        let tables = Sources::of(&lake, AsOf::Now).tables(&mart.question).unwrap();
        let fresh = mart.question.plan(&tables).unwrap();
        let rows = lake.snapshot(&sessions::TABLE).unwrap().scan().unwrap();
        let rows = rows.sort([sessions::SESSION_ID], SortMultipleOptions::default());
        [kept, fresh, rows].map(|plan| plan.collect().unwrap()).to_vec()
    }
}

/// Every file and link below a folder with its bytes or its target; links are not entered.
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

fn make_older(file: &Path, hours: u64) {
    let before = SystemTime::now() - Duration::from_hours(hours);
    File::options().write(true).open(file).unwrap().set_modified(before).unwrap();
}

/// What killed commands leave, below the lake.
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

/// Folders of a lake that others may put something into.
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

/// Names of files of others, some of them much like wabalake's own.
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

/// Names of links, as of what wabalake would delete, and where they lead.
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

    /// Whatever others put into a lake, vacuum deletes all that is wabalake's and old, and nothing
    /// else, in the lake or outside.
    #[test]
    fn vacuum_deletes_what_is_its_own(plants in plants()) {
        let world = World::full();
        let root = world.path("lake");
        let answers = world.answers();
        let replaced = world.vacuum(true).files.len();
        prop_assert!(replaced > 0);
        for left in LEFT {
            world.file(&format!("lake/{left}"), "half");
        }
        let mut theirs = all_below(&world.path("others"));
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
                        outside => world.path(outside),
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
        let told = world.vacuum(true);
        prop_assert!(LEFT.iter().all(|left| root.join(left).exists()), "a dry run deleted something");
        let done = world.vacuum(false);
        prop_assert_eq!(&told, &done);
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
        prop_assert_eq!(world.answers(), answers);
        prop_assert_eq!(world.vacuum(false).files.len(), 0);
    }
}

#[cfg(unix)]
#[test]
fn a_table_on_another_disk_is_read_and_not_swept() {
    for linked in ["tables/sessions", "marts/days", "tables", "marts", ".wabalake/scratch"] {
        let world = World::full();
        let answers = world.answers();
        for left in LEFT {
            world.file(&format!("lake/{left}"), "half");
        }
        let (place, disk) = (world.path("lake").join(linked), world.path("disk"));
        fs::rename(&place, &disk).unwrap();
        std::os::unix::fs::symlink(&disk, &place).unwrap();
        let there = all_below(&disk);
        let done = world.vacuum(false);
        assert!(done.passed_over.contains(&(linked.into(), Why::Link)), "{:?}", done.passed_over);
        assert_eq!(all_below(&disk), there, "{linked}");
        assert_eq!(world.answers(), answers, "{linked}");
    }
}

#[test]
fn vacuum_sweeps_what_is_older_than_the_retention() {
    let world = World::full();
    for left in LEFT {
        world.file(&format!("lake/{left}"), "half");
    }
    let lately = Options { retain: TimeDelta::days(1), dry_run: false };
    assert_eq!(world.lake().vacuum(lately).unwrap().files, Vec::<PathBuf>::new());
    let old = world.path("lake").join(LEFT[3]);
    make_older(&old, 25);
    let empty = world.path("lake/tables/sessions/utc_day=2025-08-01");
    fs::create_dir(&empty).unwrap();
    assert_eq!(world.lake().vacuum(lately).unwrap().files, [PathBuf::from(LEFT[3])]);
    assert!(empty.is_dir(), "somebody may be about to write into it");
    world.vacuum(false);
    assert!(!empty.exists() && !world.path("lake/tables/sessions/utc_day=2025-07-09").exists());
}

#[cfg(unix)]
#[test]
fn an_inbox_is_walked_as_a_load_walks_a_folder() {
    let world = World::new();
    world.arrive("a.csv", &["s1,2025-06-01 10:00:00"]);
    world.arrive("deep/er/b.csv", &["s2,2025-06-01 10:00:00"]);
    world.arrive("other-lake/_delta_log/c.csv", &["s3,2025-06-01 10:00:00"]);
    world.arrive(".hidden/d.csv", &["s4,2025-06-01 10:00:00"]);
    let outside = "session_id,session_started_timestamp\ns5,2025-06-01 10:00:00\n";
    world.file("outside/e.csv", outside);
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
        std::os::unix::fs::symlink(target, world.path(link)).unwrap();
    }
    let (tried, lake) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let settings = SETTINGS.replace("../", &format!("{}/", world.folder.path().display()));
    let tried = night(
        &Lake::open(tried.path()).unwrap(),
        &Config::read(&settings).unwrap(),
        &nightly::Options { dry_run: true, ..nightly::Options::default() },
        None,
    );
    assert_eq!(tried.unwrap().inbox.names, ["a.csv", "deep/er/b.csv", "e-again.csv"]);
    let arrived = world.night().inbox;
    assert_eq!((arrived.files, arrived.known, arrived.rows_new), (3, 0, 3), "{arrived:?}");
    assert!(arrived.failed.is_empty(), "{:?}", arrived.failed);
    // The same as a load of the folder takes.
    let lake = Lake::open(lake.path()).unwrap();
    let loaded: Vec<PathBuf> = ["loaded", "inbox"].map(|folder| world.path(folder)).into();
    load(&lake, &loaded, &LoadOptions::default()).unwrap();
    assert_eq!(lake.snapshot(&sessions::TABLE).unwrap().rows(), 3);
    // A link is moved as what it leads to, which stays.
    let moved = world.path("loaded/e-again.csv");
    assert_eq!(fs::read_to_string(&moved).unwrap(), outside);
    assert!(!moved.is_symlink() && !world.path("inbox/e-again.csv").is_symlink());
    assert!(world.path("outside/e.csv").is_file() && world.path("loaded/a.csv").is_file());
}

#[cfg(unix)]
#[test]
fn a_pattern_follows_no_link_but_one_that_it_names() {
    let world = World::new();
    world.arrive("a.csv", &["s1,2025-06-01 10:00:00"]);
    world.arrive("deep/b.csv", &["s2,2025-06-01 10:00:00"]);
    world.file("others/c.csv", "session_id,session_started_timestamp\ns3,2025-06-01 10:00:00\n");
    for (link, target) in [("here", "."), ("here-too", "."), ("others", "../others")] {
        std::os::unix::fs::symlink(target, world.path("inbox").join(link)).unwrap();
    }
    for (pattern, files) in [
        ("inbox/**/*.csv", vec!["a.csv", "deep/b.csv"]),
        ("inbox/**/deep/*", vec!["deep/b.csv"]),
        ("inbox/others/**/c.*", vec!["others/c.csv"]),
        ("inbox/**", vec![""]),
        ("inbox/here/*.csv", vec!["here/a.csv"]),
    ] {
        let matched = wabalake::load::matches(&world.path(pattern)).unwrap().unwrap();
        let expected: Vec<_> = files.iter().map(|file| world.path("inbox").join(file)).collect();
        assert_eq!(matched, expected, "{pattern}");
    }
}

#[test]
fn a_move_leaves_no_file_to_stand_for_another() {
    let world = World::new();
    world.file("loaded/a.csv", "there before");
    world.arrive("a.csv", &["s1,2025-06-01 10:00:00"]);
    world.night();
    let names: Vec<_> = all_below(&world.path("loaded")).into_keys().collect();
    assert_eq!(names, [world.path("loaded/a-2.csv"), world.path("loaded/a.csv")]);
    assert_eq!(fs::read_to_string(world.path("loaded/a.csv")).unwrap(), "there before");

    // What nights of 0.1.0 left: one whose file was moved the night after, and one whose is there.
    let left = ["loaded/b.csv", "loaded/deep/c.csv", "loaded/.d.csv.wabalake-Ab12Cd.tmp"];
    let stay = ["loaded/mine.csv", "failed/e.csv", "failed/e-2.csv", "failed/e.csv.error.txt"];
    for name in left.iter().chain(&stay) {
        make_older(&world.file(name, ""), 2);
    }
    world.file("loaded/b-2.csv", "loaded");
    world.file("failed/e-2.csv", "no export");
    world.file("inbox/deep/c.csv", "on its way");
    let lately = world.file("loaded/new.csv", "");
    world.file("inbox/new.csv", "on its way");
    let mut done = world.vacuum(false);
    done.files.retain(|file| file.is_absolute());
    let files = [left[2], left[0], left[1]].map(|name| world.path(name));
    assert_eq!(done.files, files);
    assert!(stay.iter().all(|name| world.path(name).exists()) && lately.exists());
}

#[cfg(unix)]
#[test]
fn a_mart_is_dropped_without_what_others_put_there() {
    use std::os::unix::fs::symlink;
    let mart = Mart::all(&World::config()).unwrap().remove(0);
    let world = World::full();
    let theirs = world.file("lake/marts/days/mart_day=2025-06-01/notes.txt", "theirs");
    symlink(world.path("others"), world.path("lake/marts/days/mart_day=2025-06-03")).unwrap();
    let others = all_below(&world.path("others"));
    world.lake().drop_mart(mart.layout).unwrap();
    assert!(theirs.is_file() && !world.path("lake/marts/days/_delta_log").exists());
    assert_eq!(all_below(&world.path("lake/marts")).len(), 2);
    assert_eq!(all_below(&world.path("others")), others);
    assert_eq!(world.night().marts[0].worked_out, "all");

    // A link, or a file of others in its log: nothing is dropped.
    let note = world.file("lake/marts/days/_delta_log/notes.txt", "theirs");
    let said = world.lake().drop_mart(mart.layout).unwrap_err().lines();
    assert!(said.contains("notes.txt` is not wabalake's"), "{said}");
    fs::remove_file(note).unwrap();
    fs::rename(world.path("lake/marts"), world.path("disk")).unwrap();
    symlink(world.path("disk"), world.path("lake/marts")).unwrap();
    let there = all_below(&world.path("disk"));
    let said = world.lake().drop_mart(mart.layout).unwrap_err().lines();
    assert!(said.contains("marts` is a link"), "{said}");
    assert_eq!(all_below(&world.path("disk")), there);
}
