//! The nodes of flows: their labels, their places, and which of them end a flow.
//!
//! A node of a version is the row of that version, else the row without a version, as a whole.

use polars::prelude::{
    DataFrame, DataType, Expr, Field, IntoLazy, JoinArgs, JoinType, LazyFrame, NULL, PolarsResult,
    Schema, SortMultipleOptions, UnionArgs, UniqueKeepStrategy, by_name, col, concat, lit, when,
};
use wabalake_data::tables::nodes::{
    self, CONVERSATION_ID, CONVERSATION_VERSION, IS_FINAL, LABEL, NODE_ID, POSITION, QUESTION,
};

use super::tables::Tables;
use crate::kernels::{node, once};

/// Adds the label and the place of the node that a column of `rows` names, and whether it ends the flow;
/// null if the node is not known. `rows` have `conversation_id` and `conversation_version`, too.
pub fn named(rows: LazyFrame, node: &str, tables: &Tables) -> LazyFrame {
    with_details(rows, node, &[LABEL, POSITION, IS_FINAL], tables)
}

/// [`named`] with some of the details only.
pub fn with_details(
    rows: LazyFrame,
    node: &str,
    names: &[&'static str],
    tables: &Tables,
) -> LazyFrame {
    const IS_OWN: &str = "is_node_of_version";
    let of_all = |detail: &str| format!("{detail}_of_all");
    let of_version = |detail: &str| format!("{detail}_of_version");
    let details = |name: &dyn Fn(&str) -> String| -> Vec<Expr> {
        names.iter().map(|of| col(*of).alias(name(of))).collect()
    };
    let left = || JoinArgs::new(JoinType::Left);

    let key = [CONVERSATION_ID, CONVERSATION_VERSION, NODE_ID].map(col);
    let columns = key.iter().cloned().chain(names.iter().map(|of| col(*of)));
    let nodes = tables.scan(&nodes::TABLE).select(columns.collect::<Vec<_>>());
    let nodes = once(nodes);
    let all = nodes.clone().filter(col(CONVERSATION_VERSION).is_null());
    let all = all.select([&[col(CONVERSATION_ID), col(NODE_ID)][..], &details(&of_all)].concat());
    let own = nodes.filter(col(CONVERSATION_VERSION).is_not_null());
    let own = own.select([&key[..], &details(&of_version), &[lit(true).alias(IS_OWN)]].concat());

    let whole = names.iter().map(|detail| {
        let own = when(col(IS_OWN)).then(col(of_version(detail)));
        own.otherwise(col(of_all(detail))).alias(*detail)
    });
    let whole: Vec<Expr> = whole.collect();
    let helpers = names.iter().flat_map(|detail| [of_all(detail), of_version(detail)]);
    let helpers: Vec<String> = helpers.chain([IS_OWN.to_owned()]).collect();
    rows.join(own, [col(CONVERSATION_ID), col(CONVERSATION_VERSION), col(node)], key, left())
        .join(all, [col(CONVERSATION_ID), col(node)], [col(CONVERSATION_ID), col(NODE_ID)], left())
        .with_columns(whole)
        .drop(by_name(helpers, true, false))
}

/// Adds a column that is `true` if a node of the version of the flow is known, whichever it is, else `false`.
/// `rows` have `conversation_id` and `conversation_version`.
pub fn with_known(rows: LazyFrame, is_known: &'static str, tables: &Tables) -> LazyFrame {
    const OF_ALL: &str = "has_node_of_all";
    const OF_VERSION: &str = "has_node_of_version";
    let left = || JoinArgs::new(JoinType::Left);
    let version = [CONVERSATION_ID, CONVERSATION_VERSION].map(col);
    let nodes = once(tables.scan(&nodes::TABLE).select(&version));
    let marked = |flows: LazyFrame, mark: &'static str| {
        flows.unique(None, UniqueKeepStrategy::Any).with_column(lit(true).alias(mark))
    };
    let all = nodes.clone().filter(col(CONVERSATION_VERSION).is_null());
    let all = marked(all.select([col(CONVERSATION_ID)]), OF_ALL);
    let own = marked(nodes.filter(col(CONVERSATION_VERSION).is_not_null()), OF_VERSION);
    let known = col(OF_VERSION).or(col(OF_ALL)).fill_null(lit(false));
    rows.join(own, &version, &version, left())
        .join(all, [col(CONVERSATION_ID)], [col(CONVERSATION_ID)], left())
        .with_column(known.alias(is_known))
        .drop(by_name([OF_ALL, OF_VERSION], true, false))
}

/// Adds the node of the version of the flow that asks the question in the column `name`: its id, label and place.
/// Of several the one with the least place counts, then that with the least id; null if none asks it. `rows` have
/// `conversation_id` and `conversation_version`.
pub fn asking(rows: LazyFrame, name: &str, tables: &Tables) -> LazyFrame {
    const IS_OWN: &str = "is_question_of_version";
    const DETAILS: [&str; 3] = [NODE_ID, LABEL, POSITION];
    let of_version = |detail: &str| format!("{detail}_of_version");
    let left = || JoinArgs::new(JoinType::Left);
    let fields = ASKING.map(|name| {
        let is_number = [CONVERSATION_VERSION, POSITION].contains(&name);
        Field::new(name.into(), if is_number { DataType::Int32 } else { DataType::String })
    });
    let asked = tables.scan(&nodes::TABLE).select(ASKING.map(col));
    let schema = fields.into_iter().collect::<Schema>();
    let asked = node(asked, "nodes that ask".to_owned(), schema, asked_once);
    let all = asked.clone().filter(col(CONVERSATION_VERSION).is_null());
    let all = all.select([&[CONVERSATION_ID, QUESTION].map(col)[..], &DETAILS.map(col)].concat());
    let own = asked.filter(col(CONVERSATION_VERSION).is_not_null());
    let version = || [CONVERSATION_ID, CONVERSATION_VERSION].map(col);
    let details = DETAILS.map(|detail| col(detail).alias(of_version(detail)));
    let marked = [col(QUESTION), lit(true).alias(IS_OWN)];
    let own = own.select([&version()[..], &marked, &details].concat());
    let whole = DETAILS.map(|detail| {
        let own = when(col(IS_OWN)).then(col(of_version(detail)));
        own.otherwise(col(detail)).alias(detail)
    });
    let helpers: Vec<String> =
        DETAILS.iter().map(|detail| of_version(detail)).chain([IS_OWN.to_owned()]).collect();
    let question = |column: &str| [&version()[..], &[col(column)]].concat();
    rows.join(own, question(name), question(QUESTION), left())
        .join(all, [col(CONVERSATION_ID), col(name)], [col(CONVERSATION_ID), col(QUESTION)], left())
        .with_columns(whole)
        .drop(by_name(helpers, true, false))
}

/// The columns of nodes that ask.
const ASKING: [&str; 6] =
    [CONVERSATION_ID, CONVERSATION_VERSION, QUESTION, NODE_ID, LABEL, POSITION];

/// One node for each question of all versions, and of each version that has nodes of its own. Where such a
/// version has another node in place of that of all versions, the question has a row without a node.
fn asked_once(nodes: DataFrame) -> PolarsResult<DataFrame> {
    let columns = ASKING.map(col);
    let (flow, version) = ([col(CONVERSATION_ID)], [CONVERSATION_ID, CONVERSATION_VERSION]);
    let [of_node, of_question] =
        [NODE_ID, QUESTION].map(|column| [&version.map(col)[..], &[col(column)]].concat());
    let join = |of: JoinType| JoinArgs::new(of);
    let nodes = nodes.lazy();
    let all = nodes.clone().filter(col(CONVERSATION_VERSION).is_null());
    let own = nodes.clone().filter(col(CONVERSATION_VERSION).is_not_null());
    let versions = own.clone().select(version.map(col)).unique(None, UniqueKeepStrategy::Any);
    let of_all = all.clone().drop(by_name([CONVERSATION_VERSION], true, false));
    let of_all = versions.join(of_all, &flow, &flow, join(JoinType::Inner)).select(&columns);
    let inherited = of_all.clone().join(own.clone(), &of_node, &of_node, join(JoinType::Anti));
    let replaced = of_all.with_columns([
        lit(NULL).cast(DataType::String).alias(NODE_ID),
        lit(NULL).cast(DataType::String).alias(LABEL),
        lit(NULL).cast(DataType::Int32).alias(POSITION),
    ]);
    let asking = concat([all, own, inherited, replaced], UnionArgs::default())?;
    // A row without a node is last.
    let least = SortMultipleOptions::default().with_nulls_last(true);
    asking
        .filter(col(QUESTION).is_not_null())
        .sort_by_exprs([col(NODE_ID).is_null(), col(POSITION), col(NODE_ID)], least)
        .unique_stable_generic(Some(of_question), UniqueKeepStrategy::First)
        .select(columns)
        .collect()
}

/// The known nodes of versions of flows, as a column `node`. The versions have distinct rows of `keys`,
/// `conversation_id` and `conversation_version` among them.
///
/// # Errors
/// Those of building a plan.
pub fn of_versions(
    versions: LazyFrame,
    keys: &[Expr],
    node: &str,
    tables: &Tables,
) -> PolarsResult<LazyFrame> {
    let with_node = [keys, &[col(NODE_ID)]].concat();
    let nodes = tables.scan(&nodes::TABLE);
    let nodes = once(nodes.select([CONVERSATION_ID, CONVERSATION_VERSION, NODE_ID].map(col)));
    let of_a_version = nodes.clone().filter(col(CONVERSATION_VERSION).is_not_null());
    let of_all = nodes.filter(col(CONVERSATION_VERSION).is_null());
    let of_all = of_all.select([CONVERSATION_ID, NODE_ID].map(col));
    let inner = || JoinArgs::new(JoinType::Inner);
    let version = [col(CONVERSATION_ID), col(CONVERSATION_VERSION)];
    let own = versions.clone().join(of_a_version, &version, &version, inner());
    let own = own.select(&with_node);
    let all = versions.join(of_all, [col(CONVERSATION_ID)], [col(CONVERSATION_ID)], inner());
    let all = all.select(&with_node);
    let anti = JoinArgs { nulls_equal: true, ..JoinArgs::new(JoinType::Anti) };
    let others = all.join(own.clone(), &with_node, &with_node, anti);
    Ok(concat([own, others], UnionArgs::default())?
        .select([keys, &[col(NODE_ID).alias(node)]].concat()))
}
