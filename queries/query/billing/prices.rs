//! The join of units (conversations or delivered messages) with the rate card.
//!
//! ```text
//! rate                                  applies to the 60th utility unit of June in Mexico
//! any country, from January, tier 0     no: Mexico has a rate of its own
//! MX, from January, tier 51             yes: 0.0095, tier 51:100
//! MX, from January, tier 101            no: 101 is more than 60
//! MX, from July,    tier 0              no: July is after June
//! ```
//!
//! A rate applies if it is of the unit's category, holds on its date and begins at or below its number.
//! Among such rates those of the unit's country win over those of any country, then the latest, then the
//! one with the highest tier. So each rate covers the numbers from its own tier to the lowest tier of
//! any rate that wins over it, and each unit matches one such interval.

use polars::prelude::{
    DataType, Expr, FillNullStrategy, JoinArgs, JoinType, LazyFrame, Null, PolarsResult,
    SortMultipleOptions, UnionArgs, UniqueKeepStrategy, col, concat, concat_str, lit, when,
};
use wabalake_data::tables::CURRENCY;
use wabalake_data::tables::rates::{self, CATEGORY, COUNTRY, EFFECTIVE_FROM, PRICE, TIER_FROM};

use crate::query::Type;
use crate::query::tables::Tables;

/// The column of the local date of a unit.
pub const DATED: &str = "dated";

/// The column of the number of a unit within its month, country and category, from 1.
pub const NUMBER: &str = "number";

/// The column of the tier: `LOWER:UPPER`, the numbers that a rate is for.
pub const TIER: &str = "tier";

/// The date from which a set of rates holds.
const ERA: &str = "era";
/// The country whose rates a unit is priced by; null for rates of any country.
const CARD: &str = "card";
/// The precedence of a rate; the highest wins.
const RANK: &str = "rank";
const EVERY: &str = "every";
const FROM: &str = "from_number";
const UNTIL: &str = "until_number";

/// Adds to units their [`PRICE`], `currency` and [`TIER`]; null if no rate applies.
///
/// Units have [`DATED`], a country, a lower-case [`CATEGORY`] and [`NUMBER`]. `dates` has every date of
/// a unit, and may have others.
///
/// # Errors
/// Those of building a plan.
pub fn priced(units: LazyFrame, dates: LazyFrame, tables: &Tables) -> PolarsResult<LazyFrame> {
    let rates = with_tiers(tables.scan(&rates::TABLE))?;
    let eras = rates.clone().select([col(EFFECTIVE_FROM).alias(ERA)]);
    let eras = eras.unique(None, UniqueKeepStrategy::Any);
    let countries = rates
        .clone()
        .filter(col(COUNTRY).is_not_null())
        .select([col(COUNTRY), col(CATEGORY), col(COUNTRY).alias(CARD)])
        .unique(None, UniqueKeepStrategy::Any);
    let intervals = intervals(rates, eras.clone(), countries.clone())?;

    let (of_country, of_card) =
        ([col(COUNTRY), col(CATEGORY)], [col(CARD), col(CATEGORY), col(ERA)]);
    let left = || JoinArgs::new(JoinType::Left);
    let nulls_too = || JoinArgs { nulls_equal: true, ..left() };
    let reached = col(FROM).lt_eq(col(NUMBER)).and(col(NUMBER).lt(col(UNTIL)));
    Ok(units
        .join(calendar(dates, eras)?, [col(DATED)], [col(DATED)], left())
        .join(countries, &of_country, &of_country, nulls_too())
        .join(intervals, &of_card, &of_card, nulls_too())
        .filter(col(FROM).is_null().or(reached)))
}

/// The rate card, each rate with its tier.
fn with_tiers(rates: LazyFrame) -> PolarsResult<LazyFrame> {
    let next =
        col(TIER_FROM).shift(lit(-1)).over([col(EFFECTIVE_FROM), col(COUNTRY), col(CATEGORY)])?;
    let text = |number: Expr| number.cast(DataType::String);
    let upper = when(next.clone().is_null()).then(lit("MAX")).otherwise(text(next - lit(1_i64)));
    let tier = concat_str([text(col(TIER_FROM)), upper], ":", false);
    let what = [EFFECTIVE_FROM, COUNTRY, CATEGORY, TIER_FROM, CURRENCY].map(col);
    let price = col(PRICE).cast(Type::Money.data_type());
    let rates = rates
        .select([&what[..], &[price]].concat())
        .sort([TIER_FROM], SortMultipleOptions::default());
    Ok(rates.with_column(tier.alias(TIER)))
}

/// The intervals of numbers that each rate covers, by card, category and era, without gaps: an interval
/// without a rate has nulls.
fn intervals(rates: LazyFrame, eras: LazyFrame, countries: LazyFrame) -> PolarsResult<LazyFrame> {
    let highest_first =
        SortMultipleOptions::default().with_order_descending(true).with_nulls_last(true);
    let lowest_before = col(TIER_FROM)
        .cum_min(false)
        .shift(lit(1))
        .over([col(CARD), col(CATEGORY), col(ERA)])?
        .fill_null(lit(i64::MAX));
    let rates = ranked(rates, eras, countries)?;
    let none = without_rate(rates.clone());
    Ok(concat([rates, none], UnionArgs::default())?
        .sort([RANK, EFFECTIVE_FROM, TIER_FROM], highest_first)
        .with_column(lowest_before.alias(UNTIL))
        .filter(col(TIER_FROM).lt(col(UNTIL)))
        .select([
            col(CARD),
            col(CATEGORY),
            col(ERA),
            col(TIER_FROM).alias(FROM),
            col(UNTIL),
            col(PRICE),
            col(CURRENCY),
            col(TIER),
        ]))
}

/// The columns of a rate with its precedence.
const RANKED: [&str; 9] =
    [CARD, CATEGORY, ERA, RANK, EFFECTIVE_FROM, TIER_FROM, PRICE, CURRENCY, TIER];

/// Each rate in each era in which it holds: under its own country, or under every country and none if it
/// is of any country.
fn ranked(rates: LazyFrame, eras: LazyFrame, countries: LazyFrame) -> PolarsResult<LazyFrame> {
    let columns = RANKED.map(col);
    // Rates and eras are few. A cross join with this filter would become an inequality join, which the
    // streaming engine does not support.
    let every = |rows: LazyFrame| rows.with_column(lit(true).alias(EVERY));
    let holding = every(rates)
        .inner_join(every(eras), col(EVERY), col(EVERY))
        .filter(col(EFFECTIVE_FROM).lt_eq(col(ERA)));
    let own = holding
        .clone()
        .filter(col(COUNTRY).is_not_null())
        .with_columns([col(COUNTRY).alias(CARD), lit(2).alias(RANK)])
        .select(&columns);
    let of_any = holding
        .filter(col(COUNTRY).is_null())
        .with_columns([col(COUNTRY).alias(CARD), lit(1).alias(RANK)])
        .select(&columns);
    let countries = countries.select([col(CARD), col(CATEGORY)]);
    let inherited = of_any
        .clone()
        .select(&columns[1..])
        .inner_join(countries, col(CATEGORY), col(CATEGORY))
        .select(&columns);
    concat([own, inherited, of_any], UnionArgs::default())
}

/// A rate of nulls with the lowest precedence for each card, category and era.
fn without_rate(rates: LazyFrame) -> LazyFrame {
    let null = |of: DataType| lit(Null {}).cast(of);
    rates
        .select([col(CARD), col(CATEGORY), col(ERA)])
        .unique(None, UniqueKeepStrategy::Any)
        .with_columns([
            lit(0).alias(RANK),
            null(DataType::Date).alias(EFFECTIVE_FROM),
            lit(i64::MIN).alias(TIER_FROM),
            null(Type::Money.data_type()).alias(PRICE),
            null(DataType::String).alias(CURRENCY),
            null(DataType::String).alias(TIER),
        ])
        .select(RANKED.map(col))
}

/// Each date with its era; null before the first.
fn calendar(dates: LazyFrame, eras: LazyFrame) -> PolarsResult<LazyFrame> {
    let of_no_era = lit(Null {}).cast(DataType::Date).alias(ERA);
    let dates = dates.select([col(DATED), of_no_era]);
    let begins = eras.select([col(ERA).alias(DATED), col(ERA)]);
    let days = concat([dates, begins], UnionArgs::default())?
        .group_by([col(DATED)])
        .agg([col(ERA).max()])
        .sort([DATED], SortMultipleOptions::default());
    Ok(days.with_column(col(ERA).fill_null_with_strategy(FillNullStrategy::Forward(None))))
}
