//! Headers: lines above them, byte order marks, line endings, other languages, private headers.

use serde_json::Value;
use wabalake::error::Error;
use wabalake::load::{LoadReport, Options, load};
use wabalake_data::TABLES;
use wabalake_data::tables::{ad_spend, audience_tags, deployments, sessions, variables};

use crate::support::Bench;

fn load_with(
    bench: &Bench,
    text: impl AsRef<[u8]>,
    options: &Options,
) -> Result<LoadReport, Error> {
    bench.load_with(&[bench.file("export.csv", text)], options)
}

fn load_text(bench: &Bench, text: impl AsRef<[u8]>) -> LoadReport {
    load_with(bench, text, &Options::default()).unwrap()
}

fn refused(bench: &Bench, text: impl AsRef<[u8]>) -> String {
    load_with(bench, text, &Options::default()).unwrap_err().lines()
}

/// Open rejects as `RECORD@LINE: REASON`.
fn rejects(bench: &Bench) -> Vec<String> {
    let rejects = bench.rejects();
    let parts = rejects.iter().map(|reject| {
        let (place, reason) = reject.split_once(": ").unwrap();
        format!("{}: {reason}", place.split(' ').next().unwrap())
    });
    parts.collect()
}

/// Records of the only file: read, new, rejected, repeated headers, above the header.
fn figures(report: &LoadReport) -> [u64; 5] {
    assert_eq!(report.files.len(), 1);
    let file = &report.files[0];
    let taken = file.rows_new + file.rows_updated + file.rows_unchanged + file.rows_rejected;
    let left = file.rows_left_out + file.rows_kept_out + file.rows_repeated_header;
    assert_eq!(file.rows_read + file.rows_spread, taken + left, "{file:?}");
    [
        file.rows_read,
        file.rows_new,
        file.rows_rejected,
        file.rows_repeated_header,
        file.records_above_header,
    ]
}

const SESSIONS: &str = "\
session_id,session_started_timestamp,user_country_code,user_cellphone,first_message
a1,2025-06-01 10:00:00,57,3005550101,\"Hola, tu
que tal\"
a2,soon,57,3005550102,Hola
a3,2025-06-01 10:00:00,57,3005550103,adiós
";

const OF_SESSIONS: [&str; 3] = ["session_id", "user_phone", "first_message"];

#[test]
fn line_endings_change_no_row() {
    for (text, broken) in [
        (SESSIONS.to_owned(), "\n"),
        (SESSIONS.replace('\n', "\r"), "\r"),
        (SESSIONS.replace('\n', "\r\n"), "\r\n"),
        // Excel for Mac ends lines within cells by LF.
        (SESSIONS.replace('\n', "\r").replace("tu\rque", "tu\nque"), "\n"),
    ] {
        let bench = Bench::new();
        let report = load_text(&bench, &text);
        assert_eq!(figures(&report), [3, 2, 1, 0, 0], "{text:?}");
        assert_eq!(report.files[0].unknown_columns, [""; 0]);
        assert_eq!(
            rejects(&bench),
            ["2@4: not a date and time such as 2025-12-31 10:00:00 or unix seconds"],
            "{text:?}"
        );
        assert_eq!(
            bench.columns(&sessions::TABLE, &OF_SESSIONS, "|"),
            [
                format!("a1|573005550101|Hola, tu{broken}que tal"),
                "a3|573005550103|adiós".to_owned()
            ]
        );
    }
}

#[test]
fn mac_roman_encoding_is_detected() {
    let bench = Bench::new();
    let text = b"session_id,session_started_timestamp,first_message\ra1,2025-06-01 10:00:00,Adi\x97s ma\x96ana\r\
                 a2,2025-06-01 10:00:00,\xc0Qu\x8e?\r";
    let report = load_text(&bench, text);
    assert_eq!(report.files[0].encoding, "macintosh");
    let read = bench.columns(&sessions::TABLE, &["session_id", "first_message"], "|");
    assert_eq!(read, ["a1|Adiós mañana", "a2|¿Qué?"]);
    // Line endings of other programs decide for another encoding.
    let text = b"session_id,session_started_timestamp,first_message\na1,2025-06-01 10:00:00,Adi\xf3s ma\xf1ana\n";
    assert_eq!(load_text(&bench, text).files[0].encoding, "windows-1252");
    assert_eq!(bench.columns(&sessions::TABLE, &["first_message"], "|")[0], "Adiós mañana");
}

#[test]
fn repeated_headers_and_byte_order_marks_are_skipped() {
    let bench = Bench::new();
    let tags =
        "phone,tag\n573005550101,vip\n\u{feff}phone,tag\n573005550102,new\n\"Phone\",TAG,,\n";
    let report = load_text(&bench, tags);
    assert_eq!(figures(&report), [4, 2, 0, 2, 0]);
    assert_eq!(report.files[0].rows_read, 4);
    assert!(
        report.text().contains("\n  left out: the header again, 2 times\n"),
        "{}",
        report.text()
    );
    assert_eq!(
        bench.columns(&audience_tags::TABLE, &["user_phone", "tag"], "|"),
        ["573005550101|vip", "573005550102|new"]
    );

    let values = "session_id,name,value\ns1,city,Lima\nsession_id,name,value\ns2,city,Cali\n";
    for ends in ["\n", "\r", "\r\n"] {
        let bench = Bench::new();
        assert_eq!(figures(&load_text(&bench, values.replace('\n', ends))), [3, 2, 0, 1, 0]);
        let read = bench.columns(&variables::TABLE, &["session_id", "name", "value"], "|");
        assert_eq!(read, ["s1|city|Lima", "s2|city|Cali"]);
    }

    // A byte order mark is removed from the start of cells, and kept within a text.
    let marked = "\u{feff}\u{feff}\"session_id\",session_started_timestamp,first_message\n\
                  a1,2025-06-01 10:00:00,Hola\n\u{feff}a2,\u{feff}2025-06-01 10:00:00,Hola\n\
                  \u{feff}\"a,3\",2025-06-01 10:00:00,\"Ho\u{feff}la\"\n\"\u{feff}a4\",2025-06-01 10:00:00,\n";
    let bench = Bench::new();
    assert_eq!(figures(&load_text(&bench, marked)), [4, 4, 0, 0, 0]);
    let read = bench.columns(&sessions::TABLE, &["session_id", "first_message"], "|");
    assert_eq!(read, ["a,3|Ho\u{feff}la", "a1|Hola", "a2|Hola", "a4|"]);
}

#[test]
fn lines_above_the_header_are_skipped() {
    let plain = "session_id;session_started_timestamp;first_message\na1;2025-06-01 10:00:00;Hola\n";
    for (above, passed) in [
        ("sep=;\r\n", 0),
        ("\u{feff}\"sep=;\"\n", 0),
        ("sep=;\r", 0),
        ("Sessions of June\n\nExported on Monday, 2 June; by Ana\n", 2),
        ("sep=;\n;;\nSessions;;\n", 2),
        (&"x\n".repeat(20), 20),
    ] {
        let bench = Bench::new();
        let report = load_text(&bench, format!("{above}{plain}"));
        assert_eq!(figures(&report), [1, 1, 0, 0, passed], "{above:?}");
        assert_eq!(report.files[0].delimiter, ';');
        assert_eq!(
            bench.columns(&sessions::TABLE, &["session_id", "first_message"], "|"),
            ["a1|Hola"]
        );
        let output = format!("above the header: {passed} lines skipped");
        assert_eq!(report.text().contains(&output), passed > 0, "{}", report.text());
    }
    // Line numbers count from the first line of the file.
    let bench = Bench::new();
    load_text(&bench, format!("Report\n\nof June\n{plain}a2;soon;Hola\n"));
    assert_eq!(
        rejects(&bench),
        ["2@6: not a date and time such as 2025-12-31 10:00:00 or unix seconds"]
    );
    for (first, delimiter) in [("sep=|", '|'), ("sep=\\t", '\t'), ("sep=,", ',')] {
        let bench = Bench::new();
        let text = format!("{first}\n{}", plain.replace(';', &delimiter.to_string()));
        assert_eq!(load_text(&bench, text).files[0].delimiter, delimiter);
        assert_eq!(bench.columns(&sessions::TABLE, &["first_message"], "|"), ["Hola"]);
    }
    let error = refused(&Bench::new(), format!("{}{plain}", "x\n".repeat(21)));
    assert!(error.contains("not a recognised export\n  found: 1 cell, none of them"), "{error}");
    // The error is about the incomplete header, not about the line above it.
    let error = refused(
        &Bench::new(),
        "Report of June\nsession_id,session_type,session_status\na1,Inbound,BOT\n",
    );
    assert!(error.contains("has no column `session_started_timestamp`"), "{error}");
}

#[test]
fn extra_empty_cells_are_ignored_and_missing_cells_rejected() {
    let header =
        "conversation_id,user_cellphone,deployment_timestamp,delivery_status,status_detail";
    let bench = Bench::new();
    let report = load_text(
        &bench,
        format!(
            "{header}\n1,573005550101,2025-06-01 10:00:00,Delivered,,,, \n\
         1,573005550102,2025-06-01 10:00:00\n1,573005550103,2025-06-01 10:00:00,Delivered\n\
         1,573005550104,2025-06-01 10:00:00,Delivered,,,x\n\
         1,573005550105,2025-06-01 10:00:00,Delivered,\"on two\nlines\",,\n"
        ),
    );
    assert_eq!(figures(&report), [5, 2, 3, 0, 0]);
    assert_eq!(
        rejects(&bench),
        [
            "2@3: 2 of 5 cells are missing at the end",
            "3@4: 1 of 5 cells is missing at the end",
            "4@5: too many fields: 7 instead of 5",
        ]
    );
    assert_eq!(
        bench.columns(&deployments::TABLE, &["user_phone"], "|"),
        ["573005550101", "573005550105"]
    );
    // Cells of a column without a header may be missing, and are ignored.
    let bench = Bench::new();
    let report = load_text(
        &bench,
        "phone,tag,,\n573005550101,vip,,\n573005550102,vip\n573005550103,vip,x\n",
    );
    assert_eq!(figures(&report), [3, 3, 0, 0, 0]);
}

const SPEND: [&str; 4] = ["ad_id", "day", "spend", "currency"];

#[test]
fn renamed_column_keeps_its_currency() {
    let text = |title: &str| format!("Ad ID;Day;{title}\n120200000000000101;2025-06-02;1.012,50\n");
    let spend = "120200000000000101|2025-06-02|1012.500000";
    for (title, from, to, currency) in [
        ("Kosten (EUR)", "Kosten (EUR)", "spend", "EUR"),
        ("Kosten (EUR)", "Kosten", "spend", "EUR"),
        ("Kosten (EUR)", "kosten", "Amount spent", "EUR"),
        ("Kosten (R$)", "Kosten (R$)", "amount_spent", "BRL"),
        ("Kosten (EUR)", "Kosten", "Amount spent (USD)", "USD"),
        ("Kosten", "Kosten", "Amount spent (EUR)", "EUR"),
        ("Kosten", "Kosten", "spend", ""),
    ] {
        let bench = Bench::new();
        let renames = vec![(from.to_owned(), to.to_owned())];
        let options = Options { renames, ..Options::default() };
        load_with(&bench, text(title), &options).unwrap();
        let read = bench.columns(&ad_spend::TABLE, &SPEND, "|");
        assert_eq!(read, [format!("{spend}|{currency}")], "{title} {from}={to}");
    }
    // Exported rejects keep the currency.
    let bench = Bench::new();
    let renames = vec![("Kosten".to_owned(), "spend".to_owned())];
    let options = Options { renames, ..Options::default() };
    load_with(&bench, text("Kosten (EUR)").replace("2025-06-02", "soon"), &options).unwrap_err();
    let mend = bench.exported_rejects().replace("soon", "2025-06-02");
    load_text(&bench, mend.replace("1.012,50", "1012.50"));
    assert_eq!(bench.columns(&ad_spend::TABLE, &SPEND, "|"), [format!("{spend}|EUR")]);
}

#[test]
fn german_ads_manager_headers_are_recognised() {
    let bench = Bench::new();
    load_text(
        &bench,
        "Tag;Anzeigenname;Anzeigen-ID;Ausgegebener Betrag (EUR)\n2025-06-01;Blau;120200000000000101;12,50\n\
         2025-06-02;Blau;120200000000000101;1.012,50\n",
    );
    load_text(
        &bench,
        "Berichtsstart;Berichtsende;Name der Anzeige;Anzeigen-ID;Name der Anzeigengruppe;Kampagnenname;\
         Ausgegebener Betrag (EUR)\n13.06.2025;14.06.2025;Rot;120200000000000102;A;B;10,00\n",
    );
    assert_eq!(
        bench.columns(&ad_spend::TABLE, &SPEND, "|"),
        [
            "120200000000000101|2025-06-01|12.500000|EUR",
            "120200000000000101|2025-06-02|1012.500000|EUR",
            "120200000000000102|2025-06-13|5.000000|EUR",
            "120200000000000102|2025-06-14|5.000000|EUR",
        ]
    );
}

#[test]
fn report_by_campaign_suggests_exporting_by_ad() {
    for (header, level) in [
        (
            "Reporting starts,Reporting ends,Campaign name,Campaign ID,Amount spent (USD)",
            "campaign",
        ),
        ("Day,Campaign ID,Amount spent (USD)", "campaign"),
        ("Day,Ad set name,Ad set ID,Campaign name,Amount spent (USD)", "ad set"),
        ("Día,Nombre de la campaña,Importe gastado (COP)", "campaign"),
        ("Tag;Kampagnenname;Kampagnen-ID;Ausgegebener Betrag (EUR)", "campaign"),
    ] {
        let error = refused(&Bench::new(), format!("{header}\n"));
        let said = format!("`export.csv` is a report by {level}: it has no column `ad_id`");
        assert!(error.contains(&said), "{error}");
        assert!(error.contains("hint: export it by ad: the breakdown level Ad"), "{error}");
        assert!(!error.contains("--rename"), "{error}");
    }
    let error =
        refused(&Bench::new(), "Day,Campaign name,Ad name,Campaign ID,Amount spent (USD)\n");
    assert!(error.contains("hint: export it again with the column Ad ID"), "{error}");
    // A column that may be the ad's id is suggested for `--rename`.
    let error =
        refused(&Bench::new(), "Day,Campaign name,Ad name,Ad-ID (neu),Amount spent (USD)\n");
    assert!(error.contains("hint: name it with `--rename 'Ad-ID (neu)=ad_id'`"), "{error}");
}

#[test]
fn other_file_formats_are_named() {
    let utf_16: Vec<u8> =
        "\u{feff}<TABLE><tr><td>Jo</td>".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let files: [(&str, &[u8], &str); 9] = [
        ("a.xls", b"<html><body><table><tr><td>Jo</td></tr></table></body></html>", "an HTML page"),
        ("b.csv", b"\xef\xbb\xbf \n<!-- x -->\n<!DOCTYPE HTML><html>Jo", "an HTML page"),
        ("c.xls", &utf_16, "an HTML page"),
        ("d.csv", b"<meta charset='utf-8'><table>Jo</table>", "an HTML page"),
        ("e.parquet", b"PAR1\x15\x04Jo,session_id\nPAR1", "a Parquet file"),
        ("f.xls", b"<?xml version='1.0'?><Workbook>Jo</Workbook>", "XML"),
        ("g.pdf", b"%PDF-1.4 Jo\n", "a PDF"),
        ("h.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1Jo\n", "an old or encrypted Excel file"),
        ("i.rtf", b"{\\rtf1 Jo\n", "an RTF document"),
    ];
    let bench = Bench::new();
    for (name, bytes, what) in files {
        let path = bench.file(&format!("exports/{name}"), bytes);
        let error = load(&bench.lake(), &[path], &Options::default()).unwrap_err();
        assert_eq!(error.exit_code(), 1);
        let error = error.lines();
        assert!(error.starts_with(&format!("error: `{name}` is {what}")), "{error}");
        assert!(error.contains("\n  hint: ") && !error.contains("Jo"), "{error}");
    }
    bench.file("exports/sessions.csv", SESSIONS);
    let folder = bench.folder.path().join("exports");
    let report = load(&bench.lake(), &[folder], &Options::default()).unwrap();
    assert_eq!(report.files.len(), 1);
    let passed: Vec<&str> = report.passed_over.iter().map(|one| one.reason.as_str()).collect();
    assert_eq!(passed.len(), files.len());
    for (reason, (.., what)) in passed.iter().zip(files) {
        assert!(reason.starts_with(what), "{reason}");
    }
}

#[test]
fn headers_are_shown_only_beside_known_ones() {
    let lines = |text: &str| refused(&Bench::new(), text);
    assert_eq!(
        lines("a1,2025-11-02T05:40:00Z,Inbound,BOT,573005550101,Hola\n").lines().nth(1).unwrap(),
        "  found: 6 cells, none of them a known title"
    );
    assert_eq!(
        lines("573005550101,sent,read,My order,Ana\n").lines().nth(1).unwrap(),
        "  found: 5 cells, among them the known titles `sent`, `read`"
    );
    assert_eq!(
        lines(
            "session_id,session_status,session_start,Telephone of contact 3005550101,session_type,My order has not arrived\n"
        ),
        "error: `export.csv` has no column `session_started_timestamp`, which `sessions` needs\n  \
         found: session_id, session_status, session_start, (hidden), session_type, (hidden)\n  \
         hint: name it with `--rename 'session_start=session_started_timestamp'`"
    );
    // A header that may hold a phone is not suggested, even if it is the nearest.
    let error =
        lines("session_id,session_status,session_started_timestamp_3005550101,session_type\n");
    assert!(error.contains("hint: if it has another title"), "{error}");
    let bench = Bench::new();
    let report = load_text(
        &bench,
        "session_id,session_started_timestamp,Flow\u{1b}[2J,+57 300 555 0101,,My order has not arrived\n\
         a1,2025-06-01 10:00:00,x,y,z,w\n",
    );
    let expected = ["Flow\\u{1b}[2J", "(hidden)", "(no title)"];
    assert_eq!(report.files[0].unknown_columns, expected);
}

#[test]
fn report_hides_headers_that_may_be_phones() {
    let bench = Bench::new();
    let report = load_text(
        &bench,
        "phone,tag,note,573005550101\n573005550102,vip,x,y\nphone,tag,note,573005550101\n",
    );
    let json: Value = serde_json::to_value(&report).unwrap();
    let file = &json["files"][0];
    assert_eq!(file["unknown_columns"], serde_json::json!(["note", "(hidden)"]));
    assert_eq!((&file["rows_repeated_header"], &file["rows_new"]), (&1.into(), &1.into()));
    assert_eq!(
        TABLES
            .iter()
            .filter(|table| !bench.lake().snapshot(**table).unwrap().files.is_empty())
            .count(),
        1
    );
}
