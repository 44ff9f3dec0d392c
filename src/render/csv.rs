//! Comma-separated values by RFC 4180, with `\n` at the end of each record.
//!
//! A null is an empty field, an empty text is `""`. A cell that begins with `=` or `+` stays as
//! it is: it is what someone wrote.

use std::io::{self, Write};

use super::Answer;
use super::cells::Value;

/// Writes the header and every row.
pub(super) fn write(answer: &Answer, out: &mut dyn Write) -> io::Result<()> {
    write_delimited(answer, ',', out)
}

/// The same with any delimiter.
pub(super) fn write_delimited(
    answer: &Answer,
    delimiter: char,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut record = String::new();
    for (at, name) in answer.names().enumerate() {
        if at > 0 {
            record.push(delimiter);
        }
        push_field(name, delimiter, &mut record);
    }
    end(&mut record, out)?;
    for row in 0..answer.rows() {
        for (at, cells) in answer.cells().iter().enumerate() {
            if at > 0 {
                record.push(delimiter);
            }
            match cells.get(row) {
                Value::Text(text) => push_field(text, delimiter, &mut record),
                other => other.write(&mut record),
            }
        }
        if record.is_empty() {
            // Readers skip a blank line, and with it the row.
            record.push_str("\"\"");
        }
        end(&mut record, out)?;
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
    use super::super::{Answer, Format};

    #[test]
    fn every_type_has_its_spelling() {
        let expected = "\
            conversation_id,sessions,share_pct,spend,day,started_at,open\n\
            a,1234567,33.333333333333336,12.5,2025-06-01,2025-06-01T12:00:00Z,true\n\
            \"b,\"\"c\"\"\nd\",0,,,,2025-06-01T12:00:00.250000Z,false\n\
            \"\",,0.30000000000000004,-0.000001,1969-12-31,,\n";
        assert_eq!(written(&sample(), Format::Csv), expected);
    }

    #[test]
    fn a_row_of_one_null_is_no_blank_line() {
        let frame = df!("state" => [Some("sent"), None]).unwrap();
        let answer = Answer::plain(frame).unwrap();
        assert_eq!(written(&answer, Format::Csv), "state\nsent\n\"\"\n");
    }

    #[test]
    fn an_empty_answer_keeps_its_columns() {
        let frame = df!("state" => Vec::<String>::new(), "n" => Vec::<i64>::new()).unwrap();
        assert_eq!(written(&Answer::plain(frame).unwrap(), Format::Csv), "state,n\n");
    }

    #[test]
    fn formulas_and_carriage_returns_survive() {
        let frame = df!("m" => ["=1+1", "a\r\nb", " x "], "n" => ["\t", "'", "-"]).unwrap();
        let expected = "m,n\n=1+1,\t\n\"a\r\nb\",'\n x ,-\n";
        assert_eq!(written(&Answer::plain(frame).unwrap(), Format::Csv), expected);
    }
}
