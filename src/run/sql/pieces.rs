//! Plans a statement piece by piece, from the inside out.
//!
//! ```text
//! WITH firsts AS (SELECT …) SELECT … FROM (SELECT … FROM firsts) AS f
//!   │ firsts         planned, and from here on a table of that name
//!   │ f              planned, and from here on SELECT * FROM piece_1
//!   ▼
//! SELECT … FROM (SELECT * FROM piece_1) AS f
//! ```
//!
//! Polars plans the pieces of a statement without the functions that are added to it.

use std::ops::ControlFlow;

use polars::prelude::{LazyFrame, PolarsError, PolarsResult, polars_bail, polars_err};
use polars::sql::SQLContext;
use sqlparser::ast::{
    Expr, Query, Select, SetExpr, TableFactor, TableWithJoins, Visit, VisitMut, Visitor, VisitorMut,
};
use sqlparser::dialect::GenericDialect;
use sqlparser::parser::Parser;

use super::functions::is_added;

/// The pieces that are planned so far.
pub(super) struct Pieces {
    context: SQLContext,
    planned: usize,
}

impl Pieces {
    /// None yet: what a context has are tables.
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
            SetExpr::SetOperation { left, right, .. } => {
                for side in [left, right] {
                    let mut query = all_of("_")?;
                    std::mem::swap(&mut query.body, side);
                    self.replace(&mut query)?;
                    *side = query.body;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn select(&mut self, select: &mut Select) -> PolarsResult<()> {
        for table in &mut select.from {
            self.tables(table)?;
        }
        // A condition on rows may be tied to those of the query around it, so only what Polars would
        // not know there is planned by itself.
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

    /// Plans a piece and puts `SELECT * FROM` its name in its place.
    fn replace(&mut self, query: &mut Query) -> PolarsResult<()> {
        let rows = self.query(query.clone())?;
        self.planned += 1;
        let name = format!("piece_{}", self.planned);
        self.context.register(&name, rows);
        *query = all_of(&name)?;
        Ok(())
    }
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
                Err(polars_err!(SQLInterface: "within EXISTS times are compared alone"))
            }
            _ => Ok(()),
        };
        match planned {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(Box::new(error)),
        }
    }
}

/// Whether a query calls a function that is added, or has a WITH.
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
