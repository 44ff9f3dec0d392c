//! The queries as subcommands: of `query`, `queries` and `explain`.

use std::ffi::OsString;
use std::fmt::Write as _;

use chrono::NaiveDate;
use chrono_tz::Tz;
use clap::parser::ValueSource;
use clap::{ArgMatches, Command};
use wabalake_queries::CATALOG;
use wabalake_queries::query::{CatalogEntry, OutputColumn, Question};

use super::{Asked, parse, usage};
use crate::error::{Error, Result};
use crate::marts::Dates;

/// The entry of that name.
pub(super) fn entry(name: &str) -> Option<&'static CatalogEntry> {
    CATALOG.iter().find(|entry| entry.spec.name == name)
}

/// A subcommand for each query. What one takes is only worked out when it is named.
pub(super) fn subcommands(command: Command, define: fn(Command) -> Command) -> Command {
    CATALOG.iter().fold(command, |command, entry| {
        let named = Command::new(entry.spec.name).about(entry.spec.title);
        command.subcommand(named.defer(define))
    })
}

/// Adds the options of the query that a subcommand is named after, and what there is to know.
pub(super) fn define(command: Command) -> Command {
    let Some(entry) = entry(command.get_name()) else { return command };
    let help = after_help(entry);
    entry.args(command).long_about(entry.spec.question).about(entry.spec.title).after_help(help)
}

/// Adds the same without its options being needed.
fn after_help(entry: &CatalogEntry) -> String {
    let columns = columns(entry);
    let width = columns.iter().map(|column| column.name.len()).max().unwrap_or(0);
    let mut text = String::from("Columns:\n");
    for OutputColumn { name, of, unit, .. } in columns {
        let unit = unit.map(|unit| format!(", {unit}")).unwrap_or_default();
        // Writing to a String does not fail.
        let _ = writeln!(text, "  {name:width$}  {}{unit}", of.name());
    }
    if dimensions(entry).is_some() {
        text.push_str("  (the columns of --by come first, in the order asked)\n");
    }
    let _ = write!(text, "\nExample:\n  {}", example(entry));
    text
}

/// A whole command line that asks the query something.
pub(super) fn example(entry: &CatalogEntry) -> String {
    let words = ["wabalake query", entry.spec.name, entry.spec.example];
    let words: Vec<&str> = words.into_iter().filter(|words| !words.is_empty()).collect();
    format!("{} --lake lake", words.join(" "))
}

/// The columns of the answer when nothing is chosen.
pub(super) fn columns(entry: &CatalogEntry) -> Vec<OutputColumn> {
    let bare = entry.command().try_get_matches_from([entry.spec.name]);
    let question = bare.and_then(|matches| entry.ask(&matches));
    question.map_or_else(|_| entry.spec.columns.to_vec(), |question| question.columns())
}

/// What the query can be split by, if it can.
pub(super) fn dimensions(entry: &CatalogEntry) -> Option<Vec<String>> {
    let command = entry.command();
    let by = command.get_arguments().find(|arg| arg.get_id() == "by")?;
    Some(by.get_possible_values().iter().map(|value| value.get_name().to_owned()).collect())
}

/// The query that was named with the options that were given it.
pub(super) struct Named<'a> {
    pub(super) entry: &'static CatalogEntry,
    pub(super) matches: &'a ArgMatches,
}

impl<'a> Named<'a> {
    /// Of a subcommand that has the queries for subcommands.
    pub(super) fn of(matches: &'a ArgMatches) -> Option<Self> {
        let (name, matches) = matches.subcommand()?;
        Some(Self { entry: entry(name)?, matches })
    }

    /// What is asked.
    pub(super) fn question(&self) -> Result<Question> {
        self.entry.ask(self.matches).map_err(|error| usage::error(&error, &[]))
    }

    /// `--from` and `--to`, where the query takes them.
    pub(super) fn dates(&self) -> Dates {
        let date = |id| self.matches.try_get_one::<NaiveDate>(id).ok().flatten().copied();
        (date("from"), date("to"))
    }

    /// Whether it is asked of the person with a number.
    pub(super) fn is_about_a_person(&self) -> bool {
        self.matches.try_contains_id("phone").unwrap_or(false)
    }

    /// What is asked, where days begin in the lake's own zone unless the command line or the
    /// environment names one.
    pub(super) fn question_in(&self, asked: &Asked<'_>, lakes: Option<Tz>) -> Result<Question> {
        let said = self.matches.try_contains_id("timezone").is_ok()
            && self.matches.value_source("timezone") != Some(ValueSource::DefaultValue);
        let Some(zone) = lakes.filter(|_| !said) else { return self.question() };
        // As if it had been said: wabalake query NAME --timezone ZONE …
        let mut words = asked.words.to_vec();
        let name = words.iter().skip(1).position(|word| word == self.entry.spec.name);
        let name = name.ok_or_else(|| Error::bug("the query was not named"))?;
        words.insert(name + 2, OsString::from(format!("--timezone={zone}")));
        let parsed = parse(&words).map_err(|error| usage::error(&error, &words))?;
        let mut matches = &parsed;
        while let Some((_, within)) = matches.subcommand() {
            matches = within;
        }
        Named { entry: self.entry, matches }.question()
    }
}
