//! The command line: one module per subcommand, and the options that they share.
//!
//! Answers go to standard output, everything else to standard error. Exit codes:
//!
//! | code | meaning |
//! |---|---|
//! | 0 | done; also when the reader of standard output closes the pipe early |
//! | 1 | the data, the lake or a cluster is at fault |
//! | 2 | the command line is wrong |
//! | 3 | a bug in wabalake |
//! | 130 | Ctrl-C ended a query on a cluster |

mod alerts;
mod as_of;
mod audience;
mod cache;
mod check;
mod compact;
mod compare;
mod completions;
mod config;
mod coverage;
mod demo;
mod engine;
mod entries;
mod erase;
mod explain;
mod history;
mod init;
mod kinds;
mod load;
mod man;
mod mcp;
mod nightly;
mod output;
mod publish;
mod queries;
mod query;
mod rejects;
mod report;
mod sample;
mod settings;
mod shared;
mod sql;
mod status;
mod undo;
mod upgrade;
mod usage;
mod vacuum;
mod views;

use std::ffi::OsString;
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::process::ExitCode;
use std::sync::Mutex;

use clap::error::ErrorKind;
use clap::{ArgMatches, Args, Command, FromArgMatches};

use self::output::{print_error, to_stderr, to_stdout};
use crate::error::{Error, Fault, Result};
use crate::files::keep_from_others;

/// A subcommand: its name, what help says of it, its options, and the function that runs it.
struct Subcommand {
    name: &'static str,
    /// One line of help.
    about: &'static str,
    /// Adds the options. Called only when the subcommand is named, which keeps start-up short.
    define: fn(Command) -> Command,
    run: fn(&Invocation<'_>) -> Result<()>,
}

impl Subcommand {
    /// Returns the subcommand that parses `O` and runs it.
    const fn of<O: Run>(name: &'static str, about: &'static str) -> Self {
        Self {
            name,
            about,
            define: O::augment_args,
            run: |invocation| invocation.parse::<O>()?.run(),
        }
    }

    /// Returns the clap command, its options deferred.
    fn command(&self) -> Command {
        Command::new(self.name).about(self.about).defer(self.define)
    }
}

/// The options of a subcommand, which know what to do. Long help and examples are attributes of
/// the type: `#[command(long_about = …, after_help = …)]`.
trait Run: Args {
    fn run(self) -> Result<()>;
}

/// The arguments of the process, parsed as far as one subcommand.
struct Invocation<'a> {
    /// The subcommand's own matches.
    matches: &'a ArgMatches,
    /// All arguments, the program's name first.
    arguments: &'a [OsString],
}

impl Invocation<'_> {
    /// Parses the subcommand's options.
    fn parse<O: FromArgMatches>(&self) -> Result<O> {
        self.parse_from(self.matches)
    }

    /// Parses options from the matches of a nested subcommand.
    fn parse_from<O: FromArgMatches>(&self, matches: &ArgMatches) -> Result<O> {
        O::from_arg_matches(matches).map_err(|error| usage::error(&error, self.arguments))
    }
}

/// Every subcommand, in the order of `wabalake --help`.
const SUBCOMMANDS: &[Subcommand] = &[
    init::SUBCOMMAND,
    config::SUBCOMMAND,
    load::SUBCOMMAND,
    nightly::SUBCOMMAND,
    alerts::SUBCOMMAND,
    rejects::SUBCOMMAND,
    query::SUBCOMMAND,
    sql::SUBCOMMAND,
    queries::SUBCOMMAND,
    explain::SUBCOMMAND,
    compare::SUBCOMMAND,
    report::SUBCOMMAND,
    audience::SUBCOMMAND,
    views::SUBCOMMAND,
    mcp::SUBCOMMAND,
    status::SUBCOMMAND,
    coverage::SUBCOMMAND,
    history::SUBCOMMAND,
    check::SUBCOMMAND,
    undo::SUBCOMMAND,
    compact::SUBCOMMAND,
    vacuum::SUBCOMMAND,
    upgrade::SUBCOMMAND,
    erase::SUBCOMMAND,
    cache::SUBCOMMAND,
    demo::SUBCOMMAND,
    sample::SUBCOMMAND,
    completions::SUBCOMMAND,
    man::SUBCOMMAND,
];

/// Runs the program. `arguments` are those of the process, the program's name first.
pub fn main(arguments: &[OsString]) -> ExitCode {
    panic::set_hook(Box::new(note_panic));
    let code = panic::catch_unwind(|| run(arguments)).unwrap_or_else(|_| {
        report_panic();
        Fault::Bug.exit_code()
    });
    ExitCode::from(code)
}

fn run(arguments: &[OsString]) -> u8 {
    let arguments = &sql::with_files_named(arguments);
    let done = match parse(arguments) {
        Ok(matches) => {
            let done = panic::catch_unwind(AssertUnwindSafe(|| dispatch(&matches, arguments)));
            let done = done.unwrap_or_else(|_| Err(Error::bug("a part of wabalake panicked")));
            done.map_err(|error| match damage_behind(&error, &matches) {
                Some(damage) => {
                    take_panic();
                    damage
                }
                None => error,
            })
        }
        Err(error) => match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
                to_stdout(|out| Ok(write!(out, "{}", output::styled(&error.render()))?))
            }
            ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
                to_stderr(&error.render().to_string());
                return Fault::Usage.exit_code();
            }
            _ => Err(usage::error(&error, arguments)),
        },
    };
    let panicked = report_panic();
    match done {
        Ok(()) => 0,
        Err(error) if panicked && error.fault() == Fault::Bug => error.exit_code(),
        Err(error) => {
            print_error(&error);
            error.exit_code()
        }
    }
}

fn dispatch(matches: &ArgMatches, arguments: &[OsString]) -> Result<()> {
    let Some((name, matches)) = matches.subcommand() else { return Ok(()) };
    // Manual pages are for everybody.
    if name != man::SUBCOMMAND.name {
        keep_from_others();
    }
    match SUBCOMMANDS.iter().find(|subcommand| subcommand.name == name) {
        Some(subcommand) => (subcommand.run)(&Invocation { matches, arguments }),
        None => Ok(()),
    }
}

/// Runs a command in this process, as if it had been typed. Its words are without the program's name.
fn run_command(words: &[OsString]) -> Result<()> {
    let arguments: Vec<OsString> =
        std::iter::once("wabalake".into()).chain(words.iter().cloned()).collect();
    let matches = parse(&arguments).map_err(|error| usage::error(&error, &arguments))?;
    dispatch(&matches, &arguments)
}

/// Returns the damage to the lake's files that explains an error or a panic of a library.
fn damage_behind(error: &Error, matches: &ArgMatches) -> Option<Error> {
    let panicked = PANIC.lock().is_ok_and(|panic| panic.is_some());
    if !panicked && !error.may_be_damage() {
        return None;
    }
    let mut matches = matches;
    loop {
        if let Some(lake) = shared::LakeOption::typed_in(matches) {
            return lake.open_to_check().ok()?.damage_behind(error);
        }
        matches = matches.subcommand()?.1;
    }
}

fn parse(arguments: &[OsString]) -> Result<ArgMatches, clap::Error> {
    sql::taking_files(command(), arguments).try_get_matches_from(arguments)
}

/// Returns the clap command of the program.
fn command() -> Command {
    let command = Command::new("wabalake")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Columnar batch analytics over exports of WhatsApp Business conversations")
        .after_help(
            "First steps:\n  \
             wabalake demo\n  \
             wabalake load EXPORT.csv --lake lake\n  \
             wabalake query drop-off --lake lake\n\n\
             Environment variables, each the default of an option:\n  \
             WABALAKE_LAKE             --lake\n  \
             WABALAKE_STORE_OPTIONS    --store-option, separated by ;\n  \
             WABALAKE_CONFIG           --config\n  \
             WABALAKE_TIMEZONE         --timezone\n  \
             WABALAKE_SOURCE_TIMEZONE  --source-timezone\n  \
             WABALAKE_DEFAULT_COUNTRY  --default-country\n  \
             WABALAKE_METRICS          --metrics\n  \
             WABALAKE_NOTIFY_COMMAND   --notify-command\n  \
             WABALAKE_REMOTE           --remote\n  \
             WABALAKE_TOKEN            the token within --remote\n  \
             WABALAKE_CACHE            see `wabalake cache --help`",
        )
        .subcommand_required(true)
        .arg_required_else_help(true);
    SUBCOMMANDS.iter().fold(command, |command, subcommand| command.subcommand(subcommand.command()))
}

/// The source location of the first panic that was not reported yet.
static PANIC: Mutex<Option<String>> = Mutex::new(None);

/// Notes where a panic happened. It is reported later: a damaged file may have made a library
/// panic, and then the damage is reported instead.
fn note_panic(panic: &PanicHookInfo<'_>) {
    // A panic on this thread becomes an error about the file that is being read.
    if std::thread::current().name() == Some(crate::load::SHEET_THREAD) {
        return;
    }
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    let place = place.rsplit_once("/src/").map_or(place.as_str(), |(_, place)| place);
    if let Ok(mut noted) = PANIC.lock() {
        noted.get_or_insert_with(|| place.to_owned());
    }
}

fn take_panic() -> Option<String> {
    PANIC.lock().ok().and_then(|mut noted| noted.take())
}

/// Reports a noted panic. Returns `true` if there was one. The panic's own message is not shown:
/// it may quote a cell.
fn report_panic() -> bool {
    let Some(place) = take_panic() else { return false };
    let error = Error::bug(format!("wabalake stopped at {place}"));
    print_error(
        &error.hint("this is a bug in wabalake: please report it with the command that you ran"),
    );
    true
}

#[cfg(test)]
mod tests {
    use wabalake_queries::CATALOG;

    use super::*;

    #[test]
    fn every_subcommand_is_well_defined() {
        for line in ["", "w query FILE.sql x", "w explain FILE.sql x"] {
            let arguments: Vec<OsString> = line.split(' ').map(Into::into).collect();
            let mut command = sql::taking_files(command(), &arguments);
            command.build();
            command.debug_assert();
        }
    }

    #[test]
    fn defining_the_options_keeps_the_one_line_help() {
        let mut command = command();
        command.build();
        for subcommand in SUBCOMMANDS {
            let built = command.find_subcommand(subcommand.name).unwrap();
            assert_eq!(built.get_about().unwrap().to_string(), subcommand.about);
            for (entry, built) in CATALOG
                .iter()
                .filter_map(|entry| Some((entry, built.find_subcommand(entry.spec.name)?)))
            {
                assert_eq!(built.get_about().unwrap().to_string(), entry.spec.title);
                assert_eq!(built.get_long_about().unwrap().to_string(), entry.spec.question);
            }
        }
    }

    #[test]
    fn every_option_has_help() {
        fn check(command: &Command) {
            for arg in command.get_arguments() {
                assert!(arg.get_help().is_some(), "{} {}", command.get_name(), arg.get_id());
            }
            command.get_subcommands().for_each(check);
        }
        let mut command = command();
        command.build();
        check(&command);
    }
}
