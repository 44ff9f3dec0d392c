//! Guard of people: a statement whose answer neither says who somebody is, nor what they wrote.
//!
//! ```text
//! SELECT country, COUNT(DISTINCT user_phone) FROM sessions GROUP BY country     accepted
//! SELECT user_phone FROM sessions        SELECT * FROM sessions                 refused
//! ```
//!
//! A column is refused wherever the statement names it, also in a condition: what it is compared with would
//! tell its value. Names are looked for among the tokens, where no part of the syntax is overlooked; `*` and
//! functions in the syntax tree.

use std::ops::ControlFlow;

use sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Select, SelectItem,
    Spanned as _, Statement, TableFactor, TableWithJoins, Visit as _, Visitor,
};
use sqlparser::dialect::GenericDialect;
use sqlparser::tokenizer::{Span, Token, TokenWithSpan, Tokenizer, Word};
use wabalake_data::{Column, Table};

use super::fault::{self, at, shown};
use crate::error::{Error, Result};

/// Checks that the answer of a statement is about nobody in particular.
///
/// # Errors
/// The statement names a personal column outside of `COUNT(DISTINCT …)`, reads all columns of a table that
/// has one, or reads a file.
pub(super) fn check(text: &str, statement: &Statement, tables: &[&'static Table]) -> Result<()> {
    let tokens = Tokenizer::new(&GenericDialect, text).tokenize_with_location();
    let tokens = tokens.map_err(|error| fault::of_parser(&error.into()))?;
    let is_space = |token: &TokenWithSpan| matches!(token.token, Token::Whitespace(_));
    let tokens: Vec<&TokenWithSpan> = tokens.iter().filter(|token| !is_space(token)).collect();
    check_names(&tokens, tables)?;
    match statement.visit(&mut Wildcards { tables }) {
        ControlFlow::Break(error) => Err(*error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

/// Returns `true` if a column tells who somebody is, or what they wrote.
fn is_personal(column: &Column) -> bool {
    column.meaning().is_some_and(|meaning| meaning.is_personal(column.name))
}

fn has_personal(table: &Table) -> bool {
    table.columns.iter().any(is_personal)
}

fn check_names(tokens: &[&TokenWithSpan], tables: &[&'static Table]) -> Result<()> {
    let columns = tables.iter().flat_map(|table| table.columns);
    let personal = columns.filter(|column| is_personal(column)).map(|column| column.name);
    let personal: Vec<&str> = personal.collect();
    for (place, TokenWithSpan { token, span }) in tokens.iter().enumerate() {
        let Token::Word(word) = token else { continue };
        let before = place.checked_sub(1).map(|before| &tokens[before].token);
        if is_pattern(word) || is_table(word) {
            return Err(refused(*span, format!("`{}` stands for columns", shown(&word.value))));
        }
        // Unquoted, `from` is a column only behind the name of its table.
        let is_keyword = word.quote_style.is_none()
            && word.value.eq_ignore_ascii_case("from")
            && before != Some(&Token::Period);
        let named = personal.iter().find(|name| word.value.eq_ignore_ascii_case(name));
        if let Some(name) = named.filter(|_| !is_keyword && !is_counted(tokens, place)) {
            return Err(refused(*span, format!("`{name}` tells of a person")));
        }
    }
    Ok(())
}

/// Returns `true` if Polars expands a name to several columns: `"*"`, or a regular expression, `"^…$"`.
fn is_pattern(word: &Word) -> bool {
    word.quote_style.is_some() && (word.value == "*" || word.value.starts_with('^'))
}

/// Returns `true` for the keyword of `TABLE name`, which is short for `SELECT * FROM name`.
fn is_table(word: &Word) -> bool {
    word.quote_style.is_none() && word.value.eq_ignore_ascii_case("table")
}

/// Returns `true` for the name of a column in `COUNT(DISTINCT column)` or `COUNT(DISTINCT table.column)`.
fn is_counted(tokens: &[&TokenWithSpan], place: usize) -> bool {
    let token = |place: usize| tokens.get(place).map(|token| &token.token);
    let is_word = |place: usize, word: &str| match token(place) {
        Some(Token::Word(found)) => found.value.eq_ignore_ascii_case(word),
        _ => false,
    };
    let is_qualified = place >= 2 && token(place - 1) == Some(&Token::Period);
    let start = if is_qualified { place - 2 } else { place };
    start >= 3
        && is_word(start - 3, "count")
        && token(start - 2) == Some(&Token::LParen)
        && is_word(start - 1, "distinct")
        && token(place + 1) == Some(&Token::RParen)
}

fn refused(there: Span, what: impl Into<String>) -> Error {
    at(there, what)
        .hint("name columns that are about nobody, or count people: COUNT(DISTINCT user_phone)")
}

/// A visitor that stops at what stands for columns without naming them, and at files.
struct Wildcards<'a> {
    tables: &'a [&'static Table],
}

impl Wildcards<'_> {
    /// Returns `true` if the columns of `*` may be personal. Those of a WITH or of a subquery are not: its
    /// SELECT is checked by itself.
    fn may_be_personal(&self, factor: &TableFactor) -> bool {
        match factor {
            TableFactor::Table { name, .. } => {
                let name = name.to_string();
                let name = name.trim_matches('"');
                let mut read = self.tables.iter().filter(|table| has_personal(table));
                read.any(|table| table.name.eq_ignore_ascii_case(name))
            }
            TableFactor::Derived { .. } => false,
            TableFactor::NestedJoin { table_with_joins, .. } => self.any_personal(table_with_joins),
            _ => true,
        }
    }

    fn any_personal(&self, from: &TableWithJoins) -> bool {
        let joined = from.joins.iter().map(|join| &join.relation);
        std::iter::once(&from.relation).chain(joined).any(|factor| self.may_be_personal(factor))
    }

    fn stop(there: Span, what: impl Into<String>) -> ControlFlow<Box<Error>> {
        ControlFlow::Break(Box::new(refused(there, what)))
    }
}

impl Visitor for Wildcards<'_> {
    type Break = Box<Error>;

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<Box<Error>> {
        let is_wildcard = |item: &SelectItem| {
            matches!(item, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..))
        };
        // `FROM sessions` alone is short for `SELECT * FROM sessions`.
        let has_all = select.projection.is_empty() || select.projection.iter().any(is_wildcard);
        if has_all && select.from.iter().any(|from| self.any_personal(from)) {
            return Self::stop(select.span(), "`*` has columns that tell of a person");
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<Box<Error>> {
        match factor {
            TableFactor::Table { args: Some(_), name, .. } | TableFactor::Function { name, .. } => {
                Self::stop(name.span(), "a file may tell of a person")
            }
            _ => ControlFlow::Continue(()),
        }
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<Box<Error>> {
        match expr {
            Expr::Wildcard(_) | Expr::QualifiedWildcard(..) => {
                Self::stop(expr.span(), "`*` stands for columns")
            }
            Expr::Function(function) if stands_for_columns(function) => {
                let name = function.name.to_string();
                let what = format!("`{}` stands for columns", shown(&name));
                Self::stop(function.name.span(), what)
            }
            _ => ControlFlow::Continue(()),
        }
    }
}

/// Returns `true` for `COLUMNS(…)`, and for a function of `*` that is not `COUNT`.
fn stands_for_columns(function: &Function) -> bool {
    let name = function.name.to_string().to_lowercase();
    let FunctionArguments::List(list) = &function.args else { return name == "columns" };
    let is_wildcard = |argument: &FunctionArg| {
        let (FunctionArg::Unnamed(value)
        | FunctionArg::Named { arg: value, .. }
        | FunctionArg::ExprNamed { arg: value, .. }) = argument;
        !matches!(value, FunctionArgExpr::Expr(_))
    };
    name == "columns" || (name != "count" && list.args.iter().any(is_wildcard))
}

#[cfg(test)]
mod tests {
    use super::super::Sql;

    fn lines(text: &str) -> Option<String> {
        let refused = Sql::read(text).unwrap().check_tells_of_nobody(text);
        refused.err().map(|error| error.lines())
    }

    #[test]
    fn statements_about_nobody_are_accepted() {
        for text in [
            "SELECT country, COUNT(*) AS n FROM sessions GROUP BY country",
            "SELECT COUNT(DISTINCT user_phone) AS people FROM sessions",
            "SELECT count( distinct s.user_phone ) FROM sessions s",
            "WITH a AS (SELECT country FROM sessions) SELECT * FROM a",
            "SELECT a.* FROM (SELECT country FROM sessions) AS a",
            "SELECT * FROM rates",
            "SELECT COUNT(*) * 2 FROM messages",
            "SELECT SUM(value) FROM conversions",
            "SELECT tag, COUNT(*) FROM audience_tags GROUP BY tag",
            "SELECT 'user_phone' AS word FROM sessions -- user_phone",
            "SELECT country AS message FROM sessions",
        ] {
            assert_eq!(lines(text), None, "{text}");
        }
    }

    #[test]
    fn personal_columns_are_refused_wherever_they_are_named() {
        for text in [
            "SELECT user_phone FROM sessions",
            "SELECT User_Phone FROM sessions",
            "SELECT s.\"user_phone\" FROM sessions s",
            "SELECT COUNT(*) FROM sessions WHERE user_phone = '573005550101'",
            "SELECT COUNT(*) FROM sessions GROUP BY user_id",
            "SELECT COUNT(*) FROM sessions ORDER BY user_cellphone",
            "SELECT COUNT(DISTINCT substr(user_phone, 1, 4)) FROM sessions",
            "SELECT COUNT(DISTINCT user_phone || country) FROM sessions",
            "SELECT COUNT(DISTINCT country) FILTER (WHERE user_phone LIKE '57%') FROM sessions",
            "SELECT COUNT(user_phone) FROM sessions",
            "SELECT MAX(last_message) FROM sessions",
            "SELECT 1 FROM sessions JOIN deployments USING (user_phone)",
            "WITH a(x) AS (SELECT user_phone FROM sessions) SELECT x FROM a",
            "SELECT \"from\" FROM messages",
            "SELECT m.\"from\" FROM messages m",
            "SELECT \"to\" FROM messages",
            "SELECT whatsapp_id FROM messages",
            "SELECT context_id FROM messages",
            "SELECT message FROM messages",
            "SELECT button_payload FROM messages",
            "SELECT value FROM variables",
            "SELECT agent FROM agent_chats",
            "SELECT linked FROM identities",
            "SELECT person FROM persons",
        ] {
            let lines = lines(text).unwrap_or_default();
            assert!(lines.contains("` tells of a person"), "{text}: {lines}");
            assert!(lines.contains("hint: name columns that are about nobody"), "{text}: {lines}");
        }
    }

    #[test]
    fn whatever_stands_for_all_columns_is_refused() {
        for text in [
            "SELECT * FROM sessions",
            "FROM sessions",
            "SELECT s.* FROM sessions s",
            "SELECT * FROM rates JOIN sessions ON rates.country = sessions.country",
            "SELECT * FROM (sessions s JOIN rates r ON r.country = s.country)",
            "SELECT country FROM (SELECT * FROM sessions) AS a",
            "WITH a AS (SELECT * FROM sessions) SELECT country FROM a",
            "SELECT country FROM rates UNION ALL SELECT * FROM sessions",
            "SELECT * EXCLUDE (country) FROM sessions",
            "SELECT COLUMNS('user.*') FROM sessions",
            "SELECT MAX(*) FROM sessions",
            "SELECT \"^.*$\" FROM sessions",
            "SELECT \"*\" FROM sessions",
            "WITH a AS (SELECT country FROM sessions) TABLE sessions",
            "SELECT country FROM read_csv('a.csv')",
        ] {
            let lines = lines(text).unwrap_or_default();
            assert!(lines.starts_with("error: "), "{text}");
            assert!(lines.contains("hint: name columns that are about nobody"), "{text}: {lines}");
        }
    }
}
