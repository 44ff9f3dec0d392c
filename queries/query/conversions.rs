//! Attribution of conversions, the business's own events, to sessions.
//!
//! ```text
//! conversion            is attributed to
//! c1 names session s1   s1, whenever it happened, even if s1 is not in the lake
//! c2 names a person     the person's last session that was not redirected and that started at or
//!                       before c2, within the window; at equal times the one with the greater id
//! c3 names neither      no session
//! ```
//!
//! A query counts a conversion if it counts that session. The date range does not restrict the
//! attribution.

use clap::Args;
use polars::prelude::{
    DataType, Expr, JoinArgs, JoinType, LazyFrame, NULL, NamedFrom, PolarsResult, Series, col, lit,
    when,
};
use wabalake_data::Invalid;
use wabalake_data::tables::conversions::{self, CONVERTED_AT, EVENT, VALUE};
use wabalake_data::tables::sessions::{self, SESSION_ID, SESSION_STARTED_TIMESTAMP};
use wabalake_data::tables::{CURRENCY, SESSION_KEY, USER_KEY};

use super::billing::money;
use super::filters::{Choice, Only};
use super::joins::{self, Greatest, Nearest};
use super::measures::{rows, visit};
use super::numbers::whole;
use super::sql::Bindings;
use super::tables::Tables;
use super::time::DAY;
use crate::kernels;

const CONVERTED: &str = "converted";
const STARTED: &str = "started";
const VISIT_KEY: &str = "visit_key";

/// The value of `--conversion-window-days` by default.
const WINDOW_DAYS: i64 = 7;

/// `--conversion-window-days` and `--event`.
#[derive(Args, Clone, Debug)]
pub struct Conversions {
    /// How many days of 24 hours a session may start before a conversion that names only the
    /// person
    #[arg(
        long,
        value_name = "DAYS",
        default_value_t = WINDOW_DAYS,
        value_parser = whole::<i64>(0..=36_500)
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
    const NONE: &'static str = "event_none";
    const COLUMN: &'static str = EVENT;
    const HELP: &'static str = "Only conversions of these events, in any case";

    fn read(word: &str) -> Result<String, Invalid> {
        Ok(word.to_lowercase())
    }

    fn series(values: &[String]) -> Series {
        Series::new(EVENT.into(), values)
    }

    fn compared() -> Expr {
        col(EVENT).str().to_lowercase()
    }
}

/// The number of conversions of a session.
pub const CONVERSIONS: &str = "conversions";

/// A mark that is `true` in one of the rows of a session: its sum is the number of sessions.
pub const CONVERTED_SESSIONS: &str = "converted_sessions";

impl Conversions {
    /// Returns the plan of the attributed conversions, a row each: the `session_key` of their session, and the
    /// columns `what` of the conversion.
    ///
    /// # Errors
    /// Those of building a plan.
    pub fn attributed(&self, tables: &Tables, what: &[&str]) -> PolarsResult<LazyFrame> {
        let micros = |stamp| col(stamp).cast(DataType::Int64);
        let searching = when(col(SESSION_KEY).is_null()).then(col(USER_KEY)).otherwise(lit(NULL));
        let what: Vec<Expr> = what.iter().map(|column| col(*column)).collect();
        let moment =
            [col(SESSION_KEY), searching.alias(USER_KEY), micros(CONVERTED_AT).alias(CONVERTED)];
        let conversions = self.event.of(tables.scan(&conversions::TABLE));
        // Read once for both: the people that are searched for, and the rows.
        let moments = kernels::once(conversions.select([&moment[..], &what].concat()));
        let of_them = moments.clone().filter(col(USER_KEY).is_not_null()).select([col(USER_KEY)]);
        let start = [
            col(USER_KEY),
            micros(SESSION_STARTED_TIMESTAMP).alias(STARTED),
            col(SESSION_KEY).alias(VISIT_KEY),
        ];
        let visits = tables.scan(&sessions::TABLE).filter(visit());
        // At equal times the greater id counts.
        let with_ids = visits.clone().select([&start[..], &[col(SESSION_ID)]].concat());
        let starts = visits.select(start).join(
            of_them,
            [col(USER_KEY)],
            [col(USER_KEY)],
            JoinArgs::new(JoinType::Semi),
        );
        let found = joins::nearest_of(
            Nearest::LastBefore,
            (moments, CONVERTED),
            (starts, STARTED, &[VISIT_KEY]),
            &[USER_KEY],
            self.conversion_window_days * DAY,
            Some(Greatest { text: SESSION_ID, events: with_ids }),
        )?;
        let session = col(SESSION_KEY).fill_null(col(VISIT_KEY));
        let found = found.select([&[session], &what[..]].concat());
        Ok(found.filter(col(SESSION_KEY).is_not_null()))
    }

    /// Returns the plan of the sessions with conversions, a row each: `session_key`, the number of
    /// [`CONVERSIONS`], and `converted_at` of the first one.
    ///
    /// # Errors
    /// Those of building a plan.
    pub fn by_session(&self, tables: &Tables) -> PolarsResult<LazyFrame> {
        let sessions = self.attributed(tables, &[CONVERTED_AT])?.group_by([col(SESSION_KEY)]);
        Ok(sessions.agg([rows().cast(DataType::Int64).alias(CONVERSIONS), col(CONVERTED_AT).min()]))
    }

    /// Returns the plan of the sessions with conversions, a row for each currency: `session_key`, `currency`,
    /// the sum of `value`, which is null without any, the number of [`CONVERSIONS`], and
    /// [`CONVERTED_SESSIONS`].
    ///
    /// # Errors
    /// Those of building a plan.
    pub fn by_currency(&self, tables: &Tables) -> PolarsResult<LazyFrame> {
        let has_amount = col(VALUE).count().gt(lit(0));
        let amount = when(has_amount).then(money::sum(VALUE)).otherwise(lit(NULL));
        let sums = self
            .attributed(tables, &[VALUE, CURRENCY])?
            .group_by([col(SESSION_KEY), col(CURRENCY)])
            .agg([amount.alias(VALUE), rows().cast(DataType::Int64).alias(CONVERSIONS)]);
        Ok(sums.with_column(col(SESSION_KEY).is_first_distinct().alias(CONVERTED_SESSIONS)))
    }

    /// An option that is not as it is by default, without its dashes.
    pub fn given(&self) -> Option<&'static str> {
        if self.event.is_given() {
            Some(EVENT)
        } else {
            let is_usual = self.conversion_window_days == WINDOW_DAYS;
            (!is_usual).then_some("conversion-window-days")
        }
    }

    /// Binds the parameters of the SQL fragment `{attributed}`.
    pub fn bind(&self, bindings: Bindings) -> Bindings {
        self.event.bind(bindings).integer("conversion_window_days", self.conversion_window_days)
    }
}

#[cfg(test)]
mod tests {
    use clap::{Command, FromArgMatches};
    use polars::prelude::{Engine, IntoLazy, df};
    use proptest::prelude::*;
    use wabalake_data::tables::{CONVERSION_KEY, instant};

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        /// Sessions are (person, quarter of a day, redirected); conversions are (person, quarter).
        #[test]
        fn a_conversion_is_attributed_to_the_last_visit_before(
            sessions in prop::collection::vec((0..2_i64, 0..12_i64, any::<bool>()), 0..20),
            converted in prop::collection::vec((0..2_i64, 0..12_i64), 0..20),
        ) {
            const QUARTER: i64 = DAY / 4;
            let stamp = |at: &str| (col(at) * lit(QUARTER)).cast(instant()).alias(at);
            let ids: Vec<String> = (0..sessions.len()).map(|key| format!("{key:02}")).collect();
            let keys: Vec<i64> = (0..).take(sessions.len()).collect();
            let parents = sessions.iter().map(|session| session.2.then_some("parent"));
            let begun = df![
                SESSION_KEY => keys,
                SESSION_ID => ids,
                USER_KEY => sessions.iter().map(|session| session.0).collect::<Vec<_>>(),
                SESSION_STARTED_TIMESTAMP => sessions.iter().map(|session| session.1).collect::<Vec<_>>(),
                sessions::PARENT_SESSION_ID => parents.collect::<Vec<_>>(),
            ];
            let begun = begun.unwrap().lazy().with_column(stamp(SESSION_STARTED_TIMESTAMP));
            let events = df![
                CONVERSION_KEY => (0..).take(converted.len()).collect::<Vec<i64>>(),
                USER_KEY => converted.iter().map(|conversion| conversion.0).collect::<Vec<_>>(),
                CONVERTED_AT => converted.iter().map(|conversion| conversion.1).collect::<Vec<_>>(),
            ];
            let events = events.unwrap().lazy().with_columns([
                stamp(CONVERTED_AT),
                lit(NULL).cast(DataType::Int64).alias(SESSION_KEY),
            ]);
            let tables = Tables::new().with(&sessions::TABLE, begun).with(&conversions::TABLE, events);
            let words = ["of", "--conversion-window-days", "1"];
            let matches = Conversions::augment_args(Command::new("of")).get_matches_from(words);
            let plan = Conversions::from_arg_matches(&matches).unwrap().attributed(&tables, &[CONVERSION_KEY]);
            let plan = plan.unwrap();
            let found = plan.collect_with_engine(Engine::Streaming).unwrap().unwrap_single();
            let column = |name| found.column(name).unwrap().i64().unwrap().iter().flatten();
            let mut found: Vec<(i64, i64)> = column(CONVERSION_KEY).zip(column(SESSION_KEY)).collect();
            found.sort_unstable();

            let last_visit = |(person, at): &(i64, i64)| {
                let visits = (0..).zip(&sessions).filter(|(_, session)| {
                    session.0 == *person && !session.2 && (at - 4..=*at).contains(&session.1)
                });
                visits.max_by_key(|(key, session)| (session.1, *key)).map(|(key, _)| key)
            };
            let expected = (0..).zip(&converted);
            let expected: Vec<(i64, i64)> =
                expected.filter_map(|(key, conversion)| Some((key, last_visit(conversion)?))).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
