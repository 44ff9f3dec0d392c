//! Where exports come from: files, folders, globs, archives, standard input.
//!
//! ```text
//! exports/                         what it holds, subfolders too; hidden files are passed over
//! 'exports/*.csv.gz'               what it matches, as if each were named
//! exports.zip ─┬ sessions.csv      each a source of its own
//!              └ deployments.xlsx  written to a temporary file first, for it is an archive itself
//! kaleyra.csv.gz                   unpacked as it is read, told by its first bytes
//! -, a pipe                        written to a temporary file first, for it is read twice
//! ```
//!
//! What is named on the command line must be an export. In a folder or an archive there may be
//! other files too: those are passed over, and the report names them. So is a file that cannot be
//! read, unless [`faulty`] says that it is an export all the same. A file that is still on its way by
//! its name, and a pipe, are taken only where they are named themselves.
//!
//! A source is read twice: once to survey it (its hash, its encoding), once to load it. A file
//! that was loaded before costs the survey only. One that is another file the second time, or whose
//! size or time is another, is not loaded: it still grows, or somebody replaced it.

use std::collections::BTreeMap;
use std::fs::{File, Metadata};
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use encoding_rs::Encoding;
use tempfile::TempPath;
use xxhash_rust::xxh3::Xxh3;

use super::encoding::Evidence;
use super::faulty;
use super::folder::{A_LAKE, Entry, NO_FILE, Seen, is_lake, is_on_its_way, unreadable, walk};
use super::limits::{self, Bounded};
use super::report::{Failure, PassedOver};
use crate::error::{Context as _, Error, Fault, Result, in_words};

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
    /// The file that its bytes come from; none of what came through a pipe.
    origin: Option<Arc<Origin>>,
    /// The hash of its unpacked bytes, once it is surveyed.
    surveyed: OnceLock<u128>,
}

/// A file, and what it was like when it was found.
#[derive(Debug)]
struct Origin {
    path: PathBuf,
    seen: Seen,
    number: (u64, u64),
}

impl Origin {
    fn has_changed(&self) -> bool {
        let now = self.path.metadata().map(|file| (Seen::told(&file), number(&file)));
        !now.is_ok_and(|now| now == (self.seen.clone(), self.number))
    }
}

/// What a file system calls a file, whatever its name is; zeros where it does not say.
fn number(file: &Metadata) -> (u64, u64) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        (file.dev(), file.ino())
    }
    #[cfg(not(unix))]
    {
        let _ = file;
        (0, 0)
    }
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
    /// Faulty exports, where one does not stop the others.
    pub(crate) failed: Vec<Failure>,
}

/// How sources are looked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Finding<'a> {
    /// Where temporary files go.
    pub(crate) spool_in: &'a Path,
    /// What files were like when they were chosen; others are as they are found.
    pub(crate) seen: &'a BTreeMap<PathBuf, Seen>,
    /// Whether a faulty export does not stop the others.
    pub(crate) per_file: bool,
}

impl Found {
    /// Finds the sources; temporary files go to a folder.
    pub(crate) fn of(paths: &[PathBuf], spool_in: &Path) -> Result<Self> {
        Self::by(paths, Finding { spool_in, seen: &BTreeMap::new(), per_file: false })
    }

    /// Finds the sources.
    pub(crate) fn by(paths: &[PathBuf], how: Finding<'_>) -> Result<Self> {
        let mut finder = Finder { how, found: Self::default() };
        for path in paths {
            match matches(path) {
                Err(error) if how.per_file && error.fault() == Fault::Data => {
                    let name = path.to_string_lossy().into_owned();
                    finder.found.failed.push(Failure::of(name, &error));
                }
                Err(error) => return Err(error),
                Ok(None) => finder.open(path)?,
                Ok(Some(matches)) => {
                    for matched in matches {
                        finder.open_match(&matched, path)?;
                    }
                }
            }
        }
        Ok(finder.found)
    }
}

/// The signs of a pattern.
const PATTERN: [char; 3] = ['*', '?', '['];

/// The files and folders that a pattern matches, by name; `None` where a path is no pattern. What of it
/// is there, as far as it is, is no pattern.
///
/// # Errors
///
/// A pattern that is no valid one, or that nothing matches.
pub fn matches(path: &Path) -> Result<Option<Vec<PathBuf>>> {
    let mut there = PathBuf::new();
    let mut parts = path.components().peekable();
    while let Some(next) = parts.next_if(|part| there.join(part).exists()) {
        there.push(next);
    }
    let rest: PathBuf = parts.collect();
    let text = rest.to_string_lossy();
    if !text.contains(PATTERN) {
        return Ok(None);
    }
    let shown = path.to_string_lossy();
    let as_shells_do = glob::MatchOptions {
        case_sensitive: true,
        require_literal_separator: true,
        require_literal_leading_dot: true,
    };
    let wrong = |error: glob::PatternError| {
        Error::usage(format!("`{shown}` is no pattern: {}", error.msg)).hint(hint_on(&text))
    };
    // What is below a folder is in it.
    let pattern = if text == "**" { "" } else { text.trim_end_matches("/**") };
    let paths: Vec<PathBuf> = if pattern.is_empty() {
        vec![if there == Path::new("") { PathBuf::from(".") } else { there }]
    } else if pattern.contains("**") {
        let pattern = glob::Pattern::new(pattern).map_err(wrong)?;
        files_below(&there, &|below| pattern.matches_path_with(below, as_shells_do))?
    } else {
        // Whatever stands in the names of folders that are there.
        let there = glob::Pattern::escape(&there.to_string_lossy());
        let pattern = Path::new(&there).join(pattern);
        let paths = glob::glob_with(&pattern.to_string_lossy(), as_shells_do).map_err(wrong)?;
        paths.filter_map(Result::ok).collect()
    };
    if paths.is_empty() {
        return Err(Error::data(format!("no file matches `{shown}`")).hint(
            match text.contains('[') {
                true => hint_on(&text),
                false => "name files that are there; `*` matches no hidden file",
            },
        ));
    }
    Ok(Some(paths))
}

/// What the signs of a pattern stand for.
fn hint_on(pattern: &str) -> &'static str {
    if pattern.contains('[') {
        "`[…]` stands for one of the letters in it: write `[[]` for a bracket that is part of a name"
    } else {
        "`*` stands for any name, `?` for a letter, `**` for any folders"
    }
}

/// The files below a folder that a pattern with `**` matches, by their paths from there. A library's own
/// search would follow links, which may lead back for ever.
fn files_below(there: &Path, is_match: &dyn Fn(&Path) -> bool) -> Result<Vec<PathBuf>> {
    let (here, mut files) = (Path::new("."), Vec::new());
    let folder = if there == Path::new("") { here } else { there };
    if folder.is_dir() {
        let name = folder.to_string_lossy();
        walk(folder, &name, &[], &mut |Entry { path, passed_over, .. }| {
            let path = path.strip_prefix(here).unwrap_or(&path);
            let below = path.strip_prefix(there).unwrap_or(path);
            if passed_over.is_none() && is_match(below) {
                files.push(path.to_owned());
            }
            Ok(())
        })?;
    }
    Ok(files)
}

/// Why a file that is still on its way is passed over.
const ON_ITS_WAY: &str = "still on its way, by its name";

/// Finds sources, one path after the other.
struct Finder<'a> {
    how: Finding<'a>,
    found: Found,
}

impl Finder<'_> {
    /// Adds what a path stands for; `-` is standard input.
    fn open(&mut self, path: &Path) -> Result<()> {
        if path == Path::new("-") {
            return self.add_piped("standard input".to_owned(), &mut io::stdin().lock());
        }
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        let shown = path.to_string_lossy();
        match path.metadata() {
            Ok(file) if file.is_dir() => self.add_folder(path, &name.unwrap_or_default()),
            // It can be read once only.
            Ok(file) if !file.is_file() => {
                self.add_piped(shown.clone().into_owned(), &mut open(&shown, path)?)
            }
            _ => {
                let source = self.source_of(path, name.unwrap_or_else(|| shown.into_owned()), true);
                self.add_file(source)
            }
        }
    }

    /// Adds what a pattern matches. Who writes an ending into it wants files that end so.
    fn open_match(&mut self, path: &Path, pattern: &Path) -> Result<()> {
        let name = || path.to_string_lossy().into_owned();
        if is_on_its_way(path) && !is_on_its_way(pattern) {
            self.pass_over(name(), ON_ITS_WAY);
        } else if path.metadata().is_ok_and(|file| !file.is_dir() && !file.is_file()) {
            self.pass_over(name(), NO_FILE);
        } else {
            return self.open(path);
        }
        Ok(())
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
        walk(folder, name, &[], &mut |Entry { path, name, passed_over }| {
            let on_its_way = is_on_its_way(&path).then_some(ON_ITS_WAY);
            match passed_over.or(on_its_way) {
                Some(reason) => {
                    self.pass_over(name, reason);
                    Ok(())
                }
                None => {
                    let source = self.source_of(&path, name, false);
                    self.add_file(source)
                }
            }
        })
    }

    /// A file as a source, as it was seen or else as it is now.
    fn source_of(&self, path: &Path, name: String, is_named: bool) -> Source {
        let origin = path.metadata().ok().map(|file| {
            let seen = self.how.seen.get(path).cloned();
            let seen = seen.unwrap_or_else(|| Seen::told(&file));
            Arc::new(Origin { path: path.to_path_buf(), seen, number: number(&file) })
        });
        Source { origin, ..Source::new(name, Place::File(path.to_path_buf()), is_named) }
    }

    /// Adds what can be read once only, as a copy.
    fn add_piped(&mut self, name: String, pipe: &mut dyn Read) -> Result<()> {
        let mut spool = self.new_spool()?;
        let mut pipe = Bounded::new(pipe, limits::UNPACKED);
        let mut buffer = vec![0; 256 << 10];
        loop {
            let read = match pipe.read(&mut buffer) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                read => read.map_err(|e| Source::pipe(name.clone()).cut_short(&e))?,
            };
            if read == 0 {
                break;
            }
            io::Write::write_all(spool.as_file_mut(), &buffer[..read])
                .context(|| self.spooling())?;
        }
        let source = Source::spooled(Source::pipe(name), spool.into_temp_path());
        self.add_file(source)
    }

    /// Adds a file, or what an archive holds. A faulty export is an error, unless each is a load of its
    /// own; any other faulty file is passed over.
    fn add_file(&mut self, source: Source) -> Result<()> {
        let added = self.try_add_file(&source);
        added.or_else(|error| self.at_fault(&source, error))
    }

    fn at_fault(&mut self, source: &Source, error: Error) -> Result<()> {
        let error = source.explain(error);
        if source.is_passed_over(&error) {
            self.found.passed_over.push(PassedOver::told(&source.name, &error));
        } else if self.how.per_file && error.fault() == Fault::Data {
            self.found.failed.push(Failure::of(source.name.clone(), &error));
        } else {
            return Err(error);
        }
        Ok(())
    }

    fn try_add_file(&mut self, source: &Source) -> Result<()> {
        if !is_archive(source.magic()?) {
            self.found.sources.push(source.clone());
            return Ok(());
        }
        if source.is_packed()? {
            // An archive is read from its end: it must be unpacked to be read at all.
            let spool = self.spool(source)?;
            return self.try_add_file(&Source::spooled(source.clone(), spool));
        }
        let Source { name, place: Place::File(path), is_named, .. } = source else {
            return Err(Error::bug("an archive that is no file"));
        };
        let mut archive = zip(name, open(name, path)?)?;
        match contents(&archive) {
            Contents::Workbook => {
                self.found.sources.push(Source { is_workbook: true, ..source.clone() });
                return Ok(());
            }
            Contents::Document(what) if *is_named => {
                return Err(Error::data(format!("`{name}` is {what}"))
                    .hint("save its table as csv or xlsx"));
            }
            Contents::Document(what) => {
                self.pass_over(name.clone(), what);
                return Ok(());
            }
            Contents::Files => {}
        }
        limits::check_archive(name, &mut archive, path)?;
        let count =
            |found: &Found| found.sources.len() + found.passed_over.len() + found.failed.len();
        let before = count(&self.found);
        for entry in 0..archive.len() {
            let inner = archive.by_index_raw(entry).map_err(|e| damaged(name, &e))?;
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
            let inner = Source::new(full, Place::Entry(path.clone(), entry), false);
            let (spool, origin) = (source.spool.clone(), source.origin.clone());
            let inner = Source { spool, origin, ..inner };
            let readable = archive.by_index(entry).map(drop).map_err(|e| damaged(&inner.name, &e));
            let added = readable.and_then(|()| self.add_entry(&inner));
            added.or_else(|error| self.at_fault(&inner, error))?;
        }
        if before == count(&self.found) {
            self.pass_over(name.clone(), "an archive without files");
        }
        Ok(())
    }

    /// Adds a file of an archive. An archive in it is taken if it is a spreadsheet.
    fn add_entry(&mut self, source: &Source) -> Result<()> {
        if !is_archive(source.magic()?) {
            self.found.sources.push(source.clone());
            return Ok(());
        }
        let inner = Source::spooled(source.clone(), self.spool(source)?);
        let Place::File(path) = &inner.place else { return Err(Error::bug("a copy is a file")) };
        let archive = zip(&inner.name, open(&inner.name, path)?)?;
        match contents(&archive) {
            Contents::Workbook => self.found.sources.push(Source { is_workbook: true, ..inner }),
            Contents::Document(what) => self.pass_over(inner.name, what),
            Contents::Files => self.pass_over(inner.name, "an archive within an archive"),
        }
        Ok(())
    }

    /// Writes a source's unpacked bytes to a temporary file.
    fn spool(&self, source: &Source) -> Result<TempPath> {
        let mut spool = self.new_spool()?;
        let mut reader = source.reader()?;
        let mut buffer = vec![0; 256 << 10];
        loop {
            let read = source.read(&mut reader, &mut buffer)?;
            if read == 0 {
                return Ok(spool.into_temp_path());
            }
            io::Write::write_all(spool.as_file_mut(), &buffer[..read])
                .context(|| self.spooling())?;
        }
    }

    fn new_spool(&self) -> Result<tempfile::NamedTempFile> {
        tempfile::NamedTempFile::new_in(self.how.spool_in).context(|| self.spooling())
    }

    fn spooling(&self) -> String {
        format!("writing to `{}`", self.how.spool_in.display())
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
    fn new(name: String, place: Place, is_named: bool) -> Self {
        // Names are shown on terminals, and an archive's may be anything.
        let name = name.replace(char::is_control, "\u{fffd}");
        let (spool, origin, surveyed) = (None, None, OnceLock::new());
        Self { name, is_workbook: false, is_named, place, spool, origin, surveyed }
    }

    /// What comes through a pipe, before it is copied.
    fn pipe(name: String) -> Self {
        Self::new(name, Place::File(PathBuf::new()), true)
    }

    /// The same whose bytes are in a temporary file.
    fn spooled(source: Self, spool: TempPath) -> Self {
        let place = Place::File(spool.to_path_buf());
        Self { place, spool: Some(Arc::new(spool)), ..source }
    }

    /// Whether an error says that it is none of the exports among other files, rather than a faulty one.
    pub(crate) fn is_passed_over(&self, error: &Error) -> bool {
        if self.is_named || error.is_of_change() || error.fault() != Fault::Data {
            return false;
        }
        error.is_no_export()
            || !faulty::is_named_as_export(&self.name) && !faulty::begins_as_export(&self.head())
    }

    /// Its first unpacked bytes, as far as they can be read.
    fn head(&self) -> Vec<u8> {
        let mut head = Vec::new();
        if let Ok(reader) = self.reader() {
            // What was read before an error counts.
            let _ = reader.take(faulty::HEAD as u64).read_to_end(&mut head);
        }
        head
    }

    /// The error that it changed while it was read, where it did: any other may come from that.
    pub(crate) fn explain(&self, error: Error) -> Error {
        let changed = self.origin.as_ref().is_some_and(|origin| origin.has_changed());
        if changed && error.fault() == Fault::Data { self.changed() } else { error }
    }

    fn changed(&self) -> Error {
        Error::data(format!("`{}` changed while it was read", self.name))
            .hint("somebody still writes to it: load it again once it is whole")
            .has_changed()
    }

    /// Checks that it is as it was when it was surveyed.
    ///
    /// # Errors
    ///
    /// A file that changed since.
    pub(crate) fn check_unchanged(&self) -> Result<()> {
        if self.origin.as_ref().is_some_and(|origin| origin.has_changed()) {
            return Err(self.changed());
        }
        if self.is_workbook {
            // Its parts were read in another order: its reader compares the bytes.
            io::copy(&mut self.reader()?, &mut io::sink()).map_err(|e| self.cut_short(&e))?;
        }
        Ok(())
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
        let hash = hash.digest128();
        let _ = self.surveyed.set(hash);
        Ok(Survey { hash, bytes, encoding: evidence.verdict() })
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
        if e.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<OtherBytes>) {
            return self.changed();
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

    /// Its unpacked bytes from the start. Once it is surveyed, other bytes are an error at their end.
    pub(crate) fn reader(&self) -> Result<Box<dyn Read + Send>> {
        let bytes = self.bytes()?;
        Ok(match self.surveyed.get() {
            Some(expected) => Box::new(Compared { bytes, hash: Xxh3::new(), expected: *expected }),
            None => bytes,
        })
    }

    fn bytes(&self) -> Result<Box<dyn Read + Send>> {
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

/// Bytes that must be those that were surveyed.
struct Compared {
    bytes: Box<dyn Read + Send>,
    hash: Xxh3,
    expected: u128,
}

impl Read for Compared {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.bytes.read(buffer)?;
        self.hash.update(&buffer[..read]);
        let has_ended = read == 0 && !buffer.is_empty();
        if has_ended && self.hash.digest128() != self.expected {
            return Err(io::Error::other(OtherBytes));
        }
        Ok(read)
    }
}

/// A source that has other bytes than when it was surveyed.
#[derive(Debug, thiserror::Error)]
#[error("its bytes are others than before")]
struct OtherBytes;

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
    use io::ErrorKind::{InvalidData, InvalidInput, Other, UnexpectedEof};
    use zip::result::ZipError as E;
    let (what, hint) = match e {
        E::Io(e) if !matches!(e.kind(), UnexpectedEof | InvalidData | InvalidInput | Other) => {
            return unreadable(name, e);
        }
        E::InvalidPassword | E::UnsupportedArchive(E::PASSWORD_REQUIRED) => {
            ("is packed with a password", "unpack it, and load the files in it")
        }
        E::UnsupportedArchive(_) | E::CompressionMethodNotSupported(_) => {
            ("is packed in a way that is not read", "unpack it, and load the files in it")
        }
        _ => (
            "is a zip archive that is damaged or cut short",
            "download it again, or unpack it and load the files in it",
        ),
    };
    Error::data(format!("`{name}` {what}")).hint(hint)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use zip::write::SimpleFileOptions;

    use super::*;
    use crate::lake::Lake;
    use crate::load::{Options, load, load_as_seen};

    fn export(id: &str) -> Vec<u8> {
        format!("session_id,session_started_timestamp\n{id},2025-06-01 10:00:00\n").into_bytes()
    }

    /// A zip of one export; other exports of that length give a zip of the same length.
    fn archive(id: &str) -> Vec<u8> {
        let stored =
            SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
        let mut zip = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
        zip.start_file("a.csv", stored).unwrap();
        zip.write_all(&export(id)).unwrap();
        zip.finish().unwrap().into_inner()
    }

    fn gz(id: &str) -> Vec<u8> {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::none());
        packed.write_all(&export(id)).unwrap();
        packed.finish().unwrap()
    }

    /// A spreadsheet of one export, with a text of its own in the archive's comment.
    fn workbook(comment: &str) -> Vec<u8> {
        use rust_xlsxwriter::{DocProperties, ExcelDateTime, Workbook};
        let mut book = Workbook::new();
        // It holds when it was made: packed, another second may take a byte more.
        let made = ExcelDateTime::from_ymd(2025, 6, 1).unwrap();
        book.set_properties(&DocProperties::new().set_creation_datetime(&made));
        let sheet = book.add_worksheet();
        for (column, title) in ["session_id", "session_started_timestamp"].into_iter().enumerate() {
            sheet.write(0, u16::try_from(column).unwrap(), title).unwrap();
        }
        let book = io::Cursor::new(book.save_to_buffer().unwrap());
        let mut zip = zip::ZipWriter::new_append(book).unwrap();
        zip.set_comment(comment).unwrap();
        zip.finish().unwrap().into_inner()
    }

    /// Reads a source to its end as a load does after the survey.
    fn read_again(source: &Source) -> Result<()> {
        let read = || {
            let read = io::copy(&mut source.reader()?, &mut io::sink());
            read.map_err(|e| source.cut_short(&e))?;
            source.check_unchanged()
        };
        read().map_err(|error| source.explain(error))
    }

    type Make<'m> = &'m dyn Fn(&str) -> Vec<u8>;

    #[test]
    fn what_is_another_file_the_second_time_is_told() {
        let json = |id: &str| format!("{{\"event_id\":\"{id}\"}}\n").into_bytes();
        let kinds: [(&str, Make<'_>); 5] = [
            ("a.csv", &export),
            ("a.csv.gz", &gz),
            ("a.zip", &archive),
            ("a.json", &json),
            ("a.xlsx", &workbook),
        ];
        for (name, make) in kinds {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join(name);
            let surveyed = || {
                std::fs::write(&path, make("s1")).unwrap();
                let found = Found::of(std::slice::from_ref(&path), folder.path()).unwrap();
                let source = found.sources.into_iter().next().unwrap();
                source.survey().unwrap();
                source
            };
            read_again(&surveyed()).unwrap();
            let is_told = |source: &Source, how: &str| {
                let error = read_again(source).unwrap_err();
                assert!(error.is_of_change(), "{name}, {how}: {}", error.lines());
            };

            let source = surveyed();
            File::options().append(true).open(&path).unwrap().write_all(b"\n").unwrap();
            is_told(&source, "appended to");

            let source = surveyed();
            File::options().write(true).open(&path).unwrap().set_len(20).unwrap();
            is_told(&source, "cut");

            let source = surveyed();
            std::fs::remove_file(&path).unwrap();
            assert!(source.check_unchanged().unwrap_err().is_of_change());

            // Where neither size nor time tell, its number or its bytes do.
            let source = surveyed();
            let time = path.metadata().unwrap().modified().unwrap();
            let other = make("s2");
            assert_eq!(path.metadata().unwrap().len(), other.len() as u64);
            let mut file = File::options().write(true).open(&path).unwrap();
            file.write_all(&other).unwrap();
            file.set_modified(time).unwrap();
            is_told(&source, "other bytes");

            #[cfg(unix)]
            {
                let source = surveyed();
                let time = path.metadata().unwrap().modified().unwrap();
                let other = folder.path().join("other");
                std::fs::write(&other, make("s1")).unwrap();
                File::options().write(true).open(&other).unwrap().set_modified(time).unwrap();
                std::fs::rename(&other, &path).unwrap();
                is_told(&source, "another file");
            }
        }
    }

    #[test]
    fn a_file_that_is_not_as_it_was_chosen_is_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let lake = Lake::create(folder.path().join("lake")).unwrap();
        let files = ["a", "b"].map(|id| {
            let path = folder.path().join(id).with_extension("csv");
            std::fs::write(&path, export(id)).unwrap();
            path
        });
        let seen = Seen { bytes: 7, ..Seen::of(&files[0]).unwrap() };
        let seen = BTreeMap::from([(files[0].clone(), seen)]);
        let options = Options::default();
        let error = load_as_seen(&lake, &files, &seen, &options).unwrap_err();
        assert!(error.is_of_change(), "{}", error.lines());
        let table = &wabalake_data::tables::sessions::TABLE;
        assert_eq!(lake.snapshot(table).unwrap().version, None);
        let options = Options { per_file: true, ..options };
        let report = load_as_seen(&lake, &files, &seen, &options).unwrap();
        assert_eq!((report.files.len(), report.failed.len()), (1, 1));
        assert_eq!(load(&lake, &files, &options).unwrap().files.len(), 2);
        assert_eq!(lake.snapshot(table).unwrap().rows(), 2);
    }
}
