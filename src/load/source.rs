//! Where exports come from: files, folders, globs, archives, standard input.
//!
//! ```text
//! exports/                         what it holds, subfolders too; hidden files are passed over
//! 'exports/*.csv.gz'               what it matches, as if each were named
//! exports.zip ─┬ sessions.csv      each a source of its own
//!              └ deployments.xlsx  written to a temporary file first, for it is an archive itself
//! kaleyra.csv.gz                   unpacked as it is read, told by its first bytes
//! -                                written to a temporary file first, for it is read twice
//! ```
//!
//! What is named on the command line must be an export. In a folder or an archive there may be
//! other files too: those are passed over, and the report names them.
//!
//! A source is read twice: once to survey it (its hash, its encoding), once to load it. A file
//! that was loaded before costs the survey only.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use encoding_rs::Encoding;
use tempfile::TempPath;
use xxhash_rust::xxh3::Xxh3;

use super::encoding::Evidence;
use super::folder::{A_LAKE, Entry, is_lake, unreadable, walk};
use super::limits::{self, Bounded};
use super::report::PassedOver;
use crate::error::{Error, Result, in_words};

/// One export to load.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    /// How messages and the lake call it: the file's name, with its archive's or folder's before.
    pub(crate) name: String,
    /// Whether it is a spreadsheet: a zip archive that is one export.
    pub(crate) is_workbook: bool,
    /// Whether that path is the file itself, and no folder or archive that holds it.
    pub(crate) is_named: bool,
    place: Place,
    /// Deleted once the last source that needs it is gone.
    spool: Option<Arc<TempPath>>,
}

/// Where a source's bytes are.
#[derive(Clone, Debug)]
enum Place {
    File(PathBuf),
    /// A file in a zip archive, by its number.
    Entry(PathBuf, usize),
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

/// What the paths on a command line stand for.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) sources: Vec<Source>,
    /// What is no export by its name or its place.
    pub(crate) passed_over: Vec<PassedOver>,
}

impl Found {
    /// Finds the sources; temporary files go to a folder.
    pub(crate) fn of(paths: &[PathBuf], spool_in: &Path) -> Result<Self> {
        let mut finder = Finder { spool_in, found: Self::default() };
        for path in paths {
            match matches(path)? {
                None => finder.open(path)?,
                Some(matches) => {
                    for path in matches {
                        finder.open(&path)?;
                    }
                }
            }
        }
        Ok(finder.found)
    }
}

/// The files and folders that a pattern matches, by name; `None` where a path is no pattern.
///
/// # Errors
///
/// A pattern that is no valid one, or that nothing matches.
pub fn matches(path: &Path) -> Result<Option<Vec<PathBuf>>> {
    let text = path.to_string_lossy();
    if !text.contains(['*', '?', '[']) || path.exists() {
        return Ok(None);
    }
    let as_shells_do = glob::MatchOptions {
        case_sensitive: true,
        require_literal_separator: true,
        require_literal_leading_dot: true,
    };
    let wrong = |error: glob::PatternError| {
        Error::usage(format!("`{text}` is no pattern: {}", error.msg))
            .hint("`*` stands for any name, `?` for a letter, `**` for any folders")
    };
    // What is below a folder is in it.
    let pattern = if text == "**" { "." } else { text.trim_end_matches("/**") };
    let paths: Vec<PathBuf> = if pattern.contains("**") {
        let pattern = glob::Pattern::new(pattern).map_err(wrong)?;
        let is_match = |path: &Path| pattern.matches_path_with(path, as_shells_do);
        files_below(Path::new(pattern.as_str()), &is_match)?
    } else {
        let paths = glob::glob_with(pattern, as_shells_do).map_err(wrong)?;
        paths.filter_map(Result::ok).collect()
    };
    if paths.is_empty() {
        return Err(Error::data(format!("no file matches `{text}`"))
            .hint("name files that are there; `*` matches no hidden file"));
    }
    Ok(Some(paths))
}

/// The files that a pattern with `**` matches. A library's own search would follow links, which may
/// lead back for ever.
fn files_below(pattern: &Path, is_match: &dyn Fn(&Path) -> bool) -> Result<Vec<PathBuf>> {
    let is_name =
        |part: &Component<'_>| !part.as_os_str().to_string_lossy().contains(['*', '?', '[']);
    let named: PathBuf = pattern.components().take_while(is_name).collect();
    let (here, mut files) = (Path::new("."), Vec::new());
    let folder = if named == Path::new("") { here } else { &named };
    if folder.is_dir() {
        walk(
            folder,
            &folder.to_string_lossy(),
            &[],
            &mut |Entry { path, passed_over, .. }| {
                let path = path.strip_prefix(here).unwrap_or(&path);
                if passed_over.is_none() && is_match(path) {
                    files.push(path.to_owned());
                }
                Ok(())
            },
        )?;
    }
    Ok(files)
}

/// Finds sources, one path after the other.
struct Finder<'a> {
    spool_in: &'a Path,
    found: Found,
}

impl Finder<'_> {
    /// Adds what a path stands for; `-` is standard input.
    fn open(&mut self, path: &Path) -> Result<()> {
        if path == Path::new("-") {
            let mut spool = tempfile::NamedTempFile::new_in(self.spool_in)?;
            io::copy(&mut io::stdin().lock(), &mut spool)?;
            return self.add_spooled("standard input".to_owned(), spool.into_temp_path(), true);
        }
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        if path.is_dir() {
            return self.add_folder(path, &name.unwrap_or_default());
        }
        let name = name.unwrap_or_else(|| path.to_string_lossy().into_owned());
        self.add_file(path, name, true, None)
    }

    fn pass_over(&mut self, file: String, reason: &str) {
        let file = file.replace(char::is_control, "\u{fffd}");
        self.found.passed_over.push(PassedOver { file, reason: reason.to_owned() });
    }

    /// Adds what a folder and its subfolders hold, by name.
    fn add_folder(&mut self, folder: &Path, name: &str) -> Result<()> {
        if is_lake(folder) {
            self.pass_over(name.to_owned(), A_LAKE);
            return Ok(());
        }
        walk(folder, name, &[], &mut |Entry { path, name, passed_over }| match passed_over {
            Some(reason) => {
                self.pass_over(name, reason);
                Ok(())
            }
            None => self.add_file(&path, name, false, None),
        })
    }

    fn source(name: String, place: Place, is_named: bool) -> Source {
        // Names are shown on terminals, and an archive's may be anything.
        let name = name.replace(char::is_control, "\u{fffd}");
        Source { name, is_workbook: false, is_named, place, spool: None }
    }

    fn add_spooled(&mut self, name: String, spool: TempPath, is_named: bool) -> Result<()> {
        let path = spool.to_path_buf();
        self.add_file(&path, name, is_named, Some(Arc::new(spool)))
    }

    /// Adds a file, or what an archive holds.
    fn add_file(
        &mut self,
        path: &Path,
        name: String,
        is_named: bool,
        spool: Option<Arc<TempPath>>,
    ) -> Result<()> {
        let place = Place::File(path.to_path_buf());
        let mut source = Source { spool, ..Self::source(name, place, is_named) };
        if !is_archive(source.magic()?) {
            self.found.sources.push(source);
            return Ok(());
        }
        if source.is_packed()? {
            // An archive is read from its end: it must be unpacked to be read at all.
            let spool = self.spool(&source)?;
            return self.add_spooled(source.name, spool, is_named);
        }
        let name = source.name.clone();
        let mut archive = zip(&name, open(&name, path)?)?;
        match contents(&archive) {
            Contents::Workbook => {
                source.is_workbook = true;
                self.found.sources.push(source);
                return Ok(());
            }
            Contents::Document(what) if is_named => {
                return Err(Error::data(format!("`{name}` is {what}"))
                    .hint("save its table as csv or xlsx"));
            }
            Contents::Document(what) => {
                self.pass_over(name, what);
                return Ok(());
            }
            Contents::Files => {}
        }
        limits::check_archive(&name, &mut archive, path)?;
        let before = (self.found.sources.len(), self.found.passed_over.len());
        for entry in 0..archive.len() {
            let inner = archive.by_index(entry).map_err(|e| damaged(&name, &e))?;
            let inner_name = String::from_utf8_lossy(inner.name_raw()).into_owned();
            // What a Mac adds beside each file.
            if inner.is_dir() || inner_name.starts_with("__MACOSX/") {
                continue;
            }
            drop(inner);
            let hidden = inner_name.split(['/', '\\']).any(|part| part.starts_with('.'));
            let full = format!("{name}/{inner_name}");
            if hidden {
                self.pass_over(full, "hidden");
                continue;
            }
            let place = Place::Entry(path.to_path_buf(), entry);
            let inner = Self::source(full, place, false);
            self.add_entry(Source { spool: source.spool.clone(), ..inner })?;
        }
        if before == (self.found.sources.len(), self.found.passed_over.len()) {
            self.pass_over(name, "an archive without files");
        }
        Ok(())
    }

    /// Adds a file of an archive. An archive in it is taken if it is a spreadsheet.
    fn add_entry(&mut self, source: Source) -> Result<()> {
        if !is_archive(source.magic()?) {
            self.found.sources.push(source);
            return Ok(());
        }
        let spool = Arc::new(self.spool(&source)?);
        let archive = zip(&source.name, open(&source.name, &spool)?)?;
        match contents(&archive) {
            Contents::Workbook => self.found.sources.push(Source {
                is_workbook: true,
                place: Place::File(spool.to_path_buf()),
                spool: Some(spool),
                ..source
            }),
            Contents::Document(what) => self.pass_over(source.name, what),
            Contents::Files => self.pass_over(source.name, "an archive within an archive"),
        }
        Ok(())
    }

    /// Writes a source's unpacked bytes to a temporary file.
    fn spool(&self, source: &Source) -> Result<TempPath> {
        let mut spool = tempfile::NamedTempFile::new_in(self.spool_in)?;
        let mut reader = source.reader()?;
        let mut buffer = vec![0; 256 << 10];
        loop {
            let read = source.read(&mut reader, &mut buffer)?;
            if read == 0 {
                return Ok(spool.into_temp_path());
            }
            io::Write::write_all(&mut spool, &buffer[..read])?;
        }
    }
}

/// Whether a zip archive begins so; one without files begins with its end.
fn is_archive(magic: [u8; 4]) -> bool {
    matches!(&magic, b"PK\x03\x04" | b"PK\x05\x06")
}

/// What is in a zip archive.
enum Contents {
    /// The parts of one spreadsheet.
    Workbook,
    /// The parts of another document.
    Document(&'static str),
    /// Files.
    Files,
}

/// Whether an archive has a file of that name.
pub(crate) fn has<R: Read + io::Seek>(archive: &zip::ZipArchive<R>, wanted: &str) -> bool {
    let mut names = archive.file_names().filter_map(std::result::Result::ok);
    names.any(|name| name.eq_ignore_ascii_case(wanted))
}

fn contents<R: Read + io::Seek>(archive: &zip::ZipArchive<R>) -> Contents {
    let has = |wanted| has(archive, wanted);
    if has("xl/workbook.xml") || has("xl/workbook.bin") {
        Contents::Workbook
    } else if has("[Content_Types].xml") {
        Contents::Document("an Office document without a sheet")
    } else if has("mimetype") && has("content.xml") {
        Contents::Document("an OpenDocument file")
    } else {
        Contents::Files
    }
}

impl Source {
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
            if !self.is_workbook {
                evidence.look(&buffer[..read]);
            }
            bytes += read as u64;
        }
        if bytes == 0 {
            return Err(Error::data(format!("`{}` is empty", self.name))
                .hint("download it again; an export without rows still has its header")
                .no_export());
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
        if let Some(error) = limits::exceeded(&self.name, e) {
            return error;
        }
        Error::data(format!("`{}` cannot be read to its end: {}", self.name, in_words(e)))
            .hint("it is damaged or cut short: download it again; nothing of it was loaded")
    }

    /// Whether there is nothing in it.
    pub(crate) fn is_empty(&self) -> Result<bool> {
        Ok(self.read(&mut *self.reader()?, &mut [0])? == 0)
    }

    /// The file on disk that a spreadsheet is.
    pub(crate) fn workbook(&self) -> Option<&Path> {
        match &self.place {
            Place::File(path) if self.is_workbook => Some(path),
            _ => None,
        }
    }

    /// Its unpacked bytes from the start.
    pub(crate) fn reader(&self) -> Result<Box<dyn Read + Send>> {
        let (mut packed, length) = self.packed()?;
        if self.is_workbook {
            return Ok(Box::new(packed));
        }
        let most = limits::unpacked(length);
        Ok(match self.packing(&mut packed)? {
            Packing::Gzip => {
                Box::new(Bounded::new(flate2::bufread::MultiGzDecoder::new(packed), most))
            }
            Packing::Zstandard => {
                let decoder = zstd::stream::read::Decoder::with_buffer(packed)?;
                Box::new(Bounded::new(decoder, most))
            }
            Packing::None => match &self.place {
                Place::File(_) => Box::new(packed),
                Place::Entry(..) => Box::new(Bounded::new(packed, most)),
            },
        })
    }

    /// Its bytes as they are stored, and the length of the file that they are in.
    fn packed(&self) -> Result<(BufReader<Box<dyn Read + Send>>, u64)> {
        let (Place::File(path) | Place::Entry(path, _)) = &self.place;
        let file = open(&self.name, path)?;
        let length = file.metadata()?.len();
        let reader: Box<dyn Read + Send> = match &self.place {
            Place::File(_) => Box::new(file),
            Place::Entry(_, entry) => Box::new(ZipEntry::new(zip(&self.name, file)?, *entry)),
        };
        Ok((BufReader::with_capacity(1 << 20, reader), length))
    }

    fn packing(&self, packed: &mut impl BufRead) -> Result<Packing> {
        let head = packed.fill_buf().map_err(|e| self.cut_short(&e))?;
        Ok(match head {
            [0x1F, 0x8B, ..] => Packing::Gzip,
            [0x28, 0xB5, 0x2F, 0xFD, ..] => Packing::Zstandard,
            _ => Packing::None,
        })
    }

    fn is_packed(&self) -> Result<bool> {
        let (mut packed, _) = self.packed()?;
        Ok(self.packing(&mut packed)? != Packing::None)
    }

    /// Its first unpacked bytes, zeros where there are none.
    pub(crate) fn magic(&self) -> Result<[u8; 4]> {
        let mut reader = self.reader()?;
        let mut magic = [0; 4];
        let mut at = 0;
        while at < magic.len() {
            match self.read(&mut reader, &mut magic[at..])? {
                0 => break,
                read => at += read,
            }
        }
        Ok(magic)
    }
}

/// How a file is packed by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Packing {
    None,
    Gzip,
    Zstandard,
}

/// Reads one file of an archive, unpacking it on a thread of its own, since the archive's reader
/// borrows the archive.
struct ZipEntry {
    parts: std::sync::mpsc::Receiver<io::Result<Vec<u8>>>,
    part: io::Cursor<Vec<u8>>,
    ended: bool,
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

fn open(name: &str, path: &Path) -> Result<File> {
    File::open(path).map_err(|e| unreadable(name, &e))
}

fn zip(name: &str, file: File) -> Result<zip::ZipArchive<BufReader<File>>> {
    zip::ZipArchive::new(BufReader::new(file)).map_err(|e| damaged(name, &e))
}

fn damaged(name: &str, e: &zip::result::ZipError) -> Error {
    Error::data(format!("`{name}` is no archive that can be read: {e}"))
        .hint("unpack it, and load the files in it")
}
