//! The page of the made-up exports has every section, each with figures.

use std::path::Path;

use tempfile::TempDir;
use wabalake::lake::Lake;
use wabalake::load;
use wabalake::report::{Options, page};
use wabalake_queries::CATALOG;

/// A lake with all of `data/exports`.
fn lake(folder: &Path) -> Lake {
    let lake = Lake::create(folder).unwrap();
    let exports = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/exports");
    load::load(&lake, &[exports], &load::Options::default()).unwrap();
    lake
}

/// The page of the days that the exports have.
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

/// A section's markup, by the section's name, in the order of the page.
fn sections(page: &str) -> Vec<(&str, &str)> {
    let parts = page.split("<section id=\"").skip(1);
    parts.map(|part| part.split("</section>").next().unwrap().split_once('"').unwrap()).collect()
}

/// That a page has these sections, that none is empty, and that the command under each is one.
fn has(page: &str, names: &[&str]) {
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
fn every_section_is_there() {
    let folder = TempDir::new().unwrap();
    let whole = page(&lake(folder.path()), &options()).unwrap();
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
    has(&whole, &names);
}

#[test]
fn every_section_of_a_conversation_is_there() {
    let folder = TempDir::new().unwrap();
    let conversation = Options {
        conversation: Some("41207".to_owned()),
        with_people: true,
        phone: Some("+573330007578".to_owned()),
        ..options()
    };
    let page = page(&lake(folder.path()), &conversation).unwrap();
    has(&page, &["summary", "states", "drop-off", "versions", "people", "history"]);
}
