//! Errors, sorted by whose fault they are, each with a way forward.
//!
//! ```text
//! error: `sessions-2025-06.csv` has no column `session_started_timestamp`
//!   found: session id, session type, session start
//!   hint: name it with `--rename 'session start=session_started_timestamp'`
//! ```
//!
//! Context is added once, by the layer that holds it. No message holds a phone number or what a
//! person wrote: it names the record instead.

use std::fmt;

use crate::render::visible;

/// What this crate's functions return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Something went wrong.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct Error(Box<Report>);

/// What is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// An export, or what else a command is given to read.
    Data,
    /// The lake, or the disk it is on.
    Lake,
    /// A cluster, or the road to it.
    Cluster,
    /// The command line.
    Usage,
    /// This program.
    Bug,
    /// Nothing: the person at the keyboard wants no more.
    Interrupted,
}

impl Fault {
    /// The code that a process ends with: 1 for the data, the lake or a cluster, 2 for the command
    /// line, 3 for a bug; 130, as a shell has it, for Ctrl-C.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Data | Self::Lake | Self::Cluster => 1,
            Self::Usage => 2,
            Self::Bug => 3,
            Self::Interrupted => 130,
        }
    }
}

/// What there is to say of an error.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct Report {
    /// What is at fault.
    pub fault: Fault,
    /// What is wrong, in lower case and without a full stop.
    pub what: String,
    /// What was there instead.
    pub found: Option<String>,
    /// What to do.
    pub hint: Option<String>,
    /// Whether it says that a file is no export at all, rather than a faulty one.
    no_export: bool,
    /// Whether it says that a file changed while it was read.
    has_changed: bool,
    /// The error it came from, which `what` already tells.
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// What there is no room in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Full {
    /// The disk.
    Disk,
    /// What of the disk is this person's.
    Quota,
    /// A file, which may not grow on.
    File,
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Disk => "the disk is full",
            Self::Quota => "the quota of the disk is used up",
            Self::File => "a file would be larger than it may be",
        })
    }
}

impl Error {
    fn new(fault: Fault, what: impl Into<String>) -> Self {
        Self(Box::new(Report {
            fault,
            what: what.into(),
            found: None,
            hint: None,
            no_export: false,
            has_changed: false,
            source: None,
        }))
    }

    /// An export's fault.
    pub fn data(what: impl Into<String>) -> Self {
        Self::new(Fault::Data, what)
    }

    /// The lake's fault.
    pub fn lake(what: impl Into<String>) -> Self {
        Self::new(Fault::Lake, what)
    }

    /// A cluster's fault.
    pub fn cluster(what: impl Into<String>) -> Self {
        Self::new(Fault::Cluster, what)
    }

    /// The command line's fault.
    pub fn usage(what: impl Into<String>) -> Self {
        Self::new(Fault::Usage, what)
    }

    /// A bug of ours.
    pub fn bug(what: impl Into<String>) -> Self {
        Self::new(Fault::Bug, what).hint("this is a bug in wabalake: please report it")
    }

    /// Nobody's fault: Ctrl-C.
    pub fn interrupted(what: impl Into<String>) -> Self {
        Self::new(Fault::Interrupted, what)
    }

    /// The same with what was found instead.
    #[must_use]
    pub fn found(mut self, found: impl Into<String>) -> Self {
        self.0.found = Some(found.into());
        self
    }

    /// The same with what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// The same with what was being done, before the message.
    #[must_use]
    pub fn context(mut self, doing: impl fmt::Display) -> Self {
        self.0.what = format!("{doing}: {}", self.0.what);
        self
    }

    /// The same, saying that a file is no export at all: among others it is passed over.
    #[must_use]
    pub(crate) fn no_export(mut self) -> Self {
        self.0.no_export = true;
        self
    }

    /// Whether a file is no export at all.
    pub(crate) fn is_no_export(&self) -> bool {
        self.0.no_export
    }

    /// The same, saying that a file changed while it was read: it may be whole the next time.
    #[must_use]
    pub(crate) fn has_changed(mut self) -> Self {
        self.0.has_changed = true;
        self
    }

    /// Whether a file changed while it was read.
    pub(crate) fn is_of_change(&self) -> bool {
        self.0.has_changed
    }

    /// The same, said of what a library said.
    #[must_use]
    pub(crate) fn caused_by(
        mut self,
        source: impl std::error::Error + Send + Sync + 'static,
    ) -> Self {
        self.0.source = Some(Box::new(source));
        self
    }

    /// Whether a library said it of something that it read: damage may be behind it.
    pub(crate) fn may_be_damage(&self) -> bool {
        use std::io::ErrorKind as E;
        let of_io = |error: &std::io::Error| {
            matches!(error.kind(), E::NotFound | E::UnexpectedEof | E::InvalidData)
        };
        self.0.source.as_ref().is_some_and(|source| {
            source.is::<polars::error::PolarsError>()
                || source.is::<deltalake::DeltaTableError>()
                || source.downcast_ref().is_some_and(of_io)
        })
    }

    /// What is full, where something could not be written for that reason.
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
        // Libraries tell of an error of the system in words alone.
        let said = source.to_string();
        let number = said.rsplit_once("(os error ").and_then(|(_, rest)| rest.split_once(')'));
        let number = number.and_then(|(number, _)| number.parse().ok());
        let of_number = number.map(|number| std::io::Error::from_raw_os_error(number).kind());
        kind.and_then(of_kind).or_else(|| of_number.and_then(of_kind))
    }

    /// What there is to say.
    pub fn report(&self) -> &Report {
        &self.0
    }

    /// What is at fault.
    pub fn fault(&self) -> Fault {
        self.0.fault
    }

    /// The code that a process ends with.
    pub fn exit_code(&self) -> u8 {
        self.fault().exit_code()
    }

    /// The lines that a person is shown, without a last newline. What a terminal would obey, such as
    /// an escape sequence in the name of a file, is spelt out.
    ///
    /// ```
    /// use wabalake::error::Error;
    /// let error = Error::usage("no query `dropoff`").hint("did you mean `drop-off`?");
    /// assert_eq!(error.lines(), "error: no query `dropoff`\n  hint: did you mean `drop-off`?");
    /// ```
    pub fn lines(&self) -> String {
        let Report { what, found, hint, .. } = self.report();
        let mut lines = format!("error: {}", visible(what));
        for (label, text) in [("found", found), ("hint", hint)] {
            if let Some(text) = text {
                lines.push_str("\n  ");
                lines.push_str(label);
                lines.push_str(": ");
                lines.push_str(&visible(text));
            }
        }
        lines
    }
}

/// Adds what was being done to an error that cannot know it.
pub trait Context<T> {
    /// The same result; an error begins with `doing`.
    fn context<D: fmt::Display>(self, doing: impl FnOnce() -> D) -> Result<T>;
}

impl<T, E: Into<Error>> Context<T> for Result<T, E> {
    fn context<D: fmt::Display>(self, doing: impl FnOnce() -> D) -> Result<T> {
        self.map_err(|error| error.into().context(doing()))
    }
}

/// What the system says, without its number for that and without the names of temporary files.
pub(crate) fn in_words(error: &std::io::Error) -> String {
    let said = error.to_string();
    let Some(end) = said.find(" (os error ") else { return said };
    let mut letters = said[..end].chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}

/// What to do about what the system says.
fn way_forward(error: &std::io::Error) -> Option<&'static str> {
    use std::io::ErrorKind as E;
    Some(match error.kind() {
        E::NotFound => "see that the folder is there, and that nobody else deletes what is in it",
        E::PermissionDenied => "see that this user may read and write there",
        E::ReadOnlyFilesystem => "name a place that may be written to",
        E::StorageFull | E::QuotaExceeded => "make room on that disk, and run the command again",
        _ => return None,
    })
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        let mut said = Self::lake(in_words(&error));
        said.0.hint = way_forward(&error).map(str::to_owned);
        said.caused_by(error)
    }
}

impl From<polars::error::PolarsError> for Error {
    /// What Polars could not read is the lake's fault; a plan that it refuses is ours.
    fn from(error: polars::error::PolarsError) -> Self {
        use polars::error::PolarsError as E;
        fn innermost(error: &E) -> &E {
            match error {
                E::Context { error, .. } | E::ExprContext { error, .. } => innermost(error),
                other => other,
            }
        }
        let said = match innermost(&error) {
            E::IO { .. } | E::ComputeError(_) | E::NoData(_) => Self::lake(error.to_string()),
            _ => Self::bug(error.to_string()),
        };
        said.caused_by(error)
    }
}

impl From<deltalake::DeltaTableError> for Error {
    fn from(error: deltalake::DeltaTableError) -> Self {
        Self::lake(error.to_string()).caused_by(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn context_comes_first_and_once() {
        let missing = std::io::Error::from(std::io::ErrorKind::NotFound);
        let error = Err::<(), _>(missing).context(|| "reading `a.parquet`").unwrap_err();
        assert_eq!(error.to_string(), "reading `a.parquet`: entity not found");
        assert_eq!(error.exit_code(), 1);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_known_whoever_tells_of_it() {
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
    fn what_the_system_says_has_a_way_forward_and_no_number() {
        let nowhere = tempfile::NamedTempFile::new_in("/nowhere/at/all").map(drop);
        let error = nowhere.context(|| "writing `a.csv`").unwrap_err();
        assert_eq!(
            error.lines(),
            "error: writing `a.csv`: no such file or directory\n  hint: see that the folder is \
             there, and that nobody else deletes what is in it"
        );
        let full = std::io::Error::from_raw_os_error(28);
        let error = Err::<(), _>(full).context(|| "writing `a.csv`").unwrap_err();
        assert!(!error.lines().contains("os error"), "{}", error.lines());
        assert!(error.lines().contains("hint: make room"), "{}", error.lines());
    }

    #[test]
    fn a_refused_plan_is_our_fault() {
        use polars::prelude::*;
        let plan = DataFrame::empty().lazy().select([col("nowhere")]);
        assert_eq!(Error::from(plan.collect().unwrap_err()).exit_code(), 3);
    }
}
