//! Groups with exact counts of people and quantiles, in one pass over the rows.
//!
//! ```text
//! rows ─► number of the group ─┬─► sums and counts (Polars, by number) ─┬─► join by number
//!                              ├─► distinct people                      │
//!                              └─► quantiles ───────────────────────────┘
//! ```
//!
//! Polars counts distinct people by hashing pairs of keys and person, a set of all pairs, and has no
//! quantiles in its streaming engine.

use std::sync::Arc;

use polars::prelude::{Expr, JoinArgs, JoinType, LazyFrame, by_name, col, lit};
use wabalake_data::tables::USER_KEY;

use super::dictionary::{Numbers, number_by, text_of};
use super::distinct::distinct;
use super::once;
use super::quantiles::{Quantiles, quantiles};
use crate::query::measures::seconds;

/// The column of the number of a row's group.
const GROUP: &str = "group_number";

/// A group-by whose groups are numbered.
#[must_use]
pub struct Groups {
    numbered: LazyFrame,
    numbers: Arc<Numbers>,
    keys: Vec<Expr>,
    /// The keys that are texts, by name.
    texts: Vec<&'static str>,
    users: Vec<(&'static str, Expr)>,
    quantiles: Vec<Quantiles>,
    found: Vec<LazyFrame>,
}

impl Groups {
    /// Groups rows by columns; see [`number`](super::dictionary::number) for their types.
    pub fn of(rows: LazyFrame, keys: impl Into<Vec<Expr>>) -> Self {
        let keys = keys.into();
        let numbers = Arc::new(Numbers::of(keys.len()));
        let numbered = rows.with_column(number_by(&numbers, &keys).alias(GROUP));
        Self {
            numbered,
            numbers,
            keys,
            texts: Vec::new(),
            users: Vec::new(),
            quantiles: Vec::new(),
            found: Vec::new(),
        }
    }

    /// Names keys that are columns of texts. An answer has their texts by the number of the group, which
    /// costs less than to carry them along with every row.
    pub fn texts(mut self, names: impl IntoIterator<Item = &'static str>) -> Self {
        self.texts.extend(names);
        self
    }

    /// Counts the distinct people of a group. Rows without a phone do not count.
    pub fn users(self, name: &'static str) -> Self {
        self.users_where(name, lit(true))
    }

    /// Counts the distinct people of the rows for which a predicate is true.
    pub fn users_where(mut self, name: &'static str, predicate: Expr) -> Self {
        self.users.push((name, predicate));
        self
    }

    /// Quantiles of a column of microseconds, in seconds, by linear interpolation; null without any.
    /// Shares are from 0 to 1, ascending.
    pub fn quantiles_seconds(
        mut self,
        of: &'static str,
        shares: impl Into<Vec<(&'static str, f64)>>,
    ) -> Self {
        self.quantiles.push(Quantiles { of, shares: shares.into() });
        self
    }

    /// Measures of another plan over the rows, which have the number of their group in the column that is
    /// passed by name. The plan has a row for each number that it knows, and brings its other columns. A group
    /// of which it has several rows has as many in the answer.
    pub fn measured(mut self, plan: impl FnOnce(LazyFrame, &'static str) -> LazyFrame) -> Self {
        if self.found.is_empty() {
            self.numbered = once(self.numbered);
        }
        self.found.push(plan(self.numbered.clone(), GROUP));
        self
    }

    /// Returns the plan of the answer: a row for each group, with its keys, these measures, and the counts
    /// and quantiles.
    pub fn agg(self, measures: impl Into<Vec<Expr>>) -> LazyFrame {
        let Self { numbered, numbers, keys, texts, users, quantiles: asked, found } = self;
        let (mut aggregated, mut looked_up) = (Vec::new(), Vec::new());
        for (at, key) in keys.into_iter().enumerate() {
            if let Expr::Column(name) = &key
                && texts.contains(&name.as_str())
            {
                looked_up.push(text_of(&numbers, at, col(GROUP)).alias(name.clone()));
            } else {
                aggregated.push(key.first());
            }
        }
        aggregated.extend(measures.into());
        let mut groups = numbered.clone().group_by([col(GROUP)]).agg(aggregated);
        groups = groups.with_columns(looked_up);
        let by_number = |groups: LazyFrame, found: LazyFrame| {
            groups.join(found, [col(GROUP)], [col(GROUP)], JoinArgs::new(JoinType::Left))
        };
        groups = found.into_iter().fold(groups, by_number);
        if !users.is_empty() {
            let counts = users.iter().map(|(name, _)| col(*name).fill_null(lit(0)));
            let counts: Vec<Expr> = counts.collect();
            let people = distinct(numbered.clone(), GROUP, USER_KEY, &users);
            groups = by_number(groups, people).with_columns(counts);
        }
        if !asked.is_empty() {
            let names = asked.iter().flat_map(|of| of.shares.iter().map(|(name, _)| *name));
            let in_seconds: Vec<Expr> = names.map(|name| seconds(col(name)).alias(name)).collect();
            groups = by_number(groups, quantiles(numbered, GROUP, asked)).with_columns(in_seconds);
        }
        groups.drop(by_name([GROUP], true, false))
    }
}

#[cfg(test)]
mod tests {
    use polars::prelude::{DataFrame, Engine, IntoLazy, SortMultipleOptions, df};
    use proptest::prelude::*;

    use super::*;
    use crate::query::measures::{quantile_seconds, rows, users};

    /// Text, number, person, microseconds and mark of a row.
    type Row = (Option<String>, Option<i32>, Option<i64>, Option<i64>, Option<bool>);

    fn row() -> impl Strategy<Value = Row> {
        let text = prop::option::of("(|a|b|a text of more than 12 bytes|one more text as long)");
        // One person has most rows.
        let person =
            prop_oneof![4 => Just(Some(7)), 1 => Just(None), 3 => prop::option::of(any::<i64>())];
        let micros = prop_oneof![2 => 0..4_i64, 1 => 0..9_000_000_000_i64];
        (text, prop::option::of(-2..3_i32), person, prop::option::of(micros), any::<Option<bool>>())
    }

    fn frame(rows: &[Row]) -> DataFrame {
        let texts: Vec<_> = rows.iter().map(|row| row.0.clone()).collect();
        let numbers: Vec<_> = rows.iter().map(|row| row.1).collect();
        let people: Vec<_> = rows.iter().map(|row| row.2).collect();
        let micros: Vec<_> = rows.iter().map(|row| row.3).collect();
        let marks: Vec<_> = rows.iter().map(|row| row.4).collect();
        df!["text" => texts, "number" => numbers, USER_KEY => people, "micros" => micros, "marked" => marks]
            .unwrap()
    }

    fn sorted(answer: LazyFrame, keys: &[Expr], engine: Engine) -> DataFrame {
        let columns =
            [keys, &["rows", "users", "marked_users", "low", "p50", "p99"].map(col)].concat();
        let answer = answer.select(columns).sort_by_exprs(keys, SortMultipleOptions::default());
        answer.collect_with_engine(engine).unwrap().unwrap_single()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn groups_are_those_of_a_plain_group_by(
            given in prop::collection::vec(row(), 0..60),
            repeated in prop_oneof![4 => Just(1), 1 => Just(400)],
            by in prop_oneof![
                Just(vec!["text", "number"]), Just(vec!["number"]), Just(vec!["text"]),
                Just(vec!["number", "text", "marked"]),
            ],
            texts in prop_oneof![Just(Vec::new()), Just(vec!["text"])],
        ) {
            let keys: Vec<Expr> = by.into_iter().map(col).collect();
            let given = std::iter::repeat_n(given, repeated).flatten().collect::<Vec<_>>();
            let given = frame(&given).lazy();
            let counted = [rows().alias("rows")];
            let marked = col("marked").and(col(USER_KEY).is_not_null());
            let plain = given.clone().group_by(&keys).agg([
                rows().alias("rows"),
                users().alias("users"),
                col(USER_KEY).filter(marked).n_unique().alias("marked_users"),
                quantile_seconds("micros", 0.0).alias("low"),
                quantile_seconds("micros", 0.5).alias("p50"),
                quantile_seconds("micros", 0.99).alias("p99"),
            ]);
            let plain = sorted(plain, &keys, Engine::InMemory);
            for engine in [Engine::InMemory, Engine::Streaming] {
                let groups = Groups::of(given.clone(), keys.clone())
                    .texts(texts.clone())
                    .users("users")
                    .users_where("marked_users", col("marked"))
                    .quantiles_seconds("micros", [("low", 0.0), ("p50", 0.5), ("p99", 0.99)])
                    .agg(counted.clone());
                let groups = sorted(groups, &keys, engine);
                prop_assert!(groups.equals_missing(&plain), "{groups}\n{plain}");
            }
        }
    }
}
