//! Invalid records, each with one fault, which a loader must reject.

use wabalake_data::tables::{CellKind, Table};

use super::headers::columns;

/// The fault of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// A required value is missing.
    Missing,
    /// The stamp that assigns the row to a day is invalid.
    Stamp,
    /// An optional stamp is invalid.
    OtherStamp,
    /// A whole number, or a word of a closed list, is invalid.
    Value,
    TooFewFields,
    TooManyFields,
    /// Bytes that are not UTF-8, in a UTF-8 file.
    Bytes,
    /// A quote that is not closed until the end of the file.
    OpenQuote,
}

/// The faults that are possible in every file, at any position.
pub(super) const ANYWHERE: [Fault; 6] = [
    Fault::Missing,
    Fault::Stamp,
    Fault::OtherStamp,
    Fault::Value,
    Fault::TooFewFields,
    Fault::TooManyFields,
];

/// A record of a table with a fault, without its line end. `id` must be unique.
pub(super) fn record(table: &Table, fault: Fault, id: &str, day: &str, delimiter: u8) -> Vec<u8> {
    let mut cells: Vec<Vec<u8>> = Vec::new();
    let mut faulty = None;
    for (index, column) in columns(table).enumerate() {
        let is_day = column.name == table.day_of;
        let suits = match (fault, column.kind) {
            (Fault::Missing, _) => column.required,
            (Fault::Stamp, CellKind::Stamp) => is_day,
            (Fault::OtherStamp, CellKind::Stamp) => !is_day,
            (Fault::Value, CellKind::Integer | CellKind::Closed(_)) => true,
            (Fault::Bytes | Fault::OpenQuote, CellKind::Text | CellKind::Word) => !column.required,
            _ => false,
        };
        if suits {
            faulty.get_or_insert(index);
        }
        let cell = match column.kind {
            _ if !column.required => String::new(),
            CellKind::Stamp => format!("{day} 10:00:00"),
            CellKind::Phone | CellKind::FullPhone => "3000000000".to_owned(),
            CellKind::Enumeration(_) => "Failed".to_owned(),
            CellKind::Closed(_) => "true".to_owned(),
            CellKind::Integer => "1".to_owned(),
            _ => id.to_owned(),
        };
        cells.push(cell.into_bytes());
    }
    if let Some(cell) = faulty.and_then(|index| cells.get_mut(index)) {
        *cell = match fault {
            Fault::Stamp => b"2025-02-30 25:61:00".to_vec(),
            Fault::OtherStamp => b"soon".to_vec(),
            Fault::Value => b"version two".to_vec(),
            Fault::Bytes => b"caf\xe9 \xff\xfe".to_vec(),
            Fault::OpenQuote => b"\"never closed".to_vec(),
            _ => Vec::new(),
        };
    }
    match fault {
        Fault::TooFewFields => cells.truncate(3),
        // Additional empty cells would not be a fault.
        Fault::TooManyFields => cells.extend([Vec::new(), Vec::new(), b"more".to_vec()]),
        _ => {}
    }
    let mut record = cells.join(&delimiter);
    if fault == Fault::OpenQuote {
        record.extend_from_slice(b"\nand on, and on\n");
    }
    record
}
