//! Temporary views of the tables that a question reads.
//!
//! ```text
//! sessions, version 20      412 files
//!   │ days and statistics   the question asks for 2025-06-01 to 2025-06-30: 30 files
//!   │ --map-path            /mnt/lake/tables/… → s3://bucket/lake/tables/…
//!   ▼
//! the view `sessions`       those files by name, the catalog's columns, and the number of rows
//! ```
//!
//! The transaction log is read here, so the cluster does not need Delta support. Each file is named, so
//! commits during the query make no difference. The number of rows is checked, because some engines silently
//! skip files that they do not find.

use std::sync::OnceLock;

use bytes::Bytes;
use chrono::{DateTime, NaiveDate};
use polars::prelude::{
    AnyValue, CompatLevel, DataFrame, DataType, IpcStreamWriter, SerWriter as _, TimeUnit,
};
use spark_connect_proto as proto;
use spark_connect_proto::expression::{ExprType, UnresolvedAttribute};
use spark_connect_proto::read::{DataSource, ReadType};
use spark_connect_proto::relation::RelType;
use wabalake_data::tables::{loads, persons};
use wabalake_data::{TABLES, Table};
use wabalake_queries::query::Question;
use wabalake_queries::query::sql::{SqlLiteral as _, Value};

use super::client::{relation, statement};
use super::paths::Paths;
use super::people;
use crate::error::{Error, Result};
use crate::lake::persons::{Persons, computed_once};
use crate::lake::{DataFile, Lake, Snapshot};
use crate::place::Place;

/// A view of one version of a table.
#[derive(Debug)]
pub(super) struct View {
    pub(super) table: &'static Table,
    /// The paths of its files on the cluster.
    pub(super) files: Vec<String>,
    /// Its rows as SQL tuples, for a table without files.
    pub(super) tuples: Vec<String>,
    /// Its rows as an Arrow stream, for a table without files.
    pub(super) arrow: Option<Bytes>,
    /// The SQL of a view over it with the table's name, which shows persons; see [`people`].
    pub(super) seen: Option<String>,
    /// The number of rows.
    pub(super) rows: u64,
}

impl View {
    /// Builds a view for each table of a question, over the files that may have rows in its date range.
    pub(super) fn of(lake: &Lake, question: &Question, paths: &Paths) -> Result<Vec<Self>> {
        let reads = question.reads();
        let is_stored = |table: &&&'static Table| TABLES.contains(*table);
        let stored: Vec<_> = reads.iter().filter(is_stored).copied().collect();
        let snapshots = lake.snapshots(stored.iter().copied())?;
        let known = OnceLock::new();
        let read_persons = || computed_once(&known, || lake.persons());
        let mut views = Vec::new();
        let mut has_seen = false;
        for (table, snapshot) in stored.into_iter().zip(snapshots) {
            let within = snapshot.files_in_range(table.day_of, question.instants(table));
            let mut view = Self::of_files(table, (lake, &snapshot), &within, paths)?;
            if snapshot.has_persons_to_see(table, &within, &read_persons)? {
                has_seen = true;
                view.seen = Some(people::seen(table, !read_persons()?.is_empty()));
            }
            views.push(view);
        }
        if reads.contains(&&loads::TABLE) {
            views.push(Self::of_loads(&lake.loads()?)?);
        }
        if has_seen || reads.contains(&&persons::TABLE) {
            views.push(Self::of_persons(&*read_persons()?)?);
        }
        Ok(views)
    }

    fn of_files(
        table: &'static Table,
        (lake, snapshot): (&Lake, &Snapshot),
        within: &[&DataFile],
        paths: &Paths,
    ) -> Result<Self> {
        if lake.place().as_folder().is_some() {
            // A file may be on the cluster only; the row count will show whether it is.
            let is_here = |file: &&DataFile| snapshot.place(file).exists();
            let here: Vec<_> = within.iter().copied().filter(is_here).collect();
            snapshot.check_files(&here, false)?;
        }
        let rows = within.iter().map(|file| file.rows).sum();
        let files = within.iter().map(|file| paths.of(lake.place(), &snapshot.key(file)?));
        let files = files.collect::<Result<_>>()?;
        Ok(Self { files, rows, ..Self::empty(table) })
    }

    /// Builds a view of the loads, which are read from transaction logs and have no files.
    fn of_loads(loads: &DataFrame) -> Result<Self> {
        let columns = &loads.columns()[..loads::TABLE.columns.len()];
        let literal = |value: AnyValue| match value {
            AnyValue::String(text) => Ok(text.literal()),
            AnyValue::Int64(number) => Ok(number.literal()),
            AnyValue::Datetime(at, TimeUnit::Microseconds, _) => {
                let at = DateTime::from_timestamp_micros(at).unwrap_or_default();
                Ok(Value::Instant(at).literal())
            }
            AnyValue::Date(days) => {
                let date = NaiveDate::from_epoch_days(days).unwrap_or_default();
                Ok(Value::Date(date).literal())
            }
            other => Err(Error::bug(format!("a load has the value {other}"))),
        };
        let mut tuples = Vec::with_capacity(loads.height());
        for row in 0..loads.height() {
            let cells = columns.iter().map(|column| match column.get(row)? {
                AnyValue::Null => Ok(format!("CAST(NULL AS {})", sql_type(column.dtype())?)),
                value => literal(value),
            });
            tuples.push(format!("({})", cells.collect::<Result<Vec<_>>>()?.join(", ")));
        }
        Ok(Self { rows: tuples.len() as u64, tuples, ..Self::empty(&loads::TABLE) })
    }

    /// Builds a view of the persons, which are computed here.
    fn of_persons(persons: &Persons) -> Result<Self> {
        let names = persons::TABLE.columns.iter().map(|column| column.name);
        let mut rows = persons.rows().select(names)?;
        let mut arrow = Vec::new();
        IpcStreamWriter::new(&mut arrow)
            .with_compat_level(CompatLevel::oldest())
            .finish(&mut rows)?;
        let arrow = (rows.height() > 0).then(|| arrow.into());
        Ok(Self { rows: rows.height() as u64, arrow, ..Self::empty(&persons::TABLE) })
    }

    fn empty(table: &'static Table) -> Self {
        let (files, tuples) = (Vec::new(), Vec::new());
        Self { table, files, tuples, arrow: None, seen: None, rows: 0 }
    }

    /// The name of the view.
    pub(super) fn name(&self) -> String {
        match &self.seen {
            Some(_) => people::stored_name(self.table),
            None => self.table.name.to_owned(),
        }
    }

    /// Builds the relation of the view, with the columns of [`Table::cluster_schema`].
    pub(super) fn relation(&self) -> Result<proto::Relation> {
        let viewed = self.table.cluster_schema();
        let typed = viewed.iter().map(|(name, of)| Ok((name.as_str(), sql_type(of)?)));
        let typed = typed.collect::<Result<Vec<_>>>()?;
        if !self.tuples.is_empty() {
            let names: Vec<&str> = typed.iter().map(|(name, _)| *name).collect();
            let (rows, names) = (self.tuples.join(", "), names.join(", "));
            return Ok(statement(
                format!("SELECT * FROM (VALUES {rows}) AS loads ({names})"),
                None,
            ));
        }
        let schema: Vec<String> = typed.iter().map(|(name, of)| format!("`{name}` {of}")).collect();
        let schema = schema.join(", ");
        if let Some(arrow) = &self.arrow {
            let (data, schema) = (Some(arrow.clone()), Some(schema));
            return Ok(relation(RelType::LocalRelation(proto::LocalRelation { data, schema })));
        }
        if self.files.is_empty() {
            let nulls = typed.iter().map(|(name, of)| format!("CAST(NULL AS {of}) AS `{name}`"));
            let nulls: Vec<String> = nulls.collect();
            let sql = format!("SELECT * FROM (SELECT {}) AS none WHERE 1 = 0", nulls.join(", "));
            return Ok(statement(sql, None));
        }
        // With an explicit schema, a column that older files lack is null.
        let source = DataSource {
            format: Some("parquet".to_owned()),
            schema: Some(schema),
            paths: self.files.clone(),
            ..Default::default()
        };
        let read_type = Some(ReadType::DataSource(source));
        let read = relation(RelType::Read(proto::Read { read_type, is_streaming: false }));
        let expressions = typed.iter().map(|(name, _)| attribute(name)).collect();
        let project = proto::Project { input: Some(Box::new(read)), expressions };
        Ok(relation(RelType::Project(Box::new(project))))
    }

    /// Checks the number of rows that the cluster sees.
    pub(super) fn check(&self, seen: Option<i64>, lake: &Place) -> Result<()> {
        let (name, rows) = (self.table.name, self.rows);
        let seen = seen.and_then(|seen| u64::try_from(seen).ok()).unwrap_or(0);
        if seen == rows {
            return Ok(());
        }
        Err(Error::cluster(format!("the cluster does not see all of the lake's `{name}`"))
            .found(format!("{seen} rows of {rows}"))
            .hint(match lake.as_folder() {
                Some(_) => {
                    "every machine of the cluster must see the lake at the same path, or at the one \
                     given with --map-path"
                }
                None => {
                    "the cluster must reach the same store: it has an endpoint and credentials of its \
                     own; --map-path maps the lake's URL to that of the cluster"
                }
            }))
    }
}

/// Builds a statement that counts the rows of views: one row, with a column for each view.
pub(super) fn count(views: &[View]) -> String {
    let counts = views
        .iter()
        .map(|view| format!("(SELECT count(*) FROM `{name}`) AS `{name}`", name = view.name()));
    format!("SELECT {}", counts.collect::<Vec<_>>().join(", "))
}

fn attribute(name: &str) -> proto::Expression {
    let attribute =
        UnresolvedAttribute { unparsed_identifier: format!("`{name}`"), ..Default::default() };
    let expr_type = Some(ExprType::UnresolvedAttribute(attribute));
    proto::Expression { common: None, expr_type }
}

/// Returns the SQL type of a column.
fn sql_type(of: &DataType) -> Result<String> {
    Ok(match of {
        DataType::String => "STRING".to_owned(),
        DataType::Int32 => "INT".to_owned(),
        DataType::Int64 => "BIGINT".to_owned(),
        DataType::Float64 => "DOUBLE".to_owned(),
        DataType::Boolean => "BOOLEAN".to_owned(),
        DataType::Date => "DATE".to_owned(),
        DataType::Datetime(TimeUnit::Microseconds, Some(_)) => "TIMESTAMP".to_owned(),
        DataType::Decimal(precision, scale) => format!("DECIMAL({precision}, {scale})"),
        other => {
            return Err(Error::bug(format!(
                "columns of type {other} are not supported on a cluster"
            )));
        }
    })
}

#[cfg(test)]
mod tests {
    use wabalake_data::tables::{USER_PHONE, UTC_DAY};

    use super::*;

    #[test]
    fn views_have_only_columns_of_the_catalog() {
        for table in TABLES {
            let files = vec!["file:///a.parquet".into()];
            let view = View { files, rows: 1, ..View::empty(table) };
            let Some(RelType::Project(project)) = view.relation().unwrap().rel_type else {
                panic!("no projection")
            };
            let validity = usize::from(table.position(USER_PHONE).is_some());
            let checked = table.checked.len();
            assert_eq!(project.expressions.len(), table.columns.len() + validity + checked);
            let Some(RelType::Read(read)) = project.input.unwrap().rel_type else {
                panic!("no files")
            };
            let Some(ReadType::DataSource(source)) = read.read_type else { panic!("no source") };
            assert!(!source.schema.unwrap().contains(UTC_DAY));
        }
    }

    #[test]
    fn tables_without_files_are_empty_views() {
        let view = View::empty(TABLES[0]);
        let Some(RelType::Sql(sql)) = view.relation().unwrap().rel_type else { panic!("no SQL") };
        assert!(sql.query.ends_with("WHERE 1 = 0"), "{}", sql.query);
    }
}
