//! Plans and collects a query of the catalog over the newest version of each table.

use polars::prelude::{DataFrame, LazyFrame};
use wabalake_queries::query::{ENGINE, Envelope, Question};

use crate::error::{Context as _, Result};
use crate::lake::Lake;

/// Builds the lazy plan of a question, with at most `limit` rows. Reads transaction logs, but no data.
///
/// # Errors
/// A table cannot be read.
pub fn plan(lake: &Lake, question: &Question, limit: Option<u64>) -> Result<LazyFrame> {
    Ok(limited(question.plan(&lake.tables(question.spec().reads)?)?, limit))
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
    let answered = plan.collect_with_engine(ENGINE);
    Ok(answered.context(|| format!("answering `{}`", question.spec().name))?.unwrap_single())
}
