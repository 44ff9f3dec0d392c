//! Expands paths into sources: files, folders, glob patterns, archives and standard input.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::{NamedTempFile, TempPath};

use super::archive::{ArchiveKind, archive_kind, damaged, is_archive, zip};
use super::objects::{self, Object, PARTIAL};
use super::pattern::matches;
use super::{Location, OriginFile, Source, number, open};
use crate::error::{Context as _, Error, Fault, Result};
use crate::load::folder::{Entry, FileState, LAKE, NOT_A_FILE, is_lake, is_partial, walk};
use crate::load::limits::{self, LimitedReader};
use crate::load::report::{Failure, SkippedFile};
use crate::place::Remote;

/// The sources of some paths.
#[derive(Debug, Default)]
pub(crate) struct FoundSources {
    pub(crate) sources: Vec<Source>,
    /// Exports on object stores, which are sources once they are downloaded.
    pub(crate) objects: Vec<Object>,
    /// Files that are not exports, by their name or place.
    pub(crate) skipped: Vec<SkippedFile>,
    /// Faulty exports, if each file is a load of its own.
    pub(crate) failed: Vec<Failure>,
}

/// How to search for sources.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SourceSearch<'a> {
    /// The folder for temporary files.
    pub(crate) spool_in: &'a Path,
    /// States of files when they were chosen; other files are taken as they are.
    pub(crate) seen: &'a BTreeMap<PathBuf, FileState>,
    /// `true` reports a faulty export and goes on.
    pub(crate) per_file: bool,
}

impl FoundSources {
    /// Finds the sources; any faulty export is an error.
    pub(crate) fn of(paths: &[PathBuf], spool_in: &Path) -> Result<Self> {
        Self::by(paths, SourceSearch { spool_in, seen: &BTreeMap::new(), per_file: false })
    }

    /// Finds the sources.
    pub(crate) fn by(paths: &[PathBuf], how: SourceSearch<'_>) -> Result<Self> {
        let mut finder = SourceFinder::new(how);
        for path in paths {
            if Remote::is_url(path) {
                finder.add_url(path)?;
                continue;
            }
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

    /// The sources of an object that was downloaded: several if it is an archive.
    pub(super) fn of_object(
        object: &Object,
        file: TempPath,
        how: SourceSearch<'_>,
    ) -> Result<Self> {
        let mut finder = SourceFinder::new(how);
        let named = Source { is_named: object.is_named, ..Source::pipe(object.name.clone()) };
        finder.add_file(Source::spooled(named, file))?;
        Ok(finder.found)
    }

    /// Sources that were found already.
    pub(crate) fn of_sources(sources: Vec<Source>) -> Self {
        Self { sources, ..Self::default() }
    }
}

/// Expands paths one by one.
struct SourceFinder<'a> {
    how: SourceSearch<'a>,
    found: FoundSources,
    /// The buckets of URLs.
    buckets: BTreeMap<String, Arc<Remote>>,
}

impl<'a> SourceFinder<'a> {
    fn new(how: SourceSearch<'a>) -> Self {
        Self { how, found: FoundSources::default(), buckets: BTreeMap::new() }
    }

    /// Adds the sources of a path; `-` is standard input.
    fn open(&mut self, path: &Path) -> Result<()> {
        if path == Path::new("-") {
            return self.add_piped("standard input".to_owned(), &mut io::stdin().lock());
        }
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        let shown = path.to_string_lossy();
        match path.metadata() {
            Ok(file) if file.is_dir() => self.add_folder(path, &name.unwrap_or_default()),
            // A pipe can be read only once.
            Ok(file) if !file.is_file() => {
                self.add_piped(shown.clone().into_owned(), &mut open(&shown, path)?)
            }
            _ => {
                let source = self.source_of(path, name.unwrap_or_else(|| shown.into_owned()), true);
                self.add_file(source)
            }
        }
    }

    /// Adds the sources of a file that a pattern matches. Incomplete files match if the pattern
    /// ends in their extension.
    fn open_match(&mut self, path: &Path, pattern: &Path) -> Result<()> {
        let name = || path.to_string_lossy().into_owned();
        if is_partial(path) && !is_partial(pattern) {
            self.skip(name(), PARTIAL);
        } else if path.metadata().is_ok_and(|file| !file.is_dir() && !file.is_file()) {
            self.skip(name(), NOT_A_FILE);
        } else {
            return self.open(path);
        }
        Ok(())
    }

    fn skip(&mut self, file: String, reason: &str) {
        let file = file.replace(char::is_control, "\u{fffd}");
        self.found.skipped.push(SkippedFile { file, reason: reason.to_owned() });
    }

    /// Adds the files of a folder and its subfolders, by name.
    fn add_folder(&mut self, folder: &Path, name: &str) -> Result<()> {
        if is_lake(folder) {
            self.skip(name.to_owned(), LAKE);
            return Ok(());
        }
        walk(folder, name, &[], &mut |Entry { path, name, skip_reason }| {
            let on_its_way = is_partial(&path).then_some(PARTIAL);
            match skip_reason.or(on_its_way) {
                Some(reason) => {
                    self.skip(name, reason);
                    Ok(())
                }
                None => {
                    let source = self.source_of(&path, name, false);
                    self.add_file(source)
                }
            }
        })
    }

    /// Creates a source with the given state of the file, or the current one.
    fn source_of(&self, path: &Path, name: String, is_named: bool) -> Source {
        let origin = path.metadata().ok().map(|file| {
            let seen = self.how.seen.get(path).cloned();
            let seen = seen.unwrap_or_else(|| FileState::of_metadata(&file));
            Arc::new(OriginFile { path: path.to_path_buf(), seen, number: number(&file) })
        });
        Source { origin, ..Source::new(name, Location::File(path.to_path_buf()), is_named) }
    }

    /// Adds the objects of a URL, to be downloaded later.
    fn add_url(&mut self, url: &Path) -> Result<()> {
        match self.objects_of(&url.to_string_lossy()) {
            Ok(objects::FoundObjects { objects, skipped }) => {
                self.found.objects.extend(objects);
                for (name, reason) in skipped {
                    self.skip(name, reason);
                }
                Ok(())
            }
            Err(error) if self.how.per_file && error.fault() != Fault::Usage => {
                let name = url.file_name().unwrap_or_default().to_string_lossy().into_owned();
                self.found.failed.push(Failure::of(name, &error));
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    fn objects_of(&mut self, url: &str) -> Result<objects::FoundObjects> {
        let (bucket, path) = Remote::split(url)?;
        let bucket = match self.buckets.get(bucket) {
            Some(bucket) => Arc::clone(bucket),
            None => {
                let opened = Arc::new(Remote::open(bucket)?);
                self.buckets.insert(bucket.to_owned(), Arc::clone(&opened));
                opened
            }
        };
        objects::find(&bucket, path, url)
    }

    /// Adds a pipe, spooled to a temporary file.
    fn add_piped(&mut self, name: String, pipe: &mut dyn Read) -> Result<()> {
        let mut spool = self.new_spool()?;
        let mut pipe = LimitedReader::new(pipe, limits::UNPACKED);
        let mut buffer = vec![0; 256 << 10];
        loop {
            let read = match pipe.read(&mut buffer) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                read => read.map_err(|e| Source::pipe(name.clone()).read_error(&e))?,
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

    /// Adds a file, or the files of an archive. A faulty export is an error, unless each file is a
    /// load of its own; other unreadable files are skipped.
    fn add_file(&mut self, source: Source) -> Result<()> {
        let added = self.try_add_file(&source);
        added.or_else(|error| self.at_fault(&source, error))
    }

    fn at_fault(&mut self, source: &Source, error: Error) -> Result<()> {
        let error = source.explain(error);
        if source.is_skipped(&error) {
            self.found.skipped.push(SkippedFile::of_error(&source.name, &error));
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
            // An archive is read from its end, so it has to be decompressed to disk.
            let spool = self.spool(source)?;
            return self.try_add_file(&Source::spooled(source.clone(), spool));
        }
        let Source { name, location: Location::File(path), is_named, .. } = source else {
            return Err(Error::bug("an archive that is not a file"));
        };
        let mut archive = zip(name, open(name, path)?)?;
        match archive_kind(&archive) {
            ArchiveKind::Workbook => {
                self.found.sources.push(Source { is_workbook: true, ..source.clone() });
                return Ok(());
            }
            ArchiveKind::Document(what) if *is_named => {
                return Err(Error::data(format!("`{name}` is {what}"))
                    .hint("save its table as csv or xlsx"));
            }
            ArchiveKind::Document(what) => {
                self.skip(name.clone(), what);
                return Ok(());
            }
            ArchiveKind::Files => {}
        }
        limits::check_archive(name, &mut archive, path)?;
        let count =
            |found: &FoundSources| found.sources.len() + found.skipped.len() + found.failed.len();
        let before = count(&self.found);
        for entry in 0..archive.len() {
            let inner = archive.by_index_raw(entry).map_err(|e| damaged(name, &e))?;
            let inner_name = String::from_utf8_lossy(inner.name_raw()).into_owned();
            // macOS adds metadata files.
            if inner.is_dir() || inner_name.starts_with("__MACOSX/") {
                continue;
            }
            drop(inner);
            let hidden = inner_name.split(['/', '\\']).any(|part| part.starts_with('.'));
            let full = format!("{name}/{inner_name}");
            if hidden {
                self.skip(full, "hidden");
                continue;
            }
            let inner = Source::new(full, Location::Entry(path.clone(), entry), false);
            let (spool, origin) = (source.spool.clone(), source.origin.clone());
            let inner = Source { spool, origin, ..inner };
            let readable = archive.by_index(entry).map(drop).map_err(|e| damaged(&inner.name, &e));
            let added = readable.and_then(|()| self.add_entry(&inner));
            added.or_else(|error| self.at_fault(&inner, error))?;
        }
        if before == count(&self.found) {
            self.skip(name.clone(), "an archive without files");
        }
        Ok(())
    }

    /// Adds an entry of an archive. Of archives, only spreadsheets are entered.
    fn add_entry(&mut self, source: &Source) -> Result<()> {
        if !is_archive(source.magic()?) {
            self.found.sources.push(source.clone());
            return Ok(());
        }
        let inner = Source::spooled(source.clone(), self.spool(source)?);
        let Location::File(path) = &inner.location else {
            return Err(Error::bug("a copy is a file"));
        };
        let archive = zip(&inner.name, open(&inner.name, path)?)?;
        match archive_kind(&archive) {
            ArchiveKind::Workbook => self.found.sources.push(Source { is_workbook: true, ..inner }),
            ArchiveKind::Document(what) => self.skip(inner.name, what),
            ArchiveKind::Files => self.skip(inner.name, "an archive within an archive"),
        }
        Ok(())
    }

    /// Writes the decompressed bytes of a source to a temporary file.
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

    fn new_spool(&self) -> Result<NamedTempFile> {
        new_spool(self.how.spool_in)
    }

    fn spooling(&self) -> String {
        spooling(self.how.spool_in)
    }
}

/// Creates a temporary file for the bytes of a source.
pub(super) fn new_spool(within: &Path) -> Result<NamedTempFile> {
    NamedTempFile::new_in(within).context(|| spooling(within))
}

/// Says in an error that a temporary file is written.
pub(super) fn spooling(within: &Path) -> String {
    format!("writing to `{}`", within.display())
}
