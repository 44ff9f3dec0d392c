//! The checks: which rows each applies to, and which rows fail.

use chrono_tz::Tz;
use wabalake_data::Table;
use wabalake_data::cells::Enumeration;
use wabalake_data::tables::ad_spend::{self, AD_ID, SPEND_GREATEST, SPEND_LEAST};
use wabalake_data::tables::deployments::{
    self, DELIVERY_STATUS, DEPLOYMENT_DELIVERED_TIMESTAMP, DEPLOYMENT_TIMESTAMP, STATE,
    STATUS_DETAIL, USER_RESPONDED_TIMESTAMP,
};
use wabalake_data::tables::messages::{
    self, CONVERSATION_MSG_TYPE, CONVERSATION_TYPE, CREATED_AT, DELIVERED_AT, FAILED_AT, FORMAT,
    PARENT_SERVICE_TYPE, PRICING_TYPE, SEEN_AT, SENT_AT, SOURCE, WHATSAPP_ID,
};
use wabalake_data::tables::sessions::{
    self, META_SOURCE_MEDIA_TYPE, META_SOURCE_TYPE, PARENT_SESSION_ID, SESSION_FINISHED_TIMESTAMP,
    SESSION_ID, SESSION_STARTED_TIMESTAMP, SESSION_STATUS, SESSION_TYPE,
};
use wabalake_data::tables::{
    SESSION_KEY, USER_PHONE_VALID, agent_chats, audience_tags, closures, conversions, variables,
};

use super::{cycles, twice};
use crate::query::measures::parent_key;
use crate::query::prelude::*;
use crate::query::time;

/// A check of the rows of a table.
pub(super) struct Check {
    pub(super) name: &'static str,
    /// Predicate: it applies to a row.
    pub(super) about: Expr,
    /// Predicate: a row fails.
    pub(super) fails: Expr,
    /// The value of a failing row that is shown as an example.
    pub(super) example: Expr,
    /// Converts the example to text.
    pub(super) written: Box<dyn Fn(Expr) -> Expr>,
}

/// Rows of a table, and their checks.
pub(super) struct Examined {
    pub(super) table: &'static Table,
    pub(super) rows: fn(&Tables, &DayRange) -> LazyFrame,
    pub(super) checks: fn(Tz) -> Vec<Check>,
}

pub(super) const EXAMINED: &[Examined] = &[
    Examined {
        table: &sessions::TABLE,
        rows: |tables, days| days.scan(tables, &sessions::TABLE),
        checks: of_sessions,
    },
    Examined { table: &sessions::TABLE, rows: redirected, checks: of_redirected },
    Examined {
        table: &deployments::TABLE,
        rows: |tables, days| days.scan(tables, &deployments::TABLE),
        checks: of_deployments,
    },
    Examined {
        table: &messages::TABLE,
        rows: |tables, days| days.scan(tables, &messages::TABLE),
        checks: of_messages,
    },
    Examined {
        table: &closures::TABLE,
        rows: |tables, days| days.scan(tables, &closures::TABLE),
        checks: |_| vec![invalid_phone(closures::SESSION_ID)],
    },
    Examined {
        table: &agent_chats::TABLE,
        rows: |tables, days| days.scan(tables, &agent_chats::TABLE),
        checks: of_agent_chats,
    },
    Examined {
        table: &conversions::TABLE,
        rows: |tables, days| days.scan(tables, &conversions::TABLE),
        checks: |_| vec![invalid_phone(conversions::CONVERSION_ID)],
    },
    Examined {
        table: &audience_tags::TABLE,
        rows: |tables, days| days.scan(tables, &audience_tags::TABLE),
        checks: |_| vec![invalid_phone(audience_tags::TAG)],
    },
    Examined {
        table: &variables::TABLE,
        rows: |tables, days| days.scan(tables, &variables::TABLE),
        checks: |_| vec![invalid_phone(variables::VARIABLE)],
    },
    Examined {
        table: &ad_spend::TABLE,
        rows: |tables, days| days.scan_dates(tables, &ad_spend::TABLE),
        checks: of_ad_spend,
    },
];

/// `true` if the session that a row names is in the lake, otherwise null.
const KNOWN: &str = "known";
const PARENT_KEY: &str = "parent_key";
const ON_CYCLE: &str = "on_cycle";

fn set(column: &str) -> Expr {
    col(column).is_not_null()
}

/// A check whose example is a column of the row.
fn check(name: &'static str, about: Expr, fails: Expr, example: &str) -> Check {
    Check { name, about, fails, example: col(example), written: Box::new(|example| example) }
}

/// A check that a word is in the list of known words.
fn unknown(name: &'static str, column: &str, words: &Enumeration) -> Check {
    let known = words.values().map(|word| col(column).eq(lit(word))).reduce(Expr::or);
    check(name, set(column), known.unwrap_or(lit(false)).not(), column)
}

fn invalid_phone(example: &str) -> Check {
    check("invalid-phone", has_number(), col(USER_PHONE_VALID).not(), example)
}

/// Predicate: the row has a phone number. A person may also be a user id, or the number that
/// `identities` links to one.
fn has_number() -> Expr {
    set(USER_PHONE_VALID)
}

/// A check of messages. Its example is never an id of Meta, which spells the person's number.
fn of_a_message(name: &'static str, about: Expr, fails: Expr) -> Check {
    let example = when(twice::is_wamid()).then(lit(Null {})).otherwise(col(WHATSAPP_ID));
    Check { example, ..check(name, about, fails, WHATSAPP_ID) }
}

/// Predicate: a timestamp is before another that should be earlier.
fn before(stamp: &str, other: &str) -> Expr {
    col(stamp).lt(col(other))
}

fn of_sessions(_: Tz) -> Vec<Check> {
    vec![
        unknown("unknown-session-type", SESSION_TYPE, &sessions::SESSION_TYPES),
        unknown("unknown-session-status", SESSION_STATUS, &sessions::SESSION_STATUSES),
        unknown("unknown-meta-source-type", META_SOURCE_TYPE, &sessions::META_SOURCE_TYPES),
        unknown(
            "unknown-meta-source-media-type",
            META_SOURCE_MEDIA_TYPE,
            &sessions::META_SOURCE_MEDIA_TYPES,
        ),
        invalid_phone(SESSION_ID),
        check(
            "finished-before-started",
            set(SESSION_FINISHED_TIMESTAMP),
            before(SESSION_FINISHED_TIMESTAMP, SESSION_STARTED_TIMESTAMP),
            SESSION_ID,
        ),
    ]
}

/// Redirected sessions, with what is known of their parents.
fn redirected(tables: &Tables, days: &DayRange) -> LazyFrame {
    let links = |sessions: LazyFrame| {
        sessions.filter(set(PARENT_SESSION_ID)).select([
            col(SESSION_ID),
            col(PARENT_SESSION_ID),
            col(SESSION_KEY),
            parent_key().alias(PARENT_KEY),
        ])
    };
    let all_links = links(tables.scan(&sessions::TABLE));
    let on_cycle = cycles::of(all_links.select([col(SESSION_KEY), col(PARENT_KEY)]), PARENT_KEY);
    let redirected = links(days.scan(tables, &sessions::TABLE));
    let parents = named(tables, redirected.clone().select([col(PARENT_KEY).alias(SESSION_KEY)]));
    let left = || JoinArgs::new(JoinType::Left);
    redirected.join(parents, [col(PARENT_KEY)], [col(SESSION_KEY)], left()).join(
        on_cycle.with_column(lit(true).alias(ON_CYCLE)),
        [col(SESSION_KEY)],
        [col(SESSION_KEY)],
        left(),
    )
}

fn of_redirected(_: Tz) -> Vec<Check> {
    vec![
        check(
            "parent-not-in-sessions",
            set(PARENT_SESSION_ID),
            col(KNOWN).is_null(),
            PARENT_SESSION_ID,
        ),
        check("parent-cycle", set(PARENT_SESSION_ID), set(ON_CYCLE), SESSION_ID),
    ]
}

/// The sessions with one of some keys that are in the lake.
fn named(tables: &Tables, keys: LazyFrame) -> LazyFrame {
    let by_key = [col(SESSION_KEY)];
    tables
        .scan(&sessions::TABLE)
        .select(&by_key)
        .join(keys, &by_key, &by_key, JoinArgs::new(JoinType::Semi))
        .with_column(lit(true).alias(KNOWN))
}

/// A check whose example is an instant of the row.
fn check_at(name: &'static str, about: Expr, fails: Expr, example: &str, zone: Tz) -> Check {
    Check {
        written: Box::new(move |at| time::rfc3339(at, zone)),
        ..check(name, about, fails, example)
    }
}

fn of_agent_chats(zone: Tz) -> Vec<Check> {
    let fails = col(USER_PHONE_VALID).not();
    vec![
        check_at("invalid-phone", has_number(), fails, agent_chats::CREATED_AT, zone),
        unknown(
            "unknown-last-message-sender",
            agent_chats::LAST_MESSAGE_SENDER,
            &agent_chats::SENDERS,
        ),
        unknown("unknown-finish-type", agent_chats::FINISH_TYPE, &agent_chats::FINISH_TYPES),
    ]
}

fn of_deployments(zone: Tz) -> Vec<Check> {
    let failed = || delivery_is("Failed");
    let at = |name, about, fails| check_at(name, about, fails, DEPLOYMENT_TIMESTAMP, zone);
    vec![
        unknown("unknown-delivery-status", DELIVERY_STATUS, &deployments::DELIVERY_STATUSES),
        check(
            "unknown-status-detail",
            failed().and(set(STATUS_DETAIL)),
            col(STATE).eq(lit("other_failure")),
            STATUS_DETAIL,
        ),
        at("invalid-phone", has_number(), col(USER_PHONE_VALID).not()),
        at(
            "delivered-before-deployed",
            set(DEPLOYMENT_DELIVERED_TIMESTAMP),
            before(DEPLOYMENT_DELIVERED_TIMESTAMP, DEPLOYMENT_TIMESTAMP),
        ),
        at(
            "responded-before-deployed",
            set(USER_RESPONDED_TIMESTAMP),
            before(USER_RESPONDED_TIMESTAMP, DEPLOYMENT_TIMESTAMP),
        ),
        at(
            "delivered-without-session",
            delivery_is("Delivered"),
            set(deployments::SESSION_ID).not(),
        ),
        check(
            "failed-with-session",
            failed(),
            set(deployments::SESSION_ID),
            deployments::SESSION_ID,
        ),
    ]
}

fn of_messages(_: Tz) -> Vec<Check> {
    let disordered =
        |name, stamp, other| of_a_message(name, set(stamp).and(set(other)), before(stamp, other));
    vec![
        unknown("unknown-conversation-type", CONVERSATION_TYPE, &messages::CONVERSATION_TYPES),
        unknown("unknown-source", SOURCE, &messages::SOURCES),
        unknown("unknown-format", FORMAT, &messages::FORMATS),
        unknown(
            "unknown-parent-service-type",
            PARENT_SERVICE_TYPE,
            &messages::PARENT_SERVICE_TYPES,
        ),
        unknown(
            "unknown-conversation-msg-type",
            CONVERSATION_MSG_TYPE,
            &messages::CONVERSATION_MSG_TYPES,
        ),
        unknown("unknown-pricing-type", PRICING_TYPE, &messages::PRICING_TYPES),
        of_a_message("invalid-phone", has_number(), col(USER_PHONE_VALID).not()),
        disordered("sent-before-created", SENT_AT, CREATED_AT),
        disordered("delivered-before-sent", DELIVERED_AT, SENT_AT),
        disordered("seen-before-delivered", SEEN_AT, DELIVERED_AT),
        of_a_message("failed-and-delivered", outgoing().and(set(FAILED_AT)), message_delivered()),
    ]
}

fn of_ad_spend(_: Tz) -> Vec<Check> {
    let differs = col(SPEND_LEAST).neq(col(SPEND_GREATEST));
    vec![check("spend-restated", set(AD_ID), differs, AD_ID)]
}
