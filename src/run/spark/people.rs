//! SQL of a view that shows the person in place of a missing number, as scans here do.
//!
//! ```text
//! stored_sessions   the files of sessions
//! persons           user_id → person
//!   ▼
//! sessions          user_phone is the row's own number, else the person of its user id, else the id
//! ```

use wabalake_data::Table;
use wabalake_data::tables::{OWN_PERSON, USER_ID, USER_PHONE, persons};

/// The name of the view of a table's files below the view with persons.
pub(super) fn stored_name(table: &Table) -> String {
    format!("stored_{}", table.name)
}

/// The view with persons. `are_linked` is `true` if `persons` has rows: then rows that are one by their
/// person are one.
pub(super) fn seen(table: &Table, are_linked: bool) -> String {
    let of_row = |name: &str| format!("rows_of_table.`{name}`");
    let (phone, user_id) = (of_row(USER_PHONE), of_row(USER_ID));
    let names: Vec<String> =
        table.cluster_schema().iter_names().map(|name| format!("`{name}`")).collect();
    let shown = table
        .cluster_schema()
        .iter_names()
        .map(|name| match name.as_str() {
            USER_PHONE => format!("coalesce(people.person, {phone}, {user_id}) AS `{USER_PHONE}`"),
            name => of_row(name),
        })
        .collect::<Vec<_>>();
    let rows = format!(
        "SELECT {} FROM `{}` AS rows_of_table \
         LEFT JOIN `{}` AS people ON people.`{USER_ID}` = coalesce({phone}, {user_id})",
        shown.join(", "),
        stored_name(table),
        persons::NAME,
    );
    if !are_linked || !table.requires_person() {
        return rows;
    }
    let key = table.key.iter().map(|name| match *name {
        OWN_PERSON => format!("`{USER_PHONE}`"),
        name => format!("`{name}`"),
    });
    let values = table.columns.iter().map(|column| format!("`{}`", column.name));
    let order = table.precedence_sql.iter().map(|rank| (*rank).to_owned()).chain(values);
    let order: Vec<String> = order.map(|rank| format!("{rank} DESC NULLS LAST")).collect();
    format!(
        "SELECT {} FROM (SELECT *, row_number() OVER (PARTITION BY {} ORDER BY {}) AS place \
         FROM ({rows}) AS each_row) AS placed WHERE place = 1",
        names.join(", "),
        key.collect::<Vec<_>>().join(", "),
        order.join(", "),
    )
}
