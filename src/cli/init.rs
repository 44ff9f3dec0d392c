//! `wabalake init`: a lake's folder, and in it a `wabalake.toml` that explains itself.

use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::path::PathBuf;

use chrono_tz::Tz;
use clap::{Args, Command, FromArgMatches as _};
use wabalake_queries::query::time::read_zone;

use super::output::{shown_path, to_stdout};
use super::{Asked, Subcommand, usage};
use crate::config::{Config, FILE, TEMPLATE};
use crate::error::{Context as _, Error, Result};
use crate::lake::Lake;

pub(super) const SUBCOMMAND: Subcommand = Subcommand { name: "init", define, run };

#[derive(Args, Debug)]
struct Options {
    /// The folder of the lake, which is made if there is none
    #[arg(long, value_name = "DIR", env = "WABALAKE_LAKE", hide_env_values = true)]
    lake: PathBuf,

    /// The lake's reporting zone, an IANA name [default: left to be filled in]
    #[arg(long, value_name = "ZONE", value_parser = read_zone)]
    timezone: Option<Tz>,
}

fn define(command: Command) -> Command {
    Options::augment_args(command).long_about(
        "Write a `wabalake.toml` into the folder of a lake: every setting, with what it is for; and \
         make the folder that it names for exports to arrive in, `inbox` beside the lake. A file \
         that is there already stays as it is.",
    )
}

fn run(asked: &Asked<'_>) -> Result<()> {
    let options =
        Options::from_arg_matches(asked.matches).map_err(|e| usage::error(&e, asked.words))?;
    let lake = Lake::create(&options.lake)?;
    let place = lake.root().join(FILE);
    let mut text = TEMPLATE.to_owned();
    if let Some(zone) = options.timezone {
        let own = format!("timezone = \"{zone}\"");
        text = text.replacen("#timezone = \"America/Bogota\"", &own, 1);
    }
    let mut file = File::create_new(&place).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => {
            Error::lake(format!("there is a `{}` already", place.display()))
                .hint("edit it, or move it away first")
        }
        _ => Error::from(error).context(format!("writing `{}`", place.display())),
    })?;
    file.write_all(text.as_bytes()).context(|| format!("writing `{}`", place.display()))?;
    for folder in &Config::read(TEMPLATE)?.inbox.folders {
        let folder = lake.root().join(folder);
        std::fs::create_dir_all(&folder).context(|| format!("making `{}`", folder.display()))?;
    }
    to_stdout(|out| {
        let lake = shown_path(&options.lake);
        writeln!(out, "{lake}/{FILE}: edit it to suit")?;
        writeln!(out, "{lake}/../inbox: put exports there")?;
        Ok(writeln!(out, "then `wabalake nightly --lake {lake} --dry-run`")?)
    })
}
