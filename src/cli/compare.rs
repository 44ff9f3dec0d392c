//! `wabalake compare NAME --as-of WHEN`: what changed in the answer to a query since.

use clap::{Args, Command};
use wabalake_queries::query::{CatalogEntry, Question};

use super::as_of;
use super::entries::{self, Named};
use super::output::{Listing, OutputOptions};
use super::shared::LakeOption;
use super::{Invocation, Subcommand};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::files::Access;
use crate::lake::AsOf;
use crate::run::compare::{AsOfOption, Comparison};

pub(super) const SUBCOMMAND: Subcommand = Subcommand {
    name: "compare",
    about: "Show what changed in the answer to a query since a time",
    define,
    run,
};

// The options of the comparison, after those of the query.
#[derive(Args)]
#[group(skip)]
#[command(next_help_heading = "Comparison")]
struct Options {
    /// Compare with the answer of this time, or of these versions of tables
    #[arg(
        long,
        value_name = "WHEN",
        long_help = "Compare with the answer of the tables as they were: at a time such as \
                     2025-06-01T06:00:00Z (a date means its midnight in the reporting time zone), or at \
                     versions such as sessions=12,deployments=9. `wabalake history TABLE` lists them"
    )]
    as_of: String,

    /// The other answer: of a later time, or of other versions [default: of the tables as they are]
    #[arg(long, value_name = "WHEN")]
    with: Option<String>,

    /// Show instead which rows of the tables changed, by day, and the files that were loaded
    #[arg(long)]
    #[arg(
        long_help = "Show instead how many rows of the tables that the query reads were added, changed and \
                     removed, by table and local date, and the files that were loaded into the table in \
                     between. Rows outside `--from` and `--to` of the query do not count"
    )]
    why: bool,

    /// Exit with 1 if anything changed
    #[arg(long)]
    fail_on_change: bool,
}

// The options of every comparison, after its own.
#[derive(Args)]
#[group(skip)]
#[command(next_help_heading = "Lake and output")]
struct AnswerOptions {
    #[command(flatten)]
    lake: LakeOption,

    #[command(flatten)]
    output: OutputOptions,

    /// Show at most this many rows of the comparison [default: all]
    #[arg(long, value_name = "ROWS")]
    limit: Option<u64>,
}

fn define(command: Command) -> Command {
    let command = command
        .long_about(
            "Answer a query twice, by the tables as they were and as they are, and show each cell that \
             differs. Vendors restate their figures, late rows arrive, and files are loaded again: the \
             comparison tells which numbers moved since somebody read them, and `--why` tells which rows, \
             days and files moved them. An old version can be read as long as its files are kept.",
        )
        .subcommand_required(true)
        .subcommand_value_name("NAME")
        .subcommand_help_heading("Queries")
        .disable_help_subcommand(true)
        .after_help(
            "Exit codes: 0 whether or not anything changed; 1 with `--fail-on-change` if anything did, or if \
             a version cannot be read; 2 wrong command line; 3 a bug in wabalake.\n\n\
             Examples:\n  \
             wabalake compare delivery-rate --by day --as-of 2025-06-01 --lake lake\n  \
             wabalake compare delivery-rate --by day --as-of 2025-06-01 --why --lake lake\n  \
             wabalake compare drop-off --as-of sessions=12 --with sessions=14 --lake lake\n\n\
             `wabalake compare NAME --help` describes the options of a query.",
        );
    entries::subcommands(command, define_entry)
}

fn define_entry(command: Command) -> Command {
    let help = entries::entry(command.get_name()).map(after_help);
    let command = Options::augment_args(entries::define(command));
    let command = AnswerOptions::augment_args(command);
    match help {
        Some(help) => command.after_help(help),
        None => command,
    }
}

/// The end of the help text: the columns, and an example.
fn after_help(entry: &'static CatalogEntry) -> String {
    let needs = entry.needs();
    let words = ["wabalake compare", entry.spec.name].into_iter().chain(needs);
    let example = words.chain(["--as-of 2025-06-01 --lake lake"]).collect::<Vec<_>>().join(" ");
    format!(
        "Columns:\n  \
         key         text, name=value of each column that identifies a row\n  \
         column      text, the column of the answer that differs\n  \
         before      text, as csv prints it\n  \
         after       text, as csv prints it\n  \
         difference  float64, after - before if both are numbers\n  \
         change      text: added, removed or changed\n\n\
         Columns with --why:\n  \
         table         text\n  \
         day           date\n  \
         rows_added    int64\n  \
         rows_changed  int64\n  \
         rows_removed  int64\n  \
         files         text, names of files with + between them\n\n\
         Example:\n  {example}"
    )
}

fn run(invocation: &Invocation<'_>) -> Result<()> {
    let named = Named::of(invocation.matches).ok_or_else(|| Error::bug("no query was named"))?;
    let options: Options = invocation.parse_from(named.matches)?;
    let shown: AnswerOptions = invocation.parse_from(named.matches)?;
    shown.output.check(Listing::Answer)?;
    let lake = shown.lake.open()?;
    let question = named.question(&Config::of(&lake)?)?;
    if question.is_judged() {
        return Err(Error::usage("`--fail-on` judges one answer, and a comparison has two")
            .hint("use `--fail-on-change`, or `wabalake query`"));
    }
    let [before, after] = options.versions(&question)?;
    let comparison = Comparison::of(&lake, &question, before, after)?;
    let limit = shown.limit.and_then(|rows| rows.try_into().ok());
    let (answer, is_same) = if options.why {
        let why = comparison.why()?;
        let is_same = why.is_empty();
        (why.answer(limit)?, is_same)
    } else {
        let differences = comparison.differences()?;
        let is_same = !options.fail_on_change || differences.is_empty()?;
        (differences.answer(limit)?, is_same)
    };
    // An answer about one person is personal data even without a phone number in it.
    let access = if named.is_about_a_person() { Access::Owner } else { Access::Usual };
    shown.output.write_for(access, &answer, Listing::Answer)?;
    match (options.fail_on_change, is_same, options.why) {
        (true, false, true) => Err(Error::data("rows that the query reads changed")
            .hint("leave `--why` out to see which cells of the answer differ")),
        (true, false, false) => Err(Error::data("the answer changed")
            .hint("`--why` shows which rows changed, and the files that were loaded")),
        _ => Ok(()),
    }
}

impl Options {
    /// The two versions of the tables.
    fn versions(&self, question: &Question) -> Result<[AsOfOption; 2]> {
        let read = |option: &'static str, text: &str| -> Result<AsOfOption> {
            Ok(AsOfOption { option, as_of: as_of::read(option, text, question.timezone())? })
        };
        let with = match &self.with {
            Some(text) => read("--with", text)?,
            None => AsOfOption { option: "--with", as_of: AsOf::Now },
        };
        Ok([read("--as-of", &self.as_of)?, with])
    }
}
