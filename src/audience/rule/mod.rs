//! Rules of audiences: conditions on people, joined by `and`, `or` and `not`.
//!
//! ```text
//! delivered[country=CO|MX] in 30d   and   not (replied in 30d or tag:vip)
//! what      filters        within
//! ```
//!
//! `not` binds tightest, then `and`, then `or`. An error names the column of the fault, and no value.

mod parser;
#[cfg(test)]
mod tests;

use wabalake_data::tables::{deployments, messages, sessions};
use wabalake_data::{Invalid, Table};
use wabalake_queries::query::conversions::Event;
use wabalake_queries::query::{Filter, Filtered, Filters, Only};

pub(super) use self::parser::shown;
use crate::config::Alpha2;

/// Whom an audience holds.
#[derive(Clone, Debug)]
pub enum Rule {
    /// The people of a condition.
    Is(Condition),
    /// All others.
    Not(Box<Self>),
    /// The people of each of several rules.
    All(Vec<Self>),
    /// The people of one of several rules.
    Any(Vec<Self>),
}

/// A condition that holds for people at an instant.
#[derive(Clone, Debug)]
pub enum Condition {
    /// Something happened at most so many microseconds before.
    Happened(Happening, i64),
    /// The person has a tag.
    Tag(String),
    /// The person's number is of a country.
    Country(Alpha2),
    /// The person can be answered within the 24-hour service window.
    WindowOpen,
    /// The person could not be reached by the last deployment that tells.
    Lost,
}

/// What happened, in rows that pass filters.
#[derive(Clone, Debug)]
pub enum Happening {
    /// A deployment started.
    Sent(Filters<OfDeployments>),
    /// A deployment started that was delivered.
    Delivered(Filters<OfDeployments>),
    /// A deployment started that failed.
    Failed(Filters<OfDeployments>),
    /// A deployment was answered.
    Replied(Filters<OfDeployments>),
    /// A deployment started that Meta capped.
    Capped,
    /// A message was seen.
    Read(Filters<OfMessages>),
    /// A session started.
    Visited(Filters<OfSessions>),
    /// An ad was clicked that led to a session.
    ClickedAd(Filters<OfSessions>),
    /// The person gave a sign: a message, or an answer.
    Wrote,
    /// A conversion.
    Converted(Only<Event>),
}

macro_rules! filtered {
    ($($(#[$doc:meta])* $name:ident: $table:path, $filters:path;)*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, Debug)]
            pub struct $name;

            impl Filtered for $name {
                const TABLE: &'static Table = &$table;
                const FILTERS: &'static [Filter] = $filters;
            }
        )*
    };
}

filtered! {
    /// The filters of deployments.
    OfDeployments: deployments::TABLE, Filter::OF_DEPLOYMENTS;
    /// The filters of messages.
    OfMessages: messages::TABLE, Filter::OF_MESSAGES;
    /// The filters of sessions.
    OfSessions: sessions::TABLE, Filter::OF_SESSIONS;
}

impl Rule {
    /// Parses a rule.
    ///
    /// ```
    /// use wabalake::audience::Rule;
    /// assert!(Rule::read("delivered[country=CO|MX] in 30d and not tag:vip").is_ok());
    /// let error = Rule::read("delivred in 30d").unwrap_err();
    /// assert_eq!(error.to_string(), "column 1: no condition `delivred`");
    /// assert_eq!(error.hint.unwrap(), "did you mean `delivered`?");
    /// ```
    ///
    /// # Errors
    /// The column of what is no condition, filter, value or time, or of what is missing.
    pub fn read(text: &str) -> Result<Self, Invalid> {
        parser::read(text)
    }

    /// Returns `true` if a condition is that people are lost.
    pub fn names_lost(&self) -> bool {
        match self {
            Self::Is(condition) => matches!(condition, Condition::Lost),
            Self::Not(rule) => rule.names_lost(),
            Self::All(rules) | Self::Any(rules) => rules.iter().any(Self::names_lost),
        }
    }
}
