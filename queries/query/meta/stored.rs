//! The points that Meta reported, without double counting.
//!
//! The same conversations may be stored several times, broken down by different dimensions. For each
//! bucket and account, only one breakdown is added up: the one with the fewest dimensions among those
//! that have all required ones. Points of different granularities are never mixed.
//!
//! Of points that are equal but for [`Field::REFINED_BY`], those that have it hide those that lack it:
//!
//! ```text
//! template  product_type                          sent
//! 7         CLOUD_API                             10     counted
//! 7         MARKETING_MESSAGES_API_FOR_WHATSAPP   20     counted
//! 7         null                                  30     not counted: stored before products were
//! ```
//!
//! Points of `analytics` have no dimensions. Instead, each response covers some lines and countries,
//! and responses that overlap a wider one are left out:
//!
//! ```text
//! response    lines     of one bucket, without a filter
//! first       A, B      counted
//! second      A         not counted: the first covers A
//! third       C         counted
//! ```

use polars::prelude::{
    DataType, ExplodeOptions, Expr, JoinArgs, JoinType, LazyFrame, Null, PolarsResult,
    SortMultipleOptions, UniqueKeepStrategy, by_name, col, concat_str, len, lit, when,
};
use wabalake_data::tables::meta_points::{
    self, COUNTRY_CODES, DIMENSIONS, END, FIELD, GRANULARITY, PHONE_NUMBERS, START, UNIQUE_CLICKED,
    WABA_ID,
};

use super::fields::{Field, Filter};
use super::points::{Points, column_of, is_one_of, stored_list};
use crate::query::OutputColumn;
use crate::query::tables::Tables;
use crate::query::time::SECOND;

/// Precedence among points that count the same messages; the lowest wins.
const RANK: &str = "rank";

impl<F: Field> Points<F> {
    /// Sums the reported points by bucket and dimensions. A sum is null if one of its points lacks
    /// the measure.
    pub(super) fn stored(&self, tables: &Tables) -> PolarsResult<LazyFrame> {
        let chosen = self
            .filters()
            .filter(|(filter, _)| is_stored::<F>(filter.column))
            .fold(self.chosen(tables)?, |points, (filter, allowed)| {
                points.filter(is_one_of(filter.column, allowed))
            });
        let mut key = vec![col(START), col(END)];
        key.extend(self.split_by().into_iter().map(col));
        let sum = |measure: &OutputColumn| {
            let is_complete = match measure.name {
                // People of one point may be among those of another.
                UNIQUE_CLICKED => len().eq(lit(1)).and(col(measure.name).null_count().eq(lit(0))),
                name => col(name).null_count().eq(lit(0)),
            };
            let sum = col(measure.name).cast(measure.of.data_type()).sum();
            when(is_complete).then(sum).otherwise(lit(Null {})).alias(measure.name)
        };
        let sums: Vec<Expr> = F::MEASURES.iter().map(sum).collect();
        Ok(chosen.group_by(key).agg(sums))
    }

    /// The stored points of the breakdown that is added up, before the filters.
    pub(super) fn chosen(&self, tables: &Tables) -> PolarsResult<LazyFrame> {
        let points = tables
            .scan(&meta_points::TABLE)
            .filter(col(FIELD).eq(lit(F::NAME)))
            .filter(col(GRANULARITY).eq(lit(self.granularity.word())));
        let from =
            self.first_bucket().map(|from| col(START).gt_eq(lit(-(-from).div_euclid(SECOND))));
        let until = self.span().until.map(|until| {
            // A second that begins before the end counts.
            col(START).lt(lit(-(-until).div_euclid(SECOND)))
        });
        let refined = self.refined_by().map(|(filter, words)| is_one_of(filter.column, words));
        let within = from.into_iter().chain(until).chain(refined);
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
        let points = points.with_column(rank.alias(RANK)).filter(col(RANK).eq(first));
        match F::REFINED_BY {
            None => Ok(points),
            Some(Filter { column, .. }) => {
                let key = self.split_by().into_iter().chain([START, END]).map(col);
                let is_refined = col(*column).is_not_null();
                let any = is_refined.clone().any(true).over(key.collect::<Vec<_>>())?;
                Ok(points.filter(is_refined.or(any.not())))
            }
        }
    }

    /// The points of the responses for exactly the lines and countries asked for. Without such a
    /// filter: of responses that overlap in a line and a country, only the points of the widest.
    fn widest(&self, points: LazyFrame) -> LazyFrame {
        let points = self.filters().fold(points, |points, (filter, allowed)| {
            match stored_list(allowed).filter(|_| LISTS.contains(&filter.name)) {
                Some(list) => points.filter(col(filter.name).eq(lit(list))),
                None => points,
            }
        });
        let bucket = [WABA_ID, START, END].map(col);
        let request = [&bucket[..], &LISTS.map(col)].concat();
        let responses = points
            .clone()
            .select(&request)
            .unique(None, UniqueKeepStrategy::Any)
            // A response without a list covers all.
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
        let covered = covered(responses, &bucket).select(&request);
        let covered = covered.unique(None, UniqueKeepStrategy::Any);
        let anti = JoinArgs { nulls_equal: true, ..JoinArgs::new(JoinType::Anti) };
        points.join(covered, &request, &request, anti)
    }
}

/// The lists of lines and countries that a response covers.
const LISTS: [&str; 2] = [PHONE_NUMBERS, COUNTRY_CODES];

/// The responses that share a line and a country with one of a lower [`RANK`] for the same bucket.
fn covered(responses: LazyFrame, bucket: &[Expr]) -> LazyFrame {
    const OTHER: &str = "_other";
    let words = |list: &str| format!("{list}_each");
    let each = LISTS.map(|list| col(list).str().split(lit(",")).alias(words(list)));
    let keep_nulls = ExplodeOptions { empty_as_null: true, keep_nulls: true };
    let exploded = LISTS.iter().fold(responses.clone().with_columns(each), |exploded, list| {
        exploded.explode(by_name([words(list)], true, false), keep_nulls)
    });
    let shares = |list: &str| {
        let other = col(format!("{list}{OTHER}"));
        let word = concat_str([lit(","), col(words(list)), lit(",")], "", false);
        let has = listed(other.clone()).str().contains_literal(word);
        other.is_null().or(has.fill_null(lit(true)))
    };
    let inner = JoinArgs {
        nulls_equal: true,
        suffix: Some(OTHER.into()),
        ..JoinArgs::new(JoinType::Inner)
    };
    exploded
        .join(responses, bucket, bucket, inner)
        .filter(col(format!("{RANK}{OTHER}")).lt(col(RANK)))
        .filter(shares(PHONE_NUMBERS).and(shares(COUNTRY_CODES)))
}

/// Returns `true` if stored points have the column that a filter compares.
fn is_stored<F: Field>(column: &str) -> bool {
    let by_dimension = F::DIMENSIONS.iter().filter_map(|word| column_of(word));
    let always = F::ALWAYS.iter().map(|column| column.name);
    by_dimension.chain(always).any(|stored| stored == column)
}

/// A stored list with a comma at either end, so that a search finds whole words.
fn listed(list: Expr) -> Expr {
    concat_str([lit(","), list, lit(",")], "", false)
}

/// The number of words of a stored list.
fn size(list: &str) -> Expr {
    let commas = col(list).str().count_matches(lit(","), true);
    (commas + lit(1)).fill_null(lit(0))
}
