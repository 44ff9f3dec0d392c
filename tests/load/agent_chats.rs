//! Treble's agent report: people, states, and columns that have the times of messages or their texts.

use proptest::prelude::*;
use wabalake::load::Options;
use wabalake_data::cells::DateOrder;
use wabalake_data::tables::agent_chats::{self, AGENT, AGENT_FIRST_MESSAGE_AT, LAST_MESSAGE_AT};

use crate::support::{Bench, Said, passed_over, total, workbook};

/// The titles of the report.
const REPORT: &str = "phone,contact,tag,agent,created_at,assigned_at,finished_at,last_transfer_from,\
                      agent_first_message,last_message,last_message_sender,duration,rating,status,\
                      finish_type,labels\n";

#[test]
fn the_agent_report_is_detected_and_typed() {
    let bench = Bench::new();
    let text = format!(
        "{REPORT}\
         +57 300 5550101,Paz,ventas,Alba,2025-06-01 10:00:00,2025-06-01 10:01:00,2025-06-01 10:30:00,-,\
         2025-06-01 10:02:00,2025-06-01 10:29:00,IA,00:30:00,4.5,finished,manual,\"vip, urgent;now,vip\"\n\
         CO.13491208655302741918,,-,-,2025-06-02 10:00:00,,,Davi,,-,user,,-,open,,\n\
         3005550101,,,Alba,2025-06-03 10:00:00,,,,,,Agent,,,,AUTO,\"[\"\"b\"\",\"\"a\"\"]\"\n"
    );
    let options = Options { default_country: Some("CO"), ..Options::default() };
    let report = bench.load_with(&[bench.file("treble.csv", text)], &options).unwrap();
    assert_eq!(report.files[0].table, agent_chats::NAME);
    assert_eq!(report.files[0].unknown_columns, [""; 0]);
    assert_eq!(total(&report)[..2], [3, 3]);
    let rows: Vec<_> = bench
        .rows(&agent_chats::TABLE)
        .iter()
        .map(|row| row.replace(".000000Z", "").replace("2025-06-0", ""))
        .collect();
    assert_eq!(
        rows,
        [
            "573005550101||CO|Alba|1 10:00:00|1 10:01:00|1 10:30:00||1 10:02:00|1 10:29:00|BOT|4.500000|\
             finished|MANUAL|ventas|urgent;now,vip|1",
            "573005550101||CO|Alba|3 10:00:00||||||AGENT|||AUTO||a,b|3",
            "|CO.13491208655302741918|CO||2 10:00:00|||Davi|||USER||open||||2",
        ]
    );
}

#[test]
fn a_list_of_tags_with_times_is_no_agent_report() {
    let bench = Bench::new();
    let report = bench.load("tags.csv", "phone,tag,created_at\n573005550101,vip,2025-06-01\n");
    assert_eq!(report.files[0].table, "audience_tags");
}

/// The two columns of messages.
fn messages(bench: &Bench) -> Vec<String> {
    let columns = [AGENT, AGENT_FIRST_MESSAGE_AT, LAST_MESSAGE_AT];
    let rows = bench.columns(&agent_chats::TABLE, &columns, "|");
    rows.iter().map(|row| row.replace(".000000Z", "").replace("2025-06-01 ", "")).collect()
}

fn chats(titles: &str, cells: &[&str]) -> String {
    let row =
        |(n, cells): (usize, &&str)| format!("57300555010{n},a{n},2025-06-01T10:00:00Z,{cells}\n");
    let rows: String = cells.iter().enumerate().map(row).collect();
    format!("phone,agent,created_at,{titles}\n{rows}")
}

const MESSAGES: &str = "agent_first_message,last_message";

#[test]
fn a_column_without_a_single_time_has_texts_and_stays_null() {
    let bench = Bench::new();
    // A phone number is no time among texts, nor are a date alone and an empty cell.
    let cells = [
        "2025-06-01 10:02:00,3005550102",
        ",see you on 2025-06-01 10:00",
        "-,2025-06-01",
        "2025-06-01T10:05:00Z,",
        "1748772000,\"a, b\nc\"",
    ];
    let report = bench.load("chats.csv", chats(MESSAGES, &cells));
    assert_eq!(total(&report)[..2], [5, 5]);
    assert_eq!(messages(&bench), ["a0|10:02:00|", "a1||", "a2||", "a3|10:05:00|", "a4|10:00:00|"]);
    // No text is stored, nor is it in the log or in a reject.
    let searched = crate::support::files_below(bench.lake().root());
    for file in searched {
        let bytes = std::fs::read(&file).unwrap();
        assert!(memchr::memmem::find(&bytes, b"see you").is_none(), "{}", file.display());
    }
}

#[test]
fn a_text_among_times_is_rejected() {
    let bench = Bench::new();
    let cells = ["2025-06-01 10:02:00,", "soon,2025-06-01 10:03:00", ",hello"];
    let report = bench.load("chats.csv", chats(MESSAGES, &cells));
    assert_eq!(total(&report)[..5], [3, 1, 0, 0, 2]);
    assert_eq!(messages(&bench), ["a0|10:02:00|"]);
    let rejects = bench.rejects();
    let reason = "not a date and time such as";
    assert!(rejects[0].contains(&format!("{AGENT_FIRST_MESSAGE_AT}: {reason}")), "{rejects:?}");
    assert!(rejects[1].contains(&format!("{LAST_MESSAGE_AT}: {reason}")), "{rejects:?}");
    // The time may stand in a row that is rejected for another fault.
    let bench = Bench::new();
    let text = chats(MESSAGES, &[",hello", ",2025-06-01 10:03:00"]);
    let text = text.replace("573005550101,a1,2025-06-01T10:00:00Z", "573005550101,a1,soon");
    assert!(bench.try_load("chats.csv", text).is_err(), "no record is taken");
    assert_eq!(bench.rejects().len(), 2);
}

#[test]
fn numbers_alone_are_times_and_dates_have_one_order() {
    let bench = Bench::new();
    let cells = ["1748772000,1/6/2025 10:00", "1748772000000,13/6/2025 10:00", ",-"];
    bench.load("chats.csv", chats(MESSAGES, &cells));
    assert_eq!(
        messages(&bench),
        ["a0|10:00:00|10:00:00", "a1|10:00:00|2025-06-13 10:00:00", "a2||"]
    );
    // With the order given, texts are still not taken for times.
    let bench = Bench::new();
    let options = Options {
        date_order: Some(DateOrder::DayFirst),
        decimal: Some(wabalake_data::cells::DecimalMark::Point),
        ..Options::default()
    };
    let file = bench.file("chats.csv", chats(MESSAGES, &["1/6/2025 10:00,hello", ",1748772000"]));
    bench.load_with(&[file], &options).unwrap();
    assert_eq!(messages(&bench), ["a0|10:00:00|", "a1||"]);
}

#[test]
fn a_time_stands_before_a_text_of_the_same_name() {
    for titles in ["last_message,last_message_at", "Last Message,Last Message At"] {
        let bench = Bench::new();
        let report = bench.load("chats.csv", chats(titles, &["hello,2025-06-01 10:03:00", "bye,"]));
        assert_eq!(messages(&bench), ["a0||10:03:00", "a1||"]);
        assert_eq!(report.files[0].unknown_columns, [titles.split(',').next().unwrap()]);
    }
    let bench = Bench::new();
    let twice = chats("last_message_at,last_message_at", &["2025-06-01 10:03:00,"]);
    let error = bench.try_load("twice.csv", twice).unwrap_err();
    assert!(error.lines().contains("has two columns `last_message_at`"), "{}", error.lines());
}

#[test]
fn spreadsheets_and_json_have_texts_or_times_too() {
    let bench = Bench::new();
    let sheet = chats(MESSAGES, &["2025-06-01 10:02:00,hello", ",bye"]);
    bench.load("chats.xlsx", workbook(&sheet));
    assert_eq!(messages(&bench), ["a0|10:02:00|", "a1||"]);
    let bench = Bench::new();
    let json = r#"[{"phone": "573005550100", "agent": "a0", "created_at": "2025-06-01T10:00:00Z",
                    "last_message": "hello", "agent_first_message": "2025-06-01T10:02:00Z",
                    "rating": 4.5, "labels": ["b", "a"]}]"#;
    assert_eq!(bench.load("chats.json", json).files[0].table, agent_chats::NAME);
    assert_eq!(messages(&bench), ["a0|10:02:00|"]);
    assert_eq!(bench.columns(&agent_chats::TABLE, &["rating", "labels"], "|"), ["4.500000|a,b"]);
}

#[test]
fn what_is_further_along_stays() {
    let at = |minute: &str| match minute {
        "" => String::new(),
        minute => format!("2025-06-01T10:{minute}:00Z"),
    };
    // Each is further along than the one before: assigned, last message, finished.
    let states = [
        ["", "", ""],
        ["01", "", ""],
        ["02", "", ""],
        ["01", "20", ""],
        ["", "21", ""],
        ["", "", "30"],
        ["03", "05", "30"],
        ["", "", "31"],
    ];
    let text = |[assigned, last, finished]: [&str; 3], agent: &str| {
        format!(
            "phone,agent,created_at,assigned_at,last_message_at,finished_at\n\
             573005550101,{agent},{},{},{},{}\n",
            at("00"),
            at(assigned),
            at(last),
            at(finished)
        )
    };
    for (less, more) in states.iter().zip(&states[1..]) {
        for turned in [false, true] {
            let bench = Bench::new();
            let mut files = [("less.csv", text(*less, "z")), ("more.csv", text(*more, "a"))];
            if turned {
                files.reverse();
            }
            for (name, text) in files {
                bench.load(name, text);
            }
            let kept = bench.columns(&agent_chats::TABLE, &[AGENT], "");
            assert_eq!(kept, ["a"], "{less:?} {more:?}");
        }
    }
}

#[test]
fn chats_that_are_one_by_their_person_are_read_as_one() {
    let text = "phone,agent,created_at,finished_at\n\
                573005550101,Alba,2025-06-01T10:00:00Z,\n\
                CO.1,Davi,2025-06-01T10:00:00Z,2025-06-01T10:30:00Z\n\
                CO.1,Noor,2025-06-02T10:00:00Z,\n";
    let links = "user_id,linked\nCO.1,573005550101\n";
    for turned in [false, true] {
        let bench = Bench::new();
        let mut files = [("chats.csv", text), ("links.csv", links)];
        if turned {
            files.reverse();
        }
        for (name, text) in files {
            bench.load(name, text);
        }
        assert_eq!(bench.count(&agent_chats::TABLE), 3);
        let statement = "SELECT user_phone, agent, user_id FROM agent_chats ORDER BY created_at";
        let said = Said::of(
            bench.command("sql").args([statement, "--lake", "lake", "-f", "csv"]).output().unwrap(),
        );
        assert_eq!(
            said.out.lines().skip(1).collect::<Vec<_>>(),
            ["573005550101,Davi,CO.1", "573005550101,Noor,CO.1"],
            "{}",
            said.err
        );
    }
}

#[test]
fn superseded_chats_are_reported_by_their_person() {
    let text = "phone,agent,created_at,finished_at\n\
                573005550101,Alba,2025-06-01T10:00:00Z,\n\
                573005550101,Alba,2025-06-01T10:00:00Z,2025-06-01T10:30:00Z\n";
    let report = Bench::new().load("chats.csv", text);
    let reported = "1 row superseded, by another row of the file with the same user_phone or user_id, \
                    created_at\n";
    assert!(report.text().contains(reported), "{}", report.text());
}

#[test]
fn an_agent_report_needs_its_titles() {
    let bench = Bench::new();
    let error = bench
        .try_load("chats.csv", "phone,created_at,assigned_at,rating\n573005550101,,,\n")
        .unwrap_err();
    assert!(error.lines().contains("has no column `agent`, which `agent_chats` needs"));
    let report = bench.load(
        "treble.csv",
        format!("{REPORT},,,,,,,,,,,,,,,\n573005550101,,,Alba,2025-06-01T10:00:00Z,,,,,,,,,,,\n"),
    );
    assert_eq!(total(&report)[..5], [2, 1, 0, 0, 1]);
    assert!(passed_over(&report).is_empty());
}

/// A cell of a message: nothing, a time, a number, a text.
fn message() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["", "-", "2025-06-01 10:02:00", "1748772000", "hello", "3005550101"])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// The order of records changes no row, and a column has times or nothing.
    #[test]
    fn order_of_records_changes_no_row(
        cells in prop::collection::vec((message(), message()), 1..8),
        turn in any::<prop::sample::Index>(),
    ) {
        let lines: Vec<String> =
            cells.iter().enumerate().map(|(n, (first, last))| {
                format!("57300555010{n},a{n},2025-06-01T10:00:00Z,{first},{last}\n")
            }).collect();
        let load = |lines: &[String]| {
            let bench = Bench::new();
            let text = format!("phone,agent,created_at,{MESSAGES}\n{}", lines.concat());
            // A file of which no record is taken is an error.
            let _ = bench.try_load("chats.csv", text);
            messages(&bench)
        };
        let mut turned = lines.clone();
        turned.rotate_left(turn.index(lines.len()));
        turned.reverse();
        let rows = load(&lines);
        prop_assert_eq!(&load(&turned), &rows);
        for place in [1, 2] {
            let of = |(first, last): &(&'static str, &'static str)| [*first, *last][place - 1];
            let has = |what: &str| cells.iter().any(|cell| of(cell) == what);
            let has_texts = has("hello") && !has("2025-06-01 10:02:00");
            for row in &rows {
                let cell = row.split('|').nth(place).unwrap();
                prop_assert!(!has_texts || cell.is_empty(), "{}", row);
                if cell.is_empty() && !has_texts {
                    let n: usize = row[1..2].parse().unwrap();
                    prop_assert!(["", "-"].contains(&of(&cells[n])));
                }
            }
        }
    }
}
