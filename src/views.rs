//! Views of a lake for DuckDB, as a script of SQL.
//!
//! ```text
//! tables/sessions, marts/deliveries   Delta tables that exist
//!   │ columns    those of the catalog, by default without people and what they wrote
//!   ▼
//! CREATE OR REPLACE VIEW lake.sessions AS
//!   SELECT "session_id", …, "user_key" FROM delta_scan('/srv/lake/tables/sessions');
//! ```
//!
//! A view reads the newest version of its table whenever it is asked. Its columns are those of the day on
//! which the script was written.

use std::fmt::Write as _;

use polars::prelude::{DataType, TimeUnit};
use wabalake_data::Table;
use wabalake_data::tables::persons::{self, PERSON};
use wabalake_data::tables::{USER_ID, USER_KEY};

use crate::config::Config;
use crate::error::{Error, Result};
use crate::lake::persons::Persons;
use crate::lake::{Lake, Snapshot, stored_tables};
use crate::marts::{Definition, Mart};

/// A column of a view and its type.
type ViewColumn<'a> = (&'a str, DataType);

/// Writes the script. `install` begins it with the statements that install and load DuckDB's extension
/// `delta`. `[privacy] people_in_views` of the settings decides which columns there are.
///
/// # Errors
///
/// Wrong marts in the settings; a log that cannot be read.
pub fn script(lake: &Lake, config: &Config, install: bool) -> Result<String> {
    let with_people = config.privacy.people_in_views;
    let mut sql = String::from(if install { "INSTALL delta; LOAD delta;\n" } else { "" });
    sql.push_str("CREATE SCHEMA IF NOT EXISTS lake;\nCREATE SCHEMA IF NOT EXISTS marts;\n");
    let tables: Vec<&'static Table> = stored_tables().collect();
    let snapshots = lake.snapshots(tables.iter().copied())?;
    for (table, snapshot) in tables.into_iter().zip(&snapshots) {
        let columns = columns_of_table(table, with_people);
        write_view(&format!("lake.{}", table.name), snapshot, &columns, &mut sql)?;
    }
    if with_people {
        write_persons(&lake.persons()?, &mut sql)?;
    } else {
        write_drop(&format!("lake.{}", persons::NAME), &mut sql);
    }
    let marts = Mart::all(lake, config)?;
    let snapshots = lake.snapshots(marts.iter().map(|mart| &mart.layout))?;
    for (mart, snapshot) in marts.iter().zip(&snapshots) {
        let columns = columns_of_mart(mart, with_people);
        write_view(&format!("marts.{}", quoted(&mart.name)), snapshot, &columns, &mut sql)?;
    }
    Ok(sql)
}

/// The catalog's columns of a table, then the hash by which people can be counted.
fn columns_of_table(table: &Table, with_people: bool) -> Vec<ViewColumn<'static>> {
    let shown = table.columns.iter().filter(|column| with_people || !column.tells_of_people());
    let mut columns: Vec<_> = shown.map(|column| (column.name, column.data_type())).collect();
    if table.hashes.iter().any(|(hash, _)| *hash == USER_KEY) {
        columns.push((USER_KEY, DataType::Int64));
    }
    columns
}

/// The columns of a mart's answer. Those of a user's own SQL may have any name: if it names people, all of them
/// are people's.
fn columns_of_mart(mart: &Mart, with_people: bool) -> Vec<ViewColumn<'_>> {
    match &mart.definition {
        Definition::Query(asked) => {
            let columns = asked.question.columns().into_iter();
            let shown = columns.filter(|column| with_people || !column.tells_of_people());
            shown.map(|column| (column.name, column.of.data_type())).collect()
        }
        Definition::Sql(sql) if sql.names_people() && !with_people => Vec::new(),
        Definition::Sql(_) => {
            let stored = mart.layout.stored.iter();
            stored.map(|(name, of)| (name.as_str(), of.clone())).collect()
        }
    }
}

/// Adds the view of a table, if that exists and has such columns. A column that the table lacks, as an older
/// version wrote it, is null.
fn write_view(
    name: &str,
    snapshot: &Snapshot,
    columns: &[ViewColumn<'_>],
    sql: &mut String,
) -> Result<()> {
    if columns.is_empty() {
        write_drop(name, sql);
    }
    if snapshot.version.is_none() || columns.is_empty() {
        return Ok(());
    }
    let missing = snapshot.missing_columns()?;
    let selected = columns.iter().map(|(column, data_type)| {
        let column_name = quoted(column);
        if !missing.iter().any(|missing| missing == column) {
            return Ok(column_name);
        }
        Ok(format!("CAST(NULL AS {}) AS {column_name}", type_name(data_type)?))
    });
    let selected = selected.collect::<Result<Vec<_>>>()?.join(", ");
    let address = literal(&snapshot.address());
    // Writing to a String does not fail.
    let _ = writeln!(
        sql,
        "CREATE OR REPLACE VIEW {name} AS SELECT {selected} FROM delta_scan({address});"
    );
    Ok(())
}

/// Drops a view that shows people. The database may have that of an earlier script.
fn write_drop(name: &str, sql: &mut String) {
    // Writing to a String does not fail.
    let _ = writeln!(sql, "DROP VIEW IF EXISTS {name};");
}

/// Adds the view of the persons that links of user ids connect, as they are now.
fn write_persons(links: &Persons, sql: &mut String) -> Result<()> {
    let rows = links.rows();
    let (ids, people) = (rows.column(USER_ID)?.str()?, rows.column(PERSON)?.str()?);
    let tuple = |(id, person): (Option<&str>, Option<&str>)| {
        Some(format!("({}, {})", literal(id?), literal(person?)))
    };
    let tuples: Vec<String> = ids.iter().zip(people.iter()).filter_map(tuple).collect();
    let rows = match tuples.as_slice() {
        [] => "(NULL::VARCHAR, NULL::VARCHAR)".to_owned(),
        tuples => tuples.join(", "),
    };
    // VALUES without a row is no SQL.
    let only = if tuples.is_empty() { " WHERE false" } else { "" };
    let (name, id, person) = (persons::NAME, quoted(USER_ID), quoted(PERSON));
    let _ = writeln!(
        sql,
        "CREATE OR REPLACE VIEW lake.{name} AS \
         SELECT {id}, {person} FROM (VALUES {rows}) AS links ({id}, {person}){only};"
    );
    Ok(())
}

/// DuckDB's name of a type.
fn type_name(of: &DataType) -> Result<String> {
    Ok(match of {
        DataType::String => "VARCHAR".to_owned(),
        DataType::Int32 => "INTEGER".to_owned(),
        DataType::Int64 => "BIGINT".to_owned(),
        DataType::Float64 => "DOUBLE".to_owned(),
        DataType::Boolean => "BOOLEAN".to_owned(),
        DataType::Date => "DATE".to_owned(),
        DataType::Datetime(TimeUnit::Microseconds, Some(_)) => {
            "TIMESTAMP WITH TIME ZONE".to_owned()
        }
        DataType::Decimal(precision, scale) => format!("DECIMAL({precision}, {scale})"),
        other => return Err(Error::bug(format!("views have no columns of type {other}"))),
    })
}

/// A name in quotes, as some are words of SQL: `"from"`.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text as a literal.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use wabalake_data::TABLES;
    use wabalake_queries::query::{OutputColumn, Type};
    use wabalake_queries::{conversation_users, user_history};

    use super::*;

    #[test]
    fn every_type_of_a_table_has_a_name() {
        for table in TABLES {
            for (column, data_type) in columns_of_table(table, true) {
                assert!(type_name(&data_type).is_ok(), "{}: {column}", table.name);
            }
        }
        for of in [Type::Text, Type::Integer, Type::Version, Type::Float, Type::Boolean] {
            assert!(type_name(&of.data_type()).is_ok(), "{of:?}");
        }
        assert_eq!(type_name(&Type::Money.data_type()).unwrap(), "DECIMAL(38, 6)");
        assert_eq!(type_name(&Type::Instant.data_type()).unwrap(), "TIMESTAMP WITH TIME ZONE");
    }

    #[test]
    fn texts_of_people_are_no_columns_of_marts() {
        for column in [
            OutputColumn::person("user_phone"),
            OutputColumn::written("agent"),
            OutputColumn::written("last_message"),
            OutputColumn::written(conversation_users::VARIABLES),
            OutputColumn::written(user_history::DETAIL),
        ] {
            assert!(column.tells_of_people(), "{}", column.name);
        }
        for column in [
            OutputColumn::written("tag"),
            OutputColumn::term("status_detail"),
            // Dates, in another answer than the numbers of a message.
            OutputColumn::date("from"),
            OutputColumn::money("value"),
        ] {
            assert!(!column.tells_of_people(), "{}", column.name);
        }
    }

    #[test]
    fn names_and_texts_are_quoted() {
        assert_eq!(quoted("from"), "\"from\"");
        assert_eq!(literal("/srv/o'neil/lake"), "'/srv/o''neil/lake'");
    }
}
