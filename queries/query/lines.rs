//! The display names of the business's phone lines.

use polars::prelude::{JoinArgs, JoinType, LazyFrame, col};
use wabalake_data::tables::sessions::{
    self, LINE_WHATSAPP_DISPLAY_NAME, LINE_WHATSAPP_NUMBER, SESSION_ID, SESSION_STARTED_TIMESTAMP,
};

use super::tables::Tables;

/// Adds the display name of a line, from the latest session of the lake that has one. Of two sessions at
/// one instant the one with the greater id counts. Null if no session has a name.
pub fn named(rows: LazyFrame, line: &str, name: &str, tables: &Tables) -> LazyFrame {
    let naming =
        tables.scan(&sessions::TABLE).filter(col(LINE_WHATSAPP_DISPLAY_NAME).is_not_null());
    let latest = naming
        .clone()
        .group_by([col(LINE_WHATSAPP_NUMBER)])
        .agg([col(SESSION_STARTED_TIMESTAMP).max()]);
    let on = [col(LINE_WHATSAPP_NUMBER), col(SESSION_STARTED_TIMESTAMP)];
    let lines = naming
        .join(latest, &on, &on, JoinArgs::new(JoinType::Inner))
        .group_by([col(LINE_WHATSAPP_NUMBER).alias(line)])
        .agg([col(LINE_WHATSAPP_DISPLAY_NAME).max_by(col(SESSION_ID)).alias(name)]);
    rows.join(lines, [col(line)], [col(line)], JoinArgs::new(JoinType::Left))
}
