//! Search for the nearest event of the same person before or after each moment.

use polars::prelude::{
    DataFrame, LazyFrame, NamedFrom, PolarsResult, Series, StringChunked, col, lit,
};

use super::parts::Parts;
use super::{adding, collected, taken};

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
}

/// Of several events of one key and time, the one with the greatest text counts.
///
/// Texts are long, and few events have the time of another. So events are searched without their texts, and once
/// more with them for the keys where it matters.
#[derive(Clone)]
pub struct Greatest {
    /// The column of texts.
    pub text: &'static str,
    /// The events with their texts.
    pub events: LazyFrame,
}

/// A row as (key, time, kind and place): at one time, events come first in the direction of the search.
type Row = (i64, i64, u64);

/// Returns the moments among rows of moments and events, in their order and with the same columns, each with
/// what its nearest event brings. Of several events at one time, any counts without `greatest`.
pub fn nearest(rows: LazyFrame, search: Search, greatest: Option<Greatest>) -> LazyFrame {
    let by = greatest.as_ref().map(|greatest| greatest.text);
    let name = format!("nearest event: {search:?}, greatest {by:?}");
    adding(rows, name, Vec::new(), move |rows| joined(&rows, &search, greatest.as_ref()))
}

fn joined(
    rows: &DataFrame,
    search: &Search,
    greatest: Option<&Greatest>,
) -> PolarsResult<DataFrame> {
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
    let mut brought = events.select(&search.found)?;
    let Found { pairs, tied } = found(&moments, &events, search, None)?;
    let mut places = vec![None; moments.height()];
    for (moment, event) in pairs {
        places[moment as usize] = Some(event);
    }
    if let Some(greatest) = greatest.filter(|_| !tied.is_empty()) {
        let of_tied = lit(Series::new(search.key.as_str().into(), &tied)).implode(true);
        let events = greatest.events.clone().filter(col(&search.key).is_in(of_tied, false));
        let events = collected(events)?;
        let texts = events.column(greatest.text)?.str()?.rechunk().into_owned();
        let before = u32::try_from(brought.height()).unwrap_or(u32::MAX);
        brought.vstack_mut_owned(events.select(&search.found)?)?;
        for (moment, event) in found(&moments, &events, search, Some(&texts))?.pairs {
            places[moment as usize] = Some(before.saturating_add(event));
        }
    }
    for column in taken(brought, places.len(), |row| places[row])?.into_columns() {
        moments.with_column(column)?;
    }
    Ok(moments)
}

/// What moments find.
#[derive(Default)]
struct Found {
    /// The places of moments, each with that of its event.
    pairs: Vec<(u32, u32)>,
    /// Keys, perhaps repeated, of moments for which several events of one time are the nearest.
    tied: Vec<i64>,
}

/// Finds the event of each moment: at one time the one with the greatest text, any without texts.
fn found(
    moments: &DataFrame,
    events: &DataFrame,
    search: &Search,
    texts: Option<&StringChunked>,
) -> PolarsResult<Found> {
    let moments_follow = search.which == Nearest::LastBefore;
    let split = |rows: &DataFrame, follows: bool| {
        let kind = u64::from(follows) << u32::BITS;
        Parts::bounded(rows, moments.height() + events.height(), |rows, places, parts| {
            let keys = rows.column(&search.key)?.i64()?.iter();
            let rows = keys.zip(rows.column(&search.at)?.i64()?.iter()).zip(places);
            parts.extend(rows.filter_map(|((key, at), place)| {
                Some((key?, (key?, at?, kind | u64::from(place))))
            }));
            Ok(())
        })
    };
    let rows = split(events, !moments_follow)?.with(split(moments, moments_follow)?);
    let is_greater = |one: u32, other: u32| {
        texts.is_none_or(|texts| texts.get(one as usize) >= texts.get(other as usize))
    };
    let of_part = |mut rows: Vec<Row>| {
        rows.sort_unstable();
        match moments_follow {
            true => matched(rows.iter(), true, search.within, is_greater),
            false => matched(rows.iter().rev(), false, search.within, is_greater),
        }
    };
    let mut all = Found::default();
    for part in rows.map(of_part) {
        all.pairs.extend(part.pairs);
        all.tied.extend(part.tied);
    }
    Ok(all)
}

/// Pairs each moment with the last event of its key before it in this order.
fn matched<'a>(
    rows: impl Iterator<Item = &'a Row>,
    moments_follow: bool,
    within: i64,
    is_greater: impl Fn(u32, u32) -> bool,
) -> Found {
    let within = u64::try_from(within).unwrap_or_default();
    let mut found = Found::default();
    let mut last: Option<Last> = None;
    for (key, at, place) in rows {
        let follows = place >> u32::BITS == 1;
        let place = u32::try_from(place & u64::from(u32::MAX)).unwrap_or_default();
        let of_key = last.filter(|last| last.key == *key);
        if follows == moments_follow {
            let Some(event) = of_key.filter(|last| last.at.abs_diff(*at) <= within) else {
                continue;
            };
            found.pairs.push((place, event.place));
            if event.is_tied {
                found.tied.push(*key);
            }
        } else {
            let tied = of_key.filter(|last| last.at == *at);
            let greatest = tied.map(|last| last.place).filter(|last| !is_greater(place, *last));
            let place = greatest.unwrap_or(place);
            last = Some(Last { key: *key, at: *at, place, is_tied: tied.is_some() });
        }
    }
    found
}

/// An event that the next moment may find.
#[derive(Clone, Copy)]
struct Last {
    key: i64,
    at: i64,
    place: u32,
    /// Another event has the same key and time.
    is_tied: bool,
}
