//! What a mart is: a query of the catalog with its options chosen, and a name.

use std::fmt::Write as _;

use chrono::NaiveDate;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use wabalake_data::words::{did_you_mean, nearest, suggestion_and};
use wabalake_queries::CATALOG;
use wabalake_queries::query::{AnswerBuckets, CatalogEntry, Defaults, OutputColumn, Question};
use xxhash_rust::xxh3::xxh3_128;

use crate::config::{Config, MartSettings};
use crate::error::{Error, Result};
use crate::lake::marts::MartLayout;

/// Raised when the same definition would be stored in another way.
const MART_VERSION: u32 = 1;

/// An answer that is kept up to date.
#[derive(Debug)]
pub struct Mart {
    /// Its name, and its folder's.
    pub name: String,
    /// What it answers.
    pub question: Question,
    /// Where it is kept.
    pub layout: &'static MartLayout,
    entry: &'static CatalogEntry,
    /// Its options without `--from` and `--to`.
    words: Vec<String>,
    defaults: Defaults,
}

impl Mart {
    /// The marts of a lake's settings.
    ///
    /// # Errors
    /// Two of one name; a query or an option that there is not; people, where none may be named.
    pub fn all(config: &Config) -> Result<Vec<Self>> {
        let mut marts: Vec<Self> = Vec::new();
        for said in &config.marts {
            if marts.iter().any(|mart| mart.name == said.name) {
                return Err(Error::lake(format!("there are two marts `{}`", said.name))
                    .hint("give one of them another name in wabalake.toml"));
            }
            let mart = Self::of(said, config);
            marts.push(mart.map_err(|error| error.context(format!("mart `{}`", said.name)))?);
        }
        Ok(marts)
    }

    /// One mart of a lake's settings.
    ///
    /// # Errors
    /// As [`Mart::all`].
    pub fn of(said: &MartSettings, config: &Config) -> Result<Self> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c);
        let begins_well = said.name.starts_with(|c: char| c.is_ascii_lowercase());
        if !begins_well || !said.name.chars().all(plain) {
            return Err(Error::lake("its name is the name of a folder too")
                .hint("use small letters, digits, `-` and `_`, a letter first"));
        }
        let entries = || CATALOG.iter().map(|entry| entry.spec.name);
        let Some(entry) = CATALOG.iter().find(|entry| entry.spec.name == said.query) else {
            let hint = suggestion_and(&said.query, entries(), "`wabalake queries` lists them");
            return Err(Error::lake(format!("no query `{}`", said.query)).hint(hint));
        };
        let mut words = said.arguments();
        let defaults = Defaults::of_lake(config.timezone);
        let question = entry.ask_for(&words, &defaults).map_err(|error| wrong(entry, &error))?;
        words.retain(|word| !word.starts_with("--from=") && !word.starts_with("--to="));
        let people = question.columns().into_iter().find(OutputColumn::names_people);
        if let Some(people) = people.filter(|_| !config.privacy.people_in_marts) {
            return Err(Error::lake(format!("its column `{}` names people", people.name)).hint(
                "ask the query when it is needed, or allow it: people_in_marts = true, in [privacy]",
            ));
        }
        let layout = MartLayout::of(&said.name, &question.columns());
        Ok(Self { name: said.name.clone(), question, layout, entry, words, defaults })
    }

    /// Names what it says, in all that its rows depend on but rows of tables.
    pub(super) fn definition(&self) -> String {
        let mut text = format!("{MART_VERSION} {}\n", env!("CARGO_PKG_VERSION"));
        text.push_str(self.entry.spec.name);
        for column in self.question.columns() {
            // Writing to a String does not fail.
            let _ = write!(text, "\n{} {}", column.name, column.of.name());
        }
        let _ = write!(text, "\n{}\n{}", self.question.timezone(), self.question.sql());
        format!("{:032x}", xxh3_128(text.as_bytes()))
    }

    /// The parts that can be worked out by themselves.
    pub(super) fn buckets(&self) -> Option<AnswerBuckets> {
        self.question.buckets()
    }

    /// The part of some dates, first and last, that its own range does not leave out.
    pub(super) fn clipped(
        &self,
        (first, last): (NaiveDate, NaiveDate),
    ) -> Option<(NaiveDate, NaiveDate)> {
        let (from, to) = self.question.dates();
        let first = from.map_or(first, |from| first.max(from));
        let last = to.map_or(last, |to| last.min(to));
        (first <= last).then_some((first, last))
    }

    /// Whether it is about all days.
    pub(super) fn has_no_range(&self) -> bool {
        self.question.dates() == (None, None)
    }

    /// The mart's question with other values of `--from` and `--to`, both inclusive.
    pub(super) fn asked_of(
        &self,
        (from, to): (Option<NaiveDate>, Option<NaiveDate>),
    ) -> Result<Question> {
        let defaults = Defaults { from, to, ..self.defaults };
        self.entry.ask_for(&self.words, &defaults).map_err(|error| wrong(self.entry, &error))
    }
}

/// What is wrong with the options of a mart. Values are not repeated: one may be a number.
fn wrong(entry: &CatalogEntry, error: &clap::Error) -> Error {
    let said = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.split([' ', '=']).next().unwrap_or("").to_owned(),
        _ => String::new(),
    };
    let option = said(ContextKind::InvalidArg);
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
            Error::lake(format!("`{}` needs an option that is not there", entry.spec.name))
                .hint(see)
        }
        _ if option.is_empty() => {
            Error::lake("its options do not go together or say nothing").hint(see)
        }
        _ => {
            let option = option.trim_start_matches('-').to_owned();
            let hint = match error.get(ContextKind::ValidValue) {
                Some(ContextValue::Strings(words)) => format!("it takes {}", words.join(", ")),
                _ => see,
            };
            Error::lake(format!("the value of `{option}` is none that it takes")).hint(hint)
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
    fn a_definition_is_all_that_rows_depend_on() {
        let text = "query = 'delivery-rate'\nparams = { by = ['day', 'country'] }";
        let definition = mart(text).definition();
        assert_eq!(mart(text).definition(), definition);
        for other in [
            "query = 'delivery-rate'\nparams = { by = ['country', 'day'] }",
            "query = 'delivery-rate'",
            "query = 'delivery-rate'\nparams = { by = ['day', 'country'], timezone = 'Asia/Tokyo' }",
            "query = 'delivery-rate'\nparams = { by = ['day', 'country'], from = '2025-06-01' }",
            "query = 'session-duration'\nparams = { by = ['day', 'country'] }",
        ] {
            assert_ne!(mart(other).definition(), definition, "{other}");
        }
    }

    #[test]
    fn its_own_dates_stay_its_own() {
        let mart = mart("query = 'delivery-rate'\nparams = { from = '2025-06-03' }");
        let date = |day| NaiveDate::from_ymd_opt(2025, 6, day).unwrap();
        assert_eq!(mart.clipped((date(1), date(4))), Some((date(3), date(4))));
        assert_eq!(mart.clipped((date(1), date(2))), None);
        let asked = mart.asked_of((Some(date(3)), Some(date(4)))).unwrap();
        assert_eq!(asked.dates(), (Some(date(3)), Some(date(4))));
    }

    #[test]
    fn what_is_wrong_is_named_with_the_nearest_right_one() {
        for (text, said) in [
            ("name = 'm'\nquery = 'delivery-rat'", "did you mean `delivery-rate`?"),
            ("name = 'M'\nquery = 'delivery-rate'", "the name of a folder"),
            ("name = '../m'\nquery = 'delivery-rate'", "the name of a folder"),
            ("name = 'm'\nquery = 'delivery-rate'\nparams = { bi = 'day' }", "did you mean `by`?"),
            ("name = 'm'\nquery = 'delivery-rate'\nparams = { by = 'dai' }", "the value of `by`"),
            (
                "name = 'm'\nquery = 'drop-off'\n[[marts]]\nname = 'm'\nquery = 'drop-off'",
                "there are two marts `m`",
            ),
        ] {
            let lines = marts(&format!("[[marts]]\n{text}")).unwrap_err().lines();
            assert!(lines.contains(said), "{lines}");
        }
    }
}
