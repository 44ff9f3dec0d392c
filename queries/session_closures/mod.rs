//! Why do sessions end?
//!
//! One row per reason, always seven. A session that started in the range has the first reason that
//! holds:
//!
//! ```text
//! open         it has no finish
//! redirected   another session of the lake was redirected from it
//! agent        its status is AGENTS or RATING
//! replaced     a session or deployment of the same person began within the tolerance of its finish
//! inactivity   nobody wrote for --inactivity-minutes before its finish
//! final-block  it finished within the tolerance of the last message
//! unknown      none of the above
//! ```
//!
//! A session is not replaced by anything that began at or before its own start, by a failed deployment,
//! or by the deployment that opened it.

use std::sync::Arc;

use polars::prelude::{
    DataFrame, Field, OptFlags, Schema, SchemaRef, UnionArgs, UniqueKeepStrategy, concat,
    concat_lf_diagonal, df,
};
use wabalake_data::tables::deployments::{self, DEPLOYMENT_TIMESTAMP};
use wabalake_data::tables::sessions::{
    self, LAST_MESSAGE_TIMESTAMP, PARENT_SESSION_ID, SESSION_FINISHED_TIMESTAMP,
    SESSION_STARTED_TIMESTAMP, SESSION_STATUS,
};
use wabalake_data::tables::{SESSION_KEY, USER_KEY, closures};

use crate::query::joins::{self, CHANGE, TOTAL};
use crate::query::prelude::*;
use crate::query::time::SECOND;

/// See the [module](self) for the question it answers.
pub struct SessionClosures;

/// The query's options.
#[derive(Args, Debug)]
pub struct Params {
    #[command(flatten)]
    days: DayRange,

    /// Seconds between two events that count as simultaneous, before or after
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    tolerance_seconds: u32,

    /// Minutes without a message after which a session is closed [default: never]
    #[arg(long, value_name = "MINUTES")]
    inactivity_minutes: Option<u32>,
}

impl Params {
    fn tolerance(&self) -> i64 {
        i64::from(self.tolerance_seconds) * SECOND
    }

    /// The first reason that holds for a session.
    fn reason(&self) -> Expr {
        let wrote_last = col(WROTE).fill_null(col(STARTED));
        let inactive = self.inactivity_minutes.map_or(lit(false), |minutes| {
            col(FINISHED).gt_eq(wrote_last + lit(i64::from(minutes) * MINUTE))
        });
        let after_message = (col(FINISHED) - col(WROTE)).abs().lt_eq(lit(self.tolerance()));
        let conditions = [
            col(FINISHED).is_null(),
            col(IS_PARENT).is_not_null(),
            with_agents(),
            col(IS_REPLACED).is_not_null(),
            inactive,
            after_message,
        ];
        REASONS.into_iter().zip(conditions).rev().fold(lit("unknown"), |other, (name, holds)| {
            when(holds).then(lit(name)).otherwise(other)
        })
    }
}

const MINUTE: i64 = 60 * SECOND;

/// The reasons, in order of precedence.
const REASONS: [&str; 7] =
    ["open", "redirected", "agent", "replaced", "inactivity", "final-block", "unknown"];

const REASON: &str = "closing_reason";
const DURATION: &str = "duration";
const WEBHOOK_EVENTS: &str = "webhook_events";
const IS_PARENT: &str = "is_parent";
const IS_REPLACED: &str = "is_replaced";
const STARTED: &str = "started";
const FINISHED: &str = "finished";
const WROTE: &str = "wrote";
const BEGAN: &str = "began";
const BEGUN_KEY: &str = "begun_key";
const SLOT: &str = "slot";
const FIRST: &str = "first";
const LAST: &str = "last";
const COUNTS: &str = "counts";

impl Query for SessionClosures {
    type Params = Params;

    const SPEC: Spec = Spec {
        name: "session-closures",
        title: "Why sessions end",
        question: "Why do sessions end? Sessions that started in the range, each under the first \
                   reason that holds, and the closing events that the webhook reported.",
        reads: &[&sessions::TABLE, &deployments::TABLE, &closures::TABLE],
        range: Range::History,
        columns: &[
            OutputColumn::word(REASON),
            OutputColumn::count("sessions"),
            OutputColumn::pct("share_pct"),
            OutputColumn::seconds("avg_duration_seconds"),
            OutputColumn::count(WEBHOOK_EVENTS),
        ],
        key: &[REASON],
        order: &[Order::Listed(REASON, &REASONS)],
        example: &["--tolerance-seconds", "120", "--inactivity-minutes", "1440"],
        sql: include_str!("twin.sql"),
    };

    fn resolve(params: &mut Params, defaults: &Defaults) -> Result<Timeframe, UsageError> {
        params.days.resolve(defaults)
    }

    fn plan(tables: &Tables, params: &Params) -> PolarsResult<LazyFrame> {
        let sessions = params.days.scan(tables, &sessions::TABLE).select([
            col(SESSION_KEY),
            col(USER_KEY),
            col(SESSION_STATUS),
            micros(SESSION_STARTED_TIMESTAMP).alias(STARTED),
            micros(SESSION_FINISHED_TIMESTAMP).alias(FINISHED),
            micros(LAST_MESSAGE_TIMESTAMP).alias(WROTE),
            session_duration().alias(DURATION),
        ]);
        let parents = tables
            .scan(&sessions::TABLE)
            .filter(col(PARENT_SESSION_ID).is_not_null())
            .select([parent_key().alias(SESSION_KEY)])
            .unique(None, UniqueKeepStrategy::Any);
        let may_be_replaced = sessions
            .clone()
            .filter(col(FINISHED).is_not_null().and(with_agents().fill_null(lit(false)).not()))
            .select([col(SESSION_KEY), col(USER_KEY), col(STARTED), col(FINISHED)]);
        let replaced = replaced(may_be_replaced, begun(tables)?, params.tolerance())?;
        let closures = tables
            .scan(&closures::TABLE)
            .group_by([col(SESSION_KEY)])
            .agg([rows().alias(WEBHOOK_EVENTS)]);

        let on = [col(SESSION_KEY)];
        let left = || JoinArgs::new(JoinType::Left);
        let counts = sessions
            .join(marked(parents, IS_PARENT), &on, &on, left())
            .join(marked(replaced, IS_REPLACED), &on, &on, left())
            .join(closures, &on, &on, left())
            .group_by([params.reason().alias(REASON)])
            .agg([
                rows().alias("sessions"),
                average_seconds(DURATION).alias("avg_duration_seconds"),
                col(WEBHOOK_EVENTS).sum(),
            ]);
        Ok(df![REASON => REASONS]?
            .lazy()
            .join(counts, [col(REASON)], [col(REASON)], left())
            .with_columns(["sessions", WEBHOOK_EVENTS].map(|count| col(count).fill_null(lit(0))))
            .with_column(share_pct(col("sessions"), col("sessions").sum()).alias("share_pct")))
    }

    fn bind(params: &Params) -> Bindings {
        params
            .days
            .bind(Bindings::new())
            .integer("tolerance_seconds", i64::from(params.tolerance_seconds))
            .integer("inactivity_minutes", params.inactivity_minutes.map(i64::from))
    }
}

fn micros(stamp: &str) -> Expr {
    col(stamp).cast(DataType::Int64)
}

/// Predicate: a session is with agents or being rated.
fn with_agents() -> Expr {
    let status = || col(SESSION_STATUS);
    status().eq(lit("AGENTS")).or(status().eq(lit("RATING")))
}

/// The starts of sessions and of deployments that did not fail, each with its session key.
fn begun(tables: &Tables) -> PolarsResult<LazyFrame> {
    let begun = |rows: LazyFrame, began| {
        rows.select([col(USER_KEY), col(SESSION_KEY).alias(BEGUN_KEY), micros(began).alias(BEGAN)])
    };
    let deployments = tables.scan(&deployments::TABLE).filter(delivery_is("Failed").not());
    let sessions = tables.scan(&sessions::TABLE);
    let begun =
        [begun(sessions, SESSION_STARTED_TIMESTAMP), begun(deployments, DEPLOYMENT_TIMESTAMP)];
    concat(begun, UnionArgs::default())
}

/// The keys of the sessions within the tolerance of whose finish another session or deployment of the
/// same person began.
fn replaced(sessions: LazyFrame, begun: LazyFrame, tolerance: i64) -> PolarsResult<LazyFrame> {
    // Time is divided into slots of twice the tolerance, so that everything near an instant lies in at
    // most two of them. Semi-joins by slot leave few rows.
    let slot = |micros: Expr| micros.floor_div(lit(2 * tolerance + 1)).alias(SLOT);
    let reaching = |by: i64| sessions.clone().with_column(slot(col(FINISHED) + lit(by)));
    let reaching = concat([reaching(-tolerance), reaching(tolerance)], UnionArgs::default())?;
    let on = [col(USER_KEY), col(SLOT)];
    let semi = || JoinArgs::new(JoinType::Semi);
    let begun =
        begun.with_column(slot(col(BEGAN))).join(reaching.clone().select(&on), &on, &on, semi());
    let first = when(col(STARTED).gt_eq(col(FINISHED) - lit(tolerance)))
        .then(col(STARTED) + lit(1_i64))
        .otherwise(col(FINISHED) - lit(tolerance));
    let sessions = reaching
        .join(begun.clone().select(&on), &on, &on, semi())
        .select([
            col(SESSION_KEY),
            col(USER_KEY),
            first.alias(FIRST),
            (col(FINISHED) + lit(tolerance)).alias(LAST),
        ])
        .filter(col(FIRST).lt_eq(col(LAST)))
        .unique(None, UniqueKeepStrategy::Any);

    let schema: SchemaRef =
        Arc::new(Schema::from_iter([Field::new(SESSION_KEY.into(), DataType::Int64)]));
    let begun = begun.select([col(USER_KEY), col(BEGAN), col(BEGUN_KEY)]);
    // A separate plan over the few remaining rows, so that the plan above is not computed twice.
    Ok(concat_lf_diagonal([sessions, begun], UnionArgs::default())?.map(
        replaced_among,
        OptFlags::empty(),
        Some(Arc::new(move |_: &Schema| -> PolarsResult<SchemaRef> { Ok(schema.clone()) })),
        Some("replaced sessions"),
    ))
}

/// The keys of the sessions that something else replaced, among rows of sessions and of what began.
///
/// For each session, what began from its [`FIRST`] to its [`LAST`] instant is counted by person, and
/// what has the session's own key is subtracted.
fn replaced_among(rows: DataFrame) -> PolarsResult<DataFrame> {
    let is_session = || col(BEGAN).is_null();
    let [sessions, begun] =
        [is_session(), is_session().not()].map(|of| rows.clone().lazy().filter(of));
    let end = |at: Expr, counts: i64| {
        let what = [col(SESSION_KEY), col(USER_KEY), at.alias(BEGAN), lit(counts).alias(COUNTS)];
        sessions.clone().select(what)
    };
    let ends = [end(col(LAST), 1), end(col(FIRST) - lit(1_i64), -1)];
    let changes = begun.clone().select([col(USER_KEY), col(BEGAN), lit(1_i8).alias(CHANGE)]);
    let all = joins::totals(concat(ends, UnionArgs::default())?, changes, USER_KEY, BEGAN)?
        .select([col(SESSION_KEY), (col(TOTAL) * col(COUNTS)).alias(TOTAL)]);
    let sessions = sessions.select([SESSION_KEY, USER_KEY, FIRST, LAST].map(col));
    let begun = begun.select([USER_KEY, BEGAN, BEGUN_KEY].map(col));
    let (on, of_begun) = ([col(SESSION_KEY), col(USER_KEY)], [col(BEGUN_KEY), col(USER_KEY)]);
    let own = sessions
        .join(begun, &on, &of_begun, JoinArgs::new(JoinType::Inner))
        .filter(col(BEGAN).gt_eq(col(FIRST)).and(col(BEGAN).lt_eq(col(LAST))))
        .select([col(SESSION_KEY), lit(-1_i64).alias(TOTAL)]);
    concat([all, own], UnionArgs::default())?
        .group_by([col(SESSION_KEY)])
        .agg([col(TOTAL).sum()])
        .filter(col(TOTAL).gt(lit(0)))
        .select([col(SESSION_KEY)])
        .collect()
}

/// Session keys with a column that is `true`, to be found by a left join.
fn marked(sessions: LazyFrame, mark: &str) -> LazyFrame {
    sessions.with_column(lit(true).alias(mark))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::query::ENGINE;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        /// Sessions are (person, start, finish); what began is (person, instant, session key).
        #[test]
        fn a_start_near_the_finish_replaces_a_session(
            sessions in prop::collection::vec((0..2_i64, 0..12_i64, 0..12_i64), 0..12),
            begun in prop::collection::vec((0..2_i64, 0..14_i64, prop::option::of(0..12_i64)), 0..20),
            tolerance in 0..4_i64,
        ) {
            let keys: Vec<i64> = (0..).take(sessions.len()).collect();
            let ended = df![
                SESSION_KEY => &keys,
                USER_KEY => sessions.iter().map(|session| session.0).collect::<Vec<_>>(),
                STARTED => sessions.iter().map(|session| session.1).collect::<Vec<_>>(),
                FINISHED => sessions.iter().map(|session| session.2).collect::<Vec<_>>(),
            ];
            let began = df![
                USER_KEY => begun.iter().map(|begun| begun.0).collect::<Vec<_>>(),
                BEGUN_KEY => begun.iter().map(|begun| begun.2).collect::<Vec<_>>(),
                BEGAN => begun.iter().map(|begun| begun.1).collect::<Vec<_>>(),
            ];
            let found = replaced(ended.unwrap().lazy(), began.unwrap().lazy(), tolerance).unwrap();
            let found = found.collect_with_engine(ENGINE).unwrap().unwrap_single();
            let found = found.column(SESSION_KEY).unwrap().i64().unwrap().clone();
            let mut found: Vec<i64> = found.iter().flatten().collect();
            found.sort_unstable();
            let is_replaced = |key: &i64| {
                let (person, started, finished) = sessions[usize::try_from(*key).unwrap()];
                begun.iter().any(|(other, at, names)| {
                    *other == person
                        && *at > started
                        && (at - finished).abs() <= tolerance
                        && *names != Some(*key)
                })
            };
            let expected: Vec<i64> = keys.iter().copied().filter(is_replaced).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
