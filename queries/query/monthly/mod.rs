//! Prices by whole months, with two parts of the messages in memory at a time.
//!
//! Free tiers and the tiers of rates begin anew each month, so months can be priced one by one. What is
//! counted of each is a small table, which is all that remains of it.
//!
//! | module | what is priced |
//! |---|---|
//! | [`conversations`] | conversations of 24 hours |
//! | [`deliveries`] | delivered messages |

use polars::prelude::{DataFrame, PolarsResult, Schema};
use wabalake_data::at_once;

mod conversations;
mod deliveries;

pub use conversations::{count_conversations, count_conversations_with};
pub use deliveries::{count_by_month, count_deliveries};

/// The number of parts that are counted at a time. The steps of a plan that run on one core leave the others to
/// those of the other part.
const AT_ONCE: usize = 2;

/// The counts of all parts, one below the other.
fn counts_of<P: Sync>(
    parts: &[P],
    schema: &Schema,
    count: impl Fn(&P) -> PolarsResult<DataFrame> + Sync,
) -> PolarsResult<DataFrame> {
    let mut counts = DataFrame::empty_with_schema(schema);
    for of_part in at_once(parts, AT_ONCE, count) {
        counts.vstack_mut(&of_part?)?;
    }
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use polars::prelude::{PolarsError, df};
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn counts_are_in_the_order_of_parts(parts in prop::collection::vec(0..9_i64, 0..12)) {
            let frame = |rows: Vec<i64>| df!["count" => rows].unwrap();
            let schema = frame(Vec::new()).schema().clone();
            // Later parts are often done first.
            let count = |part: &i64| {
                std::thread::sleep(std::time::Duration::from_micros((9 - *part).unsigned_abs()));
                Ok(frame(vec![*part; usize::try_from(*part).unwrap()]))
            };
            let found = counts_of(&parts, &schema, count).unwrap();
            let plain = parts.iter().flat_map(|part| vec![*part; usize::try_from(*part).unwrap()]);
            prop_assert!(found.equals(&frame(plain.collect())));
        }
    }

    #[test]
    fn a_part_that_fails_fails_all() {
        let count = |part: &i64| match part {
            3 => Err(PolarsError::ComputeError("of part 3".into())),
            _ => Ok(DataFrame::empty()),
        };
        let error = counts_of(&[1, 2, 3, 4], &Schema::default(), count).unwrap_err();
        assert!(error.to_string().contains("of part 3"));
    }
}
