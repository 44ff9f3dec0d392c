//! Rates of markets, the markets of countries, and rate cards as Meta publishes them.

use chrono::NaiveDate;
use wabalake::load::Options;
use wabalake_data::tables::{markets, rates};

use crate::support::{Bench, Desk, total};

const HEADER: &str =
    "Market,Currency,Marketing,Utility,Authentication,\"Authentication-\nInternational\",Service\n";

fn date(day: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 10, day).unwrap()
}

fn dated() -> Options {
    Options { effective_from: Some(date(1)), ..Options::default() }
}

#[test]
fn published_prices_become_rates_of_markets() {
    let bench = Bench::new();
    let card = format!(
        "\"WhatsApp Business Platform, rates effective July 1, 2026\"\n\n{HEADER}\
         Colombia,$US,0.0125,0.0008,0.0008,n/a,--\n\
         Rest of Central and Eastern Europe,€,0.086,,0.0212,N/A,0.01\n\
         Other,US$,0.0604,0.0077,0.0077,0.03,\n\
         Rates exclude taxes,,,,,,\n"
    );
    let report = bench.load("card.csv", &card);
    assert_eq!(total(&report)[..2], [10, 10]);
    assert_eq!(report.files[0].table, "rates");
    assert_eq!(
        bench.rows(&rates::TABLE),
        [
            "2026-07-01||authentication_international|0|0.030000|USD|0|Other|2026-07-01",
            "2026-07-01||authentication|0|0.000800|USD|0|Colombia|2026-07-01",
            "2026-07-01||authentication|0|0.007700|USD|0|Other|2026-07-01",
            "2026-07-01||authentication|0|0.021200|EUR|0|Rest of Central & Eastern Europe|2026-07-01",
            "2026-07-01||marketing|0|0.012500|USD|0|Colombia|2026-07-01",
            "2026-07-01||marketing|0|0.060400|USD|0|Other|2026-07-01",
            "2026-07-01||marketing|0|0.086000|EUR|0|Rest of Central & Eastern Europe|2026-07-01",
            "2026-07-01||service|0|0.010000|EUR|0|Rest of Central & Eastern Europe|2026-07-01",
            "2026-07-01||utility|0|0.000800|USD|0|Colombia|2026-07-01",
            "2026-07-01||utility|0|0.007700|USD|0|Other|2026-07-01",
        ]
    );
    // The same card changes nothing.
    assert_eq!(total(&bench.load("again.csv", card + "\n"))[1..4], [0, 0, 10]);
}

#[test]
fn volume_tiers_become_rates_of_markets() {
    let bench = Bench::new();
    let block = ";From;To;Rate type;Rate;vs. List rate";
    let card = format!(
        ";;Utility;;;;;Authentication;;;;;Authentication-International;;;;\n\
         Market;Currency{block}{block}{block}\n\
         India;₹;1;25,000,000;List rate;0.115;;1;100,000;List rate;0.115;;;;;n/a;\n\
         ;;25,000,001;--;Tier;0.1092;-5%;100,001;;Tier;0.104;-10%;;;;;\n\
         Peru;USD;1;;List rate;0.02;;1;;List rate;0.02;;1;;List rate;0.03;\n"
    );
    let report = bench.load_with(&[bench.file("tiers.csv", card)], &dated()).unwrap();
    assert_eq!(total(&report)[..2], [7, 7]);
    assert_eq!(
        bench.rows(&rates::TABLE),
        [
            "2026-10-01||authentication_international|0|0.030000|USD|0|Peru|2026-10-01",
            "2026-10-01||authentication|0|0.020000|USD|0|Peru|2026-10-01",
            "2026-10-01||authentication|0|0.115000|INR|0|India|2026-10-01",
            "2026-10-01||authentication|100001|0.104000|INR|0|India|2026-10-01",
            "2026-10-01||utility|0|0.020000|USD|0|Peru|2026-10-01",
            "2026-10-01||utility|0|0.115000|INR|0|India|2026-10-01",
            "2026-10-01||utility|25000001|0.109200|INR|0|India|2026-10-01",
        ]
    );
}

#[test]
fn cards_that_leave_something_open_name_the_option() {
    let bench = Bench::new();
    let card = format!("{HEADER}Chile,¥,0.1,,,,\nPeru,USD,x,0.1,,,\n,USD,0.1,,,,\n");
    let error = bench.try_load("card.csv", &card).unwrap_err().lines();
    assert!(error.contains("without a date") && error.contains("--effective-from"), "{error}");

    let path = bench.file("card.csv", &card);
    let report = bench.load_with(std::slice::from_ref(&path), &dated()).unwrap();
    assert_eq!(total(&report)[..2], [4, 1]);
    let rejects = bench.rejects();
    for reason in ["give it with --currency", "not an amount of money", "names no market"] {
        assert!(rejects.iter().any(|reject| reject.contains(reason)), "{rejects:?}");
    }
    let options = Options { currency: Some("CLP".to_owned()), ..dated() };
    let report = bench.load_with(&[path], &options).unwrap();
    assert_eq!(total(&report)[..2], [4, 1]);
    let rows = bench.rows(&rates::TABLE);
    assert_eq!(rows[0], "2026-10-01||marketing|0|0.100000|CLP|0|Chile|2026-10-01");

    let dated_card = bench.file("dated.csv", format!("Effective July 1, 2026\n{card}"));
    let error = bench.load_with(&[dated_card], &options).unwrap_err().lines();
    assert!(error.contains("effective from 2026-07-01"), "{error}");
}

#[test]
fn options_of_cards_are_for_cards_alone() {
    let desk = Desk::new();
    desk.write("rates.csv", "effective_from,category,price\n2026-10-01,service,0.01\n");
    desk.write("card.csv", &format!("{HEADER}Peru,$,0.1,,,,\n"));
    let (error, code) = desk.failure("load rates.csv --currency usd --lake lake");
    assert!(error.contains("is not a rate card") && code == 2, "{error}");
    let (error, code) = desk.failure("load rate-card rates.csv --lake lake");
    assert!(error.contains("is not a rate card as Meta publishes it") && code == 1, "{error}");
    let (error, code) = desk.failure("load card.csv --currency dollar --lake lake");
    assert!(error.contains("three letters, such as USD") && code == 2, "{error}");
    let (error, code) =
        desk.failure("load card.csv --rename a=market --effective-from 2026-10-01 --lake lake");
    assert!(error.contains("no columns to rename") && code == 2, "{error}");
    desk.stdout("load rate-card card.csv --currency usd --effective-from 2026-10-01 --lake lake");
    let sql = "SELECT market, currency FROM rates";
    desk.write("rates.sql", sql);
    assert!(desk.stdout("query ./rates.sql -f csv --lake lake").contains("Peru,USD"));
}

#[test]
fn a_rate_is_of_a_country_or_a_market() {
    let bench = Bench::new();
    let card = "effective_from,country,market,category,price\n\
                2026-10-01,CO,Colombia,service,0.01\n\
                2026-10-01,CO,,service,0.02\n\
                2026-10-01,,rest_of latin-america,service,0.03\n\
                2026-10-01,*,*,service,0.04\n\
                2026-10-01,,Rest of the Moon,service,0.05\n";
    assert_eq!(total(&bench.load("card.csv", card))[..2], [5, 4]);
    let rejects = bench.rejects();
    assert!(rejects[0].contains("the row has a country too"), "{rejects:?}");
    assert_eq!(
        bench.rows(&rates::TABLE),
        [
            "2026-10-01|CO|service|0|0.020000||0||2026-10-01",
            "2026-10-01||service|0|0.030000||0|Rest of Latin America|2026-10-01",
            "2026-10-01||service|0|0.040000||0||2026-10-01",
            "2026-10-01||service|0|0.050000||0|restofthemoon|2026-10-01",
        ]
    );
}

#[test]
fn markets_of_a_file_of_ones_own_are_stored_by_canonical_name() {
    let bench = Bench::new();
    let list = "country,market,valid_from,revision\n\
                Cuba,REST OF LATIN AMERICA,2026-12-01,\n\
                CU,Other,2026-12-01,1\n\
                KZ,,2026-12-01,\n";
    let report = bench.load("list.csv", list);
    assert_eq!((report.files[0].table, total(&report)[1]), ("markets", 1));
    assert_eq!(bench.rows(&markets::TABLE), ["CU|Other|2026-12-01|1|2026-12-01"]);
}
