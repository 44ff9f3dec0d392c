//! The error type: what is at fault, what is wrong, and a hint.
//!
//! ```text
//! error: `sessions-2025-06.csv` has no column `session_started_timestamp`
//!   found: session id, session type, session start
//!   hint: name it with `--rename 'session start=session_started_timestamp'`
//! ```
//!
//! Context is added once, by the layer that knows it. A message never contains a phone number or
//! text of a cell: it names the record instead.

use std::fmt;

use crate::render::visible;

/// The result of functions of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error with its details. Boxed, so that a [`Result`] stays small.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct Error(Box<Details>);

/// What is at fault; decides the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// An export, or another input file.
    Data,
    /// The lake: its files or its settings.
    Lake,
    /// The operating system: a read or write failed. The context names the file or stream.
    System,
    /// A cluster, or the connection to it.
    Cluster,
    /// The command line.
    Usage,
    /// wabalake itself.
    Bug,
    /// Nothing: the user pressed Ctrl-C.
    Interrupted,
}

impl Fault {
    /// Returns the exit code: 2 for the command line, 3 for a bug, 130 for Ctrl-C (as in a shell),
    /// 1 for everything else.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Data | Self::Lake | Self::System | Self::Cluster => 1,
            Self::Usage => 2,
            Self::Bug => 3,
            Self::Interrupted => 130,
        }
    }
}

/// The parts of an error.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct Details {
    /// What is at fault.
    pub fault: Fault,
    /// What is wrong, in lower case and without a full stop.
    pub what: String,
    /// What was found instead of what was expected.
    pub found: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
    /// `true` if a file is not an export at all, rather than a faulty one.
    no_export: bool,
    /// `true` if a file changed while it was read.
    has_changed: bool,
    /// `true` if a write may have been done although it failed.
    in_doubt: bool,
    /// The error of a library that this one wraps; `what` already contains its message.
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// The cause of an error of a request to a store.
#[derive(Debug, thiserror::Error)]
#[error("a request to a store failed")]
struct FailedRequest;

/// A limit on disk space that a write ran into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Full {
    /// The disk has no free space.
    Disk,
    /// The disk quota of the user is exhausted.
    Quota,
    /// A file reached the maximum file size.
    File,
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Disk => "the disk is full",
            Self::Quota => "the disk quota is used up",
            Self::File => "a file would exceed the maximum file size",
        })
    }
}

impl Error {
    fn new(fault: Fault, what: impl Into<String>) -> Self {
        Self(Box::new(Details {
            fault,
            what: what.into(),
            found: None,
            hint: None,
            no_export: false,
            has_changed: false,
            in_doubt: false,
            source: None,
        }))
    }

    /// Creates an error about an export or another input file.
    pub fn data(what: impl Into<String>) -> Self {
        Self::new(Fault::Data, what)
    }

    /// Creates an error about the lake.
    pub fn lake(what: impl Into<String>) -> Self {
        Self::new(Fault::Lake, what)
    }

    /// Creates an error about a cluster.
    pub fn cluster(what: impl Into<String>) -> Self {
        Self::new(Fault::Cluster, what)
    }

    /// Creates an error about the command line.
    pub fn usage(what: impl Into<String>) -> Self {
        Self::new(Fault::Usage, what)
    }

    /// Creates an error about a bug in wabalake, with a hint to report it.
    pub fn bug(what: impl Into<String>) -> Self {
        Self::new(Fault::Bug, what).hint("this is a bug in wabalake: please report it")
    }

    /// Creates the error of a command that Ctrl-C ended.
    pub fn interrupted(what: impl Into<String>) -> Self {
        Self::new(Fault::Interrupted, what)
    }

    /// Adds what was found instead of what was expected.
    #[must_use]
    pub fn found(mut self, found: impl Into<String>) -> Self {
        self.0.found = Some(found.into());
        self
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// Prefixes the message with what was being done: `doing: message`.
    #[must_use]
    pub fn context(mut self, doing: impl fmt::Display) -> Self {
        self.0.what = format!("{doing}: {}", self.0.what);
        self
    }

    /// Blames the lake for what is a fault of the command line elsewhere: its settings say so.
    #[must_use]
    pub(crate) fn in_settings(mut self) -> Self {
        if self.0.fault == Fault::Usage {
            self.0.fault = Fault::Lake;
        }
        self
    }

    /// Marks the error: the file is not an export at all. In a folder such a file is skipped.
    #[must_use]
    pub(crate) fn no_export(mut self) -> Self {
        self.0.no_export = true;
        self
    }

    /// Returns `true` if the file is not an export at all.
    pub(crate) fn is_no_export(&self) -> bool {
        self.0.no_export
    }

    /// Marks the error: the file changed while it was read, and may be complete next time.
    #[must_use]
    pub(crate) fn has_changed(mut self) -> Self {
        self.0.has_changed = true;
        self
    }

    /// Returns `true` if the file changed while it was read.
    pub(crate) fn is_of_change(&self) -> bool {
        self.0.has_changed
    }

    /// Marks the error: a write may have been done, although it failed.
    #[must_use]
    pub(crate) fn in_doubt(mut self) -> Self {
        self.0.in_doubt = true;
        self
    }

    /// Returns `true` if the write that failed may have been done nevertheless.
    pub fn is_in_doubt(&self) -> bool {
        self.0.in_doubt
    }

    /// Marks the error of a request to a store that failed, which no damaged file explains.
    #[must_use]
    pub(crate) fn of_request(self) -> Self {
        self.caused_by(FailedRequest)
    }

    /// Adds the error of a library that this one wraps.
    #[must_use]
    pub(crate) fn caused_by(
        mut self,
        source: impl std::error::Error + Send + Sync + 'static,
    ) -> Self {
        self.0.source = Some(Box::new(source));
        self
    }

    /// Returns `true` if a library failed to read something: a damaged file may be the cause.
    pub(crate) fn may_be_damage(&self) -> bool {
        use std::io::ErrorKind as E;
        let of_io = |error: &std::io::Error| {
            matches!(error.kind(), E::NotFound | E::UnexpectedEof | E::InvalidData)
        };
        self.0.source.as_ref().is_some_and(|source| {
            source.is::<polars::error::PolarsError>()
                || source.is::<parquet::errors::ParquetError>()
                || source.downcast_ref().is_some_and(of_io)
        })
    }

    /// Returns the limit on disk space that made a write fail, if that is the cause.
    pub(crate) fn full(&self) -> Option<Full> {
        use std::io::ErrorKind as E;
        let of_kind = |kind: E| match kind {
            E::StorageFull => Some(Full::Disk),
            E::QuotaExceeded => Some(Full::Quota),
            E::FileTooLarge => Some(Full::File),
            _ => None,
        };
        let source = self.0.source.as_deref()?;
        let kind = match (source.downcast_ref(), source.downcast_ref()) {
            (Some(error), _) | (_, Some(polars::error::PolarsError::IO { error, .. })) => {
                let error: &std::io::Error = error;
                Some(error.kind())
            }
            _ => None,
        };
        // Some libraries keep only the text of an operating system error.
        let text = source.to_string();
        let number = text.rsplit_once("(os error ").and_then(|(_, rest)| rest.split_once(')'));
        let number = number.and_then(|(number, _)| number.parse().ok());
        let of_number = number.map(|number| std::io::Error::from_raw_os_error(number).kind());
        kind.and_then(of_kind).or_else(|| of_number.and_then(of_kind))
    }

    /// Returns the parts of the error.
    pub fn details(&self) -> &Details {
        &self.0
    }

    /// Returns what is at fault.
    pub fn fault(&self) -> Fault {
        self.0.fault
    }

    /// Returns the exit code of the process.
    pub fn exit_code(&self) -> u8 {
        self.fault().exit_code()
    }

    /// Formats the error for a terminal, without a trailing newline. Control characters, such as an
    /// escape sequence in a file name, are escaped.
    ///
    /// ```
    /// use wabalake::error::Error;
    /// let error = Error::usage("no query `dropoff`").hint("did you mean `drop-off`?");
    /// assert_eq!(error.lines(), "error: no query `dropoff`\n  hint: did you mean `drop-off`?");
    /// ```
    pub fn lines(&self) -> String {
        let Details { what, found, hint, .. } = self.details();
        lines("error", what, &[("found", found.as_deref()), ("hint", hint.as_deref())])
    }
}

/// Formats a message and its indented notes, each escaped by [`visible`]. Notes that are `None` are
/// left out.
pub(crate) fn lines(label: &str, what: &str, notes: &[(&str, Option<&str>)]) -> String {
    let mut lines = format!("{label}: {}", visible(what));
    for (label, note) in notes {
        if let Some(note) = note {
            lines.extend(["\n  ", label, ": ", &visible(note)]);
        }
    }
    lines
}

/// Adds what was being done to the error of a result.
pub trait Context<T> {
    /// Prefixes the message of the error: `doing: message`.
    fn context<D: fmt::Display>(self, doing: impl FnOnce() -> D) -> Result<T>;
}

impl<T, E: Into<Error>> Context<T> for Result<T, E> {
    fn context<D: fmt::Display>(self, doing: impl FnOnce() -> D) -> Result<T> {
        self.map_err(|error| error.into().context(doing()))
    }
}

/// Returns the message of an I/O error without its number and without names of temporary files.
pub(crate) fn in_words(error: &std::io::Error) -> String {
    let text = error.to_string();
    let Some(end) = text.find(" (os error ") else { return text };
    let mut letters = text[..end].chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}

/// Returns a hint for an I/O error.
fn io_hint(error: &std::io::Error) -> Option<&'static str> {
    use std::io::ErrorKind as E;
    Some(match error.kind() {
        E::NotFound => {
            "check that the folder exists, and that no other program deletes files in it"
        }
        E::PermissionDenied => "check that this user may read and write there",
        E::ReadOnlyFilesystem => "name a folder on a writable file system",
        E::StorageFull | E::QuotaExceeded => "free space on that disk, and run the command again",
        _ => return None,
    })
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        let mut wrapped = Self::new(Fault::System, in_words(&error));
        wrapped.0.hint = io_hint(&error).map(str::to_owned);
        wrapped.caused_by(error)
    }
}

impl From<polars::error::PolarsError> for Error {
    /// Wraps a failed read as the fault of the lake, and a rejected plan as a bug.
    fn from(error: polars::error::PolarsError) -> Self {
        use polars::error::PolarsError as E;
        fn innermost(error: &E) -> &E {
            match error {
                E::Context { error, .. } | E::ExprContext { error, .. } => innermost(error),
                other => other,
            }
        }
        if let Some(Self(known)) = crate::place::unwrapped(innermost(&error)) {
            let parts = (known.fault, known.found.clone(), known.hint.clone());
            let mut wrapped = Self::new(parts.0, &known.what);
            (wrapped.0.found, wrapped.0.hint) = (parts.1, parts.2);
            let is_of_request =
                known.source.as_ref().is_some_and(|source| source.is::<FailedRequest>());
            return if is_of_request { wrapped.of_request() } else { wrapped.caused_by(error) };
        }
        let wrapped = match innermost(&error) {
            E::IO { .. } | E::ComputeError(_) | E::NoData(_) => Self::lake(error.to_string()),
            _ => Self::bug(error.to_string()),
        };
        wrapped.caused_by(error)
    }
}

impl From<parquet::errors::ParquetError> for Error {
    fn from(error: parquet::errors::ParquetError) -> Self {
        Self::lake(error.to_string()).caused_by(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn context_precedes_the_message() {
        let missing = std::io::Error::from(std::io::ErrorKind::NotFound);
        let error = Err::<(), _>(missing).context(|| "reading `a.parquet`").unwrap_err();
        assert_eq!(error.to_string(), "reading `a.parquet`: entity not found");
        assert_eq!(error.exit_code(), 1);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn full_disk_is_recognised_in_errors_of_any_library() {
        use polars::error::PolarsError;
        let of = |number: i32| std::io::Error::from_raw_os_error(number);
        for (number, full) in
            [(28, Some(Full::Disk)), (122, Some(Full::Quota)), (27, Some(Full::File)), (5, None)]
        {
            assert_eq!(Error::from(of(number)).full(), full);
            assert_eq!(Error::from(PolarsError::from(of(number))).context("x").full(), full);
            let in_words = PolarsError::ComputeError(format!("parquet: {}", of(number)).into());
            assert_eq!(Error::from(in_words).full(), full);
        }
        assert_eq!(Error::data("No space left on device (os error 28)").full(), None);
    }

    #[test]
    fn io_errors_have_a_hint_and_no_number() {
        let nowhere = tempfile::NamedTempFile::new_in("/nowhere/at/all").map(drop);
        let error = nowhere.context(|| "writing `a.csv`").unwrap_err();
        assert_eq!(
            error.lines(),
            "error: writing `a.csv`: no such file or directory\n  hint: check that the folder \
             exists, and that no other program deletes files in it"
        );
        let full = std::io::Error::from_raw_os_error(28);
        let error = Err::<(), _>(full).context(|| "writing `a.csv`").unwrap_err();
        assert!(!error.lines().contains("os error"), "{}", error.lines());
        assert!(error.lines().contains("hint: free space"), "{}", error.lines());
    }

    #[test]
    fn rejected_plan_is_a_bug() {
        use polars::prelude::*;
        let plan = DataFrame::empty().lazy().select([col("nowhere")]);
        assert_eq!(Error::from(plan.collect().unwrap_err()).exit_code(), 3);
    }
}
