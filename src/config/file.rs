//! Parser of `wabalake.toml`: errors name the line, the key and the nearest valid name.
//!
//! ```text
//! error: line 3: no key `folder`
//!   hint: did you mean `folders`?
//! ```

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;

use clap::ValueEnum;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use toml::Spanned;
use wabalake_data::cells::phone::dialling_code;
use wabalake_data::reference::countries;
use wabalake_data::words::{did_you_mean, listed, nearest, suggestion};
use wabalake_data::{Invalid, TABLES};
use wabalake_queries::query::time::{Holidays, WeeklyHours, read_date, read_zone};

use super::{
    AlertSettings, Alpha2, AudienceSettings, Config, HoursSettings, InboxSettings, LakeSettings,
    MartSettings, MartSource, McpSettings, NightlySettings, PageSettings, Param, PricingSettings,
    PrivacySettings, RetentionSettings, SqlSettings, Umask,
};
use crate::error::{Error, Result};
use crate::load::{NamePattern, Window};
use crate::place::StoreOptions;

/// The file before names of zones, countries and tables are looked up.
///
/// An error of serde is a text without a hint, so these are looked up afterwards, by their place in the
/// file.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    timezone: Option<Spanned<String>>,
    source_timezone: Option<Spanned<String>>,
    source_timezones: BTreeMap<Spanned<String>, Spanned<String>>,
    default_country: Option<Spanned<String>>,
    lake: LakeSettings,
    inbox: InboxSettings,
    marts: Vec<MartFile>,
    alerts: Vec<AlertSettings>,
    audiences: Vec<AudienceSettings>,
    page: PageSettings,
    nightly: NightlySettings,
    retention: RetentionSettings,
    privacy: PrivacySettings,
    sql: SqlSettings,
    store: BTreeMap<Spanned<String>, toml::Value>,
    pricing: PricingSettings,
    hours: HoursSettings,
    mcp: McpSettings,
}

/// `[[marts]]`, before it is known if it has a query or SQL.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MartFile {
    name: Spanned<String>,
    query: Option<String>,
    sql: Option<PathBuf>,
    #[serde(default)]
    params: BTreeMap<String, Param>,
}

/// Lines that show how a key is written, by the last part of the key.
const EXAMPLES: [(&str, &str); 18] = [
    ("umask", "umask = \"027\""),
    ("settle_seconds", "settle_seconds = 30"),
    ("window", "window = \"rows\""),
    ("pattern", r"pattern = '(?<from>[\d-]{10})_(?<to>[\d-]{10})'"),
    ("notify_seconds", "notify_seconds = 60"),
    ("free_service_messages", "free_service_messages = 1000"),
    ("entry_point", "entry_point = \"type\""),
    ("pricing", "pricing = \"reported\""),
    ("weekly", "weekly = \"Mon-Fri 09:00-13:00 14:00-18:00; Sat 09:00-13:00\""),
    ("holidays", "holidays = [\"2026-12-25\"]"),
    ("value", "value = 4"),
    ("mature_days", "mature_days = 2"),
    ("weeks", "weeks = 8"),
    ("min_points", "min_points = 5"),
    ("min_change", "min_change = 3"),
    ("min_count", "min_count = { column = \"deployments\", value = 50 }"),
    ("rows", "rows = 200"),
    ("seconds", "seconds = 60"),
];

/// Parses the text of a settings file.
pub(super) fn read(text: &str) -> Result<Config> {
    let file: File = toml::from_str(text).map_err(|error| parse_error(text, &error))?;
    let look_up = LookUp { text };
    let mut source_timezones = BTreeMap::new();
    for (table, zone) in &file.source_timezones {
        source_timezones.insert(look_up.value(table, read_table)?, look_up.value(zone, read_zone)?);
    }
    Ok(Config {
        timezone: look_up.option(file.timezone.as_ref(), read_zone)?,
        source_timezone: look_up.option(file.source_timezone.as_ref(), read_zone)?,
        source_timezones,
        default_country: look_up.option(file.default_country.as_ref(), read_country)?,
        lake: file.lake,
        inbox: file.inbox,
        marts: file.marts.into_iter().map(|mart| look_up.mart(mart)).collect::<Result<_>>()?,
        alerts: file.alerts,
        audiences: file.audiences,
        page: file.page,
        nightly: file.nightly,
        retention: file.retention,
        privacy: file.privacy,
        sql: file.sql,
        store: look_up.store(&file.store)?,
        pricing: file.pricing,
        hours: file.hours,
        mcp: file.mcp,
    })
}

/// Looks up names of the file. An error names their line and key.
struct LookUp<'a> {
    text: &'a str,
}

impl LookUp<'_> {
    fn option<T>(
        &self,
        name: Option<&Spanned<String>>,
        read: impl Fn(&str) -> Result<T, Invalid>,
    ) -> Result<Option<T>> {
        name.map(|name| self.value(name, read)).transpose()
    }

    fn mart(&self, mart: MartFile) -> Result<MartSettings> {
        let MartFile { name, query, sql, params } = mart;
        let which = match (query, sql) {
            (Some(query), None) => Ok(MartSource::Query(query)),
            (None, Some(file)) => Ok(MartSource::Sql(file)),
            (None, None) => Err("neither `query` nor `sql`"),
            (Some(_), Some(_)) => Err("both `query` and `sql`"),
        };
        let line = Place::of(self.text, name.span()).line;
        let name = name.into_inner();
        let source = which.map_err(|has| {
            Error::lake(format!("line {line}: mart `{name}` has {has}"))
                .hint("write one of them: query = \"delivery-rate\", or sql = \"FILE.sql\"")
        })?;
        Ok(MartSettings { name, source, params })
    }

    /// Parses the options of a store. No error repeats a value, nor a key that is no option.
    fn store(&self, file: &BTreeMap<Spanned<String>, toml::Value>) -> Result<StoreOptions> {
        let mut options = StoreOptions::default();
        for (key, value) in file {
            let value = match value {
                toml::Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            options.set(&format!("{}={value}", key.get_ref())).map_err(|error| {
                let details = error.details();
                let line = Place::of(self.text, key.span()).line;
                let hint = details.hint.clone().unwrap_or_default();
                Error::lake(format!("line {line}: [store]: {}", details.what)).hint(hint)
            })?;
        }
        Ok(options)
    }

    fn value<T>(
        &self,
        name: &Spanned<String>,
        read: impl Fn(&str) -> Result<T, Invalid>,
    ) -> Result<T> {
        read(name.get_ref()).map_err(|Invalid { what, hint }| {
            let place = Place::of(self.text, name.span());
            let error = Error::lake(format!("{}{what}", place.prefix()));
            match hint {
                Some(hint) => error.hint(hint),
                None => error,
            }
        })
    }
}

/// The file of `--config`.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct StoreFile {
    store: BTreeMap<Spanned<String>, toml::Value>,
}

/// Parses the text of a file with options of a store alone.
pub(super) fn read_store(text: &str) -> Result<StoreOptions> {
    let file: StoreFile = toml::from_str(text).map_err(|error| parse_error(text, &error))?;
    LookUp { text }.store(&file.store)
}

/// A line of the file, and the key whose value starts there.
struct Place<'a> {
    line: usize,
    key: Option<&'a str>,
}

impl<'a> Place<'a> {
    fn of(text: &'a str, span: Range<usize>) -> Self {
        let before = text.get(..span.start).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        let is_key = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
        let key = before.trim_end().strip_suffix('=').map(str::trim_end);
        let key = key.map(|key| &key[key.trim_end_matches(is_key).len()..]);
        Self { line, key: key.filter(|key| !key.is_empty()) }
    }

    fn prefix(&self) -> String {
        let key = self.key.map(|key| format!("`{key}`: ")).unwrap_or_default();
        format!("line {}: {key}", self.line)
    }

    /// Returns a line that shows how the key is written.
    fn example(&self) -> &'static str {
        let last = self.key.and_then(|key| key.rsplit('.').next());
        let example = EXAMPLES.iter().find(|(key, _)| Some(*key) == last);
        example.map_or("timezone = \"America/Bogota\"", |(_, example)| example)
    }
}

/// Converts an error of the parser: a syntax error, an unknown key or a value of the wrong type.
fn parse_error(text: &str, error: &toml::de::Error) -> Error {
    let place = Place::of(text, error.span().unwrap_or_default());
    let message = error.message().lines().next().unwrap_or_default();
    // serde: unknown field `timezon`, expected one of `timezone`, `source_timezone`
    let mut quoted = message.split('`').skip(1).step_by(2);
    if message.starts_with("unknown ")
        && let Some(unknown) = quoted.next()
    {
        let known: Vec<&str> = quoted.collect();
        let hint = suggestion(unknown, known.iter().copied())
            .unwrap_or_else(|| format!("it takes {}", listed(&known)));
        let what = if message.starts_with("unknown field") { "key" } else { "value" };
        return Error::lake(format!("line {}: no {what} `{unknown}`", place.line)).hint(hint);
    }
    let error = Error::lake(format!("{}{message}", place.prefix()));
    match message.strip_prefix("missing field `") {
        Some(key) => error.hint(format!("add it: {} = …", key.trim_end_matches('`'))),
        None => error.hint(format!("write it as in: {}", place.example())),
    }
}

/// Parses the name of a table.
fn read_table(name: &str) -> Result<&'static str, Invalid> {
    let tables = || TABLES.iter().map(|table| table.name);
    tables().find(|table| *table == name).ok_or_else(|| {
        let hint = suggestion(name, tables())
            .unwrap_or_else(|| "`wabalake load --help` lists them".to_owned());
        Invalid::new(format!("no table `{name}`")).hint(hint)
    })
}

/// Parses the ISO 3166-1 alpha-2 code of a country that has phone numbers.
pub(crate) fn read_country(text: &str) -> Result<Alpha2, Invalid> {
    let suggested = match (countries::code(text), countries::by_name(text)) {
        (Some(code), _) if dialling_code(code).is_some() => return Ok(code),
        (None, Some(code)) => Some(code),
        (None, None) if text.len() >= 4 => {
            let near = nearest(text, countries::all().map(|(_, name)| name));
            near.and_then(countries::by_name).filter(|code| dialling_code(code).is_some())
        }
        _ => None,
    };
    let hint = suggested.map_or_else(
        || "its code of two letters, such as CO".to_owned(),
        |code| did_you_mean(format_args!("`{code}`")),
    );
    Err(Invalid::new("no country with phone numbers").hint(hint))
}

pub(super) fn umask<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Umask>, D::Error> {
    let value = toml::Value::deserialize(from)?;
    let text = value.as_str().ok_or_else(|| D::Error::custom("a umask is a text in quotes"))?;
    let octal = matches!(text.len(), 3 | 4) && text.bytes().all(|byte| matches!(byte, b'0'..=b'7'));
    let bits = u32::from_str_radix(text, 8).ok().filter(|bits| octal && *bits <= 0o777);
    let bits = bits.ok_or_else(|| D::Error::custom("a umask is three octal digits"))?;
    if bits & 0o700 != 0 {
        return Err(D::Error::custom("the first digit must be 0, or the owner has no access"));
    }
    Ok(Some(Umask(bits)))
}

pub(super) fn notify_seconds<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u32>, D::Error> {
    seconds(1, from)
}

pub(super) fn settle_seconds<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u32>, D::Error> {
    seconds(0, from)
}

pub(super) fn answer_seconds<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u32>, D::Error> {
    seconds(1, from)
}

pub(super) fn answer_rows<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u16>, D::Error> {
    /// An assistant reads every row, at its user's expense.
    const MOST: u16 = 1_000;
    let value = toml::Value::deserialize(from)?;
    let rows = value.as_integer().and_then(|rows| u16::try_from(rows).ok());
    let rows = rows.filter(|rows| (1..=MOST).contains(rows));
    rows.ok_or_else(|| D::Error::custom(format!("not a whole number from 1 to {MOST}"))).map(Some)
}

fn seconds<'de, D: Deserializer<'de>>(least: u32, from: D) -> Result<Option<u32>, D::Error> {
    let value = toml::Value::deserialize(from)?;
    let seconds = value.as_integer().and_then(|seconds| u32::try_from(seconds).ok());
    let seconds = seconds.filter(|seconds| *seconds >= least);
    let invalid = || D::Error::custom(format!("not a whole number of seconds from {least} on"));
    seconds.ok_or_else(invalid).map(Some)
}

pub(super) fn window<'de, D: Deserializer<'de>>(from: D) -> Result<Window, D::Error> {
    match String::deserialize(from)?.as_str() {
        Window::ROWS => Ok(Window::Rows),
        // As serde writes it, for `parse_error`.
        other => {
            Err(D::Error::custom(format!("unknown variant `{other}`, expected `{}`", Window::ROWS)))
        }
    }
}

pub(super) fn pattern<'de, D: Deserializer<'de>>(from: D) -> Result<NamePattern, D::Error> {
    NamePattern::new(&String::deserialize(from)?).map_err(|invalid| D::Error::custom(invalid.what))
}

pub(super) fn free_service_messages<'de, D>(from: D) -> Result<Option<i64>, D::Error>
where
    D: Deserializer<'de>,
{
    let value = toml::Value::deserialize(from)?;
    let number = value.as_integer().filter(|number| *number >= 0);
    number.ok_or_else(|| D::Error::custom("not a whole number from 0 on")).map(Some)
}

pub(super) fn weekly<'de, D: Deserializer<'de>>(from: D) -> Result<Option<WeeklyHours>, D::Error> {
    let text = String::deserialize(from)?;
    WeeklyHours::read(&text).map_err(|invalid| D::Error::custom(invalid.what)).map(Some)
}

/// Parses a list of dates, with or without quotes.
pub(super) fn holidays<'de, D: Deserializer<'de>>(from: D) -> Result<Holidays, D::Error> {
    let dates = Vec::<toml::Value>::deserialize(from)?;
    let read = |date: &toml::Value| {
        let text = date.as_str().map_or_else(|| date.to_string(), str::to_owned);
        read_date(&text).map_err(|invalid| D::Error::custom(invalid.what))
    };
    dates.iter().map(read).collect()
}

/// Parses the name of a clap enumeration's value.
pub(super) fn word<'de, T: ValueEnum, D>(from: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
{
    let word = String::deserialize(from)?;
    let unknown = |_| {
        let names = T::value_variants().iter().filter_map(ValueEnum::to_possible_value);
        let names: Vec<String> = names.map(|name| format!("`{}`", name.get_name())).collect();
        // As serde writes it, for `parse_error`.
        D::Error::custom(format!("unknown variant `{word}`, expected one of {}", names.join(", ")))
    };
    T::from_str(&word, false).map_err(unknown).map(Some)
}
