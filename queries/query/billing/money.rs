//! Sums of money in one or several currencies.
//!
//! ```text
//! amounts of a group              amount   currency
//! 10 COP, 5.5 COP                 15.5     COP
//! 10 COP, 2 USD                   null     COP+USD
//! 10 COP, 2 without a currency    null     ?+COP
//! 2 without a currency            2        null
//! none                            null     null
//! ```

use polars::prelude::{
    Column, DataType, Expr, Field, Float64Chunked, Int128Chunked, IntoColumn, LazyFrame,
    NewChunkedArray, Null, PolarsResult, SortOptions, col, lit, when,
};
use wabalake_data::tables::CURRENCY;
use wabalake_data::tables::rates::PRICE;

use crate::query::Type;

/// Stands for an unknown currency.
pub const UNKNOWN: &str = "?";

/// The column of a group's amount.
pub const AMOUNT: &str = "amount";

/// The sum of a column of amounts, as [`Type::Money`].
pub fn sum(amounts: &str) -> Expr {
    col(amounts).cast(Type::Money.data_type()).sum()
}

/// An amount in millionths, as the nearest 64-bit float.
pub fn millionths(amount: Expr) -> Expr {
    let whole = |column: Column| -> PolarsResult<Column> {
        let amounts = column.cast(&Type::Money.data_type())?;
        let units = amounts.decimal()?.physical().iter().map(|units| Some(units? as f64));
        Ok(Float64Chunked::from_iter_options(column.name().clone(), units).into_column())
    };
    amount.map(whole, |_, field| Ok(Field::new(field.name().clone(), DataType::Float64)))
}

/// An amount times a column of Int64, as [`Type::Money`].
pub fn times(amount: Expr, count: Expr) -> Expr {
    let multiplied = |columns: &mut [Column]| -> PolarsResult<Column> {
        let amounts = columns[0].cast(&Type::Money.data_type())?;
        let amounts = amounts.decimal()?;
        let pairs = amounts.physical().iter().zip(columns[1].i64()?.iter());
        let products = pairs.map(|(amount, count)| Some(amount? * i128::from(count?)));
        let products = Int128Chunked::from_iter_options(columns[0].name().clone(), products);
        let products = products.into_decimal(amounts.precision(), amounts.scale())?;
        Ok(products.into_column())
    };
    let money =
        |_: &_, fields: &[Field]| Ok(Field::new(fields[0].name().clone(), Type::Money.data_type()));
    amount.map_many(multiplied, &[count], money)
}

/// Sums amounts by group, in the columns [`AMOUNT`] and `currency`, as the table above shows. A group
/// without amounts has no row.
pub fn summed(rows: LazyFrame, groups: &[Expr], value: &str) -> LazyFrame {
    summed_with(rows.filter(col(value).is_not_null()), groups, value, &[])
}

/// Sums amounts by group, as [`summed`] does, and the columns `others`. A group without amounts has a row, too.
pub fn summed_with(rows: LazyFrame, groups: &[Expr], value: &str, others: &[&str]) -> LazyFrame {
    const AMOUNTS: &str = "amounts";
    const CURRENCIES: &str = "currencies";
    let with_others = |mut sums: Vec<Expr>| {
        sums.extend(others.iter().map(|other| col(*other).sum()));
        sums
    };
    let of_one_currency = [groups, &[col(CURRENCY).fill_null(lit(UNKNOWN))]].concat();
    let has_amounts = || col(AMOUNTS).gt(lit(0));
    let sums = rows
        .group_by(of_one_currency)
        .agg(with_others(vec![sum(value).alias(AMOUNT), col(value).count().alias(AMOUNTS)]))
        .with_column(
            when(has_amounts()).then(col(CURRENCY)).otherwise(lit(Null {})).alias(CURRENCY),
        );
    let together = sums.group_by(groups).agg(with_others(vec![
        col(CURRENCY).count().alias(CURRENCIES),
        sum(AMOUNT),
        col(CURRENCY).sort(SortOptions::default()).str().join("+", true),
    ]));
    let is_known = col(CURRENCIES).gt(lit(0)).and(col(CURRENCY).neq(lit(UNKNOWN)));
    together.with_columns([
        when(col(CURRENCIES).eq(lit(1))).then(col(AMOUNT)).otherwise(lit(Null {})).alias(AMOUNT),
        when(is_known).then(col(CURRENCY)).otherwise(lit(Null {})).alias(CURRENCY),
    ])
}

/// The column of the cost of units; see [`charged`].
pub const COST: &str = "cost";

/// The column of the number of units without a rate; see [`charged`].
pub const UNPRICED: &str = "unpriced";

/// The columns of the first and the last currency of a group, by name. They are equal if there is only
/// one.
const CHARGED_IN: [&str; 2] = ["charged_in", "charged_in_too"];

/// The columns of [`charged`].
pub const CHARGES: [&str; 4] = [COST, UNPRICED, CHARGED_IN[0], CHARGED_IN[1]];

/// The columns [`CHARGES`] of units with `price` and `currency`, to be summed by [`charges`]. Only units
/// that pass the predicate are charged.
pub fn charged(chargeable: Expr) -> [Expr; 4] {
    let nothing = lit(0).cast(Type::Money.data_type());
    let priced = chargeable.clone().and(col(PRICE).is_not_null());
    let currency = col(CURRENCY).fill_null(lit(UNKNOWN));
    let charged_in = when(priced).then(currency).otherwise(lit(Null {}));
    let price = col(PRICE).cast(Type::Money.data_type());
    let cost = when(chargeable.clone()).then(price).otherwise(nothing);
    let unpriced = chargeable.and(col(PRICE).is_null());
    [
        cost.alias(COST),
        unpriced.cast(Type::Integer.data_type()).alias(UNPRICED),
        charged_in.clone().alias(CHARGED_IN[0]),
        charged_in.alias(CHARGED_IN[1]),
    ]
}

/// The columns [`CHARGES`] of units that cost nothing.
pub fn uncharged() -> [Expr; 4] {
    let in_nothing = || lit(Null {}).cast(DataType::String);
    [
        lit(0).cast(Type::Money.data_type()).alias(COST),
        lit(0).cast(Type::Integer.data_type()).alias(UNPRICED),
        in_nothing().alias(CHARGED_IN[0]),
        in_nothing().alias(CHARGED_IN[1]),
    ]
}

/// [`COST`] and [`UNPRICED`] of rows that stand for several units each; `count` is a column of Int64.
pub fn charges_times(count: &str) -> [Expr; 2] {
    [times(col(COST), col(count)).alias(COST), col(UNPRICED) * col(count)]
}

/// Sums the columns [`CHARGES`] of a group.
pub fn charges() -> [Expr; 4] {
    [sum(COST), col(UNPRICED).sum(), col(CHARGED_IN[0]).min(), col(CHARGED_IN[1]).max()]
}

/// The cost of a group from its [`charges`]; null if a unit has no rate or if there are several
/// currencies.
pub fn cost() -> Expr {
    let [one, other] = CHARGED_IN.map(col);
    let in_one_currency = one.clone().is_null().or(one.eq(other));
    let is_known = col(UNPRICED).eq(lit(0)).and(in_one_currency);
    when(is_known).then(col(COST)).otherwise(lit(Null {}))
}

/// The currency of a group's [`cost`], from its [`charges`]; null if nothing is charged.
pub fn charged_in() -> Expr {
    col(CHARGED_IN[0])
}
