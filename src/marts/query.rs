//! Marts of queries of the catalog.

use std::fmt::Write as _;

use chrono::NaiveDate;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use wabalake_data::words::{did_you_mean, nearest, suggestion_and};
use wabalake_queries::CATALOG;
use wabalake_queries::query::{AnswerBuckets, CatalogEntry, Defaults, OutputColumn, Question};

use crate::config::{Config, MartSettings};
use crate::error::{Error, Result};

/// A query of the catalog with its parameters.
#[derive(Debug)]
pub struct QueryMart {
    /// The question that the mart answers.
    pub question: Question,
    entry: &'static CatalogEntry,
    /// Its options without `--from` and `--to`.
    words: Vec<String>,
    defaults: Defaults,
}

impl QueryMart {
    /// A query with the parameters of the settings.
    ///
    /// # Errors
    /// An unknown query or option; columns that only rows tell; a column of people, unless the settings
    /// allow that.
    pub(super) fn of(query: &str, settings: &MartSettings, config: &Config) -> Result<Self> {
        let entry = entry_named(query)?;
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
        Ok(Self { question, entry, words, defaults })
    }

    /// All that the rows depend on beside the tables: the query's name, its columns, time zone and SQL with
    /// parameters bound.
    pub(super) fn definition(&self) -> String {
        let mut text = self.entry.spec.name.to_owned();
        for column in self.question.columns() {
            // Writing to a String does not fail.
            let _ = write!(text, "\n{} {}", column.name, column.of.name());
        }
        let _ = write!(text, "\n{}\n{}", self.question.timezone(), self.question.sql());
        text
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
