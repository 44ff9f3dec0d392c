//! Files that would take too much memory or time are refused early.

use std::io::{self, Cursor, Read, Write as _};

use tempfile::TempDir;
use zip::write::SimpleFileOptions;

use super::{
    CLOSURES, ReadCounts, SESSIONS, archive, is_clear, read, read_path, unpacked, workbook,
};
use crate::load::encoding::Transcoder;
use crate::load::header::Header;
use crate::load::limits;
use crate::load::records::Splitter;

/// A generated stream that counts the bytes read from it.
struct Stream<'a> {
    pub(super) start: &'a [u8],
    again: &'a [u8],
    pub(super) at: u64,
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

/// Reads the records of a stream. Returns their number, the bytes read and the error.
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
    // Quoted and never closed, quoted with quotes, unquoted; on one line and on several.
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
    assert_eq!(read, [ReadCounts { rows: 4, rejects: 1, records: 5 }]);
}

#[test]
fn unmatched_quotes_end_in_an_error_in_time() {
    // The last quote of each line opens a field that the first word of the next line closes.
    for again in ["y\",\"\n", "y\",\"\n1,2,3,4\n", "\"\n\"\"\"\n,\"\n"] {
        let (records, _, error) = split("a,b,c,d\n", again, 1 << 20);
        assert!(records > 0 || error.is_some());
        if let Some(error) = error {
            assert!(
                error.contains("unmatched quotes") || error.contains("more than 16 MiB"),
                "{error}"
            );
        }
    }
}

#[test]
fn records_on_several_lines_with_a_surplus_field_are_rejected_alone() {
    let text = format!(
        "{}a1,2025-06-01 10:00:00,\"on\ntwo lines\",1,2\na2,2025-06-01 10:00:00,\"on\ntwo\",1,2\n",
        "session_id,session_started_timestamp,first_message,user_cellphone\n"
    );
    let read = read("a.csv", text.as_bytes()).unwrap();
    assert_eq!(read, [ReadCounts { rows: 0, rejects: 2, records: 2 }]);
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

/// Nests JSON in strings in lists.
fn in_texts(json: &str, times: usize) -> String {
    (0..times).fold(json.to_owned(), |json, _| serde_json::json!([json]).to_string())
}

/// Bytes that compress to almost nothing.
fn nothing(most: u64) -> impl Read {
    let start = "session_id,session_started_timestamp\n".to_owned();
    Cursor::new(start).chain(Again { again: vec![b'\n'; 64 << 10], at: 0 }).take(most)
}

struct Again {
    again: Vec<u8>,
    pub(super) at: usize,
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
fn files_with_an_extreme_compression_ratio_are_refused() {
    // 80 MiB compress to less than 100 kB.
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
        assert!(said.contains("over 200 times its compressed size"), "{name}: {said}");
    }
    // An archive in an archive is skipped, so a bomb in it is never decompressed.
    let inner = archive(&[("a.zip.gz", &super::gz(&zip))]);
    assert_eq!(read("b.zip", &inner).unwrap(), []);
    // Ten files, none of which is too large by itself.
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for n in 0..10 {
        zip.start_file(format!("{n}.csv"), SimpleFileOptions::default()).unwrap();
        io::copy(&mut nothing(40 << 20), &mut zip).unwrap();
    }
    let said = bomb_says("many.zip", &zip.finish().unwrap().into_inner());
    assert!(said.contains("over 200 times its compressed size"), "{said}");
}

#[test]
fn archives_with_too_many_files_are_refused() {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for n in 0..=limits::ENTRIES {
        zip.start_file(format!("{n}.csv"), SimpleFileOptions::default()).unwrap();
    }
    let said = bomb_says("a.zip", &zip.finish().unwrap().into_inner());
    assert!(said.contains("holds more than 10000 files"), "{said}");
}

/// A workbook with one generated part, and with incompressible bytes that keep its compression
/// ratio low.
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
fn spreadsheets_that_would_exhaust_memory_are_refused() {
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
    assert!(said.contains("sharedstrings.xml decompresses to more than 256 MiB"), "{said}");
    let said = bomb_says("a.xlsx", &with_part(SHEET, text(sheet, "<c/>", 80 << 20), 0));
    assert!(said.contains("over 200 times its compressed size"), "{said}");

    // A short row that refers to a long shared string many times.
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
fn a_header_with_the_most_columns_is_read() {
    let names: Vec<String> = (0..limits::COLUMNS - 2).map(|n| format!("x{n}")).collect();
    let header = format!("session_id,session_started_timestamp,{}", names.join(","));
    let table = wabalake_data::table("sessions");
    let header = Header::read("a.csv", &header, b',', table, &[]).unwrap();
    assert_eq!(header.fields, limits::COLUMNS);
}
