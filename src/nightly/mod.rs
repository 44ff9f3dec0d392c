//! The night: what arrived, what that changes, and nothing else.
//!
//! ```text
//! lock        one night at a time
//!   │ inbox       new files are loaded, each once
//!   │ marts       of each: what changed, how far that reaches, only those days are worked out
//!   │ page        published, where one is asked for
//!   │ retention   files that were replaced long ago are deleted
//!   ▼ runs        a row in the table `runs`; then a file for Prometheus, and a command is told
//! ```
//!
//! Whatever nights were missed, killed or run twice, the marts are those of one full run:
//! [`refresh`] goes by what a mart was made from, not by what a night remembers. All marts of a
//! night are made from one version of each table.

pub mod fresh;
mod inbox;
mod lock;
mod mart;
pub mod metrics;
mod refresh;
mod sources;

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use rayon::prelude::*;
use serde::Serialize;
use wabalake_data::words::{counted, suggestion};

pub use self::inbox::Arrived;
pub use self::lock::Night;
pub use self::mart::Mart;
pub use self::refresh::Refreshed;
pub use self::sources::Sources;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::lake::runs::{Outcome, Run};
use crate::lake::vacuum::{self, Vacuumed};
use crate::lake::{AsOf, Lake, Layout};
use crate::load::Failure;

/// How often it is looked whether a command has ended.
const LOOK: Duration = Duration::from_millis(10);

/// What a night is to do.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Which version of the tables marts are made from; of an old one, nothing is loaded.
    pub as_of: AsOf,
    /// Whether marts are worked out as a whole.
    pub full: bool,
    /// Only say what would be done.
    pub dry_run: bool,
    /// Only these marts, by name; all, if it is empty.
    pub only: Vec<String>,
}

/// What a night did.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When it was over.
    pub finished_at: DateTime<Utc>,
    /// `done` or `incomplete`.
    pub outcome: &'static str,
    /// Whether it was only tried.
    pub dry_run: bool,
    /// When the night before began, if it did not live to its end.
    pub died_before: Option<DateTime<Utc>>,
    /// What arrived.
    pub inbox: Arrived,
    /// What was done for each mart.
    pub marts: Vec<Refreshed>,
    /// Marts that could not be brought up to date.
    pub failed_marts: Vec<Failure>,
    /// The page, if it could not be published.
    pub failed_page: Option<Failure>,
    /// Files of old versions that were deleted.
    pub files_deleted: u64,
    /// The version of each table that marts were made from.
    pub versions: BTreeMap<&'static str, u64>,
    /// From start to end.
    pub seconds: f64,
}

impl Report {
    fn new(started_at: DateTime<Utc>, dry_run: bool) -> Self {
        Self {
            started_at,
            finished_at: started_at,
            outcome: Outcome::Done.name(),
            dry_run,
            died_before: None,
            inbox: Arrived::default(),
            marts: Vec::new(),
            failed_marts: Vec::new(),
            failed_page: None,
            files_deleted: 0,
            versions: BTreeMap::new(),
            seconds: 0.0,
        }
    }

    /// Whether all was done.
    pub fn is_whole(&self) -> bool {
        self.inbox.failed.is_empty() && self.failed_marts.is_empty() && self.failed_page.is_none()
    }

    fn end(&mut self) {
        self.finished_at = Utc::now();
        let micros = (self.finished_at - self.started_at).num_microseconds();
        self.seconds = micros.unwrap_or_default() as f64 / 1e6;
        let outcome = if self.is_whole() { Outcome::Done } else { Outcome::Incomplete };
        self.outcome = outcome.name();
    }

    fn run(&self, outcome: Outcome) -> Run {
        let changed = self.marts.iter().filter(|mart| mart.worked_out != "nothing");
        Run {
            files: self.inbox.files,
            rows_read: self.inbox.rows_read,
            rows_new: self.inbox.rows_new,
            rows_updated: self.inbox.rows_updated,
            rows_rejected: self.inbox.rows_rejected,
            marts: changed.clone().count() as u64,
            days: changed.map(|mart| mart.days).sum(),
            versions: self.versions.clone(),
            ..Run::new("nightly", outcome, self.started_at)
        }
    }
}

/// Where a night's page goes, and what writes it.
pub type Publish<'a> = (&'a Path, &'a dyn Fn(&Path) -> Result<()>);

/// Runs a night.
///
/// # Errors
/// Another night that is under way; settings that are wrong; a lake that cannot be written. Files
/// and marts at fault are told in the report: the rest is done all the same.
pub fn night(
    lake: &Lake,
    config: &Config,
    options: &Options,
    page: Option<Publish<'_>>,
) -> Result<Report> {
    let marts = chosen(config, &options.only)?;
    let mut report = Report::new(Utc::now(), options.dry_run);
    if options.dry_run {
        try_night(lake, config, options, &marts, &mut report)?;
        report.end();
        return Ok(report);
    }
    let night = Night::begin(lake)?;
    if let Some(died) = night.died {
        report.died_before = Some(died);
        lake.log_run(&Run { finished: None, ..Run::new("nightly", Outcome::Killed, died) })?;
    }
    let done = work(lake, config, options, &marts, &night, page, &mut report);
    report.end();
    let outcome = match (&done, report.is_whole()) {
        (Err(_), _) => Outcome::Failed,
        (Ok(()), true) => Outcome::Done,
        (Ok(()), false) => Outcome::Incomplete,
    };
    let logged = lake.log_run(&report.run(outcome));
    done.and(logged).map(|()| report)
}

/// What would be done, which is not done.
fn try_night(
    lake: &Lake,
    config: &Config,
    options: &Options,
    marts: &[Mart],
    report: &mut Report,
) -> Result<()> {
    if options.as_of == AsOf::Now {
        report.inbox = inbox::waiting(lake, config)?;
    }
    let sources = Sources::of(lake, options.as_of.clone());
    report.versions = sources.versions()?;
    for mart in marts {
        report.marts.push(refresh::tried(lake, mart, &sources, options.full)?);
    }
    Ok(())
}

fn work(
    lake: &Lake,
    config: &Config,
    options: &Options,
    marts: &[Mart],
    night: &Night,
    page: Option<Publish<'_>>,
    report: &mut Report,
) -> Result<()> {
    read_logs(lake, marts);
    if options.as_of == AsOf::Now {
        report.inbox = inbox::load(lake, config, night)?;
    }
    let sources = Sources::of(lake, options.as_of.clone());
    report.versions = sources.versions()?;
    for mart in marts {
        night.check()?;
        match refresh::refresh(lake, mart, &sources, options.full) {
            Ok(refreshed) => report.marts.push(refreshed),
            Err(error) => {
                let error = lake.explain(error);
                report.failed_marts.push(Failure::of(mart.name.clone(), &error));
            }
        }
    }
    if let Some((file, publish)) = page {
        night.check()?;
        let failure = |error| Failure::of(file.display().to_string(), &lake.explain(error));
        report.failed_page = publish(file).err().map(failure);
    }
    if let Some(days) = config.retention.days {
        let retain = TimeDelta::days(i64::from(days));
        // Who is writing now is no fault: the next night deletes what this one could not.
        if let Ok(vacuumed) = sweep(lake, config, vacuum::Options { retain, dry_run: false }) {
            report.files_deleted = vacuumed.files.len() as u64;
        }
    }
    Ok(())
}

/// Deletes what no version within the retention needs, and what killed nights left beside the inbox.
///
/// # Errors
/// Somebody who writes to the lake; files that cannot be deleted.
pub fn sweep(lake: &Lake, config: &Config, options: vacuum::Options) -> Result<Vacuumed> {
    let mut done = lake.vacuum(options)?;
    inbox::sweep(lake, config, options, &mut done)?;
    Ok(done)
}

/// Reads the logs of all that a night looks at side by side: whoever needs one later goes on from
/// what is known. One that cannot be read is their fault to tell.
fn read_logs(lake: &Lake, marts: &[Mart]) {
    let tables = wabalake_data::TABLES.iter().map(|table| *table as &'static dyn Layout);
    let marts = marts.iter().map(|mart| mart.layout as &'static dyn Layout);
    let logs: Vec<_> = tables.chain(marts).collect();
    logs.into_par_iter().for_each(|log| drop(lake.snapshot(log)));
}

/// The marts of the settings that are to be brought up to date.
fn chosen(config: &Config, only: &[String]) -> Result<Vec<Mart>> {
    let mut marts = Mart::all(config)?;
    for name in only {
        if !marts.iter().any(|mart| mart.name == *name) {
            let hint = suggestion(name, marts.iter().map(|mart| mart.name.as_str()))
                .unwrap_or_else(|| "`wabalake config` lists them, as marts.NAME".to_owned());
            return Err(Error::usage(format!("there is no mart `{name}`")).hint(hint));
        }
    }
    marts.retain(|mart| only.is_empty() || only.contains(&mart.name));
    Ok(marts)
}

/// Gives a command what a night did, as JSON on its standard input. Once its time is over it is
/// killed, with all that it began.
///
/// # Errors
/// A command that cannot be run, that fails or that takes too long.
pub fn notify(command: &str, json: &str, outcome: &str, limit: Duration) -> Result<()> {
    let (shell, option) = if cfg!(windows) { ("cmd", "/C") } else { ("sh", "-c") };
    let failed = |said: String| {
        Error::lake(format!("the command that is to be told of the night: {said}"))
            .hint("it is `notify_command` in wabalake.toml, or `--notify-command`")
    };
    let mut shell = Command::new(shell);
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut shell, 0);
    let mut child = shell
        .args([option, command])
        .env("WABALAKE_OUTCOME", outcome)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .map_err(|error| failed(error.to_string()))?;
    if let Some(mut input) = child.stdin.take() {
        let json = json.to_owned();
        // It need not read all of it, nor any of it.
        std::thread::spawn(move || drop(input.write_all(json.as_bytes())));
    }
    let until = Instant::now() + limit;
    loop {
        match child.try_wait().map_err(|error| failed(error.to_string()))? {
            Some(ended) if ended.success() => return Ok(()),
            Some(ended) => return Err(failed(format!("it ended with {ended}"))),
            None if Instant::now() < until => std::thread::sleep(LOOK),
            None => break,
        }
    }
    kill(&mut child).map_err(|error| failed(error.to_string()))?;
    let seconds = limit.as_secs();
    Err(failed(format!("it was stopped after {}", counted(seconds, "second")))
        .hint("`notify_seconds` in wabalake.toml, under [nightly], says how long it may take"))
}

/// Kills a process and, where there are groups of processes, its whole group.
fn kill(child: &mut Child) -> io::Result<()> {
    #[cfg(unix)]
    {
        use rustix::process::{Pid, Signal, kill_process_group};
        kill_process_group(Pid::from_child(child), Signal::Kill)?;
    }
    child.kill()?;
    child.wait().map(drop)
}
