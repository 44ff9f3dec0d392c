//! `wabalake undo`: reverts the last load.

use clap::Args;
use wabalake_data::words::{counted, grouped};

use super::output::to_stdout;
use super::shared::LakeOption;
use super::{Run, Subcommand};
use crate::error::Result;

pub(super) const SUBCOMMAND: Subcommand = Subcommand::of::<Options>("undo", "Undo the last load");

#[derive(Args)]
#[command(
    long_about = "Undo the last load in every table that it changed, by a new version of each table, in all or none. The \
                  files of that load can then be loaded again. Run it again to undo the load before. It \
                  fails if a later commit rewrote the same days."
)]
struct Options {
    #[command(flatten)]
    lake: LakeOption,
}

impl Run for Options {
    fn run(self) -> Result<()> {
        let undone = self.lake.open_to_change()?.undo()?;
        to_stdout(|out| {
            let time = undone.load.time.format("%Y-%m-%dT%H:%M:%SZ");
            writeln!(out, "the load of {time} is undone")?;
            for table in &undone.tables {
                let days = table.days.len();
                writeln!(
                    out,
                    "{}: {} restored, {} (before: {}), version {}",
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
}
