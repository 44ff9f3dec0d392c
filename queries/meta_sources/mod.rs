//! Which ads and posts start sessions, how long do these last, and what do they earn?
//!
//! One row per ad or post, by type and id; a source without a type is an ad. Sessions without a source id
//! do not count. The spend of an ad is summed before the join with sessions, so that it counts once, and so
//! are its impressions and clicks. An ad with spend and no session has a row too. Posts have no spend. Filters
//! choose sessions, not spend.
//!
//! `--by` groups by other dimensions, `source` among them or not; without it the columns of ads and posts are
//! left out. Ads and posts are sorted by their sessions, after the other dimensions.
//!
//! | dimension | sessions | spend, impressions, clicks |
//! |---|---|---|
//! | `day`, `week`, `month` | of the start | of the reported day, as it stands |
//! | `campaign`, `ad-set`, `ad` | of the ad that led to them | of the ad |
//! | `line`, `country` | of the session | null, and so is what is computed from them |
//!
//! The campaign of an ad is that of its latest row in `ad_spend` that names one, whatever `--from` and `--to`; of
//! one day the row with the greatest currency counts. The same holds for its ad set and its name. A campaign
//! or ad set with an id is called as its own latest row calls it; one without an id is known by its name.
//! Posts have no campaign, no ad set and no ad: these columns are null. An ad that `ad_spend` does not know has its
//! id alone.
//!
//! With `event`, a group has a row for each event among its conversions, or one with null if it has none.
//! `conversions`, `revenue`, `revenue_currency` and `roas` are those of the event. All other columns are those of
//! the group, repeated in each of its rows: only `conversions` and `revenue` may be added up.

mod by;
pub(crate) mod names;
mod slots;

use polars::prelude::{JoinCoalesce, SortMultipleOptions, UniqueKeepStrategy};
use wabalake_data::Table;
use wabalake_data::tables::ad_spend::{
    self, AD_ID, AD_NAME, AD_SET_ID, AD_SET_NAME, CAMPAIGN_ID, CAMPAIGN_NAME, CLICKS, DAY,
    IMPRESSIONS, SPEND,
};
use wabalake_data::tables::conversions::{self, CONVERTED_AT, EVENT, VALUE};
use wabalake_data::tables::sessions::{
    self, COUNTRY, LINE_WHATSAPP_NUMBER, META_SOURCE_HEADLINE, META_SOURCE_ID, META_SOURCE_TYPE,
    SESSION_FINISHED_TIMESTAMP, SESSION_ID, SESSION_STARTED_TIMESTAMP,
};
use wabalake_data::tables::{CURRENCY, SESSION_KEY, USER_KEY, audience_tags};

use self::by::{By, Split};
use crate::kernels::groups::Groups;
use crate::kernels::latest::may_be_latest;
use crate::query::Type;
use crate::query::billing::money::{self, AMOUNT};
use crate::query::dimensions::{AD, meta_type};
use crate::query::prelude::*;

/// See the [module](self) for the question it answers.
#[derive(Debug)]
pub struct MetaSources;

impl Filtered for MetaSources {
    const TABLE: &'static Table = &sessions::TABLE;
    const FILTERS: &'static [Filter] = Filter::OF_SESSIONS;
}

/// The query's options.
#[derive(Args, Debug)]
pub struct Params {
    #[command(flatten)]
    days: DayRange,
    #[command(flatten)]
    filters: Filters<MetaSources>,
    #[command(flatten)]
    by: By,
    #[command(flatten)]
    conversions: Conversions,
}

/// Sessions that the ads and posts started.
pub const SESSIONS: &str = "sessions";
/// People in them.
pub const USERS: &str = "users";
/// Average duration of finished sessions.
pub const AVG_DURATION_SECONDS: &str = "avg_duration_seconds";
/// Amount spent on the ads.
pub const COST: &str = "spend";
/// Currency of the spend; several are joined by `+`.
pub const COST_CURRENCY: &str = "spend_currency";
/// Conversions of the sessions.
pub const CONVERSIONS: &str = "conversions";
/// Revenue of the conversions.
pub const REVENUE: &str = "revenue";
/// Currency of the revenue; several are joined by `+`.
pub const REVENUE_CURRENCY: &str = "revenue_currency";
/// Spend per session, in the currency of the spend.
pub const COST_PER_SESSION: &str = "cost_per_session";
/// Return on ad spend: revenue per unit of spend, if both are in one currency.
pub const ROAS: &str = "roas";
/// Sessions that ads started, of the clicks on the ads.
pub const CHAT_RATE_PCT: &str = "chat_rate_pct";

const DURATION: &str = "duration";
const FINISHED: &str = "finished_sessions";
const KNOWN_CONVERSIONS: &str = "known_conversions";
/// Sessions that ads started.
const AD_SESSIONS: &str = "ad_sessions";
/// The counts of ads, each with the number of rows that have it.
const COUNTS: [[&str; 2]; 2] = [[IMPRESSIONS, "known_impressions"], [CLICKS, "known_clicks"]];

impl Query for MetaSources {
    type Params = Params;

    const SPEC: Spec = Spec {
        name: "meta-sources",
        title: "Sessions that ads and posts start, and what they earn",
        question: "Which ads and posts start sessions, how long do these last, and what do they \
                   earn? Each ad or post, or each group of `--by`, with its sessions, spend, \
                   conversions and revenue; filters choose the sessions only.",
        reads: &[&sessions::TABLE, &ad_spend::TABLE, &conversions::TABLE, &audience_tags::TABLE],
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
            OutputColumn::count(IMPRESSIONS),
            OutputColumn::count(CLICKS),
            OutputColumn::pct(CHAT_RATE_PCT),
        ],
        key: &[META_SOURCE_TYPE, META_SOURCE_ID],
        order: &[Order::Descending(SESSIONS)],
        example: &["--from", "2025-06-01", "--to", "2025-06-30", "--event", "purchase"],
        sql: include_str!("twin.sql"),
    };

    const BEHIND: Option<Behind<Self>> = Some(Behind {
        table: &sessions::TABLE,
        // Those of all dimensions; an answer has those of its own.
        cells: &[
            META_SOURCE_TYPE,
            META_SOURCE_ID,
            "day",
            "week",
            "month",
            CAMPAIGN_ID,
            CAMPAIGN_NAME,
            AD_SET_ID,
            AD_SET_NAME,
            AD_NAME,
            LINE_WHATSAPP_NUMBER,
            COUNTRY,
            EVENT,
        ],
        counts: &[SESSIONS, FINISHED],
        id: &[SESSION_ID],
        rows: |tables, params| {
            let mut brought = brought(tables, params);
            if params.by.has(Split::Event) {
                brought = with_events(brought, tables, params)?;
            }
            let is_finished = col(SESSION_FINISHED_TIMESTAMP).is_not_null();
            Ok(brought.with_columns([lit(true).alias(SESSIONS), is_finished.alias(FINISHED)]))
        },
        sql: include_str!("people.sql"),
    });

    fn behind(params: &Params) -> Option<Behind<Self>> {
        let sql = if params.by.has(Split::Event) {
            include_str!("people_by_event.sql")
        } else {
            include_str!("people.sql")
        };
        Self::BEHIND.map(|behind| Behind { sql, ..behind })
    }

    fn resolve(params: &mut Params, defaults: &Defaults) -> Result<Timeframe, UsageError> {
        params.days.resolve(defaults)
    }

    fn reads(params: &Params) -> Vec<&'static Table> {
        Self::SPEC.reads_for(&[&params.filters])
    }

    fn shape(params: &Params) -> Shape {
        let is_of_source = |column: &&OutputColumn| Split::Source.columns().contains(column);
        let measures = Self::SPEC.columns.iter().filter(|column| !is_of_source(column));
        Shape {
            columns: params.by.columns().into_iter().chain(measures.copied()).collect(),
            key: params.by.key(),
            order: params.by.order(),
            ..Shape::of(&Self::SPEC)
        }
    }

    fn plan(tables: &Tables, params: &Params) -> PolarsResult<LazyFrame> {
        let keys = params.by.names();
        let has_headlines = params.by.has(Split::Source);
        let of_headlines = [META_SOURCE_HEADLINE, SESSION_ID, SESSION_STARTED_TIMESTAMP];
        let mut columns = keys.clone();
        columns.extend([
            col(SESSION_KEY),
            col(USER_KEY),
            col(SESSION_FINISHED_TIMESTAMP),
            session_duration().alias(DURATION),
            meta_type().eq(lit(AD)).alias(AD_SESSIONS),
        ]);
        columns.extend(of_headlines.into_iter().filter(|_| has_headlines).map(col));
        let mut groups = Groups::of(brought(tables, params).select(columns), keys.clone());
        if has_headlines {
            groups = groups.measured(headlines);
        }
        let earned = earned(tables, params)?;
        let event = params.by.has(Split::Event).then_some(EVENT);
        let counted = groups
            // A group with several events has several rows from here on.
            .measured(|brought, group| {
                let groups: Vec<&str> = [group].into_iter().chain(event).collect();
                converted(brought, earned, &groups)
            })
            .users(USERS)
            .quantiles_seconds(DURATION, [("median_duration_seconds", 0.5)])
            .agg([
                rows().alias(SESSIONS),
                col(SESSION_FINISHED_TIMESTAMP).count().alias(FINISHED),
                average_seconds(DURATION).alias(AVG_DURATION_SECONDS),
                rows_where(col(AD_SESSIONS)).alias(AD_SESSIONS),
            ]);
        let groups = match spend(tables, params) {
            Some(spend) => {
                let full = JoinArgs {
                    coalesce: JoinCoalesce::CoalesceColumns,
                    nulls_equal: true,
                    ..JoinArgs::new(JoinType::Full)
                };
                counted.join(spend, &keys, &keys, full)
            }
            None => counted.with_columns([
                unknown(COST, Type::Money),
                unknown(COST_CURRENCY, Type::Text),
                unknown(IMPRESSIONS, Type::Integer),
                unknown(CLICKS, Type::Integer),
            ]),
        };
        let counts = [SESSIONS, USERS, FINISHED, CONVERSIONS, AD_SESSIONS];
        let groups = groups.with_columns(counts.map(|count| col(count).fill_null(lit(0))));
        let conversions = tables.scan(&conversions::TABLE);
        let any = conversions.select([col(CONVERTED_AT).count().alias(KNOWN_CONVERSIONS)]);
        Ok(groups.cross_join(any, None).with_columns([
            ratio(col(COST), col(SESSIONS)).alias(COST_PER_SESSION),
            roas().alias(ROAS),
            share_pct(col(AD_SESSIONS), col(CLICKS)).alias(CHAT_RATE_PCT),
        ]))
    }

    fn bind(params: &Params) -> Bindings {
        let bindings = params.days.bind_dates(params.days.bind(Bindings::new()));
        let bindings = params.conversions.bind(params.filters.bind(bindings));
        slots::bind(&params.by, bindings)
    }
}

/// The sessions that count, with the columns that they are grouped by.
fn brought(tables: &Tables, params: &Params) -> LazyFrame {
    let sessions = params.days.scan(tables, &sessions::TABLE);
    let sessions = params.filters.of(sessions, tables).filter(col(META_SOURCE_ID).is_not_null());
    params.by.split(sessions, tables, params.days.timezone())
}

/// Sessions with the column `event`: a row for each event among the conversions of their group, or one with
/// null.
fn with_events(brought: LazyFrame, tables: &Tables, params: &Params) -> PolarsResult<LazyFrame> {
    let keys = params.by.names();
    let on = [col(SESSION_KEY)];
    let conversions = params.conversions.attributed(tables, &[EVENT])?;
    let events = brought
        .clone()
        .join(conversions, &on, &on, JoinArgs::new(JoinType::Inner))
        .select([&keys[..], &[col(EVENT)]].concat())
        .unique(None, UniqueKeepStrategy::Any);
    let left = JoinArgs { nulls_equal: true, ..JoinArgs::new(JoinType::Left) };
    Ok(brought.join(events, &keys, &keys, left))
}

/// The conversions of sessions, by `session_key`: their number, value and currency; one by one with their
/// event if that is asked for.
fn earned(tables: &Tables, params: &Params) -> PolarsResult<LazyFrame> {
    if !params.by.has(Split::Event) {
        return params.conversions.by_currency(tables);
    }
    let conversions = params.conversions.attributed(tables, &[EVENT, VALUE, CURRENCY])?;
    // Polars takes a literal of any integer type for an Int32.
    Ok(conversions.with_column(lit(1).cast(DataType::Int64).alias(CONVERSIONS)))
}

/// The number of conversions of each group, and their revenue. The first of the columns that make groups is of
/// sessions, the others are of conversions.
fn converted(brought: LazyFrame, earned: LazyFrame, groups: &[&str]) -> LazyFrame {
    let on = [col(SESSION_KEY)];
    let sessions = brought.select([col(groups[0]), col(SESSION_KEY)]);
    let earned = sessions.join(earned, &on, &on, JoinArgs::new(JoinType::Inner));
    let groups: Vec<Expr> = groups.iter().map(|name| col(*name)).collect();
    let names = [col(AMOUNT).alias(REVENUE), col(CURRENCY).alias(REVENUE_CURRENCY)];
    money::summed_with(earned, &groups, VALUE, &[CONVERSIONS])
        .select([&groups[..], &[col(CONVERSIONS)], &names].concat())
}

/// The spend, impressions and clicks of ads in the range, by the columns of groups; `None` if ads do not have
/// these.
fn spend(tables: &Tables, params: &Params) -> Option<LazyFrame> {
    let keys = params.by.names();
    let mut columns = vec![DAY, CURRENCY, SPEND, IMPRESSIONS, CLICKS];
    let by = &params.by;
    if by.has(Split::Source) || by.has(Split::Ad) || !by.named().is_empty() {
        columns.push(AD_ID);
    }
    let columns: Vec<Expr> = columns.into_iter().map(col).collect();
    let spend = params.days.scan_dates(tables, &ad_spend::TABLE).select(columns);
    let known = COUNTS.map(|[count, known]| col(count).is_not_null().alias(known));
    let spend = params.by.split_spend(spend, tables)?.with_columns(known);
    let names = [col(AMOUNT).alias(COST), col(CURRENCY).alias(COST_CURRENCY)];
    let counts = COUNTS.map(|[count, known]| {
        when(col(known).gt(lit(0))).then(col(count)).otherwise(lit(Null {})).alias(count)
    });
    let sums = money::summed_with(spend, &keys, SPEND, COUNTS.as_flattened());
    Some(sums.select([&keys[..], &names, &counts].concat()))
}

/// A column of nulls.
fn unknown(name: &str, of: Type) -> Expr {
    lit(Null {}).cast(of.data_type()).alias(name)
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

/// The headline of each group: that of its latest session with one. Of two sessions at one instant the one with
/// the greater id counts.
fn headlines(brought: LazyFrame, group: &'static str) -> LazyFrame {
    let latest_last = [SESSION_STARTED_TIMESTAMP, SESSION_ID].map(col);
    let headline = col(META_SOURCE_HEADLINE);
    // Filters may be joined into one, so the latest session is that among those with a headline here, too.
    let named_at = when(headline.clone().is_not_null())
        .then(col(SESSION_STARTED_TIMESTAMP))
        .otherwise(lit(Null {}));
    brought
        .filter(may_be_latest(col(group), named_at))
        .group_by([col(group)])
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
        let spend = df![AD_ID => ["1"], DAY => [20_000], CURRENCY => ["USD"], SPEND => [5]]
            .unwrap()
            .lazy()
            .with_columns([
                col(DAY).cast(DataType::Date),
                col(DAY).cast(DataType::Date).alias(UTC_DAY),
                col(SPEND).cast(DataType::Decimal(18, 6)),
                unknown(IMPRESSIONS, Type::Integer),
                unknown(CLICKS, Type::Integer),
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
