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
//! A rate applies if it is of the unit's category, holds on its date and begins at or below its number:
//! its number in the market for a rate of a market, in the country for any other. Among such rates those
//! of the unit's country win over those of its market, and these over those of any country, then the
//! latest, then the one with the highest tier. So, among the rates of a country and of any, each covers
//! the numbers from its own tier to the lowest tier of any rate that wins over it, and each unit matches
//! one such interval; likewise among the rates of a market.

use polars::prelude::{
    Column, DataFrame, DataType, Expr, Field, FillNullStrategy, IdxSize, IntoLazy, JoinArgs,
    JoinType, LazyFrame, Null, PolarsResult, SortMultipleOptions, UInt32Chunked, UnionArgs,
    UniqueKeepStrategy, col, concat, concat_str, lit, when,
};
use wabalake_data::reference::markets as reference;
use wabalake_data::tables::CURRENCY;
use wabalake_data::tables::markets::{self, VALID_FROM};
use wabalake_data::tables::rates::{
    self, CATEGORY, COUNTRY, EFFECTIVE_FROM, MARKET, PRICE, TIER_FROM,
};

use crate::kernels::alike::{ALIKE, brought, of_alike, with_alike, with_struct};
use crate::kernels::ordinals::{PLACE, count_until};
use crate::kernels::{dictionary, grown};
use crate::query::Type;
use crate::query::sql::{Bindings, SqlLiteral as _};
use crate::query::tables::Tables;

/// The column of the local date of a unit.
pub const DATED: &str = "dated";

/// The column of the number of a unit among those of its month, country and category, from 1.
pub const NUMBER: &str = "number";

/// The column of the number of a unit among those of its month, market and category, from 1.
pub const MARKET_NUMBER: &str = "market_number";

/// The column of the tier: `LOWER:UPPER`, the numbers that a rate is for.
pub const TIER: &str = "tier";

/// The date from which a set of rates and markets holds.
const ERA: &str = "era";
/// The country or market whose rates a unit is priced by; null for rates of any country.
const CARD: &str = "card";
/// The precedence of a rate; the highest wins.
const RANK: &str = "rank";
const EVERY: &str = "every";
const FROM: &str = "from_number";
const UNTIL: &str = "until_number";

/// The rank of no rate.
const NONE: i32 = 0;
/// The rank of a rate of any country.
const OF_ANY: i32 = 1;
/// The rank of a rate of the unit's own country or market.
const OWN: i32 = 2;

/// Adds to units the market of their country on their date: the first step of [`priced`].
///
/// Units have [`DATED`] and a country.
pub fn in_markets(units: LazyFrame, tables: &Tables) -> LazyFrame {
    let added = [(ERA, DataType::Date), (MARKET, DataType::String)];
    let added = added.map(|(name, of)| Field::new(name.into(), of)).to_vec();
    let tables = tables.clone();
    with_alike(units, &[COUNTRY, DATED], added, move |countries| {
        let eras = eras(&tables)?;
        let left = || JoinArgs::new(JoinType::Left);
        let nulls_too = JoinArgs { nulls_equal: true, ..left() };
        let at = [col(COUNTRY), col(ERA)];
        let market = col(MARKET).fill_null(lit(reference::OTHER));
        let market = when(col(COUNTRY).is_null()).then(lit(Null {})).otherwise(market);
        Ok(countries
            .clone()
            .join(calendar(countries, eras.clone())?, [col(DATED)], [col(DATED)], left())
            .join(markets_of_eras(&tables, eras)?, &at, &at, nulls_too)
            .with_column(market.alias(MARKET)))
    })
}

/// Adds the columns [`NUMBER`] and [`MARKET_NUMBER`] to units, which have their [`PLACE`] in the order of time: the
/// second step of [`priced`].
///
/// Units have a country, a market and a lower-case [`CATEGORY`]. Those that pass the predicate are
/// counted; others get the number `otherwise`.
pub fn numbered(units: LazyFrame, counted: Expr, otherwise: i64, month: &str) -> LazyFrame {
    let number = |scope: &str| {
        let group = dictionary::number(&[col(scope), col(CATEGORY), col(month)]);
        let number = count_until(col(PLACE), group, counted.clone());
        when(counted.clone()).then(number).otherwise(lit(otherwise))
    };
    units.with_columns([number(COUNTRY).alias(NUMBER), number(MARKET).alias(MARKET_NUMBER)])
}

/// Adds to units their [`PRICE`], `currency` and [`TIER`]; null if no rate applies.
///
/// Units have what [`in_markets`] and [`numbered`] add.
pub fn priced(units: LazyFrame, tables: &Tables) -> LazyFrame {
    const OF: [&str; 4] = [COUNTRY, MARKET, CATEGORY, ERA];
    let added =
        [(PRICE, Type::Money.data_type()), (CURRENCY, DataType::String), (TIER, DataType::String)];
    let added = added.map(|(name, of)| Field::new(name.into(), of)).to_vec();
    let (tables, fields) = (tables.clone(), added.clone());
    let columns = OF.into_iter().chain([NUMBER, MARKET_NUMBER]).map(col);
    with_struct(units, columns, added, move |columns| {
        let (of, counts) = columns.split_at(OF.len());
        let (numbers, offers) = of_alike(of, &OF, |units| offers(units, &tables))?;
        brought(&offers, &chosen(&numbers, &offers, counts)?, &fields)
    })
}

/// The numbers that a rate is for, those in a country and those in a market, each from the first to the one before the
/// second.
type Covered = [(i64, i64); 2];

/// The place of the offer that applies to each unit, given the number of its combination and its own numbers.
fn chosen(
    alike: &UInt32Chunked,
    offers: &DataFrame,
    counts: &[Column],
) -> PolarsResult<Vec<Option<IdxSize>>> {
    let bounds = [FROM, UNTIL, of_market(FROM).as_str(), of_market(UNTIL).as_str()]
        .map(|name| PolarsResult::Ok(offers.column(name)?.i64()?.clone()));
    let [from, until, market_from, market_until] = bounds;
    let bounds = [(from?, until?), (market_from?, market_until?)];
    let mut of_alike: Vec<Vec<(IdxSize, Covered)>> = Vec::new();
    for (place, number) in (0..).zip(offers.column(ALIKE)?.u32()?.iter().flatten()) {
        // Without a rate, all numbers are covered.
        let covered = bounds.each_ref().map(|(from, until)| {
            let place = place as usize;
            from.get(place).zip(until.get(place)).unwrap_or((i64::MIN, i64::MAX))
        });
        grown(&mut of_alike, number).push((place, covered));
    }
    let (in_country, in_market) = (counts[0].i64()?.iter(), counts[1].i64()?.iter());
    let units = alike.iter().zip(in_country).zip(in_market);
    let places = units.map(|((alike, in_country), in_market)| {
        let numbers = [in_country?, in_market?];
        let applies = |covered: &Covered| {
            covered
                .iter()
                .zip(numbers)
                .all(|((from, until), number)| (*from..*until).contains(&number))
        };
        let offers = of_alike.get(alike? as usize)?;
        offers.iter().find(|(_, covered)| applies(covered)).map(|(place, _)| *place)
    });
    Ok(places.collect())
}

/// The rates of each of some combinations of country, market, category and era, with the numbers for which each
/// applies: those in the country and those in the market.
fn offers(units: LazyFrame, tables: &Tables) -> PolarsResult<LazyFrame> {
    let (rates, eras) = (with_tiers(tables.scan(&rates::TABLE))?, eras(tables)?);
    let of_markets = rates.clone().filter(col(MARKET).is_not_null());
    let rates = rates.filter(col(MARKET).is_null());
    let countries = rates
        .clone()
        .filter(col(COUNTRY).is_not_null())
        .select([col(COUNTRY), col(CATEGORY), col(COUNTRY).alias(CARD)])
        .unique(None, UniqueKeepStrategy::Any);
    let by_country = intervals(ranked(rates, eras.clone(), countries.clone())?)?;
    let by_market = holding(of_markets, eras)
        .with_columns([col(MARKET).alias(CARD), lit(OWN).alias(RANK)])
        .select(RANKED.map(col));
    let renamed = |name: &str| col(name).alias(of_market(name));
    let by_market = intervals(by_market)?.select(
        [col(CARD).alias(MARKET), col(CATEGORY), col(ERA)]
            .into_iter()
            .chain([FROM, UNTIL, PRICE, CURRENCY, TIER].map(renamed))
            .collect::<Vec<_>>(),
    );

    let of_country = [col(COUNTRY), col(CATEGORY)];
    let of_card = [col(CARD), col(CATEGORY), col(ERA)];
    let in_market = [col(MARKET), col(CATEGORY), col(ERA)];
    let left = || JoinArgs::new(JoinType::Left);
    let nulls_too = || JoinArgs { nulls_equal: true, ..left() };
    let is_of_market = col(RANK).fill_null(lit(NONE)).lt(lit(OWN));
    let is_of_market = is_of_market.and(col(of_market(TIER)).is_not_null());
    let chosen = [PRICE, CURRENCY, TIER].map(|name| {
        when(is_of_market.clone()).then(col(of_market(name))).otherwise(col(name)).alias(name)
    });
    Ok(units
        .join(countries, &of_country, &of_country, nulls_too())
        .join(by_country, &of_card, &of_card, nulls_too())
        // Rates of a market name one, so a unit without a market matches none.
        .join(by_market, &in_market, &in_market, nulls_too())
        .with_columns(chosen))
}

/// The name of a column of the rate of a unit's market.
fn of_market(column: &str) -> String {
    format!("market_{column}")
}

/// Binds the slot of the SQL fragment `{markets}`.
pub fn bind(bindings: Bindings) -> Bindings {
    let line = |market: reference::Market| {
        let name = market.name.literal();
        format!("({name}, DATE '{}', '{}')", market.valid_from, market.countries)
    };
    let lines: Vec<String> = reference::all().map(line).collect();
    bindings.slot("built_in_markets", lines.join(",\n        "))
}

/// The units that the SQL fragment `{rate_of_unit}` finds rates for.
#[derive(Debug)]
pub(super) struct UnitsSql {
    /// The relation of the numbered units, which have their date, country and market.
    pub(super) numbered: &'static str,
    /// The columns that tell units apart.
    pub(super) unit: &'static str,
    /// The category of a unit.
    pub(super) category: &'static str,
    /// The relation of the rates.
    pub(super) card: &'static str,
}

impl UnitsSql {
    /// Fills the slots of `{rate_of_unit}` and `{markets}`.
    pub(super) fn bind(&self, bindings: Bindings) -> Bindings {
        bind(bindings)
            .slot("numbered", self.numbered.to_owned())
            .slot("unit", self.unit.to_owned())
            .slot("category_of_unit", self.category.to_owned())
            .slot("card", self.card.to_owned())
    }
}

/// The dates on which rates or markets change, in [`ERA`].
fn eras(tables: &Tables) -> PolarsResult<LazyFrame> {
    let of_rates = tables.scan(&rates::TABLE).select([col(EFFECTIVE_FROM).alias(ERA)]);
    let of_markets = all_markets(tables)?.select([col(VALID_FROM).alias(ERA)]);
    let eras = concat([of_rates, of_markets], UnionArgs::default())?;
    Ok(eras.unique(None, UniqueKeepStrategy::Any))
}

/// The built-in markets and the loaded ones, which replace those of the same country and date.
fn all_markets(tables: &Tables) -> PolarsResult<LazyFrame> {
    let columns = [COUNTRY, MARKET, VALID_FROM].map(col);
    let own = tables.scan(&markets::TABLE).select(&columns);
    let key = [col(COUNTRY), col(VALID_FROM)];
    let anti = JoinArgs::new(JoinType::Anti);
    let built_in = built_in()?.lazy().join(own.clone(), &key, &key, anti);
    concat([built_in.select(&columns), own], UnionArgs::default())
}

/// The built-in markets, a row for each country and date.
fn built_in() -> PolarsResult<DataFrame> {
    let rows = reference::all().flat_map(|market| {
        let day = market.valid_from.to_epoch_days();
        market.countries.split(' ').map(move |country| (country, market.name, day))
    });
    let (countries, rest): (Vec<&str>, Vec<(&str, i32)>) =
        rows.map(|(country, market, day)| (country, (market, day))).unzip();
    let (names, days): (Vec<&str>, Vec<i32>) = rest.into_iter().unzip();
    let columns = vec![
        Column::new(COUNTRY.into(), countries),
        Column::new(MARKET.into(), names),
        Column::new(VALID_FROM.into(), days).cast(&DataType::Date)?,
    ];
    DataFrame::new(columns[0].len(), columns)
}

/// The market of each country in each era, if a row names one.
fn markets_of_eras(tables: &Tables, eras: LazyFrame) -> PolarsResult<LazyFrame> {
    let began = col(VALID_FROM).lt_eq(col(ERA));
    Ok(each_with_each(all_markets(tables)?, eras)
        .filter(began)
        .group_by([col(COUNTRY), col(ERA)])
        .agg([col(MARKET).max_by(col(VALID_FROM))]))
}

/// The rate card, each rate with its tier.
fn with_tiers(rates: LazyFrame) -> PolarsResult<LazyFrame> {
    let next =
        col(TIER_FROM).shift(lit(-1)).over([EFFECTIVE_FROM, COUNTRY, MARKET, CATEGORY].map(col))?;
    let text = |number: Expr| number.cast(DataType::String);
    let upper = when(next.clone().is_null()).then(lit("MAX")).otherwise(text(next - lit(1_i64)));
    let tier = concat_str([text(col(TIER_FROM)), upper], ":", false);
    let what = [EFFECTIVE_FROM, COUNTRY, MARKET, CATEGORY, TIER_FROM, CURRENCY].map(col);
    let price = col(PRICE).cast(Type::Money.data_type());
    let rates = rates
        .select([&what[..], &[price]].concat())
        .sort([TIER_FROM], SortMultipleOptions::default());
    Ok(rates.with_column(tier.alias(TIER)))
}

/// The intervals of numbers that each of some ranked rates covers, by card, category and era, without
/// gaps: an interval without a rate has nulls.
fn intervals(rates: LazyFrame) -> PolarsResult<LazyFrame> {
    let highest_first =
        SortMultipleOptions::default().with_order_descending(true).with_nulls_last(true);
    let lowest_before = col(TIER_FROM)
        .cum_min(false)
        .shift(lit(1))
        .over([col(CARD), col(CATEGORY), col(ERA)])?
        .fill_null(lit(i64::MAX));
    let none = without_rate(rates.clone());
    Ok(concat([rates, none], UnionArgs::default())?
        .sort([RANK, EFFECTIVE_FROM, TIER_FROM], highest_first)
        .with_column(lowest_before.alias(UNTIL))
        .filter(col(TIER_FROM).lt(col(UNTIL)))
        .select([
            col(CARD),
            col(CATEGORY),
            col(ERA),
            col(RANK),
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

/// Each rate of a country or any in each era in which it holds: under its own country, or under every
/// country and none if it is of any country.
fn ranked(rates: LazyFrame, eras: LazyFrame, countries: LazyFrame) -> PolarsResult<LazyFrame> {
    let columns = RANKED.map(col);
    let holding = holding(rates, eras);
    let own = holding
        .clone()
        .filter(col(COUNTRY).is_not_null())
        .with_columns([col(COUNTRY).alias(CARD), lit(OWN).alias(RANK)])
        .select(&columns);
    let of_any = holding
        .filter(col(COUNTRY).is_null())
        .with_columns([col(COUNTRY).alias(CARD), lit(OF_ANY).alias(RANK)])
        .select(&columns);
    let countries = countries.select([col(CARD), col(CATEGORY)]);
    let inherited = of_any
        .clone()
        .select(&columns[1..])
        .inner_join(countries, col(CATEGORY), col(CATEGORY))
        .select(&columns);
    concat([own, inherited, of_any], UnionArgs::default())
}

/// Each rate in each era in which it holds.
fn holding(rates: LazyFrame, eras: LazyFrame) -> LazyFrame {
    each_with_each(rates, eras).filter(col(EFFECTIVE_FROM).lt_eq(col(ERA)))
}

/// All pairs of rows of two small frames. A cross join with a filter would become an inequality join,
/// which the streaming engine does not support.
fn each_with_each(left: LazyFrame, right: LazyFrame) -> LazyFrame {
    let every = |rows: LazyFrame| rows.with_column(lit(true).alias(EVERY));
    every(left).inner_join(every(right), col(EVERY), col(EVERY))
}

/// A rate of nulls with the lowest precedence for each card, category and era.
fn without_rate(rates: LazyFrame) -> LazyFrame {
    let null = |of: DataType| lit(Null {}).cast(of);
    rates
        .select([col(CARD), col(CATEGORY), col(ERA)])
        .unique(None, UniqueKeepStrategy::Any)
        .with_columns([
            lit(NONE).alias(RANK),
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
