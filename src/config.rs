//! What a lake says of itself: `<lake>/wabalake.toml`.
//!
//! ```toml
//! timezone = "America/Bogota"        # where days begin, unless --timezone says otherwise
//! source_timezone = "America/Bogota" # of stamps without an offset, unless --source-timezone does
//! default_country = "CO"             # of national numbers, unless --default-country does
//!
//! [[marts]]                          # answers that the nightly keeps up to date
//! name = "deliveries"
//! query = "delivery-rate"
//! params = { by = ["day", "country"] }
//! ```
//!
//! What the command line says counts first, then the environment, then this file. The file is a
//! person's: wabalake reads it, and writes it once, when `wabalake init` finds none. Paths in it
//! start from the lake's folder.

use std::collections::BTreeMap;
use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono_tz::Tz;
use serde::{Deserialize, Deserializer};
use wabalake_data::cells::phone::dialling_code;
use wabalake_data::reference::countries;
use wabalake_data::words::{did_you_mean, listed, nearest, suggestion};
use wabalake_data::{Invalid, TABLES};
use wabalake_queries::query::time::read_zone;

use crate::error::{Context as _, Error, Result};

/// The name of the file within a lake.
pub const FILE: &str = "wabalake.toml";

/// What `wabalake init` writes: every setting, with its reason.
pub const TEMPLATE: &str = include_str!("config.toml");

/// A country's code, ISO 3166-1 alpha-2. Under this name serde does not take it for a part of the file.
pub type Alpha2 = &'static str;

/// What a lake says of itself.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The reporting zone.
    #[serde(deserialize_with = "zone")]
    pub timezone: Option<Tz>,
    /// Where stamps without an offset are read.
    #[serde(deserialize_with = "zone")]
    pub source_timezone: Option<Tz>,
    /// The same for the exports of single tables.
    #[serde(deserialize_with = "zones")]
    pub source_timezones: BTreeMap<&'static str, Tz>,
    /// Whose national numbers the exports of side tables hold, ISO 3166-1 alpha-2.
    #[serde(deserialize_with = "country")]
    pub default_country: Option<Alpha2>,
    /// Its files.
    pub lake: LakeFiles,
    /// Where exports arrive.
    pub inbox: Inbox,
    /// Answers that are kept.
    pub marts: Vec<Mart>,
    /// The page.
    pub page: Page,
    /// What the nightly tells others.
    pub nightly: Nightly,
    /// What becomes of old versions.
    pub retention: Retention,
    /// Where people may be named, and whether who is erased may come back.
    pub privacy: Privacy,
    /// What a person's own SQL may do.
    pub sql: Sql,
}

/// A lake's files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LakeFiles {
    /// Which permissions new files and folders lack; without it 027, or the person's own umask if
    /// that is stricter.
    #[serde(deserialize_with = "umask")]
    pub umask: Option<Umask>,
}

/// Permissions that new files and folders lack, in octal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Umask(u32);

impl Umask {
    /// Its bits.
    pub fn bits(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Umask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:03o}", self.0)
    }
}

/// Where exports arrive, and what becomes of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Inbox {
    /// Folders to look in, with their subfolders.
    pub folders: Vec<PathBuf>,
    /// What becomes of a file that is loaded.
    pub after: After,
    /// Where [`After::Move`] moves it.
    pub loaded: Option<PathBuf>,
    /// Where a file goes that cannot be loaded, with its error beside it; else it is left.
    pub failed: Option<PathBuf>,
    /// For how many seconds a file must not have changed to be whole; without it half a minute.
    #[serde(deserialize_with = "settle_seconds")]
    pub settle_seconds: Option<u32>,
}

impl Inbox {
    /// How long a file must not have changed to be whole.
    ///
    /// ```
    /// let config = wabalake::config::Config::read("").unwrap();
    /// assert_eq!(config.inbox.settle().as_secs(), 30);
    /// ```
    pub fn settle(&self) -> Duration {
        Duration::from_secs(self.settle_seconds.unwrap_or(30).into())
    }
}

/// What becomes of a file that is loaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum After {
    /// It stays.
    #[default]
    Leave,
    /// It goes to another folder.
    Move,
    /// It is deleted.
    Delete,
}

impl After {
    /// As the file has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Leave => "leave",
            Self::Move => "move",
            Self::Delete => "delete",
        }
    }
}

/// An answer that the nightly keeps up to date.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mart {
    /// Its name, and its folder's below `marts`.
    pub name: String,
    /// The query that it answers.
    pub query: String,
    /// The query's options by their names on the command line, without the dashes.
    #[serde(default)]
    pub params: BTreeMap<String, Param>,
}

impl Mart {
    /// The options as words of a command line.
    ///
    /// ```
    /// use wabalake::config::Config;
    /// let text = "[[marts]]\nname = 'd'\nquery = 'delivery-rate'\nparams.by = ['day', 'tag']\n";
    /// let config = Config::read(text).unwrap();
    /// assert_eq!(config.marts[0].words(), ["--by=day,tag"]);
    /// ```
    pub fn words(&self) -> Vec<String> {
        let word = |(name, value): (&String, &Param)| {
            let name = name.replace('_', "-");
            match value {
                Param::Switch(false) => None,
                Param::Switch(true) => Some(format!("--{name}")),
                Param::Number(number) => Some(format!("--{name}={number}")),
                Param::Text(text) => Some(format!("--{name}={text}")),
                Param::List(values) => {
                    let values: Vec<String> = values.iter().map(Scalar::word).collect();
                    Some(format!("--{name}={}", values.join(",")))
                }
            }
        };
        self.params.iter().filter_map(word).collect()
    }
}

/// The value of an option.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum Param {
    /// A switch.
    Switch(bool),
    /// A whole number.
    Number(i64),
    /// Anything else.
    Text(String),
    /// Several, as with commas between.
    List(Vec<Scalar>),
}

/// One of several values.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum Scalar {
    /// A whole number.
    Number(i64),
    /// Anything else.
    Text(String),
}

impl Scalar {
    fn word(&self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Text(text) => text.clone(),
        }
    }
}

/// The page that the nightly writes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Page {
    /// Where it goes; without it no page is written.
    pub file: Option<PathBuf>,
    /// How many days it shows, up to the last that there is.
    pub days: Option<u32>,
}

/// What the nightly tells others.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Nightly {
    /// A text file for Prometheus.
    pub metrics: Option<PathBuf>,
    /// A command that is given the run as JSON.
    pub notify_command: Option<String>,
    /// How many seconds the command has; without it a minute.
    #[serde(deserialize_with = "seconds")]
    pub notify_seconds: Option<u32>,
}

impl Nightly {
    /// How long the command has.
    ///
    /// ```
    /// let config = wabalake::config::Config::read("").unwrap();
    /// assert_eq!(config.nightly.notify_limit().as_secs(), 60);
    /// ```
    pub fn notify_limit(&self) -> Duration {
        self.notify_seconds
            .map_or(Duration::from_mins(1), |seconds| Duration::from_secs(seconds.into()))
    }
}

/// What becomes of old versions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Retention {
    /// How many days a file is kept once it is replaced; without it the nightly deletes nothing.
    pub days: Option<u32>,
}

/// Where people may be named, and whether who is erased may come back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Privacy {
    /// Whether a mart may hold phone numbers.
    pub people_in_marts: bool,
    /// Whether the page may show single people.
    pub people_on_page: bool,
    /// Whether an erased person is kept out of later loads.
    pub keep_out: bool,
    /// Where the key of the list of who is kept out is, if not in `.wabalake`.
    pub keep_out_key: Option<PathBuf>,
}

/// What a person's own SQL may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sql {
    /// Whether it may read files of this machine that are not the lake's.
    pub files: bool,
}

impl Config {
    /// Reads the file of a lake, if it has one.
    ///
    /// # Errors
    /// A file that cannot be read, a key that there is not, a zone that there is not.
    pub fn of(lake: &Path) -> Result<Self> {
        let path = lake.join(FILE);
        match std::fs::read_to_string(&path) {
            Ok(text) => Self::read(&text).context(|| format!("`{}`", path.display())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error).context(|| format!("reading `{}`", path.display())),
        }
    }

    /// Reads the text of such a file.
    ///
    /// # Errors
    /// As [`Config::of`].
    pub fn read(text: &str) -> Result<Self> {
        let config: Self = toml::from_str(text).map_err(|error| wrong(text, &error))?;
        if config.inbox.after == After::Move && config.inbox.loaded.is_none() {
            return Err(Error::lake("[inbox] moves what is loaded, and does not say where to")
                .hint("name a folder: loaded = \"../loaded\""));
        }
        Ok(config)
    }

    /// Where stamps of a table's exports without an offset are read.
    pub fn source_timezone_of(&self, table: &str) -> Tz {
        let own = self.source_timezones.get(table).copied();
        own.or(self.source_timezone).unwrap_or(Tz::UTC)
    }
}

/// A fault of the file: where it is, which key, and the nearest right one.
fn wrong(text: &str, error: &toml::de::Error) -> Error {
    let line = error.span().map(|span| text[..span.start.min(text.len())].matches('\n').count());
    let place = line.map(|line| format!("line {}: ", line + 1)).unwrap_or_default();
    let message = error.message().lines().next().unwrap_or_default();
    // serde: unknown field `timezon`, expected one of `timezone`, `source_timezone`
    let mut quoted = message.split('`').skip(1).step_by(2);
    if message.starts_with("unknown ")
        && let Some(unknown) = quoted.next()
    {
        let known: Vec<&str> = quoted.collect();
        let hint = suggestion(unknown, known.iter().copied())
            .unwrap_or_else(|| format!("there are {}", listed(&known)));
        let what = if message.starts_with("unknown field") { "key" } else { "value" };
        return Error::lake(format!("{place}no {what} `{unknown}`")).hint(hint);
    }
    let key = line.and_then(|line| text.lines().nth(line)).and_then(|line| line.split_once('='));
    let key = key.map(|(key, _)| format!("`{}`: ", key.trim())).unwrap_or_default();
    let whole = error.message();
    match whole.split_once("\n  hint: ") {
        Some((what, hint)) => Error::lake(format!("{place}{key}{what}")).hint(hint),
        None => Error::lake(format!("{place}{key}{message}"))
            .hint("a line of it reads: timezone = \"America/Bogota\""),
    }
}

fn zone<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Tz>, D::Error> {
    let name = String::deserialize(from)?;
    read_zone(&name).map(Some).map_err(invalid)
}

/// An invalid value with its hint.
fn invalid<E: serde::de::Error>(Invalid { what, hint }: Invalid) -> E {
    E::custom(hint.map_or_else(|| what.clone(), |hint| format!("{what}\n  hint: {hint}")))
}

/// A country that has phone numbers, by its code.
pub(crate) fn read_country(text: &str) -> Result<Alpha2, String> {
    let wrong = |hint: String| Err(format!("no country with phone numbers\n  hint: {hint}"));
    let example = || "its code of two letters, such as CO".to_owned();
    match (countries::code(text), countries::by_name(text)) {
        (Some(code), _) if dialling_code(code).is_some() => Ok(code),
        (None, Some(code)) => wrong(did_you_mean(format_args!("`{code}`"))),
        (Some(_), _) => wrong(example()),
        (None, None) if text.len() < 4 => wrong(example()),
        (None, None) => {
            let near = nearest(text, countries::all().map(|(_, name)| name));
            let near =
                near.and_then(countries::by_name).filter(|code| dialling_code(code).is_some());
            wrong(near.map_or_else(example, |code| did_you_mean(format_args!("`{code}`"))))
        }
    }
}

fn country<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Alpha2>, D::Error> {
    let code = String::deserialize(from)?;
    read_country(&code).map(Some).map_err(serde::de::Error::custom)
}

fn zones<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<&'static str, Tz>, D::Error> {
    use serde::de::Error as _;
    let named = BTreeMap::<String, String>::deserialize(from)?;
    let zone = |(name, zone): (String, String)| {
        let tables = || TABLES.iter().map(|table| table.name);
        let Some(table) = tables().find(|table| *table == name) else {
            let hint = suggestion(&name, tables())
                .unwrap_or_else(|| "`wabalake load --help` lists them".to_owned());
            return Err(D::Error::custom(format!("no table `{name}`\n  hint: {hint}")));
        };
        Ok((table, read_zone(&zone).map_err(invalid)?))
    };
    named.into_iter().map(zone).collect()
}

fn umask<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Umask>, D::Error> {
    use serde::de::Error as _;
    let wrong = |what: &str| D::Error::custom(format!("{what}\n  hint: such as umask = \"027\""));
    let value = toml::Value::deserialize(from)?;
    let text = value.as_str().ok_or_else(|| wrong("no text: it stands in quotes"))?;
    let octal = matches!(text.len(), 3 | 4) && text.bytes().all(|byte| matches!(byte, b'0'..=b'7'));
    let bits = u32::from_str_radix(text, 8).ok().filter(|bits| octal && *bits <= 0o777);
    let bits = bits.ok_or_else(|| wrong("no umask: it is three octal digits"))?;
    if bits & 0o700 != 0 {
        return Err(wrong("the lake's owner could not read or write it: the first digit is 0"));
    }
    Ok(Some(Umask(bits)))
}

fn seconds<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u32>, D::Error> {
    seconds_from(1, "notify_seconds = 60", from)
}

fn settle_seconds<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u32>, D::Error> {
    seconds_from(0, "settle_seconds = 30", from)
}

fn seconds_from<'de, D: Deserializer<'de>>(
    least: u32,
    example: &str,
    from: D,
) -> Result<Option<u32>, D::Error> {
    use serde::de::Error as _;
    let value = toml::Value::deserialize(from)?;
    let seconds = value.as_integer().and_then(|seconds| u32::try_from(seconds).ok());
    match seconds.filter(|seconds| *seconds >= least) {
        Some(seconds) => Ok(Some(seconds)),
        None => Err(D::Error::custom(format!(
            "no whole number of seconds from {least} on\n  hint: such as {example}"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lake_without_the_file_says_nothing() {
        let lake = tempfile::tempdir().unwrap();
        assert_eq!(Config::of(lake.path()).unwrap(), Config::default());
        assert_eq!(Config::read("").unwrap(), Config::default());
    }

    #[test]
    fn all_that_can_be_said_is_read() {
        let config = Config::read(
            "# ours\ntimezone = \"America/Bogota\"\nsource_timezone = \"UTC\"\n\
             default_country = \"co\"\n\
             [source_timezones]\nad_spend = 'America/New_York'\n\
             [inbox]\nfolders = ['in']\nafter = 'move'\nloaded = 'done'\nsettle_seconds = 0\n\
             [[marts]]\nname = 'd'\nquery = 'return-rate'\n\
             params = { days = [1, 7], mode = 'within', latest_version = true, no = false }\n\
             [lake]\numask = '007'\n\
             [nightly]\nmetrics = 'w.prom'\nnotify_seconds = 5\n[retention]\ndays = 30\n\
             [privacy]\npeople_in_marts = true\n[page]\nfile = 'p.html'\n\
             [sql]\nfiles = true\n",
        )
        .unwrap();
        assert_eq!(config.timezone, Some(Tz::America__Bogota));
        assert_eq!(config.default_country, Some("CO"));
        assert_eq!(config.source_timezone_of("sessions"), Tz::UTC);
        assert_eq!(config.source_timezone_of("ad_spend"), Tz::America__New_York);
        assert_eq!(config.inbox.after, After::Move);
        assert!(config.inbox.settle().is_zero());
        assert_eq!(
            config.marts[0].words(),
            ["--days=1,7", "--latest-version", "--mode=within"],
            "a switch that is off is no word",
        );
        assert_eq!(config.retention.days, Some(30));
        assert_eq!(config.nightly.notify_limit(), Duration::from_secs(5));
        let umask = config.lake.umask.unwrap();
        assert_eq!((umask.bits(), umask.to_string().as_str()), (0o007, "007"));
        assert!(config.privacy.people_in_marts && !config.privacy.people_on_page);
        assert!(config.sql.files);
    }

    #[test]
    fn what_is_wrong_is_named_with_the_nearest_right_one() {
        for (text, lines) in [
            (
                "timezon = 'UTC'",
                "error: line 1: no key `timezon`\n  hint: did you mean `timezone`?",
            ),
            (
                "\n[inbox]\nfolder = ['in']",
                "error: line 3: no key `folder`\n  hint: did you mean `folders`?",
            ),
            (
                "[inbox]\nafter = 'mov'",
                "error: line 2: no value `mov`\n  hint: did you mean `move`?",
            ),
            ("[retention]\nxyz = 1", "error: line 2: no key `xyz`\n  hint: there are `days`"),
            (
                "timezone = 'America/Bogata'",
                "error: line 1: `timezone`: no such time zone\n  hint: did you mean `America/Bogota`?",
            ),
            (
                "timezone = 5",
                "error: line 1: `timezone`: invalid type: integer `5`, expected a string\n  \
                 hint: a line of it reads: timezone = \"America/Bogota\"",
            ),
            (
                "[nightly]\nnotify_seconds = 0",
                "error: line 2: `notify_seconds`: no whole number of seconds from 1 on\n  \
                 hint: such as notify_seconds = 60",
            ),
            (
                "[inbox]\nsettle_seconds = -1",
                "error: line 2: `settle_seconds`: no whole number of seconds from 0 on\n  \
                 hint: such as settle_seconds = 30",
            ),
            (
                "[lake]\numask = 27",
                "error: line 2: `umask`: no text: it stands in quotes\n  \
                 hint: such as umask = \"027\"",
            ),
            (
                "[lake]\numask = '1027'",
                "error: line 2: `umask`: no umask: it is three octal digits\n  \
                 hint: such as umask = \"027\"",
            ),
            (
                "[lake]\numask = '777'",
                "error: line 2: `umask`: the lake's owner could not read or write it: the first \
                 digit is 0\n  hint: such as umask = \"027\"",
            ),
            (
                "[inbox]\nafter = 'move'",
                "error: [inbox] moves what is loaded, and does not say where to\n  \
                 hint: name a folder: loaded = \"../loaded\"",
            ),
        ] {
            assert_eq!(Config::read(text).unwrap_err().lines(), lines);
        }
        let error = Config::read("[source_timezones]\nsesions = 'UTC'").unwrap_err();
        assert!(error.lines().ends_with("no table `sesions`\n  hint: did you mean `sessions`?"));
        let error = Config::read("timezone: UTC").unwrap_err();
        assert_eq!(error.exit_code(), 1);
        assert!(error.lines().ends_with("hint: a line of it reads: timezone = \"America/Bogota\""));
    }

    #[test]
    fn the_template_says_what_may_be_said() {
        let as_written = Config::read(TEMPLATE).unwrap();
        assert!(!as_written.marts.is_empty());
        // What is commented out has no space after its sign; sentences do.
        let settings = TEMPLATE.lines().map(|line| match line.strip_prefix('#') {
            Some(setting) if !setting.starts_with([' ', '#']) => setting,
            _ => line,
        });
        let all = Config::read(&settings.collect::<Vec<_>>().join("\n")).unwrap();
        assert!(all.timezone.is_some() && all.source_timezone.is_some());
        assert!(!all.source_timezones.is_empty());
        assert!(all.page.file.is_some() && all.page.days.is_some());
        assert!(all.nightly.metrics.is_some() && all.nightly.notify_command.is_some());
        assert_eq!(all.nightly.notify_limit(), Nightly::default().notify_limit());
        assert_eq!(all.inbox.settle(), Inbox::default().settle());
        assert!(all.inbox.settle_seconds.is_some());
        assert!(all.nightly.notify_seconds.is_some() && all.lake.umask.is_some());
        assert!(all.retention.days.is_some());
    }
}
