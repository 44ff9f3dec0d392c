//! `wabalake vacuum`: deletes files that no recent version of a table needs.

use chrono::TimeDelta;
use clap::{Args, Command, FromArgMatches as _};

use super::output::{shown_path, to_stdout};
use super::shared::LakeOption;
use super::{Asked, Subcommand, usage};
use crate::error::Result;
use crate::lake::vacuum;
use crate::load::report::{bytes, grouped};

pub(super) const SUBCOMMAND: Subcommand = Subcommand { name: "vacuum", define, run };

#[derive(Args, Debug)]
struct Options {
    #[command(flatten)]
    lake: LakeOption,

    /// How many days a file is kept after it was replaced
    #[arg(long, value_name = "DAYS", default_value_t = 7)]
    #[arg(value_parser = clap::value_parser!(u32).range(..=36_500))]
    retain_days: u32,

    /// Only say what would be deleted
    #[arg(long)]
    dry_run: bool,
}

fn define(command: Command) -> Command {
    Options::augment_args(command).long_about(
        "Delete files that no recent version of a table needs: those that were replaced longer ago \
         than the retention, and what killed loads left behind. A load cannot be undone once the \
         files from before it are deleted.",
    )
}

fn run(asked: &Asked<'_>) -> Result<()> {
    let options =
        Options::from_arg_matches(asked.matches).map_err(|e| usage::error(&e, asked.words))?;
    let lake = options.lake.open()?;
    let retain = TimeDelta::days(options.retain_days.into());
    let vacuumed = lake.vacuum(vacuum::Options { retain, dry_run: options.dry_run })?;
    to_stdout(|out| {
        let count = vacuumed.files.len();
        let files = if count == 1 { "file" } else { "files" };
        let done = if options.dry_run { "would be deleted" } else { "deleted" };
        let count = grouped(count as u64);
        if options.dry_run {
            for file in &vacuumed.files {
                writeln!(out, "{}", shown_path(file))?;
            }
        }
        writeln!(out, "{count} {files} {done}, {}", bytes(vacuumed.bytes))?;
        Ok(())
    })
}
