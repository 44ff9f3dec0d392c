//! `golden.txt` of each query: commands and their answers over the fixtures, computed by hand.
//!
//! ```text
//! # What this case shows.
//! $ drop-off --country CO
//! conversation_id: text | conversation_version: int32 | …
//! welcome               | 1                           | …
//! ```
//!
//! An empty line separates cases, and a word in single quotes may have spaces. `BLESS=1` rewrites the
//! answers from the plans, so compute a change by hand before.

use std::collections::HashMap;
use std::fmt::Write;
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock, Mutex, OnceLock};
use std::thread;

use chrono::{DateTime, NaiveDate, TimeDelta};
use polars::prelude::*;
use wabalake_queries::CATALOG;
use wabalake_queries::query::{CatalogEntry, Defaults, ENGINE, Question, Tables};

/// One command of a `golden.txt` and its answer.
pub(crate) struct Case {
    notes: Vec<String>,
    command: String,
    /// The arguments after the query's name.
    pub(crate) arguments: Vec<String>,
    answer: Vec<String>,
}

/// The golden cases of a query.
pub(crate) fn cases(entry: &CatalogEntry) -> Vec<Case> {
    let text = fs::read_to_string(path(entry)).unwrap();
    let blocks = text.split("\n\n").filter(|block| !block.trim().is_empty());
    let cases = blocks.map(|block| {
        let (head, answer): (Vec<&str>, Vec<&str>) =
            block.lines().partition(|line| line.starts_with(['#', '$']));
        let (commands, notes): (Vec<&str>, Vec<&str>) =
            head.into_iter().partition(|line| line.starts_with('$'));
        let [command] = commands[..] else { panic!("one command a case: {block}") };
        let mut words = shlex::split(command).unwrap().into_iter().skip(1);
        assert_eq!(words.next().as_deref(), Some(entry.spec.name), "{block}");
        Case {
            notes: notes.into_iter().map(str::to_owned).collect(),
            command: command.to_owned(),
            arguments: words.collect(),
            answer: answer.into_iter().map(cells).collect(),
        }
    });
    cases.collect()
}

fn path(entry: &CatalogEntry) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(entry.spec.folder()).join("golden.txt")
}

/// A line without the padding of its cells.
fn cells(line: &str) -> String {
    line.split('|').map(str::trim).collect::<Vec<_>>().join(" | ")
}

/// The question of a query with these arguments.
pub(crate) fn ask(entry: &CatalogEntry, arguments: &[impl AsRef<str>]) -> Question {
    entry.ask_for(arguments, &Defaults::default()).unwrap()
}

/// The answer.
pub(crate) fn frame(question: &Question, tables: &Tables) -> DataFrame {
    frame_by(ENGINE, question, tables)
}

/// The answer of one of Polars' engines.
pub(crate) fn frame_by(engine: Engine, question: &Question, tables: &Tables) -> DataFrame {
    let plan = question.plan(tables).unwrap();
    on_a_large_stack(|| plan.collect_with_engine(engine).unwrap().unwrap_single())
}

/// The answer, as lines of cells.
pub(crate) fn answer(question: &Question, tables: &Tables) -> Vec<String> {
    lines(&frame(question, tables))
}

/// A query's name and arguments, and its answer once it was computed.
type Answers = HashMap<(&'static str, Vec<String>), Arc<OnceLock<DataFrame>>>;

/// The answers over the fixtures, because most tests compare others with them.
static ANSWERED: LazyLock<Mutex<Answers>> = LazyLock::new(Mutex::default);

/// The answer of a query with these arguments over its fixtures.
pub(crate) fn of_fixtures(entry: &CatalogEntry, arguments: &[String]) -> DataFrame {
    let asked = (entry.spec.name, arguments.to_vec());
    let once = Arc::clone(ANSWERED.lock().unwrap().entry(asked).or_default());
    once.get_or_init(|| frame(&ask(entry, arguments), &crate::fixtures::tables(entry))).clone()
}

/// Runs on a stack as large as the program's: Polars optimises plans by recursion, which overflows the
/// stack of a test thread in unoptimised builds.
pub(crate) fn on_a_large_stack<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let large = thread::Builder::new().stack_size(8 << 20);
        large.spawn_scoped(scope, work).unwrap().join().unwrap()
    })
}

/// A data frame as a golden shows it: a header with types, then the rows.
pub(crate) fn lines(frame: &DataFrame) -> Vec<String> {
    let header = frame.columns().iter().map(|c| format!("{}: {}", c.name(), type_name(c.dtype())));
    let header = header.collect::<Vec<_>>().join(" | ");
    let row = |at: usize| {
        let cells = frame.columns().iter().map(|column| cell(&column.get(at).unwrap()));
        cells.collect::<Vec<_>>().join(" | ")
    };
    std::iter::once(header).chain((0..frame.height()).map(row)).collect()
}

fn type_name(of: &DataType) -> &'static str {
    match of {
        DataType::String => "text",
        DataType::Int32 => "int32",
        DataType::Int64 => "int64",
        DataType::Float64 => "float64",
        DataType::Boolean => "boolean",
        DataType::Date => "date",
        DataType::Datetime(TimeUnit::Microseconds, Some(zone)) if *zone == TimeZone::UTC => {
            "timestamp"
        }
        DataType::Decimal(38, 6) => "decimal(38,6)",
        other => panic!("no column of an answer has the type {other}"),
    }
}

fn cell(value: &AnyValue) -> String {
    match value {
        AnyValue::Null => "null".to_owned(),
        AnyValue::String(text) => (*text).to_owned(),
        AnyValue::StringOwned(text) => text.to_string(),
        AnyValue::Int32(number) => number.to_string(),
        AnyValue::Int64(number) => number.to_string(),
        AnyValue::Float64(number) => number.to_string(),
        AnyValue::Boolean(truth) => truth.to_string(),
        AnyValue::Date(days) => {
            (NaiveDate::default() + TimeDelta::days(i64::from(*days))).to_string()
        }
        AnyValue::Datetime(at, ..) | AnyValue::DatetimeOwned(at, ..) => {
            let at = DateTime::from_timestamp_micros(*at).unwrap();
            let fraction = if at.timestamp_subsec_micros() == 0 { "" } else { "%.6f" };
            at.format(&format!("%Y-%m-%dT%H:%M:%S{fraction}Z")).to_string()
        }
        AnyValue::Decimal(units, _, scale) => decimal(*units, *scale),
        other => panic!("{other:?}"),
    }
}

/// A decimal without trailing zeros.
fn decimal(units: i128, scale: usize) -> String {
    let digits = format!("{:0>width$}", units.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let sign = if units < 0 { "-" } else { "" };
    format!("{sign}{whole}.{fraction}").trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Lines of cells, padded to columns of equal width.
fn aligned(lines: &[String]) -> String {
    let rows: Vec<Vec<&str>> = lines.iter().map(|line| line.split(" | ").collect()).collect();
    let width = |at: usize| rows.iter().map(|row| row[at].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..rows[0].len()).map(width).collect();
    rows.iter().fold(String::new(), |mut text, row| {
        let padded = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        let line = padded.collect::<Vec<_>>().join(" | ");
        let _ = writeln!(text, "{}", line.trim_end());
        text
    })
}

#[test]
fn every_query_gives_its_golden_answers() {
    let mut faults = String::new();
    for entry in CATALOG {
        let mut text = String::new();
        for case in cases(entry) {
            let command = &case.command;
            if let Err(error) = entry.ask_for(&case.arguments, &Defaults::default()) {
                let _ = write!(faults, "\n{command}\n{error}");
                continue;
            }
            let found = lines(&of_fixtures(entry, &case.arguments));
            if found != case.answer {
                let expected = aligned_or_plain(&case.answer);
                let _ = write!(faults, "\n{command}\n{}is not\n{expected}", aligned(&found));
            }
            let notes = case.notes.iter().fold(String::new(), |notes, note| notes + note + "\n");
            let parting = if text.is_empty() { "" } else { "\n" };
            let _ = write!(text, "{parting}{notes}{command}\n{}", aligned(&found));
        }
        assert!(!text.is_empty(), "{}: no golden case", entry.spec.name);
        if std::env::var_os("BLESS").is_some() {
            fs::write(path(entry), text).unwrap();
        }
    }
    assert!(faults.is_empty() || std::env::var_os("BLESS").is_some(), "{faults}");
}

fn aligned_or_plain(lines: &[String]) -> String {
    let widths: Vec<usize> = lines.iter().map(|line| line.split(" | ").count()).collect();
    if !lines.is_empty() && widths.iter().all(|width| *width == widths[0]) {
        aligned(lines)
    } else {
        lines.join("\n") + "\n"
    }
}
