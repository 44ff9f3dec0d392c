//! Kernels of two inputs: rows, and what is known of their keys.
//!
//! A node of Polars has one input, so the rows of both are put one after the other, with a mark.

use std::sync::Arc;

use polars::prelude::{
    DataFrame, LazyFrame, PolarsError, PolarsResult, Schema, UnionArgs, concat_lf_diagonal, lit,
};

use super::named;

/// Tells known rows from those that look for them.
const IS_KNOWN: &str = "is_known";

/// A node that passes `known` and `rows` to a kernel, which returns the columns of `known`, then the others of
/// `rows`. Columns of one name have one type.
///
/// # Errors
/// Those of building a plan.
pub(super) fn with_known<F>(
    rows: LazyFrame,
    known: LazyFrame,
    name: String,
    kernel: F,
) -> PolarsResult<LazyFrame>
where
    F: Fn(DataFrame, DataFrame) -> PolarsResult<DataFrame> + Send + Sync + 'static,
{
    let known = known.with_column(lit(true).alias(IS_KNOWN));
    let both = concat_lf_diagonal([known, rows], UnionArgs::default())?;
    let without_mark = |given: &Schema| {
        let mut schema = given.clone();
        schema.shift_remove(IS_KNOWN);
        Arc::new(schema)
    };
    Ok(named(both, name, without_mark, move |both| {
        let (known, rows) = parted(&both)?;
        kernel(known, rows)
    }))
}

fn parted(both: &DataFrame) -> PolarsResult<(DataFrame, DataFrame)> {
    let marks = both.column(IS_KNOWN)?;
    let count = marks.len() - marks.null_count();
    let start = i64::try_from(count).unwrap_or(i64::MAX);
    let mut known = both.slice(0, count);
    if known.drop_in_place(IS_KNOWN)?.null_count() > 0 {
        return Err(PolarsError::ComputeError("known rows are not the first ones".into()));
    }
    let mut rows = both.slice(start, both.height() - count);
    rows.drop_in_place(IS_KNOWN)?;
    Ok((known, rows))
}
