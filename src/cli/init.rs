//! `wabalake init`: creates a lake's folder with a commented `wabalake.toml`.

use std::fs::File;
use std::io::{ErrorKind, Write as _};

use chrono_tz::Tz;
use clap::Args;
use wabalake_queries::query::time::read_zone;

use super::output::{shown_path, to_stdout};
use super::shared::LakeOption;
use super::{Run, Subcommand};
use crate::config::{Config, FILE, TEMPLATE};
use crate::error::{Context as _, Error, Result};
use crate::lake::Lake;

pub(super) const SUBCOMMAND: Subcommand =
    Subcommand::of::<Options>("init", "Create a lake with a settings file to edit");

#[derive(Args)]
#[command(
    long_about = "Create a lake's folder with a `wabalake.toml` that lists and explains every setting, and \
                  the inbox folder that it names, `inbox` beside the lake. An existing settings file is \
                  never overwritten."
)]
struct Options {
    #[command(flatten)]
    lake: LakeOption,

    /// Reporting time zone of the lake, an IANA name [default: left to be filled in]
    #[arg(long, value_name = "ZONE", value_parser = read_zone)]
    timezone: Option<Tz>,
}

impl Run for Options {
    fn run(self) -> Result<()> {
        let lake = Lake::create(self.lake.folder()?)?;
        let path = lake.root().join(FILE);
        let mut text = TEMPLATE.to_owned();
        if let Some(zone) = self.timezone {
            let setting = format!("timezone = \"{zone}\"");
            text = text.replacen("#timezone = \"America/Bogota\"", &setting, 1);
        }
        let mut file = File::create_new(&path).map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => Error::lake(format!("`{}` already exists", path.display()))
                .hint("edit it, or move it away first"),
            _ => Error::from(error).context(format!("writing `{}`", path.display())),
        })?;
        file.write_all(text.as_bytes()).context(|| format!("writing `{}`", path.display()))?;
        for folder in &Config::read(TEMPLATE)?.inbox.folders {
            let folder = lake.root().join(folder);
            std::fs::create_dir_all(&folder)
                .context(|| format!("creating `{}`", folder.display()))?;
        }
        to_stdout(|out| {
            let lake = shown_path(self.lake.path());
            writeln!(out, "{lake}/{FILE}: edit the settings")?;
            writeln!(out, "{lake}/../inbox: put exports here")?;
            Ok(writeln!(out, "then `wabalake nightly --lake {lake} --dry-run`")?)
        })
    }
}
