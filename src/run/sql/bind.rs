//! Puts values for the parameters of a statement, and local time for what Polars would take as UTC.
//!
//! ```text
//! session_started_timestamp >= '2025-06-01'   →  session_started_timestamp >= instant(1748754000000000)
//! conversation_id = :flow                     →  conversation_id = '417'    a text: so is the column
//! country IN (:country)                       →  country IN ('CO', 'MX')
//! PERCENTILE_CONT(0.9) WITHIN GROUP (ORDER BY x)  →  QUANTILE_CONT(x, 0.9)
//! ```

use std::collections::{BTreeSet, HashMap};
use std::ops::ControlFlow;

use chrono::{DateTime, NaiveDate};
use chrono_tz::Tz;
use polars::prelude::{DataType, TimeUnit};
use sqlparser::ast::{
    BinaryOperator, CastKind, DataType as SqlType, Expr, Function, FunctionArg, FunctionArgExpr,
    FunctionArgumentList, FunctionArguments, Ident, ObjectName, Select, SelectItem, Spanned as _,
    Statement, TypedString, Value, ValueWithSpan, Visit as _, VisitMut, Visitor, VisitorMut,
};
use wabalake_data::Table;
use wabalake_data::tables::instant;
use wabalake_data::words::{did_you_mean, nearest};
use wabalake_queries::query::time::read_date;

use super::depth::too_much;
use super::fault::{at, shown};
use super::functions::{INSTANT, LOCAL_DATE, MICROS, UNITS, read};
use super::parameters::{Kind, Parameter, date_literal, expression, instant_literal, quoted};
use crate::error::{Error, Result};

/// A call of a function with one name.
pub(super) fn call(name: &str, values: Vec<Expr>) -> Expr {
    let args = values.into_iter().map(|value| FunctionArg::Unnamed(FunctionArgExpr::Expr(value)));
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

/// What is put where.
pub(super) struct Binder<'a> {
    types: Types,
    parameters: &'a [Parameter],
    used: BTreeSet<&'a str>,
    zone: Tz,
    /// How many EXISTS there are around: Polars knows no function of ours there.
    within_exists: usize,
}

impl<'a> Binder<'a> {
    /// The statement with everything put.
    ///
    /// # Errors
    /// A parameter that is missing, that is not used, or that is of the wrong type.
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
                    None => error.hint("leave `--param` out, or name it in the query"),
                })
            }
        }
    }

    /// The values of the parameter that is named there.
    fn values(&mut self, placeholder: &str, there: &Expr) -> Result<Vec<&'a Parameter>> {
        let Some(name) = placeholder.strip_prefix(':') else {
            return Err(at(there.span(), format!("a parameter `{placeholder}`"))
                .hint("write it as `:name`, and give it with `--param name=…`"));
        };
        let parameters = self.parameters;
        let given: Vec<_> = parameters.iter().filter(|given| given.name == name).collect();
        let Some(first) = given.first() else {
            let others = parameters.iter().map(|given| given.name.as_str());
            return Err(at(there.span(), format!("`:{name}` has no value")).hint(
                match nearest(name, others) {
                    Some(near) => {
                        format!("give it with `--param {name}=…`: there is one for `:{near}`")
                    }
                    None => format!("give it with `--param {name}=…`"),
                },
            ));
        };
        self.used.insert(&first.name);
        Ok(given)
    }

    fn literal(&self, given: &Parameter, wanted: Option<&DataType>, there: &Expr) -> Result<Expr> {
        given.literal(wanted.and_then(Kind::of), self.zone).map_err(|kind| {
            at(there.span(), format!("`:{}` is not {}", given.name, kind.article())).hint(
                match given.kind {
                    Some(_) => "give a value of the type that is said",
                    None => "that is what it is compared with: give such a value",
                },
            )
        })
    }

    /// Puts a value that is compared with something of a type.
    fn settle(&mut self, value: &mut Expr, wanted: Option<&DataType>) -> Result<()> {
        self.put(value, wanted)?;
        if self.within_exists > 0
            && let Some(text) = local_text(value, self.zone)
        {
            *value = Expr::Value(Value::SingleQuotedString(text).into());
        }
        Ok(())
    }

    fn put(&mut self, value: &mut Expr, wanted: Option<&DataType>) -> Result<()> {
        match value {
            Expr::Nested(inner) => self.settle(inner, wanted),
            // What is added to a stamp is no stamp.
            Expr::BinaryOp { left, op: BinaryOperator::Plus | BinaryOperator::Minus, right }
                if matches!(**right, Expr::Interval(_)) =>
            {
                self.settle(left, wanted)
            }
            Expr::Value(ValueWithSpan { value: Value::Placeholder(name), .. }) => {
                let name = name.clone();
                match self.values(&name, value)?.as_slice() {
                    [one] => *value = self.literal(one, wanted, value)?,
                    _ => {
                        return Err(at(value.span(), format!("`{name}` has several values"))
                            .hint(format!("compare with `IN ({name})`, or give one alone")));
                    }
                }
                Ok(())
            }
            Expr::Value(ValueWithSpan { value: text @ Value::SingleQuotedString(_), .. })
                if wanted.is_some_and(|of| is_instant(of) || *of == DataType::Date) =>
            {
                let is_date = wanted == Some(&DataType::Date);
                let made = self.typed(if is_date { &SqlType::Date } else { &STAMP_TYPE }, text);
                *value = made.ok_or_else(|| match is_date {
                    true => at(value.span(), "that is no date").hint(DATE),
                    false => at(value.span(), "that is no stamp").hint(STAMP),
                })?;
                Ok(())
            }
            Expr::Value(ValueWithSpan { value: Value::Number(number, _), span })
                if wanted == Some(&DataType::String) =>
            {
                let what = format!("{number} is a number, and is compared with a text");
                Err(at(*span, what).hint(format!("ids and phones are texts: write '{number}'")))
            }
            Expr::TypedString(TypedString { data_type, value: text, .. })
                if is_stamp(data_type) =>
            {
                let to = if wanted.is_some_and(is_instant) { &STAMP_TYPE } else { &*data_type };
                let made = self.typed(to, &text.value);
                *value = made.ok_or_else(|| at(value.span(), "that is no stamp").hint(STAMP))?;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// What `DATE '…'` or `TIMESTAMP '…'` is.
    fn typed(&self, data_type: &SqlType, text: &Value) -> Option<Expr> {
        let Value::SingleQuotedString(text) = text else { return None };
        match data_type {
            SqlType::Date => read_date(text).ok().and_then(date_literal),
            _ => read(text, self.zone).and_then(instant_literal),
        }
    }

    fn expression(&mut self, expr: &mut Expr) -> Result<()> {
        match expr {
            Expr::BinaryOp { left, op, right } if is_comparison(op) => {
                let (of_left, of_right) = (self.types.of(left), self.types.of(right));
                self.settle(left, of_right.as_ref())?;
                self.settle(right, of_left.as_ref())
            }
            Expr::Between { expr: compared, low, high, .. } => {
                let of = self.types.of(compared);
                self.settle(low, of.as_ref())?;
                self.settle(high, of.as_ref())
            }
            Expr::InList { .. } => self.list(expr),
            Expr::Like { pattern, .. } | Expr::ILike { pattern, .. } => {
                self.settle(pattern, Some(&DataType::String))
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
                self.settle(expr, None)
            }
            Expr::Function(_) => function(expr),
            _ => Ok(()),
        }
    }

    /// A list: with all the values of a parameter. A list of stamps becomes comparisons, since
    /// Polars takes plain values alone.
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
                    self.settle(&mut item, of.as_ref())?;
                    items.push(item);
                }
            }
        }
        if of.as_ref().is_some_and(is_instant) {
            let many = items.len() > FEW_STAMPS && self.within_exists == 0;
            if let Some(many) = many.then(|| one_of_many(compared, &items, *negated)).flatten() {
                *expr = many;
                return Ok(());
            }
            if items.len() > MANY_STAMPS {
                let what =
                    "stamps in a list within EXISTS, or in one where some are no plain values";
                return Err(too_much(compared.span(), MANY_STAMPS, what));
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

/// Whether a stamp is one of many, as numbers: of comparisons Polars would make a tree as deep as the
/// list is long. The first and the last are compared with too, for the files of other days to be
/// skipped.
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

/// The instant that a literal of ours is.
fn micros_of(item: &Expr) -> Option<i64> {
    match item {
        Expr::Function(function) if function.name.to_string() == INSTANT => {
            match plain_values(function).as_slice() {
                [number] => number.to_string().parse().ok(),
                _ => None,
            }
        }
        _ => None,
    }
}

/// Two expressions with an operator between.
fn chained(op: &BinaryOperator) -> impl Fn(Expr, Expr) -> Expr {
    move |left, right| Expr::BinaryOp {
        left: Box::new(left),
        op: op.clone(),
        right: Box::new(right),
    }
}

fn nested(expr: Expr) -> Expr {
    Expr::Nested(Box::new(expr))
}

/// A function that Polars has under another name, or on the clock of UTC.
fn function(expr: &mut Expr) -> Result<()> {
    let Expr::Function(function) = &*expr else { return Ok(()) };
    let name = function.name.to_string().to_lowercase();
    let values = plain_values(function);
    let made = match (name.as_str(), values.as_slice()) {
        ("date", [of]) => call(LOCAL_DATE, vec![(*of).clone()]),
        ("timestamp" | "datetime", [of]) => call(INSTANT, vec![(*of).clone()]),
        ("date_trunc", [unit, of]) => {
            let Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(word), .. }) = unit
            else {
                return Err(at(unit.span(), "the unit of DATE_TRUNC is a word").hint(UNIT));
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

fn is_stamp(of: &SqlType) -> bool {
    matches!(of, SqlType::Date | SqlType::Timestamp(..) | SqlType::Datetime(_))
}

const DATE: &str = "write it as YYYY-MM-DD, such as 2025-06-01";

const STAMP: &str = "write it as 2025-06-01, 2025-06-01 10:00:00 (on the reporting zone's clock) or \
                     2025-06-01T10:00:00Z";

const UNIT: &str = "it takes 'half-hour', 'hour', 'day', 'week' and 'month'; for years there is \
                    EXTRACT(YEAR FROM …)";

/// So many stamps of a list are compared with one by one.
const FEW_STAMPS: usize = 16;

/// So many can be, where they must.
const MANY_STAMPS: usize = 500;

const STAMP_TYPE: SqlType = SqlType::Datetime(None);

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

/// An instant of ours as the local time that Polars reads in its place.
fn local_text(value: &Expr, zone: Tz) -> Option<String> {
    let Expr::Function(function) = value else { return None };
    let number = match plain_values(function).as_slice() {
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

/// The parameters that a statement names.
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

/// What is known of the types of names: those of columns, and those that the statement gives.
#[derive(Debug, Default)]
struct Types {
    /// None where a name stands for values of several types.
    names: HashMap<String, Option<DataType>>,
}

impl Types {
    fn of_statement(statement: &Statement, tables: &[&'static Table]) -> Self {
        let mut types = Self::default();
        for column in tables.iter().flat_map(|table| table.columns) {
            types.learn(column.name, Some(column.data_type()));
        }
        // Twice: what is selected from may be written after.
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

    /// The type of an expression, as far as it is plain.
    fn of(&self, expr: &Expr) -> Option<DataType> {
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
        let values = plain_values(function);
        match (function.name.to_string().to_lowercase().as_str(), values.as_slice()) {
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

/// The values that a function is given, where they are plain ones.
fn plain_values(function: &Function) -> Vec<&Expr> {
    let FunctionArguments::List(list) = &function.args else { return Vec::new() };
    let plain = list.args.iter().map(|arg| match arg {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(value)) => Some(value),
        _ => None,
    });
    plain.collect::<Option<_>>().unwrap_or_default()
}

fn is_instant(of: &DataType) -> bool {
    matches!(of, DataType::Datetime(TimeUnit::Microseconds, _))
}

fn is_comparison(op: &BinaryOperator) -> bool {
    use BinaryOperator as Op;
    matches!(op, Op::Eq | Op::NotEq | Op::Lt | Op::LtEq | Op::Gt | Op::GtEq | Op::Spaceship)
}
