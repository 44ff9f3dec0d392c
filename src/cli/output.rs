//! Output: standard output, standard error, and files.

use std::fs::File;
use std::io::{self, BufWriter, ErrorKind, IsTerminal as _, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::StyledStr;
use wabalake_queries::CATALOG;

use crate::error::{Context as _, Error, Result, lines};
use crate::files::{self, Access};
use crate::render::{self, Answer, Format, Screen, visible, visible_lines};

// No doc comment: clap would take it for the description of the whole subcommand.
#[derive(Args, Clone, Debug)]
pub(super) struct OutputOptions {
    /// Output format [default: by the extension of FILE; else a table on a terminal, csv elsewhere]
    #[arg(short, long, value_enum, hide_possible_values = true)]
    #[arg(
        long_help = "Output format: table, csv, tsv, json, ndjson, parquet, arrow, markdown, html or \
                     meta-json [default: by the extension of FILE; else a table on a terminal, csv \
                     elsewhere]"
    )]
    format: Option<Format>,

    /// Output file, replaced atomically [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Prevent formulas in csv and tsv that are opened in a spreadsheet
    #[arg(long)]
    #[arg(
        long_help = "Prevent formulas in csv and tsv that are opened in a spreadsheet: a quote (') is put \
                     before each text that begins with = + - @, a tab or a carriage return. Numbers \
                     stay as they are"
    )]
    safe: bool,
}

/// The kind of output, which decides the default format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Listing {
    /// An answer: a table on a terminal, else csv.
    Answer,
    /// An answer that can also be written as `meta-json`, a response of Meta's API.
    Points,
    /// A listing for a person: always a table.
    ToRead,
}

impl OutputOptions {
    /// Returns the format: of `--format`, else of the file's extension, else the default.
    pub(super) fn format(&self, listing: Listing) -> Format {
        let by_name = || self.file().and_then(Format::of_path);
        self.format.or_else(by_name).unwrap_or_else(|| match listing {
            Listing::ToRead => Format::Table,
            _ if self.file().is_none() && io::stdout().is_terminal() => Format::Table,
            _ => Format::Csv,
        })
    }

    /// Returns the file, or `None` for standard output.
    pub(super) fn file(&self) -> Option<&Path> {
        self.output.as_deref().filter(|path| *path != Path::new("-"))
    }

    /// Checks that the options fit the output, before any work is done.
    ///
    /// # Errors
    /// `meta-json` of another answer, a binary format on a terminal, `--safe` with another format.
    pub(super) fn check(&self, listing: Listing) -> Result<()> {
        let format = self.format(listing);
        if format == Format::MetaJson && listing != Listing::Points {
            let entries = CATALOG.iter().filter(|entry| entry.meta_field.is_some());
            let names: Vec<String> =
                entries.map(|entry| format!("`{}`", entry.spec.name)).collect();
            return Err(Error::usage("this answer cannot be written as `meta-json`")
                .hint(format!("queries that can: {}", names.join(", "))));
        }
        if format.is_binary() && self.file().is_none() && io::stdout().is_terminal() {
            return Err(Error::usage("a binary format cannot be shown on a terminal")
                .hint("write it to a file with `-o FILE`, or to a pipe"));
        }
        if self.safe && !matches!(format, Format::Csv | Format::Tsv) {
            return Err(Error::usage("`--safe` applies to csv and tsv only")
                .hint("leave it out, or choose a format with `-f csv` or `-f tsv`"));
        }
        Ok(())
    }

    /// Writes an answer to the file or standard output.
    pub(super) fn write(&self, answer: &Answer, listing: Listing) -> Result<()> {
        self.write_for(Access::Usual, answer, listing)
    }

    /// Like [`write`](Self::write), with the access of a file. A file with a column of people is always
    /// readable by its owner alone.
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
                to_stdout(|out| render::write_screen(answer, Screen::stdout(), out))
            }
            None => to_stdout(|out| self.write_to(answer, format, out)),
        }
    }

    fn write_to(&self, answer: &Answer, format: Format, out: &mut dyn Write) -> Result<()> {
        let write = if self.safe { render::write_guarded } else { render::write };
        write(answer, format, out)
    }
}

/// Writes to standard output. A closed pipe is not an error.
pub(super) fn to_stdout(write: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<()> {
    let mut pipe = Pipe { closed: false };
    let done = {
        let mut out = BufWriter::with_capacity(64 << 10, &mut pipe);
        write(&mut out).and_then(|()| Ok(out.flush()?))
    };
    if pipe.closed { Ok(()) } else { done.context(|| "writing to standard output") }
}

/// Standard output, which remembers whether its reader closed the pipe.
struct Pipe {
    closed: bool,
}

impl Pipe {
    fn note_closed<T>(&mut self, done: io::Result<T>) -> io::Result<T> {
        done.inspect_err(|error| self.closed |= error.kind() == ErrorKind::BrokenPipe)
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let done = io::stdout().lock().write(bytes);
        self.note_closed(done)
    }

    fn flush(&mut self) -> io::Result<()> {
        let done = io::stdout().lock().flush();
        self.note_closed(done)
    }
}

/// Prints text to standard error, control characters escaped except line ends. Names in the text that
/// may contain line ends must be escaped by the caller, with [`visible`].
pub(super) fn to_stderr(text: &str) {
    // If standard error is closed, there is nowhere to report it.
    let _ = io::stderr().lock().write_all(visible_lines(text).as_bytes());
}

/// Prints an error to standard error.
pub(super) fn print_error(error: &Error) {
    to_stderr(&format!("{}\n", error.lines()));
}

/// Prints a warning to standard error.
pub(super) fn warn(what: &str, hint: Option<&str>) {
    to_stderr(&format!("{}\n", lines("warning", what, &[("hint", hint)])));
}

/// Formats a path for a message, control characters escaped.
pub(super) fn shown_path(path: &Path) -> String {
    visible(&path.display().to_string()).into_owned()
}

/// Prints text for a person to standard output, escaped as by [`to_stderr`].
pub(super) fn say(text: &str) -> Result<()> {
    to_stdout(|out| Ok(out.write_all(visible_lines(text).as_bytes())?))
}

/// Writes a file atomically: a temporary file replaces it once everything is written.
pub(super) fn to_file(path: &Path, write: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<()> {
    to_file_for(Access::Usual, path, write)
}

/// Like [`to_file`], with the access of the file.
pub(super) fn to_file_for(
    access: Access,
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> Result<()>,
) -> Result<()> {
    replace(path, access, write).context(|| format!("writing `{}`", path.display()))
}

/// Writes a file with [`to_file_for`], or standard output where its name is `-`.
pub(super) fn to_file_or_stdout(
    access: Access,
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> Result<()>,
) -> Result<()> {
    if path.as_os_str() == "-" { to_stdout(write) } else { to_file_for(access, path, write) }
}

fn replace(
    path: &Path,
    access: Access,
    write: impl FnOnce(&mut dyn Write) -> Result<()>,
) -> Result<()> {
    // The target of a symbolic link is replaced. A device or a pipe is written to in place.
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    if path.metadata().is_ok_and(|there| !there.is_file() && !there.is_dir()) {
        let mut out = BufWriter::new(File::options().write(true).open(&path)?);
        write(&mut out)?;
        return Ok(out.flush()?);
    }
    if path.is_dir() {
        return Err(Error::usage("it is a folder").hint("name a file in it"));
    }
    let folder = path.parent().filter(|folder| *folder != Path::new(""));
    let folder = folder.unwrap_or(Path::new("."));
    if !folder.is_dir() {
        return Err(Error::usage(format!("there is no folder `{}`", folder.display()))
            .hint(format!("create it: `mkdir -p {}`", folder.display())));
    }
    files::write_whole(&path, access, write)
}

/// Renders help, with bold text if standard output is a terminal that supports it.
pub(super) fn styled(text: &StyledStr) -> String {
    if Screen::stdout().bold { text.ansi().to_string() } else { text.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_replaced_atomically() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("answer.csv");
        std::fs::write(&path, "before").unwrap();
        let failed = to_file(&path, |out| {
            out.write_all(b"half")?;
            Err(Error::lake("gone"))
        });
        let lines = failed.unwrap_err().lines();
        assert_eq!(lines, format!("error: writing `{}`: gone", path.display()));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "before");
        to_file(&path, |out| Ok(out.write_all(b"after")?)).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "after");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn links_and_devices_are_written_through() {
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
    fn writing_to_a_folder_is_a_usage_error() {
        let folder = tempfile::tempdir().unwrap();
        let error = to_file(folder.path(), |_| Ok(())).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        let error = to_file(&folder.path().join("none/a.csv"), |_| Ok(())).unwrap_err();
        assert!(error.lines().contains("mkdir -p"), "{}", error.lines());
    }
}
