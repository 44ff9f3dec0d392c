//! Property test: each query says which of its buckets a change affects. After any changes, the marts of a
//! run that computed these alone are those of a full run.

use std::fmt::Write as _;

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use proptest::sample::select;
use wabalake::lake::erase;
use wabalake::nightly::{Options, Scope};

use crate::support::Bench;

/// Queries with their parameters, one of each list.
const QUESTIONS: &[(&str, &[&str])] = &[
    (
        "delivery-rate",
        &[
            "by = ['day', 'tag']",
            "by = ['week', 'country']",
            "by = ['tag', 'month']",
            "by = 'hour'",
            "by = 'day', tag = 'vip', country = 'CO'",
            "by = 'day', people = true, in = 'delivered', tag = 'none'",
        ],
    ),
    (
        "drop-off",
        &[
            "by = ['day', 'tag']",
            "by = ['week', 'country'], tag = ['none', 'lead']",
            "by = 'month', session-status = 'agents', linear = true",
        ],
    ),
    ("deployment-states", &["by = ['day', 'tag']", "by = 'week', tag = 'none'"]),
    ("message-failures", &["by = ['day', 'tag']", "by = ['line', 'month'], tag = 'vip'"]),
    (
        "session-duration",
        &["by = ['day', 'channel']", "by = 'week'", "by = 'half-hour'", "by = ['month', 'line']"],
    ),
    (
        "message-latency",
        &["by = ['template', 'day']", "by = ['tag', 'week'], direction = 'outgoing'"],
    ),
    ("message-summary", &["", "tag = 'vip'"]),
    (
        "session-summary",
        &["free-sessions = 1", "free-sessions = 0", "free-sessions = 1, tag = ['none', 'lead']"],
    ),
    (
        "deployment-sessions",
        &[
            "by = 'day'",
            "by = ['country', 'week']",
            "by = 'month'",
            "by = ['hour', 'tag']",
            "by = 'day', cost = 'utility'",
        ],
    ),
    (
        "analytics",
        &[
            "product-types = [0, 2, 100]",
            "granularity = 'month'",
            "granularity = 'half-hour'",
            "use-waba-timezone = 'false'",
        ],
    ),
    (
        "conversation-analytics",
        &[
            "free-sessions = 1, dimensions = ['conversation-type', 'phone']",
            "free-sessions = 2, granularity = 'month'",
            "free-sessions = 1, use-waba-timezone = 'false'",
        ],
    ),
    (
        "pricing-analytics",
        &[
            "free-service-messages = 1, dimensions = ['pricing-type', 'tier']",
            "pricing = 'computed', granularity = 'half-hour', dimensions = ['tier']",
            "free-service-messages = 2, granularity = 'month'",
            "rules = '2026-01-01', use-waba-timezone = 'false', dimensions = ['tier']",
            "free-service-messages = 1, entry-point = 'window', dimensions = ['pricing-type']",
        ],
    ),
    ("template-analytics", &["", "use-waba-timezone = 'true'", "pricing = 'computed'"]),
    ("message-log", &["", "direction = 'incoming'", "phone = 'CO.3'", "tag = 'none'"]),
    // Not by time: left alone if no row changed that counts.
    (
        "failure-reasons",
        &[
            "from = '2026-09-20', to = '2026-10-10'",
            "by = ['tag', 'day']",
            "by = 'week', tag = 'vip'",
        ],
    ),
    (
        "agent-response",
        &[
            "by = ['day', 'tag']",
            "by = 'week', tag = 'none', hours = 'Mon-Fri 09:00-18:00'",
            "by = ['agent', 'month']",
        ],
    ),
    ("funnel", &["by = 'country', to = '2026-09-25'"]),
    ("return-rate", &["days = [1, 7]"]),
    ("session-closures", &[""]),
];

const ZONES: [&str; 5] =
    ["UTC", "America/New_York", "Pacific/Kiritimati", "Europe/Madrid", "Asia/Kathmandu"];

/// The settings of a mart.
fn mart() -> impl Strategy<Value = String> {
    let range = prop_oneof![
        3 => Just(""),
        1 => Just("from = '2026-09-30'"),
        1 => Just("from = '2026-09-15', to = '2026-10-25'"),
    ];
    (select(QUESTIONS), any::<prop::sample::Index>(), select(&ZONES[..]), range).prop_map(
        |((query, params), which, zone, range)| {
            let params = params[which.index(params.len())];
            let range = if params.contains("to = ") { "" } else { range };
            let zone = format!("timezone = '{zone}'");
            let params = [params, range, &zone].into_iter().filter(|text| !text.is_empty());
            let params = params.collect::<Vec<_>>().join(", ");
            format!("query = '{query}'\nparams = {{ {params} }}\n")
        },
    )
}

fn settings() -> impl Strategy<Value = String> {
    prop::collection::vec(mart(), 3..6).prop_map(|marts| {
        let marts = marts.iter().enumerate();
        let marts = marts.map(|(number, mart)| format!("[[marts]]\nname = 'm{number}'\n{mart}"));
        format!("[privacy]\npeople_in_marts = true\n{}", marts.collect::<String>())
    })
}

/// What a row is of.
const KINDS: [&str; 9] = [
    "sessions",
    "deployments",
    "messages",
    "identities",
    "tags",
    "rates",
    "markets",
    "summaries",
    "chats",
];

/// A generated row. There are few ids and people, so that rows come again in newer states.
#[derive(Clone, Copy, Debug)]
struct Row {
    kind: usize,
    id: u8,
    /// Since 10 September 2026.
    hour: u16,
    state: u8,
    other: u8,
}

fn row() -> impl Strategy<Value = Row> {
    let kind = prop_oneof![
        4 => Just(0_usize), 4 => Just(1), 8 => Just(2), 2 => Just(3), 1 => Just(4),
        1 => Just(5), 1 => Just(6), 1 => Just(7), 2 => Just(8),
    ];
    // Months, rules of prices and daylight saving time change within. Some hours are near each other.
    let hour = prop_oneof![0..1500_u16, 480..530_u16];
    (kind, 0..14_u8, hour, 0..4_u8, 0..6_u8).prop_map(|(kind, id, hour, state, other)| Row {
        kind,
        id,
        hour,
        state,
        other,
    })
}

impl Row {
    fn at(self, later: u16) -> String {
        let start: DateTime<Utc> = "2026-09-10T00:30:00Z".parse().unwrap();
        let at = start + TimeDelta::minutes(i64::from(self.hour) * 60 + i64::from(later));
        at.format("%Y-%m-%d %H:%M:%S").to_string()
    }

    /// A number, or none and a user id.
    fn person(self) -> (String, String) {
        match self.other {
            0..3 => (format!("57300555010{}", self.other), String::new()),
            other => (String::new(), format!("CO.{other}")),
        }
    }

    fn line(self) -> String {
        let Self { id, state, other, .. } = self;
        let (phone, user_id) = self.person();
        let line = 57_300 + u32::from(other % 2);
        let done = |minutes: u16, from: u8| {
            if state >= from { self.at(minutes) } else { String::new() }
        };
        let one_of = |words: &[&str]| words[usize::from(state) % words.len()].to_owned();
        match KINDS[self.kind] {
            "sessions" => format!(
                "s{id},{},{},{},{phone},{user_id},{line},Line {},{},{}",
                self.at(0),
                done(30, 1),
                one_of(&["BOT", "AGENTS"]),
                if state == 3 { other % 2 } else { 9 },
                done(0, 1),
                if id % 2 == 0 { "120226305854810726" } else { "" },
            ),
            "deployments" => format!(
                "4{},1,{phone},{user_id},{},{},{},{},s{id}",
                id % 2,
                self.at(0),
                one_of(&["In Process", "Sent", "Delivered", "Delivered"]),
                done(1, 2),
                done(2, 3),
            ),
            "messages" => {
                let incoming = id % 3 == 0;
                let (from, to) =
                    if incoming { (phone, line.to_string()) } else { (line.to_string(), phone) };
                let template = if id % 3 == 1 { "promo" } else { "" };
                let category = if id % 3 == 1 {
                    one_of(&["", "marketing", "utility", "utility"])
                } else {
                    String::new()
                };
                format!(
                    "w,m{id},{from},{to},{user_id},{},{template},{},{},{},c{},{category}",
                    if incoming { "incoming" } else { "outgoing" },
                    self.at(0),
                    done(1, 1),
                    done(3, 2),
                    id % 5,
                )
            }
            "chats" => format!(
                "{phone},{user_id},{},{},{},{},{}",
                one_of(&["Ana", "-"]),
                self.at(0),
                done(1, 1),
                done(3, 2),
                done(30, 3),
            ),
            "identities" => {
                let linked = if state == 0 {
                    format!("CO.{}", id % 6)
                } else {
                    format!("57300555010{}", id % 3)
                };
                format!("CO.{other},{linked},{},{}", self.at(0), self.at(5))
            }
            "tags" => format!("{phone},{user_id},{},{}", one_of(&["vip", "lead"]), self.at(0)),
            "rates" => format!(
                "2026-09-0{},CO,{},{},0.{}1,USD,{state}",
                1 + other % 2,
                one_of(&["marketing", "utility", "service", "business_initiated"]),
                id % 3,
                1 + state,
            ),
            "markets" => {
                format!("CO,{},2026-10-0{},{state}", one_of(&["Other", "Colombia"]), 1 + other)
            }
            _ => format!("{},w,{line},Reported {state},CO,template,{id}", &self.at(0)[..10]),
        }
    }

    fn header(kind: usize) -> &'static str {
        match KINDS[kind] {
            "sessions" => {
                "session_id,session_started_timestamp,session_finished_timestamp,session_status,\
                 user_cellphone,user_id,line_whatsapp_number,line_whatsapp_display_name,\
                 first_message_timestamp,meta_source_id"
            }
            "deployments" => {
                "conversation_id,conversation_version,user_cellphone,user_id,deployment_timestamp,\
                 delivery_status,deployment_delivered_timestamp,user_responded_timestamp,session_id"
            }
            "messages" => {
                "waba_id,whatsapp_id,from,to,user_id,message_direction,template_name,created_at,sent_at,\
                 delivered_at,conversation_id,pricing_category"
            }
            "identities" => "user_id,linked,first_seen,last_seen",
            "tags" => "phone,user_id,tag,since",
            "rates" => "effective_from,country,category,tier_from,price,currency,revision",
            "markets" => "country,market,valid_from,revision",
            "chats" => {
                "phone,user_id,agent,created_at,assigned_at,agent_first_message_at,finished_at"
            }
            _ => "date,waba_id,wa_phone_number,display_name,country,message_type,created",
        }
    }
}

#[derive(Clone, Debug)]
enum Event {
    Load(Vec<Row>),
    Undo,
    Erase(u8),
    Compact,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        12 => prop::collection::vec(row(), 1..5).prop_map(Event::Load),
        2 => Just(Event::Undo),
        1 => (0..3_u8).prop_map(Event::Erase),
        1 => Just(Event::Compact),
    ]
}

fn load(bench: &Bench, rows: &[Row]) {
    for kind in 0..KINDS.len() {
        let of_kind: Vec<_> = rows.iter().filter(|row| row.kind == kind).collect();
        if of_kind.is_empty() {
            continue;
        }
        let mut text = Row::header(kind).to_owned() + "\n";
        for row in of_kind {
            let _ = writeln!(text, "{}", row.line());
        }
        // A link of an id to itself is no row.
        let _ = bench.try_load("export.csv", text);
    }
}

impl Event {
    fn happen(&self, bench: &Bench) {
        match self {
            Self::Load(rows) => load(bench, rows),
            Self::Undo => {
                // Refused if there is no load to undo, or a later commit depends on it.
                let _ = bench.lake().undo();
            }
            Self::Erase(person) => {
                let phone = format!("57300555010{person}");
                bench.lake().erase(&phone, erase::Options::default()).unwrap();
            }
            Self::Compact => {
                bench.lake().compact().unwrap();
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4, ..ProptestConfig::default() })]

    #[test]
    fn buckets_that_no_rule_names_stay_right(
        settings in settings(),
        first in prop::collection::vec(row(), 40..60),
        nights in prop::collection::vec(prop::collection::vec(event(), 1..3), 2..5),
    ) {
        let bench = Bench::with_settings(&settings);
        load(&bench, &first);
        bench.run_nightly();
        for night in &nights {
            for event in night {
                event.happen(&bench);
            }
            let report = bench.run_nightly();
            prop_assert!(bench.check_marts().is_ok(), "{settings}\n{:#?}\n{:?}", report.marts, bench.check_marts());
        }
        let again = bench.run_nightly_with(&Options { dry_run: true, ..Options::default() });
        prop_assert!(again.marts.iter().all(|mart| mart.scope == Scope::Nothing), "{again:?}");
    }
}

const BY_DAY: &str = "
[[marts]]
name = 'sparked'
query = 'deployment-sessions'
params = { by = 'day' }
[[marts]]
name = 'tagged'
query = 'delivery-rate'
params = { by = ['day', 'tag'] }
[[marts]]
name = 'latencies'
query = 'message-latency'
[[marts]]
name = 'summary'
query = 'message-summary'
[[marts]]
name = 'costs'
query = 'pricing-analytics'
[[marts]]
name = 'conversations'
query = 'conversation-analytics'
[[marts]]
name = 'failures-of-june'
query = 'failure-reasons'
params = { from = '2026-06-01', to = '2026-06-30' }
";

/// Rows of a table as an export; `DAY` is the day of September.
fn export(table: &str, rows: &[(u32, &str)]) -> String {
    let kind = KINDS.iter().position(|kind| *kind == table).unwrap();
    let line = |(day, row): &(u32, &str)| row.replace("DAY", &format!("2026-09-{day:02}")) + "\n";
    let lines: String = rows.iter().map(line).collect();
    format!("{}\n{lines}", Row::header(kind))
}

/// The person of most rows of [`three_months`].
const PERSON: &str = "573005550101";

/// A mart, with the ranges of dates of which it is computed again.
type Recomputed<'a> = (&'a str, &'a [&'a str]);

/// A lake with a session, a deployment and a message a day, and marts of all rules.
fn three_months() -> Bench {
    let bench = Bench::with_settings(BY_DAY);
    let load = |table: &str, rows: &[(u32, &str)]| bench.load("export.csv", export(table, rows));
    // Of each month's rows, those of September are named by their day.
    let load_days = |table: &str, row: &str| {
        let of_day = |(month, day): (u32, u32)| {
            let id = if month == 9 { day.to_string() } else { format!("{month}-{day}") };
            row.replace("DAY", &format!("2026-{month:02}-{day:02}")).replace("ID", &id) + "\n"
        };
        let days = (7..=9).flat_map(|month| (1..=30).map(move |day| (month, day)));
        bench.load("export.csv", export(table, &[]) + &days.map(of_day).collect::<String>());
    };
    load_days("sessions", &format!("sID,DAY 12:00:00,,BOT,{PERSON},,57300,Tienda"));
    load_days("deployments", &format!("41,1,{PERSON},,DAY 12:00:00,Delivered,,,sID"));
    load_days(
        "messages",
        &format!(
            "w,mID,57300,{PERSON},,outgoing,promo,DAY 12:00:00,DAY 12:00:01,DAY 12:00:02,cID,utility"
        ),
    );
    load(
        "deployments",
        &[
            (25, &format!("41,1,{PERSON},,DAY 13:00:00,Delivered,,,s3")),
            (5, "41,1,573005550102,,DAY 13:00:00,Delivered,,,"),
            (20, "41,1,573005550102,,DAY 13:00:00,Delivered,,,"),
        ],
    );
    load("messages", &[(11, "w,hidden,57300,,CO.3,outgoing,promo,DAY 12:00:00,,,c4,")]);
    bench.run_nightly();
    bench
}

#[test]
fn changed_row_affects_the_buckets_that_the_rules_name() {
    let bench = three_months();
    let september = ["2026-09-01 2026-09-30"];
    let costs = [("costs", &september[..]), ("conversations", &september[..])];
    let session = |finished: &str, name: &str| {
        [(3, format!("s3,DAY 12:00:00,{finished},BOT,{PERSON},,57300,{name}"))]
    };
    let borrowed = |rows: &[(u32, String)]| -> String {
        let rows: Vec<_> = rows.iter().map(|(day, row)| (*day, row.as_str())).collect();
        export("sessions", &rows)
    };
    let two_days = ["2026-09-03 2026-09-03", "2026-09-25 2026-09-25"];
    let cases: Vec<(&str, String, Vec<Recomputed>)> = vec![
        (
            "a session: the days of the deployments that name it; no name of a line changed",
            borrowed(&session("2026-09-03 12:30:00", "Tienda")),
            vec![("sparked", &two_days), ("summary", &[])],
        ),
        (
            "the name of a line that has a later one",
            borrowed(&session("2026-09-03 12:31:00", "Otra")),
            vec![("sparked", &two_days), ("summary", &[])],
        ),
        (
            "a tag: the days of its person's deployments",
            export("tags", &[(1, "573005550102,,vip,DAY 00:00:00")]),
            vec![("tagged", &["2026-09-05 2026-09-05", "2026-09-20 2026-09-20"])],
        ),
        (
            "a message: its day, and the months of its prices and its conversation",
            export(
                "messages",
                &[(8, &format!("w,n,57300,{PERSON},,outgoing,promo,DAY 12:00:00,,,,"))],
            ),
            [
                &[
                    ("latencies", &["2026-09-08 2026-09-08"][..]),
                    ("summary", &["2026-09-08 2026-09-08"]),
                ],
                &costs[..],
            ]
            .concat(),
        ),
        (
            "a link: the rows of the user id that have no number",
            export("identities", &[(1, &format!("CO.3,{PERSON},DAY 00:00:00,DAY 00:00:00"))]),
            [
                &[("sparked", &[][..]), ("tagged", &[]), ("failures-of-june", &[])][..],
                &[
                    ("latencies", &["2026-09-11 2026-09-11"]),
                    ("summary", &["2026-09-11 2026-09-11"]),
                ],
                &costs[..],
            ]
            .concat(),
        ),
    ];
    for (case, text, expected) in cases {
        bench.load("export.csv", text);
        let report = bench.run_nightly();
        let found = report.marts.iter().filter(|mart| mart.scope != Scope::Nothing);
        let found = found.map(|mart| {
            assert_eq!(mart.scope, Scope::Some, "{case}: {mart:?}");
            let dates = mart.dates.iter().map(|(first, last)| format!("{first} {last}"));
            (mart.mart.as_str(), dates.collect::<Vec<_>>())
        });
        let found: std::collections::BTreeMap<_, _> = found.collect();
        let expected = expected.into_iter().map(|(mart, dates)| {
            (mart, dates.iter().map(|date| (*date).to_owned()).collect::<Vec<_>>())
        });
        assert_eq!(found, expected.collect(), "{case}");
        bench.check_marts().unwrap();
    }
    // A new name reaches every day.
    bench.load(
        "export.csv",
        export("sessions", &[(30, &format!("z,DAY 13:00:00,,BOT,{PERSON},,57300,Otra"))]),
    );
    let report = bench.run_nightly();
    let summary = report.marts.iter().find(|mart| mart.mart == "summary").unwrap();
    assert_eq!((summary.scope, summary.why.as_str()), (Scope::All, "`sessions` changed"));
    bench.check_marts().unwrap();
}
