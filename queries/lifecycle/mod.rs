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

use polars::prelude::{ClosedWindow, Duration, ExplodeOptions, SortMultipleOptions, date_ranges};
use wabalake_data::tables::USER_KEY;
use wabalake_data::tables::sessions::{self, SESSION_STARTED_TIMESTAMP};

use crate::kernels::visits::{self, Beside};
use crate::query::prelude::*;
use crate::query::time::Clock;
use crate::query::words::Word;

/// See the [module](self) for the question it answers.
pub struct Lifecycle;

/// The query's options.
#[derive(Args, Debug)]
pub struct Params {
    #[command(flatten)]
    days: DayRange,

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
                   visits.",
        reads: &[&sessions::TABLE],
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

    fn plan(tables: &Tables, params: &Params) -> PolarsResult<LazyFrame> {
        let period = params.period;
        let start = period.clock().start(col(SESSION_STARTED_TIMESTAMP), params.days.timezone());
        let visits = tables
            .scan(&sessions::TABLE)
            .filter(visit())
            .select([col(USER_KEY), start.alias(PERIOD)]);
        let active =
            visits::in_order(visits, USER_KEY, (PERIOD, DataType::Date), &[Beside::Before]);
        let day = |date: &str| col(date).cast(DataType::Int32);
        let away = day(PERIOD) - day(Beside::Before.column());
        let count = |people: Expr| people.cast(DataType::Int64);
        let counts = active.group_by([col(PERIOD)]).agg([
            count(rows()).alias(ACTIVE),
            count(rows_where(away.clone().is_null())).alias(NEW),
            count(rows_where(away.lt_eq(lit(period.longest())))).alias(RETURNING),
        ]);
        let or_zero = |count: &str| col(count).fill_null(lit(0));
        let counts = periods(&counts, period)?
            .left_join(counts, col(PERIOD), col(PERIOD))
            .with_columns([ACTIVE, NEW, RETURNING].map(or_zero))
            .sort([PERIOD], SortMultipleOptions::default())
            .with_columns([
                (col(ACTIVE) - col(NEW) - col(RETURNING)).alias("resurrected_users"),
                (col(ACTIVE).shift(lit(1)).fill_null(lit(0)) - col(RETURNING))
                    .alias("dormant_users"),
            ]);
        let last_date =
            (period.after(col(PERIOD)).cast(DataType::Int32) - lit(1)).cast(DataType::Date);
        Ok(match params.days.meets(&col(PERIOD), &last_date) {
            Some(in_range) => counts.filter(in_range),
            None => counts,
        })
    }

    fn bind(params: &Params) -> Bindings {
        params.days.bind_dates(Bindings::new()).word("period", params.period)
    }
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
