//! Why do sessions end?
//!
//! One row per reason, always nine; with `--by`, nine of each group that occurs. A session that started in
//! the range has the first reason that holds:
//!
//! ```text
//! open          it has no finish
//! redirected    another session of the lake was redirected from it
//! agent         its status is AGENTS or RATING
//! overwritten   it was replaced, by a greater version of its flow among others
//! another-flow  it was replaced, by none such
//! inactivity    nobody wrote for --inactivity-minutes before its finish
//! age           it finished within the tolerance of its start and --age-minutes
//! final-block   it finished within the tolerance of the last message, at a node that ends the flow
//! unknown       none of the above
//! ```
//!
//! A session is replaced if a session or deployment of the same person began within the tolerance of its
//! finish. It is not replaced by anything that began at or before its own start, by a failed deployment,
//! or by the deployment that opened it. What replaces a session or was redirected from it may be outside of
//! the range and the filters. By tag, a session counts once under each tag of its person.
//!
//! Nodes that end a flow are those of the table `nodes`. Where it has none of the session's flow and version,
//! any node may end the flow.

use polars::prelude::{UnionArgs, concat_lf_diagonal, df};
use wabalake_data::Table;
use wabalake_data::tables::deployments::{self, DEPLOYMENT_TIMESTAMP};
use wabalake_data::tables::sessions::{
    self, CONVERSATION_ID, CONVERSATION_VERSION, LAST_MESSAGE_TIMESTAMP, LAST_NODE_ID,
    SESSION_FINISHED_TIMESTAMP, SESSION_ID, SESSION_STARTED_TIMESTAMP, SESSION_STATUS,
};
use wabalake_data::tables::{SESSION_KEY, USER_KEY, USER_PHONE, audience_tags, closures, nodes};

use self::final_nodes::{FLOW, MAY_END, NODE, VERSION, with_may_end};
use crate::kernels::counted::counted;
use crate::kernels::key_of_text;
use crate::kernels::others::{Others, Ranked, others_ranked};
use crate::query::joins::key_or_none;
use crate::query::numbers::whole;
use crate::query::prelude::*;
use crate::query::time::SECOND;

mod final_nodes;

/// See the [module](self) for the question it answers.
#[derive(Debug)]
pub struct SessionClosures;

impl Filtered for SessionClosures {
    const TABLE: &'static Table = &sessions::TABLE;
    const FILTERS: &'static [Filter] = Filter::OF_SESSIONS;
}

impl Grouped for SessionClosures {
    const TIMES: &'static [Dimension] = Dimension::TIMES;
    const TAKES: &'static [Dimension] = &[
        Dimension::Conversation,
        Dimension::Country,
        Dimension::Line,
        Dimension::Tag,
        Dimension::SessionType,
        Dimension::SessionStatus,
        Dimension::Channel,
    ];
}

/// The query's options.
#[derive(Args, Debug)]
pub struct Params {
    #[command(flatten)]
    days: DayRange,
    #[command(flatten)]
    filters: Filters<SessionClosures>,
    #[command(flatten)]
    by: Dimensions<SessionClosures>,

    /// Seconds between two events that count as simultaneous, before or after
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    tolerance_seconds: u32,

    /// Minutes without a message after which a session is closed [default: never]
    #[arg(long, value_name = "MINUTES")]
    inactivity_minutes: Option<u32>,

    /// Minutes after its start at which a session is closed [default: never]
    #[arg(long, value_name = "MINUTES", value_parser = whole::<u32>(1..=u32::MAX.into()))]
    age_minutes: Option<u32>,
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
        let is_near = |at: Expr| (finished.clone() - at).abs().lt_eq(lit(self.tolerance()));
        let too_old = self.age_minutes.map_or(lit(false), |minutes| {
            is_near(micros(SESSION_STARTED_TIMESTAMP) + lit(i64::from(minutes) * MINUTE))
        });
        let conditions = [
            (OPEN, finished.clone().is_null()),
            (AGENT, with_agents()),
            (INACTIVITY, inactive),
            (AGE, too_old),
            (FINAL_BLOCK, is_near(wrote)),
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
    let ended_alone = || is_at(OPEN).or(is_at(AGENT)).not();
    when(is_at(OPEN).not().and(col(CHILDREN).gt(lit(0))))
        .then(lit(REDIRECTED))
        .when(ended_alone().and(col(IS_OVERWRITTEN)))
        .then(lit(OVERWRITTEN))
        .when(ended_alone().and(col(IS_REPLACED)))
        .then(lit(ANOTHER_FLOW))
        .otherwise(col(PLACE))
}

/// Predicate: the reason at a place holds.
fn is_at(place: u8) -> Expr {
    col(PLACE).eq(lit(place))
}

const MINUTE: i64 = 60 * SECOND;

/// The reasons, in order of precedence.
const REASONS: [&str; 9] = [
    "open",
    "redirected",
    "agent",
    "overwritten",
    "another-flow",
    "inactivity",
    "age",
    "final-block",
    "unknown",
];

/// The places of the reasons.
const OPEN: u8 = 0;
const REDIRECTED: u8 = 1;
const AGENT: u8 = 2;
const OVERWRITTEN: u8 = 3;
const ANOTHER_FLOW: u8 = 4;
const INACTIVITY: u8 = 5;
const AGE: u8 = 6;
const FINAL_BLOCK: u8 = 7;
const UNKNOWN: u8 = 8;

const REASON: &str = "closing_reason";
const PLACE: &str = "place";
const SESSIONS: &str = "sessions";
const AVG_DURATION_SECONDS: &str = "avg_duration_seconds";
const DURATION: &str = "duration";
const DURATIONS: &str = "durations";
const WEBHOOK_EVENTS: &str = "webhook_events";
const CHILDREN: &str = "children";
const IS_REPLACED: &str = "is_replaced";
const IS_OVERWRITTEN: &str = "is_overwritten";
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
                   reason that holds, and the closing events that the webhook reported; shares are \
                   within the dimensions of `--by`.",
        reads: &[
            &sessions::TABLE,
            &deployments::TABLE,
            &closures::TABLE,
            &nodes::TABLE,
            &audience_tags::TABLE,
        ],
        range: Range::History,
        columns: &[
            OutputColumn::word(REASON),
            OutputColumn::count(SESSIONS),
            OutputColumn::pct("share_pct"),
            OutputColumn::seconds(AVG_DURATION_SECONDS),
            OutputColumn::count(WEBHOOK_EVENTS),
        ],
        key: &[REASON],
        order: &[Order::Listed(REASON, &REASONS)],
        example: &["--tolerance-seconds", "120", "--inactivity-minutes", "1440"],
        sql: include_str!("twin.sql"),
    };

    const BEHIND: Option<Behind<Self>> = Some(Behind {
        table: &sessions::TABLE,
        cells: &[REASON],
        counts: &[SESSIONS],
        id: &[SESSION_ID],
        rows: |tables, params| {
            let brought = [USER_PHONE, SESSION_ID, SESSION_STARTED_TIMESTAMP];
            let ended = with_reason(with_others(tables, params, &brought)?, tables);
            Ok(ended.with_columns([named().alias(REASON), lit(true).alias(SESSIONS)]))
        },
        sql: include_str!("people.sql"),
    });

    fn resolve(params: &mut Params, defaults: &Defaults) -> Result<Timeframe, UsageError> {
        params.days.resolve(defaults)
    }

    fn reads(params: &Params) -> Vec<&'static Table> {
        Self::SPEC.reads_for(&[&params.filters, &params.by])
    }

    fn by(params: &Params) -> Vec<OutputColumn> {
        params.by.columns()
    }

    fn plan(tables: &Tables, params: &Params) -> PolarsResult<LazyFrame> {
        let group = params.by.names();
        // Only the last block of a flow depends on the node, so there are few groups of nodes.
        let at_the_end = |column: &str| {
            let is_last = when(is_at(FINAL_BLOCK)).then(col(column));
            is_last.otherwise(lit(Null {})).alias(column)
        };
        let ended = with_others(tables, params, &[])?
            .with_columns([FLOW, VERSION, NODE].map(at_the_end))
            .group_by([&group[..], &[PLACE, FLOW, VERSION, NODE].map(col)].concat())
            .agg([
                rows().alias(SESSIONS),
                col(DURATION).sum(),
                col(DURATION).count().alias(DURATIONS),
                col(WEBHOOK_EVENTS).sum(),
            ]);
        let durations = col(DURATIONS).sum().cast(DataType::Float64);
        let on = [&group[..], &[col(PLACE)]].concat();
        let counts = with_reason(ended, tables).group_by(&on).agg([
            col(SESSIONS).sum(),
            ratio(col(DURATION).sum(), durations * lit(1e6)).alias(AVG_DURATION_SECONDS),
            col(WEBHOOK_EVENTS).sum(),
        ]);
        let places: Vec<u8> = (OPEN..=UNKNOWN).collect();
        let reasons = df![PLACE => places, REASON => REASONS]?.lazy();
        let listed = params.by.for_each_group(counts.clone(), reasons);
        let all = match &group[..] {
            [] => col(SESSIONS).sum(),
            group => col(SESSIONS).sum().over(group)?,
        };
        let known = JoinArgs { nulls_equal: true, ..JoinArgs::new(JoinType::Left) };
        Ok(listed
            .join(counts, &on, &on, known)
            .with_columns([SESSIONS, WEBHOOK_EVENTS].map(|count| col(count).fill_null(lit(0))))
            .with_column(share_pct(col(SESSIONS), all).alias("share_pct")))
    }

    fn bind(params: &Params) -> Bindings {
        let bindings = params.by.bind(params.days.bind(Bindings::new()));
        let bindings = params
            .filters
            .bind(bindings)
            .integer("tolerance_seconds", i64::from(params.tolerance_seconds))
            .integer("inactivity_minutes", params.inactivity_minutes.map(i64::from))
            .integer("age_minutes", params.age_minutes.map(i64::from));
        let ended = bindings.fill_slots(include_str!("ended.sql").trim_end());
        bindings.slot("ended", ended)
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

/// The reason at each place.
fn named() -> Expr {
    let reasons = REASONS.into_iter().zip(OPEN..);
    reasons.fold(lit(Null {}).cast(DataType::String), |other, (reason, place)| {
        when(is_at(place)).then(lit(reason)).otherwise(other)
    })
}

/// The rows of [`with_others`], or groups of them: those whose last node does not end the flow have no final
/// block.
fn with_reason(ended: LazyFrame, tables: &Tables) -> LazyFrame {
    let is_no_end = is_at(FINAL_BLOCK).and(col(MAY_END).not());
    let place = when(is_no_end).then(lit(UNKNOWN)).otherwise(col(PLACE));
    with_may_end(ended, tables).with_column(place.alias(PLACE))
}

/// The sessions that count: their dimensions, the place of their [`reason`], their duration, their number of
/// closing events, their flow, version and last node, and columns that are brought along.
fn with_others(tables: &Tables, params: &Params, brought: &[&str]) -> PolarsResult<LazyFrame> {
    let (sessions, passes) = params.filters.marked(tables.scan(&sessions::TABLE), tables);
    let sessions = params.by.split(sessions, tables, params.days.timezone());
    // Sessions outside of the range and the filters have no place: they only replace others, or are their
    // children.
    let in_range = params.days.holds_instant(&col(SESSION_STARTED_TIMESTAMP)).unwrap_or(lit(true));
    let in_range = in_range.and(passes);
    let or_null =
        |holds: &Expr, value: Expr| when(holds.clone()).then(value).otherwise(lit(Null {}));
    let ended_alone = col(SESSION_FINISHED_TIMESTAMP)
        .is_not_null()
        .and(with_agents().fill_null(lit(false)).not())
        .and(in_range.clone());
    let [first, last] = params.replaceable();
    let own = [
        col(USER_KEY),
        col(SESSION_KEY),
        col(SESSION_KEY).alias(BEGUN_KEY),
        micros(SESSION_STARTED_TIMESTAMP).alias(BEGAN),
        or_null(&ended_alone, first).alias(FIRST),
        or_null(&ended_alone, last).alias(LAST),
        parent_key().alias(PARENT_KEY),
        or_null(&in_range, params.own_reason()).alias(PLACE),
        session_duration().alias(DURATION),
        key_of_text(col(LAST_NODE_ID)).alias(NODE),
    ];
    let kept = [params.by.names(), brought.iter().map(|column| col(*column)).collect()].concat();
    let sessions = sessions.select([&kept[..], &own, &version()].concat());
    let own = [PLACE, DURATION, IS_REPLACED, IS_OVERWRITTEN, FLOW, VERSION, NODE].map(col);
    let replaced = replaced(sessions, deployments(tables))?
        .filter(col(SESSION_KEY).is_not_null())
        .select([&kept[..], &[SESSION_KEY, PARENT_KEY].map(col), &own].concat());
    let closed = tables.scan(&closures::TABLE).select([col(SESSION_KEY).alias(CLOSED_KEY)]);
    let rows = concat_lf_diagonal([replaced, closed], UnionArgs::default())?;
    let counts = [(PARENT_KEY, CHILDREN), (CLOSED_KEY, WEBHOOK_EVENTS)];
    let told = counted(rows, SESSION_KEY, counts).filter(col(PLACE).is_not_null());
    Ok(told.with_column(reason().alias(PLACE)))
}

/// The flow and the version of a session or a deployment.
fn version() -> [Expr; 2] {
    [key_of_text(col(CONVERSATION_ID)).alias(FLOW), col(CONVERSATION_VERSION).alias(VERSION)]
}

/// The starts of deployments that did not fail, each with the key of its session.
fn deployments(tables: &Tables) -> LazyFrame {
    let begun = [
        col(USER_KEY),
        key_or_none(col(SESSION_KEY)).alias(BEGUN_KEY),
        micros(DEPLOYMENT_TIMESTAMP).alias(BEGAN),
    ];
    let sent = tables.scan(&deployments::TABLE).filter(delivery_is("Failed").not());
    sent.select([&begun[..], &version()].concat())
}

/// Sessions and deployments with the columns [`IS_REPLACED`], `true` if another one of the same person began
/// between the session's [`FIRST`] and [`LAST`] instant, and [`IS_OVERWRITTEN`], `true` if one of these is of a
/// greater version of its flow.
fn replaced(sessions: LazyFrame, deployments: LazyFrame) -> PolarsResult<LazyFrame> {
    let begun = concat_lf_diagonal([sessions, deployments], UnionArgs::default())?;
    let of = Others { key: USER_KEY, id: BEGUN_KEY, at: BEGAN, within: [FIRST, LAST] };
    let ranked = Ranked { group: FLOW, rank: VERSION };
    Ok(others_ranked(begun, of, ranked, [IS_REPLACED, IS_OVERWRITTEN]))
}

#[cfg(test)]
mod tests {
    use clap::{Command, FromArgMatches};
    use polars::prelude::SortMultipleOptions;
    use proptest::prelude::*;
    use wabalake_data::tables::deployments::DELIVERY_STATUS;
    use wabalake_data::tables::instant;
    use wabalake_data::tables::sessions::PARENT_SESSION_ID;

    use super::*;
    use crate::query::ENGINE;

    /// A flow and its version.
    type Flow = (Option<&'static str>, Option<i32>);

    fn flow() -> impl Strategy<Value = Flow> {
        let id = prop::option::of(prop::sample::select(vec!["7", "8"]));
        (id, prop::option::of(1..4_i32))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        /// Sessions are (person, start, finish, flow); deployments are (person, instant, session key, flow).
        #[test]
        fn a_start_near_the_finish_replaces_a_session(
            sessions in prop::collection::vec((0..2_i64, 0..12_i64, 0..12_i64, flow()), 0..12),
            sent in prop::collection::vec(
                (0..2_i64, 0..14_i64, prop::option::of(0..12_i64), flow()),
                0..20,
            ),
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
                CONVERSATION_ID => sessions.iter().map(|session| session.3.0).collect::<Vec<_>>(),
                CONVERSATION_VERSION => sessions.iter().map(|session| session.3.1).collect::<Vec<_>>(),
            ];
            let stamps = [SESSION_STARTED_TIMESTAMP, SESSION_FINISHED_TIMESTAMP].map(stamp);
            let none = |of: DataType| lit(Null {}).cast(of);
            let ended = ended.unwrap().lazy().with_columns(stamps).with_columns([
                none(instant()).alias(LAST_MESSAGE_TIMESTAMP),
                none(DataType::String).alias(LAST_NODE_ID),
                none(DataType::String).alias(PARENT_SESSION_ID),
            ]);
            let begun = df![
                USER_KEY => sent.iter().map(|sent| sent.0).collect::<Vec<_>>(),
                SESSION_KEY => sent.iter().map(|sent| sent.2).collect::<Vec<_>>(),
                DEPLOYMENT_TIMESTAMP => sent.iter().map(|sent| sent.1).collect::<Vec<_>>(),
                DELIVERY_STATUS => vec!["Sent"; sent.len()],
                CONVERSATION_ID => sent.iter().map(|sent| sent.3.0).collect::<Vec<_>>(),
                CONVERSATION_VERSION => sent.iter().map(|sent| sent.3.1).collect::<Vec<_>>(),
            ];
            let begun = begun.unwrap().lazy().with_column(stamp(DEPLOYMENT_TIMESTAMP));
            let tables =
                Tables::new().with(&sessions::TABLE, ended).with(&deployments::TABLE, begun);
            let found = with_others(&tables, &params, &[]).unwrap();
            let found = found.sort([SESSION_KEY], SortMultipleOptions::default());
            let found = found.collect_with_engine(ENGINE).unwrap().unwrap_single();
            let truths = |named: &str| -> Vec<bool> {
                found.column(named).unwrap().bool().unwrap().iter().flatten().collect()
            };
            // The flows of what replaces a session.
            let replacing = |key: &i64| -> Vec<Flow> {
                let (person, started, finished, _) = sessions[usize::try_from(*key).unwrap()];
                let starts = keys.iter().zip(&sessions).map(|(key, of)| (of.0, of.1, Some(*key), of.3));
                let begun = starts.chain(sent.iter().copied());
                let replacing = begun.filter(|(other, at, names, _)| {
                    *other == person
                        && *at > started
                        && (at - finished).abs() <= i64::from(seconds)
                        && *names != Some(*key)
                });
                replacing.map(|(.., flow)| flow).collect()
            };
            let is_replaced = keys.iter().map(|key| !replacing(key).is_empty());
            prop_assert_eq!(truths(IS_REPLACED), is_replaced.collect::<Vec<_>>());
            let is_overwritten = keys.iter().map(|key| {
                let (id, version) = sessions[usize::try_from(*key).unwrap()].3;
                let is_newer = |of: &Flow| of.0 == id && version.is_some() && of.1 > version;
                id.is_some() && replacing(key).iter().any(is_newer)
            });
            prop_assert_eq!(truths(IS_OVERWRITTEN), is_overwritten.collect::<Vec<_>>());
        }
    }
}
