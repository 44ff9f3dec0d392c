//! The tables of `fixtures/`: one CSV file each, with rows as a lake stores them. Lines that start with
//! `#` are comments; a column that is left out is null; hash columns are computed here. Tables in a
//! query's own `fixtures/` replace the common ones.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex};

use polars::prelude::*;
use wabalake_data::cells::stamp::{self, Stamp};
use wabalake_data::tables::{
    OWN_PERSON, USER_PHONE_VALID, UTC_DAY, instant, key_part, loads, persons, sessions, text_key,
};
use wabalake_data::{TABLES, Table};
use wabalake_queries::query::{CatalogEntry, Tables};

/// The files that were read, because every test asks every query.
static READ: LazyLock<Mutex<HashMap<PathBuf, DataFrame>>> = LazyLock::new(Mutex::default);

/// The fixture tables of a query.
pub(crate) fn tables(entry: &CatalogEntry) -> Tables {
    given().fold(Tables::new(), |tables, table| tables.with(table, read(entry, table).lazy()))
}

/// Every table that a query may read: those of exports, the loads and the persons.
pub(crate) fn given() -> impl Iterator<Item = &'static Table> {
    TABLES.iter().copied().chain([&loads::TABLE, &persons::TABLE])
}

/// One fixture table of a query, with the schema of a scan; empty if there is no file.
pub(crate) fn read(entry: &CatalogEntry, table: &Table) -> DataFrame {
    let entries = Path::new(env!("CARGO_MANIFEST_DIR"));
    let file = format!("fixtures/{}.csv", table.name);
    let own = entries.join(entry.spec.folder()).join(&file);
    let path = if own.exists() { own } else { entries.join(file) };
    let mut read = READ.lock().unwrap();
    read.entry(path).or_insert_with_key(|path| from_csv(table, path)).clone()
}

fn from_csv(table: &Table, path: &Path) -> DataFrame {
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
        let known = table.position(name).is_some() || name == USER_PHONE_VALID;
        assert!(known, "{}: no column `{name}`", path.display());
    }

    let rows = texts.height();
    let column = |name: &str, of: &DataType| match texts.column(name) {
        Ok(cells) => typed(cells.str().unwrap(), of).with_name(name.into()),
        Err(_) => Series::full_null(name.into(), rows, of),
    };
    let columns = table.columns.iter().map(|c| column(c.name, &c.data_type()).into_column());
    let frame = DataFrame::new(rows, columns.collect()).unwrap().lazy();
    let frame = match table.position(sessions::USER_PHONE) {
        Some(_) if texts.column(USER_PHONE_VALID).is_ok() => {
            let valid = texts.column(USER_PHONE_VALID).unwrap().str().unwrap().iter();
            let valid = valid.map(|valid| valid.map(|valid| valid == "true"));
            let valid = valid.collect::<BooleanChunked>().with_name(USER_PHONE_VALID.into());
            frame.with_column(lit(valid.into_series()))
        }
        Some(_) => frame.with_column(
            when(col(sessions::USER_PHONE).is_not_null())
                .then(lit(true))
                .otherwise(lit(NULL))
                .alias(USER_PHONE_VALID),
        ),
        None => frame,
    };
    let checked = table.internal.iter().filter(|column| table.checked.contains(&column.name));
    let checked = checked.map(|c| lit(column(c.name, &c.data_type())));
    let frame = frame.with_columns(checked.collect::<Vec<_>>());
    // Columns that only merging needs are null: no query reads them.
    let is_column =
        |name: &str| name == OWN_PERSON || table.columns.iter().any(|column| column.name == name);
    let (of_columns, of_others): (Vec<_>, Vec<_>) =
        table.hashes.iter().copied().partition(|(_, of)| is_column(of));
    let frame = of_columns.into_iter().fold(frame, |frame, (hash, of)| {
        frame.with_column(key_part(of).map(hashed, |_, field| int64(field)).alias(hash))
    });
    let schema = table.schema();
    let merging = table.internal.iter().map(|column| column.name).chain(table.whole_key);
    let merging = merging.filter(|name| !table.checked.contains(name));
    let merging = merging.chain(of_others.into_iter().map(|(hash, _)| hash));
    let frame = frame.with_columns(
        merging
            .map(|name| lit(NULL).cast(schema.get(name).unwrap().clone()).alias(name))
            .collect::<Vec<_>>(),
    );
    let day = match schema.get(table.day_of) {
        Some(DataType::Int64) => (col(table.day_of) * lit(1_000_000)).cast(instant()),
        None => lit(NULL),
        _ => col(table.day_of),
    };
    let columns: Vec<Expr> = schema.iter_names().map(|name| col(name.clone())).collect();
    frame.with_column(day.cast(DataType::Date).alias(UTC_DAY)).select(columns).collect().unwrap()
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
        DataType::Boolean => {
            let truths = cells.iter().map(|cell| cell.map(|cell| cell.parse::<bool>().unwrap()));
            truths.collect::<BooleanChunked>().into_series()
        }
        _ => cells.clone().into_series().strict_cast(of).unwrap(),
    }
}

pub(crate) fn hashed(texts: Column) -> PolarsResult<Column> {
    let hashes: Int64Chunked = texts.str()?.iter().map(|text| text.map(text_key)).collect();
    Ok(hashes.into_series().with_name(texts.name().clone()).into_column())
}

#[expect(clippy::unnecessary_wraps, reason = "what an expression asks of a type")]
fn int64(field: &Field) -> PolarsResult<Field> {
    Ok(Field::new(field.name().clone(), DataType::Int64))
}
