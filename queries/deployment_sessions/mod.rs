//! Which deployments lead to sessions, and how long do these last?
//!
//! One row per group of `--by`, by default a conversation, of the delivered deployments. Their sessions
//! are looked up in the whole lake by the session id of the deployment. All counts and means are of
//! deployments, so a session that two of them name counts twice. A failed deployment is left out even
//! if it names a session. By tag, a deployment counts under each tag of its person.
//!
//! `--cost` adds what the deployments cost, each priced as a message of that category: `cost`, `cost_currency`
//! and `cost_per_reply`. Their numbers in the month, on which prices may depend, count deployments of the whole
//! lake, whatever the range and the filters. A cost is null if a deployment has no rate, or if rates are in
//! several currencies. `--cost matched` prices each as the delivered message that
//! [`same-send`](crate::same_send) pairs it with; without one it has no rate.

use wabalake_data::Table;
use wabalake_data::tables::deployments::{
    self, DEPLOYMENT_DELIVERED_TIMESTAMP, USER_RESPONDED_TIMESTAMP,
};
use wabalake_data::tables::{SESSION_KEY, audience_tags, markets, messages, rates, sessions};

use crate::kernels::groups::Groups;
use crate::kernels::matched::matched;
use crate::query::behind::{DEPLOYMENT_ID, deployment_id};
use crate::query::billing::sends::{COST_PER_REPLY, CostSql, Per, SENDS, SendCosts, with_costs};
use crate::query::prelude::*;

/// See the [module](self) for the question it answers.
#[derive(Debug)]
pub struct DeploymentSessions;

impl Filtered for DeploymentSessions {
    const TABLE: &'static Table = &deployments::TABLE;
    const FILTERS: &'static [Filter] = Filter::OF_DEPLOYMENTS;
}

impl Grouped for DeploymentSessions {
    const TAKES: &'static [Dimension] = &[
        Dimension::Conversation,
        Dimension::Day,
        Dimension::Week,
        Dimension::Month,
        Dimension::Country,
        Dimension::HalfHour,
        Dimension::Hour,
        Dimension::Tag,
    ];
    const DEFAULT: &'static [Dimension] = &[Dimension::Conversation];
}

/// The query's options.
#[derive(Args, Debug)]
pub struct Params {
    #[command(flatten)]
    days: DayRange,
    #[command(flatten)]
    filters: Filters<DeploymentSessions>,
    #[command(flatten)]
    by: Dimensions<DeploymentSessions>,
    #[command(flatten)]
    costs: SendCosts,
}

/// Delivered deployments.
pub const DELIVERED: &str = "delivered";
/// Delivered deployments that were answered.
pub const REPLIED: &str = "replied";
/// Share of the delivered deployments that were answered.
pub const REPLY_PCT: &str = "reply_pct";

const AGENT_SESSIONS: &str = "agent_sessions";
const FINISHED: &str = "finished";
const DURATION: &str = "duration";
const REPLY_TIME: &str = "reply_time";

/// The column of cost per something.
const COSTS_PER: &[Per] = &[(COST_PER_REPLY, REPLIED)];

impl Query for DeploymentSessions {
    type Params = Params;

    const SPEC: Spec = Spec {
        name: "deployment-sessions",
        title: "Which deployments lead to sessions",
        question: "Which deployments lead to sessions, and how long do these last? Delivered \
                   deployments with the sessions that they name, in the range or not; a session \
                   that two deployments name counts twice.",
        reads: &[
            &deployments::TABLE,
            &sessions::TABLE,
            &audience_tags::TABLE,
            &rates::TABLE,
            &markets::TABLE,
            &messages::TABLE,
        ],
        range: Range::Rows(&deployments::TABLE),
        columns: &[
            OutputColumn::count(DELIVERED),
            OutputColumn::count("sessions"),
            OutputColumn::count("unmatched_sessions"),
            OutputColumn::count(REPLIED),
            OutputColumn::pct(REPLY_PCT),
            OutputColumn::seconds("median_reply_seconds"),
            OutputColumn::count("finished_sessions"),
            OutputColumn::seconds("avg_session_seconds"),
            OutputColumn::seconds("median_session_seconds"),
            OutputColumn::count(AGENT_SESSIONS),
            OutputColumn::pct("agent_pct"),
        ],
        key: &[],
        order: &[],
        example: &["--from", "2025-06-01", "--to", "2025-06-30", "--by", "country"],
        sql: include_str!("twin.sql"),
    };

    const BEHIND: Option<Behind<Self>> = Some(Behind {
        table: &deployments::TABLE,
        cells: &[],
        counts: &[DELIVERED, REPLIED],
        id: DEPLOYMENT_ID,
        rows: |tables, params| {
            let of_deployments = [lit(true).alias(DELIVERED), answered().alias(REPLIED)];
            Ok(delivered(tables, params).with_columns(deployment_id()).with_columns(of_deployments))
        },
        sql: include_str!("people.sql"),
    });

    fn resolve(params: &mut Params, defaults: &Defaults) -> Result<Timeframe, UsageError> {
        params.costs.resolve(defaults)?;
        params.days.resolve(defaults)
    }

    fn reads(params: &Params) -> Vec<&'static Table> {
        Self::SPEC.reads_for(&[&params.filters, &params.by, &params.costs])
    }

    fn shape(params: &Params) -> Shape {
        let costs = CostSql::of(&params.by.columns(), &[], SENDS, COSTS_PER);
        params.costs.shape(Shape::of(&Self::SPEC), &costs)
    }

    fn range(params: &Params) -> Range {
        params.costs.range(Self::SPEC.range)
    }

    fn invalidation(params: &Params, table: &Table) -> Vec<Invalidation> {
        let (of, near) = (&deployments::TABLE, Near::ITSELF);
        match table.name {
            _ if params.costs.are_asked() => params.costs.invalidation(table),
            deployments::NAME => vec![Invalidation::OWN_BUCKET],
            sessions::NAME => vec![Invalidation::SameKey { key: SESSION_KEY, of, near }],
            audience_tags::NAME => {
                [params.by.invalidation_by_tags(), params.filters.invalidation_by_tags()].concat()
            }
            _ => Vec::new(),
        }
    }

    fn by(params: &Params) -> Vec<OutputColumn> {
        params.by.columns()
    }

    fn plan(tables: &Tables, params: &Params) -> PolarsResult<LazyFrame> {
        let reply_time = elapsed(DEPLOYMENT_DELIVERED_TIMESTAMP, USER_RESPONDED_TIMESTAMP);
        let delivered = delivered(tables, params).select(
            [
                params.by.names(),
                vec![col(SESSION_KEY), answered().alias(REPLIED), reply_time.alias(REPLY_TIME)],
            ]
            .concat(),
        );
        let is = |status: &'static str| col(sessions::SESSION_STATUS).eq(lit(status));
        let sessions = tables.scan(&sessions::TABLE).select([
            col(SESSION_KEY),
            // Null only in a row without a session.
            col(sessions::SESSION_FINISHED_TIMESTAMP).is_not_null().alias(FINISHED),
            is("AGENTS").alias(AGENT_SESSIONS),
            session_duration().alias(DURATION),
        ]);

        let found = col(FINISHED).is_not_null();
        let led = matched(delivered, sessions, SESSION_KEY, &[FINISHED, AGENT_SESSIONS, DURATION])?;
        let groups = Groups::of(led, params.by.names())
            .quantiles_seconds(REPLY_TIME, [("median_reply_seconds", 0.5)])
            .quantiles_seconds(DURATION, [("median_session_seconds", 0.5)])
            .agg([
                rows().alias(DELIVERED),
                rows_where(found.clone()).alias("sessions"),
                rows_where(col(SESSION_KEY).is_not_null().and(found.not()))
                    .alias("unmatched_sessions"),
                rows_where(col(REPLIED)).alias(REPLIED),
                rows_where(col(FINISHED)).alias("finished_sessions"),
                average_seconds(DURATION).alias("avg_session_seconds"),
                rows_where(col(AGENT_SESSIONS)).alias(AGENT_SESSIONS),
            ]);
        let groups = groups.with_columns([
            share_pct(col(REPLIED), col(DELIVERED)).alias(REPLY_PCT),
            share_pct(col(AGENT_SESSIONS), col("sessions")).alias("agent_pct"),
        ]);
        let Some(sends) = params.costs.sends(tables, &params.days)? else { return Ok(groups) };
        let sends = params.filters.of(sends, tables);
        let sends = params.by.split(sends, tables, params.days.timezone());
        Ok(with_costs(groups, sends, &params.by.names(), COSTS_PER))
    }

    fn bind(params: &Params) -> Bindings {
        let bindings = params.filters.bind(params.by.bind(params.days.bind(Bindings::new())));
        params.costs.bind(bindings, &params.filters)
    }
}

/// The delivered deployments, split by `--by`.
fn delivered(tables: &Tables, params: &Params) -> LazyFrame {
    let deployments = params.filters.of(params.days.scan(tables, &deployments::TABLE), tables);
    let delivered = deployments.filter(delivery_is("Delivered"));
    params.by.split(delivered, tables, params.days.timezone())
}
