//! `wabalake explain NAME`: shows the plan of a query.

use clap::{Args, Command};

use super::entries::{self, Named};
use super::output::say;
use super::shared::{LakeOption, MartsOption};
use super::{Invocation, Subcommand, sql};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::marts::fresh::{self, FromMart};
use crate::place::with_addresses;
use crate::run::polars;

pub(super) const SUBCOMMAND: Subcommand =
    Subcommand { name: "explain", about: "Show the plan of a query", define, run };

// No doc comment: clap would take it for the description of the subcommand.
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
            "Show the optimised plan of a query, to be read from the bottom up. Only transaction logs are \
             read, no data; for a query about a person also what tells which files may hold them. If an \
             up-to-date mart holds the answer, it is named, and the plan reads it instead of the tables.",
        )
        .subcommand_required(true)
        .subcommand_value_name("NAME")
        .subcommand_help_heading("Queries")
        .disable_help_subcommand(true)
        .after_help(
            "`wabalake explain sql \"SELECT …\"` and `wabalake explain ./FILE.sql` show the plan of your \
             own query.",
        );
    entries::subcommands(command, |command| Options::augment_args(entries::define(command)))
        .subcommand(sql::explained())
}

fn run(invocation: &Invocation<'_>) -> Result<()> {
    if let Some(matches) = sql::statement_in(invocation.matches) {
        return sql::explain(invocation, matches);
    }
    let named = Named::of(invocation.matches).ok_or_else(|| Error::bug("no query was named"))?;
    let options: Options = invocation.parse_from(named.matches)?;
    let lake = options.lake.open()?;
    let config = Config::of(&lake)?;
    let question = named.question(&config)?;
    let from_mart = match options.marts.of(&config) {
        Some(config) => fresh::answer(&lake, &config, &question)?,
        None => None,
    };
    let (mart, plan) = match from_mart {
        Some(FromMart { mart, plan }) => (Some(mart), plan),
        None => (None, polars::plan(&lake, &question, None)?),
    };
    let plan = with_addresses(&plan.explain(true)?);
    let from_mart = mart.map(|mart| {
        format!("answered from the mart `{mart}`, which is up to date (--no-marts: from tables)\n")
    });
    say(&format!("{}{plan}\n", from_mart.unwrap_or_default()))
}
