//! People without a number in answers: the same whatever is loaded first.

use crate::support::{Bench, Said};

/// Exports with rows of three people: one with a number and two ids, one with an id that is linked to
/// another id, one with an id that is linked to nothing.
const FILES: [(&str, &str); 5] = [
    (
        "sessions.csv",
        "session_id,session_started_timestamp,user_cellphone,conversation_id\n\
         s1,2025-06-01T10:00:00Z,573005550101,7\n\
         s2,2025-06-02T10:00:00Z,CO.1,7\n\
         s3,2025-06-02T11:00:00Z,CO.2,7\n\
         s4,2025-06-03T10:00:00Z,MX.9,7\n\
         s5,2025-06-03T11:00:00Z,BR.1,7\n",
    ),
    (
        "deployments.csv",
        "conversation_id,deployment_timestamp,delivery_status,user_cellphone,user_id\n\
         7,2025-06-01T09:00:00Z,Sent,573005550101,\n\
         7,2025-06-01T09:00:00Z,Delivered,,CO.1\n\
         7,2025-06-01T09:00:00Z,In Process,,CO.2\n\
         7,2025-06-01T09:30:00Z,Sent,,CO.2\n\
         7,2025-06-03T09:00:00Z,Sent,,MX.9\n\
         7,2025-06-03T09:00:00Z,Failed,,MX.8\n",
    ),
    ("tags.csv", "phone,tag,since\n573005550101,vip,2025-05-01\nCO.2,vip,2025-06-01\nMX.8,vip,\n"),
    (
        "numbers.csv",
        "user_id,linked,first_seen,last_seen\nCO.1,573005550109,2025-06-01,2025-06-01\n\
         CO.1,573005550101,2025-06-02,2025-06-02\n",
    ),
    ("ids.csv", "user_id,linked\nCO.2,CO.1\nMX.9,MX.8\n"),
];

const SHOWN: [(&str, &[&str]); 4] = [
    (
        "sql: SELECT session_id, user_phone, user_id FROM sessions ORDER BY session_id",
        &[
            "s1,573005550101,",
            "s2,573005550101,CO.1",
            "s3,573005550101,CO.2",
            "s4,MX.8,MX.9",
            "s5,BR.1,BR.1",
        ],
    ),
    (
        "sql: SELECT deployment_timestamp, user_phone, delivery_status FROM deployments ORDER BY 1, 2",
        &[
            // Of three rows with one key, the one with the newer state.
            "2025-06-01T09:00:00Z,573005550101,Delivered",
            "2025-06-01T09:30:00Z,573005550101,Sent",
            "2025-06-03T09:00:00Z,MX.8,Failed",
        ],
    ),
    (
        "sql: SELECT user_phone, tag, CAST(since AS DATE) AS since FROM audience_tags ORDER BY 1, 3",
        &["573005550101,vip,2025-06-01", "MX.8,vip,"],
    ),
    (
        "sql: SELECT user_id, person FROM persons ORDER BY user_id",
        &["CO.1,573005550101", "CO.2,573005550101", "MX.8,MX.8", "MX.9,MX.8"],
    ),
];

/// The lines of an answer, without the header. After `sql: `, all of the line is a statement.
fn answer(bench: &Bench, line: &str) -> Vec<String> {
    let statement = line.strip_prefix("sql: ");
    let mut command = bench.command(if statement.is_some() { "sql" } else { line });
    let said =
        Said::of(command.args(statement).args(["--lake", "lake", "-f", "csv"]).output().unwrap());
    assert_eq!((said.err.as_str(), said.code), ("", 0), "{line}");
    said.out.lines().skip(1).map(str::to_owned).collect()
}

fn loaded(files: impl IntoIterator<Item = usize>) -> Bench {
    let bench = Bench::new();
    for file in files {
        let (name, text) = FILES[file];
        bench.load(name, text);
    }
    bench
}

#[test]
fn persons_do_not_depend_on_what_is_loaded_first() {
    for order in [[0, 1, 2, 3, 4], [4, 3, 2, 1, 0], [3, 0, 4, 1, 2]] {
        let bench = loaded(order);
        for (line, rows) in SHOWN {
            assert_eq!(answer(&bench, line), *rows, "{line}");
        }
        let summary = answer(&bench, "query conversation-summary");
        assert_eq!(summary.len(), 1);
        // A user id asks about its person.
        let history = answer(&bench, "query user-history --phone +573005550101");
        assert_eq!(history.len(), 5, "{history:?}");
        for id in ["CO.1", "CO.2"] {
            assert_eq!(answer(&bench, &format!("query user-history --phone {id}")), history);
        }
        assert_eq!(answer(&bench, "query user-history --phone MX.9").len(), 2);
        assert_eq!(answer(&bench, "query user-history --phone BR.1").len(), 1);
        assert!(answer(&bench, "query user-history --phone BR.2").is_empty());
    }
}

#[test]
fn a_lake_without_links_shows_user_ids() {
    let bench = loaded([0, 1, 2]);
    let people = answer(&bench, "sql: SELECT DISTINCT user_phone FROM sessions ORDER BY 1");
    assert_eq!(people, ["573005550101", "BR.1", "CO.1", "CO.2", "MX.9"]);
    assert_eq!(answer(&bench, "sql: SELECT COUNT(*) FROM deployments"), ["6"]);
    assert_eq!(answer(&bench, "sql: SELECT COUNT(*) FROM audience_tags"), ["3"]);
    assert!(answer(&bench, "sql: SELECT * FROM persons").is_empty());
    // The name of the computed table is free for a WITH.
    let own = "sql: WITH persons AS (SELECT 1 AS n) SELECT n FROM persons";
    assert_eq!(answer(&bench, own), ["1"]);
}

#[test]
fn a_change_of_identities_recomputes_the_days_of_its_persons() {
    let bench = Bench::with_settings(
        "[inbox]\nfolders = []\n\n[[marts]]\nname = 'users'\nquery = 'delivery-rate'\n\
         params = { by = 'day' }\n",
    );
    for (name, text) in &FILES[..3] {
        bench.load(name, *text);
    }
    let mart = |bench: &Bench| {
        let report = bench.run_nightly();
        let mart = &report.marts[0];
        (mart.scope.name(), mart.why.clone())
    };
    assert_eq!(mart(&bench).0, "all");
    assert_eq!(mart(&bench).0, "nothing");
    bench.load(FILES[4].0, FILES[4].1);
    bench.load(
        "more.csv",
        "conversation_id,deployment_timestamp,delivery_status,user_cellphone\n\
         7,2025-06-05T09:00:00Z,Sent,573005550102\n",
    );
    let why = "`deployments` changed on 1 UTC day, its persons on 2 UTC days";
    assert_eq!(mart(&bench), ("some", why.to_owned()));
    for (_, stored, fresh) in bench.marts() {
        assert!(stored.equals_missing(&fresh));
    }
    assert_eq!(mart(&bench).0, "nothing");
    bench.load(
        "again.csv",
        "conversation_id,deployment_timestamp,delivery_status,user_cellphone\n\
         7,2025-06-05T09:00:00Z,Delivered,573005550102\n",
    );
    assert_eq!(mart(&bench).0, "some");
}

#[test]
fn persons_are_two_columns() {
    let bench = Bench::new();
    bench.load("ids.csv", "user_id,linked\nCO.2,CO.1\nCO.1,573005550101\n");
    let mut command = bench.command("sql --lake lake -f csv");
    let said = Said::of(command.arg("SELECT * FROM persons ORDER BY 1").output().unwrap());
    assert_eq!(said.out, "user_id,person\nCO.1,573005550101\nCO.2,573005550101\n", "{}", said.err);
}
