//! A table for a terminal or a text file.
//!
//! ```text
//!  conversation_id │ last_node_id      │ sessions │ share_pct
//! ─────────────────┼───────────────────┼──────────┼───────────
//!  417             │ ask-for-the-size  │    1,204 │     61.05
//! ```
//!
//! On a screen, a table fits the width: names break after underscores, then long texts are
//! truncated, and if that is not enough each row becomes a list of its cells. Numbers are never
//! truncated.
//!
//! In a file or a pipe nothing is truncated. A long text only moves the rest of its own row:
//! padding all rows to it could take gigabytes.

use std::borrow::Cow;
use std::io::{self, Write};

use comfy_table::presets::NOTHING;
use comfy_table::{
    Attribute, Cell, CellAlignment, ContentLineStyle, LineStyle, Row, Table, TableStyle,
};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};
use wabalake_data::words::{grouped, in_threes};
use wabalake_queries::query::OutputColumn;

use super::batches::Batch;
use super::cells::{Cells, Value};
use super::text::{Meaning, visible, write_shown};

/// Texts are not truncated to fewer characters.
const LEAST_TEXT: usize = 12;

/// A longer cell of a file is not padded to.
const MOST_PADDED: usize = 100;

const STYLE: TableStyle = NOTHING
    .header_lines(ContentLineStyle::none().junction('│'))
    .header_separator(LineStyle::none().fill('─').junction('┼'))
    .content_lines(ContentLineStyle::none().junction('│'));

/// The width and colours of the output. The default is that of a file or pipe: unlimited, no
/// colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Screen {
    /// The width in characters, if limited.
    pub width: Option<usize>,
    /// `true` if it supports bold text.
    pub bold: bool,
}

impl Screen {
    /// The screen of standard output.
    pub fn stdout() -> Self {
        let terminal = Table::new();
        let wants_colour = std::env::var_os("NO_COLOR").is_none_or(|set| set.is_empty());
        Self { width: terminal.width().map(usize::from), bold: terminal.is_tty() && wants_colour }
    }
}

/// Writes the header and all rows.
pub(super) fn write(answer: &Batch<'_>, screen: Screen, out: &mut dyn Write) -> io::Result<()> {
    let columns: Vec<ShownColumn> = answer
        .described()
        .map(|(column, meaning, cells)| ShownColumn::of(column, meaning, cells, answer.rows()))
        .collect();
    match screen.width {
        None => draw_whole(&columns, screen, out),
        Some(width) => match fit(&columns, width) {
            Some(widths) => draw(&columns, &widths, screen, out),
            None => list(&columns, width, out),
        },
    }
}

/// A formatted column.
struct ShownColumn {
    name: Cow<'static, str>,
    cells: Vec<String>,
    /// The width of the widest cell, without the name.
    width: usize,
    is_number: bool,
    is_text: bool,
}

impl ShownColumn {
    fn of(column: &OutputColumn, meaning: Meaning, cells: &Cells, rows: usize) -> Self {
        let is_amount = cells.is_number() && meaning == Meaning::Amount;
        let shown: Vec<String> = (0..rows)
            .map(|row| {
                let mut text = String::new();
                let value = cells.get(row);
                write_shown(meaning, column, value, &mut text);
                let is_null = matches!(value, Value::Null);
                if is_amount && !is_null { in_threes(&text) } else { text }
            })
            .collect();
        Self {
            name: visible(column.name),
            width: shown.iter().map(|cell| cell.width()).max().unwrap_or(0),
            cells: shown,
            is_number: cells.is_number(),
            is_text: cells.is_text(),
        }
    }

    /// The width of the longest part of the name that cannot be broken.
    fn least_name(&self) -> usize {
        self.name.split_inclusive('_').map(UnicodeWidthStr::width).max().unwrap_or(0)
    }
}

/// The widths at which no cell is truncated.
fn natural(columns: &[ShownColumn]) -> Vec<usize> {
    columns.iter().map(|column| column.width.max(column.name.width())).collect()
}

/// The width of a table: cells with a space on both sides, and lines between them.
fn total(widths: &[usize]) -> usize {
    widths.iter().map(|width| width + 3).sum::<usize>().saturating_sub(1)
}

/// Widths that fit the screen, if possible.
fn fit(columns: &[ShownColumn], screen: usize) -> Option<Vec<usize>> {
    let mut widths = natural(columns);
    if total(&widths) <= screen {
        return Some(widths);
    }
    for (column, width) in columns.iter().zip(&mut widths) {
        *width = column.width.max(column.least_name());
    }
    // The widest text shrinks first, to the width of the next one.
    loop {
        let over = total(&widths).saturating_sub(screen);
        if over == 0 {
            return Some(widths);
        }
        let least = |column: &ShownColumn| column.least_name().max(LEAST_TEXT);
        let can_shrink = |at: &usize| columns[*at].is_text && widths[*at] > least(&columns[*at]);
        let widest = (0..columns.len()).filter(can_shrink).max_by_key(|at| widths[*at])?;
        let next = (0..columns.len())
            .filter(|at| columns[*at].is_text && widths[*at] < widths[widest])
            .map(|at| widths[at])
            .max()
            .unwrap_or(0);
        let target = next.max(widths[widest].saturating_sub(over)).max(least(&columns[widest]));
        widths[widest] = target.min(widths[widest] - 1);
    }
}

/// Writes all cells whole, in columns as wide as their cells, except very long ones.
fn draw_whole(columns: &[ShownColumn], screen: Screen, out: &mut dyn Write) -> io::Result<()> {
    let within = |width: &usize| *width <= MOST_PADDED;
    let widths: Vec<usize> = columns
        .iter()
        .map(|column| {
            let widest = if within(&column.width) {
                column.width
            } else {
                let widths = column.cells.iter().map(|cell| cell.width());
                widths.filter(within).max().unwrap_or(0)
            };
            widest.max(column.name.width())
        })
        .collect();
    let mut line = String::new();
    let (start, end) = if screen.bold { ("\u{1b}[1m", "\u{1b}[0m") } else { ("", "") };
    for (column, width) in columns.iter().zip(&widths) {
        push_padded(&mut line, column, (start, &*column.name, end), *width);
    }
    writeln!(out, "{}", line.trim_end())?;
    let rules: Vec<String> = widths.iter().map(|width| "─".repeat(width + 2)).collect();
    writeln!(out, "{}", rules.join("┼"))?;
    for row in 0..columns.first().map_or(0, |column| column.cells.len()) {
        line.clear();
        for (column, width) in columns.iter().zip(&widths) {
            push_padded(&mut line, column, ("", &column.cells[row], ""), *width);
        }
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

/// Adds a padded cell to a line, with escape codes around its text.
fn push_padded(line: &mut String, column: &ShownColumn, shown: (&str, &str, &str), width: usize) {
    if !line.is_empty() {
        line.push('│');
    }
    let (before, text, after) = shown;
    let padding = " ".repeat(width.saturating_sub(text.width()));
    let (left, right) = if column.is_number { (&*padding, "") } else { ("", &*padding) };
    line.extend([" ", left, before, text, after, right, " "]);
}

fn draw(
    columns: &[ShownColumn],
    widths: &[usize],
    screen: Screen,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut table = Table::new();
    table.load_style(STYLE);
    if screen.bold {
        table.enforce_styling();
    } else {
        table.force_no_tty();
    }
    table.style_text_only();
    let header = columns.iter().zip(widths).map(|(column, width)| {
        let cell = Cell::new(broken(&column.name, *width));
        if screen.bold { cell.add_attribute(Attribute::Bold) } else { cell }
    });
    table.set_header(Row::from(header.collect::<Vec<_>>()));
    for row in 0..columns.first().map_or(0, |column| column.cells.len()) {
        let cells = columns.iter().zip(widths);
        let cells = cells.map(|(column, width)| Cell::new(elided(&column.cells[row], *width)));
        table.add_row(Row::from(cells.collect::<Vec<_>>()));
    }
    for (drawn, column) in table.column_iter_mut().zip(columns) {
        if column.is_number {
            drawn.set_cell_alignment(CellAlignment::Right);
        }
    }
    for line in table.lines() {
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

/// Writes each row as a list of names and cells.
fn list(columns: &[ShownColumn], screen: usize, out: &mut dyn Write) -> io::Result<()> {
    let names = columns.iter().map(|column| column.name.width()).max().unwrap_or(0);
    let width = screen.saturating_sub(names + 4).max(LEAST_TEXT);
    for row in 0..columns.first().map_or(0, |column| column.cells.len()) {
        writeln!(out, "─ row {} ─", grouped(row as u64 + 1))?;
        for column in columns {
            writeln!(out, " {:names$} │ {}", column.name, elided(&column.cells[row], width))?;
        }
    }
    Ok(())
}

/// Breaks a name after underscores.
fn broken(name: &str, width: usize) -> String {
    let mut lines = String::new();
    let mut line = 0;
    for part in name.split_inclusive('_') {
        if line > 0 && line + part.width() > width {
            lines.push('\n');
            line = 0;
        }
        lines.push_str(part);
        line += part.width();
    }
    lines
}

/// Truncates a text to a width, marked by `…`.
fn elided(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut used = 1;
    let kept = text.chars().take_while(|c| {
        used += c.width().unwrap_or(0);
        used <= width
    });
    let mut kept: String = kept.collect();
    // A trailing zero-width joiner would swallow the mark.
    kept.truncate(kept.trim_end_matches(['\u{200d}', ' ']).len());
    kept.push('…');
    kept
}

#[cfg(test)]
mod tests {
    use polars::prelude::*;
    use proptest::prelude::*;

    use super::super::tests::{sample, written};
    use super::super::{Answer, Format, write_screen};
    use super::*;

    fn on_screen(answer: &Answer, width: usize) -> String {
        let mut out = Vec::new();
        let screen = Screen { width: Some(width), bold: false };
        write_screen(answer, screen, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn pipe_gets_the_whole_table() {
        let expected = r#" conversation_id │  sessions │ share_pct │     spend │ day        │ started_at                  │ open
─────────────────┼───────────┼───────────┼───────────┼────────────┼─────────────────────────────┼───────
 a               │ 1,234,567 │     33.33 │     12.50 │ 2025-06-01 │ 2025-06-01T12:00:00Z        │ true
 b,"c"\nd        │         0 │         – │         – │ –          │ 2025-06-01T12:00:00.250000Z │ false
                 │         – │      0.30 │ -0.000001 │ 1969-12-31 │ –                           │ –
"#;
        assert_eq!(written(&sample(), Format::Table), expected);
    }

    proptest! {
        /// A file has every cell whole, however long, and little padding: each row is as long as
        /// its cells, plus at most the padding limit for every column.
        #[test]
        fn long_cell_widens_only_its_own_row(
            texts in prop::collection::vec("[a-zé]{0,9}|[a-z]{101,3000}", 1..40),
        ) {
            let numbers: Vec<i64> = (0..).take(texts.len()).collect();
            let frame = df!("name" => &texts, "sessions" => &numbers).unwrap();
            let table = written(&Answer::plain(frame).unwrap(), Format::Table);
            prop_assert_eq!(table.lines().count(), texts.len() + 2);
            for ((line, text), number) in table.lines().skip(2).zip(&texts).zip(numbers) {
                let cells: Vec<&str> = line.split('│').map(str::trim).collect();
                prop_assert_eq!(cells, [text.clone(), number.to_string()]);
                prop_assert!(line.width() <= text.width().max(9) + 16, "{}", line.width());
            }
        }
    }

    fn flows() -> Answer {
        let frame = df!(
            "conversation_id" => ["417", "417"],
            "last_node_id" => ["ask-for-the-size-of-the-shirt-and-its-colour", "¿cuál? 👩‍💻"],
            "avg_duration_seconds" => [Some(75.5), None],
            "sessions" => [1204i64, 7],
        );
        Answer::plain(frame.unwrap()).unwrap()
    }

    #[test]
    fn names_break_before_texts_are_truncated() {
        let expected = r" conversation_ │ last_node_id                                 │      avg_ │ sessions
 id            │                                              │ duration_ │
               │                                              │   seconds │
───────────────┼──────────────────────────────────────────────┼───────────┼──────────
 417           │ ask-for-the-size-of-the-shirt-and-its-colour │    1m 16s │    1,204
 417           │ ¿cuál? 👩‍💻                                    │         – │        7
";
        assert_eq!(on_screen(&flows(), 86), expected);
    }

    #[test]
    fn long_texts_are_truncated_numbers_are_not() {
        let expected = r" conversation_ │ last_node_id        │      avg_ │ sessions
 id            │                     │ duration_ │
               │                     │   seconds │
───────────────┼─────────────────────┼───────────┼──────────
 417           │ ask-for-the-size-o… │    1m 16s │    1,204
 417           │ ¿cuál? 👩‍💻           │         – │        7
";
        assert_eq!(on_screen(&flows(), 60), expected);
    }

    #[test]
    fn narrow_screen_gets_lists() {
        let expected = "\
─ row 1 ─
 conversation_id      │ 417
 last_node_id         │ ask-for-the-si…
 avg_duration_seconds │ 1m 16s
 sessions             │ 1,204
─ row 2 ─
 conversation_id      │ 417
 last_node_id         │ ¿cuál? 👩‍💻
 avg_duration_seconds │ –
 sessions             │ 7
";
        assert_eq!(on_screen(&flows(), 39), expected);
    }

    #[test]
    fn lines_never_exceed_the_screen() {
        for answer in [flows(), sample()] {
            for width in 45..160 {
                let text = on_screen(&answer, width);
                for line in text.lines() {
                    assert!(line.width() <= width, "{width}: {line}");
                }
            }
        }
    }

    #[test]
    fn control_characters_are_spelt_out() {
        let texts = ["\u{1b}[2J\u{1b}]0;x\u{7}", "a\u{202e}b\r\n"];
        let frame = df!("message" => texts, "\u{1b}[31m" => ["", ""]).unwrap();
        let text = on_screen(&Answer::plain(frame).unwrap(), 80);
        assert!(!text.contains(['\u{1b}', '\u{7}', '\u{202e}', '\r']), "{text}");
        assert!(text.contains(r"a\u{202e}b\r\n"), "{text}");
    }

    #[test]
    fn header_is_bold_if_supported() {
        let mut out = Vec::new();
        write_screen(&flows(), Screen { width: Some(200), bold: true }, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let header = text.lines().next().unwrap();
        assert!(header.contains("\u{1b}[1mconversation_id"), "{header:?}");
        assert!(!text.lines().last().unwrap().contains('\u{1b}'), "{text:?}");
    }
}
