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

use polars::prelude::{UnionArgs, concat_lf_diagonal, df};
use wabalake_data::tables::deployments::{self, DEPLOYMENT_TIMESTAMP};
use wabalake_data::tables::sessions::{
    self, LAST_MESSAGE_TIMESTAMP, SESSION_FINISHED_TIMESTAMP, SESSION_STARTED_TIMESTAMP,
    SESSION_STATUS,
};
use wabalake_data::tables::{SESSION_KEY, USER_KEY, closures};

use crate::kernels::counted::counted;
use crate::kernels::others::{Others, others};
use crate::query::joins::key_or_none;
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

    /// The place of the first reason that holds for a session by its own columns.
    fn own_reason(&self) -> Expr {
        let (started, finished) =
            (micros(SESSION_STARTED_TIMESTAMP), micros(SESSION_FINISHED_TIMESTAMP));
        let wrote = micros(LAST_MESSAGE_TIMESTAMP);
        let wrote_last = wrote.clone().fill_null(started);
        let inactive = self.inactivity_minutes.map_or(lit(false), |minutes| {
            finished.clone().gt_eq(wrote_last + lit(i64::from(minutes) * MINUTE))
        });
        let after_message = (finished.clone() - wrote).abs().lt_eq(lit(self.tolerance()));
        let conditions = [
            (OPEN, finished.is_null()),
            (AGENT, with_agents()),
            (INACTIVITY, inactive),
            (FINAL_BLOCK, after_message),
        ];
        conditions.into_iter().rev().fold(lit(UNKNOWN), |other, (place, holds)| {
            when(holds).then(lit(place)).otherwise(other)
        })
    }

    /// The first and the last instant at which a session may be replaced.
    fn replaceable(&self) -> [Expr; 2] {
        let (started, finished) =
            (micros(SESSION_STARTED_TIMESTAMP), micros(SESSION_FINISHED_TIMESTAMP));
        let earliest = finished.clone() - lit(self.tolerance());
        let first = when(started.clone().gt_eq(earliest.clone()))
            .then(started + lit(1_i64))
            .otherwise(earliest);
        [first, finished + lit(self.tolerance())]
    }
}

/// The place of the first reason that holds, from [`Params::own_reason`] and what other rows tell.
fn reason() -> Expr {
    let own = |place: u8| col(PLACE).eq(lit(place));
    when(own(OPEN).not().and(col(CHILDREN).gt(lit(0))))
        .then(lit(REDIRECTED))
        .when(own(OPEN).or(own(AGENT)).not().and(col(IS_REPLACED)))
        .then(lit(REPLACED))
        .otherwise(col(PLACE))
}

const MINUTE: i64 = 60 * SECOND;

/// The reasons, in order of precedence.
const REASONS: [&str; 7] =
    ["open", "redirected", "agent", "replaced", "inactivity", "final-block", "unknown"];

/// The places of the reasons.
const OPEN: u8 = 0;
const REDIRECTED: u8 = 1;
const AGENT: u8 = 2;
const REPLACED: u8 = 3;
const INACTIVITY: u8 = 4;
const FINAL_BLOCK: u8 = 5;
const UNKNOWN: u8 = 6;

const REASON: &str = "closing_reason";
const PLACE: &str = "place";
const DURATION: &str = "duration";
const WEBHOOK_EVENTS: &str = "webhook_events";
const CHILDREN: &str = "children";
const IS_REPLACED: &str = "is_replaced";
const PARENT_KEY: &str = "parent_key";
const CLOSED_KEY: &str = "closed_key";
const BEGAN: &str = "began";
const BEGUN_KEY: &str = "begun_key";
const FIRST: &str = "first";
const LAST: &str = "last";

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
        let counts = with_others(tables, params)?.group_by([reason().alias(PLACE)]).agg([
            rows().alias("sessions"),
            average_seconds(DURATION).alias("avg_duration_seconds"),
            col(WEBHOOK_EVENTS).sum(),
        ]);
        let places: Vec<u8> = (OPEN..=UNKNOWN).collect();
        let left = JoinArgs::new(JoinType::Left);
        Ok(df![PLACE => places, REASON => REASONS]?
            .lazy()
            .join(counts, [col(PLACE)], [col(PLACE)], left)
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

/// The sessions of the range with their [`Params::own_reason`] and duration, the number of their children and
/// of closing events, and `true` if another session or deployment replaced them.
fn with_others(tables: &Tables, params: &Params) -> PolarsResult<LazyFrame> {
    // Sessions outside of the range have no place: they only replace others, or are their children.
    let in_range = params.days.holds_instant(&col(SESSION_STARTED_TIMESTAMP)).unwrap_or(lit(true));
    let or_null =
        |holds: &Expr, value: Expr| when(holds.clone()).then(value).otherwise(lit(Null {}));
    let ended_alone = col(SESSION_FINISHED_TIMESTAMP)
        .is_not_null()
        .and(with_agents().fill_null(lit(false)).not())
        .and(in_range.clone());
    let [first, last] = params.replaceable();
    let sessions = tables.scan(&sessions::TABLE).select([
        col(USER_KEY),
        col(SESSION_KEY),
        col(SESSION_KEY).alias(BEGUN_KEY),
        micros(SESSION_STARTED_TIMESTAMP).alias(BEGAN),
        or_null(&ended_alone, first).alias(FIRST),
        or_null(&ended_alone, last).alias(LAST),
        parent_key().alias(PARENT_KEY),
        or_null(&in_range, params.own_reason()).alias(PLACE),
        session_duration().alias(DURATION),
    ]);
    let replaced = replaced(sessions, deployments(tables))?
        .filter(col(SESSION_KEY).is_not_null())
        .select([SESSION_KEY, PARENT_KEY, PLACE, DURATION, IS_REPLACED].map(col));
    let closed = tables.scan(&closures::TABLE).select([col(SESSION_KEY).alias(CLOSED_KEY)]);
    let rows = concat_lf_diagonal([replaced, closed], UnionArgs::default())?;
    let counts = [(PARENT_KEY, CHILDREN), (CLOSED_KEY, WEBHOOK_EVENTS)];
    Ok(counted(rows, SESSION_KEY, counts).filter(col(PLACE).is_not_null()))
}

/// The starts of deployments that did not fail, each with the key of its session.
fn deployments(tables: &Tables) -> LazyFrame {
    tables.scan(&deployments::TABLE).filter(delivery_is("Failed").not()).select([
        col(USER_KEY),
        key_or_none(col(SESSION_KEY)).alias(BEGUN_KEY),
        micros(DEPLOYMENT_TIMESTAMP).alias(BEGAN),
    ])
}

/// Sessions and deployments with the column [`IS_REPLACED`]: `true` if another one of the same person began
/// between the session's [`FIRST`] and [`LAST`] instant.
fn replaced(sessions: LazyFrame, deployments: LazyFrame) -> PolarsResult<LazyFrame> {
    let begun = concat_lf_diagonal([sessions, deployments], UnionArgs::default())?;
    let of = Others { key: USER_KEY, id: BEGUN_KEY, at: BEGAN, within: [FIRST, LAST] };
    Ok(others(begun, of, IS_REPLACED))
}

#[cfg(test)]
mod tests {
    use clap::{Command, FromArgMatches};
    use proptest::prelude::*;
    use wabalake_data::tables::deployments::DELIVERY_STATUS;
    use wabalake_data::tables::instant;
    use wabalake_data::tables::sessions::PARENT_SESSION_ID;

    use super::*;
    use crate::query::ENGINE;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        /// Sessions are (person, start, finish); deployments are (person, instant, session key).
        #[test]
        fn a_start_near_the_finish_replaces_a_session(
            sessions in prop::collection::vec((0..2_i64, 0..12_i64, 0..12_i64), 0..12),
            sent in prop::collection::vec((0..2_i64, 0..14_i64, prop::option::of(0..12_i64)), 0..20),
            seconds in 0..4_u32,
        ) {
            let params = Params::augment_args(Command::new("of"));
            let words = ["of".to_owned(), format!("--tolerance-seconds={seconds}")];
            let params = Params::from_arg_matches(&params.get_matches_from(words)).unwrap();
            let stamp = |at: &str| (col(at) * lit(SECOND)).cast(instant()).alias(at);
            let keys: Vec<i64> = (0..).take(sessions.len()).collect();
            let ended = df![
                SESSION_KEY => &keys,
                USER_KEY => sessions.iter().map(|session| session.0).collect::<Vec<_>>(),
                SESSION_STARTED_TIMESTAMP => sessions.iter().map(|session| session.1).collect::<Vec<_>>(),
                SESSION_FINISHED_TIMESTAMP => sessions.iter().map(|session| session.2).collect::<Vec<_>>(),
                SESSION_STATUS => vec!["BOT"; sessions.len()],
            ];
            let stamps = [SESSION_STARTED_TIMESTAMP, SESSION_FINISHED_TIMESTAMP].map(stamp);
            let none = |of: DataType| lit(Null {}).cast(of);
            let ended = ended.unwrap().lazy().with_columns(stamps).with_columns([
                none(instant()).alias(LAST_MESSAGE_TIMESTAMP),
                none(DataType::String).alias(PARENT_SESSION_ID),
            ]);
            let begun = df![
                USER_KEY => sent.iter().map(|sent| sent.0).collect::<Vec<_>>(),
                SESSION_KEY => sent.iter().map(|sent| sent.2).collect::<Vec<_>>(),
                DEPLOYMENT_TIMESTAMP => sent.iter().map(|sent| sent.1).collect::<Vec<_>>(),
                DELIVERY_STATUS => vec!["Sent"; sent.len()],
            ];
            let begun = begun.unwrap().lazy().with_column(stamp(DEPLOYMENT_TIMESTAMP));
            let tables =
                Tables::new().with(&sessions::TABLE, ended).with(&deployments::TABLE, begun);
            let found = with_others(&tables, &params).unwrap().filter(col(IS_REPLACED));
            let found = found.collect_with_engine(ENGINE).unwrap().unwrap_single();
            let found = found.column(SESSION_KEY).unwrap().i64().unwrap().clone();
            let mut found: Vec<i64> = found.iter().flatten().collect();
            found.sort_unstable();
            let is_replaced = |key: &i64| {
                let (person, started, finished) = sessions[usize::try_from(*key).unwrap()];
                let starts = keys.iter().zip(&sessions).map(|(key, of)| (of.0, of.1, Some(*key)));
                let mut begun = starts.chain(sent.iter().copied());
                begun.any(|(other, at, names)| {
                    other == person
                        && at > started
                        && (at - finished).abs() <= i64::from(seconds)
                        && names != Some(*key)
                })
            };
            let expected: Vec<i64> = keys.iter().copied().filter(is_replaced).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
