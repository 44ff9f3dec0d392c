//! Collects a query's plan over the newest version of each table that it reads.

use polars::prelude::{DataFrame, LazyFrame};
use wabalake_queries::query::{ENGINE, Envelope, Question};

use crate::error::{Context as _, Result};
use crate::lake::Lake;

/// The plan of a question over a lake, of which at most so many rows are wanted. Logs are read,
/// data is not.
///
/// # Errors
/// A table that cannot be read.
pub fn plan(lake: &Lake, question: &Question, limit: Option<u64>) -> Result<LazyFrame> {
    Ok(limited(question.plan(&lake.tables(question.spec().reads)?)?, limit))
}

/// At most so many of the first rows of an answer.
pub fn limited(answer: LazyFrame, rows: Option<u64>) -> LazyFrame {
    match rows.and_then(|rows| rows.try_into().ok()) {
        Some(rows) => answer.limit(rows),
        None => answer,
    }
}

/// What stands around an answer in a response of Meta's API, with what was met of accounts, lines
/// and countries; none where it can be no response.
///
/// # Errors
/// Tables that cannot be read.
pub fn envelope(lake: &Lake, question: &Question) -> Result<Option<(Envelope, DataFrame)>> {
    let tables = lake.tables(question.spec().reads)?;
    let Some(envelope) = question.envelope(&tables)? else { return Ok(None) };
    let met = collect(envelope.met.clone(), question)?;
    Ok(Some((envelope, met)))
}

/// The answer of a plan to a question.
///
/// # Errors
/// Files that cannot be read.
pub fn collect(plan: LazyFrame, question: &Question) -> Result<DataFrame> {
    let answered = plan.collect_with_engine(ENGINE);
    Ok(answered.context(|| format!("answering `{}`", question.spec().name))?.unwrap_single())
}
