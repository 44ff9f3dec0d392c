//! Property test of `erase`: all rows of the person go, and no others.
//!
//! Codes, numbers, ids, lines and texts of the generated people overlap. The expected rows are
//! computed from the person for whom each record was made, without parsing phones.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::PathBuf;

use polars::prelude::*;
use proptest::prelude::*;
use wabalake::lake::erase::{Erased, Options};
use wabalake::lake::{Lake, check as damage, stored_table};
use wabalake::load::{self, load};
use wabalake_data::Table;
use wabalake_data::tables::{
    agent_chats, audience_tags, closures, conversions, deployments, events, identities, messages,
    sessions, variables,
};

use crate::support::{Bench, files_below, in_folder, on_store};

/// Dialling code, cell, and the person they stand for.
const PEOPLE: [(&str, &str, Option<&str>); 20] = [
    ("57", "3005550101", Some("573005550101")),
    ("+57", "300 555-0101.0", Some("573005550101")),
    ("", "573005550101", Some("573005550101")),
    ("", "3005550101", Some("3005550101")),
    ("52", "3005550101", Some("523005550101")),
    ("57", "3005550102", Some("573005550102")),
    ("1", "2125550101", Some("12125550101")),
    ("", "12125550101", Some("12125550101")),
    ("55", "12125550101", Some("5512125550101")),
    ("91", "2125550101", Some("912125550101")),
    ("52", "9991234567", Some("529991234567")),
    ("52", "19991234567", Some("529991234567")),
    ("", "5219991234567", Some("529991234567")),
    ("55", "11981234567", Some("5511981234567")),
    ("55", "1181234567", Some("5511981234567")),
    ("54", "91123456789", Some("5491123456789")),
    ("54", "1123456789", Some("5491123456789")),
    ("57", "12", Some("5712")),
    ("57", "", None),
    ("", "", None),
];

/// The argument of `--phone`, and the person it stands for; `None` if the number is impossible.
const ASKED: [(&str, Option<&str>); 13] = [
    ("+57 300 555 0101", Some("573005550101")),
    ("523005550101", Some("523005550101")),
    ("+1 (212) 555-0101", Some("12125550101")),
    ("912125550101", Some("912125550101")),
    ("5219991234567", Some("529991234567")),
    ("551181234567", Some("5511981234567")),
    ("5491123456789", Some("5491123456789")),
    ("541123456789", Some("5491123456789")),
    ("12025550143", Some("12025550143")),
    ("57", None),
    ("5712", None),
    ("3005550101", None),
    ("5512125550101", Some("5512125550101")),
];

/// A text, the people whose numbers it holds, and the text after erasing them.
const TEXTS: [(&str, &[&str], &str); 6] = [
    ("hi", &[], "hi"),
    ("call +57 300 555-0101 now", &["573005550101"], "call [erased] now"),
    ("12125550101?", &["12125550101"], "[erased]?"),
    ("91573005550101 and 57", &[], "91573005550101 and 57"),
    ("wa.me/5219991234567", &["529991234567"], "wa.me/[erased]"),
    ("5712", &[], "5712"),
];

/// Ids of sessions and flows, some of which look like numbers.
const IDS: [&str; 9] =
    ["s1", "s2", "s3", "s4", "s5", "57", "12125550101", "573005550101", "x-573005550101-9"];

const LINES: [&str; 3] = ["573009999999", "573009999999", "12125550101"];

// The tables of records: 0 is sessions, the others are in the order of `OTHERS`.
const DEPLOYMENTS: u8 = 1;
const MESSAGES: u8 = 2;
const TAGS: u8 = 5;
const CHATS: u8 = 7;
const EVENTS: u8 = 8;
const LINKS: u8 = 9;

/// One record; numbers are indices into the lists above.
#[derive(Clone, Debug)]
struct Made {
    table: u8,
    who: usize,
    session: Option<usize>,
    parent: Option<usize>,
    flow: usize,
    text: usize,
    line: usize,
    /// `true` if its timestamp is invalid.
    broken: bool,
}

impl Made {
    fn person(&self) -> Option<&'static str> {
        PEOPLE[self.who].2
    }

    fn id(&self) -> Option<&'static str> {
        self.session.map(|session| IDS[session])
    }

    fn flow(&self) -> &'static str {
        IDS[self.flow]
    }

    /// `true` if rows of its table name a session.
    fn has_session(&self) -> bool {
        !matches!(self.table, MESSAGES | TAGS | CHATS | EVENTS | LINKS)
    }

    /// `true` if a load leaves the record out, since it lacks a person.
    fn is_left_out(&self) -> bool {
        match self.table {
            // A deployment needs a person.
            DEPLOYMENTS => PEOPLE[self.who].1.is_empty(),
            TAGS | CHATS => self.person().is_none(),
            // Four digits are no number.
            LINKS => self.person().is_none_or(|person| person.len() < 5),
            _ => false,
        }
    }

    /// `true` if a record that names no person holds a full number.
    fn holds(&self, phone: &str) -> bool {
        let names =
            [self.id(), self.parent.map(|id| IDS[id]), Some(self.flow()), Some(LINES[self.line])];
        TEXTS[self.text].1.contains(&phone)
            || names
                .into_iter()
                .flatten()
                .any(|name| name == phone || name == format!("x-{phone}-9"))
    }
}

fn made() -> impl Strategy<Value = Made> {
    let id = || prop::option::weighted(0.8, 0..IDS.len());
    let line = prop_oneof![20 => 0..2_usize, 1 => Just(2_usize)];
    let ids = (id(), prop::option::weighted(0.3, 0..IDS.len()), 0..IDS.len());
    ((0..10_u8, 0..PEOPLE.len()), ids, (0..TEXTS.len(), line, prop::bool::weighted(0.1))).prop_map(
        |((table, who), (session, parent, flow), (text, line, broken))| Made {
            table,
            who,
            session,
            parent,
            flow,
            text,
            line,
            broken,
        },
    )
}

/// Generated records by table. A session has one record, and maybe an earlier one.
#[derive(Debug, Default)]
struct World {
    sessions: BTreeMap<&'static str, Made>,
    before: BTreeMap<&'static str, Made>,
    others: [Vec<Made>; 9],
    broken: Vec<Made>,
}

impl World {
    fn of(records: Vec<Made>) -> Self {
        let mut world = Self::default();
        for record in records {
            match (record.table, record.id()) {
                (0, Some(_)) if record.broken => world.broken.push(record),
                (0, Some(id)) => {
                    if let Some(last) = world.sessions.insert(id, record) {
                        world.before.insert(id, last);
                    }
                }
                (0, None) => {}
                _ if record.is_left_out() => {}
                (table, _) => world.others[usize::from(table) - 1].push(record),
            }
        }
        world
    }

    /// The owner of a session: named by its row, by its earlier row, or by all other rows that name
    /// it.
    fn owner(&self, session: &str) -> Option<&'static str> {
        let said = |of: &BTreeMap<&'static str, Made>| of.get(session).and_then(Made::person);
        said(&self.sessions).or_else(|| said(&self.before)).or_else(|| {
            let names = |of: &&Made| of.id() == Some(session) && of.has_session();
            let claims: BTreeSet<_> =
                self.others.iter().flatten().filter(names).filter_map(Made::person).collect();
            claims.first().copied().filter(|_| claims.len() == 1)
        })
    }

    fn files(&self) -> Vec<(&'static str, String)> {
        let session = |rows: &mut dyn Iterator<Item = &Made>, end: &str, stamp: &str| {
            let mut text = "session_id,parent_session_id,session_started_timestamp,\
                            session_finished_timestamp,conversation_id,first_message,\
                            user_country_code,user_cellphone,line_whatsapp_number\n"
                .to_owned();
            for row in rows {
                let (code, cell, _) = PEOPLE[row.who];
                let (parent, line) = (row.parent.map_or("", |id| IDS[id]), LINES[row.line]);
                let (id, flow, said) = (row.id().unwrap(), row.flow(), TEXTS[row.text].0);
                let cells = [id, parent, stamp, end, flow, said, code, cell, line];
                text.push_str(&cells.join(","));
                text.push('\n');
            }
            text
        };
        let at = "2025-06-01 10:00:00";
        let mut files = vec![
            ("before.csv", session(&mut self.before.values(), "", at)),
            ("sessions.csv", session(&mut self.sessions.values(), "2025-06-01 11:00:00", at)),
            ("broken.csv", session(&mut self.broken.iter(), "", "yesterday")),
        ];
        let headers = [
            (
                "deployments.csv",
                "conversation_version,deployment_timestamp,delivery_status,session_id,conversation_id,status_detail,user_country_code,user_cellphone",
            ),
            (
                "messages.csv",
                "whatsapp_id,created_at,message_direction,message,conversation_id,to,from",
            ),
            (
                "closures.csv",
                "event_id,closed_at,session_id,hsm_name,user_country_code,user_cellphone",
            ),
            ("conversions.csv", "conversion_id,converted_at,session_id,event,phone"),
            ("audience_tags.csv", "tag,since,phone"),
            ("variables.csv", "name,at,session_id,value,conversation_id,phone"),
            ("agent_chats.csv", "agent,created_at,status,phone"),
            ("events.csv", "source,event,template_name,at,reason,line,user_phone"),
            ("identities.csv", "user_id,linked,first_seen"),
        ];
        for (table, (name, header)) in headers.into_iter().enumerate() {
            let mut text = format!("{header}\n");
            for (number, row) in self.others[table].iter().enumerate() {
                let (code, cell, person) = PEOPLE[row.who];
                let (id, said, flow) = (row.id().unwrap_or(""), TEXTS[row.text].0, row.flow());
                let full = person.unwrap_or("");
                let line = LINES[row.line];
                // The key of a chat is its person and time.
                let minute = format!("2025-06-01 {:02}:{:02}:00", number / 60, number % 60);
                let written = match table {
                    0 => format!("{number},{at},Delivered,{id},{flow},{said},{code},{cell}\n"),
                    1 => format!("m{number},{at},true,{said},{flow},{line},{full}\n"),
                    2 => format!("e{number},{at},{id},{said},{code},{cell}\n"),
                    3 => format!("v{number},{at},{id},{said},{full}\n"),
                    4 => format!("t{number},{at},{full}\n"),
                    5 => format!("n{number},{at},{id},{said},{flow},{full}\n"),
                    6 => format!("a{number},{minute},{said},{full}\n"),
                    7 => format!("meta,account,p{number},{at},{said},{line},{full}\n"),
                    _ => format!("{}{number},{full},{at}\n", PREFIXES[table]),
                };
                text.push_str(&written);
            }
            files.push((name, text));
        }
        files
    }

    /// `true` if the number is the business line in a row of another person.
    fn is_line(&self, phone: &str) -> bool {
        let of_others = |row: &Made| LINES[row.line] == phone && row.person() != Some(phone);
        let others = self.others[1].iter().chain(&self.others[7]);
        self.sessions.values().chain(others).any(of_others)
    }
}

/// The tables beside sessions: their name column, and a column with a text.
const OTHERS: [(&Table, &str, &str); 9] = [
    (&deployments::TABLE, deployments::CONVERSATION_VERSION, deployments::STATUS_DETAIL),
    (&messages::TABLE, messages::WHATSAPP_ID, messages::MESSAGE),
    (&closures::TABLE, closures::EVENT_ID, closures::HSM_NAME),
    (&conversions::TABLE, conversions::CONVERSION_ID, conversions::EVENT),
    (&audience_tags::TABLE, audience_tags::TAG, audience_tags::USER_PHONE),
    (&variables::TABLE, variables::VARIABLE, variables::VALUE),
    (&agent_chats::TABLE, agent_chats::AGENT, agent_chats::STATUS),
    (&events::TABLE, events::TEMPLATE_NAME, events::REASON),
    (&identities::TABLE, identities::USER_ID, identities::LINKED),
];

/// How the names of their rows begin; each user id is of one number.
const PREFIXES: [&str; 9] = ["", "m", "e", "v", "t", "n", "a", "p", "CO.1349000"];

/// A row as compared: its name, its text, its session id.
type Seen = (String, String, String);

fn seen(scan: LazyFrame, columns: [&str; 3]) -> Vec<Seen> {
    let schema = scan.clone().collect_schema().unwrap();
    let text = |(place, name): (usize, &str)| {
        let column = if schema.contains(name) { col(name) } else { lit("") };
        column.cast(DataType::String).fill_null(lit("")).alias(place.to_string())
    };
    let rows = scan.select(columns.into_iter().enumerate().map(text).collect::<Vec<_>>());
    let rows = rows.collect().unwrap();
    let column = |place: &str| -> Vec<String> {
        let texts = rows.column(place).unwrap().str().unwrap();
        texts.iter().map(|text| text.unwrap_or_default().to_owned()).collect()
    };
    let [names, texts, sessions] = ["0", "1", "2"].map(column);
    let mut seen: Vec<Seen> =
        names.into_iter().zip(texts).zip(sessions).map(|((a, b), c)| (a, b, c)).collect();
    seen.sort();
    seen
}

/// Loads the earlier exports of a world, then the others.
fn lake_of(world: &World, bench: &Bench) -> Lake {
    let lake = bench.lake();
    let files = world.files().into_iter().filter(|(_, text)| text.lines().count() > 1);
    let paths: Vec<PathBuf> = files.map(|(name, text)| bench.file(name, text)).collect();
    let (before, rest): (Vec<_>, Vec<_>) =
        paths.into_iter().partition(|path| path.ends_with("before.csv"));
    for paths in [before, rest].iter().filter(|paths| !paths.is_empty()) {
        // A file whose records are all rejected fails; its rejects are stored.
        let options = load::Options { per_file: true, ..load::Options::default() };
        let failed = load(&lake, paths, &options).unwrap().failed;
        let is_refused =
            |failed: &load::Failure| failed.error.ends_with("valid: nothing was loaded");
        assert!(failed.iter().all(is_refused), "{failed:?}");
    }
    lake
}

/// A text of another person after the erasure; `--exactly` changes no text.
fn text_without(text: usize, phone: &str, exactly: bool) -> &'static str {
    let (text, holds, without) = TEXTS[text];
    if !exactly && holds.contains(&phone) { without } else { text }
}

/// Compares the lake with the world without the person.
fn check(world: &World, lake: &Lake, phone: &str, exactly: bool) -> Result<(), TestCaseError> {
    let theirs = |row: &Made| match (row.person(), row.id()) {
        (Some(person), _) => person == phone,
        (None, Some(id)) => row.has_session() && world.owner(id) == Some(phone),
        (None, None) => false,
    };
    let mut stand_ins: BTreeMap<String, String> = BTreeMap::new();
    // A session of the person gets one replacement id, the same everywhere.
    let mut named = |expected: Option<&str>, found: &str| -> Result<(), TestCaseError> {
        let expected = expected.unwrap_or("");
        if expected.is_empty() || world.owner(expected) != Some(phone) {
            prop_assert_eq!(found, expected);
        } else {
            prop_assert_eq!(found.len(), 36, "{} was not replaced", expected);
            let other = stand_ins.entry(expected.to_owned()).or_insert_with(|| found.to_owned());
            prop_assert_eq!(found, other);
        }
        Ok(())
    };
    let scan = |table| lake.snapshot(table).unwrap().scan().unwrap();
    let columns = [sessions::SESSION_ID, sessions::FIRST_MESSAGE, sessions::PARENT_SESSION_ID];
    let found = seen(scan(&sessions::TABLE), columns);
    let expected: Vec<_> = world.sessions.iter().filter(|(_, row)| !theirs(row)).collect();
    prop_assert_eq!(found.len(), expected.len(), "sessions: {:?}", found);
    for ((id, row), (name, text, parent)) in expected.into_iter().zip(&found) {
        prop_assert_eq!(
            (*id, text_without(row.text, phone, exactly)),
            (name.as_str(), text.as_str())
        );
        named(row.parent.map(|id| IDS[id]), parent)?;
    }
    for (place, (table, name, text)) in OTHERS.into_iter().enumerate() {
        let found = seen(scan(table), [name, text, sessions::SESSION_ID]);
        let prefix = PREFIXES[place];
        let mut expected: Vec<(String, &Made)> = world.others[place]
            .iter()
            .enumerate()
            .filter(|(_, row)| !theirs(row))
            .map(|(number, row)| (format!("{prefix}{number}"), row))
            .collect();
        expected.sort_by(|a, b| a.0.cmp(&b.0));
        let left: Vec<_> = found.iter().map(|(name, ..)| name.clone()).collect();
        let wanted: Vec<_> = expected.iter().map(|(name, _)| name.clone()).collect();
        prop_assert_eq!(left, wanted, "{}", table.name);
        for ((_, row), (_, said, session)) in expected.into_iter().zip(&found) {
            let expected = match row.table {
                TAGS | LINKS => row.person().unwrap_or_default(),
                // Part of the key, as names are: it stays.
                EVENTS => TEXTS[row.text].0,
                _ => text_without(row.text, phone, exactly),
            };
            prop_assert_eq!(expected, said.as_str());
            if row.has_session() {
                named(row.id(), session)?;
            }
        }
    }
    let rejects = seen(scan(stored_table("rejects").unwrap()), ["record", "raw", "kind"]);
    let stays = |row: &&Made| match row.person() {
        Some(person) => person != phone,
        None => match world.owner(row.id().unwrap()) {
            Some(owner) if owner == phone => false,
            // The session's row names another person.
            Some(_)
                if world.sessions.get(row.id().unwrap()).is_some_and(|s| s.person().is_some()) =>
            {
                true
            }
            _ => exactly || !row.holds(phone),
        },
    };
    let left = world.broken.iter().filter(stays).count();
    prop_assert_eq!(rejects.len(), left, "rejects: {:?}", rejects);
    if !exactly {
        for (_, raw, _) in rejects {
            let held = TEXTS.iter().filter(|(_, holds, _)| holds.contains(&phone));
            prop_assert!(held.clone().all(|(text, ..)| !raw.contains(text)), "{}", raw);
        }
    }

    // No data file of any version has a row of the person.
    let is_data = |path: &PathBuf| {
        let is_parquet = path.extension().is_some_and(|end| end == "parquet");
        is_parquet && path.iter().all(|part| part != "_delta_log")
    };
    for path in files_below(lake.root()).into_iter().filter(is_data) {
        let rows = ParquetReader::new(File::open(&path).unwrap()).finish().unwrap();
        let columns = [sessions::USER_PHONE, identities::LINKED];
        let Some(people) = columns.iter().find_map(|name| rows.column(name).ok()) else { continue };
        let ids = rows.column(sessions::SESSION_ID).ok();
        for (row, person) in people.str().unwrap().iter().enumerate() {
            prop_assert_ne!(person, Some(phone), "{}", path.display());
            let session = ids.and_then(|ids| ids.str().unwrap().get(row));
            let owner = session.filter(|_| person.is_none()).and_then(|id| world.owner(id));
            prop_assert_ne!(owner, Some(phone), "{}", path.display());
        }
    }
    Ok(())
}

fn erase(lake: &Lake, phone: &str, options: Options) -> wabalake::error::Result<Erased> {
    let dry_run = Options { dry_run: true, ..options };
    let tried = lake.erase(phone, dry_run);
    let erased = lake.erase(phone, options);
    if let (Ok(tried), Ok(erased)) = (tried, &erased) {
        let output =
            |erased: &Erased| (erased.rows(), erased.redacted(), erased.people, erased.old_files);
        assert_eq!(output(&tried), output(erased), "a dry run reports what an erasure does");
        assert!(erased.people <= 1, "{}", erased.people);
    }
    erased
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn all_rows_of_the_person_go_and_no_others(
        records in prop::collection::vec(made(), 1..40),
        (text, person) in prop::sample::select(ASKED.to_vec()),
        is_on_store: bool,
    ) {
        let world = World::of(records);
        let bench = Bench::new();
        let mut lake = lake_of(&world, &bench);
        let stored = is_on_store.then(|| on_store(&lake));
        let result = erase(stored.as_ref().unwrap_or(&lake), text, Options::default());
        if let Some(stored) = stored {
            lake = in_folder(&stored, &bench.path("back"));
        }
        let Some(phone) = person else {
            prop_assert_eq!(result.unwrap_err().exit_code(), 2);
            check(&world, &lake, "nobody", true)?;
            let exactly = Options { exactly: true, ..Options::default() };
            if let Err(error) = erase(&lake, text, exactly) {
                prop_assert_eq!(error.exit_code(), 2);
                let loaded = world.sessions.values().chain(world.before.values());
                let mut rows = loaded.chain(&world.broken).chain(world.others.iter().flatten());
                prop_assert!(!rows.any(|row| row.person() == Some(text)), "{}", error.lines());
            }
            return check(&world, &lake, text, true);
        };
        if world.is_line(phone) {
            prop_assert!(result.unwrap_err().lines().contains("--lines-too"));
            return check(&world, &lake, "nobody", true);
        }
        result.unwrap();
        check(&world, &lake, phone, false)?;
        prop_assert!(lake.erase(phone, Options::default()).unwrap().is_nothing());
        let deep = damage::Options { deep: true, progress: None };
        let damaged = lake.check(deep).unwrap().findings;
        prop_assert!(damaged.is_empty(), "{damaged:?}");
    }
}
