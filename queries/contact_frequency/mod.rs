//! Do deployments perform worse after earlier ones were left unanswered?
//!
//! Four rows: deployments whose person had 0, 1, 2, or 3 and more unanswered deployments in the window
//! before. Earlier deployments count whatever their conversation and day, even before `--from`, unless
//! they failed or were sent at the same instant. Deployments without a phone are left out.
//!
//! ```text
//! sent        09:00      10:00 Failed      12:00                14:00
//! answered                                       13:00
//! unanswered  0          1                 1                    1: 09:00; 12:00 is answered
//! ```
//!
//! Filters and `--by` choose and split the deployments that are counted; every earlier one of the person is
//! looked back to. Each group that occurs has four rows. By tag, a deployment counts under each tag of its
//! person.

use polars::lazy::dsl::min_horizontal;
use polars::prelude::df;
use wabalake_data::Table;
use wabalake_data::tables::deployments::{
    self, DEPLOYMENT_TIMESTAMP, STATE, USER_RESPONDED_TIMESTAMP,
};
use wabalake_data::tables::{USER_KEY, USER_PHONE, audience_tags};

use crate::kernels::open::open;
use crate::query::behind::{DEPLOYMENT_ID, deployment_id};
use crate::query::numbers::whole;
use crate::query::prelude::*;
use crate::query::time::HOUR;

/// See the [module](self) for the question it answers.
#[derive(Debug)]
pub struct ContactFrequency;

impl Filtered for ContactFrequency {
    const TABLE: &'static Table = &deployments::TABLE;
    const FILTERS: &'static [Filter] = Filter::OF_DEPLOYMENTS;
}

impl Grouped for ContactFrequency {
    const TAKES: &'static [Dimension] =
        &[Dimension::Month, Dimension::Conversation, Dimension::Country, Dimension::Tag];
}

/// The query's options.
#[derive(Args, Debug)]
pub struct Params {
    #[command(flatten)]
    days: DayRange,
    #[command(flatten)]
    filters: Filters<ContactFrequency>,
    #[command(flatten)]
    by: Dimensions<ContactFrequency>,

    /// How many hours before a deployment an earlier one counts
    #[arg(
        long,
        value_name = "HOURS",
        default_value_t = 24,
        value_parser = whole::<i64>(1..=24 * 36_500)
    )]
    window_hours: i64,
}

const UNANSWERED: &str = "unanswered_before";
const DEPLOYMENTS: &str = "deployments";
const DELIVERED: &str = "delivered";
const CAPPED: &str = "frequency_capped";
const REPLIED: &str = "replied";
const AT: &str = "at";
const FROM: &str = "from";
const UNTIL: &str = "until";
/// `true` for a deployment of the range that passes the filters.
const COUNTS: &str = "counts";
const OPEN: &str = "open";

/// The deployments that count, with the number of unanswered ones before.
const EARLIER_SQL: &str = include_str!("earlier.sql");

/// The columns that tell a deployment: as they are selected, by name, and as nulls.
const ID_SQL: [&str; 3] = [
    "conversation_id AS id_of_conversation,
        conversation_version AS id_of_version,
        ",
    "id_of_conversation,
        id_of_version,
        deployment_timestamp,
        ",
    "NULL, NULL, NULL, ",
];

/// The last row, for this number and more.
const MOST: i64 = 3;

impl Query for ContactFrequency {
    type Params = Params;

    const SPEC: Spec = Spec {
        name: "contact-frequency",
        title: "Deployments by how many unanswered ones preceded them",
        question: "Do deployments perform worse after earlier ones were left unanswered? Deployments \
                   by the number of earlier ones to the same person within the window that did not \
                   fail and were not answered by then; 3 means three or more.",
        reads: &[&deployments::TABLE, &audience_tags::TABLE],
        // Earlier deployments may lie before the range.
        range: Range::History,
        columns: &[
            OutputColumn::count(UNANSWERED),
            OutputColumn::count(DEPLOYMENTS),
            OutputColumn::count("users"),
            OutputColumn::count(DELIVERED),
            OutputColumn::pct("delivered_pct"),
            OutputColumn::count(CAPPED),
            OutputColumn::pct("frequency_capped_pct"),
            OutputColumn::count(REPLIED),
            OutputColumn::pct("reply_pct"),
        ],
        key: &[UNANSWERED],
        order: &[],
        example: &["--from", "2025-06-01", "--to", "2025-06-30", "--window-hours", "72"],
        sql: include_str!("twin.sql"),
    };

    const BEHIND: Option<Behind<Self>> = Some(Behind {
        table: &deployments::TABLE,
        cells: &[UNANSWERED],
        counts: &[DEPLOYMENTS, DELIVERED, CAPPED, REPLIED],
        id: DEPLOYMENT_ID,
        rows: |tables, params| {
            let of_row = [&[col(USER_PHONE)][..], &deployment_id()].concat();
            Ok(placed(tables, params, of_row)?.with_column(lit(true).alias(DEPLOYMENTS)))
        },
        sql: include_str!("people.sql"),
    });

    fn resolve(params: &mut Params, defaults: &Defaults) -> Result<Timeframe, UsageError> {
        params.days.resolve(defaults)
    }

    fn reads(params: &Params) -> Vec<&'static Table> {
        Self::SPEC.reads_for(&[&params.filters, &params.by])
    }

    fn by(params: &Params) -> Vec<OutputColumn> {
        params.by.columns()
    }

    fn plan(tables: &Tables, params: &Params) -> PolarsResult<LazyFrame> {
        let counts = [DEPLOYMENTS, "users", DELIVERED, CAPPED, REPLIED];
        let on = params.by.names_with(&[UNANSWERED]);
        let counted = placed(tables, params, Vec::new())?.group_by(&on).agg([
            rows().alias(DEPLOYMENTS),
            users().alias("users"),
            rows_where(col(DELIVERED)).alias(DELIVERED),
            rows_where(col(CAPPED)).alias(CAPPED),
            rows_where(col(REPLIED)).alias(REPLIED),
        ]);
        let numbers = df![UNANSWERED => [0, 1, 2, MOST]]?.lazy();
        let left = JoinArgs { nulls_equal: true, ..JoinArgs::new(JoinType::Left) };
        let all = params
            .by
            .for_each_group(counted.clone(), numbers)
            .join(counted, &on, &on, left)
            .with_columns(counts.map(|count| col(count).fill_null(lit(0))));
        Ok(all.with_columns([
            share_pct(col(DELIVERED), col(DEPLOYMENTS)).alias("delivered_pct"),
            share_pct(col(CAPPED), col(DEPLOYMENTS)).alias("frequency_capped_pct"),
            share_pct(col(REPLIED), col(DELIVERED)).alias("reply_pct"),
        ]))
    }

    fn bind(params: &Params) -> Bindings {
        let by = params.by.columns();
        let bindings = params.filters.bind(params.by.bind(params.days.bind(Bindings::new())));
        let bindings = bindings
            .integer("window_hours", params.window_hours)
            .boolean("split", !by.is_empty())
            .slot("no_by_then", "NULL, ".repeat(by.len()));
        let earlier = |id: [&str; 3]| {
            let slots = ["{id_then}", "{id_columns_then}", "{no_id_then}"].into_iter().zip(id);
            let sql = EARLIER_SQL.trim_end().to_owned();
            bindings.fill_slots(&slots.fold(sql, |sql, (slot, text)| sql.replace(slot, text)))
        };
        let (alone, with_id) = (earlier([""; 3]), earlier(ID_SQL));
        bindings.slot("earlier", alone).slot("earlier_with_id", with_id)
    }
}

fn micros(stamp: &str) -> Expr {
    col(stamp).cast(DataType::Int64)
}

/// The deployments that count, split by `--by`, each with the number of unanswered ones before it. `others` are
/// columns of deployments that they have beside those that are counted.
fn placed(tables: &Tables, params: &Params, others: Vec<Expr>) -> PolarsResult<LazyFrame> {
    let at_most = |count: Expr| when(count.clone().lt(lit(MOST))).then(count).otherwise(lit(MOST));
    let placed = open(sent(tables, params, others)?, USER_KEY, AT, [FROM, UNTIL], OPEN)
        .filter(col(COUNTS))
        .with_column(at_most(col(OPEN).cast(DataType::Int64)).alias(UNANSWERED));
    // Not before: a deployment with several tags is one earlier deployment.
    Ok(params.by.split(placed, tables, params.days.timezone()))
}

/// The deployments to people with a phone, of the range and the window before it, each with the interval in
/// which it counts as an unanswered one: from the microsecond after its send until it is answered or leaves
/// the window. With `--by`, they have the columns that the dimensions are made of; with `others`, these and
/// the time of the send.
fn sent(tables: &Tables, params: &Params, others: Vec<Expr>) -> PolarsResult<LazyFrame> {
    let window = params.window_hours * HOUR;
    let sent = params.days.scan_back(tables, &deployments::TABLE, window);
    let (sent, passes) = params.filters.marked(sent, tables);
    let in_range = params.days.holds_instant(&col(DEPLOYMENT_TIMESTAMP));
    let counts = in_range.into_iter().fold(passes, Expr::and);
    let from = || micros(DEPLOYMENT_TIMESTAMP) + lit(1_i64);
    let until = min_horizontal([from() + lit(window), micros(USER_RESPONDED_TIMESTAMP)])?;
    let did_not_fail = delivery_is("Failed").not();
    let by = params.by.columns();
    // The time of a month or a tag; the others are columns of the table.
    let is_timed = !by.is_empty() || !others.is_empty();
    let split = is_timed.then(|| col(DEPLOYMENT_TIMESTAMP));
    let of_table = by.iter().filter(|column| deployments::TABLE.position(column.name).is_some());
    let split = split.into_iter().chain(of_table.map(|column| col(column.name)));
    let columns = [
        col(USER_KEY),
        micros(DEPLOYMENT_TIMESTAMP).alias(AT),
        when(did_not_fail).then(from()).otherwise(lit(Null {})).alias(FROM),
        until.alias(UNTIL),
        counts.alias(COUNTS),
        delivery_is("Delivered").alias(DELIVERED),
        col(STATE).eq(lit("frequency_capped")).alias(CAPPED),
        delivery_is("Delivered").and(answered()).alias(REPLIED),
    ];
    let columns: Vec<Expr> = columns.into_iter().chain(split).chain(others).collect();
    Ok(sent.filter(col(USER_KEY).is_not_null()).select(columns))
}

#[cfg(test)]
mod tests {
    use clap::{Command, FromArgMatches};
    use polars::prelude::SortMultipleOptions;
    use proptest::prelude::*;
    use wabalake_data::tables::deployments::DELIVERY_STATUS;
    use wabalake_data::tables::instant;

    use super::*;
    use crate::query::ENGINE;

    /// Half of the window, so that deployments fall just inside and just outside it.
    const HALF: i64 = HOUR / 2;

    fn asked(sent: &[(i64, i64, Option<i64>, bool)]) -> Vec<i64> {
        let delivery = |failed: bool| if failed { "Failed" } else { "Sent" };
        let deployments = df![
            USER_KEY => sent.iter().map(|sent| sent.0).collect::<Vec<_>>(),
            DEPLOYMENT_TIMESTAMP => sent.iter().map(|sent| sent.1).collect::<Vec<_>>(),
            USER_RESPONDED_TIMESTAMP => sent.iter().map(|sent| sent.2).collect::<Vec<_>>(),
            DELIVERY_STATUS => sent.iter().map(|sent| delivery(sent.3)).collect::<Vec<_>>(),
            STATE => vec!["sent"; sent.len()],
        ];
        let stamps = [DEPLOYMENT_TIMESTAMP, USER_RESPONDED_TIMESTAMP];
        let stamps = stamps.map(|stamp| col(stamp).cast(instant()));
        let deployments = deployments.unwrap().lazy().with_columns(stamps);
        let tables = Tables::new().with(&deployments::TABLE, deployments);
        let words = ["contact-frequency", "--window-hours", "1"];
        let matches = Params::augment_args(Command::new(words[0])).get_matches_from(words);
        let params = Params::from_arg_matches(&matches).unwrap();
        let plan = ContactFrequency::plan(&tables, &params).unwrap();
        let answer = plan.collect_with_engine(ENGINE).unwrap().unwrap_single();
        let answer = answer.sort([UNANSWERED], SortMultipleOptions::default()).unwrap();
        let counts = answer.column("deployments").unwrap().cast(&DataType::Int64).unwrap();
        counts.i64().unwrap().iter().flatten().collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn every_unanswered_deployment_in_the_window_is_counted(
            sent in prop::collection::vec(
                (0..2_i64, (0..8_i64, -1..2_i64), prop::option::of((0..8_i64, -1..2_i64)), any::<bool>()),
                0..30,
            ),
        ) {
            let at = |(halves, more): (i64, i64)| halves * HALF + more;
            let sent: Vec<(i64, i64, Option<i64>, bool)> = sent
                .into_iter()
                .map(|(person, sent, answered, failed)| (person, at(sent), answered.map(at), failed))
                .collect();
            let mut expected = vec![0_i64; 4];
            for (person, now, ..) in &sent {
                let counts = |(other, before, answered, failed): &&(i64, i64, Option<i64>, bool)| {
                    other == person
                        && !failed
                        && (now - HOUR..*now).contains(before)
                        && answered.is_none_or(|answered| answered > *now)
                };
                expected[sent.iter().filter(counts).count().min(3)] += 1;
            }
            prop_assert_eq!(asked(&sent), expected);
        }
    }
}
