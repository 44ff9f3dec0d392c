//! Options that several subcommands share.

use std::path::{Path, PathBuf};

use chrono_tz::Tz;
use clap::Args;
use wabalake_queries::query::time::read_zone;

use super::output::warn;
use crate::config::{Alpha2, Config, read_country};
use crate::error::Result;
use crate::files::set_umask;
use crate::lake::{Lake, only_read};
use crate::place::{Address, Environment, Place, StoreOptions};

// A doc comment on a type of options would become the description of the subcommand: clap flattens
// it. So none of them has one.

#[derive(Args, Clone, Debug)]
pub(super) struct LakeOption {
    /// The lake: a folder, or a URL on an object store, such as s3://bucket/lake
    #[arg(long, value_name = "LAKE", env = "WABALAKE_LAKE", hide_env_values = true)]
    lake: PathBuf,
}

/// Options of the store that the lake is on.
const STORE_OPTIONS: &str = "WABALAKE_STORE_OPTIONS";

impl LakeOption {
    /// Opens the lake, which must exist, and sets the umask of its settings.
    pub(super) fn open(&self) -> Result<Lake> {
        let lake = match Address::parse(&self.lake)? {
            Address::Folder(folder) => Lake::open(folder)?,
            store => {
                let environment = Environment::of_process();
                let options = std::env::var(STORE_OPTIONS).ok();
                let options = StoreOptions::parse(options.as_deref(), [])?;
                Lake::at(Place::open(&store, &options, &environment)?)
            }
        };
        with_umask(lake.with_warnings(|what| warn(what, None)))
    }

    /// Opens the lake to change it, as [`LakeOption::open`]: it must be in a folder.
    pub(super) fn open_to_change(&self) -> Result<Lake> {
        with_umask(Lake::open(self.folder()?)?.with_warnings(|what| warn(what, None)))
    }

    /// Opens the lake, or creates it, and sets the umask of its settings.
    pub(super) fn create(&self) -> Result<Lake> {
        with_umask(Lake::create(self.folder()?)?.with_warnings(|what| warn(what, None)))
    }

    /// Returns the lake's folder, as it was given.
    pub(super) fn folder(&self) -> Result<PathBuf> {
        match Address::parse(&self.lake)? {
            Address::Folder(folder) => Ok(folder),
            store @ Address::Store(_) => Err(only_read(&store)),
        }
    }

    /// Returns the path as it was given.
    pub(super) fn path(&self) -> &Path {
        &self.lake
    }
}

fn with_umask(lake: Lake) -> Result<Lake> {
    if let Some(umask) = Config::of(&lake)?.lake.umask {
        set_umask(umask.bits());
    }
    Ok(lake)
}

#[derive(Args, Clone, Debug)]
#[group(skip)]
pub(super) struct MartsOption {
    /// Answer from the tables, even if an up-to-date mart holds the answer
    #[arg(long)]
    no_marts: bool,
}

impl MartsOption {
    /// Returns the settings that the nightly builds marts with, or `None` with `--no-marts`. Their
    /// zone is that of `WABALAKE_TIMEZONE`, else the lake's: `--timezone` of a query is not meant.
    pub(super) fn of(&self, config: &Config) -> Option<Config> {
        let zone = std::env::var("WABALAKE_TIMEZONE").ok().and_then(|zone| read_zone(&zone).ok());
        let timezone = zone.or(config.timezone);
        (!self.no_marts).then(|| Config { timezone, ..config.clone() })
    }
}

#[derive(Args, Clone, Copy, Debug)]
#[group(skip)]
pub(super) struct CountryOption {
    /// Country of phone numbers without a country code in tags, conversions, variables and
    /// closures, ISO 3166-1 alpha-2 [default: the lake's, else numbers need a country code]
    #[arg(
        long,
        value_name = "CC",
        env = "WABALAKE_DEFAULT_COUNTRY",
        hide_env_values = true,
        value_parser = read_country
    )]
    default_country: Option<Alpha2>,
}

impl CountryOption {
    /// Returns the option's country, else the lake's.
    pub(super) fn of(self, config: &Config) -> Option<Alpha2> {
        self.default_country.or(config.default_country)
    }
}

#[derive(Args, Clone, Copy, Debug)]
#[group(skip)]
pub(super) struct ZoneOption {
    /// Reporting time zone, an IANA name: the clock of days, weeks, months and of timestamps in the
    /// output [default: the lake's, else UTC]
    #[arg(
        long,
        value_name = "ZONE",
        env = "WABALAKE_TIMEZONE",
        hide_env_values = true,
        value_parser = read_zone
    )]
    timezone: Option<Tz>,
}

impl ZoneOption {
    /// Returns the option's zone, else the lake's, else UTC.
    pub(super) fn of(self, lake: &Lake) -> Result<Tz> {
        match self.timezone {
            Some(zone) => Ok(zone),
            None => Ok(Config::of(lake)?.timezone.unwrap_or(Tz::UTC)),
        }
    }

    /// Replaces the zone of a lake's settings, if the option is given.
    pub(super) fn apply(self, config: &mut Config) {
        config.timezone = self.timezone.or(config.timezone);
    }
}

#[derive(Args, Clone, Copy, Debug)]
#[group(skip)]
pub(super) struct SourceZoneOption {
    /// Time zone of timestamps without an offset in exports, an IANA name [default: the lake's, else
    /// UTC]
    #[arg(
        long,
        value_name = "ZONE",
        env = "WABALAKE_SOURCE_TIMEZONE",
        hide_env_values = true,
        value_parser = read_zone
    )]
    source_timezone: Option<Tz>,
}

impl SourceZoneOption {
    /// Replaces the source zones of a lake's settings, those of single tables too, if the option is
    /// given.
    pub(super) fn apply(self, config: &mut Config) {
        if self.source_timezone.is_some() {
            config.source_timezone = self.source_timezone;
            config.source_timezones.clear();
        }
    }
}
