//! What is in force: the command line over the environment over `wabalake.toml`.

use std::path::{Path, PathBuf};

use chrono_tz::Tz;
use clap::parser::ValueSource;
use clap::{ArgMatches, Args};
use wabalake_queries::query::time::read_zone;

use super::shared::CountryOption;
use crate::config::{Config, FILE};
use crate::error::{Context as _, Result};
use crate::lake::Lake;

// No doc comment: clap would take it for the description of the whole subcommand.
#[derive(Args, Clone, Debug)]
#[group(skip)]
pub(super) struct SettingsOptions {
    /// IANA zone whose clock says when days, weeks and months begin [default: the lake's, else UTC]
    #[arg(
        long,
        value_name = "ZONE",
        env = "WABALAKE_TIMEZONE",
        hide_env_values = true,
        value_parser = read_zone
    )]
    timezone: Option<Tz>,

    /// IANA zone of stamps without an offset [default: the lake's, else UTC]
    #[arg(
        long,
        value_name = "ZONE",
        env = "WABALAKE_SOURCE_TIMEZONE",
        hide_env_values = true,
        value_parser = read_zone
    )]
    source_timezone: Option<Tz>,

    #[command(flatten)]
    country: CountryOption,

    /// Write what the night did to this file, for Prometheus [default: as the lake says]
    #[arg(long, value_name = "FILE", env = "WABALAKE_METRICS", hide_env_values = true)]
    metrics: Option<PathBuf>,

    /// Run this by the shell once the night is over, with the run as JSON on its standard input; it
    /// has a minute, or the lake's `notify_seconds` [default: as the lake says]
    #[arg(long, value_name = "COMMAND", env = "WABALAKE_NOTIFY_COMMAND", hide_env_values = true)]
    notify_command: Option<String>,
}

/// A setting that is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Setting {
    /// Its name, as the file has it.
    pub(super) key: String,
    /// Its value; none where there is none.
    pub(super) value: Option<String>,
    /// `--timezone`, `WABALAKE_TIMEZONE`, `wabalake.toml` or `default`.
    pub(super) from: String,
}

impl SettingsOptions {
    /// The lake's settings with those of the command line and the environment in their place.
    pub(super) fn of(&self, lake: &Lake) -> Result<Config> {
        let mut config = Config::of(lake.root())?;
        config.timezone = self.timezone.or(config.timezone);
        if self.source_timezone.is_some() {
            config.source_timezone = self.source_timezone;
            config.source_timezones.clear();
        }
        config.default_country = self.country.of(&config);
        // What is said here is said from here, not from the lake's folder.
        if let Some(metrics) = &self.metrics {
            let here = std::path::absolute(metrics);
            let here = here.context(|| format!("finding `{}`", metrics.display()))?;
            config.nightly.metrics = Some(here);
        }
        if self.notify_command.is_some() {
            config.nightly.notify_command.clone_from(&self.notify_command);
        }
        Ok(config)
    }

    /// Every setting, and where its value comes from.
    pub(super) fn settings(&self, matches: &ArgMatches, lake: &Lake) -> Result<Vec<Setting>> {
        let config = self.of(lake)?;
        let file = std::fs::read_to_string(lake.root().join(FILE)).unwrap_or_default();
        let file: toml::Table = file.parse().unwrap_or_default();
        let from = |key: &str| {
            let option = key.rsplit('.').next().unwrap_or(key);
            let said =
                ["timezone", "source_timezone", "default_country", "metrics", "notify_command"];
            let source = said.contains(&option).then(|| matches.value_source(option)).flatten();
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
        let Config { inbox, page, nightly, retention, privacy, sql, .. } = &config;
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
        ]);
        for mart in &config.marts {
            let words = std::iter::once(mart.query.clone()).chain(mart.words());
            let words = words.map(|word| masked(&word)).collect::<Vec<_>>().join(" ");
            settings.push((format!("marts.{}", mart.name), Some(words)));
        }
        settings.extend([
            ("page.file".into(), path(&page.file)),
            ("page.days".into(), page.days.map(|days| days.to_string())),
            ("nightly.metrics".into(), path(&nightly.metrics)),
            ("nightly.notify_command".into(), nightly.notify_command.clone()),
            ("nightly.notify_seconds".into(), Some(nightly.notify_limit().as_secs().to_string())),
            ("retention.days".into(), retention.days.map(|days| days.to_string())),
            ("privacy.people_in_marts".into(), Some(privacy.people_in_marts.to_string())),
            ("privacy.people_on_page".into(), Some(privacy.people_on_page.to_string())),
            ("privacy.keep_out".into(), Some(privacy.keep_out.to_string())),
            ("privacy.keep_out_key".into(), path(&privacy.keep_out_key)),
            ("sql.files".into(), Some(sql.files.to_string())),
        ]);
        let settings = settings.into_iter();
        Ok(settings.map(|(key, value)| Setting { from: from(&key), key, value }).collect())
    }
}

/// Whether a file says something of a key such as `inbox.after`; marts are named by their own keys.
fn is_in(file: &toml::Table, key: &str) -> bool {
    let (first, rest) = key.split_once('.').unwrap_or((key, ""));
    match file.get(first) {
        Some(toml::Value::Table(section)) => section.contains_key(rest),
        Some(_) => true,
        None => false,
    }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// An option that names people is not repeated.
fn masked(word: &str) -> String {
    match word.split_once('=') {
        Some((option @ "--phone", _)) => format!("{option}=…"),
        _ => word.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_file_says_is_told_from_what_nobody_says() {
        let file =
            "timezone = 'UTC'\n[inbox]\nafter = 'leave'\n[[marts]]\nname = 'a'\nquery = 'q'\n";
        let file: toml::Table = file.parse().unwrap();
        for (key, said) in [
            ("timezone", true),
            ("source_timezone", false),
            ("inbox.after", true),
            ("inbox.folders", false),
            ("marts.a", true),
            ("page.file", false),
        ] {
            assert_eq!(is_in(&file, key), said, "{key}");
        }
    }

    #[test]
    fn a_phone_is_not_repeated() {
        assert_eq!(masked("--phone=573000001234"), "--phone=…");
        assert_eq!(masked("--by=day"), "--by=day");
    }
}
