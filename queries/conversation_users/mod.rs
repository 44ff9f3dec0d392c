//! Whom was a conversation sent to, and how far did each of them get?
//!
//! One row for each deployment, the latest first, with what its session tells, wherever in the lake
//! that is, and what the person answered in it. A variable that names a session belongs to that
//! session alone, any other to a person and a conversation; of several by one name the latest
//! counts. Who did not answer is at no stage, and a session that nobody knows was never finished.
//!
//! ```text
//! {"city":"Medellín","coupon":null,"say \"hi\"":""}      names ascending, texts or null
//! ```

use polars::prelude::{
    NamedFrom, Series, SortMultipleOptions, UnionArgs, UniqueKeepStrategy, concat, concat_str,
};
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

use crate::query::filters::{Choice, listed_or_any};
use crate::query::json::{json_text, json_text_sql};
use crate::query::prelude::*;

/// See the [module](self) for the question it answers.
pub struct ConversationUsers;

/// What may be chosen.
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
/// When anything last happened with the person.
pub const LAST_ACTIVITY: &str = "last_activity";
/// What they answered, as a JSON object.
pub const VARIABLES: &str = "variables";

const FINISHED: &str = "Finished";
const IN_FLOW: &str = "In Flow";

static STAGES: Enumeration = Enumeration::new(&[(FINISHED, &[]), (IN_FLOW, &[])]);

impl Choice for Stage {
    type Value = String;

    const NAME: &'static str = "stage";
    const COLUMN: &'static str = STAGE;
    const HELP: &'static str = "Only people at these stages (Finished, In Flow)";

    fn words() -> Option<&'static Enumeration> {
        Some(&STAGES)
    }

    fn read(word: &str) -> Result<String, String> {
        Ok(listed_or_any(&STAGES, word))
    }

    fn series(values: &[String]) -> Series {
        Series::new(Self::NAME.into(), values)
    }
}

/// What the variables of a deployment depend on.
const WHOSE: [&str; 3] = [SESSION_KEY, USER_KEY, CONVERSATION_ID];

impl Query for ConversationUsers {
    type Params = Params;

    const SPEC: Spec = Spec {
        name: "conversation-users",
        title: "Whom a conversation was sent to",
        question: "Whom was a conversation sent to, and how far did each of them get? One row for \
                   each deployment, the latest first, with its session and what was answered in \
                   it.",
        reads: &[&deployments::TABLE, &sessions::TABLE, &variables::TABLE],
        range: Range::Rows,
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
        example: "--from 2025-06-01 --to 2025-06-30 --stage in-flow",
        sql: include_str!("twin.sql"),
    };

    fn plan(tables: &Tables, params: &Params) -> PolarsResult<LazyFrame> {
        let sent = params.days.scan(tables, &deployments::TABLE);
        let sent = params.delivery_status.of(sent);
        let sent = params.conversation_version.of(params.conversation_id.of(sent));
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
        let active =
            [USER_RESPONDED_TIMESTAMP, FIRST_MESSAGE_TIMESTAMP, LAST_MESSAGE_TIMESTAMP].map(col);
        let users = look_up(sent, sessions, SESSION_KEY).with_columns([
            stage.cast(DataType::String).alias(STAGE),
            polars::lazy::dsl::max_horizontal(active)?.alias(LAST_ACTIVITY),
        ]);
        let users = params.session_status.of(params.stage.of(users));

        let captured = captured(&users, tables)?;
        let known = JoinArgs { nulls_equal: true, ..JoinArgs::new(JoinType::Left) };
        Ok(users
            .join(captured, WHOSE.map(col), WHOSE.map(col), known)
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

/// The objects of those who answered anything: a row for each session, person and conversation that
/// deployments name together.
fn captured(deployments: &LazyFrame, tables: &Tables) -> PolarsResult<LazyFrame> {
    let whose = WHOSE.map(col);
    let asked = deployments.clone().select(&whose).unique(None, UniqueKeepStrategy::Any);
    // Nothing comes before everything.
    let at = col(AT).cast(DataType::Int64).fill_null(lit(i64::MIN));
    let variables = tables.scan(&variables::TABLE).with_column(at.alias(AT));
    // Who may be asked for many times over has one answer by each name before that.
    let told = |variables: LazyFrame, of: &[Expr]| {
        let on = of.to_vec();
        let told =
            asked.clone().join(last(variables, of), &on, &on, JoinArgs::new(JoinType::Inner));
        told.select([&whose[..], &[VARIABLE, VALUE, AT].map(col)].concat())
    };
    let of_a_session = || col(SESSION_KEY).is_not_null();
    let told = [
        told(variables.clone().filter(of_a_session()), &[col(SESSION_KEY)]),
        told(variables.filter(of_a_session().not()), &[col(USER_KEY), col(CONVERSATION_ID)]),
    ];
    let last = last(concat(told, UnionArgs::default())?, &whose);
    let member = concat_str([json_text(col(VARIABLE)), lit(":"), json_text(col(VALUE))], "", false);
    let object = concat_str([lit("{"), col(VARIABLES), lit("}")], "", false);
    Ok(last
        .with_column(member.alias(VARIABLES))
        .group_by(&whose)
        .agg([col(VARIABLES)
            .sort_by([col(VARIABLE)], SortMultipleOptions::default())
            .str()
            .join(",", false)])
        .with_column(object.alias(VARIABLES)))
}

/// Of several answers of the same by one name the last; of those at one instant the greatest.
fn last(answers: LazyFrame, of: &[Expr]) -> LazyFrame {
    let named = [of, &[col(VARIABLE)]].concat();
    answers
        .group_by([&named[..], &[col(AT)]].concat())
        .agg([col(VALUE).max()])
        .group_by(named)
        .agg([col(VALUE).max_by(col(AT)), col(AT).max()])
}
