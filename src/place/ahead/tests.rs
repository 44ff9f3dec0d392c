use std::sync::atomic::Ordering::SeqCst;

use ::polars::prelude::*;
use object_store::ObjectStoreExt as _;
use proptest::prelude::*;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::*;
use crate::place::cache::Options;
use crate::place::counting::Counting;

/// Files of days in a store.
struct Days {
    runtime: Runtime,
    store: Arc<Counting>,
    files: Vec<(String, u64)>,
}

const ENGINES: [Engine; 2] = [Engine::InMemory, Engine::Streaming];

impl Days {
    /// One file a day with `rows` rows: their number in all of the days, and a long text.
    fn of(days: usize, rows: usize) -> Self {
        let runtime = Runtime::new().unwrap();
        let store = Arc::new(Counting::default());
        let mut files = Vec::new();
        for day in 0..days {
            let numbers = (0..rows).map(|row| i64::try_from(day * rows + row).unwrap());
            let numbers: Vec<i64> = numbers.collect();
            let hash = |n: &i64| format!("{:x}", xxhash_rust::xxh3::xxh3_128(&n.to_le_bytes()));
            let texts: Vec<String> = numbers.iter().map(hash).collect();
            let mut rows = df!["n" => numbers, "text" => texts].unwrap();
            let mut file = Vec::new();
            ParquetWriter::new(&mut file).finish(&mut rows).unwrap();
            let key = format!("tables/sessions/{}/part {day}.parquet", partition(day));
            files.push((key, file.len() as u64));
            let path = Path::parse(&files[day].0).unwrap();
            runtime.block_on(store.put(&path, file.into())).unwrap();
        }
        Self { runtime, store, files }
    }

    fn ahead(&self, cache: Option<Arc<Cache>>, at_most: usize) -> Arc<Ahead> {
        let explain = |_: &object_store::Error, key: &str| Error::lake(format!("no `{key}`"));
        let store = register(|number| Ahead {
            number,
            address: "memory://".to_owned(),
            inner: Arc::clone(&self.store) as _,
            explain: Box::new(explain),
            cache,
            workers: Some(self.runtime.handle().clone()),
            files: RwLock::default(),
            held: Mutex::default(),
            at_most,
            requests: Semaphore::new(AHEAD),
        });
        store.unwrap()
    }

    fn scan(&self, ahead: &Arc<Ahead>) -> LazyFrame {
        let paths = ahead.scan(self.files.iter().map(|(key, bytes)| (key.as_str(), *bytes)));
        let day = Schema::from_iter([Field::new("utc_day".into(), DataType::Date)]);
        let hive_options = HiveOptions {
            enabled: Some(true),
            hive_start_idx: 0,
            schema: Some(Arc::new(day)),
            try_parse_dates: true,
        };
        let schema = [("n", DataType::Int64), ("text", DataType::String)];
        let schema = schema.map(|(name, of)| Field::new(name.into(), of));
        let args = ScanArgsParquet {
            hive_options,
            glob: false,
            schema: Some(Arc::new(Schema::from_iter(schema))),
            ..Default::default()
        };
        let sources = ScanSources::Paths(paths.unwrap().into_iter().collect());
        LazyFrame::scan_parquet_sources(sources, args).unwrap()
    }

    /// The keys that were asked for since the last call.
    fn asked(&self) -> Vec<String> {
        // What is fetched ahead may still be on its way.
        while self.runtime.metrics().num_alive_tasks() > 0 {
            std::thread::yield_now();
        }
        let asked = self.store.take();
        assert!(asked.iter().all(|asked| asked.starts_with("GET ")), "sizes are known: {asked:?}");
        asked
    }

    fn path(&self, day: usize) -> Path {
        Path::parse(&self.files[day].0).unwrap()
    }
}

fn size((_, bytes): &(String, u64)) -> usize {
    usize::try_from(*bytes).unwrap()
}

/// The sum of the numbers below one.
fn total(end: i64) -> i64 {
    end * (end - 1) / 2
}

fn partition(day: usize) -> String {
    let first = chrono::NaiveDate::from_ymd_opt(2025, 6, 1).unwrap();
    format!("utc_day={}", first + chrono::Days::new(day as u64))
}

fn sum(scan: LazyFrame, engine: Engine) -> PolarsResult<i64> {
    let sum = scan.select([col("n").sum()]).collect_with_engine(engine)?.unwrap_single();
    Ok(sum.column("n")?.i64()?.get(0).unwrap_or_default())
}

#[test]
fn small_file_costs_one_request_in_any_number_of_scans() {
    let days = Days::of(100, 20);
    for engine in ENGINES {
        let ahead = days.ahead(None, HELD);
        for scan in 0..3 {
            assert_eq!(sum(days.scan(&ahead), engine).unwrap(), total(2000));
            let mut asked = days.asked();
            asked.sort_unstable();
            assert_eq!(asked.len(), if scan == 0 { 100 } else { 0 }, "{engine:?} {scan}");
            asked.dedup();
            assert_eq!(asked.len(), if scan == 0 { 100 } else { 0 }, "no file twice");
        }
    }
}

#[test]
fn filter_on_days_skips_files() {
    let days = Days::of(100, 20);
    let first = lit("2025-08-20").cast(DataType::Date);
    for engine in ENGINES {
        for (needed, filter) in [
            (20, col("utc_day").gt_eq(first.clone())),
            (1, col("utc_day").eq(first.clone())),
            (0, col("utc_day").gt(lit("2026-01-01").cast(DataType::Date))),
        ] {
            let ahead = days.ahead(None, HELD);
            let rows = days.scan(&ahead).filter(filter).select([col("n")]);
            let rows = rows.collect_with_engine(engine).unwrap().unwrap_single();
            assert_eq!(rows.height(), needed * 20);
            let asked = days.asked().len();
            let most = if needed == 0 { 0 } else { needed + needed.max(2) };
            assert!((needed..=most).contains(&asked), "{engine:?}: {asked} of {needed}");
        }
    }
}

#[test]
fn faulty_file_is_named_whichever_it_is() {
    for engine in ENGINES {
        for is_missing in [true, false] {
            let days = Days::of(30, 20);
            let path = days.path(17);
            if is_missing {
                days.runtime.block_on(days.store.delete(&path)).unwrap();
            } else {
                let half = vec![0; size(&days.files[17]) / 2];
                days.runtime.block_on(days.store.put(&path, half.into())).unwrap();
            }
            let error = sum(days.scan(&days.ahead(None, HELD)), engine).unwrap_err();
            let lines = Error::from(error).lines();
            let what = if is_missing { "is missing" } else { "differs in size from the log" };
            assert!(lines.contains(&format!("`{path}` {what}")), "{engine:?}: {lines}");
            assert!(!lines.contains(SCHEME), "{lines}");
        }
    }
}

#[test]
fn of_a_large_file_only_the_end_and_the_needed_columns_are_fetched() {
    let days = Days::of(3, 60_000);
    assert!(days.files.iter().all(|(_, bytes)| *bytes > SMALL), "{:?}", days.files);
    let all: u64 = days.files.iter().map(|(_, bytes)| bytes).sum();
    for engine in ENGINES {
        days.store.bytes.store(0, SeqCst);
        let ahead = days.ahead(None, HELD);
        assert_eq!(sum(days.scan(&ahead), engine).unwrap(), total(180_000));
        let asked = days.asked().len();
        assert!(asked <= 6, "{engine:?}: {asked} requests");
        let bytes = days.store.bytes.load(SeqCst);
        assert!(bytes < all / 2, "{engine:?}: {bytes} of {all}");
    }
}

#[test]
fn cached_files_cost_no_request_and_altered_ones_are_fetched_again() {
    let days = Days::of(20, 20);
    let folder = TempDir::new().unwrap();
    let options = Options { folder: folder.path().to_owned(), limit: 1 << 30 };
    let cache = || Some(Arc::new(Cache::new(&options, "memory")));
    for (engine, expected) in [(ENGINES[0], 20), (ENGINES[1], 0)] {
        assert_eq!(sum(days.scan(&days.ahead(cache(), HELD)), engine).unwrap(), total(400));
        assert_eq!(days.asked().len(), expected);
    }
    for file in walk(folder.path()).into_iter().take(3) {
        std::fs::write(file, "altered").unwrap();
    }
    assert_eq!(sum(days.scan(&days.ahead(cache(), HELD)), ENGINES[1]).unwrap(), total(400));
    assert_eq!(days.asked().len(), 3);
}

fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let is_piece = path.file_name().unwrap() != "swept";
        if path.is_dir() {
            files.extend(walk(&path));
        } else if is_piece {
            files.push(path);
        }
    }
    files
}

#[test]
fn memory_is_bounded() {
    let days = Days::of(50, 20);
    let at_most = size(&days.files[0]) * 5;
    for engine in ENGINES {
        let ahead = days.ahead(None, at_most);
        assert_eq!(sum(days.scan(&ahead), engine).unwrap(), total(1000));
        days.asked();
        let held: usize = lock(&ahead.held).1;
        let files = ahead.files.read().unwrap();
        let really =
            files.values().filter_map(|file| Some(file.fetched.try_lock().ok()?.as_ref()?.len()));
        assert_eq!(really.sum::<usize>(), held);
        assert!(held <= at_most, "{held} of {at_most}");
    }
}

#[test]
fn scans_cannot_write() {
    let days = Days::of(1, 1);
    let ahead = days.ahead(None, HELD);
    let url = PlRefPath::new(format!("{SCHEME}://{}/a.parquet", ahead.number));
    let rows = df!["n" => [1]].unwrap().lazy();
    let target = SinkDestination::File { target: SinkTarget::Path(url) };
    let options = FileWriteFormat::Parquet(Arc::default());
    let sink = rows.sink(target, options, UnifiedSinkArgs::default());
    assert!(sink.and_then(LazyFrame::collect).is_err());
    let listed = days.runtime.block_on(days.store.objects.head(&Path::from("a.parquet")));
    assert!(listed.is_err());
}

proptest! {
    /// Whatever files are opened, at most as many others are fetched, or two.
    #[test]
    fn no_more_is_fetched_in_vain_than_was_opened(
        opened in prop::collection::vec(0_usize..300, 0..80),
        sorted: bool,
    ) {
        let mut opened = opened;
        if sorted {
            opened.sort_unstable();
        }
        let mut progress = Progress::of(300);
        let mut fetched = std::collections::BTreeSet::new();
        let mut so_far = std::collections::BTreeSet::new();
        for at in opened {
            so_far.insert(at);
            for next in progress.open(at) {
                prop_assert!(fetched.insert(next), "{next} is fetched twice");
                prop_assert!(!so_far.contains(&next) && next <= at + AHEAD);
            }
            let in_vain = fetched.difference(&so_far).count();
            prop_assert!(in_vain <= so_far.len().max(2), "{in_vain} for {so_far:?}");
        }
    }

    /// A scan of all files soon has many requests on their way.
    #[test]
    fn whole_scan_is_fetched_ahead(files in 1_usize..500) {
        let mut progress = Progress::of(files);
        let mut fetched = 0;
        for at in 0..files {
            fetched += progress.open(at).len();
            prop_assert!(fetched >= (2 * at + 1).min(at + AHEAD).min(files - 1), "{fetched} at {at}");
        }
        prop_assert_eq!(fetched, files - 1, "all but the first");
    }
}
