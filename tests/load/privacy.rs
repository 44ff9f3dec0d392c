//! No output of a load holds a cell, or a header that may be a phone or a person's text.

use proptest::prelude::*;
use rust_xlsxwriter::Workbook;
use zip::write::SimpleFileOptions;

use crate::support::{Desk, Said, archive, files_below};

/// Planted values: a phone, a formatted phone, a word, a text of several words.
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

/// Cells that are also headers of some table.
const WORDS: [&str; 8] = ["sent", "read", "country", "2025-06-01 10:00:00", "", "57", "tag", "x1"];

/// A file in some format, with a known header or without.
#[derive(Clone, Debug)]
struct Made {
    name: &'static str,
    bytes: Vec<u8>,
}

fn make(planted: &Planted, form: usize, has_header: bool, words: &[&str]) -> Made {
    let Planted { phone, marked, word, text } = planted;
    let mut first: Vec<&str> = match has_header {
        // Short words may be shown beside known headers.
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
    let zipped = |name: &str, bytes: &[u8]| archive(&[(name, bytes)], SimpleFileOptions::default());
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

fn check_output_hides(planted: &Planted, form: usize, has_header: bool, words: &[&str]) {
    let desk = Desk::new();
    let Made { name, bytes } = make(planted, form, has_header, words);
    for folder in ["in", "only"] {
        std::fs::create_dir(desk.path(folder)).unwrap();
        std::fs::write(desk.path(folder).join(name), &bytes).unwrap();
    }
    std::fs::write(desk.path(name), &bytes).unwrap();
    let mut output = String::new();
    let mut run = |line: &str| {
        let (line, statement) = line.split_once(" -- ").unwrap_or((line, ""));
        let mut command = desk.command(line);
        command.args(Some(statement).filter(|statement| !statement.is_empty()));
        let Said { out, err, .. } = Said::of(command.output().unwrap());
        for said in ["$ ", line, "\n", &out, &err] {
            output.push_str(said);
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
    // Proof that the output is what is searched.
    assert!(output.contains("sessions.csv  →  sessions"), "{output}");
    output.push_str(&desk.read("notified.txt"));
    std::fs::remove_file(desk.path(name)).unwrap();
    for folder in ["in", "only"] {
        std::fs::remove_dir_all(desk.path(folder)).unwrap();
    }
    for end in ["", ".error.txt"] {
        let aside = desk.path("aside").join(format!("{name}{end}"));
        if end.is_empty() {
            let _ = std::fs::remove_file(aside);
        } else if let Ok(said) = std::fs::read_to_string(aside) {
            output.push_str(&said);
        }
    }
    // Parquet files hold the rows.
    for path in files_below(desk.folder.path()) {
        if path.extension().is_none_or(|end| end != "parquet") {
            output.push_str(&String::from_utf8_lossy(&std::fs::read(path).unwrap()));
        }
    }
    let Planted { phone, marked, word, text } = planted;
    for secret in [phone, marked, word, text] {
        assert!(
            !output.contains(secret.as_str()),
            "`{secret}` of format {form} is printed:\n{output}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 5, max_shrink_iters: 0, ..ProptestConfig::default() })]

    /// No output of a load or a nightly run holds a cell of a file without a header, or a header
    /// that may be a phone or a person's text.
    #[test]
    fn output_holds_no_cell_and_no_phone(
        planted in planted(),
        form in 0..12usize,
        has_header in any::<bool>(),
        words in prop::collection::vec(prop::sample::select(&WORDS[..]), 0..6),
    ) {
        check_output_hides(&planted, form, has_header, &words);
    }
}

#[test]
fn output_holds_no_cell_for_every_file_format() {
    let planted = Planted {
        phone: "573005550101".to_owned(),
        marked: "+57 300-5550101".to_owned(),
        word: "zqxjkz".to_owned(),
        text: "zqxjk zqxjkzqxj zqxjkzq".to_owned(),
    };
    for form in 0..12 {
        check_output_hides(&planted, form, form % 2 == 0, &["sent", "read"]);
    }
}
