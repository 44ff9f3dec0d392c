//! The result does not depend on the order of records, nor on chunk boundaries.

use chrono_tz::Tz;
use proptest::prelude::*;
use wabalake_data::cells::phone::Phones;

use crate::error::Result;
use crate::load::chunk::Chunk;
use crate::load::chunk_parser::ChunkParser;
use crate::load::encoding::Transcoder;
use crate::load::header::Header;
use crate::load::records::Splitter;
use crate::load::spelling::Ballots;

/// Parses a CSV file in chunks of some records. Returns the rows as text, and the numbers of
/// rejected records.
fn parsed_in_chunks(text: &str, at_once: usize) -> Result<(Vec<String>, Vec<u64>)> {
    let (first, _) = text.split_once('\n').unwrap();
    let header = Header::read("a.csv", first, b',', None, &[])?;
    let phones = Phones::default();
    let transcoder = || Transcoder::new(encoding_rs::UTF_8);
    let mut splitter = Splitter::new(text.as_bytes(), transcoder(), b',');
    splitter.header().unwrap();
    let whole = splitter.next_chunk().unwrap().unwrap();
    let mut ballots = Ballots::default();
    let mut waiting = Vec::new();
    let mut parsed = Vec::new();
    let mut parser = ChunkParser::new(&header, Tz::UTC, 1, &phones);
    for records in whole.records.chunks(at_once) {
        let (bytes, records) = (whole.bytes.clone(), records.to_vec());
        let run =
            Chunk { table: 0, bytes, records, broken: std::collections::BTreeMap::new(), read: 0 };
        parser.parse_chunk(&run, &mut |part| {
            let mut part = part.unwrap();
            ballots.add(&part.ballots);
            waiting.extend(part.waiting.take());
            parsed.push(part);
        });
    }
    let spelled = Header { spellings: ballots.settle("a.csv", &header)?, ..header.clone() };
    let mut parser = ChunkParser::new(&spelled, Tz::UTC, 1, &phones);
    for run in waiting.iter().rev() {
        parser.parse_chunk(run, &mut |part| parsed.push(part.unwrap()));
    }
    let mut rejects: Vec<u64> =
        parsed.iter().flat_map(|part| part.rejects.iter().map(|reject| reject.record)).collect();
    rejects.sort_unstable();
    let mut rows = Vec::new();
    for frame in parsed.iter().flat_map(|part| part.days.values()) {
        for row in 0..frame.height() {
            let cells = frame.get_row(row).unwrap().0;
            rows.push(cells.iter().map(ToString::to_string).collect::<Vec<_>>().join("|"));
        }
    }
    rows.sort();
    Ok((rows, rejects))
}

proptest! {
    /// The result does not depend on chunk boundaries, nor on the position of the cells that tell
    /// the spelling.
    #[test]
    fn results_do_not_depend_on_chunks(
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
        let outcome = |at_once| parsed_in_chunks(&text, at_once).map_err(|error| error.lines());
        let at_once = outcome(usize::MAX);
        if let Ok((taken, rejects)) = &at_once {
            prop_assert_eq!(taken.len() + rejects.len(), rows.len());
        }
        for size in [1, 2, 3, 5] {
            prop_assert_eq!(outcome(size), at_once.clone(), "{}", size);
        }
        // In reverse order.
        let mut lines: Vec<&str> = text.lines().skip(1).collect();
        lines.reverse();
        let back = format!("conversion_id,converted_at,phone,value\n{}\n", lines.join("\n"));
        let back = parsed_in_chunks(&back, 2).map_err(|error| error.lines());
        prop_assert_eq!(back.map(|(rows, _)| rows), at_once.map(|(rows, _)| rows));
    }
}

#[test]
fn one_cell_at_the_end_of_a_long_file_decides_the_spelling() {
    let lines = (0..5000).map(|n| format!("c{n},2025-06-0{} 10:00:00,573005550101,7\n", n % 9 + 1));
    let mut text = format!("conversion_id,converted_at,phone,value\n{}", lines.collect::<String>());
    text.push_str("x,05/06/2025 10:00,573005550101,1.234\n");
    assert!(parsed_in_chunks(&text, 100).unwrap_err().lines().contains("--date-order"));
    text.push_str("y,13/06/2025 10:00,573005550101,\"12,5\"\n");
    let (rows, rejects) = parsed_in_chunks(&text, 100).unwrap();
    assert_eq!((rows.len(), rejects), (5002, Vec::new()));
    let last = rows.iter().find(|row| row.starts_with("\"x\"")).unwrap();
    assert!(last.contains("2025-06-05 10:00:00") && last.contains("1234.000000"), "{last}");
}
