//! What do people answer?
//!
//! One row per value of each variable of a version of a flow, with the node whose question it answers. Of the
//! values that were given for one question the latest counts, one without a time before all others; of two at
//! one time the greater. They are of one question if they name one session; if they name none and have a time, if
//! they belong to one deployment, as in [`conversation-users`](crate::conversation_users); else if they are of
//! one person and flow. A variable without a value is no answer.
//!
//! ```text
//! --min-people 2       session   plan                      answers
//! P1                   s1        basic                     basic   2 people
//! P2                   s2        pro 10:00, basic 10:05
//! P3                   s3        gold for my cat Tom       (folded)  2 people
//! P4                   s4        pro
//! ```
//!
//! The flow, its version and the person are those of the session; without one the version is that of the
//! deployment, else, as flow and person, that of the variable itself. The filters of the flow are of these.
//!
//! What people write may tell who they are. So values of fewer than `--min-people` people are one row, without a
//! value and `folded`; `--with-people` shows each. A row counts people once, however many of its answers they
//! gave; answers of nobody have no people.

use polars::prelude::{
    DataFrame, Field, Schema, SortMultipleOptions, UnionArgs, UniqueKeepStrategy, by_name,
    coalesce, concat, concat_lf_diagonal,
};
use wabalake_data::tables::nodes::{self as nodes_table, LABEL, NODE_ID, POSITION};
use wabalake_data::tables::variables::{
    self, AT, CONVERSATION_ID, CONVERSATION_VERSION, USER_PHONE, VALUE, VARIABLE,
};
use wabalake_data::tables::{SESSION_KEY, USER_KEY, deployments, sessions};

use crate::kernels::dictionary::number;
use crate::kernels::distinct::distinct;
use crate::kernels::{self, collected};
use crate::query::joins::{Nearest, look_up_few, nearest};
use crate::query::nodes;
use crate::query::numbers::whole;
use crate::query::prelude::*;
use crate::query::time::SECOND;

/// See the [module](self) for the question it answers.
#[derive(Debug)]
pub struct Answers;

/// The query's options.
#[derive(Args, Clone, Debug)]
pub struct Params {
    #[command(flatten)]
    days: DayRange,
    #[command(flatten)]
    conversation_id: Only<filters::ConversationId>,
    #[command(flatten)]
    conversation_version: Only<filters::ConversationVersion>,
    #[command(flatten)]
    name: Only<filters::VariableName>,

    /// Fewest people of a value that has a row of its own; those of fewer are one row
    #[arg(
        long,
        value_name = "COUNT",
        default_value_t = 5,
        value_parser = whole::<i64>(1..=i64::from(u32::MAX))
    )]
    min_people: i64,

    /// Show every value, although those of few people may name them
    #[arg(long)]
    with_people: bool,
}

/// `true` for the values of few people, which are one row.
pub const FOLDED: &str = "folded";
/// People who gave the answer.
pub const PEOPLE: &str = "people";
/// `people` of those who gave any answer for the variable in that version.
pub const PEOPLE_PCT: &str = "people_pct";
/// Answers.
pub const ANSWERS: &str = "answers";

/// The column that tells apart the rows of the narrow frame.
const KIND: &str = "kind";
/// A value of a variable.
const GIVEN: i32 = 0;
/// A deployment that a value may belong to.
const SENT: i32 = 1;

/// The `user_key` of the person of an answer.
const PERSON: &str = "person";
/// The person that a value names itself; null if its session has one.
const WRITER: &str = "writer";
/// The flow and the version of a value's session.
const OF_SESSION: [&str; 2] = ["session_conversation", "session_version"];
/// The time of a deployment, in microseconds.
const BEGAN: &str = "began";
/// The version of a deployment, [`NO_VERSION`] for null.
const SENT_VERSION: &str = "sent_version";
/// Less than every version.
const NO_VERSION: i64 = i64::MIN;
/// The version that a value names, [`ANY_VERSION`] for null; a deployment is found by its own and by that.
const NAMED_VERSION: &str = "named_version";
/// Greater than every version.
const ANY_VERSION: i64 = i64::MAX;
/// The people who gave any answer for the variable in that version.
const ALL_PEOPLE: &str = "all_people";

/// How long after an answer its deployment may begin, in microseconds, because clocks differ.
const CLOCKS_DIFFER: i64 = 60 * SECOND;

/// The number of a question.
const QUESTION_NUMBER: &str = "question_number";
/// The number of a value of a question.
const VALUE_NUMBER: &str = "value_number";

/// The hash of what values were given for.
const ASKED: &str = "asked";

/// A variable of a version of a flow.
const QUESTION: [&str; 3] = [CONVERSATION_ID, CONVERSATION_VERSION, VARIABLE];

impl Query for Answers {
    type Params = Params;

    const SPEC: Spec = Spec {
        name: "answers",
        title: "What people answer",
        question: "What do people answer? The last values of variables that people gave in a flow, \
                   with the node that asked; values of few people are one row.",
        reads: &[&variables::TABLE, &sessions::TABLE, &deployments::TABLE, &nodes_table::TABLE],
        range: Range::Rows(&variables::TABLE),
        columns: &[
            OutputColumn::term(CONVERSATION_ID),
            OutputColumn::version(CONVERSATION_VERSION),
            OutputColumn::term(VARIABLE),
            OutputColumn::term(NODE_ID),
            OutputColumn::term(LABEL),
            OutputColumn::count(POSITION),
            OutputColumn::written(VALUE),
            OutputColumn::boolean(FOLDED),
            OutputColumn::count(PEOPLE),
            OutputColumn::pct(PEOPLE_PCT),
            OutputColumn::count(ANSWERS),
        ],
        key: &[CONVERSATION_ID, CONVERSATION_VERSION, VARIABLE, FOLDED, VALUE],
        order: &[
            Order::Ascending(CONVERSATION_ID),
            Order::Ascending(CONVERSATION_VERSION),
            Order::Ascending(POSITION),
            Order::Ascending(VARIABLE),
            Order::Ascending(FOLDED),
            Order::Descending(PEOPLE),
        ],
        example: &["--conversation-id", "7", "--name", "plan", "--min-people", "10"],
        sql: include_str!("twin.sql"),
    };

    fn resolve(params: &mut Params, defaults: &Defaults) -> Result<Timeframe, UsageError> {
        params.days.resolve(defaults)
    }

    fn plan(tables: &Tables, params: &Params) -> PolarsResult<LazyFrame> {
        let values = kernels::once(values(tables, params));
        let people = values.clone().filter(placeable());
        let people = people.select([col(USER_KEY)]);
        let sent = tables.scan(&deployments::TABLE).select([
            col(USER_KEY),
            col(CONVERSATION_ID),
            col(CONVERSATION_VERSION),
            col(deployments::DEPLOYMENT_TIMESTAMP).cast(DataType::Int64).alias(BEGAN),
        ]);
        let person = [col(USER_KEY)];
        let sent = sent.join(people, &person, &person, JoinArgs::new(JoinType::Semi));
        let rows = [(with_sessions(values, tables)?, GIVEN), (sent, SENT)];
        let rows = rows.map(|(rows, kind)| rows.with_column(lit(kind).alias(KIND)));
        let any_order = UnionArgs { maintain_order: false, ..UnionArgs::default() };
        let rows = concat_lf_diagonal(rows, any_order)?;

        let fields = [
            (CONVERSATION_ID, DataType::String),
            (CONVERSATION_VERSION, DataType::Int32),
            (VARIABLE, DataType::String),
            (FOLDED, DataType::Boolean),
            (VALUE, DataType::String),
            (PEOPLE, DataType::Int64),
            (ANSWERS, DataType::Int64),
            (ALL_PEOPLE, DataType::Int64),
        ];
        let fields = fields.map(|(name, of)| Field::new(name.into(), of));
        let schema = fields.into_iter().collect::<Schema>();
        let asked = params.clone();
        let counted =
            kernels::node(rows, format!("answers of people: {params:?}"), schema, move |rows| {
                counted(rows, &asked)
            });
        let share = share_pct(col(PEOPLE), col(ALL_PEOPLE)).alias(PEOPLE_PCT);
        Ok(nodes::asking(counted, VARIABLE, tables).with_column(share))
    }

    fn bind(params: &Params) -> Bindings {
        let bindings = params.days.bind(Bindings::new());
        let bindings = params.conversation_version.bind(params.conversation_id.bind(bindings));
        params
            .name
            .bind(bindings)
            .integer("min_people", params.min_people)
            .boolean("with_people", params.with_people)
    }
}

/// The values in the range.
fn values(tables: &Tables, params: &Params) -> LazyFrame {
    let given = params.days.scan(tables, &variables::TABLE).filter(col(VALUE).is_not_null());
    given.select([
        col(SESSION_KEY),
        col(USER_KEY),
        col(USER_PHONE),
        col(CONVERSATION_ID),
        col(CONVERSATION_VERSION),
        col(VARIABLE),
        col(VALUE),
        // A value without a time is the earliest.
        col(AT).cast(DataType::Int64).fill_null(lit(i64::MIN)),
    ])
}

/// The values with the flow, the version and the person of their session.
fn with_sessions(values: LazyFrame, tables: &Tables) -> PolarsResult<LazyFrame> {
    const SESSION_PERSON: &str = "session_person";
    let [conversation, version] = OF_SESSION;
    let sessions = tables.scan(&sessions::TABLE).select([
        col(SESSION_KEY),
        col(sessions::CONVERSATION_ID).alias(conversation),
        col(sessions::CONVERSATION_VERSION).alias(version),
        col(USER_KEY).alias(SESSION_PERSON),
    ]);
    let has_person = col(SESSION_PERSON).is_not_null();
    Ok(look_up_few(values, sessions, SESSION_KEY, "sessions of values")?.select([
        col(SESSION_KEY),
        col(USER_KEY),
        coalesce(&[col(SESSION_PERSON), col(USER_KEY)]).alias(PERSON),
        when(has_person).then(lit(Null {})).otherwise(col(USER_PHONE)).alias(WRITER),
        col(CONVERSATION_ID),
        col(CONVERSATION_VERSION),
        col(conversation),
        col(version),
        col(VARIABLE),
        col(VALUE),
        col(AT),
    ]))
}

/// Predicate: a value belongs to one deployment of its person and flow, if there is any.
fn placeable() -> Expr {
    let has_time = col(AT).neq(lit(i64::MIN));
    let is_known = col(USER_KEY).is_not_null().and(col(CONVERSATION_ID).is_not_null());
    col(SESSION_KEY).is_null().and(has_time).and(is_known)
}

/// The answers, counted, from the narrow frame of values and deployments.
fn counted(narrow: DataFrame, asked: &Params) -> PolarsResult<DataFrame> {
    let narrow = narrow.lazy();
    let [given, sent] = [GIVEN, SENT].map(|kind| narrow.clone().filter(col(KIND).eq(lit(kind))));
    let answers = last(placed(given, sent)?)?;
    let answers = asked.conversation_version.of(asked.conversation_id.of(answers));
    let answers = asked.name.of(answers);

    let of_value = [&QUESTION.map(col)[..], &[col(VALUE)]].concat();
    let numbers =
        [number(&QUESTION.map(col)).alias(QUESTION_NUMBER), number(&of_value).alias(VALUE_NUMBER)];
    let answers = answers.select([&of_value, &[col(PERSON)][..], &numbers].concat());
    let answers = collected(answers)?.lazy();
    let first = [&QUESTION[..], &[VALUE, QUESTION_NUMBER]].concat();
    let first = first.into_iter().map(|of| col(of).first());
    let count = rows().cast(DataType::Int64).alias(ANSWERS);
    let values =
        answers.clone().group_by([col(VALUE_NUMBER)]).agg(first.chain([count]).collect::<Vec<_>>());
    let is_rare = col(PEOPLE).lt(lit(asked.min_people));
    let folded = if asked.with_people { lit(false) } else { is_rare };
    let values = with_people(values, answers.clone(), VALUE_NUMBER, PEOPLE);
    let values = collected(values.with_column(folded.alias(FOLDED)))?.lazy();

    let rare = values.clone().filter(col(FOLDED));
    let of_rare = [col(VALUE_NUMBER)];
    let answers_of_rare =
        answers.clone().join(rare.clone(), &of_rare, &of_rare, JoinArgs::new(JoinType::Semi));
    let rare = rare
        .group_by([col(QUESTION_NUMBER)])
        .agg([&QUESTION.map(|of| col(of).first())[..], &[col(ANSWERS).sum()]].concat());
    let rare = with_people(rare, answers_of_rare, QUESTION_NUMBER, PEOPLE)
        .with_columns([lit(true).alias(FOLDED), lit(Null {}).cast(DataType::String).alias(VALUE)]);
    let row = [&QUESTION[..], &[FOLDED, VALUE, PEOPLE, ANSWERS, QUESTION_NUMBER]].concat();
    let row: Vec<Expr> = row.into_iter().map(col).collect();
    let shown = values.filter(col(FOLDED).not()).select(&row);
    let all = concat([shown, rare.select(&row)], UnionArgs::default())?;
    let all = with_people(all, answers, QUESTION_NUMBER, ALL_PEOPLE);
    let all = all.drop(by_name([QUESTION_NUMBER], true, false));
    collected(all)
}

/// Adds to each group, by its `number`, how many people gave one of the `answers` that have this number.
fn with_people(
    groups: LazyFrame,
    answers: LazyFrame,
    number: &'static str,
    people: &'static str,
) -> LazyFrame {
    let counts = distinct(answers, number, PERSON, &[(people, lit(true))]);
    let number = [col(number)];
    groups
        .join(counts, &number, &number, JoinArgs::new(JoinType::Left))
        .with_column(col(people).cast(DataType::Int64).fill_null(lit(0_i64)))
}

/// Adds the deployment that a value belongs to, in [`BEGAN`] and [`SENT_VERSION`]: the last one of its person and
/// flow that began until shortly after it, else the first; if it names a version, of those of that version. Null
/// if it has a session or no time, and without such a deployment.
fn placed(given: LazyFrame, sent: LazyFrame) -> PolarsResult<LazyFrame> {
    const SEEKER: &str = "seeker";
    const SEEN_AT: &str = "seen_at";
    const FIRST: &str = "first";
    const FIRST_VERSION: &str = "first_version";
    const OF: [&str; 3] = [SEEKER, CONVERSATION_ID, NAMED_VERSION];
    let version = || col(CONVERSATION_VERSION).cast(DataType::Int64);
    let kept = [SESSION_KEY, USER_KEY, PERSON, WRITER, CONVERSATION_ID, CONVERSATION_VERSION];
    let kept = kept.into_iter().chain(OF_SESSION).chain([VARIABLE, VALUE, AT]).map(col);
    let kept: Vec<Expr> = kept.collect();
    let place = [BEGAN, SENT_VERSION];
    let nowhere = place.map(|name| lit(Null {}).cast(DataType::Int64).alias(name));
    let others = given.clone().filter(placeable().not());
    let others = others.select([&kept[..], &nowhere].concat());
    let sought = [
        col(USER_KEY).alias(SEEKER),
        version().fill_null(lit(ANY_VERSION)).alias(NAMED_VERSION),
        (col(AT) + lit(CLOCKS_DIFFER)).alias(SEEN_AT),
    ];
    let given = given.filter(placeable()).select([&kept[..], &sought].concat());

    let sent = sent.select([
        col(USER_KEY).alias(SEEKER),
        col(CONVERSATION_ID),
        col(BEGAN),
        version().fill_null(lit(NO_VERSION)).alias(SENT_VERSION),
    ]);
    let has_version = col(SENT_VERSION).neq(lit(NO_VERSION));
    let of_version =
        sent.clone().filter(has_version).with_column(col(SENT_VERSION).alias(NAMED_VERSION));
    let of_any = sent.with_column(lit(ANY_VERSION).alias(NAMED_VERSION));
    let sent = concat([of_version, of_any], UnionArgs::default())?
        // Of several versions at one time, the greatest is the last one, the smallest the first.
        .group_by([&OF.map(col)[..], &[col(BEGAN)]].concat())
        .agg([col(SENT_VERSION).max(), col(SENT_VERSION).min().alias(FIRST_VERSION)]);
    let firsts = sent
        .clone()
        .group_by(OF.map(col))
        .agg([col(BEGAN).min().alias(FIRST), col(FIRST_VERSION).min_by(col(BEGAN))]);
    let lasts = sent.select([&OF.map(col)[..], &[col(BEGAN), col(SENT_VERSION)]].concat());
    let lasts = (lasts, BEGAN, &[SENT_VERSION][..]);
    let found = nearest(Nearest::LastBefore, (given, SEEN_AT), lasts, &OF, i64::MAX)?;
    let found = found.join(firsts, OF.map(col), OF.map(col), JoinArgs::new(JoinType::Left));
    let place = [col(BEGAN).fill_null(col(FIRST)), col(SENT_VERSION).fill_null(col(FIRST_VERSION))];
    concat([others, found.select([&kept[..], &place].concat())], UnionArgs::default())
}

/// Of the values that were given for one question the last, with the flow and the version that it counts for.
fn last(placed: LazyFrame) -> PolarsResult<LazyFrame> {
    const VALUES: &str = "values";
    const OWN: [&str; 2] = ["own_person", "own_conversation"];
    let [conversation, version] = OF_SESSION;
    let without_session =
        |column: &str| when(col(SESSION_KEY).is_null()).then(col(column)).otherwise(lit(Null {}));
    let sent_version = when(col(SENT_VERSION).neq(lit(NO_VERSION)))
        .then(col(SENT_VERSION).cast(DataType::Int32))
        .otherwise(lit(Null {}));
    let given = placed.with_columns([
        without_session(USER_KEY).alias(OWN[0]),
        without_session(CONVERSATION_ID).alias(OWN[1]),
        coalesce(&[col(conversation), col(CONVERSATION_ID)]).alias(CONVERSATION_ID),
        coalesce(&[col(version), sent_version, col(CONVERSATION_VERSION)])
            .alias(CONVERSATION_VERSION),
    ]);
    let asked = [SESSION_KEY, OWN[0], OWN[1], BEGAN, SENT_VERSION, VARIABLE];
    let asked = kernels::key_of(&asked.map(col)).alias(ASKED);
    let kept = [CONVERSATION_ID, CONVERSATION_VERSION, VARIABLE, VALUE, AT, PERSON, WRITER];
    let given = collected(given.select([&kept.map(col)[..], &[asked]].concat()))?.lazy();

    // Most have one value, which needs no order.
    let key = [col(ASKED)];
    let several = given.clone().group_by([col(ASKED)]).agg([rows().alias(VALUES)]);
    let several = several.filter(col(VALUES).gt(lit(1))).select(&key);
    let several = collected(several)?;
    if several.height() == 0 {
        return Ok(given);
    }
    let latest_first = [
        (AT, true),
        (VALUE, true),
        // Rows of a session that is not known may differ in these alone.
        (CONVERSATION_ID, false),
        (CONVERSATION_VERSION, false),
        (WRITER, false),
    ];
    let descending = latest_first.map(|(_, descending)| descending);
    let options = SortMultipleOptions::default()
        .with_order_descending_multi(descending)
        .with_nulls_last(true);
    let of =
        |how: JoinType| given.clone().join(several.clone().lazy(), &key, &key, JoinArgs::new(how));
    let latest = of(JoinType::Semi)
        .sort_by_exprs(latest_first.map(|(column, _)| col(column)), options)
        .unique_stable_generic(Some(key.to_vec()), UniqueKeepStrategy::First);
    concat([of(JoinType::Anti), latest], UnionArgs::default())
}
