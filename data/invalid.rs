//! The error of a value that a person typed: what is wrong with it, and what to write instead.

use std::fmt;

/// An invalid value of an option, a setting or a parameter, with a hint of what would be valid.
///
/// Value parsers return it, so that the hint reaches whoever prints the error as data.
///
/// ```
/// use wabalake_data::Invalid;
/// let error = Invalid::new("not a date").hint("write it as YYYY-MM-DD");
/// assert_eq!(error.to_string(), "not a date");
/// assert_eq!(error.hint.as_deref(), Some("write it as YYYY-MM-DD"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// What is wrong, in lower case, without a full stop and without the value itself.
    pub what: String,
    /// What to write instead.
    pub hint: Option<String>,
}

impl Invalid {
    /// An error without a hint.
    pub fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), hint: None }
    }

    /// Adds what to write instead.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Invalid {}
