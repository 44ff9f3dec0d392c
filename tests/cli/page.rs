//! The page of `data/exports` has every section, each with figures. Sections that exist only if
//! there is something to say are tested on a lake in which all of it happens.

use std::fmt::Write as _;
use std::path::Path;

use chrono::{DateTime, TimeDelta, Utc};
use wabalake::alerts::Judgements;
use wabalake::report::{Options, email, page};
use wabalake_queries::CATALOG;
use wabalake_queries::query::billing::rules::PricingDefaults;

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
        pricing: PricingDefaults::default(),
        alerts: Judgements::none(Utc::now()),
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
        "waiting",
        "sessions",
        "delivery",
        "last-days",
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

/// Sends at an instant to people of a country.
struct Sends {
    at: &'static str,
    /// The country's code, and how the numbers begin.
    to: [&'static str; 2],
    sent: usize,
    /// The first so many are delivered after a minute; the others fail.
    delivered: usize,
    /// The hours from the delivery to the answer of the first ones.
    answered_after: &'static [i64],
}

const COLOMBIA: [&str; 2] = ["57", "3005550"];
const MEXICO: [&str; 2] = ["52", "5555550"];

/// The data ends on 14 June. Its period is 8 to 14 June, the period before 1 to 7 June.
const SENDS: [Sends; 8] = [
    // Half of the replies come within a day, the other half within two.
    sends("2025-05-01T10:00:00Z", COLOMBIA, 4, 4, &[1, 30]),
    // The period before: 36 of 40 are delivered, 12 of these are answered.
    sends("2025-06-03T10:00:00Z", COLOMBIA, 10, 9, &[1; 3]),
    sends("2025-06-03T10:00:00Z", MEXICO, 30, 27, &[1; 9]),
    // Final: 15 of 40 are delivered, 5 of these are answered.
    sends("2025-06-10T10:00:00Z", COLOMBIA, 10, 9, &[1; 3]),
    sends("2025-06-10T10:00:00Z", MEXICO, 30, 6, &[1; 2]),
    // Its deliveries are final, its replies are not.
    sends("2025-06-12T10:00:00Z", COLOMBIA, 10, 10, &[1; 2]),
    // No whole day is over since these.
    sends("2025-06-13T10:00:00Z", COLOMBIA, 4, 2, &[]),
    sends("2025-06-14T12:00:00Z", COLOMBIA, 1, 1, &[]),
];

const fn sends(
    at: &'static str,
    to: [&'static str; 2],
    sent: usize,
    delivered: usize,
    answered_after: &'static [i64],
) -> Sends {
    Sends { at, to, sent, delivered, answered_after }
}

/// An export of deployments, and one of the messages that they are: each to another person.
fn exports_of(sends: &[Sends]) -> [String; 2] {
    let mut deployments = "conversation_id,conversation_version,user_country_code,user_cellphone,\
                           deployment_timestamp,deployment_delivered_timestamp,\
                           user_responded_timestamp,delivery_status\n"
        .to_owned();
    let mut messages = "whatsapp_id,from,to,message_direction,template_name,created_at,\
                        delivered_at,pricing_category\n"
        .to_owned();
    let show = |at: DateTime<Utc>| at.format("%Y-%m-%d %H:%M:%S").to_string();
    let mut number = 100;
    for Sends { at, to: [code, begin], sent, delivered, answered_after } in sends {
        let at: DateTime<Utc> = at.parse().unwrap();
        let arrived = at + TimeDelta::minutes(1);
        for place in 0..*sent {
            number += 1;
            let phone = format!("{begin}{number}");
            let answered =
                answered_after.get(place).map(|hours| arrived + TimeDelta::hours(*hours));
            let answered = answered.map(show).unwrap_or_default();
            let (status, arrival) = match place < *delivered {
                true => ("Delivered", show(arrived)),
                false => ("Failed", String::new()),
            };
            let (start, created) = (show(at), show(at + TimeDelta::seconds(2)));
            let outcome = format!("{start},{arrival},{answered},{status}");
            writeln!(deployments, "7,1,{code},{phone},{outcome}").unwrap();
            if place < *delivered {
                let reported = format!("outgoing,promo,{created},{arrival},marketing");
                writeln!(messages, "m{number},12025550140,{code}{phone},{reported}").unwrap();
            }
        }
    }
    [deployments, messages]
}

/// A lake in which deliveries fall, people wait, a template is paused, and the last days are not
/// final.
fn eventful() -> Bench {
    let bench = Bench::new();
    let [deployments, mut messages] = exports_of(&SENDS);
    // Two people wait since 9:10 and 12:10; a third was answered.
    messages += "w1,573005559101,12025550140,incoming,,2025-06-14 09:10:00,,\n\
                 w2,573005559102,12025550140,incoming,,2025-06-14 12:10:00,,\n\
                 w3,573005559103,12025550140,incoming,,2025-06-14 08:00:00,,\n\
                 w4,12025550140,573005559103,outgoing,,2025-06-14 08:05:00,2025-06-14 08:05:01,\n";
    bench.load("deployments.csv", deployments);
    bench.load("messages.csv", messages);
    bench.load(
        "rates.csv",
        "effective_from,country,category,tier_from,price,currency\n\
         2025-01-01,CO,marketing,0,0.02,USD\n2025-01-01,MX,marketing,0,0.04,USD\n",
    );
    bench.load(
        "events.csv",
        "source,event,at,template_name,new_value\n\
         meta,template-status,2025-06-12T00:00:00Z,promo,PAUSED\n\
         meta,template-quality,2025-06-11T00:00:00Z,promo,YELLOW\n",
    );
    bench.load(
        "sessions.csv",
        "session_id,session_started_timestamp,session_type,conversation_id,conversation_version,\
         user_country_code,user_cellphone\n\
         s1,2025-06-10 09:00:00,Inbound,7,1,57,3005559104\n",
    );
    bench
}

/// The page's options for dates in UTC.
fn dates(from: &str, to: &str) -> Options {
    Options {
        from: from.parse().ok(),
        to: to.parse().ok(),
        timezone: chrono_tz::Tz::UTC,
        ..options()
    }
}

/// The texts of a section, with `|` between them.
fn texts(page: &str, section: &str) -> String {
    let sections = sections(page);
    let (_, section) = sections.iter().find(|(name, _)| *name == section).unwrap();
    let texts = section.split('<').map(|part| part.split_once('>').map_or(part, |(_, text)| text));
    texts.filter(|text| !text.trim().is_empty()).collect::<Vec<_>>().join("|")
}

/// What sections of the page of [`eventful`] say.
const SAID: [(&str, &[&str]); 7] = [
    (
        "at-a-glance",
        &[
            "Sends delivered|50.0 %|▼ down 40.0 points, from 90.0 %|\
             to 12 Jun: later days are not final|",
            "Sends answered|33.3 %|= as before, from 33.3 %|to 11 Jun: later days are not final|",
            "Cost per reply|0.084 |USD|▼ down 20.0 %, from 0.105|",
            "Sends delivered fell by 40.0 points|, most of it in Mexico: from 90.0 % to 20.0 %.|",
            "2 people wait for an answer|, the longest for about 3 hours (at about 14 June 2025, \
             12:00).|",
            "1 template wears out|: promo.|",
            "The last days are not final|: deliveries from 13 June 2025 on, replies from 12 June \
             2025 on.",
        ],
    ),
    (
        "what-changed",
        &[
            "8 June 2025 to 12 June 2025 with 1 June 2025 to 5 June 2025.",
            "▼ Sends delivered fell by 40.0 points, from 90.0 % to 50.0 %|",
            "Mexico|30|30|90.0 %|20.0 %|0.0|-42.0|-42.0|Colombia|10|20|90.0 %|95.0 %|0.0|+2.0|+2.0",
        ],
    ),
    ("waiting", &["Under 1 hour|1|1 to 4 hours|1|4 to 12 hours|0|"]),
    ("delivery", &["not final|"]),
    (
        "last-days",
        &[
            "2025-06-13|4|50.0 %|–|",
            "2025-06-12|10|20.0 %|40.0 % (22.1 % to 100.0 %)|2025-06-13|2|0.0 %|–|",
        ],
    ),
    ("countries", &["|0.088 USD|", "|0.12 USD|"]),
    (
        "template-health",
        &["promo|Paused since 12 June 2025; quality yellow since 11 June 2025|28|0.0 %|0|0.0 %|"],
    ),
];

#[test]
fn page_tells_what_a_manager_has_to_know() {
    let bench = eventful();
    let (lake, options) = (bench.lake(), dates("2025-06-08", "2025-06-14"));
    let whole = page(&lake, &options).unwrap();
    for (section, said) in SAID {
        let texts = texts(&whole, section);
        for said in said {
            assert!(texts.contains(said), "{said}\n{texts}");
        }
    }
    assert!(!whole.contains("3005559101") && !whole.contains("3005550"), "it names somebody");

    let conversation = Options { conversation: Some("7".to_owned()), ..options };
    let texts = texts(&page(&lake, &conversation).unwrap(), "cost");
    assert!(texts.contains("Version 1|28|7|25.0 %|0.68 USD|0.0971 USD|1|"), "{texts}");
}

#[test]
fn page_of_the_past_has_nothing_to_add() {
    let page = page(&eventful().lake(), &dates("2025-05-25", "2025-06-07")).unwrap();
    let names: Vec<&str> = sections(&page).iter().map(|(name, _)| *name).collect();
    assert_eq!(names[..4], ["at-a-glance", "sessions", "delivery", "failed-sends"]);
    for name in ["what-changed", "waiting", "last-days", "template-health"] {
        assert!(!names.contains(&name), "{name}");
    }
    assert!(!page.contains("class=\"open\"") && !page.contains("class=\"news\""));
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
