//! Reads the rows of a workbook, XLSX or XLSB.

use std::fmt::Display;
use std::fs::File;
use std::io::BufReader;
use std::ops::ControlFlow;

use calamine::{DataRef, Reader as _, Xlsb, Xlsx};

use super::bounds::{check_parts, damaged};
use super::value::CellValue;
use crate::error::{Error, Result};
use crate::load::folder::cannot_read;
use crate::load::limits;
use crate::load::source::{Source, has};

/// The most rows of a sheet.
const ROWS: u32 = 1_048_576;

/// A workbook of either format.
pub(super) enum Workbook {
    Xlsx(Box<Xlsx<BufReader<File>>>),
    Xlsb(Box<Xlsb<BufReader<File>>>),
}

impl Workbook {
    pub(super) fn open(source: &Source) -> Result<Self> {
        let path = source.workbook().ok_or_else(|| Error::bug("no spreadsheet"))?;
        let open = || match File::open(path) {
            Ok(file) => Ok(BufReader::new(file)),
            Err(e) => Err(cannot_read(&source.name, &e)),
        };
        let damaged = |e: &dyn Display| damaged(source, e);
        let archive = zip::ZipArchive::new(open()?).map_err(|e| damaged(&e))?;
        let is_binary = has(&archive, "xl/workbook.bin");
        check_parts(source, archive, is_binary)?;
        Ok(if is_binary {
            Self::Xlsb(Xlsb::new(open()?).map_err(|e| damaged(&e))?.into())
        } else {
            Self::Xlsx(Xlsx::new(open()?).map_err(|e| damaged(&e))?.into())
        })
    }

    pub(super) fn sheets(&self) -> &[calamine::Sheet] {
        match self {
            Self::Xlsx(book) => book.sheets_metadata(),
            Self::Xlsb(book) => book.sheets_metadata(),
        }
    }

    /// Passes the non-empty rows of a sheet to `take` until it breaks.
    pub(super) fn rows(
        &mut self,
        source: &Source,
        sheet: &str,
        take: &mut dyn FnMut(Row) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        match self {
            Self::Xlsx(book) => {
                let cells = book.worksheet_cells_reader(sheet);
                let mut cells = cells.map_err(|e| damaged(source, e))?;
                let last = cells.dimensions().end.0;
                let next = || Ok(cells.next_cell()?.map(|cell| at(&cell)));
                each_row::<calamine::XlsxError>(source, last, next, take)
            }
            Self::Xlsb(book) => {
                let cells = book.worksheet_cells_reader(sheet);
                let mut cells = cells.map_err(|e| damaged(source, e))?;
                let last = cells.dimensions().end.0;
                let next = || Ok(cells.next_cell()?.map(|cell| at(&cell)));
                each_row::<calamine::XlsbError>(source, last, next, take)
            }
        }
    }
}

fn at(cell: &calamine::Cell<DataRef<'_>>) -> ((u32, u32), CellValue) {
    (cell.get_position(), CellValue::of(cell.get_value()))
}

/// A non-empty row.
pub(super) struct Row {
    /// Row number; the first is 1.
    pub(super) number: u32,
    /// How much of the sheet is read, from 0 to 1, by the sheet's dimensions.
    pub(super) progress: f64,
    /// Non-empty cells by column; the first is 0.
    pub(super) cells: Vec<(u32, CellValue)>,
}

fn each_row<E: Display>(
    source: &Source,
    last: u32,
    mut next: impl FnMut() -> Result<Option<((u32, u32), CellValue)>, E>,
    take: &mut dyn FnMut(Row) -> Result<ControlFlow<()>>,
) -> Result<()> {
    let row = |row: u32| {
        let progress = f64::from(row + 1) / f64::from(last.max(row) + 1);
        Row { number: row + 1, progress, cells: Vec::new() }
    };
    let mut here: Option<Row> = None;
    let mut before = None;
    let mut bytes = 0;
    while let Some((place, value)) = next().map_err(|e| damaged(source, e))? {
        if before.is_some_and(|before| before >= place) {
            return Err(damaged(source, "its cells are not in order"));
        }
        before = Some(place);
        let columns = u32::try_from(limits::COLUMNS).unwrap_or(u32::MAX);
        if place.0 >= ROWS || place.1 >= columns {
            let limit = format!("more than {ROWS} rows or {columns} columns");
            return Err(damaged(source, limit));
        }
        if value.is_empty() {
            continue;
        }
        match &here {
            Some(row) if row.number == place.0 + 1 => {}
            _ => {
                bytes = 0;
                if let Some(row) = here.replace(row(place.0))
                    && take(row)?.is_break()
                {
                    return Ok(());
                }
            }
        }
        bytes += value.len();
        if bytes > limits::RECORD {
            return Err(too_long(source, place.0 + 1));
        }
        if let Some(row) = &mut here {
            row.cells.push((place.1, value));
        }
    }
    if let Some(row) = here {
        let _ = take(row)?;
    }
    Ok(())
}

fn too_long(source: &Source, row: u32) -> Error {
    Error::data(format!(
        "`{}` has a row of more than {} MiB: row {row}",
        source.name,
        limits::RECORD >> 20
    ))
    .hint("no export has such a row; remove it, or shorten its cells")
}
