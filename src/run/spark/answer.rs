//! Converts the reply of a cluster to rows of the declared columns.
//!
//! Each batch is a complete Arrow stream. Engines differ in integer widths, string types and spellings of
//! UTC, which are cast. Names and order of columns must be as declared.

use std::io::Cursor;

use polars::prelude::{Column, DataFrame, DataType, IpcStreamReader, Schema, SerReader as _};
pub(super) use spark_connect_proto::execute_plan_response::ArrowBatch as Batch;
use wabalake_queries::query::OutputColumn;

use crate::error::{Context as _, Error, Result};

/// Concatenates all batches, cast to the types of the declared columns.
pub(super) fn rows(batches: &[Batch], columns: &[OutputColumn]) -> Result<DataFrame> {
    let declared: Schema =
        columns.iter().map(|column| (column.name.into(), column.of.data_type())).collect();
    let mut rows = DataFrame::empty_with_schema(&declared);
    for batch in batches {
        rows.vstack_mut(&typed(read(batch)?, columns)?)?;
    }
    rows.rechunk_mut();
    Ok(rows)
}

/// Returns the integers of a reply of one row.
pub(super) fn counts(batches: &[Batch]) -> Result<Vec<i64>> {
    let mut counts = Vec::new();
    for batch in batches {
        for column in read(batch)?.columns() {
            let column = column.strict_cast(&DataType::Int64)?;
            counts.extend(column.i64()?.iter().flatten());
        }
    }
    Ok(counts)
}

fn read(batch: &Batch) -> Result<DataFrame> {
    let read = IpcStreamReader::new(Cursor::new(&batch.data[..])).finish();
    let rows = read.context(|| "reading the reply of the cluster")?;
    if usize::try_from(batch.row_count) == Ok(rows.height()) {
        return Ok(rows);
    }
    let (expected, found) = (batch.row_count, rows.height());
    Err(Error::cluster("the reply of the cluster is incomplete")
        .found(format!("{found} rows instead of {expected}"))
        .hint("run the query again"))
}

fn typed(rows: DataFrame, columns: &[OutputColumn]) -> Result<DataFrame> {
    let names: Vec<&str> = rows.columns().iter().map(|column| column.name().as_str()).collect();
    if !names.iter().eq(columns.iter().map(|column| &column.name)) {
        return Err(
            Error::bug("the SQL twin has other columns than the query").found(names.join(", "))
        );
    }
    let height = rows.height();
    let typed = rows.into_columns().into_iter().zip(columns).map(|(column, declared)| {
        let typed = column.strict_cast(&declared.of.data_type());
        typed.context(|| format!("column `{}` of the reply of the cluster", declared.name))
    });
    Ok(DataFrame::new(height, typed.collect::<Result<Vec<Column>>>()?)?)
}

#[cfg(test)]
mod tests {
    use polars::prelude::{
        IntoColumn as _, IpcStreamWriter, NamedFrom as _, SerWriter as _, Series, df,
    };

    use super::*;

    const COLUMNS: [OutputColumn; 2] = [OutputColumn::text("who"), OutputColumn::count("rows")];

    fn batch(mut rows: DataFrame) -> Batch {
        let mut data = Vec::new();
        IpcStreamWriter::new(&mut data).finish(&mut rows).unwrap();
        let row_count = rows.height().try_into().unwrap();
        Batch { row_count, data: data.into(), ..Default::default() }
    }

    #[test]
    fn batches_are_concatenated_in_the_declared_types() {
        let batches = [
            batch(df!("who" => ["a", "b"], "rows" => [1_i32, 2]).unwrap()),
            batch(df!("who" => ["c"], "rows" => [3_i32]).unwrap()),
        ];
        let expected = df!("who" => ["a", "b", "c"], "rows" => [1_i64, 2, 3]).unwrap();
        assert!(rows(&batches, &COLUMNS).unwrap().equals(&expected));
        assert_eq!(rows(&[], &COLUMNS).unwrap().schema(), expected.schema());
    }

    #[test]
    fn other_columns_are_rejected() {
        let swapped = batch(df!("rows" => [1_i64], "who" => ["a"]).unwrap());
        assert_eq!(rows(&[swapped], &COLUMNS).unwrap_err().exit_code(), 3);
        let amount = Series::new("rows".into(), ["many"]).into_column();
        let who = Series::new("who".into(), ["a"]).into_column();
        let text = batch(DataFrame::new(1, vec![who, amount]).unwrap());
        assert!(rows(&[text], &COLUMNS).is_err());
    }

    #[test]
    fn incomplete_batches_are_rejected() {
        let mut cut = batch(df!("who" => ["a"], "rows" => [1_i64]).unwrap());
        cut.row_count = 2;
        let error = rows(&[cut], &COLUMNS).unwrap_err();
        assert!(error.lines().contains("1 rows instead of 2"), "{}", error.lines());
    }

    #[test]
    fn counts_are_the_integers_of_a_row() {
        let row = batch(df!("sessions" => [5_i64], "messages" => [7_i64]).unwrap());
        assert_eq!(counts(&[row]).unwrap(), [5, 7]);
    }
}
