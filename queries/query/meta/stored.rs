//! Points as Meta gave them.
//!
//! The same conversations may be stored several times, broken down in several ways: of a bucket
//! and account only one breakdown is added up, the one with the fewest dimensions among those that
//! have all that is asked for. Nor are points of several lengths mixed.
//!
//! The points of `analytics` have no dimensions; whole responses are for some lines and countries.
//!
//! ```text
//! response    lines     of one bucket, where nothing is asked for
//! first       A, B      counts
//! second      A         does not: A is in the first
//! third       C         counts
//! ```

use polars::prelude::{
    DataType, ExplodeOptions, Expr, JoinArgs, JoinType, LazyFrame, Null, PolarsResult,
    SortMultipleOptions, UniqueKeepStrategy, by_name, col, concat_str, lit, when,
};
use wabalake_data::tables::meta_points::{
    self, COUNTRY_CODES, DIMENSIONS, END, FIELD, GRANULARITY, PHONE_NUMBERS, START, WABA_ID,
};

use super::super::OutputColumn;
use super::super::tables::Tables;
use super::{Field, Points, stored_list};

const SECOND: i64 = 1_000_000;

/// What comes first of what is told twice.
const RANK: &str = "rank";

impl<F: Field> Points<F> {
    /// What Meta said, added up by bucket and dimensions. A sum is null where one of its points
    /// does not tell.
    pub(super) fn stored(&self, tables: &Tables) -> PolarsResult<LazyFrame> {
        let chosen = self
            .filters()
            .filter(|(filter, _)| is_told::<F>(filter.column))
            .fold(self.chosen(tables)?, |points, (filter, allowed)| {
                points.filter(super::is_one_of(filter.column, allowed))
            });
        let mut key = vec![col(START), col(END)];
        key.extend(self.split_by().into_iter().map(col));
        let sum = |measure: &OutputColumn| {
            let is_told = col(measure.name).null_count().eq(lit(0));
            let sum = col(measure.name).cast(measure.of.data_type()).sum();
            when(is_told).then(sum).otherwise(lit(Null {})).alias(measure.name)
        };
        let sums: Vec<Expr> = F::MEASURES.iter().map(sum).collect();
        Ok(chosen.group_by(key).agg(sums))
    }

    /// The stored points of the one breakdown that is added up, before any filter.
    pub(super) fn chosen(&self, tables: &Tables) -> PolarsResult<LazyFrame> {
        let points = tables
            .scan(&meta_points::TABLE)
            .filter(col(FIELD).eq(lit(F::NAME)))
            .filter(col(GRANULARITY).eq(lit(self.granularity.word())));
        let from =
            self.first_bucket().map(|from| col(START).gt_eq(lit(-(-from).div_euclid(SECOND))));
        let until = self.span.until.map(|until| {
            // A second that has begun before the end counts.
            col(START).lt(lit(-(-until).div_euclid(SECOND)))
        });
        let within = from.into_iter().chain(until);
        let including = self
            .required()
            .into_iter()
            .map(|word| listed(col(DIMENSIONS)).str().contains_literal(lit(format!(",{word},"))));
        let points = within.chain(including).fold(self.waba.of(points), LazyFrame::filter);
        let bucket = [col(WABA_ID), col(START), col(END)];
        if F::DIMENSIONS.is_empty() && F::ALWAYS.is_empty() {
            return Ok(self.widest(points));
        }

        let dimensions = size(DIMENSIONS).cast(DataType::String);
        let rank = concat_str([dimensions, col(DIMENSIONS).fill_null(lit(""))], " ", false);
        let first = col(RANK).min().over(bucket)?;
        Ok(points.with_column(rank.alias(RANK)).filter(col(RANK).eq(first)))
    }

    /// The points of the responses for the lines and countries that are asked for; else, of those
    /// that have a line and a country in common, only of the one for the most.
    fn widest(&self, points: LazyFrame) -> LazyFrame {
        const OTHER: &str = "_other";
        let lists = [PHONE_NUMBERS, COUNTRY_CODES];
        let points = self.filters().fold(points, |points, (filter, allowed)| {
            match stored_list(allowed).filter(|_| lists.contains(&filter.name)) {
                Some(list) => points.filter(col(filter.name).eq(lit(list))),
                None => points,
            }
        });
        let bucket = [WABA_ID, START, END].map(col);
        let request = [&bucket[..], &lists.map(col)].concat();
        let responses = points
            .clone()
            .select(&request)
            .unique(None, UniqueKeepStrategy::Any)
            // A response that names none is for all.
            .sort_by_exprs(
                [
                    col(PHONE_NUMBERS).is_null(),
                    size(PHONE_NUMBERS),
                    col(COUNTRY_CODES).is_null(),
                    size(COUNTRY_CODES),
                    col(PHONE_NUMBERS),
                    col(COUNTRY_CODES),
                ],
                SortMultipleOptions::default().with_order_descending(true),
            )
            .with_row_index(RANK, None);
        let each = |list: &str| col(list).str().split(lit(",")).alias(format!("{list}_each"));
        let has = |list: &str| {
            let other = col(format!("{list}{OTHER}"));
            let word = col(format!("{list}_each"));
            let word = concat_str([lit(","), word, lit(",")], "", false);
            let has = listed(other.clone()).str().contains_literal(word);
            other.is_null().or(has.fill_null(lit(true)))
        };
        let left = JoinArgs {
            nulls_equal: true,
            suffix: Some(OTHER.into()),
            ..JoinArgs::new(JoinType::Inner)
        };
        let apart = responses.clone().with_columns(lists.map(each));
        let keep_nulls = ExplodeOptions { empty_as_null: true, keep_nulls: true };
        let words = lists.map(|list| format!("{list}_each"));
        let apart = words.iter().fold(apart, |apart, words| {
            apart.explode(by_name([words.as_str()], true, false), keep_nulls)
        });
        let told_before = apart
            .join(responses, &bucket, &bucket, left)
            .filter(col(format!("{RANK}{OTHER}")).lt(col(RANK)))
            .filter(has(PHONE_NUMBERS).and(has(COUNTRY_CODES)))
            .select(&request)
            .unique(None, UniqueKeepStrategy::Any);
        let anti = JoinArgs { nulls_equal: true, ..JoinArgs::new(JoinType::Anti) };
        points.join(told_before, &request, &request, anti)
    }
}

/// Whether stored points have the column that a filter compares.
fn is_told<F: Field>(column: &str) -> bool {
    let by_dimension = F::DIMENSIONS.iter().filter_map(|word| super::column_of(word));
    let always = F::ALWAYS.iter().map(|column| column.name);
    by_dimension.chain(always).any(|told| told == column)
}

/// A stored list with a comma at either end, so that its words are found whole.
fn listed(list: Expr) -> Expr {
    concat_str([lit(","), list, lit(",")], "", false)
}

/// How many words a stored list has.
fn size(list: &str) -> Expr {
    let commas = col(list).str().count_matches(lit(","), true);
    (commas + lit(1)).fill_null(lit(0))
}
