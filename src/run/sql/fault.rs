//! Errors about a user's statement: where the fault is, and what to write instead.

use std::borrow::Cow;
use std::ops::ControlFlow;

use polars::error::PolarsError;
use sqlparser::ast::{Expr, Ident, Select, SelectItem, Statement, Visit as _, Visitor};
use sqlparser::parser::ParserError;
use sqlparser::tokenizer::Span;
use wabalake_data::Table;
use wabalake_data::words::{did_you_mean, nearest, suggestion};

use crate::error::Error;

/// Creates a usage error with the line and column of a span, if it has them.
pub(super) fn at(there: Span, what: impl Into<String>) -> Error {
    let start = there.start;
    let what = what.into();
    if start.line == 0 {
        return Error::usage(what);
    }
    Error::usage(format!("line {}, column {}: {what}", start.line, start.column))
}

/// Formats a word of the statement for a message. Phone numbers are masked.
pub(super) fn shown(word: &str) -> Cow<'_, str> {
    let digits = word.chars().filter(char::is_ascii_digit).count();
    if digits >= 9 { "…".into() } else { crate::render::visible(word) }
}

/// Converts an error of the parser, such as
/// `Expected: an expression, found: FROM at Line: 1, Column: 8`.
pub(super) fn of_parser(error: &ParserError) -> Error {
    let message = match error {
        ParserError::TokenizerError(message) | ParserError::ParserError(message) => {
            message.as_str()
        }
        ParserError::RecursionLimitExceeded => {
            return Error::usage("the query is nested too deeply")
                .hint("put parts of it into a WITH before the SELECT");
        }
    };
    let (what, place) = match message.rsplit_once(" at Line: ") {
        Some((what, place)) => (what, place.replace(", Column: ", ", column ")),
        None => (message, String::new()),
    };
    let what = match what.strip_prefix("Expected: ").and_then(|what| what.split_once(", found: ")) {
        Some((_, "EOF")) => "the query ends too early".to_owned(),
        Some((expected, found)) => {
            let expected =
                if expected.contains("query expression") || expected == "an SQL statement" {
                    "a SELECT"
                } else {
                    expected
                };
            format!("expected {expected}, found `{}`", shown(found))
        }
        None => shown(what).into_owned(),
    };
    let what = if place.is_empty() { what } else { format!("line {place}: {what}") };
    Error::usage(what).hint("a query is a SELECT, such as: SELECT COUNT(*) AS n FROM sessions")
}

/// Converts an error of Polars about a statement. A failed read stays the fault of the lake.
pub(super) fn of_polars(
    error: PolarsError,
    statement: &Statement,
    tables: &[&'static Table],
) -> Error {
    let message = match innermost(&error) {
        PolarsError::IO { .. } => return error.into(),
        PolarsError::ComputeError(text) if text.starts_with("parquet") => return error.into(),
        other => first_line(&other.to_string()),
    };
    if let Some(name) = quoted_after(&message, &["unable to find column ", "no column named "]) {
        return no_column(&name, statement, tables);
    }
    if let Some(name) = quoted_after(&message, &["unsupported function "]) {
        return no_function(&name, statement);
    }
    let lower = message.to_lowercase();
    let hint = HINTS.iter().find(|(words, _)| words.iter().all(|word| lower.contains(word)));
    let what = shown(message.strip_prefix("sql parser error: ").unwrap_or(&message)).into_owned();
    let error = Error::usage(what).caused_by(error);
    error.hint(
        hint.map_or("Polars SQL does not support that: see `wabalake sql --help`", |(_, hint)| {
            hint
        }),
    )
}

const FRAMES: &str = "Polars SQL supports only whole partitions and running totals: ROWS BETWEEN UNBOUNDED \
                      PRECEDING AND CURRENT ROW";

/// Hints for messages of Polars SQL: the first applies whose words all occur.
const HINTS: &[(&[&str], &str)] = &[
    (&["expression exists"], "write it with IN: session_id IN (SELECT session_id FROM … WHERE …)"),
    (
        &["recursive"],
        "Polars SQL has no recursion: `wabalake query session-chains` follows redirections",
    ),
    (&["subquery comparisons"], "take the value from a WITH of one row: FROM a CROSS JOIN b"),
    (
        &["unexpected subquery"],
        "a subquery goes into FROM, IN (…) or EXISTS (…); take a value from a WITH of one row by CROSS JOIN",
    ),
    (&["subquery"], "a subquery goes into FROM, IN (…) or EXISTS (…); else join it"),
    (
        &["within exists"],
        "put the SELECT with it into a WITH, and write IN (SELECT key FROM …) instead",
    ),
    (
        &["no table or struct column"],
        "EXISTS may refer to the outer query only by equality: else LEFT JOIN a WITH, and test for NULL",
    ),
    (
        &["cannot compare string"],
        "ids and phones are texts, versions are numbers: put a text into quotes, give a parameter as NAME:text=…",
    ),
    (&["comparison", "dtype"], "both sides must be of one type: CAST one of them"),
    (&["rows between"], FRAMES),
    (&["window frame"], FRAMES),
    (
        &["filter", "over"],
        "put the condition into a CASE: SUM(CASE WHEN … THEN 1 ELSE 0 END) OVER (…)",
    ),
    (&["cube"], "write one GROUP BY for each, and UNION ALL them"),
    (&["rollup"], "write one GROUP BY for each, and UNION ALL them"),
    (
        &["within group"],
        "PERCENTILE_CONT(0.9) WITHIN GROUP (ORDER BY x) and QUANTILE_CONT(x, 0.9) are supported; STRING_AGG(x, ',') joins texts",
    ),
    (&["lateral"], "join a WITH instead"),
    (
        &["unsupported join condition"],
        "a join is on equality of columns, and comparisons of one table's column with the other's; put the rest into WHERE",
    ),
    (
        &["unsupported join constraint"],
        "a join is on equality of columns, and comparisons of one table's column with the other's; put the rest into WHERE",
    ),
    (&["unnamed relation"], "name it: FROM (SELECT …) AS name"),
    (&["non-numeric arguments for limit"], "LIMIT takes a number, or a parameter that is one"),
    (
        &["having clause not valid"],
        "HAVING belongs to a GROUP BY: without one, put the SELECT into a WITH and use WHERE",
    ),
    (&["duplicate"], "give each column a name of its own: … AS name"),
    (&["ambiguous"], "write the table before the column"),
    (&["like", "pattern"], "the pattern of LIKE is a text in quotes or a parameter"),
    (
        &["escape"],
        "LIKE has no ESCAPE here: use STARTS_WITH(x, …), STRPOS(x, …) or REGEXP_LIKE(x, …)",
    ),
    (&["interval"], "write it as INTERVAL '1 day'; months only with a date"),
    (&["conversion from"], "some values cannot be converted: TRY_CAST makes them null"),
    (
        &["is not a timestamp"],
        "write timestamps as 2025-06-01, 2025-06-01 10:00:00 or 2025-06-01T10:00:00Z",
    ),
    (
        &["datatype", "not currently supported"],
        "the types are BIGINT, DOUBLE, DECIMAL(18, 6), VARCHAR, BOOLEAN, DATE and TIMESTAMP",
    ),
    (&["union requires equal number"], "both sides need the same columns, or UNION ALL BY NAME"),
];

fn no_column(name: &str, statement: &Statement, tables: &[&'static Table]) -> Error {
    let columns = tables.iter().flat_map(|table| table.columns).map(|column| column.name);
    let mut aliases = Aliases::default();
    let _ = statement.visit(&mut aliases);
    let known = columns.chain(aliases.0.iter().map(|alias| alias.value.as_str()));
    let hint = match nearest(name, known) {
        Some(near) if near != name => did_you_mean(format_args!("`{near}`")),
        _ => match tables {
            [] => "name the table: FROM sessions".to_owned(),
            [first, ..] => {
                format!("`wabalake sql \"SELECT * FROM {} LIMIT 1\"` shows the columns", first.name)
            }
        },
    };
    placed(statement, name, format!("no column `{}`", shown(name))).hint(hint)
}

fn no_function(name: &str, statement: &Statement) -> Error {
    let instead = match name {
        "now" | "current_timestamp" | "current_date" | "today" | "getdate" => {
            "an answer depends on the lake only: pass the time as a parameter, `--param now=…`"
        }
        "datediff" | "date_diff" | "timestampdiff" => {
            "subtract: `later - earlier`, in seconds in the answer"
        }
        "year" | "month" | "day" | "hour" | "minute" | "dayofweek" | "weekday" | "isodow" => {
            "EXTRACT(HOUR FROM …) takes parts, DATE_TRUNC('month', …) the start of a bucket"
        }
        "date_format" | "to_char" | "format_timestamp" => "STRFTIME(…, '%Y-%m-%d %H:%M')",
        "to_timestamp" | "from_unixtime" => "CAST(… AS TIMESTAMP), of microseconds since 1970 too",
        "approx_count_distinct" | "approx_percentile" => {
            "COUNT(DISTINCT …) and QUANTILE_CONT(…, 0.9) are exact"
        }
        "count_if" | "countif" => "COUNT(*) FILTER (WHERE …)",
        "regexp_replace" | "regexp_extract" => "REGEXP_LIKE(…, …) finds, REPLACE(…, …, …) replaces",
        "any_value" | "arbitrary" => "MIN(…) is the same value every time",
        "nvl" | "isnull" => "COALESCE(…, …)",
        "len" => "LENGTH(…)",
        "instr" | "position" | "locate" => "STRPOS(…, …)",
        _ => "",
    };
    let hint = if instead.is_empty() {
        let known = polars::sql::keywords::all_functions();
        suggestion(name, known.iter().copied())
            .unwrap_or_else(|| "see `wabalake sql --help`".to_owned())
    } else {
        instead.to_owned()
    };
    placed(statement, name, format!("no function `{}`", shown(name))).hint(hint)
}

/// Creates an error at the first occurrence of a name.
fn placed(statement: &Statement, name: &str, what: String) -> Error {
    match statement.visit(&mut Where(name)) {
        ControlFlow::Break(there) => at(there, what),
        ControlFlow::Continue(()) => Error::usage(what),
    }
}

struct Where<'a>(&'a str);

impl Visitor for Where<'_> {
    type Break = Span;

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<Self::Break> {
        let names = match expr {
            Expr::Identifier(name) => Some(name),
            Expr::CompoundIdentifier(names) => names.last(),
            Expr::Function(function) => function.name.0.last().and_then(|part| part.as_ident()),
            _ => None,
        };
        match names.filter(|there| there.value.eq_ignore_ascii_case(self.0)) {
            Some(there) => ControlFlow::Break(there.span),
            None => ControlFlow::Continue(()),
        }
    }
}

/// Creates an error about a column of the answer, where it gets its name: at its alias, else at the column of
/// a table that it is.
pub(super) fn of_column(statement: &Statement, name: &str, what: &str) -> Error {
    let what = format!("column `{}` {what}", shown(name));
    let mut aliases = Aliases::default();
    let _ = statement.visit(&mut aliases);
    match aliases.0.iter().rfind(|alias| alias.value == name) {
        Some(alias) => at(alias.span, what),
        None => placed(statement, name, what),
    }
}

/// A visitor that collects the aliases of columns.
#[derive(Default)]
struct Aliases(Vec<Ident>);

impl Visitor for Aliases {
    type Break = ();

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        for item in &select.projection {
            if let SelectItem::ExprWithAlias { alias, .. } = item {
                self.0.push(alias.clone());
            }
        }
        ControlFlow::Continue(())
    }
}

fn innermost(error: &PolarsError) -> &PolarsError {
    match error {
        PolarsError::Context { error, .. } | PolarsError::ExprContext { error, .. } => {
            innermost(error)
        }
        other => other,
    }
}

/// Returns the first line of a message of Polars, without the plan, without the syntax tree, and without
/// the values that a conversion failed for: they may be personal.
fn first_line(message: &str) -> String {
    let line = message.lines().next().unwrap_or_default();
    let line = line.split_once(" values: [").map_or(line, |(before, _)| before);
    let line = line.split_once("; valid columns: [").map_or(line, |(before, _)| before);
    let line = line.split_once(". It's possible").map_or(line, |(before, _)| before);
    // A syntax tree in Rust's debug format.
    if !line.contains("Span(") && !line.contains("{ ") {
        return line.to_owned();
    }
    let tree = line.find(['{', '(']).unwrap_or(line.len());
    format!("{} is not supported", line[..tree].trim_end())
}

/// Returns the quoted word after one of the phrases.
fn quoted_after(message: &str, before: &[&str]) -> Option<String> {
    let rest = before.iter().find_map(|words| Some(message.split_once(words)?.1))?;
    let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\'' | '`'))?;
    Some(rest[1..].split(quote).next()?.to_owned())
}
