//! Who was a conversation sent to, and how far did each person get?
//!
//! One row per deployment, latest first, with its session from anywhere in the lake and the variables
//! that the person answered. The stage is null without a response, and In Flow if the session is not in
//! the lake.
//!
//! A variable with a session id belongs to that session. Any other one names a person and a conversation,
//! perhaps with a version: it belongs to the last deployment of these that began at most 60 seconds after
//! the answer, because clocks differ, else to the first; without a time, to each. Of several values of one
//! variable the latest counts.
//!
//! ```text
//! deployments      10:00                      12:00
//! answers          09:00  10:30  11:58:59     11:59   12:10
//! belongs to       10:00  10:00  10:00        12:00   12:00
//! ```
//!
//! ```text
//! {"city":"Medellín","coupon":null,"say \"hi\"":""}      names ascending, texts or null
//! ```

use polars::lazy::dsl::max_horizontal;
use polars::prelude::{
    NamedFrom, Series, SortMultipleOptions, UnionArgs, UniqueKeepStrategy, by_name, concat,
    concat_str,
};
use wabalake_data::Invalid;
use wabalake_data::cells::Enumeration;
use wabalake_data::tables::deployments::{
    self, CONVERSATION_ID, CONVERSATION_VERSION, DELIVERY_STATUS, DEPLOYMENT_TIMESTAMP, SESSION_ID,
    STATE, USER_PHONE, USER_RESPONDED_TIMESTAMP,
};
use wabalake_data::tables::sessions::{
    self, FIRST_MESSAGE_TIMESTAMP, LAST_MESSAGE_TIMESTAMP, SESSION_FINISHED_TIMESTAMP,
    SESSION_STATUS,
};
use wabalake_data::tables::variables::{self, AT, VALUE, VARIABLE};
use wabalake_data::tables::{SESSION_KEY, USER_KEY};

use crate::kernels;
use crate::query::filters::{Choice, listed_or_any};
use crate::query::joins::{Nearest, nearest};
use crate::query::json::{json_text, json_text_sql};
use crate::query::prelude::*;
use crate::query::time::SECOND;

/// See the [module](self) for the question it answers.
pub struct ConversationUsers;

/// The query's options.
#[derive(Args, Debug)]
pub struct Params {
    #[command(flatten)]
    days: DayRange,
    #[command(flatten)]
    delivery_status: Only<filters::DeliveryStatus>,
    #[command(flatten)]
    stage: Only<Stage>,
    #[command(flatten)]
    session_status: Only<filters::SessionStatus>,
    #[command(flatten)]
    conversation_id: Only<filters::ConversationId>,
    #[command(flatten)]
    conversation_version: Only<filters::ConversationVersion>,
}

/// `--stage`, in any spelling.
#[derive(Clone, Copy, Debug)]
struct Stage;

/// Finished or In Flow.
pub const STAGE: &str = "conversation_stage";
/// The latest response or message of the person.
pub const LAST_ACTIVITY: &str = "last_activity";
/// The values of the variables, as a JSON object.
pub const VARIABLES: &str = "variables";

const FINISHED: &str = "Finished";
const IN_FLOW: &str = "In Flow";

static STAGES: Enumeration = Enumeration::new(&[(FINISHED, &[]), (IN_FLOW, &[])]);

impl Choice for Stage {
    type Value = String;

    const NAME: &'static str = "stage";
    const NONE: &'static str = "stage_none";
    const COLUMN: &'static str = STAGE;
    const HELP: &'static str = "Only people at these stages (Finished, In Flow)";

    fn words() -> Option<&'static Enumeration> {
        Some(&STAGES)
    }

    fn read(word: &str) -> Result<String, Invalid> {
        Ok(listed_or_any(&STAGES, word))
    }

    fn series(values: &[String]) -> Series {
        Series::new(Self::NAME.into(), values)
    }
}

/// A person and a conversation.
const PERSON: [&str; 2] = [USER_KEY, CONVERSATION_ID];
/// A person and a version of a conversation.
const PERSON_VERSION: [&str; 3] = [USER_KEY, CONVERSATION_ID, VERSION];
/// The columns of a deployment that an answer of its own names.
const SEND: [&str; 4] = [USER_KEY, CONVERSATION_ID, BEGAN, VERSION];
/// The columns of a deployment that its variables are joined by. [`BEGAN`] is null unless it has answers
/// of its own, [`VERSION`] unless it or its version has: then deployments of one session share its
/// variables.
const OWNER: [&str; 5] = [SESSION_KEY, USER_KEY, CONVERSATION_ID, BEGAN, VERSION];

/// The hash of the columns that variables are joined by.
const KEY: &str = "key";
/// The hash of the columns [`OWNER`].
const OWNER_KEY: &str = "owner_key";

/// The time of a deployment, in microseconds.
const BEGAN: &str = "began";
/// The version of a deployment, [`NO_VERSION`] for null.
const VERSION: &str = "version";
/// Less than every version.
const NO_VERSION: i64 = i64::MIN;
/// How long after an answer its deployment may begin, in microseconds.
const CLOCKS_DIFFER: i64 = 60 * SECOND;

impl Query for ConversationUsers {
    type Params = Params;

    const SPEC: Spec = Spec {
        name: "conversation-users",
        title: "People a conversation was sent to",
        question: "Who was a conversation sent to, and how far did each person get? One row per \
                   deployment, latest first, with its session and the variables that the person \
                   answered.",
        reads: &[&deployments::TABLE, &sessions::TABLE, &variables::TABLE],
        range: Range::History,
        columns: &[
            OutputColumn::person(USER_PHONE),
            OutputColumn::term(CONVERSATION_ID),
            OutputColumn::version(CONVERSATION_VERSION),
            OutputColumn::instant(DEPLOYMENT_TIMESTAMP),
            OutputColumn::word(DELIVERY_STATUS),
            OutputColumn::word(STATE),
            OutputColumn::word(STAGE),
            OutputColumn::instant(LAST_ACTIVITY),
            OutputColumn::term(SESSION_ID),
            OutputColumn::word(SESSION_STATUS),
            OutputColumn::written(VARIABLES),
        ],
        key: &[USER_PHONE, CONVERSATION_ID, CONVERSATION_VERSION, DEPLOYMENT_TIMESTAMP],
        order: &[Order::Descending(DEPLOYMENT_TIMESTAMP)],
        example: &["--from", "2025-06-01", "--to", "2025-06-30", "--stage", "in-flow"],
        sql: include_str!("twin.sql"),
    };

    fn resolve(params: &mut Params, defaults: &Defaults) -> Result<Timeframe, UsageError> {
        params.days.resolve(defaults)
    }

    fn plan(tables: &Tables, params: &Params) -> PolarsResult<LazyFrame> {
        let deployments = params.days.scan(tables, &deployments::TABLE);
        let deployments = params.delivery_status.of(deployments);
        let deployments = params.conversation_version.of(params.conversation_id.of(deployments));
        let placed = placed(tables)?;
        let owners = with_owner(deployments.clone(), &placed, tables);
        let variables = captured(&owners, placed.clone(), tables)?;

        let users = with_stage(deployments, tables)?;
        let users = params.session_status.of(params.stage.of(users));
        let users = with_owner(users, &placed, tables);
        Ok(users
            .join(variables, [key_of(&OWNER)], [col(OWNER_KEY)], JoinArgs::new(JoinType::Left))
            .with_column(col(VARIABLES).fill_null(lit("{}"))))
    }

    fn bind(params: &Params) -> Bindings {
        let bindings = params.days.bind(Bindings::new());
        let bindings = params.delivery_status.bind(bindings);
        let bindings = params.session_status.bind(params.stage.bind(bindings));
        params
            .conversation_version
            .bind(params.conversation_id.bind(bindings))
            .slot("json_name", json_text_sql("name"))
            .slot("json_value", json_text_sql("value"))
    }
}

/// Deployments with the status of their session, their stage and their last activity.
fn with_stage(deployments: LazyFrame, tables: &Tables) -> PolarsResult<LazyFrame> {
    let sessions = tables.scan(&sessions::TABLE).select([
        col(SESSION_KEY),
        col(SESSION_STATUS),
        col(SESSION_FINISHED_TIMESTAMP),
        col(FIRST_MESSAGE_TIMESTAMP),
        col(LAST_MESSAGE_TIMESTAMP),
    ]);
    let stage = when(answered().not())
        .then(lit(Null {}))
        .when(col(SESSION_FINISHED_TIMESTAMP).is_not_null())
        .then(lit(FINISHED))
        .otherwise(lit(IN_FLOW));
    let activity =
        [USER_RESPONDED_TIMESTAMP, FIRST_MESSAGE_TIMESTAMP, LAST_MESSAGE_TIMESTAMP].map(col);
    Ok(look_up(deployments, sessions, SESSION_KEY).with_columns([
        stage.cast(DataType::String).alias(STAGE),
        max_horizontal(activity)?.alias(LAST_ACTIVITY),
    ]))
}

/// Deployments with the columns [`OWNER`].
fn with_owner(deployments: LazyFrame, placed: &LazyFrame, tables: &Tables) -> LazyFrame {
    const HAS_OWN: &str = "has_own";
    const HAS_OF_VERSION: &str = "has_of_version";
    let marked = |rows: LazyFrame, columns: &[&str], mark: &str| {
        let marked =
            rows.select([key_of(columns).alias(KEY)]).unique(None, UniqueKeepStrategy::Any);
        marked.with_column(lit(true).alias(mark))
    };
    let own = marked(placed.clone(), &SEND, HAS_OWN);
    let of_versions = variables(tables).filter(untimed().and(of_a_version()));
    let of_versions = marked(of_versions, &PERSON_VERSION, HAS_OF_VERSION);
    let left = || JoinArgs::new(JoinType::Left);
    let has_version = col(HAS_OWN).or(col(HAS_OF_VERSION));
    deployments
        .with_columns([began(), version()])
        .join(own, [key_of(&SEND)], [col(KEY)], left())
        .join(of_versions, [key_of(&PERSON_VERSION)], [col(KEY)], left())
        .with_columns([
            when(col(HAS_OWN)).then(col(BEGAN)).otherwise(lit(Null {})).alias(BEGAN),
            when(has_version).then(col(VERSION)).otherwise(lit(Null {})).alias(VERSION),
        ])
}

/// The variables as JSON objects: one row per [`OWNER`] that has any, with its [`OWNER_KEY`]. `placed` are
/// those that belong to one deployment of a person and conversation.
fn captured(
    deployments: &LazyFrame,
    placed: LazyFrame,
    tables: &Tables,
) -> PolarsResult<LazyFrame> {
    let asked = deployments
        .clone()
        .select([&OWNER.map(col)[..], &[key_of(&OWNER).alias(OWNER_KEY)]].concat())
        .unique_generic(Some(vec![col(OWNER_KEY)]), UniqueKeepStrategy::Any);
    let variables = variables(tables);
    // Each variable is reduced to its latest value before the join, since a placeholder phone may
    // have very many.
    let joined = |variables: LazyFrame, of: &[&str]| {
        let is_known = of.iter().map(|column| col(*column).is_not_null()).reduce(Expr::and);
        let is_known = is_known.unwrap_or(lit(true));
        let key = || key_of(of).alias(KEY);
        let asked = asked.clone().filter(is_known.clone()).select([col(OWNER_KEY), key()]);
        let variables = variables.filter(is_known).with_column(key());
        last(variables, KEY)
            .join(asked, [col(KEY)], [col(KEY)], JoinArgs::new(JoinType::Inner))
            .select([OWNER_KEY, VARIABLE, VALUE, AT].map(col))
    };
    let of_people = variables.clone().filter(untimed());
    let values = [
        joined(variables.filter(of_a_session()), &[SESSION_KEY]),
        joined(of_people.clone().filter(of_a_version().not()), &PERSON),
        joined(of_people.filter(of_a_version()), &PERSON_VERSION),
        joined(placed, &SEND),
    ];
    let last = last(concat(values, UnionArgs::default())?, OWNER_KEY);
    let member = concat_str([json_text(col(VARIABLE)), lit(":"), json_text(col(VALUE))], "", false);
    let object = concat_str([lit("{"), col(VARIABLES), lit("}")], "", false);
    Ok(last
        .with_column(member.alias(VARIABLES))
        .group_by([col(OWNER_KEY)])
        .agg([col(VARIABLES)
            .sort_by([col(VARIABLE)], SortMultipleOptions::default())
            .str()
            .join(",", false)])
        .with_column(object.alias(VARIABLES)))
}

/// The hash of some columns.
fn key_of(columns: &[&str]) -> Expr {
    kernels::key_of(&columns.iter().map(|column| col(*column)).collect::<Vec<_>>())
}

/// The variables, with their times in microseconds and the [`VERSION`] that they name.
fn variables(tables: &Tables) -> LazyFrame {
    // A value without a time sorts before all others.
    let at = col(AT).cast(DataType::Int64).fill_null(lit(i64::MIN));
    tables.scan(&variables::TABLE).with_columns([at.alias(AT), version()])
}

/// Predicate: a variable names a session.
fn of_a_session() -> Expr {
    col(SESSION_KEY).is_not_null()
}

/// Predicate: a variable has a time.
fn timed() -> Expr {
    col(AT).neq(lit(i64::MIN))
}

/// Predicate: a variable has neither a session nor a time.
fn untimed() -> Expr {
    of_a_session().or(timed()).not()
}

/// Predicate: a variable names a version.
fn of_a_version() -> Expr {
    col(VERSION).neq(lit(NO_VERSION))
}

fn began() -> Expr {
    col(DEPLOYMENT_TIMESTAMP).cast(DataType::Int64).alias(BEGAN)
}

fn version() -> Expr {
    col(CONVERSATION_VERSION).cast(DataType::Int64).fill_null(lit(NO_VERSION)).alias(VERSION)
}

/// The variables with a time and without a session, each with the deployment of its person and
/// conversation in the columns [`BEGAN`] and [`VERSION`]. A variable without one is left out.
fn placed(tables: &Tables) -> PolarsResult<LazyFrame> {
    let variables = variables(tables)
        .filter(of_a_session().not().and(timed()))
        .filter(col(USER_KEY).is_not_null().and(col(CONVERSATION_ID).is_not_null()))
        .select([USER_KEY, CONVERSATION_ID, VERSION, VARIABLE, VALUE, AT].map(col))
        .with_column((col(AT) + lit(CLOCKS_DIFFER)).alias(SEARCHED_AT));
    let of_them = variables.clone().select(PERSON.map(col)).unique(None, UniqueKeepStrategy::Any);
    let deployments = tables
        .scan(&deployments::TABLE)
        .join(of_them, PERSON.map(col), PERSON.map(col), JoinArgs::new(JoinType::Semi))
        .select([col(USER_KEY), col(CONVERSATION_ID), began(), version()]);
    let of_versions = variables.clone().filter(of_a_version());
    let of_any = variables.filter(of_a_version().not()).drop(by_name([VERSION], true, false));
    let placed = [
        placed_in_any_version(of_any, deployments.clone())?,
        placed_in_its_version(of_versions, deployments)?,
    ];
    concat(placed, UnionArgs::default())
}

/// The time until which the deployment of a variable may begin, in microseconds.
const SEARCHED_AT: &str = "searched_at";
/// The time of the first deployment, in microseconds.
const FIRST: &str = "first";
/// The columns of a variable with its deployment.
const PLACED: [&str; 7] = [USER_KEY, CONVERSATION_ID, BEGAN, VERSION, VARIABLE, VALUE, AT];

/// Variables that name no version, with the deployment of their person and conversation.
fn placed_in_any_version(variables: LazyFrame, deployments: LazyFrame) -> PolarsResult<LazyFrame> {
    const FIRST_VERSION: &str = "first_version";
    let deployments = deployments
        // Of several versions at one time, the greatest is the last one, the smallest the first.
        .group_by([USER_KEY, CONVERSATION_ID, BEGAN].map(col))
        .agg([col(VERSION).max(), col(VERSION).min().alias(FIRST_VERSION)]);
    let firsts = deployments
        .clone()
        .group_by(PERSON.map(col))
        .agg([col(BEGAN).min().alias(FIRST), col(FIRST_VERSION).min_by(col(BEGAN))]);
    let lasts = deployments.select([USER_KEY, CONVERSATION_ID, BEGAN, VERSION].map(col));
    let (variables, lasts) = ((variables, SEARCHED_AT), (lasts, BEGAN, &[VERSION][..]));
    let found = nearest(Nearest::LastBefore, variables, lasts, &PERSON, i64::MAX)?;
    Ok(found
        .join(firsts, PERSON.map(col), PERSON.map(col), JoinArgs::new(JoinType::Inner))
        .with_columns([
            col(BEGAN).fill_null(col(FIRST)).alias(BEGAN),
            col(VERSION).fill_null(col(FIRST_VERSION)).alias(VERSION),
        ])
        .select(PLACED.map(col)))
}

/// Variables that name a version, with the deployment of their person and version.
fn placed_in_its_version(variables: LazyFrame, deployments: LazyFrame) -> PolarsResult<LazyFrame> {
    let of = PERSON_VERSION.map(col);
    let firsts = deployments.clone().group_by(&of).agg([col(BEGAN).min().alias(FIRST)]);
    let lasts = deployments.unique(None, UniqueKeepStrategy::Any);
    let (variables, lasts) = ((variables, SEARCHED_AT), (lasts, BEGAN, &[][..]));
    let found = nearest(Nearest::LastBefore, variables, lasts, &PERSON_VERSION, i64::MAX)?;
    Ok(found
        .join(firsts, &of, &of, JoinArgs::new(JoinType::Inner))
        .with_column(col(BEGAN).fill_null(col(FIRST)))
        .select(PLACED.map(col)))
}

/// The latest value of each variable; at equal times the greatest.
fn last(answers: LazyFrame, of: &str) -> LazyFrame {
    let named = [col(of), col(VARIABLE)];
    answers
        .group_by([&named[..], &[col(AT)]].concat())
        .agg([col(VALUE).max()])
        .group_by(named)
        .agg([col(VALUE).max_by(col(AT)), col(AT).max()])
}
