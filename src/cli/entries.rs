//! The catalog's queries as subcommands of `query`, `queries`, `explain` and `compare`.

use std::fmt::Write as _;

use clap::{ArgMatches, Command};
use wabalake_queries::CATALOG;
use wabalake_queries::query::filters::HEADING;
use wabalake_queries::query::{CatalogEntry, Defaults, OutputColumn, Question};

use super::usage;
use crate::config::Config;
use crate::error::Result;

/// The catalog entry of a name.
pub(super) fn entry(name: &str) -> Option<&'static CatalogEntry> {
    CATALOG.iter().find(|entry| entry.spec.name == name)
}

/// Adds a subcommand for each query. clap builds its options only if it is named.
pub(super) fn subcommands(command: Command, define: fn(Command) -> Command) -> Command {
    CATALOG.iter().fold(command, |command, entry| {
        let named = Command::new(entry.spec.name).about(entry.spec.title);
        command.subcommand(named.defer(define))
    })
}

/// Adds the options and the help of the query that a subcommand is named after.
pub(super) fn define(command: Command) -> Command {
    let Some(entry) = entry(command.get_name()) else { return command };
    let help = after_help(entry);
    entry.args(command).long_about(entry.spec.question).about(entry.spec.title).after_help(help)
}

/// The end of the help text: the columns of the answer and an example.
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

/// The example of a query as a command line.
pub(super) fn example(entry: &CatalogEntry) -> String {
    let command = ["wabalake query", entry.spec.name];
    let command = command.map(str::to_owned).into_iter();
    // Not each word that a shell would take otherwise: a list with commas needs no quotes.
    let quoted =
        |word: &&str| if word.contains(' ') { format!("'{word}'") } else { (*word).to_owned() };
    let words = command.chain(entry.spec.example.iter().map(quoted));
    words.chain(["--lake lake".to_owned()]).collect::<Vec<_>>().join(" ")
}

/// The columns of the answer without any option.
pub(super) fn columns(entry: &CatalogEntry) -> Vec<OutputColumn> {
    let question = entry.ask_for([] as [&str; 0], &Defaults::default());
    question.map_or_else(|_| entry.spec.columns.to_vec(), |question| question.columns())
}

/// The dimensions of `--by`, if the query has that option.
pub(super) fn dimensions(entry: &CatalogEntry) -> Option<Vec<String>> {
    let command = entry.command();
    let by = command.get_arguments().find(|arg| arg.get_id() == "by")?;
    Some(by.get_possible_values().iter().map(|value| value.get_name().to_owned()).collect())
}

/// The options that filter the rows of a query.
pub(super) fn filters(entry: &CatalogEntry) -> Vec<String> {
    let command = entry.command();
    let filters = command.get_arguments().filter(|arg| arg.get_help_heading() == Some(HEADING));
    filters.filter_map(|arg| Some(format!("--{}", arg.get_long()?))).collect()
}

/// A query named on the command line, with its parsed options.
pub(super) struct Named<'a> {
    pub(super) entry: &'static CatalogEntry,
    pub(super) matches: &'a ArgMatches,
}

impl<'a> Named<'a> {
    /// The query of a subcommand whose own subcommands are the queries.
    pub(super) fn of(matches: &'a ArgMatches) -> Option<Self> {
        let (name, matches) = matches.subcommand()?;
        Some(Self { entry: entry(name)?, matches })
    }

    /// The question that was asked. The lake's settings apply unless the command line or the
    /// environment has another value.
    pub(super) fn question(&self, config: &Config) -> Result<Question> {
        let question = self.entry.ask(self.matches, &config.defaults());
        question.map_err(|error| usage::error(&error, &[]))
    }

    /// Returns `true` if the query is about the person of a phone number, or if the answer may name people.
    pub(super) fn is_about_a_person(&self) -> bool {
        let with_people = self.matches.try_get_one::<bool>("with_people").ok().flatten();
        let is_of_one = self.matches.try_contains_id("phone").unwrap_or(false);
        is_of_one || with_people.copied().unwrap_or(false)
    }
}
