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

const COUNTS: [&str; 6] = [
    "deployments",
    "delivered",
    "sessions_created",
    "replied",
    "inbound_sessions",
    "converted_sessions",
];

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
        rows().alias("deployments"),
        rows_where(delivered()).alias("delivered"),
        rows_where(created()).alias("sessions_created"),
        rows_where(delivered().and(answered())).alias("replied"),
        average_seconds(DURATION).alias("avg_session_seconds"),
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
        .agg([col(SESSION_KEY).n_unique().alias("converted_sessions")]);
    let earned = money::summed(owed, &of_group, VALUE);
    let inbound = sessions.filter(col(sessions::SESSION_TYPE).eq(lit("Inbound")));
    let writing = grouped(inbound, &sessions::TABLE)?
        .group_by(&of_group)
        .agg([rows().alias("inbound_sessions")]);

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
        share_pct(col("delivered"), col("deployments")).alias("delivered_pct"),
        share_pct(col("sessions_created"), col("delivered")).alias("click_through_pct"),
        share_pct(col("replied"), col("delivered")).alias("reply_pct"),
        share_pct(col("converted_sessions"), col("sessions_created")).alias("conversion_pct"),
        col(AMOUNT).alias("revenue"),
        col(CURRENCY).alias("revenue_currency"),
    ]))
}
