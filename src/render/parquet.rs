//! Parquet, compressed with zstd: native types, instants as Timestamp(µs, UTC).

use std::io::Write;

use polars::prelude::*;

use super::Answer;
use crate::error::Result;

/// Writes the file.
pub(super) fn write(answer: &Answer, out: &mut dyn Write) -> Result<()> {
    let mut out = Some(out);
    let mut file = None;
    for batch in answer.frame_batches() {
        let mut batch = batch?;
        batch.rechunk_mut();
        if let Some(out) = out.take() {
            file = Some(ParquetWriter::new(out).batched(batch.schema())?);
        }
        if let Some(file) = &mut file {
            file.write_batch(&batch)?;
        }
    }
    if let Some(file) = file {
        file.finish()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use polars::prelude::*;

    use super::super::tests::sample;
    use super::super::{Format, write};

    #[test]
    fn types_and_values_round_trip() {
        let answer = sample();
        let mut file = Vec::new();
        write(&answer, Format::Parquet, &mut file).unwrap();
        let read = ParquetReader::new(Cursor::new(file)).finish().unwrap();
        assert_eq!(read.schema(), answer.frame().unwrap().schema());
        assert!(read.equals_missing(&answer.frame().unwrap()));
    }
}
