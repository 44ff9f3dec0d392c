//! Answers a query from a mart that already holds the answer.
//!
//! | a question | is answered from a mart of |
//! |---|---|
//! | the same in all that its rows depend on | that question, whatever it is called |
//! | the same with `--from` or `--to` | the question of all days, where rows are of single days |
//!
//! And only from one that is fresh: made from the very files that the tables have now.

use chrono::NaiveDate;
use polars::prelude::{Expr, LazyFrame, Scalar, col, lit};
use wabalake_queries::query::{AnswerBuckets, Question};

use super::mart::Mart;
use super::refresh::MadeFrom;
use super::sources::Sources;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::lake::marts::{self, MART_DAY};
use crate::lake::{AsOf, Lake};

/// A plan that reads a mart in place of the tables.
pub struct FromMart {
    /// The mart's name.
    pub mart: String,
    /// The rows of the answer, in its order.
    pub plan: LazyFrame,
}

/// The answer of a question in a fresh mart, if there is one. What is wrong with a mart is no
/// reason to fail: the tables answer then.
pub fn answer(lake: &Lake, config: &Config, question: &Question) -> Result<Option<FromMart>> {
    let name = question.spec().name;
    if !lake.root().join("marts").is_dir() {
        return Ok(None);
    }
    for said in config.marts.iter().filter(|said| said.query == name) {
        let Ok(mart) = Mart::of(said, config) else { continue };
        let Some(keep) = answers(&mart, question) else { continue };
        let whole = lake.snapshot(mart.layout).and_then(|snapshot| {
            snapshot.check_files(&snapshot.files.iter().collect::<Vec<_>>(), false)?;
            Ok(snapshot)
        });
        let snapshot = match whole {
            Ok(snapshot) if snapshot.version.is_some() => snapshot,
            Ok(_) => continue,
            Err(error) => {
                pass_over(lake, &mart.name, &error);
                continue;
            }
        };
        let sources = Sources::of(lake, AsOf::Now);
        let now = MadeFrom::now(&mart, &sources)?;
        if MadeFrom::before(lake, &mart).is_some_and(|before| before.is(&now)) {
            let plan = question.in_order(marts::rows(&snapshot, keep)?);
            return Ok(Some(FromMart { mart: mart.name, plan }));
        }
    }
    Ok(None)
}

/// Tells of a mart that cannot be read, for which the tables answer.
pub fn pass_over(lake: &Lake, mart: &str, error: &Error) {
    let said = &error.details().what;
    let what = if error.may_be_damage() { "its rows cannot be read" } else { said };
    lake.warn(&format!("mart `{mart}` is passed over, the next night makes it anew: {what}"));
}

/// Which of a mart's rows answer a question, if they do.
fn answers(mart: &Mart, question: &Question) -> Option<Vec<Expr>> {
    let is = |asked: &Question| {
        asked.timezone() == question.timezone()
            && asked.sql() == question.sql()
            && asked.columns() == question.columns()
    };
    if is(&mart.question) {
        return Some(Vec::new());
    }
    let dates = question.dates();
    // A week at the edge of a range counts only its days within: that is no row of the mart.
    let by_days = mart.buckets().is_some_and(AnswerBuckets::are_within_days);
    if !by_days || !mart.has_no_range() || !is(&mart.asked_of(dates).ok()?) {
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
