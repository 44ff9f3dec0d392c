//! `wabalake man`: manual pages.

use std::path::PathBuf;

use clap::{Args, Command, FromArgMatches as _};
use clap_mangen::Man;

use super::output::{shown_path, to_stderr, to_stdout};
use super::{Asked, Subcommand, usage};
use crate::error::{Context as _, Result};

pub(super) const SUBCOMMAND: Subcommand = Subcommand { name: "man", define, run };

#[derive(Args, Debug)]
struct Options {
    /// Write a page for each subcommand and each query into this folder [default: the first page,
    /// to standard output]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

fn define(command: Command) -> Command {
    Options::augment_args(command).after_help("Example:\n  wabalake man | man -l -")
}

fn run(asked: &Asked<'_>) -> Result<()> {
    let options =
        Options::from_arg_matches(asked.matches).map_err(|e| usage::error(&e, asked.words))?;
    let mut command = super::command();
    command.build();
    let Some(folder) = options.out else {
        return to_stdout(|out| Ok(Man::new(command).render(&mut &mut *out)?));
    };
    std::fs::create_dir_all(&folder).context(|| format!("making `{}`", folder.display()))?;
    clap_mangen::generate_to(command, &folder)
        .context(|| format!("writing to `{}`", folder.display()))?;
    to_stderr(&format!("manual pages written to `{}`\n", shown_path(&folder)));
    Ok(())
}
