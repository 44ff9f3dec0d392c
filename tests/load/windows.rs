//! Windows: the periods that files were asked for, in the table of loads.

use polars::prelude::*;
use wabalake::config::Config;
use wabalake::lake::Lake;
use wabalake::nightly;
use wabalake_data::tables::loads;

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
