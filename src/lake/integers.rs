//! Reads one integer column of many data files, such as the hashes of keys.
//!
//! ```text
//! a file in a folder   only the pages of the column are read
//! a file on a store    [ other columns      … key hashes | footer ]
//!                                 [ one request: the last third, then in the cache ]
//! ```
//!
//! The hashes of keys are the last columns of a file. Those of the first row groups of a large file are not
//! in its last third: each is another request.

use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::sync::Arc;

use bytes::{Buf as _, Bytes};
use parquet::column::reader::ColumnReader;
use parquet::errors::ParquetError;
use parquet::file::metadata::{
    ParquetMetaData, ParquetMetaDataOptions, ParquetMetaDataReader, ParquetStatisticsPolicy,
    RowGroupMetaData,
};
use parquet::file::properties::ReaderProperties;
use parquet::file::reader::{ChunkReader, Length, RowGroupReader as _};
use parquet::file::serialized_reader::SerializedRowGroupReader;
use rayon::prelude::*;

use super::Snapshot;
use super::damage::Damage;
use super::log::{DataFile, file_key};
use crate::error::{Context as _, Error, Result};
use crate::place::{Key, Part, tail};

/// The share of a file that is its end, with the hashes of keys: sessions need a quarter, deployments
/// 30 %.
const SHARE: u64 = 3;

/// The most rows for which memory is reserved before they are read: the number in a file is not checked.
const MOST_ROWS: usize = 1 << 20;

/// The most bytes of ends in memory, unless one alone is larger.
const AT_ONCE: u64 = 64 << 20;

impl Snapshot {
    /// Calls a function with the values of an integer column in each of some files, without nulls and in no
    /// order. A file that is older than the column has none. Returns what it returned, in the order of
    /// `files`.
    ///
    /// Faster than a plan if there are many files.
    ///
    /// # Errors
    ///
    /// A file that is damaged or cannot be read; the errors of the function.
    pub fn integers<T: Send>(
        &self,
        files: &[&DataFile],
        column: &str,
        of: impl Fn(&DataFile, Vec<i64>) -> Result<T> + Sync,
    ) -> Result<Vec<T>> {
        if self.place.as_folder().is_some() {
            let read = |file: &&DataFile| of(file, self.integers_in_folder(file, column)?);
            return files.par_iter().map(read).collect();
        }
        let mut found = Vec::with_capacity(files.len());
        let mut rest = files;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(fitting(rest));
            let ends: Vec<Part> = now
                .iter()
                .map(|file| self.part(file, tail(file.bytes, SHARE)))
                .collect::<Result<_>>()?;
            let fetched = self.place.parts(&ends);
            let read: Vec<T> = now
                .par_iter()
                .zip(ends)
                .zip(fetched)
                .map(|((file, end), fetched)| {
                    let bytes = fetched.map_err(|error| self.unread(file, &end.key, error))?;
                    of(file, self.integers_from_end(file, end.range.start, bytes, column)?)
                })
                .collect::<Result<_>>()?;
            found.extend(read);
            rest = later;
        }
        Ok(found)
    }

    fn integers_in_folder(&self, file: &DataFile, column: &str) -> Result<Vec<i64>> {
        self.check_files(&[file], false)?;
        let read = || {
            let file = File::open(self.place(file))?;
            let metadata = metadata_reader().parse_and_finish(&file)?;
            integers_in(file, &metadata, column)
        };
        read().context(|| reading(file))
    }

    /// Reads a column from the end of a file, and from other parts of it that are needed.
    fn integers_from_end(
        &self,
        file: &DataFile,
        start: u64,
        end: Bytes,
        column: &str,
    ) -> Result<Vec<i64>> {
        let mut parts = Parts { size: file.bytes, held: vec![(start, end)] };
        let metadata = match parts.metadata() {
            Err(ParquetError::NeedMoreData(footer)) => {
                let footer = file.bytes.saturating_sub(footer as u64)..file.bytes;
                self.fetch(file, &mut parts, vec![footer])?;
                parts.metadata()
            }
            metadata => metadata,
        };
        let metadata = metadata.context(|| reading(file))?;
        let Some(at) = position(&metadata, column) else { return Ok(Vec::new()) };
        let chunks = metadata.row_groups().iter().map(|group| chunk(group, at));
        let chunks: Vec<Range<u64>> = chunks.collect::<Result<_, _>>().context(|| reading(file))?;
        let missing = chunks.into_iter().filter(|chunk| !parts.has(chunk)).collect();
        self.fetch(file, &mut parts, missing)?;
        integers_in(parts, &metadata, column).context(|| reading(file))
    }

    /// Fetches ranges of a file.
    fn fetch(&self, file: &DataFile, parts: &mut Parts, ranges: Vec<Range<u64>>) -> Result<()> {
        let wanted = ranges.into_iter().map(|range| self.part(file, range));
        let wanted: Vec<Part> = wanted.collect::<Result<_>>()?;
        for (part, fetched) in wanted.iter().zip(self.place.parts(&wanted)) {
            let bytes = fetched.map_err(|error| self.unread(file, &part.key, error))?;
            parts.held.push((part.range.start, bytes));
        }
        Ok(())
    }

    fn part(&self, file: &DataFile, range: Range<u64>) -> Result<Part> {
        Ok(Part { key: file_key(&self.table, &file.path)?, size: file.bytes, range })
    }

    /// The error for a part that cannot be read: damage, if the file is gone or has another size.
    fn unread(&self, file: &DataFile, key: &Key, error: Error) -> Error {
        let damage = match self.place.entry(key) {
            Ok(None) => Damage::Missing,
            Ok(Some(there)) if there.bytes != file.bytes => {
                Damage::Size { expected: file.bytes, found: there.bytes }
            }
            _ => return error,
        };
        self.damaged(file, &damage)
    }
}

fn reading(file: &DataFile) -> String {
    format!("reading `{}`", file.path)
}

/// A reader of footers without the statistics of columns.
fn metadata_reader() -> ParquetMetaDataReader {
    const NONE: ParquetStatisticsPolicy = ParquetStatisticsPolicy::SkipAll;
    let options = ParquetMetaDataOptions::new()
        .with_encoding_stats_policy(NONE)
        .with_column_stats_policy(NONE)
        .with_size_stats_policy(NONE);
    ParquetMetaDataReader::new().with_metadata_options(Some(options))
}

/// The number of files whose ends are fetched together: one at least.
fn fitting(files: &[&DataFile]) -> usize {
    let mut bytes = 0;
    let fits = |file: &&&DataFile| {
        let Range { start, end } = tail(file.bytes, SHARE);
        bytes += end - start;
        bytes <= AT_ONCE
    };
    files.iter().take_while(fits).count().max(1)
}

/// Parts of a Parquet file.
struct Parts {
    /// The size of the file.
    size: u64,
    /// Where each part begins, and its bytes.
    held: Vec<(u64, Bytes)>,
}

impl Parts {
    /// The metadata in the footer. Without all of the footer, the error is the number of bytes from the end
    /// that it takes.
    fn metadata(&self) -> Result<ParquetMetaData, ParquetError> {
        let mut reader = metadata_reader();
        let is_end = |(start, bytes): &&(u64, Bytes)| start + bytes.len() as u64 == self.size;
        let end = self.held.iter().rfind(is_end).map(|(_, bytes)| bytes.clone());
        reader.try_parse_sized(&end.unwrap_or_default(), self.size)?;
        reader.finish()
    }

    /// The bytes from a position to the end of the part that holds so many.
    fn find(&self, start: u64, length: u64) -> Option<Bytes> {
        self.held.iter().find_map(|(from, bytes)| {
            let skipped = start.checked_sub(*from)?;
            let fits = skipped.checked_add(length)? <= bytes.len() as u64;
            fits.then(|| bytes.slice(usize::try_from(skipped).unwrap_or(usize::MAX)..))
        })
    }

    fn has(&self, range: &Range<u64>) -> bool {
        self.find(range.start, range.end - range.start).is_some()
    }

    fn get(&self, start: u64, length: u64) -> Result<Bytes, ParquetError> {
        self.find(start, length).ok_or(ParquetError::NeedMoreDataRange(start..start + length))
    }
}

impl Length for Parts {
    fn len(&self) -> u64 {
        self.size
    }
}

impl ChunkReader for Parts {
    type T = Box<dyn Read>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        Ok(Box::new(self.get(start, 1)?.reader()))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        Ok(self.get(start, length as u64)?.slice(..length))
    }
}

/// The position of a column in a file; `None` if the file lacks it.
fn position(metadata: &ParquetMetaData, column: &str) -> Option<usize> {
    let columns = metadata.file_metadata().schema_descr().columns();
    columns.iter().position(|known| known.name() == column)
}

/// Where the pages of a column are.
fn chunk(group: &RowGroupMetaData, column: usize) -> Result<Range<u64>, ParquetError> {
    let column = group.column(column);
    let start = column.dictionary_page_offset().unwrap_or_else(|| column.data_page_offset());
    let ends = (u64::try_from(start), u64::try_from(column.compressed_size()));
    match ends {
        (Ok(start), Ok(length)) if start.checked_add(length).is_some() => Ok(start..start + length),
        _ => Err(ParquetError::General("a column has no place in the file".to_owned())),
    }
}

/// The values of an integer column in a Parquet file.
fn integers_in<R: ChunkReader + 'static>(
    file: R,
    metadata: &ParquetMetaData,
    column: &str,
) -> Result<Vec<i64>, ParquetError> {
    let Some(at) = position(metadata, column) else { return Ok(Vec::new()) };
    let file = Arc::new(file);
    let properties = Arc::new(ReaderProperties::builder().build());
    let rows = metadata.file_metadata().num_rows();
    let mut values = Vec::with_capacity(usize::try_from(rows).unwrap_or_default().min(MOST_ROWS));
    let mut levels = Vec::with_capacity(values.capacity());
    for group in metadata.row_groups() {
        let (file, properties) = (Arc::clone(&file), Arc::clone(&properties));
        let group = SerializedRowGroupReader::new(file, group, None, properties)?;
        if let ColumnReader::Int64ColumnReader(mut column) = group.get_column_reader(at)? {
            levels.clear();
            column.read_records(usize::MAX, Some(&mut levels), None, &mut values)?;
        }
    }
    Ok(values)
}
