//! `alerts`, and what `nightly` does with alerts.

use std::fmt::Write as _;

use chrono::{Days, NaiveDate, Utc};
use serde_json::Value;

use super::compare::DEPLOYMENTS;
use crate::support::Bench;

const HEADER: &str = "alert,bucket,group,value,expected,low,high,state\n";

const SETTINGS: &str = "\
[[alerts]]
name = 'delivery-drop'
query = 'delivery-rate'
params = { by = ['day', 'country'] }
column = 'delivered_pct'
rule = 'anomaly'
value = 4
direction = 'down'
min_count = { column = 'deployments', value = 5 }

[[alerts]]
name = 'no-sends'
query = 'delivery-rate'
column = 'deployments'
rule = 'below'
value = 1
missing = 'fires'

[[alerts]]
name = 'growth'
query = 'delivery-rate'
params = { by = 'week' }
column = 'deployments'
rule = 'change_pct'
value = 5
";

const MARTS: &str = "
[[marts]]
name = 'deliveries'
query = 'delivery-rate'
params = { by = ['day', 'country'] }

[[marts]]
name = 'weeks'
query = 'delivery-rate'
params = { by = ['week'] }
";

/// Deployments of a day to ten people or fewer whose numbers begin alike, the first of them delivered.
fn sends(text: &mut String, day: NaiveDate, numbers: &str, delivered: usize, sent: usize) {
    for number in 0..sent {
        let status = if number < delivered { "Delivered" } else { "In Process" };
        writeln!(text, "7,1,{day}T10:00:00Z,{status},{numbers}{number}").unwrap();
    }
}

/// Numbers of Colombia, the United States and Chile, without their last digit.
const CO: &str = "57300555010";
const US: &str = "1202555014";
const CL: &str = "5695550010";

/// A lake with a fall on Thursday, 2026-11-26, in Colombia: 5 of 10, after 9 or 10 on the eight Thursdays before.
fn bench() -> Bench {
    let bench = Bench::new();
    bench.file("lake/wabalake.toml", SETTINGS);
    let fall = NaiveDate::from_ymd_opt(2026, 11, 26).unwrap();
    let mut text = DEPLOYMENTS.to_owned();
    for (week, delivered) in (1..=8).zip([9, 10, 9, 9, 10, 9, 9, 9]) {
        let day = fall - Days::new(7 * week);
        sends(&mut text, day, CO, delivered, 10);
        sends(&mut text, day, US, 9, 10);
    }
    sends(&mut text, fall, CO, 5, 10);
    sends(&mut text, fall, US, 9, 10);
    sends(&mut text, fall, CL, 0, 2);
    bench.load("sends.csv", text);
    bench
}

#[test]
fn groups_that_fall_fire_and_the_exit_code_tells() {
    let bench = bench();
    let night = "alerts --lake lake --now 2026-11-29T03:15:00Z";
    let expected = format!(
        "{HEADER}\
         delivery-drop,2026-11-26,country=CL,,,,,unknown\n\
         delivery-drop,2026-11-26,country=CO,50.0,90.0,90.0,90.0,fires\n\
         delivery-drop,2026-11-26,country=US,90.0,90.0,90.0,90.0,ok\n\
         no-sends,2026-11-26,,22.0,1.0,,,ok\n\
         growth,2026-11-16,,20.0,20.0,,,ok\n"
    );
    let said = bench.run(night);
    assert_eq!(said.out, expected);
    assert_eq!(
        (said.err.as_str(), said.code),
        (
            "error: 1 alert fires\n  \
             hint: the answer has a line for each group; with `--no-fail` the exit code is 0\n",
            1
        )
    );
    // Fresh marts give the same answer.
    bench.file("lake/wabalake.toml", format!("{SETTINGS}{MARTS}"));
    assert_eq!(bench.run("nightly --lake lake").code, 0);
    for marts in ["", " --no-marts"] {
        assert_eq!(bench.stdout(&format!("{night} --no-fail{marts}")), expected, "{marts}");
    }
    // The week ended two days ago, and the day in Bogota is another.
    let later = bench.stdout(
        "alerts --lake lake --now 2026-12-02T00:00:00Z --timezone America/Bogota --no-fail",
    );
    assert!(
        later.ends_with("\nno-sends,2026-11-28,,,1.0,,,fires\ngrowth,2026-11-16,,20.0,20.0,,,ok\n")
    );
    let later = bench.stdout("alerts --lake lake --now 2026-12-02T00:00:00Z --no-fail -f ndjson");
    let growth: Value = serde_json::from_str(later.lines().last().unwrap()).unwrap();
    let expected = serde_json::json!({
        "alert": "growth", "bucket": "2026-11-23", "group": null, "value": 22.0, "expected": 20.0,
        "low": null, "high": null, "state": "fires",
    });
    assert_eq!(growth, expected);
}

#[test]
fn feed_that_stopped_is_seen_without_any_row() {
    let bench = bench();
    let said = bench.run("alerts --lake lake --now 2027-03-31T00:00:00Z");
    // Nobody has been sent anything for eight weeks.
    let expected = "no-sends,2027-03-28,,,1.0,,,fires\ngrowth,2027-03-22,,,,,,ok\n";
    assert_eq!((said.out, said.code), (format!("{HEADER}{expected}"), 1));
}

#[test]
fn alerts_that_cannot_be_judged_are_errors() {
    let bench = Bench::new();
    bench.lake();
    assert_eq!(bench.stdout("alerts --lake lake"), HEADER);
    let (said, code) = bench.failure("alerts --lake lake --now yesterday");
    assert!(said.starts_with("error: `--now yesterday` is no instant in UTC\n"), "{said}");
    assert_eq!(code, 2);
    bench.file("lake/wabalake.toml", SETTINGS.replace("delivered_pct", "delivered_pc"));
    for command in ["alerts", "nightly"] {
        let (said, code) = bench.failure(&format!("{command} --lake lake"));
        assert!(
            said.contains("alert `delivery-drop`: its answer has no column `delivered_pc`\n"),
            "{said}"
        );
        assert!(said.contains("did you mean `delivered_pct`? numbers are `deployments`"), "{said}");
        assert_eq!(code, 1);
    }
}

/// A quarter of what is sent each day is delivered.
const NIGHTLY: &str = "\
[[alerts]]
name = 'low'
query = 'delivery-rate'
column = 'delivered_pct'
rule = 'below'
value = 90

[[alerts]]
name = 'calm'
query = 'delivery-rate'
params = { by = ['day', 'country'] }
column = 'deployments'
rule = 'above'
value = 90

[[alerts]]
name = 'small'
query = 'delivery-rate'
column = 'delivered_pct'
rule = 'below'
value = 90
min_count = { column = 'deployments', value = 50 }

[page]
file = 'page.html'
email = 'page.eml'

[nightly]
metrics = 'night.prom'
";

#[test]
fn nightly_reports_alerts_and_fails_if_the_settings_ask_for_it() {
    let bench = Bench::new();
    bench.file("lake/wabalake.toml", NIGHTLY);
    let today = Utc::now().date_naive();
    let export = |delivered: usize| {
        let mut text = DEPLOYMENTS.to_owned();
        for ago in 0..7 {
            sends(&mut text, today - Days::new(ago), CO, delivered, 4);
        }
        text
    };
    bench.load("sends.csv", export(1));

    let said = bench.stdout("nightly --lake lake");
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), 5, "{said}");
    for (line, name, groups) in [
        (0, "low", "1 firing, 0 ok, 0 unknown"),
        (2, "calm", "0 firing, 1 ok, 0 unknown"),
        (3, "small", "0 firing, 0 ok, 1 unknown"),
    ] {
        assert!(lines[line].starts_with(&format!("alert {name}: 20")), "{said}");
        assert!(lines[line].ends_with(&format!(": {groups}")), "{said}");
    }
    assert_eq!(lines[1], "alert low: 25, expected 90");
    let metrics = bench.read("lake/night.prom");
    for line in [
        "wabalake_alert_firing{alert=\"low\"} 1",
        "wabalake_alert_firing{alert=\"calm\"} 0",
        "wabalake_alert_unknown{alert=\"low\"} 0",
        "wabalake_alert_unknown{alert=\"small\"} 1",
        "wabalake_night_whole 1",
    ] {
        assert!(metrics.lines().any(|reported| reported == line), "{line}: {metrics}");
    }
    let page = bench.read("lake/page.html");
    let section = page.split("<section id=\"").nth(1).unwrap();
    assert!(section.starts_with("alerts\">"), "{section}");
    assert!(section.contains("! 1 alert fires, of 3."), "{section}");
    assert!(section.contains("<code>wabalake alerts --now 20"), "{section}");
    let mail = bench.read("lake/page.eml");
    assert!(mail.contains("! 1 alert fires, of 3."), "{mail}");

    let settings = NIGHTLY.replace("[nightly]", "[nightly]\nfail_on_alerts = true");
    let settings = settings.replace("file = 'page.html'\nemail = 'page.eml'", "");
    bench.file("lake/wabalake.toml", settings);
    let said = bench.run("nightly --lake lake --json");
    assert_eq!(
        (said.err.as_str(), said.code),
        (
            "error: 1 alert fires\n  hint: the report lists what fires; `fail_on_alerts` in wabalake.toml, \
             under [nightly], makes the exit code 1\n",
            1
        )
    );
    let report: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(report["outcome"], "done");
    assert_eq!(report["failed_alerts"], Value::Array(Vec::new()));
    let judged = report["alerts"].as_array().unwrap();
    let cells = judged.iter().map(|of| [&of["alert"], &of["group"], &of["value"], &of["state"]]);
    assert_eq!(
        serde_json::json!(cells.collect::<Vec<_>>()),
        serde_json::json!([
            ["low", null, 25.0, "fires"],
            ["calm", "country=CO", 4.0, "ok"],
            ["small", null, null, "unknown"],
        ])
    );

    let tried: Value =
        serde_json::from_str(&bench.stdout("nightly --lake lake --json --dry-run")).unwrap();
    assert_eq!(tried["alerts"], Value::Array(Vec::new()));

    // News of the other deliveries arrives; before, there was none.
    bench.load("news.csv", export(4));
    let said = bench.stdout("nightly --lake lake");
    assert!(said.contains(": 0 firing, 1 ok, 0 unknown\nalert calm: "), "{said}");
    let said = bench.run("nightly --lake lake --as-of deployments=0");
    assert!(said.out.contains("\nalert low: 25, expected 90\n"), "{}", said.out);
    assert_eq!(said.code, 1);
}
