//! Nightly runs: whatever happened to a lake before, its marts are those of one full run.

mod inbox;
mod prices;
mod properties;
mod rules;
mod sql;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use polars::prelude::*;
use proptest::prelude::*;
use wabalake::alerts::Judgements;
use wabalake::config::Config;
use wabalake::error::Error;
use wabalake::lake::AsOf;
use wabalake::lake::runs::RUNS;
use wabalake::marts::{Mart, PinnedTables, fresh};
use wabalake::nightly::{self, Options, Publish, Published, RunLock};
use wabalake::run::polars::collect;
use wabalake_queries::query::Defaults;

use crate::support::{Bench, files_below};

/// Marts of every sort: by day, by longer buckets, by instant, of a date range, unpartitioned, and
/// of two tables.
const MARTS: &str = "
timezone = 'America/Bogota'
[[marts]]
name = 'deliveries'
query = 'delivery-rate'
params = { by = ['day', 'country'] }
[[marts]]
name = 'deliveries-of-weeks'
query = 'delivery-rate'
params = { by = ['week'], timezone = 'Pacific/Kiritimati' }
[[marts]]
name = 'hours'
query = 'session-duration'
params = { by = ['country', 'hour'], timezone = 'Asia/Kathmandu' }
[[marts]]
name = 'months'
query = 'session-duration'
params = { by = ['month'], from = '2025-05-30', to = '2025-06-03' }
[[marts]]
name = 'messages'
query = 'message-summary'
[[marts]]
name = 'sparked'
query = 'deployment-sessions'
params = { by = ['day'] }
[[marts]]
name = 'returns'
query = 'return-rate'
params = { days = [1, 2] }
[[marts]]
name = 'flows'
query = 'drop-off'
";

impl Bench {
    fn load_export(&self, text: &str) {
        self.load("export.csv", text);
    }

    /// Checks that each mart has the rows that its query answers.
    fn check_marts(&self) -> Result<(), TestCaseError> {
        for (mart, stored, answer) in self.marts() {
            let name = mart.name;
            prop_assert!(
                stored.equals_missing(&answer),
                "{name} is\n{stored}\nand should be\n{answer}"
            );
        }
        Ok(())
    }

    /// The stored rows of a mart.
    fn mart(&self, name: &str) -> DataFrame {
        self.marts().into_iter().find(|(mart, ..)| mart.name == name).unwrap().1
    }
}

/// What a run computed of each mart, and of how many days.
fn computed(report: &nightly::RunReport) -> BTreeMap<&str, (&'static str, u64)> {
    let marts = report.marts.iter();
    marts.map(|mart| (mart.mart.as_str(), (mart.scope.name(), mart.days))).collect()
}

/// A generated row of one of three tables.
#[derive(Clone, Debug)]
struct Row {
    table: u8,
    id: u8,
    hour: u16,
    state: u8,
}

/// The rows of one table as an export. Hours count from 2025-05-30; there are few ids and people,
/// so that rows come again in newer states.
fn export(rows: &[Row], table: u8) -> Option<String> {
    let mut text = match table {
        0 => "session_id,session_started_timestamp,session_finished_timestamp,session_status,\
              session_type,conversation_id,conversation_version,user_country_code,user_cellphone,\
              line_whatsapp_number,line_whatsapp_display_name,last_node_id\n",
        1 => "conversation_id,conversation_version,user_country_code,user_cellphone,\
              deployment_timestamp,user_responded_timestamp,delivery_status,status_detail,\
              deployment_delivered_timestamp,session_id\n",
        _ => "waba_id,whatsapp_id,from,to,message_direction,source,format,reason_for_failure,\
              country_name,template_name,message,created_at,failed_at,sent_at,delivered_at,seen_at\n",
    }
    .to_owned();
    let stamp = |hour: u16| {
        let start: DateTime<Utc> = "2025-05-30T00:30:00Z".parse().unwrap();
        (start + chrono::TimeDelta::hours(i64::from(hour))).format("%Y-%m-%d %H:%M:%S")
    };
    let of_table: Vec<&Row> = rows.iter().filter(|row| row.table == table).collect();
    for Row { id, hour, state, .. } in &of_table {
        let country = if id % 2 == 0 { 57 } else { 52 };
        let person = 3_000_000_000_u64 + u64::from(id % 5);
        let done = *state > 0;
        match table {
            0 => {
                let finished = if done { stamp(hour + 1).to_string() } else { String::new() };
                let status = ["BOT", "BOT", "AGENTS"][usize::from(*state % 3)];
                let _ = writeln!(
                    text,
                    "s{id},{},{finished},{status},Inbound,41,1,{country},{person},57300,Line {state},n{}",
                    stamp(*hour),
                    id % 3,
                );
            }
            1 => {
                let status = ["In Process", "Sent", "Delivered"][usize::from(*state % 3)];
                let delivered =
                    if *state == 2 { stamp(hour + 1).to_string() } else { String::new() };
                let _ = writeln!(
                    text,
                    "41,1,{country},{person},{},,{status},,{delivered},s{}",
                    stamp(*hour),
                    id % 7,
                );
            }
            _ => {
                let sent = if done { stamp(*hour).to_string() } else { String::new() };
                let _ = writeln!(
                    text,
                    "w,m{id},{country}{person},57300,true,api,text,,Colombia,,hello,{},,{sent},,",
                    stamp(*hour),
                );
            }
        }
    }
    (!of_table.is_empty()).then_some(text)
}

fn session(id: &str, at: &str) -> String {
    format!(
        "session_id,session_started_timestamp,session_finished_timestamp,user_country_code,\
         user_cellphone\n{id},{at},,57,3000000001\n"
    )
}

const BY_DAY: &str = "
[inbox]
settle_seconds = 0
folders = ['../inbox']
[[marts]]
name = 'days'
query = 'session-duration'
[[marts]]
name = 'flows'
query = 'drop-off'
[[marts]]
name = 'deliveries'
query = 'delivery-rate'
params = { by = ['day'] }
";

#[test]
fn only_changed_days_are_computed() {
    let bench = Bench::with_settings(BY_DAY);
    for day in 1..=9 {
        bench.load_export(&session(&format!("s{day}"), &format!("2025-06-0{day} 12:00:00")));
    }
    let first = bench.run_nightly();
    let all =
        BTreeMap::from([("days", ("all", 9)), ("deliveries", ("all", 0)), ("flows", ("all", 1))]);
    assert_eq!(computed(&first), all);
    assert_eq!(first.marts[0].why, "not yet computed");

    bench.load_export(&session("late", "2025-06-04 23:00:00"));
    let tried = bench.run_nightly_with(&Options { dry_run: true, ..Options::default() });
    let second = bench.run_nightly();
    let some = BTreeMap::from([
        ("days", ("some", 1)),
        ("deliveries", ("nothing", 0)),
        ("flows", ("all", 1)),
    ]);
    assert_eq!(computed(&second), some);
    assert_eq!(second.marts[0].why, "`sessions` changed on 1 UTC day");
    assert_eq!(second.marts[1].why, "`sessions` changed");
    let why = |report: &nightly::RunReport| -> Vec<_> {
        report.marts.iter().map(|mart| (mart.why.clone(), mart.dates.clone())).collect()
    };
    assert_eq!(why(&tried), why(&second), "a dry run reports what a run does");

    // Undo restores the tables that the mart was made of: one day changes back.
    bench.lake().undo().unwrap();
    assert_eq!(computed(&bench.run_nightly())["days"], ("some", 1));
    bench.check_marts().unwrap();
    let full = bench.run_nightly_with(&Options { full: true, ..Options::default() });
    assert_eq!(computed(&full), all);
}

#[test]
fn changed_or_damaged_mart_is_rebuilt() {
    let mut bench = Bench::with_settings(BY_DAY);
    bench.load_export(&session("a", "2025-06-01 12:00:00"));
    bench.run_nightly();
    // Same name, other columns.
    let other = BY_DAY.replace("query = 'drop-off'", "query = 'return-rate'");
    bench.config = Config::read(&other).unwrap();
    let report = bench.run_nightly();
    assert_eq!(report.marts[1].why, "its definition changed");
    bench.check_marts().unwrap();

    let log = bench.path("lake/marts/days/_delta_log");
    let first = log.join("00000000000000000000.json");
    std::fs::write(&first, "{").unwrap();
    assert_eq!(computed(&bench.run_nightly())["days"], ("all", 1));
    bench.check_marts().unwrap();
    std::fs::remove_dir_all(bench.path("lake/marts")).unwrap();
    assert_eq!(computed(&bench.run_nightly())["days"], ("all", 1));
    bench.check_marts().unwrap();

    // Flip a bit of its rows.
    let day = std::fs::read_dir(bench.path("lake/marts/days")).unwrap().map(|day| day.unwrap());
    let day = day.map(|day| day.path()).find(|day| !day.ends_with("_delta_log")).unwrap();
    let file = std::fs::read_dir(day).unwrap().next().unwrap().unwrap().path();
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[40] ^= 4;
    std::fs::write(&file, bytes).unwrap();
    let report = bench.run_nightly();
    assert_eq!(report.marts[0].why, "it was damaged");
    assert_eq!(computed(&report)["days"], ("all", 1));
    bench.check_marts().unwrap();
}

/// In older versions a sum of money had no more digits than an amount.
#[test]
fn mart_with_narrower_sums_is_rebuilt() {
    let bench = Bench::with_settings("[[marts]]\nname = 'ads'\nquery = 'meta-sources'\n");
    let day = |day: u32| format!("a1,2025-06-{day:02},USD,999999999999.999999\n");
    bench.load_export(&format!(
        "ad_id,day,currency,spend\n{}",
        (1..=5).map(day).collect::<String>()
    ));
    bench.run_nightly();
    bench.check_marts().unwrap();
    let commit = bench.path("lake/marts/ads/_delta_log/00000000000000000000.json");
    let text = std::fs::read_to_string(&commit).unwrap();
    assert!(text.contains("decimal(38,6)"), "{text}");
    let at = text.find("\"definition\":\"").unwrap() + "\"definition\":\"".len();
    let other = format!("{}{}{}", &text[..at], "0".repeat(32), &text[at + 32..]);
    // Those versions wrote no commit hash.
    let other = other
        .replace("decimal(38,6)", "decimal(18,6)")
        .replace("\"commit_hash\":\"xxh3-128:", "\"none\":\"");
    std::fs::write(&commit, other).unwrap();

    let report = bench.run_nightly();
    assert_eq!(computed(&report)["ads"], ("all", 1));
    bench.check_marts().unwrap();
    let next = bench.path("lake/marts/ads/_delta_log/00000000000000000001.json");
    let text = std::fs::read_to_string(next).unwrap();
    assert!(text.contains("decimal(38,6)") && !text.contains("decimal(18,6)"), "{text}");
    let kept = bench.mart("ads");
    let spend = kept.column("spend").unwrap().decimal().unwrap().physical().get(0);
    assert_eq!(spend, Some(4_999_999_999_999_999_995));
}

#[test]
fn parameters_of_a_mart_have_several_spellings() {
    let definition = |params: &str| {
        let text =
            format!("[[marts]]\nname = 'm'\nquery = 'conversation-analytics'\nparams = {params}");
        let marts = Mart::all(&Bench::new().lake(), &Config::read(&text).unwrap());
        marts.map(|marts| marts[0].question().unwrap().sql()).map_err(|error| error.lines())
    };
    let meant = definition("{ dimensions = ['CONVERSATION_TYPE', 'COUNTRY'] }").unwrap();
    for params in [
        "{ dimensions = ['conversation-type', 'country'] }",
        "{ dimensions = 'Conversation Type,Country' }",
    ] {
        assert_eq!(definition(params).unwrap(), meant);
    }
    let fault = definition("{ dimensions = ['conversation-kind'] }").unwrap_err();
    assert!(fault.contains("it takes COUNTRY, PHONE, CONVERSATION_CATEGORY"), "{fault}");
}

#[test]
fn fresh_mart_answers_with_the_same_rows() {
    let bench = Bench::with_settings(MARTS);
    for table in 0..3 {
        let rows: Vec<Row> = (0..40)
            .map(|row| Row { table, id: row, hour: u16::from(row) * 3, state: row % 3 })
            .collect();
        bench.load_export(&export(&rows, table).unwrap());
    }
    bench.run_nightly();
    let lake = bench.lake();
    let ask = |query: &str, words: &[&str]| {
        let entry =
            wabalake_queries::CATALOG.iter().find(|entry| entry.spec.name == query).unwrap();
        let question = entry.ask_for(words, &Defaults::default()).unwrap();
        let sources = PinnedTables::of(&lake, AsOf::Now);
        let plan = question.plan(&sources.tables(&question).unwrap()).unwrap();
        let expected = collect(plan, &question).unwrap();
        assert!(expected.height() > 0);
        let found = fresh::answer(&lake, &bench.config, &question).unwrap();
        found.map(|found| {
            let kept = found.plan.collect().unwrap();
            assert!(kept.equals_missing(&expected), "{query} {words:?}: {kept}\n{expected}");
            found.mart
        })
    };
    let zone = "--timezone=America/Bogota";
    let by_day = ["--by=day,country", zone];
    assert_eq!(ask("delivery-rate", &by_day), Some("deliveries".to_owned()));
    let some = ["--by=day,country", zone, "--from=2025-05-31", "--to=2025-06-01"];
    assert_eq!(ask("delivery-rate", &some), Some("deliveries".to_owned()));
    assert_eq!(ask("drop-off", &[zone]), Some("flows".to_owned()));
    // Other column order, other zone, buckets cut by the range, a mart of a range: no mart fits.
    assert_eq!(ask("delivery-rate", &["--by=country,day", zone]), None);
    assert_eq!(ask("delivery-rate", &["--by=day,country"]), None);
    let weeks = ["--by=week", "--timezone=Pacific/Kiritimati", "--from=2025-05-31"];
    assert_eq!(ask("delivery-rate", &weeks), None);
    let flows = [zone, "--from=2025-05-31"];
    assert_eq!(ask("drop-off", &flows), None);

    bench.load_export(&session("new", "2025-06-01 12:00:00"));
    assert_eq!(ask("drop-off", &[zone]), None, "the mart is stale");
    assert_eq!(
        ask("delivery-rate", &by_day),
        Some("deliveries".to_owned()),
        "its tables did not change"
    );
}

#[test]
fn runs_are_recorded() {
    let bench = Bench::with_settings(BY_DAY);
    bench.file("inbox/a.csv", session("a", "2025-06-01 12:00:00"));
    bench.run_nightly();
    let lake = bench.lake();
    let under_way = RunLock::acquire(&lake).unwrap();
    let refused = nightly::run(&lake, &bench.config, &Options::default(), None).unwrap_err();
    assert!(refused.lines().contains("another nightly run is in progress"));
    drop(under_way);
    bench.run_nightly();
    bench.run_nightly_with(&Options { dry_run: true, ..Options::default() });
    let broken = |what, address: &str| Publish {
        what,
        address: address.to_owned(),
        write: Box::new(|_: &Judgements| Err(Error::data("no disk"))),
    };
    let publish = [broken(Published::Page, "page.html"), broken(Published::Views, "views.sql")];
    let report = nightly::run(&lake, &bench.config, &Options::default(), publish).unwrap();
    assert_eq!(report.failed_page.unwrap().error, "no disk");
    assert_eq!(report.failed_views.unwrap().file, "views.sql");
    assert_eq!(report.failed_email.map(|failed| failed.file), None);
    let runs = lake.snapshot(&RUNS).unwrap().scan().unwrap();
    let runs = runs.select([by_name(
        ["command", "outcome", "files", "rows_new", "marts", "days", "versions"],
        true,
        false,
    )
    .as_expr()]);
    let runs = runs.collect().unwrap();
    let expected = df![
        "command" => ["nightly"; 3],
        "outcome" => ["done", "done", "incomplete"],
        "files" => [1_i64, 0, 0],
        "rows_new" => [1_i64, 0, 0],
        "marts" => [3_i64, 0, 0],
        "days" => [2_i64, 0, 0],
        "versions" => ["{\"sessions\":0}"; 3],
    ]
    .unwrap();
    assert_eq!(runs, expected);
}

#[test]
fn as_of_builds_marts_from_older_versions() {
    let bench = Bench::with_settings(BY_DAY);
    bench.file("inbox/b.csv", session("b", "2025-06-02 12:00:00"));
    bench.load_export(&session("a", "2025-06-01 12:00:00"));
    let between = Utc::now();
    std::thread::sleep(std::time::Duration::from_millis(5));
    bench.load_export(&session("c", "2025-06-03 12:00:00"));
    let days = |as_of| {
        let report = bench.run_nightly_with(&Options { as_of, ..Options::default() });
        (report.inbox.files, bench.mart("days").height())
    };
    assert_eq!(days(AsOf::Instant(between)), (0, 1));
    assert_eq!(days(AsOf::Versions([("sessions", 1)].into())), (0, 2));
    assert_eq!(days(AsOf::Versions([("sessions", 0)].into())), (0, 1));
    let too_new = Options { as_of: AsOf::Versions([("sessions", 9)].into()), ..Options::default() };
    let refused = nightly::run(&bench.lake(), &bench.config, &too_new, None).unwrap_err().lines();
    assert!(refused.contains("has no version 9"), "{refused}");
    assert_eq!(days(AsOf::Now), (1, 3));
    bench.check_marts().unwrap();
}

#[test]
fn old_versions_are_deleted_after_the_retention() {
    let bench = Bench::with_settings(&format!("{BY_DAY}\n[retention]\ndays = 0\n"));
    for night in 0..3 {
        bench.load_export(&session("a", &format!("2025-06-01 12:00:0{night}")));
        bench.run_nightly();
    }
    let files = |folder: &str| {
        let files = files_below(&bench.path(folder)).into_iter();
        files.filter(|path| path.extension().is_some_and(|end| end == "parquet")).count()
    };
    // Files replaced this very instant may be kept until the next run.
    assert!(files("lake/marts/flows") <= 2 && files("lake/tables/sessions") <= 2);
    bench.check_marts().unwrap();
}
