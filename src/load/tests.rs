//! Any bytes at all: whatever a file holds, reading it ends, in bounded memory, and each of its
//! records is a row, a reject, or part of what an error names.

use std::io::{self, Cursor, Read, Write as _};
use std::path::PathBuf;

use chrono_tz::Tz;
use proptest::prelude::*;
use tempfile::TempDir;
use wabalake_data::cells::phone::Phones;
use zip::write::SimpleFileOptions;

use super::Options;
use super::encoding::Transcoder;
use super::header::Header;
use super::limits;
use super::reader::Form;
use super::records::{Chunk, Splitter};
use super::source::{Found, Source};
use super::spelling::Ballots;
use super::typing::{Typed, Typist};
use crate::error::{Error, Result};

/// What reading all of a file came to.
#[derive(Debug, Default, PartialEq, Eq)]
struct Outcome {
    rows: u64,
    rejects: u64,
    records: u64,
}

impl Outcome {
    fn add(&mut self, typed: &Typed) {
        self.records += typed.records;
        self.rejects += typed.rejects.len() as u64;
        let rows = typed.days.values().map(|rows| rows.height() as u64).sum::<u64>();
        // What is left out, and a header again, counts as taken here, what is spread as one.
        self.rows += rows + typed.left_out + typed.headers - typed.spread;
    }
}

/// Reads a file as a load does, up to the lake.
fn read(name: &str, bytes: &[u8]) -> Result<Vec<Outcome>> {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    read_path(path, &folder)
}

fn read_path(path: PathBuf, folder: &TempDir) -> Result<Vec<Outcome>> {
    let found = Found::of(&[path], folder.path())?;
    found.sources.iter().map(read_source).collect()
}

fn read_source(source: &Source) -> Result<Outcome> {
    let survey = source.survey()?;
    let options = Options::default();
    let (form, header) = Form::read(source, &survey, &options)?;
    let phones = Phones::default();
    let mut typist = Typist::new(&header, Tz::UTC, 1, &phones);
    let mut reader = form.reader(source, &survey, &header)?;
    let mut read = Outcome::default();
    let mut ballots = Ballots::default();
    let mut waiting = Vec::new();
    let mut taken = 0;
    let mut last = 0;
    while let Some(chunk) = reader.next_chunk()? {
        for record in &chunk.records {
            assert_eq!(record.number, last + 1, "records are numbered");
            last = record.number;
        }
        if matches!(form, Form::Csv(_)) {
            account_for(&chunk.bytes, &chunk.records);
            assert!(chunk.bytes.len() <= limits::RECORD + (4 << 20), "{}", chunk.bytes.len());
        }
        taken += chunk.read;
        typist.type_chunk(&chunk, &mut |typed| {
            let typed = typed.unwrap();
            read.add(&typed);
            ballots.add(&typed.ballots);
            waiting.extend(typed.waiting);
        });
    }
    let spelled = Header { spellings: ballots.settle("a", &header)?, ..header.clone() };
    let mut typist = Typist::new(&spelled, Tz::UTC, 1, &phones);
    for chunk in &waiting {
        typist.type_chunk(chunk, &mut |typed| read.add(&typed.unwrap()));
    }
    assert_eq!(read.records, read.rows + read.rejects, "a record is neither row nor reject");
    assert_eq!(read.records, last);
    // In UTF-8 a byte is a byte.
    if survey.encoding == encoding_rs::UTF_8 {
        assert!(taken <= survey.bytes, "{taken} of {} bytes", survey.bytes);
    }
    Ok(read)
}

/// Every byte is in a record, ends a line or is a byte order mark.
fn account_for(bytes: &[u8], records: &[super::records::Record]) {
    let mut at = 0;
    let mut between = Vec::new();
    for record in records {
        between.extend_from_slice(&bytes[at..record.start]);
        at = record.end;
    }
    between.extend_from_slice(&bytes[at..]);
    assert!(between.iter().all(|byte| b"\r\n\xEF\xBB\xBF".contains(byte)), "{between:?}");
}

/// An error is one of the file: no bug of ours, and with a way forward.
fn is_clear(error: &Error) {
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

/// JSON within what others put around it.
fn wrapped(json: &str) -> String {
    format!(
        "[{{\"headers\":{{\"host\":\"example.org\"}},\n\"json\":{{\"data\":{json},\"n\":1.5}}}}]\n"
    )
}

/// A change of a few bytes somewhere.
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

fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn workbook() -> Vec<u8> {
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

/// A zip's files, unpacked, so that changes reach what is in them.
fn unpacked(zip: &[u8]) -> Vec<(String, Vec<u8>)> {
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

/// A stream of bytes that is nowhere, with a count of those that were asked for.
struct Stream<'a> {
    start: &'a [u8],
    again: &'a [u8],
    at: u64,
    most: u64,
}

impl Read for Stream<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut written = 0;
        while written < buffer.len() && self.at < self.most {
            let from = match usize::try_from(self.at).unwrap().checked_sub(self.start.len()) {
                None => &self.start[usize::try_from(self.at).unwrap()..],
                Some(past) => &self.again[past % self.again.len()..],
            };
            let left = usize::try_from(self.most - self.at).unwrap_or(usize::MAX);
            let length = from.len().min(buffer.len() - written).min(left);
            buffer[written..written + length].copy_from_slice(&from[..length]);
            written += length;
            self.at += length as u64;
        }
        Ok(written)
    }
}

/// Reads the records of a stream: how many there are, how many bytes were asked for, and what it
/// ended with.
fn split(start: &str, again: &str, most: u64) -> (u64, u64, Option<String>) {
    let mut stream = Stream { start: start.as_bytes(), again: again.as_bytes(), at: 0, most };
    let mut records = 0;
    let error = {
        let mut splitter = Splitter::new(&mut stream, Transcoder::new(encoding_rs::UTF_8), b',');
        splitter.header().unwrap();
        splitter.expect_fields(4);
        loop {
            match splitter.next_chunk() {
                Ok(Some(chunk)) => records += chunk.records.len() as u64,
                Ok(None) => break None,
                Err(error) => break Some(limits::exceeded("a.csv", &error).unwrap().lines()),
            }
        }
    };
    (records, stream.at, error)
}

const GIGABYTE: u64 = 1 << 30;

#[test]
fn a_field_of_a_gigabyte_is_refused_before_it_is_read() {
    let start = "a,b,c,d\n1,2,3,4\n1,\"";
    // Quoted and never closed, quoted with quotes, bare; with lines and without.
    let wide = "lorem ipsum ".repeat(8000);
    let lines = format!("{wide}\n");
    for (start, again) in [
        (start, wide.as_str()),
        (start, "\"\"x"),
        ("a,b,c,d\n1,2,3,4\n1,", wide.as_str()),
        ("a,b,c,d\n1,2,3,4\n1,", ","),
        (start, lines.as_str()),
    ] {
        let (records, asked, error) = split(start, again, GIGABYTE);
        let error = error.unwrap();
        assert!(error.contains("a record of more than 16 MiB, which begins on line 3"), "{error}");
        assert!(records <= 1, "{records}");
        assert!(asked < 64 << 20, "{asked} bytes were read");
    }
}

#[test]
fn a_header_without_an_end_is_refused() {
    let folder = TempDir::new().unwrap();
    for (text, said) in [
        ("session_id,".repeat(1_000_000), "more than 16384 columns"),
        ("x".repeat(20 << 20), "a record of more than 16 MiB, which begins on line 1"),
    ] {
        let path = folder.path().join("a.csv");
        std::fs::write(&path, text).unwrap();
        let error = read_path(path, &folder).unwrap_err();
        assert!(error.lines().contains(said), "{}", error.lines());
    }
}

#[test]
fn a_record_of_a_million_fields_is_a_reject() {
    let text = format!("{SESSIONS}{}\na9,2025-06-01 10:00:00,,\n", ",".repeat(1_000_000));
    let read = read("a.csv", text.as_bytes()).unwrap();
    assert_eq!(read, [Outcome { rows: 4, rejects: 1, records: 5 }]);
}

#[test]
fn quotes_that_match_nothing_end_in_an_error_and_not_in_a_hang() {
    // Each line's last quote opens a text that the next line's first word closes, on and on.
    for again in ["y\",\"\n", "y\",\"\n1,2,3,4\n", "\"\n\"\"\"\n,\"\n"] {
        let (records, _, error) = split("a,b,c,d\n", again, 1 << 20);
        assert!(records > 0 || error.is_some());
        if let Some(error) = error {
            assert!(
                error.contains("quotes that match none") || error.contains("more than 16 MiB"),
                "{error}"
            );
        }
    }
}

#[test]
fn records_on_several_lines_with_a_field_too_many_cost_themselves_only() {
    let text = format!(
        "{}a1,2025-06-01 10:00:00,\"on\ntwo lines\",1,2\na2,2025-06-01 10:00:00,\"on\ntwo\",1,2\n",
        "session_id,session_started_timestamp,first_message,user_cellphone\n"
    );
    let read = read("a.csv", text.as_bytes()).unwrap();
    assert_eq!(read, [Outcome { rows: 0, rejects: 2, records: 2 }]);
}

#[test]
fn json_without_an_end_is_refused_or_rejected() {
    let event = CLOSURES.lines().next().unwrap();
    let long = "lorem ipsum ".repeat(1 << 20);
    for text in [
        "[".repeat(2_000_000),
        "{\"a\":".repeat(500_000),
        format!("{event}\n{}\n{event}", "{\"event_id\":[".repeat(200_000)),
        format!("{{\"analytics\":{}", "{\"data_points\":[".repeat(200_000)),
        format!("{event}\n{{\"event_id\":\"{long}"),
        format!("{{\"analytics\":{{\"data_points\":[{{\"start\":\"{long}\"}}]}}}}"),
        format!("{event}\n{{{}\"b\":1}}\n", "\"a\":1,".repeat(1_000_000)),
        format!("{event}\n{{\"data\":[{}1]}}\n", "{},".repeat(1_000_000)),
        format!("{event}\n{{\"data\":[{{\"event_id\":\"e9\"}}{}]}}\n", ",{}".repeat(300_000)),
        format!("{event}\n{{\"data\":{}\n", "[".repeat(2_000_000)),
        format!("{{\"body\":{}}}", in_texts("[{\"analytics\":{\"data_points\":[]}}", 18)),
        format!("{event}\n{{\"body\":{}}}", in_texts(event, 18)),
    ] {
        match read("a.json", text.as_bytes()) {
            Ok(outcome) => assert!(outcome[0].rejects > 0, "{}: {outcome:?}", &text[..40]),
            Err(error) => is_clear(&error),
        }
    }
}

/// JSON as a text, in a list as a text, and so on.
fn in_texts(json: &str, times: usize) -> String {
    (0..times).fold(json.to_owned(), |json, _| serde_json::json!([json]).to_string())
}

/// Something that packs to next to nothing.
fn nothing(most: u64) -> impl Read {
    let start = "session_id,session_started_timestamp\n".to_owned();
    Cursor::new(start).chain(Again { again: vec![b'\n'; 64 << 10], at: 0 }).take(most)
}

struct Again {
    again: Vec<u8>,
    at: usize,
}

impl Read for Again {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let from = &self.again[self.at % self.again.len()..];
        let length = from.len().min(buffer.len());
        buffer[..length].copy_from_slice(&from[..length]);
        self.at += length;
        Ok(length)
    }
}

fn bomb_says(name: &str, bytes: &[u8]) -> String {
    match read(name, bytes) {
        Ok(outcome) => format!("{name} was read: {outcome:?}"),
        Err(error) => error.lines(),
    }
}

#[test]
fn files_that_unpack_to_far_more_than_they_are_are_refused() {
    // 80 MiB take less than 100 kB.
    let most = 80 << 20;
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    io::copy(&mut nothing(most), &mut gz).unwrap();
    let mut zst = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    io::copy(&mut nothing(most), &mut zst).unwrap();
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    zip.start_file("a.csv", SimpleFileOptions::default()).unwrap();
    io::copy(&mut nothing(most), &mut zip).unwrap();
    let zip = zip.finish().unwrap().into_inner();
    for (name, bytes) in [
        ("a.csv.gz", gz.finish().unwrap()),
        ("a.csv.zst", zst.finish().unwrap()),
        ("a.zip", zip.clone()),
    ] {
        let said = bomb_says(name, &bytes);
        assert!(said.contains("over 200 times what it takes packed"), "{name}: {said}");
    }
    // An archive in an archive is passed over, so a bomb in it is never unpacked.
    let inner = archive(&[("a.zip.gz", &self::gz(&zip))]);
    assert_eq!(read("b.zip", &inner).unwrap(), []);
    // Ten times the same: none by itself is too much.
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for n in 0..10 {
        zip.start_file(format!("{n}.csv"), SimpleFileOptions::default()).unwrap();
        io::copy(&mut nothing(40 << 20), &mut zip).unwrap();
    }
    let said = bomb_says("many.zip", &zip.finish().unwrap().into_inner());
    assert!(said.contains("over 200 times what it takes packed"), "{said}");
}

#[test]
fn archives_of_too_many_files_are_refused() {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for n in 0..=limits::ENTRIES {
        zip.start_file(format!("{n}.csv"), SimpleFileOptions::default()).unwrap();
    }
    let said = bomb_says("a.zip", &zip.finish().unwrap().into_inner());
    assert!(said.contains("holds more than 10000 files"), "{said}");
}

/// A workbook with one part made by hand, which is streamed, and with so many bytes of what does
/// not pack, so that it is no bomb by its ratio.
fn with_part(name: &str, mut part: impl Read, noise: usize) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (known, bytes) in unpacked(&workbook()) {
        zip.start_file(known.as_str(), SimpleFileOptions::default()).unwrap();
        if known == name {
            io::copy(&mut part, &mut zip).unwrap();
        } else {
            zip.write_all(&bytes).unwrap();
        }
    }
    let stored = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    zip.start_file("xl/media/noise.png", stored).unwrap();
    zip.write_all(&vec![0; noise]).unwrap();
    zip.finish().unwrap().into_inner()
}

#[test]
fn spreadsheets_that_would_fill_the_memory_are_refused() {
    const SHEET: &str = "xl/worksheets/sheet1.xml";
    let sheet = "<worksheet><sheetData><row r=\"1\"><c r=\"A1\" t=\"str\"><v>";
    let text = |start: &str, again: &str, most| {
        Cursor::new(start.to_owned())
            .chain(Again { again: again.as_bytes().repeat(1000), at: 0 })
            .take(most)
    };
    for (start, again) in [
        (sheet, "x"),
        ("<worksheet><!-- ", "<c> "),
        ("<worksheet><![CDATA[", "<c> "),
        ("<worksheet a=\"", "<c> "),
    ] {
        let said = bomb_says("a.xlsx", &with_part(SHEET, text(start, again, 32 << 20), 0));
        assert!(said.contains("a text of more than 16 MiB"), "{start}: {said}");
    }
    let said = bomb_says(
        "a.xlsx",
        &with_part(SHEET, text("<!DOCTYPE a [", "<!ENTITY b 'c'>", 1 << 20), 0),
    );
    assert!(said.contains("has a document type"), "{said}");
    let strings = text("<sst>", "<si><t>x</t></si>", limits::HELD_PART + 1);
    let said = bomb_says("a.xlsx", &with_part("xl/sharedStrings.xml", strings, 2 << 20));
    assert!(said.contains("sharedstrings.xml unpacks to more than 256 MiB"), "{said}");
    let said = bomb_says("a.xlsx", &with_part(SHEET, text(sheet, "<c/>", 80 << 20), 0));
    assert!(said.contains("over 200 times what it takes packed"), "{said}");

    // A row of a few bytes that names a long text again and again.
    let long = format!("<sst><si><t>{}</t></si></sst>", "x".repeat(1 << 20));
    let mut row = String::from("<worksheet><sheetData><row r=\"1\">");
    for _ in 0..20 {
        row.push_str("<c t=\"s\"><v>0</v></c>");
    }
    row.push_str("</row></sheetData></worksheet>");
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (known, bytes) in unpacked(&workbook()) {
        zip.start_file(known.as_str(), SimpleFileOptions::default()).unwrap();
        zip.write_all(match known.as_str() {
            SHEET => row.as_bytes(),
            "xl/sharedStrings.xml" => long.as_bytes(),
            _ => &bytes,
        })
        .unwrap();
    }
    let said = bomb_says("a.xlsx", &zip.finish().unwrap().into_inner());
    assert!(said.contains("a row of more than 16 MiB: row 1"), "{said}");
}

#[test]
fn an_untouched_file_of_each_form_is_read_whole() {
    let whole = Outcome { rows: 3, rejects: 0, records: 3 };
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
            // The header again counts here as taken.
            let twice = format!("{text}\u{feff}{}", SESSIONS.replace('\n', line_end));
            let all = Outcome { rows: 7, rejects: 0, records: 7 };
            assert_eq!(read("a.csv", twice.as_bytes()).unwrap(), [all]);
        }
    }
    // The workbook has a row more, without a start.
    let sheet = read("a.xlsx", &workbook()).unwrap();
    assert_eq!(sheet, [Outcome { rows: 3, rejects: 1, records: 4 }]);
}

#[test]
fn a_header_of_as_many_columns_as_may_be_is_read() {
    let names: Vec<String> = (0..limits::COLUMNS - 2).map(|n| format!("x{n}")).collect();
    let header = format!("session_id,session_started_timestamp,{}", names.join(","));
    let table = wabalake_data::table("sessions");
    let header = Header::read("a.csv", &header, b',', table, &[]).unwrap();
    assert_eq!(header.fields, limits::COLUMNS);
}

/// What a CSV comes to when its records are typed in runs of so many, as rows of texts and the
/// records that were set aside.
fn typed_in_runs(text: &str, at_once: usize) -> Result<(Vec<String>, Vec<u64>)> {
    let (first, _) = text.split_once('\n').unwrap();
    let header = Header::read("a.csv", first, b',', None, &[])?;
    let phones = Phones::default();
    let transcoder = || Transcoder::new(encoding_rs::UTF_8);
    let mut splitter = Splitter::new(text.as_bytes(), transcoder(), b',');
    splitter.header().unwrap();
    let whole = splitter.next_chunk().unwrap().unwrap();
    let mut ballots = Ballots::default();
    let mut waiting = Vec::new();
    let mut typed = Vec::new();
    let mut typist = Typist::new(&header, Tz::UTC, 1, &phones);
    for records in whole.records.chunks(at_once) {
        let (bytes, records) = (whole.bytes.clone(), records.to_vec());
        let run = Chunk { bytes, records, broken: std::collections::BTreeMap::new(), read: 0 };
        typist.type_chunk(&run, &mut |part| {
            let mut part = part.unwrap();
            ballots.add(&part.ballots);
            waiting.extend(part.waiting.take());
            typed.push(part);
        });
    }
    let spelled = Header { spellings: ballots.settle("a.csv", &header)?, ..header.clone() };
    let mut typist = Typist::new(&spelled, Tz::UTC, 1, &phones);
    for run in waiting.iter().rev() {
        typist.type_chunk(run, &mut |part| typed.push(part.unwrap()));
    }
    let mut rejects: Vec<u64> =
        typed.iter().flat_map(|part| part.rejects.iter().map(|reject| reject.record)).collect();
    rejects.sort_unstable();
    let mut rows = Vec::new();
    for frame in typed.iter().flat_map(|part| part.days.values()) {
        for row in 0..frame.height() {
            let cells = frame.get_row(row).unwrap().0;
            rows.push(cells.iter().map(ToString::to_string).collect::<Vec<_>>().join("|"));
        }
    }
    rows.sort();
    Ok((rows, rejects))
}

proptest! {
    /// However a file is cut into runs, and wherever in it the cells are that tell how it is written,
    /// it comes to the same.
    #[test]
    fn what_a_file_comes_to_does_not_depend_on_its_runs(
        rows in prop::collection::vec((
            prop::sample::select(vec![
                "2025-06-01 10:00:00", "2025-06-02T10:00:00Z", "5/6/2025 10:00", "13/6/2025 9:30 PM",
                "6/14/2025 10:00", "1748772000", "soon", "",
            ]),
            prop::sample::select(vec!["7", "1.234", "12,50", "12.50", "0.037", "ten", ""]),
        ), 1..14),
    ) {
        let lines = rows.iter().zip(1..).map(|((stamp, value), n)| {
            format!("c{n},\"{stamp}\",573005550101,\"{value}\"\n")
        });
        let text = format!("conversion_id,converted_at,phone,value\n{}", lines.collect::<String>());
        let outcome = |at_once| typed_in_runs(&text, at_once).map_err(|error| error.lines());
        let at_once = outcome(usize::MAX);
        if let Ok((taken, rejects)) = &at_once {
            prop_assert_eq!(taken.len() + rejects.len(), rows.len());
        }
        for size in [1, 2, 3, 5] {
            prop_assert_eq!(outcome(size), at_once.clone(), "{}", size);
        }
        // The other way round.
        let mut lines: Vec<&str> = text.lines().skip(1).collect();
        lines.reverse();
        let back = format!("conversion_id,converted_at,phone,value\n{}\n", lines.join("\n"));
        let back = typed_in_runs(&back, 2).map_err(|error| error.lines());
        prop_assert_eq!(back.map(|(rows, _)| rows), at_once.map(|(rows, _)| rows));
    }
}

#[test]
fn one_cell_at_the_end_of_a_long_file_tells_how_it_is_written() {
    let lines = (0..5000).map(|n| format!("c{n},2025-06-0{} 10:00:00,573005550101,7\n", n % 9 + 1));
    let mut text = format!("conversion_id,converted_at,phone,value\n{}", lines.collect::<String>());
    text.push_str("x,05/06/2025 10:00,573005550101,1.234\n");
    assert!(typed_in_runs(&text, 100).unwrap_err().lines().contains("--date-order"));
    text.push_str("y,13/06/2025 10:00,573005550101,\"12,5\"\n");
    let (rows, rejects) = typed_in_runs(&text, 100).unwrap();
    assert_eq!((rows.len(), rejects), (5002, Vec::new()));
    let last = rows.iter().find(|row| row.starts_with("\"x\"")).unwrap();
    assert!(last.contains("2025-06-05 10:00:00") && last.contains("1234.000000"), "{last}");
}
