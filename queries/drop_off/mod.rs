//! Where do users leave a flow?
//!
//! One row per conversation version and last node that a session reached; null if it reached none.
//! Every session counts, open and redirected ones too. Only the average duration leaves out sessions
//! that are open or finished before they started. `--by` splits each node; by tag, a session counts once
//! under each tag of its person.
//!
//! Nodes have a label, a position and an end if the table `nodes` knows them. `--linear` says that a flow
//! has no branches: then each known node of a version that occurs has a row, and three columns follow.
//! `reached` are the sessions whose last node has the node's position or a later one, `reached_pct` is of
//! the sessions of the version, and `lost_pct` is the share of those that stop here. They are null for a node
//! without a position.

use polars::prelude::{JoinCoalesce, SortOptions, UniqueKeepStrategy, WindowMapping};
use wabalake_data::Table;
use wabalake_data::tables::nodes::{IS_FINAL, LABEL, POSITION};
use wabalake_data::tables::sessions::{
    self, CONVERSATION_ID, CONVERSATION_VERSION, LAST_NODE_ID, SESSION_ID,
};
use wabalake_data::tables::{audience_tags, nodes as nodes_table};

use crate::query::nodes;
use crate::query::prelude::*;

/// See the [module](self) for the question it answers.
#[derive(Debug)]
pub struct DropOff;

impl Filtered for DropOff {
    const TABLE: &'static Table = &sessions::TABLE;
    const FILTERS: &'static [Filter] = Filter::OF_SESSIONS;
}

impl Grouped for DropOff {
    const TIMES: &'static [Dimension] = Dimension::TIMES;
    const TAKES: &'static [Dimension] = &[
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
    filters: Filters<DropOff>,
    #[command(flatten)]
    by: Dimensions<DropOff>,

    /// The flows have no branches: add the nodes where nobody stopped, and how many reached each node
    #[arg(long)]
    linear: bool,
}

/// Sessions whose last node it is.
pub const SESSIONS: &str = "sessions";
/// Share of the sessions of the conversation version.
pub const SHARE_PCT: &str = "share_pct";
/// Sessions with an agent among them.
pub const AGENT_SESSIONS: &str = "agent_sessions";

/// Sessions that reached the node: those whose last node has its position or a later one.
pub const REACHED: &str = "reached";
/// `reached` of the sessions of the conversation version.
pub const REACHED_PCT: &str = "reached_pct";
/// Sessions that stop here, of `reached`.
pub const LOST_PCT: &str = "lost_pct";

const USERS: &str = "users";
const DURATION: &str = "duration";

impl Query for DropOff {
    type Params = Params;

    const SPEC: Spec = Spec {
        name: "drop-off",
        title: "Where users leave a flow",
        question: "Where do users leave a flow? Sessions by the last node that they reached, open \
                   and redirected ones included; shares are of the sessions of the same \
                   conversation version, within the dimensions of `--by`.",
        reads: &[&sessions::TABLE, &nodes_table::TABLE, &audience_tags::TABLE],
        range: Range::Rows(&sessions::TABLE),
        columns: &[
            OutputColumn::term(CONVERSATION_ID),
            OutputColumn::version(CONVERSATION_VERSION),
            OutputColumn::term(LAST_NODE_ID),
            OutputColumn::count(SESSIONS),
            OutputColumn::pct(SHARE_PCT),
            OutputColumn::count(USERS),
            OutputColumn::count(AGENT_SESSIONS),
            OutputColumn::seconds("avg_duration_seconds"),
            OutputColumn::term(LABEL),
            OutputColumn::count(POSITION),
            OutputColumn::boolean(IS_FINAL),
        ],
        key: &[CONVERSATION_ID, CONVERSATION_VERSION, LAST_NODE_ID],
        order: &[
            Order::Ascending(CONVERSATION_ID),
            Order::Ascending(CONVERSATION_VERSION),
            Order::Descending(SESSIONS),
        ],
        example: &["--from", "2025-06-01", "--to", "2025-06-30", "--session-type", "inbound"],
        sql: include_str!("twin.sql"),
    };

    const BEHIND: Option<Behind<Self>> = Some(Behind {
        table: &sessions::TABLE,
        cells: &[CONVERSATION_ID, CONVERSATION_VERSION, LAST_NODE_ID],
        counts: &[SESSIONS, AGENT_SESSIONS],
        id: &[SESSION_ID],
        rows: |tables, params| {
            let split = params.by.split(in_range(tables, params), tables, params.days.timezone());
            let by_agents = col(sessions::SESSION_STATUS).eq(lit("AGENTS"));
            Ok(split.with_columns([lit(true).alias(SESSIONS), by_agents.alias(AGENT_SESSIONS)]))
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

    fn shape(params: &Params) -> Shape {
        let mut shape = Shape::of(&Self::SPEC);
        if params.linear {
            shape.columns.extend([
                OutputColumn::count(REACHED),
                OutputColumn::pct(REACHED_PCT),
                OutputColumn::pct(LOST_PCT),
            ]);
            let version = [CONVERSATION_ID, CONVERSATION_VERSION];
            shape.order = version.into_iter().chain([POSITION]).map(Order::Ascending).collect();
        }
        shape
    }

    fn invalidation(params: &Params, table: &Table) -> Vec<Invalidation> {
        match table.name {
            sessions::NAME => vec![Invalidation::OWN_BUCKET],
            nodes_table::NAME => vec![Invalidation::Answer],
            _ => [params.by.invalidation_by_tags(), params.filters.invalidation_by_tags()].concat(),
        }
    }

    fn plan(tables: &Tables, params: &Params) -> PolarsResult<LazyFrame> {
        let sessions = in_range(tables, params).with_column(session_duration().alias(DURATION));
        let stopped = params
            .by
            .group_with(
                sessions,
                &[CONVERSATION_ID, CONVERSATION_VERSION, LAST_NODE_ID],
                tables,
                params.days.timezone(),
            )
            .users(USERS)
            .agg([
                rows().alias(SESSIONS),
                agent_sessions().alias(AGENT_SESSIONS),
                average_seconds(DURATION).alias("avg_duration_seconds"),
            ]);
        let stopped =
            if params.linear { with_all_nodes(stopped, params, tables)? } else { stopped };

        let version = params.by.names_with(&[CONVERSATION_ID, CONVERSATION_VERSION]);
        let of_the_version = || col(SESSIONS).sum().over(version.clone());
        let nodes = nodes::named(stopped, LAST_NODE_ID, tables)
            .with_column(share_pct(col(SESSIONS), of_the_version()?).alias(SHARE_PCT));
        if !params.linear {
            return Ok(nodes);
        }
        // Nodes with a later position first; of nodes in one place the last sum counts.
        let later_first = SortOptions::default().with_order_descending(true).with_nulls_last(true);
        let so_far = col(SESSIONS).cum_sum(false).over_with_options(
            Some(version.clone()),
            Some((vec![col(POSITION)], later_first)),
            WindowMapping::default(),
        )?;
        let place = [&version[..], &[col(POSITION)]].concat();
        let reached = col(REACHED).max().over(place)?;
        Ok(nodes
            .with_column(so_far.alias(REACHED))
            .with_column(
                when(col(POSITION).is_not_null())
                    .then(reached)
                    .otherwise(lit(Null {}))
                    .alias(REACHED),
            )
            .with_columns([
                share_pct(col(REACHED), of_the_version()?).alias(REACHED_PCT),
                share_pct(col(SESSIONS), col(REACHED)).alias(LOST_PCT),
            ]))
    }

    fn bind(params: &Params) -> Bindings {
        let bindings = params.filters.bind(params.by.bind(params.days.bind(Bindings::new())));
        let (reached, order) = if params.linear {
            (LINEAR_SQL, "position NULLS LAST")
        } else {
            ("", "sessions DESC NULLS LAST")
        };
        bindings
            .boolean("linear", params.linear)
            .slot("reached", reached.to_owned())
            .slot("then", order.to_owned())
    }
}

/// The sessions that count.
fn in_range(tables: &Tables, params: &Params) -> LazyFrame {
    params.filters.of(params.days.scan(tables, &sessions::TABLE), tables)
}

/// Adds the known nodes at which no session stopped.
fn with_all_nodes(stopped: LazyFrame, params: &Params, tables: &Tables) -> PolarsResult<LazyFrame> {
    let version = params.by.names_with(&[CONVERSATION_ID, CONVERSATION_VERSION]);
    let node = params.by.names_with(&[CONVERSATION_ID, CONVERSATION_VERSION, LAST_NODE_ID]);
    let versions = stopped.clone().select(&version).unique(None, UniqueKeepStrategy::Any);
    let known = nodes::of_versions(versions, &version, LAST_NODE_ID, tables)?;
    let full = JoinArgs {
        coalesce: JoinCoalesce::CoalesceColumns,
        nulls_equal: true,
        ..JoinArgs::new(JoinType::Full)
    };
    let counts = [SESSIONS, USERS, AGENT_SESSIONS].map(|count| col(count).fill_null(lit(0)));
    Ok(stopped.join(known, &node, &node, full).with_columns(counts))
}

const LINEAR_SQL: &str = ",
    CAST(reached AS BIGINT) AS reached,
    CAST(reached AS DOUBLE) * 100 / of_version AS reached_pct,
    CAST(sessions AS DOUBLE) * 100 / nullif(reached, 0) AS lost_pct";
