//! `wabalake erase`: takes a person out of a lake for good.

use std::io::Read as _;

use chrono::Utc;
use clap::{Args, Command, FromArgMatches as _};

use super::output::to_stdout;
use super::shared::LakeOption;
use super::{Asked, Subcommand, usage};
use crate::config::Config;
use crate::error::{Context as _, Error, Result};
use crate::lake::erase;
use crate::lake::runs::{Outcome, Run};
use crate::load::report::grouped;
use crate::nightly::Night;

pub(super) const SUBCOMMAND: Subcommand = Subcommand { name: "erase", define, run };

#[derive(Args, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
struct Options {
    #[command(flatten)]
    lake: LakeOption,

    /// The person's number, with the country's code; `-` reads it from standard input
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true)]
    phone: String,

    /// Also a number that the business writes from: all rows that name it go, whoever's they are
    #[arg(long)]
    lines_too: bool,

    /// Also keep the person out: later loads leave their rows out [default: as the lake says]
    #[arg(long)]
    keep_out: bool,

    /// Do not keep the person out, whatever the lake says
    #[arg(long, conflicts_with = "keep_out")]
    no_keep_out: bool,

    /// Only say what would be erased
    #[arg(long)]
    dry_run: bool,
}

fn define(command: Command) -> Command {
    Options::augment_args(command)
        .long_about(
            "Erase a person: their sessions, sends, messages, closings, conversions, tags and \
             answers, and what names only a session of theirs; rejected records that hold the \
             number; old versions of all of these, marts, and what the logs say. Where others wrote \
             the number into a text, it is struck out. This cannot be undone, and a load whose days \
             were rewritten by it cannot be undone either. It waits until nobody writes to the \
             lake, and may be run again if it was stopped. The table `runs` says that somebody was \
             erased, not who.",
        )
        .after_help(
            "What it does not reach:\n  \
             - Exports, answers, pages and backups that you keep: delete these yourself. Files in \
             the lake's\n    folder that hold the number are named.\n  \
             - Exports that are still to come. A file that was loaded is not loaded again, so it \
             does not bring\n    the person back; another export that still has them does, and a load \
             cannot know it, unless\n    they are kept out.\n  \
             - A vendor's totals, in which they are counted and not named.\n\n\
             Kept out (--keep-out):\n  \
             A later load leaves out, and counts, the person's rows, their rejected records, and what \
             names\n  only a session of theirs: one that was erased, or that a row of theirs in that \
             load or an\n  earlier one names. It cannot know whose a session is before such a row \
             was met, nor who is meant\n  in what others write. The number is not kept, only a keyed \
             hash of it: the list is\n  .wabalake/keep-out in the lake's folder, its key is \
             .wabalake/keep-out.key, or the file that\n  keep_out_key names in wabalake.toml. Without \
             the key no load is taken. To let everybody in again,\n  delete the list.\n\n\
             A number on the command line stays in the shell's history. Without that:\n  \
             wabalake erase --lake lake --phone - < number.txt",
        )
}

fn run(asked: &Asked<'_>) -> Result<()> {
    let options =
        Options::from_arg_matches(asked.matches).map_err(|e| usage::error(&e, asked.words))?;
    let lake = options.lake.open()?;
    let phone = match options.phone.as_str() {
        "-" => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).context(|| "reading standard input")?;
            text
        }
        phone => phone.to_owned(),
    };
    let by_default = Config::of(lake.root())?.privacy.keep_out;
    let how = erase::Options {
        dry_run: options.dry_run,
        lines_too: options.lines_too,
        keep_out: options.keep_out || (by_default && !options.no_keep_out),
    };
    let erased = if options.dry_run {
        lake.erase(&phone, how)?
    } else {
        // A night makes its marts from the tables as they were when it began.
        let _night = Night::begin(&lake)?;
        let started = Utc::now();
        let erased = lake.erase(&phone, how)?;
        if !erased.is_nothing() {
            lake.log_run(&Run::new("erase", Outcome::Done, started))?;
        }
        erased
    };
    to_stdout(|out| {
        let would = if options.dry_run { "would be " } else { "" };
        let leave = if options.dry_run { "would leave" } else { "leave" };
        if erased.is_nothing() {
            writeln!(out, "nothing of that number is in the lake")?;
        }
        for table in &erased.tables {
            let version = table.version.map(|v| format!(", version {v}")).unwrap_or_default();
            let struck = match table.struck {
                0 => String::new(),
                rows => format!(", struck out of {} of others", grouped(rows)),
            };
            writeln!(
                out,
                "{}: {} rows {would}erased{struck}{version}",
                table.table,
                grouped(table.rows)
            )?;
        }
        if erased.old_files > 0 {
            writeln!(out, "{} files {would}deleted", grouped(erased.old_files))?;
        }
        if erased.log_entries > 0 {
            writeln!(out, "{} log entries {would}mended", grouped(erased.log_entries))?;
        }
        if erased.marts {
            writeln!(out, "marts {would}dropped: the next night makes them anew")?;
        }
        if how.keep_out {
            writeln!(out, "later loads {leave} rows of this person out")?;
        }
        Ok(())
    })?;
    if erased.left.is_empty() {
        return Ok(());
    }
    let files: Vec<String> = erased.left.iter().map(|file| shown(file)).collect();
    Err(Error::lake("the lake's folder has files of others that hold the number")
        .found(files.join(", "))
        .hint("delete these files, or take the number out of them, and run the same command again"))
}

/// A file's path, unless it holds a number itself.
fn shown(file: &std::path::Path) -> String {
    let path = file.display().to_string();
    path.split('/').map(masked).collect::<Vec<_>>().join("/")
}

fn masked(name: &str) -> String {
    let digits = name.chars().filter(char::is_ascii_digit).count();
    if digits < 7 {
        return name.to_owned();
    }
    name.chars().map(|c| if c.is_ascii_digit() { '#' } else { c }).collect()
}
