//! `wabalake compact`: merges the files of each day.

use clap::{Args as _, Command, FromArgMatches as _};
use wabalake_data::words::{bytes, counted, grouped};

use super::output::to_stdout;
use super::shared::LakeOption;
use super::{Asked, Subcommand, usage};
use crate::error::Result;

pub(super) const SUBCOMMAND: Subcommand = Subcommand { name: "compact", define, run };

fn define(command: Command) -> Command {
    LakeOption::augment_args(command).long_about(
        "Merge the files of each day into one, so that queries open fewer. The rows stay as they \
         are. The old files are kept until `wabalake vacuum`.",
    )
}

fn run(asked: &Asked<'_>) -> Result<()> {
    let options =
        LakeOption::from_arg_matches(asked.matches).map_err(|e| usage::error(&e, asked.words))?;
    let compacted = options.open()?.compact()?;
    to_stdout(|out| {
        if compacted.is_empty() {
            writeln!(out, "nothing to merge")?;
        }
        for table in &compacted {
            writeln!(
                out,
                "{}: {}, {} → {}, {} → {}",
                table.table,
                counted(table.days, "day"),
                counted(table.files.0, "file"),
                grouped(table.files.1),
                bytes(table.bytes.0),
                bytes(table.bytes.1)
            )?;
        }
        Ok(())
    })
}
