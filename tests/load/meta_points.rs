//! Points of Meta's API: keys, clicks, and points that no query reads.

use serde_json::{Value, json};
use wabalake::lake::{Change, Operation, Snapshot, Staging};
use wabalake_data::Table;
use wabalake_data::tables::{UTC_DAY, meta_points};

use crate::support::{Bench, total};

/// A response with points of templates on 1 June 2025.
fn templates(points: &[Value]) -> String {
    let points: Vec<Value> = points
        .iter()
        .map(|point| {
            let mut point = point.clone();
            point["start"] = json!(1_748_736_000);
            point["end"] = json!(1_748_822_400);
            point
        })
        .collect();
    json!({"template_analytics": {"data": [{"data_points": points}]}, "id": "9001"}).to_string()
}

/// The table as version 0.1.0 described it: without the columns of products, clicks and calls.
fn before_products() -> &'static Table {
    let known = meta_points::TABLE.position(meta_points::PRODUCT_TYPE).unwrap();
    let key = meta_points::TABLE.key.iter().position(|name| *name == meta_points::PRODUCT_TYPE);
    Box::leak(Box::new(Table {
        columns: &meta_points::TABLE.columns[..known],
        key: &meta_points::TABLE.key[..key.unwrap()],
        ..meta_points::TABLE
    }))
}

impl Bench {
    /// Writes the points of another lake as version 0.1.0 stored them.
    fn write_points_before_products(&self, of: &Self) {
        let old = before_products();
        let lake = of.lake();
        let rows = lake.snapshot(&meta_points::TABLE).unwrap();
        let write = |_: &Snapshot, staging: &Staging| {
            let mut add = Vec::new();
            for file in &rows.files {
                let rows = rows.scan_files(&[file]).unwrap().collect().unwrap();
                let kept = rows.select(old.columns.iter().map(|column| column.name)).unwrap();
                assert!(kept.column(UTC_DAY).is_err());
                add.push(staging.write(file.day, kept).unwrap());
            }
            Ok(Some(Change { add, ..Change::new(Operation::Load) }))
        };
        assert!(self.lake().transact(old, write).unwrap().is_committed);
    }
}

/// Product, measures of templates, and buttons of each point.
const OF_TEMPLATES: [&str; 7] = [
    meta_points::TEMPLATE_ID,
    meta_points::PRODUCT_TYPE,
    meta_points::SENT,
    meta_points::DELIVERED,
    meta_points::CLICKED,
    meta_points::UNIQUE_CLICKED,
    meta_points::BUTTONS,
];

#[test]
fn products_of_a_template_are_points_of_their_own() {
    let bench = Bench::new();
    let clicks = json!([
        {"type": "url_button", "button_content": "Comprar", "count": 5},
        {"type": "unique_url_button", "button_content": "Comprar", "count": 4},
    ]);
    let response = templates(&[
        json!({"template_id": "7", "product_type": "CLOUD_API", "sent": 10, "delivered": 9,
               "clicked": clicks}),
        json!({"template_id": "7", "product_type": "marketing_messages_lite_api", "sent": 20,
               "delivered": 19, "clicked": []}),
    ]);
    assert_eq!(total(&bench.load("templates.json", &response)), [2, 2, 0, 0, 0, 0, 0]);
    let expected = [
        r#"7|CLOUD_API|10|9|5|4|[{"button":"Comprar","count":4,"type":"unique_url_button"},{"button":"Comprar","count":5,"type":"url_button"}]"#,
        "7|MARKETING_MESSAGES_API_FOR_WHATSAPP|20|19|||",
    ];
    assert_eq!(bench.columns(&meta_points::TABLE, &OF_TEMPLATES, "|"), expected);
    let again = format!("{response}\n");
    assert_eq!(total(&bench.load("again.json", again)), [2, 0, 0, 2, 0, 0, 0]);
}

#[test]
fn more_clicks_of_equally_many_messages_are_the_newer_state() {
    let bench = Bench::new();
    let response = |count: i64| {
        let clicks = json!([{"type": "quick_reply_button", "count": count}]);
        templates(&[json!({"template_id": "7", "sent": 3, "delivered": 3, "clicked": clicks})])
    };
    bench.load("later.json", response(9));
    assert_eq!(total(&bench.load("earlier.json", response(10))), [1, 0, 1, 0, 0, 0, 0]);
    assert_eq!(total(&bench.load("between.json", response(2))), [1, 0, 0, 1, 0, 0, 0]);
    let clicked = bench.columns(&meta_points::TABLE, &[meta_points::CLICKED], "");
    assert_eq!(clicked, ["10"]);
}

#[test]
fn points_of_an_older_lake_are_found_by_the_longer_key() {
    let whole = json!({"template_id": "7", "sent": 10, "delivered": 9, "clicked": [
        {"type": "quick_reply_button", "button_content": "Sí", "count": 2},
    ]});
    let [other, bench] = [Bench::new(), Bench::new()];
    other.load("templates.json", templates(std::slice::from_ref(&whole)));
    bench.write_points_before_products(&other);
    let points = || bench.columns(&meta_points::TABLE, &OF_TEMPLATES, "|");
    assert_eq!(points(), ["7||10|9|2||"]);

    // The same response again: the row stays, and gains what the older version did not store.
    let again = bench.load("again.json", templates(std::slice::from_ref(&whole)));
    assert_eq!(total(&again), [1, 0, 1, 0, 0, 0, 0]);
    let buttons = r#"[{"button":"Sí","count":2,"type":"quick_reply_button"}]"#;
    assert_eq!(points(), [format!("7||10|9|2||{buttons}")]);

    // A later state of it, and one of a product: a point of its own.
    let mut product = whole.clone();
    product["product_type"] = json!("CLOUD_API");
    let mut later = whole;
    later["sent"] = json!(11);
    let report = bench.load("later.json", templates(&[product, later]));
    assert_eq!(total(&report), [2, 1, 1, 0, 0, 0, 0]);
    let expected = [format!("7|CLOUD_API|10|9|2||{buttons}"), format!("7||11|9|2||{buttons}")];
    assert_eq!(points(), expected);
}

#[test]
fn calls_and_template_groups_are_stored() {
    let bench = Bench::new();
    let calls = json!({"call_analytics": {"data": [{"granularity": "DAILY", "data_points": [
        {"start": 1_748_736_000, "end": 1_748_822_400, "count": 3, "cost": 0.5,
         "average_duration": 61.25, "direction": "USER_INITIATED", "country": "CO"},
        {"start": 1_748_736_000, "end": 1_748_822_400, "count": 1, "cost": 0.1,
         "average_duration": "some", "direction": "BUSINESS_INITIATED", "country": "CO"},
    ]}]}, "id": "9001"});
    let report = bench.load("calls.json", calls.to_string());
    assert_eq!(total(&report), [2, 2, 0, 0, 0, 0, 0]);
    assert!(report.files[0].unknown_columns.is_empty());
    let at_fault: Vec<_> = report.files[0].measures_at_fault.iter().collect();
    assert_eq!(at_fault, [(&"average_duration", &1)]);
    let groups = json!({"template_group_analytics": {"data": [{"granularity": "DAILY",
        "data_points": [{"template_group_id": "77", "start": 1_748_736_000, "end": 1_748_822_400,
            "sent": 4, "delivered": 3, "read": 2, "clicked": [{"type": "url_button", "count": 1}],
            "cost": [{"type": "amount_spent", "value": 0.25}]}]}]}, "id": "9001"});
    assert_eq!(total(&bench.load("groups.json", groups.to_string())), [1, 1, 0, 0, 0, 0, 0]);
    let columns = [
        meta_points::FIELD,
        meta_points::GRANULARITY,
        meta_points::DIMENSIONS,
        meta_points::TEMPLATE_GROUP_ID,
        meta_points::DIRECTION,
        meta_points::SENT,
        meta_points::CLICKED,
        meta_points::COST,
        meta_points::COUNT,
        meta_points::AVERAGE_DURATION,
    ];
    assert_eq!(
        bench.columns(&meta_points::TABLE, &columns, "|"),
        [
            "call_analytics|DAY|COUNTRY,DIRECTION||BUSINESS_INITIATED|||0.100000|1|",
            "call_analytics|DAY|COUNTRY,DIRECTION||USER_INITIATED|||0.500000|3|61.25",
            "template_group_analytics|DAY||77||4|1|0.250000||",
        ]
    );
}
