//! What the parts cost, one at a time, on one machine: `cargo bench --bench parts`.
//!
//! ```text
//! cells    stamps, numbers, phones, words of a closed list
//! sample   made-up rows as CSV
//! load     split, typed, sorted, committed, into an empty lake
//! query    every query of the catalog, planned and answered over rows in memory
//! render   an answer in every format
//! logs     the logs of all tables over 400 days, as a query reads them first, and by the kernel of Delta
//! ```
//!
//! How the whole compares with DuckDB is `benches/compare.py`'s affair.

use std::error::Error;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::Duration;

use chrono::NaiveDate;
use chrono_tz::Tz;
use clap::ValueEnum;
use criterion::{BatchSize, Criterion, Throughput};
use deltalake::DeltaTableBuilder;
use polars::prelude::{Column, DataFrame, IntoLazy};
use tokio::runtime::Runtime;
use url::Url;
use wabalake::lake::{Change, Lake, Loaded, Operation};
use wabalake::load::{self, load};
use wabalake::render::{self, Answer, Format};
use wabalake::run::polars::collect;
use wabalake_data::Table;
use wabalake_data::cells::phone::Phones;
use wabalake_data::cells::{number, stamp};
use wabalake_data::tables::{deployments, text_key};
use wabalake_queries::CATALOG;
use wabalake_queries::query::{CatalogEntry, Defaults, Question, Tables};
use wabalake_sample::{Plan, TABLES};

/// jemalloc, as in the program.
#[cfg(unix)]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// 20,000 sessions and what belongs to them.
const PLAN: fn() -> Plan = || Plan { days: 20, sessions_per_day: 1000, ..Plan::default() };

/// How many cells a benchmark of cells reads in one go.
const CELLS: u32 = 1000;

fn main() -> Outcome {
    let mut criterion = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(3))
        .configure_from_args();
    let folder = tempfile::tempdir()?;
    let exports = write_exports(folder.path())?;
    cells(&mut criterion);
    made_up(&mut criterion);
    loading(&mut criterion, &exports)?;
    let frames = frames(&folder.path().join("lake"), &exports)?;
    queries(&mut criterion, &frames)?;
    rendering(&mut criterion, &frames)?;
    logs(&mut criterion, &folder.path().join("years"))?;
    criterion.final_summary();
    Ok(())
}

fn cells(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("cells");
    group.throughput(Throughput::Elements(CELLS.into()));

    let stamps: Vec<String> =
        (0..CELLS).map(|n| format!("2025-06-01 {:02}:{:02}:07.{n:06}", n % 24, n % 60)).collect();
    for zone in [Tz::UTC, Tz::America__Bogota] {
        group.bench_function(format!("stamps, {zone}"), |bencher| {
            bencher.iter(|| stamps.iter().map(|cell| stamp::read(cell, zone)).for_each(sink));
        });
    }

    let numbers: Vec<String> = (0..CELLS).map(|n| format!("300000{n:04}")).collect();
    group.bench_function("phones, each for the first time", |bencher| {
        bencher.iter_batched(
            Phones::default,
            |phones| {
                for number in &numbers {
                    sink(phones.person(Some("57"), Some(number)));
                }
                phones
            },
            BatchSize::SmallInput,
        );
    });
    let phones = Phones::default();
    group.bench_function("phones, seen before", |bencher| {
        bencher.iter(|| {
            for number in &numbers {
                sink(phones.person(Some("57"), Some(number)));
            }
        });
    });

    let versions: Vec<String> = (0..CELLS).map(|n| format!("{}.0", n % 9)).collect();
    group.bench_function("whole numbers", |bencher| {
        bencher.iter(|| versions.iter().map(|cell| number::integer(cell)).for_each(sink));
    });
    let words = ["Delivered", "in-process", "FAILED", "Enviado"];
    group.bench_function("delivery statuses", |bencher| {
        let cells = words.iter().cycle().take(CELLS as usize);
        bencher.iter(|| {
            let known = |word: &&str| deployments::DELIVERY_STATUSES.canonical(word);
            cells.clone().map(known).for_each(sink);
        });
    });
    let ids: Vec<String> = (0..CELLS).map(|n| format!("{n:032x}")).collect();
    group.bench_function("keys of ids", |bencher| {
        bencher.iter(|| ids.iter().map(|id| text_key(id)).for_each(sink));
    });
    group.finish();
}

fn made_up(criterion: &mut Criterion) {
    let plan = PLAN();
    let mut group = criterion.benchmark_group("sample");
    for table in TABLES {
        let mut csv = Vec::new();
        plan.day_csv(table, plan.start, &mut csv);
        group.throughput(Throughput::Bytes(csv.len() as u64));
        group.bench_function(table.name, |bencher| {
            bencher.iter(|| {
                csv.clear();
                plan.day_csv(table, plan.start, &mut csv)
            });
        });
    }
    group.finish();
}

fn loading(criterion: &mut Criterion, exports: &[Export]) -> Outcome {
    let mut group = criterion.benchmark_group("load");
    for export in exports {
        group.throughput(Throughput::Bytes(export.path.metadata()?.len()));
        group.bench_function(export.table.name, |bencher| {
            bencher.iter_batched(
                tempfile::tempdir,
                |folder| -> Outcome<_> {
                    let folder = folder?;
                    export.load(&Lake::create(folder.path())?)?;
                    Ok(folder)
                },
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
    Ok(())
}

fn queries(criterion: &mut Criterion, frames: &[(&'static Table, DataFrame)]) -> Outcome {
    let mut group = criterion.benchmark_group("query");
    for entry in CATALOG {
        let question = by_default(entry)?;
        answer(entry, &question, frames)?;
        group.bench_function(entry.spec.name, |bencher| {
            bencher.iter(|| answer(entry, &question, frames));
        });
    }
    group.finish();
    Ok(())
}

fn rendering(criterion: &mut Criterion, frames: &[(&'static Table, DataFrame)]) -> Outcome {
    let mut group = criterion.benchmark_group("render");
    // The one with most rows, so that it is not the start that is measured.
    let mut largest: Option<(DataFrame, Question)> = None;
    for entry in CATALOG {
        let question = by_default(entry)?;
        let rows = answer(entry, &question, frames)?;
        if largest.as_ref().is_none_or(|(before, _)| rows.height() > before.height()) {
            largest = Some((rows, question));
        }
    }
    let (rows, question) = largest.ok_or("the catalog is empty")?;
    group.throughput(Throughput::Elements(rows.height() as u64));
    let answer = Answer::new(&rows, question.columns(), question.timezone())?;
    for format in Format::value_variants() {
        let mut out = Vec::new();
        group.bench_function(format!("{format:?}").to_lowercase(), |bencher| {
            bencher.iter(|| {
                out.clear();
                render::write(&answer, *format, &mut out)
            });
        });
    }
    group.finish();
    Ok(())
}

/// Days of the lake whose logs are read: a commit of each table a day.
const DAYS: usize = 400;

fn logs(criterion: &mut Criterion, folder: &Path) -> Outcome {
    let written = LazyLock::new(|| write_logs(folder).map_err(|error| error.to_string()));
    let runtime = Runtime::new()?;
    // A reader that fails is quick.
    let all = DAYS * wabalake_data::TABLES.len();
    let mut group = criterion.benchmark_group("logs");
    group.bench_function("wabalake", |bencher| {
        assert_eq!(*written, Ok(()));
        bencher.iter(|| assert_eq!(files_by_wabalake(folder).ok(), Some(all)));
    });
    group.bench_function("kernel", |bencher| {
        assert_eq!(*written, Ok(()));
        bencher.iter(|| assert_eq!(runtime.block_on(files_by_kernel(folder)).ok(), Some(all)));
    });
    group.finish();
    Ok(())
}

/// Writes a lake with one row for each day and table, in a commit each.
fn write_logs(folder: &Path) -> Outcome {
    let lake = Lake::create(folder)?;
    for table in wabalake_data::TABLES {
        let columns = table.stored();
        let nulls = columns.iter().map(|(name, kind)| Column::full_null(name.clone(), 1, kind));
        let row = DataFrame::new(1, nulls.collect())?;
        for (number, day) in NaiveDate::default().iter_days().take(DAYS).enumerate() {
            lake.transact(*table, |_, staging| {
                Ok(Some(Change {
                    transactions: vec![(format!("{number:032x}"), Loaded(1))],
                    add: vec![staging.write(Some(day), row.clone())?],
                    ..Change::new(Operation::Load)
                }))
            })?;
        }
    }
    Ok(())
}

/// The number of files of all tables, read as a new process does.
fn files_by_wabalake(folder: &Path) -> Outcome<usize> {
    let snapshots = Lake::open(folder)?.snapshots(wabalake_data::TABLES.iter().copied())?;
    Ok(snapshots.iter().map(|snapshot| snapshot.files.len()).sum())
}

/// The same, by `deltalake`, which reads logs by the kernel of Delta.
async fn files_by_kernel(folder: &Path) -> Outcome<usize> {
    let mut files = 0;
    for table in wabalake_data::TABLES {
        let table = folder.join("tables").join(table.name);
        let url = Url::from_directory_path(&table).map_err(|()| "not an absolute path")?;
        let table = DeltaTableBuilder::from_url(url)?.load().await?;
        files += table.snapshot()?.log_data().num_files();
    }
    Ok(files)
}

/// A question with the options that it needs, and no others.
fn by_default(entry: &CatalogEntry) -> Outcome<Question> {
    Ok(entry.ask_for(entry.needs(), &Defaults::default())?)
}

fn answer(
    entry: &CatalogEntry,
    question: &Question,
    frames: &[(&'static Table, DataFrame)],
) -> Outcome<DataFrame> {
    let tables = Tables::new();
    let tables = frames.iter().fold(tables, |tables, (table, rows)| {
        if entry.spec.reads.contains(table) {
            tables.with(table, rows.clone().lazy())
        } else {
            tables
        }
    });
    Ok(collect(question.plan(&tables)?, question)?)
}

/// A made-up export of one table.
struct Export {
    table: &'static Table,
    path: PathBuf,
}

impl Export {
    fn load(&self, lake: &Lake) -> Outcome {
        let options = load::Options { kind: Some(self.table), ..load::Options::default() };
        load(lake, std::slice::from_ref(&self.path), &options)?;
        Ok(())
    }
}

fn write_exports(folder: &Path) -> Outcome<Vec<Export>> {
    let plan = PLAN();
    let write = |table: &'static Table| {
        let names: Vec<_> = table.exported().map(|column| column.name).collect();
        let mut csv = format!("{}\r\n", names.join(",")).into_bytes();
        for day in plan.days() {
            plan.day_csv(table, day, &mut csv);
        }
        let path = folder.join(format!("{}.csv", table.name));
        std::fs::write(&path, csv)?;
        Ok(Export { table, path })
    };
    TABLES.into_iter().map(write).collect()
}

/// The rows of each table as a lake holds them, in memory.
fn frames(lake: &Path, exports: &[Export]) -> Outcome<Vec<(&'static Table, DataFrame)>> {
    let lake = Lake::create(lake)?;
    let read = |export: &Export| {
        export.load(&lake)?;
        let rows = lake.snapshot(export.table)?.scan()?.collect()?;
        Ok((export.table, rows))
    };
    exports.iter().map(read).collect()
}

fn sink<T>(value: T) {
    black_box(value);
}
