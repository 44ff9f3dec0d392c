//! Builders and readers of syntax trees of SQL.

use chrono::NaiveDate;
use sqlparser::ast::{
    BinaryOperator, DollarQuotedString, Expr, Function, FunctionArg, FunctionArgExpr,
    FunctionArgumentList, FunctionArguments, Ident, ObjectName, Value,
};

use super::functions::{INSTANT, LOCAL_DATE};

/// Builds a function call.
pub(super) fn call(name: &str, arguments: Vec<Expr>) -> Expr {
    let args =
        arguments.into_iter().map(|value| FunctionArg::Unnamed(FunctionArgExpr::Expr(value)));
    Expr::Function(Function {
        name: ObjectName::from(Ident::new(name)),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args: args.collect(),
            clauses: Vec::new(),
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

/// Returns the arguments of a call, or none if one of them is named or a wildcard.
pub(super) fn arguments(function: &Function) -> Vec<&Expr> {
    let FunctionArguments::List(list) = &function.args else { return Vec::new() };
    let plain = list.args.iter().map(|arg| match arg {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(value)) => Some(value),
        _ => None,
    });
    plain.collect::<Option<_>>().unwrap_or_default()
}

/// Returns a function that combines two expressions with an operator, to reduce a list.
pub(super) fn chained(op: &BinaryOperator) -> impl Fn(Expr, Expr) -> Expr {
    move |left, right| Expr::BinaryOp {
        left: Box::new(left),
        op: op.clone(),
        right: Box::new(right),
    }
}

/// Puts an expression into parentheses.
pub(super) fn nested(expr: Expr) -> Expr {
    Expr::Nested(Box::new(expr))
}

/// Builds a text literal. One with quotes is dollar-quoted: Polars gets the statement as text, and
/// sqlparser does not escape quotes when it prints a literal.
pub(super) fn quoted(text: &str) -> Value {
    if !text.contains('\'') {
        return Value::SingleQuotedString(text.to_owned());
    }
    let tag =
        (0..=text.len()).map(|n| format!("q{n}")).find(|tag| !text.contains(&format!("${tag}")));
    Value::DollarQuotedString(DollarQuotedString { value: text.to_owned(), tag })
}

/// Builds the literal of a date in the reporting time zone.
pub(super) fn date_literal(date: NaiveDate) -> Option<Expr> {
    Some(call(LOCAL_DATE, vec![expression(&date.to_epoch_days().to_string())?]))
}

/// Builds the literal of a timestamp, from microseconds since 1970.
pub(super) fn instant_literal(micros: i64) -> Option<Expr> {
    Some(call(INSTANT, vec![expression(&micros.to_string())?]))
}

/// Parses an expression that this module wrote.
pub(super) fn expression(text: &str) -> Option<Expr> {
    use sqlparser::{dialect::GenericDialect, parser::Parser};
    Parser::new(&GenericDialect).try_with_sql(text).ok()?.parse_expr().ok()
}
