//! A Markdown table in GitHub's syntax.

use std::io::{self, Write};

use super::batches::Batch;
use super::cells::Value;
use super::text::{visible, write_shown};

/// Writes the header and all rows.
pub(super) fn write(answer: &Batch<'_>, out: &mut dyn Write) -> io::Result<()> {
    let mut line = String::from("|");
    for name in answer.names() {
        line.push(' ');
        push_literal(&visible(name), &mut line);
        line.push_str(" |");
    }
    line.push_str("\n|");
    for cells in answer.cells() {
        line.push_str(if cells.is_number() { " ---: |" } else { " --- |" });
    }
    line.push('\n');
    out.write_all(line.as_bytes())?;
    let mut cell = String::new();
    for row in 0..answer.rows() {
        line.clear();
        line.push('|');
        for (column, meaning, cells) in answer.described() {
            let value = cells.get(row);
            write_shown(meaning, column, value, &mut cell);
            line.push(' ');
            match value {
                Value::Text(_) => push_literal(&cell, &mut line),
                _ => line.push_str(&cell),
            }
            line.push_str(" |");
            cell.clear();
        }
        line.push('\n');
        out.write_all(line.as_bytes())?;
    }
    Ok(())
}

/// Escapes Markdown syntax. An underscore inside a word needs no escape.
fn push_literal(text: &str, line: &mut String) {
    let mut before = ' ';
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let within_word =
            before.is_alphanumeric() && rest.peek().is_some_and(|c| c.is_alphanumeric());
        if matches!(c, '\\' | '`' | '*' | '[' | ']' | '<' | '>' | '|' | '~' | '&')
            || (c == '_' && !within_word)
        {
            line.push('\\');
        }
        line.push(c);
        before = c;
    }
}

#[cfg(test)]
mod tests {
    use polars::prelude::*;

    use super::super::tests::{sample, written};
    use super::super::{Answer, Format};

    #[test]
    fn every_type_is_written() {
        let expected = r#"| conversation_id | sessions | share_pct | spend | day | started_at | open |
| --- | ---: | ---: | ---: | --- | --- | --- |
| a | 1234567 | 33.33 | 12.50 | 2025-06-01 | 2025-06-01T12:00:00Z | true |
| b,"c"\\nd | 0 | – | – | – | 2025-06-01T12:00:00.250000Z | false |
|  | – | 0.30 | -0.000001 | 1969-12-31 | – | – |
"#;
        assert_eq!(written(&sample(), Format::Markdown), expected);
    }

    #[test]
    fn markdown_syntax_is_escaped() {
        let texts = ["a|b", "*hola* _x_", "node_12", "<img>", "[a](b)"];
        let frame = df!("m_1|\n" => texts).unwrap();
        let expected = r"| m_1\|\\n |
| --- |
| a\|b |
| \*hola\* \_x\_ |
| node_12 |
| \<img\> |
| \[a\](b) |
";
        assert_eq!(written(&Answer::plain(frame).unwrap(), Format::Markdown), expected);
    }
}
