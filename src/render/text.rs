//! How a cell is shown to a person: in a table and in Markdown.

use std::borrow::Cow;

use wabalake_queries::query::OutputColumn;

use super::cells::{Value, write_decimal};

/// What stands for a null.
const NULL: &str = "–";

/// Writes a cell to be looked at: rates and seconds with two decimals, texts on one line without
/// anything that a terminal would obey.
pub(super) fn write_shown(column: &OutputColumn, value: Value<'_>, out: &mut String) {
    match value {
        Value::Null => out.push_str(NULL),
        Value::Text(text) => out.push_str(&visible(text)),
        Value::Float(number) => {
            let decimals = if column.unit.is_some() { 2 } else { 4 };
            let shown = format!("{number:.decimals$}");
            let is_nothing = shown.trim_start_matches(['-', '0', '.']).is_empty();
            out.push_str(if is_nothing { shown.trim_start_matches('-') } else { &shown });
        }
        Value::Decimal(units, scale) => write_decimal(units, scale, 2, out),
        exact => exact.write(out),
    }
}

/// A text with its control characters, line ends and changes of direction spelt out.
///
/// ```
/// use wabalake::render::visible;
/// assert_eq!(visible("a\nb \u{1b}[31m"), r"a\nb \u{1b}[31m");
/// assert_eq!(visible("¿cómo? 👩‍💻"), "¿cómo? 👩‍💻");
/// ```
pub fn visible(text: &str) -> Cow<'_, str> {
    if !text.contains(disturbs) {
        return text.into();
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if disturbs(c) {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out.into()
}

/// Whether a character would move the cursor, end the line or turn what follows around.
fn disturbs(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_have_two_decimals_and_no_negative_nothing() {
        let shown = |column, number| {
            let mut out = String::new();
            write_shown(&column, Value::Float(number), &mut out);
            out
        };
        assert_eq!(shown(OutputColumn::pct("p"), 100.0 / 3.0), "33.33");
        assert_eq!(shown(OutputColumn::seconds("s"), 3_600.0), "3600.00");
        assert_eq!(shown(OutputColumn::seconds("s"), -0.001), "0.00");
        assert_eq!(shown(OutputColumn::seconds("s"), -0.25), "-0.25");
    }

    #[test]
    fn money_has_two_decimals_and_those_it_needs() {
        let shown = |units| {
            let mut out = String::new();
            write_shown(&OutputColumn::count("spend"), Value::Decimal(units, 6), &mut out);
            out
        };
        assert_eq!(shown(12_500_000), "12.50");
        assert_eq!(shown(-1), "-0.000001");
        assert_eq!(shown(0), "0.00");
    }
}
