//! Files that are webhooks by their content, what they hold beside known parts, and broken parts.

use serde_json::{Value, json};
use wabalake::load::{Options, load};
use wabalake_data::tables::{closures, events, messages};

use super::{ID, PHONE, by_table, envelope, lines, message, of_messages, value};
use crate::support::Bench;

fn event(kind: &str, id: usize) -> Value {
    let mut session = json!({"external_id": format!("s{id}")});
    if kind == "session.close" {
        session["closed_at"] = json!("2025-06-01T10:00:00Z");
    }
    json!({"event_type": kind, "event_id": format!("c{id}"), "timestamp": "2025-06-01T10:00:00Z",
           "session": session, "user": {"country_code": "+57", "cellphone": "3005550101"}})
}

fn webhook() -> Value {
    of_messages(json!([message(1, "text", json!({"body": "Hola"}))]))
}

/// More events than the first 64 KiB hold.
fn many(kind: &str) -> Vec<Value> {
    (0..900).map(|id| event(kind, id)).collect()
}

#[test]
fn events_of_meta_behind_many_of_treble_are_read() {
    for size in [3, 900] {
        let mut started = many("session.start");
        started.truncate(size);
        started.push(webhook());
        let bench = Bench::new();
        let report = bench.load("started.jsonl", lines(started));
        // What is left out was read, too.
        let of_messages = format!("messages {} 1 0", size + 1);
        assert_eq!(by_table(&report), [of_messages.as_str(), "identities 1 1 0"], "{size}");
        let left_out = format!("left out: events `session.start` ({size})\n");
        assert!(report.text().contains(&left_out), "{}", report.text());
    }
    let mut closed = many("session.close");
    closed.push(webhook());
    closed
        .push(json!({"event_type": "deployment.failure", "event_id": "f1", "failure_reason": "X",
                       "timestamp": "2025-06-01T10:00:00Z", "session": {"external_id": "s1"}}));
    let bench = Bench::new();
    let report = bench.load("closed.jsonl", lines(closed));
    assert_eq!(
        by_table(&report),
        ["messages 1 1 0", "identities 1 1 0", "events 1 1 0", "closures 900 900 0"]
    );
    // Closed sessions alone are those of `closures`, with the same rows.
    let alone = Bench::new();
    let report = alone.load("closed.jsonl", lines(many("session.close")));
    assert_eq!(by_table(&report), ["closures 900 900 0"]);
    assert_eq!(alone.rows(&closures::TABLE), bench.rows(&closures::TABLE));
}

#[test]
fn events_that_close_no_session_are_no_closures() {
    let bench = Bench::new();
    let text =
        lines([event("session.start", 1), event("session.close", 2), event("agent.assigned", 3)]);
    let closures = Options { kind: Some(&closures::TABLE), ..Options::default() };
    let report = bench.load_with(&[bench.file("a.jsonl", &text)], &closures).unwrap();
    assert_eq!(by_table(&report), ["closures 3 1 0"]);
    assert_eq!(report.total(|file| file.rows_left_out), 2);
    assert!(bench.rows(&closures::TABLE)[0].starts_with("c2|session.close|s2|"));
    // Behind the first 64 KiB of closed sessions they do not make a file one of webhooks.
    let mut closed = many("session.close");
    closed.push(event("agent.assigned", 901));
    let report = Bench::new().load("b.jsonl", lines(closed));
    assert_eq!(by_table(&report), ["closures 901 900 0"]);
}

#[test]
fn changes_and_values_that_stand_alone_are_recognised() {
    let tier = json!({"event": "VOLUME_BASED_PRICING_TIER_UPDATE", "volume_tier_info": {
        "tier_update_time": 1_743_451_903, "pricing_category": "UTILITY", "tier": "1:2",
        "effective_month": "2025-11", "region": "India"}});
    let mut no_product = value(json!({"messages": [message(1, "text", json!({"body": "x"}))]}));
    no_product.as_object_mut().unwrap().remove("messaging_product");
    let limit = |more: Value| {
        let mut value = json!({"max_daily_conversations_per_business": "TIER_2K"});
        value.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        value
    };
    let events_of = |name: &str, value: &Value| {
        let bench = Bench::new();
        bench.load(name, value.to_string());
        (bench.columns(&events::TABLE, &[events::EVENT, events::NEW_VALUE], "|"), bench)
    };
    for value in [tier.clone(), json!({"field": "account_update", "value": tier})] {
        assert_eq!(events_of("tier.json", &value).0, ["volume-tier|1:2"]);
    }
    assert_eq!(events_of("value.json", &no_product).1.rows(&messages::TABLE).len(), 1);
    // Limits have no time without their entry.
    for (more, event) in [
        (json!({"display_phone_number": "12025550140"}), "line-limit"),
        (json!({}), "account-limit"),
    ] {
        let bench = Bench::new();
        let report = bench.load("limit.json", limit(more).to_string());
        let left_out = format!("left out: events without a time `{event}` (1)");
        assert!(report.text().contains(&left_out), "{}", report.text());
    }
    let report = Bench::new()
        .load("alert.json", json!({"field": "account_alerts", "value": {"a": 1}}).to_string());
    assert_eq!(report.total(|file| file.rows_left_out), 1);
    // A change of another program is none.
    let other = json!({"field": "status", "value": {"a": 1}}).to_string();
    assert!(Bench::new().try_load("other.json", &other).is_err());
}

#[test]
fn parts_without_a_table_are_named_beside_links() {
    let bench = Bench::new();
    let report = bench.load(
        "a.jsonl",
        lines([
            envelope("calls", &value(json!({"calls": [{"id": "c"}]}))),
            envelope("messages", &value(json!({}))),
            envelope("wamid.HBgM", &json!({})),
            envelope("CO.Ab1", &json!({})),
        ]),
    );
    // A link twice, and three changes that no table takes.
    assert_eq!(by_table(&report), ["identities 5 1 0"]);
    let left_out = "left out: changes of `(hidden)` (2), changes of `calls` (1)\n";
    assert!(report.text().contains(left_out), "{}", report.text());
}

#[test]
fn json_without_objects_is_named_so() {
    let webhooks = Options { is_webhooks: true, ..Options::default() };
    for text in ["5", "\"x\"\n", "null\n"] {
        let bench = Bench::new();
        let error = load(&bench.lake(), &[bench.file("a.json", text)], &webhooks).unwrap_err();
        let message = "error: `a.json` has no webhooks: it is JSON without an object";
        assert!(error.lines().starts_with(message), "{}", error.lines());
    }
    let bench = Bench::new();
    let text = format!("[\"x\"]\n{}\n[1, [\"secret\"]]\noops]\n", webhook());
    bench.load("a.jsonl", text);
    let rejects = bench.rejects();
    let reasons = rejects.iter().map(|reject| reject.split_once('@').unwrap().1.to_owned());
    assert_eq!(
        reasons.collect::<Vec<_>>(),
        [
            "1 -: not an object",
            "3 -: not an object",
            "4 -: not valid JSON: expected value, character 1"
        ]
    );
}

#[test]
fn broken_parts_are_left_out_of_exported_rejects() {
    let mut late = message(2, "text", json!({"body": "x"}));
    late["timestamp"] = json!("late");
    let bench = Bench::new();
    let broken = r#"{"object": "whatsapp_business_account", "entry": ["#;
    let text = format!("{broken}\n{}\n{}\n", webhook(), of_messages(json!([late, "secret"])));
    bench.load("a.jsonl", text);
    assert_eq!(bench.rejects().len(), 3);
    let run = bench.command("rejects --lake lake --export fix.csv").output().unwrap();
    let report = String::from_utf8(run.stderr).unwrap();
    assert!(
        report.starts_with("1 record written to `fix.csv`\n2 broken parts of webhooks left out"),
        "{report}"
    );
    assert!(report.contains("`wabalake rejects --kind messages --raw` shows them"), "{report}");
    let exported = bench.exported_rejects();
    assert_eq!(exported.lines().count(), 2);
    for hidden in ["secret", "whatsapp_business_account"] {
        assert!(!exported.contains(hidden), "{exported}");
    }
    let corrected = exported.replace("late", "1748772002");
    bench.load("fixed.csv", corrected);
    assert_eq!(bench.rows(&messages::TABLE).len(), 2);
    assert_eq!(bench.open_rejects().height(), 2);
    let ids = bench.columns(&messages::TABLE, &[messages::USER_PHONE, messages::USER_ID], "|");
    assert_eq!(ids, [format!("{PHONE}|{ID}"), format!("{PHONE}|{ID}")]);
}
