//! Wide files of variables: a row per person, a column per variable.

use std::fmt::Write as _;
use std::path::PathBuf;

use proptest::prelude::*;
use wabalake::error::Error;
use wabalake::lake::erase::Options as How;
use wabalake::load::{LoadReport, Options, WideOptions};
use wabalake_data::tables::variables::{self, TABLE};
use zip::write::SimpleFileOptions;

use crate::support::{Bench, Desk, archive, gz, total, workbook};

const HEADER: &str = "Celular,country_code,Fecha,¿Tu ciudad?,NPS\n";

fn wide(at_column: Option<&str>) -> Options {
    let wide = WideOptions {
        conversation_id: Some("417".to_owned()),
        conversation_version: Some(3),
        at: None,
        at_column: at_column.map(str::to_owned),
    };
    Options { kind: Some(&TABLE), wide: Some(wide), ..Options::default() }
}

fn load(bench: &Bench, file: PathBuf) -> Result<LoadReport, Error> {
    bench.load_with(&[file], &wide(Some("fecha")))
}

/// Each answer: person, flow, version, name, value, time, session, user id.
fn answers(bench: &Bench) -> Vec<String> {
    let columns = [
        variables::USER_PHONE,
        variables::CONVERSATION_ID,
        variables::CONVERSATION_VERSION,
        variables::VARIABLE,
        variables::VALUE,
        variables::AT,
        variables::SESSION_ID,
        variables::USER_ID,
    ];
    bench.columns(&TABLE, &columns, "|")
}

#[test]
fn each_cell_that_is_not_empty_is_an_answer() {
    let bench = Bench::new();
    let text = format!(
        "{HEADER}3005550101,57,2025-06-01 10:00:00,\"Bogotá, D. C.\",9\n\
         +57 300 555 0102,,2025-06-01 10:05:00,, 7 \n\
         3005550103,57,,-,\n"
    );
    let report = load(&bench, bench.file("wide.csv", text)).unwrap();
    assert_eq!(total(&report)[..2], [4, 4]);
    assert_eq!(report.files[0].unknown_columns, Vec::<String>::new());
    assert_eq!(
        answers(&bench),
        [
            "573005550101|417|3|NPS|9|2025-06-01 10:00:00.000000Z||",
            "573005550101|417|3|¿Tu ciudad?|Bogotá, D. C.|2025-06-01 10:00:00.000000Z||",
            "573005550102|417|3|NPS| 7 |2025-06-01 10:05:00.000000Z||",
            "573005550103|417|3|¿Tu ciudad?|-|||",
        ]
    );
}

#[test]
fn cells_of_a_row_come_before_the_options() {
    let bench = Bench::new();
    let text = "user_id,phone,Celular,session_id,conversation_id,when,city\n\
                CO.1349,,one,s1,500,1/6/2025 10:00,a\n\
                ,573005550101,two,,,13/6/2025 10:00,b\n\
                ,573005550102,,,-,,c\n";
    let mut options = wide(Some("when"));
    let at = Some(1_748_772_000_000_000);
    options.wide = options.wide.map(|wide| WideOptions { at, ..wide });
    bench.load_with(&[bench.file("wide.csv", text)], &options).unwrap();
    assert_eq!(
        answers(&bench),
        [
            "573005550101|417|3|Celular|two|2025-06-13 10:00:00.000000Z||",
            "573005550101|417|3|city|b|2025-06-13 10:00:00.000000Z||",
            "573005550102|417|3|city|c|2025-06-01 10:00:00.000000Z||",
            "|500|3|Celular|one|2025-06-01 10:00:00.000000Z|s1|CO.1349",
            "|500|3|city|a|2025-06-01 10:00:00.000000Z|s1|CO.1349",
        ]
    );
}

#[test]
fn spreadsheets_packed_files_and_folders_give_the_same_answers() {
    let text = format!("{HEADER}3005550101,57,2025-06-01 10:00:00,Cali,9\n3005550102,57,,,8\n");
    let bench = Bench::new();
    load(&bench, bench.file("wide.csv", &text)).unwrap();
    let expected = answers(&bench);
    assert_eq!(expected.len(), 3);
    let zip = archive(&[("a.csv", text.as_bytes())], SimpleFileOptions::default());
    let semicolons = text.replace(',', ";");
    let latin1: Vec<u8> = text.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
    for (name, bytes) in [
        ("wide.xlsx", workbook(&text)),
        ("wide.csv.gz", gz(text.as_bytes())),
        ("folder/wide.csv", semicolons.into_bytes()),
        ("wide.zip", zip),
        ("latin1.csv", latin1),
        ("below.csv", format!("Answers of June\n\n{text}").into_bytes()),
    ] {
        let bench = Bench::new();
        let file = bench.file(name, bytes);
        bench.file("folder/readme.txt", "nothing");
        let path = if name.starts_with("folder") { bench.path("folder") } else { file };
        load(&bench, path).unwrap();
        assert_eq!(answers(&bench), expected, "{name}");
    }
}

#[test]
fn rejects_are_answers_that_load_again() {
    let bench = Bench::new();
    let text = format!(
        "{HEADER}3005550101,57,soon,Cali,9\n\
         5.73E+11,,2025-06-01 10:00:00,Cali,\n\
         ,,2025-06-01 10:00:00,Cali,\n\
         3005550102,57,2025-06-01 10:00:00,Cali\n\
         3005550103,57,2025-06-01 10:00:00,Cali,5\n"
    );
    let report = load(&bench, bench.file("wide.csv", text)).unwrap();
    assert_eq!(total(&report)[..5], [7, 2, 0, 0, 5]);
    let rejects = bench.rejects();
    let starts = [
        "1@2 at: not a date and time",
        "2@2 at: not a date and time",
        "3@3 user_phone: its digits are lost",
        "4@4 -: the row names nobody",
        "5@5 -: 1 of 5 cells is missing at the end",
    ];
    for (reject, start) in rejects.iter().zip(starts) {
        assert!(reject.starts_with(start), "{rejects:?}");
    }
    let exported = bench.exported_rejects();
    let corrected: Vec<String> = exported
        .lines()
        .filter(|line| !line.contains("Cali,,,") || line.contains("soon"))
        .map(|line| line.replace("soon", "2025-06-01 09:00:00"))
        .collect();
    let corrected: Vec<&str> = corrected
        .iter()
        .map(String::as_str)
        .filter(|line| line.contains("name") || line.contains("09:00:00"))
        .collect();
    let report = bench.load("corrected.csv", corrected.join("\n"));
    assert_eq!(total(&report)[..2], [2, 2], "{exported}");
    assert_eq!(answers(&bench)[0], "573005550101|417|3|NPS|9|2025-06-01 09:00:00.000000Z||");
    assert_eq!(bench.rejects().len(), 3);
}

#[test]
fn rows_whose_phone_is_no_number_name_nobody() {
    let bench = Bench::new();
    let text = "phone,user_id,country_code,city\n\
                573005550110@lid,,,Cali\n\
                abc,,,Cali\n\
                abc,,57,Cali\n\
                abc,customer 7,,Cali\n\
                abc,CO.1349,,Cali\n\
                CO.1350,,,Cali\n";
    let report = bench.load_with(&[bench.file("wide.csv", text)], &wide(None)).unwrap();
    assert_eq!(total(&report)[..5], [6, 2, 0, 0, 4]);
    let rejects = bench.rejects();
    for (at, reject) in rejects.iter().enumerate() {
        assert!(reject.starts_with(&format!("{0}@{1} -: the row names nobody", at + 1, at + 2)));
    }
    assert_eq!(bench.count(&TABLE), 2);
}

#[test]
fn variables_have_their_titles_without_the_blanks_around_them() {
    let bench = Bench::new();
    let text = "phone ,Ciudad , NPS\n573005550101,Cali,9\n";
    let report = bench.load_with(&[bench.file("wide.csv", text)], &wide(None)).unwrap();
    assert!(report.text().contains("  2 answers read: 2 new"), "{}", report.text());
    assert_eq!(
        answers(&bench),
        ["573005550101|417|3|Ciudad|Cali|||", "573005550101|417|3|NPS|9|||"]
    );
    let renamed = Options { renames: vec![("ciudad".into(), "City".into())], ..wide(None) };
    let bench = Bench::new();
    bench.load_with(&[bench.file("wide.csv", text)], &renamed).unwrap();
    assert_eq!(answers(&bench)[0], "573005550101|417|3|City|Cali|||");
}

#[test]
fn same_file_with_other_options_is_another_file() {
    let bench = Bench::new();
    let file = || bench.file("wide.csv", "phone,city\n573005550101,Cali\n");
    let one = wide(None);
    assert_eq!(total(&bench.load_with(&[file()], &one).unwrap())[1], 1);
    assert!(bench.load_with(&[file()], &one).unwrap().files[0].already_loaded);
    let other = one.wide.clone().map(|wide| WideOptions { conversation_version: Some(4), ..wide });
    let other = Options { wide: other, ..one };
    let report = bench.load_with(&[file()], &other).unwrap();
    // The version is no part of the key: the greater one stays.
    assert_eq!(total(&report)[1..3], [0, 1]);
    assert_eq!(answers(&bench), ["573005550101|417|4|city|Cali|||"]);
}

#[test]
fn erased_persons_are_kept_out() {
    let bench = Bench::new();
    let row = |day| format!("{HEADER}3005550101,57,2025-06-0{day} 10:00:00,Cali,9\n");
    load(&bench, bench.file("first.csv", row(1))).unwrap();
    let how = How { keep_out: true, ..How::default() };
    bench.lake().erase("573005550101", how).unwrap();
    let text = row(2) + "3005550102,57,2025-06-02 10:00:00,Cali,9\n3005550101,57,soon,Cali,\n";
    let report = load(&bench, bench.file("second.csv", text)).unwrap();
    assert_eq!(report.total(|file| file.rows_kept_out), 3);
    assert_eq!((total(&report)[1], total(&report)[4]), (2, 0));
    assert!(answers(&bench).iter().all(|answer| answer.starts_with("573005550102")));
}

#[test]
fn headers_that_do_not_fit_are_refused() {
    for (text, at, flow, code, part) in [
        ("nombre,city\nx,Cali\n", None, true, 1, "has no column of numbers or user ids"),
        ("phone,city\n57,Cali\n", None, false, 2, "does not say which flow its answers are of"),
        ("phone,city\n57,Cali\n", Some("Fecha"), true, 2, "has no column `Fecha`"),
        ("phone,city,city\n57,Cali,Cali\n", None, true, 1, "has two columns `city`"),
        ("phone,Fecha\n57,Cali\n", Some("Fecha"), true, 1, "has no column of a variable"),
        ("{\"phone\": \"57\"}", None, true, 1, "is JSON"),
    ] {
        let bench = Bench::new();
        let mut options = wide(at);
        if !flow {
            options.wide = options.wide.map(|wide| WideOptions { conversation_id: None, ..wide });
        }
        let error = bench.load_with(&[bench.file("wide.csv", text)], &options).unwrap_err();
        assert!(error.to_string().contains(part), "{error}");
        assert_eq!(error.exit_code(), code, "{error}");
    }
}

#[test]
fn options_are_of_this_kind_alone() {
    let desk = Desk::new();
    desk.write("wide.csv", "Móvil,ciudad\n573005550101,Cali\n");
    for option in ["--conversation-id 417", "--conversation-version 2", "--at 1", "--at-column x"] {
        for kind in ["", "variables "] {
            let (error, code) = desk.failure(&format!("load {kind}wide.csv --lake lake {option}"));
            assert!(error.contains("is an option of the kind `variables-wide`"), "{error}");
            assert_eq!(code, 2);
        }
    }
    assert!(!desk.exists("lake"));
    let load = "load variables-wide wide.csv --lake lake --conversation-id 417";
    let (error, code) = desk.failure(load);
    assert!(error.contains("--rename 'ITS TITLE=phone'") && code == 1, "{error}");
    let (error, code) = desk.failure(&format!("{load} --rename Móvil=phone --at yesterday"));
    assert!(error.contains("`--at yesterday` is no instant in UTC") && code == 2, "{error}");
    let (error, code) = desk.failure(&format!("{load} --rename Móvil=phone --rename x=y"));
    assert!(error.contains("no column `x` to rename") && code == 2, "{error}");
    assert!(!desk.exists("lake"));
    let at = "--at 2025-06-01T05:00:00 --source-timezone America/Bogota";
    desk.run(&format!("{load} --rename Móvil=phone --conversation-version 2 {at}"));
    assert_eq!(answers(&desk), ["573005550101|417|2|ciudad|Cali|2025-06-01 10:00:00.000000Z||"]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    /// A wide file gives what the same answers give one by one, in any order of rows and columns.
    #[test]
    fn wide_and_long_files_give_the_same_rows(
        rows in prop::collection::vec(prop::collection::vec("[a-z ,\"\n;]{0,4}", 3), 1..8),
        turned in any::<bool>(),
    ) {
        let quoted = |cell: &str| format!("\"{}\"", cell.replace('"', "\"\""));
        let mut wide_lines = Vec::new();
        let mut long = "user_phone,conversation_id,conversation_version,name,value\n".to_owned();
        for (person, cells) in rows.iter().enumerate() {
            let phone = format!("5730055501{person:02}");
            let mut line: Vec<String> = cells.iter().map(|cell| quoted(cell)).collect();
            line.push(phone.clone());
            if turned {
                line.reverse();
            }
            wide_lines.push(line.join(","));
            for (name, cell) in ["a", "b", "c"].iter().zip(cells).filter(|(_, cell)| !cell.is_empty()) {
                let _ = writeln!(long, "{phone},417,3,{name},{}", quoted(cell));
            }
        }
        let header = if turned { "phone,c,b,a" } else { "a,b,c,phone" };
        if turned {
            wide_lines.reverse();
        }
        let (one, other) = (Bench::new(), Bench::new());
        let text = format!("{header}\n{}\n", wide_lines.join("\n"));
        one.load_with(&[one.file("wide.csv", text)], &wide(None)).unwrap();
        other.load_files(&[other.file("long.csv", long)]).unwrap();
        prop_assert_eq!(one.stored(&TABLE), other.stored(&TABLE));
    }
}
