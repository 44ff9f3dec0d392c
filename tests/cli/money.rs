//! Sums of money as they are printed, whatever their size.

use std::path::Path;
use std::process::Command;

use polars::prelude::*;
use tempfile::TempDir;
use wabalake::lake::Lake;
use wabalake::load::{Options, load};

fn said(folder: &Path, words: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wabalake"));
    command.current_dir(folder).args(words).args(["--lake", "lake"]);
    command.env_remove("WABALAKE_LAKE").env_remove("WABALAKE_TIMEZONE");
    let output = command.output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{words:?}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_sum_beyond_an_amount_is_printed_exactly() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    let amount = "999999999999.999999";
    let days = |sign: &str| -> String {
        let day = |day| format!("ad{sign},2025-06-0{day},USD,{sign}{amount}\n");
        (1..=9).map(day).collect()
    };
    let spend = format!("ad_id,day,currency,spend\n{}{}", days(""), days("-"));
    let purchase = |n| format!("c{n},purchase,2025-06-0{n} 12:00:00,s1,USD,{amount}\n");
    let earned: String = (1..=9).map(purchase).collect();
    let sessions = "session_id,session_started_timestamp,session_type,meta_source_id,meta_source_type\n\
                    s1,2025-06-01 10:00:00,Inbound,ad,Ad\n";
    let earned = format!("conversion_id,event,converted_at,session_id,currency,value\n{earned}");
    let exports =
        [("spend.csv", spend.as_str()), ("earned.csv", &earned), ("sessions.csv", sessions)];
    let files = exports.iter().map(|(name, text)| {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        path
    });
    let lake = Lake::create(folder.join("lake")).unwrap();
    load(&lake, &files.collect::<Vec<_>>(), &Options::default()).unwrap();

    let sum = "8999999999999.999991";
    let ask = ["query", "meta-sources", "--event", "purchase", "-f"];
    for format in ["csv", "tsv", "json", "ndjson", "markdown", "html", "table"] {
        let printed = said(folder, &[&ask[..], &[format]].concat());
        // What is to be read has its digits in threes.
        let printed = if format == "table" { printed.replace(',', "") } else { printed };
        assert_eq!(
            printed.matches(sum).count(),
            3,
            "spend, refund and revenue, as {format}: {printed}"
        );
        assert!(printed.contains(&format!("-{sum}")), "{format}: {printed}");
    }
    let csv = said(folder, &[&ask[..], &["csv"]].concat());
    assert!(csv.lines().any(|line| line.ends_with(",USD,9000000000000.0,1.0")), "{csv}");
    assert!(
        said(folder, &["query", "inbound-channels", "--event", "purchase", "-f", "csv"])
            .contains(sum)
    );
    for (format, name) in [("parquet", "a.parquet"), ("arrow", "a.arrow")] {
        said(folder, &[&ask[..], &[format, "-o", name]].concat());
        let file = std::fs::File::open(folder.join(name)).unwrap();
        let read = match format {
            "parquet" => ParquetReader::new(file).finish(),
            _ => IpcReader::new(file).finish(),
        };
        let read = read.unwrap();
        let spend = read.column("spend").unwrap();
        assert_eq!(*spend.dtype(), DataType::Decimal(38, 6), "{format}");
        let units: Vec<_> = spend.decimal().unwrap().physical().iter().flatten().collect();
        assert!(units.contains(&8_999_999_999_999_999_991), "{format}: {units:?}");
    }
    let statement = "SELECT sum(spend) AS spend FROM ad_spend WHERE spend > 0";
    assert_eq!(said(folder, &["sql", statement, "-f", "csv"]), format!("spend\n{sum}\n"));
    said(folder, &["report", "-o", "page.html", "--from", "2025-06-01", "--to", "2025-06-30"]);
    let page = std::fs::read_to_string(folder.join("page.html")).unwrap();
    assert!(page.contains("9,000,000,000,000.00 USD"), "the page rounds to hundredths");
}
