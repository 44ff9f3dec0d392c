//! Do users come back?
//!
//! One row for each cohort and each N of `--days`: of the people whose first visit made the cohort,
//! how many came again on day N. A visit is a session without a parent, so a redirection is none,
//! and one without a phone is nobody's. The first visit is the first in the lake, even before
//! `--from`: the range chooses people by the date of that visit, and cuts no later one.
//!
//! ```text
//! first visit   2025-06-01 22:00      day 1 by the calendar: 2025-06-02, from 00:00 to 24:00
//!                                     day 1 rolling: from 2025-06-02 22:00, for 24 hours
//! ```
//!
//! A person counts as eligible, and as returned, only when day N had passed by the time of the
//! lake's latest session: before that, not having come back says nothing.

use chrono_tz::Tz;
use clap::ValueEnum;
use polars::prelude::df;
use wabalake_data::tables::USER_KEY;
use wabalake_data::tables::sessions::{
    self, FIRST_MESSAGE_TIMESTAMP, SESSION_STARTED_TIMESTAMP, SESSION_TYPE,
};

use crate::query::numbers::whole;
use crate::query::prelude::*;
use crate::query::words::Word;
use crate::query::zone;

/// See the [module](self) for the question it answers.
pub struct ReturnRate;

/// What may be chosen.
#[derive(Args, Debug)]
pub struct Params {
    #[command(flatten)]
    range: DayRange,

    /// Days N after the first visit to ask about, from 1 on, separated by commas
    #[arg(
        long,
        value_name = "LIST",
        value_delimiter = ',',
        default_value = "1,7,30",
        value_parser = whole::<i32>(1..=36_500)
    )]
    days: Vec<i32>,

    /// When a visit has to be to count as a return
    #[arg(long, value_enum, default_value_t = Mode::On, value_parser = Word::of::<Mode>())]
    mode: Mode,

    /// How days are told apart
    #[arg(long, value_enum, default_value_t = Clock::Calendar, value_parser = Word::of::<Clock>())]
    clock: Clock,

    /// Whose first visits make one cohort: those of one day, week or month, or everybody's
    #[arg(long, value_enum, default_value_t = Cohort::Day, value_parser = Word::of::<Cohort>())]
    cohort: Cohort,

    /// Which sessions are visits
    #[arg(long, value_enum, default_value_t = Visits::Any, value_parser = Word::of::<Visits>())]
    visits: Visits,
}

/// When a visit has to be to count as a return on day N.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Mode {
    /// On day N
    On,
    /// On any of the days 1 to N
    Within,
    /// On day N or later
    OnOrAfter,
}

impl Mode {
    fn is_return(self, day: Expr, n: i32) -> Expr {
        match self {
            Self::On => day.eq(lit(n)),
            Self::Within => day.clone().gt_eq(lit(1)).and(day.lt_eq(lit(n))),
            Self::OnOrAfter => day.gt_eq(lit(n)),
        }
    }
}

/// How days are told apart.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Clock {
    /// Local dates
    Calendar,
    /// Stretches of 24 hours from the first visit's start
    Rolling,
}

impl Clock {
    /// What is known of when a visit was: its local date, or its instant.
    fn moment(self, zone: Tz) -> Expr {
        let at = col(SESSION_STARTED_TIMESTAMP);
        match self {
            Self::Calendar => zone::Clock::Day.start(at, zone),
            Self::Rolling => at,
        }
    }

    /// The day, counted from 0, that one moment lies after another.
    fn days_between(self, first: &str, then: &str) -> Expr {
        match self {
            Self::Calendar => col(then).cast(DataType::Int32) - col(first).cast(DataType::Int32),
            Self::Rolling => {
                let micros = col(then).cast(DataType::Int64) - col(first).cast(DataType::Int64);
                micros.floor_div(lit(24 * 3_600_000_000_i64)).cast(DataType::Int32)
            }
        }
    }

    /// The local date of a moment.
    fn date(self, moment: &str, zone: Tz) -> Expr {
        match self {
            Self::Calendar => col(moment),
            Self::Rolling => zone::Clock::Day.start(col(moment), zone),
        }
    }
}

/// Whose first visits make one cohort.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Cohort {
    /// Those of one local date
    Day,
    /// Those of one week from Monday
    Week,
    /// Those of one month
    Month,
    /// Everybody's
    All,
}

impl Cohort {
    fn of(self, date: Expr) -> Expr {
        match self {
            Self::Day => date,
            Self::Week => date.dt().truncate(lit("1w")),
            Self::Month => date.dt().truncate(lit("1mo")),
            // A plain null would be one group even of nobody.
            Self::All => when(date.clone().is_null()).then(date).otherwise(lit(Null {})),
        }
    }
}

/// Which sessions are visits.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Visits {
    /// Every one that was not redirected from another
    Any,
    /// Of those, the ones in which the user wrote
    Replied,
    /// Of those, the ones that the user began
    Inbound,
}

impl Visits {
    fn keep(self) -> Expr {
        match self {
            Self::Any => visit(),
            Self::Replied => visit().and(col(FIRST_MESSAGE_TIMESTAMP).is_not_null()),
            Self::Inbound => visit().and(col(SESSION_TYPE).eq(lit("Inbound"))),
        }
    }
}

/// The day, week or month of the first visit: its first date.
pub const COHORT: &str = "cohort";
/// How many days after the first visit.
pub const DAY_N: &str = "day_n";
/// People of the cohort.
pub const COHORT_USERS: &str = "cohort_users";
/// Of them, those for whom that many days are over.
pub const ELIGIBLE_USERS: &str = "eligible_users";
/// People who returned, of those eligible.
pub const RETURN_RATE_PCT: &str = "return_rate_pct";

const MOMENT: &str = "moment";
const FIRST: &str = "first";
const LATEST: &str = "latest";
const DAY: &str = "day";

impl Query for ReturnRate {
    type Params = Params;

    const SPEC: Spec = Spec {
        name: "return-rate",
        title: "Users who come back, by the day of their first visit",
        question: "Do users come back? Of the people whose first visit lies in the range, the \
                   share that visits again on day N. A redirection is no visit. Only people whose \
                   day N had passed by the lake's latest session are eligible.",
        reads: &[&sessions::TABLE],
        range: Range::History,
        columns: &[
            OutputColumn::date(COHORT),
            OutputColumn::count(DAY_N),
            OutputColumn::count(COHORT_USERS),
            OutputColumn::count(ELIGIBLE_USERS),
            OutputColumn::count("returned_users"),
            OutputColumn::pct(RETURN_RATE_PCT),
        ],
        key: &[COHORT, DAY_N],
        order: &[],
        example: "--cohort week --days 1,7 --mode within --from 2025-06-01",
        sql: include_str!("twin.sql"),
    };

    fn plan(tables: &Tables, params: &Params) -> PolarsResult<LazyFrame> {
        let Params { clock, mode, .. } = *params;
        let zone = params.range.timezone();
        let days = params.days();
        let each_day = |of: &dyn Fn(i32) -> Expr, named: &str| -> Vec<Expr> {
            days.iter().map(|n| of(*n).alias(format!("{named}_{n}"))).collect()
        };

        let moments = tables.scan(&sessions::TABLE).with_column(clock.moment(zone).alias(MOMENT));
        let latest = moments.clone().select([col(MOMENT).max().alias(LATEST)]);
        let visits = moments.filter(params.visits.keep()).select([col(USER_KEY), col(MOMENT)]);

        let people = visits.clone().group_by([col(USER_KEY)]).agg([col(MOMENT).min().alias(FIRST)]);
        let people = match params.range.holds(&clock.date(FIRST, zone)) {
            Some(in_range) => people.filter(in_range),
            None => people,
        };
        let cohort = params.cohort.of(clock.date(FIRST, zone)).alias(COHORT);
        let passed = |n: i32| clock.days_between(FIRST, LATEST).gt(lit(n));

        let mut counted = each_day(&|n| passed(n).sum(), "eligible");
        counted.push(rows().alias(COHORT_USERS));
        let cohorts =
            people.clone().cross_join(latest.clone(), None).group_by([cohort.clone()]).agg(counted);

        let any_day = days.iter().map(|n| mode.is_return(col(DAY), *n)).reduce(Expr::or);
        let returning = visits
            .inner_join(people, col(USER_KEY), col(USER_KEY))
            .with_column(clock.days_between(FIRST, MOMENT).alias(DAY))
            .filter(any_day.unwrap_or(lit(false)))
            .group_by([col(USER_KEY), col(FIRST)])
            .agg(each_day(&|n| mode.is_return(col(DAY), n).any(true), "on"));
        let returned = returning
            .cross_join(latest, None)
            .group_by([cohort])
            .agg(each_day(&|n| col(format!("on_{n}")).and(passed(n)).sum(), "returned"));

        let of_that_day = |named: &str| {
            days.iter().fold(lit(0), |others, n| {
                let is_that = col(DAY_N).eq(lit(*n));
                when(is_that).then(col(format!("{named}_{n}"))).otherwise(others)
            })
        };
        let answer = cohorts
            .join_builder()
            .with(returned)
            .how(JoinType::Left)
            .on([col(COHORT)])
            .join_nulls(true)
            .finish()
            .cross_join(df![DAY_N => &days]?.lazy(), None)
            .with_columns([
                of_that_day("eligible").alias(ELIGIBLE_USERS),
                of_that_day("returned").fill_null(lit(0)).alias("returned_users"),
            ]);
        let rate = share_pct(col("returned_users"), col(ELIGIBLE_USERS));
        Ok(answer.with_column(rate.alias(RETURN_RATE_PCT)))
    }

    fn bind(params: &Params) -> Bindings {
        params
            .range
            .bind_dates(Bindings::new())
            .list("days", &params.days())
            .word("mode", params.mode)
            .word("clock", params.clock)
            .word("cohort", params.cohort)
            .word("visits", params.visits)
    }
}

impl Params {
    /// The days asked for, each once.
    fn days(&self) -> Vec<i32> {
        let mut days = self.days.clone();
        days.sort_unstable();
        days.dedup();
        days
    }
}
