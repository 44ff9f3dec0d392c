//! An Arrow IPC file: native types, instants as Timestamp(µs, UTC).

use std::io::Write;

use polars::prelude::*;

use super::Answer;
use crate::error::Result;

/// Writes the file.
pub(super) fn write(answer: &Answer, out: &mut dyn Write) -> Result<()> {
    let mut rows = answer.frame()?;
    // One record batch, however the rows were collected.
    rows.rechunk_mut();
    // Many readers do not support string views yet.
    let mut writer = IpcWriter::new(out).with_compat_level(CompatLevel::oldest());
    Ok(writer.finish(&mut rows)?)
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
        write(&answer, Format::Arrow, &mut file).unwrap();
        assert!(file.starts_with(b"ARROW1"));
        let read = IpcReader::new(Cursor::new(file)).finish().unwrap();
        assert_eq!(read.schema(), answer.frame().unwrap().schema());
        assert!(read.equals_missing(&answer.frame().unwrap()));
    }
}
