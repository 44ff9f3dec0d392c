//! Which of a business's own events count, for the queries that count conversions.
//!
//! A lake holds no table of conversions, which to a query is an empty one: nothing was converted,
//! and no amount was earned in any currency.

use clap::Args;

/// `--conversion-window-days` and `--event`.
#[derive(Args, Clone, Debug)]
pub struct Conversions {
    /// How many days of 24 hours before a conversion its session began at most, where only the
    /// person is known
    #[arg(long, value_name = "DAYS", default_value_t = 7)]
    conversion_window_days: u32,

    /// Only conversions of these events, in any case, separated by commas [default: all]
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    event: Vec<String>,
}
