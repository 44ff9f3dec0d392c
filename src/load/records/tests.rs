use proptest::prelude::*;

use super::*;
use crate::load::fields::Fields;
use crate::load::tests::SlowReader;

fn split(file: &[u8], fields: usize) -> Vec<(u64, u64, String, bool)> {
    let transcoder = Transcoder::new(encoding_rs::UTF_8);
    let mut splitter = Splitter::new(SlowReader(file, 1), transcoder, b',');
    splitter.expect_fields(fields);
    let mut found = Vec::new();
    while let Some(chunk) = splitter.next_chunk().unwrap() {
        for record in &chunk.records {
            let raw = String::from_utf8_lossy(&chunk.bytes[record.start..record.end]);
            found.push((record.number, record.line, raw.into_owned(), record.unclosed));
        }
    }
    found
}

#[test]
fn example_of_the_module_docs() {
    let file = b"a1,Hola,x\na2,\"two\nlines\",x\r\n\na3,\"never closed,x\nand on\na4,Hola,x\n";
    let expected = [
        (1, 1, "a1,Hola,x", false),
        (2, 2, "a2,\"two\nlines\",x", false),
        (3, 5, "a3,\"never closed,x\nand on", true),
        (4, 7, "a4,Hola,x", false),
    ];
    let expected = expected.map(|(n, line, raw, unclosed)| (n, line, raw.to_owned(), unclosed));
    assert_eq!(split(file, 3), expected);
}

#[test]
fn lone_cr_ends_lines() {
    let file = b"a1,Hola,x\ra2,\"two\rlines\",x\r\ra3,\"never closed,x\rand on\ra4,Hola,x\r";
    let expected = [
        (1, 1, "a1,Hola,x", false),
        (2, 2, "a2,\"two\rlines\",x", false),
        (3, 5, "a3,\"never closed,x\rand on", true),
        (4, 7, "a4,Hola,x", false),
    ];
    let expected = expected.map(|(n, line, raw, unclosed)| (n, line, raw.to_owned(), unclosed));
    assert_eq!(split(file, 3), expected);
}

#[test]
fn line_ends_are_detected_outside_quotes() {
    let long = [b"a,".repeat(40_000), b"b\nc\r".to_vec()].concat();
    for (start, expected) in [
        (b"a,b\rc,d".as_slice(), LineEnds::Cr),
        (b"a,b\r", LineEnds::Cr),
        (b"a,\"b\nc\"\rd,e\r", LineEnds::Cr),
        (b"\"a\nb\",c\r\"d\ne\",f\r", LineEnds::Cr),
        (b"a,b\r\nc\rd\r", LineEnds::Lf),
        (b"a,\"b\rc\"\nd,e", LineEnds::Lf),
        (b"a,b\r1,2\n3,4\n", LineEnds::Cr),
        (b"\"never closed,b\rc", LineEnds::Lf),
        (b"a,b", LineEnds::Lf),
        (&long, LineEnds::Lf),
    ] {
        assert_eq!(LineEnds::of(start), expected, "{:?}", String::from_utf8_lossy(start));
    }
}

#[test]
fn concatenated_files_with_different_line_ends_lose_nothing() {
    let raws = |file: &[u8]| -> Vec<String> {
        split(file, 2).into_iter().map(|(_, _, raw, _)| raw).collect()
    };
    assert_eq!(raws(b"a,b\r1,2\r3,4\n5,6\r\n7,8"), ["a,b", "1,2", "3,4", "5,6", "7,8"]);
    // With LF first, a CR is text: the rest is one record, which is rejected.
    assert_eq!(raws(b"a,b\n1,2\n3,4\r5,6\r"), ["a,b", "1,2", "3,4\r5,6"]);
}

#[test]
fn byte_order_marks_before_records_are_skipped() {
    let file = "\u{feff}\u{feff}\"a\",b\n\u{feff}\"c,d\",e\n\u{feff}\nf,g";
    let raws: Vec<_> = split(file.as_bytes(), 2).into_iter().map(|found| found.2).collect();
    assert_eq!(raws, ["\"a\",b", "\"c,d\",e", "f,g"]);
}

#[test]
fn an_unclosed_quote_that_meets_a_later_quote_breaks_its_own_record_only() {
    let file = b"a1,\"open,x\na2,\"I'd like \"\"two\"\"\",x\na3,\",,\",x\n";
    let raws: Vec<_> = split(file, 3).into_iter().map(|(_, _, raw, bad)| (raw, bad)).collect();
    assert_eq!(raws.len(), 3);
    assert_eq!(raws[0], ("a1,\"open,x".to_owned(), true));
    assert!(!raws[1].1 && !raws[2].1);
}

#[test]
fn a_record_is_kept_whole_with_the_wrong_delimiter() {
    let record = "id,\"first\nmessage\",\"phone\"";
    for delimiter in [b',', b';', b'\t'] {
        let mut fields = Fields::new(delimiter);
        let mut found = Vec::new();
        fields.read(record, true, delimiter, &mut found);
        let expected = if delimiter == b',' {
            ["id", "first\nmessage", "phone"].as_slice()
        } else {
            &[record]
        };
        assert_eq!(found, expected);
    }
}

#[test]
fn quotes_inside_a_field_are_text() {
    let found = split(b"a1,5\" pipe,x\na2,\"q\"junk,x", 3);
    assert_eq!(found.iter().filter(|(.., unclosed)| *unclosed).count(), 0);
    assert_eq!(found.len(), 2);
}

proptest! {
    /// Cells written by a CSV writer are read back unchanged.
    #[test]
    fn written_cells_come_back(rows in prop::collection::vec(
        prop::collection::vec("[a,;\"\n\r \u{e9}\u{1f44d}]{0,6}", 3), 1..12,
    ), line_end in prop::sample::select(vec!["\n", "\r\n", "\r"])) {
        let mut file = String::new();
        for row in &rows {
            let cells: Vec<_> =
                row.iter().map(|cell| format!("\"{}\"", cell.replace('"', "\"\""))).collect();
            file.push_str(&cells.join(","));
            file.push_str(line_end);
        }
        let transcoder = Transcoder::new(encoding_rs::UTF_8);
        let mut splitter = Splitter::new(SlowReader(file.as_bytes(), 1), transcoder, b',');
        splitter.expect_fields(3);
        let mut unquote = Fields::new(b',');
        let mut read = Vec::new();
        while let Some(chunk) = splitter.next_chunk().unwrap() {
            for record in &chunk.records {
                prop_assert!(!record.unclosed);
                let raw = std::str::from_utf8(&chunk.bytes[record.start..record.end]).unwrap();
                let mut fields = Vec::new();
                unquote.read(raw, record.quoted, b',', &mut fields);
                read.push(fields.iter().map(|f| (*f).to_owned()).collect::<Vec<_>>());
            }
        }
        prop_assert_eq!(read, rows);
    }

    /// For any bytes, splitting ends, and all but line ends is in a record.
    #[test]
    fn no_byte_is_lost(file in prop::collection::vec(
        prop::sample::select(b"a,\"\n\r\xff".to_vec()), 0..200,
    )) {
        let found = split(&file, 3);
        let lines = LineEnds::of(&file).count(&file);
        prop_assert!(found.iter().all(|(_, line, ..)| *line <= lines + 1));
        let kept: usize = found.iter().map(|(_, _, raw, _)| {
            raw.chars().filter(|c| !matches!(c, '\n' | '\r')).count()
        }).sum();
        let there = file.iter().filter(|b| !b"\n\r".contains(b)).count();
        prop_assert_eq!(kept, there);
    }
}
