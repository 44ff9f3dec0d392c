//! Options that several subcommands share.

use std::path::{Path, PathBuf};

use chrono_tz::Tz;
use clap::{ArgMatches, Args};
use wabalake_queries::query::time::read_zone;

use super::output::warn;
use crate::config::{Alpha2, Config, read_country};
use crate::error::{Context as _, Error, Result};
use crate::files::set_umask;
use crate::lake::Lake;
use crate::place::{Address, Environment, Place, StoreOptions, VARIABLE};

// A doc comment on a type of options would become the description of the subcommand: clap flattens
// it. So none of them has one.

#[derive(Args, Clone, Debug)]
pub(super) struct LakeOption {
    /// The lake: a folder, or a URL on an object store
    #[arg(long, value_name = "LAKE", env = "WABALAKE_LAKE", hide_env_values = true)]
    lake: PathBuf,

    #[command(flatten)]
    store: StoreOption,
}

impl LakeOption {
    /// Opens the lake to read it, and sets the umask of its settings. A folder must exist.
    pub(super) fn open(&self) -> Result<Lake> {
        let lake = match self.address()? {
            Address::Folder(folder) => Lake::open(folder)?,
            store @ Address::Store(_) => Lake::at(self.store.open(&store)?).pinned(),
        };
        with_umask(lake.with_warnings(|what| warn(what, None)))
    }

    /// Opens the lake to change it, as [`LakeOption::open`].
    pub(super) fn open_to_change(&self) -> Result<Lake> {
        let lake = match self.address()? {
            Address::Folder(folder) => Lake::open(folder)?,
            store @ Address::Store(_) => Lake::at(self.store.open(&store)?),
        };
        with_umask(lake.with_warnings(|what| warn(what, None)))
    }

    /// Opens the lake to check it. Of a lake on a store, not even the settings are read: that may fail.
    pub(super) fn open_to_check(&self) -> Result<Lake> {
        match self.address()? {
            Address::Folder(_) => self.open(),
            store @ Address::Store(_) => {
                Ok(Lake::at(self.store.open(&store)?).with_warnings(|what| warn(what, None)))
            }
        }
    }

    /// Opens the lake, or creates its folder, and sets the umask of its settings.
    pub(super) fn create(&self) -> Result<Lake> {
        with_umask(self.store.create(&self.lake)?)
    }

    /// Returns the option of a command, if it has one.
    pub(super) fn typed_in(matches: &ArgMatches) -> Option<Self> {
        let lake = matches.try_get_one::<PathBuf>("lake").ok()??.clone();
        let store_options = matches.try_get_many("store_options").ok().flatten();
        let store_options = store_options.into_iter().flatten().cloned().collect();
        let config = matches.try_get_one("config").ok().flatten().cloned();
        Some(Self { lake, store: StoreOption { store_options, config } })
    }

    /// Opens the lake, or creates its folder, for a first settings file: there may be a wrong one.
    pub(super) fn new_for_settings(&self) -> Result<Lake> {
        self.address()?;
        self.store.create(&self.lake)
    }

    /// Returns the address of the lake: its folder, or its object store.
    pub(super) fn address(&self) -> Result<Address> {
        let address = Address::parse(&self.lake)?;
        if matches!(address, Address::Folder(_)) && !self.store.is_empty() {
            return Err(Error::usage(
                "`--store-option` and `--config` are for lakes on object stores",
            )
            .hint("leave them out: the lake is a folder"));
        }
        Ok(address)
    }

    /// Returns the options of the lake's object store.
    pub(super) fn store(&self) -> &StoreOption {
        &self.store
    }

    /// Returns the path as it was given.
    pub(super) fn path(&self) -> &Path {
        &self.lake
    }
}

#[derive(Args, Clone, Debug)]
#[group(skip)]
pub(super) struct StoreOption {
    /// Option of the lake's object store, such as `region=eu-west-1`; may be repeated
    #[arg(long = "store-option", value_name = "KEY=VALUE", hide_short_help = true)]
    #[arg(
        long_help = "Option of the lake's object store; may be repeated: endpoint, region, account, \
                     allow_http, virtual_hosted, anonymous, requester_pays, sse_kms_key, proxy, \
                     connect_timeout, silence_timeout, request_timeout, retries, retry_timeout. \
                     WABALAKE_STORE_OPTIONS has them separated by `;`. Credentials are no options: they \
                     come from where the cloud's own tools have them"
    )]
    store_options: Vec<String>,

    /// File with options of the lake's object store, in a table `[store]`
    #[arg(long, value_name = "FILE", env = CONFIG, hide_env_values = true, hide_short_help = true)]
    #[arg(
        long_help = "File of this machine with options of the lake's object store, in TOML: a table \
                     `[store]` with the keys of `--store-option`. WABALAKE_STORE_OPTIONS and \
                     `--store-option` override it. It holds no credentials"
    )]
    config: Option<PathBuf>,
}

/// The variable of the environment with the default of `--config`.
const CONFIG: &str = "WABALAKE_CONFIG";

impl StoreOption {
    /// Returns `true` if there are none on the command line.
    pub(super) fn is_empty(&self) -> bool {
        // The variable may be set for other lakes.
        let by_variable = std::env::var_os(CONFIG).map(PathBuf::from);
        self.store_options.is_empty() && (self.config.is_none() || self.config == by_variable)
    }

    /// Returns the options of the file of `--config`, with its path.
    fn of_file(&self) -> Result<Option<(String, StoreOptions)>> {
        let Some(file) = &self.config else { return Ok(None) };
        let shown = file.display().to_string();
        let text = std::fs::read_to_string(file).context(|| format!("reading `{shown}`"))?;
        let options = Config::read_store(&text).context(|| format!("`{shown}`"))?;
        Ok(Some((shown, options)))
    }

    /// Returns the options in force.
    fn options(&self) -> Result<StoreOptions> {
        let of_file = self.of_file()?.map(|(_, options)| options).unwrap_or_default();
        let environment = Environment::of_process();
        of_file.and(environment.get(VARIABLE), self.store_options.iter().map(String::as_str))
    }

    /// Returns each option in force that is not the default: its name, its value and where it is from.
    pub(super) fn in_force(&self) -> Result<Vec<(String, String, String)>> {
        let of_arguments = StoreOptions::names_in(self.store_options.iter().map(String::as_str));
        let environment = Environment::of_process();
        let of_environment =
            StoreOptions::names_in(environment.get(VARIABLE).unwrap_or_default().split(';'));
        let file = self.of_file()?.map(|(file, _)| file).unwrap_or_default();
        let from = |name: &String| {
            if of_arguments.contains(name) {
                "--store-option".to_owned()
            } else if of_environment.contains(name) {
                VARIABLE.to_owned()
            } else {
                file.clone()
            }
        };
        let options = self.options()?.named();
        let row = |(name, value): (String, String)| {
            let from = from(&name);
            (name, value, from)
        };
        Ok(options.into_iter().map(row).collect())
    }

    /// Opens a lake by its address, or creates its folder. A store has no folders to create.
    pub(super) fn create(&self, lake: &Path) -> Result<Lake> {
        let lake = match Address::parse(lake)? {
            Address::Folder(folder) => Lake::create(folder)?,
            store @ Address::Store(_) => Lake::at(self.open(&store)?),
        };
        Ok(lake.with_warnings(|what| warn(what, None)))
    }

    /// Opens the place of a lake, without a request to it.
    pub(super) fn open(&self, address: &Address) -> Result<Place> {
        Place::open(address, &self.options()?, &Environment::of_process())
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
    /// Country of phone numbers without a country code in tags, conversions, variables, closures
    /// and agent chats, ISO 3166-1 alpha-2 [default: the lake's, else numbers need a country code]
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
