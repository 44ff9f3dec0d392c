//! Messages of Meta's webhooks, and the links between the ids that they show.

use serde_json::{Value, json};
use wabalake_data::tables::{events, identities, messages};

use super::{ID, PHONE, by_table, envelope, lines, message, of_messages, status, value};
use crate::support::Bench;

fn links(bench: &Bench) -> Vec<String> {
    let names =
        [identities::USER_ID, identities::LINKED, identities::FIRST_SEEN, identities::LAST_SEEN];
    let rows = bench.columns(&identities::TABLE, &names, "|");
    rows.into_iter().map(|row| row.replace("2025-06-01 ", "").replace(".000000Z", "")).collect()
}

#[test]
fn messages_of_all_types_are_read() {
    let mut first = message(1, "text", json!({"body": "Hola, \"tú\""}));
    first["referral"] = json!({
        "source_type": "ad", "source_id": "120226305854810726", "headline": "Sofás", "ctwa_clid": "ARx",
    });
    let mut answer = message(
        5,
        "interactive",
        json!({
            "type": "list_reply", "list_reply": {"id": "row-2", "title": "Otro", "description": "x"},
        }),
    );
    answer["context"] = json!({"from": "12025550140", "id": "s01"});
    let file = of_messages(json!([
        first,
        message(2, "image", json!({"id": "1", "caption": "Mi casa"})),
        message(3, "audio", json!({"id": "2", "voice": true})),
        message(4, "button", json!({"text": "Sí", "payload": "yes"})),
        answer,
        message(6, "interactive", json!({"type": "button_reply", "button_reply": {"id": "b", "title": "No"}})),
        message(7, "contacts", json!([{"phones": [{"phone": "573005550109"}]}])),
        message(8, "location", json!({"latitude": 1.5, "longitude": 2})),
        message(9, "reaction", json!({"message_id": "s02", "emoji": "👍"})),
        message(10, "order", json!({"catalog_id": "1", "product_items": []})),
        message(11, "unsupported", json!(null)),
        message(12, "edit", json!({"original_message_id": "m01"})),
        message(13, "revoke", json!({})),
        message(14, "request_welcome", json!({})),
        message(15, "system", json!({"type": "customer_identity_changed"})),
        {"from": PHONE, "id": "m16", "timestamp": "1748772016", "type": "text", "text": {"body": "x"},
         "group_id": "g1"},
    ]));
    let bench = Bench::new();
    let report = bench.load("messages.json", file.to_string());
    assert_eq!(by_table(&report), ["messages 16 11 0", "identities 1 1 0"]);
    assert!(
        report.text().contains(
            "left out: messages of groups (1), messages of type `edit` (1), messages of type \
         `request_welcome` (1), messages of type `revoke` (1), system messages \
         `customer_identity_changed` (1)\n"
        ),
        "{}",
        report.text()
    );
    let names = [
        messages::WHATSAPP_ID,
        messages::FORMAT,
        messages::MESSAGE,
        messages::CONTEXT_ID,
        messages::BUTTON_PAYLOAD,
        messages::REACTION,
    ];
    assert_eq!(
        bench.columns(&messages::TABLE, &names, "|"),
        [
            "m01|text|Hola, \"tú\"|||",
            "m02|image|Mi casa|||",
            "m03|media||||",
            "m04|text|Sí||yes|",
            "m05|text|Otro|s01|row-2|",
            "m06|text|No||b|",
            "m07|contact||||",
            "m08|location||||",
            "m09|reaction||s02||👍",
            "m10|order||||",
            "m11|media||||",
        ]
    );
    let names = [
        messages::WABA_ID,
        messages::FROM,
        messages::TO,
        messages::LINE,
        messages::USER_PHONE,
        messages::USER_ID,
        messages::SOURCE,
        messages::MESSAGE_TYPE,
        messages::CREATED_AT,
        messages::REFERRAL_TYPE,
        messages::REFERRAL_ID,
        messages::REFERRAL_HEADLINE,
        messages::CTWA_CLID,
    ];
    assert_eq!(
        bench.columns(&messages::TABLE, &names, "|")[0],
        format!(
            "9001|{PHONE}|12025550140|12025550140|{PHONE}|{ID}|webhook|incoming|\
             2025-06-01 10:00:01.000000Z|ad|120226305854810726|Sofás|ARx"
        )
    );
    assert_eq!(links(&bench), [format!("{ID}|{PHONE}|10:00:01|10:00:16")]);
}

#[test]
fn statuses_and_echoes_are_outgoing_messages() {
    let mut delivered = status(2, "delivered", 4);
    delivered["conversation"] = json!({"id": "c1", "origin": {"type": "utility"}});
    delivered["pricing"] =
        json!({"billable": false, "pricing_model": "PMP", "category": "utility"});
    delivered["biz_opaque_callback_data"] = json!("order-7");
    let mut read = status(3, "read", 5);
    read["pricing"] =
        json!({"pricing_model": "PMP", "type": "regular", "category": "marketing-lite"});
    let mut played = status(4, "played", 6);
    played["pricing"] = json!({"billable": true, "pricing_model": "CBP", "category": "marketing"});
    let mut failed = status(5, "failed", 7);
    failed["errors"] =
        json!([{"code": 131_049, "title": "Later"}, {"code": 131_026, "title": "Undeliverable"}]);
    let mut group = status(6, "sent", 8);
    group["recipient_type"] = json!("group");
    let mut billed = status(8, "sent", 9);
    billed["pricing"] = json!({"billable": true, "pricing_model": "PMP", "category": "service"});
    let mut entry_point = status(9, "sent", 9);
    entry_point["pricing"] =
        json!({"billable": false, "pricing_model": "PMP", "category": "referral_conversion"});
    let statuses = [
        status(1, "sent", 3),
        delivered,
        read,
        played,
        failed,
        group,
        status(7, "deleted", 8),
        billed,
        entry_point,
    ];
    let echo = json!({
        "from": "12025550140", "to": "573005550102", "to_user_id": "CO.2", "id": "e01",
        "timestamp": "1748772060", "type": "text", "text": {"body": "Voy"},
    });
    let bench = Bench::new();
    let report = bench.load(
        "webhooks.jsonl",
        lines([
            envelope("messages", &value(json!({"statuses": statuses}))),
            envelope(
                "smb_message_echoes",
                &value(json!({"contacts": null, "message_echoes": [echo]})),
            ),
        ]),
    );
    assert_eq!(by_table(&report), ["messages 10 8 0", "identities 2 2 0"]);
    let left_out = "left out: statuses `deleted` (1), statuses of groups (1)\n";
    assert!(report.text().contains(left_out), "{}", report.text());
    let names = [
        messages::WHATSAPP_ID,
        messages::CREATED_AT,
        messages::SENT_AT,
        messages::DELIVERED_AT,
        messages::SEEN_AT,
        messages::FAILED_AT,
        messages::ERROR_CODE,
        messages::REASON_FOR_FAILURE,
        messages::CONVERSATION_ID,
        messages::CONVERSATION_TYPE,
        messages::REF,
        messages::PRICING_TYPE,
        messages::PRICING_CATEGORY,
        messages::MESSAGE_TYPE,
        messages::SOURCE,
    ];
    // Only what is not null.
    let rows = bench.columns(&messages::TABLE, &names, "|").into_iter().map(|row| {
        let cells = row.split('|').zip(names).filter(|(cell, _)| !cell.is_empty());
        let cells =
            cells.map(|(cell, name)| format!("{name} {cell}")).collect::<Vec<_>>().join(", ");
        let cells = cells.replace("whatsapp_id ", "").replace("2025-06-01 10:0", "");
        cells.replace(".000000Z", "")
    });
    assert_eq!(
        rows.collect::<Vec<_>>(),
        [
            "e01, created_at 1:00, sent_at 1:00, message_type outgoing, source app",
            "s01, created_at 0:03, sent_at 0:03, message_type outgoing",
            "s02, created_at 0:04, delivered_at 0:04, conversation_id c1, conversation_type utility, \
             ref order-7, pricing_type free_customer_service, pricing_category utility, message_type template",
            "s03, created_at 0:05, seen_at 0:05, pricing_type regular, pricing_category marketing_lite, \
             message_type template",
            "s04, created_at 0:06, seen_at 0:06, message_type outgoing",
            "s05, created_at 0:07, failed_at 0:07, error_code 131026, reason_for_failure Undeliverable, \
             message_type outgoing",
            "s08, created_at 0:09, sent_at 0:09, pricing_type regular, pricing_category service, \
             message_type outgoing",
            "s09, created_at 0:09, sent_at 0:09, pricing_type free_entry_point, \
             pricing_category referral_conversion, message_type outgoing",
        ]
    );
    let names = [messages::WHATSAPP_ID, messages::FROM, messages::USER_PHONE, messages::USER_ID];
    let rows = bench.columns(&messages::TABLE, &names, "|");
    assert_eq!(rows[0], "e01|12025550140|573005550102|CO.2");
    assert_eq!(rows[1], format!("s01|12025550140|{PHONE}|{ID}"));
}

#[test]
fn states_of_a_message_and_its_log_are_one_row() {
    let mut read = status(1, "read", 180);
    read["pricing"] = json!({"pricing_model": "PMP", "type": "regular"});
    let statuses = [status(1, "delivered", 4), read, status(1, "sent", 1)];
    let of =
        |status: &Value| envelope("messages", &value(json!({"statuses": [status]}))).to_string();
    let log = "whatsapp_id,created_at,message_direction,template_name\n\
               s01,2025-06-01T10:00:00Z,outgoing,promo\n";
    let files: Vec<(String, String)> = statuses
        .iter()
        .enumerate()
        .map(|(at, status)| (format!("{at}.json"), of(status)))
        .chain([("log.csv".to_owned(), log.to_owned())])
        .collect();
    for first in 0..files.len() {
        let bench = Bench::new();
        for at in 0..files.len() {
            let (name, text) = &files[(first + at) % files.len()];
            bench.load(name, text);
            bench.load(&format!("again_{name}"), format!("{text}\n"));
        }
        let names = [
            messages::CREATED_AT,
            messages::SENT_AT,
            messages::DELIVERED_AT,
            messages::SEEN_AT,
            messages::TEMPLATE_NAME,
            messages::PRICING_TYPE,
            messages::MESSAGE_TYPE,
            messages::LINE,
        ];
        let rows = bench.columns(&messages::TABLE, &names, "|");
        let rows = rows.iter().map(|row| row.replace("2025-06-01 ", "").replace(".000000Z", ""));
        let expected = "10:00:00|10:00:01|10:00:04|10:03:00|promo|regular|template|12025550140";
        assert_eq!(rows.collect::<Vec<_>>(), [expected]);
    }
}

#[test]
fn ids_shown_together_are_linked() {
    let system = |id: usize, content: Value, more: Value| {
        let mut message = message(id, "system", content);
        message.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        message
    };
    let values = [
        // A contact is seen at the times of its value.
        value(json!({
            "contacts": [{"wa_id": PHONE, "user_id": "CO.1", "parent_user_id": "CO.ENT.1"}],
            "statuses": [
                {"id": "s1", "status": "sent", "recipient_id": "573005550102", "recipient_user_id": "CO.2",
                 "recipient_parent_user_id": "CO.ENT.2", "timestamp": "1748772010"},
                {"id": "s1", "status": "read", "recipient_id": "573005550102", "recipient_user_id": "CO.2",
                 "timestamp": "1748772030"},
            ],
        })),
        value(json!({"contacts": null, "user_id_update": [{
            "wa_id": "573005550103", "user_id": {"previous": "CO.3", "current": "CO.33"},
            "parent_user_id": {"previous": "CO.ENT.3", "current": "CO.ENT.33"}, "timestamp": 1_748_772_040,
        }]})),
        value(json!({"contacts": null, "messages": [
            system(41, json!({"type": "user_changed_user_id", "user_id": "CO.44", "wa_id": "573005550144",
                              "body": "User changed from CO.0 to CO.44"}),
                   json!({"from": "573005550104", "from_user_id": "CO.4"})),
            system(42, json!({"type": "user_changed_user_id", "user_id": "CO.55",
                              "body": "User Ana changed from CO.5 to CO.55."}), json!({})),
            system(43, json!({"type": "user_changed_number", "wa_id": "573005550166", "user_id": "CO.66"}),
                   json!({"from": "573005550106", "from_user_id": "CO.6"})),
        ]})),
        // Incomplete, equal and malformed pairs.
        value(json!({"contacts": [
            {"wa_id": PHONE}, {"user_id": "CO.7"}, {"user_id": "CO.7", "parent_user_id": "CO.7"},
            {"wa_id": PHONE, "user_id": "co.8"},
        ], "messages": [message(44, "text", json!({"body": "x"}))]})),
    ];
    let bench = Bench::new();
    bench.load("webhooks.jsonl", lines(values.iter().map(|value| envelope("messages", value))));
    assert_eq!(
        links(&bench),
        [
            "CO.1|573005550101|10:00:10|10:00:30",
            "CO.2|573005550102|10:00:10|10:00:30",
            "CO.33|573005550103|10:00:40|10:00:40",
            "CO.33|CO.3|10:00:40|10:00:40",
            "CO.44|573005550144|10:00:41|10:00:41",
            "CO.44|CO.4|10:00:41|10:00:41",
            "CO.4|573005550104|10:00:41|10:00:41",
            "CO.55|CO.5|10:00:42|10:00:42",
            "CO.66|573005550166|10:00:43|10:00:43",
            "CO.6|573005550106|10:00:43|10:00:43",
            "CO.ENT.1|CO.1|10:00:10|10:00:30",
            "CO.ENT.2|CO.2|10:00:10|10:00:10",
            "CO.ENT.33|CO.33|10:00:40|10:00:40",
            "CO.ENT.3|CO.3|10:00:40|10:00:40",
        ]
    );
    // Without a time in the value, that of the entry counts.
    let contact = envelope(
        "messages",
        &value(json!({"contacts": [{"wa_id": "12025550141", "user_id": "US.1"}]})),
    );
    let bench = Bench::new();
    bench.load("contact.json", contact.to_string());
    assert_eq!(links(&bench), ["US.1|12025550141|17:46:40|17:46:40"]);
}

/// A system message with the person's ids around it.
fn system(id: usize, content: Value, more: &Value) -> Value {
    let mut message = message(id, "system", content);
    message.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    message
}

#[test]
fn a_number_change_links_no_ids_across_it() {
    for parent in ["CO.ENT.NEW", "CO.ENT.OLD"] {
        let bench = Bench::new();
        let change = system(
            1,
            json!({"type": "user_changed_number", "wa_id": "573005550203", "user_id": "CO.NEW",
                   "previous_user_id": "CO.OLD", "parent_user_id": parent,
                   "previous_parent_user_id": "CO.ENT.OLD"}),
            &json!({"from": PHONE, "from_user_id": "CO.OLD", "from_parent_user_id": "CO.ENT.OLD"}),
        );
        let alone = json!({"id": "m02", "timestamp": "1748772002", "type": "text", "from_user_id": "CO.NEW",
                           "text": {"body": "x"}});
        let values =
            [change, alone].map(|message| value(json!({"contacts": null, "messages": [message]})));
        bench.load("a.jsonl", lines(values.iter().map(|value| envelope("messages", value))));
        let mut expected = vec![
            "CO.ENT.OLD|CO.OLD|10:00:01|10:00:01",
            "CO.NEW|573005550203|10:00:01|10:00:01",
            "CO.OLD|573005550101|10:00:01|10:00:01",
        ];
        if parent == "CO.ENT.NEW" {
            expected.insert(0, "CO.ENT.NEW|CO.NEW|10:00:01|10:00:01");
        }
        assert_eq!(links(&bench), expected);
    }
}

#[test]
fn the_previous_user_id_is_found_wherever_the_message_shows_it() {
    let of = |id: usize, content: Value, more: Value| {
        let mut content = content;
        content["type"] = json!("user_changed_user_id");
        let message = system(id, content, &more);
        envelope("messages", &value(json!({"contacts": null, "messages": [message]})))
    };
    let none = json!({"from": null});
    let bench = Bench::new();
    bench.load(
        "a.jsonl",
        lines([
            // Its own key comes first, with the parent's.
            of(
                1,
                json!({"user_id": "CO.N1", "previous_user_id": "CO.P1", "parent_user_id": "CO.ENT.N1",
                       "previous_parent_user_id": "CO.ENT.P1", "body": "User CO.Z1 changed"}),
                json!({"from": null, "from_user_id": "CO.N1"}),
            ),
            of(2, json!({"user_id": "CO.N2", "body": "CO.Z2"}), json!({"from": null, "from_user_id": "CO.P2"})),
            // The sender's id is the new one already.
            of(
                3,
                json!({"user_id": "CO.N3", "body": "User CO.Lopez changed from CO.P3 to CO.N3"}),
                json!({"from": null, "from_user_id": "CO.N3"}),
            ),
            of(4, json!({"user_id": "CO.N4", "body": "CO.N4 was CO.P4."}), none.clone()),
            of(5, json!({"user_id": "CO.N5", "body": "User Ana changed to CO.N5"}), none),
        ]),
    );
    assert_eq!(
        links(&bench),
        [
            "CO.ENT.N1|CO.N1|10:00:01|10:00:01",
            "CO.ENT.P1|CO.P1|10:00:01|10:00:01",
            "CO.N1|CO.P1|10:00:01|10:00:01",
            "CO.N2|CO.P2|10:00:02|10:00:02",
            "CO.N3|CO.P3|10:00:03|10:00:03",
            "CO.N4|CO.P4|10:00:04|10:00:04",
        ]
    );
}

#[test]
fn a_user_id_in_the_cell_of_a_number_is_the_persons() {
    let mut received = message(1, "text", json!({"body": "x"}));
    received["from"] = json!("CO.998");
    let mut sent = status(1, "sent", 2);
    sent["recipient_id"] = json!("CO.997");
    let echo = json!({"from": "12025550140", "to": "CO.996", "id": "e01", "timestamp": "1748772003",
                      "type": "text", "text": {"body": "x"}});
    let changed = system(
        4,
        json!({"type": "user_changed_number", "wa_id": "573005550144"}),
        &json!({"from": "CO.995"}),
    );
    let preference = json!({"wa_id": "CO.994", "category": "marketing_messages", "value": "STOP",
                            "timestamp": 1_748_772_005});
    let bench = Bench::new();
    let parts = json!({"messages": [received, changed], "statuses": [sent], "message_echoes": [echo],
                       "user_preferences": [preference]});
    bench.load("a.json", envelope("messages", &value(parts)).to_string());
    let names = [messages::WHATSAPP_ID, messages::USER_ID];
    assert_eq!(
        bench.columns(&messages::TABLE, &names, "|"),
        ["e01|CO.996", "m01|CO.998", "s01|CO.997"]
    );
    let names = [events::EVENT, events::USER_ID, events::NEW_VALUE];
    assert_eq!(
        bench.columns(&events::TABLE, &names, "|"),
        ["marketing-preference|CO.994|stop", "number-changed|CO.995|"]
    );
}

#[test]
fn an_unusable_measure_costs_no_message() {
    let failed = |id: usize, errors: Value| {
        let mut status = status(id, "failed", id);
        status["errors"] = errors;
        status
    };
    let priced = |id: usize, pricing: Value| {
        let mut status = status(id, "sent", id);
        status["pricing"] = pricing;
        status
    };
    let statuses = json!([
        failed(1, json!([{"code": 9_999_999_999_u64, "title": "Big"}])),
        failed(
            2,
            json!([{"code": -9_999_999_999_i64, "title": "Small"}, {"code": 131_026, "title": "Usable"}])
        ),
        priced(3, json!({"pricing_model": "pmp", "billable": "True", "category": "-"})),
        priced(4, json!({"pricing_model": "Pmp", "billable": "false", "category": "UTILITY"})),
        priced(5, json!({"pricing_model": "PMP", "billable": null, "category": "null"})),
    ]);
    let order = message(6, "order", json!({"text": "Dos, por favor", "product_items": []}));
    let parts = json!({"statuses": statuses, "messages": [order, message(7, "text", json!({"body": "cut CUT"}))]});
    let text = envelope("messages", &value(parts)).to_string().replace("CUT", "\\ud83d");
    let bench = Bench::new();
    let report = bench.load("a.json", text);
    assert_eq!(by_table(&report), ["messages 7 7 0", "identities 1 1 0"]);
    let names = [
        messages::WHATSAPP_ID,
        messages::MESSAGE,
        messages::ERROR_CODE,
        messages::REASON_FOR_FAILURE,
        messages::PRICING_TYPE,
        messages::PRICING_CATEGORY,
    ];
    assert_eq!(
        bench.columns(&messages::TABLE, &names, "|"),
        [
            "m06|Dos, por favor||||",
            "m07|cut \u{fffd}||||",
            "s01|||Big||",
            "s02||131026|Usable||",
            "s03||||regular|",
            "s04||||free_customer_service|utility",
            "s05|||||",
        ]
    );
}

#[test]
fn an_unusable_time_of_a_link_is_unknown() {
    let preference = |timestamp: Value| json!({"wa_id": PHONE, "user_id": ID, "value": "stop", "timestamp": timestamp});
    let parts =
        json!({"user_preferences": [preference(json!(1)), preference(json!("99999999999999999"))]});
    let bench = Bench::new();
    // Without an entry nothing else has a time.
    let report = bench.load("a.json", value(parts.clone()).to_string());
    assert_eq!(by_table(&report)[0], "identities 1 1 0");
    assert_eq!(links(&bench), [format!("{ID}|{PHONE}||")]);
    let bench = Bench::new();
    bench.load("a.json", envelope("user_preferences", &value(parts)).to_string());
    assert_eq!(links(&bench), [format!("{ID}|{PHONE}|17:46:40|17:46:40")]);
}
