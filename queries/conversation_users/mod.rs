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
//!
//! With `--variables wide`, a text column `var_NAME` for each name among the rows of the answer, before
//! `--limit`, stands in place of the JSON objects, ascending by name. No mart has such columns, and the SQL
//! twin has the objects.

use clap::ValueEnum;
use polars::lazy::dsl::max_horizontal;
use polars::prelude::{NamedFrom, Series};
use wabalake_data::cells::Enumeration;
use wabalake_data::tables::deployments::{
    self, CONVERSATION_ID, CONVERSATION_VERSION, DELIVERY_STATUS, DEPLOYMENT_TIMESTAMP, SESSION_ID,
    STATE, USER_PHONE, USER_RESPONDED_TIMESTAMP,
};
use wabalake_data::tables::sessions::{
    self, FIRST_MESSAGE_TIMESTAMP, LAST_MESSAGE_TIMESTAMP, SESSION_FINISHED_TIMESTAMP,
    SESSION_STATUS,
};
use wabalake_data::tables::{SESSION_KEY, audience_tags, variables};
use wabalake_data::{Invalid, Table};

use self::captured::{DEPLOYMENT_KEY, captured, deployment_key};
use crate::kernels::matched::matched;
use crate::query::filters::{Choice, listed_or_any};
use crate::query::json::json_text_sql;
use crate::query::prelude::*;
use crate::query::words::Word;

mod captured;

/// See the [module](self) for the question it answers.
#[derive(Debug)]
pub struct ConversationUsers;

impl Filtered for ConversationUsers {
    const TABLE: &'static Table = &deployments::TABLE;
    const FILTERS: &'static [Filter] = Filter::OF_DEPLOYMENTS;
}

/// The query's options.
#[derive(Args, Debug)]
pub struct Params {
    #[command(flatten)]
    days: DayRange,
    #[command(flatten)]
    filters: Filters<ConversationUsers>,
    #[command(flatten)]
    stage: Only<Stage>,
    #[command(flatten)]
    session_status: Only<filters::SessionStatus>,

    /// How variables are shown: a JSON object, or a column `var_NAME` for each name among the rows
    #[arg(long, value_enum, default_value_t = Form::Json, value_parser = Word::of::<Form>())]
    variables: Form,
}

/// How variables are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    /// A column of JSON objects
    Json,
    /// A column for each name
    Wide,
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

impl Query for ConversationUsers {
    type Params = Params;

    const SPEC: Spec = Spec {
        name: "conversation-users",
        title: "People a conversation was sent to",
        question: "Who was a conversation sent to, and how far did each person get? One row per \
                   deployment, latest first, with its session and the variables that the person \
                   answered.",
        reads: &[&deployments::TABLE, &sessions::TABLE, &variables::TABLE, &audience_tags::TABLE],
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

    fn reads(params: &Params) -> Vec<&'static Table> {
        Self::SPEC.reads_for(&[&params.filters])
    }

    fn spread(params: &Params) -> Option<Spread> {
        let wide = Spread { column: VARIABLES, prefix: "var_", option: "--variables wide" };
        (params.variables == Form::Wide).then_some(wide)
    }

    fn plan(tables: &Tables, params: &Params) -> PolarsResult<LazyFrame> {
        let deployments = params.days.scan(tables, &deployments::TABLE);
        let deployments = params.filters.of(deployments, tables);
        let variables = captured(deployments.clone(), tables)?;

        let users = with_stage(deployments, tables)?;
        let users = params.session_status.of(params.stage.of(users));
        let others = Self::SPEC.columns.iter().filter(|column| column.name != VARIABLES);
        let columns: Vec<Expr> =
            others.map(|column| col(column.name)).chain([deployment_key()]).collect();
        let users = matched(users.select(columns), variables, DEPLOYMENT_KEY, &[VARIABLES])?;
        Ok(users.with_column(col(VARIABLES).fill_null(lit("{}"))))
    }

    fn bind(params: &Params) -> Bindings {
        let bindings = params.filters.bind(params.days.bind(Bindings::new()));
        let bindings = params.session_status.bind(params.stage.bind(bindings));
        bindings.slot("json_name", json_text_sql("name")).slot("json_value", json_text_sql("value"))
    }
}

/// Deployments with the status of their session, their stage and their last activity.
fn with_stage(deployments: LazyFrame, tables: &Tables) -> PolarsResult<LazyFrame> {
    const HAS_FINISHED: &str = "has_finished";
    let sessions = tables.scan(&sessions::TABLE).select([
        col(SESSION_KEY),
        col(SESSION_STATUS),
        col(SESSION_FINISHED_TIMESTAMP).is_not_null().alias(HAS_FINISHED),
        max_horizontal([FIRST_MESSAGE_TIMESTAMP, LAST_MESSAGE_TIMESTAMP].map(col))?
            .alias(LAST_ACTIVITY),
    ]);
    let stage = when(answered().not())
        .then(lit(Null {}))
        .when(col(HAS_FINISHED))
        .then(lit(FINISHED))
        .otherwise(lit(IN_FLOW));
    let activity = [USER_RESPONDED_TIMESTAMP, LAST_ACTIVITY].map(col);
    Ok(look_up(deployments, sessions, SESSION_KEY).with_columns([
        stage.cast(DataType::String).alias(STAGE),
        max_horizontal(activity)?.alias(LAST_ACTIVITY),
    ]))
}
