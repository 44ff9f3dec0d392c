//! The display names of the business's phone lines.
//!
//! ```text
//! sessions   message_summaries         session_summaries         display name
//! Tienda     Otra, 2025-06-09                                    Tienda
//!            Vieja, 2025-05-31         Aviso, 2025-06-02         Aviso
//! ```

use polars::prelude::{
    Expr, JoinArgs, JoinType, LazyFrame, NULL, PolarsResult, UnionArgs, by_name, coalesce, col,
    concat, lit, when,
};
use wabalake_data::Table;
use wabalake_data::tables::message_summaries::{self, DATE, DISPLAY_NAME, WA_PHONE_NUMBER};
use wabalake_data::tables::session_summaries;
use wabalake_data::tables::sessions::{
    self, LINE_WHATSAPP_DISPLAY_NAME, LINE_WHATSAPP_NUMBER, SESSION_ID, SESSION_STARTED_TIMESTAMP,
};

use super::tables::Tables;
use crate::kernels::latest::may_be_latest;

/// Adds the display name of a line, from the latest session of the lake that has one. Of two sessions at
/// one instant the one with the greater id counts. A line that no session names has the name of the
/// latest row of a summary; of two on one date the greater. Null if nothing has a name.
///
/// # Errors
/// Those of building a plan.
pub fn named(rows: LazyFrame, line: &str, name: &str, tables: &Tables) -> PolarsResult<LazyFrame> {
    const REPORTED: &str = "reported_name";
    let of_sessions = of_sessions(tables, [line, name]);
    let of_summaries = of_summaries(tables, [line, REPORTED])?;
    let left = || JoinArgs::new(JoinType::Left);
    let found = rows.join(of_sessions, [col(line)], [col(line)], left()).join(
        of_summaries,
        [col(line)],
        [col(line)],
        left(),
    );
    let named = coalesce(&[col(name), col(REPORTED)]).alias(name);
    Ok(found.with_column(named).drop(by_name([REPORTED], true, false)))
}

/// The names that [`named`] chooses from: of each line the latest in sessions and the latest in summaries.
///
/// # Errors
/// Those of building a plan.
pub fn names(tables: &Tables) -> PolarsResult<LazyFrame> {
    const OF_SESSIONS: &str = "of_sessions";
    let columns = [LINE_WHATSAPP_NUMBER, DISPLAY_NAME];
    let of = |names: LazyFrame, sessions: bool| names.with_column(lit(sessions).alias(OF_SESSIONS));
    let names = [of(of_sessions(tables, columns), true), of(of_summaries(tables, columns)?, false)];
    concat(names, UnionArgs::default())
}

fn of_sessions(tables: &Tables, columns: [&str; 2]) -> LazyFrame {
    latest(
        tables.scan(&sessions::TABLE),
        [LINE_WHATSAPP_NUMBER, LINE_WHATSAPP_DISPLAY_NAME, SESSION_STARTED_TIMESTAMP],
        col(SESSION_ID),
        columns,
    )
}

fn of_summaries(tables: &Tables, columns: [&str; 2]) -> PolarsResult<LazyFrame> {
    let of_summary = |table: &'static Table| {
        tables.scan(table).select([WA_PHONE_NUMBER, DISPLAY_NAME, DATE].map(col))
    };
    let summaries = [&message_summaries::TABLE, &session_summaries::TABLE].map(of_summary);
    Ok(latest(
        concat(summaries, UnionArgs::default())?,
        [WA_PHONE_NUMBER, DISPLAY_NAME, DATE],
        col(DISPLAY_NAME),
        columns,
    ))
}

/// The latest name of each line, in columns of these names; at equal times the one with the greatest
/// tie-breaker.
fn latest(
    naming: LazyFrame,
    [line, name, at]: [&str; 3],
    tie: Expr,
    [as_line, as_name]: [&str; 2],
) -> LazyFrame {
    let named_at = when(col(name).is_not_null()).then(col(at)).otherwise(lit(NULL));
    let naming = naming.filter(may_be_latest(col(line), named_at));
    let times = naming.clone().group_by([col(line)]).agg([col(at).max()]);
    let on = [col(line), col(at)];
    naming
        .join(times, &on, &on, JoinArgs::new(JoinType::Inner))
        .group_by([col(line).alias(as_line)])
        .agg([col(name).max_by(tie).alias(as_name)])
}
