//! Detection of cycles: sessions that were redirected back to themselves, directly or not.
//!
//! Each session has at most one parent, so a walk from parent to parent ends or enters a cycle. Each
//! session is visited once, whatever the length of a chain.

use std::sync::Arc;

use polars::prelude::{
    Column, DataFrame, DataType, Field, InitHashMaps, LazyFrame, OptFlags, PlHashMap, PolarsResult,
    Schema, SchemaRef,
};
use wabalake_data::tables::SESSION_KEY;

/// The `session_key` of each session on a cycle, given the keys of sessions and of their parents.
pub(super) fn of(links: LazyFrame, parent_key: &'static str) -> LazyFrame {
    let schema: SchemaRef =
        Arc::new(Schema::from_iter([Field::new(SESSION_KEY.into(), DataType::Int64)]));
    links.map(
        move |links| on_cycles(&links, parent_key),
        OptFlags::empty(),
        Some(Arc::new(move |_: &Schema| -> PolarsResult<SchemaRef> { Ok(schema.clone()) })),
        Some("sessions on a cycle"),
    )
}

fn on_cycles(links: &DataFrame, parent_key: &str) -> PolarsResult<DataFrame> {
    let keys: Vec<i64> = links.column(SESSION_KEY)?.i64()?.iter().flatten().collect();
    let mut places = PlHashMap::with_capacity(keys.len());
    places.extend(keys.iter().enumerate().map(|(place, key)| (*key, place)));
    let parents = links.column(parent_key)?.i64()?.iter();
    let parents: Vec<Option<usize>> = parents.map(|key| places.get(&key?).copied()).collect();

    let mut found = Vec::new();
    // The walk that visited each session first; 0 for none so far.
    let mut met = vec![0; parents.len()];
    for (start, walk) in (0..parents.len()).zip(1..) {
        let mut at = Some(start);
        while let Some(place) = at.filter(|place| met[*place] == 0) {
            met[place] = walk;
            at = parents[place];
        }
        // This walk came back to where it was: the sessions from there on are the cycle.
        let Some(entry) = at.filter(|place| met[*place] == walk) else { continue };
        let mut place = entry;
        loop {
            found.push(keys[place]);
            match parents[place] {
                Some(next) if next != entry => place = next,
                _ => break,
            }
        }
    }
    DataFrame::new(found.len(), vec![Column::new(SESSION_KEY.into(), found)])
}

#[cfg(test)]
mod tests {
    use polars::prelude::*;

    use super::*;

    fn found(links: &[(i64, i64)]) -> Vec<i64> {
        let (keys, parents): (Vec<i64>, Vec<i64>) = links.iter().copied().unzip();
        let links = df![SESSION_KEY => keys, "parent" => parents].unwrap();
        let found = on_cycles(&links, "parent").unwrap();
        let mut found: Vec<i64> =
            found.column(SESSION_KEY).unwrap().i64().unwrap().iter().flatten().collect();
        found.sort_unstable();
        found
    }

    #[test]
    fn descendants_of_a_cycle_are_not_on_it() {
        assert!(found(&[]).is_empty());
        assert_eq!(found(&[(1, 1)]), [1]);
        assert!(found(&[(1, 2), (2, 3)]).is_empty());
        assert_eq!(found(&[(4, 3), (3, 2), (2, 1), (1, 3), (5, 4), (6, 6), (7, 6)]), [1, 2, 3, 6]);
    }

    #[test]
    fn long_chains_and_cycles_do_not_overflow_the_stack() {
        let chain: Vec<(i64, i64)> = (0..10_000).map(|key| (key, key + 1)).collect();
        assert!(found(&chain).is_empty());
        let cycle: Vec<(i64, i64)> = (0..10_000).map(|key| (key, (key + 1) % 10_000)).collect();
        assert_eq!(found(&cycle).len(), 10_000);
    }
}
