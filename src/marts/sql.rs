//! Marts of a user's own SQL.
//!
//! ```text
//! inbound.sql   SELECT country, COUNT(*) AS n FROM sessions WHERE … >= :since GROUP BY country
//!   │ of        its tables, and the columns of its answer, planned over tables without rows
//!   ▼ rows      computed as a whole if `sessions`, the file, its parameters or the time zone changed
//! ```

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use chrono_tz::Tz;
use polars::prelude::*;
use wabalake_data::{Invalid, Table};

use super::PinnedTables;
use crate::config::{Config, MartSettings};
use crate::error::{Error, Fault, Result};
use crate::lake::Lake;
use crate::lake::marts::MART_DAY;
use crate::place::Resolver;
use crate::run::sql::{Parameter, Sql, on_deep_stack};

/// A file with one SELECT, and its parameters.
#[derive(Debug)]
pub struct SqlMart {
    /// The file, as the settings name it.
    file: String,
    /// The statement, which is parsed where it is used: a deep one needs a thread with a large stack.
    text: String,
    parameters: Vec<Parameter>,
    zone: Tz,
    tables: Vec<&'static Table>,
    schema: SchemaRef,
    names_people: bool,
}

impl SqlMart {
    /// Reads the file, and plans the statement over tables without rows.
    ///
    /// # Errors
    /// A file that does not exist, or without a valid SELECT; a parameter without a value; a column that a
    /// mart cannot have; people, unless the settings allow that.
    pub(super) fn of(
        lake: &Lake,
        file: &Path,
        settings: &MartSettings,
        config: &Config,
    ) -> Result<Self> {
        let text = read(lake, file, config)?;
        let file = file.display().to_string();
        let given = settings.parameters();
        let parameters = given.iter().map(|text| parameter(text)).collect::<Result<Vec<_>>>()?;
        let zone = config.timezone.unwrap_or(Tz::UTC);
        let may_name_people = config.privacy.people_in_marts;
        let planned = on_deep_stack(|| {
            let sql = Sql::read(&text)?;
            let mut plan = sql.plan_over(|table| without_rows(table, zone), &parameters, zone)?;
            let people = sql.check_people().err();
            let names_people = people.is_some();
            if let Some(error) = people.filter(|_| !may_name_people) {
                return Err(error.hint(
                    "count them, as in COUNT(DISTINCT user_phone), or set people_in_marts = true in \
                     [privacy]",
                ));
            }
            let schema = plan.collect_schema()?;
            check_names(&sql, &schema)?;
            Ok((sql.tables().to_vec(), schema, names_people))
        });
        let (tables, schema, names_people) = planned.map_err(|error| within(&file, error))?;
        Ok(Self { file, text, parameters, zone, tables, schema, names_people })
    }

    /// Its file, as the settings name it.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The tables that the statement reads.
    pub fn tables(&self) -> &[&'static Table] {
        &self.tables
    }

    /// Returns `true` if the statement names people outside of `COUNT(DISTINCT …)`.
    pub fn names_people(&self) -> bool {
        self.names_people
    }

    /// Names and types of the columns of the answer.
    pub(super) fn schema(&self) -> SchemaRef {
        SchemaRef::clone(&self.schema)
    }

    /// All that the rows depend on beside the tables: the columns, the time zone, the parameters and the
    /// text.
    pub(super) fn definition(&self) -> String {
        let mut text = "sql".to_owned();
        for (name, of) in self.schema.iter() {
            // Writing to a String does not fail.
            let _ = write!(text, "\n{name} {of}");
        }
        let _ = write!(text, "\n{}\n{:?}\n{}", self.zone, self.parameters, self.text);
        text
    }

    /// Computes the rows, in no order.
    ///
    /// # Errors
    /// A table that cannot be read; a value that cannot be converted.
    pub fn rows(&self, tables: &PinnedTables<'_>) -> Result<DataFrame> {
        let computed = on_deep_stack(|| {
            let sql = Sql::read(&self.text)?;
            let scan = |table| tables.scan_in(table, self.zone);
            let rows = sql.rows(sql.plan_over(scan, &self.parameters, self.zone)?)?;
            // Those of some functions are of another type than they are planned to be.
            let columns = self.schema.iter();
            let columns = columns.map(|(name, of)| col(name.clone()).strict_cast(of.clone()));
            Ok(rows.lazy().select(columns.collect::<Vec<_>>()).collect()?)
        });
        computed.map_err(|error| within(&self.file, error))
    }
}

/// Reads the text of a file, whose path is relative to the settings.
fn read(lake: &Lake, file: &Path, config: &Config) -> Result<String> {
    let (folder, name) = Resolver::new(lake.place(), &config.store).file(file)?;
    let shown = file.display();
    let Some(bytes) = folder.read(&name)? else {
        return Err(Error::lake(format!("there is no file `{shown}`"))
            .hint("its path is relative to the folder of wabalake.toml"));
    };
    String::from_utf8(bytes.into())
        .map_err(|_| Error::lake(format!("`{shown}` is not UTF-8")).hint("save it as UTF-8"))
}

/// Parses a parameter, `NAME=VALUE`. An error does not repeat the value.
fn parameter(text: &str) -> Result<Parameter> {
    Parameter::read(text).map_err(|Invalid { what, hint }| {
        let name = text.split('=').next().unwrap_or_default();
        let error = Error::lake(format!("`{name}` of `params`: {what}"));
        match hint {
            Some(hint) => error.hint(hint),
            None => error,
        }
    })
}

/// The scan of a table that has no rows, with instants in a time zone.
fn without_rows(table: &Table, zone: Tz) -> Result<LazyFrame> {
    let zone = TimeZone::opt_try_new(Some(zone.name()))?;
    let column = |column: &wabalake_data::Column| {
        let of = match column.data_type() {
            DataType::Datetime(unit, Some(_)) => DataType::Datetime(unit, zone.clone()),
            other => other,
        };
        Field::new(column.name.into(), of)
    };
    let schema: Schema = table.columns.iter().map(column).collect();
    Ok(DataFrame::empty_with_schema(&schema).lazy())
}

/// Checks that a table can have columns of these names: those of Delta tables differ by more than case, and
/// have neither spaces nor most signs.
fn check_names(sql: &Sql, schema: &Schema) -> Result<()> {
    let is_plain = |c: char| c.is_alphanumeric() || c == '_';
    let mut before = BTreeSet::from([MART_DAY.to_owned()]);
    for name in schema.iter_names() {
        let is_new = before.insert(name.to_lowercase());
        if !is_new || name.is_empty() || !name.chars().all(is_plain) {
            let fault = if is_new { "cannot be one of a mart" } else { "has the name of another" };
            return Err(sql
                .fault_of_column(name, fault)
                .hint("give it a name of letters, digits and _: … AS name"));
        }
    }
    Ok(())
}

/// Prefixes an error about a statement with its file. Its parameters are in the settings.
fn within(file: &str, error: Error) -> Error {
    if error.fault() != Fault::Usage {
        return error;
    }
    let hint = error
        .details()
        .hint
        .as_deref()
        .map(|hint| hint.replace("`--param ", "`params.").replace("`--param`", "`params`"));
    let error = error.in_settings().context(format!("`{file}`"));
    match hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}
