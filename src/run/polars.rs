//! Collects a query's plan over the newest version of each table that it reads.

use polars::prelude::{DataFrame, LazyFrame};
use wabalake_queries::query::{Card, Question, Tables};

use crate::error::{Context as _, Result};
use crate::lake::Lake;

/// The plan of a question over a lake, of which at most so many rows are wanted. Logs are read,
/// data is not.
///
/// # Errors
/// A table that cannot be read.
pub fn plan(
    lake: &Lake,
    card: &Card,
    question: &Question,
    limit: Option<u64>,
) -> Result<LazyFrame> {
    let mut tables = Tables::new();
    for table in card.reads {
        let scan = lake.snapshot(*table)?.scan()?;
        tables = tables.with(table, scan);
    }
    Ok(limited(question.plan(&tables)?, limit))
}

/// At most so many of the first rows of an answer.
pub fn limited(answer: LazyFrame, rows: Option<u64>) -> LazyFrame {
    match rows.and_then(|rows| rows.try_into().ok()) {
        Some(rows) => answer.limit(rows),
        None => answer,
    }
}

/// The answer of a plan, by the engine that the query's card names.
///
/// # Errors
/// Files that cannot be read.
pub fn collect(plan: LazyFrame, card: &Card) -> Result<DataFrame> {
    let answered = plan.collect_with_engine(card.engine);
    Ok(answered.context(|| format!("answering `{}`", card.name))?.unwrap_single())
}
