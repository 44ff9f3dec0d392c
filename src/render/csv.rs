//! CSV by RFC 4180 with `\n` after each record, and TSV with the same quotes.
//!
//! Null is an empty field, an empty text is `""`. A cell that begins with `=` or `+` is not
//! changed, unless a [guard](super::guard) is asked for.

use std::borrow::Cow;
use std::io::{self, Write};

use super::Answer;
use super::cells::Value;
use super::guard::guarded;
use crate::error::Result;

/// The delimiter, and whether cells are guarded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Delimited {
    delimiter: char,
    guarded: bool,
}

impl Delimited {
    pub(super) const CSV: Self = Self { delimiter: ',', guarded: false };
    pub(super) const TSV: Self = Self { delimiter: '\t', guarded: false };

    /// Guards cells against formulas.
    pub(super) fn guarded(self) -> Self {
        Self { guarded: true, ..self }
    }

    fn push(self, text: &str, record: &mut String) {
        let text = if self.guarded { guarded(text) } else { Cow::Borrowed(text) };
        push_field(&text, self.delimiter, record);
    }
}

/// Writes the header and all rows.
pub(super) fn write(answer: &Answer, how: Delimited, out: &mut dyn Write) -> Result<()> {
    let mut record = String::new();
    for (at, name) in answer.names().enumerate() {
        if at > 0 {
            record.push(how.delimiter);
        }
        how.push(name, &mut record);
    }
    end(&mut record, out)?;
    for batch in answer.batches() {
        let batch = batch?;
        for row in 0..batch.rows() {
            for (at, cells) in batch.cells().iter().enumerate() {
                if at > 0 {
                    record.push(how.delimiter);
                }
                match cells.get(row) {
                    Value::Text(text) => how.push(text, &mut record),
                    other => other.write(&mut record),
                }
            }
            if record.is_empty() {
                // Readers skip a blank line, and with it the row.
                record.push_str("\"\"");
            }
            end(&mut record, out)?;
        }
    }
    Ok(())
}

fn end(record: &mut String, out: &mut dyn Write) -> io::Result<()> {
    record.push('\n');
    out.write_all(record.as_bytes())?;
    record.clear();
    Ok(())
}

fn push_field(text: &str, delimiter: char, record: &mut String) {
    let needs_quotes = |c: char| c == delimiter || matches!(c, '"' | '\n' | '\r');
    if text.is_empty() || text.contains(needs_quotes) {
        record.push('"');
        for (at, part) in text.split('"').enumerate() {
            if at > 0 {
                record.push_str("\"\"");
            }
            record.push_str(part);
        }
        record.push('"');
    } else {
        record.push_str(text);
    }
}

#[cfg(test)]
mod tests {
    use polars::prelude::*;

    use super::super::tests::{sample, written};
    use super::super::{Answer, Format, write_guarded};

    #[test]
    fn every_type_is_written() {
        let expected = "\
            conversation_id,sessions,share_pct,spend,day,started_at,open\n\
            a,1234567,33.333333333333336,12.5,2025-06-01,2025-06-01T12:00:00Z,true\n\
            \"b,\"\"c\"\"\nd\",0,,,,2025-06-01T12:00:00.250000Z,false\n\
            \"\",,0.30000000000000004,-0.000001,1969-12-31,,\n";
        assert_eq!(written(&sample(), Format::Csv), expected);
    }

    #[test]
    fn single_null_is_not_a_blank_line() {
        let frame = df!("state" => [Some("sent"), None]).unwrap();
        let answer = Answer::plain(frame).unwrap();
        assert_eq!(written(&answer, Format::Csv), "state\nsent\n\"\"\n");
    }

    #[test]
    fn empty_answer_has_a_header() {
        let frame = df!("state" => Vec::<String>::new(), "n" => Vec::<i64>::new()).unwrap();
        assert_eq!(written(&Answer::plain(frame).unwrap(), Format::Csv), "state,n\n");
    }

    #[test]
    fn formulas_and_carriage_returns_are_kept() {
        let frame = df!("m" => ["=1+1", "a\r\nb", " x "], "n" => ["\t", "'", "-"]).unwrap();
        let expected = "m,n\n=1+1,\t\n\"a\r\nb\",'\n x ,-\n";
        assert_eq!(written(&Answer::plain(frame).unwrap(), Format::Csv), expected);
    }

    #[test]
    fn only_tabs_quotes_and_line_ends_are_quoted() {
        let frame = df!("m" => ["a,b", "a\tb", "say \"x\""], "n" => [1i64, 2, 3]).unwrap();
        let expected = "m\tn\na,b\t1\n\"a\tb\"\t2\n\"say \"\"x\"\"\"\t3\n";
        assert_eq!(written(&Answer::plain(frame).unwrap(), Format::Tsv), expected);
    }

    #[test]
    fn guard_applies_to_texts_only() {
        let frame = df!("=n" => [-1i64, 2], "m" => ["=1+1", "'-x"]).unwrap();
        let answer = Answer::plain(frame).unwrap();
        for (format, expected) in [
            (Format::Csv, "'=n,m\n-1,'=1+1\n2,''-x\n"),
            (Format::Tsv, "'=n\tm\n-1\t'=1+1\n2\t''-x\n"),
            (Format::Ndjson, "{\"=n\":-1,\"m\":\"=1+1\"}\n{\"=n\":2,\"m\":\"'-x\"}\n"),
        ] {
            let mut out = Vec::new();
            write_guarded(&answer, format, &mut out).unwrap();
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }
}
