//! What a lake says of itself: `<lake>/wabalake.toml`.
//!
//! ```toml
//! timezone = "America/Bogota"        # where days begin, unless --timezone says otherwise
//! source_timezone = "America/Bogota" # of stamps without an offset, unless --source-timezone does
//! ```
//!
//! The file is a person's: wabalake reads it and never writes it.

use std::io::ErrorKind;
use std::path::Path;

use chrono_tz::Tz;
use wabalake_queries::query::nearest;
use wabalake_queries::query::zone::read_zone;

use crate::error::{Context as _, Error, Result};

/// The name of the file within a lake.
pub const FILE: &str = "wabalake.toml";

const TIMEZONE: &str = "timezone";
const SOURCE_TIMEZONE: &str = "source_timezone";

/// What a lake says of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// The reporting zone.
    pub timezone: Option<Tz>,
    /// Where stamps without an offset are read.
    pub source_timezone: Option<Tz>,
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

    fn read(text: &str) -> Result<Self> {
        let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
            Error::lake(error.message()).hint("a line of it reads: timezone = \"America/Bogota\"")
        })?;
        let mut config = Self::default();
        for (key, value) in &table {
            let zone = || match value.as_str() {
                Some(name) => read_zone(name).map(Some),
                None => {
                    Err("its value is not a text in quotes\n  hint: such as \"UTC\"".to_owned())
                }
            };
            match key.as_str() {
                TIMEZONE => config.timezone = zone().map_err(|said| wrong(key, &said))?,
                SOURCE_TIMEZONE => {
                    config.source_timezone = zone().map_err(|said| wrong(key, &said))?;
                }
                unknown => {
                    let keys = [TIMEZONE, SOURCE_TIMEZONE];
                    let hint = match nearest(unknown, keys) {
                        Some(known) => format!("did you mean `{known}`?"),
                        None => format!("it takes `{TIMEZONE}` and `{SOURCE_TIMEZONE}`"),
                    };
                    return Err(Error::lake(format!("no key `{unknown}`")).hint(hint));
                }
            }
        }
        Ok(config)
    }
}

fn wrong(key: &str, said: &str) -> Error {
    let (what, hint) = said.split_once("\n  hint: ").unwrap_or((said, "a zone is an IANA name"));
    Error::lake(format!("`{key}`: {what}")).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lake_without_the_file_says_nothing() {
        let lake = tempfile::tempdir().unwrap();
        assert_eq!(Config::of(lake.path()).unwrap(), Config::default());
    }

    #[test]
    fn zones_are_read() {
        let text = "# ours\ntimezone = \"America/Bogota\"\nsource_timezone = \"UTC\"\n";
        let config = Config::read(text).unwrap();
        assert_eq!(config.timezone, Some(Tz::America__Bogota));
        assert_eq!(config.source_timezone, Some(Tz::UTC));
        assert_eq!(Config::read("").unwrap(), Config::default());
    }

    #[test]
    fn what_is_wrong_is_named_with_the_nearest_right_one() {
        for (text, lines) in [
            ("timezon = 'UTC'", "error: no key `timezon`\n  hint: did you mean `timezone`?"),
            (
                "timezone = 'America/Bogata'",
                "error: `timezone`: no such time zone\n  hint: did you mean `America/Bogota`?",
            ),
            (
                "timezone = 5",
                "error: `timezone`: its value is not a text in quotes\n  hint: such as \"UTC\"",
            ),
        ] {
            assert_eq!(Config::read(text).unwrap_err().lines(), lines);
        }
        let error = Config::read("timezone: UTC").unwrap_err();
        assert_eq!(error.exit_code(), 1);
        assert!(error.lines().ends_with("hint: a line of it reads: timezone = \"America/Bogota\""));
    }
}
