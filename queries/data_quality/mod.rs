//! What is wrong with the data?
//!
//! One row per check and table, even if nothing fails: the number of rows that the check applies to, the
//! number that fail, and the smallest failing value as an example. The date range restricts each table
//! by its own timestamp, and ad spend by its date; other rows, such as the session that a row names, are
//! looked up in the whole lake. An example is never an id of Meta's messages, which spells a phone.
//! Checks of loads cover all loads that were not undone, whatever the range. `invalid-phone` applies to rows
//! with a phone number: a person who has only a user id is none.
//!
//! `clock-off` is about sessions and deployments that a second source tells of, in months of
//! [`clock-check`](crate::clock_check) that have a mode over the whole lake; those at a mode other than 0 fail.

// The predicates of each check.
mod checks;
// Exports whose clock was not the one that the load took it for.
mod clocks;
// Detection of cycles among redirected sessions.
mod cycles;
// Sessions that other rows name.
mod named;
// Detection of messages that two sources report under two ids.
mod twice;

use polars::prelude::{DataFrame, UnionArgs, concat, df};
use wabalake_data::tables::{
    ad_spend, agent_chats, audience_tags, closures, conversions, deployments, loads, messages,
    sessions, variables,
};
use wabalake_data::{TABLES, Table};

use self::checks::{Check, EXAMINED};
use crate::query::Judge;
use crate::query::clocks::Threshold;
use crate::query::prelude::*;
use crate::query::words::Word;

/// See the [module](self) for the question it answers.
pub struct DataQuality;

/// The query's options.
#[derive(Args, Debug)]
pub struct Params {
    #[command(flatten)]
    days: DayRange,

    /// End with exit code 1 if one of these checks fails, separated by commas
    #[arg(
        long,
        value_name = "LIST",
        value_delimiter = ',',
        hide_possible_values = true,
        value_parser = Word::listed(names())
    )]
    fail_on: Vec<String>,
}

/// Name of the check.
pub const CHECK: &str = "check";
/// Table that it checks.
pub const TABLE: &str = "table";
/// Rows that it applies to.
pub const ROWS: &str = "rows";
/// Rows that fail it.
pub const FAILING: &str = "failing";
/// Share of the rows that fail.
pub const SHARE_PCT: &str = "share_pct";
/// Smallest failing value.
pub const EXAMPLE: &str = "example";

/// The checks of loads, each with the column that counts failing records.
const OF_LOADS: [(&str, &str); 2] =
    [("rejected-row", loads::REJECTED), ("sentinel-stamp", loads::WITH_SENTINEL)];

/// The names of all checks, sorted and unique.
fn names() -> Vec<&'static str> {
    let examined = EXAMINED.iter().flat_map(|examined| (examined.checks)(chrono_tz::UTC));
    let mut names: Vec<&str> = examined.map(|check| check.name).collect();
    names.extend(OF_LOADS.map(|(name, _)| name));
    names.extend(named::CHECKS.map(|(name, _)| name));
    names.push(twice::NAME);
    names.sort_unstable();
    names.dedup();
    names
}

impl Query for DataQuality {
    type Params = Params;

    const SPEC: Spec = Spec {
        name: "data-quality",
        title: "Data quality: checks and failing rows",
        question: "What is wrong with the data? One row per check and table: the rows that it applies \
                   to, the rows that fail, and an example. With --fail-on the exit code is 1 if one \
                   of those checks fails.",
        reads: &[
            &sessions::TABLE,
            &deployments::TABLE,
            &messages::TABLE,
            &closures::TABLE,
            &agent_chats::TABLE,
            &conversions::TABLE,
            &audience_tags::TABLE,
            &variables::TABLE,
            &ad_spend::TABLE,
            &loads::TABLE,
        ],
        // Rows that another row names may be of any day.
        range: Range::History,
        columns: &[
            OutputColumn::term(CHECK),
            OutputColumn::term(TABLE),
            OutputColumn::count(ROWS),
            OutputColumn::count(FAILING),
            OutputColumn::pct(SHARE_PCT),
            OutputColumn::written(EXAMPLE),
        ],
        key: &[CHECK, TABLE],
        order: &[],
        example: &["--from", "2025-06-01", "--fail-on", "parent-cycle"],
        sql: include_str!("twin.sql"),
    };

    const JUDGE: Option<Judge<Self>> =
        Some(Judge { is_asked: |params| !params.fail_on.is_empty(), fault });

    fn resolve(params: &mut Params, defaults: &Defaults) -> Result<Timeframe, UsageError> {
        params.days.resolve(defaults)
    }

    fn plan(tables: &Tables, params: &Params) -> PolarsResult<LazyFrame> {
        let mut tallies = Vec::new();
        for examined in EXAMINED {
            let rows = (examined.rows)(tables, &params.days);
            let checks = (examined.checks)(params.days.timezone());
            tallies.push(tally(rows, examined.table, &checks)?);
        }
        tallies.push(named::tallies(tables, &params.days)?);
        tallies.push(twice::tally(tables, &params.days));
        tallies.push(clocks::tally(tables, &params.days)?);
        tallies.push(of_loads(tables)?);
        let share = share_pct(col(FAILING), col(ROWS));
        // A scan that checks share keeps its rows for those that begin later: most of the lake.
        Ok(concat(tallies, UnionArgs::default())?
            .with_column(share.alias(SHARE_PCT))
            .with_comm_subplan_elim(false))
    }

    fn bind(params: &Params) -> Bindings {
        let tables = TABLES.iter().map(|table| format!("('{}')", table.name)).collect::<Vec<_>>();
        let bindings = params.days.bind_dates(params.days.bind(Bindings::new()));
        let bindings = Threshold::default().bind(bindings);
        bindings.slot("tables", tables.join(",\n        "))
    }
}

/// Names the checks of `--fail-on` that fail in an answer.
fn fault(params: &Params, answer: &DataFrame) -> PolarsResult<Option<String>> {
    let [checks, tables] = [answer.column(CHECK)?.str()?, answer.column(TABLE)?.str()?];
    let failing = answer.column(FAILING)?.i64()?;
    let mut faults = Vec::new();
    for row in 0..answer.height() {
        let (Some(check), Some(table)) = (checks.get(row), tables.get(row)) else { continue };
        let found = failing.get(row).unwrap_or(0);
        if found > 0 && params.fail_on.iter().any(|name| name == check) {
            faults.push(format!("{check} ({found} of {table})"));
        }
    }
    Ok((!faults.is_empty()).then(|| format!("the data does not pass {}", faults.join(", "))))
}

/// Counts the rows of a table that each check applies to and that fail it: one row per check.
fn tally(rows: LazyFrame, table: &Table, checks: &[Check]) -> PolarsResult<LazyFrame> {
    const PLACE: &str = "place";
    let found = |name: &str, place: i32| format!("{name}_{place}");
    let mut counts = Vec::new();
    for (place, check) in (0..).zip(checks) {
        let fails = || check.about.clone().and(check.fails.clone());
        let example = (check.written)(check.example.clone().filter(fails()).min());
        counts.extend([
            rows_where(check.about.clone()).cast(DataType::Int64).alias(found(ROWS, place)),
            rows_where(fails()).cast(DataType::Int64).alias(found(FAILING, place)),
            example.alias(found(EXAMPLE, place)),
        ]);
    }
    let names: Vec<&str> = checks.iter().map(|check| check.name).collect();
    let places: Vec<i32> = (0..).take(checks.len()).collect();
    let of_this_check = |name: &str| {
        let first = col(found(name, 0));
        let rest = places.iter().skip(1).fold(first, |others, place| {
            when(col(PLACE).eq(lit(*place))).then(col(found(name, *place))).otherwise(others)
        });
        rest.alias(name)
    };
    Ok(rows.select(counts).cross_join(df![PLACE => &places, CHECK => names]?.lazy(), None).select(
        [
            col(CHECK),
            lit(table.name).alias(TABLE),
            of_this_check(ROWS),
            of_this_check(FAILING),
            of_this_check(EXAMPLE),
        ],
    ))
}

/// The checks of loads: one row per check and table.
fn of_loads(tables: &Tables) -> PolarsResult<LazyFrame> {
    let read = tables.scan(&loads::TABLE).group_by([col(loads::KIND)]).agg([
        col(loads::RECORDS).sum(),
        col(loads::REJECTED).sum(),
        col(loads::WITH_SENTINEL).sum(),
    ]);
    let names: Vec<&str> = TABLES.iter().map(|table| table.name).collect();
    let kinds = df![TABLE => names]?.lazy().join(
        read,
        [col(TABLE)],
        [col(loads::KIND)],
        JoinArgs::new(JoinType::Left),
    );
    let checks = df![CHECK => OF_LOADS.map(|(check, _)| check)]?.lazy();
    let [(first, of_first), (_, of_second)] = OF_LOADS;
    let failing = when(col(CHECK).eq(lit(first))).then(col(of_first)).otherwise(col(of_second));
    Ok(kinds.cross_join(checks, None).select([
        col(CHECK),
        col(TABLE),
        col(loads::RECORDS).fill_null(lit(0_i64)).alias(ROWS),
        failing.fill_null(lit(0_i64)).alias(FAILING),
        lit(Null {}).cast(DataType::String).alias(EXAMPLE),
    ]))
}
