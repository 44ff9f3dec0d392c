//! What sends to groups of people spark: sessions, replies, conversions, revenue.
//!
//! A group is whatever one column holds, of the deployments and of the inbound sessions beside
//! them. What a delivered deployment sparked is found in the whole lake by the session it names:
//! `sessions_created` and `avg_session_seconds` count a session once for each deployment of the
//! group that names it, conversions and revenue once for the group.

use polars::prelude::{
    DataType, JoinArgs, JoinCoalesce, JoinType, LazyFrame, PolarsResult, UniqueKeepStrategy,
    by_name, col, lit,
};
use wabalake_data::tables::conversions::VALUE;
use wabalake_data::tables::{CONVERSION_KEY, CURRENCY, SESSION_KEY, sessions};

use super::Conversions;
use super::measures::{
    answered, average_seconds, delivery_is, rows, rows_where, session_duration, share_pct,
};
use super::money::{self, AMOUNT};
use super::tables::Tables;

const COUNTS: [&str; 6] = [
    "deployments",
    "delivered",
    "sessions_created",
    "replied",
    "inbound_sessions",
    "converted_sessions",
];

/// A row for each group of either, with all measures that a breakdown has. Of the sessions only
/// inbound ones count.
///
/// # Errors
/// Those of building a plan.
pub fn breakdown(
    group: &'static str,
    deployments: LazyFrame,
    sessions: LazyFrame,
    conversions: &Conversions,
    tables: &Tables,
) -> PolarsResult<LazyFrame> {
    const DURATION: &str = "duration";
    let delivered = || delivery_is("Delivered");
    let created = || delivered().and(col(SESSION_KEY).is_not_null());
    let (of_group, on) = ([col(group)], [col(SESSION_KEY)]);
    let inner = || JoinArgs::new(JoinType::Inner);

    let sent_to = deployments.clone().group_by(&of_group).agg([
        rows().alias("deployments"),
        rows_where(delivered()).alias("delivered"),
        rows_where(created()).alias("sessions_created"),
        rows_where(delivered().and(answered())).alias("replied"),
    ]);
    // Apart from the counts, so that the joins meet only deployments that can find a session.
    let naming = deployments.filter(created()).select([col(group), col(SESSION_KEY)]);
    let lasting = tables
        .scan(&sessions::TABLE)
        .select([col(SESSION_KEY), session_duration().alias(DURATION)])
        .filter(col(DURATION).is_not_null());
    let sparked = naming
        .clone()
        .join(lasting, &on, &on, inner())
        .group_by(&of_group)
        .agg([average_seconds(DURATION).alias("avg_session_seconds")]);
    // Joined before it is made unique: few deployments name a session that converted.
    let owed = naming
        .join(conversions.attributed(tables)?, &on, &on, inner())
        .unique(Some(by_name([group, CONVERSION_KEY], true, false)), UniqueKeepStrategy::Any);
    let converted = owed
        .clone()
        .group_by(&of_group)
        .agg([col(SESSION_KEY).n_unique().alias("converted_sessions")]);
    let earned = money::summed(owed, &of_group, VALUE);
    let writing = sessions
        .filter(col(sessions::SESSION_TYPE).eq(lit("Inbound")))
        .group_by(&of_group)
        .agg([rows().alias("inbound_sessions")]);

    let known = || JoinArgs { nulls_equal: true, ..JoinArgs::new(JoinType::Left) };
    let all = JoinArgs {
        coalesce: JoinCoalesce::CoalesceColumns,
        nulls_equal: true,
        ..JoinArgs::new(JoinType::Full)
    };
    let groups = sent_to
        .join(sparked, &of_group, &of_group, known())
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
