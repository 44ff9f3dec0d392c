//! Where do users leave a flow?
//!
//! One row per conversation version and last node that a session reached; null if it reached none.
//! Every session counts, open and redirected ones too. Only the average duration leaves out sessions
//! that are open or finished before they started.

use wabalake_data::tables::sessions::{self, CONVERSATION_ID, CONVERSATION_VERSION, LAST_NODE_ID};

use crate::kernels::groups::Groups;
use crate::query::prelude::*;

/// See the [module](self) for the question it answers.
pub struct DropOff;

/// The query's options.
#[derive(Args, Debug)]
pub struct Params {
    #[command(flatten)]
    days: DayRange,
    #[command(flatten)]
    conversation_id: Only<filters::ConversationId>,
    #[command(flatten)]
    conversation_version: Only<filters::ConversationVersion>,
    #[command(flatten)]
    session_type: Only<filters::SessionType>,
    #[command(flatten)]
    country: Only<filters::Country>,
}

/// Sessions whose last node it is.
pub const SESSIONS: &str = "sessions";
/// Share of the sessions of the conversation version.
pub const SHARE_PCT: &str = "share_pct";
/// Sessions with an agent among them.
pub const AGENT_SESSIONS: &str = "agent_sessions";

const DURATION: &str = "duration";

impl Query for DropOff {
    type Params = Params;

    const SPEC: Spec = Spec {
        name: "drop-off",
        title: "Where users leave a flow",
        question: "Where do users leave a flow? Sessions by the last node that they reached, open \
                   and redirected ones included; shares are of the sessions of the same \
                   conversation version that pass the filters.",
        reads: &[&sessions::TABLE],
        range: Range::Rows(&sessions::TABLE),
        columns: &[
            OutputColumn::term(CONVERSATION_ID),
            OutputColumn::version(CONVERSATION_VERSION),
            OutputColumn::term(LAST_NODE_ID),
            OutputColumn::count(SESSIONS),
            OutputColumn::pct(SHARE_PCT),
            OutputColumn::count("users"),
            OutputColumn::count(AGENT_SESSIONS),
            OutputColumn::seconds("avg_duration_seconds"),
        ],
        key: &[CONVERSATION_ID, CONVERSATION_VERSION, LAST_NODE_ID],
        order: &[
            Order::Ascending(CONVERSATION_ID),
            Order::Ascending(CONVERSATION_VERSION),
            Order::Descending(SESSIONS),
        ],
        example: &["--from", "2025-06-01", "--to", "2025-06-30", "--session-type", "inbound"],
        sql: include_str!("twin.sql"),
    };

    fn resolve(params: &mut Params, defaults: &Defaults) -> Result<Timeframe, UsageError> {
        params.days.resolve(defaults)
    }

    fn plan(tables: &Tables, params: &Params) -> PolarsResult<LazyFrame> {
        let sessions = params.days.scan(tables, &sessions::TABLE);
        let sessions = params.conversation_id.of(sessions);
        let sessions = params.conversation_version.of(sessions);
        let sessions = params.session_type.of(sessions);
        let sessions = params.country.of(sessions);

        let sessions = sessions.with_column(session_duration().alias(DURATION));
        let by_node = [CONVERSATION_ID, CONVERSATION_VERSION, LAST_NODE_ID].map(col);
        let nodes = Groups::of(sessions, by_node).users("users").agg([
            rows().alias(SESSIONS),
            agent_sessions().alias(AGENT_SESSIONS),
            average_seconds(DURATION).alias("avg_duration_seconds"),
        ]);

        let of_the_version =
            col(SESSIONS).sum().over([col(CONVERSATION_ID), col(CONVERSATION_VERSION)]);
        Ok(nodes.with_column(share_pct(col(SESSIONS), of_the_version?).alias(SHARE_PCT)))
    }

    fn bind(params: &Params) -> Bindings {
        let bindings = params.days.bind(Bindings::new());
        let bindings = params.conversation_id.bind(bindings);
        let bindings = params.conversation_version.bind(bindings);
        let bindings = params.session_type.bind(bindings);
        params.country.bind(bindings)
    }
}
