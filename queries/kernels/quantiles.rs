//! Quantiles of groups, selected in place within the values of each group.

use std::borrow::Cow;

use polars::prelude::{
    ChunkAgg, Column, DataFrame, DataType, Expr, Field, Int64Chunked, LazyFrame, Schema,
    UInt32Chunked, col,
};
use rayon::prelude::*;

use super::parts::FEW;
use super::{node, on_all_cores};

/// The quantiles of one column of integers: a name and a share (0 to 1) each, shares ascending.
#[derive(Clone, Debug)]
pub struct Quantiles {
    /// The column.
    pub of: &'static str,
    /// Names and shares.
    pub shares: Vec<(&'static str, f64)>,
}

/// Quantiles of columns of Int64 in each group, by linear interpolation; null in a group without values.
///
/// `group` is a column of [numbers](super::dictionary::number). The answer has a row for each number, with the
/// quantiles as Float64, equal to those of [`Expr::quantile`] to the last bit.
pub fn quantiles(rows: LazyFrame, group: &'static str, of: Vec<Quantiles>) -> LazyFrame {
    let read: Vec<Expr> = [group].into_iter().chain(of.iter().map(|of| of.of)).map(col).collect();
    let names = of.iter().flat_map(|of| of.shares.iter().map(|(name, _)| *name));
    let fields = names.map(|name| Field::new(name.into(), DataType::Float64));
    let schema =
        [Field::new(group.into(), DataType::UInt32)].into_iter().chain(fields).collect::<Schema>();
    let name = format!("quantiles of groups: {group} {of:?}");
    node(rows.select(read), name, schema, move |rows| {
        let groups = rows.column(group)?.u32()?;
        let until = groups.max().map_or(0, |last| last + 1);
        let mut columns = vec![Column::new(group.into(), (0..until).collect::<Vec<u32>>())];
        for Quantiles { of, shares } in &of {
            let found = of_groups(groups, rows.column(of)?.i64()?, until as usize, shares);
            for (at, (name, _)) in shares.iter().enumerate() {
                let quantiles: Vec<Option<f64>> = found.iter().map(|found| found[at]).collect();
                columns.push(Column::new((*name).into(), quantiles));
            }
        }
        DataFrame::new(until as usize, columns)
    })
}

/// The quantiles of each group, from 0 to `until`.
fn of_groups(
    groups: &UInt32Chunked,
    values: &Int64Chunked,
    until: usize,
    shares: &[(&'static str, f64)],
) -> Vec<Vec<Option<f64>>> {
    on_all_cores(|| of_groups_in_parts(groups, values, until, shares))
}

fn of_groups_in_parts(
    groups: &UInt32Chunked,
    values: &Int64Chunked,
    until: usize,
    shares: &[(&'static str, f64)],
) -> Vec<Vec<Option<f64>>> {
    let rows = groups.len().div_ceil(rayon::current_num_threads()).max(FEW);
    let starts: Vec<usize> = (0..groups.len()).step_by(rows).collect();
    let parts = starts.into_par_iter().map(|start| {
        let start = i64::try_from(start).unwrap_or(i64::MAX);
        Part::of(&groups.slice(start, rows), &values.slice(start, rows), until)
    });
    let parts: Vec<Part> = parts.collect();
    let each = (0..until).into_par_iter().map(|group| {
        let own = parts.iter().flat_map(|part| part.of_group(group)).copied();
        let nulls = parts.iter().map(|part| part.nulls[group]).sum();
        select(&mut own.collect::<Vec<i64>>(), nulls, shares)
    });
    each.collect()
}

/// The values of consecutive rows, by group.
struct Part {
    values: Vec<i64>,
    /// Where the values of each group start, and their end.
    starts: Vec<usize>,
    /// How many values of each group are null.
    nulls: Vec<usize>,
}

impl Part {
    fn of(groups: &UInt32Chunked, values: &Int64Chunked, until: usize) -> Self {
        let (groups, values) = if groups.chunk_lengths().eq(values.chunk_lengths()) {
            (Cow::Borrowed(groups), Cow::Borrowed(values))
        } else {
            (groups.rechunk(), values.rechunk())
        };
        // Pairs of arrays are passed over faster than rows across arrays.
        let arrays = || groups.downcast_iter().zip(values.downcast_iter());
        let mut starts = vec![0_usize; until + 1];
        let mut nulls = vec![0_usize; until];
        for (groups, values) in arrays() {
            for (group, value) in groups.iter().zip(values.iter()) {
                let group = group.map_or(0, |group| *group as usize);
                match value {
                    Some(_) => starts[group + 1] += 1,
                    None => nulls[group] += 1,
                }
            }
        }
        let mut end = 0;
        for start in &mut starts {
            end += *start;
            *start = end;
        }
        let mut next = starts.clone();
        let mut by_group = vec![0; end];
        for (groups, values) in arrays() {
            for (group, value) in groups.iter().zip(values.iter()) {
                let Some(value) = value else { continue };
                let next = &mut next[group.map_or(0, |group| *group as usize)];
                by_group[*next] = *value;
                *next += 1;
            }
        }
        Self { values: by_group, starts, nulls }
    }

    fn of_group(&self, group: usize) -> &[i64] {
        &self.values[self.starts[group]..self.starts[group + 1]]
    }
}

/// Selects quantiles of values, which are reordered.
///
/// Polars sorts nulls before the values and adds their number to the place, which decides the last bit of
/// an interpolated value.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a place is between 0 and the number of rows"
)]
fn select(values: &mut [i64], nulls: usize, shares: &[(&str, f64)]) -> Vec<Option<f64>> {
    // Values before it are smaller than those after it, or equal.
    let mut settled = 0;
    let quantile = |(_, share): &(&str, f64)| {
        let last = values.len().checked_sub(1)?;
        let place = last as f64 * share + nulls as f64;
        let at = (place as usize).saturating_sub(nulls).min(last);
        if at < settled {
            settled = 0;
        }
        let (_, lower, above) = values[settled..].select_nth_unstable(at - settled);
        settled = at;
        let lower = *lower as f64;
        if place.ceil() as usize == at + nulls {
            return Some(lower);
        }
        let upper = *above.iter().min()? as f64;
        let proportion = place - (at + nulls) as f64;
        Some(if lower == upper { lower } else { proportion * (upper - lower) + lower })
    };
    shares.iter().map(quantile).collect()
}
