//! What a night promises: whatever happened to a lake and to earlier nights, its marts are those of
//! one full run.

mod inbox;
mod properties;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use polars::prelude::*;
use proptest::prelude::*;
use tempfile::TempDir;
use wabalake::config::Config;
use wabalake::error::Error;
use wabalake::lake::marts;
use wabalake::lake::runs::RUNS;
use wabalake::lake::{AsOf, Lake, erase};
use wabalake::load::{Options as LoadOptions, load};
use wabalake::nightly::{Mart, Night, Options, Report, Sources, fresh, night};
use wabalake::run::polars::collect;
use wabalake_data::TABLES;

/// A lake with its settings, and a place for exports; gone with the test.
struct Nights {
    folder: TempDir,
    config: Config,
}

/// Marts of every sort: by day, by longer buckets, by instants, of a part of the days, as a whole,
/// and of two tables.
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

impl Nights {
    fn new(settings: &str) -> Self {
        let nights =
            Self { folder: TempDir::new().unwrap(), config: Config::read(settings).unwrap() };
        Lake::create(nights.path("lake")).unwrap();
        nights
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn lake(&self) -> Lake {
        Lake::open(self.path("lake")).unwrap()
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    fn load(&self, text: &str) {
        let path = self.file("export.csv", text);
        load(&self.lake(), &[path], &LoadOptions::default()).unwrap();
    }

    fn night(&self) -> Report {
        self.night_with(&Options::default())
    }

    fn night_with(&self, options: &Options) -> Report {
        night(&self.lake(), &self.config, options, None).unwrap()
    }

    fn marts(&self) -> Vec<Mart> {
        Mart::all(&self.config).unwrap()
    }

    /// Each mart's rows as they are, and as the tables give them now.
    fn compared(&self) -> BTreeMap<String, (DataFrame, DataFrame)> {
        let lake = self.lake();
        let sources = Sources::of(&lake, AsOf::Now);
        let marts = self.marts();
        let pairs = marts.iter().map(|mart| {
            let snapshot = lake.snapshot(mart.layout).unwrap();
            let kept = mart.question.in_order(marts::rows(&snapshot, Vec::new()).unwrap());
            let tables = sources.tables(&mart.question).unwrap();
            let plan = mart.question.plan(&tables).unwrap();
            let fresh = collect(plan, &mart.question).unwrap();
            (mart.name.clone(), (kept.collect().unwrap(), fresh))
        });
        pairs.collect()
    }

    fn check(&self) -> Result<(), TestCaseError> {
        for (mart, (kept, fresh)) in self.compared() {
            prop_assert!(kept.equals_missing(&fresh), "{mart} is\n{kept}\nand should be\n{fresh}");
        }
        Ok(())
    }

    /// What the last night did for each mart: what was worked out, and of how many days.
    fn worked_out(report: &Report) -> BTreeMap<&str, (&'static str, u64)> {
        let marts = report.marts.iter();
        marts.map(|mart| (mart.mart.as_str(), (mart.worked_out, mart.days))).collect()
    }
}

/// A row that a test makes up, of one of three tables.
#[derive(Clone, Debug)]
struct Row {
    table: u8,
    id: u8,
    hour: u16,
    state: u8,
}

/// Some rows of a table as an export: hours after 2025-05-30, ids and people few, so that rows come
/// again, later and further along.
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
fn only_what_changed_is_worked_out() {
    let nights = Nights::new(BY_DAY);
    std::fs::create_dir(nights.path("inbox")).unwrap();
    for day in 1..=9 {
        nights.load(&session(&format!("s{day}"), &format!("2025-06-0{day} 12:00:00")));
    }
    let first = nights.night();
    let all =
        BTreeMap::from([("days", ("all", 9)), ("deliveries", ("all", 0)), ("flows", ("all", 1))]);
    assert_eq!(Nights::worked_out(&first), all);
    assert_eq!(first.marts[0].why, "there is none yet");

    nights.load(&session("late", "2025-06-04 23:00:00"));
    let tried = nights.night_with(&Options { dry_run: true, ..Options::default() });
    let second = nights.night();
    let some = BTreeMap::from([
        ("days", ("some", 1)),
        ("deliveries", ("nothing", 0)),
        ("flows", ("all", 1)),
    ]);
    assert_eq!(Nights::worked_out(&second), some);
    assert_eq!(second.marts[0].why, "`sessions` changed on 1 UTC day");
    assert_eq!(second.marts[1].why, "`sessions` changed");
    let why = |report: &Report| -> Vec<_> {
        report.marts.iter().map(|mart| (mart.why.clone(), mart.dates.clone())).collect()
    };
    assert_eq!(why(&tried), why(&second), "what is tried says what is done");

    // Taken back, the tables are as the marts were made from; so they are once it is undone twice.
    nights.lake().undo().unwrap();
    assert_eq!(Nights::worked_out(&nights.night())["days"], ("some", 1));
    nights.check().unwrap();
    let full = nights.night_with(&Options { full: true, ..Options::default() });
    assert_eq!(Nights::worked_out(&full), all);
}

#[test]
fn a_mart_that_is_another_or_damaged_is_made_anew() {
    let mut nights = Nights::new(BY_DAY);
    std::fs::create_dir(nights.path("inbox")).unwrap();
    nights.load(&session("a", "2025-06-01 12:00:00"));
    nights.night();
    // The same name, other columns.
    let other = BY_DAY.replace("query = 'drop-off'", "query = 'return-rate'");
    nights.config = Config::read(&other).unwrap();
    let report = nights.night();
    assert_eq!(report.marts[1].why, "its definition is another");
    nights.check().unwrap();

    let log = nights.path("lake/marts/days/_delta_log");
    let first = log.join("00000000000000000000.json");
    std::fs::write(&first, "{").unwrap();
    assert_eq!(Nights::worked_out(&nights.night())["days"], ("all", 1));
    nights.check().unwrap();
    std::fs::remove_dir_all(nights.path("lake/marts")).unwrap();
    assert_eq!(Nights::worked_out(&nights.night())["days"], ("all", 1));
    nights.check().unwrap();

    // A bit of its rows is another one.
    let day = std::fs::read_dir(nights.path("lake/marts/days")).unwrap().map(|day| day.unwrap());
    let day = day.map(|day| day.path()).find(|day| !day.ends_with("_delta_log")).unwrap();
    let file = std::fs::read_dir(day).unwrap().next().unwrap().unwrap().path();
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[40] ^= 4;
    std::fs::write(&file, bytes).unwrap();
    let report = nights.night();
    assert_eq!(report.marts[0].why, "it was damaged");
    assert_eq!(Nights::worked_out(&report)["days"], ("all", 1));
    nights.check().unwrap();
}

/// A mart of a version in which a sum of money had as many digits as an amount.
#[test]
fn a_mart_with_narrower_sums_is_made_anew() {
    let nights = Nights::new("[[marts]]\nname = 'ads'\nquery = 'meta-sources'\n");
    let day = |day: u32| format!("a1,2025-06-{day:02},USD,999999999999.999999\n");
    nights.load(&format!("ad_id,day,currency,spend\n{}", (1..=5).map(day).collect::<String>()));
    nights.night();
    nights.check().unwrap();
    let commit = nights.path("lake/marts/ads/_delta_log/00000000000000000000.json");
    let text = std::fs::read_to_string(&commit).unwrap();
    assert!(text.contains("decimal(38,6)"), "{text}");
    let at = text.find("\"definition\":\"").unwrap() + "\"definition\":\"".len();
    let other = format!("{}{}{}", &text[..at], "0".repeat(32), &text[at + 32..]);
    // Versions that added up in narrower columns wrote no hash.
    let other = other
        .replace("decimal(38,6)", "decimal(18,6)")
        .replace("\"commit_hash\":\"xxh3-128:", "\"none\":\"");
    std::fs::write(&commit, other).unwrap();

    let report = nights.night();
    assert_eq!(Nights::worked_out(&report)["ads"], ("all", 1));
    nights.check().unwrap();
    let next = nights.path("lake/marts/ads/_delta_log/00000000000000000001.json");
    let text = std::fs::read_to_string(next).unwrap();
    assert!(text.contains("decimal(38,6)") && !text.contains("decimal(18,6)"), "{text}");
    let (kept, _) = &nights.compared()["ads"];
    let spend = kept.column("spend").unwrap().decimal().unwrap().physical().get(0);
    assert_eq!(spend, Some(4_999_999_999_999_999_995));
}

#[test]
fn words_of_a_mart_are_taken_in_any_spelling() {
    let definition = |params: &str| {
        let text =
            format!("[[marts]]\nname = 'm'\nquery = 'conversation-analytics'\nparams = {params}");
        let marts = Mart::all(&Config::read(&text).unwrap());
        marts.map(|marts| marts[0].question.sql()).map_err(|error| error.lines())
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
fn a_question_is_answered_from_a_fresh_mart_with_the_same_rows() {
    let nights = Nights::new(MARTS);
    for table in 0..3 {
        let rows: Vec<Row> = (0..40)
            .map(|row| Row { table, id: row, hour: u16::from(row) * 3, state: row % 3 })
            .collect();
        nights.load(&export(&rows, table).unwrap());
    }
    nights.night();
    let lake = nights.lake();
    let date = |text: &str| text.parse().ok();
    let ask = |query: &str, words: &[&str], dates| {
        let entry =
            wabalake_queries::CATALOG.iter().find(|entry| entry.spec.name == query).unwrap();
        let line = [&[query], words].concat();
        let question = entry.ask(&entry.command().get_matches_from(line)).unwrap();
        let sources = Sources::of(&lake, AsOf::Now);
        let plan = question.plan(&sources.tables(&question).unwrap()).unwrap();
        let expected = collect(plan, &question).unwrap();
        assert!(expected.height() > 0);
        let found = fresh::answer(&lake, &nights.config, &question, dates).unwrap();
        found.map(|found| {
            let kept = found.plan.collect().unwrap();
            assert!(kept.equals_missing(&expected), "{query} {words:?}: {kept}\n{expected}");
            found.mart
        })
    };
    let zone = "--timezone=America/Bogota";
    let by_day = ["--by=day,country", zone];
    assert_eq!(ask("delivery-rate", &by_day, (None, None)), Some("deliveries".to_owned()));
    let some = ["--by=day,country", zone, "--from=2025-05-31", "--to=2025-06-01"];
    let dates = (date("2025-05-31"), date("2025-06-01"));
    assert_eq!(ask("delivery-rate", &some, dates), Some("deliveries".to_owned()));
    assert_eq!(ask("drop-off", &[zone], (None, None)), Some("flows".to_owned()));
    // Another order of columns, another zone, buckets that a range would cut, a mart of a range.
    assert_eq!(ask("delivery-rate", &["--by=country,day", zone], (None, None)), None);
    assert_eq!(ask("delivery-rate", &["--by=day,country"], (None, None)), None);
    let weeks = ["--by=week", "--timezone=Pacific/Kiritimati", "--from=2025-05-31"];
    assert_eq!(ask("delivery-rate", &weeks, (date("2025-05-31"), None)), None);
    let flows = [zone, "--from=2025-05-31"];
    assert_eq!(ask("drop-off", &flows, (date("2025-05-31"), None)), None);

    nights.load(&session("new", "2025-06-01 12:00:00"));
    assert_eq!(ask("drop-off", &[zone], (None, None)), None, "it is not fresh any more");
    assert_eq!(
        ask("delivery-rate", &by_day, (None, None)),
        Some("deliveries".to_owned()),
        "what it is made from did not change"
    );
}

#[test]
fn nights_are_written_down() {
    let nights = Nights::new(BY_DAY);
    nights.file("inbox/a.csv", &session("a", "2025-06-01 12:00:00"));
    nights.night();
    let lake = nights.lake();
    let under_way = Night::begin(&lake).unwrap();
    let refused = night(&lake, &nights.config, &Options::default(), None).unwrap_err();
    assert!(refused.lines().contains("another night is under way"));
    drop(under_way);
    nights.night();
    nights.night_with(&Options { dry_run: true, ..Options::default() });
    let broken = |_: &Path| Err(Error::data("no disk"));
    let page = Some((Path::new("page.html"), &broken as &dyn Fn(&Path) -> _));
    let report = night(&lake, &nights.config, &Options::default(), page).unwrap();
    assert_eq!(report.failed_page.unwrap().error, "no disk");
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
fn marts_are_made_of_the_tables_as_they_were() {
    let nights = Nights::new(BY_DAY);
    nights.file("inbox/b.csv", &session("b", "2025-06-02 12:00:00"));
    nights.load(&session("a", "2025-06-01 12:00:00"));
    let between = Utc::now();
    std::thread::sleep(std::time::Duration::from_millis(5));
    nights.load(&session("c", "2025-06-03 12:00:00"));
    let days = |as_of| {
        let report = nights.night_with(&Options { as_of, ..Options::default() });
        (report.inbox.files, nights.compared()["days"].0.height())
    };
    assert_eq!(days(AsOf::Instant(between)), (0, 1));
    assert_eq!(days(AsOf::Versions([("sessions", 1)].into())), (0, 2));
    assert_eq!(days(AsOf::Versions([("sessions", 0)].into())), (0, 1));
    let too_new = Options { as_of: AsOf::Versions([("sessions", 9)].into()), ..Options::default() };
    let refused = night(&nights.lake(), &nights.config, &too_new, None).unwrap_err().lines();
    assert!(refused.contains("has no version 9"), "{refused}");
    assert_eq!(days(AsOf::Now), (1, 3));
    nights.check().unwrap();
}

#[test]
fn old_versions_go_once_they_are_old() {
    let nights = Nights::new(&format!("{BY_DAY}\n[retention]\ndays = 0\n"));
    std::fs::create_dir(nights.path("inbox")).unwrap();
    for night in 0..3 {
        nights.load(&session("a", &format!("2025-06-01 12:00:0{night}")));
        nights.night();
    }
    let files = |folder: &str| {
        fn count(folder: &Path) -> usize {
            let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
            let of = |path: PathBuf| match path.is_dir() {
                true => count(&path),
                false => usize::from(path.extension().is_some_and(|e| e == "parquet")),
            };
            entries.map(of).sum()
        }
        count(&nights.path(folder))
    };
    // The last ones were replaced in this very instant, and may be kept until the next night.
    assert!(files("lake/marts/flows") <= 2 && files("lake/tables/sessions") <= 2);
    nights.check().unwrap();
}
