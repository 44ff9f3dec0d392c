//! `wabalake completions SHELL`: a completion script.

use clap::{Args, Command, FromArgMatches as _};
use clap_complete::Shell;

use super::output::to_stdout;
use super::{Asked, Subcommand, usage};
use crate::error::Result;

pub(super) const SUBCOMMAND: Subcommand = Subcommand { name: "completions", define, run };

#[derive(Args, Debug)]
struct Options {
    /// The shell
    shell: Shell,
}

fn define(command: Command) -> Command {
    Options::augment_args(command).after_help(
        "Example:\n  wabalake completions bash > ~/.local/share/bash-completion/completions/wabalake",
    )
}

fn run(asked: &Asked<'_>) -> Result<()> {
    let options =
        Options::from_arg_matches(asked.matches).map_err(|e| usage::error(&e, asked.words))?;
    let mut script = Vec::new();
    clap_complete::generate(options.shell, &mut super::command(), "wabalake", &mut script);
    to_stdout(|out| Ok(out.write_all(&script)?))
}
