//! `wabalake man`: prints or writes the manual pages.

use std::path::PathBuf;

use clap::Args;
use clap_mangen::Man;

use super::output::{shown_path, to_stderr, to_stdout};
use super::{Run, Subcommand};
use crate::error::{Context as _, Result};

pub(super) const SUBCOMMAND: Subcommand =
    Subcommand::of::<Options>("man", "Print the manual pages");

#[derive(Args)]
#[command(after_help = "Example:\n  wabalake man | man -l -")]
struct Options {
    /// Folder for a page per subcommand and per query [default: the main page, to standard output]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

impl Run for Options {
    fn run(self) -> Result<()> {
        let mut command = super::command();
        command.build();
        let Some(folder) = self.out else {
            return to_stdout(|out| Ok(Man::new(command).render(&mut &mut *out)?));
        };
        std::fs::create_dir_all(&folder).context(|| format!("creating `{}`", folder.display()))?;
        clap_mangen::generate_to(command, &folder)
            .context(|| format!("writing to `{}`", folder.display()))?;
        to_stderr(&format!("manual pages written to `{}`\n", shown_path(&folder)));
        Ok(())
    }
}
