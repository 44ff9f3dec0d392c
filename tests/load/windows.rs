//! Windows: the periods that files were asked for, in the table of loads.

use polars::prelude::*;
use wabalake::config::Config;
use wabalake::lake::Lake;
use wabalake::load::{Options, Window, Windows};
use wabalake::nightly;
use wabalake_data::tables::{CellKind, USER_PHONE, ad_spend, loads};
use wabalake_data::{TABLES, Table};

use crate::support::{Bench, Desk, sessions_export};

/// Each loaded file as `KIND FROM TO`, by time.
fn windows(lake: &Lake) -> Vec<String> {
    let rows = lake.loads().unwrap();
    let text = |name, row| {
        let cells = rows.column(name).unwrap().cast(&DataType::String).unwrap();
        cells.str().unwrap().get(row).unwrap_or("-").to_owned()
    };
    let row = |row| {
        [loads::KIND, loads::WINDOW_FROM, loads::WINDOW_TO].map(|name| text(name, row)).join(" ")
    };
    (0..rows.height()).map(row).collect()
}

const SPEND: &str = "Ad ID,Day,Amount spent (USD)\n7,2025-06-03,1.50\n7,2025-06-05,2\n";

#[test]
fn periods_of_loads_are_stored() {
    let desk = Desk::new();
    desk.write("spend.csv", SPEND);
    desk.run("load sessions.csv --lake lake --window 2025-05-01..2025-05-31");
    let said =
        desk.run("load spend.csv --lake lake --window rows --source-timezone America/Bogota");
    assert!(said.out.contains("\n  window: 2025-06-03 to 2025-06-05\n"), "{}", said.out);
    desk.write("others.csv", &sessions_export(0..3));
    desk.run("load others.csv --lake lake");
    let expected =
        ["sessions 2025-05-01 2025-05-31", "ad_spend 2025-06-03 2025-06-05", "sessions - -"];
    assert_eq!(windows(&desk.lake()), expected);
}

#[test]
fn rows_have_local_dates_of_their_source() {
    let desk = Desk::new();
    // The first session starts at 21:00 of the day before, the last at 07:00.
    desk.run("load sessions.csv --lake lake --window rows --source-timezone Asia/Tokyo");
    assert_eq!(windows(&desk.lake()), ["sessions 2025-06-01 2025-06-02"]);
    let desk = Desk::new();
    let text =
        "session_id,session_started_timestamp\na,2025-06-01T02:00:00Z\nb,2025-06-03T02:00:00Z\n";
    desk.write("zoned.csv", text);
    desk.run("load zoned.csv --lake lake --window rows --source-timezone America/Bogota");
    desk.write("empty.csv", "session_id,session_started_timestamp\n");
    desk.run("load empty.csv --lake lake --window rows");
    assert_eq!(windows(&desk.lake()), ["sessions 2025-05-31 2025-06-02", "sessions - -"]);
}

/// A file with one row of a table: its required columns, its day and its person.
fn one_row(table: &Table) -> String {
    let is_wanted = |column: &&wabalake_data::Column| {
        column.required || column.expected || [table.day_of, USER_PHONE].contains(&column.name)
    };
    let columns: Vec<_> = table.exported().filter(is_wanted).collect();
    let cell = |column: &&wabalake_data::Column| match (column.name, column.kind) {
        ("end", _) => "1748775600",
        ("message_direction", _) => "outgoing",
        (_, CellKind::Stamp | CellKind::Moment) => "2025-06-01T10:00:00Z",
        (_, CellKind::Date) => "2025-06-01",
        (_, CellKind::Seconds) => "1748772000",
        (_, CellKind::Phone | CellKind::FullPhone) => "573005550101",
        (_, CellKind::UserId) => "CO.1349",
        (_, CellKind::Country) => "CO",
        _ => "1",
    };
    let line = |cells: Vec<&str>| cells.join(",");
    let names = columns.iter().map(|column| column.name).collect();
    format!("{}\n{}\n", line(names), line(columns.iter().map(cell).collect()))
}

#[test]
fn rows_of_every_table_have_a_window_unless_it_has_no_days() {
    for table in TABLES {
        let bench = Bench::new();
        let windows = Windows { otherwise: Window::Rows, ..Windows::default() };
        let options = Options { kind: Some(table), windows, ..Options::default() };
        let file = bench.file("one.csv", one_row(table));
        let report = bench.load_with(&[file], &options).unwrap();
        let file = &report.files[0];
        assert_eq!((file.rows_read, file.rows_new), (1, 1), "{}: {}", table.name, report.text());
        assert_eq!(file.window_from.is_some(), table.has_days(), "{}", table.name);
        assert_eq!(file.window_from, file.window_to);
    }
}

#[test]
fn names_of_files_in_the_inbox_have_the_date_of_their_export() {
    let bench = Bench::new();
    bench.lake();
    let spend = |amount| format!("Ad ID,Day,Amount spent (USD)\n7,2025-06-03,{amount}\n");
    // Meta lowered the amount.
    bench.file("inbox/ads_2025-06-04.csv", spend("9.00"));
    bench.file("inbox/ads_2025-06-09.csv", spend("7.00"));
    // Sessions have no date of export.
    bench.file("inbox/ads_2025-06-10.csv", sessions_export(0..2));
    let settings = "[inbox]\nfolders = ['../inbox']\nsettle_seconds = 0\n\
                    [[inbox.windows]]\npattern = 'ads_(?P<exported>\\d{4}-\\d{2}-\\d{2})'\n";
    let config = Config::read(settings).unwrap();
    let report = nightly::run(&bench.lake(), &config, &nightly::Options::default(), None).unwrap();
    assert!(report.inbox.failed.is_empty(), "{:?}", report.inbox.failed);
    let columns = [ad_spend::SPEND, ad_spend::EXPORTED_ON];
    assert_eq!(bench.columns(&ad_spend::TABLE, &columns, " "), ["7.000000 2025-06-09"]);
    let mut found = windows(&bench.lake());
    found.sort();
    assert_eq!(found, ["ad_spend - -", "ad_spend - -", "sessions - -"]);
}

#[test]
fn wrong_periods_are_usage_errors() {
    let desk = Desk::new();
    for (period, part) in [
        ("2025-06-02..2025-06-01", "a period that ends before it begins"),
        ("2025-06-02", "not a period"),
        ("2025-06-31..2025-07-01", "not a date"),
        ("june", "not a period"),
    ] {
        let (error, code) =
            desk.failure(&format!("load sessions.csv --lake lake --window {period}"));
        assert!(error.contains(part) && code == 2, "{period}: {error}");
    }
}

#[test]
fn names_of_files_in_the_inbox_have_their_period() {
    let bench = Bench::new();
    bench.lake();
    for (name, from) in [
        ("sessions_2025_06_01_2025_06_30.csv", 0),
        ("rest.csv", 10),
        ("sessions_2025_06_31_2025_06_30.csv", 20),
    ] {
        bench.file(&format!("inbox/{name}"), sessions_export(from..from + 2));
    }
    let settings = "[inbox]\nfolders = ['../inbox']\nsettle_seconds = 0\nwindow = 'rows'\n\
                    [[inbox.windows]]\npattern = '^none (?<from>.)(?<to>.)$'\n\
                    [[inbox.windows]]\npattern = '(?<from>\\d{4}_\\d\\d_\\d\\d)_(?P<to>[\\d_]{10})'\n";
    let config = Config::read(settings).unwrap();
    let options = nightly::Options::default();
    let report = nightly::run(&bench.lake(), &config, &options, None).unwrap();
    let mut found = windows(&bench.lake());
    found.sort();
    assert_eq!(found, ["sessions 2025-06-01 2025-06-01", "sessions 2025-06-01 2025-06-30"]);
    let [failed] = &report.inbox.failed[..] else { panic!("{:?}", report.inbox.failed) };
    assert!(failed.error.ends_with("has no date where the pattern has `from`"), "{failed:?}");
    assert!(failed.hint.as_ref().unwrap().contains("[[inbox.windows]]"), "{failed:?}");
}
