//! Rows of a file that another row of the same file replaces are counted as superseded.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;

use proptest::prelude::*;
use wabalake::load::{Options, load};
use wabalake_data::tables::sessions;

use super::ad_spend::{outcomes, run};
use crate::support::{Bench, Said};

/// A session: id, day and hour of its start, hour of its end, status, and an unknown column.
type Session = (u8, (u32, u32), Option<u32>, &'static str, u8);

fn session() -> impl Strategy<Value = Session> {
    let began = prop::sample::select(vec![(1, 10), (1, 11), (2, 10)]);
    let finished = prop::sample::select(vec![None, Some(20), Some(21)]);
    (1..4u8, began, finished, prop::sample::select(vec!["BOT", "AGENTS"]), 0..2u8)
}

fn sessions_of(records: &[Session]) -> String {
    let mut text = String::from(
        "session_id,session_started_timestamp,session_finished_timestamp,session_status,other\n",
    );
    for (id, (day, hour), finished, status, other) in records {
        let finished = finished.map_or_else(String::new, |hour| format!("2025-06-03 {hour}:00:00"));
        let _ = writeln!(text, "s{id},2025-06-0{day} {hour}:00:00,{finished},{status},{other}");
    }
    text
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, ..ProptestConfig::default() })]

    /// A row is superseded by another row of its own file only, also by an equal one: not by another
    /// file, not by the lake. Order, memory limit and partitions do not matter.
    #[test]
    fn other_rows_of_a_key_in_the_same_file_count_as_superseded(
        files in prop::collection::vec(prop::collection::vec(session(), 1..9), 1..4),
        known in prop::collection::vec(session(), 0..4),
        together in any::<bool>(),
        memory in prop::sample::select(vec![500usize, 192 << 20]),
    ) {
        let bench = Bench::new();
        if !known.is_empty() {
            bench.load("known.csv", sessions_of(&known));
        }
        let paths: Vec<PathBuf> = files
            .iter()
            .enumerate()
            // Blank lines make equal files differ.
            .map(|(n, records)| {
                bench.file(&format!("{n}.csv"), &(sessions_of(records) + &"\n".repeat(n + 1)))
            })
            .collect();
        let options = Options { memory, ..Options::default() };
        let mut reports = Vec::new();
        let loads: Vec<&[PathBuf]> =
            if together { vec![&paths[..]] } else { paths.chunks(1).collect() };
        for paths in loads {
            reports.extend(load(&bench.lake(), paths, &options).unwrap().files);
        }
        for (file, records) in reports.iter().zip(&files) {
            let keys: BTreeSet<_> = records.iter().map(|(id, ..)| id).collect();
            let superseded = (records.len() - keys.len()) as u64;
            let [new, updated, unchanged, found, added_up] = outcomes(file);
            prop_assert_eq!((found, added_up), (superseded, 0));
            prop_assert_eq!(new + updated + unchanged, keys.len() as u64);
        }
    }
}

#[test]
fn report_counts_superseded_rows() {
    let bench = Bench::new();
    let text = "session_id,session_started_timestamp,session_finished_timestamp\n\
                a1,2025-06-01 10:00:00,\n\
                a1,2025-06-01 10:00:00,2025-06-01 10:05:00\n\
                a1,2025-06-01 10:00:00,2025-06-01 10:05:00\n\
                a2,2025-06-01 10:00:00,\n";
    let report = bench.load("a.csv", text);
    assert_eq!(outcomes(&report.files[0]), [2, 0, 0, 2, 0]);
    let text = report.text();
    let reported = "2 rows superseded, by another row of the file with the same session_id";
    assert!(text.contains(reported), "{text}");
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["files"][0]["rows_superseded"], 2);
    assert_eq!(json["files"][0]["rows_added_up"], 0);
    assert_eq!(bench.columns(&sessions::TABLE, &["session_id"], " "), ["a1", "a2"]);
}

/// One row has a very long text, which must not widen every other row.
#[test]
fn table_format_pads_no_column_to_its_longest_cell() {
    let bench = Bench::new();
    let longest = "x".repeat(100_000);
    let rows = (0..2_000).map(|n| {
        let text = if n == 7 { longest.as_str() } else { "hola" };
        format!("m{n},true,2025-06-01 10:00:00,{text},573005550101\n")
    });
    let export: String = ["whatsapp_id,message_direction,created_at,message,from\n".to_owned()]
        .into_iter()
        .chain(rows)
        .collect();
    bench.load("messages.csv", &export);
    let log = ["query", "message-log", "-f", "table"];
    let Said { out: piped, err: said, code } = run(&bench, &log);
    assert_eq!(code, 0, "{said}");
    let Said { err: said, code, .. } = run(&bench, &[&log[..], &["-o", "log.txt"]].concat());
    assert_eq!(code, 0, "{said}");
    let written = std::fs::read_to_string(bench.folder.path().join("log.txt")).unwrap();
    assert_eq!(written, piped);
    assert_eq!(written.lines().count(), 2_002);
    assert!(written.contains(&longest), "a file has every cell whole");
    // With every row as wide as the longest cell it would be 132 MB.
    assert!(written.len() < longest.len() + 2_002 * 1_000, "{} bytes", written.len());
}
