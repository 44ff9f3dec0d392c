//! Questions about people and erasures, with and without the Bloom filters of files.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::sample::select;
use wabalake_data::tables::closures::{self, CLOSURE_ID};
use wabalake_data::tables::conversions::{self, CONVERSION_ID};
use wabalake_data::tables::messages::{self, MESSAGE, MESSAGE_DIRECTION, WHATSAPP_ID};
use wabalake_data::tables::{OWN_PERSON, USER_ID, identities, text_key};
use wabalake_queries::CATALOG;
use wabalake_queries::query::{Defaults, Question};

use super::stores::Copied;
use super::*;
use crate::lake::erase::Options as EraseOptions;

/// Of a range that is plainly patterned.
const PHONES: [&str; 4] = ["573005550101", "573005550102", "573005550103", "573005550104"];
const IDS: [&str; 4] = ["CO.1", "CO.2", "CO.3", "CO.4"];
const TABLES: [&Table; 5] = [
    &deployments::TABLE,
    &sessions::TABLE,
    &messages::TABLE,
    &closures::TABLE,
    &conversions::TABLE,
];

/// A row of one of [`TABLES`].
#[derive(Clone, Debug)]
struct Row {
    table: usize,
    day: u32,
    phone: Option<&'static str>,
    user_id: Option<&'static str>,
    session: Option<u8>,
    /// A number in the text of a message.
    text: Option<&'static str>,
}

impl Row {
    fn of(table: usize, day: u32, phone: &'static str) -> Self {
        Self { table, day, phone: Some(phone), user_id: None, session: None, text: None }
    }
}

/// The rows of a table on a day, as the loader stores them.
fn stored(table: &Table, rows: &[(usize, &Row)]) -> DataFrame {
    let text = |name: &str| -> Vec<Option<String>> {
        let cell = |(at, row): &(usize, &Row)| match name {
            OWN_PERSON => row.phone.or(row.user_id).map(str::to_owned),
            sessions::USER_PHONE => row.phone.map(str::to_owned),
            USER_ID => row.user_id.map(str::to_owned),
            sessions::SESSION_ID => row.session.map(|session| format!("s{session}")),
            WHATSAPP_ID | CLOSURE_ID | CONVERSION_ID => Some(format!("id {at}")),
            MESSAGE_DIRECTION => Some("incoming".to_owned()),
            MESSAGE => row.text.map(|number| format!("call {number}")),
            _ => None,
        };
        rows.iter().map(cell).collect()
    };
    let column = |(name, kind): (&PlSmallStr, &DataType)| match kind {
        _ if name == table.day_of => {
            let at =
                rows.iter().map(|(at, row)| Some(noon(day(row.day))? + i64::try_from(*at).ok()?));
            Column::new(name.clone(), at.collect::<Vec<_>>()).cast(kind).unwrap()
        }
        DataType::String => Column::new(name.clone(), text(name)),
        _ => match table.hashes.iter().find(|(hash, _)| name == hash) {
            Some((_, of)) => {
                let keys = text(of).into_iter().map(|text| text.as_deref().map(text_key));
                Column::new(name.clone(), keys.collect::<Vec<_>>())
            }
            None => Column::full_null(name.clone(), rows.len(), kind),
        },
    };
    DataFrame::new(rows.len(), table.stored().iter().map(column).collect()).unwrap()
}

fn add(lake: &Lake, layout: &Layout, date: Option<NaiveDate>, rows: DataFrame) {
    let snapshot = lake.snapshot(layout).unwrap();
    let staging = lake.staging(layout).unwrap();
    let add = vec![staging.write(date, rows).unwrap()];
    let change = Change { add, ..Change::new(Operation::Load) };
    assert!(matches!(lake.commit(&snapshot, change).unwrap(), Commit::Done(_)));
}

/// A lake with a file for each day of a table. Those for which `has_filter` is `false` have no filters.
fn lake_of(
    rows: &[Row],
    links: &[(&'static str, &'static str)],
    has_filter: impl Fn(usize, u32) -> bool,
) -> (TempDir, Lake) {
    let (folder, lake) = lake();
    let mut files: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (at, row) in rows.iter().enumerate() {
        files.entry((row.table, row.day)).or_default().push((at, row));
    }
    for ((table, date), rows) in files {
        let mut layout = Layout::from(TABLES[table]);
        if !has_filter(table, date) {
            layout.filtered = &[];
        }
        add(&lake, &layout, day(date), stored(TABLES[table], &rows));
    }
    if !links.is_empty() {
        let schema = identities::TABLE.stored();
        let column = |(name, kind): (&PlSmallStr, &DataType)| match name.as_str() {
            USER_ID => {
                Column::new(name.clone(), links.iter().map(|(id, _)| *id).collect::<Vec<_>>())
            }
            identities::LINKED => {
                Column::new(name.clone(), links.iter().map(|(_, to)| *to).collect::<Vec<_>>())
            }
            identities::KIND => {
                let kind = |(_, to): &(&str, &str)| {
                    if to.contains('.') { identities::USER } else { identities::PHONE }
                };
                Column::new(name.clone(), links.iter().map(kind).collect::<Vec<_>>())
            }
            _ => Column::full_null(name.clone(), links.len(), kind),
        };
        let rows = DataFrame::new(links.len(), schema.iter().map(column).collect()).unwrap();
        add(&lake, &Layout::from(&identities::TABLE), None, rows);
    }
    (folder, lake)
}

fn ask(name: &str, phones: &str) -> Question {
    let entry = CATALOG.iter().find(|entry| entry.spec.name == name).unwrap();
    entry.ask_for(["--phone", phones], &Defaults::default()).unwrap()
}

fn answer(question: &Question, tables: Result<wabalake_queries::query::Tables>) -> DataFrame {
    crate::run::polars::collect(question.plan(&tables.unwrap()).unwrap(), question).unwrap()
}

fn a_row() -> impl Strategy<Value = Row> {
    let phone = prop::option::weighted(0.6, select(&PHONES[..]));
    let user_id = prop::option::weighted(0.5, select(&IDS[..]));
    let session = prop::option::weighted(0.8, 0..6_u8);
    let text = prop::option::weighted(0.1, select(&PHONES[..]));
    (0..TABLES.len(), 1..6_u32, phone, user_id, session, text).prop_filter_map(
        "deployments name a person, sessions themselves",
        |(table, day, phone, user_id, session, text)| {
            let is_named = phone.is_some() || user_id.is_some();
            (is_named || table > 0).then_some(Row { table, day, phone, user_id, session, text })
        },
    )
}

fn a_link() -> impl Strategy<Value = (&'static str, &'static str)> {
    let to: Vec<&str> = PHONES.into_iter().chain(IDS).collect();
    (select(&IDS[..]), select(to)).prop_filter("two ids", |(id, to)| id != to)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4))]

    #[test]
    fn answers_are_those_of_all_files(
        rows in prop::collection::vec(a_row(), 1..40),
        links in prop::collection::vec(a_link(), 0..4),
        bare in prop::collection::btree_set((0..TABLES.len(), 1..6_u32), 0..8),
    ) {
        let (_folder, lake) = lake_of(&rows, &links, |table, day| !bare.contains(&(table, day)));
        for person in PHONES.into_iter().chain(IDS).chain(["573005550199", "CO.9"]) {
            let several = format!("{person},CO.1");
            let none = format!("{person},none");
            for (query, asked) in [
                ("user-history", person),
                ("message-log", person),
                ("message-log", &several),
                ("message-log", &none),
            ] {
                let question = ask(query, asked);
                let all = answer(&question, lake.tables(question.spec().reads));
                let few = answer(&question, lake.reads_of(&question).unwrap().tables());
                prop_assert!(few.equals_missing(&all), "{query} {asked}\n{few}\n{all}");
                if let Some(parts) = crate::run::polars::plan_in_parts(&lake, &question).unwrap() {
                    let parts = concat(parts, UnionArgs::default()).unwrap().collect().unwrap();
                    prop_assert!(parts.equals_missing(&all), "{query} {asked}\n{parts}\n{all}");
                }
            }
        }
    }

    #[test]
    fn erasure_finds_what_it_finds_without_filters(
        rows in prop::collection::vec(a_row(), 1..40),
        links in prop::collection::vec(a_link(), 0..3),
        exactly: bool,
    ) {
        let (_folder, lake) = lake_of(&rows, &links, |_, _| true);
        let (_bare_folder, bare) = lake_of(&rows, &links, |_, _| false);
        let options = EraseOptions { dry_run: true, exactly, ..EraseOptions::default() };
        for person in [PHONES[0], PHONES[3], IDS[0], IDS[3]] {
            let [found, expected] = [&lake, &bare].map(|lake| lake.erase(person, options));
            match (found, expected) {
                (Ok(found), Ok(expected)) => prop_assert_eq!(found, expected),
                (found, expected) => prop_assert_eq!(found.is_err(), expected.is_err()),
            }
        }
    }
}

#[test]
fn few_files_are_scanned_for_one_person() {
    // A file of a day has its own people, and one person who is there on two days.
    let mut rows = Vec::new();
    for date in 1..=30 {
        for table in [0, 1, 2, 3] {
            rows.extend(
                (0..20).map(|_| Row { session: Some(7), ..Row::of(table, date, PHONES[1]) }),
            );
        }
    }
    for table in [0, 1, 2] {
        rows.push(Row { session: Some(1), ..Row::of(table, 4, PHONES[0]) });
    }
    // It names no person.
    rows.push(Row { phone: None, session: Some(1), ..Row::of(3, 9, PHONES[0]) });
    let (_folder, lake) = lake_of(&rows, &[], |_, _| true);
    let question = ask("user-history", PHONES[0]);
    let reads = lake.reads_of(&question).unwrap();
    let days = |table| -> Vec<_> { reads.files(table).iter().map(|file| file.day).collect() };
    for table in [&deployments::TABLE, &sessions::TABLE, &messages::TABLE] {
        assert!(days(table).contains(&day(4)) && days(table).len() <= 3, "{:?}", days(table));
    }
    let closures = days(&closures::TABLE);
    assert!(closures.contains(&day(9)) && closures.len() <= 3, "{closures:?}");
    let plan = question.plan(&reads.tables().unwrap()).unwrap().explain(true).unwrap();
    assert!(
        !plan.contains("other sources]") || plan.matches("other sources]").count() <= 4,
        "{plan}"
    );

    // A filter that was altered decides nothing.
    let snapshot = lake.snapshot(&messages::TABLE).unwrap();
    let file = snapshot.files.iter().find(|file| file.day == day(20)).unwrap();
    let path = snapshot.place(file);
    let mut bytes = fs::read(&path).unwrap();
    let footer =
        usize::try_from(u32::from_le_bytes(bytes[bytes.len() - 8..][..4].try_into().unwrap()))
            .unwrap();
    let end = bytes.len() - 8 - footer;
    bytes[end - 1] ^= 1;
    fs::write(&path, bytes).unwrap();
    let reads = lake.reads_of(&question).unwrap();
    assert!(reads.files(&messages::TABLE).iter().any(|file| file.day == day(20)));
}

#[test]
fn question_about_a_person_asks_a_store_for_each_filter_once() {
    const DAYS: usize = 12;
    let of_day = |day: usize| Row::of(2, u32::try_from(day).unwrap(), PHONES[1]);
    let mut rows: Vec<Row> = (1..=DAYS).map(of_day).collect();
    rows.push(Row::of(2, 4, PHONES[0]));
    let (_folder, lake) = lake_of(&rows, &[], |_, _| true);
    let copied = Copied::of(&lake);
    let asked = |lake: &Lake, name: &str, arguments: &[&str]| {
        let entry = CATALOG.iter().find(|entry| entry.spec.name == name).unwrap();
        let question = entry.ask_for(arguments, &Defaults::default()).unwrap();
        copied.asked();
        let rows = answer(&question, lake.reads_of(&question).unwrap().tables()).height();
        let is_data = |asked: &String| asked.starts_with("GET ") && asked.ends_with(".parquet");
        (rows, copied.asked().into_iter().filter(is_data).count())
    };
    let about = ["--phone", PHONES[0]];
    let (rows, requests) = asked(&copied.cached(), "message-log", &about);
    assert!(rows == 1 && requests <= DAYS + 3, "{requests}");
    let (rows, requests) = asked(&copied.cached(), "message-log", &about);
    assert_eq!((rows, requests), (1, 0), "all is in the cache");
    // A question that is not about a person asks for no filters.
    let (rows, requests) = asked(&copied.lake(), "message-log", &[]);
    assert!(rows == DAYS + 1 && requests <= DAYS, "{requests}");
    let (rows, requests) = asked(&copied.lake(), "message-log", &["--phone", "none"]);
    assert!(rows == 0 && requests <= DAYS, "{requests}");
}

#[test]
fn log_tells_nothing_of_keys() {
    let (_folder, lake) = lake_of(&[Row::of(2, 1, PHONES[0])], &[], |_, _| true);
    let log = lake.root().join("tables/messages/_delta_log/00000000000000000000.json");
    let log = fs::read_to_string(log).unwrap();
    assert!(log.contains("wabalake.filter.user_key"));
    assert!(!log.contains(&text_key(PHONES[0]).to_string()) && !log.contains(PHONES[0]));
}
