//! `wabalake coverage`: the query of that name, which belongs to looking after a lake.

use clap::{Args, Command, FromArgMatches as _};

use super::entries::{self, Named};
use super::output::{Listing, OutputOptions};
use super::shared::LakeOption;
use super::{Asked, Subcommand, usage};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::render::Answer;
use crate::run::polars;

pub(super) const NAME: &str = "coverage";

pub(super) const SUBCOMMAND: Subcommand = Subcommand { name: NAME, define, run };

// What it takes beside the query's own options.
#[derive(Args)]
#[group(skip)]
struct Options {
    #[command(flatten)]
    lake: LakeOption,

    #[command(flatten)]
    output: OutputOptions,
}

fn define(command: Command) -> Command {
    let about = command.get_about().cloned();
    Options::augment_args(entries::define(command)).about(about.unwrap_or_default())
}

fn run(asked: &Asked<'_>) -> Result<()> {
    let entry = entries::entry(NAME).ok_or_else(|| Error::bug("there is no query `coverage`"))?;
    let named = Named { entry, matches: asked.matches };
    let options =
        Options::from_arg_matches(asked.matches).map_err(|e| usage::error(&e, asked.words))?;
    options.output.check(Listing::Answer)?;
    let lake = options.lake.open()?;
    let question = named.question(Config::of(lake.root())?.timezone)?;
    let rows = polars::collect(polars::plan(&lake, &question, None)?, &question)?;
    let answer = Answer::new(&rows, question.columns(), question.timezone())?;
    options.output.write(&answer, Listing::Answer)
}
