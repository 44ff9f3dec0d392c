//! What happened with one person, in order?
//!
//! One row for each event that has a stamp: what was sent to them, what they answered, their
//! sessions with the first and the last message, the messages on their way, closings and
//! conversions. A closing or a conversion is theirs if it names them or one of their sessions. The
//! last message of a session is left out where it came at the instant of the first. The range of
//! days applies to the events, not to the sessions that they belong to.

use polars::prelude::{UnionArgs, concat};
use wabalake_data::cells::phone::full_number;
use wabalake_data::tables::closures::{self, CLOSED_AT, EVENT_TYPE};
use wabalake_data::tables::conversions::{self, CONVERTED_AT, EVENT as CONVERSION_EVENT};
use wabalake_data::tables::deployments::{
    self, DEPLOYMENT_TIMESTAMP, STATE, USER_RESPONDED_TIMESTAMP,
};
use wabalake_data::tables::messages::{self, CREATED_AT, LINE, MESSAGE, TEMPLATE_NAME};
use wabalake_data::tables::sessions::{
    self, CONVERSATION_ID, FIRST_MESSAGE, FIRST_MESSAGE_TIMESTAMP, LAST_MESSAGE,
    LAST_MESSAGE_TIMESTAMP, LINE_WHATSAPP_NUMBER, SESSION_FINISHED_TIMESTAMP, SESSION_ID,
    SESSION_STARTED_TIMESTAMP, SESSION_STATUS, SESSION_TYPE,
};
use wabalake_data::tables::{SESSION_KEY, USER_KEY, text_key};

use crate::query::prelude::*;

/// See the [module](self) for the question it answers.
pub struct UserHistory;

/// What may be chosen.
#[derive(Args, Debug)]
pub struct Params {
    #[command(flatten)]
    days: DayRange,

    /// The person's number, with its country code
    #[arg(long, value_name = "PHONE", value_parser = read_phone)]
    phone: String,
}

fn read_phone(text: &str) -> Result<String, String> {
    full_number(text).ok_or_else(|| {
        "not a phone number\n  hint: a number has its country code, such as +57 300 555 0101"
            .to_owned()
    })
}

/// When it happened.
pub const AT: &str = "at";
/// What happened.
pub const EVENT: &str = "event";
/// More of it: a state, a text, a reason.
pub const DETAIL: &str = "detail";

/// What comes before what at one instant.
const EVENTS: [&str; 10] = [
    "deployment",
    "session_started",
    "first_message",
    "response",
    "message_incoming",
    "message_outgoing",
    "last_message",
    "session_finished",
    "closure",
    "conversion",
];

impl Query for UserHistory {
    type Params = Params;

    const SPEC: Spec = Spec {
        name: "user-history",
        title: "What happened with one person",
        question: "What happened with one person? Everything with a stamp that names them or one \
                   of their sessions, in order.",
        reads: &[
            &deployments::TABLE,
            &sessions::TABLE,
            &messages::TABLE,
            &closures::TABLE,
            &conversions::TABLE,
        ],
        // An event of a session lies on another day than its start.
        range: Range::History,
        columns: &[
            OutputColumn::instant(AT),
            OutputColumn::term(EVENT),
            OutputColumn::term(CONVERSATION_ID),
            OutputColumn::term(SESSION_ID),
            OutputColumn::line(LINE_WHATSAPP_NUMBER),
            OutputColumn::written(DETAIL),
        ],
        key: &[AT, EVENT, CONVERSATION_ID, SESSION_ID, LINE_WHATSAPP_NUMBER, DETAIL],
        order: &[Order::Ascending(AT), Order::Listed(EVENT, &EVENTS)],
        example: "--phone 573005550101",
        sql: include_str!("twin.sql"),
    };

    fn plan(tables: &Tables, params: &Params) -> PolarsResult<LazyFrame> {
        let person = || col(USER_KEY).eq(lit(text_key(&params.phone)));
        let deployments = || tables.scan(&deployments::TABLE).filter(person());
        let sessions = || tables.scan(&sessions::TABLE).filter(person());
        let messages = |direction: &'static str| {
            let that_way = col(messages::MESSAGE_DIRECTION).eq(lit(direction));
            tables.scan(&messages::TABLE).filter(person().and(that_way))
        };
        // Of a table whose rows name a person, a session or both.
        let theirs = |table| {
            let own = sessions().select([col(SESSION_KEY), lit(true).alias("own")]);
            look_up(tables.scan(table), own, SESSION_KEY).filter(person().or(col("own")))
        };

        let none = || lit(Null {}).cast(DataType::String);
        let of_sending = || [col(CONVERSATION_ID), col(SESSION_ID), none()];
        let of_session = || [col(CONVERSATION_ID), col(SESSION_ID), col(LINE_WHATSAPP_NUMBER)];
        let of_message = || [none(), none(), col(LINE)];
        let text = || col(MESSAGE).fill_null(col(TEMPLATE_NAME));
        let apart = col(LAST_MESSAGE_TIMESTAMP).neq_missing(col(FIRST_MESSAGE_TIMESTAMP));
        let named = || [none(), col(SESSION_ID), none()];
        let events = [
            events(deployments(), 0, DEPLOYMENT_TIMESTAMP, of_sending(), col(STATE)),
            events(sessions(), 1, SESSION_STARTED_TIMESTAMP, of_session(), col(SESSION_TYPE)),
            events(sessions(), 2, FIRST_MESSAGE_TIMESTAMP, of_session(), col(FIRST_MESSAGE)),
            events(deployments(), 3, USER_RESPONDED_TIMESTAMP, of_sending(), none()),
            events(messages("incoming"), 4, CREATED_AT, of_message(), text()),
            events(messages("outgoing"), 5, CREATED_AT, of_message(), text()),
            events(
                sessions().filter(apart),
                6,
                LAST_MESSAGE_TIMESTAMP,
                of_session(),
                col(LAST_MESSAGE),
            ),
            events(sessions(), 7, SESSION_FINISHED_TIMESTAMP, of_session(), col(SESSION_STATUS)),
            events(theirs(&closures::TABLE), 8, CLOSED_AT, named(), col(EVENT_TYPE)),
            events(theirs(&conversions::TABLE), 9, CONVERTED_AT, named(), col(CONVERSION_EVENT)),
        ];
        let history = concat(events, UnionArgs::default())?;
        Ok(match params.days.holds_instant(&col(AT)) {
            Some(in_range) => history.filter(in_range),
            None => history,
        })
    }

    fn bind(params: &Params) -> Bindings {
        params.days.bind(Bindings::new()).text("phone", &params.phone)
    }
}

/// The rows that have a stamp as events of one kind, each with its conversation, session and line.
fn events(rows: LazyFrame, event: usize, at: &str, of: [Expr; 3], detail: Expr) -> LazyFrame {
    let [conversation, session, line] = of;
    rows.filter(col(at).is_not_null()).select([
        col(at).alias(AT),
        lit(EVENTS[event]).alias(EVENT),
        conversation.alias(CONVERSATION_ID),
        session.alias(SESSION_ID),
        line.alias(LINE_WHATSAPP_NUMBER),
        detail.alias(DETAIL),
    ])
}
