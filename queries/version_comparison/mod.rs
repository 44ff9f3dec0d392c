//! Is a new version of a flow better than the one before?
//!
//! One row per version of a conversation with deployments. Only replies to delivered deployments count,
//! and reply times from before the delivery are left out. The interval contains the reply rate with
//! 95 % confidence. The p-value is the probability that two equal versions differ at least this much by
//! chance; it compares with the next lower version in the answer. Deployments without a version form a
//! row without comparison. `--by` compares versions within each group; by tag, a deployment counts under
//! each tag of its person.

use polars::prelude::{SortOptions, WindowMapping};
use wabalake_data::Table;
use wabalake_data::tables::audience_tags;
use wabalake_data::tables::deployments::{
    self, CONVERSATION_ID, CONVERSATION_VERSION, DEPLOYMENT_DELIVERED_TIMESTAMP,
    USER_RESPONDED_TIMESTAMP,
};

use crate::query::prelude::*;
use crate::query::statistics::{Bound, difference_p, wilson_pct};

/// See the [module](self) for the question it answers.
#[derive(Debug)]
pub struct VersionComparison;

impl Filtered for VersionComparison {
    const TABLE: &'static Table = &deployments::TABLE;
    const FILTERS: &'static [Filter] = Filter::OF_DEPLOYMENTS;
}

impl Grouped for VersionComparison {
    const TAKES: &'static [Dimension] = &[Dimension::Country, Dimension::Tag];
}

/// The query's options.
#[derive(Args, Debug)]
pub struct Params {
    #[command(flatten)]
    days: DayRange,
    #[command(flatten)]
    filters: Filters<VersionComparison>,
    #[command(flatten)]
    by: Dimensions<VersionComparison>,
}

/// Deployments.
pub const DEPLOYMENTS: &str = "deployments";
/// Delivered deployments.
pub const DELIVERED: &str = "delivered";
/// Share of the deployments that were delivered.
pub const DELIVERED_PCT: &str = "delivered_pct";
/// Share of the delivered deployments that were answered.
pub const REPLY_PCT: &str = "reply_pct";
/// Lower bound of the 95 % confidence interval of `reply_pct`.
pub const REPLY_PCT_LOW: &str = "reply_pct_low";
/// Upper bound of the interval.
pub const REPLY_PCT_HIGH: &str = "reply_pct_high";
/// Median time to the reply.
pub const MEDIAN_REPLY_SECONDS: &str = "median_reply_seconds";
/// Probability that equal versions differ as much by chance; 0 to 1.
pub const P_VALUE: &str = "p_value";

const REPLIED: &str = "replied";
const REPLY_TIME: &str = "reply_time";

impl Query for VersionComparison {
    type Params = Params;

    const SPEC: Spec = Spec {
        name: "version-comparison",
        title: "Whether a new version does better",
        question: "Is a new version of a flow better than the one before? Deployments and replies \
                   of each version, with the confidence interval of the reply rate (95 %, Wilson) \
                   and the p-value against the next lower version (z test), within the \
                   dimensions of `--by`.",
        reads: &[&deployments::TABLE, &audience_tags::TABLE],
        range: Range::Rows(&deployments::TABLE),
        columns: &[
            OutputColumn::term(CONVERSATION_ID),
            OutputColumn::version(CONVERSATION_VERSION),
            OutputColumn::count(DEPLOYMENTS),
            OutputColumn::count(DELIVERED),
            OutputColumn::pct(DELIVERED_PCT),
            OutputColumn::count(REPLIED),
            OutputColumn::pct(REPLY_PCT),
            OutputColumn::pct(REPLY_PCT_LOW),
            OutputColumn::pct(REPLY_PCT_HIGH),
            OutputColumn::seconds(MEDIAN_REPLY_SECONDS),
            OutputColumn::number(P_VALUE),
        ],
        key: &[CONVERSATION_ID, CONVERSATION_VERSION],
        order: &[],
        example: &["--from", "2025-06-01", "--to", "2025-06-30", "--conversation-id", "41284"],
        sql: include_str!("twin.sql"),
    };

    const BEHIND: Option<Behind<Self>> = Some(Behind {
        table: &deployments::TABLE,
        cells: &[CONVERSATION_ID, CONVERSATION_VERSION],
        counts: &[DEPLOYMENTS, DELIVERED, REPLIED],
        id: &[CONVERSATION_ID, CONVERSATION_VERSION],
        rows: |tables, params| {
            let split = params.by.split(in_range(tables, params), tables, params.days.timezone());
            Ok(split.with_columns([
                lit(true).alias(DEPLOYMENTS),
                delivery_is("Delivered").alias(DELIVERED),
                delivery_is("Delivered").and(answered()).alias(REPLIED),
            ]))
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

    fn plan(tables: &Tables, params: &Params) -> PolarsResult<LazyFrame> {
        let delivered = || delivery_is("Delivered");
        let reply_time = elapsed(DEPLOYMENT_DELIVERED_TIMESTAMP, USER_RESPONDED_TIMESTAMP);
        let reply_time = when(delivered()).then(reply_time).otherwise(lit(Null {}));
        let deployments = in_range(tables, params).with_column(reply_time.alias(REPLY_TIME));
        let version = [CONVERSATION_ID, CONVERSATION_VERSION];
        let versions = params
            .by
            .group_with(deployments, &version, tables, params.days.timezone())
            .quantiles_seconds(REPLY_TIME, [(MEDIAN_REPLY_SECONDS, 0.5)])
            .agg([
                rows().alias(DEPLOYMENTS),
                rows_where(delivered()).alias(DELIVERED),
                rows_where(delivered().and(answered())).alias(REPLIED),
            ]);

        let lower = |column: &str| -> PolarsResult<Expr> {
            let by_version = Some((
                vec![col(CONVERSATION_VERSION)],
                SortOptions::default().with_nulls_last(true),
            ));
            col(column).shift(lit(1)).over_with_options(
                Some(params.by.names_with(&[CONVERSATION_ID])),
                by_version,
                WindowMapping::default(),
            )
        };
        let compared =
            difference_p(col(REPLIED), col(DELIVERED), lower(REPLIED)?, lower(DELIVERED)?);
        Ok(versions.with_columns([
            share_pct(col(DELIVERED), col(DEPLOYMENTS)).alias(DELIVERED_PCT),
            share_pct(col(REPLIED), col(DELIVERED)).alias(REPLY_PCT),
            wilson_pct(col(REPLIED), col(DELIVERED), Bound::Low).alias(REPLY_PCT_LOW),
            wilson_pct(col(REPLIED), col(DELIVERED), Bound::High).alias(REPLY_PCT_HIGH),
            when(col(CONVERSATION_VERSION).is_not_null())
                .then(compared)
                .otherwise(lit(Null {}))
                .alias(P_VALUE),
        ]))
    }

    fn bind(params: &Params) -> Bindings {
        params.filters.bind(params.by.bind(params.days.bind(Bindings::new())))
    }
}

/// The deployments that count.
fn in_range(tables: &Tables, params: &Params) -> LazyFrame {
    params.filters.of(params.days.scan(tables, &deployments::TABLE), tables)
}
