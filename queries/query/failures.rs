//! States of failed messages: Meta's error codes, and what to do about a state.

use polars::prelude::{DataType, Expr, Null, col, lit, when};
use wabalake_data::reference::deployment_states::STATES;
use wabalake_data::reference::message_errors::{CODES, OTHER};

use super::sql::SqlLiteral;

/// The advice for the state in a column; null if there is none.
pub fn advice(state: &str) -> Expr {
    STATES.iter().fold(lit(Null {}).cast(DataType::String), |advice, known| {
        let this = known.advice.map_or_else(|| lit(Null {}), lit);
        when(col(state).eq(lit(known.name))).then(this).otherwise(advice)
    })
}

/// [`advice`] in the SQL of the twins: rows of a state and its advice.
pub fn advice_sql() -> String {
    let rows = STATES.iter().filter_map(|state| {
        state.advice.map(|advice| format!("({}, {})", state.name.literal(), advice.literal()))
    });
    rows.collect::<Vec<_>>().join(",\n        ")
}

/// The state of a message that failed with Meta's error code in a column, which may be null.
pub fn state_of_code(code: &str) -> Expr {
    CODES.iter().fold(lit(OTHER), |state, (known, name)| {
        when(col(code).eq(lit(*known))).then(lit(*name)).otherwise(state)
    })
}

/// [`state_of_code`] in the SQL of the twins: rows of a code and its state.
pub fn codes_sql() -> String {
    let rows = CODES.iter().map(|(code, state)| format!("({code}, {})", state.literal()));
    rows.collect::<Vec<_>>().join(",\n        ")
}
