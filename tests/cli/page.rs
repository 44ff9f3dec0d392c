//! The page of `data/exports` has every section, each with figures.

use std::path::Path;

use wabalake::report::{Options, page};
use wabalake_queries::CATALOG;

use crate::support::Bench;

/// A lake with all of `data/exports`.
fn bench() -> Bench {
    let bench = Bench::new();
    let exports = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/exports");
    bench.load_files(&[exports]).unwrap();
    bench
}

/// Options for the days of `data/exports`.
fn options() -> Options {
    Options {
        from: "2025-05-14".parse().ok(),
        to: "2025-06-10".parse().ok(),
        days: None,
        timezone: chrono_tz::America::Bogota,
        conversation: None,
        version: None,
        with_people: false,
        phone: None,
    }
}

/// The markup of each section by its id, in the order of the page.
fn sections(page: &str) -> Vec<(&str, &str)> {
    let parts = page.split("<section id=\"").skip(1);
    parts.map(|part| part.split("</section>").next().unwrap().split_once('"').unwrap()).collect()
}

/// Checks that a page has exactly these sections, each with figures and commands that exist.
fn check_sections(page: &str, names: &[&str]) {
    let sections = sections(page);
    assert_eq!(sections.iter().map(|(name, _)| *name).collect::<Vec<_>>(), names);
    for (name, section) in sections {
        assert!(section.contains(|letter: char| letter.is_ascii_digit()), "{name}: {section}");
        assert!(!section.contains("class=\"none\""), "{name}: {section}");
        for command in section.split("<code>wabalake query ").skip(1) {
            let query = command.split(' ').next().unwrap();
            assert!(CATALOG.iter().any(|entry| entry.spec.name == query), "{name}: {query}");
        }
    }
}

#[test]
fn every_section_of_the_page_has_figures() {
    let whole = page(&bench().lake(), &options()).unwrap();
    let names = [
        "at-a-glance",
        "sessions",
        "delivery",
        "failed-sends",
        "failed-messages",
        "drop-off",
        "returns",
        "hours",
        "countries",
        "ads",
        "channels",
        "templates",
        "versions",
        "coverage",
        "quality",
    ];
    check_sections(&whole, &names);
}

#[test]
fn every_section_of_a_conversation_page_has_figures() {
    let conversation = Options {
        conversation: Some("41207".to_owned()),
        with_people: true,
        phone: Some("+573330007578".to_owned()),
        ..options()
    };
    let page = page(&bench().lake(), &conversation).unwrap();
    check_sections(
        &page,
        &["summary", "sessions", "states", "drop-off", "versions", "people", "history"],
    );
}
