//! The report of a load, as text and as JSON.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use chrono::NaiveDate;
use serde::Serialize;
use wabalake_data::Table;
use wabalake_data::words::{bytes, counted, counted_as, elapsed, grouped};

use super::window::Period;
use crate::error::{Details, Error};
use crate::render::visible;

/// The report of a load.
#[derive(Clone, Debug, Default, Serialize)]
pub struct LoadReport {
    /// Id of the load in the lake's history; null if there was nothing to load, and if each file is
    /// a load of its own.
    pub load_id: Option<String>,
    /// `true` if nothing was written.
    pub dry_run: bool,
    /// The exports, in the given order.
    pub files: Vec<FileReport>,
    /// Files that failed while others were loaded.
    pub failed: Vec<Failure>,
    /// Skipped files of folders and archives.
    pub passed_over: Vec<SkippedFile>,
    /// The tables of the exports.
    pub tables: Vec<TableReport>,
    /// Duration of the load.
    pub seconds: f64,
    /// Decompressed bytes of the exports that were read.
    pub bytes: u64,
}

/// The outcome of one export: `rows_read` + `rows_spread` = new + updated + superseded + added up +
/// folded + unchanged + rejected + left out + kept out + repeated header.
#[derive(Clone, Debug, Default, Serialize)]
pub struct FileReport {
    /// Its name.
    pub file: String,
    /// The table that it belongs to.
    pub table: &'static str,
    /// The sheet that was read, of a spreadsheet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sheet: Option<String>,
    /// Id of its content and of the options that it was read with.
    pub file_id: String,
    /// Id of its load; null if it was already loaded, or in a dry run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load_id: Option<String>,
    /// `true` if the lake already had it, so that nothing was done.
    pub already_loaded: bool,
    /// `UTF-8`, `UTF-16LE`, …
    pub encoding: &'static str,
    /// `,`, `;`, a tab, or the delimiter that its first line names.
    pub delimiter: char,
    /// Decompressed length.
    pub bytes: u64,
    /// First local date of the period that it was asked for, if known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window_from: Option<NaiveDate>,
    /// Last local date of that period.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window_to: Option<NaiveDate>,
    /// Records skipped above the header.
    pub records_above_header: u64,
    /// Records after the header; answers of a wide file of variables.
    pub rows_read: u64,
    /// Rows whose key the lake did not have.
    pub rows_new: u64,
    /// Rows whose state is newer than the lake's.
    pub rows_updated: u64,
    /// Rows replaced by another row of the same export with the same key, even if it is equal.
    pub rows_superseded: u64,
    /// Rows whose amounts were added to another row of the same export with the same key.
    pub rows_added_up: u64,
    /// Rows that became one with another row of the load with the same key.
    pub rows_folded: u64,
    /// Rows that change nothing: the row that stays is equal or newer.
    pub rows_unchanged: u64,
    /// Records that were rejected.
    pub rows_rejected: u64,
    /// Records that are neither rows nor faulty: totals, events of other types.
    pub rows_left_out: u64,
    /// Of these, parts of the file that belong to no table, by their kind.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub left_out_by_kind: BTreeMap<String, u64>,
    /// Records of erased persons on the keep-out list.
    pub rows_kept_out: u64,
    /// Records that repeat the header.
    pub rows_repeated_header: u64,
    /// Additional rows of records that span several days.
    pub rows_spread: u64,
    /// Records with a timestamp that stands for "never".
    pub rows_with_sentinel: u64,
    /// Values of each measure that could not be read: they are null, and their rows are loaded.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub measures_at_fault: BTreeMap<&'static str, u64>,
    /// Titles of columns that no table has, redacted, without duplicates.
    pub unknown_columns: Vec<String>,
    /// The first rejects, without content.
    pub first_rejects: Vec<RejectReport>,
    /// `true` if an earlier report is about the same file, which feeds several tables.
    #[serde(skip)]
    pub(crate) is_continued: bool,
    /// `true` if its records are the answers of a wide file of variables.
    #[serde(skip)]
    pub(crate) has_answers: bool,
}

/// A file that failed, and its error.
#[derive(Clone, Debug, Serialize)]
pub struct Failure {
    /// Its name.
    pub file: String,
    /// What is wrong.
    pub error: String,
    /// What was found instead.
    pub found: Option<String>,
    /// What to do.
    pub hint: Option<String>,
}

impl Failure {
    pub(crate) fn of(file: String, error: &Error) -> Self {
        let Details { what, found, hint, .. } = error.details();
        Self { file, error: what.clone(), found: found.clone(), hint: hint.clone() }
    }

    /// The lines of the text report, below the file's name.
    pub(crate) fn lines(&self) -> String {
        let mut lines = format!("error: {}\n", visible(&self.error));
        for (label, said) in [("found", &self.found), ("hint", &self.hint)] {
            if let Some(said) = said {
                let _ = writeln!(lines, "  {label}: {}", visible(said));
            }
        }
        lines
    }
}

/// A file that is not an export.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SkippedFile {
    /// Its name.
    pub file: String,
    /// Why it was skipped.
    pub reason: String,
}

impl SkippedFile {
    /// Takes the reason from the error of reading the file.
    pub(crate) fn of_error(file: &str, error: &Error) -> Self {
        let what = error.details().what.as_str();
        let said = what.strip_prefix(&format!("`{file}` ")).unwrap_or(what);
        let reason = said.strip_prefix("is ").unwrap_or(said);
        Self { file: file.to_owned(), reason: reason.to_owned() }
    }
}

/// The position of a reject, and its reason.
#[derive(Clone, Debug, Serialize)]
pub struct RejectReport {
    /// Record number; the first after the header is 1.
    pub record: u64,
    /// Line on which it begins; the first is 1.
    pub line: u64,
    /// The column at fault, if it is one column.
    pub column: Option<&'static str>,
    /// What is wrong.
    pub reason: String,
}

/// The outcome for one table.
#[derive(Clone, Debug, Default, Serialize)]
pub struct TableReport {
    /// Its name.
    pub table: &'static str,
    /// The version that the load committed; null if nothing changed.
    pub version: Option<u64>,
    /// UTC days whose rows changed.
    pub days: BTreeSet<NaiveDate>,
}

impl FileReport {
    /// Sets the period that the file was asked for.
    pub(crate) fn in_window(self, window: Option<Period>) -> Self {
        let (from, to) = (window.map(|window| window.from), window.map(|window| window.to));
        Self { window_from: from, window_to: to, ..self }
    }

    /// Returns `true` if no record is valid: at least one is rejected, and all others are left out
    /// or repeat the header. Rows of erased persons count as valid.
    pub(crate) fn has_no_usable_rows(&self) -> bool {
        let passed = self.rows_left_out + self.rows_repeated_header;
        self.rows_rejected > 0 && self.rows_rejected + passed == self.rows_read
    }

    /// Counts parts of the file that belong to no table as records that are left out.
    pub(crate) fn leave_out(&mut self, kinds: BTreeMap<String, u64>) {
        for (kind, number) in kinds {
            self.rows_read += number;
            self.rows_left_out += number;
            *self.left_out_by_kind.entry(kind).or_default() += number;
        }
    }

    /// Appends the text report.
    fn write(&self, text: &mut String) {
        let sheet = self.sheet.as_ref().map(|sheet| format!(", sheet {}", visible(sheet)));
        let (name, sheet) = (visible(&self.file), sheet.unwrap_or_default());
        let _ = writeln!(text, "{name}{sheet}  →  {}", self.table);
        if self.already_loaded {
            text.push_str("  already loaded: nothing to do\n");
            return;
        }
        for line in
            [self.lines_of_rows(), self.lines_of_columns(), self.lines_of_rejects()].concat()
        {
            let _ = writeln!(text, "  {line}");
        }
    }

    /// The counts of rows. Zeros are shown only in the first line.
    fn lines_of_rows(&self) -> Vec<String> {
        let first = match self.rows_read {
            0 => "no rows".to_owned(),
            read => format!(
                "{} read: {} new, {} updated, {} unchanged, {} rejected",
                counted(read, if self.has_answers { "answer" } else { "row" }),
                grouped(self.rows_new),
                grouped(self.rows_updated),
                grouped(self.rows_unchanged),
                grouped(self.rows_rejected),
            ),
        };
        let table = wabalake_data::table(self.table);
        let key = match table {
            // All of its columns.
            Some(table) if table.folds() && table.aggregates.is_empty() => "values".to_owned(),
            table => table.map(Table::shown_key).unwrap_or_default(),
        };
        let of_the_key = |rows: u64, what: &str, whole: &str| {
            let rows = counted(rows, "row");
            format!("{rows} {what} another row of the {whole} with the same {key}")
        };
        let [one, many] = table.map_or([""; 2], |table| table.skipped);
        let by_kind = self.left_out_by_kind.values().sum();
        let kinds = self.left_out_by_kind.iter();
        let kinds = kinds.map(|(kind, number)| format!("{kind} ({})", grouped(*number)));
        let kinds = kinds.collect::<Vec<_>>().join(", ");
        let others = self.rows_left_out - by_kind;
        let more = [
            (
                self.records_above_header,
                format!("above the header: {} skipped", counted(self.records_above_header, "line")),
            ),
            (
                self.rows_repeated_header,
                format!(
                    "left out: the header again, {}",
                    counted(self.rows_repeated_header, "time")
                ),
            ),
            (self.rows_added_up, of_the_key(self.rows_added_up, "added up, to", "file")),
            (self.rows_superseded, of_the_key(self.rows_superseded, "superseded, by", "file")),
            (self.rows_folded, of_the_key(self.rows_folded, "folded into", "load")),
            (u64::from(self.has_no_usable_rows()), "no record is valid".to_owned()),
            (others, format!("left out: {}", counted_as(others, one, many))),
            (by_kind, format!("left out: {}", visible(&kinds))),
            (
                self.rows_kept_out,
                format!("left out: {} of erased persons", counted(self.rows_kept_out, "row")),
            ),
            (
                self.rows_spread,
                format!(
                    "rows that span several days: spread by day, {} more",
                    grouped(self.rows_spread)
                ),
            ),
        ];
        let more = more.into_iter().filter(|(number, _)| *number > 0).map(|(_, line)| line);
        std::iter::once(first).chain(more).collect()
    }

    fn lines_of_columns(&self) -> Vec<String> {
        let window = self.window_from.zip(self.window_to);
        let window = window.map(|(from, to)| format!("window: {from} to {to}"));
        let at_fault = self.measures_at_fault.iter().map(|(column, values)| {
            format!("`{column}`: {} left empty", counted(*values, "invalid value"))
        });
        let unknown = (!self.unknown_columns.is_empty())
            .then(|| format!("columns left out: {}", visible(&self.unknown_columns.join(", "))));
        window.into_iter().chain(at_fault).chain(unknown).collect()
    }

    fn lines_of_rejects(&self) -> Vec<String> {
        let first =
            self.first_rejects.iter().map(|RejectReport { record, line, column, reason }| {
                let column = column.map(|column| format!(", `{column}`")).unwrap_or_default();
                format!("rejected: record {record}, line {line}{column}: {}", visible(reason))
            });
        let more = self.rows_rejected.saturating_sub(self.first_rejects.len() as u64);
        let more = (more > 0 && !self.first_rejects.is_empty())
            .then(|| format!("and {} more", grouped(more)));
        first.chain(more).collect()
    }
}

impl LoadReport {
    /// The text report lists so many skipped files, JSON all of them.
    const SKIPPED: usize = 20;

    /// Adds the report of another load.
    pub(crate) fn absorb(&mut self, other: Self) {
        self.files.extend(other.files);
        self.failed.extend(other.failed);
        self.passed_over.extend(other.passed_over);
        for table in other.tables {
            match self.tables.iter_mut().find(|known| known.table == table.table) {
                None => self.tables.push(table),
                Some(known) => {
                    known.version = table.version.or(known.version);
                    known.days.extend(table.days);
                }
            }
        }
    }

    /// The files, once each: the first report of each.
    pub(crate) fn each_file(&self) -> impl Iterator<Item = &FileReport> {
        self.files.iter().filter(|file| !file.is_continued)
    }

    /// Sums a figure over all files.
    pub fn total(&self, figure: impl Fn(&FileReport) -> u64) -> u64 {
        self.files.iter().map(figure).sum()
    }

    /// Returns the report as text.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for file in &self.files {
            file.write(&mut text);
        }
        for failure in &self.failed {
            let _ =
                write!(text, "{}  →  not loaded\n  {}", visible(&failure.file), failure.lines());
        }
        for SkippedFile { file, reason } in self.passed_over.iter().take(Self::SKIPPED) {
            let (file, reason) = (visible(file), visible(reason));
            let _ = writeln!(text, "{file}  →  skipped: {reason}");
        }
        let more = self.passed_over.len().saturating_sub(Self::SKIPPED);
        if more > 0 {
            let _ = writeln!(text, "and {} more skipped", grouped(more as u64));
        }
        for table in &self.tables {
            let days = table.days.len();
            let span = match (table.days.first(), table.days.last()) {
                (Some(first), Some(last)) if first != last => format!(" ({first} to {last})"),
                (Some(day), _) => format!(" ({day})"),
                _ => String::new(),
            };
            let is_dated = wabalake_data::table(table.table).is_none_or(Table::has_days);
            let changed = if is_dated {
                counted(days as u64, "day")
            } else {
                let files = self.files.iter().filter(|file| file.table == table.table);
                counted(files.map(|file| file.rows_new + file.rows_updated).sum(), "row")
            };
            let version = table.version.map(|v| format!(", version {v}")).unwrap_or_default();
            let _ = writeln!(text, "{}: {changed} changed{span}{version}", table.table);
        }
        let speed = self.bytes as f64 / 1e6 / self.seconds.max(1e-9);
        let _ =
            writeln!(text, "{} in {} ({speed:.0} MB/s)", bytes(self.bytes), elapsed(self.seconds));
        if self.dry_run {
            text.push_str("dry run: nothing was loaded\n");
        }
        text
    }
}
