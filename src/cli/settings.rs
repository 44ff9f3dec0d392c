//! The effective settings: the command line over the environment over `wabalake.toml`.

use std::path::{Path, PathBuf};

use chrono_tz::Tz;
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, ValueEnum};
use wabalake_data::cells::phone::{digit, is_user_id};
use wabalake_queries::query::time::read_date;

use super::shared::{CountryOption, SourceZoneOption, StoreOption, ZoneOption};
use crate::config::{
    AlertSettings, Config, FILE, InboxSettings, MartSettings, MartSource, McpSettings,
};
use crate::error::{Context as _, Result};
use crate::lake::Lake;
use crate::load::Window;

// No doc comment: clap would take it for the description of the subcommand.
#[derive(Args, Clone, Debug)]
#[group(skip)]
pub(super) struct SettingsOptions {
    #[command(flatten)]
    zone: ZoneOption,

    #[command(flatten)]
    source_zone: SourceZoneOption,

    #[command(flatten)]
    country: CountryOption,

    /// Write metrics of the run to this file, in the text format of Prometheus [default: the
    /// lake's]
    #[arg(long, value_name = "FILE", env = "WABALAKE_METRICS", hide_env_values = true)]
    metrics: Option<PathBuf>,

    /// Shell command to run when the run is over, with its report as JSON on standard input; it is
    /// stopped after a minute, or the lake's `notify_seconds` [default: the lake's]
    #[arg(long, value_name = "COMMAND", env = "WABALAKE_NOTIFY_COMMAND", hide_env_values = true)]
    notify_command: Option<String>,
}

/// A setting with its effective value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Setting {
    /// The key, as in `wabalake.toml`.
    pub(super) key: String,
    /// The value; `None` if it is not set and has no default.
    pub(super) value: Option<String>,
    /// Where the value comes from: `--timezone`, `WABALAKE_TIMEZONE`, `wabalake.toml` or `default`.
    pub(super) from: String,
}

impl SettingsOptions {
    /// Returns the lake's settings, overridden by the environment and the command line.
    pub(super) fn of(&self, lake: &Lake) -> Result<Config> {
        let mut config = Config::of(lake)?;
        self.zone.apply(&mut config);
        self.source_zone.apply(&mut config);
        config.default_country = self.country.of(&config);
        // A path on the command line is relative to the working directory, not to the lake.
        if let Some(metrics) = &self.metrics {
            let path = std::path::absolute(metrics);
            let path = path.context(|| format!("resolving `{}`", metrics.display()))?;
            config.nightly.metrics = Some(path);
        }
        if self.notify_command.is_some() {
            config.nightly.notify_command.clone_from(&self.notify_command);
        }
        Ok(config)
    }

    /// Returns every setting with its effective value and where that comes from.
    pub(super) fn settings(
        &self,
        matches: &ArgMatches,
        lake: &Lake,
        store: &StoreOption,
    ) -> Result<Vec<Setting>> {
        let config = self.of(lake)?;
        let file = lake.settings()?.unwrap_or_default();
        let file: toml::Table = file.parse().unwrap_or_default();
        let from = |key: &str| {
            let option = key.rsplit('.').next().unwrap_or(key);
            let options =
                ["timezone", "source_timezone", "default_country", "metrics", "notify_command"];
            let source = options.contains(&option).then(|| matches.value_source(option)).flatten();
            match source {
                Some(ValueSource::CommandLine) => format!("--{}", option.replace('_', "-")),
                Some(ValueSource::EnvVariable) => format!("WABALAKE_{}", option.to_uppercase()),
                _ if is_in(&file, key) => FILE.to_owned(),
                _ => "default".to_owned(),
            }
        };
        let zone = |zone: Option<Tz>| zone.unwrap_or(Tz::UTC).name().to_owned();
        let path = |path: &Option<PathBuf>| path.as_deref().map(shown);
        let paths =
            |paths: &[PathBuf]| paths.iter().map(|p| shown(p)).collect::<Vec<_>>().join(", ");
        let Config { inbox, page, nightly, retention, privacy, sql, hours, .. } = &config;
        let pricing = config.pricing.defaults();
        let mut settings: Vec<(String, Option<String>)> = vec![
            ("timezone".into(), Some(zone(config.timezone))),
            ("source_timezone".into(), Some(zone(config.source_timezone))),
        ];
        for (table, own) in &config.source_timezones {
            settings.push((format!("source_timezones.{table}"), Some(own.name().to_owned())));
        }
        let country = config.default_country.map(str::to_owned);
        settings.push(("default_country".into(), country));
        settings.push(("lake.umask".into(), config.lake.umask.map(|umask| umask.to_string())));
        let folders = Some(paths(&inbox.folders)).filter(|folders| !folders.is_empty());
        settings.extend([
            ("inbox.folders".into(), folders),
            ("inbox.after".into(), Some(inbox.after.name().to_owned())),
            ("inbox.loaded".into(), path(&inbox.loaded)),
            ("inbox.failed".into(), path(&inbox.failed)),
            ("inbox.settle_seconds".into(), Some(inbox.settle().as_secs().to_string())),
            (
                "inbox.window".into(),
                (inbox.window == Window::Rows).then(|| Window::ROWS.to_owned()),
            ),
            ("inbox.windows".into(), patterns(inbox)),
        ]);
        for mart in &config.marts {
            settings.push((format!("marts.{}", mart.name), Some(shown_mart(mart))));
        }
        settings.extend(config.alerts.iter().map(alert));
        for audience in &config.audiences {
            settings.push((format!("audiences.{}", audience.name), Some(audience.rule.clone())));
        }
        settings.extend([
            ("page.file".into(), path(&page.file)),
            ("page.days".into(), page.days.map(|days| days.to_string())),
            ("page.email".into(), path(&page.email)),
            ("page.subject".into(), page.subject.clone()),
            ("nightly.metrics".into(), path(&nightly.metrics)),
            ("nightly.notify_command".into(), nightly.notify_command.clone()),
            ("nightly.notify_seconds".into(), Some(nightly.notify_limit().as_secs().to_string())),
            ("nightly.fail_on_alerts".into(), Some(nightly.fail_on_alerts.to_string())),
            ("nightly.views".into(), path(&nightly.views)),
            ("retention.days".into(), retention.days.map(|days| days.to_string())),
            ("privacy.people_in_marts".into(), Some(privacy.people_in_marts.to_string())),
            ("privacy.people_on_page".into(), Some(privacy.people_on_page.to_string())),
            ("privacy.people_in_answers".into(), Some(privacy.people_in_answers.to_string())),
            ("privacy.people_in_audiences".into(), Some(privacy.people_in_audiences.to_string())),
            ("privacy.people_in_views".into(), Some(privacy.people_in_views.to_string())),
            ("privacy.keep_out".into(), Some(privacy.keep_out.to_string())),
            ("privacy.keep_out_key".into(), path(&privacy.keep_out_key)),
            ("sql.files".into(), Some(sql.files.to_string())),
            (
                "pricing.free_service_messages".into(),
                Some(pricing.free_service_messages().to_string()),
            ),
            ("pricing.entry_point".into(), word(pricing.entry_point())),
            ("pricing.pricing".into(), word(pricing.pricing())),
            ("hours.weekly".into(), Some(hours.weekly().to_string())),
            ("hours.holidays".into(), Some(hours.holidays.to_string()).filter(|of| !of.is_empty())),
        ]);
        settings.extend(for_assistants(config.mcp));
        for (name, value) in config.store.named() {
            settings.push((format!("store.{name}"), Some(value)));
        }
        let settings = settings.into_iter();
        let mut settings: Vec<_> =
            settings.map(|(key, value)| Setting { from: from(&key), key, value }).collect();
        if lake.place().as_folder().is_none() {
            // Those of the lake's own store: it is reached before its settings can be read.
            settings.extend(store.in_force()?.into_iter().map(|(name, value, from)| Setting {
                key: format!("--store-option {name}"),
                value: Some(value),
                from,
            }));
        }
        Ok(settings)
    }
}

/// The key and the value of an alert.
fn alert(alert: &AlertSettings) -> (String, Option<String>) {
    let words = std::iter::once(alert.query.clone()).chain(alert.arguments());
    let words: Vec<String> = words.map(|word| masked(&word)).collect();
    let AlertSettings { name, column, rule, value, .. } = alert;
    let shown = format!("{}: {column} {} {value}", words.join(" "), rule.name());
    (format!("alerts.{name}"), Some(shown))
}

/// The settings of `wabalake mcp`.
fn for_assistants(mcp: McpSettings) -> [(String, Option<String>); 4] {
    [
        ("mcp.rows".into(), Some(mcp.rows().to_string())),
        ("mcp.seconds".into(), Some(mcp.time_limit().as_secs().to_string())),
        ("mcp.sql".into(), Some(mcp.sql.to_string())),
        ("mcp.people".into(), Some(mcp.people.to_string())),
    ]
}

/// The patterns of file names, each in quotes.
fn patterns(inbox: &InboxSettings) -> Option<String> {
    let patterns = inbox.windows.iter().map(|window| format!("'{}'", window.pattern));
    let patterns = patterns.collect::<Vec<_>>().join(", ");
    (!patterns.is_empty()).then_some(patterns)
}

/// Returns `true` if the file sets a key such as `inbox.after`. Any `marts.NAME` counts as set if the file has
/// marts; so do `alerts.NAME` and `audiences.NAME`.
fn is_in(file: &toml::Table, key: &str) -> bool {
    let (first, rest) = key.split_once('.').unwrap_or((key, ""));
    match file.get(first) {
        Some(toml::Value::Table(section)) => section.contains_key(rest),
        Some(_) => true,
        None => false,
    }
}

/// The name of a clap enumeration's value.
fn word(of: impl ValueEnum) -> Option<String> {
    of.to_possible_value().map(|value| value.get_name().to_owned())
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// A mart as a query with its options, or as a file of SQL with its parameters.
fn shown_mart(mart: &MartSettings) -> String {
    let (first, arguments) = match &mart.source {
        MartSource::Query(query) => (query.clone(), mart.arguments()),
        MartSource::Sql(file) => {
            let parameters = mart.parameters().into_iter();
            (shown(file), parameters.map(|given| format!("--param={given}")).collect())
        }
    };
    let arguments = arguments.iter().map(|argument| masked(argument));
    std::iter::once(first).chain(arguments).collect::<Vec<_>>().join(" ")
}

/// Masks the value of an argument that names a person. A parameter may: a phone, or a user id.
fn masked(argument: &str) -> String {
    let parts: Vec<&str> = argument.splitn(3, '=').collect();
    match parts.as_slice() {
        ["--phone", ..] => "--phone=…".to_owned(),
        ["--param", name, value] if may_be_person(value) => format!("--param={name}=…"),
        _ => argument.to_owned(),
    }
}

/// Returns `true` for user ids, and for digits that are no date.
fn may_be_person(value: &str) -> bool {
    let is_of_phone = |c: char| digit(c).is_some() || "+-() .".contains(c);
    let digits = value.chars().filter_map(digit).count();
    let is_number = digits >= 7 && value.chars().all(is_of_phone) && read_date(value).is_err();
    is_number || is_user_id(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_the_file_are_distinguished_from_defaults() {
        let file =
            "timezone = 'UTC'\n[inbox]\nafter = 'leave'\n[[marts]]\nname = 'a'\nquery = 'q'\n";
        let file: toml::Table = file.parse().unwrap();
        for (key, is_set) in [
            ("timezone", true),
            ("source_timezone", false),
            ("inbox.after", true),
            ("inbox.folders", false),
            ("marts.a", true),
            ("page.file", false),
        ] {
            assert_eq!(is_in(&file, key), is_set, "{key}");
        }
    }

    #[test]
    fn phone_numbers_are_masked() {
        assert_eq!(masked("--phone=573000001234"), "--phone=…");
        assert_eq!(masked("--by=day"), "--by=day");
        for (parameter, shown) in [
            ("--param=person=573005550101", "--param=person=…"),
            ("--param=person:text=+57 300 555-0101", "--param=person:text=…"),
            ("--param=person=CO.13491208655302741918", "--param=person=…"),
            ("--param=since=2025-06-01", "--param=since=2025-06-01"),
            ("--param=since=2025-06-01T10:00:00Z", "--param=since=2025-06-01T10:00:00Z"),
            ("--param=flow=41207", "--param=flow=41207"),
        ] {
            assert_eq!(masked(parameter), shown);
        }
    }
}
