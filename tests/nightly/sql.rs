//! Marts of a user's own SQL: computed as a whole when something that they depend on changed.

use wabalake::config::Config;

use super::session;
use crate::support::Bench;

const SETTINGS: &str = "
[[marts]]
name = 'own'
sql = '../sql/own.sql'
params = { country = ['CO', 'MX'] }
[[marts]]
name = 'days'
query = 'session-duration'
";

const COUNTS: &str =
    "SELECT country, COUNT(*) AS n FROM sessions WHERE country IN (:country) GROUP BY country";

/// What a run did for the first mart: how much of it was computed, why, and its rows.
fn night(bench: &Bench) -> (&'static str, String, u64) {
    let report = bench.run_nightly();
    assert!(report.failed_marts.is_empty(), "{:?}", report.failed_marts);
    bench.check_marts().unwrap();
    let mart = &report.marts[0];
    (mart.scope.name(), mart.why.clone(), mart.rows)
}

fn all(why: &str, rows: u64) -> (&'static str, String, u64) {
    ("all", why.to_owned(), rows)
}

#[test]
fn mart_is_computed_when_a_table_the_file_or_a_parameter_changed() {
    let mut bench = Bench::with_settings(SETTINGS);
    bench.file("sql/own.sql", COUNTS);
    bench.load_export(&session("a", "2025-06-01 12:00:00"));
    let nothing = ("nothing", "no input changed".to_owned(), 0);
    assert_eq!(night(&bench), all("not yet computed", 1));
    assert_eq!(night(&bench), nothing);
    // A table that the statement does not read.
    bench.load_export("phone,tag,since\n573000000001,vip,\n");
    assert_eq!(night(&bench), nothing);
    bench.load_export(&session("b", "2025-06-02 12:00:00"));
    assert_eq!(night(&bench), all("`sessions` changed", 1));
    // Links of user ids reach every row about a person.
    bench.load_export("user_id,linked\nMX.9,525555550122\n");
    assert_eq!(night(&bench), all("`identities` changed", 1));

    let users = "COUNT(DISTINCT user_phone) AS users, MIN(session_started_timestamp) AS since";
    bench.file("sql/own.sql", COUNTS.replace("COUNT(*) AS n", users));
    assert_eq!(night(&bench), all("its definition changed", 1));
    let names: Vec<String> =
        bench.mart("own").get_column_names().iter().map(ToString::to_string).collect();
    assert_eq!(names, ["country", "users", "since"]);
    bench.config = Config::read(&SETTINGS.replace("'CO', ", "")).unwrap();
    assert_eq!(night(&bench), all("its definition changed", 0));
    bench.config = Config::read(&format!("timezone = 'Asia/Tokyo'\n{SETTINGS}")).unwrap();
    assert_eq!(night(&bench), all("its definition changed", 1));
    assert_eq!(night(&bench), nothing);
}

#[test]
fn mart_may_read_persons_and_several_tables() {
    let bench = Bench::with_settings("[[marts]]\nname = 'own'\nsql = 'own.sql'\n");
    bench.file(
        "lake/own.sql",
        "SELECT COUNT(DISTINCT p.person) AS people, COUNT(DISTINCT t.user_phone) AS tagged, \
         MIN(t.since) AS since FROM persons AS p CROSS JOIN audience_tags AS t",
    );
    bench.load_export("user_id,linked\nMX.9,525555550122\n");
    bench.load_export("phone,tag,since\n573005550101,vip,2025-05-01\n");
    assert_eq!(night(&bench), all("not yet computed", 1));
    bench.load_export("user_id,linked\nMX.8,525555550123\n");
    bench.load_export("phone,tag,since\n573005550102,vip,2025-05-02\n");
    let (scope, why, rows) = night(&bench);
    assert_eq!((scope, rows), ("all", 1));
    assert_eq!(why, "`audience_tags`, `identities` and `persons` changed");
    assert_eq!(bench.mart("own").column("people").unwrap().i64().unwrap().get(0), Some(2));
}

#[test]
fn mart_that_cannot_be_computed_stops_no_other() {
    let bench =
        Bench::with_settings(SETTINGS.replace("params = { country = ['CO', 'MX'] }", "").as_str());
    bench.file("sql/own.sql", "SELECT CAST(session_id AS BIGINT) AS n\nFROM sessions");
    bench.load_export(&session("secret", "2025-06-01 12:00:00"));
    let report = bench.run_nightly();
    let failed = &report.failed_marts[0];
    assert!(failed.error.starts_with("mart `own`: `../sql/own.sql`: "), "{failed:?}");
    assert!(failed.hint.as_ref().unwrap().contains("TRY_CAST"), "{failed:?}");
    assert!(!format!("{failed:?}").contains("secret"), "{failed:?}");
    assert_eq!((report.marts[0].mart.as_str(), report.marts[0].rows), ("days", 1));
}
