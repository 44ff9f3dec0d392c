//! Plans and collects a query of the catalog over the newest version of each table.

use std::collections::BTreeMap;
use std::iter;

use chrono::NaiveDate;
use chrono_tz::Tz;
use polars::prelude::{DataFrame, LazyFrame, PolarsResult};
use wabalake_queries::query::time::{Span, day_start};
use wabalake_queries::query::{ENGINE, Envelope, Question};

use crate::error::{Context as _, Result};
use crate::lake::Lake;

/// Builds the lazy plan of a question, with at most `limit` rows. Reads transaction logs; for a question
/// about people also the Bloom filters of files, and which sessions are theirs.
///
/// # Errors
/// A table cannot be read.
pub fn plan(lake: &Lake, question: &Question, limit: Option<u64>) -> Result<LazyFrame> {
    let tables = lake.reads_of(question)?.tables()?;
    Ok(match limit.and_then(|rows| rows.try_into().ok()) {
        Some(rows) => question.plan_first(&tables, rows)?,
        None => question.plan(&tables)?,
    })
}

/// The number of rows of a table from which a part of [`plan_in_parts`] ends with its day.
const MANY: u64 = 1 << 18;

/// Builds the lazy plans of the parts of an answer that lists the rows of a large table by time: the parts
/// follow each other, and together are the answer. Returns `None` for any other answer.
///
/// Each part reads only its own days, so that an answer of any size is sorted and written in bounded memory.
///
/// # Errors
/// A table cannot be read.
pub fn plan_in_parts(lake: &Lake, question: &Question) -> Result<Option<Vec<LazyFrame>>> {
    let Some(table) = question.listed() else { return Ok(None) };
    let reads = lake.reads_of(question)?;
    let mut rows = BTreeMap::new();
    for file in reads.files(table) {
        if let Some(day) = file.day {
            *rows.entry(day).or_default() += file.rows;
        }
    }
    let parts = parts(&rows);
    // The files that hold people were found already: do not find them again for the plan as a whole.
    if parts.len() == 1 && question.people().is_empty() {
        return Ok(None);
    }
    let tables = reads.tables()?;
    let plans = parts.into_iter().map(|within| question.plan_within(&tables, table, within));
    Ok(Some(plans.collect::<PolarsResult<_>>()?))
}

/// The intervals of the parts of an answer that lists rows, by the number of rows of each day. There is at
/// least one.
pub(super) fn parts(rows: &BTreeMap<NaiveDate, u64>) -> Vec<Span> {
    let starts = starts_of_parts(rows, MANY);
    let bounds = starts.into_iter().map(|day| Some(day_start(Tz::UTC, day)));
    let bounds: Vec<Option<i64>> = iter::once(None).chain(bounds).chain([None]).collect();
    let within =
        |bounds: &[Option<i64>]| Span { from: bounds[0], until: bounds[1], timezone: Tz::UTC };
    bounds.windows(2).map(within).collect()
}

/// The days on which a part begins, without the first one: each part before the last has at least `many`
/// rows.
fn starts_of_parts(rows: &BTreeMap<NaiveDate, u64>, many: u64) -> Vec<NaiveDate> {
    let mut starts = Vec::new();
    let mut held = 0;
    for (day, rows) in rows {
        if held >= many {
            starts.push(*day);
            held = 0;
        }
        held += rows;
    }
    starts
}

/// Limits a plan to its first rows.
pub fn limited(answer: LazyFrame, rows: Option<u64>) -> LazyFrame {
    match rows.and_then(|rows| rows.try_into().ok()) {
        Some(rows) => answer.limit(rows),
        None => answer,
    }
}

/// Returns the envelope of an answer in a response of Meta's API, and the accounts, lines and countries that
/// occur in it. Returns `None` for queries without such a response.
///
/// # Errors
/// A table cannot be read.
pub fn envelope(lake: &Lake, question: &Question) -> Result<Option<(Envelope, DataFrame)>> {
    let tables = lake.tables(question.spec().reads)?;
    let Some(envelope) = question.envelope(&tables)? else { return Ok(None) };
    let met = collect(envelope.met.clone(), question)?;
    Ok(Some((envelope, met)))
}

/// Collects the plan of a question.
///
/// # Errors
/// A file cannot be read.
pub fn collect(plan: LazyFrame, question: &Question) -> Result<DataFrame> {
    collect_of(plan, question.spec().name)
}

/// Collects a plan of the question with a name.
///
/// # Errors
/// A file cannot be read.
pub fn collect_of(plan: LazyFrame, name: &str) -> Result<DataFrame> {
    let answered = plan.collect_with_engine(ENGINE);
    Ok(answered.context(|| format!("answering `{name}`"))?.unwrap_single())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn part_ends_with_the_day_on_which_it_has_enough_rows() {
        let day = |day| NaiveDate::from_ymd_opt(2025, 6, day).unwrap();
        let rows = [(1, 4), (2, 7), (4, 1), (5, 30), (6, 1)];
        let rows = rows.into_iter().map(|(at, rows)| (day(at), rows)).collect();
        assert_eq!(starts_of_parts(&rows, 10), [day(4), day(6)]);
        assert_eq!(starts_of_parts(&rows, 100), []);
        assert_eq!(starts_of_parts(&BTreeMap::new(), 10), []);
    }
}
