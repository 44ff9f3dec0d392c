//! Sums of money are printed exactly, whatever their size.

use polars::prelude::*;

use crate::support::{Bench, Said};

/// Standard output of a command that succeeds.
fn said(bench: &Bench, arguments: &[&str]) -> String {
    let command = bench.command("").args(arguments).args(["--lake", "lake"]).output();
    let said = Said::of(command.unwrap());
    assert_eq!(said.code, 0, "{arguments:?}: {}", said.err);
    said.out
}

#[test]
fn sums_larger_than_an_amount_are_printed_exactly() {
    let bench = Bench::new();
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
    let files = exports.map(|(name, text)| bench.file(name, text));
    bench.load_files(&files).unwrap();

    let sum = "8999999999999.999991";
    let ask = ["query", "meta-sources", "--event", "purchase", "-f"];
    for format in ["csv", "tsv", "json", "ndjson", "markdown", "html", "table"] {
        let printed = said(&bench, &[&ask[..], &[format]].concat());
        // The table format separates thousands.
        let printed = if format == "table" { printed.replace(',', "") } else { printed };
        assert_eq!(
            printed.matches(sum).count(),
            3,
            "spend, refund and revenue, as {format}: {printed}"
        );
        assert!(printed.contains(&format!("-{sum}")), "{format}: {printed}");
    }
    let csv = said(&bench, &[&ask[..], &["csv"]].concat());
    assert!(csv.lines().any(|line| line.ends_with(",USD,9000000000000.0,1.0,,,")), "{csv}");
    assert!(
        said(&bench, &["query", "inbound-channels", "--event", "purchase", "-f", "csv"])
            .contains(sum)
    );
    for (format, name) in [("parquet", "a.parquet"), ("arrow", "a.arrow")] {
        said(&bench, &[&ask[..], &[format, "-o", name]].concat());
        let file = std::fs::File::open(bench.path(name)).unwrap();
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
    assert_eq!(said(&bench, &["sql", statement, "-f", "csv"]), format!("spend\n{sum}\n"));
    said(&bench, &["report", "-o", "page.html", "--from", "2025-06-01", "--to", "2025-06-30"]);
    let page = bench.read("page.html");
    assert!(page.contains("9,000,000,000,000.00 USD"), "the page rounds to hundredths");
}
