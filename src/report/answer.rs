//! An answer as the page reads it, column by column.
//!
//! A column that the answer has not, or that is of another type than the page takes it for, is a
//! bug: no part of a page is left empty without a word.

use chrono::{DateTime, NaiveDate};
use chrono_tz::Tz;
use polars::prelude::*;
use wabalake_queries::query::{OutputColumn, Type};

use super::Section;
use super::figures::{Unit, label};
use super::html::Html;
use super::tables::Shown;
use crate::error::{Error, Result};

/// An answer to be shown.
#[derive(Clone)]
pub(super) struct Answered {
    /// The query's name.
    pub(super) query: &'static str,
    pub(super) columns: Vec<OutputColumn>,
    pub(super) rows: DataFrame,
    pub(super) zone: Tz,
    pub(super) about: &'static str,
    pub(super) command: String,
}

impl Answered {
    pub(super) fn height(&self) -> usize {
        self.rows.height()
    }

    /// A column's values as texts.
    pub(super) fn texts(&self, name: &str) -> Result<Vec<Option<String>>> {
        let column = self.cast(name, &DataType::String, |_| true)?;
        Ok(column.str()?.iter().map(|text| text.map(str::to_owned)).collect())
    }

    /// Names in the words of programs as a person reads them.
    pub(super) fn labels(&self, name: &str) -> Result<Vec<Option<String>>> {
        let names = self.texts(name)?.into_iter();
        Ok(names.map(|name| name.as_deref().map(label)).collect())
    }

    /// A column's values as dates.
    pub(super) fn dates(&self, name: &str) -> Result<Vec<Option<NaiveDate>>> {
        let column = self.cast(name, &DataType::Date, |of| of == Type::Date)?;
        Ok(column.date()?.as_date_iter().collect())
    }

    /// A column's values as numbers.
    pub(super) fn numbers(&self, name: &str) -> Result<Vec<Option<f64>>> {
        let numeric = |of| matches!(of, Type::Integer | Type::Float);
        Ok(self.cast(name, &DataType::Float64, numeric)?.f64()?.iter().collect())
    }

    /// A column's values as amounts in millionths.
    pub(super) fn amounts(&self, name: &str) -> Result<Vec<Option<i128>>> {
        let column = self.cast(name, &Type::Money.data_type(), |of| of == Type::Money)?;
        Ok(column.decimal()?.physical().iter().collect())
    }

    /// A column's instants in the page's zone, to the minute: they sort as they read.
    pub(super) fn times(&self, name: &str) -> Result<Vec<Option<String>>> {
        let micros = self.cast(name, &DataType::Int64, |of| of == Type::Instant)?;
        let show = |at: Option<i64>| {
            let at = DateTime::from_timestamp_micros(at?)?.with_timezone(&self.zone);
            Some(at.format("%Y-%m-%d %H:%M").to_string())
        };
        Ok(micros.i64()?.iter().map(show).collect())
    }

    /// The sum of a column.
    pub(super) fn sum(&self, name: &str) -> Result<f64> {
        Ok(self.numbers(name)?.into_iter().flatten().sum())
    }

    /// A column's numbers by the dates of another, in the order of these dates.
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

    /// A column under a title, as its type and unit are read.
    pub(super) fn shown(&self, title: &'static str, name: &str) -> Result<Shown> {
        let column = self.column(name)?;
        let unit = match (column.of, column.unit) {
            (Type::Integer, _) => Unit::Count,
            (Type::Float, Some("%")) => Unit::Percent,
            (Type::Float, Some("s")) => Unit::Seconds,
            (Type::Float, None) => Unit::Number,
            (Type::Instant, _) => return Ok(Shown::texts(title, self.times(name)?)),
            (Type::Float | Type::Money, _) => return Err(self.misread(name)),
            _ => return Ok(Shown::texts(title, self.texts(name)?)),
        };
        Ok(Shown::figures(title, unit, self.numbers(name)?))
    }

    /// The same, the greater its figures the darker.
    pub(super) fn shaded(&self, title: &'static str, name: &str) -> Result<Shown> {
        let greatest = self.numbers(name)?.into_iter().flatten().fold(0.0, f64::max);
        Ok(self.shown(title, name)?.shaded(greatest))
    }

    /// A column of amounts, each with its currency, under a title.
    pub(super) fn money(&self, title: &'static str, name: &str, currency: &str) -> Result<Shown> {
        Ok(Shown::money(title, self.amounts(name)?, self.texts(currency)?))
    }

    pub(super) fn section(self, id: &'static str, title: &'static str, body: Html) -> Section {
        Section { id, title, about: self.about.to_owned(), command: Some(self.command), body }
    }

    /// The same where the query's own words are about its columns, which the page does not name.
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

    /// The values of a column of a type that fits, as `data_type`.
    fn cast(&self, name: &str, data_type: &DataType, fits: fn(Type) -> bool) -> Result<Column> {
        if !fits(self.column(name)?.of) {
            return Err(self.misread(name));
        }
        let column = self.rows.column(name).map_err(|_| self.misread(name))?;
        Ok(column.cast(data_type)?)
    }

    fn misread(&self, name: &str) -> Error {
        let query = self.query;
        Error::bug(format!("the page reads `{name}` of `{query}`, which is no such column of it"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered() -> Answered {
        let columns =
            vec![OutputColumn::text("node"), OutputColumn::pct("share"), OutputColumn::date("day")];
        let rows = df!["node" => ["1"], "share" => [50.0], "day" => [20_000]].unwrap().lazy();
        Answered {
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
    fn a_column_that_the_answer_has_not_is_a_bug() {
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
