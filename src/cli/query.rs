//! `wabalake query NAME`: answers a named query.

use clap::{Args, Command, FromArgMatches as _};
use wabalake_queries::query::Room;

use super::engine::EngineOptions;
use super::output::{Listing, OutputOptions};
use super::rooms::{self, Named};
use super::shared::{LakeOption, MartsOption};
use super::{Asked, Subcommand, coverage, usage};
use crate::config::Config;
use crate::error::{Error, Result};

pub(super) const SUBCOMMAND: Subcommand = Subcommand { name: "query", define, run };

// What every query takes beside its own options.
#[derive(Args)]
#[group(skip)]
#[command(next_help_heading = "Lake and output")]
struct Options {
    #[command(flatten)]
    lake: LakeOption,

    #[command(flatten)]
    output: OutputOptions,

    /// Only the first rows of the answer [default: all]
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
        .after_help("`wabalake query NAME --help` tells all about one.");
    // It reads the log beside the rows, so it is no room; it is asked for like one.
    rooms::subcommands(command, define_room).subcommand(coverage::command())
}

fn define_room(command: Command) -> Command {
    Options::augment_args(rooms::define(command))
}

/// The subcommand of one query, by itself.
pub(super) fn command(room: &Room) -> Command {
    let name = room.card.name;
    define_room(Command::new(name).bin_name(format!("wabalake query {name}")))
}

fn run(asked: &Asked<'_>) -> Result<()> {
    if let Some((coverage::NAME, matches)) = asked.matches.subcommand() {
        return (coverage::SUBCOMMAND.run)(&Asked { matches, words: asked.words });
    }
    let named = Named::of(asked.matches).ok_or_else(|| Error::bug("no query was named"))?;
    let options =
        Options::from_arg_matches(named.matches).map_err(|e| usage::error(&e, asked.words))?;
    options.output.check(Listing::Answer)?;
    options.engine.check(named.matches)?;
    let lake = options.lake.open()?;
    let config = Config::of(lake.root())?;
    let question = named.question_in(asked, config.timezone)?;
    let write = |answer: &_| options.output.write(answer, Listing::Answer);
    let marts = options.marts.of(&config);
    let marts = marts.as_ref().map(|config| (config, named.dates()));
    options.engine.answer(&lake, &question, options.limit, marts, write)
}
