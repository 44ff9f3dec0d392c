//! People without a number: user ids in every table, and the links between them.

use wabalake_data::cells::LostDigits;
use wabalake_data::tables::{
    agent_chats, audience_tags, closures, conversions, deployments, events, identities, messages,
    sessions, variables,
};
use wabalake_data::{TABLES, Table};

use crate::support::{Bench, total};

const ID: &str = "CO.13491208655302741918";

#[test]
fn pairs_of_identities_are_folded_and_move_to_their_first_day() {
    let header = "BSUID,linked,first_seen,last_seen\n";
    let first = format!(
        "{header}\
         CO.1,+57 300 555 0101,2025-06-03,2025-06-04\n\
         CO.2,CO.1,,\n\
         CO.3,CO.3,2025-06-01,\n\
         ,573005550101,,\n\
         co.4,573005550101,,\n\
         CO.5,co.4,,\n\
         CO.6,2025,,\n"
    );
    let earlier = format!("{header}CO.1,573005550101,2025-06-01,2025-06-01\n");
    let later = format!("{header}CO.1,573005550101,2025-06-09,2025-06-09\nCO.2,CO.1,2025-06-02,\n");

    let bench = Bench::new();
    let report = bench.load("first.csv", &first);
    assert_eq!(total(&report), [7, 2, 0, 0, 0, 5, 0]);
    let rows = || {
        let found = bench.rows(&identities::TABLE).into_iter();
        found.map(|row| row.replace(" 00:00:00.000000Z", "")).collect::<Vec<_>>()
    };
    assert_eq!(
        rows(),
        ["CO.1|573005550101|phone|2025-06-03|2025-06-04|2025-06-03", "CO.2|CO.1|user|||"]
    );
    assert_eq!(total(&bench.load("earlier.csv", &earlier)), [1, 0, 1, 0, 0, 0, 0]);
    assert_eq!(rows()[0], "CO.1|573005550101|phone|2025-06-01|2025-06-04|2025-06-01");
    assert_eq!(total(&bench.load("later.csv", &later)), [2, 0, 2, 0, 0, 0, 0]);
    let folded = [
        "CO.1|573005550101|phone|2025-06-01|2025-06-09|2025-06-01",
        "CO.2|CO.1|user|2025-06-02||2025-06-02",
    ];
    assert_eq!(rows(), folded);
    // Loaded again in other files, they change nothing.
    let version = bench.lake().snapshot(&identities::TABLE).unwrap().files;
    let again = format!("{earlier}CO.2,CO.1,,\nCO.1,573005550101,2025-06-05,\n");
    let report = bench.load("again.csv", &again);
    assert_eq!(total(&report), [3, 0, 0, 2, 0, 0, 0]);
    assert_eq!(report.total(|file| file.rows_folded), 1);
    assert_eq!(bench.lake().snapshot(&identities::TABLE).unwrap().files, version);

    for order in
        [[&earlier, &later, &first], [&later, &earlier, &first], [&later, &first, &earlier]]
    {
        let other = Bench::new();
        for (place, text) in order.into_iter().enumerate() {
            other.load(&format!("{place}.csv"), text);
        }
        assert_eq!(other.rows(&identities::TABLE), bench.rows(&identities::TABLE));
    }
}

/// The number, user id, country and validity of the only row of a table.
fn person(bench: &Bench, table: &'static Table) -> String {
    let country = table.position(sessions::COUNTRY).map(|_| sessions::COUNTRY);
    let names = [sessions::USER_PHONE, sessions::USER_ID, "user_phone_valid"];
    let names: Vec<&str> = names.into_iter().chain(country).collect();
    let rows = bench.columns(table, &names, "|");
    assert_eq!(rows.len(), 1, "{}", table.name);
    rows[0].clone()
}

/// An export of each table with people: titles, the title of its number, a row without it.
const EXPORTS: [(&Table, &str, &str, &str); 9] = [
    (
        &sessions::TABLE,
        "session_id,session_started_timestamp",
        "user_cellphone",
        "s1,2025-06-01T10:00:00Z",
    ),
    (
        &deployments::TABLE,
        "conversation_id,deployment_timestamp,delivery_status",
        "user_cellphone",
        "7,2025-06-01T10:00:00Z,Sent",
    ),
    (
        &messages::TABLE,
        "whatsapp_id,message_direction,created_at,COUNTRY",
        "from",
        "m1,incoming,2025-06-01T10:00:00Z,Peru",
    ),
    (&closures::TABLE, "event_id,session_id,closed_at", "cellphone", "e1,s1,2025-06-01T10:00:00Z"),
    (&agent_chats::TABLE, "agent,created_at", "phone", "Alba,2025-06-01T10:00:00Z"),
    (&events::TABLE, "source,event,at", "user_phone", "meta,account,2025-06-01T10:00:00Z"),
    (&conversions::TABLE, "conversion_id,converted_at", "phone", "c1,2025-06-01T10:00:00Z"),
    (&audience_tags::TABLE, "tag", "phone", "vip"),
    (&variables::TABLE, "name,value", "phone", "city,Bogotá"),
];

#[test]
fn a_user_id_in_the_cell_of_a_number_is_no_number() {
    assert_eq!(
        EXPORTS.map(|(table, ..)| table.name).to_vec(),
        TABLES
            .iter()
            .filter(|table| table.has_people())
            .map(|table| table.name)
            .collect::<Vec<_>>()
    );
    for (table, titles, number, row) in EXPORTS {
        let of_country = |country: &str| match table.position(sessions::COUNTRY) {
            Some(_) => format!("|{country}"),
            None => String::new(),
        };
        let of = |text: String| {
            let bench = Bench::new();
            bench.load("a.csv", &text);
            (person(&bench, table), bench)
        };
        let of_id = format!("|{ID}|{}", of_country("CO"));
        let (found, bench) = of(format!("{titles},{number}\n{row},{ID}\n"));
        assert_eq!(found, of_id, "{}", table.name);
        let (found, _) = of(format!("{titles},{number},bsuid\n{row},,{ID}\n"));
        assert_eq!(found, of_id, "{}", table.name);
        // A row with the same key is the same row, whichever column has the id.
        bench.load("b.csv", format!("{titles},{number},user_id\n{row},-,{ID}\n"));
        assert_eq!(person(&bench, table), of_id, "{}", table.name);
        // A number is the person, and what is not Meta's id is none.
        let (found, _) = of(format!("{titles},{number},user_id\n{row},573005550101,{ID}\n"));
        let expected = format!("573005550101|{ID}|true{}", of_country("CO"));
        assert_eq!(found, expected, "{}", table.name);
        let (found, _) = of(format!("{titles},{number},user_id\n{row},573005550101,42\n"));
        let expected = format!("573005550101||true{}", of_country("CO"));
        assert_eq!(found, expected, "{}", table.name);
    }
}

#[test]
fn a_person_is_required_where_the_number_was() {
    for (table, titles, number, row) in EXPORTS.iter().filter(|export| export.0.requires_person()) {
        let bench = Bench::new();
        let text = format!("{titles},{number},user_id\n{row},,\n{row},,42\n{row},,{ID}\n");
        assert_eq!(total(&bench.load("a.csv", &text)), [3, 1, 0, 0, 2, 0, 0], "{}", table.name);
        let column = if *number == "phone" { "user_phone" } else { number };
        let reason = format!("{column}: a phone number or a user id is missing");
        let rejects = bench.rejects();
        assert!(rejects.iter().all(|reject| reject.ends_with(&reason)), "{rejects:?}");
    }
    let requiring = EXPORTS.iter().filter(|export| export.0.requires_person());
    assert_eq!(requiring.count(), 3);
}

#[test]
fn links_of_which_none_is_usable_are_an_error() {
    let bench = Bench::new();
    let refused = |name: &str, rows: &str| {
        let error = bench.try_load(name, format!("user_id,linked\n{rows}")).unwrap_err();
        assert_eq!(error.exit_code(), 1);
        error.lines()
    };
    let error = refused("rounded.csv", "CO.1,5.73E+11\nCO.2,5.73E+11\nCO.3,\n");
    assert!(error.contains("none of the 3 records of `rounded.csv` is valid"), "{error}");
    let lost = LostDigits::REASON;
    assert_eq!(bench.rejects(), [format!("1@2 linked: {lost}"), format!("2@3 linked: {lost}")]);
    let error = refused("words.csv", "CO.1,hello\n");
    assert!(error.contains("found: 1 pair that links nothing"), "{error}");
    let report = bench.load("some.csv", "user_id,linked\nCO.1,hello\nCO.1,573005550101\n");
    assert_eq!(total(&report), [2, 1, 0, 0, 0, 1, 0]);
    assert_eq!(total(&bench.load("none.csv", "user_id,linked\n")), [0; 7]);
}
