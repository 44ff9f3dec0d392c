//! Reads all files of a load into typed rows by day, before anything is committed.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::{Mutex, mpsc};

use chrono_tz::Tz;
use polars::prelude::*;
use rayon::prelude::*;
use wabalake_data::cells::phone::{Phones, dialling_code};
use wabalake_data::tables::ad_spend::EXPORTED_ON;
use wabalake_data::{TABLES, Table};

use super::buckets::{DayBuckets, Overflow};
use super::chunk::Chunk;
use super::chunk_parser::{ChunkParser, ParsedChunk};
use super::erased::ErasedSessions;
use super::erased_sessions::follow_sessions;
use super::file_format::FileFormat;
use super::header::Header;
use super::key_days::KeyDays;
use super::options::Options;
use super::pending::PendingChunks;
use super::progress::Progress;
use super::reject::frame;
use super::report::{FileReport, RejectReport, SkippedFile};
use super::source::{FoundSources, Source, Survey};
use super::spelling::Ballots;
use super::staged::{StagedExport, StagedLoad, StagedTable};
use super::window::{RowRange, Window};
use crate::error::{Error, Result};
use crate::lake::Lake;
use crate::lake::keep_out::KeepOut;

/// The version of the loader, part of a file's id. Raised when the same bytes would load as other
/// rows.
const LOADER_VERSION: u32 = 2;

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
    if let Some(keep_out) = &keep_out {
        follow_sessions(lake, &mut staged, keep_out)?;
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

/// A file that was looked at.
type Surveyed<'s> = (&'s Source, Survey, FileFormat, Header);

impl Ingest<'_> {
    /// Reads the files of a batch.
    fn add(&mut self, sources: Vec<Source>) -> Result<()> {
        let mut surveyed: Vec<Surveyed<'_>> = Vec::new();
        let surveys: Vec<Result<Survey>> = sources.par_iter().map(Source::survey).collect();
        for (source, survey) in sources.iter().zip(surveys) {
            let read = survey.and_then(|survey| {
                let (format, header) = FileFormat::read(source, &survey, self.options)?;
                Ok((source, survey, format, header))
            });
            match read.map_err(|error| source.explain(error)) {
                Ok(read) => surveyed.push(read),
                Err(error) if source.is_skipped(&error) => {
                    self.staged.skipped.push(SkippedFile::of_error(&source.name, &error));
                }
                Err(error) => return Err(error),
            }
        }
        self.tables.extend(surveyed.iter().map(|(.., header)| header.table.name));
        let (rows, rejects) = self.budget();
        for table in &mut self.staged.tables {
            table.rows.limit_to(rows);
            table.rejects.limit_to(rejects);
        }
        let mut tables: Vec<&'static Table> =
            surveyed.iter().map(|(.., header)| header.table).collect();
        tables.sort_unstable_by_key(|table| table.name);
        tables.dedup();
        let known = self.lake.snapshots(tables.iter().copied())?;
        for surveyed in surveyed {
            let at = tables.iter().position(|table| *table == surveyed.3.table);
            let known = at.and_then(|at| known.get(at));
            self.read(surveyed, |file_id| {
                known.is_some_and(|known| known.transaction(file_id).is_loaded())
            })?;
        }
        Ok(())
    }

    /// Bytes of rows and of rejects of each table that may stay in memory.
    fn budget(&self) -> (usize, usize) {
        let budget = self.options.memory / self.tables.len().max(1);
        (budget, budget / 8)
    }

    /// Reads a file, unless the lake or this load has it.
    fn read(
        &mut self,
        (source, survey, format, header): Surveyed<'_>,
        is_loaded: impl Fn(&str) -> bool,
    ) -> Result<()> {
        check_exported_on(source, &header, self.options)?;
        check_card_options(source, &format, self.options)?;
        let window = self.options.windows.of(&source.name)?;
        let place = self.place;
        self.place += 1;
        let file_id = file_id(&survey, &format, &header, self.options);
        let report = FileReport {
            file: source.name.clone(),
            sheet: format.sheet().map(str::to_owned),
            table: header.table.name,
            file_id: file_id.clone(),
            encoding: survey.encoding.name(),
            delimiter: char::from(header.delimiter),
            bytes: survey.bytes,
            records_above_header: format.above(),
            unknown_columns: header.unknown.clone(),
            ..FileReport::default()
        }
        .in_window(match window {
            Window::Period(period) => Some(period),
            Window::Unknown | Window::Rows => None,
        });
        if !self.met.insert(file_id.clone()) || is_loaded(&file_id) {
            self.staged.loaded.push((place, FileReport { already_loaded: true, ..report }));
            return Ok(());
        }
        let table = self.table(header.table)?;
        let is_named = source.is_named;
        let file = StagedExport {
            place,
            report,
            header,
            corrected: Vec::new(),
            is_named,
            is_unrecognised: false,
            row_range: (window == Window::Rows).then(RowRange::default),
        };
        let from = (source, &survey, &format);
        let people = (&self.phones, self.keep_out);
        let into = &mut self.staged.tables[table];
        let read = read_file(from, file, into, people, (self.scratch, self.options));
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

    /// The index of a table in the load, to which it is added if it has no rows yet.
    fn table(&mut self, table: &'static Table) -> Result<usize> {
        if let Some(at) = self.staged.tables.iter().position(|known| known.table == table) {
            return Ok(at);
        }
        let (rows, rejects) = self.budget();
        self.staged.tables.push(StagedTable {
            table,
            rows: DayBuckets::new(self.scratch, rows)?,
            keys: table.key_hash().map(|_| KeyDays::new(self.scratch)).transpose()?,
            rejects: DayBuckets::new(self.scratch, rejects)?,
            left_sessions: ErasedSessions::default(),
            files: Vec::new(),
        });
        Ok(self.staged.tables.len() - 1)
    }
}

/// Refuses `--exported-on` for a table that does not store that date.
fn check_exported_on(source: &Source, header: &Header, options: &Options) -> Result<()> {
    let holds = |table: &Table| table.columns.iter().any(|column| column.name == EXPORTED_ON);
    if options.exported_on.is_none() || holds(header.table) {
        return Ok(());
    }
    let (file, table) = (&source.name, header.table.name);
    let holding = TABLES.iter().filter(|table| holds(table)).map(|table| table.name);
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

/// Reads one file. Records whose spelling is ambiguous wait until all cells are seen and are parsed
/// then.
fn read_file(
    (source, survey, format): (&Source, &Survey, &FileFormat),
    file: StagedExport,
    into: &mut StagedTable,
    (phones, keep_out): (&Phones, Option<&KeepOut>),
    (scratch, options): (&Path, &Options),
) -> Result<()> {
    let origin = i32::try_from(into.files.len() + 1).unwrap_or(i32::MAX);
    let header = file.header.clone();
    let zone = options.source_timezone_of(header.table);
    let progress = Progress::bytes(&source.name, survey.bytes, options.quiet);
    let sink = Mutex::new(RowSink {
        file,
        origin,
        into,
        ballots: Ballots::default(),
        waiting: PendingChunks::new(scratch),
        fault: None,
    });
    let parser_of = |header| {
        let parser = ChunkParser::new(header, zone, origin, phones);
        parser.exported_on(options.exported_on).keeping_out(keep_out)
    };

    let mut reader = format.reader(source, survey, &header)?;
    parse_all(&mut || reader.next_chunk(), &|| parser_of(&header), &sink, &progress)?;
    let mut sink = sink.into_inner().map_err(|_| Error::bug("a thread of the load failed"))?;
    sink.file.report.unknown_columns.extend(reader.unknown_columns());
    sink.file.report.measures_at_fault = reader.unreadable_measures();
    sink.file.is_unrecognised = reader.recognised_nothing();
    drop(reader);

    let waiting = std::mem::replace(&mut sink.waiting, PendingChunks::new(scratch));
    if sink.fault.is_none() && !waiting.is_empty() {
        let spellings = sink.ballots.settle(&source.name, &header)?;
        let spelled = Header { spellings, ..header.clone() };
        let mut waited = waiting.read()?;
        let rest = Mutex::new(sink);
        parse_all(&mut || waited.next_chunk(), &|| parser_of(&spelled), &rest, &progress)?;
        sink = rest.into_inner().map_err(|_| Error::bug("a thread of the load failed"))?;
    }
    sink.finish(zone)
}

/// Parses chunks of records on all cores; this thread reads the next chunks.
fn parse_all<'h>(
    next: &mut dyn FnMut() -> Result<Option<Chunk>>,
    parser: &(dyn Fn() -> ChunkParser<'h> + Sync),
    sink: &Mutex<RowSink<'_>>,
    progress: &Progress,
) -> Result<()> {
    let (sender, receiver) = mpsc::sync_channel::<Chunk>(2);
    let receiver = Mutex::new(receiver);
    let threads = std::thread::available_parallelism().map_or(2, usize::from).max(2);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut parser = parser();
                loop {
                    let chunk = receiver.lock().ok().and_then(|chunks| chunks.recv().ok());
                    let Some(chunk) = chunk else { break };
                    parser.parse_chunk(&chunk, &mut |parsed| {
                        let overflows = sink.lock().map(|mut sink| sink.take(parsed));
                        // Written without a lock, so that other threads go on.
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
        // Dropped on every return, which ends the other threads.
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

/// The approximate size of a row made by spreading a record over several days.
const ROW_BYTES: usize = 50;

/// Receives the parsed chunks of one file.
struct RowSink<'t> {
    file: StagedExport,
    origin: i32,
    into: &'t mut StagedTable,
    /// Evidence in the file's cells for how its columns are written.
    ballots: Ballots,
    waiting: PendingChunks,
    fault: Option<Error>,
}

impl RowSink<'_> {
    const FIRST_REJECTS: usize = 5;

    fn take(&mut self, parsed: PolarsResult<ParsedChunk>) -> Vec<Overflow> {
        if self.fault.is_none() {
            self.fault = self.try_take(parsed).err();
        }
        let StagedTable { rows, rejects, .. } = &mut *self.into;
        rows.overflow().into_iter().chain(rejects.overflow()).collect()
    }

    fn try_take(&mut self, parsed: PolarsResult<ParsedChunk>) -> Result<()> {
        let parsed = parsed?;
        self.ballots.add(&parsed.ballots);
        if let Some(waiting) = parsed.waiting {
            self.waiting.add(waiting)?;
        }
        let report = &mut self.file.report;
        report.rows_read += parsed.records;
        report.rows_with_sentinel += parsed.sentinels;
        report.rows_rejected += parsed.rejects.len() as u64;
        report.rows_left_out += parsed.left_out;
        report.rows_kept_out += parsed.kept_out;
        report.rows_repeated_header += parsed.headers;
        report.rows_spread += parsed.spread;
        self.file.corrected.extend(parsed.corrected);
        self.into.left_sessions.extend(parsed.left_sessions);
        if !parsed.rejects.is_empty() {
            let first = parsed.rejects.iter().map(|reject| RejectReport {
                record: reject.record,
                line: reject.line,
                column: reject.column,
                reason: reject.reason.clone(),
            });
            report.first_rejects.extend(first);
            report.first_rejects.sort_by_key(|reject| reject.record);
            report.first_rejects.truncate(Self::FIRST_REJECTS);
            let bytes = parsed.rejects.iter().map(|reject| reject.raw.len() + 100).sum();
            self.into.rejects.add(self.origin, frame(parsed.rejects)?, bytes);
        }
        // Rows take about twice the bytes of their chunk: each text has a view of 16 bytes.
        let rows: usize = parsed.days.values().map(DataFrame::height).sum();
        let all_bytes =
            2 * parsed.bytes.max(ROW_BYTES * usize::try_from(parsed.spread).unwrap_or(0));
        for (day, part) in parsed.days {
            if let Some(range) = &mut self.file.row_range {
                range.add(self.into.table, &part)?;
            }
            let bytes = all_bytes * part.height() / rows.max(1);
            if let (Some(keys), Some(hash)) = (&mut self.into.keys, self.into.table.key_hash()) {
                keys.add(day, &part, hash)?;
            }
            self.into.rows.add(day, part, bytes);
        }
        Ok(())
    }

    fn finish(self, zone: Tz) -> Result<()> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        let mut file = self.file;
        if let Some(range) = file.row_range {
            let zone = if self.into.table.stamps_are_utc { Tz::UTC } else { zone };
            file.report = file.report.in_window(range.days(self.into.table, zone));
        }
        self.into.files.push(file);
        Ok(())
    }
}
