//! How does a conversation perform?
//!
//! One row per version of a conversation that has deployments. All counts but the users are of
//! deployments, so a person with two deployments counts twice. Responses count for deployments that
//! were sent or delivered. A deployment of unknown status counts only in the users.
//!
//! The vendor's own rate is one of people: of those with a deployment that was sent or delivered, how
//! many answered one.
//!
//! The latest version of a conversation is the greatest among the rows in range that the other filters
//! keep; `--conversation-version` then keeps it or not.
//!
//! `--of sessions` asks about the sessions of a conversation instead, which people start, too. One row per
//! version that has sessions, with columns of its own: how many sessions people started, how many they
//! replied in (they wrote), and in how many the first message was no text; how many finished, were with an
//! agent, and ended at a final node of the flow; and how long they lasted, which leaves out sessions that are
//! open or finished before they started. Final sessions are null where the table `nodes` knows no node of the
//! version.

pub mod sessions;

use clap::ValueEnum;
use wabalake_data::tables::deployments::{self, CONVERSATION_ID, CONVERSATION_VERSION};
use wabalake_data::tables::{audience_tags, nodes, sessions as sessions_table};
use wabalake_data::{Invalid, Table};

use crate::kernels::groups::Groups;
use crate::query::prelude::*;
use crate::query::usage::misfit;
use crate::query::words::Word;

/// See the [module](self) for the question it answers.
#[derive(Debug)]
pub struct ConversationSummary;

impl Filtered for ConversationSummary {
    const TABLE: &'static Table = &deployments::TABLE;
    // Those of deployments; that of the version comes after the latest version is found.
    const FILTERS: &'static [Filter] = &[
        Filter::COUNTRY,
        Filter::TAG,
        Filter::CONVERSATION_ID,
        Filter::DELIVERY_STATUS,
        Filter::STATE,
    ];
}

/// The filters that only sessions have.
#[derive(Debug)]
struct OfSessions;

impl Filtered for OfSessions {
    const TABLE: &'static Table = &sessions_table::TABLE;
    const FILTERS: &'static [Filter] =
        &[Filter::LINE, Filter::SESSION_TYPE, Filter::SESSION_STATUS, Filter::CHANNEL];
}

/// The query's options.
#[derive(Args, Debug)]
pub struct Params {
    #[command(flatten)]
    days: DayRange,
    #[command(flatten)]
    filters: Filters<ConversationSummary>,
    #[command(flatten)]
    of_sessions: Filters<OfSessions>,
    #[command(flatten)]
    conversation_version: Only<filters::ConversationVersion>,
    /// Only each conversation's greatest version among the rows in range
    #[arg(long)]
    latest_version: bool,

    /// What is counted
    #[arg(long, value_enum, default_value_t = Of::Deployments, value_parser = Word::of::<Of>())]
    of: Of,
}

/// The rows that are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Of {
    /// Deployments, and the responses to them
    Deployments,
    /// Sessions, also those that people start
    Sessions,
}

/// People with a deployment.
pub const TOTAL_USERS: &str = "total_users";
/// Deployments that were sent, delivered ones included.
pub const MESSAGES_SENT: &str = "messages_sent";
/// Deployments that are not sent yet.
pub const IN_PROCESS: &str = "in_process";
/// Deployments that failed.
pub const SEND_FAILURE: &str = "send_failure";
/// Deployments that were delivered.
pub const DELIVERED: &str = "delivered";
/// Deployments that were sent and answered.
pub const RESPONSES: &str = "responses";
/// Share of the sent deployments that were answered.
pub const RESPONSE_RATE_PCT: &str = "response_rate_pct";
/// People with a deployment that was sent.
pub const USERS_SENT: &str = "users_sent";
/// People who answered a deployment that was sent.
pub const USERS_RESPONDED: &str = "users_responded";
/// Share of the people with a sent deployment who answered one.
pub const USER_RESPONSE_RATE_PCT: &str = "user_response_rate_pct";

impl Query for ConversationSummary {
    type Params = Params;

    const SPEC: Spec = Spec {
        name: "conversation-summary",
        title: "How a conversation performs",
        question: "How does a conversation perform? Deployments by their delivery status, and the \
                   responses among those that were sent or delivered, of deployments and of people; \
                   or, with `--of sessions`, its sessions.",
        reads: &[&deployments::TABLE, &sessions_table::TABLE, &nodes::TABLE, &audience_tags::TABLE],
        range: Range::Rows(&deployments::TABLE),
        columns: &[
            OutputColumn::term(CONVERSATION_ID),
            OutputColumn::version(CONVERSATION_VERSION),
            OutputColumn::count(TOTAL_USERS),
            OutputColumn::count(MESSAGES_SENT),
            OutputColumn::count(IN_PROCESS),
            OutputColumn::count(SEND_FAILURE),
            OutputColumn::count(DELIVERED),
            OutputColumn::count(RESPONSES),
            OutputColumn::pct(RESPONSE_RATE_PCT),
            OutputColumn::count(USERS_SENT),
            OutputColumn::count(USERS_RESPONDED),
            OutputColumn::pct(USER_RESPONSE_RATE_PCT),
        ],
        key: &[CONVERSATION_ID, CONVERSATION_VERSION],
        order: &[],
        example: &["--from", "2025-06-01", "--to", "2025-06-30", "--latest-version"],
        sql: include_str!("twin.sql"),
    };

    const BEHIND: Option<Behind<Self>> = Some(Behind {
        table: &deployments::TABLE,
        cells: &[CONVERSATION_ID, CONVERSATION_VERSION],
        counts: &[TOTAL_USERS, MESSAGES_SENT, IN_PROCESS, SEND_FAILURE, DELIVERED, RESPONSES],
        id: &[CONVERSATION_ID, CONVERSATION_VERSION],
        rows: |tables, params| {
            let sent = || delivery_is("Sent").or(delivery_is("Delivered"));
            Ok(of_asked_versions(in_range(tables, params), params)?.with_columns([
                lit(true).alias(TOTAL_USERS),
                sent().alias(MESSAGES_SENT),
                delivery_is("In Process").alias(IN_PROCESS),
                delivery_is("Failed").alias(SEND_FAILURE),
                delivery_is("Delivered").alias(DELIVERED),
                sent().and(answered()).alias(RESPONSES),
            ]))
        },
        sql: include_str!("people.sql"),
    });

    const BEHIND_RESHAPED: Option<Behind<Self>> = Some(sessions::BEHIND);

    fn resolve(params: &mut Params, defaults: &Defaults) -> Result<Timeframe, UsageError> {
        let (rows, others, misplaced) = match params.of {
            Of::Deployments => {
                ("deployments", "sessions", params.of_sessions.given_beside(&deployments::TABLE))
            }
            Of::Sessions => {
                ("sessions", "deployments", params.filters.given_beside(&sessions_table::TABLE))
            }
        };
        if let Some(option) = misplaced {
            let fault = Invalid::new(format!("`--{option}` is no filter of {rows}"));
            return Err(misfit(fault.hint(format!("leave it out, or ask `--of {others}`"))));
        }
        params.days.resolve(defaults)
    }

    fn reads(params: &Params) -> Vec<&'static Table> {
        Self::SPEC.reads_for(&[&params.filters])
    }

    fn shape(params: &Params) -> Shape {
        match params.of {
            Of::Deployments => Shape::of(&Self::SPEC),
            Of::Sessions => sessions::shape(),
        }
    }

    fn behind(params: &Params) -> Option<Behind<Self>> {
        match params.of {
            Of::Deployments => Self::BEHIND,
            Of::Sessions => Self::BEHIND_RESHAPED,
        }
    }

    fn invalidation(params: &Params, table: &Table) -> Vec<Invalidation> {
        let matters = match table.name {
            deployments::NAME => params.of == Of::Deployments,
            sessions_table::NAME | nodes::NAME => params.of == Of::Sessions,
            _ => true,
        };
        matters.then_some(Invalidation::Answer).into_iter().collect()
    }

    fn plan(tables: &Tables, params: &Params) -> PolarsResult<LazyFrame> {
        if params.of == Of::Sessions {
            return sessions::plan(tables, params);
        }
        let deployments = in_range(tables, params);
        let sent = || delivery_is("Sent").or(delivery_is("Delivered"));
        let versions = Groups::of(deployments, [CONVERSATION_ID, CONVERSATION_VERSION].map(col))
            .users(TOTAL_USERS)
            .users_where(USERS_SENT, sent())
            .users_where(USERS_RESPONDED, sent().and(answered()))
            .agg([
                rows_where(sent()).alias(MESSAGES_SENT),
                rows_where(delivery_is("In Process")).alias(IN_PROCESS),
                rows_where(delivery_is("Failed")).alias(SEND_FAILURE),
                rows_where(delivery_is("Delivered")).alias(DELIVERED),
                rows_where(sent().and(answered())).alias(RESPONSES),
            ]);

        Ok(of_asked_versions(versions, params)?.with_columns([
            share_pct(col(RESPONSES), col(MESSAGES_SENT)).alias(RESPONSE_RATE_PCT),
            share_pct(col(USERS_RESPONDED), col(USERS_SENT)).alias(USER_RESPONSE_RATE_PCT),
        ]))
    }

    fn bind(params: &Params) -> Bindings {
        let bindings = params.days.bind(Bindings::new());
        let bindings = match params.of {
            Of::Deployments => params.filters.bind(bindings),
            Of::Sessions => sessions::bind(params, bindings),
        };
        params.conversation_version.bind(bindings).boolean("latest_version", params.latest_version)
    }
}

/// The deployments in range, of all versions.
fn in_range(tables: &Tables, params: &Params) -> LazyFrame {
    params.filters.of(params.days.scan(tables, &deployments::TABLE), tables)
}

/// Keeps what belongs to the versions that are asked for: rows in range, or groups of them.
fn of_asked_versions(rows: LazyFrame, params: &Params) -> PolarsResult<LazyFrame> {
    const LATEST: &str = "latest_of_conversation";
    let rows = if params.latest_version {
        let latest = col(CONVERSATION_VERSION).max().over([col(CONVERSATION_ID)])?;
        let is_latest = col(CONVERSATION_VERSION).eq_missing(col(LATEST));
        rows.with_column(latest.alias(LATEST)).filter(is_latest)
    } else {
        rows
    };
    Ok(params.conversation_version.of(rows))
}
