//! Hashes of natural keys, the same from the cells of a row and from the columns of a frame.
//!
//! ```text
//! user_phone    tag       hashed text
//! 573005550101  vip       573005550101␟vip␟
//! null          vip       ␟vip␟
//! ```

use std::borrow::Cow;

use polars::prelude::*;
use wabalake_data::Table;
use wabalake_data::tables::{Cell, OWN_PERSON, USER_ID, USER_PHONE, key_part, text_key};

/// Ends each part of a key, so that `ab`, `c` and `a`, `bc` have different hashes.
const PART_END: char = '\u{1f}';

/// Hashes the parts of one key.
fn hash<'p>(parts: impl IntoIterator<Item = Cow<'p, str>>) -> i64 {
    let mut text = String::new();
    for part in parts {
        text.push_str(&part);
        text.push(PART_END);
    }
    text_key(&text)
}

/// Hashes the natural key of a row; `None` if a required part of the key is null.
pub(super) fn cell_key_hash(table: &Table, cells: &[Cell<'_>]) -> Option<i64> {
    let part = |name: &&'static str| {
        if *name == OWN_PERSON {
            let person = own_person(table, cells);
            return (person.is_some() || !table.requires_person())
                .then(|| person.unwrap_or_default().into());
        }
        let at = table.position(name)?;
        let column = table.cells().nth(at)?;
        let is_required = column.required || column.is_derived;
        let cell = &cells[at];
        (!is_required || *cell != Cell::Null).then(|| text_of(cell))
    };
    let parts: Vec<Cow<'_, str>> = table.key.iter().map(part).collect::<Option<_>>()?;
    Some(hash(parts))
}

/// The person of a row by its own cells: the number, else the user id.
fn own_person<'c>(table: &Table, cells: &'c [Cell<'_>]) -> Option<&'c str> {
    person_at(cells_of_own_person(table), cells)
}

/// The positions of the cells of a row's own person.
pub(super) fn cells_of_own_person(table: &Table) -> [Option<usize>; 2] {
    [USER_PHONE, USER_ID].map(|name| table.position(name))
}

/// The person in the first of some cells that is not null.
pub(super) fn person_at<'c>(
    positions: [Option<usize>; 2],
    cells: &'c [Cell<'_>],
) -> Option<&'c str> {
    positions.into_iter().flatten().find_map(|at| cells[at].text())
}

/// Writes a cell as casting its column to text does.
fn text_of<'c>(cell: &'c Cell<'_>) -> Cow<'c, str> {
    match cell {
        Cell::Null => "".into(),
        Cell::Text(text) => (*text).into(),
        Cell::Owned(text) => text.as_str().into(),
        Cell::Stamp(micros) => micros.to_string().into(),
        Cell::Integer(number) | Cell::Date(number) => number.to_string().into(),
        Cell::Count(number) | Cell::Money(number) => number.to_string().into(),
        Cell::Number(number) => number.to_string().into(),
        Cell::Boolean(yes) => yes.to_string().into(),
    }
}

/// Hashes the natural key of each row of a frame.
pub(crate) fn row_key_hashes(table: &Table, rows: &DataFrame) -> PolarsResult<Vec<i64>> {
    let key: Vec<Expr> = table.key.iter().map(|name| key_part(name)).collect();
    let key = rows.clone().lazy().select(key).collect()?;
    let texts = |column: &Column| {
        let plain = match column.dtype() {
            DataType::Datetime(..) => column.cast(&DataType::Int64)?,
            DataType::Date => column.cast(&DataType::Int32)?,
            _ => column.clone(),
        };
        Ok(plain.cast(&DataType::String)?.str()?.clone())
    };
    let columns: Vec<StringChunked> =
        key.columns().iter().map(texts).collect::<PolarsResult<_>>()?;
    let parts = |row| columns.iter().map(move |column| column.get(row).unwrap_or_default().into());
    Ok((0..rows.height()).map(|row| hash(parts(row))).collect())
}
