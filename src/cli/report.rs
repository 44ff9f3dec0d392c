//! `wabalake report`: the page.

use std::path::PathBuf;

use chrono::NaiveDate;
use clap::{Args, Command, FromArgMatches as _};
use wabalake_queries::query::numbers::whole;
use wabalake_queries::query::time::read_date;

use super::output::{to_file_for, to_stdout};
use super::shared::{LakeOption, ZoneOption};
use super::{Asked, Subcommand, usage};
use crate::error::Result;
use crate::files::Access;
use crate::report;

pub(super) const SUBCOMMAND: Subcommand = Subcommand { name: "report", define, run };

#[derive(Args, Debug)]
struct Options {
    #[command(flatten)]
    lake: LakeOption,

    /// Write to this file, which is replaced once all is written [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// First local date [default: so that there are 28]
    #[arg(long, value_name = "DATE", value_parser = read_date)]
    from: Option<NaiveDate>,

    /// Last local date [default: the last that has sessions, sends or messages]
    #[arg(long, value_name = "DATE", value_parser = read_date)]
    to: Option<NaiveDate>,

    /// How many days, up to the last [default: 28]
    #[arg(long, value_name = "DAYS", conflicts_with = "from")]
    #[arg(value_parser = whole::<u32>(1..=36_500))]
    days: Option<u32>,

    #[command(flatten)]
    zone: ZoneOption,

    /// A conversation's own page
    #[arg(long, value_name = "ID")]
    conversation_id: Option<String>,

    /// Of it, this version [default: all]
    #[arg(long, value_name = "NUMBER")]
    conversation_version: Option<i32>,

    /// Show people: their numbers, what they answered and wrote
    #[arg(long)]
    with_people: bool,

    /// The history of this person, with the country's code
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true)]
    phone: Option<String>,
}

fn define(command: Command) -> Command {
    Options::augment_args(command)
        .long_about(
            "Write a page to look at: headline figures against the period before, sessions and how \
             long they last, delivery and failures, where users leave, who comes back, hours, \
             countries, templates, coverage. One HTML file, which opens offline, prints, and asks \
             nothing of any network. It names nobody unless `--with-people` is given.",
        )
        .after_help(
            "Examples:\n  \
             wabalake report --lake lake -o page.html\n  \
             wabalake report --lake lake --from 2025-05-01 --to 2025-05-31 -o may.html\n  \
             wabalake report --lake lake --conversation-id 41214 -o welcome.html",
        )
}

fn run(asked: &Asked<'_>) -> Result<()> {
    let options =
        Options::from_arg_matches(asked.matches).map_err(|e| usage::error(&e, asked.words))?;
    let lake = options.lake.open()?;
    let wanted = report::Options {
        from: options.from,
        to: options.to,
        days: options.days,
        timezone: options.zone.of(&lake)?,
        conversation: options.conversation_id,
        version: options.conversation_version,
        with_people: options.with_people,
        phone: options.phone,
    };
    let names_people = wanted.with_people || wanted.phone.is_some();
    let access = if names_people { Access::Owner } else { Access::Usual };
    let page = report::page(&lake, &wanted)?;
    match options.output.filter(|path| path.as_os_str() != "-") {
        Some(path) => to_file_for(access, &path, |out| Ok(out.write_all(page.as_bytes())?)),
        None => to_stdout(|out| Ok(out.write_all(page.as_bytes())?)),
    }
}
