//! Reads zip archives.

use std::fs::File;
use std::io::{self, BufReader, Read};

use crate::error::{Error, Result};
use crate::load::folder::cannot_read;

/// Returns `true` for the magic bytes of a zip archive, also of an empty one.
pub(super) fn is_archive(magic: [u8; 4]) -> bool {
    matches!(&magic, b"PK\x03\x04" | b"PK\x05\x06")
}

/// What a zip archive is.
pub(super) enum ArchiveKind {
    /// A spreadsheet.
    Workbook,
    /// Another document.
    Document(&'static str),
    /// An archive of files.
    Files,
}

/// Returns `true` if an archive has an entry of that name, without case.
pub(crate) fn has<R: Read + io::Seek>(archive: &zip::ZipArchive<R>, wanted: &str) -> bool {
    let mut names = archive.file_names().filter_map(std::result::Result::ok);
    names.any(|name| name.eq_ignore_ascii_case(wanted))
}

pub(super) fn archive_kind<R: Read + io::Seek>(archive: &zip::ZipArchive<R>) -> ArchiveKind {
    let has = |wanted| has(archive, wanted);
    if has("xl/workbook.xml") || has("xl/workbook.bin") {
        ArchiveKind::Workbook
    } else if has("[Content_Types].xml") {
        ArchiveKind::Document("an Office document without a sheet")
    } else if has("mimetype") && has("content.xml") {
        ArchiveKind::Document("an OpenDocument file")
    } else {
        ArchiveKind::Files
    }
}

/// Reads an entry of an archive. It decompresses on a thread of its own, because the `zip` reader
/// borrows the archive.
pub(super) struct ZipEntry {
    pub(super) parts: std::sync::mpsc::Receiver<io::Result<Vec<u8>>>,
    pub(super) part: io::Cursor<Vec<u8>>,
    ended: bool,
}

impl ZipEntry {
    pub(super) fn new(mut archive: zip::ZipArchive<BufReader<File>>, entry: usize) -> Self {
        let (sender, parts) = std::sync::mpsc::sync_channel(4);
        std::thread::spawn(move || {
            let mut file = match archive.by_index(entry) {
                Ok(file) => file,
                Err(e) => return drop(sender.send(Err(io::Error::other(e)))),
            };
            loop {
                let mut part = vec![0; 256 << 10];
                let read = file.read(&mut part);
                let ended = !matches!(read, Ok(1..));
                let read = read.map(|length| {
                    part.truncate(length);
                    part
                });
                if sender.send(read).is_err() || ended {
                    return;
                }
            }
        });
        Self { parts, part: io::Cursor::default(), ended: false }
    }
}

impl Read for ZipEntry {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.part.read(buffer)?;
        if read > 0 || buffer.is_empty() || self.ended {
            return Ok(read);
        }
        let part = self.parts.recv().map_err(|_| io::Error::other("unpacking it failed"))??;
        self.ended = part.is_empty();
        self.part = io::Cursor::new(part);
        self.part.read(buffer)
    }
}

pub(super) fn zip(name: &str, file: File) -> Result<zip::ZipArchive<BufReader<File>>> {
    zip::ZipArchive::new(BufReader::new(file)).map_err(|e| damaged(name, &e))
}

pub(super) fn damaged(name: &str, e: &zip::result::ZipError) -> Error {
    use io::ErrorKind::{InvalidData, InvalidInput, Other, UnexpectedEof};
    use zip::result::ZipError as E;
    let (what, hint) = match e {
        E::Io(e) if !matches!(e.kind(), UnexpectedEof | InvalidData | InvalidInput | Other) => {
            return cannot_read(name, e);
        }
        E::InvalidPassword | E::UnsupportedArchive(E::PASSWORD_REQUIRED) => {
            ("is an encrypted zip archive", "extract it, and load the files in it")
        }
        E::UnsupportedArchive(_) | E::CompressionMethodNotSupported(_) => (
            "has a zip compression method that is not supported",
            "extract it, and load the files in it",
        ),
        _ => (
            "is a damaged or truncated zip archive",
            "download it again, or extract it and load the files in it",
        ),
    };
    Error::data(format!("`{name}` {what}")).hint(hint)
}
