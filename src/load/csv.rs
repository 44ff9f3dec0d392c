//! CSV files: text with a delimiter.
//!
//! ```text
//! sep=;                        names the delimiter, for Excel
//! Sessions of June             above the header: skipped
//! session_id;session_status    the header
//! a1;BOT                       record 1, on line 4
//! ```

use std::io::Read;

use super::chunk::Chunk;
use super::encoding::Transcoder;
use super::header::{self, DELIMITERS, Header, HeaderSearch};
use super::options::Options;
use super::reader::Reader;
use super::records::Splitter;
use super::redact::without_marks;
use super::source::{Source, Survey};
use crate::error::{Error, Result};

/// What stands above the header of a CSV file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Preamble {
    /// `true` if the first line is `sep=` and the delimiter.
    separator: bool,
    /// Records that are skipped.
    pub(crate) passed: usize,
}

/// Finds the header, below any preamble.
pub(crate) fn header(
    source: &Source,
    survey: &Survey,
    options: &Options,
) -> Result<(Preamble, Header)> {
    let renames = &options.renames;
    let first = first_record(source, survey)?.ok_or_else(|| headerless(source))?;
    header::check_width(&source.name, &first)?;
    let likely = header::delimiter(&first, renames);
    if let Some(separator) = separator(&first) {
        return search(source, survey, options, &[separator], true);
    }
    if let Ok(header) = Header::of(&source.name, &first, likely, options) {
        return Ok((Preamble::default(), header));
    }
    let mut delimiters = DELIMITERS;
    delimiters.sort_by_key(|delimiter| *delimiter != likely);
    search(source, survey, options, &delimiters, false)
}

/// Searches for the header below other lines with each delimiter: the delimiter decides where
/// records end.
fn search(
    source: &Source,
    survey: &Survey,
    options: &Options,
    delimiters: &[u8],
    separator: bool,
) -> Result<(Preamble, Header)> {
    let count = |header: &Header| header.places.iter().flatten().count();
    let mut found: Option<(Preamble, Header)> = None;
    let mut nearest: Option<(usize, Error)> = None;
    for delimiter in delimiters {
        let mut splitter = open(source, survey, *delimiter)?;
        if separator {
            splitter.header().map_err(|e| source.read_error(&e))?;
        }
        let mut search = HeaderSearch::new(&source.name, options);
        while search.goes_on() {
            let chunk = match splitter.header() {
                Ok(Some(chunk)) => chunk,
                Ok(None) => break,
                // Lines above the header may be no records at all.
                Err(_) if search.above() > 0 => break,
                Err(e) => return Err(source.read_error(&e)),
            };
            match text_of(&chunk).map(|record| search.look(record, *delimiter)) {
                Some(Some(header)) => {
                    let above = Preamble { separator, passed: search.above() };
                    if found.as_ref().is_none_or(|(_, best)| count(&header) > count(best)) {
                        found = Some((above, header));
                    }
                    break;
                }
                Some(None) => {}
                None => search.pass(),
            }
        }
        match (search.nearest(), &nearest) {
            (Some((known, _)), Some((most, _))) if known <= *most => {}
            (Some(nearer), _) => nearest = Some(nearer),
            (None, _) => {}
        }
    }
    found.ok_or_else(|| nearest.map_or_else(|| headerless(source), |(_, error)| error))
}

fn headerless(source: &Source) -> Error {
    Error::data(format!("`{}` does not begin with a header", source.name))
        .hint("its first line should name its columns")
        .no_export()
}

/// Parses the line that names the delimiter for Excel: `sep=;`, `"sep=;"`, `sep=\t`.
fn separator(line: &str) -> Option<u8> {
    let line = without_marks(line);
    let line = line.strip_prefix('"').and_then(|line| line.strip_suffix('"')).unwrap_or(line);
    let (name, said) = (line.get(..4)?, line.get(4..)?);
    if !name.eq_ignore_ascii_case("sep=") {
        return None;
    }
    let (separator, rest) = match said.strip_prefix("\\t") {
        Some(rest) => (b'\t', rest),
        None => (*said.as_bytes().first()?, said.get(1..)?),
    };
    let separates = separator == b'\t' || (separator.is_ascii_punctuation() && separator != b'"');
    // A spreadsheet program pads each line to the longest.
    let is_padded = rest.bytes().all(|byte| byte == separator || byte == b' ');
    (separates && is_padded).then_some(separator)
}

pub(super) fn open(
    source: &Source,
    survey: &Survey,
    delimiter: u8,
) -> Result<Splitter<Box<dyn Read + Send>>> {
    Ok(Splitter::new(source.reader()?, Transcoder::new(survey.encoding), delimiter))
}

/// Reads the first record, if it is valid UTF-8.
fn first_record(source: &Source, survey: &Survey) -> Result<Option<String>> {
    let chunk = open(source, survey, b',')?.header().map_err(|e| source.read_error(&e))?;
    Ok(chunk.as_ref().and_then(text_of).map(str::to_owned))
}

/// Returns the first record of a chunk, if it is valid UTF-8.
fn text_of(chunk: &Chunk) -> Option<&str> {
    let record = chunk.records.first()?;
    std::str::from_utf8(&chunk.bytes[record.start..record.end]).ok()
}

/// Opens a reader that starts after the header.
pub(crate) fn reader<'s>(
    source: &'s Source,
    survey: &Survey,
    preamble: Preamble,
    header: &Header,
) -> Result<Box<dyn Reader + 's>> {
    let mut splitter = open(source, survey, header.delimiter)?;
    for _ in 0..=preamble.passed + usize::from(preamble.separator) {
        splitter.header().map_err(|e| source.read_error(&e))?;
    }
    splitter.expect_fields(header.fields);
    Ok(Box::new(Records { source, splitter }))
}

/// Yields the records of a CSV file as they stand.
struct Records<'s, R> {
    source: &'s Source,
    splitter: Splitter<R>,
}

impl<R: Read> Reader for Records<'_, R> {
    fn next_chunk(&mut self) -> Result<Option<Chunk>> {
        self.splitter.next_chunk().map_err(|e| self.source.read_error(&e))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sep_line_names_the_delimiter() {
        for (line, expected) in [
            ("sep=;", Some(b';')),
            ("\u{feff}SEP=,", Some(b',')),
            ("\"sep=;\"", Some(b';')),
            ("sep=\t", Some(b'\t')),
            ("sep=\\t", Some(b'\t')),
            ("sep=|", Some(b'|')),
            ("sep=;;;;", Some(b';')),
            ("sep=;;; ", Some(b';')),
            ("sep=", None),
            ("sep=a", None),
            ("sep=;a", None),
            ("sep=\u{e9}", None),
            ("separator=;", None),
            ("", None),
        ] {
            assert_eq!(separator(line), expected, "{line:?}");
        }
    }
}
