//! `wabalake erase`: takes a person out of a lake for good.

use std::io::{self, IsTerminal as _, Read as _};

use chrono::Utc;
use clap::{Args, Command, FromArgMatches as _};
use wabalake_data::words::{counted, counted_as, grouped};

use super::output::{to_stderr, to_stdout};
use super::shared::LakeOption;
use super::{Asked, Subcommand, usage};
use crate::config::Config;
use crate::error::{Error, Result, in_words};
use crate::lake::erase::{self, Erased};
use crate::lake::runs::{Run, RunOutcome};
use crate::nightly::RunLock;

pub(super) const SUBCOMMAND: Subcommand = Subcommand { name: "erase", define, run };

#[derive(Args, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
struct Options {
    #[command(flatten)]
    lake: LakeOption,

    /// The person's number, with the country's code, or their user id; `-` reads it from standard
    /// input
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true)]
    phone: String,

    /// Only rows whose `user_phone` is exactly NUMBER, be it no number at all; texts and files are
    /// not searched for it
    #[arg(long, conflicts_with = "lines_too")]
    exactly: bool,

    /// Also a number that the business writes from: all rows that name it go, whoever's they are
    #[arg(long)]
    lines_too: bool,

    /// Also keep the person out: later loads leave their rows out [default: as the lake says]
    #[arg(long)]
    keep_out: bool,

    /// Do not keep the person out, whatever the lake says
    #[arg(long, conflicts_with = "keep_out")]
    no_keep_out: bool,
    /// Do not ask; needed where there is no terminal
    #[arg(long)]
    yes: bool,

    /// Only say what would be erased
    #[arg(long)]
    dry_run: bool,
}

fn define(command: Command) -> Command {
    Options::augment_args(command)
        .long_about(
            "Erase a person: their sessions, sends, messages, closings, conversions, tags and \
             answers, and what names nobody but a session of theirs; rejected records that are \
             theirs, and those of nobody that can be known that hold the number; old versions of \
             all of these, marts, and what the logs say. Whose a row is says its `user_phone` \
             alone, which loading made of country code and number. Another person's row is never \
             erased: where others wrote the number into a text, it is struck out, and where their \
             row names a session of the person, a random name stands in. Before anything is \
             deleted, standard error says how many rows of how many people go; on a terminal you \
             are asked, elsewhere `--yes` is needed. This cannot be undone, and a load whose days \
             were rewritten by it cannot be undone either. It waits until nobody writes to the \
             lake, and may be run again if it was stopped. The table `runs` says that somebody was \
             erased, not who.",
        )
        .after_help(
            "What it does not reach:\n  \
             - Exports, answers, pages and backups that you keep: delete these yourself. The lake's \
             folder and the\n    inbox, with what was loaded from it or failed, are searched as the \
             loader reads them, packed files\n    too: files that hold the number, and those that \
             could not be searched, are named at the end, with\n    exit code 1. A link is not \
             followed, and nothing is deleted behind one.\n  \
             - Exports that are still to come. A file that was loaded is not loaded again, so it \
             does not bring\n    the person back; a later load of another export that still has \
             them does, and cannot\n    know it, unless they are kept out.\n  \
             - An id, of a message or a session, of another person's row that holds the number by \
             chance.\n  \
             - A vendor's totals, in which they are counted and not named.\n\n\
             Kept out (--keep-out):\n  \
             A later load leaves out, and counts, the person's rows, their rejected records, and what \
             names\n  only a session of theirs: one that was erased, or that a row of theirs in that \
             load or an\n  earlier one names. It cannot know whose a session is before such a row \
             was met, nor who is meant\n  in what others write. The number is not kept, only a keyed \
             hash of it: the list is\n  .wabalake/keep-out in the lake's folder, its key is \
             .wabalake/keep-out.key, or the file that\n  keep_out_key names in wabalake.toml. Without \
             the key no load is taken. To let everybody in again,\n  delete the list.\n\n\
             A number on the command line stays in the shell's history. Without that:\n  \
             wabalake erase --lake lake --yes --phone - < number.txt",
        )
}

fn run(asked: &Asked<'_>) -> Result<()> {
    let options =
        Options::from_arg_matches(asked.matches).map_err(|e| usage::error(&e, asked.words))?;
    let is_terminal = io::stdin().is_terminal() && io::stderr().is_terminal();
    if !options.dry_run && !options.yes && !is_terminal {
        return Err(Error::usage("there is no terminal to ask on, and nothing was erased").hint(
            "`--dry-run` says what would be erased; to erase it without being asked, add `--yes`",
        ));
    }
    let lake = options.lake.open()?;
    let phone = match options.phone.as_str() {
        "-" => number_from_stdin()?,
        phone => phone.to_owned(),
    };
    let by_default = Config::of(lake.root())?.privacy.keep_out;
    let how = erase::Options {
        dry_run: options.dry_run,
        lines_too: options.lines_too,
        keep_out: options.keep_out || (by_default && !options.no_keep_out),
        exactly: options.exactly,
    };
    let erased = if options.dry_run {
        let erased = lake.erase(&phone, how)?;
        tell(&erased);
        erased
    } else {
        let mut told = None;
        if !options.yes {
            // Nobody is kept waiting for an answer.
            let found = lake.erase(&phone, erase::Options { dry_run: true, ..how })?;
            told = Some(agreed(found, options.yes)?);
        }
        // A night makes its marts from the tables as they were when it began.
        let _night = RunLock::acquire(&lake)?;
        let started = Utc::now();
        let erased = lake.erase_once_agreed(&phone, how, &mut |found| {
            let as_told = told.as_ref().is_some_and(|told| plan(told) == plan(found));
            if as_told { Ok(()) } else { agreed(found.clone(), options.yes).map(drop) }
        })?;
        if !erased.is_nothing() {
            lake.log_run(&Run::new("erase", RunOutcome::Done, started))?;
        }
        erased
    };
    to_stdout(|out| {
        let would = if options.dry_run { "would be " } else { "" };
        let leave = if options.dry_run { "would leave" } else { "leave" };
        if erased.is_nothing() {
            writeln!(out, "nothing of that number is in the lake")?;
        }
        for table in &erased.tables {
            let version = table.version.map(|v| format!(", version {v}")).unwrap_or_default();
            let struck = match table.redacted {
                0 => String::new(),
                rows => format!(", struck out of {} of others", grouped(rows)),
            };
            writeln!(
                out,
                "{}: {} {would}erased{struck}{version}",
                table.table,
                counted(table.rows, "row")
            )?;
        }
        if erased.old_files > 0 {
            writeln!(out, "{} {would}deleted", counted(erased.old_files, "file"))?;
        }
        if erased.log_entries > 0 {
            writeln!(
                out,
                "{} {would}mended",
                counted_as(erased.log_entries, "log entry", "log entries")
            )?;
        }
        if erased.marts {
            writeln!(out, "marts {would}dropped: the next night makes them anew")?;
        }
        if erased.named > 0 {
            writeln!(
                out,
                "{} an id or another name that holds the number",
                counted_as(erased.named, "row of others keeps", "rows of others keep")
            )?;
        }
        if how.keep_out {
            writeln!(out, "later loads {leave} rows of this person out")?;
        }
        Ok(())
    })?;
    files_of_others(&erased)
}

/// All that is on standard input; on a terminal, one line.
fn number_from_stdin() -> Result<String> {
    let mut text = String::new();
    let read = if io::stdin().is_terminal() {
        io::stdin().read_line(&mut text)
    } else {
        io::stdin().read_to_string(&mut text)
    };
    read.map_err(|error| unread_stdin(&error))?;
    Ok(text)
}

fn unread_stdin(error: &io::Error) -> Error {
    Error::data(format!("reading standard input: {}", in_words(error)))
}

/// Says what is to be erased, and asks whether it is to be, unless that was said.
fn agreed(found: Erased, yes: bool) -> Result<Erased> {
    if found.is_nothing() {
        return Ok(found);
    }
    tell(&found);
    if yes {
        return Ok(found);
    }
    to_stderr("Erase this for good? [y/N] ");
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).map_err(|error| unread_stdin(&error))?;
    match answer.trim().to_lowercase().as_str() {
        "y" | "yes" => Ok(found),
        _ => Err(Error::usage("nothing was erased").hint("answer `y` to erase, or say `--yes`")),
    }
}

fn tell(found: &Erased) {
    if !found.is_nothing() {
        to_stderr(&format!("to be erased: {}\n", plan(found)));
    }
}

/// What is to be erased, in words.
fn plan(found: &Erased) -> String {
    let mut parts = vec![format!(
        "{} of {}",
        counted(found.rows(), "row"),
        counted_as(found.people, "person", "people")
    )];
    let tables = found.tables.iter().filter(|table| table.rows > 0);
    let tables: Vec<String> =
        tables.map(|table| format!("{} in {}", grouped(table.rows), table.table)).collect();
    if !tables.is_empty() {
        parts[0] = format!("{} ({})", parts[0], tables.join(", "));
    }
    if found.redacted() > 0 {
        parts.push(format!("what names them in {} of others", counted(found.redacted(), "row")));
    }
    if found.old_files > 0 {
        parts.push(counted(found.old_files, "data file"));
    }
    if found.log_entries > 0 {
        parts.push(counted_as(found.log_entries, "log entry", "log entries"));
    }
    parts.join("; ")
}

/// Names the files that the person is still in, or may be.
fn files_of_others(erased: &Erased) -> Result<()> {
    let holding: Vec<String> = erased.left.iter().map(|file| shown(file)).collect();
    let unsearched = erased.unsearched.iter();
    let unsearched: Vec<String> = unsearched
        .map(|file| format!("{} ({})", shown(&file.file), masked(&file.reason)))
        .collect();
    let not_searched = format!("not searched: {}", unsearched.join(", "));
    Err(match (holding.is_empty(), unsearched.is_empty()) {
        (true, true) => return Ok(()),
        (false, true) => Error::lake("files of others hold the number")
            .found(holding.join(", "))
            .hint("delete these files, or take the number out of them, and run it again"),
        (true, false) => Error::lake("files of others could not be searched for the number")
            .found(not_searched)
            .hint("see to these files yourself: delete them, or put them elsewhere"),
        (false, false) => {
            Error::lake("files of others hold the number, and others could not be searched for it")
                .found(format!("{}; {not_searched}", holding.join(", ")))
                .hint("delete these files, or take the number out of them, and run it again")
        }
    })
}

/// A file's path, unless it holds a number itself.
fn shown(file: &std::path::Path) -> String {
    masked(&file.display().to_string())
}

/// A text without digits that may be a phone, as people write them; a date is none.
fn masked(text: &str) -> String {
    const SHORTEST: usize = 7;
    const LONGEST_GAP: usize = 3;
    let is_digit = |c: &char| c.is_numeric();
    let is_gap = |c: &char| c.is_whitespace() || matches!(c, '-' | '.' | '(' | ')' | '+');
    let is_date =
        |digits: &str| digits.len() == 8 && (digits.starts_with("19") || digits.starts_with("20"));
    let chars: Vec<char> = text.chars().collect();
    let mut masked = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let mut end = at;
        while end < chars.len() {
            let gap = chars[end..].iter().take_while(|c| is_gap(c)).count();
            let next = if end == at { 0 } else { gap };
            if next > LONGEST_GAP || !chars.get(end + next).is_some_and(is_digit) {
                break;
            }
            end += next + 1;
        }
        let run = &chars[at..end.max(at + 1)];
        let digits: String = run.iter().filter(|c| is_digit(c)).collect();
        let is_phone = digits.chars().count() >= SHORTEST && !is_date(&digits);
        masked.extend(run.iter().map(|c| if is_phone && is_digit(c) { '#' } else { *c }));
        at += run.len();
    }
    masked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_keeps_its_dates_and_no_number() {
        for (path, shown_as) in [
            ("in/sessions_2025_06_10.csv", "in/sessions_2025_06_10.csv"),
            ("in/20250610/a.csv", "in/20250610/a.csv"),
            ("573005550101.html", "############.html"),
            ("é 3005550101", "é ##########"),
            ("of +57 (300) 555-0101.csv", "of +## (###) ###-####.csv"),
            ("2025-06-10 a.csv", "2025-06-10 a.csv"),
        ] {
            assert_eq!(shown(std::path::Path::new(path)), shown_as);
        }
    }
}
