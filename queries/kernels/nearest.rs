//! Search for the nearest event of the same person before or after each moment.

use polars::prelude::{DataFrame, IdxCa, Int64Chunked, LazyFrame, NewChunkedArray, PolarsResult};

use super::parts::Parts;
use super::{adding, places};

/// Which event a moment is joined with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nearest {
    /// The last at or before it.
    LastBefore,
    /// The first at or after it.
    FirstAfter,
}

/// The columns and the limit of a search; see [`nearest`].
#[derive(Clone, Debug)]
pub struct Search {
    /// Which event is the nearest.
    pub which: Nearest,
    /// The person, line or the like, Int64. A row without one is neither found nor finds.
    pub key: String,
    /// The time, Int64.
    pub at: String,
    /// A column that is `true` for moments and `false` for events.
    pub is_moment: String,
    /// How far an event may be away.
    pub within: i64,
    /// The columns that moments get from their event; null without one.
    pub found: Vec<String>,
    /// A column of texts: of several events at one time the one with the greatest counts. Any without it.
    pub greatest: Option<String>,
}

/// A row as (key, time, kind and place): at one time, events come first in the direction of the search.
type Row = (i64, i64, u64);

/// Returns the moments among rows of moments and events, in their order and with the same columns, each with
/// what its nearest event brings.
pub fn nearest(rows: LazyFrame, search: Search) -> LazyFrame {
    let name = format!("nearest event: {search:?}");
    adding(rows, name, Vec::new(), move |rows| joined(&rows, &search))
}

fn joined(rows: &DataFrame, search: &Search) -> PolarsResult<DataFrame> {
    let is_moment = rows.column(&search.is_moment)?.bool()?;
    let count =
        rows.height() - is_moment.iter().filter(|is_moment| *is_moment == Some(true)).count();
    let start = i64::try_from(count).unwrap_or(i64::MAX);
    // If all events come first, no row is copied.
    let (events, mut moments) = if is_moment.slice(0, count).any() {
        (rows.filter(&!is_moment)?, rows.filter(is_moment)?)
    } else {
        rows.split_at(start)
    };
    let place = places_of_events(&moments, &events, search)?;
    for column in events.select(&search.found)?.take(&place)?.into_columns() {
        moments.with_column(column)?;
    }
    Ok(moments)
}

/// The place of the event of each moment.
fn places_of_events(
    moments: &DataFrame,
    events: &DataFrame,
    search: &Search,
) -> PolarsResult<IdxCa> {
    let moments_follow = search.which == Nearest::LastBefore;
    let keyed =
        |rows: &DataFrame, follows: bool| -> PolarsResult<(Int64Chunked, Int64Chunked, u64)> {
            let keys = rows.column(&search.key)?.i64()?.clone();
            let times = rows.column(&search.at)?.i64()?.clone();
            let kind = u64::from(follows) << u32::BITS;
            Ok((keys, times, kind))
        };
    let sides = [keyed(events, !moments_follow)?, keyed(moments, moments_follow)?];
    let rows = sides.iter().flat_map(|(keys, times, kind)| {
        let rows = keys.iter().zip(times.iter()).zip(places());
        rows.filter_map(|((key, at), place)| Some((key?, (key?, at?, *kind | u64::from(place)))))
    });
    let ids = match &search.greatest {
        Some(greatest) => Some(events.column(greatest)?.str()?.rechunk().into_owned()),
        None => None,
    };
    let is_greater = |one: u32, other: u32| {
        ids.as_ref().is_none_or(|ids| ids.get(one as usize) >= ids.get(other as usize))
    };
    let of_part = |mut rows: Vec<Row>| {
        rows.sort_unstable();
        match moments_follow {
            true => matched(rows.iter(), true, search.within, is_greater),
            false => matched(rows.iter().rev(), false, search.within, is_greater),
        }
    };
    let parts = Parts::by_key(rows, moments.height() + events.height()).map(of_part);
    let mut places = vec![None; moments.height()];
    for (moment, event) in parts.into_iter().flatten() {
        places[moment as usize] = Some(event);
    }
    Ok(IdxCa::from_iter_options("place".into(), places.into_iter()))
}

/// The places of the moments, each with that of the last event of its key before it in this order.
fn matched<'a>(
    rows: impl Iterator<Item = &'a Row>,
    moments_follow: bool,
    within: i64,
    is_greater: impl Fn(u32, u32) -> bool,
) -> Vec<(u32, u32)> {
    let within = u64::try_from(within).unwrap_or_default();
    let mut found = Vec::new();
    let mut last: Option<(i64, i64, u32)> = None;
    for (key, at, place) in rows {
        let follows = place >> u32::BITS == 1;
        let place = u32::try_from(place & u64::from(u32::MAX)).unwrap_or_default();
        let of_key = last.filter(|last| last.0 == *key);
        if follows == moments_follow {
            let near = of_key.filter(|last| last.1.abs_diff(*at) <= within);
            found.extend(near.map(|event| (place, event.2)));
        } else if of_key.is_none_or(|last| last.1 != *at || is_greater(place, last.2)) {
            last = Some((*key, *at, place));
        }
    }
    found
}
