//! Usage errors: what is wrong with the options of a query, and a hint, as data inside a
//! [`clap::Error`].
//!
//! | error | made by | carries its [`Invalid`] as |
//! |---|---|---|
//! | one value is invalid | a value parser that returns [`Invalid`] | the source of the error |
//! | valid values that exclude each other | [`misfit`] | the error's context |

use std::error::Error as _;

use clap::Error;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use wabalake_data::Invalid;

/// Returns a usage error about options that are valid each by itself, but not together.
pub fn misfit(Invalid { what, hint }: Invalid) -> Error {
    let mut error = Error::raw(ErrorKind::ValueValidation, what.clone());
    error.insert(ContextKind::Custom, ContextValue::String(what));
    if let Some(hint) = hint {
        error.insert(ContextKind::Suggested, ContextValue::String(hint));
    }
    error
}

/// Returns the [`Invalid`] that a value parser or [`misfit`] put into an error, if there is one.
///
/// ```
/// use wabalake_data::Invalid;
/// use wabalake_queries::query::usage::{misfit, invalid_of};
/// let invalid = Invalid::new("`--from` is after `--to`").hint("exchange the dates");
/// assert_eq!(invalid_of(&misfit(invalid.clone())), Some(invalid));
/// ```
pub fn invalid_of(error: &Error) -> Option<Invalid> {
    if let Some(source) = error.source() {
        return source.downcast_ref().cloned();
    }
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        _ => None,
    };
    Some(Invalid { what: text(ContextKind::Custom)?, hint: text(ContextKind::Suggested) })
}
