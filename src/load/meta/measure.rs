//! Reads dimensions and measures of data points as cells.

use serde_json::{Value, json};
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

/// Reads a measure other than clicks, empty if nothing was measured. Of the costs of a template only
/// the amount spent counts.
pub(super) fn measure(column: &str, value: &Value) -> Result<String, Unreadable> {
    match (column, value) {
        (table::COST, Value::Array(costs)) => {
            let spent = |cost: &&Value| cost["type"].as_str() == Some("amount_spent");
            costs.iter().find(spent).map_or(Ok(String::new()), |cost| amount(&cost["value"]))
        }
        (table::COST, value) => amount(value),
        (table::AVERAGE_DURATION, value) => duration(value),
        (_, value) => Ok(counted(value)?.map(|count| count.to_string()).unwrap_or_default()),
    }
}

/// Entries of people, not of their clicks, have a type that begins with this.
const PEOPLE: &str = "unique_";

/// Computes one of [`table::OF_CLICKS`] from the clicks of a template, a list of buttons or a number;
/// empty if there is none.
pub(super) fn of_clicks(column: &str, clicks: Option<&Value>) -> Result<String, Unreadable> {
    let entries = match (column, clicks) {
        (_, Some(Value::Array(entries))) => entries,
        (table::CLICKED, Some(number)) => return measure(column, number),
        _ => return Ok(String::new()),
    };
    let is_of_people = |entry: &&Value| {
        entry["type"].as_str().is_some_and(|kind| kind.to_lowercase().starts_with(PEOPLE))
    };
    let sum = match column {
        table::BUTTONS => return Ok(buttons(entries)),
        table::UNIQUE_CLICKED => {
            let mut of_people = entries.iter().filter(is_of_people);
            match (of_people.next(), of_people.next()) {
                (Some(only), None) => counted(&only["count"])?,
                _ => None,
            }
        }
        _ => {
            let mut sum: Option<i64> = None;
            for entry in entries.iter().filter(|entry| !is_of_people(entry)) {
                if let Some(count) = counted(&entry["count"])? {
                    sum = Some(sum.unwrap_or(0).checked_add(count).ok_or(Unreadable)?);
                }
            }
            sum
        }
    };
    Ok(sum.map(|sum| sum.to_string()).unwrap_or_default())
}

/// The entries of a list of clicks as compact JSON, by type, then button; empty without entries. A
/// count that cannot be read is null.
fn buttons(entries: &[Value]) -> String {
    if entries.is_empty() {
        return String::new();
    }
    let text = |value: &Value| text_of(value).filter(|text| !text.is_empty());
    let mut buttons: Vec<_> = entries
        .iter()
        .map(|entry| {
            let count = counted(&entry["count"]).ok().flatten();
            (text(&entry["type"]), text(&entry["button_content"]), count)
        })
        .collect();
    // As everywhere, nulls come last.
    buttons.sort_by(|one, other| {
        let key = |(kind, button, count): &(Option<String>, Option<String>, Option<i64>)| {
            (kind.is_none(), kind.clone(), button.is_none(), button.clone(), *count)
        };
        key(one).cmp(&key(other))
    });
    let buttons: Vec<Value> = buttons
        .into_iter()
        .map(|(kind, button, count)| json!({"button": button, "count": count, "type": kind}))
        .collect();
    Value::Array(buttons).to_string()
}

/// Reads a number of seconds, empty if nothing was measured.
fn duration(value: &Value) -> Result<String, Unreadable> {
    let text = scalar(value)?;
    let Some(word) = word(&text) else { return Ok(String::new()) };
    let seconds = word.parse::<f64>().ok().filter(|seconds| seconds.is_finite());
    seconds.map(|seconds| seconds.to_string()).ok_or(Unreadable)
}

/// The text of a measure that is neither a list nor an object nor a boolean; empty for null.
fn scalar(value: &Value) -> Result<String, Unreadable> {
    match value {
        Value::Array(_) | Value::Object(_) | Value::Bool(_) => Err(Unreadable),
        value => Ok(text_of(value).unwrap_or_default()),
    }
}

fn counted(value: &Value) -> Result<Option<i64>, Unreadable> {
    let text = scalar(value)?;
    word(&text).map(|word| whole(word).ok_or(Unreadable)).transpose()
}

fn amount(value: &Value) -> Result<String, Unreadable> {
    let text = scalar(value)?;
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

    fn value(text: &str) -> Value {
        serde_json::from_str(text).unwrap()
    }

    /// Clicks, people who clicked, and buttons.
    fn clicks(text: &str) -> [Result<String, Unreadable>; 3] {
        table::OF_CLICKS.map(|column| of_clicks(column, Some(&value(text))))
    }

    #[test]
    fn clicks_are_added_over_buttons_and_people_are_kept_apart() {
        let buy = r#"{"type":"url_button","button_content":"Buy","count":5}"#;
        let people = r#"{"type":"unique_url_button","button_content":"Buy","count":4}"#;
        let stop = r#"{"type":"quick_reply_button","button_content":"Alto 🌱","count":"1"}"#;
        let ok = |texts: [&str; 3]| texts.map(|text| Ok(text.to_owned()));
        assert_eq!(
            clicks(&format!("[{buy},{people},{stop}]")),
            ok([
                "6",
                "4",
                "[{\"button\":\"Alto 🌱\",\"count\":1,\"type\":\"quick_reply_button\"},\
                 {\"button\":\"Buy\",\"count\":4,\"type\":\"unique_url_button\"},\
                 {\"button\":\"Buy\",\"count\":5,\"type\":\"url_button\"}]",
            ])
        );
        // People on two buttons may be the same people.
        let [clicked, unique, _] = clicks(&format!("[{buy},{people},{people}]"));
        assert_eq!((clicked, unique), (Ok("5".to_owned()), Ok(String::new())));
        // Without an entry for clicks, nothing is known of them.
        let [clicked, unique, _] = clicks(&format!("[{people}]"));
        assert_eq!((clicked, unique), (Ok(String::new()), Ok("4".to_owned())));
        assert_eq!(clicks("[]"), ok(["", "", ""]));
        assert_eq!(clicks("null"), ok(["", "", ""]));
        assert_eq!(clicks("7"), ok(["7", "", ""]));
        assert_eq!(of_clicks(table::CLICKED, None), Ok(String::new()));
    }

    #[test]
    fn clicks_that_cannot_be_read_leave_others_as_they_are() {
        let [clicked, unique, buttons] = clicks(
            r#"[{"type":"url_button","count":"some"},{"type":"unique_url_button","count":2}]"#,
        );
        assert_eq!((clicked, unique), (Err(Unreadable), Ok("2".to_owned())));
        assert_eq!(
            buttons.unwrap(),
            "[{\"button\":null,\"count\":2,\"type\":\"unique_url_button\"},\
             {\"button\":null,\"count\":null,\"type\":\"url_button\"}]"
        );
        assert_eq!(clicks("[{\"count\":9223372036854775807},{\"count\":1}]")[0], Err(Unreadable));
    }

    #[test]
    fn cost_is_what_was_spent() {
        let cost = value(
            "[{\"type\":\"cost_per_delivered\",\"value\":0.1},{\"type\":\"amount_spent\",\"value\":1.5}]",
        );
        assert_eq!(measure(table::COST, &cost).unwrap(), "1.500000");
        assert_eq!(measure(table::COST, &value("\"0.0232\"")).unwrap(), "0.023200");
        assert_eq!(measure(table::COST, &value("[{\"type\":\"amount_spent\"}]")).unwrap(), "");
        assert_eq!(measure(table::AVERAGE_DURATION, &value("\"61.25\"")).unwrap(), "61.25");
        assert_eq!(measure(table::AVERAGE_DURATION, &value("null")).unwrap(), "");
        for (column, text) in [
            (table::COST, "\"1e400\""),
            (table::COST, "\"Infinity\""),
            (table::COST, "{\"value\":1}"),
            (table::COST, "[{\"type\":\"amount_spent\",\"value\":\"much\"}]"),
            (table::SENT, "[1]"),
            (table::SENT, "\"1.5\""),
            (table::READ, "true"),
            (table::COUNT, "-0.5"),
            (table::AVERAGE_DURATION, "\"1e400\""),
            (table::AVERAGE_DURATION, "[1]"),
        ] {
            assert_eq!(measure(column, &value(text)), Err(Unreadable), "{column} {text}");
        }
    }
}
