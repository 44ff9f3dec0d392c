//! Sums of the greatest amounts that a column can hold.

use polars::prelude::*;
use wabalake_data::Table;
use wabalake_data::tables::{
    UTC_DAY, ad_spend, conversions, meta_points, rates, session_summaries,
};
use wabalake_queries::CATALOG;
use wabalake_queries::query::billing::money::{AMOUNT, summed};
use wabalake_queries::query::{CatalogEntry, ENGINE, Question, Tables, Type};

use crate::{fixtures, golden};

/// The greatest amount, in millionths.
const MOST: i128 = 999_999_999_999_999_999;

fn is_money(of: &DataType) -> bool {
    matches!(of, DataType::Decimal(..))
}

/// A table whose amounts are replaced by one absolute value, with their own signs.
fn all_of(rows: &DataFrame, size: i128) -> DataFrame {
    let mut rows = rows.clone();
    let amounts: Vec<Column> =
        rows.columns().iter().filter(|column| is_money(column.dtype())).cloned().collect();
    for amount in amounts {
        let units = amount.decimal().unwrap().physical().iter();
        let units: Int128Chunked = units.map(|units| units.map(|u| u.signum() * size)).collect();
        let DataType::Decimal(precision, scale) = *amount.dtype() else { unreachable!() };
        let sized = units.with_name(amount.name().clone()).into_decimal(precision, scale);
        rows.with_column(sized.unwrap().into_column()).unwrap();
    }
    rows
}

/// The answer if all amounts of one table have one absolute value.
fn answer(entry: &CatalogEntry, question: &Question, sized: &Table, size: i128) -> DataFrame {
    let tables = fixtures::given().fold(Tables::new(), |tables, table| {
        let rows = fixtures::read(entry, table);
        let rows = if sized == table { all_of(&rows, size) } else { rows };
        tables.with(table, rows.lazy())
    });
    let plan = question.plan(&tables).unwrap();
    golden::on_a_large_stack(|| plan.collect_with_engine(ENGINE).unwrap().unwrap_single())
}

/// Sums of the greatest amounts are multiples of the sums of the smallest: none overflows or becomes
/// null, nor does anything computed from one.
#[test]
fn sums_of_the_greatest_amounts_are_exact() {
    let priced: [&'static Table; 5] = [
        &ad_spend::TABLE,
        &conversions::TABLE,
        &meta_points::TABLE,
        &rates::TABLE,
        &session_summaries::TABLE,
    ];
    let mut beyond = Vec::new();
    let mut sign = 1;
    for entry in CATALOG {
        let cases = golden::cases(entry).into_iter();
        let questions = cases.map(|case| golden::ask(entry, &case.arguments));
        let of_money =
            |question: &Question| question.columns().iter().any(|column| column.of == Type::Money);
        // Three cases of a query are enough: more sum the same amounts.
        for question in questions.filter(of_money).take(3) {
            for table in priced.iter().filter(|table| entry.spec.reads.contains(table)) {
                sign = -sign;
                let factor = sign * MOST;
                let [small, great] = [1, factor].map(|size| answer(entry, &question, table, size));
                let label = format!("{question:?} of {}", table.name);
                assert_eq!(small.height(), great.height(), "{label}");
                for (small, great) in small.columns().iter().zip(great.columns()) {
                    assert_eq!(small.null_count(), great.null_count(), "{label}: {small:?}");
                    if !is_money(small.dtype()) {
                        continue;
                    }
                    assert_eq!(*great.dtype(), Type::Money.data_type(), "{label}");
                    let [small, great] = [small, great].map(|c| c.decimal().unwrap().physical());
                    for (small, great) in small.iter().zip(great.iter()) {
                        let is_so = great == small || great == small.map(|s| s * factor);
                        assert!(is_so, "{label}: {small:?} became {great:?}");
                        if great.is_some_and(|great| great.abs() > MOST) {
                            beyond.push((entry.spec.name, table.name));
                        }
                    }
                }
            }
        }
    }
    for (entry, table) in [
        ("meta-sources", ad_spend::NAME),
        ("template-analytics", meta_points::NAME),
        ("country-breakdown", conversions::NAME),
        ("audience-breakdown", conversions::NAME),
        ("pricing-analytics", rates::NAME),
        ("session-summary", rates::NAME),
    ] {
        assert!(
            beyond.contains(&(entry, table)),
            "no sum of {entry} is beyond an amount: {beyond:?}"
        );
    }
}

/// Two million of the greatest amounts: 2 × 10¹⁸, with all six decimals.
#[test]
fn two_million_great_amounts_are_summed_exactly() {
    for sign in [1, -1] {
        let units = Int128Chunked::full("value".into(), sign * MOST, 1_000_000);
        let amounts = units.into_decimal(18, 6).unwrap().into_column();
        let currency = Column::new("currency".into(), vec!["COP"; 1_000_000]);
        let rows = DataFrame::new(1_000_000, vec![amounts, currency]).unwrap();
        let rows = rows.vstack(&rows).unwrap().lazy().with_column(lit(1).alias("group"));
        for engine in [Engine::InMemory, Engine::Streaming] {
            let sums = summed(rows.clone(), &[col("group")], "value");
            let sums = sums.collect_with_engine(engine).unwrap().unwrap_single();
            let amount = sums.column(AMOUNT).unwrap();
            assert_eq!(*amount.dtype(), Type::Money.data_type());
            assert_eq!(amount.decimal().unwrap().physical().get(0), Some(sign * MOST * 2_000_000));
        }
    }
}

/// Reported amounts of one day that exceed 64 bits of millionths.
#[test]
fn great_amounts_are_reconciled() {
    use wabalake_data::tables::session_summaries::{AMOUNT, DATE, NUMBER_OF_SESSIONS, TABLE};
    let columns = TABLE.schema();
    let columns = columns.iter().map(|(name, of)| match name.as_str() {
        DATE | UTC_DAY => Column::new(name.clone(), [20_000]).cast(of).unwrap(),
        AMOUNT => Column::new(name.clone(), [999_999_999_999_i64]).cast(of).unwrap(),
        NUMBER_OF_SESSIONS => Column::new(name.clone(), [3_000_000_000_000_i64]),
        _ => Column::full_null(name.clone(), 1, of),
    });
    let one = DataFrame::new(1, columns.collect()).unwrap();
    let many = (1..40).fold(one.clone(), |rows, _| rows.vstack(&one).unwrap());
    let entry = CATALOG.iter().find(|entry| entry.spec.name == "reconcile").unwrap();
    let tables = Tables::new().with(&TABLE, many.lazy());
    let question = golden::ask(entry, &[] as &[&str]);
    let lines = golden::answer(&question, &tables);
    let has = |figure: &str| lines.iter().any(|line| line.contains(figure));
    assert!(has("39999999999960") && has("120000000000000"), "{lines:?}");
}
