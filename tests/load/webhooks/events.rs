//! Events of Meta's and Treble's webhooks, closed sessions and variables.

use serde_json::{Value, json};
use wabalake_data::tables::{closures, events, messages, variables};

use super::{ID, PHONE, by_table, envelope, lines, message, value};
use crate::support::Bench;

const OF_EVENTS: [&str; 12] = [
    events::SOURCE,
    events::EVENT,
    events::AT,
    events::LINE,
    events::USER_PHONE,
    events::COUNTRY,
    events::TEMPLATE_NAME,
    events::OLD_VALUE,
    events::NEW_VALUE,
    events::REASON,
    events::CONVERSATION_IDS,
    events::EVENT_ID,
];

#[test]
fn events_of_meta_and_treble_are_read() {
    let template = |more: Value| {
        let mut value = json!({
            "message_template_id": 594_425_479, "message_template_name": "promo",
            "message_template_language": "pt_BR",
        });
        value.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        value
    };
    let tier = json!({"event": "VOLUME_BASED_PRICING_TIER_UPDATE", "volume_tier_info": {
        "tier_update_time": 1_748_772_100, "pricing_category": "UTILITY", "tier": "25000001:50000000",
        "effective_month": "2025-11", "region": "INDIA",
    }});
    let limit = json!({
        "display_phone_number": "12025550140", "event": "UPGRADE", "old_limit": "TIER_1K",
        "current_limit": "TIER_10K",
    });
    let mut per_business = limit.clone();
    per_business["max_daily_conversations_per_business"] = json!("TIER_2K");
    let preference = json!({
        "wa_id": PHONE, "user_id": ID, "category": "marketing_messages", "value": "stop",
        "detail": "User requested to stop", "timestamp": 1_748_772_200,
    });
    let values = [
        ("message_template_status_update", template(json!({"event": "PAUSED", "reason": "NONE"}))),
        (
            "message_template_quality_update",
            template(json!({"previous_quality_score": "GREEN", "new_quality_score": "YELLOW"})),
        ),
        (
            "template_category_update",
            template(json!({"previous_category": "UTILITY", "new_category": "MARKETING"})),
        ),
        (
            "template_category_update",
            template(json!({"new_category": "UTILITY", "correct_category": "MARKETING"})),
        ),
        ("phone_number_quality_update", limit),
        ("phone_number_quality_update", per_business),
        ("business_capability_update", json!({"max_daily_conversation_per_phone": 1000})),
        ("account_update", tier),
        ("account_update", json!({"phone_number": "12025550140", "event": "VERIFIED_ACCOUNT"})),
        ("user_preferences", value(json!({"user_preferences": [preference]}))),
        (
            "messages",
            value(json!({"messages": [
                message(50, "system", json!({"type": "user_changed_number", "wa_id": "573005550177"})),
            ]})),
        ),
        // Of no table.
        ("account_alerts", json!({"entity_type": "BUSINESS"})),
        ("history", json!({"messaging_product": "whatsapp", "metadata": {}, "history": [{}]})),
    ];
    let of_treble = [
        json!({"event_type": "hsm.status", "event_id": "t1", "timestamp": "2025-06-01T12:00:00.5Z",
               "status": "APPROVED", "name": "welcome", "affected_conversation_ids": [67890, 12345]}),
        json!({"event_type": "deployment.failure", "event_id": "t2", "timestamp": "2025-06-01T13:00:01Z",
               "failed_at": "2025-06-01T13:00:00Z", "failure_reason": "FAILURE_BY_OPTOUT_CONTACT",
               "user": {"country_code": "+52", "cellphone": "5550000001"}}),
        json!({"event_type": "hsm.status", "event_id": "t3", "status": "PAUSED", "name": "welcome"}),
        json!({"event_type": "agent.assigned", "event_id": "t4", "timestamp": "2025-06-01T13:00:01Z"}),
    ];
    let bench = Bench::new();
    let of_meta = values.iter().map(|(field, value)| envelope(field, value));
    let report = bench.load("events.jsonl", lines(of_meta.chain(of_treble)));
    assert_eq!(by_table(&report), ["identities 6 1 0", "events 13 13 0"]);
    assert!(report.text().contains(
        "left out: changes of `account_alerts` (1), changes of `history` (1), events `agent.assigned` (1), \
         events without a time `template-status` (1)\n"
    ), "{}", report.text());
    let rows = bench.columns(&events::TABLE, &OF_EVENTS, "|");
    let rows = rows.iter().map(|row| row.replace("2025-06-01 ", "").replace("00000Z", ""));
    assert_eq!(
        rows.collect::<Vec<_>>(),
        [
            "meta|account-limit|17:46:40.0||||||1000|||",
            "meta|account|17:46:40.0||||||VERIFIED_ACCOUNT|||",
            "meta|line-limit|17:46:40.0|12025550140||||TIER_1K|TIER_10K|UPGRADE||",
            "meta|line-limit|17:46:40.0|12025550140||||TIER_1K|TIER_2K|UPGRADE||",
            "meta|marketing-preference|10:03:20.0|12025550140|573005550101|CO|||stop|||",
            "meta|number-changed|10:00:50.0|12025550140|573005550101|CO||||||",
            "meta|template-category|17:46:40.0||||promo|UTILITY|MARKETING|||",
            "meta|template-category|17:46:40.0||||promo|UTILITY||MARKETING||",
            "meta|template-quality|17:46:40.0||||promo|GREEN|YELLOW|||",
            "meta|template-status|17:46:40.0||||promo||PAUSED|||",
            "meta|volume-tier|10:01:40.0||||||25000001:50000000|INDIA UTILITY 2025-11||",
            "treble|deployment-failure|13:00:00.0||525550000001|MX||||FAILURE_BY_OPTOUT_CONTACT||t2",
            "treble|template-status|12:00:00.5||||welcome||APPROVED||12345,67890|t1",
        ]
    );
    // Delivered again, they are the same events, and their own columns load as a CSV.
    let again = values.iter().map(|(field, value)| envelope(field, value)).rev();
    let report = bench.load("again.jsonl", lines(again));
    assert_eq!(report.total(|file| file.rows_new), 0);
    let text = "source,event,at,user_phone,new_value\nmeta,marketing-preference,2025-06-02T00:00:00Z,57 300 555 0101,resume\n\
                meta,account,,,X\n";
    let report = bench.load("own.csv", text);
    assert_eq!(by_table(&report), ["events 2 1 1"]);
}

#[test]
fn bodies_without_variables_are_a_file_of_variables_without_records() {
    let bench = Bench::new();
    let body = json!({
        "country_code": "+57", "cellphone": "3005550101", "session_id": "a1", "conversation_id": 34820,
        "sent_at": "2025-06-01 15:19:06", "user_session_keys": [], "delivered_at": "2025-06-01 15:19:08",
    });
    let report = bench.load("delivered.json", body.to_string());
    assert_eq!(by_table(&report), ["variables 1 0 0"]);
    assert!(
        report.text().contains("left out: bodies without variables (1)\n"),
        "{}",
        report.text()
    );
    assert_eq!(bench.lake().snapshot(&messages::TABLE).unwrap().version, None);
    assert!(bench.load("again.json", body.to_string()).files[0].already_loaded);
}

#[test]
fn closures_and_variables_of_treble_are_read_beside_other_events() {
    let close = json!({
        "event_id": "e1", "timestamp": "2025-06-01T10:05:00Z", "event_type": "session.close",
        "session": {"external_id": "a1", "closed_at": "2025-06-01T10:05:00Z"},
        "user": {"country_code": "+57", "cellphone": "3005550101"}, "hsm": {"name": "welcome"},
    });
    let body = |stamps: Value| {
        let mut body = json!({
            "country_code": "+57", "cellphone": "3005550101", "session_id": "a1", "conversation_id": 34820,
            "question": {"type": "open", "text": "?"}, "sent_at": "2025-06-01 15:19:06.473256",
            "user_session_keys": [{"key": "city", "value": "Cali", "type": null}, {"key": "age", "value": 7}],
        });
        body.as_object_mut().unwrap().extend(stamps.as_object().unwrap().clone());
        body
    };
    let values = [
        json!({"received_at": "2025-06-02T00:00:00Z", "body": close}),
        json!({"event_type": "hsm.status", "event_id": "t1", "timestamp": "2025-06-01T12:00:00Z",
               "status": "APPROVED", "name": "welcome"}),
        body(json!({"delivered_at": "2025-06-01 15:19:08"})),
        body(json!({"delivered_at": "2025-06-01 15:19:08", "timeout_at": "2025-06-01 16:00:00"})),
        body(json!({"user_session_keys": []})),
    ];
    let bench = Bench::new();
    let report = bench.load("treble.jsonl", lines(values.clone()));
    assert_eq!(by_table(&report), ["events 2 1 0", "closures 1 1 0", "variables 4 4 0"]);
    assert!(
        report.text().contains("left out: bodies without variables (1)\n"),
        "{}",
        report.text()
    );
    let closed = "e1|session.close|a1|2025-06-01 10:05:00.000000Z|573005550101|CO|welcome|2025-06-02 \
                  00:00:00.000000Z||2025-06-01";
    assert_eq!(bench.rows(&closures::TABLE), [closed]);
    let names = [
        variables::SESSION_ID,
        variables::USER_PHONE,
        variables::CONVERSATION_ID,
        variables::VARIABLE,
        variables::VALUE,
        variables::AT,
    ];
    let rows = bench.columns(&variables::TABLE, &names, "|");
    assert_eq!(
        rows.iter().map(|row| row.replace(".000000Z", "")).collect::<Vec<_>>(),
        [
            "a1|573005550101|34820|age|7|2025-06-01 15:19:08",
            "a1|573005550101|34820|age|7|2025-06-01 16:00:00",
            "a1|573005550101|34820|city|Cali|2025-06-01 15:19:08",
            "a1|573005550101|34820|city|Cali|2025-06-01 16:00:00",
        ]
    );
    // A file of closed sessions alone is one of closures, with the same row.
    let other = Bench::new();
    let report = other.load("closed.jsonl", lines([values[0].clone()]));
    assert_eq!(by_table(&report), ["closures 1 1 0"]);
    assert_eq!(report.files[0].unknown_columns, Vec::<String>::new());
    assert_eq!(other.rows(&closures::TABLE), [closed]);
}
