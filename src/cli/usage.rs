//! What is wrong with a command line, in the words of every other error.
//!
//! ```text
//! error: no query `drop-of`
//!   hint: did you mean `drop-off`? `wabalake queries` lists them
//! ```

use std::borrow::Cow;
use std::error::Error as _;
use std::ffi::OsString;
use std::num::{IntErrorKind, ParseIntError};

use clap::Command;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use wabalake_data::Invalid;
use wabalake_data::words::{listed, suggestion, suggestion_and};
use wabalake_queries::query::usage::said;

use crate::error::Error;

/// An error of the command line that was given, the program's name first.
pub(super) fn error(error: &clap::Error, words: &[OsString]) -> Error {
    let place = Place::of(words);
    match error.kind() {
        ErrorKind::InvalidSubcommand => unknown_name(error, &place),
        ErrorKind::MissingSubcommand => missing_name(&place),
        ErrorKind::UnknownArgument => unknown_option(error, &place),
        ErrorKind::InvalidValue => not_one_of(error, &place),
        ErrorKind::ValueValidation => bad_value(error),
        ErrorKind::MissingRequiredArgument => missing_option(error, &place),
        ErrorKind::ArgumentConflict => conflict(error),
        ErrorKind::InvalidUtf8 => Error::usage("a word of the command line is not valid UTF-8"),
        _ => Error::usage(first_line(error)).hint(place.see_help()),
    }
}

/// How far a command line can be followed.
struct Place {
    /// The subcommands that were named.
    path: Vec<String>,
    /// The last of them.
    command: Command,
}

impl Place {
    fn of(words: &[OsString]) -> Self {
        let mut command = super::command_for(words);
        let mut path = vec![command.get_name().to_owned()];
        // Only building tells what a subcommand takes.
        command.build();
        for word in words.iter().skip(1) {
            let named = word.to_str().and_then(|word| command.find_subcommand(word)).cloned();
            let Some(next) = named else { break };
            path.push(next.get_name().to_owned());
            command = next;
            command.build();
        }
        Self { path, command }
    }

    fn see_help(&self) -> String {
        format!("`{} --help` says what it takes", self.path.join(" "))
    }

    /// Whether the names that go here are those of queries.
    fn is_of_queries(&self) -> bool {
        matches!(self.path.last().map(String::as_str), Some("query" | "queries" | "explain"))
    }
}

fn unknown_name(error: &clap::Error, place: &Place) -> Error {
    let word = text(error, ContextKind::InvalidSubcommand);
    let names = place.command.get_subcommands().map(Command::get_name);
    let (what, hint) = match place.is_of_queries() {
        true => ("query", "`wabalake queries` lists them"),
        false => ("command", "`wabalake --help` lists them"),
    };
    Error::usage(format!("no {what} `{}`", shown(&word))).hint(suggestion_and(&word, names, hint))
}

fn missing_name(place: &Place) -> Error {
    let path = place.path.join(" ");
    if place.is_of_queries() {
        Error::usage(format!("`{path}` needs the name of a query"))
            .hint("`wabalake queries` lists them")
    } else {
        Error::usage(format!("`{path}` needs a command")).hint(place.see_help())
    }
}

fn unknown_option(error: &clap::Error, place: &Place) -> Error {
    let word = text(error, ContextKind::InvalidArg);
    let path = place.path.join(" ");
    if !word.starts_with('-') {
        return Error::usage(format!("`{path}` takes no word `{}`", shown(&word)))
            .hint(place.see_help());
    }
    if word.chars().nth(1).is_some_and(|c| c.is_ascii_digit()) {
        return Error::usage(format!("`{path}` has no option `{}`", shown(&word)))
            .hint("a value that begins with `-` is written behind `=`, as in `--option=-1`");
    }
    let options: Vec<String> = place
        .command
        .get_arguments()
        .filter_map(|arg| arg.get_long().map(|name| format!("--{name}")))
        .collect();
    let hint = suggestion(&word, options.iter().map(String::as_str));
    let hint = hint.unwrap_or_else(|| place.see_help());
    Error::usage(format!("`{path}` has no option `{}`", shown(&word))).hint(hint)
}

fn not_one_of(error: &clap::Error, place: &Place) -> Error {
    let option = option(error);
    let value = text(error, ContextKind::InvalidValue);
    if value.is_empty() {
        let missing = Error::usage(format!("{option} has no value"));
        return missing.hint(place.see_help());
    }
    let values = match error.get(ContextKind::ValidValue) {
        Some(ContextValue::Strings(values)) => values.as_slice(),
        _ => &[],
    };
    let all = format!("it takes {}", those(values));
    let hint = suggestion_and(&value, values.iter().map(String::as_str), &all);
    Error::usage(format!("{option} cannot be `{}`", shown(&value))).hint(hint)
}

fn bad_value(error: &clap::Error) -> Error {
    let given = |what: &str| {
        let value = text(error, ContextKind::InvalidValue);
        format!("{} `{}`: {what}", option(error), shown(&value))
    };
    if let Some(Invalid { what, hint }) = said(error) {
        let what = if error.source().is_some() { given(&what) } else { what };
        let error = Error::usage(what);
        return match hint {
            Some(hint) => error.hint(hint),
            None => error,
        };
    }
    let Some(source) = error.source() else { return Error::usage(first_lines(error)) };
    let said = source.to_string();
    let (what, hint) = match source.downcast_ref::<ParseIntError>().map(ParseIntError::kind) {
        None => with_hint(&said),
        Some(IntErrorKind::PosOverflow | IntErrorKind::NegOverflow) => {
            ("out of range", Some("write a smaller number, such as 100"))
        }
        Some(_) => ("not a whole number", Some("write it in digits, such as 100")),
    };
    let error = Error::usage(given(what));
    match hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

fn missing_option(error: &clap::Error, place: &Place) -> Error {
    let missing = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::Strings(missing)) => missing.as_slice(),
        _ => &[],
    };
    if missing.iter().any(|option| option.starts_with("--lake")) {
        return Error::usage("no lake is named")
            .hint("name its folder with `--lake DIR`, or set WABALAKE_LAKE");
    }
    let missing: Vec<String> =
        missing.iter().map(|option| option.replace(['<', '>'], "")).collect();
    Error::usage(format!("{} is missing", those(&missing))).hint(place.see_help())
}

fn conflict(error: &clap::Error) -> Error {
    let option = option(error);
    let others = match error.get(ContextKind::PriorArg) {
        Some(ContextValue::String(other)) => vec![bare(other)],
        Some(ContextValue::Strings(others)) => others.iter().map(|other| bare(other)).collect(),
        _ => Vec::new(),
    };
    if others.iter().any(|other| format!("`{other}`") == option) {
        return Error::usage(format!("{option} is given twice")).hint("leave one of them out");
    }
    Error::usage(format!("{option} does not go with {}", those(&others)))
        .hint("leave one of them out")
}

/// The option that an error is about, in backticks.
fn option(error: &clap::Error) -> String {
    format!("`{}`", bare(&text(error, ContextKind::InvalidArg)))
}

/// `--format <FORMAT>` as `--format`, `<SHELL>` as `SHELL`.
fn bare(option: &str) -> String {
    let option = if option.starts_with('-') { option.split([' ', '=']).next() } else { None }
        .unwrap_or(option);
    option.replace(['<', '>', '[', ']'], "").trim_end_matches("...").to_owned()
}

fn text(error: &clap::Error, kind: ContextKind) -> String {
    match error.get(kind) {
        Some(ContextValue::String(text)) => text.clone(),
        _ => String::new(),
    }
}

/// A text that may carry its hint with it.
fn with_hint(said: &str) -> (&str, Option<&str>) {
    match said.split_once("\n  hint: ") {
        Some((what, hint)) => (what, Some(hint.trim_end())),
        None => (said.trim_end(), None),
    }
}

fn first_lines(error: &clap::Error) -> String {
    let said = error.render().to_string();
    let said = said.strip_prefix("error: ").unwrap_or(&said);
    said.split("\n\n").next().unwrap_or_default().to_owned()
}

fn first_line(error: &clap::Error) -> String {
    first_lines(error).lines().next().unwrap_or_default().to_owned()
}

/// The names that clap gives, or what there is to say where it gives none.
fn those(names: &[String]) -> String {
    if names.is_empty() { "something else".to_owned() } else { listed(names) }
}

/// A word as it may be shown: no phone number is.
fn shown(word: &str) -> Cow<'_, str> {
    let digits = word.chars().filter(char::is_ascii_digit).count();
    // Nor is a token.
    let is_secret = digits >= 9 || word.contains("access_token");
    if is_secret { "…".into() } else { crate::render::visible(word) }
}

#[cfg(test)]
mod tests {
    use super::super::parse;

    fn said(line: &str) -> String {
        let words: Vec<_> = line.split(' ').map(Into::into).collect();
        let error = parse(&words).unwrap_err();
        super::error(&error, &words).lines()
    }

    #[test]
    fn what_is_wrong_is_named_with_the_nearest_right_one() {
        for (line, lines) in [
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
                 hint: a value that begins with `-` is written behind `=`, as in `--option=-1`",
            ),
            (
                "wabalake load a.csv --lake x --source-timezone -05:00",
                "error: `wabalake load` has no option `-0`\n  \
                 hint: a value that begins with `-` is written behind `=`, as in `--option=-1`",
            ),
            (
                "wabalake status",
                "error: no lake is named\n  \
                 hint: name its folder with `--lake DIR`, or set WABALAKE_LAKE",
            ),
            (
                "wabalake history --lake x",
                "error: `TABLE` is missing\n  \
                 hint: `wabalake history --help` says what it takes",
            ),
            (
                "wabalake history sesions --lake x",
                "error: `TABLE` cannot be `sesions`\n  \
                 hint: did you mean `sessions`? it takes `sessions`, `deployments`, `messages`, \
                 `message_summaries`, `session_summaries`, `closures`, `meta_points`, `ad_spend`, \
                 `conversions`, `audience_tags`, `rates`, `variables`, `rejects` and `runs`",
            ),
            (
                "wabalake status --lake x --lake y",
                "error: `--lake` is given twice\n  hint: leave one of them out",
            ),
            (
                "wabalake status --lake",
                "error: `--lake` has no value\n  \
                 hint: `wabalake status --help` says what it takes",
            ),
            (
                "wabalake rejects --lake x --raw --export y",
                "error: `--raw` does not go with `--export`\n  hint: leave one of them out",
            ),
        ] {
            assert_eq!(said(line), lines, "{line}");
        }
    }

    #[test]
    fn no_phone_number_is_repeated() {
        for line in [
            "wabalake query drop-off --lake x 573000001234",
            "wabalake query +573000001234",
            "wabalake status --lake x --timezone 573000001234",
        ] {
            let said = said(line);
            assert!(!said.contains("3000001234"), "{said}");
        }
    }
}
