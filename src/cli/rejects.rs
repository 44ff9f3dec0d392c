//! `wabalake rejects`: the rows that could not be taken.

use std::path::{Path, PathBuf};

use clap::builder::PossibleValuesParser;
use clap::{Args, Command, FromArgMatches as _};
use polars::prelude::{DataFrame, DataType, LazyFrame, col, lit};
use wabalake_data::TABLES;
use wabalake_data::words::counted;
use wabalake_queries::query::OutputColumn;

use super::output::{Listing, OutputOptions, shown_path, to_file_for, to_stderr, to_stdout};
use super::shared::{LakeOption, ZoneOption};
use super::{Asked, Subcommand, usage};
use crate::error::{Error, Result};
use crate::files::Access;
use crate::lake::rejects::{self as table, Which};
use crate::load;
use crate::render::Answer;

pub(super) const SUBCOMMAND: Subcommand = Subcommand { name: "rejects", define, run };

#[derive(Args, Debug)]
struct Options {
    #[command(flatten)]
    lake: LakeOption,

    /// Also those whose row was loaded since
    #[arg(long)]
    all: bool,

    /// Only those of this table
    #[arg(long, value_parser = PossibleValuesParser::new(TABLES.iter().map(|table| table.name)))]
    kind: Option<String>,

    /// Show the records as they stand in their files: they may hold phone numbers and messages
    #[arg(long)]
    raw: bool,

    /// Write the records to this file as a CSV that can be mended and loaded; `-` is standard
    /// output
    #[arg(long, value_name = "FILE", conflicts_with_all = ["raw", "format", "output", "limit"])]
    export: Option<PathBuf>,

    /// Export cells as they are, without the quote (') that keeps a spreadsheet from calculating them
    #[arg(long, requires = "export", conflicts_with = "safe")]
    exact: bool,

    #[command(flatten)]
    output: OutputOptions,

    /// Only the first ones [default: all]
    #[arg(long, value_name = "ROWS")]
    limit: Option<u32>,

    #[command(flatten)]
    zone: ZoneOption,
}

fn define(command: Command) -> Command {
    Options::augment_args(command).after_help(
        "To mend rows that were rejected:\n  \
         wabalake rejects --lake lake --kind sessions --export mend.csv\n  \
         (mend the cells, leave the column `wabalake_reject` as it is)\n  \
         wabalake load mend.csv --lake lake\n  \
         (with the --date-order or --decimal that its file was loaded with, if it was)\n\n\
         In the export a quote (') stands before each cell that begins with = + - @, a tab or a \
         carriage return: a spreadsheet shows it rather than calculate it. Loading takes the quote \
         away again.",
    )
}

fn run(asked: &Asked<'_>) -> Result<()> {
    let options =
        Options::from_arg_matches(asked.matches).map_err(|e| usage::error(&e, asked.words))?;
    if options.export.is_none() {
        options.output.check(Listing::ToRead)?;
    }
    let lake = options.lake.open()?;
    let which = if options.all { Which::All } else { Which::Open };
    let mut rejects = table::read(&lake, which)?;
    if let Some(kind) = &options.kind {
        rejects = rejects.filter(col(table::KIND).eq(lit(kind.as_str())));
    }
    if let Some(path) = &options.export {
        return export(rejects, path, options.exact);
    }
    if let Some(rows) = options.limit {
        rejects = rejects.limit(rows);
    }
    let mut columns = vec![
        OutputColumn::text(table::FILE),
        OutputColumn::text(table::KIND),
        OutputColumn::count(table::RECORD),
        OutputColumn::count(table::LINE),
        OutputColumn::text(table::COLUMN),
        OutputColumn::text(table::REASON),
        OutputColumn::instant(table::REJECTED_AT),
        OutputColumn::instant(table::RESOLVED),
    ];
    if options.raw {
        columns.push(OutputColumn::text(table::RAW));
    }
    let answer = Answer::new(&rejects.collect()?, columns, options.zone.of(&lake)?)?;
    let access = if options.raw { Access::Owner } else { Access::Usual };
    options.output.write_for(access, &answer, Listing::ToRead)
}

fn export(rejects: LazyFrame, path: &Path, is_exact: bool) -> Result<()> {
    let rejects = rejects.collect()?;
    let kinds = kinds(&rejects)?;
    if let [first, _, ..] = kinds.as_slice() {
        return Err(Error::usage(format!("there are rejects of {}", kinds.join(" and ")))
            .hint(format!("export one kind at a time: `--kind {first}`")));
    }
    let mut rows = 0;
    let mut write = |mut out: &mut dyn std::io::Write| {
        rows = load::export_rejects(&rejects, is_exact, &mut out)?;
        Ok(())
    };
    if path.as_os_str() == "-" {
        return to_stdout(write);
    }
    to_file_for(Access::Owner, path, &mut write)?;
    let records = counted(rows as u64, "record");
    to_stderr(&format!("{records} written to `{}`\n", shown_path(path)));
    Ok(())
}

/// The kinds that there are rejects of.
fn kinds(rejects: &DataFrame) -> Result<Vec<String>> {
    let kinds = rejects.column(table::KIND)?.cast(&DataType::String)?.unique()?;
    let kinds = kinds.as_materialized_series().sort(polars::prelude::SortOptions::default())?;
    Ok(kinds.str()?.iter().flatten().map(str::to_owned).collect())
}
