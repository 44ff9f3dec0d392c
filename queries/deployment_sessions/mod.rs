//! Which deployments lead to sessions, and how long do these last?
//!
//! One row per group of `--by`, by default a conversation, of the delivered deployments. Their sessions
//! are looked up in the whole lake by the session id of the deployment. All counts and means are of
//! deployments, so a session that two of them name counts twice. A failed deployment is left out even
//! if it names a session.

use wabalake_data::Table;
use wabalake_data::tables::deployments::{
    self, DEPLOYMENT_DELIVERED_TIMESTAMP, USER_RESPONDED_TIMESTAMP,
};
use wabalake_data::tables::{SESSION_KEY, sessions};

use crate::query::prelude::*;

/// See the [module](self) for the question it answers.
#[derive(Debug)]
pub struct DeploymentSessions;

impl Grouped for DeploymentSessions {
    const TABLE: &'static Table = &deployments::TABLE;
    const TAKES: &'static [Dimension] = &[
        Dimension::Conversation,
        Dimension::Day,
        Dimension::Week,
        Dimension::Month,
        Dimension::Country,
    ];
    const DEFAULT: &'static [Dimension] = &[Dimension::Conversation];
}

/// The query's options.
#[derive(Args, Debug)]
pub struct Params {
    #[command(flatten)]
    days: DayRange,
    #[command(flatten)]
    by: Dimensions<DeploymentSessions>,
}

const REPLIED: &str = "replied";
const FINISHED: &str = "finished";
const DURATION: &str = "duration";
const REPLY_TIME: &str = "reply_time";

impl Query for DeploymentSessions {
    type Params = Params;

    const SPEC: Spec = Spec {
        name: "deployment-sessions",
        title: "Which deployments lead to sessions",
        question: "Which deployments lead to sessions, and how long do these last? Delivered \
                   deployments with the sessions that they name, in the range or not; a session \
                   that two deployments name counts twice.",
        reads: &[&deployments::TABLE, &sessions::TABLE],
        range: Range::Rows(&deployments::TABLE),
        columns: &[
            OutputColumn::count("delivered"),
            OutputColumn::count("sessions"),
            OutputColumn::count("unmatched_sessions"),
            OutputColumn::count("replied"),
            OutputColumn::pct("reply_pct"),
            OutputColumn::seconds("median_reply_seconds"),
            OutputColumn::count("finished_sessions"),
            OutputColumn::seconds("avg_session_seconds"),
            OutputColumn::seconds("median_session_seconds"),
            OutputColumn::count("agent_sessions"),
            OutputColumn::pct("agent_pct"),
        ],
        key: &[],
        order: &[],
        example: &["--from", "2025-06-01", "--to", "2025-06-30", "--by", "country"],
        sql: include_str!("twin.sql"),
    };

    fn resolve(params: &mut Params, defaults: &Defaults) -> Result<Timeframe, UsageError> {
        params.days.resolve(defaults)
    }

    fn invalidation(_params: &Params, table: &Table) -> Vec<Invalidation> {
        if *table == deployments::TABLE {
            return vec![Invalidation::OWN_BUCKET];
        }
        let (of, near) = (&deployments::TABLE, Near::ITSELF);
        vec![Invalidation::SameKey { key: SESSION_KEY, of, near }]
    }

    fn by(params: &Params) -> Vec<OutputColumn> {
        params.by.columns()
    }

    fn plan(tables: &Tables, params: &Params) -> PolarsResult<LazyFrame> {
        let reply_time = elapsed(DEPLOYMENT_DELIVERED_TIMESTAMP, USER_RESPONDED_TIMESTAMP);
        let delivered =
            params.days.scan(tables, &deployments::TABLE).filter(delivery_is("Delivered")).select(
                [
                    params.by.expressions(params.days.timezone()),
                    vec![col(SESSION_KEY), answered().alias(REPLIED), reply_time.alias(REPLY_TIME)],
                ]
                .concat(),
            );
        let is = |status: &'static str| col(sessions::SESSION_STATUS).eq(lit(status));
        let sessions = tables.scan(&sessions::TABLE).select([
            col(SESSION_KEY),
            // Null only in a row without a session.
            col(sessions::SESSION_FINISHED_TIMESTAMP).is_not_null().alias(FINISHED),
            is("AGENTS").alias("agent_sessions"),
            session_duration().alias(DURATION),
        ]);

        let found = col(FINISHED).is_not_null();
        let groups = look_up(delivered, sessions, SESSION_KEY).group_by(params.by.names()).agg([
            rows().alias("delivered"),
            rows_where(found.clone()).alias("sessions"),
            rows_where(col(SESSION_KEY).is_not_null().and(found.not())).alias("unmatched_sessions"),
            rows_where(col(REPLIED)).alias("replied"),
            quantile_seconds(REPLY_TIME, 0.5).alias("median_reply_seconds"),
            rows_where(col(FINISHED)).alias("finished_sessions"),
            average_seconds(DURATION).alias("avg_session_seconds"),
            quantile_seconds(DURATION, 0.5).alias("median_session_seconds"),
            rows_where(col("agent_sessions")).alias("agent_sessions"),
        ]);
        Ok(groups.with_columns([
            share_pct(col("replied"), col("delivered")).alias("reply_pct"),
            share_pct(col("agent_sessions"), col("sessions")).alias("agent_pct"),
        ]))
    }

    fn bind(params: &Params) -> Bindings {
        params.by.bind(params.days.bind(Bindings::new()))
    }
}
