//! Options that several subcommands share.

use std::path::{Path, PathBuf};

use chrono_tz::Tz;
use clap::Args;
use wabalake_queries::query::zone::read_zone;

use super::output::to_stderr;
use crate::config::Config;
use crate::error::Result;
use crate::lake::Lake;

// No doc comment: clap would take it for the description of the whole subcommand.
#[derive(Args, Clone, Debug)]
pub(super) struct LakeOption {
    /// The folder of the lake
    #[arg(long, value_name = "DIR", env = "WABALAKE_LAKE", hide_env_values = true)]
    lake: PathBuf,
}

impl LakeOption {
    /// The lake, which must be there.
    pub(super) fn open(&self) -> Result<Lake> {
        Ok(Lake::open(&self.lake)?.warning(warn))
    }

    /// The lake, which is made if it is not there.
    pub(super) fn create(&self) -> Result<Lake> {
        Ok(Lake::create(&self.lake)?.warning(warn))
    }

    /// Its path, as it was given.
    pub(super) fn path(&self) -> &Path {
        &self.lake
    }
}

/// Tells of what is damaged and can be done without.
pub(super) fn warn(what: &str) {
    to_stderr(&format!("warning: {what}\n"));
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
