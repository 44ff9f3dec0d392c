//! How a cell is shown to a reader, in tables, Markdown and HTML.
//!
//! | a column of | in CSV | shown |
//! |---|---|---|
//! | rates | `33.333333333333336` | `33.33` |
//! | seconds | `7500.0` | `2h 05m` |
//! | countries | `CO` | `Colombia` |
//! | enumerated values | `blocked_or_outdated` | `Blocked or outdated` |
//! | seconds since 1970 | `1748736000` | `1748736000`, without digit groups |

use std::borrow::Cow;

use wabalake_data::reference::countries;
use wabalake_data::tables::{self, messages, meta_points};
use wabalake_data::words::duration;
use wabalake_queries::query::{OutputColumn, Type};

use super::cells::{Value, write_decimal};

/// Stands for null.
const NULL: &str = "–";

/// The meaning of a column to a reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// A count or an amount, with digit groups.
    Amount,
    /// A number that identifies something.
    Name,
    /// A duration in units of so many seconds.
    Duration(u32),
    /// A country code.
    Country,
    /// An enumerated value.
    Word,
    /// Anything else.
    Plain,
}

impl Meaning {
    /// The meaning of a column in its answer: a country code beside the country's name stays a
    /// code.
    pub(super) fn within(column: &OutputColumn, columns: &[OutputColumn]) -> Self {
        let is_named = || columns.iter().any(|beside| beside.name == messages::COUNTRY_NAME);
        match Self::of(column) {
            Self::Country if is_named() => Self::Plain,
            meaning => meaning,
        }
    }

    fn of(column: &OutputColumn) -> Self {
        match (column.of, column.unit, column.name) {
            (Type::Float, Some("s"), _) => Self::Duration(1),
            (Type::Float, Some("min"), _) => Self::Duration(60),
            (Type::Version, ..) | (Type::Integer, _, meta_points::START | meta_points::END) => {
                Self::Name
            }
            (Type::Integer | Type::Float | Type::Money, ..) => Self::Amount,
            (Type::Text, ..) => match column.meaning {
                Some(tables::Meaning::Country) => Self::Country,
                Some(tables::Meaning::Word) => Self::Word,
                _ => Self::Plain,
            },
            _ => Self::Plain,
        }
    }
}

/// Writes a cell for a reader: rates with two decimals, durations in their two largest units,
/// labels for codes, and texts on one line without control characters.
pub(super) fn write_shown(
    meaning: Meaning,
    column: &OutputColumn,
    value: Value<'_>,
    out: &mut String,
) {
    match (value, meaning) {
        (Value::Null, _) => out.push_str(NULL),
        (Value::Text(code), Meaning::Country) => {
            out.push_str(&visible(countries::name(code).unwrap_or(code)));
        }
        (Value::Text(word), Meaning::Word) => out.push_str(&visible(&spelt(word))),
        (Value::Text(text), _) => out.push_str(&visible(text)),
        (Value::Float(number), Meaning::Duration(unit)) => {
            out.push_str(&duration(number * f64::from(unit)));
        }
        (Value::Float(number), _) => {
            let decimals = if column.unit.is_some() { 2 } else { 4 };
            let shown = format!("{number:.decimals$}");
            let is_nothing = shown.trim_start_matches(['-', '0', '.']).is_empty();
            out.push_str(if is_nothing { shown.trim_start_matches('-') } else { &shown });
        }
        (Value::Decimal(units, scale), _) => write_decimal(units, scale, 2, out),
        (exact, _) => exact.write(out),
    }
}

/// An enumerated value as a label: `in_process` and `IN_PROCESS` as `In process`, `In Flow`
/// unchanged.
fn spelt(word: &str) -> String {
    let is_shouted = !word.contains(|c: char| c.is_lowercase());
    let mut spelt = if is_shouted { word.to_lowercase() } else { word.to_owned() };
    spelt = spelt.replace(['_', '-'], " ").replace("whatsapp", "WhatsApp");
    let first = spelt.chars().next().map(char::len_utf8).unwrap_or_default();
    spelt.get(..first).map(str::to_uppercase).unwrap_or_default() + &spelt[first..]
}

/// Spells out control characters, line ends, changes of direction and characters without width.
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

/// Like [`visible`], for a text whose line ends are layout.
///
/// ```
/// use wabalake::render::visible_lines;
/// assert_eq!(visible_lines("a\n  b\r\u{1b}[31m\n"), "a\n  b\\r\\u{1b}[31m\n");
/// ```
pub fn visible_lines(text: &str) -> Cow<'_, str> {
    let disturbs = |c: char| c != '\n' && disturbs(c);
    if !text.contains(disturbs) {
        return text.into();
    }
    text.split('\n').map(visible).collect::<Vec<_>>().join("\n").into()
}

/// Returns `true` for a character that moves the cursor, ends the line, changes the direction or is
/// invisible. Joiners are part of words and emoji.
fn disturbs(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{200b}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{2064}'
                | '\u{2066}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(column: OutputColumn, value: Value<'_>) -> String {
        let mut out = String::new();
        write_shown(Meaning::of(&column), &column, value, &mut out);
        out
    }

    #[test]
    fn code_beside_its_name_stays_a_code() {
        let columns = [OutputColumn::country("country"), OutputColumn::term("country_name")];
        assert_eq!(Meaning::within(&columns[0], &columns), Meaning::Plain);
        assert_eq!(Meaning::within(&columns[0], &columns[..1]), Meaning::Country);
    }

    #[test]
    fn rates_have_two_decimals_and_no_negative_zero() {
        let pct = |number| shown(OutputColumn::pct("p"), Value::Float(number));
        assert_eq!(pct(100.0 / 3.0), "33.33");
        assert_eq!(pct(3_600.0), "3600.00");
        assert_eq!(pct(-0.001), "0.00");
        assert_eq!(pct(-0.25), "-0.25");
    }

    #[test]
    fn durations_have_their_two_largest_units() {
        assert_eq!(shown(OutputColumn::seconds("s"), Value::Float(7_500.0)), "2h 05m");
        assert_eq!(shown(OutputColumn::minutes("m"), Value::Float(125.0)), "2h 05m");
    }

    #[test]
    fn codes_are_shown_as_labels() {
        for (column, value, text) in [
            ("country", "CO", "Colombia"),
            ("country", "US", "United States"),
            ("country", "Atlantis", "Atlantis"),
            ("conversation_stage", "In Flow", "In Flow"),
            ("state", "blocked_or_outdated", "Blocked or outdated"),
            ("session_status", "AGENTS", "Agents"),
            ("channel", "whatsapp-link", "WhatsApp link"),
            ("pricing_type", "FREE_ENTRY_POINT", "Free entry point"),
            ("closing_reason", "", ""),
            ("conversation_id", "CO", "CO"),
            ("tag", "night_owl", "night_owl"),
        ] {
            let named = OutputColumn::text(column).as_named();
            assert_eq!(shown(named, Value::Text(value)), text, "{column}");
        }
    }

    #[test]
    fn money_has_at_least_two_decimals() {
        let shown = |units| shown(OutputColumn::money("spend"), Value::Decimal(units, 6));
        assert_eq!(shown(12_500_000), "12.50");
        assert_eq!(shown(-1), "-0.000001");
        assert_eq!(shown(0), "0.00");
    }
}
