//! Deployments by groups of people, with the sessions, replies, conversions and revenue that followed.
//!
//! A group is a value of one column of deployments and of inbound sessions. The session of a delivered
//! deployment is looked up in the whole lake. `sessions_created` and `avg_session_seconds` count it once
//! for each deployment that names it; conversions and revenue count once per group. Of the filters of
//! deployments, inbound sessions pass those that sessions have, too. With `--cost`, the delivered deployments
//! of a group are [priced](super::billing::sends).

use polars::prelude::{
    DataType, Expr, JoinArgs, JoinCoalesce, JoinType, LazyFrame, NULL, PolarsResult,
    UniqueKeepStrategy, by_name, col, lit, when,
};
use wabalake_data::Table;
use wabalake_data::tables::conversions::{CONVERTED_AT, VALUE};
use wabalake_data::tables::{CURRENCY, SESSION_KEY, USER_KEY, deployments, sessions};

use super::billing::money::{self, AMOUNT};
use super::billing::sends::{COST_PER_CONVERSION, COST_PER_REPLY, Per, SendCosts, with_costs};
use super::joins::look_up;
use super::measures::{
    answered, average_seconds, delivery_is, rows, rows_where, session_duration, share_pct,
};
use super::tables::Tables;
use super::{Conversions, DayRange, Filtered, Filters};
use crate::kernels::groups::Groups;
use crate::kernels::matched::matched;

/// Deployments to the group.
pub const DEPLOYMENTS: &str = "deployments";
/// Delivered deployments among them.
pub const DELIVERED: &str = "delivered";
/// Share of the deployments that were delivered.
pub const DELIVERED_PCT: &str = "delivered_pct";
/// Delivered deployments that led to a session.
pub const SESSIONS_CREATED: &str = "sessions_created";
/// Share of the delivered deployments that led to a session.
pub const CLICK_THROUGH_PCT: &str = "click_through_pct";
/// Delivered deployments that were answered.
pub const REPLIED: &str = "replied";
/// Share of the delivered deployments that were answered.
pub const REPLY_PCT: &str = "reply_pct";
/// Inbound sessions of the group.
pub const INBOUND_SESSIONS: &str = "inbound_sessions";
/// Average duration of the sessions that deployments led to.
pub const AVG_SESSION_SECONDS: &str = "avg_session_seconds";
pub use super::conversions::CONVERTED_SESSIONS;
/// Share of those sessions that converted.
pub const CONVERSION_PCT: &str = "conversion_pct";
/// Revenue of their conversions.
pub const REVENUE: &str = "revenue";
/// Currency of the revenue; several are joined by `+`.
pub const REVENUE_CURRENCY: &str = "revenue_currency";

const COUNTS: [&str; 6] =
    [DEPLOYMENTS, DELIVERED, SESSIONS_CREATED, REPLIED, INBOUND_SESSIONS, CONVERTED_SESSIONS];

/// The columns of cost per something in a breakdown.
pub const COSTS_PER: &[Per] =
    &[(COST_PER_REPLY, REPLIED), (COST_PER_CONVERSION, CONVERTED_SESSIONS)];

/// Returns the plan of a breakdown: a row per group that has deployments or inbound sessions, with costs if
/// they are asked for.
///
/// `grouped` adds the column `group`, a text, to rows of a table, and may make several rows of one. It reads that column,
/// or, if deployments have none of that name, the person and the time of a row.
///
/// # Errors
/// Those of building a plan.
pub fn breakdown<Q: Filtered>(
    group: &'static str,
    grouped: impl Fn(LazyFrame, &Table) -> LazyFrame,
    days: &DayRange,
    filters: &Filters<Q>,
    conversions: &Conversions,
    costs: &SendCosts,
    tables: &Tables,
) -> PolarsResult<LazyFrame> {
    let on = [col(group)];
    let deployments = days.scan(tables, &deployments::TABLE);
    let deployments = filters.of_table(deployments, &deployments::TABLE, tables);
    // The join with sessions comes first: `grouped` may multiply rows.
    let sent = grouped(with_duration(deployments, group, tables)?, &deployments::TABLE);
    let sent = sent.select([group, SESSION_KEY, DELIVERED, REPLIED, DURATION].map(col));
    let earned = conversions.by_currency(tables)?;
    let sent = Groups::of(sent, [col(group)])
        .texts([group])
        .measured(|sent, number| {
            let led = sent.filter(col(SESSION_KEY).is_not_null());
            let key = [col(SESSION_KEY)];
            let inner = JoinArgs::new(JoinType::Inner);
            let earned = led.select([number, SESSION_KEY].map(col)).join(earned, &key, &key, inner);
            // Many deployments may name one session.
            let of_session = Some(by_name([number, SESSION_KEY, CURRENCY], true, false));
            let earned = earned.unique(of_session, UniqueKeepStrategy::Any);
            money::summed_with(earned, &[col(number)], VALUE, &[CONVERTED_SESSIONS])
        })
        .agg([
            rows().alias(DEPLOYMENTS),
            rows_where(col(DELIVERED)).alias(DELIVERED),
            col(SESSION_KEY).count().alias(SESSIONS_CREATED),
            rows_where(col(REPLIED)).alias(REPLIED),
            average_seconds(DURATION).alias(AVG_SESSION_SECONDS),
        ]);
    let inbound =
        days.scan(tables, &sessions::TABLE).filter(col(sessions::SESSION_TYPE).eq(lit("Inbound")));
    let inbound = filters.of_table(inbound, &sessions::TABLE, tables);
    let inbound =
        grouped(inbound, &sessions::TABLE).group_by(&on).agg([rows().alias(INBOUND_SESSIONS)]);

    let full = JoinArgs {
        coalesce: JoinCoalesce::CoalesceColumns,
        nulls_equal: true,
        ..JoinArgs::new(JoinType::Full)
    };
    let groups = sent
        .join(inbound, &on, &on, full)
        .with_columns(COUNTS.map(|count| col(count).fill_null(lit(0)).cast(DataType::Int64)));
    let groups = groups.with_columns(shares());
    let Some(sends) = costs.sends(tables, days)? else { return Ok(groups) };
    let sends = filters.of_table(sends, &deployments::TABLE, tables);
    Ok(with_costs(groups, grouped(sends, &deployments::TABLE), &on, COSTS_PER))
}

/// The counts of deployments in a breakdown.
pub const COUNTS_OF_DEPLOYMENTS: &[&str] =
    &[DEPLOYMENTS, DELIVERED, SESSIONS_CREATED, REPLIED, CONVERTED_SESSIONS];

/// The deployments in range that pass the filters, with a column for each of [`COUNTS_OF_DEPLOYMENTS`] that is
/// true if it counts the deployment or its session.
///
/// # Errors
/// Those of building a plan.
pub fn counted_deployments<Q: Filtered>(
    days: &DayRange,
    filters: &Filters<Q>,
    conversions: &Conversions,
    tables: &Tables,
) -> PolarsResult<LazyFrame> {
    let deployments = days.scan(tables, &deployments::TABLE);
    let deployments = filters.of_table(deployments, &deployments::TABLE, tables);
    let converted = conversions.by_session(tables)?;
    Ok(look_up(with_session(deployments), converted, SESSION_KEY).with_columns([
        lit(true).alias(DEPLOYMENTS),
        col(SESSION_KEY).is_not_null().alias(SESSIONS_CREATED),
        col(CONVERTED_AT).is_not_null().alias(CONVERTED_SESSIONS),
    ]))
}

const DURATION: &str = "duration";

/// What counts of a deployment: if it was delivered and answered, the session that it led to, the duration of
/// that, and the columns that it is grouped by.
fn with_duration(deployments: LazyFrame, group: &str, tables: &Tables) -> PolarsResult<LazyFrame> {
    let sessions = tables
        .scan(&sessions::TABLE)
        .select([col(SESSION_KEY), session_duration().alias(DURATION)]);
    let of_group = match deployments::TABLE.schema().contains(group) {
        true => vec![group],
        false => vec![USER_KEY, deployments::TABLE.day_of],
    };
    let columns = [&[SESSION_KEY, DELIVERED, REPLIED][..], &of_group[..]].concat();
    let columns: Vec<Expr> = columns.into_iter().map(col).collect();
    matched(with_session(deployments).select(columns), sessions, SESSION_KEY, &[DURATION])
}

/// Adds if a deployment was delivered and answered, and leaves the session to those that led to one.
fn with_session(deployments: LazyFrame) -> LazyFrame {
    let delivered = || delivery_is("Delivered");
    let session = when(delivered()).then(col(SESSION_KEY)).otherwise(lit(NULL));
    deployments.with_columns([
        session.alias(SESSION_KEY),
        delivered().alias(DELIVERED),
        delivered().and(answered()).alias(REPLIED),
    ])
}

fn shares() -> [Expr; 6] {
    [
        share_pct(col(DELIVERED), col(DEPLOYMENTS)).alias(DELIVERED_PCT),
        share_pct(col(SESSIONS_CREATED), col(DELIVERED)).alias(CLICK_THROUGH_PCT),
        share_pct(col(REPLIED), col(DELIVERED)).alias(REPLY_PCT),
        share_pct(col(CONVERTED_SESSIONS), col(SESSIONS_CREATED)).alias(CONVERSION_PCT),
        col(AMOUNT).alias(REVENUE),
        col(CURRENCY).alias(REVENUE_CURRENCY),
    ]
}
