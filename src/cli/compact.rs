//! `wabalake compact`: merges the small files of each day.

use clap::Args;
use wabalake_data::words::{bytes, counted, grouped};

use super::output::to_stdout;
use super::shared::LakeOption;
use super::{Run, Subcommand};
use crate::error::Result;

pub(super) const SUBCOMMAND: Subcommand =
    Subcommand::of::<Options>("compact", "Merge the small files of each day");

#[derive(Args)]
#[command(
    long_about = "Merge the files of each day into one, so that queries open fewer files. The rows do not \
                  change. The old files stay until `wabalake vacuum` deletes them."
)]
struct Options {
    #[command(flatten)]
    lake: LakeOption,
}

impl Run for Options {
    fn run(self) -> Result<()> {
        let compacted = self.lake.open_to_change()?.compact()?;
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
}
