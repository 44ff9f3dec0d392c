//! The tools that an assistant may call: one for each query, made from its spec and its options.
//!
//! ```text
//! drop-off --by country,week --linear      {"by": ["country", "week"], "linear": true}
//! delivery-rate --conversation-id 417      {"conversation_id": ["417"]}
//! ```

use chrono_tz::Tz;
use clap::{Arg, Command};
use rmcp::model::{JsonObject, Tool, ToolAnnotations};
use serde_json::{Value, json};
use wabalake_data::words::{listed, suggestion_and};
use wabalake_queries::CATALOG;
use wabalake_queries::query::{CatalogEntry, behind};

use super::schema::{is_list, is_switch, schema, schema_of};
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
pub(super) fn options(command: &Command, settings: McpSettings) -> impl Iterator<Item = &Arg> {
    command.get_arguments().filter(move |option| {
        let names_people = option.get_help_heading() == Some(behind::HEADING);
        // Who may be named is a setting, not a parameter.
        option.get_long().is_some_and(|long| long != "with-people")
            && (settings.people || !names_people)
    })
}

/// The name of an option as a parameter, which is as in the settings of a mart.
pub(super) fn parameter(option: &Arg) -> String {
    option.get_long().unwrap_or_default().replace('-', "_")
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
