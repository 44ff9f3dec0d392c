//! Rewrites a statement for Polars: parameters become literals, and times become times of the reporting
//! zone, where Polars would use UTC.
//!
//! ```text
//! session_started_timestamp >= '2025-06-01'   →  session_started_timestamp >= instant(1748754000000000)
//! conversation_id = :flow                     →  conversation_id = '417'    a text, like the column
//! country IN (:country)                       →  country IN ('CO', 'MX')
//! PERCENTILE_CONT(0.9) WITHIN GROUP (ORDER BY x)  →  QUANTILE_CONT(x, 0.9)
//! ```

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use chrono::{DateTime, NaiveDate};
use chrono_tz::Tz;
use polars::prelude::DataType;
use sqlparser::ast::{
    BinaryOperator, CastKind, DataType as SqlType, Expr, Spanned as _, Statement, TypedString,
    Value, ValueWithSpan, Visit as _, VisitMut, Visitor, VisitorMut,
};
use wabalake_data::Table;
use wabalake_data::words::{did_you_mean, nearest};
use wabalake_queries::query::time::read_date;

use super::ast::{
    arguments, call, chained, date_literal, expression, instant_literal, nested, quoted,
};
use super::depth::too_much;
use super::fault::{at, shown};
use super::functions::{INSTANT, LOCAL_DATE, MICROS, UNITS, read};
use super::parameters::{Parameter, ParameterType};
use super::types::{Types, is_instant};
use crate::error::{Error, Result};

/// The visitor that rewrites a statement.
pub(super) struct Binder<'a> {
    types: Types,
    parameters: &'a [Parameter],
    used: BTreeSet<&'a str>,
    zone: Tz,
    /// The number of EXISTS around the current expression: Polars does not find added functions there.
    within_exists: usize,
}

impl<'a> Binder<'a> {
    /// Returns the rewritten statement.
    ///
    /// # Errors
    /// A parameter is missing, unused or of the wrong type.
    pub(super) fn bind(
        statement: &Statement,
        tables: &[&'static Table],
        parameters: &'a [Parameter],
        zone: Tz,
    ) -> Result<Statement> {
        let types = Types::of_statement(statement, tables);
        let mut binder = Self { types, parameters, used: BTreeSet::new(), zone, within_exists: 0 };
        let mut bound = statement.clone();
        if let ControlFlow::Break(error) = VisitMut::visit(&mut bound, &mut binder) {
            return Err(*error);
        }
        match parameters.iter().find(|given| !binder.used.contains(given.name.as_str())) {
            None => Ok(bound),
            Some(unused) => {
                let mut placeholders = Placeholders::default();
                let _ = statement.visit(&mut placeholders);
                let near = nearest(&unused.name, placeholders.0.iter().map(String::as_str));
                let error = Error::usage(format!("the query has no `:{}`", shown(&unused.name)));
                Err(match near {
                    Some(name) => error.hint(did_you_mean(format_args!("`--param {name}=…`"))),
                    None => error.hint("leave `--param` out, or use it in the query"),
                })
            }
        }
    }

    /// Returns the values of a placeholder.
    fn values(&mut self, placeholder: &str, there: &Expr) -> Result<Vec<&'a Parameter>> {
        let Some(name) = placeholder.strip_prefix(':') else {
            return Err(at(there.span(), format!("parameter `{placeholder}` is not supported"))
                .hint("write it as `:name`, and give it with `--param name=…`"));
        };
        let parameters = self.parameters;
        let given: Vec<_> = parameters.iter().filter(|given| given.name == name).collect();
        let Some(first) = given.first() else {
            let others = parameters.iter().map(|given| given.name.as_str());
            return Err(at(there.span(), format!("`:{name}` has no value")).hint(
                match nearest(name, others) {
                    Some(near) => {
                        format!("give it with `--param {name}=…`; `:{near}` has one")
                    }
                    None => format!("give it with `--param {name}=…`"),
                },
            ));
        };
        self.used.insert(&first.name);
        Ok(given)
    }

    /// Converts a parameter to a literal of the type that it is compared with.
    fn literal(&self, given: &Parameter, wanted: Option<&DataType>, there: &Expr) -> Result<Expr> {
        given.literal(wanted.and_then(ParameterType::of), self.zone).map_err(|expected| {
            at(there.span(), format!("`:{}` is not {}", given.name, expected.description())).hint(
                match given.of {
                    Some(_) => "give a value of the type in `--param NAME:TYPE=VALUE`",
                    None => "give a value of the type that it is compared with",
                },
            )
        })
    }

    /// Rewrites a value that is compared with an expression of type `wanted`.
    fn bind_value(&mut self, value: &mut Expr, wanted: Option<&DataType>) -> Result<()> {
        self.bind_literal(value, wanted)?;
        if self.within_exists > 0
            && let Some(text) = local_text(value, self.zone)
        {
            *value = Expr::Value(Value::SingleQuotedString(text).into());
        }
        Ok(())
    }

    fn bind_literal(&mut self, value: &mut Expr, wanted: Option<&DataType>) -> Result<()> {
        match value {
            Expr::Nested(inner) => self.bind_value(inner, wanted),
            // Of a timestamp plus an interval, only the timestamp takes the type.
            Expr::BinaryOp { left, op: BinaryOperator::Plus | BinaryOperator::Minus, right }
                if matches!(**right, Expr::Interval(_)) =>
            {
                self.bind_value(left, wanted)
            }
            Expr::Value(ValueWithSpan { value: Value::Placeholder(name), .. }) => {
                let name = name.clone();
                match self.values(&name, value)?.as_slice() {
                    [one] => *value = self.literal(one, wanted, value)?,
                    _ => {
                        return Err(at(value.span(), format!("`{name}` has several values"))
                            .hint(format!("compare with `IN ({name})`, or give one value")));
                    }
                }
                Ok(())
            }
            Expr::Value(ValueWithSpan { value: text @ Value::SingleQuotedString(_), .. })
                if wanted.is_some_and(|of| is_instant(of) || *of == DataType::Date) =>
            {
                let is_date = wanted == Some(&DataType::Date);
                let made = self.typed(if is_date { &SqlType::Date } else { &TIMESTAMP_TYPE }, text);
                *value = made.ok_or_else(|| match is_date {
                    true => at(value.span(), "not a date").hint(DATE),
                    false => at(value.span(), "not a timestamp").hint(TIMESTAMP),
                })?;
                Ok(())
            }
            Expr::Value(ValueWithSpan { value: Value::Number(number, _), span })
                if wanted == Some(&DataType::String) =>
            {
                let what = format!("the number {number} is compared with a text");
                Err(at(*span, what).hint(format!("ids and phones are texts: write '{number}'")))
            }
            Expr::TypedString(TypedString { data_type, value: text, .. })
                if is_stamp(data_type) =>
            {
                let to = if wanted.is_some_and(is_instant) { &TIMESTAMP_TYPE } else { &*data_type };
                let made = self.typed(to, &text.value);
                *value = made.ok_or_else(|| at(value.span(), "not a timestamp").hint(TIMESTAMP))?;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Converts `DATE '…'` or `TIMESTAMP '…'` to a literal.
    fn typed(&self, data_type: &SqlType, text: &Value) -> Option<Expr> {
        let Value::SingleQuotedString(text) = text else { return None };
        match data_type {
            SqlType::Date => read_date(text).ok().and_then(date_literal),
            _ => read(text, self.zone).and_then(instant_literal),
        }
    }

    /// Rewrites one expression; the visitor calls it for each.
    fn expression(&mut self, expr: &mut Expr) -> Result<()> {
        match expr {
            Expr::BinaryOp { left, op, right } if is_comparison(op) => {
                let (of_left, of_right) = (self.types.of(left), self.types.of(right));
                self.bind_value(left, of_right.as_ref())?;
                self.bind_value(right, of_left.as_ref())
            }
            Expr::Between { expr: compared, low, high, .. } => {
                let of = self.types.of(compared);
                self.bind_value(low, of.as_ref())?;
                self.bind_value(high, of.as_ref())
            }
            Expr::InList { .. } => self.list(expr),
            Expr::Like { pattern, .. } | Expr::ILike { pattern, .. } => {
                self.bind_value(pattern, Some(&DataType::String))
            }
            Expr::Cast {
                kind: CastKind::Cast | CastKind::DoubleColon,
                expr: cast,
                data_type,
                ..
            } => {
                let to = match data_type {
                    SqlType::Date => LOCAL_DATE,
                    SqlType::Timestamp(..) | SqlType::Datetime(_) => INSTANT,
                    _ => return Ok(()),
                };
                *expr = call(to, vec![(**cast).clone()]);
                Ok(())
            }
            Expr::TypedString(_)
            | Expr::Value(ValueWithSpan { value: Value::Placeholder(_), .. }) => {
                self.bind_value(expr, None)
            }
            Expr::Function(_) => function(expr),
            _ => Ok(()),
        }
    }

    /// Rewrites `x IN (…)`: a placeholder becomes all its values. A list of timestamps becomes
    /// comparisons, because Polars takes only plain literals in a list.
    fn list(&mut self, expr: &mut Expr) -> Result<()> {
        let Expr::InList { expr: compared, list, negated } = expr else { return Ok(()) };
        let of = self.types.of(compared);
        let mut items = Vec::with_capacity(list.len());
        for mut item in std::mem::take(list) {
            match &item {
                Expr::Value(ValueWithSpan { value: Value::Placeholder(name), .. }) => {
                    for given in self.values(name, &item)? {
                        items.push(self.literal(given, of.as_ref(), &item)?);
                    }
                }
                _ => {
                    self.bind_value(&mut item, of.as_ref())?;
                    items.push(item);
                }
            }
        }
        if of.as_ref().is_some_and(is_instant) {
            let many = items.len() > FEW_TIMESTAMPS && self.within_exists == 0;
            if let Some(many) = many.then(|| one_of_many(compared, &items, *negated)).flatten() {
                *expr = many;
                return Ok(());
            }
            if items.len() > MAX_TIMESTAMPS {
                let what = "timestamps in a list within EXISTS, or in one with values that are not literals";
                return Err(too_much(compared.span(), MAX_TIMESTAMPS, what));
            }
            let one_of = items.into_iter().map(|item| Expr::BinaryOp {
                left: compared.clone(),
                op: if *negated { BinaryOperator::NotEq } else { BinaryOperator::Eq },
                right: Box::new(item),
            });
            let op = if *negated { BinaryOperator::And } else { BinaryOperator::Or };
            if let Some(all) = one_of.reduce(chained(&op)) {
                *expr = nested(all);
            }
        } else {
            *list = items;
        }
        Ok(())
    }
}

/// Builds `x IN (…)` for many timestamps, as numbers: a chain of comparisons would be a tree as deep as the
/// list is long. The bounds of the list are compared too, so that files of other days are skipped.
fn one_of_many(compared: &Expr, items: &[Expr], negated: bool) -> Option<Expr> {
    let micros: Vec<i64> = items.iter().map(micros_of).collect::<Option<_>>()?;
    let numbers = micros.iter().map(|micros| expression(&micros.to_string()));
    let listed = Expr::InList {
        expr: Box::new(call(MICROS, vec![compared.clone()])),
        list: numbers.collect::<Option<_>>()?,
        negated,
    };
    if negated {
        return Some(listed);
    }
    let compare = |op, micros: &i64| {
        let right = Box::new(instant_literal(*micros)?);
        Some(Expr::BinaryOp { left: Box::new(compared.clone()), op, right })
    };
    let first = compare(BinaryOperator::GtEq, micros.iter().min()?)?;
    let last = compare(BinaryOperator::LtEq, micros.iter().max()?)?;
    [first, last, listed].into_iter().reduce(chained(&BinaryOperator::And)).map(nested)
}

/// Returns the microseconds of a timestamp literal that this module built.
fn micros_of(item: &Expr) -> Option<i64> {
    match item {
        Expr::Function(function) if function.name.to_string() == INSTANT => {
            match arguments(function).as_slice() {
                [number] => number.to_string().parse().ok(),
                _ => None,
            }
        }
        _ => None,
    }
}

/// Rewrites a call of a function that Polars has under another name, or computes in UTC.
fn function(expr: &mut Expr) -> Result<()> {
    let Expr::Function(function) = &*expr else { return Ok(()) };
    let name = function.name.to_string().to_lowercase();
    let arguments = arguments(function);
    let made = match (name.as_str(), arguments.as_slice()) {
        ("date", [of]) => call(LOCAL_DATE, vec![(*of).clone()]),
        ("timestamp" | "datetime", [of]) => call(INSTANT, vec![(*of).clone()]),
        ("date_trunc", [unit, of]) => {
            let Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(word), .. }) = unit
            else {
                return Err(
                    at(unit.span(), "the unit of DATE_TRUNC is not a text literal").hint(UNIT)
                );
            };
            let is_it = |unit: &str| unit == word.to_lowercase().replace(['_', ' '], "-");
            match UNITS.iter().find(|(unit, ..)| is_it(unit)) {
                Some((_, function, _)) => call(function, vec![(*of).clone()]),
                None => {
                    return Err(
                        at(unit.span(), format!("DATE_TRUNC has no `{}`", shown(word))).hint(UNIT)
                    );
                }
            }
        }
        ("percentile_cont" | "percentile_disc", [share]) => {
            match function.within_group.as_slice() {
                [by] if function.over.is_none() => {
                    let name = name.replace("percentile", "quantile");
                    let mut made = call(&name, vec![by.expr.clone(), (*share).clone()]);
                    if let Expr::Function(made) = &mut made {
                        made.filter.clone_from(&function.filter);
                    }
                    made
                }
                _ => return Ok(()),
            }
        }
        _ => return Ok(()),
    };
    *expr = made;
    Ok(())
}

/// Returns `true` for types of dates and timestamps.
fn is_stamp(of: &SqlType) -> bool {
    matches!(of, SqlType::Date | SqlType::Timestamp(..) | SqlType::Datetime(_))
}

const DATE: &str = "write it as YYYY-MM-DD, such as 2025-06-01";

const TIMESTAMP: &str = "write it as 2025-06-01, 2025-06-01 10:00:00 (in the reporting time zone) or \
                         2025-06-01T10:00:00Z";

const UNIT: &str = "it takes 'half-hour', 'hour', 'day', 'week' and 'month'; for years use \
                    EXTRACT(YEAR FROM …)";

/// Longer lists of timestamps become a list of numbers, not a chain of comparisons.
const FEW_TIMESTAMPS: usize = 16;

/// The longest chain of comparisons, where a list of numbers is not possible.
const MAX_TIMESTAMPS: usize = 500;

const TIMESTAMP_TYPE: SqlType = SqlType::Datetime(None);

impl VisitorMut for Binder<'_> {
    type Break = Box<Error>;

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Box<Error>> {
        self.within_exists += usize::from(matches!(expr, Expr::Exists { .. }));
        match self.expression(expr) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(Box::new(error)),
        }
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Box<Error>> {
        self.within_exists -= usize::from(matches!(expr, Expr::Exists { .. }));
        ControlFlow::Continue(())
    }

    fn post_visit_value(&mut self, value: &mut ValueWithSpan) -> ControlFlow<Box<Error>> {
        if let Value::SingleQuotedString(text) = &value.value {
            value.value = quoted(text);
        }
        ControlFlow::Continue(())
    }
}

/// Formats a timestamp or date literal that this module built as local time, which Polars parses.
fn local_text(value: &Expr, zone: Tz) -> Option<String> {
    let Expr::Function(function) = value else { return None };
    let number = match arguments(function).as_slice() {
        [number] => number.to_string().parse::<i64>().ok()?,
        _ => return None,
    };
    match function.name.to_string().as_str() {
        INSTANT => {
            let at = DateTime::from_timestamp_micros(number)?.with_timezone(&zone);
            Some(at.format("%Y-%m-%dT%H:%M:%S%.6f").to_string())
        }
        LOCAL_DATE => {
            let date = NaiveDate::from_epoch_days(i32::try_from(number).ok()?)?;
            Some(date.to_string())
        }
        _ => None,
    }
}

/// The names of the placeholders in a statement.
#[derive(Default)]
struct Placeholders(Vec<String>);

impl Visitor for Placeholders {
    type Break = ();

    fn pre_visit_value(&mut self, value: &ValueWithSpan) -> ControlFlow<()> {
        if let Value::Placeholder(name) = &value.value {
            self.0.push(name.trim_start_matches(':').to_owned());
        }
        ControlFlow::Continue(())
    }
}

fn is_comparison(op: &BinaryOperator) -> bool {
    use BinaryOperator as Op;
    matches!(op, Op::Eq | Op::NotEq | Op::Lt | Op::LtEq | Op::Gt | Op::GtEq | Op::Spaceship)
}
