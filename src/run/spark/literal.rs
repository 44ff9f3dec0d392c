//! Converts parameters to literals of the protocol.

use spark_connect_proto as proto;
use spark_connect_proto::data_type::{self, Kind};
use spark_connect_proto::expression::literal::{Array, LiteralType};
use spark_connect_proto::expression::{ExprType, Literal};
use wabalake_queries::query::Type;
use wabalake_queries::query::sql::Value;

/// Converts the value of a parameter to an expression.
pub(super) fn expression(value: &Value) -> proto::Expression {
    proto::Expression { common: None, expr_type: Some(ExprType::Literal(literal(value))) }
}

fn literal(value: &Value) -> Literal {
    let (literal, of) = match value {
        Value::Null(of) => (LiteralType::Null(data_type(*of)), Some(data_type(*of))),
        Value::Text(text) => (LiteralType::String(text.clone()), None),
        Value::Integer(number) => (LiteralType::Long(*number), None),
        Value::Version(number) => (LiteralType::Integer(*number), None),
        Value::Boolean(truth) => (LiteralType::Boolean(*truth), None),
        Value::Instant(at) => (LiteralType::Timestamp(at.timestamp_micros()), None),
        Value::Date(date) => (LiteralType::Date(date.to_epoch_days()), None),
        Value::List(of, values) => {
            let element = data_type(*of);
            // Spark 4.0 and Sail read the type here, later ones beside the literal.
            #[expect(deprecated, reason = "the only place that every server reads")]
            let array = Array {
                element_type: Some(element.clone()),
                elements: values.iter().map(literal).collect(),
            };
            let list = data_type::Array {
                element_type: Some(Box::new(element)),
                contains_null: false,
                ..Default::default()
            };
            (LiteralType::Array(array), Some(typed(Kind::Array(Box::new(list)))))
        }
    };
    Literal { literal_type: Some(literal), data_type: of }
}

fn data_type(of: Type) -> proto::DataType {
    typed(match of {
        Type::Text => Kind::String(data_type::String::default()),
        Type::Integer => Kind::Long(data_type::Long::default()),
        Type::Version => Kind::Integer(data_type::Integer::default()),
        Type::Float => Kind::Double(data_type::Double::default()),
        Type::Boolean => Kind::Boolean(data_type::Boolean::default()),
        Type::Date => Kind::Date(data_type::Date::default()),
        Type::Instant => Kind::Timestamp(data_type::Timestamp::default()),
        Type::Money => Kind::Decimal(data_type::Decimal {
            precision: Some(38),
            scale: Some(6),
            ..Default::default()
        }),
    })
}

fn typed(kind: Kind) -> proto::DataType {
    proto::DataType { kind: Some(kind) }
}

#[cfg(test)]
mod tests {
    use chrono::NaiveDate;
    use wabalake_queries::query::Bindings;

    use super::*;

    fn of(bindings: Bindings) -> Literal {
        literal(bindings.parameters().next().unwrap().1)
    }

    #[test]
    fn values_keep_their_types() {
        let day = NaiveDate::from_ymd_opt(1970, 1, 3);
        for (bindings, expected) in [
            (Bindings::new().integer("p", 7), LiteralType::Long(7)),
            (Bindings::new().text("p", "it's"), LiteralType::String("it's".into())),
            (Bindings::new().date("p", day), LiteralType::Date(2)),
            (Bindings::new().instant("p", Some(-1)), LiteralType::Timestamp(-1)),
            (Bindings::new().date("p", None), LiteralType::Null(data_type(Type::Date))),
        ] {
            assert_eq!(of(bindings).literal_type, Some(expected));
        }
    }

    #[test]
    fn empty_lists_have_a_type() {
        let list = of(Bindings::new().list::<i32>("p", &[]));
        let Some(Kind::Array(list)) = list.data_type.unwrap().kind else { panic!("no array") };
        assert_eq!(*list.element_type.unwrap(), data_type(Type::Version));
    }
}
