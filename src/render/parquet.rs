//! Parquet, compressed with zstd: native types, instants as Timestamp(µs, UTC).

use std::io::{self, BufWriter, Write};
use std::iter;
use std::sync::mpsc::{Receiver, Sender, channel, sync_channel};
use std::thread;

use polars::prelude::*;
use polars_parquet::read::ParquetError;
use polars_parquet::write::{
    CompressedPage, Compressor, SchemaDescriptor, Version, WriteOptions, array_to_columns,
    get_dtype_encoding,
};
use rayon::prelude::*;

use super::Answer;
use crate::error::Result;

/// Writes the file. A batch is compressed on another thread while the next one is computed.
pub(super) fn write(answer: &Answer, out: &mut dyn Write) -> Result<()> {
    // A batch is handed over when the one before it is compressed, so two are in memory.
    let (batches, given) = sync_channel(0);
    let (pieces, compressed) = channel();
    thread::scope(|scope| {
        let encoder = scope.spawn(|| encode(given, Pieces(pieces)));
        for batch in answer.frame_batches() {
            let mut batch = batch?;
            batch.rechunk_mut();
            if batches.send(batch).is_err() {
                // The encoder says why.
                break;
            }
            for piece in compressed.try_iter() {
                out.write_all(&piece)?;
            }
        }
        drop(batches);
        for piece in compressed {
            out.write_all(&piece)?;
        }
        match encoder.join() {
            Ok(result) => result.map_err(Into::into),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// Encodes batches of rows as row groups of one file.
fn encode(batches: Receiver<DataFrame>, out: Pieces) -> PolarsResult<()> {
    let mut batches = batches.into_iter();
    let Some(first) = batches.next() else { return Ok(()) };
    let out = BufWriter::with_capacity(PIECE, out);
    let mut file = ParquetWriter::new(out).batched(first.schema())?;
    for batch in iter::once(first).chain(batches) {
        let pages = row_group(&batch, file.parquet_schema())?;
        if !pages.is_empty() {
            let rows = u64::try_from(batch.height()).unwrap_or(u64::MAX);
            file.write_row_group(rows, &pages)?;
        }
    }
    file.finish()?;
    Ok(())
}

/// The pages of each column of rows, which are one chunk, encoded and compressed on all cores. Without rows there
/// are none.
fn row_group(
    rows: &DataFrame,
    schema: &SchemaDescriptor,
) -> PolarsResult<Vec<Vec<CompressedPage>>> {
    // Those of `ParquetWriter`.
    let options = WriteOptions {
        statistics: StatisticsOptions::default(),
        version: Version::V1,
        compression: ParquetCompression::default().into(),
        data_page_size: None,
    };
    let chunk = rows.iter_chunks(CompatLevel::newest(), false).find(|chunk| !chunk.is_empty());
    let Some(chunk) = chunk else { return Ok(Vec::new()) };
    let columns = chunk.columns().par_iter().zip(schema.fields()).map(|(column, of)| {
        let encodings = get_dtype_encoding(column.dtype());
        let leaves = array_to_columns(column, of.clone(), options, &encodings)?;
        let compressed = leaves.into_iter().map(|pages| {
            let failed = |error: PolarsError| ParquetError::FeatureNotSupported(error.to_string());
            let pages = pages.map(|page| page.map_err(failed));
            let pages = Compressor::new_from_vec(pages, options.compression, Vec::new());
            Ok(pages.collect::<std::result::Result<Vec<_>, ParquetError>>()?)
        });
        compressed.collect::<PolarsResult<Vec<_>>>()
    });
    let columns: PolarsResult<Vec<_>> = columns.collect();
    Ok(columns?.into_iter().flatten().collect())
}

/// The bytes of a piece.
const PIECE: usize = 1 << 18;

/// Sends what is written to another thread, in pieces.
struct Pieces(Sender<Vec<u8>>);

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.0.send(bytes.to_vec()) {
            Ok(()) => Ok(bytes.len()),
            Err(_) => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use chrono_tz::Tz;
    use wabalake_queries::query::OutputColumn;

    use super::super::tests::sample;
    use super::super::{Format, write};
    use super::*;

    #[test]
    fn types_and_values_round_trip() {
        let answer = sample();
        let mut file = Vec::new();
        write(&answer, Format::Parquet, &mut file).unwrap();
        let read = ParquetReader::new(Cursor::new(file)).finish().unwrap();
        assert_eq!(read.schema(), answer.frame().unwrap().schema());
        assert!(read.equals_missing(&answer.frame().unwrap()));
    }

    #[test]
    fn no_more_is_computed_than_can_be_written() {
        let computed = Arc::new(AtomicUsize::new(0));
        let counted = computed.clone();
        let collect = move |plan: LazyFrame| {
            counted.fetch_add(1, Ordering::Relaxed);
            Ok(plan.collect()?)
        };
        let part = df!["row" => (0..1 << 18).collect::<Vec<i64>>()].unwrap().lazy();
        let columns = vec![OutputColumn::count("row")];
        let answer = Answer::planned(vec![part; 20], collect, columns, Tz::UTC);
        let error = write(&answer, Format::Parquet, &mut Full).unwrap_err();
        assert!(error.to_string().contains("no space"), "{error}");
        assert!(computed.load(Ordering::Relaxed) < 10);
    }

    struct Full;

    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::Error::other("no space"))
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
}
