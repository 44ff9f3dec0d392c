//! The variables that belong to each deployment, as JSON objects.
//!
//! The rows that decide it are collected in one narrow frame, with integers for ids: the deployments that are
//! asked about, all variables, and the deployments of the lake that variables with a time may belong to.

use polars::prelude::{
    Column, DataFrame, Field, IntoColumn, StringChunkedBuilder, UnionArgs, UniqueKeepStrategy,
    by_name, concat, concat_lf_diagonal, concat_str,
};
use rayon::slice::ParallelSliceMut;
use wabalake_data::tables::deployments::{
    self, CONVERSATION_ID, CONVERSATION_VERSION, DEPLOYMENT_TIMESTAMP,
};
use wabalake_data::tables::variables::{self, AT, VALUE, VARIABLE};
use wabalake_data::tables::{SESSION_KEY, USER_KEY};

use super::VARIABLES;
use crate::kernels;
use crate::query::joins::{Nearest, key_or_none, nearest};
use crate::query::json::json_text;
use crate::query::prelude::*;
use crate::query::time::SECOND;

/// The hash of a deployment with its session.
pub(super) const DEPLOYMENT_KEY: &str = "deployment_key";

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

/// The column that tells apart the rows of the narrow frame.
const KIND: &str = "kind";
/// A deployment that is asked about.
const ASKED: i32 = 0;
/// A variable.
const ANSWER: i32 = 1;
/// A deployment that a variable with a time may belong to.
const SENT: i32 = 2;

/// The JSON objects, in the column [`VARIABLES`]: one row per [`DEPLOYMENT_KEY`] that has variables.
///
/// # Errors
/// Those of building a plan.
pub(super) fn captured(deployments: LazyFrame, tables: &Tables) -> PolarsResult<LazyFrame> {
    // Most deployments have no variables: these are left out before anything is hashed or kept of them.
    let of_them = |deployments: LazyFrame, key: Expr, keys: LazyFrame| {
        let semi = JoinArgs::new(JoinType::Semi);
        let found =
            deployments.with_column(key.alias(KEY)).join(keys, [col(KEY)], [col(KEY)], semi);
        let columns = [col(USER_KEY), conversation(), col(SESSION_KEY), began(), version()];
        found.select([&columns[..], &[deployment_key()]].concat())
    };
    let variables = variables(tables);
    // A session if there is one, else a person and conversation. Each branch has keys of its own: the
    // optimiser would share them, and then not the variables below.
    let owners =
        || variables.clone().select([col(SESSION_KEY).fill_null(key_of(&PERSON)).alias(KEY)]);
    let people = variables.clone().filter(placeable()).select([key_of(&PERSON).alias(KEY)]);
    let of_sessions = of_them(deployments.clone(), key_or_none(col(SESSION_KEY)), owners());
    let of_people = of_them(deployments, key_of(&PERSON), owners());
    let sends = of_them(tables.scan(&deployments::TABLE), key_of(&PERSON), people);
    let rows = [(of_sessions, ASKED), (of_people, ASKED), (variables, ANSWER), (sends, SENT)];
    let rows = rows.map(|(rows, kind)| rows.with_column(lit(kind).alias(KIND)));
    let rows =
        concat_lf_diagonal(rows, UnionArgs { maintain_order: false, ..UnionArgs::default() })?;
    let fields = [(DEPLOYMENT_KEY, DataType::Int64), (VARIABLES, DataType::String)];
    let schema = fields.map(|(name, of)| Field::new(name.into(), of)).into_iter().collect();
    Ok(kernels::node(rows, "variables of deployments".to_owned(), schema, of_deployments))
}

/// [`DEPLOYMENT_KEY`] of rows of the table.
pub(super) fn deployment_key() -> Expr {
    let columns = [col(USER_KEY), conversation(), col(SESSION_KEY), began(), version()];
    kernels::key_of(&columns).alias(DEPLOYMENT_KEY)
}

/// The objects from the narrow frame.
fn of_deployments(rows: DataFrame) -> PolarsResult<DataFrame> {
    let rows = rows.lazy();
    let [asked, variables, sends] =
        [ASKED, ANSWER, SENT].map(|kind| rows.clone().filter(col(KIND).eq(lit(kind))));
    let placed = placed(&variables, sends)?.collect()?.lazy();
    let owned = with_owner(asked, &placed, &variables).collect()?.lazy();
    let objects = objects(&owned, placed, variables)?;
    let once = Some(vec![col(DEPLOYMENT_KEY)]);
    owned
        .select([col(DEPLOYMENT_KEY), key_of(&OWNER).alias(OWNER_KEY)])
        .unique_generic(once, UniqueKeepStrategy::Any)
        .join(objects.lazy(), [col(OWNER_KEY)], [col(OWNER_KEY)], JoinArgs::new(JoinType::Inner))
        .select([DEPLOYMENT_KEY, VARIABLES].map(col))
        .collect()
}

/// Deployments with the columns [`OWNER`].
fn with_owner(deployments: LazyFrame, placed: &LazyFrame, variables: &LazyFrame) -> LazyFrame {
    const HAS_OWN: &str = "has_own";
    const HAS_OF_VERSION: &str = "has_of_version";
    let marked = |rows: LazyFrame, columns: &[&str], mark: &str| {
        let marked =
            rows.select([key_of(columns).alias(KEY)]).unique(None, UniqueKeepStrategy::Any);
        marked.with_column(lit(true).alias(mark))
    };
    let own = marked(placed.clone(), &SEND, HAS_OWN);
    let of_versions = variables.clone().filter(untimed().and(of_a_version()));
    let of_versions = marked(of_versions, &PERSON_VERSION, HAS_OF_VERSION);
    let left = || JoinArgs::new(JoinType::Left);
    let has_version = col(HAS_OWN).or(col(HAS_OF_VERSION));
    deployments
        .join(own, [key_of(&SEND)], [col(KEY)], left())
        .join(of_versions, [key_of(&PERSON_VERSION)], [col(KEY)], left())
        .with_columns([
            when(col(HAS_OWN)).then(col(BEGAN)).otherwise(lit(Null {})).alias(BEGAN),
            when(has_version).then(col(VERSION)).otherwise(lit(Null {})).alias(VERSION),
        ])
}

/// The variables as JSON objects: one row per [`OWNER`] that has any, with its [`OWNER_KEY`]. `placed` are
/// those that belong to one deployment of a person and conversation.
fn objects(
    deployments: &LazyFrame,
    placed: LazyFrame,
    variables: LazyFrame,
) -> PolarsResult<DataFrame> {
    let asked = deployments
        .clone()
        .select([&OWNER.map(col)[..], &[key_of(&OWNER).alias(OWNER_KEY)]].concat())
        .unique_generic(Some(vec![col(OWNER_KEY)]), UniqueKeepStrategy::Any)
        .collect()?
        .lazy();
    // Each variable is reduced to its latest value before the join, since a placeholder phone may
    // have very many.
    let joined = |variables: LazyFrame, of: &[&str]| -> PolarsResult<LazyFrame> {
        let is_known = of.iter().map(|column| col(*column).is_not_null()).reduce(Expr::and);
        let is_known = is_known.unwrap_or(lit(true));
        let key = || key_of(of).alias(KEY);
        let asked = asked.clone().filter(is_known.clone()).select([col(OWNER_KEY), key()]);
        let variables = variables.filter(is_known).with_column(key());
        Ok(last(variables, KEY)?
            .lazy()
            .join(asked, [col(KEY)], [col(KEY)], JoinArgs::new(JoinType::Inner))
            .select([OWNER_KEY, VARIABLE, VALUE, AT].map(col)))
    };
    let of_people = variables.clone().filter(untimed());
    let values = [
        joined(variables.filter(of_a_session()), &[SESSION_KEY])?,
        joined(of_people.clone().filter(of_a_version().not()), &PERSON)?,
        joined(of_people.filter(of_a_version()), &PERSON_VERSION)?,
        joined(placed, &SEND)?,
    ];
    let last = last(concat(values, UnionArgs::default())?, OWNER_KEY)?;
    let member = concat_str([json_text(col(VARIABLE)), lit(":"), json_text(col(VALUE))], "", false);
    let members = last.lazy().select([col(OWNER_KEY), member.alias(VARIABLES)]).collect()?;
    objects_of(&members)
}

/// The members of each [`OWNER_KEY`] as one object. Members of one owner follow each other.
fn objects_of(members: &DataFrame) -> PolarsResult<DataFrame> {
    let (owners, texts) = (members.column(OWNER_KEY)?.i64()?, members.column(VARIABLES)?.str()?);
    let rows = owners.iter().flatten().zip(texts.iter().map(Option::unwrap_or_default));
    let rows: Vec<(i64, &str)> = rows.collect();
    let mut owners = Vec::new();
    let mut objects = StringChunkedBuilder::new(VARIABLES.into(), rows.len());
    let mut object = String::new();
    for of_one in rows.chunk_by(|one, other| one.0 == other.0) {
        object.clear();
        for (place, (_, member)) in of_one.iter().enumerate() {
            object.push(if place == 0 { '{' } else { ',' });
            object.push_str(member);
        }
        object.push('}');
        objects.append_value(&object);
        owners.push(of_one[0].0);
    }
    let height = owners.len();
    let columns = vec![Column::new(OWNER_KEY.into(), owners), objects.finish().into_column()];
    DataFrame::new(height, columns)
}

/// The hash of some columns.
fn key_of(columns: &[&str]) -> Expr {
    kernels::key_of(&columns.iter().map(|column| col(*column)).collect::<Vec<_>>())
}

/// The id of the conversation as an integer; null without one.
fn conversation() -> Expr {
    kernels::key_of_text(col(CONVERSATION_ID))
}

/// The variables, with their times in microseconds and the [`VERSION`] that they name.
fn variables(tables: &Tables) -> LazyFrame {
    // A value without a time sorts before all others.
    let at = col(AT).cast(DataType::Int64).fill_null(lit(i64::MIN));
    tables.scan(&variables::TABLE).select([
        col(USER_KEY),
        conversation(),
        col(SESSION_KEY),
        version(),
        col(VARIABLE),
        col(VALUE),
        at.alias(AT),
    ])
}

/// Predicate: a variable belongs to one deployment of its person and conversation, if there is any.
fn placeable() -> Expr {
    let is_placed = of_a_session().not().and(timed());
    is_placed.and(col(USER_KEY).is_not_null()).and(col(CONVERSATION_ID).is_not_null())
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

/// The time of a deployment in microseconds, as [`BEGAN`].
fn began() -> Expr {
    col(DEPLOYMENT_TIMESTAMP).cast(DataType::Int64).alias(BEGAN)
}

/// The version that a row names, as [`VERSION`].
fn version() -> Expr {
    col(CONVERSATION_VERSION).cast(DataType::Int64).fill_null(lit(NO_VERSION)).alias(VERSION)
}

/// The variables with a time and without a session, each with the deployment of its person and
/// conversation in the columns [`BEGAN`] and [`VERSION`]. A variable without one is left out.
fn placed(variables: &LazyFrame, sends: LazyFrame) -> PolarsResult<LazyFrame> {
    let variables = variables
        .clone()
        .filter(placeable())
        .select([USER_KEY, CONVERSATION_ID, VERSION, VARIABLE, VALUE, AT].map(col))
        .with_column((col(AT) + lit(CLOCKS_DIFFER)).alias(SEARCHED_AT));
    let sends = sends.select(SEND.map(col));
    let of_versions = variables.clone().filter(of_a_version());
    let of_any = variables.filter(of_a_version().not()).drop(by_name([VERSION], true, false));
    let placed =
        [placed_in_any_version(of_any, sends.clone())?, placed_in_its_version(of_versions, sends)?];
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

/// The latest value of each variable; at equal times the greatest. Rows are in the order of `of` and the
/// names of variables.
fn last(answers: LazyFrame, of: &str) -> PolarsResult<DataFrame> {
    let answers = answers.select([of, VARIABLE, VALUE, AT].map(col)).collect()?;
    let (keys, variables) = (answers.column(of)?.i64()?, answers.column(VARIABLE)?.str()?);
    let (times, values) = (answers.column(AT)?.i64()?, answers.column(VALUE)?.str()?);
    let named = keys.iter().zip(variables.iter());
    let given = times.iter().zip(values.iter());
    let mut rows: Vec<_> = named.zip(given).collect();
    kernels::on_all_cores(|| rows.par_sort_unstable());
    let last = rows.chunk_by(|one, other| one.0 == other.0).filter_map(<[_]>::last);
    let (named, given): (Vec<_>, Vec<_>) = last.copied().unzip();
    let (keys, variables): (Vec<Option<i64>>, Vec<Option<&str>>) = named.into_iter().unzip();
    let (times, values): (Vec<Option<i64>>, Vec<Option<&str>>) = given.into_iter().unzip();
    let height = keys.len();
    let columns = vec![
        Column::new(of.into(), keys),
        Column::new(VARIABLE.into(), variables),
        Column::new(VALUE.into(), values),
        Column::new(AT.into(), times),
    ];
    DataFrame::new(height, columns)
}
