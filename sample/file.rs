//! The export files of a plan.

use std::io;
use std::ops::Range;

use chrono::NaiveDate;

use wabalake_data::tables::{Table, messages, sessions};

use super::csv::{CsvFormat, CsvWriter, StampFormat};
use super::faults::Fault;
use super::random::{hash, mix};
use super::rows::TableRows;
use super::{Encoding, Plan, TABLES, faults, headers};

/// The size of the buffer of rows, in bytes.
const CHUNK: usize = 1 << 18;

/// The format of a file, and whether it ends in an open quote.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    pub(super) delimiter: u8,
    line_end: &'static str,
    titles: bool,
    stamps: StampFormat,
    encoding: Encoding,
    gzip: bool,
    open_quote: bool,
}

/// The style of clean files.
const CLEAN: Style = Style {
    delimiter: b',',
    line_end: "\r\n",
    titles: false,
    stamps: StampFormat::Naive,
    encoding: Encoding::Utf8,
    gzip: false,
    open_quote: false,
};

/// The styles of dirty files.
const DIRTY: [Style; 5] = [
    Style { open_quote: true, ..CLEAN },
    Style { delimiter: b';', line_end: "\n", titles: true, encoding: Encoding::Utf8Bom, ..CLEAN },
    Style {
        delimiter: b'\t',
        titles: true,
        stamps: StampFormat::Utc,
        encoding: Encoding::Utf16Le,
        ..CLEAN
    },
    Style { delimiter: b';', encoding: Encoding::Windows1252, ..CLEAN },
    Style { line_end: "\n", stamps: StampFormat::Bogota, gzip: true, open_quote: true, ..CLEAN },
];

/// The sequence of styles of each table's downloads, repeated.
const STYLE_ORDER: [[usize; 5]; 3] = [[0, 1, 2, 3, 4], [1, 0, 4, 2, 3], [0, 3, 2, 4, 1]];

/// The format of a clean file of a table.
pub(super) fn clean_format(table: &Table) -> CsvFormat {
    CLEAN.format(table, None)
}

impl Style {
    fn format(&self, table: &Table, dirt: Option<u64>) -> CsvFormat {
        let milliseconds = table.name == messages::NAME;
        CsvFormat {
            delimiter: self.delimiter,
            line_end: self.line_end,
            titles: self.titles,
            stamps: if milliseconds { StampFormat::Milliseconds } else { self.stamps },
            dirt,
        }
    }
}

/// One export file of a plan.
#[derive(Clone, Debug)]
pub struct File {
    /// The name that the vendor or a browser gives it, with the suffix `.gz` if `gzip` is set.
    pub name: String,
    /// The table that it is loaded into.
    pub table: &'static Table,
    /// The first day of its rows.
    pub first_day: NaiveDate,
    /// The last day of its rows.
    pub last_day: NaiveDate,
    /// The encoding that [`File::write`] writes.
    pub encoding: Encoding,
    /// `true` if the caller must compress the file.
    pub gzip: bool,
    /// The name of the file of which it is a copy, byte for byte.
    pub copy_of: Option<String>,
    plan: Plan,
    days: Range<i64>,
    pub(super) style: Style,
    /// The seed of the file's whims.
    salt: u64,
}

/// The contents of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Rows that a loader must accept.
    pub good: u64,
    /// Records that a loader must reject.
    pub rejected: u64,
}

impl File {
    pub(super) fn new(plan: Plan, table: usize, download: usize, days: Range<i64>) -> Self {
        let order = STYLE_ORDER[table];
        let style = if plan.dirt { DIRTY[order[download % order.len()]] } else { CLEAN };
        let table = TABLES[table];
        let date = |day| plan.date(day).unwrap_or(NaiveDate::MAX);
        let stem = match table.name {
            sessions::NAME => "general_sessions_report",
            messages::NAME => "kaleyra_tabular",
            name => name,
        };
        let suffix = if style.gzip { "csv.gz" } else { "csv" };
        let made_on = date(days.end).format("%Y_%m_%d");
        Self {
            name: format!("{stem}_{made_on}.{suffix}"),
            table,
            first_day: date(days.start),
            last_day: date(days.end - 1),
            encoding: style.encoding,
            gzip: style.gzip,
            copy_of: None,
            plan,
            style,
            salt: hash(&[plan.seed, days.start.cast_unsigned(), days.end.cast_unsigned()]),
            days,
        }
    }

    /// A copy: the file, downloaded again.
    pub(super) fn copy(self) -> Self {
        Self {
            name: self.name.replacen(".csv", " (1).csv", 1),
            copy_of: Some(self.name.clone()),
            ..self
        }
    }

    /// Writes the file, uncompressed, and returns its contents.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write(&self, out: &mut impl io::Write) -> io::Result<Summary> {
        let mut summary = Summary::default();
        let Some(rows) = TableRows::of(self.table) else { return Ok(summary) };
        // Clean files have the final state of everything, dirty ones the state on their day.
        let known = if self.plan.dirt { self.days.end } else { self.plan.end() };
        let window = self.plan.window(self.days.clone(), known);
        let dirt = self.plan.dirt.then_some(self.salt);
        let format = self.style.format(self.table, dirt);
        let mut csv = CsvWriter::new(Vec::with_capacity(CHUNK), format);
        out.write_all(self.encoding.mark())?;
        for (index, column) in headers::columns(self.table).enumerate() {
            if index > 0 {
                csv.out.push(format.delimiter);
            }
            let header = headers::header(self.table, column.name, format.titles);
            csv.out.extend_from_slice(header.as_bytes());
        }
        csv.end_row();
        for day in window.episode_days(rows) {
            let mut written = Ok(());
            self.plan.each_row(rows, day, &window, &mut |episode, index| {
                (rows.write)(episode, index, window.horizon, &mut csv);
                summary.good += 1;
                if csv.out.len() >= CHUNK && written.is_ok() {
                    written = self.encoding.write(&mut csv.out, out);
                }
            });
            written?;
            for fault in self.faults_after(day) {
                csv.out.extend_from_slice(&self.invalid_record(fault, day));
                csv.end_row();
                summary.rejected += 1;
            }
        }
        if self.plan.dirt && self.style.open_quote {
            csv.out.extend_from_slice(&self.invalid_record(Fault::OpenQuote, self.days.end - 1));
            summary.rejected += 1;
        }
        self.encoding.write(&mut csv.out, out)?;
        out.flush()?;
        Ok(summary)
    }

    /// The faults of the invalid records after the rows of a day's episodes. They are spread over the
    /// file.
    fn faults_after(&self, day: i64) -> impl Iterator<Item = Fault> {
        let in_utf8 = matches!(self.encoding, Encoding::Utf8 | Encoding::Utf8Bom);
        let bytes = in_utf8.then_some(Fault::Bytes);
        let faults = faults::ANYWHERE.into_iter().chain(bytes).filter(|_| self.plan.dirt);
        let (first, days) = (self.days.start, self.days.end - self.days.start);
        (0..).zip(faults).filter(move |(index, _)| first + index * days / 7 == day).map(|(_, f)| f)
    }

    /// The bytes of an invalid record of a day.
    fn invalid_record(&self, fault: Fault, day: i64) -> Vec<u8> {
        let id = hash(&[self.salt, day.cast_unsigned(), fault as u64]);
        let id = format!("{id:016x}{:016x}", mix(id));
        let day = self.plan.date(day).unwrap_or_default().to_string();
        faults::record(self.table, fault, &id, &day, self.style.delimiter)
    }
}
