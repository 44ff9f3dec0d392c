//! People by their first visit: the row of a session that filters and `--by` choose people by.
//!
//! ```text
//! return-rate --country CO --by line
//!   │ people   plan: the people whose first visit passes, each with the line of that visit
//!   │ bind     twin: the same people as `chosen`, to be joined
//! ```
//!
//! Without filters and dimensions everybody counts: the plan joins nobody, and the slots of the twin are
//! empty.

use chrono_tz::Tz;
use polars::prelude::{LazyFrame, col};
use wabalake_data::tables::{USER_KEY, sessions};

use super::dimensions::{Dimension, Dimensions, Grouped};
use super::row_filters::Filters;
use super::sql::Bindings;
use super::tables::Tables;
use crate::kernels::first_visits;

/// The dimensions of a first visit.
pub const DIMENSIONS: &[Dimension] = &[
    Dimension::Conversation,
    Dimension::Country,
    Dimension::Line,
    Dimension::Tag,
    Dimension::SessionType,
    Dimension::Channel,
];

/// The people who are chosen by their first of some visits, which are rows of `sessions`: their `user_key`
/// and the columns of the dimensions. By tag, a person has a row for each tag that held then.
///
/// `None` if everybody counts, without dimensions.
pub fn people<Q: Grouped>(
    visits: LazyFrame,
    filters: &Filters<Q>,
    by: &Dimensions<Q>,
    tables: &Tables,
    zone: Tz,
) -> Option<LazyFrame> {
    let dimensions = by.names();
    if dimensions.is_empty() && !filters.are_given() {
        return None;
    }
    let columns = [vec![col(USER_KEY)], dimensions].concat();
    Some(chosen(visits, filters, by, tables, zone).select(columns))
}

/// The first of some visits of each person, if it passes, with the columns of the dimensions. By tag, it
/// occurs once for each tag that held then.
pub fn chosen<Q: Grouped>(
    visits: LazyFrame,
    filters: &Filters<Q>,
    by: &Dimensions<Q>,
    tables: &Tables,
    zone: Tz,
) -> LazyFrame {
    by.split(filters.of(first_visits(visits), tables), tables, zone)
}

/// The people as SQL, to precede a common table expression.
const CHOSEN: &str = "first_visits AS (
    SELECT *
    FROM (
        SELECT
            sessions.*,
            row_number() OVER (
                PARTITION BY user_phone
                ORDER BY session_started_timestamp NULLS LAST, session_id NULLS LAST
            ) AS turn
        FROM sessions
        WHERE {is_visit}
    ) AS in_turn
    WHERE turn = 1
),
chosen AS (
    SELECT {by_then}user_phone AS chosen_phone{then_visit}
    FROM {first_visits}
    {tagged}
),
";

/// The columns of the visit that follow those of its person.
const THEN_VISIT: &str = ",
        session_id,
        session_started_timestamp AS at";

/// The join with them.
pub const OF_CHOSEN: &str = "
    INNER JOIN chosen ON chosen_phone = user_phone";

/// The join with their groups.
const EACH_GROUP: &str = "
    CROSS JOIN (SELECT DISTINCT {by_columns} FROM chosen) AS each_group";

/// Binds the dimensions and the filters, and fills the slots of the twin:
///
/// | slot | SQL; empty if everybody counts |
/// |---|---|
/// | `{chosen}` | the people, to precede a common table expression |
/// | `{of_chosen}` | [`OF_CHOSEN`], a join with them by the column `user_phone`, which adds the columns of the dimensions |
/// | `{each_group}` | a join with each group of `--by` that occurs among them; empty without dimensions, too |
///
/// `{chosen_visits}` are the people with the columns `session_id` and `at` of their first visit, even if
/// everybody counts.
/// `{first_visits}` is the relation of that name, or a subquery of those that pass.
///
/// `is_visit` is the condition of the visits among the rows of `sessions`.
pub fn bind<Q: Grouped>(
    bindings: Bindings,
    filters: &Filters<Q>,
    by: &Dimensions<Q>,
    is_visit: &str,
) -> Bindings {
    let is_split = !by.columns().is_empty();
    let bindings = by.bind(bindings);
    let bindings = filters.bind_relation(bindings, "first_visits", &sessions::TABLE);
    let chosen = |of_visit: &str| {
        let chosen = CHOSEN.replace("{is_visit}", is_visit).replace("{then_visit}", of_visit);
        bindings.fill_slots(&chosen)
    };
    let visits = chosen(THEN_VISIT);
    let (people, join) = if is_split || filters.are_given() {
        (chosen(""), OF_CHOSEN.to_owned())
    } else {
        (String::new(), String::new())
    };
    let groups = if is_split { bindings.fill_slots(EACH_GROUP) } else { String::new() };
    bindings
        .slot("chosen", people)
        .slot("of_chosen", join)
        .slot("each_group", groups)
        .slot("chosen_visits", visits)
}
