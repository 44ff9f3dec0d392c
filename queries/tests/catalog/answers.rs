//! Properties of the answers of every query.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

use polars::prelude::*;
use wabalake_data::tables::{CONVERSION_KEY, MESSAGE_KEY, SESSION_KEY, USER_KEY, UTC_DAY};
use wabalake_queries::CATALOG;
use wabalake_queries::query::{CatalogEntry, Order, Question, Tables};

use crate::fixtures;
use crate::golden::{ask, cases, frame, frame_by, lines, of_fixtures, on_a_large_stack};

/// Every golden command of every query: its arguments and what they ask.
fn questions() -> impl Iterator<Item = (&'static CatalogEntry, Vec<String>, Question)> {
    CATALOG.iter().flat_map(|entry| {
        cases(entry).into_iter().map(move |case| {
            let question = ask(entry, &case.arguments);
            (entry, case.arguments, question)
        })
    })
}

#[test]
fn answers_have_the_declared_columns() {
    for (entry, arguments, question) in questions() {
        for answer in [of_fixtures(entry, &arguments), frame(&question, &Tables::new())] {
            let schema = answer.schema();
            let found: Vec<_> =
                schema.iter().map(|(name, of)| (name.as_str(), of.clone())).collect();
            let declared: Vec<_> =
                question.columns().iter().map(|c| (c.name, c.of.data_type())).collect();
            assert_eq!(found, declared, "{}", entry.spec.name);
        }
    }
}

#[test]
fn keys_are_unique_and_rows_are_sorted() {
    for (entry, arguments, question) in questions() {
        let answer = of_fixtures(entry, &arguments);
        let order = question.order();
        let row = |at: usize| -> Vec<(Order, AnyValue)> {
            order
                .iter()
                .map(|by| (*by, answer.column(by.column()).unwrap().get(at).unwrap()))
                .collect()
        };
        for at in 1..answer.height() {
            let (before, after) = (row(at - 1), row(at));
            let between =
                before.iter().zip(&after).map(|((by, one), (_, other))| in_order(*by, one, other));
            let first_difference = between.into_iter().find(|ordering| ordering.is_ne());
            assert_eq!(
                first_difference,
                Some(Ordering::Less),
                "{}: {before:?}, {after:?}",
                entry.spec.name
            );
        }
        let mut keys: Vec<String> = (0..answer.height())
            .map(|at| {
                let cell =
                    |key: &&str| format!("{:?}", answer.column(key).unwrap().get(at).unwrap());
                question.key().iter().map(cell).collect::<Vec<_>>().join("|")
            })
            .collect();
        keys.sort();
        let rows = keys.len();
        keys.dedup();
        assert_eq!(keys.len(), rows, "{}: a key occurs twice", entry.spec.name);
    }
}

/// Compares two cells of a column: nulls last, text by its bytes.
fn in_order(by: Order, one: &AnyValue, other: &AnyValue) -> Ordering {
    let ordering = match (one, other) {
        (AnyValue::Null, AnyValue::Null) => return Ordering::Equal,
        (AnyValue::Null, _) => return Ordering::Greater,
        (_, AnyValue::Null) => return Ordering::Less,
        _ => match (one.get_str(), other.get_str()) {
            (Some(one), Some(other)) => one.as_bytes().cmp(other.as_bytes()),
            _ => one.partial_cmp(other).unwrap(),
        },
    };
    match by {
        Order::Ascending(_) => ordering,
        Order::Descending(_) => ordering.reverse(),
        Order::Largest(_) => {
            let billionths =
                |cell: &AnyValue| (cell.extract::<f64>().unwrap().abs() * 1e9 + 0.5).floor();
            billionths(other).partial_cmp(&billionths(one)).unwrap()
        }
        Order::Listed(_, words) => {
            let place = |cell: &AnyValue| {
                let listed = words.iter().position(|word| cell.get_str() == Some(word));
                listed.unwrap_or(words.len())
            };
            place(one).cmp(&place(other)).then(ordering)
        }
    }
}

/// Buckets of a question that are asked alone.
const MOST_BUCKETS: usize = 4;

#[test]
fn a_bucket_alone_has_the_rows_of_the_whole_answer() {
    let mut checked = BTreeSet::new();
    for entry in CATALOG.iter().filter(|entry| !entry.needs().contains(&"--from")) {
        for case in cases(entry) {
            let arguments = undated(&case.arguments);
            let question = ask(entry, &arguments);
            let Some(buckets) = question.buckets() else { continue };
            let tables = fixtures::tables(entry);
            let date = buckets.date().alias("begins");
            let whole = of_fixtures(entry, &arguments).lazy().with_column(date);
            let whole = whole.collect().unwrap();
            let dates = whole.column("begins").unwrap().unique().unwrap();
            let dates: Vec<_> = dates.date().unwrap().as_date_iter().flatten().collect();
            for at in dates.iter().copied().step_by(dates.len().div_ceil(MOST_BUCKETS).max(1)) {
                let (first, last) = buckets.around(at);
                let own = [format!("--from={first}"), format!("--to={last}")];
                let alone = ask(entry, &[&arguments[..], &own].concat());
                let alone = frame(&alone, &tables);
                let of_it = col("begins").eq(lit(at).cast(DataType::Date));
                let there = whole.clone().lazy().filter(of_it);
                let there = there.drop(by_name(["begins"], true, false)).collect().unwrap();
                let name = entry.spec.name;
                assert!(alone.height() > 0 && alone.equals_missing(&there), "{name} {at}");
                checked.insert(name);
            }
        }
    }
    assert!(checked.contains("session-duration"), "{checked:?}");
}

/// Arguments without `--from`, `--to` and their dates.
fn undated(arguments: &[String]) -> Vec<String> {
    let is_dated = |word: &String| word == "--from" || word == "--to";
    let mut words = arguments.iter();
    let mut undated = Vec::new();
    while let Some(word) = words.next() {
        if is_dated(word) {
            words.next();
        } else {
            undated.push(word.clone());
        }
    }
    undated
}

#[test]
fn answers_do_not_depend_on_row_order_files_or_engine() {
    for (seed, engine) in [(1, Engine::Streaming), (2, Engine::InMemory)] {
        for (entry, arguments, question) in questions() {
            let found = frame_by(engine, &question, &shuffled(entry, seed));
            let name = entry.spec.name;
            let expected = of_fixtures(entry, &arguments);
            assert_eq!(lines(&found), lines(&expected), "{name} {question:?} {engine}");
        }
    }
}

/// The tables of a query, with rows shuffled and split into several parts.
fn shuffled(entry: &CatalogEntry, seed: u64) -> Tables {
    let parts = usize::try_from(seed).unwrap() * 3;
    fixtures::given().fold(Tables::new(), |tables, table| {
        let rows = fixtures::read(entry, table);
        let shuffled = rows.take(&permutation(rows.height(), seed)).unwrap();
        let part = |part: usize| {
            let (from, until) = (rows.height() * part / parts, rows.height() * (part + 1) / parts);
            shuffled.slice(from.try_into().unwrap(), until - from).lazy()
        };
        let parts: Vec<LazyFrame> = (0..parts).map(part).collect();
        tables.with(table, concat(parts, UnionArgs::default()).unwrap())
    })
}

/// A permutation of so many rows.
fn permutation(rows: usize, seed: u64) -> IdxCa {
    let mut places: Vec<(u64, u32)> = (0..u32::try_from(rows).unwrap())
        .map(|row| {
            ((u64::from(row) + seed).wrapping_mul(0x9E37_79B9_7F4A_7C15 ^ seed << 7) >> 20, row)
        })
        .collect();
    places.sort_unstable();
    IdxCa::from_vec("row".into(), places.into_iter().map(|(_, row)| row).collect())
}

#[test]
fn plans_need_only_declared_tables_and_columns_that_the_twin_names() {
    for (entry, arguments, question) in questions() {
        let twin = question.sql();
        let words: Vec<&str> = twin.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
        let hidden = [USER_KEY, SESSION_KEY, MESSAGE_KEY, CONVERSION_KEY, UTC_DAY];
        let tables = fixtures::given().fold(Tables::new(), |tables, table| {
            if !entry.spec.reads.contains(&table) {
                let unread = DataFrame::empty().lazy().filter(col("this table is not declared"));
                return tables.with(table, unread);
            }
            let rows = fixtures::read(entry, table);
            let named = rows
                .schema()
                .iter_names()
                .filter(|name| words.contains(&name.as_str()) || hidden.contains(&name.as_str()));
            let named: Vec<_> = named.cloned().collect();
            tables.with(table, rows.select(named).unwrap().lazy())
        });
        let expected = of_fixtures(entry, &arguments);
        assert_eq!(lines(&frame(&question, &tables)), lines(&expected), "{}", entry.spec.name);
    }
}

/// The tables of a query as a lake stores them: a folder per UTC day. `of` is the test's own folder.
pub(crate) fn laid_out(entry: &CatalogEntry, of: &str) -> Tables {
    let lake = Path::new(env!("CARGO_TARGET_TMPDIR")).join(of).join(entry.spec.folder());
    let _ = fs::remove_dir_all(&lake);
    fixtures::given().fold(Tables::new(), |tables, table| {
        let place = lake.join(table.name);
        for mut rows in fixtures::read(entry, table).partition_by([UTC_DAY], true).unwrap() {
            let day = rows.column(UTC_DAY).unwrap().get(0).unwrap();
            let day = if day.is_null() { NO_DAY.to_owned() } else { day.to_string() };
            let folder = place.join(format!("{UTC_DAY}={day}"));
            fs::create_dir_all(&folder).unwrap();
            rows = rows.drop(UTC_DAY).unwrap();
            let file = File::create(folder.join("0.parquet")).unwrap();
            ParquetWriter::new(file).finish(&mut rows).unwrap();
        }
        if place.exists() { tables.with(table, scan(&place)) } else { tables }
    })
}

/// The partition of rows without a day.
const NO_DAY: &str = "__HIVE_DEFAULT_PARTITION__";

fn scan(folder: &Path) -> LazyFrame {
    let day: Schema = [Field::new(UTC_DAY.into(), DataType::Date)].into_iter().collect();
    let args = ScanArgsParquet {
        hive_options: HiveOptions { schema: Some(Arc::new(day)), ..HiveOptions::new_enabled() },
        ..Default::default()
    };
    LazyFrame::scan_parquet(PlRefPath::try_from_path(folder).unwrap(), args).unwrap()
}

#[test]
fn scans_read_only_the_days_and_columns_that_count() {
    for entry in CATALOG {
        let tables = laid_out(entry, "entries");
        for case in cases(entry) {
            let found = frame(&ask(entry, &case.arguments), &tables);
            let expected = of_fixtures(entry, &case.arguments);
            assert_eq!(lines(&found), lines(&expected), "{}", entry.spec.name);
        }
        let takes_days =
            entry.command().get_arguments().any(|argument| argument.get_id() == "from");
        let [first, ..] = entry.spec.reads else { panic!("{} reads nothing", entry.spec.name) };
        // Files of other days are left out of the plan.
        let first_day = fixtures::read(entry, first).column(UTC_DAY).unwrap().min_reduce().unwrap();
        let first_day = first_day.value().to_string();
        let needs = entry.needs();
        let days = if takes_days && !needs.contains(&"--from") {
            vec!["--from", &first_day, "--to", &first_day]
        } else {
            vec![]
        };
        let question = ask(entry, &[needs, days].concat());
        let plan = question.plan(&tables).unwrap();
        let plan = on_a_large_stack(|| plan.explain(true).unwrap());
        let scans: Vec<&str> = plan.split("Parquet SCAN").skip(1).collect();
        for scan in &scans {
            let (_, columns) = scan.split_once("PROJECT ").unwrap();
            assert!(!columns.starts_with('*'), "{}: every column\n{plan}", entry.spec.name);
        }
        let of_the_first = scans.iter().filter(|scan| scan.contains(&format!("/{}/", first.name)));
        assert!(of_the_first.clone().count() > 0, "{}\n{plan}", entry.spec.name);
        if entry.spec.range.table().is_some() {
            for scan in of_the_first {
                let selection = scan.split_once("SELECTION: ").map_or("", |(_, rest)| rest);
                let selection = selection.lines().next().unwrap_or_default();
                assert!(
                    selection.contains(first.day_of) && selection.contains(UTC_DAY),
                    "{}: the range is not filtered at the scan\n{plan}",
                    entry.spec.name
                );
            }
        }
    }
}
