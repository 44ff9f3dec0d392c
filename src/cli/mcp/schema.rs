//! The JSON Schemas of tools' parameters, made from the options of queries.

use std::any::TypeId;
use std::sync::Arc;

use chrono::NaiveDate;
use chrono_tz::Tz;
use clap::{Arg, ArgAction};
use rmcp::model::JsonObject;
use serde_json::{Value, json};
use wabalake_queries::query::{CatalogEntry, filters};

use super::tools::{options, parameter};
use crate::config::McpSettings;

/// The JSON Schema of a tool's parameters.
pub(super) fn schema(properties: JsonObject, required: &[String]) -> Arc<JsonObject> {
    let mut schema = JsonObject::from_iter([
        ("type".to_owned(), json!("object")),
        ("properties".to_owned(), Value::Object(properties)),
        ("additionalProperties".to_owned(), json!(false)),
    ]);
    if !required.is_empty() {
        schema.insert("required".to_owned(), json!(required));
    }
    Arc::new(schema)
}

/// The schema of a query's options.
pub(super) fn schema_of(entry: &CatalogEntry, settings: McpSettings, zone: Tz) -> Arc<JsonObject> {
    let command = entry.command();
    let mut properties = JsonObject::new();
    let mut required = Vec::new();
    for option in options(&command, settings) {
        let name = parameter(option);
        if option.is_required_set() {
            required.push(name.clone());
        }
        properties.insert(name, schema_of_option(option, zone));
    }
    schema(properties, &required)
}

/// The JSON type of one value of an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum JsonType {
    Boolean,
    Integer,
    Number,
    Date,
    Text,
}

impl JsonType {
    fn of(option: &Arg) -> Self {
        let of_value = option.get_value_parser().type_id();
        let is_one_of = |types: &[TypeId]| types.iter().any(|id| of_value == *id);
        if is_switch(option) || words(option) == ["true", "false"] {
            Self::Boolean
        } else if is_one_of(&[
            TypeId::of::<i32>(),
            TypeId::of::<i64>(),
            TypeId::of::<u32>(),
            TypeId::of::<u64>(),
        ]) {
            Self::Integer
        } else if is_one_of(&[TypeId::of::<f64>()]) {
            Self::Number
        } else if is_one_of(&[TypeId::of::<NaiveDate>()]) {
            Self::Date
        } else {
            Self::Text
        }
    }

    fn schema(self) -> JsonObject {
        let (of, format) = match self {
            Self::Boolean => ("boolean", None),
            Self::Integer => ("integer", None),
            Self::Number => ("number", None),
            Self::Date => ("string", Some("date")),
            Self::Text => ("string", None),
        };
        let of = ("type".to_owned(), json!(of));
        let format = format.map(|format| ("format".to_owned(), json!(format)));
        [of].into_iter().chain(format).collect()
    }

    /// A default as JSON.
    fn value(self, text: &str) -> Value {
        let parsed = match self {
            Self::Boolean => text.parse().ok().map(Value::Bool),
            Self::Integer => text.parse::<i64>().ok().map(Value::from),
            Self::Number => text.parse::<f64>().ok().map(Value::from),
            Self::Date | Self::Text => None,
        };
        parsed.unwrap_or_else(|| json!(text))
    }
}

/// The words that an option takes, if they are listed.
fn words(option: &Arg) -> Vec<String> {
    let mut words: Vec<String> = option
        .get_possible_values()
        .iter()
        .filter(|word| !word.is_hide_set())
        .map(|word| word.get_name().to_owned())
        .collect();
    if !words.is_empty() && option.get_help_heading() == Some(filters::HEADING) {
        words.push("none".to_owned());
    }
    words
}

pub(super) fn is_list(option: &Arg) -> bool {
    matches!(option.get_action(), ArgAction::Append)
}

pub(super) fn is_switch(option: &Arg) -> bool {
    matches!(option.get_action(), ArgAction::SetTrue)
}

fn schema_of_option(option: &Arg, zone: Tz) -> Value {
    let of = JsonType::of(option);
    let mut schema = of.schema();
    let words = words(option);
    if of == JsonType::Text && !words.is_empty() {
        schema.insert("enum".to_owned(), json!(words));
    }
    if is_list(option) {
        schema = JsonObject::from_iter([
            ("type".to_owned(), json!("array")),
            ("items".to_owned(), Value::Object(schema)),
        ]);
    }
    if let Some(help) = option.get_help() {
        // A list of the protocol needs no commas.
        let help = help.to_string().replace(", separated by commas", "");
        schema.insert("description".to_owned(), json!(help));
    }
    let default: Vec<_> =
        option.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    let default = match option.get_long() {
        Some("timezone") => Some(zone.name().to_owned()),
        _ => Some(default.join(",")).filter(|_| !default.is_empty() && !is_switch(option)),
    };
    if let Some(default) = default {
        let default = match is_list(option) {
            true => default.split(',').map(|value| of.value(value)).collect(),
            false => of.value(&default),
        };
        schema.insert("default".to_owned(), default);
    }
    Value::Object(schema)
}

#[cfg(test)]
mod tests {
    use super::super::tools;
    use super::*;

    const NOBODY: McpSettings =
        McpSettings { rows: None, seconds: None, sql: false, people: false };
    const ANYBODY: McpSettings = McpSettings { sql: true, people: true, ..NOBODY };

    fn tool(name: &str, settings: McpSettings) -> Value {
        let tools = tools::all(settings, Tz::America__Bogota);
        let tool = tools.into_iter().find(|tool| tool.name == name);
        tool.map(|tool| serde_json::to_value(tool).unwrap()).unwrap_or_default()
    }

    #[test]
    fn every_schema_is_an_object_of_described_parameters() {
        for tool in tools::all(ANYBODY, Tz::UTC) {
            let schema = &tool.input_schema;
            assert_eq!(schema["type"], "object", "{}", tool.name);
            assert_eq!(schema["additionalProperties"], false, "{}", tool.name);
            for (name, property) in schema["properties"].as_object().unwrap() {
                assert!(property["description"].is_string(), "{}: {name}", tool.name);
                assert!(property["type"].is_string(), "{}: {name}", tool.name);
                assert!(!name.contains('-'), "{}: {name}", tool.name);
            }
        }
    }

    #[test]
    fn schema_tells_types_words_and_defaults() {
        let of = |name: &str, parameter: &str| {
            tool(name, NOBODY)["inputSchema"]["properties"][parameter].clone()
        };
        assert_eq!(
            of("return_rate", "days"),
            json!({
                "type": "array",
                "items": { "type": "integer" },
                "description": "Days N after the first visit, from 1 on",
                "default": [1, 7, 30],
            })
        );
        assert_eq!(
            of("drop_off", "session_type"),
            json!({
                "type": "array",
                "items": { "type": "string", "enum": ["Outbound", "Inbound", "none"] },
                "description": "Only sessions of these types (Outbound, Inbound) [default: all]",
            })
        );
        assert_eq!(of("drop_off", "linear")["type"], "boolean");
        assert_eq!(of("drop_off", "timezone")["default"], "America/Bogota");
        assert_eq!(of("drop_off", "from")["format"], "date");
        assert_eq!(of("session_duration", "by")["default"], json!(["day"]));
        assert_eq!(of("analytics", "use_waba_timezone")["type"], "boolean");
        assert_eq!(of("analytics", "use_waba_timezone")["default"], true);
        assert_eq!(of("return_rate", "mode")["enum"], json!(["on", "within", "on-or-after"]));
        let lift = tool("holdout_lift", NOBODY);
        assert_eq!(lift["inputSchema"]["required"], json!(["treated", "control"]));
        let people =
            |settings| tool("delivery_rate", settings)["inputSchema"]["properties"].clone();
        for parameter in ["people", "cell", "in", "out"] {
            assert!(people(NOBODY)[parameter].is_null(), "{parameter}");
            assert!(people(ANYBODY)[parameter].is_object(), "{parameter}");
        }
        assert!(people(ANYBODY)["with_people"].is_null());
    }
}
