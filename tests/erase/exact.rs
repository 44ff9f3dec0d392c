//! What `erase` takes and what it leaves: lines, exact numbers, shared sessions, the command.

use polars::prelude::*;
use wabalake::error::Fault;
use wabalake::lake::erase::Options;
use wabalake::lake::{Lake, check, stored_table};
use wabalake_data::tables::{conversions, deployments, sessions};

use super::{NATIONAL, erase, lake_of, texts};
use crate::support::{Bench, Desk, Said, stored};

#[test]
fn business_line_is_erased_only_with_lines_too() {
    let bench = Bench::new();
    let lake = lake_of(&bench, "lake", true);
    let before = stored(&lake, &sessions::TABLE);
    let error = lake.erase("573009999999", Options::default()).unwrap_err();
    assert!(error.lines().contains("--lines-too"), "{}", error.lines());
    assert!(!error.lines().contains("3009999999"), "{}", error.lines());
    assert_eq!(stored(&lake, &sessions::TABLE), before);
    let lines_too = Options { lines_too: true, ..Options::default() };
    lake.erase("573009999999", lines_too).unwrap();
    assert_eq!(stored(&lake, &sessions::TABLE), Vec::<String>::new());
}

#[test]
fn exactly_erases_the_exact_number_only() {
    let bench = Bench::new();
    let lines = "session_id,session_started_timestamp,user_country_code,user_cellphone,first_message\n\
                 a1,2025-06-01 10:00:00,57,12,ask 5712\n\
                 a2,2025-06-01 10:00:00,,57,\n\
                 a3,2025-06-01 10:00:00,57,,\n\
                 a4,2025-06-01 10:00:00,57,3005550101,ask 5712\n\
                 a5,2025-06-01 10:00:00,57,13,\n";
    bench.load("sessions.csv", lines);
    let lake = Lake::open(bench.path("lake")).unwrap();
    let exactly = Options { exactly: true, ..Options::default() };
    for (phone, left) in [("5712", vec!["a2", "a3", "a4", "a5"]), ("57", vec!["a3", "a4", "a5"])] {
        let erased = lake.erase(phone, exactly).unwrap();
        assert_eq!((erased.rows(), erased.people, erased.redacted()), (1, 1, 0));
        let mut ids = texts(&lake, &sessions::TABLE, "session_id");
        ids.sort();
        assert_eq!(ids, left, "{phone}");
        assert_eq!(lake.erase(phone, exactly).unwrap_err().exit_code(), 2, "nobody has it");
    }
    assert_eq!(texts(&lake, &sessions::TABLE, "first_message"), ["ask 5712"]);
}

#[test]
fn link_of_an_exact_number_counts_as_its_person() {
    let bench = Bench::new();
    let sessions = "session_id,session_started_timestamp,user_country_code,user_cellphone\n\
                    a1,2025-06-01 10:00:00,,3005550101\n";
    bench.load("sessions.csv", sessions);
    let links = "user_id,linked,first_seen\nCO.13490001,3005550101,2025-06-01 10:00:00\n";
    bench.load("identities.csv", links);
    let lake = Lake::open(bench.path("lake")).unwrap();
    let exactly = Options { exactly: true, ..Options::default() };
    let erased = lake.erase("3005550101", exactly).unwrap();
    assert_eq!((erased.rows(), erased.people), (2, 1));
}

/// Two people's deployments name one session: the rewritten file is not taken for an old one.
#[test]
fn deployment_of_another_person_in_the_same_session_stays() {
    let bench = Bench::new();
    let header = "conversation_id,user_country_code,user_cellphone,deployment_timestamp,\
                  delivery_status,session_id\n";
    for (file, cell) in [("1.csv", NATIONAL), ("2.csv", "3005550102")] {
        let send = format!("{header}11,57,{cell},2025-05-31 00:30:00,Sent,s0\n");
        bench.load(file, &send);
    }
    let lake = Lake::open(bench.path("lake")).unwrap();
    erase(&lake);
    assert_eq!(texts(&lake, &deployments::TABLE, "user_phone"), ["573005550102"]);
    let checked = lake.check(check::Options { deep: true, progress: None }).unwrap();
    assert!(checked.findings.is_empty(), "{:?}", checked.findings);
}

#[test]
fn redirected_session_keeps_a_replacement_parent_id() {
    let bench = Bench::new();
    let header = "session_id,parent_session_id,session_started_timestamp,conversation_id,user_country_code,user_cellphone\n";
    let lines = "p1,,2025-06-01 10:00:00,11,57,3005550101\n\
                 a1,p1,2025-06-01 11:00:00,12,57,3005550102\n\
                 a2,a1,2025-06-01 12:00:00,13,57,3005550102\n\
                 b1,p1,2025-06-02 11:00:00,12,57,3005550103\n";
    bench.load("sessions.csv", format!("{header}{lines}"));
    let conversions = "conversion_id,converted_at,session_id,phone\n\
                       v1,2025-06-03 10:00:00,p1,573005550102\n";
    bench.load("conversions.csv", conversions);
    let broken = format!("{header}x1,p1,yesterday,12,57,3005550104\n");
    bench.load_rejected(bench.file("broken.csv", &broken));
    let lake = Lake::open(bench.path("lake")).unwrap();
    erase(&lake);
    let mut parents = texts(&lake, &sessions::TABLE, "parent_session_id");
    parents.retain(|parent| parent != "a1");
    assert_eq!(parents.len(), 2);
    assert!(parents[0].len() == 36 && parents[0] == parents[1], "{parents:?}");
    assert_eq!(texts(&lake, &conversions::TABLE, "session_id"), parents[..1]);
    let rejects = lake.snapshot(stored_table("rejects").unwrap()).unwrap().scan().unwrap();
    let raw = rejects.select([col("raw")]).collect().unwrap();
    let raw = raw.column("raw").unwrap().str().unwrap().get(0).unwrap().to_owned();
    assert_eq!(raw, format!("x1,{},yesterday,12,57,3005550104", parents[0]));
    let keys = lake.snapshot(&conversions::TABLE).unwrap().scan().unwrap();
    let keys = keys.select([col("session_key")]).collect().unwrap();
    let key = keys.column("session_key").unwrap().i64().unwrap().get(0);
    assert_eq!(key, Some(wabalake_data::tables::text_key(&parents[0])));
}

#[test]
fn invalid_phone_number_is_refused() {
    let bench = Bench::new();
    let lake = lake_of(&bench, "lake", true);
    for word in ["", "x", "57a", "57", "5712", "3005550101", "1", "10125550101", "212555010100000"]
    {
        let error = lake.erase(word, Options::default()).unwrap_err();
        assert!(error.fault() == Fault::Usage, "{word}");
        assert!(word.len() < 4 || !error.lines().contains(word), "{}", error.lines());
    }
    assert!(lake.erase("12025550143", Options::default()).unwrap().is_nothing());
}

#[test]
fn erase_shows_what_goes_and_needs_yes() {
    let desk = Desk::loaded();
    let erase = "erase --lake lake --phone 573000000001";
    let sessions = || {
        let mut count = desk.command("sql --lake lake");
        Said::of(count.arg("SELECT count(*) AS n FROM sessions").output().unwrap()).out
    };
    let (refused, code) = desk.failure(erase);
    assert!(code == 2 && refused.contains("`--yes`"), "{refused}");
    let tried = desk.run(&format!("{erase} --dry-run"));
    assert_eq!(
        (tried.err.as_str(), tried.code),
        ("to be erased: 2 rows of 1 person (2 in sessions); 2 data files\n", 0)
    );
    let refused = desk.run("erase --lake lake --yes --phone 57");
    assert!(refused.code == 2 && refused.err.contains("--exactly"), "{}", refused.err);
    assert_eq!(sessions(), "n\n3\n");
    let done = desk.run(&format!("{erase} --yes"));
    assert_eq!((done.err, done.code), (tried.err, 0));
    assert_eq!(sessions(), "n\n1\n");
    desk.write("lake/notes.txt", "call +57 300 000 0001");
    desk.write("lake/notes.pdf", "%PDF\u{1}");
    let again = desk.run(&format!("{erase} --yes"));
    assert_eq!(again.out, "the lake has no rows of that person\n");
    assert_eq!(
        (again.err.as_str(), again.code),
        (
            "error: other files contain the number, and further files could not be searched for it\n  \
             found: notes.txt; not searched: notes.pdf (neither text nor an export)\n  \
             hint: delete these files, or remove the number from them, and run it again\n",
            1
        )
    );
}
