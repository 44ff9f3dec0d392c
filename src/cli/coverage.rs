//! `wabalake coverage`: the query `coverage` as a subcommand of its own, with fewer options.

use clap::{Args, Command};

use super::entries::{self, Named};
use super::output::{Listing, OutputOptions};
use super::shared::LakeOption;
use super::{Invocation, Subcommand};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::render::Answer;
use crate::run::polars;

pub(super) const SUBCOMMAND: Subcommand = Subcommand {
    name: "coverage",
    about: "Show which days each table covers, and what to export next",
    define,
    run,
};

#[derive(Args)]
#[group(skip)]
struct Options {
    #[command(flatten)]
    lake: LakeOption,

    #[command(flatten)]
    output: OutputOptions,
}

fn define(command: Command) -> Command {
    Options::augment_args(entries::define(command)).about(SUBCOMMAND.about)
}

fn run(invocation: &Invocation<'_>) -> Result<()> {
    let entry = entries::entry(SUBCOMMAND.name)
        .ok_or_else(|| Error::bug("the catalog has no query `coverage`"))?;
    let named = Named { entry, matches: invocation.matches };
    let options: Options = invocation.parse()?;
    options.output.check(Listing::Answer)?;
    let lake = options.lake.open()?;
    let question = named.question(&Config::of(&lake)?)?;
    let rows = polars::collect(polars::plan(&lake, &question, None)?, &question)?;
    let answer = Answer::new(&rows, question.columns(), question.timezone())?;
    options.output.write(&answer, Listing::Answer)
}
