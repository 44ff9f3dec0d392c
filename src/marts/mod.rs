//! Marts: answers of catalog queries that are stored as tables.
//!
//! ```text
//! [[marts]] in wabalake.toml   a name, a query and its parameters
//!   │ Mart           the question, checked; a fingerprint of its definition
//!   │ PinnedTables   the tables that it reads, each at one version
//!   │ Provenance     the fingerprints of both, as the mart's commit stores them
//!   ▼ fresh          a question is answered from a mart whose provenance is still that of the tables
//! ```
//!
//! [`nightly`](crate::nightly) computes marts; [`lake::marts`](crate::lake::marts) stores them.

pub mod fresh;
mod pinned;
mod provenance;

use std::fmt::Write as _;

use chrono::NaiveDate;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use wabalake_data::words::{did_you_mean, nearest, suggestion_and};
use wabalake_queries::CATALOG;
use wabalake_queries::query::{AnswerBuckets, CatalogEntry, Defaults, OutputColumn, Question};
use xxhash_rust::xxh3::xxh3_128;

use crate::config::{Config, MartSettings};
use crate::error::{Error, Result};
use crate::lake::Layout;

pub use self::pinned::{Fingerprint, PinnedTable, PinnedTables};
pub(crate) use self::provenance::Provenance;

/// The format of stored marts. Raising it rebuilds them all.
const MART_VERSION: u32 = 2;

/// A query of the catalog with its parameters, whose answer is stored under a name.
#[derive(Debug)]
pub struct Mart {
    /// Its name, which is also that of its folder.
    pub name: String,
    /// The question that it answers.
    pub question: Question,
    /// How its table is stored.
    pub layout: Layout,
    entry: &'static CatalogEntry,
    /// Its options without `--from` and `--to`.
    words: Vec<String>,
    defaults: Defaults,
}

impl Mart {
    /// The marts that the lake settings define.
    ///
    /// # Errors
    /// Two marts of one name; an unknown query or option; columns that only rows tell; a column of people,
    /// unless the settings allow that.
    pub fn all(config: &Config) -> Result<Vec<Self>> {
        let mut marts: Vec<Self> = Vec::new();
        for settings in &config.marts {
            if marts.iter().any(|mart| mart.name == settings.name) {
                return Err(Error::lake(format!("there are two marts `{}`", settings.name))
                    .hint("give one of them another name in wabalake.toml"));
            }
            let mart = Self::of(settings, config);
            marts.push(mart.map_err(|error| error.context(format!("mart `{}`", settings.name)))?);
        }
        Ok(marts)
    }

    /// One mart of the lake settings.
    ///
    /// # Errors
    /// As [`Mart::all`].
    pub fn of(settings: &MartSettings, config: &Config) -> Result<Self> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c);
        let begins_well = settings.name.starts_with(|c: char| c.is_ascii_lowercase());
        if !begins_well || !settings.name.chars().all(plain) {
            return Err(Error::lake("its name is also the name of a folder")
                .hint("use lower-case letters, digits, `-` and `_`, beginning with a letter"));
        }
        let entry = entry_named(&settings.query)?;
        let mut words = settings.arguments();
        // Whether a mart may name people is its own setting: see below.
        let defaults = Defaults { people_in_answers: true, ..config.defaults() };
        let question = entry.ask_for(&words, &defaults).map_err(|error| wrong(entry, &error))?;
        words.retain(|word| !word.starts_with("--from=") && !word.starts_with("--to="));
        if let Some(spread) = question.spread() {
            let fault = format!("`{}` gives columns that only the rows tell", spread.option);
            let hint = format!("leave it out: a mart has `{}` as JSON objects", spread.column);
            return Err(Error::lake(fault).hint(hint));
        }
        let people = question.columns().into_iter().find(OutputColumn::names_people);
        if let Some(people) = people.filter(|_| !config.privacy.people_in_marts) {
            return Err(Error::lake(format!("its column `{}` names people", people.name)).hint(
                "run the query when it is needed, or set people_in_marts = true in [privacy]",
            ));
        }
        let layout = Layout::of_mart(&settings.name, &question.columns());
        Ok(Self { name: settings.name.clone(), question, layout, entry, words, defaults })
    }

    /// A hash of the definition: of the query's name, its columns, time zone and SQL with parameters
    /// bound. Editing a query's `twin.sql` changes it and so rebuilds the query's marts.
    pub(crate) fn fingerprint(&self) -> String {
        let mut text = format!("{MART_VERSION} {}\n", env!("CARGO_PKG_VERSION"));
        text.push_str(self.entry.spec.name);
        for column in self.question.columns() {
            // Writing to a String does not fail.
            let _ = write!(text, "\n{} {}", column.name, column.of.name());
        }
        let _ = write!(text, "\n{}\n{}", self.question.timezone(), self.question.sql());
        format!("{:032x}", xxh3_128(text.as_bytes()))
    }

    /// The buckets (days, weeks, months or hours) that can be computed one by one.
    pub(crate) fn buckets(&self) -> Option<AnswerBuckets> {
        self.question.buckets()
    }

    /// The intersection of a date range, both ends inclusive, with the mart's own.
    pub(crate) fn clipped(
        &self,
        (first, last): (NaiveDate, NaiveDate),
    ) -> Option<(NaiveDate, NaiveDate)> {
        let (from, to) = self.question.dates();
        let first = from.map_or(first, |from| first.max(from));
        let last = to.map_or(last, |to| last.min(to));
        (first <= last).then_some((first, last))
    }

    /// Returns `true` if it has neither `--from` nor `--to`.
    pub(crate) fn has_no_range(&self) -> bool {
        self.question.dates() == (None, None)
    }

    /// The mart's question with other values of `--from` and `--to`, both inclusive.
    pub(crate) fn for_dates(&self, (from, to): Dates) -> Result<Question> {
        let defaults = Defaults { from, to, ..self.defaults.clone() };
        self.entry.ask_for(&self.words, &defaults).map_err(|error| wrong(self.entry, &error))
    }
}

/// The values of `--from` and `--to`.
pub type Dates = (Option<NaiveDate>, Option<NaiveDate>);

/// The query of a name in the lake settings.
pub(crate) fn entry_named(name: &str) -> Result<&'static CatalogEntry> {
    CATALOG.iter().find(|entry| entry.spec.name == name).ok_or_else(|| {
        let names = CATALOG.iter().map(|entry| entry.spec.name);
        let hint = suggestion_and(name, names, "`wabalake queries` lists them");
        Error::lake(format!("no query `{name}`")).hint(hint)
    })
}

/// Converts an error of clap. It does not repeat values: one may be a phone number.
pub(crate) fn wrong(entry: &CatalogEntry, error: &clap::Error) -> Error {
    let word_of = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.split([' ', '=']).next().unwrap_or("").to_owned(),
        _ => String::new(),
    };
    let option = word_of(ContextKind::InvalidArg);
    let see = format!("`wabalake queries {}` says what it takes", entry.spec.name);
    match error.kind() {
        ErrorKind::UnknownArgument => {
            let command = entry.command();
            let known: Vec<String> = command
                .get_arguments()
                .filter_map(|arg| arg.get_long().map(|name| format!("--{name}")))
                .collect();
            let near = nearest(&option, known.iter().map(String::as_str));
            let hint = near.map_or(see, |near| did_you_mean(format_args!("`{}`", &near[2..])));
            let option = option.trim_start_matches('-');
            Error::lake(format!("`{}` has no option `{option}`", entry.spec.name)).hint(hint)
        }
        ErrorKind::MissingRequiredArgument => {
            Error::lake(format!("`{}` needs an option that is missing", entry.spec.name)).hint(see)
        }
        _ if option.is_empty() => {
            Error::lake("its options contradict each other or are empty").hint(see)
        }
        _ => {
            let option = option.trim_start_matches('-').to_owned();
            let hint = match error.get(ContextKind::ValidValue) {
                Some(ContextValue::Strings(words)) => format!("it takes {}", words.join(", ")),
                _ => see,
            };
            Error::lake(format!("`{option}` has a value that it does not take")).hint(hint)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marts(text: &str) -> Result<Vec<Mart>> {
        Mart::all(&Config::read(text).unwrap())
    }

    fn mart(text: &str) -> Mart {
        marts(&format!("[[marts]]\nname = 'm'\n{text}")).unwrap().remove(0)
    }

    #[test]
    fn fingerprint_covers_all_that_rows_depend_on() {
        let text = "query = 'delivery-rate'\nparams = { by = ['day', 'country'] }";
        let fingerprint = mart(text).fingerprint();
        assert_eq!(mart(text).fingerprint(), fingerprint);
        for other in [
            "query = 'delivery-rate'\nparams = { by = ['country', 'day'] }",
            "query = 'delivery-rate'",
            "query = 'delivery-rate'\nparams = { by = ['day', 'country'], timezone = 'Asia/Tokyo' }",
            "query = 'delivery-rate'\nparams = { by = ['day', 'country'], from = '2025-06-01' }",
            "query = 'session-duration'\nparams = { by = ['day', 'country'] }",
        ] {
            assert_ne!(mart(other).fingerprint(), fingerprint, "{other}");
        }
    }

    #[test]
    fn date_ranges_are_clipped_to_the_marts_own() {
        let mart = mart("query = 'delivery-rate'\nparams = { from = '2025-06-03' }");
        let date = |day| NaiveDate::from_ymd_opt(2025, 6, day).unwrap();
        assert_eq!(mart.clipped((date(1), date(4))), Some((date(3), date(4))));
        assert_eq!(mart.clipped((date(1), date(2))), None);
        let asked = mart.for_dates((Some(date(3)), Some(date(4)))).unwrap();
        assert_eq!(asked.dates(), (Some(date(3)), Some(date(4))));
    }

    #[test]
    fn errors_suggest_the_nearest_name() {
        for (text, reason) in [
            ("name = 'm'\nquery = 'delivery-rat'", "did you mean `delivery-rate`?"),
            ("name = 'M'\nquery = 'delivery-rate'", "the name of a folder"),
            ("name = '../m'\nquery = 'delivery-rate'", "the name of a folder"),
            ("name = 'm'\nquery = 'delivery-rate'\nparams = { bi = 'day' }", "did you mean `by`?"),
            ("name = 'm'\nquery = 'delivery-rate'\nparams = { by = 'dai' }", "`by` has a value"),
            (
                "name = 'm'\nquery = 'conversation-users'\nparams = { variables = 'wide' }",
                "`--variables wide` gives columns that only the rows tell",
            ),
            ("name = 'm'\nquery = 'conversation-users'", "`user_phone` names people"),
            (
                "name = 'm'\nquery = 'drop-off'\n[[marts]]\nname = 'm'\nquery = 'drop-off'",
                "there are two marts `m`",
            ),
        ] {
            let lines = marts(&format!("[[marts]]\n{text}")).unwrap_err().lines();
            assert!(lines.contains(reason), "{lines}");
        }
    }
}
