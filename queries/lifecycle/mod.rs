//! How many users are new, returning, resurrected or dormant?
//!
//! One row per week or month from the lake's first visit to its last, without gaps. A visit is a session
//! of a known person that was not redirected from another session. The date range keeps the periods that
//! overlap it; the status of a person is computed from the whole history.
//!
//! ```text
//! week        1          2          3            4
//! visits      yes        yes        –            yes
//!             new        returning  dormant      resurrected
//! ```
//!
//! A person is dormant once, in the first period without a visit.
//!
//! Filters and `--by` choose people by the session of their first visit, as in `return-rate`; later visits
//! always count. Each group has a row for each period from the first visit of anybody to the last.

use polars::prelude::{ClosedWindow, Duration, ExplodeOptions, SortMultipleOptions, date_ranges};
use wabalake_data::Table;
use wabalake_data::tables::sessions::{self, SESSION_STARTED_TIMESTAMP};
use wabalake_data::tables::{USER_KEY, audience_tags};

use crate::kernels;
use crate::kernels::visits::{self, Beside};
use crate::query::first_visits;
use crate::query::prelude::*;
use crate::query::time::Clock;
use crate::query::words::Word;

/// See the [module](self) for the question it answers.
#[derive(Debug)]
pub struct Lifecycle;

impl Filtered for Lifecycle {
    const TABLE: &'static Table = &sessions::TABLE;
    const FILTERS: &'static [Filter] = Filter::OF_SESSIONS;
}

impl Grouped for Lifecycle {
    const TAKES: &'static [Dimension] = first_visits::DIMENSIONS;
}

/// The query's options.
#[derive(Args, Debug)]
pub struct Params {
    #[command(flatten)]
    days: DayRange,
    #[command(flatten)]
    filters: Filters<Lifecycle>,
    #[command(flatten)]
    by: Dimensions<Lifecycle>,

    /// Length of a period
    #[arg(long, value_enum, default_value_t = PeriodLength::Week, value_parser = Word::of::<PeriodLength>())]
    period: PeriodLength,
}

/// The length of a period.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum PeriodLength {
    /// Seven local dates, from Monday on
    Week,
    /// A calendar month
    Month,
}

impl PeriodLength {
    const fn clock(self) -> Clock {
        match self {
            Self::Week => Clock::Week,
            Self::Month => Clock::Month,
        }
    }

    const fn length(self) -> &'static str {
        match self {
            Self::Week => "1w",
            Self::Month => "1mo",
        }
    }

    /// The most days from the first date to that of the next period; the one after that is further away.
    const fn longest(self) -> i32 {
        match self {
            Self::Week => 7,
            Self::Month => 31,
        }
    }

    /// The first date of the next period.
    fn after(self, date: Expr) -> Expr {
        date.dt().offset_by(lit(self.length()))
    }
}

const PERIOD: &str = "period";
const FIRST: &str = "first";
const LAST: &str = "last";
const CHOSEN: &str = "chosen";
const ACTIVE: &str = "active";
const NEW: &str = "new_users";
const RETURNING: &str = "returning_users";

impl Query for Lifecycle {
    type Params = Params;

    const SPEC: Spec = Spec {
        name: "lifecycle",
        title: "New, returning, resurrected and dormant users",
        question: "How many users are new, returning, resurrected or dormant? By week or month: new \
                   with their first visit, returning from the period before, resurrected after a \
                   gap, dormant in the first period without a visit. Redirected sessions are no \
                   visits. Filters and `--by` choose people by their first visit; later visits \
                   always count.",
        reads: &[&sessions::TABLE, &audience_tags::TABLE],
        range: Range::History,
        columns: &[
            OutputColumn::date(PERIOD),
            OutputColumn::count(NEW),
            OutputColumn::count(RETURNING),
            OutputColumn::count("resurrected_users"),
            OutputColumn::count("dormant_users"),
        ],
        key: &[PERIOD],
        order: &[],
        example: &["--period", "month", "--timezone", "America/Bogota"],
        sql: include_str!("twin.sql"),
    };

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
        let (period, zone) = (params.period, params.days.timezone());
        let start = period.clock().start(col(SESSION_STARTED_TIMESTAMP), zone);
        let visits = tables.scan(&sessions::TABLE).filter(visit());
        let people =
            first_visits::people(visits.clone(), &params.filters, &params.by, tables, zone);
        let visits = visits.select([col(USER_KEY), start.alias(PERIOD)]);

        let by = params.by.names();
        let of_group = [&by[..], &[col(PERIOD)]].concat();
        let (each, counts) = match people {
            None => {
                let counts = counted(in_order(visits), &of_group, period);
                (periods(&counts, period)?, counts)
            }
            Some(people) => {
                // The others' visits count for the first and the last period.
                let active = with_people(visits, people);
                let of_group = [&of_group[..], &[col(CHOSEN)]].concat();
                let counts = kernels::once(counted(active, &of_group, period));
                let periods = periods(&counts, period)?;
                let counts = counts.filter(col(CHOSEN));
                (params.by.for_each_group(counts.clone(), periods), counts)
            }
        };
        let or_zero = |count: &str| col(count).fill_null(lit(0));
        let nulls_too = JoinArgs { nulls_equal: true, ..JoinArgs::new(JoinType::Left) };
        let before = col(ACTIVE).shift(lit(1));
        let before = if by.is_empty() { before } else { before.over(by)? };
        let counts = each
            .join(counts, &of_group, &of_group, nulls_too)
            .with_columns([ACTIVE, NEW, RETURNING].map(or_zero))
            .sort_by_exprs(&of_group, SortMultipleOptions::default())
            .with_columns([
                (col(ACTIVE) - col(NEW) - col(RETURNING)).alias("resurrected_users"),
                (before.fill_null(lit(0)) - col(RETURNING)).alias("dormant_users"),
            ]);
        let last_date =
            (period.after(col(PERIOD)).cast(DataType::Int32) - lit(1)).cast(DataType::Date);
        Ok(match params.days.meets(&col(PERIOD), &last_date) {
            Some(in_range) => counts.filter(in_range),
            None => counts,
        })
    }

    fn bind(params: &Params) -> Bindings {
        let bindings = params.days.bind_dates(Bindings::new());
        first_visits::bind(bindings, &params.filters, &params.by, IS_VISIT)
            .slot("is_visit", IS_VISIT.to_owned())
            .word("period", params.period)
    }
}

/// [`visit`] in SQL.
const IS_VISIT: &str = "parent_session_id IS NULL AND user_phone IS NOT NULL";

/// The periods with a visit of each person, with the period of the visit before.
fn in_order(visits: LazyFrame) -> LazyFrame {
    visits::in_order(visits, USER_KEY, (PERIOD, DataType::Date), &[Beside::Before])
}

/// [`in_order`] with the columns of people, and [`CHOSEN`] for these.
fn with_people(visits: LazyFrame, people: LazyFrame) -> LazyFrame {
    let at = (PERIOD, DataType::Date);
    let of_person = [col(USER_KEY)];
    visits::in_order_of_people(visits, USER_KEY, at, &[Beside::Before]).join(
        people.with_column(lit(true).alias(CHOSEN)),
        &of_person,
        &of_person,
        JoinArgs::new(JoinType::Left),
    )
}

/// The people of each group, those with a first visit, and those with a visit in the period before.
fn counted(active: LazyFrame, groups: &[Expr], period: PeriodLength) -> LazyFrame {
    let day = |date: &str| col(date).cast(DataType::Int32);
    let away = day(PERIOD) - day(Beside::Before.column());
    let count = |people: Expr| people.cast(DataType::Int64);
    active.group_by(groups).agg([
        count(rows()).alias(ACTIVE),
        count(rows_where(away.clone().is_null())).alias(NEW),
        count(rows_where(away.lt_eq(lit(period.longest())))).alias(RETURNING),
    ])
}

/// The start of each period from the first to the last with a visit.
fn periods(active: &LazyFrame, period: PeriodLength) -> PolarsResult<LazyFrame> {
    let length = Duration::parse(period.length());
    let each =
        date_ranges(Some(col(FIRST)), Some(col(LAST)), Some(length), None, ClosedWindow::Both)?;
    let exploded = ExplodeOptions { empty_as_null: false, keep_nulls: false };
    Ok(active
        .clone()
        .select([col(PERIOD).min().alias(FIRST), col(PERIOD).max().alias(LAST)])
        .select([each.explode(exploded).alias(PERIOD)]))
}
