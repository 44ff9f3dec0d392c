//! Whether sessions may have reached the end of their flow, by their last node.
//!
//! ```text
//! flow  version  node   known nodes of flow 7                        may end
//! 7     2        n9     n9 of version 2 ends, n9 of all does not     yes
//! 7     1        n9     n9 of all does not                           no
//! 7     1        n4                                                  no: other nodes are known
//! 8     1        n4                                                  yes: no node is known
//! ```

use polars::prelude::{Field, UnionArgs, UniqueKeepStrategy, by_name, concat};
use wabalake_data::tables::nodes::{
    self, CONVERSATION_ID, CONVERSATION_VERSION, IS_FINAL, NODE_ID,
};

use crate::kernels::{key_of, key_of_text, node};
use crate::query::prelude::*;

/// The hash of the id of a flow; null without one.
pub(super) const FLOW: &str = "flow";
/// The version of the flow.
pub(super) const VERSION: &str = "version";
/// The hash of the id of the last node; null without one.
pub(super) const NODE: &str = "node";
/// `false` if nodes of the version are known, and the last node is none of them that ends the flow.
pub(super) const MAY_END: &str = "may_end";

/// The hash of what is known: a node of a version or of all versions, a version, or a flow.
const KEY: &str = "key_of_known";
/// `true` if what is known is a node that ends the flow.
const ENDS: &str = "ends";

/// What tells whether a session may have ended its flow. The first that is known counts.
const KNOWN: [&[&str]; 4] = [&[FLOW, VERSION, NODE], &[FLOW, NODE], &[FLOW, VERSION], &[FLOW]];

/// Adds the column [`MAY_END`] to rows with [`FLOW`], [`VERSION`] and [`NODE`].
pub(super) fn with_may_end(rows: LazyFrame, tables: &Tables) -> LazyFrame {
    let known = known(tables);
    let found = ["node_of_version", "node_of_all", "version_known", "flow_known"];
    let rows = KNOWN.into_iter().zip(found).fold(rows, |rows, (columns, found)| {
        let known = known.clone().select([col(KEY), col(ENDS).alias(found)]);
        let left = JoinArgs::new(JoinType::Left);
        let rows = rows.with_column(key(columns).alias(KEY));
        rows.join(known, [col(KEY)], [col(KEY)], left).drop(by_name([KEY], true, false))
    });
    let others = found.into_iter().map(col).rev();
    let may_end = others.fold(lit(true), |other, found| found.fill_null(other));
    rows.with_column(may_end.alias(MAY_END)).drop(by_name(found, true, false))
}

/// What is known of flows: keys of [`KNOWN`], each once.
fn known(tables: &Tables) -> LazyFrame {
    let nodes = tables.scan(&nodes::TABLE).select([
        key_of_text(col(CONVERSATION_ID)).alias(FLOW),
        col(CONVERSATION_VERSION).alias(VERSION),
        key_of_text(col(NODE_ID)).alias(NODE),
        col(IS_FINAL).fill_null(lit(false)).alias(IS_FINAL),
    ]);
    let fields = [(KEY, DataType::Int64), (ENDS, DataType::Boolean)];
    let schema = fields.map(|(name, of)| Field::new(name.into(), of)).into_iter().collect();
    node(nodes, "known nodes of flows".to_owned(), schema, |nodes| {
        let nodes = nodes.lazy();
        let of = |columns: &[&str]| {
            let is_of_version = col(VERSION).is_not_null();
            let of_version = columns.contains(&VERSION);
            let counts = if of_version { is_of_version } else { is_of_version.not() };
            let ends = if columns.contains(&NODE) { col(IS_FINAL) } else { lit(false) };
            nodes.clone().filter(counts).select([key(columns).alias(KEY), ends.alias(ENDS)])
        };
        let known = concat(KNOWN.map(of), UnionArgs::default())?;
        known.unique(None, UniqueKeepStrategy::Any).collect()
    })
}

fn key(columns: &[&str]) -> Expr {
    let columns: Vec<Expr> = columns.iter().map(|column| col(*column)).collect();
    key_of(&columns)
}
