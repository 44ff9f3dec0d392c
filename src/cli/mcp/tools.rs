//! The tools that an assistant may call: one for each query, made from its spec and its options.
//!
//! ```text
//! drop-off --by country,week --linear      {"by": ["country", "week"], "linear": true}
//! delivery-rate --conversation-id 417      {"conversation_id": ["417"]}
//! ```

use std::any::TypeId;
use std::sync::Arc;

use chrono::NaiveDate;
use chrono_tz::Tz;
use clap::{Arg, ArgAction, Command};
use rmcp::model::{JsonObject, Tool, ToolAnnotations};
use serde_json::{Value, json};
use wabalake_data::words::{listed, suggestion_and};
use wabalake_queries::CATALOG;
use wabalake_queries::query::{CatalogEntry, behind, filters};

use crate::cli::usage::shown;
use crate::config::McpSettings;
use crate::error::{Error, Result};

/// What a tool does.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// Answers a query of the catalog.
    Query(&'static CatalogEntry),
    /// Lists the tables.
    Tables,
    /// Answers a SELECT.
    Sql,
}

/// The parameter of [`Kind::Sql`].
const SELECT: &str = "query";

const ABOUT_TABLES: &str = "Which tables are there? One row per table, also an empty one: its columns, its \
                            rows, the UTC days with rows, and the first and the last of them.";

const ABOUT_SQL: &str = "Answers one SELECT of yours over the tables that `tables` lists, with or without a \
                         WITH, in Polars SQL. Timestamps are in the reporting time zone: in CAST(… AS DATE), \
                         EXTRACT(HOUR FROM …), STRFTIME(…, '%H:%M'), DATE_TRUNC('day', …), and in literals \
                         such as '2025-06-01' that a timestamp is compared with. Without an ORDER BY the \
                         order of rows is undefined. A query of the catalog is better where there is one: \
                         it knows which rows count.";

const OF_NOBODY: &str = " Columns that tell who a person is, or what they wrote, are refused: count people \
                         with COUNT(DISTINCT user_phone).";

impl Kind {
    /// The kind of a tool.
    pub(super) fn of(tool: &str) -> Option<Self> {
        match tool {
            "tables" => Some(Self::Tables),
            "sql" => Some(Self::Sql),
            query => CATALOG.iter().find(|entry| entry.spec.folder() == query).map(Self::Query),
        }
    }

    /// Checks that the settings allow it.
    ///
    /// # Errors
    /// SQL that is not allowed; a query about one person whom no answer may name.
    pub(super) fn check(self, settings: McpSettings) -> Result<()> {
        match self {
            Self::Sql if !settings.sql => Err(Error::usage("the tool `sql` is not allowed")
                .hint("the lake's owner can allow it: sql = true, in [mcp] of wabalake.toml")),
            Self::Query(entry) if !settings.people && is_about_a_person(entry) => {
                Err(tells_of_people(&entry.spec.folder()))
            }
            _ => Ok(()),
        }
    }

    fn tool(self, settings: McpSettings, zone: Tz) -> Tool {
        let no_parameters = || schema(JsonObject::new(), &[]);
        let tool = match self {
            Self::Query(entry) => {
                let schema = schema_of(entry, settings, zone);
                Tool::new(entry.spec.folder(), entry.spec.question, schema)
                    .with_title(entry.spec.title)
            }
            Self::Tables => Tool::new("tables", ABOUT_TABLES, no_parameters())
                .with_title("The tables of the lake"),
            Self::Sql => {
                let about = if settings.people { "" } else { OF_NOBODY };
                let select = json!({ "type": "string", "description": "The SELECT" });
                let properties = JsonObject::from_iter([(SELECT.to_owned(), select)]);
                Tool::new(
                    "sql",
                    format!("{ABOUT_SQL}{about}"),
                    schema(properties, &[SELECT.to_owned()]),
                )
                .with_title("Your own SQL")
            }
        };
        let reads = ToolAnnotations::new().read_only(true).destructive(false);
        tool.with_annotations(reads.idempotent(true).open_world(false))
    }
}

/// The tools that the settings allow, the queries in the order of the catalog.
pub(super) fn all(settings: McpSettings, zone: Tz) -> Vec<Tool> {
    let queries = CATALOG.iter().map(Kind::Query);
    let kinds = queries.chain([Kind::Tables, Kind::Sql]);
    let allowed = kinds.filter(|kind| kind.check(settings).is_ok());
    allowed.map(|kind| kind.tool(settings, zone)).collect()
}

/// Returns `true` for a query that needs the number of a person.
fn is_about_a_person(entry: &CatalogEntry) -> bool {
    let command = entry.command();
    command.get_arguments().any(|option| option.get_id() == "phone" && option.is_required_set())
}

/// The error of a tool or a parameter that would name people.
fn tells_of_people(name: &str) -> Error {
    Error::usage(format!("`{name}` names people"))
        .hint("the lake's owner can allow it: people = true, in [mcp] of wabalake.toml")
}

/// The options of a query that are parameters of its tool.
fn options(command: &Command, settings: McpSettings) -> impl Iterator<Item = &Arg> {
    command.get_arguments().filter(move |option| {
        let names_people = option.get_help_heading() == Some(behind::HEADING);
        // Who may be named is a setting, not a parameter.
        option.get_long().is_some_and(|long| long != "with-people")
            && (settings.people || !names_people)
    })
}

/// The name of an option as a parameter, which is as in the settings of a mart.
fn parameter(option: &Arg) -> String {
    option.get_long().unwrap_or_default().replace('-', "_")
}

/// The JSON Schema of a tool's parameters.
fn schema(properties: JsonObject, required: &[String]) -> Arc<JsonObject> {
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

fn schema_of(entry: &CatalogEntry, settings: McpSettings, zone: Tz) -> Arc<JsonObject> {
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

fn is_list(option: &Arg) -> bool {
    matches!(option.get_action(), ArgAction::Append)
}

fn is_switch(option: &Arg) -> bool {
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

/// Converts the arguments of a call to those of a command line.
///
/// # Errors
/// An unknown or missing parameter, or a value of the wrong type.
pub(super) fn arguments(
    entry: &CatalogEntry,
    given: &JsonObject,
    settings: McpSettings,
) -> Result<Vec<String>> {
    let command = entry.command();
    let tool = entry.spec.folder();
    let taken: Vec<&Arg> = options(&command, settings).collect();
    let names: Vec<String> = taken.iter().map(|option| parameter(option)).collect();
    let mut arguments = Vec::new();
    for (name, value) in given {
        let Some(place) = names.iter().position(|known| known == name) else {
            let mut all = command.get_arguments();
            let is_withheld = !settings.people && all.any(|option| parameter(option) == *name);
            return Err(match is_withheld {
                true => tells_of_people(name),
                false => unknown(&tool, name, &names),
            });
        };
        arguments.extend(given_to(taken[place], name, value)?);
    }
    let is_given = |name: &str| given.get(name).is_some_and(|value| !value.is_null());
    let is_missing = |option: &&&Arg| option.is_required_set() && !is_given(&parameter(option));
    match taken.iter().find(is_missing) {
        Some(option) => {
            let help = option.get_help().map(ToString::to_string).unwrap_or_default();
            Err(Error::usage(format!("`{}` is missing", parameter(option))).hint(help))
        }
        None => Ok(arguments),
    }
}

/// The SELECT of a call of [`Kind::Sql`].
///
/// # Errors
/// As [`arguments`].
pub(super) fn select(given: &JsonObject) -> Result<&str> {
    check_names("sql", given, &[SELECT.to_owned()])?;
    given.get(SELECT).and_then(Value::as_str).ok_or_else(|| {
        Error::usage(format!("`{SELECT}` is missing")).hint(
            "it is a text, such as: SELECT country, COUNT(*) AS n FROM sessions GROUP BY country",
        )
    })
}

/// Checks that a tool takes the names of all arguments.
pub(super) fn check_names(tool: &str, given: &JsonObject, names: &[String]) -> Result<()> {
    match given.keys().find(|name| !names.contains(name)) {
        Some(name) => Err(unknown(tool, name, names)),
        None => Ok(()),
    }
}

fn unknown(tool: &str, name: &str, names: &[String]) -> Error {
    let all = match names {
        [] => "it takes none".to_owned(),
        names => format!("it takes {}", listed(names)),
    };
    Error::usage(format!("`{tool}` has no parameter `{}`", shown(name))).hint(suggestion_and(
        name,
        names.iter().map(String::as_str),
        &all,
    ))
}

/// The arguments of a command line that give a value to an option: none for null.
fn given_to(option: &Arg, name: &str, value: &Value) -> Result<Vec<String>> {
    let long = option.get_long().unwrap_or_default();
    let with_value = |value: &Value| match value {
        Value::String(text) => Ok(format!("--{long}={text}")),
        Value::Number(_) | Value::Bool(_) => Ok(format!("--{long}={value}")),
        Value::Null | Value::Array(_) | Value::Object(_) => {
            Err(Error::usage(format!("`{name}` has a value of the wrong type"))
                .hint("its schema tells the type"))
        }
    };
    match value {
        Value::Null => Ok(Vec::new()),
        Value::Bool(on) if is_switch(option) => {
            Ok(if *on { vec![format!("--{long}")] } else { Vec::new() })
        }
        _ if is_switch(option) => Err(Error::usage(format!("`{name}` is neither true nor false"))
            .hint("write it without quotes")),
        Value::Array(values) if is_list(option) => values.iter().map(with_value).collect(),
        one => Ok(vec![with_value(one)?]),
    }
}

/// Renames options in an error to the parameters that stand for them.
pub(super) fn in_parameters(entry: &CatalogEntry, error: &Error) -> Error {
    let command = entry.command();
    let mut longs: Vec<&str> = command.get_arguments().filter_map(Arg::get_long).collect();
    // `--conversation` is the beginning of `--conversation-id`.
    longs.sort_unstable_by_key(|long| std::cmp::Reverse(long.len()));
    let renamed = |text: &str| {
        longs.iter().fold(text.to_owned(), |text, long| {
            text.replace(&format!("--{long}"), &long.replace('-', "_"))
        })
    };
    let details = error.details();
    let error = Error::usage(renamed(&details.what));
    // The schema stands for the help of the command line.
    match details.hint.as_ref().filter(|hint| !hint.contains("--help")) {
        Some(hint) => error.hint(renamed(hint)),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOBODY: McpSettings =
        McpSettings { rows: None, seconds: None, sql: false, people: false };
    const ANYBODY: McpSettings = McpSettings { sql: true, people: true, ..NOBODY };

    fn tool(name: &str, settings: McpSettings) -> Value {
        let tools = all(settings, Tz::America__Bogota);
        let tool = tools.into_iter().find(|tool| tool.name == name);
        tool.map(|tool| serde_json::to_value(tool).unwrap()).unwrap_or_default()
    }

    fn entry(name: &str) -> &'static CatalogEntry {
        CATALOG.iter().find(|entry| entry.spec.name == name).unwrap()
    }

    fn called(name: &str, given: Value, settings: McpSettings) -> Result<Vec<String>, String> {
        let Value::Object(given) = given else { panic!("no object") };
        arguments(entry(name), &given, settings).map_err(|error| error.lines())
    }

    #[test]
    fn there_is_a_tool_for_each_query_and_the_settings_allow_the_others() {
        let names = |settings| {
            let tools = all(settings, Tz::UTC).into_iter().map(|tool| tool.name.into_owned());
            tools.collect::<Vec<_>>()
        };
        let queries: Vec<String> = CATALOG.iter().map(|entry| entry.spec.folder()).collect();
        let [tables, sql] = ["tables", "sql"].map(str::to_owned);
        assert_eq!(names(ANYBODY), [queries.clone(), vec![tables.clone(), sql]].concat());
        let mut of_nobody = queries;
        of_nobody.retain(|name| name != "user_history");
        of_nobody.push(tables);
        assert_eq!(names(NOBODY), of_nobody);
        assert!(Kind::of("drop-off").is_none() && Kind::of("drop_off").is_some());
    }

    #[test]
    fn every_schema_is_an_object_of_described_parameters() {
        for tool in all(ANYBODY, Tz::UTC) {
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
        let required = &tool("holdout_lift", NOBODY)["inputSchema"]["required"];
        assert_eq!(required, &json!(["treated", "control"]));
        let people =
            |settings| tool("delivery_rate", settings)["inputSchema"]["properties"].clone();
        for parameter in ["people", "cell", "in", "out"] {
            assert!(people(NOBODY)[parameter].is_null(), "{parameter}");
            assert!(people(ANYBODY)[parameter].is_object(), "{parameter}");
        }
        assert!(people(ANYBODY)["with_people"].is_null());
    }

    #[test]
    fn arguments_are_those_of_a_command_line() {
        for (name, given, expected) in [
            ("drop-off", json!({}), vec![]),
            ("drop-off", json!({ "by": null, "linear": false }), vec![]),
            (
                "drop-off",
                json!({ "conversation_id": ["417", 41], "linear": true, "from": "2025-06-01" }),
                vec![
                    "--conversation-id=417",
                    "--conversation-id=41",
                    "--linear",
                    "--from=2025-06-01",
                ],
            ),
            ("drop-off", json!({ "by": "country,week" }), vec!["--by=country,week"]),
            ("return-rate", json!({ "days": [1, 30] }), vec!["--days=1", "--days=30"]),
            ("analytics", json!({ "use_waba_timezone": false }), vec!["--use-waba-timezone=false"]),
        ] {
            assert_eq!(called(name, given, NOBODY).unwrap(), expected);
        }
    }

    #[test]
    fn wrong_arguments_are_refused_with_a_hint() {
        for (name, given, expected) in [
            (
                "drop-off",
                json!({ "form": "2025-06-01" }),
                "error: `drop_off` has no parameter `form`\n  hint: did you mean `from`? it takes ",
            ),
            (
                "drop-off",
                json!({ "linear": "yes" }),
                "error: `linear` is neither true nor false\n  hint: write it without quotes",
            ),
            (
                "drop-off",
                json!({ "from": ["2025-06-01"] }),
                "error: `from` has a value of the wrong type\n  hint: its schema tells the type",
            ),
            (
                "holdout-lift",
                json!({ "treated": "a", "control": null }),
                "error: `control` is missing\n  hint: ",
            ),
            (
                "delivery-rate",
                json!({ "people": true }),
                "error: `people` names people\n  hint: the lake's owner can allow it",
            ),
        ] {
            let lines = called(name, given, NOBODY).unwrap_err();
            assert!(lines.starts_with(expected), "{lines}");
        }
        assert_eq!(
            called("delivery-rate", json!({ "people": true }), ANYBODY).unwrap(),
            ["--people"]
        );
    }

    #[test]
    fn errors_name_parameters() {
        let error = Error::usage("`--conversation-id` cannot be used with `--from`")
            .hint("leave out `--conversation-id`");
        assert_eq!(
            in_parameters(entry("drop-off"), &error).lines(),
            "error: `conversation_id` cannot be used with `from`\n  hint: leave out `conversation_id`"
        );
    }
}
