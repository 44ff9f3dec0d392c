//! `wabalake cache`: shows or empties this machine's copies of lakes on object stores.

use clap::Args;
use wabalake_data::words::{bytes, counted};

use super::output::to_stdout;
use super::{Run, Subcommand};
use crate::error::{Error, Result};
use crate::place::{Environment, cache};

pub(super) const SUBCOMMAND: Subcommand =
    Subcommand::of::<Options>("cache", "Show or empty the cache of lakes on object stores");

#[derive(Args)]
#[command(
    long_about = "Show or empty the cache of lakes on object stores. It holds copies of data files, of \
                  persons too, that only this user can read; queries fetch again what it lacks. After a \
                  person was erased from a lake, empty it on machines that no longer query that lake.",
    after_help = "Environment variables:\n  \
                  WABALAKE_CACHE      folder of the cache, or `off` [default: ~/.cache/wabalake]\n  \
                  WABALAKE_CACHE_MIB  its size in MiB; 0 turns it off [default: 4096]"
)]
struct Options {
    /// Delete all files of the cache
    #[arg(long)]
    clear: bool,
}

impl Run for Options {
    fn run(self) -> Result<()> {
        let Some(options) = cache::Options::of(&Environment::of_process())? else {
            return match self.clear {
                true => Err(Error::usage("the cache is off, or this user has no folder for it")
                    .hint(format!("set {} to the folder that it was in", cache::PLACE))),
                false => to_stdout(|out| Ok(writeln!(out, "the cache is off")?)),
            };
        };
        let (size, pieces) = cache::size(&options.folder);
        let folder = options.folder.display();
        let said = format!("{}, {}", counted(pieces, "file"), bytes(size));
        if self.clear {
            cache::clear(&options.folder)?;
            return to_stdout(|out| Ok(writeln!(out, "{folder}: {said}, deleted")?));
        }
        let limit = bytes(options.limit);
        to_stdout(|out| Ok(writeln!(out, "{folder}: {said} of at most {limit}")?))
    }
}
