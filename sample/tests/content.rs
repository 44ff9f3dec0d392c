//! What clean exports contain, and how they are linked.

use wabalake_data::cells::phone::Phones;
use wabalake_data::reference::countries;

use super::*;
use crate::people::COUNTRIES;

#[test]
fn deployments_and_sessions_refer_to_one_another() {
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
        // The conversation of a template that was not sent starts with a reply to another one.
        let Some(start) = starts.get(&row[messages::CONVERSATION_ID]) else { continue };
        let age = instant(&row[messages::CREATED_AT]) - start;
        assert!((0..episode::DAY).contains(&age));
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
fn a_plan_of_two_months_has_every_case() {
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

    // People come back after a day, a week, a month.
    let mut visits = BTreeMap::<_, BTreeSet<i64>>::new();
    for row in sessions.iter().filter(|row| !row.contains_key(sessions::PARENT_SESSION_ID)) {
        let day = instant(&row[sessions::SESSION_STARTED_TIMESTAMP]) / episode::DAY;
        visits.entry(person(row)).or_default().insert(day);
    }
    for after in [1, 7, 30] {
        let returned =
            visits.values().filter(|days| days.contains(&(days.first().unwrap() + after)));
        assert!(returned.count() > 5, "day {after}");
    }
}

#[test]
fn phone_numbers_are_valid_but_not_assigned_to_anyone() {
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
