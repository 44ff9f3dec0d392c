//! Sources that are text with a delimiter.

use std::io::Read;

use super::Options;
use super::encoding::Transcoder;
use super::header::{self, Header};
use super::reader::Reader;
use super::records::{Chunk, Splitter};
use super::source::{Source, Survey};
use crate::error::{Error, Result};

/// What the first record says.
pub(crate) fn header(source: &Source, survey: &Survey, options: &Options) -> Result<Header> {
    let first = first_record(source, survey, b',')?;
    header::check_width(&source.name, &first)?;
    let renames = &options.renames;
    let delimiter = header::delimiter(&first, renames);
    Header::read(&source.name, &first, delimiter, options.kind, renames)
}

fn first_record(source: &Source, survey: &Survey, delimiter: u8) -> Result<String> {
    let transcoder = Transcoder::new(survey.encoding);
    let mut splitter = Splitter::new(source.reader()?, transcoder, delimiter);
    let chunk = splitter.header().map_err(|e| source.cut_short(&e))?;
    let text = chunk.as_ref().and_then(|chunk| {
        let record = chunk.records.first()?;
        std::str::from_utf8(&chunk.bytes[record.start..record.end]).ok()
    });
    let text = text.ok_or_else(|| {
        Error::data(format!("`{}` does not begin with a header", source.name))
            .hint("its first line should name its columns")
            .no_export()
    })?;
    Ok(text.to_owned())
}

/// Reads the records after the header.
pub(crate) fn reader<'s>(
    source: &'s Source,
    survey: &Survey,
    header: &Header,
) -> Result<Box<dyn Reader + 's>> {
    let transcoder = Transcoder::new(survey.encoding);
    let mut splitter = Splitter::new(source.reader()?, transcoder, header.delimiter);
    splitter.header().map_err(|e| source.cut_short(&e))?;
    splitter.expect_fields(header.fields);
    Ok(Box::new(Records { source, splitter }))
}

/// A CSV's records need nothing: they are given as they stand.
struct Records<'s, R> {
    source: &'s Source,
    splitter: Splitter<R>,
}

impl<R: Read> Reader for Records<'_, R> {
    fn next_chunk(&mut self) -> Result<Option<Chunk>> {
        self.splitter.next_chunk().map_err(|e| self.source.cut_short(&e))
    }
}
