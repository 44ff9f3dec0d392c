//! `wabalake erase`: erases a person from a lake.

use std::io::{self, IsTerminal as _, Read as _};

use chrono::Utc;
use clap::Args;
use serde_json::{Value, json};
use wabalake_data::cells::phone::is_user_id;
use wabalake_data::words::{counted, counted_as, grouped};

use super::output::{to_stderr, to_stdout};
use super::shared::LakeOption;
use super::{Run, Subcommand};
use crate::config::Config;
use crate::error::{Context as _, Error, Result};
use crate::lake::Lake;
use crate::lake::erase::{self, Erased, ErasedTable, Unsearched};
use crate::lake::runs::{self, RunOutcome};
use crate::nightly::RunLock;

pub(super) const SUBCOMMAND: Subcommand =
    Subcommand::of::<Options>("erase", "Erase a person from all tables, old versions and logs");

#[derive(Args)]
#[command(
    long_about = "Erase a person: their sessions, deployments, messages, closings, agent chats, conversions, tags and \
                  answers, and rows that refer only to a session of theirs; their rejected records, and \
                  rejected records of an unknown person that contain the number; old versions of all of \
                  these, marts, and log entries. A row belongs to the person of its `user_phone`, which \
                  loading builds from country code and number. Rows of other persons are never erased: \
                  where others wrote the number in a text, it is replaced, and where their row names a \
                  session of the person, a random name replaces it. With a number or user id, all that the table \
                  `identities` links to it is erased: other user ids of the person, and their numbers; \
                  `--dry-run` names them. Before anything is deleted, standard \
                  error shows how many rows of how many people are affected; a terminal asks for \
                  confirmation, elsewhere `--yes` is required. Erasing cannot be undone, and neither can \
                  a load whose days it rewrote. It waits for other writers, and can be run again after a \
                  crash. The table `runs` records that a person was erased, not who.",
    after_help = "What is not erased:\n  \
                  - Exports, answers, pages and backups that you keep: delete these yourself. The lake's \
                  folder and the\n    inbox, with its folders for loaded and failed files, are searched as \
                  the loader reads them,\n    compressed files too: files that contain the number, and \
                  those that could not be searched, are\n    listed at the end, with exit code 1. \
                  Symbolic links are not followed.\n  \
                  - Exports that you load later. A file that was loaded before is not loaded again; \
                  another export\n    that contains the person brings them back, unless they are kept \
                  out.\n  \
                  - An id, of a message or a session, in another person's row that contains the number by \
                  chance.\n  \
                  - Totals of a vendor, in which the person is counted and not named.\n  \
                  - On an object store: what Google or Azure keep of deleted files by the policies of the \
                  bucket, which\n    the result says; versions that are locked (S3), which are an error. \
                  Older versions that a bucket of\n    S3 keeps are erased. The cache of this machine is \
                  emptied: run `wabalake cache --clear` on others.\n\n\
                  Keep out (--keep-out):\n  \
                  Later loads leave out, and count, the person's rows, their rejected records, and rows \
                  that refer\n  only to a session of theirs: one that was erased, or one named by a row of \
                  theirs in that load or\n  an earlier one. A session is only known to be theirs once \
                  such a row was read; texts of others\n  about the person are loaded. Ids and numbers \
                  that a later link of `identities` connects to the\n  person are kept out too. Numbers \
                  and ids are not stored, only keyed hashes of them, in the list\n  .wabalake/keep-out of \
                  the lake. The key is .wabalake/keep-out.key, or the file that\n  keep_out_key names in \
                  wabalake.toml; without the key nothing can be loaded. To accept everybody\n  again, \
                  delete the list.\n\n\
                  A number on the command line stays in the shell's history. To avoid that:\n  \
                  wabalake erase --lake lake --yes --phone - < number.txt"
)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
struct Options {
    #[command(flatten)]
    lake: LakeOption,

    /// The person's phone number, with its country code, or a user id of theirs; `-` reads it from
    /// standard input
    #[arg(
        long,
        value_name = "NUMBER",
        allow_hyphen_values = true,
        required_unless_present = "user_id"
    )]
    phone: Option<String>,

    /// A user id of the person, such as `CO.13491208655302741918`; `-` reads it from standard input
    #[arg(long, value_name = "ID", allow_hyphen_values = true, conflicts_with_all = ["phone", "exactly"])]
    user_id: Option<String>,

    /// Only rows whose `user_phone` equals NUMBER, even if it is not a phone number; texts and files
    /// are not searched
    #[arg(long, conflicts_with = "lines_too")]
    exactly: bool,

    /// Also accept a phone number of the business: all rows of that line are erased, for every person
    #[arg(long)]
    lines_too: bool,

    /// Also leave the person's rows out of later loads [default: the lake's]
    #[arg(long)]
    keep_out: bool,

    /// Accept the person's rows in later loads, whatever the lake's settings say
    #[arg(long, conflicts_with = "keep_out")]
    no_keep_out: bool,

    /// Do not ask for confirmation; required without a terminal
    #[arg(long)]
    yes: bool,

    /// Show what would be erased, without erasing it
    #[arg(long)]
    dry_run: bool,

    /// Print the result as one line of JSON
    #[arg(long)]
    json: bool,
}

impl Run for Options {
    fn run(self) -> Result<()> {
        let is_terminal = io::stdin().is_terminal() && io::stderr().is_terminal();
        if !self.dry_run && !self.yes && !is_terminal {
            return Err(Error::usage("no terminal to ask for confirmation; nothing was erased").hint(
                "`--dry-run` shows what would be erased; `--yes` erases it without confirmation",
            ));
        }
        let lake = self.lake.open_to_change()?;
        let phone = self.person()?;
        let by_default = Config::of(&lake)?.privacy.keep_out;
        let options = erase::Options {
            dry_run: self.dry_run,
            lines_too: self.lines_too,
            keep_out: self.keep_out || (by_default && !self.no_keep_out),
            exactly: self.exactly,
        };
        let erased = if self.dry_run {
            let found = lake.erase(&phone, options)?;
            print_plan(&found);
            print_links(&found);
            found
        } else {
            self.erase(&lake, &phone, options)?
        };
        match self.json {
            true => to_stdout(|out| Ok(writeln!(out, "{}", json(&erased, self.dry_run))?))?,
            false => self.print(&erased, options.keep_out)?,
        }
        remaining_files(&erased)
    }
}

impl Options {
    /// The number or user id of the person.
    fn person(&self) -> Result<String> {
        let given = self.user_id.as_deref().or(self.phone.as_deref()).unwrap_or_default();
        let person = if given == "-" { number_from_stdin()? } else { given.to_owned() };
        if self.user_id.is_some() && !is_user_id(person.trim()) {
            return Err(Error::usage("that is no user id")
                .hint("a user id has a country, a dot and letters or digits, such as CO.1349"));
        }
        Ok(person)
    }

    /// Asks for confirmation and erases.
    fn erase(&self, lake: &Lake, phone: &str, options: erase::Options) -> Result<Erased> {
        let mut confirmed = None;
        if !self.yes {
            // Asked before the locks are taken: other writers do not wait for the answer.
            let found = lake.erase(phone, erase::Options { dry_run: true, ..options })?;
            confirmed = Some(confirm(found, self.yes)?);
        }
        // Holds the lock of nightly runs: one would rebuild marts from the tables of its start.
        let _night = RunLock::acquire(lake)?;
        let started = Utc::now();
        let erased = lake.erase_once_agreed(phone, options, &mut |found| {
            // Asks again only if the lake changed since.
            match &confirmed {
                Some(confirmed) if plan(confirmed) == plan(found) => Ok(()),
                _ => confirm(found.clone(), self.yes).map(drop),
            }
        })?;
        if !erased.is_nothing() {
            lake.log_run(&runs::Run::new("erase", RunOutcome::Done, started))?;
        }
        Ok(erased)
    }

    /// Prints what was erased, or would be.
    fn print(&self, erased: &Erased, keep_out: bool) -> Result<()> {
        let would = if self.dry_run { "would be " } else { "" };
        to_stdout(|out| {
            if erased.is_nothing() {
                writeln!(out, "the lake has no rows of that person")?;
            }
            for table in &erased.tables {
                let version = table.version.map(|v| format!(", version {v}")).unwrap_or_default();
                let struck = match table.redacted {
                    0 => String::new(),
                    rows => format!(", replaced in {} of others", counted(rows, "row")),
                };
                let rows = counted(table.rows, "row");
                writeln!(out, "{}: {rows} {would}erased{struck}{version}", table.table)?;
            }
            if erased.old_files > 0 {
                writeln!(out, "{} {would}deleted", counted(erased.old_files, "file"))?;
            }
            if erased.log_entries > 0 {
                let entries = counted_as(erased.log_entries, "log entry", "log entries");
                writeln!(out, "{entries} {would}corrected")?;
            }
            if erased.versions > 0 {
                let versions = counted_as(
                    erased.versions,
                    "older version of a file",
                    "older versions of files",
                );
                writeln!(out, "{versions} {would}deleted, which the store kept")?;
            }
            if erased.marts {
                writeln!(out, "marts {would}dropped: the next nightly run rebuilds them")?;
            }
            if erased.named > 0 {
                let rows = counted_as(erased.named, "row of others keeps", "rows of others keep");
                let contained = what_names(erased);
                writeln!(out, "{rows} an id or another name that contains {contained}")?;
            }
            if keep_out {
                let leave = if self.dry_run { "would leave" } else { "leave" };
                writeln!(out, "later loads {leave} rows of this person out")?;
            }
            if let Some(kept) = erased.kept {
                writeln!(out, "note: {kept}")?;
            }
            Ok(())
        })
    }
}

/// Reads all of standard input, or one line from a terminal.
fn number_from_stdin() -> Result<String> {
    let mut text = String::new();
    let read = if io::stdin().is_terminal() {
        io::stdin().read_line(&mut text)
    } else {
        io::stdin().read_to_string(&mut text)
    };
    read.context(|| "reading standard input")?;
    Ok(text)
}

/// Prints what will be erased and asks for confirmation, unless `yes`.
fn confirm(found: Erased, yes: bool) -> Result<Erased> {
    if found.is_nothing() {
        return Ok(found);
    }
    print_plan(&found);
    if yes {
        return Ok(found);
    }
    to_stderr("Erase this permanently? [y/N] ");
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).context(|| "reading standard input")?;
    match answer.trim().to_lowercase().as_str() {
        "y" | "yes" => Ok(found),
        _ => Err(Error::usage("nothing was erased").hint("answer `y` to erase, or use `--yes`")),
    }
}

fn print_plan(found: &Erased) {
    if !found.is_nothing() {
        to_stderr(&format!("to be erased: {}\n", plan(found)));
    }
}

/// Prints, in a dry run, which numbers and user ids are linked to the one that was asked for.
fn print_links(found: &Erased) {
    if found.persons.len() > 1 {
        let persons: Vec<&str> = found.persons.iter().map(String::as_str).collect();
        to_stderr(&format!("linked by identities: {}\n", persons.join(", ")));
    }
}

/// What names the person that is erased: numbers, user ids, or both.
fn what_names(erased: &Erased) -> &'static str {
    let ids = erased.persons.iter().filter(|name| is_user_id(name)).count();
    match (ids, erased.persons.len()) {
        (0, 0 | 1) => "the number",
        (1, 1) => "the user id",
        _ => "a number or user id of the person",
    }
}

/// Describes what will be erased.
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
        let rows = counted(found.redacted(), "row");
        parts.push(format!("{} in {rows} of others", what_names(found)));
    }
    if found.old_files > 0 {
        parts.push(counted(found.old_files, "data file"));
    }
    if found.versions > 0 {
        let (one, many) = ("older version of a file", "older versions of files");
        parts.push(counted_as(found.versions, one, many));
    }
    if found.log_entries > 0 {
        parts.push(counted_as(found.log_entries, "log entry", "log entries"));
    }
    parts.join("; ")
}

/// The result for a program, with phone numbers in names of files masked. That of a dry run names who is
/// to be erased.
fn json(erased: &Erased, dry_run: bool) -> Value {
    let table = |table: &ErasedTable| {
        let ErasedTable { table, rows, redacted, version } = table;
        json!({"table": table, "rows": rows, "rows_of_others": redacted, "version": version})
    };
    let unsearched =
        |file: &Unsearched| json!({"file": shown(&file.file), "reason": masked(&file.reason)});
    json!({
        "tables": erased.tables.iter().map(table).collect::<Vec<_>>(),
        "people": erased.people,
        "linked": if dry_run { json!(erased.persons) } else { Value::Null },
        "files": erased.old_files,
        "log_entries": erased.log_entries,
        "older_versions": erased.versions,
        "marts": erased.marts,
        "rows_that_keep_an_id": erased.named,
        "files_with_the_number": erased.left.iter().map(|file| shown(file)).collect::<Vec<_>>(),
        "files_not_searched": erased.unsearched.iter().map(unsearched).collect::<Vec<_>>(),
        "cloud_may_keep": erased.kept,
    })
}

/// Returns an error that lists the files that still contain the number, or may.
fn remaining_files(erased: &Erased) -> Result<()> {
    let holding: Vec<String> = erased.left.iter().map(|file| shown(file)).collect();
    let unsearched = erased.unsearched.iter();
    let unsearched: Vec<String> = unsearched
        .map(|file| format!("{} ({})", shown(&file.file), masked(&file.reason)))
        .collect();
    let not_searched = format!("not searched: {}", unsearched.join(", "));
    let name = what_names(erased);
    let delete = format!("delete these files, or remove {name} from them, and run it again");
    Err(match (holding.is_empty(), unsearched.is_empty()) {
        (true, true) => return Ok(()),
        (false, true) => Error::lake(format!("other files contain {name}"))
            .found(holding.join(", "))
            .hint(delete),
        (true, false) => Error::lake(format!("other files could not be searched for {name}"))
            .found(not_searched)
            .hint("check these files yourself: delete them, or move them elsewhere"),
        (false, false) => Error::lake(format!(
            "other files contain {name}, and further files could not be searched for it"
        ))
        .found(format!("{}; {not_searched}", holding.join(", ")))
        .hint(delete),
    })
}

/// Formats a path, with phone numbers in it masked.
fn shown(file: &std::path::Path) -> String {
    masked(&file.display().to_string())
}

/// Masks digits that may be a phone number, with the separators that people write. Dates are kept.
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
    fn paths_keep_dates_and_mask_phone_numbers() {
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
