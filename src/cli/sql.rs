//! `wabalake sql "SELECT …"` and `wabalake query ./FILE.sql`: answers a user's own SQL query, or explains
//! it.

use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::path::{self, Path, PathBuf};

use chrono_tz::Tz;
use clap::{Arg, ArgMatches, Args, Command, ValueHint};
use polars::prelude::LazyFrame;
use wabalake_data::TABLES;

use super::output::{Listing, OutputOptions, say};
use super::shared::{LakeOption, ZoneOption};
use super::{Invocation, Subcommand};
use crate::error::{Context as _, Error, Fault, Result};
use crate::files::Access;
use crate::place::with_addresses;
use crate::render::Answer;
use crate::run::sql::{Parameter, Sql, on_deep_stack};

pub(super) const SUBCOMMAND: Subcommand = Subcommand {
    name: "sql",
    about: "Answer your own SQL query",
    define: |command| AnswerOptions::augment_args(define_statement(command, false)),
    run: |invocation| answer(invocation, invocation.matches),
};

/// The internal subcommand of `query` and `explain` for a file. [`with_files_named`] inserts it before the
/// name of the file, even before a file of this very name.
const FILE: &str = "FILE.sql";

/// The id of the positional argument: the statement, or the file that contains it.
const TEXT: &str = "text";

// The options that affect the plan of a statement.
#[derive(Args)]
#[group(skip)]
struct StatementOptions {
    #[command(flatten)]
    lake: LakeOption,

    /// Value of the parameter `:name`, as NAME=VALUE or NAME:TYPE=VALUE; can be repeated, and a
    /// repeated name adds a value to the list of IN (:name)
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = Parameter::read)]
    parameters: Vec<Parameter>,

    #[command(flatten)]
    zone: ZoneOption,
}

#[derive(Args)]
#[group(skip)]
struct AnswerOptions {
    #[command(flatten)]
    output: OutputOptions,

    /// Show at most this many rows of the answer [default: all]
    #[arg(long, value_name = "ROWS")]
    limit: Option<u64>,
}

fn define_statement(command: Command, is_file: bool) -> Command {
    let text = Arg::new(TEXT).required(true);
    let text = if is_file {
        text.value_name("FILE")
            .value_parser(clap::value_parser!(PathBuf))
            .value_hint(ValueHint::FilePath)
            .help("File that contains the SELECT")
    } else {
        text.value_name("SQL").value_parser(clap::value_parser!(String)).help("SELECT statement")
    };
    StatementOptions::augment_args(command.arg(text)).after_help(help())
}

/// Describes the tables and the SQL dialect.
fn help() -> String {
    let mut text = String::from("Tables, with the columns of the catalog:\n");
    for table in TABLES {
        // Writing to a String does not fail.
        let _ = writeln!(text, "  {:17}  {}", table.name, table.source);
    }
    text.push_str(
        "\nThe dialect is Polars SQL: one SELECT, with or without a WITH. Timestamps are in the reporting \
         time zone: in CAST(… AS DATE), EXTRACT(HOUR FROM …), STRFTIME(…, '%H:%M'), \
         DATE_TRUNC('half-hour', 'hour', 'day', 'week' or 'month', …), and in literals such as \
         '2025-06-01' that a timestamp is compared with. The difference of two timestamps is in seconds. \
         QUANTILE_CONT(…, 0.9) is a percentile. Without an ORDER BY the order of rows is undefined. Not \
         supported: recursion, NOW() and the like, window functions together with GROUP BY, subqueries \
         outside FROM, IN and EXISTS. Limits: 1,000 operators in a chain, 500 SELECTs and set operations, \
         500 tables in FROM; IN (…) and VALUES take any number of values.\n\n\
         FROM read_csv('vips.csv') reads a file of yours, if the lake's wabalake.toml allows it: files = \
         true, in [sql]. So do read_parquet, read_ipc and read_json. URLs are rejected: nothing is read \
         over a network.\n\n\
         `sql = \"FILE.sql\"` in a [[marts]] of wabalake.toml keeps an answer up to date: see `wabalake \
         nightly --help`.\n\n\
         A parameter `:name` takes the type of what it is compared with, else the type that its value \
         looks like, unless TYPE is given: text, integer, number, boolean, date or timestamp.\n\n\
         Examples:\n  \
         wabalake sql \"SELECT country, COUNT(*) AS n FROM sessions GROUP BY country ORDER BY n DESC\" \
         --lake lake\n  \
         wabalake query ./mine.sql --param since=2025-06-01 --param country=CO --lake lake -o mine.csv",
    );
    text
}

/// Returns the subcommand of `explain` for a statement.
pub(super) fn explained() -> Command {
    Command::new(SUBCOMMAND.name)
        .about("Your own SQL query")
        .defer(|command| define_statement(command, false))
}

/// Adds the internal subcommand for a file, if the arguments name one. Help and suggestions would list it
/// among the queries otherwise.
pub(super) fn taking_files(command: Command, arguments: &[OsString]) -> Command {
    let file = Command::new(FILE).about("Answer your own query, from a file of SQL");
    let define: fn(Command) -> Command = match arguments {
        [_, query, file, ..] if query == "query" && file == FILE => {
            |command| AnswerOptions::augment_args(define_statement(command, true))
        }
        [_, explain, file, ..] if explain == "explain" && file == FILE => {
            |command| define_statement(command, true)
        }
        _ => return command,
    };
    let name = arguments[1].to_string_lossy().into_owned();
    command.mut_subcommand(name, |command| command.subcommand(file.defer(define)))
}

/// Inserts [`FILE`] before a file in the place of a query's name: an argument that ends in `.sql` or
/// contains a path separator.
pub(super) fn with_files_named(arguments: &[OsString]) -> Vec<OsString> {
    let mut arguments = arguments.to_vec();
    let takes_names =
        matches!(arguments.get(1).and_then(|name| name.to_str()), Some("query" | "explain"));
    if takes_names && arguments.get(2).is_some_and(|argument| is_file(argument)) {
        arguments.insert(2, FILE.into());
    }
    arguments
}

fn is_file(argument: &OsStr) -> bool {
    let text = argument.to_string_lossy();
    let extension = Path::new(argument).extension();
    let is_sql = extension.is_some_and(|extension| extension.eq_ignore_ascii_case("sql"));
    !text.starts_with('-') && (is_sql || text.contains(path::is_separator))
}

/// Returns `true` for the subcommands of `query` and `explain` that are not names of queries.
pub(super) fn is_nested(name: &str) -> bool {
    name == FILE || name == SUBCOMMAND.name
}

/// Returns the matches of a nested statement or file, if the subcommand has one.
pub(super) fn statement_in(matches: &ArgMatches) -> Option<&ArgMatches> {
    let (name, matches) = matches.subcommand()?;
    is_nested(name).then_some(matches)
}

/// Answers a statement.
pub(super) fn answer(invocation: &Invocation<'_>, matches: &ArgMatches) -> Result<()> {
    let options: AnswerOptions = invocation.parse_from(matches)?;
    options.output.check(Listing::Answer)?;
    let answer = on_deep_stack(|| {
        let statement = Statement::of(invocation, matches)?;
        let (plan, zone) = statement.plan(options.limit)?;
        let (rows, columns) = statement.placed(statement.sql.collect(plan))?;
        Ok(Answer::new(&rows, columns, zone)?)
    })?;
    // A column of people may have any name here, so a file is always private.
    options.output.write_for(Access::Owner, &answer, Listing::Answer)
}

/// Shows the plan of a statement.
pub(super) fn explain(invocation: &Invocation<'_>, matches: &ArgMatches) -> Result<()> {
    let plan = on_deep_stack(|| {
        let (plan, _) = Statement::of(invocation, matches)?.plan(None)?;
        Ok(with_addresses(&plan.explain(true)?))
    })?;
    say(&format!("{plan}\n"))
}

/// A parsed statement with its file and its options.
struct Statement {
    sql: Sql,
    file: Option<PathBuf>,
    options: StatementOptions,
}

impl Statement {
    fn of(invocation: &Invocation<'_>, matches: &ArgMatches) -> Result<Self> {
        let options = invocation.parse_from(matches)?;
        let file = matches.try_get_one::<PathBuf>(TEXT).ok().flatten().cloned();
        let text = match &file {
            Some(file) => read(file)?,
            None => matches.get_one::<String>(TEXT).cloned().unwrap_or_default(),
        };
        let sql = placed(file.as_deref(), Sql::read(&text))?;
        Ok(Self { sql, file, options })
    }

    fn plan(&self, limit: Option<u64>) -> Result<(LazyFrame, Tz)> {
        let lake = self.options.lake.open()?;
        let zone = self.options.zone.of(&lake)?;
        let plan = self.placed(self.sql.plan(&lake, &self.options.parameters, zone, limit))?;
        Ok((plan, zone))
    }

    fn placed<T>(&self, result: Result<T>) -> Result<T> {
        placed(self.file.as_deref(), result)
    }
}

/// Prefixes an error about a statement with the name of its file.
fn placed<T>(file: Option<&Path>, result: Result<T>) -> Result<T> {
    result.map_err(|error| match (file, error) {
        (Some(file), error) if error.fault() == Fault::Usage => {
            error.context(format!("`{}`", file.display()))
        }
        (_, error) => error,
    })
}

fn read(file: &Path) -> Result<String> {
    use std::io::ErrorKind;
    match std::fs::read(file) {
        Ok(bytes) => String::from_utf8(bytes).map_err(|_| {
            Error::usage(format!("`{}` is not UTF-8", file.display()))
                .hint("save it as UTF-8")
        }),
        Err(error) if error.kind() == ErrorKind::NotFound => Err(Error::usage(format!(
            "there is no file `{}`",
            file.display()
        ))
        .hint(
            "an argument with a path separator or `.sql` is a file; `wabalake queries` lists the queries",
        )),
        Err(error) => Err(error).context(|| format!("reading `{}`", file.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_a_separator_or_sql_extension_are_files() {
        let named = |line: &str| {
            let arguments: Vec<OsString> = line.split(' ').map(Into::into).collect();
            with_files_named(&arguments).get(2).is_some_and(|argument| argument == FILE)
        };
        for line in
            ["w query ./mine", "w query mine.sql", "w query a/b.sql -f csv", "w explain x.SQL"]
        {
            assert!(named(line), "{line}");
        }
        for line in
            ["w query drop-off", "w query", "w query --help", "w sql a/b", "w queries a.sql"]
        {
            assert!(!named(line), "{line}");
        }
        for entry in wabalake_queries::CATALOG {
            assert!(!is_file(OsStr::new(entry.spec.name)));
        }
    }
}
