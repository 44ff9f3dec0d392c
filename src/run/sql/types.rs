//! Types of the expressions of a statement, as far as names and functions decide them.

use std::collections::HashMap;
use std::ops::ControlFlow;

use polars::prelude::{DataType, TimeUnit};
use sqlparser::ast::{
    BinaryOperator, DataType as SqlType, Expr, Function, Select, SelectItem, Statement, Visit as _,
    Visitor,
};
use wabalake_data::Table;
use wabalake_data::tables::instant;

use super::ast::arguments;

/// The types of names: of the columns of tables, and of the aliases of the statement.
#[derive(Debug, Default)]
pub(super) struct Types {
    /// `None` if a name has several types.
    names: HashMap<String, Option<DataType>>,
}

impl Types {
    /// Collects the types of all names in a statement.
    pub(super) fn of_statement(statement: &Statement, tables: &[&'static Table]) -> Self {
        let mut types = Self::default();
        for column in tables.iter().flat_map(|table| table.columns) {
            types.learn(column.name, Some(column.data_type()));
        }
        // Twice: a subquery may come after the aliases that refer to it.
        for _ in 0..2 {
            let _ = statement.visit(&mut types);
        }
        types
    }

    fn learn(&mut self, name: &str, of: Option<DataType>) {
        let known = self.names.entry(name.to_owned()).or_insert_with(|| of.clone());
        if *known != of {
            *known = None;
        }
    }

    fn named(&self, name: &str) -> Option<DataType> {
        self.names.get(name).cloned().flatten()
    }

    /// Returns the type of an expression, or `None` if it is unknown.
    pub(super) fn of(&self, expr: &Expr) -> Option<DataType> {
        match expr {
            Expr::Identifier(name) => self.named(&name.value),
            Expr::CompoundIdentifier(names) => self.named(&names.last()?.value),
            Expr::Nested(inner) => self.of(inner),
            Expr::Cast { data_type, .. } => match data_type {
                SqlType::Date => Some(DataType::Date),
                SqlType::Timestamp(..) | SqlType::Datetime(_) => Some(instant()),
                SqlType::Varchar(_) | SqlType::Text | SqlType::String(_) => Some(DataType::String),
                SqlType::Int(_) | SqlType::Integer(_) | SqlType::BigInt(_) => Some(DataType::Int64),
                _ => None,
            },
            Expr::BinaryOp { left, op: BinaryOperator::Plus | BinaryOperator::Minus, right }
                if matches!(**right, Expr::Interval(_)) =>
            {
                self.of(left)
            }
            Expr::Extract { .. } => Some(DataType::Int64),
            Expr::Function(function) => self.of_call(function),
            _ => None,
        }
    }

    fn of_call(&self, function: &Function) -> Option<DataType> {
        let arguments = arguments(function);
        match (function.name.to_string().to_lowercase().as_str(), arguments.as_slice()) {
            ("count" | "length" | "row_number", _) => Some(DataType::Int64),
            (
                "lower" | "upper" | "concat" | "left" | "right" | "substr" | "strftime" | "replace",
                _,
            ) => Some(DataType::String),
            ("date", [_]) => Some(DataType::Date),
            ("timestamp" | "datetime", [_]) => Some(instant()),
            ("date_trunc", [unit, _]) => {
                let unit = unit.to_string().to_lowercase();
                Some(if unit.contains("hour") { instant() } else { DataType::Date })
            }
            (
                "min" | "max" | "first" | "last" | "first_value" | "last_value" | "lag" | "lead"
                | "coalesce" | "greatest" | "least" | "sum" | "ifnull" | "nullif",
                [of, ..],
            ) => self.of(of),
            _ => None,
        }
    }
}

impl Visitor for Types {
    type Break = ();

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        for item in &select.projection {
            if let SelectItem::ExprWithAlias { expr, alias } = item {
                let of = self.of(expr);
                self.learn(&alias.value, of);
            }
        }
        ControlFlow::Continue(())
    }
}

/// Returns `true` for timestamps.
pub(super) fn is_instant(of: &DataType) -> bool {
    matches!(of, DataType::Datetime(TimeUnit::Microseconds, _))
}
