//! Commands killed at any instant, and many at once: a load or a nightly run is done or not at all,
//! and the next erasure completes one that was killed.
//!
//! `WABALAKE_SEED` repeats the instants that a failed test prints.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Output, Stdio};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime};

use polars::prelude::*;
use url::Url;
use wabalake::lake::Snapshot;
use wabalake_data::tables::{deployments, sessions};
use wabalake_data::{TABLES, Table};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::support::{Bench, copy, files_below, texts};

const KILLS: u64 = 5;

/// One test runs at a time: the instants are shares of the time that a command takes alone.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Exports of sessions whose days overlap: a later one has newer states of the same sessions.
static SESSIONS: LazyLock<(Bench, Vec<PathBuf>)> = LazyLock::new(|| {
    let bench = Bench::new();
    bench.stdout("sample --out exports --days 40 --sessions-per-day 50 --seed 11 --dirt");
    let mut files = files_below(&bench.path("exports"));
    files.retain(|path| {
        let name = path.file_name().unwrap().to_str().unwrap();
        name.starts_with("general_sessions") && !name.contains("(1)")
    });
    assert!(files.len() > 1);
    (bench, files)
});

/// Random instants within the time that a command takes, equal for equal seeds.
struct Instants {
    seed: u64,
    drawn: u64,
    whole: Duration,
    rounds: u64,
    killed: u64,
}

impl Instants {
    fn within(whole: Duration) -> Self {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let seed =
            std::env::var("WABALAKE_SEED").map_or(now.as_secs(), |seed| seed.parse().unwrap());
        Self { seed, drawn: 0, whole, rounds: 0, killed: 0 }
    }

    /// Begins another round, of which there are `KILLS`, and more until one command is killed in time.
    fn another(&mut self) -> bool {
        let goes_on = self.rounds < KILLS || self.killed == 0;
        assert!(
            self.rounds < 4 * KILLS,
            "each of {} commands ended before it was killed, {self}",
            self.rounds
        );
        self.rounds += u64::from(goes_on);
        goes_on
    }

    /// An instant at or after the share `from`.
    fn draw(&mut self, from: f64) -> Duration {
        self.drawn += 1;
        let random = xxh3_64_with_seed(&self.drawn.to_le_bytes(), self.seed);
        self.whole.mul_f64(from + (1.0 - from) * random as f64 / u64::MAX as f64)
    }

    /// Kills a command after some time. One that ended sooner shows how little time it takes.
    fn kill(&mut self, mut command: Child, after: Duration) {
        sleep(after);
        command.kill().unwrap();
        let output = command.wait_with_output().unwrap();
        match output.status.signal() == Some(9) {
            true => self.killed += 1,
            false => {
                assert!(output.status.success(), "{}", stderr(&output));
                self.whole = self.whole.min(after);
            }
        }
    }
}

impl Display for Instants {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "WABALAKE_SEED={}", self.seed)
    }
}

impl Bench {
    /// A copy of this folder.
    fn copied(&self) -> Self {
        let bench = Self::new();
        copy(self.folder.path(), bench.folder.path());
        bench
    }

    fn succeed(&self, line: &str) {
        let said = self.run(line);
        assert_eq!(said.code, 0, "wabalake {line}: {}", said.err);
    }

    fn load_one(&self, export: &Path) {
        let load = self.command("load --quiet --lake lake").arg(export).output().unwrap();
        assert!(load.status.success(), "{}", String::from_utf8_lossy(&load.stderr));
    }

    fn start(&self, line: &str, argument: Option<&Path>) -> Child {
        let mut command = self.command(line);
        command.args(argument).stdout(Stdio::null()).stderr(Stdio::piped());
        command.spawn().unwrap()
    }

    /// Copies exports into the inbox.
    fn arrive(&self, exports: &[PathBuf]) {
        fs::create_dir_all(self.path("inbox")).unwrap();
        for export in exports {
            fs::copy(export, self.path("inbox").join(export.file_name().unwrap())).unwrap();
        }
    }

    /// The rows of every table that exports are loaded into, as another Delta reader finds them.
    fn tables(&self) -> BTreeMap<&'static str, Vec<String>> {
        let rows =
            |name, columns: Vec<&str>| Some((name, texts(&self.delta("tables", name, columns)?)));
        TABLES
            .iter()
            .filter_map(|table| rows(table.name, table.columns.iter().map(|c| c.name).collect()))
            .collect()
    }

    /// The rows of every table that exports are loaded into and that has rows, as wabalake finds them.
    fn seen(&self) -> BTreeMap<&'static str, Vec<String>> {
        let snapshots = self.lake().snapshots(TABLES.iter().copied()).unwrap().into_iter();
        let rows = |(table, snapshot): (&&'static Table, Snapshot)| {
            let columns = table.columns.iter().map(|column| col(column.name));
            let rows = snapshot.scan().unwrap().select(columns.collect::<Vec<_>>());
            (table.name, texts(&rows.collect().unwrap()))
        };
        TABLES.iter().zip(snapshots).map(rows).filter(|(_, rows)| !rows.is_empty()).collect()
    }

    /// The rows of every mart.
    fn mart_rows(&self) -> BTreeMap<&'static str, Vec<String>> {
        MARTS
            .iter()
            .filter_map(|mart| Some((*mart, texts(&self.delta("marts", mart, Vec::new())?))))
            .collect()
    }

    /// The outcomes of the nightly runs, oldest first.
    fn outcomes(&self) -> Vec<String> {
        let runs = self.delta("tables", "runs", vec!["started_at", "outcome"]).unwrap();
        let runs = runs.sort(["started_at"], SortMultipleOptions::default()).unwrap();
        let outcomes = runs.column("outcome").unwrap().str().unwrap();
        outcomes.iter().map(|outcome| outcome.unwrap().to_owned()).collect()
    }

    /// Some columns of a table, or all but the partition column: the files of its newest version,
    /// listed by `deltalake`.
    fn delta(&self, within: &str, name: &str, columns: Vec<&str>) -> Option<DataFrame> {
        let folder = self.path("lake").join(within).join(name);
        let log = fs::read_dir(folder.join("_delta_log")).ok()?;
        let mut commits = log.map(|entry| entry.unwrap().path());
        commits.find(|path| path.extension().is_some_and(|end| end == "json"))?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let url = Url::from_directory_path(folder.canonicalize().unwrap()).unwrap();
        let table = runtime.block_on(deltalake::open_table(url)).unwrap();
        let state = table.snapshot().unwrap();
        let mut rows: Option<DataFrame> = None;
        for file in state.log_data().iter() {
            let found = parquet(&folder.join(file.path().as_ref())).unwrap();
            let found = match columns.is_empty() {
                true => found,
                false => found.select(columns.iter().copied()).unwrap(),
            };
            match &mut rows {
                Some(rows) => drop(rows.vstack_mut(&found).unwrap()),
                None => rows = Some(found),
            }
        }
        Some(rows.unwrap_or_default())
    }

    /// What can be seen of a lake: its rows, and its rejects without their times.
    fn contents(&self) -> (BTreeMap<&'static str, Vec<String>>, Vec<String>) {
        let rejects: serde_json::Value =
            serde_json::from_str(&self.stdout("rejects --all --lake lake -f json")).unwrap();
        let reject = |reject: &serde_json::Value| {
            ["file", "record", "reason"].map(|name| reject[name].to_string()).join(" ")
        };
        let mut rejects: Vec<String> = rejects.as_array().unwrap().iter().map(reject).collect();
        rejects.sort();
        (self.tables(), rejects)
    }

    /// The files of a lake that hold a number: as bytes, or in a text of a Parquet file.
    fn holding(&self, number: &str) -> Vec<PathBuf> {
        let holds = |path: &PathBuf| {
            let bytes = fs::read(path).unwrap();
            if bytes.windows(number.len()).any(|window| window == number.as_bytes()) {
                return true;
            }
            let is_data = path.extension().is_some_and(|end| end == "parquet")
                && path.iter().all(|part| part != "_delta_log");
            let Some(rows) = is_data.then(|| parquet(path).ok()).flatten() else { return false };
            texts(&rows).iter().any(|row| row.contains(number))
        };
        files_below(&self.path("lake")).into_iter().filter(holds).collect()
    }
}

fn parquet(file: &Path) -> PolarsResult<DataFrame> {
    ParquetReader::new(File::open(file)?).finish()
}

/// How long something takes.
fn timed(act: impl FnOnce()) -> Duration {
    let started = Instant::now();
    act();
    started.elapsed()
}

/// Waits until a command ends, for at most two minutes.
fn wait(mut child: Child) -> Output {
    let until = Instant::now() + Duration::from_mins(2);
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > until {
            child.kill().unwrap();
        }
        sleep(Duration::from_millis(20));
    }
    child.wait_with_output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Kills a load of the export after `loaded_before` others.
fn load_killed_at_any_instant(loaded_before: usize) {
    let _alone = alone();
    let (_, exports) = &*SESSIONS;
    let before = Bench::new();
    before.lake();
    for export in &exports[..loaded_before] {
        before.load_one(export);
    }
    let export = &exports[loaded_before];
    let after = before.copied();
    let whole = timed(|| after.load_one(export));
    let (contents_before, contents_after) = (before.contents(), after.contents());
    assert_ne!(contents_before, contents_after);

    let mut instants = Instants::within(whole);
    while instants.another() {
        let bench = before.copied();
        let instant = instants.draw(0.02);
        instants.kill(bench.start("load --lake lake", Some(export)), instant);
        let contents = bench.contents();
        let is_whole = contents == contents_before || contents == contents_after;
        assert!(is_whole, "killed after {instant:?}, {instants}: neither as before nor as after");
        bench.load_one(export);
        assert!(
            bench.contents() == contents_after,
            "killed after {instant:?}, {instants}: rows differ"
        );
    }
}

#[test]
fn first_load_killed_at_any_instant_is_whole_or_absent() {
    load_killed_at_any_instant(0);
}

#[test]
fn later_load_killed_at_any_instant_is_whole_or_absent() {
    load_killed_at_any_instant(1);
}

/// Loads over several tables: wabalake sees all of them or none, other programs after the next writer.
#[test]
fn load_over_several_tables_killed_at_any_instant_is_whole_or_absent() {
    let _alone = alone();
    let before = Bench::new();
    before.stdout("sample --out first --days 10 --sessions-per-day 40 --seed 3");
    before.stdout("sample --out exports --days 20 --sessions-per-day 60 --seed 3");
    before.succeed("load first --lake lake");
    let load = "load exports --lake lake";
    let after = before.copied();
    let whole = timed(|| after.succeed(load));
    let (seen_before, seen_after) = (before.seen(), after.seen());
    assert!(
        seen_after.iter().filter(|(name, rows)| seen_before.get(*name) != Some(rows)).count() > 2
    );

    let mut instants = Instants::within(whole);
    while instants.another() {
        let bench = before.copied();
        let instant = instants.draw(0.3);
        let place = format!("killed after {instant:?}, {instants}");
        instants.kill(bench.start(load, None), instant);
        let seen = bench.seen();
        assert!(seen == seen_before || seen == seen_after, "{place}: tables of a part of the load");
        // Readers agree with what the next writer makes of it.
        bench.succeed("compact --lake lake");
        let settled = bench.seen();
        assert!(settled == seen_before || settled == seen_after, "{place}: settled in a part");
        let mut theirs = bench.tables();
        theirs.retain(|_, rows| !rows.is_empty());
        assert!(settled == theirs, "{place}: another program sees other rows");
        if instants.rounds % 2 == 1 {
            bench.succeed(load);
            assert!(bench.seen() == seen_after, "{place}: rows differ");
        }
    }
}

fn erase_number_from_stdin(bench: &Bench, number: &str) {
    let mut erase = bench.command("erase --lake lake --yes --phone -");
    let erase = erase.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut erase = erase.spawn().unwrap();
    erase.stdin.take().unwrap().write_all(number.as_bytes()).unwrap();
    let output = erase.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
}

#[test]
fn erasure_killed_at_any_instant_is_completed_by_the_next() {
    let _alone = alone();
    let before = Bench::new();
    before.succeed("sample --lake lake --days 6 --sessions-per-day 60 --seed 5");
    let sends = before.delta("tables", deployments::NAME, vec![sessions::USER_PHONE]).unwrap();
    let sends = sends.column(sessions::USER_PHONE).unwrap().str().unwrap().clone();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for phone in sends.iter().flatten() {
        *counts.entry(phone).or_default() += 1;
    }
    let (number, sends) = counts.into_iter().max_by_key(|(_, count)| *count).unwrap();
    assert!(sends > 1);
    let erase = format!("erase --lake lake --yes --phone {number}");
    let after = before.copied();
    let whole = timed(|| erase_number_from_stdin(&after, number));
    assert!(!before.holding(number).is_empty());
    assert_eq!(after.holding(number), Vec::<PathBuf>::new());
    let runs = after.delta("tables", "runs", Vec::new()).unwrap();
    let commands = runs.column("command").unwrap().str().unwrap().clone();
    assert_eq!(commands.iter().collect::<Vec<_>>(), [Some("erase")]);
    assert!(!texts(&runs).concat().contains(number));

    let erased = after.tables();
    let mut instants = Instants::within(whole);
    while instants.another() {
        let bench = before.copied();
        let instant = instants.draw(0.3);
        instants.kill(bench.start(&erase, None), instant);
        bench.succeed(&erase);
        assert!(bench.tables() == erased, "killed after {instant:?}, {instants}: rows differ");
        assert_eq!(
            bench.holding(number),
            Vec::<PathBuf>::new(),
            "killed after {instant:?}, {instants}"
        );
    }
}

const SETTINGS: &str = "
timezone = 'America/Bogota'
[inbox]
settle_seconds = 0
folders = ['../inbox']
after = 'move'
loaded = '../loaded'
[[marts]]
name = 'days'
query = 'session-duration'
params = { by = ['day', 'country'] }
[[marts]]
name = 'weeks'
query = 'session-duration'
params = { by = ['week'] }
[[marts]]
name = 'flows'
query = 'drop-off'
[[marts]]
name = 'returns'
query = 'return-rate'
";
const MARTS: [&str; 4] = ["days", "flows", "returns", "weeks"];
const NIGHTLY: &str = "nightly --lake lake";

/// A lake with settings, and an inbox with these exports.
fn inbox(exports: &[PathBuf]) -> Bench {
    let bench = Bench::new();
    bench.file("lake/wabalake.toml", SETTINGS);
    bench.arrive(exports);
    bench
}

/// Runs are begun again until one ends; then the marts are those of one full run.
#[test]
fn nightly_run_killed_at_any_instant_is_completed_by_the_next() {
    let _alone = alone();
    let (_, exports) = &*SESSIONS;
    let before = inbox(&exports[..1]);
    before.succeed(NIGHTLY);
    before.arrive(&exports[1..]);
    let after = before.copied();
    let whole = timed(|| after.succeed(NIGHTLY));
    let expected = (after.tables(), after.mart_rows());
    assert_eq!(expected.1.len(), MARTS.len());
    assert!(expected.1.values().all(|rows| !rows.is_empty()));
    assert!(before.mart_rows() != expected.1);
    after.succeed(&format!("{NIGHTLY} --full"));
    assert!(after.mart_rows() == expected.1, "marts of a full run differ");

    let mut instants = Instants::within(whole);
    while instants.another() {
        let bench = before.copied();
        let kills = [(); 2].map(|()| instants.draw(0.05));
        for instant in kills {
            instants.kill(bench.start(NIGHTLY, None), instant);
        }
        bench.succeed(NIGHTLY);
        let found = (bench.tables(), bench.mart_rows());
        assert!(found == expected, "killed after {kills:?}, {instants}: rows differ");
        assert_eq!(bench.outcomes().last().unwrap(), "done");
        assert!(files_below(&bench.path("inbox")).is_empty());
    }
}

#[test]
fn of_nightly_runs_at_once_each_is_whole_or_refused() {
    let _alone = alone();
    let bench = inbox(&SESSIONS.1);
    let runs: Vec<Child> = (0..4).map(|_| bench.start(NIGHTLY, None)).collect();
    let mut done = 0;
    for run in runs {
        let output = wait(run);
        let said = stderr(&output);
        done += usize::from(output.status.success());
        assert!(
            output.status.success() || said.contains("another nightly run is in progress"),
            "{said}"
        );
    }
    assert!(done > 0);
    assert_eq!(bench.outcomes(), vec!["done"; done]);
    let marts = bench.mart_rows();
    assert!(marts.len() == MARTS.len() && marts.values().all(|rows| !rows.is_empty()));
    bench.succeed(&format!("{NIGHTLY} --full"));
    assert!(bench.mart_rows() == marts, "marts of a full run differ");
}

#[test]
fn loads_at_once_store_what_loads_one_after_another_do() {
    let _alone = alone();
    let exports = &SESSIONS.1;
    let one_by_one = Bench::new();
    for export in exports {
        one_by_one.load_one(export);
    }
    let bench = Bench::new();
    let twice = exports.iter().chain(exports.last());
    let loads: Vec<Child> =
        twice.map(|export| bench.start("load --lake lake", Some(export))).collect();
    for load in loads {
        let output = wait(load);
        assert!(output.status.success(), "{}", stderr(&output));
    }
    assert!(bench.contents() == one_by_one.contents());
}
