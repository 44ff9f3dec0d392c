//! `wabalake check`: finds what is damaged in a lake.

use std::sync::OnceLock;

use clap::{Args, Command, FromArgMatches as _};
use polars::prelude::{Column, DataFrame};
use wabalake_data::words::{bytes, counted, plural};
use wabalake_queries::query::OutputColumn;

use super::output::{Listing, OutputOptions, to_stderr, to_stdout};
use super::shared::LakeOption;
use super::{Asked, Subcommand, usage};
use crate::error::{Error, Result};
use crate::lake::check::{Checked, Finding, Options as How};
use crate::load::progress::Progress;
use crate::render::{Answer, Format};

pub(super) const SUBCOMMAND: Subcommand = Subcommand { name: "check", define, run };

#[derive(Args, Debug)]
struct Options {
    #[command(flatten)]
    lake: LakeOption,

    /// Read every byte of every file, of old versions too
    #[arg(long)]
    deep: bool,

    /// Say nothing of how far it is
    #[arg(short, long)]
    quiet: bool,

    #[command(flatten)]
    output: OutputOptions,
}

fn define(command: Command) -> Command {
    Options::augment_args(command)
        .long_about(
            "Find what is damaged in a lake: in the logs of its tables and marts, by their hashes and by \
             what each commit says, in checkpoints, which are held against the commits, and in the \
             sizes of data files. With `--deep` every byte is read and held against the hashes in the \
             logs; files that were written without are unpacked. Nothing is changed.",
        )
        .after_help("Exit codes: 0 all is whole; 1 something is damaged, and is listed with the way forward.")
}

fn run(asked: &Asked<'_>) -> Result<()> {
    let options =
        Options::from_arg_matches(asked.matches).map_err(|e| usage::error(&e, asked.words))?;
    options.output.check(Listing::ToRead)?;
    let lake = options.lake.open()?;
    let bar = OnceLock::new();
    let progress = |read: u64, all: u64| {
        bar.get_or_init(|| Progress::bytes("check", all, options.quiet)).advance(read);
    };
    let checked = lake.check(How { deep: options.deep, progress: Some(&progress) })?;
    drop(bar);
    let findings = &checked.findings;
    let to_read = options.output.format(Listing::ToRead) == Format::Table;
    if to_read {
        for finding in findings {
            to_stderr(&format!("{}\n", finding.error().lines()));
        }
    } else {
        let answer = Answer::new(&frame(findings)?, COLUMNS.to_vec(), chrono_tz::Tz::UTC)?;
        options.output.write(&answer, Listing::ToRead)?;
    }
    let summary = summary(&checked, options.deep);
    if !findings.is_empty() {
        to_stderr(&summary);
    }
    match findings.len() {
        0 if to_read => to_stdout(|out| Ok(out.write_all(summary.as_bytes())?)),
        0 => Ok(()),
        count => {
            let needed = findings.iter().filter(|finding| finding.needed).count();
            let files = plural(count as u64, "file is", "files are");
            let error = Error::lake(format!("{count} {files} damaged"));
            Err(match needed {
                0 => error.hint("no table is wrong by it; what to do is said of each"),
                _ => error.hint("what to do is said of each; do the first, and check again"),
            })
        }
    }
}

fn summary(checked: &Checked, deep: bool) -> String {
    let files = match deep {
        true => format!("{}, all {}", counted(checked.files, "data file"), bytes(checked.bytes)),
        false => format!("the sizes of {}", counted(checked.files, "data file")),
    };
    let end = if checked.findings.is_empty() { ": whole" } else { "" };
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
            Some(
                finding
                    .loads
                    .iter()
                    .map(|load| load.load_id.as_str())
                    .collect::<Vec<_>>()
                    .join(", "),
            )
        }),
        text("loaded_files", &|finding| {
            Some(
                finding
                    .loads
                    .iter()
                    .flat_map(|load| load.files.clone())
                    .collect::<Vec<_>>()
                    .join(", "),
            )
        }),
        text("hint", &|finding| Some(finding.hint.clone())),
    ];
    Ok(DataFrame::new(findings.len(), columns)?)
}
