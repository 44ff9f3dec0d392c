//! `wabalake rejects`: lists the rejected rows, or exports them to be fixed.

use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::PossibleValuesParser;
use polars::prelude::{DataFrame, DataType, LazyFrame, col, lit};
use wabalake_data::TABLES;
use wabalake_data::words::counted;
use wabalake_queries::query::OutputColumn;

use super::output::{Listing, OutputOptions, shown_path, to_file_for, to_stderr, to_stdout};
use super::shared::{LakeOption, ZoneOption};
use super::{Run, Subcommand};
use crate::error::{Error, Result};
use crate::files::Access;
use crate::lake::rejects::{self as table, Which};
use crate::load::{self, ExportedRejects};
use crate::render::Answer;

pub(super) const SUBCOMMAND: Subcommand =
    Subcommand::of::<Options>("rejects", "List rejected rows, or export them to be fixed");

#[derive(Args)]
#[command(after_help = "To fix rejected rows:\n  \
                        wabalake rejects --lake lake --kind sessions --export fix.csv\n  \
                        (correct the cells, do not change the column `wabalake_reject`)\n  \
                        wabalake load fix.csv --lake lake\n  \
                        (with the same --date-order and --decimal as the original file, if any)\n\n\
                        In the export a quote (') is put before each cell that begins with = + - @, a tab \
                        or a carriage return, so that a spreadsheet does not calculate it. Loading removes \
                        the quote.")]
struct Options {
    #[command(flatten)]
    lake: LakeOption,

    /// Also rejects whose row was loaded since
    #[arg(long)]
    all: bool,

    /// Only rejects of this table
    #[arg(long, value_parser = PossibleValuesParser::new(TABLES.iter().map(|table| table.name)))]
    kind: Option<String>,

    /// Show the raw records of the files, which may contain phone numbers and messages
    #[arg(long)]
    raw: bool,

    /// Write the raw records to this file as a CSV that can be fixed and loaded; `-` for standard
    /// output
    #[arg(long, value_name = "FILE", conflicts_with_all = ["raw", "format", "output", "limit"])]
    export: Option<PathBuf>,

    /// Export cells unchanged, without the quote (') that prevents formulas in a spreadsheet
    #[arg(long, requires = "export", conflicts_with = "safe")]
    exact: bool,

    #[command(flatten)]
    output: OutputOptions,

    /// Show at most this many [default: all]
    #[arg(long, value_name = "ROWS")]
    limit: Option<u32>,

    #[command(flatten)]
    zone: ZoneOption,
}

impl Run for Options {
    fn run(self) -> Result<()> {
        if self.export.is_none() {
            self.output.check(Listing::ToRead)?;
        }
        let lake = self.lake.open()?;
        let which = if self.all { Which::All } else { Which::Open };
        let mut rejects = table::read(&lake, which)?;
        if let Some(kind) = &self.kind {
            rejects = rejects.filter(col(table::KIND).eq(lit(kind.as_str())));
        }
        if let Some(path) = &self.export {
            return export(rejects, path, self.exact);
        }
        if let Some(rows) = self.limit {
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
        if self.raw {
            columns.push(OutputColumn::text(table::RAW));
        }
        let answer = Answer::new(&rejects.collect()?, columns, self.zone.of(&lake)?)?;
        let access = if self.raw { Access::Owner } else { Access::Usual };
        self.output.write_for(access, &answer, Listing::ToRead)
    }
}

fn export(rejects: LazyFrame, path: &Path, is_exact: bool) -> Result<()> {
    let rejects = rejects.collect()?;
    let kinds = kinds(&rejects)?;
    if let [first, _, ..] = kinds.as_slice() {
        return Err(Error::usage(format!(
            "there are rejects of several kinds: {}",
            kinds.join(", ")
        ))
        .hint(format!("export one kind at a time, such as `--kind {first}`")));
    }
    let mut exported = ExportedRejects::default();
    let mut write = |mut out: &mut dyn std::io::Write| {
        exported = load::export_rejects(&rejects, is_exact, &mut out)?;
        Ok(())
    };
    if path.as_os_str() == "-" {
        to_stdout(write)?;
    } else {
        to_file_for(Access::Owner, path, &mut write)?;
        let records = counted(exported.records as u64, "record");
        to_stderr(&format!("{records} written to `{}`\n", shown_path(path)));
    }
    if exported.broken > 0 {
        let parts = counted(exported.broken as u64, "broken part");
        to_stderr(&format!(
            "{parts} of webhooks left out, which have no cells\n  hint: `wabalake rejects --kind messages \
             --raw` shows them: correct their JSON and load it as a file of its own\n"
        ));
    }
    Ok(())
}

/// Returns the tables that have rejects.
fn kinds(rejects: &DataFrame) -> Result<Vec<String>> {
    let kinds = rejects.column(table::KIND)?.cast(&DataType::String)?.unique()?;
    let kinds = kinds.as_materialized_series().sort(polars::prelude::SortOptions::default())?;
    Ok(kinds.str()?.iter().flatten().map(str::to_owned).collect())
}
