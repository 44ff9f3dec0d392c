//! Is yesterday final?
//!
//! One row for each day younger than the horizon: how many of what started on it have their outcome so far, and
//! how many will have it in the end. `--of` says what is waited for:
//!
//! | `--of` | starts | from | until |
//! |---|---|---|---|
//! | `replies` | delivered deployments | delivery, else the send | the answer |
//! | `deliveries` | deployments | the send | the delivery |
//! | `finishes` | sessions | the start | the finish |
//! | `conversions` | sessions | the start | their first conversion at or after it |
//!
//! An outcome from before the start is none. Now is the latest start or outcome of all that could be counted,
//! whatever the filters. The age of a day is the number of whole periods of 24 hours from its end until now; a day
//! that has not ended has no row.
//!
//! ```text
//!  history: started here         the day
//! ─────────────────────┤      ├───────────┼──────────────────────────┤
//!           now, less the horizon       its end       24 hours      now
//! ```
//!
//! What started on this day was watched for 24 hours at least, so its outcomes within 24 hours are all known. If
//! half of the outcomes in history came within 24 hours, then as many are still to come.
//!
//! History is what started at or before now less the horizon, of any day. `completeness_pct` is the share of its
//! outcomes within the horizon that came within the age of the day. `projected_pct` divides by it: this is the
//! chain ladder, with which insurers tell what is still to come. Its bounds are those of the completeness, with
//! 95 % confidence by Wilson; they say nothing of whether days are alike. All three are null where history has
//! nothing to tell: without outcomes, or without one within the age.
//!
//! Filters choose what is counted, in the days and in history; those of sessions go with `finishes` and
//! `conversions`, those of deployments with the others. `--from` and `--to` keep days.

use clap::ValueEnum;
use wabalake_data::tables::conversions::{self, CONVERTED_AT};
use wabalake_data::tables::deployments::{
    self, DEPLOYMENT_DELIVERED_TIMESTAMP, DEPLOYMENT_TIMESTAMP, USER_RESPONDED_TIMESTAMP,
};
use wabalake_data::tables::sessions::{
    self, SESSION_FINISHED_TIMESTAMP, SESSION_STARTED_TIMESTAMP,
};
use wabalake_data::tables::{SESSION_KEY, audience_tags, instant};
use wabalake_data::{Invalid, Table};

use self::by_day::by_day;
use self::counted::counted;
use crate::query::NeedsTables;
use crate::query::joins::{Nearest, nearest};
use crate::query::numbers::whole;
use crate::query::prelude::*;
use crate::query::statistics::{Bound, wilson_pct_sql};
use crate::query::time::Clock;
use crate::query::usage::misfit;
use crate::query::words::Word;

mod by_day;
mod counted;

/// See the [module](self) for the question it answers.
#[derive(Debug)]
pub struct Maturity;

impl Filtered for Maturity {
    const TABLE: &'static Table = &deployments::TABLE;
    // Those of deployments and those of sessions.
    const FILTERS: &'static [Filter] = &[
        Filter::COUNTRY,
        Filter::LINE,
        Filter::TAG,
        Filter::CONVERSATION_ID,
        Filter::CONVERSATION_VERSION,
        Filter::DELIVERY_STATUS,
        Filter::STATE,
        Filter::SESSION_TYPE,
        Filter::SESSION_STATUS,
        Filter::CHANNEL,
    ];
}

/// The query's options.
#[derive(Args, Debug)]
pub struct Params {
    #[command(flatten)]
    days: DayRange,
    #[command(flatten)]
    filters: Filters<Maturity>,
    #[command(flatten)]
    conversions: Conversions,

    /// What is waited for
    #[arg(long, value_enum, default_value_t = Of::Replies, value_parser = Word::of::<Of>())]
    of: Of,

    /// Days of 24 hours after which nothing is waited for any more
    #[arg(long, value_name = "DAYS", default_value_t = 30, value_parser = whole::<i64>(1..=36_500))]
    horizon_days: i64,
}

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Of {
    /// Answers to delivered deployments
    Replies,
    /// Deliveries of deployments
    Deliveries,
    /// Finishes of sessions
    Finishes,
    /// First conversions of sessions
    Conversions,
}

impl Of {
    /// The table of what starts.
    fn table(self) -> &'static Table {
        match self {
            Self::Replies | Self::Deliveries => &deployments::TABLE,
            Self::Finishes | Self::Conversions => &sessions::TABLE,
        }
    }

    /// What starts, in SQL: `started_at` and `done_at` of the rows of the relation `{units}`.
    const fn sql(self) -> &'static str {
        match self {
            Self::Replies => {
                "SELECT
        coalesce(deployment_delivered_timestamp, deployment_timestamp) AS started_at,
        user_responded_timestamp AS done_at
    FROM {units}
    WHERE delivery_status = 'Delivered'"
            }
            Self::Deliveries => {
                "SELECT
        deployment_timestamp AS started_at,
        deployment_delivered_timestamp AS done_at
    FROM {units}"
            }
            Self::Finishes => {
                "SELECT
        session_started_timestamp AS started_at,
        session_finished_timestamp AS done_at
    FROM {units}"
            }
            Self::Conversions => {
                "SELECT session_started_timestamp AS started_at, min(converted_at) AS done_at
    FROM {units}
    LEFT JOIN attributed
        ON converted_session_id = session_id
        AND converted_at >= session_started_timestamp
    GROUP BY session_id, session_started_timestamp"
            }
        }
    }
}

impl NeedsTables for Of {
    fn tables(&self) -> &'static [&'static Table] {
        const { &[&deployments::TABLE, &sessions::TABLE, &conversions::TABLE] }
    }

    fn is_read(&self, table: &Table) -> bool {
        match table.name {
            conversions::NAME => *self == Self::Conversions,
            _ => table == self.table(),
        }
    }
}

/// Local date of the starts.
pub const DAY: &str = "day";
/// Whole periods of 24 hours from the end of the day until now.
pub const AGE_DAYS: &str = "age_days";
/// What started on the day.
pub const STARTS: &str = "starts";
/// Those of them with an outcome so far.
pub const REPORTED: &str = "reported";
/// Share of the starts that have an outcome so far.
pub const REPORTED_PCT: &str = "reported_pct";
/// Those with an outcome within `age_days` of 24 hours: all that will ever have one within that time.
pub const WITHIN: &str = "within";
/// Earlier outcomes within the horizon, which the completeness is computed from.
pub const HISTORY: &str = "history";
/// Share of the earlier outcomes that came within `age_days` of 24 hours.
pub const COMPLETENESS_PCT: &str = "completeness_pct";
/// Share of the starts that will have an outcome within the horizon, if the day is like earlier ones.
pub const PROJECTED_PCT: &str = "projected_pct";
/// Lower bound of `projected_pct`.
pub const PROJECTED_LOW: &str = "projected_low";
/// Upper bound of `projected_pct`.
pub const PROJECTED_HIGH: &str = "projected_high";

// Of what starts, in microseconds.
const STARTED: &str = "started";
const DONE: &str = "done";
/// The latest start or outcome of all.
const LATEST: &str = "latest";
/// `true` for what the filters leave.
const PASSES: &str = "passes";
/// `true` for what started at or before the latest one less the horizon.
const IS_HISTORY: &str = "is_history";
/// Periods of 24 hours that the outcome took, rounded up; one more than the horizon for all that took longer.
const DAYS_TAKEN: &str = "days_taken";
/// The number of such starts.
const UNITS: &str = "units";

impl Query for Maturity {
    type Params = Params;

    const SPEC: Spec = Spec {
        name: "maturity",
        title: "Whether the figures of the last days are final",
        question: "Is yesterday final? For each of the last days, what started on it, how much of it \
                   has its outcome so far, and how much will have it in the end, judged by how long \
                   earlier outcomes took: replies to deployments, their deliveries, finishes of \
                   sessions, or their conversions.",
        reads: &[&deployments::TABLE, &sessions::TABLE, &conversions::TABLE, &audience_tags::TABLE],
        // Earlier days tell how long outcomes take.
        range: Range::History,
        columns: &[
            OutputColumn::date(DAY),
            OutputColumn::count(AGE_DAYS),
            OutputColumn::count(STARTS),
            OutputColumn::count(REPORTED),
            OutputColumn::pct(REPORTED_PCT),
            OutputColumn::count(WITHIN),
            OutputColumn::count(HISTORY),
            OutputColumn::pct(COMPLETENESS_PCT),
            OutputColumn::pct(PROJECTED_PCT),
            OutputColumn::pct(PROJECTED_LOW),
            OutputColumn::pct(PROJECTED_HIGH),
        ],
        key: &[DAY],
        order: &[],
        example: &["--of", "replies", "--horizon-days", "7", "--timezone", "America/Bogota"],
        sql: include_str!("twin.sql"),
    };

    fn resolve(params: &mut Params, defaults: &Defaults) -> Result<Timeframe, UsageError> {
        let table = params.of.table();
        let rows = table.name;
        if let Some(option) = params.filters.given_beside(table) {
            let fault = Invalid::new(format!("`--{option}` is no filter of {rows}"));
            return Err(misfit(fault.hint("leave it out, or ask `--of` something else")));
        }
        if let Some(option) = params.conversions.given().filter(|_| params.of != Of::Conversions) {
            let fault =
                Invalid::new(format!("`--{option}` has no effect without `--of conversions`"));
            return Err(misfit(fault.hint("leave it out, or ask `--of conversions`")));
        }
        params.days.resolve(defaults)
    }

    fn reads(params: &Params) -> Vec<&'static Table> {
        Self::SPEC.reads_for(&[&params.filters, &params.of])
    }

    fn plan(tables: &Tables, params: &Params) -> PolarsResult<LazyFrame> {
        let (zone, horizon) = (params.days.timezone(), params.horizon_days);
        let day = Clock::Day.start(col(STARTED).cast(instant()), zone).alias(DAY);
        let starts = units(tables, params)?.with_column(day);
        let days = by_day(counted(starts, horizon), horizon, zone);
        Ok(match params.days.holds(&col(DAY)) {
            Some(in_range) => days.filter(in_range),
            None => days,
        })
    }

    fn bind(params: &Params) -> Bindings {
        let table = params.of.table();
        let completeness = |bound| wilson_pct_sql("completed", "history", bound);
        let bindings = params.days.bind_dates(Bindings::new());
        let (bindings, attributed) = match params.of {
            Of::Conversions => (params.conversions.bind(bindings), "{attributed},\n"),
            _ => (bindings, ""),
        };
        let bindings = params.filters.bind_table(bindings, table);
        // The slot of the table is the rows that the filters leave.
        let kept = params.of.sql().replace("{units}", &format!("{{{}}}", table.name));
        let kept = bindings.fill_slots(&kept);
        let attributed = bindings.fill_slots(attributed);
        bindings
            .integer("horizon_days", params.horizon_days)
            .slot("with_attributed", attributed)
            .slot("every_unit", params.of.sql().replace("{units}", table.name))
            .slot("kept_unit", kept)
            .slot("completeness_low", completeness(Bound::Low))
            .slot("completeness_high", completeness(Bound::High))
    }
}

/// All that starts, with its outcome, and if the filters leave it.
fn units(tables: &Tables, params: &Params) -> PolarsResult<LazyFrame> {
    let table = params.of.table();
    let rows = tables.scan(table);
    let rows = match params.of {
        Of::Replies => rows.filter(delivery_is("Delivered")),
        _ => rows,
    };
    let (rows, passes) = params.filters.told_apart(rows, table, tables);
    let passes = passes.unwrap_or(lit(true)).alias(PASSES);
    let (started, done) = match params.of {
        Of::Replies => (
            micros(DEPLOYMENT_DELIVERED_TIMESTAMP).fill_null(micros(DEPLOYMENT_TIMESTAMP)),
            micros(USER_RESPONDED_TIMESTAMP),
        ),
        Of::Deliveries => (micros(DEPLOYMENT_TIMESTAMP), micros(DEPLOYMENT_DELIVERED_TIMESTAMP)),
        Of::Finishes => (micros(SESSION_STARTED_TIMESTAMP), micros(SESSION_FINISHED_TIMESTAMP)),
        Of::Conversions => {
            let started = micros(SESSION_STARTED_TIMESTAMP).alias(STARTED);
            let sessions = rows.select([col(SESSION_KEY), started, passes]);
            let events = params.conversions.attributed(tables, &[CONVERTED_AT])?;
            let events = events.select([col(SESSION_KEY), micros(CONVERTED_AT).alias(DONE)]);
            let first = nearest(
                Nearest::FirstAfter,
                (sessions, STARTED),
                (events, DONE, &[]),
                &[SESSION_KEY],
                i64::MAX,
            )?;
            return Ok(first.select([STARTED, DONE, PASSES].map(col)));
        }
    };
    let done = when(done.clone().gt_eq(started.clone())).then(done).otherwise(lit(Null {}));
    Ok(rows.select([started.alias(STARTED), done.alias(DONE), passes]))
}

fn micros(stamp: &str) -> Expr {
    col(stamp).cast(DataType::Int64)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clap::{Command, FromArgMatches};
    use polars::prelude::{DataFrame, SortMultipleOptions, df};
    use proptest::prelude::*;
    use wabalake_data::tables::deployments::DELIVERY_STATUS;

    use super::*;
    use crate::query::ENGINE;
    use crate::query::time::DAY as DAY_MICROS;

    /// Half a day, so that outcomes come at the end of a period of 24 hours, and just before and after it.
    const HALF: i64 = DAY_MICROS / 2;

    /// A start, and the time of its outcome.
    type Sent = (i64, Option<i64>);

    fn asked(sent: &[Sent]) -> DataFrame {
        let deployments = df![
            DEPLOYMENT_TIMESTAMP => sent.iter().map(|sent| sent.0).collect::<Vec<_>>(),
            USER_RESPONDED_TIMESTAMP => sent.iter().map(|sent| sent.1).collect::<Vec<_>>(),
            DEPLOYMENT_DELIVERED_TIMESTAMP => vec![None::<i64>; sent.len()],
            DELIVERY_STATUS => vec!["Delivered"; sent.len()],
        ];
        let stamps =
            [DEPLOYMENT_TIMESTAMP, USER_RESPONDED_TIMESTAMP, DEPLOYMENT_DELIVERED_TIMESTAMP];
        let stamps = stamps.map(|stamp| col(stamp).cast(instant()));
        let deployments = deployments.unwrap().lazy().with_columns(stamps);
        let tables = Tables::new().with(&deployments::TABLE, deployments);
        let words = ["maturity", "--horizon-days", "2"];
        let matches = Params::augment_args(Command::new(words[0])).get_matches_from(words);
        let params = Params::from_arg_matches(&matches).unwrap();
        let plan = Maturity::plan(&tables, &params).unwrap();
        let answer = plan.collect_with_engine(ENGINE).unwrap().unwrap_single();
        answer.sort([DAY], SortMultipleOptions::default()).unwrap()
    }

    fn counts(answer: &DataFrame, name: &str) -> Vec<usize> {
        let counts = answer.column(name).unwrap().cast(&DataType::Int64).unwrap();
        let counts = counts.i64().unwrap().iter().flatten();
        counts.map(|count| usize::try_from(count).unwrap()).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn days_and_history_are_those_of_the_definition(
            sent in prop::collection::vec(
                ((0..14_i64, -1..2_i64), prop::option::of((-1..6_i64, -1..2_i64))),
                0..40,
            ),
        ) {
            let at = |(halves, more): (i64, i64)| halves * HALF + more;
            let sent: Vec<Sent> = sent
                .into_iter()
                .map(|(start, took)| (at(start), took.map(|took| at(start) + at(took))))
                .collect();
            let outcome = |of: &Sent| of.1.filter(|done| *done >= of.0);
            let latest = sent.iter().map(|of| outcome(of).unwrap_or(of.0)).max().unwrap_or(0);
            let within = |of: &Sent, days: i64| {
                outcome(of).is_some_and(|done| done - of.0 <= days * DAY_MICROS)
            };
            let count = |holds: &dyn Fn(&Sent) -> bool| {
                sent.iter().filter(|of| holds(of)).count()
            };
            let is_history = |of: &Sent| of.0 <= latest - 2 * DAY_MICROS && within(of, 2);
            let history = count(&is_history);

            let days: BTreeSet<i64> = sent.iter().map(|of| of.0.div_euclid(DAY_MICROS)).collect();
            let mut expected = Vec::new();
            for day in days {
                let past = latest - (day + 1) * DAY_MICROS;
                let age = past.div_euclid(DAY_MICROS);
                if !(0..2).contains(&age) {
                    continue;
                }
                let is_of_day = |of: &Sent| of.0.div_euclid(DAY_MICROS) == day;
                let completed = count(&|of| is_history(of) && within(of, age));
                expected.push((
                    usize::try_from(age).unwrap(),
                    count(&is_of_day),
                    count(&|of| is_of_day(of) && outcome(of).is_some()),
                    count(&|of| is_of_day(of) && within(of, age)),
                    history,
                    (history > 0).then(|| completed as f64 * 100.0 / history as f64),
                ));
            }
            let answer = asked(&sent);
            let [ages, starts, reported, in_time, histories] =
                [AGE_DAYS, STARTS, REPORTED, WITHIN, HISTORY].map(|name| counts(&answer, name));
            let shares = answer.column(COMPLETENESS_PCT).unwrap().f64().unwrap();
            let found: Vec<_> = shares
                .iter()
                .enumerate()
                .map(|(row, share)| {
                    (ages[row], starts[row], reported[row], in_time[row], histories[row], share)
                })
                .collect();
            prop_assert_eq!(found, expected);
        }
    }
}
