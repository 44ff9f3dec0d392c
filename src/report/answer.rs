//! An answer, read by the page column by column.
//!
//! Reading a missing column, or one of another type, is a bug: the page never leaves a part empty
//! silently.

use chrono::{DateTime, NaiveDate};
use chrono_tz::Tz;
use polars::prelude::*;
use wabalake_queries::query::{OutputColumn, Type};

use super::Section;
use super::figures::{Unit, label};
use super::html::Html;
use super::tables::TableColumn;
use crate::error::{Error, Result};

/// The answer of a query.
#[derive(Clone)]
pub(super) struct QueryAnswer {
    /// The query's name.
    pub(super) query: &'static str,
    pub(super) columns: Vec<OutputColumn>,
    pub(super) rows: DataFrame,
    pub(super) zone: Tz,
    pub(super) about: &'static str,
    pub(super) command: String,
}

impl QueryAnswer {
    pub(super) fn height(&self) -> usize {
        self.rows.height()
    }

    /// A column as texts.
    pub(super) fn texts(&self, name: &str) -> Result<Vec<Option<String>>> {
        let column = self.cast(name, &DataType::String, |_| true)?;
        Ok(column.str()?.iter().map(|text| text.map(str::to_owned)).collect())
    }

    /// A column of identifiers as labels.
    pub(super) fn labels(&self, name: &str) -> Result<Vec<Option<String>>> {
        let names = self.texts(name)?.into_iter();
        Ok(names.map(|name| name.as_deref().map(label)).collect())
    }

    /// A column as dates.
    pub(super) fn dates(&self, name: &str) -> Result<Vec<Option<NaiveDate>>> {
        let column = self.cast(name, &DataType::Date, |of| of == Type::Date)?;
        Ok(column.date()?.as_date_iter().collect())
    }

    /// A column as numbers.
    pub(super) fn numbers(&self, name: &str) -> Result<Vec<Option<f64>>> {
        let numeric = |of| matches!(of, Type::Integer | Type::Float);
        Ok(self.cast(name, &DataType::Float64, numeric)?.f64()?.iter().collect())
    }

    /// A column of amounts, in millionths.
    pub(super) fn amounts(&self, name: &str) -> Result<Vec<Option<i128>>> {
        let column = self.cast(name, &Type::Money.data_type(), |of| of == Type::Money)?;
        Ok(column.decimal()?.physical().iter().collect())
    }

    /// A column of instants in the page's time zone.
    pub(super) fn instants(&self, name: &str) -> Result<Vec<Option<DateTime<Tz>>>> {
        let micros = self.cast(name, &DataType::Int64, |of| of == Type::Instant)?;
        let local =
            |at: Option<i64>| Some(DateTime::from_timestamp_micros(at?)?.with_timezone(&self.zone));
        Ok(micros.i64()?.iter().map(local).collect())
    }

    /// A column of instants in the page's time zone, to the minute, in a form that sorts.
    pub(super) fn times(&self, name: &str) -> Result<Vec<Option<String>>> {
        let show = |at: Option<DateTime<Tz>>| Some(at?.format("%Y-%m-%d %H:%M").to_string());
        Ok(self.instants(name)?.into_iter().map(show).collect())
    }

    /// The sum of a column.
    pub(super) fn sum(&self, name: &str) -> Result<f64> {
        Ok(self.numbers(name)?.into_iter().flatten().sum())
    }

    /// The numbers of a column at the given dates, by the dates of another column.
    pub(super) fn along(
        &self,
        dates: &str,
        starts: &[NaiveDate],
        name: &str,
    ) -> Result<Vec<Option<f64>>> {
        let dates = self.dates(dates)?.into_iter().zip(self.numbers(name)?);
        let found: PlHashMap<NaiveDate, f64> =
            dates.filter_map(|(date, number)| Some((date?, number?))).collect();
        Ok(starts.iter().map(|start| found.get(start).copied()).collect())
    }

    /// A table column, formatted by its type and unit.
    pub(super) fn shown(&self, title: &'static str, name: &str) -> Result<TableColumn> {
        let column = self.column(name)?;
        let unit = match (column.of, column.unit) {
            (Type::Integer, _) => Unit::Count,
            (Type::Float, Some("%")) => Unit::Percent,
            (Type::Float, Some("s")) => Unit::Seconds,
            (Type::Float, None) => Unit::Number,
            (Type::Instant, _) => return Ok(TableColumn::texts(title, self.times(name)?)),
            (Type::Float | Type::Money, _) => return Err(self.misread(name)),
            _ => return Ok(TableColumn::texts(title, self.texts(name)?)),
        };
        Ok(TableColumn::figures(title, unit, self.numbers(name)?))
    }

    /// Like [`Self::shown`], shaded by its numbers.
    pub(super) fn shaded(&self, title: &'static str, name: &str) -> Result<TableColumn> {
        let greatest = self.numbers(name)?.into_iter().flatten().fold(0.0, f64::max);
        Ok(self.shown(title, name)?.shaded(greatest))
    }

    /// A table column of amounts with their currencies.
    pub(super) fn money(
        &self,
        title: &'static str,
        name: &str,
        currency: &str,
    ) -> Result<TableColumn> {
        Ok(TableColumn::money(title, self.amounts(name)?, self.texts(currency)?))
    }

    /// A table column of prices with their currencies; `None` if no price is known.
    pub(super) fn prices(
        &self,
        title: &'static str,
        name: &str,
        currency: &str,
    ) -> Result<Option<TableColumn>> {
        let prices = self.numbers(name)?;
        if prices.iter().all(Option::is_none) {
            return Ok(None);
        }
        Ok(Some(TableColumn::prices(title, prices, self.texts(currency)?)))
    }

    pub(super) fn section(self, id: &'static str, title: &'static str, body: Html) -> Section {
        let commands = vec![self.command];
        Section { id, title, about: self.about.to_owned(), commands, body }
    }

    /// Like [`Self::section`], with a description in place of the query's, which names columns that
    /// the page does not show.
    pub(super) fn section_about(
        self,
        id: &'static str,
        title: &'static str,
        about: &str,
        body: Html,
    ) -> Section {
        Section { about: about.to_owned(), ..self.section(id, title, body) }
    }

    fn column(&self, name: &str) -> Result<&OutputColumn> {
        let column = self.columns.iter().find(|column| column.name == name);
        column.ok_or_else(|| self.misread(name))
    }

    /// Casts a column to `data_type`, if its type fits.
    fn cast(&self, name: &str, data_type: &DataType, fits: fn(Type) -> bool) -> Result<Column> {
        if !fits(self.column(name)?.of) {
            return Err(self.misread(name));
        }
        let column = self.rows.column(name).map_err(|_| self.misread(name))?;
        Ok(column.cast(data_type)?)
    }

    fn misread(&self, name: &str) -> Error {
        let query = self.query;
        Error::bug(format!(
            "the page reads `{name}` of `{query}`, which has no such column of that type"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered() -> QueryAnswer {
        let columns =
            vec![OutputColumn::text("node"), OutputColumn::pct("share"), OutputColumn::date("day")];
        let rows = df!["node" => ["1"], "share" => [50.0], "day" => [20_000]].unwrap().lazy();
        QueryAnswer {
            query: "drop-off",
            columns,
            rows: rows.with_column(col("day").cast(DataType::Date)).collect().unwrap(),
            zone: Tz::UTC,
            about: "",
            command: String::new(),
        }
    }

    #[test]
    fn columns_are_read_by_their_types() {
        let answered = answered();
        let day: NaiveDate = "2024-10-04".parse().unwrap();
        assert_eq!(answered.texts("node").unwrap(), [Some("1".to_owned())]);
        assert_eq!(answered.numbers("share").unwrap(), [Some(50.0)]);
        assert_eq!(answered.dates("day").unwrap(), [Some(day)]);
        assert_eq!(answered.along("day", &[day], "share").unwrap(), [Some(50.0)]);
    }

    #[test]
    fn missing_column_is_a_bug() {
        let answered = answered();
        let errors = [
            answered.texts("gone").err(),
            answered.numbers("gone").err(),
            answered.shown("", "gone").err(),
            // Columns of other types.
            answered.numbers("node").err(),
            answered.amounts("share").err(),
            answered.times("day").err(),
        ];
        for error in errors {
            assert_eq!(error.map(|error| error.exit_code()), Some(3));
        }
    }
}
