//! Options that several subcommands share.

use std::path::{Path, PathBuf};

use chrono_tz::Tz;
use clap::Args;
use wabalake_queries::query::zone::read_zone;

use super::output::to_stderr;
use crate::config::{Alpha2, Config, read_country};
use crate::error::Result;
use crate::files::set_umask;
use crate::lake::Lake;
use crate::render::visible_lines;

// No doc comment: clap would take it for the description of the whole subcommand.
#[derive(Args, Clone, Debug)]
pub(super) struct LakeOption {
    /// The folder of the lake
    #[arg(long, value_name = "DIR", env = "WABALAKE_LAKE", hide_env_values = true)]
    lake: PathBuf,
}

impl LakeOption {
    /// The lake, which must be there. Its umask holds from now on.
    pub(super) fn open(&self) -> Result<Lake> {
        with_umask(Lake::open(&self.lake)?.with_warnings(warn))
    }

    /// The same, where the lake may have to be made first.
    pub(super) fn create(&self) -> Result<Lake> {
        with_umask(Lake::create(&self.lake)?.with_warnings(warn))
    }

    /// Its path, as it was given.
    pub(super) fn path(&self) -> &Path {
        &self.lake
    }
}

fn with_umask(lake: Lake) -> Result<Lake> {
    if let Some(umask) = Config::of(lake.root())?.lake.umask {
        set_umask(umask.bits());
    }
    Ok(lake)
}

/// Tells of what is damaged and can be done without.
pub(super) fn warn(what: &str) {
    to_stderr(&format!("warning: {}\n", visible_lines(what)));
}

// Whether marts may answer.
#[derive(Args, Clone, Debug)]
#[group(skip)]
pub(super) struct MartsOption {
    /// Answer from the tables, even where a fresh mart holds the answer
    #[arg(long)]
    no_marts: bool,
}

impl MartsOption {
    /// The settings that marts were made by, unless the tables are to answer: those of the lake in
    /// the zone that the environment says, as the nightly has it.
    pub(super) fn of(&self, config: &Config) -> Option<Config> {
        let zone = std::env::var("WABALAKE_TIMEZONE").ok().and_then(|zone| read_zone(&zone).ok());
        let timezone = zone.or(config.timezone);
        (!self.no_marts).then(|| Config { timezone, ..config.clone() })
    }
}

// Whose national numbers exports hold.
#[derive(Args, Clone, Copy, Debug)]
#[group(skip)]
pub(super) struct CountryOption {
    /// Country whose national numbers tags, conversions, variables and closures may hold
    /// (ISO 3166-1 alpha-2) [default: the lake's, else numbers are full ones]
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
    /// The country that was asked for, else the lake's own.
    pub(super) fn of(self, config: &Config) -> Option<Alpha2> {
        self.default_country.or(config.default_country)
    }
}

// `--timezone` of what is no query.
#[derive(Args, Clone, Debug)]
pub(super) struct ZoneOption {
    /// IANA zone in which instants are shown [default: the lake's, else UTC]
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
    /// The zone that was asked for, else the lake's own.
    pub(super) fn of(&self, lake: &Lake) -> Result<Tz> {
        match self.timezone {
            Some(zone) => Ok(zone),
            None => Ok(Config::of(lake.root())?.timezone.unwrap_or(Tz::UTC)),
        }
    }
}
