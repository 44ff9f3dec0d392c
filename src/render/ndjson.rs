//! JSON Lines: one object per row.

use std::io::Write;

use super::{Answer, json};
use crate::error::Result;

/// Writes a line for each row.
pub(super) fn write(answer: &Answer, out: &mut dyn Write) -> Result<()> {
    let keys = json::keys(answer);
    let mut text = String::new();
    for batch in answer.batches() {
        let batch = batch?;
        for row in 0..batch.rows() {
            json::push_object(&batch, &keys, row, &mut text);
            text.push('\n');
            out.write_all(text.as_bytes())?;
            text.clear();
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use polars::prelude::*;

    use super::super::tests::written;
    use super::super::{Answer, Format};

    #[test]
    fn row_is_one_line_whatever_its_text() {
        let frame = df!("m" => [Some("a\nb\u{1b}"), None], "n" => [1i64, 2]).unwrap();
        let expected = "{\"m\":\"a\\nb\\u001b\",\"n\":1}\n{\"m\":null,\"n\":2}\n";
        assert_eq!(written(&Answer::plain(frame).unwrap(), Format::Ndjson), expected);
    }

    #[test]
    fn empty_answer_has_no_lines() {
        let frame = df!("n" => Vec::<i64>::new()).unwrap();
        assert_eq!(written(&Answer::plain(frame).unwrap(), Format::Ndjson), "");
    }
}
