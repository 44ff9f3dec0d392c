//! Delivered messages counted in parts of whole months.
//!
//! ```text
//! days        messages of each UTC day        from the partitions; no other column is read
//! parts       months with many messages       two at a time
//!   counts    their delivered messages        priced and counted: a small table
//! ```

use polars::prelude::{
    DataFrame, DataType, LazyFrame, PolarsResult, Schema, SortMultipleOptions, col, len,
};
use wabalake_data::tables::UTC_DAY;
use wabalake_data::tables::messages;

use super::counts_of;
use crate::kernels::{self, collected};
use crate::query::billing::pricing::deliveries;
use crate::query::billing::rules::PricingOptions;
use crate::query::tables::Tables;
use crate::query::time::{Clock, DAY, Span};

/// The number of messages from which a part ends with its month.
const MANY: u64 = 1 << 20;

const MESSAGES: &str = "messages";

/// Counts the [delivered messages](deliveries) of an interval.
///
/// `count` gets those of a part, and the tables with the messages created in it, and returns the counts.
/// The plan returned has those of all parts: a group that spans months has several rows.
///
/// # Errors
/// Those of building a plan.
pub fn count_deliveries<F>(
    tables: &Tables,
    within: Span,
    options: PricingOptions,
    count: F,
) -> PolarsResult<LazyFrame>
where
    F: Fn(LazyFrame, &Tables) -> PolarsResult<LazyFrame> + Send + Sync + 'static,
{
    let what = format!("delivered messages by month: {within:?} {options:?}");
    count_by_month(tables, within, &what, move |tables, part| {
        let created = tables.clone().with(&messages::TABLE, part.scan(tables, &messages::TABLE));
        count(deliveries(tables, part, &options)?, &created)
    })
}

/// Counts something in parts of an interval, which begin and end with months that have many messages.
///
/// `count` gets the whole tables and a part, and returns the counts. The plan returned has those of all parts: a
/// group that spans months has several rows. `what` names the node, so it states what is counted, of which
/// interval, and all options.
///
/// # Errors
/// Those of building a plan.
pub fn count_by_month<F>(
    tables: &Tables,
    within: Span,
    what: &str,
    count: F,
) -> PolarsResult<LazyFrame>
where
    F: Fn(&Tables, Span) -> PolarsResult<LazyFrame> + Send + Sync + 'static,
{
    let schema = Schema::clone(&*count(&Tables::new(), within)?.collect_schema()?);
    let messages = tables.scan(&messages::TABLE);
    let messages = match within.days() {
        Some(days) => messages.filter(days),
        None => messages,
    };
    let days = messages
        .group_by([col(UTC_DAY).cast(DataType::Int32)])
        .agg([len().cast(DataType::UInt64).alias(MESSAGES)])
        .sort([UTC_DAY], SortMultipleOptions::default());
    let (tables, counts) = (tables.clone(), schema.clone());
    let columns: Vec<_> = schema.iter_names().collect();
    let name = format!("{what} {columns:?}");
    Ok(kernels::node(days, name, schema, move |days| {
        let parts = parts(&days, within)?;
        counts_of(&parts, &counts, |part| collected(count(&tables, *part)?))
    }))
}

/// Parts of an interval that begin and end with local months, for the number of messages of each UTC day.
fn parts(days: &DataFrame, within: Span) -> PolarsResult<Vec<Span>> {
    let day = days.column(UTC_DAY)?.i32()?;
    let messages = days.column(MESSAGES)?.u64()?;
    let mut parts: Vec<Span> = Vec::new();
    let (mut of_part, mut month_before) = (0, i64::MIN);
    for (day, messages) in day.iter().zip(messages.iter()) {
        let (Some(day), Some(messages)) = (day, messages) else { continue };
        let month = Clock::Month.floor(within.timezone, i64::from(day) * DAY);
        match parts.last_mut() {
            None => parts.push(within),
            // A part has the whole month in which it became large enough.
            Some(part) if of_part >= MANY && month > month_before => {
                part.until = Some(month);
                parts.push(Span { from: Some(month), ..within });
                of_part = 0;
            }
            Some(_) => {}
        }
        of_part += messages;
        month_before = month;
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use polars::prelude::df;

    use super::*;

    /// The bounds of the parts, in days since 1970.
    fn of(days: &[(i32, u64)], within: Span) -> Vec<(Option<i64>, Option<i64>)> {
        let (day, messages): (Vec<i32>, Vec<u64>) = days.iter().copied().unzip();
        let days = df!(UTC_DAY => day, MESSAGES => messages).unwrap();
        let parts = parts(&days, within).unwrap();
        parts
            .iter()
            .map(|part| (part.from.map(|at| at / DAY), part.until.map(|at| at / DAY)))
            .collect()
    }

    #[test]
    fn parts_are_months_with_many_messages() {
        let ever = Span { from: None, until: None, timezone: chrono_tz::Tz::UTC };
        let some = Span { from: Some(10 * DAY), until: Some(95 * DAY), ..ever };
        assert_eq!(of(&[], ever), []);
        assert_eq!(of(&[(3, 1), (40, 1), (70, 1)], ever), [(None, None)]);
        // 1970 had 31 days in January and March, and 28 in February.
        let many = [(3, MANY), (4, MANY), (40, 5), (41, MANY), (70, 1), (90, MANY)];
        assert_eq!(of(&many, ever), [(None, Some(31)), (Some(31), Some(59)), (Some(59), None)]);
        assert_eq!(
            of(&many, some),
            [(Some(10), Some(31)), (Some(31), Some(59)), (Some(59), Some(95))]
        );
        // A single month is one part, also if the interval begins within it.
        assert_eq!(of(&[(12, MANY), (13, MANY)], some), [(Some(10), Some(95))]);
    }
}
