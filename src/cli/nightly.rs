//! `wabalake nightly`: loads what arrived and brings marts up to date.

use std::fmt::Write as _;
use std::path::Path;

use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};
use chrono_tz::Tz;
use clap::{Args, Command, FromArgMatches as _};
use serde_json::json;
use wabalake_data::TABLES;
use wabalake_data::words::{counted, grouped, plural, suggestion};
use wabalake_queries::query::zone::day_start;

use super::output::{say, to_file_for, to_stderr, to_stdout};
use super::settings::SettingsOptions;
use super::shared::LakeOption;
use super::{Asked, Subcommand, usage};
use crate::config::Config;
use crate::error::{Error, Report as Cause, Result};
use crate::files::Access;
use crate::lake::AsOf;
use crate::nightly::{self, RunReport, Scope, metrics};
use crate::render::visible;
use crate::report;

pub(super) const SUBCOMMAND: Subcommand = Subcommand { name: "nightly", define, run };

#[derive(Args, Debug)]
struct Options {
    #[command(flatten)]
    lake: LakeOption,

    #[command(flatten)]
    settings: SettingsOptions,

    /// Work marts out as a whole, whatever changed
    #[arg(long)]
    full: bool,

    /// Only say what would be done, and why
    #[arg(long)]
    dry_run: bool,

    /// Only these marts, separated by commas [default: all]
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    only: Vec<String>,

    /// Make marts from the tables as they were, and load nothing [default: as they are]
    #[arg(
        long,
        value_name = "WHEN",
        long_help = "Make marts from the tables as they were, and load nothing: at an instant such \
                     as 2025-06-01T06:00:00Z (a date is its midnight in the reporting zone), or at \
                     versions such as sessions=12,deployments=9 [default: as they are]"
    )]
    as_of: Option<String>,

    /// Write what was done as JSON to standard output
    #[arg(long)]
    json: bool,
}

fn define(command: Command) -> Command {
    Options::augment_args(command)
        .long_about(
            "Load what is new in the inbox, bring marts up to date, and write down what was done: \
             what a scheduler calls. A file of the inbox that is still written to is left for the next \
             night. Only what changed is worked out. A night that was missed, \
             killed or run twice makes no difference: the marts are those of one full run. One \
             night runs at a time, on however many machines; `wabalake.toml` says the rest.",
        )
        .after_help(
            "Exit codes: 0 all was done; 1 a file, a mart or the page was at fault, the rest was done, or \
             nothing could be done; 2 the command line; 3 a bug of ours.\n\n\
             Example:\n  15 3 * * *  wabalake nightly --lake /srv/lake --json >> /var/log/wabalake.json",
        )
}

fn run(asked: &Asked<'_>) -> Result<()> {
    let options =
        Options::from_arg_matches(asked.matches).map_err(|e| usage::error(&e, asked.words))?;
    let lake = options.lake.open()?;
    let config = options.settings.of(&lake)?;
    let as_of = options.as_of.as_deref();
    let as_of = as_of.map(|text| read_as_of(text, config.timezone.unwrap_or(Tz::UTC)));
    let how = nightly::Options {
        as_of: as_of.transpose()?.unwrap_or_default(),
        full: options.full,
        dry_run: options.dry_run,
        only: options.only.clone(),
    };
    let file = config.page.file.as_ref().map(|file| lake.root().join(file));
    let publish = |file: &Path| {
        let page = report::page(&lake, &report::Options::of(&config))?;
        // Whoever publishes it says who may read it, once: it keeps its mode.
        let is_first = config.privacy.people_on_page && !file.exists();
        let access = if is_first { Access::Owner } else { Access::Usual };
        to_file_for(access, file, |out| Ok(out.write_all(page.as_bytes())?))
    };
    let page = file.as_deref().map(|file| (file, &publish as &dyn Fn(&Path) -> _));
    let done = match nightly::run(&lake, &config, &how, page) {
        Ok(done) => done,
        Err(error) => return Err(failed(lake.explain(error), &config, how.dry_run)),
    };
    let json =
        serde_json::to_string(&done).map_err(|error| Error::bug(format!("the report: {error}")))?;
    match options.json {
        true => to_stdout(|out| Ok(writeln!(out, "{json}")?))?,
        false => say(&text(&done))?,
    }
    let limit = config.nightly.notify_limit();
    let mut faults = Vec::new();
    if !done.dry_run {
        if let Some(path) = &config.nightly.metrics {
            faults.extend(metrics::write(&lake.root().join(path), &done).err());
        }
        if let Some(command) = &config.nightly.notify_command {
            faults.extend(nightly::notify(command, &json, done.outcome, limit).err());
        }
    }
    let incomplete = incomplete(&done);
    let mut errors = incomplete.into_iter().chain(faults);
    let Some(first) = errors.next() else { return Ok(()) };
    for other in errors {
        to_stderr(&format!("{}\n", other.lines()));
    }
    Err(first)
}

/// Tells of a night that could not be, and gives back why.
fn failed(error: Error, config: &Config, dry_run: bool) -> Error {
    if let Some(command) = config.nightly.notify_command.as_deref().filter(|_| !dry_run) {
        let Cause { what, hint, .. } = error.report();
        let json = json!({"outcome": "failed", "error": what, "hint": hint}).to_string();
        if let Err(fault) = nightly::notify(command, &json, "failed", config.nightly.notify_limit())
        {
            to_stderr(&format!("{}\n", fault.lines()));
        }
    }
    error
}

/// What could not be done, as an error once all is told.
fn incomplete(report: &RunReport) -> Option<Error> {
    let (files, marts) = (report.inbox.failed.len(), report.failed_marts.len());
    let count = |count: usize, what: &str| match count {
        0 => None,
        1 => Some(format!("1 {what} is")),
        more => Some(format!("{more} {what}s are")),
    };
    let pages = usize::from(report.failed_page.is_some());
    let at_fault = [count(files, "file"), count(marts, "mart"), count(pages, "page")];
    let at_fault: Vec<String> = at_fault.into_iter().flatten().collect();
    (!at_fault.is_empty()).then(|| {
        Error::data(format!("{} at fault; the rest of the night is done", at_fault.join(" and ")))
            .hint("what is wrong with each is said above, and beside files that were moved")
    })
}

/// What a person reads.
fn text(report: &RunReport) -> String {
    let mut text = String::new();
    if let Some(died) = report.crashed_before {
        let _ = writeln!(text, "the night of {} did not live to its end", stamp(died));
    }
    let inbox = &report.inbox;
    if report.dry_run {
        for name in &inbox.names {
            let name = visible(name);
            let _ = writeln!(text, "inbox: {name} would be loaded, unless the lake has it");
        }
    } else if inbox.files + inbox.known > 0 {
        let _ = writeln!(
            text,
            "inbox: {} loaded, {} known already; {} new, {} updated, {} rejected",
            files(inbox.files),
            files(inbox.known),
            counted(inbox.rows_new, "row"),
            grouped(inbox.rows_updated),
            grouped(inbox.rows_rejected),
        );
        for (what, rows) in
            [("added up, to", inbox.rows_added_up), ("superseded, by", inbox.rows_superseded)]
        {
            if rows > 0 {
                let rows = counted(rows, "row");
                let _ = writeln!(text, "inbox: {rows} {what} another row of the same file and key");
            }
        }
        if inbox.rows_kept_out > 0 {
            let rows = counted(inbox.rows_kept_out, "row");
            let _ = writeln!(text, "inbox: left out: {rows} of erased persons");
        }
    }
    let arriving = inbox.arriving.len() as u64;
    if arriving > 0 {
        let are = plural(arriving, "is", "are");
        let arriving = files(arriving);
        let _ = writeln!(text, "inbox: {arriving} {are} still arriving: left for the next run");
    }
    let page = report.failed_page.as_slice();
    for (what, failed) in
        [("inbox", &inbox.failed[..]), ("mart", &report.failed_marts[..]), ("page", page)]
    {
        for failure in failed {
            let _ = write!(text, "{what}: {}: {}", visible(&failure.file), failure.lines());
        }
    }
    for mart in &report.marts {
        let dates: Vec<String> = mart.dates.iter().copied().map(span).collect();
        let what = match (mart.scope, dates.join(", ")) {
            (Scope::Some, dates) => dates,
            (scope, _) => scope.name().to_owned(),
        };
        let _ = write!(text, "{}: {what}: {}", visible(&mart.mart), visible(&mart.why));
        if !report.dry_run && mart.scope != Scope::Nothing {
            let _ = write!(text, "; {}, {:.2} s", counted(mart.rows, "row"), mart.seconds);
        }
        text.push('\n');
    }
    if report.files_deleted > 0 {
        let _ = writeln!(text, "{} of old versions deleted", files(report.files_deleted));
    }
    let end = if report.dry_run { "only tried: nothing was done" } else { report.outcome };
    let _ = writeln!(text, "{end} in {:.2} s", report.seconds);
    text
}

fn files(count: u64) -> String {
    counted(count, "file")
}

fn span((first, last): (NaiveDate, NaiveDate)) -> String {
    if first == last { first.to_string() } else { format!("{first} to {last}") }
}

fn stamp(at: DateTime<Utc>) -> impl std::fmt::Display {
    at.format("%Y-%m-%dT%H:%M:%SZ")
}

/// Reads an instant, a date, or versions of tables.
fn read_as_of(text: &str, zone: Tz) -> Result<AsOf> {
    let wrong = || {
        Error::usage("`--as-of` takes an instant or versions of tables")
            .hint("such as 2025-06-01T06:00:00Z, 2025-06-01 or sessions=12,deployments=9")
    };
    if text.contains('=') {
        let versions = text.split(',').map(|part| {
            let (name, version) = part.split_once('=').ok_or_else(wrong)?;
            let Some(table) = TABLES.iter().find(|table| table.name == name) else {
                let hint = suggestion(name, TABLES.iter().map(|table| table.name))
                    .unwrap_or_else(|| "`wabalake status` lists tables".to_owned());
                return Err(Error::usage("`--as-of` names a table that there is not").hint(hint));
            };
            Ok((table.name, version.parse().map_err(|_| wrong())?))
        });
        return Ok(AsOf::Versions(versions.collect::<Result<_>>()?));
    }
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return Ok(AsOf::Instant(at.to_utc()));
    }
    let micros = if let Ok(date) = text.parse::<NaiveDate>() {
        Some(day_start(zone, date))
    } else {
        let local: Option<NaiveDateTime> = text.replacen(' ', "T", 1).parse().ok();
        let at = local.and_then(|local| local.and_local_timezone(zone).earliest());
        at.map(|at| at.timestamp_micros())
    };
    let at = micros.and_then(DateTime::from_timestamp_micros).ok_or_else(wrong)?;
    Ok(AsOf::Instant(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_a_date_or_versions() {
        let instant = |text: &str| AsOf::Instant(text.parse().unwrap());
        let read = |text| read_as_of(text, Tz::America__Bogota);
        assert_eq!(read("2025-06-01T06:00:00Z").unwrap(), instant("2025-06-01T06:00:00Z"));
        assert_eq!(read("2025-06-01").unwrap(), instant("2025-06-01T05:00:00Z"));
        assert_eq!(read("2025-06-01 06:00:00").unwrap(), instant("2025-06-01T11:00:00Z"));
        let versions = [("deployments", 9), ("sessions", 12)].into_iter().collect();
        assert_eq!(read("sessions=12,deployments=9").unwrap(), AsOf::Versions(versions));
        assert!(read("sesions=1").unwrap_err().lines().ends_with("did you mean `sessions`?"));
        for text in ["", "12", "yesterday", "sessions=x"] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
