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

use polars::prelude::{Expr, LazyFrame, Null, SortOptions, col, len, lit, when};
use wabalake_data::tables::CURRENCY;

/// What stands for a currency that is not said.
const UNSAID: &str = "?";

/// The column of [`summed`] and [`in_one_currency`] that holds a group's amount.
pub const AMOUNT: &str = "amount";

/// The amounts of rows added up in each group, in the column [`AMOUNT`], with what they are in in
/// the column `currency`: by the table above. A group without amounts has no row.
pub fn summed(rows: LazyFrame, groups: &[Expr], value: &str) -> LazyFrame {
    let of_one_currency = [groups, &[col(CURRENCY).fill_null(lit(UNSAID))]].concat();
    let sums = rows
        .filter(col(value).is_not_null())
        .group_by(of_one_currency)
        .agg([col(value).sum().alias(AMOUNT)]);
    in_one_currency(sums, groups)
}

/// Rows that are each the [`AMOUNT`] of a group in one `currency`, put together to a row for each
/// group.
fn in_one_currency(sums: LazyFrame, groups: &[Expr]) -> LazyFrame {
    const CURRENCIES: &str = "currencies";
    let together = sums.group_by(groups).agg([
        len().alias(CURRENCIES),
        col(AMOUNT).sum(),
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
