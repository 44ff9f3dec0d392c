//! Folds the rows of each key column by column, in tables whose sources each know a part of a row.
//!
//! ```text
//! origin  whatsapp_id  created_at  sent_at   template_name  message_type
//! lake    wamid.A      10:00:01    10:00:01  null           outgoing      ┐ the earliest times, any value,
//! file 1  wamid.A      10:00:00    null      promo          template      ┘ and the type of what that gives
//! folded  wamid.A      10:00:00    10:00:01  promo          template
//! ```
//!
//! Each aggregate is associative, commutative and idempotent. Derived columns depend on aggregates only,
//! by the rule of [`Table::derive`]. So rows may be folded in any order, any grouping and any number of
//! times.

use polars::prelude::*;
use wabalake_data::Table;
use wabalake_data::cells::phone::Phones;
use wabalake_data::tables::{Cell, Fate, Row};

use super::merge::{LAKE, keys};
use super::rows::RowBuilder;
use super::staged_columns::ORIGIN;

/// Folds rows with the columns of [`Table::stored`] and [`ORIGIN`]: one row for each key, unordered.
///
/// A row that equals the lake's has the lake's origin. Any other has that of the first file with its key.
pub(super) fn fold(table: &'static Table, rows: &DataFrame) -> PolarsResult<DataFrame> {
    let columns = rows.get_column_names_owned();
    let aggregates = table.aggregates.iter().map(|(name, all)| all().alias(*name));
    let brought = col(ORIGIN).filter(col(ORIGIN).neq(lit(LAKE))).min().fill_null(lit(LAKE));
    let aggregates: Vec<Expr> = aggregates.chain([brought.alias(ORIGIN)]).collect();
    let mut folded = rows.clone().lazy().group_by(keys(table)).agg(aggregates).collect()?;
    folded.rechunk_mut();
    let origins = folded.column(ORIGIN)?.clone();
    let mut folded = derive_again(table, &folded)?;
    folded.with_column(origins)?;

    let lake = rows.filter(&rows.column(ORIGIN)?.i32()?.equal(LAKE))?;
    if lake.height() == 0 {
        return folded.select(columns);
    }
    let of_lake = |name: &PlSmallStr| col(format!("{name}{OF_LAKE}"));
    let is_key = |name: &PlSmallStr| table.key.contains(&name.as_str());
    let is_as_in_lake = columns
        .iter()
        .filter(|name| **name != ORIGIN && !is_key(name))
        .map(|name| col(name.clone()).eq_missing(of_lake(name)))
        .fold(of_lake(&ORIGIN.into()).is_not_null(), Expr::and);
    let origin = when(is_as_in_lake).then(lit(LAKE)).otherwise(col(ORIGIN)).alias(ORIGIN);
    let with_lake = JoinArgs { nulls_equal: true, ..JoinArgs::new(JoinType::Left) }
        .with_suffix(Some(OF_LAKE.into()));
    folded
        .lazy()
        .join(lake.lazy(), keys(table), keys(table), with_lake)
        .with_column(origin)
        .select(columns.into_iter().map(col).collect::<Vec<_>>())
        .collect()
}

/// Ends the names of the lake's columns.
const OF_LAKE: &str = "__of_lake";

/// Adds the derived columns and hashes to rows of keys and aggregates, by the rule of the loader.
///
/// Values that an export may have stay as they are, or else a value that is derived from one row would
/// stay in a row that has a greater one.
fn derive_again(table: &'static Table, rows: &DataFrame) -> PolarsResult<DataFrame> {
    let given = table.cells().map(|column| match column.is_derived {
        true => Ok(None),
        false => rows.column(column.name).map(|column| Some(column.as_materialized_series())),
    });
    let given: Vec<Option<&Series>> = given.collect::<PolarsResult<_>>()?;
    let phones = Phones::default();
    let mut derived = RowBuilder::new(table, rows.height(), LAKE);
    for at in 0..rows.height() {
        let cells = given.iter().map(|column| column.map_or(Ok(Cell::Null), |c| cell(c, at)));
        let given: Vec<Cell<'_>> = cells.collect::<PolarsResult<_>>()?;
        let mut cells = given.clone();
        let mut row =
            Row { cells: &mut cells, fate: Fate::Row, user_phone_valid: None, phones: &phones };
        (table.derive)(&mut row);
        let valid = row.user_phone_valid;
        for ((column, cell), given) in table.cells().zip(&mut cells).zip(given) {
            if !column.is_derived {
                *cell = given;
            }
        }
        derived.push(&cells, valid, None);
    }
    derived.into_rows()
}

/// The cell of a stored value.
fn cell(column: &Series, row: usize) -> PolarsResult<Cell<'_>> {
    Ok(match column.get(row)? {
        AnyValue::Null => Cell::Null,
        AnyValue::String(text) => Cell::Text(text),
        AnyValue::Datetime(micros, TimeUnit::Microseconds, _) => Cell::Stamp(micros),
        AnyValue::Int32(number) => Cell::Integer(number),
        AnyValue::Int64(number) => Cell::Count(number),
        AnyValue::Float64(number) => Cell::Number(number),
        AnyValue::Boolean(yes) => Cell::Boolean(yes),
        AnyValue::Date(days) => Cell::Date(days),
        other => polars_bail!(ComputeError: "a folded column of type {}", other.dtype()),
    })
}
