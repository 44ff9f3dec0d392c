//! Rows of one export with the same key: amounts are added up, older states are superseded.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use chrono::NaiveDate;
use proptest::prelude::*;
use wabalake::error::Error;
use wabalake::load::{FileReport, LoadReport, Options, load};
use wabalake_data::tables::ad_spend;

use crate::support::{Bench, Said};

pub(super) fn load_exported(
    bench: &Bench,
    name: &str,
    text: &str,
    exported: &str,
) -> Result<LoadReport, Error> {
    let exported_on = (!exported.is_empty()).then(|| exported.parse().unwrap());
    bench.load_with(&[bench.file(name, text)], &Options { exported_on, ..Options::default() })
}

/// Amounts by ad, day and currency.
pub(super) fn spend(bench: &Bench) -> Vec<String> {
    bench.columns(&ad_spend::TABLE, &["ad_id", "day", "currency", "spend"], " ")
}

pub(super) fn run(bench: &Bench, words: &[&str]) -> Said {
    Said::of(bench.command("").args(words).args(["--lake", "lake"]).output().unwrap())
}

/// The number of keys in `ad_spend`, and of those that were restated.
pub(super) fn restated(bench: &Bench) -> String {
    let Said { out, err, code } = run(bench, &["query", "data-quality", "-f", "csv"]);
    assert_eq!(code, 0, "{err}");
    let row = out.lines().find(|line| line.starts_with("spend-restated,ad_spend,")).unwrap();
    row.split(',').skip(2).take(2).collect::<Vec<_>>().join(" ")
}

/// The number of keys, none of which was restated.
fn restated_or_none(bench: &Bench) -> usize {
    let reported = restated(bench);
    let (keys, failing) = reported.split_once(' ').unwrap();
    assert_eq!(failing, "0");
    keys.parse().unwrap()
}

/// Rows of a file: new, updated, unchanged, superseded, added up.
pub(super) fn outcomes(file: &FileReport) -> [u64; 5] {
    let FileReport { rows_new, rows_updated, rows_unchanged, rows_superseded, .. } = file;
    let figures = [*rows_new, *rows_updated, *rows_unchanged, *rows_superseded, file.rows_added_up];
    let not_taken = file.rows_rejected + file.rows_left_out + file.rows_kept_out;
    assert_eq!(figures.iter().sum::<u64>() + not_taken, file.rows_read + file.rows_spread);
    figures
}

const BY_PLATFORM: &str = "Day,Ad name,Ad ID,Platform,Amount spent (USD)\n";
const PLATFORMS: &str = "2025-06-01,Blue,120200000000000101,facebook,10.00\n\
                         2025-06-01,Blue,120200000000000101,instagram,7.50\n\
                         2025-06-01,Blue,120200000000000101,audience_network,2.25\n";

#[test]
fn breakdown_rows_are_added_up() {
    let bench = Bench::new();
    let report = bench.load("platforms.csv", format!("{BY_PLATFORM}{PLATFORMS}"));
    assert_eq!(outcomes(&report.files[0]), [1, 0, 0, 0, 2]);
    let text = report.text();
    let reported = "2 rows added up, to another row of the file with the same ad_id, day, currency";
    assert!(text.contains(reported), "{text}");
    // Four rows of one ad and day, two with the same amount.
    let ages = "Inicio del informe,Fin del informe,Nombre del anuncio,Identificador del anuncio,Edad,Sexo,Importe gastado (COP)\n\
                2025-06-01,2025-06-01,Azul,120200000000000102,18-24,male,1000\n\
                2025-06-01,2025-06-01,Azul,120200000000000102,25-34,male,2500\n\
                2025-06-01,2025-06-01,Azul,120200000000000102,25-34,female,1500\n\
                2025-06-01,2025-06-01,Azul,120200000000000102,35-44,female,1500\n";
    assert_eq!(outcomes(&bench.load("ages.csv", ages).files[0]), [1, 0, 0, 0, 3]);
    let all = [
        "120200000000000101 2025-06-01 USD 19.750000",
        "120200000000000102 2025-06-01 COP 6500.000000",
    ];
    assert_eq!(spend(&bench), all);
    // The same total without a breakdown, or by another one, changes nothing.
    let whole = "Day,Ad ID,Amount spent (USD)\n2025-06-01,120200000000000101,19.75\n";
    assert_eq!(outcomes(&bench.load("whole.csv", whole).files[0]), [0, 0, 1, 0, 0]);
    let hours = "Day,Ad ID,Hour,Amount spent (USD)\n\
                 2025-06-01,120200000000000101,9,19.00\n2025-06-01,120200000000000101,10,0.75\n";
    assert_eq!(outcomes(&bench.load("hours.csv", hours).files[0]), [0, 0, 1, 0, 1]);
    assert_eq!(spend(&bench), all);
    assert_eq!(restated(&bench), "2 0");
}

#[test]
fn duplicate_record_counts_once() {
    let bench = Bench::new();
    // Quotes do not make a record different; any other cell of an unknown column does.
    let again = PLATFORMS.replace("facebook", "\"facebook\"");
    let report = bench.load("twice.csv", format!("{BY_PLATFORM}{PLATFORMS}{again}"));
    assert_eq!(outcomes(&report.files[0]), [1, 0, 3, 0, 2]);
    assert_eq!(spend(&bench), ["120200000000000101 2025-06-01 USD 19.750000"]);
    let other = PLATFORMS.replace("facebook", "facebook and more");
    let report = bench.load("other.csv", format!("{BY_PLATFORM}{PLATFORMS}{other}"));
    assert_eq!(outcomes(&report.files[0]), [0, 1, 2, 0, 3]);
    assert_eq!(spend(&bench), ["120200000000000101 2025-06-01 USD 29.750000"]);
}

#[test]
fn periods_are_spread_over_days_and_added_up() {
    let bench = Bench::new();
    let text = "Reporting starts,Reporting ends,Ad ID,Platform,Amount spent (USD)\n\
                2025-06-01,2025-06-03,7,facebook,100.00\n\
                2025-06-01,2025-06-03,7,instagram,50.00\n\
                2025-06-01,2025-06-03,7,instagram,50.00\n";
    let report = bench.load("periods.csv", text);
    assert_eq!((report.files[0].rows_read, report.files[0].rows_spread), (3, 6));
    assert_eq!(outcomes(&report.files[0]), [3, 0, 3, 0, 3]);
    // Shares of 100 and 50: 33.34 + 16.67, 33.33 + 16.67, 33.33 + 16.66.
    let days =
        ["7 2025-06-01 USD 50.010000", "7 2025-06-02 USD 50.000000", "7 2025-06-03 USD 49.990000"];
    assert_eq!(spend(&bench), days);
}

#[test]
fn day_replaces_its_share_of_a_week() {
    let header = "Reporting starts,Reporting ends,Ad ID,Platform,Amount spent (USD)\n";
    let week = "2025-06-01,2025-06-07,7,facebook,70\n2025-06-01,2025-06-07,7,instagram,7\n";
    let day = "2025-06-02,2025-06-02,7,facebook,4\n2025-06-02,2025-06-02,7,instagram,3\n";
    let days = |second: &str| {
        let day = |n| match n {
            2 => format!("7 2025-06-02 USD {second}"),
            n => format!("7 2025-06-0{n} USD 11.000000"),
        };
        (1..=7).map(day).collect::<Vec<_>>()
    };
    for text in [format!("{header}{week}{day}"), format!("{header}{day}{week}")] {
        let bench = Bench::new();
        assert_eq!(outcomes(&bench.load("all.csv", &text).files[0]), [7, 0, 0, 1, 8]);
        assert_eq!(spend(&bench), days("7.000000"));
        assert_eq!(restated(&bench), "7 0", "a share is no exported amount");
    }
    for (first, second) in [(week, day), (day, week)] {
        let bench = Bench::new();
        bench.load("first.csv", format!("{header}{first}"));
        bench.load("second.csv", format!("{header}{second}"));
        assert_eq!(spend(&bench), days("7.000000"));
        assert_eq!(restated(&bench), "7 0");
    }
    // A later export wins, whatever its period.
    let bench = Bench::new();
    load_exported(&bench, "day.csv", &format!("{header}{day}"), "2025-06-03").unwrap();
    load_exported(&bench, "week.csv", &format!("{header}{week}"), "2025-06-09").unwrap();
    assert_eq!(spend(&bench), days("11.000000"));
}

#[test]
fn later_export_wins_even_with_a_smaller_amount() {
    let header = "Day,Ad name,Ad ID,Amount spent (USD)\n";
    let first = format!("{header}2025-06-01,Blue,120200000000000101,100.00\n");
    let later = format!("{header}2025-06-01,Blue,120200000000000101,80.00\n");
    let stays = |spend: &str| vec![format!("120200000000000101 2025-06-01 USD {spend}.000000")];
    let (early, late) = ("2025-06-02", "2025-06-05");
    for (exported, stay) in [
        (["", ""], "100"),
        (["", late], "80"),
        ([early, late], "80"),
        ([late, late], "100"),
        ([late, early], "100"),
        ([early, ""], "100"),
    ] {
        for turned in [false, true] {
            let bench = Bench::new();
            bench.lake();
            let mut files = [("1.csv", &first, exported[0]), ("2.csv", &later, exported[1])];
            if turned {
                files.reverse();
            }
            for (name, text, exported) in files {
                assert_eq!(restated_or_none(&bench), spend(&bench).len());
                load_exported(&bench, name, text, exported).unwrap();
            }
            assert_eq!(spend(&bench), stays(stay), "{exported:?}, turned: {turned}");
            assert_eq!(restated(&bench), "1 1");
            // After undo the other file's amount is back.
            bench.lake().undo().unwrap();
            assert_eq!(spend(&bench), stays(if turned { "80" } else { "100" }));
            assert_eq!(restated(&bench), "1 0");
        }
    }
    // The same amount exported again is no restatement.
    let bench = Bench::new();
    let known = load_exported(&bench, "1.csv", &first, "").unwrap();
    for exported in [early, late] {
        let report = load_exported(&bench, "1.csv", &first, exported).unwrap();
        assert!(!report.files[0].already_loaded);
        assert_ne!(report.files[0].file_id, known.files[0].file_id);
    }
    assert!(load_exported(&bench, "1.csv", &first, late).unwrap().files[0].already_loaded);
    assert_eq!(restated(&bench), "1 0");
    let exported = bench.columns(&ad_spend::TABLE, &["spend", "exported_on"], " ");
    assert_eq!(exported, ["100.000000 2025-06-05"]);
}

#[test]
fn export_date_can_be_a_column() {
    let bench = Bench::new();
    let text = "ad_id,day,spend,exported_on\n7,2025-06-01,100,2025-06-02\n\
                7,2025-06-01,80,2025-06-05\n7,2025-06-01,90,\n";
    let report = load_exported(&bench, "history.csv", text, "2025-06-03").unwrap();
    assert_eq!(outcomes(&report.files[0]), [1, 0, 0, 2, 0]);
    let row = bench.columns(
        &ad_spend::TABLE,
        &["spend", "exported_on", ad_spend::SPEND_LEAST, ad_spend::SPEND_GREATEST],
        " ",
    );
    assert_eq!(row, ["80.000000 2025-06-05 80.000000 100.000000"]);
}

#[test]
fn exported_on_is_for_tables_that_store_it() {
    let bench = Bench::new();
    bench.file("a.csv", "session_id,session_started_timestamp\na1,2025-06-01 10:00:00\n");
    bench.file("b.csv", "Day,Ad ID,Amount spent (USD)\n2025-06-01,7,1\n");
    let exported = ["--exported-on", "2025-06-05"];
    let Said { err: said, code, .. } =
        run(&bench, &[&["load", "a.csv", "b.csv"][..], &exported].concat());
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("`a.csv` is for sessions"), "{said}");
    assert!(said.contains("hint: use `--exported-on` only with files for ad_spend"), "{said}");
    assert!(spend(&bench).is_empty());
    let Said { err: said, code, .. } =
        run(&bench, &["load", "b.csv", "--exported-on", "05.06.2025"]);
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("did you mean `2025-06-05`?"), "{said}");
    let Said { out: printed, err: said, code } =
        run(&bench, &[&["load", "b.csv"][..], &exported].concat());
    assert_eq!((code, said.as_str()), (0, ""), "{printed}");
    assert_eq!(bench.columns(&ad_spend::TABLE, &["exported_on"], " "), ["2025-06-05"]);
    // Helper columns are in no answer.
    let Said { out: printed, code, .. } =
        run(&bench, &["sql", "SELECT * FROM ad_spend", "-f", "csv"]);
    assert_eq!(code, 0);
    let titles = "ad_id,day,currency,spend,exported_on,campaign_id,campaign_name,ad_set_id,ad_set_name,\
                  ad_name,impressions,clicks";
    assert_eq!(printed, format!("{titles}\n7,2025-06-01,USD,1,2025-06-05,,,,,,,\n"));
}

#[test]
fn sum_too_large_for_an_amount_fails_the_load() {
    let bench = Bench::new();
    let most = "999999999999.999999";
    let text = |more: &str| {
        format!("Day,Ad ID,Age,Amount spent (USD)\n2025-06-01,7,a,{most}\n2025-06-01,7,b,{more}\n")
    };
    let error = load_exported(&bench, "great.csv", &text("0.000001"), "").unwrap_err();
    assert_eq!(error.exit_code(), 1);
    let said = error.lines();
    assert!(said.contains("`great.csv`: rows with one ad_id, day, currency"), "{said}");
    assert!(said.contains("`spend` can hold") && said.contains("hint: "), "{said}");
    assert!(!said.contains("999999"), "the error shows a cell: {said}");
    assert!(spend(&bench).is_empty());
    bench.load("great.csv", text("-0.000001"));
    assert_eq!(spend(&bench), ["7 2025-06-01 USD 999999999999.999998"]);
}

/// A record: ad, first and last day, platform, amount per day.
type Record = (u8, (u32, u32), u8, i64);

/// A file: its export date, and its records.
type File = (Option<u32>, Vec<Record>);

fn record() -> impl Strategy<Value = Record> {
    let days = prop::sample::select(vec![(1, 1), (1, 1), (2, 2), (1, 2), (2, 3), (1, 3)]);
    (1..3u8, days, 0..3u8, prop::sample::select(vec![-2i64, 0, 1, 3]))
}

fn files() -> impl Strategy<Value = Vec<File>> {
    let exported = prop::sample::select(vec![None, Some(4), Some(5)]);
    prop::collection::vec((exported, prop::collection::vec(record(), 1..9)), 1..5)
}

fn text_of(number: usize, records: &[Record]) -> String {
    // An unknown column makes equal files differ.
    let header = "Ad ID,Day,Reporting starts,Reporting ends,Platform,Amount spent (USD)";
    let mut lines = vec![format!("{header},n{number}")];
    lines.extend(records.iter().map(|(ad, (first, last), platform, each)| {
        let spent = each * i64::from(last - first + 1);
        // A single day is written as `Day` or as a period.
        let (day, from, to) = match (first == last, ad) {
            (true, 1) => (format!("2025-06-0{first}"), String::new(), String::new()),
            _ => (String::new(), format!("2025-06-0{first}"), format!("2025-06-0{last}")),
        };
        format!("{ad},{day},{from},{to},{platform},{spent}.00,")
    }));
    lines.join("\n") + "\n"
}

/// An amount of one file for an ad and day: export date, days of its period, amount.
type Amount = (Option<u32>, u32, i64);

/// The expected rows, computed record by record: for each ad and day the winning row, and the
/// range of the amounts.
fn expected_rows(files: &[File]) -> Vec<String> {
    let mut amounts: BTreeMap<(u8, u32), Vec<Amount>> = BTreeMap::new();
    for (exported, records) in files {
        let mut sums: BTreeMap<(u8, u32, u32), i64> = BTreeMap::new();
        for (ad, (first, last), _, each) in records.iter().collect::<BTreeSet<_>>() {
            for day in *first..=*last {
                *sums.entry((*ad, day, last - first + 1)).or_default() += each;
            }
        }
        for ((ad, day, period), spent) in sums {
            amounts.entry((ad, day)).or_default().push((*exported, period, spent));
        }
    }
    let row = |((ad, day), amounts): (&(u8, u32), &Vec<Amount>)| {
        let precedence =
            |(exported, period, spent): &&Amount| (*exported, std::cmp::Reverse(*period), *spent);
        let (exported, period, spent) = amounts.iter().max_by_key(precedence).unwrap();
        let shortest = amounts.iter().map(|(_, period, _)| *period).min().unwrap();
        let of_shortest = || amounts.iter().filter(|(_, p, _)| *p == shortest).map(|(_, _, s)| *s);
        let (least, greatest) = (of_shortest().min().unwrap(), of_shortest().max().unwrap());
        let exported = exported.map_or_else(String::new, |day| format!("2025-06-0{day}"));
        format!(
            "{ad} 2025-06-0{day} {exported} {period} {spent}.000000 {shortest} {least}.000000 \
             {greatest}.000000"
        )
    };
    amounts.iter().map(row).collect()
}

/// Every stored column of a key.
const STORED: [&str; 8] = [
    "ad_id",
    "day",
    "exported_on",
    "period_days",
    "spend",
    "shortest_period_days",
    "spend_least",
    "spend_greatest",
];

fn date(day: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(2025, 6, day).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, ..ProptestConfig::default() })]

    /// Any order of files and records, any split into loads, repeated loads and any memory limit
    /// give the same rows.
    #[test]
    fn order_of_files_and_records_changes_no_row(
        files in files(),
        order in Just((0..4usize).collect::<Vec<_>>()).prop_shuffle(),
        turn in any::<prop::sample::Index>(),
        memory in prop::sample::select(vec![500usize, 192 << 20]),
    ) {
        let expected = expected_rows(&files);
        for is_turned in [false, true] {
            let bench = Bench::new();
            let mut numbers: Vec<usize> = (0..files.len()).collect();
            if is_turned {
                numbers = order.iter().copied().filter(|at| *at < files.len()).collect();
                // The first file once more.
                numbers.push(numbers[0]);
            }
            for (load_number, number) in numbers.into_iter().enumerate() {
                let (exported, records) = &files[number];
                let mut records = records.clone();
                if is_turned {
                    let turn = turn.index(records.len());
                    records.rotate_left(turn);
                    records.reverse();
                }
                let text = text_of(load_number, &records);
                let options = Options {
                    exported_on: exported.map(date),
                    memory: if is_turned { memory } else { 192 << 20 },
                    ..Options::default()
                };
                let file = bench.file(&format!("{load_number}.csv"), &text);
                let report = load(&bench.lake(), &[file], &options).unwrap();
                outcomes(&report.files[0]);
            }
            prop_assert_eq!(bench.columns(&ad_spend::TABLE, &STORED, " "), expected.clone());
        }
    }

    /// Amounts of different files in one load are not added up.
    #[test]
    fn files_of_one_load_are_not_added_up(files in files()) {
        let files: Vec<File> = files.into_iter().map(|(_, records)| (None, records)).collect();
        let bench = Bench::new();
        let paths: Vec<PathBuf> = files
            .iter()
            .enumerate()
            .map(|(n, (_, records))| bench.file(&format!("{n}.csv"), text_of(n, records)))
            .collect();
        let report = load(&bench.lake(), &paths, &Options::default()).unwrap();
        prop_assert_eq!(bench.columns(&ad_spend::TABLE, &STORED, " "), expected_rows(&files));
        for (file, (_, records)) in report.files.iter().zip(&files) {
            let mut rows: BTreeMap<(u8, u32, u32), u64> = BTreeMap::new();
            for (ad, (first, last), ..) in records.iter().collect::<BTreeSet<_>>() {
                for day in *first..=*last {
                    *rows.entry((*ad, day, last - first + 1)).or_default() += 1;
                }
            }
            let added_up: u64 = rows.values().map(|rows| rows - 1).sum();
            let keys: BTreeSet<_> = rows.keys().map(|(ad, day, _)| (*ad, *day)).collect();
            let superseded = (rows.len() - keys.len()) as u64;
            let [_, _, _, found_superseded, found_added_up] = outcomes(file);
            prop_assert_eq!((found_superseded, found_added_up), (superseded, added_up));
        }
    }
}
