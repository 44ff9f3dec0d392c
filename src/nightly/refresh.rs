//! Brings a mart up to date: what changed, how far that reaches, and no more.
//!
//! ```text
//! deployments: UTC day 06-02 changed          since the mart was made
//!   │ reach       local dates 06-01 to 06-02  in America/Bogota
//!   │ work out    delivery-rate --from 2025-06-01 --to 2025-06-02
//!   ▼ commit      the files of mart_day 06-01 and 06-02 are replaced, and what they are made from
//! ```
//!
//! A night that dies leaves a mart as it was, with what it was made from: the next one finds the
//! same changes.

use std::collections::BTreeMap;

use chrono::{NaiveDate, TimeDelta};
use polars::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::json;
use wabalake_data::words::counted;
use wabalake_queries::query::Invalidation;
use wabalake_queries::query::invalidation::local_dates;

use super::mart::Mart;
use super::sources::{Print, Sources};
use crate::error::{Context as _, Error, Result};
use crate::lake::marts::{MADE_FROM, MART_DAY};
use crate::lake::{Change, Commit, Lake, Operation, Snapshot};
use crate::load::day::{NO_DAY, by_day, date};
use crate::run::polars::collect;

/// How often a mart is worked out again because another night got in first.
const TRIES: usize = 10;

/// Stretches of dates this near to each other are worked out as one.
const NEAR: TimeDelta = TimeDelta::days(2);

/// More stretches than this are joined, the nearest first: each is a question of its own.
const STRETCHES: usize = 12;

/// What a version of a mart was made from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct MadeFrom {
    definition: String,
    query: String,
    sources: BTreeMap<String, Print>,
}

/// What there is to do for a mart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// Nothing it is made from has changed.
    Nothing,
    /// All of it is to be worked out.
    All { why: String },
    /// Some of it: stretches of dates, first and last.
    Some { stretches: Vec<(NaiveDate, NaiveDate)>, why: String },
}

/// What was done for a mart, or would be.
#[derive(Clone, Debug, Serialize)]
pub struct Refreshed {
    /// Its name.
    pub mart: String,
    /// The query that it answers.
    pub query: &'static str,
    /// `nothing`, `some` or `all` of it was worked out.
    pub worked_out: &'static str,
    /// Why.
    pub why: String,
    /// The dates that were worked out, first and last of each stretch.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dates: Vec<(NaiveDate, NaiveDate)>,
    /// Days of the mart whose rows were replaced.
    pub days: u64,
    /// Rows that were written.
    pub rows: u64,
    /// Its version now; null if only tried.
    pub version: Option<u64>,
    /// How long it took.
    pub seconds: f64,
}

impl MadeFrom {
    /// What a mart would be made from.
    pub(super) fn now(mart: &Mart, sources: &Sources<'_>) -> Result<Self> {
        let mut prints = BTreeMap::new();
        for table in mart.question.spec().reads {
            let print = sources.print(table)?;
            let by_day = mart.question.invalidation(table) == Invalidation::Bucket;
            let print = if by_day { print } else { print.whole() };
            prints.insert(table.name.to_owned(), print);
        }
        let query = mart.question.spec().name.to_owned();
        Ok(Self { definition: mart.definition(), query, sources: prints })
    }

    /// What a mart was made from; none where that is not known, which is no fault.
    pub(super) fn before(lake: &Lake, mart: &Mart) -> Option<Self> {
        let said = lake.made_from(mart.layout).ok().flatten()?;
        serde_json::from_value(said).ok()
    }

    /// Whether a mart that was made from the one is as if it were made from the other.
    pub(super) fn is(&self, other: &Self) -> bool {
        let same = |(table, print): (&String, &Print)| {
            other.sources.get(table).is_some_and(|before| before.is(print))
        };
        self.definition == other.definition
            && self.sources.len() == other.sources.len()
            && self.sources.iter().all(same)
    }
}

impl Work {
    /// What there is to do.
    pub(super) fn of(
        mart: &Mart,
        before: Option<&MadeFrom>,
        now: &MadeFrom,
        full: bool,
    ) -> Result<Self> {
        let all = |why: &str| Ok(Self::All { why: why.to_owned() });
        let Some(before) = before else { return all("there is none yet") };
        if before.definition != now.definition {
            return all("its definition is another");
        }
        if full {
            return all("asked for");
        }
        let mut stretches = Vec::new();
        let mut days = 0u64;
        for table in mart.question.spec().reads {
            let print = now.sources.get(table.name).cloned().unwrap_or_default();
            let known = before.sources.get(table.name).cloned().unwrap_or_default();
            if print.is(&known) {
                continue;
            }
            let (Invalidation::Bucket, Some(buckets)) =
                (mart.question.invalidation(table), mart.buckets())
            else {
                return all(&format!("`{}` changed", table.name));
            };
            for day in print.changed_since(&known) {
                let Some(day) = day else {
                    return all(&format!("rows of `{}` without a time changed", table.name));
                };
                days += 1;
                let (first, last) = local_dates(mart.question.timezone(), day);
                stretches.push((buckets.around(first).0, buckets.around(last).1));
            }
        }
        if days == 0 {
            return Ok(if now.is(before) {
                Self::Nothing
            } else {
                Self::All { why: "what changed is not known".to_owned() }
            });
        }
        let table = mart.question.spec().reads.first().map_or("", |table| table.name);
        let why = format!("`{table}` changed on {}", counted(days, "UTC day"));
        Ok(Self::Some { stretches: joined(stretches), why })
    }

    /// The same of a mart that is whole or not.
    fn of_mart(self, is_whole: bool) -> Self {
        if is_whole { self } else { Self::All { why: "it was damaged".to_owned() } }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::All { .. } => "all",
            Self::Some { .. } => "some",
        }
    }
}

/// Stretches with those that touch or nearly do made one.
fn joined(mut stretches: Vec<(NaiveDate, NaiveDate)>) -> Vec<(NaiveDate, NaiveDate)> {
    stretches.sort_unstable();
    let mut near = NEAR;
    loop {
        let mut joined: Vec<(NaiveDate, NaiveDate)> = Vec::new();
        for (first, last) in &stretches {
            match joined.last_mut() {
                Some(before) if *first - before.1 <= near => before.1 = before.1.max(*last),
                _ => joined.push((*first, *last)),
            }
        }
        if joined.len() <= STRETCHES {
            return joined;
        }
        near = near * 2;
        stretches = joined;
    }
}

/// What there is to do for a mart, which is not done.
pub(super) fn tried(
    lake: &Lake,
    mart: &Mart,
    sources: &Sources<'_>,
    full: bool,
) -> Result<Refreshed> {
    let now = MadeFrom::now(mart, sources)?;
    let whole = whole(lake, mart);
    let before = whole.as_ref().and_then(|_| MadeFrom::before(lake, mart));
    let work = Work::of(mart, before.as_ref(), &now, full)?.of_mart(whole.is_some());
    Ok(Refreshed::of(mart, &work))
}

/// The mart's newest version, if every byte of it is as it was written.
fn whole(lake: &Lake, mart: &Mart) -> Option<Snapshot> {
    let snapshot = lake.snapshot(mart.layout).ok()?;
    snapshot.check_files(&snapshot.files.iter().collect::<Vec<_>>(), true).ok()?;
    Some(snapshot)
}

/// Brings a mart up to date.
///
/// # Errors
/// Files that cannot be read or written.
pub(super) fn refresh(
    lake: &Lake,
    mart: &Mart,
    sources: &Sources<'_>,
    full: bool,
) -> Result<Refreshed> {
    let started = std::time::Instant::now();
    let _turn = lake.take_turn(mart.layout)?;
    let now = MadeFrom::now(mart, sources)?;
    for _ in 0..TRIES {
        // Before its state is read: nobody takes the mart away while there is a staging.
        let staging = lake.staging(mart.layout)?;
        let whole = whole(lake, mart);
        let is_whole = whole.is_some();
        let snapshot = match whole {
            Some(snapshot) => snapshot,
            None => {
                lake.drop_mart(mart.layout)?;
                lake.snapshot(mart.layout)?
            }
        };
        let before = MadeFrom::before(lake, mart).filter(|_| snapshot.version.is_some());
        let work = Work::of(mart, before.as_ref(), &now, full)?.of_mart(is_whole);
        let mut done = Refreshed::of(mart, &work);
        let replaced = match &work {
            Work::Nothing => {
                done.version = snapshot.version;
                done.seconds = started.elapsed().as_secs_f64();
                return Ok(done);
            }
            Work::All { .. } => None,
            Work::Some { stretches, .. } => Some(stretches.as_slice()),
        };
        let parts = match replaced {
            None => vec![rows(mart, sources, None)?],
            Some(stretches) => stretches
                .iter()
                .map(|stretch| rows(mart, sources, Some(*stretch)))
                .collect::<Result<Vec<_>>>()?,
        };
        let mut add = Vec::new();
        for part in parts {
            for (day, rows) in split_by_day(mart, part)? {
                if !is_within(replaced, day) {
                    return Err(Error::bug(format!(
                        "mart `{}`: asked of some dates, `{}` answers of others",
                        mart.name, done.query
                    )));
                }
                done.rows += rows.height() as u64;
                add.push(staging.write(day, rows)?);
            }
        }
        let gone = snapshot.files.iter().filter(|file| is_within(replaced, file.day));
        let remove: Vec<String> = gone.clone().map(|file| file.path.clone()).collect();
        let mut days: Vec<_> = gone.map(|file| file.day).collect();
        days.extend(add.iter().map(crate::lake::StagedFile::day));
        days.sort_unstable();
        days.dedup();
        done.days = days.len() as u64;
        let made_from = json!(now);
        let change = Change {
            operation: Operation::Mart,
            transactions: Vec::new(),
            remove,
            add,
            info: [(MADE_FROM.to_owned(), made_from)].into_iter().collect(),
            data_change: true,
        };
        if let Commit::Done(version) = lake.commit(mart.layout, &snapshot, change)? {
            done.version = Some(version);
            done.seconds = started.elapsed().as_secs_f64();
            return Ok(done);
        }
    }
    Err(Error::lake(format!("mart `{}` was changed by others {TRIES} times meanwhile", mart.name))
        .hint("is another night running? Run it again"))
}

impl Refreshed {
    fn of(mart: &Mart, work: &Work) -> Self {
        let (dates, why) = match work {
            Work::Nothing => (Vec::new(), "nothing that it is made from changed".to_owned()),
            Work::All { why } => (Vec::new(), why.clone()),
            Work::Some { stretches, why } => (stretches.clone(), why.clone()),
        };
        Self {
            mart: mart.name.clone(),
            query: mart.question.spec().name,
            worked_out: work.name(),
            why,
            dates,
            days: 0,
            rows: 0,
            version: None,
            seconds: 0.0,
        }
    }
}

/// Whether a day of a mart is among those that are replaced.
fn is_within(replaced: Option<&[(NaiveDate, NaiveDate)]>, day: Option<NaiveDate>) -> bool {
    replaced.is_none_or(|stretches| {
        let within = |day| stretches.iter().any(|(first, last)| *first <= day && day <= *last);
        day.is_some_and(within)
    })
}

/// The answer, or its rows of whole buckets.
fn rows(
    mart: &Mart,
    sources: &Sources<'_>,
    stretch: Option<(NaiveDate, NaiveDate)>,
) -> Result<Option<DataFrame>> {
    let answer = |question: &wabalake_queries::query::Question| {
        let plan = question.plan(&sources.tables(question)?)?;
        collect(plan, question).map(Some)
    };
    let answered = match stretch {
        None => answer(&mart.question),
        Some(stretch) => match mart.clipped(stretch) {
            Some((first, last)) => answer(&mart.asked_of((Some(first), Some(last)))?),
            None => Ok(None),
        },
    };
    answered.context(|| format!("mart `{}`", mart.name))
}

/// Splits rows by the day of their bucket; all are without a day if the answer has no date.
fn split_by_day(
    mart: &Mart,
    rows: Option<DataFrame>,
) -> Result<Vec<(Option<NaiveDate>, DataFrame)>> {
    let Some(rows) = rows.filter(|rows| rows.height() > 0) else { return Ok(Vec::new()) };
    let Some(buckets) = mart.buckets() else { return Ok(vec![(None, rows)]) };
    let day = buckets.date(mart.question.timezone()).cast(DataType::Int32).alias(MART_DAY);
    let days = rows.clone().lazy().select([day]).collect()?;
    let days = days.column(MART_DAY)?.i32()?.iter().map(|day| day.unwrap_or(NO_DAY));
    Ok(by_day(&rows, days)?.into_iter().map(|(day, rows)| (date(day), rows)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(day: u32) -> NaiveDate {
        NaiveDate::from_ymd_opt(2025, 1, 1).unwrap() + TimeDelta::days(i64::from(day))
    }

    #[test]
    fn stretches_that_nearly_touch_are_one() {
        let of = |days: &[u32]| joined(days.iter().map(|day| (date(*day), date(*day))).collect());
        assert_eq!(of(&[]), []);
        assert_eq!(of(&[2, 1, 4, 9]), [(date(1), date(4)), (date(9), date(9))]);
        let far_apart: Vec<u32> = (0..100).map(|day| day * 4).collect();
        let few = of(&far_apart);
        assert!(few.len() <= STRETCHES, "{few:?}");
        assert!(far_apart.iter().all(|day| is_within(Some(few.as_slice()), Some(date(*day)))));
    }
}
