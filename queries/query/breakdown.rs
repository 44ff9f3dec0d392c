//! What sends to groups of people spark: sessions, replies, conversions, revenue.
//!
//! A group is whatever one column holds, of the deployments and of the inbound sessions beside
//! them. What a delivered deployment sparked is found in the whole lake by the session it names:
//! `sessions_created` and `avg_session_seconds` count a session once for each deployment of the
//! group that names it, conversions and revenue once for the group.

use polars::prelude::{
    DataType, JoinArgs, JoinCoalesce, JoinType, LazyFrame, NULL, PolarsResult, UniqueKeepStrategy,
    by_name, col, lit, when,
};
use wabalake_data::Table;
use wabalake_data::tables::conversions::VALUE;
use wabalake_data::tables::{CURRENCY, SESSION_KEY, deployments, sessions};

use super::joins::key_or_none;
use super::measures::{
    answered, average_seconds, delivery_is, rows, rows_where, session_duration, share_pct,
};
use super::money::{self, AMOUNT};
use super::tables::Tables;
use super::{Conversions, DayRange};

/// Sends to the group.
pub const DEPLOYMENTS: &str = "deployments";
/// Of them, those that arrived.
pub const DELIVERED: &str = "delivered";
/// Delivered, of all sends.
pub const DELIVERED_PCT: &str = "delivered_pct";
/// Delivered sends that led to a session.
pub const SESSIONS_CREATED: &str = "sessions_created";
/// Delivered sends that led to a session, of those delivered.
pub const CLICK_THROUGH_PCT: &str = "click_through_pct";
/// Delivered sends that were answered.
pub const REPLIED: &str = "replied";
/// Answered, of those delivered.
pub const REPLY_PCT: &str = "reply_pct";
/// Inbound sessions of the group.
pub const INBOUND_SESSIONS: &str = "inbound_sessions";
/// How long the sessions last that sends led to, on average.
pub const AVG_SESSION_SECONDS: &str = "avg_session_seconds";
/// Sessions that sends led to and that converted.
pub const CONVERTED_SESSIONS: &str = "converted_sessions";
/// Sessions that converted, of those that sends led to.
pub const CONVERSION_PCT: &str = "conversion_pct";
/// What their conversions earned.
pub const REVENUE: &str = "revenue";
/// Its currency; several are joined by `+`.
pub const REVENUE_CURRENCY: &str = "revenue_currency";

const COUNTS: [&str; 6] =
    [DEPLOYMENTS, DELIVERED, SESSIONS_CREATED, REPLIED, INBOUND_SESSIONS, CONVERTED_SESSIONS];

/// A row for each group of either, with all measures that a breakdown has. `grouped` gives rows of
/// a table the column `group`, and may make several of one. Of the sessions only inbound ones count.
///
/// # Errors
/// Those of building a plan.
pub fn breakdown(
    group: &'static str,
    grouped: impl Fn(LazyFrame, &Table) -> PolarsResult<LazyFrame>,
    days: &DayRange,
    conversions: &Conversions,
    tables: &Tables,
) -> PolarsResult<LazyFrame> {
    const DURATION: &str = "duration";
    const NAMED: &str = "named_session_key";
    let [deployments, sessions] =
        [&deployments::TABLE, &sessions::TABLE].map(|table| days.scan(tables, table));
    let delivered = || delivery_is("Delivered");
    let created = || delivered().and(col(SESSION_KEY).is_not_null());
    let (of_group, on) = ([col(group)], [col(SESSION_KEY)]);
    let join = |how| JoinArgs::new(how);

    // Sessions are found before rows are grouped: what makes several rows of one is done once.
    let lasting = tables
        .scan(&sessions::TABLE)
        .select([col(SESSION_KEY), session_duration().alias(DURATION)])
        .filter(col(DURATION).is_not_null());
    let naming = deployments.clone().filter(created());
    let named = when(created()).then(col(SESSION_KEY)).otherwise(lit(NULL));
    let sent = deployments.with_column(key_or_none(named).alias(NAMED)).join(
        lasting,
        &[col(NAMED)],
        &on,
        join(JoinType::Left),
    );
    let sent_to = grouped(sent, &deployments::TABLE)?.group_by(&of_group).agg([
        rows().alias(DEPLOYMENTS),
        rows_where(delivered()).alias(DELIVERED),
        rows_where(created()).alias(SESSIONS_CREATED),
        rows_where(delivered().and(answered())).alias(REPLIED),
        average_seconds(DURATION).alias(AVG_SESSION_SECONDS),
    ]);
    // Few deployments name a session that converted, but many may name the same.
    let amount = || col(VALUE).cast(DataType::Decimal(38, 6));
    let amount = when(amount().count().gt(lit(0))).then(amount().sum()).otherwise(lit(NULL));
    let earning = conversions.attributed(tables)?.group_by([col(SESSION_KEY), col(CURRENCY)]);
    let owed = naming.join(earning.agg([amount.alias(VALUE)]), &on, &on, join(JoinType::Inner));
    let once = Some(by_name([group, SESSION_KEY, CURRENCY], true, false));
    let owed = grouped(owed, &deployments::TABLE)?.unique(once, UniqueKeepStrategy::Any);
    let converted = owed
        .clone()
        .group_by(&of_group)
        .agg([col(SESSION_KEY).n_unique().alias(CONVERTED_SESSIONS)]);
    let earned = money::summed(owed, &of_group, VALUE);
    let inbound = sessions.filter(col(sessions::SESSION_TYPE).eq(lit("Inbound")));
    let writing = grouped(inbound, &sessions::TABLE)?
        .group_by(&of_group)
        .agg([rows().alias(INBOUND_SESSIONS)]);

    let known = || JoinArgs { nulls_equal: true, ..JoinArgs::new(JoinType::Left) };
    let all = JoinArgs {
        coalesce: JoinCoalesce::CoalesceColumns,
        nulls_equal: true,
        ..JoinArgs::new(JoinType::Full)
    };
    let groups = sent_to
        .join(converted, &of_group, &of_group, known())
        .join(earned, &of_group, &of_group, known())
        .join(writing, &of_group, &of_group, all)
        .with_columns(COUNTS.map(|count| col(count).fill_null(lit(0)).cast(DataType::Int64)));
    Ok(groups.with_columns([
        share_pct(col(DELIVERED), col(DEPLOYMENTS)).alias(DELIVERED_PCT),
        share_pct(col(SESSIONS_CREATED), col(DELIVERED)).alias(CLICK_THROUGH_PCT),
        share_pct(col(REPLIED), col(DELIVERED)).alias(REPLY_PCT),
        share_pct(col(CONVERTED_SESSIONS), col(SESSIONS_CREATED)).alias(CONVERSION_PCT),
        col(AMOUNT).alias(REVENUE),
        col(CURRENCY).alias(REVENUE_CURRENCY),
    ]))
}
