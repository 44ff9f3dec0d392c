//! `wabalake explain NAME`: how a query would be run.

use clap::{Args as _, Command, FromArgMatches as _};

use super::output::to_stdout;
use super::rooms::{self, Named};
use super::shared::LakeOption;
use super::{Asked, Subcommand, sql, usage};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::run::polars;

pub(super) const SUBCOMMAND: Subcommand = Subcommand { name: "explain", define, run };

fn define(command: Command) -> Command {
    let command = command
        .long_about(
            "Show how a query would be run: the optimised plan, read from the bottom up. Logs are \
             read, data is not.",
        )
        .subcommand_required(true)
        .subcommand_value_name("NAME")
        .subcommand_help_heading("Queries")
        .disable_help_subcommand(true)
        .after_help(
            "`wabalake explain sql \"SELECT …\"` and `wabalake explain ./FILE.sql` show it of a query \
             of your own.",
        );
    rooms::subcommands(command, |command| LakeOption::augment_args(rooms::define(command)))
        .subcommand(sql::explained())
}

fn run(asked: &Asked<'_>) -> Result<()> {
    if let Some(matches) = sql::asked_in(asked.matches) {
        return sql::explain(asked, matches);
    }
    let named = Named::of(asked.matches).ok_or_else(|| Error::bug("no query was named"))?;
    let lake =
        LakeOption::from_arg_matches(named.matches).map_err(|e| usage::error(&e, asked.words))?;
    let lake = lake.open()?;
    let question = named.question_in(asked, Config::of(lake.root())?.timezone)?;
    let plan = polars::plan(&lake, &named.room.card, &question, None)?.explain(true)?;
    to_stdout(|out| Ok(writeln!(out, "{plan}")?))
}
