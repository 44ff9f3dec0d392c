//! `wabalake coverage`: what each table covers, and what to export next.

use chrono::{NaiveDate, Utc};
use clap::{Args, Command, FromArgMatches as _};
use polars::prelude::{Column, DataFrame, DataType};
use wabalake_data::tables::instant;
use wabalake_queries::query::OutputColumn;
use wabalake_queries::query::days::read_date;

use super::output::{Listing, OutputOptions};
use super::shared::{LakeOption, ZoneOption};
use super::{Asked, Subcommand, usage};
use crate::error::Result;
use crate::lake::coverage::{Coverage, exports_begin};
use crate::render::Answer;

pub(super) const NAME: &str = "coverage";

pub(super) const SUBCOMMAND: Subcommand = Subcommand { name: NAME, define, run };

#[derive(Args, Debug)]
struct Options {
    #[command(flatten)]
    lake: LakeOption,

    /// The first day that there should be rows of [default: 2025-04-15, where Treble's exports begin]
    #[arg(long, value_name = "DATE", value_parser = read_date)]
    since: Option<NaiveDate>,

    /// The day before which there should be rows [default: today]
    #[arg(long, value_name = "DATE", value_parser = read_date)]
    today: Option<NaiveDate>,

    #[command(flatten)]
    zone: ZoneOption,

    #[command(flatten)]
    output: OutputOptions,
}

/// As a subcommand of `query`.
pub(super) fn command() -> Command {
    Command::new(NAME).about("What each table covers, and what to export next").defer(define)
}

fn define(command: Command) -> Command {
    Options::augment_args(command).after_help(
        "One row for each table, empty ones too. Days begin in the reporting zone; missing_days \
         are those without rows between the first and the last. next_from and next_to are the next \
         window to export from Treble, which gives out at most 30 days at once, and windows_left \
         is how many there are.",
    )
}

fn run(asked: &Asked<'_>) -> Result<()> {
    let options =
        Options::from_arg_matches(asked.matches).map_err(|e| usage::error(&e, asked.words))?;
    options.output.check(Listing::Answer)?;
    let lake = options.lake.open()?;
    let zone = options.zone.of(&lake)?;
    let since = options.since.unwrap_or_else(exports_begin);
    let today = options.today.unwrap_or_else(|| Utc::now().with_timezone(&zone).date_naive());
    let coverage = lake.coverage(zone, since, today)?;
    let answer = Answer::new(&frame(&coverage)?, COLUMNS.to_vec(), zone)?;
    options.output.write(&answer, Listing::Answer)
}

const COLUMNS: [OutputColumn; 10] = [
    OutputColumn::text("table"),
    OutputColumn::date("first_day"),
    OutputColumn::date("last_day"),
    OutputColumn::count("days"),
    OutputColumn::count("missing_days"),
    OutputColumn::count("rows"),
    OutputColumn::instant("last_loaded_at"),
    OutputColumn::date("next_from"),
    OutputColumn::date("next_to"),
    OutputColumn::count("windows_left"),
];

fn frame(tables: &[Coverage]) -> Result<DataFrame> {
    let count = |name: &str, of: fn(&Coverage) -> Option<u64>| {
        let counts = tables.iter().map(|table| of(table).and_then(|n| i64::try_from(n).ok()));
        Column::new(name.into(), counts.collect::<Vec<_>>())
    };
    let date = |name: &str, of: fn(&Coverage) -> Option<NaiveDate>| {
        let days = tables.iter().map(|table| of(table).map(|day| day.to_epoch_days()));
        Column::new(name.into(), days.collect::<Vec<_>>()).cast(&DataType::Date)
    };
    let loaded = tables.iter().map(|table| table.last_loaded.map(|at| at.timestamp_micros()));
    let loaded = Column::new("last_loaded_at".into(), loaded.collect::<Vec<_>>());
    let names: Vec<&str> = tables.iter().map(|table| table.table).collect();
    let columns = vec![
        Column::new("table".into(), names),
        date("first_day", |table| table.first_day)?,
        date("last_day", |table| table.last_day)?,
        count("days", |table| Some(table.days)),
        count("missing_days", |table| table.missing_days),
        count("rows", |table| Some(table.rows)),
        loaded.cast(&instant())?,
        date("next_from", |table| table.next.map(|(from, _)| from))?,
        date("next_to", |table| table.next.map(|(_, to)| to))?,
        count("windows_left", |table| table.windows_left),
    ];
    Ok(DataFrame::new(tables.len(), columns)?)
}
