//! Export types beyond sessions, deployments and messages: rows computed by hand.

use wabalake::load::{Options, load};
use wabalake_data::tables::{
    UTC_DAY, ad_spend, audience_tags, closures, conversions, message_summaries, meta_points, rates,
    session_summaries, variables,
};

use crate::support::{Bench, total};

#[test]
fn kaleyra_message_summaries_old_and_new() {
    let bench = Bench::new();
    let old = "DATE,WABA ID,WA PHONE NUMBER,DISPLAY NAME,COUNTRY,MESSAGE TYPE,CREATED,FAILED,SENT,DELIVERED,READ,RECEIVED\n\
               \"Nov 25, 2022\",500000000000006,+60 0000-0003,Lucero (Tienda),United States of America,Outgoing session message,\"1,002\",0,1002,2,2,-\n\
               \"Nov 25, 2022\",500000000000006,6000000003,-,Atlantis,Incoming session message,-,-,-,-,-,7\n\
               soon,500000000000006,6000000003,-,India,Template,1,0,1,1,1,-\n\
               \"Nov 26, 2022\",500000000000006,6000000003,-,India,-,1,0,1,1,1,-\n";
    let report = bench.load("old.csv", old);
    assert_eq!(total(&report), [4, 2, 0, 0, 2, 0, 0]);
    assert_eq!(report.files[0].table, "message_summaries");
    assert_eq!(
        bench.rejects(),
        [
            "3@4 date: not a date such as 2025-12-31",
            "4@5 message_type: a required value is missing"
        ]
    );
    let new = "DATE,WABA ID,WA PHONE NUMBER,DISPLAY NAME,CAMPAIGN NAME,COUNTRY,MESSAGE TYPE,CREATED,FAILED,SENT,DELIVERED,READ,RECEIVED\n\
               \"Nov 25, 2022\",500000000000006,6000000003,Lucero (Tienda),-,US,Outgoing conversation message,1003,1,1002,2,2,-\n\
               \"Nov 25, 2022\",500000000000006,6000000003,Lucero (Tienda), spring ,US,Template message,5,0,5,5,4,-\n";
    let report = bench.load("new.csv", new);
    assert_eq!(total(&report), [2, 1, 1, 0, 0, 0, 0]);
    assert_eq!(
        bench.rows(&message_summaries::TABLE),
        [
            "2022-11-25|500000000000006|6000000003|Lucero (Tienda)| spring |US|template|5|0|5|5|4||2022-11-25",
            "2022-11-25|500000000000006|6000000003|Lucero (Tienda)||US|outgoing|1003|1|1002|2|2||2022-11-25",
            "2022-11-25|500000000000006|6000000003|||Atlantis|incoming||||||7|2022-11-25",
        ]
    );
}

#[test]
fn kaleyra_session_summaries_old_and_new() {
    let bench = Bench::new();
    let old = "DATE,WABA ID,WA PHONE NUMBER,DISPLAY NAME,COUNTRY,SESSION TYPE,FREE TIER,NUMBER OF SESSIONS,AMOUNT ($)\n\
               \"Nov 25, 2022\",600000000000005,3000000006,Lucero,India,User-initiated,Yes,1,0\n\
               \"Nov 25, 2022\",600000000000005,3000000006,Lucero,India,Referral,No,2,0.5\n\
               \"Nov 25, 2022\",600000000000005,3000000006,Lucero,India,User-initiated,perhaps,1,0\n\
               \"Nov 25, 2022\",600000000000005,3000000006,Lucero,India,User-initiated,No,3,0.1234567\n";
    assert_eq!(total(&bench.load("old.csv", old)), [4, 2, 0, 0, 2, 0, 0]);
    let new = "DATE,WABA ID,WA PHONE,DISPLAY NAME,CAMPAIGN NAME,DESTINATION,CONVERSATION CATEGORY,FREE TIER,NUMBER OF SESSIONS,AMOUNT\n\
               \"Jun 01, 2023\",600000000000005,3000000006,Lucero,-,India,marketing,No,4,\"1,234.5\"\n";
    assert_eq!(total(&bench.load("new.csv", new)), [1, 1, 0, 0, 0, 0, 0]);
    assert_eq!(
        bench.rows(&session_summaries::TABLE),
        [
            "2022-11-25|600000000000005|3000000006|Lucero||IN|referral|false|2|0.500000|USD|2022-11-25",
            "2022-11-25|600000000000005|3000000006|Lucero||IN|user_initiated|true|1|0.000000|USD|2022-11-25",
            "2023-06-01|600000000000005|3000000006|Lucero||IN|marketing|false|4|1234.500000|USD|2023-06-01",
        ]
    );
    assert_eq!(
        bench.rejects(),
        [
            "3@4 free_tier: neither yes nor no: write true or false",
            "4@5 amount: not an amount of money with at most 6 decimals such as 1,234.50"
        ]
    );
}

const CLOSE: &str = r#"{"event_id":"e1","timestamp":"2026-05-04T23:03:09.195065Z","event_type":"session.close","session":{"external_id":"s1","closed_at":"2026-05-04T23:03:08Z"},"user":{"country_code":"+52","cellphone":"1 555 000 0001"},"hsm":{"name":"welcome"}}"#;

#[test]
fn closures_as_json_lines() {
    let bench = Bench::new();
    let lines = [
        CLOSE,
        r#"{"event_id":"e2","timestamp":"2026-05-04T23:"#,
        r#"{"event_id":null,"session_id":"s3","closed_at":"2026-05-05 00:00:00","country_code":"57","cellphone":"3000000001","extra":{"a":1,"b":[{"c":2}]},"list":[1]}"#,
        r#"{"event_id":"e4","event_type":"deployment.failure","failed_at":"2026-05-05T00:00:00Z"}"#,
        r#"{"event_id":"e5","event_type":"session.close","session":{"external_id":"s5"}}"#,
        r#"{"event_id":"e6","event_type":"session.close","timestamp":"2026-05-05T01:00:00Z","session":{"external_id":"s6"},"received_at":"2026-05-05T01:00:02Z"}"#,
        r#"{"event_id":"e7","session":{"external_id":"s7","closed_at":"yesterday"}}"#,
        r#"{"received_at":"2026-05-06T00:00:00Z","body":{"event_id":"e8","session":{"external_id":"s8","closed_at":"2026-05-06T00:00:00Z"}}}"#,
    ];
    // Named, since events of other types are those of webhooks.
    let of_closures = Options { kind: Some(&closures::TABLE), ..Options::default() };
    let file = bench.file("events.jsonl", lines.join("\n"));
    let report = bench.load_with(&[file], &of_closures).unwrap();
    assert_eq!(total(&report), [8, 4, 0, 0, 3, 1, 0]);
    let mut unknown = report.files[0].unknown_columns.clone();
    unknown.sort();
    assert_eq!(unknown, ["extra.a", "extra.b", "failed_at", "list"]);
    assert!(report.text().contains("left out: 1 event of another kind"), "{}", report.text());
    assert_eq!(
        bench.rejects(),
        [
            "2@2 -: not valid JSON: it ends within a string, character 44",
            "5@5 closed_at: a required value is missing",
            "7@7 closed_at: not a date and time such as 2025-12-31 10:00:00 or unix seconds",
        ]
    );
    assert_eq!(
        bench.rows(&closures::TABLE),
        [
            "e1|session.close|s1|2026-05-04 23:03:08.000000Z|525550000001|MX|welcome|||2026-05-04",
            "e6|session.close|s6|2026-05-05 01:00:00.000000Z||||2026-05-05 01:00:02.000000Z||2026-05-05",
            "e8||s8|2026-05-06 00:00:00.000000Z||||2026-05-06 00:00:00.000000Z||2026-05-06",
            "||s3|2026-05-05 00:00:00.000000Z|573000000001|CO||||2026-05-05",
        ]
    );
    // The same events as a formatted array: unchanged.
    let pretty = format!("[\n  {},\n  {}\n]\n", CLOSE.replace(",\"", ",\n    \""), lines[2]);
    assert_eq!(total(&bench.load("events.json", pretty)), [2, 0, 0, 2, 0, 0, 0]);
    // The event id is the key, whatever the time.
    let moved = CLOSE.replace("23:03:08Z", "22:00:00Z").replace("2026-05-04T22", "2026-05-03T22");
    assert_eq!(total(&bench.load("moved.jsonl", moved)), [1, 0, 0, 1, 0, 0, 0]);
}

#[test]
fn rejected_json_events_can_be_corrected_as_csv() {
    let bench = Bench::new();
    let lines =
        [CLOSE, "{\"event_id\":\"e2\",", &CLOSE.replace("e1", "e3").replace("23:03:08Z", "soon")];
    bench.load("events.jsonl", lines.join("\n"));
    let mend = bench.exported_rejects();
    assert!(mend.contains("\"{\"\"event_id\"\":\"\"e2\"\",\""), "{mend}");
    let lines = mend.lines().map(|line| {
        if line.contains("\"\"e2\"\"") {
            let name = line.rsplit(',').next().unwrap();
            format!("e2,session.close,s2,2026-05-04T20:00:00Z,,,,,,,{name}")
        } else {
            line.replace("2026-05-04Tsoon", "2026-05-04T21:00:00Z")
        }
    });
    let corrected = lines.collect::<Vec<_>>().join("\n");
    assert_eq!(
        total(&bench.load("corrected.csv", &corrected)),
        [2, 2, 0, 0, 0, 0, 0],
        "{corrected}"
    );
    assert_eq!(bench.rejects(), [""; 0]);
}

/// From Meta's documentation, invalid JSON included.
const DAYS: &str = r#"{ "analytics": { "phone_numbers": [ "16505550111", "16505550112", "16505550113" ], "country_codes": [ "US", "BR" ], "granularity": "DAY", "data_points": [ { "start": 1543543200, "end": 1543629600, "sent": 196093, "delivered": 179715 }, { "start": 1543629600, "end": 1543716000, "sent": 147649, "delivered": 139032 }, { "start": 1543716000, "end": 1543802400, "sent": 61988, "delivered": 58830 }, { "start": 1543802400, "end": 1543888800, "sent": 132465, "delivered": 124392 } # more data points
] }, "id": "102290129340398" }"#;
const MONTH: &str = r#"{ "conversation_analytics": { "data": [ { "data_points": [ { "start": 1685602800, "end": 1688194800, "conversation": 1558, "phone_number": "15550458206", "country": "US", "conversation_type": "REGULAR", "conversation_direction": "UNKNOWN", "conversation_category": "AUTHENTICATION", "cost": 15.58 }, { "start": 1685602800, "end": 1688194800, "conversation": 1433, "phone_number": "15550458206", "country": "US", "conversation_type": "FREE_ENTRY_POINT", "conversation_category": "SERVICE", "cost": 14.33 } ] } ] }, "id": "102290129340398", }"#;
const BARE: &str = r#"{ "data": [ { "data_points": [ { "start": 1643702400, "end": 1646121600, "conversation": 8500, "conversation_type": "REGULAR", "cost": 88.1010 }, { "start": 1643702400, "end": 1646121600, "conversation”: 1000, "conversation_type": "FREE_TIER", "cost": 0.0000 } { "start": 1643702400, "end": 1646121600, "conversation”: 250, "conversation_type": "FREE_ENTRY_POINT", "cost": 0.0000 } ] } ] }"#;
const HALF_HOURS: &str = r#"{ "conversation_analytics": { "data": [ { "data_points": [ { "start": 1685529000, "end": 1685530800, "conversation": 2, "conversation_category": "AUTHENTICATION", "cost": 0.0128 }, { "start": 1685527200, "end": 1685529000, "conversation": 3, "conversation_category": "MARKETING", "cost": 0.0432 } ] } ] }, "id": "102290129340398" }"#;

#[test]
fn meta_responses_report_json_errors_and_load_once_corrected() {
    let bench = Bench::new();
    for (text, place) in [
        (DAYS, "expected `,` or `]` at line 1, column 477"),
        (MONTH, "trailing comma at line 1, column 540"),
        (BARE, "expected `:` at line 1, column 214"),
    ] {
        let error = bench.try_load("meta.json", text).unwrap_err();
        assert_eq!(error.exit_code(), 1);
        let said = format!("`meta.json` is not valid JSON: {place}");
        assert_eq!(error.to_string(), said, "{}", error.lines());
    }
    assert_eq!(bench.lake().snapshot(&meta_points::TABLE).unwrap().version, None);

    let days = DAYS.replace("# more data points", "");
    assert_eq!(total(&bench.load("days.json", days)), [4, 4, 0, 0, 0, 0, 0]);
    let month = MONTH.replace("\"102290129340398\",", "\"102290129340398\"");
    assert_eq!(total(&bench.load("month.json", month)), [2, 2, 0, 0, 0, 0, 0]);
    let bare = BARE.replace('”', "\"").replace("} {", "}, {");
    assert_eq!(total(&bench.load("bare.json", bare)), [3, 3, 0, 0, 0, 0, 0]);
    assert_eq!(total(&bench.load("half-hours.json", HALF_HOURS)), [2, 2, 0, 0, 0, 0, 0]);

    let lines = "16505550111,16505550112,16505550113|BR,US";
    let conversations = "conversation_analytics";
    let sorted_dimensions =
        "CONVERSATION_CATEGORY,CONVERSATION_DIRECTION,CONVERSATION_TYPE,COUNTRY,PHONE";
    let mut expected = vec![
        format!("102290129340398|analytics|DAY|1543543200|1543629600||{lines}||||||||||196093|179715||||||2018-11-30"),
        format!("102290129340398|analytics|DAY|1543629600|1543716000||{lines}||||||||||147649|139032||||||2018-12-01"),
        format!("102290129340398|analytics|DAY|1543716000|1543802400||{lines}||||||||||61988|58830||||||2018-12-02"),
        format!("102290129340398|analytics|DAY|1543802400|1543888800||{lines}||||||||||132465|124392||||||2018-12-03"),
        format!("102290129340398|{conversations}|MONTH|1685602800|1688194800|{sorted_dimensions}|||15550458206|US|AUTHENTICATION|REGULAR|UNKNOWN|||||||||1558||15.580000|2023-06-01"),
        format!("102290129340398|{conversations}|MONTH|1685602800|1688194800|{sorted_dimensions}|||15550458206|US|SERVICE|FREE_ENTRY_POINT||||||||||1433||14.330000|2023-06-01"),
        format!("|{conversations}|MONTH|1643702400|1646121600|CONVERSATION_TYPE|||||||REGULAR||||||||||8500||88.101000|2022-02-01").replace("|||||||REGULAR", "||||||REGULAR"),
        format!("|{conversations}|MONTH|1643702400|1646121600|CONVERSATION_TYPE||||||FREE_TIER||||||||||1000||0.000000|2022-02-01"),
        format!("|{conversations}|MONTH|1643702400|1646121600|CONVERSATION_TYPE||||||FREE_ENTRY_POINT||||||||||250||0.000000|2022-02-01"),
        format!("102290129340398|{conversations}|HALF_HOUR|1685529000|1685530800|CONVERSATION_CATEGORY|||||AUTHENTICATION|||||||||||2||0.012800|2023-05-31"),
        format!("102290129340398|{conversations}|HALF_HOUR|1685527200|1685529000|CONVERSATION_CATEGORY|||||MARKETING|||||||||||3||0.043200|2023-05-31"),
    ];
    expected.sort();
    // All columns but those of templates and calls.
    let names = meta_points::TABLE.columns.iter().map(|column| column.name);
    let names = names.take_while(|name| *name != meta_points::PRODUCT_TYPE);
    let names: Vec<_> = names.chain([UTC_DAY]).collect();
    assert_eq!(bench.columns(&meta_points::TABLE, &names, "|"), expected);
}

#[test]
fn meta_templates_and_pricing_with_http_headers() {
    let bench = Bench::new();
    let templates = r#"HTTP/2 200
content-type: application/json

{"data":[{"granularity":"DAILY","product_type":"CLOUD_API","data_points":[
  {"template_id":"7","start":1751328000,"end":1751414400,"sent":5,"delivered":4,"read":3,"clicked":[{"type":"url_button","button_content":"Go","count":2},{"type":"quick_reply_button","count":1}],"cost":[{"type":"amount_spent","value":0.30000000000000004},{"type":"cost_per_delivered","value":0.075}],"mood":"good"},
  {"template_id":"8","start":1751328000000,"end":1751414400,"sent":5}
]}],"paging":{"cursors":{}}}"#;
    let report = bench.load("templates.json", templates);
    assert_eq!(total(&report), [2, 1, 0, 0, 1, 0, 0]);
    assert_eq!(report.files[0].unknown_columns, ["mood"]);
    assert_eq!(
        bench.rejects(),
        ["2@6 start: not a number of seconds since 1970 such as 1748772000"]
    );
    let pricing = r#"{"pricing_analytics":{"data":[{"data_points":[{"start":1748761200,"end":1748847600,"volume":12,"tier":"0:MAX","pricing_type":"REGULAR","pricing_category":"MARKETING","cost":0.3}]}]},"id":"1"}"#;
    bench.load("pricing.json", pricing);
    assert_eq!(
        bench.rows(&meta_points::TABLE),
        [
            "1|pricing_analytics|DAY|1748761200|1748847600|PRICING_CATEGORY,PRICING_TYPE,TIER||||||||MARKETING|REGULAR|0:MAX|||||||12|0.300000||||||||2025-06-01",
            r#"|template_analytics|DAY|1751328000|1751414400||||||||||||7|5|4|3|3|||0.300000|CLOUD_API||||[{"button":null,"count":1,"type":"quick_reply_button"},{"button":"Go","count":2,"type":"url_button"}]|||2025-07-01"#,
        ]
    );
    // Asked again, Meta has a larger count.
    let again = pricing.replace("\"volume\":12", "\"volume\":13");
    assert_eq!(total(&bench.load("again.json", again)), [1, 0, 1, 0, 0, 0, 0]);
}

#[test]
fn error_response_of_meta_is_shown() {
    let bench = Bench::new();
    let token = "E".repeat(60);
    let body = format!(
        r#"{{"error":{{"message":"(#100) Invalid parameter {token}","type":"OAuthException","code":100,"fbtrace_id":"x"}}}}"#
    );
    for text in [body.clone(), format!("HTTP/1.1 400 Bad Request\r\nx: y\r\n\r\n{body}")] {
        let error = bench.try_load("meta.json", text).unwrap_err();
        assert_eq!(
            error.lines(),
            "error: `meta.json` is an error of Meta's API: (#100) Invalid parameter …\n  \
             found: type OAuthException, code 100\n  \
             hint: fix the request, and save its response again"
        );
        assert_eq!(error.exit_code(), 1);
    }
}

#[test]
fn ad_spend_in_four_languages() {
    let english = "\u{feff}Reporting starts,Reporting ends,Campaign name,Ad name,Ad ID,Amount spent (USD),Impressions\n\
                   2025-06-01,2025-06-03,,,,\"1,300.01\",9\n\
                   2025-06-01,2025-06-03,Summer,Lamps,120226305854810107,100.00,5\n\
                   2025-06-02,2025-06-02,Summer,Lamps,120226305854810731,\"1,200.01\",4\n\
                   2025-06-02,2025-06-01,Summer,Lamps,120226305854810739,1,0\n\
                   2025-06-02,2025-06-02,Summer,Lamps,,1,0\n";
    let spanish = "Día,Identificador del anuncio,Importe gastado (COP)\n\
                   Total,,\"9.999,50\"\n\
                   21/06/2025,120226305854810107,\"1.234,50\"\n";
    let portuguese = "Identificação do anúncio,Dia,Moeda,Valor usado (BRL)\n\
                      120226305854810107,22/06/2025,,\"12,5\"\n\
                      120226305854810731,02/06/2025,ARS,3\n";
    let french = "Jour;Identifiant de la publicité;Montant dépensé (EUR)\n\
                  21/08/2026;120226305854810107;1 234,56\n\
                  ;;1 234,56\n";
    let bench = Bench::new();
    let report = bench.load("english.csv", english);
    assert_eq!(total(&report), [5, 4, 0, 0, 2, 1, 2]);
    assert_eq!(report.files[0].unknown_columns, [""; 0]);
    assert_eq!(
        bench.rejects(),
        [
            "4@5 reporting_ends: a period that ends before it starts",
            "5@6 ad_id: a required value is missing"
        ]
    );
    assert_eq!(total(&bench.load("spanish.csv", spanish)), [2, 1, 0, 0, 0, 1, 0]);
    assert_eq!(total(&bench.load("portuguese.csv", portuguese)), [2, 2, 0, 0, 0, 0, 0]);
    let western = encoding_rs::WINDOWS_1252.encode(french).0;
    assert_eq!(total(&bench.load("french.csv", western)), [2, 1, 0, 0, 0, 1, 0]);
    assert_eq!(
        bench.rows(&ad_spend::TABLE),
        [
            "120226305854810107|2025-06-01|USD|33.340000|||Summer|||Lamps|2||2025-06-01",
            "120226305854810107|2025-06-02|USD|33.330000|||Summer|||Lamps|2||2025-06-02",
            "120226305854810107|2025-06-03|USD|33.330000|||Summer|||Lamps|1||2025-06-03",
            "120226305854810107|2025-06-21|COP|1234.500000|||||||||2025-06-21",
            "120226305854810107|2025-06-22|BRL|12.500000|||||||||2025-06-22",
            "120226305854810107|2026-08-21|EUR|1234.560000|||||||||2026-08-21",
            "120226305854810731|2025-06-02|ARS|3.000000|||||||||2025-06-02",
            "120226305854810731|2025-06-02|USD|1200.010000|||Summer|||Lamps|4||2025-06-02",
        ]
    );
    // A single day wins over a share of a period, and a larger amount over a smaller one.
    let day = "Day,Ad ID,Currency,Amount spent\n2025-06-01,120226305854810107,USD,40\n";
    assert_eq!(total(&bench.load("day.csv", day)), [1, 0, 1, 0, 0, 0, 0]);
    let error = bench.try_load("no-id.csv", "Day,Campaign name,Amount spent (USD)\n").unwrap_err();
    assert!(error.to_string().contains("has no column `ad_id`"), "{error}");
}

#[test]
fn conversions_tags_rates_and_variables_as_csv_and_json() {
    let bench = Bench::new();
    let conversions_csv = "conversion_id,event,converted_at,session_id,phone,value,currency\n\
                           c1,purchase,2025-06-01T10:00:00Z,s1,,19.990000,USD\n\
                           c2,purchase,2025-06-01 23:00:00,,+57 300 000 0001,\"1,000\",COP\n\
                           c3,purchase,2025-06-01,,573000000001,1,COP\n\
                           c4, visit ,2025-06-02 10:00:00,,,,\n";
    assert_eq!(total(&bench.load("conversions.csv", conversions_csv)), [4, 3, 0, 0, 1, 0, 0]);
    let moved = r#"[{"conversion_id":"c2","event":"purchase","converted_at":"2025-06-03T10:00:00Z","phone":"573000000001","value":1000.5,"currency":"COP","channel":"web"}]"#;
    let report = bench.load("moved.json", moved);
    assert_eq!(total(&report), [1, 0, 1, 0, 0, 0, 0]);
    assert_eq!(report.files[0].unknown_columns, ["channel"]);
    assert_eq!(
        bench.rows(&conversions::TABLE),
        [
            "c1|purchase|2025-06-01 10:00:00.000000Z|s1||19.990000|USD||2025-06-01",
            "c2|purchase|2025-06-03 10:00:00.000000Z||573000000001|1000.500000|COP||2025-06-03",
            "c4| visit |2025-06-02 10:00:00.000000Z||||||2025-06-02",
        ]
    );

    let tags = "phone,tag,since\n+57 300 000 0001,vip,\n573000000001,new,2025-06-01\n,vip,\n\
                573000000002,vip,2025-06-01 12:00:00\n573000000001,new,2025-05-01\n";
    let report = bench.load("tags.csv", tags);
    assert_eq!((total(&report), report.files[0].rows_superseded), ([5, 3, 0, 0, 1, 0, 0], 1));
    assert_eq!(
        bench.rows(&audience_tags::TABLE),
        [
            "573000000001|new|2025-06-01 00:00:00.000000Z||2025-06-01",
            "573000000001|vip|||",
            "573000000002|vip|2025-06-01 12:00:00.000000Z||2025-06-01",
        ]
    );

    let card = "effective_from,country,category,tier_from,price,currency,revision\n\
                2025-07-01,CO,marketing,,0.0125,USD,\n\
                2025-07-01,*,Utility,100001,0.004,USD,1\n\
                2025-07-01,,utility,100001,0.005,USD,\n\
                2025-07-01,Brazil,VIDEO,0,1,BRL,\n";
    let report = bench.load("card.csv", card);
    assert_eq!((total(&report), report.files[0].rows_superseded), ([4, 3, 0, 0, 0, 0, 0], 1));
    assert_eq!(
        bench.rows(&rates::TABLE),
        [
            "2025-07-01|BR|video|0|1.000000|BRL|0||2025-07-01",
            "2025-07-01|CO|marketing|0|0.012500|USD|0||2025-07-01",
            "2025-07-01||utility|100001|0.004000|USD|1||2025-07-01",
        ]
    );

    let answers = r#"{"session_id":"s1","name":"city","value":"  Cali "}
{"phone":"+57 300 000 0001","conversation":41207,"name":"score","value":5,"at":"2025-06-01T10:00:00Z"}
{"session_id":"s1","value":"no name"}
"#;
    assert_eq!(total(&bench.load("answers.jsonl", answers)), [3, 2, 0, 0, 1, 0, 0]);
    assert_eq!(
        bench.rows(&variables::TABLE),
        [
            "s1|||city|  Cali ||||".to_owned(),
            "|573000000001|41207|score|5|2025-06-01 10:00:00.000000Z|||2025-06-01".to_owned(),
        ]
    );
}

#[test]
fn strict_dry_run_and_undo_work_for_every_table() {
    let exports = [
        (
            "message_summaries",
            "date,message_type,created\n2025-06-01,Template,1\nsoon,Template,1\n",
        ),
        ("session_summaries", "date,number_of_sessions\n2025-06-01,1\nsoon,1\n"),
        (
            "closures",
            "{\"session_id\":\"s1\",\"closed_at\":\"2025-06-01T00:00:00Z\"}\n{\"session_id\":\"s2\",\"closed_at\":\"soon\"}\n",
        ),
        (
            "meta_points",
            "{\"analytics\":{\"data_points\":[{\"start\":1,\"end\":1801,\"sent\":1},{\"start\":\"soon\",\"end\":2}]}}",
        ),
        ("ad_spend", "ad_id,day,spend\n7,2025-06-01,1\n7,soon,1\n"),
        ("conversions", "conversion_id,converted_at\nc1,2025-06-01 10:00:00\nc2,soon\n"),
        ("audience_tags", "phone,tag,since\n573000000001,vip,\n573000000001,new,soon\n"),
        ("rates", "effective_from,category,price\n2025-06-01,marketing,1\nsoon,marketing,1\n"),
        ("variables", "session_id,name,value,at\ns1,city,Cali,\ns1,city,Cali,soon\n"),
    ];
    for (name, text) in exports {
        let table = wabalake_data::table(name).unwrap();
        let bench = Bench::new();
        let file = bench.file("export", text);
        let strict = Options { strict: true, ..Options::default() };
        let error = load(&bench.lake(), std::slice::from_ref(&file), &strict).unwrap_err();
        assert!(error.to_string().starts_with("1 row was rejected"), "{name}: {error}");
        let tried = Options { dry_run: true, ..Options::default() };
        let report = load(&bench.lake(), std::slice::from_ref(&file), &tried).unwrap();
        assert_eq!(total(&report), [2, 1, 0, 0, 1, 0, 0], "{name}");
        assert_eq!(report.files[0].table, name);
        assert_eq!(bench.lake().snapshot(table).unwrap().version, None);

        assert_eq!(total(&bench.load("export", text)), [2, 1, 0, 0, 1, 0, 0], "{name}");
        assert_eq!((bench.rows(table).len(), bench.rejects().len()), (1, 1), "{name}");
        assert!(bench.load("export", text).files[0].already_loaded);
        let status = bench.lake().status().unwrap();
        assert_eq!(status.tables.iter().find(|t| t.table == name).unwrap().rows, 1);
        bench.lake().undo().unwrap();
        assert_eq!((bench.rows(table).len(), bench.rejects().len()), (0, 0), "{name}");
        assert_eq!(total(&bench.load("export", text)), [2, 1, 0, 0, 1, 0, 0], "{name}");
    }
}

mod laws {
    use proptest::prelude::*;

    use super::*;

    /// An event with few distinct values, so that equal keys, ties and nulls are frequent.
    fn event() -> impl Strategy<Value = String> {
        let one_of = |values: &[&'static str]| prop::sample::select(values.to_vec());
        (
            one_of(&["null", "\"e1\"", "\"e2\"", "\"-\""]),
            one_of(&["\"s1\"", "\"s2\"", "null"]),
            one_of(&["2025-06-01T23:59:59Z", "2025-06-02 00:00:00", "soon"]),
            one_of(&["\"+57\"", "57.0"]),
            one_of(&["session.close", "hsm.status"]),
        )
            .prop_map(|(id, session, at, code, event)| {
                format!(
                    "{{\"event_id\":{id},\"event_type\":\"{event}\",\"timestamp\":\"{at}\",\"session\":\
                     {{\"external_id\":{session}}},\"user\":{{\"country_code\":{code},\"cellphone\":3005550101}}}}"
                )
            })
    }

    fn closings(files: &[String]) -> Vec<String> {
        let bench = Bench::new();
        for (n, text) in files.iter().enumerate() {
            // A file whose records are all rejected fails.
            if let Err(error) = bench.try_load(&format!("{n}.json"), text) {
                assert!(error.to_string().ends_with("valid: nothing was loaded"), "{error}");
            }
        }
        bench.rows(&closures::TABLE)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 6, ..ProptestConfig::default() })]

        /// Lines or an array, any order, one file or two, broken records in between: the same rows.
        #[test]
        fn json_layout_and_order_change_no_row(
            events in prop::collection::vec(event(), 2..10),
            cut in any::<prop::sample::Index>(),
        ) {
            let whole = closings(&[events.join("\n")]);
            let mut turned = events.clone();
            turned.reverse();
            let array = format!("[\n{}\n]\n", turned.join(",\n"));
            prop_assert_eq!(closings(&[array]), whole.clone());
            let (first, second) = turned.split_at(1 + cut.index(turned.len() - 1));
            let broken = format!("{}\n{{\"event_id\": \"e1\",\n", first.join("\n"));
            prop_assert_eq!(closings(&[broken, second.join("\r\n"), second.join(" ")]), whole);
        }
    }
}
