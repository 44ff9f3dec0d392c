//! Collects the cells of valid rows in column builders. A column of nulls needs none: exports leave many
//! columns empty.

use std::collections::BTreeMap;

use polars::prelude::*;
use wabalake_data::cells::number::{MONEY_PRECISION, MONEY_SCALE};
use wabalake_data::tables::{Cell, CellKind, USER_PHONE_VALID, instant, text_key};
use wabalake_data::{Column as TableColumn, Table};

use super::day::{NO_DAY, by_day, day_of};
use super::key_hash::{cell_key_hash, cells_of_own_person, person_at};
use super::staged_columns::{ORIGIN, RECORD};

/// Builders for the columns of [`Table::stored`] and the staged columns.
pub(super) struct RowBuilder {
    table: &'static Table,
    columns: Vec<CellColumn>,
    /// The capacity of builders, in rows.
    capacity: usize,
    valid: Option<BooleanChunkedBuilder>,
    /// Each with the position of the hashed cell; `None` hashes the person.
    hashes: Vec<(Option<usize>, PrimitiveChunkedBuilder<Int64Type>)>,
    /// The positions of the cells of the person.
    own_person: [Option<usize>; 2],
    whole_key: Option<PrimitiveChunkedBuilder<Int64Type>>,
    records: Option<PrimitiveChunkedBuilder<Int64Type>>,
    /// The position of the cell that has the day; `None` for a table without days.
    day_of: Option<usize>,
    /// The UTC day of each row.
    days: Vec<i32>,
    origin: i32,
}

/// The cells of one column. They have no builder until one of them is not null.
struct CellColumn {
    column: &'static TableColumn,
    builder: Option<ColumnBuilder>,
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

impl ColumnBuilder {
    fn new(column: &TableColumn, rows: usize) -> Self {
        let name = PlSmallStr::from_static(column.name);
        match column.kind {
            CellKind::Stamp | CellKind::Moment | CellKind::StampOrText => {
                Self::Stamp(PrimitiveChunkedBuilder::new(name, rows))
            }
            CellKind::Date => Self::Date(PrimitiveChunkedBuilder::new(name, rows)),
            CellKind::Integer => Self::Integer(PrimitiveChunkedBuilder::new(name, rows)),
            CellKind::Count | CellKind::Seconds => {
                Self::Count(PrimitiveChunkedBuilder::new(name, rows))
            }
            CellKind::Money | CellKind::Decimal => {
                Self::Money(PrimitiveChunkedBuilder::new(name, rows))
            }
            CellKind::Number => Self::Number(PrimitiveChunkedBuilder::new(name, rows)),
            CellKind::Boolean => Self::Boolean(BooleanChunkedBuilder::new(name, rows)),
            CellKind::Text
            | CellKind::Dashed
            | CellKind::Word
            | CellKind::Phone
            | CellKind::FullPhone
            | CellKind::UserId
            | CellKind::Enumeration(_)
            | CellKind::Closed(_)
            | CellKind::Country
            | CellKind::List(_) => Self::Text(StringChunkedBuilder::new(name, rows)),
        }
    }

    fn push(&mut self, cell: &Cell<'_>) {
        match self {
            Self::Text(column) => column.append_option(cell.text()),
            Self::Stamp(column) => column.append_option(match cell {
                Cell::Stamp(micros) => Some(*micros),
                _ => None,
            }),
            Self::Date(column) => column.append_option(match cell {
                Cell::Date(days) => Some(*days),
                _ => None,
            }),
            Self::Integer(column) => column.append_option(match cell {
                Cell::Integer(number) => Some(*number),
                _ => None,
            }),
            Self::Count(column) => column.append_option(match cell {
                Cell::Count(number) => Some(*number),
                _ => None,
            }),
            Self::Money(column) => column.append_option(match cell {
                Cell::Money(millionths) => Some((*millionths).into()),
                _ => None,
            }),
            Self::Number(column) => column.append_option(match cell {
                Cell::Number(number) => Some(*number),
                _ => None,
            }),
            Self::Boolean(column) => column.append_option(match cell {
                Cell::Boolean(yes) => Some(*yes),
                _ => None,
            }),
        }
    }

    fn finish(self) -> PolarsResult<Column> {
        Ok(match self {
            Self::Text(column) => column.finish().into_column(),
            Self::Stamp(column) => column.finish().into_column().cast(&instant())?,
            Self::Date(column) => column.finish().into_column().cast(&DataType::Date)?,
            Self::Integer(column) => column.finish().into_column(),
            Self::Count(column) => column.finish().into_column(),
            Self::Money(column) => {
                column.finish().into_decimal(MONEY_PRECISION, MONEY_SCALE)?.into_column()
            }
            Self::Number(column) => column.finish().into_column(),
            Self::Boolean(column) => column.finish().into_column(),
        })
    }
}

impl CellColumn {
    /// Appends a cell after `before` others.
    fn push(&mut self, cell: &Cell<'_>, before: usize, capacity: usize) {
        if let Some(builder) = &mut self.builder {
            return builder.push(cell);
        }
        if cell.is_null() {
            return;
        }
        let mut builder = ColumnBuilder::new(self.column, capacity.max(before + 1));
        for _ in 0..before {
            builder.push(&Cell::Null);
        }
        builder.push(cell);
        self.builder = Some(builder);
    }

    fn finish(self, height: usize) -> PolarsResult<Column> {
        match self.builder {
            Some(builder) => builder.finish(),
            None => {
                let name = PlSmallStr::from_static(self.column.name);
                Ok(Column::full_null(name, height, &self.column.data_type()))
            }
        }
    }
}

impl RowBuilder {
    pub(super) fn new(table: &'static Table, rows: usize, origin: i32) -> Self {
        let empty = |column| CellColumn { column, builder: None };
        let hash = |(name, of): &(&'static str, &'static str)| {
            (table.position(of), PrimitiveChunkedBuilder::new(PlSmallStr::from_static(name), rows))
        };
        let person = table.has_people();
        let valid = PlSmallStr::from_static(USER_PHONE_VALID);
        Self {
            table,
            columns: table.columns.iter().chain(table.internal).map(empty).collect(),
            capacity: rows,
            valid: person.then(|| BooleanChunkedBuilder::new(valid, rows)),
            hashes: table.hashes.iter().map(hash).collect(),
            own_person: cells_of_own_person(table),
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
        let before = self.height();
        for (column, cell) in self.columns.iter_mut().zip(cells) {
            column.push(cell, before, self.capacity);
        }
        if let Some(column) = &mut self.valid {
            column.append_option(valid);
        }
        for (of, column) in &mut self.hashes {
            let text = match of {
                Some(of) => cells[*of].text(),
                None => person_at(self.own_person, cells),
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
        for column in self.columns {
            columns.push(column.finish(height)?);
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
