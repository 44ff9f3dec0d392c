//! Which ads and posts start sessions, how long do these last, and what do they earn?
//!
//! One row per ad or post, by type and id; a source without a type is an ad. Sessions without a source id
//! do not count. The spend of an ad is summed before the join with sessions, so that it counts once. An
//! ad with spend and no session has a row too. Posts have no spend.

use polars::prelude::{JoinCoalesce, SortMultipleOptions};
use wabalake_data::tables::ad_spend::{self, AD_ID, SPEND};
use wabalake_data::tables::conversions::{self, CONVERTED_AT, VALUE};
use wabalake_data::tables::sessions::{
    self, META_SOURCE_HEADLINE, META_SOURCE_ID, META_SOURCE_TYPE, SESSION_FINISHED_TIMESTAMP,
    SESSION_ID, SESSION_STARTED_TIMESTAMP,
};
use wabalake_data::tables::{CURRENCY, SESSION_KEY, USER_KEY};

use crate::kernels::groups::Groups;
use crate::kernels::latest::may_be_latest;
use crate::query::billing::money::{self, AMOUNT};
use crate::query::dimensions::{AD, meta_type};
use crate::query::prelude::*;

/// See the [module](self) for the question it answers.
pub struct MetaSources;

/// The query's options.
#[derive(Args, Debug)]
pub struct Params {
    #[command(flatten)]
    days: DayRange,
    #[command(flatten)]
    conversions: Conversions,
}

/// Sessions that the ad or post started.
pub const SESSIONS: &str = "sessions";
/// People in them.
pub const USERS: &str = "users";
/// Average duration of finished sessions.
pub const AVG_DURATION_SECONDS: &str = "avg_duration_seconds";
/// Amount spent on the ad.
pub const COST: &str = "spend";
/// Currency of the spend; several are joined by `+`.
pub const COST_CURRENCY: &str = "spend_currency";
/// Conversions of its sessions.
pub const CONVERSIONS: &str = "conversions";
/// Revenue of its conversions.
pub const REVENUE: &str = "revenue";
/// Currency of the revenue; several are joined by `+`.
pub const REVENUE_CURRENCY: &str = "revenue_currency";
/// Spend per session, in the currency of the spend.
pub const COST_PER_SESSION: &str = "cost_per_session";
/// Return on ad spend: revenue per unit of spend, if both are in one currency.
pub const ROAS: &str = "roas";

const DURATION: &str = "duration";
const FINISHED: &str = "finished_sessions";
const KNOWN_CONVERSIONS: &str = "known_conversions";

impl Query for MetaSources {
    type Params = Params;

    const SPEC: Spec = Spec {
        name: "meta-sources",
        title: "Sessions that ads and posts start, and what they earn",
        question: "Which ads and posts start sessions, how long do these last, and what do they \
                   earn? Each ad or post with its sessions, spend, conversions and revenue.",
        reads: &[&sessions::TABLE, &ad_spend::TABLE, &conversions::TABLE],
        range: Range::History,
        columns: &[
            OutputColumn::term(META_SOURCE_TYPE),
            OutputColumn::term(META_SOURCE_ID),
            OutputColumn::written(META_SOURCE_HEADLINE),
            OutputColumn::count(SESSIONS),
            OutputColumn::count(USERS),
            OutputColumn::count(FINISHED),
            OutputColumn::seconds(AVG_DURATION_SECONDS),
            OutputColumn::seconds("median_duration_seconds"),
            OutputColumn::money(COST),
            OutputColumn::term(COST_CURRENCY),
            OutputColumn::count(CONVERSIONS),
            OutputColumn::money(REVENUE),
            OutputColumn::term(REVENUE_CURRENCY),
            OutputColumn::number(COST_PER_SESSION),
            OutputColumn::number(ROAS),
        ],
        key: &[META_SOURCE_TYPE, META_SOURCE_ID],
        order: &[Order::Descending(SESSIONS)],
        example: &["--from", "2025-06-01", "--to", "2025-06-30", "--event", "purchase"],
        sql: include_str!("twin.sql"),
    };

    fn resolve(params: &mut Params, defaults: &Defaults) -> Result<Timeframe, UsageError> {
        params.days.resolve(defaults)
    }

    fn plan(tables: &Tables, params: &Params) -> PolarsResult<LazyFrame> {
        let brought =
            params.days.scan(tables, &sessions::TABLE).filter(col(META_SOURCE_ID).is_not_null());
        let brought = brought.select([
            meta_type().alias(META_SOURCE_TYPE),
            col(META_SOURCE_ID),
            col(META_SOURCE_HEADLINE),
            col(SESSION_KEY),
            col(SESSION_ID),
            col(USER_KEY),
            col(SESSION_STARTED_TIMESTAMP),
            col(SESSION_FINISHED_TIMESTAMP),
            session_duration().alias(DURATION),
        ]);
        let earned = params.conversions.by_currency(tables)?;
        let counted = Groups::of(brought, of_source())
            .measured(headlines)
            .measured(|brought, source| converted(brought, earned, source))
            .users(USERS)
            .quantiles_seconds(DURATION, [("median_duration_seconds", 0.5)])
            .agg([
                rows().alias(SESSIONS),
                col(SESSION_FINISHED_TIMESTAMP).count().alias(FINISHED),
                average_seconds(DURATION).alias(AVG_DURATION_SECONDS),
            ]);
        let full =
            JoinArgs { coalesce: JoinCoalesce::CoalesceColumns, ..JoinArgs::new(JoinType::Full) };
        let sources =
            counted.join(spend(tables, params), of_source(), of_source(), full).with_columns(
                [SESSIONS, USERS, FINISHED, CONVERSIONS].map(|count| col(count).fill_null(lit(0))),
            );
        let conversions = tables.scan(&conversions::TABLE);
        let any = conversions.select([col(CONVERTED_AT).count().alias(KNOWN_CONVERSIONS)]);
        Ok(sources.cross_join(any, None).with_columns([
            ratio(col(COST), col(SESSIONS)).alias(COST_PER_SESSION),
            roas().alias(ROAS),
        ]))
    }

    fn bind(params: &Params) -> Bindings {
        let bindings = params.days.bind_dates(params.days.bind(Bindings::new()));
        params.conversions.bind(bindings)
    }
}

/// The columns that identify an ad or a post.
fn of_source() -> [Expr; 2] {
    [col(META_SOURCE_TYPE), col(META_SOURCE_ID)]
}

/// The number of conversions of each ad and post, and their revenue.
fn converted(brought: LazyFrame, earned: LazyFrame, source: &'static str) -> LazyFrame {
    let on = [col(SESSION_KEY)];
    let sessions = brought.select([source, SESSION_KEY].map(col));
    let earned = sessions.join(earned, &on, &on, JoinArgs::new(JoinType::Inner));
    let names = [col(AMOUNT).alias(REVENUE), col(CURRENCY).alias(REVENUE_CURRENCY)];
    money::summed_with(earned, &[col(source)], VALUE, &[CONVERSIONS])
        .select([&[source, CONVERSIONS].map(col)[..], &names].concat())
}

/// The spend of each ad in the range.
fn spend(tables: &Tables, params: &Params) -> LazyFrame {
    let spend = params.days.scan_dates(tables, &ad_spend::TABLE).select([
        lit(AD).alias(META_SOURCE_TYPE),
        col(AD_ID).alias(META_SOURCE_ID),
        col(SPEND),
        col(CURRENCY),
    ]);
    let names = [col(AMOUNT).alias(COST), col(CURRENCY).alias(COST_CURRENCY)];
    money::summed(spend, &of_source(), SPEND).select([&of_source()[..], &names].concat())
}

/// Revenue per unit of spend; null in several currencies, and in a lake without conversions.
fn roas() -> Expr {
    let earned_nothing = col(REVENUE).is_null().and(col(REVENUE_CURRENCY).is_null());
    let in_its_currency = when(earned_nothing)
        .then(lit(0.0))
        .when(col(REVENUE_CURRENCY).eq_missing(col(COST_CURRENCY)))
        .then(col(REVENUE).cast(DataType::Float64))
        .otherwise(lit(Null {}));
    when(col(KNOWN_CONVERSIONS).gt(lit(0)))
        .then(ratio(in_its_currency, col(COST)))
        .otherwise(lit(Null {}))
}

/// The headline of each ad and post: that of its latest session with one. Of two sessions at one instant the
/// one with the greater id counts.
fn headlines(brought: LazyFrame, source: &'static str) -> LazyFrame {
    let latest_last = [SESSION_STARTED_TIMESTAMP, SESSION_ID].map(col);
    let headline = col(META_SOURCE_HEADLINE);
    // Filters may be joined into one, so the latest session is that among those with a headline here, too.
    let named_at = when(headline.clone().is_not_null())
        .then(col(SESSION_STARTED_TIMESTAMP))
        .otherwise(lit(Null {}));
    brought
        .filter(may_be_latest(col(source), named_at))
        .group_by([col(source)])
        .agg([headline.sort_by(latest_last, SortMultipleOptions::default()).last()])
}

#[cfg(test)]
mod tests {
    use clap::{Command, FromArgMatches};
    use polars::prelude::df;
    use wabalake_data::tables::UTC_DAY;

    use super::*;
    use crate::query::ENGINE;

    /// Without loaded conversions the revenue is unknown, not zero.
    #[test]
    fn a_lake_without_conversions_has_no_roas() {
        let spend =
            df![AD_ID => ["1"], ad_spend::DAY => [20_000], CURRENCY => ["USD"], SPEND => [5]]
                .unwrap()
                .lazy()
                .with_columns([
                    col(ad_spend::DAY).cast(DataType::Date),
                    col(ad_spend::DAY).cast(DataType::Date).alias(UTC_DAY),
                    col(SPEND).cast(DataType::Decimal(18, 6)),
                ]);
        let matches =
            Params::augment_args(Command::new("meta-sources")).get_matches_from(["meta-sources"]);
        let params = Params::from_arg_matches(&matches).unwrap();
        let tables = Tables::new().with(&ad_spend::TABLE, spend);
        let plan = MetaSources::plan(&tables, &params).unwrap();
        let answer = plan.collect_with_engine(ENGINE).unwrap().unwrap_single();
        assert_eq!(answer.height(), 1);
        assert_eq!(answer.column("roas").unwrap().null_count(), 1);
        assert_eq!(answer.column(COST_CURRENCY).unwrap().str().unwrap().get(0), Some("USD"));
    }
}
