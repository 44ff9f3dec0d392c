//! Where output goes.

use std::fs::File;
use std::io::{self, BufWriter, ErrorKind, IsTerminal as _, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::StyledStr;
use wabalake_queries::CATALOG;

use crate::error::{Context as _, Error, Result};
use crate::files::{self, Access};
use crate::render::{self, Answer, Format, Screen, visible, visible_lines};

// No doc comment: clap would take it for the description of the whole subcommand.
#[derive(Args, Clone, Debug)]
pub(super) struct OutputOptions {
    /// How to write it [default: by the name of FILE; else a table on a terminal, csv elsewhere]
    #[arg(short, long, value_enum, hide_possible_values = true)]
    #[arg(
        long_help = "How to write it: table, csv, tsv, json, ndjson, parquet, arrow, markdown, html or meta-json \
                       [default: by the name of FILE; else a table on a terminal, csv elsewhere]"
    )]
    format: Option<Format>,

    /// Write to this file, which is replaced once all is written [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Guard csv and tsv for a spreadsheet: no text in it is a formula
    #[arg(long)]
    #[arg(
        long_help = "Guard csv and tsv for a spreadsheet: a quote (') stands before each text that begins with \
                       = + - @, a tab or a carriage return, so that none is a formula. Numbers stay as they are"
    )]
    safe: bool,
}

/// What a listing is written as where nothing is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Listing {
    /// An answer: a table on a terminal, csv elsewhere.
    Answer,
    /// An answer that can be a response of Meta's API.
    Points,
    /// A listing to be read: a table everywhere.
    ToRead,
}

impl OutputOptions {
    /// The format that is asked for, or that suits the place.
    pub(super) fn format(&self, listing: Listing) -> Format {
        let by_name = || self.file().and_then(Format::of_path);
        self.format.or_else(by_name).unwrap_or_else(|| match listing {
            Listing::ToRead => Format::Table,
            _ if self.file().is_none() && io::stdout().is_terminal() => Format::Table,
            _ => Format::Csv,
        })
    }

    /// The file, unless it is standard output.
    pub(super) fn file(&self) -> Option<&Path> {
        self.output.as_deref().filter(|path| *path != Path::new("-"))
    }

    /// Refuses what would garble a terminal, before any work is done.
    pub(super) fn check(&self, listing: Listing) -> Result<()> {
        let format = self.format(listing);
        if format == Format::MetaJson && listing != Listing::Points {
            let entries = CATALOG.iter().filter(|entry| entry.meta_field.is_some());
            let names: Vec<String> =
                entries.map(|entry| format!("`{}`", entry.spec.name)).collect();
            return Err(Error::usage("this is nothing that Meta's API answers")
                .hint(format!("`meta-json` is for {}", names.join(", "))));
        }
        if format.is_binary() && self.file().is_none() && io::stdout().is_terminal() {
            return Err(Error::usage("a terminal cannot show this format")
                .hint("write it to a file with `-o FILE`, or to a pipe"));
        }
        if self.safe && !matches!(format, Format::Csv | Format::Tsv) {
            return Err(Error::usage("`--safe` is for csv and tsv")
                .hint("leave it out, or ask for one of these with `-f csv` or `-f tsv`"));
        }
        Ok(())
    }

    /// Writes an answer to its place.
    pub(super) fn write(&self, answer: &Answer, listing: Listing) -> Result<()> {
        self.write_for(Access::Usual, answer, listing)
    }

    /// The same, where a file is for its owner alone, whatever its columns are called.
    pub(super) fn write_for(
        &self,
        access: Access,
        answer: &Answer,
        listing: Listing,
    ) -> Result<()> {
        let format = self.format(listing);
        match self.file() {
            Some(path) => {
                let access = if answer.names_people() { Access::Owner } else { access };
                to_file_for(access, path, |out| self.write_to(answer, format, out))
            }
            None if format == Format::Table => {
                to_stdout(|out| Ok(render::write_screen(answer, Screen::stdout(), out)?))
            }
            None => to_stdout(|out| self.write_to(answer, format, out)),
        }
    }

    fn write_to(&self, answer: &Answer, format: Format, out: &mut dyn Write) -> Result<()> {
        let write = if self.safe { render::write_guarded } else { render::write };
        write(answer, format, out)
    }
}

/// Writes to standard output. A reader that has had enough is no error.
pub(super) fn to_stdout(write: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<()> {
    let mut pipe = Pipe { closed: false };
    let done = {
        let mut out = BufWriter::with_capacity(64 << 10, &mut pipe);
        write(&mut out).and_then(|()| Ok(out.flush()?))
    };
    if pipe.closed { Ok(()) } else { done.context(|| "writing to standard output") }
}

/// Standard output, which remembers whether anybody still reads it.
struct Pipe {
    closed: bool,
}

impl Pipe {
    fn noting<T>(&mut self, done: io::Result<T>) -> io::Result<T> {
        done.inspect_err(|error| self.closed |= error.kind() == ErrorKind::BrokenPipe)
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let done = io::stdout().lock().write(bytes);
        self.noting(done)
    }

    fn flush(&mut self) -> io::Result<()> {
        let done = io::stdout().lock().flush();
        self.noting(done)
    }
}

/// Says something on standard error. When that fails there is nobody left to tell. Names within are
/// made [`visible`] by whoever lays the lines out.
pub(super) fn to_stderr(text: &str) {
    let _ = io::stderr().lock().write_all(visible_lines(text).as_bytes());
}

/// A path as it may be said.
pub(super) fn shown_path(path: &Path) -> String {
    visible(&path.display().to_string()).into_owned()
}

/// Says on standard output what a person is to read, as [`to_stderr`] does.
pub(super) fn say(text: &str) -> Result<()> {
    to_stdout(|out| Ok(out.write_all(visible_lines(text).as_bytes())?))
}

/// Writes a file that is there as a whole or not at all.
pub(super) fn to_file(path: &Path, write: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<()> {
    to_file_for(Access::Usual, path, write)
}

/// The same, for those who may read it.
pub(super) fn to_file_for(
    access: Access,
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> Result<()>,
) -> Result<()> {
    replace(path, access, write).context(|| format!("writing `{}`", path.display()))
}

fn replace(
    path: &Path,
    access: Access,
    write: impl FnOnce(&mut dyn Write) -> Result<()>,
) -> Result<()> {
    // A link stays a link. A device or a pipe is written to: it cannot be replaced.
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    if path.metadata().is_ok_and(|there| !there.is_file() && !there.is_dir()) {
        let mut out = BufWriter::new(File::options().write(true).open(&path)?);
        write(&mut out)?;
        return Ok(out.flush()?);
    }
    if path.is_dir() {
        return Err(Error::usage("that is a folder").hint("name a file in it"));
    }
    let folder = path.parent().filter(|folder| *folder != Path::new(""));
    let folder = folder.unwrap_or(Path::new("."));
    if !folder.is_dir() {
        return Err(Error::usage(format!("there is no folder `{}`", folder.display()))
            .hint(format!("make it: `mkdir -p {}`", folder.display())));
    }
    files::write_whole(&path, access, write)
}

/// Help, bold where standard output is a terminal that knows it.
pub(super) fn styled(text: &StyledStr) -> String {
    if Screen::stdout().bold { text.ansi().to_string() } else { text.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_as_a_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("answer.csv");
        std::fs::write(&path, "before").unwrap();
        let failed = to_file(&path, |out| {
            out.write_all(b"half")?;
            Err(Error::lake("gone"))
        });
        let said = failed.unwrap_err().lines();
        assert_eq!(said, format!("error: writing `{}`: gone", path.display()));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "before");
        to_file(&path, |out| Ok(out.write_all(b"after")?)).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "after");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn links_and_devices_stay_what_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let (target, link) = (folder.path().join("a.csv"), folder.path().join("b.csv"));
        std::fs::write(&target, "before").unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        to_file(&link, |out| Ok(out.write_all(b"after")?)).unwrap();
        assert!(link.is_symlink());
        assert_eq!(std::fs::read_to_string(&target).unwrap(), "after");
        to_file(Path::new("/dev/null"), |out| Ok(out.write_all(b"gone")?)).unwrap();
    }

    #[test]
    fn a_folder_is_no_place_for_an_answer() {
        let folder = tempfile::tempdir().unwrap();
        let error = to_file(folder.path(), |_| Ok(())).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        let error = to_file(&folder.path().join("none/a.csv"), |_| Ok(())).unwrap_err();
        assert!(error.lines().contains("mkdir -p"), "{}", error.lines());
    }
}
