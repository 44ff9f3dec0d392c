//! Where exports come from: files, archives, standard input.
//!
//! ```text
//! exports.zip ─┬ sessions.csv      each a source of its own
//!              └ deployments.csv
//! kaleyra.csv.gz                   unpacked as it is read, told by its first bytes
//! -                                written to a temporary file first, for it is read twice
//! ```
//!
//! A source is read twice: once to survey it (its hash, its encoding), once to load it. A file
//! that was loaded before costs the survey only.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use encoding_rs::Encoding;
use xxhash_rust::xxh3::Xxh3;

use super::encoding::Evidence;
use crate::error::{Error, Result};

/// One export to load.
#[derive(Debug)]
pub(crate) struct Source {
    /// How messages and the lake call it: the file's name, with its archive's before it.
    pub(crate) name: String,
    path: PathBuf,
    /// Its place in a zip archive.
    entry: Option<usize>,
    /// Deleted once the source is gone.
    spool: Option<tempfile::TempPath>,
}

/// What a first reading of a source says.
#[derive(Debug)]
pub(crate) struct Survey {
    /// xxh3-128 of its unpacked bytes.
    pub(crate) hash: u128,
    /// Its length unpacked.
    pub(crate) bytes: u64,
    pub(crate) encoding: &'static Encoding,
}

impl Source {
    /// The sources that a path on the command line stands for; `-` is standard input.
    pub(crate) fn open(path: &Path, spool_in: &Path) -> Result<Vec<Self>> {
        if path == Path::new("-") {
            let mut spool = tempfile::NamedTempFile::new_in(spool_in)?;
            io::copy(&mut io::stdin().lock(), &mut spool)?;
            let spool = spool.into_temp_path();
            return Self::of_file(spool.to_path_buf(), "standard input".to_owned(), Some(spool));
        }
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        if path.is_dir() {
            return Err(Error::usage(format!("`{name}` is a folder"))
                .hint("name its files, as in `wabalake load DIR/*.csv`"));
        }
        Self::of_file(path.to_path_buf(), name, None)
    }

    fn of_file(
        path: PathBuf,
        name: String,
        spool: Option<tempfile::TempPath>,
    ) -> Result<Vec<Self>> {
        let mut magic = [0; 4];
        let mut file = File::open(&path).map_err(|e| unreadable(&name, &e))?;
        let read = file.read(&mut magic).map_err(|e| unreadable(&name, &e))?;
        if &magic[..read] != b"PK\x03\x04" {
            return Ok(vec![Self { name, path, entry: None, spool }]);
        }
        let mut archive = zip(&name, file)?;
        let mut sources = Vec::new();
        for entry in 0..archive.len() {
            let inner = archive.by_index(entry).map_err(|e| damaged(&name, &e))?;
            let inner_name = String::from_utf8_lossy(inner.name_raw()).into_owned();
            // What a Mac adds beside each file.
            if inner.is_dir() || inner_name.starts_with("__MACOSX/") {
                continue;
            }
            let name = format!("{name}/{inner_name}");
            sources.push(Self { name, path: path.clone(), entry: Some(entry), spool: None });
        }
        if let (Some(first), Some(spool)) = (sources.first_mut(), spool) {
            first.spool = Some(spool);
        }
        if sources.is_empty() {
            return Err(Error::data(format!("`{name}` is an archive without files")));
        }
        Ok(sources)
    }

    /// Reads all of it once.
    pub(crate) fn survey(&self) -> Result<Survey> {
        let mut reader = self.reader()?;
        let mut hash = Xxh3::new();
        let mut evidence = Evidence::default();
        let mut bytes = 0;
        let mut buffer = vec![0; 256 << 10];
        loop {
            let read = self.read(&mut reader, &mut buffer)?;
            if read == 0 {
                break;
            }
            hash.update(&buffer[..read]);
            evidence.look(&buffer[..read]);
            bytes += read as u64;
        }
        if bytes == 0 {
            return Err(Error::data(format!("`{}` is empty", self.name))
                .hint("download it again; an export without rows still has its header"));
        }
        Ok(Survey { hash: hash.digest128(), bytes, encoding: evidence.verdict() })
    }

    fn read(&self, reader: &mut dyn Read, buffer: &mut [u8]) -> Result<usize> {
        loop {
            match reader.read(buffer) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                read => return read.map_err(|e| self.cut_short(&e)),
            }
        }
    }

    /// The error of a source that cannot be read to its end.
    pub(crate) fn cut_short(&self, e: &io::Error) -> Error {
        Error::data(format!("`{}` cannot be read to its end: {e}", self.name))
            .hint("it is damaged or cut short: download it again; nothing of it was loaded")
    }

    /// Its unpacked bytes from the start.
    pub(crate) fn reader(&self) -> Result<Box<dyn Read + Send>> {
        let mut file = File::open(&self.path).map_err(|e| unreadable(&self.name, &e))?;
        if let Some(entry) = self.entry {
            let archive = zip(&self.name, file)?;
            return Ok(Box::new(ZipEntry::new(archive, entry)));
        }
        let mut magic = [0; 4];
        let read = file.read(&mut magic)?;
        file.seek(SeekFrom::Start(0))?;
        let file = BufReader::with_capacity(1 << 20, file);
        Ok(match &magic[..read] {
            [0x1F, 0x8B, ..] => Box::new(flate2::bufread::MultiGzDecoder::new(file)),
            [0x28, 0xB5, 0x2F, 0xFD] => Box::new(zstd::stream::read::Decoder::with_buffer(file)?),
            _ => Box::new(file),
        })
    }
}

/// Reads one file of an archive, unpacking it on a thread of its own, since the archive's reader
/// borrows the archive.
struct ZipEntry {
    parts: std::sync::mpsc::Receiver<io::Result<Vec<u8>>>,
    part: io::Cursor<Vec<u8>>,
}

impl ZipEntry {
    fn new(mut archive: zip::ZipArchive<BufReader<File>>, entry: usize) -> Self {
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
        Self { parts, part: io::Cursor::default() }
    }
}

impl Read for ZipEntry {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.part.read(buffer)?;
        if read > 0 || buffer.is_empty() {
            return Ok(read);
        }
        match self.parts.recv() {
            Ok(part) => self.part = io::Cursor::new(part?),
            Err(_) => return Ok(0),
        }
        self.part.read(buffer)
    }
}

fn zip(name: &str, file: File) -> Result<zip::ZipArchive<BufReader<File>>> {
    zip::ZipArchive::new(BufReader::new(file)).map_err(|e| damaged(name, &e))
}

fn damaged(name: &str, e: &zip::result::ZipError) -> Error {
    Error::data(format!("`{name}` is no archive that can be read: {e}"))
        .hint("unpack it, and load the files in it")
}

fn unreadable(name: &str, e: &io::Error) -> Error {
    Error::data(format!("`{name}` cannot be read: {e}"))
}
