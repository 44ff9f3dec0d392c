//! Properties of the specs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use chrono::NaiveDate;
use chrono_tz::Tz;
use polars::prelude::DataType;
use wabalake_data::tables::{audience_tags, markets, rates};
use wabalake_data::{Meaning, TABLES, Table};
use wabalake_queries::CATALOG;
use wabalake_queries::query::usage::invalid_of;
use wabalake_queries::query::{CatalogEntry, Defaults, Question, Tables, Type};

use crate::golden;

#[test]
fn names_are_sorted_and_unique() {
    assert!(CATALOG.is_sorted_by(|entry, next| entry.spec.name < next.spec.name));
}

#[test]
fn every_folder_is_a_query_and_every_query_has_its_folder() {
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
fn specs_name_existing_columns() {
    for CatalogEntry { spec, .. } in CATALOG {
        assert!(!spec.title.ends_with('.'), "{}: a title has no full stop", spec.name);
        assert!(spec.question.contains('?'), "{}: a question has a question mark", spec.name);
        assert!(!spec.reads.is_empty(), "{}", spec.name);
        let has = |name: &str| spec.columns.iter().any(|column| column.name == name);
        assert!(spec.key.iter().all(|name| has(name)), "{}: {:?}", spec.name, spec.key);
        assert!(spec.order.iter().all(|by| has(by.column())), "{}: {:?}", spec.name, spec.order);
    }
}

/// Returns `true` if a text column has a meaning that its name does not contradict.
fn is_marked(name: &str, meaning: Option<Meaning>) -> bool {
    let parts: Vec<&str> = name.split('_').collect();
    let is_of = |words: &[&str]| parts.iter().any(|part| words.contains(part));
    match meaning {
        Some(Meaning::Person | Meaning::Line) => true,
        // A dialling code identifies nobody.
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
fn every_text_column_has_a_meaning() {
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
    // A test of `is_marked`.
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
fn columns_of_what_people_wrote_are_known() {
    let is_of_people = |name: &str, meaning: Option<Meaning>| {
        meaning == Some(Meaning::Written) && Meaning::Written.is_personal(name)
    };
    let stored = TABLES.iter().flat_map(|table| table.columns);
    let stored = stored.map(|column| (column.name, column.meaning()));
    let answered = CATALOG.iter().flat_map(|entry| entry.spec.columns);
    let answered = answered.map(|column| (column.name, column.meaning));
    let found: BTreeSet<&str> = stored
        .chain(answered)
        .filter(|(name, meaning)| is_of_people(name, *meaning))
        .map(|(name, _)| name)
        .collect();
    // Whoever adds one decides whether it is the business that writes it.
    assert_eq!(
        found.into_iter().collect::<Vec<_>>(),
        [
            "agent",
            "button_payload",
            "detail",
            "example",
            "first_message",
            "last_message",
            "last_transfer_from",
            "message",
            "reaction",
            "value",
            "variables",
        ],
    );
}

#[test]
fn help_is_complete_and_examples_run() {
    for entry in CATALOG {
        entry.command().debug_assert();
        let help = entry.command().render_long_help().to_string();
        assert!(help.contains("--timezone"), "{}: {help}", entry.spec.name);
        for argument in entry.command().get_arguments() {
            assert!(argument.get_help().is_some(), "{}: {argument}", entry.spec.name);
        }
        let question = golden::ask(entry, entry.spec.example);
        golden::answer(&question, &Tables::new());
    }
}

#[test]
fn no_two_rows_are_equal_in_the_order() {
    for entry in CATALOG {
        let question = golden::ask(entry, &entry.needs());
        let columns: Vec<&str> = question.order().iter().map(|by| by.column()).collect();
        assert!(question.key().iter().all(|key| columns.contains(key)), "{}", entry.spec.name);
        let once = |at: usize| !columns[..at].contains(&columns[at]);
        assert!((0..columns.len()).all(once), "{}: {columns:?}", entry.spec.name);
    }
}

#[test]
fn every_parameter_and_slot_of_a_twin_is_filled() {
    for entry in CATALOG {
        for case in golden::cases(entry) {
            let question = golden::ask(entry, &case.arguments);
            let twin = question.twin();
            for name in question.bindings().names() {
                let parameter = format!(":{name}");
                // The people behind a number are of rows that fewer parameters choose.
                let names_people = case.arguments.iter().any(|word| word == "--people");
                assert!(
                    twin.contains(&parameter) || name == "timezone" || names_people,
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

/// Tags, prices and what else only some options need is read for these. Then the twin names the tables.
#[test]
fn tables_of_options_are_read_if_the_twin_names_them() {
    let of_options = [&audience_tags::TABLE, &rates::TABLE, &markets::TABLE];
    let asked = |entry: &CatalogEntry, words: &[&str]| {
        let words = [&entry.needs()[..], words].concat();
        entry.ask_for(words, &Defaults::default()).ok()
    };
    let (mut read, mut unread) = (0, 0);
    for entry in CATALOG {
        let people = ["--people", "--with-people"];
        let options = [&["--tag=vip"][..], &["--by=tag"], &["--cost"], &["--cost=utility"]];
        let of_prices = [
            &["--cost=matched"][..],
            &["--cost", "--entry-point=window"],
            &["--entry-point=window"],
        ];
        let of_answers = options.iter().chain(&of_prices).filter_map(|words| asked(entry, words));
        let of_people =
            options.iter().filter_map(|words| asked(entry, &[*words, &people[..]].concat()));
        let cases = golden::cases(entry);
        let cases = cases.iter().map(|case| golden::ask(entry, &case.arguments));
        let questions: Vec<Question> = cases.chain(of_answers).chain(of_people).collect();
        let reads: Vec<Vec<&Table>> = questions.iter().map(Question::reads).collect();
        let is_optional = |table: &&'static Table| {
            of_options.contains(table) || reads.iter().any(|reads| !reads.contains(table))
        };
        for (question, reads) in questions.iter().zip(&reads) {
            let twin = question.twin();
            let names = |table: &Table| {
                twin.split(|c: char| !c.is_alphanumeric() && c != '_').any(|w| w == table.name)
            };
            let needed = |table: &&&'static Table| !is_optional(table) || names(table);
            let expected: Vec<&Table> = entry.spec.reads.iter().filter(needed).copied().collect();
            assert_eq!(*reads, expected, "{} {question:?}", entry.spec.name);
            read += usize::from(expected.iter().any(|table| of_options.contains(table)));
            unread += entry.spec.reads.len() - expected.len();
        }
    }
    assert!(read > 50 && unread > 50, "{read} {unread}");
}

fn fault(arguments: &[&str]) -> String {
    let entry = CATALOG.iter().find(|entry| entry.spec.name == "drop-off").unwrap();
    let error = entry.ask_for(arguments, &Defaults::default()).unwrap_err();
    let hint = invalid_of(&error).and_then(|invalid| invalid.hint).unwrap_or_default();
    format!("{error}{hint}")
}

#[test]
fn defaults_apply_to_options_that_were_not_typed() {
    let entry = CATALOG.iter().find(|entry| entry.spec.name == "drop-off").unwrap();
    let date = |day| NaiveDate::from_ymd_opt(2025, 6, day);
    let defaults = Defaults { timezone: Tz::America__Bogota, from: date(1), ..Defaults::default() };
    let asked = |arguments: &[&str]| entry.ask_for(arguments, &defaults).unwrap();
    let question = asked(&[]);
    assert_eq!((question.timezone(), question.dates()), (Tz::America__Bogota, (date(1), None)));
    let question = asked(&["--timezone=UTC", "--from=2025-06-02", "--to=2025-06-03"]);
    assert_eq!((question.timezone(), question.dates()), (Tz::UTC, (date(2), date(3))));
    let late = Defaults { from: date(3), ..defaults };
    assert!(entry.ask_for(["--to=2025-06-02"], &late).is_err());
}

#[test]
fn usage_errors_suggest_the_nearest_value() {
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
