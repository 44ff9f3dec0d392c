//! What holds for the catalog itself.

use std::collections::BTreeMap;
use std::path::Path;

use clap::Command;
use polars::prelude::DataType;
use wabalake_data::{Meaning, TABLES};
use wabalake_queries::CATALOG;
use wabalake_queries::query::{CatalogEntry, Tables, Type};

use crate::golden;

#[test]
fn names_are_sorted_and_unique() {
    assert!(CATALOG.is_sorted_by(|entry, next| entry.spec.name < next.spec.name));
}

#[test]
fn every_folder_is_a_room_and_every_room_has_its_folder() {
    let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = std::fs::read_dir(crate_folder).unwrap().map(|entry| entry.unwrap().path());
    let mut entries: Vec<String> = folders
        .filter(|folder| folder.join("twin.sql").exists())
        .map(|folder| folder.file_name().unwrap().to_str().unwrap().to_owned())
        .collect();
    entries.sort();
    let named: Vec<String> = CATALOG.iter().map(|entry| entry.spec.folder()).collect();
    assert_eq!(entries, named);
}

#[test]
fn cards_name_columns_that_there_are() {
    for CatalogEntry { spec, .. } in CATALOG {
        assert!(!spec.title.ends_with('.'), "{}: a title has no full stop", spec.name);
        assert!(spec.question.contains('?'), "{}: a question asks", spec.name);
        assert!(!spec.reads.is_empty(), "{}", spec.name);
        let has = |name: &str| spec.columns.iter().any(|column| column.name == name);
        assert!(spec.key.iter().all(|name| has(name)), "{}: {:?}", spec.name, spec.key);
        assert!(spec.order.iter().all(|by| has(by.column())), "{}: {:?}", spec.name, spec.order);
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
    for entry in CATALOG {
        for case in golden::cases(entry) {
            for column in golden::ask(entry, &case.arguments).columns() {
                let (name, meaning) = (column.name, column.meaning);
                if column.of == Type::Text {
                    assert!(is_marked(name, meaning), "{}: {name}", entry.spec.name);
                    let stored = people_and_lines.get(name).copied().unwrap_or(meaning);
                    assert_eq!(meaning, stored, "{}: {name}", entry.spec.name);
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
    for entry in CATALOG {
        entry.command().debug_assert();
        let help = entry.command().render_long_help().to_string();
        assert!(help.contains("--timezone"), "{}: {help}", entry.spec.name);
        for argument in entry.command().get_arguments() {
            assert!(argument.get_help().is_some(), "{}: {argument}", entry.spec.name);
        }
        let example: Vec<&str> = entry.spec.example.split_whitespace().collect();
        let question = golden::ask(entry, &example);
        golden::answer(&question, &Tables::new());
    }
}

#[test]
fn orders_are_total() {
    for entry in CATALOG {
        let question = golden::ask(entry, &entry.needs());
        let columns: Vec<&str> = question.order().iter().map(|by| by.column()).collect();
        assert!(question.key().iter().all(|key| columns.contains(key)), "{}", entry.spec.name);
        let once = |at: usize| !columns[..at].contains(&columns[at]);
        assert!((0..columns.len()).all(once), "{}: {columns:?}", entry.spec.name);
    }
}

#[test]
fn twins_are_filled_in_entirely() {
    for entry in CATALOG {
        for case in golden::cases(entry) {
            let question = golden::ask(entry, &case.arguments);
            let twin = question.bindings().fill_slots(entry.spec.sql);
            for name in question.bindings().names() {
                let parameter = format!(":{name}");
                assert!(
                    twin.contains(&parameter) || name == "timezone",
                    "{}: `{parameter}` is bound and not used",
                    entry.spec.name
                );
            }
            let sql = question.sql();
            assert!(!sql.contains(['{', '}']), "{}: {sql}", entry.spec.name);
            let statement: String = sql
                .lines()
                .filter(|line| !line.trim_start().starts_with("--"))
                .flat_map(|line| line.split('\'').step_by(2))
                .collect();
            assert!(!statement.contains(':'), "{}: {statement}", entry.spec.name);
            for hidden in ["utc_day", "user_key", "session_key", "message_key", "conversion_key"] {
                assert!(!sql.contains(hidden), "{}: `{hidden}` in a twin", entry.spec.name);
            }
            for word in sql.split(|c: char| !c.is_alphanumeric() && c != '_') {
                let of_another = TABLES
                    .iter()
                    .any(|table| table.name == word && !entry.spec.reads.contains(table));
                assert!(
                    !of_another || !sql.contains(&format!("FROM {word}")),
                    "{}: its twin reads `{word}`",
                    entry.spec.name
                );
            }
        }
    }
}

fn fault(arguments: &[&str]) -> String {
    let entry = CATALOG.iter().find(|entry| entry.spec.name == "drop-off").unwrap();
    let words = std::iter::once("drop-off").chain(arguments.iter().copied());
    let command: Command = entry.command();
    let asked = command.try_get_matches_from(words).and_then(|matches| entry.ask(&matches));
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
