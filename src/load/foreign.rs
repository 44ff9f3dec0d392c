//! Files of other formats, which are told by how they begin and refused by their name: what a browser
//! or another program saves under the name of a report.
//!
//! | begins with | is |
//! |---|---|
//! | `<html`, `<!doctype html`, `<table`, `<meta` and alike | an HTML page |
//! | `<?xml` | XML, Excel's of 2003 too |
//! | `PAR1` | a Parquet file |
//! | `D0 CF 11 E0` | a spreadsheet of an old format |
//! | `%PDF` and others | what they say |

use std::io::Read;

use super::encoding::Transcoder;
use super::source::{Source, Survey};
use super::titles::MARK;
use crate::error::{Error, Result};

/// How much is looked at.
const HEAD: usize = 1024;

/// Where in a tar archive its format stands.
const TAR: usize = 257;

const AS_CSV: &str = "save its table as csv or xlsx";
const UNPACK: &str = "unpack it, and load the files in it";

/// Formats by their first bytes: what a file of it is, and what to do.
const FORMATS: [(&[u8], &str, &str); 13] = [
    (
        b"\xD0\xCF\x11\xE0",
        "an Excel file of an old format, or one with a password",
        "save it as xlsx without a password, or its sheet as csv",
    ),
    (b"PAR1", "a Parquet file", "write its rows as csv, and load that"),
    (b"ARROW1", "an Arrow file", "write its rows as csv, and load that"),
    (b"ORC", "an ORC file", "write its rows as csv, and load that"),
    (b"Obj\x01", "an Avro file", "write its rows as csv, and load that"),
    (b"SQLite format 3\0", "an SQLite database", "export its table as csv"),
    (b"%PDF", "a PDF", "download the report as csv or xlsx"),
    (b"{\\rtf", "a text in RTF", AS_CSV),
    (b"MIME-Version:", "a web page saved with its parts", AS_CSV),
    (b"Rar!", "a RAR archive", UNPACK),
    (b"7z\xBC\xAF\x27\x1C", "a 7z archive", UNPACK),
    (b"BZh", "packed by bzip2", "unpack it, or pack it with gzip"),
    (b"\xFD7zXZ\0", "packed by xz", "unpack it, or pack it with gzip"),
];

/// What a page begins with, behind blanks and comments.
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

/// Refuses a file of a format that is not read.
///
/// # Errors
///
/// One that names the format and what to save instead.
pub(crate) fn refuse(source: &Source, survey: &Survey) -> Result<()> {
    let mut head = Vec::new();
    source.reader()?.take(HEAD as u64).read_to_end(&mut head).map_err(|e| source.cut_short(&e))?;
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

/// A text without the blanks, marks and comments that it begins with.
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
