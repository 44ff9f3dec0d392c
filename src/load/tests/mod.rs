//! Robustness tests: whatever bytes a file holds, reading it ends, in bounded memory, and each
//! record is a row, a reject, or part of what an error names.

mod order;
mod size;

use std::io::{self, Cursor, Read, Write as _};
use std::path::PathBuf;

use chrono_tz::Tz;
use proptest::prelude::*;
use tempfile::TempDir;
use wabalake_data::cells::phone::Phones;
use zip::write::SimpleFileOptions;

use super::chunk::Record;
use super::chunk_parser::{ChunkParser, ParsedChunk};
use super::file_format::FileFormat;
use super::header::Header;
use super::limits;
use super::options::Options;
use super::source::{FoundSources, Source};
use super::spelling::Ballots;
use crate::error::{Error, Result};

/// A reader that returns at most a given number of bytes at once.
pub(super) struct SlowReader<R>(pub(super) R, pub(super) usize);

impl<R: Read> Read for SlowReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = buffer.len().min(self.1);
        self.0.read(&mut buffer[..length])
    }
}

/// Counts of a file that was read.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ReadCounts {
    rows: u64,
    rejects: u64,
    records: u64,
}

impl ReadCounts {
    fn add(&mut self, parsed: &ParsedChunk) {
        self.records += parsed.records;
        self.rejects += parsed.rejects.len() as u64;
        let rows = parsed.days.values().map(|rows| rows.height() as u64).sum::<u64>();
        // Left-out records and repeated headers count as rows, spread records as one row.
        self.rows += rows + parsed.left_out + parsed.headers - parsed.spread;
    }
}

/// Reads a file as a load does, without a lake.
pub(super) fn read(name: &str, bytes: &[u8]) -> Result<Vec<ReadCounts>> {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    read_path(path, &folder)
}

pub(super) fn read_path(path: PathBuf, folder: &TempDir) -> Result<Vec<ReadCounts>> {
    let found = FoundSources::of(&[path], folder.path())?;
    found.sources.iter().map(read_source).collect()
}

fn read_source(source: &Source) -> Result<ReadCounts> {
    let survey = source.survey()?;
    let options = Options::default();
    let (form, headers) = FileFormat::read(source, &survey, &options)?;
    let phones = Phones::default();
    let parser = |header| ChunkParser::new(header, Tz::UTC, 1, &phones);
    let mut parsers: Vec<ChunkParser<'_>> = headers.iter().map(parser).collect();
    let mut reader = form.reader(source, &survey, &headers[0])?;
    let mut read = ReadCounts::default();
    let mut ballots = vec![Ballots::default(); headers.len()];
    let mut waiting = Vec::new();
    let mut taken = 0;
    let mut last = 0;
    while let Some(chunk) = reader.next_chunk()? {
        for record in &chunk.records {
            // Those of several tables are numbered together.
            let is_next = record.number == last + 1 || form.is_webhooks();
            assert!(is_next, "records are numbered");
            last = if form.is_webhooks() { last + 1 } else { record.number };
        }
        if matches!(form, FileFormat::Csv(_)) {
            account_for(&chunk.bytes, &chunk.records);
            assert!(chunk.bytes.len() <= limits::RECORD + (4 << 20), "{}", chunk.bytes.len());
        }
        taken += chunk.read;
        parsers[chunk.table].parse_chunk(&chunk, &mut |parsed| {
            let parsed = parsed.unwrap();
            read.add(&parsed);
            ballots[chunk.table].add(&parsed.ballots);
            waiting.extend(parsed.waiting);
        });
    }
    for chunk in &waiting {
        let header = &headers[chunk.table];
        let spellings = ballots[chunk.table].settle("a", header)?;
        let spelled = Header { spellings, ..header.clone() };
        let mut parser = ChunkParser::new(&spelled, Tz::UTC, 1, &phones);
        parser.parse_chunk(chunk, &mut |parsed| read.add(&parsed.unwrap()));
    }
    assert_eq!(read.records, read.rows + read.rejects, "a record is neither row nor reject");
    assert_eq!(read.records, last);
    // Bytes before and after decoding are the same only for UTF-8.
    if survey.encoding == encoding_rs::UTF_8 {
        assert!(taken <= survey.bytes, "{taken} of {} bytes", survey.bytes);
    }
    Ok(read)
}

/// Checks that every byte is in a record, ends a line or is a byte order mark.
fn account_for(bytes: &[u8], records: &[Record]) {
    let mut at = 0;
    let mut between = Vec::new();
    for record in records {
        between.extend_from_slice(&bytes[at..record.start]);
        at = record.end;
    }
    between.extend_from_slice(&bytes[at..]);
    assert!(between.iter().all(|byte| b"\r\n\xEF\xBB\xBF".contains(byte)), "{between:?}");
}

/// Checks that an error is the file's or the user's fault, not a bug.
pub(super) fn is_clear(error: &Error) {
    assert!(matches!(error.exit_code(), 1 | 2), "{}", error.lines());
    assert!(!error.lines().contains("a bug in wabalake"), "{}", error.lines());
}

const SESSIONS: &str = "session_id,session_started_timestamp,first_message,user_cellphone\n\
                        a1,2025-06-01 10:00:00,\"Hola, \"\"tu\"\"\nque tal\",3005550101\n\
                        a2,2025-06-01 10:00:01,caf\u{e9} \u{1f44d},3005550102\n\
                        a3,2025-06-02 10:00:00,,57.0\n";

const CLOSURES: &str = r#"{"event_id":"e1","event_type":"session.close","timestamp":"2025-06-01T10:00:00Z","session":{"external_id":"s1","closed_at":"2025-06-01T09:59:00Z"},"user":{"country_code":"+57","cellphone":"3005550101"}}
{"event_id":"e2","event_type":"session.close","timestamp":"2025-06-01T10:00:01Z","session":{"external_id":"s2"},"hsm":{"name":"caf\u00e9 \ud83d\udc4d"}}
{"event_id":"e3","timestamp":"2025-06-01T10:00:02Z","session":{"external_id":"s3","closed_at":"2025-06-01T10:00:00Z"},"new":[1,{"a":null}]}
"#;

const RESPONSE: &str = r#"{"analytics":{"phone_numbers":["16505550111"],"country_codes":["US"],"granularity":"DAY","data_points":[{"start":1543543200,"end":1543629600,"sent":196179,"delivered":179715},{"start":1543629600,"end":1543716000,"sent":1,"delivered":0}]},"id":"102290129340398"}"#;

/// Wraps JSON as a webhook collector does.
fn wrapped(json: &str) -> String {
    format!(
        "[{{\"headers\":{{\"host\":\"example.org\"}},\n\"json\":{{\"data\":{json},\"n\":1.5}}}}]\n"
    )
}

/// A change of a few bytes.
#[derive(Clone, Debug)]
enum Change {
    Set(usize, u8),
    Remove(usize, usize),
    Insert(usize, Vec<u8>),
    Repeat(usize, usize, usize),
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let bytes = prop::collection::vec(
        prop_oneof![
            prop::sample::select(b"\",;\t\n\r\0\xff\xef\xc3<>{}[]PK\x03\x04".to_vec()),
            any::<u8>()
        ],
        1..6,
    );
    let change = prop_oneof![
        (any::<usize>(), any::<u8>()).prop_map(|(at, byte)| Change::Set(at, byte)),
        (any::<usize>(), 1..40usize).prop_map(|(at, length)| Change::Remove(at, length)),
        (any::<usize>(), bytes).prop_map(|(at, bytes)| Change::Insert(at, bytes)),
        (any::<usize>(), 1..60usize, 1..20usize)
            .prop_map(|(at, length, times)| Change::Repeat(at, length, times)),
    ];
    prop::collection::vec(change, 0..8)
}

fn changed(bytes: &[u8], changes: &[Change]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for change in changes {
        let place = |at: usize| at % (bytes.len() + 1);
        match change {
            Change::Set(at, byte) => {
                let at = place(*at);
                if let Some(there) = bytes.get_mut(at) {
                    *there = *byte;
                }
            }
            Change::Remove(at, length) => {
                let at = place(*at);
                let end = (at + length).min(bytes.len());
                bytes.drain(at..end);
            }
            Change::Insert(at, new) => {
                let at = place(*at);
                bytes.splice(at..at, new.iter().copied());
            }
            Change::Repeat(at, length, times) => {
                let at = place(*at);
                let end = (at + length).min(bytes.len());
                let part = bytes[at..end].repeat(*times);
                bytes.splice(at..at, part);
            }
        }
    }
    bytes
}

fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

pub(super) fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

pub(super) fn workbook() -> Vec<u8> {
    let mut book = rust_xlsxwriter::Workbook::new();
    let sheet = book.add_worksheet();
    let lines = SESSIONS.replace("Hola, \"\"tu\"\"\nque", "Hola tu que").replace('"', "");
    for (row, line) in (0..).zip(lines.lines()) {
        for (column, cell) in (0..).zip(line.split(',')) {
            sheet.write(row, column, cell).unwrap();
        }
    }
    sheet.write(5, 0, 573_005_550_101.0).unwrap();
    book.save_to_buffer().unwrap()
}

/// Returns the decompressed files of a zip archive, so that changes reach their content.
pub(super) fn unpacked(zip: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut archive = zip::ZipArchive::new(Cursor::new(zip)).unwrap();
    (0..archive.len())
        .map(|at| {
            let mut file = archive.by_index(at).unwrap();
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes).unwrap();
            (file.name().unwrap().into_owned(), bytes)
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        for name in ["a.csv", "a.json", "a.xlsx"] {
            if let Err(error) = read(name, &bytes) {
                is_clear(&error);
            }
        }
    }

    #[test]
    fn a_changed_csv_is_read_or_refused(
        changes in changes(),
        encoding in 0..5usize,
        form in 0..6usize,
    ) {
        let text = match form {
            0 | 1 => SESSIONS.to_owned(),
            2 => SESSIONS.replace('\n', "\r"),
            3 => format!("sep=;\r\n{}", SESSIONS.replace(',', ";")),
            4 => format!("Sessions\n\n\"of June\n{SESSIONS}"),
            _ => format!("{SESSIONS}\u{feff}{}", SESSIONS.replace('\n', "\r")),
        };
        let western = text.replace(['\u{1f44d}', '\u{feff}'], "");
        let bytes = match encoding {
            0 | 1 => text.as_bytes().to_vec(),
            2 => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
            3 => encoding_rs::WINDOWS_1252.encode(&western).0.into_owned(),
            _ => encoding_rs::MACINTOSH.encode(&western).0.into_owned(),
        };
        if let Err(error) = read("a.csv", &changed(&bytes, &changes)) {
            is_clear(&error);
        }
    }

    #[test]
    fn a_changed_json_is_read_or_refused(changes in changes(), form in 0..8usize) {
        let bytes = match form {
            0 => CLOSURES.to_owned(),
            1 => format!("[{}]", CLOSURES.trim_end().replace('\n', ",\n")),
            2 => RESPONSE.to_owned(),
            3 => wrapped(&format!("[{}]", CLOSURES.trim_end().replace('\n', ",\n"))),
            4 => wrapped(&serde_json::json!(CLOSURES.lines().next()).to_string()),
            5 => wrapped(RESPONSE),
            6 => wrapped(&serde_json::json!(RESPONSE).to_string()),
            _ => format!("{RESPONSE}\n{RESPONSE}"),
        };
        if let Err(error) = read("a.json", &changed(bytes.as_bytes(), &changes)) {
            is_clear(&error);
        }
    }

    #[test]
    fn a_changed_archive_is_read_or_refused(changes in changes(), packing in 0..4usize) {
        let bytes = match packing {
            0 => gz(SESSIONS.as_bytes()),
            1 => zstd::encode_all(SESSIONS.as_bytes(), 1).unwrap(),
            2 => archive(&[("a.csv", SESSIONS.as_bytes()), ("b.csv.gz", &gz(SESSIONS.as_bytes()))]),
            _ => workbook(),
        };
        if let Err(error) = read("a.csv", &changed(&bytes, &changes)) {
            is_clear(&error);
        }
    }

    #[test]
    fn a_spreadsheet_with_a_changed_part_is_read_or_refused(
        changes in changes(),
        part in any::<prop::sample::Index>(),
    ) {
        let mut parts = unpacked(&workbook());
        let (_, bytes) = part.get(&parts).clone();
        let at = part.index(parts.len());
        parts[at].1 = changed(&bytes, &changes);
        let files: Vec<(&str, &[u8])> =
            parts.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
        if let Err(error) = read("a.xlsx", &archive(&files)) {
            is_clear(&error);
        }
    }
}

#[test]
fn an_unchanged_file_of_each_format_is_read_completely() {
    let whole = ReadCounts { rows: 3, rejects: 0, records: 3 };
    for (name, bytes) in [
        ("a.csv", SESSIONS.as_bytes().to_vec()),
        ("a.csv.gz", gz(SESSIONS.as_bytes())),
        ("a.csv.zst", zstd::encode_all(SESSIONS.as_bytes(), 1).unwrap()),
        ("a.jsonl", CLOSURES.as_bytes().to_vec()),
        ("a.json", format!("[{}]", CLOSURES.trim_end().replace('\n', ",")).into_bytes()),
        ("a.zip", archive(&[("a.csv", SESSIONS.as_bytes())])),
        ("b.json", wrapped(&format!("[{}]", CLOSURES.trim_end().replace('\n', ","))).into_bytes()),
    ] {
        assert_eq!(read(name, &bytes).unwrap(), std::slice::from_ref(&whole), "{name}");
    }
    for above in ["", "sep=,\n", "Sessions of June\n\n"] {
        for line_end in ["\n", "\r\n", "\r"] {
            let text = format!("{above}{SESSIONS}").replace('\n', line_end);
            assert_eq!(read("a.csv", text.as_bytes()).unwrap(), std::slice::from_ref(&whole));
            // The repeated header counts as a row here.
            let twice = format!("{text}\u{feff}{}", SESSIONS.replace('\n', line_end));
            let all = ReadCounts { rows: 7, rejects: 0, records: 7 };
            assert_eq!(read("a.csv", twice.as_bytes()).unwrap(), [all]);
        }
    }
    // The workbook has one more row, without a start.
    let sheet = read("a.xlsx", &workbook()).unwrap();
    assert_eq!(sheet, [ReadCounts { rows: 3, rejects: 1, records: 4 }]);
}
