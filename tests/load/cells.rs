//! Cells as people write them: null words, phones and ids in every table.

use std::collections::BTreeSet;

use polars::prelude::*;
use proptest::prelude::*;
use wabalake::lake::erase::{self, Erased};
use wabalake::lake::{Change, Operation, Snapshot, Staging, rejects};
use wabalake::load::LoadReport;
use wabalake_data::Table;
use wabalake_data::cells::LostDigits;
use wabalake_data::cells::phone::spellings;
use wabalake_data::tables::{
    TAG_KEY, USER_KEY, USER_PHONE_VALID, UTC_DAY, ad_spend, agent_chats, audience_tags, closures,
    conversions, deployments, messages, sessions, text_key, variables,
};

use crate::support::Bench;

/// Tables with a person in each row.
const WITH_PEOPLE: [&Table; 8] = [
    &sessions::TABLE,
    &deployments::TABLE,
    &messages::TABLE,
    &closures::TABLE,
    &agent_chats::TABLE,
    &conversions::TABLE,
    &audience_tags::TABLE,
    &variables::TABLE,
];

/// Tables whose exports have no dialling code beside a phone.
pub(super) const SIDE_TABLES: [&Table; 5] = [
    &closures::TABLE,
    &agent_chats::TABLE,
    &conversions::TABLE,
    &audience_tags::TABLE,
    &variables::TABLE,
];

impl Bench {
    /// Loads an export of a table with these phone cells.
    pub(super) fn load_people(&self, table: &Table, cells: &[&str]) -> LoadReport {
        let (name, text) = people(table, cells);
        self.load(&name, &text)
    }

    /// The texts of a column, sorted; empty for a null.
    fn texts(&self, table: &'static Table, column: &str) -> Vec<String> {
        self.columns(table, &[column], "")
    }

    /// The persons by the rows' own numbers, else by their own user ids.
    pub(super) fn persons(&self, table: &'static Table) -> BTreeSet<String> {
        self.columns(table, &[sessions::USER_PHONE, sessions::USER_ID], "|")
            .iter()
            .filter_map(|row| row.split('|').find(|person| !person.is_empty()))
            .map(str::to_owned)
            .collect()
    }

    /// Column and reason of each open reject.
    fn reasons(&self) -> Vec<(String, String)> {
        let open = self.open_rejects();
        let texts = |name: &str| open.column(name).unwrap().str().unwrap().clone();
        let (columns, reasons) = (texts(rejects::COLUMN), texts(rejects::REASON));
        let both = columns.iter().zip(reasons.iter());
        both.map(|(c, r)| (c.unwrap_or("-").to_owned(), r.unwrap().to_owned())).collect()
    }

    /// Rewrites a table as if older rules had read these persons from its exports.
    fn store_as_by_older_rules(
        &self,
        table: &'static Table,
        older: &dyn Fn(usize, &str) -> Option<String>,
    ) {
        let lake = self.lake();
        let rewrite = |snapshot: &Snapshot, staging: &Staging| {
            let mut row = 0;
            let mut add = Vec::new();
            for file in &snapshot.files {
                let mut rows = snapshot.scan_files(&[file]).unwrap().collect().unwrap();
                rows = rows.drop(UTC_DAY).unwrap();
                let now = rows.column(sessions::USER_PHONE).unwrap().str().unwrap().clone();
                let phones: Vec<Option<String>> = now
                    .iter()
                    .map(|phone| {
                        row += 1;
                        phone.map(|phone| older(row - 1, phone).unwrap_or_else(|| phone.to_owned()))
                    })
                    .collect();
                let hash = |phone: &Option<String>| phone.as_deref().map(text_key);
                let keys: Vec<Option<i64>> = phones.iter().map(hash).collect();
                if table.whole_key.is_some() {
                    let tags = rows.column(audience_tags::TAG).unwrap().str().unwrap().clone();
                    let key = |(phone, tag): (&Option<String>, Option<&str>)| {
                        text_key(&format!(
                            "{}\u{1f}{}\u{1f}",
                            phone.as_deref().unwrap(),
                            tag.unwrap()
                        ))
                    };
                    let keys: Vec<i64> = phones.iter().zip(tags.iter()).map(key).collect();
                    rows.with_column(Column::new(TAG_KEY.into(), keys)).unwrap();
                }
                rows.with_column(Column::new(sessions::USER_PHONE.into(), phones)).unwrap();
                rows.with_column(Column::new(USER_KEY.into(), keys)).unwrap();
                add.push(staging.write(file.day, rows).unwrap());
            }
            let remove = snapshot.files.iter().map(|file| file.path.clone()).collect();
            Ok(Some(Change { remove, add, ..Change::new(Operation::Load) }))
        };
        assert!(lake.transact(table, rewrite).unwrap().is_committed);
    }
}

/// An export of a table with these phone cells.
fn people(table: &Table, cells: &[&str]) -> (String, String) {
    let header = match table.name {
        sessions::NAME => "session_id,session_started_timestamp,user_cellphone",
        deployments::NAME => "conversation_id,deployment_timestamp,delivery_status,user_cellphone",
        messages::NAME => "whatsapp_id,message_direction,created_at,from",
        agent_chats::NAME => "agent,created_at,phone",
        conversions::NAME => "conversion_id,converted_at,user_phone",
        audience_tags::NAME => "tag,since,user_phone",
        variables::NAME => "name,value,at,user_phone",
        _ => "",
    };
    let at = "2025-06-01T10:00:00Z";
    let mut text = format!("{header}\n");
    if table.name == closures::NAME {
        text.clear();
    }
    for (n, cell) in cells.iter().enumerate() {
        let quoted = format!("\"{}\"", cell.replace('"', "\"\""));
        let record = match table.name {
            sessions::NAME => format!("s{n},{at},{quoted}\n"),
            deployments::NAME => format!("f{n},{at},Sent,{quoted}\n"),
            messages::NAME => format!("w{n},incoming,{at},{quoted}\n"),
            agent_chats::NAME => format!("Agent {n},2025-06-01T10:00:{n:02}Z,{quoted}\n"),
            conversions::NAME => format!("c{n},{at},{quoted}\n"),
            audience_tags::NAME => format!("t{n},{at},{quoted}\n"),
            variables::NAME => format!("v{n},x,{at},{quoted}\n"),
            _ => {
                let user = serde_json::json!({"cellphone": cell});
                let session = serde_json::json!({"external_id": format!("s{n}"), "closed_at": at});
                let event = serde_json::json!({
                    "event_id": format!("e{n}"), "event_type": "session.close", "session": session,
                    "user": user,
                });
                format!("{event}\n")
            }
        };
        text.push_str(&record);
    }
    let end = if table.name == closures::NAME { "jsonl" } else { "csv" };
    (format!("{}-{}.{end}", table.name, text_key(&text).unsigned_abs()), text)
}

/// A null word in any case, maybe with spaces.
fn null_word() -> impl Strategy<Value = String> {
    let words = vec!["-", "null", "none", "nan", "nat", "\\n", "n/a", "#n/a", "<na>", "undefined"];
    (prop::sample::select(words), any::<u16>(), "( ?| {2})", "( ?)").prop_map(
        |(word, upper, before, after)| {
            let cased = word.chars().enumerate().map(|(at, c)| match upper >> (at % 16) & 1 {
                0 => c,
                _ => c.to_ascii_uppercase(),
            });
            format!("{before}{}{after}", cased.collect::<String>())
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 5, ..ProptestConfig::default() })]

    /// A null word is null in timestamps, ids, phones and enumerations, and a text in free text.
    #[test]
    fn null_words_are_null_except_in_texts(words in prop::collection::vec(null_word(), 10)) {
        let bench = Bench::new();
        let [w0, w1, w2, w3, w4, w5, w6, w7, w8, text] = &words[..] else { unreachable!() };
        bench.load("sessions.csv", format!(
            "session_id,parent_session_id,session_started_timestamp,session_finished_timestamp,\
             session_type,user_country_code,user_cellphone,meta_source_id,conversation_version,\
             last_node_id,first_message\n\
             a1,{w0},2025-06-01 10:00:00,{w1},{w2},{w3},{w4},{w5},{w6},{w7},{text}\n\
             a2,{w8},2025-06-01 10:00:00,,,57,3005550101,,,,\n"
        ));
        prop_assert_eq!(bench.reasons(), vec![]);
        let rows = bench.frame(&sessions::TABLE).lazy().filter(col("session_id").eq(lit("a1")));
        let rows = rows.collect().unwrap();
        for column in [
            "parent_session_id", "session_finished_timestamp", "session_type", "user_country_code",
            "user_cellphone", "meta_source_id", "conversation_version", "last_node_id",
            "user_phone", "country",
        ] {
            prop_assert_eq!(rows.column(column).unwrap().null_count(), 1, "{}", column);
        }
        let said = rows.column("first_message").unwrap().str().unwrap().get(0);
        prop_assert_eq!(said, Some(text.as_str()));
        prop_assert_eq!(bench.texts(&sessions::TABLE, "parent_session_id"), ["", ""]);
    }

    /// Marks around and between the digits of a phone do not change the person, in any table.
    #[test]
    fn phone_with_marks_is_one_person(
        marks in prop::collection::vec(
            prop::sample::select(vec![
                '\u{202a}', '\u{202c}', '\u{200e}', '\u{200b}', '\u{2011}', '\u{2068}', '\u{2069}',
                '\u{a0}', '\u{feff}', ' ', '-', '(', ')', '/', '.', '·',
            ]),
            1..6,
        ),
        places in prop::collection::vec(1..11_usize, 6),
        (before, after) in prop::sample::select(vec![
            ("", ""), ("'", ""), ("=\"", "\""), ("whatsapp:", ""), ("tel:+", ""), ("+", ""),
            ("", "@s.whatsapp.net"), ("\u{200e}", "@c.us"), ("'+", ""),
        ]),
    ) {
        let mut number = "573005550101".to_owned();
        for (mark, place) in marks.iter().zip(&places) {
            let at = number.char_indices().nth(*place).unwrap().0;
            number.insert(at, *mark);
        }
        let cell = format!("{before}{number}{after}");
        let bench = Bench::new();
        for table in WITH_PEOPLE {
            bench.load_people(table, &[&cell, "573005550101"]);
            prop_assert_eq!(bench.persons(table), ["573005550101".to_owned()].into(), "{}", cell);
            prop_assert_eq!(bench.frame(table).height(), 2, "{}", table.name);
        }
    }

    /// A number that a spreadsheet rounded is rejected, in any table.
    #[test]
    fn phone_in_scientific_notation_is_rejected(
        (whole, tail, exponent) in ("[1-9][0-9]{0,2}", "[0-9]{1,6}", "[01][0-9]"),
        mark in prop::sample::select(vec!['.', ',']),
        e in prop::sample::select(vec!["E+", "e+", "E"]),
    ) {
        let cell = format!("{whole}{mark}{tail}{e}{exponent}");
        let bench = Bench::new();
        for (place, table) in (1..).zip(WITH_PEOPLE) {
            bench.load_people(table, &[&cell, "573005550101"]);
            prop_assert_eq!(bench.persons(table), ["573005550101".to_owned()].into());
            prop_assert_eq!(bench.reasons().len(), place, "{}", table.name);
        }
        for (_, reason) in bench.reasons() {
            prop_assert_eq!(&reason, LostDigits::REASON);
        }
    }

    /// All spellings of a renumbered phone are one person, in any table; other numbers are not.
    #[test]
    fn renumbered_phone_is_one_person(
        now in prop::sample::select(vec![
            "5491123456789", "5493514123456", "2290197123456", "2290161234567", "5511981234567",
            "529991234567",
        ]),
        others in Just(["573005550101", "548001234567", "12025550123"]),
    ) {
        let bench = Bench::new();
        let written = spellings(now).full;
        prop_assert!(written.len() > 1, "{:?}", written);
        let cells: Vec<&str> = written.iter().map(String::as_str).chain(others).collect();
        let expected: BTreeSet<String> =
            others.iter().chain([&now]).map(|&phone| phone.to_owned()).collect();
        for table in WITH_PEOPLE {
            bench.load_people(table, &cells);
            prop_assert_eq!(bench.persons(table), expected.clone(), "{}", table.name);
            prop_assert!(!bench.texts(table, USER_PHONE_VALID).contains(&"false".to_owned()));
        }
    }

    /// When a day is loaded again, rows stored under older rules get today's person: the table
    /// equals one that was loaded under today's rules only.
    #[test]
    fn reloaded_day_applies_todays_phone_rules_to_old_rows(
        now in prop::sample::select(vec!["5491123456789", "2290197123456"]),
        old in prop::collection::vec((0..4_usize, any::<bool>()), 1..6),
        new in prop::collection::vec(0..4_usize, 1..6),
    ) {
        let written = spellings(now).full;
        let cell = |place: &usize| written[place % written.len()].as_str();
        let first: Vec<&str> = old.iter().map(|(place, _)| cell(place)).collect();
        let again: Vec<&str> = new.iter().map(cell).collect();
        // An equal file would not be loaded again.
        prop_assume!(first != again);
        for table in [
            &deployments::TABLE,
            &messages::TABLE,
            &agent_chats::TABLE,
            &audience_tags::TABLE,
        ] {
            let (bench, fresh) = (Bench::new(), Bench::new());
            bench.load_people(table, &first);
            // Some rows were stored under the old spelling.
            bench.store_as_by_older_rules(table, &|row, _| old[row].1.then(|| written[1].clone()));
            let expected_old: BTreeSet<_> =
                old.iter().map(|(_, is_old)| written[usize::from(*is_old)].clone()).collect();
            prop_assert_eq!(bench.persons(table), expected_old);
            bench.load_people(table, &again);
            fresh.load_people(table, &again);
            fresh.load_people(table, &first);
            let (bench_rows, fresh_rows) = (bench.frame(table), fresh.frame(table));
            let sorted = |rows: DataFrame| {
                rows.sort(table.stored_key(), SortMultipleOptions::default())
            };
            prop_assert!(
                sorted(bench_rows.clone()).unwrap().equals_missing(&sorted(fresh_rows).unwrap()),
                "{}: {}", table.name, bench_rows
            );
            prop_assert_eq!(bench_rows.height(), old.len().max(new.len()));
        }
    }
}

#[test]
fn ids_in_scientific_notation_are_rejected() {
    let bench = Bench::new();
    let sessions = bench.load(
        "sessions.csv",
        "session_id,session_started_timestamp,conversation_id,parent_session_id\n\
         1.2021E+17,2025-06-01 10:00:00,41207,\n\
         a1,2025-06-01 10:00:00,\"4,12E+04\",\n\
         a2,2025-06-01 10:00:00,41207,1.2e+3\n\
         a3,2025-06-01 10:00:00,1.2E5,12E17\n\
         \"=\"\"00120\"\"\",2025-06-01 10:00:00,41207,\"=\"\"\"\"\"\n",
    );
    assert_eq!(sessions.total(|file| file.rows_rejected), 3);
    assert_eq!(bench.texts(&sessions::TABLE, "session_id"), ["00120", "a3"]);
    assert_eq!(bench.texts(&sessions::TABLE, "conversation_id"), ["1.2E5", "41207"]);
    assert_eq!(bench.texts(&sessions::TABLE, "parent_session_id"), ["", "12E17"]);
    bench.load(
        "messages.csv",
        "whatsapp_id,message_direction,created_at,campaign_id,ref\n\
         w1,incoming,2025-06-01T10:00:00Z,1.5E+10,\n\
         w2,incoming,2025-06-01T10:00:00Z,,1.5E+10\n",
    );
    bench.load(
        "spend.csv",
        "Ad ID,Day,Amount spent (USD),Currency\n1.2021E+17,2025-06-01,1.5,USD\n7,2025-06-01,1.5,USD\n",
    );
    let expected: Vec<(String, String)> =
        ["ad_id", "campaign_id", "conversation_id", "parent_session_id", "session_id"]
            .map(|column| (column.to_owned(), LostDigits::REASON.to_owned()))
            .into();
    let mut found = bench.reasons();
    found.sort();
    assert_eq!(found, expected);
    assert_eq!(bench.texts(&ad_spend::TABLE, "ad_id"), ["7"]);
    // A text that is no id may look like one.
    assert_eq!(bench.texts(&messages::TABLE, "ref"), ["1.5E+10"]);
    assert!(LostDigits::REASON.contains("Excel") && LostDigits::REASON.contains("as text"));
}

#[test]
fn phone_cell_without_a_number_is_no_person() {
    let bench = Bench::new();
    for table in [&sessions::TABLE, &messages::TABLE, &conversions::TABLE] {
        bench.load_people(table, &["9135@lid", "Ana", "\u{200e}", "@maria88", "n/a"]);
        assert_eq!(bench.frame(table).height(), 5, "{}", table.name);
        assert_eq!(bench.persons(table), BTreeSet::new(), "{}", table.name);
    }
    bench.load_people(&audience_tags::TABLE, &["phone", "9135@lid", "573005550101"]);
    let missing = ("user_phone".to_owned(), "a phone number or a user id is missing".to_owned());
    assert_eq!(bench.reasons(), [missing.clone(), missing]);
}

/// Meta's longest user ids, which differ in the last letter.
fn user_ids() -> [String; 2] {
    ["A", "B"].map(|last| format!("BR.ENT.{}{last}", "1a2b3c4d".repeat(15)))
}

#[test]
fn person_with_a_user_id_only_is_stored_and_can_be_erased() {
    let [first, second] = user_ids();
    let erased = |bench: &Bench, phone: &str| -> Erased {
        bench.lake().erase(phone, erase::Options::default()).unwrap()
    };
    let bench = Bench::new();
    for table in WITH_PEOPLE {
        bench.load_people(table, &[&first, &second, "573005550101"]);
        let expected: BTreeSet<_> =
            [&first, &second, "573005550101"].map(|person: &str| person.to_owned()).into();
        assert_eq!(bench.persons(table), expected, "{}", table.name);
        assert!(!bench.texts(table, USER_PHONE_VALID).contains(&"false".to_owned()));
    }
    let countries = bench.texts(&sessions::TABLE, "country");
    assert_eq!(countries, ["BR", "BR", "CO"]);
    bench.load(
        "texts.csv",
        format!(
            "whatsapp_id,message_direction,created_at,from,message\n\
             x1,incoming,2025-06-01T10:00:00Z,573005550101,ask {first}!\n\
             x2,incoming,2025-06-01T10:00:00Z,573005550101,ask {first}x {second}\n"
        ),
    );
    assert_eq!(erased(&bench, &first).rows(), WITH_PEOPLE.len() as u64);
    for table in WITH_PEOPLE {
        let left: BTreeSet<_> = [second.clone(), "573005550101".to_owned()].into();
        assert_eq!(bench.persons(table), left, "{}", table.name);
    }
    let texts = bench.texts(&messages::TABLE, "message");
    let written = format!("ask {first}x {second}");
    let texts: Vec<&String> = texts.iter().filter(|text| !text.is_empty()).collect();
    assert_eq!(texts, [&written, "ask [erased]!"]);
    assert!(erased(&bench, &first).is_nothing());
}

#[test]
fn person_with_a_user_id_only_is_kept_out() {
    let [first, second] = user_ids();
    let bench = Bench::new();
    bench.load_people(&sessions::TABLE, &[&first, &second]);
    let options = erase::Options { keep_out: true, ..erase::Options::default() };
    bench.lake().erase(&first, options).unwrap();
    let report = bench.load_people(&messages::TABLE, &[&first, &second]);
    assert_eq!(report.total(|file| file.rows_kept_out), 1);
    assert_eq!(bench.persons(&messages::TABLE), [second.clone()].into());
    // Rejected records of the person are left out as well.
    let broken = format!(
        "whatsapp_id,message_direction,created_at,from\nw8,incoming,soon,{first}\n\
         w9,incoming,soon,{second}\nw10,incoming,2025-06-01T10:00:00Z\nw11,x,,,{first},\n"
    );
    let report = bench.load("broken.csv", &broken);
    assert_eq!(report.total(|file| file.rows_kept_out), 2);
    assert_eq!(report.total(|file| file.rows_rejected), 2);
}

/// A lake may hold a person under a number that today's rules read differently.
#[test]
fn person_stored_under_older_rules_can_be_erased() {
    for (now, older) in [("5491123456789", "541123456789"), ("2290197123456", "22997123456")] {
        let bench = Bench::new();
        for table in WITH_PEOPLE {
            bench.load_people(table, &[now, now, "573005550101"]);
            bench.store_as_by_older_rules(table, &|row, phone| {
                (row == 0 && phone == now).then(|| older.to_owned())
            });
        }
        for phone in [older, now] {
            let options = erase::Options { dry_run: true, ..erase::Options::default() };
            let erased = bench.lake().erase(phone, options).unwrap();
            assert_eq!((erased.rows(), erased.people), (2 * WITH_PEOPLE.len() as u64, 1));
        }
        bench.lake().erase(older, erase::Options::default()).unwrap();
        for table in WITH_PEOPLE {
            assert_eq!(bench.persons(table), ["573005550101".to_owned()].into());
        }
    }
    for stored in ["5.73006E11", "\u{202a}573005550102", "x", "57300@lid"] {
        let bench = Bench::new();
        bench.load_people(&messages::TABLE, &["573005550101", "573005550102"]);
        bench.store_as_by_older_rules(&messages::TABLE, &|_, phone| {
            (phone == "573005550102").then(|| stored.to_owned())
        });
        let options = erase::Options { exactly: true, ..erase::Options::default() };
        assert_eq!(bench.lake().erase(stored, options).unwrap().rows(), 1, "{stored}");
        assert_eq!(bench.persons(&messages::TABLE), ["573005550101".to_owned()].into());
    }
}

/// A person kept out under an older spelling stays out under today's.
#[test]
fn person_kept_out_under_an_old_number_stays_out_under_the_new() {
    let bench = Bench::new();
    bench.load_people(&sessions::TABLE, &["541123456789"]);
    bench.store_as_by_older_rules(&sessions::TABLE, &|_, _| Some("541123456789".to_owned()));
    let older = erase::Options { keep_out: true, exactly: true, ..erase::Options::default() };
    bench.lake().erase("541123456789", older).unwrap();
    let report = bench.load_people(&messages::TABLE, &["5491123456789", "5491123456780"]);
    assert_eq!(report.total(|file| file.rows_kept_out), 1);
    assert_eq!(bench.persons(&messages::TABLE), ["5491123456780".to_owned()].into());
}

/// A tag stored under an older number and the same tag under today's are one row.
#[test]
fn tag_stored_under_older_rules_is_not_duplicated() {
    let tag = |number: &str, since: &str| format!("user_phone,tag,since\n{number},vip,{since}\n");
    for (is_first_old, later) in [(true, "54 11 15 2345 6789"), (false, "541123456789")] {
        let bench = Bench::new();
        bench.load("first.csv", tag("5491123456789", "2025-06-01 10:00:00"));
        bench.store_as_by_older_rules(&audience_tags::TABLE, &|_, _| {
            is_first_old.then(|| "541123456789".to_owned())
        });
        let report = bench.load("second.csv", tag(later, "2025-06-03 10:00:00"));
        assert_eq!(bench.frame(&audience_tags::TABLE).height(), 1);
        assert_eq!(bench.persons(&audience_tags::TABLE), ["5491123456789".to_owned()].into());
        assert_eq!(report.total(|file| file.rows_new), 0);
        assert_eq!(report.total(|file| file.rows_updated), 1);
        let again = bench.load("third.csv", tag("5491123456789", "2025-06-02 10:00:00"));
        assert_eq!(again.total(|file| file.rows_unchanged), 1);
    }
}
