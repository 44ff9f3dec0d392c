//! Recognises files of other formats by their first bytes, and refuses them: what a browser or
//! another program saves under the name of a report.
//!
//!
//! | begins with | is |
//! |---|---|
//! | `<html`, `<!doctype html`, `<table`, `<meta` and others | an HTML page |
//! | `<?xml` | XML, also of Excel 2003 |
//! | `PAR1` | a Parquet file |
//! | `D0 CF 11 E0` | an old Excel file |
//! | `%PDF` and others | see `FORMATS` |

use std::io::Read;

use super::encoding::Transcoder;
use super::redact::MARK;
use super::source::{Source, Survey};
use crate::error::{Error, Result};

/// Bytes that are looked at.
const HEAD: usize = 1024;

/// Offset of the magic bytes of a tar archive.
const TAR: usize = 257;

const AS_CSV: &str = "save its table as csv or xlsx";

const UNPACK: &str = "extract it, and load the files in it";

/// Formats by their first bytes: description and hint.
const FORMATS: [(&[u8], &str, &str); 13] = [
    (
        b"\xD0\xCF\x11\xE0",
        "an old or encrypted Excel file",
        "save it as xlsx without a password, or its sheet as csv",
    ),
    (b"PAR1", "a Parquet file", "convert it to csv, and load that"),
    (b"ARROW1", "an Arrow file", "convert it to csv, and load that"),
    (b"ORC", "an ORC file", "convert it to csv, and load that"),
    (b"Obj\x01", "an Avro file", "convert it to csv, and load that"),
    (b"SQLite format 3\0", "an SQLite database", "export its table as csv"),
    (b"%PDF", "a PDF", "download the report as csv or xlsx"),
    (b"{\\rtf", "an RTF document", AS_CSV),
    (b"MIME-Version:", "a web page archive", AS_CSV),
    (b"Rar!", "a RAR archive", UNPACK),
    (b"7z\xBC\xAF\x27\x1C", "a 7z archive", UNPACK),
    (b"BZh", "compressed with bzip2", "decompress it, or compress it with gzip"),
    (b"\xFD7zXZ\0", "compressed with xz", "decompress it, or compress it with gzip"),
];

/// What an HTML page begins with, after whitespace and comments.
const HTML: [&str; 12] = [
    "<!doctype html",
    "<html",
    "<head",
    "<body",
    "<meta",
    "<title",
    "<table",
    "<style",
    "<script",
    "<div",
    "<thead",
    "<tr",
];

/// Refuses a file of an unsupported format.
///
/// # Errors
///
/// An error that names the format and the hint what to save instead.
pub(crate) fn refuse(source: &Source, survey: &Survey) -> Result<()> {
    let mut head = Vec::new();
    source.reader()?.take(HEAD as u64).read_to_end(&mut head).map_err(|e| source.read_error(&e))?;
    let refused = |what: &str, hint: &str| {
        Err(Error::data(format!("`{}` is {what}", source.name)).hint(hint).no_export())
    };
    if let Some((_, what, hint)) = FORMATS.iter().find(|(start, ..)| head.starts_with(start)) {
        return refused(what, hint);
    }
    if head.get(TAR..).is_some_and(|from| from.starts_with(b"ustar")) {
        return refused("a tar archive", UNPACK);
    }
    let mut text = Vec::new();
    Transcoder::new(survey.encoding).push(&head, &mut text, false);
    let text = String::from_utf8_lossy(&text).to_ascii_lowercase();
    let text = behind_comments(&text);
    if HTML.iter().any(|tag| text.starts_with(tag)) {
        return refused(
            "an HTML page",
            "open it in a spreadsheet program and save it as xlsx, or download the report as csv",
        );
    }
    if text.starts_with("<?xml") {
        let is_page = text.contains("<html") || text.contains("<!doctype html");
        let what = if is_page { "an HTML page" } else { "XML" };
        return refused(what, "open it in a spreadsheet program and save it as xlsx");
    }
    Ok(())
}

/// Strips leading whitespace, byte order marks and comments.
fn behind_comments(text: &str) -> &str {
    let mut text = text;
    loop {
        text = text.trim_start_matches(|c: char| c.is_whitespace() || c == MARK);
        match text.strip_prefix("<!--").and_then(|rest| rest.split_once("-->")) {
            Some((_, rest)) => text = rest,
            None => return text,
        }
    }
}
