//! Reads dimensions and measures of data points as cells.

use serde_json::Value;
use wabalake_data::cells::number::{self, float_text};
use wabalake_data::cells::{DecimalMark, word};
use wabalake_data::tables::{CellKind, meta_points as table};

use crate::error::Result;
use crate::load::json_value::text_of;

/// Reads a dimension. Seconds that are written as a float become whole.
pub(super) fn dimension(kind: CellKind, value: &Value) -> String {
    let text = text_of(value).unwrap_or_default();
    match kind {
        CellKind::Seconds => whole(&text).map_or(text, |seconds| seconds.to_string()),
        _ => text,
    }
}

/// The error of a measure that cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unreadable;

/// Reads a measure, empty if nothing was measured. Clicks of a template come by button and are
/// added up; of its costs only the amount spent counts.
pub(super) fn measure(column: &str, value: &Value) -> Result<String, Unreadable> {
    let entries = match value {
        Value::Array(entries) if matches!(column, table::CLICKED | table::COST) => entries,
        value if column == table::COST => return amount(value),
        value => return Ok(counted(value)?.map(|count| count.to_string()).unwrap_or_default()),
    };
    if column == table::COST {
        let spent = |entry: &&Value| entry["type"].as_str() == Some("amount_spent");
        return entries
            .iter()
            .find(spent)
            .map_or(Ok(String::new()), |entry| amount(&entry["value"]));
    }
    let mut clicks: Option<i64> = None;
    for entry in entries {
        if let Some(count) = counted(&entry["count"])? {
            clicks = Some(clicks.unwrap_or(0).checked_add(count).ok_or(Unreadable)?);
        }
    }
    Ok(clicks.map(|clicks| clicks.to_string()).unwrap_or_default())
}

fn counted(value: &Value) -> Result<Option<i64>, Unreadable> {
    let text = match value {
        Value::Array(_) | Value::Object(_) | Value::Bool(_) => return Err(Unreadable),
        value => text_of(value).unwrap_or_default(),
    };
    word(&text).map(|word| whole(word).ok_or(Unreadable)).transpose()
}

fn amount(value: &Value) -> Result<String, Unreadable> {
    let text = match value {
        Value::Array(_) | Value::Object(_) | Value::Bool(_) => return Err(Unreadable),
        value => text_of(value).unwrap_or_default(),
    };
    let Some(word) = word(&text) else { return Ok(text) };
    let millionths = number::rounded_money(word);
    // Amounts in strings may have thousands separators.
    let millionths = millionths.or_else(|| number::money(word, Some(DecimalMark::Point)));
    millionths.map(number::money_text).ok_or(Unreadable)
}

/// Parses a whole number, which may be written as a float.
fn whole(word: &str) -> Option<i64> {
    let of_float = || number::count(&float_text(word.parse().ok()?), Some(DecimalMark::Point));
    number::count(word, Some(DecimalMark::Point)).or_else(of_float)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clicks_are_added_up_and_the_cost_is_what_was_spent() {
        let value = |text| serde_json::from_str::<Value>(text).unwrap();
        let clicks = value("[{\"type\":\"url_button\",\"count\":2},{\"type\":\"x\",\"count\":3}]");
        assert_eq!(measure(table::CLICKED, &clicks).unwrap(), "5");
        let cost = value(
            "[{\"type\":\"cost_per_delivered\",\"value\":0.1},{\"type\":\"amount_spent\",\"value\":1.5}]",
        );
        assert_eq!(measure(table::COST, &cost).unwrap(), "1.500000");
        assert_eq!(measure(table::COST, &value("\"0.0232\"")).unwrap(), "0.023200");
        assert_eq!(measure(table::CLICKED, &value("[]")).unwrap(), "");
        assert_eq!(measure(table::COST, &value("[{\"type\":\"amount_spent\"}]")).unwrap(), "");
        for (column, text) in [
            (table::COST, "\"1e400\""),
            (table::COST, "\"Infinity\""),
            (table::COST, "{\"value\":1}"),
            (table::COST, "[{\"type\":\"amount_spent\",\"value\":\"much\"}]"),
            (table::CLICKED, "[{\"count\":2},{\"count\":\"some\"}]"),
            (table::SENT, "[1]"),
            (table::SENT, "\"1.5\""),
            (table::READ, "true"),
        ] {
            assert_eq!(measure(column, &value(text)), Err(Unreadable), "{column} {text}");
        }
    }
}
