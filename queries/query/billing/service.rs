//! Service messages by Meta's [rules](super::rules) alone, where no [window](super::entry_windows) makes them free.
//!
//! Their price depends on the country and the date, and has no tiers. So it is looked up once for each of these.

use polars::prelude::{
    DataType, Expr, Field, IntoLazy, JoinArgs, JoinType, LazyFrame, UniqueKeepStrategy, col, lit,
};
use wabalake_data::tables::CURRENCY;
use wabalake_data::tables::messages::COUNTRY;
use wabalake_data::tables::rates::{CATEGORY, PRICE};

use super::conversations::is_referral;
use super::prices::{self, DATED, MARKET_NUMBER, NUMBER};
use super::rules::PricingOptions;
use crate::kernels;
use crate::query::tables::Tables;
use crate::query::time::Span;
use crate::query::{ENGINE, Type};

/// Predicate: a delivered service message of an interval is numbered in its line and month, and charged beyond the
/// free ones.
pub fn is_numbered(options: &PricingOptions, within: Span) -> Expr {
    let is_charged = options.charges_answers(within);
    if options.has_entry_types() { is_charged.and(is_referral().not()) } else { is_charged }
}

/// Adds to units their [`PRICE`] and `currency` as service messages, in any order; null if no rate applies.
///
/// Units have a country and [`DATED`]. `charged` is a column that is true for those which need a price. Others
/// may have one, too.
pub fn priced(units: LazyFrame, charged: &'static str, tables: &Tables) -> LazyFrame {
    let fields = [(PRICE, Type::Money.data_type()), (CURRENCY, DataType::String)];
    let added = fields.map(|(name, of)| Field::new(name.into(), of)).to_vec();
    let tables = tables.clone();
    let name = format!("prices of service messages: {charged}");
    kernels::adding(units, name, added, move |units| {
        let of = [COUNTRY, DATED].map(col);
        let charged = units.clone().lazy().filter(col(charged)).select(&of);
        let charged = charged.unique(None, UniqueKeepStrategy::Any).collect()?.lazy();
        let without_tier = || lit(0).cast(DataType::Int64);
        let numbered = prices::in_markets(charged, &tables).with_columns([
            lit("service").alias(CATEGORY),
            without_tier().alias(NUMBER),
            without_tier().alias(MARKET_NUMBER),
        ]);
        let rates = prices::priced(numbered, &tables);
        let rates = rates.select([COUNTRY, DATED, PRICE, CURRENCY].map(col));
        let nulls_too = JoinArgs { nulls_equal: true, ..JoinArgs::new(JoinType::Left) };
        let priced = units.lazy().join(rates, &of, &of, nulls_too);
        Ok(priced.collect_with_engine(ENGINE)?.unwrap_single())
    })
}
