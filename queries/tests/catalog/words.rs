//! Options that take words of a list accept any spelling.

use wabalake_queries::CATALOG;
use wabalake_queries::query::usage::invalid_of;
use wabalake_queries::query::{CatalogEntry, Defaults, Question};

/// The columns and the twin of a question: everything that its answer depends on.
fn meaning(question: &Question) -> (Vec<&'static str>, String) {
    let columns = question.columns().iter().map(|column| column.name).collect();
    (columns, question.sql())
}

/// A word with `-`, `_` and spaces between its parts, in both cases.
fn spellings(word: &str) -> Vec<String> {
    let between = |sign: &str| word.replace(['-', '_', ' '], sign);
    let signs = ["-", "_", " "].map(between);
    signs.iter().flat_map(|word| [word.to_lowercase(), word.to_uppercase()]).collect()
}

/// Options that others need beside them.
const BESIDE: [&[&str]; 9] = [
    &[],
    &["--cost"],
    &["--cost", "matched"],
    &["--people", "--with-people"],
    &["--of", "sessions"],
    &["--of", "sessions", "--people", "--with-people"],
    &["--of", "finishes"],
    &["--of", "read"],
    &["--of", "conversion"],
];

/// What an option needs beside it to take a word.
fn beside(entry: &CatalogEntry, option: &str, word: &str) -> &'static [&'static str] {
    let accepts = |beside: &&&'static [&'static str]| asked(entry, option, word, beside).is_ok();
    BESIDE.iter().find(accepts).copied().unwrap_or_default()
}

fn asked(
    entry: &CatalogEntry,
    option: &str,
    word: &str,
    beside: &[&str],
) -> Result<Question, clap::Error> {
    let needs = entry.needs();
    let own = needs.iter().position(|needed| needed == &option).map_or(0..0, |at| at..at + 2);
    let (before, after) = (&needs[..own.start], &needs[own.end..]);
    let words = [before, after, beside, &[option, word]].concat();
    entry.ask_for(words, &Defaults::default())
}

/// The options of a query that take words of a list, with the list.
fn listed(entry: &CatalogEntry) -> Vec<(String, Vec<String>)> {
    let command = entry.command();
    let options = command.get_arguments().filter(|argument| argument.get_action().takes_values());
    let listed = options.map(|argument| {
        let words = argument.get_possible_values();
        let words = words.iter().map(|word| word.get_name().to_owned()).collect();
        (format!("--{}", argument.get_long().unwrap()), words)
    });
    listed.filter(|(_, words): &(_, Vec<String>)| !words.is_empty()).collect()
}

#[test]
fn every_spelling_of_a_listed_word_is_accepted() {
    let mut met = Vec::new();
    for entry in CATALOG {
        for (option, words) in listed(entry) {
            for word in &words {
                let beside = beside(entry, &option, word);
                let meant = meaning(&asked(entry, &option, word, beside).unwrap());
                for spelt in spellings(word) {
                    let name = entry.spec.name;
                    match asked(entry, &option, &spelt, beside) {
                        Ok(asked) => assert!(meaning(&asked) == meant, "{name} {option} {spelt}"),
                        Err(fault) => panic!("{name} {option} `{spelt}`: {fault}"),
                    }
                }
            }
            met.push(option);
        }
    }
    for option in ["--by", "--dimensions", "--delivery-status", "--stage", "--mode", "--fail-on"] {
        assert!(met.iter().any(|known| known == option), "no query takes {option}");
    }
}

#[test]
fn an_unknown_word_is_answered_with_the_list() {
    for entry in CATALOG {
        for (option, words) in listed(entry) {
            let beside = beside(entry, &option, &words[0]);
            let Err(fault) = asked(entry, &option, "no-such-word", beside) else {
                // An export may hold words that no list has.
                assert!(!["--by", "--dimensions", "--granularity"].contains(&option.as_str()));
                continue;
            };
            let hint = invalid_of(&fault).and_then(|invalid| invalid.hint).unwrap_or_default();
            let fault = format!("{fault}{hint}");
            let name = entry.spec.name;
            assert!(words.iter().all(|word| fault.contains(word.as_str())), "{name}: {fault}");
        }
    }
}
