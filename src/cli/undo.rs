//! `wabalake undo`: takes the last load back.

use clap::{Args as _, Command, FromArgMatches as _};
use wabalake_data::words::{counted, grouped};

use super::output::to_stdout;
use super::shared::LakeOption;
use super::{Asked, Subcommand, usage};
use crate::error::Result;

pub(super) const SUBCOMMAND: Subcommand = Subcommand { name: "undo", define, run };

fn define(command: Command) -> Command {
    LakeOption::augment_args(command).long_about(
        "Take the last load back from all the tables that it touched, as a new version of each. \
         Its files can then be loaded again. Done again, it takes the load before it back. It is \
         refused where a later commit rewrote the same days.",
    )
}

fn run(asked: &Asked<'_>) -> Result<()> {
    let options =
        LakeOption::from_arg_matches(asked.matches).map_err(|e| usage::error(&e, asked.words))?;
    let undone = options.open()?.undo()?;
    to_stdout(|out| {
        let time = undone.load.time.format("%Y-%m-%dT%H:%M:%SZ");
        writeln!(out, "the load of {time} is taken back")?;
        for table in &undone.tables {
            let days = table.days.len();
            writeln!(
                out,
                "{}: {} as before, {} (they were {}), version {}",
                table.table,
                counted(days as u64, "day"),
                counted(table.rows_after, "row"),
                grouped(table.rows_before),
                table.version
            )?;
        }
        Ok(())
    })
}
