//! The types of a load that is read and not yet committed.

use std::collections::HashSet;

use wabalake_data::Table;

use super::buckets::DayBuckets;
use super::erased::ErasedNames;
use super::header::Header;
use super::key_days::KeyDays;
use super::report::{FileReport, RejectReport, SkippedFile};
use super::window::RowRange;

/// All files of a load, read and ready to be committed.
pub(crate) struct StagedLoad {
    pub(crate) tables: Vec<StagedTable>,
    /// Files that the lake already has, with their index among the sources.
    pub(super) loaded: Vec<(usize, FileReport)>,
    /// Files that are not exports.
    pub(crate) skipped: Vec<SkippedFile>,
    /// New numbers and user ids of erased persons, for the keep-out list.
    pub(crate) kept_out_persons: HashSet<String>,
    /// New sessions of erased persons, for the keep-out list.
    pub(crate) kept_out_sessions: HashSet<String>,
}

/// The rows of the files for one table.
pub(crate) struct StagedTable {
    pub(crate) table: &'static Table,
    pub(crate) rows: DayBuckets,
    /// The keys of the rows, if one key may be on several days.
    pub(crate) keys: Option<KeyDays>,
    /// The rejects, by the origin of their file in place of a day.
    pub(crate) rejects: DayBuckets,
    /// What rows that were dropped name.
    pub(crate) left_names: ErasedNames,
    /// The files, in the given order. A row's origin is the index of its file here, from 1.
    pub(crate) files: Vec<StagedExport>,
}

/// A file that is read.
pub(crate) struct StagedExport {
    /// The index of the file among the sources; exports of one file share it.
    pub(super) place: usize,
    pub(crate) report: FileReport,
    pub(crate) header: Header,
    /// Names of rejects that its rows correct.
    pub(crate) corrected: Vec<String>,
    /// `true` if it was named, not found in a folder or an archive.
    pub(super) is_named: bool,
    /// `true` if none of its records has a known key.
    pub(crate) is_unrecognised: bool,
    /// `true` if it is a fault that all of its records are left out: they are no totals and no events of
    /// other types.
    pub(super) needs_rows: bool,
    /// The range of its rows, if that is its window.
    pub(super) row_range: Option<RowRange>,
}

impl StagedExport {
    /// The first rejects as text.
    pub(crate) fn first_rejects(&self) -> impl Iterator<Item = String> {
        self.report.first_rejects.iter().map(|reject| {
            let column = reject.column.map(|c| format!(", `{c}`")).unwrap_or_default();
            let RejectReport { record, line, reason, .. } = reject;
            format!("{}: record {record}, line {line}{column}: {reason}", self.report.file)
        })
    }

    /// Returns `true` if it has records and none is valid.
    fn has_no_usable_rows(&self) -> bool {
        let FileReport { rows_read, rows_left_out, rows_repeated_header, .. } = self.report;
        let has_only_skipped =
            rows_left_out > 0 && rows_left_out + rows_repeated_header == rows_read;
        self.report.has_no_usable_rows()
            || (self.is_unrecognised && rows_read > 0)
            || (self.needs_rows && has_only_skipped)
    }
}

impl StagedLoad {
    /// Counts the rejects of all files.
    pub(crate) fn rejected(&self) -> u64 {
        self.files().map(|file| file.report.rows_rejected).sum()
    }

    /// The first rejects of all files as text.
    pub(crate) fn first_rejects(&self, most: usize) -> Vec<String> {
        self.files().flat_map(StagedExport::first_rejects).take(most).collect()
    }

    /// Returns the named files without a valid record, or all files if none of the load has a valid
    /// record.
    pub(crate) fn without_rows(&self) -> Vec<&StagedExport> {
        // A file that feeds several tables has an export in each.
        let usable = self.files().filter(|file| !file.has_no_usable_rows());
        let usable: HashSet<usize> = usable.map(|file| file.place).collect();
        let is_all = self.loaded.is_empty() && usable.is_empty();
        let wanted =
            |file: &&StagedExport| !usable.contains(&file.place) && (is_all || file.is_named);
        self.files().filter(wanted).collect()
    }

    /// The ids of all files.
    pub(crate) fn file_ids(&self) -> impl Iterator<Item = &str> {
        self.files().map(|file| file.report.file_id.as_str())
    }

    pub(super) fn files(&self) -> impl Iterator<Item = &StagedExport> {
        self.tables.iter().flat_map(|table| &table.files)
    }

    /// The reports of all files, in the given order.
    pub(crate) fn into_reports(self) -> Vec<FileReport> {
        let mut reports = self.loaded;
        for table in self.tables {
            reports.extend(table.files.into_iter().map(|file| (file.place, file.report)));
        }
        reports.sort_by_key(|(place, _)| *place);
        reports.into_iter().map(|(_, report)| report).collect()
    }
}
