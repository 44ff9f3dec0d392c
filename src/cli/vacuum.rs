//! `wabalake vacuum`: deletes files that no recent version of a table needs.

use std::path::PathBuf;

use chrono::TimeDelta;
use clap::Args;
use wabalake_data::words::{bytes, counted, grouped};
use wabalake_queries::query::numbers::whole;

use super::output::{shown_path, to_stderr, to_stdout};
use super::shared::LakeOption;
use super::{Run, Subcommand};
use crate::config::Config;
use crate::error::Result;
use crate::lake::vacuum::{self, SkipReason};
use crate::nightly;

pub(super) const SUBCOMMAND: Subcommand =
    Subcommand::of::<Options>("vacuum", "Delete files that no recent version of a table needs");

#[derive(Args)]
#[command(
    long_about = "Delete files that no recent version of a table needs: files that were replaced before the \
                  retention period, and leftovers of crashed loads, commits and runs. A load cannot be \
                  undone once the files from before it are deleted. Only files that wabalake wrote are \
                  deleted, and symbolic links are not followed; standard error lists the skipped files."
)]
struct Options {
    #[command(flatten)]
    lake: LakeOption,

    /// Retention: days that a file is kept after it was replaced
    #[arg(long, value_name = "DAYS", default_value_t = 7)]
    #[arg(value_parser = whole::<u32>(0..=36_500))]
    retain_days: u32,

    /// List the files without deleting them
    #[arg(long)]
    dry_run: bool,
}

impl Run for Options {
    fn run(self) -> Result<()> {
        let lake = self.lake.open_to_change()?;
        let config = Config::of(&lake)?;
        let retain = TimeDelta::days(self.retain_days.into());
        let options = vacuum::Options { retain, dry_run: self.dry_run };
        let vacuumed = nightly::sweep(&lake, &config, options)?;
        report_skipped(&vacuumed.skipped);
        to_stdout(|out| {
            let files = counted(vacuumed.files.len() as u64, "file");
            let done = if self.dry_run { "would be deleted" } else { "deleted" };
            if self.dry_run {
                for file in &vacuumed.files {
                    writeln!(out, "{}", shown_path(file))?;
                }
            }
            writeln!(out, "{files} {done}, {}", bytes(vacuumed.bytes))?;
            Ok(())
        })
    }
}

/// Lists the first ten skipped files, and counts the others.
fn report_skipped(skipped: &[(PathBuf, SkipReason)]) {
    const LISTED: usize = 10;
    for (path, why) in skipped.iter().take(LISTED) {
        to_stderr(&format!("skipped: {}: {}\n", shown_path(path), why.text()));
    }
    if let Some(more) = skipped.len().checked_sub(LISTED).filter(|more| *more > 0) {
        to_stderr(&format!("skipped: {} more\n", grouped(more as u64)));
    }
}
