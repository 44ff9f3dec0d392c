//! `--of sessions`: the sessions of a conversation, whoever starts them, and how they end.

use std::borrow::Cow;

use wabalake_data::tables::nodes::IS_FINAL;
use wabalake_data::tables::sessions::{
    self, CONVERSATION_ID, CONVERSATION_VERSION, FIRST_MESSAGE, FIRST_MESSAGE_TIMESTAMP,
    LAST_NODE_ID, SESSION_FINISHED_TIMESTAMP, SESSION_ID, SESSION_STATUS, SESSION_TYPE,
};

use super::{ConversationSummary, Params, of_asked_versions};
use crate::kernels::groups::Groups;
use crate::query::nodes;
use crate::query::prelude::*;

/// Sessions that started.
pub const SESSIONS: &str = "sessions";
const USERS: &str = "users";
/// Sessions that people started.
pub const INBOUND_SESSIONS: &str = "inbound_sessions";
/// Sessions in which the person wrote.
pub const REPLIED: &str = "replied";
/// `replied` of `sessions`.
pub const REPLY_PCT: &str = "reply_pct";
/// Those whose first message is no text.
const MEDIA_FIRST: &str = "media_first";
const FINISHED_SESSIONS: &str = "finished_sessions";
/// `finished_sessions` of `sessions`.
pub const FINISHED_PCT: &str = "finished_pct";
const AGENT_SESSIONS: &str = "agent_sessions";
/// `agent_sessions` of `sessions`.
pub const AGENT_PCT: &str = "agent_pct";
/// Sessions whose last node ends the flow; null where no node of the version is known.
const FINAL_SESSIONS: &str = "final_sessions";
/// `final_sessions` of `sessions`.
pub const FINAL_PCT: &str = "final_pct";
const AVG_DURATION_SECONDS: &str = "avg_duration_seconds";
/// Median duration; open sessions do not count.
pub const MEDIAN_DURATION_SECONDS: &str = "median_duration_seconds";

const DURATION: &str = "duration";
/// `true` for a version of which a node is known.
const IS_KNOWN: &str = "is_known";
/// The slot of the sessions in range, in which the twin applies the filters that deployments have, too.
const IN_RANGE: &str = "in_range";

/// The shape of the answer.
pub(super) fn shape() -> Shape {
    Shape {
        columns: vec![
            OutputColumn::term(CONVERSATION_ID),
            OutputColumn::version(CONVERSATION_VERSION),
            OutputColumn::count(SESSIONS),
            OutputColumn::count(USERS),
            OutputColumn::count(INBOUND_SESSIONS),
            OutputColumn::count(REPLIED),
            OutputColumn::pct(REPLY_PCT),
            OutputColumn::count(MEDIA_FIRST),
            OutputColumn::count(FINISHED_SESSIONS),
            OutputColumn::pct(FINISHED_PCT),
            OutputColumn::count(AGENT_SESSIONS),
            OutputColumn::pct(AGENT_PCT),
            OutputColumn::count(FINAL_SESSIONS),
            OutputColumn::pct(FINAL_PCT),
            OutputColumn::seconds(AVG_DURATION_SECONDS),
            OutputColumn::seconds(MEDIAN_DURATION_SECONDS),
        ],
        key: vec![CONVERSATION_ID, CONVERSATION_VERSION],
        order: Vec::new(),
        sql: Cow::Borrowed(include_str!("sessions.sql")),
    }
}

/// The sessions behind the answer.
pub(super) const BEHIND: Behind<ConversationSummary> = Behind {
    table: &sessions::TABLE,
    cells: &[CONVERSATION_ID, CONVERSATION_VERSION],
    counts: &[SESSIONS, REPLIED, FINISHED_SESSIONS, AGENT_SESSIONS, FINAL_SESSIONS],
    id: &[SESSION_ID],
    rows: |tables, params| {
        Ok(ended(tables, params)?.with_columns([
            lit(true).alias(SESSIONS),
            replied().alias(REPLIED),
            finished().alias(FINISHED_SESSIONS),
            col(SESSION_STATUS).eq(lit("AGENTS")).alias(AGENT_SESSIONS),
            col(IS_FINAL).alias(FINAL_SESSIONS),
        ]))
    },
    sql: include_str!("people_of_sessions.sql"),
};

/// The plan of the answer.
pub(super) fn plan(tables: &Tables, params: &Params) -> PolarsResult<LazyFrame> {
    let sessions = ended(tables, params)?.with_column(session_duration().alias(DURATION));
    let is_inbound = col(SESSION_TYPE).eq(lit("Inbound"));
    let is_media = replied().and(col(FIRST_MESSAGE).is_null());
    let versions = Groups::of(sessions, [CONVERSATION_ID, CONVERSATION_VERSION].map(col))
        .users(USERS)
        .quantiles_seconds(DURATION, [(MEDIAN_DURATION_SECONDS, 0.5)])
        .agg([
            rows().alias(SESSIONS),
            rows_where(is_inbound).alias(INBOUND_SESSIONS),
            rows_where(replied()).alias(REPLIED),
            rows_where(is_media).alias(MEDIA_FIRST),
            rows_where(finished()).alias(FINISHED_SESSIONS),
            agent_sessions().alias(AGENT_SESSIONS),
            rows_where(col(IS_FINAL)).alias(FINAL_SESSIONS),
            average_seconds(DURATION).alias(AVG_DURATION_SECONDS),
        ]);
    let of_known = when(col(IS_KNOWN)).then(col(FINAL_SESSIONS)).otherwise(lit(Null {}));
    let versions =
        nodes::with_known(versions, IS_KNOWN, tables).with_column(of_known.alias(FINAL_SESSIONS));
    let of_sessions = |part: &str| share_pct(col(part), col(SESSIONS));
    Ok(versions.with_columns([
        of_sessions(REPLIED).alias(REPLY_PCT),
        of_sessions(FINISHED_SESSIONS).alias(FINISHED_PCT),
        of_sessions(AGENT_SESSIONS).alias(AGENT_PCT),
        of_sessions(FINAL_SESSIONS).alias(FINAL_PCT),
    ]))
}

/// Fills the slots of the twin. Slots are filled by name, so `ended` may have those of `in_range` and
/// `sessions`.
pub(super) fn bind(params: &Params, bindings: Bindings) -> Bindings {
    let bindings = params.of_sessions.bind(bindings);
    params
        .filters
        .bind_relation(bindings, IN_RANGE, &sessions::TABLE)
        .slot("ended", include_str!("ended.sql").trim_end().to_owned())
}

/// The sessions of the versions that are asked for, with `is_final` of their last node.
fn ended(tables: &Tables, params: &Params) -> PolarsResult<LazyFrame> {
    let sessions = params.of_sessions.of(params.days.scan(tables, &sessions::TABLE), tables);
    let sessions = params.filters.of_table(sessions, &sessions::TABLE, tables);
    let sessions = of_asked_versions(sessions, params)?;
    Ok(nodes::with_details(sessions, LAST_NODE_ID, &[IS_FINAL], tables))
}

/// Predicate: the person wrote in a session.
fn replied() -> Expr {
    col(FIRST_MESSAGE_TIMESTAMP).is_not_null()
}

/// Predicate: a session has a finish.
fn finished() -> Expr {
    col(SESSION_FINISHED_TIMESTAMP).is_not_null()
}
