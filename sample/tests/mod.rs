//! Made-up exports, checked by the rules of the loader.

mod committed;
mod content;
mod stories;

use std::collections::{BTreeMap, BTreeSet};

use chrono_tz::Tz;

use encoding_rs::WINDOWS_1252;

use super::*;
use wabalake_data::cells::stamp::{Stamp, read};
use wabalake_data::cells::{number, word};
use wabalake_data::tables::{CellKind, Column, OWN_PERSON};

const SMALL: Plan = Plan {
    start: NaiveDate::from_ymd_opt(2025, 5, 1).unwrap(),
    days: 45,
    sessions_per_day: 30,
    seed: 5,
    dirt: false,
};

/// The plan of the committed exports.
const COMMITTED: Plan = Plan { days: 40, sessions_per_day: 4, seed: 34, dirt: true, ..SMALL };

fn written(file: &File) -> (Vec<u8>, Summary) {
    let mut bytes = Vec::new();
    let summary = file.write(&mut bytes).unwrap();
    (bytes, summary)
}

/// Decodes a file to UTF-8, without a byte order mark.
fn decoded(encoding: Encoding, bytes: &[u8]) -> Vec<u8> {
    let rest = bytes.strip_prefix(encoding.mark()).unwrap();
    match encoding {
        Encoding::Utf8 | Encoding::Utf8Bom => rest.to_vec(),
        Encoding::Utf16Le => {
            let units = rest.chunks(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
            String::from_utf16(&units.collect::<Vec<_>>()).unwrap().into_bytes()
        }
        Encoding::Windows1252 => {
            WINDOWS_1252.decode_without_bom_handling(rest).0.into_owned().into_bytes()
        }
    }
}

type Record = Vec<Vec<u8>>;

/// Parses CSV records; one with an open quote at the end of the file has no cells.
fn records(bytes: &[u8], delimiter: u8) -> Vec<Record> {
    let (mut records, mut record, mut cell) = (Vec::new(), Vec::new(), Vec::new());
    let mut bytes = bytes.iter().copied().peekable();
    let mut quoted = false;
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' if quoted && bytes.peek() == Some(&b'"') => cell.extend(bytes.next()),
            b'"' if quoted || cell.is_empty() => quoted = !quoted,
            _ if quoted => cell.push(byte),
            _ if byte == delimiter => record.push(std::mem::take(&mut cell)),
            b'\r' if bytes.peek() == Some(&b'\n') => {}
            b'\n' => {
                record.push(std::mem::take(&mut cell));
                records.push(std::mem::take(&mut record));
            }
            _ => cell.push(byte),
        }
    }
    if quoted {
        records.push(Vec::new());
    }
    records
}

/// The column of each header cell.
type Header = Vec<Option<&'static Column>>;

fn header_of(table: &Table, record: &Record) -> Header {
    let column = |title: &Vec<u8>| {
        let title = std::str::from_utf8(title).unwrap();
        table.exported().find(|column| column.is_named(title))
    };
    record.iter().map(column).collect()
}

/// Parses a record to a row of columns and cells; `None` if a loader must reject it.
fn row<'r>(header: &Header, record: &'r Record) -> Option<Row<'r>> {
    if record.len() != header.len() {
        return None;
    }
    let mut row = Row::new();
    for (column, cell) in header.iter().zip(record) {
        let cell = std::str::from_utf8(cell).ok()?;
        let Some(column) = column else { continue };
        let value = match column.kind {
            CellKind::Text => Some(cell).filter(|cell| !cell.is_empty()),
            _ => word(cell),
        };
        let is_good = value.is_none_or(|value| match column.kind {
            CellKind::Stamp => read(value, Tz::UTC) != Stamp::Bad,
            CellKind::Integer => number::integer(value).is_some(),
            CellKind::Closed(list) => list.canonical(value).is_some(),
            _ => true,
        });
        let is_sentinel = value.is_some_and(|stamp| read(stamp, Tz::UTC) == Stamp::Sentinel);
        let value = value.filter(|_| !matches!(column.kind, CellKind::Stamp) || !is_sentinel);
        if !is_good || column.required && value.is_none() {
            return None;
        }
        row.extend(value.map(|value| (column.name, value)));
    }
    Some(row)
}

type Row<'r> = BTreeMap<&'static str, &'r str>;

/// The rows of a table in all files of a clean plan.
fn rows_of(plan: &Plan, table: &Table) -> Vec<BTreeMap<&'static str, String>> {
    let mut rows = Vec::new();
    for file in plan.files().filter(|file| file.table == table) {
        let records = records(&written(&file).0, b',');
        let (header, records) = records.split_first().unwrap();
        let header = header_of(table, header);
        for record in records {
            let row = row(&header, record).unwrap();
            rows.push(row.into_iter().map(|(column, cell)| (column, cell.to_owned())).collect());
        }
    }
    rows
}

fn instant(stamp: &str) -> i64 {
    match read(stamp, Tz::UTC) {
        Stamp::At(at) => at,
        other => panic!("{stamp} is {other:?}"),
    }
}

/// The person of a row: dialling code and number, as spelled.
fn person<T: AsRef<str>>(row: &BTreeMap<&'static str, T>) -> [String; 2] {
    [sessions::USER_COUNTRY_CODE, sessions::USER_CELLPHONE].map(|c| row[c].as_ref().to_owned())
}

/// The key of a row. The person is spelled alike in every file with the row.
fn key(table: &Table, row: &Row<'_>) -> Vec<String> {
    let cells = table.key.iter().flat_map(|column| match *column {
        OWN_PERSON => person(row).to_vec(),
        deployments::DEPLOYMENT_TIMESTAMP => vec![instant(row[column]).to_string()],
        deployments::CONVERSATION_VERSION => {
            vec![number::integer(row[column]).unwrap().to_string()]
        }
        column => vec![row[column].to_owned()],
    });
    cells.collect()
}

#[test]
fn equal_plans_give_equal_bytes_and_other_seeds_others() {
    let bytes = |plan: Plan| plan.files().map(|file| written(&file).0).collect::<Vec<_>>();
    let dirty = Plan { dirt: true, ..SMALL };
    for plan in [SMALL, dirty] {
        assert_eq!(bytes(plan), bytes(plan));
        let other = bytes(Plan { seed: 6, ..plan });
        assert!(bytes(plan).iter().zip(&other).all(|(one, other)| one != other));
    }
}

#[test]
fn the_rows_of_all_days_are_those_of_all_files() {
    for table in TABLES {
        let mut of_files = BTreeSet::new();
        let mut good = 0;
        for file in SMALL.files().filter(|file| file.table == table) {
            let (bytes, summary) = written(&file);
            assert_eq!(summary.rejected, 0);
            good += summary.good;
            of_files.extend(records(&bytes, b',').split_off(1));
        }
        let day_of = columns(table).position(|column| column.name == table.day_of).unwrap();
        let mut of_days = BTreeSet::new();
        let mut counted = 0;
        for day in SMALL.days() {
            let mut bytes = b"kept\r\n".to_vec();
            counted += SMALL.day_csv(table, day, &mut bytes);
            let records = records(bytes.strip_prefix(b"kept\r\n").unwrap(), b',');
            for record in &records {
                assert!(record[day_of].starts_with(day.to_string().as_bytes()));
            }
            of_days.extend(records);
        }
        assert_eq!(of_days, of_files);
        assert_eq!([good, counted], [of_files.len() as u64; 2]);
        assert_eq!(SMALL.rows(table), good);
        let outside = SMALL.start.pred_opt().unwrap();
        assert_eq!(SMALL.day_csv(table, outside, &mut Vec::new()), 0);
    }
}

#[test]
fn a_day_does_not_depend_on_the_length_of_the_plan() {
    let longer = Plan { days: SMALL.days * 2, ..SMALL };
    // Far enough from the end that the final state of its rows is known.
    let day = SMALL.start.checked_add_days(Days::new(20)).unwrap();
    for table in TABLES {
        let [mut one, mut other] = [Vec::new(), Vec::new()];
        assert!(SMALL.day_csv(table, day, &mut one) > 0);
        longer.day_csv(table, day, &mut other);
        assert_eq!(one, other);
    }
}

#[test]
fn tables_have_the_documented_ratios() {
    let plan = Plan { days: 28, sessions_per_day: 500, seed: 9, ..SMALL };
    let promised = 28 * 500;
    let near = |rows: u64, per_thousand: u32| {
        let promised = promised * u64::from(per_thousand) / 1000;
        assert!(rows.abs_diff(promised) * 100 < 3 * promised, "{rows} for {promised}");
    };
    near(plan.rows(&sessions::TABLE), 1000);
    near(plan.rows(&deployments::TABLE), episode::DEPLOYMENTS_PER_THOUSAND);
    near(plan.rows(&messages::TABLE), episode::MESSAGES_PER_THOUSAND);
}

#[test]
fn summaries_equal_the_counts_of_the_loaders_rules() {
    for plan in [COMMITTED, Plan { days: 120, dirt: true, ..SMALL }] {
        let mut keys = TABLES.map(|_| BTreeSet::new());
        let mut encodings = Vec::new();
        for file in plan.files() {
            let (bytes, summary) = written(&file);
            let delimiter = file.style.delimiter;
            let records = records(&decoded(file.encoding, &bytes), delimiter);
            let (header, records) = records.split_first().unwrap();
            let header = header_of(file.table, header);
            let rows: Vec<_> = records.iter().map(|record| row(&header, record)).collect();
            let good = rows.iter().flatten().count() as u64;
            let rejected = rows.len() as u64 - good;
            assert_eq!(summary, Summary { good, rejected }, "{}", file.name);
            assert!(rejected >= 6);
            let index = TABLES.iter().position(|table| *table == file.table).unwrap();
            for row in rows.iter().flatten() {
                keys[index].insert(key(file.table, row));
            }
            encodings.push(file.encoding);
        }
        for (table, keys) in TABLES.into_iter().zip(keys) {
            assert_eq!(plan.rows(table), keys.len() as u64, "{}", table.name);
        }
        if plan.days == 120 {
            for encoding in
                [Encoding::Utf8, Encoding::Utf8Bom, Encoding::Utf16Le, Encoding::Windows1252]
            {
                assert!(encodings.contains(&encoding));
            }
        }
    }
}

#[test]
fn companions_are_deterministic_and_their_summaries_right() {
    let written = |plan: Plan| {
        plan.companions()
            .map(|file| {
                let mut bytes = Vec::new();
                let summary = file.write(&mut bytes).unwrap();
                (file.name, bytes, summary)
            })
            .collect::<Vec<_>>()
    };
    for plan in [SMALL, Plan { dirt: true, ..SMALL }] {
        let (once, again) = (written(plan), written(plan));
        assert_eq!(once, again);
        for (name, bytes, summary) in &once {
            let lines = bytes.split(|byte| *byte == b'\n').count() as u64 - 1;
            let points = bytes.windows(9).filter(|word| *word == b"\"start\":1").count() as u64;
            let header = match name.rsplit_once('.').unwrap().1 {
                "csv" if name.starts_with("ads_manager") && bytes.starts_with(b"Rep") => 2,
                "csv" => 1,
                _ => 0,
            };
            assert!(summary.good > 0, "{name}");
            if name.starts_with("webhooks") {
                // A message has several webhooks; a webhook may be a row of two tables.
                continue;
            }
            let rows = if points > 0 { points } else { lines - header };
            assert_eq!(rows, summary.good, "{name}");
        }
    }
    let other = written(Plan { seed: 6, ..SMALL });
    let differ = written(SMALL).iter().zip(&other).filter(|(one, other)| one.1 != other.1).count();
    // The rate card, the markets and the nodes are the same for all.
    assert_eq!(differ + 3, other.len());
    assert_eq!(Plan { days: 0, ..SMALL }.companions().count(), 0);
}

#[test]
fn downloads_cover_the_plan() {
    for (days, dirt) in
        [(1, false), (30, false), (31, false), (365, false), (1, true), (9, true), (365, true)]
    {
        let plan = Plan { days, dirt, ..SMALL };
        let downloads = plan.downloads();
        assert!(downloads.iter().all(|days| (1..=30).contains(&(days.end - days.start))));
        assert_eq!((downloads[0].start, downloads.last().unwrap().end), (0, i64::from(days)));
        for pair in downloads.windows(2) {
            assert!(pair[1].start <= pair[0].end && pair[1].end > pair[0].end);
        }
        let twice = downloads.windows(2).any(|pair| pair[1].start < pair[0].end);
        assert_eq!(twice, dirt && days >= 30);
        let names: BTreeSet<_> = plan.files().map(|file| file.name).collect();
        assert_eq!(names.len(), plan.files().count());
    }
    assert_eq!(Plan { days: 0, ..SMALL }.files().count(), 0);
}

#[test]
fn the_copy_equals_its_original() {
    let files: Vec<_> = COMMITTED.files().collect();
    let copy = files.last().unwrap();
    let original = files.iter().find(|file| Some(&file.name) == copy.copy_of.as_ref()).unwrap();
    assert_eq!(written(copy), written(original));
    assert!(copy.name.ends_with(" (1).csv"));
}
