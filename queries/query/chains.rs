//! Chains: trees of sessions that were redirected from a root session.
//!
//! ```text
//! s1 ──► s2 ──► s4        a chain with root s1, four sessions and a depth of three; its path is
//!   └──► s3               s1, s2, s4, s3: depth first, siblings by their start
//! s9, redirected from s8  s8 is not in the lake, so s9 is a root
//! s5 ──► s6 ──► s5        a cycle has no root, so its sessions and their descendants are in no chain
//! ```
//!
//! Chains can be of any length, so no fixed number of joins finds a root. Instead, the plan collects the
//! sessions with redirections and walks the trees from the roots down in one function over columns.
//! Each session is visited once, and sessions on a cycle never.

use clap::Args;
use polars::prelude::{
    Column, DataFrame, DataType, Expr, Field, InitHashMaps, Int64Chunked, JoinArgs, JoinType,
    LazyFrame, PlHashMap, PolarsResult, Schema, SortMultipleOptions, UnionArgs, col, concat, lit,
};
use wabalake_data::tables::sessions::{
    self, CONVERSATION_ID, PARENT_SESSION_ID, SESSION_ID, SESSION_STARTED_TIMESTAMP, USER_PHONE,
};
use wabalake_data::tables::{SESSION_KEY, USER_KEY};

use super::measures::{parent_key, session_duration};
use super::numbers::whole;
use super::sql::Bindings;
use super::tables::Tables;
use crate::kernels::parts::by_slices;
use crate::kernels::{node, on_all_cores, stacked};

/// `--min-sessions`: the smallest chains that count.
#[derive(Args, Clone, Copy, Debug)]
pub struct Chains {
    /// Only chains with at least so many sessions
    #[arg(
        long,
        value_name = "SESSIONS",
        default_value_t = 2,
        value_parser = whole::<u32>(1..=u32::MAX.into())
    )]
    min_sessions: u32,
}

impl Chains {
    /// The `session_id` of a chain's root.
    pub const ROOT_SESSION_ID: &str = "root_session_id";
    /// The start of the root.
    pub const STARTED_AT: &str = "started_at";
    /// `true` if the root was redirected from a session that is not in the lake.
    pub const ROOT_MISSING: &str = "root_missing";
    /// The `session_key` of the last session to start.
    pub const LAST_KEY: &str = "last_key";
    /// The number of sessions.
    pub const SESSIONS: &str = "sessions";
    /// The number of levels.
    pub const DEPTH: &str = "depth";
    /// The flows of the sessions in depth-first order, joined by ` > `.
    pub const PATH: &str = "conversation_path";
    /// The total duration of the sessions in microseconds; null if no session has one.
    pub const DURATION: &str = "duration";

    /// Returns the plan of the chains whose root is among some rows of `sessions`: a row for each of these
    /// rows, with the columns above, the root's `user_phone` and `user_key`, and the columns `brought` from
    /// the row. The sessions below a root are those of the whole lake.
    ///
    /// # Errors
    /// Those of building a plan.
    pub fn plan(
        self,
        tables: &Tables,
        roots: LazyFrame,
        brought: &[Expr],
    ) -> PolarsResult<LazyFrame> {
        let sessions = || tables.scan(&sessions::TABLE);
        let of_root = [
            col(SESSION_KEY),
            col(SESSION_ID).alias(Self::ROOT_SESSION_ID),
            col(USER_PHONE),
            col(USER_KEY),
            col(SESSION_STARTED_TIMESTAMP).alias(Self::STARTED_AT),
            col(PARENT_SESSION_ID).is_not_null().alias(Self::ROOT_MISSING),
        ];
        let roots = roots.select([&of_root[..], brought].concat());

        let by_key = [col(SESSION_KEY)];
        let redirected = sessions().filter(col(PARENT_SESSION_ID).is_not_null());
        let linked = if self.min_sessions > 1 {
            let ends = [
                redirected.clone().select([col(SESSION_KEY)]),
                redirected.select([parent_key().alias(SESSION_KEY)]),
            ];
            let ends = concat(ends, UnionArgs::default())?;
            sessions().join(ends, &by_key, &by_key, JoinArgs::new(JoinType::Semi))
        } else {
            sessions()
        };
        let linked = linked.select([
            col(SESSION_KEY),
            parent_key().alias(PARENT_KEY),
            col(SESSION_STARTED_TIMESTAMP),
            col(SESSION_ID),
            col(CONVERSATION_ID),
            session_duration().alias(Self::DURATION),
        ]);
        let chains = node(linked, "chains of redirected sessions".to_owned(), chain_schema(), walk)
            .filter(col(Self::SESSIONS).gt_eq(lit(self.min_sessions)));
        Ok(chains.join(roots, &by_key, &by_key, JoinArgs::new(JoinType::Inner)))
    }

    /// Binds the parameter of the SQL fragment `{chains}`, which follows the roots as `roots`: `session_id`,
    /// `user_phone`, `started_at`, `root_missing` and the columns of `{then_by_columns}`.
    pub fn bind(self, bindings: Bindings) -> Bindings {
        bindings.integer("min_sessions", i64::from(self.min_sessions))
    }
}

const PARENT_KEY: &str = "parent_key";

fn chain_schema() -> Schema {
    let int64 = |name: &str| Field::new(name.into(), DataType::Int64);
    Schema::from_iter([
        int64(SESSION_KEY),
        int64(Chains::LAST_KEY),
        int64(Chains::SESSIONS),
        int64(Chains::DEPTH),
        Field::new(Chains::PATH.into(), DataType::String),
        int64(Chains::DURATION),
    ])
}

/// Walks the trees of sessions: one row per root, with the columns of its chain.
fn walk(sessions: DataFrame) -> PolarsResult<DataFrame> {
    let in_order = SortMultipleOptions::default();
    let sessions = on_all_cores(|| {
        let mut sessions = sessions.sort([SESSION_STARTED_TIMESTAMP, SESSION_ID], in_order)?;
        sessions.rechunk_mut_par();
        PolarsResult::Ok(sessions)
    })?;
    let forest =
        Forest::of(sessions.column(SESSION_KEY)?.i64()?, sessions.column(PARENT_KEY)?.i64()?);
    let of_slice = |slice| walk_from(&forest.roots[slice], &forest, &sessions);
    stacked(by_slices(forest.roots.len(), of_slice))
}

/// The chains of some roots.
fn walk_from(roots: &[usize], forest: &Forest, sessions: &DataFrame) -> PolarsResult<DataFrame> {
    let keys = sessions.column(SESSION_KEY)?.i64()?;
    let conversations = sessions.column(CONVERSATION_ID)?.str()?;
    let durations = sessions.column(Chains::DURATION)?.i64()?;
    let height = roots.len();
    let (mut first, mut last) = (Vec::with_capacity(height), Vec::with_capacity(height));
    let (mut counts, mut depths) = (Vec::with_capacity(height), Vec::with_capacity(height));
    let (mut paths, mut lasted) = (Vec::with_capacity(height), Vec::with_capacity(height));
    let mut ahead = Vec::new();
    for root in roots {
        let (mut latest, mut count, mut depth) = (*root, 0_i64, 0_i64);
        let (mut path, mut duration) = (String::new(), None);
        ahead.push((*root, 1));
        while let Some((place, level)) = ahead.pop() {
            latest = latest.max(place);
            count += 1;
            depth = depth.max(level);
            if !path.is_empty() {
                path.push_str(" > ");
            }
            path.push_str(conversations.get(place).unwrap_or("?"));
            if let Some(micros) = durations.get(place) {
                *duration.get_or_insert(0) += micros;
            }
            let children = forest.children(place).iter().rev();
            ahead.extend(children.map(|child| (*child, level + 1)));
        }
        first.push(keys.get(*root));
        last.push(keys.get(latest));
        counts.push(count);
        depths.push(depth);
        paths.push(path);
        lasted.push(duration);
    }
    let columns = vec![
        Column::new(SESSION_KEY.into(), first),
        Column::new(Chains::LAST_KEY.into(), last),
        Column::new(Chains::SESSIONS.into(), counts),
        Column::new(Chains::DEPTH.into(), depths),
        Column::new(Chains::PATH.into(), paths),
        Column::new(Chains::DURATION.into(), lasted),
    ];
    DataFrame::new(height, columns)
}

/// The trees of redirected sessions. A session is its row in order of start.
struct Forest {
    /// Sessions without a parent among the rows.
    roots: Vec<usize>,
    /// The bounds of each session's children in `children`.
    bounds: Vec<usize>,
    /// The children of all sessions, grouped by parent.
    children: Vec<usize>,
}

impl Forest {
    fn of(keys: &Int64Chunked, parents: &Int64Chunked) -> Self {
        let mut places = PlHashMap::with_capacity(keys.len());
        places.extend(keys.iter().enumerate().map(|(place, key)| (key, place)));
        let parents: Vec<Option<usize>> =
            parents.iter().map(|key| key.and_then(|_| places.get(&key).copied())).collect();

        let mut bounds = vec![0; keys.len() + 1];
        for parent in parents.iter().flatten() {
            bounds[parent + 1] += 1;
        }
        for place in 0..keys.len() {
            bounds[place + 1] += bounds[place];
        }
        let mut next = bounds.clone();
        let mut children = vec![0; bounds[keys.len()]];
        let mut roots = Vec::new();
        for (place, parent) in parents.into_iter().enumerate() {
            match parent {
                Some(parent) => {
                    children[next[parent]] = place;
                    next[parent] += 1;
                }
                None => roots.push(place),
            }
        }
        Self { roots, bounds, children }
    }

    fn children(&self, of: usize) -> &[usize] {
        &self.children[self.bounds[of]..self.bounds[of + 1]]
    }
}

#[cfg(test)]
mod tests {
    use polars::prelude::df;

    use super::*;

    /// Ten thousand sessions in one chain, and ten thousand on one cycle.
    #[test]
    fn long_chains_are_walked_and_cycles_are_left_out() {
        const LONG: i64 = 10_000;
        let keys: Vec<i64> = (0..2 * LONG).rev().collect();
        let parents: Vec<Option<i64>> = keys
            .iter()
            .map(|key| match *key {
                0 => None,
                LONG => Some(2 * LONG - 1),
                key => Some(key - 1),
            })
            .collect();
        let ids: Vec<String> = keys.iter().map(|key| format!("s{key}")).collect();
        let sessions = df![
            SESSION_KEY => &keys,
            PARENT_KEY => parents,
            SESSION_STARTED_TIMESTAMP => &keys,
            SESSION_ID => ids,
            CONVERSATION_ID => vec!["12"; keys.len()],
            Chains::DURATION => vec![2_i64; keys.len()],
        ];
        let chains = walk(sessions.unwrap()).unwrap();
        let path = vec!["12"; 10_000].join(" > ");
        let expected = df![
            SESSION_KEY => [0],
            Chains::LAST_KEY => [LONG - 1],
            Chains::SESSIONS => [LONG],
            Chains::DEPTH => [LONG],
            Chains::PATH => [path],
            Chains::DURATION => [2 * LONG],
        ];
        assert_eq!(chains, expected.unwrap());
    }
}
