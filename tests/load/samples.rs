//! Generated exports agree with one another.

use std::sync::LazyLock;

use polars::prelude::*;
use wabalake::load::{Options, load};
use wabalake_data::Table;
use wabalake_data::tables::{
    ad_spend, agent_chats, audience_tags, closures, conversions, events, identities,
    message_summaries, messages, meta_points, nodes, rates, session_summaries, sessions, variables,
};
use wabalake_queries::query::measures::{
    message_delivered, message_failed, message_read, message_sent, outgoing,
};
use wabalake_sample::Plan;

use crate::support::{Bench, texts};

/// Loads the generated exports with all companion files.
fn made_up(plan: &Plan) -> Bench {
    let bench = Bench::new();
    let mut files = Vec::new();
    for file in plan.files() {
        let mut bytes = Vec::new();
        file.write(&mut bytes).unwrap();
        files.push(bench.file(&file.name, bytes));
    }
    for file in plan.companions() {
        let mut bytes = Vec::new();
        let summary = file.write(&mut bytes).unwrap();
        let path = bench.file(&file.name, &bytes);
        let report = load(&bench.lake(), &[path], &Options::default()).unwrap();
        let tables: Vec<_> = report.files.iter().map(|part| part.table).collect();
        let expected: Vec<_> = file.tables.iter().map(|table| table.name).collect();
        assert_eq!(tables, expected, "{}", file.name);
        let mut taken =
            report.total(|part| part.rows_new + part.rows_updated + part.rows_unchanged);
        if tables.len() > 1 {
            // Rows that repeat one of the same file are unchanged, too.
            let alone = Bench::new();
            taken = alone.load(&file.name, &bytes).total(|part| part.rows_new);
        }
        let others =
            report.total(|part| part.rows_rejected + part.left_out_by_kind.values().sum::<u64>());
        assert_eq!((taken, others), (summary.good, 0), "{}", file.name);
        assert!(report.files.iter().all(|part| part.unknown_columns.is_empty()), "{}", file.name);
    }
    load(&bench.lake(), &files, &Options::default()).unwrap();
    bench
}

/// The rows of a plan as texts, sorted.
fn shown(plan: LazyFrame) -> Vec<String> {
    texts(&plan.collect().unwrap())
}

/// 40 days without dirt, shared by several tests.
static MADE_UP: LazyLock<Bench> =
    LazyLock::new(|| made_up(&Plan { days: 40, sessions_per_day: 60, seed: 3, ..Plan::default() }));

fn scan(table: &'static Table) -> LazyFrame {
    MADE_UP.lake().snapshot(table).unwrap().scan().unwrap()
}

/// The line of the webhooks, which no report of a vendor has.
const OWN_LINE: &str = "576010000002";

fn is_reported() -> Expr {
    col(messages::LINE).neq(lit(OWN_LINE))
}

fn points(field: &'static str) -> LazyFrame {
    scan(&meta_points::TABLE).filter(col(meta_points::FIELD).eq(lit(field)))
}

fn sums(names: &[&str]) -> Vec<Expr> {
    names.iter().map(|name| col(*name).sum()).collect()
}

fn day_of_message() -> Expr {
    col(messages::CREATED_AT).dt().date().alias("date")
}

#[test]
fn message_summaries_count_the_messages() {
    let count = |which: Expr, name| which.cast(DataType::Int64).sum().alias(name);
    let sent_out = |which: Expr| outgoing().and(which);
    let names = [messages::LINE, messages::COUNTRY, messages::MESSAGE_TYPE];
    let counted = scan(&messages::TABLE)
        .filter(is_reported())
        .group_by([vec![day_of_message()], names.map(col).to_vec()].concat())
        .agg([
            count(outgoing(), "created"),
            count(sent_out(message_failed()), "failed"),
            count(sent_out(message_sent()), "sent"),
            count(sent_out(message_delivered()), "delivered"),
            count(sent_out(message_read()), "read"),
            count(outgoing().not(), "received"),
        ]);
    let keys = ["date", "wa_phone_number", "country", "message_type"].map(col);
    let measures = ["created", "failed", "sent", "delivered", "read", "received"]
        .map(|name| col(name).fill_null(lit(0)));
    let reported = scan(&message_summaries::TABLE).select([&keys[..], &measures].concat());
    assert_eq!(shown(reported), shown(counted));
}

#[test]
fn meta_points_agree_with_the_summaries() {
    let summaries = || scan(&message_summaries::TABLE);
    let measures = ["sent", "delivered"];
    assert_eq!(
        shown(points("analytics").select(sums(&measures))),
        shown(summaries().select(sums(&measures)))
    );
    let measures = ["sent", "delivered", "read"];
    let templates = summaries().filter(col("message_type").eq(lit("template")));
    assert_eq!(
        shown(points("template_analytics").select(sums(&measures))),
        shown(templates.select(sums(&measures)))
    );
    assert_eq!(
        shown(points("pricing_analytics").select(sums(&["volume"]))),
        shown(summaries().select(sums(&["delivered"])))
    );
    assert_eq!(
        shown(points("conversation_analytics").select(sums(&["conversation", "cost"]))),
        shown(scan(&session_summaries::TABLE).select(sums(&["number_of_sessions", "amount"])))
    );
}

#[test]
fn session_summaries_count_the_sessions() {
    // A conversation belongs to the day of its first message that did not fail.
    let kind = |column: &str| {
        let referral = lit("^referral_conversion$");
        col(column).str().replace(referral, lit("referral"), false)
    };
    let order = SortMultipleOptions::default();
    let counted = scan(&messages::TABLE)
        .filter(col(messages::CONVERSATION_ID).is_not_null())
        .filter(outgoing().not().or(message_failed().not()))
        .sort([messages::CREATED_AT, messages::WHATSAPP_ID], order)
        .group_by_stable([col(messages::CONVERSATION_ID)])
        .agg([
            day_of_message().first(),
            col(messages::LINE).first(),
            col(messages::COUNTRY).first(),
            col(messages::CONVERSATION_TYPE).first(),
        ])
        .group_by([
            col("date"),
            col(messages::LINE),
            col(messages::COUNTRY),
            kind(messages::CONVERSATION_TYPE),
        ])
        .agg([len().cast(DataType::Int64)]);
    let reported = scan(&session_summaries::TABLE)
        .group_by([col("date"), col("wa_phone_number"), col("country"), kind("session_type")])
        .agg([col("number_of_sessions").sum()]);
    assert_eq!(shown(reported), shown(counted));
    // A month of this plan has more conversations than the free tier.
    let paid = scan(&session_summaries::TABLE).filter(col("amount").gt(lit(0))).select([len()]);
    assert_ne!(shown(paid), ["0"]);
}

#[test]
fn closures_match_the_sessions() {
    let ended = scan(&sessions::TABLE)
        .filter(col(sessions::SESSION_FINISHED_TIMESTAMP).is_not_null())
        .select([
            col(sessions::SESSION_ID),
            col(sessions::SESSION_FINISHED_TIMESTAMP),
            col(sessions::USER_PHONE),
            col(sessions::COUNTRY),
        ]);
    let closed = scan(&closures::TABLE).select([
        col(closures::SESSION_ID),
        col(closures::CLOSED_AT),
        col(closures::USER_PHONE),
        col(closures::COUNTRY),
    ]);
    let (ended, closed) = (shown(ended), shown(closed));
    let strange: Vec<_> = closed.iter().filter(|row| ended.binary_search(row).is_err()).collect();
    assert!(strange.is_empty(), "{strange:?}");
    // Events of sessions that ended in the last second were not sent yet.
    assert!(closed.len() + 2 >= ended.len(), "{} of {}", closed.len(), ended.len());
}

#[test]
fn webhooks_are_of_one_line_and_known_people() {
    let own = || scan(&messages::TABLE).filter(is_reported().not());
    let count = |rows: LazyFrame| shown(rows.select([len()]))[0].parse::<u64>().unwrap();
    // Two visits or sends a day, with a message or two each; a few reactions.
    assert!((120..200).contains(&count(own())), "{}", count(own()));
    let values = |rows: LazyFrame, column: &str| -> Vec<String> {
        let values = rows.select([col(column)]).drop_nulls(None);
        let texts = shown(values.unique(None, UniqueKeepStrategy::Any)).into_iter();
        texts.map(|text| text.trim_matches('"').to_owned()).collect()
    };
    let words = |column| values(own(), column);
    assert_eq!(words(messages::WABA_ID), ["100000000000058"]);
    assert_eq!(words(messages::MESSAGE_DIRECTION), ["incoming", "outgoing"]);
    assert_eq!(words(messages::SOURCE), ["app", "webhook"]);
    assert_eq!(words(messages::FORMAT), ["image", "reaction", "text"]);
    assert_eq!(words(messages::PRICING_TYPE), ["free_customer_service", "regular"]);
    assert!(words(messages::ERROR_CODE).iter().all(|code| code == "131026"));
    assert!(
        !words(messages::REFERRAL_ID).is_empty() && !words(messages::BUTTON_PAYLOAD).is_empty()
    );
    let answers = own().filter(col(messages::CONTEXT_ID).is_not_null());
    let ids = words(messages::WHATSAPP_ID);
    assert!(values(answers, messages::CONTEXT_ID).iter().all(|id| ids.contains(id)));

    // Some people hide their number; those of others are in the other exports.
    let numbers = words(messages::USER_PHONE);
    let is_hidden = col(messages::USER_PHONE).is_null();
    let hidden = values(own().filter(is_hidden), messages::USER_ID);
    assert!(!hidden.is_empty() && numbers.len() > hidden.len(), "{hidden:?}");
    let known = values(scan(&messages::TABLE).filter(is_reported()), messages::USER_PHONE);
    let known = numbers.iter().filter(|number| known.contains(number)).count();
    assert!(known * 10 > numbers.len() * 9, "{known} of {}", numbers.len());
    let linked = scan(&identities::TABLE);
    assert_eq!(values(linked.clone(), identities::KIND), ["phone", "user"]);
    let linked = values(linked, identities::LINKED);
    assert!(numbers.iter().all(|number| linked.contains(number)));
    assert!(hidden.iter().all(|id| !linked.contains(id)));

    // One a day; of the promotion two of Meta's reports, and people who stop.
    let events = scan(&events::TABLE);
    assert_eq!(count(events.clone()), 40 + 2 + 9);
    let kinds = values(events, events::EVENT);
    assert!(kinds.len() > 4 && kinds.iter().any(|kind| kind == events::MARKETING_PREFERENCE));
}

#[test]
fn side_tables_name_existing_sessions_and_people() {
    let values = |table, column| {
        let values = scan(table).select([col(column)]).drop_nulls(None);
        shown(values.unique(None, UniqueKeepStrategy::Any))
    };
    let all_of = |some: Vec<String>, known: &[String], what: &str| {
        assert!(!some.is_empty() && some.iter().all(|value| known.contains(value)), "{what}");
    };
    let advertised = values(&ad_spend::TABLE, ad_spend::AD_ID);
    let sources = values(&sessions::TABLE, sessions::META_SOURCE_ID);
    assert!(sources.iter().any(|id| advertised.contains(id)));
    let ids = values(&sessions::TABLE, sessions::SESSION_ID);
    let people = values(&sessions::TABLE, sessions::USER_PHONE);
    all_of(values(&conversions::TABLE, conversions::SESSION_ID), &ids, "conversions");
    all_of(values(&conversions::TABLE, conversions::USER_PHONE), &people, "conversions");
    all_of(values(&variables::TABLE, variables::SESSION_ID), &ids, "variables");
    all_of(values(&audience_tags::TABLE, audience_tags::USER_PHONE), &people, "tags");
    all_of(values(&agent_chats::TABLE, agent_chats::USER_PHONE), &people, "agent chats");
    assert!(!values(&agent_chats::TABLE, agent_chats::LAST_MESSAGE_AT).is_empty());
    assert!(!values(&rates::TABLE, rates::CATEGORY).is_empty());
    // Every session's last node is a node of its flow.
    let names = |scan: LazyFrame, node| {
        let node = scan.select([col(sessions::CONVERSATION_ID), col(node).alias("node")]);
        shown(node.drop_nulls(None).unique(None, UniqueKeepStrategy::Any))
    };
    let last = names(scan(&sessions::TABLE), sessions::LAST_NODE_ID);
    all_of(last, &names(scan(&nodes::TABLE), nodes::NODE_ID), "nodes");
}
