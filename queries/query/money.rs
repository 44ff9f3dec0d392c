//! Amounts of money, each in a currency.
//!
//! ```text
//! amounts of a group         amount   currency
//! 10 COP, 5.5 COP            15.5     COP
//! 10 COP, 2 USD              null     COP+USD
//! 10 COP, 2 of none          null     ?+COP
//! 2 of none                  2        null
//! none that is known         null     null
//! ```

use polars::prelude::{
    Column, DataType, Expr, Field, Float64Chunked, IntoColumn, LazyFrame, NewChunkedArray, Null,
    PolarsResult, SortOptions, col, len, lit, when,
};
use wabalake_data::tables::CURRENCY;
use wabalake_data::tables::rates::PRICE;

use super::Type;

/// What stands for a currency that is not said.
const UNSAID: &str = "?";

/// The column of [`summed`] and [`in_one_currency`] that holds a group's amount.
pub const AMOUNT: &str = "amount";

/// The sum of a column of amounts, as wide as [`Type::Money`].
pub fn sum(amounts: &str) -> Expr {
    col(amounts).cast(Type::Money.data_type()).sum()
}

/// An amount as a whole number of millionths, to the nearest that 64 bits of a float can say.
pub fn millionths(amount: Expr) -> Expr {
    let whole = |column: Column| -> PolarsResult<Column> {
        let amounts = column.cast(&Type::Money.data_type())?;
        let units = amounts.decimal()?.physical().iter().map(|units| Some(units? as f64));
        Ok(Float64Chunked::from_iter_options(column.name().clone(), units).into_column())
    };
    amount.map(whole, |_, field| Ok(Field::new(field.name().clone(), DataType::Float64)))
}

/// The amounts of rows added up in each group, in the column [`AMOUNT`], with what they are in in
/// the column `currency`: by the table above. A group without amounts has no row.
pub fn summed(rows: LazyFrame, groups: &[Expr], value: &str) -> LazyFrame {
    let of_one_currency = [groups, &[col(CURRENCY).fill_null(lit(UNSAID))]].concat();
    let sums = rows
        .filter(col(value).is_not_null())
        .group_by(of_one_currency)
        .agg([sum(value).alias(AMOUNT)]);
    in_one_currency(sums, groups)
}

/// Rows that are each the [`AMOUNT`] of a group in one `currency`, put together to a row for each
/// group.
fn in_one_currency(sums: LazyFrame, groups: &[Expr]) -> LazyFrame {
    const CURRENCIES: &str = "currencies";
    let together = sums.group_by(groups).agg([
        len().alias(CURRENCIES),
        sum(AMOUNT),
        col(CURRENCY).sort(SortOptions::default()).str().join("+", true),
    ]);
    together.with_columns([
        when(col(CURRENCIES).eq(lit(1))).then(col(AMOUNT)).otherwise(lit(Null {})).alias(AMOUNT),
        when(col(CURRENCY).neq(lit(UNSAID)))
            .then(col(CURRENCY))
            .otherwise(lit(Null {}))
            .alias(CURRENCY),
    ])
}

/// What units cost; the column of [`charged`] and [`cost`].
pub const COST: &str = "cost";

/// How many units have no rate; the column of [`charged`] and [`charges`].
pub const UNPRICED: &str = "unpriced";

/// The least and the greatest currency that something is charged in; the columns of [`charged`]
/// and [`charges`].
const CHARGED_IN: [&str; 2] = ["charged_in", "charged_in_too"];

/// The columns of [`charged`].
pub const CHARGES: [&str; 4] = [COST, UNPRICED, CHARGED_IN[0], CHARGED_IN[1]];

/// What units cost, of which only some are charged their `price` in its `currency`: columns to be
/// added to them, and to be added up by [`charges`].
pub fn charged(chargeable: Expr) -> [Expr; 4] {
    let nothing = lit(0).cast(Type::Money.data_type());
    let priced = chargeable.clone().and(col(PRICE).is_not_null());
    let currency = col(CURRENCY).fill_null(lit(UNSAID));
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

/// The columns of [`charged`] for what costs nothing.
pub fn uncharged() -> [Expr; 4] {
    let in_nothing = || lit(Null {}).cast(DataType::String);
    [
        lit(0).cast(Type::Money.data_type()).alias(COST),
        lit(0).cast(Type::Integer.data_type()).alias(UNPRICED),
        in_nothing().alias(CHARGED_IN[0]),
        in_nothing().alias(CHARGED_IN[1]),
    ]
}

/// The columns of [`charged`] for a group of units, or of groups.
pub fn charges() -> [Expr; 4] {
    [sum(COST), col(UNPRICED).sum(), col(CHARGED_IN[0]).min(), col(CHARGED_IN[1]).max()]
}

/// What a group costs by its [`charges`]; null where one of its units has no rate, or where they
/// are charged in several currencies.
pub fn cost() -> Expr {
    let [one, other] = CHARGED_IN.map(col);
    let in_one_currency = one.clone().is_null().or(one.eq(other));
    let is_known = col(UNPRICED).eq(lit(0)).and(in_one_currency);
    when(is_known).then(col(COST)).otherwise(lit(Null {}))
}

/// The currency of a group's [`cost`], by its [`charges`]; null where nothing is charged.
pub fn charged_in() -> Expr {
    col(CHARGED_IN[0])
}
