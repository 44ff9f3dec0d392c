//! `wabalake explain NAME`: how a query would be run.

use clap::{Args, Command, FromArgMatches as _};

use super::entries::{self, Named};
use super::output::say;
use super::shared::{LakeOption, MartsOption};
use super::{Asked, Subcommand, sql, usage};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::marts::fresh::{self, FromMart};
use crate::run::polars;

pub(super) const SUBCOMMAND: Subcommand = Subcommand { name: "explain", define, run };

// No doc comment: clap would take it for the description of the whole subcommand.
#[derive(Args)]
#[group(skip)]
struct Options {
    #[command(flatten)]
    lake: LakeOption,

    #[command(flatten)]
    marts: MartsOption,
}

fn define(command: Command) -> Command {
    let command = command
        .long_about(
            "Show how a query would be run: the optimised plan, read from the bottom up. Logs are \
             read, data is not. A fresh mart that holds the answer is named, and read in place of the \
             tables.",
        )
        .subcommand_required(true)
        .subcommand_value_name("NAME")
        .subcommand_help_heading("Queries")
        .disable_help_subcommand(true)
        .after_help(
            "`wabalake explain sql \"SELECT …\"` and `wabalake explain ./FILE.sql` show it of a query \
             of your own.",
        );
    entries::subcommands(command, |command| Options::augment_args(entries::define(command)))
        .subcommand(sql::explained())
}

fn run(asked: &Asked<'_>) -> Result<()> {
    if let Some(matches) = sql::asked_in(asked.matches) {
        return sql::explain(asked, matches);
    }
    let named = Named::of(asked.matches).ok_or_else(|| Error::bug("no query was named"))?;
    let options =
        Options::from_arg_matches(named.matches).map_err(|e| usage::error(&e, asked.words))?;
    let lake = options.lake.open()?;
    let config = Config::of(lake.root())?;
    let question = named.question_in(asked, config.timezone)?;
    let from_mart = match options.marts.of(&config) {
        Some(config) => fresh::answer(&lake, &config, &question, named.dates())?,
        None => None,
    };
    let (mart, plan) = match from_mart {
        Some(FromMart { mart, plan }) => (Some(mart), plan),
        None => (None, polars::plan(&lake, &question, None)?),
    };
    let plan = plan.explain(true)?;
    let from_mart = mart.map(|mart| {
        format!("answered from the mart `{mart}`, which is fresh (--no-marts: from tables)\n")
    });
    say(&format!("{}{plan}\n", from_mart.unwrap_or_default()))
}
