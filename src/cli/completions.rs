//! `wabalake completions SHELL`: prints a completion script.

use clap::Args;
use clap_complete::Shell;

use super::output::to_stdout;
use super::{Run, Subcommand};
use crate::error::Result;

pub(super) const SUBCOMMAND: Subcommand =
    Subcommand::of::<Options>("completions", "Print a completion script for a shell");

#[derive(Args)]
#[command(
    after_help = "Example:\n  wabalake completions bash > ~/.local/share/bash-completion/completions/wabalake"
)]
struct Options {
    /// The shell
    shell: Shell,
}

impl Run for Options {
    fn run(self) -> Result<()> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut super::command(), "wabalake", &mut script);
        to_stdout(|out| Ok(out.write_all(&script)?))
    }
}
