//! The tables in `fixtures/`: a CSV for each, as its rows stand in a lake. Lines from `#` on say
//! what is odd about the rows below; a column that is left out is null; hashes are worked out here.

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use polars::prelude::*;
use wabalake_data::cells::stamp::{self, Stamp};
use wabalake_data::tables::{USER_PHONE_VALID, UTC_DAY, instant, sessions, text_key};
use wabalake_data::{TABLES, Table};
use wabalake_queries::query::Tables;

static TABLES_READ: LazyLock<Vec<DataFrame>> =
    LazyLock::new(|| TABLES.iter().map(|table| from_csv(table)).collect());

/// Every table of the fixtures.
pub(crate) fn tables() -> Tables {
    TABLES.iter().fold(Tables::new(), |tables, table| tables.with(table, read(table).lazy()))
}

/// One table of the fixtures, with every column that a scan offers; empty when there is no file.
pub(crate) fn read(table: &Table) -> DataFrame {
    let place = TABLES.iter().position(|known| *known == table).unwrap();
    TABLES_READ[place].clone()
}

fn from_csv(table: &Table) -> DataFrame {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("fixtures/{}.csv", table.name));
    if !path.exists() {
        return DataFrame::empty_with_schema(&table.schema());
    }
    let lines = fs::read_to_string(path).unwrap();
    let lines: Vec<&str> = lines.lines().filter(|line| !line.starts_with('#')).collect();
    let texts = CsvReadOptions::default()
        .with_infer_schema_length(Some(0))
        .into_reader_with_file_handle(std::io::Cursor::new(lines.join("\n")))
        .finish()
        .unwrap();
    for name in texts.get_column_names() {
        assert!(table.position(name).is_some(), "{}.csv: no column `{name}`", table.name);
    }

    let rows = texts.height();
    let column = |name: &str, of: &DataType| match texts.column(name) {
        Ok(cells) => typed(cells.str().unwrap(), of).with_name(name.into()),
        Err(_) => Series::full_null(name.into(), rows, of),
    };
    let columns = table.columns.iter().map(|c| column(c.name, &c.data_type()).into_column());
    let frame = DataFrame::new(rows, columns.collect()).unwrap().lazy();
    let frame = match table.position(sessions::USER_PHONE) {
        Some(_) => frame.with_column(
            when(col(sessions::USER_PHONE).is_not_null())
                .then(lit(true))
                .otherwise(lit(NULL))
                .alias(USER_PHONE_VALID),
        ),
        None => frame,
    };
    let frame = table.hashes.iter().fold(frame, |frame, (hash, of)| {
        frame.with_column(col(*of).map(hashed, |_, field| int64(field)).alias(*hash))
    });
    // What is stored beside the columns for merging alone is in no query.
    let schema = table.schema();
    let merging = table.beside.iter().map(|column| column.name).chain(table.whole_key);
    let frame = frame.with_columns(
        merging
            .map(|name| lit(NULL).cast(schema.get(name).unwrap().clone()).alias(name))
            .collect::<Vec<_>>(),
    );
    let columns: Vec<Expr> = schema.iter_names().map(|name| col(name.clone())).collect();
    frame
        .with_column(col(table.day_of).cast(DataType::Date).alias(UTC_DAY))
        .select(columns)
        .collect()
        .unwrap()
}

fn typed(cells: &StringChunked, of: &DataType) -> Series {
    match of {
        DataType::Datetime(..) => {
            let stamps = cells.iter().map(|cell| {
                cell.map(|cell| match stamp::read(cell, chrono_tz::UTC) {
                    Stamp::At(micros) => micros,
                    other => panic!("{cell}: {other:?}"),
                })
            });
            stamps.collect::<Int64Chunked>().into_series().cast(&instant()).unwrap()
        }
        _ => cells.clone().into_series().strict_cast(of).unwrap(),
    }
}

fn hashed(texts: Column) -> PolarsResult<Column> {
    let hashes: Int64Chunked = texts.str()?.iter().map(|text| text.map(text_key)).collect();
    Ok(hashes.into_series().with_name(texts.name().clone()).into_column())
}

#[expect(clippy::unnecessary_wraps, reason = "what an expression asks of a type")]
fn int64(field: &Field) -> PolarsResult<Field> {
    Ok(Field::new(field.name().clone(), DataType::Int64))
}
