//! Exports in, rows of the lake out.
//!
//! ```text
//! general_sessions_report.csv.gz
//!   │ source    unpacked; surveyed: hash (is it loaded?), encoding
//!   │ header    delimiter, table, which column is where
//!   │ reader    chunks of whole records, whatever the source is written in
//!   │ records   those of a CSV; finds its way after a broken one
//!   │ spelling  how each column's dates and decimals are written, by all of its cells
//!   │ typing    cells to values, on every core ──► rejects: file, record, line, column, reason, raw
//!   │ keep_out  rows of erased persons who are kept out are left out and counted
//!   │ buckets   rows by UTC day, on disk when they are many; their keys beside them
//!   │ sums      parts of one amount in one file are added up
//!   │ anew      rows of the lake whose person today's rules know better
//!   │ merge     day by day with the lake's rows: one row per key, the one further along
//!   ▼ commit    the days that changed, swapped in by one commit; on a conflict, merged again
//! lake/tables/sessions/utc_day=2025-06-01/….parquet
//! ```
//!
//! Memory is bounded by the buckets' budget and by the rows of a few days, not by the files.
//!
//! To read nothing is no success. A named file that has records, of which none can be taken, is an
//! error, and so is a load of folders and archives of which nothing at all can be taken: no row is
//! committed, the rejects are kept. What the lake has already counts as taken, and so do rows of
//! persons who are kept out; a file of nothing but what is left out by its kind (events of another
//! kind, totals), or of a header alone, is no fault.

mod anew;
mod buckets;
mod commit;
mod csv;
pub mod direct;
mod encoding;
mod faulty;
pub(crate) mod folder;
mod foreign;
mod full;
mod header;
mod json;
mod keep_out;
mod keys;
mod limits;
mod literal;
mod merge;
mod meta;
pub(crate) mod person;
pub(crate) mod progress;
mod reader;
mod records;
pub mod rejects;
pub mod report;
mod sheet;
mod source;
mod spelling;
mod stage;
mod sums;
#[cfg(test)]
mod tests;
mod titles;
mod typing;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use chrono::NaiveDate;
use chrono_tz::Tz;
use wabalake_data::Table;
use wabalake_data::cells::{DateOrder, DecimalMark};
use wabalake_data::tables::CellKind;
use wabalake_data::words::{counted, grouped};

use self::folder::Seen;
pub use self::report::{Failure, FileReport, PassedOver, RejectReport, Report, TableReport};
pub(crate) use self::sheet::THREAD as SHEET_THREAD;
pub use self::source::matches;
use self::source::{Finding, Found, Source};
use crate::config::Alpha2;
use crate::error::{Error, Result};
use crate::lake::{Lake, Scratch};

/// Part of what names a loaded file: raised when the same bytes would load as other rows.
const LOADER_VERSION: u32 = 2;

/// How to load.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "switches that have nothing to do with another")]
pub struct Options {
    /// The table, if it is not to be told from the headers.
    pub kind: Option<&'static Table>,
    /// Where stamps without an offset are read.
    pub source_timezone: Tz,
    /// The same for the exports of single tables.
    pub source_timezones: BTreeMap<&'static str, Tz>,
    /// Whose national numbers the side tables hold, ISO 3166-1 alpha-2; without it they are read as
    /// full ones.
    pub default_country: Option<Alpha2>,
    /// Header cells to read as others: from, to.
    pub renames: Vec<(String, String)>,
    /// The order of day and month in dates, if it is not to be told from all cells of a column.
    pub date_order: Option<DateOrder>,
    /// The decimal mark of amounts, in the same way.
    pub decimal: Option<DecimalMark>,
    /// The date on which the files were exported, for tables that hold it.
    pub exported_on: Option<NaiveDate>,
    /// The sheet of a spreadsheet, if it is not to be told from the headers.
    pub sheet: Option<String>,
    /// Whether each file is a load of its own.
    pub per_file: bool,
    /// Whether one reject refuses the load.
    pub strict: bool,
    /// How many rejects refuse the load when exceeded.
    pub max_rejects: Option<u64>,
    /// Only try.
    pub dry_run: bool,
    /// Say nothing on the way.
    pub quiet: bool,
    /// How many bytes of typed rows may wait in memory.
    pub memory: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            kind: None,
            source_timezone: Tz::UTC,
            source_timezones: BTreeMap::new(),
            default_country: None,
            renames: Vec::new(),
            date_order: None,
            decimal: None,
            exported_on: None,
            sheet: None,
            per_file: false,
            strict: false,
            max_rejects: None,
            dry_run: false,
            quiet: true,
            memory: 96 << 20,
        }
    }
}

impl Options {
    /// Where stamps of a table's exports without an offset are read.
    fn source_timezone_of(&self, table: &Table) -> Tz {
        self.source_timezones.get(table.name).copied().unwrap_or(self.source_timezone)
    }

    /// Whose national numbers a table's exports hold.
    fn default_country_of(&self, table: &Table) -> Option<Alpha2> {
        let may_be_national =
            |column: &wabalake_data::Column| matches!(column.kind, CellKind::FullPhone);
        self.default_country.filter(|_| table.exported().any(may_be_national))
    }
}

/// Loads exports into a lake: all of them, or none. With [`Options::per_file`] each is loaded by
/// itself, and the report names those that failed.
///
/// # Errors
///
/// A file that cannot be read or is no export that is known; a file of which nothing can be taken;
/// rejects beyond what the options allow; a lake that cannot be written. In each case nothing was
/// committed but the rejects of files of which nothing can be taken, unless each file is a load of
/// its own.
pub fn load(lake: &Lake, files: &[PathBuf], options: &Options) -> Result<Report> {
    load_as_seen(lake, files, &BTreeMap::new(), options)
}

/// The same, of files that must be as they were seen when they were chosen.
pub(crate) fn load_as_seen(
    lake: &Lake,
    files: &[PathBuf],
    seen: &BTreeMap<PathBuf, Seen>,
    options: &Options,
) -> Result<Report> {
    let started = Instant::now();
    let full = |error| full::explained(error, lake, &[], options);
    let scratch = if options.dry_run { Scratch::outside() } else { lake.scratch() };
    let scratch = scratch.map_err(full)?;
    let how = Finding { spool_in: &scratch, seen, per_file: options.per_file };
    let Found { sources, passed_over, failed } = Found::by(files, how).map_err(full)?;
    let mut report = Report { failed, passed_over, ..Report::default() };
    if options.per_file {
        for source in &sources {
            match load_sources(lake, std::slice::from_ref(source), &scratch, options) {
                Ok(one) => report.absorb(one),
                Err(error) => {
                    let error = lake.explain(error);
                    report.failed.push(Failure::of(source.name.clone(), &error));
                }
            }
        }
    } else {
        let one = load_sources(lake, &sources, &scratch, options)?;
        report.load_id.clone_from(&one.load_id);
        report.absorb(one);
    }
    check_passed_over(&report, files)?;
    report.dry_run = options.dry_run;
    report.bytes = report.total(|file| file.bytes);
    report.seconds = started.elapsed().as_secs_f64();
    Ok(report)
}

/// Loads sources by one commit for each table.
fn load_sources(
    lake: &Lake,
    sources: &[Source],
    scratch: &Path,
    options: &Options,
) -> Result<Report> {
    let staged = stage::stage(sources, lake, scratch, options);
    let mut staged = staged.map_err(|error| full::explained(error, lake, &[], options))?;
    check_rejects(&staged, options)?;
    refuse_without_rows(lake, &staged, options)?;
    let mut report = Report::default();
    commit_all(lake, &mut staged, &mut report, options)
        .map_err(|error| full::explained(error, lake, &staged.tables, options))?;
    report.passed_over.append(&mut staged.passed_over);
    report.files = staged.into_reports();
    for file in report.files.iter_mut().filter(|file| !file.already_loaded) {
        file.load_id.clone_from(&report.load_id);
    }
    Ok(report)
}

/// Commits what is staged, one table after the other, and its rejects.
fn commit_all(
    lake: &Lake,
    staged: &mut stage::Staged,
    report: &mut Report,
    options: &Options,
) -> Result<()> {
    let load_id = uuid::Uuid::new_v4().to_string();
    if staged.tables.iter().any(|table| !table.files.is_empty()) {
        report.load_id = (!options.dry_run).then(|| load_id.clone());
        let rejected = match options.dry_run {
            true => None,
            false => {
                lake.add_to_keep_out(None, &staged.kept_out_sessions)?;
                Some(rejects::commit(lake, staged, &load_id)?)
            }
        };
        for table in &mut staged.tables {
            report.tables.push(commit::commit(lake, table, &load_id, options)?);
        }
        if let Some(version) = rejected {
            rejects::settle(lake, staged, &load_id, version)?;
        }
    }
    Ok(())
}

/// A load of nothing is an error.
fn check_passed_over(report: &Report, files: &[PathBuf]) -> Result<()> {
    if !report.files.is_empty() || !report.failed.is_empty() {
        return Ok(());
    }
    let names = files.iter().map(|file| format!("`{}`", file.display())).collect::<Vec<_>>();
    let error = Error::data(format!("there is no export in {}", names.join(", ")))
        .hint("name the folder or the archive that the exports are in");
    let Some(first) = report.passed_over.first() else { return Err(error) };
    let more = match report.passed_over.len() - 1 {
        0 => String::new(),
        more => format!(", and {} more passed over", grouped(more as u64)),
    };
    Err(error.found(format!("`{}`: {}{more}", first.file, first.reason)))
}

/// Refuses a load with a file of which nothing can be taken. Its rejects are kept, and nothing else.
fn refuse_without_rows(lake: &Lake, staged: &stage::Staged, options: &Options) -> Result<()> {
    let files = staged.without_rows();
    let Some(first) = files.first() else { return Ok(()) };
    let report = &first.report;
    let name = &report.file;
    let others = match files.len() - 1 {
        0 => String::new(),
        1 => ", nor of one more file".to_owned(),
        more => format!(", nor of {} more files", grouped(more as u64)),
    };
    let what = match report.rows_read {
        _ if first.is_strange => format!("no object of {} was found in `{name}`", report.table),
        1 => format!("the only record of `{name}` cannot be taken"),
        records => {
            format!("none of the {} of `{name}` can be taken", counted(records, "record"))
        }
    };
    let mut error = Error::data(format!("{what}{others}: nothing was loaded"));
    let rejects = files.iter().flat_map(|file| file.first_rejects());
    let rejects = rejects.take(5).collect::<Vec<_>>().join("; ");
    if !rejects.is_empty() {
        error = error.found(rejects);
    }
    let mend = if first.is_strange {
        json::where_records_are()
    } else {
        "mend it or export it anew, and load it again".to_owned()
    };
    if options.dry_run || staged.rejected() == 0 {
        return Err(error.hint(mend));
    }
    let ids = files.iter().map(|file| file.report.file_id.as_str()).collect();
    rejects::keep(lake, staged, &ids)?;
    let lake = lake.root().display();
    Err(error.hint(format!("{mend}; `wabalake rejects --lake {lake}` shows its rejects")))
}

fn check_rejects(staged: &stage::Staged, options: &Options) -> Result<()> {
    let rejected = staged.rejected();
    let most = if options.strict { Some(0) } else { options.max_rejects };
    if most.is_none_or(|most| rejected <= most) {
        return Ok(());
    }
    let rows = counted(rejected, "row");
    let error = Error::data(format!("{rows} cannot be taken: nothing was loaded"))
        .found(staged.first_rejects(5).join("; "));
    Err(match options.strict {
        true => error.hint("mend them, or load without `--strict` to set them aside"),
        false => error.hint("mend them, or raise `--max-rejects`"),
    })
}
