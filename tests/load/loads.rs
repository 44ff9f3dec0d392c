//! Loads of small exports: merge by key, undo, dry runs, encodings, concurrency.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use ::zip::write::SimpleFileOptions;
use proptest::prelude::*;
use wabalake::load::{Options, load};
use wabalake_data::tables::{
    CellKind, USER_ID, deployments, identities, key_part, messages, meta_points, rates, sessions,
};
use wabalake_data::{Column, TABLES, Table};

use crate::support::{Bench, archive, gz, total};

pub(super) const SESSIONS: &str = "session_id,session_started_timestamp,session_finished_timestamp,\
                        session_status,user_country_code,user_cellphone\n";

#[test]
fn later_export_updates_a_session() {
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
fn session_that_moves_to_another_day_is_one_row() {
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
fn load_over_the_reject_limit_commits_nothing() {
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
        assert!(!said.contains("soon"), "the error shows a cell: {said}");
    }
    assert_eq!(bench.lake().snapshot(&sessions::TABLE).unwrap().version, None);
    assert_eq!(bench.open_rejects().height(), 0);

    let allowed = Options { max_rejects: Some(1), ..Options::default() };
    assert_eq!(total(&load(&bench.lake(), &[file], &allowed).unwrap()), [2, 1, 0, 0, 1, 0, 0]);
    assert_eq!(bench.open_rejects().height(), 1);
}

#[test]
fn dry_run_counts_and_commits_nothing() {
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
fn undone_file_can_be_loaded_again() {
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
fn file_id_includes_the_source_time_zone() {
    let bench = Bench::new();
    let file = bench.file("a.csv", format!("{SESSIONS}a1,2025-06-01 10:00:00,,BOT,57,1\n"));
    bench.load_files(std::slice::from_ref(&file)).unwrap();
    let bogota = Options { source_timezone: chrono_tz::America::Bogota, ..Options::default() };
    let report = load(&bench.lake(), &[file], &bogota).unwrap();
    assert!(!report.files[0].already_loaded);
    let rows = bench.stored(&sessions::TABLE);
    // Equal states: the later start wins.
    assert_eq!(rows.len(), 1);
    assert!(rows[0].contains("2025-06-01 15:00"), "{rows:?}");
}

#[test]
fn renamed_columns_make_a_file_an_export() {
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
fn compression_encoding_and_delimiter_change_no_row() {
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
fn concurrent_loads_all_commit() {
    let bench = Bench::new();
    let file = |n: usize| {
        let own = format!("b{n},2025-06-01 1{n}:00:00,,BOT,57,300555010{n}\n");
        let shared = format!("a1,2025-06-01 10:00:00,2025-06-01 10:0{n}:00,BOT,57,3005550100\n");
        bench.file(&format!("{n}.csv"), format!("{SESSIONS}{own}{shared}"))
    };
    let files: Vec<PathBuf> = (0..6).map(file).collect();
    // Each load opens the lake by itself, as a process would.
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

/// A row of a table with few distinct values, so that equal keys, ties and nulls are frequent.
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
        let names: Vec<_> = table.exported().map(|column| column.name).collect();
        let place = |name: &str| names.iter().position(|known| *known == name);
        // A rate is of a country or of a market.
        let either =
            place(rates::COUNTRY).zip(place(rates::MARKET)).filter(|_| *table == rates::TABLE);
        let pair =
            place(USER_ID).zip(place(identities::LINKED)).filter(|_| *table == identities::TABLE);
        let cells: Vec<_> = table.exported().map(cell_of).collect();
        cells
            .prop_map(move |mut cells| {
                if let Some((country, market)) = either
                    && !cells[market].is_empty()
                {
                    cells[country] = "";
                }
                // A file of which no pair links anything is an error.
                if let Some((user_id, linked)) = pair {
                    if !cells[user_id].contains('.') {
                        cells[user_id] = "CO.13491208655302741918";
                    }
                    if cells[linked].len() < "3005550101".len() {
                        cells[linked] = "CO.99130000000000000001";
                    }
                }
                cells.join(",")
            })
            .boxed()
    }
}

/// A valid cell of a column.
fn cell_of(column: &'static Column) -> impl Strategy<Value = &'static str> {
    let mut cells = match column.kind {
        CellKind::Text => vec!["x", "  y "],
        CellKind::Dashed => vec!["-", "x"],
        CellKind::Word => vec!["w1", "w2"],
        CellKind::Phone | CellKind::FullPhone => vec!["573005550101", "+57 300 555 0102"],
        CellKind::Enumeration(list) | CellKind::Closed(list) => list.values().take(2).collect(),
        CellKind::Stamp | CellKind::Moment | CellKind::StampOrText => {
            vec!["2025-06-01 23:59:59", "2025-06-02T00:00:00Z"]
        }
        CellKind::Date => vec!["2025-06-01", "\"Jun 2, 2025\""],
        CellKind::Integer | CellKind::Count => vec!["0", "7"],
        CellKind::Seconds if column.name == meta_points::END => vec!["1748908800"],
        CellKind::Seconds => vec!["1748736000", "1748822400"],
        CellKind::Money | CellKind::Decimal | CellKind::Number => vec!["1.5", "2"],
        CellKind::Boolean => vec!["yes", "no"],
        CellKind::Country => vec!["CO", "India"],
        CellKind::UserId => vec!["CO.1", "MX.ENT.2", "42"],
        CellKind::List(_) => vec!["A", "\"B,A\""],
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

/// The rows of a table after loading the files one by one with a memory limit.
fn after(table: &'static Table, files: &[Vec<String>], memory: usize) -> Vec<String> {
    let bench = Bench::new();
    for (n, lines) in files.iter().enumerate() {
        // An unknown column makes equal files differ.
        let text = format!("{},n{n}\n{},\n", header_of(table), lines.join(",\n"));
        let file = bench.file(&format!("{n}.csv"), &text);
        let options = Options { memory, ..Options::default() };
        load(&bench.lake(), &[file], &options).unwrap();
    }
    let scan = bench.lake().snapshot(table).unwrap().scan().unwrap();
    let keys = scan.select(table.key.iter().map(|name| key_part(name)).collect::<Vec<_>>());
    let twice = keys.collect().unwrap().is_duplicated().unwrap();
    assert!(!twice.any(), "two rows of {} have one key", table.name);
    bench.stored(table)
}

/// Tables whose rows are merged, not added up.
fn tables() -> impl Strategy<Value = &'static Table> {
    let alone = TABLES.iter().copied().filter(|table| table.summed.is_empty());
    prop::sample::select(alone.collect::<Vec<_>>())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    /// Any order, any split into files, repeated loads and any memory limit give the same rows.
    /// `ad_spend` tests tables whose rows are added up.
    #[test]
    fn order_and_split_of_files_change_no_row(
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
        // The first file once more.
        files.push(files[0].clone());
        prop_assert_eq!(after(table, &files, memory), whole);
    }
}

#[test]
fn exports_of_the_repository_have_the_rows_of_their_readme() {
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
    assert_eq!(rows, [168, 152, 342, 218, 124, 149, 30, 0, 0, 427, 360, 12, 29, 54, 21, 8, 36]);
    files.reverse();
    assert_eq!(counts(&files), forward);
}
