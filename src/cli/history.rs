//! `wabalake history TABLE`: lists the commits of a table, newest first.

use clap::Args;
use clap::builder::PossibleValuesParser;
use polars::prelude::{Column, DataFrame};
use wabalake_queries::query::OutputColumn;

use super::output::{Listing, OutputOptions};
use super::shared::{LakeOption, ZoneOption};
use super::status::instants;
use super::{Run, Subcommand};
use crate::error::{Error, Result};
use crate::lake::history::CommitEntry;
use crate::lake::{stored_table, stored_tables};
use crate::render::Answer;

pub(super) const SUBCOMMAND: Subcommand =
    Subcommand::of::<Options>("history", "Show the commits of a table");

#[derive(Args)]
struct Options {
    /// The table
    #[arg(value_parser = PossibleValuesParser::new(stored_tables().map(|table| table.name)))]
    table: String,

    #[command(flatten)]
    lake: LakeOption,

    #[command(flatten)]
    output: OutputOptions,

    /// Show at most this many commits, the newest [default: all]
    #[arg(long, value_name = "ROWS")]
    limit: Option<usize>,

    #[command(flatten)]
    zone: ZoneOption,
}

impl Run for Options {
    fn run(self) -> Result<()> {
        self.output.check(Listing::ToRead)?;
        let lake = self.lake.open()?;
        let table = stored_table(&self.table).ok_or_else(|| Error::bug("no such table"))?;
        let mut entries = lake.history(table)?;
        entries.truncate(self.limit.unwrap_or(usize::MAX));
        let answer = Answer::new(&frame(&entries)?, COLUMNS.to_vec(), self.zone.of(&lake)?)?;
        self.output.write(&answer, Listing::ToRead)
    }
}

const COLUMNS: [OutputColumn; 8] = [
    OutputColumn::count("version"),
    OutputColumn::instant("committed_at"),
    OutputColumn::text("operation"),
    OutputColumn::text("load_id"),
    OutputColumn::count("files_added"),
    OutputColumn::count("files_removed"),
    OutputColumn::count("rows_added"),
    OutputColumn::count("rows_removed"),
];

fn frame(entries: &[CommitEntry]) -> Result<DataFrame> {
    let count = |name: &str, of: fn(&CommitEntry) -> Option<u64>| {
        let counts = entries.iter().map(|entry| of(entry).and_then(|n| i64::try_from(n).ok()));
        Column::new(name.into(), counts.collect::<Vec<_>>())
    };
    let operations: Vec<&str> = entries.iter().map(|entry| entry.operation.as_str()).collect();
    let loads: Vec<Option<&str>> = entries.iter().map(|entry| entry.load_id.as_deref()).collect();
    let columns = vec![
        count("version", |entry| Some(entry.version)),
        instants("committed_at", entries.iter().map(|entry| entry.time))?,
        Column::new("operation".into(), operations),
        Column::new("load_id".into(), loads),
        count("files_added", |entry| Some(entry.files_added)),
        count("files_removed", |entry| Some(entry.files_removed)),
        count("rows_added", |entry| Some(entry.rows_added)),
        count("rows_removed", |entry| entry.rows_removed),
    ];
    Ok(DataFrame::new(entries.len(), columns)?)
}
