//! Do repeated templates hurt?
//!
//! Four rows: deployments to people to whom 0, 1, 2, or 3 and more were sent shortly before and not
//! answered when this one was. Those before are of any conversation and of any day, even before
//! `--from`; one that failed does not count, nor one sent at the very same instant. A deployment
//! without a phone is sent to nobody and left out.
//!
//! ```text
//! sent        09:00      10:00 Failed      12:00                14:00
//! answered                                       13:00
//! before it   0          1                 1                    1, the first: 12:00 is answered
//! ```

use polars::lazy::dsl::min_horizontal;
use polars::prelude::{UnionArgs, concat, df};
use wabalake_data::tables::USER_KEY;
use wabalake_data::tables::deployments::{
    self, DEPLOYMENT_TIMESTAMP, STATE, USER_RESPONDED_TIMESTAMP,
};

use crate::query::joins::{self, CHANGE, TOTAL};
use crate::query::numbers::whole;
use crate::query::prelude::*;

/// See the [module](self) for the question it answers.
pub struct ContactFrequency;

/// What may be chosen.
#[derive(Args, Debug)]
pub struct Params {
    #[command(flatten)]
    days: DayRange,

    /// How many hours before a deployment an earlier one was sent at most
    #[arg(
        long,
        value_name = "HOURS",
        default_value_t = 24,
        value_parser = whole::<i64>(1..=24 * 36_500)
    )]
    window_hours: i64,
}

const HOUR: i64 = 3_600_000_000;
const UNANSWERED: &str = "unanswered_before";
const DELIVERED: &str = "delivered";
const CAPPED: &str = "frequency_capped";
const REPLIED: &str = "replied";
const AT: &str = "at";
const FROM: &str = "from";
const UNTIL: &str = "until";
const ANSWERED: &str = "answered";

/// Three stands for more, too.
const MOST: i64 = 3;

impl Query for ContactFrequency {
    type Params = Params;

    const SPEC: Spec = Spec {
        name: "contact-frequency",
        title: "Whether repeated templates hurt",
        question: "Do repeated templates hurt? Deployments by how many others were sent to the \
                   same person shortly before, did not fail and were not answered by then; 3 is \
                   three or more.",
        reads: &[&deployments::TABLE],
        // Those before lie outside the range.
        range: Range::History,
        columns: &[
            OutputColumn::count(UNANSWERED),
            OutputColumn::count("deployments"),
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
        example: "--from 2025-06-01 --to 2025-06-30 --window-hours 72",
        sql: include_str!("twin.sql"),
    };

    fn plan(tables: &Tables, params: &Params) -> PolarsResult<LazyFrame> {
        let window = lit(params.window_hours * HOUR);
        let micros = |stamp| col(stamp).cast(DataType::Int64);
        let somebody = || col(USER_KEY).is_not_null();
        let deployments =
            params.days.scan(tables, &deployments::TABLE).filter(somebody()).select([
                col(USER_KEY),
                micros(DEPLOYMENT_TIMESTAMP).alias(AT),
                delivery_is("Delivered").alias(DELIVERED),
                col(STATE).eq(lit("frequency_capped")).alias(CAPPED),
                delivery_is("Delivered").and(answered()).alias(REPLIED),
            ]);

        // One that was sent counts from the microsecond after until it is answered, or is too old.
        let sent = params
            .days
            .scan_back(tables, &deployments::TABLE, params.window_hours * HOUR)
            .filter(somebody().and(delivery_is("Failed").not()))
            .select([
                col(USER_KEY),
                (micros(DEPLOYMENT_TIMESTAMP) + lit(1_i64)).alias(FROM),
                micros(USER_RESPONDED_TIMESTAMP).alias(ANSWERED),
            ])
            .with_column(min_horizontal([col(FROM) + window, col(ANSWERED)])?.alias(UNTIL))
            .filter(col(FROM).lt(col(UNTIL)));
        let change = |at: &str, by: i8| {
            sent.clone().select([col(USER_KEY), col(at).alias(AT), lit(by).alias(CHANGE)])
        };
        let changes = concat([change(FROM, 1), change(UNTIL, -1)], UnionArgs::default())?;

        let at_most =
            |count: Expr| when(count.clone().lt(lit(MOST))).then(count).otherwise(lit(MOST));
        let counts = ["deployments", "users", DELIVERED, CAPPED, REPLIED];
        let met = joins::totals(deployments, changes, USER_KEY, AT)?
            .group_by([at_most(col(TOTAL)).alias(UNANSWERED)])
            .agg([
                rows().alias("deployments"),
                users().alias("users"),
                rows_where(col(DELIVERED)).alias(DELIVERED),
                rows_where(col(CAPPED)).alias(CAPPED),
                rows_where(col(REPLIED)).alias(REPLIED),
            ]);
        let (on, all) = ([col(UNANSWERED)], df![UNANSWERED => [0, 1, 2, MOST]]?.lazy());
        let all = all
            .join(met, &on, &on, JoinArgs::new(JoinType::Left))
            .with_columns(counts.map(|count| col(count).fill_null(lit(0))));
        Ok(all.with_columns([
            share_pct(col(DELIVERED), col("deployments")).alias("delivered_pct"),
            share_pct(col(CAPPED), col("deployments")).alias("frequency_capped_pct"),
            share_pct(col(REPLIED), col(DELIVERED)).alias("reply_pct"),
        ]))
    }

    fn bind(params: &Params) -> Bindings {
        params.days.bind(Bindings::new()).integer("window_hours", params.window_hours)
    }
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

    /// Half a window: some are sent just within it, some just before.
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
        fn each_earlier_one_is_counted(
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
