//! Answers a question from a fresh mart instead of the tables.
//!
//! | question | mart that answers it |
//! |---|---|
//! | any | one of the same query, parameters, columns and time zone, whatever its name |
//! | one with `--from` or `--to` | one of the same question without dates, if each row is of one day |
//!
//! A mart is fresh if it was computed from the very files that the tables have now. Marts of a user's own
//! SQL answer no question.

use chrono::NaiveDate;
use polars::prelude::{Expr, LazyFrame, Scalar, col, lit};
use wabalake_queries::query::{AnswerBuckets, Question};

use super::{Definition, Mart, PinnedTables, Provenance, QueryMart};
use crate::config::{Config, MartSource};
use crate::error::{Error, Result};
use crate::lake::marts::{self, MART_DAY};
use crate::lake::{AsOf, Lake};

/// A lazy plan that reads a mart instead of the tables.
pub struct FromMart {
    /// The mart's name.
    pub mart: String,
    /// The rows of the answer, in the query's order.
    pub plan: LazyFrame,
}

/// A plan over a fresh mart that holds the answer, if there is one. A mart that cannot be read is
/// skipped with a warning.
///
/// # Errors
/// Tables whose logs cannot be read.
pub fn answer(lake: &Lake, config: &Config, question: &Question) -> Result<Option<FromMart>> {
    let name = question.spec().name;
    if lake.place().as_folder().is_some_and(|root| !root.join("marts").is_dir()) {
        return Ok(None);
    }
    let is_of_query = |source: &MartSource| matches!(source, MartSource::Query(of) if of == name);
    for settings in config.marts.iter().filter(|settings| is_of_query(&settings.source)) {
        let Ok(mart) = Mart::of(lake, settings, config) else { continue };
        let Definition::Query(asked) = &mart.definition else { continue };
        let Some(keep) = answers(asked, question) else { continue };
        let whole = lake.snapshot(&mart.layout).and_then(|snapshot| {
            snapshot.check_files(&snapshot.files.iter().collect::<Vec<_>>(), false)?;
            Ok(snapshot)
        });
        let snapshot = match whole {
            Ok(snapshot) if snapshot.version.is_some() => snapshot,
            Ok(_) => continue,
            Err(error) => {
                warn_skipped(lake, &mart.name, &error);
                continue;
            }
        };
        let tables = PinnedTables::of(lake, AsOf::Now);
        let now = Provenance::now(&mart, &tables)?;
        if Provenance::stored(lake, &snapshot).is_some_and(|before| before.matches(&now)) {
            let plan = question.in_order(marts::rows(&snapshot, keep)?);
            return Ok(Some(FromMart { mart: mart.name, plan }));
        }
    }
    Ok(None)
}

/// Warns of a mart that cannot be read: the tables answer instead.
pub fn warn_skipped(lake: &Lake, mart: &str, error: &Error) {
    let fault = &error.details().what;
    let what = if error.may_be_damage() { "its rows cannot be read" } else { fault };
    lake.warn(&format!("mart `{mart}` is skipped, the next nightly run rebuilds it: {what}"));
}

/// The filters that select a question's answer from a mart's rows; `None` if the mart does not have it.
fn answers(mart: &QueryMart, question: &Question) -> Option<Vec<Expr>> {
    let is = |asked: &Question| {
        asked.timezone() == question.timezone()
            && asked.sql() == question.sql()
            && asked.columns() == question.columns()
    };
    if is(&mart.question) {
        return Some(Vec::new());
    }
    let dates = question.dates();
    // A week at the edge of a range counts only the days within it, so the mart has no such row.
    let by_days = mart.buckets().is_some_and(AnswerBuckets::are_within_days);
    if !by_days || !mart.has_no_range() || !is(&mart.for_dates(dates).ok()?) {
        return None;
    }
    let day = || col(MART_DAY);
    let from = dates.0.map(|from| day().gt_eq(date(from)));
    let to = dates.1.map(|to| day().lt_eq(date(to)));
    Some(from.into_iter().chain(to).collect())
}

fn date(date: NaiveDate) -> Expr {
    lit(Scalar::new_date(date.to_epoch_days()))
}
