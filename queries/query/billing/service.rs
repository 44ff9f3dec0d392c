//! Service messages by Meta's [rules](super::rules) alone, where no [window](super::entry_windows) makes them free.
//!
//! Their price depends on the country and the date, and has no tiers. So it is looked up once for each of these.

use polars::prelude::{DataType, Expr, Field, LazyFrame, lit};
use wabalake_data::tables::CURRENCY;
use wabalake_data::tables::messages::COUNTRY;
use wabalake_data::tables::rates::{CATEGORY, PRICE};

use super::conversations::is_referral;
use super::prices::{self, DATED, MARKET_NUMBER, NUMBER};
use super::rules::PricingOptions;
use crate::kernels::alike::with_alike;
use crate::query::Type;
use crate::query::tables::Tables;
use crate::query::time::Span;

/// Predicate: a delivered service message of an interval is numbered in its line and month, and charged beyond the
/// free ones.
pub fn is_numbered(options: &PricingOptions, within: Span) -> Expr {
    let is_charged = options.charges_answers(within);
    if options.has_entry_types() { is_charged.and(is_referral().not()) } else { is_charged }
}

/// Adds to units their [`PRICE`] and `currency` as service messages; null if no rate applies.
///
/// Units have a country and [`DATED`].
pub fn priced(units: LazyFrame, tables: &Tables) -> LazyFrame {
    let added = [(PRICE, Type::Money.data_type()), (CURRENCY, DataType::String)];
    let added = added.map(|(name, of)| Field::new(name.into(), of)).to_vec();
    let tables = tables.clone();
    with_alike(units, &[COUNTRY, DATED], added, move |units| {
        let without_tier = || lit(0).cast(DataType::Int64);
        let numbered = prices::in_markets(units, &tables).with_columns([
            lit("service").alias(CATEGORY),
            without_tier().alias(NUMBER),
            without_tier().alias(MARKET_NUMBER),
        ]);
        Ok(prices::priced(numbered, &tables))
    })
}
