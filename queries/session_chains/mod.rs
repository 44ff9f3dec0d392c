//! Where are users redirected?
//!
//! One row per chain: a root session, which was not redirected or whose parent is not in the lake, and
//! all sessions redirected from it, directly or not, of any day. The date range and the filters select
//! chains by the root. Sessions on a cycle and their descendants are in no chain: `data-quality` reports
//! those.

use wabalake_data::Table;
use wabalake_data::tables::sessions::{
    self, LAST_NODE_ID, SESSION_FINISHED_TIMESTAMP, SESSION_STATUS, USER_PHONE,
};
use wabalake_data::tables::{SESSION_KEY, audience_tags};

use crate::query::prelude::*;

/// See the [module](self) for the question it answers.
#[derive(Debug)]
pub struct SessionChains;

impl Filtered for SessionChains {
    const TABLE: &'static Table = &sessions::TABLE;
    const FILTERS: &'static [Filter] = Filter::OF_SESSIONS;
}

/// The query's options.
#[derive(Args, Debug)]
pub struct Params {
    #[command(flatten)]
    days: DayRange,
    #[command(flatten)]
    filters: Filters<SessionChains>,
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
        question: "Where are users redirected? A chain is the tree of sessions redirected from a \
                   root session; its path lists their flows in depth-first order. Range and \
                   filters are of the root.",
        reads: &[&sessions::TABLE, &audience_tags::TABLE],
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
        example: &["--from", "2025-06-01", "--to", "2025-06-30", "--min-sessions", "3"],
        sql: include_str!("twin.sql"),
    };

    fn resolve(params: &mut Params, defaults: &Defaults) -> Result<Timeframe, UsageError> {
        params.days.resolve(defaults)
    }

    fn reads(params: &Params) -> Vec<&'static Table> {
        Self::SPEC.reads_for(&[&params.filters])
    }

    fn plan(tables: &Tables, params: &Params) -> PolarsResult<LazyFrame> {
        let ends = tables.scan(&sessions::TABLE).select([
            col(SESSION_KEY).alias(Chains::LAST_KEY),
            col(SESSION_FINISHED_TIMESTAMP).alias(FINISHED_AT),
            col(LAST_NODE_ID),
            col(SESSION_STATUS).alias(LAST_STATUS),
        ]);
        let roots = params.filters.of(params.days.scan(tables, &sessions::TABLE), tables);
        let chains = params.chains.plan(tables, roots, &[])?;
        Ok(chains
            .inner_join(ends, col(Chains::LAST_KEY), col(Chains::LAST_KEY))
            .with_column(seconds(col(Chains::DURATION)).alias(TOTAL_DURATION)))
    }

    fn bind(params: &Params) -> Bindings {
        let bindings = params.chains.bind(params.days.bind(Bindings::new()));
        params.filters.bind(bindings).slot("then_by_columns", String::new())
    }
}
