//! Webhooks of Meta and Treble: one file feeds messages, identities, events, closures and variables.

mod detection;
mod events;
mod messages;

use proptest::prelude::*;
use serde_json::{Value, json};
use wabalake::load::{LoadReport, Options, load};
use wabalake_data::Table;
use wabalake_data::tables::{
    closures, events as event_rows, identities, messages as message_rows, variables,
};

use crate::support::{Bench, gz};

const TABLES: [&Table; 5] = [
    &message_rows::TABLE,
    &identities::TABLE,
    &event_rows::TABLE,
    &closures::TABLE,
    &variables::TABLE,
];

const ID: &str = "CO.13491208655302741918";
const PHONE: &str = "573005550101";

/// A whole webhook with one change.
fn envelope(field: &str, value: &Value) -> Value {
    json!({
        "object": "whatsapp_business_account",
        "entry": [{"id": "9001", "time": 1_748_800_000, "changes": [{"field": field, "value": value}]}],
    })
}

/// A value with messages, statuses and so on, and the contact of the person.
fn value(parts: Value) -> Value {
    let mut value = json!({
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "1 202-555-0140", "phone_number_id": "77"},
        "contacts": [{"profile": {"name": "Ana"}, "wa_id": PHONE, "user_id": ID}],
    });
    let Value::Object(parts) = parts else { unreachable!("an object") };
    value.as_object_mut().unwrap().extend(parts);
    value
}

fn of_messages(messages: Value) -> Value {
    envelope("messages", &value(json!({"messages": messages})))
}

fn message(id: usize, kind: &str, content: Value) -> Value {
    json!({
        "from": PHONE, "id": format!("m{id:02}"), "timestamp": (1_748_772_000 + id).to_string(),
        "type": kind, kind: content,
    })
}

fn status(id: usize, word: &str, seconds: usize) -> Value {
    json!({
        "id": format!("s{id:02}"), "status": word, "recipient_id": PHONE,
        "timestamp": (1_748_772_000 + seconds).to_string(),
    })
}

fn lines(values: impl IntoIterator<Item = Value>) -> String {
    values.into_iter().map(|value| value.to_string() + "\n").collect()
}

/// The rows read, new and rejected by table.
fn by_table(report: &LoadReport) -> Vec<String> {
    let files = report.files.iter();
    files
        .map(|f| format!("{} {} {} {}", f.table, f.rows_read, f.rows_new, f.rows_rejected))
        .collect()
}

/// Rows of all tables.
fn all_rows(bench: &Bench) -> Vec<Vec<String>> {
    TABLES.iter().map(|table| bench.rows(table)).collect()
}

#[test]
fn every_wrapping_gives_the_same_rows() {
    let entry = |id: usize| {
        let text = message(id, "text", json!({"body": "Hola"}));
        json!({"id": "9001", "time": 1_748_800_000, "changes": [
            {"field": "messages", "value": value(json!({"messages": [text], "statuses": [status(id, "sent", id)]}))},
            {"field": "account_update", "value": {"event": format!("E{id}")}},
        ]})
    };
    let whole = |id: usize| json!({"object": "whatsapp_business_account", "entry": [entry(id)]});
    let expected = Bench::new();
    expected.load("whole.jsonl", lines([whole(1), whole(2)]));
    assert_eq!(expected.rows(&event_rows::TABLE).len(), 2);
    assert_eq!(expected.rows(&message_rows::TABLE).len(), 4);
    let both = [whole(1), whole(2)];
    let pretty = both.each_ref().map(|value| serde_json::to_string_pretty(value).unwrap());
    let forms: [(&str, Vec<u8>); 11] = [
        (
            "one.json",
            json!({"object": "whatsapp_business_account", "entry": [entry(1), entry(2)]})
                .to_string()
                .into(),
        ),
        ("array.json", json!(both).to_string().into()),
        ("pretty.json", serde_json::to_string_pretty(&json!(both)).unwrap().into()),
        ("sequence.json", pretty.concat().into()),
        ("joined.json", format!("{}{}", both[0], both[1]).into()),
        ("entries.jsonl", lines([entry(1), entry(2)]).into()),
        ("data.json", json!({"data": both}).to_string().into()),
        (
            "n8n.json",
            json!([{"headers": {}, "body": both[0]}, {"headers": {}, "body": both[1]}])
                .to_string()
                .into(),
        ),
        (
            "text.jsonl",
            lines(both.each_ref().map(|body| json!({"payload": body.to_string()}))).into(),
        ),
        (
            "deep.json",
            json!({"result": {"data": [{"json": both[0]}, {"json": both[1]}]}}).to_string().into(),
        ),
        ("packed.jsonl.gz", gz(lines(both.clone()).as_bytes())),
    ];
    for (name, bytes) in forms {
        let bench = Bench::new();
        let report = bench.load(name, bytes);
        assert_eq!(report.total(|file| file.rows_left_out), 0, "{name}");
        assert_eq!(all_rows(&bench), all_rows(&expected), "{name}");
    }
    // Without an entry there is no account, and no time of other events.
    let changes = |id: usize| entry(id)["changes"].as_array().unwrap().clone();
    let values = [1, 2].map(|id| changes(id)[0]["value"].clone());
    let bare = [lines([1, 2].into_iter().flat_map(changes)), lines(values)];
    for (left_out, text) in [2, 0].into_iter().zip(bare) {
        let bench = Bench::new();
        let report = bench.load("bare.jsonl", text);
        assert_eq!(report.total(|file| file.rows_left_out), left_out);
        let names = [
            message_rows::WHATSAPP_ID,
            message_rows::WABA_ID,
            message_rows::MESSAGE,
            message_rows::CREATED_AT,
        ];
        let of = |bench: &Bench| bench.columns(&message_rows::TABLE, &names, "|");
        let without = of(&expected).into_iter().map(|row| row.replace("9001", ""));
        assert_eq!(of(&bench), without.collect::<Vec<_>>());
    }
}

#[test]
fn a_broken_event_costs_itself_alone() {
    let good = of_messages(json!([message(1, "text", json!({"body": "Hola"}))])).to_string();
    let mut late = message(2, "text", json!({"body": "secret"}));
    late["timestamp"] = json!("late");
    let mut nameless = message(3, "text", json!({"body": "secret"}));
    nameless.as_object_mut().unwrap().remove("id");
    let bad = of_messages(json!([late, 5, nameless, message(4, "text", json!({"body": "Hola"}))]));
    let entries = json!({"object": "whatsapp_business_account", "entry": ["secret", {"id": "1", "changes": [7]}]});
    let text = format!(
        "{good}\n{bad}\n{{\"object\": \"whats\n{entries}\n{}\n",
        good.replace("m01", "m05")
    );
    let bench = Bench::new();
    let report = bench.load("webhooks.jsonl", text);
    assert_eq!(by_table(&report), ["messages 9 3 6", "identities 3 1 0"]);
    let rejects = bench.rejects();
    assert_eq!(rejects.len(), 6);
    assert!(
        rejects.iter().all(|reject| !reject.contains("secret") && !reject.contains(PHONE)),
        "{rejects:?}"
    );
    let reasons = rejects.iter().map(|reject| reject.split_once('@').unwrap().1.to_owned());
    assert_eq!(
        reasons.collect::<Vec<_>>(),
        [
            "2 created_at: not a date and time such as 2025-12-31 10:00:00 or unix seconds",
            "2 -: an element of `messages` is not an object",
            "2 whatsapp_id: a required value is missing",
            "3 -: not valid JSON: it ends within a string, character 17",
            "4 -: an element of `entry` is not an object",
            "4 -: an element of `changes` is not an object",
        ]
    );
    let text = report.text();
    assert!(!text.contains("secret") && !text.contains(PHONE), "{text}");
    // Corrected, the rejects load as rows of their table.
    let exported = bench.exported_rejects();
    let corrected =
        exported.lines().filter(|line| line.contains("late") || line.contains("created_at"));
    let corrected = corrected.collect::<Vec<_>>().join("\n").replace("late", "1748772002");
    let report = bench.load("corrected.csv", &corrected);
    assert_eq!(report.files[0].table, "messages");
    assert_eq!(report.total(|file| file.rows_new), 1);
    assert_eq!(bench.open_rejects().height(), 5);
}

#[test]
fn lines_of_rejects_are_those_of_their_objects() {
    let mut nameless = message(2, "text", json!({"body": "x"}));
    nameless.as_object_mut().unwrap().remove("id");
    let value = of_messages(json!([message(1, "text", json!({"body": "x"})), nameless]));
    let text = serde_json::to_string_pretty(&value).unwrap();
    let line =
        1 + text.lines().collect::<Vec<_>>().iter().rposition(|line| line.trim() == "{").unwrap();
    let bench = Bench::new();
    bench.load("pretty.json", &text);
    let rejects = bench.rejects();
    assert!(rejects[0].contains(&format!("@{line} whatsapp_id")), "{rejects:?}, {line}");
}

#[test]
fn files_without_any_webhook_are_refused() {
    let bench = Bench::new();
    let webhooks = Options { is_webhooks: true, ..Options::default() };
    let of = |name: &str, text: &str| {
        let error = load(&bench.lake(), &[bench.file(name, text)], &webhooks).unwrap_err();
        error.lines()
    };
    let error = of("other.json", "{\"a\": 1}\n{\"a\": 2}\n");
    assert!(
        error.starts_with(
            "error: `other.json` has no webhook of Meta or Treble: nothing was loaded"
        ),
        "{error}"
    );
    let error = of("a.csv", "id,a\n1,2\n");
    assert!(error.starts_with("error: `a.csv` has no webhooks: it is not JSON"), "{error}");
    let error = of("broken.jsonl", "{\"object\": \"whats\n{\"entry\"\n");
    assert!(
        error.starts_with("error: none of the 2 records of `broken.jsonl` is valid"),
        "{error}"
    );
    let renames = vec![("a".to_owned(), "message".to_owned())];
    let renaming = Options { renames, ..webhooks.clone() };
    let file = bench.file("w.json", of_messages(json!([])).to_string());
    let error = load(&bench.lake(), std::slice::from_ref(&file), &renaming).unwrap_err();
    assert_eq!(error.exit_code(), 2);
    // Webhooks that are all of no table are no fault.
    let report = load(&bench.lake(), &[file], &webhooks).unwrap();
    assert_eq!(by_table(&report), ["identities 1 1 0"]);
    let other = envelope("account_alerts", &json!({"a": 1}));
    let report = bench.load("alerts.json", other.to_string());
    assert_eq!(by_table(&report), ["messages 1 0 0"]);
    assert_eq!(report.total(|file| file.rows_left_out), 1);
}

#[test]
fn a_file_of_several_tables_is_loaded_and_undone_as_one() {
    let bench = Bench::new();
    let text = lines([
        of_messages(json!([message(1, "text", json!({"body": "Hola"}))])),
        envelope("account_update", &json!({"event": "X"})),
    ]);
    let file = bench.file("webhooks.jsonl", &text);
    let dry = load(
        &bench.lake(),
        std::slice::from_ref(&file),
        &Options { dry_run: true, ..Options::default() },
    )
    .unwrap();
    assert_eq!(by_table(&dry), ["messages 1 1 0", "identities 1 1 0", "events 1 1 0"]);
    let empty = all_rows(&bench);
    let report = bench.load_files(std::slice::from_ref(&file)).unwrap();
    assert_eq!(by_table(&report), by_table(&dry));
    assert_eq!(report.bytes, text.len() as u64);
    let tables: Vec<&str> = report.tables.iter().map(|table| table.table).collect();
    assert_eq!(tables, ["messages", "identities", "events"]);
    let rows = all_rows(&bench);
    let again = bench.load_files(&[file.clone(), bench.file("copy.jsonl", &text)]).unwrap();
    assert_eq!(again.files.len(), 2);
    assert!(again.files.iter().all(|file| file.already_loaded), "{}", again.text());

    bench.stdout("undo --lake lake");
    assert_eq!(all_rows(&bench), empty);
    let report = bench.load_files(&[file]).unwrap();
    assert_eq!(report.total(|file| file.rows_new), 3);
    assert_eq!(all_rows(&bench), rows);
}

fn event(kind: u8, at: usize) -> Value {
    let id = at % 3;
    match kind {
        0 => of_messages(json!([message(at, "text", json!({"body": format!("t{at}")}))])),
        1..=4 => {
            let word = ["sent", "delivered", "read", "failed"][usize::from(kind) - 1];
            envelope("messages", &value(json!({"statuses": [status(id, word, at)]})))
        }
        5 => envelope(
            "user_preferences",
            &value(json!({"user_preferences": [
                {"wa_id": PHONE, "value": if id == 0 { "stop" } else { "resume" }, "timestamp": 1_748_772_000 + at}
            ]})),
        ),
        6 => envelope("account_update", &json!({"event": format!("E{id}")})),
        7 => value(json!({"contacts": null, "user_id_update": [
            {"wa_id": PHONE, "user_id": {"previous": format!("CO.{id}"), "current": ID}, "timestamp": 1_748_772_000 + at}
        ]})),
        8 => json!({"event_type": "hsm.status", "event_id": format!("t{at}"), "status": "PAUSED",
                    "timestamp": 1_748_772_000 + at}),
        _ => json!({"event_type": "session.close", "event_id": format!("e{id}"),
                    "session": {"external_id": "s", "closed_at": "2025-06-01T10:00:00Z"}}),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]

    /// Any order and any split into files and loads gives the same tables.
    #[test]
    fn any_order_and_split_gives_the_same_rows(
        shuffled in prop::collection::vec((0_u8..10, 0_usize..12), 1..16)
            .prop_map(|kinds| kinds.into_iter().map(|(kind, at)| event(kind, at)).collect::<Vec<_>>())
            .prop_flat_map(|events| (Just(events.clone()), Just(events).prop_shuffle())),
        size in 1_usize..6,
        one_load in any::<bool>(),
    ) {
        let (events, shuffled) = shuffled;
        let of = |name: &str| Options { is_webhooks: true, quiet: name.len() > 1, ..Options::default() };
        let whole = Bench::new();
        load(&whole.lake(), &[whole.file("all.jsonl", lines(events.clone()))], &of("all")).unwrap();
        let parts = Bench::new();
        let files: Vec<_> = shuffled.chunks(size).enumerate().map(|(at, part)| {
            // Some are loaded twice.
            let repeated = part.iter().chain(&part[..at % 2]).cloned();
            parts.file(&format!("{at}.json"), json!(repeated.collect::<Vec<_>>()).to_string())
        }).collect();
        if one_load {
            load(&parts.lake(), &files, &of("parts")).unwrap();
        } else {
            for file in files {
                load(&parts.lake(), &[file], &of("part")).unwrap();
            }
        }
        prop_assert_eq!(all_rows(&whole), all_rows(&parts));
    }
}
