//! Sessions that deployments and closures name, and the clock of the export that has the sessions.
//!
//! All of it takes one pass over keys and stamps, split by the session:
//!
//! ```text
//! sessions     key, finish   ┐               ┌► rows and failing rows of each check
//! closures     key, closing  ├► by session ──┤
//! deployments  key           ┘               └► keys of failing rows ──► their ids, of which one is shown
//! ```

use std::collections::BTreeMap;

use polars::prelude::{Column, DataFrame, Field, Schema, UnionArgs, concat, df};
use wabalake_data::Table;
use wabalake_data::tables::{SESSION_KEY, closures, deployments, sessions};

use super::{CHECK, EXAMPLE, FAILING, ROWS, TABLE};
use crate::kernels::node;
use crate::kernels::parts::Parts;
use crate::query::clocks::{self, MINUTES, MONTH, PAIRS, Threshold};
use crate::query::prelude::*;

/// The checks, each in the place that the constants below tell.
pub(super) const CHECKS: [(&str, &Table); 4] = [
    ("session-not-in-sessions", &deployments::TABLE),
    ("closure-session-not-in-sessions", &closures::TABLE),
    ("closure-disagrees", &closures::TABLE),
    (super::clocks::NAME, &sessions::TABLE),
];

const DEPLOYMENT_UNKNOWN: usize = 0;
const CLOSURE_UNKNOWN: usize = 1;
const CLOSURE_DISAGREES: usize = 2;
const CLOCK_OFF: usize = 3;

/// The longest time between the finish of a session and its closure, in microseconds.
const AGREEING: u64 = 60_000_000;

/// What tells of a session: one of the kinds below, in the order in which the rows of a session are sorted.
const KIND: &str = "kind";
const SESSION: i32 = 0;
const CLOSURE: i32 = 1;
const DEPLOYMENT: i32 = 2;

/// The finish of a session, or the time of a closing event, in microseconds.
const AT: &str = "at";
/// `true` if the row's own stamp lies in the range.
const IN_RANGE: &str = "in_range";
/// The place of a check.
const PLACE: &str = "place";

/// Stands for an unknown time.
const NEVER: i64 = i64::MIN;

/// A row that tells of a session.
#[derive(Clone, Copy)]
struct Event {
    key: i64,
    at: i64,
    kind: i32,
    in_range: bool,
}

/// The tallies of [`CHECKS`], a row each.
pub(super) fn tallies(tables: &Tables, days: &DayRange) -> PolarsResult<LazyFrame> {
    let known = || col(SESSION_KEY).is_not_null();
    let in_range = |table: &Table| days.holds_instant(&col(table.day_of)).unwrap_or(lit(true));
    let event = |rows: LazyFrame, kind: i32, at: Expr, in_range: Expr| {
        rows.filter(known()).select([
            col(SESSION_KEY),
            lit(kind).cast(DataType::Int32).alias(KIND),
            at.cast(DataType::Int64).alias(AT),
            in_range.alias(IN_RANGE),
        ])
    };
    let finish = col(sessions::SESSION_FINISHED_TIMESTAMP);
    let closing = col(closures::CLOSED_AT);
    let of_range = days.scan(tables, &deployments::TABLE);
    let events = [
        event(tables.scan(&sessions::TABLE), SESSION, finish, in_range(&sessions::TABLE)),
        event(tables.scan(&closures::TABLE), CLOSURE, closing, in_range(&closures::TABLE)),
        event(of_range, DEPLOYMENT, lit(Null {}), lit(true)),
    ];
    let events = concat(events, UnionArgs::default())?;
    let name = "sessions that closures and deployments name".to_owned();
    let found = node(events, name, schema(), |events| answer(&events));

    // An id has one key, whatever the table that names it.
    let ids = [
        (&sessions::TABLE, sessions::SESSION_ID),
        (&closures::TABLE, closures::SESSION_ID),
        (&deployments::TABLE, deployments::SESSION_ID),
    ];
    let ids = ids.map(|(table, id)| {
        tables.scan(table).filter(known()).select([col(SESSION_KEY), col(id).alias(EXAMPLE)])
    });
    let ids = concat(ids, UnionArgs::default())?;
    let (session, place) = ([col(SESSION_KEY)], [col(PLACE)]);
    let left = || JoinArgs::new(JoinType::Left);
    let tallies = found.join(ids, &session, &session, left()).group_by(&place).agg([
        col(ROWS).sum(),
        col(FAILING).sum(),
        col(EXAMPLE).min(),
    ]);
    let places: Vec<i32> = (0..).take(CHECKS.len()).collect();
    let names = df![
        PLACE => places,
        CHECK => CHECKS.map(|(check, _)| check),
        TABLE => CHECKS.map(|(_, table)| table.name),
    ]?;
    let tallies = names.lazy().join(tallies, &place, &place, left());
    Ok(tallies.select([CHECK, TABLE, ROWS, FAILING, EXAMPLE].map(col)))
}

/// For each check a row without a key, which counts its rows, and a row with the key of each failing session.
fn schema() -> Schema {
    let fields = [
        (PLACE, DataType::Int32),
        (ROWS, DataType::Int64),
        (FAILING, DataType::Int64),
        (SESSION_KEY, DataType::Int64),
    ];
    fields.map(|(name, of)| Field::new(name.into(), of)).into_iter().collect()
}

fn answer(events: &DataFrame) -> PolarsResult<DataFrame> {
    let parts = Parts::of(events, |events, _, parts| {
        let (keys, times) = (events.column(SESSION_KEY)?.i64()?, events.column(AT)?.i64()?);
        let (kinds, in_range) = (events.column(KIND)?.i32()?, events.column(IN_RANGE)?.bool()?);
        let rows = keys.iter().zip(times.iter()).zip(kinds.iter()).zip(in_range.iter());
        parts.extend(rows.filter_map(|(((key, at), kind), in_range)| {
            let (key, kind, in_range) = (key?, kind?, in_range == Some(true));
            Some((key, Event { key, at: at.unwrap_or(NEVER), kind, in_range }))
        }));
        Ok(())
    })?;
    let mut found = Found::default();
    for part in parts.map(of_part) {
        found.add(part);
    }
    let tallies = found.tallies()?;

    let (mut places, mut keys) = (Vec::new(), Vec::new());
    let (mut rows, mut failing) = (Vec::new(), Vec::new());
    for (place, mut tally) in (0_i32..).zip(tallies) {
        tally.keys.sort_unstable();
        tally.keys.dedup();
        places.resize(places.len() + 1 + tally.keys.len(), place);
        rows.push(tally.rows);
        failing.push(tally.failing);
        keys.push(None);
        keys.extend(tally.keys.into_iter().map(Some));
        rows.resize(places.len(), 0);
        failing.resize(places.len(), 0);
    }
    let columns = vec![
        Column::new(PLACE.into(), places),
        Column::new(ROWS.into(), rows),
        Column::new(FAILING.into(), failing),
        Column::new(SESSION_KEY.into(), keys),
    ];
    DataFrame::new(columns[0].len(), columns)
}

/// The rows that a check applies to, and those that fail.
#[derive(Default)]
struct Tally {
    rows: i64,
    failing: i64,
    /// The sessions of failing rows.
    keys: Vec<i64>,
}

impl Tally {
    fn count(&mut self, key: i64, fails: bool) {
        self.rows += 1;
        if fails {
            self.failing += 1;
            self.keys.push(key);
        }
    }

    fn add(&mut self, other: Self) {
        self.rows += other.rows;
        self.failing += other.failing;
        self.keys.extend(other.keys);
    }
}

/// Sessions whose finish and latest closing event are apart by one difference, in one month.
#[derive(Default)]
struct Pairs {
    all: i64,
    /// Those of the range.
    tally: Tally,
}

/// What the events of some sessions tell.
#[derive(Default)]
struct Found {
    checks: [Tally; CHECKS.len()],
    /// By the month of the closing event, in days from 1970 to its first date, and the difference in minutes.
    pairs: BTreeMap<(i32, i64), Pairs>,
}

impl Found {
    fn add(&mut self, other: Self) {
        for (tally, other) in self.checks.iter_mut().zip(other.checks) {
            tally.add(other);
        }
        for (of, other) in other.pairs {
            let pairs = self.pairs.entry(of).or_default();
            pairs.all += other.all;
            pairs.tally.add(other.tally);
        }
    }

    /// Counts a closing event of the range.
    fn closed(&mut self, closure: &Event, session: Option<&Event>) {
        self.checks[CLOSURE_UNKNOWN].count(closure.key, session.is_none());
        if let Some(session) = session {
            let is_known = session.at != NEVER && closure.at != NEVER;
            let agrees = is_known && closure.at.abs_diff(session.at) <= AGREEING;
            self.checks[CLOSURE_DISAGREES].count(closure.key, !agrees);
        }
    }

    /// Counts a session by the time from its latest closing event to its finish.
    fn compared(&mut self, session: &Event, closed: i64) {
        let Some(month) = clocks::month_of(closed) else { return };
        let minutes = clocks::minutes_apart(session.at, closed);
        let pairs = self.pairs.entry((month, minutes)).or_default();
        pairs.all += 1;
        if session.in_range {
            // No session fails at the mode 0, which most have.
            pairs.tally.count(session.key, minutes != 0);
        }
    }

    /// The tallies of all checks, after the months of all sessions are known.
    fn tallies(mut self) -> PolarsResult<[Tally; CHECKS.len()]> {
        let months: Vec<i32> = self.pairs.keys().map(|(month, _)| *month).collect();
        let minutes: Vec<i64> = self.pairs.keys().map(|(_, minutes)| *minutes).collect();
        let pairs: Vec<i64> = self.pairs.values().map(|pairs| pairs.all).collect();
        let counts = df![MONTH => months, MINUTES => minutes, PAIRS => pairs]?;
        let months = clocks::months(&counts)?;
        let off = &mut self.checks[CLOCK_OFF];
        for ((month, minutes), pairs) in self.pairs {
            let mode = months.get(&month).and_then(|month| month.mode(Threshold::default()));
            match mode {
                Some(mode) if mode == minutes => off.add(pairs.tally),
                Some(_) => off.rows += pairs.tally.rows,
                None => {}
            }
        }
        Ok(self.checks)
    }
}

fn of_part(mut events: Vec<Event>) -> Found {
    events.sort_unstable_by_key(|event| (event.key, event.kind));
    let mut found = Found::default();
    for of_key in events.chunk_by(|one, next| one.key == next.key) {
        let session = of_key.first().filter(|event| event.kind == SESSION);
        let mut closed = NEVER;
        for event in of_key {
            match event.kind {
                CLOSURE => {
                    closed = closed.max(event.at);
                    if event.in_range {
                        found.closed(event, session);
                    }
                }
                DEPLOYMENT => {
                    found.checks[DEPLOYMENT_UNKNOWN].count(event.key, session.is_none());
                }
                _ => {}
            }
        }
        let finished = session.filter(|session| session.at != NEVER && closed != NEVER);
        if let Some(session) = finished {
            found.compared(session, closed);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The rows, the failing rows and the failing sessions of each check.
    fn found(rows: &[(i64, i32, Option<i64>, bool)]) -> Vec<(i64, i64, Vec<i64>)> {
        let events = df![
            SESSION_KEY => rows.iter().map(|row| row.0).collect::<Vec<_>>(),
            KIND => rows.iter().map(|row| row.1).collect::<Vec<_>>(),
            AT => rows.iter().map(|row| row.2).collect::<Vec<_>>(),
            IN_RANGE => rows.iter().map(|row| row.3).collect::<Vec<_>>(),
        ];
        let answer = answer(&events.unwrap()).unwrap();
        assert_eq!(**answer.schema(), schema());
        let integers = |name: &str| answer.column(name).unwrap().i64().unwrap().clone();
        let (rows, failing, keys) = (integers(ROWS), integers(FAILING), integers(SESSION_KEY));
        let mut found = vec![(0, 0, Vec::new()); CHECKS.len()];
        for (row, place) in answer.column(PLACE).unwrap().i32().unwrap().iter().enumerate() {
            let of_check = &mut found[usize::try_from(place.unwrap()).unwrap()];
            of_check.0 += rows.get(row).unwrap();
            of_check.1 += failing.get(row).unwrap();
            of_check.2.extend(keys.get(row));
        }
        found
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        /// Sessions by key as (finish, in range), closures as (key, time, in range), and keys of deployments.
        #[test]
        fn rows_fail_that_name_no_session_or_another_finish(
            sessions in prop::collection::btree_map(0..6_i64, (prop::option::of(0..4_i64), any::<bool>()), 0..6),
            closures in prop::collection::vec((0..8_i64, 0..4_i64, any::<bool>()), 0..12),
            deployments in prop::collection::vec(0..8_i64, 0..6),
        ) {
            const UNIT: i64 = 40_000_000;
            let mut rows: Vec<_> =
                deployments.iter().map(|key| (*key, DEPLOYMENT, None, true)).collect();
            rows.extend(closures.iter().map(|of| (of.0, CLOSURE, Some(of.1 * UNIT), of.2)));
            rows.extend(sessions.iter().map(|(key, of)| {
                (*key, SESSION, of.0.map(|finish| finish * UNIT), of.1)
            }));
            let expected = |named: &[i64], fails: &dyn Fn(usize, i64) -> bool| {
                let failing = named.iter().enumerate().filter(|(row, key)| fails(*row, **key));
                let mut keys: Vec<i64> = failing.map(|(_, key)| *key).collect();
                let failing = keys.len();
                keys.sort_unstable();
                keys.dedup();
                let count = |rows: usize| i64::try_from(rows).unwrap();
                (count(named.len()), count(failing), keys)
            };
            let unknown = |_: usize, key: i64| !sessions.contains_key(&key);
            let of_range: Vec<_> = closures.iter().filter(|of| of.2).collect();
            let closed: Vec<i64> = of_range.iter().map(|of| of.0).collect();
            let known: Vec<_> =
                of_range.iter().filter(|of| sessions.contains_key(&of.0)).collect();
            let of_known: Vec<i64> = known.iter().map(|of| of.0).collect();
            let disagrees = |row: usize, key: i64| {
                sessions[&key].0.is_none_or(|finish| (finish - known[row].1).abs() > 1)
            };
            let found = found(&rows);
            prop_assert_eq!(&found[DEPLOYMENT_UNKNOWN], &expected(&deployments, &unknown));
            prop_assert_eq!(&found[CLOSURE_UNKNOWN], &expected(&closed, &unknown));
            prop_assert_eq!(&found[CLOSURE_DISAGREES], &expected(&of_known, &disagrees));
        }
    }

    #[test]
    fn sessions_of_the_range_at_a_mode_other_than_0_fail() {
        const HOUR: i64 = 3_600_000_000;
        // Of forty sessions one is not off, and half of the others are of the range.
        let rows = |off: i64| -> Vec<_> {
            let sessions = (0..40).map(|key| {
                let finish = if key == 0 { 9 * HOUR } else { (9 - off) * HOUR };
                (key, SESSION, Some(finish), key < 20)
            });
            // The latest closing event counts.
            let closures =
                (0..40).flat_map(|key| [8, 9].map(|hour| (key, CLOSURE, Some(hour * HOUR), true)));
            sessions.chain(closures).collect()
        };
        assert_eq!(found(&rows(5))[CLOCK_OFF], (20, 19, (1..20).collect()));
        assert_eq!(found(&rows(0))[CLOCK_OFF], (20, 0, Vec::new()));
        assert_eq!(found(&rows(5)[..20])[CLOCK_OFF], (0, 0, Vec::new()));
    }
}
