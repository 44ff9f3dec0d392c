//! Refreshes a mart: computes the dates that changed inputs invalidate, and no others.
//!
//! ```text
//! deployments: UTC day 06-02 changed           since the mart was computed
//!   │ invalidate   local dates 06-01 to 06-02  in America/Bogota
//!   │ compute      delivery-rate --from 2025-06-01 --to 2025-06-02
//!   ▼ commit       the files of mart_day 06-01 and 06-02 are replaced, with the new provenance
//! ```
//!
//! A run that crashes leaves the mart and its provenance as they were, so the next run finds the same
//! changes.

use std::sync::{Mutex, PoisonError};

use chrono::NaiveDate;
use polars::prelude::*;
use serde::Serialize;
use serde_json::json;
use wabalake_data::at_once;
use wabalake_queries::query::Question;

use crate::error::{Context as _, Error, Result};
use crate::lake::marts::{MART_DAY, PROVENANCE, has_all_files};
use crate::lake::{Change, Lake, Operation, StagedFile};
use crate::load::day::{NO_DAY, by_day, date};
use crate::marts::{Definition, Mart, PinnedTables, Provenance, QueryMart};
use crate::nightly::RunLock;
use crate::nightly::changes::Changes;
use crate::nightly::work::{Work, is_within};
use crate::run::polars::collect;

/// How many marts are looked at at the same time.
const AT_ONCE: usize = 16;

/// How many marts are written to a store at once.
const WRITTEN_AT_ONCE: usize = 8;

/// How much of a mart was computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Nothing: no input changed.
    Nothing,
    /// Some dates.
    Some,
    /// All of it.
    All,
}

impl Scope {
    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Some => "some",
            Self::All => "all",
        }
    }
}

/// What a run did for a mart, or would do.
#[derive(Clone, Debug, Serialize)]
pub struct MartReport {
    /// Its name.
    pub mart: String,
    /// Its query, or the file of its SQL.
    pub query: String,
    /// How much of it was computed.
    #[serde(rename = "worked_out")]
    pub scope: Scope,
    /// Why.
    pub why: String,
    /// The date ranges that were computed, both ends inclusive.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dates: Vec<(NaiveDate, NaiveDate)>,
    /// Days of the mart whose rows were replaced.
    pub days: u64,
    /// Rows written.
    pub rows: u64,
    /// Its version now; null after a dry run.
    pub version: Option<u64>,
    /// How long it took.
    pub seconds: f64,
}

/// The state in which a run finds a mart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// It can be read, or does not exist yet.
    Whole,
    /// Its log or files are damaged.
    Damaged,
}

/// Looks whether marts are damaged: at all of them at once if a store has to answer.
pub(super) fn look<'m>(lake: &Lake, marts: &'m [Mart]) -> Vec<(&'m Mart, Result<Found>)> {
    let threads = if lake.place().as_folder().is_some() { 1 } else { AT_ONCE };
    marts.iter().zip(at_once(marts, threads, |mart| find(lake, mart))).collect()
}

/// Looks whether the newest version of a mart is damaged. In a folder, all of its files are read and
/// hashed; on a store, they are listed with their sizes.
fn find(lake: &Lake, mart: &Mart) -> Result<Found> {
    let Ok(snapshot) = lake.snapshot_of_mart(&mart.layout) else { return Ok(Found::Damaged) };
    let is_whole = match lake.place().as_folder() {
        Some(_) => snapshot.check_files(&snapshot.files.iter().collect::<Vec<_>>(), true).is_ok(),
        None => has_all_files(&snapshot)?,
    };
    Ok(if is_whole { Found::Whole } else { Found::Damaged })
}

/// What [`refresh`] would do.
pub(super) fn dry_run(
    lake: &Lake,
    mart: &Mart,
    found: Found,
    tables: &PinnedTables<'_>,
    changes: &Changes<'_>,
    full: bool,
) -> Result<MartReport> {
    let now = Provenance::now(mart, tables)?;
    let before = match found {
        Found::Whole => Provenance::stored(lake, &lake.snapshot(&mart.layout)?),
        Found::Damaged => None,
    };
    let work = Work::of(mart, before.as_ref(), &now, changes, full)?.or_rebuild(found);
    Ok(MartReport::of(mart, &work))
}

/// Computes and commits what changed of marts, in their order. On a store, one is computed while others
/// are written.
pub(super) fn refresh_all<'m>(
    lake: &Lake,
    marts: &'m [Mart],
    tables: &PinnedTables<'_>,
    full: bool,
    lock: &RunLock,
) -> Vec<(&'m Mart, Result<MartReport>)> {
    let turn = Mutex::new(());
    let changes = Changes::up_to(tables);
    let refreshed = |mart: &Mart| {
        lock.check()?;
        refresh(lake, mart, find(lake, mart)?, tables, &changes, full, &turn)
    };
    let refreshed: Vec<_> = match lake.place().as_folder() {
        Some(_) => marts.iter().map(refreshed).collect(),
        None => at_once(marts, WRITTEN_AT_ONCE, refreshed),
    };
    marts.iter().zip(refreshed).collect()
}

/// Computes and commits what changed of a mart. Computes when it is its turn, so that memory holds one
/// answer.
///
/// # Errors
/// Files that cannot be read or written.
fn refresh(
    lake: &Lake,
    mart: &Mart,
    found: Found,
    tables: &PinnedTables<'_>,
    changes: &Changes<'_>,
    full: bool,
    turn: &Mutex<()>,
) -> Result<MartReport> {
    let started = std::time::Instant::now();
    let now = Provenance::now(mart, tables)?;
    if found == Found::Damaged {
        lake.drop_mart(&mart.layout)?;
    }
    let mut done = MartReport::of(mart, &Work::Nothing);
    let transacted = lake.transact(&mart.layout, |snapshot, staging| {
        let before = Provenance::stored(lake, snapshot);
        let work = Work::of(mart, before.as_ref(), &now, changes, full)?.or_rebuild(found);
        done = MartReport::of(mart, &work);
        let replaced = match &work {
            Work::Nothing => return Ok(None),
            Work::All { .. } => None,
            Work::Some { ranges, .. } => Some(ranges.as_slice()),
        };
        let mut change = Change::new(Operation::Mart);
        change.info.insert(PROVENANCE.to_owned(), json!(now));
        let parts = {
            let _turn = turn.lock().unwrap_or_else(PoisonError::into_inner);
            computed(mart, tables, replaced)?
        };
        for part in parts {
            for (day, rows) in split_by_day(mart, part)? {
                if !is_replaced(replaced, day) {
                    return Err(Error::bug(format!(
                        "mart `{}`: `{}` answers for dates that it was not asked for",
                        mart.name, done.query
                    )));
                }
                done.rows += rows.height() as u64;
                change.add.push(staging.write(day, rows)?);
            }
        }
        let gone = snapshot.files.iter().filter(|file| is_replaced(replaced, file.day));
        change.remove = gone.clone().map(|file| file.path.clone()).collect();
        let mut days: Vec<_> = gone.map(|file| file.day).collect();
        days.extend(change.add.iter().map(StagedFile::day));
        days.sort_unstable();
        days.dedup();
        done.days = days.len() as u64;
        Ok(Some(change))
    })?;
    done.version = transacted.version;
    done.seconds = started.elapsed().as_secs_f64();
    Ok(done)
}

/// The rows of some date ranges of a mart, or of all of it.
fn computed(
    mart: &Mart,
    tables: &PinnedTables<'_>,
    ranges: Option<&[(NaiveDate, NaiveDate)]>,
) -> Result<Vec<Option<DataFrame>>> {
    match ranges {
        None => Ok(vec![rows(mart, tables, None)?]),
        Some(ranges) if has_range(mart) => {
            ranges.iter().map(|range| rows(mart, tables, Some(*range))).collect()
        }
        // Each range would read the whole history.
        Some(ranges) => match (ranges.first(), ranges.last()) {
            (Some(first), Some(last)) => {
                let between = rows(mart, tables, Some((first.0, last.1)))?;
                Ok(vec![between.map(|rows| only(mart, ranges, rows)).transpose()?])
            }
            _ => Ok(Vec::new()),
        },
    }
}

impl MartReport {
    fn of(mart: &Mart, work: &Work) -> Self {
        let (dates, why) = match work {
            Work::Nothing => (Vec::new(), "no input changed".to_owned()),
            Work::All { why } => (Vec::new(), why.clone()),
            Work::Some { ranges, why } => (ranges.clone(), why.clone()),
        };
        Self {
            mart: mart.name.clone(),
            query: mart.origin().to_owned(),
            scope: work.scope(),
            why,
            dates,
            days: 0,
            rows: 0,
            version: None,
            seconds: 0.0,
        }
    }
}

/// Returns `true` if a day is replaced; `None` replaces all.
fn is_replaced(replaced: Option<&[(NaiveDate, NaiveDate)]>, day: Option<NaiveDate>) -> bool {
    replaced.is_none_or(|ranges| day.is_some_and(|day| is_within(ranges, day)))
}

/// Returns `true` if `--from` and `--to` restrict the rows of a table that a mart reads.
fn has_range(mart: &Mart) -> bool {
    mart.question().is_some_and(|question| question.spec().range.table().is_some())
}

/// The rows of a mart, or of one date range.
fn rows(
    mart: &Mart,
    tables: &PinnedTables<'_>,
    range: Option<(NaiveDate, NaiveDate)>,
) -> Result<Option<DataFrame>> {
    let answered = match &mart.definition {
        Definition::Query(asked) => answer(asked, tables, range),
        Definition::Sql(sql) => sql.rows(tables).map(Some),
    };
    answered.context(|| format!("mart `{}`", mart.name))
}

/// The answer of a query, or that of one date range.
fn answer(
    mart: &QueryMart,
    tables: &PinnedTables<'_>,
    range: Option<(NaiveDate, NaiveDate)>,
) -> Result<Option<DataFrame>> {
    let answer = |question: &Question| {
        let plan = question.plan(&tables.tables(question)?)?;
        collect(plan, question).map(Some)
    };
    match range {
        None => answer(&mart.question),
        Some(range) => match mart.clipped(range) {
            Some((first, last)) => answer(&mart.for_dates((Some(first), Some(last)))?),
            None => Ok(None),
        },
    }
}

/// The rows of some date ranges.
fn only(mart: &Mart, ranges: &[(NaiveDate, NaiveDate)], rows: DataFrame) -> Result<DataFrame> {
    let Some(buckets) = mart.buckets() else { return Ok(rows) };
    let date = |date: NaiveDate| lit(Scalar::new_date(date.to_epoch_days()));
    let within = ranges.iter().map(|(first, last)| {
        let day = buckets.date();
        day.clone().gt_eq(date(*first)).and(day.lt_eq(date(*last)))
    });
    let within = within.reduce(Expr::or).unwrap_or_else(|| lit(false));
    Ok(rows.lazy().filter(within).collect()?)
}

/// Splits rows by the day of their bucket; all are without a day if the answer has no date.
fn split_by_day(
    mart: &Mart,
    rows: Option<DataFrame>,
) -> Result<Vec<(Option<NaiveDate>, DataFrame)>> {
    let Some(rows) = rows.filter(|rows| rows.height() > 0) else { return Ok(Vec::new()) };
    let Some(buckets) = mart.buckets() else { return Ok(vec![(None, rows)]) };
    let day = buckets.date().cast(DataType::Int32).alias(MART_DAY);
    let days = rows.clone().lazy().select([day]).collect()?;
    let days = days.column(MART_DAY)?.i32()?.iter().map(|day| day.unwrap_or(NO_DAY));
    Ok(by_day(&rows, days)?.into_iter().map(|(day, rows)| (date(day), rows)).collect())
}
