//! Where are users redirected?
//!
//! One row for each chain: a session that nobody redirected to, or whose parent is not in the lake,
//! with every session under it, of whatever day. The range of days chooses chains by the start of
//! that first session, the root. A session that is redirected to by itself, over others or not, is in
//! no chain, nor is what hangs from it: `data-quality` names those.

use wabalake_data::tables::SESSION_KEY;
use wabalake_data::tables::sessions::{
    self, LAST_NODE_ID, SESSION_FINISHED_TIMESTAMP, SESSION_STATUS, USER_PHONE,
};

use crate::query::prelude::*;

/// See the [module](self) for the question it answers.
pub struct SessionChains;

/// What may be chosen.
#[derive(Args, Debug)]
pub struct Params {
    #[command(flatten)]
    days: DayRange,
    #[command(flatten)]
    chains: Chains,
}

const FINISHED_AT: &str = "finished_at";
const TOTAL_DURATION: &str = "total_duration_seconds";
const LAST_STATUS: &str = "last_session_status";

impl Query for SessionChains {
    type Params = Params;

    const SPEC: Spec = Spec {
        name: "session-chains",
        title: "Chains of redirected sessions",
        question: "Where are users redirected? A chain is the tree of sessions under one to which \
                   nobody was redirected; its path names the flows depth first.",
        reads: &[&sessions::TABLE],
        range: Range::History,
        columns: &[
            OutputColumn::term(Chains::ROOT_SESSION_ID),
            OutputColumn::person(USER_PHONE),
            OutputColumn::count(Chains::SESSIONS),
            OutputColumn::count(Chains::DEPTH),
            OutputColumn::term(Chains::PATH),
            OutputColumn::instant(Chains::STARTED_AT),
            OutputColumn::instant(FINISHED_AT),
            OutputColumn::seconds(TOTAL_DURATION),
            OutputColumn::term(LAST_NODE_ID),
            OutputColumn::word(LAST_STATUS),
            OutputColumn::boolean(Chains::ROOT_MISSING),
        ],
        key: &[Chains::ROOT_SESSION_ID],
        order: &[Order::Ascending(Chains::STARTED_AT)],
        example: "--from 2025-06-01 --to 2025-06-30 --min-sessions 3",
        sql: include_str!("twin.sql"),
    };

    fn plan(tables: &Tables, params: &Params) -> PolarsResult<LazyFrame> {
        let ends = tables.scan(&sessions::TABLE).select([
            col(SESSION_KEY).alias(Chains::LAST_KEY),
            col(SESSION_FINISHED_TIMESTAMP).alias(FINISHED_AT),
            col(LAST_NODE_ID),
            col(SESSION_STATUS).alias(LAST_STATUS),
        ]);
        let chains = params.chains.plan(tables, &params.days)?;
        Ok(chains
            .inner_join(ends, col(Chains::LAST_KEY), col(Chains::LAST_KEY))
            .with_column(seconds(col(Chains::DURATION)).alias(TOTAL_DURATION)))
    }

    fn bind(params: &Params) -> Bindings {
        params.chains.bind(params.days.bind(Bindings::new()))
    }
}
