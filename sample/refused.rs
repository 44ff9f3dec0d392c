//! Records that a loader must refuse, each for one reason.

use wabalake_data::tables::{Kind, Table};

/// What is wrong with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// A required value is missing.
    Missing,
    /// The stamp that places the row is none.
    Stamp,
    /// A stamp that might have been empty is none.
    OtherStamp,
    /// A whole number, or a word of a closed list, is none.
    Value,
    TooFewFields,
    TooManyFields,
    /// Bytes that are not UTF-8, in a file that is.
    Bytes,
    /// The end of the file stands within quotes.
    OpenQuote,
}

/// Every fault that a record may have anywhere in any file.
pub(super) const ANYWHERE: [Fault; 6] = [
    Fault::Missing,
    Fault::Stamp,
    Fault::OtherStamp,
    Fault::Value,
    Fault::TooFewFields,
    Fault::TooManyFields,
];

/// A record of that table with that fault, without its line end. `id` must be a row's own.
pub(super) fn record(table: &Table, fault: Fault, id: &str, day: &str, delimiter: u8) -> Vec<u8> {
    let mut cells: Vec<Vec<u8>> = Vec::new();
    let mut faulty = None;
    for (place, column) in table.exported().enumerate() {
        let is_day = column.name == table.day_of;
        let suits = match (fault, column.kind) {
            (Fault::Missing, _) => column.required,
            (Fault::Stamp, Kind::Stamp) => is_day,
            (Fault::OtherStamp, Kind::Stamp) => !is_day,
            (Fault::Value, Kind::Integer | Kind::Closed(_)) => true,
            (Fault::Bytes | Fault::OpenQuote, Kind::Text | Kind::Word) => !column.required,
            _ => false,
        };
        if suits {
            faulty.get_or_insert(place);
        }
        let cell = match column.kind {
            _ if !column.required => String::new(),
            Kind::Stamp => format!("{day} 10:00:00"),
            Kind::Phone | Kind::FullPhone => "3000000000".to_owned(),
            Kind::Enumeration(_) => "Failed".to_owned(),
            Kind::Closed(_) => "true".to_owned(),
            Kind::Integer => "1".to_owned(),
            _ => id.to_owned(),
        };
        cells.push(cell.into_bytes());
    }
    if let Some(cell) = faulty.and_then(|place| cells.get_mut(place)) {
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
        // More cells that are empty would be no fault.
        Fault::TooManyFields => cells.extend([Vec::new(), Vec::new(), b"more".to_vec()]),
        _ => {}
    }
    let mut record = cells.join(&delimiter);
    if fault == Fault::OpenQuote {
        record.extend_from_slice(b"\nand on, and on\n");
    }
    record
}
