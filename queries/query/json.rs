//! JSON string literals.
//!
//! ```text
//! city       "city"
//! a"b\c⏎     "a\"b\\c\n"
//! null       null
//! ```

use std::fmt::Write;

use polars::prelude::{Column, Expr, IntoColumn, PolarsResult, StringChunked, lit};

/// A column of texts as JSON strings; a null becomes the text `null`.
pub fn json_text(text: Expr) -> Expr {
    let quoted = |texts: Column| -> PolarsResult<Column> {
        let quoted: StringChunked = texts.str()?.iter().map(|text| text.map(quoted)).collect();
        Ok(quoted.with_name(texts.name().clone()).into_column())
    };
    text.map(quoted, |_, field| Ok(field.clone())).fill_null(lit("null"))
}

/// A text as a JSON string, with quotes.
///
/// ```
/// use wabalake_queries::query::json::quoted;
/// assert_eq!(quoted("it's ñ 🌱 /"), "\"it's ñ 🌱 /\"");
/// assert_eq!(quoted("a\"b\\c\n\u{1}"), r#""a\"b\\c\n\u0001""#);
/// ```
pub fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match SHORT.iter().find(|(special, _)| *special == c) {
            Some((_, short)) => quoted.extend(['\\', *short]),
            // Writing to a String does not fail.
            None if c < ' ' => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(c));
            }
            None => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// Characters that are escaped by a backslash and a letter. The backslash must come first.
const SHORT: [(char, char); 7] = [
    ('\\', '\\'),
    ('"', '"'),
    ('\u{8}', 'b'),
    ('\t', 't'),
    ('\n', 'n'),
    ('\u{c}', 'f'),
    ('\r', 'r'),
];

/// [`json_text`] in the SQL of the twins. Their engines have no text with a zero byte.
pub fn json_text_sql(column: &str) -> String {
    let replaced = |text: String, special: char, by: &str| {
        format!("replace({text}, chr({}), concat(chr(92), '{by}'))", u32::from(special))
    };
    let short = SHORT.iter().fold(column.to_owned(), |text, (special, letter)| match letter {
        '\\' => format!("replace({text}, chr(92), concat(chr(92), chr(92)))"),
        letter => replaced(text, *special, &letter.to_string()),
    });
    let rare = ('\u{1}'..' ').filter(|c| SHORT.iter().all(|(special, _)| special != c));
    let all = rare.fold(short, |text, c| replaced(text, c, &format!("u{:04x}", u32::from(c))));
    format!("coalesce(concat('\"', {all}, '\"'), 'null')")
}
