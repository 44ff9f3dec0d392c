//! What a made-up export promises, held to the rules that the loader goes by.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use chrono_tz::Tz;

use super::people::COUNTRIES;
use super::*;
use wabalake_data::cells::phone::{Phones, digits};
use wabalake_data::cells::stamp::{Stamp, read};
use wabalake_data::cells::{number, word};
use wabalake_data::reference::countries;
use wabalake_data::tables::{Column, Kind};

const SMALL: Plan = Plan {
    start: NaiveDate::from_ymd_opt(2025, 5, 1).unwrap(),
    days: 45,
    sessions_per_day: 30,
    seed: 5,
    dirt: false,
};

/// The plan that the committed exports are made by.
const COMMITTED: Plan = Plan { days: 40, sessions_per_day: 4, seed: 34, dirt: true, ..SMALL };

fn written(file: &File) -> (Vec<u8>, Summary) {
    let mut bytes = Vec::new();
    let summary = file.write(&mut bytes).unwrap();
    (bytes, summary)
}

/// A file's characters as UTF-8, without a mark.
fn decoded(encoding: Encoding, bytes: &[u8]) -> Vec<u8> {
    let rest = bytes.strip_prefix(encoding.mark()).unwrap();
    match encoding {
        Encoding::Utf8 | Encoding::Utf8Bom => rest.to_vec(),
        Encoding::Utf16Le => {
            let units = rest.chunks(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
            String::from_utf16(&units.collect::<Vec<_>>()).unwrap().into_bytes()
        }
        // Letters are enough here.
        Encoding::Windows1252 => {
            rest.iter().map(|byte| char::from(*byte)).collect::<String>().into()
        }
    }
}

type Record = Vec<Vec<u8>>;

/// The records of a CSV; one that is cut off within quotes has no cells.
fn records(bytes: &[u8], delimiter: u8) -> Vec<Record> {
    let (mut records, mut record, mut cell) = (Vec::new(), Vec::new(), Vec::new());
    let mut bytes = bytes.iter().copied().peekable();
    let mut quoted = false;
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' if quoted && bytes.peek() == Some(&b'"') => cell.extend(bytes.next()),
            b'"' if quoted || cell.is_empty() => quoted = !quoted,
            _ if quoted => cell.push(byte),
            _ if byte == delimiter => record.push(std::mem::take(&mut cell)),
            b'\r' if bytes.peek() == Some(&b'\n') => {}
            b'\n' => {
                record.push(std::mem::take(&mut cell));
                records.push(std::mem::take(&mut record));
            }
            _ => cell.push(byte),
        }
    }
    if quoted {
        records.push(Vec::new());
    }
    records
}

/// What each header cell names.
type Header = Vec<Option<&'static Column>>;

fn header_of(table: &Table, record: &Record) -> Header {
    let column = |title: &Vec<u8>| {
        let title = std::str::from_utf8(title).unwrap();
        table.exported().find(|column| column.is_named(title))
    };
    record.iter().map(column).collect()
}

/// A row that a loader must take, as column and cell; none for a record that it must refuse.
fn row<'r>(header: &Header, record: &'r Record) -> Option<Row<'r>> {
    if record.len() != header.len() {
        return None;
    }
    let mut row = Row::new();
    for (column, cell) in header.iter().zip(record) {
        let cell = std::str::from_utf8(cell).ok()?;
        let Some(column) = column else { continue };
        let value = match column.kind {
            Kind::Text => Some(cell).filter(|cell| !cell.is_empty()),
            _ => word(cell),
        };
        let is_good = value.is_none_or(|value| match column.kind {
            Kind::Stamp => read(value, Tz::UTC) != Stamp::Bad,
            Kind::Integer => number::integer(value).is_some(),
            Kind::Closed(list) => list.canonical(value).is_some(),
            _ => true,
        });
        let is_sentinel = value.is_some_and(|stamp| read(stamp, Tz::UTC) == Stamp::Sentinel);
        let value = value.filter(|_| !matches!(column.kind, Kind::Stamp) || !is_sentinel);
        if !is_good || column.required && value.is_none() {
            return None;
        }
        row.extend(value.map(|value| (column.name, value)));
    }
    Some(row)
}

type Row<'r> = BTreeMap<&'static str, &'r str>;

/// The rows of every file of a clean plan, one table's.
fn rows_of(plan: &Plan, table: &Table) -> Vec<BTreeMap<&'static str, String>> {
    let mut rows = Vec::new();
    for file in plan.files().filter(|file| file.table == table) {
        let records = records(&written(&file).0, b',');
        let (header, records) = records.split_first().unwrap();
        let header = header_of(table, header);
        for record in records {
            let row = row(&header, record).unwrap();
            rows.push(row.into_iter().map(|(column, cell)| (column, cell.to_owned())).collect());
        }
    }
    rows
}

fn instant(stamp: &str) -> i64 {
    match read(stamp, Tz::UTC) {
        Stamp::At(at) => at,
        other => panic!("{stamp} is {other:?}"),
    }
}

/// Who a row is about, as it is written.
fn person<T: AsRef<str>>(row: &BTreeMap<&'static str, T>) -> [String; 2] {
    [sessions::USER_COUNTRY_CODE, sessions::USER_CELLPHONE].map(|c| row[c].as_ref().to_owned())
}

/// What makes a row one row. A person is spelled alike wherever the row stands.
fn key(table: &Table, row: &Row<'_>) -> Vec<String> {
    let cells = table.key.iter().flat_map(|column| match *column {
        deployments::USER_PHONE => person(row).to_vec(),
        deployments::DEPLOYMENT_TIMESTAMP => vec![instant(row[column]).to_string()],
        deployments::CONVERSATION_VERSION => {
            vec![number::integer(row[column]).unwrap().to_string()]
        }
        column => vec![row[column].to_owned()],
    });
    cells.collect()
}

#[test]
fn the_same_plan_gives_the_same_bytes_and_another_seed_others() {
    let bytes = |plan: Plan| plan.files().map(|file| written(&file).0).collect::<Vec<_>>();
    let dirty = Plan { dirt: true, ..SMALL };
    for plan in [SMALL, dirty] {
        assert_eq!(bytes(plan), bytes(plan));
        let other = bytes(Plan { seed: 6, ..plan });
        assert!(bytes(plan).iter().zip(&other).all(|(one, other)| one != other));
    }
}

#[test]
fn days_are_the_files_and_every_row_lies_on_its_day() {
    for table in TABLES {
        let mut of_files = BTreeSet::new();
        let mut good = 0;
        for file in SMALL.files().filter(|file| file.table == table) {
            let (bytes, summary) = written(&file);
            assert_eq!(summary.rejected, 0);
            good += summary.good;
            of_files.extend(records(&bytes, b',').split_off(1));
        }
        let day_of = table.exported().position(|column| column.name == table.day_of).unwrap();
        let mut of_days = BTreeSet::new();
        let mut counted = 0;
        for day in SMALL.days() {
            let mut bytes = b"kept\r\n".to_vec();
            counted += SMALL.day_csv(table, day, &mut bytes);
            let records = records(bytes.strip_prefix(b"kept\r\n").unwrap(), b',');
            for record in &records {
                assert!(record[day_of].starts_with(day.to_string().as_bytes()));
            }
            of_days.extend(records);
        }
        assert_eq!(of_days, of_files);
        assert_eq!([good, counted], [of_files.len() as u64; 2]);
        assert_eq!(SMALL.rows(table), good);
        let outside = SMALL.start.pred_opt().unwrap();
        assert_eq!(SMALL.day_csv(table, outside, &mut Vec::new()), 0);
    }
}

#[test]
fn a_day_does_not_depend_on_how_long_the_plan_is() {
    let longer = Plan { days: SMALL.days * 2, ..SMALL };
    // Far enough from the end that nothing of it is unknown.
    let day = SMALL.start.checked_add_days(Days::new(20)).unwrap();
    for table in TABLES {
        let [mut one, mut other] = [Vec::new(), Vec::new()];
        assert!(SMALL.day_csv(table, day, &mut one) > 0);
        longer.day_csv(table, day, &mut other);
        assert_eq!(one, other);
    }
}

#[test]
fn exports_are_linked() {
    let sessions = rows_of(&SMALL, &sessions::TABLE);
    let deployments = rows_of(&SMALL, &deployments::TABLE);
    let by_id: BTreeMap<_, _> =
        sessions.iter().map(|row| (&row[sessions::SESSION_ID], row)).collect();
    assert_eq!(by_id.len(), sessions.len());

    let mut sent = BTreeSet::new();
    let mut keys = BTreeSet::new();
    for row in &deployments {
        let key = [
            deployments::CONVERSATION_ID,
            deployments::CONVERSATION_VERSION,
            deployments::DEPLOYMENT_TIMESTAMP,
        ];
        assert!(keys.insert((person(row), key.map(|column| &row[column]))));
        let delivered = row[deployments::DELIVERY_STATUS] == "Delivered";
        assert_eq!(delivered, row.contains_key(deployments::SESSION_ID));
        assert_eq!(delivered, row.contains_key(deployments::DEPLOYMENT_DELIVERED_TIMESTAMP));
        let failed = row[deployments::DELIVERY_STATUS] == "Failed";
        assert_eq!(failed, row.contains_key(deployments::STATUS_DETAIL));
        if delivered {
            let session = by_id[&row[deployments::SESSION_ID]];
            assert_eq!(
                session[sessions::SESSION_STARTED_TIMESTAMP],
                row[deployments::DEPLOYMENT_DELIVERED_TIMESTAMP]
            );
            assert_eq!(
                session.get(sessions::FIRST_MESSAGE_TIMESTAMP),
                row.get(deployments::USER_RESPONDED_TIMESTAMP)
            );
            assert_eq!(session[sessions::SESSION_TYPE], "Outbound");
            assert_eq!(session[sessions::CONVERSATION_ID], row[deployments::CONVERSATION_ID]);
            assert_eq!(person(session), person(row));
            sent.insert(&row[deployments::SESSION_ID]);
        }
    }

    let mut chained = 0;
    for row in &sessions {
        if let Some(parent) = row.get(sessions::PARENT_SESSION_ID) {
            let parent = by_id[parent];
            assert_eq!(
                parent[sessions::SESSION_FINISHED_TIMESTAMP],
                row[sessions::SESSION_STARTED_TIMESTAMP]
            );
            assert_eq!(person(parent), person(row));
            chained += usize::from(parent.contains_key(sessions::PARENT_SESSION_ID));
        } else if row[sessions::SESSION_TYPE] == "Outbound" {
            assert!(sent.contains(&row[sessions::SESSION_ID]));
        }
        if let Some(finished) = row.get(sessions::SESSION_FINISHED_TIMESTAMP) {
            let start = instant(&row[sessions::SESSION_STARTED_TIMESTAMP]);
            let last =
                row.get(sessions::LAST_MESSAGE_TIMESTAMP).map_or(start, |last| instant(last));
            assert!(start <= last && last <= instant(finished));
        }
        let from_meta = row.contains_key(sessions::META_SOURCE_ID);
        assert_eq!(from_meta, row.contains_key(sessions::META_SOURCE_HEADLINE));
        assert!(!from_meta || row[sessions::SESSION_TYPE] == "Inbound");
    }
    assert!(chained > 0, "no chain of three");
}

#[test]
fn messages_belong_to_conversations_and_sessions() {
    let messages = rows_of(&SMALL, &messages::TABLE);
    let ids: BTreeSet<_> = messages.iter().map(|row| &row[messages::WHATSAPP_ID]).collect();
    assert_eq!(ids.len(), messages.len());
    let mut starts = BTreeMap::new();
    let mut incoming = BTreeSet::new();
    for row in &messages {
        let created = instant(&row[messages::CREATED_AT]);
        let mut last = created;
        for stamp in [messages::SENT_AT, messages::DELIVERED_AT, messages::SEEN_AT] {
            let at = row.get(stamp).map_or(last, |at| instant(at));
            assert!(last <= at, "{stamp}");
            last = at;
        }
        assert_eq!(
            row.contains_key(messages::FAILED_AT),
            row.contains_key(messages::REASON_FOR_FAILURE)
        );
        if row[messages::MESSAGE_DIRECTION] == "true" {
            incoming.insert((row[messages::FROM].clone(), created));
        }
        if row.get(messages::CONVERSATION_MSG_TYPE).is_some_and(|kind| kind == "Conversation start")
        {
            assert!(starts.insert(&row[messages::CONVERSATION_ID], created).is_none());
        }
    }
    for row in messages.iter().filter(|row| row.contains_key(messages::CONVERSATION_ID)) {
        // The conversation of a template that never went out begins with the answer to another.
        let Some(start) = starts.get(&row[messages::CONVERSATION_ID]) else { continue };
        let age = instant(&row[messages::CREATED_AT]) - start;
        assert!((0..story::DAY).contains(&age));
    }
    for row in rows_of(&SMALL, &sessions::TABLE) {
        let phone =
            format!("{}{}", row[sessions::USER_COUNTRY_CODE], row[sessions::USER_CELLPHONE]);
        for stamp in [sessions::FIRST_MESSAGE_TIMESTAMP, sessions::LAST_MESSAGE_TIMESTAMP] {
            let Some(at) = row.get(stamp) else { continue };
            let at = instant(at) / 1000 * 1000;
            assert!(incoming.contains(&(phone.clone(), at)));
        }
    }
}

#[test]
fn a_month_holds_every_case() {
    let plan = Plan { days: 56, sessions_per_day: 60, ..SMALL };
    let values = |rows: &[BTreeMap<&'static str, String>], column| {
        rows.iter().filter_map(|row| row.get(column).cloned()).collect::<BTreeSet<_>>()
    };
    let sessions = rows_of(&plan, &sessions::TABLE);
    let deployments = rows_of(&plan, &deployments::TABLE);
    let messages = rows_of(&plan, &messages::TABLE);

    let codes = company::FAILURES.map(|(code, ..)| code.to_owned());
    assert_eq!(values(&deployments, deployments::STATUS_DETAIL), BTreeSet::from(codes));
    let statuses = ["Delivered", "Failed", "In Process", "SUCCESS"].map(str::to_owned);
    assert_eq!(values(&deployments, deployments::DELIVERY_STATUS), statuses.into());
    let statuses = ["AGENTS", "BOT", "RATING"].map(str::to_owned);
    assert_eq!(values(&sessions, sessions::SESSION_STATUS), statuses.into());
    assert_eq!(values(&sessions, sessions::META_SOURCE_TYPE).len(), 2);
    assert!(values(&sessions, sessions::CONVERSATION_VERSION).len() >= 3);
    assert!(values(&sessions, sessions::WHATSAPP_LINK_CAMPAIGN_SOURCE).len() == 3);
    assert_eq!(values(&messages, messages::COUNTRY_NAME).len(), COUNTRIES.len());
    assert_eq!(values(&messages, messages::SOURCE).len(), 3);
    assert_eq!(values(&messages, messages::FORMAT).len(), 6);
    assert!(sessions.iter().any(|row| !row.contains_key(sessions::SESSION_FINISHED_TIMESTAMP)));

    // Persons come back after a day, a week, a month.
    let mut visits = BTreeMap::<_, BTreeSet<i64>>::new();
    for row in sessions.iter().filter(|row| !row.contains_key(sessions::PARENT_SESSION_ID)) {
        let day = instant(&row[sessions::SESSION_STARTED_TIMESTAMP]) / story::DAY;
        visits.entry(person(row)).or_default().insert(day);
    }
    for after in [1, 7, 30] {
        let returned =
            visits.values().filter(|days| days.contains(&(days.first().unwrap() + after)));
        assert!(returned.count() > 5, "day {after}");
    }
}

#[test]
fn ratios_are_as_promised() {
    let plan = Plan { days: 28, sessions_per_day: 500, seed: 9, ..SMALL };
    let promised = 28 * 500;
    let near = |rows: u64, per_thousand: u32| {
        let promised = promised * u64::from(per_thousand) / 1000;
        assert!(rows.abs_diff(promised) * 100 < 3 * promised, "{rows} for {promised}");
    };
    near(plan.rows(&sessions::TABLE), 1000);
    near(plan.rows(&deployments::TABLE), story::DEPLOYMENTS_PER_THOUSAND);
    near(plan.rows(&messages::TABLE), story::MESSAGES_PER_THOUSAND);
}

#[test]
fn numbers_are_valid_where_they_should_be_and_no_ones() {
    let phones = Phones::default();
    for country in &COUNTRIES {
        for [first, last] in country.extremes() {
            for national in [first, last] {
                let national = String::from_utf8(national.digits().to_vec()).unwrap();
                let person = phones.person(Some(country.code), Some(&national)).unwrap();
                assert!(person.valid, "{} {national}", country.code);
                assert_eq!(person.country, countries::by_name(country.name), "{national}");
                assert_eq!(person.phone(), format!("{}{national}", country.code));
                assert!(["000", "00", "55501"].iter().any(|zeros| national[2..].contains(zeros)));
            }
        }
    }
}

#[test]
fn summaries_are_what_the_loaders_rules_say() {
    for plan in [COMMITTED, Plan { days: 120, dirt: true, ..SMALL }] {
        let mut keys = TABLES.map(|_| BTreeSet::new());
        let mut encodings = Vec::new();
        for file in plan.files() {
            let (bytes, summary) = written(&file);
            let delimiter = file.style.delimiter;
            let records = records(&decoded(file.encoding, &bytes), delimiter);
            let (header, records) = records.split_first().unwrap();
            let header = header_of(file.table, header);
            let rows: Vec<_> = records.iter().map(|record| row(&header, record)).collect();
            let good = rows.iter().flatten().count() as u64;
            let rejected = rows.len() as u64 - good;
            assert_eq!(summary, Summary { good, rejected }, "{}", file.name);
            assert!(rejected >= 6);
            let place = TABLES.iter().position(|table| *table == file.table).unwrap();
            for row in rows.iter().flatten() {
                keys[place].insert(key(file.table, row));
            }
            encodings.push(file.encoding);
        }
        for (table, keys) in TABLES.into_iter().zip(keys) {
            assert_eq!(plan.rows(table), keys.len() as u64, "{}", table.name);
        }
        if plan.days == 120 {
            for encoding in
                [Encoding::Utf8, Encoding::Utf8Bom, Encoding::Utf16Le, Encoding::Windows1252]
            {
                assert!(encodings.contains(&encoding));
            }
        }
    }
}

#[test]
fn companions_are_the_same_every_time_and_grow_with_the_plan() {
    let written = |plan: Plan| {
        plan.companions()
            .map(|file| {
                let mut bytes = Vec::new();
                let summary = file.write(&mut bytes).unwrap();
                (file.name, bytes, summary)
            })
            .collect::<Vec<_>>()
    };
    for plan in [SMALL, Plan { dirt: true, ..SMALL }] {
        let (once, again) = (written(plan), written(plan));
        assert_eq!(once, again);
        for (name, bytes, summary) in &once {
            let lines = bytes.split(|byte| *byte == b'\n').count() as u64 - 1;
            let points = bytes.windows(9).filter(|word| *word == b"\"start\":1").count() as u64;
            let header = match name.rsplit_once('.').unwrap().1 {
                "csv" if name.starts_with("ads_manager") && bytes.starts_with(b"Rep") => 2,
                "csv" => 1,
                _ => 0,
            };
            let rows = if points > 0 { points } else { lines - header };
            assert_eq!(rows, summary.good, "{name}");
            assert!(summary.good > 0, "{name}");
        }
    }
    let other = written(Plan { seed: 6, ..SMALL });
    let differ = written(SMALL).iter().zip(&other).filter(|(one, other)| one.1 != other.1).count();
    // The rate card is the same for all.
    assert_eq!(differ + 1, other.len());
    assert_eq!(Plan { days: 0, ..SMALL }.companions().count(), 0);
}

#[test]
fn downloads_cover_the_plan() {
    for (days, dirt) in
        [(1, false), (30, false), (31, false), (365, false), (1, true), (9, true), (365, true)]
    {
        let plan = Plan { days, dirt, ..SMALL };
        let downloads = plan.downloads();
        assert!(downloads.iter().all(|days| (1..=30).contains(&(days.end - days.start))));
        assert_eq!((downloads[0].start, downloads.last().unwrap().end), (0, i64::from(days)));
        for pair in downloads.windows(2) {
            assert!(pair[1].start <= pair[0].end && pair[1].end > pair[0].end);
        }
        let twice = downloads.windows(2).any(|pair| pair[1].start < pair[0].end);
        assert_eq!(twice, dirt && days >= 30);
        let names: BTreeSet<_> = plan.files().map(|file| file.name).collect();
        assert_eq!(names.len(), plan.files().count());
    }
    assert_eq!(Plan { days: 0, ..SMALL }.files().count(), 0);
}

#[test]
fn the_copy_is_one() {
    let files: Vec<_> = COMMITTED.files().collect();
    let copy = files.last().unwrap();
    let original = files.iter().find(|file| Some(&file.name) == copy.copy_of.as_ref()).unwrap();
    assert_eq!(written(copy), written(original));
    assert!(copy.name.ends_with(" (1).csv"));
}

/// `BLESS=1` writes the committed exports anew.
#[test]
fn committed_exports_are_this_plans() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../data/exports");
    let readme = std::fs::read_to_string(folder.join("README.md")).unwrap();
    let mut names = BTreeSet::from(["README.md", ".gitattributes", BY_HAND].map(str::to_owned));
    let mut files = Vec::new();
    for file in COMMITTED.files() {
        assert!(!file.gzip, "{}", file.name);
        let (bytes, summary) = written(&file);
        files.push((file.name, bytes, summary));
    }
    for file in COMMITTED.companions() {
        let mut bytes = Vec::new();
        let summary = file.write(&mut bytes).unwrap();
        files.push((file.name, bytes, summary));
    }
    let mut untold = Vec::new();
    for (name, bytes, summary) in files {
        let path = folder.join(&name);
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(&path, &bytes).unwrap();
        }
        assert!(std::fs::read(&path).unwrap() == bytes, "{name} differs");
        let line = format!("| `{name}` | {} | {} |", summary.good, summary.rejected);
        if !readme.contains(&line) {
            untold.push(line);
        }
        names.insert(name);
    }
    assert!(untold.is_empty(), "README.md lacks\n{}", untold.join("\n"));
    let found = std::fs::read_dir(&folder).unwrap();
    let found: BTreeSet<_> = found.map(|f| f.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(found, names);
    let [sessions, deployments, messages] = TABLES.map(|table| COMMITTED.rows(table));
    let line = format!(
        "{} sessions, {deployments} deployments, {messages} messages",
        sessions + BY_HAND_SESSIONS
    );
    assert!(readme.contains(&line), "{line}");
}

const BY_HAND: &str = "general_sessions_report_by_hand.csv";
const BY_HAND_GOOD: u64 = 10;
/// Two of them are one session.
const BY_HAND_SESSIONS: u64 = 9;

#[test]
fn the_file_written_by_hand_is_as_its_readme_says() {
    let bytes = include_bytes!("../data/exports/general_sessions_report_by_hand.csv");
    let readme = include_str!("../data/exports/README.md");
    let records = records(bytes, b',');
    let (header, records) = records.split_first().unwrap();
    let header = header_of(&sessions::TABLE, header);
    let rows: Vec<_> = records.iter().map(|r| row(&header, r)).collect();
    let good = rows.iter().flatten().count() as u64;
    assert_eq!(good, BY_HAND_GOOD);
    let keys: BTreeSet<_> = rows.iter().flatten().map(|r| key(&sessions::TABLE, r)).collect();
    assert_eq!(keys.len() as u64, BY_HAND_SESSIONS);
    assert!(readme.contains(&format!("| `{BY_HAND}` | {good} | {} |", rows.len() as u64 - good)));

    let phones = Phones::default();
    let mut people = BTreeSet::new();
    for row in rows.iter().flatten() {
        let [code, number] = person(row).map(|cell| digits(&cell).unwrap().into_owned());
        people.insert(phones.person(Some(&code), Some(&number)).unwrap().into_phone());
    }
    let people: Vec<_> = people.iter().map(String::as_str).collect();
    assert_eq!(
        people,
        ["12025550123", "14165550123", "525550000001", "5511999999999", "573000000001"]
    );
}
