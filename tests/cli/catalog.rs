//! `queries`: help, examples and SQL of every query; completions and manual pages.

use wabalake_queries::CATALOG;

use crate::support::{Desk, LOADED, Said};

#[test]
fn queries_lists_the_catalog() {
    let desk = &*LOADED;
    let listed = desk.stdout("queries");
    let names = desk.stdout("queries --names");
    assert_eq!(listed.lines().count(), CATALOG.len());
    for (entry, (line, name)) in CATALOG.iter().zip(listed.lines().zip(names.lines())) {
        assert_eq!(name, entry.spec.name);
        assert!(line.starts_with(name) && line.ends_with(entry.spec.title), "{line}");
    }
    let output: serde_json::Value = serde_json::from_str(&desk.stdout("queries -f json")).unwrap();
    let drop_off = output.as_array().unwrap().iter().find(|query| query["name"] == "drop-off");
    let drop_off = drop_off.unwrap();
    assert_eq!(drop_off["reads"], serde_json::json!(["sessions", "nodes", "audience_tags"]));
    assert_eq!(
        drop_off["columns"][4],
        serde_json::json!({ "name": "share_pct", "type": "float64", "unit": "%" })
    );
    let one = desk.stdout("queries drop-off -f json");
    assert_eq!(&serde_json::from_str::<serde_json::Value>(&one).unwrap(), drop_off);
}

#[test]
fn help_of_a_query_shows_question_columns_and_example() {
    let desk = &*LOADED;
    for entry in CATALOG {
        let help = desk.stdout(&format!("queries {}", entry.spec.name));
        let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words(&help).contains(&words(entry.spec.question)), "{help}");
        assert!(help.contains("Columns:\n"), "{help}");
        for column in entry.spec.columns {
            assert!(help.contains(&format!("  {} ", column.name)), "{}: {help}", column.name);
        }
        assert!(help.contains("Example:\n  wabalake query "), "{help}");
        assert_eq!(desk.stdout(&format!("query {} --help", entry.spec.name)), help);
    }
}

#[test]
fn example_of_each_query_runs() {
    let desk = &*LOADED;
    let output: serde_json::Value = serde_json::from_str(&desk.stdout("queries -f json")).unwrap();
    for query in output.as_array().unwrap() {
        let example = query["example"].as_str().unwrap();
        let words = shlex::split(example).unwrap();
        let said = Said::of(desk.command("").args(&words[1..]).output().unwrap());
        assert_eq!((said.err.as_str(), said.code), ("", 0), "{example}");
        assert!(!said.out.is_empty(), "{example}");
    }
}

#[test]
fn sql_of_a_query_has_its_options_filled_in() {
    let desk = &*LOADED;
    for entry in CATALOG {
        let takes_days =
            entry.command().get_arguments().any(|argument| argument.get_id() == "from");
        let needs = entry.needs().join(" ");
        let is_missing = takes_days && !needs.contains("--from");
        let days = if is_missing { "--from 2025-06-01" } else { "" };
        let sql = desk.stdout(&format!("queries {} --sql {days} {needs}", entry.spec.name));
        assert!(sql.contains("SELECT"), "{sql}");
        assert!(!sql.contains(":from_at") && !sql.contains("{by"), "{sql}");
        assert!(!takes_days || sql.contains("2025-06-01"), "{sql}");
    }
}

#[test]
fn completions_and_manual_pages_include_the_queries() {
    let desk = Desk::new();
    for shell in ["bash", "zsh", "fish"] {
        assert!(desk.stdout(&format!("completions {shell}")).contains("drop-off"), "{shell}");
    }
    assert!(desk.stdout("man").contains(".TH wabalake 1"));
    assert_eq!(desk.run("man --out pages").code, 0);
    for command in ["query", "compare"] {
        let page = desk.read(&format!("pages/wabalake-{command}-drop-off.1"));
        assert!(page.contains("conversation\\-id"), "{page}");
    }
}
