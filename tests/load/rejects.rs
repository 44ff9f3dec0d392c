//! Rejects: exported, corrected, resolved by later rows, opened again by undo.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;

use polars::prelude::*;
use proptest::prelude::*;
use wabalake::lake::rejects;
use wabalake::load::{Options, load};
use wabalake_data::Table;
use wabalake_data::tables::{audience_tags, deployments, sessions};

use super::loads::SESSIONS;
use crate::support::{Bench, total};

#[test]
fn exported_rejects_can_be_corrected() {
    let bench = Bench::new();
    let text = "Conversation ID;Deployment Start Timestamp;User Cellphone;Deployment Status\n\
                c1;not a time;+57 300 555 0101;Delivered\n\
                c2;2025-06-01 10:00:00;573005550102;Failed\n";
    bench.load_files(&[bench.file("d.csv", text)]).unwrap();
    assert_eq!(bench.open_rejects().height(), 1);
    let corrected = bench.exported_rejects().replace("not a time", "2025-06-01 09:00:00");
    let report = bench.load_files(&[bench.file("mended.csv", &corrected)]).unwrap();
    assert_eq!(total(&report), [1, 1, 0, 0, 0, 0, 0]);
    assert_eq!(report.files[0].unknown_columns, Vec::<String>::new());
    assert_eq!(bench.open_rejects().height(), 0);
    assert_eq!(bench.stored(&deployments::TABLE).len(), 2);
}

/// A cell with characters that start or guard a formula, and that CSV quotes.
const CELL: &str = "['=+@\t\ra,\"\n-]{0,5}";

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, ..ProptestConfig::default() })]

    #[test]
    fn exported_rejects_round_trip_with_formula_guards(
        records in prop::collection::vec((CELL, CELL), 1..12),
    ) {
        let quoted = |cell: &str| format!("\"{}\"", cell.replace('"', "\"\""));
        let export = |stamp: &str| {
            let mut text = format!("session_id,first_message,last_node_id,{}\n", "session_started_timestamp,=odd");
            for (at, (first, last)) in records.iter().enumerate() {
                let _ = writeln!(text, "s{at},{},{},{stamp},1", quoted(first), quoted(last));
            }
            text += "ok,,,2025-06-01 10:00:00,1\n";
            text
        };
        let (wanted, bench) = (Bench::new(), Bench::new());
        wanted.load_files(&[wanted.file("a.csv", export("2025-06-01 10:00:00"))]).unwrap();
        bench.load_files(&[bench.file("a.csv", export("soon"))]).unwrap();
        let written = |is_exact| {
            let mut text = Vec::new();
            wabalake::load::export_rejects(&bench.open_rejects(), is_exact, &mut text).unwrap();
            String::from_utf8(text).unwrap()
        };
        // Rejected again, the records keep their content.
        let (guarded, exact) = (written(false), written(true));
        for name in ["b.csv", "c.csv"] {
            bench.load_rejected(bench.file(name, &guarded));
            prop_assert_eq!(bench.open_rejects().height(), 2 * records.len());
        }
        for text in [guarded, exact, written(false), written(true)] {
            let corrected = text.replace("soon", "2025-06-01 10:00:00");
            let corrected = bench.load_files(&[bench.file("mended.csv", &corrected)]).unwrap();
            prop_assert_eq!(corrected.total(|file| file.rows_rejected), 0);
            prop_assert_eq!(bench.stored(&sessions::TABLE), wanted.stored(&sessions::TABLE));
            bench.lake().undo().unwrap();
        }
    }
}

#[test]
fn later_row_with_the_key_resolves_a_reject_until_undone() {
    let bench = Bench::new();
    bench.load_rejected(bench.file("bad.csv", format!("{SESSIONS}a1,soon,,BOT,57,1\n")));
    assert_eq!(bench.open_rejects().height(), 1);
    let good = format!("{SESSIONS}a1,2025-06-01 10:00:00,,BOT,57,1\n");
    bench.load_files(&[bench.file("good.csv", &good)]).unwrap();
    assert_eq!(bench.open_rejects().height(), 0);
    bench.lake().undo().unwrap();
    assert_eq!(bench.open_rejects().height(), 1);
    assert_eq!(bench.stored(&sessions::TABLE).len(), 0);
}

/// A line of a small export: a row, a rejected record with a valid key, or one without a key.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Line {
    Good(u8),
    Bad(u8),
    Nameless,
}

/// Tables with different keys: one text, one with a timestamp, several texts.
const REJECTING: [&Table; 3] = [&sessions::TABLE, &deployments::TABLE, &audience_tags::TABLE];

/// An export of such lines, each with the id of the reject that it corrects.
fn small(table: &Table, number: usize, lines: &[(Line, Option<String>)]) -> String {
    let header = match table.name {
        sessions::NAME => "session_id,session_started_timestamp,session_finished_timestamp",
        deployments::NAME => {
            "deployment_timestamp,user_responded_timestamp,delivery_status,user_country_code,\
             user_cellphone"
        }
        _ => "user_phone,tag,since",
    };
    let mut text = format!("{header},n{number},wabalake_reject\n");
    for (line, mends) in lines {
        // Only the header makes the files differ, so equal rows stay equal.
        let record = match (table.name, line) {
            (sessions::NAME, Line::Good(key)) => format!("s{key},2025-06-0{key} 10:00:00,"),
            (sessions::NAME, Line::Bad(key)) => format!("s{key},soon,"),
            (sessions::NAME, Line::Nameless) => ",2025-06-01 10:00:00,".to_owned(),
            (deployments::NAME, Line::Good(key)) => {
                format!("2025-06-0{key} 10:00:00,,Sent,57,3005550101")
            }
            (deployments::NAME, Line::Bad(key)) => {
                format!("2025-06-0{key} 10:00:00,soon,Sent,57,3005550101")
            }
            (deployments::NAME, Line::Nameless) => "soon,,Sent,57,3005550101".to_owned(),
            (_, Line::Good(key)) => format!("573005550101,t{key},2025-06-0{key}"),
            (_, Line::Bad(key)) => format!("573005550101,t{key},soon"),
            (_, Line::Nameless) => ",t1,".to_owned(),
        };
        text += &[&record, ",,", mends.as_deref().unwrap_or_default(), "\n"].concat();
    }
    text
}

impl Bench {
    /// The open rejects as file and record.
    fn open(&self) -> BTreeSet<(String, i64)> {
        let open = self.open_rejects();
        let files = open.column(rejects::FILE).unwrap().str().unwrap().clone();
        let records = open.column(rejects::RECORD).unwrap().i64().unwrap().clone();
        let named = files.iter().zip(records.iter());
        named.map(|(file, record)| (file.unwrap().to_owned(), record.unwrap())).collect()
    }

    /// The recorded loads without their times.
    fn loads(&self) -> Vec<String> {
        let loads = self.lake().loads().unwrap();
        let columns = ["file_id", "kind", "records", "rejected"];
        let loads = loads.select(columns).unwrap();
        let loads = loads.sort(columns, SortMultipleOptions::default()).unwrap();
        (0..loads.height()).map(|row| format!("{:?}", loads.get_row(row).unwrap())).collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]

    /// In any order and split into loads, the same rejects stay open: those whose key has no row in
    /// another file, and that no file corrects.
    #[test]
    fn open_rejects_do_not_depend_on_file_order(
        table in prop::sample::select(REJECTING.to_vec()),
        files in prop::collection::vec(
            prop::collection::vec(
                prop_oneof![
                    3 => (1..4u8).prop_map(Line::Good),
                    3 => (1..4u8).prop_map(Line::Bad),
                    1 => Just(Line::Nameless),
                ],
                1..4,
            ),
            2..4,
        ),
        order in Just((0..4usize).collect::<Vec<_>>()).prop_shuffle(),
        cuts in prop::collection::btree_set(1..4usize, 0..4),
        undone in any::<prop::sample::Index>(),
    ) {
        let bench = Bench::new();
        let mut paths = Vec::new();
        let mut ids = Vec::new();
        for (number, lines) in files.iter().enumerate() {
            let mut lines: Vec<_> = lines.iter().map(|line| (*line, None)).collect();
            // One good row keeps the load from failing.
            lines.push((Line::Good(8), None));
            let path = bench.file(&format!("{number}.csv"), small(table, number, &lines));
            let tried = Options { dry_run: true, ..Options::default() };
            let report = load(&bench.lake(), std::slice::from_ref(&path), &tried).unwrap();
            ids.push(report.files[0].file_id.clone());
            paths.push(path);
        }
        // The last file corrects the first reject of the first file, under a new key.
        let first_reject = files[0].iter().position(|line| !matches!(line, Line::Good(_)));
        let mends = first_reject.map(|at| format!("{}:{}", ids[0], at + 1));
        paths.push(bench.file("mended.csv", small(table, 9, &[(Line::Good(9), mends)])));

        let has_row = |file: &Vec<Line>, key| file.contains(&Line::Good(key));
        let mut expected = BTreeSet::new();
        for (number, lines) in files.iter().enumerate() {
            for (at, line) in lines.iter().enumerate() {
                let resolved = match line {
                    Line::Good(_) => true,
                    Line::Bad(key) => {
                        files.iter().enumerate().any(|(n, file)| n != number && has_row(file, *key))
                    }
                    Line::Nameless => false,
                };
                let is_mended = number == 0 && first_reject == Some(at);
                if !resolved && !is_mended {
                    expected.insert((format!("{number}.csv"), i64::try_from(at).unwrap() + 1));
                }
            }
        }

        let whole = Bench::new();
        load(&whole.lake(), &paths, &Options::default()).unwrap();
        prop_assert_eq!(whole.open(), expected.clone(), "of one load");

        let order: Vec<usize> = order.into_iter().filter(|at| *at < paths.len()).collect();
        let mut loads: Vec<Vec<PathBuf>> = vec![Vec::new()];
        for (place, at) in order.into_iter().enumerate() {
            if cuts.contains(&place) && !loads.last().unwrap().is_empty() {
                loads.push(Vec::new());
            }
            loads.last_mut().unwrap().push(paths[at].clone());
        }
        let undone = undone.index(loads.len());
        for (number, files) in loads.iter().enumerate() {
            bench.load_files(files).unwrap();
            if number == undone {
                bench.lake().undo().unwrap();
            }
        }
        bench.load_files(&loads[undone]).unwrap();
        prop_assert_eq!(bench.open(), expected, "of {:?}, the {}th of them undone", loads, undone);
        prop_assert_eq!(bench.loads(), whole.loads());
        prop_assert_eq!(
            bench.lake().status().unwrap().open_rejects,
            whole.lake().status().unwrap().open_rejects
        );
    }
}

#[test]
fn concurrent_load_resolves_a_reject() {
    for _ in 0..4 {
        let bench = Bench::new();
        let bad = small(&sessions::TABLE, 1, &[(Line::Bad(1), None), (Line::Good(2), None)]);
        let good = small(&sessions::TABLE, 2, &[(Line::Good(1), None), (Line::Bad(2), None)]);
        let files = [bench.file("bad.csv", &bad), bench.file("good.csv", &good)];
        bench.lake();
        std::thread::scope(|scope| {
            for file in &files {
                let bench = &bench;
                scope.spawn(move || bench.load_files(std::slice::from_ref(file)).unwrap());
            }
        });
        assert!(bench.open().is_empty(), "{:?}", bench.open());
    }
}

#[test]
fn file_resolves_none_of_its_own_rejects() {
    let bench = Bench::new();
    let own = small(&sessions::TABLE, 1, &[(Line::Good(1), None), (Line::Bad(1), None)]);
    let other = small(&sessions::TABLE, 2, &[(Line::Bad(1), None)]);
    bench.load_files(&[bench.file("own.csv", &own)]).unwrap();
    assert_eq!(bench.open(), BTreeSet::from([("own.csv".to_owned(), 2)]));
    bench.load_rejected(bench.file("other.csv", &other));
    assert_eq!(bench.open(), BTreeSet::from([("own.csv".to_owned(), 2)]));
}

#[test]
fn undoing_the_last_of_two_resolving_loads_keeps_a_reject_resolved() {
    let bench = Bench::new();
    let line = |number, line| small(&sessions::TABLE, number, &[(line, None)]);
    let lines = [Line::Bad(1), Line::Good(1), Line::Good(1)];
    for (number, of) in lines.into_iter().enumerate() {
        // The third file has the row again, and a reject that triggers the comparison.
        let text = match number {
            2 => small(&sessions::TABLE, 2, &[(of, None), (Line::Bad(1), None)]),
            _ => line(number, of),
        };
        let file = bench.file(&format!("{number}.csv"), &text);
        match number {
            0 => bench.load_rejected(file),
            _ => drop(bench.load_files(&[file]).unwrap()),
        }
        assert_eq!(bench.open().len(), usize::from(number == 0));
    }
    bench.lake().undo().unwrap();
    assert!(bench.open().is_empty(), "the second load still has the row");
    bench.lake().undo().unwrap();
    assert_eq!(bench.open(), BTreeSet::from([("0.csv".to_owned(), 1)]));
}
