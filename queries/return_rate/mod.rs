//! Do users come back?
//!
//! One row per cohort and N of `--days`: of the people whose first visit is in the cohort, how many came
//! again on day N. A visit is a session of a known person that was not redirected from another session.
//! The first visit is the first one in the lake: the date range selects people by its date, and does not
//! restrict later visits.
//!
//! ```text
//! first visit   2025-06-01 22:00      day 1 by the calendar: 2025-06-02, from 00:00 to 24:00
//!                                     day 1 rolling: from 2025-06-02 22:00, for 24 hours
//! ```
//!
//! A person is eligible, and can be returned, only if day N is over by the time of the lake's latest
//! session: before that, the absence of a visit says nothing.
//!
//! Filters and `--by` choose people by the session of their first visit, and later visits always count. Of
//! several visits that start together, the one with the smallest session id is the first. By tag, a person
//! counts under each tag that held at the first visit.

use chrono_tz::Tz;
use clap::ValueEnum;
use polars::prelude::df;
use wabalake_data::Table;
use wabalake_data::tables::sessions::{
    self, FIRST_MESSAGE_TIMESTAMP, SESSION_ID, SESSION_STARTED_TIMESTAMP, SESSION_TYPE,
};
use wabalake_data::tables::{USER_KEY, audience_tags, instant};

use crate::kernels::visits::{self, Beside};
use crate::query::first_visits;
use crate::query::numbers::whole;
use crate::query::prelude::*;
use crate::query::time;
use crate::query::words::Word;

/// See the [module](self) for the question it answers.
#[derive(Debug)]
pub struct ReturnRate;

impl Filtered for ReturnRate {
    const TABLE: &'static Table = &sessions::TABLE;
    const FILTERS: &'static [Filter] = Filter::OF_SESSIONS;
}

impl Grouped for ReturnRate {
    const TAKES: &'static [Dimension] = first_visits::DIMENSIONS;
}

/// The query's options.
#[derive(Args, Debug)]
pub struct Params {
    #[command(flatten)]
    range: DayRange,
    #[command(flatten)]
    filters: Filters<ReturnRate>,
    #[command(flatten)]
    by: Dimensions<ReturnRate>,

    /// Days N after the first visit, from 1 on, separated by commas
    #[arg(
        long,
        value_name = "LIST",
        value_delimiter = ',',
        default_value = "1,7,30",
        value_parser = whole::<i32>(1..=36_500)
    )]
    days: Vec<i32>,

    /// Which visits count as a return
    #[arg(long, value_enum, default_value_t = Mode::On, value_parser = Word::of::<Mode>())]
    mode: Mode,

    /// How days are counted
    #[arg(long, value_enum, default_value_t = Clock::Calendar, value_parser = Word::of::<Clock>())]
    clock: Clock,

    /// People of one cohort: those with a first visit on one day, week or month, or all
    #[arg(long, value_enum, default_value_t = Cohort::Day, value_parser = Word::of::<Cohort>())]
    cohort: Cohort,

    /// Which sessions are visits
    #[arg(long, value_enum, default_value_t = Visits::Any, value_parser = Word::of::<Visits>())]
    visits: Visits,
}

/// Which visits count as a return on day N.
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

/// How days after the first visit are counted.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Clock {
    /// Local dates
    Calendar,
    /// Periods of 24 hours from the start of the first visit
    Rolling,
}

impl Clock {
    /// The time of a visit: its local date or its instant.
    fn moment(self, zone: Tz) -> Expr {
        let at = col(SESSION_STARTED_TIMESTAMP);
        match self {
            Self::Calendar => time::Clock::Day.start(at, zone),
            Self::Rolling => at,
        }
    }

    /// The type of a moment.
    fn moments(self) -> DataType {
        match self {
            Self::Calendar => DataType::Date,
            Self::Rolling => instant(),
        }
    }

    /// The number of days from one moment to another.
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
            Self::Rolling => time::Clock::Day.start(col(moment), zone),
        }
    }
}

/// The length of a cohort.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Cohort {
    /// First visits of one local date
    Day,
    /// First visits of one week, from Monday on
    Week,
    /// First visits of one month
    Month,
    /// All first visits
    All,
}

impl Cohort {
    fn of(self, date: Expr) -> Expr {
        match self {
            Self::Day => date,
            Self::Week => date.dt().truncate(lit("1w")),
            Self::Month => date.dt().truncate(lit("1mo")),
            // A null literal would make one group even without rows.
            Self::All => when(date.clone().is_null()).then(date).otherwise(lit(Null {})),
        }
    }
}

/// Which sessions are visits.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Visits {
    /// Sessions that were not redirected from another
    Any,
    /// Of those, sessions in which the user wrote
    Replied,
    /// Of those, sessions that the user started
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

/// [`Visits::keep`] in SQL.
const IS_VISIT: &str = "parent_session_id IS NULL
        AND user_phone IS NOT NULL
        AND (:visits <> 'replied' OR first_message_timestamp IS NOT NULL)
        AND (:visits <> 'inbound' OR session_type = 'Inbound')";

/// The people whose first visit is in the date range, and the days N on which they returned.
const RETURNS_SQL: &str = include_str!("returns.sql");

/// The columns of the first visit that precede those of its person.
const VISIT_THEN_SQL: &str = "session_id,
        at,
        ";

/// First date of the day, week or month of the first visit.
pub const COHORT: &str = "cohort";
/// Number of days after the first visit.
pub const DAY_N: &str = "day_n";
/// People of the cohort.
pub const COHORT_USERS: &str = "cohort_users";
/// People of the cohort whose day N is over.
pub const ELIGIBLE_USERS: &str = "eligible_users";
/// Share of the eligible people who returned.
pub const RETURN_RATE_PCT: &str = "return_rate_pct";

const RETURNED_USERS: &str = "returned_users";

const MOMENT: &str = "moment";
const FIRST: &str = Beside::First.column();
const BEFORE: &str = Beside::Before.column();
const LATEST: &str = "latest";

impl Query for ReturnRate {
    type Params = Params;

    const SPEC: Spec = Spec {
        name: "return-rate",
        title: "Users who come back, by the day of their first visit",
        question: "Do users come back? Of the people whose first visit is in the range, the share \
                   that visits again on day N. Redirected sessions are no visits. Only people \
                   whose day N is over by the lake's latest session are eligible. Filters and `--by` \
                   choose people by their first visit; later visits always count.",
        reads: &[&sessions::TABLE, &audience_tags::TABLE],
        range: Range::History,
        columns: &[
            OutputColumn::date(COHORT),
            OutputColumn::count(DAY_N),
            OutputColumn::count(COHORT_USERS),
            OutputColumn::count(ELIGIBLE_USERS),
            OutputColumn::count(RETURNED_USERS),
            OutputColumn::pct(RETURN_RATE_PCT),
        ],
        key: &[COHORT, DAY_N],
        order: &[],
        example: &["--cohort", "week", "--days", "1,7", "--mode", "within", "--from", "2025-06-01"],
        sql: include_str!("twin.sql"),
    };

    const BEHIND: Option<Behind<Self>> = Some(Behind {
        table: &sessions::TABLE,
        cells: &[COHORT, DAY_N],
        counts: &[COHORT_USERS, ELIGIBLE_USERS, RETURNED_USERS],
        id: &[SESSION_ID],
        rows: first_visits_by_day,
        sql: include_str!("people.sql"),
    });

    fn resolve(params: &mut Params, defaults: &Defaults) -> Result<Timeframe, UsageError> {
        params.range.resolve(defaults)
    }

    fn reads(params: &Params) -> Vec<&'static Table> {
        Self::SPEC.reads_for(&[&params.filters, &params.by])
    }

    fn by(params: &Params) -> Vec<OutputColumn> {
        params.by.columns()
    }

    fn plan(tables: &Tables, params: &Params) -> PolarsResult<LazyFrame> {
        let zone = params.range.timezone();
        let days = params.days();
        let moment = params.clock.moment(zone).alias(MOMENT);
        let sessions = tables.scan(&sessions::TABLE);
        let visits = sessions.clone().filter(params.visits.keep());
        let people = first_visits::people(visits, &params.filters, &params.by, tables, zone);
        let moments = sessions.with_column(moment);
        let latest = moments.clone().select([col(MOMENT).max().alias(LATEST)]);
        let visits = params.visits_in_order(moments, people.is_some());
        let cohort = params.cohort.of(params.clock.date(FIRST, zone)).alias(COHORT);
        let groups = [params.by.names(), vec![cohort]].concat();

        let is_first = || col(BEFORE).is_null();
        let is_any_return =
            days.iter().map(|n| params.is_first_return(*n)).fold(is_first(), Expr::or);
        let mut counted = vec![rows_where(is_first()).alias(COHORT_USERS)];
        for n in &days {
            let eligible = |visits: Expr| rows_where(visits.and(params.is_over(*n)));
            counted.push(eligible(is_first()).alias(format!("eligible_{n}")));
            counted.push(eligible(params.is_first_return(*n)).alias(format!("returned_{n}")));
        }
        let visits = visits.filter(is_any_return);
        let visits = match people {
            Some(people) => visits.inner_join(people, col(USER_KEY), col(USER_KEY)),
            None => visits,
        };
        let cohorts = visits.cross_join(latest, None).group_by(groups).agg(counted);

        let of_that_day = |named: &str| {
            days.iter().fold(lit(0), |others, n| {
                let is_that = col(DAY_N).eq(lit(*n));
                when(is_that).then(col(format!("{named}_{n}"))).otherwise(others)
            })
        };
        let answer = cohorts.cross_join(df![DAY_N => &days]?.lazy(), None).with_columns([
            of_that_day("eligible").alias(ELIGIBLE_USERS),
            of_that_day("returned").alias(RETURNED_USERS),
        ]);
        let rate = share_pct(col(RETURNED_USERS), col(ELIGIBLE_USERS));
        Ok(answer.with_column(rate.alias(RETURN_RATE_PCT)))
    }

    fn bind(params: &Params) -> Bindings {
        let bindings = params.range.bind_dates(Bindings::new());
        let bindings = first_visits::bind(bindings, &params.filters, &params.by, IS_VISIT)
            .slot("is_visit", IS_VISIT.to_owned())
            .list("days", &params.days())
            .word("mode", params.mode)
            .word("clock", params.clock)
            .word("cohort", params.cohort)
            .word("visits", params.visits);
        let returns = RETURNS_SQL.trim_end();
        // People are named with the session of their first visit, so they are joined even if everybody counts.
        let of_visits = returns.replace("{chosen}", "{chosen_visits}");
        let of_visits = of_visits.replace("{of_chosen}", first_visits::OF_CHOSEN);
        let returns_of_visits =
            bindings.fill_slots(&of_visits.replace("{visit_then}", VISIT_THEN_SQL));
        let returns = bindings.fill_slots(&returns.replace("{visit_then}", ""));
        bindings.slot("returns", returns).slot("returns_of_visits", returns_of_visits)
    }
}

impl Params {
    /// The visits of people whose first visit is in the date range, with their first one and the one before,
    /// and with the person if asked for.
    fn visits_in_order(&self, moments: LazyFrame, with_person: bool) -> LazyFrame {
        let visits = moments.filter(self.visits.keep()).select([col(USER_KEY), col(MOMENT)]);
        let (at, beside) = ((MOMENT, self.clock.moments()), &[Beside::First, Beside::Before]);
        let visits = if with_person {
            visits::in_order_of_people(visits, USER_KEY, at, beside)
        } else {
            visits::in_order(visits, USER_KEY, at, beside)
        };
        match self.range.holds(&self.clock.date(FIRST, self.range.timezone())) {
            Some(in_range) => visits.filter(in_range),
            None => visits,
        }
    }

    /// Predicate: a visit is the person's first return for day N. The days of returns are without a
    /// gap, so the visit before that one is no return.
    fn is_first_return(&self, n: i32) -> Expr {
        self.is_return(MOMENT, n).and(self.is_return(BEFORE, n).not())
    }

    /// Predicate: a visit is a return for day N.
    fn is_return(&self, visit: &str, n: i32) -> Expr {
        self.mode.is_return(self.clock.days_between(FIRST, visit), n)
    }

    /// Predicate: day N of a person is over by the lake's latest session.
    fn is_over(&self, n: i32) -> Expr {
        self.clock.days_between(FIRST, LATEST).gt(lit(n))
    }

    /// The values of `--days`, sorted and unique.
    fn days(&self) -> Vec<i32> {
        let mut days = self.days.clone();
        days.sort_unstable();
        days.dedup();
        days
    }
}

/// The first visits of the people who count, each once for each N, with its cohort.
fn first_visits_by_day(tables: &Tables, params: &Params) -> PolarsResult<LazyFrame> {
    let zone = params.range.timezone();
    let days = params.days();
    let sessions = tables.scan(&sessions::TABLE);
    let visits = sessions.clone().filter(params.visits.keep());
    let chosen = first_visits::chosen(visits, &params.filters, &params.by, tables, zone);
    let moments = sessions.with_column(params.clock.moment(zone).alias(MOMENT));
    let latest = moments.clone().select([col(MOMENT).max().alias(LATEST)]);

    let returned = |n: i32| format!("returned_{n}");
    let any_return = |n: &i32| params.is_return(MOMENT, *n).any(true).alias(returned(*n));
    let of_person: Vec<Expr> =
        std::iter::once(col(FIRST).first()).chain(days.iter().map(any_return)).collect();
    let people = params.visits_in_order(moments, true).group_by([col(USER_KEY)]).agg(of_person);

    let on_that_day = |is: &dyn Fn(i32) -> Expr| {
        days.iter().fold(lit(false), |others, n| {
            when(col(DAY_N).eq(lit(*n))).then(is(*n)).otherwise(others)
        })
    };
    let key = [col(USER_KEY)];
    Ok(chosen
        .join(people, &key, &key, JoinArgs::new(JoinType::Inner))
        .cross_join(latest, None)
        .cross_join(df![DAY_N => &days]?.lazy(), None)
        .with_columns([
            params.cohort.of(params.clock.date(FIRST, zone)).alias(COHORT),
            lit(true).alias(COHORT_USERS),
            on_that_day(&|n| params.is_over(n)).alias(ELIGIBLE_USERS),
        ])
        .with_column(
            col(ELIGIBLE_USERS).and(on_that_day(&|n| col(returned(n)))).alias(RETURNED_USERS),
        ))
}
