//! Plans the subqueries of a statement one by one, from the inside out.
//!
//! ```text
//! WITH firsts AS (SELECT …) SELECT … FROM (SELECT … FROM firsts) AS f
//!   │ firsts         planned, then registered as a table of that name
//!   │ f              planned, then replaced by SELECT * FROM piece_1
//!   ▼
//! SELECT … FROM (SELECT * FROM piece_1) AS f
//! ```
//!
//! Polars SQL plans subqueries without the function registry, so it would not find the added functions.

use std::ops::ControlFlow;

use polars::prelude::{LazyFrame, PolarsError, PolarsResult, polars_bail, polars_err};
use polars::sql::SQLContext;
use sqlparser::ast::{
    Expr, Query, Select, SetExpr, SetOperator, SetQuantifier, TableFactor, TableWithJoins, Visit,
    VisitMut, Visitor, VisitorMut,
};
use sqlparser::dialect::GenericDialect;
use sqlparser::parser::Parser;

use super::functions::is_added;

/// The SQL context and the number of subqueries registered in it.
pub(super) struct Pieces {
    context: SQLContext,
    planned: usize,
}

impl Pieces {
    /// Starts with a context of tables.
    pub(super) fn of(context: SQLContext) -> Self {
        Self { context, planned: 0 }
    }

    /// Plans a query.
    pub(super) fn query(&mut self, mut query: Query) -> PolarsResult<LazyFrame> {
        let with = query.with.take();
        if with.as_ref().is_some_and(|with| with.recursive) {
            polars_bail!(SQLInterface: "recursive CTEs are not supported");
        }
        for cte in with.into_iter().flat_map(|with| with.cte_tables) {
            let mut rows = self.query(*cte.query)?;
            let renamed: Vec<_> =
                cte.alias.columns.iter().map(|column| &column.name.value).collect();
            if !renamed.is_empty() {
                let names: Vec<_> = rows.collect_schema()?.iter_names_cloned().collect();
                if names.len() != renamed.len() {
                    polars_bail!(
                        SQLSyntax: "`{}` has {} columns, and {} names for them",
                        cte.alias.name.value, names.len(), renamed.len()
                    );
                }
                rows = rows.rename(names, renamed, true);
            }
            self.context.register(&cte.alias.name.value, rows);
        }
        self.body(&mut query.body)?;
        self.context.execute(&query.to_string())
    }

    fn body(&mut self, body: &mut SetExpr) -> PolarsResult<()> {
        match body {
            SetExpr::Select(select) => self.select(select),
            SetExpr::Query(query) => self.replace(query),
            SetExpr::SetOperation { .. } => self.set_operation(body),
            _ => Ok(()),
        }
    }

    /// Plans the sides of a set operation. A chain of unions becomes a balanced tree: for a chain, Polars
    /// computes the schema of each union again for every union around it.
    fn set_operation(&mut self, body: &mut SetExpr) -> PolarsResult<()> {
        let mut sides = Vec::new();
        let mut unions = None;
        let mut rest = std::mem::replace(body, *all_of("_")?.body);
        loop {
            match rest {
                SetExpr::SetOperation { op, set_quantifier, left, right }
                    if unions.is_none_or(|unions| unions == (op, set_quantifier)) =>
                {
                    unions = Some((op, set_quantifier));
                    sides.push(*right);
                    rest = *left;
                    // UNION BY NAME takes its columns from the left side.
                    if op != SetOperator::Union || is_by_name(set_quantifier) {
                        break;
                    }
                }
                other => {
                    rest = other;
                    break;
                }
            }
        }
        sides.push(rest);
        sides.reverse();
        let Some((op, set_quantifier)) = unions else { return Ok(()) };
        for side in &mut sides {
            self.replace_body(side)?;
        }
        while sides.len() > 2 {
            let mut paired = Vec::with_capacity(sides.len().div_ceil(2));
            let mut rest = sides.into_iter();
            while let Some(left) = rest.next() {
                paired.push(match rest.next() {
                    None => left,
                    Some(right) => {
                        let (left, right) = (Box::new(left), Box::new(right));
                        let pair = SetExpr::SetOperation { op, set_quantifier, left, right };
                        let mut query = all_of("_")?;
                        *query.body = pair;
                        let rows = self.context.execute(&query.to_string())?;
                        self.register(rows)?
                    }
                });
            }
            sides = paired;
        }
        if let (Some(right), Some(left)) = (sides.pop(), sides.pop()) {
            let (left, right) = (Box::new(left), Box::new(right));
            *body = SetExpr::SetOperation { op, set_quantifier, left, right };
        }
        Ok(())
    }

    /// Plans one side of a set operation and replaces it by `SELECT * FROM piece`.
    fn replace_body(&mut self, side: &mut SetExpr) -> PolarsResult<()> {
        let mut query = all_of("_")?;
        std::mem::swap(&mut *query.body, side);
        self.replace(&mut query)?;
        std::mem::swap(&mut *query.body, side);
        Ok(())
    }

    /// Registers rows as a table. Returns `SELECT * FROM piece`.
    fn register(&mut self, rows: LazyFrame) -> PolarsResult<SetExpr> {
        self.planned += 1;
        let name = format!("piece_{}", self.planned);
        self.context.register(&name, rows);
        Ok(*all_of(&name)?.body)
    }

    fn select(&mut self, select: &mut Select) -> PolarsResult<()> {
        for table in &mut select.from {
            self.tables(table)?;
        }
        // A subquery in a condition may refer to the outer query, so it is planned here only if it
        // calls an added function.
        match VisitMut::visit(select, &mut Conditions(self)) {
            ControlFlow::Break(error) => Err(*error),
            ControlFlow::Continue(()) => Ok(()),
        }
    }

    fn tables(&mut self, tables: &mut TableWithJoins) -> PolarsResult<()> {
        let joined = tables.joins.iter_mut().map(|join| &mut join.relation);
        for factor in std::iter::once(&mut tables.relation).chain(joined) {
            match factor {
                TableFactor::Derived { lateral: false, subquery, .. } => self.replace(subquery)?,
                TableFactor::NestedJoin { table_with_joins, .. } => {
                    self.tables(table_with_joins)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Plans a subquery and replaces it by `SELECT * FROM piece`.
    fn replace(&mut self, query: &mut Query) -> PolarsResult<()> {
        let taken = std::mem::replace(query, all_of("_")?);
        let rows = self.query(taken)?;
        *query.body = self.register(rows)?;
        Ok(())
    }
}

fn is_by_name(quantifier: SetQuantifier) -> bool {
    use SetQuantifier as Q;
    matches!(quantifier, Q::ByName | Q::AllByName | Q::DistinctByName)
}

fn all_of(table: &str) -> PolarsResult<Query> {
    let parsed = Parser::new(&GenericDialect).try_with_sql(&format!("SELECT * FROM {table}"));
    match parsed.and_then(|mut parser| parser.parse_query()) {
        Ok(query) => Ok(*query),
        Err(error) => polars_bail!(SQLInterface: "{error}"),
    }
}

struct Conditions<'a>(&'a mut Pieces);

impl VisitorMut for Conditions<'_> {
    type Break = Box<PolarsError>;

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Self::Break> {
        let planned = match expr {
            Expr::InSubquery { subquery, .. } if needs_functions(subquery) => {
                self.0.replace(subquery)
            }
            Expr::Exists { subquery, .. } if needs_functions(subquery) => {
                Err(polars_err!(SQLInterface: "within EXISTS times can only be compared"))
            }
            _ => Ok(()),
        };
        match planned {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(Box::new(error)),
        }
    }
}

/// Returns `true` if a query calls an added function or has a WITH.
fn needs_functions(query: &Query) -> bool {
    query.visit(&mut Added).is_break()
}

struct Added;

impl Visitor for Added {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        if query.with.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        match expr {
            Expr::Function(function) if is_added(&function.name.to_string()) => {
                ControlFlow::Break(())
            }
            _ => ControlFlow::Continue(()),
        }
    }
}
