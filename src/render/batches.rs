//! Batches of rows: an answer with millions of rows is converted and written one after the other.

use std::iter;

use chrono_tz::Tz;
use polars::prelude::{DataFrame, PolarsResult};
use wabalake_queries::query::OutputColumn;

use super::cells::Cells;
use super::text::Meaning;
use crate::error::Result;

/// The number of rows of a batch, and so of a row group of Parquet.
const ROWS: usize = 1 << 18;

/// Some rows of an answer.
pub(super) struct Batch<'a> {
    rows: usize,
    columns: &'a [OutputColumn],
    cells: Vec<Cells>,
}

impl<'a> Batch<'a> {
    /// Converts a frame with just these columns.
    ///
    /// # Errors
    /// Columns of a type that no answer has.
    pub(super) fn of(
        frame: &DataFrame,
        columns: &'a [OutputColumn],
        zone: Tz,
    ) -> PolarsResult<Self> {
        let cells: PolarsResult<_> =
            frame.columns().iter().map(|column| Cells::of(column, zone)).collect();
        Ok(Self { rows: frame.height(), columns, cells: cells? })
    }

    pub(super) fn names(&self) -> impl ExactSizeIterator<Item = &'static str> {
        self.columns.iter().map(|column| column.name)
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    pub(super) fn cells(&self) -> &[Cells] {
        &self.cells
    }

    /// Each column with its meaning to a reader and its cells.
    pub(super) fn described(&self) -> impl Iterator<Item = (&OutputColumn, Meaning, &Cells)> {
        let columns = self.columns.iter().zip(&self.cells);
        columns.map(|(column, cells)| (column, Meaning::within(column, self.columns), cells))
    }
}

/// Frames cut and joined to batches of [`ROWS`], so that a file does not depend on how the rows were
/// collected. The last batch has the rest; without rows it is empty.
pub(super) fn of_one_size(
    frames: impl Iterator<Item = Result<DataFrame>>,
) -> impl Iterator<Item = Result<DataFrame>> {
    cut(frames, ROWS)
}

fn cut(
    mut frames: impl Iterator<Item = Result<DataFrame>>,
    size: usize,
) -> impl Iterator<Item = Result<DataFrame>> {
    let mut rest: Option<DataFrame> = None;
    let mut is_done = false;
    iter::from_fn(move || {
        while !is_done {
            if let Some(rows) = rest.take_if(|rows| rows.height() > size) {
                let (batch, after) = rows.split_at(i64::try_from(size).unwrap_or(i64::MAX));
                rest = Some(after);
                return Some(Ok(batch));
            }
            match frames.next() {
                Some(Err(error)) => {
                    is_done = true;
                    return Some(Err(error));
                }
                Some(Ok(frame)) => match &mut rest {
                    Some(rows) => {
                        if let Err(error) = rows.vstack_mut(&frame) {
                            is_done = true;
                            return Some(Err(error.into()));
                        }
                    }
                    None => rest = Some(frame),
                },
                None => {
                    is_done = true;
                    return rest.take().map(Ok);
                }
            }
        }
        None
    })
}

#[cfg(test)]
mod tests {
    use polars::prelude::df;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn batches_have_one_size_and_all_rows(
            lengths in prop::collection::vec(0..20_i64, 1..8),
            size in 1..12_usize,
        ) {
            let mut next = 0;
            let frames = lengths.iter().map(|length| {
                let numbers: Vec<i64> = (next..next + length).collect();
                next += length;
                Ok(df!["n" => numbers]?)
            });
            let frames: Vec<Result<DataFrame>> = frames.collect();
            let batches: Vec<DataFrame> = cut(frames.into_iter(), size).map(Result::unwrap).collect();
            let (last, whole) = batches.split_last().unwrap();
            prop_assert!(whole.iter().all(|batch| batch.height() == size));
            prop_assert!(last.height() <= size && (last.height() > 0 || whole.is_empty()));
            let numbers: Vec<i64> = batches
                .iter()
                .flat_map(|batch| batch.column("n").unwrap().i64().unwrap().iter().flatten())
                .collect();
            prop_assert_eq!(numbers, (0..next).collect::<Vec<_>>());
        }
    }
}
