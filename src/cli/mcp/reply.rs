//! What the server and the process of an answer tell each other, as one line of JSON each.

use rmcp::model::{CallToolResult, ContentBlock, JsonObject};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use wabalake_queries::query::OutputColumn;

use super::mask::MaskKey;
use crate::error::Error;
use crate::render::Value as Rendered;

/// A call of a tool.
#[derive(Serialize, Deserialize)]
pub(super) struct Call {
    pub(super) tool: String,
    pub(super) arguments: JsonObject,
    /// What people are masked with.
    pub(super) key: MaskKey,
}

/// The reply to a call.
#[derive(Serialize, Deserialize)]
pub(super) enum Reply {
    Answer(Answered),
    /// An error with its hint.
    Error(String),
}

/// An answer.
#[derive(Serialize, Deserialize)]
pub(super) struct Answered {
    /// The rows as csv, then what is to be said about them.
    pub(super) texts: Vec<String>,
    pub(super) columns: Vec<ColumnOf>,
    pub(super) rows: Vec<Vec<Cell>>,
    /// The rows of the whole answer.
    pub(super) rows_total: usize,
    /// The versions of the tables that were read, as `--as-of` takes them.
    pub(super) lake_version: Option<String>,
    /// The last UTC day with rows in any of them.
    pub(super) freshest: Option<String>,
}

/// A column as `wabalake queries -f json` describes it.
#[derive(Serialize, Deserialize)]
pub(super) struct ColumnOf {
    name: String,
    r#type: String,
    unit: Option<String>,
}

impl From<&OutputColumn> for ColumnOf {
    fn from(column: &OutputColumn) -> Self {
        Self {
            name: column.name.to_owned(),
            r#type: column.of.name().to_owned(),
            unit: column.unit.map(str::to_owned),
        }
    }
}

/// A cell of an answer.
#[derive(Serialize, Deserialize)]
pub(super) enum Cell {
    Null,
    Text(String),
    Boolean(bool),
    Integer(i64),
    /// The bits of a float: as a number in JSON it might be read with another last digit.
    Float(u64),
}

impl From<Rendered<'_>> for Cell {
    fn from(cell: Rendered<'_>) -> Self {
        let written = || {
            let mut text = String::new();
            cell.write(&mut text);
            text
        };
        match cell {
            Rendered::Null => Self::Null,
            Rendered::Text(text) => Self::Text(text.to_owned()),
            Rendered::Boolean(truth) => Self::Boolean(truth),
            Rendered::Integer(number) => Self::Integer(number),
            Rendered::Float(_) | Rendered::Decimal(..) => {
                let text = written();
                text.parse().map_or(Self::Text(text), |number: f64| Self::Float(number.to_bits()))
            }
            Rendered::Date(_) | Rendered::Instant(..) => Self::Text(written()),
        }
    }
}

impl From<Cell> for Value {
    fn from(cell: Cell) -> Self {
        match cell {
            Cell::Null => Self::Null,
            Cell::Text(text) => text.into(),
            Cell::Boolean(truth) => truth.into(),
            Cell::Integer(number) => number.into(),
            Cell::Float(bits) => f64::from_bits(bits).into(),
        }
    }
}

impl Reply {
    pub(super) fn of_error(error: &Error) -> Self {
        Self::Error(error.lines())
    }

    /// Returns the reply as a result of the protocol.
    pub(super) fn into_result(self) -> CallToolResult {
        let answered = match self {
            Self::Answer(answered) => answered,
            Self::Error(lines) => return CallToolResult::error(vec![ContentBlock::text(lines)]),
        };
        let Answered { texts, columns, rows, rows_total, lake_version, freshest } = answered;
        let truncated = rows.len() < rows_total;
        let rows: Vec<Vec<Value>> =
            rows.into_iter().map(|row| row.into_iter().map(Value::from).collect()).collect();
        let texts = texts.into_iter().map(ContentBlock::text).collect();
        let mut result = CallToolResult::success(texts);
        result.structured_content = Some(json!({
            "columns": columns,
            "rows": rows,
            "rows_total": rows_total,
            "truncated": truncated,
            "lake_version": lake_version,
            "freshest": freshest,
        }));
        result
    }
}

#[cfg(test)]
mod tests {
    use chrono::{NaiveDate, NaiveDateTime};
    use chrono_tz::Tz;

    use super::*;

    #[test]
    fn cells_keep_their_values_on_the_way() {
        let day = NaiveDate::from_ymd_opt(2025, 6, 1).unwrap();
        let noon: NaiveDateTime = day.and_hms_opt(12, 0, 0).unwrap();
        for (cell, json) in [
            (Rendered::Null, "null"),
            (Rendered::Text("5"), "\"5\""),
            (Rendered::Boolean(true), "true"),
            (Rendered::Integer(i64::MAX), "9223372036854775807"),
            (Rendered::Float(0.1 + 0.2), "0.30000000000000004"),
            (Rendered::Float(100.0 / 3.0), "33.333333333333336"),
            (Rendered::Decimal(12_500_000, 6), "12.5"),
            (Rendered::Date(day), "\"2025-06-01\""),
            (Rendered::Instant(noon, Tz::America__Bogota), "\"2025-06-01T07:00:00-05:00\""),
        ] {
            let sent = serde_json::to_string(&Cell::from(cell)).unwrap();
            let received: Cell = serde_json::from_str(&sent).unwrap();
            assert_eq!(Value::from(received).to_string(), json);
        }
    }

    #[test]
    fn result_says_whether_rows_are_left_out() {
        let reply = |rows_total| {
            let rows = vec![vec![Cell::Text("CO".to_owned()), Cell::Integer(3)]];
            let columns = [OutputColumn::country("country"), OutputColumn::count("n")];
            let answered = Answered {
                texts: vec!["country,n\nCO,3\n".to_owned()],
                columns: columns.iter().map(ColumnOf::from).collect(),
                rows,
                rows_total,
                lake_version: Some("sessions=3".to_owned()),
                freshest: None,
            };
            serde_json::to_value(Reply::Answer(answered).into_result()).unwrap()
        };
        let all = reply(1);
        assert_eq!(all["content"][0]["text"], "country,n\nCO,3\n");
        assert_eq!(all["isError"], false);
        assert_eq!(
            all["structuredContent"],
            json!({
                "columns": [
                    { "name": "country", "type": "text", "unit": null },
                    { "name": "n", "type": "int64", "unit": null },
                ],
                "rows": [["CO", 3]],
                "rows_total": 1,
                "truncated": false,
                "lake_version": "sessions=3",
                "freshest": null,
            })
        );
        assert_eq!(reply(2)["structuredContent"]["truncated"], true);
        let error = Reply::of_error(&Error::usage("no").hint("yes")).into_result();
        assert_eq!(error.is_error, Some(true));
    }
}
