//! Exports rejects as a CSV file that can be corrected and loaded.

use std::io::Write;

use polars::prelude::*;

use super::resolve::name;
use crate::error::Result;
use crate::lake::rejects;
use crate::load::fields::{Fields, quoted};
use crate::load::header::REJECT_NAME;
use crate::load::json::webhooks::is_broken_part;
use crate::render::{GUARD, guarded, unguarded};

/// What an export of rejects holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExportedRejects {
    /// The records written.
    pub records: usize,
    /// Parts of webhooks that are no objects or not valid JSON: they have no cells, so they are left out.
    pub broken: usize,
}

/// Writes rejects as CSV under the header of their export, with the column `wabalake_reject` that
/// names each. All rejects must have one table and one header. Broken parts of webhooks are left out.
///
/// Unless `is_exact`, cells that a spreadsheet would evaluate as formulas are guarded, and so is
/// the name of each reject, which tells a load to remove the guards. A spreadsheet that removes all
/// guards removes that one too.
pub fn export(
    rejects: &DataFrame,
    is_exact: bool,
    out: &mut impl Write,
) -> Result<ExportedRejects> {
    let headers = rejects.column(rejects::HEADER)?.str()?;
    let raws = rejects.column(rejects::RAW)?.str()?;
    let delimiters = rejects.column(rejects::DELIMITER)?.str()?;
    let owners = rejects.column(rejects::FILE_ID)?.str()?;
    let records = rejects.column(rejects::RECORD)?.i64()?;
    let reasons = rejects.column(rejects::REASON)?.str()?;
    let columns = rejects.column(rejects::COLUMN)?.cast(&DataType::String)?;
    let columns = columns.str()?;
    let has_cells = |row: &usize| {
        let text = |of: &StringChunked| of.get(*row).unwrap_or_default().to_owned();
        columns.get(*row).is_some() || !is_broken_part(&text(headers), &text(reasons))
    };
    let kept: Vec<usize> = (0..rejects.height()).filter(has_cells).collect();
    let exported = ExportedRejects { records: kept.len(), broken: rejects.height() - kept.len() };
    let Some(header) = kept.first().and_then(|row| headers.get(*row)) else {
        return Ok(exported);
    };
    let mut names = Vec::new();
    let mut fields = Fields::new(b',');
    fields.read(header, header.contains('"'), b',', &mut names);
    let names: Vec<String> =
        names.into_iter().filter(|name| *name != REJECT_NAME).map(str::to_owned).collect();
    let written = |cell: &String| {
        let cell = if is_exact { cell.into() } else { guarded(cell) };
        quoted(&cell)
    };
    let mut line: Vec<String> = names.iter().map(written).collect();
    line.push(REJECT_NAME.to_owned());
    writeln!(out, "{}", line.join(","))?;
    let guard = if is_exact { String::new() } else { GUARD.to_string() };
    for row in kept {
        let theirs = headers.get(row).unwrap_or_default();
        let delimiter = delimiters.get(row).and_then(|d| d.bytes().next()).unwrap_or(b',');
        let raw = raws.get(row).unwrap_or_default();
        let cells = under(&names, theirs, raw, delimiter);
        let mut line: Vec<String> = cells.iter().map(written).collect();
        let name = name(owners.get(row).unwrap_or_default(), records.get(row).unwrap_or(0));
        line.push(format!("{guard}{name}"));
        writeln!(out, "{}", line.join(","))?;
    }
    Ok(exported)
}

/// Arranges a record's cells under other titles. Surplus fields are appended to the last cell, so
/// that nothing is lost.
fn under(names: &[String], header: &str, raw: &str, delimiter: u8) -> Vec<String> {
    let mut theirs = Vec::new();
    let mut fields = Fields::new(b',');
    fields.read(header, header.contains('"'), b',', &mut theirs);
    let mut cells = Vec::new();
    let mut fields = Fields::new(delimiter);
    let unclosed = raw.matches('"').count() % 2 == 1;
    fields.read(raw, raw.contains('"') && !unclosed, delimiter, &mut cells);
    take_name(&mut theirs, &mut cells);
    let fold = wabalake_data::cells::normalise_header;
    let place = |name: &String| theirs.iter().position(|theirs| fold(theirs) == fold(name));
    let mut found: Vec<String> = names
        .iter()
        .map(|name| {
            place(name).and_then(|at| cells.get(at)).copied().unwrap_or_default().to_owned()
        })
        .collect();
    if raw.starts_with('{') && cells.len() != theirs.len() {
        // A broken JSON object has no cells.
        found.fill(String::new());
        if let Some(last) = found.last_mut() {
            raw.clone_into(last);
        }
        return found;
    }
    if let (Some(last), Some(rest)) = (found.last_mut(), cells.get(theirs.len()..)) {
        for cell in rest {
            last.push(char::from(delimiter));
            last.push_str(cell);
        }
    }
    found
}

/// Removes the reject's name, and any guards, from a record that was exported before.
fn take_name(header: &mut Vec<&str>, cells: &mut Vec<&str>) {
    let Some(at) = header.iter().position(|name| *name == REJECT_NAME) else { return };
    // In a record with too many fields it is still the last.
    let is_last = at + 1 == header.len();
    let place = if is_last { cells.len().saturating_sub(1).max(at) } else { at };
    header.remove(at);
    if place < cells.len() && cells.remove(place).starts_with(GUARD) {
        for cell in cells {
            *cell = unguarded(cell);
        }
    }
}
