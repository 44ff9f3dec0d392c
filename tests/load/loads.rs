//! What a load promises, over small exports written for each test.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use ::zip::write::SimpleFileOptions;
use polars::prelude::*;
use proptest::prelude::*;
use wabalake::lake::rejects;
use wabalake::load::{Options, load};
use wabalake_data::tables::{Kind, audience_tags, deployments, messages, meta_points, sessions};
use wabalake_data::{Column, TABLES, Table};

use crate::support::{Bench, archive, gz, total};

const SESSIONS: &str = "session_id,session_started_timestamp,session_finished_timestamp,\
                        session_status,user_country_code,user_cellphone\n";

#[test]
fn a_later_export_knows_more_of_the_same_session() {
    let bench = Bench::new();
    let first = format!("{SESSIONS}a1,2025-06-01 10:00:00,,BOT,57,3005550101\n");
    let second = format!(
        "{SESSIONS}a1,2025-06-01 10:00:00,2025-06-01 10:05:00,HumanHandover,+57,300 555-0101\n\
         a2,2025-06-01 11:00:00,,AI,57.0,3005550102.0\n"
    );
    let (first, second) = (bench.file("1.csv", &first), bench.file("2.csv", &second));
    assert_eq!(
        total(&bench.load_files(std::slice::from_ref(&first)).unwrap()),
        [1, 1, 0, 0, 0, 0, 0]
    );
    assert_eq!(
        total(&bench.load_files(std::slice::from_ref(&second)).unwrap()),
        [2, 1, 1, 0, 0, 0, 0]
    );
    let rows = bench.stored(&sessions::TABLE);
    assert_eq!(rows.len(), 2);
    assert!(rows[0].contains("AGENTS") && rows[0].contains("573005550101"));

    let again = bench.load_files(&[first, second]).unwrap();
    assert!(again.files.iter().all(|file| file.already_loaded));
    assert_eq!(bench.lake().snapshot(&sessions::TABLE).unwrap().version, Some(1));
}

#[test]
fn a_session_that_changes_its_day_is_one_session() {
    for reversed in [false, true] {
        let bench = Bench::new();
        let early = format!("{SESSIONS}a1,2025-06-01 23:59:00,,BOT,57,3005550101\n");
        let late = format!(
            "{SESSIONS}a1,2025-06-02 00:01:00,2025-06-02 00:09:00,BOT,57,3005550101\n\
             a2,2025-06-01 12:00:00,,BOT,57,3005550102\n"
        );
        let mut files = [bench.file("early.csv", &early), bench.file("late.csv", &late)];
        if reversed {
            files.reverse();
        }
        for file in files {
            bench.load_files(&[file]).unwrap();
        }
        let rows = bench.stored(&sessions::TABLE);
        assert_eq!(rows.len(), 2, "{rows:?}");
        assert!(rows.iter().any(|row| row.contains("a1") && row.contains("2025-06-02 00:09")));
    }
}

#[test]
fn strict_and_max_rejects_commit_nothing() {
    let bench = Bench::new();
    let file = bench
        .file("a.csv", format!("{SESSIONS}a1,soon,,BOT,57,1\na2,2025-06-01 10:00:00,,BOT,57,1\n"));
    for options in [
        Options { strict: true, ..Options::default() },
        Options { max_rejects: Some(0), ..Options::default() },
    ] {
        let error = load(&bench.lake(), std::slice::from_ref(&file), &options).unwrap_err();
        assert_eq!(error.exit_code(), 1);
        let said = error.lines();
        assert!(said.contains("record 1, line 2, `session_started_timestamp`"), "{said}");
        assert!(!said.contains("soon"), "an error repeats what a cell says: {said}");
    }
    assert_eq!(bench.lake().snapshot(&sessions::TABLE).unwrap().version, None);
    assert_eq!(bench.open_rejects().height(), 0);

    let allowed = Options { max_rejects: Some(1), ..Options::default() };
    assert_eq!(total(&load(&bench.lake(), &[file], &allowed).unwrap()), [2, 1, 0, 0, 1, 0, 0]);
    assert_eq!(bench.open_rejects().height(), 1);
}

#[test]
fn a_dry_run_counts_and_changes_nothing() {
    let bench = Bench::new();
    let file = bench
        .file("a.csv", format!("{SESSIONS}a1,soon,,BOT,57,1\na2,2025-06-01 10:00:00,,BOT,57,1\n"));
    let options = Options { dry_run: true, ..Options::default() };
    let report = load(&bench.lake(), &[file], &options).unwrap();
    assert_eq!(total(&report), [2, 1, 0, 0, 1, 0, 0]);
    assert_eq!(report.load_id, None);
    assert_eq!(bench.lake().snapshot(&sessions::TABLE).unwrap().version, None);
}

#[test]
fn rejects_are_mended_by_their_export() {
    let bench = Bench::new();
    let text = "Conversation ID;Deployment Start Timestamp;User Cellphone;Deployment Status\n\
                c1;not a time;+57 300 555 0101;Delivered\n\
                c2;2025-06-01 10:00:00;573005550102;Failed\n";
    bench.load_files(&[bench.file("d.csv", text)]).unwrap();
    let open = bench.open_rejects();
    assert_eq!(open.height(), 1);

    let mut mended = Vec::new();
    wabalake::load::rejects::export(&open, true, &mut mended).unwrap();
    let mended = String::from_utf8(mended).unwrap().replace("not a time", "2025-06-01 09:00:00");
    let report = bench.load_files(&[bench.file("mended.csv", &mended)]).unwrap();
    assert_eq!(total(&report), [1, 1, 0, 0, 0, 0, 0]);
    assert_eq!(report.files[0].unknown_columns, Vec::<String>::new());
    assert_eq!(bench.open_rejects().height(), 0);
    assert_eq!(bench.stored(&deployments::TABLE).len(), 2);
}

/// A cell with what begins a formula, what guards one, and what CSV puts between quotes.
const CELL: &str = "['=+@\t\ra,\"\n-]{0,5}";

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, ..ProptestConfig::default() })]

    #[test]
    fn a_guarded_export_of_rejects_comes_back_as_it_was(
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
            wabalake::load::rejects::export(&bench.open_rejects(), is_exact, &mut text).unwrap();
            String::from_utf8(text).unwrap()
        };
        // Rejected once more, the records say what they said.
        let (guarded, exact) = (written(false), written(true));
        for name in ["b.csv", "c.csv"] {
            bench.refused(bench.file(name, &guarded));
            prop_assert_eq!(bench.open_rejects().height(), 2 * records.len());
        }
        for text in [guarded, exact, written(false), written(true)] {
            let mended = text.replace("soon", "2025-06-01 10:00:00");
            let mended = bench.load_files(&[bench.file("mended.csv", &mended)]).unwrap();
            prop_assert_eq!(mended.total(|file| file.rows_rejected), 0);
            prop_assert_eq!(bench.stored(&sessions::TABLE), wanted.stored(&sessions::TABLE));
            bench.lake().undo().unwrap();
        }
    }
}

#[test]
fn a_reject_is_resolved_by_a_later_row_with_its_key_until_that_is_undone() {
    let bench = Bench::new();
    bench.refused(bench.file("bad.csv", format!("{SESSIONS}a1,soon,,BOT,57,1\n")));
    assert_eq!(bench.open_rejects().height(), 1);
    let good = format!("{SESSIONS}a1,2025-06-01 10:00:00,,BOT,57,1\n");
    bench.load_files(&[bench.file("good.csv", &good)]).unwrap();
    assert_eq!(bench.open_rejects().height(), 0);
    bench.lake().undo().unwrap();
    assert_eq!(bench.open_rejects().height(), 1);
    assert_eq!(bench.stored(&sessions::TABLE).len(), 0);
}

#[test]
fn an_undone_file_can_be_loaded_again() {
    let bench = Bench::new();
    let first = bench.file("1.csv", format!("{SESSIONS}a1,2025-06-01 10:00:00,,BOT,57,1\n"));
    let second = bench
        .file("2.csv", format!("{SESSIONS}a1,2025-06-01 10:00:00,2025-06-01 10:05:00,BOT,57,1\n"));
    bench.load_files(&[first]).unwrap();
    let before = bench.stored(&sessions::TABLE);
    bench.load_files(std::slice::from_ref(&second)).unwrap();
    let after = bench.stored(&sessions::TABLE);
    bench.lake().undo().unwrap();
    assert_eq!(bench.stored(&sessions::TABLE), before);
    assert_eq!(total(&bench.load_files(&[second]).unwrap()), [1, 0, 1, 0, 0, 0, 0]);
    assert_eq!(bench.stored(&sessions::TABLE), after);
}

#[test]
fn stamps_are_read_in_the_source_zone_and_files_told_apart_by_it() {
    let bench = Bench::new();
    let file = bench.file("a.csv", format!("{SESSIONS}a1,2025-06-01 10:00:00,,BOT,57,1\n"));
    bench.load_files(std::slice::from_ref(&file)).unwrap();
    let bogota = Options { source_timezone: chrono_tz::America::Bogota, ..Options::default() };
    let report = load(&bench.lake(), &[file], &bogota).unwrap();
    assert!(!report.files[0].already_loaded);
    let rows = bench.stored(&sessions::TABLE);
    // Neither row is further along, so the greater start stays.
    assert_eq!(rows.len(), 1);
    assert!(rows[0].contains("2025-06-01 15:00"), "{rows:?}");
}

#[test]
fn renamed_columns_and_headers_that_are_no_export() {
    let bench = Bench::new();
    let text = "id,started,colour\na1,2025-06-01 10:00:00,red\n";
    let file = bench.file("a.csv", text);
    let error = bench.load_files(std::slice::from_ref(&file)).unwrap_err();
    assert_eq!(error.exit_code(), 1);

    let renames = [("id", "session_id"), ("started", "session_started_timestamp")];
    let renames = renames.map(|(from, to)| (from.to_owned(), to.to_owned())).to_vec();
    let options = Options { renames, ..Options::default() };
    let report = load(&bench.lake(), &[file], &options).unwrap();
    assert_eq!(report.files[0].unknown_columns, ["colour"]);
    assert_eq!(bench.stored(&sessions::TABLE).len(), 1);
}

#[test]
fn packed_files_and_encodings_hold_the_same_rows() {
    let text = format!("{SESSIONS}a1,2025-06-01 10:00:00,,BOT,57,3005550101\n");
    let plain = Bench::new();
    plain.load_files(&[plain.file("a.csv", &text)]).unwrap();
    let expected = plain.stored(&sessions::TABLE);

    let utf_16: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
    let (head, tail) = text.as_bytes().split_at(40);
    let packed = [
        gz(text.as_bytes()),
        [gz(head), gz(tail)].concat(),
        zstd::encode_all(text.as_bytes(), 1).unwrap(),
        archive(&[("exports/a.csv", text.as_bytes())], SimpleFileOptions::default()),
        utf_16,
        text.replace(',', ";").into_bytes(),
        text.replace(',', "\t").into_bytes(),
        format!("\u{feff}{text}").into_bytes(),
    ];
    for bytes in packed {
        let bench = Bench::new();
        bench.load_files(&[bench.file("a.csv", &bytes)]).unwrap();
        assert_eq!(bench.stored(&sessions::TABLE), expected);
    }

    let bench = Bench::new();
    let packed = gz(text.as_bytes());
    let cut = bench.file("cut.csv.gz", &packed[..packed.len() - 9]);
    assert_eq!(bench.load_files(&[cut]).unwrap_err().exit_code(), 1);
    assert_eq!(bench.lake().snapshot(&sessions::TABLE).unwrap().version, None);
}

#[test]
fn several_loads_at_once_all_land() {
    let bench = Bench::new();
    let file = |n: usize| {
        let own = format!("b{n},2025-06-01 1{n}:00:00,,BOT,57,300555010{n}\n");
        let shared = format!("a1,2025-06-01 10:00:00,2025-06-01 10:0{n}:00,BOT,57,3005550100\n");
        bench.file(&format!("{n}.csv"), format!("{SESSIONS}{own}{shared}"))
    };
    let files: Vec<PathBuf> = (0..6).map(file).collect();
    // Each has its own lake, as each process would.
    std::thread::scope(|scope| {
        for file in &files {
            scope.spawn(|| bench.load_files(std::slice::from_ref(file)).unwrap());
        }
        scope.spawn(|| bench.load_files(&files[..1]).unwrap());
    });
    let rows = bench.stored(&sessions::TABLE);
    assert_eq!(rows.len(), 7);
    assert!(rows[0].contains("a1") && rows[0].contains("10:05:00"), "{}", rows[0]);
}

/// A row of some table, with few distinct values, so that keys, ties and nulls are frequent.
fn row_of(table: &'static Table) -> BoxedStrategy<String> {
    let stamp = || {
        let stamps = ["", "2025-06-01 23:59:59", "2025-06-02 00:00:00.5", "2025-06-02T10:00:00Z"];
        prop::sample::select(stamps.to_vec())
    };
    let time = || prop::sample::select(vec!["2025-06-01 23:59:59", "2025-06-02 00:00:00.5"]);
    let phone =
        || prop::sample::select(vec!["3005550101", "3005550102.0", "+57 300 555 0101", "12"]);
    let text = || prop::sample::select(vec!["", "x", "-", "  y ", "\u{1f44d}"]);
    if table == &sessions::TABLE {
        let id = prop::sample::select(vec!["a1", "a2", "a3", "a4"]);
        let status = prop::sample::select(vec!["", "AI", "AGENTS", "Rating", "closed"]);
        (id, time(), stamp(), stamp(), status, text(), phone())
            .prop_map(|(id, started, finished, last, status, text, phone)| {
                format!("{id},{started},{finished},{last},{status},{text},57,{phone}")
            })
            .boxed()
    } else if table == &deployments::TABLE {
        let flow = prop::sample::select(vec!["", "c1", "c2"]);
        let status =
            prop::sample::select(vec!["In Process", "SUCCESS", "Delivered", "REVOKED", "?"]);
        let session = prop::sample::select(vec!["", "s1"]);
        (flow, time(), stamp(), status, text(), session, phone())
            .prop_map(|(flow, at, answer, status, detail, session, phone)| {
                format!("{flow},{at},{answer},{status},{detail},{session},57,{phone}")
            })
            .boxed()
    } else if table == &messages::TABLE {
        let id = prop::sample::select(vec!["m1", "m2", "m3"]);
        let direction = prop::sample::select(vec!["true", "false"]);
        (id, direction, time(), stamp(), stamp(), stamp(), text())
            .prop_map(|(id, direction, at, sent, delivered, seen, text)| {
                format!("{id},{direction},{at},{sent},{delivered},{seen},{text},5511981234567")
            })
            .boxed()
    } else {
        let cells: Vec<_> = table.exported().map(cell_of).collect();
        cells.prop_map(|cells| cells.join(",")).boxed()
    }
}

/// A cell of some column, by what it may hold.
fn cell_of(column: &'static Column) -> impl Strategy<Value = &'static str> {
    let mut cells = match column.kind {
        Kind::Text => vec!["x", "  y "],
        Kind::Dashed => vec!["-", "x"],
        Kind::Word => vec!["w1", "w2"],
        Kind::Phone | Kind::FullPhone => vec!["573005550101", "+57 300 555 0102"],
        Kind::Enumeration(list) | Kind::Closed(list) => list.values().take(2).collect(),
        Kind::Stamp | Kind::Moment => vec!["2025-06-01 23:59:59", "2025-06-02T00:00:00Z"],
        Kind::Date => vec!["2025-06-01", "\"Jun 2, 2025\""],
        Kind::Integer | Kind::Count => vec!["0", "7"],
        Kind::Seconds if column.name == meta_points::END => vec!["1748908800"],
        Kind::Seconds => vec!["1748736000", "1748822400"],
        Kind::Money => vec!["1.5", "2"],
        Kind::Boolean => vec!["yes", "no"],
        Kind::Country => vec!["CO", "India"],
        Kind::List => vec!["A", "\"B,A\""],
    };
    if !column.required {
        cells.push("");
    }
    prop::sample::select(cells)
}

fn header_of(table: &'static Table) -> String {
    let names = match table.name {
        sessions::NAME => {
            "session_id,session_started_timestamp,session_finished_timestamp,\
             last_message_timestamp,session_status,last_message,user_country_code,user_cellphone"
        }
        deployments::NAME => {
            "conversation_id,deployment_timestamp,user_responded_timestamp,delivery_status,\
             status_detail,session_id,user_country_code,user_cellphone"
        }
        messages::NAME => {
            "whatsapp_id,message_direction,created_at,sent_at,delivered_at,seen_at,message,from"
        }
        _ => {
            let names: Vec<_> = table.exported().map(|column| column.name).collect();
            return names.join(",");
        }
    };
    names.to_owned()
}

/// Rows in a table after files were loaded one by one, with so much memory.
fn after(table: &'static Table, files: &[Vec<String>], memory: usize) -> Vec<String> {
    let bench = Bench::new();
    for (n, lines) in files.iter().enumerate() {
        // A column that is not known tells equal files apart.
        let text = format!("{},n{n}\n{},\n", header_of(table), lines.join(",\n"));
        let file = bench.file(&format!("{n}.csv"), &text);
        let options = Options { memory, ..Options::default() };
        load(&bench.lake(), &[file], &options).unwrap();
    }
    let scan = bench.lake().snapshot(table).unwrap().scan().unwrap();
    let keys = scan.select(table.key.iter().map(|name| col(*name)).collect::<Vec<_>>());
    let twice = keys.collect().unwrap().is_duplicated().unwrap();
    assert!(!twice.any(), "two rows of {} have one key", table.name);
    bench.stored(table)
}

/// Tables whose rows mean the same in whichever file they come.
fn tables() -> impl Strategy<Value = &'static Table> {
    let alone = TABLES.iter().copied().filter(|table| table.added_up.is_empty());
    prop::sample::select(alone.collect::<Vec<_>>())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// The same rows in any order, in any files, any number of times, in any memory: one table. Of
    /// tables whose rows are added up `spend` tells.
    #[test]
    fn any_order_of_any_files_gives_one_table(
        (table, lines) in tables().prop_flat_map(|table| {
            (Just(table), prop::collection::vec(row_of(table), 1..14))
        }),
        order in any::<prop::sample::Index>(),
        cuts in prop::collection::btree_set(0..14usize, 0..3),
        memory in prop::sample::select(vec![2_000usize, 192 << 20]),
    ) {
        let whole = after(table, std::slice::from_ref(&lines), 192 << 20);

        let mut shuffled = lines.clone();
        shuffled.rotate_left(order.index(lines.len()));
        shuffled.reverse();
        let cuts: BTreeSet<usize> = cuts.into_iter().filter(|cut| *cut < shuffled.len()).collect();
        let mut files = Vec::new();
        let mut from = 0;
        for cut in cuts.into_iter().chain([shuffled.len()]) {
            if cut > from {
                files.push(shuffled[from..cut].to_vec());
                from = cut;
            }
        }
        // And once more what came first.
        files.push(files[0].clone());
        prop_assert_eq!(after(table, &files, memory), whole);
    }
}

/// A line of a small export: a row, or a record that is rejected though its key can be read, or one
/// whose key cannot.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Line {
    Good(u8),
    Bad(u8),
    Nameless,
}

/// What tables a test of rejects is about: a key of one text, one that carries the time, one of
/// several texts.
const REJECTING: [&Table; 3] = [&sessions::TABLE, &deployments::TABLE, &audience_tags::TABLE];

/// An export of such lines; `mends` names the reject that each line mends.
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
        // What tells files apart must not tell their rows apart.
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
    /// The open rejects, as names of their files and records.
    fn open(&self) -> BTreeSet<(String, i64)> {
        let open = self.open_rejects();
        let files = open.column(rejects::FILE).unwrap().str().unwrap().clone();
        let records = open.column(rejects::RECORD).unwrap().i64().unwrap().clone();
        let named = files.iter().zip(records.iter());
        named.map(|(file, record)| (file.unwrap().to_owned(), record.unwrap())).collect()
    }

    /// What loads tell, but for when they were.
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

    /// Whichever file is loaded first, and whichever are loaded together, the same rejects are open:
    /// those with whose key no other file has a row, and that no file mends.
    #[test]
    fn open_rejects_do_not_depend_on_the_order_of_files(
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
            // Of which nothing is taken, nothing would be loaded.
            lines.push((Line::Good(8), None));
            let path = bench.file(&format!("{number}.csv"), small(table, number, &lines));
            let tried = Options { dry_run: true, ..Options::default() };
            let report = load(&bench.lake(), std::slice::from_ref(&path), &tried).unwrap();
            ids.push(report.files[0].file_id.clone());
            paths.push(path);
        }
        // The last file mends the first reject of the first, under a key that none has.
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
fn a_reject_is_resolved_by_a_load_that_runs_beside_its_own() {
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
fn a_file_resolves_none_of_its_own_rejects() {
    let bench = Bench::new();
    let own = small(&sessions::TABLE, 1, &[(Line::Good(1), None), (Line::Bad(1), None)]);
    let other = small(&sessions::TABLE, 2, &[(Line::Bad(1), None)]);
    bench.load_files(&[bench.file("own.csv", &own)]).unwrap();
    assert_eq!(bench.open(), BTreeSet::from([("own.csv".to_owned(), 2)]));
    bench.refused(bench.file("other.csv", &other));
    assert_eq!(bench.open(), BTreeSet::from([("own.csv".to_owned(), 2)]));
}

#[test]
fn a_later_load_that_is_undone_leaves_a_reject_resolved() {
    let bench = Bench::new();
    let line = |number, line| small(&sessions::TABLE, number, &[(line, None)]);
    let lines = [Line::Bad(1), Line::Good(1), Line::Good(1)];
    for (number, of) in lines.into_iter().enumerate() {
        // The third brings the row again, and a reject with its key that makes it look.
        let text = match number {
            2 => small(&sessions::TABLE, 2, &[(of, None), (Line::Bad(1), None)]),
            _ => line(number, of),
        };
        let file = bench.file(&format!("{number}.csv"), &text);
        match number {
            0 => bench.refused(file),
            _ => drop(bench.load_files(&[file]).unwrap()),
        }
        assert_eq!(bench.open().len(), usize::from(number == 0));
    }
    bench.lake().undo().unwrap();
    assert!(bench.open().is_empty(), "the second load still has the row");
    bench.lake().undo().unwrap();
    assert_eq!(bench.open(), BTreeSet::from([("0.csv".to_owned(), 1)]));
}

#[test]
fn the_committed_exports_load_as_their_readme_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/exports");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "csv" || end == "jsonl"))
        .collect();
    files.sort();
    let counts = |files: &[PathBuf]| {
        let bench = Bench::new();
        bench.load_files(files).unwrap();
        TABLES.iter().map(|table| bench.stored(table)).collect::<Vec<_>>()
    };
    let forward = counts(&files);
    let rows: Vec<_> = forward.iter().map(Vec::len).collect();
    assert_eq!(rows, [168, 152, 342, 218, 124, 149, 427, 360, 12, 29, 21, 36]);
    files.reverse();
    assert_eq!(counts(&files), forward);
}
