//! JSON paths, values as cells, and the wrappers that programs put around records and responses.

use serde_json::Value;
use wabalake_data::cells::number::float_text;

/// Keys under which collectors, dashboards and clients wrap a record or a response.
pub(super) const WRAPPERS: [&str; 6] = ["data", "json", "body", "payload", "result", "results"];

/// The deepest nesting of wrappers.
pub(super) const WRAPPED: usize = 3;

/// Returns `true` if a key is one of [`WRAPPERS`].
pub(super) fn is_wrapper(key: &str) -> bool {
    WRAPPERS.iter().any(|wrapper| wrapper.eq_ignore_ascii_case(key))
}

/// The hint for JSON that has no known key.
pub(super) fn where_records_are() -> String {
    let wrappers = WRAPPERS.join(", ");
    format!(
        "put the objects at the top level, or within at most {WRAPPED} nested keys of {wrappers}"
    )
}

/// Returns `true` if a text may itself be JSON: some programs store what they received as a string.
pub(super) fn is_json(text: &str) -> bool {
    text.trim_start().starts_with(['{', '['])
}

/// Calls `take` for each leaf of a value, with its path; a null has no value.
pub(super) fn flatten(value: &Value, path: &str, take: &mut dyn FnMut(&str, Option<&Value>)) {
    match value {
        Value::Null => take(path, None),
        Value::Object(inner) => {
            inner.iter().for_each(|(name, value)| flatten(value, &joined(path, name), take));
        }
        value => take(path, Some(value)),
    }
}

/// Joins a path and a key.
pub(super) fn joined(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// Returns a value as the text of a cell; `None` for an object or a list of objects.
pub(super) fn text_of(value: &Value) -> Option<String> {
    Some(match value {
        Value::Null => String::new(),
        Value::Bool(yes) => yes.to_string(),
        Value::String(text) => text.clone(),
        Value::Number(number) => match number.as_f64().filter(|_| number.is_f64()) {
            Some(float) => float_text(float),
            None => number.to_string(),
        },
        Value::Array(values) => {
            let texts: Option<Vec<String>> = values.iter().map(text_of).collect();
            texts?.join(",")
        }
        Value::Object(_) => return None,
    })
}

/// Returns `true` if a key may wrap a record.
pub(super) fn is_envelope(key: &str) -> bool {
    is_wrapper(key) || key.eq_ignore_ascii_case("event")
}

/// Yields a path, and the rest of it after each leading wrapper.
pub(super) fn unwrapped<'w>(path: &'w str) -> impl Iterator<Item = &'w str> {
    let inner = |path: &&'w str| {
        let (first, rest) = path.split_once('.')?;
        is_envelope(first).then_some(rest)
    };
    std::iter::successors(Some(path), inner).take(1 + WRAPPED)
}

/// The message of a JSON error, without the position, which is relative to the object, and without
/// what was found.
pub(super) fn without_place(fault: &serde_json::Error) -> String {
    let said = fault.to_string();
    let place = format!(" at line {} column {}", fault.line(), fault.column());
    let said = said.strip_suffix(&place).unwrap_or(&said);
    // What was found instead may be content.
    match (said.rfind(", expected "), said.strip_prefix("EOF while parsing ")) {
        (Some(at), _) if fault.is_data() => said[at + 2..].to_owned(),
        (_, Some(unfinished)) => format!("it ends within {unfinished}"),
        _ => said.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaves_are_named_by_their_path() {
        let object: Value = serde_json::from_str(
            r#"{"a":{"b":120226305854810726,"c":[1,"x"]},"d":null,"e":[{"f":1}],"g":15.580000000000002}"#,
        )
        .unwrap();
        let mut found = Vec::new();
        flatten(&object, "", &mut |path, value| {
            let text = value.map(|value| text_of(value).unwrap_or_default());
            found.push(format!("{path}={text:?}"));
        });
        let expected = [
            "a.b=Some(\"120226305854810726\")",
            "a.c=Some(\"1,x\")",
            "d=None",
            "e=Some(\"\")",
            "g=Some(\"15.58\")",
        ];
        assert_eq!(found, expected);
    }
}
