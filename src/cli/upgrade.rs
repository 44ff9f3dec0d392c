//! `wabalake upgrade`: brings tables that an older version wrote up to date.

use chrono::Utc;
use clap::Args;
use wabalake_data::words::counted;

use super::output::to_stdout;
use super::shared::LakeOption;
use super::{Run, Subcommand};
use crate::error::Result;
use crate::lake::Lake;
use crate::lake::runs::{self, RunOutcome};
use crate::load::{UpgradedTable, upgrade};

pub(super) const SUBCOMMAND: Subcommand =
    Subcommand::of::<Options>("upgrade", "Bring tables that an older version wrote up to date");

#[derive(Args)]
#[command(
    long_about = "Bring tables that an older version wrote up to date, each in one commit: their schemas gain the \
                  columns that this version knows, rows get the person by today's rules for numbers and user \
                  ids, and rows that are one by their person become one. A lake is read and written without \
                  this too: then the rows of a day get their person with the next load of that day. If it is \
                  stopped, tables are either upgraded or as they were: run it again. `wabalake undo` cannot \
                  undo loads of days that were rewritten."
)]
struct Options {
    #[command(flatten)]
    lake: LakeOption,

    /// Report what would be done, without writing to the lake
    #[arg(long)]
    dry_run: bool,
}

impl Run for Options {
    fn run(self) -> Result<()> {
        let lake = self.lake.open_to_change()?;
        let started = Utc::now();
        let upgraded = upgrade(&lake, self.dry_run)?;
        if !self.dry_run && !upgraded.is_empty() {
            record(&lake, &upgraded, started)?;
        }
        to_stdout(|out| {
            if upgraded.is_empty() {
                writeln!(out, "nothing to upgrade")?;
            }
            for table in &upgraded {
                let version = table.version.map(|v| format!("; version {v}")).unwrap_or_default();
                let done = parts(table, self.dry_run).join("; ");
                writeln!(out, "{}: {done}{version}", table.table)?;
            }
            Ok(())
        })
    }
}

/// What is done to a table, or would be.
fn parts(table: &UpgradedTable, dry_run: bool) -> Vec<String> {
    let would = if dry_run { "would be " } else { "" };
    let mut parts = Vec::new();
    if !table.columns.is_empty() {
        let columns = counted(table.columns.len() as u64, "column");
        parts.push(format!("{columns} {would}added ({})", table.columns.join(", ")));
    }
    if table.rows > 0 {
        let rows = counted(table.rows, "row");
        let days = match table.days.len() {
            0 => "without a time".to_owned(),
            days => format!("in {}", counted(days as u64, "day")),
        };
        parts.push(format!("{rows} {days} {would}given the person by today's rules"));
    }
    if table.merged > 0 {
        parts.push(format!("{} {would}merged with another", counted(table.merged, "row")));
    }
    if table.loads > 0 {
        parts.push(format!("counts of {} {would}recorded", counted(table.loads, "loaded file")));
    }
    parts
}

/// Adds the upgrade to the table `runs`.
fn record(lake: &Lake, upgraded: &[UpgradedTable], started: chrono::DateTime<Utc>) -> Result<()> {
    let version = |table: &UpgradedTable| Some((table.table, table.version?));
    lake.log_run(&runs::Run {
        rows_updated: upgraded.iter().map(|table| table.rows).sum(),
        versions: upgraded.iter().filter_map(version).collect(),
        ..runs::Run::new("upgrade", RunOutcome::Done, started)
    })
}
