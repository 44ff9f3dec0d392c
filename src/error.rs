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
pub enum Error {
    /// An export is at fault.
    #[error(transparent)]
    Data(Box<Report>),
    /// The lake is at fault, or the disk it is on.
    #[error(transparent)]
    Lake(Box<Report>),
    /// A cluster is at fault, or the road to it.
    #[error(transparent)]
    Cluster(Box<Report>),
    /// The command line is at fault.
    #[error(transparent)]
    Usage(Box<Report>),
    /// We are at fault.
    #[error(transparent)]
    Bug(Box<Report>),
    /// Nobody is at fault: the person at the keyboard wants no more.
    #[error(transparent)]
    Interrupted(Box<Report>),
}

/// What there is to say of an error.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct Report {
    /// What is wrong, in lower case and without a full stop.
    pub what: String,
    /// What was there instead.
    pub found: Option<String>,
    /// What to do.
    pub hint: Option<String>,
    /// Whether it says that a file is no export at all, rather than a faulty one.
    no_export: bool,
    /// The error it came from, which `what` already tells.
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Report {
    fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), found: None, hint: None, no_export: false, source: None }
    }

    fn caused_by(source: impl std::error::Error + Send + Sync + 'static) -> Self {
        let what = source.to_string();
        Self { source: Some(Box::new(source)), ..Self::new(what) }
    }
}

impl Error {
    /// An export's fault.
    pub fn data(what: impl Into<String>) -> Self {
        Self::Data(Report::new(what).into())
    }

    /// The lake's fault.
    pub fn lake(what: impl Into<String>) -> Self {
        Self::Lake(Report::new(what).into())
    }

    /// A cluster's fault.
    pub fn cluster(what: impl Into<String>) -> Self {
        Self::Cluster(Report::new(what).into())
    }

    /// The command line's fault.
    pub fn usage(what: impl Into<String>) -> Self {
        Self::Usage(Report::new(what).into())
    }

    /// A bug of ours.
    pub fn bug(what: impl Into<String>) -> Self {
        Self::Bug(Report::new(what).into()).hint("this is a bug in wabalake: please report it")
    }

    /// Nobody's fault: Ctrl-C.
    pub fn interrupted(what: impl Into<String>) -> Self {
        Self::Interrupted(Report::new(what).into())
    }

    /// The same with what was found instead.
    #[must_use]
    pub fn found(mut self, found: impl Into<String>) -> Self {
        self.report_mut().found = Some(found.into());
        self
    }

    /// The same with what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.report_mut().hint = Some(hint.into());
        self
    }

    /// The same with what was being done, before the message.
    #[must_use]
    pub fn context(mut self, doing: impl fmt::Display) -> Self {
        let report = self.report_mut();
        report.what = format!("{doing}: {}", report.what);
        self
    }

    /// The same, saying that a file is no export at all: among others it is passed over.
    #[must_use]
    pub(crate) fn no_export(mut self) -> Self {
        self.report_mut().no_export = true;
        self
    }

    /// Whether a file is no export at all.
    pub(crate) fn is_no_export(&self) -> bool {
        self.report().no_export
    }

    /// The same, said of what a library said.
    #[must_use]
    pub(crate) fn caused_by(
        mut self,
        source: impl std::error::Error + Send + Sync + 'static,
    ) -> Self {
        self.report_mut().source = Some(Box::new(source));
        self
    }

    /// Whether a library said it of something that it read: damage may be behind it.
    pub(crate) fn may_be_damage(&self) -> bool {
        use std::io::ErrorKind as E;
        let of_io = |error: &std::io::Error| {
            matches!(error.kind(), E::NotFound | E::UnexpectedEof | E::InvalidData)
        };
        self.report().source.as_ref().is_some_and(|source| {
            source.is::<polars::error::PolarsError>()
                || source.is::<deltalake::DeltaTableError>()
                || source.downcast_ref().is_some_and(of_io)
        })
    }

    /// What there is to say.
    pub fn report(&self) -> &Report {
        match self {
            Self::Data(report)
            | Self::Lake(report)
            | Self::Cluster(report)
            | Self::Usage(report)
            | Self::Bug(report)
            | Self::Interrupted(report) => report,
        }
    }

    fn report_mut(&mut self) -> &mut Report {
        match self {
            Self::Data(report)
            | Self::Lake(report)
            | Self::Cluster(report)
            | Self::Usage(report)
            | Self::Bug(report)
            | Self::Interrupted(report) => report,
        }
    }

    /// The code that a process ends with: 1 for the data, the lake or a cluster, 2 for the command
    /// line, 3 for a bug; 130, as a shell has it, for Ctrl-C.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Data(_) | Self::Lake(_) | Self::Cluster(_) => 1,
            Self::Usage(_) => 2,
            Self::Bug(_) => 3,
            Self::Interrupted(_) => 130,
        }
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

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Self::Lake(Report::caused_by(error).into())
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
        match innermost(&error) {
            E::IO { .. } | E::ComputeError(_) | E::NoData(_) => {
                Self::Lake(Report::caused_by(error).into())
            }
            _ => Self::Bug(Report::caused_by(error).into())
                .hint("this is a bug in wabalake: please report it"),
        }
    }
}

impl From<deltalake::DeltaTableError> for Error {
    fn from(error: deltalake::DeltaTableError) -> Self {
        Self::Lake(Report::caused_by(error).into())
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

    #[test]
    fn a_refused_plan_is_our_fault() {
        use polars::prelude::*;
        let plan = DataFrame::empty().lazy().select([col("nowhere")]);
        assert_eq!(Error::from(plan.collect().unwrap_err()).exit_code(), 3);
    }
}
