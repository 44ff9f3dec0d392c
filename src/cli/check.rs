//! `wabalake check`: verifies the files of a lake, and the store that it is on.

use std::sync::OnceLock;

use clap::Args;
use polars::prelude::{Column, DataFrame, DataType};
use wabalake_data::words::{bytes, counted, plural};
use wabalake_queries::query::OutputColumn;

use super::output::{Listing, OutputOptions, print_error, to_stderr, to_stdout};
use super::shared::LakeOption;
use super::{Run, Subcommand};
use crate::error::{Error, Result};
use crate::lake::Lake;
use crate::lake::check::{self, Checked, Finding};
use crate::load::progress::Progress;
use crate::place::{self, Address, Verdict};
use crate::render::{Answer, Format};

pub(super) const SUBCOMMAND: Subcommand =
    Subcommand::of::<Options>("check", "Verify the files of a lake");

#[derive(Args)]
#[command(
    long_about = "Verify the files of a lake: the transaction logs of tables and marts, by hashes and by \
                  what each commit contains; checkpoints, against the commits; data files, by size. With \
                  `--deep` every data file is read and compared with its hash in the log, or decompressed \
                  if it was written without one. Nothing is changed.\n\n\
                  Of a lake on an object store, the store is checked first: credentials, region, access, \
                  versions, clock, latency, speed of reading, and with `--write` whether it heeds \
                  conditions, without which two writers would lose each other's commits. Then its files \
                  are checked: their sizes by listings, and with `--deep` all bytes of the store.",
    after_help = "Exit codes: 0 no damage; 1 damage was found, each with what to do, or a lake does not \
                  work on that store."
)]
struct Options {
    #[command(flatten)]
    lake: LakeOption,

    /// Read every byte of every file, of old versions too
    #[arg(long)]
    deep: bool,

    /// Of an object store: probe conditions by a small file, written four times and deleted
    #[arg(long)]
    write: bool,

    /// Show no progress
    #[arg(short, long)]
    quiet: bool,

    #[command(flatten)]
    output: OutputOptions,
}

impl Run for Options {
    fn run(self) -> Result<()> {
        self.output.check(Listing::ToRead)?;
        let is_store = matches!(self.lake.address()?, Address::Store(_));
        if self.write && !is_store {
            return Err(Error::usage("`--write` is for lakes on object stores")
                .hint("leave it out: the lake is a folder"));
        }
        let lake = self.lake.open_to_check()?;
        let of_store = is_store.then(|| lake.place().check_up(self.write));
        let is_table = self.output.format(Listing::ToRead) == Format::Table;
        if is_table && let Some(findings) = &of_store {
            self.print(STORE_COLUMNS.to_vec(), store_columns(findings))?;
        }
        let is_out_of_reach = |finding: &place::Finding| finding.is_out_of_reach();
        if let Some(findings) = &of_store
            && findings.iter().any(is_out_of_reach)
        {
            if !is_table {
                self.print_all(findings, &Checked::default())?;
            }
            return bad_store(&lake, findings);
        }
        let checked = self.check_files(&lake)?;
        match &of_store {
            _ if is_table => {
                for finding in &checked.findings {
                    print_error(&finding.error());
                }
            }
            Some(findings) => self.print_all(findings, &checked)?,
            None => self.print(COLUMNS.to_vec(), columns(&checked.findings))?,
        }
        let summary = summary(&checked, self.deep);
        match checked.findings.is_empty() {
            true if is_table => to_stdout(|out| Ok(out.write_all(summary.as_bytes())?))?,
            true => {}
            false => to_stderr(&summary),
        }
        bad_store(&lake, of_store.as_deref().unwrap_or_default())?;
        damaged(&checked.findings)
    }
}

impl Options {
    fn check_files(&self, lake: &Lake) -> Result<Checked> {
        let bar = OnceLock::new();
        let progress = |read: u64, all: u64| {
            bar.get_or_init(|| Progress::bytes("check", all, self.quiet)).advance(read);
        };
        lake.check(check::Options { deep: self.deep, progress: Some(&progress) })
    }

    fn print(&self, columns: Vec<OutputColumn>, rows: Vec<Column>) -> Result<()> {
        let height = rows.first().map_or(0, Column::len);
        let answer = Answer::new(&DataFrame::new(height, rows)?, columns, chrono_tz::Tz::UTC)?;
        self.output.write(&answer, Listing::ToRead)
    }

    /// Prints one list of what was found of a store and of its files, for programs.
    fn print_all(&self, of_store: &[place::Finding], checked: &Checked) -> Result<()> {
        let files = &checked.findings;
        let mut columns = STORE_COLUMNS.to_vec();
        let is_new = |column: &&OutputColumn| columns.iter().all(|known| known.name != column.name);
        let of_files: Vec<OutputColumn> = COLUMNS.iter().filter(is_new).copied().collect();
        columns.extend(of_files.iter().copied());
        let of_file = |column: &OutputColumn| match column.name {
            "check" => Column::new("check".into(), vec!["file"; files.len()]),
            "verdict" => Column::new("verdict".into(), vec!["bad"; files.len()]),
            name => {
                let known = self::columns(files).into_iter().find(|known| known.name() == name);
                known.unwrap_or_else(|| {
                    Column::full_null(name.into(), files.len(), &DataType::String)
                })
            }
        };
        let mut rows: Vec<Column> = store_columns(of_store);
        let null = |column: &OutputColumn| {
            Column::full_null(column.name.into(), of_store.len(), &DataType::String)
        };
        rows.extend(of_files.iter().map(null));
        for (rows, column) in rows.iter_mut().zip(&columns) {
            rows.append(&of_file(column))?;
        }
        self.print(columns, rows)
    }
}

/// Fails if a lake does not work on its store.
fn bad_store(lake: &Lake, findings: &[place::Finding]) -> Result<()> {
    let bad = findings.iter().filter(|finding| finding.verdict == Verdict::Bad);
    let bad: Vec<&str> = bad.map(|finding| finding.subject).collect();
    match bad.is_empty() {
        true => Ok(()),
        false => Err(Error::lake(format!("a lake at `{}` does not work", lake.place().shown()))
            .found(bad.join(", "))
            .hint("the lines say what to do")),
    }
}

/// Fails if files are damaged.
fn damaged(findings: &[Finding]) -> Result<()> {
    if findings.is_empty() {
        return Ok(());
    }
    let count = findings.len() as u64;
    let files = plural(count, "file is", "files are");
    let error = Error::lake(format!("{count} {files} damaged"));
    Err(match findings.iter().any(|finding| finding.needed) {
        false => error.hint("no table is affected; each finding has a hint"),
        true => error.hint("follow the hint of the first finding, then check again"),
    })
}

const STORE_COLUMNS: [OutputColumn; 4] = [
    OutputColumn::text("check"),
    OutputColumn::text("verdict"),
    OutputColumn::text("found"),
    OutputColumn::text("hint"),
];

fn store_columns(findings: &[place::Finding]) -> Vec<Column> {
    let text = |name: &str, of: &dyn Fn(&place::Finding) -> Option<String>| {
        Column::new(name.into(), findings.iter().map(of).collect::<Vec<_>>())
    };
    let verdict = |finding: &place::Finding| match finding.verdict {
        Verdict::Good => Some("good".to_owned()),
        Verdict::Neutral => None,
        Verdict::Bad => Some("bad".to_owned()),
    };
    vec![
        text("check", &|finding| Some(finding.subject.to_owned())),
        text("verdict", &verdict),
        text("found", &|finding| Some(finding.found.clone())),
        text("hint", &|finding| finding.hint.clone()),
    ]
}

fn summary(checked: &Checked, deep: bool) -> String {
    let files = match deep {
        true => format!("{}, all {}", counted(checked.files, "data file"), bytes(checked.bytes)),
        false => format!("the sizes of {}", counted(checked.files, "data file")),
    };
    let end = if checked.findings.is_empty() { ": no damage" } else { "" };
    format!(
        "checked {}: {}, {}, {files}{end}\n",
        counted(checked.tables, "table"),
        counted(checked.commits, "commit"),
        counted(checked.checkpoints, "checkpoint"),
    )
}

const COLUMNS: [OutputColumn; 7] = [
    OutputColumn::text("table"),
    OutputColumn::text("file"),
    OutputColumn::text("damage"),
    OutputColumn::text("found"),
    OutputColumn::text("load_ids"),
    OutputColumn::text("loaded_files"),
    OutputColumn::text("hint"),
];

fn columns(findings: &[Finding]) -> Vec<Column> {
    let text = |name: &str, of: &dyn Fn(&Finding) -> Option<String>| {
        Column::new(name.into(), findings.iter().map(of).collect::<Vec<_>>())
    };
    vec![
        text("table", &|finding| Some(finding.table.clone())),
        text("file", &|finding| Some(finding.file.display().to_string())),
        text("damage", &|finding| Some(finding.what.clone())),
        text("found", &|finding| finding.found.clone()),
        text("load_ids", &|finding| {
            let ids: Vec<&str> = finding.loads.iter().map(|load| load.load_id.as_str()).collect();
            Some(ids.join(", "))
        }),
        text("loaded_files", &|finding| {
            let files = finding.loads.iter().flat_map(|load| &load.files);
            Some(files.cloned().collect::<Vec<_>>().join(", "))
        }),
        text("hint", &|finding| Some(finding.hint.clone())),
    ]
}
