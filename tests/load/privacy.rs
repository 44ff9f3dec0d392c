//! No output of a load holds a cell of a file without a header, or a title that may be a phone.

use std::io::Write as _;

use proptest::prelude::*;
use rust_xlsxwriter::Workbook;
use serde_json::Value;
use wabalake::error::Error;
use wabalake::lake::rejects::{self, Which};
use wabalake::load::{Options, Report, load};
use wabalake_data::TABLES;
use wabalake_data::tables::{ad_spend, audience_tags, deployments, sessions, variables};

use crate::support::{Bench, Desk, Said};
use ::zip::write::SimpleFileOptions;

/// What is planted: a phone, the same with marks, a word, a text of several, an id.
#[derive(Clone, Debug)]
struct Planted {
    phone: String,
    marked: String,
    word: String,
    text: String,
}

fn planted() -> impl Strategy<Value = Planted> {
    let mark = prop::sample::select(vec![" ", "-", ".", "(", "\u{202a}", "\u{a0}"]);
    ("[1-9]{7}", mark, "[zqxjk]{6}", "[zqxjk]{5} [zqxjk]{9} [zqxjk]{7}").prop_map(
        |(number, mark, word, text)| {
            let phone = format!("57300{number}");
            let (head, tail) = phone.split_at(7);
            Planted { marked: format!("+{head}{mark}{tail}"), phone, word, text }
        },
    )
}

/// Words of data that are titles of some table too.
const WORDS: [&str; 8] = ["sent", "read", "country", "2025-06-01 10:00:00", "", "57", "tag", "x1"];

/// A file of some form: with a header that is known, or with none.
#[derive(Clone, Debug)]
struct Made {
    name: &'static str,
    bytes: Vec<u8>,
}

fn made(planted: &Planted, form: usize, has_header: bool, words: &[&str]) -> Made {
    let Planted { phone, marked, word, text } = planted;
    let mut first: Vec<&str> = match has_header {
        // Beside known titles those may be shown that are short words.
        true => vec!["session_id", "session_started_timestamp", marked, phone, text],
        false => vec![phone, marked, word, text],
    };
    first.extend(words);
    let second = vec![word.as_str(); first.len()];
    let rows = [first, second];
    let joined = |delimiter: &str, end: &str| -> Vec<u8> {
        rows.iter().map(|row| row.join(delimiter) + end).collect::<String>().into_bytes()
    };
    let object = format!(
        "{{\"{phone}\":{{\"event_id\":\"{word}\",\"{text}\":\"{word}\"}},\"{marked}\":{{\"{text}\":\"{word}\"}}}}"
    );
    let known = "\"session_id\":\"s1\",\"session_started_timestamp\":\"soon\"";
    let objects = match has_header {
        true => format!("{{{known},\"{phone}\":1,\"{text}\":{{\"{marked}\":\"{word}\"}}}}"),
        false => object,
    };
    let zipped = |name: &str, bytes: &[u8]| {
        let mut zip = ::zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        zip.start_file(name, SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
        zip.finish().unwrap().into_inner()
    };
    let (name, bytes) = match form {
        0 => ("a.csv", joined(",", "\n")),
        1 => ("a.csv", joined(";", "\r\n")),
        2 => ("a.tsv", joined("\t", "\n")),
        3 => ("a.csv", joined(",", "\r")),
        4 => ("a.csv", [b"sep=;\n".as_slice(), &joined(";", "\n")].concat()),
        5 => ("a.csv", [b"Report\n".as_slice(), &joined(",", "\n")].concat()),
        6 => ("a.json", format!("[{objects}]").into_bytes()),
        7 => ("a.jsonl", format!("{objects}\n\"{text}\"\n{phone}\n{{\"{word}\n").into_bytes()),
        8 => ("a.zip", zipped("b.csv", &joined(",", "\n"))),
        9 => ("a.xls", format!("<table><tr><td>{word}<td>{phone}").into_bytes()),
        10 => (
            "a.json",
            format!("{{\"data\":[{{\"data_points\":[\"{text}\",{phone}]}}],\"{phone}\":1}}")
                .into_bytes(),
        ),
        _ => {
            let mut book = Workbook::new();
            let sheet = book.add_worksheet();
            for (at, row) in (0..).zip(&rows) {
                for (column, cell) in (0..).zip(row) {
                    sheet.write(at, column, *cell).unwrap();
                }
            }
            ("a.xlsx", book.save_to_buffer().unwrap())
        }
    };
    Made { name, bytes }
}

/// Texts of all files below a folder that are no Parquet, which holds rows.
fn logs(folder: &std::path::Path, found: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            logs(&path, found);
        } else if path.extension().is_none_or(|end| end != "parquet") {
            found.push_str(&String::from_utf8_lossy(&std::fs::read(&path).unwrap()));
        }
    }
}

fn says_nothing_of(planted: &Planted, form: usize, has_header: bool, words: &[&str]) {
    let desk = Desk::new();
    let Made { name, bytes } = made(planted, form, has_header, words);
    for folder in ["in", "only"] {
        std::fs::create_dir(desk.path(folder)).unwrap();
        std::fs::write(desk.path(folder).join(name), &bytes).unwrap();
    }
    std::fs::write(desk.path(name), &bytes).unwrap();
    let mut told = String::new();
    let mut run = |line: &str| {
        let (line, statement) = line.split_once(" -- ").unwrap_or((line, ""));
        let mut command = desk.command(line);
        command.args(Some(statement).filter(|statement| !statement.is_empty()));
        let Said { out, err, .. } = Said::of(command.output().unwrap());
        for said in ["$ ", line, "\n", &out, &err] {
            told.push_str(said);
        }
    };
    run(&format!("load --lake lake --report-json report.json {name}"));
    run(&format!("load --lake lake --per-file --report-json parts.json {name} sessions.csv"));
    run(&format!("load --lake lake --kind sessions {name}"));
    run(&format!("load --lake lake --kind closures {name}"));
    run(&format!("load --lake lake --rename its=session_id {name}"));
    run(&format!("load --lake lake --strict {name}"));
    run("load --lake lake only");
    let settings = "[inbox]\nfolders = ['../in']\nfailed = '../aside'\n\
                    [nightly]\nnotify_command = 'cat >> notified.txt'\n";
    desk.write("lake/wabalake.toml", settings);
    run("nightly --lake lake --json");
    run("status --lake lake");
    run("history --lake lake");
    run("sql --lake lake -- SELECT * FROM loads");
    // What is named as it should be is there to be searched.
    assert!(told.contains("sessions.csv  →  sessions"), "{told}");
    told.push_str(&desk.read("notified.txt"));
    std::fs::remove_file(desk.path(name)).unwrap();
    for folder in ["in", "only"] {
        std::fs::remove_dir_all(desk.path(folder)).unwrap();
    }
    for end in ["", ".error.txt"] {
        let aside = desk.path("aside").join(format!("{name}{end}"));
        if end.is_empty() {
            let _ = std::fs::remove_file(aside);
        } else if let Ok(said) = std::fs::read_to_string(aside) {
            told.push_str(&said);
        }
    }
    logs(desk.folder.path(), &mut told);
    let Planted { phone, marked, word, text } = planted;
    for secret in [phone, marked, word, text] {
        assert!(!told.contains(secret.as_str()), "`{secret}` of form {form} is told:\n{told}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, max_shrink_iters: 0, ..ProptestConfig::default() })]

    /// No output of a load or a night holds a cell of a file without a header, or a title that may
    /// be a phone or a person's text.
    #[test]
    fn no_output_holds_a_cell_or_a_person(
        planted in planted(),
        form in 0..12usize,
        has_header in any::<bool>(),
        words in prop::collection::vec(prop::sample::select(&WORDS[..]), 0..6),
    ) {
        says_nothing_of(&planted, form, has_header, &words);
    }
}

#[test]
fn a_file_of_each_form_without_a_header_is_told_without_its_cells() {
    let planted = Planted {
        phone: "573005550101".to_owned(),
        marked: "+57 300-5550101".to_owned(),
        word: "zqxjkz".to_owned(),
        text: "zqxjk zqxjkzqxj zqxjkzq".to_owned(),
    };
    for form in 0..12 {
        says_nothing_of(&planted, form, form % 2 == 0, &["sent", "read"]);
    }
}
