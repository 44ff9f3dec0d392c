//! `return-rate` counts who came back as another library does, on a log of purchases that is
//! public.
//!
//! `count.py` says where the log and the counts are from, and makes them again.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::Path;

use flate2::read::GzDecoder;

use crate::support::Bench;

fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cdnow"))
}

/// An export with a session for each purchase.
fn visits() -> String {
    let mut purchases = String::new();
    let packed = File::open(folder().join("purchases.csv.gz")).unwrap();
    GzDecoder::new(packed).read_to_string(&mut purchases).unwrap();
    let mut visits =
        "session_id,session_started_timestamp,session_type,user_cellphone\n".to_owned();
    for (number, line) in purchases.lines().skip(1).enumerate() {
        let (person, day) = line.split_once(',').unwrap();
        let (year, month, day) = (&day[..4], &day[4..6], &day[6..]);
        // A number of no country.
        let phone = format!("999000{person:0>6}");
        let _ =
            writeln!(visits, "purchase-{number},{year}-{month}-{day}T12:00:00Z,Inbound,{phone}");
    }
    visits
}

#[test]
fn return_rate_counts_as_lifetimes_does() {
    let bench = Bench::new();
    let report = bench.load("sessions.csv", visits());
    assert_eq!(report.total(|file| file.rows_new), 69_659);
    let counts = fs::read_to_string(folder().join("returns.csv")).unwrap();
    for (cohort, mode) in [("month", "on-or-after"), ("day", "on"), ("day", "within")] {
        let answer = bench.stdout(&format!(
            "query return-rate --cohort {cohort} --mode {mode} --days 1,7,30,90,365,500 \
             --lake lake -f csv"
        ));
        let columns = "cohort,day_n,cohort_users,eligible_users,returned_users";
        assert!(answer.starts_with(columns), "{answer}");
        let prefix = format!("{cohort},{mode},");
        let expected: Vec<&str> =
            counts.lines().filter_map(|line| line.strip_prefix(prefix.as_str())).collect();
        assert_eq!(expected.len(), 18);
        for counts in &expected {
            let begins = format!("{counts},");
            assert!(answer.lines().any(|row| row.starts_with(&begins)), "{prefix}: {counts}");
        }
        // Of cohorts of days only some are counted.
        assert!(cohort == "day" || answer.lines().count() == 1 + expected.len(), "{answer}");
    }
}
