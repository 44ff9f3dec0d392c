//! `wabalake query NAME`: answers a query of the catalog, or one from a file of SQL.

use clap::{Args, Command};
use wabalake_queries::query::CatalogEntry;

use super::engine::EngineOptions;
use super::entries::{self, Named};
use super::output::{Listing, OutputOptions};
use super::shared::{LakeOption, MartsOption};
use super::{Invocation, Subcommand, sql};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::files::Access;
use crate::render::{Answer, Format};

pub(super) const SUBCOMMAND: Subcommand =
    Subcommand { name: "query", about: "Answer a named query", define, run };

// The options of every query, after its own.
#[derive(Args)]
#[group(skip)]
#[command(next_help_heading = "Lake and output")]
struct Options {
    #[command(flatten)]
    lake: LakeOption,

    #[command(flatten)]
    output: OutputOptions,

    /// Show at most this many rows of the answer [default: all]
    #[arg(long, value_name = "ROWS")]
    limit: Option<u64>,

    #[command(flatten)]
    engine: EngineOptions,

    #[command(flatten)]
    marts: MartsOption,
}

fn define(command: Command) -> Command {
    let command = command
        .subcommand_required(true)
        .subcommand_value_name("NAME")
        .subcommand_help_heading("Queries")
        .disable_help_subcommand(true)
        .after_help(
            "`wabalake query NAME --help` describes a query, its options and its columns. `wabalake query \
             ./FILE.sql` answers your own: see `wabalake sql --help`.",
        );
    entries::subcommands(command, define_entry)
}

fn define_entry(command: Command) -> Command {
    Options::augment_args(entries::define(command))
}

/// Returns the subcommand of one query on its own, to render its help.
pub(super) fn command(entry: &CatalogEntry) -> Command {
    let name = entry.spec.name;
    define_entry(Command::new(name).bin_name(format!("wabalake query {name}")))
}

fn run(invocation: &Invocation<'_>) -> Result<()> {
    if let Some(matches) = sql::statement_in(invocation.matches) {
        return sql::answer(invocation, matches);
    }
    let named = Named::of(invocation.matches).ok_or_else(|| Error::bug("no query was named"))?;
    let options: Options = invocation.parse_from(named.matches)?;
    let listing = named.entry.meta_field.map_or(Listing::Answer, |_| Listing::Points);
    options.output.check(listing)?;
    options.engine.check(named.matches)?;
    let lake = options.lake.open()?;
    let config = Config::of(&lake)?;
    let question = named.question(&config)?;
    let response = match options.output.format(listing) {
        Format::MetaJson => Some(options.engine.response(&lake, &question)?),
        _ => None,
    };
    // An answer about one person is personal data even without a phone number in it.
    let access = if named.is_about_a_person() { Access::Owner } else { Access::Usual };
    let write = |answer: Answer| match response {
        Some(response) => options.output.write_for(access, &answer.within(response), listing),
        None => options.output.write_for(access, &answer, listing),
    };
    let marts = options.marts.of(&config);
    options.engine.answer(&lake, &question, options.limit, marts.as_ref(), write)
}
