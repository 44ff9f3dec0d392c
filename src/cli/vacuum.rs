//! `wabalake vacuum`: deletes files that no recent version of a table needs.

use std::path::PathBuf;

use chrono::TimeDelta;
use clap::{Args, Command, FromArgMatches as _};
use wabalake_data::words::{bytes, counted, grouped};

use super::output::{shown_path, to_stderr, to_stdout};
use super::shared::LakeOption;
use super::{Asked, Subcommand, usage};
use crate::config::Config;
use crate::error::Result;
use crate::lake::vacuum::{self, SkipReason};
use crate::nightly;
use wabalake_queries::query::numbers::whole;

pub(super) const SUBCOMMAND: Subcommand = Subcommand { name: "vacuum", define, run };

#[derive(Args, Debug)]
struct Options {
    #[command(flatten)]
    lake: LakeOption,

    /// How many days a file is kept after it was replaced
    #[arg(long, value_name = "DAYS", default_value_t = 7)]
    #[arg(value_parser = whole::<u32>(0..=36_500))]
    retain_days: u32,

    /// Only say what would be deleted
    #[arg(long)]
    dry_run: bool,
}

fn define(command: Command) -> Command {
    Options::augment_args(command).long_about(
        "Delete files that no recent version of a table needs: those that were replaced longer ago \
         than the retention, and what killed loads, commits and nights left behind. A load cannot be \
         undone once the files from before it are deleted. Only files that wabalake wrote are \
         deleted, and no link is followed: what is passed over is named on standard error.",
    )
}

fn run(asked: &Asked<'_>) -> Result<()> {
    let options =
        Options::from_arg_matches(asked.matches).map_err(|e| usage::error(&e, asked.words))?;
    let lake = options.lake.open()?;
    let config = Config::of(lake.root())?;
    let retain = TimeDelta::days(options.retain_days.into());
    let how = vacuum::Options { retain, dry_run: options.dry_run };
    let vacuumed = nightly::sweep(&lake, &config, how)?;
    tell_passed_over(&vacuumed.skipped);
    to_stdout(|out| {
        let files = counted(vacuumed.files.len() as u64, "file");
        let done = if options.dry_run { "would be deleted" } else { "deleted" };
        if options.dry_run {
            for file in &vacuumed.files {
                writeln!(out, "{}", shown_path(file))?;
            }
        }
        writeln!(out, "{files} {done}, {}", bytes(vacuumed.bytes))?;
        Ok(())
    })
}

/// Names what was left where it is, the first of it where there is much.
fn tell_passed_over(passed_over: &[(PathBuf, SkipReason)]) {
    const NAMED: usize = 10;
    for (path, why) in passed_over.iter().take(NAMED) {
        to_stderr(&format!("passed over: {}: {}\n", shown_path(path), why.text()));
    }
    if let Some(more) = passed_over.len().checked_sub(NAMED).filter(|more| *more > 0) {
        to_stderr(&format!("passed over: {} more\n", grouped(more as u64)));
    }
}
