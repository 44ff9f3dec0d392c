//! Plans are linear in the number of rows, however skewed the join keys are: a placeholder phone may
//! have all rows, and an id may be missing from all.

use std::collections::BTreeSet;
use std::sync::Arc;

use polars::lazy::dsl::any_horizontal;
use polars::prelude::*;
use wabalake_data::Table;
use wabalake_data::tables::{
    USER_KEY, conversions, deployments, instant, key_part, messages, sessions,
};
use wabalake_queries::CATALOG;
use wabalake_queries::query::{CatalogEntry, ENGINE, Tables};

use crate::fixtures;
use crate::golden::{ask, on_a_large_stack};

/// The rows of each table, unless its key makes fewer of them.
const ROWS: u32 = 200;

/// Columns that identify the person and the objects of a row.
const UNEVEN: [&str; 9] = [
    sessions::USER_PHONE,
    sessions::SESSION_ID,
    sessions::PARENT_SESSION_ID,
    sessions::CONVERSATION_ID,
    sessions::LINE_WHATSAPP_NUMBER,
    sessions::COUNTRY,
    messages::LINE,
    messages::TEMPLATE_NAME,
    messages::WABA_ID,
];

/// The tables of a query within one hour. Every uneven column has one value in all rows, or null; the
/// keys of rows stay unique.
fn uneven(entry: &CatalogEntry, same: Option<&str>) -> Tables {
    fixtures::given().fold(Tables::new(), |tables, table| {
        let rows = fixtures::read(entry, table);
        if rows.height() == 0 {
            return tables;
        }
        let height = u32::try_from(rows.height()).unwrap();
        let cycled: IdxCa = (0..ROWS).map(|row| Some(row % height)).collect();
        let mut rows = rows.take(&cycled).unwrap();
        let own = match table.key {
            [only] => Some(*only),
            _ => None,
        };
        for name in UNEVEN.into_iter().filter(|name| table.position(name).is_some()) {
            let cells = StringChunked::full_null(name.into(), rows.height());
            let cells =
                same.map_or(cells, |text| StringChunked::full(name.into(), text, rows.height()));
            rows.with_column(cells.into_column()).unwrap();
        }
        if let Some(own) = own {
            let ids =
                (0..ROWS).map(|row| Some(if row == 0 { "same".into() } else { format!("r{row}") }));
            let ids: StringChunked = ids.collect();
            rows.with_column(ids.with_name(own.into()).into_column()).unwrap();
        }
        let rows = keyed(close_together(rows, table), table).lazy();
        let key = table.key.iter().map(|column| key_part(column)).collect();
        let rows = rows.unique_stable_generic(Some(key), UniqueKeepStrategy::First);
        tables.with(table, rows.collect().unwrap().lazy())
    })
}

/// Rows whose timestamps are some seconds apart.
fn close_together(mut rows: DataFrame, table: &Table) -> DataFrame {
    let stamps = table.columns.iter().filter(|column| column.data_type() == instant());
    for (place, stamp) in (0..).zip(stamps) {
        let was_set = rows.column(stamp.name).unwrap().is_not_null();
        let at = (0..i64::from(ROWS)).zip(was_set.iter()).map(|(row, set)| {
            set.unwrap().then_some(1_748_736_000_000_000 + (row * 10 + place) * 1_000_000)
        });
        let at: Int64Chunked = at.collect();
        let at = at.with_name(stamp.name.into()).into_series().cast(&instant()).unwrap();
        rows.with_column(at.into_column()).unwrap();
    }
    rows
}

/// Rows with their hash columns recomputed.
fn keyed(mut rows: DataFrame, table: &Table) -> DataFrame {
    for (hash, of) in table.hashes {
        if let Ok(texts) = rows.clone().lazy().select([key_part(of)]).collect() {
            let texts = texts.columns()[0].clone();
            let hashes = fixtures::hashed(texts).unwrap().with_name((*hash).into());
            rows.with_column(hashes).unwrap();
        }
    }
    rows
}

/// A join of a plan.
struct Join {
    whole: DslPlan,
    left: Arc<DslPlan>,
    on: Vec<Expr>,
    args: JoinArgs,
}

/// Collects the joins of a plan, each once.
fn joins(plan: &DslPlan, met: &mut BTreeSet<usize>, found: &mut Vec<Join>) {
    let inputs: Vec<&DslPlan> = match plan {
        DslPlan::DataFrameScan { .. } => vec![],
        DslPlan::Filter { input, .. }
        | DslPlan::Cache { input, .. }
        | DslPlan::Select { input, .. }
        | DslPlan::GroupBy { input, .. }
        | DslPlan::HStack { input, .. }
        | DslPlan::Distinct { input, .. }
        | DslPlan::Sort { input, .. }
        | DslPlan::Slice { input, .. }
        | DslPlan::Pivot { input, .. }
        | DslPlan::MapFunction { input, .. } => vec![input],
        DslPlan::Union { inputs, .. } | DslPlan::HConcat { inputs, .. } => inputs.iter().collect(),
        DslPlan::PipeWithSchema { input, .. } => input.iter().collect(),
        DslPlan::Join { input_left, input_right, left_on, options, .. } => {
            if !met.insert(Arc::as_ptr(input_left).addr() ^ Arc::as_ptr(input_right).addr()) {
                return;
            }
            found.push(Join {
                whole: plan.clone(),
                left: input_left.clone(),
                on: left_on.clone(),
                args: options.args.clone(),
            });
            vec![input_left, input_right]
        }
        other => panic!("{other:?}"),
    };
    for input in inputs {
        joins(input, met, found);
    }
}

/// Counts rows as structs of all columns, because Polars may miscount rows without any column.
fn height(rows: LazyFrame) -> LazyFrame {
    rows.select([as_struct(vec![all().as_expr()]).len().cast(DataType::Int64).alias(COUNT)])
}

/// The count of each of some frames.
fn numbers(of: Vec<LazyFrame>) -> Vec<i64> {
    if of.is_empty() {
        return vec![];
    }
    let together = concat(of, UnionArgs::default()).unwrap();
    let counts = on_a_large_stack(|| together.collect_with_engine(ENGINE).unwrap().unwrap_single());
    counts.column(COUNT).unwrap().i64().unwrap().iter().flatten().collect()
}

const COUNT: &str = "count";

fn joins_of(entry: &CatalogEntry, tables: &Tables) -> Vec<Join> {
    let question = ask(entry, &entry.needs());
    let (mut met, mut found) = (BTreeSet::new(), Vec::new());
    joins(&question.plan(tables).unwrap().logical_plan, &mut met, &mut found);
    found
}

#[test]
fn no_join_pairs_all_rows_of_a_person() {
    let rows = i64::from(ROWS) * i64::try_from(fixtures::given().count()).unwrap();
    let mut faults = Vec::new();
    for entry in CATALOG {
        let joins = joins_of(entry, &uneven(entry, Some("same")));
        let heights = joins.iter().map(|join| height(LazyFrame::from(join.whole.clone())));
        let heights = numbers(heights.collect());
        for (join, height) in joins.iter().zip(heights).filter(|(_, height)| *height > rows) {
            faults.push(format!("{}: {height} rows of a join on {:?}", entry.spec.name, join.on));
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn rows_without_a_key_are_not_joined() {
    let few = i64::from(ROWS / 4);
    let mut faults = Vec::new();
    for entry in CATALOG {
        // Left and full joins keep rows with a null key, which Polars processes one by one.
        let keeps = |join: &Join| matches!(join.args.how, JoinType::Left | JoinType::Full);
        let joins = joins_of(entry, &uneven(entry, None)).into_iter();
        let joins: Vec<Join> = joins.filter(|join| keeps(join) && !join.args.nulls_equal).collect();
        let without = joins.iter().map(|join| {
            let null: Vec<Expr> = join.on.iter().map(|key| key.clone().is_null()).collect();
            let count = any_horizontal(null).unwrap().sum().cast(DataType::Int64).alias(COUNT);
            LazyFrame::from(DslPlan::clone(&join.left)).select([count])
        });
        let without = numbers(without.collect());
        for (join, rows) in joins.iter().zip(without).filter(|(_, rows)| *rows > few) {
            let name = entry.spec.name;
            faults.push(format!("{name}: {rows} rows without a key joined on {:?}", join.on));
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

/// A test of the fixtures: naive equi-joins on them are detected.
#[test]
fn naive_joins_on_uneven_tables_are_detected() {
    let entry = &CATALOG[0];
    let [same, none] = [Some("same"), None].map(|text| uneven(entry, text));
    let people = [col(USER_KEY)];
    let rows = i64::from(ROWS);
    let sent = same.scan(&deployments::TABLE);
    let each = sent.clone().join(sent, &people, &people, JoinArgs::new(JoinType::Inner));
    assert_eq!(numbers(vec![height(each)]), [rows * rows]);
    let nameless = none.scan(&conversions::TABLE).select([col(USER_KEY).null_count().alias(COUNT)]);
    let nameless = nameless.select([col(COUNT).cast(DataType::Int64)]);
    assert_eq!(numbers(vec![nameless]), [rows]);
}
