//! `wabalake check`: verifies the files of a lake, or the store that it is on.

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
                  Of a lake on an object store, the store is checked, not yet the files: credentials, \
                  region, access, versions, clock, latency, speed of reading, and with `--write` whether \
                  it heeds conditions, without which two writers would lose each other's commits.",
    after_help = "Exit codes: 0 no damage; 1 damage was found, each with what to do."
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
        let address = self.lake.address()?;
        if matches!(address, Address::Store(_)) {
            return self.check_store(&address);
        }
        if self.write {
            return Err(Error::usage("`--write` is for lakes on object stores")
                .hint("leave it out: the lake is a folder"));
        }
        let lake = self.lake.open()?;
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

impl Options {
    /// Checks an object store.
    fn check_store(&self, address: &Address) -> Result<()> {
        if self.deep {
            return Err(Error::usage("`--deep` does not work on object stores yet")
                .hint("leave it out to check the store"));
        }
        let findings = self.lake.store().open(address)?.check_up(self.write);
        let answer =
            Answer::new(&store_frame(&findings)?, STORE_COLUMNS.to_vec(), chrono_tz::Tz::UTC)?;
        self.output.write(&answer, Listing::ToRead)?;
        let bad = findings.iter().filter(|finding| finding.verdict == Verdict::Bad);
        let bad: Vec<&str> = bad.map(|finding| finding.subject).collect();
        match bad.is_empty() {
            true => Ok(()),
            false => Err(Error::lake(format!("a lake at `{address}` does not work"))
                .found(bad.join(", "))
                .hint("the lines say what to do")),
        }
    }
}

const STORE_COLUMNS: [OutputColumn; 4] = [
    OutputColumn::text("check"),
    OutputColumn::text("verdict"),
    OutputColumn::text("found"),
    OutputColumn::text("hint"),
];

fn store_frame(findings: &[place::Finding]) -> Result<DataFrame> {
    let text = |name: &str, of: &dyn Fn(&place::Finding) -> Option<String>| {
        Column::new(name.into(), findings.iter().map(of).collect::<Vec<_>>())
    };
    let verdict = |finding: &place::Finding| match finding.verdict {
        Verdict::Good => Some("good".to_owned()),
        Verdict::Neutral => None,
        Verdict::Bad => Some("bad".to_owned()),
    };
    let columns = vec![
        text("check", &|finding| Some(finding.subject.to_owned())),
        text("verdict", &verdict),
        text("found", &|finding| Some(finding.found.clone())),
        text("hint", &|finding| finding.hint.clone()),
    ];
    Ok(DataFrame::new(findings.len(), columns)?)
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
