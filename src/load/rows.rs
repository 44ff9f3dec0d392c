//! Collects the cells of valid rows in column builders.

use std::collections::BTreeMap;

use polars::prelude::*;
use wabalake_data::cells::number::{MONEY_PRECISION, MONEY_SCALE};
use wabalake_data::tables::{Cell, CellKind, USER_PHONE_VALID, instant, text_key};
use wabalake_data::{Column as TableColumn, Table};

use super::day::{NO_DAY, by_day, day_of};
use super::key_hash::{cell_key_hash, own_person};
use super::staged_columns::{ORIGIN, RECORD};

/// Builders for the columns of [`Table::stored`] and the staged columns.
pub(super) struct RowBuilder {
    table: &'static Table,
    columns: Vec<ColumnBuilder>,
    valid: Option<BooleanChunkedBuilder>,
    /// Each with the position of the hashed cell; `None` hashes the person.
    hashes: Vec<(Option<usize>, PrimitiveChunkedBuilder<Int64Type>)>,
    whole_key: Option<PrimitiveChunkedBuilder<Int64Type>>,
    records: Option<PrimitiveChunkedBuilder<Int64Type>>,
    /// The position of the cell that has the day; `None` for a table without days.
    day_of: Option<usize>,
    /// The UTC day of each row.
    days: Vec<i32>,
    origin: i32,
}

enum ColumnBuilder {
    Text(StringChunkedBuilder),
    Stamp(PrimitiveChunkedBuilder<Int64Type>),
    Date(PrimitiveChunkedBuilder<Int32Type>),
    Integer(PrimitiveChunkedBuilder<Int32Type>),
    Count(PrimitiveChunkedBuilder<Int64Type>),
    Money(PrimitiveChunkedBuilder<Int128Type>),
    Number(PrimitiveChunkedBuilder<Float64Type>),
    Boolean(BooleanChunkedBuilder),
}

impl RowBuilder {
    pub(super) fn new(table: &'static Table, rows: usize, origin: i32) -> Self {
        let builder = |column: &TableColumn| {
            let name = PlSmallStr::from_static(column.name);
            match column.kind {
                CellKind::Stamp | CellKind::Moment | CellKind::StampOrText => {
                    ColumnBuilder::Stamp(PrimitiveChunkedBuilder::new(name, rows))
                }
                CellKind::Date => ColumnBuilder::Date(PrimitiveChunkedBuilder::new(name, rows)),
                CellKind::Integer => {
                    ColumnBuilder::Integer(PrimitiveChunkedBuilder::new(name, rows))
                }
                CellKind::Count | CellKind::Seconds => {
                    ColumnBuilder::Count(PrimitiveChunkedBuilder::new(name, rows))
                }
                CellKind::Money | CellKind::Decimal => {
                    ColumnBuilder::Money(PrimitiveChunkedBuilder::new(name, rows))
                }
                CellKind::Number => ColumnBuilder::Number(PrimitiveChunkedBuilder::new(name, rows)),
                CellKind::Boolean => ColumnBuilder::Boolean(BooleanChunkedBuilder::new(name, rows)),
                CellKind::Text
                | CellKind::Dashed
                | CellKind::Word
                | CellKind::Phone
                | CellKind::FullPhone
                | CellKind::UserId
                | CellKind::Enumeration(_)
                | CellKind::Closed(_)
                | CellKind::Country
                | CellKind::List(_) => ColumnBuilder::Text(StringChunkedBuilder::new(name, rows)),
            }
        };
        let hash = |(name, of): &(&'static str, &'static str)| {
            (table.position(of), PrimitiveChunkedBuilder::new(PlSmallStr::from_static(name), rows))
        };
        let person = table.has_people();
        let valid = PlSmallStr::from_static(USER_PHONE_VALID);
        Self {
            table,
            columns: table.columns.iter().chain(table.internal).map(builder).collect(),
            valid: person.then(|| BooleanChunkedBuilder::new(valid, rows)),
            hashes: table.hashes.iter().map(hash).collect(),
            whole_key: table
                .whole_key
                .map(|name| PrimitiveChunkedBuilder::new(PlSmallStr::from_static(name), rows)),
            records: (!table.summed.is_empty())
                .then(|| PrimitiveChunkedBuilder::new(PlSmallStr::from_static(RECORD), rows)),
            day_of: table.position(table.day_of),
            days: Vec::with_capacity(rows),
            origin,
        }
    }

    pub(super) fn push(&mut self, cells: &[Cell<'_>], valid: Option<bool>, record: Option<i64>) {
        for (builder, cell) in self.columns.iter_mut().zip(cells) {
            match builder {
                ColumnBuilder::Text(column) => column.append_option(cell.text()),
                ColumnBuilder::Stamp(column) => column.append_option(match cell {
                    Cell::Stamp(micros) => Some(*micros),
                    _ => None,
                }),
                ColumnBuilder::Date(column) => column.append_option(match cell {
                    Cell::Date(days) => Some(*days),
                    _ => None,
                }),
                ColumnBuilder::Integer(column) => column.append_option(match cell {
                    Cell::Integer(number) => Some(*number),
                    _ => None,
                }),
                ColumnBuilder::Count(column) => column.append_option(match cell {
                    Cell::Count(number) => Some(*number),
                    _ => None,
                }),
                ColumnBuilder::Money(column) => column.append_option(match cell {
                    Cell::Money(millionths) => Some((*millionths).into()),
                    _ => None,
                }),
                ColumnBuilder::Number(column) => column.append_option(match cell {
                    Cell::Number(number) => Some(*number),
                    _ => None,
                }),
                ColumnBuilder::Boolean(column) => column.append_option(match cell {
                    Cell::Boolean(yes) => Some(*yes),
                    _ => None,
                }),
            }
        }
        if let Some(column) = &mut self.valid {
            column.append_option(valid);
        }
        for (of, column) in &mut self.hashes {
            let text = match of {
                Some(of) => cells[*of].text(),
                None => own_person(self.table, cells),
            };
            column.append_option(text.map(text_key));
        }
        if let Some(column) = &mut self.whole_key {
            column.append_option(cell_key_hash(self.table, cells));
        }
        if let Some(column) = &mut self.records {
            column.append_option(record);
        }
        self.days.push(self.day_of.map_or(NO_DAY, |at| day_of(&cells[at])));
    }

    /// Returns the number of rows.
    pub(super) fn height(&self) -> usize {
        self.days.len()
    }

    /// Finishes the columns and splits the rows by UTC day.
    pub(super) fn into_days(self) -> PolarsResult<BTreeMap<i32, DataFrame>> {
        if self.height() == 0 {
            return Ok(BTreeMap::new());
        }
        let days = self.days.clone();
        by_day(&self.into_rows()?, days)
    }

    /// Finishes the columns of all rows, in their order.
    pub(super) fn into_rows(self) -> PolarsResult<DataFrame> {
        let height = self.height();
        let mut columns: Vec<Column> = Vec::with_capacity(self.columns.len() + 4);
        for builder in self.columns {
            columns.push(match builder {
                ColumnBuilder::Text(column) => column.finish().into_column(),
                ColumnBuilder::Stamp(column) => column.finish().into_column().cast(&instant())?,
                ColumnBuilder::Date(column) => {
                    column.finish().into_column().cast(&DataType::Date)?
                }
                ColumnBuilder::Integer(column) => column.finish().into_column(),
                ColumnBuilder::Count(column) => column.finish().into_column(),
                ColumnBuilder::Money(column) => {
                    column.finish().into_decimal(MONEY_PRECISION, MONEY_SCALE)?.into_column()
                }
                ColumnBuilder::Number(column) => column.finish().into_column(),
                ColumnBuilder::Boolean(column) => column.finish().into_column(),
            });
        }
        columns.extend(self.valid.map(|column| column.finish().into_column()));
        let hashes = self.hashes.into_iter().map(|(_, column)| column);
        let hashes = hashes.chain(self.whole_key).chain(self.records);
        columns.extend(hashes.map(|column| column.finish().into_column()));
        columns.push(Column::new_scalar(ORIGIN.into(), Scalar::from(self.origin), height));
        let rows = DataFrame::new(height, columns)?;
        debug_assert!(self.table.stored().iter_names().all(|name| rows.column(name).is_ok()));
        Ok(rows)
    }
}
