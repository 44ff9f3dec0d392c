//! What was sent and received?
//!
//! One row per message, as stored; a reaction is one. `--status` keeps outgoing messages by their final state: a message
//! that failed and was delivered later did not fail, and one that was seen was delivered, whatever its
//! timestamps say.

use chrono_tz::Tz;
use wabalake_data::Table;
use wabalake_data::tables::messages::{
    self, BUTTON_PAYLOAD, CAMPAIGN_ID, CONTEXT_ID, CONVERSATION_ID, CONVERSATION_MSG_TYPE,
    CONVERSATION_TYPE, COUNTRY, COUNTRY_NAME, CREATED_AT, CTWA_CLID, DELIVERED_AT, ERROR_CODE,
    FAILED_AT, FORMAT, FROM, LINE, MESSAGE, MESSAGE_DIRECTION, MESSAGE_TYPE, PARENT_SERVICE_TYPE,
    PRICING_CATEGORY, PRICING_TYPE, REACTION, REASON_FOR_FAILURE, REF, REF1, REF2,
    REFERRAL_HEADLINE, REFERRAL_ID, REFERRAL_TYPE, SEEN_AT, SENT_AT, SOURCE, TEMPLATE_NAME, TO,
    USER_ID, USER_PHONE, WABA_ID, WHATSAPP_ID,
};
use wabalake_data::tables::{audience_tags, persons};

use crate::query::prelude::*;
use crate::query::time::Clock;

/// See the [module](self) for the question it answers.
#[derive(Debug)]
pub struct MessageLog;

impl Filtered for MessageLog {
    const TABLE: &'static Table = &messages::TABLE;
    const FILTERS: &'static [Filter] = Filter::OF_MESSAGES;
}

/// The query's options.
#[derive(Args, Debug)]
pub struct Params {
    #[command(flatten)]
    days: DayRange,
    #[command(flatten)]
    filters: Filters<MessageLog>,
    #[command(flatten)]
    phone: Only<filters::Phone>,
    #[command(flatten)]
    status: Only<filters::MessageStatus>,
}

impl Query for MessageLog {
    type Params = Params;

    const SPEC: Spec = Spec {
        name: "message-log",
        title: "The messages themselves",
        question: "What was sent and received? The messages of a person, a line, a template or a \
                   campaign, one row each, in order of creation.",
        reads: &[&messages::TABLE, &persons::TABLE, &audience_tags::TABLE],
        range: Range::Rows(&messages::TABLE),
        columns: &[
            OutputColumn::term(WABA_ID),
            OutputColumn::person(WHATSAPP_ID),
            OutputColumn::person(FROM),
            OutputColumn::person(TO),
            OutputColumn::word(MESSAGE_DIRECTION),
            OutputColumn::term(SOURCE),
            OutputColumn::term(FORMAT),
            OutputColumn::term(REASON_FOR_FAILURE),
            OutputColumn::term(COUNTRY_NAME),
            OutputColumn::term(TEMPLATE_NAME),
            OutputColumn::written(MESSAGE),
            OutputColumn::instant(CREATED_AT),
            OutputColumn::instant(FAILED_AT),
            OutputColumn::instant(SENT_AT),
            OutputColumn::instant(DELIVERED_AT),
            OutputColumn::instant(SEEN_AT),
            OutputColumn::term(PARENT_SERVICE_TYPE),
            OutputColumn::word(CONVERSATION_TYPE),
            OutputColumn::term(CONVERSATION_ID),
            OutputColumn::term(CONVERSATION_MSG_TYPE),
            OutputColumn::term(CAMPAIGN_ID),
            OutputColumn::term(REF),
            OutputColumn::term(REF1),
            OutputColumn::term(REF2),
            OutputColumn::line(LINE),
            OutputColumn::person(USER_PHONE),
            OutputColumn::country(COUNTRY),
            OutputColumn::word(MESSAGE_TYPE),
            OutputColumn::person(USER_ID),
            OutputColumn::code(ERROR_CODE),
            OutputColumn::word(PRICING_TYPE),
            OutputColumn::word(PRICING_CATEGORY),
            OutputColumn::word(REFERRAL_TYPE),
            OutputColumn::term(REFERRAL_ID),
            OutputColumn::written(REFERRAL_HEADLINE),
            OutputColumn::term(CTWA_CLID),
            OutputColumn::person(CONTEXT_ID),
            OutputColumn::written(BUTTON_PAYLOAD),
            OutputColumn::written(REACTION),
        ],
        key: &[WHATSAPP_ID],
        order: &[Order::Ascending(CREATED_AT)],
        example: &["--phone", "573005550101", "--status", "failed", "--from", "2025-06-01"],
        sql: include_str!("twin.sql"),
    };

    fn resolve(params: &mut Params, defaults: &Defaults) -> Result<Timeframe, UsageError> {
        params.days.resolve(defaults)
    }

    fn reads(params: &Params) -> Vec<&'static Table> {
        Self::SPEC.reads_for(&[&params.filters])
    }

    fn people(params: &Params) -> Vec<String> {
        params.phone.people()
    }

    fn invalidation(params: &Params, table: &Table) -> Vec<Invalidation> {
        if *table == messages::TABLE {
            return vec![Invalidation::OWN_BUCKET];
        }
        if *table == audience_tags::TABLE {
            return params.filters.invalidation_by_tags();
        }
        if params.phone.needs_persons() { vec![Invalidation::Answer] } else { Vec::new() }
    }

    fn buckets(_params: &Params, zone: Tz) -> Option<AnswerBuckets> {
        Some(AnswerBuckets::of_instants(CREATED_AT, Clock::Day, zone))
    }

    fn plan(tables: &Tables, params: &Params) -> PolarsResult<LazyFrame> {
        let messages = params.days.scan(tables, &messages::TABLE);
        let messages = params.filters.of(messages, tables);
        let messages = params.phone.of_people(messages, tables)?;
        Ok(match has_status(&params.status) {
            Some(has_status) => messages.filter(has_status),
            None => messages,
        })
    }

    fn bind(params: &Params) -> Bindings {
        let bindings = params.filters.bind(params.days.bind(Bindings::new()));
        params.status.bind(params.phone.bind(bindings))
    }
}

/// Predicate: the final state of an outgoing message is one of those asked for; an incoming one has none. `None`
/// if all messages pass.
///
/// It is made of conditions on columns, so that a scan reads the others of the messages that pass only.
fn has_status(asked: &Only<filters::MessageStatus>) -> Option<Expr> {
    let is_in_state = |state: &str| match state {
        "failed" => message_failed(),
        "seen" => message_read(),
        "delivered" => message_delivered().and(message_read().not()),
        "sent" => message_sent().and(message_delivered().not()).and(message_failed().not()),
        _ => message_sent().not().and(message_failed().not()),
    };
    let states = asked.allowed().iter().map(|state| outgoing().and(is_in_state(state)));
    states.chain(asked.lets_null_pass().then(|| outgoing().not())).reduce(Expr::or)
}
