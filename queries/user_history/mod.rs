//! What happened with one person?
//!
//! One row per event with a timestamp, in order: deployments and responses, sessions with their first and
//! last message, messages, closures and conversions, when the person stopped or resumed marketing messages,
//! and when a chat was assigned to an agent. Closures and conversions are included if they name the person
//! or one of the person's sessions. The last message of a session is left out if it is at the instant of the
//! first. The date range applies to the events, not to their sessions. Only sessions and messages have a
//! line.
//!
//! | event | detail |
//! |---|---|
//! | `deployment` | the state |
//! | `session_started`, `session_finished` | the type; the status |
//! | `first_message`, `last_message` | the text |
//! | `message_incoming`, `message_outgoing` | the text, else the template |
//! | `closure`, `conversion` | the type of the event |
//! | `agent_assigned` | the agent |
//! | `response`, `stop`, `resume` | |
//!
//! `--conversation-id` keeps the events that have one of the conversations themselves, or whose session has,
//! be it the person's own session or not. With `none` it keeps those of which neither has a conversation.

use polars::prelude::{NamedFrom, Series, UnionArgs, concat};
use wabalake_data::cells::phone::full_number;
use wabalake_data::tables::agent_chats::{self, AGENT, ASSIGNED_AT};
use wabalake_data::tables::closures::{self, CLOSED_AT, EVENT_TYPE};
use wabalake_data::tables::conversions::{self, CONVERTED_AT, EVENT as CONVERSION_EVENT};
use wabalake_data::tables::deployments::{
    self, DEPLOYMENT_TIMESTAMP, STATE, USER_RESPONDED_TIMESTAMP,
};
use wabalake_data::tables::events::{self as reported, MARKETING_PREFERENCE, NEW_VALUE};
use wabalake_data::tables::messages::{self, CREATED_AT, LINE, MESSAGE, TEMPLATE_NAME};
use wabalake_data::tables::sessions::{
    self, CONVERSATION_ID, FIRST_MESSAGE, FIRST_MESSAGE_TIMESTAMP, LAST_MESSAGE,
    LAST_MESSAGE_TIMESTAMP, LINE_WHATSAPP_NUMBER, SESSION_FINISHED_TIMESTAMP, SESSION_ID,
    SESSION_STARTED_TIMESTAMP, SESSION_STATUS, SESSION_TYPE,
};
use wabalake_data::tables::{SESSION_KEY, USER_KEY, persons, text_key};
use wabalake_data::{Invalid, Table};

use crate::kernels::{self, key_of_text};
use crate::query::people;
use crate::query::prelude::*;

/// See the [module](self) for the question it answers.
pub struct UserHistory;

/// The query's options.
#[derive(Args, Debug)]
pub struct Params {
    #[command(flatten)]
    days: DayRange,
    #[command(flatten)]
    conversation_id: Only<filters::ConversationId>,

    /// The person's number, with its country code, or a user id of theirs
    #[arg(long, value_name = "PHONE", value_parser = read_phone)]
    phone: String,
}

fn read_phone(text: &str) -> Result<String, Invalid> {
    full_number(text).ok_or_else(|| {
        Invalid::new("not a phone number")
            .hint("a number has its country code, such as +57 300 555 0101")
    })
}

/// Time of the event.
pub const AT: &str = "at";
/// Type of the event.
pub const EVENT: &str = "event";
/// A state, text or reason of the event.
pub const DETAIL: &str = "detail";

/// The types of events, in their order at one instant.
const EVENTS: [&str; 13] = [
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
    "stop",
    "resume",
    "agent_assigned",
];

impl Query for UserHistory {
    type Params = Params;

    const SPEC: Spec = Spec {
        name: "user-history",
        title: "What happened with one person",
        question: "What happened with one person? The deployments, sessions, messages, closures and \
                   conversions that name the person or one of their sessions, their stops of \
                   marketing messages, and their chats with agents, in order.",
        reads: &[
            &deployments::TABLE,
            &sessions::TABLE,
            &messages::TABLE,
            &closures::TABLE,
            &conversions::TABLE,
            &reported::TABLE,
            &agent_chats::TABLE,
            &persons::TABLE,
        ],
        // Events of a session may lie on later days than its start.
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
        example: &["--phone", "573005550101"],
        sql: include_str!("twin.sql"),
    };

    fn resolve(params: &mut Params, defaults: &Defaults) -> Result<Timeframe, UsageError> {
        params.days.resolve(defaults)
    }

    fn people(params: &Params) -> Vec<String> {
        // An event may name a session of somebody else, and so have that session's conversation.
        if params.conversation_id.is_given() { Vec::new() } else { vec![params.phone.clone()] }
    }

    fn plan(tables: &Tables, params: &Params) -> PolarsResult<LazyFrame> {
        let rows = PersonRows { tables, phone: &params.phone };
        let sessions = rows.of(&sessions::TABLE)?;
        let events = [
            rows.of_messages()?,
            of_sessions(&sessions),
            rows.of_closures_and_conversions(&sessions)?,
            rows.of_preferences_and_agents()?,
        ]
        .concat();
        let history = concat(events, UnionArgs::default())?;
        let history = match params.days.holds_instant(&col(AT)) {
            Some(in_range) => history.filter(in_range),
            None => history,
        };
        Ok(of_conversations(history, &params.conversation_id, tables))
    }

    fn bind(params: &Params) -> Bindings {
        let bindings = params.days.bind(Bindings::new()).text("phone", &params.phone);
        if params.conversation_id.is_given() {
            let bindings = params.conversation_id.bind(bindings);
            bindings.slot("named", NAMED_SQL.to_owned()).slot("passes", PASSES_SQL.to_owned())
        } else {
            bindings.slot("named", String::new()).slot("passes", String::new())
        }
    }
}

/// The conversation of an event's session.
const OF_SESSION: &str = "conversation_of_session";

/// Keeps the events of some conversations: their own, or that of their session.
fn of_conversations(
    events: LazyFrame,
    asked: &Only<filters::ConversationId>,
    tables: &Tables,
) -> LazyFrame {
    if !asked.is_given() {
        return events;
    }
    let sessions = tables
        .scan(&sessions::TABLE)
        .select([col(SESSION_KEY), col(CONVERSATION_ID).alias(OF_SESSION)]);
    let events = events.with_column(key_of_text(col(SESSION_ID)).alias(SESSION_KEY));
    let is_asked = |conversation: &str| {
        let asked = Series::new(CONVERSATION_ID.into(), asked.allowed());
        col(conversation).is_in(lit(asked).implode(true), false).fill_null(lit(false))
    };
    let passes = is_asked(CONVERSATION_ID).or(is_asked(OF_SESSION));
    let has_none = col(CONVERSATION_ID).is_null().and(col(OF_SESSION).is_null());
    let passes = if asked.lets_null_pass() { passes.or(has_none) } else { passes };
    look_up(events, sessions, SESSION_KEY).filter(passes)
}

/// The join of [`of_conversations`] in SQL.
const NAMED_SQL: &str = "
LEFT JOIN (
    SELECT session_id AS named_id, conversation_id AS conversation_of_session FROM sessions
) AS named ON named_id = session_id";

/// The condition of [`of_conversations`] in SQL.
const PASSES_SQL: &str = "
    AND (
        array_contains(:conversation_id, conversation_id)
        OR array_contains(:conversation_id, conversation_of_session)
        OR (
            :conversation_id_none
            AND conversation_id IS NULL
            AND conversation_of_session IS NULL
        )
    )";

/// The rows of one person.
struct PersonRows<'a> {
    tables: &'a Tables,
    phone: &'a str,
}

impl PersonRows<'_> {
    /// Predicate: a row names the person, who is asked about by number.
    fn has_number(&self) -> Expr {
        col(USER_KEY).eq(lit(text_key(self.phone)))
    }

    /// The people asked about by a user id; `None` for a number.
    fn asked(&self) -> Option<[String; 1]> {
        let people = [self.phone.to_owned()];
        (!people::are_numbers(&people)).then_some(people)
    }

    /// The rows of a table, which is scanned once for all events of it.
    fn of(&self, table: &'static Table) -> PolarsResult<LazyFrame> {
        let rows = self.tables.scan(table);
        let rows = match self.asked() {
            None => rows.filter(self.has_number()),
            Some(people) => people::rows_of(rows, &people, false, self.tables)?,
        };
        Ok(kernels::once(rows))
    }

    /// Deployments, responses and messages.
    fn of_messages(&self) -> PolarsResult<Vec<LazyFrame>> {
        let deployments = self.of(&deployments::TABLE)?;
        let messages = self.of(&messages::TABLE)?;
        let messages = |direction: &'static str| {
            messages.clone().filter(col(messages::MESSAGE_DIRECTION).eq(lit(direction)))
        };
        let of_deployment = || [col(CONVERSATION_ID), col(SESSION_ID), none()];
        let of_message = || [none(), none(), col(LINE)];
        let text = || col(MESSAGE).fill_null(col(TEMPLATE_NAME));
        Ok(vec![
            events(deployments.clone(), 0, DEPLOYMENT_TIMESTAMP, of_deployment(), col(STATE)),
            events(deployments, 3, USER_RESPONDED_TIMESTAMP, of_deployment(), none()),
            events(messages("incoming"), 4, CREATED_AT, of_message(), text()),
            events(messages("outgoing"), 5, CREATED_AT, of_message(), text()),
        ])
    }

    /// Closures and conversions, which name the person, one of their sessions, or both.
    fn of_closures_and_conversions(&self, sessions: &LazyFrame) -> PolarsResult<Vec<LazyFrame>> {
        const OWN: &str = "own";
        const NAMED: &str = "named";
        let own = sessions.clone().select([col(SESSION_KEY), lit(true).alias(OWN)]);
        let theirs = |table| {
            let rows = look_up(self.tables.scan(table), own.clone(), SESSION_KEY);
            let Some(people) = self.asked() else {
                return Ok(rows.filter(self.has_number().or(col(OWN))));
            };
            let named = people::asked(&people, self.tables)?.with_column(lit(true).alias(NAMED));
            let rows = look_up(rows, named, USER_KEY);
            PolarsResult::Ok(rows.filter(col(NAMED).or(col(OWN))))
        };
        let of = || [none(), col(SESSION_ID), none()];
        let (closures, conversions) = (theirs(&closures::TABLE)?, theirs(&conversions::TABLE)?);
        Ok(vec![
            events(closures, 8, CLOSED_AT, of(), col(EVENT_TYPE)),
            events(conversions, 9, CONVERTED_AT, of(), col(CONVERSION_EVENT)),
        ])
    }

    /// Stops and resumptions of marketing messages, and assignments to agents.
    fn of_preferences_and_agents(&self) -> PolarsResult<Vec<LazyFrame>> {
        let of = || [none(), none(), none()];
        let (changes, chats) = (self.of(&reported::TABLE)?, self.of(&agent_chats::TABLE)?);
        let preferences = |event: usize| {
            let is_preference = col(reported::EVENT).eq(lit(MARKETING_PREFERENCE));
            let chosen = is_preference.and(col(NEW_VALUE).eq(lit(EVENTS[event])));
            events(changes.clone().filter(chosen), event, reported::AT, of(), none())
        };
        let agents = events(chats, 12, ASSIGNED_AT, of(), col(AGENT));
        Ok(vec![preferences(10), preferences(11), agents])
    }
}

/// Starts, first and last messages, and finishes of sessions.
fn of_sessions(sessions: &LazyFrame) -> Vec<LazyFrame> {
    let sessions = || sessions.clone();
    let of = || [col(CONVERSATION_ID), col(SESSION_ID), col(LINE_WHATSAPP_NUMBER)];
    let differs = col(LAST_MESSAGE_TIMESTAMP).neq_missing(col(FIRST_MESSAGE_TIMESTAMP));
    let with_last = sessions().filter(differs);
    vec![
        events(sessions(), 1, SESSION_STARTED_TIMESTAMP, of(), col(SESSION_TYPE)),
        events(sessions(), 2, FIRST_MESSAGE_TIMESTAMP, of(), col(FIRST_MESSAGE)),
        events(with_last, 6, LAST_MESSAGE_TIMESTAMP, of(), col(LAST_MESSAGE)),
        events(sessions(), 7, SESSION_FINISHED_TIMESTAMP, of(), col(SESSION_STATUS)),
    ]
}

fn none() -> Expr {
    lit(Null {}).cast(DataType::String)
}

/// Rows with a timestamp as events of one type, each with its conversation, session and line.
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
