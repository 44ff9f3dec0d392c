//! Why do sessions end?
//!
//! One row for each of seven reasons, of which a session that started in the range has the first
//! that holds:
//!
//! ```text
//! open         it has no finish
//! redirected   some session of the lake was redirected from it
//! agent        it was with agents, or being rated
//! replaced     the same person's next session or send began as it finished
//! inactivity   nobody wrote for so long, if it is said how long
//! final-block  it finished as the person wrote last
//! unknown
//! ```
//!
//! What began at or before a session's own start replaces nothing, nor does a send that failed or
//! that opened the session itself. A reason that no session has is a row of zeros.

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

/// See the [module](self) for the question it answers.
pub struct SessionClosures;

/// What may be chosen.
#[derive(Args, Debug)]
pub struct Params {
    #[command(flatten)]
    days: DayRange,

    /// Within how many seconds two things count as one, before or after
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    tolerance_seconds: u32,

    /// After how many minutes without a message a session is closed [default: none is]
    #[arg(long, value_name = "MINUTES")]
    inactivity_minutes: Option<u32>,
}

impl Params {
    fn tolerance(&self) -> i64 {
        i64::from(self.tolerance_seconds) * SECOND
    }
}

/// Microseconds.
const SECOND: i64 = 1_000_000;
const MINUTE: i64 = 60 * SECOND;

/// The reasons, in the order in which they are looked for.
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
const STRETCH: &str = "stretch";
const FIRST: &str = "first";
const LAST: &str = "last";
const COUNTS: &str = "counts";

impl Query for SessionClosures {
    type Params = Params;

    const SPEC: Spec = Spec {
        name: "session-closures",
        title: "Why sessions end",
        question: "Why do sessions end? Each session that started in the range under the first \
                   reason that holds, with the closing events that the webhook sent.",
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
        example: "--tolerance-seconds 120 --inactivity-minutes 1440",
        sql: include_str!("twin.sql"),
    };

    fn plan(tables: &Tables, params: &Params) -> PolarsResult<LazyFrame> {
        let micros = |stamp| col(stamp).cast(DataType::Int64);
        let near = |one: Expr, other: Expr| (one - other).abs().lt_eq(lit(params.tolerance()));
        let closed_by_hand = || {
            let status = || col(SESSION_STATUS);
            status().eq(lit("AGENTS")).or(status().eq(lit("RATING")))
        };
        let sessions = || tables.scan(&sessions::TABLE);
        let in_range = params.days.scan(tables, &sessions::TABLE).select([
            col(SESSION_KEY),
            col(USER_KEY),
            col(SESSION_STATUS),
            micros(SESSION_STARTED_TIMESTAMP).alias(STARTED),
            micros(SESSION_FINISHED_TIMESTAMP).alias(FINISHED),
            micros(LAST_MESSAGE_TIMESTAMP).alias(WROTE),
            session_duration().alias(DURATION),
        ]);

        let parents = sessions()
            .filter(col(PARENT_SESSION_ID).is_not_null())
            .select([parent_key().alias(SESSION_KEY)]);
        let may_be_replaced = in_range
            .clone()
            .filter(col(FINISHED).is_not_null().and(closed_by_hand().fill_null(lit(false)).not()))
            .select([col(SESSION_KEY), col(USER_KEY), col(STARTED), col(FINISHED)]);
        let begun = |rows: LazyFrame, began| {
            rows.select([
                col(USER_KEY),
                col(SESSION_KEY).alias(BEGUN_KEY),
                micros(began).alias(BEGAN),
            ])
        };
        let sent = tables.scan(&deployments::TABLE).filter(delivery_is("Failed").not());
        let begun =
            [begun(sessions(), SESSION_STARTED_TIMESTAMP), begun(sent, DEPLOYMENT_TIMESTAMP)];
        let replaced =
            replaced(may_be_replaced, concat(begun, UnionArgs::default())?, params.tolerance())?;

        let told = tables
            .scan(&closures::TABLE)
            .group_by([col(SESSION_KEY)])
            .agg([rows().alias(WEBHOOK_EVENTS)]);

        let wrote_last = col(WROTE).fill_null(col(STARTED));
        let inactive = params.inactivity_minutes.map_or(lit(false), |minutes| {
            col(FINISHED).gt_eq(wrote_last + lit(i64::from(minutes) * MINUTE))
        });
        let reasons = [
            col(FINISHED).is_null(),
            col(IS_PARENT).is_not_null(),
            closed_by_hand(),
            col(IS_REPLACED).is_not_null(),
            inactive,
            near(col(FINISHED), col(WROTE)),
        ];
        let unknown = lit("unknown");
        let reason = REASONS
            .into_iter()
            .zip(reasons)
            .rev()
            .fold(unknown, |after, (name, holds)| when(holds).then(lit(name)).otherwise(after));
        let by_key = [col(SESSION_KEY)];
        let known = || JoinArgs::new(JoinType::Left);
        let counts = in_range
            .join(
                marked(parents.unique(None, UniqueKeepStrategy::Any), IS_PARENT),
                &by_key,
                &by_key,
                known(),
            )
            .join(marked(replaced, IS_REPLACED), &by_key, &by_key, known())
            .join(told, &by_key, &by_key, known())
            .group_by([reason.alias(REASON)])
            .agg([
                rows().alias("sessions"),
                average_seconds(DURATION).alias("avg_duration_seconds"),
                col(WEBHOOK_EVENTS).sum(),
            ]);
        let all = df![REASON => REASONS]?.lazy();
        Ok(all
            .join(counts, [col(REASON)], [col(REASON)], known())
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

/// The sessions near whose finish the same person's next session or send began, by their keys.
///
/// Of all that began near the finish, what the session itself opened is taken away: if something is
/// left, it replaced it.
fn replaced(sessions: LazyFrame, begun: LazyFrame, tolerance: i64) -> PolarsResult<LazyFrame> {
    // Time is cut into stretches so long that what is near an instant lies in two of them at most:
    // few sessions have anything there.
    let stretch = |micros: Expr| micros.floor_div(lit(2 * tolerance + 1)).alias(STRETCH);
    let reaching = |by: i64| sessions.clone().with_column(stretch(col(FINISHED) + lit(by)));
    let reaching = concat([reaching(-tolerance), reaching(tolerance)], UnionArgs::default())?;
    let on = [col(USER_KEY), col(STRETCH)];
    let semi = || JoinArgs::new(JoinType::Semi);
    let begun =
        begun.with_column(stretch(col(BEGAN))).join(reaching.clone().select(&on), &on, &on, semi());
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
    // A plan of its own for what little there is, so that none of the above is worked out twice.
    Ok(concat_lf_diagonal([sessions, begun], UnionArgs::default())?.map(
        replaced_among,
        OptFlags::empty(),
        Some(Arc::new(move |_: &Schema| -> PolarsResult<SchemaRef> { Ok(schema.clone()) })),
        Some("replaced sessions"),
    ))
}

/// The sessions among rows between whose [`FIRST`] and [`LAST`] instant something of another
/// [`BEGUN_KEY`] began, by the other rows of the same person.
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

/// Sessions by their keys, each once, under a mark.
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

        /// Sessions as person, start and finish; what began as person, instant and the session that
        /// it names.
        #[test]
        fn what_began_near_the_finish_replaces(
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
