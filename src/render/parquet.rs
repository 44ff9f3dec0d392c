//! Parquet, compressed with zstd: native types, instants as Timestamp(µs, UTC).

use std::io::Write;

use polars::prelude::*;

use super::Answer;

/// Writes the file.
pub(super) fn write(answer: &Answer, out: &mut dyn Write) -> PolarsResult<()> {
    ParquetWriter::new(out).finish(&mut answer.frame().clone())?;
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
        assert_eq!(read.schema(), answer.frame().schema());
        assert!(read.equals_missing(answer.frame()));
    }
}
