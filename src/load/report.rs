//! What a load did, for a person and for a program.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use chrono::NaiveDate;
use serde::Serialize;

/// What a load did.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// Names the load in the lake's history; null when nothing was to be loaded.
    pub load_id: Option<String>,
    /// Whether it was only tried.
    pub dry_run: bool,
    /// Each export, in the order given.
    pub files: Vec<FileReport>,
    /// Each table that was to be loaded into.
    pub tables: Vec<TableReport>,
    /// From start to end.
    pub seconds: f64,
    /// Unpacked bytes of the exports that were read.
    pub bytes: u64,
}

/// What became of one export. `rows_read` = new + updated + unchanged + rejected.
#[derive(Clone, Debug, Default, Serialize)]
pub struct FileReport {
    /// Its name.
    pub file: String,
    /// The table it was loaded into.
    pub table: &'static str,
    /// Names its contents, as read, in the lake.
    pub file_id: String,
    /// The lake had it: nothing was done.
    pub already_loaded: bool,
    /// `UTF-8`, `UTF-16LE`, …
    pub encoding: &'static str,
    /// `,`, `;` or a tab.
    pub delimiter: char,
    /// Its length, unpacked.
    pub bytes: u64,
    /// Records after the header.
    pub rows_read: u64,
    /// Rows whose key the lake did not have.
    pub rows_new: u64,
    /// Rows that are further along than the lake's.
    pub rows_updated: u64,
    /// Rows that add nothing.
    pub rows_unchanged: u64,
    /// Records that could not be taken.
    pub rows_rejected: u64,
    /// Records with at least one stamp that stands for "never".
    pub rows_with_sentinel: u64,
    /// Columns that no table has, left out.
    pub unknown_columns: Vec<String>,
    /// The first rejects, without what they say.
    pub first_rejects: Vec<RejectReport>,
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

impl Report {
    /// The sum of one figure over all files.
    pub fn total(&self, figure: impl Fn(&FileReport) -> u64) -> u64 {
        self.files.iter().map(figure).sum()
    }

    /// The report as a person reads it.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for file in &self.files {
            let _ = writeln!(text, "{}  →  {}", file.file, file.table);
            if file.already_loaded {
                text.push_str("  already loaded: nothing to do\n");
                continue;
            }
            let _ = writeln!(
                text,
                "  {} rows read: {} new, {} updated, {} unchanged, {} rejected",
                grouped(file.rows_read),
                grouped(file.rows_new),
                grouped(file.rows_updated),
                grouped(file.rows_unchanged),
                grouped(file.rows_rejected),
            );
            if !file.unknown_columns.is_empty() {
                let _ = writeln!(text, "  columns left out: {}", file.unknown_columns.join(", "));
            }
            for reject in &file.first_rejects {
                let column =
                    reject.column.map(|column| format!(", `{column}`")).unwrap_or_default();
                let _ = writeln!(
                    text,
                    "  rejected: record {}, line {}{column}: {}",
                    reject.record, reject.line, reject.reason
                );
            }
            let more = file.rows_rejected.saturating_sub(file.first_rejects.len() as u64);
            if more > 0 && !file.first_rejects.is_empty() {
                let _ = writeln!(text, "  and {} more", grouped(more));
            }
        }
        for table in &self.tables {
            let days = table.days.len();
            let span = match (table.days.first(), table.days.last()) {
                (Some(first), Some(last)) if first != last => format!(" ({first} to {last})"),
                (Some(day), _) => format!(" ({day})"),
                _ => String::new(),
            };
            let plural = if days == 1 { "" } else { "s" };
            let version = table.version.map(|v| format!(", version {v}")).unwrap_or_default();
            let _ = writeln!(text, "{}: {days} day{plural} changed{span}{version}", table.table);
        }
        let speed = self.bytes as f64 / 1e6 / self.seconds.max(1e-9);
        let _ =
            writeln!(text, "{} in {} ({speed:.0} MB/s)", bytes(self.bytes), seconds(self.seconds));
        if self.dry_run {
            text.push_str("only tried: nothing was loaded\n");
        }
        text
    }
}

/// `1234567` as `1,234,567`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A number of bytes as a person reads it.
pub fn bytes(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.2} GB", bytes as f64 / 1e9),
    }
}

fn seconds(seconds: f64) -> String {
    let rounded = Duration::from_secs_f64(seconds.max(0.0));
    if rounded.as_secs() >= 60 {
        format!("{}m {:02}s", rounded.as_secs() / 60, rounded.as_secs() % 60)
    } else {
        format!("{seconds:.2} s")
    }
}
