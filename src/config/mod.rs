//! The settings of a lake: `<lake>/wabalake.toml`.
//!
//! ```toml
//! timezone = "America/Bogota"        # reporting time zone; --timezone overrides it
//! source_timezone = "America/Bogota" # of timestamps without an offset; --source-timezone overrides it
//! default_country = "CO"             # of phone numbers without a country code; --default-country overrides it
//!
//! [[marts]]                          # answers that the nightly keeps up to date
//! name = "deliveries"
//! query = "delivery-rate"            # or sql = "FILE.sql", a file with one SELECT
//! params = { by = ["day", "country"] }
//! ```
//!
//! The command line overrides the environment, and the environment overrides this file. Users edit
//! the file; wabalake only writes it once, in `wabalake init`. Paths in it are relative to the lake's
//! folder.

mod alerts;
mod file;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use chrono_tz::Tz;
use serde::Deserialize;
use wabalake_queries::CATALOG;
use wabalake_queries::query::Defaults;
use wabalake_queries::query::billing::rules::{EntryPoint, PricingDefaults, PricingSource};
use wabalake_queries::query::time::{Holidays, HoursDefaults, WeeklyHours};

pub use self::alerts::{AlertDirection, AlertRule, AlertSettings, AlertState, MinCount};
pub(crate) use self::file::read_country;
use crate::error::{Context as _, Error, Result};
use crate::lake::Lake;
use crate::load::{NamePattern, Window, Windows};
use crate::place::StoreOptions;

/// The name of the settings file in the lake's folder.
pub const FILE: &str = "wabalake.toml";

/// The file that `wabalake init` writes: every setting with an explanation.
pub const TEMPLATE: &str = include_str!("template.toml");

/// A country code, ISO 3166-1 alpha-2.
pub type Alpha2 = &'static str;

/// The settings of a lake.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// The reporting time zone.
    pub timezone: Option<Tz>,
    /// The time zone of timestamps without an offset in exports.
    pub source_timezone: Option<Tz>,
    /// Overrides `source_timezone` for the exports of single tables, by table name.
    pub source_timezones: BTreeMap<&'static str, Tz>,
    /// The country of phone numbers without a country code, in exports of side tables.
    pub default_country: Option<Alpha2>,
    /// The lake's files.
    pub lake: LakeSettings,
    /// Where exports arrive.
    pub inbox: InboxSettings,
    /// Answers that the nightly keeps up to date.
    pub marts: Vec<MartSettings>,
    /// Values of answers that are judged after each nightly run.
    pub alerts: Vec<AlertSettings>,
    /// People to whom something is sent.
    pub audiences: Vec<AudienceSettings>,
    /// The page that the nightly writes.
    pub page: PageSettings,
    /// What the nightly reports to other programs.
    pub nightly: NightlySettings,
    /// How long old versions are kept.
    pub retention: RetentionSettings,
    /// Where persons may be named, and whether erased persons are kept out.
    pub privacy: PrivacySettings,
    /// What users' own SQL may read.
    pub sql: SqlSettings,
    /// Options of the object stores that the settings name.
    pub store: StoreOptions,
    /// How messages are priced.
    pub pricing: PricingSettings,
    /// When agents work.
    pub hours: HoursSettings,
    /// What assistants may ask.
    pub mcp: McpSettings,
}

/// `[lake]`: the lake's files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LakeSettings {
    /// The umask of new files and folders. Default: 027, or the process's own if that is stricter.
    #[serde(deserialize_with = "file::umask")]
    pub umask: Option<Umask>,
}

/// A umask: permissions that new files and folders do not get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Umask(u32);

impl Umask {
    /// Returns the bits.
    pub fn bits(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Umask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:03o}", self.0)
    }
}

/// `[inbox]`: where exports arrive, and what happens to them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct InboxSettings {
    /// Folders to search, with their subfolders.
    pub folders: Vec<PathBuf>,
    /// What happens to a loaded file.
    pub after: After,
    /// The folder that [`After::Move`] moves loaded files to.
    pub loaded: Option<PathBuf>,
    /// The folder for files that fail to load, with their error beside them. Default: they stay.
    pub failed: Option<PathBuf>,
    /// Seconds without a change after which a file counts as complete. Default: 30.
    #[serde(deserialize_with = "file::settle_seconds")]
    pub settle_seconds: Option<u32>,
    /// `rows`: the period of a file is that of its rows, if no pattern matches its name. Default: it is
    /// unknown.
    #[serde(deserialize_with = "file::window")]
    pub window: Window,
    /// Patterns of file names that have a period.
    pub windows: Vec<WindowSettings>,
}

/// `[[inbox.windows]]`: file names that have the period that the file was asked for, or the date of its
/// export.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WindowSettings {
    /// A regular expression with the groups `from` and `to`, or `exported`, or all three.
    #[serde(deserialize_with = "file::pattern")]
    pub pattern: NamePattern,
}

impl InboxSettings {
    /// Returns the windows of files in the inbox.
    ///
    /// ```
    /// use wabalake::{config::Config, load::Window};
    /// let config = Config::read("[inbox]\nwindow = 'rows'").unwrap();
    /// assert_eq!(config.inbox.windows().otherwise, Window::Rows);
    /// ```
    pub fn windows(&self) -> Windows {
        let patterns = self.windows.iter().map(|window| window.pattern.clone()).collect();
        Windows { patterns, otherwise: self.window }
    }

    /// Returns the time without a change after which a file counts as complete.
    ///
    /// ```
    /// let config = wabalake::config::Config::read("").unwrap();
    /// assert_eq!(config.inbox.settle().as_secs(), 30);
    /// ```
    pub fn settle(&self) -> Duration {
        Duration::from_secs(self.settle_seconds.unwrap_or(30).into())
    }

    /// Returns the same for objects of a store, which are whole when they are listed. Default: 0.
    pub fn settle_objects(&self) -> Duration {
        Duration::from_secs(self.settle_seconds.unwrap_or(0).into())
    }
}

/// What happens to a loaded file of the inbox.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum After {
    /// It stays.
    #[default]
    Leave,
    /// It is moved to another folder.
    Move,
    /// It is deleted.
    Delete,
}

impl After {
    /// Returns the value in the file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Leave => "leave",
            Self::Move => "move",
            Self::Delete => "delete",
        }
    }
}

/// `[[marts]]`: an answer that the nightly keeps up to date.
#[derive(Clone, Debug, PartialEq)]
pub struct MartSettings {
    /// The mart's name, also of its folder in `marts`.
    pub name: String,
    /// What it is the answer of.
    pub source: MartSource,
    /// Options of the query, named as on the command line but without dashes; or parameters of the SQL.
    pub params: BTreeMap<String, Param>,
}

/// What a mart is the answer of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MartSource {
    /// A query of the catalog, by its name.
    Query(String),
    /// A file with a user's own SELECT.
    Sql(PathBuf),
}

impl MartSettings {
    /// Returns the options of a query as command line arguments; none for SQL.
    ///
    /// ```
    /// use wabalake::config::Config;
    /// let text = "[[marts]]\nname = 'd'\nquery = 'delivery-rate'\nparams.by = ['day', 'tag']\n";
    /// let config = Config::read(text).unwrap();
    /// assert_eq!(config.marts[0].arguments(), ["--by=day,tag"]);
    /// ```
    pub fn arguments(&self) -> Vec<String> {
        match &self.source {
            MartSource::Query(query) => arguments(query, &self.params),
            MartSource::Sql(_) => Vec::new(),
        }
    }

    /// Returns the parameters of SQL as `NAME=VALUE`, one for each value of a list.
    ///
    /// ```
    /// use wabalake::config::Config;
    /// let text = "[[marts]]\nname = 'd'\nsql = 'd.sql'\nparams = { n = 5, country = ['CO', 'MX'] }\n";
    /// let config = Config::read(text).unwrap();
    /// assert_eq!(config.marts[0].parameters(), ["country=CO", "country=MX", "n=5"]);
    /// ```
    pub fn parameters(&self) -> Vec<String> {
        let parameters = |(name, value): (&String, &Param)| match value {
            Param::Switch(value) => vec![format!("{name}={value}")],
            Param::Value(value) => vec![format!("{name}={value}")],
            Param::List(values) => values.iter().map(|value| format!("{name}={value}")).collect(),
        };
        self.params.iter().flat_map(parameters).collect()
    }
}

/// Returns `true` if a text can be the name of a mart or an audience: lower-case letters, digits, `-` and
/// `_`, beginning with a letter.
pub(crate) fn is_name(text: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c);
    text.starts_with(|c: char| c.is_ascii_lowercase()) && text.chars().all(is_plain)
}

/// The options of a query as command line arguments.
fn arguments(query: &str, params: &BTreeMap<String, Param>) -> Vec<String> {
    let entry = CATALOG.iter().find(|entry| entry.spec.name == query);
    let arguments = |(name, value): (&String, &Param)| {
        let name = name.replace('_', "-");
        match value {
            Param::Switch(false) => Vec::new(),
            Param::Switch(true) => vec![format!("--{name}")],
            Param::Value(value) => vec![format!("--{name}={value}")],
            Param::List(values) if entry.is_some_and(|entry| entry.is_repeated(&name)) => {
                values.iter().map(|value| format!("--{name}={value}")).collect()
            }
            Param::List(values) => {
                let values: Vec<String> = values.iter().map(Scalar::to_string).collect();
                vec![format!("--{name}={}", values.join(","))]
            }
        }
    };
    params.iter().flat_map(arguments).collect()
}

/// The value of a query's option.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum Param {
    /// A switch.
    Switch(bool),
    /// One value.
    Value(Scalar),
    /// A list: separated by commas on the command line, or an argument for each value of an option that splits
    /// none.
    List(Vec<Scalar>),
}

/// A number or a text.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum Scalar {
    /// A whole number.
    Number(i64),
    /// A text.
    Text(String),
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Text(text) => text.fmt(f),
        }
    }
}

/// `[[audiences]]`: people to whom something is sent.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AudienceSettings {
    /// The audience's name, also of the tags of its groups.
    pub name: String,
    /// Whom it holds: see [`Rule`](crate::audience::Rule).
    pub rule: String,
}

/// `[page]`: the page that the nightly writes, also as a mail.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PageSettings {
    /// The HTML file. Default: no page is written.
    pub file: Option<PathBuf>,
    /// The number of days that it shows, up to the last one with data.
    pub days: Option<u32>,
    /// The file of the page as a mail. Default: none is written.
    pub email: Option<PathBuf>,
    /// The subject of the mail. Default: the page's title and period.
    pub subject: Option<String>,
}

/// `[nightly]`: what the nightly reports to other programs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NightlySettings {
    /// A file for metrics in the text format of Prometheus.
    pub metrics: Option<PathBuf>,
    /// A shell command that gets the report of the run as JSON.
    pub notify_command: Option<String>,
    /// The time limit of the command in seconds. Default: 60.
    #[serde(deserialize_with = "file::notify_seconds")]
    pub notify_seconds: Option<u32>,
    /// `true` makes the exit code 1 if an alert fires.
    pub fail_on_alerts: bool,
    /// A file of views for DuckDB. Default: none is written.
    pub views: Option<PathBuf>,
}

impl NightlySettings {
    /// Returns the time limit of the notify command.
    ///
    /// ```
    /// let config = wabalake::config::Config::read("").unwrap();
    /// assert_eq!(config.nightly.notify_limit().as_secs(), 60);
    /// ```
    pub fn notify_limit(&self) -> Duration {
        Duration::from_secs(self.notify_seconds.unwrap_or(60).into())
    }
}

/// `[retention]`: how long old versions are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RetentionSettings {
    /// Days that a file is kept after it was replaced. Default: the nightly deletes nothing.
    pub days: Option<u32>,
}

/// `[privacy]`: where persons may be named, and whether erased persons are kept out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own in the settings")]
pub struct PrivacySettings {
    /// `true` allows columns of persons in marts.
    pub people_in_marts: bool,
    /// `true` allows single persons on the page.
    pub people_on_page: bool,
    /// `true` lets `--people` name the people behind a number, without `--with-people`.
    pub people_in_answers: bool,
    /// `true` lets `audience` write files of people, without `--with-people`.
    pub people_in_audiences: bool,
    /// `true` allows columns of persons and what they wrote in views for DuckDB.
    pub people_in_views: bool,
    /// `true` keeps erased persons out of later loads.
    pub keep_out: bool,
    /// The key of the list of persons who are kept out. Default: a file in `.wabalake`.
    pub keep_out_key: Option<PathBuf>,
}

/// `[sql]`: what users' own SQL may read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SqlSettings {
    /// `true` allows files of this machine outside the lake.
    pub files: bool,
}

/// `[pricing]`: the defaults of the options by which queries price messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PricingSettings {
    /// Service messages per line and calendar month that Meta does not charge. Default: 1000.
    #[serde(deserialize_with = "file::free_service_messages")]
    pub free_service_messages: Option<i64>,
    /// Which messages are free because an ad led to their conversation. Default: `type`.
    #[serde(deserialize_with = "file::word")]
    pub entry_point: Option<EntryPoint>,
    /// Where the pricing type and category of a message come from. Default: `reported`.
    #[serde(deserialize_with = "file::word")]
    pub pricing: Option<PricingSource>,
}

impl PricingSettings {
    /// Returns the values as defaults of the queries' options.
    pub fn defaults(self) -> PricingDefaults {
        let Self { free_service_messages, entry_point, pricing } = self;
        PricingDefaults { free_service_messages, entry_point, pricing }
    }
}

/// `[hours]`: when agents work, by the clock of the reporting time zone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HoursSettings {
    /// The hours of a week. Default: always.
    #[serde(deserialize_with = "file::weekly")]
    pub weekly: Option<WeeklyHours>,
    /// Dates on which no agent works.
    #[serde(deserialize_with = "file::holidays")]
    pub holidays: Holidays,
}

impl HoursSettings {
    /// Returns the values as defaults of the queries' options.
    pub fn defaults(&self) -> HoursDefaults {
        let Self { weekly, holidays } = self.clone();
        HoursDefaults { weekly, holidays }
    }

    /// Returns the hours of a week.
    pub fn weekly(&self) -> WeeklyHours {
        self.weekly.clone().unwrap_or_else(WeeklyHours::always)
    }
}

/// `[mcp]`: what assistants may ask, and how large an answer to them is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct McpSettings {
    /// The most rows of an answer, up to 1000. Default: 200.
    #[serde(deserialize_with = "file::answer_rows")]
    pub rows: Option<u16>,
    /// The time limit of an answer in seconds. Default: 60.
    #[serde(deserialize_with = "file::answer_seconds")]
    pub seconds: Option<u32>,
    /// `true` offers the tool `sql`.
    pub sql: bool,
    /// `true` lets answers name people and show what they wrote.
    pub people: bool,
}

impl McpSettings {
    /// Returns the most rows of an answer.
    ///
    /// ```
    /// let config = wabalake::config::Config::read("").unwrap();
    /// assert_eq!(config.mcp.rows(), 200);
    /// ```
    pub fn rows(self) -> usize {
        self.rows.unwrap_or(200).into()
    }

    /// Returns the time limit of an answer.
    ///
    /// ```
    /// let config = wabalake::config::Config::read("").unwrap();
    /// assert_eq!(config.mcp.time_limit().as_secs(), 60);
    /// ```
    pub fn time_limit(self) -> Duration {
        Duration::from_secs(self.seconds.unwrap_or(60).into())
    }
}

impl Config {
    /// Returns the values of queries' options that the settings give: no dates.
    pub fn defaults(&self) -> Defaults {
        Defaults {
            timezone: self.timezone.unwrap_or(Tz::UTC),
            pricing: self.pricing.defaults(),
            hours: self.hours.defaults(),
            people_in_answers: self.privacy.people_in_answers,
            ..Defaults::default()
        }
    }

    /// Reads the settings of a lake. Without a file all have their defaults.
    ///
    /// # Errors
    /// The file cannot be read, or a key or value is invalid.
    pub fn of(lake: &Lake) -> Result<Self> {
        match lake.settings()? {
            Some(text) => Self::read(&text).context(|| format!("`{}`", lake.shown(FILE))),
            None => Ok(Self::default()),
        }
    }

    /// Parses the text of a settings file.
    ///
    /// # Errors
    /// A key or value is invalid.
    pub fn read(text: &str) -> Result<Self> {
        let config = file::read(text)?;
        if config.inbox.after == After::Move && config.inbox.loaded.is_none() {
            return Err(Error::lake("[inbox] has `after = \"move\"` without a folder")
                .hint("add one: loaded = \"../loaded\""));
        }
        Ok(config)
    }

    /// Parses the text of a file with options of an object store alone, `--config`.
    ///
    /// # Errors
    /// A secret, or a key or value that is invalid.
    pub fn read_store(text: &str) -> Result<StoreOptions> {
        file::read_store(text)
    }

    /// Returns the time zone of timestamps without an offset in the exports of a table.
    pub fn source_timezone_of(&self, table: &str) -> Tz {
        let own = self.source_timezones.get(table).copied();
        own.or(self.source_timezone).unwrap_or(Tz::UTC)
    }
}

#[cfg(test)]
mod tests;
