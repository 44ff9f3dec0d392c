//! Reads all files of a load into typed rows by day, before anything is committed.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::path::Path;

use rayon::prelude::*;
use wabalake_data::cells::phone::{Phones, dialling_code};
use wabalake_data::tables::ad_spend::EXPORTED_ON;
use wabalake_data::tables::identities;
use wabalake_data::{TABLES, Table};

use super::buckets::DayBuckets;
use super::erased::ErasedNames;
use super::erased_links::follow_links;
use super::erased_sessions::follow_sessions;
use super::file_format::FileFormat;
use super::header::Header;
use super::key_days::KeyDays;
use super::options::Options;
use super::read_file::read_file;
use super::report::{FileReport, SkippedFile};
use super::source::{FoundSources, Source, Survey};
use super::staged::{StagedExport, StagedLoad, StagedTable};
use super::window::{RowRange, Window};
use crate::error::{Error, Result};
use crate::lake::keep_out::KeepOut;
use crate::lake::{Lake, Loaded, Snapshot};

/// The version of the loader, part of a file's id. Raised when the same bytes would load as other
/// rows.
const LOADER_VERSION: u32 = 3;

/// Reads files. Those that the lake already has are only hashed.
///
/// Files come in batches, and what a batch downloaded is deleted before the next one comes. Those of a
/// batch are all looked at before the first of them is read.
pub(crate) fn stage(
    batches: impl Iterator<Item = Result<FoundSources>>,
    lake: &Lake,
    scratch: &Path,
    options: &Options,
) -> Result<StagedLoad> {
    let keep_out = lake.keep_out()?;
    let home = options.default_country.and_then(dialling_code);
    let mut ingest = Ingest {
        lake,
        scratch,
        options,
        keep_out: keep_out.as_ref(),
        phones: Phones::with_default_code(home.as_deref()),
        staged: StagedLoad {
            tables: Vec::new(),
            loaded: Vec::new(),
            skipped: Vec::new(),
            kept_out_persons: HashSet::new(),
            kept_out_sessions: HashSet::new(),
        },
        tables: HashSet::new(),
        met: HashSet::new(),
        place: 0,
        loaded_from: Vec::new(),
    };
    for batch in batches {
        let FoundSources { sources, skipped, .. } = batch?;
        ingest.staged.skipped.extend(skipped);
        ingest.add(sources)?;
    }
    // All of them at the end: one may have grown while others were read.
    for source in ingest.loaded_from {
        source.check_unchanged()?;
    }
    let mut staged = ingest.staged;
    staged.tables.retain(|table| !table.files.is_empty());
    if let Some(keep_out) = &keep_out {
        let known = follow_links(&mut staged, keep_out, &ingest.phones)?;
        follow_sessions(lake, &mut staged, known.as_ref().unwrap_or(keep_out))?;
    }
    Ok(staged)
}

/// Reads files into a load.
struct Ingest<'a> {
    lake: &'a Lake,
    scratch: &'a Path,
    options: &'a Options,
    keep_out: Option<&'a KeepOut>,
    /// Shared, because its cache of persons serves all files.
    phones: Phones,
    staged: StagedLoad,
    /// The tables of all files.
    tables: HashSet<&'static str>,
    /// The ids of all files.
    met: HashSet<String>,
    /// The index of the next file among all.
    place: usize,
    /// Files of this machine that were read.
    loaded_from: Vec<Source>,
}

/// A file that was looked at, with a header for each table that it feeds.
type Surveyed<'s> = (&'s Source, Survey, FileFormat, Vec<Header>);

impl Ingest<'_> {
    /// Reads the files of a batch.
    fn add(&mut self, sources: Vec<Source>) -> Result<()> {
        let mut surveyed: Vec<Surveyed<'_>> = Vec::new();
        let surveys: Vec<Result<Survey>> = sources.par_iter().map(Source::survey).collect();
        for (source, survey) in sources.iter().zip(surveys) {
            let read = survey.and_then(|survey| {
                let (format, headers) = FileFormat::read(source, &survey, self.options)?;
                Ok((source, survey, format, headers))
            });
            match read.map_err(|error| source.explain(error)) {
                Ok(read) => surveyed.push(read),
                Err(error) if source.is_skipped(&error) => {
                    self.staged.skipped.push(SkippedFile::of_error(&source.name, &error));
                }
                Err(error) => return Err(error),
            }
        }
        let headers = || surveyed.iter().flat_map(|(.., headers)| headers);
        self.tables.extend(headers().map(|header| header.table.name));
        let (rows, rejects) = self.budget();
        for table in &mut self.staged.tables {
            table.rows.limit_to(rows);
            table.rejects.limit_to(rejects);
        }
        let mut tables: Vec<&'static Table> = headers().map(|header| header.table).collect();
        tables.sort_unstable_by_key(|table| table.name);
        tables.dedup();
        let known = self.known(&tables)?;
        for surveyed in surveyed {
            self.read(surveyed, |table, file_id| {
                let at = tables.iter().position(|of| *of == table);
                let known = at.and_then(|at| known.get(at));
                known.map(|known| known.transaction(file_id)).unwrap_or_default()
            })?;
        }
        Ok(())
    }

    /// Versions of tables that tell which files are loaded: those that were read under the lease of this
    /// process, if all were. Whether a file is loaded is looked up again when it is committed.
    fn known(&self, tables: &[&'static Table]) -> Result<Vec<Snapshot>> {
        let read_before = tables.iter().map(|table| self.lake.read_before(&(*table).into()));
        match read_before.collect::<Result<Option<Vec<_>>>>()? {
            Some(known) => Ok(known),
            None => self.lake.snapshots(tables.iter().copied()),
        }
    }

    /// Bytes of rows and of rejects of each table that may stay in memory.
    fn budget(&self) -> (usize, usize) {
        let budget = self.options.memory / self.tables.len().max(1);
        (budget, budget / 8)
    }

    /// Reads a file, unless the lake or this load has it. `loaded` returns how often a table has loaded
    /// a file.
    fn read(
        &mut self,
        (source, survey, format, headers): Surveyed<'_>,
        loaded: impl Fn(&Table, &str) -> Loaded,
    ) -> Result<()> {
        check_exported_on(source, &headers, self.options)?;
        check_card_options(source, &format, self.options)?;
        let (window, exported_on) = self.options.windows.of(&source.name)?;
        // A pattern may match names of files for other tables.
        let exported_on = exported_on.filter(|_| have_exported_on(&headers));
        let exported_on = exported_on.or(self.options.exported_on);
        let options = &Options { exported_on, ..self.options.clone() };
        let place = self.place;
        self.place += 1;
        let period = match window {
            Window::Period(period) => Some(period),
            Window::Unknown | Window::Rows => None,
        };
        let export = |header: Header| {
            let report = FileReport {
                file: source.name.clone(),
                sheet: format.sheet().map(str::to_owned),
                table: header.table.name,
                file_id: file_id(&survey, &format, &header, options),
                encoding: survey.encoding.name(),
                delimiter: char::from(header.delimiter),
                bytes: survey.bytes,
                records_above_header: format.above(),
                unknown_columns: header.unknown.clone(),
                has_answers: options.wide.is_some(),
                ..FileReport::default()
            };
            let needs_rows = header.table.name == identities::NAME && !format.is_webhooks();
            StagedExport {
                place,
                report: report.in_window(period),
                header,
                corrected: Vec::new(),
                is_named: source.is_named,
                is_unrecognised: false,
                needs_rows,
                row_range: (window == Window::Rows).then(RowRange::default),
            }
        };
        let mut exports: Vec<StagedExport> = headers.into_iter().map(export).collect();
        let state = |export: &StagedExport| loaded(export.header.table, &export.report.file_id);
        // One table of several may have undone its load.
        let is_undone = exports.iter().any(|export| state(export).is_undone());
        let having = exports.iter().position(|export| state(export).is_loaded());
        let is_met = exports.iter().any(|export| !self.met.insert(export.report.file_id.clone()));
        if is_met || (having.is_some() && !is_undone) {
            let report = exports.swap_remove(having.unwrap_or(0)).report;
            self.staged.loaded.push((place, FileReport { already_loaded: true, ..report }));
            return Ok(());
        }
        for export in &exports {
            self.add_table(export.header.table)?;
        }
        let from = (source, &survey, &format);
        let people = (&self.phones, self.keep_out);
        let tables = &mut self.staged.tables;
        let read = read_file(from, exports, tables, people, (self.scratch, options));
        match read.map_err(|error| source.explain(error)) {
            Err(error) if error.is_no_export() && !source.is_named => {
                self.staged.skipped.push(SkippedFile::of_error(&source.name, &error));
            }
            read => {
                read?;
                match source.is_on_this_machine() {
                    true => self.loaded_from.push(source.clone()),
                    // Its copy is deleted with the batch.
                    false => source.check_unchanged()?,
                }
            }
        }
        Ok(())
    }

    /// Adds a table to the load, unless it is there.
    fn add_table(&mut self, table: &'static Table) -> Result<()> {
        if self.staged.tables.iter().any(|known| known.table == table) {
            return Ok(());
        }
        let (rows, rejects) = self.budget();
        self.staged.tables.push(StagedTable {
            table,
            rows: DayBuckets::new(self.scratch, rows)?,
            keys: table.key_hash().map(|_| KeyDays::new(self.scratch)).transpose()?,
            rejects: DayBuckets::new(self.scratch, rejects)?,
            left_names: ErasedNames::default(),
            files: Vec::new(),
        });
        Ok(())
    }
}

/// Returns `true` if a table stores the date of export.
fn has_exported_on(table: &Table) -> bool {
    table.columns.iter().any(|column| column.name == EXPORTED_ON)
}

/// Returns `true` if one of a file's tables stores the date of export.
fn have_exported_on(headers: &[Header]) -> bool {
    headers.iter().any(|header| has_exported_on(header.table))
}

/// Refuses `--exported-on` for a table that does not store that date.
fn check_exported_on(source: &Source, headers: &[Header], options: &Options) -> Result<()> {
    if options.exported_on.is_none() || have_exported_on(headers) {
        return Ok(());
    }
    let tables = headers.iter().map(|header| header.table.name).collect::<Vec<_>>();
    let (file, table) = (&source.name, tables.join(", "));
    let holding = TABLES.iter().filter(|table| has_exported_on(table)).map(|table| table.name);
    let holding = holding.collect::<Vec<_>>().join(", ");
    Err(Error::usage(format!("`{file}` is for {table}, which have no export date")).hint(format!(
        "use `--exported-on` only with files for {holding}, load the others without it"
    )))
}

/// Refuses options of rate cards and renames where they have no effect.
fn check_card_options(source: &Source, format: &FileFormat, options: &Options) -> Result<()> {
    let file = &source.name;
    let has_card_options = options.effective_from.is_some() || options.currency.is_some();
    match format.rate_card() {
        None if has_card_options => {
            Err(Error::usage(format!("`{file}` is not a rate card as Meta publishes it")).hint(
                "use `--effective-from` and `--currency` only with such cards, load the others \
                 without them",
            ))
        }
        Some(_) if !options.renames.is_empty() => {
            Err(Error::usage(format!("`{file}` is a rate card, which has no columns to rename"))
                .hint("load it without `--rename`"))
        }
        _ if format.is_webhooks() && !options.renames.is_empty() => {
            Err(Error::usage(format!("`{file}` has webhooks, which have no columns to rename"))
                .hint("load it without `--rename`"))
        }
        _ => Ok(()),
    }
}

/// Returns the id of a file: a hash of its content and of the options that change how it is read,
/// such as the time zone and renames.
fn file_id(survey: &Survey, format: &FileFormat, header: &Header, options: &Options) -> String {
    let table = header.table;
    let zone = if table.stamps_are_utc { "UTC" } else { options.source_timezone_of(table).name() };
    let mut renames = options.renames.clone();
    renames.sort();
    let mut read_as = format!("{} {zone} {renames:?} {LOADER_VERSION}", table.name);
    if options.date_order.is_some() || options.decimal.is_some() {
        let (order, mark) = (options.date_order, options.decimal);
        // Writing to a String does not fail.
        let _ = write!(read_as, " {order:?} {mark:?} ");
    }
    if let Some(sheet) = format.sheet() {
        read_as.push_str(sheet);
    }
    if let Some(of_format) = format.read_as() {
        read_as.push_str(&of_format);
    }
    if format.is_webhooks() {
        read_as.push_str(" of webhooks");
    }
    if let Some(date) = options.exported_on {
        read_as = format!("{read_as} exported on {date}");
    }
    if let Some(country) = options.default_country_of(table) {
        read_as.push_str(" numbers of ");
        read_as.push_str(country);
    }
    let salt = xxhash_rust::xxh3::xxh3_64(read_as.as_bytes());
    let name = xxhash_rust::xxh3::xxh3_128_with_seed(&survey.hash.to_le_bytes(), salt);
    format!("{name:032x}")
}
