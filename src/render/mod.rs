//! Output formats, one module each.
//!
//! | format | for | null | a rate of 1/3 |
//! |---|---|---|---|
//! | [`table`] | a person at a terminal | `–` | `33.33` |
//! | [`markdown`], [`html`] | a document | `–` | `33.33` |
//! | [`csv`], tsv | spreadsheets and scripts | empty | `33.333333333333336` |
//! | [`json`], [`ndjson`] | programs | `null` | `33.333333333333336` |
//! | [`meta_json`] | readers of Meta's API responses | left out | `0.333333` |
//! | [`parquet`], [`arrow`] | other engines | null | the same 64 bits |
//!
//! Text formats write instants as RFC 3339 in the reporting time zone; Parquet and Arrow keep them as
//! Timestamp(µs, UTC). Equal answers are equal bytes.

mod arrow;
mod batches;
mod cells;
mod csv;
mod guard;
mod html;
mod json;
mod markdown;
mod meta_json;
mod ndjson;
mod parquet;
mod table;
mod text;

use std::io::Write;
use std::iter;
use std::path::Path;

use chrono_tz::Tz;
use clap::ValueEnum;
use polars::prelude::{DataFrame, LazyFrame, PolarsResult};
use wabalake_queries::query::OutputColumn;

use self::batches::Batch;
use self::csv::Delimited;
use crate::error::Result;

pub(crate) use self::cells::{Cells, Value, key_text, write_decimal};
pub(crate) use self::guard::{GUARD, guarded, unguarded};
pub use self::html::escape;
pub use self::meta_json::Response;
pub use self::table::Screen;
pub use self::text::{visible, visible_lines};

/// An output format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A table for a terminal.
    Table,
    /// Comma-separated values, RFC 4180.
    Csv,
    /// Tab-separated values.
    Tsv,
    /// One JSON array.
    Json,
    /// One JSON object per line.
    Ndjson,
    /// A Parquet file.
    Parquet,
    /// An Arrow IPC file.
    Arrow,
    /// A Markdown table.
    Markdown,
    /// An HTML page with a table.
    Html,
    /// A response of Meta's API.
    MetaJson,
}

impl Format {
    /// The format by a file's extension.
    ///
    /// ```
    /// use std::path::Path;
    /// use wabalake::render::Format;
    /// assert_eq!(Format::of_path(Path::new("answers/drop-off.CSV")), Some(Format::Csv));
    /// assert_eq!(Format::of_path(Path::new("drop-off")), None);
    /// ```
    pub fn of_path(path: &Path) -> Option<Self> {
        let extension = path.extension()?.to_str()?.to_lowercase();
        Some(match extension.as_str() {
            "txt" => Self::Table,
            "csv" => Self::Csv,
            "tsv" | "tab" => Self::Tsv,
            "json" => Self::Json,
            "ndjson" | "jsonl" => Self::Ndjson,
            "parquet" | "pq" => Self::Parquet,
            "arrow" | "feather" | "ipc" => Self::Arrow,
            "md" | "markdown" => Self::Markdown,
            "html" | "htm" => Self::Html,
            _ => return None,
        })
    }

    /// Returns `true` if a terminal cannot show it.
    pub fn is_binary(self) -> bool {
        matches!(self, Self::Parquet | Self::Arrow)
    }
}

/// An answer that can be written in any format.
pub struct Answer {
    rows: Rows,
    columns: Vec<OutputColumn>,
    zone: Tz,
    response: Option<Response>,
}

/// The rows of an answer.
enum Rows {
    Collected(DataFrame),
    /// Plans of rows that follow each other, each collected when it is written.
    Planned(Vec<LazyFrame>, Collect),
}

/// Collects a plan.
type Collect = Box<dyn Fn(LazyFrame) -> Result<DataFrame> + Send>;

impl Answer {
    /// Combines rows with the description of their columns. Instants are shown in the time zone.
    ///
    /// # Errors
    /// Columns that the frame lacks, or of a type that no answer has.
    pub fn new(frame: &DataFrame, columns: Vec<OutputColumn>, zone: Tz) -> PolarsResult<Self> {
        let frame = frame.select(columns.iter().map(|column| column.name))?;
        Batch::of(&frame.head(Some(0)), &columns, zone)?;
        Ok(Self { rows: Rows::Collected(frame), columns, zone, response: None })
    }

    /// An answer of several plans, whose rows follow each other. In formats that are written row by row, the
    /// rows of one plan are in memory at a time.
    pub fn planned(
        plans: Vec<LazyFrame>,
        collect: impl Fn(LazyFrame) -> Result<DataFrame> + Send + 'static,
        columns: Vec<OutputColumn>,
        zone: Tz,
    ) -> Self {
        Self { rows: Rows::Planned(plans, Box::new(collect)), columns, zone, response: None }
    }

    /// Adds the envelope of a response of Meta's API.
    #[must_use]
    pub fn within(self, response: Response) -> Self {
        Self { response: Some(response), ..self }
    }

    /// Returns `true` if a column names people.
    pub fn names_people(&self) -> bool {
        self.columns.iter().any(OutputColumn::names_people)
    }

    fn names(&self) -> impl ExactSizeIterator<Item = &'static str> {
        self.columns.iter().map(|column| column.name)
    }

    /// All rows at once.
    fn whole(&self) -> Result<Batch<'_>> {
        Ok(Batch::of(&self.frame()?, &self.columns, self.zone)?)
    }

    /// The frame of all rows.
    fn frame(&self) -> Result<DataFrame> {
        let mut frames = self.frames();
        let mut rows = frames.next().unwrap_or_else(|| Ok(DataFrame::empty()))?;
        for frame in frames {
            rows.vstack_mut(&frame?)?;
        }
        Ok(rows)
    }

    /// The rows in batches of one size, of which the last one may be smaller. There is at least one.
    fn batches(&self) -> impl Iterator<Item = Result<Batch<'_>>> {
        let frames = self.frame_batches();
        frames.map(|frame| Ok(Batch::of(&frame?, &self.columns, self.zone)?))
    }

    /// The frames of [`Answer::batches`].
    fn frame_batches(&self) -> impl Iterator<Item = Result<DataFrame>> {
        batches::of_one_size(self.frames())
    }

    fn frames(&self) -> Box<dyn Iterator<Item = Result<DataFrame>> + '_> {
        match &self.rows {
            Rows::Collected(frame) => Box::new(iter::once(Ok(frame.clone()))),
            Rows::Planned(plans, collect) => Box::new(plans.iter().map(|plan| {
                Ok(collect(plan.clone())?.select(self.columns.iter().map(|column| column.name))?)
            })),
        }
    }
}

/// Writes an answer. A table is as wide as its content: see [`write_screen`].
///
/// # Errors
/// Those of writing.
pub fn write(answer: &Answer, format: Format, out: &mut dyn Write) -> Result<()> {
    match format {
        Format::Table => table::write(&answer.whole()?, Screen::default(), out)?,
        Format::Csv => csv::write(answer, Delimited::CSV, out)?,
        Format::Tsv => csv::write(answer, Delimited::TSV, out)?,
        Format::Json => json::write(answer, out)?,
        Format::Ndjson => ndjson::write(answer, out)?,
        Format::Parquet => parquet::write(answer, out)?,
        Format::Arrow => arrow::write(answer, out)?,
        Format::Markdown => markdown::write(&answer.whole()?, out)?,
        Format::Html => html::write(&answer.whole()?, out)?,
        Format::MetaJson => meta_json::write(answer, out)?,
    }
    Ok(())
}

/// Writes CSV or TSV that is safe for spreadsheets: a text that begins with `=`, `+`, `-`, `@`, a tab or
/// a carriage return gets a quote before it. Numbers and other formats do not change.
///
/// # Errors
/// Those of writing.
pub fn write_guarded(answer: &Answer, format: Format, out: &mut dyn Write) -> Result<()> {
    let delimited = match format {
        Format::Csv => Delimited::CSV,
        Format::Tsv => Delimited::TSV,
        _ => return write(answer, format, out),
    };
    csv::write(answer, delimited.guarded(), out)
}

/// Writes a table that fits a screen.
///
/// # Errors
/// Those of writing.
pub fn write_screen(answer: &Answer, screen: Screen, out: &mut dyn Write) -> Result<()> {
    Ok(table::write(&answer.whole()?, screen, out)?)
}

#[cfg(test)]
mod tests {
    use polars::prelude::*;
    use wabalake_data::tables::instant;

    use super::*;

    impl Answer {
        /// An answer in UTC, with columns of the frame's types.
        pub(super) fn plain(frame: DataFrame) -> PolarsResult<Self> {
            let columns = frame.columns().iter().map(|column| {
                let name: &'static str = column.name().to_string().leak();
                match column.dtype() {
                    DataType::Int64 => OutputColumn::count(name),
                    DataType::Int32 => OutputColumn::version(name),
                    DataType::Date => OutputColumn::date(name),
                    DataType::Datetime(..) => OutputColumn::instant(name),
                    DataType::Float64 if name.ends_with("_pct") => OutputColumn::pct(name),
                    DataType::Float64 => OutputColumn::seconds(name),
                    _ => OutputColumn::text(name).as_named(),
                }
            });
            let columns = columns.collect();
            Self::new(&frame, columns, Tz::UTC)
        }
    }

    /// All types, with nulls and edge cases.
    pub(super) fn sample() -> Answer {
        let spend = Column::new("spend".into(), [Some(12_500_000i128), None, Some(-1)]);
        let spend = spend.as_materialized_series().clone().into_decimal(18, 6).unwrap();
        let day = Column::new("day".into(), [Some(20_240i32), None, Some(-1)]);
        let noon = 1_748_779_200_000_000i64;
        let started = Column::new("started_at".into(), [Some(noon), Some(noon + 250_000), None]);
        let frame = DataFrame::new(
            3,
            vec![
                Column::new("conversation_id".into(), ["a", "b,\"c\"\nd", ""]),
                Column::new("sessions".into(), [Some(1_234_567i64), Some(0), None]),
                Column::new("share_pct".into(), [Some(100.0 / 3.0), None, Some(0.1 + 0.2)]),
                spend.into(),
                day.cast(&DataType::Date).unwrap(),
                started.cast(&instant()).unwrap(),
                Column::new("open".into(), [Some(true), Some(false), None]),
            ],
        );
        Answer::plain(frame.unwrap()).unwrap()
    }

    pub(super) fn written(answer: &Answer, format: Format) -> String {
        let mut out = Vec::new();
        write(answer, format, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn undeclared_columns_are_left_out() {
        let frame = df!("a" => [1i64], "b" => [2i64]).unwrap();
        let answer = Answer::new(&frame, vec![OutputColumn::count("b")], Tz::UTC).unwrap();
        assert_eq!(written(&answer, Format::Csv), "b\n2\n");
    }

    /// Every format is the same whether rows are collected or planned in parts, empty ones too.
    #[test]
    fn planned_rows_are_written_as_collected_ones_are() {
        let answer = sample();
        let plans = [0, 1, 1, 2].windows(2).map(|rows| {
            let [from, until] = [rows[0], rows[1]];
            answer.frame().unwrap().slice(from, usize::try_from(until - from).unwrap()).lazy()
        });
        let rest = answer.frame().unwrap().slice(2, 9).lazy();
        let collect = |plan: LazyFrame| Ok(plan.collect()?);
        let plans = plans.chain([rest]).collect();
        let planned = Answer::planned(plans, collect, answer.columns.clone(), answer.zone);
        for format in Format::value_variants() {
            let of = |answer: &Answer| {
                let mut out = Vec::new();
                write(answer, *format, &mut out).map(|()| out).ok()
            };
            if *format == Format::Arrow {
                // The bits of nulls are those of the buffers that the rows were cut from.
                let rows = |answer: &Answer| {
                    let file = std::io::Cursor::new(of(answer).unwrap());
                    IpcReader::new(file).finish().unwrap()
                };
                assert!(rows(&planned).equals_missing(&rows(&answer)));
                continue;
            }
            assert_eq!(of(&planned), of(&answer), "{format:?}");
        }
    }

    #[test]
    fn chunked_frames_are_read_as_one() {
        let mut frame = df!("a" => [1i64, 2]).unwrap();
        frame.vstack_mut(&df!("a" => [3i64]).unwrap()).unwrap();
        assert_eq!(written(&Answer::plain(frame).unwrap(), Format::Csv), "a\n1\n2\n3\n");
    }
}
