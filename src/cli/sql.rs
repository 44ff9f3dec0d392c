//! `wabalake sql "SELECT …"` and `wabalake query ./FILE.sql`: a person's own query, and how it
//! would be run.

use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::path::{self, Path, PathBuf};

use chrono_tz::Tz;
use clap::{Arg, ArgMatches, Args, Command, FromArgMatches as _, ValueHint};
use polars::prelude::LazyFrame;
use wabalake_data::TABLES;

use super::output::{Listing, OutputOptions, say};
use super::shared::{LakeOption, ZoneOption};
use super::{Asked, Subcommand, usage};
use crate::error::{Context as _, Error, Fault, Result};
use crate::files::Access;
use crate::render::Answer;
use crate::run::sql::{Parameter, Sql, on_deep_stack};

pub(super) const SUBCOMMAND: Subcommand = Subcommand { name: "sql", define, run };

/// What a file goes by among the names of queries. It stands before the file's own name: no query
/// is named like that, and no file either, since this is put before that too.
const FILE: &str = "FILE.sql";

/// The argument that is the statement, or the file that it is in.
const TEXT: &str = "text";

// What names a statement's answer.
#[derive(Args)]
#[group(skip)]
struct Question {
    #[command(flatten)]
    lake: LakeOption,

    /// What stands for `:name`: NAME=VALUE or NAME:TYPE=VALUE, once for each; a name given again
    /// adds to the list of IN (:name)
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = Parameter::read)]
    parameters: Vec<Parameter>,

    #[command(flatten)]
    zone: ZoneOption,
}

#[derive(Args)]
#[group(skip)]
struct Answering {
    #[command(flatten)]
    output: OutputOptions,

    /// Only the first rows of the answer [default: all]
    #[arg(long, value_name = "ROWS")]
    limit: Option<u64>,
}

fn define(command: Command) -> Command {
    Answering::augment_args(define_question(command, false))
}

fn define_question(command: Command, is_file: bool) -> Command {
    let text = Arg::new(TEXT).required(true);
    let text = if is_file {
        text.value_name("FILE")
            .value_parser(clap::value_parser!(PathBuf))
            .value_hint(ValueHint::FilePath)
            .help("The file that the SELECT is in")
    } else {
        text.value_name("SQL").value_parser(clap::value_parser!(String)).help("The SELECT")
    };
    Question::augment_args(command.arg(text)).after_help(help())
}

/// What there is to know of the dialect.
fn help() -> String {
    let mut text = String::from("Tables, with the columns of the catalog:\n");
    for table in TABLES {
        // Writing to a String does not fail.
        let _ = writeln!(text, "  {:17}  {}", table.name, table.source);
    }
    text.push_str(
        "\nThe dialect is Polars SQL, a SELECT with or without a WITH. Instants are on the reporting \
         zone's clock: CAST(… AS DATE), EXTRACT(HOUR FROM …), STRFTIME(…, '%H:%M'), \
         DATE_TRUNC('half-hour', 'hour', 'day', 'week' or 'month', …), and texts such as \
         '2025-06-01' that a stamp is compared with. A stamp less a stamp is in seconds. \
         QUANTILE_CONT(…, 0.9) is a percentile. Without an ORDER BY rows come in any order. There is no \
         recursion, no clock, no window beside a GROUP BY, no subquery but in FROM, IN and EXISTS. A \
         chain may have 1,000 operators, a statement 500 SELECTs and set operations and 500 tables in \
         FROM; IN (…) and VALUES take any number of values.\n\n\
         FROM read_csv('vips.csv') joins a file of yours, if the lake's wabalake.toml allows it: files \
         = true, in [sql]. So do read_parquet, read_ipc and read_json. No address is taken, and no \
         network reached.\n\n\
         A parameter `:name` is of the type of what it is compared with, else what it looks like; \
         TYPE says it: text, integer, number, boolean, date or timestamp.\n\n\
         Examples:\n  \
         wabalake sql \"SELECT country, COUNT(*) AS n FROM sessions GROUP BY country ORDER BY n DESC\" \
         --lake lake\n  \
         wabalake query ./mine.sql --param since=2025-06-01 --param country=CO --lake lake -o mine.csv",
    );
    text
}

/// The subcommand of `explain` for a statement.
pub(super) fn explained() -> Command {
    Command::new(SUBCOMMAND.name)
        .about("A query of your own, in SQL")
        .defer(|command| define_question(command, false))
}

/// The command with a subcommand for the file that the words name. Nowhere else is there one: it
/// would be taken for the name of a query.
pub(super) fn taking_files(command: Command, words: &[OsString]) -> Command {
    let file = Command::new(FILE).about("Answer a query of your own, from a file of SQL");
    let define: fn(Command) -> Command = match words {
        [_, query, file, ..] if query == "query" && file == FILE => {
            |command| Answering::augment_args(define_question(command, true))
        }
        [_, explain, file, ..] if explain == "explain" && file == FILE => {
            |command| define_question(command, true)
        }
        _ => return command,
    };
    let name = words[1].to_string_lossy().into_owned();
    command.mut_subcommand(name, |command| command.subcommand(file.defer(define)))
}

/// Puts `FILE.sql` before the name of a file that stands where a query's name would: one that ends
/// in `.sql` or has a separator in it.
pub(super) fn with_files_named(words: &[OsString]) -> Vec<OsString> {
    let mut words = words.to_vec();
    let takes_names =
        matches!(words.get(1).and_then(|word| word.to_str()), Some("query" | "explain"));
    if takes_names && words.get(2).is_some_and(|word| is_file(word)) {
        words.insert(2, FILE.into());
    }
    words
}

fn is_file(word: &OsStr) -> bool {
    let text = word.to_string_lossy();
    let named = Path::new(word).extension().is_some_and(|end| end.eq_ignore_ascii_case("sql"));
    !text.starts_with('-') && (named || text.contains(path::is_separator))
}

/// The statement or the file that a subcommand was given, if it is one of these.
pub(super) fn asked_in(matches: &ArgMatches) -> Option<&ArgMatches> {
    let (name, matches) = matches.subcommand()?;
    (name == FILE || name == SUBCOMMAND.name).then_some(matches)
}

fn run(asked: &Asked<'_>) -> Result<()> {
    answer(asked, asked.matches)
}

/// Answers a statement.
pub(super) fn answer(asked: &Asked<'_>, matches: &ArgMatches) -> Result<()> {
    let options =
        Answering::from_arg_matches(matches).map_err(|e| usage::error(&e, asked.words))?;
    options.output.check(Listing::Answer)?;
    let answer = on_deep_stack(|| {
        let statement = Statement::of(asked, matches)?;
        let (plan, zone) = statement.plan(options.limit)?;
        let (rows, columns) = statement.placed(statement.sql.collect(plan))?;
        Ok(Answer::new(&rows, columns, zone)?)
    })?;
    // Its columns may be called anything.
    options.output.write_for(Access::Owner, &answer, Listing::Answer)
}

/// Shows how a statement would be run.
pub(super) fn explain(asked: &Asked<'_>, matches: &ArgMatches) -> Result<()> {
    let plan = on_deep_stack(|| {
        let (plan, _) = Statement::of(asked, matches)?.plan(None)?;
        Ok(plan.explain(true)?)
    })?;
    say(&format!("{plan}\n"))
}

/// A statement, where it is from, and what it is asked of.
struct Statement {
    sql: Sql,
    file: Option<PathBuf>,
    question: Question,
}

impl Statement {
    fn of(asked: &Asked<'_>, matches: &ArgMatches) -> Result<Self> {
        let question =
            Question::from_arg_matches(matches).map_err(|e| usage::error(&e, asked.words))?;
        let file = matches.try_get_one::<PathBuf>(TEXT).ok().flatten().cloned();
        let text = match &file {
            Some(file) => read(file)?,
            None => matches.get_one::<String>(TEXT).cloned().unwrap_or_default(),
        };
        let sql = placed(file.as_deref(), Sql::read(&text))?;
        Ok(Self { sql, file, question })
    }

    fn plan(&self, limit: Option<u64>) -> Result<(LazyFrame, Tz)> {
        let lake = self.question.lake.open()?;
        let zone = self.question.zone.of(&lake)?;
        let plan = self.placed(self.sql.plan(&lake, &self.question.parameters, zone, limit))?;
        Ok((plan, zone))
    }

    fn placed<T>(&self, result: Result<T>) -> Result<T> {
        placed(self.file.as_deref(), result)
    }
}

/// The same, where what is wrong with a statement begins with the name of its file.
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
                .hint("save it as UTF-8, without any other encoding")
        }),
        Err(error) if error.kind() == ErrorKind::NotFound => Err(Error::usage(format!(
            "there is no file `{}`",
            file.display()
        ))
        .hint(
            "a name with a separator or `.sql` is a file's; `wabalake queries` lists the queries",
        )),
        Err(error) => Err(error).context(|| format!("reading `{}`", file.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_a_separator_or_ends_in_sql_is_a_file() {
        let named = |line: &str| {
            let words: Vec<OsString> = line.split(' ').map(Into::into).collect();
            let words = with_files_named(&words);
            words.get(2).is_some_and(|word| word == FILE)
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
