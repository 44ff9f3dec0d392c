//! Reads one file into the rows of the tables that it feeds, on all cores.
//!
//! ```text
//! reader ──► chunk, of one table ──► parser of that table, on any core ──► its sink: rows, rejects, counts
//! ```

use std::path::Path;
use std::sync::{Mutex, PoisonError, mpsc};

use chrono_tz::Tz;
use polars::prelude::*;
use wabalake_data::cells::phone::Phones;

use super::buckets::Overflow;
use super::chunk::Chunk;
use super::chunk_parser::{ChunkParser, ParsedChunk};
use super::file_format::FileFormat;
use super::header::Header;
use super::options::Options;
use super::pending::PendingChunks;
use super::progress::Progress;
use super::reject::frame;
use super::report::RejectReport;
use super::source::{Source, Survey};
use super::spelling::Ballots;
use super::staged::{StagedExport, StagedTable};
use crate::error::{Error, Result};
use crate::lake::keep_out::KeepOut;

/// Reads one file into the tables that it feeds, each with an export of its own. Records whose
/// spelling is ambiguous wait until all cells are seen and are parsed then.
pub(super) fn read_file(
    (source, survey, format): (&Source, &Survey, &FileFormat),
    exports: Vec<StagedExport>,
    tables: &mut [StagedTable],
    people: (&Phones, Option<&KeepOut>),
    (scratch, options): (&Path, &Options),
) -> Result<()> {
    let headers: Vec<Header> = exports.iter().map(|export| export.header.clone()).collect();
    let mut places: Vec<Option<&mut StagedTable>> = tables.iter_mut().map(Some).collect();
    let mut sinks = Vec::new();
    for file in exports {
        let is_its = |place: &&mut Option<&mut StagedTable>| {
            place.as_ref().is_some_and(|table| table.table == file.header.table)
        };
        let into = places.iter_mut().find(is_its).and_then(Option::take);
        let into = into.ok_or_else(|| Error::bug("a file without its table"))?;
        let origin = i32::try_from(into.files.len() + 1).unwrap_or(i32::MAX);
        sinks.push(Mutex::new(RowSink {
            file,
            origin,
            into,
            ballots: Ballots::default(),
            waiting: PendingChunks::new(scratch),
            fault: None,
        }));
    }
    let origins = sinks.iter_mut().map(|sink| Ok(sink.get_mut().map_err(failed)?.origin));
    let origins = origins.collect::<Result<Vec<i32>>>()?;
    let progress = Progress::bytes(&source.name, survey.bytes, options.quiet);
    let mut reader = format.reader(source, survey, &headers[0])?;
    let parser = |table: usize| parser_of(&headers[table], origins[table], people, options);
    parse_all(&mut || reader.next_chunk(), &parser, &sinks, &progress)?;
    let table_without_records = reader.table_without_records();
    {
        let mut sink = sinks[0].lock().map_err(failed)?;
        let sink = &mut *sink;
        sink.file.report.unknown_columns.extend(reader.unknown_columns());
        sink.file.report.measures_at_fault = reader.unreadable_measures();
        sink.file.report.leave_out(reader.left_out());
        sink.file.is_unrecognised = reader.recognised_nothing();
    }
    drop(reader);

    for (table, sink) in sinks.iter_mut().enumerate() {
        let sink_of = sink.get_mut().map_err(failed)?;
        let waiting = std::mem::replace(&mut sink_of.waiting, PendingChunks::new(scratch));
        if sink_of.fault.is_some() || waiting.is_empty() {
            continue;
        }
        let header = &headers[table];
        let spellings = sink_of.ballots.settle(&source.name, header)?;
        let spelled = Header { spellings, ..header.clone() };
        let mut waited = waiting.read()?;
        let next = &mut || Ok(waited.next_chunk()?.map(|chunk| Chunk { table: 0, ..chunk }));
        let parser = |_| parser_of(&spelled, origins[table], people, options);
        parse_all(next, &parser, std::slice::from_ref(sink), &progress)?;
    }
    let sinks = sinks.into_iter().map(|sink| sink.into_inner().map_err(failed));
    finish(sinks.collect::<Result<_>>()?, table_without_records, options)
}

/// The parser of the chunks of a table.
fn parser_of<'h>(
    header: &'h Header,
    origin: i32,
    (phones, keep_out): (&'h Phones, Option<&'h KeepOut>),
    options: &Options,
) -> ChunkParser<'h> {
    let zone = options.source_timezone_of(header.table);
    let parser = ChunkParser::new(header, zone, origin, phones);
    parser.exported_on(options.exported_on).keeping_out(keep_out)
}

/// Ends the reading of a file. Of several tables only those that got records have it, or the one of a
/// file without records.
fn finish(
    mut sinks: Vec<RowSink<'_>>,
    table_without_records: usize,
    options: &Options,
) -> Result<()> {
    if let Some(fault) = sinks.iter_mut().find_map(|sink| sink.fault.take()) {
        return Err(fault);
    }
    // What the whole file reports belongs to the first table with records.
    let first = sinks.iter().position(RowSink::has_records).unwrap_or(table_without_records);
    if first > 0 {
        let report = std::mem::take(&mut sinks[0].file.report);
        let rest = &mut sinks[first].file;
        rest.report.leave_out(report.left_out_by_kind);
        rest.is_unrecognised = false;
        sinks.drain(..first);
    }
    for (at, mut sink) in sinks.into_iter().enumerate() {
        if at > 0 {
            sink.file.report.is_continued = true;
            sink.file.report.bytes = 0;
        }
        let table = sink.into.table;
        if let Some(range) = sink.file.row_range {
            let zone = options.source_timezone_of(table);
            let zone = if table.stamps_are_utc { Tz::UTC } else { zone };
            sink.file.report = sink.file.report.in_window(range.days(table, zone));
        }
        if at == 0 || sink.has_records() {
            sink.into.files.push(sink.file);
        }
    }
    Ok(())
}

fn failed<T>(_: PoisonError<T>) -> Error {
    Error::bug("a thread of the load failed")
}

/// Parses chunks of records on all cores; this thread reads the next chunks. Each table that the file
/// feeds has its parser and its sink.
fn parse_all<'h>(
    next: &mut dyn FnMut() -> Result<Option<Chunk>>,
    parser: &(dyn Fn(usize) -> ChunkParser<'h> + Sync),
    sinks: &[Mutex<RowSink<'_>>],
    progress: &Progress,
) -> Result<()> {
    let (sender, receiver) = mpsc::sync_channel::<Chunk>(2);
    let receiver = Mutex::new(receiver);
    let threads = std::thread::available_parallelism().map_or(2, usize::from).max(2);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut parsers: Vec<ChunkParser<'h>> = (0..sinks.len()).map(parser).collect();
                loop {
                    let chunk = receiver.lock().ok().and_then(|chunks| chunks.recv().ok());
                    let Some(chunk) = chunk else { break };
                    let sink = &sinks[chunk.table];
                    parsers[chunk.table].parse_chunk(&chunk, &mut |parsed| {
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
        let has_failed =
            |sink: &Mutex<RowSink<'_>>| sink.lock().map_or(true, |sink| sink.fault.is_some());
        while let Some(chunk) = next()? {
            if sinks.iter().any(has_failed) || sender.send(chunk).is_err() {
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
        self.into.left_names.extend(parsed.left_names);
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

    /// Returns `true` if the file has records of this table, other than what belongs to no table.
    fn has_records(&self) -> bool {
        self.file.report.rows_read > self.file.report.left_out_by_kind.values().sum()
    }
}
