//! Which of a business's own events count, and which session each is owed to.
//!
//! ```text
//! conversion            belongs to
//! c1 names session s1   s1 alone, whenever it happened, whether or not s1 is in the lake
//! c2 names a person     the last session of theirs that was no redirection, and that began at or
//!                       before c2 and within the window; of two at one instant the greater id
//! c3 names neither      nobody
//! ```
//!
//! A query counts a conversion if it counts that session. The range of days cuts none of this.

use clap::Args;
use polars::prelude::{
    DataType, Expr, JoinArgs, JoinType, LazyFrame, NamedFrom, PolarsResult, Series, UnionArgs, col,
    concat, lit,
};
use wabalake_data::tables::conversions::{self, CONVERTED_AT, EVENT, VALUE};
use wabalake_data::tables::sessions::{self, SESSION_ID, SESSION_STARTED_TIMESTAMP};
use wabalake_data::tables::{CONVERSION_KEY, CURRENCY, SESSION_KEY, USER_KEY};

use super::filters::{Choice, Only};
use super::measures::{rows, visit};
use super::sql::Bindings;
use super::tables::Tables;

/// Microseconds in 24 hours.
const DAY: i64 = 24 * 3_600_000_000;

/// `--conversion-window-days` and `--event`.
#[derive(Args, Clone, Debug)]
pub struct Conversions {
    /// How many days of 24 hours before a conversion its session began at most, where only the
    /// person is known
    #[arg(
        long,
        value_name = "DAYS",
        default_value_t = 7,
        value_parser = clap::value_parser!(i64).range(0..=36_500)
    )]
    conversion_window_days: i64,

    #[command(flatten)]
    event: Only<Event>,
}

/// `--event`, in any case.
#[derive(Clone, Copy, Debug)]
pub struct Event;

impl Choice for Event {
    type Value = String;

    const NAME: &'static str = EVENT;
    const COLUMN: &'static str = EVENT;
    const HELP: &'static str = "Only conversions of these events, in any case";

    fn read(word: &str) -> Result<String, String> {
        Ok(word.to_lowercase())
    }

    fn series(values: &[String]) -> Series {
        Series::new(EVENT.into(), values)
    }

    fn compared() -> Expr {
        col(EVENT).str().to_lowercase()
    }
}

/// The conversions of a session.
pub const CONVERSIONS: &str = "conversions";

impl Conversions {
    /// The conversions that count and belong to a session, one row each: `conversion_key`, that
    /// session's `session_key`, `converted_at`, `value` and `currency`.
    ///
    /// # Errors
    /// Those of building a plan.
    pub fn attributed(&self, tables: &Tables) -> PolarsResult<LazyFrame> {
        let counting = self.event.of(tables.scan(&conversions::TABLE));
        let what = [col(CONVERTED_AT), col(VALUE), col(CURRENCY)];
        let session = [&[col(CONVERSION_KEY), col(SESSION_KEY)][..], &what].concat();
        let naming_a_session =
            counting.clone().filter(col(SESSION_KEY).is_not_null()).select(session.clone());

        let person = [&[col(CONVERSION_KEY), col(USER_KEY)][..], &what].concat();
        let naming_a_person = counting
            .filter(col(SESSION_KEY).is_null().and(col(USER_KEY).is_not_null()))
            .select(person);
        let visits = tables.scan(&sessions::TABLE).filter(visit()).select([
            col(USER_KEY),
            col(SESSION_KEY),
            col(SESSION_ID),
            col(SESSION_STARTED_TIMESTAMP),
        ]);
        let micros = |stamp| col(stamp).cast(DataType::Int64);
        let since = micros(CONVERTED_AT) - micros(SESSION_STARTED_TIMESTAMP);
        let window = lit(self.conversion_window_days * DAY);
        let candidates = naming_a_person
            .inner_join(visits, col(USER_KEY), col(USER_KEY))
            .filter(since.clone().gt_eq(lit(0_i64)).and(since.lt_eq(window)));
        // Of each conversion first the last start, then of those at one instant the greater id.
        let last = candidates
            .clone()
            .group_by([col(CONVERSION_KEY)])
            .agg([col(SESSION_STARTED_TIMESTAMP).max()]);
        let on = [col(CONVERSION_KEY), col(SESSION_STARTED_TIMESTAMP)];
        let found = candidates
            .join(last, &on, &on, JoinArgs::new(JoinType::Inner))
            .group_by([col(CONVERSION_KEY)])
            .agg([
                col(SESSION_KEY).max_by(col(SESSION_ID)),
                col(CONVERTED_AT).max(),
                col(VALUE).max(),
                col(CURRENCY).max(),
            ])
            .select(session);
        concat([naming_a_session, found], UnionArgs::default())
    }

    /// The sessions that have a conversion that counts, each once by its `session_key`, with how
    /// many [`CONVERSIONS`] it has and the first one's `converted_at`.
    ///
    /// # Errors
    /// Those of building a plan.
    pub fn by_session(&self, tables: &Tables) -> PolarsResult<LazyFrame> {
        let sessions = self.attributed(tables)?.group_by([col(SESSION_KEY)]);
        Ok(sessions.agg([rows().cast(DataType::Int64).alias(CONVERSIONS), col(CONVERTED_AT).min()]))
    }

    /// Binds the parameters and the slot `{attributed}`: a query that gives each conversion that
    /// counts and belongs to a session as `converted_session_id`, `converted_at`, `value` and
    /// `currency`.
    pub fn bind(&self, bindings: Bindings) -> Bindings {
        self.event
            .bind(bindings)
            .integer("conversion_window_days", self.conversion_window_days)
            .slot("attributed", include_str!("attributed.sql").trim_end().replace('\n', "\n    "))
    }
}
