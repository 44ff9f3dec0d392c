//! JSON of collectors and dashboards: objects wrapped around events and Meta's responses; amounts.

use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};
use wabalake::load::{Options, load};
use wabalake_data::Table;
use wabalake_data::tables::{closures, meta_points, table};

use crate::support::{Bench, total};

/// An event that ends a session.
fn event(id: usize) -> Value {
    json!({
        "event_id": format!("e{id}"),
        "timestamp": "2025-06-01T10:05:00Z",
        "event_type": "session.close",
        "session": {"external_id": format!("a{id}"), "closed_at": "2025-06-01T10:05:00Z"},
        "user": {"country_code": "+57", "cellphone": "3005550101"},
        "hsm": {"name": "welcome"},
    })
}

fn event_row(id: usize) -> String {
    format!(
        "e{id}|session.close|a{id}|2025-06-01 10:05:00.000000Z|573005550101|CO|welcome|||2025-06-01"
    )
}

const COUNTRIES: [&str; 6] = ["CO", "MX", "PE", "BR", "AR", "CL"];

/// A response of Meta's API, with the field's name around its data or without.
fn answer(id: usize, is_named: bool) -> Value {
    let point = json!({
        "start": 1_748_736_000, "end": 1_748_822_400, "conversation": id, "cost": 0.25,
        "country": COUNTRIES[id],
    });
    let data = json!([{"data_points": [point]}]);
    if is_named {
        json!({"conversation_analytics": {"data": data}, "id": format!("900{id}")})
    } else {
        json!({"data": data, "paging": {"cursors": {}}})
    }
}

fn answer_row(id: usize, is_named: bool) -> String {
    let account = if is_named { format!("900{id}") } else { String::new() };
    let country = COUNTRIES[id];
    format!(
        "{account}|conversation_analytics|DAY|1748736000|1748822400|COUNTRY||||{country}||||||||||||\
         {id}||0.250000||||||||2025-06-01"
    )
}

#[test]
fn wrappers_of_n8n_and_dashboards_are_read() {
    let item = |id: usize| json!({"headers": {"host": "example.org"}, "params": {}, "query": {}, "body": event(id)});
    let bench = Bench::new();
    let report = bench.load("n8n_events.json", json!([item(1), item(2)]).to_string());
    assert_eq!(total(&report), [2, 2, 0, 0, 0, 0, 0]);
    assert_eq!(report.files[0].unknown_columns, ["headers.host"]);
    assert_eq!(bench.rows(&closures::TABLE), [event_row(1), event_row(2)]);

    let items = json!([{"json": answer(5, true), "pairedItem": {"item": 0}}]);
    let report = bench.load("n8n_meta.json", items.to_string());
    assert_eq!(total(&report), [1, 1, 0, 0, 0, 0, 0]);
    assert_eq!(report.files[0].unknown_columns, ["pairedItem"]);
    let dashboard = json!({"status": "success", "error": null, "data": answer(5, true)});
    let report = bench.load("dashboard_meta.json", dashboard.to_string());
    assert_eq!(total(&report), [1, 0, 0, 1, 0, 0, 0]);
    assert_eq!(bench.rows(&meta_points::TABLE), [answer_row(5, true)]);
}

#[test]
fn wrappers_differ_from_line_to_line() {
    let bench = Bench::new();
    let lines = [
        event(1),
        json!({"received_at": "2025-06-02T00:00:00Z", "body": event(2).to_string()}),
        json!({"data": [event(3), {"json": event(4)}, [event(5)]], "count": 3}),
        json!({"received_at": "2025-06-03T00:00:00Z", "payload": [event(6), event(7)]}),
        json!({"Result": {"results": {"body": event(8)}}, "id": "run-1"}),
        json!({"payload": {"data": {"json": {"body": event(9)}}}}),
    ];
    let lines = lines.map(|line| line.to_string()).join("\n");
    let report = bench.load("events.jsonl", lines);
    assert_eq!(total(&report), [9, 8, 0, 0, 1, 0, 0]);
    assert_eq!(bench.rejects(), ["9@6 closed_at: a required value is missing"]);
    let received = |row: String, at: &str| row.replace("|||2025", &format!("|{at}||2025"));
    let mut expected: Vec<String> = (1..=8).map(event_row).collect();
    expected[1] = received(event_row(2), "2025-06-02 00:00:00.000000Z");
    expected[5] = received(event_row(6), "2025-06-03 00:00:00.000000Z");
    expected[6] = received(event_row(7), "2025-06-03 00:00:00.000000Z");
    assert_eq!(bench.rows(&closures::TABLE), expected);
}

#[test]
fn records_in_a_list_have_their_own_number_and_line() {
    let bench = Bench::new();
    let late = event(2).to_string().replace("10:05:00Z", "late");
    let text = format!(
        "{{\"count\":3,\n \"data\":[\n  {},\n  {late},\n  5,\n  {}\n ]}}\n{late}\n",
        event(1),
        event(3)
    );
    let report = bench.load("events.json", text);
    assert_eq!(total(&report), [5, 2, 0, 0, 3, 0, 0]);
    assert_eq!(
        bench.rejects(),
        [
            "2@4 closed_at: not a date and time such as 2025-12-31 10:00:00 or unix seconds",
            "3@1 closed_at: a required value is missing",
            "5@8 closed_at: not a date and time such as 2025-12-31 10:00:00 or unix seconds",
        ]
    );
}

#[test]
fn fields_of_an_event_are_no_wrapper() {
    let bench = Bench::new();
    // Fields named like wrappers, whose content has no known field or has one by chance.
    let mut with = event(1);
    with["data"] = json!({"mood": "good"});
    with["results"] = json!([{"phone": "12025550123"}, {"phone": "12025550124"}]);
    with["body"] = json!("{curly}");
    let mut parts = event(2);
    let session = parts.as_object_mut().unwrap().remove("session").unwrap();
    parts["payload"] = json!({"session": session});
    let report = bench.load("events.jsonl", format!("{with}\n{parts}\n"));
    assert_eq!(total(&report), [2, 2, 0, 0, 0, 0, 0]);
    assert_eq!(bench.rows(&closures::TABLE), [event_row(1), event_row(2)]);
    let mut unknown = report.files[0].unknown_columns.clone();
    unknown.sort();
    assert_eq!(unknown, ["body", "data.mood"]);
}

#[test]
fn empty_or_failed_response_in_a_wrapper_is_reported() {
    let bench = Bench::new();
    for empty in [
        json!({"data": []}),
        json!({"data": [], "paging": {}}),
        json!([{"json": {"data": []}}]),
        json!({"body": "{\"data\":[]}"}),
        json!({"payload": {"analytics": {"data_points": []}, "id": "1"}}),
    ] {
        let report = bench.load("empty.json", empty.to_string());
        assert_eq!((report.files[0].table, total(&report)), ("meta_points", [0; 7]), "{empty}");
        assert!(report.text().contains("\n  no rows\n"), "{}", report.text());
    }
    let error = json!({"error": {"message": "(#100) Invalid parameter", "code": 100}});
    for text in [json!([{"json": error}]), json!({"result": error.to_string()})] {
        let said = bench.try_load("meta.json", text.to_string()).unwrap_err();
        let words = "`meta.json` is an error of Meta's API: (#100) Invalid parameter";
        assert_eq!(said.to_string(), words);
    }
}

#[test]
fn response_keeps_its_own_account_id() {
    let bench = Bench::new();
    let named = json!({"id": "run-7", "data": answer(1, true)});
    let bare = json!({"id": "run-8", "json": answer(2, false)});
    let text =
        format!("{named}\n{bare}\n{}", json!({"data": answer(3, false)["data"], "id": "77"}));
    bench.load("meta.jsonl", text);
    let expected =
        [format!("77{}", answer_row(3, false)), answer_row(1, true), answer_row(2, false)];
    assert_eq!(bench.rows(&meta_points::TABLE), expected);
}

#[test]
fn four_levels_of_wrappers_are_not_read() {
    let bench = Bench::new();
    let four = |inner: Value| json!({"json": {"data": {"payload": {"result": inner}}}});
    let error = bench.try_load("events.json", four(event(1)).to_string()).unwrap_err();
    assert!(error.to_string().starts_with("`events.json` is not a recognised export"), "{error}");
    let of = |kind: &str| Options { kind: table(kind), ..Options::default() };
    let file = bench.file("events.json", four(event(1)).to_string());
    let error = load(&bench.lake(), &[file], &of("closures")).unwrap_err();
    assert_eq!(
        error.lines().lines().next().unwrap(),
        "error: `events.json` has no object with fields of closures: nothing was loaded"
    );
    assert_eq!(bench.rejects(), ["1@1 closed_at: a required value is missing"]);
    for (name, answer) in [("named.json", answer(1, true)), ("bare.json", answer(1, false))] {
        let error = bench.try_load(name, four(answer).to_string()).unwrap_err();
        let said = format!("`{name}` has no response of Meta's API");
        assert_eq!((error.to_string(), error.exit_code()), (said, 1));
        let hint = error.lines();
        assert!(
            hint.contains("at most 3 nested keys of data, json, body, payload, result, results"),
            "{hint}"
        );
    }
    for table in [&closures::TABLE, &meta_points::TABLE] {
        assert_eq!(bench.lake().snapshot(table).unwrap().version, None);
    }
}

const COSTS: &str = r#"{"pricing_analytics":{"data":[{"data_points":[
{"start":1748736000,"end":1748822400,"volume":2,"cost":0.020000000000000004,"country":"CO"},
{"start":1748736000,"end":1748822400,"volume":1,"cost":1e-05,"country":"PE"},
{"start":1748736000,"end":1748822400,"volume":3,"cost":"0.0375","country":"MX"},
{"start":1748736000,"end":1748822400,"volume":900,"cost":1234.5678912345,"country":"BR"},
{"start":1748736000,"end":1748822400,"volume":5,"cost":0.0000025,"country":"AR"},
{"start":1748736000,"end":1748822400,"volume":6,"cost":2.50000000000000000000001e-6,"country":"CL"},
{"start":1748736000,"end":1748822400,"volume":7,"cost":123456789012.3456785,"country":"ID"}
]}]},"id":"9001"}"#;

/// For each point: its country or template, then its measures.
fn measures(bench: &Bench) -> Vec<String> {
    let rows = bench.rows(&meta_points::TABLE);
    let short = |row: &String| {
        let cells: Vec<&str> = row.split('|').collect();
        let at = |name: &str| cells[meta_points::TABLE.position(name).unwrap()];
        let who = [meta_points::COUNTRY, meta_points::TEMPLATE_ID].map(at).join("");
        // Those of messages, conversations and costs.
        let measures: Vec<_> = meta_points::MEASURES[..7].iter().map(|name| at(name)).collect();
        format!("{who}: {}", measures.join("|"))
    };
    let mut rows: Vec<String> = rows.iter().map(short).collect();
    rows.sort();
    rows
}

#[test]
fn amounts_are_rounded_half_to_even() {
    let expected = [
        "AR: |||||5|0.000002",
        "BR: |||||900|1234.567891",
        "CL: |||||6|0.000003",
        "CO: |||||2|0.020000",
        "ID: |||||7|123456789012.345678",
        "MX: |||||3|0.037500",
        "PE: |||||1|0.000010",
    ];
    for text in [COSTS.to_owned(), json!({"body": COSTS}).to_string()] {
        let bench = Bench::new();
        let report = bench.load("pricing.json", text);
        assert_eq!(total(&report), [7, 7, 0, 0, 0, 0, 0]);
        assert!(report.files[0].measures_at_fault.is_empty());
        assert_eq!(measures(&bench), expected);
    }
    let bench = Bench::new();
    let thirds = json!({"template_analytics": {"data": [{"data_points": [
        {"template_id": "1001", "start": 1_748_736_000, "end": 1_748_822_400, "sent": 13,
         "delivered": 13, "read": 5, "clicked": [{"type": "url_button", "count": 2}],
         "cost": [{"type": "amount_spent", "value": 0.333_333_333_33},
                  {"type": "cost_per_delivered", "value": 0.007_692_307_692_307_692}]},
        {"template_id": "1002", "start": 1_748_736_000, "end": 1_748_822_400, "sent": 0,
         "delivered": 0, "read": 0, "cost": [{"type": "amount_spent"}]},
    ]}]}, "id": "9001"});
    bench.load("templates.json", thirds.to_string());
    assert_eq!(measures(&bench), ["1001: 13|13|5|2|||0.333333", "1002: 0|0|0||||"]);
}

#[test]
fn invalid_measure_is_null_and_counted() {
    let bench = Bench::new();
    let text = r#"{"pricing_analytics":{"data":[{"data_points":[
{"start":1748736000,"end":1748822400,"volume":2,"cost":1e400,"country":"CO"},
{"start":1748736000,"end":1748822400,"volume":2.5,"cost":"1.000001","country":"PE"},
{"start":1748736000,"end":1748822400,"volume":4,"cost":"much","country":"MX"},
{"start":1748736000,"end":1748822400,"volume":1e3,"cost":-Infinity,"country":"BR"},
{"start":1748736000,"end":1748822400,"volume":6.0,"cost":NaN,"country":"AR"},
{"start":1748736000,"end":1748822400,"volume":null,"cost":"","country":"CL"},
{"start":"soon","end":1748822400,"volume":8,"cost":1,"country":"ID"}
]}]},"id":"9001"}"#;
    let report = bench.load("pricing.json", text);
    assert_eq!(total(&report), [7, 6, 0, 0, 1, 0, 0]);
    assert_eq!(
        measures(&bench),
        [
            "AR: |||||6|",
            "BR: |||||1000|",
            "CL: ||||||",
            "CO: |||||2|",
            "MX: |||||4|",
            "PE: ||||||1.000001",
        ]
    );
    assert_eq!(
        bench.rejects(),
        ["7@8 start: not a number of seconds since 1970 such as 1748772000"]
    );
    let at_fault: Vec<_> = report.files[0].measures_at_fault.iter().collect();
    assert_eq!(at_fault, [(&"cost", &3), (&"volume", &1)]);
    let output = report.text();
    assert!(output.contains("  `cost`: 3 invalid values left empty\n"), "{output}");
    assert!(output.contains("  `volume`: 1 invalid value left empty\n"), "{output}");
    let file = &serde_json::to_value(&report).unwrap()["files"][0];
    assert_eq!(file["measures_at_fault"], json!({"cost": 3, "volume": 1}));
}

#[test]
fn amount_is_rounded_only_where_it_is_a_number() {
    let bench = Bench::new();
    let text = "{\"conversion_id\":\"c1\",\"event\":\"purchase\",\"converted_at\":\"2025-06-01T10:00:00Z\",\
                \"session_id\":\"s1\",\"value\":33.333333333333336,\"currency\":\"USD\"}\n\
                {\"conversion_id\":\"c2\",\"event\":\"purchase\",\"converted_at\":\"2025-06-01T10:00:00Z\",\
                \"session_id\":\"s1\",\"value\":\"33.3333333\",\"currency\":\"USD\"}\n";
    assert_eq!(total(&bench.load("conversions.jsonl", text)), [2, 1, 0, 0, 1, 0, 0]);
    assert_eq!(
        bench.rows(table("conversions").unwrap()),
        ["c1|purchase|2025-06-01 10:00:00.000000Z|s1||33.333333|USD||2025-06-01"]
    );
}

const WRAPPERS: [&str; 6] = ["data", "json", "body", "payload", "result", "results"];

/// A wrapper: its key, and the form of the wrapped value.
#[derive(Clone, Debug)]
struct Layer {
    key: &'static str,
    form: u8,
    /// Fields before and after the wrapped value.
    beside: [Vec<&'static str>; 2],
}

impl Layer {
    fn around(&self, inner: Value) -> Value {
        let inner = match self.form {
            0 => inner,
            1 => json!([inner]),
            2 => Value::String(inner.to_string()),
            3 => Value::String(format!(" {:#}", json!([inner]))),
            _ => json!([null, [inner], []]),
        };
        let mut object = Map::new();
        let [before, after] = &self.beside;
        for key in before {
            object.insert((*key).to_owned(), json!({"note": [1, null]}));
        }
        object.insert(self.key.to_owned(), inner);
        for key in after {
            object.insert((*key).to_owned(), json!("text"));
        }
        Value::Object(object)
    }
}

fn layer() -> impl Strategy<Value = Layer> {
    let beside =
        || prop::collection::vec(select(vec!["pairedItem", "headers", "query", "count"]), 0..3);
    (select(WRAPPERS.to_vec()), 0..5_u8, [beside(), beside()])
        .prop_map(|(key, form, beside)| Layer { key, form, beside })
}

/// Wrapped values as JSON Lines, as an array, or formatted.
fn text_of(values: &[(Value, Vec<Layer>)], form: u8) -> String {
    let whole = values.iter().map(|(value, layers)| {
        layers.iter().fold(value.clone(), |inner, layer| layer.around(inner))
    });
    let whole: Vec<Value> = whole.collect();
    match form {
        0 => whole.iter().map(Value::to_string).collect::<Vec<_>>().join("\n"),
        1 => json!(whole).to_string(),
        _ => format!("{:#}", json!(whole)),
    }
}

fn check(
    table: &'static Table,
    text: &str,
    mut expected: Vec<String>,
) -> Result<(), TestCaseError> {
    let bench = Bench::new();
    let report = bench.try_load("a.json", text).map_err(|e| TestCaseError::fail(e.lines()))?;
    expected.sort();
    prop_assert_eq!(bench.rows(table), expected, "{}\n{}", text, report.text());
    prop_assert_eq!(bench.rejects(), [""; 0]);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn wrappers_change_no_event(
        layers in prop::collection::vec(prop::collection::vec(layer(), 0..=3), 1..4),
        form in 0..3_u8,
    ) {
        let expected = (0..layers.len()).map(event_row).collect();
        let values: Vec<_> =
            layers.into_iter().enumerate().map(|(id, layers)| (event(id), layers)).collect();
        check(&closures::TABLE, &text_of(&values, form), expected)?;
    }

    #[test]
    fn wrappers_change_no_response(
        layers in prop::collection::vec((prop::collection::vec(layer(), 0..=3), any::<bool>()), 1..4),
        form in 0..3_u8,
    ) {
        let named = layers.iter().map(|(_, is_named)| *is_named);
        let expected = named.enumerate().map(|(id, is_named)| answer_row(id, is_named)).collect();
        let values: Vec<_> = layers
            .into_iter()
            .enumerate()
            .map(|(id, (layers, is_named))| (answer(id, is_named), layers))
            .collect();
        check(&meta_points::TABLE, &text_of(&values, form), expected)?;
    }

    #[test]
    fn nothing_is_read_within_four_wrappers(layers in prop::collection::vec(layer(), 4), is_event in any::<bool>()) {
        let value = if is_event { event(1) } else { answer(1, true) };
        let bench = Bench::new();
        let loaded = bench.try_load("a.json", text_of(&[(value, layers)], 0));
        prop_assert_eq!(loaded.unwrap_err().exit_code(), 1);
        prop_assert_eq!(bench.rejects(), [""; 0]);
    }
}
