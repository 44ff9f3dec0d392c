//! What a load did, for a person and for a program.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use chrono::NaiveDate;
use serde::Serialize;
use wabalake_data::words::{bytes, counted, counted_as, elapsed, grouped};

use crate::error::{Details, Error};
use crate::render::visible;

/// What a load did.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// Names the load in the lake's history; null when nothing was to be loaded, and where each
    /// file is a load of its own.
    pub load_id: Option<String>,
    /// Whether it was only tried.
    pub dry_run: bool,
    /// Each export, in the order given.
    pub files: Vec<FileReport>,
    /// Files that were not loaded while others were.
    pub failed: Vec<Failure>,
    /// What folders and archives hold that is no export.
    pub passed_over: Vec<PassedOver>,
    /// Each table that was to be loaded into.
    pub tables: Vec<TableReport>,
    /// From start to end.
    pub seconds: f64,
    /// Unpacked bytes of the exports that were read.
    pub bytes: u64,
}

/// What became of one export: `rows_read` + `rows_spread` = new + updated + superseded + added up +
/// unchanged + rejected + left out + kept out + repeated header.
#[derive(Clone, Debug, Default, Serialize)]
pub struct FileReport {
    /// Its name.
    pub file: String,
    /// The table it was loaded into.
    pub table: &'static str,
    /// The sheet of a spreadsheet that was read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sheet: Option<String>,
    /// Names its contents, as read, in the lake.
    pub file_id: String,
    /// Names the load that it is part of; null when it was loaded before, or only tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load_id: Option<String>,
    /// The lake had it: nothing was done.
    pub already_loaded: bool,
    /// `UTF-8`, `UTF-16LE`, …
    pub encoding: &'static str,
    /// `,`, `;`, a tab, or what its first line says.
    pub delimiter: char,
    /// Its length, unpacked.
    pub bytes: u64,
    /// Records that were passed over to find the header.
    pub records_above_header: u64,
    /// Records after the header.
    pub rows_read: u64,
    /// Rows whose key the lake did not have.
    pub rows_new: u64,
    /// Rows that are further along than the lake's.
    pub rows_updated: u64,
    /// Rows that gave way to another row of the same export with the same key, from which they
    /// differ.
    pub rows_superseded: u64,
    /// Rows whose amounts were added to those of another row of the same export with the same key.
    pub rows_added_up: u64,
    /// Rows that add nothing to the row that stays: what is there is the same, or further along.
    pub rows_unchanged: u64,
    /// Records that could not be taken.
    pub rows_rejected: u64,
    /// Records that are neither rows nor at fault: totals, events of another kind.
    pub rows_left_out: u64,
    /// Records of erased persons who are kept out of the lake.
    pub rows_kept_out: u64,
    /// Records that are the header again.
    pub rows_repeated_header: u64,
    /// Rows beyond one for each record, where a record stands for several days.
    pub rows_spread: u64,
    /// Records with at least one stamp that stands for "never".
    pub rows_with_sentinel: u64,
    /// How many values of each measure could not be read: they are null, their rows were taken.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub measures_at_fault: BTreeMap<&'static str, u64>,
    /// Columns that no table has, left out: their titles as they may be shown, each once.
    pub unknown_columns: Vec<String>,
    /// The first rejects, without what they say.
    pub first_rejects: Vec<RejectReport>,
}

/// A file that was not loaded, and why not.
#[derive(Clone, Debug, Serialize)]
pub struct Failure {
    /// Its name.
    pub file: String,
    /// What is wrong.
    pub error: String,
    /// What was there instead.
    pub found: Option<String>,
    /// What to do.
    pub hint: Option<String>,
}

impl Failure {
    pub(crate) fn of(file: String, error: &Error) -> Self {
        let Details { what, found, hint, .. } = error.details();
        Self { file, error: what.clone(), found: found.clone(), hint: hint.clone() }
    }

    /// What a person is shown of it, below the file's name.
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

/// A file that is no export, and how that is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PassedOver {
    /// Its name.
    pub file: String,
    /// Why it is taken for no export.
    pub reason: String,
}

impl PassedOver {
    /// By what an error says of the file.
    pub(crate) fn told(file: &str, error: &Error) -> Self {
        let what = error.details().what.as_str();
        let said = what.strip_prefix(&format!("`{file}` ")).unwrap_or(what);
        let reason = said.strip_prefix("is ").unwrap_or(said);
        Self { file: file.to_owned(), reason: reason.to_owned() }
    }
}

/// Where a record was that could not be taken, and why not.
#[derive(Clone, Debug, Serialize)]
pub struct RejectReport {
    /// Its number; the first after the header is 1.
    pub record: u64,
    /// The line it begins on; the first is 1.
    pub line: u64,
    /// The column at fault, if one is.
    pub column: Option<&'static str>,
    /// What is wrong.
    pub reason: String,
}

/// What became of one table.
#[derive(Clone, Debug, Default, Serialize)]
pub struct TableReport {
    /// Its name.
    pub table: &'static str,
    /// The version that the load made; null when nothing changed.
    pub version: Option<u64>,
    /// UTC days whose rows changed.
    pub days: BTreeSet<NaiveDate>,
}

impl FileReport {
    /// Whether there are records in it, and nothing was taken of them. What is left out is
    /// understood, unless all the rest is at fault; a row of a person who is kept out is as good as
    /// taken.
    pub(crate) fn gives_nothing(&self) -> bool {
        let passed = self.rows_left_out + self.rows_repeated_header;
        self.rows_rejected > 0 && self.rows_rejected + passed == self.rows_read
    }

    /// Appends what a person reads of it.
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

    /// How many rows came to what; a figure that is 0 is left out but in the first line.
    fn lines_of_rows(&self) -> Vec<String> {
        let first = match self.rows_read {
            0 => "no rows".to_owned(),
            read => format!(
                "{} read: {} new, {} updated, {} unchanged, {} rejected",
                counted(read, "row"),
                grouped(self.rows_new),
                grouped(self.rows_updated),
                grouped(self.rows_unchanged),
                grouped(self.rows_rejected),
            ),
        };
        let table = wabalake_data::table(self.table);
        let key = table.map(|table| table.key.join(", ")).unwrap_or_default();
        let of_the_key = |rows: u64, what: &str| {
            format!("{} {what} another row of the file with the same {key}", counted(rows, "row"))
        };
        let [one, many] = table.map_or([""; 2], |table| table.skipped);
        let more = [
            (
                self.records_above_header,
                format!(
                    "above the header: {} passed over",
                    counted(self.records_above_header, "line")
                ),
            ),
            (
                self.rows_repeated_header,
                format!(
                    "left out: the header again, {}",
                    counted(self.rows_repeated_header, "time")
                ),
            ),
            (self.rows_added_up, of_the_key(self.rows_added_up, "added up, to")),
            (self.rows_superseded, of_the_key(self.rows_superseded, "superseded, by")),
            (u64::from(self.gives_nothing()), "nothing was taken of it".to_owned()),
            (
                self.rows_left_out,
                format!("left out: {}", counted_as(self.rows_left_out, one, many)),
            ),
            (
                self.rows_kept_out,
                format!("left out: {} of erased persons", counted(self.rows_kept_out, "row")),
            ),
            (
                self.rows_spread,
                format!(
                    "rows that stand for several days: spread, which made {} more",
                    grouped(self.rows_spread)
                ),
            ),
        ];
        let more = more.into_iter().filter(|(number, _)| *number > 0).map(|(_, line)| line);
        std::iter::once(first).chain(more).collect()
    }

    fn lines_of_columns(&self) -> Vec<String> {
        let at_fault = self.measures_at_fault.iter().map(|(column, values)| {
            format!("`{column}`: {} at fault, left empty", counted(*values, "value"))
        });
        let unknown = (!self.unknown_columns.is_empty())
            .then(|| format!("columns left out: {}", visible(&self.unknown_columns.join(", "))));
        at_fault.chain(unknown).collect()
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

impl Report {
    /// So many files that are passed over are named to a person; a program gets all of them.
    const PASSED_OVER: usize = 20;

    /// Adds what another load did after this one.
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

    /// The sum of one figure over all files.
    pub fn total(&self, figure: impl Fn(&FileReport) -> u64) -> u64 {
        self.files.iter().map(figure).sum()
    }

    /// The report as a person reads it.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for file in &self.files {
            file.write(&mut text);
        }
        for failure in &self.failed {
            let _ =
                write!(text, "{}  →  not loaded\n  {}", visible(&failure.file), failure.lines());
        }
        for PassedOver { file, reason } in self.passed_over.iter().take(Self::PASSED_OVER) {
            let (file, reason) = (visible(file), visible(reason));
            let _ = writeln!(text, "{file}  →  passed over: {reason}");
        }
        let more = self.passed_over.len().saturating_sub(Self::PASSED_OVER);
        if more > 0 {
            let _ = writeln!(text, "and {} more passed over", grouped(more as u64));
        }
        for table in &self.tables {
            let days = table.days.len();
            let span = match (table.days.first(), table.days.last()) {
                (Some(first), Some(last)) if first != last => format!(" ({first} to {last})"),
                (Some(day), _) => format!(" ({day})"),
                _ => String::new(),
            };
            let days = counted(days as u64, "day");
            let version = table.version.map(|v| format!(", version {v}")).unwrap_or_default();
            let _ = writeln!(text, "{}: {days} changed{span}{version}", table.table);
        }
        let speed = self.bytes as f64 / 1e6 / self.seconds.max(1e-9);
        let _ =
            writeln!(text, "{} in {} ({speed:.0} MB/s)", bytes(self.bytes), elapsed(self.seconds));
        if self.dry_run {
            text.push_str("only tried: nothing was loaded\n");
        }
        text
    }
}
