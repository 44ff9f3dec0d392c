//! JSON: an array with one object per line. Decimals are numbers with all of their digits.

use std::io::Write;

use super::Answer;
use super::batches::Batch;
use super::cells::Value;
use crate::error::Result;

/// Writes the array.
pub(super) fn write(answer: &Answer, out: &mut dyn Write) -> Result<()> {
    let keys = keys(answer);
    let mut text = String::from("[");
    let mut is_empty = true;
    for batch in answer.batches() {
        let batch = batch?;
        for row in 0..batch.rows() {
            text.push_str(if is_empty { "\n" } else { ",\n" });
            is_empty = false;
            push_object(&batch, &keys, row, &mut text);
            out.write_all(text.as_bytes())?;
            text.clear();
        }
    }
    text.push_str(if is_empty { "]\n" } else { "\n]\n" });
    Ok(out.write_all(text.as_bytes())?)
}

/// The column names as JSON strings.
pub(super) fn keys(answer: &Answer) -> Vec<String> {
    answer.names().map(quoted).collect()
}

/// Writes a row as an object.
pub(super) fn push_object(batch: &Batch<'_>, keys: &[String], row: usize, text: &mut String) {
    text.push('{');
    for (at, (key, cells)) in keys.iter().zip(batch.cells()).enumerate() {
        if at > 0 {
            text.push(',');
        }
        text.push_str(key);
        text.push(':');
        match cells.get(row) {
            Value::Null => text.push_str("null"),
            Value::Text(value) => text.push_str(&quoted(value)),
            value @ (Value::Date(_) | Value::Instant(..)) => {
                text.push('"');
                value.write(text);
                text.push('"');
            }
            value => value.write(text),
        }
    }
    text.push('}');
}

/// Encodes a text as a JSON string.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use polars::prelude::*;

    use super::super::tests::{sample, written};
    use super::super::{Answer, Format};

    #[test]
    fn every_type_is_written() {
        let expected = r#"[
{"conversation_id":"a","sessions":1234567,"share_pct":33.333333333333336,"spend":12.5,"day":"2025-06-01","started_at":"2025-06-01T12:00:00Z","open":true},
{"conversation_id":"b,\"c\"\nd","sessions":0,"share_pct":null,"spend":null,"day":null,"started_at":"2025-06-01T12:00:00.250000Z","open":false},
{"conversation_id":"","sessions":null,"share_pct":0.30000000000000004,"spend":-0.000001,"day":"1969-12-31","started_at":null,"open":null}
]
"#;
        let text = written(&sample(), Format::Json);
        assert_eq!(text, expected);
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap()[1]["sessions"], 0);
    }

    #[test]
    fn large_and_small_numbers_are_valid_json() {
        let frame = df!("n" => [1e300, 1e16, 1.5e-7, f64::NAN, f64::NEG_INFINITY]).unwrap();
        let text = written(&Answer::plain(frame).unwrap(), Format::Json);
        assert_eq!(
            text,
            "[\n{\"n\":1e300},\n{\"n\":1e16},\n{\"n\":1.5e-7},\n{\"n\":null},\n{\"n\":null}\n]\n"
        );
        let read: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(read[0]["n"], 1e300);
    }

    #[test]
    fn empty_answer_is_an_empty_array() {
        let frame = df!("n" => Vec::<i64>::new()).unwrap();
        assert_eq!(written(&Answer::plain(frame).unwrap(), Format::Json), "[]\n");
    }
}
