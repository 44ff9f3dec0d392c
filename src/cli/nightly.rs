//! `wabalake nightly`: loads new exports and refreshes marts.

use std::fmt::Write as _;
use std::path::PathBuf;

use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;
use clap::Args;
use serde_json::json;
use wabalake_data::words::{counted, grouped, plural};

use super::output::{print_error, say, to_stdout};
use super::publish::Publication;
use super::settings::SettingsOptions;
use super::shared::LakeOption;
use super::{Run, Subcommand, alerts, as_of};
use crate::alerts::JudgedAlert;
use crate::config::{AlertState, Config};
use crate::error::{Details, Error, Result};
use crate::lake::Lake;
use crate::nightly::{self, Published, RunReport, metrics};
use crate::render::visible;

pub(super) const SUBCOMMAND: Subcommand =
    Subcommand::of::<Options>("nightly", "Load new exports and refresh marts; for a scheduler");

/// What to do about an alert that fires.
const FAIL_ON_ALERTS: &str = "the report lists what fires; `fail_on_alerts` in wabalake.toml, under \
                              [nightly], makes the exit code 1";

#[derive(Args)]
#[command(
    long_about = "Load the new files of the inbox, refresh the marts, judge the alerts, and record the run: \
                  for a scheduler. A file of the inbox that is still being written is left for the next \
                  run. Only the days that changed are computed. A run that was missed, killed or repeated \
                  makes no difference: the marts are those of one full run. A lock lets one run work at a \
                  time, on any number of machines. `wabalake.toml` holds the settings: marts are answers \
                  of queries, or of your own SQL, which is computed as a whole if a table that it reads, \
                  its file or its parameters changed.",
    after_help = "Exit codes: 0 done; 1 a file, a mart, an alert, the page, its mail or the views failed and \
                  the rest is done, or the run failed, or an alert fires and the settings have \
                  `fail_on_alerts`; 2 wrong command line; 3 a bug in wabalake.\n\n\
                  Example:\n  15 3 * * *  wabalake nightly --lake /srv/lake --json >> /var/log/wabalake.json"
)]
struct Options {
    #[command(flatten)]
    lake: LakeOption,

    #[command(flatten)]
    settings: SettingsOptions,

    /// Rebuild marts completely, whatever changed
    #[arg(long)]
    full: bool,

    /// Show what would be done and why, without doing it
    #[arg(long)]
    dry_run: bool,

    /// Only these marts, separated by commas [default: all]
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    only: Vec<String>,

    /// Build marts from old versions of the tables, and load nothing [default: the newest versions]
    #[arg(
        long,
        value_name = "WHEN",
        long_help = "Build marts from old versions of the tables, and load nothing: those of a time such \
                     as 2025-06-01T06:00:00Z (a date means its midnight in the reporting time zone), or \
                     those given, such as sessions=12,deployments=9 [default: the newest versions]"
    )]
    as_of: Option<String>,

    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

impl Run for Options {
    fn run(self) -> Result<()> {
        let lake = self.lake.open_to_change()?;
        let config = self.settings.of(&lake)?;
        let as_of = self.as_of.as_deref();
        let as_of =
            as_of.map(|text| as_of::read("--as-of", text, config.timezone.unwrap_or(Tz::UTC)));
        let options = nightly::Options {
            as_of: as_of.transpose()?.unwrap_or_default(),
            full: self.full,
            dry_run: self.dry_run,
            only: self.only,
        };
        let metrics = metrics_file(&lake, &config)?;
        let publications = Publication::all(&lake, &config)?;
        let publish = publications.into_iter().map(Publication::publish);
        let done = match nightly::run(&lake, &config, &options, publish) {
            Ok(done) => done,
            Err(error) => return Err(failed(lake.explain(error), &config, options.dry_run)),
        };
        let json = serde_json::to_string(&done)
            .map_err(|error| Error::bug(format!("the report: {error}")))?;
        match self.json {
            true => to_stdout(|out| Ok(writeln!(out, "{json}")?))?,
            false => say(&text(&done))?,
        }
        let mut errors: Vec<Error> = incomplete(&done).into_iter().collect();
        if config.nightly.fail_on_alerts {
            errors.extend(alerts::firing(&done.alerts, FAIL_ON_ALERTS));
        }
        if !done.dry_run {
            if let Some(path) = &metrics {
                errors.extend(metrics::write(path, &done).err());
            }
            if let Some(command) = &config.nightly.notify_command {
                let limit = config.nightly.notify_limit();
                errors.extend(nightly::notify(command, &json, done.outcome, limit).err());
            }
        }
        let mut errors = errors.into_iter();
        let Some(first) = errors.next() else { return Ok(()) };
        errors.for_each(|other| print_error(&other));
        Err(first)
    }
}

/// The path of the metrics, which are always a file of this machine: Prometheus reads no store.
fn metrics_file(lake: &Lake, config: &Config) -> Result<Option<PathBuf>> {
    let Some(path) = &config.nightly.metrics else { return Ok(None) };
    let is_url = path.to_str().is_some_and(|path| path.contains("://"));
    match lake.place().as_folder() {
        Some(folder) if !is_url => Ok(Some(folder.join(path))),
        None if path.is_absolute() => Ok(Some(path.clone())),
        _ => Err(Error::lake("`metrics` in [nightly] is not the path of a file of this machine")
            .found("Prometheus reads metrics from a file, not from an object store")
            .hint("write an absolute path, or use `--metrics FILE`")),
    }
}

/// Runs the notify command for a run that failed, and returns the error of the run.
fn failed(error: Error, config: &Config, dry_run: bool) -> Error {
    if let Some(command) = config.nightly.notify_command.as_deref().filter(|_| !dry_run) {
        let Details { what, hint, .. } = error.details();
        let json = json!({"outcome": "failed", "error": what, "hint": hint}).to_string();
        if let Err(fault) = nightly::notify(command, &json, "failed", config.nightly.notify_limit())
        {
            print_error(&fault);
        }
    }
    error
}

/// Returns an error if files, marts, alerts or what is published failed. It follows the printed report.
fn incomplete(report: &RunReport) -> Option<Error> {
    let (files, marts) = (report.inbox.failed.len(), report.failed_marts.len());
    let alerts = report.failed_alerts.len();
    let count = |count: usize, what: &str| (count > 0).then(|| counted(count as u64, what));
    let failed = [count(files, "file"), count(marts, "mart"), count(alerts, "alert")];
    let published = report.failed_files().map(|(what, _)| match what {
        Published::Views => "the views".to_owned(),
        what => counted(1, what.name()),
    });
    let failed: Vec<String> = failed.into_iter().flatten().chain(published).collect();
    (!failed.is_empty()).then(|| {
        Error::data(format!("{} failed; the rest of the run is done", failed.join(" and ")))
            .hint("the report lists the error of each; files that were moved have it beside them")
    })
}

/// Formats the report for a person.
fn text(report: &RunReport) -> String {
    let mut text = String::new();
    if let Some(died) = report.crashed_before {
        let _ = writeln!(text, "the run of {} crashed", timestamp(died));
    }
    let inbox = &report.inbox;
    if report.dry_run {
        for name in &inbox.names {
            let name = visible(name);
            let _ = writeln!(text, "inbox: {name} would be loaded, unless it was loaded before");
        }
    } else if inbox.files + inbox.known > 0 {
        let _ = writeln!(
            text,
            "inbox: {} loaded, {} loaded before; {} new, {} updated, {} rejected",
            files(inbox.files),
            files(inbox.known),
            counted(inbox.rows_new, "row"),
            grouped(inbox.rows_updated),
            grouped(inbox.rows_rejected),
        );
        for (what, rows) in [
            ("added up, to", inbox.rows_added_up),
            ("superseded, by", inbox.rows_superseded),
            ("folded into", inbox.rows_folded),
        ] {
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
        let _ =
            writeln!(text, "inbox: {arriving} {are} still being written: left for the next run");
    }
    let failed = inbox.failed.iter().map(|failure| ("inbox", failure));
    let failed = failed.chain(report.failed_marts.iter().map(|failure| ("mart", failure)));
    let failed = failed.chain(report.failed_alerts.iter().map(|failure| ("alert", failure)));
    let published = report.failed_files().map(|(what, failure)| (what.name(), failure));
    for (what, failure) in failed.chain(published) {
        let _ = write!(text, "{what}: {}: {}", visible(&failure.file), failure.lines());
    }
    for mart in &report.marts {
        let dates: Vec<String> = mart.dates.iter().copied().map(span).collect();
        let what = match (mart.scope.name(), dates.join(", ")) {
            ("some", dates) => dates,
            (what, _) => what.to_owned(),
        };
        let _ = write!(text, "{}: {what}: {}", visible(&mart.mart), visible(&mart.why));
        if !report.dry_run && mart.scope.name() != "nothing" {
            let _ = write!(text, "; {}, {:.2} s", counted(mart.rows, "row"), mart.seconds);
        }
        text.push('\n');
    }
    for alert in &report.alerts.alerts {
        write_alert(alert, &mut text);
    }
    if report.files_deleted > 0 {
        let _ = writeln!(text, "{} of old versions deleted", files(report.files_deleted));
    }
    let end = if report.dry_run { "dry run: nothing was done" } else { report.outcome };
    let _ = writeln!(text, "{end} in {:.2} s", report.seconds);
    text
}

/// Writes how many groups of an alert are in each state, then those that fire.
fn write_alert(alert: &JudgedAlert, text: &mut String) {
    let (name, bucket) = (visible(&alert.name), alert.bucket);
    let count = |state: AlertState| grouped(alert.count(state) as u64);
    let [firing, ok, unknown] = [AlertState::Fires, AlertState::Ok, AlertState::Unknown].map(count);
    let _ = writeln!(text, "alert {name}: {bucket}: {firing} firing, {ok} ok, {unknown} unknown");
    let number = |number: Option<f64>| number.map_or_else(|| "–".to_owned(), |n| n.to_string());
    for judged in alert.groups.iter().filter(|judged| judged.state == AlertState::Fires) {
        let group = judged.group.as_deref().map(|group| format!("{}: ", visible(group)));
        let (value, expected) = (number(judged.value), number(judged.expected));
        let group = group.unwrap_or_default();
        let _ = writeln!(text, "alert {name}: {group}{value}, expected {expected}");
    }
}

fn files(count: u64) -> String {
    counted(count, "file")
}

fn span((first, last): (NaiveDate, NaiveDate)) -> String {
    if first == last { first.to_string() } else { format!("{first} to {last}") }
}

fn timestamp(at: DateTime<Utc>) -> impl std::fmt::Display {
    at.format("%Y-%m-%dT%H:%M:%SZ")
}
