//! What holds for the catalog itself.

use std::collections::BTreeMap;
use std::path::Path;

use clap::Command;
use polars::prelude::DataType;
use wabalake_data::{Meaning, TABLES};
use wabalake_queries::CATALOG;
use wabalake_queries::query::{Room, Tables, Type};

use crate::golden;

#[test]
fn names_are_sorted_and_unique() {
    assert!(CATALOG.is_sorted_by(|room, next| room.card.name < next.card.name));
}

#[test]
fn every_folder_is_a_room_and_every_room_has_its_folder() {
    let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = std::fs::read_dir(crate_folder).unwrap().map(|entry| entry.unwrap().path());
    let mut rooms: Vec<String> = folders
        .filter(|folder| folder.join("twin.sql").exists())
        .map(|folder| folder.file_name().unwrap().to_str().unwrap().to_owned())
        .collect();
    rooms.sort();
    let named: Vec<String> = CATALOG.iter().map(|room| room.card.folder()).collect();
    assert_eq!(rooms, named);
}

#[test]
fn cards_name_columns_that_there_are() {
    for Room { card, .. } in CATALOG {
        assert!(!card.title.ends_with('.'), "{}: a title has no full stop", card.name);
        assert!(card.question.contains('?'), "{}: a question asks", card.name);
        assert!(!card.reads.is_empty(), "{}", card.name);
        let has = |name: &str| card.columns.iter().any(|column| column.name == name);
        assert!(card.key.iter().all(|name| has(name)), "{}: {:?}", card.name, card.key);
        assert!(card.order.iter().all(|by| has(by.column())), "{}: {:?}", card.name, card.order);
    }
}

/// Whether a column of texts says what it is, and no less than its name does.
fn is_marked(name: &str, meaning: Option<Meaning>) -> bool {
    let parts: Vec<&str> = name.split('_').collect();
    let is_of = |words: &[&str]| parts.iter().any(|part| words.contains(part));
    match meaning {
        Some(Meaning::Person | Meaning::Line) => true,
        // A dialling code is nobody's.
        _ if is_of(&["user", "phone", "cellphone", "number", "line"])
            && !is_of(&["code", "name"]) =>
        {
            false
        }
        _ if ["from", "to"].contains(&name) => false,
        Some(Meaning::Written) => true,
        _ => !name.ends_with("message") && !name.ends_with("display_name") && meaning.is_some(),
    }
}

#[test]
fn every_text_of_a_table_and_of_an_answer_says_what_it_is() {
    let mut people_and_lines = BTreeMap::new();
    for table in TABLES {
        for column in table.cells().filter(|column| column.data_type() == DataType::String) {
            let meaning = column.meaning();
            assert!(is_marked(column.name, meaning), "{}: {}", table.name, column.name);
            if matches!(meaning, Some(Meaning::Person | Meaning::Line)) {
                people_and_lines.insert(column.name, meaning);
            }
        }
    }
    for room in CATALOG {
        for case in golden::cases(room) {
            for column in golden::ask(room, &case.arguments).columns() {
                let (name, meaning) = (column.name, column.meaning);
                if column.of == Type::Text {
                    assert!(is_marked(name, meaning), "{}: {name}", room.card.name);
                    let stored = people_and_lines.get(name).copied().unwrap_or(meaning);
                    assert_eq!(meaning, stored, "{}: {name}", room.card.name);
                }
            }
        }
    }
    // The check itself.
    for (name, meaning) in [
        ("note", None),
        ("buyer_phone", Some(Meaning::Term)),
        ("user_id", Some(Meaning::Written)),
        ("last_message", Some(Meaning::Term)),
    ] {
        assert!(!is_marked(name, meaning), "{name}");
    }
}

#[test]
fn help_and_examples_hold() {
    for room in CATALOG {
        room.command().debug_assert();
        let help = room.command().render_long_help().to_string();
        assert!(help.contains("--timezone"), "{}: {help}", room.card.name);
        for argument in room.command().get_arguments() {
            assert!(argument.get_help().is_some(), "{}: {argument}", room.card.name);
        }
        let example: Vec<&str> = room.card.example.split_whitespace().collect();
        let question = golden::ask(room, &example);
        golden::answer(&question, &Tables::new());
    }
}

#[test]
fn orders_are_total() {
    for room in CATALOG {
        let question = golden::ask(room, &room.needs());
        let columns: Vec<&str> = question.order().iter().map(|by| by.column()).collect();
        assert!(question.key().iter().all(|key| columns.contains(key)), "{}", room.card.name);
        let once = |at: usize| !columns[..at].contains(&columns[at]);
        assert!((0..columns.len()).all(once), "{}: {columns:?}", room.card.name);
    }
}

#[test]
fn twins_are_filled_in_entirely() {
    for room in CATALOG {
        for case in golden::cases(room) {
            let question = golden::ask(room, &case.arguments);
            let twin = question.bindings().fill_slots(room.card.sql);
            for name in question.bindings().names() {
                let parameter = format!(":{name}");
                assert!(
                    twin.contains(&parameter) || name == "timezone",
                    "{}: `{parameter}` is bound and not used",
                    room.card.name
                );
            }
            let sql = question.sql();
            assert!(!sql.contains(['{', '}']), "{}: {sql}", room.card.name);
            let statement: String = sql
                .lines()
                .filter(|line| !line.trim_start().starts_with("--"))
                .flat_map(|line| line.split('\'').step_by(2))
                .collect();
            assert!(!statement.contains(':'), "{}: {statement}", room.card.name);
            for hidden in ["utc_day", "user_key", "session_key", "message_key", "conversion_key"] {
                assert!(!sql.contains(hidden), "{}: `{hidden}` in a twin", room.card.name);
            }
            for word in sql.split(|c: char| !c.is_alphanumeric() && c != '_') {
                let of_another = TABLES
                    .iter()
                    .any(|table| table.name == word && !room.card.reads.contains(table));
                assert!(
                    !of_another || !sql.contains(&format!("FROM {word}")),
                    "{}: its twin reads `{word}`",
                    room.card.name
                );
            }
        }
    }
}

fn fault(arguments: &[&str]) -> String {
    let room = CATALOG.iter().find(|room| room.card.name == "drop-off").unwrap();
    let words = std::iter::once("drop-off").chain(arguments.iter().copied());
    let command: Command = room.command();
    let asked = command.try_get_matches_from(words).and_then(|matches| room.ask(&matches));
    asked.unwrap_err().to_string()
}

#[test]
fn usage_errors_name_what_was_probably_meant() {
    let cases: [(&[&str], &str); 6] = [
        (&["--timezone", "America/Bogotá"], "did you mean `America/Bogota`?"),
        (&["--timezone", "europe/madird"], "did you mean `Europe/Madrid`?"),
        (&["--from", "2025-06-31"], "did you mean `2025-06-30`?"),
        (&["--fron", "2025-06-30"], "--from"),
        (&["--conversation-version", "two"], "not a whole number"),
        (&["--from", "2025-06-02", "--to", "2025-06-01"], "`--from 2025-06-01 --to 2025-06-02`"),
    ];
    for (arguments, hint) in cases {
        let fault = fault(arguments);
        assert!(fault.contains(hint), "{fault}");
    }
}
