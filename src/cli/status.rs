//! `wabalake status`: lists the tables of a lake.

use chrono::{DateTime, NaiveDate, Utc};
use clap::Args;
use polars::prelude::{Column, DataFrame, DataType};
use wabalake_data::tables::instant;
use wabalake_data::words::grouped;
use wabalake_queries::query::OutputColumn;

use super::output::{Listing, OutputOptions, to_stderr};
use super::shared::{LakeOption, ZoneOption};
use super::{Run, Subcommand};
use crate::error::Result;
use crate::lake::status::TableStatus;
use crate::render::Answer;

pub(super) const SUBCOMMAND: Subcommand =
    Subcommand::of::<Options>("status", "Show the tables of a lake");

#[derive(Args)]
#[command(after_help = "Days are UTC days, the partitions of a table.")]
struct Options {
    #[command(flatten)]
    lake: LakeOption,

    #[command(flatten)]
    output: OutputOptions,

    #[command(flatten)]
    zone: ZoneOption,
}

impl Run for Options {
    fn run(self) -> Result<()> {
        self.output.check(Listing::ToRead)?;
        let lake = self.lake.open()?;
        let zone = self.zone.of(&lake)?;
        let status = lake.status()?;
        let answer = Answer::new(&frame(&status.tables)?, COLUMNS.to_vec(), zone)?;
        self.output.write(&answer, Listing::ToRead)?;
        let last = match &status.last_load {
            Some(load) => {
                let time = load.time.with_timezone(&zone).format("%Y-%m-%d %H:%M:%S %Z");
                format!("last load: {time}, into {}", load.tables.join(", "))
            }
            None => "last load: none".to_owned(),
        };
        to_stderr(&format!("{last}\nopen rejects: {}\n", grouped(status.open_rejects)));
        Ok(())
    }
}

const COLUMNS: [OutputColumn; 10] = [
    OutputColumn::text("table"),
    OutputColumn::count("rows"),
    OutputColumn::count("days"),
    OutputColumn::date("first_day"),
    OutputColumn::date("last_day"),
    OutputColumn::count("undated_rows"),
    OutputColumn::count("files"),
    OutputColumn::count("bytes"),
    OutputColumn::count("version"),
    OutputColumn::instant("changed_at"),
];

fn frame(tables: &[TableStatus]) -> Result<DataFrame> {
    let count = |name: &str, of: fn(&TableStatus) -> u64| {
        let counts = tables.iter().map(|table| i64::try_from(of(table)).unwrap_or(i64::MAX));
        Column::new(name.into(), counts.collect::<Vec<_>>())
    };
    let date = |name: &str, of: fn(&TableStatus) -> Option<NaiveDate>| {
        let days = tables.iter().map(|table| of(table).map(|day| day.to_epoch_days()));
        Column::new(name.into(), days.collect::<Vec<_>>()).cast(&DataType::Date)
    };
    let names: Vec<&str> = tables.iter().map(|table| table.table).collect();
    let columns = vec![
        Column::new("table".into(), names),
        count("rows", |table| table.rows),
        count("days", |table| table.days),
        date("first_day", |table| table.first_day)?,
        date("last_day", |table| table.last_day)?,
        count("undated_rows", |table| table.undated_rows),
        count("files", |table| table.files),
        count("bytes", |table| table.bytes),
        count("version", |table| table.version),
        instants("changed_at", tables.iter().map(|table| table.changed))?,
    ];
    Ok(DataFrame::new(tables.len(), columns)?)
}

/// Builds a column of timestamps in UTC.
pub(super) fn instants(name: &str, of: impl Iterator<Item = DateTime<Utc>>) -> Result<Column> {
    let micros: Vec<i64> = of.map(|at| at.timestamp_micros()).collect();
    Ok(Column::new(name.into(), micros).cast(&instant())?)
}
