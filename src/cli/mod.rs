//! The command line: one module for each subcommand, and what they share.
//!
//! Data goes to standard output, everything else to standard error. A process ends with 0 when it
//! is done, 1 when the data, the lake or a cluster is at fault, 2 when the command line is, 3 for a
//! bug of ours, 130 when Ctrl-C ends a query on a cluster; a reader that closes the pipe early is no
//! fault.

mod check;
mod compact;
mod completions;
mod config;
mod coverage;
mod engine;
mod entries;
mod erase;
mod explain;
mod history;
mod init;
mod load;
mod man;
mod nightly;
mod output;
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
mod usage;
mod vacuum;

use std::ffi::OsString;
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;

use clap::error::ErrorKind;
use clap::{ArgMatches, Command};

use self::output::{to_stderr, to_stdout};
use crate::error::{Error, Fault, Result};
use crate::files::keep_from_others;
use crate::lake::Lake;

/// One subcommand.
struct Subcommand {
    name: &'static str,
    /// Adds what it takes; only asked of the one that was named.
    define: fn(Command) -> Command,
    run: fn(&Asked<'_>) -> Result<()>,
}

/// A subcommand as it was asked for.
struct Asked<'a> {
    matches: &'a ArgMatches,
    /// The whole command line, the program's name first.
    words: &'a [OsString],
}

/// Every subcommand, in the order that help shows them.
const SUBCOMMANDS: &[(Subcommand, &str)] = &[
    (init::SUBCOMMAND, "Write a lake's settings, to be edited"),
    (config::SUBCOMMAND, "Show the settings that are in force, and where they come from"),
    (load::SUBCOMMAND, "Load exports into a lake"),
    (nightly::SUBCOMMAND, "Load what arrived and bring marts up to date: for a scheduler"),
    (rejects::SUBCOMMAND, "List the rows that could not be loaded, or export them to be mended"),
    (query::SUBCOMMAND, "Answer a named query"),
    (sql::SUBCOMMAND, "Answer a query of your own, in SQL"),
    (queries::SUBCOMMAND, "List the named queries, or tell all about one"),
    (explain::SUBCOMMAND, "Show how a query would be run"),
    (report::SUBCOMMAND, "Write a page to look at"),
    (status::SUBCOMMAND, "Show what there is in a lake"),
    (coverage::SUBCOMMAND, "Show what each table covers, and what to export next"),
    (history::SUBCOMMAND, "Show what happened to a table"),
    (check::SUBCOMMAND, "Find what is damaged in a lake"),
    (undo::SUBCOMMAND, "Take the last load back"),
    (compact::SUBCOMMAND, "Merge the files of each day"),
    (vacuum::SUBCOMMAND, "Delete files that no recent version of a table needs"),
    (erase::SUBCOMMAND, "Erase a person from all tables, old versions and logs"),
    (sample::SUBCOMMAND, "Write made-up exports"),
    (completions::SUBCOMMAND, "Write a completion script for a shell"),
    (man::SUBCOMMAND, "Write the manual pages"),
];

/// Runs the program with a command line, the program's name first.
pub fn main(words: &[OsString]) -> ExitCode {
    panic::set_hook(Box::new(note_bug));
    let code = panic::catch_unwind(|| run(words)).unwrap_or_else(|_| {
        report_bug();
        3
    });
    ExitCode::from(code)
}

fn run(words: &[OsString]) -> u8 {
    let words = &sql::with_files_named(words);
    let done = match parse(words) {
        Ok(matches) => {
            let done = panic::catch_unwind(AssertUnwindSafe(|| dispatch(&matches, words)));
            let done = done.unwrap_or_else(|_| Err(Error::bug("a part of wabalake stopped")));
            done.map_err(|error| match damage_behind(&error, &matches) {
                Some(damage) => {
                    take_bug();
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
                return 2;
            }
            _ => Err(usage::error(&error, words)),
        },
    };
    let stopped = report_bug();
    match done {
        Ok(()) => 0,
        Err(error) if stopped && error.fault() == Fault::Bug => error.exit_code(),
        Err(error) => {
            to_stderr(&format!("{}\n", error.lines()));
            error.exit_code()
        }
    }
}

fn dispatch(matches: &ArgMatches, words: &[OsString]) -> Result<()> {
    let Some((name, matches)) = matches.subcommand() else { return Ok(()) };
    // Manual pages are for everybody.
    if name != man::SUBCOMMAND.name {
        keep_from_others();
    }
    match SUBCOMMANDS.iter().find(|(subcommand, _)| subcommand.name == name) {
        Some((subcommand, _)) => (subcommand.run)(&Asked { matches, words }),
        None => Ok(()),
    }
}

/// The damage to the lake that made a library fail or stop.
fn damage_behind(error: &Error, matches: &ArgMatches) -> Option<Error> {
    let stopped = BUG.lock().is_ok_and(|bug| bug.is_some());
    if !stopped && !error.may_be_damage() {
        return None;
    }
    let mut matches = matches;
    loop {
        if let Ok(Some(lake)) = matches.try_get_one::<PathBuf>("lake") {
            return Lake::open(lake).ok()?.damage_behind(error);
        }
        matches = matches.subcommand()?.1;
    }
}

fn parse(words: &[OsString]) -> Result<ArgMatches, clap::Error> {
    command_for(words).try_get_matches_from(words)
}

/// The command line that takes these words.
fn command_for(words: &[OsString]) -> Command {
    sql::taking_files(command(), words)
}

/// The whole command line. What a subcommand takes is only worked out when it is named.
fn command() -> Command {
    let command = Command::new("wabalake")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Columnar batch analytics over exports of WhatsApp Business conversations")
        .after_help(
            "A first try:\n  \
             wabalake load EXPORT.csv --lake lake\n  \
             wabalake query drop-off --lake lake\n\n\
             Environment:\n  \
             WABALAKE_LAKE             the lake, where --lake is not given\n  \
             WABALAKE_TIMEZONE         the reporting zone, where --timezone is not given\n  \
             WABALAKE_SOURCE_TIMEZONE  of stamps without an offset, where --source-timezone is \
             not given\n  \
             WABALAKE_METRICS          a file for Prometheus, where --metrics is not given\n  \
             WABALAKE_NOTIFY_COMMAND   what is run after a night, where --notify-command is not \
             given\n  \
             WABALAKE_REMOTE           the cluster, where --remote is not given\n  \
             WABALAKE_TOKEN            the cluster's token, where --remote has none",
        )
        .subcommand_required(true)
        .arg_required_else_help(true);
    SUBCOMMANDS.iter().fold(command, |command, (subcommand, about)| {
        command.subcommand(Command::new(subcommand.name).about(*about).defer(subcommand.define))
    })
}

/// Where a bug is that nobody was told of yet.
static BUG: Mutex<Option<String>> = Mutex::new(None);

/// Notes where a bug is. It may be that a damaged file made a library stop.
fn note_bug(panic: &PanicHookInfo<'_>) {
    // That becomes an error of the file that is being read.
    if std::thread::current().name() == Some(crate::load::SHEET_THREAD) {
        return;
    }
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    let place = place.rsplit_once("/src/").map_or(place.as_str(), |(_, place)| place);
    if let Ok(mut bug) = BUG.lock() {
        bug.get_or_insert_with(|| place.to_owned());
    }
}

fn take_bug() -> Option<String> {
    BUG.lock().ok().and_then(|mut bug| bug.take())
}

/// Says where a bug is, if there is one. What was being worked on is not said: it may be somebody's
/// message.
fn report_bug() -> bool {
    let Some(place) = take_bug() else { return false };
    to_stderr(&format!(
        "error: wabalake stopped at {place}\n  \
         hint: this is a bug in wabalake: please report it with the command that you ran\n"
    ));
    true
}

#[cfg(test)]
mod tests {
    use wabalake_queries::CATALOG;

    use super::*;

    #[test]
    fn every_subcommand_is_well_defined() {
        for line in ["", "w query FILE.sql x", "w explain FILE.sql x"] {
            let words: Vec<OsString> = line.split(' ').map(Into::into).collect();
            let mut command = command_for(&words);
            command.build();
            command.debug_assert();
        }
    }

    #[test]
    fn what_a_subcommand_takes_does_not_change_what_it_is_for() {
        let mut command = command();
        command.build();
        for (subcommand, about) in SUBCOMMANDS {
            let built = command.find_subcommand(subcommand.name).unwrap();
            assert_eq!(built.get_about().unwrap().to_string(), *about);
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
    fn options_have_a_line_of_help_each() {
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
