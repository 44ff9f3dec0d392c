//! Generated loads with persons kept out give the lake of loads without their rows.

use std::collections::BTreeSet;

use proptest::prelude::*;
use wabalake::load::{self, load};
use wabalake_data::TABLES;

use super::keep_out::{keep_out, kept_out, open_rejects};
use crate::support::{Bench, stored};

/// A generated row: table, session, the person it names, and a number.
type Made = (usize, Option<usize>, Option<usize>, u32);

const PEOPLE: usize = 4;
const SESSIONS: usize = 7;

/// Session N belongs to person N modulo [`PEOPLE`]; `true` if its rows name that person.
fn says_whose(session: usize) -> bool {
    session % 3 != 2
}

fn row() -> impl Strategy<Value = Made> {
    let session = prop::option::weighted(0.8, 0..SESSIONS);
    let row = (0..6usize, session, prop::option::weighted(0.6, any::<bool>()), 0..PEOPLE, 0..40u32);
    row.prop_map(|(table, session, whose, other, number)| {
        let own = session.map(|session| session % PEOPLE);
        // A few rows name a session of another person.
        let odd = number == 0;
        let person = match whose {
            Some(_) if !odd => own.or(Some(other)),
            Some(_) => Some(other),
            None => None,
        };
        match table {
            0 | 5 => {
                let session = session.unwrap_or(other);
                let person = says_whose(session).then_some(session % PEOPLE);
                (table, Some(session), person, number)
            }
            1 => (table, session, person.or(Some(other)), number),
            _ => (table, session, person, number),
        }
    })
}

/// The rows of a table as an export.
fn export(load: usize, table: usize, rows: &[&Made]) -> (&'static str, String) {
    const CELLS: [&str; PEOPLE] =
        ["57,3005550101", "57,+57 300 555 0102", "52,19991234567", ",551181234567"];
    const FULL: [&str; PEOPLE] =
        ["573005550101", "+57 (300) 555-0102", "5219991234567", "5511981234567"];
    let (name, header) = [
        ("s.csv", "session_id,session_started_timestamp,user_country_code,user_cellphone"),
        (
            "d.csv",
            "session_id,user_country_code,user_cellphone,conversation_id,delivery_status,deployment_timestamp",
        ),
        ("v.csv", "session_id,phone,conversion_id,converted_at"),
        ("c.csv", "session_id,country_code,cellphone,event_id,event_type,closed_at"),
        ("a.csv", "session_id,phone,name,value,at"),
        ("b.csv", "session_id,session_started_timestamp,user_country_code,user_cellphone"),
    ][table];
    // An extra column makes files differ; a good row keeps a load from failing.
    let good = [
        "ok,2025-06-01 10:00:00,57,3005550109,",
        "ok,57,3005550109,0,Sent,2025-06-01 10:00:00,",
        "ok,573005550109,ok,2025-06-01 10:00:00,",
        "ok,57,3005550109,ok,session.close,2025-06-01 10:00:00,",
        "ok,573005550109,ok,x,2025-06-01 10:00:00,",
        "ok,2025-06-01 10:00:00,57,3005550109,",
    ][table];
    let mut text = format!("{header},load_{load}\n{good}\n");
    for (_, session, person, number) in rows {
        let id = session.map(|session| format!("s{session}")).unwrap_or_default();
        let cells = person.map_or(",", |person| CELLS[person]);
        let full = person.map_or("", |person| FULL[person]);
        let at = format!("2025-06-0{} 10:00:00", number % 3 + 1);
        let line = match table {
            0 => format!("{id},2025-06-01 10:00:00,{cells},"),
            1 => format!("{id},{cells},{number},Sent,{at},"),
            2 => format!("{id},{full},v{number}-{id}-{full},{at},"),
            3 => format!("{id},{cells},e{number}-{id}-{full},session.close,{at},"),
            4 => format!("{id},{full},n{number},x,{at},"),
            _ => format!("{id},day {number},{cells},"),
        };
        text.push_str(&line);
        text.push('\n');
    }
    (name, text)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4, ..ProptestConfig::default() })]

    /// Loads with persons kept out give the lake of loads without their rows.
    #[test]
    fn lake_equals_one_loaded_without_the_persons(
        loads in prop::collection::vec(prop::collection::vec(row(), 1..25), 1..4),
        gone in prop::collection::btree_set(0..PEOPLE, 1..3),
        memory in prop::sample::select(vec![2_000usize, 96 << 20]),
    ) {
        let bench = Bench::new();
        let (lake, never) = (bench.lake(), bench.lake_at("never"));
        for person in &gone {
            let phones = ["573005550101", "573005550102", "529991234567", "5511981234567"];
            keep_out(&lake, phones[*person]);
        }
        let options = load::Options { memory, ..load::Options::default() };
        let is_gone = |person: &Option<usize>| person.is_some_and(|person| gone.contains(&person));
        let (mut theirs, mut of_others) = (BTreeSet::new(), BTreeSet::new());
        for (number, load_rows) in loads.iter().enumerate() {
            for (table, session, person, _) in load_rows {
                if *table == 0 && person.is_some() && !is_gone(person) {
                    of_others.extend(*session);
                }
            }
            for (_, session, person, _) in load_rows {
                let session = session.filter(|session| !of_others.contains(session));
                if is_gone(person) {
                    theirs.extend(session);
                }
            }
            let stays = |row: &&Made| match row {
                (_, _, Some(_), _) => !is_gone(&row.2),
                (_, session, None, _) => session.is_none_or(|session| !theirs.contains(&session)),
            };
            let mut expected = 0;
            for (whole, lake) in [(true, &lake), (false, &never)] {
                let mut files = Vec::new();
                for table in 0..6 {
                    let rows = load_rows.iter().filter(|row| row.0 == table);
                    let rows: Vec<&Made> = rows.filter(|row| whole || stays(row)).collect();
                    let (name, text) = export(number, table, &rows);
                    if !load_rows.iter().any(|row| row.0 == table) {
                        continue;
                    }
                    files.push(bench.file(&format!("{whole}{number}/{name}"), text));
                }
                if number % 2 == 1 {
                    files.reverse();
                }
                if !files.is_empty() {
                    let report = load(lake, &files, &options).unwrap();
                    if whole {
                        expected = kept_out(&report);
                    }
                }
            }
            let out = load_rows.iter().filter(|row| !stays(row)).count() as u64;
            prop_assert_eq!(expected, out, "{:?}", load_rows);
            for table in TABLES {
                prop_assert_eq!(stored(&lake, table), stored(&never, table), "{}", table.name);
            }
            prop_assert_eq!(open_rejects(&lake), open_rejects(&never));
        }
    }
}
