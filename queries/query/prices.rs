//! What a unit costs by the rate card: a conversation, or a delivered message.
//!
//! ```text
//! rate                                  of the 60th utility unit of June in Mexico it says
//! any country, from January, tier 0     nothing, since Mexico has rates of its own that reach it
//! MX, from January, tier 51             0.0095, tier 51:100
//! MX, from January, tier 101            nothing: 101 is more than 60
//! MX, from July,    tier 0              nothing: July is after June
//! ```
//!
//! Of the rates of a unit's category that hold on its date and begin at or below its number, those
//! of its country come before those of any country, then the latest, then the highest tier. So a
//! rate reaches from its own tier up to the lowest one that any rate before it begins at, and each
//! unit meets one stretch of numbers.

use polars::prelude::{
    DataType, Expr, FillNullStrategy, JoinArgs, JoinType, LazyFrame, Null, PolarsResult,
    SortMultipleOptions, UnionArgs, UniqueKeepStrategy, col, concat, concat_str, lit, when,
};
use wabalake_data::tables::CURRENCY;
use wabalake_data::tables::rates::{self, CATEGORY, COUNTRY, EFFECTIVE_FROM, PRICE, TIER_FROM};

use super::Type;
use super::tables::Tables;

/// The local date of a unit.
pub const DATED: &str = "dated";

/// Which of its month, country and category a unit is, from 1.
pub const NUMBER: &str = "number";

/// `LOWER:UPPER`, the units that a rate is for.
pub const TIER: &str = "tier";

/// The day from which on a set of rates holds.
const ERA: &str = "era";
/// Whose rates a unit is priced by; null for those of any country.
const SPEC: &str = "spec";
/// Which rates come first.
const RANK: &str = "rank";
const EVERY: &str = "every";
const FROM: &str = "from_number";
const UNTIL: &str = "until_number";

/// Units with their [`PRICE`], its currency and its [`TIER`], each null where no rate holds.
///
/// A unit has a [`DATED`], a country, a lower-case [`CATEGORY`] and a [`NUMBER`]; `dates` has a
/// row for each date of a unit at least.
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
        .select([col(COUNTRY), col(CATEGORY), col(COUNTRY).alias(SPEC)])
        .unique(None, UniqueKeepStrategy::Any);
    let stretches = stretches(rates, eras.clone(), countries.clone())?;

    let (of_country, of_card) =
        ([col(COUNTRY), col(CATEGORY)], [col(SPEC), col(CATEGORY), col(ERA)]);
    let left = || JoinArgs::new(JoinType::Left);
    let nulls_too = || JoinArgs { nulls_equal: true, ..left() };
    let reached = col(FROM).lt_eq(col(NUMBER)).and(col(NUMBER).lt(col(UNTIL)));
    Ok(units
        .join(calendar(dates, eras)?, [col(DATED)], [col(DATED)], left())
        .join(countries, &of_country, &of_country, nulls_too())
        .join(stretches, &of_card, &of_card, nulls_too())
        .filter(col(FROM).is_null().or(reached)))
}

/// The rates of a spec, each with its tier.
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

/// For each spec, category and era the numbers that each rate is for, without a gap: where none
/// is, all is null.
fn stretches(rates: LazyFrame, eras: LazyFrame, countries: LazyFrame) -> PolarsResult<LazyFrame> {
    let what = [SPEC, CATEGORY, ERA, RANK, EFFECTIVE_FROM, TIER_FROM, PRICE, CURRENCY, TIER];
    let what = what.map(col);
    // Each rate with each era from its own on: there are few of both. Of a cross join that is
    // filtered so, Polars makes a join by ranges, and then finds that it has none.
    let every = |rows: LazyFrame| rows.with_column(lit(true).alias(EVERY));
    let holding = every(rates)
        .inner_join(every(eras), col(EVERY), col(EVERY))
        .filter(col(EFFECTIVE_FROM).lt_eq(col(ERA)));
    let own = holding
        .clone()
        .filter(col(COUNTRY).is_not_null())
        .with_columns([col(COUNTRY).alias(SPEC), lit(2).alias(RANK)])
        .select(&what);
    let of_any = holding
        .filter(col(COUNTRY).is_null())
        .with_columns([col(COUNTRY).alias(SPEC), lit(1).alias(RANK)])
        .select(&what);
    let countries = countries.select([col(SPEC), col(CATEGORY)]);
    let inherited = of_any
        .clone()
        .select(&what[1..])
        .inner_join(countries, col(CATEGORY), col(CATEGORY))
        .select(&what);
    let rates = concat([own, inherited, of_any], UnionArgs::default())?;
    let none = rates
        .clone()
        .select([col(SPEC), col(CATEGORY), col(ERA)])
        .unique(None, UniqueKeepStrategy::Any)
        .with_columns([
            lit(0).alias(RANK),
            lit(Null {}).cast(DataType::Date).alias(EFFECTIVE_FROM),
            lit(i64::MIN).alias(TIER_FROM),
            lit(Null {}).cast(Type::Money.data_type()).alias(PRICE),
            lit(Null {}).cast(DataType::String).alias(CURRENCY),
            lit(Null {}).cast(DataType::String).alias(TIER),
        ])
        .select(&what);
    let first_come =
        SortMultipleOptions::default().with_order_descending(true).with_nulls_last(true);
    let lowest_before = col(TIER_FROM)
        .cum_min(false)
        .shift(lit(1))
        .over([col(SPEC), col(CATEGORY), col(ERA)])?
        .fill_null(lit(i64::MAX));
    Ok(concat([rates, none], UnionArgs::default())?
        .sort([RANK, EFFECTIVE_FROM, TIER_FROM], first_come)
        .with_column(lowest_before.alias(UNTIL))
        .filter(col(TIER_FROM).lt(col(UNTIL)))
        .select([
            col(SPEC),
            col(CATEGORY),
            col(ERA),
            col(TIER_FROM).alias(FROM),
            col(UNTIL),
            col(PRICE),
            col(CURRENCY),
            col(TIER),
        ]))
}

/// Each date with the era it lies in; null before the first.
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
