//! The answer to one call, worked out in a process of its own.

use std::io::{self, BufRead as _};

use ::polars::prelude::{Column, DataFrame, DataType, IdxSize, PolarsResult, len};
use chrono::NaiveDate;
use chrono_tz::Tz;
use wabalake_data::words::grouped;
use wabalake_data::{TABLES, Table};
use wabalake_queries::query::{CatalogEntry, Defaults, OutputColumn, Question};

use super::Options;
use super::mask::Mask;
use super::reply::{Answered, Call, Cell, ColumnOf, Reply};
use super::tools::{self, Kind};
use crate::cli::output::to_stdout;
use crate::cli::usage;
use crate::config::{Config, McpSettings};
use crate::error::{Context as _, Error, Result};
use crate::lake::{Lake, Snapshot};
use crate::marts::fresh::{self, FromMart};
use crate::render::{self, Answer, Cells, Format};
use crate::run::sql::{Sql, on_deep_stack};
use crate::run::{polars, spread};

/// What to do about SQL that names people.
const COUNT_PEOPLE: &str =
    "name columns that are about nobody, or count people: COUNT(DISTINCT user_phone)";

/// Reads a call from standard input, and writes the reply to standard output.
///
/// # Errors
/// Standard input without a call. An answer that fails is a reply.
pub(super) fn run(options: &Options) -> Result<()> {
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line).context(|| "reading standard input")?;
    let call: Call = serde_json::from_str(&line).map_err(|_| {
        Error::usage("`--answer` is for wabalake itself").hint("leave it out to start the server")
    })?;
    end_with_the_server();
    let reply = answered(options, &call).unwrap_or_else(|error| Reply::of_error(&error));
    let reply = serde_json::to_string(&reply);
    let reply = reply.map_err(|error| Error::bug(format!("the reply as JSON: {error}")))?;
    to_stdout(|out| Ok(out.write_all(reply.as_bytes())?))
}

/// Ends the process once the server closes standard input, even if the server was killed.
fn end_with_the_server() {
    std::thread::spawn(|| {
        // Nothing more is written, so this waits for the end.
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        std::process::exit(1);
    });
}

fn answered(options: &Options, call: &Call) -> Result<Reply> {
    let lake = options.lake.open()?;
    let answered = rows_of(options, &lake, call).map_err(|error| {
        let damage = if error.may_be_damage() { lake.damage_behind(&error) } else { None };
        damage.unwrap_or(error)
    });
    let (rows, settings) = answered?;
    Ok(Reply::Answer(rows.written(call, settings)?))
}

fn rows_of(options: &Options, lake: &Lake, call: &Call) -> Result<(FirstRows, McpSettings)> {
    let config = Config::of(lake)?;
    let settings = config.mcp;
    let kind = Kind::of(&call.tool);
    let kind = kind.ok_or_else(|| Error::bug("a call of a tool that there is not"))?;
    kind.check(settings)?;
    let rows = match kind {
        Kind::Query(entry) => answer_query(options, lake, call, entry, &config),
        Kind::Tables => answer_tables(options, lake, call),
        Kind::Sql => answer_sql(options, lake, call, settings),
    };
    Ok((rows?, settings))
}

/// The first rows of an answer.
struct FirstRows {
    rows: DataFrame,
    columns: Vec<OutputColumn>,
    zone: Tz,
    /// The rows of the whole answer.
    total: usize,
    tables: TablesRead,
    /// What the whole answer shows to be wrong.
    fault: Option<String>,
}

/// The tables that an answer is from.
struct TablesRead {
    /// Their versions, as `--as-of` takes them; `None` if there are none.
    versions: Option<String>,
    last_day: Option<NaiveDate>,
}

impl TablesRead {
    fn of<'a>(versions: impl Iterator<Item = (&'a str, u64)>, last_day: Option<NaiveDate>) -> Self {
        let versions = versions.map(|(name, version)| format!("{name}={version}"));
        let versions = versions.collect::<Vec<_>>().join(",");
        Self { versions: Some(versions).filter(|versions| !versions.is_empty()), last_day }
    }

    fn of_snapshots(tables: &[&'static Table], snapshots: &[Snapshot]) -> Self {
        let versions = tables.iter().zip(snapshots);
        let versions = versions.filter_map(|(table, read)| Some((table.name, read.version?)));
        let days = snapshots.iter().flat_map(|read| &read.files).filter_map(|file| file.day);
        Self::of(versions, days.max())
    }
}

fn answer_query(
    options: &Options,
    lake: &Lake,
    call: &Call,
    entry: &CatalogEntry,
    own: &Config,
) -> Result<FirstRows> {
    let arguments = tools::arguments(entry, &call.arguments, own.mcp)?;
    let mut config = own.clone();
    options.zone.apply(&mut config);
    let defaults = Defaults { people_in_answers: own.mcp.people, ..config.defaults() };
    let question = entry.ask_for(&arguments, &defaults);
    let question =
        question.map_err(|error| tools::in_parameters(entry, &usage::error(&error, &[])))?;
    let reads = lake.reads_of(&question)?;
    let tables = TablesRead::of(reads.versions(), reads.last_day());
    let scans = reads.tables()?;
    let most = own.mcp.rows();
    let zone = question.timezone();
    // Such an answer may have as many rows as the table: they are counted, not collected.
    if question.listed().is_some() && !question.is_judged() && question.spread().is_none() {
        let count = polars::collect(question.unsorted(&scans)?.select([len()]), &question)?;
        let first = IdxSize::try_from(most).unwrap_or(IdxSize::MAX);
        let rows = polars::collect(question.plan_first(&scans, first)?, &question)?;
        let (total, columns) = (only_number(&count)?, question.columns());
        return Ok(FirstRows { rows, columns, zone, total, tables, fault: None });
    }
    let from_tables = || polars::collect(question.plan(&scans)?, &question);
    let rows = match from_mart(options, lake, own, &question)? {
        Some(FromMart { mart, plan }) => polars::collect(plan, &question).or_else(|error| {
            fresh::warn_skipped(lake, &mart, &error);
            from_tables()
        }),
        None => from_tables(),
    }?;
    let fault = question.fault(&rows)?;
    let total = rows.height();
    let (rows, columns) = spread::first_rows(&question, &rows, Some(most))?;
    Ok(FirstRows { rows, columns, zone, total, tables, fault })
}

fn from_mart(
    options: &Options,
    lake: &Lake,
    own: &Config,
    question: &Question,
) -> Result<Option<FromMart>> {
    match options.marts.of(own) {
        Some(marts) => fresh::answer(lake, &marts, question),
        None => Ok(None),
    }
}

/// The number in a frame of one cell.
fn only_number(frame: &DataFrame) -> Result<usize> {
    let number = match frame.columns() {
        [column] => column.cast(&DataType::Int64)?.i64()?.get(0),
        _ => None,
    };
    let number = number.and_then(|number| usize::try_from(number).ok());
    number.ok_or_else(|| Error::bug("a count without a number"))
}

/// One row per table, also an empty one.
fn answer_tables(options: &Options, lake: &Lake, call: &Call) -> Result<FirstRows> {
    tools::check_names(&call.tool, &call.arguments, &[])?;
    let snapshots = lake.snapshots(TABLES.iter().copied())?;
    let days_of = |read: &Snapshot| {
        let mut days: Vec<NaiveDate> = read.files.iter().filter_map(|file| file.day).collect();
        days.dedup();
        days
    };
    let days: Vec<Vec<NaiveDate>> = snapshots.iter().map(days_of).collect();
    let names = |table: &&Table| {
        let names: Vec<&str> = table.columns.iter().map(|column| column.name).collect();
        names.join(",")
    };
    let count = |name: &str, counts: Vec<u64>| {
        let counts = counts.into_iter().map(|count| i64::try_from(count).unwrap_or(i64::MAX));
        Column::new(name.into(), counts.collect::<Vec<_>>())
    };
    let date = |name: &str, of: fn(&[NaiveDate]) -> Option<&NaiveDate>| {
        let dates = days.iter().map(|days| of(days).map(NaiveDate::to_epoch_days));
        Column::new(name.into(), dates.collect::<Vec<_>>()).cast(&DataType::Date)
    };
    let columns = vec![
        OutputColumn::term("table"),
        OutputColumn::term("columns"),
        OutputColumn::count("rows"),
        OutputColumn::count("days"),
        OutputColumn::date("first_day"),
        OutputColumn::date("last_day"),
    ];
    let cells = vec![
        Column::new("table".into(), TABLES.iter().map(|table| table.name).collect::<Vec<_>>()),
        Column::new("columns".into(), TABLES.iter().map(names).collect::<Vec<_>>()),
        count("rows", snapshots.iter().map(Snapshot::rows).collect()),
        count("days", days.iter().map(|days| days.len() as u64).collect()),
        date("first_day", <[NaiveDate]>::first)?,
        date("last_day", <[NaiveDate]>::last)?,
    ];
    let rows = DataFrame::new(TABLES.len(), cells)?;
    let tables = TablesRead::of_snapshots(TABLES, &snapshots);
    let zone = options.zone.of(lake)?;
    Ok(FirstRows { total: rows.height(), rows, columns, zone, tables, fault: None })
}

fn answer_sql(
    options: &Options,
    lake: &Lake,
    call: &Call,
    settings: McpSettings,
) -> Result<FirstRows> {
    let text = tools::select(&call.arguments)?;
    on_deep_stack(|| {
        let sql = Sql::read(text)?;
        if !settings.people {
            sql.check_people().map_err(|error| error.hint(COUNT_PEOPLE))?;
        }
        let zone = options.zone.of(lake)?;
        let stored: Vec<&'static Table> =
            sql.tables().iter().copied().filter(|table| TABLES.contains(table)).collect();
        let tables = TablesRead::of_snapshots(&stored, &lake.snapshots(stored.iter().copied())?);
        let (rows, columns) = sql.collect(sql.plan(lake, &[], zone, None)?)?;
        let total = rows.height();
        let rows = rows.head(Some(settings.rows()));
        Ok(FirstRows { rows, columns, zone, total, tables, fault: None })
    })
}

impl FirstRows {
    /// Masks people, and writes the rows in both forms.
    fn written(self, call: &Call, settings: McpSettings) -> Result<Answered> {
        let Self { rows, columns, zone, total, tables, fault } = self;
        let rows = match settings.people {
            true => rows,
            false => Mask::new(&call.key)?.apply(&rows, &columns)?,
        };
        let mut csv = Vec::new();
        render::write(&Answer::new(&rows, columns.clone(), zone)?, Format::Csv, &mut csv)?;
        let csv = String::from_utf8(csv);
        let csv = csv.map_err(|_| Error::bug("an answer as csv is not UTF-8"))?;
        let truncated = (rows.height() < total).then(|| {
            let [shown, all] = [rows.height(), total].map(|rows| grouped(rows as u64));
            format!(
                "These are the first {shown} of {all} rows. Ask for fewer, with a filter or a shorter range; \
                 `rows` in [mcp] of wabalake.toml, up to 1000, shows more."
            )
        });
        let texts = [csv].into_iter().chain(truncated).chain(fault).collect();
        let shown = columns.iter().map(|column| Cells::of(rows.column(column.name)?, zone));
        let shown = shown.collect::<PolarsResult<Vec<_>>>()?;
        let row = |row| shown.iter().map(|cells| Cell::from(cells.get(row))).collect::<Vec<_>>();
        Ok(Answered {
            texts,
            columns: columns.iter().map(ColumnOf::from).collect(),
            rows: (0..rows.height()).map(row).collect(),
            rows_total: total,
            lake_version: tables.versions,
            freshest: tables.last_day.map(|day| day.to_string()),
        })
    }
}
