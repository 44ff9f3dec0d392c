//! Erasing a person with several numbers and user ids.

use std::collections::BTreeSet;

use wabalake::lake::erase::Options;
use wabalake::load::{Options as LoadOptions, load};
use wabalake_data::TABLES;
use wabalake_data::tables::{identities, messages};

use crate::support::Bench;

const NUMBERS: [&str; 2] = ["573005550101", "573005550102"];
const IDS: [&str; 3] =
    ["CO.81000000000000000001", "CO.82000000000000000002", "MX.83000000000000000003"];

fn lake(bench: &Bench) {
    let [one, two] = NUMBERS;
    let [a, b, c] = IDS;
    bench.load(
        "ids.csv",
        format!("user_id,linked\n{a},{one}\n{b},{a}\n{b},{two}\nCO.9,573005550109\n"),
    );
    bench.load(
        "sessions.csv",
        format!(
            "session_id,session_started_timestamp,user_cellphone,last_message,meta_source_id\n\
             s1,2025-06-01T10:00:00Z,{one},,\n\
             s2,2025-06-01T10:00:00Z,{a},,\n\
             s3,2025-06-02T10:00:00Z,{b},,\n\
             s4,2025-06-02T10:00:00Z,{two},,\n\
             s5,2025-06-03T10:00:00Z,{c},ask {b} or {two},\n\
             s6,2025-06-03T10:00:00Z,573005550109,,{one}\n"
        ),
    );
    bench.load(
        "deployments.csv",
        format!(
            "conversation_id,deployment_timestamp,delivery_status,user_cellphone,user_id\n\
             7,2025-06-01T09:00:00Z,Sent,{one},\n7,2025-06-02T09:00:00Z,Sent,,{b}\n\
             7,2025-06-03T09:00:00Z,Sent,,{c}\n7,2025-06-04T09:00:00Z,Sent,573005550109,{b}\n"
        ),
    );
}

#[test]
fn all_that_links_lead_to_is_erased_whatever_is_asked_for() {
    let [one, two] = NUMBERS;
    let [a, b, _] = IDS;
    for asked in [one, two, a, b] {
        let bench = Bench::new();
        lake(&bench);
        let found =
            bench.lake().erase(asked, Options { dry_run: true, ..Options::default() }).unwrap();
        let persons: BTreeSet<String> = [one, two, a, b].map(str::to_owned).into();
        assert_eq!(found.persons, persons);
        assert_eq!(found.rows(), 4 + 3 + 3, "of sessions, deployments, identities");
        let erased = bench.lake().erase(asked, Options::default()).unwrap();
        // One send names an id of the person, and the number of somebody else.
        assert_eq!((erased.rows(), erased.redacted(), erased.people), (10, 2, 2));
        let left: Vec<String> = TABLES
            .iter()
            .filter(|table| ["sessions", "deployments", "identities"].contains(&table.name))
            .flat_map(|table| bench.rows(table))
            .collect();
        assert_eq!(left.len(), 2 + 1 + 1, "{left:?}");
        let text = left.join("\n");
        assert!(text.contains("ask [erased] or [erased]"), "{text}");
        assert!(![one, two, a, b].iter().any(|person| text.contains(person)), "{text}");
        assert!(bench.lake().erase(asked, Options::default()).unwrap().is_nothing());
    }
}

#[test]
fn a_user_id_without_links_is_erased_alone() {
    let bench = Bench::new();
    lake(&bench);
    let said = bench.run(&format!("erase --lake lake --user-id {} --dry-run --json", IDS[2]));
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.out.contains(&format!("\"linked\":[\"{}\"]", IDS[2])), "{}", said.out);
    let said = bench.run(&format!("erase --lake lake --user-id {} --dry-run", IDS[0]));
    let [one, two] = NUMBERS;
    let [a, b, _] = IDS;
    let linked = format!("linked by identities: {one}, {two}, {a}, {b}\n");
    assert!(said.err.ends_with(&linked), "{}", said.err);
    let (error, code) = bench.failure("erase --lake lake --user-id 573005550101 --yes");
    assert_eq!(code, 2);
    assert!(error.contains("that is no user id"), "{error}");
    let (_, code) = bench.failure("erase --lake lake --yes");
    assert_eq!(code, 2);
}

#[test]
fn all_that_links_lead_to_is_kept_out() {
    let bench = Bench::new();
    lake(&bench);
    let options = Options { keep_out: true, ..Options::default() };
    bench.lake().erase(NUMBERS[0], options).unwrap();
    let [one, two] = NUMBERS;
    let [a, b, c] = IDS;
    let report = bench.load(
        "again.csv",
        format!(
            "session_id,session_started_timestamp,user_cellphone,user_id\n\
             t1,2025-06-05T10:00:00Z,{one},\nt2,2025-06-05T10:00:00Z,{two},{c}\n\
             t3,2025-06-05T10:00:00Z,,{a}\nt4,2025-06-05T10:00:00Z,573005550109,{b}\n\
             t5,2025-06-05T10:00:00Z,,{c}\n"
        ),
    );
    assert_eq!(report.total(|file| file.rows_kept_out), 4);
}

#[test]
fn what_links_lead_to_from_an_erased_person_is_kept_out() {
    const HEADER: &str = "user_id,linked,first_seen\n";
    let [one, two] = NUMBERS;
    let [a, b, c] = IDS;
    let messages = |id: &str, from: &str| format!("{id},{from},2025-06-05T10:00:00Z,incoming\n");
    let titles = "whatsapp_id,from,created_at,message_direction\n";
    // A person's messages under ids that only links of the same load tell, and those of another person.
    let all = [messages("w1", b), messages("w2", two), messages("w3", c)].concat();
    let files = [
        ("messages.csv", format!("{titles}{all}")),
        ("links.csv", format!("{HEADER}{b},{two},\n{c},573005550107,\n{b},{a},\n{a},{one},\n")),
        ("bad.csv", format!("{HEADER}{b},{two},soon\n{c},573005550107,soon\n")),
    ];
    for order in [[0, 1, 2], [2, 1, 0]] {
        let bench = Bench::new();
        bench.load("first.csv", format!("{HEADER}{a},{one},\n"));
        let keeping = Options { keep_out: true, ..Options::default() };
        bench.lake().erase(a, keeping).unwrap();
        let paths = order.map(|at| bench.file(files[at].0, &files[at].1));
        let report = load(&bench.lake(), &paths, &LoadOptions::default()).unwrap();
        assert_eq!(report.total(|file| file.rows_kept_out), 2 + 3 + 1);
        assert_eq!(report.total(|file| file.rows_rejected), 1);
        let left = || {
            let tables = [&identities::TABLE, &messages::TABLE];
            let rows = tables.map(|table| bench.rows(table)).concat();
            (rows.len(), rows.join("\n"))
        };
        assert_eq!(left().0, 2);
        assert!(left().1.contains(c) && ![one, two, a, b].iter().any(|id| left().1.contains(id)));
        // The list has them now.
        let rows = [messages("w4", b), messages("w5", two), messages("w6", c)].concat();
        let report = bench.load("later.csv", format!("{titles}{rows}"));
        assert_eq!(report.total(|file| file.rows_kept_out), 2);
        assert_eq!(left().0, 3);
    }
}

#[test]
fn a_user_id_is_called_so() {
    let bench = Bench::new();
    lake(&bench);
    let said = bench.run("erase --lake lake --user-id CO.404 --yes");
    assert_eq!((said.code, said.out.as_str()), (0, "the lake has no rows of that person\n"));
    bench.load(
        "texts.csv",
        "session_id,session_started_timestamp,user_cellphone,last_message\n\
         s7,2025-06-03T10:00:00Z,MX.71,\ns8,2025-06-03T10:00:00Z,573005550109,ask MX.71\n",
    );
    let said = bench.run("erase --lake lake --user-id MX.71 --yes");
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.err.contains("the user id in 1 row of others"), "{}", said.err);
}
