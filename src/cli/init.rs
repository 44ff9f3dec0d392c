//! `wabalake init`: creates a lake with a commented `wabalake.toml`.

use chrono_tz::Tz;
use clap::Args;
use wabalake_queries::query::time::read_zone;

use super::output::{shown_path, to_stdout};
use super::shared::LakeOption;
use super::{Run, Subcommand};
use crate::config::{Config, FILE, TEMPLATE};
use crate::error::{Context as _, Error, Result};
use crate::place::{Key, Made, Resolver, StoreOptions};

pub(super) const SUBCOMMAND: Subcommand =
    Subcommand::of::<Options>("init", "Create a lake with a settings file to edit");

#[derive(Args)]
#[command(
    long_about = "Create a lake's folder with a `wabalake.toml` that lists and explains every setting, and \
                  the inbox folder that it names, `inbox` beside the lake. On an object store only the \
                  settings file is written: it has no folders. An existing settings file is never \
                  overwritten."
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
        let lake = self.lake.new_for_settings()?;
        let mut text = TEMPLATE.to_owned();
        if let Some(zone) = self.timezone {
            let setting = format!("timezone = \"{zone}\"");
            text = text.replacen("#timezone = \"America/Bogota\"", &setting, 1);
        }
        let place = lake.place();
        if place.is_whole_bucket() {
            // Nothing lies beside a bucket.
            text = text.replace("\"../", "\"");
        }
        let key = Key::root().join(FILE);
        let exists = || {
            Error::lake(format!("`{}` already exists", lake.shown(FILE)))
                .hint("edit it, or move it away first")
        };
        if place.entry(&key)?.is_some() {
            return Err(exists());
        }
        place.require_conditions()?;
        let folders = Config::read(&text)?.inbox.folders;
        match place.make(&key, text.into())? {
            Made::Done => {}
            Made::Taken => return Err(exists()),
        }
        let options = StoreOptions::default();
        let mut resolver = Resolver::new(place, &options);
        let mut inbox = Vec::new();
        for folder in &folders {
            match place.as_folder() {
                Some(root) => {
                    let path = root.join(folder);
                    std::fs::create_dir_all(&path)
                        .context(|| format!("creating `{}`", path.display()))?;
                    inbox.push(format!("{}/{}", shown_path(self.lake.path()), folder.display()));
                }
                // A store has no folders to make.
                None => inbox.push(resolver.folder(folder)?.shown().to_owned()),
            }
        }
        to_stdout(|out| {
            let lake = shown_path(self.lake.path());
            writeln!(out, "{lake}/{FILE}: edit the settings")?;
            for inbox in inbox {
                writeln!(out, "{inbox}: put exports here")?;
            }
            Ok(writeln!(out, "then `wabalake nightly --lake {lake} --dry-run`")?)
        })
    }
}
