//! HTML: a page with one table, without network requests.

use std::io::{self, Write};

use super::batches::Batch;
use super::text::{visible, write_shown};

const HEAD: &str = r#"<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>wabalake</title>
<style>
:root { color-scheme: light dark; }
body { margin: 1rem; font: 0.9rem/1.4 system-ui, sans-serif; }
table { border-collapse: collapse; }
th, td { padding: 0.25rem 0.75rem; border-bottom: 1px solid #8886; text-align: left; }
th { position: sticky; top: 0; background: Canvas; }
.n { text-align: right; font-variant-numeric: tabular-nums; }
</style>
</head>
<body>
<table>
"#;
const TAIL: &str = "</tbody>\n</table>\n</body>\n</html>\n";

/// Writes the page with the header and all rows.
pub(super) fn write(answer: &Batch<'_>, out: &mut dyn Write) -> io::Result<()> {
    out.write_all(HEAD.as_bytes())?;
    let mut line = String::from("<thead>\n<tr>");
    for (name, cells) in answer.names().zip(answer.cells()) {
        line.push_str(if cells.is_number() {
            "<th scope=\"col\" class=\"n\">"
        } else {
            "<th scope=\"col\">"
        });
        escape(name, &mut line);
        line.push_str("</th>");
    }
    line.push_str("</tr>\n</thead>\n<tbody>\n");
    out.write_all(line.as_bytes())?;
    let mut cell = String::new();
    for row in 0..answer.rows() {
        line.clear();
        line.push_str("<tr>");
        for (column, meaning, cells) in answer.described() {
            line.push_str(if cells.is_number() { "<td class=\"n\">" } else { "<td>" });
            cell.clear();
            write_shown(meaning, column, cells.get(row), &mut cell);
            escape(&cell, &mut line);
            line.push_str("</td>");
        }
        line.push_str("</tr>\n");
        out.write_all(line.as_bytes())?;
    }
    out.write_all(TAIL.as_bytes())
}

/// Escapes a text for HTML content and quoted attributes. Invisible and direction-changing
/// characters are spelt out.
pub fn escape(text: &str, out: &mut String) {
    for c in visible(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '`' => out.push_str("&#96;"),
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use polars::prelude::*;

    use super::super::tests::{sample, written};
    use super::super::{Answer, Format};

    #[test]
    fn every_type_is_written() {
        let page = written(&sample(), Format::Html);
        let (head, table) = page.split_once("<thead>\n").unwrap();
        assert!(head.starts_with("<!DOCTYPE html>\n") && !head.contains("http"), "{head}");
        let expected = r#"<tr><th scope="col">conversation_id</th><th scope="col" class="n">sessions</th><th scope="col" class="n">share_pct</th><th scope="col" class="n">spend</th><th scope="col">day</th><th scope="col">started_at</th><th scope="col">open</th></tr>
</thead>
<tbody>
<tr><td>a</td><td class="n">1234567</td><td class="n">33.33</td><td class="n">12.50</td><td>2025-06-01</td><td>2025-06-01T12:00:00Z</td><td>true</td></tr>
<tr><td>b,&quot;c&quot;\nd</td><td class="n">0</td><td class="n">–</td><td class="n">–</td><td>–</td><td>2025-06-01T12:00:00.250000Z</td><td>false</td></tr>
<tr><td></td><td class="n">–</td><td class="n">0.30</td><td class="n">-0.000001</td><td>1969-12-31</td><td>–</td><td>–</td></tr>
</tbody>
</table>
</body>
</html>
"#;
        assert_eq!(table, expected);
    }

    #[test]
    fn texts_are_escaped() {
        let frame = df!("m" => ["<script>alert(1)</script>"]).unwrap();
        let page = written(&Answer::plain(frame).unwrap(), Format::Html);
        assert!(page.contains("<td>&lt;script&gt;alert(1)&lt;/script&gt;</td>"), "{page}");
    }
}
