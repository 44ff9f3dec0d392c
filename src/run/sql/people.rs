//! Finds where a statement names people. What is for others, such as a mart or an answer to an assistant, only
//! counts them, unless the lake's settings allow more.
//!
//! ```text
//! SELECT user_phone, COUNT(*) …           names people
//! … WHERE message LIKE '%refund%'         so does this: its answer is about what somebody said
//! SELECT * FROM sessions                  and this: the table has such columns
//! SELECT COUNT(DISTINCT user_phone) …     counts people, and names nobody
//! … COUNT(DISTINCT LEFT(user_phone, 9))   this tells who begins alike
//! ```
//!
//! The names of columns decide. A column can only come out of a subquery if the subquery names it, or has a
//! `*`, so it is found there.

use std::ops::ControlFlow;

use sqlparser::ast::{
    DuplicateTreatment, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident,
    JoinConstraint, JoinOperator, ObjectName, Query, Select, SelectItem,
    SelectItemQualifiedWildcardKind, SetExpr, Spanned as _, Statement, TableFactor, TableWithJoins,
    Visit as _, Visitor,
};
use sqlparser::tokenizer::Span;
use wabalake_data::Table;

use super::fault::at;
use crate::error::{Error, Result};

/// Checks that a statement names no people but as what `COUNT(DISTINCT …)` counts: a column, or the results of
/// a CASE.
///
/// # Errors
/// The first column that [tells of people](wabalake_data::Column::tells_of_people), `*` of a table that has
/// one, or file.
pub(super) fn check(statement: &Statement, tables: &[&'static Table]) -> Result<()> {
    let mut relations = Relations { tables, known: Vec::new() };
    let _ = statement.visit(&mut relations);
    let mut people = People { tables, relations: relations.known, counted: Vec::new() };
    match statement.visit(&mut people) {
        ControlFlow::Break(error) => Err(*error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

/// What a name before a column stands for: a table, or a subquery, which is none.
type Relation = (String, Option<&'static Table>);

/// A visitor that collects the tables and subqueries of all FROMs, by the names that they have there.
struct Relations<'a> {
    tables: &'a [&'static Table],
    known: Vec<Relation>,
}

impl Visitor for Relations<'_> {
    type Break = ();

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        self.known.extend(relation(factor, self.tables));
        ControlFlow::Continue(())
    }
}

/// The name of a table or subquery in FROM, if it has one.
fn relation(factor: &TableFactor, tables: &[&'static Table]) -> Option<Relation> {
    let (name, table) = match factor {
        TableFactor::Table { name, alias, args: None, .. } => {
            let own = last(name)?;
            let table = tables.iter().find(|table| table.name == own.value).copied();
            (alias.as_ref().map_or(own, |alias| &alias.name), table)
        }
        TableFactor::Derived { alias: Some(alias), .. } => (&alias.name, None),
        _ => return None,
    };
    Some((name.value.clone(), table))
}

/// A visitor that stops at a name of people.
struct People<'a> {
    tables: &'a [&'static Table],
    relations: Vec<Relation>,
    /// Where names are that are only counted.
    counted: Vec<Span>,
}

impl People<'_> {
    /// Returns `true` if a name, with those before it, may be that of a column that tells of people.
    fn are_named(&self, names: &[Ident]) -> bool {
        let Some((name, before)) = names.split_last() else { return false };
        let before = before.last().map(|before| before.value.as_str());
        let is_meant = |relation: &&Relation| Some(relation.0.as_str()) == before;
        let meant: Vec<&Relation> = self.relations.iter().filter(is_meant).collect();
        if meant.is_empty() {
            // Of a column without a table before it, any table may be meant.
            return self.tables.iter().any(|table| has_named(table, name));
        }
        meant.iter().any(|(_, table)| table.is_some_and(|table| has_named(table, name)))
    }

    /// A table of the statement that has people.
    fn any_table(&self) -> Option<&'static Table> {
        self.tables.iter().copied().find(|table| has_people(table))
    }

    /// Checks names of columns.
    fn named(&self, names: &[Ident]) -> Result<()> {
        match names.last() {
            Some(name) if is_pattern(name) => all_columns(name.span, self.any_table()),
            Some(name) if !self.counted.contains(&name.span) && self.are_named(names) => {
                Err(at(name.span, format!("`{}` names people", name.value.to_lowercase())))
            }
            _ => Ok(()),
        }
    }

    fn expression(&mut self, expr: &Expr) -> Result<()> {
        match expr {
            Expr::Identifier(name) => self.named(std::slice::from_ref(name)),
            Expr::CompoundIdentifier(names) => self.named(names),
            Expr::Wildcard(token) | Expr::QualifiedWildcard(_, token) => {
                all_columns(token.0.span, self.any_table())
            }
            Expr::Function(function) if is_distinct_count(function) => {
                arguments(function).for_each(|counted| self.add_counted(counted));
                Ok(())
            }
            Expr::Function(function) if takes_all_columns(function) => {
                all_columns(function.name.span(), self.any_table())
            }
            _ => Ok(()),
        }
    }

    /// Adds where the columns stand that are counted as they are: an expression of them, or a condition, would
    /// tell more than how many there are.
    fn add_counted(&mut self, expr: &Expr) {
        match expr {
            Expr::Identifier(name) => self.counted.push(name.span),
            Expr::CompoundIdentifier(names) => {
                self.counted.extend(names.last().map(|name| name.span));
            }
            Expr::Nested(inner) => self.add_counted(inner),
            Expr::Case { conditions, else_result, .. } => {
                let results = conditions.iter().map(|when| &when.result);
                results.chain(else_result.as_deref()).for_each(|result| self.add_counted(result));
            }
            _ => {}
        }
    }

    fn select(&self, select: &Select) -> Result<()> {
        let mut from = Joined::default();
        select.from.iter().for_each(|tables| from.add(tables));
        for name in from.using.iter().copied().flatten().filter_map(last) {
            self.named(std::slice::from_ref(name))?;
        }
        let relations: Vec<Relation> =
            from.factors.iter().filter_map(|factor| relation(factor, self.tables)).collect();
        let with_people = |(_, table): &Relation| table.filter(|table| has_people(table));
        for item in &select.projection {
            match item {
                SelectItem::Wildcard(options) => {
                    let table = relations.iter().find_map(with_people);
                    all_columns(options.wildcard_token.0.span, table)?;
                }
                SelectItem::QualifiedWildcard(kind, options) => {
                    let table = match kind {
                        SelectItemQualifiedWildcardKind::ObjectName(name) => {
                            let name = last(name).map(|name| name.value.as_str());
                            let is_it = |relation: &&Relation| Some(relation.0.as_str()) == name;
                            let mut meant = self.relations.iter().filter(is_it).peekable();
                            match meant.peek() {
                                Some(_) => meant.find_map(with_people),
                                None => self.any_table(),
                            }
                        }
                        SelectItemQualifiedWildcardKind::Expr(_) => self.any_table(),
                    };
                    all_columns(options.wildcard_token.0.span, table)?;
                }
                _ => {}
            }
        }
        // `FROM sessions` without SELECT.
        match (select.projection.is_empty(), from.factors.first()) {
            (true, Some(first)) => {
                all_columns(first.span(), relations.iter().find_map(with_people))
            }
            _ => Ok(()),
        }
    }

    fn table_factor(&self, factor: &TableFactor) -> Result<()> {
        match factor {
            TableFactor::Table { name, args: Some(_), .. } | TableFactor::Function { name, .. } => {
                Err(at(name.span(), "a file may have columns of people"))
            }
            // A list of names after the alias gives each column another one.
            TableFactor::Table { alias: Some(alias), .. } if !alias.columns.is_empty() => {
                let table = relation(factor, self.tables).and_then(|(_, table)| table);
                all_columns(alias.name.span, table.filter(|table| has_people(table)))
            }
            TableFactor::Table { .. }
            | TableFactor::Derived { .. }
            | TableFactor::NestedJoin { .. }
            | TableFactor::UNNEST { .. } => Ok(()),
            // They make columns of others.
            other => all_columns(other.span(), self.any_table()),
        }
    }
}

impl Visitor for People<'_> {
    type Break = Box<Error>;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<Box<Error>> {
        match is_of_table(&query.body) {
            true => stopped(all_columns(query.span(), self.any_table())),
            false => ControlFlow::Continue(()),
        }
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<Box<Error>> {
        stopped(self.select(select))
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<Box<Error>> {
        stopped(self.table_factor(factor))
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<Box<Error>> {
        stopped(self.expression(expr))
    }
}

fn stopped(checked: Result<()>) -> ControlFlow<Box<Error>> {
    match checked {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => ControlFlow::Break(Box::new(error)),
    }
}

/// The error of all columns of a table that has people, if there is one.
fn all_columns(there: Span, table: Option<&Table>) -> Result<()> {
    match table {
        Some(table) => Err(at(there, format!("all columns of `{}` name people", table.name))),
        None => Ok(()),
    }
}

fn has_people(table: &Table) -> bool {
    table.columns.iter().any(wabalake_data::Column::tells_of_people)
}

fn has_named(table: &Table, name: &Ident) -> bool {
    let columns = || table.columns.iter().filter(|column| column.tells_of_people());
    columns().any(|column| column.name.eq_ignore_ascii_case(&name.value))
}

/// Returns `true` if Polars expands a name to several columns: `"*"`, or a regular expression, `"^…$"`.
fn is_pattern(name: &Ident) -> bool {
    name.value == "*" || name.value.starts_with('^')
}

fn last(name: &ObjectName) -> Option<&Ident> {
    name.0.last()?.as_ident()
}

/// Returns `true` for `COUNT(DISTINCT …)`.
fn is_distinct_count(function: &Function) -> bool {
    let FunctionArguments::List(list) = &function.args else { return false };
    is_count(function) && list.duplicate_treatment == Some(DuplicateTreatment::Distinct)
}

/// The expressions that a function takes.
fn arguments(function: &Function) -> impl Iterator<Item = &Expr> {
    let list = match &function.args {
        FunctionArguments::List(list) => list.args.as_slice(),
        _ => &[],
    };
    list.iter().filter_map(|argument| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr),
        _ => None,
    })
}

fn is_count(function: &Function) -> bool {
    last(&function.name).is_some_and(|name| name.value.eq_ignore_ascii_case("count"))
}

/// Returns `true` for functions of all columns: `COLUMNS(…)`, and any but COUNT with a `*`.
fn takes_all_columns(function: &Function) -> bool {
    let is_columns = last(&function.name).is_some_and(|n| n.value.eq_ignore_ascii_case("columns"));
    let FunctionArguments::List(list) = &function.args else { return is_columns };
    let is_wildcard = |argument: &FunctionArg| {
        let (FunctionArg::Unnamed(argument)
        | FunctionArg::Named { arg: argument, .. }
        | FunctionArg::ExprNamed { arg: argument, .. }) = argument;
        !matches!(argument, FunctionArgExpr::Expr(_))
    };
    is_columns || (!is_count(function) && list.args.iter().any(is_wildcard))
}

/// Returns `true` if a query, or a side of its set operations, is `TABLE name`.
fn is_of_table(body: &SetExpr) -> bool {
    match body {
        SetExpr::Table(_) => true,
        SetExpr::SetOperation { left, right, .. } => is_of_table(left) || is_of_table(right),
        _ => false,
    }
}

/// What a FROM joins: tables and subqueries, and the columns of each USING.
#[derive(Default)]
struct Joined<'a> {
    factors: Vec<&'a TableFactor>,
    using: Vec<&'a [ObjectName]>,
}

impl<'a> Joined<'a> {
    fn add(&mut self, tables: &'a TableWithJoins) {
        self.add_factor(&tables.relation);
        for join in &tables.joins {
            self.add_factor(&join.relation);
            if let Some(JoinConstraint::Using(columns)) = constraint(&join.join_operator) {
                self.using.push(columns);
            }
        }
    }

    fn add_factor(&mut self, factor: &'a TableFactor) {
        match factor {
            TableFactor::NestedJoin { table_with_joins, .. } => self.add(table_with_joins),
            other => self.factors.push(other),
        }
    }
}

fn constraint(operator: &JoinOperator) -> Option<&JoinConstraint> {
    use JoinOperator as J;
    match operator {
        J::Join(constraint)
        | J::Inner(constraint)
        | J::Left(constraint)
        | J::LeftOuter(constraint)
        | J::Right(constraint)
        | J::RightOuter(constraint)
        | J::FullOuter(constraint)
        | J::CrossJoin(constraint)
        | J::Semi(constraint)
        | J::LeftSemi(constraint)
        | J::RightSemi(constraint)
        | J::Anti(constraint)
        | J::LeftAnti(constraint)
        | J::RightAnti(constraint)
        | J::AsOf { constraint, .. }
        | J::StraightJoin(constraint) => Some(constraint),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Sql, on_deep_stack};

    /// The place and the fault, if a statement names people.
    fn fault(text: &str) -> Option<String> {
        let checked = on_deep_stack(|| Ok(Sql::read(text)?.check_people().err()));
        checked.unwrap().map(|error| error.lines())
    }

    #[test]
    fn columns_of_people_are_named_wherever_they_stand() {
        for (statement, place) in [
            ("SELECT user_phone FROM sessions", "line 1, column 8: `user_phone` names people"),
            ("SELECT s.USER_CELLPHONE FROM sessions AS s", "line 1, column 10: `user_cellphone`"),
            (
                "SELECT country FROM sessions\nWHERE first_message = 'x'",
                "line 2, column 7: `first_m",
            ),
            ("SELECT COUNT(*) AS n FROM sessions GROUP BY user_id", "column 45: `user_id`"),
            ("SELECT COUNT(user_phone) AS n FROM sessions", "`user_phone`"),
            ("SELECT country FROM sessions ORDER BY LENGTH(last_message)", "`last_message`"),
            (
                "SELECT COUNT(*) AS n FROM sessions JOIN deployments USING (user_phone)",
                "`user_phone`",
            ),
            (
                "SELECT COUNT(*) AS n FROM sessions AS s \
                 JOIN deployments AS d ON d.user_phone = s.user_phone",
                "`user_phone`",
            ),
            (
                "SELECT COUNT(DISTINCT country) FILTER (WHERE message = 'x') AS n FROM messages",
                "`message`",
            ),
            (
                "SELECT COUNT(DISTINCT country) OVER (PARTITION BY whatsapp_id) AS n FROM messages",
                "`whatsapp_id`",
            ),
            ("SELECT \"from\", \"to\" FROM messages", "`from`"),
            ("SELECT linked FROM identities", "`linked`"),
            ("SELECT person FROM persons", "`person`"),
            ("SELECT agent FROM agent_chats", "`agent`"),
            ("SELECT value FROM variables", "`value`"),
            (
                "SELECT value FROM conversions AS c JOIN variables AS v ON c.session_id = v.session_id",
                "`value`",
            ),
            (
                "WITH p AS (SELECT user_phone AS p FROM sessions) SELECT COUNT(*) AS n FROM p",
                "column 19",
            ),
            ("SELECT country FROM (SELECT country, message FROM messages) AS m", "`message`"),
            ("SELECT s.\"user_phone\" FROM sessions s", "`user_phone`"),
            ("SELECT m.\"from\" FROM messages AS m", "`from`"),
            ("SELECT context_id FROM messages", "`context_id`"),
            ("SELECT button_payload FROM messages", "`button_payload`"),
            ("SELECT MAX(reaction) AS r FROM messages", "`reaction`"),
            ("WITH a(x) AS (SELECT user_phone FROM sessions) SELECT x FROM a", "`user_phone`"),
            // What is counted would tell more than how many there are.
            ("SELECT COUNT(DISTINCT SUBSTR(user_phone, 1, 4)) AS n FROM sessions", "`user_phone`"),
            ("SELECT COUNT(DISTINCT user_phone || country) AS n FROM sessions", "`user_phone`"),
            (
                "SELECT COUNT(DISTINCT CASE WHEN user_phone = '1' THEN country END) AS n FROM sessions",
                "column 33: `user_phone`",
            ),
            (
                "SELECT COUNT(DISTINCT country) FILTER (WHERE user_phone LIKE '57%') AS n FROM sessions",
                "`user_phone`",
            ),
        ] {
            let found = fault(statement).unwrap_or_else(|| panic!("{statement}"));
            assert!(found.contains(place), "{statement}: {found}");
        }
    }

    #[test]
    fn all_columns_of_a_table_with_people_name_people() {
        for (statement, table) in [
            ("SELECT * FROM sessions", "line 1, column 8: all columns of `sessions` name people"),
            ("SELECT * EXCLUDE (user_phone) FROM sessions", "`sessions`"),
            ("SELECT r.*, d.* FROM rates AS r CROSS JOIN deployments AS d", "`deployments`"),
            (
                "SELECT country FROM sessions WHERE session_id IN (SELECT * FROM closures)",
                "`closures`",
            ),
            ("FROM sessions", "`sessions`"),
            ("SELECT COUNT(*) AS n FROM sessions UNION ALL TABLE sessions", "`sessions`"),
            ("SELECT COLUMNS('^user') FROM sessions", "`sessions`"),
            ("SELECT MIN(*) FROM sessions", "`sessions`"),
            ("SELECT p.b FROM persons AS p (a, b)", "`persons`"),
            ("SELECT a FROM read_csv('a.csv')", "a file may have columns of people"),
            ("SELECT \"^.*$\" FROM sessions", "`sessions`"),
            ("SELECT \"*\" FROM sessions", "`sessions`"),
            ("SELECT COUNT(DISTINCT \"^user.*$\") AS n FROM sessions", "`sessions`"),
            ("SELECT S.* FROM sessions AS s", "`sessions`"),
            ("SELECT * FROM rates JOIN sessions ON rates.country = sessions.country", "`sessions`"),
            ("SELECT * FROM (sessions s JOIN rates r ON r.country = s.country)", "`sessions`"),
            ("WITH a AS (SELECT * FROM sessions) SELECT country FROM a", "`sessions`"),
            ("WITH a AS (SELECT country FROM sessions) TABLE sessions", "`sessions`"),
            ("SELECT country FROM rates UNION ALL SELECT * FROM sessions", "`sessions`"),
        ] {
            let found = fault(statement).unwrap_or_else(|| panic!("{statement}"));
            assert!(found.contains(table), "{statement}: {found}");
        }
    }

    #[test]
    fn people_may_be_counted() {
        for statement in [
            "SELECT country, COUNT(DISTINCT user_phone) AS users FROM sessions GROUP BY country",
            "SELECT COUNT(DISTINCT s.user_phone) FILTER (WHERE s.country = 'CO') AS n FROM sessions AS s",
            "SELECT COUNT(DISTINCT CASE WHEN country = 'CO' THEN user_id END) AS n FROM sessions",
            "SELECT COUNT(*) AS message FROM deployments ORDER BY message",
            "SELECT SUM(value) AS value FROM conversions",
            "SELECT c.value FROM conversions AS c JOIN variables AS v ON c.session_id = v.session_id",
            "SELECT tag, COUNT(*) AS n FROM audience_tags GROUP BY tag",
            "SELECT * FROM rates",
            "SELECT a.* FROM (SELECT country FROM sessions) AS a",
            "SELECT COUNT(*) * 2 AS n FROM messages",
            "SELECT 'user_phone' AS word FROM sessions -- user_phone",
            "SELECT r.country FROM rates AS r (a, b, c, d, e, f, g)",
            "WITH n AS (SELECT country, COUNT(*) AS n FROM sessions GROUP BY country) SELECT * FROM n",
            "SELECT d.user_phone FROM (SELECT COUNT(DISTINCT user_phone) AS user_phone FROM sessions) AS d",
        ] {
            assert_eq!(fault(statement), None, "{statement}");
        }
    }
}
