//! Nightly runs on object stores in memory: they do what they do in folders.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use object_store::ObjectStore;
use polars::prelude::{DataFrame, SortMultipleOptions, by_name};
use tempfile::TempDir;
use wabalake_data::tables::sessions;

use super::*;
use crate::lake::marts;
use crate::lake::runs::RUNS;
use crate::place::counting::Counting;
use crate::place::{Key, Place, cache};

const MARTS: &str = "
[[marts]]
name = 'days'
query = 'session-duration'
params = { by = ['day'] }
[[marts]]
name = 'deliveries'
query = 'delivery-rate'
params = { by = ['day'] }
[[marts]]
name = 'messages'
query = 'message-summary'
[[marts]]
name = 'flows'
query = 'drop-off'
[[marts]]
name = 'returns'
query = 'return-rate'
[[marts]]
name = 'failures'
query = 'failure-reasons'
";

/// A lake, and a folder beside it for exports, in a folder or on a store.
struct Site {
    /// What is beside the lake.
    beside: Place,
    open: Box<dyn Fn() -> Lake>,
    store: Option<Arc<Counting>>,
    _folder: TempDir,
}

impl Site {
    fn in_folder() -> Self {
        let folder = TempDir::new().unwrap();
        let root = folder.path().join("lake");
        fs::create_dir(folder.path().join("inbox")).unwrap();
        Self {
            beside: Place::folder(folder.path()),
            open: Box::new(move || Lake::create(&root).unwrap()),
            store: None,
            _folder: folder,
        }
    }

    fn on_store() -> Self {
        let folder = TempDir::new().unwrap();
        let store = Arc::new(Counting::default());
        let objects = Arc::clone(&store) as Arc<dyn ObjectStore>;
        let options = cache::Options { folder: folder.path().to_owned(), limit: 1 << 30 };
        Self {
            beside: Place::over(Arc::clone(&objects), "exports/of=us").unwrap(),
            open: Box::new(move || {
                let place = Place::over(Arc::clone(&objects), "exports/of=us/lake").unwrap();
                Lake::at(place.with_cache(Some(options.clone())))
            }),
            store: Some(store),
            _folder: folder,
        }
    }

    fn lake(&self) -> Lake {
        (self.open)()
    }

    fn put(&self, key: &str, text: &str) {
        self.beside
            .put(&Key::parse(key).unwrap(), Bytes::copy_from_slice(text.as_bytes()))
            .unwrap();
    }

    fn read(&self, key: &str) -> Option<String> {
        let bytes = self.beside.read(&Key::parse(key).unwrap()).unwrap();
        bytes.map(|bytes| String::from_utf8(bytes.into()).unwrap())
    }

    /// The files beside the lake.
    fn files(&self) -> Vec<String> {
        let listed = self.beside.list(&Key::root(), None).unwrap().into_iter();
        let keys = listed.map(|entry| entry.key.as_str().to_owned());
        keys.filter(|key| !key.starts_with("lake/")).collect()
    }

    fn run(&self, settings: &str) -> RunReport {
        self.run_with(settings, &Options::default()).unwrap()
    }

    fn run_with(&self, settings: &str, options: &Options) -> Result<RunReport> {
        run(&self.lake(), &Config::read(settings).unwrap(), options, None)
    }

    fn mart(&self, name: &str, settings: &str) -> DataFrame {
        let lake = self.lake();
        let marts = Mart::all(&lake, &Config::read(settings).unwrap()).unwrap();
        let mart = marts.into_iter().find(|mart| mart.name == name).unwrap();
        let rows = marts::rows(&lake.snapshot(&mart.layout).unwrap(), Vec::new()).unwrap();
        match mart.question() {
            Some(question) => question.in_order(rows).collect().unwrap(),
            None => {
                let rows = rows.collect().unwrap();
                let columns = rows.get_column_names_owned();
                rows.sort(columns, SortMultipleOptions::default()).unwrap()
            }
        }
    }
}

fn sites() -> [Site; 2] {
    [Site::in_folder(), Site::on_store()]
}

fn export(ids: &[&str], day: u32) -> String {
    let rows = ids.iter().map(|id| format!("{id},2025-06-{day:02} 12:00:00,57,3005550123\n"));
    let header = "session_id,session_started_timestamp,user_country_code,user_cellphone\n";
    header.to_owned() + &rows.collect::<String>()
}

/// Files loaded, files that the lake knew, files that failed.
fn counts(report: &RunReport) -> (u64, u64, usize) {
    (report.inbox.files, report.inbox.known, report.inbox.failed.len())
}

const INBOX: &str = "[inbox]\nsettle_seconds = 0\nfolders = ['../inbox']\nfailed = '../failed'\n\
                     loaded = '../loaded'\n";

#[test]
fn files_of_the_inbox_are_loaded_once_and_left_moved_or_deleted() {
    for site in sites() {
        let run = |after: &str| counts(&site.run(&format!("{INBOX}after = '{after}'\n")));
        for hidden in
            ["inbox/.x.csv", "inbox/.dir/x.csv", "inbox/x.csv.part", "inbox/other/_delta_log/x.csv"]
        {
            site.put(hidden, &export(&["hidden"], 1));
        }
        let hidden = site.files();
        site.put("inbox/a.csv", &export(&["a"], 1));
        site.put("inbox/sub/b.csv", &export(&["b"], 2));
        site.put("inbox/copy.csv", &export(&["a"], 1));
        assert_eq!(run("leave"), (2, 1, 0));
        assert_eq!(run("leave"), (0, 0, 0));
        assert_eq!(site.files().len(), hidden.len() + 3);
        // The rest is remembered. A file of other contents is another file.
        site.put("inbox/a.csv", &export(&["a", "c"], 3));
        site.put("loaded/a.csv", "there before");
        assert_eq!(run("move"), (1, 0, 0));
        assert_eq!(site.read("loaded/a.csv").unwrap(), "there before");
        assert_eq!(site.read("loaded/a-2.csv").unwrap(), export(&["a", "c"], 3));
        assert_eq!(site.read("inbox/a.csv"), None);
        // One that cannot be loaded does not hold up the others.
        site.put("inbox/sub/notes.csv", "nothing,to,see\n1,2,3\n");
        site.put("inbox/d.csv", &export(&["d"], 4));
        assert_eq!(run("delete"), (1, 0, 1));
        assert_eq!(site.read("failed/sub/notes.csv").unwrap(), "nothing,to,see\n1,2,3\n");
        assert!(site.read("failed/sub/notes.csv.error.txt").unwrap().starts_with("error: "));
        assert_eq!((site.read("inbox/d.csv"), site.read("inbox/sub/notes.csv")), (None, None));
        assert_eq!(run("delete"), (0, 0, 0));
        let rows = site.lake().snapshot(&sessions::TABLE).unwrap().rows();
        assert_eq!(rows, 4);
    }
}

#[test]
fn folders_of_the_inbox_are_on_this_machine_or_on_a_store() {
    let site = Site::on_store();
    let folder = TempDir::new().unwrap();
    let here = |name: &str| folder.path().join(name);
    fs::create_dir(here("inbox")).unwrap();
    fs::write(here("inbox/a.csv"), export(&["a"], 1)).unwrap();
    site.put("inbox/b.csv", &export(&["b"], 2));
    let root = folder.path().display();
    let settings = |loaded: &str| {
        format!(
            "[inbox]\nsettle_seconds = 0\nfolders = ['{root}/inbox', '../inbox']\n\
             after = 'move'\nloaded = '{loaded}'\n"
        )
    };
    assert_eq!(counts(&site.run(&settings("../loaded"))), (2, 0, 0));
    assert_eq!(site.files(), ["loaded/a.csv", "loaded/b.csv"]);
    assert_eq!(fs::read_dir(here("inbox")).unwrap().count(), 0);
    fs::write(here("inbox/c.csv"), export(&["c"], 3)).unwrap();
    site.put("inbox/sub/d.csv", &export(&["d"], 4));
    assert_eq!(counts(&site.run(&settings(&format!("{root}/loaded")))), (2, 0, 0));
    assert_eq!(site.files(), ["loaded/a.csv", "loaded/b.csv"]);
    for (file, text) in [("c.csv", export(&["c"], 3)), ("sub/d.csv", export(&["d"], 4))] {
        assert_eq!(fs::read_to_string(here("loaded").join(file)).unwrap(), text);
    }
    let none = "[inbox]\nfolders = ['/nowhere/inbox']\n";
    let error = site.run_with(none, &Options::default()).unwrap_err();
    assert!(error.lines().contains("there is no inbox `/nowhere/inbox`"), "{}", error.lines());
}

#[test]
fn object_waits_only_if_the_settings_say_so() {
    let site = Site::on_store();
    site.put("inbox/a.csv", &export(&["a"], 1));
    let settings = "[inbox]\nfolders = ['../inbox']\n";
    let report = site.run(&format!("{settings}settle_seconds = 600\n"));
    assert_eq!((report.inbox.files, report.inbox.arriving), (0, vec!["a.csv".to_owned()]));
    assert_eq!(counts(&site.run(settings)), (1, 0, 0));
    // Of the same size, in the same second: its entity tag tells.
    site.put("inbox/a.csv", &export(&["b"], 1));
    assert_eq!(counts(&site.run(settings)), (1, 0, 0));
    assert_eq!(counts(&site.run(settings)), (0, 0, 0));
}

#[test]
fn lake_inside_its_inbox_is_skipped_on_a_store() {
    let site = Site::on_store();
    let settings = "[inbox]\nfolders = ['..']\nloaded = '../loaded'\nafter = 'move'\n";
    site.put("a.csv", &export(&["a"], 1));
    site.put("lake/wabalake.toml", "");
    for files in [1, 0] {
        assert_eq!(counts(&site.run(settings)), (files, 0, 0));
    }
    assert_eq!(site.files(), ["loaded/a.csv"]);
}

#[test]
fn marts_on_a_store_are_those_of_a_folder() {
    let sites = sites();
    let own = "[[marts]]\nname = 'own'\nsql = '../sql/own.sql'\nparams.flow = 41207\n";
    let settings = format!("{INBOX}{MARTS}{own}[retention]\ndays = 0\n");
    for site in &sites {
        let text = "SELECT country, COUNT(*) AS n FROM sessions WHERE conversation_id = :flow \
                    GROUP BY country";
        site.put("sql/own.sql", text);
    }
    let exports = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("data/exports");
    for file in fs::read_dir(&exports).unwrap().map(|entry| entry.unwrap().path()) {
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        for site in &sites {
            let key = Key::parse(&format!("inbox/{name}")).unwrap();
            site.beside.put(&key, Bytes::from(fs::read(&file).unwrap())).unwrap();
        }
    }
    let told = |report: &RunReport| {
        let marts = report.marts.iter();
        let marts: Vec<_> = marts
            .map(|mart| (mart.mart.clone(), mart.scope, mart.why.clone(), mart.days, mart.rows))
            .collect();
        (counts(report), marts, report.outcome)
    };
    let as_of = AsOf::Versions([("sessions", 0)].into());
    for (step, options) in [
        ("first", Options::default()),
        ("dry", Options { dry_run: true, full: true, ..Options::default() }),
        ("nothing new", Options::default()),
        ("one", Options { full: true, only: vec!["flows".to_owned()], ..Options::default() }),
        ("new day", Options::default()),
        ("as of", Options { as_of, ..Options::default() }),
        ("now again", Options::default()),
    ] {
        let [expected, found] = [0, 1].map(|at| {
            let site = &sites[at];
            if step == "new day" {
                site.put("inbox/new.csv", &export(&["new"], 9));
            }
            site.run_with(&settings, &options).unwrap()
        });
        assert_eq!(told(&found), told(&expected), "{step}");
        for mart in ["days", "deliveries", "messages", "flows", "returns", "failures", "own"] {
            let [expected, found] = [0, 1].map(|at| sites[at].mart(mart, &settings));
            assert!(found.equals_missing(&expected), "{step}: {found} and {expected}");
            assert!(found.height() > 0 || step == "as of", "{mart}");
        }
    }
    let [expected, found] = [0, 1].map(|at| {
        let runs = sites[at].lake().snapshot(&RUNS).unwrap().scan().unwrap();
        let runs = runs.drop(by_name(["started_at", "finished_at"], true, false));
        runs.collect().unwrap()
    });
    assert_eq!(found, expected);
    assert_eq!(found.height(), 6);
}

#[test]
fn damaged_mart_on_a_store_is_rebuilt() {
    let site = Site::on_store();
    let settings = format!("{INBOX}{MARTS}");
    site.put("inbox/a.csv", &export(&["a"], 1));
    site.run(&settings);
    let expected = site.mart("days", &settings);
    let place = site.lake().place().clone();
    let file = place.list(&Key::root().join("marts/days/mart_day=2025-06-01"), None).unwrap();
    let [file] = file.try_into().unwrap();
    place.delete(&[file.key]).unwrap();
    let report = site.run(&settings);
    let days = report.marts.iter().find(|mart| mart.mart == "days").unwrap();
    assert_eq!((days.scope, days.why.as_str()), (Scope::All, "it was damaged"));
    assert!(site.mart("days", &settings).equals_missing(&expected));
}

#[test]
fn run_with_one_new_day_asks_for_little() {
    let site = Site::on_store();
    let settings = format!("{INBOX}{MARTS}");
    site.put("inbox/a.csv", &export(&["a"], 1));
    site.run(&settings);
    let store = site.store.as_ref().unwrap();
    // Of these, the load asks for about 80.
    for (day, most) in [(2, 150), (3, 150)] {
        site.put(&format!("inbox/{day}.csv"), &export(&["b"], day));
        let _ = (store.take(), store.take_changes());
        assert_eq!(counts(&site.run(&settings)), (1, 0, 0));
        let (asked, changed) = (store.take(), store.take_changes());
        let total = asked.len() + changed.len();
        assert!(total <= most, "{total} requests: {asked:#?} {changed:#?}");
    }
}
