//! `wabalake sample`: writes synthetic exports that refer to one another.

use std::io::Write;
use std::path::{Path, PathBuf};

use chrono::NaiveDate;
use clap::Args;
use clap::builder::PossibleValuesParser;
use flate2::Compression;
use flate2::write::GzEncoder;
use wabalake_data::words::{counted, grouped};
use wabalake_data::{TABLES, Table};
use wabalake_queries::query::numbers::whole;
use wabalake_queries::query::time::read_date;
use wabalake_sample::{File, Plan, Summary};

use super::output::{shown_path, to_file, to_stdout};
use super::shared::StoreOption;
use super::{Run, Subcommand};
use crate::error::{Context as _, Error, Result};
use crate::lake::Lake;
use crate::load;

pub(super) const SUBCOMMAND: Subcommand =
    Subcommand::of::<Options>("sample", "Write synthetic exports");

#[derive(Args)]
#[command(
    long_about = "Write synthetic exports in the formats of the vendors. Deployments lead to sessions, and \
                  sessions to messages; persons come back, are redirected, see ads. Summaries, Meta's \
                  points, closings, spend and a rate card are consistent with them. Webhooks of Meta are those \
                  of one more line, which no other export has. The same options give \
                  the same bytes. No phone number belongs to a real person."
)]
struct Options {
    /// Folder for the exports, created if there is none
    #[arg(long, value_name = "DIR", required_unless_present = "lake")]
    out: Option<PathBuf>,

    /// Write a lake instead, as if the exports were loaded: a folder, or a URL on an object store
    #[arg(long, value_name = "LAKE", conflicts_with_all = ["out", "dirt"])]
    lake: Option<PathBuf>,

    #[command(flatten)]
    store: StoreOption,

    /// Number of days
    #[arg(long, default_value_t = 30, value_parser = whole::<u32>(1..=36_500))]
    days: u32,

    /// Average number of sessions a day; there are as many deployments and twice as many messages
    #[arg(long, value_name = "SESSIONS", default_value_t = 1000)]
    #[arg(value_parser = whole::<u32>(1..=u32::MAX.into()))]
    sessions_per_day: u32,

    /// Seed of the random numbers: another seed gives other rows
    #[arg(long, default_value_t = 1)]
    seed: u64,

    /// First day
    #[arg(long, value_name = "DATE", default_value = "2025-05-01", value_parser = read_date)]
    start: NaiveDate,

    /// Only exports of these tables, separated by commas [default: all]
    ///
    /// The file of webhooks feeds messages, identities and events; it is written for any of them.
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    #[arg(value_parser = PossibleValuesParser::new(TABLES.iter().map(|table| table.name)))]
    tables: Vec<String>,

    /// Add the flaws of real exports: overlaps, copies, encodings, invalid cells and rows
    #[arg(long)]
    dirt: bool,
}

impl Run for Options {
    fn run(self) -> Result<()> {
        let Self { days, sessions_per_day, seed, start, dirt, .. } = self;
        let plan = Plan { start, days, sessions_per_day, seed, dirt };
        let wanted = |table: &Table| {
            self.tables.is_empty() || self.tables.iter().any(|name| name == table.name)
        };
        match (&self.out, &self.lake) {
            (Some(folder), _) => write_exports(&plan, folder, &wanted),
            (None, Some(lake)) => write_lake(&plan, &self.store.create(lake)?, &wanted),
            (None, None) => Err(Error::bug("neither a folder nor a lake")),
        }
    }
}

/// Returns `true` for the tables of `--tables`.
type Wanted<'w> = &'w dyn Fn(&Table) -> bool;

fn write_exports(plan: &Plan, folder: &Path, wanted: Wanted<'_>) -> Result<()> {
    std::fs::create_dir_all(folder).context(|| format!("creating `{}`", folder.display()))?;
    for file in plan.files().filter(|file| wanted(file.table)) {
        let path = folder.join(&file.name);
        let mut summary = Summary::default();
        to_file(&path, |out| {
            summary = write_export(&file, out)?;
            Ok(())
        })?;
        to_stdout(|out| {
            write!(out, "{}: {}", shown_path(&path), counted(summary.good, "row"))?;
            if summary.rejected > 0 {
                write!(out, ", {} that a load rejects", grouped(summary.rejected))?;
            }
            if let Some(original) = &file.copy_of {
                write!(out, ", a copy of {original}")?;
            }
            Ok(writeln!(out)?)
        })?;
    }
    write_companions(plan, folder, wanted, &mut |path, summary| {
        let rows = counted(summary.good, "row");
        to_stdout(|out| Ok(writeln!(out, "{}: {rows}", shown_path(path))?))
    })?;
    Ok(())
}

/// Writes the exports that are derived from the others, such as summaries and the rate card. Returns their
/// paths.
fn write_companions(
    plan: &Plan,
    folder: &Path,
    wanted: Wanted<'_>,
    print: &mut dyn FnMut(&Path, Summary) -> Result<()>,
) -> Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for file in plan.companions().filter(|file| file.tables.iter().any(|table| wanted(table))) {
        let path = folder.join(&file.name);
        let mut summary = Summary::default();
        to_file(&path, |mut out| {
            summary = file.write(&mut out)?;
            Ok(())
        })?;
        print(&path, summary)?;
        paths.push(path);
    }
    Ok(paths)
}

fn write_export(file: &File, mut out: &mut dyn Write) -> Result<Summary> {
    if !file.gzip {
        return Ok(file.write(&mut out)?);
    }
    let mut packed = GzEncoder::new(out, Compression::default());
    let summary = file.write(&mut packed)?;
    packed.finish()?;
    Ok(summary)
}

/// Writes the rows directly into a lake, without files.
fn write_lake(plan: &Plan, lake: &Lake, wanted: Wanted<'_>) -> Result<()> {
    let filled: Vec<_> =
        wabalake_sample::TABLES.into_iter().filter(|table| wanted(table)).collect();
    let days: Vec<_> = plan.days().collect();
    let write_day = |table: &Table, day, csv: &mut Vec<u8>| {
        plan.day_csv(table, day, csv);
    };
    let columns =
        |table: &Table| wabalake_sample::columns(table).map(|column| column.name).collect();
    let mut tables = load::direct::fill(lake, &filled, &days, columns, &write_day)?;
    let folder = lake.scratch()?;
    let files = write_companions(plan, &folder, wanted, &mut |_, _| Ok(()))?;
    if !files.is_empty() {
        for loaded in load::load(lake, &files, &load::Options::default())?.tables {
            match tables.iter_mut().find(|filled| filled.table == loaded.table) {
                Some(filled) => filled.days.extend(loaded.days),
                None => tables.push(loaded),
            }
        }
    }
    to_stdout(|out| {
        for table in &tables {
            writeln!(out, "{}: {}", table.table, counted(table.days.len() as u64, "day"))?;
        }
        Ok(())
    })
}
