//! The content of checkpoints as text, to search it.

use arrow::json::LineDelimitedWriter;
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::errors::ParquetError;

use super::{DamagedFile, Log, ReplayError};
use crate::error::Result;
use crate::lake::damage::Damage;
use crate::place::Key;

impl Log {
    /// The content of a checkpoint part, as JSON lines.
    pub(in crate::lake) fn checkpoint_text(&self, part: &Key, version: u64) -> Result<String> {
        let bytes = self.part(part, version).map_err(|error| self.error_of(error))?;
        json_lines(&bytes).map_err(|_| {
            self.error_of(ReplayError::DamagedFile(DamagedFile::new(
                version,
                part.clone(),
                Damage::Unreadable,
            )))
        })
    }
}

/// The rows of a part of a checkpoint, as JSON lines.
pub(in crate::lake) fn json_lines(part: &Bytes) -> Result<String, ParquetError> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(part.clone())?;
    let mut lines = LineDelimitedWriter::new(Vec::new());
    for rows in reader.build()? {
        lines.write(&rows?)?;
    }
    Ok(String::from_utf8_lossy(&lines.into_inner()).into_owned())
}
