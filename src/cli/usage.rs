//! Turns errors of clap into errors of wabalake.
//!
//! ```text
//! error: no query `drop-of`
//!   hint: did you mean `drop-off`? `wabalake queries` lists them
//! ```
//!
//! Clap knows what is wrong, and often what was meant ([`ContextKind`]). What it does not know is
//! added here: the names of queries, how to name a lake, and that a phone number is not repeated.

use std::borrow::Cow;
use std::error::Error as _;
use std::ffi::OsString;
use std::num::{IntErrorKind, ParseIntError};

use clap::error::{ContextKind, ContextValue, ErrorKind};
use wabalake_data::Invalid;
use wabalake_data::words::{did_you_mean, listed, suggestion_and};
use wabalake_queries::CATALOG;
use wabalake_queries::query::CatalogEntry;
use wabalake_queries::query::usage::invalid_of;

use super::{SUBCOMMANDS, entries, sql};
use crate::error::Error;

/// Converts an error about the arguments of the process, the program's name first.
pub(super) fn error(error: &clap::Error, arguments: &[OsString]) -> Error {
    let path = path(arguments);
    let see_help = format!("see `{path} --help`");
    match error.kind() {
        ErrorKind::InvalidSubcommand => unknown_name(error, &path),
        ErrorKind::MissingSubcommand => missing_name(&path, &see_help),
        ErrorKind::UnknownArgument => unknown_argument(error, &path, &see_help),
        ErrorKind::InvalidValue => not_a_possible_value(error, &see_help),
        ErrorKind::ValueValidation => invalid_value(error),
        ErrorKind::MissingRequiredArgument => missing_argument(error, &see_help),
        ErrorKind::ArgumentConflict => conflict(error),
        ErrorKind::InvalidUtf8 => Error::usage("an argument is not valid UTF-8"),
        _ => Error::usage(first_line(error)).hint(see_help),
    }
}

/// Returns the subcommands that the arguments name, such as `wabalake query drop-off`.
fn path(arguments: &[OsString]) -> String {
    let mut names = arguments.iter().skip(1).map_while(|argument| argument.to_str());
    let first = names.next().filter(|name| SUBCOMMANDS.iter().any(|known| known.name == *name));
    let is_nested = |name: &&str| entries::entry(name).is_some() || sql::is_nested(name);
    let second =
        first.filter(|name| takes_a_query(name)).and_then(|_| names.next().filter(is_nested));
    ["wabalake"].into_iter().chain(first).chain(second).collect::<Vec<_>>().join(" ")
}

/// Returns `true` if the last subcommand of a path takes the name of a query.
fn takes_a_query(path: &str) -> bool {
    matches!(path.rsplit(' ').next(), Some("query" | "queries" | "explain" | "compare"))
}

fn unknown_name(error: &clap::Error, path: &str) -> Error {
    let name = text(error, ContextKind::InvalidSubcommand);
    let (what, hint) = match takes_a_query(path) {
        true => {
            let names = CATALOG.iter().map(|entry| entry.spec.name);
            ("query", suggestion_and(&name, names, "`wabalake queries` lists them"))
        }
        false => {
            let names = SUBCOMMANDS.iter().map(|subcommand| subcommand.name);
            ("command", suggestion_and(&name, names, "`wabalake --help` lists them"))
        }
    };
    Error::usage(format!("no {what} `{}`", shown(&name))).hint(hint)
}

fn missing_name(path: &str, see_help: &str) -> Error {
    match takes_a_query(path) {
        true => Error::usage(format!("`{path}` needs the name of a query"))
            .hint("`wabalake queries` lists them"),
        false => Error::usage(format!("`{path}` needs a command")).hint(see_help),
    }
}

fn unknown_argument(error: &clap::Error, path: &str, see_help: &str) -> Error {
    let argument = text(error, ContextKind::InvalidArg);
    if !argument.starts_with('-') {
        return Error::usage(format!("`{path}` takes no argument `{}`", shown(&argument)))
            .hint(see_help);
    }
    let near = error.get(ContextKind::SuggestedArg);
    let hint = match (options_instead(&argument, path), near) {
        _ if argument.chars().nth(1).is_some_and(|c| c.is_ascii_digit()) => {
            "to pass a value that begins with `-`, write `=`, as in `--option=-1`".to_owned()
        }
        (Some(options), _) => options,
        (None, Some(ContextValue::String(near))) => did_you_mean(format_args!("`{near}`")),
        _ => see_help.to_owned(),
    };
    Error::usage(format!("`{path}` has no option `{}`", shown(&argument))).hint(hint)
}

/// What a query takes, if it was given an option that other queries have.
fn options_instead(argument: &str, path: &str) -> Option<String> {
    let longs = |entry: &CatalogEntry| -> Vec<String> {
        let command = entry.command();
        let longs = command.get_arguments().filter_map(|argument| argument.get_long());
        longs.map(|long| format!("--{long}")).collect()
    };
    let asked = entries::entry(path.rsplit(' ').next()?)?;
    let is_of_others = CATALOG.iter().any(|entry| longs(entry).iter().any(|long| long == argument));
    is_of_others.then(|| format!("it takes {}", listed(&longs(asked))))
}

fn not_a_possible_value(error: &clap::Error, see_help: &str) -> Error {
    let option = option(error);
    let value = text(error, ContextKind::InvalidValue);
    if value.is_empty() {
        return Error::usage(format!("{option} has no value")).hint(see_help);
    }
    let values = strings(error, ContextKind::ValidValue);
    let all = format!("it takes {}", those(&values));
    let hint = suggestion_and(&value, values.iter().map(String::as_str), &all);
    Error::usage(format!("{option} cannot be `{}`", shown(&value))).hint(hint)
}

fn invalid_value(error: &clap::Error) -> Error {
    let number = error.source().and_then(|source| source.downcast_ref::<ParseIntError>());
    let invalid = match number.map(ParseIntError::kind) {
        Some(IntErrorKind::PosOverflow | IntErrorKind::NegOverflow) => {
            Invalid::new("out of range").hint("write a smaller number, such as 100")
        }
        Some(_) => Invalid::new("not a whole number").hint("write it in digits, such as 100"),
        None => invalid_of(error).unwrap_or_else(|| {
            Invalid::new(match error.source() {
                Some(source) => source.to_string(),
                None => first_line(error),
            })
        }),
    };
    let what = match error.source() {
        Some(_) => {
            let value = text(error, ContextKind::InvalidValue);
            format!("{} `{}`: {}", option(error), shown(&value), invalid.what)
        }
        // Several options that do not fit together: the message names them.
        None => invalid.what,
    };
    match invalid.hint {
        Some(hint) => Error::usage(what).hint(hint),
        None => Error::usage(what),
    }
}

fn missing_argument(error: &clap::Error, see_help: &str) -> Error {
    let missing = strings(error, ContextKind::InvalidArg);
    if missing.iter().any(|option| option.starts_with("--lake")) {
        return Error::usage("no lake is given")
            .hint("name its folder with `--lake DIR`, or set WABALAKE_LAKE");
    }
    let missing: Vec<String> =
        missing.iter().map(|option| option.replace(['<', '>'], "")).collect();
    Error::usage(format!("{} is missing", those(&missing))).hint(see_help)
}

fn conflict(error: &clap::Error) -> Error {
    let option = option(error);
    let others: Vec<String> =
        strings(error, ContextKind::PriorArg).iter().map(|other| bare(other)).collect();
    let what = match others.iter().any(|other| format!("`{other}`") == option) {
        true => format!("{option} is given twice"),
        false => format!("{option} cannot be used with {}", those(&others)),
    };
    Error::usage(what).hint("leave one of them out")
}

/// Returns the option that an error is about, in backticks.
fn option(error: &clap::Error) -> String {
    format!("`{}`", bare(&text(error, ContextKind::InvalidArg)))
}

/// Strips an argument to its name: `--format <FORMAT>` to `--format`, `<SHELL>` to `SHELL`.
fn bare(option: &str) -> String {
    let option = if option.starts_with('-') { option.split([' ', '=']).next() } else { None }
        .unwrap_or(option);
    option.replace(['<', '>', '[', ']'], "").trim_end_matches("...").to_owned()
}

fn text(error: &clap::Error, kind: ContextKind) -> String {
    strings(error, kind).into_iter().next().unwrap_or_default()
}

fn strings(error: &clap::Error, kind: ContextKind) -> Vec<String> {
    match error.get(kind) {
        Some(ContextValue::String(text)) => vec![text.clone()],
        Some(ContextValue::Strings(texts)) => texts.clone(),
        _ => Vec::new(),
    }
}

fn first_line(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    text.lines().next().unwrap_or_default().to_owned()
}

/// Lists the names that clap gives, if it gives any.
fn those(names: &[String]) -> String {
    if names.is_empty() { "something else".to_owned() } else { listed(names) }
}

/// Formats an argument for a message. Phone numbers and access tokens are masked.
pub(super) fn shown(argument: &str) -> Cow<'_, str> {
    let digits = argument.chars().filter(char::is_ascii_digit).count();
    let is_secret = digits >= 9 || argument.contains("access_token");
    if is_secret { "…".into() } else { crate::render::visible(argument) }
}

#[cfg(test)]
mod tests {
    use super::super::parse;

    fn lines(line: &str) -> String {
        let arguments: Vec<_> = line.split(' ').map(Into::into).collect();
        let error = parse(&arguments).unwrap_err();
        super::error(&error, &arguments).lines()
    }

    #[test]
    fn errors_name_the_fault_and_suggest_the_nearest_name() {
        for (line, expected) in [
            (
                "wabalake qurey drop-off",
                "error: no command `qurey`\n  hint: did you mean `query`? `wabalake --help` lists them",
            ),
            (
                "wabalake query drop-of --lake x",
                "error: no query `drop-of`\n  \
                 hint: did you mean `drop-off`? `wabalake queries` lists them",
            ),
            (
                "wabalake query zzz --lake x",
                "error: no query `zzz`\n  hint: `wabalake queries` lists them",
            ),
            (
                "wabalake query",
                "error: `wabalake query` needs the name of a query\n  \
                 hint: `wabalake queries` lists them",
            ),
            (
                "wabalake query drop-off --frm 2025-01-01",
                "error: `wabalake query drop-off` has no option `--frm`\n  \
                 hint: did you mean `--from`?",
            ),
            (
                "wabalake query lifecycle --lake x --state sent",
                "error: `wabalake query lifecycle` has no option `--state`\n  \
                 hint: it takes `--from`, `--to`, `--timezone`, `--country`, `--line`, `--tag`, \
                 `--conversation-id`, `--conversation-version`, `--session-type`, `--session-status`, \
                 `--channel`, `--by` and `--period`",
            ),
            (
                "wabalake query drop-off --lake x -f cvs",
                "error: `--format` cannot be `cvs`\n  hint: did you mean `csv`? it takes `table`, \
                 `csv`, `tsv`, `json`, `ndjson`, `parquet`, `arrow`, `markdown`, `html` and \
                 `meta-json`",
            ),
            (
                "wabalake query drop-off --lake x --from 2025-02-30",
                "error: `--from` `2025-02-30`: not a date\n  hint: did you mean `2025-02-28`?",
            ),
            (
                "wabalake query drop-off --lake x --timezone America/Bogata",
                "error: `--timezone` `America/Bogata`: no such time zone\n  \
                 hint: did you mean `America/Bogota`?",
            ),
            (
                "wabalake query drop-off --lake x --limit some",
                "error: `--limit` `some`: not a whole number\n  \
                 hint: write it in digits, such as 100",
            ),
            (
                "wabalake query return-rate --lake x --days 1,x",
                "error: `--days` `x`: not a whole number\n  \
                 hint: write a whole number from 1 to 36500, such as 30",
            ),
            (
                "wabalake load a.csv --lake x --max-rejects -1",
                "error: `wabalake load` has no option `-1`\n  \
                 hint: to pass a value that begins with `-`, write `=`, as in `--option=-1`",
            ),
            (
                "wabalake load a.csv --lake x --source-timezone -05:00",
                "error: `wabalake load` has no option `-0`\n  \
                 hint: to pass a value that begins with `-`, write `=`, as in `--option=-1`",
            ),
            (
                "wabalake status",
                "error: no lake is given\n  \
                 hint: name its folder with `--lake DIR`, or set WABALAKE_LAKE",
            ),
            (
                "wabalake history --lake x",
                "error: `TABLE` is missing\n  \
                 hint: see `wabalake history --help`",
            ),
            (
                "wabalake history sesions --lake x",
                "error: `TABLE` cannot be `sesions`\n  \
                 hint: did you mean `sessions`? it takes `sessions`, `deployments`, `messages`, \
                 `message_summaries`, `session_summaries`, `closures`, `agent_chats`, `identities`, `events`, \
                 `meta_points`, `ad_spend`, `conversions`, `audience_tags`, `nodes`, `rates`, `markets`, `variables`, \
                 `rejects` and `runs`",
            ),
            (
                "wabalake status --lake x --lake y",
                "error: `--lake` is given twice\n  hint: leave one of them out",
            ),
            (
                "wabalake status --lake",
                "error: `--lake` has no value\n  \
                 hint: see `wabalake status --help`",
            ),
            (
                "wabalake rejects --lake x --raw --export y",
                "error: `--raw` cannot be used with `--export`\n  hint: leave one of them out",
            ),
        ] {
            assert_eq!(lines(line), expected, "{line}");
        }
    }

    #[test]
    fn errors_of_a_comparison_are_those_of_its_query_too() {
        for (line, expected) in [
            (
                "wabalake compare drop-of --lake x",
                "error: no query `drop-of`\n  \
                 hint: did you mean `drop-off`? `wabalake queries` lists them",
            ),
            (
                "wabalake compare drop-off --lake x",
                "error: `--as-of WHEN` is missing\n  \
                 hint: see `wabalake compare drop-off --help`",
            ),
        ] {
            assert_eq!(lines(line), expected, "{line}");
        }
    }

    #[test]
    fn phone_numbers_are_masked() {
        for line in [
            "wabalake query drop-off --lake x 573000001234",
            "wabalake query +573000001234",
            "wabalake status --lake x --timezone 573000001234",
        ] {
            let lines = lines(line);
            assert!(!lines.contains("3000001234"), "{lines}");
        }
    }
}
