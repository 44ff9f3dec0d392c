//! The page of `data/exports` has every section, each with figures.

use std::path::Path;

use wabalake::report::{Options, email, page};
use wabalake_queries::CATALOG;

use crate::support::{Bench, Desk};

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

#[test]
fn mail_has_neither_sender_nor_recipients_and_names_nobody() {
    let bench = bench();
    let mail = String::from_utf8(email(&bench.lake(), &options(), None).unwrap()).unwrap();
    let (head, body) = mail.split_once("\r\n\r\n").unwrap();
    for header in ["From:", "To:", "Cc:", "Bcc:", "Sender:"] {
        assert!(!head.lines().any(|line| line.starts_with(header)), "{head}");
    }
    let subject = "Subject: WhatsApp conversations: 14 May 2025 to 10 June 2025, 28 days\r\n";
    assert!(head.contains(subject), "{head}");
    assert!(
        head.contains("Content-Type: multipart/related; type=\"multipart/alternative\""),
        "{head}"
    );
    for part in ["multipart/alternative", "text/plain", "text/html", "image/png"] {
        assert!(body.contains(&format!("Content-Type: {part}")), "{part}");
    }
    for people in [
        Options { with_people: true, conversation: Some("41207".to_owned()), ..options() },
        Options { phone: Some("+573330007578".to_owned()), ..options() },
    ] {
        let error = email(&bench.lake(), &people, None).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.lines().starts_with("error: a mail names nobody\n  hint: "), "{error}");
    }
}

#[test]
fn nightly_run_writes_the_mail_with_its_subject() {
    let desk = Desk::loaded();
    let settings = "[page]\nemail = '../mail.eml'\nsubject = \"Last\\nBcc: a@example.org\"\n";
    desk.write("lake/wabalake.toml", settings);
    assert_eq!(desk.run("nightly --lake lake").code, 0);
    let mail = desk.read("mail.eml");
    let (head, _) = mail.split_once("\r\n\r\n").unwrap();
    assert!(
        head.starts_with("Subject: Last Bcc: a@example.org\r\n"),
        "a subject is one line: {head}"
    );
    let typed = desk.stdout("report --form email --lake lake");
    assert!(typed.starts_with("Subject: Last Bcc: a@example.org\r\n"), "{typed}");
    let said = desk.run("report --form email --lake lake --conversation-id 417 --with-people");
    assert_eq!(said.code, 2, "{}", said.err);
}
