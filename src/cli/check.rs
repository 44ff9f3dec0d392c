//! `wabalake check`: verifies the files of a lake.

use std::sync::OnceLock;

use clap::Args;
use polars::prelude::{Column, DataFrame};
use wabalake_data::words::{bytes, counted, plural};
use wabalake_queries::query::OutputColumn;

use super::output::{Listing, OutputOptions, print_error, to_stderr, to_stdout};
use super::shared::LakeOption;
use super::{Run, Subcommand};
use crate::error::{Error, Result};
use crate::lake::check::{self, Checked, Finding};
use crate::load::progress::Progress;
use crate::render::{Answer, Format};

pub(super) const SUBCOMMAND: Subcommand =
    Subcommand::of::<Options>("check", "Verify the files of a lake");

#[derive(Args)]
#[command(
    long_about = "Verify the files of a lake: the transaction logs of tables and marts, by hashes and by \
                  what each commit contains; checkpoints, against the commits; data files, by size. With \
                  `--deep` every data file is read and compared with its hash in the log, or decompressed \
                  if it was written without one. Nothing is changed.",
    after_help = "Exit codes: 0 no damage; 1 damage was found, each with what to do."
)]
struct Options {
    #[command(flatten)]
    lake: LakeOption,

    /// Read every byte of every file, of old versions too
    #[arg(long)]
    deep: bool,

    /// Show no progress
    #[arg(short, long)]
    quiet: bool,

    #[command(flatten)]
    output: OutputOptions,
}

impl Run for Options {
    fn run(self) -> Result<()> {
        self.output.check(Listing::ToRead)?;
        let lake = self.lake.open_to_change()?;
        let bar = OnceLock::new();
        let progress = |read: u64, all: u64| {
            bar.get_or_init(|| Progress::bytes("check", all, self.quiet)).advance(read);
        };
        let checked = lake.check(check::Options { deep: self.deep, progress: Some(&progress) })?;
        drop(bar);
        let findings = &checked.findings;
        let to_read = self.output.format(Listing::ToRead) == Format::Table;
        if to_read {
            for finding in findings {
                print_error(&finding.error());
            }
        } else {
            let answer = Answer::new(&frame(findings)?, COLUMNS.to_vec(), chrono_tz::Tz::UTC)?;
            self.output.write(&answer, Listing::ToRead)?;
        }
        let summary = summary(&checked, self.deep);
        if !findings.is_empty() {
            to_stderr(&summary);
        }
        match findings.len() {
            0 if to_read => to_stdout(|out| Ok(out.write_all(summary.as_bytes())?)),
            0 => Ok(()),
            count => {
                let needed = findings.iter().any(|finding| finding.needed);
                let files = plural(count as u64, "file is", "files are");
                let error = Error::lake(format!("{count} {files} damaged"));
                Err(match needed {
                    false => error.hint("no table is affected; each finding has a hint"),
                    true => error.hint("follow the hint of the first finding, then check again"),
                })
            }
        }
    }
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

fn frame(findings: &[Finding]) -> Result<DataFrame> {
    let text = |name: &str, of: &dyn Fn(&Finding) -> Option<String>| {
        Column::new(name.into(), findings.iter().map(of).collect::<Vec<_>>())
    };
    let columns = vec![
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
    ];
    Ok(DataFrame::new(findings.len(), columns)?)
}
