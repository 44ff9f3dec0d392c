//! Reads every file of a load into typed rows by day, before anything is committed.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::{Mutex, mpsc};

use polars::prelude::*;
use rayon::prelude::*;
use wabalake_data::cells::phone::{Phones, dialling_code};
use wabalake_data::tables::ad_spend::EXPORTED_ON;
use wabalake_data::{TABLES, Table};

use super::buckets::{Buckets, Overflow};
use super::header::Header;
use super::keep_out::{Sessions, follow_sessions};
use super::keys::Keys;
use super::progress::Progress;
use super::reader::Form;
use super::records::Chunk;
use super::rejects;
use super::report::{FileReport, PassedOver, RejectReport};
use super::source::{Source, Survey};
use super::spelling::{Ballots, Waiting};
use super::typing::{Typed, Typist};
use super::{LOADER_VERSION, Options};
use crate::error::{Error, Result};
use crate::lake::Lake;
use crate::lake::keep_out::KeepOut;

/// Files that are read and wait to be committed.
pub(crate) struct Staged {
    pub(crate) tables: Vec<StagedTable>,
    /// Files that the lake has, by their place among the sources.
    loaded: Vec<(usize, FileReport)>,
    /// What is no export.
    pub(crate) passed_over: Vec<PassedOver>,
    /// Sessions of persons who are kept out, which the lake does not know as such yet.
    pub(crate) kept_out_sessions: HashSet<String>,
}

/// The files for one table, and their rows.
pub(crate) struct StagedTable {
    pub(crate) table: &'static Table,
    pub(crate) rows: Buckets,
    /// The keys of the rows, where a key does not settle the day.
    pub(crate) keys: Option<Keys>,
    /// The rejects of each file, under its origin.
    pub(crate) rejects: Buckets,
    /// Sessions that rows name which were left out.
    pub(crate) left_sessions: Sessions,
    /// In the order given; a row's origin is its file's place here, from 1.
    pub(crate) files: Vec<StagedFile>,
}

/// One file that is read.
pub(crate) struct StagedFile {
    place: usize,
    pub(crate) report: FileReport,
    pub(crate) header: Header,
    /// Names of rejects that its rows mend.
    pub(crate) mended: Vec<String>,
    /// Whether it was named, rather than found in a folder or an archive.
    is_named: bool,
    /// Whether none of its records has anything that is known.
    pub(crate) is_strange: bool,
}

impl StagedFile {
    /// Its first rejects in words.
    pub(crate) fn first_rejects(&self) -> impl Iterator<Item = String> {
        self.report.first_rejects.iter().map(|reject| {
            let column = reject.column.map(|c| format!(", `{c}`")).unwrap_or_default();
            let RejectReport { record, line, reason, .. } = reject;
            format!("{}: record {record}, line {line}{column}: {reason}", self.report.file)
        })
    }

    /// Whether there are records in it, and nothing can be taken of them.
    fn gives_nothing(&self) -> bool {
        self.report.gives_nothing() || (self.is_strange && self.report.rows_read > 0)
    }
}

impl Staged {
    /// Records that could not be taken, over all files.
    pub(crate) fn rejected(&self) -> u64 {
        self.files().map(|file| file.report.rows_rejected).sum()
    }

    /// The first rejects in words.
    pub(crate) fn first_rejects(&self, most: usize) -> Vec<String> {
        self.files().flat_map(StagedFile::first_rejects).take(most).collect()
    }

    /// The named files of which nothing was taken; all of which nothing was taken, if that is true of
    /// every file of the load.
    pub(crate) fn without_rows(&self) -> Vec<&StagedFile> {
        let is_all = self.loaded.is_empty() && self.files().all(StagedFile::gives_nothing);
        let wanted = |file: &&StagedFile| file.gives_nothing() && (is_all || file.is_named);
        self.files().filter(wanted).collect()
    }

    /// Names of the contents of all files.
    pub(crate) fn file_ids(&self) -> impl Iterator<Item = &str> {
        self.files().map(|file| file.report.file_id.as_str())
    }

    fn files(&self) -> impl Iterator<Item = &StagedFile> {
        self.tables.iter().flat_map(|table| &table.files)
    }

    /// The reports of all files in the order given.
    pub(crate) fn into_reports(self) -> Vec<FileReport> {
        let mut reports = self.loaded;
        for table in self.tables {
            reports.extend(table.files.into_iter().map(|file| (file.place, file.report)));
        }
        reports.sort_by_key(|(place, _)| *place);
        reports.into_iter().map(|(_, report)| report).collect()
    }
}

/// Reads files; those that the lake has are surveyed only.
pub(crate) fn stage(
    sources: &[Source],
    lake: &Lake,
    scratch: &Path,
    options: &Options,
) -> Result<Staged> {
    let mut surveyed = Vec::new();
    let mut passed_over = Vec::new();
    let surveys: Vec<Result<Survey>> = sources.par_iter().map(Source::survey).collect();
    for (source, survey) in sources.iter().zip(surveys) {
        let read = survey.and_then(|survey| {
            let (form, header) = Form::read(source, &survey, options)?;
            Ok((source, survey, form, header))
        });
        match read.map_err(|error| source.explain(error)) {
            Ok(read) => surveyed.push(read),
            Err(error) if source.is_passed_over(&error) => {
                passed_over.push(PassedOver::told(&source.name, &error));
            }
            Err(error) => return Err(error),
        }
    }
    let tables: HashSet<&str> = surveyed.iter().map(|(.., header)| header.table.name).collect();
    let budget = options.memory / tables.len().max(1);

    let keep_out = lake.keep_out()?;
    let mut staged = Staged {
        tables: Vec::new(),
        loaded: Vec::new(),
        passed_over,
        kept_out_sessions: HashSet::new(),
    };
    let mut seen = HashSet::new();
    let mut loaded_from = Vec::new();
    // People come back in the next file.
    let home = options.default_country.and_then(dialling_code);
    let phones = Phones::with_default_code(home.as_deref());
    for (place, (source, survey, form, header)) in surveyed.into_iter().enumerate() {
        check_exported_on(source, &header, options)?;
        let file_id = file_id(&survey, &form, &header, options);
        let report = FileReport {
            file: source.name.clone(),
            sheet: form.sheet().map(str::to_owned),
            table: header.table.name,
            file_id: file_id.clone(),
            encoding: survey.encoding.name(),
            delimiter: char::from(header.delimiter),
            bytes: survey.bytes,
            records_above_header: form.above(),
            unknown_columns: header.unknown.clone(),
            ..FileReport::default()
        };
        if !seen.insert(file_id.clone()) || lake.is_loaded(header.table, &file_id)? {
            staged.loaded.push((place, FileReport { already_loaded: true, ..report }));
            continue;
        }
        let at = match staged.tables.iter().position(|t| t.table == header.table) {
            Some(at) => at,
            None => {
                staged.tables.push(StagedTable {
                    table: header.table,
                    rows: Buckets::new(scratch, budget)?,
                    keys: header.table.key_hash().map(|_| Keys::new(scratch)).transpose()?,
                    rejects: Buckets::new(scratch, budget / 8)?,
                    left_sessions: Sessions::default(),
                    files: Vec::new(),
                });
                staged.tables.len() - 1
            }
        };
        let is_named = source.is_named;
        let file =
            StagedFile { place, report, header, mended: Vec::new(), is_named, is_strange: false };
        let from = (source, &survey, &form);
        let people = (&phones, keep_out.as_ref());
        let read = read_file(from, file, &mut staged.tables[at], people, (scratch, options));
        match read.map_err(|error| source.explain(error)) {
            Err(error) if error.is_no_export() && !source.is_named => {
                staged.passed_over.push(PassedOver::told(&source.name, &error));
            }
            read => {
                read?;
                loaded_from.push(source);
            }
        }
    }
    // All of them, since one may have grown while the others were read.
    for source in loaded_from {
        source.check_unchanged()?;
    }
    if let Some(keep_out) = &keep_out {
        follow_sessions(lake, &mut staged, keep_out)?;
    }
    Ok(staged)
}

/// Refuses the date of an export for a table that does not hold it.
fn check_exported_on(source: &Source, header: &Header, options: &Options) -> Result<()> {
    let holds = |table: &Table| table.columns.iter().any(|column| column.name == EXPORTED_ON);
    if options.exported_on.is_none() || holds(header.table) {
        return Ok(());
    }
    let (file, table) = (&source.name, header.table.name);
    let holding = TABLES.iter().filter(|table| holds(table)).map(|table| table.name);
    let holding = holding.collect::<Vec<_>>().join(", ");
    Err(Error::usage(format!("`{file}` is for {table}, which hold no date of the export")).hint(
        format!("name only files for {holding} with `--exported-on`, load the others without"),
    ))
}

/// Names a file's contents as they are read, so that the same file twice is known, and the same
/// file read with another zone or other names is not taken for it.
fn file_id(survey: &Survey, form: &Form, header: &Header, options: &Options) -> String {
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
    if let Some(sheet) = form.sheet() {
        read_as.push_str(sheet);
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

/// Reads one file: first what is the same however its columns are written, then, once all of them
/// are read, what waited for that.
fn read_file(
    (source, survey, form): (&Source, &Survey, &Form),
    file: StagedFile,
    into: &mut StagedTable,
    (phones, keep_out): (&Phones, Option<&KeepOut>),
    (scratch, options): (&Path, &Options),
) -> Result<()> {
    let origin = i32::try_from(into.files.len() + 1).unwrap_or(i32::MAX);
    let header = file.header.clone();
    let zone = options.source_timezone_of(header.table);
    let progress = Progress::bytes(&source.name, survey.bytes, options.quiet);
    let sink = Mutex::new(Sink {
        file,
        origin,
        into,
        ballots: Ballots::default(),
        waiting: Waiting::new(scratch),
        fault: None,
    });
    let typist_of = |header| {
        let typist = Typist::new(header, zone, origin, phones);
        typist.exported_on(options.exported_on).keeping_out(keep_out)
    };

    let mut reader = form.reader(source, survey, &header)?;
    type_all(&mut || reader.next_chunk(), &|| typist_of(&header), &sink, &progress)?;
    let mut sink = sink.into_inner().map_err(|_| Error::bug("a thread of the load failed"))?;
    sink.file.report.unknown_columns.extend(reader.unknown());
    sink.file.report.measures_at_fault = reader.measures_at_fault();
    sink.file.is_strange = reader.knows_nothing();
    drop(reader);

    let waiting = std::mem::replace(&mut sink.waiting, Waiting::new(scratch));
    if sink.fault.is_none() && !waiting.is_empty() {
        let spellings = sink.ballots.settle(&source.name, &header)?;
        let spelled = Header { spellings, ..header.clone() };
        let mut waited = waiting.read()?;
        let rest = Mutex::new(sink);
        type_all(&mut || waited.next_chunk(), &|| typist_of(&spelled), &rest, &progress)?;
        sink = rest.into_inner().map_err(|_| Error::bug("a thread of the load failed"))?;
    }
    sink.finish()
}

/// Types chunks of records: this thread gets them, others type them.
fn type_all<'h>(
    next: &mut dyn FnMut() -> Result<Option<Chunk>>,
    typist: &(dyn Fn() -> Typist<'h> + Sync),
    sink: &Mutex<Sink<'_>>,
    progress: &Progress,
) -> Result<()> {
    let (sender, receiver) = mpsc::sync_channel::<Chunk>(2);
    let receiver = Mutex::new(receiver);
    let threads = std::thread::available_parallelism().map_or(2, usize::from).max(2);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut typist = typist();
                loop {
                    let chunk = receiver.lock().ok().and_then(|chunks| chunks.recv().ok());
                    let Some(chunk) = chunk else { break };
                    typist.type_chunk(&chunk, &mut |typed| {
                        let overflows = sink.lock().map(|mut sink| sink.take(typed));
                        // Written without holding up the others.
                        for overflow in overflows.into_iter().flatten() {
                            let written = overflow.write();
                            if let (Err(e), Ok(mut sink)) = (written, sink.lock()) {
                                sink.fault.get_or_insert(e);
                            }
                        }
                    });
                    progress.advance(chunk.read);
                }
            });
        }
        // Dropped when this ends, however it ends: then the others do.
        let sender = sender;
        while let Some(chunk) = next()? {
            let stopped = sink.lock().map_or(true, |sink| sink.fault.is_some());
            if stopped || sender.send(chunk).is_err() {
                break;
            }
        }
        Ok(())
    })
}

/// What a row takes about, of those that records are spread over.
const ROW_BYTES: usize = 50;

/// Where typed rows of one file go.
struct Sink<'t> {
    file: StagedFile,
    origin: i32,
    into: &'t mut StagedTable,
    /// What the file's cells say of how its columns are written.
    ballots: Ballots,
    waiting: Waiting,
    fault: Option<Error>,
}

impl Sink<'_> {
    const FIRST_REJECTS: usize = 5;

    fn take(&mut self, typed: PolarsResult<Typed>) -> Vec<Overflow> {
        if self.fault.is_none() {
            self.fault = self.try_take(typed).err();
        }
        let StagedTable { rows, rejects, .. } = &mut *self.into;
        rows.overflow().into_iter().chain(rejects.overflow()).collect()
    }

    fn try_take(&mut self, typed: PolarsResult<Typed>) -> Result<()> {
        let typed = typed?;
        self.ballots.add(&typed.ballots);
        if let Some(waiting) = typed.waiting {
            self.waiting.add(waiting)?;
        }
        let report = &mut self.file.report;
        report.rows_read += typed.records;
        report.rows_with_sentinel += typed.sentinels;
        report.rows_rejected += typed.rejects.len() as u64;
        report.rows_left_out += typed.left_out;
        report.rows_kept_out += typed.kept_out;
        report.rows_repeated_header += typed.headers;
        report.rows_spread += typed.spread;
        self.file.mended.extend(typed.mended);
        self.into.left_sessions.extend(typed.left_sessions);
        if !typed.rejects.is_empty() {
            let first = typed.rejects.iter().map(|reject| RejectReport {
                record: reject.record,
                line: reject.line,
                column: reject.column,
                reason: reject.reason.clone(),
            });
            report.first_rejects.extend(first);
            report.first_rejects.sort_by_key(|reject| reject.record);
            report.first_rejects.truncate(Self::FIRST_REJECTS);
            let bytes = typed.rejects.iter().map(|reject| reject.raw.len() + 100).sum();
            self.into.rejects.add(self.origin, rejects::frame(typed.rejects)?, bytes);
        }
        // A chunk's rows take about twice its bytes: each text has a view of 16 bytes beside it.
        let rows: usize = typed.days.values().map(DataFrame::height).sum();
        let all_bytes = 2 * typed.bytes.max(ROW_BYTES * usize::try_from(typed.spread).unwrap_or(0));
        for (day, part) in typed.days {
            let bytes = all_bytes * part.height() / rows.max(1);
            if let (Some(keys), Some(hash)) = (&mut self.into.keys, self.into.table.key_hash()) {
                keys.add(day, &part, hash)?;
            }
            self.into.rows.add(day, part, bytes);
        }
        Ok(())
    }

    fn finish(self) -> Result<()> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        self.into.files.push(self.file);
        Ok(())
    }
}
