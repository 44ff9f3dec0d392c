//! Dates and amounts: a column is read in the one order, or with the one decimal mark, that fits
//! all.

use std::collections::BTreeSet;

use rust_xlsxwriter::Workbook;
use wabalake::error::Error;
use wabalake::load::{LoadReport, Options, load};
use wabalake_data::Table;
use wabalake_data::cells::{DateOrder, DecimalMark};
use wabalake_data::tables::{ad_spend, conversions, message_summaries, rates, sessions};

use crate::support::{Bench, Desk};

pub(super) fn load_with(
    bench: &Bench,
    name: &str,
    text: &str,
    options: &Options,
) -> Result<LoadReport, Error> {
    bench.load_with(&[bench.file(name, text)], options)
}

/// Two columns of a table, sorted by the first.
pub(super) fn pairs(
    bench: &Bench,
    table: &'static Table,
    columns: [&str; 2],
) -> Vec<(String, String)> {
    let rows = bench.columns(table, &columns, "|");
    rows.iter().map(|row| row.split_once('|').unwrap()).map(|(a, b)| (a.into(), b.into())).collect()
}

fn rejected(report: &LoadReport) -> u64 {
    report.total(|file| file.rows_rejected)
}

/// The error of a load that must fail with exit code 1.
fn refusal(result: Result<LoadReport, Error>) -> String {
    let error = result.err().unwrap();
    assert_eq!(error.exit_code(), 1, "{}", error.lines());
    error.lines()
}

pub(super) fn spend(days: &[&str]) -> String {
    let rows = days.iter().zip(1..).map(|(day, n)| format!("{day},Blue,1202{n:03},{n}.00\n"));
    format!("Day,Ad name,Ad ID,Amount spent (GBP)\n{}", rows.collect::<String>())
}

#[test]
fn date_order_is_detected_from_the_whole_column() {
    let bench = Bench::new();
    let days = ["10/06/2025", "11/06/2025", "12/06/2025", "13/06/2025", "14/06/2025"];
    let report = load_with(&bench, "ads.csv", &spend(&days), &Options::default()).unwrap();
    assert_eq!((report.total(|file| file.rows_new), rejected(&report)), (5, 0));
    let expected: Vec<_> =
        (1..=5).map(|n| (format!("1202{n:03}"), format!("2025-06-{}", 9 + n))).collect();
    assert_eq!(pairs(&bench, &ad_spend::TABLE, ["ad_id", "day"]), expected);
}

#[test]
fn ambiguous_dates_fail_until_their_order_is_given() {
    let first_week = spend(&["01/06/2025", "02/06/2025", "06/06/2025", "2025-06-07"]);
    let bench = Bench::new();
    let said = refusal(load_with(&bench, "ads.csv", &first_week, &Options::default()));
    assert_eq!(
        said,
        "error: `ads.csv`: the dates in `day` are ambiguous: day first or month first\n  \
         hint: say how they are written: `--date-order dmy` reads 31/12/2025, `--date-order mdy` \
         12/31/2025"
    );
    assert_eq!(bench.lake().snapshot(&ad_spend::TABLE).unwrap().version, None);
    for (order, days) in [
        (DateOrder::DayFirst, ["2025-06-01", "2025-06-02", "2025-06-06", "2025-06-07"]),
        (DateOrder::MonthFirst, ["2025-01-06", "2025-02-06", "2025-06-06", "2025-06-07"]),
    ] {
        let bench = Bench::new();
        let options = Options { date_order: Some(order), ..Options::default() };
        load_with(&bench, "ads.csv", &first_week, &options).unwrap();
        let found = pairs(&bench, &ad_spend::TABLE, ["ad_id", "day"]);
        assert_eq!(found.into_iter().map(|(_, day)| day).collect::<Vec<_>>(), days);
    }
    // With year first, other orders are rejected.
    let options = Options { date_order: Some(DateOrder::YearFirst), ..Options::default() };
    assert_eq!(rejected(&load_with(&bench, "ads.csv", &first_week, &options).unwrap()), 3);
}

#[test]
fn error_of_an_ambiguous_column_suggests_the_order_of_other_columns() {
    let bench = Bench::new();
    let text = "Reporting starts,Reporting ends,Ad name,Ad ID,Amount spent (GBP)\n\
                01/06/2025,30/06/2025,Blue,1202,30\n";
    let said = refusal(load_with(&bench, "ads.csv", text, &Options::default()));
    assert!(said.contains("the dates in `reporting_starts` are ambiguous"), "{said}");
    assert!(said.ends_with("; other columns of the file are `--date-order dmy`"), "{said}");
}

#[test]
fn cells_in_the_rarer_date_order_are_rejected() {
    let bench = Bench::new();
    let days = ["13/06/2025", "14/06/2025", "01/06/2025", "06/15/2025", "31/31/2025", "soon"];
    let report = load_with(&bench, "ads.csv", &spend(&days), &Options::default()).unwrap();
    assert_eq!(rejected(&report), 3);
    let found = pairs(&bench, &ad_spend::TABLE, ["ad_id", "day"]);
    let days: Vec<_> = found.iter().map(|(_, day)| day.as_str()).collect();
    assert_eq!(days, ["2025-06-13", "2025-06-14", "2025-06-01"]);
    let reasons: BTreeSet<_> =
        report.files[0].first_rejects.iter().map(|reject| reject.reason.as_str()).collect();
    assert_eq!(reasons, BTreeSet::from(["not a date such as 2025-12-31 or 31/12/2025"]));

    let divided = spend(&["13/06/2025", "06/14/2025", "01/02/2025"]);
    let said = refusal(load_with(&bench, "divided.csv", &divided, &Options::default()));
    assert!(
        said.starts_with(
            "error: `divided.csv`: the dates in `day` are mixed: as many can only be read day first as \
             month first\n"
        ),
        "{said}"
    );
}

const SESSIONS: &str = "session_id,session_started_timestamp,session_finished_timestamp\n";

#[test]
fn timestamps_of_spreadsheets_and_programs_are_read() {
    let cases = [
        ("a1,6/1/2025 10:00,6/1/2025 10:05\na2,6/13/2025 9:30,6/13/2025 9:45 PM\n", "10:05:00"),
        ("a1,1748772000,\na2,1748772000000,\n", ""),
        ("a1,2025-6-1 10:00:00,\n", ""),
        ("a1,2025/06/01 10:00,2000/1/1 0:00\n", ""),
        ("a1,01.06.2025 10:00,\na2,13.06.2025 10:00,\n", ""),
        ("a1,\"13/6/2025, 10:00:00 a. m.\",\"13/6/2025, 10:00:00 p. m.\"\n", "22:00:00"),
    ];
    for (rows, finished) in cases {
        let bench = Bench::new();
        let report =
            load_with(&bench, "a.csv", &format!("{SESSIONS}{rows}"), &Options::default()).unwrap();
        assert_eq!(rejected(&report), 0, "{rows}");
        let found = pairs(
            &bench,
            &sessions::TABLE,
            [sessions::SESSION_STARTED_TIMESTAMP, sessions::SESSION_FINISHED_TIMESTAMP],
        );
        let day = if rows.starts_with("a1,\"13") { "13" } else { "01" };
        let (start, finish) = &found[0];
        assert!(start.starts_with(&format!("2025-06-{day} 10:00:00")), "{rows}: {start}");
        assert!(finish.contains(finished) && finish.is_empty() == finished.is_empty(), "{finish}");
    }
}

#[test]
fn rejected_timestamp_names_accepted_formats_or_the_dst_gap() {
    let desk = Desk::new();
    let rows = "a1,2025-09-07 00:30:00,\na2,2025-09-07 01:30:00,\na3,soon,\na4,2025-06-01,\n";
    desk.write("naive.csv", &format!("{SESSIONS}{rows}"));
    let said = desk.run("load naive.csv --lake lake --source-timezone America/Santiago");
    assert!(
        said.out.contains(
            "rejected: record 1, line 2, `session_started_timestamp`: this local time does not exist in \
             America/Santiago: clocks skip from 24:00 to 01:00; if the file uses another time zone, \
             set it with --source-timezone\n"
        ),
        "{}",
        said.out
    );
    for record in [3, 4] {
        let line = format!(
            "rejected: record {record}, line {}, `session_started_timestamp`: not a date and time \
             such as 2025-12-31 10:00:00 or unix seconds\n",
            record + 1
        );
        assert!(said.out.contains(&line), "{}", said.out);
    }
    assert!(!said.out.contains("soon") && !said.out.contains("00:30"), "{}", said.out);
}

const CONVERSIONS: &str = "conversion_id,event,converted_at,phone,value,currency\n";

pub(super) fn worth(values: &[&str]) -> String {
    let rows = values.iter().zip(1..).map(|(value, n)| {
        format!("c{n},purchase,2025-06-01 10:00:00,573005550101,\"{value}\",COP\n")
    });
    format!("{CONVERSIONS}{}", rows.collect::<String>())
}

#[test]
fn decimal_mark_is_detected_from_the_whole_column() {
    // Cells, and the value of the first.
    let cases: [(&[&str], &str); 10] = [
        (&["1.234", "12.50"], "1.234"),
        (&["1.234", "0.037"], "1.234"),
        (&["1.234", "0.037", "ten"], "1.234"),
        (&["1.234", "12,50"], "1234"),
        (&["1.234", "2.345,6"], "1234"),
        (&["1,234", "1,234,567"], "1234"),
        (&["1,234", "0,250"], "1.234"),
        (&["1,234", "1.234.567"], "1.234"),
        (&["1.234", "12,50", "12.50", "7,5"], "1234"),
        (&["1 234", "7"], "1234"),
    ];
    for (values, first) in cases {
        let bench = Bench::new();
        load_with(&bench, "c.csv", &worth(values), &Options::default()).unwrap();
        let found = pairs(&bench, &conversions::TABLE, ["conversion_id", "value"]);
        let value: f64 = found[0].1.parse().unwrap();
        assert_eq!(value.to_string(), first, "{values:?}");
    }
    let open = worth(&["1.234", "5.678", "9"]);
    let bench = Bench::new();
    let said = refusal(load_with(&bench, "c.csv", &open, &Options::default()));
    assert_eq!(
        said,
        "error: `c.csv`: the numbers in `value` are ambiguous: with a decimal point or with a decimal \
         comma\n  hint: say how they are written: `--decimal comma` reads 1.234,50, `--decimal \
         point` 1,234.50"
    );
    for (mark, first) in [(DecimalMark::Comma, "1234.000000"), (DecimalMark::Point, "1.234000")] {
        let bench = Bench::new();
        let options = Options { decimal: Some(mark), ..Options::default() };
        load_with(&bench, "c.csv", &open, &options).unwrap();
        let found = pairs(&bench, &conversions::TABLE, ["conversion_id", "value"]);
        assert_eq!(found[0].1, first);
    }
}

#[test]
fn language_of_the_header_decides_an_ambiguous_decimal_mark() {
    let cases = [
        ("Day,Ad ID,Amount spent (USD)", "1.234000"),
        ("Día,Identificador del anuncio,Importe gastado (USD)", "1234.000000"),
        ("Jour,Identifiant de la publicité,Montant dépensé (EUR)", "1234.000000"),
    ];
    for (titles, amount) in cases {
        let bench = Bench::new();
        let text = format!("{titles}\n2025-06-01,1202,1.234\n2025-06-02,1203,5.678\n");
        load_with(&bench, "ads.csv", &text, &Options::default()).unwrap();
        assert_eq!(pairs(&bench, &ad_spend::TABLE, ["ad_id", "spend"])[0].1, amount, "{titles}");
    }
    // The language does not tell the date order: English is written everywhere.
    for titles in ["Day,Ad ID,Amount spent (USD)", "Día,Identificador del anuncio,Importe gastado"]
    {
        let text = format!("{titles}\n01/06/2025,1202,1\n");
        let said = refusal(load_with(&Bench::new(), "ads.csv", &text, &Options::default()));
        assert!(said.contains("`--date-order dmy`"), "{said}");
    }
    let text = "ad_id,day,currency,spend\n1202,2025-06-01,USD,1.234\n";
    let said = refusal(load_with(&Bench::new(), "ads.csv", text, &Options::default()));
    assert!(said.contains("in `spend`") && said.contains("`--decimal comma`"), "{said}");
}

#[test]
fn counts_have_thousands_separators_and_no_decimals() {
    let titles = "date,message_type,created,sent";
    let cases: [(&str, &[&str]); 4] = [
        ("2025-06-01,template,\"1,002\",7.0\n", &["1002"]),
        ("2025-06-01,template,1.002,7\n2025-06-02,template,1.000,7\n", &["1000", "1002"]),
        ("2025-06-01,template,1.000.000,7\n", &["1000000"]),
        ("2025-06-01,template,12.0,7\n", &["12"]),
    ];
    for (rows, created) in cases {
        let bench = Bench::new();
        load_with(&bench, "a.csv", &format!("{titles}\n{rows}"), &Options::default()).unwrap();
        let found = pairs(&bench, &message_summaries::TABLE, ["created", "sent"]);
        assert_eq!(found.iter().map(|(n, _)| n.as_str()).collect::<Vec<_>>(), created);
    }
    let text = format!("{titles}\n2025-06-01,template,1.000,7\n");
    let said = refusal(load_with(&Bench::new(), "a.csv", &text, &Options::default()));
    assert!(said.contains("the numbers in `created` are ambiguous"), "{said}");
}

#[test]
fn numbers_of_json_and_spreadsheets_are_exact() {
    let bench = Bench::new();
    let text = r#"{"conversion_id":"c1","converted_at":"2025-06-01T10:00:00Z","phone":"573005550101","value":1.234}"#;
    load_with(&bench, "c.jsonl", text, &Options::default()).unwrap();
    assert_eq!(pairs(&bench, &conversions::TABLE, ["conversion_id", "value"])[0].1, "1.234000");

    let mut book = Workbook::new();
    let sheet = book.add_worksheet();
    for (row, (from, price)) in [("2025-07-01", 1.234), ("2025-07-02", 1000.0)].iter().enumerate() {
        let row = u32::try_from(row).unwrap() + 1;
        sheet.write(row, 0, *from).unwrap();
        sheet.write(row, 1, "marketing").unwrap();
        sheet.write(row, 2, *price).unwrap();
    }
    for (column, title) in (0..).zip(["effective_from", "category", "price"]) {
        sheet.write(0, column, title).unwrap();
    }
    // A text cell with a decimal comma.
    for (column, cell) in (0..).zip(["2025-07-03", "marketing", "1.234,5"]) {
        sheet.write(3, column, cell).unwrap();
    }
    let path = bench.folder.path().join("card.xlsx");
    book.save(&path).unwrap();
    for decimal in [None, Some(DecimalMark::Comma)] {
        let bench = Bench::new();
        let options = Options { decimal, ..Options::default() };
        load(&bench.lake(), std::slice::from_ref(&path), &options).unwrap();
        let found = pairs(&bench, &rates::TABLE, ["effective_from", "price"]);
        let prices: Vec<_> = found.iter().map(|(_, price)| price.as_str()).collect();
        assert_eq!(prices, ["1.234000", "1000.000000", "1234.500000"]);
    }
}

#[test]
fn with_per_file_ambiguous_dates_stop_no_other_file() {
    let desk = Desk::new();
    desk.write("open.csv", &spend(&["01/06/2025"]));
    desk.write("clear.csv", &spend(&["13/06/2025"]));
    let said = desk.run("load open.csv clear.csv --lake lake --per-file");
    assert_eq!(said.code, 1);
    assert!(
        said.out.contains("open.csv  →  not loaded\n  error: `open.csv`: the dates"),
        "{}",
        said.out
    );
    assert!(said.out.contains("clear.csv  →  ad_spend\n  1 row read: 1 new"), "{}", said.out);
    let said = desk.run("load open.csv clear.csv --lake other");
    assert_eq!((said.code, said.out.as_str()), (1, ""));
    // The date order is part of the file id.
    for order in ["dmy", "mdy"] {
        let line = format!("load open.csv --lake lake --date-order {order}");
        assert!(desk.run(&line).out.contains(": 1 new"), "{order}");
    }
    let said = desk.run("load open.csv --lake lake --date-order dym");
    assert_eq!(
        (said.err.as_str(), said.code),
        (
            "error: `--date-order` cannot be `dym`\n  \
             hint: did you mean `dmy`? it takes `dmy`, `mdy` and `ymd`\n",
            2
        )
    );
}

#[test]
fn corrected_rejects_need_the_date_order_again() {
    let desk = Desk::new();
    desk.write("ads.csv", &spend(&["13/06/2025", "05/06/2025", "2025-06-x7"]));
    assert_eq!(desk.run("load ads.csv --lake lake").code, 0);
    desk.stdout("rejects --lake lake");
    desk.run("rejects --lake lake --export mend.csv");
    let mend = desk.read("mend.csv");
    desk.write("mend.csv", &mend.replace("2025-06-x7", "07/06/2025"));
    let (said, code) = desk.failure("load mend.csv --lake lake");
    assert!(code == 1 && said.contains("`--date-order dmy`"), "{said}");
    assert!(desk.run("load mend.csv --lake lake --date-order dmy").out.contains("1 new"));
    assert_eq!(desk.stdout("rejects --lake lake -f csv").lines().count(), 1);
}

#[test]
fn offset_is_no_time_zone_and_lists_may_have_blanks() {
    let desk = Desk::new();
    desk.write("a.csv", "session_id,session_started_timestamp\na1,2025-06-01 10:00\n");
    assert_eq!(desk.run("load a.csv --lake lake").code, 0);
    for zone in ["UTC-5", "GMT-5", "COT"] {
        let (said, code) = desk.failure(&format!("query drop-off --lake lake --timezone {zone}"));
        assert!(code == 2 && said.contains("`America/Bogota`"), "{said}");
        assert!(!said.contains("GMT-0") && !said.contains("CET"), "{said}");
    }
    let mut days = desk.command("query return-rate --lake lake -f csv --days");
    let said = days.arg("1, 7,30").output().unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    let (said, code) = desk.failure("query return-rate --lake lake --days 1,x");
    assert_eq!(
        (said.as_str(), code),
        (
            "error: `--days` `x`: not a whole number\n  \
             hint: write a whole number from 1 to 36500, such as 30\n",
            2
        )
    );
}

#[test]
fn only_dry_runs_need_the_temporary_folder() {
    let desk = Desk::new();
    desk.write("a.csv", "session_id,session_started_timestamp\na1,2025-06-01 10:00\n");
    let run = |line: &str| {
        let output = desk.command(line).env("TMPDIR", "/nonexistent").output().unwrap();
        (String::from_utf8(output.stderr).unwrap(), output.status.code())
    };
    assert_eq!(run("load a.csv --lake lake"), (String::new(), Some(0)));
    for line in ["load a.csv --lake lake --dry-run", "load a.csv --lake none --dry-run"] {
        assert_eq!(
            run(line),
            (
                "error: cannot create a temporary folder in `/nonexistent`: no such file or \
                 directory\n  hint: set TMPDIR to an existing folder that can be written\n"
                    .to_owned(),
                Some(1)
            )
        );
    }
}
