//! The nightly run: loads what arrived in the inbox and refreshes the marts that it invalidates.
//!
//! ```text
//! run_lock    one run at a time
//!   │ inbox       new files are loaded, each once
//!   │ marts       of each, the dates whose inputs changed are computed
//!   │ alerts      judge the latest values
//!   │ files       the page, its mail and the views are published, if the settings ask for them
//!   │ retention   files that were replaced long ago are deleted
//!   ▼ runs        a row in the table `runs`; then metrics for Prometheus, and `notify_command`
//! ```
//!
//! Whatever runs were missed, killed or repeated, the marts equal those of one full run: [`refresh`]
//! compares what a mart was computed from with the tables, and remembers nothing between runs. All
//! marts of a run are computed from one version of each table.
mod changes;
mod inbox;
pub mod metrics;
mod notify;
mod refresh;
mod run_lock;
#[cfg(test)]
mod tests;
mod work;

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use rayon::prelude::*;
use serde::Serialize;
use wabalake_data::words::suggestion;

use self::changes::Changes;
pub use self::inbox::InboxReport;
pub use self::notify::notify;
pub use self::refresh::{MartReport, Scope};
pub use self::run_lock::RunLock;
use crate::alerts::{Alert, Judgements};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::lake::rejects::REJECTS;
use crate::lake::runs::{RUNS, Run, RunOutcome};
use crate::lake::vacuum::{self, Vacuumed};
use crate::lake::{AsOf, Lake, Layout, Lock};
use crate::load::Failure;
use crate::marts::{Mart, PinnedTables};

/// The options of a run.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The version of the tables that marts are computed from. Nothing is loaded unless it is the
    /// newest.
    pub as_of: AsOf,
    /// Computes all marts as a whole.
    pub full: bool,
    /// Reports what would be done, and does nothing.
    pub dry_run: bool,
    /// The names of the marts to refresh; empty means all.
    pub only: Vec<String>,
}

/// What a run did.
#[derive(Clone, Debug, Serialize)]
pub struct RunReport {
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When it ended.
    pub finished_at: DateTime<Utc>,
    /// `done` or `incomplete`.
    pub outcome: &'static str,
    /// `true` after a dry run.
    pub dry_run: bool,
    /// When the run before began, if it crashed.
    #[serde(rename = "died_before")]
    pub crashed_before: Option<DateTime<Utc>>,
    /// What was loaded from the inbox.
    pub inbox: InboxReport,
    /// What was done for each mart.
    pub marts: Vec<MartReport>,
    /// Marts that could not be refreshed.
    pub failed_marts: Vec<Failure>,
    /// What the alerts judged.
    pub alerts: Judgements,
    /// Alerts that could not be judged.
    pub failed_alerts: Vec<Failure>,
    /// The page, if it could not be published.
    pub failed_page: Option<Failure>,
    /// The mail, if it could not be published.
    pub failed_email: Option<Failure>,
    /// The views, if they could not be published.
    pub failed_views: Option<Failure>,
    /// Files of old versions that were deleted.
    pub files_deleted: u64,
    /// The version of each table that marts were computed from.
    pub versions: BTreeMap<&'static str, u64>,
    /// The duration of the run.
    pub seconds: f64,
}

impl RunReport {
    fn new(started_at: DateTime<Utc>, dry_run: bool) -> Self {
        Self {
            started_at,
            finished_at: started_at,
            outcome: RunOutcome::Done.name(),
            dry_run,
            crashed_before: None,
            inbox: InboxReport::default(),
            marts: Vec::new(),
            failed_marts: Vec::new(),
            alerts: Judgements::none(started_at),
            failed_alerts: Vec::new(),
            failed_page: None,
            failed_email: None,
            failed_views: None,
            files_deleted: 0,
            versions: BTreeMap::new(),
            seconds: 0.0,
        }
    }

    /// Returns `true` if nothing failed.
    pub fn is_whole(&self) -> bool {
        self.inbox.failed.is_empty()
            && self.failed_marts.is_empty()
            && self.failed_alerts.is_empty()
            && self.failed_files().next().is_none()
    }

    /// The files that could not be published, and what they are.
    pub fn failed_files(&self) -> impl Iterator<Item = (Published, &Failure)> {
        let failed = [
            (Published::Page, &self.failed_page),
            (Published::Email, &self.failed_email),
            (Published::Views, &self.failed_views),
        ];
        failed.into_iter().filter_map(|(what, failure)| Some((what, failure.as_ref()?)))
    }

    fn end(&mut self) {
        self.finished_at = Utc::now();
        let micros = (self.finished_at - self.started_at).num_microseconds();
        self.seconds = micros.unwrap_or_default() as f64 / 1e6;
        let outcome = if self.is_whole() { RunOutcome::Done } else { RunOutcome::Incomplete };
        self.outcome = outcome.name();
    }

    fn row(&self, outcome: RunOutcome) -> Run {
        let changed = self.marts.iter().filter(|mart| mart.scope != Scope::Nothing);
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

/// What the settings ask of a run.
struct Tasks<'a> {
    /// The marts to refresh.
    marts: Vec<Mart>,
    alerts: Vec<Alert>,
    /// The files to publish.
    files: Vec<Publish<'a>>,
}

/// A file that a run publishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Published {
    /// The page.
    Page,
    /// The page as a mail.
    Email,
    /// The views for DuckDB.
    Views,
}

impl Published {
    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Page => "page",
            Self::Email => "mail",
            Self::Views => "views",
        }
    }
}

/// A function that writes a file.
pub type Write<'a> = dyn Fn(&Judgements) -> Result<()> + 'a;

/// A file to publish.
pub struct Publish<'a> {
    /// What it is.
    pub what: Published,
    /// Its path or URL, for reports.
    pub address: String,
    /// Writes it, with what the alerts judged.
    pub write: Box<Write<'a>>,
}

/// Runs the nightly, and then publishes files.
///
/// # Errors
/// Another run in progress; wrong settings; a lake that cannot be written. Files, marts and alerts
/// that fail are listed in the report, and the rest is done.
pub fn run<'a>(
    lake: &Lake,
    config: &Config,
    options: &Options,
    publish: impl IntoIterator<Item = Publish<'a>>,
) -> Result<RunReport> {
    let marts = chosen(lake, config, &options.only)?;
    let files = publish.into_iter().collect();
    let tasks = Tasks { marts, alerts: Alert::all(config)?, files };
    let mut report = RunReport::new(Utc::now(), options.dry_run);
    if options.dry_run {
        dry_run(lake, config, options, &tasks.marts, &mut report)?;
        report.end();
        return Ok(report);
    }
    let lock = RunLock::acquire(lake)?;
    if let Some(crashed) = lock.crashed {
        report.crashed_before = Some(crashed);
        lake.log_run(&Run { finished: None, ..Run::new("nightly", RunOutcome::Killed, crashed) })?;
    }
    let done = work(lake, config, options, &tasks, &lock, &mut report);
    let done = done.map(|writing| match config.retention.days {
        Some(days) => {
            drop(writing);
            retain(lake, config, days, &mut report);
            None
        }
        None => writing,
    });
    report.end();
    let outcome = match (&done, report.is_whole()) {
        (Err(_), _) => RunOutcome::Failed,
        (Ok(_), true) => RunOutcome::Done,
        (Ok(_), false) => RunOutcome::Incomplete,
    };
    let logged = lake.log_run(&report.row(outcome));
    done.and(logged).map(|()| report)
}

/// Fills the report with what [`run`] would do.
fn dry_run(
    lake: &Lake,
    config: &Config,
    options: &Options,
    marts: &[Mart],
    report: &mut RunReport,
) -> Result<()> {
    if options.as_of == AsOf::Now {
        report.inbox = inbox::waiting(lake, config)?;
    }
    let tables = PinnedTables::of(lake, options.as_of.clone());
    report.versions = tables.versions()?;
    let changes = Changes::up_to(&tables);
    for (mart, found) in refresh::look(lake, marts) {
        report.marts.push(refresh::dry_run(lake, mart, found?, &tables, &changes, options.full)?);
    }
    Ok(())
}

/// Loads, refreshes, judges and publishes. Returns the lease of a store under which all was written.
fn work(
    lake: &Lake,
    config: &Config,
    options: &Options,
    Tasks { marts, alerts, files }: &Tasks<'_>,
    lock: &RunLock,
    report: &mut RunReport,
) -> Result<Option<Lock>> {
    lake.settle_killed()?;
    // Before the logs are read, so that what is read holds until it is changed.
    let writing = lake.place().store().map(|_| lake.writing()).transpose()?;
    read_logs(lake, marts);
    if options.as_of == AsOf::Now {
        report.inbox = inbox::load(lake, config, lock)?;
    }
    let tables = PinnedTables::of(lake, options.as_of.clone());
    report.versions = tables.versions()?;
    for (mart, refreshed) in refresh::refresh_all(lake, marts, &tables, options.full, lock) {
        match refreshed {
            Ok(refreshed) => report.marts.push(refreshed),
            Err(error) => {
                let error = lake.explain(error);
                report.failed_marts.push(Failure::of(mart.name.clone(), &error));
            }
        }
    }
    lock.check()?;
    judge(lake, config, options, alerts, &tables, report);
    for Publish { what, address, write } in files {
        lock.check()?;
        let failure = |error| Failure::of(address.clone(), &lake.explain(error));
        let failure = write(&report.alerts).err().map(failure);
        let failed = match what {
            Published::Page => &mut report.failed_page,
            Published::Email => &mut report.failed_email,
            Published::Views => &mut report.failed_views,
        };
        *failed = failure;
    }
    Ok(writing)
}

/// Judges the alerts by the tables that the marts were computed from.
fn judge(
    lake: &Lake,
    config: &Config,
    options: &Options,
    alerts: &[Alert],
    tables: &PinnedTables<'_>,
    report: &mut RunReport,
) {
    // Tables of last week are judged as they were last week. Marts are only known to be fresh now.
    let (now, marts) = match options.as_of {
        AsOf::Now => (report.started_at, Some(config)),
        AsOf::Instant(at) => (at.min(report.started_at), None),
        AsOf::Versions(_) => (report.started_at, None),
    };
    report.alerts = Judgements::none(now);
    for alert in alerts {
        match alert.judge(lake, marts, tables, now) {
            Ok(judged) => report.alerts.alerts.push(judged),
            Err(error) => {
                let error = lake.explain(error);
                report.failed_alerts.push(Failure::of(alert.name.clone(), &error));
            }
        }
    }
}

/// Deletes files that were replaced so many days ago. No lease may be held.
fn retain(lake: &Lake, config: &Config, days: u32, report: &mut RunReport) {
    let retain = TimeDelta::days(i64::from(days));
    // A writer that is active now is no failure: the next run deletes what this one could not.
    if let Ok(vacuumed) = sweep(lake, config, vacuum::Options { retain, dry_run: false }) {
        report.files_deleted = vacuumed.files.len() as u64;
    }
}

/// Deletes files that no version within the retention needs, and what killed runs left in the
/// inbox's folders.
///
/// # Errors
/// A writer that is active; files that cannot be deleted.
pub fn sweep(lake: &Lake, config: &Config, options: vacuum::Options) -> Result<Vacuumed> {
    let mut done = lake.vacuum(options)?;
    inbox::sweep(lake, config, options, &mut done)?;
    Ok(done)
}

/// Reads the logs of all tables and marts in parallel: later reads continue from the cached states.
/// Errors are ignored here, since they occur again at that read.
fn read_logs(lake: &Lake, marts: &[Mart]) {
    let tables = wabalake_data::TABLES.iter().map(|table| Layout::from(*table));
    let own = [&REJECTS, &RUNS].map(Layout::from);
    let marts = marts.iter().map(|mart| mart.layout.clone());
    let logs = tables.chain(own).chain(marts);
    match lake.place().as_folder() {
        Some(_) => {
            let logs: Vec<_> = logs.collect();
            logs.into_par_iter().for_each(|log| drop(lake.snapshot(log)));
        }
        // A thread for each: a store takes its time.
        None => drop(lake.snapshots(logs)),
    }
}

/// The marts to refresh.
fn chosen(lake: &Lake, config: &Config, only: &[String]) -> Result<Vec<Mart>> {
    let mut marts = Mart::all(lake, config)?;
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
